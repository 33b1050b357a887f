/* Tiers: reached, reviewed, lost; with the arithmetic by hand. */
#include "story.h"

/* Base, silver from 10.00 (× 2), gold from 20.00 (× 3), over 2 months, reviewed after 1. */
static struct story begin_tiers(void)
{
	struct story s = begin("UTC");
	add_level(s.p, "base", 0, 1, 1);
	add_level(s.p, "silver", 1000, 2, 1);
	add_level(s.p, "gold", 2000, 3, 1);
	s.p->tiers.window_months = 2;
	s.p->tiers.valid_months = 1;
	return s;
}

static void expect_tier(const struct story *s, unsigned level, const char *review, int64_t metric, int64_t to_next)
{
	struct account_tier tier;
	account_tier(s->account, &tier);
	assert_int_equal(tier.level, level);
	assert_int_equal(tier.review_day, review ? day_of(review) : DAY_MAX);
	assert_int_equal(tier.metric, metric);
	assert_int_equal(tier.to_next, to_next);
}

static void test_reached_at_once_holds_from_the_next_order(void **state)
{
	(void)state;
	struct story s = begin_tiers();
	start(&s);
	expect_tier(&s, 0, NULL, 0, 1000);
	buy(&s, "a", "2024-01-01", 999);
	expect_tier(&s, 0, NULL, 999, 1);
	buy(&s, "b", "2024-01-01", 1);
	expect_tier(&s, 1, "2024-02-01", 1000, 1000);
	buy(&s, "c", "2024-01-01", 100);
	buy(&s, "d", "2024-01-02", 5000);
	buy(&s, "e", "2024-01-03", 100);
	expect_tier(&s, 2, "2024-02-02", 6200, 0);
	expect(&s, "2024-01-01 earn 9990 never =9990\n"
		   "2024-01-01 earn 10 never =10000\n"
		   "2024-01-01 tier 0>1\n"
		   "2024-01-01 earn 2000 never =12000\n"
		   "2024-01-02 earn 100000 never =112000\n"
		   "2024-01-02 tier 1>2\n"
		   "2024-01-03 earn 3000 never =115000\n");
	finish(&s);
}

static void review_case(enum tier_downgrade downgrade, const char *expected)
{
	struct story s = begin_tiers();
	s.p->tiers.downgrade = downgrade;
	start(&s);
	buy(&s, "a", "2024-01-01", 2000);
	s.seen = s.postings.n;
	/* 1 February: 20.00 of 2 December to now: stays. 1 March: of 2 January on, nothing. */
	wait_until(&s, "2024-02-29");
	expect_tier(&s, 2, "2024-03-01", 2000, 0);
	expect(&s, "");
	wait_until(&s, "2024-12-31");
	expect(&s, expected);
	expect_tier(&s, 0, NULL, 0, 1000);
	finish(&s);
}

static void test_review(void **state)
{
	(void)state;
	review_case(DOWNGRADE_REQUALIFY, "2024-03-01 tier 2>0\n");
	review_case(DOWNGRADE_ONE_DOWN, "2024-03-01 tier 2>1\n2024-04-01 tier 1>0\n");
	review_case(DOWNGRADE_TO_BASE, "2024-03-01 tier 2>0\n");
}

static void test_requalify_falls_to_what_is_reached(void **state)
{
	(void)state;
	struct story s = begin_tiers();
	start(&s);
	buy(&s, "a", "2024-01-01", 2000);
	buy(&s, "b", "2024-01-15", 1000);
	s.seen = s.postings.n;
	wait_until(&s, "2024-03-01");
	expect(&s, "2024-03-01 tier 2>1\n");
	expect_tier(&s, 1, "2024-04-01", 1000, 1000);
	/* Not reviewed before: on 15 March the 10.00 leave the window. */
	wait_until(&s, "2024-03-31");
	expect_tier(&s, 1, "2024-04-01", 0, 2000);
	finish(&s);
}

static void test_to_base_rises_again(void **state)
{
	(void)state;
	struct story s = begin_tiers();
	s.p->tiers.downgrade = DOWNGRADE_TO_BASE;
	start(&s);
	buy(&s, "a", "2024-01-01", 2000);
	buy(&s, "b", "2024-01-31", 1500);
	s.seen = s.postings.n;
	wait_until(&s, "2024-03-01");      /* 15.00: not gold */
	expect_tier(&s, 0, NULL, 1500, 0); /* silver's 10.00 are there: the next order lifts */
	buy(&s, "c", "2024-03-02", 1);
	expect(&s, "2024-03-01 tier 2>0\n"
		   "2024-03-02 earn 10 never =65010\n"
		   "2024-03-02 tier 0>1\n");
	finish(&s);
}

static void test_without_reviews(void **state)
{
	(void)state;
	struct story s = begin_tiers();
	s.p->tiers.valid_months = 0;
	start(&s);
	buy(&s, "a", "2024-01-01", 2000);
	wait_until(&s, "2034-01-01");
	expect_tier(&s, 2, NULL, 0, 0);
	s.seen = s.postings.n;
	finish(&s);
}

static void test_rolling_window(void **state)
{
	(void)state;
	static const struct {
		const char *first;
		const char *second;
		int32_t months;
		int64_t metric;
	} CASES[] = {
		/* Days after (D - n months): 29 February - 12 months is 28 February. */
		{"2023-02-28", "2024-02-29", 12, 200}, {"2023-03-01", "2024-02-29", 12, 300},
		{"2023-02-28", "2024-02-28", 12, 200}, {"2023-02-28", "2024-02-27", 12, 300},
		{"2024-02-29", "2024-03-31", 1, 200},  {"2024-02-29", "2024-03-28", 1, 300},
		{"2024-02-29", "2024-03-29", 1, 200},  {"2024-01-29", "2024-02-29", 1, 200},
		{"2024-01-30", "2024-02-29", 1, 300},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct story s = begin_tiers();
		s.p->tiers.window_months = s.p->segment_months = CASES[i].months;
		start(&s);
		buy(&s, "a", CASES[i].first, 100);
		buy(&s, "b", CASES[i].second, 200);
		expect_tier(&s, 0, NULL, CASES[i].metric, 1000 - CASES[i].metric);
		struct account_totals t;
		account_totals(s.account, &t);
		assert_int_equal(t.window_spend_minor, CASES[i].metric);
		assert_int_equal(t.window_visits, CASES[i].metric == 300 ? 2 : 1);
		assert_int_equal(t.visits, 2);
		s.seen = s.postings.n;
		finish(&s);
	}
}

static void test_calendar_year(void **state)
{
	(void)state;
	struct story s = begin_tiers();
	s.p->tiers.window = WINDOW_CALENDAR_YEAR;
	start(&s);
	buy(&s, "a", "2023-12-31", 900);
	expect_tier(&s, 0, NULL, 900, 100);
	wait_until(&s, "2024-01-01");
	expect_tier(&s, 0, NULL, 0, 1000);
	buy(&s, "b", "2024-01-01", 100);
	expect_tier(&s, 0, NULL, 100, 900);
	buy(&s, "c", "2024-12-31", 900);
	expect_tier(&s, 1, "2025-01-31", 1000, 1000);
	/* The year before is still in the segments' window. */
	wait_until(&s, "2025-01-01");
	struct account_totals t;
	account_totals(s.account, &t);
	assert_int_equal(t.window_spend_minor, 900);
	wait_until(&s, "2025-01-31");
	s.seen = s.postings.n - 1;
	expect(&s, "2025-01-31 tier 1>0\n");
	finish(&s);
}

static void test_visits(void **state)
{
	(void)state;
	struct story s = begin_tiers();
	s.p->tiers.metric = METRIC_VISITS;
	s.p->tiers.levels[1].threshold = 2;
	s.p->tiers.levels[2].threshold = 3;
	start(&s);
	buy(&s, "a", "2024-01-01", 100);
	buy(&s, "b", "2024-01-01 23:59", 100);
	expect_tier(&s, 0, NULL, 1, 1);
	buy(&s, "c", "2024-01-02", 100);
	expect_tier(&s, 1, "2024-02-02", 2, 1);
	bring_back(&s, "d", "2024-01-02", "c", 100); /* the customer was there */
	expect_tier(&s, 1, "2024-02-02", 2, 1);
	s.seen = s.postings.n;
	finish(&s);
}

static void test_points_earned(void **state)
{
	(void)state;
	struct story s = begin_tiers();
	s.p->tiers.metric = METRIC_POINTS_EARNED;
	s.p->tiers.levels[1].threshold = 5000;
	s.p->tiers.levels[2].threshold = 10000;
	s.p->ledgers[0].negative = NEGATIVE_FORGIVE;
	start(&s);
	buy(&s, "a", "2024-01-01", 500);
	expect_tier(&s, 1, "2024-02-01", 5000, 5000);
	adjust(&s, "b", "2024-01-01", 100000); /* changes no tier */
	buy(&s, "c", "2024-01-02", 100);       /* × 2 */
	expect_tier(&s, 1, "2024-02-01", 7000, 3000);
	redeem(&s, "d", "2024-01-02", 200000);
	/* Nothing is left to take, and the points were given back all the same. */
	bring_back(&s, "e", "2024-01-03", "c", 50);
	expect_tier(&s, 1, "2024-02-01", 6000, 4000);
	bring_back(&s, "f", "2024-01-03", "a", 101);
	expect_tier(&s, 0, NULL, 4990, 10);
	s.seen = s.postings.n - 2;
	expect(&s, "2024-01-03 reverse 0 - =0\n"
		   "2024-01-03 tier 1>0\n");
	finish(&s);
}

/* --- the margin ---------------------------------------------------------------------------------------------------------- */

static void test_reached_and_lost_in_one_day(void **state)
{
	(void)state;
	struct story s = begin_tiers();
	start(&s);
	buy(&s, "a", "2024-01-01 09:00", 2500);
	bring_back(&s, "b", "2024-01-01 10:00", "a", 500);  /* margin 0 */
	bring_back(&s, "c", "2024-01-01 11:00", "a", 1);    /* - 0.01 */
	bring_back(&s, "d", "2024-01-01 12:00", "a", 1000); /* silver's */
	expect_tier(&s, 0, NULL, 999, 1);
	expect(&s, "2024-01-01 earn 25000 never =25000\n"
		   "2024-01-01 tier 0>2\n"
		   "2024-01-01 reverse -5000 never =20000\n"
		   "2024-01-01 reverse -10 never =19990\n"
		   "2024-01-01 tier 2>1\n"
		   "2024-01-01 reverse -10000 never =9990\n"
		   "2024-01-01 tier 1>0\n");
	finish(&s);
}

static void test_a_review_confirms(void **state)
{
	(void)state;
	struct story s = begin_tiers();
	start(&s);
	buy(&s, "a", "2024-01-01", 2000);
	buy(&s, "b", "2024-02-10", 2000);
	/* 1 March: a has left the window, b alone keeps the level, with a margin of 0. */
	wait_until(&s, "2024-03-01");
	expect_tier(&s, 2, "2024-04-01", 2000, 0);
	s.seen = s.postings.n;
	bring_back(&s, "c", "2024-03-02", "b", 1);
	expect_tier(&s, 1, "2024-04-02", 1999, 1);
	expect(&s, "2024-03-02 reverse -30 never =79970\n"
		   "2024-03-02 tier 2>1\n");
	finish(&s);
}

static void test_a_refund_of_a_later_order_takes_no_level(void **state)
{
	(void)state;
	struct story s = begin_tiers();
	start(&s);
	buy(&s, "a", "2024-01-01", 2000);
	buy(&s, "b", "2024-01-01", 100);
	bring_back(&s, "c", "2024-01-02", "b", 100);
	expect_tier(&s, 2, "2024-02-01", 2000, 0);
	/* Neither does one of an order that the review did not see: the level was kept by a. */
	bring_back(&s, "d", "2024-01-02", "b", 1);
	s.seen = s.postings.n - 1;
	expect(&s, "2024-01-02 reject over_refund\n");
	finish(&s);
}

static void test_later_orders_make_good(void **state)
{
	(void)state;
	struct story s = begin_tiers();
	start(&s);
	buy(&s, "a", "2024-01-01", 2000);
	buy(&s, "b", "2024-01-02", 1000);
	s.seen = s.postings.n;
	bring_back(&s, "c", "2024-01-03", "a", 500); /* 25.00 remain: confirmed anew, the review stays */
	expect_tier(&s, 2, "2024-02-01", 2500, 0);
	bring_back(&s, "d", "2024-01-04", "b", 500);
	expect_tier(&s, 2, "2024-02-01", 2000, 0);
	bring_back(&s, "e", "2024-01-05", "b", 1); /* b is not later than this confirmation */
	expect_tier(&s, 1, "2024-02-05", 1999, 1);
	expect(&s, "2024-01-03 reverse -5000 never =45000\n"
		   "2024-01-04 reverse -15000 never =30000\n"
		   "2024-01-05 reverse -30 never =29970\n"
		   "2024-01-05 tier 2>1\n");
	finish(&s);
}

/* The margin is that of the confirmation, though the window has moved on since. */
static void test_a_window_that_moved_takes_no_level(void **state)
{
	(void)state;
	struct story s = begin_tiers();
	s.p->tiers.valid_months = 12;
	start(&s);
	buy(&s, "a", "2024-01-01", 1500);
	buy(&s, "b", "2024-02-28", 600);
	s.seen = s.postings.n;
	wait_until(&s, "2024-03-15"); /* a has left: the metric is 6.00, and gold stays */
	expect_tier(&s, 2, "2025-02-28", 600, 0);
	bring_back(&s, "c", "2024-03-15", "a", 100); /* margin 0 */
	expect_tier(&s, 2, "2025-02-28", 600, 0);
	bring_back(&s, "d", "2024-03-15", "a", 1); /* by what is there now: base */
	expect_tier(&s, 0, NULL, 600, 400);
	expect(&s, "2024-03-15 reverse -1000 never =26000\n"
		   "2024-03-15 reverse -10 never =25990\n"
		   "2024-03-15 tier 2>0\n");
	finish(&s);
}

/* At a review the window of the confirmation is another: what was before it does not count any more. */
static void test_an_order_before_the_window_of_the_review(void **state)
{
	(void)state;
	struct story s = begin_tiers();
	start(&s);
	buy(&s, "a", "2024-01-01", 2000);
	buy(&s, "b", "2024-02-20", 2000);
	wait_until(&s, "2024-03-01");
	s.seen = s.postings.n;
	expect_tier(&s, 2, "2024-04-01", 2000, 0);
	bring_back(&s, "c", "2024-03-01", "a", 2000);
	expect_tier(&s, 2, "2024-04-01", 2000, 0);
	bring_back(&s, "d", "2024-03-01", "b", 1);
	expect_tier(&s, 1, "2024-04-01", 1999, 1);
	expect(&s, "2024-03-01 reverse -20000 never =60000\n"
		   "2024-03-01 reverse -30 never =59970\n"
		   "2024-03-01 tier 2>1\n");
	finish(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reached_at_once_holds_from_the_next_order),
		cmocka_unit_test(test_review),
		cmocka_unit_test(test_requalify_falls_to_what_is_reached),
		cmocka_unit_test(test_to_base_rises_again),
		cmocka_unit_test(test_without_reviews),
		cmocka_unit_test(test_rolling_window),
		cmocka_unit_test(test_calendar_year),
		cmocka_unit_test(test_visits),
		cmocka_unit_test(test_points_earned),
		cmocka_unit_test(test_reached_and_lost_in_one_day),
		cmocka_unit_test(test_a_review_confirms),
		cmocka_unit_test(test_a_refund_of_a_later_order_takes_no_level),
		cmocka_unit_test(test_later_orders_make_good),
		cmocka_unit_test(test_a_window_that_moved_takes_no_level),
		cmocka_unit_test(test_an_order_before_the_window_of_the_review),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
