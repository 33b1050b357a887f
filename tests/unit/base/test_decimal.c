#include "base/decimal.h"

#include "base/error.h"
#include "base/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define UNTOUCHED INT64_C(-777)
#define MOST      INT64_C(1000000000000000)

static int parse(const char *text, int scale, char mark, int64_t *out)
{
	*out = UNTOUCHED;
	return decimal_parse(text, strlen(text), scale, mark, MOST, out);
}

static void test_parses_decimals(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int scale;
		char mark;
		int64_t value;
	} CASES[] = {
		{"0", 2, '.', 0},
		{"-0", 2, '.', 0},
		{"12", 2, '.', 1200},
		{"12.5", 2, '.', 1250},
		{"+12.50", 2, '.', 1250},
		{"-12.50", 2, '.', -1250},
		{"2.500000000000000000000000000", 2, '.', 250},
		{"000000000000000000000000001.5", 2, '.', 150},
		{".5", 2, '.', 50},
		{"5.", 2, '.', 500},
		{"2,5", 2, ',', 250},
		{"7", 0, '.', 7},
		{"7.0", 0, '.', 7},
		{"0.000000001", 9, '.', 1},
		{"10000000000000", 2, '.', MOST},
		{"-10000000000000.00", 2, '.', -MOST},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		int64_t value;
		assert_int_equal(parse(CASES[i].text, CASES[i].scale, CASES[i].mark, &value), 0);
		assert_int_equal(value, CASES[i].value);
	}
}

static void test_refuses_what_is_no_decimal(void **state)
{
	(void)state;
	static const char *const CASES[] = {"",    "+",    "-",    ".",     "-.",    " 1",      "1 ",
					    "1e3", "0x10", "nan",  "inf",   "1,5",   "1.5.",    "1..5",
					    "--1", "+-1",  "1.-5", "1_000", "1 000", "\xd9\xa1"};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		int64_t value;
		assert_int_equal(parse(CASES[i], 2, '.', &value), ERROR_INPUT);
		assert_int_equal(value, UNTOUCHED);
	}
	int64_t value = UNTOUCHED;
	assert_int_equal(decimal_parse("1\0002", 3, 2, '.', MOST, &value), ERROR_INPUT);
	assert_int_equal(value, UNTOUCHED);
}

static void test_refuses_what_would_be_rounded_or_does_not_fit(void **state)
{
	(void)state;
	int64_t value;
	assert_int_equal(parse("0.001", 2, '.', &value), ERROR_LIMIT);
	assert_int_equal(parse("1.500000000000000000001", 2, '.', &value), ERROR_LIMIT);
	assert_int_equal(parse("0.5", 0, '.', &value), ERROR_LIMIT);
	assert_int_equal(parse("10000000000000.01", 2, '.', &value), ERROR_OVERFLOW);
	assert_int_equal(parse("-10000000000000.01", 2, '.', &value), ERROR_OVERFLOW);
	assert_int_equal(parse("1000000000000000000000000000000", 2, '.', &value), ERROR_OVERFLOW);
	/* 2^64 + 1: must not wrap to 1. */
	assert_int_equal(parse("18446744073709551617", 0, '.', &value), ERROR_OVERFLOW);
	/* Too large counts more than a digit too many; a letter more than both. */
	assert_int_equal(parse("99999999999999999999.001", 2, '.', &value), ERROR_OVERFLOW);
	assert_int_equal(parse("99999999999999999999.001x", 2, '.', &value), ERROR_INPUT);
	assert_int_equal(value, UNTOUCHED);
}

static void test_formats_decimals(void **state)
{
	(void)state;
	static const struct {
		int64_t value;
		int scale;
		const char *text;
	} CASES[] = {
		{0, 0, "0"},
		{0, 2, "0.00"},
		{5, 2, "0.05"},
		{-5, 2, "-0.05"},
		{1250, 2, "12.50"},
		{-1250, 3, "-1.250"},
		{100, 0, "100"},
		{-1, 9, "-0.000000001"},
		{INT64_MAX, 0, "9223372036854775807"},
		{INT64_MIN, 0, "-9223372036854775808"},
		{INT64_MIN, 9, "-9223372036.854775808"},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		char out[24];
		memset(out, 'x', sizeof(out));
		assert_int_equal(decimal_format(CASES[i].value, CASES[i].scale, out), strlen(CASES[i].text));
		assert_string_equal(out, CASES[i].text);
	}
}

static void test_what_is_written_reads_back(void **state)
{
	(void)state;
	uint64_t random = UINT64_C(0x9e3779b97f4a7c15);
	for (int i = 0; i < 200000; i++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		/* All magnitudes alike: shift by a random number of bits. */
		const int64_t value = (int64_t)(random >> (random & 63)) % (INT64_MAX - 1);
		const int scale = (int)((random >> 20) % 10);
		char text[24];
		const int len = decimal_format(value, scale, text);
		int64_t back = UNTOUCHED;
		assert_int_equal(decimal_parse(text, (size_t)len, scale, '.', INT64_MAX, &back), 0);
		assert_int_equal(back, value);
	}
}

static void test_parses_integers(void **state)
{
	(void)state;
	int64_t value = UNTOUCHED;
	assert_int_equal(integer_parse("-9223372036854775808", 20, &value), 0);
	assert_true(value == INT64_MIN);
	assert_int_equal(integer_parse("+9223372036854775807", 20, &value), 0);
	assert_true(value == INT64_MAX);
	assert_int_equal(integer_parse("007", 3, &value), 0);
	assert_int_equal(value, 7);
	value = UNTOUCHED;
	assert_int_equal(integer_parse("9223372036854775808", 19, &value), ERROR_OVERFLOW);
	assert_int_equal(integer_parse("-9223372036854775809", 20, &value), ERROR_OVERFLOW);
	assert_int_equal(integer_parse("18446744073709551616", 20, &value), ERROR_OVERFLOW);
	static const char *const BAD[] = {"", "-", "+", "1.0", " 1", "1 ", "0x1", "1e3", "--1"};
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
		assert_int_equal(integer_parse(BAD[i], strlen(BAD[i]), &value), ERROR_INPUT);
	assert_int_equal(value, UNTOUCHED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parses_decimals),
		cmocka_unit_test(test_refuses_what_is_no_decimal),
		cmocka_unit_test(test_refuses_what_would_be_rounded_or_does_not_fit),
		cmocka_unit_test(test_formats_decimals),
		cmocka_unit_test(test_what_is_written_reads_back),
		cmocka_unit_test(test_parses_integers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
