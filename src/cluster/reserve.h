/*
 * The reserve on a cluster: what batch/audit_reserve.h is on one machine, with the same report. Out of the account_state of a day, when it is
 * kept and today's programme made it: its files are read here, one at a time, and Spark is not asked. Else Spark folds the history of what is
 * shipped, beside the tables (cluster/side.h). Nothing is written or locked.
 */
#ifndef PUNCHCARD_CLUSTER_RESERVE_H
#define PUNCHCARD_CLUSTER_RESERVE_H

#include "batch/audit_reserve.h"
#include "cluster/hooks.h"

/* As reserve_run; errors of the session, the warehouse and spark_run besides. */
int cluster_reserve(const struct deployment *deployment, const struct reserve_options *options,
		    const struct cluster_batch_hooks *hooks, struct reserve_report **report, struct error *err);

#endif
