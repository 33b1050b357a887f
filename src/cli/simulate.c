#include "batch/simulate.h"

#include "base/decimal.h"
#include "base/file.h"
#include "base/json.h"
#include "base/tz.h"
#include "cli/command.h"
#include "cli/show.h"
#include "speed/view_writer.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char USAGE[] =
	"usage: punchcard [-C DIR] simulate --programme FILE [--data-dt DATE] [--value-per-point V] [--json]\n"
	"                 [--parquet FILE]\n"
	"\n"
	"Folds the whole history by another programme, beside today's, before you apply it: points issued, redeemed,\n"
	"expired and outstanding, what they cost, who changes tier, how many customers gain or lose how much, and the\n"
	"twenty who lose most. Nothing that serves is touched.\n"
	"\n"
	"  --programme FILE       the other programme, a file like programme.yaml\n"
	"  --data-dt DATE         events up to the end of that day, yyyy-mm-dd; else of yesterday\n"
	"  --value-per-point V    what a point costs, in the currency (0.05), in all ledgers; else each ledger's "
	"value\n"
	"  --json                 the report as one JSON object\n"
	"  --parquet FILE         besides, a row a customer and ledger with both sides\n"
	"\n"
	"Redemptions that happened are taken as they were, also where the other programme's points would not have "
	"been\n"
	"enough: what is missing becomes debt, or is forgiven, as that programme says. Nobody buys more or less for "
	"it.\n"
	"What was collected but is not yet in transactions_cln is not in it. Ctrl-C stops it.\n"
	"\n"
	"exit codes: 0 done; 1 it could not be done; 2 usage, or one of the programmes is wrong; 130 interrupted\n";

enum { OPTION_PROGRAMME = 256, OPTION_DATA_DT, OPTION_VALUE, OPTION_JSON, OPTION_PARQUET };

static const struct option OPTIONS[] = {
	{"programme", required_argument, NULL, OPTION_PROGRAMME},
	{"data-dt", required_argument, NULL, OPTION_DATA_DT},
	{"value-per-point", required_argument, NULL, OPTION_VALUE},
	{"json", no_argument, NULL, OPTION_JSON},
	{"parquet", required_argument, NULL, OPTION_PARQUET},
	{NULL, 0, NULL, 0},
};

/* A million of the currency for a point: more is a mistake. */
#define VALUE_MAX_MICRO INT64_C(1000000000000)

#define ARROW           "\xE2\x86\x92" /* → */
#define LABEL_WIDTH     16
#define CELL_WIDTH      22

struct arguments {
	const char *programme;
	const char *parquet;
	bool has_day;
	bool json;
	int32_t day;
	int64_t value_micro;
};

/* What the report is made of, and what it needs to be told. */
struct shown {
	const struct deployment *deployment;
	const struct programme *programmes[SIMULATE_SIDES];
	const char *other_path;
	const struct simulate_report *report;
	struct view *view; /* names; NULL: there are none */
};

static const char *const SIDES[SIMULATE_SIDES] = {"today", "other"};

/* ---- names ---- */

/* Whoever has no view has customers without names. */
static void open_names(struct shown *shown)
{
	struct error err = {0};
	if (view_writer_open_view(shown->deployment, true, &shown->view, &err) < 0)
		shown->view = NULL;
	else if (view_read_begin(shown->view, &err) < 0) {
		view_close(shown->view);
		shown->view = NULL;
	}
}

static struct slice find_name(const struct shown *shown, const struct simulate_customer *customer)
{
	const struct customer_id id = {.number = customer->number, .text = {customer->text, customer->text_len}};
	struct profile profile;
	struct error err = {0};
	if (!shown->view || view_profile(shown->view, &id, &profile, &err) < 0)
		return (struct slice){0};
	return profile.name;
}

/* ---- for people ---- */

static void print_difference(int64_t today, int64_t other, unsigned scale, unsigned digits)
{
	char text[NUMBER_TEXT_MAX];
	char cell[NUMBER_TEXT_MAX + 1];
	/* Sums that fit may have a difference that does not; it then has no meaning anyway. */
	int64_t difference;
	if (__builtin_sub_overflow(other, today, &difference)) {
		printf("%*s\n", CELL_WIDTH, "too much");
		return;
	}
	snprintf(cell, sizeof(cell), "%s%s", difference > 0 ? "+" : "", decimal_text(difference, scale, digits, text));
	printf("%*s\n", CELL_WIDTH, cell);
}

/* `has`: whether each side has such a thing. */
static void print_row(const char *label, const bool has[SIMULATE_SIDES], int64_t today, int64_t other, unsigned scale,
		      unsigned digits)
{
	const int64_t values[SIMULATE_SIDES] = {today, other};
	char text[NUMBER_TEXT_MAX];
	printf("  %-*s", LABEL_WIDTH, label);
	for (unsigned side = 0; side < SIMULATE_SIDES; side++)
		printf("%*s", CELL_WIDTH, has[side] ? decimal_text(values[side], scale, digits, text) : "-");
	print_difference(today, other, scale, digits);
}

static void print_heads(const char *label)
{
	printf("%-*s%*s%*s%*s\n", LABEL_WIDTH + 2, label, CELL_WIDTH, "today", CELL_WIDTH, "other", CELL_WIDTH,
	       "difference");
}

static void print_ledger(const struct shown *shown, const struct simulate_ledger *ledger)
{
	const struct simulate_points *const a = &ledger->side[SIMULATE_TODAY];
	const struct simulate_points *const b = &ledger->side[SIMULATE_OTHER];
	const char *const currency = shown->programmes[SIMULATE_TODAY]->currency;
	char label[64];
	putchar('\n');
	print_heads(ledger->name);
	print_row("issued", ledger->has, a->issued_milli, b->issued_milli, 3, 3);
	print_row("reversed", ledger->has, a->reversed_milli, b->reversed_milli, 3, 3);
	print_row("redeemed", ledger->has, a->redeemed_milli, b->redeemed_milli, 3, 3);
	print_row("expired", ledger->has, a->expired_milli, b->expired_milli, 3, 3);
	print_row("outstanding", ledger->has, a->outstanding_milli, b->outstanding_milli, 3, 3);
	print_row("  pending", ledger->has, a->pending_milli, b->pending_milli, 3, 3);
	print_row("debt", ledger->has, a->debt_milli, b->debt_milli, 3, 3);
	const bool priced[SIMULATE_SIDES] = {ledger->has[0] && ledger->value_micro[0] > 0,
					     ledger->has[1] && ledger->value_micro[1] > 0};
	if (!priced[0] && !priced[1])
		return;
	print_row("value of a point", priced, ledger->value_micro[0], ledger->value_micro[1], 6, 6);
	snprintf(label, sizeof(label), "cost %s", currency);
	print_row(label, priced, ledger->cost_minor[0], ledger->cost_minor[1], 2, 2);
	snprintf(label, sizeof(label), "liability %s", currency);
	print_row(label, priced, ledger->liability_minor[0], ledger->liability_minor[1], 2, 2);
}

static void print_rejected(const struct simulate_report *report)
{
	static const bool BOTH[SIMULATE_SIDES] = {true, true};
	putchar('\n');
	print_heads("rejected events");
	for (unsigned i = 1; i <= REJECT_MAX; i++)
		if (report->rejected[0][i] || report->rejected[1][i])
			print_row(reject_reason_name(i), BOTH, (int64_t)report->rejected[0][i],
				  (int64_t)report->rejected[1][i], 0, 0);
	print_row("all", BOTH, (int64_t)report->rejected[0][0], (int64_t)report->rejected[1][0], 0, 0);
}

static const char *level_name(const struct programme *programme, unsigned level)
{
	return level < programme->tiers.n_levels ? programme->tiers.levels[level].name : "no tier";
}

static void print_customers_of(uint64_t customers)
{
	char n[NUMBER_TEXT_MAX];
	printf("  %*s  ", LABEL_WIDTH, number_text(customers, n));
}

/* Who is where, and where they would be. */
static void print_tiers(const struct shown *shown)
{
	const struct simulate_report *const report = shown->report;
	if (!shown->programmes[0]->tiers.n_levels && !shown->programmes[1]->tiers.n_levels)
		return;
	puts("\ntiers (customers)");
	for (unsigned i = 0; i < PROGRAMME_LEVELS_MAX; i++) {
		for (unsigned j = 0; j < PROGRAMME_LEVELS_MAX; j++) {
			if (!report->tiers[i][j])
				continue;
			const char *const from = level_name(shown->programmes[0], i);
			const char *const to = level_name(shown->programmes[1], j);
			print_customers_of(report->tiers[i][j]);
			show_text(stdout, slice_of(from));
			if (strcmp(from, to) == 0) {
				puts(", as before");
				continue;
			}
			fputs(" " ARROW " ", stdout);
			show_text(stdout, slice_of(to));
			putchar('\n');
		}
	}
}

static void print_changes(const struct simulate_report *report)
{
	const char *const today = report->ledgers[report->compared[0]].name;
	const char *const other = report->ledgers[report->compared[1]].name;
	char text[NUMBER_TEXT_MAX];
	printf("\nchange of a customer's %s", today);
	if (strcmp(today, other) != 0)
		printf(" to %s, which are something else", other);
	puts(" (customers)");
	for (unsigned i = 0; i < CHANGE_KINDS; i++) {
		print_customers_of(report->changes[i]);
		puts(simulate_change_name(i));
	}
	if (report->customers == 0)
		return;
	puts("\nso many per cent of the customers change by this or less");
	for (unsigned i = 0; i < SIMULATE_QUANTILES; i++)
		printf("  %*u %%%*s\n", LABEL_WIDTH - 2, SIMULATE_QUANTILE[i], CELL_WIDTH,
		       decimal_text(report->quantiles[i], 3, 3, text));
}

static void print_losers(const struct shown *shown)
{
	const struct simulate_report *const report = shown->report;
	char text[NUMBER_TEXT_MAX];
	if (!report->n_losers)
		return;
	puts("\nwho loses most");
	printf("  %*s%*s%*s  %s\n", LABEL_WIDTH, "today", LABEL_WIDTH, "other", LABEL_WIDTH, "difference", "customer");
	for (unsigned i = 0; i < report->n_losers; i++) {
		const struct simulate_customer *const c = &report->losers[i];
		printf("  %*s", LABEL_WIDTH, decimal_text(c->before_milli, 3, 3, text));
		printf("%*s", LABEL_WIDTH, decimal_text(c->after_milli, 3, 3, text));
		printf("%*s  ", LABEL_WIDTH, decimal_text(c->after_milli - c->before_milli, 3, 3, text));
		if (c->text_len)
			show_text(stdout, (struct slice){c->text, c->text_len});
		else
			printf("%" PRId64, c->number);
		const struct slice name = find_name(shown, c);
		if (name.len) {
			fputs("  ", stdout);
			show_text(stdout, name);
		}
		putchar('\n');
	}
}

static void print_programme(const struct shown *shown, enum simulate_side side)
{
	const struct programme *const programme = shown->programmes[side];
	printf("  %s  ", SIDES[side]);
	show_text(stdout, slice_of(programme->name));
	printf(", version %s", programme->hash_text);
	if (side == SIMULATE_OTHER) {
		fputs(", ", stdout);
		show_text(stdout, slice_of(shown->other_path));
	}
	putchar('\n');
}

static void print_report(const struct shown *shown)
{
	const struct simulate_report *const report = shown->report;
	char day[11];
	char n[NUMBER_TEXT_MAX];
	civil_format(report->data_dt, day);
	printf("The history up to %s under two programmes: %s customers", day, number_text(report->customers, n));
	printf(", %s events\n", number_text(report->events, n));
	print_programme(shown, SIMULATE_TODAY);
	print_programme(shown, SIMULATE_OTHER);
	if (report->same)
		puts("Both have the same rules.");
	puts("Redemptions are taken as they happened, whatever the points would have been.");
	for (unsigned i = 0; i < report->n_ledgers; i++)
		print_ledger(shown, &report->ledgers[i]);
	print_rejected(report);
	print_tiers(shown);
	print_changes(report);
	print_losers(shown);
}

/* ---- for programs ---- */

static void json_points(struct json *out, const char *key, int64_t points_milli)
{
	json_key(out, key);
	json_decimal(out, points_milli, 3);
}

static void json_side(struct json *out, const struct simulate_ledger *ledger, unsigned side)
{
	const struct simulate_points *const points = &ledger->side[side];
	json_key(out, SIDES[side]);
	if (!ledger->has[side]) {
		json_null(out);
		return;
	}
	json_object(out);
	json_points(out, "issued", points->issued_milli);
	json_points(out, "reversed", points->reversed_milli);
	json_points(out, "redeemed", points->redeemed_milli);
	json_points(out, "expired", points->expired_milli);
	json_points(out, "outstanding", points->outstanding_milli);
	json_points(out, "pending", points->pending_milli);
	json_points(out, "debt", points->debt_milli);
	const bool priced = ledger->value_micro[side] > 0;
	json_key(out, "value_per_point");
	if (priced)
		json_decimal(out, ledger->value_micro[side], 6);
	else
		json_null(out);
	json_key(out, "cost");
	if (priced)
		json_decimal(out, ledger->cost_minor[side], 2);
	else
		json_null(out);
	json_key(out, "liability");
	if (priced)
		json_decimal(out, ledger->liability_minor[side], 2);
	else
		json_null(out);
	json_end_object(out);
}

static void json_ledgers(struct json *out, const struct simulate_report *report)
{
	json_key(out, "ledgers");
	json_array(out);
	for (unsigned i = 0; i < report->n_ledgers; i++) {
		json_object(out);
		json_key(out, "ledger");
		json_text(out, report->ledgers[i].name);
		for (unsigned side = 0; side < SIMULATE_SIDES; side++)
			json_side(out, &report->ledgers[i], side);
		json_end_object(out);
	}
	json_end_array(out);
}

static void json_rejected(struct json *out, const struct simulate_report *report)
{
	json_key(out, "rejected");
	json_object(out);
	for (unsigned side = 0; side < SIMULATE_SIDES; side++) {
		json_key(out, SIDES[side]);
		json_object(out);
		for (unsigned i = 1; i <= REJECT_MAX; i++) {
			json_key(out, reject_reason_name(i));
			json_uint(out, report->rejected[side][i]);
		}
		json_key(out, "all");
		json_uint(out, report->rejected[side][REJECT_NONE]);
		json_end_object(out);
	}
	json_end_object(out);
}

static void json_level(struct json *out, const char *key, const struct programme *programme, unsigned level)
{
	json_key(out, key);
	if (level < programme->tiers.n_levels)
		json_text(out, programme->tiers.levels[level].name);
	else
		json_null(out);
}

static void json_tiers(struct json *out, const struct shown *shown)
{
	json_key(out, "tiers");
	json_array(out);
	for (unsigned i = 0; i < PROGRAMME_LEVELS_MAX; i++) {
		for (unsigned j = 0; j < PROGRAMME_LEVELS_MAX; j++) {
			if (!shown->report->tiers[i][j])
				continue;
			json_object(out);
			json_level(out, SIDES[SIMULATE_TODAY], shown->programmes[SIMULATE_TODAY], i);
			json_level(out, SIDES[SIMULATE_OTHER], shown->programmes[SIMULATE_OTHER], j);
			json_key(out, "customers");
			json_uint(out, shown->report->tiers[i][j]);
			json_end_object(out);
		}
	}
	json_end_array(out);
}

static void json_changes(struct json *out, const struct simulate_report *report)
{
	/* From each bound on and up to the next; the name says it to people. */
	json_key(out, "changes");
	json_array(out);
	for (unsigned i = 0; i < CHANGE_KINDS; i++) {
		json_object(out);
		json_key(out, "change");
		json_text(out, simulate_change_name(i));
		json_key(out, "customers");
		json_uint(out, report->changes[i]);
		json_end_object(out);
	}
	json_end_array(out);
	json_key(out, "quantiles");
	json_array(out);
	for (unsigned i = 0; report->customers && i < SIMULATE_QUANTILES; i++) {
		json_object(out);
		json_key(out, "percent");
		json_uint(out, SIMULATE_QUANTILE[i]);
		json_points(out, "change", report->quantiles[i]);
		json_end_object(out);
	}
	json_end_array(out);
}

static void json_losers(struct json *out, const struct shown *shown)
{
	json_key(out, "losers");
	json_array(out);
	for (unsigned i = 0; i < shown->report->n_losers; i++) {
		const struct simulate_customer *const c = &shown->report->losers[i];
		const struct slice name = find_name(shown, c);
		json_object(out);
		json_key(out, "cust_id");
		if (c->text_len)
			json_slice(out, (struct slice){c->text, c->text_len});
		else
			json_int(out, c->number);
		json_key(out, "name");
		if (name.len)
			json_slice(out, name);
		else
			json_null(out);
		json_points(out, "today", c->before_milli);
		json_points(out, "other", c->after_milli);
		json_end_object(out);
	}
	json_end_array(out);
}

static int print_json(const struct shown *shown, struct error *err)
{
	const struct simulate_report *const report = shown->report;
	struct json out;
	char day[11];
	civil_format(report->data_dt, day);
	json_to_file(&out, stdout);
	json_object(&out);
	json_key(&out, "data_dt");
	json_text(&out, day);
	json_key(&out, "programmes");
	json_object(&out);
	for (unsigned side = 0; side < SIMULATE_SIDES; side++) {
		json_key(&out, SIDES[side]);
		json_object(&out);
		json_key(&out, "name");
		json_text(&out, shown->programmes[side]->name);
		json_key(&out, "version");
		json_text(&out, shown->programmes[side]->hash_text);
		json_end_object(&out);
	}
	json_end_object(&out);
	json_key(&out, "same");
	json_bool(&out, report->same);
	json_key(&out, "redemptions");
	json_text(&out, "as they happened");
	json_key(&out, "customers");
	json_uint(&out, report->customers);
	json_key(&out, "events");
	json_uint(&out, report->events);
	json_ledgers(&out, report);
	json_rejected(&out, report);
	json_tiers(&out, shown);
	json_key(&out, "compared");
	json_object(&out);
	for (unsigned side = 0; side < SIMULATE_SIDES; side++) {
		json_key(&out, SIDES[side]);
		json_text(&out, report->ledgers[report->compared[side]].name);
	}
	json_end_object(&out);
	json_changes(&out, report);
	json_losers(&out, shown);
	json_end_object(&out);
	json_newline(&out);
	return json_finish(&out, err);
}

/* ---- the run ---- */

static volatile sig_atomic_t stop_asked;

static void on_signal(int number)
{
	(void)number;
	stop_asked = 1;
	/* The next one, of either kind, ends the process. */
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
}

static void catch_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART | (int)SA_RESETHAND};
	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static bool tell_progress(void *context, uint64_t rows, uint64_t total)
{
	const bool *const show = context;
	char done[NUMBER_TEXT_MAX];
	char all[NUMBER_TEXT_MAX];
	if (*show && rows == 0)
		fprintf(stderr, "\r\033[K  sorting %s rows", number_text(total, all));
	else if (*show)
		fprintf(stderr, "\r\033[K  %s of %s rows", number_text(rows, done), number_text(total, all));
	return !stop_asked;
}

/* A directory of our own to spill into; data/tmp is the writer's. */
static char *make_tmp_dir(struct error *err)
{
	const char *const base = getenv("TMPDIR");
	char *const dir = text_printf("%s/punchcard-simulate-XXXXXX", base && *base ? base : "/var/tmp");
	if (dir && mkdtemp(dir))
		return dir;
	error_set(err, ERROR_IO, "%s: cannot be made; TMPDIR can name another directory for temporary files",
		  dir ? dir : "a temporary directory");
	free(dir);
	return NULL;
}

static int64_t now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000;
}

static int run_simulation(const struct deployment *deployment, const struct programme *other,
			  const struct arguments *arguments, bool show_progress, struct simulate_report *report,
			  struct error *err)
{
	char *const tmp_dir = make_tmp_dir(err);
	if (!tmp_dir)
		return err->code;
	const struct simulate_options options = {
		.data_dt = arguments->has_day ? arguments->day
					      : tz_local_day(deployment->programme->timezone, now_us()) - 1,
		.value_micro = arguments->value_micro,
		.parquet = arguments->parquet,
		.tmp_dir = tmp_dir,
		.progress = tell_progress,
		.progress_context = &show_progress,
	};
	catch_signals();
	const int rc = simulate_run(deployment, other, &options, report, err);
	if (show_progress)
		fputs("\r\033[K", stderr);
	file_remove_tree(tmp_dir, NULL);
	free(tmp_dir);
	return rc;
}

static int simulate(const struct cli *cli, const struct arguments *arguments)
{
	struct error err = {0};
	struct deployment *deployment = NULL;
	struct programme *other = NULL;
	if (deployment_open(cli->dir, DEPLOYMENT_READ, "simulate", &deployment, &err) < 0)
		return cli_fail(&err);
	struct simulate_report report;
	int rc = programme_load(arguments->programme, &other, &err);
	if (rc == 0)
		rc = run_simulation(deployment, other, arguments, cli->err_is_terminal, &report, &err);
	if (rc == 0) {
		struct shown shown = {.deployment = deployment,
				      .programmes = {deployment->programme, other},
				      .other_path = arguments->programme,
				      .report = &report};
		open_names(&shown);
		if (arguments->json)
			rc = print_json(&shown, &err);
		else
			print_report(&shown);
		view_close(shown.view);
	}
	programme_free(other);
	deployment_close(deployment);
	return rc < 0 ? cli_fail(&err) : EXIT_OK;
}

static int read_option(int option, struct arguments *out)
{
	switch (option) {
	case OPTION_PROGRAMME:
		out->programme = optarg;
		break;
	case OPTION_DATA_DT:
		out->has_day = true;
		if (civil_parse(optarg, strlen(optarg), &out->day) < 0)
			return cli_usage_error("simulate", "--data-dt %s: expected a date, yyyy-mm-dd", optarg);
		break;
	case OPTION_VALUE:
		if (decimal_parse(optarg, strlen(optarg), 6, '.', VALUE_MAX_MICRO, &out->value_micro) < 0 ||
		    out->value_micro < 0)
			return cli_usage_error(
				"simulate",
				"--value-per-point %s: expected an amount of the currency with at most six "
				"decimals, such as 0.05",
				optarg);
		break;
	case OPTION_JSON:
		out->json = true;
		break;
	case OPTION_PARQUET:
		out->parquet = optarg;
		if (!*optarg)
			return cli_usage_error("simulate", "--parquet needs the name of a file");
		break;
	default:
		break;
	}
	return EXIT_OK;
}

static int run(const struct cli *cli, int argc, char **argv)
{
	struct arguments arguments = {.value_micro = -1};
	opterr = 0;
	for (int option; (option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1;) {
		if (option == '?')
			return cli_usage_error("simulate", "unknown option, or one without its value: '%s'",
					       argv[optind - 1]);
		const int code = read_option(option, &arguments);
		if (code != EXIT_OK)
			return code;
	}
	if (optind < argc)
		return cli_usage_error("simulate", "'%s' is one argument too many", argv[optind]);
	if (!arguments.programme)
		return cli_usage_error("simulate", "which programme? --programme OTHER.yaml");
	return simulate(cli, &arguments);
}

const struct command command_simulate = {
	.name = "simulate",
	.summary = "try another programme on the whole history",
	.usage = USAGE,
	.run = run,
};
