#include "base/duration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_text(void **state)
{
	(void)state;
	static const struct {
		int64_t us;
		const char *text;
		const char *seconds;
	} CASES[] = {
		{0, "0us", "0s"},
		{999, "999us", "0s"},
		{1000, "1.0ms", "0s"},
		{12345, "12.3ms", "0s"},
		{99999, "99.9ms", "0s"},
		{100000, "100ms", "0s"},
		{999999, "999ms", "0s"},
		{4567890, "4.56s", "4s"},
		{59999999, "59.99s", "59s"},
		{60000000, "1m00s", "1m00s"},
		{INT64_C(3599999999), "59m59s", "59m59s"},
		{INT64_C(18420000000), "5h07m", "5h07m"},
		{INT64_C(172799999999), "47h59m", "47h59m"},
		{INT64_C(273600000000), "3d04h", "3d04h"},
		{INT64_MAX, "106751991d04h", "106751991d04h"},
		{-1500, "-1.5ms", "0s"},
		{-61000000, "-1m01s", "-1m01s"},
		{INT64_MIN, "-106751991d04h", "-106751991d04h"},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(*CASES); i++) {
		char out[DURATION_TEXT_MAX];
		assert_string_equal(duration_text(CASES[i].us, out), CASES[i].text);
		assert_string_equal(duration_seconds_text(CASES[i].us, out), CASES[i].seconds);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
