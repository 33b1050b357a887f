/*
 * The record, version 1. All varints are LEB128, signed ones zigzag; u64 is little-endian.
 *
 *     bytes      what
 *     1          version, 1
 *     varint     orders
 *     signed     spend_minor
 *     signed     points_milli
 *     signed     points_earned_milli
 *     signed     first_us
 *     varint     last_us - first_us
 *     signed     days.first_word
 *     varint     days.n_words
 *     n × u64    days: bit i of word w is day (first_word + w) * 64 + i since 1970-01-01
 *
 * Valid when nothing is missing, nothing follows, n_words is at most DAYS_MAX_WORDS, and neither the first nor the last word
 * is zero. There is nothing to recover: the record is a fold of the events, and can be made again from them.
 */
#include "loyalty/account.h"

#include "base/bytes.h"
#include "base/limits.h"

#include <assert.h>
#include <stdlib.h>

#define RECORD_VERSION  1
#define SECONDS_PER_DAY 86400
/* Words from the first to the last day that an event may have, a day more on each side for the time zone. */
#define DAYS_MAX_WORDS ((uint32_t)((LIMIT_TIME_MAX_S - LIMIT_TIME_MIN_S) / SECONDS_PER_DAY / 64 + 3))

static_assert(sizeof(struct account) == 72, "a million accounts must fit in the memory the batch layer plans for");

static uint64_t *day_words(struct day_set *days)
{
	return days->n_words > DAYS_INLINE_WORDS ? days->heap_words : days->inline_words;
}

static const uint64_t *day_words_const(const struct day_set *days)
{
	return days->n_words > DAYS_INLINE_WORDS ? days->heap_words : days->inline_words;
}

/* Makes the set reach over the words first to last; the set of days stays the same. */
static int day_set_reach(struct day_set *days, int32_t first, int32_t last)
{
	if (days->n_words) {
		const int32_t old_last = days->first_word + (int32_t)days->n_words - 1;
		if (first >= days->first_word && last <= old_last)
			return 0;
		first = first < days->first_word ? first : days->first_word;
		last = last > old_last ? last : old_last;
	}
	const uint32_t n_words = (uint32_t)(last - first) + 1;
	const size_t shift = days->n_words ? (size_t)(days->first_word - first) : 0;
	const uint64_t *const old = day_words_const(days);
	if (n_words <= DAYS_INLINE_WORDS) {
		uint64_t words[DAYS_INLINE_WORDS] = {0};
		for (uint32_t i = 0; i < days->n_words; i++)
			words[shift + i] = old[i];
		memcpy(days->inline_words, words, sizeof(words));
	} else {
		uint64_t *const words = calloc(n_words, sizeof(*words));
		if (!words)
			return ERROR_NO_MEMORY;
		for (uint32_t i = 0; i < days->n_words; i++)
			words[shift + i] = old[i];
		if (days->n_words > DAYS_INLINE_WORDS)
			free(days->heap_words);
		days->heap_words = words;
	}
	days->first_word = first;
	days->n_words = n_words;
	return 0;
}

/* Right shift of a negative number keeps its sign with GCC and Clang, so this floors. */
static int32_t word_of_day(int32_t day)
{
	return day >> 6;
}

static int day_set_add(struct day_set *days, int32_t day)
{
	const int32_t word = word_of_day(day);
	const int rc = day_set_reach(days, word, word);
	if (rc < 0)
		return rc;
	day_words(days)[word - days->first_word] |= UINT64_C(1) << (day & 63);
	return 0;
}

void account_init(struct account *account)
{
	*account = (struct account){0};
}

void account_release(struct account *account)
{
	if (account && account->days.n_words > DAYS_INLINE_WORDS)
		free(account->days.heap_words);
	if (account)
		account_init(account);
}

/* floor(eligible · points / per), exact. */
static int earn(const struct programme *programme, int64_t eligible_minor, int64_t *points_milli)
{
	const struct earn_per_amount *const rule = &programme->earn;
	const __int128 product = (__int128)eligible_minor * rule->points_milli;
	__int128 points = product / rule->per_minor;
	if (product % rule->per_minor < 0)
		points--;
	if (points > INT64_MAX || points < INT64_MIN)
		return ERROR_OVERFLOW;
	*points_milli = (int64_t)points;
	return 0;
}

int account_apply_order(struct account *account, const struct programme *programme, int64_t time_us,
			int64_t eligible_minor, struct posting *posting, struct error *err)
{
	assert(programme->earn.per_minor > 0);
	int64_t earned;
	int64_t spend;
	int64_t balance;
	int64_t total;
	if (earn(programme, eligible_minor, &earned) < 0 ||
	    __builtin_add_overflow(account->spend_minor, eligible_minor, &spend) ||
	    __builtin_add_overflow(account->points_milli, earned, &balance) ||
	    __builtin_add_overflow(account->points_earned_milli, earned, &total))
		return error_set(err, ERROR_OVERFLOW,
				 "an order of %lld minor units does not fit into the account's sums",
				 (long long)eligible_minor);
	if (day_set_add(&account->days, tz_local_day(programme->timezone, time_us)) < 0)
		return error_no_memory(err, DAYS_MAX_WORDS * sizeof(uint64_t));
	if (account->orders == 0 || time_us < account->first_us)
		account->first_us = time_us;
	if (account->orders == 0 || time_us > account->last_us)
		account->last_us = time_us;
	account->orders++;
	account->spend_minor = spend;
	account->points_milli = balance;
	account->points_earned_milli = total;
	if (posting)
		*posting = (struct posting){.points_milli = earned, .eligible_minor = eligible_minor};
	return 0;
}

int event_eligible(const struct event *event, int64_t *eligible_minor, struct error *err)
{
	int64_t sum = 0;
	for (uint32_t i = 0; i < event->n_lines; i++)
		if (__builtin_add_overflow(sum, event->lines[i].amount_minor, &sum))
			return error_set(err, ERROR_OVERFLOW, "the amounts of event %.*s do not fit into 64 bits",
					 (int)event->id.len, event->id.data);
	*eligible_minor = sum;
	return 0;
}

int account_apply(struct account *account, const struct programme *programme, const struct event *event,
		  struct posting *posting, struct error *err)
{
	if (event->kind != EVENT_ORDER)
		return error_set(err, ERROR_INPUT, "event %.*s is of kind %d; only orders are known",
				 (int)event->id.len, event->id.data, (int)event->kind);
	int64_t eligible = 0;
	const int rc = event_eligible(event, &eligible, err);
	if (rc < 0)
		return rc;
	return account_apply_order(account, programme, event->time_us, eligible, posting, err);
}

int64_t account_visits(const struct account *account)
{
	const uint64_t *const words = day_words_const(&account->days);
	int64_t visits = 0;
	for (uint32_t i = 0; i < account->days.n_words; i++)
		visits += __builtin_popcountll(words[i]);
	return visits;
}

int account_encode(const struct account *account, struct buf *out)
{
	const uint32_t n_words = account->days.n_words;
	if (buf_reserve(out, 1 + 8 * (size_t)VARINT_MAX_BYTES + 8 * (size_t)n_words) < 0)
		return ERROR_NO_MEMORY;
	char *p = out->data + out->len;
	*p++ = RECORD_VERSION;
	p = put_varint(p, (uint64_t)account->orders);
	p = put_signed(p, account->spend_minor);
	p = put_signed(p, account->points_milli);
	p = put_signed(p, account->points_earned_milli);
	p = put_signed(p, account->first_us);
	p = put_varint(p, (uint64_t)account->last_us - (uint64_t)account->first_us);
	p = put_signed(p, account->days.first_word);
	p = put_varint(p, n_words);
	const uint64_t *const words = day_words_const(&account->days);
	for (uint32_t i = 0; i < n_words; i++)
		p = put_u64(p, words[i]);
	out->len = (size_t)(p - out->data);
	return 0;
}

static int read_days(struct reader *r, struct day_set *days)
{
	const int64_t first_word = read_signed(r);
	const uint64_t n_words = read_varint(r);
	if (r->bad || n_words > DAYS_MAX_WORDS || first_word < -2 || first_word > (int64_t)DAYS_MAX_WORDS)
		return ERROR_CORRUPT;
	if (n_words == 0)
		return first_word == 0 ? 0 : ERROR_CORRUPT;
	if (day_set_reach(days, (int32_t)first_word, (int32_t)first_word + (int32_t)n_words - 1) < 0)
		return ERROR_NO_MEMORY;
	uint64_t *const words = day_words(days);
	for (uint32_t i = 0; i < n_words; i++)
		words[i] = read_u64(r);
	return !r->bad && words[0] && words[n_words - 1] ? 0 : ERROR_CORRUPT;
}

int account_decode(struct slice record, struct account *account, struct error *err)
{
	struct reader r = reader_of(record);
	const unsigned version = reader_has(&r, 1) ? *r.at++ : 0;
	if (version != RECORD_VERSION)
		return error_set(err, ERROR_CORRUPT,
				 "an account's record has version %u; this punchcard reads version %d", version,
				 RECORD_VERSION);
	struct account a;
	account_init(&a);
	const uint64_t orders = read_varint(&r);
	a.orders = (int64_t)orders;
	a.spend_minor = read_signed(&r);
	a.points_milli = read_signed(&r);
	a.points_earned_milli = read_signed(&r);
	a.first_us = read_signed(&r);
	a.last_us = (int64_t)((uint64_t)a.first_us + read_varint(&r));
	const int rc = read_days(&r, &a.days);
	if (rc == ERROR_NO_MEMORY) {
		account_release(&a);
		return error_no_memory(err, DAYS_MAX_WORDS * sizeof(uint64_t));
	}
	if (rc < 0 || r.bad || r.at != r.end || orders > INT64_MAX) {
		account_release(&a);
		return error_set(err, ERROR_CORRUPT, "an account's record of %zu bytes is damaged", record.len);
	}
	*account = a;
	return 0;
}
