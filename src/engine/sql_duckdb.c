/* The driver of DuckDB: an engine of its own for each call, so that nothing of one is left to the next. */
#include "engine/lex.h"
#include "engine/sql_driver.h"

#include <stdlib.h>
#include <string.h>

struct sql_duckdb {
	struct sql sql;
	struct sql_duckdb_options options;
};

static unsigned count_lines(const char *from, const char *to)
{
	unsigned lines = 0;
	for (; from < to; from++)
		lines += *from == '\n';
	return lines;
}

/* All of them, before any is run. */
static int check_statements(struct engine *engine, struct slice text, struct error *err)
{
	struct slice rest = text;
	struct slice statement;
	unsigned n = 0;
	int rc = 0;
	for (; rc == 0 && sql_next_statement(&rest, &statement); n++)
		rc = engine_query_check(engine, statement, 1 + count_lines(text.data, statement.data), err);
	return rc == 0 && n == 0 ? error_set(err, ERROR_USAGE, "there is no statement to run") : rc;
}

static int run_statements(struct engine *engine, const struct sql_work *work, struct error *err)
{
	struct slice rest = work->query;
	struct slice statement;
	int rc = check_statements(engine, work->query, err);
	while (rc == 0 && sql_next_statement(&rest, &statement)) {
		struct engine_result *result = NULL;
		rc = engine_query(engine, statement, 1 + count_lines(work->query.data, statement.data), &result, err);
		if (rc == 0)
			rc = work->take(work->context, result, err);
		engine_result_close(result);
	}
	return rc;
}

/* Makes what it needs, then closes the way to everything else. */
static int run_query(struct sql_duckdb *duckdb, struct engine *engine, const struct sql_work *work, struct error *err)
{
	_cleanup_buf_ struct buf text = {0};
	if (buf_append(&text, work->query.data, work->query.len) < 0 || !buf_text(&text))
		return error_no_memory(err, work->query.len);
	int rc = engine_prelude(engine, text.data, err);
	if (rc == 0)
		rc = engine_lock_down(engine, duckdb->options.directories, duckdb->options.n_directories, err);
	return rc < 0 ? rc : run_statements(engine, work, err);
}

static int run_step(struct engine *engine, const struct sql_step *step, struct error *err)
{
	if (!step->statement)
		return engine_run_model(engine, step->models_dir, step->model, step->before, step->after, err);
	int rc = engine_prelude(engine, step->statement, err);
	if (rc == 0)
		rc = engine_run(engine, step->statement, err);
	return rc < 0 && rc != ERROR_INTERRUPTED ? error_prefix(err, "%s", step->what) : rc;
}

static int tell(const struct sql_work *work, unsigned step, const char *what, struct error *err)
{
	const struct sql_progress progress = {
		.step = step, .steps = work->n_steps + (work->query.data ? 1 : 0), .what = what};
	return work->progress && !work->progress(work->context, &progress)
		       ? error_set(err, ERROR_INTERRUPTED, "interrupted")
		       : 0;
}

static int run_work(struct sql_duckdb *duckdb, struct engine *engine, const struct sql_work *work, struct error *err)
{
	int rc = duckdb->options.attach ? duckdb->options.attach(duckdb->options.context, engine, err) : 0;
	for (unsigned i = 0; rc == 0 && i < work->n_steps; i++) {
		rc = tell(work, i, work->steps[i].what, err);
		if (rc == 0)
			rc = run_step(engine, &work->steps[i], err);
	}
	if (rc == 0 && work->query.data) {
		rc = tell(work, work->n_steps, "query", err);
		if (rc == 0)
			rc = run_query(duckdb, engine, work, err);
	}
	return rc;
}

static int duckdb_run(struct sql *sql, const struct sql_work *work, struct error *err)
{
	struct sql_duckdb *const duckdb = (struct sql_duckdb *)sql;
	struct error local = {0};
	struct engine *engine = NULL;
	int rc = engine_open(&duckdb->options.engine, &engine, &local);
	if (rc == 0) {
		sql_use_engine(sql, engine);
		rc = run_work(duckdb, engine, work, &local);
		if (rc < 0 && duckdb->options.explain) {
			duckdb->options.explain(duckdb->options.context, engine, &local);
			rc = local.code;
		}
		sql_use_engine(sql, NULL);
		engine_close(engine);
		if (duckdb->options.detach)
			duckdb->options.detach(duckdb->options.context);
	}
	return rc < 0 ? error_set(err, rc, "%s", local.message) : 0;
}

static void duckdb_close_driver(struct sql *sql)
{
	sql_destroy(sql);
	free(sql);
}

int sql_open_duckdb(const struct sql_duckdb_options *options, struct sql **out, struct error *err)
{
	static const struct sql_driver DRIVER = {.run = duckdb_run, .close = duckdb_close_driver};
	struct sql_duckdb *const duckdb = calloc(1, sizeof(*duckdb));
	if (!duckdb)
		return error_no_memory(err, sizeof(*duckdb));
	sql_init(&duckdb->sql, &DRIVER);
	duckdb->options = *options;
	*out = &duckdb->sql;
	return 0;
}
