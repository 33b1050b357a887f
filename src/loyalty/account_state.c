/*
 * The state of an account as bytes, version 2. varint is LEB128, signed zigzag, both at their shortest; u64 is little-endian.
 *
 *     bytes      what
 *     1          version, 2
 *     u64        hash of the programme
 *     varint     events
 *     1          whether a day was reached, 0 or 1; at 0 (no event yet) this is all, else:
 *     signed     day: reached last
 *     varint     rejected
 *     varint     entries so far
 *     varint     orders; when not 0:
 *       varint     visits
 *       varint     gross spend
 *       varint     refunds
 *       signed     time of the first order
 *       varint     of the last, less that of the first
 *     of each ledger of the programme:
 *       varint     issued, reversed, redeemed, expired, debt: five of them
 *       varint     how many spendable lots; each:
 *         varint     day it expires, less that of the one before (the first: less the day reached)
 *         varint     remaining
 *       varint     how many pending lots; each:
 *         varint     day it expires, less that of the one before (the first: less the day reached)
 *         varint     day it is available from, less the day reached
 *         varint     remaining
 *     of a programme with tiers:
 *       varint     level
 *       varint     day of the review less the day reached; only when the level is not the base and reviews there are
 *     varint     how many days with an order lie in the windows; each:
 *       varint     the first: the day reached less it; the others: it less the one before
 *       varint     what it adds to the tiers' metric; only of a programme whose tiers do not count visits
 *       varint     net spend
 *
 * Valid when all is there, nothing follows, and the invariants of the fold hold: sums and counts are at most 10^18 - 1; the last
 * order is not behind the day reached (by UTC, a day behind at most); issued - reversed =
 * lots + redeemed + expired - debt; no debt beside lots; no empty lot; lots and days ascend, and lie behind the day reached, or in
 * the windows. So there is one encoding of a state, and it depends only on the events and the day. There is nothing to recover:
 * a state can be made again from the events.
 */
#include "loyalty/account_internal.h"

#include "base/bytes.h"

#define STATE_VERSION 2

/* Most bytes of what is not a list, and of one element of a list. */
#define HEAD_BYTES   (1 + 8 + 1 + 12 * VARINT_MAX_BYTES)
#define LEDGER_BYTES (7 * VARINT_MAX_BYTES)
#define TAIL_BYTES   (3 * VARINT_MAX_BYTES)
#define LOT_BYTES    (3 * VARINT_MAX_BYTES)
#define BUCKET_BYTES (3 * VARINT_MAX_BYTES)

#define US_PER_DAY   INT64_C(86400000000)

/* No rule makes a lot that lives longer, unless for ever. */
#define LOT_DAYS_MAX (PROGRAMME_MONTHS_MAX * 31 + 62)

static bool metric_is_stored(const struct programme *programme)
{
	return programme->tiers.n_levels && programme->tiers.metric != METRIC_VISITS;
}

static bool has_reviews(const struct programme *programme)
{
	return programme->tiers.valid_months != 0;
}

static uint64_t days_between(int32_t earlier, int32_t later)
{
	return (uint64_t)((int64_t)later - earlier);
}

/* --- writing -------------------------------------------------------------------------------------------------------------- */

static size_t bytes_at_most(const struct account *account)
{
	const unsigned n_ledgers = account->programme->n_ledgers;
	size_t n_lots = 0;
	for (unsigned i = 0; i < n_ledgers; i++)
		n_lots += account_lots(account, i);
	return HEAD_BYTES + n_ledgers * LEDGER_BYTES + n_lots * LOT_BYTES + TAIL_BYTES +
	       (account->days.end - days_first(&account->days)) * (size_t)BUCKET_BYTES;
}

static char *put_head(char *p, const struct account *account)
{
	p = put_signed(p, account->day);
	p = put_varint(p, (uint64_t)account->rejected);
	p = put_varint(p, (uint64_t)account->n_postings);
	p = put_varint(p, (uint64_t)account->orders_n);
	if (account->orders_n == 0)
		return p;
	p = put_varint(p, (uint64_t)account->visits);
	p = put_varint(p, (uint64_t)account->gross_minor);
	p = put_varint(p, (uint64_t)account->refunds_minor);
	p = put_signed(p, account->first_us);
	return put_varint(p, (uint64_t)account->last_us - (uint64_t)account->first_us);
}

static char *put_lots(char *p, const struct lot_list *list, int32_t day, bool pending)
{
	p = put_varint(p, list->n);
	int32_t before = day;
	for (uint32_t i = 0; i < list->n; i++) {
		const struct lot *const lot = lot_at(list, i);
		p = put_varint(p, days_between(before, lot->expires));
		if (pending)
			p = put_varint(p, days_between(day, lot->available));
		p = put_varint(p, (uint64_t)lot->remaining_milli);
		before = lot->expires;
	}
	return p;
}

static char *put_ledger(char *p, const struct ledger_state *ledger, int32_t day)
{
	p = put_varint(p, (uint64_t)ledger->issued_milli);
	p = put_varint(p, (uint64_t)ledger->reversed_milli);
	p = put_varint(p, (uint64_t)ledger->redeemed_milli);
	p = put_varint(p, (uint64_t)ledger->expired_milli);
	p = put_varint(p, (uint64_t)ledger->debt_milli);
	p = put_lots(p, &ledger->lots.spendable, day, false);
	return put_lots(p, &ledger->lots.pending, day, true);
}

static char *put_tier(char *p, const struct account *account)
{
	if (account->programme->tiers.n_levels == 0)
		return p;
	p = put_varint(p, account->tier.level);
	if (account->tier.level && has_reviews(account->programme))
		p = put_varint(p, days_between(account->day, account->tier.review_day));
	return p;
}

static char *put_days(char *p, const struct account *account)
{
	const struct day_list *const days = &account->days;
	const uint32_t first = days_first(days);
	const bool with_metric = metric_is_stored(account->programme);
	p = put_varint(p, days->end - first);
	for (uint32_t i = first; i < days->end; i++) {
		const struct day_bucket *const bucket = &days->items[i];
		p = put_varint(p, i == first ? days_between(bucket->day, account->day)
					     : days_between(days->items[i - 1].day, bucket->day));
		if (with_metric)
			p = put_varint(p, (uint64_t)bucket->metric);
		p = put_varint(p, (uint64_t)bucket->spend_minor);
	}
	return p;
}

int account_encode(const struct account *account, struct buf *out)
{
	if (buf_reserve(out, bytes_at_most(account)) < 0)
		return ERROR_NO_MEMORY;
	char *p = out->data + out->len;
	*p++ = STATE_VERSION;
	p = put_u64(p, account->programme->hash);
	p = put_varint(p, (uint64_t)account->events);
	*p++ = account->day != DAY_MIN;
	if (account->day != DAY_MIN) {
		p = put_head(p, account);
		for (unsigned i = 0; i < account->programme->n_ledgers; i++)
			p = put_ledger(p, &account->ledgers[i], account->day);
		p = put_tier(p, account);
		p = put_days(p, account);
	}
	out->len = (size_t)(p - out->data);
	return 0;
}

/* --- reading -------------------------------------------------------------------------------------------------------------- */

static void demand(struct reader *r, bool condition)
{
	r->bad |= !condition;
}

static void read_orders(struct reader *r, struct account *a)
{
	a->orders_n = read_up_to(r, a->events - a->rejected);
	if (a->orders_n == 0)
		return;
	a->visits = read_up_to(r, a->orders_n);
	demand(r, a->visits > 0);
	a->gross_minor = read_up_to(r, LIMIT_SUM);
	a->refunds_minor = read_up_to(r, a->gross_minor);
	a->first_us = read_signed(r);
	a->last_us = (int64_t)((uint64_t)a->first_us + read_varint(r));
	/* No clock is a day off UTC. */
	demand(r, a->last_us >= a->first_us && a->last_us < (a->day + INT64_C(2)) * US_PER_DAY);
}

static void read_head(struct reader *r, struct account *a)
{
	const int64_t day = read_signed(r);
	demand(r, day >= DAY_FIRST && day <= DAY_LAST);
	a->day = r->bad ? DAY_FIRST : (int32_t)day;
	a->rejected = read_up_to(r, a->events);
	a->n_postings = read_up_to(r, LIMIT_SUM);
	/* At least one an event; without events nothing falls due. */
	demand(r, a->events ? a->n_postings >= a->events : a->n_postings == 0);
	read_orders(r, a);
}

/* The day of a lot, `after` at least behind the one before. */
static int32_t read_expiry(struct reader *r, int32_t day, int32_t before, int64_t after)
{
	const uint64_t delta = read_varint(r);
	const int64_t expires = delta <= INT32_MAX * INT64_C(2) ? before + (int64_t)delta : INT64_MAX;
	demand(r, expires - before >= after && (expires == DAY_MAX || expires <= (int64_t)day + LOT_DAYS_MAX));
	return r->bad ? DAY_MAX : (int32_t)expires;
}

static int read_lots(struct reader *r, struct lots *lots, int32_t day, int32_t pending_days)
{
	uint64_t n = read_varint(r);
	int32_t before = day;
	for (; n && !r->bad; n--) {
		const int32_t expires = read_expiry(r, day, before, 1);
		const int64_t remaining = read_up_to(r, LIMIT_SUM - lots->total_milli);
		demand(r, remaining > 0);
		if (!r->bad && lots_add(lots, expires, DAY_MIN, remaining) < 0)
			return ERROR_NO_MEMORY;
		before = expires;
	}
	n = read_varint(r);
	before = day;
	int32_t available_before = 0;
	for (bool first = true; n && !r->bad; n--, first = false) {
		const int32_t expires = read_expiry(r, day, before, first);
		const int32_t available = (int32_t)read_up_to(r, pending_days);
		const int64_t remaining = read_up_to(r, LIMIT_SUM - lots->total_milli);
		demand(r, remaining > 0 && available > (expires == before && !first ? available_before : 0));
		if (!r->bad && lots_add(lots, expires, day + available, remaining) < 0)
			return ERROR_NO_MEMORY;
		before = expires;
		available_before = available;
	}
	return 0;
}

static int read_ledger(struct reader *r, struct ledger_state *ledger, const struct ledger_rules *rules, int32_t day)
{
	ledger->issued_milli = read_up_to(r, LIMIT_SUM);
	ledger->reversed_milli = read_up_to(r, LIMIT_SUM);
	ledger->redeemed_milli = read_up_to(r, LIMIT_SUM);
	ledger->expired_milli = read_up_to(r, LIMIT_SUM);
	ledger->debt_milli = read_up_to(r, rules->negative == NEGATIVE_DEBT ? 2 * LIMIT_SUM : 0);
	if (read_lots(r, &ledger->lots, day, rules->pending_days) < 0)
		return ERROR_NO_MEMORY;
	/* Each is below 2^61, so no sum wraps. */
	demand(r, ledger->issued_milli - ledger->reversed_milli == ledger->lots.total_milli + ledger->redeemed_milli +
									   ledger->expired_milli - ledger->debt_milli);
	demand(r, ledger->debt_milli == 0 || ledger->lots.total_milli == 0);
	return 0;
}

static void read_tier(struct reader *r, struct account *a)
{
	const struct tier_rules *const tiers = &a->programme->tiers;
	if (tiers->n_levels == 0)
		return;
	a->tier.level = (unsigned)read_up_to(r, (int64_t)tiers->n_levels - 1);
	if (a->tier.level == 0 || !has_reviews(a->programme))
		return;
	const int64_t delta = read_up_to(r, LOT_DAYS_MAX);
	demand(r, delta > 0);
	a->tier.review_day = a->day + (int32_t)delta;
}

static int read_bucket(struct reader *r, struct account *a, bool first, int64_t spend_room, int64_t metric_room)
{
	struct day_list *const days = &a->days;
	struct day_bucket bucket = {.day = a->day};
	if (first) {
		bucket.day -= (int32_t)read_up_to(r, a->day - (int64_t)DAY_FIRST);
	} else {
		const int32_t before = days->items[days->end - 1].day;
		const int64_t delta = read_up_to(r, (int64_t)a->day - before);
		demand(r, delta > 0);
		bucket.day = before + (int32_t)delta;
	}
	if (metric_is_stored(a->programme))
		bucket.metric = read_up_to(r, metric_room);
	else if (a->programme->tiers.n_levels)
		bucket.metric = 1;
	bucket.spend_minor = read_up_to(r, spend_room);
	return r->bad ? 0 : days_append(days, &bucket);
}

static int read_days(struct reader *r, struct account *a)
{
	struct day_list *const days = &a->days;
	const int64_t n = read_up_to(r, a->visits);
	for (int64_t i = 0; i < n && !r->bad; i++) {
		if (read_bucket(r, a, i == 0, a->gross_minor - a->refunds_minor - days->segment_spend_minor,
				LIMIT_SUM - days->tier_metric) < 0)
			return ERROR_NO_MEMORY;
		if (r->bad)
			break;
		days->segment_spend_minor += days->items[days->end - 1].spend_minor;
		days->tier_metric += days->items[days->end - 1].metric;
	}
	if (r->bad)
		return 0;
	/* What is out of both windows would have been forgotten. */
	days_reach(days, a->programme, a->day);
	demand(r, days_first(days) == 0);
	return 0;
}

static int read_state(struct reader *r, struct account *a)
{
	a->events = read_up_to(r, LIMIT_SUM);
	const unsigned has_day = reader_has(r, 1) ? *r->at++ : 0;
	demand(r, has_day <= 1 && (has_day || a->events == 0));
	if (r->bad || !has_day)
		return 0;
	read_head(r, a);
	for (unsigned i = 0; i < a->programme->n_ledgers && !r->bad; i++)
		if (read_ledger(r, &a->ledgers[i], &a->programme->ledgers[i], a->day) < 0)
			return ERROR_NO_MEMORY;
	if (!r->bad)
		read_tier(r, a);
	return r->bad ? 0 : read_days(r, a);
}

int account_decode(struct slice state, struct account *account, struct error *err)
{
	account_reset(account);
	struct reader r = reader_of(state);
	const unsigned version = reader_has(&r, 1) ? *r.at++ : 0;
	if (version != STATE_VERSION)
		return error_set(err, ERROR_CORRUPT,
				 "the state of an account has version %u; this punchcard reads version %d: make the "
				 "accounts again (punchcard rebuild)",
				 version, STATE_VERSION);
	const uint64_t hash = read_u64(&r);
	if (!r.bad && hash != account->programme->hash)
		return error_set(
			err, ERROR_CORRUPT,
			"the state of an account is of another programme (%016llx, now it is %016llx): make the "
			"accounts again (punchcard rebuild)",
			(unsigned long long)hash, (unsigned long long)account->programme->hash);
	if (read_state(&r, account) < 0) {
		account_reset(account);
		return error_no_memory(err, state.len);
	}
	if (r.bad || r.at != r.end) {
		account_reset(account);
		return error_set(err, ERROR_CORRUPT,
				 "the state of an account, %zu bytes, is damaged: make the accounts again (punchcard "
				 "rebuild)",
				 state.len);
	}
	account->next_due = account_due(account);
	return 0;
}
