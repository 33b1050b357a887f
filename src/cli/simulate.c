#include "batch/simulate.h"

#include "base/decimal.h"
#include "base/file.h"
#include "base/tz.h"
#include "cli/cluster_progress.h"
#include "cli/command.h"
#include "cli/day.h"
#include "cli/show.h"
#include "cli/simulate_show.h"
#include "cli/stop.h"
#include "cluster/simulate.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static const char USAGE[] =
	"usage: punchcard [-C DIR] simulate --programme FILE [--data-dt DATE] [--value-per-point V] [--json]\n"
	"                 [--parquet FILE]\n"
	"\n"
	"Folds the whole history by another programme, beside today's, before you apply it: points issued, redeemed,\n"
	"expired and outstanding, what they cost, who changes tier, how many customers gain or lose how much, and the\n"
	"twenty who lose most. Nothing that serves is touched.\n"
	"\n"
	"  --programme FILE       the other programme, a file like programme.yaml\n"
	"  --data-dt DATE         events up to the end of that day, yyyy-mm-dd; else of yesterday\n"
	"  --value-per-point V    what a point costs, in the currency (0.05), in all ledgers; else each ledger's "
	"value\n"
	"  --json                 the report as one JSON object\n"
	"  --parquet FILE         besides, a row a customer and ledger with both sides; a new file\n"
	"\n"
	"Redemptions that happened are taken as they were, also where the other programme's points would not have "
	"been\n"
	"enough: what is missing becomes debt, or is forgiven, as that programme says. Nobody buys more or less for "
	"it.\n"
	"What was collected but is not yet in transactions_cln is not in it. Ctrl-C stops it. On a cluster Spark folds "
	"what\n"
	"all edges have shipped.\n"
	"\n"
	"exit codes: 0 done; 1 it could not be done; 2 usage, or one of the programmes is wrong; 130 interrupted\n";

enum { OPTION_PROGRAMME = 256, OPTION_DATA_DT, OPTION_VALUE, OPTION_JSON, OPTION_PARQUET };

static const struct option OPTIONS[] = {
	{"programme", required_argument, NULL, OPTION_PROGRAMME},
	{"data-dt", required_argument, NULL, OPTION_DATA_DT},
	{"value-per-point", required_argument, NULL, OPTION_VALUE},
	{"json", no_argument, NULL, OPTION_JSON},
	{"parquet", required_argument, NULL, OPTION_PARQUET},
	{NULL, 0, NULL, 0},
};

/* A million of the currency for a point: more is a mistake. */
#define VALUE_MAX_MICRO INT64_C(1000000000000)

struct arguments {
	const char *programme;
	const char *parquet;
	bool has_day;
	bool json;
	int32_t day;
	int64_t value_micro;
};

/* ---- the run ---- */

static bool tell_progress(void *context, uint64_t rows, uint64_t total)
{
	const bool *const show = context;
	char done[NUMBER_TEXT_MAX];
	char all[NUMBER_TEXT_MAX];
	if (*show && rows == 0)
		fprintf(stderr, "\r\033[K  sorting %s rows", number_text(total, all));
	else if (*show)
		fprintf(stderr, "\r\033[K  %s of %s rows", number_text(rows, done), number_text(total, all));
	return !stop_asked();
}

static int run_simulation(const struct deployment *deployment, const struct programme *other,
			  const struct buf *other_text, const struct arguments *arguments, bool show_progress,
			  struct simulate_report *report, struct error *err)
{
	stop_on_signals();
	char *tmp_dir = NULL;
	int rc = file_make_tmp_dir("simulate", &tmp_dir, err);
	if (rc < 0)
		return rc;
	struct simulate_options options = {
		.data_dt = arguments->has_day ? arguments->day : day_today(deployment) - 1,
		.value_micro = arguments->value_micro,
		.parquet = arguments->parquet,
		.tmp_dir = tmp_dir,
		.progress = tell_progress,
		.progress_context = &show_progress,
	};
	if (deployment->config->cluster.on) {
		const enum cluster_shown shown = cluster_shown(show_progress, arguments->json && !show_progress);
		const struct cluster_batch_hooks hooks = cluster_progress(shown);
		static bool silent = false; /* its numbers are the cluster's to show */
		options.progress_context = &silent;
		rc = cluster_simulate(deployment, other, other_text, &options, &hooks, report, err);
		cluster_progress_end(shown, rc < 0);
	} else {
		rc = simulate_run(deployment, other, &options, report, err);
	}
	if (show_progress)
		fputs("\r\033[K", stderr);
	file_remove_tree(tmp_dir, NULL);
	free(tmp_dir);
	return rc;
}

static int simulate(const struct cli *cli, const struct arguments *arguments)
{
	struct error err = {0};
	struct deployment *deployment = NULL;
	struct programme *other = NULL;
	if (deployment_open(cli->dir, DEPLOYMENT_READ, "simulate", &deployment, &err) < 0)
		return cli_fail(&err);
	_cleanup_buf_ struct buf text = {0};
	struct simulate_report report;
	int rc = programme_load_text(arguments->programme, &text, &other, &err);
	if (rc == 0)
		rc = run_simulation(deployment, other, &text, arguments, cli->err_is_terminal, &report, &err);
	if (rc == 0) {
		struct simulation_shown shown = {.deployment = deployment,
						 .programmes = {deployment->programme, other},
						 .other_path = arguments->programme,
						 .report = &report};
		simulation_find_names(&shown);
		if (arguments->json)
			rc = simulation_print_json(&shown, &err);
		else
			simulation_print(&shown);
		simulation_release_names(&shown);
	}
	programme_free(other);
	deployment_close(deployment);
	return rc < 0 ? cli_fail(&err) : EXIT_OK;
}

static int read_option(int option, struct arguments *out)
{
	switch (option) {
	case OPTION_PROGRAMME:
		out->programme = optarg;
		break;
	case OPTION_DATA_DT:
		out->has_day = true;
		if (civil_parse(optarg, strlen(optarg), &out->day) < 0)
			return cli_usage_error("simulate", "--data-dt %s: expected a date, yyyy-mm-dd", optarg);
		break;
	case OPTION_VALUE:
		if (decimal_parse(optarg, strlen(optarg), 6, '.', VALUE_MAX_MICRO, &out->value_micro) < 0 ||
		    out->value_micro < 0)
			return cli_usage_error(
				"simulate",
				"--value-per-point %s: expected an amount of the currency with at most six "
				"decimals, such as 0.05",
				optarg);
		break;
	case OPTION_JSON:
		out->json = true;
		break;
	case OPTION_PARQUET:
		out->parquet = optarg;
		if (!*optarg)
			return cli_usage_error("simulate", "--parquet needs the name of a file");
		break;
	default:
		break;
	}
	return EXIT_OK;
}

static int run(const struct cli *cli, int argc, char **argv)
{
	struct arguments arguments = {.value_micro = -1};
	opterr = 0;
	for (int option; (option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1;) {
		if (option == '?')
			return cli_usage_error("simulate", "unknown option, or one without its value: '%s'",
					       argv[optind - 1]);
		const int code = read_option(option, &arguments);
		if (code != EXIT_OK)
			return code;
	}
	if (optind < argc)
		return cli_usage_error("simulate", "'%s' is one argument too many", argv[optind]);
	if (!arguments.programme)
		return cli_usage_error("simulate", "which programme? --programme OTHER.yaml");
	return simulate(cli, &arguments);
}

const struct command command_simulate = {
	.name = "simulate",
	.summary = "try another programme on the whole history",
	.usage = USAGE,
	.run = run,
};
