/*
 * The rows that punchcard-fold takes, and their way into a batch: customers in order, and of each the state (if there
 * is one), then the rows of transactions_cln.
 *
 *     struct input input;
 *     input_init(&input, CUSTOMER_ID_INTEGER);
 *     while ((rc = input_next(&input, &reader, &batch, &found, err)) == 0 && found)
 *             …  // batch has one whole customer
 *     input_release(&input);
 *
 * Order: by customer (integers numerically, text by byte), a state first, then strictly by time, kind (order, refund,
 * redeem, adjust), event_id, source and line_no. All else, and a row that no event can have, is an ERROR_INPUT that
 * names the row.
 */
#ifndef PUNCHCARD_FOLD_INPUT_H
#define PUNCHCARD_FOLD_INPUT_H

#include "fold/rows.h"
#include "fold/text.h"

/* Columns of a row, in this order. */
enum input_column {
	INPUT_CUSTOMER,     /* cust_id */
	INPUT_KIND,         /* order, refund, redeem, adjust; or state, which has only state and items besides */
	INPUT_TIME_US,      /* odr_tms, UTC microseconds */
	INPUT_EVENT_ID,     /* event_id */
	INPUT_SOURCE,       /* source */
	INPUT_LINE_NO,      /* line_no; NULL: 0 */
	INPUT_MENU,         /* odr_menu */
	INPUT_SKU,          /* odr_sku */
	INPUT_QTY_MILLI,    /* odr_qty · 1000; NULL: 0, and of a refund: it has no lines */
	INPUT_AMOUNT_MINOR, /* odr_amt · 100; NULL: 0 */
	INPUT_ORDER_ID,     /* order_id */
	INPUT_POINTS_MILLI, /* points · 1000; NULL: 0 */
	INPUT_LEDGER,       /* ledger */
	INPUT_REWARD,       /* reward */
	INPUT_DECISION,     /* decision: 'declined' or not */
	INPUT_STATE,        /* of account_state, in hexadecimal digits */
	INPUT_ITEMS,        /* the same */
	INPUT_COLUMNS,
};

struct input {
	enum customer_id_type id_type;
	/* The row that was read and belongs to the next customer, or is the last one. */
	struct text_field fields[INPUT_COLUMNS];
	bool has_row;
	uint64_t rows;
	/* What the next row must be behind: bytes of the last one, and its numbers. */
	struct buf last_customer;
	struct buf last_id;
	struct buf last_source;
	struct buf tag;
	int64_t last_number;
	int64_t last_time_us;
	unsigned last_kind;
	int64_t last_line;
	bool has_last;
	bool has_event; /* an event of the customer was had */
};

void input_init(struct input *input, enum customer_id_type id_type);
void input_release(struct input *input);
/* Fills an empty batch with the next customer; *found is false at the end. */
int input_next(struct input *input, struct text_reader *reader, struct row_batch *batch, bool *found,
	       struct error *err);

#endif
