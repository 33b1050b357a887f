#include "serving/explain.h"

#include "base/clock.h"
#include "base/tz.h"
#include "cli/command.h"
#include "cli/reader.h"

#include <getopt.h>
#include <string.h>

static const char USAGE[] =
	"usage: punchcard [-C DIR] explain CUSTOMER [--as-of DATE] [--ledger NAME] [--json]\n"
	"\n"
	"Tells how a customer's balance came about: every entry of the ledger in order of time, with the event that "
	"made\n"
	"it, the rule and its version, and the arithmetic; then what is to come, and sums that must agree.\n"
	"\n"
	"  --as-of DATE    as it was at the end of that day, yyyy-mm-dd; else as of now\n"
	"  --ledger NAME   only entries of this ledger\n"
	"  --json          all of it as one JSON object\n"
	"\n"
	"Times are local ones of the programme's timezone; with --json they are UTC. The balance behind an entry "
	"counts\n"
	"points that are still pending, too. The events are folded once more by today's programme.yaml: that is what\n"
	"`customer` and the loyalty table of that day show, once they are of this programme, too. It only reads, and\n"
	"waits for nobody. On a cluster the events come from HBase, where they are as soon as they are shipped.\n"
	"\n"
	"exit codes: 0 done; 1 there is no such customer, or it could not be read; 2 usage or configuration; 130\n"
	"interrupted\n";

enum { OPTION_AS_OF = 256, OPTION_LEDGER, OPTION_JSON };

static const struct option OPTIONS[] = {
	{"as-of", required_argument, NULL, OPTION_AS_OF},
	{"ledger", required_argument, NULL, OPTION_LEDGER},
	{"json", no_argument, NULL, OPTION_JSON},
	{NULL, 0, NULL, 0},
};

static int explain(const struct cli *cli, const char *customer, struct explain_options *options, bool as_json)
{
	struct error err = {0};
	struct deployment *deployment = NULL;
	struct explain *explain = NULL;
	if (reader_open(cli, "explain", &deployment, &err) < 0)
		return cli_fail(&err);
	/* On a cluster a signal ends it at once, as it should. */
	int rc = deployment->config->cluster.on ? 0 : watch_start(0, &options->watch, &err);
	if (rc == 0)
		rc = explain_customer(deployment, customer, options, &explain, &err);
	watch_stop(options->watch);
	if (rc == 0)
		rc = as_json ? explain_print_json(explain, stdout, &err) : explain_print(explain, stdout, &err);
	explain_free(explain);
	deployment_close(deployment);
	return rc < 0 ? cli_fail(&err) : EXIT_OK;
}

static int run(const struct cli *cli, int argc, char **argv)
{
	struct explain_options options = {.now_us = clock_now_us()};
	bool as_json = false;
	opterr = 0;
	for (int option; (option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1;) {
		switch (option) {
		case OPTION_AS_OF:
			options.has_day = true;
			if (civil_parse(optarg, strlen(optarg), &options.day) < 0)
				return cli_usage_error("explain", "--as-of %s: expected a date, yyyy-mm-dd", optarg);
			break;
		case OPTION_LEDGER:
			options.ledger = slice_of(optarg);
			break;
		case OPTION_JSON:
			as_json = true;
			break;
		default:
			return cli_usage_error("explain", "unknown option, or one without its value: '%s'",
					       argv[optind - 1]);
		}
	}
	if (optind + 1 != argc)
		return cli_usage_error("explain", "which customer? One id, as in `punchcard explain 558`");
	return explain(cli, argv[optind], &options, as_json);
}

const struct command command_explain = {
	.name = "explain",
	.summary = "tell how a customer's balance came about",
	.usage = USAGE,
	.run = run,
};
