#include "base/timefmt.h"

#include <string.h>

#define SECONDS_PER_DAY 86400
/* 9999-12-31 23:59:59 UTC, and as far back. */
#define EPOCH_MAX_S INT64_C(253402300799)

static const char FIELDS[] = "YymbdHIMSpfzs";

/* Which fields a format has, by their place in FIELDS. */
static bool has(const unsigned counts[], char field)
{
	return counts[strchr(FIELDS, field) - FIELDS] > 0;
}

static const char *check_date(const unsigned n[])
{
	if (has(n, 'Y') && has(n, 'y'))
		return "has the year twice (%Y and %y)";
	if (has(n, 'm') && has(n, 'b'))
		return "has the month twice (%m and %b)";
	const int parts = (has(n, 'Y') || has(n, 'y')) + (has(n, 'm') || has(n, 'b')) + has(n, 'd');
	if (parts != 0 && parts != 3)
		return "has a part of a date only; a date is a year (%Y or %y), a month (%m or %b) and a day (%d)";
	return NULL;
}

static const char *check_time(const unsigned n[])
{
	if (has(n, 'H') && has(n, 'I'))
		return "has the hour twice (%H and %I)";
	if (has(n, 'I') != has(n, 'p'))
		return has(n, 'I') ? "has an hour to 12 (%I) without AM or PM (%p)"
				   : "has AM or PM (%p) without an hour to 12 (%I)";
	if (has(n, 'M') && !has(n, 'H') && !has(n, 'I'))
		return "has minutes without an hour (%H, or %I and %p)";
	if (has(n, 'S') && !has(n, 'M'))
		return "has seconds without minutes (%M)";
	if (has(n, 'f') && !has(n, 'S') && !has(n, 's'))
		return "has a fraction (%f) without seconds (%S or %s)";
	if (has(n, 'z') && !has(n, 'H') && !has(n, 'I'))
		return "has an offset (%z) without an hour";
	return NULL;
}

static const char *check_fields(const unsigned n[])
{
	unsigned total = 0;
	for (size_t i = 0; i < sizeof(FIELDS) - 1; i++) {
		if (n[i] > 1)
			return "has a field twice";
		total += n[i];
	}
	if (total == 0)
		return "has no field; expected something like %Y-%m-%d";
	if (has(n, 's'))
		return total == 1u + has(n, 'f') ? NULL
						 : "has other fields beside %s, which is a date and a time by itself";
	const char *const wrong = check_date(n);
	return wrong ? wrong : check_time(n);
}

int timefmt_compile(const char *format, struct timefmt *out, struct error *err)
{
	struct timefmt f = {0};
	unsigned counts[sizeof(FIELDS) - 1] = {0};
	if (strlen(format) > TIMEFMT_MAX_BYTES)
		return error_set(err, ERROR_CONFIG, "'%.80s…' is longer than %u bytes", format, TIMEFMT_MAX_BYTES);
	for (const char *at = format; *at; at++) {
		if (*at != '%') {
			f.parts[f.n_parts++].literal = *at;
			continue;
		}
		at++;
		if (*at == '%') {
			f.parts[f.n_parts++].literal = '%';
			continue;
		}
		const char *const known = *at ? strchr(FIELDS, *at) : NULL;
		if (!known)
			return error_set(err, ERROR_CONFIG,
					 "'%s' has %%%c, which is no field; expected %%Y %%y %%m %%b %%d %%H %%I %%p "
					 "%%M %%S %%f %%z %%s or %%%%",
					 format, *at ? *at : ' ');
		counts[known - FIELDS]++;
		f.parts[f.n_parts++].field = *at;
	}
	const char *const wrong = check_fields(counts);
	if (wrong)
		return error_set(err, ERROR_CONFIG, "'%s' %s", format, wrong);
	f.has_epoch = has(counts, 's');
	f.has_date = f.has_epoch || has(counts, 'd');
	f.has_time = f.has_epoch || has(counts, 'H') || has(counts, 'I');
	*out = f;
	return 0;
}

struct reader {
	const char *at;
	const char *end;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* `min` to `max` digits, as many as there are; the value must be in [low, high]. *n is how many there were. */
static bool read_number(struct reader *r, int min, int max, int64_t low, int64_t high, int64_t *out, int *n)
{
	int64_t value = 0;
	int digits = 0;
	for (; digits < max && r->at < r->end && is_digit(*r->at); r->at++, digits++)
		value = value * 10 + (*r->at - '0');
	if (digits < min || value < low || value > high)
		return false;
	*out = value;
	if (n)
		*n = digits;
	return true;
}

static bool read_small(struct reader *r, int digits_min, int digits_max, int low, int high, int *out)
{
	int64_t value;
	if (!read_number(r, digits_min, digits_max, low, high, &value, NULL))
		return false;
	*out = (int)value;
	return true;
}

static char upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

/* One of `n` words of `width` letters in any case; *out is its number. */
static bool read_word(struct reader *r, const char *words, int n, int width, int *out)
{
	if (r->end - r->at < width)
		return false;
	for (int i = 0; i < n; i++) {
		int same = 0;
		while (same < width && upper(r->at[same]) == words[i * width + same])
			same++;
		if (same == width) {
			r->at += width;
			*out = i;
			return true;
		}
	}
	return false;
}

static bool read_fraction(struct reader *r, int32_t *micro)
{
	int64_t value;
	int digits;
	if (!read_number(r, 1, 6, 0, 999999, &value, &digits))
		return false;
	for (; digits < 6; digits++)
		value *= 10;
	*micro = (int32_t)value;
	return true;
}

static bool read_offset(struct reader *r, int32_t *offset_s)
{
	if (r->at < r->end && *r->at == 'Z') {
		r->at++;
		*offset_s = 0;
		return true;
	}
	if (r->at == r->end || (*r->at != '+' && *r->at != '-'))
		return false;
	const bool west = *r->at++ == '-';
	int hours;
	int minutes;
	if (!read_small(r, 2, 2, 0, 23, &hours))
		return false;
	if (r->at < r->end && *r->at == ':')
		r->at++;
	if (!read_small(r, 2, 2, 0, 59, &minutes))
		return false;
	*offset_s = (west ? -1 : 1) * (hours * 3600 + minutes * 60);
	return true;
}

static bool read_epoch(struct reader *r, int64_t *epoch_s)
{
	const bool negative = r->at < r->end && *r->at == '-';
	if (negative)
		r->at++;
	int64_t value;
	if (!read_number(r, 1, 12, 0, EPOCH_MAX_S, &value, NULL))
		return false;
	*epoch_s = negative ? -value : value;
	return true;
}

struct fields {
	int year;
	int month;
	int day;
	int hour;
	int minute;
	int second;
	int half; /* 0 AM, 1 PM */
	bool has_half;
};

static bool read_field(struct reader *r, char field, struct fields *f, struct civil_time *t)
{
	switch (field) {
	case 'Y':
		return read_small(r, 4, 4, 1, 9999, &f->year);
	case 'y':
		if (!read_small(r, 2, 2, 0, 99, &f->year))
			return false;
		f->year += f->year >= 69 ? 1900 : 2000;
		return true;
	case 'm':
		return read_small(r, 1, 2, 1, 12, &f->month);
	case 'b':
		if (!read_word(r, "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC", 12, 3, &f->month))
			return false;
		f->month++;
		return true;
	case 'd':
		return read_small(r, 1, 2, 1, 31, &f->day);
	case 'H':
		return read_small(r, 1, 2, 0, 23, &f->hour);
	case 'I':
		return read_small(r, 1, 2, 1, 12, &f->hour);
	case 'p':
		f->has_half = true;
		return read_word(r, "AMPM", 2, 2, &f->half);
	case 'M':
		return read_small(r, 1, 2, 0, 59, &f->minute);
	case 'S':
		return read_small(r, 1, 2, 0, 59, &f->second);
	case 'f':
		return read_fraction(r, &t->micro);
	case 'z':
		t->has_offset = true;
		return read_offset(r, &t->offset_s);
	case 's':
		return read_epoch(r, &t->epoch_s);
	default:
		return false;
	}
}

int timefmt_parse(const struct timefmt *format, const char *text, size_t len, struct civil_time *out)
{
	struct reader r = {text, text + len};
	struct fields f = {0};
	struct civil_time t = {
		.has_date = format->has_date, .has_time = format->has_time, .has_epoch = format->has_epoch};
	for (unsigned i = 0; i < format->n_parts; i++) {
		if (format->parts[i].field) {
			if (!read_field(&r, format->parts[i].field, &f, &t))
				return ERROR_INPUT;
		} else if (r.at == r.end || *r.at++ != format->parts[i].literal) {
			return ERROR_INPUT;
		}
	}
	if (r.at != r.end)
		return ERROR_INPUT;
	if (t.has_date && !t.has_epoch) {
		if (!civil_valid(f.year, f.month, f.day))
			return ERROR_INPUT;
		t.day = civil_days(f.year, f.month, f.day);
	}
	if (f.has_half)
		f.hour = f.hour % 12 + 12 * f.half;
	t.second = f.hour * 3600 + f.minute * 60 + f.second;
	*out = t;
	return 0;
}

int civil_time_combine(const struct civil_time *date, const struct civil_time *time, struct civil_time *out)
{
	if (!date->has_date || date->has_time || !time->has_time || time->has_date)
		return ERROR_INPUT;
	struct civil_time t = *time;
	t.has_date = true;
	t.day = date->day;
	*out = t;
	return 0;
}

int civil_time_utc_us(const struct civil_time *time, const struct tz *zone, int64_t *utc_us)
{
	if (!time->has_date)
		return ERROR_INPUT;
	int64_t utc_s = time->epoch_s;
	if (!time->has_epoch) {
		utc_s = (int64_t)time->day * SECONDS_PER_DAY + time->second;
		if (time->has_offset)
			utc_s -= time->offset_s;
		else if (zone)
			utc_s = tz_utc_of_local_s(zone, utc_s);
	}
	*utc_us = utc_s * 1000000 + time->micro;
	return 0;
}
