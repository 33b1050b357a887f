/*
 * What a customer's account is now, of a state and the events that it does not have (store/cluster_view.h), by the kernel.
 *
 *     struct cluster_fold fold;
 *     rc = cluster_account_fold(&facts, programme, customer, account, NULL, &fold, err);
 *     if (fold.late || fold.waits) …                // right up to what it leaves out; whole after the next refresh
 *
 * Pure; facts and account belong to one thread at a time.
 */
#ifndef PUNCHCARD_STORE_CLUSTER_ACCOUNT_H
#define PUNCHCARD_STORE_CLUSTER_ACCOUNT_H

#include "loyalty/account.h"
#include "store/cluster_view.h"

struct cluster_fold {
	uint32_t applied; /* events behind the state that the account has */
	uint32_t late;    /* events of a day that the state has closed, that came in when it was made: left out */
	uint32_t waits;   /* refunds of orders that the state has, of which it knows the sums alone: left out */
};

/* Facts of one customer, kept for the next. All zero is fine to begin with. */
struct cluster_facts {
	struct fact *facts;
	size_t cap;
};
void cluster_facts_release(struct cluster_facts *facts);

/*
 * Makes `account` the state of all events of the customer that can be told from state and events; entries of those behind the state go
 * to `postings`, which may be NULL. The same event from two edges counts once. ERROR_CORRUPT: the state is damaged, or of another
 * programme: it is made again by a refresh. ERROR_NO_MEMORY.
 */
int cluster_account_fold(struct cluster_facts *facts, const struct programme *programme,
			 const struct cluster_customer *customer, struct account *account, struct postings *postings,
			 struct cluster_fold *fold, struct error *err);

#endif
