/* The fold: refunds, redemptions, rejects and limits by hand, and what holds for any history (PUNCHCARD_SEED repeats a run). */
#include "base/limits.h"
#include "random_history.h"

#define HISTORIES 1500
#define SUM_MAX   LIMIT_SUM

/* --- refunds ------------------------------------------------------------------------------------------------------------- */

/* P = 1 on E = 3.00: a third each is 0.333…; 1 - ⌊1 · 2/3⌋ = 0.334, 1 - ⌊1/3⌋ = 0.667. */
static void test_a_refund_in_three_parts(void **state)
{
	(void)state;
	struct story s = begin("UTC");
	s.p->rules[0].amount_minor = 300;
	start(&s);
	buy(&s, "a", "2024-01-01", 300);
	bring_back(&s, "b", "2024-01-02", "a", 100);
	bring_back(&s, "c", "2024-01-02", "a", 100);
	bring_back(&s, "d", "2024-01-02", "a", 100);
	bring_back(&s, "e", "2024-01-02", "a", 1);
	expect(&s, "2024-01-01 earn 1000 never =1000\n"
		   "2024-01-02 reverse -334 never =666\n"
		   "2024-01-02 reverse -333 never =333\n"
		   "2024-01-02 reverse -333 never =0\n"
		   "2024-01-02 reject over_refund\n");
	struct account_totals t;
	account_totals(s.account, &t);
	assert_int_equal(t.spend_minor, 0);
	assert_int_equal(t.orders, 1);
	assert_int_equal(t.visits, 1);
	assert_int_equal(t.rejected, 1);
	assert_int_equal(t.postings, 5);
	finish(&s);
}

/* T = 5.00, E = 2.00: what is not eligible comes back for nothing, and more than E is not counted. */
static void test_a_refund_by_lines(void **state)
{
	(void)state;
	struct story s = begin("UTC");
	start(&s);
	struct fact order = make_fact(s.p, EVENT_ORDER, "a", time_of(s.p, "2024-01-01"));
	order.total_minor = 500;
	order.eligible_minor = 200;
	apply_fact(&s, &order);
	struct fact refund = make_fact(s.p, EVENT_REFUND, "b", time_of(s.p, "2024-01-02"));
	refund.order_hash = fact_id_hash(SLICE("a"));
	refund.total_minor = 100;
	apply_fact(&s, &refund);
	bring_back(&s, "c", "2024-01-03", "a", 50);
	bring_back(&s, "d", "2024-01-04", "a", 350);
	expect(&s, "2024-01-01 earn 2000 never =2000\n"
		   "2024-01-02 reverse 0 - =2000\n"
		   "2024-01-03 reverse -500 never =1500\n"
		   "2024-01-04 reverse -1500 never =0\n");
	finish(&s);
}

/* The same by lines that name what was not in the order, and is excluded: what comes back beyond the 3.00 was eligible. */
static void test_a_refund_of_other_items(void **state)
{
	(void)state;
	struct story s = begin("UTC");
	add_level(s.p, "base", 0, 1, 1);
	add_level(s.p, "high", 10000, 2, 1);
	s.p->tiers.window_months = 12;
	start(&s);
	struct fact order = make_fact(s.p, EVENT_ORDER, "a", time_of(s.p, "2024-01-01"));
	order.total_minor = 500;
	order.eligible_minor = 200;
	apply_fact(&s, &order);
	struct fact refund = make_fact(s.p, EVENT_REFUND, "b", time_of(s.p, "2024-01-02"));
	refund.order_hash = fact_id_hash(SLICE("a"));
	refund.total_minor = 301;
	apply_fact(&s, &refund);
	struct account_tier tier;
	account_tier(s.account, &tier);
	assert_int_equal(tier.metric, 199);
	refund.id = SLICE("c");
	refund.total_minor = 199;
	apply_fact(&s, &refund);
	account_tier(s.account, &tier);
	assert_int_equal(tier.metric, 0);
	expect(&s, "2024-01-01 earn 2000 never =2000\n"
		   "2024-01-02 reverse -10 never =1990\n"
		   "2024-01-02 reverse -1990 never =0\n");
	finish(&s);
}

/* Nothing eligible: totals take its place. */
static void test_a_refund_by_totals(void **state)
{
	(void)state;
	struct story s = begin("UTC");
	add_rule(s.p, "visit", RULE_PER_VISIT, 1000, 0);
	start(&s);
	struct fact order = make_fact(s.p, EVENT_ORDER, "a", time_of(s.p, "2024-01-01"));
	order.total_minor = 300;
	apply_fact(&s, &order);
	struct fact refund = make_fact(s.p, EVENT_REFUND, "b", time_of(s.p, "2024-01-02"));
	refund.order_hash = fact_id_hash(SLICE("a"));
	refund.total_minor = 100;
	apply_fact(&s, &refund);
	bring_back(&s, "c", "2024-01-03", "a", 200);
	/* A free order: nothing can come back. */
	buy(&s, "d", "2024-01-04", 0);
	bring_back(&s, "e", "2024-01-05", "d", 0);
	expect(&s, "2024-01-01 earn 1000 never =1000\n"
		   "2024-01-02 reverse -334 never =666\n"
		   "2024-01-03 reverse -666 never =0\n"
		   "2024-01-04 earn 1000 never =1000\n"
		   "2024-01-05 reverse 0 - =1000\n");
	finish(&s);
}

static void test_refunds_of_all_ledgers(void **state)
{
	(void)state;
	struct story s = begin("UTC");
	add_ledger(s.p, "stamps")->negative = NEGATIVE_FORGIVE;
	add_rule(s.p, "stamp", RULE_PER_VISIT, 1000, 0)->ledger = 1;
	start(&s);
	buy(&s, "a", "2024-01-01", 100);
	bring_back(&s, "b", "2024-01-02", "a", 50);
	struct fact spent = make_fact(s.p, EVENT_REDEEM, "c", time_of(s.p, "2024-01-03"));
	spent.points_milli = 500;
	spent.ledger = 1;
	apply_fact(&s, &spent);
	bring_back(&s, "d", "2024-01-04", "a", 50); /* of the stamps nothing is left: dropped, without an entry */
	expect(&s, "2024-01-01 earn 1000 never =1000\n"
		   "2024-01-01 earn/1 1000 never =1000\n"
		   "2024-01-02 reverse -500 never =500\n"
		   "2024-01-02 reverse/1 -500 never =500\n"
		   "2024-01-03 redeem/1 -500 never =0\n"
		   "2024-01-04 reverse -500 never =0\n");
	finish(&s);
}

static void test_refunds_of_as_many_ledgers_as_there_may_be(void **state)
{
	(void)state;
	struct story s = begin("UTC");
	static const char *const NAMES[] = {"b", "c", "d", "e", "f", "g", "h"};
	while (s.p->n_ledgers < PROGRAMME_LEDGERS_MAX)
		add_ledger(s.p, NAMES[s.p->n_ledgers - 1]);
	add_rule(s.p, "last", RULE_PER_VISIT, 1000, 0)->ledger = PROGRAMME_LEDGERS_MAX - 1;
	start(&s);
	buy(&s, "a", "2024-01-01", 100);
	bring_back(&s, "b", "2024-01-02", "a", 100);
	expect(&s, "2024-01-01 earn 1000 never =1000\n"
		   "2024-01-01 earn/7 1000 never =1000\n"
		   "2024-01-02 reverse -1000 never =0\n"
		   "2024-01-02 reverse/7 -1000 never =0\n");
	finish(&s);
}

static void test_unknown_orders(void **state)
{
	(void)state;
	struct story s = begin("UTC");
	start(&s);
	bring_back(&s, "a", "2024-01-01", "x", 100);
	buy(&s, "x", "2024-01-02", 100);
	bring_back(&s, "b", "2024-01-02", "y", 100);
	bring_back(&s, "c", "2024-01-02", "x", 100);
	/* An order that was rejected is none. */
	struct fact bad = make_fact(s.p, EVENT_ORDER, "z", time_of(s.p, "2024-01-03"));
	bad.reject = REJECT_OVERFLOW;
	apply_fact(&s, &bad);
	bring_back(&s, "d", "2024-01-03", "z", 1);
	expect(&s, "2024-01-01 reject unknown_order\n"
		   "2024-01-02 earn 1000 never =1000\n"
		   "2024-01-02 reject unknown_order\n"
		   "2024-01-02 reverse -1000 never =0\n"
		   "2024-01-03 reject overflow\n"
		   "2024-01-03 reject unknown_order\n");
	finish(&s);
}

/* Ids are unique in their source only: the last order before the refund is meant. */
static void test_orders_of_one_id(void **state)
{
	(void)state;
	struct story s = begin("UTC");
	start(&s);
	buy(&s, "a", "2024-01-01", 100);
	buy(&s, "a", "2024-01-02", 200);
	bring_back(&s, "b", "2024-01-03", "a", 200);
	bring_back(&s, "c", "2024-01-03", "a", 1);
	expect(&s, "2024-01-01 earn 1000 never =1000\n"
		   "2024-01-02 earn 2000 never =3000\n"
		   "2024-01-03 reverse -2000 never =1000\n"
		   "2024-01-03 reject over_refund\n");
	finish(&s);
}

/* So many that orders are found by an index, which grows. */
static void test_many_orders(void **state)
{
	(void)state;
	struct story s = begin("UTC");
	start(&s);
	char ids[1000][16];
	const int64_t start_us = time_of(s.p, "2024-01-01");
	for (int i = 0; i < 1000; i++) {
		snprintf(ids[i], sizeof(ids[i]), "o%d", i);
		struct fact order = make_fact(s.p, EVENT_ORDER, ids[i], start_us + i * HOUR_US);
		order.total_minor = order.eligible_minor = 100 + i;
		apply_fact(&s, &order);
		struct fact refund = make_fact(s.p, EVENT_REFUND, "r", order.time_us);
		refund.total_minor = refund.eligible_minor = 100 + i / 2;
		refund.order_hash = fact_id_hash(slice_of(ids[i / 2]));
		apply_fact(&s, &refund);
		/* The first of two refunds of an order takes all of it. */
		const struct posting *const last = &s.postings.items[s.postings.n - 1];
		assert_int_equal(last->kind, i % 2 ? POSTING_REJECT : POSTING_REVERSE);
		assert_int_equal(last->reject, i % 2 ? REJECT_OVER_REFUND : REJECT_NONE);
	}
	s.seen = s.postings.n;
	finish(&s);
}

static void test_refunds_in_any_parts_reverse_all(void **state)
{
	(void)state;
	struct random r;
	random_init(&r, test_seed());
	for (int i = 0; i < 300; i++) {
		struct story s = begin("UTC");
		s.p->rules[0].points_milli = pick(&r, 1, 5000);
		s.p->rules[0].amount_minor = pick(&r, 1, 700);
		start(&s);
		struct fact order = make_fact(s.p, EVENT_ORDER, "a", time_of(s.p, "2024-01-01"));
		order.total_minor = pick(&r, 1, 100000);
		order.eligible_minor = one_in(&r, 3) ? pick(&r, 0, (int32_t)order.total_minor) : order.total_minor;
		apply_fact(&s, &order);
		for (int64_t rest = order.total_minor; rest > 0;) {
			const int64_t part = pick(&r, 1, (int32_t)rest);
			bring_back(&s, "b", "2024-01-02", "a", part);
			rest -= part;
		}
		struct account_balance b;
		account_balance(s.account, 0, &b);
		assert_int_equal(b.issued_milli, b.reversed_milli);
		assert_int_equal(b.debt_milli, 0);
		assert_int_equal(account_lots(s.account, 0), 0);
		s.seen = s.postings.n;
		finish(&s);
	}
}

/* --- redemptions, adjustments, rules ------------------------------------------------------------------------------------- */

static void test_declined_and_nothing(void **state)
{
	(void)state;
	struct story s = begin("UTC");
	start(&s);
	buy(&s, "a", "2024-01-01", 100);
	struct fact declined = make_fact(s.p, EVENT_REDEEM, "b", time_of(s.p, "2024-01-02"));
	declined.points_milli = 500;
	declined.declined = true;
	apply_fact(&s, &declined);
	adjust(&s, "c", "2024-01-02", 250);
	adjust(&s, "d", "2024-01-02", -1000);
	struct fact unknown = make_fact(s.p, EVENT_ADJUST, "e", time_of(s.p, "2024-01-02"));
	unknown.reject = REJECT_UNKNOWN_LEDGER;
	apply_fact(&s, &unknown);
	unknown = make_fact(s.p, EVENT_REDEEM, "f", time_of(s.p, "2024-01-03"));
	unknown.reject = REJECT_UNKNOWN_REWARD;
	apply_fact(&s, &unknown);
	expect(&s, "2024-01-01 earn 1000 never =1000\n"
		   "2024-01-02 redeem 0 - =1000\n"
		   "2024-01-02 adjust 250 never =1250\n"
		   "2024-01-02 adjust -1000 never =250\n"
		   "2024-01-02 reject unknown_ledger\n"
		   "2024-01-03 reject unknown_reward\n");
	struct account_balance b;
	account_balance(s.account, 0, &b);
	assert_int_equal(b.issued_milli, 1250);
	assert_int_equal(b.reversed_milli, 1000);
	assert_int_equal(b.redeemed_milli, 0);
	finish(&s);
}

static void test_a_version_changes_at_midnight(void **state)
{
	(void)state;
	struct story s = begin("Asia/Bangkok");
	s.p->rules[0].until_day = day_of("2024-06-30");
	add_rule(s.p, "base", RULE_PER_AMOUNT, 2000, 100)->from_day = day_of("2024-07-01");
	start(&s);
	buy(&s, "a", "2024-06-30 23:59", 100);
	buy(&s, "b", "2024-07-01 00:00", 100);
	bring_back(&s, "c", "2024-07-01 00:01", "a", 100); /* what it earned */
	expect(&s, "2024-06-30 earn 1000 never =1000\n"
		   "2024-07-01 earn 2000 never =3000\n"
		   "2024-07-01 reverse -1000 never =2000\n");
	assert_int_equal(s.postings.items[0].rules, 1);
	assert_int_equal(s.postings.items[1].rules, 2);
	assert_int_equal(s.postings.items[2].rules, 0);
	finish(&s);
}

static void test_nothing_earned(void **state)
{
	(void)state;
	struct story s = begin("UTC");
	add_ledger(s.p, "stamps");
	add_rule(s.p, "stamp", RULE_PER_VISIT, 1000, 50)->ledger = 1;
	start(&s);
	buy(&s, "a", "2024-01-01", 0);
	buy(&s, "b", "2024-01-01", 50);
	expect(&s, "2024-01-01 earn 0 - =0\n"
		   "2024-01-01 earn 500 never =500\n"
		   "2024-01-01 earn/1 1000 never =1000\n");
	finish(&s);
}

static void test_totals(void **state)
{
	(void)state;
	struct story s = begin("America/New_York");
	start(&s);
	struct account_totals t;
	account_totals(s.account, &t);
	assert_int_equal(t.day, DAY_MIN);
	assert_int_equal(t.first_us, 0);
	buy(&s, "a", "2024-03-09 23:59", 100);
	buy(&s, "b", "2024-03-10 00:00", 200);
	buy(&s, "c", "2024-03-10 23:59", 300);
	buy(&s, "d", "2025-03-10 00:00", 400);
	account_totals(s.account, &t);
	assert_int_equal(t.events, 4);
	assert_int_equal(t.orders, 4);
	assert_int_equal(t.visits, 3);
	assert_int_equal(t.spend_minor, 1000);
	assert_int_equal(t.first_us, time_of(s.p, "2024-03-09 23:59"));
	assert_int_equal(t.last_us, time_of(s.p, "2025-03-10"));
	assert_int_equal(t.day, day_of("2025-03-10"));
	assert_int_equal(t.window_visits, 1);
	assert_int_equal(t.window_spend_minor, 400);
	account_reset(s.account);
	account_totals(s.account, &t);
	assert_int_equal(t.events, 0);
	assert_int_equal(t.day, DAY_MIN);
	s.seen = s.postings.n;
	finish(&s);
}

/* --- limits -------------------------------------------------------------------------------------------------------------- */

static void test_issued_overflows(void **state)
{
	(void)state;
	struct story s = begin("UTC");
	add_ledger(s.p, "stamps");
	add_rule(s.p, "stamp", RULE_PER_VISIT, 1000, 0)->ledger = 1;
	start(&s);
	adjust(&s, "a", "2024-01-01", SUM_MAX - 1000);
	buy(&s, "b", "2024-01-02", 101); /* one thousandth too many: neither do the stamps come */
	bring_back(&s, "c", "2024-01-02", "b", 1);
	adjust(&s, "d", "2024-01-02", 1001);
	buy(&s, "e", "2024-01-03", 100);
	adjust(&s, "f", "2024-01-04", 1);
	expect(&s, "2024-01-01 adjust 999999999999998999 never =999999999999998999\n"
		   "2024-01-02 reject overflow\n"
		   "2024-01-02 reject unknown_order\n"
		   "2024-01-02 reject overflow\n"
		   "2024-01-03 earn 1000 never =999999999999999999\n"
		   "2024-01-03 earn/1 1000 never =1000\n"
		   "2024-01-04 reject overflow\n");
	finish(&s);
}

/* Any ledger's sum can be the one that does not hold it. */
static void test_issued_overflows_in_another_ledger(void **state)
{
	(void)state;
	struct story s = begin("UTC");
	add_ledger(s.p, "stamps");
	add_rule(s.p, "stamp", RULE_PER_VISIT, 1000, 0)->ledger = 1;
	start(&s);
	struct fact gift = make_fact(s.p, EVENT_ADJUST, "a", time_of(s.p, "2024-01-01"));
	gift.ledger = 1;
	gift.points_milli = SUM_MAX - 999;
	apply_fact(&s, &gift);
	buy(&s, "b", "2024-01-02", 100);
	expect(&s, "2024-01-01 adjust/1 999999999999999000 never =999999999999999000\n"
		   "2024-01-02 reject overflow\n");
	finish(&s);
}

static void test_taken_overflows(void **state)
{
	(void)state;
	struct story s = begin("UTC");
	start(&s);
	redeem(&s, "a", "2024-01-01", SUM_MAX);
	redeem(&s, "b", "2024-01-02", 1);
	adjust(&s, "c", "2024-01-03", -SUM_MAX);
	adjust(&s, "d", "2024-01-04", -1);
	adjust(&s, "e", "2024-01-05", INT64_MIN);
	adjust(&s, "f", "2024-01-05", INT64_MAX);
	redeem(&s, "g", "2024-01-06", INT64_MAX);
	buy(&s, "h", "2024-01-07", 100);
	bring_back(&s, "i", "2024-01-07", "h", 1);
	expect(&s, "2024-01-01 redeem -999999999999999999 - =-999999999999999999\n"
		   "2024-01-02 reject overflow\n"
		   "2024-01-03 adjust -999999999999999999 - =-1999999999999999998\n"
		   "2024-01-04 reject overflow\n"
		   "2024-01-05 reject overflow\n"
		   "2024-01-05 reject overflow\n"
		   "2024-01-06 reject overflow\n"
		   "2024-01-07 earn 1000 - =-1999999999999998998\n"
		   "2024-01-07 reject overflow\n");
	/* What would be dropped counts nowhere, and so fits. */
	struct account_totals t;
	account_totals(s.account, &t);
	assert_int_equal(t.spend_minor, 100);
	finish(&s);
}

static void test_what_is_dropped_fits(void **state)
{
	(void)state;
	struct story s = begin("UTC");
	s.p->ledgers[0].negative = NEGATIVE_FORGIVE;
	start(&s);
	buy(&s, "a", "2024-01-01", 100);
	redeem(&s, "b", "2024-01-02", SUM_MAX);
	redeem(&s, "c", "2024-01-03", SUM_MAX);
	expect(&s, "2024-01-01 earn 1000 never =1000\n"
		   "2024-01-02 redeem -1000 never =0\n"
		   "2024-01-03 redeem 0 - =0\n");
	finish(&s);
}

static void test_spend_overflows(void **state)
{
	(void)state;
	struct story s = begin("UTC");
	s.p->rules[0].points_milli = 1;
	start(&s);
	struct fact order = make_fact(s.p, EVENT_ORDER, "a", time_of(s.p, "2024-01-01"));
	order.total_minor = SUM_MAX;
	apply_fact(&s, &order);
	order = make_fact(s.p, EVENT_ORDER, "b", time_of(s.p, "2024-01-02"));
	order.total_minor = 1;
	apply_fact(&s, &order);
	expect(&s, "2024-01-01 earn 0 - =0\n"
		   "2024-01-02 reject overflow\n");
	finish(&s);
}

/* --- what holds for any history ------------------------------------------------------------------------------------------ */

static void fold(const struct history *h, size_t from, size_t to, struct account *account, struct postings *postings)
{
	for (size_t i = from; i < to; i++) {
		const size_t before = postings->n;
		assert_int_equal(account_apply(account, &h->facts[i], postings), 0);
		assert_true(postings->n > before);
		audit(h->p, account);
	}
}

/* Whether a refund behind `cut` names an order before it. */
static bool refund_crosses(const struct history *h, size_t cut)
{
	for (size_t i = cut; i < h->n; i++)
		for (size_t order = i; h->facts[i].kind == EVENT_REFUND && order-- > 0;)
			if (h->facts[order].kind == EVENT_ORDER &&
			    fact_id_hash(h->facts[order].id) == h->facts[i].order_hash) {
				if (order < cut)
					return true;
				break;
			}
	return false;
}

static void test_a_fold_goes_on_from_its_bytes(void **state)
{
	(void)state;
	struct random r;
	random_init(&r, test_seed());
	int cuts = 0;
	for (int i = 0; i < HISTORIES; i++) {
		struct history h;
		random_history(&r, &h);
		struct account *const whole = account_new(h.p);
		struct account *const part = account_new(h.p);
		struct account *const copy = account_new(h.p);
		struct postings all = {0};
		struct postings some = {0};
		fold(&h, 0, h.n, whole, &all);
		const size_t cut = (size_t)pick(&r, 0, (int32_t)h.n);
		fold(&h, 0, cut, part, &some);
		fold(&h, 0, 1, copy, &some); /* something to be written over */
		assert_int_equal(account_copy(copy, part), 0);
		assert_same_account(copy, part);
		struct account_totals t;
		account_totals(part, &t);
		const size_t before = (size_t)t.postings;

		postings_clear(&some);
		fold(&h, cut, h.n, copy, &some);
		assert_int_equal(some.n, all.n - before);
		assert_same_postings(all.items + before, some.items, some.n);
		assert_same_account(whole, copy);
		if (!refund_crosses(&h, cut)) {
			cuts++;
			_cleanup_buf_ struct buf bytes = {0};
			assert_int_equal(account_encode(part, &bytes), 0);
			assert_int_equal(account_decode((struct slice){bytes.data, bytes.len}, copy, NULL), 0);
			assert_same_account(copy, part);
			postings_clear(&some);
			fold(&h, cut, h.n, copy, &some);
			assert_same_postings(all.items + before, some.items, some.n);
			assert_same_account(whole, copy);
		}
		postings_release(&all);
		postings_release(&some);
		account_free(whole);
		account_free(part);
		account_free(copy);
		history_release(&h);
	}
	assert_true(cuts > HISTORIES / 10);
}

/* Whether somebody looks every day or only at the end. */
static void test_time_passes_alike(void **state)
{
	(void)state;
	struct random r;
	random_init(&r, test_seed() + 1);
	for (int i = 0; i < HISTORIES / 5; i++) {
		struct history h;
		random_history(&r, &h);
		struct account *const daily = account_new(h.p);
		struct account *const once = account_new(h.p);
		struct postings a = {0};
		struct postings b = {0};
		const int32_t last = h.facts[h.n - 1].day + pick(&r, 0, 400);
		size_t at = 0;
		for (int32_t day = h.facts[0].day - 3; day <= last; day++) {
			assert_int_equal(account_advance(daily, day, &a), 0);
			audit(h.p, daily);
			for (; at < h.n && h.facts[at].day <= day; at++)
				assert_int_equal(account_apply(daily, &h.facts[at], &a), 0);
		}
		fold(&h, 0, h.n, once, &b);
		assert_int_equal(account_advance(once, last, &b), 0);
		assert_int_equal(account_advance(once, last - 1, &b), 0);
		assert_int_equal(a.n, b.n);
		assert_same_postings(a.items, b.items, a.n);
		assert_same_account(daily, once);
		postings_release(&a);
		postings_release(&b);
		account_free(daily);
		account_free(once);
		history_release(&h);
	}
}

/* Entries add up to the balances, in order of time, and nobody has to want them. */
static void test_entries_add_up(void **state)
{
	(void)state;
	struct random r;
	random_init(&r, test_seed() + 2);
	for (int i = 0; i < HISTORIES / 5; i++) {
		struct history h;
		random_history(&r, &h);
		struct account *const account = account_new(h.p);
		struct account *const silent = account_new(h.p);
		struct postings postings = {0};
		fold(&h, 0, h.n, account, &postings);
		for (size_t at = 0; at < h.n; at++)
			assert_int_equal(account_apply(silent, &h.facts[at], NULL), 0);
		assert_same_account(account, silent);
		int64_t sums[PROGRAMME_LEDGERS_MAX] = {0};
		for (size_t at = 0; at < postings.n; at++) {
			const struct posting *const p = &postings.items[at];
			sums[p->ledger] += p->points_milli;
			assert_int_equal(p->balance_milli, sums[p->ledger]);
			assert_int_equal(p->number, at + 1);
			assert_true(at == 0 || p->time_us >= p[-1].time_us);
			assert_true(at == 0 || p->tier == p[-1].tier_after);
		}
		for (unsigned ledger = 0; ledger < h.p->n_ledgers; ledger++) {
			struct account_balance b;
			account_balance(account, ledger, &b);
			assert_int_equal(b.balance_milli + b.pending_milli, sums[ledger]);
		}
		postings_release(&postings);
		account_free(account);
		account_free(silent);
		history_release(&h);
	}
}

/* --- bytes --------------------------------------------------------------------------------------------------------------- */

/* So many lots that they need far more room than all else. */
static void test_a_state_of_many_lots(void **state)
{
	(void)state;
	struct story s = begin("UTC");
	s.p->ledgers[0].expiry = EXPIRY_DAYS;
	s.p->ledgers[0].expiry_n = 5000;
	start(&s);
	const int64_t start_us = time_of(s.p, "2024-01-01");
	for (int i = 0; i < 4000; i++) {
		struct fact gift = make_fact(s.p, EVENT_ADJUST, "a", start_us + i * DAY_US);
		gift.points_milli = SUM_MAX / 5000;
		assert_int_equal(account_apply(s.account, &gift, NULL), 0);
	}
	assert_int_equal(account_lots(s.account, 0), 4000);
	struct account *const other = account_new(s.p);
	_cleanup_buf_ struct buf bytes = {0};
	assert_int_equal(account_encode(s.account, &bytes), 0);
	assert_int_equal(account_decode((struct slice){bytes.data, bytes.len}, other, NULL), 0);
	assert_same_account(s.account, other);
	account_free(other);
	finish(&s);
}

/* A day may be reached without any event. */
static void test_a_state_without_events(void **state)
{
	(void)state;
	struct story s = begin("UTC");
	start(&s);
	struct account *const other = account_new(s.p);
	for (int reached = 0; reached < 2; reached++) {
		_cleanup_buf_ struct buf bytes = {0};
		assert_int_equal(account_encode(s.account, &bytes), 0);
		assert_int_equal(account_decode((struct slice){bytes.data, bytes.len}, other, NULL), 0);
		assert_same_account(s.account, other);
		struct account_totals t;
		account_totals(other, &t);
		assert_int_equal(t.day, reached ? day_of("2024-01-01") : DAY_MIN);
		wait_until(&s, "2024-01-01");
	}
	account_free(other);
	finish(&s);
}

/* What is read is written again as it was; all else is refused. */
static void decode_damaged(struct account *account, const char *data, size_t len)
{
	/* A block of its own, so that a byte too many is seen. */
	char *const copy = malloc(len ? len : 1);
	assert_non_null(copy);
	memcpy(copy, data, len);
	struct error err = {0};
	if (account_decode((struct slice){copy, len}, account, &err) == 0) {
		_cleanup_buf_ struct buf again = {0};
		assert_int_equal(account_encode(account, &again), 0);
		assert_int_equal(again.len, len);
		assert_memory_equal(again.data, copy, len);
	} else {
		assert_int_equal(err.code, ERROR_CORRUPT);
		struct account_totals t;
		account_totals(account, &t);
		assert_int_equal(t.events, 0);
		assert_int_equal(t.day, DAY_MIN);
	}
	free(copy);
}

static void test_damaged_states(void **state)
{
	(void)state;
	struct random r;
	random_init(&r, test_seed() + 3);
	for (int i = 0; i < 60; i++) {
		struct history h;
		random_history(&r, &h);
		struct account *const account = account_new(h.p);
		struct postings postings = {0};
		fold(&h, 0, h.n, account, &postings);
		_cleanup_buf_ struct buf bytes = {0};
		assert_int_equal(account_encode(account, &bytes), 0);
		for (size_t len = 0; len < bytes.len; len++) {
			struct error err = {0};
			assert_int_equal(account_decode((struct slice){bytes.data, len}, account, &err), ERROR_CORRUPT);
			decode_damaged(account, bytes.data, len);
		}
		for (size_t bit = 0; bit < bytes.len * 8; bit++) {
			bytes.data[bit / 8] = (char)(bytes.data[bit / 8] ^ (1 << bit % 8));
			decode_damaged(account, bytes.data, bytes.len);
			bytes.data[bit / 8] = (char)(bytes.data[bit / 8] ^ (1 << bit % 8));
		}
		assert_int_equal(buf_append(&bytes, "", 1), 0);
		assert_int_equal(account_decode((struct slice){bytes.data, bytes.len}, account, NULL), ERROR_CORRUPT);
		postings_release(&postings);
		account_free(account);
		history_release(&h);
	}
}

static void test_states_of_others(void **state)
{
	(void)state;
	struct story s = begin("UTC");
	start(&s);
	struct story other = begin("UTC");
	other.p->rules[0].points_milli = 2000;
	start(&other);
	buy(&s, "a", "2024-01-01", 100);
	_cleanup_buf_ struct buf bytes = {0};
	assert_int_equal(account_encode(s.account, &bytes), 0);
	struct error err = {0};
	assert_int_equal(account_decode((struct slice){bytes.data, bytes.len}, other.account, &err), ERROR_CORRUPT);
	assert_non_null(strstr(err.message, "another programme"));
	bytes.data[0] = 3;
	assert_int_equal(account_decode((struct slice){bytes.data, bytes.len}, s.account, &err), ERROR_CORRUPT);
	assert_non_null(strstr(err.message, "version 3"));
	s.seen = s.postings.n;
	finish(&s);
	finish(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_refund_in_three_parts),
		cmocka_unit_test(test_a_refund_by_lines),
		cmocka_unit_test(test_a_refund_of_other_items),
		cmocka_unit_test(test_a_refund_by_totals),
		cmocka_unit_test(test_refunds_of_all_ledgers),
		cmocka_unit_test(test_refunds_of_as_many_ledgers_as_there_may_be),
		cmocka_unit_test(test_unknown_orders),
		cmocka_unit_test(test_orders_of_one_id),
		cmocka_unit_test(test_many_orders),
		cmocka_unit_test(test_refunds_in_any_parts_reverse_all),
		cmocka_unit_test(test_declined_and_nothing),
		cmocka_unit_test(test_a_version_changes_at_midnight),
		cmocka_unit_test(test_nothing_earned),
		cmocka_unit_test(test_totals),
		cmocka_unit_test(test_issued_overflows),
		cmocka_unit_test(test_issued_overflows_in_another_ledger),
		cmocka_unit_test(test_taken_overflows),
		cmocka_unit_test(test_what_is_dropped_fits),
		cmocka_unit_test(test_spend_overflows),
		cmocka_unit_test(test_a_fold_goes_on_from_its_bytes),
		cmocka_unit_test(test_time_passes_alike),
		cmocka_unit_test(test_entries_add_up),
		cmocka_unit_test(test_damaged_states),
		cmocka_unit_test(test_a_state_of_many_lots),
		cmocka_unit_test(test_a_state_without_events),
		cmocka_unit_test(test_states_of_others),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
