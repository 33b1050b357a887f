#include "batch/id_list.h"

#include <stdlib.h>

int id_list_add(struct id_list *list, const struct customer_id *id, struct error *err)
{
	if (list->n == list->cap) {
		const size_t cap = list->cap ? list->cap * 2 : 64;
		struct customer_id *const ids = realloc(list->ids, cap * sizeof(*ids));
		if (!ids)
			return error_no_memory(err, cap * sizeof(*ids));
		list->ids = ids;
		list->cap = cap;
	}
	if (id->text.len && buf_append(&list->texts, id->text.data, id->text.len) < 0)
		return error_no_memory(err, id->text.len);
	list->ids[list->n++] = *id;
	return 0;
}

void id_list_settle(struct id_list *list)
{
	size_t at = 0;
	for (size_t i = 0; list->id_type == CUSTOMER_ID_TEXT && i < list->n; i++) {
		list->ids[i].text.data = list->texts.data + at;
		at += list->ids[i].text.len;
	}
}

static int compare_ids(const void *a, const void *b)
{
	return customer_compare(a, b);
}

bool id_list_find(const struct id_list *list, const struct customer_id *id)
{
	return list->n && bsearch(id, list->ids, list->n, sizeof(*list->ids), compare_ids);
}

int id_list_union(const struct id_list *a, const struct id_list *b, struct id_list *out, struct error *err)
{
	int rc = 0;
	out->id_type = a->id_type;
	for (size_t i = 0, j = 0; rc == 0 && (i < a->n || j < b->n);) {
		const int order = i == a->n ? 1 : j == b->n ? -1 : customer_compare(&a->ids[i], &b->ids[j]);
		rc = id_list_add(out, order <= 0 ? &a->ids[i] : &b->ids[j], err);
		i += order <= 0;
		j += order >= 0;
	}
	id_list_settle(out);
	return rc;
}

void id_list_clear(struct id_list *list)
{
	list->n = 0;
	buf_clear(&list->texts);
}

void id_list_release(struct id_list *list)
{
	free(list->ids);
	buf_release(&list->texts);
	*list = (struct id_list){.id_type = list->id_type};
}

/* ---- as a table ---- */

static int start_scan(void *context, void **state, struct error *err)
{
	(void)context;
	size_t *const next = calloc(1, sizeof(*next));
	if (!next)
		return error_no_memory(err, sizeof(*next));
	*state = next;
	return 0;
}

static int fill_scan(void *context, void *state, struct engine_batch *batch, uint32_t *rows, struct error *err)
{
	(void)err;
	const struct id_list *const list = context;
	size_t *const next = state;
	uint32_t row = 0;
	for (; row < ENGINE_BATCH_ROWS && *next < list->n; row++, ++*next) {
		const struct customer_id *const id = &list->ids[*next];
		if (list->id_type == CUSTOMER_ID_INTEGER)
			((int64_t *)engine_batch_values(batch, 0))[row] = id->number;
		else
			engine_batch_text(batch, 0, row, id->text);
	}
	*rows = row;
	return 0;
}

static void stop_scan(void *context, void *state)
{
	(void)context;
	free(state);
}

int id_list_register(const struct id_list *list, const char *name, struct engine *engine, struct error *err)
{
	const struct engine_column column = {"cust_id",
					     list->id_type == CUSTOMER_ID_INTEGER ? ENGINE_BIGINT : ENGINE_VARCHAR};
	return engine_register_source(engine,
				      &(struct engine_source){.name = name,
							      .columns = &column,
							      .n_columns = 1,
							      .start = start_scan,
							      .fill = fill_scan,
							      .stop = stop_scan,
							      .context = (void *)(uintptr_t)list},
				      err);
}

int id_list_check_scan(const struct engine_scan *scan, enum customer_id_type id_type, struct error *err)
{
	const bool is_text = id_type == CUSTOMER_ID_TEXT;
	if (engine_scan_type(scan, 0) == (is_text ? ENGINE_VARCHAR : ENGINE_BIGINT))
		return 0;
	return error_set(
		err, ERROR_CONFIG,
		"customer_id is %s in punchcard.yaml, but the tables' customers are not: a deployment keeps the type "
		"that it began with, so put `customer_id: %s` back",
		is_text ? "text" : "integer", is_text ? "integer" : "text");
}
