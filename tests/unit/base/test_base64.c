/* Base64 of RFC 4648. */
#include "base/base64.h"

#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void expect(const char *bytes, const char *text, const char *url)
{
	char out[64];
	char back[64];
	size_t len = 99;
	char *end = base64_put(out, slice_of(bytes));
	assert_int_equal(end - out, strlen(text));
	assert_memory_equal(out, text, strlen(text));
	assert_int_equal(base64_size(strlen(bytes)), strlen(text));
	end = base64_put_url(out, slice_of(bytes));
	assert_int_equal(end - out, strlen(url));
	assert_memory_equal(out, url, strlen(url));
	assert_true(base64_decode(slice_of(text), back, &len));
	assert_int_equal(len, strlen(bytes));
	assert_memory_equal(back, bytes, len);
}

static void test_vectors(void **state)
{
	(void)state;
	expect("", "", "");
	expect("f", "Zg==", "Zg");
	expect("fo", "Zm8=", "Zm8");
	expect("foo", "Zm9v", "Zm9v");
	expect("foob", "Zm9vYg==", "Zm9vYg");
	expect("fooba", "Zm9vYmE=", "Zm9vYmE");
	expect("foobar", "Zm9vYmFy", "Zm9vYmFy");
	expect("\xfb\xff\xbf", "+/+/", "-_-_");
}

static void test_what_is_none(void **state)
{
	static const char *const wrong[] = {"Z",        "Zg",       "Zg=",  "Zh==",     "Zm9=",       "Zg==Zg==",
					    "=",        "====",     "===",  "Z===",     "Z-9v",       "Zm9v\n",
					    "Zm 9vYg=", "Zm9vYg=a", "Zm_v", "\xff\xff", "\xffm9vYg=="};
	char out[64];
	size_t len = 99;
	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_false(base64_decode(slice_of(wrong[i]), out, &len));
	assert_int_equal(len, 99);
}

static void test_any_bytes_come_back(void **state)
{
	struct random random;
	(void)state;
	random_init(&random, 1);
	for (size_t len = 0; len < 200; len++) {
		char bytes[200];
		char text[268];
		for (size_t i = 0; i < len; i++)
			bytes[i] = (char)random_next(&random);
		const char *const end = base64_put(text, (struct slice){bytes, len});
		const size_t text_len = (size_t)(end - text);
		size_t back = 0;
		/* In place. */
		assert_true(base64_decode((struct slice){text, text_len}, text, &back));
		assert_int_equal(back, len);
		assert_memory_equal(text, bytes, len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_what_is_none),
		cmocka_unit_test(test_any_bytes_come_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
