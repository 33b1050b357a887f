#include "speed/pending.h"

#include "base/limits.h"

#include <stdint.h>
#include <stdlib.h>

/* What an order may keep in memory: 64 lines of the greatest length, or the most lines of any real length. */
#define PENDING_BYTES_MAX (64u * LIMIT_LINE_BYTES)

bool pending_is(const struct pending *pending, struct slice id)
{
	return pending->id_len && slice_equal((struct slice){pending->texts.data, pending->id_len}, id);
}

bool pending_any(const struct pending *pending)
{
	return pending->id_len != 0;
}

static int keep(struct pending *pending, struct slice text, size_t *at, size_t *len)
{
	*at = pending->texts.len;
	*len = text.len;
	return buf_append(&pending->texts, text.data, text.len);
}

/* The buffer moves while it grows, so a slice holds its offset until the order is whole. */
static int keep_slice(struct pending *pending, struct slice text, struct slice *out)
{
	size_t at;
	const int rc = keep(pending, text, &at, &out->len);
	out->data = (const char *)(uintptr_t)at; // NOLINT(performance-no-int-to-ptr): pending_event makes it a pointer
	return rc;
}

static void resolve(const struct pending *pending, struct slice *s)
{
	s->data = pending->texts.data + (uintptr_t)s->data;
}

static int reserve(struct pending *pending)
{
	if (pending->n_lines < pending->cap)
		return 0;
	const uint32_t cap = pending->cap ? pending->cap * 2 : 16;
	struct pending_line *const lines = realloc(pending->lines, cap * sizeof(*lines));
	if (lines)
		pending->lines = lines;
	struct order_line *const order_lines = realloc(pending->order_lines, cap * sizeof(*order_lines));
	if (order_lines)
		pending->order_lines = order_lines;
	if (!lines || !order_lines)
		return ERROR_NO_MEMORY;
	pending->cap = cap;
	return 0;
}

static int append(struct pending *pending, const struct order_row *row, struct slice raw, uint64_t line)
{
	if (reserve(pending) < 0)
		return ERROR_NO_MEMORY;
	struct pending_line *const l = &pending->lines[pending->n_lines];
	struct order_line *const o = &pending->order_lines[pending->n_lines];
	*o = row->line;
	l->line = line;
	if (keep(pending, raw, &l->raw_at, &l->raw_len) < 0 ||
	    keep(pending, row->line_id, &l->line_id_at, &l->line_id_len) < 0 ||
	    keep_slice(pending, row->line.menu, &o->menu) < 0 || keep_slice(pending, row->line.sku, &o->sku) < 0)
		return ERROR_NO_MEMORY;
	pending->n_lines++;
	return 0;
}

int pending_start(struct pending *pending, const struct order_row *row, struct slice raw, uint64_t line)
{
	size_t at;
	pending_clear(pending);
	pending->customer = row->customer;
	pending->time_us = row->time_us;
	size_t id_len;
	if (keep(pending, row->id, &at, &id_len) < 0 ||
	    keep(pending, row->customer.text, &pending->customer_at, &pending->customer_len) < 0 ||
	    keep(pending, row->store, &pending->store_at, &pending->store_len) < 0 ||
	    append(pending, row, raw, line) < 0)
		return ERROR_NO_MEMORY;
	pending->id_len = id_len;
	return 0;
}

int pending_spoil(struct pending *pending, struct slice id)
{
	if (pending_is(pending, id)) {
		pending->texts.len = pending->id_len;
	} else {
		pending_clear(pending);
		if (buf_append(&pending->texts, id.data, id.len) < 0)
			return ERROR_NO_MEMORY;
		pending->id_len = id.len;
	}
	pending->n_lines = 0;
	pending->spoiled = true;
	return 0;
}

static struct slice text_at(const struct pending *pending, size_t at, size_t len)
{
	return (struct slice){pending->texts.data + at, len};
}

static bool same_order(const struct pending *pending, const struct order_row *row)
{
	return row->time_us == pending->time_us && row->customer.guest == pending->customer.guest &&
	       row->customer.number == pending->customer.number &&
	       slice_equal(row->customer.text, text_at(pending, pending->customer_at, pending->customer_len)) &&
	       slice_equal(row->store, text_at(pending, pending->store_at, pending->store_len));
}

int pending_add(struct pending *pending, const struct order_row *row, struct slice raw, uint64_t line)
{
	if (!same_order(pending, row))
		return PENDING_REFUSED;
	for (uint32_t i = 0; i < pending->n_lines && row->line_id.len; i++) {
		const struct pending_line *const l = &pending->lines[i];
		if (!slice_equal(row->line_id, text_at(pending, l->line_id_at, l->line_id_len)))
			continue;
		return slice_equal(raw, text_at(pending, l->raw_at, l->raw_len)) ? PENDING_DUPLICATE : PENDING_REFUSED;
	}
	if (pending->n_lines == LIMIT_ORDER_LINES || pending->texts.len > PENDING_BYTES_MAX)
		return PENDING_REFUSED;
	return append(pending, row, raw, line);
}

void pending_event(struct pending *pending, struct event *event)
{
	for (uint32_t i = 0; i < pending->n_lines; i++) {
		resolve(pending, &pending->order_lines[i].menu);
		resolve(pending, &pending->order_lines[i].sku);
	}
	*event = (struct event){
		.kind = EVENT_ORDER,
		.id = text_at(pending, 0, pending->id_len),
		.customer = pending->customer,
		.time_us = pending->time_us,
		.store = text_at(pending, pending->store_at, pending->store_len),
		.lines = pending->order_lines,
		.n_lines = pending->n_lines,
	};
	event->customer.text = text_at(pending, pending->customer_at, pending->customer_len);
}

struct slice pending_raw(const struct pending *pending, uint32_t i)
{
	return text_at(pending, pending->lines[i].raw_at, pending->lines[i].raw_len);
}

void pending_clear(struct pending *pending)
{
	buf_clear(&pending->texts);
	pending->id_len = 0;
	pending->n_lines = 0;
	pending->spoiled = false;
}

void pending_release(struct pending *pending)
{
	buf_release(&pending->texts);
	free(pending->lines);
	free(pending->order_lines);
	*pending = (struct pending){0};
}
