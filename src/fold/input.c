#include "fold/input.h"

#include "base/decimal.h"
#include "base/limits.h"

#include <stdio.h>

#define LINE_NO_MAX 10000000

static const char *const COLUMN_NAMES[INPUT_COLUMNS] = {
	[INPUT_CUSTOMER] = "cust_id",     [INPUT_KIND] = "kind",         [INPUT_TIME_US] = "odr_tms",
	[INPUT_EVENT_ID] = "event_id",    [INPUT_SOURCE] = "source",     [INPUT_LINE_NO] = "line_no",
	[INPUT_MENU] = "odr_menu",        [INPUT_SKU] = "odr_sku",       [INPUT_QTY_MILLI] = "odr_qty",
	[INPUT_AMOUNT_MINOR] = "odr_amt", [INPUT_ORDER_ID] = "order_id", [INPUT_POINTS_MILLI] = "points",
	[INPUT_LEDGER] = "ledger",        [INPUT_REWARD] = "reward",     [INPUT_DECISION] = "decision",
	[INPUT_STATE] = "state",          [INPUT_ITEMS] = "items",
};

void input_init(struct input *input, enum customer_id_type id_type)
{
	*input = (struct input){.id_type = id_type};
}

void input_release(struct input *input)
{
	buf_release(&input->last_customer);
	buf_release(&input->last_id);
	buf_release(&input->last_source);
	buf_release(&input->tag);
	*input = (struct input){0};
}

/* Bytes of a text that is shown in a message. */
static int shown(struct slice text)
{
	return (int)(text.len < LIMIT_CUSTOMER_ID_BYTES ? text.len : LIMIT_CUSTOMER_ID_BYTES);
}

static int fail(const struct input *input, const char *what, struct error *err)
{
	const struct slice customer = input->fields[INPUT_CUSTOMER].text;
	const struct slice id = input->fields[INPUT_EVENT_ID].text;
	return error_set(err, ERROR_INPUT, "row %llu (cust_id '%.*s', event_id '%.*s'): %s",
			 (unsigned long long)input->rows, shown(customer), customer.data, shown(id), id.data, what);
}

static int fail_column(const struct input *input, enum input_column column, struct error *err)
{
	const struct slice text = input->fields[column].text;
	char what[LIMIT_CUSTOMER_ID_BYTES + 64];
	snprintf(what, sizeof(what), "%s is '%.*s', which cannot be", COLUMN_NAMES[column], shown(text), text.data);
	return fail(input, input->fields[column].is_null ? "a column is NULL that must not be" : what, err);
}

/* ---- values ---- */

/* NULL is 0, where it may be. */
static int number_of(const struct input *input, enum input_column column, bool may_be_null, int64_t *out,
		     struct error *err)
{
	const struct text_field *const field = &input->fields[column];
	if (field->is_null && may_be_null) {
		*out = 0;
		return 0;
	}
	return field->is_null || integer_parse(field->text.data, field->text.len, out) < 0
		       ? fail_column(input, column, err)
		       : 0;
}

static int customer_of(const struct input *input, struct customer_id *id, struct error *err)
{
	*id = (struct customer_id){0};
	if (input->id_type == CUSTOMER_ID_INTEGER)
		return number_of(input, INPUT_CUSTOMER, false, &id->number, err);
	id->text = input->fields[INPUT_CUSTOMER].text;
	return id->text.len == 0 || id->text.len > LIMIT_CUSTOMER_ID_BYTES ? fail_column(input, INPUT_CUSTOMER, err)
									   : 0;
}

static int kind_of(const struct input *input, unsigned *kind, struct error *err)
{
	static const unsigned KINDS[] = {
		[EVENT_ORDER] = ROW_ORDER,
		[EVENT_REFUND] = ROW_REFUND,
		[EVENT_REDEEM] = ROW_REDEEM,
		[EVENT_ADJUST] = ROW_ADJUST,
	};
	enum event_kind of;
	if (!event_kind_parse(input->fields[INPUT_KIND].text, &of))
		return fail_column(input, INPUT_KIND, err);
	*kind = KINDS[of];
	return 0;
}

/* Of what is no order; see struct row_values. */
static int make_tag(struct input *input, struct slice *tag, struct error *err)
{
	static const enum input_column PARTS[] = {INPUT_ORDER_ID, INPUT_LEDGER, INPUT_REWARD};
	const struct slice source = input->fields[INPUT_SOURCE].text;
	const struct slice parts[] = {input->fields[PARTS[0]].text, input->fields[PARTS[1]].text,
				      input->fields[PARTS[2]].text};
	int64_t points = 0;
	int rc = number_of(input, INPUT_POINTS_MILLI, true, &points, err);
	if (rc < 0)
		return rc;
	buf_clear(&input->tag);
	if (source.len == 0 || source.len > LIMIT_NAME_BYTES || memchr(source.data, ' ', source.len))
		return fail_column(input, INPUT_SOURCE, err);
	rc = buf_append(&input->tag, source.data, source.len);
	if (rc == 0)
		rc = buf_printf(&input->tag, " %lld %zu %zu %zu ", (long long)points, parts[0].len, parts[1].len,
				parts[2].len);
	for (unsigned i = 0; rc == 0 && i < 3; i++)
		rc = parts[i].len ? buf_append(&input->tag, parts[i].data, parts[i].len) : 0;
	*tag = (struct slice){input->tag.data, input->tag.len};
	return rc < 0 ? error_no_memory(err, input->tag.len) : 0;
}

static int values_of(struct input *input, unsigned kind, struct row_values *out, struct error *err)
{
	const struct text_field *const fields = input->fields;
	int64_t line = 0;
	int rc = number_of(input, INPUT_LINE_NO, true, &line, err);
	if (rc == 0)
		rc = number_of(input, INPUT_TIME_US, false, &out->time_us, err);
	if (rc == 0)
		rc = number_of(input, INPUT_AMOUNT_MINOR, true, &out->amount_minor, err);
	if (rc == 0)
		rc = number_of(input, INPUT_QTY_MILLI, true, &out->qty_milli, err);
	out->id = fields[INPUT_EVENT_ID].text;
	out->menu = fields[INPUT_MENU].text;
	out->sku = fields[INPUT_SKU].text;
	out->tag = fields[INPUT_SOURCE].text;
	if (rc == 0 && kind != ROW_ORDER)
		rc = make_tag(input, &out->tag, err);
	if (rc < 0)
		return rc;
	if (line < 0 || line > LINE_NO_MAX)
		return fail_column(input, INPUT_LINE_NO, err);
	if (out->time_us / 1000000 < -LIMIT_TIME_MAX_S || out->time_us / 1000000 > LIMIT_TIME_MAX_S)
		return fail_column(input, INPUT_TIME_US, err);
	const bool without_lines = kind == ROW_REFUND && fields[INPUT_QTY_MILLI].is_null;
	out->meta = (uint32_t)line << ROW_META_SHIFT | (without_lines ? ROW_REFUND_AMOUNT : kind) |
		    (slice_is(fields[INPUT_DECISION].text, "declined") ? ROW_DECLINED : 0);
	return row_texts_fit(out) ? 0 : fail(input, "a text is missing, or too long", err);
}

/* ---- order ---- */

static int compare_last(const struct buf *last, struct slice text)
{
	return slice_compare((struct slice){last->data, last->len}, text);
}

static int keep(struct buf *last, struct slice text)
{
	buf_clear(last);
	return text.len ? buf_append(last, text.data, text.len) : 0;
}

static int check_customer_order(struct input *input, const struct customer_id *id, struct error *err)
{
	const struct customer_id last = {.number = input->last_number,
					 .text = {input->last_customer.data, input->last_customer.len}};
	if (input->has_last && customer_compare(&last, id) >= 0)
		return fail(input, "the customer comes again, or out of order", err);
	input->has_last = true;
	input->has_event = false;
	input->last_number = id->number;
	return keep(&input->last_customer, id->text) < 0 ? error_no_memory(err, id->text.len) : 0;
}

static int check_event_order(struct input *input, unsigned kind, const struct row_values *row, struct error *err)
{
	const struct slice source = input->fields[INPUT_SOURCE].text;
	const int64_t line = row->meta >> ROW_META_SHIFT;
	if (input->has_event) {
		int order = (input->last_time_us > row->time_us) - (input->last_time_us < row->time_us);
		if (order == 0)
			order = (input->last_kind > kind) - (input->last_kind < kind);
		if (order == 0)
			order = compare_last(&input->last_id, row->id);
		if (order == 0)
			order = compare_last(&input->last_source, source);
		if (order == 0)
			order = (input->last_line > line) - (input->last_line < line);
		if (order == 0)
			return fail(input, "is there twice", err);
		if (order > 0)
			return fail(input, "is out of order", err);
	}
	input->has_event = true;
	input->last_time_us = row->time_us;
	input->last_kind = kind;
	input->last_line = line;
	return keep(&input->last_id, row->id) < 0 || keep(&input->last_source, source) < 0
		       ? error_no_memory(err, row->id.len + source.len)
		       : 0;
}

/* ---- rows ---- */

static int read_row(struct input *input, struct text_reader *reader, struct error *err)
{
	char *line = NULL;
	size_t len = 0;
	int rc = text_next(reader, &line, &len, &input->has_row, err);
	if (rc < 0 || !input->has_row)
		return rc;
	input->rows = reader->row;
	unsigned n = 0;
	rc = text_split(line, len, input->fields, INPUT_COLUMNS, &n);
	if (rc < 0 || n != INPUT_COLUMNS)
		return error_set(err, ERROR_INPUT, "row %llu: is torn: it has %u of %u columns",
				 (unsigned long long)input->rows, n, (unsigned)INPUT_COLUMNS);
	return 0;
}

/* The bytes of state or items, made in place. */
static int bytes_of(struct input *input, enum input_column column, struct slice *out, struct error *err)
{
	const struct slice text = input->fields[column].text;
	return text_unhex(text, (char *)(uintptr_t)text.data, out) < 0
		       ? fail(input, column == INPUT_STATE ? "state is not hexadecimal" : "items are not hexadecimal",
			      err)
		       : 0;
}

static bool is_state(const struct input *input)
{
	return slice_is(input->fields[INPUT_KIND].text, "state");
}

static int begin_customer(struct input *input, struct row_batch *batch, struct error *err)
{
	struct customer_id id;
	struct slice state = {NULL, 0};
	struct slice items = {NULL, 0};
	int rc = customer_of(input, &id, err);
	if (rc == 0)
		rc = check_customer_order(input, &id, err);
	if (rc == 0 && is_state(input)) {
		rc = bytes_of(input, INPUT_STATE, &state, err);
		if (rc == 0)
			rc = bytes_of(input, INPUT_ITEMS, &items, err);
		if (rc == 0 && !state.len)
			rc = fail(input, "the state is empty", err);
	}
	return rc < 0 ? rc : row_batch_add_customer(batch, &id, state, items, err);
}

static int add_event(struct input *input, struct row_batch *batch, struct error *err)
{
	struct row_values row = {0};
	unsigned kind = 0;
	int rc = kind_of(input, &kind, err);
	if (rc == 0)
		rc = values_of(input, kind, &row, err);
	if (rc == 0)
		rc = check_event_order(input, kind, &row, err);
	return rc < 0 ? rc : row_batch_add(batch, &row, err);
}

/* Whether the row is of the customer whose rows are read. */
static int is_same_customer(const struct input *input, bool *same, struct error *err)
{
	struct customer_id id;
	const int rc = customer_of(input, &id, err);
	if (rc < 0)
		return rc;
	*same = input->id_type == CUSTOMER_ID_INTEGER ? id.number == input->last_number
						      : compare_last(&input->last_customer, id.text) == 0;
	return 0;
}

int input_next(struct input *input, struct text_reader *reader, struct row_batch *batch, bool *found, struct error *err)
{
	row_batch_clear(batch);
	int rc = input->has_row ? 0 : read_row(input, reader, err);
	*found = rc == 0 && input->has_row;
	if (!*found)
		return rc;
	rc = begin_customer(input, batch, err);
	if (rc == 0 && is_state(input))
		rc = read_row(input, reader, err);
	while (rc == 0 && input->has_row) {
		bool same = false;
		rc = is_same_customer(input, &same, err);
		if (rc < 0 || !same)
			break;
		if (is_state(input))
			rc = fail(input, "is a state that does not stand before the customer's events", err);
		else
			rc = add_event(input, batch, err);
		if (rc == 0)
			rc = read_row(input, reader, err);
	}
	return rc;
}
