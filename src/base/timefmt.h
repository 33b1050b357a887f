/*
 * Dates and times in text, by a format that is compiled once.
 *
 *     struct timefmt format;
 *     rc = timefmt_compile("%d.%m.%Y %H:%M", &format, err);
 *     …
 *     struct civil_time t;
 *     rc = timefmt_parse(&format, "01.04.2019 12:04", 16, &t);
 *     if (rc == 0)
 *             rc = civil_time_utc_us(&t, zone, &utc_us);
 *
 * A strict subset of strptime(3): the whole text must match, byte by byte; no locale, no skipping of blanks.
 *
 *     %Y  year, 4 digits, 0001 to 9999      %y  year, 2 digits: 69 to 99 are 19xx, 00 to 68 are 20xx
 *     %m  month, 1 or 2 digits              %b  month: Jan to Dec, in any case
 *     %d  day, 1 or 2 digits                %H  hour 0 to 23, 1 or 2 digits (24 is refused)
 *     %I  hour 1 to 12, 1 or 2 digits       %p  AM or PM, in any case; needs %I, and %I needs it
 *     %M  minute, 1 or 2 digits             %S  second 0 to 59, 1 or 2 digits (60 is refused)
 *     %f  fraction of a second, 1 to 6 digits
 *     %z  offset from UTC: Z, +hh:mm or +hhmm
 *     %s  seconds since 1970-01-01 UTC: a whole number
 *     %%  a per cent sign                   anything else stands for itself
 *
 * Not tied to a thread; a compiled format is immutable.
 */
#ifndef PUNCHCARD_BASE_TIMEFMT_H
#define PUNCHCARD_BASE_TIMEFMT_H

#include "base/error.h"
#include "base/tz.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of a format: longer than any that a file has. */
#define TIMEFMT_MAX_BYTES 64u

struct timefmt {
	/* One element a field or literal byte: `field` is the letter behind '%', or NUL with `literal`. */
	struct {
		char field;
		char literal;
	} parts[TIMEFMT_MAX_BYTES];
	unsigned n_parts;
	bool has_date;  /* year, month and day, or %s */
	bool has_time;  /* hour, or %s */
	bool has_epoch; /* %s: the instant itself */
};

/* What a text said. Parts that its format has not are 0. */
struct civil_time {
	bool has_date;
	bool has_time;
	bool has_offset; /* %z */
	bool has_epoch;  /* %s: then only epoch_s and micro count */
	int32_t day;     /* days since 1970-01-01 */
	int32_t second;  /* of the day: 0 to 86399 */
	int32_t micro;   /* of the second: 0 to 999999 */
	int32_t offset_s;
	int64_t epoch_s;
};

/* Compiles a format of at most TIMEFMT_MAX_BYTES. ERROR_CONFIG with a message that begins with the format in quotes: an
 * unknown field, one that is there twice or contradicts another, a date or time with a part missing. */
int timefmt_compile(const char *format, struct timefmt *out, struct error *err);
/* 0, or ERROR_INPUT: the text does not match, or is no date of the calendar. */
int timefmt_parse(const struct timefmt *format, const char *text, size_t len, struct civil_time *out);
/* One time of a date and a time of day that came apart (two columns). ERROR_INPUT when `date` has no date, `time` has no
 * time of day, or a part is in both. */
int civil_time_combine(const struct civil_time *date, const struct civil_time *time, struct civil_time *out);
/* The instant in UTC microseconds: by %s or %z when they are there, else in `zone` (as tz_utc_of_local_s; NULL is UTC). A
 * date alone is its midnight. ERROR_INPUT without a date. */
int civil_time_utc_us(const struct civil_time *time, const struct tz *zone, int64_t *utc_us);

#endif
