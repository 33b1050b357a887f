/* Events of a batch come back as facts, by customer and in their order. */
#include "speed/view_batch.h"

#include "../loyalty/make_programme.h"
#include "base/random.h"

#include <stdio.h>

#define EVENTS 400u

struct made {
	char customer_text[16];
	struct customer_id customer;
	char id_text[24];
	struct fact fact;
};

struct shelf {
	struct programme *programme;
	struct made made[EVENTS];
	size_t n;
	struct view_batch *batch;
};

static int compare_customers(const struct customer_id *a, const struct customer_id *b)
{
	if (a->text.len == 0)
		return (a->number > b->number) - (a->number < b->number);
	const size_t common = a->text.len < b->text.len ? a->text.len : b->text.len;
	const int order = memcmp(a->text.data, b->text.data, common);
	return order ? order : (a->text.len > b->text.len) - (a->text.len < b->text.len);
}

struct place {
	const struct made *made;
};

static int compare_places(const void *a, const void *b)
{
	const struct made *const x = ((const struct place *)a)->made;
	const struct made *const y = ((const struct place *)b)->made;
	const int order = compare_customers(&x->customer, &y->customer);
	return order ? order : fact_compare(&x->fact, &y->fact);
}

/* Numbers of both signs; texts that begin alike, some a beginning of others. */
static void make_customer(struct random *random, struct made *m, bool text_ids)
{
	const unsigned which = (unsigned)random_below(random, 60);
	if (!text_ids) {
		m->customer.number = ((int64_t)which - 20) * (which % 3 ? 1 : INT64_C(1) << 40);
		return;
	}
	snprintf(m->customer_text, sizeof(m->customer_text), which % 2 ? "card-0000-%u" : "c%u", which / 4);
	m->customer.text = slice_of(m->customer_text);
}

static void make_event(struct random *random, struct made *m, struct event *event, struct order_line line[2])
{
	*event = (struct event){.kind = (enum event_kind)random_below(random, 4),
				.customer = m->customer,
				.id = slice_of(m->id_text),
				.time_us = (int64_t)random_below(random, 50) * 86400000000 / 7};
	line[0] =
		(struct order_line){.menu = SLICE("tea"), .qty_milli = 2000, .price_minor = 500, .amount_minor = 1000};
	line[1] =
		(struct order_line){.menu = SLICE("gift"), .qty_milli = 1000, .price_minor = 700, .amount_minor = 700};
	switch (event->kind) {
	case EVENT_ORDER:
		event->lines = line;
		event->n_lines = 1 + (uint32_t)random_below(random, 2);
		break;
	case EVENT_REFUND:
		event->order_id = SLICE("o-1");
		event->amount_minor = 1 + (int64_t)random_below(random, 100000);
		break;
	case EVENT_REDEEM:
		event->points_milli = 1 + (int64_t)random_below(random, 100000);
		event->ledger = random_below(random, 2) ? SLICE("stamps") : SLICE("nonsense");
		event->declined = random_below(random, 2);
		break;
	case EVENT_ADJUST:
		event->points_milli = 1 - (int64_t)random_below(random, 100000) * 2;
		break;
	}
}

/* A block of a file, read into the batch; what is in it stands in shelf->made, but guests. */
static void add_block(struct shelf *s, struct random *random, bool text_ids, unsigned file)
{
	struct block_writer w = {0};
	char label[16];
	const struct slice source = file % 2 ? SLICE("till") : SLICE("web");
	snprintf(label, sizeof(label), "f%u.txt", file / 2);
	assert_int_equal(block_writer_begin(&w, source, 1), 0);
	assert_int_equal(block_writer_file(&w, slice_of(label)), 0);
	for (uint64_t line = 1; line <= EVENTS / 8; line++) {
		struct made *const m = &s->made[s->n++];
		struct event event;
		struct order_line lines[2];
		make_customer(random, m, text_ids);
		snprintf(m->id_text, sizeof(m->id_text), "id-%u", (unsigned)random_below(random, 1000));
		make_event(random, m, &event, lines);
		const bool implicit = event.kind == EVENT_ORDER && line % 3;
		if (implicit)
			snprintf(m->id_text, sizeof(m->id_text), "%s:%u", label, (unsigned)line);
		event.id = slice_of(m->id_text);
		assert_int_equal(block_writer_event(&w, &event, implicit, line), 0);
		fact_of_event(&m->fact, s->programme, &event, source);
	}
	const struct event guest = {.customer.guest = true,
				    .id = SLICE("g"),
				    .lines = &(struct order_line){.amount_minor = 5},
				    .n_lines = 1};
	assert_int_equal(block_writer_event(&w, &guest, false, EVENTS), 0);
	struct block_reader r;
	struct block_record record;
	assert_int_equal(block_reader_open(&r, block_writer_finish(&w), NULL), 0);
	while (block_reader_next(&r, &record, NULL) == 1)
		assert_int_equal(view_batch_add(s->batch, &record, r.source, NULL), 0);
	block_reader_release(&r);
	block_writer_release(&w);
}

static void assert_fact(const struct fact *have, const struct fact *want)
{
	assert_int_equal(fact_compare(have, want), 0);
	assert_int_equal(have->reject, want->reject);
	assert_int_equal(have->day, want->day);
	assert_int_equal(have->total_minor, want->total_minor);
	assert_int_equal(have->eligible_minor, want->eligible_minor);
	assert_int_equal(have->order_hash, want->order_hash);
	assert_int_equal(have->points_milli, want->points_milli);
	assert_int_equal(have->ledger, want->ledger);
	assert_int_equal(have->declined, want->declined);
	assert_int_equal(have->item_rules, want->item_rules);
	assert_memory_equal(have->items, want->items, sizeof(have->items));
}

static void check_all(struct shelf *s)
{
	struct place order[EVENTS];
	for (size_t i = 0; i < s->n; i++)
		order[i].made = &s->made[i];
	qsort(order, s->n, sizeof(*order), compare_places);
	assert_int_equal(view_batch_sort(s->batch, NULL), 0);
	struct customer_id id;
	struct customer_id before = {0};
	size_t at = 0;
	for (size_t customers = 0; view_batch_customer(s->batch, &id); customers++) {
		assert_true(customers == 0 || compare_customers(&before, &id) < 0);
		before = id;
		struct fact fact;
		const size_t first = at;
		while (view_batch_fact(s->batch, &fact)) {
			assert_true(at < s->n);
			assert_int_equal(compare_customers(&order[at].made->customer, &id), 0);
			assert_fact(&fact, &order[at].made->fact);
			at++;
		}
		assert_true(at > first);
	}
	assert_int_equal(at, s->n);
}

static void check(bool text_ids)
{
	struct shelf *const s = calloc(1, sizeof(*s));
	assert_non_null(s);
	s->programme = make_programme("Europe/Berlin");
	add_ledger(s->programme, "stamps");
	add_rule(s->programme, "base", RULE_PER_AMOUNT, 1000, 100);
	add_rule(s->programme, "tea", RULE_PER_ITEM, 1000, 0)->ledger = 1;
	add_item(s->programme, "tea", UINT64_C(1) << 1, false);
	add_item(s->programme, "gift", 0, true);
	make_ready(s->programme);
	s->batch = view_batch_new(s->programme, text_ids);
	assert_non_null(s->batch);
	struct random random;
	random_init(&random, text_ids);
	for (unsigned round = 0; round < 10; round++) {
		s->n = 0;
		memset(s->made, 0, sizeof(s->made));
		for (unsigned file = 0; file < 8; file++)
			add_block(s, &random, text_ids, file);
		check_all(s);
		view_batch_clear(s->batch);
	}
	view_batch_free(s->batch);
	programme_free(s->programme);
	free(s);
}

static void test_numbers(void **state)
{
	(void)state;
	check(false);
}

static void test_texts(void **state)
{
	(void)state;
	check(true);
}

static void test_empty(void **state)
{
	(void)state;
	struct programme *const programme = make_programme("UTC");
	make_ready(programme);
	struct view_batch *const batch = view_batch_new(programme, false);
	struct customer_id id;
	assert_int_equal(view_batch_sort(batch, NULL), 0);
	assert_false(view_batch_customer(batch, &id));
	view_batch_free(batch);
	view_batch_free(NULL);
	programme_free(programme);
}

/* An id of the other type is an error, and no crash. */
static void test_other_type(void **state)
{
	(void)state;
	struct programme *const programme = make_programme("UTC");
	make_ready(programme);
	struct view_batch *const batch = view_batch_new(programme, true);
	const struct block_record record = {.kind = BLOCK_EVENT,
					    .event = {.kind = EVENT_ADJUST, .id = SLICE("a"), .customer.number = 7}};
	struct error err = {0};
	assert_int_equal(view_batch_add(batch, &record, SLICE("till"), &err), ERROR_INPUT);
	assert_non_null(strstr(err.message, "customer_id"));
	view_batch_free(batch);
	programme_free(programme);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_other_type),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
