#include "cli/day.h"

#include "base/clock.h"
#include "base/tz.h"
#include "cli/command.h"

#include <getopt.h>
#include <string.h>

enum { OPTION_DATA_DT = 256, OPTION_JSON };

static const struct option OPTIONS[] = {
	{"data-dt", required_argument, NULL, OPTION_DATA_DT},
	{"json", no_argument, NULL, OPTION_JSON},
	{NULL, 0, NULL, 0},
};

int32_t day_today(const struct deployment *deployment)
{
	return tz_local_day(deployment->programme->timezone, clock_now_us());
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

int day_parse_options(const char *command, int argc, char **argv, struct day_options *out)
{
	struct day_options options = {0};
	int option;
	opterr = 0;
	while ((option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1) {
		switch (option) {
		case OPTION_DATA_DT:
			options.date = optarg;
			break;
		case OPTION_JSON:
			options.json = true;
			break;
		default:
			return cli_usage_error(command, "unknown option, or one without its value: '%s'",
					       argv[optind - 1]);
		}
	}
	if (optind < argc)
		return cli_usage_error(command, "'%s' is one argument too many", argv[optind]);
	if (options.date && civil_parse(options.date, strlen(options.date), &options.day) < 0)
		return cli_usage_error(command, "--data-dt %s: expected a date, yyyy-mm-dd", options.date);
	*out = options;
	return EXIT_OK;
}
