#include "serving/card_items.h"

#include "base/limits.h"
#include "base/tz.h"
#include "batch/committed.h"
#include "serving/catalog.h"
#include "serving/lookup_internal.h"
#include "serving/query.h"
#include "store/cluster_view.h"

#include <inttypes.h>
#include <stdlib.h>

enum column {
	COLUMN_SOURCE,
	COLUMN_EVENT_ID,
	COLUMN_MENU,
	COLUMN_SKU,
	COLUMN_QTY,
	COLUMN_AMOUNT,
};

/* Texts stand in `texts` of the items, which moves as it grows. */
struct line {
	size_t order;
	size_t menu_at;
	size_t menu_len;
	size_t sku_at;
	size_t sku_len;
	int64_t qty_milli;
	int64_t amount_minor;
};

struct card_items {
	const struct lookup *lookup;
	/* Of one machine, from the first card with orders on. */
	struct engine *engine;
	struct catalog *catalog;
	/* Of the card that was read last. */
	struct buf texts;
	struct line *read;
	size_t n_read;
	size_t cap;
	struct card_line *lines; /* by order */
	size_t lines_cap;
	size_t first[CARD_ORDERS_MOST + 1]; /* of each order's lines */
};

int card_items_open(const struct lookup *lookup, struct card_items **out, struct error *err)
{
	struct card_items *const items = calloc(1, sizeof(*items));
	if (!items)
		return error_no_memory(err, sizeof(*items));
	items->lookup = lookup;
	*out = items;
	return 0;
}

static void close_tables(struct card_items *items)
{
	engine_close(items->engine);
	catalog_detach(items->catalog);
	items->engine = NULL;
	items->catalog = NULL;
}

void card_items_close(struct card_items *items)
{
	if (!items)
		return;
	close_tables(items);
	buf_release(&items->texts);
	free(items->read);
	free(items->lines);
	free(items);
}

/* ---- lines ---- */

/* An order, or orders->n: another event, such as one of that id from another source, or (unless time_us is NULL) at another time. */
static size_t find_order(const struct card_orders *orders, struct slice source, struct slice id, const int64_t *time_us)
{
	const uint64_t source_hash = fact_id_hash(source);
	size_t i = 0;
	for (; i < orders->n; i++) {
		const struct fact *const order = orders->first[i];
		if (order->source_hash == source_hash && slice_equal(order->id, id) &&
		    (!time_us || *time_us == order->time_us))
			break;
	}
	return i;
}

static int keep_text(struct card_items *items, struct slice text, size_t *at, size_t *len)
{
	*at = items->texts.len;
	*len = text.len;
	return text.len ? buf_append(&items->texts, text.data, text.len) : 0;
}

static int add_line(struct card_items *items, size_t order, const struct card_line *of, struct error *err)
{
	struct line line = {.order = order, .qty_milli = of->qty_milli, .amount_minor = of->amount_minor};
	if (items->n_read == items->cap) {
		const size_t cap = items->cap ? items->cap * 2 : 64;
		struct line *const read = realloc(items->read, cap * sizeof(*read));
		if (!read)
			return error_no_memory(err, cap * sizeof(*read));
		items->read = read;
		items->cap = cap;
	}
	if (keep_text(items, of->menu, &line.menu_at, &line.menu_len) < 0 ||
	    keep_text(items, of->sku, &line.sku_at, &line.sku_len) < 0)
		return error_no_memory(err, items->texts.len);
	items->read[items->n_read++] = line;
	return 0;
}

static void forget_lines(struct card_items *items)
{
	items->n_read = 0;
	buf_clear(&items->texts);
}

/* ---- out of the tables of one machine ---- */

static int append_days(struct buf *sql, const struct card_orders *orders)
{
	char first[11];
	char last[11];
	/* Newest first. */
	civil_format(orders->first[orders->n - 1]->day - COMMITTED_ZONE_DAYS, first);
	civil_format(orders->first[0]->day + COMMITTED_ZONE_DAYS, last);
	return buf_printf(sql, " AND data_dt BETWEEN DATE '%s' AND DATE '%s' AND event_id IN (", first, last);
}

static int append_id(struct buf *sql, struct slice id)
{
	_cleanup_free_ char *text = text_printf("%.*s", (int)id.len, id.data);
	return text ? engine_quote(sql, text) : ERROR_NO_MEMORY;
}

static int make_sql(const struct customer_card *card, const struct card_orders *orders, struct buf *sql)
{
	int rc = buf_append_text(sql, "SELECT source, event_id, odr_menu, odr_sku, odr_qty, odr_amt FROM "
				      "transactions_cln WHERE kind = 'order' AND cust_id = ");
	if (rc == 0)
		rc = card->id.text.len ? append_id(sql, card->id.text) : buf_printf(sql, "%" PRId64, card->id.number);
	if (rc == 0)
		rc = append_days(sql, orders);
	for (size_t i = 0; rc == 0 && i < orders->n; i++) {
		if (i)
			rc = buf_append_text(sql, ", ");
		if (rc == 0)
			rc = append_id(sql, orders->first[i]->id);
	}
	if (rc == 0)
		rc = buf_append_text(sql, ") ORDER BY source, event_id, line_no");
	return rc < 0 || !buf_text(sql) ? ERROR_NO_MEMORY : 0;
}

static struct slice text_at(struct engine_scan *scan, unsigned column, uint32_t row)
{
	return engine_scan_is_null(scan, column, row) ? (struct slice){0} : engine_scan_text(scan, column, row);
}

static int64_t number_at(struct engine_scan *scan, unsigned column, uint32_t row)
{
	return engine_scan_is_null(scan, column, row) ? 0 : ((const int64_t *)engine_scan_values(scan, column))[row];
}

static int add_row(struct card_items *items, const struct card_orders *orders, struct engine_scan *scan, uint32_t row,
		   struct error *err)
{
	const size_t order = find_order(orders, engine_scan_text(scan, COLUMN_SOURCE, row),
					engine_scan_text(scan, COLUMN_EVENT_ID, row), NULL);
	const struct card_line line = {
		.menu = text_at(scan, COLUMN_MENU, row),
		.sku = text_at(scan, COLUMN_SKU, row),
		.qty_milli = number_at(scan, COLUMN_QTY, row),
		.amount_minor = number_at(scan, COLUMN_AMOUNT, row),
	};
	return order == orders->n ? 0 : add_line(items, order, &line, err);
}

static int read_rows(struct card_items *items, const struct card_orders *orders, const char *sql, struct error *err)
{
	struct engine_scan *scan = NULL;
	uint32_t rows = 0;
	int rc = engine_scan_open(items->engine, sql, &scan, err);
	while (rc == 0 && (rc = engine_scan_next(scan, &rows, err)) == 0 && rows)
		for (uint32_t row = 0; rc == 0 && row < rows; row++)
			rc = add_row(items, orders, scan, row, err);
	engine_scan_close(scan);
	return rc;
}

static int open_tables(struct card_items *items, struct error *err)
{
	const struct deployment *const deployment = items->lookup->deployment;
	const struct engine_options options = {.memory_mib = deployment->config->engine_memory_mib,
					       .threads = deployment->config->engine_threads};
	const int rc = engine_open(&options, &items->engine, err);
	return rc < 0 ? rc : catalog_attach(items->engine, deployment, &items->catalog, err);
}

static int read_once(struct card_items *items, const struct card_orders *orders, const char *sql, struct error *err)
{
	forget_lines(items);
	int rc = items->engine ? 0 : open_tables(items, err);
	if (rc == 0)
		rc = read_rows(items, orders, sql, err);
	if (rc == ERROR_CORRUPT && items->engine && err) {
		catalog_name_damage(items->engine, items->lookup->deployment, err);
		rc = err->code;
	}
	if (rc < 0)
		close_tables(items);
	return rc;
}

static int read_tables(struct card_items *items, const struct customer_card *card, const struct card_orders *orders,
		       struct error *err)
{
	_cleanup_buf_ struct buf sql = {0};
	if (make_sql(card, orders, &sql) < 0)
		return error_no_memory(err, sql.len);
	struct error local = {0};
	int rc = ERROR_NOT_FOUND;
	/* A table that is replaced meanwhile is read again. */
	for (unsigned attempt = 0; rc == ERROR_NOT_FOUND && attempt < QUERY_ATTEMPTS; attempt++)
		rc = read_once(items, orders, sql.data, &local);
	return rc < 0 ? error_set(err, rc, "%s", local.message) : 0;
}

/* ---- out of a cluster's history ---- */

struct reading {
	struct card_items *items;
	const struct card_orders *orders;
};

static int take_event(void *context, const struct cluster_event *taken, struct error *err)
{
	const struct reading *const reading = context;
	const struct event *const event = &taken->event;
	/* Edges know nothing of each other's ids: an event is told by its time, too. */
	const size_t order = find_order(reading->orders, taken->source, event->id, &event->time_us);
	int rc = 0;
	if (event->kind != EVENT_ORDER || order == reading->orders->n)
		return 0;
	for (uint32_t i = 0; rc == 0 && i < event->n_lines; i++) {
		const struct card_line line = {.menu = event->lines[i].menu,
					       .sku = event->lines[i].sku,
					       .qty_milli = event->lines[i].qty_milli,
					       .amount_minor = event->lines[i].amount_minor};
		rc = add_line(reading->items, order, &line, err);
	}
	return rc;
}

static int read_history(struct card_items *items, const struct customer_card *card, const struct card_orders *orders,
			struct error *err)
{
	struct reading reading = {.items = items, .orders = orders};
	/* Newest first. */
	return cluster_view_history_between(lookup_cluster_view(items->lookup->cluster), &card->id,
					    orders->first[orders->n - 1]->time_us, orders->first[0]->time_us + 1,
					    take_event, &reading, err);
}

/* ---- by order ---- */

static struct slice text_of(const struct card_items *items, size_t at, size_t len)
{
	return len ? (struct slice){items->texts.data + at, len} : (struct slice){0};
}

/* They were read order by order, in another order than the card's. */
static int sort_lines(struct card_items *items, const struct card_orders *orders, struct error *err)
{
	if (items->n_read > items->lines_cap) {
		struct card_line *const lines = realloc(items->lines, items->cap * sizeof(*lines));
		if (!lines)
			return error_no_memory(err, items->cap * sizeof(*lines));
		items->lines = lines;
		items->lines_cap = items->cap;
	}
	size_t n = 0;
	for (size_t order = 0; order < orders->n; order++) {
		items->first[order] = n;
		for (size_t i = 0; i < items->n_read; i++) {
			const struct line *const line = &items->read[i];
			if (line->order != order)
				continue;
			items->lines[n++] = (struct card_line){
				.menu = text_of(items, line->menu_at, line->menu_len),
				.sku = text_of(items, line->sku_at, line->sku_len),
				.qty_milli = line->qty_milli,
				.amount_minor = line->amount_minor,
			};
		}
	}
	for (size_t order = orders->n; order <= CARD_ORDERS_MOST; order++)
		items->first[order] = n;
	return 0;
}

int card_items_read(struct card_items *items, const struct customer_card *card, const struct card_orders *orders,
		    struct error *err)
{
	int rc = 0;
	forget_lines(items);
	if (orders->n)
		rc = items->lookup->cluster ? read_history(items, card, orders, err)
					    : read_tables(items, card, orders, err);
	return rc < 0 ? rc : sort_lines(items, orders, err);
}

size_t card_items_of(const struct card_items *items, size_t order, const struct card_line **lines)
{
	const size_t n = items->first[order + 1] - items->first[order];
	*lines = n ? items->lines + items->first[order] : NULL;
	return n;
}
