/* The proleptic Gregorian calendar of tz.h. */
#include "base/tz.h"

#include <string.h>

/* Days from 1970-01-01 to 0000-03-01, where the algorithm's 400-year eras begin (years begin in March there, so that a leap
 * day is the last of its year). */
#define ERA_SHIFT_DAYS  719468
#define DAYS_PER_ERA    146097

#define SECONDS_PER_DAY 86400

int32_t civil_days(int year, int month, int day)
{
	const int y = month <= 2 ? year - 1 : year;
	const int era = (y >= 0 ? y : y - 399) / 400;
	const int year_of_era = y - era * 400;
	const int day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	const int day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
	return era * DAYS_PER_ERA + day_of_era - ERA_SHIFT_DAYS;
}

void civil_date(int32_t days, int *year, int *month, int *day)
{
	/* 64 bits, so that the extremes of int32_t do not overflow. */
	const int64_t z = (int64_t)days + ERA_SHIFT_DAYS;
	const int64_t era = (z >= 0 ? z : z - (DAYS_PER_ERA - 1)) / DAYS_PER_ERA;
	const int day_of_era = (int)(z - era * DAYS_PER_ERA);
	const int year_of_era =
		(day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / (DAYS_PER_ERA - 1)) / 365;
	const int day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	const int shifted_month = (5 * day_of_year + 2) / 153;
	*day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
	*month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
	*year = (int)(era * 400) + year_of_era + (*month <= 2);
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
	int year;
	int month;
	int day;
	civil_date(days, &year, &month, &day);
	const int count = year * 12 + month - 1 + months;
	year = count / 12 - (count % 12 < 0);
	month = count - year * 12 + 1;
	const int last = days_of_month(year, month);
	return civil_days(year, month, day < last ? day : last);
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
