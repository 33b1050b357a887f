/*
 * What a customer ordered, by item: how much of each and when last, whatever came back. What stands first was ordered most, by
 * quantity; of equal ones what was ordered last, then the first by name (its bytes). That is the favourite of the table loyalty.
 *
 * A list is bytes, best first, each item with (numbers as in base/bytes.h):
 *
 *     name       length and bytes
 *     quantity   signed thousandths; no more than fits
 *     last time  signed; twice the UTC seconds when they are whole, as most are, or else twice the microseconds and one more
 */
#ifndef PUNCHCARD_FOLD_ITEMS_H
#define PUNCHCARD_FOLD_ITEMS_H

#include "fold/rows.h"

struct item {
	struct slice name;
	int64_t qty_milli;
	int64_t last_us;
};

/* The memory of counting, kept between customers; all zero is an empty one. */
struct item_counter {
	struct item *items;
	size_t cap;
};

void item_counter_release(struct item_counter *counter);
/* Appends to `out` the list of what `kept` (a list, or empty) and the rows say together. 0, ERROR_NO_MEMORY, ERROR_CORRUPT: kept is
 * no list. */
int item_counter_run(struct item_counter *counter, struct slice kept, const struct row_batch *batch,
		     const struct row *rows, size_t n_rows, struct buf *out);
/* The favourite's name, which stands in the list; empty when nothing was ordered, or nothing of it. */
struct slice item_favourite(struct slice list);

#endif
