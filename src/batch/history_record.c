#include "batch/history_record.h"

#include "base/bytes.h"

#include <stdlib.h>

#define TEXTS 4u

size_t history_record_most(const struct row_values *row)
{
	return sizeof(uint64_t) + (3 + TEXTS) * (size_t)VARINT_MAX_BYTES + row->id.len + row->tag.len + row->menu.len +
	       row->sku.len;
}

char *history_record_put(char *p, const struct row_values *row)
{
	const struct slice texts[TEXTS] = {row->id, row->tag, row->menu, row->sku};
	p = put_u64(p, (uint64_t)row->time_us);
	p = put_varint(p, row->meta);
	p = put_signed(p, row->amount_minor);
	p = put_signed(p, row->qty_milli);
	for (size_t i = 0; i < TEXTS; i++)
		p = put_varint(p, texts[i].len);
	for (size_t i = 0; i < TEXTS; i++)
		if (texts[i].len)
			p = mempcpy(p, texts[i].data, texts[i].len);
	return p;
}

int history_record_add(struct row_batch *batch, struct slice record, struct error *err)
{
	if (buf_append(&batch->texts, record.data, record.len) < 0)
		return error_no_memory(err, batch->texts.len * 2);
	batch->n_rows++;
	batch->customers[batch->n_customers - 1].n_rows++;
	return 0;
}

/* ---- records become rows ---- */

static bool read_row(const struct row_batch *batch, struct reader *r, struct row *row)
{
	struct row_values values = {.time_us = (int64_t)read_u64(r)};
	struct slice *const texts[TEXTS] = {&values.id, &values.tag, &values.menu, &values.sku};
	values.meta = (uint32_t)read_varint(r);
	values.amount_minor = read_signed(r);
	values.qty_milli = read_signed(r);
	for (size_t i = 0; i < TEXTS; i++)
		texts[i]->len = read_varint(r);
	*row = row_of(&values, (size_t)((const char *)r->at - batch->texts.data));
	const bool fit = row_texts_fit(&values) && reader_has(r, row_texts_len(&values));
	if (fit)
		r->at += row_texts_len(&values);
	return fit && !r->bad;
}

static int reserve_rows(struct row_batch *batch, struct error *err)
{
	if (batch->rows_cap >= batch->n_rows)
		return 0;
	/* Some more: batches are not all equally large. */
	const size_t cap = batch->n_rows + batch->n_rows / 8;
	struct row *const rows = realloc(batch->rows, cap * sizeof(*rows));
	if (!rows)
		return error_no_memory(err, cap * sizeof(*rows));
	batch->rows = rows;
	batch->rows_cap = cap;
	return 0;
}

/* Between the items of customer i and what the next one begins with. */
static struct slice records_of(const struct row_batch *batch, size_t i)
{
	const struct row_customer *const customer = &batch->customers[i];
	const size_t at = customer->text_at + customer->id_len + customer->state_len + customer->items_len;
	const size_t end = i + 1 < batch->n_customers ? customer[1].text_at : batch->texts.len;
	return (struct slice){batch->texts.data + at, end - at};
}

int history_record_decode(struct row_batch *batch, struct error *err)
{
	const int rc = reserve_rows(batch, err);
	if (rc < 0)
		return rc;
	struct row *row = batch->rows;
	for (size_t i = 0; i < batch->n_customers; i++) {
		struct reader r = reader_of(records_of(batch, i));
		bool right = true;
		for (size_t n = batch->customers[i].n_rows; right && n; n--, row++) {
			right = read_row(batch, &r, row);
			batch->n_first_rows += row_line(row) == 1;
		}
		if (!right || r.at != r.end)
			return error_set(err, ERROR_CORRUPT,
					 "a temporary file of rows was changed while it was in use");
	}
	return 0;
}
