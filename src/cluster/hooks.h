/*
 * How far a command is on a cluster, for who shows it.
 */
#ifndef PUNCHCARD_CLUSTER_HOOKS_H
#define PUNCHCARD_CLUSTER_HOOKS_H

#include "engine/spark.h"

struct cluster_batch_hooks {
	/* Some times a second: how far Spark is. May be NULL. */
	void (*spark)(void *context, const struct spark_progress *progress);
	/* Customers whose state is in HBase, so far. May be NULL. */
	void (*putting)(void *context, uint64_t customers);
	void *context;
};

#endif
