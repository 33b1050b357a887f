/* Both folds of a customer, and the sums of all. */
#include "batch/simulate_internal.h"

#include "loyalty/account.h"

#include <stdio.h>
#include <stdlib.h>

#define POINT INT64_C(1000)
/* points_milli · value_micro are 10^-9 of the currency; a minor unit is 10^-2. */
#define COST_SCALE 10000000

const unsigned SIMULATE_QUANTILE[SIMULATE_QUANTILES] = {1, 5, 25, 50, 75, 95, 99};

const char *simulate_change_name(enum simulate_change change)
{
	static const char *const NAMES[CHANGE_KINDS] = {
		[CHANGE_LOSES_OVER_100] = "loses more than 100",
		[CHANGE_LOSES_10_100] = "loses 10 to 100",
		[CHANGE_LOSES_1_10] = "loses 1 to 10",
		[CHANGE_LOSES_UNDER_1] = "loses less than 1",
		[CHANGE_NONE] = "no change",
		[CHANGE_GAINS_UNDER_1] = "gains less than 1",
		[CHANGE_GAINS_1_10] = "gains 1 to 10",
		[CHANGE_GAINS_10_100] = "gains 10 to 100",
		[CHANGE_GAINS_OVER_100] = "gains more than 100",
	};
	return NAMES[change];
}

/* What one batch comes to. */
struct place {
	struct account *accounts[SIMULATE_SIDES];
	struct postings postings;
	struct simulate_report sums;
	int64_t *changes;
	size_t n_changes;
	size_t changes_cap;
	struct buf rows;
};

/* ---- sums ---- */

static int overflow(struct error *err)
{
	return error_set(err, ERROR_OVERFLOW, "the points of all customers together do not fit into 64 bits");
}

static bool add(int64_t *sum, int64_t value)
{
	return !__builtin_add_overflow(*sum, value, sum);
}

static bool add_points(struct simulate_points *sum, const struct simulate_points *more)
{
	return add(&sum->issued_milli, more->issued_milli) && add(&sum->reversed_milli, more->reversed_milli) &&
	       add(&sum->redeemed_milli, more->redeemed_milli) && add(&sum->expired_milli, more->expired_milli) &&
	       add(&sum->outstanding_milli, more->outstanding_milli) && add(&sum->pending_milli, more->pending_milli) &&
	       add(&sum->debt_milli, more->debt_milli);
}

static bool loses_more(const struct simulate_customer *a, const struct simulate_customer *b)
{
	return a->before_milli - a->after_milli > b->before_milli - b->after_milli;
}

/* Customers come in order of id: of equal ones the first stays before. */
static void add_loser(struct simulate_report *sums, const struct simulate_customer *customer)
{
	if (sums->n_losers == SIMULATE_LOSERS && !loses_more(customer, &sums->losers[SIMULATE_LOSERS - 1]))
		return;
	unsigned at = sums->n_losers < SIMULATE_LOSERS ? sums->n_losers++ : SIMULATE_LOSERS - 1;
	for (; at > 0 && loses_more(customer, &sums->losers[at - 1]); at--)
		sums->losers[at] = sums->losers[at - 1];
	sums->losers[at] = *customer;
}

static enum simulate_change classify(int64_t change_milli)
{
	const int64_t size = change_milli < 0 ? -change_milli : change_milli;
	if (size == 0)
		return CHANGE_NONE;
	const unsigned over = size > 100 * POINT ? 3 : size >= 10 * POINT ? 2 : size >= POINT ? 1 : 0;
	return change_milli < 0 ? CHANGE_LOSES_UNDER_1 - over : CHANGE_GAINS_UNDER_1 + over;
}

static int reserve_changes(int64_t **changes, size_t *cap, size_t n, struct error *err)
{
	if (n <= *cap)
		return 0;
	size_t wanted = *cap ? *cap : 1024;
	while (wanted < n)
		wanted *= 2;
	int64_t *const grown = realloc(*changes, wanted * sizeof(*grown));
	if (!grown)
		return error_no_memory(err, wanted * sizeof(*grown));
	*changes = grown;
	*cap = wanted;
	return 0;
}

/* ---- one customer ---- */

static int fold(const struct simulation *simulation, struct account *account, const struct fact *facts, size_t n,
		struct postings *postings)
{
	account_reset(account);
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = account_apply(account, &facts[i], postings);
	return rc < 0 ? rc : account_advance(account, simulation->data_dt, postings);
}

/* Rejected events are few: only who has some is folded again, for the reasons. */
static int count_rejected(const struct simulation *simulation, struct place *place, enum simulate_side side,
			  const struct fact *facts, size_t n)
{
	struct account_totals totals;
	account_totals(place->accounts[side], &totals);
	if (totals.rejected == 0)
		return 0;
	postings_clear(&place->postings);
	const int rc = fold(simulation, place->accounts[side], facts, n, &place->postings);
	for (size_t i = 0; rc == 0 && i < place->postings.n; i++) {
		const struct posting *const posting = &place->postings.items[i];
		if (posting->kind != POSTING_REJECT)
			continue;
		place->sums.rejected[side][posting->reject]++;
		place->sums.rejected[side][REJECT_NONE]++;
	}
	return rc;
}

/* What the customer has in the ledger that is compared. */
static int64_t holds(const struct simulate_points *points)
{
	return points->outstanding_milli - points->debt_milli;
}

static int keep_row(struct place *place, const struct history_customer *customer, const struct simulate_points *sides,
		    unsigned ledger, const struct account_tier *tiers)
{
	struct simulate_row row;
	char record[sizeof(row) + LIMIT_CUSTOMER_ID_BYTES];
	const struct slice text = customer->id.text;
	memset(&row, 0, sizeof(row));
	row.number = customer->id.number;
	row.ledger = (uint8_t)ledger;
	for (unsigned side = 0; side < SIMULATE_SIDES; side++) {
		row.side[side] = sides[side];
		row.tier[side] = (uint8_t)tiers[side].level;
	}
	memcpy(record, &row, sizeof(row));
	if (text.len)
		memcpy(record + sizeof(row), text.data, text.len);
	return spool_record(&place->rows, (struct slice){record, sizeof(row) + text.len});
}

static void compare(struct place *place, const struct history_customer *customer, int64_t before_milli,
		    int64_t after_milli)
{
	const int64_t change = after_milli - before_milli;
	place->changes[place->n_changes++] = change;
	place->sums.changes[classify(change)]++;
	if (change >= 0)
		return;
	struct simulate_customer loser = {
		.number = customer->id.number, .before_milli = before_milli, .after_milli = after_milli};
	loser.text_len = (uint32_t)customer->id.text.len;
	if (loser.text_len)
		memcpy(loser.text, customer->id.text.data, loser.text_len);
	add_loser(&place->sums, &loser);
}

static int add_customer(const struct simulation *simulation, struct place *place,
			const struct history_customer *customer, struct error *err)
{
	const struct fact *const facts[SIMULATE_SIDES] = {customer->facts, customer->other_facts};
	struct account_tier tiers[SIMULATE_SIDES];
	if (customer->id.text.len > LIMIT_CUSTOMER_ID_BYTES)
		return error_set(err, ERROR_CORRUPT, "transactions_cln has a customer id of more than %u bytes",
				 LIMIT_CUSTOMER_ID_BYTES);
	for (unsigned side = 0; side < SIMULATE_SIDES; side++) {
		int rc = fold(simulation, place->accounts[side], facts[side], customer->n_facts, NULL);
		if (rc == 0)
			rc = count_rejected(simulation, place, side, facts[side], customer->n_facts);
		if (rc < 0)
			return error_no_memory(err, place->postings.cap * sizeof(struct posting));
		account_tier(place->accounts[side], &tiers[side]);
	}
	int64_t held[SIMULATE_SIDES] = {0};
	for (unsigned i = 0; i < simulation->n_ledgers; i++) {
		struct simulate_points sides[SIMULATE_SIDES] = {0};
		for (unsigned side = 0; side < SIMULATE_SIDES; side++) {
			if (simulation->ledger_of[i][side] < 0)
				continue;
			simulate_points_of(place->accounts[side], (unsigned)simulation->ledger_of[i][side],
					   &sides[side]);
			if (!add_points(&place->sums.ledgers[i].side[side], &sides[side]))
				return overflow(err);
			if (simulation->compared[side] == i)
				held[side] = holds(&sides[side]);
		}
		if (simulation->rows && keep_row(place, customer, sides, i, tiers) < 0)
			return error_no_memory(err, place->rows.len);
	}
	compare(place, customer, held[SIMULATE_TODAY], held[SIMULATE_OTHER]);
	place->sums.tiers[tiers[SIMULATE_TODAY].level][tiers[SIMULATE_OTHER].level]++;
	place->sums.customers++;
	place->sums.events += customer->n_facts;
	return 0;
}

/* ---- the sink ---- */

static void close_place(void *context, void *opened)
{
	(void)context;
	struct place *const place = opened;
	if (!place)
		return;
	for (unsigned side = 0; side < SIMULATE_SIDES; side++)
		account_free(place->accounts[side]);
	postings_release(&place->postings);
	free(place->changes);
	buf_release(&place->rows);
	free(place);
}

static int open_place(void *context, void **out, struct error *err)
{
	const struct simulation *const simulation = context;
	struct place *const place = calloc(1, sizeof(*place));
	if (!place)
		return error_no_memory(err, sizeof(*place));
	for (unsigned side = 0; side < SIMULATE_SIDES; side++) {
		place->accounts[side] = account_new(simulation->programmes[side]);
		if (!place->accounts[side]) {
			close_place(context, place);
			return error_no_memory(err, sizeof(*place));
		}
	}
	*out = place;
	return 0;
}

static int work(void *context, void *opened, const struct history_batch *batch, struct error *err)
{
	const struct simulation *const simulation = context;
	struct place *const place = opened;
	memset(&place->sums, 0, sizeof(place->sums));
	place->n_changes = 0;
	buf_clear(&place->rows);
	int rc = reserve_changes(&place->changes, &place->changes_cap, batch->n_customers, err);
	for (size_t i = 0; rc == 0 && i < batch->n_customers; i++)
		rc = add_customer(simulation, place, &batch->customers[i], err);
	return rc;
}

static void merge_counts(struct simulate_report *sums, const struct simulate_report *more)
{
	sums->customers += more->customers;
	sums->events += more->events;
	for (unsigned side = 0; side < SIMULATE_SIDES; side++)
		for (unsigned i = 0; i <= REJECT_MAX; i++)
			sums->rejected[side][i] += more->rejected[side][i];
	for (unsigned i = 0; i < PROGRAMME_LEVELS_MAX; i++)
		for (unsigned j = 0; j < PROGRAMME_LEVELS_MAX; j++)
			sums->tiers[i][j] += more->tiers[i][j];
	for (unsigned i = 0; i < CHANGE_KINDS; i++)
		sums->changes[i] += more->changes[i];
	for (unsigned i = 0; i < more->n_losers; i++)
		add_loser(sums, &more->losers[i]);
}

static int commit(void *context, void *opened, struct error *err)
{
	struct simulation *const simulation = context;
	struct place *const place = opened;
	const int rc = reserve_changes(&simulation->changes, &simulation->changes_cap,
				       simulation->n_changes + place->n_changes, err);
	if (rc < 0)
		return rc;
	if (place->n_changes)
		memcpy(simulation->changes + simulation->n_changes, place->changes,
		       place->n_changes * sizeof(*place->changes));
	simulation->n_changes += place->n_changes;
	for (unsigned i = 0; i < simulation->n_ledgers; i++)
		for (unsigned side = 0; side < SIMULATE_SIDES; side++)
			if (!add_points(&simulation->sums.ledgers[i].side[side], &place->sums.ledgers[i].side[side]))
				return overflow(err);
	merge_counts(&simulation->sums, &place->sums);
	return place->rows.len
		       ? spool_append_records(simulation->rows, (struct slice){place->rows.data, place->rows.len}, err)
		       : 0;
}

struct history_sink simulation_sink(struct simulation *simulation)
{
	return (struct history_sink){
		.open = open_place, .work = work, .commit = commit, .close = close_place, .context = simulation};
}

/* ---- begin and end ---- */

static void name_ledgers(const struct programme *const programmes[SIMULATE_SIDES], const struct simulate_pairs *pairs,
			 int64_t value_micro, struct simulate_report *report)
{
	report->n_ledgers = pairs->n;
	for (unsigned i = 0; i < pairs->n; i++) {
		struct simulate_ledger *const ledger = &report->ledgers[i];
		snprintf(ledger->name, sizeof(ledger->name), "%s", pairs->names[i]);
		for (unsigned side = 0; side < SIMULATE_SIDES; side++) {
			const int at = pairs->ledger_of[i][side];
			ledger->has[side] = at >= 0;
			if (at >= 0)
				ledger->value_micro[side] =
					value_micro >= 0 ? value_micro : programmes[side]->ledgers[at].value_micro;
		}
	}
}

/* Today's first ledger is the first of all; the other's of that name is the same one, else its first. */
static void choose_compared(const struct simulate_pairs *pairs, struct simulate_report *report)
{
	for (unsigned i = 0; !report->ledgers[0].has[SIMULATE_OTHER] && i < pairs->n; i++) {
		if (pairs->ledger_of[i][SIMULATE_OTHER] != 0)
			continue;
		report->compared[SIMULATE_OTHER] = i;
		break;
	}
}

int simulate_begin(const struct programme *today, const struct programme *other, const struct simulate_options *options,
		   struct simulate_report *report, struct error *err)
{
	const struct programme *const programmes[SIMULATE_SIDES] = {today, other};
	struct simulate_pairs pairs;
	if (strcmp(today->currency, other->currency) != 0)
		return error_set(
			err, ERROR_CONFIG,
			"the other programme is in %s, but prices are in %s: programmes of one currency can be "
			"compared",
			other->currency, today->currency);
	*report = (struct simulate_report){
		.data_dt = options->data_dt,
		.same = strcmp(today->hash_text, other->hash_text) == 0,
	};
	simulate_pair_ledgers(today, other, &pairs);
	name_ledgers(programmes, &pairs, options->value_micro, report);
	choose_compared(&pairs, report);
	return 0;
}

int simulation_init(struct simulation *simulation, const struct programme *today, const struct programme *other,
		    const struct simulate_options *options, struct error *err)
{
	*simulation = (struct simulation){.programmes = {today, other}, .data_dt = options->data_dt};
	const int rc = simulate_begin(today, other, options, &simulation->sums, err);
	if (rc < 0)
		return rc;
	struct simulate_pairs pairs;
	simulate_pair_ledgers(today, other, &pairs);
	simulation->n_ledgers = pairs.n;
	memcpy(simulation->ledger_of, pairs.ledger_of, sizeof(simulation->ledger_of));
	memcpy(simulation->compared, simulation->sums.compared, sizeof(simulation->compared));
	return 0;
}

void simulation_release(struct simulation *simulation)
{
	free(simulation->changes);
	simulation->changes = NULL;
}

static bool cost(int64_t points_milli, int64_t value_micro, int64_t *out)
{
	const __int128 exact = (__int128)points_milli * value_micro;
	/* Half up, also below 0. */
	__int128 minor = (exact + COST_SCALE / 2) / COST_SCALE;
	if (minor * COST_SCALE > exact + COST_SCALE / 2)
		minor--;
	if (minor > INT64_MAX || minor < INT64_MIN)
		return false;
	*out = (int64_t)minor;
	return true;
}

static int compare_changes(const void *a, const void *b)
{
	const int64_t x = *(const int64_t *)a;
	const int64_t y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

int simulate_cost(struct simulate_report *sums, struct error *err)
{
	for (unsigned i = 0; i < sums->n_ledgers; i++) {
		struct simulate_ledger *const ledger = &sums->ledgers[i];
		for (unsigned side = 0; side < SIMULATE_SIDES; side++) {
			const struct simulate_points *const points = &ledger->side[side];
			if (!cost(points->issued_milli - points->reversed_milli, ledger->value_micro[side],
				  &ledger->cost_minor[side]) ||
			    !cost(points->outstanding_milli, ledger->value_micro[side], &ledger->liability_minor[side]))
				return error_set(err, ERROR_OVERFLOW, "the cost of ledger %s does not fit into 64 bits",
						 ledger->name);
		}
	}
	return 0;
}

int simulation_report(struct simulation *simulation, struct simulate_report *out, struct error *err)
{
	struct simulate_report *const sums = &simulation->sums;
	const int rc = simulate_cost(sums, err);
	if (rc < 0)
		return rc;
	const size_t n = simulation->n_changes;
	if (n) {
		qsort(simulation->changes, n, sizeof(*simulation->changes), compare_changes);
		for (unsigned i = 0; i < SIMULATE_QUANTILES; i++)
			sums->quantiles[i] = simulation->changes[(n * SIMULATE_QUANTILE[i] + 99) / 100 - 1];
	}
	*out = *sums;
	return 0;
}
