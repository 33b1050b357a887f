/*
 * Looking customers up, as at the till: from the customer view alone.
 *
 *     struct lookup *lookup = NULL;
 *     rc = lookup_open(deployment, now_us, &lookup, err);
 *     rc = lookup_customers(lookup, ids, n, 5, take, context, err);
 *     …in take: account_balance(card->account, 0, &balance); lookup_orders(card, 5, &orders);
 *     lookup_close(lookup);
 *
 * One lookup belongs to one thread at a time. It sees accounts as of the programme's local day of `now_us` (with events of the future:
 * as of the last of them). On one machine it sees the view as it was when it was opened. On a cluster it asks HBase: many customers in
 * one request, and each row as it is then; an account is folded of its state and the events since (store/cluster_account.h).
 */
#ifndef PUNCHCARD_SERVING_LOOKUP_H
#define PUNCHCARD_SERVING_LOOKUP_H

#include "config/deployment.h"
#include "loyalty/account.h"
#include "loyalty/fact.h"
#include "store/view.h"

/* As many events as an account has open by default. */
#define CARD_ORDERS_MOST 64u

struct lookup;

struct customer_card {
	struct customer_id id;
	bool has_profile; /* a customer file names them */
	struct profile profile;
	const struct account *account; /* what the programme makes of their events; NULL: there were none */
	struct account_totals totals;  /* of the account; all zero without one */
	/* Something came that only the whole history can say more of: the account is without it, until the next collect or
	 * refresh; on a cluster, until the next refresh. */
	bool marked;
	/* The events behind what is settled, oldest first: the last days' (docs/programme.md, "Late events"). From the first of them
	 * on there are no others. On a cluster: orders, out of the customer's history, as many as were asked for if there are. */
	const struct fact *open;
	size_t n_open;
};

/* Orders of the card that are known one by one. */
struct card_orders {
	const struct fact *first[CARD_ORDERS_MOST]; /* newest first */
	size_t n;
	bool all;         /* the customer has no more orders */
	int64_t since_us; /* … or these are all from then on, or the newest ones of those */
};

/* Points that are not yet spendable, by the day from which they are. */
struct card_pending {
	int32_t day;
	int64_t points_milli;
};

/* Customers of one request to HBase. */
#define LOOKUP_BATCH 256u

/* now_us: UTC. A deployment without view and journal has no customers; with a journal alone it is damaged. Nothing is asked of a
 * cluster yet. Errors: those of view_open but ERROR_NOT_FOUND; of cluster_open_cells_to_read. */
int lookup_open(const struct deployment *deployment, int64_t now_us, struct lookup **out, struct error *err);

/* Takes the card of an id, which lives until it returns. Without a card (NULL) `why` tells what is wrong with the id alone:
 * ERROR_NOT_FOUND: no file names them and they never ordered; ERROR_INPUT: not an id of the deployment's type. 0 to go on, or a
 * negative code. */
typedef int lookup_card_fn(void *context, const char *id, const struct customer_card *card, const struct error *why,
			   struct error *err);
/* Gives n customers in their order, by LOOKUP_BATCH on a cluster. `orders`: how many of the last ones the cards are to know (up to
 * CARD_ORDERS_MOST). Errors: what `take` returns, those of view_account and record_decode; of store/cells.h: ERROR_AWAY after some
 * seconds, ERROR_NOT_FOUND a table is missing. */
int lookup_customers(struct lookup *lookup, const char *const *ids, size_t n, size_t orders, lookup_card_fn *take,
		     void *context, struct error *err);
void lookup_close(struct lookup *lookup);
/* The programme by which the cards are (on a cluster: the card that is being taken): the deployment's, or, when that was changed and
 * nothing collected (refreshed) since, the one of before. */
const struct programme *lookup_programme(const struct lookup *lookup);
/* In the latter case the hash's text of the one of before, else NULL. */
const char *lookup_other_programme(const struct lookup *lookup);

/* The newest `most` (up to CARD_ORDERS_MOST) orders, without those that were rejected. */
void lookup_orders(const struct customer_card *card, size_t most, struct card_orders *out);

/* The next day behind `after` (DAY_MIN: the first) from which pending points of the ledger can be spent, and how many; false when
 * there is none. */
bool lookup_pending(const struct account *account, unsigned ledger, int32_t after, struct card_pending *out);

#endif
