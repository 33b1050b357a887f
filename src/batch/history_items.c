#include "batch/history_items.h"

#include <stdlib.h>
#include <xxhash.h>

#define ITEMS_MIN 16u

void item_counter_release(struct item_counter *counter)
{
	free(counter->items);
	*counter = (struct item_counter){0};
}

/* The menu's name, or else the article's number. */
static struct slice row_item(const struct row_batch *batch, const struct row *row)
{
	const char *const menu = batch->texts.data + row->text_at + row->id_len + row->tag_len;
	return row->menu_len ? (struct slice){menu, row->menu_len} : (struct slice){menu + row->menu_len, row->sku_len};
}

static bool is_better(const struct item *a, const struct item *b)
{
	if (a->qty_milli != b->qty_milli)
		return a->qty_milli > b->qty_milli;
	if (a->last_us != b->last_us)
		return a->last_us > b->last_us;
	const size_t common = a->name.len < b->name.len ? a->name.len : b->name.len;
	const int order = memcmp(a->name.data, b->name.data, common);
	return order < 0 || (order == 0 && a->name.len < b->name.len);
}

static struct item *find(const struct item_counter *counter, size_t slots, struct slice name)
{
	for (size_t slot = XXH3_64bits(name.data, name.len);; slot++) {
		struct item *const item = &counter->items[slot % slots];
		if (!item->name.len)
			*item = (struct item){.name = name, .last_us = INT64_MIN};
		if (slice_equal(item->name, name))
			return item;
	}
}

/* Slots for n rows, half of them free, and empty. 0: out of memory. */
static size_t clear(struct item_counter *counter, size_t n)
{
	size_t slots = ITEMS_MIN;
	while (slots < 2 * n)
		slots *= 2;
	if (slots > counter->cap) {
		struct item *const items = realloc(counter->items, slots * sizeof(*items));
		if (!items)
			return 0;
		counter->items = items;
		counter->cap = slots;
	}
	memset(counter->items, 0, slots * sizeof(*counter->items));
	return slots;
}

int item_counter_run(struct item_counter *counter, const struct row_batch *batch, const struct row *rows, size_t n_rows,
		     struct slice *favourite)
{
	const size_t slots = clear(counter, n_rows);
	if (!slots)
		return ERROR_NO_MEMORY;
	for (size_t i = 0; i < n_rows; i++) {
		const struct slice name = row_item(batch, &rows[i]);
		if ((rows[i].meta & ROW_KIND_MASK) != ROW_ORDER || !name.len)
			continue;
		struct item *const item = find(counter, slots, name);
		item->qty_milli += rows[i].qty_milli;
		if (rows[i].time_us > item->last_us)
			item->last_us = rows[i].time_us;
	}
	const struct item *best = NULL;
	for (size_t i = 0; i < slots; i++) {
		const struct item *const item = &counter->items[i];
		if (item->name.len && item->qty_milli > 0 && (!best || is_better(item, best)))
			best = item;
	}
	*favourite = best ? best->name : (struct slice){NULL, 0};
	return 0;
}
