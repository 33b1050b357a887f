#include "speed/line_rows.h"

#include "base/limits.h"
#include "base/utf8.h"
#include "store/row_store.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* Tables that SQL knows; a shop has one or two. */
#define TABLES_MOST 64u
/* Four bytes for each of a line's. */
#define VALUE_BYTES_MOST (4 * (size_t)LIMIT_LINE_BYTES + 16)

struct table {
	struct line_rows *all;
	struct slice name;
};

struct line_rows {
	struct row_store *store;
	pthread_mutex_t mutex; /* scans of one statement may run on several threads, and read in one transaction */
	unsigned n;
	struct table tables[TABLES_MOST];
};

struct scan {
	struct row_walk *walk;
	struct buf value;
};

static const struct engine_column COLUMNS[] = {
	{"row_key", ENGINE_VARCHAR}, {"cell", ENGINE_VARCHAR}, {"value", ENGINE_VARCHAR}};

static int start_scan(void *context, void **state, struct error *err)
{
	const struct table *const table = context;
	struct scan *const scan = calloc(1, sizeof(*scan));
	if (!scan)
		return error_no_memory(err, sizeof(*scan));
	pthread_mutex_lock(&table->all->mutex);
	const int rc = row_walk_open(table->all->store, table->name, &scan->walk, err);
	pthread_mutex_unlock(&table->all->mutex);
	if (rc < 0) {
		free(scan);
		return rc;
	}
	*state = scan;
	return 0;
}

static void stop_scan(void *context, void *state)
{
	const struct table *const table = context;
	struct scan *const scan = state;
	pthread_mutex_lock(&table->all->mutex);
	row_walk_close(scan->walk);
	pthread_mutex_unlock(&table->all->mutex);
	buf_release(&scan->value);
	free(scan);
}

static int put_text(struct scan *scan, struct engine_batch *batch, unsigned column, uint32_t row, struct slice text,
		    struct error *err)
{
	if (utf8_valid(text.data, text.len)) {
		engine_batch_text(batch, column, row, text);
		return 0;
	}
	buf_clear(&scan->value);
	if (utf8_escape(&scan->value, text.data, text.len, VALUE_BYTES_MOST) < 0)
		return error_no_memory(err, text.len);
	engine_batch_text(batch, column, row, (struct slice){scan->value.data, scan->value.len});
	return 0;
}

static int fill_rows(void *context, void *state, struct engine_batch *batch, uint32_t *rows, struct error *err)
{
	const struct table *const table = context;
	struct scan *const scan = state;
	uint32_t row = 0;
	int rc = 0;
	pthread_mutex_lock(&table->all->mutex);
	for (; rc == 0 && row < ENGINE_BATCH_ROWS; row++) {
		struct row_cell cell;
		bool found;
		rc = row_walk_next(scan->walk, &cell, &found, err);
		if (rc < 0 || !found)
			break;
		const struct slice values[] = {cell.key, cell.column, cell.value};
		for (unsigned i = 0; rc == 0 && i < 3; i++)
			if (engine_batch_wants(batch, i))
				rc = put_text(scan, batch, i, row, values[i], err);
	}
	pthread_mutex_unlock(&table->all->mutex);
	if (rc == 0)
		*rows = row;
	return rc;
}

static int attach_table(struct engine *engine, struct line_rows *rows, unsigned i, struct error *err)
{
	char function[32];
	_cleanup_buf_ struct buf sql = {0};
	_cleanup_free_ char *name = slice_dup(rows->tables[i].name);
	snprintf(function, sizeof(function), "flume_rows_%u", i);
	const struct engine_source source = {.name = function,
					     .columns = COLUMNS,
					     .n_columns = sizeof(COLUMNS) / sizeof(COLUMNS[0]),
					     .start = start_scan,
					     .fill = fill_rows,
					     .stop = stop_scan,
					     .context = &rows->tables[i]};
	const int rc = engine_register_source(engine, &source, err);
	if (rc < 0)
		return rc;
	if (!name || buf_append_text(&sql, "CREATE OR REPLACE VIEW ") < 0 || engine_quote_name(&sql, name) < 0 ||
	    buf_printf(&sql, " AS SELECT * FROM %s()", function) < 0 || !buf_text(&sql))
		return error_no_memory(err, LIMIT_NAME_BYTES);
	return engine_run(engine, sql.data, err);
}

static int list_tables(struct line_rows *rows, struct error *err)
{
	struct slice name = {0};
	bool found = true;
	int rc = row_store_read_begin(rows->store, err);
	while (rc == 0 && found && rows->n < TABLES_MOST) {
		rc = row_store_table(rows->store, name, &name, &found, err);
		if (rc == 0 && found)
			rows->tables[rows->n++] = (struct table){.all = rows, .name = name};
	}
	return rc;
}

int line_rows_attach(struct engine *engine, const struct deployment *deployment, struct line_rows **out,
		     struct error *err)
{
	const struct row_store_options options = {.map_gib = deployment->config->view_map_gib, .read_only = true};
	_cleanup_free_ char *dir = text_printf("%s/rows", deployment->data_dir);
	struct line_rows *const rows = calloc(1, sizeof(*rows));
	if (!rows || !dir) {
		free(rows);
		return error_no_memory(err, sizeof(*rows));
	}
	pthread_mutex_init(&rows->mutex, NULL);
	struct error refusal = {0};
	int rc = row_store_open(dir, &options, &rows->store, &refusal);
	if (rc < 0) {
		line_rows_detach(rows);
		return rc == ERROR_NOT_FOUND ? 0 : error_set(err, rc, "%s", refusal.message);
	}
	rc = list_tables(rows, err);
	for (unsigned i = 0; rc == 0 && i < rows->n; i++)
		rc = attach_table(engine, rows, i, err);
	if (rc < 0) {
		line_rows_detach(rows);
		return rc;
	}
	*out = rows;
	return 0;
}

void line_rows_detach(struct line_rows *rows)
{
	if (!rows)
		return;
	row_store_close(rows->store);
	pthread_mutex_destroy(&rows->mutex);
	free(rows);
}
