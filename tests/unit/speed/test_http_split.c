/* Bodies of requests into the exact texts of their events. */
#include "speed/http_split.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* "line:text" a piece, in "‹›", and "!line" where it is broken. */
static void check(const char *body, const char *expected)
{
	_cleanup_buf_ struct buf found = {0};
	struct http_split split;
	struct http_piece piece;
	int rc;
	/* From a block of exactly its size, so that a read past the end is seen. */
	const size_t len = strlen(body);
	char *const copy = malloc(len ? len : 1);
	assert_non_null(copy);
	memcpy(copy, body, len);
	http_split_begin(&split, (struct slice){copy, len});
	while ((rc = http_split_next(&split, &piece)) == 1) {
		assert_true(piece.text.len > 0);
		buf_printf(&found, "%llu<%.*s>", (unsigned long long)piece.line, (int)piece.text.len, piece.text.data);
	}
	if (rc < 0) {
		assert_non_null(piece.problem);
		buf_printf(&found, "!%llu", (unsigned long long)piece.line);
	} else {
		assert_int_equal(http_split_next(&split, &piece), 0);
	}
	free(copy);
	assert_string_equal(buf_text(&found), expected);
}

static void test_lines(void **state)
{
	(void)state;
	check("", "");
	check(" \r\n\t\n", "");
	check("{\"a\":1}\n{\"b\":2}", "1<{\"a\":1}>2<{\"b\":2}>");
	check("\xef\xbb\xbf{\"a\":1}\r\n\r\n \t{\"b\":2} \r\n", "1<{\"a\":1}>3<{\"b\":2}>");
	check("5\n{\"b\":2}\n", "1<5>2<{\"b\":2}>");
	check("{\"a\":[\n{\"b\":2}\n", "1<{\"a\":[>2<{\"b\":2}>");
	check("{\"a\":1} {\"b\":2}\n", "1<{\"a\":1} {\"b\":2}>");
	check("x", "1<x>");
	check("\"", "1<\">");
}

static void test_one(void **state)
{
	(void)state;
	check("{}", "1<{}>");
	check("\n\n{\n \"a\": [1,\n2]}\n\n", "3<{\n \"a\": [1,\n2]}>");
	check("{\"a\":\"}\\\"}\n\"}", "1<{\"a\":\"}\\\"}\n\"}>");
	check("{\"a\":\"\\\\\"}", "1<{\"a\":\"\\\\\"}>");
}

static void test_arrays(void **state)
{
	(void)state;
	check("[]", "");
	check(" \n[ \n ]\n ", "");
	check("[{\"a\":1}]", "1<{\"a\":1}>");
	check("[{\"a\":0.10},{\"b\":[{},[2]]}\n,\n {\"c\":\"],[\"} ]\n",
	      "1<{\"a\":0.10}>1<{\"b\":[{},[2]]}>3<{\"c\":\"],[\"}>");
	check("[1, \"a,]\" ,null,[[]]]", "1<1>1<\"a,]\">1<null>1<[[]]>");
	check("[{\n},\n{}]", "1<{\n}>3<{}>");
}

static void test_broken_arrays(void **state)
{
	(void)state;
	check("[", "!1");
	check("[\n", "!2");
	check("[{}", "1<{}>!1");
	check("[{},", "1<{}>!1");
	check("[{},]", "1<{}>!1");
	check("[,{}]", "!1");
	check("[{} {}]", "1<{}>!1");
	check("[{}]\n]", "1<{}>!2");
	check("[{}]{}", "1<{}>!1");
	check("[{}}", "1<{}>!1");
	check("[\n{\"a\":[}", "!2");
	check("[\"", "!1");
	check("[\"\\", "!1");
	check("[\"a ", "!1");
	check("[}", "!1");
	/* Brackets that do not fit each other are a piece that is no JSON. */
	check("[{\"a\":]]", "1<{\"a\":]>");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_one),
		cmocka_unit_test(test_arrays),
		cmocka_unit_test(test_broken_arrays),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
