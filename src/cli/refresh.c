#include "batch/refresh.h"

#include "base/json.h"
#include "base/tz.h"
#include "cli/cluster_progress.h"
#include "cli/command.h"
#include "cli/day.h"
#include "cli/drain.h"
#include "cli/show.h"
#include "cluster/batch.h"

static const char USAGE[] =
	"usage: punchcard [-C DIR] refresh --data-dt DATE [--json]\n"
	"\n"
	"Makes the partitions of loyalty and balances for one day: each customer's state at the end of that day, by "
	"the\n"
	"programme, with names by models/loyalty.sql; and the ledger up to that day. It goes on from the newest day "
	"before,\n"
	"and takes the whole history where there is none, or the programme has changed. When a later day was "
	"refreshed\n"
	"already, the ledger is that day's and stays as it is. Readers see the old partitions or the new ones; running "
	"it\n"
	"again gives the same bytes, and so does `rebuild`.\n"
	"\n"
	"  --data-dt DATE   the day, yyyy-mm-dd, in the programme's timezone, today at the latest\n"
	"  --json           the report as one JSON object: data_dt, customers, unchanged (the partition of loyalty),\n"
	"                   from (the day that it went on from; null: the whole history, `whole` says why, `damage` "
	"what\n"
	"                   is wrong with a state that cannot be read), ledger_data_dt (the day up to which the "
	"ledger\n"
	"                   goes), events and postings that were made, marked (customers who were folded whole), "
	"rewritten\n"
	"                   (earlier days of the ledger that late events changed)\n"
	"\n"
	"It may run beside a collector, and then waits until that one has written what it has collected so far. On a\n"
	"cluster Spark makes the tables, of what all edges have shipped, and the accounts go into HBase "
	"(docs/cluster.md);\n"
	"one process makes tables at a time, and `unchanged` is always false.\n"
	"\n"
	"exit codes: 0 done; 1 it could not be done; 2 usage or configuration; 4 another load, refresh or rebuild "
	"runs, or\n"
	"the collector hangs; 130 interrupted: nothing is changed, run it again\n";

static const char *why_whole(enum refresh_whole whole)
{
	switch (whole) {
	case REFRESH_NO_STATE:
		return "no earlier day was refreshed";
	case REFRESH_OTHER_PROGRAMME:
		return "the programme has changed";
	case REFRESH_DAMAGED_STATE:
		return "the state of the day before cannot be read";
	default:
		return "";
	}
}

static void print_text(const struct refresh_report *report, const char *date, int32_t data_dt)
{
	char n[2][COUNT_TEXT_MAX];
	printf("loyalty, data_dt %s: %s%s\n", date, count_text(report->customers, "customer", n[0]),
	       report->unchanged ? " (unchanged)" : "");
	if (report->whole != REFRESH_FROM_STATE) {
		printf("the whole history, %s: %s", count_text(report->events, "event", n[0]),
		       why_whole(report->whole));
		if (report->damage[0]) {
			fputs(": ", stdout);
			show_text(stdout, slice_of(report->damage));
		}
	} else {
		char from[11];
		civil_format(report->from_day, from);
		printf("from %s: %s, %s", from, count_text(report->events, "event", n[0]),
		       count_text(report->postings, "posting", n[1]));
		if (report->marked)
			printf("; %s folded whole", count_text(report->marked, "customer", n[0]));
		if (report->marked && report->ledger_day == data_dt)
			printf(", %s of the ledger written again", count_text(report->rewritten, "earlier day", n[0]));
	}
	puts("");
	if (report->ledger_day == data_dt)
		return;
	char day[11];
	civil_format(report->ledger_day, day);
	printf("the ledger is that of %s, and was left as it is\n", day);
}

static void print_report(const struct refresh_report *report, const char *date, int32_t data_dt, bool as_json)
{
	if (!as_json) {
		print_text(report, date, data_dt);
		return;
	}
	char from[11];
	char ledger_day[11];
	if (report->whole == REFRESH_FROM_STATE)
		civil_format(report->from_day, from);
	civil_format(report->ledger_day, ledger_day);
	struct json out;
	json_to_file(&out, stdout);
	json_object(&out);
	json_key(&out, "data_dt");
	json_text(&out, date);
	json_key(&out, "customers");
	json_uint(&out, report->customers);
	json_key(&out, "unchanged");
	json_bool(&out, report->unchanged);
	json_key(&out, "from");
	json_text(&out, report->whole == REFRESH_FROM_STATE ? from : NULL);
	json_key(&out, "whole");
	json_text(&out, report->whole == REFRESH_FROM_STATE ? NULL : refresh_whole_name(report->whole));
	json_key(&out, "damage");
	json_text(&out, report->damage[0] ? report->damage : NULL);
	json_key(&out, "ledger_data_dt");
	json_text(&out, ledger_day);
	json_key(&out, "events");
	json_uint(&out, report->events);
	json_key(&out, "postings");
	json_uint(&out, report->postings);
	json_key(&out, "marked");
	json_uint(&out, report->marked);
	json_key(&out, "rewritten");
	json_uint(&out, report->rewritten);
	json_end_object(&out);
	json_newline(&out);
}

static int refresh_on_cluster(const struct deployment *deployment, int32_t data_dt, enum cluster_shown shown,
			      struct refresh_report *report, struct error *err)
{
	const struct cluster_batch_hooks hooks = cluster_progress(shown);
	struct cluster_batch *batch = NULL;
	int rc = cluster_batch_open(deployment, "refresh", &hooks, &batch, err);
	if (rc == 0)
		rc = cluster_refresh_day(batch, data_dt, report, err);
	cluster_batch_close(batch);
	cluster_progress_end(shown, rc < 0);
	return rc;
}

static int refresh(const struct cli *cli, const char *date, int32_t data_dt, bool as_json)
{
	struct error err = {0};
	struct deployment *deployment = NULL;
	struct refresh_report report = {0};
	const bool progress = cli->err_is_terminal && !as_json;
	if (deployment_open(cli->dir, DEPLOYMENT_WRITE, "refresh", &deployment, &err) < 0)
		return cli_fail(&err);
	int rc = day_check(deployment, data_dt, &err);
	if (rc == 0)
		rc = cli_drain(deployment, progress, &err);
	if (rc == 0)
		rc = deployment->config->cluster.on
			     ? refresh_on_cluster(deployment, data_dt, cluster_shown(cli->err_is_terminal, as_json),
						  &report, &err)
			     : refresh_loyalty(deployment, data_dt, &report, &err);
	deployment_close(deployment);
	if (rc < 0)
		return cli_fail(&err);
	print_report(&report, date, data_dt, as_json);
	return EXIT_OK;
}

static int run(const struct cli *cli, int argc, char **argv)
{
	struct day_options options;
	const int code = day_parse_options("refresh", argc, argv, &options);
	if (code != EXIT_OK)
		return code;
	if (!options.date)
		return cli_usage_error("refresh", "which day? --data-dt yyyy-mm-dd");
	return refresh(cli, options.date, options.day, options.json);
}

const struct command command_refresh = {
	.name = "refresh",
	.summary = "make the loyalty table of a day",
	.usage = USAGE,
	.run = run,
	.ends_engines = true,
};
