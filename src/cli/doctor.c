#include "serving/doctor.h"

#include "base/clock.h"
#include "cli/command.h"
#include "cli/json_keys.h"
#include "cli/show.h"

#include <getopt.h>
#include <string.h>

static const char USAGE[] =
	"usage: punchcard [-C DIR] doctor [--json] [--deep]\n"
	"\n"
	"Looks whether all is well: with the machine (clock, descriptors, DuckDB), with the "
	"deployment (rights, free space, both\n"
	"files, models, journal and view, the daemon), and on a cluster with each system that "
	"punchcard.yaml names: HDFS, HBase,\n"
	"Spark, Java, and what this edge has shipped. One line a check: ok, warn or FAIL, what was "
	"found, and what to do.\n"
	"\n"
	"It changes nothing, but puts a small file into HDFS and a cell into HBase and takes them "
	"away again. A system that\n"
	"does not answer costs some seconds. It also works with a punchcard.yaml that does not.\n"
	"\n"
	"  --json  all checks as one JSON object\n"
	"  --deep  on a cluster, besides: start Spark once, ask the metastore, and send an order through "
	"punchcard-fold on an\n"
	"          executor; half a minute\n"
	"\n"
	"exit codes: 0 nothing fails, though there may be warnings; 1 something does; 2 usage\n";

static const struct option OPTIONS[] = {
	{"json", no_argument, NULL, 'j'},
	{"deep", no_argument, NULL, 'd'},
	{NULL, 0, NULL, 0},
};

static void print_check(void *context, const struct doctor_check *check)
{
	(void)context;
	printf("%-4s  %-14s  ", doctor_result_name(check->result), check->name);
	show_text(stdout, slice_of(check->found));
	if (*check->advice) {
		fputs("; to do: ", stdout);
		show_text(stdout, slice_of(check->advice));
	}
	putchar('\n');
	/* The next one may take seconds. */
	fflush(stdout);
}

static void json_check(void *context, const struct doctor_check *check)
{
	static const char *const RESULTS[] = {[DOCTOR_OK] = "ok", [DOCTOR_WARN] = "warn", [DOCTOR_FAIL] = "fail"};
	struct json *const out = context;
	json_object(out);
	key_text(out, "check", check->name);
	key_text(out, "result", RESULTS[check->result]);
	key_text(out, "found", check->found);
	key_text(out, "to_do", *check->advice ? check->advice : NULL);
	json_end_object(out);
}

static int run(const struct cli *cli, int argc, char **argv)
{
	bool as_json = false;
	bool deep = false;
	opterr = 0;
	for (int option; (option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1;) {
		if (option == '?')
			return cli_usage_error("doctor", "unknown option '%s'", argv[optind - 1]);
		as_json = as_json || option == 'j';
		deep = deep || option == 'd';
	}
	if (optind < argc)
		return cli_usage_error("doctor", "it takes no arguments");
	if (!as_json)
		return doctor_run(cli->dir, clock_now_us(), deep, print_check, NULL) == DOCTOR_FAIL ? EXIT_FAILED
												    : EXIT_OK;
	struct json out;
	struct error err = {0};
	json_to_file(&out, stdout);
	json_object(&out);
	json_key(&out, "checks");
	json_array(&out);
	const enum doctor_result worst = doctor_run(cli->dir, clock_now_us(), deep, json_check, &out);
	json_end_array(&out);
	json_key(&out, "ok");
	json_bool(&out, worst != DOCTOR_FAIL);
	json_end_object(&out);
	json_newline(&out);
	if (json_finish(&out, &err) < 0)
		return cli_fail(&err);
	return worst == DOCTOR_FAIL ? EXIT_FAILED : EXIT_OK;
}

const struct command command_doctor = {
	.name = "doctor",
	.summary = "look what is wrong, and say what to do",
	.usage = USAGE,
	.run = run,
};
