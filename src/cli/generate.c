#include "speed/generate.h"
#include "base/clock.h"
#include "base/decimal.h"
#include "base/file.h"
#include "base/tz.h"
#include "cli/command.h"
#include "cli/show.h"
#include "config/config.h"
#include "config/deployment.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char USAGE[] =
	"usage: punchcard [-C DIR] generate [<options>]\n"
	"\n"
	"Writes orders of a shop that does not exist, one line each: cust_id|beverage price|unix_seconds\n"
	"Customers, hours and weekdays are as in a shop; the menu is that of punchcard.yaml, the hours are local\n"
	"ones of the programme's timezone. The same options give the same bytes.\n"
	"\n"
	"  --orders N      orders; 10000 unless set\n"
	"  --customers N   of customers 1 to N, a few of which order much and many little; 1000 unless set\n"
	"  --from DATE     first day, yyyy-mm-dd; 30 days ago unless set\n"
	"  --to DATE       last day; yesterday unless set (with --from alone: 29 days after it)\n"
	"  --seed N        other orders of the same kind; 1 unless set\n"
	"  --files N       spread over N files; 1 unless set\n"
	"  --rate R        live: R orders a second, stamped with the current time, in a file a second (or to stdout\n"
	"                  as they come), until --orders N were written or Ctrl-C\n"
	"  --dirty P       a share P (0 to 1) of the orders gets a fault of real feeds, each kind alike often:\n"
	"                    duplicate  the line comes twice. Classic lines carry no id of their own, so the second\n"
	"                               is an order like any other\n"
	"                    late       the time is one minute to three days before its neighbours'\n"
	"                    torn       the line is cut somewhere before the time\n"
	"                    unknown    the customer's id is greater than --customers\n"
	"  --spool DIR     into this directory, made when missing; unless set, the first source of format classic in\n"
	"                  punchcard.yaml\n"
	"  --stdout        to standard output instead\n"
	"  --json          the summary as JSON on stdout (on stderr with --stdout)\n"
	"\n"
	"Files are named orders-<seed>-<number>.txt (live: <number> is the time in milliseconds) and appear whole, by\n"
	"rename. A file that is there already, or was taken by collect, is not overwritten: take another --seed.\n"
	"With --stdout or --spool there need not be a deployment; then the menu is one of six drinks, and hours are "
	"UTC.\n";

static const struct config_menu_item DEFAULT_MENU[] = {
	{.name = (char[]){"espresso"}, .price_minor = 6500},  {.name = (char[]){"cappucino"}, .price_minor = 9000},
	{.name = (char[]){"mocha"}, .price_minor = 8000},     {.name = (char[]){"latte"}, .price_minor = 7000},
	{.name = (char[]){"chocolate"}, .price_minor = 6000}, {.name = (char[]){"greentea"}, .price_minor = 6000},
};

#define DEFAULT_ORDERS    10000
#define DEFAULT_CUSTOMERS 1000
#define DEFAULT_DAYS      30
/* Orders are of years that the rest of punchcard takes, with a day to spare for the time zone. */
#define FIRST_DAY "1970-01-02"
#define LAST_DAY  "2199-12-30"

struct arguments {
	struct generate_options options;
	bool has_orders;
	bool has_from;
	bool has_to;
	bool has_files;
	bool to_stdout;
	bool json;
	const char *spool;
};

/* Where the orders go and what they are made of; owns what arguments.options points to. */
struct target {
	struct deployment *deployment;
	struct tz *utc;
	char *dir;
	char *taken_dir;
};

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
	(void)number;
	stop = 1;
}

/* ---- the command line ---- */

static int parse_count(const char *option, const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	int64_t value = 0;
	if (integer_parse(text, strlen(text), &value) < 0 || value < 0 || (uint64_t)value < min ||
	    (uint64_t)value > max)
		return cli_usage_error("generate", "--%s %s: expected a whole number from %" PRIu64 " to %" PRIu64,
				       option, text, min, max);
	*out = (uint64_t)value;
	return EXIT_OK;
}

static int parse_day(const char *option, const char *text, int32_t *out)
{
	int32_t day = 0;
	int32_t first = 0;
	int32_t last = 0;
	(void)civil_parse(FIRST_DAY, strlen(FIRST_DAY), &first);
	(void)civil_parse(LAST_DAY, strlen(LAST_DAY), &last);
	if (civil_parse(text, strlen(text), &day) < 0 || day < first || day > last)
		return cli_usage_error("generate",
				       "--%s %s: expected a date, yyyy-mm-dd, from " FIRST_DAY " to " LAST_DAY, option,
				       text);
	*out = day;
	return EXIT_OK;
}

static int parse_share(const char *text, uint32_t *out)
{
	int64_t ppb = 0;
	if (decimal_parse(text, strlen(text), 9, '.', GENERATE_DIRTY_WHOLE, &ppb) < 0 || ppb < 0)
		return cli_usage_error("generate", "--dirty %s: expected a share from 0 to 1, with at most 9 decimals",
				       text);
	*out = (uint32_t)ppb;
	return EXIT_OK;
}

enum {
	OPTION_ORDERS,
	OPTION_CUSTOMERS,
	OPTION_FROM,
	OPTION_TO,
	OPTION_SEED,
	OPTION_FILES,
	OPTION_RATE,
	OPTION_DIRTY,
	OPTION_SPOOL,
	OPTION_STDOUT,
	OPTION_JSON,
};

static const struct option OPTIONS[] = {
	[OPTION_ORDERS] = {"orders", required_argument, NULL, OPTION_ORDERS},
	[OPTION_CUSTOMERS] = {"customers", required_argument, NULL, OPTION_CUSTOMERS},
	[OPTION_FROM] = {"from", required_argument, NULL, OPTION_FROM},
	[OPTION_TO] = {"to", required_argument, NULL, OPTION_TO},
	[OPTION_SEED] = {"seed", required_argument, NULL, OPTION_SEED},
	[OPTION_FILES] = {"files", required_argument, NULL, OPTION_FILES},
	[OPTION_RATE] = {"rate", required_argument, NULL, OPTION_RATE},
	[OPTION_DIRTY] = {"dirty", required_argument, NULL, OPTION_DIRTY},
	[OPTION_SPOOL] = {"spool", required_argument, NULL, OPTION_SPOOL},
	[OPTION_STDOUT] = {"stdout", no_argument, NULL, OPTION_STDOUT},
	[OPTION_JSON] = {"json", no_argument, NULL, OPTION_JSON},
	{NULL, 0, NULL, 0},
};

static int take_option(struct arguments *args, int option, const char *value)
{
	struct generate_options *const options = &args->options;
	const char *const name = OPTIONS[option].name;
	uint64_t number = 0;
	int rc = EXIT_OK;
	switch (option) {
	case OPTION_ORDERS:
		args->has_orders = true;
		return parse_count(name, value, 1, GENERATE_ORDERS_MAX, &options->orders);
	case OPTION_CUSTOMERS:
		rc = parse_count(name, value, 1, GENERATE_CUSTOMERS_MAX, &number);
		options->customers = (uint32_t)number;
		return rc;
	case OPTION_FROM:
		args->has_from = true;
		return parse_day(name, value, &options->from_day);
	case OPTION_TO:
		args->has_to = true;
		return parse_day(name, value, &options->to_day);
	case OPTION_SEED:
		return parse_count(name, value, 0, INT64_MAX, &options->seed);
	case OPTION_FILES:
		args->has_files = true;
		rc = parse_count(name, value, 1, GENERATE_FILES_MAX, &number);
		options->files = (uint32_t)number;
		return rc;
	case OPTION_RATE:
		rc = parse_count(name, value, 1, GENERATE_RATE_MAX, &number);
		options->rate = (uint32_t)number;
		return rc;
	case OPTION_DIRTY:
		return parse_share(value, &options->dirty_ppb);
	case OPTION_SPOOL:
		args->spool = value;
		return *value ? EXIT_OK : cli_usage_error("generate", "--spool needs a directory");
	case OPTION_STDOUT:
		args->to_stdout = true;
		return EXIT_OK;
	default:
		args->json = true;
		return EXIT_OK;
	}
}

/* Options that say the opposite of each other. */
static int check_together(const struct arguments *args)
{
	if (args->to_stdout && args->spool)
		return cli_usage_error("generate", "--stdout and --spool: only one of them can be");
	if (args->options.rate && (args->has_from || args->has_to))
		return cli_usage_error("generate",
				       "--rate stamps with the current time: --from and --to have no meaning");
	if (args->options.rate && args->has_files)
		return cli_usage_error("generate", "--rate writes a file a second: --files has no meaning");
	if (args->to_stdout && args->has_files)
		return cli_usage_error("generate", "--stdout has no files: --files has no meaning");
	if (!args->options.rate && args->options.files > args->options.orders)
		return cli_usage_error("generate", "--files %" PRIu32 " is more than the %" PRIu64 " orders",
				       args->options.files, args->options.orders);
	return EXIT_OK;
}

static int parse_arguments(int argc, char **argv, struct arguments *args)
{
	*args = (struct arguments){
		.options = {.orders = DEFAULT_ORDERS, .customers = DEFAULT_CUSTOMERS, .seed = 1, .files = 1}};
	opterr = 0;
	optind = 0;
	int option = 0;
	while ((option = getopt_long(argc, argv, "+:", OPTIONS, NULL)) != -1) {
		if (option == ':')
			return cli_usage_error("generate", "%s needs a value", argv[optind - 1]);
		if (option == '?')
			return cli_usage_error("generate", "unknown option or value: %s", argv[optind - 1]);
		const int rc = take_option(args, option, optarg);
		if (rc != EXIT_OK)
			return rc;
	}
	if (optind < argc)
		return cli_usage_error("generate", "unexpected argument: %s", argv[optind]);
	if (args->options.rate && !args->has_orders)
		args->options.orders = 0;
	return check_together(args);
}

/* ---- where to, and of what ---- */

static const struct config_source *find_source(const struct config *config)
{
	for (unsigned i = 0; i < config->n_sources; i++)
		if (config->sources[i].type == SOURCE_SPOOL && strcmp(config->sources[i].format, "classic") == 0)
			return &config->sources[i];
	return NULL;
}

static int choose_source(struct arguments *args, struct target *target, struct error *err)
{
	const struct config *const config = target->deployment->config;
	const struct config_source *const source = find_source(config);
	if (!source)
		return error_set(
			err, ERROR_CONFIG,
			"%s: no source has the format classic; add one, or name a directory with --spool, or use "
			"--stdout",
			config->path);
	args->options.taken_suffix = source->when_done == WHEN_DONE_RENAME ? source->suffix : NULL;
	if (source->when_done == WHEN_DONE_MOVE) {
		target->taken_dir = deployment_path(target->deployment, source->move_to);
		if (!target->taken_dir)
			return error_no_memory(err, strlen(source->move_to));
		args->options.taken_dir = target->taken_dir;
	}
	target->dir = deployment_path(target->deployment, source->dir);
	return target->dir ? 0 : error_no_memory(err, strlen(source->dir));
}

static int use_deployment(const struct cli *cli, struct arguments *args, struct target *target, struct error *err)
{
	const int rc = deployment_open(cli->dir, DEPLOYMENT_READ, "generate", &target->deployment, err);
	if (rc < 0)
		return rc;
	const struct deployment *const deployment = target->deployment;
	if (deployment->config->n_menu == 0)
		return error_set(err, ERROR_CONFIG, "%s: menu: there is nothing to order; expected one item or more",
				 deployment->config->path);
	args->options.menu = deployment->config->menu;
	args->options.n_menu = deployment->config->n_menu;
	args->options.zone = deployment->programme->timezone;
	return 0;
}

static int use_defaults(struct arguments *args, struct target *target, struct error *err)
{
	args->options.menu = DEFAULT_MENU;
	args->options.n_menu = sizeof(DEFAULT_MENU) / sizeof(DEFAULT_MENU[0]);
	const int rc = tz_load("UTC", &target->utc, err);
	args->options.zone = target->utc;
	return rc;
}

/* The days, when not both were named. */
static int choose_days(struct arguments *args)
{
	struct generate_options *const options = &args->options;
	const int32_t today = tz_local_day(options->zone, clock_now_us());
	if (!args->has_to)
		options->to_day = args->has_from ? options->from_day + DEFAULT_DAYS - 1 : today - 1;
	if (!args->has_from)
		options->from_day = options->to_day - DEFAULT_DAYS + 1;
	if (options->from_day > options->to_day)
		return cli_usage_error("generate", "--from is after --to");
	return EXIT_OK;
}

/* Without a deployment only when nobody asked for one: -C names one, and the usual target is in one. */
static int choose_target(const struct cli *cli, struct arguments *args, struct target *target, struct error *err)
{
	int rc = use_deployment(cli, args, target, err);
	if (rc < 0 && strcmp(cli->dir, ".") == 0 && !file_exists("punchcard.yaml") && (args->to_stdout || args->spool))
		rc = use_defaults(args, target, err);
	if (rc < 0)
		return rc;
	args->options.fd = STDOUT_FILENO;
	if (args->to_stdout)
		return 0;
	if (!args->spool)
		rc = choose_source(args, target, err);
	else
		args->options.taken_suffix = ".COMPLETED";
	args->options.dir = args->spool ? args->spool : target->dir;
	return rc;
}

static void release_target(struct target *target)
{
	deployment_close(target->deployment);
	tz_free(target->utc);
	free(target->dir);
	free(target->taken_dir);
}

/* ---- the summary ---- */

static void print_json(FILE *out, const struct arguments *args, const struct generate_counts *counts, double seconds)
{
	fprintf(out,
		"{\"orders\": %" PRIu64 ", \"lines\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"files\": %" PRIu64
		", \"seed\": %" PRIu64 ", \"customers\": %" PRIu32,
		counts->orders, counts->lines, counts->bytes, counts->files, args->options.seed,
		args->options.customers);
	if (!args->options.rate) {
		char from[11];
		char to[11];
		civil_format(args->options.from_day, from);
		civil_format(args->options.to_day, to);
		fprintf(out, ", \"from\": \"%s\", \"to\": \"%s\"", from, to);
	}
	fprintf(out,
		", \"faults\": {\"duplicates\": %" PRIu64 ", \"late\": %" PRIu64 ", \"torn\": %" PRIu64
		", \"unknown\": %" PRIu64 "}, \"seconds\": %.3f}\n",
		counts->duplicates, counts->late, counts->torn, counts->unknown, seconds);
}

static void print_summary(FILE *out, const struct arguments *args, const struct generate_counts *counts, double seconds)
{
	char n[4][NUMBER_TEXT_MAX];
	fprintf(out, "%s orders in %s lines (%.1f MB)", number_text(counts->orders, n[0]),
		number_text(counts->lines, n[1]), (double)counts->bytes / 1e6);
	if (args->options.dir)
		fprintf(out, ", %s file%s in %s", number_text(counts->files, n[0]), counts->files == 1 ? "" : "s",
			args->options.dir);
	if (!args->options.rate) {
		char from[11];
		char to[11];
		civil_format(args->options.from_day, from);
		civil_format(args->options.to_day, to);
		fprintf(out, ", %s to %s", from, to);
	}
	fprintf(out, ", in %.1f s\n", seconds);
	if (args->options.dirty_ppb)
		fprintf(out, "faults: %s duplicates, %s late, %s torn, %s unknown\n",
			number_text(counts->duplicates, n[0]), number_text(counts->late, n[1]),
			number_text(counts->torn, n[2]), number_text(counts->unknown, n[3]));
}

/* ---- */

static double seconds_since(const struct timespec *start)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - start->tv_sec) + (double)(now.tv_nsec - start->tv_nsec) / 1e9;
}

static int generate_and_tell(struct arguments *args, struct error *err)
{
	struct generate_counts counts;
	struct timespec start;
	clock_gettime(CLOCK_MONOTONIC, &start);
	args->options.stop = &stop;
	const int rc = generate_run(&args->options, &counts, err);
	if (rc < 0) {
		if (args->options.dir && counts.files > 0)
			fprintf(stderr, "%" PRIu64 " whole file%s in %s\n", counts.files, counts.files == 1 ? "" : "s",
				args->options.dir);
		return cli_fail(err);
	}
	if (args->json)
		print_json(args->to_stdout ? stderr : stdout, args, &counts, seconds_since(&start));
	else
		print_summary(stderr, args, &counts, seconds_since(&start));
	return EXIT_OK;
}

static int run_generate(const struct cli *cli, int argc, char **argv)
{
	struct arguments args;
	int code = parse_arguments(argc, argv, &args);
	if (code != EXIT_OK)
		return code;
	const struct sigaction action = {.sa_handler = on_signal};
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	struct error err = {0};
	struct target target = {0};
	if (choose_target(cli, &args, &target, &err) < 0)
		code = cli_fail(&err);
	else
		code = args.options.rate ? EXIT_OK : choose_days(&args);
	if (code == EXIT_OK)
		code = generate_and_tell(&args, &err);
	release_target(&target);
	return code;
}

const struct command command_generate = {
	.name = "generate",
	.summary = "write orders of a shop that does not exist, to try things with",
	.usage = USAGE,
	.run = run_generate,
};
