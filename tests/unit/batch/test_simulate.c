/* Two programmes over one history, in memory: sums, moves, gains and losses, by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "batch/simulate_internal.h"
#include "config/config.h"

#include <stdlib.h>
#include <unistd.h>

#define DAY_US       INT64_C(86400000000)
#define NOON_US      (DAY_US / 2)
#define EVENTS_MAX   16u
#define PEOPLE_MAX   4096u
#define TODAY        20000
#define BATCH_PEOPLE 7u

static const char HEAD[] = "version: 1\nname: Test\ncurrency: THB\ntimezone: UTC\n";

static struct programme *load(const char *yaml)
{
	char path[] = "/tmp/punchcard_test_simulate.XXXXXX";
	const int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(file_write_all(fd, HEAD, strlen(HEAD), path, NULL), 0);
	assert_int_equal(file_write_all(fd, yaml, strlen(yaml), path, NULL), 0);
	close(fd);
	struct programme *programme = NULL;
	struct error err = {0};
	const int rc = programme_load(path, &programme, &err);
	unlink(path);
	if (rc < 0)
		fail_msg("%s", err.message);
	return programme;
}

/* What happened to each customer, 1, 2, …; ids of events are literals. */
struct person {
	struct event events[EVENTS_MAX];
	struct order_line lines[EVENTS_MAX];
	size_t n;
};

struct world {
	struct programme *programmes[SIMULATE_SIDES];
	struct person *people;
	size_t n_people;
};

static void begin(struct world *world, const char *today, const char *other)
{
	*world = (struct world){.programmes = {load(today), load(other)}};
	world->people = calloc(PEOPLE_MAX, sizeof(*world->people));
	assert_non_null(world->people);
}

static void end(struct world *world)
{
	for (unsigned side = 0; side < SIMULATE_SIDES; side++)
		programme_free(world->programmes[side]);
	free(world->people);
}

static struct event *add(struct world *world, size_t who, enum event_kind kind, const char *id, int32_t day)
{
	assert_in_range(who, 1, PEOPLE_MAX);
	world->n_people = who > world->n_people ? who : world->n_people;
	struct person *const person = &world->people[who - 1];
	assert_true(person->n < EVENTS_MAX);
	struct event *const event = &person->events[person->n++];
	*event = (struct event){.kind = kind, .id = slice_of(id), .time_us = day * DAY_US + NOON_US};
	return event;
}

static void order(struct world *world, size_t who, const char *id, int32_t day, int64_t amount_minor)
{
	struct event *const event = add(world, who, EVENT_ORDER, id, day);
	struct order_line *const line = &world->people[who - 1].lines[world->people[who - 1].n - 1];
	*line = (struct order_line){.menu = SLICE("tea"), .qty_milli = 1000, .amount_minor = amount_minor};
	event->lines = line;
	event->n_lines = 1;
}

static void redeem(struct world *world, size_t who, const char *id, int32_t day, const char *reward)
{
	add(world, who, EVENT_REDEEM, id, day)->reward = slice_of(reward);
}

/* Facts of a customer by one programme. Caller frees. */
static struct fact *make_facts(const struct world *world, enum simulate_side side, size_t who)
{
	const struct person *const person = &world->people[who];
	struct fact *const facts = calloc(person->n + 1, sizeof(*facts));
	assert_non_null(facts);
	for (size_t i = 0; i < person->n; i++)
		fact_of_event(&facts[i], world->programmes[side], &person->events[i], SLICE("till"));
	return facts;
}

static void run_batch(const struct world *world, const struct history_sink *sink, void *place, size_t first, size_t n)
{
	struct history_customer customers[BATCH_PEOPLE] = {0};
	size_t n_facts = 0;
	for (size_t i = 0; i < n; i++) {
		customers[i].id.number = (int64_t)(first + i) + 1;
		customers[i].facts = make_facts(world, SIMULATE_TODAY, first + i);
		customers[i].other_facts = make_facts(world, SIMULATE_OTHER, first + i);
		customers[i].n_facts = world->people[first + i].n;
		n_facts += customers[i].n_facts;
	}
	const struct history_batch batch = {.customers = customers, .n_customers = n, .n_facts = n_facts};
	struct error err = {0};
	assert_int_equal(sink->work(sink->context, place, &batch, &err), 0);
	/* What the batch borrowed is gone before it is committed. */
	for (size_t i = 0; i < n; i++) {
		free((void *)(uintptr_t)customers[i].facts);
		free((void *)(uintptr_t)customers[i].other_facts);
	}
	assert_int_equal(sink->commit(sink->context, place, &err), 0);
}

static void simulate(const struct world *world, int64_t value_micro, struct simulate_report *report)
{
	const struct simulate_options options = {.data_dt = TODAY, .value_micro = value_micro};
	struct simulation simulation;
	struct error err = {0};
	void *place = NULL;
	assert_int_equal(simulation_init(&simulation, world->programmes[0], world->programmes[1], &options, &err), 0);
	const struct history_sink sink = simulation_sink(&simulation);
	assert_int_equal(sink.open(sink.context, &place, &err), 0);
	for (size_t at = 0; at < world->n_people; at += BATCH_PEOPLE) {
		const size_t left = world->n_people - at;
		run_batch(world, &sink, place, at, left < BATCH_PEOPLE ? left : BATCH_PEOPLE);
	}
	sink.close(sink.context, place);
	assert_int_equal(simulation_report(&simulation, report, &err), 0);
	simulation_release(&simulation);
}

#define ONE_PER_TEN "earn:\n  - {name: base, per_amount: {points: 1, per: 10}}\n"
#define TWO_PER_TEN "earn:\n  - {name: base, per_amount: {points: 2, per: 10}}\n"

static void test_nobody(void **state)
{
	(void)state;
	struct world world;
	struct simulate_report report;
	begin(&world, ONE_PER_TEN, TWO_PER_TEN);
	simulate(&world, -1, &report);
	assert_int_equal(report.customers, 0);
	assert_int_equal(report.n_losers, 0);
	assert_int_equal(report.ledgers[0].side[SIMULATE_OTHER].issued_milli, 0);
	assert_false(report.same);
	end(&world);
}

static void test_sums_and_costs(void **state)
{
	(void)state;
	struct world world;
	struct simulate_report report;
	begin(&world, "ledgers: [{name: points, value: 0.05}]\n" ONE_PER_TEN "rewards: [{id: tea, cost: 4}]\n",
	      "ledgers: [{name: points, value: 0.03, expiry: {days: 10}, pending_days: 5}, {name: "
	      "stamps}]\n" TWO_PER_TEN "  - {name: stamp, ledger: stamps, per_visit: {points: 1}}\n");
	order(&world, 1, "a", TODAY - 20, 10000);
	redeem(&world, 1, "x", TODAY - 19, "tea");
	order(&world, 1, "b", TODAY - 2, 5000);
	order(&world, 2, "c", TODAY, 1000);
	simulate(&world, -1, &report);
	assert_int_equal(report.customers, 2);
	assert_int_equal(report.events, 4);
	assert_int_equal(report.n_ledgers, 2);
	const struct simulate_ledger *const points = &report.ledgers[0];
	const struct simulate_points *const today = &points->side[SIMULATE_TODAY];
	const struct simulate_points *const other = &points->side[SIMULATE_OTHER];
	/* 10 + 5 + 1; one tea for 4. */
	assert_int_equal(today->issued_milli, 16000);
	assert_int_equal(today->redeemed_milli, 4000);
	assert_int_equal(today->outstanding_milli, 12000);
	assert_int_equal(today->pending_milli, 0);
	assert_int_equal(today->expired_milli, 0);
	/* 20 + 10 + 2; the reward is gone; the first 20 are expired, the others pending. */
	assert_int_equal(other->issued_milli, 32000);
	assert_int_equal(other->redeemed_milli, 0);
	assert_int_equal(other->expired_milli, 20000);
	assert_int_equal(other->outstanding_milli, 12000);
	assert_int_equal(other->pending_milli, 12000);
	assert_int_equal(report.rejected[SIMULATE_TODAY][REJECT_NONE], 0);
	assert_int_equal(report.rejected[SIMULATE_OTHER][REJECT_NONE], 1);
	assert_int_equal(report.rejected[SIMULATE_OTHER][REJECT_UNKNOWN_REWARD], 1);
	/* 16 at 0.05; 32 at 0.03. */
	assert_int_equal(points->cost_minor[SIMULATE_TODAY], 80);
	assert_int_equal(points->cost_minor[SIMULATE_OTHER], 96);
	assert_int_equal(points->liability_minor[SIMULATE_TODAY], 60);
	assert_int_equal(points->liability_minor[SIMULATE_OTHER], 36);
	/* Only the other has stamps. */
	assert_string_equal(report.ledgers[1].name, "stamps");
	assert_false(report.ledgers[1].has[SIMULATE_TODAY]);
	assert_true(report.ledgers[1].has[SIMULATE_OTHER]);
	assert_int_equal(report.ledgers[1].side[SIMULATE_OTHER].issued_milli, 3000);
	assert_int_equal(report.ledgers[1].side[SIMULATE_TODAY].issued_milli, 0);
	/* A value for all. */
	simulate(&world, 1000000, &report);
	assert_int_equal(report.ledgers[0].cost_minor[SIMULATE_TODAY], 1600);
	assert_int_equal(report.ledgers[1].cost_minor[SIMULATE_OTHER], 300);
	end(&world);
}

/* A cost is rounded half up, also below nothing: more came back than was given when debt was made. */
static void test_costs_are_rounded(void **state)
{
	(void)state;
	struct world world;
	struct simulate_report report;
	begin(&world, ONE_PER_TEN, ONE_PER_TEN);
	order(&world, 1, "a", TODAY, 10);
	/* 0.01 points. */
	simulate(&world, 500000, &report);
	assert_int_equal(report.ledgers[0].cost_minor[SIMULATE_TODAY], 1);
	simulate(&world, 499999, &report);
	assert_int_equal(report.ledgers[0].cost_minor[SIMULATE_TODAY], 0);
	add(&world, 2, EVENT_ADJUST, "minus", TODAY)->points_milli = -20;
	simulate(&world, 500000, &report);
	/* −0.01 points: −0.5 minor units, and half goes up. */
	assert_int_equal(report.ledgers[0].cost_minor[SIMULATE_TODAY], 0);
	simulate(&world, 500001, &report);
	assert_int_equal(report.ledgers[0].cost_minor[SIMULATE_TODAY], -1);
	end(&world);
}

static void test_tiers_move(void **state)
{
	(void)state;
	static const char *const TIERS =
		ONE_PER_TEN "tiers:\n  metric: spend\n  window: {rolling_months: 12}\n  levels: "
			    "[{name: member, threshold: 0}, {name: gold, threshold: 50}]\n";
	static const char *const HIGHER = ONE_PER_TEN
		"tiers:\n  metric: spend\n  window: {rolling_months: 12}\n  levels: [{name: member, threshold: 0}, "
		"{name: silver, threshold: 40}, {name: gold, threshold: 100}]\n";
	struct world world;
	struct simulate_report report;
	begin(&world, TIERS, HIGHER);
	order(&world, 1, "a", TODAY, 1000);
	order(&world, 2, "b", TODAY, 4500);
	order(&world, 3, "c", TODAY, 5000);
	order(&world, 4, "d", TODAY, 9999);
	order(&world, 5, "e", TODAY, 10000);
	simulate(&world, -1, &report);
	assert_int_equal(report.tiers[0][0], 1);
	assert_int_equal(report.tiers[0][1], 1);
	assert_int_equal(report.tiers[1][1], 2);
	assert_int_equal(report.tiers[1][2], 1);
	assert_int_equal(report.tiers[1][0], 0);
	end(&world);
}

/* Losses of 0.5, 1, 9.999, 10, 100, 100.001, and the bounds of gains likewise. */
static void test_changes_and_quantiles(void **state)
{
	(void)state;
	struct world world;
	struct simulate_report report;
	/* Of an order of n minor units: n thousandths today, nothing of it tomorrow. */
	begin(&world, "earn:\n  - {name: base, per_amount: {points: 1, per: 10}}\n",
	      "earn:\n  - {name: none, per_visit: {points: 1, min: 1000000}}\n");
	static const int64_t LOST[] = {500, 1000, 9999, 10000, 100000, 100001, 0};
	for (size_t i = 0; i < sizeof(LOST) / sizeof(LOST[0]); i++)
		order(&world, i + 1, "o", TODAY, LOST[i]);
	simulate(&world, -1, &report);
	assert_int_equal(report.changes[CHANGE_LOSES_UNDER_1], 1);
	assert_int_equal(report.changes[CHANGE_LOSES_1_10], 2);
	assert_int_equal(report.changes[CHANGE_LOSES_10_100], 2);
	assert_int_equal(report.changes[CHANGE_LOSES_OVER_100], 1);
	assert_int_equal(report.changes[CHANGE_NONE], 1);
	/* Of seven, the nearest rank of 50 % is the fourth: −100.001, −100, −10, −9.999, … */
	assert_int_equal(report.quantiles[0], -100001);
	assert_int_equal(report.quantiles[3], -9999);
	assert_int_equal(report.quantiles[6], 0);
	assert_int_equal(report.n_losers, 6);
	assert_int_equal(report.losers[0].number, 6);
	assert_int_equal(report.losers[0].before_milli, 100001);
	assert_int_equal(report.losers[0].after_milli, 0);
	assert_int_equal(report.losers[5].number, 1);
	/* The other way round. */
	struct programme *const today = world.programmes[0];
	world.programmes[0] = world.programmes[1];
	world.programmes[1] = today;
	simulate(&world, -1, &report);
	assert_int_equal(report.changes[CHANGE_GAINS_UNDER_1], 1);
	assert_int_equal(report.changes[CHANGE_GAINS_1_10], 2);
	assert_int_equal(report.changes[CHANGE_GAINS_10_100], 2);
	assert_int_equal(report.changes[CHANGE_GAINS_OVER_100], 1);
	assert_int_equal(report.n_losers, 0);
	end(&world);
}

/* More than a list holds, over many batches, with equal ones. */
static void test_losers_are_the_first_of_all(void **state)
{
	(void)state;
	struct world world;
	struct simulate_report report;
	begin(&world, ONE_PER_TEN, "earn:\n  - {name: none, per_visit: {points: 1, min: 1000000}}\n");
	for (size_t who = 1; who <= 3000; who++)
		order(&world, who, "o", TODAY, (int64_t)(who * 7919 % 1000) * 100);
	simulate(&world, -1, &report);
	assert_int_equal(report.customers, 3000);
	assert_int_equal(report.n_losers, SIMULATE_LOSERS);
	for (unsigned i = 0; i < SIMULATE_LOSERS; i++) {
		/* Each loss comes three times, 1,000 customers apart: in order of id. */
		assert_int_equal(report.losers[i].before_milli, (int64_t)(999 - i / 3) * 100);
		if (i % 3)
			assert_int_equal(report.losers[i].number, report.losers[i - 1].number + 1000);
	}
	end(&world);
}

static void test_the_same_changes_nothing(void **state)
{
	(void)state;
	struct world world;
	struct simulate_report report;
	static const char *const RULES = "ledgers: [{name: points, expiry: {days: 3}, pending_days: 1}]\n" TWO_PER_TEN
					 "rewards: [{id: tea, cost: 4}]\n";
	begin(&world, RULES, RULES);
	for (size_t who = 1; who <= 100; who++) {
		order(&world, who, "a", TODAY - (int32_t)(who % 9), (int64_t)who * 77);
		redeem(&world, who, "x", TODAY, who % 2 ? "tea" : "gone");
	}
	simulate(&world, -1, &report);
	assert_true(report.same);
	assert_int_equal(report.changes[CHANGE_NONE], 100);
	assert_memory_equal(&report.ledgers[0].side[SIMULATE_TODAY], &report.ledgers[0].side[SIMULATE_OTHER],
			    sizeof(report.ledgers[0].side[0]));
	assert_memory_equal(report.rejected[0], report.rejected[1], sizeof(report.rejected[0]));
	assert_int_equal(report.rejected[0][REJECT_UNKNOWN_REWARD], 50);
	assert_true(report.ledgers[0].side[SIMULATE_TODAY].debt_milli > 0);
	assert_true(report.ledgers[0].side[SIMULATE_TODAY].expired_milli > 0);
	for (unsigned i = 0; i < SIMULATE_QUANTILES; i++)
		assert_int_equal(report.quantiles[i], 0);
	end(&world);
}

/* A first ledger that the other has not is compared with the other's first. */
static void test_ledgers_of_other_names(void **state)
{
	(void)state;
	struct world world;
	struct simulate_report report;
	begin(&world, "ledgers: [{name: points}, {name: cash}]\n" ONE_PER_TEN,
	      "ledgers: [{name: stars}, {name: cash}]\n" TWO_PER_TEN);
	order(&world, 1, "a", TODAY, 1000);
	simulate(&world, -1, &report);
	assert_int_equal(report.n_ledgers, 3);
	assert_string_equal(report.ledgers[report.compared[SIMULATE_TODAY]].name, "points");
	assert_string_equal(report.ledgers[report.compared[SIMULATE_OTHER]].name, "stars");
	assert_int_equal(report.changes[CHANGE_GAINS_1_10], 1);
	end(&world);
	/* In another place, but there. */
	begin(&world, "ledgers: [{name: points}]\n" ONE_PER_TEN,
	      "ledgers: [{name: cash}, {name: points}]\n" TWO_PER_TEN);
	order(&world, 1, "a", TODAY, 1000);
	simulate(&world, -1, &report);
	assert_string_equal(report.ledgers[report.compared[SIMULATE_OTHER]].name, "points");
	/* The rule earns in the first ledger, which is cash. */
	assert_int_equal(report.changes[CHANGE_LOSES_1_10], 1);
	end(&world);
}

static void test_other_currency(void **state)
{
	(void)state;
	struct world world;
	begin(&world, ONE_PER_TEN, ONE_PER_TEN);
	memcpy(world.programmes[1]->currency, "USD", 4);
	const struct simulate_options options = {.data_dt = TODAY, .value_micro = -1};
	struct simulation simulation;
	struct error err = {0};
	assert_int_equal(simulation_init(&simulation, world.programmes[0], world.programmes[1], &options, &err),
			 ERROR_CONFIG);
	assert_non_null(strstr(err.message, "USD"));
	simulation_release(&simulation);
	end(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_sums_and_costs),
		cmocka_unit_test(test_costs_are_rounded),
		cmocka_unit_test(test_tiers_move),
		cmocka_unit_test(test_changes_and_quantiles),
		cmocka_unit_test(test_losers_are_the_first_of_all),
		cmocka_unit_test(test_the_same_changes_nothing),
		cmocka_unit_test(test_ledgers_of_other_names),
		cmocka_unit_test(test_other_currency),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
