/* Bodies of requests to a Flume agent as lines, and what is none. */
#include "speed/http_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void assert_lines(enum http_bodies bodies, struct slice body, const char *lines, uint64_t n)
{
	_cleanup_buf_ struct buf have = {0};
	struct error err = {0};
	uint64_t count = 99;
	if (http_flume_read(bodies, body, &have, &count, &err) < 0)
		fail_msg("%s", err.message);
	assert_string_equal(have.len ? buf_text(&have) : "", lines);
	assert_int_equal(count, n);
}

static void assert_json(const char *body, const char *lines, uint64_t n)
{
	assert_lines(HTTP_BODIES_FLUME_JSON, slice_of(body), lines, n);
}

static void assert_bad(const char *body, const char *why)
{
	_cleanup_buf_ struct buf have = {0};
	struct error err = {0};
	uint64_t count;
	assert_int_equal(http_flume_read(HTTP_BODIES_FLUME_JSON, slice_of(body), &have, &count, &err), ERROR_INPUT);
	if (!strstr(err.message, why))
		fail_msg("%s: %s", body, err.message);
}

static void test_events(void **state)
{
	(void)state;
	assert_json("[{\"headers\": {\"timestamp\": \"434324343\", \"host\": \"random_host.example.com\"},\n"
		    "  \"body\": \"random_body\"},\n"
		    " {\"headers\": {\"namenode\": \"x\", \"n\": 5, \"z\": null}, \"body\": \"really_random_body\"}]",
		    "random_body\nreally_random_body\n", 2);
	assert_json("[]", "", 0);
	assert_json("[{\"body\": \"\"}, {}, {\"body\": null}, {\"headers\": null, \"body\": 7.50}]", "\n\n\n7.50\n", 4);
	/* A body of two lines is two lines, as in the files that Flume writes. */
	assert_json("[{\"body\": \"a\\nb\", \"other\": [1]}, {\"body\": \"\\u00e9\"}]", "a\nb\n\xC3\xA9\n", 2);
	assert_json("[{\"body\": true}]", "true\n", 1);
}

static void test_blobs(void **state)
{
	(void)state;
	assert_lines(HTTP_BODIES_FLUME_BLOB, SLICE("a\nb"), "a\nb\n", 1);
	assert_lines(HTTP_BODIES_FLUME_BLOB, SLICE("a\nb\n"), "a\nb\n", 1);
	assert_lines(HTTP_BODIES_FLUME_BLOB, SLICE(""), "", 0);
	assert_lines(HTTP_BODIES_FLUME_BLOB, SLICE("\xFF"), "\xFF\n", 1);
}

static void test_what_is_none(void **state)
{
	(void)state;
	assert_bad("", "expected a list");
	assert_bad("{\"body\": \"x\"}", "expected a list");
	assert_bad("[", "event 0 (from 0): the list has no end");
	assert_bad("[{\"body\": \"a\"}, {\"body\": \"b\"]", "event 1 (from 0): ");
	assert_bad("[{\"body\": \"a\"}, 5]", "event 1 (from 0): it is no object");
	assert_bad("[{\"body\": \"a\"}, null]", "event 1 (from 0): it is no object");
	assert_bad("[{\"body\": {}}]", "its body is no text");
	assert_bad("[{\"body\": [\"a\"]}]", "its body is no text");
	assert_bad("[{\"headers\": \"h\", \"body\": \"a\"}]", "headers is no object");
	assert_bad("[{\"headers\": {\"h\": {}}, \"body\": \"a\"}]", "a header is no text");
	assert_bad("[{\"body\": 'a'}]", "it is no JSON");
	assert_bad("[{\"body\": \"\xFF\"}]", "it is not UTF-8");
	assert_bad("[{\"body\": \"a\"}] x", "something stands behind");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_blobs),
		cmocka_unit_test(test_what_is_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
