/*
 * A plan: a programme and one customer's history as plain numbers, so that it can be drawn from a seed, made smaller piece by
 * piece, and printed for people. Numbers are small, and names few, so that everything meets everything.
 */
#ifndef PUNCHCARD_TESTS_PLAN_H
#define PUNCHCARD_TESTS_PLAN_H

#include "base/random.h"
#include "loyalty/record.h"

#define PLAN_LEDGERS    3u
#define PLAN_RULES      8u
#define PLAN_PROMOTIONS 4u
#define PLAN_LEVELS     4u
#define PLAN_REWARDS    2u
#define PLAN_ITEMS      5u /* no rule and no category names the last one */
#define PLAN_LINES      3u
#define PLAN_EVENTS     48u
#define PLAN_ID_BYTES   8u

struct plan_line {
	uint8_t item;
	int64_t qty_milli;
	int64_t amount_minor;
};

struct plan_event {
	enum event_kind kind;
	uint8_t source;
	uint16_t id; /* two events may share it */
	int64_t time_us;
	uint8_t n_lines;
	struct plan_line lines[PLAN_LINES];
	uint16_t order;       /* refund: the id of one */
	int64_t amount_minor; /* refund without lines */
	int64_t points_milli;
	int8_t ledger; /* -1: not named; PLAN_LEDGERS: one that is not there */
	int8_t reward; /* -1: not named; PLAN_REWARDS: one that is not there */
	bool declined;
};

/* Names in it are NULL: they follow from the place. */
struct plan {
	unsigned zone; /* in plan_zone_name */
	unsigned n_ledgers;
	struct ledger_rules ledgers[PLAN_LEDGERS];
	unsigned n_rules;
	struct earn_rule rules[PLAN_RULES];
	uint8_t rule_items[PLAN_RULES]; /* per_item: bit i: item i */
	uint8_t excluded;               /* bit i: item i */
	unsigned n_promotions;
	struct promotion promotions[PLAN_PROMOTIONS];
	struct tier_rules tiers;
	unsigned n_rewards;
	struct reward rewards[PLAN_REWARDS];
	int32_t segment_months;
	int64_t lateness_us;
	uint32_t open_max;
	unsigned n_events;
	struct plan_event events[PLAN_EVENTS];
};

const char *plan_zone_name(unsigned zone);
void plan_draw(struct plan *plan, uint64_t seed);

/* A plan made into what the kernel takes. */
struct subject {
	struct programme *programme;
	char ids[PLAN_EVENTS][PLAN_ID_BYTES];
	struct fact facts[PLAN_EVENTS]; /* in order, each once */
	size_t n;
};

/* The caller releases. Aborts when out of memory, or when the programme is refused: no plan may be. */
void subject_init(struct subject *subject, const struct plan *plan);
void subject_release(struct subject *subject);
/* The plan's programme again, by itself; the caller gives it to plan_programme_free. */
struct programme *plan_programme(const struct plan *plan);
void plan_programme_free(struct programme *programme);

/* Makes the plan simpler in one place; false when there is no such place. Every simpler plan is one that plan_draw could have
 * drawn. `step` counts the kinds of places; steps from plan_steps() on are none. */
bool plan_simplify(struct plan *plan, unsigned step, unsigned place);
unsigned plan_steps(void);
unsigned plan_places(void);
/* Without `n` events from `first` on. */
void plan_drop_events(struct plan *plan, unsigned first, unsigned n);

/* For people, to standard output. */
void plan_print(const struct plan *plan);

/* Properties (properties.c). NULL when all hold; else the name of the first that does not, and *why says more, for people; it
 * is valid until the next call. `seed`: of what is drawn on the way. */
const char *properties_check(const struct plan *plan, uint64_t seed, const char **why);
/* One more property, that is wrong: no history has a refund behind a redemption that was accepted. */
extern bool properties_with_a_wrong_one;

#endif
