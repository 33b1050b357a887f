#include "base/log.h"
#include "cli/command.h"
#include "speed/daemon.h"

#include <getopt.h>
#include <string.h>

static const char USAGE[] =
	"usage: punchcard [-C DIR] run [--log-format text|json] [--log-level LEVEL]\n"
	"\n"
	"Takes events from all sources of punchcard.yaml as they come, through the journal, to transactions_cln and to "
	"the\n"
	"customers' accounts, until it is told to stop. What is durable is in SQL at once, and in the accounts within\n"
	"milliseconds. `load`, `refresh`, `rebuild` and all that reads work beside it.\n"
	"\n"
	"With the section cluster in punchcard.yaml it ships to HDFS and HBase instead (docs/cluster.md).\n"
	"\n"
	"  --log-format F   text (default) or json: a line an event that matters, to stderr\n"
	"  --log-level L    error, warning, info (default) or debug\n"
	"\n"
	"SIGTERM or Ctrl-C: the sources stop, what they took goes to the tables, then it ends. A second one ends at "
	"once:\n"
	"nothing is lost, the next run goes on. SIGHUP: punchcard.yaml and programme.yaml are read again; a "
	"programme.yaml\n"
	"that was changed is taken without it. `punchcard top` and `punchcard status` show how it goes.\n"
	"\n"
	"exit codes: 0 stopped in good order; 1 it could not start, or not go on; 2 usage or configuration; 4 another\n"
	"process collects; 130 stopped with something left in the journal: the next run takes it\n";

enum { OPTION_FORMAT = 256, OPTION_LEVEL };

static const struct option OPTIONS[] = {
	{"log-format", required_argument, NULL, OPTION_FORMAT},
	{"log-level", required_argument, NULL, OPTION_LEVEL},
	{NULL, 0, NULL, 0},
};

static int run(const struct cli *cli, int argc, char **argv)
{
	struct log_options log = LOG_DEFAULTS;
	int option;
	opterr = 0;
	while ((option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1) {
		switch (option) {
		case OPTION_FORMAT:
			if (log_format_parse(optarg, &log.format) < 0)
				return cli_usage_error("run", "'%s' is no format of a log: text or json", optarg);
			break;
		case OPTION_LEVEL:
			if (log_level_parse(optarg, &log.level) < 0)
				return cli_usage_error("run", "'%s' is no level: error, warning, info or debug",
						       optarg);
			break;
		default:
			return cli_usage_error("run", "unknown option '%s', or its value is missing", argv[optind - 1]);
		}
	}
	if (optind < argc)
		return cli_usage_error("run", "'%s' is one argument too many", argv[optind]);
	log_configure(&log);
	struct error err = {0};
	return daemon_run(cli->dir, &(const struct daemon_options){0}, &err) < 0 ? cli_fail(&err) : EXIT_OK;
}

const struct command command_run = {
	.name = "run",
	.summary = "take events from all sources as they come, until it is stopped",
	.usage = USAGE,
	.run = run,
};
