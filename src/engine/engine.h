/*
 * The SQL engine: DuckDB in this process, in memory, over Parquet files.
 *
 *     struct engine *engine = NULL;
 *     rc = engine_open(&(struct engine_options){.memory_mib = 512, .threads = 2, .tmp_dir = tmp}, &engine, err);
 *     rc = engine_run(engine, "CREATE TABLE t AS SELECT 42 AS a", err);
 *     rc = engine_run_file_model(…)
 *     engine_close(engine);
 *
 * One engine belongs to one thread at a time, but engine_interrupt may be called from any. Extensions are neither installed
 * nor loaded. The session's time zone is UTC. Values go in and out as columns (struct engine_column), never as text.
 */
#ifndef PUNCHCARD_ENGINE_ENGINE_H
#define PUNCHCARD_ENGINE_ENGINE_H

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct engine;

struct engine_options {
	uint32_t memory_mib; /* 0: 512 */
	uint32_t threads;    /* 0: all cores */
	const char *tmp_dir; /* where it spills; NULL: it may not */
};

enum engine_type {
	ENGINE_BIGINT,       /* int64_t */
	ENGINE_INTEGER,      /* int32_t */
	ENGINE_DATE,         /* int32_t days since 1970-01-01 */
	ENGINE_TIMESTAMP,    /* int64_t UTC microseconds */
	ENGINE_DECIMAL_18_2, /* int64_t hundredths */
	ENGINE_DECIMAL_18_3, /* int64_t thousandths */
	ENGINE_VARCHAR,      /* UTF-8 */
};

struct engine_column {
	const char *name;
	enum engine_type type;
};

int engine_open(const struct engine_options *options, struct engine **out, struct error *err);
void engine_close(struct engine *engine);
/* Runs one or more statements and drops their results. ERROR_SQL with the engine's message, ERROR_INTERRUPTED,
 * ERROR_NO_MEMORY (its memory limit), ERROR_NO_SPACE. */
int engine_run(struct engine *engine, const char *sql, struct error *err);
/* Runs one statement that gives one row with one integer (DATE, BIGINT, HUGEINT …; NULL gives 0). */
int engine_run_int64(struct engine *engine, const char *sql, int64_t *out, struct error *err);
/* Stops what runs; from any thread. */
void engine_interrupt(struct engine *engine);

/*
 * Rows in: a *source* is a table function that C code fills. `fill` is called with an empty batch until it leaves one empty.
 */
struct engine_batch; /* room for ENGINE_BATCH_ROWS rows */
#define ENGINE_BATCH_ROWS 2048u

/* Column pointers of a batch: int64_t* or int32_t* by type, for direct writing; row < ENGINE_BATCH_ROWS. Not for VARCHAR. */
void *engine_batch_values(struct engine_batch *batch, unsigned column);
/* Copies text into a VARCHAR column. The text must be valid UTF-8. */
void engine_batch_text(struct engine_batch *batch, unsigned column, uint32_t row, struct slice text);
void engine_batch_null(struct engine_batch *batch, unsigned column, uint32_t row);

struct engine_source {
	const char *name; /* function's name in SQL: SELECT … FROM name() */
	const struct engine_column *columns;
	unsigned n_columns;
	/* Called at the start of each scan. *state is the scan's. 0 or a code with err set (the statement fails with it). */
	int (*start)(void *context, void **state, struct error *err);
	/* Fills up to ENGINE_BATCH_ROWS rows and sets *rows; 0 rows ends the scan. Called from one thread at a time, but from
	 * any of the engine's threads. Rows keep their order. */
	int (*fill)(void *context, void *state, struct engine_batch *batch, uint32_t *rows, struct error *err);
	void (*stop)(void *context, void *state);
	void *context; /* must outlive the engine */
};
int engine_register_source(struct engine *engine, const struct engine_source *source, struct error *err);

/*
 * Rows out: a streaming scan of one SELECT's result, in its order. The columns must be of the types of enum engine_type
 * exactly; cast in the statement.
 */
struct engine_scan;
int engine_scan_open(struct engine *engine, const char *sql, struct engine_scan **out, struct error *err);
/* Next chunk: 0 and *rows (0 at the end). Pointers stay valid until the next call. */
int engine_scan_next(struct engine_scan *scan, uint32_t *rows, struct error *err);
unsigned engine_scan_columns(const struct engine_scan *scan);
const void *engine_scan_values(struct engine_scan *scan, unsigned column); /* int32_t* or int64_t* by type */
struct slice engine_scan_text(struct engine_scan *scan, unsigned column, uint32_t row); /* VARCHAR */
bool engine_scan_is_null(struct engine_scan *scan, unsigned column, uint32_t row);
void engine_scan_close(struct engine_scan *scan);

/* The SQL text of a model: `<models_dir>/<name>.sql`, one SELECT, comments allowed, without a final semicolon. On a later
 * error engine_model_error puts "<file>:<line>: " before the engine's message, by the position the engine reports. */
int engine_model_read(const char *models_dir, const char *name, struct buf *sql, struct error *err);
int engine_model_error(const char *models_dir, const char *name, struct error *err);

/* Quoted for SQL: 'it''s' appended to out. */
int engine_quote(struct buf *out, const char *text);

#endif
