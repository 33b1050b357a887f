#include "cli/screen.h"
#include "cli/show.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_bytes(void **state)
{
	(void)state;
	static const struct {
		uint64_t bytes;
		const char *text;
	} CASES[] = {
		{0, "0 B"},
		{999, "999 B"},
		{1000, "0.97 KiB"},
		{1024, "1.00 KiB"},
		{1536, "1.50 KiB"},
		{12345, "12.0 KiB"},
		{UINT64_C(123456789), "117 MiB"},
		{UINT64_C(1) << 40, "1.00 TiB"},
		{UINT64_MAX, "15.9 EiB"},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(*CASES); i++) {
		char out[BYTES_TEXT_MAX];
		assert_string_equal(bytes_text(CASES[i].bytes, out), CASES[i].text);
	}
}

static void fits(const char *text, unsigned columns, size_t bytes, unsigned used)
{
	unsigned got_used;
	assert_int_equal(screen_fit((struct slice){text, strlen(text)}, columns, &got_used), bytes);
	assert_int_equal(got_used, used);
}

static void test_columns(void **state)
{
	(void)state;
	fits("", 10, 0, 0);
	fits("abc", 10, 3, 3);
	fits("abc", 3, 3, 3);
	fits("abc", 2, 2, 2);
	fits("abc", 0, 0, 0);
	fits("Zo\xC3\xAB!", 3, 4, 3);
	/* Characters of two columns: none is cut in two. */
	fits("\xE6\xBC\xA2\xE5\xAD\x97", 4, 6, 4);
	fits("\xE6\xBC\xA2\xE5\xAD\x97", 3, 3, 2);
	/* A mark above a letter takes no column. */
	fits("e\xCC\x81x", 1, 3, 1);
	/* Not UTF-8. */
	fits("\xff\xfe", 1, 1, 1);
}

int main(void)
{
	setlocale(LC_CTYPE, "C.UTF-8");
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_columns),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
