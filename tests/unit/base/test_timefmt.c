#include "base/timefmt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static struct timefmt compile(const char *text)
{
	struct timefmt format;
	struct error err = {0};
	if (timefmt_compile(text, &format, &err) < 0)
		fail_msg("%s", err.message);
	return format;
}

/* The instant of a text in UTC microseconds, or INT64_MIN when it is refused. */
static int64_t instant(const char *format_text, const char *text)
{
	const struct timefmt format = compile(format_text);
	struct civil_time t;
	memset(&t, 0x55, sizeof(t));
	const int rc = timefmt_parse(&format, text, strlen(text), &t);
	if (rc < 0) {
		assert_int_equal(rc, ERROR_INPUT);
		/* Nothing was written. */
		assert_int_equal(t.day, 0x55555555);
		return INT64_MIN;
	}
	int64_t utc_us;
	assert_int_equal(civil_time_utc_us(&t, NULL, &utc_us), 0);
	return utc_us;
}

static int64_t utc_us(int year, int month, int day, int hour, int minute, int second, int micro)
{
	return ((int64_t)civil_days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second) * 1000000 + micro;
}

static void test_reads_times(void **state)
{
	(void)state;
	const struct {
		const char *format;
		const char *text;
		int64_t expected_us;
	} cases[] = {
		{"%Y-%m-%d", "2019-04-01", utc_us(2019, 4, 1, 0, 0, 0, 0)},
		{"%Y/%m/%d", "2019/4/1", utc_us(2019, 4, 1, 0, 0, 0, 0)},
		{"%d.%m.%Y", "01.04.2019", utc_us(2019, 4, 1, 0, 0, 0, 0)},
		{"%Y%m%d%H%M%S", "20190401120443", utc_us(2019, 4, 1, 12, 4, 43, 0)},
		{"%m/%d/%y %H:%M", "4/1/19 7:05", utc_us(2019, 4, 1, 7, 5, 0, 0)},
		{"%d-%m-%y", "01-01-69", utc_us(1969, 1, 1, 0, 0, 0, 0)},
		{"%d-%m-%y", "01-01-68", utc_us(2068, 1, 1, 0, 0, 0, 0)},
		{"%d %b %Y", "29 Feb 2024", utc_us(2024, 2, 29, 0, 0, 0, 0)},
		{"%d%b%Y", "1dec2024", utc_us(2024, 12, 1, 0, 0, 0, 0)},
		{"%Y-%m-%d %I:%M %p", "2019-04-01 12:30 AM", utc_us(2019, 4, 1, 0, 30, 0, 0)},
		{"%Y-%m-%d %I:%M %p", "2019-04-01 12:30 pm", utc_us(2019, 4, 1, 12, 30, 0, 0)},
		{"%Y-%m-%d %I%p", "2019-04-01 11PM", utc_us(2019, 4, 1, 23, 0, 0, 0)},
		{"%Y-%m-%dT%H:%M:%S.%f", "2019-04-01T00:00:00.5", utc_us(2019, 4, 1, 0, 0, 0, 500000)},
		{"%Y-%m-%dT%H:%M:%S.%f", "2019-04-01T23:59:59.000001", utc_us(2019, 4, 1, 23, 59, 59, 1)},
		{"%Y-%m-%dT%H:%M:%S%z", "2019-04-01T07:00:00+07:00", utc_us(2019, 4, 1, 0, 0, 0, 0)},
		{"%Y-%m-%dT%H:%M:%S%z", "2019-04-01T07:00:00-0330", utc_us(2019, 4, 1, 10, 30, 0, 0)},
		{"%Y-%m-%dT%H:%M:%S%z", "2019-04-01T07:00:00Z", utc_us(2019, 4, 1, 7, 0, 0, 0)},
		{"%s", "1554076800", utc_us(2019, 4, 1, 0, 0, 0, 0)},
		{"%s", "-1", -1000000},
		{"%s.%f", "1554076800.25", utc_us(2019, 4, 1, 0, 0, 0, 250000)},
		{"100%% %Y-%m-%d", "100% 2019-04-01", utc_us(2019, 4, 1, 0, 0, 0, 0)},
		{"%Y-%m-%d", "0001-01-01", utc_us(1, 1, 1, 0, 0, 0, 0)},
		{"%Y-%m-%d", "9999-12-31", utc_us(9999, 12, 31, 0, 0, 0, 0)},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const int64_t got = instant(cases[i].format, cases[i].text);
		if (got != cases[i].expected_us)
			fail_msg("%s by %s: %lld, expected %lld", cases[i].text, cases[i].format, (long long)got,
				 (long long)cases[i].expected_us);
	}
}

static void test_refuses_what_does_not_match(void **state)
{
	(void)state;
	static const struct {
		const char *format;
		const char *text;
	} CASES[] = {
		{"%Y-%m-%d", ""},
		{"%Y-%m-%d", "2019-04-0"},
		{"%Y-%m-%d", "2019-04-1x"},
		{"%Y-%m-%d", "2019-04-01 "},
		{"%Y-%m-%d", " 2019-04-01"},
		{"%Y-%m-%d", "2019-004-01"},
		{"%Y-%m-%d", "19-04-01"},
		{"%Y-%m-%d", "12019-04-01"},
		{"%Y-%m-%d", "0000-04-01"},
		{"%Y-%m-%d", "2019-02-29"},
		{"%Y-%m-%d", "2019-04-31"},
		{"%Y-%m-%d", "2019-13-01"},
		{"%Y-%m-%d", "2019-00-01"},
		{"%Y-%m-%d", "2019-01-00"},
		{"%Y-%m-%d", "2019/04/01"},
		{"%Y-%m-%d", "-019-04-01"},
		{"%Y-%m-%d %H:%M:%S", "2019-04-01 24:00:00"},
		{"%Y-%m-%d %H:%M:%S", "2019-04-01 23:60:00"},
		{"%Y-%m-%d %H:%M:%S", "2019-06-30 23:59:60"},
		{"%Y-%m-%d %H:%M:%S", "2019-04-01  1:00:00"},
		{"%Y-%m-%d %I:%M %p", "2019-04-01 0:30 AM"},
		{"%Y-%m-%d %I:%M %p", "2019-04-01 13:30 PM"},
		{"%Y-%m-%d %I:%M %p", "2019-04-01 1:30 P"},
		{"%Y-%m-%d %I:%M %p", "2019-04-01 1:30 XM"},
		{"%d %b %Y", "1 Mai 2019"},
		{"%d %b %Y", "1 March 2019"},
		{"%Y-%m-%d %H:%M:%S.%f", "2019-04-01 00:00:00."},
		{"%Y-%m-%d %H:%M:%S.%f", "2019-04-01 00:00:00.1234567"},
		{"%Y-%m-%d %H%z", "2019-04-01 00"},
		{"%Y-%m-%d %H%z", "2019-04-01 00+7"},
		{"%Y-%m-%d %H%z", "2019-04-01 00+24:00"},
		{"%Y-%m-%d %H%z", "2019-04-01 00+07:60"},
		{"%Y-%m-%d %H%z", "2019-04-01 00z"},
		{"%s", ""},
		{"%s", "-"},
		{"%s", "+1"},
		{"%s", "1e9"},
		{"%s", "253402300800"},
		{"%s", "1554076800000"},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++)
		if (instant(CASES[i].format, CASES[i].text) != INT64_MIN)
			fail_msg("%s by %s was taken", CASES[i].text, CASES[i].format);
}

static void test_refuses_formats(void **state)
{
	(void)state;
	static const struct {
		const char *format;
		const char *message;
	} CASES[] = {
		{"", "'' has no field; expected something like %Y-%m-%d"},
		{"date", "'date' has no field; expected something like %Y-%m-%d"},
		{"%Y-%m",
		 "'%Y-%m' has a part of a date only; a date is a year (%Y or %y), a month (%m or %b) and a day (%d)"},
		{"%Y-%m-%d %Q",
		 "'%Y-%m-%d %Q' has %Q, which is no field; expected %Y %y %m %b %d %H %I %p %M %S %f %z %s or %%"},
		{"%Y-%m-%d%",
		 "'%Y-%m-%d%' has % , which is no field; expected %Y %y %m %b %d %H %I %p %M %S %f %z %s or %%"},
		{"%Y %y-%m-%d", "'%Y %y-%m-%d' has the year twice (%Y and %y)"},
		{"%Y-%m-%b-%d", "'%Y-%m-%b-%d' has the month twice (%m and %b)"},
		{"%Y-%m-%d-%d", "'%Y-%m-%d-%d' has a field twice"},
		{"%H:%I %p", "'%H:%I %p' has the hour twice (%H and %I)"},
		{"%I:%M", "'%I:%M' has an hour to 12 (%I) without AM or PM (%p)"},
		{"%p", "'%p' has AM or PM (%p) without an hour to 12 (%I)"},
		{"%H:%M %p", "'%H:%M %p' has AM or PM (%p) without an hour to 12 (%I)"},
		{"%M:%S", "'%M:%S' has minutes without an hour (%H, or %I and %p)"},
		{"%H:%S", "'%H:%S' has seconds without minutes (%M)"},
		{"%H:%M.%f", "'%H:%M.%f' has a fraction (%f) without seconds (%S or %s)"},
		{"%Y-%m-%d%z", "'%Y-%m-%d%z' has an offset (%z) without an hour"},
		{"%s %Y-%m-%d", "'%s %Y-%m-%d' has other fields beside %s, which is a date and a time by itself"},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct timefmt format = {.n_parts = 77};
		struct error err = {0};
		assert_int_equal(timefmt_compile(CASES[i].format, &format, &err), ERROR_CONFIG);
		assert_string_equal(err.message, CASES[i].message);
		assert_int_equal(format.n_parts, 77);
	}
	char longest[TIMEFMT_MAX_BYTES + 2];
	memset(longest, 'x', sizeof(longest));
	memcpy(longest, "%H", 2);
	longest[TIMEFMT_MAX_BYTES + 1] = '\0';
	struct timefmt format;
	assert_int_equal(timefmt_compile(longest, &format, NULL), ERROR_CONFIG);
	longest[TIMEFMT_MAX_BYTES] = '\0';
	assert_int_equal(timefmt_compile(longest, &format, NULL), 0);
}

static void test_says_what_a_format_has(void **state)
{
	(void)state;
	struct timefmt f = compile("%Y-%m-%d");
	assert_true(f.has_date && !f.has_time && !f.has_epoch);
	f = compile("%H:%M");
	assert_true(!f.has_date && f.has_time && !f.has_epoch);
	f = compile("%s");
	assert_true(f.has_date && f.has_time && f.has_epoch);
}

static struct civil_time parse(const char *format_text, const char *text)
{
	const struct timefmt format = compile(format_text);
	struct civil_time t;
	assert_int_equal(timefmt_parse(&format, text, strlen(text), &t), 0);
	return t;
}

static void test_combines_two_columns(void **state)
{
	(void)state;
	const struct civil_time date = parse("%Y/%m/%d", "2019/04/01");
	const struct civil_time time = parse("%H:%M:%S", "12:04:43");
	const struct civil_time both = parse("%Y/%m/%d %H:%M", "2019/04/01 01:00");
	struct civil_time t;
	int64_t us;
	assert_int_equal(civil_time_combine(&date, &time, &t), 0);
	assert_int_equal(civil_time_utc_us(&t, NULL, &us), 0);
	assert_int_equal(us, utc_us(2019, 4, 1, 12, 4, 43, 0));
	struct tz *zone = NULL;
	assert_int_equal(tz_load("America/New_York", &zone, NULL), 0);
	assert_int_equal(civil_time_utc_us(&t, zone, &us), 0);
	assert_int_equal(us, utc_us(2019, 4, 1, 16, 4, 43, 0));
	/* An offset in the text counts more than the zone. */
	const struct civil_time with_offset = parse("%H:%M%z", "12:00+07:00");
	assert_int_equal(civil_time_combine(&date, &with_offset, &t), 0);
	assert_int_equal(civil_time_utc_us(&t, zone, &us), 0);
	assert_int_equal(us, utc_us(2019, 4, 1, 5, 0, 0, 0));
	tz_free(zone);

	assert_int_equal(civil_time_combine(&time, &date, &t), ERROR_INPUT);
	assert_int_equal(civil_time_combine(&date, &date, &t), ERROR_INPUT);
	assert_int_equal(civil_time_combine(&both, &time, &t), ERROR_INPUT);
	assert_int_equal(civil_time_combine(&date, &both, &t), ERROR_INPUT);
	us = 7;
	assert_int_equal(civil_time_utc_us(&time, NULL, &us), ERROR_INPUT);
	assert_int_equal(us, 7);
}

static void test_reads_what_strftime_writes(void **state)
{
	(void)state;
	static const char *const FORMATS[] = {"%Y-%m-%d %H:%M:%S", "%d/%m/%Y %I.%M.%S%p", "%b %d %Y %H%M%S", "%s"};
	uint64_t random = UINT64_C(0x2545f4914f6cdd1d);
	for (int i = 0; i < 20000; i++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		const time_t t = (time_t)(random % UINT64_C(7258118400));
		struct tm tm;
		assert_non_null(gmtime_r(&t, &tm));
		for (size_t k = 0; k < sizeof(FORMATS) / sizeof(FORMATS[0]); k++) {
			char text[64];
			if (strcmp(FORMATS[k], "%s") == 0)
				snprintf(text, sizeof(text), "%lld", (long long)t);
			else
			/* The formats are the ones above. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
				assert_true(strftime(text, sizeof(text), FORMATS[k], &tm) > 0);
#pragma GCC diagnostic pop
			assert_int_equal(instant(FORMATS[k], text), (int64_t)t * 1000000);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_times),          cmocka_unit_test(test_refuses_what_does_not_match),
		cmocka_unit_test(test_refuses_formats),      cmocka_unit_test(test_says_what_a_format_has),
		cmocka_unit_test(test_combines_two_columns), cmocka_unit_test(test_reads_what_strftime_writes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
