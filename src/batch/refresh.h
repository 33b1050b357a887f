/*
 * Refreshing: the tables of one day.
 *
 *     struct refresh_report report;
 *     rc = refresh_loyalty(deployment, data_dt, &report, err);
 *
 * Makes the partitions of loyalty and balances of that day, and those of the ledger that it changes: the same files, byte for
 * byte, that a rebuild makes.
 *
 * Goes on from the newest account_state of an earlier day S, with the events of the days behind S. Customers for whom that is
 * not enough are folded whole: those of whom an event of S or before came in since the state was made, and those of a refund
 * whose order came before. Where their rows in the ledger's partitions up to S turn out otherwise, these are written again.
 * Without a state, or when the programme has changed, the whole history is folded, as by a rebuild.
 *
 * So what the kernel does grows with the days behind S. What is read does not quite: every account's state is, for all of them are
 * written again; and when a customer is folded whole, the files of the whole history are looked through for theirs.
 *
 * When a later day was refreshed already, the ledger is that day's and stays as it is: it is always of the events of the newest
 * state. Only the day's loyalty, balances and account_state are made then.
 *
 * All is swapped in at once (swap.h). Partitions that are the same already are left as they are.
 */
#ifndef PUNCHCARD_BATCH_REFRESH_H
#define PUNCHCARD_BATCH_REFRESH_H

#include "batch/folding.h"
#include "config/deployment.h"

#include <stdbool.h>
#include <stdint.h>

/* Why the whole history was folded. */
enum refresh_whole {
	REFRESH_FROM_STATE = 0, /* it was not */
	REFRESH_NO_STATE = 1,
	REFRESH_OTHER_PROGRAMME = 2,
	REFRESH_DAMAGED_STATE = 3, /* or one of another release */
};

struct refresh_report {
	uint64_t customers; /* rows of the partition of loyalty */
	bool unchanged;     /* it had these bytes already */
	enum refresh_whole whole;
	int32_t from_day;   /* S; DAY_MIN when all was folded */
	uint64_t events;    /* that were folded: of the days behind S, and of the customers that were folded whole */
	uint64_t postings;  /* of the days behind S */
	uint64_t marked;    /* customers who were folded whole */
	uint64_t rewritten; /* partitions of the ledger up to S that changed */
	int32_t ledger_day; /* the ledger goes up to this day: data_dt, or a later one, whose ledger was left as it is */
	char damage[ERROR_MESSAGE_MAX]; /* REFRESH_DAMAGED_STATE: what is wrong with it */
};

/*
 * data_dt: days since 1970-01-01, in the programme's timezone. Needs a deployment of mode DEPLOYMENT_WRITE, and collect_drain
 * (speed/collect.h) before it. ERROR_USAGE when a later day was refreshed by another programme, or its state is gone: that day comes
 * first. ERROR_SQL names file and line of a model; ERROR_CORRUPT a damaged table.
 */
int refresh_loyalty(const struct deployment *deployment, int32_t data_dt, struct refresh_report *report,
		    struct error *err);
/* "no_state" and so on; "" for REFRESH_FROM_STATE. */
const char *refresh_whole_name(enum refresh_whole whole);

#endif
