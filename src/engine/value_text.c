/* Single values as text. */
#include "engine/value_internal.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define US_PER_SECOND INT64_C(1000000)
#define DAY_S         INT64_C(86400)

/* Digits of an unsigned number, at the end of a buffer with room for sign, mark and the 39 digits of 2^128. */
struct digits {
	char text[48];
	unsigned start;
};

static void prepend(struct digits *digits, char c)
{
	digits->text[--digits->start] = c;
}

static int append_digits(const struct digits *digits, struct buf *out)
{
	return buf_append(out, digits->text + digits->start, sizeof(digits->text) - digits->start);
}

/* value · 10^-scale: at least one digit before the mark, scale behind it. */
static void write_digits(unsigned __int128 value, unsigned scale, struct digits *digits)
{
	digits->start = sizeof(digits->text);
	unsigned written = 0;
	/* Numbers of 128 bits are rare, and dividing them is slow. */
	for (; value > UINT64_MAX; value /= 10, written++) {
		if (written == scale && scale)
			prepend(digits, '.');
		prepend(digits, (char)('0' + (char)(value % 10)));
	}
	for (uint64_t rest = (uint64_t)value; rest > 0 || written <= scale; rest /= 10, written++) {
		if (written == scale && scale)
			prepend(digits, '.');
		prepend(digits, (char)('0' + (char)(rest % 10)));
	}
}

int text_of_integer(__int128 value, struct buf *out)
{
	return text_of_decimal(value, 0, out);
}

int text_of_uhugeint(duckdb_uhugeint value, struct buf *out)
{
	struct digits digits;
	write_digits((unsigned __int128)value.upper << 64 | value.lower, 0, &digits);
	return append_digits(&digits, out);
}

int text_of_decimal(__int128 value, unsigned scale, struct buf *out)
{
	struct digits digits;
	write_digits(value < 0 ? -(unsigned __int128)value : (unsigned __int128)value, scale, &digits);
	if (value < 0)
		prepend(&digits, '-');
	return append_digits(&digits, out);
}

/* Infinity and NaN; false for other numbers. */
static bool name_of_special(double value, const char **name)
{
	if (isnan(value))
		*name = "nan";
	else if (isinf(value))
		*name = value < 0 ? "-inf" : "inf";
	else
		return false;
	return true;
}

/* Whole numbers get a ".0": that it is no integer shall be seen. Below 10^16 they stand without an exponent. */
static int append_floating(const char *text, struct buf *out)
{
	const double value = strtod(text, NULL);
	if (strchr(text, 'e') && fabs(value) >= 1 && fabs(value) < 1e16)
		return buf_printf(out, "%.0f.0", value);
	return buf_printf(out, "%s%s", text, strpbrk(text, ".e") ? "" : ".0");
}

int text_of_double(double value, struct buf *out)
{
	const char *name = NULL;
	if (name_of_special(value, &name))
		return buf_append_text(out, name);
	char text[40];
	for (int digits = DBL_DIG; digits <= DBL_DECIMAL_DIG; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	return append_floating(text, out);
}

int text_of_float(float value, struct buf *out)
{
	const char *name = NULL;
	if (name_of_special((double)value, &name))
		return buf_append_text(out, name);
	char text[40];
	for (int digits = FLT_DIG; digits <= FLT_DECIMAL_DIG; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, (double)value);
		if (strtof(text, NULL) == value)
			break;
	}
	return append_floating(text, out);
}

int text_of_date(int32_t days, struct buf *out)
{
	const duckdb_date date = {days};
	if (!duckdb_is_finite_date(date))
		return buf_append_text(out, days < 0 ? "-infinity" : "infinity");
	const duckdb_date_struct parts = duckdb_from_date(date);
	return buf_printf(out, "%04" PRId32 "-%02d-%02d%s", parts.year > 0 ? parts.year : 1 - parts.year, parts.month,
			  parts.day, parts.year > 0 ? "" : " (BC)");
}

/* ".123" behind seconds: the fraction without zeros at its end, nothing when it is 0. */
static int append_fraction(int64_t fraction, int64_t units_per_second, struct buf *out)
{
	if (fraction == 0)
		return 0;
	int digits = 0;
	for (int64_t unit = units_per_second; unit > 1; unit /= 10)
		digits++;
	while (fraction % 10 == 0) {
		fraction /= 10;
		digits--;
	}
	return buf_printf(out, ".%0*" PRId64, digits, fraction);
}

int text_of_time(int64_t value, int64_t units_per_second, struct buf *out)
{
	const int64_t seconds = value / units_per_second;
	const int rc = buf_printf(out, "%02" PRId64 ":%02" PRId64 ":%02" PRId64, seconds / 3600, seconds / 60 % 60,
				  seconds % 60);
	return rc < 0 ? rc : append_fraction(value % units_per_second, units_per_second, out);
}

int text_of_timestamp(int64_t value, int64_t units_per_second, const char *suffix, struct buf *out)
{
	if (value == INT64_MAX || value == -INT64_MAX)
		return buf_append_text(out, value < 0 ? "-infinity" : "infinity");
	const int64_t units_per_day = DAY_S * units_per_second;
	int64_t days = value / units_per_day;
	int64_t rest = value % units_per_day;
	if (rest < 0) {
		days--;
		rest += units_per_day;
	}
	int rc = text_of_date((int32_t)days, out);
	if (rc == 0)
		rc = buf_append(out, " ", 1);
	if (rc == 0)
		rc = text_of_time(rest, units_per_second, out);
	return rc < 0 ? rc : buf_append_text(out, suffix);
}

int text_of_time_tz(duckdb_time_tz value, struct buf *out)
{
	const duckdb_time_tz_struct parts = duckdb_from_time_tz(value);
	const int64_t us = ((parts.time.hour * INT64_C(60) + parts.time.min) * 60 + parts.time.sec) * US_PER_SECOND +
			   parts.time.micros;
	int rc = text_of_time(us, US_PER_SECOND, out);
	const int offset_s = abs(parts.offset);
	if (rc == 0)
		rc = buf_printf(out, "%c%02d", parts.offset < 0 ? '-' : '+', offset_s / 3600);
	if (rc == 0 && offset_s % 3600)
		rc = buf_printf(out, ":%02d", offset_s / 60 % 60);
	if (rc == 0 && offset_s % 60)
		rc = buf_printf(out, ":%02d", offset_s % 60);
	return rc;
}

static int append_unit(int32_t count, const char *unit, size_t start, struct buf *out)
{
	if (count == 0)
		return 0;
	return buf_printf(out, "%s%" PRId32 " %s%s", out->len > start ? " " : "", count, unit,
			  count == 1 || count == -1 ? "" : "s");
}

int text_of_interval(duckdb_interval value, struct buf *out)
{
	const size_t start = out->len;
	int rc = append_unit(value.months / 12, "year", start, out);
	if (rc == 0)
		rc = append_unit(value.months % 12, "month", start, out);
	if (rc == 0)
		rc = append_unit(value.days, "day", start, out);
	if (rc < 0 || (value.micros == 0 && out->len > start))
		return rc;
	rc = buf_printf(out, "%s%s", out->len > start ? " " : "", value.micros < 0 ? "-" : "");
	if (rc < 0)
		return rc;
	/* -INT64_MIN is no int64_t; one microsecond less than 292,471 years is near enough for a text. */
	const int64_t size = value.micros == INT64_MIN ? INT64_MAX : value.micros < 0 ? -value.micros : value.micros;
	return text_of_time(size, US_PER_SECOND, out);
}

int text_of_uuid(duckdb_hugeint value, struct buf *out)
{
	/* DuckDB flips the top bit, so that UUIDs sort as numbers. */
	const uint64_t upper = (uint64_t)value.upper ^ (UINT64_C(1) << 63);
	return buf_printf(out, "%08" PRIx64 "-%04" PRIx64 "-%04" PRIx64 "-%04" PRIx64 "-%012" PRIx64, upper >> 32,
			  upper >> 16 & 0xffff, upper & 0xffff, value.lower >> 48,
			  value.lower & UINT64_C(0xffffffffffff));
}

int text_of_blob(struct slice bytes, struct buf *out)
{
	for (size_t i = 0; i < bytes.len; i++) {
		const unsigned char c = (unsigned char)bytes.data[i];
		const bool is_plain = c >= 0x20 && c < 0x7f && c != '\\' && c != '\'' && c != '"';
		const int rc = is_plain ? buf_append(out, bytes.data + i, 1) : buf_printf(out, "\\x%02X", c);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int text_of_bit(struct slice bytes, struct buf *out)
{
	/* The first byte tells how many bits at the start of the second are padding. */
	for (size_t bit = bytes.len ? (unsigned char)bytes.data[0] : 0; bit + 8 < bytes.len * 8; bit++) {
		const unsigned byte = (unsigned char)bytes.data[1 + bit / 8];
		const int rc = buf_append(out, byte >> (7 - bit % 8) & 1 ? "1" : "0", 1);
		if (rc < 0)
			return rc;
	}
	return 0;
}
