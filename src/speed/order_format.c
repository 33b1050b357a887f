#include "speed/order_format.h"

#include "base/decimal.h"
#include "base/limits.h"
#include "base/timefmt.h"
#include "speed/event_json.h"
#include "speed/order_format_internal.h"

#include <assert.h>
#include <stdlib.h>

#define MAX_ID_COLUMNS 16u
#define MICROS         INT64_C(1000000)
#define ABSENT         UINT32_MAX

enum column {
	COLUMN_CUSTOMER,
	COLUMN_DATE,
	COLUMN_TIME,
	COLUMN_LINE,
	COLUMN_STORE,
	COLUMN_SKU,
	COLUMN_MENU,
	COLUMN_QUANTITY,
	COLUMN_PRICE,
	COLUMN_AMOUNT,
	N_COLUMNS,
};

struct order_format {
	const struct deployment *deployment;
	const struct config_order_mapping *mapping; /* NULL: classic or ndjson */
	struct event_json *json;                    /* NULL: not ndjson */
	struct tz *zone;                            /* the mapping's own; NULL: the programme's */
	struct timefmt date_format;
	struct timefmt time_format;
	unsigned columns[N_COLUMNS]; /* index in the record, or ABSENT */
	unsigned id_columns[MAX_ID_COLUMNS];
	unsigned n_header; /* fields of the header: every record must have as many */
	struct buf id;
};

int order_format_open(const struct deployment *deployment, const char *name, struct order_format **out,
		      struct error *err)
{
	const struct config_order_mapping *const mapping = config_order_mapping(deployment->config, name);
	const bool ndjson = !mapping && strcmp(name, "ndjson") == 0;
	if (!mapping && !ndjson && strcmp(name, "classic") != 0)
		return error_set(err, ERROR_CONFIG,
				 "%s: '%s' is no format of orders; classic, ndjson or one of order_mappings is",
				 deployment->config->path, name);
	struct order_format *const format = calloc(1, sizeof(*format));
	if (!format)
		return error_no_memory(err, sizeof(*format));
	format->deployment = deployment;
	format->mapping = mapping;
	int rc = ndjson ? event_json_new(deployment->config->customer_id, &format->json, err) : 0;
	if (mapping) {
		assert(mapping->event_id.count <= MAX_ID_COLUMNS);
		rc = timefmt_compile(mapping->date_format, &format->date_format, err);
		if (rc == 0 && mapping->time)
			rc = timefmt_compile(mapping->time_format, &format->time_format, err);
		if (rc == 0 && mapping->timezone)
			rc = tz_load(mapping->timezone, &format->zone, err);
	}
	if (rc < 0) {
		order_format_close(format);
		return error_prefix(err, "%s: order mapping %s", deployment->config->path, name);
	}
	*out = format;
	return 0;
}

void order_format_close(struct order_format *format)
{
	if (!format)
		return;
	event_json_free(format->json);
	tz_free(format->zone);
	buf_release(&format->id);
	free(format);
}

char order_format_delimiter(const struct order_format *format)
{
	if (format->json)
		return '\0';
	return format->mapping ? format->mapping->delimiter[0] : '|';
}

bool order_format_is_csv(const struct order_format *format)
{
	return format->mapping != NULL;
}

bool order_format_has_ids(const struct order_format *format)
{
	return format->json || (format->mapping && format->mapping->event_id.count);
}

bool order_format_has_events(const struct order_format *format)
{
	return format->json != NULL;
}

static int find_column(const char *name, const struct slice *fields, unsigned n_fields, const char *path, unsigned *out,
		       struct error *err)
{
	*out = ABSENT;
	if (!name)
		return 0;
	for (unsigned i = 0; i < n_fields; i++) {
		if (!slice_is(slice_trim(fields[i]), name))
			continue;
		if (*out != ABSENT)
			return error_set(err, ERROR_INPUT, "%s: line 1: the header has the column '%s' twice", path,
					 name);
		*out = i;
	}
	if (*out != ABSENT)
		return 0;
	_cleanup_buf_ struct buf have = {0};
	for (unsigned i = 0; i < n_fields && have.len < 500; i++)
		buf_printf(&have, "%s%.*s", i ? ", " : "", (int)(fields[i].len < 64 ? fields[i].len : 64),
			   fields[i].data);
	const char *const text = buf_text(&have);
	return error_set(err, ERROR_INPUT,
			 "%s: line 1: the header has no column '%s'; it has: %s. Put the right name into the mapping "
			 "in punchcard.yaml",
			 path, name, text ? text : "");
}

int order_format_header(struct order_format *format, const struct slice *fields, unsigned n_fields, const char *path,
			struct error *err)
{
	const struct config_order_mapping *const m = format->mapping;
	const char *const names[N_COLUMNS] = {
		[COLUMN_CUSTOMER] = m->customer, [COLUMN_DATE] = m->date,         [COLUMN_TIME] = m->time,
		[COLUMN_LINE] = m->line,         [COLUMN_STORE] = m->store,       [COLUMN_SKU] = m->sku,
		[COLUMN_MENU] = m->menu,         [COLUMN_QUANTITY] = m->quantity, [COLUMN_PRICE] = m->price,
		[COLUMN_AMOUNT] = m->amount,
	};
	for (unsigned i = 0; i < N_COLUMNS; i++) {
		const int rc = find_column(names[i], fields, n_fields, path, &format->columns[i], err);
		if (rc < 0)
			return rc;
	}
	for (unsigned i = 0; i < m->event_id.count; i++) {
		const int rc = find_column(m->event_id.items[i], fields, n_fields, path, &format->id_columns[i], err);
		if (rc < 0)
			return rc;
	}
	format->n_header = n_fields;
	return 0;
}

/* A customer id of the deployment's type; guests are told apart before. */
static int read_customer(const struct order_format *format, struct slice text, struct customer_id *out)
{
	*out = (struct customer_id){0};
	if (format->deployment->config->customer_id == CUSTOMER_ID_TEXT) {
		out->text = text;
		return text.len <= LIMIT_CUSTOMER_ID_BYTES ? 0 : REASON_CUSTOMER_ID;
	}
	return integer_parse(text.data, text.len, &out->number) == 0 && out->number > 0 ? 0 : REASON_CUSTOMER_ID;
}

static bool is_guest(const struct order_format *format, struct slice text)
{
	if (!format->mapping)
		return text.len == 0 || slice_is(text, "0");
	for (unsigned i = 0; i < format->mapping->guest.count; i++)
		if (slice_is(text, format->mapping->guest.items[i]))
			return true;
	return text.len == 0;
}

int order_check_time(int64_t time_us, int64_t latest_us)
{
	const bool good =
		time_us >= LIMIT_TIME_MIN_S * MICROS && time_us < LIMIT_TIME_MAX_S * MICROS && time_us <= latest_us;
	return good ? 0 : REASON_TIME_RANGE;
}

static int read_price(struct slice text, char mark, int64_t *out, int reason)
{
	return decimal_parse(text.data, text.len, 2, mark, LIMIT_AMOUNT_MINOR, out) == 0 && *out >= 0 ? 0 : reason;
}

static int classic_row(struct order_format *format, const struct slice *fields, unsigned n_fields, int64_t latest_us,
		       struct order_row *row)
{
	/* One by one, as in event_init. */
	const struct slice nothing = {NULL, 0};
	row->id = row->line_id = row->store = row->line.sku = nothing;
	if (n_fields != 3)
		return REASON_COLUMN_COUNT;
	row->customer = (struct customer_id){0};
	row->line.qty_milli = 1000;
	const struct slice customer = slice_trim(fields[0]);
	int rc = 0;
	if (is_guest(format, customer))
		row->customer.guest = true;
	else
		rc = read_customer(format, customer, &row->customer);
	if (rc != 0)
		return rc;
	const struct slice item = slice_trim(fields[1]);
	const char *const blank = item.len ? memrchr(item.data, ' ', item.len) : NULL;
	if (!blank)
		return REASON_PRICE;
	const struct slice price = {blank + 1, (size_t)(item.data + item.len - blank - 1)};
	row->line.menu = slice_trim((struct slice){item.data, (size_t)(blank - item.data)});
	if (row->line.menu.len == 0 || row->line.menu.len > LIMIT_NAME_BYTES)
		return REASON_NAME;
	rc = read_price(price, '.', &row->line.price_minor, REASON_PRICE);
	if (rc != 0)
		return rc;
	row->line.amount_minor = row->line.price_minor;
	const struct slice seconds = slice_trim(fields[2]);
	int64_t time_s;
	rc = integer_parse(seconds.data, seconds.len, &time_s);
	if (rc == ERROR_OVERFLOW || (rc == 0 && (time_s < LIMIT_TIME_MIN_S || time_s >= LIMIT_TIME_MAX_S)))
		return REASON_TIME_RANGE;
	if (rc < 0)
		return REASON_TIME;
	row->time_us = time_s * MICROS;
	return order_check_time(row->time_us, latest_us);
}

static struct slice column(const struct order_format *format, const struct slice *fields, enum column which)
{
	const unsigned at = format->columns[which];
	return at == ABSENT ? (struct slice){"", 0} : slice_trim(fields[at]);
}

static int read_id(struct order_format *format, const struct slice *fields, struct order_row *row)
{
	const unsigned n = format->mapping->event_id.count;
	if (n == 1) {
		row->id = slice_trim(fields[format->id_columns[0]]);
	} else {
		buf_clear(&format->id);
		size_t len = 0;
		for (unsigned i = 0; i < n; i++) {
			const struct slice part = slice_trim(fields[format->id_columns[i]]);
			len += part.len;
			if ((i && buf_append(&format->id, "/", 1) < 0) ||
			    buf_append(&format->id, part.data, part.len) < 0)
				return ERROR_NO_MEMORY;
		}
		/* Separators alone name nothing. */
		row->id = (struct slice){format->id.data, len ? format->id.len : 0};
	}
	return row->id.len && row->id.len <= LIMIT_EVENT_ID_BYTES ? 0 : REASON_EVENT_ID;
}

static int read_time(const struct order_format *format, const struct slice *fields, int64_t latest_us, int64_t *out)
{
	const struct slice date = column(format, fields, COLUMN_DATE);
	struct civil_time when;
	if (timefmt_parse(&format->date_format, date.data, date.len, &when) < 0)
		return REASON_TIME;
	if (format->mapping->time) {
		const struct slice time = column(format, fields, COLUMN_TIME);
		const struct civil_time day = when;
		struct civil_time of_day;
		if (timefmt_parse(&format->time_format, time.data, time.len, &of_day) < 0 ||
		    civil_time_combine(&day, &of_day, &when) < 0)
			return REASON_TIME;
	}
	const struct tz *const zone = format->zone ? format->zone : format->deployment->programme->timezone;
	int64_t time_us;
	if (civil_time_utc_us(&when, zone, &time_us) < 0)
		return REASON_TIME;
	*out = time_us;
	return order_check_time(time_us, latest_us);
}

/* Division of non-negative numbers, half away from zero. */
static int64_t divide_half_up(__int128 dividend, int64_t divisor)
{
	return (int64_t)((2 * dividend + divisor) / (2 * (__int128)divisor));
}

int order_complete_line(struct order_line *line, bool has_price, bool has_amount)
{
	if (!has_price) {
		const int64_t price = divide_half_up((__int128)line->amount_minor * 1000, line->qty_milli);
		if (price > LIMIT_AMOUNT_MINOR)
			return REASON_PRICE;
		line->price_minor = price;
	} else if (!has_amount) {
		const __int128 product = (__int128)line->price_minor * line->qty_milli;
		if (product > (__int128)LIMIT_AMOUNT_MINOR * 1000)
			return REASON_AMOUNT;
		line->amount_minor = divide_half_up(product, 1000);
	}
	return 0;
}

static int read_amounts(const struct order_format *format, const struct slice *fields, struct order_line *line)
{
	const char mark = format->mapping->decimal_mark[0];
	line->qty_milli = 1000;
	const struct slice quantity = column(format, fields, COLUMN_QUANTITY);
	if (format->mapping->quantity &&
	    (decimal_parse(quantity.data, quantity.len, 3, mark, LIMIT_QUANTITY_MILLI, &line->qty_milli) < 0 ||
	     line->qty_milli <= 0))
		return REASON_QUANTITY;
	int rc = 0;
	if (format->mapping->price)
		rc = read_price(column(format, fields, COLUMN_PRICE), mark, &line->price_minor, REASON_PRICE);
	if (rc == 0 && format->mapping->amount)
		rc = read_price(column(format, fields, COLUMN_AMOUNT), mark, &line->amount_minor, REASON_AMOUNT);
	return rc ? rc : order_complete_line(line, format->mapping->price, format->mapping->amount);
}

static int mapped_row(struct order_format *format, const struct slice *fields, unsigned n_fields, int64_t latest_us,
		      struct order_row *row)
{
	*row = (struct order_row){0};
	if (n_fields != format->n_header)
		return REASON_COLUMN_COUNT;
	const struct slice customer = column(format, fields, COLUMN_CUSTOMER);
	int rc = 0;
	if (is_guest(format, customer))
		row->customer.guest = true;
	else
		rc = read_customer(format, customer, &row->customer);
	/* Of a bad row, too: the rest of its order must not be taken without it. */
	const int id_rc = format->mapping->event_id.count ? read_id(format, fields, row) : 0;
	rc = rc == 0 || id_rc < 0 ? id_rc : rc;
	if (id_rc)
		row->id = (struct slice){0};
	if (rc == 0)
		rc = read_time(format, fields, latest_us, &row->time_us);
	if (rc == 0)
		rc = read_amounts(format, fields, &row->line);
	row->line_id = column(format, fields, COLUMN_LINE);
	row->store = column(format, fields, COLUMN_STORE);
	row->line.menu = column(format, fields, COLUMN_MENU);
	row->line.sku = column(format, fields, COLUMN_SKU);
	if (rc == 0 && (row->store.len > LIMIT_NAME_BYTES || row->line.menu.len > LIMIT_NAME_BYTES ||
			row->line.sku.len > LIMIT_NAME_BYTES || row->line_id.len > LIMIT_NAME_BYTES))
		rc = REASON_NAME;
	return rc;
}

int order_format_row(struct order_format *format, const struct slice *fields, unsigned n_fields, int64_t latest_us,
		     struct order_row *row)
{
	assert(!format->json);
	if (!format->mapping)
		return classic_row(format, fields, n_fields, latest_us, row);
	return mapped_row(format, fields, n_fields, latest_us, row);
}

int order_format_event(struct order_format *format, struct slice line, int64_t latest_us, struct event *event)
{
	assert(format->json);
	return event_json_read(format->json, line, latest_us, event);
}
