/*
 * Rows on their way through the sorter, as bytes: who merges them copies them, and workers make rows of them.
 *
 *     rc = row_sorter_room(sorter, &id, history_record_most(&values), &p, err);
 *     row_sorter_add(sorter, &id, history_record_put(p, &values));
 *     …
 *     rc = row_batch_add_customer(&batch, &id, state, items, err);
 *     rc = history_record_add(&batch, record, err);                      // each of that customer's
 *     …
 *     rc = history_record_decode(&batch, err);                           // in another thread
 *
 * A record is (numbers as in base/bytes.h):
 *
 *     u64        time
 *     varint     meta
 *     signed     amount, quantity
 *     varint     lengths of the texts: event id, tag, menu, sku
 *     bytes      the texts, which stay where they are when the record becomes a row
 *
 * Pure; each batch belongs to one thread at a time.
 */
#ifndef PUNCHCARD_BATCH_HISTORY_RECORD_H
#define PUNCHCARD_BATCH_HISTORY_RECORD_H

#include "fold/rows.h"

/* How many bytes the record has at most. */
size_t history_record_most(const struct row_values *row);
/* Writes the record of a row, row_texts_fit, at p; returns the byte behind. */
char *history_record_put(char *p, const struct row_values *row);

/* Adds a record to the customer that was added last. Until history_record_decode the batch knows how many rows there are, but not
 * the rows; row_batch_add must not be called. ERROR_NO_MEMORY. */
int history_record_add(struct row_batch *batch, struct slice record, struct error *err);
/* Makes rows of the records, once. ERROR_CORRUPT: these are none; ERROR_NO_MEMORY. */
int history_record_decode(struct row_batch *batch, struct error *err);

#endif
