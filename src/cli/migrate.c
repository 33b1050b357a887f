#include "serving/migrate.h"

#include "base/file.h"
#include "cli/command.h"
#include "cli/json_keys.h"
#include "cli/show.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static const char USAGE[] =
	"usage: punchcard [-C DIR] migrate --to CLUSTER.yaml [--json]\n"
	"\n"
	"Moves a deployment of one machine to a cluster. CLUSTER.yaml is the punchcard.yaml, with a section cluster, "
	"of a new\n"
	"deployment (`punchcard init`), whose directory collects from then on; it has the same programme.yaml, and the "
	"same\n"
	"sources under the same names. Its directory may be named as well.\n"
	"\n"
	"Files of the tables go to HDFS; customers, and all that they did, to HBase; positions of sources and ids to "
	"the new\n"
	"journal, so that what was collected is had. Both sides are then read and compared: files by their bytes, rows "
	"by\n"
	"count and hashes. The accounts' states are made by the first refresh there.\n"
	"\n"
	"The old deployment stays as it is, and can only be read from then on. Whatever interrupts it: run it again.\n"
	"\n"
	"exit codes: 0 moved; 1 it could not be done; 2 usage or configuration; 4 another process writes to one of "
	"them;\n"
	"130 interrupted\n";

enum { OPTION_TO = 256, OPTION_JSON };

static const struct option OPTIONS[] = {
	{"to", required_argument, NULL, OPTION_TO},
	{"json", no_argument, NULL, OPTION_JSON},
	{NULL, 0, NULL, 0},
};

static int print_json(const struct migrate_report *report, const char *to)
{
	struct json out;
	struct error err = {0};
	json_to_file(&out, stdout);
	json_object(&out);
	key_text(&out, "to", to);
	json_key(&out, "was_done");
	json_bool(&out, report->was_done);
	key_uint(&out, "files", report->files);
	key_uint(&out, "bytes", report->bytes);
	key_uint(&out, "customers", report->customers);
	key_uint(&out, "events", report->events);
	key_uint(&out, "events_of_guests", report->guests);
	json_end_object(&out);
	json_newline(&out);
	return json_finish(&out, &err) < 0 ? cli_fail(&err) : EXIT_OK;
}

static void print_report(const struct migrate_report *report, const char *to)
{
	char n[4][COUNT_TEXT_MAX];
	char bytes[BYTES_TEXT_MAX];
	if (report->was_done) {
		printf("it was moved to %s before; nothing was done\n", to);
		return;
	}
	printf("moved to %s, and read back: %s (%s), %s, %s, and %s of guests, which are in the table alone\n", to,
	       count_text(report->files, "file", n[0]), bytes_text(report->bytes, bytes),
	       count_text(report->customers, "customer", n[1]), count_text(report->events, "event", n[2]),
	       count_text(report->guests, "event", n[3]));
	printf("next: punchcard -C %s collect --once; and load customers and refresh there\n", to);
}

static int run(const struct cli *cli, int argc, char **argv)
{
	const char *to = NULL;
	bool as_json = false;
	opterr = 0;
	for (int option; (option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1;) {
		if (option == OPTION_TO)
			to = optarg;
		else if (option == OPTION_JSON)
			as_json = true;
		else
			return cli_usage_error("migrate", "unknown option, or one without its value: '%s'",
					       argv[optind - 1]);
	}
	if (!to || optind < argc)
		return cli_usage_error("migrate", "where to? `punchcard migrate --to /srv/edge/punchcard.yaml`");
	/* The deployment is the file's directory, and has it by this name. */
	const char *const slash = strrchr(to, '/');
	const bool is_file = strcmp(slash ? slash + 1 : to, "punchcard.yaml") == 0;
	_cleanup_free_ char *dir = !is_file ? text_printf("%s", to)
				   : slash  ? text_printf("%.*s", slash == to ? 1 : (int)(slash - to), to)
					    : text_printf(".");
	struct migrate_report report = {0};
	struct error err = {0};
	if (!dir) {
		error_no_memory(&err, strlen(to));
		return cli_fail(&err);
	}
	if (migrate_run(cli->dir, dir, &report, &err) < 0)
		return cli_fail(&err);
	if (as_json)
		return print_json(&report, dir);
	print_report(&report, dir);
	return EXIT_OK;
}

const struct command command_migrate = {
	.name = "migrate",
	.summary = "move a deployment of one machine to a cluster",
	.usage = USAGE,
	.run = run,
	.ends_engines = true,
};
