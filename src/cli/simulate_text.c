/* The report of `simulate` for people: a table a ledger, then what happens to customers. */
#include "base/tz.h"
#include "cli/show.h"
#include "cli/simulate_show.h"

#include <inttypes.h>
#include <string.h>

#define ARROW       "\xE2\x86\x92" /* → */
#define LABEL_WIDTH 16
#define CELL_WIDTH  22

static const char *const SIDES[SIMULATE_SIDES] = {"today", "other"};

/* ---- for people ---- */

static void print_difference(int64_t today, int64_t other, unsigned scale, unsigned digits)
{
	char text[NUMBER_TEXT_MAX];
	char cell[NUMBER_TEXT_MAX + 1];
	/* Sums that fit may have a difference that does not; it then has no meaning anyway. */
	int64_t difference;
	if (__builtin_sub_overflow(other, today, &difference)) {
		printf("%*s\n", CELL_WIDTH, "too much");
		return;
	}
	snprintf(cell, sizeof(cell), "%s%s", difference > 0 ? "+" : "", decimal_text(difference, scale, digits, text));
	printf(" %*s\n", CELL_WIDTH - 1, cell);
}

/* `has`: whether each side has such a thing. */
static void print_row(const char *label, const bool has[SIMULATE_SIDES], int64_t today, int64_t other, unsigned scale,
		      unsigned digits)
{
	const int64_t values[SIMULATE_SIDES] = {today, other};
	char text[NUMBER_TEXT_MAX];
	printf("  %-*s", LABEL_WIDTH, label);
	for (unsigned side = 0; side < SIMULATE_SIDES; side++)
		printf(" %*s", CELL_WIDTH - 1, has[side] ? decimal_text(values[side], scale, digits, text) : "-");
	print_difference(today, other, scale, digits);
}

static void print_heads(const char *label)
{
	printf("%-*s%*s%*s%*s\n", LABEL_WIDTH + 2, label, CELL_WIDTH, "today", CELL_WIDTH, "other", CELL_WIDTH,
	       "difference");
}

static void print_ledger(const struct simulation_shown *shown, const struct simulate_ledger *ledger)
{
	const struct simulate_points *const a = &ledger->side[SIMULATE_TODAY];
	const struct simulate_points *const b = &ledger->side[SIMULATE_OTHER];
	const char *const currency = shown->programmes[SIMULATE_TODAY]->currency;
	char label[64];
	putchar('\n');
	print_heads(ledger->name);
	print_row("issued", ledger->has, a->issued_milli, b->issued_milli, 3, 3);
	print_row("reversed", ledger->has, a->reversed_milli, b->reversed_milli, 3, 3);
	print_row("redeemed", ledger->has, a->redeemed_milli, b->redeemed_milli, 3, 3);
	print_row("expired", ledger->has, a->expired_milli, b->expired_milli, 3, 3);
	print_row("outstanding", ledger->has, a->outstanding_milli, b->outstanding_milli, 3, 3);
	print_row("  pending", ledger->has, a->pending_milli, b->pending_milli, 3, 3);
	print_row("debt", ledger->has, a->debt_milli, b->debt_milli, 3, 3);
	const bool priced[SIMULATE_SIDES] = {ledger->has[0] && ledger->value_micro[0] > 0,
					     ledger->has[1] && ledger->value_micro[1] > 0};
	if (!priced[0] && !priced[1])
		return;
	print_row("value of a point", priced, ledger->value_micro[0], ledger->value_micro[1], 6, 6);
	snprintf(label, sizeof(label), "cost %s", currency);
	print_row(label, priced, ledger->cost_minor[0], ledger->cost_minor[1], 2, 2);
	snprintf(label, sizeof(label), "liability %s", currency);
	print_row(label, priced, ledger->liability_minor[0], ledger->liability_minor[1], 2, 2);
}

static void print_rejected(const struct simulate_report *report)
{
	static const bool BOTH[SIMULATE_SIDES] = {true, true};
	putchar('\n');
	print_heads("rejected events");
	for (unsigned i = 1; i <= REJECT_MAX; i++)
		if (report->rejected[0][i] || report->rejected[1][i])
			print_row(reject_reason_name(i), BOTH, (int64_t)report->rejected[0][i],
				  (int64_t)report->rejected[1][i], 0, 0);
	print_row("all", BOTH, (int64_t)report->rejected[0][0], (int64_t)report->rejected[1][0], 0, 0);
}

static const char *level_name(const struct programme *programme, unsigned level)
{
	return level < programme->tiers.n_levels ? programme->tiers.levels[level].name : "no tier";
}

static void print_customers_of(uint64_t customers)
{
	char n[NUMBER_TEXT_MAX];
	printf("  %*s  ", LABEL_WIDTH, number_text(customers, n));
}

/* Who is where, and where they would be. */
static void print_tiers(const struct simulation_shown *shown)
{
	const struct simulate_report *const report = shown->report;
	if (!shown->programmes[0]->tiers.n_levels && !shown->programmes[1]->tiers.n_levels)
		return;
	puts("\ntiers (customers)");
	for (unsigned i = 0; i < PROGRAMME_LEVELS_MAX; i++) {
		for (unsigned j = 0; j < PROGRAMME_LEVELS_MAX; j++) {
			if (!report->tiers[i][j])
				continue;
			const char *const from = level_name(shown->programmes[0], i);
			const char *const to = level_name(shown->programmes[1], j);
			print_customers_of(report->tiers[i][j]);
			show_text(stdout, slice_of(from));
			if (strcmp(from, to) == 0) {
				puts(", as before");
				continue;
			}
			fputs(" " ARROW " ", stdout);
			show_text(stdout, slice_of(to));
			putchar('\n');
		}
	}
}

static void print_changes(const struct simulate_report *report)
{
	const char *const today = report->ledgers[report->compared[0]].name;
	const char *const other = report->ledgers[report->compared[1]].name;
	char text[NUMBER_TEXT_MAX];
	printf("\nchange of a customer's %s", today);
	if (strcmp(today, other) != 0)
		printf(" to %s, which are something else", other);
	puts(" (customers)");
	for (unsigned i = 0; i < CHANGE_KINDS; i++) {
		print_customers_of(report->changes[i]);
		puts(simulate_change_name(i));
	}
	if (report->customers == 0)
		return;
	puts("\nso many per cent of the customers change by this or less");
	for (unsigned i = 0; i < SIMULATE_QUANTILES; i++)
		printf("  %*u %% %*s\n", LABEL_WIDTH - 2, SIMULATE_QUANTILE[i], CELL_WIDTH - 1,
		       decimal_text(report->quantiles[i], 3, 3, text));
}

static void print_losers(const struct simulation_shown *shown)
{
	const struct simulate_report *const report = shown->report;
	char text[NUMBER_TEXT_MAX];
	if (!report->n_losers)
		return;
	puts("\nwho loses most");
	printf("  %*s%*s%*s  %s\n", LABEL_WIDTH, "today", LABEL_WIDTH, "other", LABEL_WIDTH, "difference", "customer");
	for (unsigned i = 0; i < report->n_losers; i++) {
		const struct simulate_customer *const c = &report->losers[i];
		printf("  %*s", LABEL_WIDTH, decimal_text(c->before_milli, 3, 3, text));
		printf(" %*s", LABEL_WIDTH - 1, decimal_text(c->after_milli, 3, 3, text));
		printf(" %*s  ", LABEL_WIDTH - 1, decimal_text(c->after_milli - c->before_milli, 3, 3, text));
		if (c->text_len)
			show_text(stdout, (struct slice){c->text, c->text_len});
		else
			printf("%" PRId64, c->number);
		const struct slice name = slice_of(shown->names[i] ? shown->names[i] : "");
		if (name.len) {
			fputs("  ", stdout);
			show_text(stdout, name);
		}
		putchar('\n');
	}
}

static void print_programme(const struct simulation_shown *shown, enum simulate_side side)
{
	const struct programme *const programme = shown->programmes[side];
	printf("  %s  ", SIDES[side]);
	show_text(stdout, slice_of(programme->name));
	printf(", version %s", programme->hash_text);
	if (side == SIMULATE_OTHER) {
		fputs(", ", stdout);
		show_text(stdout, slice_of(shown->other_path));
	}
	putchar('\n');
}

void simulation_print(const struct simulation_shown *shown)
{
	const struct simulate_report *const report = shown->report;
	char day[11];
	char n[NUMBER_TEXT_MAX];
	civil_format(report->data_dt, day);
	printf("The history up to %s under two programmes: %s customer%s", day, number_text(report->customers, n),
	       report->customers == 1 ? "" : "s");
	printf(", %s event%s\n", number_text(report->events, n), report->events == 1 ? "" : "s");
	print_programme(shown, SIMULATE_TODAY);
	print_programme(shown, SIMULATE_OTHER);
	if (report->same)
		puts("Both have the same rules.");
	puts("Redemptions are taken as they happened, whatever the points would have been.");
	for (unsigned i = 0; i < report->n_ledgers; i++)
		print_ledger(shown, &report->ledgers[i]);
	print_rejected(report);
	print_tiers(shown);
	print_changes(report);
	print_losers(shown);
}
