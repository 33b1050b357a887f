/*
 * The order whose lines are being read: rows of a mapped file with one event id, until another id comes.
 *
 * Keeps copies of all bytes. Belongs to one thread at a time; all zero is an empty one.
 */
#ifndef PUNCHCARD_SPEED_PENDING_H
#define PUNCHCARD_SPEED_PENDING_H

#include "speed/order_format.h"

struct pending_line {
	size_t raw_at;
	size_t raw_len;
	size_t line_id_at;
	size_t line_id_len;
	uint64_t line; /* in the file */
};

struct pending {
	struct buf texts; /* what all slices point into, once pending_event has been called */
	size_t id_len;    /* the id is at 0; 0: nothing is pending */
	bool spoiled;     /* a line of it is bad: none is taken, and there are none */
	size_t customer_at;
	size_t customer_len;
	size_t store_at;
	size_t store_len;
	struct customer_id customer;
	int64_t time_us;
	uint32_t n_lines;
	uint32_t cap;
	struct pending_line *lines;
	struct order_line *order_lines; /* slices hold offsets until pending_event */
};

enum pending_added {
	PENDING_ADDED = 0,
	PENDING_DUPLICATE = 1, /* this very line is in the order already */
	PENDING_REFUSED = 2,   /* contradicts the order's first line, has another's line id, or is one too many */
};

bool pending_is(const struct pending *pending, struct slice id);
bool pending_any(const struct pending *pending);
/* Starts an order with its first row. 0 or ERROR_NO_MEMORY. */
int pending_start(struct pending *pending, const struct order_row *row, struct slice raw, uint64_t line);
/* The order has a bad line: starts it, or forgets the lines that it has. 0 or ERROR_NO_MEMORY. */
int pending_spoil(struct pending *pending, struct slice id);
/* Adds a row with the same id, of an order that is not spoiled. An enum pending_added, or ERROR_NO_MEMORY. */
int pending_add(struct pending *pending, const struct order_row *row, struct slice raw, uint64_t line);
/* The order as an event. Its slices live until the next start; call it once, when all lines are there. */
void pending_event(struct pending *pending, struct event *event);
struct slice pending_raw(const struct pending *pending, uint32_t i);
/* Forgets the order, keeps the memory. */
void pending_clear(struct pending *pending);
void pending_release(struct pending *pending);

#endif
