#include "serving/query_cluster.h"

#include "base/file.h"
#include "cluster/fold_sql.h"
#include "cluster/session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TYPE_BYTES 64u

struct column {
	char *name;
	char type[TYPE_BYTES]; /* as the embedded engine calls it; "VARCHAR" for all that it has not */
};

struct asking {
	FILE *rows;    /* a JSON object a line */
	unsigned head; /* the statement that tells the columns; the next one gives the rows */
	bool has_head;
	struct column columns[QUERY_CLUSTER_COLUMNS_MAX + 1]; /* and one that the head has behind them */
	unsigned n_columns;
};

/* --- the JSON of a row, by place: two columns may have one name --------------------------------------------------------------- */

/* The end of the value that begins at p, which the text has whole. */
static const char *skip_value(const char *p, const char *end)
{
	unsigned depth = 0;
	do {
		if (*p == '"') {
			for (p++; p < end && *p != '"'; p++)
				p += *p == '\\';
		} else {
			depth += *p == '{' || *p == '[';
			depth -= depth && (*p == '}' || *p == ']');
		}
		p++;
	} while (p < end && (depth || !strchr(",}:]", *p)));
	return p > end ? end : p;
}

/* The next member of an object, of which *rest begins with "{" or ",". false: there is none. */
static bool next_member(struct slice *rest, struct slice *key, struct slice *value)
{
	const char *const end = rest->data + rest->len;
	const char *p = rest->data;
	if (p >= end || (*p != '{' && *p != ',') || end - p < 3 || p[1] != '"')
		return false;
	const char *const colon = skip_value(++p, end);
	if (colon >= end || *colon != ':')
		return false;
	*key = (struct slice){p, (size_t)(colon - p)};
	const char *const behind = skip_value(colon + 1, end);
	*value = (struct slice){colon + 1, (size_t)(behind - colon - 1)};
	*rest = (struct slice){behind, (size_t)(end - behind)};
	return true;
}

/* A text without its quotes; anything else as it stands. */
static int append_text(struct slice value, struct buf *out)
{
	if (value.len < 2 || value.data[0] != '"')
		return buf_append(out, value.data, value.len);
	if (!memchr(value.data, '\\', value.len))
		return buf_append(out, value.data + 1, value.len - 2);
	_cleanup_buf_ struct buf object = {0};
	if (buf_append_text(&object, "{\"v\":") < 0 || buf_append(&object, value.data, value.len) < 0 ||
	    buf_append_text(&object, "}") < 0)
		return ERROR_NO_MEMORY;
	return spark_json_get((struct slice){object.data, object.len}, "v", out) ? 0 : ERROR_NO_MEMORY;
}

/* --- columns ---------------------------------------------------------------------------------------------------------------- */

/* The type of the embedded engine for one of Spark's. */
static void take_type(struct column *column, struct slice type)
{
	static const struct {
		const char *spark;
		const char *ours;
	} SAME[] = {
		{"bigint", "BIGINT"},           {"int", "INTEGER"},   {"smallint", "SMALLINT"},
		{"tinyint", "TINYINT"},         {"double", "DOUBLE"}, {"float", "FLOAT"},
		{"boolean", "BOOLEAN"},         {"date", "DATE"},     {"timestamp", "TIMESTAMP"},
		{"timestamp_ntz", "TIMESTAMP"},
	};
	snprintf(column->type, sizeof(column->type), "VARCHAR");
	for (size_t i = 0; i < sizeof(SAME) / sizeof(SAME[0]); i++)
		if (slice_is(type, SAME[i].spark))
			snprintf(column->type, sizeof(column->type), "%s", SAME[i].ours);
	if (type.len > 8 && type.len < TYPE_BYTES && memcmp(type.data, "decimal(", 8) == 0)
		snprintf(column->type, sizeof(column->type), "DECIMAL%.*s", (int)type.len - 7, type.data + 7);
}

/* How long the type is that begins the text: to a comma or the end that is in no brackets. */
static size_t type_length(struct slice text)
{
	unsigned depth = 0;
	size_t i = 0;
	for (; i < text.len; i++) {
		if (depth == 0 && (text.data[i] == ',' || text.data[i] == '>'))
			break;
		depth += text.data[i] == '<' || text.data[i] == '(';
		depth -= depth && (text.data[i] == '>' || text.data[i] == ')');
	}
	return i;
}

/* "struct<a:int,b:string>" of the columns whose names are known. */
static void read_types(struct asking *asking, struct slice types)
{
	static const char BEGIN[] = "struct<";
	struct slice rest = types;
	for (unsigned i = 0; i < asking->n_columns; i++)
		take_type(&asking->columns[i], SLICE(""));
	if (rest.len < strlen(BEGIN) || memcmp(rest.data, BEGIN, strlen(BEGIN)) != 0)
		return;
	rest = (struct slice){rest.data + strlen(BEGIN), rest.len - strlen(BEGIN)};
	for (unsigned i = 0; i < asking->n_columns; i++) {
		const char *const name = asking->columns[i].name;
		const size_t quote = rest.len && rest.data[0] == '`' && name[0] != '`' ? 1 : 0;
		const size_t skipped = strlen(name) + 2 * quote + 1;
		/* Another spelling of the name: what follows is text, which everything can be. */
		if (rest.len < skipped || memcmp(rest.data + quote, name, strlen(name)) != 0 ||
		    rest.data[skipped - 1] != ':')
			return;
		rest = (struct slice){rest.data + skipped, rest.len - skipped};
		const size_t len = type_length(rest);
		take_type(&asking->columns[i], (struct slice){rest.data, len});
		const size_t next = len < rest.len ? len + 1 : len;
		rest = (struct slice){rest.data + next, rest.len - next};
	}
}

/* {"names":"{\"a\":null,…}","types":"struct<a:int,…>"} */
static int read_head(struct asking *asking, struct slice json, struct error *err)
{
	_cleanup_buf_ struct buf names = {0};
	_cleanup_buf_ struct buf types = {0};
	if (!spark_json_get(json, "names", &names) || !spark_json_get(json, "types", &types))
		return error_set(err, ERROR_CORRUPT, "Spark does not tell the columns of the result");
	struct slice rest = {names.data, names.len};
	struct slice key;
	struct slice value;
	while (next_member(&rest, &key, &value)) {
		_cleanup_buf_ struct buf name = {0};
		if (asking->n_columns > QUERY_CLUSTER_COLUMNS_MAX)
			return error_set(err, ERROR_LIMIT, "the result has more than %u columns: name those you want",
					 QUERY_CLUSTER_COLUMNS_MAX);
		if (append_text(key, &name) < 0 || !buf_text(&name))
			return error_no_memory(err, key.len);
		asking->columns[asking->n_columns].name = slice_dup((struct slice){name.data, name.len});
		if (!asking->columns[asking->n_columns].name)
			return error_no_memory(err, name.len);
		asking->n_columns++;
	}
	if (asking->n_columns < 2)
		return error_set(err, ERROR_CORRUPT, "Spark does not tell the columns of the result");
	read_types(asking, (struct slice){types.data, types.len});
	asking->has_head = true;
	return 0;
}

static int take_row(void *context, unsigned statement, struct slice json, struct error *err)
{
	struct asking *const asking = context;
	if (statement == asking->head)
		return asking->has_head ? 0 : read_head(asking, json, err);
	if (fwrite(json.data, 1, json.len, asking->rows) != json.len || fputc('\n', asking->rows) == EOF)
		return error_errno(err, errno, "cannot keep the rows of the result in TMPDIR");
	return 0;
}

/* --- asking Spark ----------------------------------------------------------------------------------------------------------- */

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

static int ask_spark(const struct deployment *deployment, struct spark_script *script, struct slice sql,
		     struct asking *asking, struct error *err)
{
	/* One row, whatever the query gives: all its columns, NULL, and one more. */
	static const char HEAD_BEFORE[] = "SELECT to_json(struct(*), map('ignoreNullFields', 'false')) AS names, "
					  "typeof(struct(*)) AS types FROM (SELECT * FROM (";
	static const char HEAD_AFTER[] = ") AS punchcard_query LIMIT 0) AS punchcard_none RIGHT JOIN (SELECT 1 AS "
					 "punchcard_one) AS punchcard_row ON true";
	struct cluster_session session = {0};
	int rc = cluster_session_open(deployment, "sql", &session, err);
	if (rc == 0)
		rc = cluster_session_cut(&session, err);
	if (rc == 0)
		rc = cluster_tables_add(script, &session.tables, err);
	if (rc == 0)
		rc = add_view(script, &session, err);
	if (rc == 0)
		rc = spark_script_add_query(script, "query", sql, HEAD_BEFORE, HEAD_AFTER, err);
	if (rc == 0)
		rc = spark_script_add_query(script, "query", sql, "SELECT * FROM (", ") AS punchcard_query", err);
	if (rc == 0) {
		asking->head = spark_script_count(script) - 2;
		session.spark.row = take_row;
		session.spark.context = asking;
		rc = spark_run(&session.spark, script, err);
	}
	cluster_session_close(&session);
	if (rc == 0 && !asking->has_head)
		rc = error_set(err, ERROR_CORRUPT, "Spark does not tell the columns of the result");
	return rc;
}

/* --- printing --------------------------------------------------------------------------------------------------------------- */

struct reading {
	struct asking *asking;
	char *line;
	size_t size;
	struct buf text;
};

static int start_rows(void *context, void **state, struct error *err)
{
	struct asking *const asking = context;
	(void)err;
	rewind(asking->rows);
	*state = NULL;
	return 0;
}

static int fill_row(struct reading *reading, struct slice json, struct engine_batch *batch, uint32_t row,
		    struct error *err)
{
	struct slice rest = json;
	struct slice key;
	struct slice value;
	for (unsigned i = 0; i + 1 < reading->asking->n_columns; i++) {
		if (!next_member(&rest, &key, &value))
			return error_set(err, ERROR_CORRUPT, "a row of Spark's has fewer columns than the result");
		if (slice_is(value, "null")) {
			engine_batch_null(batch, i, row);
			continue;
		}
		buf_clear(&reading->text);
		if (append_text(value, &reading->text) < 0)
			return error_no_memory(err, value.len);
		engine_batch_text(batch, i, row, (struct slice){reading->text.data, reading->text.len});
	}
	return 0;
}

static int fill_rows(void *context, void *state, struct engine_batch *batch, uint32_t *rows, struct error *err)
{
	struct reading reading = {.asking = context};
	int rc = 0;
	(void)state;
	*rows = 0;
	while (rc == 0 && *rows < ENGINE_BATCH_ROWS) {
		const ssize_t len = getline(&reading.line, &reading.size, reading.asking->rows);
		if (len <= 0)
			break;
		rc = fill_row(&reading, (struct slice){reading.line, (size_t)len - 1}, batch, *rows, err);
		*rows += rc == 0;
	}
	if (rc == 0 && ferror(reading.asking->rows))
		rc = error_errno(err, errno, "cannot read the rows of the result");
	free(reading.line);
	buf_release(&reading.text);
	return rc;
}

/* A view of the rows, with the names and types that they have. */
static int select_columns(const struct asking *asking, struct buf *sql)
{
	int rc = buf_append_text(sql, "CREATE VIEW punchcard_result AS SELECT ");
	for (unsigned i = 0; rc == 0 && i + 1 < asking->n_columns; i++) {
		rc = buf_printf(sql, "%sCAST(c%u AS %s) AS ", i ? ", " : "", i, asking->columns[i].type);
		if (rc == 0)
			rc = engine_quote_name(sql, asking->columns[i].name);
	}
	return rc < 0 ? rc : buf_append_text(sql, " FROM punchcard_rows()");
}

static int print_rows(const struct deployment *deployment, struct asking *asking, const struct query_options *options,
		      struct error *err)
{
	const struct engine_options engine_options = {.memory_mib = deployment->config->engine_memory_mib,
						      .threads = 1};
	char names[QUERY_CLUSTER_COLUMNS_MAX][8];
	struct engine_column columns[QUERY_CLUSTER_COLUMNS_MAX];
	struct engine *engine = NULL;
	struct engine_result *result = NULL;
	_cleanup_buf_ struct buf sql = {0};
	bool printed = false;
	for (unsigned i = 0; i + 1 < asking->n_columns; i++) {
		snprintf(names[i], sizeof(names[i]), "c%u", i);
		columns[i] = (struct engine_column){names[i], ENGINE_VARCHAR};
	}
	const struct engine_source source = {.name = "punchcard_rows",
					     .columns = columns,
					     .n_columns = asking->n_columns - 1,
					     .start = start_rows,
					     .fill = fill_rows,
					     .context = asking};
	if (select_columns(asking, &sql) < 0 || !buf_text(&sql))
		return error_no_memory(err, sql.len);
	int rc = engine_open(&engine_options, &engine, err);
	if (rc == 0)
		rc = engine_register_source(engine, &source, err);
	if (rc == 0)
		rc = engine_run(engine, sql.data, err);
	if (rc == 0)
		rc = engine_query(engine, SLICE("SELECT * FROM punchcard_result"), 1, &result, err);
	if (rc == 0)
		rc = table_print(result, options->format, options->out, &printed, err);
	engine_result_close(result);
	engine_close(engine);
	return rc;
}

static void list_tables(struct error *err)
{
	const struct error old = *err;
	if (strstr(old.message, "table or view") && strstr(old.message, "cannot be found"))
		error_set(err, old.code,
			  "%.1800s\nTables: transactions_cln, customers_cln, ledger, balances, loyalty, account_state",
			  old.message);
}

static FILE *open_unnamed(struct error *err)
{
	const char *const tmp = getenv("TMPDIR");
	_cleanup_free_ char *path = text_printf("%s/punchcard-rows-XXXXXX", tmp && *tmp ? tmp : "/var/tmp");
	const int fd = path ? mkostemp(path, O_CLOEXEC) : -1;
	FILE *const file = fd >= 0 ? fdopen(fd, "w+") : NULL;
	if (fd >= 0)
		unlink(path);
	if (!file) {
		error_errno(err, errno, "cannot make a file in TMPDIR for the rows of the result");
		if (fd >= 0)
			close(fd);
	}
	return file;
}

int query_cluster_run(const struct deployment *deployment, struct slice sql, const struct query_options *options,
		      struct error *err)
{
	struct error local = {0};
	struct asking asking = {.rows = open_unnamed(&local)};
	struct spark_script *const script = spark_script_new();
	int rc = !script ? error_no_memory(&local, sizeof(asking)) : asking.rows ? 0 : local.code;
	watch_all_engines(options->watch);
	if (rc == 0)
		rc = ask_spark(deployment, script, sql, &asking, &local);
	if (rc == ERROR_SQL)
		list_tables(&local);
	if (rc < 0)
		error_set(err, rc, "%s", local.message);
	if (rc == 0 && fflush(asking.rows) != 0)
		rc = error_errno(err, errno, "cannot keep the rows of the result in TMPDIR");
	if (rc == 0)
		rc = print_rows(deployment, &asking, options, err);
	for (unsigned i = 0; i < asking.n_columns; i++)
		free(asking.columns[i].name);
	if (asking.rows)
		fclose(asking.rows);
	spark_script_free(script);
	return rc;
}
