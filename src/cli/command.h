/*
 * Commands: one file each in src/cli, one `const struct command` each, listed in main.c.
 */
#ifndef PUNCHCARD_CLI_COMMAND_H
#define PUNCHCARD_CLI_COMMAND_H

#include "base/error.h"

#include <stdbool.h>
#include <stdio.h>

/* Exit codes; documented in `punchcard --help` and README. */
enum exit_code {
	EXIT_OK = 0,
	EXIT_FAILED = 1,      /* it could not be done; the message says why */
	EXIT_USAGE = 2,       /* wrong command line or configuration */
	EXIT_QUARANTINED = 3, /* --strict: good lines landed, others were set aside */
	EXIT_LOCKED = 4,      /* another process writes the same part of the deployment */
	EXIT_INTERRUPTED = 130,
};

/* What main found before the command: global options may stand anywhere before a `--`. */
struct cli {
	const char *dir; /* -C DIR, "." unless given */
	bool out_is_terminal;
	bool err_is_terminal;
};

struct command {
	const char *name;
	const char *summary; /* one line, for the list */
	const char *usage;   /* whole text of --help */
	/* argv[0] is the command's name. Returns an exit code. */
	int (*run)(const struct cli *cli, int argc, char **argv);
	/* Ctrl-C, SIGTERM and SIGHUP interrupt every SQL engine while it runs, so that it fails with ERROR_INTERRUPTED and cleans
	 * up; a second one ends it at once. */
	bool ends_engines;
};

/* Prints "punchcard: <message>" to stderr and gives the exit code that fits err->code. */
int cli_fail(const struct error *err);
/* Prints "punchcard <command>: <message>" and how to get help; gives EXIT_USAGE. */
int cli_usage_error(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

extern const struct command command_init;
extern const struct command command_load;
extern const struct command command_generate;
extern const struct command command_collect;
extern const struct command command_run;
extern const struct command command_refresh;
extern const struct command command_rebuild;
extern const struct command command_customer;
extern const struct command command_sql;
extern const struct command command_audit;
extern const struct command command_explain;
extern const struct command command_simulate;
extern const struct command command_status;
extern const struct command command_top;
extern const struct command command_doctor;
extern const struct command command_migrate;
extern const struct command command_demo;
extern const struct command command_programme;

#endif
