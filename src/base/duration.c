#include "base/duration.h"

#include <inttypes.h>
#include <stdio.h>

#define MILLI  UINT64_C(1000)
#define SECOND UINT64_C(1000000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

const char *duration_text(int64_t us, char out[DURATION_TEXT_MAX])
{
	const uint64_t size = us < 0 ? 0 - (uint64_t)us : (uint64_t)us;
	const char *const sign = us < 0 ? "-" : "";
	if (size < MILLI)
		snprintf(out, DURATION_TEXT_MAX, "%s%" PRIu64 "us", sign, size);
	else if (size < 100 * MILLI)
		snprintf(out, DURATION_TEXT_MAX, "%s%" PRIu64 ".%" PRIu64 "ms", sign, size / MILLI, size / 100 % 10);
	else if (size < SECOND)
		snprintf(out, DURATION_TEXT_MAX, "%s%" PRIu64 "ms", sign, size / MILLI);
	else if (size < MINUTE)
		snprintf(out, DURATION_TEXT_MAX, "%s%" PRIu64 ".%02" PRIu64 "s", sign, size / SECOND,
			 size / (10 * MILLI) % 100);
	else if (size < HOUR)
		snprintf(out, DURATION_TEXT_MAX, "%s%" PRIu64 "m%02" PRIu64 "s", sign, size / MINUTE,
			 size / SECOND % 60);
	else if (size < 2 * DAY)
		snprintf(out, DURATION_TEXT_MAX, "%s%" PRIu64 "h%02" PRIu64 "m", sign, size / HOUR, size / MINUTE % 60);
	else
		snprintf(out, DURATION_TEXT_MAX, "%s%" PRIu64 "d%02" PRIu64 "h", sign, size / DAY, size / HOUR % 24);
	return out;
}

const char *duration_seconds_text(int64_t us, char out[DURATION_TEXT_MAX])
{
	if (us > -(int64_t)MINUTE && us < (int64_t)MINUTE)
		snprintf(out, DURATION_TEXT_MAX, "%" PRId64 "s", us / (int64_t)SECOND);
	else
		duration_text(us, out);
	return out;
}
