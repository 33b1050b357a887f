/*
 * The driver of Spark: one start of it for each call. The query is asked twice, for its columns and for its rows, which come as JSON and
 * wait in a file until Spark has ended well: so a result is whole, or none.
 */
#include "engine/sql_driver.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TYPE_BYTES 64u

struct column {
	char *name;
	char type[TYPE_BYTES]; /* as the embedded engine calls it; "VARCHAR" for all that it has not */
};

struct asking {
	struct sql *sql;
	const struct sql_work *work;
	unsigned first;                                                         /* statement of the steps */
	bool (*progress)(void *context, const struct spark_progress *progress); /* that of attach, with … */
	void *progress_context;
	FILE *rows;    /* a JSON object a line */
	unsigned head; /* the statement that tells the columns; the next one gives the rows */
	bool has_head;
	struct column columns[SQL_SPARK_COLUMNS_MAX + 1]; /* and one that the head has behind them */
	unsigned n_columns;
};

/* ---- the JSON of a row, by place: two columns may have one name ---- */

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

/* ---- columns ---- */

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
		if (asking->n_columns > SQL_SPARK_COLUMNS_MAX)
			return error_set(err, ERROR_LIMIT, "the result has more than %u columns: name those you want",
					 SQL_SPARK_COLUMNS_MAX);
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

/* ---- asking ---- */

static int add_step(struct spark_script *script, const struct sql_step *step, struct error *err)
{
	return step->statement
		       ? spark_script_add(script, step->what, step->statement, err)
		       : spark_script_add_model(script, step->models_dir, step->model, step->before, step->after, err);
}

static int add_query(struct spark_script *script, struct slice query, struct error *err)
{
	/* One row, whatever the query gives: all its columns, NULL, and one more. */
	static const char HEAD_BEFORE[] = SQL_SPARK_HEAD_BEFORE;
	static const char HEAD_AFTER[] = SQL_SPARK_HEAD_AFTER;
	const int rc = spark_script_add_query(script, "query", query, HEAD_BEFORE, HEAD_AFTER, err);
	return rc < 0 ? rc
		      : spark_script_add_query(script, "query", query, SQL_SPARK_QUERY_BEFORE, SQL_SPARK_QUERY_AFTER,
					       err);
}

/* As each statement begins, some times a second, and while Spark starts. */
static bool tell(void *context, const struct spark_progress *spark)
{
	const struct asking *const asking = context;
	const struct sql_work *const work = asking->work;
	if (sql_check_stopped(asking->sql, NULL) < 0 ||
	    (asking->progress && !asking->progress(asking->progress_context, spark)))
		return false;
	/* The query's two statements are one step. */
	const unsigned steps = work->n_steps + (work->query.data ? 1 : 0);
	const unsigned step = spark->statement > asking->first ? spark->statement - asking->first : 0;
	const struct sql_progress progress = {.step = step < steps ? step
						      : steps      ? steps - 1
								   : 0,
					      .steps = steps,
					      .what = spark->what,
					      .tasks_done = spark->tasks_done,
					      .tasks = spark->tasks};
	return !work->progress || work->progress(work->context, &progress);
}

static int ask(struct asking *asking, struct spark_script *script, struct spark_options *spark, struct error *err)
{
	const struct sql_work *const work = asking->work;
	int rc = 0;
	asking->first = spark_script_count(script);
	for (unsigned i = 0; rc == 0 && i < work->n_steps; i++)
		rc = add_step(script, &work->steps[i], err);
	if (rc == 0 && work->query.data)
		rc = add_query(script, work->query, err);
	if (rc < 0)
		return rc;
	asking->head = work->query.data ? spark_script_count(script) - 2 : UINT_MAX;
	asking->progress = spark->progress;
	asking->progress_context = spark->context;
	spark->row = take_row;
	spark->progress = tell;
	spark->context = asking;
	rc = spark_run(spark, script, err);
	if (rc == 0 && work->query.data && !asking->has_head)
		rc = error_set(err, ERROR_CORRUPT, "Spark does not tell the columns of the result");
	return rc;
}

/* ---- the result ---- */

struct reading {
	const struct asking *asking;
	char *line;
	size_t size;
	struct buf text;
};

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
	return 1;
}

static int next_row(void *context, struct engine_batch *batch, uint32_t row, struct error *err)
{
	struct reading *const reading = context;
	const ssize_t len = getline(&reading->line, &reading->size, reading->asking->rows);
	if (len > 0)
		return fill_row(reading, (struct slice){reading->line, (size_t)len - 1}, batch, row, err);
	return ferror(reading->asking->rows) ? error_errno(err, errno, "cannot read the rows of the result") : 0;
}

static int give_result(const struct asking *asking, uint32_t memory_mib, struct error *err)
{
	const char *names[SQL_SPARK_COLUMNS_MAX];
	const char *types[SQL_SPARK_COLUMNS_MAX];
	struct reading reading = {.asking = asking};
	const struct sql_rows rows = {.names = names,
				      .types = types,
				      .n_columns = asking->n_columns - 1,
				      .next = next_row,
				      .context = &reading,
				      .memory_mib = memory_mib};
	for (unsigned i = 0; i < rows.n_columns; i++) {
		names[i] = asking->columns[i].name;
		types[i] = asking->columns[i].type;
	}
	rewind(asking->rows);
	const int rc = sql_give_rows(asking->sql, &rows, asking->work, err);
	free(reading.line);
	buf_release(&reading.text);
	return rc;
}

/* ---- the driver ---- */

struct sql_spark {
	struct sql sql;
	struct sql_spark_options options;
};

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

static int attach_and_ask(struct sql_spark *driver, struct asking *asking, struct error *err)
{
	struct spark_options spark = driver->options.spark;
	struct spark_script *const script = spark_script_new();
	int rc = script ? 0 : error_no_memory(err, sizeof(spark));
	if (rc == 0 && driver->options.attach)
		rc = driver->options.attach(driver->options.context, script, &spark, err);
	if (rc == 0)
		rc = ask(asking, script, &spark, err);
	if (script && driver->options.detach)
		driver->options.detach(driver->options.context);
	spark_script_free(script);
	return rc;
}

static int spark_driver_run(struct sql *sql, const struct sql_work *work, struct error *err)
{
	struct sql_spark *const driver = (struct sql_spark *)sql;
	struct error local = {0};
	struct asking asking = {.sql = sql, .work = work, .rows = open_unnamed(&local)};
	int rc = asking.rows ? attach_and_ask(driver, &asking, &local) : local.code;
	if (rc == 0 && fflush(asking.rows) != 0)
		rc = error_errno(&local, errno, "cannot keep the rows of the result in TMPDIR");
	if (rc == 0 && work->query.data)
		rc = give_result(&asking, driver->options.memory_mib, &local);
	for (unsigned i = 0; i < asking.n_columns; i++)
		free(asking.columns[i].name);
	if (asking.rows)
		fclose(asking.rows);
	return rc < 0 ? error_set(err, rc, "%s", local.message) : 0;
}

static void spark_driver_close(struct sql *sql)
{
	sql_destroy(sql);
	free(sql);
}

int sql_open_spark(const struct sql_spark_options *options, struct sql **out, struct error *err)
{
	static const struct sql_driver DRIVER = {.run = spark_driver_run, .close = spark_driver_close};
	struct sql_spark *const driver = calloc(1, sizeof(*driver));
	if (!driver)
		return error_no_memory(err, sizeof(*driver));
	sql_init(&driver->sql, &DRIVER);
	driver->options = *options;
	*out = &driver->sql;
	return 0;
}
