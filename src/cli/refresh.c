#include "batch/refresh.h"

#include "base/json.h"
#include "base/tz.h"
#include "cli/command.h"
#include "cli/show.h"
#include "speed/collect.h"

#include <getopt.h>
#include <string.h>

static const char USAGE[] =
	"usage: punchcard [-C DIR] refresh --data-dt DATE [--json]\n"
	"\n"
	"Makes the partition of the loyalty table for one day: each customer's state at the end of that day, by the\n"
	"programme, with names by models/loyalty.sql. Readers see the old partition or the new one; running it again "
	"gives\n"
	"the same bytes.\n"
	"\n"
	"  --data-dt DATE   the day, yyyy-mm-dd, in the programme's timezone\n"
	"  --json           the report as one JSON object\n"
	"\n"
	"exit codes: 0 done; 1 it could not be done; 2 usage or configuration; 4 another process writes\n";

enum { OPTION_DATA_DT = 256, OPTION_JSON };

static const struct option OPTIONS[] = {
	{"data-dt", required_argument, NULL, OPTION_DATA_DT},
	{"json", no_argument, NULL, OPTION_JSON},
	{NULL, 0, NULL, 0},
};

static void print_report(const struct refresh_report *report, const char *date, bool as_json)
{
	char n[NUMBER_TEXT_MAX];
	if (!as_json) {
		printf("loyalty, data_dt %s: %s customers%s\n", date, number_text(report->customers, n),
		       report->unchanged ? " (unchanged)" : "");
		return;
	}
	struct json out;
	json_to_file(&out, stdout);
	json_object(&out);
	json_key(&out, "data_dt");
	json_text(&out, date);
	json_key(&out, "customers");
	json_uint(&out, report->customers);
	json_key(&out, "unchanged");
	json_bool(&out, report->unchanged);
	json_end_object(&out);
	json_newline(&out);
}

static int refresh(const struct cli *cli, const char *date, int32_t data_dt, bool as_json)
{
	struct error err = {0};
	struct deployment *deployment = NULL;
	struct refresh_report report = {0};
	if (deployment_open(cli->dir, DEPLOYMENT_WRITE, "refresh", &deployment, &err) < 0)
		return cli_fail(&err);
	int rc = collect_drain(deployment, &err);
	if (rc == 0)
		rc = refresh_loyalty(deployment, data_dt, &report, &err);
	deployment_close(deployment);
	if (rc < 0)
		return cli_fail(&err);
	print_report(&report, date, as_json);
	return EXIT_OK;
}

static int run(const struct cli *cli, int argc, char **argv)
{
	const char *date = NULL;
	bool as_json = false;
	int option;
	opterr = 0;
	while ((option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1) {
		switch (option) {
		case OPTION_DATA_DT:
			date = optarg;
			break;
		case OPTION_JSON:
			as_json = true;
			break;
		default:
			return cli_usage_error("refresh", "unknown option, or one without its value: '%s'",
					       argv[optind - 1]);
		}
	}
	if (optind < argc)
		return cli_usage_error("refresh", "'%s' is one argument too many", argv[optind]);
	int32_t data_dt;
	if (!date)
		return cli_usage_error("refresh", "which day? --data-dt yyyy-mm-dd");
	if (civil_parse(date, strlen(date), &data_dt) < 0)
		return cli_usage_error("refresh", "--data-dt %s: expected a date, yyyy-mm-dd", date);
	return refresh(cli, date, data_dt, as_json);
}

const struct command command_refresh = {
	.name = "refresh",
	.summary = "make the loyalty table of a day",
	.usage = USAGE,
	.run = run,
};
