/* Results as text, CSV and JSON. */
#include "serving/table.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct engine *engine;
static struct error err;

static int open_engine(void **state)
{
	(void)state;
	setlocale(LC_CTYPE, "C.UTF-8");
	return engine_open(&(struct engine_options){.memory_mib = 256, .threads = 1}, &engine, &err);
}

static int close_engine(void **state)
{
	(void)state;
	engine_close(engine);
	return 0;
}

/* Caller frees. */
static char *print(const char *sql, enum table_format format, size_t *len)
{
	struct engine_result *result = NULL;
	int rc = engine_query(engine, slice_of(sql), 1, &result, &err);
	if (rc < 0)
		print_message("%s\n", err.message);
	assert_int_equal(rc, 0);
	char *text = NULL;
	size_t size = 0;
	FILE *const out = open_memstream(&text, &size);
	bool printed = false;
	rc = table_print(result, format, out, &printed, &err);
	assert_int_equal(rc, 0);
	assert_true(printed);
	fclose(out);
	engine_result_close(result);
	if (len)
		*len = size;
	return text;
}

static void expect(const char *sql, enum table_format format, const char *expected)
{
	char *const text = print(sql, format, NULL);
	assert_string_equal(text, expected);
	free(text);
}

static void test_text(void **state)
{
	(void)state;
	expect("SELECT 1 AS a", TABLE_TEXT, "a\n-\n1\n(1 row)\n");
	expect("SELECT 8311 AS cust_id, 'Hanna' AS name, 459.75 AS spend UNION ALL SELECT 3, NULL, NULL", TABLE_TEXT,
	       "cust_id | name  |  spend\n"
	       "--------+-------+-------\n"
	       "   8311 | Hanna | 459.75\n"
	       "      3 | NULL  |   NULL\n"
	       "(2 rows)\n");
	expect("SELECT 1 AS \"long name\", 'x' AS b WHERE false", TABLE_TEXT,
	       "long name | b\n----------+--\n(0 rows)\n");
}

static void test_text_width(void **state)
{
	(void)state;
	/* Two columns for a Chinese character, none for a combining accent. */
	expect("SELECT '漢字' AS 名, 'x' AS b UNION ALL SELECT 'Zoë', 'y' UNION ALL SELECT 'Zoe' || chr(776), 'z'",
	       TABLE_TEXT,
	       "名   | b\n"
	       "-----+--\n"
	       "漢字 | x\n"
	       "Zoë  | y\n"
	       "Zoe\xCC\x88  | z\n"
	       "(3 rows)\n");
}

static void test_text_is_safe_for_terminals(void **state)
{
	(void)state;
	expect("SELECT 'a' || chr(10) || chr(9) || chr(13) || chr(27) || '[31m' || chr(155) || chr(127) || chr(0) || "
	       "'\\' AS t,"
	       " 1 AS \"n\n\"",
	       TABLE_TEXT,
	       "t                            | n\\n\n"
	       "-----------------------------+----\n"
	       "a\\n\\t\\r\\x1B[31m\\x9B\\x7F\\x00\\ |   1\n"
	       "(1 row)\n");
}

/* Wider values behind the rows that are measured: whole, and the rows go on. */
static void test_text_streams(void **state)
{
	(void)state;
	size_t len = 0;
	char *const text =
		print("SELECT range AS n, CASE WHEN range = 20000 THEN repeat('w', 50) ELSE 'x' END AS t, 1 AS o"
		      " FROM range(30000)",
		      TABLE_TEXT, &len);
	assert_memory_equal(text, "   n | t | o\n-----+---+--\n   0 | x | 1\n", 39);
	assert_non_null(strstr(text, "\n9999 | x | 1\n10000 | x | 1\n"));
	assert_non_null(
		strstr(text, "\n20000 | wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww | 1\n20001 | x | 1\n"));
	assert_string_equal(text + len - strlen("29999 | x | 1\n(30000 rows)\n"), "29999 | x | 1\n(30000 rows)\n");
	free(text);
	/* Few rows of much text. */
	char *const wide = print("SELECT repeat('é', 100000) AS t FROM range(200)", TABLE_TEXT, &len);
	assert_true(len > 200 * 200000);
	assert_string_equal(wide + len - 12, "\n(200 rows)\n");
	free(wide);
}

static void test_csv(void **state)
{
	(void)state;
	expect("SELECT 1 AS a, 'x' AS \"b,c\", NULL AS d, '' AS e, ' f' AS f, 'g ' AS g", TABLE_CSV,
	       "a,\"b,c\",d,e,f,g\n1,x,,\"\",\" f\",\"g \"\n");
	expect("SELECT 'say \"hi\"' AS a, '\"' AS b, 'x' || chr(10) || 'y' AS c, chr(13) AS d, 'Zoë;\\' AS e",
	       TABLE_CSV, "a,b,c,d,e\n\"say \"\"hi\"\"\",\"\"\"\",\"x\ny\",\"\r\",Zoë;\\\n");
	expect("SELECT 1 AS a WHERE false", TABLE_CSV, "a\n");
	expect("SELECT [1, NULL] AS l, {'a': 'x'} AS s", TABLE_CSV, "l,s\n\"[1,null]\",\"{\"\"a\"\":\"\"x\"\"}\"\n");
	size_t len = 0;
	char *const text = print("SELECT range % 10 AS d FROM range(100000)", TABLE_CSV, &len);
	assert_int_equal(len, 2 + 200000);
	free(text);
}

static void test_json(void **state)
{
	(void)state;
	expect("SELECT 1 AS a WHERE false", TABLE_JSON, "[]\n");
	expect("SELECT 1.50 AS a, NULL AS b, [true] AS c, DATE '2020-01-02' AS d UNION ALL SELECT 2, 'x', [], NULL",
	       TABLE_JSON,
	       "[\n"
	       "{\"a\":1.50,\"b\":null,\"c\":[true],\"d\":\"2020-01-02\"},\n"
	       "{\"a\":2.00,\"b\":\"x\",\"c\":[],\"d\":null}\n"
	       "]\n");
	expect("SELECT 1 AS a, 2 AS a, 3 AS a_2, 4 AS a", TABLE_JSON,
	       "[\n{\"a\":1,\"a_2\":2,\"a_2_2\":3,\"a_3\":4}\n]\n");
}

/* A query that fails before its first row leaves nothing behind. */
static void test_fails_early(void **state)
{
	(void)state;
	struct engine_result *result = NULL;
	int rc = engine_query(engine, SLICE("SELECT error('bang') FROM range(3)"), 1, &result, &err);
	if (rc == 0) {
		bool printed = false;
		rc = table_print(result, TABLE_JSON, stdout, &printed, &err);
		assert_false(printed);
	}
	assert_int_equal(rc, ERROR_SQL);
	engine_result_close(result);
}

static void test_full_disk(void **state)
{
	(void)state;
	for (enum table_format format = TABLE_TEXT; format <= TABLE_JSON; format++) {
		FILE *const out = fopen("/dev/full", "w");
		assert_non_null(out);
		struct engine_result *result = NULL;
		bool printed = false;
		assert_int_equal(engine_query(engine, SLICE("FROM range(1000000)"), 1, &result, &err), 0);
		assert_int_equal(table_print(result, format, out, &printed, &err), ERROR_NO_SPACE);
		engine_result_close(result);
		fclose(out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_text_width),
		cmocka_unit_test(test_text_is_safe_for_terminals),
		cmocka_unit_test(test_text_streams),
		cmocka_unit_test(test_csv),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_fails_early),
		cmocka_unit_test(test_full_disk),
	};
	return cmocka_run_group_tests(tests, open_engine, close_engine);
}
