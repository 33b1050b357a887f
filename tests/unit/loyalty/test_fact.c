/* Events to facts: sums, items, days, what is rejected and in which order, and the order of events. */
#include "loyalty/fact.h"

#include "base/limits.h"
#include "make_programme.h"

#define RULE(i) (UINT64_C(1) << (i))

/* Ledgers "points", "stamps"; rule 0 gives 0.5 a drink in "stamps" from day 100 on, rule 1 2 a Latte in "points" until day 100,
 * rule 2 0.001 a Latte in "points"; vouchers are excluded, and count for rule 0. */
static struct programme *make_shop(void)
{
	struct programme *const p = make_programme("UTC");
	add_ledger(p, "stamps");
	struct earn_rule *rule = add_rule(p, "drinks", RULE_PER_ITEM, 500, 0);
	rule->ledger = 1;
	rule->from_day = 100;
	rule = add_rule(p, "latte", RULE_PER_ITEM, 2000, 0);
	rule->until_day = 100;
	add_rule(p, "tiny", RULE_PER_ITEM, 1, 0);
	add_reward(p, "cup", 1, 8000);
	add_item(p, "Latte", RULE(0) | RULE(1) | RULE(2), false);
	add_item(p, "sku-7", RULE(0), false);
	add_item(p, "Voucher", RULE(0), true);
	add_item(p, "Deposit", 0, true);
	make_ready(p);
	return p;
}

static struct event event_of(enum event_kind kind, int32_t day)
{
	return (struct event){
		.kind = kind, .id = SLICE("e-1"), .customer = {.number = 1}, .time_us = INT64_C(86400000000) * day};
}

static struct fact order_of(const struct programme *p, int32_t day, const struct order_line *lines, uint32_t n)
{
	struct event event = event_of(EVENT_ORDER, day);
	event.lines = lines;
	event.n_lines = n;
	struct fact fact;
	fact_of_event(&fact, p, &event, SLICE("till"));
	return fact;
}

static void test_order(void **state)
{
	(void)state;
	struct programme *const p = make_shop();
	const struct order_line lines[] = {
		{.menu = SLICE("Latte"), .qty_milli = 2000, .price_minor = 300, .amount_minor = 600},
		{.menu = SLICE("Latte"),
		 .sku = SLICE("sku-7"),
		 .qty_milli = 500,
		 .amount_minor = 150}, /* the sku holds */
		{.menu = SLICE("Voucher"), .qty_milli = 1000, .amount_minor = 2000},
		{.menu = SLICE("Deposit"), .qty_milli = 1000, .amount_minor = 25},
		{.menu = SLICE("Muffin"), .qty_milli = 1000, .amount_minor = 270},
	};
	struct fact fact = order_of(p, 100, lines, 5);
	assert_int_equal(fact.kind, EVENT_ORDER);
	assert_int_equal(fact.reject, REJECT_NONE);
	assert_int_equal(fact.day, 100);
	assert_true(slice_is(fact.id, "e-1"));
	assert_int_equal(fact.source_hash, fact_id_hash(SLICE("till")));
	assert_int_equal(fact.total_minor, 3045);
	assert_int_equal(fact.eligible_minor, 1020);
	assert_int_equal(fact.items[0], 2001 * 2000);
	assert_int_equal(fact.items[1], 500 * 3500);
	assert_int_equal(fact.item_rules, RULE(0) | RULE(1) | RULE(2));
	/* By day: the one is not yet, the other no longer in force. */
	fact = order_of(p, 99, lines, 5);
	assert_int_equal(fact.items[1], 0);
	assert_int_equal(fact.item_rules, RULE(1) | RULE(2));
	fact = order_of(p, 101, lines, 5);
	assert_int_equal(fact.items[0], 2000);
	assert_int_equal(fact.item_rules, RULE(0) | RULE(2));
	programme_free(p);
}

static void test_line_by_line(void **state)
{
	(void)state;
	struct programme *const p = make_shop();
	const struct order_line lines[] = {{.menu = SLICE("Latte"), .qty_milli = 2000, .amount_minor = 600},
					   {.menu = SLICE("Voucher"), .qty_milli = 1000, .amount_minor = 2000}};
	const struct fact whole = order_of(p, 100, lines, 2);
	const struct event event = event_of(EVENT_ORDER, 100);
	struct fact fact;
	fact_begin(&fact, p, &event, SLICE("till"));
	assert_int_equal(fact.total_minor, 0);
	fact_add_line(&fact, p, &lines[0]);
	fact_add_line(&fact, p, &lines[1]);
	assert_int_equal(fact.total_minor, whole.total_minor);
	assert_int_equal(fact.eligible_minor, whole.eligible_minor);
	assert_int_equal(fact.items[1], whole.items[1]);
	assert_int_equal(fact_compare(&fact, &whole), 0);
	programme_free(p);
}

static void test_local_days(void **state)
{
	(void)state;
	static const struct {
		const char *zone;
		const char *utc_day;
		int64_t second;
		const char *local_day;
	} CASES[] = {
		{"Asia/Bangkok", "2024-02-28", 61199, "2024-02-28"},
		{"Asia/Bangkok", "2024-02-28", 61200, "2024-02-29"},
		{"Europe/Berlin", "2024-03-30", 82799, "2024-03-30"},
		{"Europe/Berlin", "2024-03-30", 82800, "2024-03-31"},
		{"Europe/Berlin", "2024-03-31", 79199, "2024-03-31"},
		{"Europe/Berlin", "2024-03-31", 79200, "2024-04-01"},
		{"America/New_York", "2024-11-04", 17999, "2024-11-03"},
		{"America/New_York", "2024-11-04", 18000, "2024-11-04"},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct programme *const p = make_programme(CASES[i].zone);
		make_ready(p);
		struct event event = event_of(EVENT_ADJUST, day_of(CASES[i].utc_day));
		event.points_milli = 1;
		event.time_us += CASES[i].second * 1000000 + 999999;
		struct fact fact;
		fact_of_event(&fact, p, &event, SLICE("till"));
		assert_int_equal(fact.day, day_of(CASES[i].local_day));
		programme_free(p);
	}
}

static void test_overflow_of_orders(void **state)
{
	(void)state;
	struct programme *const p = make_shop();
	struct order_line lines[] = {{.menu = SLICE("x"), .qty_milli = 1000, .amount_minor = LIMIT_AMOUNT_MINOR - 1},
				     {.menu = SLICE("y"), .qty_milli = 1000, .amount_minor = 1},
				     {.menu = SLICE("z"), .qty_milli = 1000, .amount_minor = 1}};
	struct fact fact = order_of(p, 100, lines, 2);
	assert_int_equal(fact.reject, REJECT_NONE);
	assert_int_equal(fact.total_minor, LIMIT_AMOUNT_MINOR);
	assert_int_equal(order_of(p, 100, lines, 3).reject, REJECT_OVERFLOW);
	static const int64_t BAD[] = {-1, LIMIT_AMOUNT_MINOR + 1, INT64_MAX, INT64_MIN};
	for (size_t i = 0; i < 4; i++) {
		lines[2].amount_minor = BAD[i];
		assert_int_equal(order_of(p, 100, &lines[2], 1).reject, REJECT_OVERFLOW);
		fact = order_of(p, 100, lines, 3);
		assert_int_equal(fact.reject, REJECT_OVERFLOW);
		assert_in_range(fact.total_minor, 0, LIMIT_AMOUNT_MINOR);
	}
	/* Quantities: 2 a Latte, of 10^12 thousandths: 2 · 10^12 thousandths of a point. */
	struct order_line latte = {.menu = SLICE("Latte"), .qty_milli = LIMIT_QUANTITY_MILLI};
	fact = order_of(p, 99, &latte, 1);
	assert_int_equal(fact.reject, REJECT_NONE);
	assert_int_equal(fact.items[0], 2001 * LIMIT_QUANTITY_MILLI);
	static const int64_t BAD_QUANTITIES[] = {-1, LIMIT_QUANTITY_MILLI + 1, INT64_MAX, INT64_MIN};
	for (size_t i = 0; i < 4; i++) {
		latte.qty_milli = BAD_QUANTITIES[i];
		assert_int_equal(order_of(p, 99, &latte, 1).reject, REJECT_OVERFLOW);
	}
	latte.qty_milli = 0;
	fact = order_of(p, 99, &latte, 1);
	assert_int_equal(fact.reject, REJECT_NONE);
	assert_int_equal(fact.item_rules, 0);
	programme_free(p);
}

static void test_overflow_of_items(void **state)
{
	(void)state;
	struct programme *const p = make_programme("UTC");
	add_rule(p, "item", RULE_PER_ITEM, 500000, 0);
	add_rule(p, "huge", RULE_PER_ITEM, INT64_MAX, 0);
	add_item(p, "Latte", RULE(0), false);
	add_item(p, "Mocha", RULE(1), false);
	make_ready(p);
	/* 500 points a piece, twice 10^9 of it, and a thousandth more. */
	struct order_line lines[] = {{.menu = SLICE("Latte"), .qty_milli = LIMIT_QUANTITY_MILLI},
				     {.menu = SLICE("Latte"), .qty_milli = LIMIT_QUANTITY_MILLI},
				     {.menu = SLICE("Latte"), .qty_milli = 1}};
	const struct fact fact = order_of(p, 0, lines, 2);
	assert_int_equal(fact.reject, REJECT_NONE);
	assert_int_equal(fact.items[0], LIMIT_POINTS_MILLI * 1000);
	assert_int_equal(order_of(p, 0, lines, 3).reject, REJECT_OVERFLOW);
	lines[0].menu = SLICE("Mocha");
	lines[0].qty_milli = 1;
	assert_int_equal(order_of(p, 0, lines, 1).reject, REJECT_OVERFLOW);
	programme_free(p);
}

static struct fact refund_of(const struct programme *p, int64_t amount, const struct order_line *lines, uint32_t n)
{
	struct event event = event_of(EVENT_REFUND, 100);
	event.order_id = SLICE("o-1");
	event.amount_minor = amount;
	event.lines = lines;
	event.n_lines = n;
	struct fact fact;
	fact_of_event(&fact, p, &event, SLICE("till"));
	return fact;
}

static void test_refund(void **state)
{
	(void)state;
	struct programme *const p = make_shop();
	struct fact fact = refund_of(p, 700, NULL, 0);
	assert_int_equal(fact.total_minor, 700);
	assert_int_equal(fact.eligible_minor, 700);
	assert_int_equal(fact.order_hash, fact_id_hash(SLICE("o-1")));
	assert_int_equal(fact.reject, REJECT_NONE);
	const struct order_line lines[] = {{.menu = SLICE("Latte"), .qty_milli = 1000, .amount_minor = 300},
					   {.menu = SLICE("Voucher"), .qty_milli = 1000, .amount_minor = 400}};
	fact = refund_of(p, 700, lines, 2);
	assert_int_equal(fact.total_minor, 700);
	assert_int_equal(fact.eligible_minor, 300);
	assert_int_equal(fact.items[0], 0);
	assert_int_equal(fact.items[1], 0);
	assert_int_equal(fact.item_rules, 0);
	assert_int_equal(refund_of(p, LIMIT_AMOUNT_MINOR, NULL, 0).reject, REJECT_NONE);
	assert_int_equal(refund_of(p, LIMIT_AMOUNT_MINOR + 1, NULL, 0).reject, REJECT_OVERFLOW);
	assert_int_equal(refund_of(p, -1, NULL, 0).reject, REJECT_OVERFLOW);
	programme_free(p);
}

static void test_redeem_and_adjust(void **state)
{
	(void)state;
	static const struct {
		enum event_kind kind;
		int64_t points_milli;
		const char *ledger;
		const char *reward;
		enum reject_reason reject;
		int64_t expected_milli;
		uint8_t expected_ledger;
	} CASES[] = {
		{EVENT_REDEEM, 500, "", "", REJECT_NONE, 500, 0},
		{EVENT_REDEEM, 500, "stamps", "", REJECT_NONE, 500, 1},
		{EVENT_REDEEM, 0, "", "cup", REJECT_NONE, 8000, 1},
		{EVENT_REDEEM, 0, "points", "cup", REJECT_NONE, 8000, 0},
		{EVENT_REDEEM, 500, "", "cup", REJECT_NONE, 500, 1},
		{EVENT_REDEEM, 500, "", "gone", REJECT_NONE, 500, 0},
		{EVENT_REDEEM, 0, "", "gone", REJECT_UNKNOWN_REWARD, 0, 0},
		{EVENT_REDEEM, 0, "stamps", "gone", REJECT_UNKNOWN_REWARD, 0, 1},
		{EVENT_REDEEM, 0, "gone", "gone", REJECT_UNKNOWN_LEDGER, 0, 0},
		{EVENT_REDEEM, 0, "gone", "cup", REJECT_UNKNOWN_LEDGER, 8000, 0},
		{EVENT_REDEEM, LIMIT_POINTS_MILLI, "", "", REJECT_NONE, LIMIT_POINTS_MILLI, 0},
		{EVENT_REDEEM, LIMIT_POINTS_MILLI + 1, "", "", REJECT_OVERFLOW, LIMIT_POINTS_MILLI + 1, 0},
		{EVENT_REDEEM, LIMIT_POINTS_MILLI + 1, "gone", "", REJECT_UNKNOWN_LEDGER, LIMIT_POINTS_MILLI + 1, 0},
		{EVENT_REDEEM, -1, "", "", REJECT_OVERFLOW, -1, 0},
		{EVENT_ADJUST, -500, "", "", REJECT_NONE, -500, 0},
		{EVENT_ADJUST, 500, "stamps", "", REJECT_NONE, 500, 1},
		{EVENT_ADJUST, 500, "gone", "", REJECT_UNKNOWN_LEDGER, 500, 0},
		{EVENT_ADJUST, -LIMIT_POINTS_MILLI, "", "", REJECT_NONE, -LIMIT_POINTS_MILLI, 0},
		{EVENT_ADJUST, -LIMIT_POINTS_MILLI - 1, "", "", REJECT_OVERFLOW, -LIMIT_POINTS_MILLI - 1, 0},
		{EVENT_ADJUST, INT64_MAX, "", "", REJECT_OVERFLOW, INT64_MAX, 0},
	};
	struct programme *const p = make_shop();
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct event event = event_of(CASES[i].kind, 3);
		event.points_milli = CASES[i].points_milli;
		event.ledger = slice_of(CASES[i].ledger);
		event.reward = slice_of(CASES[i].reward);
		event.declined = i % 2;
		struct fact fact;
		fact_of_event(&fact, p, &event, SLICE("till"));
		if (fact.reject != CASES[i].reject || fact.points_milli != CASES[i].expected_milli ||
		    fact.ledger != CASES[i].expected_ledger)
			fail_msg("case %zu: %s", i, reject_reason_name(fact.reject));
		assert_int_equal(fact.declined, CASES[i].kind == EVENT_REDEEM && i % 2);
	}
	programme_free(p);
}

static void test_order_of_events(void **state)
{
	(void)state;
	/* Ascending. */
	static const struct {
		int64_t time_us;
		enum event_kind kind;
		const char *id;
		uint64_t source_hash;
	} CASES[] = {
		{-5, EVENT_ADJUST, "z", 9}, {1, EVENT_ORDER, "a", 2},        {1, EVENT_ORDER, "a", 3},
		{1, EVENT_ORDER, "aa", 1},  {1, EVENT_ORDER, "b", 1},        {1, EVENT_ORDER, "\xc3\xa4", 1},
		{1, EVENT_REFUND, "a", 1},  {1, EVENT_REDEEM, "a", 1},       {1, EVENT_ADJUST, "a", 1},
		{2, EVENT_ORDER, "a", 1},   {2, EVENT_ORDER, "a", 1u << 31}, {2, EVENT_ORDER, "a", UINT64_MAX},
	};
	const int n = (int)(sizeof(CASES) / sizeof(CASES[0]));
	for (int i = 0; i < n; i++) {
		for (int k = 0; k < n; k++) {
			const struct fact a = {.time_us = CASES[i].time_us,
					       .id = slice_of(CASES[i].id),
					       .source_hash = CASES[i].source_hash,
					       .kind = CASES[i].kind};
			const struct fact b = {.time_us = CASES[k].time_us,
					       .id = slice_of(CASES[k].id),
					       .source_hash = CASES[k].source_hash,
					       .kind = CASES[k].kind};
			const int order = fact_compare(&a, &b);
			if ((order > 0) - (order < 0) != (i > k) - (i < k))
				fail_msg("%d and %d: %d", i, k, order);
		}
	}
}

static void test_reasons(void **state)
{
	(void)state;
	static const char *const NAMES[] = {
		"", "unknown_order", "over_refund", "unknown_reward", "unknown_ledger", "overflow"};
	for (unsigned i = 0; i <= REJECT_MAX; i++)
		assert_string_equal(reject_reason_name(i), NAMES[i]);
	assert_null(reject_reason_name(REJECT_MAX + 1));
	assert_null(reject_reason_name(UINT32_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_line_by_line),
		cmocka_unit_test(test_local_days),
		cmocka_unit_test(test_overflow_of_orders),
		cmocka_unit_test(test_overflow_of_items),
		cmocka_unit_test(test_refund),
		cmocka_unit_test(test_redeem_and_adjust),
		cmocka_unit_test(test_order_of_events),
		cmocka_unit_test(test_reasons),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
