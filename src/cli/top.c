#include "base/decimal.h"
#include "cli/command.h"
#include "cli/reader.h"
#include "cli/screen.h"
#include "cli/stop.h"
#include "cli/top_show.h"
#include "config/deployment.h"
#include "serving/live.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char USAGE[] =
	"usage: punchcard [-C DIR] top [--interval S] [--once] [--json]\n"
	"\n"
	"Shows what the daemon (`punchcard run`) does, again and again, like top(1): of each source its state, what "
	"came\n"
	"in a second, and how long lines took from being read to being durable in the journal; of each consumer how "
	"far\n"
	"behind it is, and how long lines took from there to being seen in its table or view; the journal's size; and\n"
	"the last error of each. q or Ctrl-C ends it, the space bar looks now. It reads a file that the daemon keeps "
	"in\n"
	"memory: the daemon does not notice.\n"
	"\n"
	"  --interval S   look every S seconds, 0.1 to 3600; 1 unless set\n"
	"  --once         print what happened in one interval, and end; so without a terminal\n"
	"  --json         an object an interval, each on a line of its own (with --once: one)\n"
	"\n"
	"LINES/S counts all lines; of them EVENTS/S gave new events' lines, DUPL/S were had already, QUAR/S were set "
	"aside.\n"
	"P50 and P99: half of the lines, and 99 of 100, took no longer. LAG: lines that are durable and not seen yet.\n"
	"States: starting; running; waiting (for room: consumers are behind); disk full (goes on by itself); backing "
	"off\n"
	"(tries again after an error); ended (no more will come); failed (somebody has to act).\n"
	"\n"
	"exit codes: 0 shown; 1 no daemon runs, or it could not be read; 2 usage or configuration; 130 interrupted\n";

enum { OPTION_JSON = 256, OPTION_ONCE, OPTION_INTERVAL };

static const struct option OPTIONS[] = {
	{"json", no_argument, NULL, OPTION_JSON},
	{"once", no_argument, NULL, OPTION_ONCE},
	{"interval", required_argument, NULL, OPTION_INTERVAL},
	{NULL, 0, NULL, 0},
};

#define INTERVAL_MIN_US INT64_C(100000)
#define INTERVAL_MAX_US INT64_C(3600000000)

/* How soon a signal ends a wait without a screen. */
#define SLICE_US INT64_C(50000)

struct top {
	const struct deployment *deployment;
	struct live live;
	int64_t interval_us;
	bool once;
	bool as_json;
};

static int64_t monotonic_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Looks, and tells of a daemon that is not there. ERROR_NOT_FOUND. */
static int look(struct top *top, struct error *err)
{
	const int rc = live_update(&top->live, top->deployment->data_dir, err);
	if (rc == ERROR_NOT_FOUND)
		live_no_daemon(top->deployment->dir, NULL, err);
	if (rc < 0)
		return rc;
	if (top->live.now->life != METRICS_GONE)
		return 0;
	live_no_daemon(top->deployment->dir, top->live.now, err);
	return ERROR_NOT_FOUND;
}

/* False when it was asked to stop. */
static bool wait_until(int64_t until_us)
{
	for (;;) {
		const int64_t left_us = until_us - monotonic_us();
		if (stop_asked())
			return false;
		if (left_us <= 0)
			return true;
		const int64_t slice_us = left_us < SLICE_US ? left_us : SLICE_US;
		nanosleep(&(struct timespec){.tv_nsec = slice_us * 1000}, NULL);
	}
}

static void print_line(void *context, enum screen_style style, struct slice text)
{
	(void)style;
	FILE *const out = context;
	fwrite(text.data, 1, text.len, out);
	fputc('\n', out);
}

static int print(struct top *top, struct error *err)
{
	if (!top->as_json)
		return top_text(top->deployment, &top->live, print_line, stdout, err);
	struct json out;
	json_to_file(&out, stdout);
	top_json(&out, &top->live, true);
	json_newline(&out);
	const int rc = json_finish(&out, err);
	if (rc == 0 && fflush(stdout) != 0)
		return error_errno(err, errno, "cannot write the output");
	return rc;
}

/* Once, or JSON again and again. A daemon that ends meanwhile is told in JSON, and waited for. */
static int run_plain(struct top *top)
{
	struct error err = {0};
	stop_on_signals();
	if (look(top, &err) < 0)
		return cli_fail(&err);
	for (int64_t next_us = monotonic_us();;) {
		next_us += top->interval_us;
		if (!wait_until(next_us))
			return top->once ? EXIT_INTERRUPTED : EXIT_OK;
		int rc = look(top, &err);
		if (rc == ERROR_NOT_FOUND && !top->once && top->live.now->life == METRICS_GONE)
			rc = 0;
		if (rc == 0)
			rc = print(top, &err);
		if (rc < 0)
			return cli_fail(&err);
		if (top->once)
			return EXIT_OK;
		/* Intervals that were missed, as while it was suspended, are not made up for. */
		if (monotonic_us() - next_us > top->interval_us)
			next_us = monotonic_us();
	}
}

static void draw_line(void *context, enum screen_style style, struct slice text)
{
	screen_line(context, style, text);
}

static int run_screen(struct top *top)
{
	struct error err = {0};
	/* Before the screen is touched: why there is nothing to see should stay to be read. */
	if (look(top, &err) < 0)
		return cli_fail(&err);
	struct screen screen;
	if (screen_open(&screen, &err) < 0)
		return cli_fail(&err);
	int rc = 0; /* of the last look: after one that failed the page before stays, below the reason */
	enum screen_event event = SCREEN_GO_ON;
	int64_t next_us = monotonic_us();
	for (;;) {
		if (event == SCREEN_GO_ON)
			next_us = monotonic_us() + top->interval_us;
		screen_begin(&screen);
		if (rc < 0 && rc != ERROR_NOT_FOUND)
			screen_line(&screen, SCREEN_BOLD, slice_of(err.message));
		struct error text_err;
		if (top_text(top->deployment, &top->live, draw_line, &screen, &text_err) < 0) {
			screen_close(&screen);
			return cli_fail(&text_err);
		}
		screen_end(&screen);
		event = screen_wait(&screen, next_us);
		if (event == SCREEN_QUIT || event == SCREEN_ENDED)
			break;
		if (event == SCREEN_GO_ON)
			rc = look(top, &err);
	}
	screen_close(&screen);
	return event == SCREEN_ENDED ? EXIT_INTERRUPTED : EXIT_OK;
}

static int parse_interval(const char *text, int64_t *out)
{
	if (decimal_parse(text, strlen(text), 6, '.', INTERVAL_MAX_US, out) < 0 || *out < INTERVAL_MIN_US)
		return cli_usage_error("top", "--interval %s: seconds from 0.1 to 3600 are needed", text);
	return EXIT_OK;
}

static bool is_dumb(void)
{
	const char *const term = getenv("TERM");
	return !term || !*term || strcmp(term, "dumb") == 0;
}

static int run(const struct cli *cli, int argc, char **argv)
{
	struct top top = {.interval_us = 1000000};
	int option;
	opterr = 0;
	while ((option = getopt_long(argc, argv, ":", OPTIONS, NULL)) != -1) {
		if (option == OPTION_JSON)
			top.as_json = true;
		else if (option == OPTION_ONCE)
			top.once = true;
		else if (option == ':')
			return cli_usage_error("top", "%s needs a value", argv[optind - 1]);
		else if (option != OPTION_INTERVAL)
			return cli_usage_error("top", "unknown option '%s'", argv[optind - 1]);
		else if (parse_interval(optarg, &top.interval_us) != EXIT_OK)
			return EXIT_USAGE;
	}
	if (optind < argc)
		return cli_usage_error("top", "'%s' is one argument too many", argv[optind]);
	if (!top.as_json && (!cli->out_is_terminal || is_dumb()))
		top.once = true;
	struct error err = {0};
	struct deployment *deployment = NULL;
	if (reader_open(cli, "top", &deployment, &err) < 0)
		return cli_fail(&err);
	top.deployment = deployment;
	const int code = top.once || top.as_json ? run_plain(&top) : run_screen(&top);
	live_release(&top.live);
	deployment_close(deployment);
	return code;
}

const struct command command_top = {
	.name = "top",
	.summary = "watch the daemon: rates, lags, latencies, errors",
	.usage = USAGE,
	.run = run,
};
