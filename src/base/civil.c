/* The proleptic Gregorian calendar of tz.h. */
#include "base/tz.h"

#include <string.h>

/* Days from 1970-01-01 to 0000-03-01, where the algorithm's 400-year eras begin (years begin in March there, so that a leap
 * day is the last of its year). */
#define ERA_SHIFT_DAYS 719468
#define DAYS_PER_ERA   146097

/* Added where a year or a day might be negative: unsigned divisions by constants are cheap. Years begin at -9999, or, of all
 * days of an int32_t, at -5877641. */
#define ERAS_BEFORE_YEARS 25
#define ERAS_BEFORE_DAYS  14700

#define SECONDS_PER_DAY   86400

/* A year from March on, shifted by ERAS_BEFORE_YEARS; month 0 is March, day 0 the first. */
static inline int32_t days_of(uint32_t year, uint32_t month, uint32_t day)
{
	const uint32_t century = year / 100;
	const uint32_t days = 365 * year + year / 4 - century + century / 4 + (153 * month + 2) / 5 + day;
	return (int32_t)days - ERAS_BEFORE_YEARS * DAYS_PER_ERA - ERA_SHIFT_DAYS;
}

int32_t civil_days(int year, int month, int day)
{
	const uint32_t y = (uint32_t)(year + 400 * ERAS_BEFORE_YEARS) - (month <= 2);
	return days_of(y, (uint32_t)(month > 2 ? month - 3 : month + 9), (uint32_t)day - 1);
}

/* C. Neri, L. Schneider, "Euclidean affine functions and their application to calendar algorithms" (2022): multiplications
 * in place of most divisions, as accounts count months with each order. */
static inline void split_days(int32_t days, int64_t *year, uint32_t *month, uint32_t *day)
{
	const uint64_t n = (uint64_t)((int64_t)days + ERA_SHIFT_DAYS + (int64_t)ERAS_BEFORE_DAYS * DAYS_PER_ERA);
	const uint64_t of_century = 4 * n + 3;
	const uint64_t century = of_century / DAYS_PER_ERA;
	/* 2939745 / 2^32 is a quarter of a day in years. */
	const uint64_t product = UINT64_C(2939745) * ((uint32_t)(of_century % DAYS_PER_ERA) | 3);
	const uint32_t year_of_century = (uint32_t)(product >> 32);
	const uint32_t day_of_year = (uint32_t)product / 2939745 / 4;
	/* 2141 / 2^16 is a day in months of 30.6 days, and half a day. */
	const uint32_t months = 2141 * day_of_year + 1305;
	*day = (months & 0xffff) / 2141;
	*month = months >> 16;
	*year = (int64_t)(100 * century + year_of_century) - 400 * ERAS_BEFORE_DAYS;
}

void civil_date(int32_t days, int *year, int *month, int *day)
{
	int64_t march_year;
	uint32_t march_month;
	uint32_t day_before;
	split_days(days, &march_year, &march_month, &day_before);
	const bool next_year = march_month >= 10;
	*day = (int)day_before + 1;
	*month = (int)march_month + (next_year ? -9 : 3);
	*year = (int)march_year + next_year;
}

static int days_of_month(int year, int month)
{
	static const int DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
	return DAYS[month - 1] + (month == 2 && leap);
}

bool civil_valid(int year, int month, int day)
{
	return month >= 1 && month <= 12 && day >= 1 && day <= days_of_month(year, month);
}

int32_t civil_add_months(int32_t days, int32_t months)
{
	int64_t year;
	uint32_t month;
	uint32_t day;
	split_days(days, &year, &month, &day);
	const uint32_t count = (uint32_t)(year + 400 * ERAS_BEFORE_YEARS) * 12 + month + (uint32_t)months;
	const uint32_t to_year = count / 12;
	const uint32_t to_month = count % 12;
	/* Only days that a month may not have are looked at closely. */
	if (day >= 28) {
		const int32_t first = days_of(to_year, to_month, 0);
		const int32_t next = to_month < 11 ? days_of(to_year, to_month + 1, 0) : days_of(to_year + 1, 0, 0);
		return first + (int32_t)day < next ? first + (int32_t)day : next - 1;
	}
	return days_of(to_year, to_month, day);
}

void civil_add_months_each(int32_t first, uint32_t n, int32_t months, int32_t *out)
{
	for (uint32_t i = 0; i < n;) {
		int year;
		int month;
		int day;
		civil_date(first + (int32_t)i, &year, &month, &day);
		const int32_t begin = first + (int32_t)i - day + 1;
		const int32_t to_begin = civil_add_months(begin, months);
		const int32_t to_last = civil_add_months(begin, months + 1) - 1;
		for (const int days = days_of_month(year, month); day <= days && i < n; day++, i++)
			out[i] = to_begin + day - 1 < to_last ? to_begin + day - 1 : to_last;
	}
}

static bool read_digits(const char *text, size_t n, int *out)
{
	int value = 0;
	for (size_t i = 0; i < n; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		value = value * 10 + (text[i] - '0');
	}
	*out = value;
	return true;
}

int civil_parse(const char *text, size_t len, int32_t *days)
{
	int year;
	int month;
	int day;
	if (len != 10 || text[4] != '-' || text[7] != '-' || !read_digits(text, 4, &year) ||
	    !read_digits(text + 5, 2, &month) || !read_digits(text + 8, 2, &day))
		return ERROR_INPUT;
	if (year < 1 || !civil_valid(year, month, day))
		return ERROR_INPUT;
	*days = civil_days(year, month, day);
	return 0;
}

/* `n` digits, zero padded; what does not fit is cut at the left, as the caller's buffer is fixed. */
static void write_digits(char *at, int n, int value)
{
	for (int i = n - 1; i >= 0; i--) {
		at[i] = (char)('0' + value % 10);
		value /= 10;
	}
}

void civil_format(int32_t days, char out[11])
{
	int year;
	int month;
	int day;
	civil_date(days, &year, &month, &day);
	write_digits(out, 4, year < 0 ? -year : year);
	if (year < 0)
		out[0] = '-';
	out[4] = '-';
	write_digits(out + 5, 2, month);
	out[7] = '-';
	write_digits(out + 8, 2, day);
	out[10] = '\0';
}

void civil_format_time(const struct tz *tz, int64_t utc_us, char out[20])
{
	int64_t second = utc_us / 1000000 - (utc_us % 1000000 < 0);
	if (tz)
		second += tz_offset_s(tz, second);
	const int64_t day = second / SECONDS_PER_DAY - (second % SECONDS_PER_DAY < 0);
	const int of_day = (int)(second - day * SECONDS_PER_DAY);
	civil_format((int32_t)day, out);
	out[10] = ' ';
	write_digits(out + 11, 2, of_day / 3600);
	out[13] = ':';
	write_digits(out + 14, 2, of_day / 60 % 60);
	out[16] = ':';
	write_digits(out + 17, 2, of_day % 60);
	out[19] = '\0';
}
