/* The worked programmes: what their comments claim, computed by the kernel. */
#include "config/schema_internal.h"
#include "loyalty/account.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* One customer's card under an example. Events come in the order of time. */
struct card {
	struct programme *programme;
	struct account *account;
	struct postings postings;
	unsigned events;
	char ids[32][8];
};

static void refuse_warning(void *context, const char *text)
{
	(void)context;
	fail_msg("%s", text);
}

static struct card *open_card(const char *name)
{
	struct programme_example example;
	struct error err = {0};
	unsigned i = 0;
	while (programme_example(i, &example) && !slice_is(example.name, name))
		i++;
	struct card *const card = calloc(1, sizeof(*card));
	assert_non_null(card);
	if (programme_parse(name, example.text.data, example.text.len, refuse_warning, NULL, &card->programme, &err) <
	    0)
		fail_msg("%s", err.message);
	card->account = account_new(card->programme);
	assert_non_null(card->account);
	return card;
}

static void close_card(struct card *card)
{
	account_free(card->account);
	postings_release(&card->postings);
	programme_free(card->programme);
	free(card);
}

static int32_t day_of(const char *text)
{
	int32_t day = 0;
	assert_int_equal(civil_parse(text, strlen(text), &day), 0);
	return day;
}

/* Noon of the day; each event a second later. */
static struct event begin(struct card *card, enum event_kind kind, const char *date)
{
	const int64_t noon_s = (int64_t)day_of(date) * 86400 + 43200 + card->events;
	char *const id = card->ids[card->events];
	snprintf(id, sizeof(card->ids[0]), "e%u", card->events++);
	postings_clear(&card->postings);
	return (struct event){
		.kind = kind,
		.id = slice_of(id),
		.customer = {.number = 7},
		.time_us = tz_utc_of_local_s(card->programme->timezone, noon_s) * 1000000,
	};
}

/* What the event's own entries come to in the first ledger; expiries that fell due before it do not count. */
static int64_t apply(struct card *card, const struct event *event)
{
	struct fact fact;
	fact_of_event(&fact, card->programme, event, SLICE("till"));
	assert_int_equal(account_apply(card->account, &fact, &card->postings), 0);
	int64_t sum = 0;
	for (size_t i = 0; i < card->postings.n; i++) {
		const struct posting *const posting = &card->postings.items[i];
		assert_int_not_equal(posting->kind, POSTING_REJECT);
		sum += posting->event_id.len ? posting->points_milli : 0;
	}
	return sum;
}

struct line {
	const char *item;
	int64_t qty;
	int64_t amount_minor;
};

static int64_t order(struct card *card, const char *date, struct line a, struct line b)
{
	struct event event = begin(card, EVENT_ORDER, date);
	const struct order_line lines[] = {
		{.menu = slice_of(a.item), .qty_milli = a.qty * 1000, .amount_minor = a.amount_minor},
		{.menu = slice_of(b.item), .qty_milli = b.qty * 1000, .amount_minor = b.amount_minor},
	};
	event.lines = lines;
	event.n_lines = b.item ? 2 : 1;
	return apply(card, &event);
}

#define NOTHING ((struct line){0})

static int64_t buy(struct card *card, const char *date, const char *item, int64_t qty, int64_t amount_minor)
{
	return order(card, date, (struct line){item, qty, amount_minor}, NOTHING);
}

static int64_t spend(struct card *card, const char *date, int64_t amount_minor)
{
	return buy(card, date, "cake", 1, amount_minor);
}

static int64_t refund(struct card *card, const char *date, unsigned order, int64_t amount_minor)
{
	struct event event = begin(card, EVENT_REFUND, date);
	event.order_id = slice_of(card->ids[order]);
	event.amount_minor = amount_minor;
	return apply(card, &event);
}

static int64_t redeem(struct card *card, const char *date, const char *reward, int64_t points_milli)
{
	struct event event = begin(card, EVENT_REDEEM, date);
	event.reward = slice_of(reward);
	event.points_milli = points_milli;
	return apply(card, &event);
}

static struct account_balance balance_on(struct card *card, const char *date)
{
	struct account_balance balance;
	assert_int_equal(account_advance(card->account, day_of(date), NULL), 0);
	account_balance(card->account, 0, &balance);
	return balance;
}

static const char *tier(const struct card *card)
{
	struct account_tier tier;
	account_tier(card->account, &tier);
	return card->programme->tiers.levels[tier.level].name;
}

static void test_list(void **state)
{
	(void)state;
	static const char *const NAMES[] = {"cashback", "points-and-tiers", "stamp-card"};
	struct programme_example example;
	for (unsigned i = 0; i < 3; i++) {
		assert_true(programme_example(i, &example));
		assert_true(slice_is(example.name, NAMES[i]));
		assert_in_range(example.summary.len, 20, 110);
		assert_memory_not_equal(example.summary.data, "#", 1);
		assert_memory_equal(example.summary.data + example.summary.len, "\n", 1);
	}
	assert_false(programme_example(3, &example));
}

static void test_stamp_card(void **state)
{
	(void)state;
	struct card *const card = open_card("stamp-card");
	assert_int_equal(
		order(card, "2026-03-02", (struct line){"latte", 2, 14000}, (struct line){"croissant", 1, 4500}), 2000);
	assert_int_equal(buy(card, "2026-03-03", "espresso", 8, 52000), 8000);
	assert_int_equal(balance_on(card, "2026-03-04").balance_milli, 10000);
	assert_true(account_can_redeem(card->account, 0, 10000));
	assert_int_equal(redeem(card, "2026-03-04", "free-coffee", 0), -10000);
	assert_int_equal(buy(card, "2026-03-05", "croissant", 1, 4500), 0);
	assert_int_equal(balance_on(card, "2026-03-06").balance_milli, 0);
	/* The lattes come back, whose stamps were spent: forgiven. */
	assert_int_equal(refund(card, "2026-03-06", 0, 18500), 0);
	assert_int_equal(balance_on(card, "2026-03-07").debt_milli, 0);
	assert_int_equal(buy(card, "2026-03-31", "americano", 15, 97500), 10000);
	/* Empty a year after the last order; any order keeps all stamps. */
	assert_int_equal(buy(card, "2026-12-01", "croissant", 1, 4500), 0);
	assert_int_equal(balance_on(card, "2027-11-30").balance_milli, 10000);
	const struct account_balance end = balance_on(card, "2027-12-01");
	assert_int_equal(end.balance_milli, 0);
	assert_int_equal(end.expired_milli, 10000);
	close_card(card);
}

static void test_points_and_tiers(void **state)
{
	(void)state;
	struct card *const card = open_card("points-and-tiers");
	/* 2 March 2026 is a Monday. */
	assert_int_equal(spend(card, "2026-03-02", 6500), 6500);
	assert_int_equal(spend(card, "2026-03-03", 6500), 13000);
	assert_int_equal(buy(card, "2026-03-04", "gift-card-500", 1, 50000), 0);
	/* The order that reaches silver still earns as a member's. */
	assert_int_equal(spend(card, "2026-03-09", 486999), 486990);
	assert_string_equal(tier(card), "member");
	assert_int_equal(spend(card, "2026-03-09", 1), 0);
	assert_string_equal(tier(card), "silver");
	assert_int_equal(spend(card, "2026-03-11", 6500), 8120);
	assert_int_equal(spend(card, "2026-03-17", 6500), 16250);
	assert_int_equal(balance_on(card, "2026-03-18").balance_milli, 530860);
	assert_int_equal(redeem(card, "2026-03-18", "voucher-50", 0), -500000);
	/* 1,250 points, less the cap. */
	assert_int_equal(spend(card, "2026-03-18", 1000000), 500000);
	assert_int_equal(spend(card, "2026-12-22", 25000), 93750);
	assert_int_equal(spend(card, "2026-12-22", 10000), 25000);
	/* What March earned expires after March of the next year. */
	assert_int_equal(balance_on(card, "2027-03-31").balance_milli, 30860 + 500000 + 93750 + 25000);
	assert_int_equal(balance_on(card, "2027-04-01").balance_milli, 93750 + 25000);
	/* Silver is reviewed a year after it was reached: what was spent since is more than 5,000.00. */
	assert_string_equal(tier(card), "silver");
	assert_int_equal(balance_on(card, "2028-01-01").balance_milli, 0);
	assert_int_equal(balance_on(card, "2028-03-09").balance_milli, 0);
	assert_string_equal(tier(card), "member");
	close_card(card);
}

static void test_cashback(void **state)
{
	(void)state;
	struct card *const card = open_card("cashback");
	assert_int_equal(spend(card, "2026-05-01", 1240), 370);
	assert_int_equal(spend(card, "2026-05-01", 2000), 1600);
	struct account_balance balance = balance_on(card, "2026-05-02");
	assert_int_equal(balance.balance_milli, 0);
	assert_int_equal(balance.pending_milli, 1970);
	assert_int_equal(refund(card, "2026-05-02", 1, 1000), -800);
	assert_int_equal(balance_on(card, "2026-05-14").balance_milli, 0);
	assert_int_equal(balance_on(card, "2026-05-15").balance_milli, 1170);
	assert_int_equal(redeem(card, "2026-05-16", "", 1170), -1170);
	assert_int_equal(spend(card, "2026-05-17", 90000), 25000);
	assert_int_equal(buy(card, "2026-05-18", "gift-card", 1, 50000), 0);
	/* 180 days. */
	assert_int_equal(balance_on(card, "2026-11-12").balance_milli, 25000);
	balance = balance_on(card, "2026-11-13");
	assert_int_equal(balance.balance_milli, 0);
	assert_int_equal(balance.expired_milli, 25000);
	close_card(card);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_stamp_card),
		cmocka_unit_test(test_points_and_tiers),
		cmocka_unit_test(test_cashback),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
