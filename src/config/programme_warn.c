/* What is odd in a programme, but legal: most often a slip. */
#include "base/limits.h"
#include "config/programme_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define WARNING_BYTES 1024

struct warner {
	const struct maker *m;
	const struct programme *programme;
	programme_warn *warn;
	void *context;
};

__attribute__((format(printf, 3, 4))) static void tell(const struct warner *w, struct yamldoc_key key,
						       const char *format, ...)
{
	char message[WARNING_BYTES];
	char text[LIMIT_PATH_BYTES + WARNING_BYTES + 2 * YAMLDOC_KEY_BYTES];
	va_list ap;
	va_start(ap, format);
	vsnprintf(message, sizeof(message), format, ap);
	va_end(ap);
	snprintf(text, sizeof(text), "%s:%zu: %s: %s", w->m->file->path, yamldoc_line(w->m->file, key), key.text,
		 message);
	w->warn(w->context, text);
}

static bool earns_in(const struct programme *p, unsigned ledger)
{
	for (unsigned i = 0; i < p->n_rules; i++)
		if (p->rules[i].ledger == ledger)
			return true;
	return false;
}

/* Whether a multiplier can do anything in a ledger. */
static bool multiplies_in(const struct programme *p, unsigned ledger)
{
	for (unsigned i = 0; i < p->n_rules; i++)
		if ((ledger == LEDGER_ALL || p->rules[i].ledger == ledger) &&
		    (p->rules[i].kind == RULE_PER_AMOUNT || p->rules[i].kind == RULE_PER_STEP))
			return true;
	return false;
}

/* The next version of rules[i] by time, or NULL. */
static const struct earn_rule *find_next_version(const struct programme *p, unsigned i)
{
	const struct earn_rule *next = NULL;
	for (unsigned k = 0; k < p->n_rules; k++) {
		const struct earn_rule *const other = &p->rules[k];
		if (strcmp(other->name, p->rules[i].name) == 0 && other->from_day > p->rules[i].until_day &&
		    (!next || other->from_day < next->from_day))
			next = other;
	}
	return next;
}

static void check_rule(const struct warner *w, unsigned i)
{
	const struct programme *const p = w->programme;
	const struct earn_rule *const rule = &p->rules[i];
	const struct earn_rule *const next = find_next_version(p, i);
	if (!next)
		return;
	const unsigned k = (unsigned)(next - p->rules);
	const size_t line = yamldoc_line(w->m->file, yamldoc_key("earn[%u]", k));
	if (next->from_day > rule->until_day + 1) {
		char first[11];
		char last[11];
		civil_format(rule->until_day + 1, first);
		civil_format(next->from_day - 1, last);
		tell(w, yamldoc_key("earn[%u].until", i),
		     "'%s' earns nothing from %s to %s: its next version, in line %zu, begins later", rule->name, first,
		     last, line);
	}
	if (next->ledger != rule->ledger)
		tell(w, yamldoc_key("earn[%u]", k), "'%s' earns in the ledger %s; the version before it earned in %s",
		     rule->name, p->ledgers[next->ledger].name, p->ledgers[rule->ledger].name);
}

static void check_ledger(const struct warner *w, unsigned i)
{
	const struct ledger_rules *const ledger = &w->programme->ledgers[i];
	bool costs = false;
	for (unsigned k = 0; k < w->programme->n_rewards; k++)
		costs = costs || w->programme->rewards[k].ledger == i;
	/* With rewards it is they that are told of. */
	if (!earns_in(w->programme, i) && !costs)
		tell(w, yamldoc_key("ledgers[%u]", i), "no rule earns in '%s': only adjustments can change it",
		     ledger->name);
	const bool by_months = ledger->expiry != EXPIRY_NEVER && ledger->expiry != EXPIRY_DAYS;
	if (by_months && ledger->pending_days >= 28 * ledger->expiry_n)
		tell(w, yamldoc_key("ledgers[%u].pending_days", i),
		     "points that are pending for %d days may expire, after %d month%s, before they can be spent",
		     ledger->pending_days, ledger->expiry_n, ledger->expiry_n == 1 ? "" : "s");
}

static void check_categories(const struct warner *w)
{
	const struct programme *const p = w->programme;
	uint64_t used = 0;
	for (unsigned i = 0; i < p->n_items; i++)
		if (p->items[i].excluded || p->items[i].rules)
			used |= p->items[i].categories;
	for (unsigned i = 0; i < p->n_categories; i++)
		if (!(used >> i & 1))
			tell(w, yamldoc_key("categories[%u]", i), "no rule and no exclude names an item of '%s'",
			     p->categories[i]);
}

static bool has_weekday(const struct promotion *promotion)
{
	if (promotion->from_day == DAY_MIN || promotion->until_day == DAY_MAX ||
	    promotion->until_day - promotion->from_day >= 6)
		return true;
	/* 1970-01-01 was a Thursday. */
	for (int32_t day = promotion->from_day; day <= promotion->until_day; day++)
		if (promotion->weekdays >> (((day + 3) % 7 + 7) % 7) & 1)
			return true;
	return false;
}

static void check_promotion(const struct warner *w, unsigned i)
{
	const struct programme *const p = w->programme;
	const struct promotion *const promotion = &p->promotions[i];
	const struct multiplier m = promotion->multiplier;
	if (m.num <= m.den)
		tell(w, yamldoc_key("promotions[%u].multiplier", i),
		     m.num == m.den ? "'%s' multiplies by 1, which changes nothing"
				    : "'%s' multiplies by less than 1: with it an order earns less",
		     promotion->name);
	if (!multiplies_in(p, promotion->ledger))
		tell(w, yamldoc_key("promotions[%u]", i),
		     "'%s' multiplies nothing: only per_amount and per_step are multiplied, and no such rule earns "
		     "%s%s",
		     promotion->name, promotion->ledger == LEDGER_ALL ? "anywhere" : "in the ledger ",
		     promotion->ledger == LEDGER_ALL ? "" : p->ledgers[promotion->ledger].name);
	if (!has_weekday(promotion))
		tell(w, yamldoc_key("promotions[%u].weekdays", i),
		     "'%s' is never in force: none of its weekdays lies between from and until", promotion->name);
}

static void check_tiers(const struct warner *w)
{
	const struct programme *const p = w->programme;
	const struct tier_rules *const tiers = &p->tiers;
	bool multiplies = false;
	for (unsigned i = 1; i < tiers->n_levels; i++) {
		const struct multiplier low = tiers->levels[i - 1].multiplier;
		const struct multiplier high = tiers->levels[i].multiplier;
		if (high.num * low.den < low.num * high.den)
			tell(w, yamldoc_key("tiers.levels[%u]", i),
			     "'%s' multiplies by less than '%s', the level below", tiers->levels[i].name,
			     tiers->levels[i - 1].name);
	}
	for (unsigned i = 0; i < tiers->n_levels; i++)
		multiplies = multiplies || tiers->levels[i].multiplier.num != tiers->levels[i].multiplier.den;
	if (multiplies && !multiplies_in(p, LEDGER_ALL))
		tell(w, yamldoc_key("tiers.levels"),
		     "the multipliers of tiers multiply nothing: only per_amount and per_step are multiplied, and "
		     "there "
		     "is no such rule");
	if (tiers->n_levels > 1 && tiers->metric == METRIC_POINTS_EARNED && !earns_in(p, 0))
		tell(w, yamldoc_key("tiers.metric"),
		     "nobody ever leaves the first level: the points of the first ledger, %s, are counted, and nothing "
		     "earns in it",
		     p->ledgers[0].name);
}

void programme_warnings(const struct maker *m, programme_warn *warn, void *context)
{
	const struct programme *const p = m->programme;
	const struct warner w = {.m = m, .programme = p, .warn = warn, .context = context};
	check_categories(&w);
	for (unsigned i = 0; i < m->from->n_ledgers; i++)
		check_ledger(&w, i);
	for (unsigned i = 0; i < p->n_rules; i++)
		check_rule(&w, i);
	for (unsigned i = 0; i < p->n_promotions; i++)
		check_promotion(&w, i);
	check_tiers(&w);
	for (unsigned i = 0; i < p->n_rewards; i++)
		if (!earns_in(p, p->rewards[i].ledger))
			tell(&w, yamldoc_key("rewards[%u]", i),
			     "'%s' costs points of the ledger %s, in which nothing earns", p->rewards[i].id,
			     p->ledgers[p->rewards[i].ledger].name);
}
