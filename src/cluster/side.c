#include "cluster/side.h"

#include "base/decimal.h"
#include "base/limits.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DIR "warehouse/_side"

/* ---- the directory ---- */

struct leaving {
	const char *prefix; /* "<edge>-" */
	struct buf names;   /* of processes that are no more, each with a NUL */
};

static int on_side(void *context, const char *name, const struct warehouse_stat *stat, struct error *err)
{
	struct leaving *const leaving = context;
	const size_t len = strlen(leaving->prefix);
	int64_t pid;
	(void)stat;
	if (strncmp(name, leaving->prefix, len) != 0 || integer_parse(name + len, strlen(name + len), &pid) < 0 ||
	    pid < 1 || pid == getpid() || kill((pid_t)pid, 0) == 0 || errno != ESRCH)
		return 0;
	return buf_append(&leaving->names, name, strlen(name) + 1) < 0 ? error_no_memory(err, strlen(name)) : 0;
}

static int remove_left(const struct cluster_session *session, const char *prefix, struct error *err)
{
	struct leaving leaving = {.prefix = prefix};
	int rc = warehouse_list(session->warehouse, DIR, on_side, &leaving, err);
	if (rc == ERROR_NOT_FOUND)
		rc = 0;
	for (size_t at = 0; rc == 0 && at < leaving.names.len; at += strlen(leaving.names.data + at) + 1) {
		_cleanup_free_ char *path = text_printf(DIR "/%s", leaving.names.data + at);
		rc = path ? warehouse_remove(session->warehouse, path, err) : error_no_memory(err, LIMIT_PATH_BYTES);
	}
	buf_release(&leaving.names);
	return rc;
}

int cluster_side_open(const struct cluster_session *session, struct cluster_side *side, struct error *err)
{
	_cleanup_free_ char *prefix = text_printf("%s-", session->deployment->config->cluster.edge);
	*side = (struct cluster_side){0};
	if (!prefix)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	side->path = text_printf(DIR "/%s%ld", prefix, (long)getpid());
	side->url = text_printf("%s/_side/%s%ld", session->tables.warehouse, prefix, (long)getpid());
	if (!side->path || !side->url)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	side->session = session;
	return remove_left(session, prefix, err);
}

void cluster_side_close(struct cluster_side *side)
{
	if (side->session)
		(void)warehouse_remove(side->session->warehouse, side->path, NULL); /* or the next one does */
	free(side->path);
	free(side->url);
	*side = (struct cluster_side){0};
}

/* ---- statements ---- */

static int add(struct spark_script *script, const char *what, struct buf *sql, int rc, struct error *err)
{
	if (rc < 0 || !buf_text(sql))
		return error_no_memory(err, sql->len);
	rc = spark_script_add(script, what, sql->data, err);
	buf_clear(sql);
	return rc;
}

int cluster_side_add_table(struct spark_script *script, const struct cluster_session *session, const char *name,
			   struct error *err)
{
	_cleanup_free_ char *path = text_printf("%s/%s", session->tables.warehouse, name);
	_cleanup_buf_ struct buf sql = {0};
	int rc = path ? buf_printf(&sql, "CREATE OR REPLACE TEMPORARY VIEW %s (", name) : ERROR_NO_MEMORY;
	if (rc == 0)
		rc = cluster_columns(&sql, &session->tables, name);
	if (rc == 0)
		rc = buf_append_text(&sql, ", data_dt DATE) USING parquet OPTIONS (path ");
	if (rc == 0)
		rc = cluster_quote(&sql, path);
	if (rc == 0)
		rc = buf_append_text(&sql, ")");
	return add(script, name, &sql, rc, err);
}

static int add_rows_view(struct spark_script *script, const struct cluster_side *side, enum customer_id_type id_type,
			 struct error *err)
{
	_cleanup_buf_ struct buf sql = {0};
	int rc = buf_append_text(&sql, "CREATE OR REPLACE TEMPORARY VIEW " FOLD_ROWS_TABLE " (");
	if (rc == 0)
		rc = fold_columns_sql(id_type, &sql);
	if (rc == 0)
		rc = buf_append_text(&sql, ") USING parquet OPTIONS (path ");
	if (rc == 0)
		rc = cluster_quote(&sql, side->url);
	if (rc == 0)
		rc = buf_append_text(&sql, ")");
	return add(script, "what was folded", &sql, rc, err);
}

int cluster_side_add_fold(struct spark_script *script, const struct cluster_side *side, const char *what,
			  const struct fold_query *query, struct error *err)
{
	_cleanup_buf_ struct buf sql = {0};
	_cleanup_buf_ struct buf rows = {0};
	int rc = buf_append_text(&sql, "INSERT OVERWRITE DIRECTORY ");
	if (rc == 0)
		rc = cluster_quote(&sql, side->url);
	if (rc == 0)
		rc = buf_append_text(&sql, " USING parquet\n");
	if (rc == 0)
		rc = fold_query_sql(query, &sql);
	rc = add(script, what, &sql, rc, err);
	if (rc == 0)
		rc = add_rows_view(script, side, query->id_type, err);
	if (rc < 0)
		return rc;
	rc = fold_query_count_sql(query, &rows) < 0 || !buf_text(&rows) ? ERROR_NO_MEMORY : 0;
	if (rc == 0)
		rc = buf_append_text(&sql, "SELECT assert_true(");
	if (rc == 0)
		rc = fold_check_sql(rows.data, &sql);
	if (rc == 0)
		rc = buf_append_text(
			&sql, ",\n'punchcard: rows were lost between the kernel and Spark') FROM " FOLD_ROWS_TABLE);
	return add(script, "counting what was folded", &sql, rc, err);
}
