/*
 * Measures the loyalty kernel alone: orders in memory through facts and the fold, on one core, no entries wanted.
 *
 *     bench_fold [CUSTOMERS [ORDERS [REPEATS]]]      1000000 customers, 20 orders each, 3 times
 *
 * Prints one JSON object: events a second of the best repeat, of facts and fold together and of the fold alone, and points that
 * came out, so that nothing can be left out. One programme: an amount, a step and a visit rule, three tiers, points that expire.
 */
#include "base/random.h"
#include "config/schema_internal.h"
#include "loyalty/account.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define START_US INT64_C(1672560000000000) /* 2023-01-01 08:00 UTC */
#define DAY_US   INT64_C(86400000000)
/* Orders of a customer lie so many days apart, on average. */
#define DAYS_APART 18
#define MENUS      6
/* Of so many customers the facts are kept: few enough to stay in the cache. */
#define KEPT UINT64_C(64)

static const char PROGRAMME[] = "version: 1\n"
				"name: Bench\n"
				"currency: THB\n"
				"timezone: Asia/Bangkok\n"
				"ledgers:\n"
				"  - {name: points, expiry: {months: 12}}\n"
				"earn:\n"
				"  - per_amount: {points: 1, per: 10.00}\n"
				"  - per_step: {points: 5, step: 100.00}\n"
				"  - per_visit: {points: 1, min: 70.00}\n"
				"tiers:\n"
				"  metric: spend\n"
				"  window: {rolling_months: 12}\n"
				"  valid_months: 12\n"
				"  levels:\n"
				"    - {name: member, threshold: 0}\n"
				"    - {name: silver, threshold: 500, multiplier: 1.25}\n"
				"    - {name: gold, threshold: 2000, multiplier: 1.5}\n";

/* What a row of the table says of an order. */
struct row {
	int64_t time_us;
	int64_t amount_minor;
	uint64_t number;
};

/* Of this thread: others at work on the machine do not count. */
static double now_s(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void fill_row(struct random *random, struct row *row, int64_t *time_us, uint64_t number)
{
	static const int64_t PRICES_MINOR[MENUS] = {6500, 9000, 8000, 7000, 6000, 6000};
	*time_us += (int64_t)random_below(random, 2 * DAYS_APART * 24) * (DAY_US / 24);
	*row = (struct row){*time_us, PRICES_MINOR[random_below(random, MENUS)], number};
}

static void make_fact(struct fact *fact, const struct programme *programme, const struct row *row, char id[8])
{
	memcpy(id, &row->number, 8);
	const struct event event = {.kind = EVENT_ORDER, .id = {id, 8}, .time_us = row->time_us};
	const struct order_line line = {
		.qty_milli = 1000, .price_minor = row->amount_minor, .amount_minor = row->amount_minor};
	fact_begin(fact, programme, &event, SLICE("bench"));
	fact_add_line(fact, programme, &line);
}

static int64_t take_balance(const struct account *account)
{
	struct account_balance balance;
	account_balance(account, 0, &balance);
	return balance.balance_milli;
}

static void apply(struct account *account, const struct fact *fact)
{
	if (account_apply(account, fact, NULL) < 0)
		abort();
}

/* Functions of their own, so that callgrind can count what is done in them. Both return the points that came out. */
static __attribute__((noinline)) int64_t fold_rows(struct account *account, const struct programme *programme,
						   const struct row *rows, uint64_t customers, uint64_t orders)
{
	int64_t points_milli = 0;
	for (uint64_t customer = 0; customer < customers; customer++) {
		account_reset(account);
		for (uint64_t i = 0; i < orders; i++) {
			char id[8];
			struct fact fact;
			make_fact(&fact, programme, &rows[customer * orders + i], id);
			apply(account, &fact);
		}
		points_milli += take_balance(account);
	}
	return points_milli;
}

/* Facts that were made before, of the first KEPT customers again and again. */
static __attribute__((noinline)) int64_t fold_facts(struct account *account, const struct fact *facts,
						    uint64_t customers, uint64_t orders, uint64_t kept)
{
	int64_t points_milli = 0;
	for (uint64_t customer = 0; customer < customers; customer++) {
		account_reset(account);
		for (uint64_t i = 0; i < orders; i++)
			apply(account, &facts[customer % kept * orders + i]);
		points_milli += take_balance(account);
	}
	return points_milli;
}

static struct row *make_rows(uint64_t customers, uint64_t orders)
{
	struct row *const rows = calloc(customers * orders, sizeof(*rows));
	struct random random;
	random_init(&random, 1);
	for (uint64_t customer = 0; rows && customer < customers; customer++) {
		int64_t time_us = START_US;
		for (uint64_t i = 0; i < orders; i++)
			fill_row(&random, &rows[customer * orders + i], &time_us, customer * orders + i);
	}
	return rows;
}

static struct fact *make_facts(const struct programme *programme, const struct row *rows, uint64_t n, char (*ids)[8])
{
	struct fact *const facts = calloc(n, sizeof(*facts));
	for (uint64_t i = 0; facts && i < n; i++)
		make_fact(&facts[i], programme, &rows[i], ids[i]);
	return facts;
}

static double least(double a, double b)
{
	return a < b ? a : b;
}

static int measure(const struct programme *programme, uint64_t customers, uint64_t orders, uint64_t repeats)
{
	const uint64_t kept = customers < KEPT ? customers : KEPT;
	struct account *const account = account_new(programme);
	struct row *const rows = make_rows(customers, orders);
	char(*const ids)[8] = calloc(kept * orders, sizeof(*ids));
	struct fact *const facts = account && rows && ids ? make_facts(programme, rows, kept * orders, ids) : NULL;
	if (!facts)
		return fprintf(stderr, "bench_fold: out of memory\n"), 1;
	double best_s = 1e9;
	double best_alone_s = 1e9;
	int64_t points_milli = 0;
	int64_t points_alone_milli = 0;
	for (uint64_t i = 0; i < repeats; i++) {
		const double start_s = now_s();
		points_milli = fold_rows(account, programme, rows, customers, orders);
		const double middle_s = now_s();
		points_alone_milli = fold_facts(account, facts, customers, orders, kept);
		best_s = least(best_s, middle_s - start_s);
		best_alone_s = least(best_alone_s, now_s() - middle_s);
	}
	const double events = (double)customers * (double)orders;
	printf("{\"customers\": %" PRIu64 ", \"orders\": %" PRIu64 ", \"events_per_second\": %.0f, "
	       "\"fold_alone_per_second\": %.0f, \"points_milli\": [%" PRId64 ", %" PRId64 "]}\n",
	       customers, orders, events / best_s, events / best_alone_s, points_milli, points_alone_milli);
	free(facts);
	free(ids);
	free(rows);
	account_free(account);
	return 0;
}

int main(int argc, char **argv)
{
	const uint64_t customers = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
	const uint64_t orders = argc > 2 ? strtoull(argv[2], NULL, 10) : 20;
	const uint64_t repeats = argc > 3 ? strtoull(argv[3], NULL, 10) : 3;
	struct programme *programme = NULL;
	struct error err = {0};
	if (!customers || !orders || customers > UINT64_C(1) << 32 || orders > 1000000)
		return fprintf(stderr, "usage: bench_fold [CUSTOMERS [ORDERS [REPEATS]]]\n"), 2;
	if (programme_parse("bench.yaml", PROGRAMME, strlen(PROGRAMME), NULL, NULL, &programme, &err) < 0)
		return fprintf(stderr, "bench_fold: %s\n", err.message), 1;
	const int rc = measure(programme, customers, orders, repeats);
	programme_free(programme);
	return rc;
}
