/*
 * The SQL engine: DuckDB in this process, in memory, over Parquet files.
 *
 *     struct engine *engine = NULL;
 *     rc = engine_open(&(struct engine_options){.memory_mib = 512, .threads = 2, .tmp_dir = tmp}, &engine, err);
 *     rc = engine_run(engine, "CREATE TABLE t AS SELECT 42 AS a", err);
 *     rc = engine_run_model(engine, models_dir, "loyalty", "COPY (", ") TO '/…/part.parquet' (FORMAT parquet)", err);
 *     engine_close(engine);
 *
 * One engine belongs to one thread at a time, but engine_interrupt may be called from any. Extensions are neither installed
 * nor loaded. The session's time zone is UTC. Values go in and out as columns (struct engine_column), never as text (for
 * people's eyes there is src/engine/result.h).
 *
 * Errors of SQL: ERROR_SQL with the engine's message, without its "Binder Error: " and with its "LINE n:" hint;
 * ERROR_INTERRUPTED; ERROR_NO_MEMORY (the engine's memory limit); ERROR_NO_SPACE; ERROR_NOT_FOUND (a file that is read is
 * not there, also when it vanished since the statement was planned); ERROR_CORRUPT (a file that is read is damaged); a
 * source's own code and message. Opening costs about 20 ms, most of it DuckDB's own start.
 */
#ifndef PUNCHCARD_ENGINE_ENGINE_H
#define PUNCHCARD_ENGINE_ENGINE_H

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct engine;

struct engine_options {
	uint32_t memory_mib;  /* of DuckDB's buffers; 0: 512 */
	uint32_t threads;     /* 0: all cores */
	const char *tmp_dir;  /* it spills into a directory of its own below this one; NULL: it may not spill */
	uint32_t tmp_max_mib; /* most it may spill; 0: 90 % of what is free on that disk */
};

enum engine_type {
	ENGINE_BIGINT,       /* int64_t */
	ENGINE_INTEGER,      /* int32_t */
	ENGINE_DATE,         /* int32_t days since 1970-01-01 */
	ENGINE_TIMESTAMP,    /* int64_t UTC microseconds */
	ENGINE_DECIMAL_18_2, /* int64_t hundredths */
	ENGINE_DECIMAL_18_3, /* int64_t thousandths */
	ENGINE_VARCHAR,      /* UTF-8 */
	ENGINE_BLOB,         /* any bytes */
	ENGINE_NAME,         /* of a source only: uint8_t, which of the column's names it is; SQL sees an ENUM */
};

struct engine_column {
	const char *name;
	enum engine_type type;
};

/* The names that a column of ENGINE_NAME may have: much less work than texts, where a table has the same few in all its rows.
 * Written to Parquet they are texts. */
struct engine_names {
	const char *const *texts; /* each once */
	unsigned n;               /* 1 to ENGINE_NAMES_MAX */
};
#define ENGINE_NAMES_MAX 255u

int engine_open(const struct engine_options *options, struct engine **out, struct error *err);
/* All scans and results must be closed before. NULL is fine. */
void engine_close(struct engine *engine);
/* Runs one or more statements and drops their results. */
int engine_run(struct engine *engine, const char *sql, struct error *err);
/* Runs one statement that gives one row with one column of whole numbers (an integer type, DATE in days, TIMESTAMP in
 * microseconds, BOOLEAN; NULL gives 0). ERROR_OVERFLOW when it does not fit; ERROR_SQL when it is another row count, column
 * count or type. */
int engine_run_int64(struct engine *engine, const char *sql, int64_t *out, struct error *err);
/* Stops what runs, within milliseconds, and refuses all that is asked for later: the engine is then good for engine_close
 * only. From any thread. A statement that begins in the very moment of the call may miss it: who must be sure calls it again
 * (say each 10 ms) until the statement has returned. */
void engine_interrupt(struct engine *engine);
/* The same for every engine of this process, and none can be opened any more: for a process that was asked to end, whose engines
 * are in the hands of several threads. From any thread; who must be sure calls it again, too. */
void engine_interrupt_all(void);
/* Whether it was called: also for long work without an engine, which has to end as well. 0 or ERROR_INTERRUPTED. */
int engine_check_interrupted(struct error *err);
/* The SQL spelling of a type: "DECIMAL(18,2)". */
const char *engine_type_sql(enum engine_type type);

/*
 * The prelude: DuckDB macros under the names that Spark has, so that one SQL text runs on both (src/engine/prelude.c lists
 * them). Makes those that `sql` mentions (a name in a comment counts) and that are not made yet, in well under 1 ms each.
 * engine_run_model does it for its model.
 */
int engine_prelude(struct engine *engine, const char *sql, struct error *err);

/*
 * Models: `<models_dir>/<name>.sql`, one SELECT, comments allowed; a final semicolon is tolerated.
 *
 * Runs `before`, the model and `after` (each on lines of its own) as one statement, e.g. "COPY (" … ") TO 'f' (FORMAT
 * parquet)" or "CREATE TABLE t AS" … "". Errors that are the model's begin with "<models_dir>/<name>.sql:<line>: " and
 * show the line. A file that is missing (ERROR_NOT_FOUND), empty, or holds several statements (ERROR_SQL) is refused.
 */
int engine_run_model(struct engine *engine, const char *models_dir, const char *name, const char *before,
		     const char *after, struct error *err);

/*
 * Rows in: a *source* is a table function that C code fills. `fill` is called with an empty batch until it leaves one empty.
 * Sets values of every column for every row, or NULL. Columns that the statement does not use are *unwanted*: writing to
 * them is allowed and goes nowhere; fill may leave them out (engine_batch_wants).
 */
struct engine_batch; /* room for ENGINE_BATCH_ROWS rows */
#define ENGINE_BATCH_ROWS 2048u

/* Whether the statement reads the column. The same for all batches of a scan. */
bool engine_batch_wants(const struct engine_batch *batch, unsigned column);
/* Column pointers of a batch: int64_t*, int32_t* or uint8_t* by type, for direct writing; row < ENGINE_BATCH_ROWS. Not for VARCHAR
 * and BLOB.
 * Write-only: unwanted columns share one scratch area. Valid until fill returns. Never NULL. */
void *engine_batch_values(struct engine_batch *batch, unsigned column);
/* Copies text into a VARCHAR column, where it must be valid UTF-8, or bytes into a BLOB column. */
void engine_batch_text(struct engine_batch *batch, unsigned column, uint32_t row, struct slice text);
void engine_batch_null(struct engine_batch *batch, unsigned column, uint32_t row);

struct engine_source {
	const char *name; /* function's name in SQL: SELECT … FROM name() */
	const struct engine_column *columns;
	unsigned n_columns; /* 1 to ENGINE_SOURCE_COLUMNS_MAX */
	/* n_columns of them, read where a column is of ENGINE_NAME; NULL: none is. */
	const struct engine_names *names;
	/* Called at the start of each scan. *state is the scan's. 0 or a code with err set (the statement fails with it). */
	int (*start)(void *context, void **state, struct error *err);
	/* Fills up to ENGINE_BATCH_ROWS rows and sets *rows; 0 rows ends the scan. Called from one thread at a time, but from
	 * any of the engine's threads. Rows keep their order. */
	int (*fill)(void *context, void *state, struct engine_batch *batch, uint32_t *rows, struct error *err);
	/* Ends a scan that was started, also after an error; may be NULL. */
	void (*stop)(void *context, void *state);
	void *context; /* must outlive the engine */
};
#define ENGINE_SOURCE_COLUMNS_MAX 64u

/* The struct, its columns and names are copied. ERROR_EXISTS when the engine has a source of that name. */
int engine_register_source(struct engine *engine, const struct engine_source *source, struct error *err);

/*
 * Rows out: a streaming scan of one SELECT's result, in its order. The columns must be of the types of enum engine_type
 * exactly; cast in the statement. While a scan is open, the engine runs nothing else.
 */
struct engine_scan;
/* ERROR_SQL when a column has another type: the message names the column, its type and the cast. */
int engine_scan_open(struct engine *engine, const char *sql, struct engine_scan **out, struct error *err);
/* Next chunk: 0 and *rows (0 at the end; at most ENGINE_BATCH_ROWS). Pointers stay valid until the next call. */
int engine_scan_next(struct engine_scan *scan, uint32_t *rows, struct error *err);
unsigned engine_scan_columns(const struct engine_scan *scan);
enum engine_type engine_scan_type(const struct engine_scan *scan, unsigned column);
const void *engine_scan_values(struct engine_scan *scan, unsigned column); /* int32_t* or int64_t* by type */
struct slice engine_scan_text(struct engine_scan *scan, unsigned column,
			      uint32_t row); /* VARCHAR and BLOB; not of a NULL */
bool engine_scan_is_null(struct engine_scan *scan, unsigned column, uint32_t row);
/* Bit row % 64 of word row / 64 is 1 when the value is there; NULL when the chunk's column has no NULL. */
const uint64_t *engine_scan_validity(struct engine_scan *scan, unsigned column);
/* NULL is fine. */
void engine_scan_close(struct engine_scan *scan);

/* Quoted for SQL: 'it''s' (a text) or "it""s" (a name) appended to out. 0 or ERROR_NO_MEMORY. */
int engine_quote(struct buf *out, const char *text);
int engine_quote_name(struct buf *out, const char *name);

#endif
