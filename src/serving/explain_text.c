/*
 * The explanation as a table for people. Numbers stand left of the words, so that words may be as long as they need to be.
 */
#include "serving/explain_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define SIGN_MINUS   "\xE2\x88\x92" /* − */

#define WHEN_WIDTH   16 /* to the minute */
#define NUMBER_WIDTH 12
/* Lots to come that are told one by one; what comes later is told by month. */
#define LOTS_MAX 12u

struct table {
	const struct explain *explain;
	FILE *out;
	int ledger_width; /* 0: there is one ledger, nobody needs its name */
	bool is_first;    /* of the step's rows: it has the time */
	unsigned below;   /* lines of arithmetic that were printed */
};

/* ---- cells ---- */

static void print_right(FILE *out, const char *text, int width)
{
	/* Counted in characters: − takes three bytes. */
	int n = 0;
	for (const char *p = text; *p; p++)
		n += ((unsigned char)*p & 0xC0) != 0x80;
	/* At least one, so that columns never run together. */
	fprintf(out, "%*s%s", width > n ? width - n : 1, "", text);
}

/* A number of points, with its sign where it is a change. */
static void print_points(FILE *out, int64_t points_milli, bool is_change, int width)
{
	char *text = NULL;
	size_t len = 0;
	FILE *const memory = open_memstream(&text, &len);
	if (!memory)
		return; /* The stream's owner sees the truth in ferror: nothing else can fail here. */
	if (is_change && points_milli > 0)
		fputc('+', memory);
	say_points(memory, points_milli);
	fclose(memory);
	print_right(out, text ? text : "?", width);
	free(text);
}

static void print_when(const struct table *table, int64_t time_us)
{
	char when[20] = "";
	if (table->is_first)
		civil_format_time(table->explain->programme->timezone, time_us, when);
	fprintf(table->out, "%-*.*s", WHEN_WIDTH, WHEN_WIDTH, when);
}

/* The columns before the words. `posting` NULL: no points in this row. */
static void print_cells(struct table *table, int64_t time_us, const struct posting *posting, int64_t points_milli)
{
	FILE *const out = table->out;
	print_when(table, time_us);
	table->is_first = false;
	if (posting) {
		print_points(out, points_milli, true, NUMBER_WIDTH);
		print_points(out, posting->balance_milli, false, NUMBER_WIDTH);
	} else {
		fprintf(out, "%*s", 2 * NUMBER_WIDTH, "");
	}
	fputs("  ", out);
	if (table->ledger_width)
		fprintf(out, "%-*s", table->ledger_width,
			posting ? table->explain->programme->ledgers[posting->ledger].name : "");
}

static void print_below(void *context, struct slice line)
{
	struct table *const table = context;
	table->below++;
	fprintf(table->out, "%*s", WHEN_WIDTH + 2 * NUMBER_WIDTH + 2 + table->ledger_width + 2, "");
	fwrite(line.data, 1, line.len, table->out);
	fputc('\n', table->out);
}

/* ---- what happened ---- */

static bool is_shown(const struct explain *explain, const struct posting *posting)
{
	return explain->ledger < 0 || posting->kind == POSTING_TIER || posting->kind == POSTING_REJECT ||
	       posting->ledger == explain->ledger;
}

/* Entries of one kind in one ledger that a step left one behind the other. */
static size_t count_alike(const struct explain *explain, const struct explain_step *step, size_t first)
{
	const struct posting *const p = &explain->postings.items[first];
	size_t n = 1;
	while (first + n < step->first + step->n && p[n].kind == p->kind && p[n].ledger == p->ledger &&
	       p[n].time_us == p->time_us)
		n++;
	return n;
}

static void print_lot(FILE *out, const struct posting *posting)
{
	char day[11];
	if (posting->lot == LOT_NONE) {
		fputs(posting->points_milli < 0 ? " as debt" : " paid off debt", out);
	} else if (posting->lot == DAY_MAX) {
		fputs(" that never expire", out);
	} else {
		civil_format(posting->lot, day);
		fprintf(out, " that expire %s", day);
	}
}

/* "3 paid off debt, 7 that expire 2027-01-01": where the points went to, or came from, when that is not said already. */
static void print_lots(struct table *table, const struct posting *postings, size_t n)
{
	if (n == 1 && postings->lot != LOT_NONE)
		return;
	if (postings->points_milli == 0)
		return;
	FILE *const out = table->out;
	fprintf(out, "%*s", WHEN_WIDTH + 2 * NUMBER_WIDTH + 2 + table->ledger_width + 2, "");
	for (size_t i = 0; i < n; i++) {
		if (i)
			fputs(", ", out);
		say_points(out, postings[i].points_milli < 0 ? -postings[i].points_milli : postings[i].points_milli);
		print_lot(out, &postings[i]);
	}
	fputc('\n', out);
}

/* What should have been taken, but was not there and is not owed. */
static void print_forgiven(const struct table *table, const struct explain_step *step, const struct posting *posting,
			   int64_t points_milli)
{
	const int64_t missing = explain_taken(table->explain, step, posting->ledger) + points_milli;
	if (posting->kind == POSTING_EARN || posting->kind == POSTING_EXPIRE || points_milli > 0 || missing <= 0)
		return;
	fprintf(table->out, "%*s", WHEN_WIDTH + 2 * NUMBER_WIDTH + 2 + table->ledger_width + 2, "");
	say_points(table->out, missing);
	fputs(" more were not there, and are forgiven\n", table->out);
}

/* Behind what an order earned: when it can be spent, and until when. */
static void print_lot_dates(const struct table *table, const struct posting *postings, size_t n)
{
	const struct ledger_rules *const ledger = &table->explain->programme->ledgers[postings->ledger];
	char day[11];
	const struct posting *const last = &postings[n - 1];
	if (last->points_milli <= 0 || last->lot == LOT_NONE)
		return;
	if (ledger->pending_days && last->kind == POSTING_EARN) {
		civil_format(last->day + ledger->pending_days, day);
		fprintf(table->out, "; to be spent from %s", day);
	}
	if (last->lot != DAY_MAX) {
		civil_format(last->lot, day);
		fprintf(table->out, "; expires %s", day);
	}
}

static const char *reject_words(enum reject_reason reject)
{
	switch (reject) {
	case REJECT_NONE:
		break;
	case REJECT_UNKNOWN_ORDER:
		return "the customer had no such order before it";
	case REJECT_OVER_REFUND:
		return "more came back than was bought";
	case REJECT_UNKNOWN_REWARD:
		return "the programme has no such reward";
	case REJECT_UNKNOWN_LEDGER:
		return "the programme has no such ledger";
	case REJECT_OVERFLOW:
		return "a sum would be too large";
	}
	return "";
}

static void print_what(const struct table *table, const struct explain_step *step, const struct posting *posting,
		       bool is_main)
{
	const struct explain *const explain = table->explain;
	FILE *const out = table->out;
	switch (posting->kind) {
	case POSTING_EXPIRE:
		say_expired(out, explain, posting, (size_t)(posting - explain->postings.items));
		break;
	case POSTING_TIER:
		say_tier(out, explain, step, posting);
		break;
	case POSTING_REJECT:
		fprintf(out, "rejected: %s (%s): ", reject_words(posting->reject), reject_reason_name(posting->reject));
		if (step->event)
			say_event(out, explain->programme, step->event);
		break;
	case POSTING_EARN:
	case POSTING_REVERSE:
	case POSTING_REDEEM:
	case POSTING_ADJUST:
		if (step->event && is_main)
			say_event(out, explain->programme, step->event);
		else
			fprintf(out, "in %s", explain->programme->ledgers[posting->ledger].name);
		break;
	}
}

/* One row for n alike entries, with what there is to say about it below. */
static int print_entries(struct table *table, const struct explain_step *step, size_t first, size_t n, bool is_main)
{
	const struct explain *const explain = table->explain;
	const struct posting *const postings = &explain->postings.items[first];
	int64_t points = 0;
	for (size_t i = 0; i < n; i++)
		points += postings[i].points_milli;
	const bool has_points = postings->kind != POSTING_TIER && postings->kind != POSTING_REJECT;
	print_cells(table, postings->time_us, has_points ? &postings[n - 1] : NULL, points);
	print_what(table, step, postings, is_main);
	if (has_points)
		print_lot_dates(table, postings, n);
	fputc('\n', table->out);
	int rc = 0;
	table->below = 0;
	if (postings->kind == POSTING_EARN || postings->kind == POSTING_REVERSE)
		rc = explain_arithmetic(explain, step, postings->ledger, print_below, table);
	/* What came to nothing by rounding is there line by line. */
	if (postings->kind == POSTING_EARN && points == 0 && table->below == 0)
		print_below(table, SLICE("no rule gave anything for it"));
	if (has_points) {
		print_lots(table, postings, n);
		print_forgiven(table, step, postings, points);
	}
	return rc;
}

static void print_confirmation(struct table *table, const struct explain_step *step)
{
	const struct explain *const explain = table->explain;
	const struct tier_rules *const tiers = &explain->programme->tiers;
	char day[11];
	/* No entry of the ledger, so nothing has its time. */
	const int64_t midnight_s = tz_utc_of_local_s(explain->programme->timezone, (int64_t)step->day * 86400);
	table->is_first = true;
	print_cells(table, midnight_s * 1000000, NULL, 0);
	fputs("tier ", table->out);
	say_text(table->out, slice_of(tiers->levels[step->tier.level].name));
	fputs(" reviewed and kept: ", table->out);
	say_metric(table->out, explain->programme, step->tier.metric, tiers->levels[step->tier.level].threshold,
		   step->day);
	if (step->tier.review_day != DAY_MAX) {
		civil_format(step->tier.review_day, day);
		fprintf(table->out, "; next review %s", day);
	}
	fputc('\n', table->out);
}

static int print_step(struct table *table, const struct explain_step *step)
{
	const struct explain *const explain = table->explain;
	bool is_main = true;
	const struct posting *last = NULL;
	for (size_t at = step->first; at < step->first + step->n;) {
		const struct posting *const posting = &explain->postings.items[at];
		const size_t n = count_alike(explain, step, at);
		/* Time may pass for several days in one step: each has its own time. */
		table->is_first = !last || last->time_us != posting->time_us;
		if (is_shown(explain, posting)) {
			const int rc = print_entries(table, step, at, n, is_main);
			if (rc < 0)
				return rc;
			is_main = false;
			last = posting;
		}
		at += n;
	}
	if (step->confirmed)
		print_confirmation(table, step);
	return 0;
}

static int print_history(struct table *table)
{
	const struct explain *const explain = table->explain;
	FILE *const out = table->out;
	fprintf(out, "%-*s", WHEN_WIDTH, "when");
	print_right(out, "points", NUMBER_WIDTH);
	print_right(out, "balance", NUMBER_WIDTH);
	fputs("  ", out);
	if (table->ledger_width)
		fprintf(out, "%-*s", table->ledger_width, "ledger");
	fputs("what\n", out);
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < explain->n_steps; i++)
		rc = print_step(table, &explain->steps[i]);
	return rc;
}

/* ---- before and behind it ---- */

static void print_balance(const struct table *table, unsigned ledger, int width)
{
	const struct ledger_rules *const rules = &table->explain->programme->ledgers[ledger];
	struct account_balance balance;
	account_balance(table->explain->account, ledger, &balance);
	fprintf(table->out, "  %-*s  ", width, rules->name);
	say_amount(table->out, rules, balance.balance_milli);
	if (balance.pending_milli) {
		fputs(", and ", table->out);
		say_points(table->out, balance.pending_milli);
		fputs(" pending", table->out);
	}
	fputc('\n', table->out);
}

static int name_width(const struct explain *explain)
{
	int width = 9; /* programme */
	for (unsigned i = 0; i < explain->programme->n_ledgers; i++) {
		const int len = (int)strlen(explain->programme->ledgers[i].name);
		width = len > width ? len : width;
	}
	return width;
}

static void print_header(const struct table *table)
{
	const struct explain *const explain = table->explain;
	const struct programme *const programme = explain->programme;
	FILE *const out = table->out;
	char when[20];
	if (explain->name) {
		say_text(out, slice_of(explain->name));
		fputs(", customer ", out);
	} else {
		fputs("Customer ", out);
	}
	say_text(out, slice_of(explain->id_text));
	if (explain->has_day) {
		civil_format(explain->day, when);
		fprintf(out, ", at the end of %s\n\n", when);
	} else {
		civil_format_time(programme->timezone, explain->now_us, when);
		fprintf(out, ", as of %s\n\n", when);
	}
	const int width = name_width(explain);
	for (unsigned i = 0; i < programme->n_ledgers; i++)
		if (explain->ledger < 0 || explain->ledger == (int)i)
			print_balance(table, i, width);
	if (programme->tiers.n_levels) {
		struct account_tier tier;
		account_tier(explain->account, &tier);
		fprintf(out, "  %-*s  ", width, "tier");
		say_text(out, slice_of(programme->tiers.levels[tier.level].name));
		fputc('\n', out);
	}
	fprintf(out, "  %-*s  ", width, "programme");
	say_text(out, slice_of(programme->name));
	fprintf(out, ", version %s, days of %s\n\n", programme->hash_text, tz_name(programme->timezone));
}

/* What is to come on one day, or in one month. */
struct coming {
	int32_t day; /* sorted by it; DAY_MAX: never */
	unsigned ledger;
	bool pending; /* can be spent from then on; else expires */
	bool by_month;
	int64_t points_milli;
};

struct coming_list {
	struct coming *items; /* room for all that is added */
	size_t n;
};

static int compare_coming(const void *a, const void *b)
{
	const struct coming *const x = a;
	const struct coming *const y = b;
	if (x->day != y->day)
		return x->day > y->day ? 1 : -1;
	if (x->pending != y->pending)
		return x->pending ? -1 : 1;
	return (x->ledger > y->ledger) - (x->ledger < y->ledger);
}

static bool is_same_month(int32_t a, int32_t b)
{
	char dates[2][11];
	if (a == DAY_MAX || b == DAY_MAX)
		return false;
	civil_format(a, dates[0]);
	civil_format(b, dates[1]);
	return strncmp(dates[0], dates[1], strlen("yyyy-mm")) == 0;
}

/* Sorts what was added from `first` on, of one ledger and kind, and makes one of those of a day; of many lots only the months of
 * the later ones are told. */
static void merge_coming(struct coming_list *list, size_t first)
{
	const size_t n = list->n - first;
	struct coming *const items = list->items + first;
	qsort(items, n, sizeof(*items), compare_coming);
	size_t kept = 0;
	for (size_t i = 0; i < n; i++) {
		struct coming *const last = kept ? &items[kept - 1] : NULL;
		if (last && (items[i].day == last->day || (last->by_month && is_same_month(items[i].day, last->day)))) {
			last->points_milli += items[i].points_milli;
			continue;
		}
		items[kept] = items[i];
		items[kept].by_month = n > LOTS_MAX && kept >= LOTS_MAX - 1 && items[i].day != DAY_MAX;
		kept++;
	}
	list->n = first + kept;
}

static void print_coming(const struct table *table, const struct coming *coming)
{
	const struct ledger_rules *const rules = &table->explain->programme->ledgers[coming->ledger];
	const bool one = coming->points_milli == 1000;
	char day[11] = "";
	if (coming->day != DAY_MAX)
		civil_format(coming->day, day);
	fprintf(table->out, "  %-10.*s  ", coming->by_month ? 7 : 10, day);
	say_amount(table->out, rules, coming->points_milli);
	if (coming->pending)
		fprintf(table->out, " that %s pending can be spent", one ? "is" : "are");
	else if (coming->day == DAY_MAX)
		fprintf(table->out, " that never %s", one ? "expires" : "expire");
	else
		fprintf(table->out, " %s%s", one ? "expires" : "expire",
			rules->expiry == EXPIRY_INACTIVITY ? ", unless there is an order before" : "");
	fputc('\n', table->out);
}

static void add_lots_to_come(const struct table *table, unsigned ledger, bool pending, struct coming_list *list)
{
	const struct account *const account = table->explain->account;
	const size_t first = list->n;
	for (unsigned i = 0; i < account_lots(account, ledger); i++) {
		struct account_lot lot;
		account_lot(account, ledger, i, &lot);
		if (pending && lot.available <= table->explain->day)
			continue;
		list->items[list->n++] = (struct coming){.day = pending ? lot.available : lot.expires,
							 .ledger = ledger,
							 .pending = pending,
							 .points_milli = lot.remaining_milli};
	}
	merge_coming(list, first);
}

static void print_review(const struct table *table, const struct account_tier *tier)
{
	const struct programme *const programme = table->explain->programme;
	const struct tier_level *const level = &programme->tiers.levels[tier->level];
	fputs("  ", table->out);
	say_day(table->out, tier->review_day);
	fputs("  review of tier ", table->out);
	say_text(table->out, slice_of(level->name));
	fputs("; as of now ", table->out);
	say_metric(table->out, programme, tier->metric, level->threshold, table->explain->day);
	fputc('\n', table->out);
}

static void print_next_tier(const struct table *table, const struct account_tier *tier)
{
	const struct programme *const programme = table->explain->programme;
	const struct tier_rules *const tiers = &programme->tiers;
	if (tier->level + 1 >= tiers->n_levels)
		return;
	const struct tier_level *const next = &tiers->levels[tier->level + 1];
	fprintf(table->out, "  %-10s  ", "next tier");
	say_text(table->out, slice_of(next->name));
	fputs(": ", table->out);
	say_metric_value(table->out, programme, tier->to_next);
	fputs(" more; as of now ", table->out);
	say_metric(table->out, programme, tier->metric, next->threshold, table->explain->day);
	fputc('\n', table->out);
}

/* In order of date, whatever it is. */
static int print_to_come(const struct table *table)
{
	const struct explain *const explain = table->explain;
	const struct programme *const programme = explain->programme;
	struct account_tier tier = {.review_day = DAY_MAX};
	size_t room = 1;
	for (unsigned i = 0; i < programme->n_ledgers; i++)
		room += 2 * (size_t)account_lots(explain->account, i);
	struct coming_list list = {.items = calloc(room, sizeof(*list.items))};
	if (!list.items)
		return ERROR_NO_MEMORY;
	for (unsigned i = 0; i < programme->n_ledgers; i++) {
		if (explain->ledger >= 0 && explain->ledger != (int)i)
			continue;
		add_lots_to_come(table, i, true, &list);
		add_lots_to_come(table, i, false, &list);
	}
	qsort(list.items, list.n, sizeof(*list.items), compare_coming);
	if (programme->tiers.n_levels)
		account_tier(explain->account, &tier);
	bool reviewed = tier.review_day == DAY_MAX;
	for (size_t i = 0; i < list.n; i++) {
		if (!reviewed && tier.review_day < list.items[i].day) {
			print_review(table, &tier);
			reviewed = true;
		}
		print_coming(table, &list.items[i]);
	}
	if (!reviewed)
		print_review(table, &tier);
	if (programme->tiers.n_levels)
		print_next_tier(table, &tier);
	free(list.items);
	return 0;
}

static void print_sums(const struct table *table, unsigned ledger)
{
	struct account_balance b;
	FILE *const out = table->out;
	account_balance(table->explain->account, ledger, &b);
	int64_t lots = 0;
	for (unsigned i = 0; i < account_lots(table->explain->account, ledger); i++) {
		struct account_lot lot;
		account_lot(table->explain->account, ledger, i, &lot);
		lots += lot.remaining_milli;
	}
	fprintf(out, "  %s: issued ", table->explain->programme->ledgers[ledger].name);
	say_points(out, b.issued_milli);
	fputs(" " SIGN_MINUS " reversed ", out);
	say_points(out, b.reversed_milli);
	const int64_t left = b.issued_milli - b.reversed_milli;
	const int64_t right = lots + b.redeemed_milli + b.expired_milli - b.debt_milli;
	fputs(left == right ? " = lots " : " is NOT lots ", out);
	say_points(out, lots);
	fputs(" + redeemed ", out);
	say_points(out, b.redeemed_milli);
	fputs(" + expired ", out);
	say_points(out, b.expired_milli);
	fputs(" " SIGN_MINUS " debt ", out);
	say_points(out, b.debt_milli);
	fputs(", both ", out);
	say_points(out, left);
	fputc('\n', out);
}

static int print_footer(const struct table *table)
{
	const struct explain *const explain = table->explain;
	FILE *const out = table->out;
	fputs("\nto come\n", out);
	const int rc = print_to_come(table);
	if (rc < 0)
		return rc;
	if (explain->later)
		fprintf(out, "  %" PRIu32 " later event%s not in this\n", explain->later,
			explain->later == 1 ? " is" : "s are");
	fputs("\nthe sums\n", out);
	for (unsigned i = 0; i < explain->programme->n_ledgers; i++)
		if (explain->ledger < 0 || explain->ledger == (int)i)
			print_sums(table, i);
	return 0;
}

int explain_print(const struct explain *explain, FILE *out, struct error *err)
{
	struct table table = {.explain = explain, .out = out};
	if (explain->programme->n_ledgers > 1 && explain->ledger < 0)
		table.ledger_width = name_width(explain) + 2;
	print_header(&table);
	int rc = 0;
	if (explain->n_steps == 0) {
		fputs(explain->later ? "nothing had happened until then\n" : "nothing has happened yet\n", out);
	} else {
		rc = print_history(&table);
		if (rc == 0)
			rc = print_footer(&table);
	}
	if (rc < 0)
		return error_no_memory(err, sizeof(struct coming));
	return ferror(out) ? error_errno(err, errno ? errno : EIO, "cannot write the output") : 0;
}
