/*
 * Rebuilding: the whole history through the kernel.
 *
 *     struct rebuild_report report;
 *     rc = rebuild_run(deployment, day, &hooks, &report, err);
 *
 * Makes the table ledger (all days up to `day`), account_state, and the partitions of balances and loyalty of that day, beside
 * those that serve, and swaps them in (swap.h), also where they have the same names. The same orders and programme give the
 * same files, byte for byte, whatever was refreshed before.
 */
#ifndef PUNCHCARD_BATCH_REBUILD_H
#define PUNCHCARD_BATCH_REBUILD_H

#include "batch/folding.h"
#include "config/deployment.h"

#include <stdbool.h>
#include <stdint.h>

struct rebuild_hooks {
	/* Some times a second while the history is folded: rows so far, of how many at most. false ends it with
	 * ERROR_INTERRUPTED. NULL: nobody asks. */
	bool (*progress)(void *context, uint64_t rows, uint64_t total);
	/* What follows, in a word: "ledger" or "loyalty". May be NULL. */
	void (*writing)(void *context, const char *what);
	void *context;
};

struct rebuild_report {
	struct folding_counts counts;
	bool unchanged; /* the partition of loyalty had files of these names already */
};

/* `day`: days since 1970-01-01, in the programme's timezone. Needs a deployment of mode DEPLOYMENT_WRITE, and collect_drain
 * (speed/collect.h) before it. `hooks` may be NULL. ERROR_USAGE when a later day was refreshed (states_newest_day), and nothing is changed:
 * the ledger would lose the days behind this one. ERROR_SQL names file and line of a model; ERROR_CORRUPT a damaged table. */
int rebuild_run(const struct deployment *deployment, int32_t day, const struct rebuild_hooks *hooks,
		struct rebuild_report *report, struct error *err);

#endif
