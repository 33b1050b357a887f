/*
 * What every engine must do (engine/sql.h), one suite for all drivers, and for one that fails now and then.
 *
 *     conformance_sql duckdb DIR [--faulty SEED]
 *     conformance_sql spark DIR COMMAND MASTER [KEY=VALUE]… [--fake] [--faulty SEED]
 *
 * DIR is made, and removed at the end. --fake: the command is tests/conformance/fake_spark.c, which can be told to fail.
 */
#include "engine/sql.h"

#include "sql_faulty.h"

#include "base/clock.h"
#include "base/file.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define FAULT_ONE_IN 2
#define TRIES        200
#define SETTINGS_MAX 16u

static const char *dir;
static struct error err;
static bool is_spark;
static bool is_fake;
static uint64_t seed; /* 0: it injects nothing */
static struct spark_options spark;
static struct spark_setting settings[SETTINGS_MAX];

static struct sql *open_plain(void)
{
	struct sql *sql = NULL;
	const struct sql_duckdb_options duckdb = {.engine = {.memory_mib = 256, .threads = 1, .tmp_dir = dir}};
	const int rc =
		is_spark ? sql_open_spark(&(struct sql_spark_options){.spark = spark, .memory_mib = 256}, &sql, &err)
			 : sql_open_duckdb(&duckdb, &sql, &err);
	assert_int_equal(rc, 0);
	return sql;
}

static struct sql *open_sql(void)
{
	return seed ? sql_faulty(open_plain(), seed++, FAULT_ONE_IN) : open_plain();
}

/* ---- what is taken ---- */

static struct {
	struct buf text; /* columns in a line, ">" before numbers; rows in one each, values in [], NULL as - */
	struct buf json; /* of all values */
	unsigned results;
	bool refuses;
} got;

static int take(void *context, struct engine_result *result, struct error *error)
{
	uint32_t rows = 0;
	int rc;
	(void)context;
	got.results++;
	for (unsigned i = 0; i < engine_result_columns(result); i++)
		buf_printf(&got.text, "%s%s%s", i ? " " : "", engine_result_is_number(result, i) ? ">" : "",
			   engine_result_name(result, i));
	buf_append_text(&got.text, "\n");
	if (got.refuses)
		return error_set(error, ERROR_LIMIT, "refused");
	while ((rc = engine_result_next(result, &rows, error)) == 0 && rows > 0)
		for (uint32_t row = 0; row < rows; row++) {
			for (unsigned i = 0; i < engine_result_columns(result); i++) {
				const bool null = engine_result_is_null(result, i, row);
				struct json json;
				buf_append_text(&got.text, null ? "-" : "[");
				if (!null) {
					assert_int_equal(engine_result_text(result, i, row, &got.text), 0);
					buf_append_text(&got.text, "]");
				}
				json_to_buf(&json, &got.json);
				engine_result_json(result, i, row, &json);
				assert_int_equal(json_finish(&json, NULL), 0);
				buf_append_text(&got.json, " ");
			}
			buf_append_text(&got.text, "\n");
		}
	return rc;
}

static struct {
	unsigned calls;
	unsigned last; /* step */
	unsigned steps;
	char what[64];
	unsigned stop_at; /* step at which it says no; UINT32_MAX: never */
} told;

static bool tell(void *context, const struct sql_progress *progress)
{
	(void)context;
	assert_true(progress->step < progress->steps);
	told.calls++;
	told.last = progress->step;
	told.steps = progress->steps;
	snprintf(told.what, sizeof(told.what), "%s", progress->what);
	return told.stop_at != progress->step;
}

static void forget(void)
{
	buf_clear(&got.text);
	buf_clear(&got.json);
	got.results = 0;
	told.calls = 0;
	told.stop_at = UINT32_MAX;
	err = (struct error){0};
}

/* What a caller does: again while it says that it is away, which only what injects faults may. */
static int run_on(struct sql *sql, const struct sql_step *steps, unsigned n, const char *query)
{
	const unsigned stop_at = told.stop_at;
	int rc = ERROR_AWAY;
	for (unsigned tries = 0; rc == ERROR_AWAY && tries < TRIES; tries++) {
		forget();
		told.stop_at = stop_at;
		rc = sql_run(sql,
			     &(struct sql_work){.steps = steps,
						.n_steps = n,
						.query = query ? slice_of(query) : (struct slice){NULL, 0},
						.take = take,
						.progress = tell},
			     &err);
		assert_true(rc != ERROR_AWAY || seed);
		assert_true(rc == 0 || (err.code == rc && err.message[0]));
	}
	told.stop_at = UINT32_MAX;
	return rc;
}

static int run(const struct sql_step *steps, unsigned n, const char *query)
{
	struct sql *const sql = open_sql();
	const int rc = run_on(sql, steps, n, query);
	sql_close(sql);
	return rc;
}

static void expect(int code, int rc)
{
	if (rc != code)
		fail_msg("%d instead of %d: %s", rc, code, rc < 0 ? err.message : "-");
}

static void expect_words(const char *words)
{
	if (!strstr(err.message, words))
		fail_msg("'%s' is not in '%s'", words, err.message);
}

static const char *text_of(struct buf *buf)
{
	const char *const text = buf->len ? buf_text(buf) : "";
	assert_non_null(text);
	return text;
}

static void write_model(const char *name, const char *text)
{
	_cleanup_free_ char *path = text_printf("%s/%s.sql", dir, name);
	FILE *const file = fopen(path, "we");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* ---- the suite ---- */

/* Types, NULLs, and texts with all that a way of writing rows down could lose; no other columns of the same name. */
static void test_values(void **state)
{
	(void)state;
	static const char QUERY[] =
		"SELECT * FROM (SELECT 1 AS k, CAST(9223372036854775807 AS BIGINT) AS big, CAST(-2147483648 AS INT) AS "
		"i,\n"
		"  CAST(12.500 AS DECIMAL(18,3)) AS d3, CAST(-0.01 AS DECIMAL(18,2)) AS d2,\n"
		"  CAST(12345678901234567890123456789012345678 AS DECIMAL(38,0)) AS d38, true AS b, CAST(0.5 AS "
		"DOUBLE) AS f,\n"
		"  DATE '2024-02-29' AS day, TIMESTAMP '2024-02-29 12:34:56.789012' AS t, 'a\"b,c' AS s\n"
		"UNION ALL SELECT 2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL\n"
		"UNION ALL SELECT 3, CAST(-9223372036854775808 AS BIGINT), 0, CAST(-999999999999999.999 AS "
		"DECIMAL(18,3)),\n"
		"  CAST(0 AS DECIMAL(18,2)), CAST(-1 AS DECIMAL(38,0)), false, CAST(-2.25 AS DOUBLE), DATE "
		"'1969-12-31',\n"
		"  TIMESTAMP '1969-12-31 23:59:59', '' -- no text, which is not NULL\n"
		"UNION ALL SELECT 4, 0, 0, CAST(0 AS DECIMAL(18,3)), CAST(1 AS DECIMAL(18,2)), CAST(0 AS "
		"DECIMAL(38,0)), true,\n"
		"  CAST(0 AS DOUBLE), DATE '2199-12-31', TIMESTAMP '2024-03-31 02:30:00',\n"
		"  'tab' || chr(9) || 'feed' || chr(10) || 'return' || chr(13) || chr(92) || 'n {\"}' || ' ä 漢字 😀 '\n"
		") AS x ORDER BY k";
	expect(0, run(NULL, 0, QUERY));
	assert_int_equal(got.results, 1);
	assert_string_equal(
		text_of(&got.text),
		">k >big >i >d3 >d2 >d38 b >f day t s\n"
		"[1][9223372036854775807][-2147483648][12.500][-0.01][12345678901234567890123456789012345678][true][0."
		"5]"
		"[2024-02-29][2024-02-29 12:34:56.789012][a\"b,c]\n"
		"[2]----------\n"
		"[3][-9223372036854775808][0][-999999999999999.999][0.00][-1][false][-2.25][1969-12-31][1969-12-31 "
		"23:59:59][]\n"
		"[4][0][0][0.000][1.00][0][true][0.0][2199-12-31][2024-03-31 02:30:00][tab\tfeed\nreturn\r\\n {\"} ä "
		"漢字 "
		"😀 ]\n");
	assert_string_equal(
		text_of(&got.json),
		"1 9223372036854775807 -2147483648 12.500 -0.01 12345678901234567890123456789012345678 true 0.5 "
		"\"2024-02-29\" \"2024-02-29 12:34:56.789012\" \"a\\\"b,c\" "
		"2 null null null null null null null null null null "
		"3 -9223372036854775808 0 -999999999999999.999 0.00 -1 false -2.25 \"1969-12-31\" "
		"\"1969-12-31 23:59:59\" \"\" "
		"4 0 0 0.000 1.00 0 true 0.0 \"2199-12-31\" \"2024-03-31 02:30:00\" \"tab\\tfeed\\nreturn\\r\\\\n "
		"{\\\"} ä 漢字 "
		"😀 \" ");
}

/* Steps see what was made before them, and so does the query; the columns of an empty result are told. Progress names each. */
static void test_session(void **state)
{
	(void)state;
	write_model("made", "-- a model; of three rows\nSELECT n, n * 2 AS twice FROM given;\n");
	const struct sql_step steps[] = {
		{.what = "the rows",
		 .statement = "CREATE OR REPLACE TEMPORARY VIEW given AS SELECT 1 AS n UNION ALL SELECT 2 UNION ALL "
			      "SELECT 3"},
		{.models_dir = dir,
		 .model = "made",
		 .what = "models/made.sql",
		 .before = "CREATE OR REPLACE TEMPORARY VIEW made AS",
		 .after = ""},
	};
	struct sql *const sql = open_sql();
	expect(0, run_on(sql, steps, 2, "SELECT twice, n FROM made WHERE n > 1 ORDER BY n"));
	assert_string_equal(text_of(&got.text), ">twice >n\n[4][2]\n[6][3]\n");
	assert_true(told.calls > 0);
	assert_int_equal(told.steps, 3);
	assert_int_equal(told.last, 2);
	assert_string_equal(told.what, "query");
	/* Without the steps, and without a query; the next session begins with nothing. */
	expect(0, run_on(sql, steps, 2, "SELECT n, CAST(n AS DECIMAL(18,2)) AS d, 'x' AS s FROM made WHERE n > 3"));
	assert_string_equal(text_of(&got.text), ">n >d s\n");
	assert_int_equal(got.results, 1);
	/* A start of Spark itself costs ten seconds. */
	if (!is_spark || is_fake) {
		expect(0, run_on(sql, steps, 2, NULL));
		assert_int_equal(got.results, 0);
	}
	expect(ERROR_SQL, run_on(sql, NULL, 0, "SELECT n FROM given"));
	expect_words("given");
	sql_close(sql);
}

/* More rows than a batch, in order. */
static void test_many_rows(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf expected = {0};
	buf_append_text(&expected, ">n s\n");
	for (unsigned i = 0; i < 5000; i++)
		buf_printf(&expected, "[%u][row %u]\n", i, i);
	const struct sql_step digits = {.what = "digits",
					.statement = "CREATE OR REPLACE TEMPORARY VIEW digits AS SELECT 0 AS d UNION "
						     "ALL SELECT 1 UNION ALL SELECT 2 "
						     "UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 UNION "
						     "ALL SELECT 6 UNION ALL SELECT 7 "
						     "UNION ALL SELECT 8 UNION ALL SELECT 9"};
	expect(0, run(&digits, 1,
		      "SELECT n, 'row ' || n AS s FROM (SELECT a.d * 1000 + b.d * 100 + c.d * 10 + e.d AS n FROM "
		      "digits a CROSS "
		      "JOIN digits b CROSS JOIN digits c CROSS JOIN digits e) AS x WHERE n < 5000 ORDER BY n"));
	assert_string_equal(text_of(&got.text), text_of(&expected));
}

static void test_errors_of_steps(void **state)
{
	(void)state;
	const struct sql_step steps[] = {
		{.what = "the good thing", .statement = "CREATE OR REPLACE TEMPORARY VIEW good AS SELECT 1 AS a"},
		{.what = "the bad thing",
		 .statement = "CREATE OR REPLACE TEMPORARY VIEW bad AS SELECT nowhere FROM good"},
	};
	expect(ERROR_SQL, run(steps, 2, "SELECT 1 AS a"));
	expect_words("the bad thing: ");
	expect_words("nowhere");
	assert_int_equal(got.results, 0);

	write_model("wrong", "-- it's wrong;\nSELECT 1 AS a,\n  /* here */ nowhere AS b\nFROM good\n");
	const struct sql_step model = {.what = "models/wrong.sql",
				       .models_dir = dir,
				       .model = "wrong",
				       .before = "CREATE OR REPLACE TEMPORARY VIEW wrong AS",
				       .after = ""};
	const struct sql_step of_model[] = {steps[0], model};
	expect(ERROR_SQL, run(of_model, 2, NULL));
	_cleanup_free_ char *place = text_printf("%s/wrong.sql:3: ", dir);
	expect_words(place);
	expect_words("nowhere");
	expect_words("  /* here */ nowhere AS b");

	/* Without anything being started. */
	const struct sql_step missing = {.what = "m", .models_dir = dir, .model = "missing", .before = "", .after = ""};
	expect(ERROR_NOT_FOUND, run(&missing, 1, NULL));
	expect_words("missing.sql");
}

static void test_errors_of_queries(void **state)
{
	(void)state;
	expect(ERROR_SQL, run(NULL, 0, "SELECT 1 AS a,\n  nowhere AS b"));
	expect_words("nowhere");
	expect_words("^");
	if (!strstr(err.message, "query:2:") && !strstr(err.message, "LINE 2:"))
		fail_msg("no line in '%s'", err.message);
	assert_int_equal(got.results, 0);
}

/* A query reads, and nothing else. */
static void test_guard(void **state)
{
	(void)state;
	static const char *const REFUSED[] = {
		"",
		" -- nothing\n",
		"CREATE TABLE x AS SELECT 1 AS a",
		"DROP TABLE x",
		"INSERT INTO x SELECT 1",
		"SET a = 1",
		"DELETE FROM x",
		"SELECT 1 AS a; DROP TABLE x",
	};
	for (size_t i = 0; i < sizeof(REFUSED) / sizeof(REFUSED[0]); i++) {
		const int rc = run(NULL, 0, REFUSED[i]);
		if (rc != ERROR_USAGE)
			fail_msg("'%s': %d %s", REFUSED[i], rc, err.message);
		assert_int_equal(got.results, 0);
	}
	expect(ERROR_SQL, run(NULL, 0, "SELECT 'a"));
	expect(ERROR_SQL, run(NULL, 0, "SELECT 1) AS x; DROP TABLE x; SELECT (1"));
}

/* What `take` returns is what comes of it. */
static void test_refused(void **state)
{
	(void)state;
	got.refuses = true;
	const int rc = run(NULL, 0, "SELECT 1 AS a");
	got.refuses = false;
	expect(ERROR_LIMIT, rc);
	assert_string_equal(err.message, "refused");
}

static const char ENDLESS[] = "SELECT count(*) AS n FROM range(1000000000000) AS a, range(1000000) AS b";

static void *stop_later(void *context)
{
	struct sql *const sql = context;
	usleep(is_spark ? 1500000 : 50000);
	for (unsigned i = 0; i < 20; i++) {
		sql_stop(sql);
		usleep(10000);
	}
	return NULL;
}

static void stop_while_it_works(struct sql *sql)
{
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, stop_later, sql), 0);
	const int64_t begin_us = clock_monotonic_us();
	expect(ERROR_INTERRUPTED, run_on(sql, NULL, 0, ENDLESS));
	assert_true(clock_monotonic_us() - begin_us < INT64_C(60000000));
	assert_int_equal(pthread_join(thread, NULL), 0);
	/* And nothing more is done. */
	expect(ERROR_INTERRUPTED, run_on(sql, NULL, 0, "SELECT 1 AS a"));
	assert_int_equal(got.results, 0);
	sql_close(sql);
}

static void test_stop(void **state)
{
	(void)state;
	stop_while_it_works(open_sql());
	/* By what is asked about progress. */
	const struct sql_step step = {.what = "one",
				      .statement = "CREATE OR REPLACE TEMPORARY VIEW one AS SELECT 1 AS a"};
	told.stop_at = 1;
	expect(ERROR_INTERRUPTED, run(&step, 1, ENDLESS));
}

/* An engine that does nothing at all is stopped, too. */
static void test_stop_hanging(void **state)
{
	(void)state;
	stop_while_it_works(sql_faulty(open_plain(), 1, 1));
}

/* ---- a process that fails ---- */

static void fail_as(const char *how, const char *words)
{
	setenv("FAKE_SPARK_FAILS", how, 1);
	const struct sql_step step = {.what = "the first thing",
				      .statement = "CREATE OR REPLACE TEMPORARY VIEW one AS SELECT 1 AS a"};
	struct sql *const sql = open_plain();
	const int rc = run_on(sql, &step, 1, "SELECT a, 'text' AS s FROM one");
	if (rc >= 0)
		fail_msg("%s: nothing was noticed", how);
	expect_words(words);
	assert_int_equal(got.results, 0);
	/* It can be asked again. */
	unsetenv("FAKE_SPARK_FAILS");
	expect(0, run_on(sql, &step, 1, "SELECT a FROM one"));
	sql_close(sql);
}

static void test_failing_process(void **state)
{
	(void)state;
	if (!is_fake)
		skip();
	fail_as("start", "no master");
	fail_as("dies", "signal 9 while: query");
	fail_as("half", "exit code 0 while: query");
	fail_as("glued", "exit code 0 while: query");
	fail_as("lost", "exit code 1");
	fail_as("no-head", "does not tell the columns");
	setenv("FAKE_SPARK_FAILS", "hangs", 1);
	stop_while_it_works(open_plain());
	unsetenv("FAKE_SPARK_FAILS");
}

static int release(void **state)
{
	(void)state;
	buf_release(&got.text);
	buf_release(&got.json);
	return file_remove_tree(dir, &err);
}

static int set_up(void **state)
{
	(void)state;
	forget();
	return 0;
}

/* Words behind DIR. */
static int read_arguments(int argc, char **argv)
{
	int i = 3;
	if (is_spark) {
		if (argc < 5)
			return -1;
		spark = (struct spark_options){
			.command = argv[3], .master = argv[4], .settings = settings, .tmp_dir = dir};
		i = 5;
	}
	for (; i < argc; i++) {
		char *const sign = strchr(argv[i], '=');
		if (strcmp(argv[i], "--faulty") == 0 && i + 1 < argc) {
			seed = strtoull(argv[++i], NULL, 10);
		} else if (strcmp(argv[i], "--fake") == 0) {
			is_fake = true;
		} else if (sign && spark.n_settings < SETTINGS_MAX) {
			*sign = '\0';
			settings[spark.n_settings++] = (struct spark_setting){argv[i], sign + 1};
		} else {
			return -1;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
#define TEST(test) cmocka_unit_test_setup(test, set_up)
	const struct CMUnitTest tests[] = {
		TEST(test_values),
		TEST(test_session),
		TEST(test_many_rows),
		TEST(test_errors_of_steps),
		TEST(test_errors_of_queries),
		TEST(test_guard),
		TEST(test_refused),
		TEST(test_stop),
		TEST(test_stop_hanging),
		TEST(test_failing_process),
	};
	is_spark = argc > 2 && strcmp(argv[1], "spark") == 0;
	dir = argv[argc > 2 ? 2 : 0];
	if (argc < 3 || (!is_spark && strcmp(argv[1], "duckdb") != 0) || read_arguments(argc, argv) < 0) {
		fprintf(stderr, "usage: conformance_sql duckdb DIR | spark DIR COMMAND MASTER [KEY=VALUE]... [--fake] "
				"[--faulty SEED]\n");
		return 2;
	}
	if (file_make_dirs(dir, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		return 2;
	}
	setenv("TMPDIR", dir, 1);
	return cmocka_run_group_tests_name("sql", tests, NULL, release);
}
