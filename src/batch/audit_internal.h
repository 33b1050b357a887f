/*
 * What the files of audit share.
 */
#ifndef PUNCHCARD_BATCH_AUDIT_INTERNAL_H
#define PUNCHCARD_BATCH_AUDIT_INTERNAL_H

#include "batch/audit.h"
#include "batch/folding.h"
#include "batch/states.h"
#include "engine/engine.h"
#include "store/journal.h"
#include "store/view.h"

struct audit {
	/* As the caller's, but with the audit's own directory for what is temporary. */
	struct deployment deployment;
	const struct audit_options *options;
	struct audit_report report;
	uint64_t told;
	/* The journal, at one moment. */
	bool has_journal;
	uint64_t offset; /* the table writer's */
	uint64_t next;
	struct journal_totals totals;
	struct block_counts tail; /* of the blocks from offset on */
	/* The view, at one moment; NULL: there is none, or it is not to be compared. */
	struct view *view;
	uint64_t view_offset;
	struct id_list waiting; /* customers with events that only one of them has; in order */
	struct id_list marked;  /* whose accounts wait to be made again; in order */
};

/* ---- telling (audit.c) ---- */

/* Counts the finding, and tells it while not too many were. */
void audit_tell(struct audit *audit, const struct audit_finding *finding);
/* Whether one more would be told: else its texts need not be made. */
bool audit_would_tell(const struct audit *audit);
/* A table that cannot be read is a finding: returns 0 then. Other errors are passed on. */
int audit_unreadable(struct audit *audit, enum audit_table table, int32_t day, int rc, struct error *err);
/* ERROR_INTERRUPTED when the caller wants no more. */
int audit_progress(struct audit *audit, const char *doing, uint64_t done, uint64_t total, struct error *err);
/* The customer's id as text. 0 or ERROR_NO_MEMORY. */
int audit_customer_text(enum customer_id_type id_type, const struct customer_id *id, struct buf *out);

/* ---- moments and files (audit_snapshot.c) ---- */

/* Reads journal and view. */
int audit_snapshot(struct audit *audit, struct error *err);
void audit_snapshot_release(struct audit *audit);

/* A state of account_state that is there. */
struct audit_state {
	int32_t day;
	struct state_name name;
};
/* All of them, ascending by day; the caller frees *states. */
int audit_states(const struct audit *audit, struct audit_state **states, size_t *n, struct error *err);
/* The days of a table of the warehouse, ascending; the caller frees *days. A missing table has none. */
int audit_days(const struct audit *audit, const char *table, int32_t **days, size_t *n, struct error *err);
/* The Parquet files of a day whose names begin with `prefix`, as a list of SQL texts; *n is how many. */
int audit_files(const struct audit *audit, const char *table, int32_t day, const char *prefix, struct buf *sql,
		unsigned *n, struct error *err);
/* A hash of the names of all files of the batch layer's tables. */
int audit_fingerprint(const struct audit *audit, uint64_t *hash, struct error *err);

/* ---- rows (audit_rows.c) ---- */

struct audit_value {
	bool null;
	int64_t number; /* of all types but these of text */
	struct slice text;
};

#define AUDIT_COLUMNS_MAX 24u

/* Rows in the order of their keys. */
struct audit_rows {
	/* The next one, whose texts live until the next call. */
	int (*next)(struct audit_rows *rows, struct audit_value *values, bool *found, struct error *err);
};

struct audit_scan {
	struct audit_rows rows;
	struct engine_scan *scan;
	uint32_t n;
	uint32_t at;
};
/* Of an engine's statement; audit_scan_close of one that is zero is fine. */
int audit_scan_open(struct audit_scan *scan, struct engine *engine, const char *sql, struct error *err);
void audit_scan_close(struct audit_scan *scan);

/* What rows look like. The first column is the customer; the first n_keys are unique together, and rows are in their order. */
struct audit_shape {
	enum audit_table table;
	const struct engine_column *columns;
	unsigned n_columns;
	unsigned n_keys;
	/* Columns that name a row in a finding; 0: none. */
	unsigned entry;
	unsigned event;
	unsigned ledger;
};

/* Compares and tells; *n is how many rows `is` had. `doing` is for the progress, which goes on from *done. */
int audit_compare(struct audit *audit, const struct audit_shape *shape, int32_t day, struct audit_rows *should,
		  struct audit_rows *is, const char *doing, uint64_t *n, struct error *err);
/* Appends a value in words. 0 or ERROR_NO_MEMORY. */
int audit_value_text(enum engine_type type, const struct audit_value *value, struct buf *out);

/* ---- the fold (audit_fold.c) ---- */

/* Folds the events up to `offset`: into `folding` up to its day (zeroed; NULL: not), and compares the view with the records
 * of all of them when `with_view`. */
int audit_fold(struct audit *audit, uint64_t offset, int32_t day, bool with_view, struct folding *folding,
	       struct error *err);

/* ---- tables (audit_tables.c) ---- */

/* Partitions of the ledger from `first` to `last`. */
int audit_ledger(struct audit *audit, const struct folding *folding, int32_t first, int32_t last, struct error *err);
/* Balances, loyalty and account_state of the folding's day. */
int audit_day_tables(struct audit *audit, const struct folding *folding, struct error *err);

/* ---- rows of events (audit_events.c) ---- */

/* transactions_cln: all of it can be read, and it has as many rows as the journal counted. What cannot be read is told, by file;
 * *readable is false then. */
int audit_rows_of_events(struct audit *audit, bool *readable, struct error *err);

/* ---- sums (audit_sums.c) ---- */

/* A statement that takes long: run beside this thread, which asks the caller whether to go on. */
int audit_statement(struct audit *audit, struct engine *engine, const char *sql, const char *doing, struct error *err);
/* The ledger's rows up to the audited day against themselves and, unless `alone`, the day's balances. */
int audit_sums(struct audit *audit, int32_t day, bool alone, struct error *err);

#endif
