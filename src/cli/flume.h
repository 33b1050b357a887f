/*
 * Agents of Flume, for `collect`: read, reported, and put together to what runs.
 *
 *     struct flume_set set = {0};
 *     code = flume_set_open(&set, format, out);           // EXIT_OK, or what the command ends with
 *     …set.topology…
 *     flume_set_close(&set);
 */
#ifndef PUNCHCARD_CLI_FLUME_H
#define PUNCHCARD_CLI_FLUME_H

#include "speed/topology.h"

#include <stdio.h>

/* Of one run. */
#define FLUME_AGENTS_MOST 16u

struct flume_properties;
struct flume_agent;

struct flume_set {
	/* By the caller: each agent and its file. */
	const char *files[FLUME_AGENTS_MOST];
	const char *agents[FLUME_AGENTS_MOST];
	unsigned n;

	struct flume_properties *properties[FLUME_AGENTS_MOST];
	struct flume_agent *read[FLUME_AGENTS_MOST];
	struct config_source *sources;
	struct sink *sinks;
	struct topology topology;
};

/* Prints each agent's report to `out`. `cluster`: of punchcard.yaml, which outlives it; NULL: none. EXIT_OK; EXIT_USAGE when something is refused, EXIT_FAILED. Says what is wrong. */
int flume_set_open(struct flume_set *set, const char *format, const struct config_cluster *cluster, FILE *out);
/* Whether all sources are files of a directory, which --once can take; says what is not. */
bool flume_set_can_end(const struct flume_set *set);
void flume_set_close(struct flume_set *set);

#endif
