/*
 * What the files of history share: batches of rows as the engine gives them, gathered by one thread (history_read.c), made
 * facts by others (fold/facts.h).
 */
#ifndef PUNCHCARD_BATCH_HISTORY_INTERNAL_H
#define PUNCHCARD_BATCH_HISTORY_INTERNAL_H

#include "batch/history.h"
#include "engine/engine.h"

struct history_reader;

/* Opens the scans: reading begins. *total: how many rows there are at most. */
int history_reader_open(const struct deployment *deployment, const struct programme *programme,
			const struct history_options *options, struct history_reader **out, uint64_t *total,
			struct error *err);
/* NULL is fine. */
void history_reader_close(struct history_reader *reader);
/* Fills an empty batch; it stays empty at the end. */
int history_reader_next(struct history_reader *reader, struct row_batch *batch, struct error *err);
/* From any thread: see engine_interrupt. */
void history_reader_interrupt(struct history_reader *reader);

#endif
