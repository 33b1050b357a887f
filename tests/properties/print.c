/* Plans for people: the programme in the words of programme.yaml, an event a line. */
#include "plan.h"

#include <stdio.h>

static const char *const KINDS[] = {"order", "refund", "redeem", "adjust"};

static void print_decimal(int64_t value, int64_t one)
{
	const uint64_t size = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
	printf("%s%llu.%0*llu", value < 0 ? "-" : "", (unsigned long long)(size / (uint64_t)one), one == 100 ? 2 : 3,
	       (unsigned long long)(size % (uint64_t)one));
}

static void print_points(int64_t milli)
{
	print_decimal(milli, 1000);
}

static void print_money(int64_t minor)
{
	print_decimal(minor, 100);
}

static void print_span(int32_t from, int32_t until)
{
	char date[11];
	if (from != DAY_MIN) {
		civil_format(from, date);
		printf(" from %s", date);
	}
	if (until != DAY_MAX) {
		civil_format(until, date);
		printf(" until %s", date);
	}
}

static void print_items(uint8_t items)
{
	for (unsigned i = 0; i < PLAN_ITEMS; i++)
		if (items >> i & 1)
			printf(" i%u", i);
}

static void print_ledger(const struct ledger_rules *ledger, unsigned i)
{
	static const char *const ROUNDINGS[] = {"floor", "half_up", "half_even", "ceil"};
	static const char *const EXPIRIES[] = {"never", "days", "months", "months_after_month", "inactivity"};
	printf("  ledger l%u: %u decimals, %s, expiry %s", i, ledger->decimals, ROUNDINGS[ledger->rounding],
	       EXPIRIES[ledger->expiry]);
	if (ledger->expiry != EXPIRY_NEVER)
		printf(" %d", ledger->expiry_n);
	printf(", pending %d days, negative %s", ledger->pending_days,
	       ledger->negative == NEGATIVE_DEBT ? "debt" : "forgive");
	if (ledger->max_per_order_milli) {
		printf(", at most ");
		print_points(ledger->max_per_order_milli);
	}
	printf("\n");
}

static void print_rule(const struct plan *plan, unsigned i)
{
	static const char *const RULES[] = {"per_amount", "per_step", "per_visit", "per_item"};
	const struct earn_rule *const rule = &plan->rules[i];
	printf("  rule r%u: l%u %s ", i, rule->ledger, RULES[rule->kind]);
	print_points(rule->points_milli);
	if (rule->kind == RULE_PER_ITEM) {
		print_items(plan->rule_items[i]);
	} else {
		printf(rule->kind == RULE_PER_VISIT ? " min " : " a ");
		print_money(rule->amount_minor);
	}
	print_span(rule->from_day, rule->until_day);
	printf("\n");
}

static void print_promotion(const struct promotion *p, unsigned i)
{
	printf("  promotion p%u: times %lld/%lld, group %u, ", i, (long long)p->multiplier.num,
	       (long long)p->multiplier.den, p->group);
	if (p->ledger == LEDGER_ALL)
		printf("all ledgers");
	else
		printf("l%u", p->ledger);
	printf(", weekdays 0x%02x, min ", p->weekdays);
	print_money(p->min_minor);
	print_span(p->from_day, p->until_day);
	printf("\n");
}

static void print_tiers(const struct tier_rules *tiers)
{
	static const char *const METRICS[] = {"spend", "points_earned", "visits"};
	static const char *const DOWNGRADES[] = {"requalify", "one_down", "to_base"};
	if (tiers->n_levels == 0)
		return;
	printf("  tiers: by %s of ", METRICS[tiers->metric]);
	if (tiers->window == WINDOW_CALENDAR_YEAR)
		printf("the year");
	else
		printf("%d months", tiers->window_months);
	printf(", valid %d months, downgrade %s; levels", tiers->valid_months, DOWNGRADES[tiers->downgrade]);
	for (unsigned i = 0; i < tiers->n_levels; i++)
		printf(" %lld (times %lld/%lld)", (long long)tiers->levels[i].threshold,
		       (long long)tiers->levels[i].multiplier.num, (long long)tiers->levels[i].multiplier.den);
	printf("\n");
}

static void print_event(const struct plan *plan, const struct plan_event *event)
{
	/* Local time, and what is behind its seconds. */
	const struct fact *fact = NULL;
	struct subject subject;
	struct plan one = *plan;
	one.events[0] = *event;
	one.n_events = 1;
	subject_init(&subject, &one);
	fact = &subject.facts[0];
	char local[20];
	civil_format_time(subject.programme->timezone, event->time_us, local);
	printf("  %s.%06lld (day %d) s%u %s %u", local, (long long)(event->time_us % 1000000), fact->day, event->source,
	       KINDS[event->kind], event->id);
	if (event->kind == EVENT_REFUND)
		printf(" of %u", event->order);
	for (unsigned i = 0; i < event->n_lines; i++) {
		printf(" i%u x ", event->lines[i].item);
		print_points(event->lines[i].qty_milli);
		printf(" = ");
		print_money(event->lines[i].amount_minor);
		printf(i + 1 < event->n_lines ? "," : "");
	}
	if (event->kind == EVENT_REFUND && event->n_lines == 0) {
		printf(" ");
		print_money(event->amount_minor);
	}
	if (event->kind >= EVENT_REDEEM && event->points_milli) {
		printf(" ");
		print_points(event->points_milli);
	}
	if (event->ledger >= 0)
		printf(" l%d", event->ledger);
	if (event->reward >= 0)
		printf(" w%d", event->reward);
	printf("%s%s%s\n", event->declined ? " declined" : "", fact->reject ? " is rejected: " : "",
	       reject_reason_name(fact->reject));
	subject_release(&subject);
}

void plan_print(const struct plan *plan)
{
	printf("programme: timezone %s, segments %d months, lateness %lld h, open_max %u\n", plan_zone_name(plan->zone),
	       plan->segment_months, (long long)(plan->lateness_us / INT64_C(3600000000)), plan->open_max);
	for (unsigned i = 0; i < plan->n_ledgers; i++)
		print_ledger(&plan->ledgers[i], i);
	for (unsigned i = 0; i < plan->n_rules; i++)
		print_rule(plan, i);
	if (plan->excluded) {
		printf("  excluded:");
		print_items(plan->excluded);
		printf("\n");
	}
	for (unsigned i = 0; i < plan->n_promotions; i++)
		print_promotion(&plan->promotions[i], i);
	print_tiers(&plan->tiers);
	for (unsigned i = 0; i < plan->n_rewards; i++) {
		printf("  reward w%u: l%u ", i, plan->rewards[i].ledger);
		print_points(plan->rewards[i].cost_milli);
		printf("\n");
	}
	printf("events, %u:\n", plan->n_events);
	for (unsigned i = 0; i < plan->n_events; i++)
		print_event(plan, &plan->events[i]);
}
