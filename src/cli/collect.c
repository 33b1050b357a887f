#include "speed/collect.h"

#include "base/json.h"
#include "cli/command.h"
#include "cli/flume.h"
#include "cli/show.h"
#include "cli/stop.h"
#include "speed/daemon.h"
#include "speed/shipper.h"
#include "store/block.h"

#include <getopt.h>
#include <string.h>

static const char USAGE[] =
	"usage: punchcard [-C DIR] collect --once [--strict] [--json] [--hbase-again]\n"
	"       punchcard [-C DIR] collect --flume-conf FILE --agent NAME ... [--format F] [--check | --once]\n"
	"\n"
	"Takes the orders in the spool directories of punchcard.yaml, through the journal, to transactions_cln and to "
	"the\n"
	"customers' accounts. Each line counts once, whatever happens: killed and run again, or given a file again (a "
	"copy of\n"
	"a classic file under another name is another file: its lines have no ids of their own). With the section "
	"cluster\n"
	"in punchcard.yaml it ships to HDFS and HBase instead (docs/cluster.md).\n"
	"\n"
	"  --once      take what is there now, then end\n"
	"  --strict    exit 3 when a line was quarantined; the good ones are taken all the same\n"
	"  --json      the report as one JSON object\n"
	"  --hbase-again  on a cluster: ship to HBase again what the journal still has: for an HBase that is another\n"
	"              one, or was emptied or put back (docs/cluster-hbase.md)\n"
	"\n"
	"With a Flume agent its sources and sinks run instead of the sources of punchcard.yaml, and a report says what "
	"was\n"
	"taken of it, what has no meaning here and what is refused (docs/flume.md):\n"
	"\n"
	"  --flume-conf FILE  the file; for the --agent options that follow it\n"
	"  --agent NAME       the agent; may be given again, to run several at once\n"
	"  --format F         what its lines are: classic (default) or ndjson events, or lines: any text\n"
	"  --check            only report: exit 0 when it would run, 2 when something is refused\n"
	"\n"
	"Without --once it runs until SIGTERM or Ctrl-C, as `punchcard run` does.\n"
	"\n"
	"A file that was taken is renamed, moved or deleted, as its source's when_done says. Lines that are no orders "
	"are\n"
	"set aside with the reason: punchcard sql 'select * from quarantine'\n"
	"\n"
	"A file that somebody is still writing to is waited for (settle_ms of its source); what is not whole by then "
	"is\n"
	"taken the next time. Other content under the name of a file that was taken: where the orders have ids, these "
	"tell\n"
	"what is new; otherwise its lines are set aside as file_name_reused.\n"
	"\n"
	"Ctrl-C (or SIGTERM) stops the intake; what is durable by then still goes to the tables. A second one ends at "
	"once:\n"
	"nothing is lost, the next run goes on.\n"
	"\n"
	"exit codes: 0 all files were read; 1 a file could not be read, or it could not go on; 2 usage or "
	"configuration;\n"
	"3 --strict and lines were quarantined; 4 another process collects; 130 interrupted (run again to go on)\n";

enum {
	OPTION_ONCE = 256,
	OPTION_STRICT,
	OPTION_JSON,
	OPTION_FLUME_CONF,
	OPTION_AGENT,
	OPTION_FORMAT,
	OPTION_CHECK,
	OPTION_HBASE_AGAIN,
};

static const struct option OPTIONS[] = {
	{"once", no_argument, NULL, OPTION_ONCE},
	{"strict", no_argument, NULL, OPTION_STRICT},
	{"json", no_argument, NULL, OPTION_JSON},
	{"flume-conf", required_argument, NULL, OPTION_FLUME_CONF},
	{"agent", required_argument, NULL, OPTION_AGENT},
	{"format", required_argument, NULL, OPTION_FORMAT},
	{"check", no_argument, NULL, OPTION_CHECK},
	{"hbase-again", no_argument, NULL, OPTION_HBASE_AGAIN},
	{NULL, 0, NULL, 0},
};

/* Raw events, the table, and rows. */
#define SHIPPERS_MOST 3u
struct shipped {
	const char *name;
	struct shipper_counts counts;
};

struct report {
	bool json;
	bool progress;
	struct json out;
	struct intake_counts sum;
	unsigned files;
	bool made_again;
	struct shipped shipped[SHIPPERS_MOST];
	unsigned n_shipped;
};

static const char *const OUTCOMES[] = {
	[INTAKE_TAKEN] = "taken", [INTAKE_HAD] = "had already", [INTAKE_REUSED] = "name reused",
	[INTAKE_GROWS] = "grows", [INTAKE_SKIPPED] = "skipped", [INTAKE_FAILED] = "failed",
};

static void clear_progress(const struct report *report)
{
	if (report->progress)
		fputs("\r\033[K", stderr);
}

static void json_counts(struct json *out, const struct intake_counts *counts)
{
	json_key(out, "lines");
	json_uint(out, counts->lines);
	json_key(out, "rows");
	json_uint(out, counts->rows);
	json_key(out, "orders");
	json_uint(out, counts->events);
	json_key(out, "duplicates");
	json_uint(out, counts->duplicates);
	json_key(out, "quarantined");
	json_uint(out, counts->quarantined);
	json_key(out, "reasons");
	json_object(out);
	for (unsigned i = 1; i <= REASON_MAX; i++) {
		if (!counts->by_reason[i])
			continue;
		json_key(out, quarantine_reason_name(i));
		json_uint(out, counts->by_reason[i]);
	}
	json_end_object(out);
}

static void print_reasons(const struct intake_counts *counts)
{
	for (unsigned i = 1; i <= REASON_MAX; i++) {
		char n[NUMBER_TEXT_MAX];
		if (counts->by_reason[i])
			printf("    %10s  %s\n", number_text(counts->by_reason[i], n), quarantine_reason_name(i));
	}
}

static void print_remark(const struct intake_file *file)
{
	if (!file->message)
		return;
	fputs("    ", stdout);
	show_text(stdout, slice_of(file->message));
	putchar('\n');
}

static void print_file(const struct report *report, const struct intake_file *file)
{
	char lines[NUMBER_TEXT_MAX];
	char taken[NUMBER_TEXT_MAX];
	char duplicates[NUMBER_TEXT_MAX];
	char quarantined[NUMBER_TEXT_MAX];
	clear_progress(report);
	if (file->outcome == INTAKE_SKIPPED || file->outcome == INTAKE_FAILED) {
		fflush(stdout);
		fprintf(stderr, "punchcard: %s: ", file->source);
		show_text(stderr, slice_of(file->name));
		fputs(": ", stderr);
		show_text(stderr, slice_of(file->message));
		fputc('\n', stderr);
		return;
	}
	if (file->outcome == INTAKE_HAD) {
		show_text(stdout, slice_of(file->name));
		puts(": had already, nothing taken");
		print_remark(file);
		return;
	}
	show_text(stdout, slice_of(file->name));
	printf(": %s lines read = %s taken + %s had already + %s quarantined\n",
	       number_text(file->counts->lines, lines), number_text(intake_taken(file->counts), taken),
	       number_text(file->counts->duplicates, duplicates), number_text(file->counts->quarantined, quarantined));
	print_reasons(file->counts);
	if (file->outcome == INTAKE_GROWS)
		printf("    somebody is writing to it: what is not whole yet is taken next time\n");
	if (file->outcome == INTAKE_REUSED)
		printf("    another file had this name: if these are new orders, give the file a new name and put it "
		       "into the spool again\n");
	print_remark(file);
}

static void on_file(void *context, const struct intake_file *file)
{
	struct report *const report = context;
	struct intake_counts *const sum = &report->sum;
	sum->lines += file->counts->lines;
	sum->rows += file->counts->rows;
	sum->events += file->counts->events;
	sum->duplicates += file->counts->duplicates;
	sum->quarantined += file->counts->quarantined;
	for (unsigned i = 1; i <= REASON_MAX; i++)
		sum->by_reason[i] += file->counts->by_reason[i];
	report->files++;
	if (!report->json) {
		print_file(report, file);
		return;
	}
	json_object(&report->out);
	json_key(&report->out, "source");
	json_text(&report->out, file->source);
	json_key(&report->out, "file");
	json_text(&report->out, file->name);
	json_key(&report->out, "outcome");
	json_text(&report->out, OUTCOMES[file->outcome]);
	json_counts(&report->out, file->counts);
	json_key(&report->out, "message");
	json_text(&report->out, file->message);
	json_end_object(&report->out);
}

static void on_committed(void *context, uint64_t lines)
{
	const struct report *const report = context;
	char n[NUMBER_TEXT_MAX];
	if (report->progress)
		fprintf(stderr, "\r%s lines read", number_text(lines, n));
}

static void on_made_again(void *context)
{
	struct report *const report = context;
	report->made_again = true;
	if (!report->json)
		puts("accounts made again: the programme has changed");
}

static void on_shipped(void *context, const char *name, const struct shipper_counts *counts)
{
	struct report *const report = context;
	if (report->n_shipped < SHIPPERS_MOST)
		report->shipped[report->n_shipped++] = (struct shipped){.name = name, .counts = *counts};
}

static bool is(const struct shipped *shipped, const struct shipper_driver *driver)
{
	return strcmp(shipped->name, driver->name) == 0;
}

static void print_shipped(const struct report *report)
{
	for (unsigned i = 0; i < report->n_shipped; i++) {
		const struct shipped *const shipped = &report->shipped[i];
		const struct shipper_counts *const counts = &shipped->counts;
		char files[NUMBER_TEXT_MAX];
		char n[2][NUMBER_TEXT_MAX];
		number_text(counts->files, files);
		if (is(shipped, &ship_table))
			printf("shipped to HDFS: %s files with %s rows of transactions_cln and %s quarantined lines\n",
			       files, number_text(counts->rows, n[0]), number_text(counts->quarantined, n[1]));
		else if (is(shipped, &ship_raw))
			printf("shipped to HDFS: %s files with %s raw events\n", files,
			       number_text(counts->events, n[0]));
		else
			printf("shipped to HBase: %s events of customers\n", number_text(counts->events, n[0]));
	}
}

static void json_shipped(struct json *out, const struct report *report)
{
	json_key(out, "shipped");
	if (!report->n_shipped) {
		json_null(out);
		return;
	}
	json_object(out);
	for (unsigned i = 0; i < report->n_shipped; i++) {
		const struct shipped *const shipped = &report->shipped[i];
		json_key(out, shipped->name);
		json_object(out);
		if (!is(shipped, &ship_rows)) {
			json_key(out, "files");
			json_uint(out, shipped->counts.files);
		}
		if (is(shipped, &ship_table)) {
			json_key(out, "rows");
			json_uint(out, shipped->counts.rows);
			json_key(out, "quarantined");
			json_uint(out, shipped->counts.quarantined);
		} else {
			json_key(out, "events");
			json_uint(out, shipped->counts.events);
		}
		json_end_object(out);
	}
	json_end_object(out);
}

static bool must_stop(void *context)
{
	(void)context;
	return stop_asked();
}

static void print_total(const struct report *report)
{
	char n[5][NUMBER_TEXT_MAX];
	const struct intake_counts *const sum = &report->sum;
	clear_progress(report);
	if (report->files == 0) {
		puts("nothing new in the spool directories");
		return;
	}
	printf("total: %s lines read = %s taken (%s events) + %s had already + %s quarantined\n",
	       number_text(sum->lines, n[0]), number_text(intake_taken(sum), n[1]), number_text(sum->events, n[2]),
	       number_text(sum->duplicates, n[3]), number_text(sum->quarantined, n[4]));
}

struct options {
	bool once;
	bool strict;
	bool as_json;
	bool check;
	bool hbase_again;
	const char *format;
	const char *flume_conf;
	struct flume_set flume;
};

static int collect(const struct cli *cli, const struct options *options, const struct topology *topology)
{
	const bool as_json = options->as_json;
	const struct collect_options collecting = {
		.topology = topology, .hbase_again = options->hbase_again, .shipped = on_shipped};
	struct report report = {.json = as_json, .progress = cli->err_is_terminal && !as_json};
	const struct intake_hooks hooks = {.file = on_file,
					   .committed = on_committed,
					   .made_again = on_made_again,
					   .stop = must_stop,
					   .context = &report};
	struct error err = {0};
	struct deployment *deployment = NULL;
	if (deployment_open(cli->dir, DEPLOYMENT_COLLECT, "collect", &deployment, &err) < 0)
		return cli_fail(&err);
	if (options->hbase_again && !deployment->config->cluster.on) {
		deployment_close(deployment);
		return cli_usage_error("collect", "--hbase-again: punchcard.yaml has no section cluster");
	}
	stop_on_signals();
	if (as_json) {
		json_to_file(&report.out, stdout);
		json_object(&report.out);
		json_key(&report.out, "files");
		json_array(&report.out);
	}
	unsigned failed = 0;
	const int rc = collect_once(deployment, &collecting, &hooks, &failed, &err);
	deployment_close(deployment);
	if (as_json) {
		json_end_array(&report.out);
		json_key(&report.out, "total");
		json_object(&report.out);
		json_counts(&report.out, &report.sum);
		json_end_object(&report.out);
		json_key(&report.out, "accounts_made_again");
		json_bool(&report.out, report.made_again);
		json_shipped(&report.out, &report);
		json_key(&report.out, "error");
		json_text(&report.out, rc < 0 ? err.message : NULL);
		json_end_object(&report.out);
		json_newline(&report.out);
	} else {
		if (rc == 0)
			print_total(&report);
		print_shipped(&report);
	}
	if (rc < 0)
		return cli_fail(&err);
	if (failed)
		return EXIT_FAILED;
	return options->strict && report.sum.quarantined ? EXIT_QUARANTINED : EXIT_OK;
}

static int take_agent(struct options *options, const char *name)
{
	struct flume_set *const set = &options->flume;
	if (!options->flume_conf)
		return cli_usage_error("collect", "--agent %s: say --flume-conf FILE before it", name);
	if (set->n == FLUME_AGENTS_MOST)
		return cli_usage_error("collect", "more than %u agents", FLUME_AGENTS_MOST);
	set->files[set->n] = options->flume_conf;
	set->agents[set->n] = name;
	set->n++;
	return EXIT_OK;
}

static int take_options(struct options *options, int argc, char **argv)
{
	int option;
	opterr = 0;
	while ((option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1) {
		int code = EXIT_OK;
		switch (option) {
		case OPTION_ONCE:
			options->once = true;
			break;
		case OPTION_STRICT:
			options->strict = true;
			break;
		case OPTION_JSON:
			options->as_json = true;
			break;
		case OPTION_CHECK:
			options->check = true;
			break;
		case OPTION_HBASE_AGAIN:
			options->hbase_again = true;
			break;
		case OPTION_FORMAT:
			options->format = optarg;
			break;
		case OPTION_FLUME_CONF:
			options->flume_conf = optarg;
			break;
		case OPTION_AGENT:
			code = take_agent(options, optarg);
			break;
		default:
			return cli_usage_error("collect", "unknown option '%s', or its value is missing",
					       argv[optind - 1]);
		}
		if (code != EXIT_OK)
			return code;
	}
	if (optind < argc)
		return cli_usage_error("collect",
				       "'%s': files come from the spool directories, not from the command line",
				       argv[optind]);
	return EXIT_OK;
}

static int run_flume(const struct cli *cli, struct options *options)
{
	struct flume_set *const set = &options->flume;
	struct deployment *deployment = NULL;
	/* Where it cannot be opened, --check reports without it, and whoever runs it says why. */
	(void)deployment_open(cli->dir, DEPLOYMENT_READ, "collect", &deployment, NULL);
	int code = flume_set_open(set, options->format, deployment ? &deployment->config->cluster : NULL,
				  options->check ? stdout : stderr);
	if (code == EXIT_OK && !options->check && options->once)
		code = flume_set_can_end(set) ? collect(cli, options, &set->topology) : EXIT_USAGE;
	else if (code == EXIT_OK && !options->check) {
		struct error err = {0};
		const struct daemon_options running = {.topology = &set->topology};
		code = daemon_run(cli->dir, &running, &err) < 0 ? cli_fail(&err) : EXIT_OK;
	}
	flume_set_close(set);
	deployment_close(deployment);
	return code;
}

static int run(const struct cli *cli, int argc, char **argv)
{
	struct options options = {0};
	const int code = take_options(&options, argc, argv);
	if (code != EXIT_OK)
		return code;
	if (options.flume.n)
		return run_flume(cli, &options);
	if (options.flume_conf || options.check || options.format)
		return cli_usage_error(
			"collect", "--flume-conf FILE and --agent NAME go together; --check and --format go with them");
	if (!options.once)
		return cli_usage_error("collect", "say --once: take what is in the spool directories now, then end");
	return collect(cli, &options, NULL);
}

const struct command command_collect = {
	.name = "collect",
	.summary = "take orders from the spool directories",
	.usage = USAGE,
	.run = run,
};
