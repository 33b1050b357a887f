/*
 * Folding: what the kernel makes of a history, kept in temporary files until tables are made of it.
 *
 *     struct folding folding;
 *     rc = folding_init(&folding, deployment, day, err);
 *     rc = history_run(deployment, programme, &options, &folding.sink, err);
 *     rc = folding_finish(&folding, err);
 *     … ledger_write_all(deployment, programme, folding.ledger, …) …
 *     folding_release(&folding);
 *
 * Each account is folded up to the end of `day`: all its events, and what falls due up to the start of that day.
 */
#ifndef PUNCHCARD_BATCH_FOLDING_H
#define PUNCHCARD_BATCH_FOLDING_H

#include "batch/history.h"
#include "batch/id_list.h"
#include "batch/ledger.h"
#include "batch/spool.h"
#include "loyalty/account.h"

struct folding_counts {
	uint64_t customers;
	uint64_t events;
	uint64_t postings;
	uint64_t rejected[REJECT_MAX + 1]; /* by reason */
};

struct folding {
	struct history_sink sink; /* for history_run; the folding is its context */
	const struct deployment *deployment;
	const struct programme *programme;
	int32_t day;
	/* Customers who are left out, and named in `marked`; settled and in order. NULL: none. */
	const struct id_list *without;
	/* The history begins with states (history_options): a refund of an order that came before them needs the whole
	 * history, so that its customer is left out, too. */
	bool from_states;
	/* Results. */
	struct ledger_spool *ledger;
	struct spool accounts; /* for accounts.h, in order of the customers, as are … */
	struct spool
		states; /* … the customer, the account's state, and what was ordered (fold/items.h), if the history says it */
	struct id_list marked;
	struct folding_counts counts;
};

int folding_init(struct folding *folding, const struct deployment *deployment, int32_t day, struct error *err);
/* After history_run, before results are read. */
int folding_finish(struct folding *folding, struct error *err);
/* Of one that was zeroed: fine. */
void folding_release(struct folding *folding);

#endif
