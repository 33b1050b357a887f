/*
 * A key and its value, in an object of the JSON that commands print.
 */
#ifndef PUNCHCARD_CLI_JSON_KEYS_H
#define PUNCHCARD_CLI_JSON_KEYS_H

#include "base/json.h"
#include "base/tz.h"
#include "loyalty/programme.h"

static inline void key_text(struct json *out, const char *key, const char *value) /* NULL writes null */
{
	json_key(out, key);
	json_text(out, value);
}

static inline void key_int(struct json *out, const char *key, int64_t value)
{
	json_key(out, key);
	json_int(out, value);
}

static inline void key_uint(struct json *out, const char *key, uint64_t value)
{
	json_key(out, key);
	json_uint(out, value);
}

static inline void key_decimal(struct json *out, const char *key, int64_t value, unsigned scale)
{
	json_key(out, key);
	json_decimal(out, value, scale);
}

static inline void key_points(struct json *out, const char *key, int64_t points_milli)
{
	key_decimal(out, key, points_milli, 3);
}

/* UTC microseconds; 0: never, which is null. */
static inline void key_time(struct json *out, const char *key, int64_t time_us)
{
	json_key(out, key);
	if (time_us == 0)
		json_null(out);
	else
		json_time(out, time_us);
}

/* DAY_MIN and DAY_MAX are no days, which is null. */
static inline void key_day(struct json *out, const char *key, int32_t day)
{
	char date[11];
	json_key(out, key);
	if (day == DAY_MIN || day == DAY_MAX) {
		json_null(out);
		return;
	}
	civil_format(day, date);
	json_text(out, date);
}

#endif
