/* The arithmetic in words, by hand, and the story of an account. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../speed/shop.h"
#include "base/file.h"
#include "base/random.h"
#include "config/config.h"
#include "serving/explain_internal.h"
#include "speed/collect.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define HOUR_US INT64_C(3600000000)
#define DAY_US  (24 * HOUR_US)

#define HEAD    "version: 1\nname: Test\ncurrency: THB\ntimezone: %s\n%s"

struct story {
	struct programme *programme;
	struct explain *explain;
	struct error err;
};

static void begin_in(struct story *story, const char *zone, const char *yaml)
{
	char path[] = "/tmp/punchcard_test_explain.XXXXXX";
	const int fd = mkstemp(path);
	assert_true(fd >= 0);
	char *const text = text_printf(HEAD, zone, yaml);
	assert_non_null(text);
	assert_int_equal(file_write_all(fd, text, strlen(text), path, NULL), 0);
	free(text);
	close(fd);
	*story = (struct story){0};
	const int rc = programme_load(path, &story->programme, &story->err);
	unlink(path);
	if (rc < 0)
		fail_msg("%s", story->err.message);
	story->explain = explain_new(story->programme);
	assert_non_null(story->explain);
	story->explain->id_text = text_printf("5");
}

static void begin(struct story *story, const char *yaml)
{
	begin_in(story, "UTC", yaml);
}

static void end(struct story *story)
{
	explain_free(story->explain);
	programme_free(story->programme);
}

static int32_t day_of(const char *date)
{
	int32_t day;
	assert_int_equal(civil_parse(date, strlen(date), &day), 0);
	return day;
}

/* At noon, so that one day's events can be put around it by hours. */
static int64_t at(const char *date)
{
	return day_of(date) * DAY_US + 12 * HOUR_US;
}

static void add(struct story *story, const struct event *event)
{
	if (explain_add(story->explain, event, SLICE("till"), &story->err) < 0)
		fail_msg("%s", story->err.message);
}

static void order(struct story *story, const char *id, int64_t time_us, int64_t amount_minor)
{
	const struct order_line line = {
		.menu = SLICE("latte"), .qty_milli = 1000, .price_minor = amount_minor, .amount_minor = amount_minor};
	add(story, &(struct event){.kind = EVENT_ORDER,
				   .id = slice_of(id),
				   .customer = {.number = 5},
				   .time_us = time_us,
				   .store = SLICE("s1"),
				   .lines = &line,
				   .n_lines = 1});
}

static void refund(struct story *story, const char *id, const char *of, int64_t time_us, int64_t amount_minor)
{
	add(story, &(struct event){.kind = EVENT_REFUND,
				   .id = slice_of(id),
				   .customer = {.number = 5},
				   .time_us = time_us,
				   .order_id = slice_of(of),
				   .amount_minor = amount_minor});
}

static void redeem(struct story *story, const char *id, int64_t time_us, const char *reward, int64_t points_milli)
{
	add(story, &(struct event){.kind = EVENT_REDEEM,
				   .id = slice_of(id),
				   .customer = {.number = 5},
				   .time_us = time_us,
				   .reward = slice_of(reward),
				   .points_milli = points_milli});
}

static void fold(struct story *story, const char *date)
{
	if (explain_fold(story->explain, day_of(date), &story->err) < 0)
		fail_msg("%s", story->err.message);
}

static void join_line(void *context, struct slice line)
{
	struct buf *const text = context;
	assert_int_equal(buf_append(text, line.data, line.len), 0);
	assert_int_equal(buf_append_text(text, "\n"), 0);
}

/* The arithmetic of the step of an event, in one ledger. */
static void expect_arithmetic(const struct story *story, const char *id, unsigned ledger, const char *expected)
{
	_cleanup_buf_ struct buf text = {0};
	for (size_t i = 0; i < story->explain->n_steps; i++) {
		const struct explain_step *const step = &story->explain->steps[i];
		if (!step->event || !slice_is(step->event->fact.id, id))
			continue;
		assert_int_equal(explain_arithmetic(story->explain, step, ledger, join_line, &text), 0);
		assert_non_null(buf_text(&text));
		assert_string_equal(text.data, expected);
		return;
	}
	fail_msg("no step of %s", id);
}

static char *printed(const struct story *story, bool as_json)
{
	char *text = NULL;
	size_t len = 0;
	FILE *const out = open_memstream(&text, &len);
	assert_non_null(out);
	struct error err = {0};
	const int rc =
		as_json ? explain_print_json(story->explain, out, &err) : explain_print(story->explain, out, &err);
	assert_int_equal(rc, 0);
	fclose(out);
	return text;
}

static void expect_printed(const struct story *story, const char *const *expected)
{
	_cleanup_free_ char *text = printed(story, false);
	const char *from = text ? text : "";
	for (; *expected; expected++) {
		const char *const found = strstr(from, *expected);
		if (!found) {
			fail_msg("'%s' is not there, or not in its place:\n%s", *expected, text);
			return;
		}
		from = found + strlen(*expected);
	}
}

/* ---- what is earned ---- */

static const char CLUB[] = "earn:\n"
			   "  - {name: base, from: 2026-01-01, per_amount: {points: 1, per: 10.00}}\n"
			   "  - {name: base, until: 2025-12-31, per_amount: {points: 1, per: 3.00}}\n"
			   "promotions:\n"
			   "  - {name: double-tuesday, multiplier: 2, weekdays: [tue]}\n"
			   "tiers:\n"
			   "  metric: spend\n"
			   "  window: {rolling_months: 12}\n"
			   "  valid_months: 12\n"
			   "  levels:\n"
			   "    - {name: member, threshold: 0}\n"
			   "    - {name: gold, threshold: 100, multiplier: 1.25}\n"
			   "rewards:\n"
			   "  - {id: free-coffee, cost: 5}\n";

static void test_rates(void **state)
{
	(void)state;
	struct story story;
	begin(&story, CLUB);
	order(&story, "thirds", at("2025-12-31"), 100);
	order(&story, "plain", at("2026-01-01"), 450);
	order(&story, "up", at("2026-01-02"), 10000);
	order(&story, "gold", at("2026-01-03"), 450);
	order(&story, "tuesday", at("2026-01-06"), 450);
	fold(&story, "2026-02-01");
	expect_arithmetic(&story, "thirds", 0,
			  "base (until 2025-12-31): 1.00 THB × 1 point / 3 ≈ 0.333333 (1/3) → 0.333\n");
	expect_arithmetic(&story, "plain", 0, "base (since 2026-01-01): 4.50 THB × 1 point / 10 = 0.45\n");
	/* The tier before the order holds. */
	expect_arithmetic(&story, "up", 0, "base (since 2026-01-01): 100.00 THB × 1 point / 10 = 10\n");
	expect_arithmetic(&story, "gold", 0,
			  "base (since 2026-01-01): 4.50 THB × 1 point / 10 × 1.25 (gold) = 0.5625 → 0.562\n");
	expect_arithmetic(
		&story, "tuesday", 0,
		"base (since 2026-01-01): 4.50 THB × 1 point / 10 × 1.25 (gold) × 2 (double-tuesday) = 1.125\n");
	end(&story);
}

static void test_parts(void **state)
{
	(void)state;
	struct story story;
	begin(&story, "ledgers:\n"
		      "  - {name: points, decimals: 1, rounding: half_up, max_per_order: 12}\n"
		      "  - {name: stamps, unit: stamps, decimals: 0}\n"
		      "earn:\n"
		      "  - {name: base, per_amount: {points: 1, per: 7.50}}\n"
		      "  - {name: steps, per_step: {points: 2, step: 5}}\n"
		      "  - {name: hello, per_visit: {points: 1, min: 4}}\n"
		      "  - {name: mocha, per_item: {points: 1.5, items: [latte]}}\n"
		      "  - {name: stamp, ledger: stamps, per_item: {points: 1, items: [latte]}}\n"
		      "promotions:\n"
		      "  - {name: extra, multiplier: 1.5, ledger: points}\n");
	order(&story, "small", at("2026-01-01"), 100);
	order(&story, "big", at("2026-01-02"), 2000);
	fold(&story, "2026-01-03");
	/* 1/7.5 = 2/15; × 1.5 = 0.2. */
	expect_arithmetic(&story, "small", 0,
			  "base: 1.00 THB × 1 point / 7.50 × 1.5 (extra) = 0.2\n"
			  "mocha: 1 latte × 1.5 points = 1.5\n"
			  "0.2 + 1.5 = 1.7\n");
	expect_arithmetic(&story, "small", 1, "stamp: 1 latte × 1 stamp = 1\n");
	/* 20/7.5 = 8/3; 4 · 2 = 8; (8/3 + 8) × 1.5 = 16. */
	expect_arithmetic(&story, "big", 0,
			  "base: 20.00 THB × 1 point / 7.50 ≈ 2.666666 (8/3)\n"
			  "steps: ⌊20.00 THB / 5⌋ × 2 points = 8\n"
			  "together ≈ 10.666666 (32/3) × 1.5 (extra) = 16\n"
			  "mocha: 1 latte × 1.5 points = 1.5\n"
			  "hello: 1 point for the visit, of at least 4.00 THB\n"
			  "16 + 1.5 + 1 = 18.5 → 12: an order earns at most 12 points\n");
	end(&story);
}

static void test_rounding_is_named(void **state)
{
	(void)state;
	struct story story;
	begin(&story, "ledgers:\n"
		      "  - {name: points, decimals: 0, rounding: half_even}\n"
		      "earn:\n"
		      "  - {name: base, per_amount: {points: 1, per: 10}}\n"
		      "  - {name: item, per_item: {points: 0.3, items: [latte]}}\n");
	order(&story, "o", at("2026-01-01"), 1500);
	fold(&story, "2026-01-03");
	expect_arithmetic(&story, "o", 0,
			  "base: 15.00 THB × 1 point / 10 = 1.5 → 2 (rounded half to even to a whole one)\n"
			  "item: 1 latte × 0.3 points = 0.3 → 0 (rounded half to even to a whole one)\n");
	end(&story);
}

static void test_what_was_rounded_away(void **state)
{
	(void)state;
	static const char *const TO[] = {"to a whole one", "to 0.1", "to 0.01"};
	for (int i = 0; i < 3; i++) {
		struct story story;
		char yaml[200];
		snprintf(yaml, sizeof(yaml),
			 "ledgers: [{name: points, decimals: %d}]\n"
			 "earn:\n  - {name: base, per_amount: {points: 1, per: 10000}}\n",
			 i);
		begin(&story, yaml);
		order(&story, "o", at("2026-01-01"), 1500);
		fold(&story, "2026-01-03");
		char *const text = printed(&story, false);
		assert_non_null(strstr(text, TO[i]));
		assert_null(strstr(text, "no rule gave anything"));
		free(text);
		end(&story);
	}
}

/* St. John's set its clocks back from one minute past midnight: 23:30 of the first of November came again on the second. What
 * is in a day is what happened before the next one began, as the batch layer has it. */
static void test_a_day_ends_where_the_next_begins(void **state)
{
	(void)state;
	struct story story;
	begin_in(&story, "America/St_Johns", "earn:\n  - {name: base, per_amount: {points: 1, per: 10}}\n");
	const int64_t midnight = day_of("2008-11-02") * DAY_US + 5 * HOUR_US / 2;
	order(&story, "before", midnight - 1, 1000);
	order(&story, "again", midnight + HOUR_US / 2, 1000);
	fold(&story, "2008-11-01");
	assert_int_equal(story.explain->later, 1);
	assert_int_equal(story.explain->n_steps, 1);
	end(&story);
}

/* Lines of the refund that were not in the order: what was eligible of it is told as the kernel counts it. */
static void test_refund_of_other_items(void **state)
{
	(void)state;
	struct story story;
	begin(&story, "exclude: [gifts]\ncategories: [{name: gifts, items: [gift, bag]}]\n"
		      "earn:\n  - {name: base, per_amount: {points: 1, per: 10}}\n");
	const struct order_line bought[] = {
		{.menu = SLICE("latte"), .qty_milli = 1000, .price_minor = 10000, .amount_minor = 10000},
		{.menu = SLICE("gift"), .qty_milli = 1000, .price_minor = 5000, .amount_minor = 5000}};
	const struct order_line back = {
		.menu = SLICE("bag"), .qty_milli = 1000, .price_minor = 9000, .amount_minor = 9000};
	add(&story, &(struct event){.kind = EVENT_ORDER,
				    .id = SLICE("o"),
				    .customer = {.number = 5},
				    .time_us = at("2026-01-01"),
				    .lines = bought,
				    .n_lines = 2});
	add(&story, &(struct event){.kind = EVENT_REFUND,
				    .id = SLICE("r"),
				    .customer = {.number = 5},
				    .time_us = at("2026-01-02"),
				    .order_id = SLICE("o"),
				    .amount_minor = 9000,
				    .lines = &back,
				    .n_lines = 1});
	fold(&story, "2026-01-05");
	expect_arithmetic(
		&story, "r", 0,
		"40.00 of 100.00 THB eligible came back: 10 − ⌊10 × (100.00 − 40.00) / 100.00⌋ = 4, 0 before\n");
	end(&story);
}

static void test_refund_in_parts(void **state)
{
	(void)state;
	struct story story;
	begin(&story, "earn:\n  - {name: base, per_amount: {points: 1, per: 10}}\n");
	order(&story, "o", at("2026-01-01"), 10000);
	refund(&story, "r1", "o", at("2026-01-02"), 6000);
	refund(&story, "r2", "o", at("2026-01-03"), 4000);
	refund(&story, "r3", "o", at("2026-01-04"), 1);
	refund(&story, "r4", "nothing", at("2026-01-04"), 1);
	fold(&story, "2026-01-05");
	expect_arithmetic(
		&story, "r1", 0,
		"60.00 of 100.00 THB eligible came back: 10 − ⌊10 × (100.00 − 60.00) / 100.00⌋ = 6, 0 before\n");
	expect_arithmetic(
		&story, "r2", 0,
		"100.00 of 100.00 THB eligible came back: 10 − ⌊10 × (100.00 − 100.00) / 100.00⌋ = 10, 6 before\n");
	expect_arithmetic(&story, "r3", 0, "");
	expect_arithmetic(&story, "r4", 0, "");
	static const char *const EXPECTED[] = {
		"order o at s1: 100.00 THB",
		"refund r1 of order o: 60.00 THB",
		"refund r2 of order o: 40.00 THB",
		"rejected: more came back than was bought (over_refund): refund r3 of order o: 0.01 THB",
		("rejected: the customer had no such order before it (unknown_order): refund r4 of order nothing: 0.01 "
		 "THB"),
		"points: issued 10 − reversed 10 = lots 0 + redeemed 0 + expired 0 − debt 0, both 0",
		NULL,
	};
	expect_printed(&story, EXPECTED);
	end(&story);
}

/* ---- the story ---- */

static void test_story_of_an_account(void **state)
{
	(void)state;
	struct story story;
	begin(&story, CLUB);
	/* In the order of arrival, not of time; one event twice. */
	redeem(&story, "x-1", at("2026-01-08"), "free-coffee", 0);
	order(&story, "up", at("2026-01-02"), 10000);
	order(&story, "later", at("2027-03-01"), 100);
	order(&story, "up", at("2026-01-02"), 10000);
	fold(&story, "2027-02-01");
	assert_int_equal(story.explain->later, 1);
	static const char *const EXPECTED[] = {
		"Customer 5,",
		"points     5 points",
		"tier       member",
		"2026-01-02 12:00",
		"+10",
		"order up at s1: 100.00 THB",
		"tier member → gold: 100.00 of 100.00 THB in 12 months",
		"2026-01-08 12:00",
		"−5           5  redeemed free-coffee for 5 points (x-1)",
		"2027-01-02 00:00",
		"tier gold → member: reviewed, 0.00 of 100.00 THB in 12 months",
		"to come",
		"            5 points that never expire",
		"next tier   gold: 100.00 more; as of now 0.00 of 100.00 THB in 12 months",
		"1 later event is not in this",
		"issued 10 − reversed 0 = lots 5 + redeemed 5 + expired 0 − debt 0, both 10",
		NULL,
	};
	expect_printed(&story, EXPECTED);
	end(&story);
}

static void test_kept_tier_expiry_and_debt(void **state)
{
	(void)state;
	struct story story;
	begin(&story, "ledgers:\n"
		      "  - {name: points, expiry: {months: 2}, pending_days: 3}\n"
		      "earn:\n"
		      "  - {name: base, per_amount: {points: 1, per: 10}}\n"
		      "tiers:\n"
		      "  metric: visits\n"
		      "  window: {calendar_year: true}\n"
		      "  valid_months: 1\n"
		      "  levels: [{name: new, threshold: 0}, {name: known, threshold: 1}]\n");
	order(&story, "a", at("2026-01-10"), 10000);
	redeem(&story, "x", at("2026-03-20"), "", 4000);
	order(&story, "b", at("2026-03-21"), 10000);
	fold(&story, "2026-03-21");
	static const char *const EXPECTED[] = {
		"points     0 points, and 6 pending",
		"order a at s1: 100.00 THB; to be spent from 2026-01-13; expires 2026-03-10",
		"tier new → known: 1 of 1 visit days in 2026",
		"2026-02-10 00:00",
		"tier known reviewed and kept: 1 of 1 visit days in 2026; next review 2026-03-10",
		"2026-03-10 00:00",
		"−10           0  expired: lot of 2026-01-10",
		"redeemed 4 points (x)",
		"4 as debt",
		"order b at s1: 100.00 THB; to be spent from 2026-03-24; expires 2026-05-21",
		"4 paid off debt, 6 that expire 2026-05-21",
		"2026-03-24  6 points that are pending can be spent",
		"2026-05-21  6 points expire",
		"issued 20 − reversed 0 = lots 6 + redeemed 4 + expired 10 − debt 0, both 20",
		NULL,
	};
	expect_printed(&story, EXPECTED);
	end(&story);
}

/* What is not there is named, so that the arithmetic and the entry agree. */
static void test_what_is_forgiven(void **state)
{
	(void)state;
	struct story story;
	begin(&story, "ledgers: [{name: points, negative: forgive}]\n"
		      "earn:\n  - {name: base, per_amount: {points: 1, per: 10}}\n");
	order(&story, "o", at("2026-01-01"), 10000);
	redeem(&story, "x", at("2026-01-02"), "", 8000);
	refund(&story, "r", "o", at("2026-01-03"), 5000);
	redeem(&story, "y", at("2026-01-04"), "", 1500);
	add(&story, &(struct event){.kind = EVENT_ADJUST,
				    .id = SLICE("given"),
				    .customer = {.number = 5},
				    .time_us = at("2026-01-05"),
				    .points_milli = 2000,
				    .reason = SLICE("goodwill")});
	fold(&story, "2026-01-05");
	static const char *const EXPECTED[] = {
		"−8           2  redeemed 8 points (x)",
		"−2           0  refund r of order o: 50.00 THB",
		"= 5, 0 before",
		"3 more were not there, and are forgiven",
		"redeemed 1.5 points (y)",
		"1.5 more were not there, and are forgiven",
		"adjusted by hand (given): goodwill\n\nto come",
		"issued 12 − reversed 2 = lots 2 + redeemed 8 + expired 0 − debt 0, both 10",
		NULL,
	};
	expect_printed(&story, EXPECTED);
	end(&story);
}

static void test_declined_and_taken_away(void **state)
{
	(void)state;
	struct story story;
	begin(&story, "ledgers: [{name: points, expiry: {days: 30}}]\n"
		      "earn:\n  - {name: base, per_amount: {points: 1, per: 10}}\n"
		      "rewards: [{id: cake, cost: 50}]\n");
	order(&story, "a", at("2026-01-01"), 10000);
	order(&story, "b", at("2026-01-02"), 10000);
	add(&story, &(struct event){.kind = EVENT_REDEEM,
				    .id = SLICE("x"),
				    .customer = {.number = 5},
				    .time_us = at("2026-01-03"),
				    .reward = SLICE("cake"),
				    .declined = true});
	add(&story, &(struct event){.kind = EVENT_ADJUST,
				    .id = SLICE("fix"),
				    .customer = {.number = 5},
				    .time_us = at("2026-01-04"),
				    .points_milli = -12500});
	order(&story, "free", at("2026-01-05"), 0);
	fold(&story, "2026-01-05");
	static const char *const EXPECTED[] = {
		"0          20  declined: cake for 50 points (x)",
		"−12.5         7.5  adjusted by hand (fix)",
		"10 that expire 2026-01-31, 2.5 that expire 2026-02-01",
		"order free at s1: 0.00 THB",
		"no rule gave anything for it",
		"2026-02-01  7.5 points expire",
		NULL,
	};
	expect_printed(&story, EXPECTED);
	end(&story);
}

/* What the entries of a step in a ledger come to. */
static int64_t posted(const struct explain *explain, const struct explain_step *step, enum posting_kind kind,
		      unsigned ledger)
{
	int64_t sum = 0;
	for (size_t i = step->first; i < step->first + step->n; i++) {
		const struct posting *const posting = &explain->postings.items[i];
		if (posting->kind == kind && posting->ledger == ledger)
			sum += posting->points_milli;
	}
	return sum;
}

/* The arithmetic is the entry's, whatever happened: of histories with debt, all that is asked for is taken. */
static void check_arithmetic(const struct explain *explain)
{
	static const enum posting_kind TAKES[] = {
		[EVENT_ORDER] = POSTING_EARN,
		[EVENT_REFUND] = POSTING_REVERSE,
		[EVENT_REDEEM] = POSTING_REDEEM,
		[EVENT_ADJUST] = POSTING_ADJUST,
	};
	for (size_t i = 0; i < explain->n_steps; i++) {
		const struct explain_step *const step = &explain->steps[i];
		const size_t last = step->first + step->n - 1;
		if (!step->event || explain->postings.items[last].kind == POSTING_REJECT)
			continue;
		const struct fact *const fact = &step->event->fact;
		for (unsigned ledger = 0; ledger < explain->programme->n_ledgers; ledger++) {
			struct earning_detail detail = {0};
			if (fact->kind == EVENT_ORDER)
				assert_int_equal(
					earn_detail(explain->programme, fact, step->tier_before, ledger, &detail), 0);
			assert_int_equal(posted(explain, step, TAKES[fact->kind], ledger),
					 detail.points_milli - explain_taken(explain, step, ledger));
		}
	}
}

static void test_arithmetic_is_what_was_posted(void **state)
{
	(void)state;
	struct story story;
	struct random random;
	random_init(&random, 20260706);
	for (unsigned run = 0; run < 300; run++) {
		static char ids[40][16];
		begin(&story, "ledgers: [{name: points, expiry: {months: 1}, pending_days: 2, rounding: half_up}, "
			      "{name: stamps, decimals: 0, max_per_order: 3}]\n"
			      "exclude: [gifts]\ncategories: [{name: gifts, items: [gift]}]\n"
			      "earn:\n"
			      "  - {name: base, per_amount: {points: 1, per: 7}}\n"
			      "  - {name: stamp, ledger: stamps, per_step: {points: 1, step: 20}}\n"
			      "promotions: [{name: tuesday, multiplier: 2, weekdays: [tue]}]\n"
			      "tiers:\n  metric: spend\n  window: {rolling_months: 1}\n  valid_months: 1\n"
			      "  levels: [{name: a, threshold: 0}, {name: b, threshold: 100, multiplier: 1.1}]\n");
		for (unsigned i = 0; i < 40; i++) {
			const int64_t time_us = at("2026-01-01") + (int64_t)random_below(&random, 100) * DAY_US;
			snprintf(ids[i], sizeof(ids[i]), "e%u", i);
			const unsigned kind = (unsigned)random_below(&random, 8);
			if (kind < 4)
				order(&story, ids[i], time_us, (int64_t)random_below(&random, 10000));
			else if (kind < 7 && i)
				refund(&story, ids[i], ids[random_below(&random, i)], time_us,
				       1 + (int64_t)random_below(&random, 4000));
			else
				redeem(&story, ids[i], time_us, "", 1 + (int64_t)random_below(&random, 20000));
		}
		fold(&story, "2026-06-01");
		check_arithmetic(story.explain);
		end(&story);
	}
}

static void test_nothing_happened(void **state)
{
	(void)state;
	struct story story;
	begin(&story, CLUB);
	fold(&story, "2026-03-20");
	static const char *const EXPECTED[] = {"0 points", "nothing has happened yet", NULL};
	expect_printed(&story, EXPECTED);
	end(&story);
}

/* Names come from outside: what they hold must not play with the terminal, and must not end a JSON text. */
static void test_texts_from_outside(void **state)
{
	(void)state;
	struct story story;
	begin(&story, CLUB);
	order(&story, "\x1b[2J\"\n", at("2026-01-02"), 100);
	fold(&story, "2026-03-20");
	_cleanup_free_ char *text = printed(&story, false);
	assert_null(strchr(text, '\x1b'));
	_cleanup_free_ char *json = printed(&story, true);
	assert_null(strchr(json, '\x1b'));
	assert_non_null(strstr(json, "\\u001b[2J\\\"\\n"));
	end(&story);
}

static void test_numbers(void **state)
{
	(void)state;
	static const struct {
		__int128 num;
		__int128 den;
		const char *text;
	} CASES[] = {
		{0, 1, " = 0"},
		{1125, 1, " = 1.125"},
		{1234567000, 1, " = 1,234,567"},
		{5625, 10, " = 0.5625"},
		{1000, 3, " ≈ 0.333333 (1/3)"},
		{2000, 6, " ≈ 0.333333 (1/3)"},
		/* 2^-13 has more digits than anybody reads. */
		{1000, 8192, " ≈ 0.000122 (1/8192)"},
		{1, 4096, " ≈ 0.000000"},
		/* Terms too large to tell anything. */
		{(__int128)1000003 * 1000, 1000033, " ≈ 0.999970"},
		{((__int128)1 << 120) + 1, (__int128)1 << 120, " ≈ 0.001000"},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		char *text = NULL;
		size_t len = 0;
		FILE *const out = open_memstream(&text, &len);
		assert_non_null(out);
		say_equals(out, CASES[i].num, CASES[i].den);
		fclose(out);
		assert_string_equal(text, CASES[i].text);
		free(text);
	}
}

/* ---- out of a deployment ---- */

static void on_file(void *context, const struct intake_file *file)
{
	(void)context;
	(void)file;
}

static void on_committed(void *context, uint64_t lines)
{
	(void)context;
	(void)lines;
}

static bool is_stopped(void *context)
{
	(void)context;
	return false;
}

static const struct intake_hooks HOOKS = {.file = on_file, .committed = on_committed, .stop = is_stopped};

/* Into the journal, and no further. */
static void take_in(void)
{
	struct journal *journal = NULL;
	struct intake *intake = NULL;
	unsigned failed = 0;
	assert_int_equal(journal_open(shop->journal_dir, &(const struct journal_options){.map_gib = 1}, &journal, NULL),
			 0);
	assert_int_equal(intake_open(shop, journal, &HOOKS, &intake, NULL), 0);
	assert_int_equal(intake_source(intake, &shop->config->sources[0], &failed, NULL), 0);
	intake_close(intake);
	journal_close(journal);
}

static void expect_balance(int64_t points_milli, size_t steps)
{
	struct explain *explain = NULL;
	struct account_balance balance;
	struct error err = {0};
	const struct explain_options options = {.now_us = at("2023-11-15")};
	if (explain_customer(shop, "1", &options, &explain, &err) < 0)
		fail_msg("%s", err.message);
	account_balance(explain->account, 0, &balance);
	assert_int_equal(balance.balance_milli, points_milli);
	assert_int_equal(explain->n_steps, steps);
	explain_free(explain);
}

/* What is durable is explained, also where the table writer has not been; and once. */
static void test_the_journals_tail(void **state)
{
	(void)state;
	unsigned failed = 0;
	shop_open(CLASSIC_SOURCE);
	struct explain *explain = NULL;
	struct error err = {0};
	assert_int_equal(explain_customer(shop, "1", &(struct explain_options){0}, &explain, &err), ERROR_NOT_FOUND);
	assert_int_equal(explain_customer(shop, "one", &(struct explain_options){0}, &explain, &err), ERROR_INPUT);
	assert_null(explain);
	shop_put("a.txt", "1|latte 70|1700000000\n2|latte 70|1700000000\n");
	assert_int_equal(collect_once(shop, NULL, &HOOKS, &failed, NULL), 0);
	expect_balance(7000, 1);
	shop_put("b.txt", "1|mocha 80|1700000001\n");
	take_in();
	expect_balance(15000, 2);
	assert_int_equal(collect_drain(shop, NULL, NULL), 0);
	expect_balance(15000, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_rounding_is_named),
		cmocka_unit_test(test_what_was_rounded_away),
		cmocka_unit_test(test_a_day_ends_where_the_next_begins),
		cmocka_unit_test(test_refund_in_parts),
		cmocka_unit_test(test_refund_of_other_items),
		cmocka_unit_test(test_story_of_an_account),
		cmocka_unit_test(test_kept_tier_expiry_and_debt),
		cmocka_unit_test(test_what_is_forgiven),
		cmocka_unit_test(test_declined_and_taken_away),
		cmocka_unit_test(test_arithmetic_is_what_was_posted),
		cmocka_unit_test(test_nothing_happened),
		cmocka_unit_test(test_texts_from_outside),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test_setup_teardown(test_the_journals_tail, make_shop, remove_shop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
