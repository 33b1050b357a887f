/*
 * A fact: what the fold needs to know of an event, by one programme. Of an order with many lines only sums are left, so that
 * an account can keep its open events, and the batch layer stream them.
 *
 *     struct fact fact;
 *     fact_of_event(&fact, programme, &event, SLICE("till"));
 *
 * or line by line, as rows come out of a table:
 *
 *     fact_begin(&fact, programme, &event, SLICE("till"));      // event.lines is not looked at; a refund is one by
 *                                                               // amount when event.n_lines is 0
 *     fact_add_line(&fact, programme, &line);
 *
 * Facts borrow the event's id. Pure; any thread.
 */
#ifndef PUNCHCARD_LOYALTY_FACT_H
#define PUNCHCARD_LOYALTY_FACT_H

#include "loyalty/event.h"
#include "loyalty/programme.h"

/* Why an event leaves only an entry of kind reject. Stored: never renumber. */
enum reject_reason {
	REJECT_NONE = 0,
	REJECT_UNKNOWN_ORDER = 1,
	REJECT_OVER_REFUND = 2,
	REJECT_UNKNOWN_REWARD = 3,
	REJECT_UNKNOWN_LEDGER = 4,
	REJECT_OVERFLOW = 5,
};
#define REJECT_MAX 5

/* "unknown_order" and so on; "" for REJECT_NONE; NULL for a number that is none. */
const char *reject_reason_name(unsigned reason);

struct fact {
	int64_t time_us;
	struct slice id;      /* of the event; borrowed */
	uint64_t source_hash; /* XXH3-64 of the source's name */
	enum event_kind kind;
	enum reject_reason reject; /* already known: ledger, reward, overflow of the sums below */
	int32_t day;               /* local day of time_us, by the programme's timezone */
	/* Order: T and E. Refund: what it comes to, and how much of that is eligible (all of it, when by amount).
	 * Minor units, 0 to LIMIT_AMOUNT_MINOR. */
	int64_t total_minor;
	int64_t eligible_minor;
	/* Refund: XXH3-64 of the id of its order. */
	uint64_t order_hash;
	/* Redeem, adjust. */
	int64_t points_milli; /* redeem: the reward's cost when the event gave none */
	uint8_t ledger;
	bool declined;
	/* Order: of each ledger, Σ points_milli · qty_milli of the per_item rules in force, and which rules that was. */
	uint64_t item_rules;
	int64_t items[PROGRAMME_LEDGERS_MAX];
};

void fact_of_event(struct fact *fact, const struct programme *programme, const struct event *event,
		   struct slice source);
void fact_begin(struct fact *fact, const struct programme *programme, const struct event *event, struct slice source);
void fact_add_line(struct fact *fact, const struct programme *programme, const struct order_line *line);

/* The order of events: < 0, 0 (the same event), > 0. */
int fact_compare(const struct fact *a, const struct fact *b);

/* What has come back of an order: of its total T, and of what was eligible of it, E (R, 0 to E). */
struct refunded {
	int64_t total_minor;
	int64_t eligible_minor;
};
/* With one more refund, which is not over the order (docs/programme.md, "Refunds"). */
struct refunded fact_refunded(struct refunded before, int64_t order_total_minor, int64_t order_eligible_minor,
			      const struct fact *refund);

/* XXH3-64 of an event id, as order_hash has it. */
uint64_t fact_id_hash(struct slice id);

#endif
