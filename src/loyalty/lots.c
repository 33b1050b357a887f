#include "loyalty/lots.h"

#include <stdlib.h>

#define LIST_FIRST_CAP 16u

void lots_clear(struct lots *lots)
{
	lots->spendable.first = lots->spendable.n = 0;
	lots->pending.first = lots->pending.n = 0;
	lots->total_milli = 0;
}

void lots_release(struct lots *lots)
{
	free(lots->spendable.items);
	free(lots->pending.items);
	*lots = (struct lots){0};
}

/* Room for one more at the end. */
static int list_reserve(struct lot_list *list)
{
	if (list->first + list->n < list->cap)
		return 0;
	if (list->first > list->cap / 2) {
		memmove(list->items, lot_at(list, 0), list->n * sizeof(struct lot));
		list->first = 0;
		return 0;
	}
	const uint32_t cap = list->cap ? list->cap * 2 : LIST_FIRST_CAP;
	struct lot *const items = realloc(list->items, cap * sizeof(struct lot));
	if (!items)
		return ERROR_NO_MEMORY;
	list->items = items;
	list->cap = cap;
	return 0;
}

static int list_copy(struct lot_list *to, const struct lot_list *from)
{
	to->first = to->n = 0;
	if (from->n > to->cap) {
		struct lot *const items = realloc(to->items, from->n * sizeof(struct lot));
		if (!items)
			return ERROR_NO_MEMORY;
		to->items = items;
		to->cap = from->n;
	}
	if (from->n)
		memcpy(to->items, lot_at(from, 0), from->n * sizeof(struct lot));
	to->n = from->n;
	return 0;
}

int lots_copy(struct lots *to, const struct lots *from)
{
	to->total_milli = from->total_milli;
	if (list_copy(&to->spendable, &from->spendable) < 0)
		return ERROR_NO_MEMORY;
	return list_copy(&to->pending, &from->pending);
}

/* By (expires, available): < 0, 0, > 0. */
static int lot_compare(const struct lot *lot, int32_t expires, int32_t available)
{
	if (lot->expires != expires)
		return lot->expires < expires ? -1 : 1;
	return (lot->available > available) - (lot->available < available);
}

static int list_add(struct lot_list *list, int32_t expires, int32_t available, int64_t n)
{
	/* From the end: what was earned last nearly always expires last. */
	uint32_t at = list->n;
	int compared = -1;
	while (at && (compared = lot_compare(lot_at(list, at - 1), expires, available)) > 0)
		at--;
	if (at && compared == 0) {
		lot_at(list, at - 1)->remaining_milli += n;
		return 0;
	}
	if (list_reserve(list) < 0)
		return ERROR_NO_MEMORY;
	struct lot *const lot = lot_at(list, at);
	memmove(lot + 1, lot, (list->n - at) * sizeof(*lot));
	*lot = (struct lot){expires, available, n};
	list->n++;
	return 0;
}

int lots_insert(struct lots *lots, int32_t expires, int32_t available, int64_t n)
{
	struct lot_list *const list = available == DAY_MIN ? &lots->spendable : &lots->pending;
	if (list_add(list, expires, available, n) < 0)
		return ERROR_NO_MEMORY;
	lots->total_milli += n;
	return 0;
}

int64_t lot_find(const struct lot_list *list, int32_t expires, int32_t available)
{
	uint32_t lo = 0;
	uint32_t hi = list->n;
	while (lo < hi) {
		const uint32_t middle = lo + (hi - lo) / 2;
		const int compared = lot_compare(lot_at(list, middle), expires, available);
		if (compared == 0)
			return middle;
		if (compared < 0)
			lo = middle + 1;
		else
			hi = middle;
	}
	return -1;
}

static void list_remove(struct lot_list *list, uint32_t i)
{
	list->n--;
	if (i == 0) {
		list->first = list->n ? list->first + 1 : 0;
		return;
	}
	struct lot *const lot = lot_at(list, i);
	memmove(lot, lot + 1, (list->n - i) * sizeof(*lot));
}

int64_t lots_take(struct lots *lots, struct lot_list *list, uint32_t i, int64_t n)
{
	struct lot *const lot = lot_at(list, i);
	const int64_t taken = n < lot->remaining_milli ? n : lot->remaining_milli;
	lot->remaining_milli -= taken;
	lots->total_milli -= taken;
	if (lot->remaining_milli == 0)
		list_remove(list, i);
	return taken;
}

static int64_t list_expire(struct lot_list *list, int32_t day)
{
	int64_t expired = 0;
	while (list->n && lot_at(list, 0)->expires <= day) {
		expired += lot_at(list, 0)->remaining_milli;
		list_remove(list, 0);
	}
	return expired;
}

int64_t lots_expire(struct lots *lots, int32_t day)
{
	const int64_t expired = list_expire(&lots->spendable, day) + list_expire(&lots->pending, day);
	lots->total_milli -= expired;
	return expired;
}

int lots_mature(struct lots *lots, int32_t day)
{
	struct lot_list *const pending = &lots->pending;
	uint32_t kept = 0;
	for (uint32_t i = 0; i < pending->n; i++) {
		const struct lot lot = *lot_at(pending, i);
		if (lot.available > day)
			*lot_at(pending, kept++) = lot;
		else if (list_add(&lots->spendable, lot.expires, DAY_MIN, lot.remaining_milli) < 0)
			return ERROR_NO_MEMORY;
	}
	pending->n = kept;
	return 0;
}

void lots_move(struct lots *lots, int32_t expires)
{
	struct lot_list *const spendable = &lots->spendable;
	if (spendable->n) {
		struct lot all = {expires, DAY_MIN, 0};
		for (uint32_t i = 0; i < spendable->n; i++)
			all.remaining_milli += lot_at(spendable, i)->remaining_milli;
		*lot_at(spendable, 0) = all;
		spendable->n = 1;
	}
	/* With one expiry for all, the rest of the order is by `available`: sorted by insertion into a list that only
	 * shrinks, so no memory is needed. */
	struct lot_list *const pending = &lots->pending;
	const uint32_t n = pending->n;
	uint32_t kept = 0;
	for (uint32_t i = 0; i < n; i++) {
		const struct lot lot = *lot_at(pending, i);
		uint32_t at = kept;
		while (at && lot_at(pending, at - 1)->available > lot.available)
			at--;
		if (at && lot_at(pending, at - 1)->available == lot.available) {
			lot_at(pending, at - 1)->remaining_milli += lot.remaining_milli;
			continue;
		}
		memmove(lot_at(pending, at + 1), lot_at(pending, at), (kept - at) * sizeof(lot));
		*lot_at(pending, at) = (struct lot){expires, lot.available, lot.remaining_milli};
		kept++;
	}
	pending->n = kept;
}

int32_t lots_due(const struct lots *lots)
{
	int32_t due = lots->spendable.n ? lot_at(&lots->spendable, 0)->expires : DAY_MAX;
	for (uint32_t i = 0; i < lots->pending.n; i++) {
		const struct lot *const lot = lot_at(&lots->pending, i);
		due = lot->expires < due ? lot->expires : due;
		due = lot->available < due ? lot->available : due;
	}
	return due;
}
