#include "cli/cluster_progress.h"

#include "cli/show.h"

#include <stdio.h>

#define CLEAR_LINE "\r\033[K"

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

struct cluster_batch_hooks cluster_progress(bool shown)
{
	return shown ? (struct cluster_batch_hooks){.spark = show_spark, .putting = show_putting}
		     : (struct cluster_batch_hooks){0};
}

void cluster_progress_end(bool shown)
{
	if (shown)
		fputs(CLEAR_LINE, stderr);
}
