#include "fold/items.h"

#include "base/bytes.h"

#include <stdlib.h>
#include <xxhash.h>

#define ITEMS_MIN 16u
/* A name, and two numbers. */
#define ITEM_BYTES_MIN 4u
#define US_PER_SECOND  INT64_C(1000000)

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

/* < 0: a is the better one. */
static int compare_items(const void *x, const void *y)
{
	const struct item *const a = x;
	const struct item *const b = y;
	if (a->qty_milli != b->qty_milli)
		return a->qty_milli > b->qty_milli ? -1 : 1;
	if (a->last_us != b->last_us)
		return a->last_us > b->last_us ? -1 : 1;
	return slice_compare(a->name, b->name);
}

static void add(const struct item_counter *counter, size_t slots, const struct item *more)
{
	size_t slot = XXH3_64bits(more->name.data, more->name.len) % slots;
	while (counter->items[slot].name.len && !slice_equal(counter->items[slot].name, more->name))
		slot = (slot + 1) % slots;
	struct item *const item = &counter->items[slot];
	if (!item->name.len)
		*item = (struct item){.name = more->name, .last_us = INT64_MIN};
	if (__builtin_add_overflow(item->qty_milli, more->qty_milli, &item->qty_milli))
		item->qty_milli = INT64_MAX;
	if (more->last_us > item->last_us)
		item->last_us = more->last_us;
}

/* Slots for n items, half of them free, and empty. 0: out of memory. */
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

static char *put_time(char *p, int64_t us)
{
	return put_signed(p, us % US_PER_SECOND ? us * 2 + 1 : us / US_PER_SECOND * 2);
}

static int64_t read_time(struct reader *r)
{
	const int64_t value = read_signed(r);
	int64_t us = 0;
	if (value & 1)
		us = (value - 1) / 2;
	else if (__builtin_mul_overflow(value / 2, US_PER_SECOND, &us))
		r->bad = true;
	return us;
}

static int add_kept(const struct item_counter *counter, size_t slots, struct slice kept)
{
	struct reader r = reader_of(kept);
	while (r.at < r.end) {
		struct item item = {.name = read_slice(&r)};
		item.qty_milli = read_signed(&r);
		item.last_us = read_time(&r);
		if (r.bad || !item.name.len)
			return ERROR_CORRUPT;
		add(counter, slots, &item);
	}
	return 0;
}

/* The items that are there, in order, to the front of the slots. */
static size_t rank(const struct item_counter *counter, size_t slots)
{
	size_t n = 0;
	for (size_t i = 0; i < slots; i++)
		if (counter->items[i].name.len)
			counter->items[n++] = counter->items[i];
	qsort(counter->items, n, sizeof(*counter->items), compare_items);
	return n;
}

int item_counter_run(struct item_counter *counter, struct slice kept, const struct row_batch *batch,
		     const struct row *rows, size_t n_rows, struct buf *out)
{
	const size_t slots = clear(counter, n_rows + kept.len / ITEM_BYTES_MIN);
	if (!slots)
		return ERROR_NO_MEMORY;
	int rc = add_kept(counter, slots, kept);
	for (size_t i = 0; rc == 0 && i < n_rows; i++) {
		const struct item item = {row_item(batch, &rows[i]), rows[i].qty_milli, rows[i].time_us};
		if ((rows[i].meta & ROW_KIND_MASK) == ROW_ORDER && item.name.len)
			add(counter, slots, &item);
	}
	const size_t n = rc == 0 ? rank(counter, slots) : 0;
	for (size_t i = 0; rc == 0 && i < n; i++) {
		const struct item *const item = &counter->items[i];
		rc = buf_reserve(out, item->name.len + 3 * (size_t)VARINT_MAX_BYTES);
		if (rc < 0)
			return rc;
		char *p = put_slice(out->data + out->len, item->name);
		p = put_signed(p, item->qty_milli);
		p = put_time(p, item->last_us);
		out->len = (size_t)(p - out->data);
	}
	return rc;
}

struct slice item_favourite(struct slice list)
{
	struct reader r = reader_of(list);
	const struct slice name = read_slice(&r);
	const int64_t qty_milli = read_signed(&r);
	return r.bad || qty_milli <= 0 ? (struct slice){NULL, 0} : name;
}
