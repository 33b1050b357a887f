/*
 * What was in the last orders of a card: their lines. On one machine the view has none, so they are looked up in transactions_cln, in
 * the partitions of those orders' days alone (and the journal's tail). That takes the SQL engine, some tens of milliseconds for the
 * first card; the others go on with it. On a cluster they are in the customer's history: one more request for each card. So: for who
 * asks for it.
 *
 *     rc = card_items_open(lookup, &items, err);
 *     …in the lookup's take: lookup_orders(card, 5, &orders);
 *     rc = card_items_read(items, card, &orders, err);
 *     for (size_t i = 0; i < card_items_of(items, order, &lines); i++)
 *         … lines[i].menu …
 *     card_items_close(items);
 *
 * Of the lookup's thread.
 */
#ifndef PUNCHCARD_SERVING_CARD_ITEMS_H
#define PUNCHCARD_SERVING_CARD_ITEMS_H

#include "serving/lookup.h"

struct card_line {
	struct slice menu; /* empty: it has none */
	struct slice sku;  /* the same */
	int64_t qty_milli;
	int64_t amount_minor;
};

struct card_items;

/* Of that lookup, which outlives it. Nothing is read yet. ERROR_NO_MEMORY. */
int card_items_open(const struct lookup *lookup, struct card_items **out, struct error *err);
/* NULL is fine. */
void card_items_close(struct card_items *items);

/* Those of the orders of that card, which is being taken, instead of the card's before. Errors: those of a query (serving/query.h); on a
 * cluster those of cluster_view_history_between. */
int card_items_read(struct card_items *items, const struct customer_card *card, const struct card_orders *orders,
		    struct error *err);
/* The lines of the order orders.first[order], as they were on the receipt, and how many; they live until the next card. 0 lines: the
 * table has no such order any more. */
size_t card_items_of(const struct card_items *items, size_t order, const struct card_line **lines);

#endif
