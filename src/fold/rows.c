#include "fold/rows.h"

#include "base/limits.h"

#include <assert.h>
#include <stdlib.h>

#define ROWS_FIRST      32768u
#define CUSTOMERS_FIRST 1024u

bool row_texts_fit(const struct row_values *row)
{
	return row->id.len > 0 && row->id.len <= LIMIT_EVENT_ID_BYTES && row->tag.len > 0 &&
	       row->tag.len <= ROW_TEXT_MAX && row->menu.len <= ROW_TEXT_MAX && row->sku.len <= ROW_TEXT_MAX;
}

void row_batch_clear(struct row_batch *batch)
{
	batch->n_customers = 0;
	batch->n_rows = 0;
	batch->n_first_rows = 0;
	buf_clear(&batch->texts);
}

void row_batch_release(struct row_batch *batch)
{
	free(batch->customers);
	free(batch->rows);
	buf_release(&batch->texts);
	*batch = (struct row_batch){0};
}

static void append(struct buf *to, struct slice text)
{
	if (text.len)
		memcpy(to->data + to->len, text.data, text.len);
	to->len += text.len;
}

int row_batch_add_customer(struct row_batch *batch, const struct customer_id *id, struct slice state,
			   struct slice items, struct error *err)
{
	if (batch->n_customers == batch->customers_cap) {
		const size_t cap = batch->customers_cap ? batch->customers_cap * 2 : CUSTOMERS_FIRST;
		struct row_customer *const customers = realloc(batch->customers, cap * sizeof(*customers));
		if (!customers)
			return error_no_memory(err, cap * sizeof(*customers));
		batch->customers = customers;
		batch->customers_cap = cap;
	}
	/* One more, so that there is an address even of nothing. */
	const size_t len = id->text.len + state.len + items.len;
	if (buf_reserve(&batch->texts, len + 1) < 0)
		return error_no_memory(err, batch->texts.len * 2 + len);
	batch->customers[batch->n_customers++] = (struct row_customer){
		.number = id->number,
		.text_at = batch->texts.len,
		.id_len = (uint32_t)id->text.len,
		.state_len = state.len,
		.items_len = items.len,
		.first_row = batch->n_rows,
	};
	append(&batch->texts, id->text);
	append(&batch->texts, state);
	append(&batch->texts, items);
	return 0;
}

static struct row *reserve_row(struct row_batch *batch)
{
	if (batch->n_rows == batch->rows_cap) {
		const size_t cap = batch->rows_cap ? batch->rows_cap * 2 : ROWS_FIRST;
		struct row *const rows = realloc(batch->rows, cap * sizeof(*rows));
		if (!rows)
			return NULL;
		batch->rows = rows;
		batch->rows_cap = cap;
	}
	return &batch->rows[batch->n_rows];
}

int row_batch_add(struct row_batch *batch, const struct row_values *values, struct error *err)
{
	assert(batch->n_customers && row_texts_fit(values));
	struct row *const row = reserve_row(batch);
	if (!row || buf_reserve(&batch->texts, row_texts_len(values)) < 0)
		return error_no_memory(err, batch->rows_cap * 2 * sizeof(*row));
	*row = row_of(values, batch->texts.len);
	append(&batch->texts, values->id);
	append(&batch->texts, values->tag);
	append(&batch->texts, values->menu);
	append(&batch->texts, values->sku);
	batch->n_rows++;
	batch->n_first_rows += row_line(row) == 1;
	batch->customers[batch->n_customers - 1].n_rows++;
	return 0;
}
