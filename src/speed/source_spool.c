#include "speed/intake.h"
#include "speed/source.h"

static void on_file(void *context, const struct intake_file *file)
{
	(void)context;
	(void)file;
}

static void on_committed(void *context, uint64_t lines)
{
	(void)lines;
	source_committed(context, &(const struct source_counts){.lines = 1});
}

static bool must_stop(void *context)
{
	return source_must_stop(context);
}

static int run(struct source *source, struct error *err)
{
	const struct intake_hooks hooks = {
		.file = on_file, .committed = on_committed, .stop = must_stop, .context = source};
	struct intake *intake = NULL;
	int rc = intake_open(source->deployment, source->journal, &hooks, &intake, err);
	while (rc == 0 && !source_must_stop(source)) {
		unsigned failed = 0;
		rc = intake_source(intake, source->config, &failed, err);
		if (rc == 0)
			source_wait(source, -1, 50, 0);
	}
	intake_close(intake);
	return rc;
}

const struct source_driver source_spool = {.run = run};
