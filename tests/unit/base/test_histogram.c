#include "base/histogram.h"

#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct histogram *fresh(void **state)
{
	struct histogram *const h = *state;
	*h = (struct histogram){0};
	return h;
}

static int compare(const void *a, const void *b)
{
	const int64_t left = *(const int64_t *)a;
	const int64_t right = *(const int64_t *)b;
	return (left > right) - (left < right);
}

static void test_empty(void **state)
{
	const struct histogram *const h = fresh(state);
	struct histogram_counts counts;
	histogram_read(h, &counts);
	assert_int_equal(counts.n, 0);
	assert_int_equal(histogram_percentile(&counts, 500), 0);
	assert_int_equal(histogram_percentile(&counts, 1000), 0);
}

/* Every duration is in a bucket, buckets rise with durations, and none is wider than 1/32 of what is in it. */
static void test_buckets(void **state)
{
	(void)state;
	unsigned before = 0;
	uint64_t first = 0;
	for (uint64_t us = 0; us <= 1u << 20; us++) {
		const unsigned bucket = histogram_bucket(us);
		assert_true(bucket == before || bucket == before + 1);
		if (bucket != before)
			first = us;
		assert_true(us - first <= us / 32);
		before = bucket;
	}
	assert_int_equal(histogram_bucket(63), 63);
	assert_int_equal(histogram_bucket(64), 64);
	assert_int_equal(histogram_bucket(HISTOGRAM_MAX_US), HISTOGRAM_BUCKETS - 1);
	assert_int_equal(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
}

/* Percentiles are those of the sorted entries, within 2 %. */
static void check_against_sorted(struct histogram *h, int64_t *values, unsigned n)
{
	static const unsigned PERMILLES[] = {0, 1, 100, 500, 900, 990, 999, 1000};
	uint64_t sum = 0;
	for (unsigned i = 0; i < n; i++) {
		histogram_add(h, values[i], 1);
		sum += (uint64_t)values[i];
	}
	qsort(values, n, sizeof(*values), compare);
	struct histogram_counts counts;
	histogram_read(h, &counts);
	assert_int_equal(counts.n, n);
	assert_int_equal(counts.sum_us, sum);
	assert_int_equal(counts.max_us, values[n - 1]);
	for (unsigned i = 0; i < sizeof(PERMILLES) / sizeof(*PERMILLES); i++) {
		unsigned rank = (n * PERMILLES[i] + 999) / 1000;
		rank += rank == 0;
		const int64_t exact = values[rank - 1];
		const int64_t got = (int64_t)histogram_percentile(&counts, PERMILLES[i]);
		if (llabs(got - exact) * 50 > exact)
			fail_msg("%u entries, %u of 1000: %lld, not %lld", n, PERMILLES[i], (long long)got,
				 (long long)exact);
	}
}

static void test_against_sorted_samples(void **state)
{
	static int64_t values[20000];
	struct random random;
	random_init(&random, 1);
	for (unsigned round = 0; round < 200; round++) {
		const unsigned n = 1 + (unsigned)random_below(&random, round % 10 == 0 ? 20000 : 50);
		const unsigned bits = 1 + (unsigned)random_below(&random, 29);
		for (unsigned i = 0; i < n; i++)
			values[i] = (int64_t)random_below(&random, UINT64_C(1) << (1 + random_below(&random, bits)));
		check_against_sorted(fresh(state), values, n);
	}
}

static void test_out_of_range(void **state)
{
	struct histogram *const h = fresh(state);
	histogram_add(h, -5, 1);
	struct histogram_counts counts;
	histogram_read(h, &counts);
	assert_int_equal(counts.n, 1);
	assert_int_equal(histogram_percentile(&counts, 1000), 0);
	histogram_add(h, INT64_C(5000000000), 3); /* over an hour */
	histogram_read(h, &counts);
	assert_int_equal(counts.n, 4);
	assert_int_equal(counts.max_us, 5000000000);
	assert_true(histogram_percentile(&counts, 500) > UINT64_C(1000000000));
	assert_int_equal(histogram_percentile(&counts, 1), 0);
}

/* The difference of two readings is what came between them. */
static void test_difference(void **state)
{
	struct histogram *const h = fresh(state);
	histogram_add(h, 900000, 1000);
	struct histogram_counts before;
	histogram_read(h, &before);
	histogram_add(h, 10, 98);
	histogram_add(h, 2000, 2);
	struct histogram_counts counts;
	histogram_read(h, &counts);
	histogram_subtract(&counts, &before);
	assert_int_equal(counts.n, 100);
	assert_int_equal(counts.sum_us, 98 * 10 + 2 * 2000);
	assert_int_equal(histogram_percentile(&counts, 500), 10);
	assert_in_range(histogram_percentile(&counts, 990), 1960, 2040);
	assert_in_range(counts.max_us, 2000, 2063);
	histogram_read(h, &counts);
	histogram_read(h, &before);
	histogram_subtract(&counts, &before);
	assert_int_equal(counts.n, 0);
	assert_int_equal(counts.max_us, 0);
	assert_int_equal(histogram_percentile(&counts, 990), 0);
	/* Begun anew. */
	histogram_add(fresh(state), 7, 1);
	histogram_read(h, &counts);
	histogram_subtract(&counts, &before);
	assert_int_equal(counts.n, 1);
	assert_int_equal(histogram_percentile(&counts, 500), 7);
}

static void test_merge(void **state)
{
	struct histogram *const h = fresh(state);
	histogram_add(h, 5, 10);
	struct histogram_counts all;
	histogram_read(h, &all);
	histogram_add(fresh(state), 40, 30);
	struct histogram_counts other;
	histogram_read(h, &other);
	histogram_merge(&all, &other);
	assert_int_equal(all.n, 40);
	assert_int_equal(all.sum_us, 50 + 1200);
	assert_int_equal(all.max_us, 40);
	assert_int_equal(histogram_percentile(&all, 250), 5);
	assert_int_equal(histogram_percentile(&all, 251), 40);
}

static int setup(void **state)
{
	*state = malloc(sizeof(struct histogram));
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_buckets),
		cmocka_unit_test(test_against_sorted_samples),
		cmocka_unit_test(test_out_of_range),
		cmocka_unit_test(test_difference),
		cmocka_unit_test(test_merge),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
