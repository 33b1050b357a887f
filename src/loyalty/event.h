/*
 * Events: what happened to a customer, as every layer hands it to the kernel.
 *
 * An event is facts only, and borrows its bytes: whoever made it keeps them until the event is no longer used. Amounts are
 * int64 minor units of the programme's currency at scale 2 (1250 = 12.50), quantities thousandths, times UTC microseconds.
 */
#ifndef PUNCHCARD_LOYALTY_EVENT_H
#define PUNCHCARD_LOYALTY_EVENT_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

/* The order of the values is the order of the kinds within one instant. Stored: never renumber. */
enum event_kind {
	EVENT_ORDER = 0,
	EVENT_REFUND = 1,
	EVENT_REDEEM = 2,
	EVENT_ADJUST = 3,
};

/* "order" and so on, as files and tables have it; lives for ever. */
struct slice event_kind_name(enum event_kind kind);
/* false: there is no such kind. */
bool event_kind_parse(struct slice name, enum event_kind *out);

/* What ids customers have: of one kind in a deployment. */
enum customer_id_type {
	CUSTOMER_ID_INTEGER = 0,
	CUSTOMER_ID_TEXT = 1,
};

/* A customer's id. Of type integer: `number`, and `text` is empty. Of type text: `text`, 1 to LIMIT_CUSTOMER_ID_BYTES bytes
 * of UTF-8 without NUL. A guest has neither: `guest` is true. */
struct customer_id {
	bool guest;
	int64_t number;
	struct slice text;
};

/* < 0, 0, > 0: integers numerically, text by byte; the order of the history and of the view. */
int customer_compare(const struct customer_id *a, const struct customer_id *b);

/* Numbers are at most LIMIT_QUANTITY_MILLI and LIMIT_AMOUNT_MINOR, with either sign. */
struct order_line {
	struct slice menu;    /* what the till calls it; may be empty */
	struct slice sku;     /* may be empty */
	int64_t qty_milli;    /* thousandths; 1000 is one */
	int64_t price_minor;  /* of one */
	int64_t amount_minor; /* of the line: what was paid, whatever quantity × price says */
};

struct event {
	enum event_kind kind;
	struct slice id; /* 1 to LIMIT_EVENT_ID_BYTES bytes, unique in its source */
	struct customer_id customer;
	int64_t time_us;    /* UTC; LIMIT_TIME_MIN_S to before LIMIT_TIME_MAX_S */
	struct slice store; /* may be empty */
	/* What was bought, or brought back. Amounts of a refund's lines are positive, too. */
	const struct order_line *lines;
	uint32_t n_lines; /* 1 to LIMIT_ORDER_LINES for an order; 0 or more for a refund; 0 for the others */
	/* Refund. */
	struct slice order_id; /* event id of the order, 1 to LIMIT_EVENT_ID_BYTES bytes */
	int64_t amount_minor;  /* 1 to LIMIT_AMOUNT_MINOR: what was given back; with lines their sum */
	/* Redeem (> 0, or 0 when only a reward is named) and adjust (not 0), thousandths, at most LIMIT_POINTS_MILLI. */
	int64_t points_milli;
	struct slice ledger; /* its name; empty: the reward's, else the first */
	struct slice reward; /* redeem: its id; may be empty when there are points */
	struct slice reason; /* adjust: in words; may be empty */
	bool declined;       /* redeem: it was asked for, and refused */
};

/* An event of that kind without anything else. One by one, all of it: GCC clears a whole structure of this size with an instruction
 * that is slow to begin, and events are made by the million. */
static inline void event_init(struct event *event, enum event_kind kind)
{
	const struct slice nothing = {NULL, 0};
	event->kind = kind;
	event->id = nothing;
	event->customer.guest = false;
	event->customer.number = 0;
	event->customer.text = nothing;
	event->time_us = 0;
	event->store = nothing;
	event->lines = NULL;
	event->n_lines = 0;
	event->order_id = nothing;
	event->amount_minor = 0;
	event->points_milli = 0;
	event->ledger = nothing;
	event->reward = nothing;
	event->reason = nothing;
	event->declined = false;
}

#endif
