/*
 * One customer's story, told event by event; what it leaves in the ledger is compared as text, a line an entry:
 *
 *     2024-01-31 earn 1000 2024-02-29 =1000         day, kind, points, day its lot expires, balance behind it
 *     2024-01-31 earn 0 - =1000                     no lot
 *     2024-01-31 earn/1 500 never =500              in the second ledger
 *     2024-01-31 tier 0>2
 *     2024-01-31 reject over_refund
 */
#ifndef PUNCHCARD_TESTS_STORY_H
#define PUNCHCARD_TESTS_STORY_H

#include "loyalty/account.h"
#include "make_programme.h"

#include <stdio.h>

#define HOUR_US INT64_C(3600000000)
#define DAY_US  (24 * HOUR_US)

struct story {
	struct programme *p;
	struct account *account;
	struct postings postings;
	size_t seen; /* entries that were compared */
};

/* A point for every 1.00, in the first ledger: 250 minor units earn 2500. */
static inline struct story begin(const char *zone)
{
	struct story s = {.p = make_programme(zone)};
	add_rule(s.p, "base", RULE_PER_AMOUNT, 1000, 100);
	return s;
}

static inline void start(struct story *s)
{
	make_ready(s->p);
	s->account = account_new(s->p);
	assert_non_null(s->account);
}

/* At every moment of every story. */
static inline void audit(const struct programme *p, const struct account *account)
{
	for (unsigned i = 0; i < p->n_ledgers; i++) {
		struct account_balance b;
		account_balance(account, i, &b);
		int64_t lots = 0;
		const unsigned n = account_lots(account, i);
		for (unsigned at = 0; at < n; at++) {
			struct account_lot lot;
			account_lot(account, i, at, &lot);
			assert_true(lot.remaining_milli > 0);
			lots += lot.remaining_milli;
		}
		assert_true(b.debt_milli >= 0 && (b.debt_milli == 0 || lots == 0));
		assert_int_equal(b.balance_milli + b.pending_milli, lots - b.debt_milli);
		assert_int_equal(b.issued_milli - b.reversed_milli,
				 lots + b.redeemed_milli + b.expired_milli - b.debt_milli);
	}
}

static inline void finish(struct story *s)
{
	assert_int_equal(s->seen, s->postings.n);
	account_free(s->account);
	postings_release(&s->postings);
	programme_free(s->p);
}

/* "2024-01-31" or "2024-01-31 12:30", local; UTC microseconds. */
static inline int64_t time_of(const struct programme *p, const char *when)
{
	int32_t day = 0;
	assert_int_equal(civil_parse(when, 10, &day), 0);
	int64_t local_s = (int64_t)day * 86400;
	if (when[10])
		local_s +=
			((when[11] - '0') * 10 + when[12] - '0') * 3600 + ((when[14] - '0') * 10 + when[15] - '0') * 60;
	return tz_utc_of_local_s(p->timezone, local_s) * 1000000;
}

static inline struct fact make_fact(const struct programme *p, enum event_kind kind, const char *id, int64_t time_us)
{
	return (struct fact){
		.kind = kind, .id = slice_of(id), .time_us = time_us, .day = tz_local_day(p->timezone, time_us)};
}

static inline void apply_fact(struct story *s, const struct fact *fact)
{
	const size_t before = s->postings.n;
	assert_int_equal(account_apply(s->account, fact, &s->postings), 0);
	assert_true(s->postings.n > before);
	audit(s->p, s->account);
}

static inline void buy(struct story *s, const char *id, const char *when, int64_t minor)
{
	struct fact fact = make_fact(s->p, EVENT_ORDER, id, time_of(s->p, when));
	fact.total_minor = fact.eligible_minor = minor;
	apply_fact(s, &fact);
}

static inline void bring_back(struct story *s, const char *id, const char *when, const char *order, int64_t minor)
{
	struct fact fact = make_fact(s->p, EVENT_REFUND, id, time_of(s->p, when));
	fact.total_minor = fact.eligible_minor = minor;
	fact.order_hash = fact_id_hash(slice_of(order));
	apply_fact(s, &fact);
}

static inline void redeem(struct story *s, const char *id, const char *when, int64_t points_milli)
{
	struct fact fact = make_fact(s->p, EVENT_REDEEM, id, time_of(s->p, when));
	fact.points_milli = points_milli;
	apply_fact(s, &fact);
}

static inline void adjust(struct story *s, const char *id, const char *when, int64_t points_milli)
{
	struct fact fact = make_fact(s->p, EVENT_ADJUST, id, time_of(s->p, when));
	fact.points_milli = points_milli;
	apply_fact(s, &fact);
}

static inline void wait_until(struct story *s, const char *date)
{
	assert_int_equal(account_advance(s->account, day_of(date), &s->postings), 0);
	audit(s->p, s->account);
}

static inline const char *lot_text(int32_t lot, char out[11])
{
	if (lot == LOT_NONE)
		return "-";
	if (lot == DAY_MAX)
		return "never";
	civil_format(lot, out);
	return out;
}

static inline void write_posting(struct buf *out, const struct posting *posting)
{
	char day[11];
	char lot[11];
	civil_format(posting->day, day);
	int rc = buf_printf(out, "%s %s", day, posting_kind_name(posting->kind));
	if (posting->ledger)
		rc |= buf_printf(out, "/%u", posting->ledger);
	if (posting->kind == POSTING_TIER)
		rc |= buf_printf(out, " %u>%u\n", posting->tier, posting->tier_after);
	else if (posting->kind == POSTING_REJECT)
		rc |= buf_printf(out, " %s\n", reject_reason_name(posting->reject));
	else
		rc |= buf_printf(out, " %lld %s =%lld\n", (long long)posting->points_milli, lot_text(posting->lot, lot),
				 (long long)posting->balance_milli);
	assert_int_equal(rc, 0);
}

/* The entries since the last time. */
static inline void expect(struct story *s, const char *text)
{
	_cleanup_buf_ struct buf found = {0};
	for (; s->seen < s->postings.n; s->seen++) {
		const struct posting *const posting = &s->postings.items[s->seen];
		assert_int_equal(posting->number, s->seen + 1);
		write_posting(&found, posting);
	}
	assert_string_equal(buf_text(&found), text);
}

static inline int64_t balance_of(const struct story *s, unsigned ledger)
{
	struct account_balance balance;
	account_balance(s->account, ledger, &balance);
	return balance.balance_milli;
}

#endif
