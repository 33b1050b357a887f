/*
 * The words and numbers of an explanation. The kernel did the computing (earn_detail); here it is only shown.
 */
#include "serving/explain_internal.h"

#include "base/utf8.h"

#include <inttypes.h>
#include <stdlib.h>

#define MULTIPLY "\xC3\x97"     /* × */
#define MINUS    "\xE2\x88\x92" /* − */
#define ARROW    "\xE2\x86\x92" /* → */
#define ABOUT    "\xE2\x89\x88" /* ≈ */
#define FLOOR    "\xE2\x8C\x8A" /* ⌊ */
#define END      "\xE2\x8C\x8B" /* ⌋ */

/* More digits than a till's amounts and a programme's multipliers give; what has more is shown as a fraction. */
#define DIGITS_MAX 12u
/* Digits of a number that does not end. */
#define DIGITS_ABOUT 6u
/* A fraction with greater numbers tells nobody anything. */
#define FRACTION_MAX 100000

/* ---- numbers ---- */

/* 1234567 as 1,234,567. */
static void say_grouped(FILE *out, uint64_t value)
{
	char digits[24];
	const int n = snprintf(digits, sizeof(digits), "%" PRIu64, value);
	for (int i = 0; i < n; i++) {
		if (i && (n - i) % 3 == 0)
			fputc(',', out);
		fputc(digits[i], out);
	}
}

/* value · 10^-scale with at least `least` digits behind the point, and as many more as are not 0. */
static void say_decimal(FILE *out, int64_t value, unsigned scale, unsigned least)
{
	uint64_t magnitude = value < 0 ? -(uint64_t)value : (uint64_t)value;
	uint64_t unit = 1;
	for (unsigned i = 0; i < scale; i++)
		unit *= 10;
	uint64_t fraction = magnitude % unit;
	for (; scale > least && fraction % 10 == 0; scale--)
		fraction /= 10;
	if (value < 0)
		fputs(MINUS, out);
	say_grouped(out, magnitude / unit);
	if (scale)
		fprintf(out, ".%0*" PRIu64, (int)scale, fraction);
}

void say_points(FILE *out, int64_t points_milli)
{
	say_decimal(out, points_milli, 3, 0);
}

void say_money(FILE *out, int64_t minor)
{
	say_decimal(out, minor, 2, 2);
}

void say_amount(FILE *out, const struct ledger_rules *ledger, int64_t points_milli)
{
	say_points(out, points_milli);
	const char *const unit = ledger->unit && *ledger->unit ? ledger->unit : "points";
	const size_t len = strlen(unit);
	/* "1 points" hurts the eye; other languages' units rarely end so. */
	const bool one = points_milli == 1000 && len > 1 && unit[len - 1] == 's' && unit[len - 2] != 's';
	fputc(' ', out);
	say_text(out, (struct slice){unit, one ? len - 1 : len});
}

static __int128 greatest_divisor(__int128 a, __int128 b)
{
	while (b) {
		const __int128 rest = a % b;
		a = b;
		b = rest;
	}
	return a;
}

/* How many digits behind the point num / den has (in lowest terms); DIGITS_MAX + 1: more than are shown, or without end. */
static unsigned count_digits(__int128 den)
{
	unsigned digits = 0;
	for (; den % 10 == 0; den /= 10)
		digits++;
	/* Then one of the two is left, if it ends at all. */
	for (; den % 2 == 0; den /= 2)
		digits++;
	for (; den % 5 == 0; den /= 5)
		digits++;
	return den == 1 && digits <= DIGITS_MAX ? digits : DIGITS_MAX + 1;
}

static void say_long_division(FILE *out, __int128 num, __int128 den, unsigned digits)
{
	say_grouped(out, (uint64_t)(num / den));
	__int128 rest = num % den;
	if (digits)
		fputc('.', out);
	for (unsigned i = 0; i < digits; i++) {
		rest *= 10;
		fputc((char)('0' + (int)(rest / den)), out);
		rest %= den;
	}
}

void say_equals(FILE *out, __int128 num, __int128 den)
{
	/* To points; numbers beyond what long division bears lose bits that no digit shows. */
	const __int128 large = (__int128)1 << 100;
	bool is_exact = true;
	for (; den > large || num > large; num /= 2, den /= 2)
		is_exact = false;
	__int128 divisor = greatest_divisor(num, 1000);
	num /= divisor;
	den *= 1000 / divisor;
	divisor = greatest_divisor(num, den);
	if (divisor > 1) {
		num /= divisor;
		den /= divisor;
	}
	const unsigned digits = is_exact ? count_digits(den) : DIGITS_MAX + 1;
	fputs(digits <= DIGITS_MAX ? " = " : " " ABOUT " ", out);
	say_long_division(out, num, den, digits <= DIGITS_MAX ? digits : DIGITS_ABOUT);
	if (digits > DIGITS_MAX && is_exact && den <= FRACTION_MAX && num <= FRACTION_MAX)
		fprintf(out, " (%" PRId64 "/%" PRId64 ")", (int64_t)num, (int64_t)den);
}

static void say_multiplier(FILE *out, const struct multiplier *multiplier, const char *name)
{
	fputs(" " MULTIPLY " ", out);
	/* From text with at most three decimals. */
	if (1000 % multiplier->den == 0)
		say_points(out, multiplier->num * (1000 / multiplier->den));
	else
		fprintf(out, "%" PRId64 "/%" PRId64, multiplier->num, multiplier->den);
	fputs(" (", out);
	say_text(out, slice_of(name));
	fputc(')', out);
}

void say_text(FILE *out, struct slice text)
{
	for (size_t i = 0; i < text.len;) {
		const size_t n = utf8_visible(text.data + i, text.len - i);
		fwrite(text.data + i, 1, n, out);
		i += n;
		if (i < text.len) {
			char mark[UTF8_MARK_MAX];
			i += utf8_mark(text.data + i, text.len - i, mark);
			fputs(mark, out);
		}
	}
}

static void say_day(FILE *out, int32_t day)
{
	char date[11];
	civil_format(day, date);
	fputs(date, out);
}

/* ---- what happened ---- */

static void say_money_in(FILE *out, const struct programme *programme, int64_t minor)
{
	say_money(out, minor);
	fprintf(out, " %s", programme->currency);
}

void say_metric_value(FILE *out, const struct programme *programme, int64_t value)
{
	switch (programme->tiers.metric) {
	case METRIC_SPEND:
		say_money(out, value);
		break;
	case METRIC_POINTS_EARNED:
		say_points(out, value);
		break;
	case METRIC_VISITS:
		say_decimal(out, value, 0, 0);
		break;
	}
}

void say_metric(FILE *out, const struct programme *programme, int64_t metric, int64_t threshold, int32_t day)
{
	const struct tier_rules *const tiers = &programme->tiers;
	say_metric_value(out, programme, metric);
	fputs(" of ", out);
	say_metric_value(out, programme, threshold);
	switch (tiers->metric) {
	case METRIC_SPEND:
		fprintf(out, " %s", programme->currency);
		break;
	case METRIC_POINTS_EARNED:
		fputc(' ', out);
		say_text(out, slice_of(programme->ledgers[0].unit ? programme->ledgers[0].unit : "points"));
		fputs(" earned", out);
		break;
	case METRIC_VISITS:
		fputs(" visit days", out);
		break;
	}
	if (tiers->window == WINDOW_ROLLING_MONTHS) {
		fprintf(out, " in %" PRId32 " month%s", tiers->window_months, tiers->window_months == 1 ? "" : "s");
	} else {
		int year;
		int month;
		int day_of_month;
		civil_date(day, &year, &month, &day_of_month);
		fprintf(out, " in %d", year);
	}
}

static void say_id(FILE *out, struct slice id)
{
	fputc(' ', out);
	say_text(out, id);
}

static void say_order(FILE *out, const struct programme *programme, const struct explain_event *event)
{
	fputs("order", out);
	say_id(out, event->fact.id);
	if (event->store.len) {
		fputs(" at ", out);
		say_text(out, event->store);
	}
	fputs(": ", out);
	say_money_in(out, programme, event->fact.total_minor);
	if (event->fact.eligible_minor != event->fact.total_minor) {
		fputs(", of which ", out);
		say_money(out, event->fact.eligible_minor);
		fputs(" earn", out);
	}
}

static void say_redemption(FILE *out, const struct programme *programme, const struct explain_event *event)
{
	const bool known = event->fact.ledger < programme->n_ledgers;
	fputs(event->fact.declined ? "declined: " : "redeemed ", out);
	if (event->reward.len) {
		say_text(out, event->reward);
		if (event->fact.points_milli && known) {
			fputs(" for ", out);
			say_amount(out, &programme->ledgers[event->fact.ledger], event->fact.points_milli);
		}
	} else if (known) {
		say_amount(out, &programme->ledgers[event->fact.ledger], event->fact.points_milli);
	}
	fputs(" (", out);
	say_text(out, event->fact.id);
	fputc(')', out);
}

void say_event(FILE *out, const struct programme *programme, const struct explain_event *event)
{
	switch (event->fact.kind) {
	case EVENT_ORDER:
		say_order(out, programme, event);
		break;
	case EVENT_REFUND:
		fputs("refund", out);
		say_id(out, event->fact.id);
		fputs(" of order", out);
		say_id(out, event->order_id);
		fputs(": ", out);
		say_money_in(out, programme, event->fact.total_minor);
		break;
	case EVENT_REDEEM:
		say_redemption(out, programme, event);
		break;
	case EVENT_ADJUST:
		fputs("adjusted by hand (", out);
		say_text(out, event->fact.id);
		fputc(')', out);
		if (event->reason.len) {
			fputs(": ", out);
			say_text(out, event->reason);
		}
		break;
	}
}

/* The days on which what expires now was put into its lot; *from is DAY_MAX when that cannot be told. */
static void find_lot(const struct explain *explain, const struct posting *expired, size_t at, int32_t *from,
		     int32_t *to)
{
	*from = DAY_MAX;
	*to = DAY_MIN;
	for (size_t i = 0; i < at; i++) {
		const struct posting *const p = &explain->postings.items[i];
		if (p->ledger != expired->ledger || p->points_milli <= 0 || p->lot != expired->lot)
			continue;
		*from = p->day < *from ? p->day : *from;
		*to = p->day > *to ? p->day : *to;
	}
}

void say_expired(FILE *out, const struct explain *explain, const struct posting *posting, size_t at)
{
	const struct ledger_rules *const ledger = &explain->programme->ledgers[posting->ledger];
	fputs("expired: ", out);
	if (ledger->expiry == EXPIRY_INACTIVITY) {
		fprintf(out, "%" PRId32 " month%s without an order", ledger->expiry_n,
			ledger->expiry_n == 1 ? "" : "s");
		return;
	}
	int32_t from;
	int32_t to;
	find_lot(explain, posting, at, &from, &to);
	if (from == DAY_MAX) {
		fputs("the lot of this day", out);
		return;
	}
	fputs("lot of ", out);
	say_day(out, from);
	if (to != from) {
		fputs(" to ", out);
		say_day(out, to);
	}
}

void say_tier(FILE *out, const struct explain *explain, const struct explain_step *step, const struct posting *posting)
{
	const struct tier_rules *const tiers = &explain->programme->tiers;
	const bool up = posting->tier_after > posting->tier;
	fputs("tier ", out);
	say_text(out, slice_of(tiers->levels[posting->tier].name));
	fputs(" " ARROW " ", out);
	say_text(out, slice_of(tiers->levels[posting->tier_after].name));
	fputs(": ", out);
	if (!step->event)
		fputs("reviewed, ", out);
	say_metric(out, explain->programme, step->tier.metric,
		   tiers->levels[up ? posting->tier_after : posting->tier].threshold, posting->day);
	if (!up && step->event)
		fputs(", since money came back", out);
}

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
		fputs(" " MULTIPLY " ", out);
		say_amount(out, ledger, rule->points_milli);
		fputs(" / ", out);
		say_decimal(out, rule->amount_minor, 2, rule->amount_minor % 100 ? 2 : 0);
	} else {
		fputs(FLOOR, out);
		say_money_in(out, programme, eligible_minor);
		fputs(" / ", out);
		say_decimal(out, rule->amount_minor, 2, rule->amount_minor % 100 ? 2 : 0);
		fputs(END " " MULTIPLY " ", out);
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
	fputs(" " ARROW " ", out);
	say_points(out, rounded_milli);
	/* Down to a thousandth is what everybody expects. */
	if (ledger->rounding != ROUND_FLOOR || ledger->decimals != 3)
		fprintf(out, " (%s%s)", HOW[ledger->rounding], ledger->decimals == 0 ? " to a whole one" : "");
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
		say_points(lines->out, items->qty_milli);
		fputs(" " MULTIPLY " ", lines->out);
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
		fputs(" " ARROW " ", lines->out);
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
	fputs(" " MINUS " " FLOOR, out);
	say_points(out, detail.points_milli);
	fputs(" " MULTIPLY " (", out);
	say_money(out, of);
	fputs(" " MINUS " ", out);
	say_money(out, step->refunded_after_minor);
	fputs(") / ", out);
	say_money(out, of);
	fputs(END " = ", out);
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
