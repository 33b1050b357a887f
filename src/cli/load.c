#include "cluster/load.h"
#include "base/json.h"
#include "batch/customers.h"
#include "cli/cluster_progress.h"
#include "cli/command.h"
#include "cli/show.h"
#include "config/deployment.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char USAGE[] =
	"usage: punchcard [-C DIR] load customers [--format NAME] [--strict] [--json] FILE...\n"
	"\n"
	"Loads customer files. Each is kept unchanged under data/warehouse/customers/ (the same file twice is one),\n"
	"then the table customers_cln and the profiles at the till are made of all files ever loaded by\n"
	"models/customers_cln.sql: of the rows of one customer the newest holds.\n"
	"\n"
	"A file is CSV, plain or gzip, in UTF-8. Every line ends in the table or, with a reason, in the table\n"
	"`quarantine`; header and blank lines are no lines.\n"
	"\n"
	"  --format NAME   classic (no header; nine columns: customer_id, home_store, name, email, since as\n"
	"                  yyyy-mm-dd, card number, birth date, gender M, F or N, birth year), or the name of one of\n"
	"                  the customer_mappings in punchcard.yaml; unless set, customers.format there\n"
	"  --strict        exit with 3 when lines were quarantined (the good ones are loaded)\n"
	"  --json          what was done as one JSON object: files [{file, landed, format, already_loaded, read,\n"
	"                  loaded, quarantined, reasons}], read, loaded, quarantined, reasons, customers\n"
	"\n"
	"When one of the files cannot be read, none is loaded. Orders may be collected meanwhile. On a cluster files "
	"and\n"
	"table are in HDFS, made by Spark, and the profiles in HBase (docs/cluster.md).\n"
	"\n"
	"exit codes: 0 done; 1 it could not be done; 2 usage or configuration; 3 --strict and lines were quarantined;\n"
	"4 another load, refresh or rebuild runs; 130 interrupted\n";

struct arguments {
	const char *format;
	bool strict;
	bool json;
};

enum {
	OPTION_FORMAT = 1,
	OPTION_STRICT,
	OPTION_JSON,
};

static int parse_arguments(int argc, char **argv, struct arguments *out)
{
	static const struct option OPTIONS[] = {
		{"format", required_argument, NULL, OPTION_FORMAT},
		{"strict", no_argument, NULL, OPTION_STRICT},
		{"json", no_argument, NULL, OPTION_JSON},
		{NULL, 0, NULL, 0},
	};
	opterr = 0;
	optind = 1;
	for (int option; (option = getopt_long(argc, argv, ":", OPTIONS, NULL)) != -1;) {
		switch (option) {
		case OPTION_FORMAT:
			out->format = optarg;
			break;
		case OPTION_STRICT:
			out->strict = true;
			break;
		case OPTION_JSON:
			out->json = true;
			break;
		case ':':
			return cli_usage_error("load", "%s needs a value", argv[optind - 1]);
		default:
			return cli_usage_error("load", "unknown option %s", argv[optind - 1]);
		}
	}
	if (optind == argc)
		return cli_usage_error("load", "what should be loaded? load customers FILE...");
	if (strcmp(argv[optind], "customers") != 0)
		return cli_usage_error("load", "'%s' cannot be loaded, only customers: load customers FILE...",
				       argv[optind]);
	if (optind + 1 == argc)
		return cli_usage_error("load", "no file named: load customers FILE...");
	return EXIT_OK;
}

static uint64_t count_bad(const uint64_t counts[CUSTOMER_REASONS])
{
	uint64_t n = 0;
	for (unsigned i = CUSTOMER_GOOD + 1; i < CUSTOMER_REASONS; i++)
		n += counts[i];
	return n;
}

/* "2,246 lines read = 2,246 loaded + 0 quarantined (3 since, 1 encoding)" */
static void print_counts(const char *name, const char *note, const uint64_t counts[CUSTOMER_REASONS])
{
	char read[NUMBER_TEXT_MAX];
	char loaded[NUMBER_TEXT_MAX];
	char quarantined[NUMBER_TEXT_MAX];
	const uint64_t bad = count_bad(counts);
	show_text(stdout, slice_of(name));
	printf(": %s%s lines read = %s loaded + %s quarantined", note, number_text(counts[CUSTOMER_GOOD] + bad, read),
	       number_text(counts[CUSTOMER_GOOD], loaded), number_text(bad, quarantined));
	const char *separator = " (";
	for (unsigned i = CUSTOMER_GOOD + 1; i < CUSTOMER_REASONS; i++) {
		if (!counts[i])
			continue;
		printf("%s%s %s", separator, number_text(counts[i], read),
		       customer_reason_code((enum customer_reason)i));
		separator = ", ";
	}
	puts(bad ? ")" : "");
}

static void print_empty(const struct customers_file *file)
{
	show_text(stdout, slice_of(file->path));
	printf(": %s0 lines read: %s\n", file->known ? "already loaded: " : "",
	       file->has_header ? "there is nothing behind the header" : "the file is empty");
}

static void print_report(const struct customers_report *report)
{
	for (size_t i = 0; i < report->n_files; i++) {
		const struct customers_file *const file = &report->files[i];
		if (file->counts[CUSTOMER_GOOD] + count_bad(file->counts))
			print_counts(file->path, file->known ? "already loaded: " : "", file->counts);
		else
			print_empty(file);
	}
	if (report->n_files > 1)
		print_counts("total", "", report->counts);
	char customers[NUMBER_TEXT_MAX];
	printf("customers_cln: %s customers\n", number_text(report->customers, customers));
	if (count_bad(report->counts))
		puts("See what was set aside: punchcard sql \"select file, line, reason, text from quarantine\"");
}

/* The three counts and the reasons, as members of the object that is open. */
static void write_counts(struct json *json, const uint64_t counts[CUSTOMER_REASONS])
{
	const uint64_t bad = count_bad(counts);
	json_key(json, "read");
	json_uint(json, counts[CUSTOMER_GOOD] + bad);
	json_key(json, "loaded");
	json_uint(json, counts[CUSTOMER_GOOD]);
	json_key(json, "quarantined");
	json_uint(json, bad);
	json_key(json, "reasons");
	json_object(json);
	for (unsigned i = CUSTOMER_GOOD + 1; i < CUSTOMER_REASONS; i++) {
		if (!counts[i])
			continue;
		json_key(json, customer_reason_code((enum customer_reason)i));
		json_uint(json, counts[i]);
	}
	json_end_object(json);
}

static void write_report(struct json *json, const struct customers_report *report)
{
	json_object(json);
	json_key(json, "files");
	json_array(json);
	for (size_t i = 0; i < report->n_files; i++) {
		const struct customers_file *const file = &report->files[i];
		json_object(json);
		json_key(json, "file");
		json_text(json, file->path);
		json_key(json, "landed");
		json_text(json, file->landed);
		json_key(json, "format");
		json_text(json, file->format);
		json_key(json, "already_loaded");
		json_bool(json, file->known);
		write_counts(json, file->counts);
		json_end_object(json);
	}
	json_end_array(json);
	write_counts(json, report->counts);
	json_key(json, "customers");
	json_uint(json, report->customers);
	json_end_object(json);
	json_newline(json);
}

static int print_json(const struct customers_report *report)
{
	struct json json;
	struct error err;
	json_to_file(&json, stdout);
	write_report(&json, report);
	return json_finish(&json, &err) < 0 ? cli_fail(&err) : EXIT_OK;
}

static int run(const struct cli *cli, int argc, char **argv)
{
	struct arguments arguments = {0};
	int code = parse_arguments(argc, argv, &arguments);
	if (code != EXIT_OK)
		return code;
	struct error err;
	struct deployment *deployment = NULL;
	if (deployment_open(cli->dir, DEPLOYMENT_WRITE, "load", &deployment, &err) < 0)
		return cli_fail(&err);
	struct customers_report report;
	const char *const *const paths = (const char *const *)(argv + optind + 1);
	const size_t n_paths = (size_t)(argc - optind - 1);
	const enum cluster_shown shown = deployment->config->cluster.on
						 ? cluster_shown(cli->err_is_terminal, arguments.json)
						 : CLUSTER_SHOWN_NOT;
	const struct cluster_batch_hooks hooks = cluster_progress(shown);
	const int rc =
		deployment->config->cluster.on
			? cluster_load_customers(deployment, &hooks, paths, n_paths, arguments.format, &report, &err)
			: customers_load(deployment, paths, n_paths, arguments.format, &report, &err);
	cluster_progress_end(shown, rc < 0);
	if (rc < 0) {
		deployment_close(deployment);
		return cli_fail(&err);
	}
	if (arguments.json)
		code = print_json(&report);
	else
		print_report(&report);
	if (code == EXIT_OK && arguments.strict && count_bad(report.counts))
		code = EXIT_QUARANTINED;
	customers_report_release(&report);
	deployment_close(deployment);
	return code;
}

const struct command command_load = {
	.name = "load",
	.summary = "load customer files",
	.usage = USAGE,
	.run = run,
	.ends_engines = true,
};
