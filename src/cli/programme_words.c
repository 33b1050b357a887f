#include "cli/programme_show.h"

#include "base/tz.h"
#include "cli/show.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Items that a line names; of more, how many there are. */
#define ITEMS_SHOWN 6u
#define WORDS_BYTES 96u

static void text(const char *value)
{
	show_text(stdout, slice_of(value));
}

/* "  name       " */
static void label(const char *name)
{
	fputs("  ", stdout);
	text(name);
	/* Names are mostly short; a long one pushes its line to the right. */
	for (size_t len = strlen(name); len < 16; len++)
		putchar(' ');
	putchar(' ');
}

static const char *days_text(int64_t n, const char *unit, char out[WORDS_BYTES])
{
	snprintf(out, WORDS_BYTES, "%" PRId64 " %s%s", n, unit, n == 1 ? "" : "s");
	return out;
}

static const char *day_text(int32_t day, char out[WORDS_BYTES])
{
	static const char *const MONTHS[] = {"January", "February", "March",     "April",   "May",      "June",
					     "July",    "August",   "September", "October", "November", "December"};
	int year;
	int month;
	int of_month;
	civil_date(day, &year, &month, &of_month);
	snprintf(out, WORDS_BYTES, "%d %s %d", of_month, MONTHS[month - 1], year);
	return out;
}

static void print_period(int32_t from, int32_t until)
{
	char first[WORDS_BYTES];
	char last[WORDS_BYTES];
	if (from == DAY_MIN && until == DAY_MAX)
		fputs("always", stdout);
	else if (from == until)
		printf("on %s", day_text(from, first));
	else if (until == DAY_MAX)
		printf("from %s on", day_text(from, first));
	else if (from == DAY_MIN)
		printf("until %s", day_text(until, last));
	else
		printf("from %s to %s", day_text(from, first), day_text(until, last));
}

static void print_points(const struct programme *p, unsigned ledger, int64_t points_milli)
{
	char n[NUMBER_TEXT_MAX];
	printf("%s ", points_text(points_milli, n));
	text(p->ledgers[ledger].unit);
}

static void print_amount(const struct programme *p, int64_t amount_minor)
{
	char n[NUMBER_TEXT_MAX];
	printf("%s %s", decimal_text(amount_minor, 2, 2, n), p->currency);
}

static void print_multiplier(struct multiplier multiplier)
{
	char n[NUMBER_TEXT_MAX];
	printf("× %s", points_text(programme_multiplier_milli(multiplier), n));
}

/*
 * Ledgers.
 */

static void print_expiry(const struct ledger_rules *ledger)
{
	char n[WORDS_BYTES];
	switch (ledger->expiry) {
	case EXPIRY_NEVER:
		fputs("never expire", stdout);
		break;
	case EXPIRY_DAYS:
		printf("expire %s after they were earned", days_text(ledger->expiry_n, "day", n));
		break;
	case EXPIRY_MONTHS:
		printf("expire %s after they were earned", days_text(ledger->expiry_n, "month", n));
		break;
	case EXPIRY_MONTHS_AFTER_MONTH:
		printf("expire %s after the end of the month in which they were earned",
		       days_text(ledger->expiry_n, "month", n));
		break;
	case EXPIRY_INACTIVITY:
		printf("expire %s after the last order", days_text(ledger->expiry_n, "month", n));
		break;
	}
}

static const char *value_text(int64_t value_micro, char out[NUMBER_TEXT_MAX])
{
	decimal_text(value_micro, 6, 6, out);
	/* Two decimals, and more where they are. */
	for (size_t len = strlen(out); out[len - 1] == '0' && out[len - 3] != '.'; len--)
		out[len - 1] = '\0';
	return out;
}

static void print_ledger(const struct programme *p, unsigned i)
{
	static const char *const ROUNDINGS[] = {"down", "to the nearest, half up", "to the nearest, half to even",
						"up"};
	static const char *const UNITS[] = {"1", "0.1", "0.01", "0.001"};
	const struct ledger_rules *const ledger = &p->ledgers[i];
	char n[WORDS_BYTES];
	char value[NUMBER_TEXT_MAX];
	label(ledger->name);
	text(ledger->unit);
	printf(", rounded %s to %s\n", ROUNDINGS[ledger->rounding], UNITS[ledger->decimals]);
	label("");
	print_expiry(ledger);
	putchar('\n');
	if (ledger->pending_days) {
		label("");
		printf("can be spent %s after they were earned\n", days_text(ledger->pending_days, "day", n));
	}
	label("");
	printf("what is taken and not there %s\n", ledger->negative == NEGATIVE_DEBT ? "becomes debt" : "is forgiven");
	if (ledger->max_per_order_milli) {
		label("");
		printf("at most %s an order\n", points_text(ledger->max_per_order_milli, value));
	}
	if (ledger->value_micro) {
		label("");
		printf("each is worth %s %s\n", value_text(ledger->value_micro, value), p->currency);
	}
}

/*
 * Rules and promotions.
 */

static bool is_of_rule(const struct item_rules *item, uint64_t rule)
{
	return (item->rules & rule) != 0;
}

static bool is_excluded(const struct item_rules *item, uint64_t unused)
{
	(void)unused;
	return item->excluded;
}

static void print_items(const struct programme *p, bool (*holds)(const struct item_rules *, uint64_t), uint64_t rule)
{
	unsigned n = 0;
	for (unsigned i = 0; i < p->n_items; i++) {
		if (!holds(&p->items[i], rule))
			continue;
		if (n < ITEMS_SHOWN) {
			fputs(n ? ", " : "", stdout);
			text(p->items[i].name);
		}
		n++;
	}
	if (n > ITEMS_SHOWN)
		printf(" and %u more", n - ITEMS_SHOWN);
}

static void print_rule(const struct programme *p, unsigned i)
{
	const struct earn_rule *const rule = &p->rules[i];
	char n[NUMBER_TEXT_MAX];
	label(rule->name);
	fputs(points_text(rule->points_milli, n), stdout);
	switch (rule->kind) {
	case RULE_PER_AMOUNT:
		fputs(" for each ", stdout);
		print_amount(p, rule->amount_minor);
		fputs(", also for a part of it", stdout);
		break;
	case RULE_PER_STEP:
		fputs(" for each whole ", stdout);
		print_amount(p, rule->amount_minor);
		break;
	case RULE_PER_VISIT:
		fputs(" for each order", stdout);
		if (rule->amount_minor) {
			fputs(" of at least ", stdout);
			print_amount(p, rule->amount_minor);
		}
		break;
	case RULE_PER_ITEM:
		fputs(" for each of ", stdout);
		print_items(p, is_of_rule, UINT64_C(1) << i);
		break;
	}
	fputs(", in ", stdout);
	text(p->ledgers[rule->ledger].name);
	fputs("; ", stdout);
	print_period(rule->from_day, rule->until_day);
	putchar('\n');
}

static void print_excluded(const struct programme *p)
{
	bool any = false;
	for (unsigned i = 0; i < p->n_items; i++)
		any = any || p->items[i].excluded;
	if (!any)
		return;
	fputs("  nothing is earned by the amount of ", stdout);
	print_items(p, is_excluded, 0);
	putchar('\n');
}

static void print_weekdays(unsigned weekdays)
{
	static const char *const DAYS[] = {"Mondays", "Tuesdays",  "Wednesdays", "Thursdays",
					   "Fridays", "Saturdays", "Sundays"};
	unsigned n = 0;
	unsigned at = 0;
	for (unsigned day = 0; day < 7; day++)
		n += weekdays >> day & 1;
	for (unsigned day = 0; day < 7; day++) {
		if (!(weekdays >> day & 1))
			continue;
		printf("%s%s", at == 0 ? " on " : at + 1 == n ? " and " : ", ", DAYS[day]);
		at++;
	}
}

static void print_promotion(const struct programme *p, const struct promotion *promotion)
{
	label(promotion->name);
	print_multiplier(promotion->multiplier);
	if (promotion->weekdays != WEEKDAY_ALL)
		print_weekdays(promotion->weekdays);
	if (promotion->min_minor) {
		fputs(", on orders of at least ", stdout);
		print_amount(p, promotion->min_minor);
	}
	if (promotion->ledger != LEDGER_ALL && p->n_ledgers > 1) {
		fputs(", in ", stdout);
		text(p->ledgers[promotion->ledger].name);
	}
	fputs("; ", stdout);
	print_period(promotion->from_day, promotion->until_day);
	putchar('\n');
}

/* Promotions that share a group. */
static void print_groups(const struct programme *p)
{
	for (unsigned group = 0; group < p->n_promotions; group++) {
		unsigned n = 0;
		for (unsigned i = 0; i < p->n_promotions; i++)
			n += p->promotions[i].group == group;
		if (n < 2)
			continue;
		fputs("  of ", stdout);
		for (unsigned i = 0, at = 0; i < p->n_promotions; i++) {
			if (p->promotions[i].group != group)
				continue;
			fputs(at == 0 ? "" : at + 1 == n ? " and " : ", ", stdout);
			text(p->promotions[i].name);
			at++;
		}
		puts(" only the greatest holds");
	}
}

/*
 * Tiers and rewards.
 */

static void print_threshold(const struct programme *p, const struct tier_level *level)
{
	char n[NUMBER_TEXT_MAX];
	switch (p->tiers.metric) {
	case METRIC_SPEND:
		print_amount(p, level->threshold);
		break;
	case METRIC_POINTS_EARNED:
		print_points(p, 0, level->threshold);
		break;
	case METRIC_VISITS:
		printf("%s visits", number_text((uint64_t)level->threshold, n));
		break;
	}
}

static void print_tiers(const struct programme *p)
{
	static const char *const METRICS[] = {"what was spent", "what was earned in the first ledger",
					      "the days with an order"};
	static const char *const DOWNGRADES[] = {"to the level that is reached", "one level", "to the first level"};
	const struct tier_rules *const tiers = &p->tiers;
	char n[WORDS_BYTES];
	printf("\ntiers, by %s in %s%s\n", METRICS[tiers->metric],
	       tiers->window == WINDOW_CALENDAR_YEAR ? "the calendar year" : "the last ",
	       tiers->window == WINDOW_CALENDAR_YEAR ? "" : days_text(tiers->window_months, "month", n));
	for (unsigned i = 0; i < tiers->n_levels; i++) {
		label(tiers->levels[i].name);
		fputs("from ", stdout);
		print_threshold(p, &tiers->levels[i]);
		fputs(": ", stdout);
		print_multiplier(tiers->levels[i].multiplier);
		putchar('\n');
	}
	if (tiers->valid_months)
		printf("  reviewed after %s; who does not reach it any more falls %s\n",
		       days_text(tiers->valid_months, "month", n), DOWNGRADES[tiers->downgrade]);
	else
		puts("  kept for ever");
}

static void print_rewards(const struct programme *p)
{
	puts("\nrewards");
	for (unsigned i = 0; i < p->n_rewards; i++) {
		label(p->rewards[i].id);
		print_points(p, p->rewards[i].ledger, p->rewards[i].cost_milli);
		putchar('\n');
	}
}

void programme_print(const struct programme *programme)
{
	const struct programme *const p = programme;
	char n[WORDS_BYTES];
	text(p->name);
	printf("\n  amounts in %s, days of %s; programme %s\n\nledgers\n", p->currency, tz_name(p->timezone),
	       p->hash_text);
	for (unsigned i = 0; i < p->n_ledgers; i++)
		print_ledger(p, i);
	puts("\nearning");
	for (unsigned i = 0; i < p->n_rules; i++)
		print_rule(p, i);
	print_excluded(p);
	if (p->n_promotions)
		puts("\npromotions");
	for (unsigned i = 0; i < p->n_promotions; i++)
		print_promotion(p, &p->promotions[i]);
	print_groups(p);
	if (p->tiers.n_levels)
		print_tiers(p);
	if (p->n_rewards)
		print_rewards(p);
	printf("\nsegments look back %s", days_text(p->segment_months, "month", n));
	printf("\nlate events count at once when they are at most %s late, and among the last %" PRIu32
	       " of their account\n",
	       days_text(p->lateness_us / (INT64_C(86400) * 1000000), "day", n), p->open_max);
}
