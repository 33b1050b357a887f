#include "batch/audit.h"

#include "base/file.h"
#include "base/tz.h"
#include "cli/audit_show.h"
#include "cli/cluster_progress.h"
#include "cli/command.h"
#include "cli/day.h"
#include "cli/show.h"
#include "cli/stop.h"
#include "cluster/audit.h"
#include "cluster/reserve.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static const char USAGE[] =
	"usage: punchcard [-C DIR] audit [--data-dt DATE] [--json]\n"
	"       punchcard [-C DIR] audit --reserve [--data-dt DATE] [--json]\n"
	"\n"
	"Folds the whole history again and compares with it what serves: every row of the ledger up to the newest day\n"
	"that was refreshed, that day's balances and loyalty, and every record of the customer view; the rows of\n"
	"transactions_cln with what the journal counted; and the ledger with itself: for every customer, and in "
	"total,\n"
	"issued - reversed = spendable + pending + redeemed + expired - debt. Each difference is named, the first 100\n"
	"of them. It only reads, and waits for nobody; writers may work meanwhile.\n"
	"\n"
	"  --data-dt DATE   up to that day, yyyy-mm-dd, which was refreshed; with --reserve any day\n"
	"  --reserve        compares nothing; tells the points that customers have, by ledger and by the month in "
	"which\n"
	"                   they expire, those that are pending and those that are owed apart, and what they cost by\n"
	"                   the ledger's `value`: at the end of DATE, or else of the newest day that was refreshed by\n"
	"                   today's programme, or of today when there is none\n"
	"  --json           all of it as one JSON object\n"
	"\n"
	"Temporary files go to TMPDIR, or else to /var/tmp. Ctrl-C stops it.\n"
	"\n"
	"On a cluster Spark folds and compares; of HBase the states are compared, not the events since; and what "
	"journals\n"
	"counted is not known there.\n"
	"\n"
	"exit codes: 0 all agree, or there is nothing yet; 1 something differs, or could not be read; 2 usage or\n"
	"configuration; 4 a refresh changed the tables meanwhile: run it again; 130 interrupted\n";

enum { OPTION_DATA_DT = 256, OPTION_RESERVE, OPTION_JSON };

static const struct option OPTIONS[] = {
	{"data-dt", required_argument, NULL, OPTION_DATA_DT},
	{"reserve", no_argument, NULL, OPTION_RESERVE},
	{"json", no_argument, NULL, OPTION_JSON},
	{NULL, 0, NULL, 0},
};

struct arguments {
	bool json;
	bool reserve;
	int32_t day; /* DAY_MAX: none was given */
};

/* What the callbacks need. */
struct shown {
	bool progress;
	enum cluster_shown lines; /* of a cluster, without a terminal */
	/* Where findings go, until it is known that they hold: one of the two. */
	struct json *json;
	FILE *text;
	bool any; /* a finding was told */
};

/* ---- progress, and its end ---- */

static void clear_line(const struct shown *shown)
{
	if (shown->progress)
		fputs("\r\033[K", stderr);
}

static bool tell_progress(void *context, const char *doing, uint64_t done, uint64_t total)
{
	const struct shown *const shown = context;
	char n[2][NUMBER_TEXT_MAX];
	if (!shown->progress)
		return !stop_asked();
	clear_line(shown);
	fprintf(stderr, "  %s", doing);
	if (done)
		fprintf(stderr, ": %s", number_text(done, n[0]));
	if (done && total)
		fprintf(stderr, " of %s", number_text(total, n[1]));
	if (done)
		fputs(" rows", stderr);
	return !stop_asked();
}

static void tell_finding(void *context, const struct audit_finding *finding)
{
	struct shown *const shown = context;
	if (shown->json) {
		audit_json_finding(shown->json, finding);
		return;
	}
	if (!shown->any)
		fputs("Differences:\n", shown->text);
	shown->any = true;
	audit_print_finding(shown->text, finding);
}

/* ---- the runs ---- */

/* *code is the exit code when nothing failed. */
static int compare(const struct deployment *deployment, const struct arguments *arguments, const char *tmp_dir,
		   struct shown *shown, struct audit_report *report, int *code, struct error *err)
{
	const struct audit_options options = {
		.day = arguments->day,
		.tmp_dir = tmp_dir,
		.finding = tell_finding,
		.progress = tell_progress,
		.context = shown,
	};
	const struct cluster_batch_hooks hooks = cluster_progress(shown->lines);
	const int rc = deployment->config->cluster.on ? cluster_audit(deployment, &options, &hooks, report, err)
						      : audit_run(deployment, &options, report, err);
	cluster_progress_end(shown->lines, rc < 0);
	clear_line(shown);
	if (rc == 0)
		*code = report->differences ? EXIT_FAILED : EXIT_OK;
	return rc;
}

static int audit_as_json(const struct deployment *deployment, const struct arguments *arguments, const char *tmp_dir,
			 struct shown *shown, int *code, struct error *err)
{
	_cleanup_buf_ struct buf text = {0};
	struct json json;
	struct audit_report report;
	json_to_buf(&json, &text);
	shown->json = &json;
	json_object(&json);
	json_key(&json, "findings");
	json_array(&json);
	int rc = compare(deployment, arguments, tmp_dir, shown, &report, code, err);
	if (rc < 0)
		return rc;
	json_end_array(&json);
	audit_json_report(&json, &report);
	json_end_object(&json);
	json_newline(&json);
	rc = json_finish(&json, err);
	if (rc == 0)
		fwrite(text.data, 1, text.len, stdout);
	return rc;
}

static int audit_as_text(const struct deployment *deployment, const struct arguments *arguments, const char *tmp_dir,
			 struct shown *shown, int *code, struct error *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	struct audit_report report;
	shown->text = open_memstream(&text, &len);
	if (!shown->text)
		return error_no_memory(err, BUFSIZ);
	int rc = compare(deployment, arguments, tmp_dir, shown, &report, code, err);
	const bool is_whole = !ferror(shown->text);
	if ((fclose(shown->text) != 0 || !is_whole) && rc == 0)
		rc = error_no_memory(err, len);
	if (rc < 0)
		return rc;
	char n[NUMBER_TEXT_MAX];
	fwrite(text, 1, len, stdout);
	if (report.differences > AUDIT_TOLD_MAX)
		printf("  and more: %s in all\n", number_text(report.differences, n));
	audit_print_report(&report, deployment->programme);
	return 0;
}

static int reserve(const struct deployment *deployment, const struct arguments *arguments, const char *tmp_dir,
		   struct shown *shown, struct error *err)
{
	const struct reserve_options options = {
		.day = arguments->day,
		.today = day_today(deployment),
		.tmp_dir = tmp_dir,
		.progress = tell_progress,
		.context = shown,
	};
	struct reserve_report *report = NULL;
	const struct cluster_batch_hooks hooks = cluster_progress(shown->lines);
	int rc = deployment->config->cluster.on ? cluster_reserve(deployment, &options, &hooks, &report, err)
						: reserve_run(deployment, &options, &report, err);
	cluster_progress_end(shown->lines, rc < 0);
	clear_line(shown);
	if (rc < 0)
		return rc;
	if (arguments->json) {
		struct json json;
		json_to_file(&json, stdout);
		reserve_json(&json, report, deployment->programme);
		rc = json_finish(&json, err);
	} else {
		reserve_print(report, deployment->programme);
	}
	reserve_free(report);
	return rc;
}

static int open_and_run(const struct cli *cli, const struct arguments *arguments)
{
	struct error err = {0};
	struct deployment *deployment = NULL;
	if (deployment_open(cli->dir, DEPLOYMENT_READ, "audit", &deployment, &err) < 0)
		return cli_fail(&err);
	/* Heard before there is anything to clean up. */
	stop_on_signals();
	char *tmp_dir = NULL;
	struct shown shown = {.progress = cli->err_is_terminal};
	if (deployment->config->cluster.on && !shown.progress)
		shown.lines = cluster_shown(false, arguments->json);
	int code = EXIT_OK;
	int rc = file_make_tmp_dir("audit", &tmp_dir, &err);
	if (rc == 0 && arguments->reserve)
		rc = reserve(deployment, arguments, tmp_dir, &shown, &err);
	else if (rc == 0)
		rc = (arguments->json ? audit_as_json : audit_as_text)(deployment, arguments, tmp_dir, &shown, &code,
								       &err);
	if (tmp_dir)
		file_remove_tree(tmp_dir, NULL);
	free(tmp_dir);
	deployment_close(deployment);
	return rc < 0 ? cli_fail(&err) : code;
}

static int run(const struct cli *cli, int argc, char **argv)
{
	struct arguments arguments = {.day = DAY_MAX};
	opterr = 0;
	for (int option; (option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1;) {
		switch (option) {
		case OPTION_DATA_DT:
			if (civil_parse(optarg, strlen(optarg), &arguments.day) < 0)
				return cli_usage_error("audit", "--data-dt %s: expected a date, yyyy-mm-dd", optarg);
			break;
		case OPTION_RESERVE:
			arguments.reserve = true;
			break;
		case OPTION_JSON:
			arguments.json = true;
			break;
		default:
			return cli_usage_error("audit", "unknown option, or one without its value: '%s'",
					       argv[optind - 1]);
		}
	}
	if (optind < argc)
		return cli_usage_error("audit", "'%s' is one argument too many", argv[optind]);
	return open_and_run(cli, &arguments);
}

const struct command command_audit = {
	.name = "audit",
	.summary = "compare what serves with the history; report the reserve",
	.usage = USAGE,
	.run = run,
};
