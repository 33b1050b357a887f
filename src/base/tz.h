/*
 * Time zones and the civil calendar, without global state: a zone is read once and is then pure data.
 *
 *     struct tz *zone = NULL;
 *     if (tz_load("America/New_York", &zone, err) < 0) …
 *     int32_t day = tz_local_day(zone, utc_us);     // days since 1970-01-01, local
 *     tz_free(zone);
 *
 * Source: TZif (RFC 8536) from the system's zoneinfo; the footer's POSIX rule goes on where the table ends. A loaded zone
 * is immutable: any number of threads may use it.
 */
#ifndef PUNCHCARD_BASE_TZ_H
#define PUNCHCARD_BASE_TZ_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tz;

/* Loads an IANA zone by name ("Asia/Bangkok", "UTC"). ERROR_NOT_FOUND for a name that is not in the zoneinfo (a name with
 * "..", a leading "/" or odd characters included), ERROR_CORRUPT for a file that is no TZif. The caller frees *out. */
int tz_load(const char *name, struct tz **out, struct error *err);
void tz_free(struct tz *tz);
/* The name that was loaded; lives as long as the zone. */
const char *tz_name(const struct tz *tz);

/* Offset of local time from UTC, in seconds east, at a UTC instant in seconds. Defined from 1900 to 2200. */
int32_t tz_offset_s(const struct tz *tz, int64_t utc_s);
/* Local calendar day of an instant in UTC microseconds: days since 1970-01-01. */
int32_t tz_local_day(const struct tz *tz, int64_t utc_us);
/* The UTC second of a local wall-clock time (seconds since 1970-01-01 00:00 as if it were UTC). Of two instants with that
 * wall-clock time (clocks set back) the earlier; a time that does not exist (clocks set forward) is moved forward by the
 * gap. */
int64_t tz_utc_of_local_s(const struct tz *tz, int64_t local_s);

/* Days since 1970-01-01 of a proleptic Gregorian date; month 1 to 12, day 1 to 31 (not checked). Year -9999 to 99999.
 * Algorithm: H. Hinnant, "chrono-compatible low-level date algorithms". */
int32_t civil_days(int year, int month, int day);
/* The inverse. */
void civil_date(int32_t days, int *year, int *month, int *day);
/* Whether it is a date of the calendar (29 February only in leap years). */
bool civil_valid(int year, int month, int day);
/* The day so many months later (earlier when negative): the same day of the month, or the last day of a shorter month. Both days
 * of year -9999 to 99999. */
int32_t civil_add_months(int32_t days, int32_t months);
/* The same of `n` days from `first` on, into out[0] to out[n - 1]: a few instructions a day. */
void civil_add_months_each(int32_t first, uint32_t n, int32_t months, int32_t *out);
/* Strictly "yyyy-mm-dd" (10 bytes, year 0001 to 9999): 0 and *days, or ERROR_INPUT. */
int civil_parse(const char *text, size_t len, int32_t *days);
/* Writes "yyyy-mm-dd" and a NUL into out[11]. */
void civil_format(int32_t days, char out[11]);
/* Writes "yyyy-mm-dd hh:mm:ss" and a NUL into out[20]: local time of an instant in UTC microseconds; NULL zone = UTC. */
void civil_format_time(const struct tz *tz, int64_t utc_us, char out[20]);

#endif
