#include "base/tz.h"
#include "cli/audit_show.h"
#include "cli/show.h"

#include <inttypes.h>
#include <stdio.h>

#define COLUMN_WIDTH 17
#define NAME_WIDTH   12

/* ---- findings ---- */

static void print_value(FILE *out, struct slice value)
{
	if (value.data)
		show_text(out, value);
	else
		fputs("nothing", out);
}

/* Where it is: "ledger 2021-03-04, customer 7, points, entry 12 (event r-1)". */
static void print_place(FILE *out, const struct audit_finding *finding)
{
	fputs(audit_table_name(finding->table), out);
	if (finding->day != DAY_MIN) {
		char date[11];
		civil_format(finding->day, date);
		fprintf(out, " %s", date);
	}
	if (finding->customer.len) {
		fputs(", customer ", out);
		show_text(out, finding->customer);
	}
	if (finding->ledger.len) {
		fputs(", ", out);
		show_text(out, finding->ledger);
	}
	if (finding->entry_no)
		fprintf(out, ", entry %" PRId64, finding->entry_no);
	if (finding->event_id.len) {
		fputs(" (event ", out);
		show_text(out, finding->event_id);
		fputs(")", out);
	}
}

static void print_cells(FILE *out, const struct audit_finding *finding)
{
	for (unsigned i = 0; i < finding->n_cells; i++) {
		const struct audit_cell *const cell = &finding->cells[i];
		fprintf(out, "%s%s ", i ? "; " : "", cell->column);
		if (finding->kind == AUDIT_CHANGED || finding->kind == AUDIT_SUMS ||
		    finding->kind == AUDIT_OTHER_PROGRAMME) {
			fputs("is ", out);
			print_value(out, cell->is);
			fputs(", should be ", out);
			print_value(out, cell->should);
		} else {
			print_value(out, finding->kind == AUDIT_MISSING ? cell->should : cell->is);
		}
	}
}

static const char *words_of(const struct audit_finding *finding)
{
	switch (finding->kind) {
	case AUDIT_MISSING:
		return "is missing";
	case AUDIT_FOREIGN:
		return "should not be there";
	case AUDIT_SUMS:
		return finding->entry_no ? "the rows do not add up" : "does not add up";
	case AUDIT_UNREADABLE:
		return "cannot be read";
	case AUDIT_OTHER_PROGRAMME:
		return "was made by another programme";
	default:
		return "differs";
	}
}

void audit_print_finding(FILE *out, const struct audit_finding *finding)
{
	char n[NUMBER_TEXT_MAX];
	fputs("  ", out);
	print_place(out, finding);
	if (finding->rows)
		fprintf(out, ": %s rows, the whole partition,", number_text(finding->rows, n));
	else
		fputc(':', out);
	fprintf(out, " %s", words_of(finding));
	if (finding->n_cells || finding->text.len)
		fputs(": ", out);
	print_cells(out, finding);
	if (finding->text.len)
		show_text(out, finding->text);
	fputc('\n', out);
}

/* ---- sums ---- */

static void print_points(int64_t points_milli)
{
	char text[NUMBER_TEXT_MAX];
	printf(" %*s", COLUMN_WIDTH - 1, decimal_text(points_milli, 3, 3, text));
}

static void print_sums(const struct audit_report *report)
{
	static const char *const HEADS[] = {"issued",    "reversed", "redeemed", "expired",
					    "spendable", "pending",  "debt",     "difference"};
	if (report->n_sums == 0)
		return;
	printf("\nThe ledger's sums: issued - reversed = spendable + pending + redeemed + expired - debt\n  %-*s",
	       NAME_WIDTH, "");
	for (size_t i = 0; i < sizeof(HEADS) / sizeof(HEADS[0]); i++)
		printf("%*s", COLUMN_WIDTH, HEADS[i]);
	putchar('\n');
	for (unsigned i = 0; i < report->n_sums; i++) {
		const struct audit_sum *const sum = &report->sums[i];
		const int64_t numbers[] = {sum->issued_milli,  sum->reversed_milli,  sum->redeemed_milli,
					   sum->expired_milli, sum->spendable_milli, sum->pending_milli,
					   sum->debt_milli,    sum->difference_milli};
		/* It may be the table's own word. */
		fputs("  ", stdout);
		show_text(stdout, slice_of(sum->name));
		printf("%*s", sum->name[0] && strlen(sum->name) < NAME_WIDTH ? NAME_WIDTH - (int)strlen(sum->name) : 0,
		       "");
		for (size_t j = 0; j < sizeof(numbers) / sizeof(numbers[0]); j++)
			print_points(numbers[j]);
		putchar('\n');
	}
}

/* ---- the verdict ---- */

static void print_notes(const struct audit_report *report)
{
	char n[2][NUMBER_TEXT_MAX];
	if (!report->refreshed)
		puts("No day was refreshed yet: only orders and the customer view were compared.");
	if (report->waiting_events)
		printf("%s events are on their way between the journal's readers: %s customers of the view were not "
		       "compared.\n",
		       number_text(report->waiting_events, n[0]), number_text(report->waiting_customers, n[1]));
	if (report->waiting_accounts)
		printf("%s accounts of the view wait to be made again, for an event that came late, and were not "
		       "compared: "
		       "collect does that at its end; if none is running, run `punchcard collect --once`.\n",
		       number_text(report->waiting_accounts, n[0]));
	if (report->stale)
		puts("Events came in since that day was refreshed: its tables were compared without them.");
	if (report->day_unknown)
		puts("Of which events that day's balances and loyalty were made is no longer known, so they were not "
		     "compared: the states of the newest days are kept. `punchcard refresh --data-dt` makes that day's "
		     "again.");
	if (report->ledger_alone)
		puts("The ledger is of other events than balances, so it was added up alone: spendable is what its "
		     "rows "
		     "leave.");
}

static void advise_tables(const struct audit_report *report)
{
	if (!report->by_table[AUDIT_LEDGER] && !report->by_table[AUDIT_ACCOUNT_STATE] &&
	    !report->by_table[AUDIT_BALANCES] && !report->by_table[AUDIT_LOYALTY])
		return;
	char date[11];
	/* Up to an earlier day it would end the ledger there. */
	civil_format(report->newest_day, date);
	printf("  punchcard rebuild --data-dt %s\n", date);
	if (report->day == report->newest_day || !(report->by_table[AUDIT_ACCOUNT_STATE] +
						   report->by_table[AUDIT_BALANCES] + report->by_table[AUDIT_LOYALTY]))
		return;
	civil_format(report->day, date);
	printf("  punchcard refresh --data-dt %s\n", date);
}

static void advise_view(const struct audit_report *report)
{
	if (!report->by_table[AUDIT_VIEW])
		return;
	/* What collect mends by itself needs no more. */
	const bool again = report->by_kind[AUDIT_OTHER_PROGRAMME] < report->by_table[AUDIT_VIEW];
	if (again)
		puts("  move data/view away");
	puts("  punchcard collect --once");
	if (again)
		puts("  and load one of the customer files again: names at the till are in data/view, too");
}

static void print_advice(const struct audit_report *report, const struct programme *programme)
{
	puts("\nWhat to do:");
	if (report->by_kind[AUDIT_OTHER_PROGRAMME])
		printf("  programme.yaml was changed since (it is %s now): if that is meant, go on; else put it back\n",
		       programme->hash_text);
	if (report->by_table[AUDIT_TRANSACTIONS])
		puts("  put those files of data/warehouse/transactions_cln back from a backup, and only then do what "
		     "follows");
	advise_view(report);
	advise_tables(report);
}

static void print_counts(const struct audit_report *report)
{
	bool first = true;
	char n[NUMBER_TEXT_MAX];
	for (unsigned i = 0; i < AUDIT_TABLES; i++) {
		if (!report->by_table[i])
			continue;
		printf("%s%s %s", first ? "" : ", ", audit_table_name(i), number_text(report->by_table[i], n));
		first = false;
	}
}

static void print_extent(const struct audit_report *report)
{
	char n[COUNT_TEXT_MAX];
	char date[11];
	printf("\nCompared: %s of transactions_cln with the journal", count_text(report->rows, "row", n));
	printf(", %s of the customer view", count_text(report->accounts, "record", n));
	if (report->refreshed) {
		civil_format(report->day, date);
		printf(", %s of the ledger,\nbalances and loyalty up to %s", count_text(report->entries, "row", n),
		       date);
	}
	printf(" with %s", count_text(report->events, "event", n));
	printf(" of %s.\n", count_text(report->customers, "customer", n));
}

void audit_print_report(const struct audit_report *report, const struct programme *programme)
{
	char n[COUNT_TEXT_MAX];
	if (report->empty) {
		puts("There is nothing to audit: nothing was collected yet.");
		return;
	}
	print_sums(report);
	print_extent(report);
	print_notes(report);
	if (report->differences == 0) {
		puts("All agree.");
		return;
	}
	printf("%s: ", count_text(report->differences, "difference", n));
	print_counts(report);
	puts(".");
	print_advice(report, programme);
}

/* ---- the reserve ---- */

static void print_reserve_row(const char *label, int64_t points_milli, int64_t minor, bool priced)
{
	char text[NUMBER_TEXT_MAX];
	printf("  %-*s", 2 * NAME_WIDTH, label);
	print_points(points_milli);
	if (priced)
		printf(" %*s", COLUMN_WIDTH - 1, decimal_text(minor, 2, 2, text));
	putchar('\n');
}

static void print_reserve_ledger(const struct reserve_ledger *ledger, const char *currency)
{
	const bool priced = ledger->rules->value_micro > 0;
	const bool by_inactivity = ledger->rules->expiry == EXPIRY_INACTIVITY;
	char n[NUMBER_TEXT_MAX];
	char c[COUNT_TEXT_MAX];
	char label[64];
	putchar('\n');
	show_text(stdout, slice_of(ledger->rules->name));
	printf(": %s", count_text(ledger->customers, "customer", c));
	if (priced)
		printf(", a point costs %s %s", decimal_text(ledger->rules->value_micro, 6, 6, n), currency);
	snprintf(label, sizeof(label), "cost %s", currency);
	printf("\n  %-*s%*s", 2 * NAME_WIDTH, by_inactivity ? "expires without an order" : "expires", COLUMN_WIDTH,
	       "points");
	printf("%*s\n", priced ? COLUMN_WIDTH : 0, priced ? label : "");
	for (unsigned i = 0; i < ledger->n_months; i++) {
		char date[11];
		civil_format(ledger->months[i].first_day, date);
		snprintf(label, sizeof(label), "%.7s", date);
		print_reserve_row(label, ledger->months[i].points_milli, ledger->months[i].cost_minor, priced);
	}
	if (ledger->never_milli || ledger->rules->expiry == EXPIRY_NEVER)
		print_reserve_row("never", ledger->never_milli, ledger->never_minor, priced);
	if (ledger->pending_milli || ledger->rules->pending_days)
		print_reserve_row("pending", ledger->pending_milli, ledger->pending_minor, priced);
	print_reserve_row("outstanding", ledger->outstanding_milli, ledger->outstanding_minor, priced);
	if (ledger->debt_milli || ledger->rules->negative == NEGATIVE_DEBT)
		print_reserve_row("debt, apart from it", ledger->debt_milli, ledger->debt_minor, priced);
}

void reserve_print(const struct reserve_report *report, const struct programme *programme)
{
	char date[11];
	char n[COUNT_TEXT_MAX];
	civil_format(report->day, date);
	printf("Points outstanding at the end of %s, by the month in which they expire: %s, programme ", date,
	       count_text(report->customers, "customer", n));
	show_text(stdout, slice_of(programme->name));
	printf(", version %s\n%s\n", programme->hash_text,
	       report->from_state ? "As that day was refreshed." : "Folded out of all events that are there now.");
	for (unsigned i = 0; i < report->n_ledgers; i++)
		print_reserve_ledger(&report->ledgers[i], programme->currency);
}
