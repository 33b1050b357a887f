#include "base/utf8.h"

#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* Decodes by the definition: the code point first, then whether it may be written so. */
static size_t decode_plainly(const unsigned char *at, size_t left)
{
	size_t size = 0;
	uint32_t point = 0;
	if (at[0] < 0x80)
		return 1;
	if ((at[0] & 0xE0) == 0xC0) {
		size = 2;
		point = at[0] & 0x1Fu;
	} else if ((at[0] & 0xF0) == 0xE0) {
		size = 3;
		point = at[0] & 0x0Fu;
	} else if ((at[0] & 0xF8) == 0xF0) {
		size = 4;
		point = at[0] & 0x07u;
	}
	if (size == 0 || size > left)
		return 0;
	for (size_t i = 1; i < size; i++) {
		if ((at[i] & 0xC0) != 0x80)
			return 0;
		point = point << 6 | (at[i] & 0x3Fu);
	}
	static const uint32_t SMALLEST[] = {0, 0, 0x80, 0x800, 0x10000};
	if (point < SMALLEST[size] || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF))
		return 0;
	return size;
}

static bool valid_plainly(const char *data, size_t len)
{
	size_t at = 0;
	while (at < len) {
		const size_t size = decode_plainly((const unsigned char *)data + at, len - at);
		if (size == 0)
			return false;
		at += size;
	}
	return true;
}

static void test_every_short_sequence(void **state)
{
	(void)state;
	/* Every 3 bytes from the interesting ones, alone and at the end of a long ASCII text (the fast way). */
	static const unsigned char BYTES[] = {0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF,
					      0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE,
					      0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xF8, 0xFF};
	const size_t n = sizeof(BYTES);
	char text[40];
	memset(text, 'a', sizeof(text));
	for (size_t i = 0; i < n * n * n * n; i++) {
		char *const tail = text + sizeof(text) - 4;
		tail[0] = (char)BYTES[i % n];
		tail[1] = (char)BYTES[i / n % n];
		tail[2] = (char)BYTES[i / n / n % n];
		tail[3] = (char)BYTES[i / n / n / n];
		for (size_t len = 1; len <= 4; len++)
			assert_int_equal(utf8_valid(tail, len), valid_plainly(tail, len));
		assert_int_equal(utf8_valid(text, sizeof(text)), valid_plainly(text, sizeof(text)));
	}
}

static void test_position_of_a_bad_byte(void **state)
{
	(void)state;
	char text[100];
	for (size_t len = 0; len <= sizeof(text); len++) {
		for (size_t bad = 0; bad < len; bad++) {
			memset(text, 'a', len);
			assert_true(utf8_valid(text, len));
			text[bad] = '\xFF';
			assert_false(utf8_valid(text, len));
		}
	}
	assert_true(utf8_valid(NULL, 0));
}

static void check_escape(const char *data, size_t len, size_t limit, const char *expected)
{
	struct buf out = {0};
	assert_int_equal(buf_append_text(&out, "before:"), 0);
	assert_int_equal(utf8_escape(&out, data, len, limit), 0);
	assert_string_equal(buf_text(&out) + strlen("before:"), expected);
	buf_release(&out);
}

static void test_escape(void **state)
{
	(void)state;
	check_escape(NULL, 0, 10, "");
	check_escape("plain, \"quoted\"", 15, 100, "plain, \"quoted\"");
	check_escape("a\0b\tc\\d\x7F", 8, 100, "a\\x00b\\x09c\\\\d\\x7F");
	check_escape("\xE0\xB8\x81 caf\xC3\xA9", 9, 100, "\xE0\xB8\x81 caf\xC3\xA9");
	check_escape("caf\xE9 \xE0\xB8", 7, 100, "caf\\xE9 \\xE0\\xB8");
	check_escape("\xC2\x9B[2J", 5, 100, "\\xC2\\x9B[2J");
	check_escape("\xC2\xA0", 2, 100, "\xC2\xA0");
	/* Cut: at the limit, never inside a character or an escape. */
	check_escape("abcdef", 6, 6, "abcdef");
	check_escape("abcdef", 6, 5, "abcde\xE2\x80\xA6");
	check_escape("ab\xE0\xB8\x81", 5, 4, "ab\xE2\x80\xA6");
	check_escape("ab\xFFz", 4, 5, "ab\xE2\x80\xA6");
	check_escape("a", 1, 0, "\xE2\x80\xA6");
}

static void test_escape_always_gives_text(void **state)
{
	(void)state;
	srand(1);
	for (int round = 0; round < 2000; round++) {
		char data[64];
		const size_t len = (size_t)rand() % sizeof(data);
		for (size_t i = 0; i < len; i++)
			data[i] = (char)(rand() % 256);
		struct buf out = {0};
		assert_int_equal(utf8_escape(&out, data, len, 32), 0);
		assert_true(utf8_valid(out.data, out.len));
		assert_true(out.len <= 32 + 3);
		assert_true(out.len == 0 || !memchr(out.data, '\0', out.len));
		buf_release(&out);
	}
}

static void show(const char *data, size_t len, struct buf *out)
{
	for (size_t i = 0; i < len;) {
		const size_t n = utf8_visible(data + i, len - i);
		assert_int_equal(buf_append(out, data + i, n), 0);
		i += n;
		if (i < len) {
			char mark[UTF8_MARK_MAX];
			const size_t taken = utf8_mark(data + i, len - i, mark);
			assert_in_range(taken, 1, len - i);
			assert_int_equal(buf_append_text(out, mark), 0);
			i += taken;
		}
	}
}

static void check_shown(const char *data, size_t len, const char *expected)
{
	struct buf out = {0};
	assert_int_equal(buf_append_text(&out, ""), 0);
	show(data, len, &out);
	assert_string_equal(buf_text(&out), expected);
	buf_release(&out);
}

static void test_shown(void **state)
{
	(void)state;
	check_shown("", 0, "");
	check_shown("a\\b \"c\" ~", 9, "a\\b \"c\" ~");
	check_shown("\xE0\xB8\x81 caf\xC3\xA9 \xF0\x9F\x98\x80", 14, "\xE0\xB8\x81 caf\xC3\xA9 \xF0\x9F\x98\x80");
	check_shown("\n\t\r", 3, "\\n\\t\\r");
	check_shown("a\0b\x1B[2J\x7F", 8, "a\\x00b\\x1B[2J\\x7F");
	/* C1 as a character, and as a byte, which a terminal may take for the same. */
	check_shown("\xC2\x9B[2J", 5, "\\x9B[2J");
	check_shown("\x9B[2J", 4, "\\x9B[2J");
	check_shown("\xC2\x80\xC2\x9F\xC2\xA0", 6, "\\x80\\x9F\xC2\xA0");
	/* A character that is cut off. */
	check_shown("\xE0\xB8", 2, "\\xE0\\xB8");
}

static void test_shown_is_always_visible(void **state)
{
	(void)state;
	srand(2);
	for (int round = 0; round < 5000; round++) {
		char data[64];
		const size_t len = (size_t)rand() % sizeof(data);
		for (size_t i = 0; i < len; i++)
			data[i] = (char)(rand() % 256);
		struct buf out = {0};
		show(data, len, &out);
		assert_int_equal(utf8_visible(out.data, out.len), out.len);
		for (size_t i = 0; i < out.len; i++)
			assert_true((unsigned char)out.data[i] >= 0x20 && out.data[i] != 0x7F);
		assert_true(utf8_valid(out.data, out.len));
		buf_release(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_short_sequence),
		cmocka_unit_test(test_position_of_a_bad_byte),
		cmocka_unit_test(test_escape),
		cmocka_unit_test(test_escape_always_gives_text),
		cmocka_unit_test(test_shown),
		cmocka_unit_test(test_shown_is_always_visible),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
