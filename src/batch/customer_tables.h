/*
 * Customer files and the SQL engine: rows in, Parquet out.
 *
 * Not tied to a thread; one struct belongs to one thread at a time. Files are read through each other's format structs, so
 * one scan at a time.
 */
#ifndef PUNCHCARD_BATCH_CUSTOMER_TABLES_H
#define PUNCHCARD_BATCH_CUSTOMER_TABLES_H

#include "batch/customer_reader.h"
#include "batch/landing.h"
#include "engine/engine.h"
#include "store/view.h"

/* One landed (or staged) file, and what was found in it. */
struct customer_file {
	const struct landed_file *landed;
	struct customer_format *format; /* owned by struct customer_files' holder; shared by files of the same format */
	bool is_counted;
	bool saw_header;
	uint64_t counts[CUSTOMER_REASONS]; /* lines by reason; [CUSTOMER_GOOD] is the good ones */
};

/* All files, in the order of loading. */
struct customer_files {
	struct customer_file *files;
	size_t n_files;
	enum customer_id_type id_type;
	struct customer_file *quarantined; /* customer_tables_quarantine's: what is being written … */
	bool has_bad_source;               /* … and whether the engine knows how to read it */
};

/* Lines of a file: all, and those that are not good. */
uint64_t customer_file_lines(const struct customer_file *file);
uint64_t customer_file_bad_lines(const struct customer_file *file);

/* Reads a file and counts its lines, without an engine. The errors of customer_reader_next. */
int customer_file_count(struct customer_file *file, struct error *err);

/* Makes the table `customers` (models/customers_cln.sql describes it) of all good lines of all files, and counts all lines.
 * `files` must outlive the engine. The errors of reading, or the engine's. */
int customer_tables_make(struct engine *engine, struct customer_files *files, struct error *err);

/* Runs the model customers_cln over `customers` into a new Parquet file `path`, sorted by cust_id, and flushes it. ERROR_SQL
 * for a model that fails or lacks a column, with its file and line. */
int customer_tables_clean(struct engine *engine, const char *models_dir, const char *path,
			  enum customer_id_type id_type, struct error *err);

/* Replaces the view's profiles by the Parquet file's rows, in a transaction that is left open for view_profiles_commit or
 * view_profiles_abort (aborted on error). ERROR_SQL when a customer is in the file twice or has no id: the model is wrong. */
int customer_tables_feed(struct engine *engine, const char *path, enum customer_id_type id_type, struct view *view,
			 uint64_t *customers, struct error *err);

/* Writes the bad lines of one of the files to a new Parquet file `path` (file, line, reason, text, quarantined_at) and
 * flushes it. `files` must outlive the engine, and goes with one engine only. */
int customer_tables_quarantine(struct engine *engine, struct customer_files *files, struct customer_file *file,
			       const char *path, struct error *err);

#endif
