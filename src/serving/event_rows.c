#include "serving/event_rows.h"

static int64_t int64_at(struct engine_scan *scan, unsigned column, uint32_t row)
{
	const int64_t *const values = engine_scan_values(scan, column);
	return engine_scan_is_null(scan, column, row) ? 0 : values[row];
}

static struct slice text_at(struct engine_scan *scan, unsigned column, uint32_t row)
{
	return engine_scan_is_null(scan, column, row) ? (struct slice){0} : engine_scan_text(scan, column, row);
}

static int64_t with_sign(enum event_kind kind, int64_t value)
{
	return kind == EVENT_REFUND ? -value : value;
}

static bool has_lines(struct engine_scan *scan, uint32_t row)
{
	return !engine_scan_is_null(scan, TRANSACTION_QTY, row);
}

static struct customer_id customer_at(struct engine_scan *scan, uint32_t row, enum customer_id_type id_type)
{
	struct customer_id id = {.guest = engine_scan_is_null(scan, TRANSACTION_CUST_ID, row)};
	if (id_type == CUSTOMER_ID_TEXT)
		id.text = text_at(scan, TRANSACTION_CUST_ID, row);
	else
		id.number = int64_at(scan, TRANSACTION_CUST_ID, row);
	return id;
}

int32_t event_rows_line_no(struct engine_scan *scan, uint32_t row)
{
	return ((const int32_t *)engine_scan_values(scan, TRANSACTION_LINE_NO))[row];
}

int event_rows_event(struct engine_scan *scan, uint32_t row, enum customer_id_type id_type, struct event *event,
		     struct slice *source, struct error *err)
{
	const struct slice kind = text_at(scan, TRANSACTION_KIND, row);
	*source = text_at(scan, TRANSACTION_SOURCE, row);
	*event = (struct event){
		.id = text_at(scan, TRANSACTION_EVENT_ID, row),
		.customer = customer_at(scan, row, id_type),
		.time_us = int64_at(scan, TRANSACTION_TMS, row),
		.store = text_at(scan, TRANSACTION_STORE, row),
		.order_id = text_at(scan, TRANSACTION_ORDER_ID, row),
		.points_milli = int64_at(scan, TRANSACTION_POINTS, row),
		.ledger = text_at(scan, TRANSACTION_LEDGER, row),
		.reward = text_at(scan, TRANSACTION_REWARD, row),
		.reason = text_at(scan, TRANSACTION_REASON, row),
		.declined = slice_is(text_at(scan, TRANSACTION_DECISION, row), "declined"),
	};
	if (!event_kind_parse(kind, &event->kind))
		return error_set(err, ERROR_CORRUPT, "transactions_cln has an event of kind '%.*s', which there is not",
				 (int)kind.len, kind.data);
	if (event->kind == EVENT_REFUND && !has_lines(scan, row))
		event->amount_minor = with_sign(event->kind, int64_at(scan, TRANSACTION_AMT, row));
	return 0;
}

bool event_rows_line(struct engine_scan *scan, uint32_t row, enum event_kind kind, struct order_line *line)
{
	if (!has_lines(scan, row))
		return false;
	*line = (struct order_line){
		.menu = text_at(scan, TRANSACTION_MENU, row),
		.sku = text_at(scan, TRANSACTION_SKU, row),
		.qty_milli = with_sign(kind, int64_at(scan, TRANSACTION_QTY, row)),
		.price_minor = int64_at(scan, TRANSACTION_PRC, row),
		.amount_minor = with_sign(kind, int64_at(scan, TRANSACTION_AMT, row)),
	};
	return true;
}
