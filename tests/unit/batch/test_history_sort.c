/* The sort of rows by customer: every row comes once, customers in order, also when most of it was spilled. */
#include "batch/history_sort.h"

#include "base/bytes.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ID_BYTES 64

struct shape {
	enum customer_id_type type;
	const char *prefix; /* of text ids */
	uint32_t rows;
	uint32_t customers;
	size_t row_bytes;
	size_t memory_bytes;
};

static uint64_t mix(uint64_t x)
{
	x ^= x >> 31;
	x *= UINT64_C(0x9e3779b97f4a7c15);
	return x ^ x >> 29;
}

/* Every other row is of customer 0: the skew of a shop's own card. */
static uint32_t customer_of(const struct shape *shape, uint32_t row)
{
	return row % 2 ? 0 : (uint32_t)(mix(row) % shape->customers);
}

/* Numbers of both signs, in the order of the customers; texts of many lengths, in another. */
static struct customer_id id_of(const struct shape *shape, uint32_t customer, char *text)
{
	if (shape->type == CUSTOMER_ID_INTEGER)
		return (struct customer_id){.number = customer == 0                      ? INT64_MIN
						      : customer == shape->customers - 1 ? INT64_MAX
											 : (int64_t)customer - 50};
	const int len = customer == 1 ? sprintf(text, "%s", shape->prefix)
				      : sprintf(text, "%s%" PRIu32 "%.*s", shape->prefix, customer,
						(int)(customer % 20), "aaaaaaaaaaaaaaaaaaaaaaaa");
	return (struct customer_id){.text = {text, (size_t)len}};
}

#define SORTERS_MAX 3u

/* Through one sorter, or several whose rows the first takes over. */
static void put_rows(struct row_sorter **sorters, unsigned n, const struct shape *shape)
{
	struct error err;
	char text[ID_BYTES];
	for (uint32_t row = 0; row < shape->rows; row++) {
		struct row_sorter *const sorter = sorters[row / 7 % n];
		const struct customer_id id = id_of(shape, customer_of(shape, row), text);
		char *at;
		assert_int_equal(row_sorter_room(sorter, &id, shape->row_bytes, &at, &err), 0);
		memset(at, 'x', shape->row_bytes);
		put_u32(at, row);
		row_sorter_add(sorter, &id, at + shape->row_bytes);
	}
	for (unsigned i = 1; i < n; i++)
		assert_int_equal(row_sorter_join(sorters[0], sorters[i], &err), 0);
	assert_int_equal(row_sorter_finish(sorters[0], &err), 0);
}

static void take_rows(struct row_sorter *sorter, const struct shape *shape)
{
	struct error err;
	bool *const seen = calloc(shape->rows + 1, sizeof(*seen));
	uint32_t n = 0;
	char last_text[ID_BYTES];
	struct customer_id last = {0};
	struct customer_id id;
	bool found = false;
	for (uint32_t customers = 0; row_sorter_customer(sorter, &id, &found, &err) == 0 && found; customers++) {
		if (customers)
			assert_true(customer_compare(&last, &id) < 0);
		last = id;
		if (id.text.len)
			memcpy(last_text, id.text.data, id.text.len);
		last.text.data = last_text;
		struct slice row;
		while (row_sorter_row(sorter, &row, &found, &err) == 0 && found) {
			assert_int_equal(row.len, shape->row_bytes);
			struct reader r = reader_of(row);
			const uint32_t number = read_u32(&r);
			assert_true(number < shape->rows && !seen[number]);
			seen[number] = true;
			n++;
			char text[ID_BYTES];
			const struct customer_id expected = id_of(shape, customer_of(shape, number), text);
			assert_int_equal(customer_compare(&last, &expected), 0);
		}
	}
	assert_int_equal(n, shape->rows);
	free(seen);
}

static void test_sort(void **state)
{
	(void)state;
	const size_t mib = (size_t)1 << 20;
	const struct shape shapes[] = {
		{CUSTOMER_ID_INTEGER, "", 0, 100, 8, mib},
		{CUSTOMER_ID_INTEGER, "", 1, 100, 8, mib},
		{CUSTOMER_ID_INTEGER, "", 3000, 100, 8, mib},
		{CUSTOMER_ID_INTEGER, "", 3000, 1, 8, mib},
		{CUSTOMER_ID_INTEGER, "", 200000, 5000, 30, mib},
		{CUSTOMER_ID_INTEGER, "", 200000, 5000, 30, 4 * mib},
		{CUSTOMER_ID_INTEGER, "", 200000, 5000, 30, 64 * mib},
		{CUSTOMER_ID_INTEGER, "", 40, 7, 300000, mib},
		{CUSTOMER_ID_TEXT, "", 3000, 500, 8, mib},
		{CUSTOMER_ID_TEXT, "customer-000000-", 100000, 3000, 20, mib},
		{CUSTOMER_ID_TEXT, "customer-000000-", 100000, 3000, 20, 3 * mib},
		{CUSTOMER_ID_TEXT, "", 100000, 90000, 20, 3 * mib},
		{CUSTOMER_ID_TEXT, "customer-000000-", 100000, 3000, 20, 64 * mib},
		{CUSTOMER_ID_TEXT, "", 2000, 1, 8, mib},
	};
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		for (unsigned n = 1; n <= SORTERS_MAX; n += 2) {
			struct row_sorter *sorters[SORTERS_MAX] = {NULL};
			struct error err;
			for (unsigned at = 0; at < n; at++)
				assert_int_equal(row_sorter_open(shapes[i].type, "/tmp", shapes[i].memory_bytes / n,
								 &sorters[at], &err),
						 0);
			put_rows(sorters, n, &shapes[i]);
			take_rows(sorters[0], &shapes[i]);
			for (unsigned at = 0; at < n; at++)
				row_sorter_close(sorters[at]);
		}
	}
}

/* Who stops in the middle leaves nothing behind. */
static void test_close_early(void **state)
{
	(void)state;
	const struct shape shape = {CUSTOMER_ID_TEXT, "c", 100000, 300, 40, (size_t)1 << 20};
	struct row_sorter *sorter = NULL;
	struct error err;
	struct customer_id id;
	struct slice row;
	bool found;
	assert_int_equal(row_sorter_open(shape.type, "/tmp", shape.memory_bytes, &sorter, &err), 0);
	put_rows(&sorter, 1, &shape);
	assert_int_equal(row_sorter_customer(sorter, &id, &found, &err), 0);
	assert_int_equal(row_sorter_row(sorter, &row, &found, &err), 0);
	assert_true(found);
	row_sorter_close(sorter);
	row_sorter_close(NULL);
}

static void test_nowhere_to_spill(void **state)
{
	(void)state;
	struct row_sorter *sorter = NULL;
	struct error err;
	int rc = row_sorter_open(CUSTOMER_ID_INTEGER, "/nowhere", (size_t)1 << 20, &sorter, &err);
	assert_int_equal(rc, 0);
	const struct customer_id id = {.number = 1};
	for (unsigned i = 0; rc == 0 && i < 100; i++) {
		char *at;
		rc = row_sorter_room(sorter, &id, 50000, &at, &err);
		if (rc == 0) {
			memset(at, 0, 50000);
			row_sorter_add(sorter, &id, at + 50000);
		}
	}
	assert_true(rc < 0);
	assert_non_null(strstr(err.message, "/nowhere"));
	row_sorter_close(sorter);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sort),
		cmocka_unit_test(test_close_early),
		cmocka_unit_test(test_nowhere_to_spill),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
