/*
 * What the files of history share: batches of rows as the engine gives them, gathered by one thread (history_read.c), made
 * facts by others (history_facts.c).
 */
#ifndef PUNCHCARD_BATCH_HISTORY_INTERNAL_H
#define PUNCHCARD_BATCH_HISTORY_INTERNAL_H

#include "batch/history.h"
#include "engine/engine.h"

/* A row's kind as the reader's SQL says it, in the low bits of `meta`; line_no stands above them. */
enum row_kind {
	ROW_ORDER = 0,
	ROW_REFUND = 1,
	ROW_REDEEM = 2,
	ROW_ADJUST = 3,
	ROW_REFUND_AMOUNT = 4, /* a refund without lines */
	ROW_KINDS = 5,
};
#define ROW_KIND_MASK  7u
#define ROW_DECLINED   8u
#define ROW_META_SHIFT 4u

/* A row of transactions_cln. Its texts stand one behind the other in the batch, from text_at on: event id, tag, menu, sku.
 * The tag of an order is its source; the others have more in it (history_facts.c). */
struct row {
	int64_t time_us;
	int64_t amount_minor;
	int64_t qty_milli;
	size_t text_at;
	uint32_t meta;
	uint16_t tag_len;
	uint16_t menu_len;
	uint16_t sku_len;
	uint8_t id_len;
};

struct row_customer {
	int64_t number;
	size_t text_at; /* of a text id, and the state and the items behind it */
	size_t state_len;
	size_t items_len;
	size_t first_row;
	size_t n_rows;
	uint32_t id_len; /* of a text id */
};

struct row_batch {
	struct row_customer *customers;
	size_t n_customers;
	size_t customers_cap;
	struct row *rows; /* of one customer after the other; within a customer in any order */
	size_t n_rows;
	size_t rows_cap;
	size_t n_first_rows; /* rows with line_no 1: at least as many as there are events */
	struct buf texts;
};

void row_batch_clear(struct row_batch *batch);
void row_batch_release(struct row_batch *batch);

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

struct item_counter;

/* The memory of making facts, kept between batches; all zero is an empty one. */
struct fact_maker {
	struct history_customer *customers;
	size_t customers_cap;
	struct fact *facts;
	struct fact *other_facts; /* as many, where there is another programme */
	size_t facts_cap;
	struct item_counter *items; /* where they are asked for */
	struct buf item_lists;
};

void fact_maker_release(struct fact_maker *maker);
/* Makes the facts of a batch, whose texts they borrow; by options->other besides, and items, as these say. ERROR_CORRUPT,
 * ERROR_NO_MEMORY. */
int fact_maker_run(struct fact_maker *maker, const struct programme *programme, const struct history_options *options,
		   enum customer_id_type id_type, const struct row_batch *rows, struct history_batch *out,
		   struct error *err);

#endif
