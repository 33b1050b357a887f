/*
 * SQL on whichever engine a deployment has: the port in front of DuckDB (sql_duckdb.c), in this process, and Spark (sql_spark.c), which is
 * started for each call.
 *
 *     struct sql *sql = NULL;
 *     rc = sql_open_duckdb(&options, &sql, err);                       // or sql_open_spark
 *     rc = sql_run(sql, &(struct sql_work){.steps = steps, .n_steps = 2, .query = text, .take = print, .context = out}, err);
 *     sql_close(sql);
 *
 * What both have in common is a *session*: each call of sql_run is one. The tables are made known, then the steps run, in order, then the
 * query of a person, which reads and nothing else; what fails ends it. Of a session nothing is left but the files that its statements wrote.
 * When a call fails, any part of it may have been done, and it may be made again.
 *
 * Values are those of engine/result.h, whatever engine computed them: the same number, date or text looks the same. What SQL means is
 * the engine's own: models keep to what both know (engine.h, the prelude).
 *
 * Errors: ERROR_SQL with the engine's message: of a step with its `what` before it, of a model with "<models_dir>/<model>.sql:<line>: ", of
 * a query with the line and what stands there. ERROR_USAGE: the query does not only read, is none, or is of a form that the engine
 * does not take (several statements: Spark; DuckDB takes them one after the other). ERROR_INTERRUPTED: sql_stop, or `progress` said no.
 * What engine.h and spark.h name besides; and what `take` and the driver's `attach` return.
 *
 * Threads: sql_stop from any; the rest belongs to one thread at a time.
 */
#ifndef PUNCHCARD_ENGINE_SQL_H
#define PUNCHCARD_ENGINE_SQL_H

#include "engine/result.h"
#include "engine/spark.h"

struct sql;

/* A statement of ours, or a model between two texts of ours. */
struct sql_step {
	const char *what;      /* for people: "the table x" */
	const char *statement; /* one, without a semicolon; NULL: it is a model */
	const char *models_dir;
	const char *model; /* <models_dir>/<model>.sql */
	const char *before;
	const char *after;
};

struct sql_progress {
	unsigned step; /* from 0; the query is the last one */
	unsigned steps;
	const char *what;
	/* Of the engine's own tasks within it; tasks is 0 where it does not say. */
	unsigned tasks_done;
	unsigned tasks;
};

struct sql_work {
	const struct sql_step *steps;
	unsigned n_steps;
	struct slice query; /* data NULL: none */
	/* The query's result, once a statement, to be read to its end or not; it is gone when the call returns. A call that fails
	 * behind that has failed: what was taken is not an answer. Needed with a query. */
	int (*take)(void *context, struct engine_result *result, struct error *err);
	/* Called before each step, and some times a second by Spark; false ends the work. May be NULL. */
	bool (*progress)(void *context, const struct sql_progress *progress);
	void *context;
};

int sql_run(struct sql *sql, const struct sql_work *work, struct error *err);
/* Ends what runs, and refuses all that is asked for later. As with engine_interrupt, who must be sure calls it again. */
void sql_stop(struct sql *sql);
/* NULL is fine. */
void sql_close(struct sql *sql);

/* ---- drivers ---- */

struct sql_duckdb_options {
	struct engine_options engine;
	/* What a query may read, besides what is attached (engine_lock_down); steps may read and write anything. */
	const char *const *directories;
	unsigned n_directories;
	/* Makes the tables known to a new engine. May be NULL, as those that follow. */
	int (*attach)(void *context, struct engine *engine, struct error *err);
	/* Says more of an error, while the engine is open; err is set. */
	void (*explain)(void *context, struct engine *engine, struct error *err);
	/* The engine is closed; also after attach has failed. */
	void (*detach)(void *context);
	void *context;
};

/* The struct is copied, what it points to is not. */
int sql_open_duckdb(const struct sql_duckdb_options *options, struct sql **out, struct error *err);

/* Columns of a result of Spark's: it goes through a source of the embedded engine. ERROR_LIMIT: more of them. */
#define SQL_SPARK_COLUMNS_MAX ENGINE_SOURCE_COLUMNS_MAX

struct sql_spark_options {
	/* Without row, progress and context, unless attach fills them in: such a progress is asked, too. */
	struct spark_options spark;
	uint32_t memory_mib; /* of the embedded engine, through which results go; 0: 512 */
	/* Adds the statements that make the tables known, and may say how Spark is started. May be NULL, as detach. */
	int (*attach)(void *context, struct spark_script *script, struct spark_options *spark, struct error *err);
	void (*detach)(void *context); /* also after attach has failed */
	void *context;
};

/* Rows come when Spark has ended; they wait in a file without a name in TMPDIR (or /var/tmp). */
int sql_open_spark(const struct sql_spark_options *options, struct sql **out, struct error *err);

#endif
