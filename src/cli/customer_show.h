/* Shared by customer.c and customer_json.c. */
#ifndef PUNCHCARD_CLI_CUSTOMER_SHOW_H
#define PUNCHCARD_CLI_CUSTOMER_SHOW_H

#include "serving/card_items.h"

/* What is shown of the last orders of a card. */
struct customer_orders {
	size_t most; /* that were asked for */
	struct card_orders orders;
	const struct card_items *items; /* theirs; NULL: not asked for */
};

/* Prints the card as one JSON object in a line, to standard output. */
int customer_print_json(const struct lookup *lookup, const struct customer_card *card,
			const struct customer_orders *shown, struct error *err);

#endif
