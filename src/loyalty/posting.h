/*
 * Postings: the entries that the fold leaves in the ledger, in order. The rows of the table `ledger`.
 */
#ifndef PUNCHCARD_LOYALTY_POSTING_H
#define PUNCHCARD_LOYALTY_POSTING_H

#include "loyalty/fact.h"

#include <stddef.h>

/* Stored: never renumber. */
enum posting_kind {
	POSTING_EARN = 0,
	POSTING_REVERSE = 1,
	POSTING_REDEEM = 2,
	POSTING_EXPIRE = 3,
	POSTING_ADJUST = 4,
	POSTING_TIER = 5,
	POSTING_REJECT = 6,
};
#define POSTING_KIND_MAX 6

/* "earn" and so on; NULL for a number that is none. */
const char *posting_kind_name(unsigned kind);

/* The lot of an entry that is of none: debt, tier, reject, or nothing was touched. */
#define LOT_NONE INT32_MIN

struct posting {
	int64_t time_us; /* the event's; of expiry and review the start of the day */
	/* The event's id; empty for expiry and review. Borrowed from the fact. */
	struct slice event_id;
	enum posting_kind kind;
	uint8_t ledger;
	int64_t number;        /* 1, 2, … in the account's history */
	int64_t points_milli;  /* with its sign */
	int64_t balance_milli; /* of the ledger behind it: all lots less debt */
	int32_t day;           /* local day of time_us */
	int32_t lot;           /* day on which the lot expires; DAY_MAX: never; LOT_NONE */
	uint64_t rules;        /* earn: bit i: rules[i] gave to this ledger */
	uint64_t promotions;   /* earn: bit i: promotions[i] multiplied it */
	uint8_t tier;          /* level before; of kind tier: the old one … */
	uint8_t tier_after;    /* … and the new one (else equal) */
	enum reject_reason reject;
};

/* A growing list; all zero is an empty one. */
struct postings {
	struct posting *items;
	size_t n;
	size_t cap;
};

/* Room for one more, not filled in; NULL when out of memory. */
struct posting *postings_add(struct postings *postings);
void postings_clear(struct postings *postings);
void postings_release(struct postings *postings);

#endif
