/* What the files of a cluster's simulation share: simulate.c (statements, and what Spark prints), simulate_rows.c (the Parquet file). */
#ifndef PUNCHCARD_CLUSTER_SIMULATE_INTERNAL_H
#define PUNCHCARD_CLUSTER_SIMULATE_INTERNAL_H

#include "cluster/job_internal.h"
#include "cluster/side.h"
#include "cluster/simulate.h"

/* Columns of simulated rows behind ledger and tiers, in pairs (fold/output.c). */
enum simulated_points {
	POINTS_HELD,
	POINTS_ISSUED,
	POINTS_REVERSED,
	POINTS_REDEEMED,
	POINTS_EXPIRED,
	POINTS_OUTSTANDING,
	POINTS_PENDING,
	POINTS_DEBT
};
#define COLUMN_LEDGER 0u
#define COLUMN_TIER   1u
#define COLUMN_POINTS 3u

struct simulate_run {
	const struct simulate_options *options;
	const struct cluster_batch_hooks *hooks;
	const struct programme *programmes[SIMULATE_SIDES];
	struct cluster_session session;
	struct cluster_side side;
	struct cluster_job job;
	struct spark_script *script;
	struct simulate_report report;
	enum customer_id_type id_type;
	struct buf sql; /* of the statement that is made */
};

/* Which number, and which text, of a staged row it is. */
unsigned simulated_points(enum simulated_points points, unsigned side);
unsigned simulated_text(unsigned column);

/* The staged rows of customers, into options->parquet. */
int simulate_write_rows(struct simulate_run *run, struct error *err);

#endif
