/*
 * The record, version 1: sums of orders, without lots, ledgers or tiers.
 *
 *     bytes      what
 *     1          version, 1
 *     varint     orders
 *     signed     spend
 *     signed     points: balance
 *     signed     points earned
 *     signed     time of the first order
 *     varint     of the last, less that of the first
 *     signed     first word of days
 *     varint     how many words
 *     n × u64    days with an order: bit i of word w is day (first word + w) * 64 + i since 1970-01-01
 *
 * What it says is kept: the balance as one spendable lot that never expires. What it does not say (which events, on which day
 * how much) only the batch layer knows: so the record is marked.
 */
#include "loyalty/record_internal.h"

#include "base/bytes.h"

#define SECONDS_PER_DAY 86400
/* Words from the first to the last day that an event may have, a day more on each side for the time zone. */
#define DAYS_MAX_WORDS ((uint32_t)((LIMIT_TIME_MAX_S - LIMIT_TIME_MIN_S) / SECONDS_PER_DAY / 64 + 3))

static int64_t clamp_sum(int64_t value)
{
	if (value < 0)
		return 0;
	return value < LIMIT_SUM ? value : LIMIT_SUM;
}

/* How many days the set has. */
static int64_t read_visits(struct reader *r)
{
	const int64_t first_word = read_signed(r);
	const uint64_t n_words = read_varint(r);
	r->bad |= n_words > DAYS_MAX_WORDS || first_word < -2 || first_word > (int64_t)DAYS_MAX_WORDS;
	r->bad |= n_words == 0 && first_word != 0;
	int64_t visits = 0;
	for (uint64_t i = 0; i < n_words && !r->bad; i++) {
		const uint64_t word = read_u64(r);
		r->bad |= word == 0 && (i == 0 || i + 1 == n_words);
		visits += __builtin_popcountll(word);
	}
	return visits;
}

static int take_over(struct record *record, int64_t points_milli)
{
	struct account *const account = record->settled;
	struct ledger_state *const first = &account->ledgers[0];
	/* The kind that comes last in an instant, so that no order of it is taken again. */
	const struct fact last = {.time_us = account->last_us, .kind = EVENT_ADJUST};
	account->events = account->n_postings = account->orders_n;
	account->day = tz_local_day(record->programme->timezone, account->last_us);
	first->issued_milli = points_milli;
	if (points_milli && lots_add(&first->lots, DAY_MAX, DAY_MIN, points_milli) < 0)
		return ERROR_NO_MEMORY;
	record_set_last(record, &last);
	return 0;
}

int record_decode_v1(struct record *record, struct slice bytes, struct error *err)
{
	struct account *const account = record->settled;
	struct reader r = reader_of(bytes);
	const uint64_t orders = read_varint(&r);
	account->gross_minor = clamp_sum(read_signed(&r));
	const int64_t points_milli = clamp_sum(read_signed(&r));
	(void)read_signed(&r);
	account->first_us = read_signed(&r);
	account->last_us = (int64_t)((uint64_t)account->first_us + read_varint(&r));
	account->visits = read_visits(&r);
	account->orders_n = (int64_t)orders;
	const int64_t min_us = LIMIT_TIME_MIN_S * 1000000;
	const int64_t max_us = LIMIT_TIME_MAX_S * 1000000;
	r.bad |= r.at != r.end || orders > LIMIT_SUM || account->visits > account->orders_n;
	r.bad |= orders && (account->visits == 0 || account->first_us < min_us || account->last_us > max_us ||
			    account->last_us < account->first_us);
	if (r.bad)
		return error_set(err, ERROR_CORRUPT,
				 "the record of an account (version 1), %zu bytes, is damaged: make the accounts again "
				 "(punchcard rebuild)",
				 bytes.len + 1);
	record->marked = true;
	if (orders == 0) {
		account_reset(account);
		return 0;
	}
	return take_over(record, points_milli) < 0 ? error_no_memory(err, sizeof(struct lot)) : 0;
}
