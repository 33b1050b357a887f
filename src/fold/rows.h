/*
 * Rows of transactions_cln in memory, customer by customer: what facts are made of, wherever the rows were read.
 *
 *     struct row_batch batch = {0};
 *     rc = row_batch_add_customer(&batch, &id, (struct slice){0}, (struct slice){0}, err);
 *     rc = row_batch_add(&batch, &(struct row_values){.time_us = …, .meta = …}, err);       // each of that customer's
 *     row_batch_release(&batch);
 *
 * Belongs to one thread at a time. All texts are copied.
 */
#ifndef PUNCHCARD_FOLD_ROWS_H
#define PUNCHCARD_FOLD_ROWS_H

#include "base/buf.h"
#include "base/error.h"
#include "loyalty/event.h"

#include <stddef.h>
#include <stdint.h>

/* A row's kind, in the low bits of `meta`; line_no stands above them. */
enum row_kind {
	ROW_ORDER = 0,
	ROW_REFUND = 1,
	ROW_REDEEM = 2,
	ROW_ADJUST = 3,
	ROW_REFUND_AMOUNT = 4, /* a refund without lines */
	ROW_KINDS = 5,
	ROW_KIND_UNKNOWN = 7,
};
#define ROW_KIND_MASK  7u
#define ROW_DECLINED   8u
#define ROW_META_SHIFT 4u

/* The longest text of a row. */
#define ROW_TEXT_MAX UINT16_MAX

/* A row of transactions_cln. Its texts stand one behind the other in the batch, from text_at on: event id, tag, menu,
 * sku. */
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

/* One row, as it comes. */
struct row_values {
	int64_t time_us;
	int64_t amount_minor;
	int64_t qty_milli;
	uint32_t meta;
	struct slice id; /* 1 to LIMIT_EVENT_ID_BYTES */
	/* Of an order its source; of all else "<source> <points> <length of order_id> <of ledger> <of reward>
	 * <order_id><ledger><reward>", points in thousandths. 1 to ROW_TEXT_MAX bytes, as the next ones are at most. */
	struct slice tag;
	struct slice menu;
	struct slice sku;
};

/* Whether the texts are as long as they may be. */
bool row_texts_fit(const struct row_values *row);

/* Of texts that fit: together. */
static inline size_t row_texts_len(const struct row_values *row)
{
	return row->id.len + row->tag.len + row->menu.len + row->sku.len;
}

/* The row, with its texts at text_at. */
static inline struct row row_of(const struct row_values *row, size_t text_at)
{
	return (struct row){
		.time_us = row->time_us,
		.amount_minor = row->amount_minor,
		.qty_milli = row->qty_milli,
		.text_at = text_at,
		.meta = row->meta,
		.tag_len = (uint16_t)row->tag.len,
		.menu_len = (uint16_t)row->menu.len,
		.sku_len = (uint16_t)row->sku.len,
		.id_len = (uint8_t)row->id.len,
	};
}

static inline uint32_t row_line(const struct row *row)
{
	return row->meta >> ROW_META_SHIFT;
}

/* Empty again; the memory is kept. */
void row_batch_clear(struct row_batch *batch);
void row_batch_release(struct row_batch *batch);
/* The next customer: `state` and `items` (of the state) may be empty. ERROR_NO_MEMORY. */
int row_batch_add_customer(struct row_batch *batch, const struct customer_id *id, struct slice state,
			   struct slice items, struct error *err);
/* A row of the customer that was added last; row_texts_fit. ERROR_NO_MEMORY. */
int row_batch_add(struct row_batch *batch, const struct row_values *values, struct error *err);

#endif
