/*
 * Lots: where the points of one ledger of one account lie. Spendable ones apart from pending ones, each in the order in which
 * they are taken. Inside of src/loyalty.
 *
 * Invariants: no lot is empty; spendable lots ascend by expiry, pending ones by (expiry, available), both strictly; total is
 * the sum of all.
 */
#ifndef PUNCHCARD_LOYALTY_LOTS_H
#define PUNCHCARD_LOYALTY_LOTS_H

#include "loyalty/programme.h"

#include <assert.h>

struct lot {
	int32_t expires;         /* start of that day; DAY_MAX: never */
	int32_t available;       /* DAY_MIN: spendable */
	int64_t remaining_milli; /* > 0 */
};
static_assert(sizeof(struct lot) == 16, "an account holds a lot a day");

/* items[first] to items[first + n - 1]: what is taken off the front costs nothing. */
struct lot_list {
	struct lot *items;
	uint32_t first;
	uint32_t n;
	uint32_t cap;
};

struct lots {
	struct lot_list spendable;
	struct lot_list pending;
	int64_t total_milli;
};

static inline struct lot *lot_at(const struct lot_list *list, uint32_t i)
{
	return &list->items[list->first + i];
}

/* Empty; the memory is kept. */
void lots_clear(struct lots *lots);
void lots_release(struct lots *lots);
/* 0 or ERROR_NO_MEMORY. */
int lots_copy(struct lots *to, const struct lots *from);

int lots_insert(struct lots *lots, int32_t expires, int32_t available, int64_t n);
/* Puts n > 0 points into the lot of both days (available: DAY_MIN when spendable), which may be new. ERROR_NO_MEMORY. */
static inline int lots_add(struct lots *lots, int32_t expires, int32_t available, int64_t n)
{
	struct lot_list *const list = &lots->spendable;
	const uint32_t end = list->first + list->n;
	/* Nearly always a new last one. */
	if (available != DAY_MIN || end == list->cap || (list->n && list->items[end - 1].expires >= expires))
		return lots_insert(lots, expires, available, n);
	list->items[end] = (struct lot){expires, available, n};
	list->n++;
	lots->total_milli += n;
	return 0;
}
/* Position of the lot of both days in its list, or -1. */
int64_t lot_find(const struct lot_list *list, int32_t expires, int32_t available);
/* Takes up to n points off lot i of a list (one of `lots`); returns how many. An emptied lot goes. */
int64_t lots_take(struct lots *lots, struct lot_list *list, uint32_t i, int64_t n);
/* Takes all that expires up to `day`; returns how much that was. */
int64_t lots_expire(struct lots *lots, int32_t day);
/* Pending lots that are available by `day` become spendable. ERROR_NO_MEMORY. */
int lots_mature(struct lots *lots, int32_t day);
/* All lots expire on `expires` from now on. */
void lots_move(struct lots *lots, int32_t expires);
/* The first day on which a lot expires or becomes spendable; DAY_MAX: none. */
int32_t lots_due(const struct lots *lots);

#endif
