/*
 * Inside explain: events of one customer, folded step by step, and the words for what a step did.
 *
 *     struct explain *explain = explain_new(programme);
 *     explain_add(explain, &event, SLICE("till"), err);       // in any order
 *     explain_fold(explain, as_of_day, err);
 *     explain->steps[0 … n_steps - 1], explain->postings, explain->account
 */
#ifndef PUNCHCARD_SERVING_EXPLAIN_INTERNAL_H
#define PUNCHCARD_SERVING_EXPLAIN_INTERNAL_H

#include "loyalty/account.h"
#include "loyalty/earn.h"
#include "serving/explain.h"
#include "store/view.h"

/* Items that are named; of more only how many are. */
#define EXPLAIN_NAMED_MAX 3u

/* How many, in thousandths, of what a per_item rule counts an order has. */
struct explain_items {
	unsigned rule;
	int64_t qty_milli;
	const struct item_rules *named[EXPLAIN_NAMED_MAX]; /* which; the programme's */
	unsigned n_named;                                  /* above the maximum: there are more */
};

/* What an event said. Slices point into its texts. */
struct explain_event {
	struct fact fact;
	char *texts; /* owned */
	struct slice source;
	struct slice store;
	struct slice order_id;
	struct slice reward;
	struct slice ledger;
	struct slice reason;
	int64_t points_milli;
	uint32_t n_lines;
	struct explain_items *items; /* owned */
	unsigned n_items;
};

#define STEP_NONE SIZE_MAX

/* What one event did, or the passing of time (up to one review of the tier). */
struct explain_step {
	const struct explain_event *event; /* NULL: time passed */
	size_t first;                      /* of its entries in `postings` */
	size_t n;
	unsigned tier_before;
	struct account_tier tier; /* after it */
	bool confirmed;           /* time: the review left the level as it was */
	int32_t day;
	/* A refund that was taken: the step of its order, and what had been refunded of it, in eligible amounts (in totals where
	 * nothing was eligible). */
	size_t order;
	int64_t refunded_before_minor;
	int64_t refunded_after_minor;
};

struct explain {
	const struct programme *programme;
	struct customer_id id;
	bool has_profile;
	char *id_text;
	char *name; /* NULL: not known */
	int ledger; /* the one that is printed; -1: all */
	bool has_day;
	int64_t now_us;
	int32_t day; /* as of */
	struct explain_event *events;
	size_t n_events;
	size_t events_cap;
	struct explain_step *steps;
	size_t n_steps;
	size_t steps_cap;
	struct postings postings;
	struct account *account; /* as of `day` */
	uint32_t later;          /* events of later days, left out */
};

struct explain *explain_new(const struct programme *programme);
/* Takes a copy of an event. `lines` of it are looked at when they are there (event->n_lines); explain_add_line adds more to the one
 * that was added last. */
int explain_add(struct explain *explain, const struct event *event, struct slice source, struct error *err);
int explain_add_line(struct explain *explain, const struct order_line *line, struct error *err);
/* Forgets all events. */
void explain_clear(struct explain *explain);
/* Folds all events up to `day`; then time passes to the start of `day`. Once. */
int explain_fold(struct explain *explain, int32_t day, struct error *err);

/* Reads the customer's events and adds them. */
int explain_read(struct explain *explain, const struct deployment *deployment, struct watch *watch, struct error *err);
/* The same on a cluster. */
int explain_read_cluster(struct explain *explain, const struct deployment *deployment, struct error *err);

/* ---- words: pieces of text, without a line's end ---- */

#define SIGN_TIMES     "\xC3\x97"     /* × */
#define SIGN_MINUS     "\xE2\x88\x92" /* − */
#define SIGN_ARROW     "\xE2\x86\x92" /* → */
#define SIGN_ABOUT     "\xE2\x89\x88" /* ≈ */
#define SIGN_FLOOR     "\xE2\x8C\x8A" /* ⌊ */
#define SIGN_FLOOR_END "\xE2\x8C\x8B" /* ⌋ */

/* value · 10^-scale with at least `least` digits behind the point, and as many more as are not 0. */
void say_decimal(FILE *out, int64_t value, unsigned scale, unsigned least);
/* 1234500 is "1,234.5"; minor units always with two digits. */
void say_points(FILE *out, int64_t points_milli);
void say_money(FILE *out, int64_t minor);
/* With the currency. */
void say_money_in(FILE *out, const struct programme *programme, int64_t minor);
/* yyyy-mm-dd */
void say_day(FILE *out, int32_t day);
/* "3 points", "1 point": with the ledger's unit. */
void say_amount(FILE *out, const struct ledger_rules *ledger, int64_t points_milli);
/* " = 0.5625", or " ≈ 0.333333 (1/3)" when its digits do not end; num / den in thousandths, num >= 0. */
void say_equals(FILE *out, __int128 num, __int128 den);
/* Text from outside: control characters as \n, \xHH. */
void say_text(FILE *out, struct slice text);
/* A metric of the tiers: "5,012.00 of 5,000.00 THB in 12 months". */
void say_metric(FILE *out, const struct programme *programme, int64_t metric, int64_t threshold, int32_t day);
/* One value of it, without its unit. */
void say_metric_value(FILE *out, const struct programme *programme, int64_t value);
/* What a step was: "order e-1 at s1: 4.50 THB". Not for the passing of time. */
void say_event(FILE *out, const struct programme *programme, const struct explain_event *event);
/* What an entry of time, tier or rejection was. */
void say_expired(FILE *out, const struct explain *explain, const struct posting *posting, size_t at);
void say_tier(FILE *out, const struct explain *explain, const struct explain_step *step, const struct posting *posting);

/* What the event asked to be taken from a ledger: of a refund by its arithmetic. Not for what was rejected. */
int64_t explain_taken(const struct explain *explain, const struct explain_step *step, unsigned ledger);

/* The arithmetic of what an order earned, or a refund took back, in one ledger: a line each, given to `line` one after the
 * other. Without any when there is nothing to say. ERROR_NO_MEMORY. */
typedef void explain_line_fn(void *context, struct slice line);
int explain_arithmetic(const struct explain *explain, const struct explain_step *step, unsigned ledger,
		       explain_line_fn *line, void *context);

#endif
