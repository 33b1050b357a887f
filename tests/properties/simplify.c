/* Simpler plans: what can be left out, and what a number can be instead. */
#include "plan.h"

#include "base/tz.h"

#define DAY_US INT64_C(86400000000)

/* Sets a field; the whole says whether it was another. */
#define SET(field, value) ((field) != (value) ? ((field) = (value), true) : false)

void plan_drop_events(struct plan *plan, unsigned first, unsigned n)
{
	for (unsigned i = first + n; i < plan->n_events; i++)
		plan->events[i - n] = plan->events[i];
	plan->n_events -= n;
}

static bool drop_tiers(struct plan *plan, unsigned i)
{
	if (i || plan->tiers.n_levels == 0)
		return false;
	plan->tiers = (struct tier_rules){0};
	return true;
}

static bool drop_level(struct plan *plan, unsigned i)
{
	if (i == 0 || i >= plan->tiers.n_levels)
		return false;
	for (; i + 1 < plan->tiers.n_levels; i++)
		plan->tiers.levels[i] = plan->tiers.levels[i + 1];
	plan->tiers.n_levels--;
	return true;
}

static bool drop_promotion(struct plan *plan, unsigned i)
{
	if (i >= plan->n_promotions)
		return false;
	for (; i + 1 < plan->n_promotions; i++)
		plan->promotions[i] = plan->promotions[i + 1];
	plan->n_promotions--;
	return true;
}

static bool drop_rule(struct plan *plan, unsigned i)
{
	if (i >= plan->n_rules || plan->n_rules == 1)
		return false;
	for (; i + 1 < plan->n_rules; i++) {
		plan->rules[i] = plan->rules[i + 1];
		plan->rule_items[i] = plan->rule_items[i + 1];
	}
	plan->n_rules--;
	return true;
}

static bool drop_rewards(struct plan *plan, unsigned i)
{
	for (unsigned at = 0; at < plan->n_events; at++)
		if (plan->events[at].reward >= 0)
			return false;
	return i == 0 && SET(plan->n_rewards, 0);
}

static void leave_ledger(uint8_t *ledger, uint8_t gone)
{
	if (*ledger != LEDGER_ALL && *ledger >= gone)
		*ledger = *ledger == gone ? 0 : *ledger - 1;
}

/* Whatever was of it is of the first one then. */
static bool drop_ledger(struct plan *plan, unsigned i)
{
	if (i >= plan->n_ledgers || plan->n_ledgers == 1)
		return false;
	const uint8_t gone = (uint8_t)i;
	for (; i + 1 < plan->n_ledgers; i++)
		plan->ledgers[i] = plan->ledgers[i + 1];
	plan->n_ledgers--;
	for (unsigned at = 0; at < plan->n_rules; at++)
		leave_ledger(&plan->rules[at].ledger, gone);
	for (unsigned at = 0; at < plan->n_promotions; at++)
		leave_ledger(&plan->promotions[at].ledger, gone);
	for (unsigned at = 0; at < plan->n_rewards; at++)
		leave_ledger(&plan->rewards[at].ledger, gone);
	for (unsigned at = 0; at < plan->n_events; at++) {
		int8_t *const ledger = &plan->events[at].ledger;
		if (*ledger >= (int)gone && *ledger < (int)PLAN_LEDGERS)
			*ledger = *ledger == (int)gone ? -1 : (int8_t)(*ledger - 1);
	}
	return true;
}

/* --- numbers of the programme --------------------------------------------------------------------------------------------- */

static bool never_expires(struct plan *plan, unsigned i)
{
	if (i >= plan->n_ledgers || plan->ledgers[i].expiry == EXPIRY_NEVER)
		return false;
	plan->ledgers[i].expiry = EXPIRY_NEVER;
	plan->ledgers[i].expiry_n = 0;
	return true;
}

static bool not_pending(struct plan *plan, unsigned i)
{
	return i < plan->n_ledgers && SET(plan->ledgers[i].pending_days, 0);
}

static bool plain_rounding(struct plan *plan, unsigned i)
{
	if (i >= plan->n_ledgers)
		return false;
	struct ledger_rules *const ledger = &plan->ledgers[i];
	const bool changed = SET(ledger->rounding, ROUND_FLOOR);
	return SET(ledger->decimals, 3) || changed;
}

static bool no_cap(struct plan *plan, unsigned i)
{
	return i < plan->n_ledgers && SET(plan->ledgers[i].max_per_order_milli, 0);
}

static bool take_debt(struct plan *plan, unsigned i)
{
	return i < plan->n_ledgers && SET(plan->ledgers[i].negative, NEGATIVE_DEBT);
}

static bool always(struct plan *plan, unsigned i)
{
	if (i >= PLAN_RULES || i >= plan->n_rules)
		return false;
	const bool changed = SET(plan->rules[i].from_day, DAY_MIN);
	return SET(plan->rules[i].until_day, DAY_MAX) || changed;
}

static bool by_amount(struct plan *plan, unsigned i)
{
	return i < plan->n_rules && plan->rules[i].kind == RULE_PER_STEP && SET(plan->rules[i].kind, RULE_PER_AMOUNT);
}

static bool plain_rate(struct plan *plan, unsigned i)
{
	if (i >= plan->n_rules || plan->rules[i].kind >= RULE_PER_VISIT)
		return false;
	const bool changed = SET(plan->rules[i].points_milli, 1000);
	return SET(plan->rules[i].amount_minor, 100) || changed;
}

static bool plain_promotion(struct plan *plan, unsigned i)
{
	if (i >= plan->n_promotions)
		return false;
	struct promotion *const p = &plan->promotions[i];
	bool changed = SET(p->from_day, DAY_MIN);
	changed |= SET(p->until_day, DAY_MAX);
	changed |= SET(p->weekdays, WEEKDAY_ALL);
	return SET(p->min_minor, 0) || changed;
}

static bool plain_level(struct plan *plan, unsigned i)
{
	if (i >= plan->tiers.n_levels)
		return false;
	struct multiplier *const m = &plan->tiers.levels[i].multiplier;
	const bool changed = SET(m->num, 1);
	return SET(m->den, 1) || changed;
}

static bool no_review(struct plan *plan, unsigned i)
{
	return i == 0 && SET(plan->tiers.valid_months, 0);
}

static bool nothing_excluded(struct plan *plan, unsigned i)
{
	return i == 0 && SET(plan->excluded, 0);
}

static bool plain_programme(struct plan *plan, unsigned i)
{
	switch (i) {
	case 0:
		return SET(plan->zone, 0);
	case 1:
		return SET(plan->segment_months, 6);
	case 2:
		return SET(plan->lateness_us, 1000 * DAY_US);
	case 3:
		return SET(plan->open_max, PLAN_EVENTS);
	default:
		return false;
	}
}

/* --- events --------------------------------------------------------------------------------------------------------------- */

static bool one_line(struct plan *plan, unsigned i)
{
	return i < plan->n_events && plan->events[i].n_lines > 1 && SET(plan->events[i].n_lines, 1);
}

static bool plain_lines(struct plan *plan, unsigned i)
{
	if (i >= plan->n_events)
		return false;
	struct plan_event *const event = &plan->events[i];
	bool changed = false;
	for (unsigned at = 0; at < event->n_lines; at++) {
		changed |= SET(event->lines[at].item, PLAN_ITEMS - 1);
		changed |= SET(event->lines[at].qty_milli, 1000);
	}
	return changed;
}

static bool plain_amounts(struct plan *plan, unsigned i)
{
	if (i >= plan->n_events)
		return false;
	struct plan_event *const event = &plan->events[i];
	bool changed = false;
	for (unsigned at = 0; at < event->n_lines; at++)
		changed |= SET(event->lines[at].amount_minor, 100);
	if (event->kind == EVENT_REFUND && event->n_lines == 0)
		changed |= SET(event->amount_minor, 100);
	if (event->points_milli)
		changed |= SET(event->points_milli, event->points_milli < 0 ? -1000 : 1000);
	return changed;
}

static bool plain_names(struct plan *plan, unsigned i)
{
	if (i >= plan->n_events)
		return false;
	struct plan_event *const event = &plan->events[i];
	bool changed = SET(event->source, 0);
	changed |= SET(event->ledger, -1);
	if (event->points_milli)
		changed |= SET(event->reward, -1);
	return SET(event->declined, false) || changed;
}

/* At noon, so that they keep their days where clocks change. */
static bool plain_time(struct plan *plan, unsigned i)
{
	if (i >= plan->n_events)
		return false;
	const int64_t time_us = plan->events[i].time_us;
	return SET(plan->events[i].time_us, time_us - time_us % DAY_US + DAY_US / 2);
}

/* The way from the event before, half as long. */
static bool sooner(struct plan *plan, unsigned i)
{
	if (i == 0 || i >= plan->n_events)
		return false;
	const int64_t days = (plan->events[i].time_us - plan->events[i - 1].time_us) / DAY_US;
	if (days < 2)
		return false;
	for (unsigned at = i; at < plan->n_events; at++)
		plan->events[at].time_us -= days / 2 * DAY_US;
	return true;
}

static bool (*const STEPS[])(struct plan *, unsigned) = {
	drop_tiers,    drop_ledger,     drop_promotion, drop_rule, drop_level,      drop_rewards, nothing_excluded,
	never_expires, not_pending,     plain_rounding, no_cap,    take_debt,       always,       by_amount,
	plain_rate,    plain_promotion, plain_level,    no_review, plain_programme, one_line,     plain_lines,
	plain_amounts, plain_names,     plain_time,     sooner,
};

unsigned plan_steps(void)
{
	return sizeof(STEPS) / sizeof(STEPS[0]);
}

unsigned plan_places(void)
{
	return PLAN_EVENTS;
}

bool plan_simplify(struct plan *plan, unsigned step, unsigned place)
{
	return step < plan_steps() && STEPS[step](plan, place);
}
