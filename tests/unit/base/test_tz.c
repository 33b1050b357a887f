/* Zones against glibc, which reads the same files by code of its own; and what the contract says beyond. */
#include "base/tz.h"

#include "base/file.h"
#include "base/tz_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const ZONES[] = {
	"Europe/Berlin",
	"America/New_York",
	"Asia/Bangkok",
	"Africa/Casablanca",
	"Pacific/Apia",
	"Australia/Lord_Howe",
	"UTC",
	"America/Nuuk",
	"Asia/Gaza",
	"Europe/Dublin",
	"America/Santiago",
	"Asia/Kathmandu",
	"Africa/Monrovia",
	"Pacific/Kiritimati",
	"Etc/GMT+12",
};
#define N_ZONES (sizeof(ZONES) / sizeof(ZONES[0]))

#define FROM_S  INT64_C(-2208988800) /* 1900 */
#define TO_S    INT64_C(7258118400)  /* 2200 */

static uint64_t random_state = UINT64_C(88172645463325252);

static int64_t random_between(int64_t low, int64_t high)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	const uint64_t span = (uint64_t)(high - low);
	return span ? low + (int64_t)(random_state % span) : low;
}

static struct tz *load(const char *name)
{
	struct tz *tz = NULL;
	struct error err = {0};
	if (tz_load(name, &tz, &err) < 0)
		fail_msg("%s: %s", name, err.message);
	return tz;
}

static void use_libc_zone(const char *name)
{
	char value[128];
	snprintf(value, sizeof(value), ":%s", name);
	setenv("TZ", value, 1);
	tzset();
}

static int32_t libc_offset(int64_t utc_s)
{
	const time_t t = utc_s;
	struct tm tm;
	assert_non_null(localtime_r(&t, &tm));
	return (int32_t)tm.tm_gmtoff;
}

static void assert_same_offset(const struct tz *tz, int64_t utc_s)
{
	const int32_t ours = tz_offset_s(tz, utc_s);
	const int32_t theirs = libc_offset(utc_s);
	if (ours != theirs)
		fail_msg("%s at %lld: %d, libc has %d", tz_name(tz), (long long)utc_s, ours, theirs);
}

static void test_offsets_are_those_of_libc(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ZONES; i++) {
		struct tz *const tz = load(ZONES[i]);
		assert_string_equal(tz_name(tz), ZONES[i]);
		use_libc_zone(ZONES[i]);
		for (uint32_t k = 0; k < tz->n; k++) {
			if (tz->at[k] < FROM_S || tz->at[k] >= TO_S)
				continue;
			assert_same_offset(tz, tz->at[k] - 1);
			assert_same_offset(tz, tz->at[k]);
			assert_same_offset(tz, tz->at[k] + 1);
		}
		for (int k = 0; k < 20000; k++)
			assert_same_offset(tz, random_between(FROM_S, TO_S));
		/* A hop a day finds what both lists of transitions would miss. */
		for (int64_t t = FROM_S; t < TO_S; t += 86400 * 3)
			assert_same_offset(tz, t);
		tz_free(tz);
	}
}

static int64_t utc(int year, int month, int day, int hour, int minute)
{
	return (int64_t)civil_days(year, month, day) * 86400 + hour * 3600 + minute * 60;
}

/* Well-known changes, so that the test says something even where libc errs as we do. */
static void test_known_offsets(void **state)
{
	(void)state;
	static const struct {
		const char *zone;
		int year, month, day, hour, minute;
		int32_t before_s, after_s;
	} CASES[] = {
		{"Europe/Berlin", 2026, 3, 29, 1, 0, 3600, 7200},
		{"Europe/Berlin", 2026, 10, 25, 1, 0, 7200, 3600},
		{"Europe/Berlin", 2150, 3, 29, 1, 0, 3600, 7200},
		{"America/New_York", 2026, 3, 8, 7, 0, -18000, -14400},
		{"America/New_York", 2026, 11, 1, 6, 0, -14400, -18000},
		{"Pacific/Apia", 2011, 12, 30, 10, 0, -36000, 50400},
		{"Australia/Lord_Howe", 2026, 4, 4, 15, 0, 39600, 37800},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct tz *const tz = load(CASES[i].zone);
		const int64_t at = utc(CASES[i].year, CASES[i].month, CASES[i].day, CASES[i].hour, CASES[i].minute);
		assert_int_equal(tz_offset_s(tz, at - 1), CASES[i].before_s);
		assert_int_equal(tz_offset_s(tz, at), CASES[i].after_s);
		tz_free(tz);
	}
}

static void test_local_day(void **state)
{
	(void)state;
	struct tz *tz = load("Asia/Bangkok");
	const int64_t midnight_us = utc(2019, 3, 31, 17, 0) * 1000000;
	assert_int_equal(tz_local_day(tz, midnight_us), civil_days(2019, 4, 1));
	assert_int_equal(tz_local_day(tz, midnight_us - 1), civil_days(2019, 3, 31));
	assert_int_equal(tz_local_day(tz, -1), 0);
	tz_free(tz);
	tz = load("UTC");
	assert_int_equal(tz_local_day(tz, -1), -1);
	assert_int_equal(tz_local_day(tz, 0), 0);
	tz_free(tz);
	/* A day that Samoa skipped: no instant has it. */
	tz = load("Pacific/Apia");
	for (int64_t t = utc(2011, 12, 29, 0, 0); t < utc(2012, 1, 1, 0, 0); t += 60)
		assert_int_not_equal(tz_local_day(tz, t * 1000000), civil_days(2011, 12, 30));
	tz_free(tz);
}

static void test_local_to_utc_is_the_inverse(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ZONES; i++) {
		struct tz *const tz = load(ZONES[i]);
		for (int k = 0; k < 20000; k++) {
			/* Half of them within a day of a change. */
			int64_t t = random_between(FROM_S + 1000000, TO_S - 1000000);
			if (tz->n > 0 && k % 2)
				t = tz->at[random_between(0, tz->n)] + random_between(-90000, 90000);
			const int64_t local_s = t + tz_offset_s(tz, t);
			const int64_t back = tz_utc_of_local_s(tz, local_s);
			/* The same wall-clock time, and never later: of two instants the earlier. */
			assert_int_equal(back + tz_offset_s(tz, back), local_s);
			assert_true(back <= t);
			if (back != t)
				assert_true(tz_offset_s(tz, back) > tz_offset_s(tz, t));
		}
		tz_free(tz);
	}
}

static void test_folds_and_gaps(void **state)
{
	(void)state;
	struct tz *tz = load("Europe/Berlin");
	/* 02:30 twice: the earlier, still summer time. */
	assert_int_equal(tz_utc_of_local_s(tz, utc(2026, 10, 25, 2, 30)), utc(2026, 10, 25, 0, 30));
	/* 02:30 never was: 03:30 summer time. */
	assert_int_equal(tz_utc_of_local_s(tz, utc(2026, 3, 29, 2, 30)), utc(2026, 3, 29, 1, 30));
	assert_int_equal(tz_utc_of_local_s(tz, utc(2026, 3, 29, 2, 0)), utc(2026, 3, 29, 1, 0));
	assert_int_equal(tz_utc_of_local_s(tz, utc(2026, 3, 29, 3, 0)), utc(2026, 3, 29, 1, 0));
	tz_free(tz);
	/* A whole day never was: noon of the 30th becomes noon of the 31st. */
	tz = load("Pacific/Apia");
	assert_int_equal(tz_utc_of_local_s(tz, utc(2011, 12, 30, 12, 0)), utc(2011, 12, 30, 22, 0));
	tz_free(tz);
}

static void test_unknown_names(void **state)
{
	(void)state;
	static const char *const NAMES[] = {"",       "Mars/Olympus",  "../../etc/passwd", "/etc/localtime",
					    "Europe", "Europe/",       "Europe//Berlin",   "Europe/../UTC",
					    "./UTC",  "Asia/Bang kok", "asia/bangkok"};
	for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
		struct tz *tz = NULL;
		struct error err = {0};
		assert_int_equal(tz_load(NAMES[i], &tz, &err), ERROR_NOT_FOUND);
		assert_null(tz);
		assert_non_null(strstr(err.message, "expected an IANA name"));
	}
}

/*
 * Files made here: the slim form, where all is in the footer.
 */

static void append_header(struct buf *out, char version, uint32_t n_time, uint32_t n_type)
{
	assert_int_equal(buf_append(out, "TZif", 4), 0);
	assert_int_equal(buf_append(out, &version, 1), 0);
	char rest[15 + 24] = {0};
	rest[15 + 15] = (char)n_time;
	rest[15 + 19] = (char)n_type;
	rest[15 + 23] = 4;
	assert_int_equal(buf_append(out, rest, sizeof(rest)), 0);
}

static void append_slim(struct buf *out, const char *footer)
{
	append_header(out, '3', 0, 1);
	assert_int_equal(buf_append(out, "\0\0\0\0\0\0UTC", 10), 0);
	append_header(out, '3', 0, 1);
	assert_int_equal(buf_append(out, "\0\0\0\0\0\0UTC", 10), 0);
	assert_int_equal(buf_printf(out, "\n%s\n", footer), 0);
}

static void test_footers_follow_posix(void **state)
{
	(void)state;
	static const char *const RULES[] = {
		"<+07>-7",
		"<-03>3<-02>,M3.5.0/-2,M10.5.0/-1",
		"EST5EDT,M3.2.0,M11.1.0",
		"IST-1GMT0,M10.5.0,M3.5.0/1",
		"<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
		"AAA-3BBB,J60/0,J300",
		"AAA-3BBB,59/0,299/23:59:59",
		"EET-2EEST,M3.4.4/50,M10.4.4/50",
		"AAA5BBB,M1.1.1,M12.5.6",
		"NZST-12NZDT,M9.5.0,M4.1.0/3",
	};
	for (size_t i = 0; i < sizeof(RULES) / sizeof(RULES[0]); i++) {
		_cleanup_buf_ struct buf data = {0};
		append_slim(&data, RULES[i]);
		struct tz *tz = NULL;
		struct error err = {0};
		if (tz_decode(RULES[i], data.data, data.len, &tz, &err) < 0)
			fail_msg("%s: %s", RULES[i], err.message);
		setenv("TZ", RULES[i], 1);
		tzset();
		/* libc's own reading of a rule begins in 1970 or so. */
		for (int64_t t = 3600; t < TO_S; t += 3599 * 7)
			assert_same_offset(tz, t);
		tz_free(tz);
	}
}

static void test_summer_time_all_year(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf data = {0};
	append_slim(&data, "XXX3EDT4,0/0,J365/23");
	struct tz *tz = NULL;
	assert_int_equal(tz_decode("X", data.data, data.len, &tz, NULL), 0);
	for (int64_t t = 0; t < TO_S; t += 3600)
		assert_int_equal(tz_offset_s(tz, t), -4 * 3600);
	tz_free(tz);
}

static void test_bad_footers(void **state)
{
	(void)state;
	static const char *const RULES[] = {"X",
					    "UTC",
					    "<UTC0",
					    "UTC25",
					    "UTC0DST",
					    "UTC0DST,M3.2",
					    "UTC0DST,M13.1.0,M4.1.0",
					    "UTC0DST,M3.6.0,M4.1.0",
					    "UTC0DST,M3.1.7,M4.1.0",
					    "UTC0DST,J0,J5",
					    "UTC0DST,J366,J5",
					    "UTC0DST,366,5",
					    "UTC0DST,M3.1.0/168,M4.1.0",
					    "UTC0DST,J1,J5,",
					    "UTC0 ",
					    "UTC0:60",
					    "UTC99999999999"};
	for (size_t i = 0; i < sizeof(RULES) / sizeof(RULES[0]); i++) {
		_cleanup_buf_ struct buf data = {0};
		append_slim(&data, RULES[i]);
		struct tz *tz = NULL;
		struct error err = {0};
		assert_int_equal(tz_decode("X", data.data, data.len, &tz, &err), ERROR_CORRUPT);
		assert_null(tz);
	}
}

/* Every cut and many flipped bytes of a real file: an answer, whichever, without a fault (sanitizers watch). */
static void test_damaged_files(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf data = {0};
	assert_int_equal(file_read_all("/usr/share/zoneinfo/Europe/Berlin", 1u << 20, &data, NULL), 0);
	for (size_t len = 0; len < data.len; len++) {
		struct tz *tz = NULL;
		char *const copy = malloc(len + 1);
		assert_non_null(copy);
		memcpy(copy, data.data, len);
		assert_int_equal(tz_decode("X", copy, len, &tz, NULL), ERROR_CORRUPT);
		free(copy);
	}
	for (int i = 0; i < 20000; i++) {
		const size_t at = (size_t)random_between(0, (int64_t)data.len);
		const char was = data.data[at];
		data.data[at] = (char)random_between(0, 256);
		struct tz *tz = NULL;
		if (tz_decode("X", data.data, data.len, &tz, NULL) == 0) {
			for (int k = 0; k < 50; k++) {
				const int64_t t = random_between(FROM_S, TO_S);
				assert_true(labs(tz_offset_s(tz, t)) <= TZ_MAX_OFFSET_S);
				tz_utc_of_local_s(tz, t);
			}
			tz_free(tz);
		}
		data.data[at] = was;
	}
}

static void test_zoneinfo_elsewhere(void **state)
{
	(void)state;
	char dir[] = "/tmp/punchcard-test-tz-XXXXXX";
	assert_non_null(mkdtemp(dir));
	char path[128];
	snprintf(path, sizeof(path), "%s/Slim", dir);
	_cleanup_buf_ struct buf data = {0};
	append_slim(&data, "<+07>-7");
	assert_int_equal(file_write_durable(path, data.data, data.len, NULL), 0);
	snprintf(path, sizeof(path), "%s/Text", dir);
	assert_int_equal(file_write_durable(path, "hello", 5, NULL), 0);
	snprintf(path, sizeof(path), "%s/Fifo", dir);
	assert_int_equal(mkfifo(path, 0600), 0);

	setenv("TZDIR", dir, 1);
	struct tz *tz = load("Slim");
	assert_int_equal(tz_offset_s(tz, 0), 7 * 3600);
	tz_free(tz);
	/* UTC needs no file. */
	tz = load("UTC");
	assert_int_equal(tz_offset_s(tz, 0), 0);
	tz_free(tz);
	struct error err = {0};
	tz = NULL;
	assert_int_equal(tz_load("Text", &tz, &err), ERROR_CORRUPT);
	assert_non_null(strstr(err.message, "/Text is no usable time zone file"));
	assert_int_equal(tz_load("Fifo", &tz, &err), ERROR_NOT_FOUND);
	setenv("TZDIR", "/nonexistent", 1);
	assert_int_equal(tz_load("Asia/Bangkok", &tz, &err), ERROR_NOT_FOUND);
	assert_non_null(strstr(err.message, "install the package tzdata"));
	unsetenv("TZDIR");
	assert_int_equal(file_remove_tree(dir, NULL), 0);
}

static void test_calendar(void **state)
{
	(void)state;
	assert_int_equal(civil_days(1970, 1, 1), 0);
	assert_int_equal(civil_days(2000, 3, 1), 11017);
	assert_int_equal(civil_days(1969, 12, 31), -1);
	int32_t expected = civil_days(-9999, 1, 1);
	for (int year = -9999; year <= 9999; year++) {
		for (int month = 1; month <= 12; month++) {
			for (int day = 1; civil_valid(year, month, day); day++, expected++) {
				int y;
				int m;
				int d;
				civil_date(expected, &y, &m, &d);
				if (civil_days(year, month, day) != expected || y != year || m != month || d != day)
					fail_msg("%d-%d-%d", year, month, day);
			}
		}
	}
	assert_true(civil_valid(2000, 2, 29));
	assert_false(civil_valid(1900, 2, 29));
	assert_false(civil_valid(2026, 2, 29));
	assert_false(civil_valid(2026, 0, 1));
	assert_false(civil_valid(2026, 13, 1));
	assert_false(civil_valid(2026, 4, 31));
	assert_false(civil_valid(2026, 1, 0));
}

static void assert_months(const char *from, int32_t months, const char *expected)
{
	int32_t day = 0;
	char text[11];
	assert_int_equal(civil_parse(from, 10, &day), 0);
	civil_format(civil_add_months(day, months), text);
	assert_string_equal(text, expected);
}

static void test_adding_months(void **state)
{
	(void)state;
	assert_months("2024-01-31", 0, "2024-01-31");
	assert_months("2024-01-31", 1, "2024-02-29");
	assert_months("2023-01-31", 1, "2023-02-28");
	assert_months("2023-12-31", 2, "2024-02-29");
	assert_months("2024-02-29", 12, "2025-02-28");
	assert_months("2024-02-29", 48, "2028-02-29");
	assert_months("2000-02-29", 1200, "2100-02-28");
	assert_months("2024-11-30", 1, "2024-12-30");
	assert_months("2024-12-30", 1, "2025-01-30");
	assert_months("2024-03-31", -1, "2024-02-29");
	assert_months("2024-01-31", -1, "2023-12-31");
	assert_months("2024-02-29", -12, "2023-02-28");
	assert_months("2024-05-31", -3, "2024-02-29");
	assert_months("1970-01-01", -1, "1969-12-01");
	assert_months("0001-01-31", 11987, "0999-12-31");
	/* Every day of some years, in all ways: as the parts say. */
	for (int32_t day = civil_days(1895, 1, 1); day < civil_days(2105, 1, 1); day++) {
		int y;
		int m;
		int d;
		civil_date(day, &y, &m, &d);
		for (int32_t months = -30; months <= 30; months += 5) {
			int32_t year = y;
			int32_t month = m + months;
			for (; month < 1; month += 12)
				year--;
			for (; month > 12; month -= 12)
				year++;
			int expected = d;
			while (!civil_valid(year, month, expected))
				expected--;
			assert_int_equal(civil_add_months(day, months), civil_days(year, month, expected));
		}
	}
	assert_int_equal(civil_add_months(civil_days(-9999, 1, 31), 1), civil_days(-9999, 2, 28));
	assert_int_equal(civil_add_months(civil_days(9999, 12, 31), -1), civil_days(9999, 11, 30));
	assert_int_equal(civil_add_months(civil_days(9999, 12, 31), 1200), civil_days(10099, 12, 31));
	assert_int_equal(civil_days(99999, 12, 31) - civil_days(9999, 12, 31), 225 * 146097);
	assert_int_equal(civil_add_months(civil_days(-1, 12, 31), 2), civil_days(0, 2, 29));
	assert_int_equal(civil_add_months(civil_days(-4, 2, 29), 12), civil_days(-3, 2, 28));
}

static void test_adding_months_to_each(void **state)
{
	(void)state;
	static int32_t out[1500];
	const uint32_t n = sizeof(out) / sizeof(out[0]);
	/* From the middle of a month and from an end, over leap days and the year 1970. */
	const int32_t firsts[] = {civil_days(1968, 2, 29), civil_days(1999, 12, 31), civil_days(2023, 1, 15)};
	for (size_t i = 0; i < sizeof(firsts) / sizeof(firsts[0]); i++) {
		for (int32_t months = -25; months <= 25; months++) {
			civil_add_months_each(firsts[i], n, months, out);
			for (uint32_t at = 0; at < n; at++)
				assert_int_equal(out[at], civil_add_months(firsts[i] + (int32_t)at, months));
		}
	}
	out[0] = 7;
	civil_add_months_each(firsts[0], 0, 1, out);
	assert_int_equal(out[0], 7);
}

static void test_dates_as_text(void **state)
{
	(void)state;
	int32_t days = -5;
	assert_int_equal(civil_parse("2019-04-01", 10, &days), 0);
	assert_int_equal(days, civil_days(2019, 4, 1));
	char text[20];
	civil_format(days, text);
	assert_string_equal(text, "2019-04-01");
	days = -5;
	static const char *const BAD[] = {"",           "2019-4-1",   "2019-04-1",   "2019/04/01", "2019-02-29",
					  "0000-01-01", "2019-04-31", "2019-04-01 ", "+019-04-01", "2019-13-01"};
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
		assert_int_equal(civil_parse(BAD[i], strlen(BAD[i]), &days), ERROR_INPUT);
	assert_int_equal(days, -5);

	civil_format_time(NULL, -1, text);
	assert_string_equal(text, "1969-12-31 23:59:59");
	struct tz *const tz = load("Asia/Bangkok");
	civil_format_time(tz, utc(2019, 3, 31, 17, 5) * 1000000, text);
	assert_string_equal(text, "2019-04-01 00:05:00");
	tz_free(tz);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_offsets_are_those_of_libc),
		cmocka_unit_test(test_known_offsets),
		cmocka_unit_test(test_local_day),
		cmocka_unit_test(test_local_to_utc_is_the_inverse),
		cmocka_unit_test(test_folds_and_gaps),
		cmocka_unit_test(test_unknown_names),
		cmocka_unit_test(test_footers_follow_posix),
		cmocka_unit_test(test_summer_time_all_year),
		cmocka_unit_test(test_bad_footers),
		cmocka_unit_test(test_damaged_files),
		cmocka_unit_test(test_zoneinfo_elsewhere),
		cmocka_unit_test(test_calendar),
		cmocka_unit_test(test_adding_months),
		cmocka_unit_test(test_adding_months_to_each),
		cmocka_unit_test(test_dates_as_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
