/*
 * Events in JSON from any bytes: what is taken is within all limits, reads the same again and when it was written, comes out of a block as it went in,
 * and has its rows. The first byte says of what type customers' ids are; each line of the rest is one text.
 */
#include "base/json.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "speed/event_json.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LATEST_US (INT64_C(1800000000) * 1000000)

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void check_text(struct slice text, size_t least, size_t most)
{
	require(text.len >= least && text.len <= most && utf8_valid(text.data, text.len));
	require(!text.len || !memchr(text.data, 0, text.len));
}

static void check_lines(const struct event *event)
{
	require(event->n_lines <= LIMIT_ORDER_LINES);
	int64_t sum = 0;
	for (uint32_t i = 0; i < event->n_lines; i++) {
		const struct order_line *const line = &event->lines[i];
		check_text(line->menu, 0, LIMIT_NAME_BYTES);
		check_text(line->sku, 0, LIMIT_NAME_BYTES);
		require(line->qty_milli > 0 && line->qty_milli <= LIMIT_QUANTITY_MILLI);
		require(line->price_minor >= 0 && line->price_minor <= LIMIT_AMOUNT_MINOR);
		require(line->amount_minor >= 0 && line->amount_minor <= LIMIT_AMOUNT_MINOR);
		sum += line->amount_minor;
	}
	if (event->kind == EVENT_ORDER)
		require(event->n_lines > 0 && event->amount_minor == 0);
	else if (event->kind == EVENT_REFUND)
		require(event->amount_minor > 0 && event->amount_minor <= LIMIT_AMOUNT_MINOR &&
			(event->n_lines == 0 || sum == event->amount_minor));
	else
		require(event->n_lines == 0 && event->amount_minor == 0 && !event->customer.guest);
}

static void check_points(const struct event *event)
{
	const int64_t points = event->points_milli;
	require(points >= -LIMIT_POINTS_MILLI && points <= LIMIT_POINTS_MILLI);
	require(event->kind != EVENT_REDEEM || points > 0 || (points == 0 && event->reward.len));
	require(event->kind != EVENT_ADJUST || points != 0);
	require(event->kind >= EVENT_REDEEM || (points == 0 && event->ledger.len == 0));
	require(event->kind == EVENT_REDEEM || (event->reward.len == 0 && !event->declined));
	require(event->kind == EVENT_ADJUST || event->reason.len == 0);
	check_text(event->ledger, 0, LIMIT_NAME_BYTES);
	check_text(event->reward, 0, LIMIT_NAME_BYTES);
	check_text(event->reason, 0, LIMIT_NAME_BYTES);
}

static void check_event(const struct event *event, enum customer_id_type type)
{
	require(event->kind >= EVENT_ORDER && event->kind <= EVENT_ADJUST);
	check_text(event->id, 1, LIMIT_EVENT_ID_BYTES);
	check_text(event->order_id, event->kind == EVENT_REFUND,
		   event->kind == EVENT_REFUND ? LIMIT_EVENT_ID_BYTES : 0);
	check_text(event->store, 0, LIMIT_NAME_BYTES);
	const struct customer_id *const id = &event->customer;
	require(id->guest + (id->text.len > 0) + (id->number != 0) == 1 && id->number >= 0);
	require(type == CUSTOMER_ID_TEXT ? id->number == 0 : id->text.len == 0);
	check_text(id->text, 0, LIMIT_CUSTOMER_ID_BYTES);
	require(event->time_us >= LIMIT_TIME_MIN_S * 1000000 && event->time_us <= LATEST_US);
	check_lines(event);
	check_points(event);
}

static void require_payload(const struct event *event, const struct buf *expected)
{
	struct buf payload = {0};
	require(block_event_payload(event, &payload) == 0);
	require(payload.len == expected->len && memcmp(payload.data, expected->data, payload.len) == 0);
	buf_release(&payload);
}

/* Through a block and back. */
static void check_block(const struct event *event, const struct buf *payload)
{
	struct block_writer w = {0};
	struct block_reader r;
	struct block_record record;
	require(block_writer_begin(&w, SLICE("s"), 0) == 0 && block_writer_event(&w, event, false, 1) == 0);
	require(w.n_lines == block_event_rows(event) && w.n_lines > 0);
	require(block_reader_open(&r, block_writer_finish(&w), NULL) == 0);
	require(block_reader_next(&r, &record, NULL) == 1 && record.event.kind == event->kind);
	require(slice_equal(record.event.id, event->id));
	require_payload(&record.event, payload);
	require(block_reader_next(&r, &record, NULL) == 0);
	block_reader_release(&r);
	block_writer_release(&w);
}

static void read_line(struct event_json *json, enum customer_id_type type, const char *text, size_t len)
{
	struct event event;
	const int reason = event_json_read(json, (struct slice){text, len}, LATEST_US, &event);
	require(reason >= 0);
	if (reason) {
		require(quarantine_reason_name((unsigned)reason) != NULL);
		return;
	}
	check_event(&event, type);
	struct buf payload = {0};
	require(block_event_payload(&event, &payload) == 0);
	check_block(&event, &payload);
	struct buf written = {0};
	struct json writer;
	json_to_buf(&writer, &written);
	event_json_write(&writer, &event);
	require(json_finish(&writer, NULL) == 0);
	require(event_json_read(json, (struct slice){text, len}, LATEST_US, &event) == 0);
	require_payload(&event, &payload);
	/* What is longer than a line of ours may be is not written into one. */
	if (written.len <= LIMIT_LINE_BYTES) {
		require(utf8_valid(written.data, written.len));
		require(event_json_read(json, (struct slice){written.data, written.len}, LATEST_US, &event) == 0);
		require_payload(&event, &payload);
	}
	buf_release(&written);
	buf_release(&payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	const enum customer_id_type type = data[0] & 1 ? CUSTOMER_ID_TEXT : CUSTOMER_ID_INTEGER;
	struct event_json *json = NULL;
	require(event_json_new(type, &json, NULL) == 0);
	const char *at = (const char *)data + 1;
	const char *const end = (const char *)data + size;
	while (at < end) {
		const char *const lf = memchr(at, '\n', (size_t)(end - at));
		const size_t len = (size_t)((lf ? lf : end) - at);
		if (!memchr(at, 0, len) && utf8_valid(at, len))
			read_line(json, type, at, len);
		at += len + 1;
	}
	event_json_free(json);
	return 0;
}
