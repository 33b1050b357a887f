/* The order whose lines are being read, against a plain array of copies. */
#include "speed/pending.h"

#include "base/limits.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct order_row row_of(const char *id, const char *line_id)
{
	return (struct order_row){
		.id = slice_of(id),
		.line_id = slice_of(line_id),
		.customer.number = 7,
		.time_us = 5,
		.store = SLICE("s"),
		.line = {.menu = SLICE("tea"),
			 .sku = SLICE("t-1"),
			 .qty_milli = 1,
			 .price_minor = 2,
			 .amount_minor = 3},
	};
}

static void test_one_order(void **state)
{
	(void)state;
	struct pending pending = {0};
	const struct order_row first = row_of("r1", "1");
	assert_false(pending_is(&pending, SLICE("r1")));
	assert_false(pending_is(&pending, SLICE("")));
	assert_int_equal(pending_start(&pending, &first, SLICE("raw 1"), 10), 0);
	assert_true(pending_is(&pending, SLICE("r1")));
	assert_false(pending_is(&pending, SLICE("r")) || pending_is(&pending, SLICE("r12")));
	const struct order_row second = row_of("r1", "2");
	assert_int_equal(pending_add(&pending, &second, SLICE("raw 2"), 11), PENDING_ADDED);
	assert_int_equal(pending_add(&pending, &second, SLICE("raw 2"), 12), PENDING_DUPLICATE);
	assert_int_equal(pending_add(&pending, &second, SLICE("raw 2 "), 13), PENDING_REFUSED);
	assert_int_equal(pending_add(&pending, &first, SLICE("raw 1"), 14), PENDING_DUPLICATE);
	/* Each way to contradict the first line. */
	for (int what = 0; what < 5; what++) {
		struct order_row other = row_of("r1", "9");
		if (what == 0)
			other.time_us = 6;
		else if (what == 1)
			other.store = SLICE("t");
		else if (what == 2)
			other.customer.number = 8;
		else if (what == 3)
			other.customer = (struct customer_id){.guest = true};
		else
			other.customer = (struct customer_id){.text = SLICE("7")};
		assert_int_equal(pending_add(&pending, &other, SLICE("raw"), 15), PENDING_REFUSED);
	}
	assert_int_equal(pending.n_lines, 2);
	struct event event;
	pending_event(&pending, &event);
	assert_int_equal(event.kind, EVENT_ORDER);
	assert_true(slice_is(event.id, "r1") && slice_is(event.store, "s") && event.customer.number == 7);
	assert_int_equal(event.n_lines, 2);
	assert_true(slice_is(event.lines[1].menu, "tea") && slice_is(event.lines[1].sku, "t-1"));
	assert_true(slice_is(pending_raw(&pending, 0), "raw 1") && slice_is(pending_raw(&pending, 1), "raw 2"));
	assert_int_equal(pending.lines[1].line, 11);
	pending_clear(&pending);
	assert_false(pending_is(&pending, SLICE("r1")));
	assert_int_equal(pending.n_lines, 0);
	pending_release(&pending);
	pending_release(&pending);
}

/* Without line ids the same line twice is two lines. */
static void test_without_line_ids(void **state)
{
	(void)state;
	struct pending pending = {0};
	const struct order_row row = row_of("r1", "");
	assert_int_equal(pending_start(&pending, &row, SLICE("raw"), 1), 0);
	assert_int_equal(pending_add(&pending, &row, SLICE("raw"), 2), PENDING_ADDED);
	assert_int_equal(pending.n_lines, 2);
	pending_release(&pending);
}

static void test_limits(void **state)
{
	(void)state;
	struct pending pending = {0};
	struct order_row row = row_of("r1", "");
	assert_int_equal(pending_start(&pending, &row, SLICE("x"), 1), 0);
	for (uint32_t i = 1; i < LIMIT_ORDER_LINES; i++)
		assert_int_equal(pending_add(&pending, &row, SLICE("x"), i + 1), PENDING_ADDED);
	assert_int_equal(pending_add(&pending, &row, SLICE("x"), 1), PENDING_REFUSED);
	struct event event;
	pending_event(&pending, &event);
	assert_int_equal(event.n_lines, LIMIT_ORDER_LINES);
	assert_true(slice_is(event.lines[LIMIT_ORDER_LINES - 1].menu, "tea"));
	/* Long lines: the memory is bounded, too. */
	char *const raw = malloc(LIMIT_LINE_BYTES);
	assert_non_null(raw);
	memset(raw, 'r', LIMIT_LINE_BYTES);
	const struct slice long_line = {raw, LIMIT_LINE_BYTES};
	assert_int_equal(pending_start(&pending, &row, long_line, 1), 0);
	unsigned n = 1;
	while (n < 1000 && pending_add(&pending, &row, long_line, n) == PENDING_ADDED)
		n++;
	assert_in_range(n, 60, 70);
	free(raw);
	pending_release(&pending);
}

/* Many orders one after another, their bytes gone from where they were read. */
static void test_copies(void **state)
{
	(void)state;
	struct pending pending = {0};
	struct random random;
	random_init(&random, 3);
	for (unsigned order = 0; order < 300; order++) {
		struct {
			char menu[40];
			char sku[40];
			char raw[40];
		} expected[50];
		char id[32];
		char customer[32];
		snprintf(id, sizeof(id), "order %u", order);
		snprintf(customer, sizeof(customer), "c%u", order * 7);
		const uint32_t n = 1 + (uint32_t)random_below(&random, 50);
		for (uint32_t i = 0; i < n; i++) {
			snprintf(expected[i].menu, sizeof(expected[i].menu), "%.*s", (int)random_below(&random, 30),
				 "menumenumenumenumenumenumenumenu");
			snprintf(expected[i].sku, sizeof(expected[i].sku), "%.*s%u", (int)random_below(&random, 20),
				 "skuskuskuskuskuskusku", i);
			snprintf(expected[i].raw, sizeof(expected[i].raw), "raw %u %llu", i,
				 (unsigned long long)random_next(&random));
			/* Buffers that end with this line. */
			char line_id[16];
			char menu[40];
			char sku[40];
			char raw[40];
			snprintf(line_id, sizeof(line_id), "%u", i);
			memcpy(menu, expected[i].menu, sizeof(menu));
			memcpy(sku, expected[i].sku, sizeof(sku));
			memcpy(raw, expected[i].raw, sizeof(raw));
			struct order_row row = row_of(id, line_id);
			row.customer = (struct customer_id){.text = slice_of(customer)};
			row.line = (struct order_line){
				.menu = slice_of(menu), .sku = slice_of(sku), .amount_minor = (int64_t)i * order};
			assert_int_equal(i ? pending_add(&pending, &row, slice_of(raw), i)
					   : pending_start(&pending, &row, slice_of(raw), i),
					 0);
			memset(menu, '?', sizeof(menu));
			memset(sku, '?', sizeof(sku));
			memset(raw, '?', sizeof(raw));
			memset(line_id, '?', sizeof(line_id));
		}
		struct event event;
		pending_event(&pending, &event);
		assert_int_equal(event.n_lines, n);
		assert_true(slice_is(event.id, id) && slice_is(event.customer.text, customer));
		for (uint32_t i = 0; i < n; i++) {
			assert_true(slice_is(event.lines[i].menu, expected[i].menu));
			assert_true(slice_is(event.lines[i].sku, expected[i].sku));
			assert_true(slice_is(pending_raw(&pending, i), expected[i].raw));
			assert_int_equal(event.lines[i].amount_minor, (int64_t)i * order);
		}
	}
	pending_release(&pending);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_order),
		cmocka_unit_test(test_without_line_ids),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_copies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
