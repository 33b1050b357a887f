/*
 * The programme: the rules by which events become points. Pure data; src/config makes it from programme.yaml, and
 * docs/programme.md says what every number means.
 *
 *     struct programme *programme = programme_new();
 *     … fill it in …
 *     rc = programme_prepare(programme, NULL, err);     // checks what could overflow, finds items fast, hashes
 *     programme_free(programme);
 *
 * A prepared programme is immutable: any number of threads may use it.
 */
#ifndef PUNCHCARD_LOYALTY_PROGRAMME_H
#define PUNCHCARD_LOYALTY_PROGRAMME_H

#include "base/buf.h"
#include "base/error.h"
#include "base/tz.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROGRAMME_LEDGERS_MAX    8u
#define PROGRAMME_RULES_MAX      64u /* a bit each in a mask */
#define PROGRAMME_PROMOTIONS_MAX 64u
#define PROGRAMME_LEVELS_MAX     16u
#define PROGRAMME_REWARDS_MAX    1000u
#define PROGRAMME_CATEGORIES_MAX 64u
#define PROGRAMME_ITEMS_MAX      100000u
/* Multipliers: more than 0, at most so many thousandths. */
#define PROGRAMME_MULTIPLIER_MAX_MILLI INT64_C(1000000)
#define PROGRAMME_MONTHS_MAX           1200
#define PROGRAMME_DAYS_MAX             36500
/* 16 hex digits and a NUL. */
#define PROGRAMME_HASH_TEXT 17

/* Days of `from` and `until` that are not set. */
#define DAY_MIN INT32_MIN
#define DAY_MAX INT32_MAX

/* To a multiple of a ledger's unit; all that is rounded is at least 0. Stored in hashes: never renumber. */
enum rounding {
	ROUND_FLOOR = 0,
	ROUND_HALF_UP = 1,
	ROUND_HALF_EVEN = 2,
	ROUND_CEIL = 3,
};

enum expiry_kind {
	EXPIRY_NEVER = 0,
	EXPIRY_DAYS = 1,
	EXPIRY_MONTHS = 2,
	EXPIRY_MONTHS_AFTER_MONTH = 3,
	EXPIRY_INACTIVITY = 4, /* months since the last order */
};

/* What becomes of points that are taken and not there. */
enum negative {
	NEGATIVE_DEBT = 0,
	NEGATIVE_FORGIVE = 1,
};

struct ledger_rules {
	char *name; /* unique; [a-z0-9_-], 1 to 32 bytes */
	char *unit; /* what a point of it is called, for people */
	enum rounding rounding;
	uint8_t decimals; /* 0 to 3: points are rounded to 10^-decimals */
	enum expiry_kind expiry;
	int32_t expiry_n; /* days or months, from 1 */
	int32_t pending_days;
	enum negative negative;
	int64_t max_per_order_milli; /* 0: no cap */
	int64_t value_micro;         /* what a point costs, in millionths of the currency, for finance; 0: not said */
};

enum rule_kind {
	RULE_PER_AMOUNT = 0,
	RULE_PER_STEP = 1,
	RULE_PER_VISIT = 2,
	RULE_PER_ITEM = 3,
};

struct earn_rule {
	char *name; /* [a-z0-9_-], 1 to 32 bytes; versions of one rule share it */
	enum rule_kind kind;
	uint8_t ledger;       /* index */
	int64_t points_milli; /* > 0 */
	int64_t amount_minor; /* per_amount: per; per_step: step (both > 0); per_visit: min (>= 0) */
	int32_t from_day;     /* DAY_MIN: always was */
	int32_t until_day;    /* included; DAY_MAX: always will be */
};

/* num / den in lowest terms, both > 0. */
struct multiplier {
	int64_t num;
	int64_t den;
};

#define LEDGER_ALL  UINT8_MAX
#define WEEKDAY_ALL 0x7fu

struct promotion {
	char *name;
	struct multiplier multiplier;
	uint8_t group;    /* number of the stack group, in order of first appearance */
	uint8_t ledger;   /* index, or LEDGER_ALL */
	uint8_t weekdays; /* bit 0 is Monday */
	int64_t min_minor;
	int32_t from_day;
	int32_t until_day;
};

enum tier_metric {
	METRIC_SPEND = 0,
	METRIC_POINTS_EARNED = 1,
	METRIC_VISITS = 2,
};

enum tier_window {
	WINDOW_ROLLING_MONTHS = 0,
	WINDOW_CALENDAR_YEAR = 1,
};

enum tier_downgrade {
	DOWNGRADE_REQUALIFY = 0,
	DOWNGRADE_ONE_DOWN = 1,
	DOWNGRADE_TO_BASE = 2,
};

struct tier_level {
	char *name;
	int64_t threshold; /* minor units, thousandths of a point, or days, by the metric; ascending, the first is 0 */
	struct multiplier multiplier;
};

struct tier_rules {
	unsigned n_levels; /* 0: the programme has no tiers */
	struct tier_level levels[PROGRAMME_LEVELS_MAX];
	enum tier_metric metric;
	enum tier_window window;
	int32_t window_months; /* of WINDOW_ROLLING_MONTHS */
	int32_t valid_months;  /* 0: no review */
	enum tier_downgrade downgrade;
};

struct reward {
	char *id;
	uint8_t ledger;
	int64_t cost_milli; /* > 0 */
};

/* What the rules know of an item: filled by the maker for every item that a category or a rule names. */
struct item_rules {
	char *name;          /* a sku, or a menu name */
	uint64_t categories; /* bit i: categories[i] */
	uint64_t rules;      /* bit i: rules[i] (per_item) counts it, by name or by category */
	bool excluded;
};

struct programme {
	char *name;          /* shown to people; owned, as are all texts here */
	char currency[4];    /* ISO 4217, upper case */
	struct tz *timezone; /* of days and months; owned */
	unsigned n_ledgers;  /* from 1 */
	struct ledger_rules ledgers[PROGRAMME_LEDGERS_MAX];
	unsigned n_rules;
	struct earn_rule rules[PROGRAMME_RULES_MAX];
	unsigned n_promotions;
	struct promotion promotions[PROGRAMME_PROMOTIONS_MAX];
	struct tier_rules tiers;
	unsigned n_rewards;
	struct reward *rewards;
	unsigned n_items;
	struct item_rules *items;
	unsigned n_categories;
	char *categories[PROGRAMME_CATEGORIES_MAX];
	int32_t segment_months; /* of the window for recency, frequency and spend; 12 unless set */
	/* How much of an account stays open (docs/programme.md, "Late events"). */
	int64_t lateness_us; /* 7 days unless set */
	uint32_t open_max;   /* 64 unless set */

	/* By programme_prepare. */
	uint64_t hash;
	char hash_text[PROGRAMME_HASH_TEXT]; /* names this programme in the ledger table */
	struct programme_index *index;       /* items by name, and what earning needs ready; private to src/loyalty */
};

/* With the defaults named above, no ledger and no rule; NULL when out of memory. */
struct programme *programme_new(void);
/* Frees all it owns. NULL is fine. */
void programme_free(struct programme *programme);

/* What of a programme cannot be prepared: the message says what is wrong with it. */
struct programme_culprit {
	enum {
		CULPRIT_RULE,      /* rules[index]: what it gives, with all before it */
		CULPRIT_PROMOTION, /* promotions[index]: its multiplier, with those of other groups */
		CULPRIT_ITEM,      /* items[index]: an item before it has its name */
	} kind;
	unsigned index;
};

/*
 * Makes a filled programme ready, and its multipliers fractions in lowest terms. ERROR_CONFIG, and *culprit (which may be
 * NULL), when on some day an order of LIMIT_AMOUNT_MINOR that gets the greatest multiplier of the tiers and of each group at
 * once (whether or not one order can get them all) would earn more than LIMIT_POINTS_MILLI in a ledger by amounts, steps and
 * visits, or its fractions do not fit 128 bits; when the multipliers of all groups together do not fit 64 bits; when an item
 * is there twice. ERROR_NO_MEMORY. Call it once, before any other function of this folder.
 */
int programme_prepare(struct programme *programme, struct programme_culprit *culprit, struct error *err);

/* Appends the rules as bytes: all that decides what an account or a ledger entry comes to, and what it is worth (currency and
 * the ledgers' values), nothing else. Programmes with the same bytes make the same of the same events; the hash is theirs. 0 or
 * ERROR_NO_MEMORY. */
int programme_rules(const struct programme *programme, struct buf *out);

/* The rules of an item, or NULL when none names it. */
const struct item_rules *programme_item(const struct programme *programme, struct slice name);
/* Index of a ledger by name, -1 when there is none. */
int programme_ledger(const struct programme *programme, struct slice name);
/* NULL when there is none. */
const struct reward *programme_reward(const struct programme *programme, struct slice id);

/* The first instant, UTC microseconds, of a local day of the programme; INT64_MIN and INT64_MAX for DAY_MIN and DAY_MAX. */
int64_t programme_day_start(const struct programme *programme, int32_t day);
/* The first day of the rolling window of `months` that ends with `day`: the day after `day` less that many months. */
int32_t window_first_day(int32_t day, int32_t months);
/* When a lot that was earned on `day` expires; DAY_MAX: never. */
int32_t ledger_expiry_day(const struct ledger_rules *ledger, int32_t day);

#endif
