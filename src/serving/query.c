#include "serving/query.h"

#include "base/file.h"
#include "engine/lex.h"
#include "serving/catalog.h"

static unsigned count_lines(const char *from, const char *to)
{
	unsigned lines = 0;
	for (; from < to; from++)
		lines += *from == '\n';
	return lines;
}

/* What DuckDB proposes for an unknown table are tables of its own; these are ours. */
static void list_tables(struct error *err)
{
	if (err->code != ERROR_SQL || strncmp(err->message, "Table with name ", strlen("Table with name ")) != 0)
		return;
	const struct error old = *err;
	const size_t first = strcspn(old.message, "\n");
	const char *const line = strstr(old.message, "\nLINE ");
	error_set(err, old.code, "%.*s\nTables: %s%s", (int)first, old.message, catalog_tables(), line ? line : "");
}

/* All of them, before any is run. */
static int check_statements(struct engine *engine, struct slice sql, enum table_format format, struct error *err)
{
	struct slice rest = sql;
	struct slice statement;
	unsigned n = 0;
	int rc = 0;
	for (; rc == 0 && sql_next_statement(&rest, &statement); n++)
		rc = engine_query_check(engine, statement, 1 + count_lines(sql.data, statement.data), err);
	if (rc == 0 && n == 0)
		return error_set(err, ERROR_USAGE, "there is no statement to run");
	if (rc == 0 && n > 1 && format == TABLE_JSON)
		return error_set(err, ERROR_USAGE, "--json prints one array: give it one statement at a time, not %u",
				 n);
	return rc;
}

static int run_statements(struct engine *engine, struct slice sql, const struct query_options *options, bool *printed,
			  struct error *err)
{
	struct slice rest = sql;
	struct slice statement;
	int rc = check_statements(engine, sql, options->format, err);
	for (unsigned n = 0; rc == 0 && sql_next_statement(&rest, &statement); n++) {
		struct engine_result *result = NULL;
		rc = engine_query(engine, statement, 1 + count_lines(sql.data, statement.data), &result, err);
		if (rc == 0 && n > 0)
			fputc('\n', options->out);
		if (rc == 0)
			rc = table_print(result, options->format, options->out, printed, err);
		engine_result_close(result);
	}
	return rc;
}

/* Makes what the statements need, then closes the way to everything else. */
static int prepare_engine(struct engine *engine, const struct deployment *deployment, struct slice sql,
			  struct catalog **catalog, struct error *err)
{
	_cleanup_buf_ struct buf text = {0};
	if (buf_append(&text, sql.data, sql.len) < 0 || !buf_text(&text))
		return error_no_memory(err, sql.len);
	int rc = catalog_attach(engine, deployment, catalog, err);
	if (rc == 0)
		rc = engine_prelude(engine, text.data, err);
	const char *const directories[] = {deployment->warehouse_dir, deployment->quarantine_dir};
	return rc < 0 ? rc : engine_lock_down(engine, directories, 2, err);
}

static int run_once(const struct deployment *deployment, const struct engine_options *engine_options, struct slice sql,
		    const struct query_options *options, bool *printed, struct error *err)
{
	struct engine *engine = NULL;
	struct catalog *catalog = NULL;
	int rc = engine_open(engine_options, &engine, err);
	if (rc < 0)
		return rc;
	watch_engine(options->watch, engine);
	rc = prepare_engine(engine, deployment, sql, &catalog, err);
	if (rc == 0)
		rc = run_statements(engine, sql, options, printed, err);
	if (rc == ERROR_CORRUPT && err) {
		catalog_name_damage(engine, deployment, err);
		rc = err->code;
	}
	watch_engine(options->watch, NULL);
	engine_close(engine);
	catalog_detach(catalog);
	return rc;
}

int query_run(const struct deployment *deployment, struct slice sql, const struct query_options *options,
	      struct error *err)
{
	_cleanup_free_ char *tmp_dir = NULL;
	/* Without one it cannot spill. */
	file_make_tmp_dir("sql", &tmp_dir, NULL);
	const struct engine_options engine_options = {.memory_mib = deployment->config->engine_memory_mib,
						      .threads = deployment->config->engine_threads,
						      .tmp_dir = tmp_dir,
						      .tmp_max_mib = QUERY_SPILL_MAX_MIB};
	bool printed = false;
	struct error local = {0};
	int rc = ERROR_NOT_FOUND;
	for (unsigned attempt = 0; rc == ERROR_NOT_FOUND && !printed && attempt < QUERY_ATTEMPTS; attempt++)
		rc = run_once(deployment, &engine_options, sql, options, &printed, &local);
	if (tmp_dir)
		file_remove_tree(tmp_dir, NULL);
	if (rc < 0) {
		list_tables(&local);
		error_set(err, rc, "%s", local.message);
	}
	return rc;
}
