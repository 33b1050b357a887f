/*
 * Auditing on a cluster: what serves, compared with the history it was made of. The report is that of batch/audit.h.
 *
 * Spark folds the whole history again, up to the audited day and of the files that the newest day's tables were made of, and compares with it
 * every row of the ledger up to that day (and what it has behind the newest one); and with the history of the files that the audited day's tables
 * were made of those of account_state, balances and loyalty (of this the columns that are the kernel's), unless they are not known any more: states
 * of a few days are kept. It adds the ledger up, each row, each customer and in total. Then the states that HBase has are compared with the newest
 * account_state, byte for byte, and that nobody else has one. Events of HBase behind the states are not looked at. Nothing that serves is written or
 * locked; tables are read by their files, and what is staged beside them goes again.
 */
#ifndef PUNCHCARD_CLUSTER_AUDIT_H
#define PUNCHCARD_CLUSTER_AUDIT_H

#include "batch/audit.h"
#include "cluster/hooks.h"

/* As audit_run; options->progress is asked whether to go on, and told of HBase. ERROR_LOCKED:
 * tables are being made, or were meanwhile. */
int cluster_audit(const struct deployment *deployment, const struct audit_options *options,
		  const struct cluster_batch_hooks *hooks, struct audit_report *report, struct error *err);

#endif
