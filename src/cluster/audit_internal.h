/* What the files of a cluster's audit share: audit.c (the flow, and what Spark prints), audit_script.c (statements), audit_view.c (HBase). */
#ifndef PUNCHCARD_CLUSTER_AUDIT_INTERNAL_H
#define PUNCHCARD_CLUSTER_AUDIT_INTERNAL_H

#include "cluster/audit.h"
#include "cluster/job_internal.h"
#include "cluster/made.h"
#include "cluster/side.h"

#define AUDIT_COLUMNS_MAX 24u

/* A table that is compared with what the kernel made. The first column is the customer; the first n_keys tell rows apart. */
struct audit_shape {
	enum audit_table table;
	const char *name;
	const char *columns[AUDIT_COLUMNS_MAX]; /* ends with NULL */
	unsigned n_keys;
	bool by_day; /* only the audited day's partition is compared */
};
#define AUDIT_SHAPES 4u
extern const struct audit_shape AUDIT_SHAPE[AUDIT_SHAPES];

struct cluster_auditing {
	const struct audit_options *options;
	const struct cluster_batch_hooks *hooks;
	struct cluster_session session;
	struct cluster_side side;
	struct cluster_made made;
	const struct made_state *state; /* the newest: of its events the ledger was made, and what HBase has */
	int32_t day;                    /* the audited one */
	const struct made_state
		*day_state; /* of whose events that day's tables were made; NULL: that is not known any more */
	/* What is folded and compared at once: of which events, and what not. */
	struct cluster_cut cut;
	bool without_ledger;
	bool without_day;
	struct cluster_job job;
	struct audit_report report;
	uint64_t told;
	/* Whether rows of the ledger that do not add up, and customers, were counted. */
	bool counted_wrong;
	bool counted_pairs;
};

/* Statements of the whole comparison; their rows are objects, each with one of the keys audit_counts, audit_rows, audit_row,
 * audit_sum, audit_wrong, audit_pair. */
int audit_script_make(const struct cluster_auditing *auditing, struct spark_script **out, struct error *err);

/* Tells a finding, while not too many were. It is counted elsewhere, unless `count`. */
void auditing_tell(struct cluster_auditing *auditing, const struct audit_finding *finding, bool count);
/* States in HBase against account_state. */
int audit_view_compare(struct cluster_auditing *auditing, struct error *err);

#endif
