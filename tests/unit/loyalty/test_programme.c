/* What preparing refuses, what the hash covers, items by name, and months. */
#include "loyalty/programme.h"

#include "base/limits.h"
#include "loyalty/earn.h"
#include "loyalty/programme_internal.h"
#include "make_programme.h"

#include <limits.h>
#include <stdio.h>

/* `said`: the culprit, and how the message begins. */
static void assert_refused(struct programme *p, const char *said, const char *also)
{
	struct error err = {0};
	struct programme_culprit culprit = {.index = UINT_MAX};
	assert_int_equal(programme_prepare(p, &culprit, &err), ERROR_CONFIG);
	char text[sizeof(err.message) + 128];
	if (culprit.kind == CULPRIT_RULE)
		snprintf(text, sizeof(text), "rule '%s': %s", p->rules[culprit.index].name, err.message);
	else if (culprit.kind == CULPRIT_PROMOTION)
		snprintf(text, sizeof(text), "promotion '%s': %s", p->promotions[culprit.index].name, err.message);
	else
		snprintf(text, sizeof(text), "item '%s': %s", p->items[culprit.index].name, err.message);
	if (strncmp(text, said, strlen(said)) != 0 || !strstr(text, also))
		fail_msg("%s", text);
	assert_null(p->index);
	programme_free(p);
}

static void test_defaults(void **state)
{
	(void)state;
	programme_free(NULL);
	struct programme *const p = programme_new();
	assert_non_null(p);
	assert_int_equal(p->segment_months, 12);
	assert_int_equal(p->lateness_us, INT64_C(604800000000));
	assert_int_equal(p->open_max, 64);
	assert_int_equal(p->n_ledgers, 0);
	assert_int_equal(p->n_rules, 0);
	programme_free(p);
}

/* --- what could overflow ------------------------------------------------------------------------------------------------- */

static void test_too_many_points(void **state)
{
	(void)state;
	/* 1000 for 1.00 is the most; a thousandth more is refused. */
	struct programme *p = make_programme("UTC");
	add_rule(p, "base", RULE_PER_AMOUNT, 1000000, 100);
	make_ready(p);
	programme_free(p);
	p = make_programme("UTC");
	add_rule(p, "small", RULE_PER_AMOUNT, 1000, 100);
	add_rule(p, "base", RULE_PER_AMOUNT, 1000000, 100);
	assert_refused(p, "rule 'base': ", "could earn more than 1000000000000 points");
	p = make_programme("UTC");
	add_rule(p, "base", RULE_PER_AMOUNT, 1000001, 100);
	assert_refused(p, "rule 'base': ", "an order of 1000000000.00");
	p = make_programme("UTC");
	add_rule(p, "base", RULE_PER_AMOUNT, INT64_MAX, 1);
	assert_refused(p, "rule 'base': ", "could earn more");
	p = make_programme("UTC");
	add_rule(p, "step", RULE_PER_STEP, 10001, 1);
	assert_refused(p, "rule 'step': ", "could earn more");
	p = make_programme("UTC");
	add_rule(p, "visit", RULE_PER_VISIT, LIMIT_POINTS_MILLI, 0);
	make_ready(p);
	programme_free(p);
	p = make_programme("UTC");
	add_rule(p, "visit", RULE_PER_VISIT, LIMIT_POINTS_MILLI + 1, 0);
	assert_refused(p, "rule 'visit': ", "could earn more");
	/* Items are looked at order by order. */
	p = make_programme("UTC");
	add_rule(p, "item", RULE_PER_ITEM, INT64_MAX, 0);
	make_ready(p);
	programme_free(p);
}

/* Only what can come together is counted together. */
static void test_versions_do_not_add_up(void **state)
{
	(void)state;
	for (int32_t overlap = 0; overlap < 2; overlap++) {
		struct programme *p = make_programme("UTC");
		add_rule(p, "base", RULE_PER_AMOUNT, 600000, 100)->until_day = 99 + overlap;
		add_rule(p, "other", RULE_PER_AMOUNT, 600000, 100)->from_day = 100;
		if (overlap)
			assert_refused(p, "rule 'other': ", "could earn more");
		else
			make_ready(p), programme_free(p);
		/* Of two ledgers. */
		p = make_programme("UTC");
		add_ledger(p, "stamps");
		add_rule(p, "base", RULE_PER_AMOUNT, 600000, 100);
		add_rule(p, "other", RULE_PER_AMOUNT, 600000, 100)->ledger = !overlap;
		if (overlap)
			assert_refused(p, "rule 'other': ", "ledger 'points'");
		else
			make_ready(p), programme_free(p);
	}
}

static void test_multipliers_count(void **state)
{
	(void)state;
	/* 100 for 1.00: ten times more fits, the tier's 2 and the groups' 5 and 1 (a half holds nobody back). */
	static const struct {
		int64_t points_milli;
		bool refused;
	} CASES[] = {{100000, false}, {100001, true}};
	for (size_t i = 0; i < 2; i++) {
		struct programme *const p = make_programme("UTC");
		add_rule(p, "base", RULE_PER_AMOUNT, CASES[i].points_milli, 100);
		add_level(p, "a", 0, 1, 1);
		add_level(p, "b", 10, 2, 1);
		add_level(p, "c", 20, 3, 2);
		add_promotion(p, "five", 5, 1)->group = 0;
		add_promotion(p, "four", 4, 1)->group = 0;
		add_promotion(p, "half", 1, 2)->group = 1;
		struct promotion *const later = add_promotion(p, "ten", 10, 1);
		later->group = 0;
		later->ledger = 1;
		add_ledger(p, "stamps");
		if (CASES[i].refused)
			assert_refused(p, "rule 'base': ", "could earn more");
		else
			make_ready(p), programme_free(p);
	}
}

static void test_fractions_that_do_not_fit(void **state)
{
	(void)state;
	/* Primes below 10^11: four denominators multiply to 146 bits. */
	static const int64_t PRIMES[] = {99999999977, 99999999947, 99999999943, 99999999929};
	struct programme *p = make_programme("UTC");
	for (size_t i = 0; i < 4; i++)
		add_rule(p, i == 3 ? "fourth" : "rule", RULE_PER_AMOUNT, 1000, PRIMES[i]);
	assert_refused(p, "rule 'fourth': ", "do not fit 128 bits");
	/* Two fit, and are exact. */
	p = make_programme("UTC");
	add_rule(p, "a", RULE_PER_AMOUNT, 1, PRIMES[0]);
	add_rule(p, "b", RULE_PER_AMOUNT, 1, PRIMES[1]);
	make_ready(p);
	struct fact order = {.eligible_minor = LIMIT_AMOUNT_MINOR};
	struct earning e;
	assert_int_equal(earn_order(p, &order, 0, &e), 0);
	assert_int_equal(e.points_milli[0], 2); /* 1.0000000002 + 1.0000000005 */
	order.eligible_minor = PRIMES[1] - 1;
	assert_int_equal(earn_order(p, &order, 0, &e), 0);
	assert_int_equal(e.points_milli[0], 1); /* 1 − 3·10^-10 + 1 − 10^-11 */
	programme_free(p);
	/* Multipliers of many groups. */
	p = make_programme("UTC");
	add_rule(p, "base", RULE_PER_AMOUNT, 1, 1000);
	add_promotion(p, "a", 1000003, 1000000);
	add_promotion(p, "b", 1000007, 1000000);
	add_promotion(p, "c", 1000009, 1000000);
	add_promotion(p, "d", 1000013, 1000000);
	assert_refused(p, "promotion 'd': ", "do not fit 64 bits");
}

/* --- items, ledgers, rewards --------------------------------------------------------------------------------------------- */

static void test_multipliers_are_reduced(void **state)
{
	(void)state;
	struct programme *const p = make_programme("UTC");
	add_level(p, "base", 0, 1000, 1000);
	add_level(p, "gold", 1, 1250, 1000);
	add_promotion(p, "double", 2000, 1000);
	add_promotion(p, "half", 500, 1000);
	make_ready(p);
	const struct multiplier *const found[] = {&p->tiers.levels[0].multiplier, &p->tiers.levels[1].multiplier,
						  &p->promotions[0].multiplier, &p->promotions[1].multiplier};
	static const struct multiplier EXPECTED[] = {{1, 1}, {5, 4}, {2, 1}, {1, 2}};
	for (int i = 0; i < 4; i++) {
		assert_int_equal(found[i]->num, EXPECTED[i].num);
		assert_int_equal(found[i]->den, EXPECTED[i].den);
	}
	programme_free(p);
}

/* Fractions that fit with the greatest multiplier, and not with one whose numerator is greater. */
static struct programme *with_fine_rates(void)
{
	static const int64_t PRIMES[] = {10000019, 10000079, 10000103, 10000121};
	struct programme *const p = make_programme("UTC");
	for (unsigned i = 0; i < sizeof(PRIMES) / sizeof(PRIMES[0]); i++)
		add_rule(p, "rate", RULE_PER_AMOUNT, 2, PRIMES[i]);
	return p;
}

static void test_the_numerator_of_any_level_fits(void **state)
{
	(void)state;
	for (int fine = 0; fine < 2; fine++) {
		struct programme *const p = with_fine_rates();
		add_level(p, "base", 0, 1, 1);
		add_level(p, "silver", 1, fine ? 999999 : 999, fine ? 1000 : 1);
		add_level(p, "gold", 2, 1000, 1);
		if (fine) {
			assert_refused(p, "rule 'rate': ", "do not fit 128 bits");
			continue;
		}
		make_ready(p);
		programme_free(p);
	}
}

static void test_the_numerator_of_any_promotion_fits(void **state)
{
	(void)state;
	for (int fine = 0; fine < 2; fine++) {
		struct programme *const p = with_fine_rates();
		add_promotion(p, "thousand", 1000, 1);
		add_promotion(p, "nearly", fine ? 999999 : 999, fine ? 1000 : 1)->group = 0;
		if (fine) {
			assert_refused(p, "", "do not fit");
			continue;
		}
		make_ready(p);
		programme_free(p);
	}
}

static void test_names(void **state)
{
	(void)state;
	struct programme *const p = make_programme("UTC");
	add_ledger(p, "stamps");
	add_reward(p, "latte", 1, 10000);
	add_reward(p, "cake", 1, 8000);
	add_item(p, "Latte", 1, false);
	add_item(p, "Latte macchiato", 2, true);
	make_ready(p);
	assert_int_equal(programme_ledger(p, SLICE("points")), 0);
	assert_int_equal(programme_ledger(p, SLICE("stamps")), 1);
	assert_int_equal(programme_ledger(p, SLICE("stamp")), -1);
	assert_int_equal(programme_ledger(p, SLICE("")), -1);
	assert_ptr_equal(programme_reward(p, SLICE("latte")), p->rewards);
	assert_ptr_equal(programme_reward(p, SLICE("cake")), p->rewards + 1);
	assert_null(programme_reward(p, SLICE("Latte")));
	assert_null(programme_reward(p, SLICE("")));
	assert_ptr_equal(programme_item(p, SLICE("Latte")), &p->items[0]);
	assert_ptr_equal(programme_item(p, SLICE("Latte macchiato")), &p->items[1]);
	assert_null(programme_item(p, SLICE("Latte ")));
	assert_null(programme_item(p, SLICE("Latt")));
	assert_null(programme_item(p, SLICE("Latte\0")));
	assert_null(programme_item(p, (struct slice){NULL, 0}));
	programme_free(p);
}

static void test_an_item_twice(void **state)
{
	(void)state;
	struct programme *const p = make_programme("UTC");
	add_item(p, "Latte", 1, false);
	add_item(p, "Mocha", 1, false);
	add_item(p, "Latte", 2, false);
	assert_refused(p, "item 'Latte': ", "name it once");
}

static void test_as_many_items_as_there_may_be(void **state)
{
	(void)state;
	struct programme *const p = make_programme("UTC");
	p->items = calloc(PROGRAMME_ITEMS_MAX, sizeof(*p->items));
	assert_non_null(p->items);
	for (; p->n_items < PROGRAMME_ITEMS_MAX; p->n_items++) {
		char name[16];
		snprintf(name, sizeof(name), "sku-%u", p->n_items);
		p->items[p->n_items].name = copy_text(name);
	}
	make_ready(p);
	for (unsigned i = 0; i < PROGRAMME_ITEMS_MAX + 1000; i++) {
		char name[16];
		snprintf(name, sizeof(name), "sku-%u", i);
		assert_ptr_equal(programme_item(p, slice_of(name)), i < PROGRAMME_ITEMS_MAX ? &p->items[i] : NULL);
	}
	programme_free(p);
}

/* --- the hash ------------------------------------------------------------------------------------------------------------ */

/* A programme with something of everything; `change` is the number of what is other than usual, 0: nothing. */
static struct programme *make_changed(int change)
{
	struct programme *const p = make_programme(change == 1 ? "Asia/Bangkok" : "UTC");
	struct ledger_rules *const ledger = add_ledger(p, change == 2 ? "cups" : "stamps");
	ledger->rounding = change == 3 ? ROUND_CEIL : ROUND_FLOOR;
	ledger->decimals = change == 4 ? 2 : 0;
	ledger->expiry = change == 5 ? EXPIRY_MONTHS : EXPIRY_DAYS;
	ledger->expiry_n = change == 6 ? 30 : 31;
	ledger->pending_days = change == 7 ? 1 : 0;
	ledger->negative = change == 8 ? NEGATIVE_FORGIVE : NEGATIVE_DEBT;
	ledger->max_per_order_milli = change == 9 ? 5000 : 0;
	struct earn_rule *const rule =
		add_rule(p, change == 10 ? "basis" : "base", change == 11 ? RULE_PER_STEP : RULE_PER_AMOUNT,
			 change == 12 ? 1001 : 1000, change == 13 ? 1001 : 1000);
	rule->ledger = change == 14;
	rule->from_day = change == 15 ? 7 : DAY_MIN;
	rule->until_day = change == 16 ? 70000 : DAY_MAX;
	add_rule(p, "cup", RULE_PER_ITEM, 1000, 0);
	struct promotion *promotion = add_promotion(p, change == 17 ? "zwei" : "two", change == 18 ? 3 : 2, 1);
	promotion->ledger = change == 19 ? 0 : LEDGER_ALL;
	promotion->weekdays = change == 20 ? 1 : WEEKDAY_ALL;
	promotion->min_minor = change == 21 ? 100 : 0;
	promotion->from_day = change == 22 ? 7 : DAY_MIN;
	promotion->until_day = change == 23 ? 70000 : DAY_MAX;
	promotion = add_promotion(p, "three", 3, change == 24 ? 2 : 1);
	promotion->group = change != 25;
	add_level(p, change == 26 ? "silber" : "silver", 0, 1, 1);
	add_level(p, "gold", change == 27 ? 1001 : 1000, change == 28 ? 6 : 5, 4);
	p->tiers.metric = change == 29 ? METRIC_VISITS : METRIC_SPEND;
	p->tiers.window = change == 30 ? WINDOW_CALENDAR_YEAR : WINDOW_ROLLING_MONTHS;
	p->tiers.window_months = change == 31 ? 6 : 12;
	p->tiers.valid_months = change == 32 ? 6 : 12;
	p->tiers.downgrade = change == 33 ? DOWNGRADE_TO_BASE : DOWNGRADE_REQUALIFY;
	add_reward(p, change == 34 ? "mocha" : "latte", change == 35, change == 36 ? 9000 : 10000);
	add_item(p, change == 37 ? "Mocha" : "Latte", change == 38 ? 0 : 2, change == 39);
	add_item(p, "Voucher", 0, true);
	p->segment_months = change == 40 ? 6 : 12;
	p->lateness_us = change == 41 ? 1 : p->lateness_us;
	p->open_max = change == 42 ? 65 : 64;
	memcpy(p->currency, change == 43 ? "EUR" : "THB", sizeof(p->currency));
	ledger->value_micro = change == 44 ? 5 : 0;
	return p;
}
#define N_CHANGES 45

static void test_the_hash_covers_what_decides(void **state)
{
	(void)state;
	uint64_t hashes[N_CHANGES];
	for (int i = 0; i < N_CHANGES; i++) {
		struct programme *const p = make_changed(i);
		make_ready(p);
		hashes[i] = p->hash;
		for (int k = 0; k < i; k++)
			if (hashes[k] == hashes[i])
				fail_msg("change %d is as change %d", i, k);
		char text[17];
		snprintf(text, sizeof(text), "%016llx", (unsigned long long)p->hash);
		assert_string_equal(p->hash_text, text);
		programme_free(p);
	}
	/* Stored in ledgers: it must stay what it is. */
	if (hashes[0] != UINT64_C(0x29f8bef769dc1f99))
		fail_msg("%016llx", (unsigned long long)hashes[0]);
}

static void test_the_hash_covers_nothing_else(void **state)
{
	(void)state;
	struct programme *const usual = make_changed(0);
	make_ready(usual);
	struct programme *const p = make_changed(0);
	p->name[0] = 'B';
	p->ledgers[1].unit[0] = 'S';
	p->ledgers[0].expiry_n = 99;            /* never */
	p->rules[1].amount_minor = 7;           /* per_item */
	p->tiers.levels[1].multiplier.num = 10; /* 10/8 is 5/4 */
	p->tiers.levels[1].multiplier.den = 8;
	add_item(p, "Espresso", 0, false); /* in a category that nothing looks at */
	p->items[p->n_items - 1].categories = 1;
	p->categories[p->n_categories++] = copy_text("coffee");
	p->categories[p->n_categories++] = copy_text("cake");
	const struct item_rules first = p->items[0];
	p->items[0] = p->items[1];
	p->items[1] = first;
	make_ready(p);
	assert_string_equal(p->hash_text, usual->hash_text);
	/* Behind what is there; prepared or not. */
	_cleanup_buf_ struct buf a = {0};
	_cleanup_buf_ struct buf b = {0};
	assert_int_equal(buf_append(&a, "x", 1), 0);
	assert_int_equal(programme_rules(p, &a), 0);
	struct programme *const raw = make_changed(0);
	assert_int_equal(programme_rules(raw, &b), 0);
	assert_int_equal(a.len, b.len + 1);
	assert_memory_equal(a.data + 1, b.data, b.len);
	programme_free(raw);
	programme_free(p);
	programme_free(usual);
}

/* --- days ---------------------------------------------------------------------------------------------------------------- */

static void assert_expiry(enum expiry_kind kind, int32_t n, const char *day, const char *expected)
{
	const struct ledger_rules ledger = {.expiry = kind, .expiry_n = n};
	char text[11];
	civil_format(ledger_expiry_day(&ledger, day_of(day)), text);
	assert_string_equal(text, expected);
}

static void test_expiry_days(void **state)
{
	(void)state;
	const struct ledger_rules never = {.expiry = EXPIRY_NEVER, .expiry_n = 5};
	assert_int_equal(ledger_expiry_day(&never, 100), DAY_MAX);
	assert_expiry(EXPIRY_DAYS, 1, "2024-02-28", "2024-02-29");
	assert_expiry(EXPIRY_DAYS, 365, "2024-02-29", "2025-02-28");
	assert_expiry(EXPIRY_MONTHS, 1, "2023-01-31", "2023-02-28");
	assert_expiry(EXPIRY_MONTHS, 1, "2024-01-31", "2024-02-29");
	assert_expiry(EXPIRY_MONTHS, 12, "2024-02-29", "2025-02-28");
	assert_expiry(EXPIRY_MONTHS, 48, "2024-02-29", "2028-02-29");
	assert_expiry(EXPIRY_MONTHS, 1200, "2000-02-29", "2100-02-28");
	assert_expiry(EXPIRY_INACTIVITY, 6, "2024-08-31", "2025-02-28");
	assert_expiry(EXPIRY_MONTHS_AFTER_MONTH, 12, "2020-07-06", "2021-08-01");
	assert_expiry(EXPIRY_MONTHS_AFTER_MONTH, 12, "2020-07-01", "2021-08-01");
	assert_expiry(EXPIRY_MONTHS_AFTER_MONTH, 12, "2020-07-31", "2021-08-01");
	assert_expiry(EXPIRY_MONTHS_AFTER_MONTH, 1, "2024-12-31", "2025-02-01");
	assert_expiry(EXPIRY_MONTHS_AFTER_MONTH, 1, "2024-01-31", "2024-03-01");
	assert_expiry(EXPIRY_MONTHS_AFTER_MONTH, 11, "2024-02-29", "2025-02-01");
}

/* What is looked up is what is computed, in the days that are ready and around them. */
static void test_expiries_that_are_ready(void **state)
{
	(void)state;
	static const enum expiry_kind KINDS[] = {EXPIRY_NEVER, EXPIRY_DAYS, EXPIRY_MONTHS, EXPIRY_MONTHS_AFTER_MONTH,
						 EXPIRY_INACTIVITY};
	for (size_t kind = 0; kind < sizeof(KINDS) / sizeof(KINDS[0]); kind++) {
		struct programme *const p = make_programme("UTC");
		p->ledgers[0].expiry = KINDS[kind];
		p->ledgers[0].expiry_n = 14;
		assert_int_equal(programme_prepare(p, NULL, NULL), 0);
		for (int32_t day = EXPIRIES_FIRST - 100; day < EXPIRIES_FIRST + (int32_t)EXPIRIES_N + 100; day++)
			assert_int_equal(programme_expiry_day(p, 0, day), ledger_expiry_day(&p->ledgers[0], day));
		assert_int_equal(programme_expiry_day(p, 0, -719162), ledger_expiry_day(&p->ledgers[0], -719162));
		programme_free(p);
	}
	assert_int_equal(day_of("2000-01-01"), EXPIRIES_FIRST);
	assert_int_equal(day_of("2099-12-31"), EXPIRIES_FIRST + (int32_t)EXPIRIES_N - 1);
}

static void assert_window(int32_t months, const char *day, const char *expected)
{
	char text[11];
	civil_format(window_first_day(day_of(day), months), text);
	assert_string_equal(text, expected);
}

static void test_windows(void **state)
{
	(void)state;
	assert_window(12, "2026-03-15", "2025-03-16");
	assert_window(1, "2024-03-31", "2024-03-01"); /* after 29 February */
	assert_window(1, "2023-03-31", "2023-03-01");
	assert_window(1, "2024-03-29", "2024-03-01");
	assert_window(1, "2024-03-28", "2024-02-29");
	assert_window(12, "2024-02-29", "2023-03-01");
	assert_window(12, "2025-02-28", "2024-02-29");
	assert_window(1, "2024-01-31", "2024-01-01");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_too_many_points),
		cmocka_unit_test(test_versions_do_not_add_up),
		cmocka_unit_test(test_multipliers_count),
		cmocka_unit_test(test_fractions_that_do_not_fit),
		cmocka_unit_test(test_multipliers_are_reduced),
		cmocka_unit_test(test_the_numerator_of_any_level_fits),
		cmocka_unit_test(test_the_numerator_of_any_promotion_fits),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_an_item_twice),
		cmocka_unit_test(test_as_many_items_as_there_may_be),
		cmocka_unit_test(test_the_hash_covers_what_decides),
		cmocka_unit_test(test_the_hash_covers_nothing_else),
		cmocka_unit_test(test_expiry_days),
		cmocka_unit_test(test_expiries_that_are_ready),
		cmocka_unit_test(test_windows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
