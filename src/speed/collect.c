#include "speed/collect.h"

#include "batch/swap.h"
#include "speed/consumers.h"
#include "speed/topology.h"

#include <assert.h>

struct collecting {
	const struct intake_hooks *hooks;
	struct consumers *consumers;
};

static void on_file(void *context, const struct intake_file *file)
{
	const struct collecting *const collecting = context;
	collecting->hooks->file(collecting->hooks->context, file);
}

static void on_committed(void *context, uint64_t lines)
{
	const struct collecting *const collecting = context;
	consumers_wake(collecting->consumers);
	collecting->hooks->committed(collecting->hooks->context, lines);
}

static bool must_stop(void *context)
{
	const struct collecting *const collecting = context;
	return consumers_failed(collecting->consumers) || collecting->hooks->stop(collecting->hooks->context);
}

int collect_once(const struct deployment *deployment, const struct collect_options *options,
		 const struct intake_hooks *hooks, unsigned *failed, struct error *err)
{
	const struct collect_options none = {0};
	options = options ? options : &none;
	const struct topology what = topology_of(options->topology, deployment->config);
	struct collecting collecting = {.hooks = hooks};
	const struct intake_hooks own = {
		.file = on_file, .committed = on_committed, .stop = must_stop, .context = &collecting};
	const struct consumers_options consuming = {.stop = {.asked = hooks->stop, .context = hooks->context},
						    .sinks = what.sinks,
						    .n_sinks = what.n_sinks,
						    .hbase_again = options->hbase_again,
						    .shipped = options->shipped,
						    .shipped_context = hooks->context};
	const struct journal_options journal_options = {.map_gib = deployment->config->journal_map_gib};
	struct journal *journal = NULL;
	struct intake *intake = NULL;
	assert(deployment->mode == DEPLOYMENT_COLLECT);
	*failed = 0;
	int rc = swap_finish(deployment, err);
	if (rc == 0)
		rc = journal_open(deployment->journal_dir, &journal_options, &journal, err);
	if (rc == 0)
		rc = consumers_start(deployment, journal, &consuming, &collecting.consumers, err);
	if (rc == 0 && hooks->made_again && consumers_programme_changed(collecting.consumers))
		hooks->made_again(hooks->context);
	if (rc == 0)
		rc = intake_open(deployment, journal, &own, &intake, err);
	for (unsigned i = 0; rc == 0 && i < what.n_sources; i++)
		if (what.sources[i].type == SOURCE_SPOOL)
			rc = intake_source(intake, &what.sources[i], failed, err);
	intake_close(intake);
	/* A consumer's error is the cause when both have one: it stopped the intake. */
	struct error own_error = {0};
	const int consumers_rc = consumers_finish(collecting.consumers, &own_error);
	if (consumers_rc < 0) {
		rc = consumers_rc;
		error_set(err, rc, "%s", own_error.message);
	}
	journal_close(journal);
	return rc;
}
