#include "speed/event_json.h"

#include "base/json.h"
#include "base/tz.h"

#include <stdio.h>

#define MICROS          INT64_C(1000000)
#define SECONDS_PER_DAY 86400

/* RFC 3339 in UTC, to the microsecond where there is one. */
static void write_time(struct json *json, int64_t time_us)
{
	/* Events are not before 1970. */
	const int64_t seconds = time_us / MICROS;
	const int micro = (int)(time_us % MICROS);
	const int of_day = (int)(seconds % SECONDS_PER_DAY);
	char date[11];
	char text[48];
	char fraction[16] = "";
	civil_format((int32_t)(seconds / SECONDS_PER_DAY), date);
	if (micro)
		snprintf(fraction, sizeof(fraction), ".%06d", micro);
	snprintf(text, sizeof(text), "%sT%02d:%02d:%02d%sZ", date, of_day / 3600, of_day / 60 % 60, of_day % 60,
		 fraction);
	json_text(json, text);
}

static void write_name(struct json *json, const char *key, struct slice text)
{
	if (!text.len)
		return;
	json_key(json, key);
	json_slice(json, text);
}

static void write_decimal(struct json *json, const char *key, int64_t value, unsigned scale)
{
	json_key(json, key);
	json_decimal(json, value, scale);
}

static void write_customer(struct json *json, const struct customer_id *customer)
{
	if (customer->guest)
		return;
	json_key(json, "customer");
	if (customer->text.len)
		json_slice(json, customer->text);
	else
		json_int(json, customer->number);
}

static void write_lines(struct json *json, const struct event *event)
{
	if (!event->n_lines)
		return;
	json_key(json, "lines");
	json_array(json);
	for (uint32_t i = 0; i < event->n_lines; i++) {
		const struct order_line *const line = &event->lines[i];
		json_object(json);
		write_name(json, "sku", line->sku);
		write_name(json, "menu", line->menu);
		write_decimal(json, "qty", line->qty_milli, 3);
		write_decimal(json, "price", line->price_minor, 2);
		write_decimal(json, "amount", line->amount_minor, 2);
		json_end_object(json);
	}
	json_end_array(json);
}

static void write_points(struct json *json, const struct event *event)
{
	if (event->points_milli)
		write_decimal(json, "points", event->points_milli, 3);
	write_name(json, "ledger", event->ledger);
	write_name(json, "reward", event->reward);
	write_name(json, "reason", event->reason);
	if (event->declined) {
		json_key(json, "accepted");
		json_bool(json, false);
	}
}

void event_json_write(struct json *json, const struct event *event)
{
	json_object(json);
	json_key(json, "event_id");
	json_slice(json, event->id);
	json_key(json, "kind");
	json_slice(json, event_kind_name(event->kind));
	write_customer(json, &event->customer);
	json_key(json, "time");
	write_time(json, event->time_us);
	write_name(json, "store", event->store);
	write_lines(json, event);
	if (event->kind == EVENT_REFUND) {
		write_name(json, "order", event->order_id);
		write_decimal(json, "amount", event->amount_minor, 2);
	}
	write_points(json, event);
	json_end_object(json);
}
