/*
 * The table `ledger`: one row a posting, one Parquet file a day (data_dt: the local day that had begun).
 *
 *     entry_no BIGINT          1, 2, … in the customer's history
 *     event_id VARCHAR         NULL: an expiry or a review
 *     cust_id
 *     posted_at TIMESTAMP      UTC
 *     ledger VARCHAR           its name
 *     kind VARCHAR             earn, reverse, redeem, expire, adjust, tier, reject
 *     points DECIMAL(18,3)     with its sign
 *     lot DATE                 when the lot expires; 9999-12-31: never; NULL: of no lot
 *     rule VARCHAR             earn: the rules that gave, 'base+stamps', and the promotions that multiplied, '*double-tuesday'
 *     programme VARCHAR        its hash
 *     balance DECIMAL(18,3)    of the ledger behind the entry: all lots less debt
 *     note VARCHAR             reject: why; tier: 'silver > gold'
 *
 * The rows of a day are in order of (cust_id, entry_no). What makes them are *sources*: a spool of postings that a fold left
 * (ledger_spool), a table that is there (ledger_scan), or two of these merged.
 */
#ifndef PUNCHCARD_BATCH_LEDGER_H
#define PUNCHCARD_BATCH_LEDGER_H

#include "batch/id_list.h"
#include "batch/spool.h"
#include "config/deployment.h"
#include "fold/ledger_row.h"

/* The columns behind cust_id of an empty table, for SQL. */
#define LEDGER_COLUMNS_SQL                                                                                        \
	"entry_no BIGINT, event_id VARCHAR, posted_at TIMESTAMP, ledger VARCHAR, kind VARCHAR, points "           \
	"DECIMAL(18,3), lot DATE, rule VARCHAR, programme VARCHAR, balance DECIMAL(18,3), note VARCHAR, data_dt " \
	"DATE"

/* Rows in order of (customer, entry_no). */
struct ledger_source {
	/* The next row, whose bytes live until the next call. */
	int (*next)(struct ledger_source *source, struct ledger_row *row, bool *found, struct error *err);
};

/* ---- postings that a fold leaves ---- */

/* Appends a posting's record to out, as ledger_spool_append takes it. 0 or ERROR_NO_MEMORY. */
int ledger_encode(const struct customer_id *customer, enum customer_id_type id_type, const struct posting *posting,
		  struct buf *out);

struct ledger_spool;

/* Records by day. Memory is bounded whatever the number of days. */
int ledger_spool_open(const char *tmp_dir, struct ledger_spool **out, struct error *err);
void ledger_spool_close(struct ledger_spool *spool);
/* Records of one day, in order behind those that the day has. ERROR_CORRUPT: a day that no posting can have. */
int ledger_spool_append(struct ledger_spool *spool, int32_t day, struct slice records, struct error *err);
/* Before it is read. */
int ledger_spool_finish(struct ledger_spool *spool, struct error *err);
/* The days that have records, ascending: the first from `day` on, DAY_MAX when there is none. */
int32_t ledger_spool_day(const struct ledger_spool *spool, int32_t day);
/* Whether that day has any; a spool that is NULL has none. */
bool ledger_spool_has(const struct ledger_spool *spool, int32_t day);

struct ledger_spool_source {
	struct ledger_source source;
	const struct ledger_spool *spool;
	enum customer_id_type id_type;
	struct ledger_names *names;
	int32_t day;
	size_t extent;
	struct spool_reader reader;
	struct buf note;
};
/* The rows of one day; a spool that is NULL has none. */
void ledger_spool_source(struct ledger_spool_source *source, const struct ledger_spool *spool, int32_t day,
			 enum customer_id_type id_type, struct ledger_names *names);
void ledger_spool_source_release(struct ledger_spool_source *source);

/* ---- rows that are in the table ---- */

/* The committed files of the days from `first` to `last`, as a list of SQL texts; *n is how many. */
int ledger_files(const struct deployment *deployment, int32_t first, int32_t last, struct buf *sql, unsigned *n,
		 struct error *err);
/* What a scan of the table must select for ledger_scan_row, from read_parquet(…, hive_partitioning). */
#define LEDGER_SCAN_COLUMNS \
	"cust_id, entry_no, event_id, posted_at, ledger, kind, points, lot, rule, programme, balance, note, data_dt"
/* Row `row` of the chunk; *day is its data_dt. */
void ledger_scan_row(struct engine_scan *scan, uint32_t row, enum customer_id_type id_type, struct ledger_row *out,
		     int32_t *day);

struct ledger_scan_source {
	struct ledger_source source;
	struct engine_scan *scan;
	enum customer_id_type id_type;
	const struct id_list *without; /* customers who are left out; in order */
	uint32_t rows;
	uint32_t at;
};
/* The rows of a scan of LEDGER_SCAN_COLUMNS (NULL: none), without some customers'. */
void ledger_scan_source(struct ledger_scan_source *source, struct engine_scan *scan, enum customer_id_type id_type,
			const struct id_list *without);

/* ---- two of them, merged ---- */

struct ledger_merged_source {
	struct ledger_source source;
	struct ledger_source *parts[2];
	struct ledger_row rows[2];
	bool found[2];
	bool begun;
	int taken; /* the part whose row was given last, or -1 */
};
/* No customer may be in both. */
void ledger_merged_source(struct ledger_merged_source *source, struct ledger_source *a, struct ledger_source *b);

/* ---- writing ---- */

/* A hash of rows, to see whether a day has changed. */
void ledger_row_hash(const struct ledger_row *row, uint64_t *hash);

struct ledger_writer;
/* Opens an engine of its own, of one thread. Belongs to one thread at a time. */
int ledger_writer_open(const struct deployment *deployment, uint32_t memory_mib, struct ledger_writer **out,
		       struct error *err);
void ledger_writer_close(struct ledger_writer *writer);
/* Writes the rows into <dir>/ledger-<hash>.parquet; the same rows, the same bytes. Not flushed. *rows: how many. When there
 * are none, there is no file. */
int ledger_writer_write(struct ledger_writer *writer, struct ledger_source *source, const char *dir, uint64_t *rows,
			struct error *err);

/* Writes all days of a spool into partitions of `dir`, on as many threads as the configuration says. */
int ledger_write_all(const struct deployment *deployment, const struct programme *programme,
		     const struct ledger_spool *spool, const char *dir, struct error *err);

#endif
