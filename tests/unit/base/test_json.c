#include "base/json.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct json json;
static struct buf out;

static int setup(void **state)
{
	(void)state;
	buf_release(&out);
	json_to_buf(&json, &out);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	buf_release(&out);
	return 0;
}

static void expect(const char *text)
{
	struct error err = {0};
	assert_int_equal(json_finish(&json, &err), 0);
	assert_string_equal(buf_text(&out), text);
	buf_clear(&out);
	json_to_buf(&json, &out);
}

static void test_nesting(void **state)
{
	(void)state;
	json_object(&json);
	json_key(&json, "a");
	json_int(&json, 1);
	json_key(&json, "b");
	json_array(&json);
	json_array(&json);
	json_end_array(&json);
	json_object(&json);
	json_end_object(&json);
	json_null(&json);
	json_bool(&json, true);
	json_bool(&json, false);
	json_end_array(&json);
	json_key(&json, "c");
	json_text(&json, NULL);
	json_end_object(&json);
	expect("{\"a\":1,\"b\":[[],{},null,true,false],\"c\":null}");
	json_object(&json);
	json_end_object(&json);
	json_newline(&json);
	json_object(&json);
	json_end_object(&json);
	json_newline(&json);
	expect("{}\n{}\n");
	for (int i = 0; i < 1000; i++)
		json_array(&json);
	json_int(&json, 7);
	for (int i = 0; i < 1000; i++)
		json_end_array(&json);
	struct error err;
	assert_int_equal(json_finish(&json, &err), 0);
	assert_int_equal(out.len, 2001);
}

static void test_text(void **state)
{
	(void)state;
	json_text(&json, "");
	expect("\"\"");
	json_text(&json, "say \"hi\" \\ / \b\f\n\r\t \x01\x1f\x7f");
	expect("\"say \\\"hi\\\" \\\\ / \\b\\f\\n\\r\\t \\u0001\\u001f\\u007f\"");
	json_text(&json, "Zoë 漢字 😀");
	expect("\"Zoë 漢字 😀\"");
	json_slice(&json, (struct slice){"a\0b", 3});
	expect("\"a\\u0000b\"");
	/* Not UTF-8: a lone byte, an overlong form, a surrogate, a cut character. */
	json_text(&json, "x\xffy");
	expect("\"x\xEF\xBF\xBDy\"");
	json_text(&json, "\xC0\xAF");
	expect("\"\xEF\xBF\xBD\xEF\xBF\xBD\"");
	json_text(&json, "a\xE6\xBC");
	expect("\"a\xEF\xBF\xBD\xEF\xBF\xBD\"");
	json_object(&json);
	json_key_slice(&json, (struct slice){"k\"ey", 4});
	json_slice(&json, (struct slice){NULL, 0});
	json_end_object(&json);
	expect("{\"k\\\"ey\":\"\"}");
}

static void test_numbers(void **state)
{
	(void)state;
	json_array(&json);
	json_int(&json, INT64_MIN);
	json_uint(&json, UINT64_MAX);
	json_decimal(&json, 12500, 3);
	json_decimal(&json, -5, 2);
	json_decimal(&json, 0, 2);
	json_decimal(&json, INT64_MIN, 18);
	json_decimal(&json, 42, 0);
	json_number(&json, SLICE("1.5e300"));
	json_end_array(&json);
	expect("[-9223372036854775808,18446744073709551615,12.500,-0.05,0.00,-9.223372036854775808,42,1.5e300]");
}

static void test_stream(void **state)
{
	(void)state;
	char *text = NULL;
	size_t len = 0;
	FILE *const file = open_memstream(&text, &len);
	json_to_file(&json, file);
	json_text(&json, "a");
	struct error err;
	assert_int_equal(json_finish(&json, &err), 0);
	fclose(file);
	assert_string_equal(text, "\"a\"");
	free(text);
}

static void test_full_disk(void **state)
{
	(void)state;
	FILE *const file = fopen("/dev/full", "w");
	assert_non_null(file);
	setvbuf(file, NULL, _IONBF, 0);
	json_to_file(&json, file);
	json_array(&json);
	json_text(&json, "a");
	json_end_array(&json);
	struct error err = {0};
	assert_int_equal(json_finish(&json, &err), ERROR_NO_SPACE);
	fclose(file);
}

static void test_limit(void **state)
{
	(void)state;
	char room[16];
	struct buf fixed = {.data = room, .cap = sizeof(room)};
	json_to_limited_buf(&json, &fixed, sizeof(room));
	json_array(&json);
	json_text(&json, "0123456789");
	const struct json good = json;
	const size_t good_len = fixed.len;
	json_text(&json, "0123456789");
	struct error err = {0};
	assert_int_equal(json_finish(&json, &err), ERROR_LIMIT);
	json = good;
	fixed.len = good_len;
	json_int(&json, 1);
	json_end_array(&json);
	assert_int_equal(json_finish(&json, &err), 0);
	assert_int_equal(fixed.len, 16);
	assert_memory_equal(room, "[\"0123456789\",1]", 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nesting, setup, teardown),
		cmocka_unit_test_setup_teardown(test_text, setup, teardown),
		cmocka_unit_test_setup_teardown(test_numbers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stream, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_disk, setup, teardown),
		cmocka_unit_test_setup_teardown(test_limit, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
