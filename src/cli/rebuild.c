#include "batch/rebuild.h"

#include "base/json.h"
#include "base/tz.h"
#include "batch/states.h"
#include "cli/cluster_progress.h"
#include "cli/command.h"
#include "cli/day.h"
#include "cli/drain.h"
#include "cli/show.h"
#include "cluster/batch.h"

static const char USAGE[] =
	"usage: punchcard [-C DIR] rebuild [--data-dt DATE] [--json]\n"
	"\n"
	"Makes the batch layer's tables again out of the whole history: the ledger up to the day, and the day's "
	"partitions of\n"
	"balances and loyalty. They are made beside those that serve and swapped in when they are whole: a reader sees "
	"the\n"
	"old or the new ones, and who interrupts it loses nothing. `refresh` comes to the same bytes from the day "
	"before;\n"
	"rebuild when they should not be trusted, or a ledger of the whole history is wanted at once.\n"
	"\n"
	"  --data-dt DATE   the last day, yyyy-mm-dd, in the programme's timezone: today at the latest, and no day "
	"before the\n"
	"                   newest that was refreshed, for the ledger would lose what is behind it; yesterday, or "
	"that\n"
	"                   newest one when it is later, unless given\n"
	"  --json           the report as one JSON object: data_dt, customers, events, postings, rejected {reason: "
	"events},\n"
	"                   unchanged (the partition of loyalty)\n"
	"\n"
	"It may run beside a collector, and then waits until that one has written what it has collected so far. On a\n"
	"cluster Spark makes the tables, of what all edges have shipped, and the accounts go into HBase "
	"(docs/cluster.md);\n"
	"one process makes tables at a time, and `unchanged` is always false.\n"
	"\n"
	"exit codes: 0 done; 1 it could not be done; 2 usage or configuration; 4 another load, refresh or rebuild "
	"runs, or\n"
	"the collector hangs; 130 interrupted: nothing is changed, run it again\n";

#define CLEAR_LINE "\r\033[K"

/* Progress goes to stderr, when that is a terminal. */

static bool show_rows(void *context, uint64_t rows, uint64_t total)
{
	(void)context;
	char n[2][NUMBER_TEXT_MAX];
	if (rows == 0)
		fprintf(stderr, CLEAR_LINE "sorting %s rows", number_text(total, n[0]));
	else
		fprintf(stderr, CLEAR_LINE "folding: %s of %s rows", number_text(rows, n[0]), number_text(total, n[1]));
	fflush(stderr);
	return true;
}

static void show_writing(void *context, const char *what)
{
	(void)context;
	fprintf(stderr, CLEAR_LINE "writing %s", what);
	fflush(stderr);
}

static void print_rejected(const struct folding_counts *counts)
{
	char n[NUMBER_TEXT_MAX];
	const char *separator = "rejected: ";
	for (unsigned i = REJECT_NONE + 1; i <= REJECT_MAX; i++) {
		if (!counts->rejected[i])
			continue;
		printf("%s%s %s", separator, number_text(counts->rejected[i], n), reject_reason_name(i));
		separator = ", ";
	}
	if (*separator == ',')
		puts("");
}

static void print_report(const struct rebuild_report *report, const char *date)
{
	const struct folding_counts *const counts = &report->counts;
	char n[3][COUNT_TEXT_MAX];
	printf("rebuilt up to %s: %s, %s, %s\n", date, count_text(counts->customers, "customer", n[0]),
	       count_text(counts->events, "event", n[1]), count_text(counts->postings, "posting", n[2]));
	print_rejected(counts);
}

static int print_json(const struct rebuild_report *report, const char *date)
{
	const struct folding_counts *const counts = &report->counts;
	struct json out;
	struct error err;
	json_to_file(&out, stdout);
	json_object(&out);
	json_key(&out, "data_dt");
	json_text(&out, date);
	json_key(&out, "customers");
	json_uint(&out, counts->customers);
	json_key(&out, "events");
	json_uint(&out, counts->events);
	json_key(&out, "postings");
	json_uint(&out, counts->postings);
	json_key(&out, "rejected");
	json_object(&out);
	for (unsigned i = REJECT_NONE + 1; i <= REJECT_MAX; i++) {
		if (!counts->rejected[i])
			continue;
		json_key(&out, reject_reason_name(i));
		json_uint(&out, counts->rejected[i]);
	}
	json_end_object(&out);
	json_key(&out, "unchanged");
	json_bool(&out, report->unchanged);
	json_end_object(&out);
	json_newline(&out);
	return json_finish(&out, &err) < 0 ? cli_fail(&err) : EXIT_OK;
}

/* Yesterday, or the newest day that was refreshed: of both the later. */
static int choose_day(const struct deployment *deployment, int32_t newest, const int32_t *data_dt, int32_t *day,
		      struct error *err)
{
	const int32_t yesterday = day_today(deployment) - 1;
	*day = data_dt ? *data_dt : newest > yesterday ? newest : yesterday;
	/* The newest one can always be made again. */
	return *day == newest ? 0 : day_check(deployment, *day, err);
}

static int rebuild_here(const struct deployment *deployment, const int32_t *data_dt, bool progress, int32_t *day,
			struct rebuild_report *report, struct error *err)
{
	const struct rebuild_hooks hooks = {.progress = progress ? show_rows : NULL,
					    .writing = progress ? show_writing : NULL};
	int32_t newest;
	int rc = states_newest_day(deployment, &newest, err);
	if (rc == 0)
		rc = choose_day(deployment, newest, data_dt, day, err);
	return rc < 0 ? rc : rebuild_run(deployment, *day, &hooks, report, err);
}

static int rebuild_on_cluster(const struct deployment *deployment, const int32_t *data_dt, enum cluster_shown shown,
			      int32_t *day, struct rebuild_report *report, struct error *err)
{
	const struct cluster_batch_hooks hooks = cluster_progress(shown);
	struct cluster_batch *batch = NULL;
	int rc = cluster_batch_open(deployment, "rebuild", &hooks, &batch, err);
	if (rc == 0)
		rc = choose_day(deployment, cluster_batch_newest(batch), data_dt, day, err);
	if (rc == 0)
		rc = cluster_rebuild_day(batch, *day, report, err);
	cluster_batch_close(batch);
	cluster_progress_end(shown, rc < 0);
	return rc;
}

static int rebuild(const struct cli *cli, const int32_t *data_dt, bool as_json)
{
	const bool progress = cli->err_is_terminal && !as_json;
	struct error err = {0};
	struct deployment *deployment = NULL;
	struct rebuild_report report = {0};
	if (deployment_open(cli->dir, DEPLOYMENT_WRITE, "rebuild", &deployment, &err) < 0)
		return cli_fail(&err);
	int32_t day = 0;
	int rc = cli_drain(deployment, progress, &err);
	if (rc == 0)
		rc = deployment->config->cluster.on
			     ? rebuild_on_cluster(deployment, data_dt, cluster_shown(cli->err_is_terminal, as_json),
						  &day, &report, &err)
			     : rebuild_here(deployment, data_dt, progress, &day, &report, &err);
	deployment_close(deployment);
	if (progress)
		fputs(CLEAR_LINE, stderr);
	if (rc < 0)
		return cli_fail(&err);
	char date[11];
	civil_format(day, date);
	if (as_json)
		return print_json(&report, date);
	print_report(&report, date);
	return EXIT_OK;
}

static int run(const struct cli *cli, int argc, char **argv)
{
	struct day_options options;
	const int code = day_parse_options("rebuild", argc, argv, &options);
	return code == EXIT_OK ? rebuild(cli, options.date ? &options.day : NULL, options.json) : code;
}

const struct command command_rebuild = {
	.name = "rebuild",
	.summary = "make ledger, balances and loyalty again out of the whole history",
	.usage = USAGE,
	.run = run,
	.ends_engines = true,
};
