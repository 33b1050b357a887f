/*
 * An account: what the programme owes and knows of one customer. The kernel's fold:
 *
 *     struct account account;
 *     account_init(&account);
 *     for (each event of the customer)
 *             if (account_apply(&account, programme, &event, &posting, err) < 0) …   // the account is as before
 *     account_encode(&account, &record);
 *     account_release(&account);
 *
 * Pure: no input or output, no clock, no randomness; the only memory it asks for is for the set of visited days, when that
 * outgrows DAYS_INLINE_WORDS. Everything it keeps now (counts, sums, first and last, the set of days) does not depend on the
 * order of the events, so any order of arrival of the same events gives the same record, byte for byte. The caller sees to it
 * that every event comes once.
 *
 * Not tied to a thread; one account belongs to one thread at a time.
 */
#ifndef PUNCHCARD_LOYALTY_ACCOUNT_H
#define PUNCHCARD_LOYALTY_ACCOUNT_H

#include "base/buf.h"
#include "base/error.h"
#include "loyalty/event.h"
#include "loyalty/programme.h"

#include <stdint.h>

#define DAYS_INLINE_WORDS 2u

/* A set of local days, one bit a day, in words of 64 days. */
struct day_set {
	int32_t first_word; /* day / 64 (floored) of the first word */
	uint32_t n_words;
	union {
		uint64_t inline_words[DAYS_INLINE_WORDS];
		uint64_t *heap_words; /* when n_words > DAYS_INLINE_WORDS; owned */
	};
};

struct account {
	int64_t orders;              /* how many */
	int64_t spend_minor;         /* sum of the lines' amounts */
	int64_t points_milli;        /* balance, thousandths of a point */
	int64_t points_earned_milli; /* ever earned */
	int64_t first_us;            /* time of the first order, UTC; 0 without orders */
	int64_t last_us;             /* … of the last */
	struct day_set days;         /* on which there was an order: the visits */
};

/* What one event did to the account. */
struct posting {
	int64_t points_milli; /* earned by it */
	int64_t eligible_minor;
};

void account_init(struct account *account);
void account_release(struct account *account);

/*
 * Takes one event. The event must be checked (limits.h); kinds other than EVENT_ORDER are ERROR_INPUT for now.
 * ERROR_OVERFLOW when a sum does not fit in 64 bits, ERROR_NO_MEMORY; in both cases the account is as it was.
 * `posting` may be NULL.
 */
int account_apply(struct account *account, const struct programme *programme, const struct event *event,
		  struct posting *posting, struct error *err);

/* What the rules count of an order: the sum of its lines' amounts. 0 or ERROR_OVERFLOW. */
int event_eligible(const struct event *event, int64_t *eligible_minor, struct error *err);

/*
 * The same for an order that is known by its total only (`eligible_minor`, all its lines together) and time: what a scan of
 * stored orders needs. account_apply calls it.
 */
int account_apply_order(struct account *account, const struct programme *programme, int64_t time_us,
			int64_t eligible_minor, struct posting *posting, struct error *err);

/* Visits: distinct local days with an order. */
int64_t account_visits(const struct account *account);

/* Appends the account's record (byte table in account.c). 0 or ERROR_NO_MEMORY. */
int account_encode(const struct account *account, struct buf *out);
/* Reads a record into an initialised, empty account. ERROR_CORRUPT for a damaged one or a version that is not known. */
int account_decode(struct slice record, struct account *account, struct error *err);

#endif
