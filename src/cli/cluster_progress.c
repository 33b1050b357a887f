#include "cli/cluster_progress.h"

#include "base/clock.h"
#include "base/log.h"
#include "cli/show.h"

#include <stdio.h>
#include <string.h>

#define CLEAR_LINE "\r\033[K"
#define WHAT_BYTES 128u

/* ---- on a terminal ---- */

static void show_spark(void *context, const struct spark_progress *progress)
{
	(void)context;
	fprintf(stderr, CLEAR_LINE "Spark, %u of %u: %s", progress->statement + 1, progress->statements,
		progress->what);
	if (progress->tasks)
		fprintf(stderr, " (stage %u: %u of %u tasks)", progress->stage, progress->tasks_done, progress->tasks);
	fflush(stderr);
}

static void show_putting(void *context, uint64_t customers)
{
	char n[NUMBER_TEXT_MAX];
	(void)context;
	fprintf(stderr, CLEAR_LINE "putting accounts into HBase: %s", number_text(customers, n));
	fflush(stderr);
}

/* ---- in a log ---- */

/* What is being done; statements of one name are one step. */
static struct {
	char what[WHAT_BYTES]; /* "": nothing yet */
	unsigned statement;
	unsigned statements;
	unsigned tasks;
	int64_t begun_us;
	uint64_t customers; /* that were put */
} step;

static void end_step(void)
{
	const int64_t took_us = clock_monotonic_us() - step.begun_us;
	if (step.customers)
		LOG_INFO("accounts put into HBase", log_uint("customers", step.customers), log_us("took", took_us));
	else if (*step.what)
		LOG_INFO("step done", log_text("step", step.what), log_uint("n", step.statement + 1),
			 log_uint("of", step.statements), log_uint("tasks", step.tasks), log_us("took", took_us));
	memset(&step, 0, sizeof(step));
}

static void begin_step(const char *what)
{
	end_step();
	snprintf(step.what, sizeof(step.what), "%s", what);
	step.begun_us = clock_monotonic_us();
}

static void log_spark(void *context, const struct spark_progress *progress)
{
	(void)context;
	if (strncmp(step.what, progress->what, WHAT_BYTES - 1) != 0)
		begin_step(progress->what);
	step.statement = progress->statement;
	step.statements = progress->statements;
	step.tasks = progress->tasks > step.tasks ? progress->tasks : step.tasks;
}

static void log_putting(void *context, uint64_t customers)
{
	static const char WHAT[] = "putting accounts into HBase";
	(void)context;
	if (strcmp(step.what, WHAT) != 0)
		begin_step(WHAT);
	step.customers = customers;
}

/* ---- both ---- */

enum cluster_shown cluster_shown(bool is_terminal, bool as_json)
{
	return as_json ? CLUSTER_SHOWN_NOT : is_terminal ? CLUSTER_SHOWN_LIVE : CLUSTER_SHOWN_LINES;
}

struct cluster_batch_hooks cluster_progress(enum cluster_shown shown)
{
	switch (shown) {
	case CLUSTER_SHOWN_LIVE:
		return (struct cluster_batch_hooks){.spark = show_spark, .putting = show_putting};
	case CLUSTER_SHOWN_LINES:
		return (struct cluster_batch_hooks){.spark = log_spark, .putting = log_putting};
	default:
		return (struct cluster_batch_hooks){0};
	}
}

void cluster_progress_end(enum cluster_shown shown, bool failed)
{
	if (shown == CLUSTER_SHOWN_LIVE)
		fputs(CLEAR_LINE, stderr);
	if (shown == CLUSTER_SHOWN_LINES && !failed)
		end_step();
}
