/*
 * The arithmetic of what an order earned and of what a refund took back. The kernel did the computing (earn_detail); here it is
 * only shown.
 */
#include "serving/explain_internal.h"

#include <inttypes.h>
#include <stdlib.h>

/* ---- what an order earned ---- */

/* One line at a time, given away when it is whole. */
struct lines {
	FILE *out;
	char *text;
	size_t len;
	explain_line_fn *give;
	void *context;
};

static int end_line(struct lines *lines)
{
	if (fflush(lines->out) != 0)
		return ERROR_NO_MEMORY;
	lines->give(lines->context, (struct slice){lines->text, lines->len});
	rewind(lines->out);
	return 0;
}

/* "base (since 2026-01-01): ". */
static void say_rule(FILE *out, const struct earn_rule *rule)
{
	say_text(out, slice_of(rule->name));
	if (rule->from_day != DAY_MIN && rule->until_day != DAY_MAX) {
		fputs(" (", out);
		say_day(out, rule->from_day);
		fputs(" to ", out);
		say_day(out, rule->until_day);
		fputc(')', out);
	} else if (rule->from_day != DAY_MIN) {
		fputs(" (since ", out);
		say_day(out, rule->from_day);
		fputc(')', out);
	} else if (rule->until_day != DAY_MAX) {
		fputs(" (until ", out);
		say_day(out, rule->until_day);
		fputc(')', out);
	}
	fputs(": ", out);
}

static void say_rate(FILE *out, const struct programme *programme, const struct earn_rule *rule, int64_t eligible_minor)
{
	const struct ledger_rules *const ledger = &programme->ledgers[rule->ledger];
	if (rule->kind == RULE_PER_AMOUNT) {
		say_money_in(out, programme, eligible_minor);
		fputs(" " SIGN_TIMES " ", out);
		say_amount(out, ledger, rule->points_milli);
		fputs(" / ", out);
		say_decimal(out, rule->amount_minor, 2, rule->amount_minor % 100 ? 2 : 0);
	} else {
		fputs(SIGN_FLOOR, out);
		say_money_in(out, programme, eligible_minor);
		fputs(" / ", out);
		say_decimal(out, rule->amount_minor, 2, rule->amount_minor % 100 ? 2 : 0);
		fputs(SIGN_FLOOR_END " " SIGN_TIMES " ", out);
		say_amount(out, ledger, rule->points_milli);
	}
}

static void say_rounded(FILE *out, const struct ledger_rules *ledger, int64_t rounded_milli)
{
	static const char *const HOW[] = {
		[ROUND_FLOOR] = "rounded down",
		[ROUND_HALF_UP] = "rounded half up",
		[ROUND_HALF_EVEN] = "rounded half to even",
		[ROUND_CEIL] = "rounded up",
	};
	fputs(" " SIGN_ARROW " ", out);
	say_points(out, rounded_milli);
	static const char *const TO[] = {" to a whole one", " to 0.1", " to 0.01", " to 0.001"};
	/* Down to a thousandth is what everybody expects. */
	if (ledger->rounding != ROUND_FLOOR || ledger->decimals != 3)
		fprintf(out, " (%s%s)", HOW[ledger->rounding], TO[ledger->decimals]);
}

static void say_multiplier(FILE *out, const struct multiplier *multiplier, const char *name)
{
	fputs(" " SIGN_TIMES " ", out);
	/* From text with at most three decimals. */
	if (1000 % multiplier->den == 0)
		say_points(out, multiplier->num * (1000 / multiplier->den));
	else
		fprintf(out, "%" PRId64 "/%" PRId64, multiplier->num, multiplier->den);
	fputs(" (", out);
	say_text(out, slice_of(name));
	fputc(')', out);
}

static void say_multipliers(FILE *out, const struct programme *programme, const struct earning_detail *detail,
			    unsigned tier)
{
	if (programme->tiers.n_levels && detail->tier.num != detail->tier.den)
		say_multiplier(out, &detail->tier, programme->tiers.levels[tier].name);
	for (unsigned i = 0; i < programme->n_promotions; i++)
		if (detail->promotions >> i & 1)
			say_multiplier(out, &programme->promotions[i].multiplier, programme->promotions[i].name);
}

static bool is_rate(const struct programme *programme, const struct earning_detail *detail, unsigned rule)
{
	const enum rule_kind kind = programme->rules[rule].kind;
	return (detail->rules >> rule & 1) && (kind == RULE_PER_AMOUNT || kind == RULE_PER_STEP);
}

/* What one of several rates gave, before the multipliers. */
static void say_share(FILE *out, const struct earn_rule *rule, int64_t eligible_minor)
{
	if (rule->kind == RULE_PER_AMOUNT)
		say_equals(out, (__int128)eligible_minor * rule->points_milli, rule->amount_minor);
	else
		say_equals(out, (__int128)(eligible_minor / rule->amount_minor) * rule->points_milli, 1);
}

/* Rates and multipliers: one line, or one a rule and one for their sum. */
static int say_base(struct lines *lines, const struct programme *programme, const struct explain_event *event,
		    unsigned tier, unsigned ledger, const struct earning_detail *detail)
{
	unsigned rates = 0;
	for (unsigned i = 0; i < programme->n_rules; i++)
		rates += is_rate(programme, detail, i);
	if (!rates)
		return 0;
	for (unsigned i = 0; i < programme->n_rules; i++) {
		if (!is_rate(programme, detail, i))
			continue;
		say_rule(lines->out, &programme->rules[i]);
		say_rate(lines->out, programme, &programme->rules[i], event->fact.eligible_minor);
		if (rates == 1)
			break;
		say_share(lines->out, &programme->rules[i], event->fact.eligible_minor);
		const int rc = end_line(lines);
		if (rc < 0)
			return rc;
	}
	if (rates > 1) {
		fputs("together", lines->out);
		say_equals(lines->out, detail->base_num, detail->base_den);
	}
	/* Without a multiplier the sum of several is said already. */
	const bool multiplied = detail->tier.num != detail->tier.den || detail->promotions;
	say_multipliers(lines->out, programme, detail, tier);
	if (rates == 1 || multiplied)
		say_equals(lines->out, detail->multiplied_num, detail->multiplied_den);
	if ((__int128)detail->rounded_milli * detail->multiplied_den != detail->multiplied_num)
		say_rounded(lines->out, &programme->ledgers[ledger], detail->rounded_milli);
	return end_line(lines);
}

/* "2 latte", "3 (latte, tea)". */
static void say_counted(FILE *out, const struct explain_items *items)
{
	say_points(out, items->qty_milli);
	fputs(items->n_named == 1 ? " " : " (", out);
	for (unsigned i = 0; i < items->n_named && i < EXPLAIN_NAMED_MAX; i++) {
		fputs(i ? ", " : "", out);
		say_text(out, slice_of(items->named[i]->name));
	}
	if (items->n_named > EXPLAIN_NAMED_MAX)
		fputs(", \xE2\x80\xA6", out); /* … */
	if (items->n_named > 1)
		fputc(')', out);
}

static int say_items(struct lines *lines, const struct programme *programme, const struct explain_event *event,
		     unsigned ledger, const struct earning_detail *detail)
{
	__int128 sum_micro = 0;
	unsigned n = 0;
	for (unsigned i = 0; i < event->n_items; i++) {
		const struct explain_items *const items = &event->items[i];
		const struct earn_rule *const rule = &programme->rules[items->rule];
		if (rule->ledger != ledger || !(detail->rules >> items->rule & 1))
			continue;
		if (n++) {
			const int rc = end_line(lines);
			if (rc < 0)
				return rc;
		}
		const __int128 micro = (__int128)items->qty_milli * rule->points_milli;
		sum_micro += micro;
		say_rule(lines->out, rule);
		say_counted(lines->out, items);
		fputs(" " SIGN_TIMES " ", lines->out);
		say_amount(lines->out, &programme->ledgers[ledger], rule->points_milli);
		say_equals(lines->out, micro, 1000);
	}
	if (!n)
		return 0;
	if (sum_micro != (__int128)detail->items_milli * 1000) {
		if (n > 1) {
			fputs("; together", lines->out);
			say_equals(lines->out, sum_micro, 1000);
		}
		say_rounded(lines->out, &programme->ledgers[ledger], detail->items_milli);
	}
	return end_line(lines);
}

static int say_visits(struct lines *lines, const struct programme *programme, unsigned ledger,
		      const struct earning_detail *detail)
{
	int rc = 0;
	for (unsigned i = 0; rc == 0 && i < programme->n_rules; i++) {
		const struct earn_rule *const rule = &programme->rules[i];
		if (rule->kind != RULE_PER_VISIT || !(detail->rules >> i & 1))
			continue;
		say_rule(lines->out, rule);
		say_amount(lines->out, &programme->ledgers[ledger], rule->points_milli);
		fputs(" for the visit", lines->out);
		if (rule->amount_minor) {
			fputs(", of at least ", lines->out);
			say_money_in(lines->out, programme, rule->amount_minor);
		}
		rc = end_line(lines);
	}
	return rc;
}

/* The sum, where there is more than one part; and what the cap took. */
static int say_total(struct lines *lines, const struct programme *programme, unsigned ledger,
		     const struct earning_detail *detail)
{
	const int64_t parts[] = {detail->rounded_milli, detail->items_milli, detail->visits_milli};
	unsigned n = 0;
	for (unsigned i = 0; i < 3; i++) {
		if (!parts[i])
			continue;
		if (n++)
			fputs(" + ", lines->out);
		say_points(lines->out, parts[i]);
	}
	if (n > 1) {
		fputs(" = ", lines->out);
		say_points(lines->out, detail->points_milli + detail->capped_milli);
	}
	if (detail->capped_milli) {
		fputs(" " SIGN_ARROW " ", lines->out);
		say_points(lines->out, detail->points_milli);
		fputs(": an order earns at most ", lines->out);
		say_amount(lines->out, &programme->ledgers[ledger], programme->ledgers[ledger].max_per_order_milli);
	} else if (n < 2) {
		rewind(lines->out);
		return 0;
	}
	return end_line(lines);
}

static int say_earning(struct lines *lines, const struct explain *explain, const struct explain_step *step,
		       unsigned ledger)
{
	struct earning_detail detail;
	if (earn_detail(explain->programme, &step->event->fact, step->tier_before, ledger, &detail) < 0 ||
	    !detail.rules)
		return 0;
	int rc = say_base(lines, explain->programme, step->event, step->tier_before, ledger, &detail);
	if (rc == 0)
		rc = say_items(lines, explain->programme, step->event, ledger, &detail);
	if (rc == 0)
		rc = say_visits(lines, explain->programme, ledger, &detail);
	return rc < 0 ? rc : say_total(lines, explain->programme, ledger, &detail);
}

/* ---- what a refund took back ---- */

/* V of docs/programme.md, "Refunds". */
static int64_t reversed_by(int64_t earned_milli, int64_t of_minor, int64_t refunded_minor)
{
	if (of_minor == 0)
		return 0;
	return earned_milli - (int64_t)((__int128)earned_milli * (of_minor - refunded_minor) / of_minor);
}

int64_t explain_taken(const struct explain *explain, const struct explain_step *step, unsigned ledger)
{
	if (!step->event)
		return 0;
	const struct fact *const fact = &step->event->fact;
	switch (fact->kind) {
	case EVENT_ORDER:
		return 0;
	case EVENT_REDEEM:
		return fact->declined || fact->ledger != ledger ? 0 : fact->points_milli;
	case EVENT_ADJUST:
		return fact->points_milli > 0 || fact->ledger != ledger ? 0 : -fact->points_milli;
	case EVENT_REFUND:
		break;
	}
	struct earning_detail detail;
	if (step->order == STEP_NONE)
		return 0;
	const struct explain_step *const order = &explain->steps[step->order];
	const struct fact *const of = &order->event->fact;
	if (earn_detail(explain->programme, of, order->tier_before, ledger, &detail) < 0)
		return 0;
	const int64_t whole = of->eligible_minor ? of->eligible_minor : of->total_minor;
	return reversed_by(detail.points_milli, whole, step->refunded_after_minor) -
	       reversed_by(detail.points_milli, whole, step->refunded_before_minor);
}

static int say_reversal(struct lines *lines, const struct explain *explain, const struct explain_step *step,
			unsigned ledger)
{
	if (step->order == STEP_NONE)
		return 0;
	const struct explain_step *const order = &explain->steps[step->order];
	const struct fact *const fact = &order->event->fact;
	struct earning_detail detail;
	if (earn_detail(explain->programme, fact, order->tier_before, ledger, &detail) < 0 || !detail.points_milli)
		return 0;
	const int64_t of = fact->eligible_minor ? fact->eligible_minor : fact->total_minor;
	const int64_t before = reversed_by(detail.points_milli, of, step->refunded_before_minor);
	FILE *const out = lines->out;
	say_money(out, step->refunded_after_minor);
	fputs(" of ", out);
	say_money(out, of);
	fprintf(out, " %s%s came back: ", explain->programme->currency, fact->eligible_minor ? " eligible" : "");
	say_points(out, detail.points_milli);
	fputs(" " SIGN_MINUS " " SIGN_FLOOR, out);
	say_points(out, detail.points_milli);
	fputs(" " SIGN_TIMES " (", out);
	say_money(out, of);
	fputs(" " SIGN_MINUS " ", out);
	say_money(out, step->refunded_after_minor);
	fputs(") / ", out);
	say_money(out, of);
	fputs(SIGN_FLOOR_END " = ", out);
	say_points(out, reversed_by(detail.points_milli, of, step->refunded_after_minor));
	fputs(", ", out);
	say_points(out, before);
	fputs(" before", out);
	return end_line(lines);
}

int explain_arithmetic(const struct explain *explain, const struct explain_step *step, unsigned ledger,
		       explain_line_fn *line, void *context)
{
	if (!step->event)
		return 0;
	struct lines lines = {.give = line, .context = context};
	lines.out = open_memstream(&lines.text, &lines.len);
	if (!lines.out)
		return ERROR_NO_MEMORY;
	int rc = 0;
	if (step->event->fact.kind == EVENT_ORDER)
		rc = say_earning(&lines, explain, step, ledger);
	else if (step->event->fact.kind == EVENT_REFUND)
		rc = say_reversal(&lines, explain, step, ledger);
	fclose(lines.out);
	free(lines.text);
	return rc;
}
