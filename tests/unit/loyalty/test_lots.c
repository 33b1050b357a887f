/* Lots, debt and expiry: tables with the arithmetic by hand. */
#include "loyalty/lots.h"
#include "story.h"

/* --- expiry -------------------------------------------------------------------------------------------------------------- */

static void expiry_case(const char *zone, enum expiry_kind kind, int32_t n, const char *bought, const char *last_day,
			const char *expires)
{
	struct story s = begin(zone);
	s.p->ledgers[0].expiry = kind;
	s.p->ledgers[0].expiry_n = n;
	start(&s);
	char earned[64];
	char expired[64];
	buy(&s, "a", bought, 100);
	snprintf(earned, sizeof(earned), "%.10s earn 1000 %s =1000\n", bought, expires);
	expect(&s, earned);
	wait_until(&s, last_day);
	expect(&s, "");
	wait_until(&s, "2031-01-01");
	snprintf(expired, sizeof(expired), "%s expire -1000 %s =0\n", expires, expires);
	expect(&s, expired);
	const struct posting *const entry = &s.postings.items[1];
	assert_int_equal(entry->event_id.len, 0);
	/* It is dated the first instant of its day. */
	assert_int_equal(tz_local_day(s.p->timezone, entry->time_us), day_of(expires));
	assert_int_equal(tz_local_day(s.p->timezone, entry->time_us - 1), day_of(expires) - 1);
	finish(&s);
}

static void test_expiry(void **state)
{
	(void)state;
	static const struct {
		const char *zone;
		enum expiry_kind kind;
		int32_t n;
		const char *bought;
		const char *last_day;
		const char *expires;
	} CASES[] = {
		{"UTC", EXPIRY_DAYS, 1, "2024-02-28 23:59", "2024-02-28", "2024-02-29"},
		{"UTC", EXPIRY_DAYS, 365, "2024-02-29", "2025-02-27", "2025-02-28"},
		{"UTC", EXPIRY_MONTHS, 1, "2024-01-31", "2024-02-28", "2024-02-29"}, /* a leap year … */
		{"UTC", EXPIRY_MONTHS, 1, "2023-01-31", "2023-02-27", "2023-02-28"}, /* … and none */
		{"UTC", EXPIRY_MONTHS, 1, "2024-01-30", "2024-02-28", "2024-02-29"},
		{"UTC", EXPIRY_MONTHS, 12, "2024-02-29", "2025-02-27", "2025-02-28"},
		{"UTC", EXPIRY_MONTHS, 48, "2024-02-29", "2028-02-28", "2028-02-29"},
		{"UTC", EXPIRY_MONTHS, 3, "2023-11-30", "2024-02-28", "2024-02-29"},
		{"UTC", EXPIRY_MONTHS_AFTER_MONTH, 12, "2020-07-06", "2021-07-31", "2021-08-01"},
		{"UTC", EXPIRY_MONTHS_AFTER_MONTH, 1, "2023-12-31", "2024-01-31", "2024-02-01"},
		{"UTC", EXPIRY_MONTHS_AFTER_MONTH, 1, "2024-02-29", "2024-03-31", "2024-04-01"},
		{"UTC", EXPIRY_INACTIVITY, 6, "2024-08-31", "2025-02-27", "2025-02-28"},
		/* Days that have 23 or 25 hours are days. */
		{"Europe/Berlin", EXPIRY_DAYS, 1, "2024-03-30 23:30", "2024-03-30", "2024-03-31"},
		{"Europe/Berlin", EXPIRY_DAYS, 1, "2024-03-31 12:00", "2024-03-31", "2024-04-01"},
		{"Europe/Berlin", EXPIRY_MONTHS, 1, "2024-09-27 23:59", "2024-10-26", "2024-10-27"},
		{"Europe/Berlin", EXPIRY_DAYS, 1, "2024-10-27 02:30", "2024-10-27", "2024-10-28"},
		{"America/New_York", EXPIRY_DAYS, 1, "2024-03-10 00:00", "2024-03-10", "2024-03-11"},
		{"America/New_York", EXPIRY_MONTHS, 1, "2024-10-03 23:59", "2024-11-02", "2024-11-03"},
		{"Asia/Bangkok", EXPIRY_DAYS, 30, "2024-01-31 00:00", "2024-02-29", "2024-03-01"},
		{"Asia/Bangkok", EXPIRY_MONTHS, 1, "2024-01-31 23:59", "2024-02-28", "2024-02-29"},
		/* Clocks skip midnight: the day begins at 01:00. */
		{"America/Sao_Paulo", EXPIRY_DAYS, 1, "2018-11-03 12:00", "2018-11-03", "2018-11-04"},
		/* At midnight clocks go back to 23:00. */
		{"America/Sao_Paulo", EXPIRY_DAYS, 1, "2018-02-17 23:30", "2018-02-17", "2018-02-18"},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++)
		expiry_case(CASES[i].zone, CASES[i].kind, CASES[i].n, CASES[i].bought, CASES[i].last_day,
			    CASES[i].expires);
}

static void test_instant_of_expiry(void **state)
{
	(void)state;
	static const struct {
		const char *zone;
		const char *day;
		int64_t utc_hours; /* from midnight UTC of the day */
	} CASES[] = {
		{"UTC", "2024-06-02", 0},
		{"Asia/Bangkok", "2024-06-02", -7},
		{"Europe/Berlin", "2024-03-31", -1},
		{"Europe/Berlin", "2024-04-01", -2},
		{"America/New_York", "2024-11-03", 4},
		{"America/New_York", "2024-11-04", 5},
		{"America/Sao_Paulo", "2018-11-04", 3}, /* 01:00 there */
		{"America/Havana", "2024-11-03", 4},    /* of two midnights the earlier */
		{"Pacific/Apia", "2011-12-30", 10},     /* a day that was left out begins where the next one does */
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct story s = begin(CASES[i].zone);
		s.p->ledgers[0].expiry = EXPIRY_DAYS;
		s.p->ledgers[0].expiry_n = 5;
		start(&s);
		struct fact order = make_fact(s.p, EVENT_ORDER, "a", 0);
		order.day = day_of(CASES[i].day) - 5;
		order.time_us = order.day * DAY_US;
		order.total_minor = order.eligible_minor = 100;
		apply_fact(&s, &order);
		wait_until(&s, "2030-01-01");
		assert_int_equal(s.postings.n, 2);
		assert_int_equal(s.postings.items[1].time_us,
				 day_of(CASES[i].day) * DAY_US + CASES[i].utc_hours * HOUR_US);
		s.seen = 2;
		finish(&s);
	}
}

static void test_never(void **state)
{
	(void)state;
	struct story s = begin("UTC");
	start(&s);
	buy(&s, "a", "2024-01-01", 250);
	wait_until(&s, "9999-12-31");
	expect(&s, "2024-01-01 earn 2500 never =2500\n");
	struct account_balance b;
	account_balance(s.account, 0, &b);
	assert_int_equal(b.next_expiry_day, DAY_MAX);
	assert_int_equal(account_expiring(s.account, 0, DAY_MAX), 0);
	finish(&s);
}

/* Several days at once, and ledgers within a day. */
static void test_order_of_what_is_due(void **state)
{
	(void)state;
	struct story s = begin("UTC");
	add_ledger(s.p, "stamps");
	add_rule(s.p, "stamp", RULE_PER_VISIT, 7, 0)->ledger = 1;
	for (unsigned i = 0; i < 2; i++) {
		s.p->ledgers[i].expiry = EXPIRY_DAYS;
		s.p->ledgers[i].expiry_n = 10;
	}
	start(&s);
	buy(&s, "a", "2024-01-01", 100);
	buy(&s, "b", "2024-01-02", 200);
	buy(&s, "c", "2024-01-02", 300);
	assert_int_equal(account_expiring(s.account, 0, day_of("2024-01-10")), 0);
	assert_int_equal(account_expiring(s.account, 0, day_of("2024-01-11")), 1000);
	assert_int_equal(account_expiring(s.account, 0, day_of("2024-01-12")), 6000);
	buy(&s, "d", "2024-01-12", 0); /* that day's expiry comes before its events */
	expect(&s, "2024-01-01 earn 1000 2024-01-11 =1000\n"
		   "2024-01-01 earn/1 7 2024-01-11 =7\n"
		   "2024-01-02 earn 2000 2024-01-12 =3000\n"
		   "2024-01-02 earn/1 7 2024-01-12 =14\n"
		   "2024-01-02 earn 3000 2024-01-12 =6000\n"
		   "2024-01-02 earn/1 7 2024-01-12 =21\n"
		   "2024-01-11 expire -1000 2024-01-11 =5000\n"
		   "2024-01-11 expire/1 -7 2024-01-11 =14\n"
		   "2024-01-12 expire -5000 2024-01-12 =0\n"
		   "2024-01-12 expire/1 -14 2024-01-12 =0\n"
		   "2024-01-12 earn/1 7 2024-01-22 =7\n");
	finish(&s);
}

static void test_inactivity_moves(void **state)
{
	(void)state;
	struct story s = begin("UTC");
	s.p->ledgers[0].expiry = EXPIRY_INACTIVITY;
	s.p->ledgers[0].expiry_n = 1;
	start(&s);
	buy(&s, "a", "2024-01-31", 100);
	buy(&s, "b", "2024-02-28", 100);    /* moves a to 28 March: one lot with b */
	adjust(&s, "c", "2024-03-10", 500); /* moves nothing: expires 10 April */
	redeem(&s, "d", "2024-03-11", 100); /* the earliest expiry first */
	wait_until(&s, "2024-03-28");
	buy(&s, "e", "2024-04-09 12:00", 10); /* moves the adjustment to 9 May */
	wait_until(&s, "2024-06-01");
	expect(&s, "2024-01-31 earn 1000 2024-02-29 =1000\n"
		   "2024-02-28 earn 1000 2024-03-28 =2000\n"
		   "2024-03-10 adjust 500 2024-04-10 =2500\n"
		   "2024-03-11 redeem -100 2024-03-28 =2400\n"
		   "2024-03-28 expire -1900 2024-03-28 =500\n"
		   "2024-04-09 earn 100 2024-05-09 =600\n"
		   "2024-05-09 expire -600 2024-05-09 =0\n");
	finish(&s);
}

/* A rejected order changes nothing: it moves no lots. */
static void test_a_rejected_order_moves_nothing(void **state)
{
	(void)state;
	struct story s = begin("UTC");
	s.p->ledgers[0].expiry = EXPIRY_INACTIVITY;
	s.p->ledgers[0].expiry_n = 1;
	start(&s);
	buy(&s, "a", "2024-01-10", 100);
	struct fact bad = make_fact(s.p, EVENT_ORDER, "b", time_of(s.p, "2024-02-01"));
	bad.reject = REJECT_OVERFLOW;
	apply_fact(&s, &bad);
	wait_until(&s, "2024-02-10");
	expect(&s, "2024-01-10 earn 1000 2024-02-10 =1000\n"
		   "2024-02-01 reject overflow\n"
		   "2024-02-10 expire -1000 2024-02-10 =0\n");
	struct account_totals t;
	account_totals(s.account, &t);
	assert_int_equal(t.events, 2);
	assert_int_equal(t.rejected, 1);
	assert_int_equal(t.orders, 1);
	finish(&s);
}

/* --- pending ------------------------------------------------------------------------------------------------------------- */

static void test_pending(void **state)
{
	(void)state;
	struct story s = begin("UTC");
	s.p->ledgers[0].pending_days = 3;
	s.p->ledgers[0].expiry = EXPIRY_MONTHS;
	s.p->ledgers[0].expiry_n = 1;
	start(&s);
	buy(&s, "a", "2024-01-01", 100);
	buy(&s, "b", "2024-01-02", 200);
	struct account_balance b;
	account_balance(s.account, 0, &b);
	assert_int_equal(b.balance_milli, 0);
	assert_int_equal(b.pending_milli, 3000);
	assert_int_equal(b.next_expiry_day, day_of("2024-02-01"));
	assert_false(account_can_redeem(s.account, 0, 1));
	wait_until(&s, "2024-01-03");
	assert_int_equal(balance_of(&s, 0), 0);
	wait_until(&s, "2024-01-04");
	assert_int_equal(balance_of(&s, 0), 1000);
	assert_true(account_can_redeem(s.account, 0, 1000));
	assert_false(account_can_redeem(s.account, 0, 1001));
	struct account_lot lot;
	assert_int_equal(account_lots(s.account, 0), 2);
	account_lot(s.account, 0, 0, &lot);
	assert_int_equal(lot.available, DAY_MIN);
	account_lot(s.account, 0, 1, &lot);
	assert_int_equal(lot.available, day_of("2024-01-05"));
	/* An accepted redemption of more goes on with what is pending. */
	redeem(&s, "c", "2024-01-04", 1500);
	/* A refund takes what is pending first, unless its order's lot is there. */
	bring_back(&s, "d", "2024-01-04", "a", 100);
	expect(&s, "2024-01-01 earn 1000 2024-02-01 =1000\n"
		   "2024-01-02 earn 2000 2024-02-02 =3000\n"
		   "2024-01-04 redeem -1000 2024-02-01 =2000\n"
		   "2024-01-04 redeem -500 2024-02-02 =1500\n"
		   "2024-01-04 reverse -1000 2024-02-02 =500\n");
	finish(&s);
}

static void test_pending_lots_can_expire(void **state)
{
	(void)state;
	struct story s = begin("UTC");
	s.p->ledgers[0].pending_days = 30;
	s.p->ledgers[0].expiry = EXPIRY_DAYS;
	s.p->ledgers[0].expiry_n = 10;
	start(&s);
	buy(&s, "a", "2024-01-01", 100);
	wait_until(&s, "2024-01-11");
	expect(&s, "2024-01-01 earn 1000 2024-01-11 =1000\n"
		   "2024-01-11 expire -1000 2024-01-11 =0\n");
	finish(&s);
}

/* The refund's own lot is where the last order moved it, not what is pending. */
static void test_a_refund_finds_a_lot_that_was_moved(void **state)
{
	(void)state;
	struct story s = begin("UTC");
	s.p->ledgers[0].pending_days = 5;
	s.p->ledgers[0].expiry = EXPIRY_INACTIVITY;
	s.p->ledgers[0].expiry_n = 1;
	start(&s);
	buy(&s, "a", "2024-01-10", 100);
	buy(&s, "b", "2024-01-20", 200); /* moves a to 20 February; pending until the 25th */
	bring_back(&s, "c", "2024-01-21", "a", 100);
	struct account_balance b;
	account_balance(s.account, 0, &b);
	assert_int_equal(b.balance_milli, 0);
	assert_int_equal(b.pending_milli, 2000);
	expect(&s, "2024-01-10 earn 1000 2024-02-10 =1000\n"
		   "2024-01-20 earn 2000 2024-02-20 =3000\n"
		   "2024-01-21 reverse -1000 2024-02-20 =2000\n");
	finish(&s);
}

/* The refund's own lot, pending ones, spendable ones: in this order. */
static void test_a_refund_takes_its_own_lot_first(void **state)
{
	(void)state;
	struct story s = begin("UTC");
	s.p->ledgers[0].pending_days = 5;
	s.p->ledgers[0].expiry = EXPIRY_DAYS;
	s.p->ledgers[0].expiry_n = 20;
	start(&s);
	buy(&s, "a", "2024-01-01", 100);             /* spendable on the 6th, expires the 21st */
	buy(&s, "b", "2024-01-02", 100);             /* the 7th, the 22nd */
	buy(&s, "c", "2024-01-07", 100);             /* the 12th, the 27th */
	buy(&s, "d", "2024-01-08", 100);             /* the 13th, the 28th */
	redeem(&s, "e", "2024-01-09", 500);          /* a: 500 */
	bring_back(&s, "f", "2024-01-09", "b", 80);  /* b: 200 */
	bring_back(&s, "g", "2024-01-09", "d", 100); /* d: gone */
	bring_back(&s, "h", "2024-01-09", "a", 100); /* a: gone, then c, which is pending */
	bring_back(&s, "i", "2024-01-09", "c", 100); /* c: gone, then b; 300 are missing */
	s.seen = 4;
	expect(&s, "2024-01-09 redeem -500 2024-01-21 =3500\n"
		   "2024-01-09 reverse -800 2024-01-22 =2700\n"
		   "2024-01-09 reverse -1000 2024-01-28 =1700\n"
		   "2024-01-09 reverse -500 2024-01-21 =1200\n"
		   "2024-01-09 reverse -500 2024-01-27 =700\n"
		   "2024-01-09 reverse -500 2024-01-27 =200\n"
		   "2024-01-09 reverse -200 2024-01-22 =0\n"
		   "2024-01-09 reverse -300 - =-300\n");
	finish(&s);
}

/* --- debt ---------------------------------------------------------------------------------------------------------------- */

static void debt_story(enum negative negative, const char *expected, int64_t redeemed, int64_t reversed)
{
	struct story s = begin("UTC");
	s.p->ledgers[0].negative = negative;
	s.p->ledgers[0].expiry = EXPIRY_MONTHS;
	s.p->ledgers[0].expiry_n = 1;
	start(&s);
	buy(&s, "a", "2024-01-01", 100);
	redeem(&s, "b", "2024-01-02", 1000);
	bring_back(&s, "c", "2024-01-03", "a", 100); /* they were spent */
	adjust(&s, "d", "2024-01-04", -100);
	redeem(&s, "e", "2024-01-05", 50);
	buy(&s, "f", "2024-01-06", 50);
	buy(&s, "g", "2024-01-07", 100);
	expect(&s, expected);
	struct account_balance b;
	account_balance(s.account, 0, &b);
	assert_int_equal(b.issued_milli, 2500);
	assert_int_equal(b.redeemed_milli, redeemed);
	assert_int_equal(b.reversed_milli, reversed);
	finish(&s);
}

static void test_debt(void **state)
{
	(void)state;
	debt_story(NEGATIVE_DEBT,
		   "2024-01-01 earn 1000 2024-02-01 =1000\n"
		   "2024-01-02 redeem -1000 2024-02-01 =0\n"
		   "2024-01-03 reverse -1000 - =-1000\n"
		   "2024-01-04 adjust -100 - =-1100\n"
		   "2024-01-05 redeem -50 - =-1150\n"
		   "2024-01-06 earn 500 - =-650\n"
		   "2024-01-07 earn 650 - =0\n"
		   "2024-01-07 earn 350 2024-02-07 =350\n",
		   1050, 1100);
}

static void test_forgive(void **state)
{
	(void)state;
	debt_story(NEGATIVE_FORGIVE,
		   "2024-01-01 earn 1000 2024-02-01 =1000\n"
		   "2024-01-02 redeem -1000 2024-02-01 =0\n"
		   "2024-01-03 reverse 0 - =0\n"
		   "2024-01-04 adjust 0 - =0\n"
		   "2024-01-05 redeem 0 - =0\n"
		   "2024-01-06 earn 500 2024-02-06 =500\n"
		   "2024-01-07 earn 1000 2024-02-07 =1500\n",
		   1000, 0);
}

static void test_forgive_takes_what_is_there(void **state)
{
	(void)state;
	struct story s = begin("UTC");
	s.p->ledgers[0].negative = NEGATIVE_FORGIVE;
	start(&s);
	buy(&s, "a", "2024-01-01", 100);
	redeem(&s, "b", "2024-01-02", 1500);
	expect(&s, "2024-01-01 earn 1000 never =1000\n"
		   "2024-01-02 redeem -1000 never =0\n");
	finish(&s);
}

static void test_earliest_expiry_first(void **state)
{
	(void)state;
	struct story s = begin("UTC");
	s.p->ledgers[0].expiry = EXPIRY_MONTHS_AFTER_MONTH;
	s.p->ledgers[0].expiry_n = 1;
	start(&s);
	buy(&s, "a", "2024-01-10", 100); /* of one month: one lot */
	buy(&s, "b", "2024-01-20", 100);
	buy(&s, "c", "2024-02-20", 100);
	assert_int_equal(account_lots(s.account, 0), 2);
	redeem(&s, "d", "2024-02-21", 2500);
	expect(&s, "2024-01-10 earn 1000 2024-03-01 =1000\n"
		   "2024-01-20 earn 1000 2024-03-01 =2000\n"
		   "2024-02-20 earn 1000 2024-04-01 =3000\n"
		   "2024-02-21 redeem -2000 2024-03-01 =1000\n"
		   "2024-02-21 redeem -500 2024-04-01 =500\n");
	finish(&s);
}

/* More lots than the list has room for at first, taken and added at both ends. */
static void test_many_lots(void **state)
{
	(void)state;
	struct story s = begin("UTC");
	s.p->ledgers[0].expiry = EXPIRY_DAYS;
	s.p->ledgers[0].expiry_n = 100;
	start(&s);
	const int64_t start_us = time_of(s.p, "2024-01-01");
	for (int i = 0; i < 1000; i++) {
		struct fact order = make_fact(s.p, EVENT_ORDER, "a", start_us + i * DAY_US);
		order.total_minor = order.eligible_minor = 100;
		apply_fact(&s, &order);
		assert_int_equal(account_lots(s.account, 0), i < 100 ? i + 1 : 100);
		assert_int_equal(balance_of(&s, 0), (i < 100 ? i + 1 : 100) * 1000);
	}
	assert_int_equal(s.postings.n, 1900);
	s.seen = s.postings.n;
	finish(&s);
}

/* With one expiry, lots are told apart by the day they are available from: those of one day become one. */
/* Points that come and go for years take no more room than those that are there at once. */
static void test_room_of_spent_lots_is_used_again(void **state)
{
	(void)state;
	struct lots lots = {0};
	for (int32_t day = 0; day < 10000; day++) {
		assert_int_equal(lots_add(&lots, day + 3, DAY_MIN, 1), 0);
		assert_int_equal(lots_expire(&lots, day), day < 3 ? 0 : 1);
	}
	assert_int_equal(lots.spendable.n, 3);
	assert_true(lots.spendable.cap <= 16);
	lots_release(&lots);
}

static void test_moving_merges(void **state)
{
	(void)state;
	struct lots lots = {0};
	assert_int_equal(lots_add(&lots, 100, 12, 1), 0);
	assert_int_equal(lots_add(&lots, 101, 11, 2), 0);
	assert_int_equal(lots_add(&lots, 102, 12, 4), 0);
	assert_int_equal(lots_add(&lots, 103, 10, 8), 0);
	assert_int_equal(lots_add(&lots, 104, DAY_MIN, 16), 0);
	assert_int_equal(lots_add(&lots, 105, DAY_MIN, 32), 0);
	lots_move(&lots, 200);
	static const struct lot PENDING[] = {{200, 10, 8}, {200, 11, 2}, {200, 12, 5}};
	assert_int_equal(lots.pending.n, 3);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(lot_at(&lots.pending, i)->expires, PENDING[i].expires);
		assert_int_equal(lot_at(&lots.pending, i)->available, PENDING[i].available);
		assert_int_equal(lot_at(&lots.pending, i)->remaining_milli, PENDING[i].remaining_milli);
	}
	assert_int_equal(lots.spendable.n, 1);
	assert_int_equal(lot_at(&lots.spendable, 0)->remaining_milli, 48);
	assert_int_equal(lots.total_milli, 63);
	lots_release(&lots);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_expiry),
		cmocka_unit_test(test_instant_of_expiry),
		cmocka_unit_test(test_never),
		cmocka_unit_test(test_order_of_what_is_due),
		cmocka_unit_test(test_inactivity_moves),
		cmocka_unit_test(test_a_rejected_order_moves_nothing),
		cmocka_unit_test(test_pending),
		cmocka_unit_test(test_pending_lots_can_expire),
		cmocka_unit_test(test_a_refund_finds_a_lot_that_was_moved),
		cmocka_unit_test(test_a_refund_takes_its_own_lot_first),
		cmocka_unit_test(test_debt),
		cmocka_unit_test(test_forgive),
		cmocka_unit_test(test_forgive_takes_what_is_there),
		cmocka_unit_test(test_earliest_expiry_first),
		cmocka_unit_test(test_many_lots),
		cmocka_unit_test(test_room_of_spent_lots_is_used_again),
		cmocka_unit_test(test_moving_merges),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
