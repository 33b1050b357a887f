/*
 * Inside of an account: its parts, each with the functions that change it. Inside of src/loyalty.
 */
#ifndef PUNCHCARD_LOYALTY_ACCOUNT_INTERNAL_H
#define PUNCHCARD_LOYALTY_ACCOUNT_INTERNAL_H

#include "base/limits.h"
#include "loyalty/account.h"
#include "loyalty/earn.h"
#include "loyalty/lots.h"
#include "loyalty/programme_internal.h"

/* Days of the years 1 and 9999, of which all that is reached is. */
#define DAY_FIRST (-719162)
#define DAY_LAST  2932896

/* --- days: what tiers and segments count, by day -------------------------------------------------------------------------- */

/* A day with an order. */
struct day_bucket {
	int32_t day;
	int64_t metric;      /* of the tiers; 1 when they count visits, 0 without tiers */
	int64_t spend_minor; /* net */
};
static_assert(sizeof(struct day_bucket) == 24, "an account holds a bucket a day");

/* Buckets ascend by day. Those of the tiers' window are items[tier_at] to items[end - 1], of the segments' window
 * items[segment_at] to items[end - 1]; the sums are over these. What is before both is forgotten. Without tiers, tier_at is
 * segment_at. */
struct day_list {
	struct day_bucket *items;
	uint32_t tier_at;
	uint32_t segment_at;
	uint32_t end;
	uint32_t cap;
	int32_t moves_on; /* no bucket leaves a window before that day */
	int64_t tier_metric;
	int64_t segment_spend_minor;
	/* Of WINDOW_CALENDAR_YEAR: the year that holds the day reached. */
	int32_t year_first;
	int32_t year_last;
};

/* The first bucket that is kept. */
static inline uint32_t days_first(const struct day_list *days)
{
	return days->tier_at < days->segment_at ? days->tier_at : days->segment_at;
}

void days_clear(struct day_list *days);
/* 0 or ERROR_NO_MEMORY. */
int days_copy(struct day_list *to, const struct day_list *from);
void days_move(struct day_list *days, const struct programme *programme, int32_t day);
/* Moves both windows on to the one that ends with `day`. */
static inline void days_reach(struct day_list *days, const struct programme *programme, int32_t day)
{
	if (day >= days->moves_on)
		days_move(days, programme, day);
}
/* Counts an order of `day`, the day that was reached; *first_of_day: there was none on it so far. `metric`: what it adds, unless
 * visits are counted. ERROR_NO_MEMORY. */
int days_add_order(struct day_list *days, const struct programme *programme, int32_t day, int64_t metric,
		   int64_t spend_minor, bool *first_of_day);
/* Takes a refund off the day of its order, as far as that is in the windows. */
void days_refund(struct day_list *days, int32_t day, int64_t metric, int64_t spend_minor);
/* Appends a bucket behind the last (decoding); the sums are the caller's. ERROR_NO_MEMORY. */
int days_append(struct day_list *days, const struct day_bucket *bucket);
/* The first day of the tiers' window that ends with `day`. */
int32_t tier_window_first(const struct tier_rules *tiers, int32_t day);

/* --- orders: what refunds may come for ------------------------------------------------------------------------------------ */

struct order {
	uint64_t id_hash;
	int64_t total_minor;
	int64_t eligible_minor;
	struct refunded refunded;
	int32_t day;
	bool rejected; /* it earned nothing, and cannot be refunded */
};
static_assert(sizeof(struct order) == 48, "one is written an order");

/* In the order of events. Only when a refund comes, an index by id is made of them: most accounts never need it. */
struct order_list {
	struct order *items;
	int64_t *points_milli; /* P: of order i, points_milli[i * n_ledgers + ledger] */
	uint32_t n;
	uint32_t cap;
	uint32_t *slots;    /* position + 1 of an order, by hash of its id; 0: free */
	uint32_t n_slots;   /* in use: a power of two, or 0 when there is no index yet */
	uint32_t slots_cap; /* how many there is memory for */
	uint32_t indexed;   /* how many orders are in the index */
};

void orders_clear(struct order_list *orders);
void orders_release(struct order_list *orders);
int orders_copy(struct order_list *to, const struct order_list *from, unsigned n_ledgers);
/* Room for one more. ERROR_NO_MEMORY. */
int orders_grow(struct order_list *orders, unsigned n_ledgers);
/* One more, to be filled in where it is: a copy just behind the writing would wait for it. points_milli: of each ledger. NULL when
 * out of memory. */
static inline struct order *orders_add(struct order_list *orders, const int64_t *points_milli, unsigned n_ledgers)
{
	if (orders->n == orders->cap && orders_grow(orders, n_ledgers) < 0)
		return NULL;
	int64_t *const points = orders->points_milli + (size_t)orders->n * n_ledgers;
	for (unsigned i = 0; i < n_ledgers; i++)
		points[i] = points_milli[i];
	return &orders->items[orders->n++];
}
/* *position of the last order with that id, or -1. ERROR_NO_MEMORY. */
int orders_find(struct order_list *orders, uint64_t id_hash, int64_t *position);

/* --- the account ---------------------------------------------------------------------------------------------------------- */

struct ledger_state {
	int64_t issued_milli;
	int64_t reversed_milli;
	int64_t redeemed_milli;
	int64_t expired_milli;
	int64_t debt_milli; /* > 0: then there are no lots */
	struct lots lots;
};

struct tier_state {
	unsigned level;
	int32_t review_day; /* DAY_MAX: none */
	/* The last confirmation, above the base. Orders before confirmed_orders (a position in the list of orders) are not later
	 * than it; a fold that does not have them can get no refund of them, so none of this is encoded. */
	int64_t margin;
	int32_t confirmed_day;
	uint32_t confirmed_orders;
};

struct account {
	const struct programme *programme;
	int32_t day;
	int32_t next_due; /* nothing falls due before it */
	int64_t time_us;  /* of the last event that was applied here; INT64_MIN: none */
	int64_t events;
	int64_t rejected;
	int64_t orders_n;
	int64_t visits;
	int64_t gross_minor;
	int64_t refunds_minor;
	int64_t first_us;
	int64_t last_us;
	int32_t last_order_day; /* of the orders in the list; DAY_MIN: there is none */
	int64_t n_postings;
	struct tier_state tier;
	struct day_list days;
	struct order_list orders;
	struct ledger_state ledgers[PROGRAMME_LEDGERS_MAX];
};

/* Where entries go, and what they have in common: those of one event, or of one day's start. */
struct entry_context {
	struct postings *postings; /* or NULL */
	int64_t time_us;
	struct slice event_id;
	int32_t day;
};

/* Fills in the next entry of the list: account_post for when there is one. */
int account_fill_posting(struct account *account, const struct entry_context *context, enum posting_kind kind,
			 unsigned ledger, int64_t points_milli, int32_t lot, struct posting **posting);
/* Leaves an entry; *posting is it, to add to, or NULL when nobody wants it. ERROR_NO_MEMORY, as all below. */
static inline int account_post_more(struct account *account, const struct entry_context *context,
				    enum posting_kind kind, unsigned ledger, int64_t points_milli, int32_t lot,
				    struct posting **posting)
{
	account->n_postings++;
	*posting = NULL;
	return context->postings ? account_fill_posting(account, context, kind, ledger, points_milli, lot, posting) : 0;
}
static inline int account_post(struct account *account, const struct entry_context *context, enum posting_kind kind,
			       unsigned ledger, int64_t points_milli, int32_t lot)
{
	struct posting *posting;
	return account_post_more(account, context, kind, ledger, points_milli, lot, &posting);
}
/* Something falls due on `day`. */
static inline void account_expect(struct account *account, int32_t day)
{
	if (day < account->next_due)
		account->next_due = day;
}
/* The first day on which something falls due. */
int32_t account_due(const struct account *account);
/* All orders are forgotten, as if the state had been encoded and read: refunds of them are unknown_order from here on. */
void account_forget_orders(struct account *account);

/* n > 0 points go into a ledger, debt first (account_take.c). `earning`: of what the entries say why; or NULL. */
int account_give(struct account *account, const struct entry_context *context, enum posting_kind kind, unsigned ledger,
		 int64_t n, int32_t available, const struct earning *earning);
/* Whether n > 0 points that are taken fit the sum `taken_milli` of the ledger. */
bool account_take_fits(const struct account *account, unsigned ledger, int64_t taken_milli, int64_t n);
/* A refund takes n > 0 points of an order of `day`, entries of kind reverse; *touched: there was one. */
int account_take_back(struct account *account, const struct entry_context *context, unsigned ledger, int64_t n,
		      int32_t day, bool *touched);
/* Spendable lots first; adds to *taken_milli (a sum of the ledger); leaves an entry of 0 when there is nothing to take. */
int account_take(struct account *account, const struct entry_context *context, enum posting_kind kind, unsigned ledger,
		 int64_t n, int64_t *taken_milli);

/* Tiers (tier.c). After an order, which is counted. */
int tier_after_order(struct account *account, const struct entry_context *context);
/* After a refund that took `metric` off the order at `position` of the list. */
int tier_after_refund(struct account *account, const struct entry_context *context, uint32_t position, int64_t metric);
/* At the start of the day that was reached, which is that of the review. */
int tier_review(struct account *account, const struct entry_context *context);

#endif
