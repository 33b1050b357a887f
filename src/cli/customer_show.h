/* Shared by customer.c and customer_json.c. */
#ifndef PUNCHCARD_CLI_CUSTOMER_SHOW_H
#define PUNCHCARD_CLI_CUSTOMER_SHOW_H

#include "serving/lookup.h"

/* Prints the card as one JSON object in a line, to standard output. */
int customer_print_json(const struct lookup *lookup, const struct customer_card *card, size_t orders,
			struct error *err);

#endif
