/*
 * What runs: sources into the journal, and sinks out of it, besides the table and the view. By default the sources of punchcard.yaml and
 * no sinks; a Flume agent has its own of both (speed/flume_conf.h).
 */
#ifndef PUNCHCARD_SPEED_TOPOLOGY_H
#define PUNCHCARD_SPEED_TOPOLOGY_H

#include "config/config.h"
#include "speed/sink.h"

struct topology {
	const struct config_source *sources;
	unsigned n_sources;
	struct sink *sinks;
	unsigned n_sinks;
};

/* `own`, or that of the configuration when it is NULL. Lives as long as these. */
static inline struct topology topology_of(const struct topology *own, const struct config *config)
{
	return own ? *own : (struct topology){.sources = config->sources, .n_sources = config->n_sources};
}

#endif
