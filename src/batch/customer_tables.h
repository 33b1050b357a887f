/*
 * Customer files and the SQL engine: rows in, Parquet out.
 *
 *     struct customer_files files = {.files = …, .n_files = 2, .config = config, .lock = PTHREAD_MUTEX_INITIALIZER};
 *     rc = customer_tables_attach(engine, &files, err);                       // SELECT … FROM customers
 *     rc = customer_tables_clean(engine, models_dir, path, config->customer_id, err);
 *     rc = customer_tables_feed(engine, path, config->customer_id, view, &n, err);
 *     engine_close(engine);
 *
 * The functions belong to the engine's thread. The files are read from the engine's threads, several times at once if a
 * model asks for that (src/batch/customer_scan.h).
 */
#ifndef PUNCHCARD_BATCH_CUSTOMER_TABLES_H
#define PUNCHCARD_BATCH_CUSTOMER_TABLES_H

#include "batch/customer_scan.h"
#include "engine/engine.h"
#include "store/view.h"

/* Makes the view `customers` (models/customers_cln.sql describes it) of all good lines of all files. They are read when a
 * statement asks for them, from landed->path as it is then, and counted when they are read to their end. `files` must
 * outlive the engine, and goes with one engine only. */
int customer_tables_attach(struct engine *engine, struct customer_files *files, struct error *err);

/* Runs the model customers_cln over `customers` into a new Parquet file `path`, sorted by cust_id, and flushes it. ERROR_SQL
 * for a model that fails or lacks a column, with its file and line; the errors of reading the files. */
int customer_tables_clean(struct engine *engine, const char *models_dir, const char *path,
			  enum customer_id_type id_type, struct error *err);

/* Takes a profile; all lives until it returns. */
typedef int customer_profile_fn(void *context, const struct customer_id *id, const struct profile *profile,
				struct error *err);
/* Gives the rows of a Parquet file of customers_cln as profiles, and counts them. ERROR_SQL when a customer is in the file twice (it is
 * sorted) or has no id. */
int customer_tables_profiles(struct engine *engine, const char *path, enum customer_id_type id_type,
			     customer_profile_fn *take, void *context, uint64_t *customers, struct error *err);

/* Replaces the view's profiles by the Parquet file's rows, in a transaction that is left open for view_profiles_commit or
 * view_profiles_abort (aborted on error). ERROR_SQL when a customer is in the file twice or has no id: the model is wrong. */
int customer_tables_feed(struct engine *engine, const char *path, enum customer_id_type id_type, struct view *view,
			 uint64_t *customers, struct error *err);

/* Writes the bad lines of files->files[index] to a new Parquet file `path` (file, line, reason, text, quarantined_at) and
 * flushes it. As for customer_tables_attach, `files` must outlive the engine. */
int customer_tables_quarantine(struct engine *engine, struct customer_files *files, size_t index, const char *path,
			       struct error *err);

#endif
