/* For fuzz_account.c and fuzz_record.c: programmes, facts out of bytes, and what holds of any account. */
#ifndef PUNCHCARD_TESTS_KERNEL_INPUT_H
#define PUNCHCARD_TESTS_KERNEL_INPUT_H

#include "base/bytes.h"
#include "config/schema_internal.h"
#include "loyalty/record.h"

#include <stdlib.h>
#include <string.h>

#define N_PROGRAMMES   4u
#define BYTES_PER_FACT 8u
#define FACTS_MAX      24u
#define KERNEL_DAY_US  INT64_C(86400000000)
/* Behind it no day is looked at: an account's calendar ends with the year 9999. */
#define LATEST_DAY 2900000

static inline void require(bool condition)
{
	if (!condition)
		abort();
}

/* One after the other has less in it; each is made once. */
static inline const struct programme *kernel_programme(unsigned i)
{
	static const char *const TEXTS[N_PROGRAMMES] = {
		"version: 1\nname: A\ncurrency: USD\ntimezone: America/New_York\n"
		"ledgers:\n"
		"  - {name: points, expiry: {months: 2}, pending_days: 3}\n"
		"  - {name: stamps, decimals: 0, expiry: {inactivity: 1}, negative: forgive}\n"
		"earn:\n"
		"  - per_amount: {points: 1, per: 1.00}\n"
		"  - {ledger: stamps, per_visit: {points: 1}}\n"
		"tiers:\n  metric: spend\n  window: {rolling_months: 2}\n  valid_months: 1\n"
		"  levels:\n    - {name: base, threshold: 0}\n    - {name: gold, threshold: 5.00, multiplier: 2}\n",
		"version: 1\nname: B\ncurrency: EUR\ntimezone: Europe/Berlin\n"
		"ledgers:\n  - {name: points, expiry: {days: 30}, pending_days: 10}\n"
		"earn:\n  - per_step: {points: 1, step: 2.00}\n"
		"tiers:\n  metric: visits\n  window: {calendar_year: true}\n"
		"  levels:\n    - {name: base, threshold: 0}\n    - {name: gold, threshold: 2}\n",
		"version: 1\nname: C\ncurrency: THB\ntimezone: Asia/Bangkok\n"
		"ledgers:\n  - {name: points, expiry: {months_after_month: 1}}\n"
		"earn:\n  - per_amount: {points: 1, per: 1.00}\n",
		"version: 1\nname: D\ncurrency: USD\ntimezone: UTC\n"
		"ledgers:\n  - {name: points}\n"
		"earn:\n  - per_amount: {points: 1, per: 1.00}\n",
	};
	static struct programme *programmes[N_PROGRAMMES];
	struct programme **const programme = &programmes[i % N_PROGRAMMES];
	const char *const text = TEXTS[i % N_PROGRAMMES];
	struct error err = {0};
	if (!*programme && programme_parse("p.yaml", text, strlen(text), NULL, NULL, programme, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		abort();
	}
	/* So that much is settled. */
	(*programme)->open_max = 2 + 4 * (i % N_PROGRAMMES);
	return *programme;
}

static inline int compare_facts(const void *a, const void *b)
{
	return fact_compare(a, b);
}

/* Facts of a history, in order, each once; returns how many. Takes *at bytes. `ids`: of one letter. */
static inline size_t kernel_facts(const struct programme *p, const uint8_t *data, size_t size, size_t *at,
				  struct fact facts[FACTS_MAX])
{
	static const char ids[] = "abcdefgh";
	size_t n = 0;
	for (size_t wanted = *at < size ? data[(*at)++] % (FACTS_MAX + 1) : 0;
	     n < wanted && *at + BYTES_PER_FACT <= size; *at += BYTES_PER_FACT, n++) {
		const uint8_t *const b = data + *at;
		const int64_t time_us = (15000 + b[0]) * KERNEL_DAY_US + (b[1] % 8) * (KERNEL_DAY_US / 8) + (b[1] >> 3);
		const int64_t minor = b[4] << 8 | b[5];
		facts[n] = (struct fact){
			.kind = (enum event_kind)(b[2] & 3),
			.reject = b[2] >> 5 == 7 ? REJECT_OVERFLOW : REJECT_NONE,
			.id = {ids + (b[3] & 7), 1},
			.source_hash = b[3] >> 3 & 1,
			.order_hash = fact_id_hash((struct slice){ids + (b[6] & 7), 1}),
			.time_us = time_us,
			.day = tz_local_day(p->timezone, time_us),
			.declined = (b[2] & 3) == EVENT_REDEEM && b[2] & 4,
		};
		if (facts[n].kind != EVENT_REFUND)
			facts[n].order_hash = 0;
		if (facts[n].kind <= EVENT_REFUND) {
			facts[n].total_minor = minor;
			facts[n].eligible_minor = b[7] & 1 ? minor : minor / 2;
		} else {
			facts[n].points_milli = facts[n].kind == EVENT_ADJUST && b[7] & 1 ? -minor : minor;
			facts[n].ledger = (uint8_t)((b[7] >> 1) % p->n_ledgers);
		}
	}
	qsort(facts, n, sizeof(*facts), compare_facts);
	size_t kept = 0;
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || fact_compare(&facts[kept - 1], &facts[i]) != 0)
			facts[kept++] = facts[i];
	return kept;
}

/* The rest of an input flips bits: a place and a mask, each two and one byte. */
static inline void flip_bits(struct buf *bytes, const uint8_t *data, size_t size, size_t at)
{
	for (; at + 2 < size; at += 3) {
		char *const place = &bytes->data[(size_t)(data[at] << 8 | data[at + 1]) % bytes->len];
		*place = (char)(*place ^ data[at + 2]);
	}
}

static inline void check_account(const struct programme *p, const struct account *account)
{
	struct account_totals t;
	struct account_tier tier;
	account_totals(account, &t);
	account_tier(account, &tier);
	require(t.events >= t.rejected && t.orders >= t.visits && t.visits >= t.window_visits && t.spend_minor >= 0);
	require(tier.level == 0 || tier.level < p->tiers.n_levels);
	for (unsigned i = 0; i < p->n_ledgers; i++) {
		struct account_balance b;
		int64_t lots = 0;
		account_balance(account, i, &b);
		for (unsigned at = account_lots(account, i); at-- > 0;) {
			struct account_lot lot;
			account_lot(account, i, at, &lot);
			require(lot.remaining_milli > 0 && lot.expires > t.day);
			lots += lot.remaining_milli;
		}
		require(b.debt_milli >= 0 && (b.debt_milli == 0 || lots == 0));
		require(b.balance_milli + b.pending_milli == lots - b.debt_milli);
		require(b.issued_milli - b.reversed_milli == lots + b.redeemed_milli + b.expired_milli - b.debt_milli);
		require(account_expiring(account, i, DAY_MAX - 1) <= lots);
	}
}

/* An account that can be used goes on: an order, its refund, points spent, and two years. */
static inline void use_account(const struct programme *p, struct account *account, int64_t after_us)
{
	struct account_totals t;
	account_totals(account, &t);
	/* Behind that day, whatever the zone. */
	int64_t time_us = t.day == DAY_MIN ? 0 : ((int64_t)t.day + 2) * KERNEL_DAY_US;
	time_us = after_us > time_us ? after_us + 1 : time_us;
	if (time_us / KERNEL_DAY_US > LATEST_DAY)
		return;
	struct fact fact = {.kind = EVENT_ORDER, .id = SLICE("order"), .time_us = time_us};
	fact.day = tz_local_day(p->timezone, time_us);
	fact.total_minor = fact.eligible_minor = 1000;
	require(account_apply(account, &fact, NULL) == 0);
	check_account(p, account);
	fact.kind = EVENT_REFUND;
	fact.order_hash = fact_id_hash(fact.id);
	fact.total_minor = fact.eligible_minor = 400;
	require(account_apply(account, &fact, NULL) == 0);
	check_account(p, account);
	fact.kind = EVENT_REDEEM;
	fact.points_milli = 100;
	require(account_apply(account, &fact, NULL) == 0);
	check_account(p, account);
	require(account_advance(account, fact.day + 730, NULL) == 0);
	check_account(p, account);
}

#endif
