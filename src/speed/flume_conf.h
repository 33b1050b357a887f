/*
 * An agent of a Flume configuration, as punchcard runs it.
 *
 *     struct flume_agent *agent = NULL;
 *     rc = flume_agent_read(properties, "tier1", "classic", &agent, err);
 *     …agent->remarks say what was taken, what has no meaning here, what is refused…
 *     if (agent->n_refused == 0)
 *             …agent->sources and agent->sinks are as speed/topology.h has them…
 *     flume_agent_free(agent);
 *
 * The topology stays: a sink gets the lines of the sources that feed its channel. All channels are the journal, which is durable
 * whatever the file says; so limits of channels have no meaning, but they are checked as Flume checks them (what Flume would not
 * start is refused, with the line). docs/flume.md has the keys.
 */
#ifndef PUNCHCARD_SPEED_FLUME_CONF_H
#define PUNCHCARD_SPEED_FLUME_CONF_H

#include "config/config.h"
#include "speed/flume_properties.h"
#include "speed/sink.h"

#include <stdbool.h>
#include <stdint.h>

/* Of one kind, of one agent. */
#define FLUME_COMPONENTS_MOST 64u

enum flume_part { FLUME_SOURCE, FLUME_CHANNEL, FLUME_SINK };

enum flume_type {
	FLUME_SPOOLDIR,
	FLUME_EXEC,
	FLUME_TAILDIR,
	FLUME_HTTP,
	FLUME_NETCAT,
	FLUME_MEMORY,
	FLUME_FILE,
	FLUME_HDFS,
	FLUME_HBASE, /* hbase, hbase2, asynchbase */
	FLUME_FILE_ROLL,
	FLUME_LOGGER,
	FLUME_NULL,
	FLUME_TYPES,
};

enum flume_verdict {
	FLUME_TAKEN,
	FLUME_NO_MEANING, /* it does nothing here, and need not */
	FLUME_WARNED,     /* probably a slip */
	FLUME_REFUSED,    /* the agent does not run */
};

struct flume_remark {
	enum flume_verdict verdict;
	unsigned line; /* 0: of the whole agent */
	char *key;     /* "tier1.sources.src-1.spoolDir" */
	char *value;   /* as it was looked up; NULL: there is none */
	char *text;    /* why, what to do; NULL: nothing to say */
};

struct flume_component {
	enum flume_part part;
	enum flume_type type;
	char *name;
	unsigned line;     /* of its type */
	uint64_t channels; /* bits, by index: of a source one or more, of a sink one */
	bool dropped;      /* it takes no part: said why */
};

struct flume_agent {
	const struct flume_properties *properties;
	const struct config_cluster *cluster; /* NULL: there is none */
	char *name;
	char *format; /* "classic", "ndjson", or "lines": no line is an event */
	struct flume_component *components;
	unsigned n_components;
	struct flume_remark *remarks; /* by line */
	unsigned n_remarks;
	unsigned n_refused;

	/* What runs. A file group of a TAILDIR source is a source of its own. */
	struct config_source *sources;
	unsigned n_sources;
	struct sink *sinks;
	unsigned n_sinks;
};

/* `format`: NULL: classic. `cluster`: of punchcard.yaml; where it is on, hdfs and hbase sinks write there; NULL: there is none. ERROR_CONFIG when there is no such agent (with those there are) or format; ERROR_NO_MEMORY. What the agent
 * itself has wrong is a remark. The properties and the cluster must outlive it. */
int flume_agent_read(const struct flume_properties *properties, const char *name, const char *format,
		     const struct config_cluster *cluster, struct flume_agent **out, struct error *err);
void flume_agent_free(struct flume_agent *agent);
/* "spooldir" and so on. */
const char *flume_type_name(enum flume_type type);

#endif
