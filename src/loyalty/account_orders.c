/* The orders that refunds may come for (account_internal.h). */
#include "loyalty/account_internal.h"

#include <stdlib.h>

#define FIRST_CAP 32u
/* So few are looked through one by one. */
#define SCAN_MAX 16u

void orders_clear(struct order_list *orders)
{
	orders->n = 0;
	orders->n_slots = 0;
	orders->indexed = 0;
}

void orders_release(struct order_list *orders)
{
	free(orders->items);
	free(orders->points_milli);
	free(orders->slots);
	*orders = (struct order_list){0};
}

static int orders_reserve(struct order_list *orders, uint32_t n, unsigned n_ledgers)
{
	if (n <= orders->cap)
		return 0;
	uint32_t cap = orders->cap ? orders->cap : FIRST_CAP;
	while (cap < n)
		cap *= 2;
	struct order *const items = reallocarray(orders->items, cap, sizeof(*items));
	if (!items)
		return ERROR_NO_MEMORY;
	orders->items = items;
	int64_t *const points = reallocarray(orders->points_milli, (size_t)cap * n_ledgers, sizeof(*points));
	if (!points)
		return ERROR_NO_MEMORY;
	orders->points_milli = points;
	orders->cap = cap;
	return 0;
}

int orders_copy(struct order_list *to, const struct order_list *from, unsigned n_ledgers)
{
	orders_clear(to);
	if (orders_reserve(to, from->n, n_ledgers) < 0)
		return ERROR_NO_MEMORY;
	if (from->n) {
		memcpy(to->items, from->items, from->n * sizeof(*from->items));
		memcpy(to->points_milli, from->points_milli, (size_t)from->n * n_ledgers * sizeof(int64_t));
	}
	to->n = from->n;
	return 0;
}

int orders_grow(struct order_list *orders, unsigned n_ledgers)
{
	return orders->n == UINT32_MAX / 8 ? ERROR_NO_MEMORY : orders_reserve(orders, orders->n + 1, n_ledgers);
}

/* The slot of an id, or the free one where it belongs. */
static uint32_t *slot_of(const struct order_list *orders, uint64_t id_hash)
{
	const uint32_t mask = orders->n_slots - 1;
	uint32_t at = (uint32_t)id_hash & mask;
	while (orders->slots[at] && orders->items[orders->slots[at] - 1].id_hash != id_hash)
		at = (at + 1) & mask;
	return &orders->slots[at];
}

/* Slots for twice the orders there are, so that the index is made anew seldom. */
static int make_slots(struct order_list *orders)
{
	uint32_t n_slots = 64;
	while (n_slots / 4 < orders->n)
		n_slots *= 2;
	if (n_slots > orders->slots_cap) {
		free(orders->slots);
		orders->slots_cap = 0;
		orders->slots = malloc(n_slots * sizeof(*orders->slots));
		if (!orders->slots) {
			orders->n_slots = 0;
			return ERROR_NO_MEMORY;
		}
		orders->slots_cap = n_slots;
	}
	memset(orders->slots, 0, n_slots * sizeof(*orders->slots));
	orders->n_slots = n_slots;
	orders->indexed = 0;
	return 0;
}

int orders_find(struct order_list *orders, uint64_t id_hash, int64_t *position)
{
	if (orders->n <= SCAN_MAX) {
		int64_t at = (int64_t)orders->n - 1;
		while (at >= 0 && orders->items[at].id_hash != id_hash)
			at--;
		*position = at;
		return 0;
	}
	if (orders->n > orders->n_slots / 2 && make_slots(orders) < 0)
		return ERROR_NO_MEMORY;
	/* Of orders with one id the later one takes the slot. */
	for (; orders->indexed < orders->n; orders->indexed++)
		*slot_of(orders, orders->items[orders->indexed].id_hash) = orders->indexed + 1;
	*position = (int64_t)*slot_of(orders, id_hash) - 1;
	return 0;
}
