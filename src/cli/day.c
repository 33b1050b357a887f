#include "cli/day.h"

#include "base/tz.h"

#include <time.h>

#define US_PER_SECOND INT64_C(1000000)

int32_t day_today(const struct deployment *deployment)
{
	return tz_local_day(deployment->programme->timezone, (int64_t)time(NULL) * US_PER_SECOND);
}

int day_check(const struct deployment *deployment, int32_t day, struct error *err)
{
	const int32_t today = day_today(deployment);
	if (day <= today)
		return 0;
	char date[11];
	char now[11];
	civil_format(day, date);
	civil_format(today, now);
	return error_set(err, ERROR_USAGE, "--data-dt %s: that day has not begun yet in %s, where it is %s", date,
			 tz_name(deployment->programme->timezone), now);
}
