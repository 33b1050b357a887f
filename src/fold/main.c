/* punchcard-fold: the kernel alone, between two pipes; what Spark's executors run. */
#include "base/tz.h"
#include "config/config.h"
#include "fold/stream.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char USAGE[] =
	"usage: punchcard-fold --programme FILE --to DATE [--ids integer|text] [--simulate FILE]\n"
	"\n"
	"Folds customers' events: rows of transactions_cln on stdin, grouped by customer and in order, and rows of "
	"ledger, "
	"balances,\n"
	"accounts and account_state on stdout, both as text of Hive's LazySimpleSerDe (tab, backslash, \\N).\n"
	"\n"
	"  --programme FILE  programme.yaml\n"
	"  --to DATE         the last day, yyyy-mm-dd, in the programme's timezone: all events of the input are "
	"folded, and "
	"what falls\n"
	"                    due up to the start of that day\n"
	"  --ids TYPE        of what type customers' ids are: integer (unless given) or text\n"
	"  --simulate FILE   another programme: one row a customer and ledger, with points by both\n"
	"\n"
	"exit codes: 0 done; 1 the input is wrong, or it could not be done; 2 usage, or a programme is wrong\n";

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

static int fail(int code, const char *message)
{
	fprintf(stderr, "punchcard-fold: %s\n", message);
	return code;
}

struct arguments {
	const char *programme;
	const char *other;
	int32_t day;
	bool has_day;
	enum customer_id_type id_type;
};

static bool take_ids(struct arguments *arguments, const char *text)
{
	arguments->id_type = strcmp(text, "text") == 0 ? CUSTOMER_ID_TEXT : CUSTOMER_ID_INTEGER;
	return arguments->id_type == CUSTOMER_ID_TEXT || strcmp(text, "integer") == 0;
}

/* EXIT_DONE, or what to end with. */
static int read_arguments(int argc, char **argv, struct arguments *arguments)
{
	static const struct option OPTIONS[] = {
		{"programme", required_argument, NULL, 'p'},
		{"to", required_argument, NULL, 't'},
		{"ids", required_argument, NULL, 'i'},
		{"simulate", required_argument, NULL, 's'},
		{NULL, 0, NULL, 0},
	};
	int option;
	while ((option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1) {
		bool good = true;
		switch (option) {
		case 'p':
			arguments->programme = optarg;
			break;
		case 's':
			arguments->other = optarg;
			break;
		case 't':
			good = arguments->has_day = civil_parse(optarg, strlen(optarg), &arguments->day) == 0;
			break;
		case 'i':
			good = take_ids(arguments, optarg);
			break;
		default:
			good = false;
		}
		if (!good)
			return fail(EXIT_USAGE,
				    "an option is not understood; punchcard-fold without any says what there is");
	}
	if (optind == argc && arguments->programme && arguments->has_day)
		return EXIT_DONE;
	fputs(USAGE, stderr);
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	struct arguments arguments = {0};
	struct error err = {0};
	struct programme *programme = NULL;
	struct programme *other = NULL;
	/* Who reads us may go; then there is an error to tell. */
	signal(SIGPIPE, SIG_IGN);
	int code = read_arguments(argc, argv, &arguments);
	if (code != EXIT_DONE)
		return code;
	int rc = programme_load(arguments.programme, &programme, &err);
	if (rc == 0 && arguments.other)
		rc = programme_load(arguments.other, &other, &err);
	if (rc < 0) {
		code = fail(EXIT_USAGE, err.message);
	} else {
		const struct fold_stream_options options = {
			.programme = programme,
			.other = other,
			.day = arguments.day,
			.id_type = arguments.id_type,
		};
		rc = fold_stream(&options, STDIN_FILENO, STDOUT_FILENO, &err);
		code = rc < 0 ? fail(EXIT_FAILED, err.message) : EXIT_DONE;
	}
	programme_free(programme);
	programme_free(other);
	return code;
}
