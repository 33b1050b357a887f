#include "speed/event_json.h"

#include "base/decimal.h"
#include "base/limits.h"
#include "base/tz.h"
#include "speed/event_json_internal.h"
#include "speed/order_format_internal.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>

#define MICROS INT64_C(1000000)
/* An event, its lines, a line, and values in it. */
#define DEPTH 4

struct event_json {
	enum customer_id_type id_type;
	struct json_tokener *tokener;
	struct json_object *object; /* the line that was read last; texts of the event are its */
	struct order_line *lines;
	size_t lines_cap;
};

int event_json_new(enum customer_id_type id_type, struct event_json **out, struct error *err)
{
	struct event_json *const json = calloc(1, sizeof(*json));
	if (!json)
		return error_no_memory(err, sizeof(*json));
	json->id_type = id_type;
	json->tokener = json_tokener_new_ex(DEPTH);
	if (!json->tokener) {
		event_json_free(json);
		return error_no_memory(err, sizeof(*json));
	}
	json_tokener_set_flags(json->tokener, JSON_TOKENER_STRICT);
	*out = json;
	return 0;
}

void event_json_free(struct event_json *json)
{
	if (!json)
		return;
	json_object_put(json->object);
	if (json->tokener)
		json_tokener_free(json->tokener);
	free(json->lines);
	free(json);
}

/* Members of an object: found by name once, then by number. */

struct member {
	const char *name;
	unsigned kinds; /* bit 1 << kind: events of this kind may have it */
};

#define ALL_KINDS (1u << EVENT_ORDER | 1u << EVENT_REFUND | 1u << EVENT_REDEEM | 1u << EVENT_ADJUST)

enum {
	EVENT_ID,
	KIND,
	CUSTOMER,
	TIME,
	STORE,
	LINES,
	ORDER,
	AMOUNT,
	POINTS,
	LEDGER,
	REWARD,
	ACCEPTED,
	REASON,
	N_MEMBERS
};
static const struct member MEMBERS[N_MEMBERS] = {
	[EVENT_ID] = {"event_id", ALL_KINDS},
	[KIND] = {"kind", ALL_KINDS},
	[CUSTOMER] = {"customer", ALL_KINDS},
	[TIME] = {"time", ALL_KINDS},
	[STORE] = {"store", ALL_KINDS},
	[LINES] = {"lines", 1u << EVENT_ORDER | 1u << EVENT_REFUND},
	[ORDER] = {"order", 1u << EVENT_REFUND},
	[AMOUNT] = {"amount", 1u << EVENT_REFUND},
	[POINTS] = {"points", 1u << EVENT_REDEEM | 1u << EVENT_ADJUST},
	[LEDGER] = {"ledger", 1u << EVENT_REDEEM | 1u << EVENT_ADJUST},
	[REWARD] = {"reward", 1u << EVENT_REDEEM},
	[ACCEPTED] = {"accepted", 1u << EVENT_REDEEM},
	[REASON] = {"reason", 1u << EVENT_ADJUST},
};

enum { LINE_SKU, LINE_MENU, LINE_QTY, LINE_PRICE, LINE_AMOUNT, N_LINE_MEMBERS };
static const struct member LINE_MEMBERS[N_LINE_MEMBERS] = {
	[LINE_SKU] = {"sku", ALL_KINDS},     [LINE_MENU] = {"menu", ALL_KINDS},     [LINE_QTY] = {"qty", ALL_KINDS},
	[LINE_PRICE] = {"price", ALL_KINDS}, [LINE_AMOUNT] = {"amount", ALL_KINDS},
};

/* A value that is there, and may be null. */
struct value {
	bool there;
	struct json_object *object; /* NULL: null */
};

static int read_members(struct json_object *object, const struct member *members, unsigned n, unsigned kinds,
			struct value *values)
{
	memset(values, 0, n * sizeof(*values));
	json_object_object_foreach(object, name, child)
	{
		unsigned i = 0;
		while (i < n && strcmp(members[i].name, name) != 0)
			i++;
		if (i == n || !(members[i].kinds & kinds))
			return REASON_FIELD;
		values[i] = (struct value){true, child};
	}
	return 0;
}

/* Values. Each returns 0, the reason, or ERROR_NO_MEMORY. */

static int read_text(const struct value *value, size_t max, int reason, struct slice *out)
{
	if (!value->there)
		return 0;
	if (!json_object_is_type(value->object, json_type_string))
		return reason;
	const struct slice text = {json_object_get_string(value->object),
				   (size_t)json_object_get_string_len(value->object)};
	if (text.len > max)
		return reason;
	*out = text;
	return 0;
}

/* The digits of a number: json-c keeps those of one with a fraction or an exponent as they came. A whole number beyond 64 bits
 * becomes the nearest within, which is beyond every limit, too. */
static int number_text(const struct value *value, int reason, struct slice *out)
{
	if (!json_object_is_type(value->object, json_type_int) && !json_object_is_type(value->object, json_type_double))
		return reason;
	const char *const text = json_object_get_string(value->object);
	if (!text)
		return ERROR_NO_MEMORY;
	*out = slice_of(text);
	return 0;
}

static int read_number(const struct value *value, int scale, int64_t max, int reason, int64_t *out)
{
	if (!value->there)
		return 0;
	struct slice text;
	const int rc = number_text(value, reason, &text);
	if (rc != 0)
		return rc;
	return decimal_parse(text.data, text.len, scale, '.', max, out) == 0 ? 0 : reason;
}

static int read_kind(const struct value *value, enum event_kind *out)
{
	struct slice text = {0};
	if (read_text(value, SIZE_MAX, REASON_KIND, &text) != 0)
		return REASON_KIND;
	return event_kind_parse(text, out) ? 0 : REASON_KIND;
}

static int read_customer(const struct event_json *json, const struct value *value, struct customer_id *out)
{
	struct slice text = {0};
	const bool number = value->object && !json_object_is_type(value->object, json_type_string);
	if (value->object) {
		const int rc = number ? number_text(value, REASON_CUSTOMER_ID, &text)
				      : read_text(value, LIMIT_CUSTOMER_ID_BYTES, REASON_CUSTOMER_ID, &text);
		if (rc != 0)
			return rc;
	}
	out->guest = text.len == 0 || slice_is(text, "0");
	if (out->guest)
		return 0;
	if (number != (json->id_type == CUSTOMER_ID_INTEGER))
		return REASON_CUSTOMER_ID;
	if (!number) {
		out->text = text;
		return 0;
	}
	return integer_parse(text.data, text.len, &out->number) == 0 && out->number > 0 ? 0 : REASON_CUSTOMER_ID;
}

/* Time: RFC 3339, section 5.6. */

static bool take_digits(struct slice *text, unsigned n, int *out)
{
	if (text->len < n)
		return false;
	int value = 0;
	for (unsigned i = 0; i < n; i++) {
		if (text->data[i] < '0' || text->data[i] > '9')
			return false;
		value = value * 10 + (text->data[i] - '0');
	}
	*out = value;
	*text = (struct slice){text->data + n, text->len - n};
	return true;
}

static bool take_one(struct slice *text, const char *choice)
{
	if (text->len == 0 || !strchr(choice, text->data[0]))
		return false;
	*text = (struct slice){text->data + 1, text->len - 1};
	return true;
}

/* What stands behind the first six digits is below a microsecond, and left out. */
static bool take_fraction(struct slice *text, int *micro)
{
	int digit;
	unsigned n = 0;
	*micro = 0;
	for (; n < 9 && take_digits(text, 1, &digit); n++)
		if (n < 6)
			*micro = *micro * 10 + digit;
	for (unsigned i = n; i < 6; i++)
		*micro *= 10;
	return n > 0;
}

static bool take_offset(struct slice *text, int *seconds)
{
	*seconds = 0;
	if (take_one(text, "Zz"))
		return true;
	const bool west = text->len && text->data[0] == '-';
	int hours;
	int minutes;
	if (!take_one(text, "+-") || !take_digits(text, 2, &hours) || !take_one(text, ":") ||
	    !take_digits(text, 2, &minutes) || hours > 23 || minutes > 59)
		return false;
	*seconds = (hours * 60 + minutes) * (west ? -60 : 60);
	return true;
}

static int parse_time(struct slice text, int64_t *time_us)
{
	int year;
	int month;
	int day;
	int hour;
	int minute;
	int second;
	int micro = 0;
	int offset_s;
	if (!take_digits(&text, 4, &year) || !take_one(&text, "-") || !take_digits(&text, 2, &month) ||
	    !take_one(&text, "-") || !take_digits(&text, 2, &day) || !take_one(&text, "Tt") ||
	    !take_digits(&text, 2, &hour) || !take_one(&text, ":") || !take_digits(&text, 2, &minute) ||
	    !take_one(&text, ":") || !take_digits(&text, 2, &second))
		return REASON_TIME;
	if ((take_one(&text, ".") && !take_fraction(&text, &micro)) || !take_offset(&text, &offset_s) || text.len)
		return REASON_TIME;
	if (!civil_valid(year, month, day) || hour > 23 || minute > 59 || second > 59)
		return REASON_TIME;
	const int64_t local_s =
		(int64_t)civil_days(year, month, day) * 86400 + (int64_t)hour * 3600 + (int64_t)minute * 60 + second;
	*time_us = (local_s - offset_s) * MICROS + micro;
	return 0;
}

static int read_time(const struct value *value, int64_t latest_us, int64_t *out)
{
	struct slice text = {0};
	int64_t time_us;
	int rc;
	if (json_object_is_type(value->object, json_type_string)) {
		rc = read_text(value, SIZE_MAX, REASON_TIME, &text);
		if (rc == 0)
			rc = parse_time(text, &time_us);
	} else {
		rc = number_text(value, REASON_TIME, &text);
		if (rc == 0 && decimal_parse(text.data, text.len, 0, '.', LIMIT_TIME_MAX_S, &time_us) < 0)
			rc = integer_parse(text.data, text.len, &time_us) == ERROR_INPUT ? REASON_TIME
											 : REASON_TIME_RANGE;
		else if (rc == 0)
			time_us *= MICROS;
	}
	if (rc != 0)
		return rc;
	rc = order_check_time(time_us, latest_us);
	if (rc == 0)
		*out = time_us;
	return rc;
}

/* Lines. */

static int reserve_lines(struct event_json *json, size_t n)
{
	if (n <= json->lines_cap)
		return 0;
	struct order_line *const lines = realloc(json->lines, n * sizeof(*lines));
	if (!lines)
		return ERROR_NO_MEMORY;
	json->lines = lines;
	json->lines_cap = n;
	return 0;
}

static int read_price(const struct value *value, int reason, int64_t *out)
{
	const int rc = read_number(value, 2, LIMIT_AMOUNT_MINOR, reason, out);
	return rc == 0 && *out < 0 ? reason : rc;
}

static int read_line(struct json_object *object, struct order_line *line)
{
	struct value values[N_LINE_MEMBERS];
	*line = (struct order_line){.qty_milli = 1000};
	if (!json_object_is_type(object, json_type_object))
		return REASON_ORDER_LINES;
	int rc = read_members(object, LINE_MEMBERS, N_LINE_MEMBERS, ALL_KINDS, values);
	if (rc == 0)
		rc = read_text(&values[LINE_SKU], LIMIT_NAME_BYTES, REASON_NAME, &line->sku);
	if (rc == 0)
		rc = read_text(&values[LINE_MENU], LIMIT_NAME_BYTES, REASON_NAME, &line->menu);
	if (rc == 0)
		rc = read_number(&values[LINE_QTY], 3, LIMIT_QUANTITY_MILLI, REASON_QUANTITY, &line->qty_milli);
	if (rc == 0 && line->qty_milli <= 0)
		rc = REASON_QUANTITY;
	if (rc == 0)
		rc = read_price(&values[LINE_PRICE], REASON_PRICE, &line->price_minor);
	if (rc == 0)
		rc = read_price(&values[LINE_AMOUNT], REASON_AMOUNT, &line->amount_minor);
	const bool has_price = values[LINE_PRICE].there;
	const bool has_amount = values[LINE_AMOUNT].there;
	if (rc == 0 && !has_price && !has_amount)
		rc = REASON_AMOUNT;
	return rc ? rc : order_complete_line(line, has_price, has_amount);
}

/* *members: those of the lines are added. */
static int read_lines(struct event_json *json, const struct value *value, uint64_t *members, struct event *event)
{
	if (!value->there)
		return event->kind == EVENT_ORDER ? REASON_ORDER_LINES : 0;
	if (!json_object_is_type(value->object, json_type_array))
		return REASON_ORDER_LINES;
	const size_t n = json_object_array_length(value->object);
	if (n == 0 || n > LIMIT_ORDER_LINES)
		return REASON_ORDER_LINES;
	int rc = reserve_lines(json, n);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		struct json_object *const line = json_object_array_get_idx(value->object, i);
		rc = read_line(line, &json->lines[i]);
		if (rc == 0)
			*members += (uint64_t)json_object_object_length(line);
	}
	event->lines = json->lines;
	event->n_lines = (uint32_t)n;
	return rc;
}

/* What the kinds have each for itself. */

static int read_refund(const struct value *values, struct event *event)
{
	int rc = read_text(&values[ORDER], LIMIT_EVENT_ID_BYTES, REASON_ORDER_ID, &event->order_id);
	if (rc == 0 && event->order_id.len == 0)
		rc = REASON_ORDER_ID;
	if (rc == 0)
		rc = read_number(&values[AMOUNT], 2, LIMIT_AMOUNT_MINOR, REASON_AMOUNT, &event->amount_minor);
	if (rc == 0 && event->n_lines) {
		/* At most LIMIT_ORDER_LINES of at most LIMIT_AMOUNT_MINOR: far from what 64 bits hold. */
		int64_t sum = 0;
		for (uint32_t i = 0; i < event->n_lines; i++)
			sum += event->lines[i].amount_minor;
		if (values[AMOUNT].there && event->amount_minor != sum)
			rc = REASON_AMOUNT;
		event->amount_minor = sum;
	}
	const bool good = event->amount_minor > 0 && event->amount_minor <= LIMIT_AMOUNT_MINOR;
	return rc == 0 && !good ? REASON_AMOUNT : rc;
}

static int read_redeem(const struct value *values, struct event *event)
{
	int rc = read_text(&values[REWARD], LIMIT_NAME_BYTES, REASON_NAME, &event->reward);
	if (rc == 0 && (values[POINTS].there ? event->points_milli <= 0 : event->reward.len == 0))
		rc = REASON_POINTS;
	if (rc == 0 && values[ACCEPTED].there && !json_object_is_type(values[ACCEPTED].object, json_type_boolean))
		rc = REASON_FIELD;
	event->declined = values[ACCEPTED].there && !json_object_get_boolean(values[ACCEPTED].object);
	return rc;
}

static int read_adjust(const struct value *values, struct event *event)
{
	return event->points_milli == 0 ? REASON_POINTS
					: read_text(&values[REASON], LIMIT_NAME_BYTES, REASON_NAME, &event->reason);
}

static int read_details(const struct value *values, struct event *event)
{
	if (event->kind == EVENT_ORDER)
		return 0;
	if (event->kind == EVENT_REFUND)
		return read_refund(values, event);
	if (event->customer.guest)
		return REASON_CUSTOMER_ID;
	int rc = read_number(&values[POINTS], 3, LIMIT_POINTS_MILLI, REASON_POINTS, &event->points_milli);
	if (rc == 0)
		rc = read_text(&values[LEDGER], LIMIT_NAME_BYTES, REASON_NAME, &event->ledger);
	if (rc != 0)
		return rc;
	return event->kind == EVENT_REDEEM ? read_redeem(values, event) : read_adjust(values, event);
}

/* members: how many the whole text has. */
static int read_event(struct event_json *json, uint64_t members, int64_t latest_us, struct event *event)
{
	struct value values[N_MEMBERS];
	struct value kind = {0};
	kind.there = json_object_object_get_ex(json->object, MEMBERS[KIND].name, &kind.object);
	int rc = read_kind(&kind, &event->kind);
	if (rc == 0)
		rc = read_members(json->object, MEMBERS, N_MEMBERS, 1u << event->kind, values);
	if (rc == 0)
		rc = read_text(&values[EVENT_ID], LIMIT_EVENT_ID_BYTES, REASON_EVENT_ID, &event->id);
	if (rc == 0 && event->id.len == 0)
		rc = REASON_EVENT_ID;
	if (rc == 0)
		rc = read_customer(json, &values[CUSTOMER], &event->customer);
	if (rc == 0)
		rc = read_time(&values[TIME], latest_us, &event->time_us);
	if (rc == 0)
		rc = read_text(&values[STORE], LIMIT_NAME_BYTES, REASON_NAME, &event->store);
	uint64_t known = (uint64_t)json_object_object_length(json->object);
	if (rc == 0)
		rc = read_lines(json, &values[LINES], &known, event);
	if (rc == 0)
		rc = read_details(values, event);
	/* Of a key that came twice json-c keeps the last. */
	return rc == 0 && known != members ? REASON_FIELD : rc;
}

/* Makes the line json->object. */
static int parse(struct event_json *json, struct slice line)
{
	json_object_put(json->object);
	json_tokener_reset(json->tokener);
	errno = 0;
	json->object = json_tokener_parse_ex(json->tokener, line.data, (int)line.len);
	if (!json->object && errno == ENOMEM)
		return ERROR_NO_MEMORY;
	return json_object_is_type(json->object, json_type_object) ? 0 : REASON_JSON;
}

int event_json_read(struct event_json *json, struct slice line, int64_t latest_us, struct event *event)
{
	uint64_t members;
	struct event read = {0};
	int rc = event_json_scan(line, &members);
	if (rc == 0)
		rc = parse(json, line);
	if (rc == 0)
		rc = read_event(json, members, latest_us, &read);
	if (rc == 0)
		*event = read;
	return rc;
}
