/*
 * Simulating on a cluster: each customer's events are folded by both programmes on Spark's executors, and Spark makes the sums. The report is
 * that of batch/simulate.h, to the last thousandth. Only files of transactions_cln are read; no table is made or changed, no lease is taken; what is staged
 * is beside the tables, and goes again (cluster/side.h).
 */
#ifndef PUNCHCARD_CLUSTER_SIMULATE_H
#define PUNCHCARD_CLUSTER_SIMULATE_H

#include "batch/simulate.h"
#include "cluster/hooks.h"

/* `other_text`: what `other` was read from, to its last byte. options->progress is asked whether to go on, its numbers are 0.
 * Errors as simulate_run's and spark_run's. */
int cluster_simulate(const struct deployment *deployment, const struct programme *other, const struct buf *other_text,
		     const struct simulate_options *options, const struct cluster_batch_hooks *hooks,
		     struct simulate_report *report, struct error *err);

#endif
