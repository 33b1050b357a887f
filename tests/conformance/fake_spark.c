/*
 * Takes spark-sql's place in tests without Java: it reads the script that engine/spark.c writes, runs its statements by DuckDB, and tells rows
 * and errors in Spark's form. SQL that means the same to both is what it can be given.
 *
 *     fake_spark … -f SCRIPT
 *
 * FAKE_SPARK_FAILS: start (it does not), dies (in the query), half (of the last row, and a good end), glued (the last mark behind half a row),
 * lost (all was said, and a bad end), no-head, hangs.
 */
#include "base/file.h"
#include "engine/lex.h"
#include "engine/result.h"
#include "engine/spark_internal.h"
#include "engine/sql_driver.h"

#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct engine *engine;
static struct error err;
static const char *fails = "";

static bool starts(struct slice text, const char *with)
{
	return text.len >= strlen(with) && memcmp(text.data, with, strlen(with)) == 0;
}

/* What stands between the two. */
static bool between(struct slice text, const char *before, const char *after, struct slice *inner)
{
	const size_t head = strlen(before);
	const size_t tail = strlen(after);
	if (text.len < head + tail || !starts(text, before) || memcmp(text.data + text.len - tail, after, tail) != 0)
		return false;
	*inner = (struct slice){text.data + head, text.len - head - tail};
	return true;
}

/* In Spark's JSON: `at` is where the text stands that the engine was given, in the statement, from 0. */
static int complain(struct slice text, size_t at)
{
	struct json json;
	unsigned line = 1;
	const char *const hint = strstr(err.message, "LINE ");
	const char *const caret = hint ? strrchr(hint, '^') : NULL;
	const char *row = caret;
	size_t place = 0;
	while (row && row > hint && row[-1] != '\n')
		row--;
	if (hint && caret && sscanf(hint, "LINE %u:", &line) == 1) {
		for (unsigned n = 1; n < line && place < text.len; place++)
			n += text.data[place] == '\n';
		place += (size_t)(caret - row) - (size_t)snprintf(NULL, 0, "LINE %u: ", line);
	}
	_cleanup_buf_ struct buf out = {0};
	json_to_buf(&json, &out);
	_cleanup_free_ char *what = slice_dup((struct slice){err.message, strcspn(err.message, "\n")});
	json_text(&json, what);
	(void)json_finish(&json, NULL);
	fprintf(stderr,
		"{\n  \"errorClass\" : \"FAKE\",\n  \"messageTemplate\" : \"<what>\",\n  \"messageParameters\" : {\n   "
		" "
		"\"what\" : %.*s\n  },\n  \"queryContext\" : [ {\n    \"objectType\" : \"\",\n    \"startIndex\" : "
		"%zu\n  } ]\n}\n",
		(int)out.len, out.data, hint ? at + place + 1 : 1);
	return 1;
}

static int print_rows(struct slice query)
{
	struct engine_result *result = NULL;
	uint32_t rows = 0;
	int rc = engine_query(engine, query, 1, &result, &err);
	while (rc == 0 && (rc = engine_result_next(result, &rows, &err)) == 0 && rows > 0)
		for (uint32_t row = 0; row < rows; row++) {
			_cleanup_buf_ struct buf out = {0};
			struct json json;
			json_to_buf(&json, &out);
			json_object(&json);
			for (unsigned i = 0; i < engine_result_columns(result); i++) {
				json_key(&json, engine_result_name(result, i));
				engine_result_json(result, i, row, &json);
			}
			json_end_object(&json);
			(void)json_finish(&json, NULL);
			const bool half = strcmp(fails, "half") == 0 || strcmp(fails, "glued") == 0;
			fwrite(out.data, 1, half ? out.len / 2 : out.len, stdout);
			if (strcmp(fails, "half") == 0) {
				fflush(stdout);
				_exit(0);
			}
			if (!half)
				putchar('\n');
		}
	engine_result_close(result);
	return rc;
}

/* "DECIMAL(18,2)" as Spark has it. */
static void append_type(struct buf *out, const char *type)
{
	const char *const name = strcmp(type, "VARCHAR") == 0 ? "STRING" : strcmp(type, "INTEGER") == 0 ? "INT" : type;
	for (const char *p = name; *p; p++)
		buf_printf(out, "%c", tolower((unsigned char)*p));
}

static int print_head(struct slice query)
{
	_cleanup_buf_ struct buf sql = {0};
	_cleanup_buf_ struct buf names = {0};
	_cleanup_buf_ struct buf types = {0};
	struct engine_result *result = NULL;
	uint32_t rows = 0;
	buf_printf(&sql, "DESCRIBE %.*s", (int)query.len, query.data);
	int rc = engine_query(engine, (struct slice){sql.data, sql.len}, 1, &result, &err);
	while (rc == 0 && (rc = engine_result_next(result, &rows, &err)) == 0 && rows > 0)
		for (uint32_t row = 0; row < rows; row++) {
			_cleanup_buf_ struct buf name = {0};
			_cleanup_buf_ struct buf type = {0};
			engine_result_text(result, 0, row, &name);
			engine_result_text(result, 1, row, &type);
			buf_printf(&names, "\\\"%s\\\":null,", buf_text(&name));
			buf_printf(&types, "%s:", buf_text(&name));
			append_type(&types, buf_text(&type));
			buf_append_text(&types, ",");
		}
	engine_result_close(result);
	if (rc == 0 && strcmp(fails, "no-head") != 0)
		printf("{\"names\":\"{%s\\\"punchcard_one\\\":null}\",\"types\":\"struct<%spunchcard_one:int>\"}\n",
		       buf_text(&names), buf_text(&types));
	return rc;
}

static int run_statement(struct slice statement)
{
	struct slice rows;
	struct slice inner;
	if (starts(statement, "SELECT '" SPARK_MARK)) {
		printf("%.*s\n", (int)(strcspn(statement.data + 8, "'")), statement.data + 8);
		fflush(stdout);
		return 0;
	}
	if (!between(statement, SPARK_ROWS_BEFORE, SPARK_ROWS_AFTER, &rows)) {
		_cleanup_buf_ struct buf text = {0};
		buf_append(&text, statement.data, statement.len);
		return engine_run(engine, buf_text(&text), &err) < 0 ? complain(statement, 0) : 0;
	}
	const bool head = between(rows, SQL_SPARK_HEAD_BEFORE, SQL_SPARK_HEAD_AFTER, &inner);
	if (!head && !between(rows, SQL_SPARK_QUERY_BEFORE, SQL_SPARK_QUERY_AFTER, &inner))
		inner = rows;
	if (!head && strcmp(fails, "dies") == 0)
		raise(SIGKILL);
	const int rc = head ? print_head(inner) : print_rows(inner);
	return rc < 0 ? complain(inner, (size_t)(inner.data - statement.data)) : 0;
}

int main(int argc, char **argv)
{
	_cleanup_buf_ struct buf script = {0};
	const char *path = NULL;
	if (getenv("FAKE_SPARK_FAILS"))
		fails = getenv("FAKE_SPARK_FAILS");
	for (int i = 1; i + 1 < argc; i++)
		if (strcmp(argv[i], "-f") == 0)
			path = argv[i + 1];
	if (!path || file_read_all(path, SIZE_MAX, &script, &err) < 0 ||
	    engine_open(&(struct engine_options){.memory_mib = 256, .threads = 1}, &engine, &err) < 0) {
		fprintf(stderr, "fake_spark: %s\n", err.message);
		return 1;
	}
	if (strcmp(fails, "start") == 0) {
		fputs("Exception in thread \"main\" java.lang.IllegalStateException: no master\n", stderr);
		return 1;
	}
	while (strcmp(fails, "hangs") == 0)
		sleep(1);
	struct slice rest = {script.data, script.len};
	struct slice statement;
	int code = 0;
	while (code == 0 && sql_next_statement(&rest, &statement))
		code = run_statement(statement);
	engine_close(engine);
	if (strcmp(fails, "lost") == 0)
		code = 1;
	return code;
}
