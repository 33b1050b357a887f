/*
 * An account: the state of the fold over one customer's events. docs/programme.md is what it computes.
 *
 *     struct account *account = account_new(programme);
 *     for (each event of the customer, in the order of fact_compare)
 *             rc = account_apply(account, &fact, &postings);
 *     rc = account_advance(account, day, &postings);             // what falls due up to the start of `day`
 *     account_balance(account, ledger, &balance);
 *     account_reset(account);                                    // the next customer, in the same memory
 *     account_free(account);
 *
 * Pure: no input or output, no clock, no randomness. Memory is asked for when a list outgrows what the account ever had; in
 * the steady state, with account_reset between customers, for no event. Not tied to a thread; one account belongs to one
 * thread at a time.
 */
#ifndef PUNCHCARD_LOYALTY_ACCOUNT_H
#define PUNCHCARD_LOYALTY_ACCOUNT_H

#include "base/buf.h"
#include "base/error.h"
#include "loyalty/fact.h"
#include "loyalty/posting.h"

struct account;

/* An empty one; NULL when out of memory. `programme` (prepared) must outlive it. */
struct account *account_new(const struct programme *programme);
void account_free(struct account *account);
/* Empty again; the memory is kept. */
void account_reset(struct account *account);
/* Makes `to` (of the same programme) a copy. 0 or ERROR_NO_MEMORY, and then `to` is empty. */
int account_copy(struct account *to, const struct account *from);

/*
 * Takes the next event. It must be behind the last one in the order of fact_compare (asserted by time). Entries are appended
 * to `postings` (NULL: nobody wants them): first what fell due before, then the event's own, at least one. An event that cannot
 * be applied leaves one of kind reject. ERROR_NO_MEMORY: the account is no longer good for anything but account_reset or
 * account_free.
 */
int account_apply(struct account *account, const struct fact *fact, struct postings *postings);

/* Lets time pass to the start of a local day, that day's expiries and reviews included. A day that has passed already changes
 * nothing. Errors as account_apply. */
int account_advance(struct account *account, int32_t day, struct postings *postings);

/* What is known, as of the day that was reached last. */
struct account_totals {
	int64_t events; /* all kinds, rejected ones included */
	int64_t rejected;
	int64_t orders;
	int64_t visits;
	int64_t spend_minor; /* net of refunds */
	int64_t first_us;    /* of the first and last order; 0 without orders */
	int64_t last_us;
	int64_t postings;      /* how many entries so far: the next one's number less 1 */
	int32_t day;           /* reached last; DAY_MIN for an empty account */
	int64_t window_visits; /* over segment_months, up to `day` */
	int64_t window_spend_minor;
};
void account_totals(const struct account *account, struct account_totals *out);

struct account_balance {
	int64_t balance_milli; /* spendable lots less debt */
	int64_t pending_milli;
	int64_t debt_milli;
	int64_t issued_milli;
	int64_t reversed_milli;
	int64_t redeemed_milli;
	int64_t expired_milli;
	int32_t next_expiry_day; /* of the earliest lot; DAY_MAX: nothing expires */
};
void account_balance(const struct account *account, unsigned ledger, struct account_balance *out);
/* Days ahead of which people are told what expires. */
#define EXPIRING_DAYS 30
/* What of it expires (pending lots included) after the day that was reached and up to `day`, included. */
int64_t account_expiring(const struct account *account, unsigned ledger, int32_t day);

struct account_lot {
	int32_t expires;   /* DAY_MAX: never */
	int32_t available; /* DAY_MIN: spendable */
	int64_t remaining_milli;
};
/* The lots of a ledger, spendable ones first, each by expiry. How many there are; the i-th. */
unsigned account_lots(const struct account *account, unsigned ledger);
void account_lot(const struct account *account, unsigned ledger, unsigned i, struct account_lot *out);

struct account_tier {
	unsigned level;     /* 0 in a programme without tiers */
	int32_t review_day; /* DAY_MAX: none */
	int64_t metric;     /* as of the day that was reached */
	int64_t to_next; /* threshold of the next level less metric; 0 when that is reached, at the top and without tiers */
};
void account_tier(const struct account *account, struct account_tier *out);

/* Whether a redemption of so many points would be accepted now. */
bool account_can_redeem(const struct account *account, unsigned ledger, int64_t points_milli);

/* Appends the state as bytes (byte table in account_state.c), without the orders that refunds may come for: those can only be
 * refunded by a fold that has them. 0 or ERROR_NO_MEMORY. */
int account_encode(const struct account *account, struct buf *out);
/* Reads a state into an empty account of the same programme. ERROR_CORRUPT: damaged, of a version that is not known, or of
 * another programme. ERROR_NO_MEMORY. On error the account is empty. */
int account_decode(struct slice state, struct account *account, struct error *err);

#endif
