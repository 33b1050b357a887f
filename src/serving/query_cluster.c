#include "serving/query_internal.h"

#include "cluster/fold_sql.h"
#include "cluster/session.h"

#include <string.h>

/* Over the table of that name, of this session alone. */
static int add_view(struct spark_script *script, const struct cluster_session *session, struct error *err)
{
	_cleanup_buf_ struct buf sql = {0};
	_cleanup_free_ char *table = text_printf("`%s`.transactions_cln", session->tables.database);
	if (!table || buf_append_text(&sql, "CREATE OR REPLACE TEMPORARY VIEW transactions_cln AS ") < 0 ||
	    fold_counted_sql(table, &session->cut, &sql) < 0 || !buf_text(&sql))
		return error_no_memory(err, sql.len);
	return spark_script_add(script, "the table transactions_cln", sql.data, err);
}

struct attached {
	const struct deployment *deployment;
	struct cluster_session session;
};

static int attach(void *context, struct spark_script *script, struct spark_options *spark, struct error *err)
{
	struct attached *const attached = context;
	struct cluster_session *const session = &attached->session;
	int rc = cluster_session_open(attached->deployment, "sql", session, err);
	if (rc == 0)
		rc = cluster_session_cut(session, err);
	if (rc == 0)
		rc = cluster_tables_add(script, &session->tables, err);
	if (rc == 0)
		rc = add_view(script, session, err);
	*spark = session->spark;
	return rc;
}

static void detach(void *context)
{
	struct attached *const attached = context;
	cluster_session_close(&attached->session);
	attached->session = (struct cluster_session){0};
}

static void list_tables(struct error *err)
{
	const struct error old = *err;
	if (err->code == ERROR_SQL && strstr(old.message, "table or view") && strstr(old.message, "cannot be found"))
		error_set(err, old.code,
			  "%.1800s\nTables: transactions_cln, customers_cln, ledger, balances, loyalty, account_state",
			  old.message);
}

int query_run_cluster(const struct deployment *deployment, struct slice text, const struct query_options *options,
		      struct error *err)
{
	struct attached attached = {.deployment = deployment};
	const struct sql_spark_options spark = {.memory_mib = deployment->config->engine_memory_mib,
						.attach = attach,
						.detach = detach,
						.context = &attached};
	struct error local = {0};
	struct sql *sql = NULL;
	bool printed = false;
	if (options->watch)
		watch_all_engines(options->watch); /* also while HDFS is asked */
	int rc = sql_open_spark(&spark, &sql, &local);
	if (rc == 0)
		rc = query_print(sql, text, options, &printed, &local);
	sql_close(sql);
	if (rc < 0) {
		list_tables(&local);
		error_set(err, rc, "%s", local.message);
	}
	return rc;
}
