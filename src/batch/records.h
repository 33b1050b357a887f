/*
 * The records that the customer view should have, of a batch of a history: what a sink of history.h makes of it when the view
 * is mended, or audited.
 *
 *     struct records records;
 *     rc = records_init(&records, programme, err);
 *     rc = records_make(&records, batch, err);
 *     for (size_t i = 0; i < records.n; i++)
 *             record = records_get(&records, i, &id);
 *     records_release(&records);
 *
 * Belongs to one thread at a time; its memory is kept from batch to batch.
 */
#ifndef PUNCHCARD_BATCH_RECORDS_H
#define PUNCHCARD_BATCH_RECORDS_H

#include "batch/history.h"
#include "loyalty/record.h"

struct records_entry;

struct records {
	struct record *record;
	struct records_entry *entries;
	size_t n; /* customers of the batch */
	size_t cap;
	struct buf bytes; /* ids of type text, and records */
};

/* `programme` (prepared) must outlive it. ERROR_NO_MEMORY; records_release is fine after that, too. */
int records_init(struct records *records, const struct programme *programme, struct error *err);
void records_release(struct records *records);
/* Makes those of a batch; the ones before are forgotten. ERROR_NO_MEMORY. */
int records_make(struct records *records, const struct history_batch *batch, struct error *err);
/* The i-th customer, in the batch's order, and the record's bytes; both live until the next batch. */
struct slice records_get(const struct records *records, size_t i, struct customer_id *id);

#endif
