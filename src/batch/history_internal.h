/*
 * What the files of history share: rows as the engine gives them, sorted by several readers (history_rows.c), gathered in batches
 * by one thread (history_read.c), made facts by others (fold/facts.h).
 */
#ifndef PUNCHCARD_BATCH_HISTORY_INTERNAL_H
#define PUNCHCARD_BATCH_HISTORY_INTERNAL_H

#include "batch/history.h"
#include "batch/id_list.h"
#include "engine/engine.h"

/* How many threads the options and the configuration ask for. */
unsigned history_threads(const struct deployment *deployment, const struct history_options *options);

/* ---- scans ---- */

/* A statement's rows, of which the first column is the customer. All zero is one that is closed. */
struct history_cursor {
	enum customer_id_type id_type; /* that the first column must have */
	struct engine *engine;
	struct engine_scan *scan;
	uint32_t rows;
	uint32_t at;
	bool ended;
	struct buf sql; /* until the scan is opened */
};

/* An engine that knows the options' customers as history_customers(); `customers` must outlive it. `threads` 0: all cores. */
int history_open_engine(const struct deployment *deployment, const struct history_options *options,
			const struct id_list *customers, uint32_t memory_mib, uint32_t threads, struct engine **out,
			struct error *err);
/* Makes sure that the cursor stands on a row, or has ended. */
int history_cursor_settle(struct history_cursor *cursor, struct error *err);
struct customer_id history_cursor_id(const struct history_cursor *cursor);
void history_cursor_close(struct history_cursor *cursor);

/* ---- rows ---- */

struct history_rows;
struct row_sorter;

/* Opens the files of orders, with `items` those columns, too. Deployment, options and `customers`, which are the options', must
 * outlive it. *total: how many rows there are at most. */
int history_rows_open(const struct deployment *deployment, const struct programme *programme,
		      const struct history_options *options, const struct id_list *customers, bool items,
		      struct history_rows **out, uint64_t *total, struct error *err);
/* Reads and sorts all, once. *sorted has records (history_record.h), and lives as long as `rows`; NULL: there are no files. */
int history_rows_sort(struct history_rows *rows, struct row_sorter **sorted, struct error *err);
/* From any thread. */
void history_rows_interrupt(struct history_rows *rows);
/* NULL is fine. */
void history_rows_close(struct history_rows *rows);

/* ---- batches ---- */

struct history_reader;

/* Opens the scans: reading begins. *total: how many rows there are at most. */
int history_reader_open(const struct deployment *deployment, const struct programme *programme,
			const struct history_options *options, struct history_reader **out, uint64_t *total,
			struct error *err);
/* NULL is fine. */
void history_reader_close(struct history_reader *reader);
/* Fills a batch with customers and records (history_record.h); it is empty at the end. */
int history_reader_next(struct history_reader *reader, struct row_batch *batch, struct error *err);
/* From any thread: see engine_interrupt. */
void history_reader_interrupt(struct history_reader *reader);

#endif
