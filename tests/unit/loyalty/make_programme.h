/* Programmes for tests, piece by piece; a piece that is returned can be changed until make_ready. */
#ifndef PUNCHCARD_TESTS_MAKE_PROGRAMME_H
#define PUNCHCARD_TESTS_MAKE_PROGRAMME_H

#include "loyalty/programme.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static inline char *copy_text(const char *text)
{
	char *const copy = strdup(text);
	assert_non_null(copy);
	return copy;
}

static inline int32_t day_of(const char *date)
{
	int32_t day = 0;
	assert_int_equal(civil_parse(date, strlen(date), &day), 0);
	return day;
}

static inline struct ledger_rules *add_ledger(struct programme *p, const char *name)
{
	struct ledger_rules *const ledger = &p->ledgers[p->n_ledgers++];
	ledger->name = copy_text(name);
	ledger->unit = copy_text(name);
	ledger->decimals = 3;
	return ledger;
}

/* With one ledger, "points", rounded down to thousandths. */
static inline struct programme *make_programme(const char *zone)
{
	struct programme *const p = programme_new();
	assert_non_null(p);
	p->name = copy_text("Test");
	memcpy(p->currency, "USD", 4);
	assert_int_equal(tz_load(zone, &p->timezone, NULL), 0);
	add_ledger(p, "points");
	return p;
}

/* In the first ledger, always in force. */
static inline struct earn_rule *add_rule(struct programme *p, const char *name, enum rule_kind kind,
					 int64_t points_milli, int64_t amount_minor)
{
	struct earn_rule *const rule = &p->rules[p->n_rules++];
	*rule = (struct earn_rule){copy_text(name), kind, 0, points_milli, amount_minor, DAY_MIN, DAY_MAX};
	return rule;
}

/* In all ledgers, always in force, of a group of its own. */
static inline struct promotion *add_promotion(struct programme *p, const char *name, int64_t num, int64_t den)
{
	const uint8_t group = (uint8_t)p->n_promotions;
	struct promotion *const promotion = &p->promotions[p->n_promotions++];
	*promotion =
		(struct promotion){copy_text(name), {num, den}, group, LEDGER_ALL, WEEKDAY_ALL, 0, DAY_MIN, DAY_MAX};
	return promotion;
}

static inline void add_level(struct programme *p, const char *name, int64_t threshold, int64_t num, int64_t den)
{
	p->tiers.levels[p->tiers.n_levels++] = (struct tier_level){copy_text(name), threshold, {num, den}};
}

static inline void add_item(struct programme *p, const char *name, uint64_t rules, bool excluded)
{
	p->items = realloc(p->items, (p->n_items + 1) * sizeof(*p->items));
	assert_non_null(p->items);
	p->items[p->n_items++] = (struct item_rules){copy_text(name), 0, rules, excluded};
}

static inline void add_reward(struct programme *p, const char *id, uint8_t ledger, int64_t cost_milli)
{
	p->rewards = realloc(p->rewards, (p->n_rewards + 1) * sizeof(*p->rewards));
	assert_non_null(p->rewards);
	p->rewards[p->n_rewards++] = (struct reward){copy_text(id), ledger, cost_milli};
}

static inline void make_ready(struct programme *p)
{
	struct error err = {0};
	if (programme_prepare(p, NULL, &err) < 0)
		fail_msg("%s", err.message);
}

#endif
