/* What orders earn: tables with the arithmetic by hand, and random programmes against a plain computation. */
#include "loyalty/earn.h"

#include "base/limits.h"
#include "make_programme.h"

#include <assert.h>
#include <stdio.h>

/* Of an eligible amount on a day; nothing by items. */
static struct fact order_of(int64_t eligible_minor, int32_t day)
{
	return (struct fact){
		.kind = EVENT_ORDER, .day = day, .total_minor = eligible_minor, .eligible_minor = eligible_minor};
}

static int64_t earned_by(const struct programme *p, const struct fact *order, unsigned tier, unsigned ledger)
{
	struct earning earning;
	struct earning_detail detail;
	assert_int_equal(earn_order(p, order, tier, &earning), 0);
	assert_int_equal(earn_detail(p, order, tier, ledger, &detail), 0);
	assert_int_equal(detail.points_milli, earning.points_milli[ledger]);
	assert_int_equal(detail.rules, earning.rules[ledger]);
	if (detail.base_num)
		assert_int_equal(detail.promotions, earning.promotions[ledger]);
	else
		assert_int_equal(earning.promotions[ledger], 0);
	return earning.points_milli[ledger];
}

static int64_t earned(const struct programme *p, int64_t eligible_minor, int32_t day)
{
	const struct fact order = order_of(eligible_minor, day);
	return earned_by(p, &order, 0, 0);
}

/* --- rules ------------------------------------------------------------------------------------------------------------- */

static void test_per_amount(void **state)
{
	(void)state;
	static const struct {
		int64_t points_milli;
		int64_t per_minor;
		int64_t eligible_minor;
		int64_t earned_milli;
	} CASES[] = {
		{1000, 1000, 6500, 6500},                     /* 1 for 10.00: 65.00 gives 6.500 */
		{1000, 2500, 350, 140},                       /* 1 for 25.00: 3.50 gives 0.140 */
		{1000, 2500, 2, 0},                           /* 0.0008: down */
		{1000, 2500, 3, 1},                           /* 0.0012 */
		{1000, 3, 2, 666},                            /* two thirds, not to the nearest */
		{1000, 3, 3, 1000},                           /* */
		{1000, 1000, 0, 0},                           /* free */
		{1, 7, 6, 0},                                 /* */
		{1, 7, 7, 1},                                 /* */
		{999999937, 999999937, 123456789, 123456789}, /* 1.2e17 before the division: reduced, it is 1/1 */
		{999999937, 99999999977, LIMIT_AMOUNT_MINOR,
		 999999937}, /* 99999999.97000002…: needs more than 64 bits */
		{10000000, 1000, LIMIT_AMOUNT_MINOR, LIMIT_POINTS_MILLI}, /* 1000 for 1.00: the most there is */
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct programme *const p = make_programme("UTC");
		add_rule(p, "base", RULE_PER_AMOUNT, CASES[i].points_milli, CASES[i].per_minor);
		make_ready(p);
		const int64_t got = earned(p, CASES[i].eligible_minor, 0);
		if (got != CASES[i].earned_milli)
			fail_msg("case %zu: %lld", i, (long long)got);
		programme_free(p);
	}
}

static void test_per_step(void **state)
{
	(void)state;
	struct programme *const p = make_programme("UTC");
	add_rule(p, "step", RULE_PER_STEP, 5500, 2500);
	make_ready(p);
	assert_int_equal(earned(p, 0, 0), 0);
	assert_int_equal(earned(p, 2499, 0), 0);
	assert_int_equal(earned(p, 2500, 0), 5500);
	assert_int_equal(earned(p, 4999, 0), 5500);
	assert_int_equal(earned(p, 7501, 0), 16500);
	struct earning e;
	struct fact order = order_of(2499, 0);
	assert_int_equal(earn_order(p, &order, 0, &e), 0);
	assert_int_equal(e.rules[0], 0);
	order = order_of(2500, 0);
	assert_int_equal(earn_order(p, &order, 0, &e), 0);
	assert_int_equal(e.rules[0], 1);
	programme_free(p);
}

static void test_per_visit(void **state)
{
	(void)state;
	struct programme *const p = make_programme("UTC");
	p->ledgers[0].decimals = 0;
	add_rule(p, "any", RULE_PER_VISIT, 250, 0);
	add_rule(p, "large", RULE_PER_VISIT, 2000, 1000);
	add_level(p, "gold", 0, 3, 1);
	add_promotion(p, "double", 2, 1);
	make_ready(p);
	/* Neither rounded nor multiplied; a free order is a visit. */
	assert_int_equal(earned(p, 0, 0), 250);
	assert_int_equal(earned(p, 999, 0), 250);
	assert_int_equal(earned(p, 1000, 0), 2250);
	programme_free(p);
}

static void test_per_item(void **state)
{
	(void)state;
	struct programme *const p = make_programme("UTC");
	p->ledgers[0].decimals = 1;
	add_rule(p, "stamp", RULE_PER_ITEM, 1250, 0);
	add_promotion(p, "double", 2, 1);
	make_ready(p);
	struct fact order = order_of(500, 0);
	order.items[0] = INT64_C(1250) * 3500; /* 1.25 · 3.5 = 4.375, down to 4.3; no promotion */
	order.item_rules = 1;
	assert_int_equal(earned_by(p, &order, 0, 0), 4300);
	p->ledgers[0].rounding = ROUND_HALF_UP;
	assert_int_equal(earned_by(p, &order, 0, 0), 4400);
	order.items[0] = LIMIT_POINTS_MILLI * 1000;
	assert_int_equal(earned_by(p, &order, 0, 0), LIMIT_POINTS_MILLI);
	programme_free(p);
}

/* Base and items are rounded apart: 0.5 + 0.5 gives nothing of whole points. */
static void test_all_kinds_together(void **state)
{
	(void)state;
	struct programme *const p = make_programme("UTC");
	p->ledgers[0].decimals = 0;
	add_rule(p, "amount", RULE_PER_AMOUNT, 1000, 1000);
	add_rule(p, "step", RULE_PER_STEP, 500, 300);
	add_rule(p, "visit", RULE_PER_VISIT, 7000, 0);
	add_rule(p, "item", RULE_PER_ITEM, 500, 0);
	add_level(p, "base", 0, 1, 1);
	add_level(p, "gold", 1000, 5, 4);
	make_ready(p);
	struct fact order = order_of(500, 0);
	order.items[0] = 500 * 1000;
	order.item_rules = 8;
	/* base tier: 0.5 + 0.5 = 1; items 0.5: 0; visit 7 */
	assert_int_equal(earned_by(p, &order, 0, 0), 8000);
	/* 24.50: 2.45 + 4.0 = 6.45 · 1.25 = 8.0625: 8; 7 */
	order.eligible_minor = 2450;
	assert_int_equal(earned_by(p, &order, 1, 0), 15000);
	struct earning_detail d;
	assert_int_equal(earn_detail(p, &order, 1, 0, &d), 0);
	assert_true(d.base_num == 6450 && d.base_den == 1);
	assert_true(d.multiplied_num == 16125 && d.multiplied_den == 2);
	assert_true(d.tier.num == 5 && d.tier.den == 4);
	assert_true(d.promotion_multiplier.num == 1 && d.promotion_multiplier.den == 1);
	assert_int_equal(d.rounded_milli, 8000);
	assert_int_equal(d.items_milli, 0);
	assert_int_equal(d.visits_milli, 7000);
	assert_int_equal(d.capped_milli, 0);
	assert_int_equal(d.rules, 15);
	programme_free(p);
}

static void test_nothing_earned(void **state)
{
	(void)state;
	struct programme *const p = make_programme("UTC");
	make_ready(p);
	assert_int_equal(earned(p, LIMIT_AMOUNT_MINOR, 0), 0);
	programme_free(p);
}

/* --- rounding and caps --------------------------------------------------------------------------------------------------- */

static void test_a_tier_is_ignored_without_tiers(void **state)
{
	(void)state;
	struct programme *const p = make_programme("UTC");
	add_rule(p, "base", RULE_PER_AMOUNT, 1000, 100);
	make_ready(p);
	const struct fact order = order_of(250, 0);
	assert_int_equal(earned_by(p, &order, 3, 0), 2500);
	programme_free(p);
}

static void test_rounding(void **state)
{
	(void)state;
	static const struct {
		int64_t num;
		int64_t den;
		int64_t unit;
		int64_t rounded[4]; /* floor, half_up, half_even, ceil */
	} CASES[] = {
		{0, 1, 1, {0, 0, 0, 0}},
		{1, 3, 1, {0, 0, 0, 1}},
		{1, 2, 1, {0, 1, 0, 1}},
		{2, 3, 1, {0, 1, 1, 1}},
		{3, 2, 1, {1, 2, 2, 2}},
		{5, 2, 1, {2, 3, 2, 3}},
		{7, 1, 1, {7, 7, 7, 7}},
		{4499, 1, 1000, {4000, 4000, 4000, 5000}},
		{4500, 1, 1000, {4000, 5000, 4000, 5000}},
		{5500, 1, 1000, {5000, 6000, 6000, 6000}},
		{13501, 3, 1000, {4000, 5000, 5000, 5000}},
		{13499, 3, 1000, {4000, 4000, 4000, 5000}},
		{450, 1, 100, {400, 500, 400, 500}},
		{45, 1, 10, {40, 50, 40, 50}},
		{INT64_MAX, 1, 1, {INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX}},
		{INT64_MAX, INT64_MAX, 1, {1, 1, 1, 1}},
		{INT64_MAX - 1, INT64_MAX, 1, {0, 1, 1, 1}},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		for (unsigned mode = 0; mode < 4; mode++) {
			int64_t out = -1;
			assert_int_equal(
				earn_round(CASES[i].num, CASES[i].den, CASES[i].unit, (enum rounding)mode, &out), 0);
			if (out != CASES[i].rounded[mode])
				fail_msg("case %zu, mode %u: %lld", i, mode, (long long)out);
			/* The same by the long division. */
			const __int128 scale = (__int128)1 << 50;
			assert_int_equal(earn_round(CASES[i].num * scale, CASES[i].den * scale, CASES[i].unit,
						    (enum rounding)mode, &out),
					 0);
			assert_int_equal(out, CASES[i].rounded[mode]);
		}
	}
	const __int128 large = (__int128)(~(unsigned __int128)0 >> 1);
	int64_t out = -1;
	assert_int_equal(earn_round((__int128)INT64_MAX + 1, 1, 1, ROUND_FLOOR, &out), ERROR_OVERFLOW);
	assert_int_equal(earn_round((__int128)INT64_MAX * 2 + 1, 2, 1, ROUND_CEIL, &out), ERROR_OVERFLOW);
	assert_int_equal(earn_round(INT64_MAX, 1, 1000, ROUND_CEIL, &out), ERROR_OVERFLOW);
	assert_int_equal(earn_round(large, 1, 1000, ROUND_FLOOR, &out), ERROR_OVERFLOW);
	assert_int_equal(earn_round(1, large, 1000, ROUND_FLOOR, &out), ERROR_OVERFLOW);
	assert_int_equal(out, -1);
	assert_int_equal(earn_round(large, large, 1, ROUND_HALF_EVEN, &out), 0);
	assert_int_equal(out, 1);
	assert_int_equal(earn_round(large - 1, large, 1, ROUND_FLOOR, &out), 0);
	assert_int_equal(out, 0);
}

/* 1.25 for 1.00; 0.97 gives 1.2125. */
static void test_decimals(void **state)
{
	(void)state;
	static const int64_t EARNED[4][4] = {
		{1000, 1200, 1210, 1212}, /* floor, by decimals */
		{1000, 1200, 1210, 1213},
		{1000, 1200, 1210, 1212},
		{2000, 1300, 1220, 1213},
	};
	for (unsigned mode = 0; mode < 4; mode++) {
		for (uint8_t decimals = 0; decimals < 4; decimals++) {
			struct programme *const p = make_programme("UTC");
			p->ledgers[0].decimals = decimals;
			p->ledgers[0].rounding = (enum rounding)mode;
			add_rule(p, "base", RULE_PER_AMOUNT, 1250, 100);
			make_ready(p);
			assert_int_equal(earned(p, 97, 0), EARNED[mode][decimals]);
			programme_free(p);
		}
	}
}

static void test_cap(void **state)
{
	(void)state;
	struct programme *const p = make_programme("UTC");
	p->ledgers[0].max_per_order_milli = 10500;
	add_rule(p, "base", RULE_PER_AMOUNT, 1000, 100);
	add_rule(p, "visit", RULE_PER_VISIT, 500, 0);
	make_ready(p);
	assert_int_equal(earned(p, 999, 0), 10490);
	assert_int_equal(earned(p, 1000, 0), 10500);
	assert_int_equal(earned(p, 1001, 0), 10500);
	const struct fact order = order_of(1001, 0);
	struct earning_detail d;
	assert_int_equal(earn_detail(p, &order, 0, 0, &d), 0);
	assert_int_equal(d.capped_milli, 10);
	assert_int_equal(d.points_milli, 10500);
	programme_free(p);
}

/* --- tiers, promotions, dates ------------------------------------------------------------------------------------------- */

static void test_tiers_and_promotions_multiply_before_rounding(void **state)
{
	(void)state;
	struct programme *const p = make_programme("Asia/Bangkok");
	add_rule(p, "base", RULE_PER_AMOUNT, 1000, 1000);
	add_level(p, "member", 0, 1, 1);
	add_level(p, "silver", 10000, 110, 100);
	add_level(p, "gold", 50000, 125, 100);
	add_promotion(p, "third", 4, 3)->min_minor = 400;
	make_ready(p);
	/* 4.50 THB · 1 / 10 = 0.45; below 4.00 no promotion */
	const struct fact order = order_of(450, 0);
	assert_int_equal(earned_by(p, &order, 0, 0), 600);
	assert_int_equal(earned_by(p, &order, 1, 0), 660);
	assert_int_equal(earned_by(p, &order, 2, 0), 750);
	const struct fact small = order_of(399, 0);
	assert_int_equal(earned_by(p, &small, 0, 0), 399);
	assert_int_equal(earned_by(p, &small, 2, 0), 498); /* 0.49875 */
	struct earning_detail d;
	assert_int_equal(earn_detail(p, &order, 2, 0, &d), 0);
	assert_true(d.tier.num == 5 && d.tier.den == 4);
	assert_true(d.promotion_multiplier.num == 4 && d.promotion_multiplier.den == 3);
	assert_int_equal(d.promotions, 1);
	programme_free(p);
}

/* 3/2 and 10/9 are told as 5/3. */
static void test_multipliers_of_promotions_are_reduced(void **state)
{
	(void)state;
	struct programme *const p = make_programme("UTC");
	add_rule(p, "base", RULE_PER_AMOUNT, 1000, 100);
	add_promotion(p, "half more", 3, 2);
	add_promotion(p, "a ninth more", 10, 9);
	make_ready(p);
	const struct fact order = order_of(300, 0);
	struct earning_detail d;
	assert_int_equal(earn_detail(p, &order, 0, 0, &d), 0);
	assert_true(d.promotion_multiplier.num == 5 && d.promotion_multiplier.den == 3);
	assert_int_equal(earned_by(p, &order, 0, 0), 5000);
	programme_free(p);
}

static void test_groups(void **state)
{
	(void)state;
	struct programme *const p = make_programme("UTC");
	add_rule(p, "base", RULE_PER_AMOUNT, 1000, 100);
	/* Group 0: 2, 3 (from 10.00), 3; group 1: 1/2 alone; group 2: 3/2 on Mondays. */
	add_promotion(p, "two", 2, 1)->group = 0;
	struct promotion *promotion = add_promotion(p, "three", 3, 1);
	promotion->group = 0;
	promotion->min_minor = 1000;
	promotion = add_promotion(p, "three-too", 6, 2);
	promotion->group = 0;
	promotion->min_minor = 900;
	promotion = add_promotion(p, "half", 1, 2);
	promotion->group = 1;
	promotion->min_minor = 500;
	promotion = add_promotion(p, "monday", 3, 2);
	promotion->group = 2;
	promotion->weekdays = 1;
	make_ready(p);
	static const struct {
		int64_t eligible_minor;
		int32_t day;
		int64_t earned_milli;
		uint64_t promotions;
	} CASES[] = {
		{100, 0, 2000, 0x01},   /* a Thursday */
		{500, 0, 5000, 0x09},   /* 5 · 2 · 1/2 */
		{899, 0, 8990, 0x09},   /* */
		{900, 0, 13500, 0x0c},  /* 9 · 3 · 1/2: the second of three */
		{1000, 0, 15000, 0x0a}, /* of equal ones the first in the file */
		{1000, 4, 22500, 0x1a}, /* Monday, 5 January 1970 */
		{100, 4, 3000, 0x11},   /* */
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		const struct fact order = order_of(CASES[i].eligible_minor, CASES[i].day);
		struct earning e;
		assert_int_equal(earned_by(p, &order, 0, 0), CASES[i].earned_milli);
		assert_int_equal(earn_order(p, &order, 0, &e), 0);
		assert_int_equal(e.promotions[0], CASES[i].promotions);
	}
	programme_free(p);
}

static void test_weekdays(void **state)
{
	(void)state;
	for (unsigned weekday = 0; weekday < 7; weekday++) {
		struct programme *const p = make_programme("UTC");
		add_rule(p, "base", RULE_PER_AMOUNT, 1000, 100);
		add_promotion(p, "day", 2, 1)->weekdays = (uint8_t)(1u << weekday);
		make_ready(p);
		/* 2 March 2026 was a Monday; so was 29 December 1969. */
		for (unsigned i = 0; i < 14; i++) {
			const int64_t expected = i % 7 == weekday ? 200 : 100;
			assert_int_equal(earned(p, 10, day_of("2026-03-02") + (int32_t)i), expected);
			assert_int_equal(earned(p, 10, day_of("1969-12-29") - 7 + (int32_t)i), expected);
		}
		programme_free(p);
	}
}

static void test_ledgers(void **state)
{
	(void)state;
	struct programme *const p = make_programme("UTC");
	struct ledger_rules *const stamps = add_ledger(p, "stamps");
	stamps->decimals = 0;
	stamps->rounding = ROUND_CEIL;
	add_rule(p, "points", RULE_PER_AMOUNT, 1000, 100);
	add_rule(p, "stamps", RULE_PER_STEP, 1000, 500)->ledger = 1;
	add_rule(p, "cup", RULE_PER_ITEM, 300, 0)->ledger = 1;
	/* One group: in "stamps" 3 holds, in "points" 2. */
	struct promotion *promotion = add_promotion(p, "all", 2, 1);
	promotion->group = 0;
	promotion = add_promotion(p, "stamps", 3, 1);
	promotion->group = 0;
	promotion->ledger = 1;
	make_ready(p);
	struct fact order = order_of(1100, 0);
	order.items[1] = 300 * 1000;
	order.item_rules = 4;
	assert_int_equal(earned_by(p, &order, 0, 0), 22000);
	assert_int_equal(earned_by(p, &order, 0, 1), 7000);
	struct earning e;
	assert_int_equal(earn_order(p, &order, 0, &e), 0);
	assert_int_equal(e.rules[0], 1);
	assert_int_equal(e.rules[1], 6);
	assert_int_equal(e.promotions[0], 1);
	assert_int_equal(e.promotions[1], 2);
	programme_free(p);
}

/* A version of a rule ends, the next begins; a promotion in between. */
static void test_days(void **state)
{
	(void)state;
	struct programme *const p = make_programme("UTC");
	const int32_t day = day_of("2024-03-01");
	add_rule(p, "base", RULE_PER_AMOUNT, 1000, 100)->until_day = day - 1;
	struct earn_rule *rule = add_rule(p, "base", RULE_PER_AMOUNT, 2000, 100);
	rule->from_day = day;
	rule->until_day = day + 9;
	add_rule(p, "base", RULE_PER_AMOUNT, 7000, 300)->from_day = day + 20;
	struct promotion *const promotion = add_promotion(p, "double", 2, 1);
	promotion->from_day = day - 1;
	promotion->until_day = day;
	make_ready(p);
	static const struct {
		int32_t after;
		int64_t earned_milli;
	} CASES[] = {{-20000, 1000}, {-2, 1000}, {-1, 2000}, {0, 4000},  {1, 2000},    {9, 2000},
		     {10, 0},        {19, 0},    {20, 2333}, {21, 2333}, {30000, 2333}};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++)
		assert_int_equal(earned(p, 100, day + CASES[i].after), CASES[i].earned_milli);
	programme_free(p);
}

static struct fact order_at(const struct programme *p, int year, int month, int day, int hour, int minute)
{
	const struct order_line line = {.menu = SLICE("Latte"), .qty_milli = 1000, .amount_minor = 100};
	const int64_t utc_s = INT64_C(86400) * civil_days(year, month, day) + hour * 3600 + minute * 60;
	const struct event event = {.kind = EVENT_ORDER,
				    .id = SLICE("1"),
				    .customer = {.number = 1},
				    .time_us = utc_s * 1000000,
				    .lines = &line,
				    .n_lines = 1};
	struct fact fact;
	fact_of_event(&fact, p, &event, SLICE("till"));
	return fact;
}

/* Of a rule whose second version begins on a local day: the last minute before, and midnight, in UTC. */
static void test_versions_change_at_local_midnight(void **state)
{
	(void)state;
	static const struct {
		const char *zone;
		const char *day;
		int before[5];
		int midnight[5];
	} CASES[] = {
		{"Asia/Bangkok", "2024-07-01", {2024, 6, 30, 16, 59}, {2024, 6, 30, 17, 0}},
		{"Europe/Berlin",
		 "2024-03-31",
		 {2024, 3, 30, 22, 59},
		 {2024, 3, 30, 23, 0}}, /* clocks go forward that day */
		{"Europe/Berlin",
		 "2024-04-01",
		 {2024, 3, 31, 21, 59},
		 {2024, 3, 31, 22, 0}}, /* its 23 hours are over */
		{"Europe/Berlin", "2024-10-27", {2024, 10, 26, 21, 59}, {2024, 10, 26, 22, 0}},
		{"Europe/Berlin", "2024-10-28", {2024, 10, 27, 22, 59}, {2024, 10, 27, 23, 0}}, /* 25 hours */
		{"America/New_York", "2024-03-10", {2024, 3, 10, 4, 59}, {2024, 3, 10, 5, 0}},
		{"America/New_York", "2024-03-11", {2024, 3, 11, 3, 59}, {2024, 3, 11, 4, 0}},
		{"America/New_York", "2024-11-04", {2024, 11, 4, 4, 59}, {2024, 11, 4, 5, 0}},
		{"UTC", "2024-02-29", {2024, 2, 28, 23, 59}, {2024, 2, 29, 0, 0}},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct programme *const p = make_programme(CASES[i].zone);
		add_rule(p, "base", RULE_PER_AMOUNT, 1000, 100)->until_day = day_of(CASES[i].day) - 1;
		add_rule(p, "base", RULE_PER_AMOUNT, 3000, 100)->from_day = day_of(CASES[i].day);
		make_ready(p);
		const int *const b = CASES[i].before;
		const int *const m = CASES[i].midnight;
		struct fact order = order_at(p, b[0], b[1], b[2], b[3], b[4]);
		if (earned_by(p, &order, 0, 0) != 1000)
			fail_msg("case %zu: before midnight", i);
		order = order_at(p, m[0], m[1], m[2], m[3], m[4]);
		if (earned_by(p, &order, 0, 0) != 3000)
			fail_msg("case %zu: midnight", i);
		programme_free(p);
	}
}

/* --- limits -------------------------------------------------------------------------------------------------------------- */

static void test_sums_out_of_range(void **state)
{
	(void)state;
	struct programme *const p = make_programme("UTC");
	add_ledger(p, "stamps");
	add_rule(p, "base", RULE_PER_AMOUNT, 1000, 100);
	make_ready(p);
	struct earning e = {.rules = {77}};
	struct earning_detail d = {.rules = 77};
	struct fact orders[] = {order_of(-1, 0), order_of(LIMIT_AMOUNT_MINOR + 1, 0), order_of(1, 0), order_of(1, 0),
				order_of(1, 0)};
	orders[2].items[0] = -1;
	orders[3].items[0] = LIMIT_POINTS_MILLI * 1000 + 1;
	orders[4].items[1] = LIMIT_POINTS_MILLI * 1000 + 1;
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		assert_int_equal(earn_order(p, &orders[i], 0, &e), ERROR_OVERFLOW);
		assert_int_equal(earn_detail(p, &orders[i], 0, 0, &d), ERROR_OVERFLOW);
	}
	assert_int_equal(e.rules[0], 77);
	assert_int_equal(d.rules, 77);
	programme_free(p);
}

/* --- random programmes against docs/programme.md, read line by line ------------------------------------------------------ */

static uint64_t random_state = UINT64_C(88172645463325252);

static int64_t below(int64_t n)
{
	assert(n > 0);
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (int64_t)(random_state % (uint64_t)n);
}

static const int64_t PERS[] = {100, 250, 300, 700, 1000, 99};

static void random_days(int32_t *from_day, int32_t *until_day)
{
	*from_day = below(2) ? DAY_MIN : (int32_t)below(30);
	*until_day = below(2) ? DAY_MAX : (*from_day == DAY_MIN ? 0 : *from_day) + (int32_t)below(20);
}

static struct programme *random_programme(void)
{
	struct programme *const p = make_programme("UTC");
	for (int64_t i = below(3); i > 0; i--)
		add_ledger(p, "more");
	for (unsigned i = 0; i < p->n_ledgers; i++) {
		p->ledgers[i].decimals = (uint8_t)below(4);
		p->ledgers[i].rounding = (enum rounding)below(4);
		p->ledgers[i].max_per_order_milli = below(3) ? 0 : 1 + below(100000);
	}
	for (int64_t i = below(9); i > 0; i--) {
		struct earn_rule *const rule =
			add_rule(p, "r", (enum rule_kind)below(4), 1 + below(3000), PERS[below(6)]);
		rule->ledger = (uint8_t)below(p->n_ledgers);
		random_days(&rule->from_day, &rule->until_day);
	}
	for (int64_t i = below(6); i > 0; i--) {
		struct promotion *const promotion = add_promotion(p, "p", 1 + below(4) * 3, 1 + below(7));
		promotion->group = (uint8_t)below(3);
		promotion->ledger = below(2) ? LEDGER_ALL : (uint8_t)below(p->n_ledgers);
		promotion->weekdays = below(2) ? WEEKDAY_ALL : (uint8_t)below(128);
		promotion->min_minor = below(2) ? 0 : below(1000);
		random_days(&promotion->from_day, &promotion->until_day);
	}
	for (int64_t i = below(4); i > 0; i--)
		add_level(p, "l", 0, 1 + below(30), 1 + below(12));
	return p;
}

static bool in_force(int32_t day, int32_t from_day, int32_t until_day)
{
	return day >= from_day && day <= until_day;
}

static bool holds(const struct promotion *p, unsigned ledger, const struct fact *order)
{
	return (p->ledger == LEDGER_ALL || p->ledger == ledger) && in_force(order->day, p->from_day, p->until_day) &&
	       (p->weekdays >> (order->day + 3) % 7 & 1) && order->eligible_minor >= p->min_minor;
}

static int64_t plainly(const struct programme *p, const struct fact *order, unsigned tier, unsigned ledger)
{
	const int64_t e = order->eligible_minor;
	__int128 den = 1;
	for (size_t i = 0; i < sizeof(PERS) / sizeof(PERS[0]); i++)
		den *= PERS[i];
	__int128 num = 0;
	int64_t visits = 0;
	for (unsigned i = 0; i < p->n_rules; i++) {
		const struct earn_rule *const r = &p->rules[i];
		if (r->ledger != ledger || !in_force(order->day, r->from_day, r->until_day))
			continue;
		if (r->kind == RULE_PER_AMOUNT)
			num += e * r->points_milli * (den / r->amount_minor);
		if (r->kind == RULE_PER_STEP)
			num += r->points_milli * (e / r->amount_minor) * den;
		if (r->kind == RULE_PER_VISIT && e >= r->amount_minor)
			visits += r->points_milli;
	}
	if (p->tiers.n_levels) {
		num *= p->tiers.levels[tier].multiplier.num;
		den *= p->tiers.levels[tier].multiplier.den;
	}
	for (unsigned group = 0; group < 3; group++) {
		const struct promotion *best = NULL;
		for (unsigned i = 0; i < p->n_promotions; i++) {
			const struct promotion *const q = &p->promotions[i];
			if (q->group == group && holds(q, ledger, order) &&
			    (!best ||
			     q->multiplier.num * best->multiplier.den > best->multiplier.num * q->multiplier.den))
				best = q;
		}
		num *= best ? best->multiplier.num : 1;
		den *= best ? best->multiplier.den : 1;
	}
	static const int64_t UNITS[] = {1000, 100, 10, 1};
	const struct ledger_rules *const rules = &p->ledgers[ledger];
	int64_t base;
	int64_t items;
	assert_int_equal(earn_round(num, den, UNITS[rules->decimals], rules->rounding, &base), 0);
	assert_int_equal(earn_round(order->items[ledger], 1000, UNITS[rules->decimals], rules->rounding, &items), 0);
	const int64_t sum = base + items + visits;
	return rules->max_per_order_milli && sum > rules->max_per_order_milli ? rules->max_per_order_milli : sum;
}

static void test_random_programmes(void **state)
{
	(void)state;
	int refused = 0;
	for (int i = 0; i < 3000; i++) {
		struct programme *const p = random_programme();
		/* Some would give too much. */
		if (programme_prepare(p, NULL, NULL) < 0) {
			programme_free(p);
			refused++;
			continue;
		}
		for (int k = 0; k < 50; k++) {
			struct fact order = order_of(below(4) ? below(3000) : below(100000000), (int32_t)below(60));
			const unsigned tier = (unsigned)below(p->tiers.n_levels ? p->tiers.n_levels : 1);
			for (unsigned ledger = 0; ledger < p->n_ledgers; ledger++)
				order.items[ledger] = below(3) ? 0 : below(10000000);
			for (unsigned ledger = 0; ledger < p->n_ledgers; ledger++) {
				const int64_t expected = plainly(p, &order, tier, ledger);
				const int64_t got = earned_by(p, &order, tier, ledger);
				if (got != expected)
					fail_msg("programme %d, order %d, ledger %u: %lld, not %lld", i, k, ledger,
						 (long long)got, (long long)expected);
			}
		}
		programme_free(p);
	}
	assert_true(refused < 600);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_per_amount),
		cmocka_unit_test(test_per_step),
		cmocka_unit_test(test_per_visit),
		cmocka_unit_test(test_per_item),
		cmocka_unit_test(test_all_kinds_together),
		cmocka_unit_test(test_nothing_earned),
		cmocka_unit_test(test_a_tier_is_ignored_without_tiers),
		cmocka_unit_test(test_rounding),
		cmocka_unit_test(test_decimals),
		cmocka_unit_test(test_cap),
		cmocka_unit_test(test_tiers_and_promotions_multiply_before_rounding),
		cmocka_unit_test(test_multipliers_of_promotions_are_reduced),
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_weekdays),
		cmocka_unit_test(test_ledgers),
		cmocka_unit_test(test_days),
		cmocka_unit_test(test_versions_change_at_local_midnight),
		cmocka_unit_test(test_sums_out_of_range),
		cmocka_unit_test(test_random_programmes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
