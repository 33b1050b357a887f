#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

/* The published sequences: xoshiro256** from the state 1, 2, 3, 4 and splitmix64 from 1234567. */
static void gives_the_published_numbers(void **state)
{
	(void)state;
	static const uint64_t XOSHIRO[] = {11520,
					   0,
					   1509978240,
					   UINT64_C(1215971899390074240),
					   UINT64_C(1216172134540287360),
					   UINT64_C(607988272756665600),
					   UINT64_C(16172922978634559625),
					   UINT64_C(8476171486693032832)};
	struct random random = {{1, 2, 3, 4}};
	for (size_t i = 0; i < sizeof(XOSHIRO) / sizeof(XOSHIRO[0]); i++)
		assert_int_equal(random_next(&random), XOSHIRO[i]);
	static const uint64_t SPLITMIX[] = {UINT64_C(6457827717110365317), UINT64_C(3203168211198807973),
					    UINT64_C(9817491932198370423), UINT64_C(4593380528125082431)};
	random_init(&random, 1234567);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(random.state[i], SPLITMIX[i]);
	assert_int_equal(random_mix(1234567), SPLITMIX[0]);
}

static void repeats_by_seed(void **state)
{
	(void)state;
	struct random a;
	struct random b;
	struct random other;
	random_init(&a, 0);
	random_init(&b, 0);
	random_init(&other, 1);
	unsigned same = 0;
	for (int i = 0; i < 1000; i++) {
		const uint64_t value = random_next(&a);
		assert_int_equal(value, random_next(&b));
		same += value == random_next(&other);
	}
	assert_int_equal(same, 0);
}

static void stays_below_the_bound(void **state)
{
	(void)state;
	static const uint64_t BOUNDS[] = {1, 2, 3, 7, 1000, UINT64_C(1) << 32, (UINT64_C(1) << 63) + 1, UINT64_MAX};
	struct random random;
	random_init(&random, 5);
	for (size_t i = 0; i < sizeof(BOUNDS) / sizeof(BOUNDS[0]); i++)
		for (int j = 0; j < 1000; j++)
			assert_true(random_below(&random, BOUNDS[i]) < BOUNDS[i]);
}

/* 70,000 throws of seven: each side 10,000 times, give or take 5 standard deviations (93 each). */
static void hits_all_alike(void **state)
{
	(void)state;
	struct random random;
	random_init(&random, 6);
	int hits[7] = {0};
	for (int i = 0; i < 70000; i++)
		hits[random_below(&random, 7)]++;
	for (int side = 0; side < 7; side++)
		assert_in_range(hits[side], 10000 - 465, 10000 + 465);
}

/* What the table gives to each choice, summed over its slots, against the weights: off by at most one unit of 2^-32 a slot
 * that it is in. */
static void assert_table(const uint64_t *weights, uint32_t n)
{
	struct alias alias;
	assert_int_equal(alias_init(&alias, weights, n, NULL), 0);
	assert_int_equal(alias.n, n);
	uint64_t *const shares = calloc(n, sizeof(*shares));
	assert_non_null(shares);
	uint64_t sum = 0;
	for (uint32_t i = 0; i < n; i++) {
		sum += weights[i];
		assert_true(alias.slots[i].other < n);
		shares[i] += alias.slots[i].threshold;
		shares[alias.slots[i].other] += (UINT64_C(1) << 32) - alias.slots[i].threshold;
	}
	for (uint32_t i = 0; i < n; i++) {
		const uint64_t expected = (uint64_t)(((unsigned __int128)weights[i] * n << 32) / sum);
		const uint64_t off = shares[i] > expected ? shares[i] - expected : expected - shares[i];
		assert_true(off <= n);
		if (weights[i] == 0)
			assert_int_equal(shares[i], 0);
	}
	free(shares);
	alias_release(&alias);
}

static void alias_table_holds_the_weights(void **state)
{
	(void)state;
	assert_table((const uint64_t[]){7}, 1);
	assert_table((const uint64_t[]){1, 1}, 2);
	assert_table((const uint64_t[]){0, 5, 0}, 3);
	assert_table((const uint64_t[]){1, ALIAS_WEIGHT_MAX}, 2);
	assert_table((const uint64_t[]){ALIAS_WEIGHT_MAX, ALIAS_WEIGHT_MAX, ALIAS_WEIGHT_MAX}, 3);
	assert_table((const uint64_t[]){10, 20, 30, 40, 50, 1, 2, 3}, 8);
	enum { MANY = 1000 };
	uint64_t weights[MANY];
	for (uint64_t i = 0; i < MANY; i++)
		weights[i] = ALIAS_WEIGHT_MAX / (i + 1);
	assert_table(weights, MANY);
}

static void alias_picks_by_weight(void **state)
{
	(void)state;
	struct alias alias;
	assert_int_equal(alias_init(&alias, (const uint64_t[]){1, 0, 3}, 3, NULL), 0);
	struct random random;
	random_init(&random, 7);
	int hits[3] = {0};
	for (int i = 0; i < 40000; i++)
		hits[alias_pick(&alias, random_next(&random))]++;
	assert_in_range(hits[0], 10000 - 433, 10000 + 433);
	assert_int_equal(hits[1], 0);
	assert_int_equal(alias_pick(&alias, UINT64_MAX), 2);
	alias_release(&alias);
	alias_release(&alias);
	alias_release(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_the_published_numbers),   cmocka_unit_test(repeats_by_seed),
		cmocka_unit_test(stays_below_the_bound),         cmocka_unit_test(hits_all_alike),
		cmocka_unit_test(alias_table_holds_the_weights), cmocka_unit_test(alias_picks_by_weight),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
