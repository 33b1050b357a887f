#include "cli/drain.h"

#include "speed/collect.h"

#define CLEAR_LINE    "\r\033[K"
#define SHOW_AFTER_US INT64_C(2000000)

static void show_waiting(void *context, pid_t collector, int64_t waited_us)
{
	pid_t *const shown = context;
	if (waited_us < SHOW_AFTER_US || *shown == collector)
		return;
	*shown = collector;
	fprintf(stderr, CLEAR_LINE "waiting for the collector (process %ld) to write its table", (long)collector);
	fflush(stderr);
}

int cli_drain(const struct deployment *deployment, bool progress, struct error *err)
{
	pid_t shown = 0;
	const struct collect_wait wait = {.waiting = progress ? show_waiting : NULL, .context = &shown};
	const int rc = collect_drain(deployment, &wait, err);
	if (shown)
		fputs(CLEAR_LINE, stderr);
	return rc;
}
