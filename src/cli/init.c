#include "base/buf.h"
#include "cli/command.h"
#include "config/deployment.h"

#include <string.h>

static const char USAGE[] =
	"usage: punchcard init [DIR]\n"
	"\n"
	"Makes a deployment: the directory of one shop, which every other command works in.\n"
	"\n"
	"  DIR   the directory, made when it is missing (default: the one of -C, or this directory).\n"
	"        It may hold other files, but no punchcard.yaml; what is there already is kept.\n"
	"\n"
	"It writes\n"
	"  punchcard.yaml   what comes in, from where, and how it is read; every key is explained there\n"
	"  programme.yaml   the loyalty programme: currency, time zone, what earns points\n"
	"  models/          the SQL that makes the tables, to be read and edited\n"
	"  spool/           where order files are dropped\n"
	"  data/            what punchcard keeps: journal, customer view, tables, quarantine\n"
	"\n"
	"exit codes: 0 made; 1 it could not be made, or there is one already (then nothing was changed);\n"
	"2 wrong command line\n";

/* What to type, as seen from where the user is. */
static const char *option_of(const char *dir, char *buffer, size_t size)
{
	if (strcmp(dir, ".") == 0)
		return "";
	const bool quote = strpbrk(dir, " \t'\"\\$&();<>|*?[]#~`!{}") != NULL;
	snprintf(buffer, size, quote ? "-C '%s' " : "-C %s ", dir);
	return buffer;
}

static void print_result(const char *dir)
{
	char buffer[4200];
	const char *const option = option_of(dir, buffer, sizeof(buffer));
	printf("Made a deployment in %s\n"
	       "  punchcard.yaml   what comes in, and how it is read (every key is explained there)\n"
	       "  programme.yaml   the loyalty programme: currency, time zone, what earns points\n"
	       "  models/          the SQL that makes the tables\n"
	       "  spool/           drop order files here\n"
	       "  data/            what punchcard keeps\n"
	       "\n"
	       "Look through programme.yaml first. Then:\n"
	       "  punchcard %sload customers FILE     customer files in\n"
	       "  punchcard %scollect --once          orders in: everything that is in spool/\n"
	       "  punchcard %sstatus                  what is there\n",
	       strcmp(dir, ".") == 0 ? "this directory" : dir, option, option, option);
}

/* `-C shop init north` means shop/north, as for git. NULL when out of memory. */
static char *place_of(const char *base, const char *dir)
{
	if (!dir)
		return strdup(base);
	if (*dir == '/' || strcmp(base, ".") == 0)
		return strdup(dir);
	return text_printf("%s/%s", base, dir);
}

static int run_init(const struct cli *cli, int argc, char **argv)
{
	const char *dir = NULL;
	bool options = true;
	for (int i = 1; i < argc; i++) {
		if (options && strcmp(argv[i], "--") == 0)
			options = false;
		else if (options && argv[i][0] == '-' && argv[i][1])
			return cli_usage_error("init", "'%s' is no option", argv[i]);
		else if (dir)
			return cli_usage_error("init", "one directory at most; '%s' is a second one", argv[i]);
		else
			dir = argv[i];
	}
	if (dir && !*dir)
		return cli_usage_error("init", "the directory's name is empty");

	_cleanup_free_ char *place = place_of(cli->dir, dir);
	struct error err = {0};
	if (!place)
		error_no_memory(&err, strlen(cli->dir));
	if (!place || deployment_init(place, &err) < 0)
		return cli_fail(&err);
	print_result(place);
	return EXIT_OK;
}

const struct command command_init = {
	.name = "init",
	.summary = "make a deployment: a directory with its configuration",
	.usage = USAGE,
	.run = run_init,
};
