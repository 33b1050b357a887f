#include "cli/command.h"
#include "cli/show.h"
#include "serving/watch.h"

#include <locale.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

static const struct command *const COMMANDS[] = {
	&command_init,
	&command_load,
	&command_generate,
	&command_collect,
	&command_run,
	&command_top,
	&command_status,
	&command_refresh,
	&command_rebuild,
	&command_customer,
	&command_audit,
	&command_explain,
	&command_simulate,
	&command_doctor,
	&command_migrate,
	&command_demo,
	&command_sql,
	&command_programme,
	NULL,
};

static const char HELP[] =
	"usage: punchcard [-C DIR] <command> [<options>]\n"
	"\n"
	"A customer-loyalty data platform: customer files and orders in, points, tables and answers out.\n"
	"\n"
	"commands:\n";

static const char HELP_END[] = "\n"
			       "  -C DIR      the deployment (default: this directory)\n"
			       "  --help      this text; `punchcard <command> --help` tells all about one command\n"
			       "  --version   the version\n"
			       "\n"
			       "exit codes: 0 done; 1 it could not be done; 2 wrong command line or configuration; 3 "
			       "lines were quarantined (--strict);\n"
			       "4 another process writes the same part of the deployment; 130 interrupted\n";

static int code_of_error(int code)
{
	switch (code) {
	case ERROR_USAGE:
	case ERROR_CONFIG:
		return EXIT_USAGE;
	case ERROR_LOCKED:
		return EXIT_LOCKED;
	case ERROR_INTERRUPTED:
		return EXIT_INTERRUPTED;
	default:
		return EXIT_FAILED;
	}
}

int cli_fail(const struct error *err)
{
	const int exit_code = code_of_error(err->code);
	fflush(stdout);
	fputs("punchcard: ", stderr);
	/* A message may have several lines, such as the SQL engine's. */
	for (const char *line = err->message; line;) {
		const char *const end = strchrnul(line, '\n');
		show_text(stderr, (struct slice){line, (size_t)(end - line)});
		fputc('\n', stderr);
		line = *end ? end + 1 : NULL;
	}
	return exit_code;
}

int cli_usage_error(const char *command, const char *format, ...)
{
	fflush(stdout);
	fprintf(stderr, "punchcard %s: ", command);
	va_list ap;
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fprintf(stderr, "\nTry 'punchcard %s --help'.\n", command);
	return EXIT_USAGE;
}

static void print_help(FILE *out)
{
	fputs(HELP, out);
	for (size_t i = 0; COMMANDS[i]; i++)
		fprintf(out, "  %-11s %s\n", COMMANDS[i]->name, COMMANDS[i]->summary);
	fputs(HELP_END, out);
}

static bool wants_help(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	return false;
}

/* Takes `-C DIR` out of argv, wherever it stands before a `--`. Returns the new argc, or -1 when DIR is missing. */
static int take_global_options(int argc, char **argv, struct cli *cli)
{
	int kept = 1;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--") == 0) {
			while (i < argc)
				argv[kept++] = argv[i++];
			break;
		}
		if (strcmp(argv[i], "-C") == 0) {
			if (i + 1 == argc)
				return -1;
			cli->dir = argv[++i];
			continue;
		}
		argv[kept++] = argv[i];
	}
	argv[kept] = NULL;
	return kept;
}

/* Output that did not reach its target (a full disk, a closed pipe) is a failure, not a success. */
static int finish(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	if (code == EXIT_OK) {
		perror("punchcard: cannot write the output");
		return EXIT_FAILED;
	}
	return code;
}

static int run_command(const struct command *command, const struct cli *cli, int argc, char **argv)
{
	if (!command->ends_engines)
		return command->run(cli, argc, argv);
	struct error err = {0};
	struct watch *watch = NULL;
	if (watch_start(0, &watch, &err) < 0)
		return cli_fail(&err);
	watch_all_engines(watch);
	const int code = command->run(cli, argc, argv);
	watch_stop(watch);
	return code;
}

int main(int argc, char **argv)
{
	setlocale(LC_CTYPE, "C.UTF-8");
	signal(SIGPIPE, SIG_IGN);
	struct cli cli = {.dir = ".", .out_is_terminal = isatty(1) == 1, .err_is_terminal = isatty(2) == 1};
	argc = take_global_options(argc, argv, &cli);
	if (argc < 0) {
		fputs("punchcard: -C needs a directory\n", stderr);
		return EXIT_USAGE;
	}
	if (argc < 2) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
		print_help(stdout);
		return finish(EXIT_OK);
	}
	if (strcmp(argv[1], "--version") == 0) {
		puts("punchcard " PUNCHCARD_VERSION);
		return finish(EXIT_OK);
	}
	for (size_t i = 0; COMMANDS[i]; i++) {
		if (strcmp(COMMANDS[i]->name, argv[1]) != 0)
			continue;
		if (wants_help(argc - 1, argv + 1)) {
			fputs(COMMANDS[i]->usage, stdout);
			return finish(EXIT_OK);
		}
		return finish(run_command(COMMANDS[i], &cli, argc - 1, argv + 1));
	}
	fprintf(stderr, "punchcard: '%s' is no command; 'punchcard --help' lists them\n", argv[1]);
	return EXIT_USAGE;
}
