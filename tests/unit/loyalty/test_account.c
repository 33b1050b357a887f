/* The kernel's fold: tables by hand, and properties that hold for any orders (PUNCHCARD_SEED repeats a run). */
#include "loyalty/account.h"

#include "base/limits.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SECOND INT64_C(1000000)
#define DAY    (86400 * SECOND)

static struct tz *utc;
static struct tz *bangkok;
static struct tz *new_york;

static int load_zones(void **state)
{
	(void)state;
	return tz_load("UTC", &utc, NULL) < 0 || tz_load("Asia/Bangkok", &bangkok, NULL) < 0 ||
			       tz_load("America/New_York", &new_york, NULL) < 0
		       ? -1
		       : 0;
}

static int free_zones(void **state)
{
	(void)state;
	tz_free(utc);
	tz_free(bangkok);
	tz_free(new_york);
	return 0;
}

static struct programme rules(struct tz *zone, int64_t points_milli, int64_t per_minor)
{
	return (struct programme){
		.currency = "USD", .timezone = zone, .earn = {.points_milli = points_milli, .per_minor = per_minor}};
}

static void apply(struct account *account, const struct programme *programme, int64_t time_us, int64_t amount)
{
	struct error err = {0};
	if (account_apply_order(account, programme, time_us, amount, NULL, &err) < 0)
		fail_msg("%s", err.message);
}

/* --- tables ----------------------------------------------------------------------------------------------------------- */

static void test_points(void **state)
{
	(void)state;
	static const struct {
		int64_t points_milli;
		int64_t per_minor;
		int64_t amount;
		int64_t earned;
	} CASES[] = {
		{1000, 1000, 6500, 6500},                     /* 1 point for 10.00: 65.00 gives 6.500 */
		{1000, 2500, 350, 140},                       /* 1 for 25.00: 3.50 gives 0.140 */
		{1000, 2500, 1, 0},                           /* 0.0004 */
		{1000, 2500, 2, 0},                           /* 0.0008: down */
		{1000, 2500, 3, 1},                           /* 0.0012 */
		{1000, 3, 1, 333},                            /* a third */
		{1000, 3, 2, 666},                            /* two thirds: down, not to the nearest */
		{1000, 3, 3, 1000},                           /* exactly one */
		{1, 7, 6, 0},                                 /* */
		{1, 7, 7, 1},                                 /* */
		{1000, 2500, 0, 0},                           /* free */
		{1000, 2500, -2500, -1000},                   /* towards minus infinity … */
		{1000, 2500, -1, -1},                         /* … also of a fraction */
		{999999937, 999999937, INT64_MAX, INT64_MAX}, /* the product needs 128 bits */
		{1, INT64_MAX, INT64_MAX - 1, 0},             /* */
		{3, 9, LIMIT_AMOUNT_MINOR, LIMIT_AMOUNT_MINOR / 3},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		const struct programme programme = rules(utc, CASES[i].points_milli, CASES[i].per_minor);
		struct account account;
		struct posting posting = {0};
		account_init(&account);
		assert_int_equal(account_apply_order(&account, &programme, 5, CASES[i].amount, &posting, NULL), 0);
		assert_int_equal(posting.points_milli, CASES[i].earned);
		assert_int_equal(posting.eligible_minor, CASES[i].amount);
		assert_int_equal(account.points_milli, CASES[i].earned);
		assert_int_equal(account.points_earned_milli, CASES[i].earned);
		assert_int_equal(account.spend_minor, CASES[i].amount);
		assert_int_equal(account.orders, 1);
		account_release(&account);
	}
}

/* Rounded once an order, not once a line, and not once for all orders. */
static void test_rounding_is_by_order(void **state)
{
	(void)state;
	const struct programme programme = rules(utc, 1000, 3);
	const struct order_line lines[] = {{.amount_minor = 1}, {.amount_minor = 1}, {.amount_minor = 2}};
	const struct event event = {.id = {"x", 1}, .customer.number = 1, .time_us = 7, .lines = lines, .n_lines = 3};
	struct account account;
	struct posting posting;
	account_init(&account);
	assert_int_equal(account_apply(&account, &programme, &event, &posting, NULL), 0);
	assert_int_equal(posting.points_milli, 1333);
	assert_int_equal(posting.eligible_minor, 4);
	assert_int_equal(account_apply(&account, &programme, &event, &posting, NULL), 0);
	assert_int_equal(account.points_milli, 2666);
	assert_int_equal(account.orders, 2);
	assert_int_equal(account_visits(&account), 1);
	account_release(&account);
}

static void test_first_and_last(void **state)
{
	(void)state;
	const struct programme programme = rules(utc, 1000, 100);
	struct account account;
	account_init(&account);
	assert_int_equal(account_visits(&account), 0);
	apply(&account, &programme, 500, 1);
	assert_int_equal(account.first_us, 500);
	assert_int_equal(account.last_us, 500);
	apply(&account, &programme, 700, 1);
	apply(&account, &programme, 0, 1);
	apply(&account, &programme, 600, 1);
	assert_int_equal(account.first_us, 0);
	assert_int_equal(account.last_us, 700);
	account_release(&account);
}

static int64_t visits_of(struct tz *zone, const int64_t *times_s, size_t n)
{
	const struct programme programme = rules(zone, 1000, 100);
	struct account account;
	account_init(&account);
	for (size_t i = 0; i < n; i++)
		apply(&account, &programme, times_s[i] * SECOND, 1);
	const int64_t visits = account_visits(&account);
	account_release(&account);
	return visits;
}

static void test_days_are_local(void **state)
{
	(void)state;
	/* 2023-11-14 17:00 UTC is midnight in Bangkok (UTC+7). */
	const int64_t midnight = 1699981200;
	const int64_t around[] = {midnight - 1, midnight};
	assert_int_equal(visits_of(bangkok, around, 2), 2);
	assert_int_equal(visits_of(utc, around, 2), 1);
	const int64_t day[] = {midnight, midnight + 86399};
	assert_int_equal(visits_of(bangkok, day, 2), 1);
	assert_int_equal(visits_of(utc, day, 2), 2);
	/* New York, 2023-03-12: a day of 23 hours, 05:00 UTC to 04:00 UTC. */
	const int64_t spring = 1678597200;
	const int64_t short_day[] = {spring, spring + 23 * 3600 - 1};
	assert_int_equal(visits_of(new_york, short_day, 2), 1);
	const int64_t after_short[] = {spring - 1, spring, spring + 23 * 3600};
	assert_int_equal(visits_of(new_york, after_short, 3), 3);
	/* 2023-11-05: a day of 25 hours, 04:00 UTC to 05:00 UTC. */
	const int64_t autumn = 1699156800;
	const int64_t long_day[] = {autumn, autumn + 25 * 3600 - 1};
	assert_int_equal(visits_of(new_york, long_day, 2), 1);
	const int64_t after_long[] = {autumn - 1, autumn, autumn + 25 * 3600};
	assert_int_equal(visits_of(new_york, after_long, 3), 3);
	/* The first instant that is allowed is still 1969 in New York: day -1. */
	const int64_t epoch[] = {0, 5 * 3600 - 1, 5 * 3600};
	assert_int_equal(visits_of(new_york, epoch, 3), 2);
	/* All there is, and both ends at once. */
	const int64_t ends[] = {LIMIT_TIME_MIN_S, LIMIT_TIME_MAX_S - 1};
	assert_int_equal(visits_of(new_york, ends, 2), 2);
	const int64_t other_order[] = {LIMIT_TIME_MAX_S - 1, LIMIT_TIME_MIN_S};
	assert_int_equal(visits_of(bangkok, other_order, 2), 2);
}

static void encode(const struct account *account, struct buf *out)
{
	buf_clear(out);
	assert_int_equal(account_encode(account, out), 0);
}

static struct slice bytes_of(const struct buf *buf)
{
	return (struct slice){buf->data, buf->len};
}

/* An error leaves the account as it was, byte for byte. */
static void test_overflow(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf before = {0};
	_cleanup_buf_ struct buf after = {0};
	const struct programme one = rules(utc, 1, 1);
	const struct programme thousand = rules(utc, 1000, 1);
	static const int64_t TOO_MUCH[] = {2, INT64_MAX};
	struct account account;
	struct error err = {0};
	account_init(&account);
	apply(&account, &one, DAY, INT64_MAX - 1);
	encode(&account, &before);
	for (size_t i = 0; i < 2; i++) {
		struct posting posting = {.points_milli = 42};
		assert_int_equal(account_apply_order(&account, &one, 900 * DAY, TOO_MUCH[i], &posting, &err),
				 ERROR_OVERFLOW);
		assert_int_equal(posting.points_milli, 42);
		encode(&account, &after);
		assert_true(slice_equal(bytes_of(&before), bytes_of(&after)));
	}
	apply(&account, &one, DAY, 1);
	account_release(&account);

	/* The points of one order. */
	account_init(&account);
	assert_int_equal(account_apply_order(&account, &thousand, 0, INT64_MAX / 999, NULL, &err), ERROR_OVERFLOW);
	assert_int_equal(account_apply_order(&account, &thousand, 0, INT64_MIN / 999, NULL, &err), ERROR_OVERFLOW);
	assert_int_equal(account.orders, 0);
	assert_int_equal(account.days.n_words, 0);
	account_release(&account);

	/* The lines of one event. */
	const struct order_line lines[] = {{.amount_minor = INT64_MAX}, {.amount_minor = 1}};
	const struct event event = {.id = {"x", 1}, .lines = lines, .n_lines = 2};
	int64_t eligible = 42;
	assert_int_equal(event_eligible(&event, &eligible, &err), ERROR_OVERFLOW);
	assert_int_equal(eligible, 42);
	account_init(&account);
	assert_int_equal(account_apply(&account, &one, &event, NULL, &err), ERROR_OVERFLOW);
	const struct event refund = {.kind = EVENT_REFUND, .id = {"x", 1}};
	assert_int_equal(account_apply(&account, &one, &refund, NULL, &err), ERROR_INPUT);
	assert_int_equal(account.orders, 0);
	account_release(&account);
}

/* The record's bytes are a disk format: this is what version 1 looks like. */
static void test_record(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf record = {0};
	const struct programme programme = rules(utc, 1000, 100);
	struct account account;
	account_init(&account);
	encode(&account, &record);
	assert_int_equal(record.len, 9);
	assert_memory_equal(record.data, "\x01\0\0\0\0\0\0\0\0", 9);
	apply(&account, &programme, 3, 100);
	apply(&account, &programme, 5, 50);
	encode(&account, &record);
	static const unsigned char EXPECTED[] = {1, 2, 0xac, 0x02, 0xb8, 0x17, 0xb8, 0x17, 6, 2,
						 0, 1, 1,    0,    0,    0,    0,    0,    0, 0};
	assert_int_equal(record.len, sizeof(EXPECTED));
	assert_memory_equal(record.data, EXPECTED, sizeof(EXPECTED));
	account_release(&account);
	account_release(&account);
	account_release(NULL);
}

/* --- properties ------------------------------------------------------------------------------------------------------- */

struct order {
	int64_t time_us;
	int64_t amount;
};

#define ORDERS_MAX 400u

static uint64_t first_seed(void)
{
	const char *const text = getenv("PUNCHCARD_SEED");
	return text ? strtoull(text, NULL, 10) : 1;
}

static size_t make_orders(struct random *random, struct order *orders)
{
	const size_t n = random_below(random, 4) ? random_below(random, 20) : random_below(random, ORDERS_MAX);
	const int64_t from = random_below(random, 3) ? (int64_t)random_below(random, LIMIT_TIME_MAX_S) : 0;
	const uint64_t spread = random_below(random, 2) ? 30 * 86400 : (uint64_t)LIMIT_TIME_MAX_S;
	for (size_t i = 0; i < n; i++) {
		const int64_t time_s = (from + (int64_t)random_below(random, spread)) % LIMIT_TIME_MAX_S;
		orders[i].time_us = time_s * SECOND + (int64_t)random_below(random, SECOND);
		orders[i].amount = (int64_t)random_below(random, 100000);
	}
	return n;
}

static void shuffle(struct random *random, struct order *orders, size_t n)
{
	for (size_t i = n; i > 1; i--) {
		const size_t j = random_below(random, i);
		const struct order swap = orders[i - 1];
		orders[i - 1] = orders[j];
		orders[j] = swap;
	}
}

static int compare_days(const void *a, const void *b)
{
	const int32_t x = *(const int32_t *)a;
	const int32_t y = *(const int32_t *)b;
	return (x > y) - (x < y);
}

/* The slow way: all days, sorted, and counted. */
static int64_t count_days(const struct tz *zone, const struct order *orders, size_t n)
{
	static int32_t days[ORDERS_MAX];
	for (size_t i = 0; i < n; i++)
		days[i] = tz_local_day(zone, orders[i].time_us);
	qsort(days, n, sizeof(days[0]), compare_days);
	int64_t count = 0;
	for (size_t i = 0; i < n; i++)
		count += i == 0 || days[i] != days[i - 1];
	return count;
}

static void test_any_order_and_any_break(void **state)
{
	(void)state;
	static struct order orders[ORDERS_MAX];
	struct tz *const zones[] = {utc, bangkok, new_york};
	_cleanup_buf_ struct buf expected = {0};
	_cleanup_buf_ struct buf record = {0};
	for (uint64_t seed = first_seed(); seed < first_seed() + 300; seed++) {
		struct random random;
		random_init(&random, seed);
		const struct programme programme =
			rules(zones[random_below(&random, 3)], (int64_t)random_below(&random, 100000) + 1,
			      (int64_t)random_below(&random, 10000) + 1);
		const size_t n = make_orders(&random, orders);
		struct account account;
		account_init(&account);
		int64_t spend = 0;
		int64_t points = 0;
		for (size_t i = 0; i < n; i++) {
			apply(&account, &programme, orders[i].time_us, orders[i].amount);
			spend += orders[i].amount;
			points += orders[i].amount * programme.earn.points_milli / programme.earn.per_minor;
		}
		encode(&account, &expected);
		const bool right = account.orders == (int64_t)n && account.spend_minor == spend &&
				   account.points_milli == points && account.points_earned_milli == points &&
				   account_visits(&account) == count_days(programme.timezone, orders, n);
		account_release(&account);
		if (!right)
			fail_msg("sums are wrong: PUNCHCARD_SEED=%llu", (unsigned long long)seed);

		/* Shuffled, and stored and read in between. */
		shuffle(&random, orders, n);
		account_init(&account);
		for (size_t i = 0; i < n; i++) {
			if (random_below(&random, 5) == 0) {
				struct account read;
				encode(&account, &record);
				account_init(&read);
				assert_int_equal(account_decode(bytes_of(&record), &read, NULL), 0);
				account_release(&account);
				account = read;
			}
			apply(&account, &programme, orders[i].time_us, orders[i].amount);
		}
		encode(&account, &record);
		account_release(&account);
		if (!slice_equal(bytes_of(&expected), bytes_of(&record)))
			fail_msg("another order, other bytes: PUNCHCARD_SEED=%llu", (unsigned long long)seed);
	}
}

/* Decoding either fails, or gives what encodes to the same bytes. From a heap block of the exact size, for ASan. */
static bool check_decode(const char *data, size_t len)
{
	char *const copy = malloc(len ? len : 1);
	assert_non_null(copy);
	memcpy(copy, data, len);
	struct account account;
	struct error err = {0};
	account_init(&account);
	const int rc = account_decode((struct slice){copy, len}, &account, &err);
	if (rc == 0) {
		_cleanup_buf_ struct buf again = {0};
		encode(&account, &again);
		assert_true(slice_equal((struct slice){copy, len}, bytes_of(&again)));
		account_release(&account);
	} else {
		assert_int_equal(rc, ERROR_CORRUPT);
		assert_true(err.message[0] != '\0');
	}
	free(copy);
	return rc == 0;
}

static void test_damaged_records(void **state)
{
	(void)state;
	static struct order orders[ORDERS_MAX];
	_cleanup_buf_ struct buf record = {0};
	for (uint64_t seed = first_seed(); seed < first_seed() + 60; seed++) {
		struct random random;
		random_init(&random, seed);
		const struct programme programme = rules(new_york, 1000, 25);
		const size_t n = make_orders(&random, orders);
		struct account account;
		account_init(&account);
		for (size_t i = 0; i < n; i++)
			apply(&account, &programme, orders[i].time_us, orders[i].amount);
		encode(&account, &record);
		account_release(&account);
		assert_true(check_decode(record.data, record.len));
		for (size_t len = 0; len < record.len && len < 300; len++)
			assert_false(check_decode(record.data, len));
		assert_int_equal(buf_append(&record, "", 1), 0);
		assert_false(check_decode(record.data, record.len));
		record.len--;
		for (unsigned i = 0; i < 400; i++) {
			char old[3];
			size_t at[3];
			const unsigned flips = 1 + (unsigned)random_below(&random, 3);
			for (unsigned f = 0; f < flips; f++) {
				at[f] = random_below(&random,
						     random_below(&random, 2) && record.len > 40 ? 40 : record.len);
				old[f] = record.data[at[f]];
				record.data[at[f]] = (char)(record.data[at[f]] ^ 1 << random_below(&random, 8));
			}
			check_decode(record.data, record.len);
			for (unsigned f = flips; f > 0; f--)
				record.data[at[f - 1]] = old[f - 1];
		}
		assert_true(check_decode(record.data, record.len));
	}
	/* Longer forms of a number, sets that reach too far, empty words at the ends. */
	static const struct {
		const char *bytes;
		size_t len;
	} BAD[] = {
		{"\x01\x80\x00\0\0\0\0\0\0\0", 10},
		{"\x02\0\0\0\0\0\0\0\0", 9},
		{"\x01\0\0\0\0\0\0\x02\0", 9},                                      /* a first word without words */
		{"\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0", 17},                     /* an empty word */
		{"\x01\0\0\0\0\0\0\x05\x01\x01\0\0\0\0\0\0\0", 17},                 /* word -3 */
		{"\x01\0\0\0\0\0\0\0\xff\xff\xff\xff\x0f\x01\0\0\0\0\0\0\0", 21},   /* too many */
		{"\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\0\0\0\0\0\0\0", 18}, /* 2^64 - 1 orders */
	};
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
		assert_false(check_decode(BAD[i].bytes, BAD[i].len));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_points),
		cmocka_unit_test(test_rounding_is_by_order),
		cmocka_unit_test(test_first_and_last),
		cmocka_unit_test(test_days_are_local),
		cmocka_unit_test(test_overflow),
		cmocka_unit_test(test_record),
		cmocka_unit_test(test_any_order_and_any_break),
		cmocka_unit_test(test_damaged_records),
	};
	return cmocka_run_group_tests(tests, load_zones, free_zones);
}
