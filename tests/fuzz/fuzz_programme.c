/*
 * programme.yaml, from its text to a prepared programme.
 *
 * Properties: what is refused says why with the file's name; what is taken keeps every promise that the kernel relies on, and
 * means the same when it is read again.
 */
#include "config/schema_internal.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool holds)
{
	if (!holds)
		abort();
}

static void take_warning(void *context, const char *text)
{
	unsigned *const n = context;
	expect(strncmp(text, "r.yaml:", 7) == 0);
	++*n;
}

static int64_t unit_of(const struct ledger_rules *ledger)
{
	static const int64_t UNITS[] = {1000, 100, 10, 1};
	return UNITS[ledger->decimals];
}

static void expect_multiplier(struct multiplier m)
{
	expect(m.num > 0 && m.den > 0 && m.num * 1000 / m.den <= PROGRAMME_MULTIPLIER_MAX_MILLI);
	int64_t a = m.num;
	for (int64_t b = m.den; b;) {
		const int64_t rest = a % b;
		a = b;
		b = rest;
	}
	expect(a == 1);
}

static void expect_ledgers(const struct programme *p)
{
	expect(p->n_ledgers >= 1 && p->n_ledgers <= PROGRAMME_LEDGERS_MAX);
	for (unsigned i = 0; i < p->n_ledgers; i++) {
		const struct ledger_rules *const l = &p->ledgers[i];
		expect(l->decimals <= 3 && l->max_per_order_milli % unit_of(l) == 0 && l->pending_days >= 0);
		expect((l->expiry == EXPIRY_NEVER) == (l->expiry_n == 0));
		expect(l->expiry != EXPIRY_DAYS || l->pending_days < l->expiry_n);
		expect(*l->unit && programme_ledger(p, slice_of(l->name)) == (int)i);
	}
}

static void expect_rules(const struct programme *p)
{
	expect(p->n_rules >= 1 && p->n_rules <= PROGRAMME_RULES_MAX);
	for (unsigned i = 0; i < p->n_rules; i++) {
		const struct earn_rule *const r = &p->rules[i];
		expect(*r->name && r->ledger < p->n_ledgers && r->points_milli > 0 && r->from_day <= r->until_day);
		expect(r->kind == RULE_PER_VISIT || r->kind == RULE_PER_ITEM || r->amount_minor > 0);
		expect(r->kind != RULE_PER_VISIT || r->points_milli % unit_of(&p->ledgers[r->ledger]) == 0);
		for (unsigned k = 0; k < i; k++)
			expect(strcmp(r->name, p->rules[k].name) != 0 || r->until_day < p->rules[k].from_day ||
			       p->rules[k].until_day < r->from_day);
	}
	for (unsigned i = 0; i < p->n_promotions; i++) {
		const struct promotion *const q = &p->promotions[i];
		expect_multiplier(q->multiplier);
		expect(q->group <= i && q->weekdays && q->weekdays <= WEEKDAY_ALL && q->from_day <= q->until_day);
		expect(q->min_minor >= 0 && (q->ledger == LEDGER_ALL || q->ledger < p->n_ledgers));
	}
}

static void expect_tiers(const struct programme *p)
{
	const struct tier_rules *const tiers = &p->tiers;
	for (unsigned i = 0; i < tiers->n_levels; i++) {
		expect_multiplier(tiers->levels[i].multiplier);
		expect(i ? tiers->levels[i].threshold > tiers->levels[i - 1].threshold
			 : tiers->levels[i].threshold == 0);
	}
	expect(tiers->n_levels == 0 || (tiers->window == WINDOW_CALENDAR_YEAR) == (tiers->window_months == 0));
	for (unsigned i = 0; i < p->n_rewards; i++) {
		const struct reward *const r = &p->rewards[i];
		expect(r->ledger < p->n_ledgers && r->cost_milli > 0);
		expect(r->cost_milli % unit_of(&p->ledgers[r->ledger]) == 0);
		expect(programme_reward(p, slice_of(r->id)) == r);
	}
}

static void expect_items(const struct programme *p)
{
	for (unsigned i = 0; i < p->n_items; i++) {
		const struct item_rules *const item = &p->items[i];
		expect(programme_item(p, slice_of(item->name)) == item);
		expect(item->categories || item->rules);
		expect(i == 0 || strcmp(p->items[i - 1].name, item->name) < 0);
		for (unsigned k = 0; k < PROGRAMME_RULES_MAX; k++)
			expect(!(item->rules >> k & 1) || (k < p->n_rules && p->rules[k].kind == RULE_PER_ITEM));
	}
}

/* The check before libcyaml leaves it nothing to refuse. */
static void expect_schema(const uint8_t *data, size_t size)
{
	struct yamldoc doc = {0};
	struct error err = {0};
	void *loaded = NULL;
	if (yamldoc_parse("r.yaml", data, size, &doc, &err) == 0 &&
	    yamldoc_check(&doc, &PROGRAMME_SCHEMA, PROGRAMME_RULES, &err) == 0) {
		expect(yamldoc_load(&doc, &PROGRAMME_SCHEMA, PROGRAMME_RULES, &loaded, &err) == 0);
		yamldoc_free(&PROGRAMME_SCHEMA, loaded);
	}
	yamldoc_close(&doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct programme *p = NULL;
	struct programme *again = NULL;
	struct error err = {0};
	unsigned n_warnings = 0;
	expect_schema(data, size);
	if (programme_parse("r.yaml", data, size, take_warning, &n_warnings, &p, &err) < 0) {
		expect(!p && n_warnings == 0 && strncmp(err.message, "r.yaml", 6) == 0);
		return 0;
	}
	expect_ledgers(p);
	expect_rules(p);
	expect_tiers(p);
	expect_items(p);
	expect(p->segment_months > 0 && p->lateness_us >= 0 && p->open_max > 0);
	expect(programme_parse("r.yaml", data, size, NULL, NULL, &again, &err) == 0 && again->hash == p->hash);
	programme_free(p);
	programme_free(again);
	return 0;
}
