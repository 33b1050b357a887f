/* The driver of Spark, with a shell script in its place: what it is told, and what is made of what it says. */
#include "base/file.h"
#include "engine/spark.h"
#include "engine/spark_json.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct bench {
	char dir[64];
	char *command;
	struct buf rows;
	unsigned asked; /* how often progress was told */
	unsigned told;  /* bits of the statements of which it was */
	unsigned stop_after;
	struct spark_progress progress;
};

static int set_up(void **state)
{
	struct bench *const bench = calloc(1, sizeof(*bench));
	assert_non_null(bench);
	snprintf(bench->dir, sizeof(bench->dir), "/tmp/punchcard-spark-XXXXXX");
	assert_non_null(mkdtemp(bench->dir));
	bench->command = text_printf("%s/spark-sql", bench->dir);
	*state = bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *const bench = *state;
	struct error err;
	assert_int_equal(file_remove_tree(bench->dir, &err), 0);
	free(bench->command);
	buf_release(&bench->rows);
	free(bench);
	return 0;
}

static void write_text(const char *path, const char *text, mode_t mode)
{
	FILE *const file = fopen(path, "we");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static int take_row(void *context, unsigned statement, struct slice json, struct error *err)
{
	struct bench *const bench = context;
	if (slice_is(json, "{refuse}"))
		return error_set(err, ERROR_CORRUPT, "refused");
	assert_int_equal(buf_printf(&bench->rows, "%u:%.*s;", statement, (int)json.len, json.data), 0);
	return 0;
}

static bool tell(void *context, const struct spark_progress *progress)
{
	struct bench *const bench = context;
	bench->progress = *progress;
	if (strcmp(progress->what, "starting Spark") != 0)
		bench->told |= 1u << progress->statement;
	return !bench->stop_after || ++bench->asked < bench->stop_after;
}

/* Runs the script with `body` as Spark. */
static int run(struct bench *bench, const char *body, const struct spark_script *script, struct error *err)
{
	static const struct spark_setting SETTINGS[] = {{"spark.driver.memory", "3g"}, {"spark.x", "a\\b"}};
	static const char *const FILES[] = {"/one", "/two"};
	_cleanup_free_ char *text = text_printf("#!/bin/sh\n%s\n", body);
	write_text(bench->command, text, 0700);
	const struct spark_options options = {
		.command = bench->command,
		.master = "local[2]",
		.settings = SETTINGS,
		.n_settings = 2,
		.files = FILES,
		.n_files = 2,
		.hadoop_user = "keeper",
		.tmp_dir = bench->dir,
		.row = take_row,
		.progress = tell,
		.context = bench,
	};
	buf_clear(&bench->rows);
	*err = (struct error){0};
	return spark_run(&options, script, err);
}

static struct spark_script *make_script(const char *const *statements)
{
	struct spark_script *const script = spark_script_new();
	struct error err;
	assert_non_null(script);
	for (; *statements; statements++)
		assert_int_equal(spark_script_add(script, "a thing", *statements, &err), 0);
	return script;
}

static void test_what_it_is_told(void **state)
{
	struct bench *const bench = *state;
	struct spark_script *const script = make_script((const char *const[]){"SELECT 'ä'", NULL});
	struct error err;
	setenv("LC_ALL", "C", 1);
	setenv("HADOOP_USER_NAME", "somebody", 1);
	assert_int_equal(spark_script_add_rows(script, "rows", "SELECT 1 AS a", &err), 0);
	const int rc = run(
		bench,
		"exec 9>'../told'; echo \"$*\" >&9; cat \"$3\" \"$9\" >&9; pwd >&9; echo \"$LC_ALL $HADOOP_USER_NAME\" "
		">&9\n"
		"[ -z \"$(cat)\" ] || exit 7\n"
		"ls /proc/self/fd | wc -l >&9\n"
		"echo 'punchcard-statement 0'; echo 'a row of nobody'; echo 'punchcard-statement 1'\n"
		"echo 'CodeCache: size=49152Kb'; echo; echo '{\"a\":1}'; echo 'punchcard-statement 2'\n"
		"printf '\\r[Stage 3:====>    (5 + 2) / 20]\\r   \\n' >&2",
		script, &err);
	assert_int_equal(rc, 0);
	assert_string_equal(buf_text(&bench->rows), "1:{\"a\":1};");
	_cleanup_buf_ struct buf told = {0};
	_cleanup_free_ char *path = text_printf("%s/told", bench->dir);
	assert_int_equal(file_read_all(path, 100000, &told, &err), 0);
	const char *const text = buf_text(&told);
	assert_non_null(strstr(text, "--load-spark-defaults --properties-file "));
	assert_non_null(strstr(text, "--master local[2] --files /one,/two -f "));
	assert_non_null(strstr(text, "\nspark.driver.memory 3g\nspark.x a\\\\b\n"));
	assert_non_null(strstr(text, "\nspark.sql.session.timeZone UTC\n"));
	assert_non_null(strstr(text, "\nspark.sql.error.messageFormat STANDARD\n"));
	assert_non_null(
		strstr(text, "SELECT 'punchcard-statement 0';\nSELECT 'ä';\nSELECT 'punchcard-statement 1';\n"));
	assert_non_null(strstr(text, "\n);\nSELECT 'punchcard-statement 2';\n"));
	assert_non_null(strstr(text, "'ignoreNullFields', 'false'"));
	assert_non_null(strstr(text, "/spark-"));
	assert_non_null(strstr(text, "\nC.UTF-8 keeper\n"));
	/* Of the private directory nothing is left. */
	DIR *const left = opendir(bench->dir);
	assert_non_null(left);
	for (const struct dirent *entry; (entry = readdir(left));)
		assert_true(strcmp(entry->d_name, "spark-sql") == 0 ||
			    strncmp(entry->d_name, "spark-", strlen("spark-")) != 0);
	closedir(left);
	spark_script_free(script);
}

static void test_settings_of_ours(void **state)
{
	struct bench *const bench = *state;
	struct error err = {0};
	struct spark_script *const script = spark_script_new();
	assert_non_null(script);
	const struct spark_setting setting = {"spark.sql.session.timeZone", "CET"};
	const struct spark_options options = {
		.command = "never-started", .settings = &setting, .n_settings = 1, .tmp_dir = bench->dir};
	assert_int_equal(spark_run(&options, script, &err), ERROR_CONFIG);
	assert_non_null(strstr(err.message, "spark.sql.session.timeZone is UTC"));
	spark_script_free(script);
}

static void test_progress(void **state)
{
	struct bench *const bench = *state;
	struct spark_script *const script = make_script((const char *const[]){"A", "B", NULL});
	struct error err;
	const int rc = run(
		bench,
		"echo 'punchcard-statement 0'; echo 'punchcard-statement 1'\n"
		"printf '\\r[Stage 3:====>    (5 + 2) / 20]' >&2; printf '\\r[Stage 3:=====>   (6 + 2) / 20]\\r' >&2\n"
		"sleep 0.6; echo 'punchcard-statement 2'",
		script, &err);
	assert_int_equal(rc, 0);
	assert_int_equal(bench->told, 1u << 0 | 1u << 1);
	assert_int_equal(bench->progress.statement, 1);
	assert_int_equal(bench->progress.statements, 2);
	assert_string_equal(bench->progress.what, "a thing");
	assert_int_equal(bench->progress.stage, 3);
	assert_int_equal(bench->progress.tasks_done, 6);
	assert_int_equal(bench->progress.tasks, 20);
	spark_script_free(script);
}

/* Comments and line ends before the place; a character that is two of Java's. */
static const char MODEL[] = "-- it's a model; really\nSELECT '😀',\n  /* a; comment */ nowhere AS x\nFROM t;\n";

static void test_error_of_a_model(void **state)
{
	struct bench *const bench = *state;
	struct spark_script *const script = make_script((const char *const[]){"A", NULL});
	struct error err;
	_cleanup_free_ char *path = text_printf("%s/m.sql", bench->dir);
	write_text(path, MODEL, 0600);
	assert_int_equal(
		spark_script_add_model(script, bench->dir, "m", "INSERT INTO y\nSELECT * FROM (", ") AS z", &err), 0);
	_cleanup_buf_ struct buf text = {0};
	assert_int_equal(spark_script_text(script, &text), 0);
	/* Nothing of the comments is left, and each line is in its place. */
	assert_non_null(
		strstr(buf_text(&text),
		       "\nSELECT * FROM (\n                       \nSELECT '😀',\n                   nowhere AS x\n"
		       "FROM t \n\n) AS z;\n"));
	/* "INSERT INTO y\nSELECT * FROM (\n" are 30 characters, the comment's line 24, "SELECT '😀',\n" 13 of Java's,
	 * and 19 stand before it. */
	int rc = run(bench,
		     "echo 'punchcard-statement 0'; echo 'punchcard-statement 1'\n"
		     "echo 'Time taken: 1.2 seconds' >&2\n"
		     "printf '{\\n  \"errorClass\" : \"UNRESOLVED_COLUMN\",\\n  \"messageTemplate\" : \"A column "
		     "<objectName> cannot be "
		     "\\\\\"resolved\\\\\", <other>.\",\\n  \"messageParameters\" : {\\n    \"objectName\" : "
		     "\"`n\\\\u00e4`\"\\n  },\\n  "
		     "\"queryContext\" : [ {\\n    \"objectType\" : \"\",\\n    \"startIndex\" : 87,\\n    "
		     "\"stopIndex\" : 93\\n  } ]\\n}\\n' "
		     ">&2; exit 1",
		     script, &err);
	assert_int_equal(rc, ERROR_SQL);
	_cleanup_free_ char *expected = text_printf("%s/m.sql:3: A column `nä` cannot be \"resolved\", <other>.\n"
						    "      /* a; comment */ nowhere AS x\n"
						    "                       ^",
						    bench->dir);
	assert_string_equal(err.message, expected);
	/* In the text of a view that is cached, which begins with the model's first word; or of another one, which is not the model. */
	for (int i = 0; i < 2; i++) {
		_cleanup_free_ char *said = text_printf("echo 'punchcard-statement 1'\n"
							"printf '{\\n  \"errorClass\" : \"X\",\\n  \"messageTemplate\" "
							": \"No.\",\\n  \"queryContext\" : [ "
							"{\\n    \"objectType\" : \"VIEW\",\\n    \"objectName\" : "
							"\"v\",\\n    \"startIndex\" : 33,\\n    "
							"\"fragment\" : \"%s\"\\n  } ]\\n}\\n' >&2; exit 1",
							i ? "elsewhere" : "nowhere");
		assert_int_equal(run(bench, said, script, &err), ERROR_SQL);
		_cleanup_free_ char *where = text_printf("%s/m.sql%s: No.", bench->dir, i ? "" : ":3");
		assert_memory_equal(err.message, where, strlen(where));
	}
	/* Of our own part of the statement, or of none: the file at least. */
	rc = run(bench,
		 "echo 'punchcard-statement 1'\n"
		 "printf '{\\n  \"errorClass\" : \"X\",\\n  \"messageTemplate\" : \"No.\",\\n  \"queryContext\" : [ "
		 "{\\n    "
		 "\"objectType\" : \"\",\\n    \"startIndex\" : 3\\n  } ]\\n}\\n' >&2; exit 1",
		 script, &err);
	assert_int_equal(rc, ERROR_SQL);
	_cleanup_free_ char *whole = text_printf("%s/m.sql: No.", bench->dir);
	assert_string_equal(err.message, whole);
	/* A syntax error has no place, only a word: one that is there once, or not. */
	rc = run(bench,
		 "echo 'punchcard-statement 1'\n"
		 "printf '{\\n  \"errorClass\" : \"PARSE_SYNTAX_ERROR\",\\n  \"messageTemplate\" : \"Syntax error at "
		 "or near "
		 "<error><hint>.\",\\n  \"messageParameters\" : {\\n    \"error\" : \"'\"'\"'nowhere'\"'\"'\",\\n    "
		 "\"hint\" : "
		 "\"\"\\n  }\\n}\\n' >&2; exit 1",
		 script, &err);
	assert_int_equal(rc, ERROR_SQL);
	_cleanup_free_ char *word = text_printf("%s/m.sql:3: Syntax error at or near 'nowhere'.\n", bench->dir);
	assert_non_null(strstr(err.message, word));
	rc = run(bench,
		 "echo 'punchcard-statement 1'\n"
		 "printf '{\\n  \"errorClass\" : \"PARSE_SYNTAX_ERROR\",\\n  \"messageTemplate\" : \"Near "
		 "<error>.\",\\n  \"messageParameters\" : {\\n    \"error\" : \"'\"'\"'FROM'\"'\"'\"\\n  }\\n}\\n' "
		 ">&2; exit 1",
		 script, &err);
	assert_int_equal(rc, ERROR_SQL);
	_cleanup_free_ char *no_word = text_printf("%s/m.sql: Near 'FROM'.", bench->dir);
	assert_string_equal(err.message, no_word);
	spark_script_free(script);
}

static void test_models_that_are_none(void **state)
{
	struct bench *const bench = *state;
	struct spark_script *const script = spark_script_new();
	struct error err;
	_cleanup_free_ char *path = text_printf("%s/m.sql", bench->dir);
	assert_int_equal(spark_script_add_model(script, bench->dir, "m", "", "", &err), ERROR_NOT_FOUND);
	write_text(path, "SELECT 1; SELECT 2", 0600);
	assert_int_equal(spark_script_add_model(script, bench->dir, "m", "", "", &err), ERROR_SQL);
	write_text(path, "-- nothing\n;", 0600);
	assert_int_equal(spark_script_add_model(script, bench->dir, "m", "", "", &err), ERROR_SQL);
	write_text(path, "", 0600);
	assert_int_equal(spark_script_add_model(script, bench->dir, "m", "", "", &err), ERROR_SQL);
	spark_script_free(script);
}

static void expect_failure(struct bench *bench, const char *body, int code, const char *words)
{
	struct spark_script *const script = make_script((const char *const[]){"A", "B", NULL});
	struct error err;
	assert_int_equal(run(bench, body, script, &err), code);
	if (!strstr(err.message, words))
		fail_msg("'%s' is not in '%s'", words, err.message);
	spark_script_free(script);
}

static void test_failures(void **state)
{
	struct bench *const bench = *state;
	expect_failure(bench, "echo 'punchcard-statement 0'; exit 0", ERROR_SQL, "exit code 0 while: a thing");
	/* Half a row, and a good end: it has not told all. */
	expect_failure(bench, "echo 'punchcard-statement 1'; printf '{\"a\":'; exit 0", ERROR_SQL,
		       "exit code 0 while: a thing");
	expect_failure(bench, "echo 'punchcard-statement 1'; printf '{\"a\":'; echo 'punchcard-statement 2'", ERROR_SQL,
		       "exit code 0 while: a thing");
	expect_failure(bench, "echo 'Exception in thread \"main\" java.lang.X: no master' >&2; exit 1", ERROR_SQL,
		       "exit code 1: Exception in thread \"main\" java.lang.X: no master");
	expect_failure(bench, "echo 'java.io.IOException: No space left on device' >&2; exit 1", ERROR_NO_SPACE,
		       "No space left");
	expect_failure(bench, "echo 'java.lang.OutOfMemoryError: Java heap space' >&2; exit 1", ERROR_NO_MEMORY,
		       "exit code 1");
	expect_failure(bench, "echo 'Caused by: ERROR XSDB6: Another instance of Derby' >&2; exit 1", ERROR_LOCKED,
		       "metastore");
	expect_failure(bench, "exec /nowhere/java 2>&1", ERROR_NOT_FOUND, "did not find");
	expect_failure(bench, "echo 'punchcard-statement 1'; kill -9 $$", ERROR_SQL, "signal 9 while: a thing");
	expect_failure(bench,
		       "echo 'punchcard-statement 1'; printf '{\\n  \"errorClass\" : \"USER_RAISED_EXCEPTION\",\\n  "
		       "\"messageTemplate\" : \"<errorMessage>\",\\n  \"messageParameters\" : {\\n    \"errorMessage\" "
		       ": \"punchcard: rows "
		       "were lost\"\\n  }\\n}\\n' >&2; exit 1",
		       ERROR_CORRUPT, "rows were lost");
	expect_failure(
		bench,
		"echo 'punchcard-statement 1'; printf '{\\n  \"errorClass\" : \"_LEGACY_ERROR_TEMP_2264\",\\n  "
		"\"messageTemplate\" : \"Subprocess exited with status <exitCode>. Error: <stderrBuffer>.\",\\n  "
		"\"messageParameters\" : {\\n    \"exitCode\" : \"1\",\\n    \"stderrBuffer\" : \"punchcard-fold: row "
		"7: is "
		"torn\\\\n\"\\n  }\\n}\\n' >&2; exit 1",
		ERROR_CORRUPT, "row 7: is torn");
	struct spark_script *const script = make_script((const char *const[]){"A", NULL});
	struct error err;
	assert_int_equal(spark_run(&(struct spark_options){.command = "/nowhere/spark-sql", .tmp_dir = bench->dir},
				   script, &err),
			 ERROR_NOT_FOUND);
	assert_non_null(strstr(err.message, "/nowhere/spark-sql"));
	spark_script_free(script);
}

static void test_interrupted(void **state)
{
	struct bench *const bench = *state;
	struct spark_script *const script = make_script((const char *const[]){"A", NULL});
	struct error err;
	bench->stop_after = 3;
	_cleanup_free_ char *path = text_printf("%s/cleaned", bench->dir);
	const int rc = run(bench,
			   "trap 'touch ../cleaned; exit 143' TERM; echo 'punchcard-statement 0'\n"
			   "while :; do sleep 0.05; done",
			   script, &err);
	assert_int_equal(rc, ERROR_INTERRUPTED);
	assert_true(file_exists(path));
	spark_script_free(script);
}

/* What a callback refuses ends the run. */
static void test_refused(void **state)
{
	struct bench *const bench = *state;
	struct spark_script *const script = spark_script_new();
	struct error err;
	assert_int_equal(spark_script_add_rows(script, "rows", "SELECT 1", &err), 0);
	const int rc = run(bench, "echo 'punchcard-statement 0'; echo '{refuse}'; exec sleep 60", script, &err);
	assert_int_equal(rc, ERROR_CORRUPT);
	assert_string_equal(err.message, "refused");
	spark_script_free(script);
}

static void test_json(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf out = {0};
	const struct slice json = SLICE(
		"{\"a\":1.50,\"b\":null,\"c\":\"x\\\"\\u00e4\\ud83d\\ude00\\n\",\"d\":{\"e\":[1,\"}\"]},\"f\" : -7 }");
	int64_t number;
	assert_true(spark_json_get(json, "a", &out));
	assert_string_equal(buf_text(&out), "1.50");
	assert_false(spark_json_get(json, "b", &out));
	assert_true(spark_json_get(json, "c", &out));
	assert_string_equal(buf_text(&out), "x\"ä😀\n");
	assert_true(spark_json_get(json, "d", &out));
	assert_string_equal(buf_text(&out), "{\"e\":[1,\"}\"]}");
	assert_true(spark_json_get_int(json, "f", &number));
	assert_int_equal(number, -7);
	assert_false(spark_json_get_int(json, "a", &number));
	assert_false(spark_json_get(json, "g", &out));
	static const char *const BROKEN[] = {
		"", "{", "{\"a", "{\"a\"", "{\"a\":", "{\"a\":\"x", "{\"a\":{", "[1", "{\"a\":\"\\u12\"}", "x"};
	for (size_t i = 0; i < sizeof(BROKEN) / sizeof(BROKEN[0]); i++)
		assert_false(spark_json_get(slice_of(BROKEN[i]), "a", &out));
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_what_it_is_told),  TEST(test_progress),
		TEST(test_error_of_a_model), TEST(test_models_that_are_none),
		TEST(test_failures),         TEST(test_interrupted),
		TEST(test_refused),          TEST(test_settings_of_ours),
		cmocka_unit_test(test_json),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
