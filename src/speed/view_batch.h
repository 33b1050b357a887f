/*
 * The events of a batch as the view writer takes them: facts, packed, by customer and in their order.
 *
 *     struct view_batch *batch = view_batch_new(programme, text_ids);
 *     while (block_reader_next(&block, &record, err) == 1)
 *             rc = view_batch_add(batch, &record, block.source, err);
 *     rc = view_batch_sort(batch, err);
 *     while (view_batch_customer(batch, &id))
 *             while (view_batch_fact(batch, &fact)) …
 *     view_batch_clear(batch);
 *     view_batch_free(batch);
 *
 * Nothing in it points into the blocks. Memory: about 40 bytes an event of a classic line, and half as much again while it sorts;
 * with ids and customers that are text, these too. Not tied to a thread; one belongs to one thread at a time.
 */
#ifndef PUNCHCARD_SPEED_VIEW_BATCH_H
#define PUNCHCARD_SPEED_VIEW_BATCH_H

#include "loyalty/fact.h"
#include "store/block.h"

struct view_batch;

/* NULL when out of memory. `programme` (prepared) must outlive it; text_ids: what customers are known by. */
struct view_batch *view_batch_new(const struct programme *programme, bool text_ids);
/* NULL is fine. */
void view_batch_free(struct view_batch *batch);
/* Forgets the events, and gives their memory back. */
void view_batch_clear(struct view_batch *batch);

/* Takes an event, but a guest's. ERROR_NO_MEMORY; ERROR_INPUT: the customer's id is not of the batch's type. */
int view_batch_add(struct view_batch *batch, const struct block_record *record, struct slice source, struct error *err);

/* Once, behind the last event: view_batch_customer begins with the first. ERROR_NO_MEMORY. */
int view_batch_sort(struct view_batch *batch, struct error *err);
/* Goes to the next customer, in the order of the view's keys; false: there is none. The id lives until the batch is cleared. */
bool view_batch_customer(struct view_batch *batch, struct customer_id *id);
/* The next fact of that customer, in the order of fact_compare; the same event can come twice. false: there is none. The fact's
 * id lives until the next call. */
bool view_batch_fact(struct view_batch *batch, struct fact *fact);

#endif
