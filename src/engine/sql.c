#include "engine/sql_driver.h"

#include <assert.h>
#include <stdio.h>

void sql_init(struct sql *sql, const struct sql_driver *driver)
{
	*sql = (struct sql){.driver = driver};
	pthread_mutex_init(&sql->lock, NULL);
}

void sql_destroy(struct sql *sql)
{
	pthread_mutex_destroy(&sql->lock);
}

int sql_check_stopped(struct sql *sql, struct error *err)
{
	pthread_mutex_lock(&sql->lock);
	const bool stopped = sql->stopped;
	pthread_mutex_unlock(&sql->lock);
	return stopped ? error_set(err, ERROR_INTERRUPTED, "interrupted") : 0;
}

void sql_use_engine(struct sql *sql, struct engine *engine)
{
	pthread_mutex_lock(&sql->lock);
	sql->engine = engine;
	if (engine && sql->stopped)
		engine_interrupt(engine);
	pthread_mutex_unlock(&sql->lock);
}

int sql_run(struct sql *sql, const struct sql_work *work, struct error *err)
{
	assert(!work->query.data || work->take);
	const int rc = sql_check_stopped(sql, err);
	return rc < 0 ? rc : sql->driver->run(sql, work, err);
}

void sql_stop(struct sql *sql)
{
	pthread_mutex_lock(&sql->lock);
	sql->stopped = true;
	if (sql->engine)
		engine_interrupt(sql->engine);
	pthread_mutex_unlock(&sql->lock);
	if (sql->driver->stop)
		sql->driver->stop(sql);
}

void sql_close(struct sql *sql)
{
	if (sql)
		sql->driver->close(sql);
}

/* ---- rows of text ---- */

static int start_rows(void *context, void **state, struct error *err)
{
	(void)context;
	(void)err;
	*state = NULL;
	return 0;
}

static int fill_rows(void *context, void *state, struct engine_batch *batch, uint32_t *rows, struct error *err)
{
	const struct sql_rows *const given = context;
	int rc = 1;
	(void)state;
	*rows = 0;
	while (rc > 0 && *rows < ENGINE_BATCH_ROWS) {
		rc = given->next(given->context, batch, *rows, err);
		*rows += rc > 0;
	}
	return rc < 0 ? rc : 0;
}

/* A view of the rows, with the names and types that they have. */
static int select_columns(const struct sql_rows *rows, struct buf *sql)
{
	int rc = buf_append_text(sql, "CREATE VIEW punchcard_result AS SELECT ");
	for (unsigned i = 0; rc == 0 && i < rows->n_columns; i++) {
		rc = buf_printf(sql, "%sCAST(c%u AS %s) AS ", i ? ", " : "", i, rows->types[i]);
		if (rc == 0)
			rc = engine_quote_name(sql, rows->names[i]);
	}
	return rc < 0 ? rc : buf_append_text(sql, " FROM punchcard_rows()");
}

static int give(struct engine *engine, const struct sql_rows *rows, const struct sql_work *work, struct error *err)
{
	char names[ENGINE_SOURCE_COLUMNS_MAX][12];
	struct engine_column columns[ENGINE_SOURCE_COLUMNS_MAX];
	struct engine_result *result = NULL;
	_cleanup_buf_ struct buf sql = {0};
	for (unsigned i = 0; i < rows->n_columns; i++) {
		snprintf(names[i], sizeof(names[i]), "c%u", i);
		columns[i] = (struct engine_column){names[i], ENGINE_VARCHAR};
	}
	const struct engine_source source = {.name = "punchcard_rows",
					     .columns = columns,
					     .n_columns = rows->n_columns,
					     .start = start_rows,
					     .fill = fill_rows,
					     .context = (void *)(uintptr_t)rows};
	if (select_columns(rows, &sql) < 0 || !buf_text(&sql))
		return error_no_memory(err, sql.len);
	int rc = engine_register_source(engine, &source, err);
	if (rc == 0)
		rc = engine_run(engine, sql.data, err);
	if (rc == 0)
		rc = engine_query(engine, SLICE("SELECT * FROM punchcard_result"), 1, &result, err);
	if (rc == 0)
		rc = work->take(work->context, result, err);
	engine_result_close(result);
	return rc;
}

int sql_give_rows(struct sql *sql, const struct sql_rows *rows, const struct sql_work *work, struct error *err)
{
	assert(rows->n_columns > 0 && rows->n_columns <= ENGINE_SOURCE_COLUMNS_MAX);
	const struct engine_options options = {.memory_mib = rows->memory_mib, .threads = 1};
	struct engine *engine = NULL;
	int rc = engine_open(&options, &engine, err);
	if (rc < 0)
		return rc;
	sql_use_engine(sql, engine);
	rc = give(engine, rows, work, err);
	sql_use_engine(sql, NULL);
	engine_close(engine);
	return rc;
}
