#include "serving/query_internal.h"

#include "base/file.h"
#include "serving/catalog.h"

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

/* --- printing, whatever the engine -------------------------------------------------------------------------------------------- */

struct printing {
	const struct query_options *options;
	bool *printed;
	unsigned results;
};

static int print_result(void *context, struct engine_result *result, struct error *err)
{
	struct printing *const printing = context;
	if (printing->results++ > 0)
		fputc('\n', printing->options->out);
	return table_print(result, printing->options->format, printing->options->out, printing->printed, err);
}

int query_print(struct sql *sql, struct slice text, const struct query_options *options, bool *printed,
		struct error *err)
{
	struct printing printing = {.options = options};
	printing.printed = printed;
	/* A query without a byte is one, too: it is refused. */
	const struct slice query = text.data ? text : SLICE("");
	watch_sql(options->watch, sql);
	const int rc =
		sql_run(sql, &(struct sql_work){.query = query, .take = print_result, .context = &printing}, err);
	watch_sql(options->watch, NULL);
	return rc;
}

/* --- on one machine ----------------------------------------------------------------------------------------------------------- */

struct attached {
	const struct deployment *deployment;
	struct catalog *catalog;
};

static int attach(void *context, struct engine *engine, struct error *err)
{
	struct attached *const attached = context;
	return catalog_attach(engine, attached->deployment, &attached->catalog, err);
}

static void explain(void *context, struct engine *engine, struct error *err)
{
	const struct attached *const attached = context;
	if (err->code == ERROR_CORRUPT)
		catalog_name_damage(engine, attached->deployment, err);
}

static void detach(void *context)
{
	struct attached *const attached = context;
	catalog_detach(attached->catalog);
	attached->catalog = NULL;
}

static int run_here(const struct deployment *deployment, const char *tmp_dir, struct slice text,
		    const struct query_options *options, struct error *err)
{
	const char *const directories[] = {deployment->warehouse_dir, deployment->quarantine_dir};
	struct attached attached = {.deployment = deployment};
	const struct sql_duckdb_options duckdb = {
		.engine = {.memory_mib = deployment->config->engine_memory_mib,
			   .threads = deployment->config->engine_threads,
			   .tmp_dir = tmp_dir,
			   .tmp_max_mib = QUERY_SPILL_MAX_MIB},
		.directories = directories,
		.n_directories = 2,
		.attach = attach,
		.explain = explain,
		.detach = detach,
		.context = &attached,
	};
	struct sql *sql = NULL;
	bool printed = false;
	int rc = sql_open_duckdb(&duckdb, &sql, err);
	if (rc < 0)
		return rc;
	rc = ERROR_NOT_FOUND;
	for (unsigned attempt = 0; rc == ERROR_NOT_FOUND && !printed && attempt < QUERY_ATTEMPTS; attempt++)
		rc = query_print(sql, text, options, &printed, err);
	sql_close(sql);
	return rc;
}

int query_run(const struct deployment *deployment, struct slice sql, const struct query_options *options,
	      struct error *err)
{
	if (deployment->config->cluster.on)
		return query_run_cluster(deployment, sql, options, err);
	_cleanup_free_ char *tmp_dir = NULL;
	/* Without one it cannot spill. */
	file_make_tmp_dir("sql", &tmp_dir, NULL);
	struct error local = {0};
	const int rc = run_here(deployment, tmp_dir, sql, options, &local);
	if (tmp_dir)
		file_remove_tree(tmp_dir, NULL);
	if (rc < 0) {
		list_tables(&local);
		error_set(err, rc, "%s", local.message);
	}
	return rc;
}
