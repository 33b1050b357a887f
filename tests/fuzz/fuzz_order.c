/*
 * Order files from any bytes, in the classic form and by a mapping with every column: what is taken is within all limits, so
 * that whatever comes behind may rely on them. The first byte says which.
 */
#include "base/csv.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "speed/order_format.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LATEST_US (INT64_C(1800000000) * 1000000)

static void require(bool condition)
{
	if (!condition)
		abort();
}

static struct config_order_mapping *mapping(void)
{
	static char *ids[] = {"outlet", "receipt"};
	static char *guests[] = {"", "0"};
	static struct config_order_mapping m = {
		.name = "pos",
		.delimiter = ",",
		.event_id = {ids, 2},
		.line = "line",
		.customer = "member",
		.guest = {guests, 2},
		.date = "day",
		.date_format = "%d.%m.%Y",
		.time = "hour",
		.time_format = "%H:%M:%S",
		.store = "outlet",
		.sku = "sku",
		.menu = "item",
		.quantity = "qty",
		.price = "price",
		.decimal_mark = ".",
	};
	return &m;
}

static void check_text(struct slice text, size_t most)
{
	require(text.len <= most && utf8_valid(text.data, text.len) && (!text.len || !memchr(text.data, 0, text.len)));
}

static void check_row(const struct order_row *row, bool classic, bool text_ids)
{
	require(row->customer.guest + (row->customer.text.len > 0) + (row->customer.number != 0) == 1);
	require(row->customer.number >= 0 && (text_ids ? row->customer.number == 0 : row->customer.text.len == 0));
	check_text(row->customer.text, LIMIT_CUSTOMER_ID_BYTES);
	check_text(row->id, LIMIT_EVENT_ID_BYTES);
	require(classic == (row->id.len == 0));
	check_text(row->line_id, LIMIT_NAME_BYTES);
	check_text(row->store, LIMIT_NAME_BYTES);
	check_text(row->line.menu, LIMIT_NAME_BYTES);
	check_text(row->line.sku, LIMIT_NAME_BYTES);
	require(row->time_us >= LIMIT_TIME_MIN_S * 1000000 && row->time_us <= LATEST_US);
	require(row->line.qty_milli > 0 && row->line.qty_milli <= LIMIT_QUANTITY_MILLI);
	require(row->line.price_minor >= 0 && row->line.price_minor <= LIMIT_AMOUNT_MINOR);
	require(row->line.amount_minor >= 0 && row->line.amount_minor <= LIMIT_AMOUNT_MINOR);
}

static void read_file(const struct deployment *deployment, bool classic, const char *text, size_t len)
{
	struct order_format *format = NULL;
	struct csv csv;
	struct error err = {0};
	require(order_format_open(deployment, classic ? "classic" : "pos", &format, &err) == 0);
	csv_init(&csv, order_format_delimiter(format), order_format_is_csv(format));
	bool has_header = classic;
	for (size_t at = 0, used; at < len; at += used) {
		const enum csv_result result = csv_next(&csv, text + at, len - at, true, &used);
		if (result == CSV_END)
			break;
		if (result != CSV_RECORD || memchr(csv.raw.data, 0, csv.raw.len) ||
		    !utf8_valid(csv.raw.data, csv.raw.len))
			continue;
		if (!has_header) {
			if (order_format_header(format, csv.fields, csv.n_fields, "f", &err) < 0) {
				require(err.code == ERROR_INPUT && strncmp(err.message, "f: ", 3) == 0);
				break;
			}
			has_header = true;
			continue;
		}
		struct order_row row;
		const int reason = order_format_row(format, csv.fields, csv.n_fields, LATEST_US, &row);
		if (reason == 0)
			check_row(&row, classic, deployment->config->customer_id == CUSTOMER_ID_TEXT);
		else
			require(quarantine_reason_name((unsigned)reason) != NULL);
	}
	csv_release(&csv);
	order_format_close(format);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct programme programme;
	if (!programme.timezone)
		require(tz_load("America/New_York", &programme.timezone, NULL) == 0);
	if (size == 0)
		return 0;
	struct config config = {.path = "p.yaml",
				.customer_id = data[0] & 1 ? CUSTOMER_ID_TEXT : CUSTOMER_ID_INTEGER,
				.order_mappings = mapping(),
				.n_order_mappings = 1};
	const struct deployment deployment = {.config = &config, .programme = &programme};
	const char *const text = (const char *)data + 1;
	read_file(&deployment, data[0] & 2, text, size - 1);
	if (data[0] & 2)
		return 0;
	/* With a good header before it. */
	struct buf whole = {0};
	require(buf_append_text(&whole, "outlet,receipt,line,member,day,hour,sku,item,qty,price\n") == 0);
	require(buf_append(&whole, text, size - 1) == 0);
	read_file(&deployment, false, whole.data, whole.len);
	buf_release(&whole);
	return 0;
}
