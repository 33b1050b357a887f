/*
 * Facts of rows: whole customers' rows, put in order and made what the kernel folds.
 *
 *     struct fact_maker maker = {0};
 *     rc = fact_maker_run(&maker, &(struct fact_options){.programme = programme, .items = true}, &rows, &batch, err);
 *     … batch.customers[i].facts …
 *     fact_maker_release(&maker);
 *
 * Pure; belongs to one thread at a time. Its memory is kept between batches.
 */
#ifndef PUNCHCARD_FOLD_FACTS_H
#define PUNCHCARD_FOLD_FACTS_H

#include "fold/rows.h"
#include "loyalty/fact.h"

#include <stdbool.h>

struct history_customer {
	struct customer_id id;
	const struct fact *facts;       /* in the order of fact_compare, each event once */
	size_t n_facts;                 /* 0 only where there is a state */
	const struct fact *other_facts; /* the same events, n_facts of them, by the other programme; NULL without one */
	struct slice state;             /* that goes on with the facts; empty: none */
	struct slice items; /* if they are asked for: what was ordered, most first (items.h); empty: nothing */
};

struct history_batch {
	const struct history_customer *customers;
	size_t n_customers; /* from 1 */
	size_t n_facts;     /* of all of them */
};

struct item_counter;

/* All zero is an empty one. */
struct fact_maker {
	struct history_customer *customers;
	size_t customers_cap;
	struct fact *facts;
	struct fact *other_facts; /* as many, where there is another programme */
	size_t facts_cap;
	struct item_counter *items; /* where they are asked for */
	struct buf item_lists;
};

struct fact_options {
	const struct programme *programme; /* prepared, as is … */
	const struct programme *other;     /* … another, by which there are facts besides; NULL: none */
	bool items;                        /* say what customers order, on top of the items of their states */
	enum customer_id_type id_type;
};

void fact_maker_release(struct fact_maker *maker);
/* Makes the facts of a batch, whose texts they borrow; they live until the next call, or the batch changes. Puts the
 * rows of each customer in order. ERROR_CORRUPT: an event with a line missing or twice, or rows that no event can have;
 * ERROR_NO_MEMORY. */
int fact_maker_run(struct fact_maker *maker, const struct fact_options *options, const struct row_batch *rows,
		   struct history_batch *out, struct error *err);

#endif
