/*
 * The batch layer's commands on a cluster: rebuild and refresh. What batch/rebuild.h and batch/refresh.h are on one machine, with the same
 * tables and reports; here Spark makes them (cluster/job.h), of the events that all edges have shipped.
 *
 *     struct cluster_batch *batch = NULL;
 *     rc = cluster_batch_open(deployment, "refresh", &hooks, &batch, err);   // the lease is ours
 *     if (rc == 0)
 *             rc = cluster_refresh_day(batch, day, &report, err);
 *     cluster_batch_close(batch);
 *
 * In this order: tables, account_state last among them; then a note of what they were made of (cluster/made.h), by which the next refresh
 * goes on; then, when the day is the newest, states into HBase, and the events that they have out of it (cluster/put_states.h). Whatever
 * of this is cut off, the same command again makes all of it right: what the note does not know does not count.
 */
#ifndef PUNCHCARD_CLUSTER_BATCH_H
#define PUNCHCARD_CLUSTER_BATCH_H

#include "batch/rebuild.h"
#include "batch/refresh.h"
#include "cluster/hooks.h"
#include "config/deployment.h"

struct cluster_batch;

/* Takes the lease. Needs a deployment of mode DEPLOYMENT_WRITE, which outlives it, as hooks do. ERROR_LOCKED: another process makes tables
 * of this cluster. ERROR_CONFIG as cluster_session_open; errors of the warehouse. */
int cluster_batch_open(const struct deployment *deployment, const char *command,
		       const struct cluster_batch_hooks *hooks, struct cluster_batch **out, struct error *err);
/* Gives the lease back. NULL is fine. */
void cluster_batch_close(struct cluster_batch *batch);

/* The newest day that was made; DAY_MIN: none. */
int32_t cluster_batch_newest(const struct cluster_batch *batch);
/* As rebuild_run and refresh_loyalty; `unchanged` is false: nobody compares. Errors of spark_run, of the warehouse, of HBase. */
int cluster_rebuild_day(struct cluster_batch *batch, int32_t day, struct rebuild_report *report, struct error *err);
int cluster_refresh_day(struct cluster_batch *batch, int32_t day, struct refresh_report *report, struct error *err);

#endif
