/* Models and the prelude. */
#include "base/file.h"
#include "engine/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct engine *engine;
static struct error err;
static char dir[64];

static int open_engine(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/punchcard-model-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	err = (struct error){0};
	return engine_open(&(struct engine_options){.memory_mib = 256, .threads = 1}, &engine, &err);
}

static int close_engine(void **state)
{
	(void)state;
	engine_close(engine);
	engine = NULL;
	return file_remove_tree(dir, &err);
}

static int run_model(const char *text)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/m.sql", dir);
	assert_int_equal(file_write_durable(path, text, strlen(text), &err), 0);
	err = (struct error){0};
	return engine_run_model(engine, dir, "m", "CREATE OR REPLACE TABLE t\nAS (", ")", &err);
}

static void expect_refusal(const char *text, const char *expected)
{
	assert_int_equal(run_model(text), ERROR_SQL);
	char full[512];
	snprintf(full, sizeof(full), "%s/m.sql%s", dir, expected);
	if (!strstr(err.message, full) || strstr(err.message, full) != err.message)
		print_message("%s\n", err.message);
	assert_memory_equal(err.message, full, strlen(full));
}

static void expect_result(const char *text, int64_t expected)
{
	const int rc = run_model(text);
	if (rc < 0)
		print_message("%s\n", err.message);
	assert_int_equal(rc, 0);
	int64_t value = 0;
	assert_int_equal(engine_run_int64(engine, "FROM t", &value, &err), 0);
	assert_int_equal(value, expected);
}

static void test_model_runs(void **state)
{
	(void)state;
	expect_result("SELECT 42 AS a", 42);
	expect_result("-- a comment\nSELECT 42 AS a -- and one at the end", 42);
	expect_result("SELECT 42 AS a;\n", 42);
	expect_result("SELECT 42 AS a ; ; -- done\n", 42);
	expect_result("SELECT length('a;b') AS a; /* ; /* nested ; */ ; */", 3);
	expect_result("SELECT length('it''s;') AS \"a;\"\"b\"", 5);
	expect_result("SELECT length($$a;b$$) + length($x$;$$;$x$) AS a", 7);
	expect_result("SELECT length(E'\\';') AS a", 2);
	expect_result("WITH x AS (SELECT 41 AS a) SELECT a + 1 AS a FROM x ORDER BY a;", 42);
	expect_result("SELECT epoch(timestamp_seconds(7))::BIGINT AS a", 7);
}

static void test_model_errors_name_the_line(void **state)
{
	(void)state;
	expect_refusal("SELECT 1 AS a,\n\n  FROM FROM x",
		       ":3: syntax error at or near \"FROM\"\n      FROM FROM x\n           ^");
	expect_refusal(
		"SELECT a,\n       b\nFROM (SELECT 1 AS a)",
		":2: Referenced column \"b\" not found in FROM clause!\nCandidate bindings: \"a\"\n           b\n "
		"          ^");
	expect_refusal("SELECT *\nFROM nowhere", ":2: Table with name nowhere does not exist!");
	expect_refusal("SELECT CAST(a AS INTEGER) AS a FROM (VALUES ('x')) v(a)",
		       ":1: Could not convert string 'x' to INT32");
	expect_refusal("SELECT error('boom') AS a", ": boom");
}

static void test_model_refused(void **state)
{
	(void)state;
	expect_refusal("", ": a model is one SELECT; here is none");
	expect_refusal("-- nothing\n;\n", ": a model is one SELECT; here is none");
	expect_refusal("SELECT 1; SELECT 2", ": a model is one SELECT; here are 2 statements");
	expect_refusal("SELECT 1); DROP TABLE t; SELECT (2", ":1: syntax error");
	expect_refusal("SELECT 'open", ":1: unterminated quoted string");
	expect_refusal("DROP TABLE t", ":1: syntax error");
	assert_int_equal(engine_run_model(engine, dir, "missing", "SELECT (", ")", &err), ERROR_NOT_FOUND);
	assert_non_null(strstr(err.message, "missing.sql"));
}

static void expect_true(const char *condition)
{
	_cleanup_free_ char *sql = text_printf("SELECT (%s)::INT", condition);
	int64_t value = 0;
	const int rc = engine_run_int64(engine, sql, &value, &err);
	if (rc < 0)
		print_message("%s: %s\n", condition, err.message);
	assert_int_equal(rc, 0);
	if (value != 1)
		fail_msg("not true: %s", condition);
}

/* The expected values are Spark's. */
static void test_prelude(void **state)
{
	(void)state;
	int64_t value = 0;
	assert_int_equal(engine_prelude(engine, "SELECT Date_Format(a, 'b')", &err), 0);
	expect_true("date_format(DATE '2020-07-06', 'yyyy') = '2020'");
	assert_int_equal(engine_run_int64(engine, "SELECT nvl(1, 2)", &value, &err), ERROR_SQL);
	assert_int_equal(engine_prelude(engine,
					"timestamp_seconds timestamp_millis timestamp_micros unix_timestamp nvl nvl2"
					" date_format to_date initcap add_months date_add date_sub months_between"
					" collect_list",
					&err),
			 0);
	assert_int_equal(engine_prelude(engine, "nvl", &err), 0);
	expect_true("timestamp_seconds(1593993600) = TIMESTAMP '2020-07-06 00:00:00'");
	expect_true("timestamp_seconds(1.5) = TIMESTAMP '1970-01-01 00:00:01.5'");
	expect_true("timestamp_millis(1500) = TIMESTAMP '1970-01-01 00:00:01.5'");
	expect_true("unix_timestamp(TIMESTAMP '2020-07-06 00:00:00.9') = 1593993600");
	expect_true("unix_timestamp(TIMESTAMP '1969-12-31 23:59:59.5') = -1");
	expect_true("unix_timestamp(DATE '1970-01-02') = 86400");
	expect_true("nvl(NULL, 3) = 3 AND nvl(2, 3) = 2 AND nvl2(NULL, 1, 2) = 2");
	expect_true("date_format(TIMESTAMP '2020-07-06 09:05:03', 'dd-MM-yyyy HH:mm:ss') = '06-07-2020 09:05:03'");
	expect_true("date_format(DATE '2020-07-06', 'EEE, dd MMM yyyy') = 'Mon, 06 Jul 2020'");
	expect_true("date_format(DATE '2020-07-06', 'EEEE MMMM') = 'Monday July'");
	expect_true("to_date('2020-07-06') = DATE '2020-07-06'");
	expect_true("to_date('06.07.2020', 'dd.MM.yyyy') = DATE '2020-07-06'");
	assert_int_equal(engine_run(engine, "SELECT to_date('31.02.2020', 'dd.MM.yyyy')", &err), ERROR_SQL);
	expect_true("initcap('anna MARIA o') = 'Anna Maria O'");
	expect_true("add_months(DATE '2020-01-31', 1) = DATE '2020-02-29'");
	expect_true("date_add(DATE '2020-02-28', 2) = DATE '2020-03-01'");
	expect_true("date_sub(DATE '2020-03-01', 1) = DATE '2020-02-29'");
	expect_true("months_between(DATE '2020-03-31', DATE '2020-02-29') = 1");
	expect_true("months_between(DATE '1997-02-28', DATE '1996-10-30') = 3.93548387");
	expect_true("(SELECT collect_list(x) FROM (VALUES (1), (NULL), (2)) v(x)) = [1, 2]");
}

#define WITH_ENGINE(test) cmocka_unit_test_setup_teardown(test, open_engine, close_engine)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_ENGINE(test_model_runs),
		WITH_ENGINE(test_model_errors_name_the_line),
		WITH_ENGINE(test_model_refused),
		WITH_ENGINE(test_prelude),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
