/*
 * The fold of whole customers, one after the other, in the same memory: account and postings at the end of a day.
 *
 *     struct folder folder;
 *     rc = folder_init(&folder, programme, day, err);
 *     rc = folder_run(&folder, &customer, err);
 *     … folder.account, folder.postings.items[i], folder_partition(&folder, &folder.postings.items[i]) …
 *     folder_release(&folder);
 *
 * Pure; belongs to one thread at a time.
 */
#ifndef PUNCHCARD_FOLD_FOLDER_H
#define PUNCHCARD_FOLD_FOLDER_H

#include "fold/facts.h"
#include "loyalty/account.h"

#define FOLDER_STARTS 1024u

struct folder {
	const struct programme *programme;
	int32_t day;
	struct account *account;
	struct postings postings;
	struct folder_start {
		int32_t day;
		int64_t us;
	} starts[FOLDER_STARTS]; /* lately asked for */
};

/* `programme` (prepared) must outlive it. `day`: all events that folder_run is given are taken, and what falls due up
 * to the start of that day. ERROR_NO_MEMORY; folder_release is fine after that, too, and of one that was zeroed. */
int folder_init(struct folder *folder, const struct programme *programme, int32_t day, struct error *err);
void folder_release(struct folder *folder);

/* The customer's facts behind the state, if there is one. Account and postings (whose ids are the facts') are right
 * until the next call. ERROR_CORRUPT: no state of this programme and release; ERROR_NO_MEMORY. */
int folder_run(struct folder *folder, const struct history_customer *customer, struct error *err);

/*
 * The partition of a posting: the last day that had begun. That is the local day, but for the minutes that come again
 * where clocks are set back over midnight: there the day before has ended, once and for all, for whoever refreshes it.
 */
int32_t folder_partition(struct folder *folder, const struct posting *posting);

/* Whether a refund is of an order that is not among the customer's facts: where these go on from a state, only the
 * whole history has it. */
bool folder_needs_history(const struct history_customer *customer);

#endif
