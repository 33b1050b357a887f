/*
 * A block, version 1. u64 and u32 are little-endian, varints LEB128, signed ones zigzag; a text is a varint length and bytes.
 *
 *     bytes      what
 *     4          "PCB1"
 *     u64        XXH3-64 of all that follows
 *     u64 × 4    time it was begun (UTC microseconds), events, their rows in transactions_cln, quarantined lines
 *     text       source
 *     then records, each
 *     1          tag: 1 order, 2 order with an implicit id, 3 quarantined line, 4 file, 5 refund, 6 redemption, 7 adjustment, 8 line
 *       file:         text label
 *       event:        varint line - last line (mod 2^64) · [text id] · customer · signed time_us - last time_us (mod 2^64) ·
 *                     text store · details
 *       customer:     1 byte: 0 guest; 1 signed number; 2 text
 *       details of
 *         an order:      lines
 *         a refund:      text order_id · signed amount_minor · lines
 *         a redemption:  signed points_milli · text ledger · text reward · 1 byte: 1 declined, 0 not
 *         an adjustment: signed points_milli · text ledger · text reason
 *       lines:        varint n · n × (text menu, text sku, signed qty_milli, signed price_minor, signed amount_minor)
 *       quarantined:  varint line - last line (mod 2^64) · varint reason · text · signed time_us
 *       line:         varint line - last line (mod 2^64) · text (any bytes)
 *
 * Valid when the checksum holds, the records end where the block does, and events are what loyalty/event.h says. Blocks are written in one LMDB transaction, so
 * there is no torn one; a damaged one cannot be mended and stops the consumer with its number.
 */
#include "store/block.h"

#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

#define MAGIC        "PCB1"
#define HEADER_BYTES (4 + 5 * 8)
#define CHECKED_FROM 12
#define MICROS       INT64_C(1000000)
/* "<label>:<line>": room for the line's number. */
#define LABEL_BYTES (LIMIT_EVENT_ID_BYTES - 16)

enum {
	TAG_ORDER = 1,
	TAG_ORDER_IMPLICIT = 2,
	TAG_QUARANTINED = 3,
	TAG_FILE = 4,
	TAG_REFUND = 5,
	TAG_REDEEM = 6,
	TAG_ADJUST = 7,
	TAG_LINE = 8,
};
enum { CUSTOMER_GUEST = 0, CUSTOMER_NUMBER = 1, CUSTOMER_TEXT = 2 };

static const char *const REASONS[REASON_MAX + 1] = {
	[REASON_COLUMN_COUNT] = "column_count",
	[REASON_ENCODING] = "encoding",
	[REASON_NUL_BYTE] = "nul_byte",
	[REASON_TOO_LONG] = "too_long",
	[REASON_BAD_QUOTE] = "bad_quote",
	[REASON_CUSTOMER_ID] = "customer_id",
	[REASON_EVENT_ID] = "event_id",
	[REASON_TIME] = "time",
	[REASON_TIME_RANGE] = "time_range",
	[REASON_QUANTITY] = "quantity",
	[REASON_PRICE] = "price",
	[REASON_AMOUNT] = "amount",
	[REASON_NAME] = "name",
	[REASON_ID_CONFLICT] = "id_conflict",
	[REASON_FILE_NAME_REUSED] = "file_name_reused",
	[REASON_ORDER_LINES] = "order_lines",
	[REASON_JSON] = "json",
	[REASON_KIND] = "kind",
	[REASON_FIELD] = "field",
	[REASON_POINTS] = "points",
	[REASON_ORDER_ID] = "order_id",
	[REASON_EMPTY] = "empty",
};

const char *quarantine_reason_name(unsigned reason)
{
	return reason <= REASON_MAX ? REASONS[reason] : NULL;
}

int block_label(struct slice file_name, struct buf *out)
{
	if (file_name.len <= LABEL_BYTES)
		return buf_append(out, file_name.data, file_name.len);
	/* Cutting inside a UTF-8 sequence would make the id invalid: go back to a character's beginning. */
	size_t keep = LABEL_BYTES - 17;
	while (keep && ((unsigned char)file_name.data[keep] & 0xc0) == 0x80)
		keep--;
	if (buf_append(out, file_name.data, keep) < 0)
		return ERROR_NO_MEMORY;
	return buf_printf(out, "~%016llx", (unsigned long long)XXH3_64bits(file_name.data, file_name.len));
}

int block_writer_begin(struct block_writer *w, struct slice source, int64_t time_us)
{
	buf_clear(&w->buf);
	w->begun = false;
	w->begun_us = time_us;
	w->last_time_us = 0;
	w->last_line = 0;
	w->n_events = 0;
	w->n_lines = 0;
	w->n_quarantined = 0;
	w->n_kept = 0;
	if (buf_reserve(&w->buf, HEADER_BYTES + VARINT_MAX_BYTES + source.len) < 0)
		return ERROR_NO_MEMORY;
	w->buf.len = (size_t)(put_slice(w->buf.data + HEADER_BYTES, source) - w->buf.data);
	w->begun = true;
	return 0;
}

int block_writer_file(struct block_writer *w, struct slice label)
{
	if (buf_reserve(&w->buf, 1 + VARINT_MAX_BYTES + label.len) < 0)
		return ERROR_NO_MEMORY;
	char *p = w->buf.data + w->buf.len;
	*p++ = TAG_FILE;
	p = put_slice(p, label);
	w->buf.len = (size_t)(p - w->buf.data);
	w->last_line = 0;
	return 0;
}

static char *put_customer(char *p, const struct customer_id *id)
{
	if (id->guest) {
		*p++ = CUSTOMER_GUEST;
	} else if (id->text.len) {
		*p++ = CUSTOMER_TEXT;
		p = put_slice(p, id->text);
	} else {
		*p++ = CUSTOMER_NUMBER;
		p = put_signed(p, id->number);
	}
	return p;
}

/* The most bytes that an event's parts have, all together, but for its id. */
static size_t event_room(const struct event *event)
{
	size_t room = 10 * (size_t)VARINT_MAX_BYTES + event->customer.text.len + event->store.len;
	for (uint32_t i = 0; i < event->n_lines; i++)
		room += 5 * (size_t)VARINT_MAX_BYTES + event->lines[i].menu.len + event->lines[i].sku.len;
	if (event->kind != EVENT_ORDER)
		room += event->order_id.len + event->ledger.len + event->reward.len + event->reason.len;
	return room;
}

static inline char *put_lines(char *p, const struct event *event)
{
	for (uint32_t i = 0; i < event->n_lines; i++) {
		const struct order_line *const l = &event->lines[i];
		p = put_slice(p, l->menu);
		p = put_slice(p, l->sku);
		p = put_signed(p, l->qty_milli);
		p = put_signed(p, l->price_minor);
		p = put_signed(p, l->amount_minor);
	}
	return p;
}

/* What a kind has besides lines. */
static char *put_details(char *p, const struct event *event)
{
	if (event->kind == EVENT_REFUND) {
		p = put_slice(p, event->order_id);
		return put_signed(p, event->amount_minor);
	}
	p = put_signed(p, event->points_milli);
	p = put_slice(p, event->ledger);
	if (event->kind == EVENT_ADJUST)
		return put_slice(p, event->reason);
	p = put_slice(p, event->reward);
	*p++ = event->declined;
	return p;
}

static bool has_lines(enum event_kind kind)
{
	return kind == EVENT_ORDER || kind == EVENT_REFUND;
}

static char tag_of(const struct event *event, bool implicit_id)
{
	switch (event->kind) {
	case EVENT_REFUND:
		return TAG_REFUND;
	case EVENT_REDEEM:
		return TAG_REDEEM;
	case EVENT_ADJUST:
		return TAG_ADJUST;
	case EVENT_ORDER:
		break;
	}
	return implicit_id ? TAG_ORDER_IMPLICIT : TAG_ORDER;
}

int block_writer_event(struct block_writer *w, const struct event *event, bool implicit_id, uint64_t line)
{
	assert(event->kind == EVENT_ORDER || !implicit_id);
	if (buf_reserve(&w->buf, 2 + event->id.len + event_room(event)) < 0)
		return ERROR_NO_MEMORY;
	char *p = w->buf.data + w->buf.len;
	*p++ = tag_of(event, implicit_id);
	p = put_varint(p, line - w->last_line);
	if (!implicit_id)
		p = put_slice(p, event->id);
	p = put_customer(p, &event->customer);
	p = put_signed(p, (int64_t)((uint64_t)event->time_us - (uint64_t)w->last_time_us));
	p = put_slice(p, event->store);
	if (event->kind != EVENT_ORDER)
		p = put_details(p, event);
	if (has_lines(event->kind)) {
		p = put_varint(p, event->n_lines);
		p = put_lines(p, event);
	}
	w->buf.len = (size_t)(p - w->buf.data);
	w->last_line = line;
	w->last_time_us = event->time_us;
	w->n_events++;
	w->n_lines += block_event_rows(event);
	return 0;
}

int block_event_payload(const struct event *event, struct buf *out)
{
	if (buf_reserve(out, event_room(event)) < 0)
		return ERROR_NO_MEMORY;
	char *p = out->data + out->len;
	/* 0 or 1 for an order, as when there were no other kinds; 2 … 7 for the others. */
	p = put_varint(p, 2 * (unsigned)event->kind + event->customer.guest);
	p = put_signed(p, event->customer.number);
	p = put_slice(p, event->customer.text);
	p = put_signed(p, event->time_us);
	p = put_slice(p, event->store);
	if (event->kind != EVENT_ORDER)
		p = put_details(p, event);
	/* The lines are the last: how many there are needs no telling. */
	p = put_lines(p, event);
	out->len = (size_t)(p - out->data);
	return 0;
}

int block_writer_quarantined(struct block_writer *w, uint64_t line, enum quarantine_reason reason, struct slice text,
			     int64_t time_us)
{
	if (buf_reserve(&w->buf, 1 + 4 * (size_t)VARINT_MAX_BYTES + text.len) < 0)
		return ERROR_NO_MEMORY;
	char *p = w->buf.data + w->buf.len;
	*p++ = TAG_QUARANTINED;
	p = put_varint(p, line - w->last_line);
	p = put_varint(p, reason);
	p = put_slice(p, text);
	p = put_signed(p, time_us);
	w->buf.len = (size_t)(p - w->buf.data);
	w->last_line = line;
	w->n_quarantined++;
	return 0;
}

int block_writer_line(struct block_writer *w, uint64_t line, struct slice text)
{
	if (buf_reserve(&w->buf, 1 + 2 * (size_t)VARINT_MAX_BYTES + text.len) < 0)
		return ERROR_NO_MEMORY;
	char *p = w->buf.data + w->buf.len;
	*p++ = TAG_LINE;
	p = put_varint(p, line - w->last_line);
	p = put_slice(p, text);
	w->buf.len = (size_t)(p - w->buf.data);
	w->last_line = line;
	w->n_kept++;
	return 0;
}

struct block_writer_mark block_writer_mark(const struct block_writer *w)
{
	return (struct block_writer_mark){.len = w->buf.len,
					  .last_time_us = w->last_time_us,
					  .last_line = w->last_line,
					  .n_events = w->n_events,
					  .n_lines = w->n_lines,
					  .n_quarantined = w->n_quarantined,
					  .n_kept = w->n_kept};
}

void block_writer_rewind(struct block_writer *w, const struct block_writer_mark *mark)
{
	w->buf.len = mark->len;
	w->last_time_us = mark->last_time_us;
	w->last_line = mark->last_line;
	w->n_events = mark->n_events;
	w->n_lines = mark->n_lines;
	w->n_quarantined = mark->n_quarantined;
	w->n_kept = mark->n_kept;
}

struct slice block_writer_finish(struct block_writer *w)
{
	/* What stands where the header goes would be lost. */
	assert(w->begun);
	char *p = w->buf.data;
	memcpy(p, MAGIC, 4);
	char *counts = p + CHECKED_FROM;
	counts = put_u64(counts, (uint64_t)w->begun_us);
	counts = put_u64(counts, w->n_events);
	counts = put_u64(counts, w->n_lines);
	put_u64(counts, w->n_quarantined);
	put_u64(p + 4, XXH3_64bits(p + CHECKED_FROM, w->buf.len - CHECKED_FROM));
	return (struct slice){p, w->buf.len};
}

void block_writer_release(struct block_writer *w)
{
	buf_release(&w->buf);
}

static int read_counts(struct slice block, struct reader *r, struct block_counts *out, struct error *err)
{
	if (block.len < HEADER_BYTES || memcmp(block.data, MAGIC, 4) != 0)
		return error_set(err, ERROR_CORRUPT, "%zu bytes are no block of this version of punchcard", block.len);
	*r = reader_of((struct slice){block.data + CHECKED_FROM, block.len - CHECKED_FROM});
	out->time_us = (int64_t)read_u64(r);
	out->n_events = read_u64(r);
	out->n_lines = read_u64(r);
	out->n_quarantined = read_u64(r);
	return 0;
}

int block_counts(struct slice block, struct block_counts *out, struct error *err)
{
	struct reader r;
	return read_counts(block, &r, out, err);
}

int block_reader_open(struct block_reader *r, struct slice block, struct error *err)
{
	struct block_reader reader = {0};
	const int rc = read_counts(block, &reader.at, &reader.counts, err);
	if (rc < 0)
		return rc;
	struct reader sum = reader_of((struct slice){block.data + 4, 8});
	if (read_u64(&sum) != XXH3_64bits(block.data + CHECKED_FROM, block.len - CHECKED_FROM))
		return error_set(err, ERROR_CORRUPT, "the checksum of a block of %zu bytes is wrong", block.len);
	reader.source = read_slice(&reader.at);
	if (reader.at.bad)
		return error_set(err, ERROR_CORRUPT, "a block of %zu bytes names no source", block.len);
	*r = reader;
	return 0;
}

static int read_customer(struct reader *r, struct customer_id *id)
{
	*id = (struct customer_id){0};
	switch (reader_has(r, 1) ? *r->at++ : 255) {
	case CUSTOMER_GUEST:
		id->guest = true;
		return 0;
	case CUSTOMER_NUMBER:
		id->number = read_signed(r);
		return 0;
	case CUSTOMER_TEXT:
		id->text = read_slice(r);
		return id->text.len ? 0 : ERROR_CORRUPT;
	default:
		return ERROR_CORRUPT;
	}
}

static int read_lines(struct block_reader *r, struct event *event)
{
	const uint64_t n = read_varint(&r->at);
	if (r->at.bad || n > LIMIT_ORDER_LINES)
		return ERROR_CORRUPT;
	if (n > r->lines_cap) {
		struct order_line *const lines = realloc(r->lines, n * sizeof(*lines));
		if (!lines)
			return ERROR_NO_MEMORY;
		r->lines = lines;
		r->lines_cap = (uint32_t)n;
	}
	for (uint64_t i = 0; i < n; i++) {
		struct order_line *const l = &r->lines[i];
		l->menu = read_slice(&r->at);
		l->sku = read_slice(&r->at);
		l->qty_milli = read_signed(&r->at);
		l->price_minor = read_signed(&r->at);
		l->amount_minor = read_signed(&r->at);
	}
	event->lines = r->lines;
	event->n_lines = (uint32_t)n;
	return 0;
}

/* "<label>:<line>" into r->id. Most lines are the next one of the same file: then the last digit goes up. */
static int make_implicit_id(struct block_reader *r, struct slice *id)
{
	const uint64_t more = r->last_line - r->id_line;
	if (r->id_len && r->id_label == r->file.data && more <= 9 && r->id[r->id_len - 1] + (int)more <= '9') {
		r->id[r->id_len - 1] = (char)(r->id[r->id_len - 1] + (int)more);
		r->id_line = r->last_line;
		*id = (struct slice){r->id, r->id_len};
		return 0;
	}
	if (!r->file.data || r->file.len > LABEL_BYTES) /* no file yet, or none of ours */
		return ERROR_CORRUPT;
	char digits[20];
	unsigned n = 0;
	uint64_t rest = r->last_line;
	do {
		digits[n++] = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest);
	if (r->file.len + 1 + n > LIMIT_EVENT_ID_BYTES)
		return ERROR_CORRUPT;
	char *p = r->id;
	memcpy(p, r->file.data, r->file.len);
	p += r->file.len;
	*p++ = ':';
	while (n)
		*p++ = digits[--n];
	r->id_len = (size_t)(p - r->id);
	r->id_label = r->file.data;
	r->id_line = r->last_line;
	*id = (struct slice){r->id, r->id_len};
	return 0;
}

/* What a kind has besides lines. */
static int read_details(struct block_reader *r, struct event *event)
{
	if (event->kind == EVENT_REFUND) {
		event->order_id = read_slice(&r->at);
		event->amount_minor = read_signed(&r->at);
		return 0;
	}
	event->points_milli = read_signed(&r->at);
	event->ledger = read_slice(&r->at);
	if (event->kind == EVENT_ADJUST) {
		event->reason = read_slice(&r->at);
		return 0;
	}
	event->reward = read_slice(&r->at);
	const unsigned declined = reader_has(&r->at, 1) ? *r->at.at++ : 0;
	event->declined = declined == 1;
	return declined <= 1 ? 0 : ERROR_CORRUPT;
}

static bool is_between(int64_t value, int64_t min, int64_t max)
{
	return value >= min && value <= max;
}

static bool are_lines_valid(const struct event *event)
{
	for (uint32_t i = 0; i < event->n_lines; i++) {
		const struct order_line *const l = &event->lines[i];
		if (!is_between(l->qty_milli, -LIMIT_QUANTITY_MILLI, LIMIT_QUANTITY_MILLI) ||
		    !is_between(l->price_minor, -LIMIT_AMOUNT_MINOR, LIMIT_AMOUNT_MINOR) ||
		    !is_between(l->amount_minor, -LIMIT_AMOUNT_MINOR, LIMIT_AMOUNT_MINOR))
			return false;
	}
	return true;
}

/* Whether the event is as all that follows may trust it to be (loyalty/event.h). */
static bool is_event_valid(const struct event *event)
{
	if (event->id.len == 0 || event->id.len > LIMIT_EVENT_ID_BYTES ||
	    event->customer.text.len > LIMIT_CUSTOMER_ID_BYTES ||
	    !is_between(event->time_us, LIMIT_TIME_MIN_S * MICROS, LIMIT_TIME_MAX_S * MICROS - 1) ||
	    !are_lines_valid(event))
		return false;
	switch (event->kind) {
	case EVENT_ORDER:
		return event->n_lines > 0;
	case EVENT_REFUND:
		return event->order_id.len > 0 && event->order_id.len <= LIMIT_EVENT_ID_BYTES &&
		       is_between(event->amount_minor, 1, LIMIT_AMOUNT_MINOR);
	case EVENT_REDEEM:
		return is_between(event->points_milli, event->reward.len == 0, LIMIT_POINTS_MILLI);
	case EVENT_ADJUST:
		break;
	}
	return event->points_milli != 0 && is_between(event->points_milli, -LIMIT_POINTS_MILLI, LIMIT_POINTS_MILLI);
}

static int read_event(struct block_reader *r, enum event_kind kind, bool implicit_id, struct block_record *record)
{
	struct event *const event = &record->event;
	event_init(event, kind);
	r->last_line += read_varint(&r->at);
	int rc = 0;
	if (implicit_id)
		rc = make_implicit_id(r, &event->id);
	else
		event->id = read_slice(&r->at);
	if (rc == 0)
		rc = read_customer(&r->at, &event->customer);
	r->last_time_us = (int64_t)((uint64_t)r->last_time_us + (uint64_t)read_signed(&r->at));
	event->time_us = r->last_time_us;
	event->store = read_slice(&r->at);
	if (rc == 0 && kind != EVENT_ORDER)
		rc = read_details(r, event);
	if (rc == 0 && has_lines(kind))
		rc = read_lines(r, event);
	record->kind = BLOCK_EVENT;
	record->implicit_id = implicit_id;
	return rc == 0 && !is_event_valid(event) ? ERROR_CORRUPT : rc;
}

static int read_quarantined(struct block_reader *r, struct block_record *record)
{
	r->last_line += read_varint(&r->at);
	const uint64_t reason = read_varint(&r->at);
	record->text = read_slice(&r->at);
	record->time_us = read_signed(&r->at);
	record->kind = BLOCK_QUARANTINED;
	if (!quarantine_reason_name((unsigned)(reason <= REASON_MAX ? reason : 0)))
		return ERROR_CORRUPT;
	record->reason = (enum quarantine_reason)reason;
	return 0;
}

static void skip_varint(struct reader *r)
{
	while (r->at < r->end && *r->at >= 0x80)
		r->at++;
	if (r->at < r->end)
		r->at++;
	else
		r->bad = true;
}

static void skip_customer(struct reader *r)
{
	switch (reader_has(r, 1) ? *r->at++ : 255) {
	case CUSTOMER_GUEST:
		break;
	case CUSTOMER_NUMBER:
		skip_varint(r);
		break;
	case CUSTOMER_TEXT:
		read_slice(r);
		break;
	default:
		r->bad = true;
		break;
	}
}

static void skip_details(struct reader *r, enum event_kind kind)
{
	if (kind == EVENT_REFUND) {
		read_slice(r);
		skip_varint(r);
		return;
	}
	skip_varint(r);
	read_slice(r);
	read_slice(r);
	if (kind == EVENT_REDEEM && reader_has(r, 1))
		r->at++;
}

static void skip_lines(struct reader *r)
{
	for (uint64_t n = read_varint(r); n && !r->bad; n--) {
		read_slice(r);
		read_slice(r);
		skip_varint(r);
		skip_varint(r);
		skip_varint(r);
	}
}

static void skim_event(struct block_reader *r, enum event_kind kind, bool implicit_id, struct block_record *record)
{
	r->last_line += read_varint(&r->at);
	if (!implicit_id)
		read_slice(&r->at);
	skip_customer(&r->at);
	r->last_time_us = (int64_t)((uint64_t)r->last_time_us + (uint64_t)read_signed(&r->at));
	read_slice(&r->at);
	if (kind != EVENT_ORDER)
		skip_details(&r->at, kind);
	if (has_lines(kind))
		skip_lines(&r->at);
	record->kind = BLOCK_EVENT;
	record->event.kind = kind;
	record->event.time_us = r->last_time_us;
}

static int read_line(struct block_reader *r, struct block_record *record)
{
	r->last_line += read_varint(&r->at);
	record->text = read_slice(&r->at);
	record->kind = BLOCK_LINE;
	return record->text.len <= BLOCK_LINE_MAX ? 0 : ERROR_CORRUPT;
}

static int read_record(struct block_reader *r, unsigned tag, bool skim, struct block_record *record)
{
	enum event_kind kind = EVENT_ORDER;
	switch (tag) {
	case TAG_ORDER:
	case TAG_ORDER_IMPLICIT:
		break;
	case TAG_REFUND:
		kind = EVENT_REFUND;
		break;
	case TAG_REDEEM:
		kind = EVENT_REDEEM;
		break;
	case TAG_ADJUST:
		kind = EVENT_ADJUST;
		break;
	case TAG_QUARANTINED:
		return read_quarantined(r, record);
	case TAG_LINE:
		return read_line(r, record);
	default:
		return ERROR_CORRUPT;
	}
	if (!skim)
		return read_event(r, kind, tag == TAG_ORDER_IMPLICIT, record);
	skim_event(r, kind, tag == TAG_ORDER_IMPLICIT, record);
	return 0;
}

static int next(struct block_reader *r, bool skim, struct block_record *record, struct error *err)
{
	int rc = 0;
	while (rc == 0 && r->at.at < r->at.end) {
		const unsigned tag = *r->at.at++;
		if (tag == TAG_FILE) {
			r->file = read_slice(&r->at);
			r->last_line = 0;
			if (r->at.bad)
				rc = ERROR_CORRUPT;
			continue;
		}
		rc = read_record(r, tag, skim, record);
		if (rc < 0 || r->at.bad)
			break;
		record->file = r->file;
		record->line = r->last_line;
		return 1;
	}
	if (rc == ERROR_NO_MEMORY)
		return error_no_memory(err, LIMIT_ORDER_LINES * sizeof(struct order_line));
	if (rc < 0 || r->at.bad)
		return error_set(err, ERROR_CORRUPT,
				 "a block of source %.*s is not as it should be, though its checksum holds",
				 (int)r->source.len, r->source.data);
	return 0;
}

int block_reader_next(struct block_reader *r, struct block_record *record, struct error *err)
{
	return next(r, false, record, err);
}

int block_reader_skim(struct block_reader *r, struct block_record *record, struct error *err)
{
	return next(r, true, record, err);
}

struct block_place block_reader_place(const struct block_reader *r)
{
	return (struct block_place){r->at.at, r->last_time_us, r->last_line};
}

void block_reader_go(struct block_reader *r, const struct block_place *place, struct slice file)
{
	r->at.at = place->at;
	r->last_time_us = place->last_time_us;
	r->last_line = place->last_line;
	r->file = file;
}

void block_reader_release(struct block_reader *r)
{
	if (!r)
		return;
	free(r->lines);
	*r = (struct block_reader){0};
}
