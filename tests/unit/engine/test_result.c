/* What people may run, and how values look. */
#include "base/file.h"
#include "engine/result.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static struct engine *engine;
static struct error err;
static char dir[64];

static int open_engine(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/punchcard-result-XXXXXX");
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

/* The one value of a query, as text and as JSON; NULL is "NULL". */
static void run(const char *sql, struct buf *text, struct buf *json_text)
{
	struct engine_result *result = NULL;
	int rc = engine_query(engine, slice_of(sql), 1, &result, &err);
	if (rc < 0)
		print_message("%s: %s\n", sql, err.message);
	assert_int_equal(rc, 0);
	uint32_t rows = 0;
	assert_int_equal(engine_result_next(result, &rows, &err), 0);
	assert_int_equal(rows, 1);
	if (engine_result_is_null(result, 0, 0))
		assert_int_equal(buf_append_text(text, "NULL"), 0);
	else
		assert_int_equal(engine_result_text(result, 0, 0, text), 0);
	struct json json;
	json_to_buf(&json, json_text);
	engine_result_json(result, 0, 0, &json);
	assert_int_equal(json_finish(&json, &err), 0);
	engine_result_close(result);
}

static void expect(const char *expression, const char *text, const char *json)
{
	_cleanup_buf_ struct buf sql = {0};
	_cleanup_buf_ struct buf got_text = {0};
	_cleanup_buf_ struct buf got_json = {0};
	assert_int_equal(buf_printf(&sql, "SELECT %s", expression), 0);
	run(buf_text(&sql), &got_text, &got_json);
	assert_string_equal(buf_text(&got_text), text);
	assert_string_equal(buf_text(&got_json), json);
}

/* The text is DuckDB's own. */
static void expect_as_duckdb(const char *expression)
{
	_cleanup_buf_ struct buf sql = {0};
	_cleanup_buf_ struct buf ours = {0};
	_cleanup_buf_ struct buf theirs = {0};
	_cleanup_buf_ struct buf json = {0};
	assert_int_equal(buf_printf(&sql, "SELECT %s", expression), 0);
	run(buf_text(&sql), &ours, &json);
	buf_clear(&sql);
	assert_int_equal(buf_printf(&sql, "SELECT CAST(%s AS VARCHAR)", expression), 0);
	run(buf_text(&sql), &theirs, &json);
	assert_string_equal(buf_text(&ours), buf_text(&theirs));
}

static void test_scalars_as_duckdb(void **state)
{
	(void)state;
	static const char *const EXPRESSIONS[] = {
		"true",
		"false",
		"NULL::INT",
		"(-128)::TINYINT",
		"255::UTINYINT",
		"(-32768)::SMALLINT",
		"65535::USMALLINT",
		"(-2147483648)::INT",
		"4294967295::UINTEGER",
		"(-9223372036854775808)::BIGINT",
		"18446744073709551615::UBIGINT",
		"(-170141183460469231731687303715884105728)::HUGEINT",
		"170141183460469231731687303715884105727::HUGEINT",
		"340282366920938463463374607431768211455::UHUGEINT",
		"0::HUGEINT",
		"1.5::DOUBLE",
		"0.1::DOUBLE",
		"1e300::DOUBLE",
		"1e-300::DOUBLE",
		"123456789.125::DOUBLE",
		"(-0.0)::DOUBLE",
		"100::DOUBLE",
		"1e15::DOUBLE",
		"123456e10::DOUBLE",
		"9999999999999998::DOUBLE",
		"1e16::DOUBLE",
		"-1e16::DOUBLE",
		"0.0001::DOUBLE",
		"0.00001::DOUBLE",
		"3e15::FLOAT",
		"'nan'::DOUBLE",
		"'-inf'::DOUBLE",
		"0.1::FLOAT",
		"16777216::FLOAT",
		"3.4028235e38::FLOAT",
		"'inf'::FLOAT",
		"12.50::DECIMAL(4,2)",
		"(-0.05)::DECIMAL(4,2)",
		"1234567.89::DECIMAL(9,2)",
		"(-1234567890123.456)::DECIMAL(18,3)",
		"(-99999999999999999999999999999999999.999)::DECIMAL(38,3)",
		"5::DECIMAL(38,0)",
		"DATE '2020-07-06'",
		"DATE '0001-01-01'",
		"DATE '9999-12-31'",
		"DATE '12345-01-02'",
		"DATE '0044-03-15 (BC)'",
		"'infinity'::DATE",
		"'-infinity'::DATE",
		"TIMESTAMP '2020-07-06 09:05:03'",
		"TIMESTAMP '2020-07-06 09:05:03.120000'",
		"TIMESTAMP '1969-12-31 23:59:59.999999'",
		"TIMESTAMP '0044-03-15 (BC) 01:02:03'",
		"'infinity'::TIMESTAMP",
		"'-infinity'::TIMESTAMP",
		"TIMESTAMP_S '1969-12-31 23:59:59'",
		"TIMESTAMP_MS '2020-07-06 09:05:03.007'",
		"TIMESTAMP_NS '2020-07-06 09:05:03.123456789'",
		"TIMESTAMPTZ '2020-07-06 09:05:03+02'",
		"'infinity'::TIMESTAMPTZ",
		"TIME '00:00:00'",
		"TIME '23:59:59.5'",
		"TIME '24:00:00'",
		"TIMETZ '12:13:14.5+05:30'",
		"TIMETZ '12:13:14-08'",
		"INTERVAL 0 DAY",
		"INTERVAL '14 months 1 day 03:04:05.6'",
		"INTERVAL '-14 months -2 days'",
		"INTERVAL '-1 hour'",
		"INTERVAL '1 day -00:00:00.5'",
		"INTERVAL '300 hours'",
		"to_months(-1)",
		"'x'",
		"''",
		"'Zoë 漢字'",
		"'hi'::BLOB",
		"'\\x00\\xFF\\x41\\x5C\\x27'::BLOB",
		"''::BLOB",
		"'1'::BIT",
		"'0101011101'::BIT",
		"'0000000011111111'::BIT",
		"UUID '47183823-2574-4bfd-b411-99ed177d3e43'",
		"UUID 'ffffffff-ffff-ffff-ffff-ffffffffffff'",
		"UUID '00000000-0000-0000-0000-000000000000'",
		"'b'::ENUM('a', 'b')",
		"'{\"a\": 1}'::JSON",
	};
	for (size_t i = 0; i < sizeof(EXPRESSIONS) / sizeof(EXPRESSIONS[0]); i++)
		expect_as_duckdb(EXPRESSIONS[i]);
}

static void test_json(void **state)
{
	(void)state;
	expect("12.50::DECIMAL(18,2)", "12.50", "12.50");
	expect("(-0.5)::DECIMAL(4,4)", "-0.5000", "-0.5000"); /* DuckDB's text has no 0 there */
	expect("NULL", "NULL", "null");
	expect("NULL::DATE", "NULL", "null");
	expect("true", "true", "true");
	expect("'nan'::DOUBLE", "nan", "null");
	expect("'-inf'::FLOAT", "-inf", "null");
	expect("1e300::DOUBLE", "1e+300", "1e+300");
	expect("170141183460469231731687303715884105727::HUGEINT", "170141183460469231731687303715884105727",
	       "170141183460469231731687303715884105727");
	expect("'a\"b'", "a\"b", "\"a\\\"b\"");
	expect("DATE '2020-01-02'", "2020-01-02", "\"2020-01-02\"");
	expect("'{\"a\":\n1}'::JSON", "{\"a\":\n1}", "{\"a\": 1}");
}

static void test_nested(void **state)
{
	(void)state;
	expect("[1, NULL, 3]", "[1,null,3]", "[1,null,3]");
	expect("[]", "[]", "[]");
	expect("[[1.5::DECIMAL(3,1)], []]", "[[1.5],[]]", "[[1.5],[]]");
	expect("{'a': 'x', 'b \"': [DATE '2020-01-02']}", "{\"a\":\"x\",\"b \\\"\":[\"2020-01-02\"]}",
	       "{\"a\":\"x\",\"b \\\"\":[\"2020-01-02\"]}");
	expect("MAP {'k': 1, 'l': NULL}", "{\"k\":1,\"l\":null}", "{\"k\":1,\"l\":null}");
	expect("MAP {1: {'x': true}}", "{\"1\":{\"x\":true}}", "{\"1\":{\"x\":true}}");
	expect("[1, 2]::INT[2]", "[1,2]", "[1,2]");
	expect("[['a', 'b'], ['c', NULL]]::VARCHAR[2][2]", "[[\"a\",\"b\"],[\"c\",null]]",
	       "[[\"a\",\"b\"],[\"c\",null]]");
	expect("union_value(num := 2)::UNION(num INT, str VARCHAR)", "2", "2");
	expect("'x'::UNION(num INT, str VARCHAR)", "\"x\"", "\"x\"");
	expect("{'e': 'b'::ENUM('a', 'b'), 'n': NULL}", "{\"e\":\"b\",\"n\":null}", "{\"e\":\"b\",\"n\":null}");
	/* Not the first row of its vector. */
	expect("list({'i': i, 'l': [i, i + 1]}) FROM range(3) t(i)",
	       "[{\"i\":0,\"l\":[0,1]},{\"i\":1,\"l\":[1,2]},{\"i\":2,\"l\":[2,3]}]",
	       "[{\"i\":0,\"l\":[0,1]},{\"i\":1,\"l\":[1,2]},{\"i\":2,\"l\":[2,3]}]");
}

/* Every type that DuckDB has, at its limits. */
static void test_all_types(void **state)
{
	(void)state;
	assert_int_equal(engine_run(engine,
				    "CREATE TABLE all_types AS SELECT * EXCLUDE (bignum, geometry)"
				    " FROM test_all_types(use_large_enum := true)",
				    &err),
			 0);
	struct engine_result *result = NULL;
	const int rc = engine_query(engine, SLICE("FROM all_types"), 1, &result, &err);
	if (rc < 0)
		print_message("%s\n", err.message);
	assert_int_equal(rc, 0);
	uint32_t rows = 0;
	assert_int_equal(engine_result_next(result, &rows, &err), 0);
	assert_int_equal(rows, 3);
	_cleanup_buf_ struct buf out = {0};
	struct json json;
	json_to_buf(&json, &out);
	for (unsigned column = 0; column < engine_result_columns(result); column++)
		for (uint32_t row = 0; row < rows; row++)
			engine_result_json(result, column, row, &json);
	assert_int_equal(json_finish(&json, &err), 0);
	engine_result_close(result);
}

static void test_unknown_type(void **state)
{
	(void)state;
	struct engine_result *result = NULL;
	assert_int_equal(engine_query(engine, SLICE("SELECT 1 AS a, 1::BIGNUM AS huge"), 1, &result, &err), ERROR_SQL);
	assert_non_null(strstr(err.message, "column 2 (huge)"));
}

static int query(const char *sql)
{
	struct engine_result *result = NULL;
	err = (struct error){0};
	int rc = engine_query(engine, slice_of(sql), 1, &result, &err);
	uint32_t rows = 1;
	while (rc == 0 && rows > 0)
		rc = engine_result_next(result, &rows, &err);
	engine_result_close(result);
	return rc;
}

static void test_runs(void **state)
{
	(void)state;
	static const char *const STATEMENTS[] = {
		"SELECT 1",
		"(SELECT 1)",
		"with x as (select 1) from x",
		"FROM t",
		"TABLE t",
		"VALUES (1), (2)",
		"EXPLAIN SELECT 1",
		"EXPLAIN ANALYZE SELECT 1",
		"EXPLAIN (FORMAT json) SELECT 1",
		"EXPLAIN (ANALYZE, FORMAT json) FROM t",
		"EXPLAIN (SELECT 1)",
		"explain /* x */ analyze -- y\n from t",
		"SHOW TABLES",
		"SHOW ALL TABLES",
		"SHOW t",
		"DESCRIBE t",
		"DESC t",
		"DESCRIBE SELECT 1",
		"SUMMARIZE t",
		"PIVOT t ON b IN ('x') USING sum(a)",
		"UNPIVOT (SELECT a FROM t) ON a",
		"SELECT unnest([1, 2]) FROM range(3), generate_series(1, 2), LATERAL unnest([1])",
		"FROM \"RANGE\"(3)",
		"SELECT * FROM duckdb_columns()",
		"SELECT 'query(x) \"type\":\"TABLE_FUNCTION\",\"function_name\":\"query\"'",
		"SELECT count(*) FROM (VALUES (1)) v(\"enable_logging\")",
		"SELECT 1 UNION ALL SELECT 2",
	};
	assert_int_equal(engine_run(engine, "CREATE TABLE t AS SELECT 1 AS a, 'x' AS b", &err), 0);
	for (size_t i = 0; i < sizeof(STATEMENTS) / sizeof(STATEMENTS[0]); i++) {
		const int rc = query(STATEMENTS[i]);
		if (rc < 0)
			print_message("%s: %s\n", STATEMENTS[i], err.message);
		assert_int_equal(rc, 0);
	}
}

static void test_refused(void **state)
{
	(void)state;
	static const char *const STATEMENTS[] = {
		"COPY t TO 'DIR/x.csv'",
		"COPY (SELECT 1) TO 'DIR/x.parquet'",
		"copy t from 'DIR/y.csv'",
		"/* SELECT */ COPY t TO 'DIR/x.csv'",
		"EXPLAIN COPY t TO 'DIR/x.csv'",
		"EXPLAIN ANALYZE COPY t TO 'DIR/x.csv'",
		"EXPLAIN (ANALYZE) COPY t TO 'DIR/x.csv'",
		"EXPLAIN (ANALYZE, FORMAT json) COPY t TO 'DIR/x.csv'",
		"explain/**/analyze/**/copy t to 'DIR/x.csv'",
		"EXPLAIN ANALYZE CREATE TABLE u AS SELECT 1",
		"EXPORT DATABASE 'DIR'",
		"IMPORT DATABASE 'DIR'",
		"ATTACH 'DIR/x.db'",
		"DETACH memory",
		"INSTALL spatial",
		"LOAD spatial",
		"SET threads = 1",
		"RESET threads",
		"SET VARIABLE a = 1",
		"PRAGMA threads = 1",
		"PRAGMA table_info('t')",
		"CALL enable_logging()",
		"CREATE TABLE u (a INT)",
		"CREATE MACRO m(a) AS a",
		"CREATE SECRET s (TYPE s3)",
		"INSERT INTO t VALUES (2, 'y')",
		"WITH x AS (SELECT 1) INSERT INTO t SELECT 2, 'y'",
		"UPDATE t SET a = 2",
		"DELETE FROM t",
		"TRUNCATE t",
		"DROP TABLE t",
		"ALTER TABLE t ADD COLUMN c INT",
		"BEGIN",
		"COMMIT",
		"PREPARE p AS COPY t TO 'DIR/x.csv'",
		"EXECUTE p",
		"CHECKPOINT",
		"VACUUM",
		"USE memory",
		"SELECT * FROM enable_logging(storage = 'file', storage_config = {'path': 'DIR'})",
		"SELECT * FROM system.main.\"Enable_Logging\"(storage = 'file', storage_config = {'path': 'DIR'})",
		"SELECT (SELECT count(*) FROM enable_logging())",
		"WITH x AS (FROM enable_logging()) SELECT 1",
		"EXPLAIN ANALYZE SELECT * FROM enable_profiling(save_location = 'DIR/x.json')",
		"DESCRIBE (FROM enable_logging())",
		"SUMMARIZE FROM enable_logging()",
		"SELECT * FROM arrow_scan(1::POINTER, 2::POINTER, 3::POINTER)",
		"EXPLAIN (ANALYZE, (x)) SELECT * FROM arrow_scan(1, 2, 3)",
		"FROM query('COPY t TO ''DIR/x.csv''')",
		"FROM query('SELECT * FROM enable_logging()')",
		"FROM json_execute_serialized_sql(json_serialize_sql('FROM enable_logging()'))",
		"FROM force_checkpoint()",
		"PIVOT t ON b USING sum(a)",
	};
	assert_int_equal(engine_run(engine, "CREATE TABLE t AS SELECT 1 AS a, 'x' AS b", &err), 0);
	for (size_t i = 0; i < sizeof(STATEMENTS) / sizeof(STATEMENTS[0]); i++) {
		char sql[256];
		const char *const at = strstr(STATEMENTS[i], "DIR");
		if (at)
			snprintf(sql, sizeof(sql), "%.*s%s%s", (int)(at - STATEMENTS[i]), STATEMENTS[i], dir, at + 3);
		else
			snprintf(sql, sizeof(sql), "%s", STATEMENTS[i]);
		const int rc = query(sql);
		if (rc != ERROR_USAGE && rc != ERROR_SQL)
			print_message("%s: %d %s\n", sql, rc, err.message);
		assert_true(rc == ERROR_USAGE || (rc == ERROR_SQL && strstr(err.message, "syntax error")));
	}
	/* Nothing was written, nothing changed. */
	assert_int_equal(rmdir(dir), 0);
	int64_t value = 0;
	assert_int_equal(engine_run_int64(engine, "SELECT sum(a) FROM t", &value, &err), 0);
	assert_int_equal(value, 1);
	assert_int_equal(query("COPY t TO 'x'"), ERROR_USAGE);
	assert_memory_equal(err.message, "COPY is not run here", 20);
	assert_int_equal(query("SELECT * FROM enable_logging()"), ERROR_USAGE);
	assert_memory_equal(err.message, "the function enable_logging() is not run here", 45);
}

static void test_lock_down(void **state)
{
	(void)state;
	char sql[256];
	char inside[96];
	snprintf(inside, sizeof(inside), "%s/in", dir);
	assert_int_equal(file_make_dirs(inside, &err), 0);
	snprintf(sql, sizeof(sql), "COPY (SELECT 1 AS a) TO '%s/a.parquet'; COPY (SELECT 1 AS a) TO '%s/b.parquet'",
		 inside, dir);
	assert_int_equal(engine_run(engine, sql, &err), 0);
	const char *const directories[] = {inside, "/nonexistent/it's"};
	assert_int_equal(engine_lock_down(engine, directories, 2, &err), 0);
	snprintf(sql, sizeof(sql), "SELECT * FROM read_parquet('%s/*.parquet')", inside);
	assert_int_equal(query(sql), 0);
	snprintf(sql, sizeof(sql), "SELECT * FROM '%s/a.parquet'", inside);
	assert_int_equal(query(sql), 0);
	snprintf(sql, sizeof(sql), "SELECT * FROM '%s/b.parquet'", dir);
	assert_int_equal(query(sql), ERROR_SQL);
	snprintf(sql, sizeof(sql), "SELECT * FROM '%s/../b.parquet'", inside);
	assert_int_equal(query(sql), ERROR_SQL);
	assert_int_equal(query("SELECT content FROM read_text('/etc/hostname')"), ERROR_SQL);
	assert_int_equal(query("SELECT * FROM glob('/etc/*')"), ERROR_SQL);
	assert_int_equal(query("SELECT * FROM 'https://example.com/x.parquet'"), ERROR_SQL);
	assert_int_equal(engine_run(engine, "SET threads = 2", &err), ERROR_SQL);
	assert_int_equal(engine_run(engine, "SET enable_external_access = true", &err), ERROR_SQL);
}

static void test_messages(void **state)
{
	(void)state;
	struct engine_result *result = NULL;
	assert_int_equal(engine_query(engine, SLICE("SELECT\nnope"), 3, &result, &err), ERROR_SQL);
	assert_non_null(strstr(err.message, "LINE 4: nope"));
	assert_int_equal(engine_query(engine, SLICE("SELECT 1 FROM FROM"), 2, &result, &err), ERROR_SQL);
	assert_non_null(strstr(err.message, "LINE 2: SELECT 1 FROM FROM"));
	assert_int_equal(query("SELECT ?"), ERROR_SQL);
	assert_int_equal(query("SELECT '\xff'"), ERROR_USAGE);
	assert_int_equal(engine_query(engine, (struct slice){"SELECT 1\0 2", 11}, 1, &result, &err), ERROR_USAGE);
	assert_int_equal(query("SELECT"), ERROR_SQL);
}

#define WITH_ENGINE(test) cmocka_unit_test_setup_teardown(test, open_engine, close_engine)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_ENGINE(test_scalars_as_duckdb), WITH_ENGINE(test_json),         WITH_ENGINE(test_nested),
		WITH_ENGINE(test_all_types),         WITH_ENGINE(test_unknown_type), WITH_ENGINE(test_runs),
		WITH_ENGINE(test_refused),           WITH_ENGINE(test_lock_down),    WITH_ENGINE(test_messages),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
