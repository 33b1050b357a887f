/* The words and numbers of an explanation. */
#include "serving/explain_internal.h"

#include "base/utf8.h"

#include <inttypes.h>
#include <stdlib.h>

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

void say_decimal(FILE *out, int64_t value, unsigned scale, unsigned least)
{
	uint64_t magnitude = value < 0 ? -(uint64_t)value : (uint64_t)value;
	uint64_t unit = 1;
	for (unsigned i = 0; i < scale; i++)
		unit *= 10;
	uint64_t fraction = magnitude % unit;
	for (; scale > least && fraction % 10 == 0; scale--)
		fraction /= 10;
	if (value < 0)
		fputs(SIGN_MINUS, out);
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
	fputs(digits <= DIGITS_MAX ? " = " : " " SIGN_ABOUT " ", out);
	say_long_division(out, num, den, digits <= DIGITS_MAX ? digits : DIGITS_ABOUT);
	if (digits > DIGITS_MAX && is_exact && den <= FRACTION_MAX && num <= FRACTION_MAX)
		fprintf(out, " (%" PRId64 "/%" PRId64 ")", (int64_t)num, (int64_t)den);
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

void say_day(FILE *out, int32_t day)
{
	char date[11];
	civil_format(day, date);
	fputs(date, out);
}

/* ---- what happened ---- */

void say_money_in(FILE *out, const struct programme *programme, int64_t minor)
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
	fputs(" " SIGN_ARROW " ", out);
	say_text(out, slice_of(tiers->levels[posting->tier_after].name));
	fputs(": ", out);
	if (!step->event)
		fputs("reviewed, ", out);
	say_metric(out, explain->programme, step->tier.metric,
		   tiers->levels[up ? posting->tier_after : posting->tier].threshold, posting->day);
	if (!up && step->event)
		fputs(", since money came back", out);
}
