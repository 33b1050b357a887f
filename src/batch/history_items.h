/*
 * What a customer ordered most, by quantity, whatever came back; of equal ones what was ordered last, then the first by name
 * (its bytes). The favourite of the table loyalty.
 */
#ifndef PUNCHCARD_BATCH_HISTORY_ITEMS_H
#define PUNCHCARD_BATCH_HISTORY_ITEMS_H

#include "batch/history_internal.h"

struct item {
	struct slice name;
	__int128 qty_milli; /* of any number of rows */
	int64_t last_us;
};

/* The memory of counting, kept between customers; all zero is an empty one. */
struct item_counter {
	struct item *items;
	size_t cap;
};

void item_counter_release(struct item_counter *counter);
/* *favourite: the name, which the batch owns; empty: there is none. 0 or ERROR_NO_MEMORY. */
int item_counter_run(struct item_counter *counter, const struct row_batch *batch, const struct row *rows, size_t n_rows,
		     struct slice *favourite);

#endif
