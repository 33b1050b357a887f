/* Ledgers, earning rules and promotions of programme.yaml. */
#include "base/limits.h"
#include "config/programme_internal.h"

#include <stdlib.h>
#include <string.h>

/*
 * Ledgers.
 */

static int read_expiry(const struct maker *m, unsigned i, struct ledger_rules *ledger)
{
	const struct programme_expiry_file *const from = m->from->ledgers[i].expiry;
	if (!from)
		return 0;
	const struct {
		enum expiry_kind kind;
		uint32_t n;
	} KINDS[] = {
		{EXPIRY_DAYS, from->days},
		{EXPIRY_MONTHS, from->months},
		{EXPIRY_MONTHS_AFTER_MONTH, from->months_after_month},
		{EXPIRY_INACTIVITY, from->inactivity},
	};
	for (size_t k = 0; k < sizeof(KINDS) / sizeof(KINDS[0]); k++) {
		if (KINDS[k].n == 0)
			continue;
		if (ledger->expiry != EXPIRY_NEVER)
			return yamldoc_fail(m->file, m->err, yamldoc_key("ledgers[%u].expiry", i),
					    "this says more than one thing; expected one of the keys days, months, "
					    "months_after_month and inactivity");
		ledger->expiry = KINDS[k].kind;
		ledger->expiry_n = (int32_t)KINDS[k].n;
	}
	if (ledger->expiry == EXPIRY_NEVER)
		return yamldoc_fail(m->file, m->err, yamldoc_key("ledgers[%u].expiry", i),
				    "this says nothing; expected one of the keys days, months, months_after_month and "
				    "inactivity; leave the key expiry out for points that never expire");
	return 0;
}

/* What a cap or a point's worth may come to. */
#define MAX_VALUE_MICRO INT64_C(1000000000000)

static int read_ledger_numbers(const struct maker *m, unsigned i, struct ledger_rules *ledger)
{
	const struct programme_ledger_file *const from = &m->from->ledgers[i];
	const struct yamldoc_key cap = yamldoc_key("ledgers[%u].max_per_order", i);
	int rc = read_expiry(m, i, ledger);
	if (rc == 0 && ledger->expiry == EXPIRY_DAYS && ledger->pending_days >= ledger->expiry_n)
		rc = yamldoc_fail(
			m->file, m->err, yamldoc_key("ledgers[%u].pending_days", i),
			"'%d' is not shorter than the expiry, %d days: no point could ever be spent; expected "
			"fewer",
			ledger->pending_days, ledger->expiry_n);
	if (rc == 0 && from->max_per_order)
		rc = maker_number(m, cap, from->max_per_order, 3, false, LIMIT_POINTS_MILLI,
				  "points above 0 with at most three decimals", &ledger->max_per_order_milli);
	if (rc == 0 && from->max_per_order)
		rc = maker_check_unit(m, cap, from->max_per_order, ledger->max_per_order_milli, i);
	if (rc == 0 && from->value)
		rc = maker_number(m, yamldoc_key("ledgers[%u].value", i), from->value, 6, false, MAX_VALUE_MICRO,
				  "an amount above 0, at most 1000000, with at most six decimals",
				  &ledger->value_micro);
	return rc;
}

static int read_ledger(const struct maker *m, unsigned i)
{
	const struct programme_ledger_file *const from = &m->from->ledgers[i];
	const struct yamldoc_key name = yamldoc_key("ledgers[%u].name", i);
	struct ledger_rules *const ledger = &m->programme->ledgers[i];
	int rc = maker_check_name(m, name, from->name);
	for (unsigned k = 0; k < i && rc == 0; k++)
		if (strcmp(m->from->ledgers[k].name, from->name) == 0)
			rc = maker_twice(m, name, yamldoc_key("ledgers[%u].name", k), from->name);
	if (rc == 0 && from->unit)
		rc = maker_check_title(m, yamldoc_key("ledgers[%u].unit", i), from->unit);
	if (rc == 0)
		rc = maker_copy(m, from->name, &ledger->name);
	m->programme->n_ledgers = i + 1;
	if (rc == 0)
		rc = maker_copy(m, from->unit ? from->unit : from->name, &ledger->unit);
	if (rc < 0)
		return rc;
	const bool rounds = yamldoc_has(m->file, yamldoc_key("ledgers[%u].rounding", i));
	const bool decimals = yamldoc_has(m->file, yamldoc_key("ledgers[%u].decimals", i));
	ledger->rounding = rounds ? from->rounding : m->from->rounding;
	ledger->decimals = decimals ? (uint8_t)from->decimals : 3;
	ledger->pending_days = (int32_t)from->pending_days;
	ledger->negative = from->negative;
	return read_ledger_numbers(m, i, ledger);
}

int maker_ledgers(const struct maker *m)
{
	int rc = 0;
	for (unsigned i = 0; i < m->from->n_ledgers && rc == 0; i++)
		rc = read_ledger(m, i);
	if (rc < 0 || m->programme->n_ledgers)
		return rc;
	struct ledger_rules *const only = &m->programme->ledgers[0];
	m->programme->n_ledgers = 1;
	only->decimals = 3;
	only->rounding = m->from->rounding;
	rc = maker_copy(m, "points", &only->name);
	return rc == 0 ? maker_copy(m, "points", &only->unit) : rc;
}

/*
 * Rules.
 */

const char *maker_kind_key(enum rule_kind kind)
{
	static const char *const KEYS[] = {"per_amount", "per_step", "per_visit", "per_item"};
	return KEYS[kind];
}

/* What the rule earns by, and its kind; NULL with the error set when it does not say one thing. */
static const struct programme_rate_file *find_kind(const struct maker *m, unsigned i, enum rule_kind *kind)
{
	const struct programme_earn_file *const from = &m->from->earn[i];
	const struct programme_rate_file *const rates[] = {from->per_amount, from->per_step, from->per_visit,
							   from->per_item};
	const struct programme_rate_file *found = NULL;
	for (unsigned k = 0; k < sizeof(rates) / sizeof(rates[0]); k++) {
		if (!rates[k])
			continue;
		if (found) {
			yamldoc_fail(
				m->file, m->err, yamldoc_key("earn[%u].%s", i, maker_kind_key(k)),
				"the rule is of the kind %s already; expected one kind in a rule, and another rule "
				"for the other",
				maker_kind_key(*kind));
			return NULL;
		}
		found = rates[k];
		*kind = (enum rule_kind)k;
	}
	if (!found)
		yamldoc_fail(m->file, m->err, yamldoc_key("earn[%u]", i),
			     "this rule does not say what earns; expected one of the keys per_amount, per_step, "
			     "per_visit and per_item");
	return found;
}

static int read_rate(const struct maker *m, unsigned i, const struct programme_rate_file *rate, struct earn_rule *rule)
{
	static const char *const AMOUNTS[] = {"per", "step", "min", "min"};
	const char *const kind = maker_kind_key(rule->kind);
	const struct yamldoc_key points = yamldoc_key("earn[%u].%s.points", i, kind);
	int rc = maker_points(m, points, rate->points, &rule->points_milli);
	if (rc == 0)
		rc = maker_amount(m, yamldoc_key("earn[%u].%s.%s", i, kind, AMOUNTS[rule->kind]), rate->amount,
				  rule->kind == RULE_PER_VISIT, &rule->amount_minor);
	/* All other kinds are rounded. */
	if (rc == 0 && rule->kind == RULE_PER_VISIT)
		rc = maker_check_unit(m, points, rate->points, rule->points_milli, rule->ledger);
	if (rc == 0 && rule->kind == RULE_PER_ITEM && !rate->items.count && !rate->categories.count)
		rc = yamldoc_fail(m->file, m->err, yamldoc_key("earn[%u].per_item", i),
				  "this names nothing that earns; expected items or categories, or both");
	return rc;
}

static int read_rule_name(const struct maker *m, unsigned i, struct earn_rule *rule)
{
	const char *const name = m->from->earn[i].name;
	if (name) {
		const int rc = maker_check_name(m, yamldoc_key("earn[%u].name", i), name);
		return rc == 0 ? maker_copy(m, name, &rule->name) : rc;
	}
	rule->name = text_printf("earn-%u", i + 1);
	return rule->name ? 0 : error_no_memory(m->err, sizeof("earn-") + 10);
}

static int read_rule(const struct maker *m, unsigned i)
{
	const struct programme_earn_file *const from = &m->from->earn[i];
	struct earn_rule *const rule = &m->programme->rules[i];
	m->programme->n_rules = i + 1;
	int rc = read_rule_name(m, i, rule);
	if (rc < 0)
		return rc;
	const struct programme_rate_file *const rate = find_kind(m, i, &rule->kind);
	if (!rate)
		return ERROR_CONFIG;
	rc = maker_ledger(m, yamldoc_key("earn[%u].ledger", i), from->ledger, &rule->ledger);
	if (rc == 0)
		rc = read_rate(m, i, rate, rule);
	if (rc == 0)
		rc = maker_period(m, yamldoc_key("earn[%u]", i), from->from, from->until, &rule->from_day,
				  &rule->until_day);
	return rc;
}

/* A day on which both hold: "on 2026-06-30". */
static void show_overlap(const struct earn_rule *a, const struct earn_rule *b, char out[14])
{
	const int32_t first = a->from_day > b->from_day ? a->from_day : b->from_day;
	const int32_t last = a->until_day < b->until_day ? a->until_day : b->until_day;
	memcpy(out, "always", sizeof("always"));
	if (first == DAY_MIN && last == DAY_MAX)
		return;
	memcpy(out, "on ", sizeof("on "));
	civil_format(first != DAY_MIN ? first : last, out + 3);
}

static int check_versions(const struct maker *m, unsigned i)
{
	const struct earn_rule *const rule = &m->programme->rules[i];
	for (unsigned k = 0; k < i; k++) {
		const struct earn_rule *const other = &m->programme->rules[k];
		if (strcmp(rule->name, other->name) != 0 || rule->from_day > other->until_day ||
		    other->from_day > rule->until_day)
			continue;
		char day[14];
		show_overlap(rule, other, day);
		return yamldoc_fail(
			m->file, m->err, yamldoc_key("earn[%u]", i),
			"'%s' in line %zu and its version in line %zu are both in force (%s); expected from "
			"and until that do not overlap, or another name",
			rule->name, yamldoc_line(m->file, yamldoc_key("earn[%u]", i)),
			yamldoc_line(m->file, yamldoc_key("earn[%u]", k)), day);
	}
	return 0;
}

int maker_rules(const struct maker *m)
{
	int rc = 0;
	for (unsigned i = 0; i < m->from->n_earn && rc == 0; i++) {
		rc = read_rule(m, i);
		if (rc == 0)
			rc = check_versions(m, i);
	}
	return rc;
}

/*
 * Promotions.
 */

static const char *group_of(const struct programme_promotion_file *promotion)
{
	return promotion->group ? promotion->group : promotion->name;
}

/* Groups are numbered in the order in which they come. */
static uint8_t find_group(const struct maker *m, unsigned i)
{
	uint8_t next = 0;
	for (unsigned k = 0; k < i; k++) {
		const uint8_t group = m->programme->promotions[k].group;
		if (strcmp(group_of(&m->from->promotions[k]), group_of(&m->from->promotions[i])) == 0)
			return group;
		next = group >= next ? (uint8_t)(group + 1) : next;
	}
	return next;
}

static int check_promotion_names(const struct maker *m, unsigned i)
{
	const struct programme_promotion_file *const from = &m->from->promotions[i];
	const struct yamldoc_key name = yamldoc_key("promotions[%u].name", i);
	int rc = maker_check_name(m, name, from->name);
	if (rc == 0 && from->group)
		rc = maker_check_name(m, yamldoc_key("promotions[%u].group", i), from->group);
	for (unsigned k = 0; k < i && rc == 0; k++)
		if (strcmp(m->from->promotions[k].name, from->name) == 0)
			rc = maker_twice(m, name, yamldoc_key("promotions[%u].name", k), from->name);
	return rc;
}

static int read_promotion(const struct maker *m, unsigned i)
{
	const struct programme_promotion_file *const from = &m->from->promotions[i];
	struct promotion *const promotion = &m->programme->promotions[i];
	int rc = check_promotion_names(m, i);
	if (rc == 0)
		rc = maker_copy(m, from->name, &promotion->name);
	m->programme->n_promotions = i + 1;
	if (rc == 0)
		rc = maker_multiplier(m, yamldoc_key("promotions[%u].multiplier", i), from->multiplier,
				      &promotion->multiplier);
	promotion->ledger = LEDGER_ALL;
	if (rc == 0 && from->ledger)
		rc = maker_ledger(m, yamldoc_key("promotions[%u].ledger", i), from->ledger, &promotion->ledger);
	if (rc == 0)
		rc = maker_amount(m, yamldoc_key("promotions[%u].min", i), from->min, true, &promotion->min_minor);
	if (rc == 0)
		rc = maker_period(m, yamldoc_key("promotions[%u]", i), from->from, from->until, &promotion->from_day,
				  &promotion->until_day);
	promotion->weekdays = from->n_weekdays ? 0 : WEEKDAY_ALL;
	for (unsigned k = 0; k < from->n_weekdays; k++)
		promotion->weekdays = (uint8_t)(promotion->weekdays | 1u << from->weekdays[k]);
	if (rc == 0)
		promotion->group = find_group(m, i);
	return rc;
}

int maker_promotions(const struct maker *m)
{
	int rc = 0;
	for (unsigned i = 0; i < m->from->n_promotions && rc == 0; i++)
		rc = read_promotion(m, i);
	return rc;
}
