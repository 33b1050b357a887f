/* Blocks: what goes in comes out, in one go and from any place; what is damaged is seen. */
#include "store/block.h"

#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <xxhash.h>

#define RECORDS_MAX 60u
#define LINES_MAX   6u

/* A record as it was written, with bytes of its own. */
struct made {
	struct block_record record;
	bool implicit_id;
	struct order_line lines[LINES_MAX];
	char texts[12 + 2 * LINES_MAX][24];
	unsigned n_texts;
	char file[LIMIT_EVENT_ID_BYTES];
	char id[LIMIT_EVENT_ID_BYTES + 1];
};

static struct made made[RECORDS_MAX];

static struct slice make_text(struct random *random, struct made *m, size_t most)
{
	char *const text = m->texts[m->n_texts++];
	const size_t len = random_below(random, most + 1);
	for (size_t i = 0; i < len; i++)
		text[i] = (char)random_next(random);
	return (struct slice){text, len};
}

static int64_t make_number(struct random *random)
{
	switch (random_below(random, 6)) {
	case 0:
		return 0;
	case 1:
		return INT64_MIN;
	case 2:
		return INT64_MAX;
	default:
		return (int64_t)(random_next(random) >> random_below(random, 64)) * (random_below(random, 2) ? 1 : -1);
	}
}

/* Often one of the ends. */
static int64_t make_between(struct random *random, int64_t min, int64_t max)
{
	switch (random_below(random, 4)) {
	case 0:
		return min;
	case 1:
		return max;
	default:
		return min + (int64_t)random_below(random, (uint64_t)(max - min) + 1);
	}
}

static int64_t make_amount(struct random *random)
{
	return make_between(random, -LIMIT_AMOUNT_MINOR, LIMIT_AMOUNT_MINOR);
}

/* At least a byte. */
static struct slice make_id(struct random *random, struct made *m)
{
	struct slice id = make_text(random, m, 19);
	m->texts[m->n_texts - 1][id.len++] = 'i';
	return id;
}

static void make_lines(struct random *random, struct made *m, uint32_t n)
{
	m->record.event.n_lines = n;
	m->record.event.lines = m->lines;
	for (uint32_t i = 0; i < n; i++)
		m->lines[i] = (struct order_line){
			.menu = make_text(random, m, 20),
			.sku = make_text(random, m, 20),
			.qty_milli = make_between(random, -LIMIT_QUANTITY_MILLI, LIMIT_QUANTITY_MILLI),
			.price_minor = make_amount(random),
			.amount_minor = make_amount(random)};
}

static void make_details(struct random *random, struct made *m)
{
	struct event *const event = &m->record.event;
	switch (event->kind) {
	case EVENT_ORDER:
		make_lines(random, m, 1 + (uint32_t)random_below(random, LINES_MAX));
		break;
	case EVENT_REFUND:
		event->order_id = make_id(random, m);
		event->amount_minor = make_between(random, 1, LIMIT_AMOUNT_MINOR);
		make_lines(random, m, (uint32_t)random_below(random, LINES_MAX + 1));
		break;
	case EVENT_REDEEM:
		event->ledger = make_text(random, m, 20);
		event->reward = make_text(random, m, 20);
		event->points_milli = make_between(random, event->reward.len == 0, LIMIT_POINTS_MILLI);
		event->declined = random_below(random, 2);
		break;
	case EVENT_ADJUST:
		event->points_milli = make_between(random, 1, LIMIT_POINTS_MILLI) * (random_below(random, 2) ? 1 : -1);
		event->ledger = make_text(random, m, 20);
		event->reason = make_text(random, m, 20);
		break;
	}
}

static void make_record(struct random *random, struct made *m, const char *file)
{
	m->n_texts = 0;
	m->record = (struct block_record){.line = random_next(random) >> random_below(random, 64)};
	snprintf(m->file, sizeof(m->file), "%s", file);
	m->record.file = slice_of(m->file);
	if (random_below(random, 4) == 0) {
		m->record.kind = BLOCK_QUARANTINED;
		m->record.reason = (enum quarantine_reason)(1 + random_below(random, REASON_MAX));
		m->record.text = make_text(random, m, 20);
		m->record.time_us = make_number(random);
		return;
	}
	m->record.kind = BLOCK_EVENT;
	struct event *const event = &m->record.event;
	event->kind = (enum event_kind)(random_below(random, 2) ? EVENT_ORDER : random_below(random, 4));
	m->implicit_id = event->kind == EVENT_ORDER && random_below(random, 2);
	if (m->implicit_id) {
		snprintf(m->id, sizeof(m->id), "%s:%llu", file, (unsigned long long)m->record.line);
		event->id = slice_of(m->id);
	} else {
		event->id = make_id(random, m);
	}
	event->time_us = make_between(random, LIMIT_TIME_MIN_S * 1000000, LIMIT_TIME_MAX_S * 1000000 - 1);
	event->store = make_text(random, m, 5);
	switch (random_below(random, 3)) {
	case 0:
		event->customer.guest = true;
		break;
	case 1:
		event->customer.number = make_number(random);
		break;
	default:
		event->customer.text = make_text(random, m, 20);
		if (event->customer.text.len == 0)
			event->customer.guest = true;
	}
	make_details(random, m);
}

static void assert_slice(struct slice a, struct slice b)
{
	assert_int_equal(a.len, b.len);
	if (a.len)
		assert_memory_equal(a.data, b.data, a.len);
}

static void assert_record(const struct block_record *have, const struct block_record *want)
{
	assert_int_equal(have->kind, want->kind);
	assert_int_equal(have->line, want->line);
	assert_slice(have->file, want->file);
	if (want->kind == BLOCK_QUARANTINED) {
		assert_int_equal(have->reason, want->reason);
		assert_slice(have->text, want->text);
		assert_int_equal(have->time_us, want->time_us);
		return;
	}
	const struct event *const a = &have->event;
	const struct event *const b = &want->event;
	assert_int_equal(a->kind, b->kind);
	assert_slice(a->id, b->id);
	assert_int_equal(a->customer.guest, b->customer.guest);
	assert_int_equal(a->customer.number, b->customer.number);
	assert_slice(a->customer.text, b->customer.text);
	assert_int_equal(a->time_us, b->time_us);
	assert_slice(a->store, b->store);
	assert_slice(a->order_id, b->order_id);
	assert_int_equal(a->amount_minor, b->amount_minor);
	assert_int_equal(a->points_milli, b->points_milli);
	assert_slice(a->ledger, b->ledger);
	assert_slice(a->reward, b->reward);
	assert_slice(a->reason, b->reason);
	assert_int_equal(a->declined, b->declined);
	assert_int_equal(a->n_lines, b->n_lines);
	for (uint32_t i = 0; i < a->n_lines; i++) {
		assert_slice(a->lines[i].menu, b->lines[i].menu);
		assert_slice(a->lines[i].sku, b->lines[i].sku);
		assert_int_equal(a->lines[i].qty_milli, b->lines[i].qty_milli);
		assert_int_equal(a->lines[i].price_minor, b->lines[i].price_minor);
		assert_int_equal(a->lines[i].amount_minor, b->lines[i].amount_minor);
	}
}

static void write_record(struct block_writer *w, const struct made *m)
{
	const struct block_record *const r = &m->record;
	if (r->kind == BLOCK_EVENT)
		assert_int_equal(block_writer_event(w, &r->event, m->implicit_id, r->line), 0);
	else
		assert_int_equal(block_writer_quarantined(w, r->line, r->reason, r->text, r->time_us), 0);
}

/* A block of random records in `made`. */
static struct slice make_block(struct random *random, struct block_writer *w, unsigned *n, struct block_counts *counts)
{
	*counts = (struct block_counts){.time_us = make_number(random)};
	assert_int_equal(block_writer_begin(w, SLICE("till"), counts->time_us), 0);
	*n = (unsigned)random_below(random, RECORDS_MAX + 1);
	char file[LIMIT_EVENT_ID_BYTES] = "";
	for (unsigned i = 0; i < *n; i++) {
		while (i == 0 || random_below(random, 6) == 0) {
			snprintf(file, sizeof(file), "file %u%.*s", (unsigned)random_below(random, 1000),
				 (int)random_below(random, 30), "abcdefghijklmnopqrstuvwxyzabcdefgh");
			assert_int_equal(block_writer_file(w, slice_of(file)), 0);
			if (i == 0)
				break;
		}
		make_record(random, &made[i], file);
		write_record(w, &made[i]);
		if (made[i].record.kind == BLOCK_EVENT) {
			counts->n_events++;
			const struct event *const event = &made[i].record.event;
			/* One row where there are no lines. */
			counts->n_lines += event->kind == EVENT_ORDER || event->n_lines ? event->n_lines : 1;
		} else {
			counts->n_quarantined++;
		}
	}
	const struct slice block = block_writer_finish(w);
	assert_int_equal(block.len, block_writer_size(w));
	return block;
}

static void open_block(struct block_reader *r, struct slice block)
{
	struct error err = {0};
	if (block_reader_open(r, block, &err) < 0)
		fail_msg("%s", err.message);
}

/* Skimming comes by the same records. */
static void assert_skims(struct slice block, unsigned n)
{
	struct block_reader r;
	open_block(&r, block);
	struct block_record record;
	for (unsigned i = 0; i < n; i++) {
		const struct block_record *const want = &made[i].record;
		assert_int_equal(block_reader_skim(&r, &record, NULL), 1);
		assert_int_equal(record.kind, want->kind);
		assert_int_equal(record.line, want->line);
		if (want->kind != BLOCK_EVENT)
			continue;
		assert_int_equal(record.event.kind, want->event.kind);
		assert_int_equal(record.event.time_us, want->event.time_us);
	}
	assert_int_equal(block_reader_skim(&r, &record, NULL), 0);
	block_reader_release(&r);
}

static void test_round_trip(void **state)
{
	(void)state;
	struct block_writer w = {0};
	for (uint64_t seed = 1; seed <= 200; seed++) {
		struct random random;
		random_init(&random, seed);
		unsigned n;
		struct block_counts counts;
		const struct slice block = make_block(&random, &w, &n, &counts);
		struct block_reader r;
		struct block_counts have;
		assert_int_equal(block_counts(block, &have, NULL), 0);
		assert_memory_equal(&have, &counts, sizeof(have));
		open_block(&r, block);
		assert_slice(r.source, SLICE("till"));
		assert_memory_equal(&r.counts, &counts, sizeof(have));
		struct block_record record;
		struct block_place places[RECORDS_MAX];
		struct slice files[RECORDS_MAX];
		for (unsigned i = 0; i < n; i++) {
			places[i] = block_reader_place(&r);
			files[i] = r.file;
			assert_int_equal(block_reader_next(&r, &record, NULL), 1);
			assert_record(&record, &made[i].record);
			if (record.kind == BLOCK_EVENT)
				assert_int_equal(record.implicit_id, made[i].implicit_id);
		}
		assert_int_equal(block_reader_next(&r, &record, NULL), 0);
		assert_int_equal(block_reader_next(&r, &record, NULL), 0);
		assert_skims(block, n);
		/* From any place. */
		for (unsigned i = 0; n && i < 20; i++) {
			const unsigned at = (unsigned)random_below(&random, n);
			block_reader_go(&r, &places[at], files[at]);
			for (unsigned k = at; k < n && k < at + 3; k++) {
				assert_int_equal(block_reader_next(&r, &record, NULL), 1);
				assert_record(&record, &made[k].record);
			}
		}
		block_reader_release(&r);
	}
	block_writer_release(&w);
	block_reader_release(NULL);
}

/* An id is made of the one before where it can be. */
static void test_implicit_ids(void **state)
{
	(void)state;
	static const char *const FILES[] = {"a.txt", "b.txt"};
	const struct order_line line = {.menu = SLICE("tea"), .qty_milli = 1000, .price_minor = 1, .amount_minor = 1};
	const struct event event = {.customer.number = 7, .time_us = 10, .lines = &line, .n_lines = 1};
	struct block_writer w = {0};
	assert_int_equal(block_writer_begin(&w, SLICE("till"), 1), 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(block_writer_file(&w, slice_of(FILES[i])), 0);
		for (uint64_t at = 1, step = 0; at < 12000; at += 1 + step++ % 13 % (i + 7))
			assert_int_equal(block_writer_event(&w, &event, true, at), 0);
	}
	struct block_reader r;
	struct block_record record;
	open_block(&r, block_writer_finish(&w));
	for (unsigned i = 0; i < 2; i++)
		for (uint64_t at = 1, step = 0; at < 12000; at += 1 + step++ % 13 % (i + 7)) {
			char id[32];
			snprintf(id, sizeof(id), "%s:%llu", FILES[i], (unsigned long long)at);
			assert_int_equal(block_reader_next(&r, &record, NULL), 1);
			assert_slice(record.event.id, slice_of(id));
		}
	assert_int_equal(block_reader_next(&r, &record, NULL), 0);
	block_reader_release(&r);
	block_writer_release(&w);
}

/* What was written behind a mark is forgotten, and what follows reads as if it had never been. */
static void test_rewind(void **state)
{
	(void)state;
	struct block_writer w = {0};
	struct block_writer plain = {0};
	for (uint64_t seed = 1; seed <= 50; seed++) {
		struct random random;
		random_init(&random, seed);
		const unsigned n = 1 + (unsigned)random_below(&random, 10);
		assert_int_equal(block_writer_begin(&w, SLICE("till"), 5), 0);
		assert_int_equal(block_writer_begin(&plain, SLICE("till"), 5), 0);
		assert_int_equal(block_writer_file(&w, SLICE("f")), 0);
		assert_int_equal(block_writer_file(&plain, SLICE("f")), 0);
		for (unsigned i = 0; i < n; i++) {
			const struct block_writer_mark mark = block_writer_mark(&w);
			for (uint64_t k = random_below(&random, 4); k > 0; k--) {
				make_record(&random, &made[0], "other");
				assert_int_equal(block_writer_file(&w, SLICE("other")), 0);
				write_record(&w, &made[0]);
			}
			block_writer_rewind(&w, &mark);
			make_record(&random, &made[0], "f");
			write_record(&w, &made[0]);
			write_record(&plain, &made[0]);
		}
		assert_slice(block_writer_finish(&w), block_writer_finish(&plain));
	}
	block_writer_release(&w);
	block_writer_release(&plain);
}

/* Whether an event that was written is read. */
static bool is_read(const struct event *event)
{
	struct block_writer w = {0};
	struct block_reader r;
	struct block_record record;
	struct error err = {0};
	assert_int_equal(block_writer_begin(&w, SLICE("till"), 5), 0);
	assert_int_equal(block_writer_event(&w, event, false, 1), 0);
	open_block(&r, block_writer_finish(&w));
	const int rc = block_reader_next(&r, &record, &err);
	if (rc != 1)
		assert_int_equal(rc, ERROR_CORRUPT);
	block_reader_release(&r);
	block_writer_release(&w);
	return rc == 1;
}

/* A right checksum does not make an event one that the kernel can take. */
static void test_events_that_cannot_be(void **state)
{
	(void)state;
	static char x[200];
	memset(x, 'x', sizeof(x));
	const struct order_line line = {.menu = SLICE("tea"), .qty_milli = 1000, .amount_minor = 100};
	const struct event order = {
		.kind = EVENT_ORDER, .id = SLICE("o"), .customer = {.number = 5}, .lines = &line, .n_lines = 1};
	const struct event refund = {.kind = EVENT_REFUND, .id = SLICE("r"), .order_id = SLICE("o"), .amount_minor = 1};
	const struct event redeem = {.kind = EVENT_REDEEM, .id = SLICE("s"), .points_milli = 1};
	const struct event adjust = {.kind = EVENT_ADJUST, .id = SLICE("a"), .points_milli = -1};
	assert_true(is_read(&order) && is_read(&refund) && is_read(&redeem) && is_read(&adjust));
	for (int over = 0; over < 2; over++) {
		struct event event = order;
		event.id = (struct slice){x, LIMIT_EVENT_ID_BYTES + (size_t)over};
		assert_int_equal(is_read(&event), !over);
		event = order;
		event.customer = (struct customer_id){.text = {x, LIMIT_CUSTOMER_ID_BYTES + (size_t)over}};
		assert_int_equal(is_read(&event), !over);
		event = order;
		event.time_us = LIMIT_TIME_MIN_S * 1000000 - over;
		assert_int_equal(is_read(&event), !over);
		event.time_us = LIMIT_TIME_MAX_S * 1000000 - 1 + over;
		assert_int_equal(is_read(&event), !over);
		for (int sign = -1; sign <= 1; sign += 2)
			for (int i = 0; i < 3; i++) {
				struct order_line odd = line;
				*(i == 0   ? &odd.qty_milli
				  : i == 1 ? &odd.price_minor
					   : &odd.amount_minor) =
					sign * ((i == 0 ? LIMIT_QUANTITY_MILLI : LIMIT_AMOUNT_MINOR) + over);
				event = order;
				event.lines = &odd;
				assert_int_equal(is_read(&event), !over);
			}
		event = refund;
		event.order_id = (struct slice){x, LIMIT_EVENT_ID_BYTES + (size_t)over};
		assert_int_equal(is_read(&event), !over);
		event = refund;
		event.amount_minor = LIMIT_AMOUNT_MINOR + over;
		assert_int_equal(is_read(&event), !over);
		event = redeem;
		event.points_milli = LIMIT_POINTS_MILLI + over;
		assert_int_equal(is_read(&event), !over);
		event = redeem;
		event.points_milli = -over;
		event.reward = SLICE("coffee");
		assert_int_equal(is_read(&event), !over);
		for (int sign = -1; sign <= 1; sign += 2) {
			event = adjust;
			event.points_milli = sign * (LIMIT_POINTS_MILLI + over);
			assert_int_equal(is_read(&event), !over);
		}
	}
	struct event event = order;
	event.id.len = 0;
	assert_false(is_read(&event));
	event = order;
	event.n_lines = 0;
	assert_false(is_read(&event));
	event = order;
	event.time_us = INT64_MAX;
	assert_false(is_read(&event));
	event = refund;
	event.order_id.len = 0;
	assert_false(is_read(&event));
	event = refund;
	event.amount_minor = 0;
	assert_false(is_read(&event));
	event = redeem;
	event.points_milli = 0;
	assert_false(is_read(&event));
	event = adjust;
	event.points_milli = 0;
	assert_false(is_read(&event));
}

static void test_every_damage_is_seen(void **state)
{
	(void)state;
	struct block_writer w = {0};
	struct random random;
	random_init(&random, 7);
	unsigned n;
	struct block_counts counts;
	struct slice block;
	do {
		block = make_block(&random, &w, &n, &counts);
	} while (n < 10);
	char *const copy = malloc(block.len);
	assert_non_null(copy);
	struct block_reader r;
	struct error err;
	for (size_t at = 0; at < block.len; at++) {
		memcpy(copy, block.data, block.len);
		copy[at] = (char)(copy[at] ^ 1 << random_below(&random, 8));
		assert_int_equal(block_reader_open(&r, (struct slice){copy, block.len}, &err), ERROR_CORRUPT);
	}
	for (size_t len = 0; len < block.len; len++) {
		char *const part = malloc(len ? len : 1);
		assert_non_null(part);
		memcpy(part, block.data, len);
		assert_int_equal(block_reader_open(&r, (struct slice){part, len}, &err), ERROR_CORRUPT);
		free(part);
	}
	assert_int_equal(block_counts((struct slice){"PCB1", 4}, &counts, &err), ERROR_CORRUPT);
	free(copy);
	block_writer_release(&w);
}

/* An order of the greatest size, and then small ones. */
static void test_large_order(void **state)
{
	(void)state;
	struct block_writer w = {0};
	struct order_line *const lines = calloc(LIMIT_ORDER_LINES, sizeof(*lines));
	assert_non_null(lines);
	for (uint32_t i = 0; i < LIMIT_ORDER_LINES; i++)
		lines[i] = (struct order_line){.menu = SLICE("latte"), .amount_minor = i};
	const struct event event = {
		.id = SLICE("x"), .customer.number = 1, .lines = lines, .n_lines = LIMIT_ORDER_LINES};
	const struct event small = {.id = SLICE("y"), .customer.number = 1, .lines = lines, .n_lines = 1};
	assert_int_equal(block_writer_begin(&w, SLICE("s"), 0), 0);
	assert_int_equal(block_writer_event(&w, &small, false, 1), 0);
	assert_int_equal(block_writer_event(&w, &event, false, 2), 0);
	assert_int_equal(block_writer_event(&w, &small, false, 3), 0);
	struct block_reader r;
	struct block_record record;
	open_block(&r, block_writer_finish(&w));
	assert_int_equal(block_reader_next(&r, &record, NULL), 1);
	assert_int_equal(block_reader_next(&r, &record, NULL), 1);
	assert_int_equal(record.event.n_lines, LIMIT_ORDER_LINES);
	assert_int_equal(record.event.lines[LIMIT_ORDER_LINES - 1].amount_minor, LIMIT_ORDER_LINES - 1);
	assert_int_equal(record.file.len, 0);
	assert_int_equal(block_reader_next(&r, &record, NULL), 1);
	assert_int_equal(record.event.n_lines, 1);
	block_reader_release(&r);
	block_writer_release(&w);
	free(lines);
}

static void test_labels(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf label = {0};
	_cleanup_buf_ struct buf other = {0};
	char name[300];
	for (size_t len = 0; len < 255; len++) {
		memset(name, 'n', len);
		buf_clear(&label);
		assert_int_equal(block_label((struct slice){name, len}, &label), 0);
		assert_true(label.len <= 48);
		if (len <= 48)
			assert_slice((struct slice){label.data, label.len}, (struct slice){name, len});
	}
	/* Long names that begin alike are told apart, by the same label each time. */
	memset(name, 'n', 250);
	buf_clear(&label);
	assert_int_equal(block_label((struct slice){name, 250}, &label), 0);
	assert_int_equal(block_label((struct slice){name, 250}, &other), 0);
	assert_slice((struct slice){label.data, label.len}, (struct slice){other.data, other.len});
	name[249] = 'm';
	buf_clear(&other);
	assert_int_equal(block_label((struct slice){name, 250}, &other), 0);
	assert_false(slice_equal((struct slice){label.data, label.len}, (struct slice){other.data, other.len}));
	/* Cut between characters, wherever the boundary falls. */
	for (size_t shift = 0; shift < 4; shift++) {
		memset(name, 'n', shift);
		for (size_t i = shift; i + 3 <= 250; i += 3)
			memcpy(name + i, "\xe0\xb8\x81", 3);
		buf_clear(&label);
		assert_int_equal(block_label((struct slice){name, 200}, &label), 0);
		const char *const tilde = memchr(label.data, '~', label.len);
		assert_non_null(tilde);
		assert_int_equal(((size_t)(tilde - label.data) - shift) % 3, 0);
	}
	/* The longest line number behind the longest label is still an id. */
	struct block_writer w = {0};
	const struct order_line line = {0};
	const struct event event = {.customer.guest = true, .lines = &line, .n_lines = 1};
	buf_clear(&label);
	memset(name, 'n', 250);
	assert_int_equal(block_label((struct slice){name, 250}, &label), 0);
	assert_int_equal(block_writer_begin(&w, SLICE("s"), 0), 0);
	assert_int_equal(block_writer_file(&w, (struct slice){label.data, label.len}), 0);
	assert_int_equal(block_writer_event(&w, &event, true, UINT64_C(999999999999999)), 0);
	struct block_reader r;
	struct block_record record;
	open_block(&r, block_writer_finish(&w));
	assert_int_equal(block_reader_next(&r, &record, NULL), 1);
	assert_int_equal(record.event.id.len, LIMIT_EVENT_ID_BYTES);
	block_reader_release(&r);
	block_writer_release(&w);
}

/* Blocks of the first version, when all events were orders, are read as they were: these bytes never change. */
static void test_first_version(void **state)
{
	(void)state;
	static const char RECORDS[] =
		"\x04\x01"
		"f"                                           /* file f */
		"\x02\x03\x01\x0e\x14\x00"                    /* line 3, customer 7, time 10 */
		"\x01\x01"                                    /* one line */
		"m\x00\xd0\x0f\x06\x08"                       /* m, 1000, 3, 4 */
		"\x01\x01\x02id\x02\x02\x61\x62\x02\x01s\x01" /* line 4, id, ab, time 11, store s */
		"\x00\x01k\x02\x04\x06";                      /* sku k, 1, 2, 3 */
	char block[200];
	memcpy(block, "PCB1", 4);
	char *p = put_u64(block + 12, 5);
	p = put_u64(p, 2);
	p = put_u64(p, 2);
	p = put_u64(p, 0);
	p = put_slice(p, SLICE("till"));
	memcpy(p, RECORDS, sizeof(RECORDS) - 1);
	p += sizeof(RECORDS) - 1;
	put_u64(block + 4, XXH3_64bits(block + 12, (size_t)(p - block) - 12));
	struct block_reader r;
	struct block_record record;
	open_block(&r, (struct slice){block, (size_t)(p - block)});
	assert_int_equal(block_reader_next(&r, &record, NULL), 1);
	assert_int_equal(record.event.kind, EVENT_ORDER);
	assert_slice(record.event.id, SLICE("f:3"));
	assert_int_equal(record.event.customer.number, 7);
	assert_int_equal(record.event.time_us, 10);
	assert_slice(record.event.lines[0].menu, SLICE("m"));
	assert_int_equal(record.event.lines[0].qty_milli, 1000);
	assert_int_equal(record.event.lines[0].amount_minor, 4);
	assert_int_equal(block_reader_next(&r, &record, NULL), 1);
	assert_slice(record.event.id, SLICE("id"));
	assert_slice(record.event.customer.text, SLICE("ab"));
	assert_int_equal(record.event.time_us, 11);
	assert_slice(record.event.store, SLICE("s"));
	assert_slice(record.event.lines[0].sku, SLICE("k"));
	assert_int_equal(record.event.lines[0].price_minor, 2);
	assert_int_equal(block_reader_next(&r, &record, NULL), 0);
	/* … and written as they were. */
	struct block_writer w = {0};
	assert_int_equal(block_writer_begin(&w, SLICE("till"), 5), 0);
	assert_int_equal(block_writer_file(&w, SLICE("f")), 0);
	const struct order_line first = {.menu = SLICE("m"), .qty_milli = 1000, .price_minor = 3, .amount_minor = 4};
	const struct order_line second = {.sku = SLICE("k"), .qty_milli = 1, .price_minor = 2, .amount_minor = 3};
	const struct event implicit = {.customer.number = 7, .time_us = 10, .lines = &first, .n_lines = 1};
	const struct event own = {.id = SLICE("id"),
				  .customer.text = SLICE("ab"),
				  .time_us = 11,
				  .store = SLICE("s"),
				  .lines = &second,
				  .n_lines = 1};
	assert_int_equal(block_writer_event(&w, &implicit, true, 3), 0);
	assert_int_equal(block_writer_event(&w, &own, false, 4), 0);
	assert_slice(block_writer_finish(&w), (struct slice){block, (size_t)(p - block)});
	block_writer_release(&w);
	block_reader_release(&r);
}

static void payload(const struct event *event, struct buf *out)
{
	buf_clear(out);
	assert_int_equal(block_event_payload(event, out), 0);
}

/* Each field of each kind makes another payload; the id does not, nor what the kind has not. */
static void test_payload(void **state)
{
	(void)state;
	const struct order_line line = {
		.menu = SLICE("m"), .sku = SLICE("s"), .qty_milli = 1000, .price_minor = 3, .amount_minor = 4};
	const struct event order = {
		.id = SLICE("x"), .customer.number = 7, .time_us = 10, .lines = &line, .n_lines = 1};
	struct event refund = order;
	refund.kind = EVENT_REFUND;
	refund.order_id = SLICE("o");
	refund.amount_minor = 4;
	struct event by_amount = refund;
	by_amount.n_lines = 0;
	const struct event redeem = {.kind = EVENT_REDEEM,
				     .customer.number = 7,
				     .time_us = 10,
				     .points_milli = 5,
				     .ledger = SLICE("a"),
				     .reward = SLICE("b")};
	struct event adjust = {.kind = EVENT_ADJUST,
			       .customer.number = 7,
			       .time_us = 10,
			       .points_milli = 5,
			       .ledger = SLICE("a"),
			       .reason = SLICE("b")};
	struct event all[40];
	unsigned n = 0;
	const struct event bases[] = {order, refund, by_amount, redeem, adjust};
	for (size_t i = 0; i < 5; i++) {
		all[n++] = bases[i];
		all[n] = bases[i];
		all[n++].time_us = 11;
		all[n] = bases[i];
		all[n++].store = SLICE("t");
		all[n] = bases[i];
		all[n++].customer.number = 8;
		all[n] = bases[i];
		all[n++].customer = (struct customer_id){.text = SLICE("7")};
	}
	all[n] = refund;
	all[n++].order_id = SLICE("p");
	all[n] = by_amount;
	all[n++].amount_minor = 5;
	all[n] = redeem;
	all[n++].points_milli = 6;
	all[n] = redeem;
	all[n++].declined = true;
	all[n] = redeem;
	all[n].ledger = SLICE("ab");
	all[n++].reward = SLICE("");
	all[n] = redeem;
	all[n++].ledger = SLICE("");
	all[n] = adjust;
	all[n++].points_milli = -5;
	all[n] = adjust;
	all[n].ledger = SLICE("");
	all[n++].reason = SLICE("ab");
	all[n] = order;
	all[n].customer.number = 0;
	all[n++].customer.guest = true;
	_cleanup_buf_ struct buf a = {0};
	_cleanup_buf_ struct buf b = {0};
	for (unsigned i = 0; i < n; i++) {
		payload(&all[i], &a);
		for (unsigned k = 0; k < n; k++) {
			payload(&all[k], &b);
			const bool same = slice_equal((struct slice){a.data, a.len}, (struct slice){b.data, b.len});
			if (same != (i == k))
				fail_msg("%u and %u", i, k);
		}
	}
	adjust.id = SLICE("other");
	payload(&bases[4], &a);
	payload(&adjust, &b);
	assert_slice((struct slice){a.data, a.len}, (struct slice){b.data, b.len});
	/* Of an order: what the index of ids of an older deployment has. */
	payload(&order, &a);
	assert_slice((struct slice){a.data, a.len}, SLICE("\x00\x0e\x00\x14\x00\x01m\x01s\xd0\x0f\x06\x08"));
}

static void test_reason_names(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= REASON_MAX; i++) {
		assert_non_null(quarantine_reason_name(i));
		for (unsigned k = 1; k < i; k++)
			assert_string_not_equal(quarantine_reason_name(i), quarantine_reason_name(k));
	}
	assert_null(quarantine_reason_name(0));
	assert_null(quarantine_reason_name(REASON_MAX + 1));
	assert_string_equal(quarantine_reason_name(REASON_FILE_NAME_REUSED), "file_name_reused");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_implicit_ids),
		cmocka_unit_test(test_rewind),
		cmocka_unit_test(test_events_that_cannot_be),
		cmocka_unit_test(test_every_damage_is_seen),
		cmocka_unit_test(test_large_order),
		cmocka_unit_test(test_labels),
		cmocka_unit_test(test_first_version),
		cmocka_unit_test(test_payload),
		cmocka_unit_test(test_reason_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
