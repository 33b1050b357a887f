/*
 * What the parts of the daemon share.
 *
 *     daemon.c           signals, configuration, from start to end
 *     daemon_sources.c   the sources' threads: again and again, until they are to stop
 */
#ifndef PUNCHCARD_SPEED_DAEMON_INTERNAL_H
#define PUNCHCARD_SPEED_DAEMON_INTERNAL_H

#include "config/deployment.h"
#include "speed/consumers.h"
#include "speed/metrics.h"
#include "speed/source.h"
#include "speed/topology.h"

struct daemon_sources;

/* Opens each driver, in the order of the topology, and starts its thread. `names` of those that fail stand in the message. `kept`: what
 * the sources before had; after an error it is there as before. */
int daemon_sources_start(const struct deployment *deployment, const struct topology *topology, struct journal *journal,
			 struct consumers *consumers, struct metrics *metrics, struct source_kept *kept,
			 struct daemon_sources **out, struct error *err);
/* Stops all, waits for them, and frees. What they read and is not durable is given up: files are read again from their positions, who
 * sent by HTTP was not answered, and of a pipe the end of a line that never came is left out (the log says so), unless it is `kept` (NULL: it is not). NULL is fine. */
void daemon_sources_stop(struct daemon_sources *sources, struct source_kept *kept);

#endif
