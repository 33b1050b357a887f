/* A batch writer that wants all of the journal in the table: it drains itself, or waits for the collector. */
#include "batch/history.h"
#include "shop.h"
#include "speed/collect.h"

#include <signal.h>
#include <sys/wait.h>

#define SECOND_US INT64_C(1000000)

static void on_file(void *context, const struct intake_file *file)
{
	(void)context;
	(void)file;
}

static void on_committed(void *context, uint64_t lines)
{
	(void)context;
	(void)lines;
}

static bool never(void *context)
{
	(void)context;
	return false;
}

static const struct intake_hooks HOOKS = {.file = on_file, .committed = on_committed, .stop = never};

/* A file that is in the journal, and not in the table. */
static void fill_journal(const char *name, const char *text)
{
	struct journal *journal = NULL;
	struct intake *intake = NULL;
	unsigned failed = 0;
	shop_open(CLASSIC_SOURCE);
	shop_put(name, text);
	assert_int_equal(journal_open(shop->journal_dir, &(const struct journal_options){.map_gib = 1}, &journal, NULL),
			 0);
	assert_int_equal(intake_open(shop, journal, &HOOKS, &intake, NULL), 0);
	assert_int_equal(intake_source(intake, &shop->config->sources[0], &failed, NULL), 0);
	assert_int_equal(failed, 0);
	intake_close(intake);
	journal_close(journal);
	deployment_close(shop);
	shop = NULL;
}

/* ---- a collector: a process that has the lock, and writes its table when it is told to ---- */

struct collector {
	pid_t pid;
	int to;
	int from;
};

static _Noreturn void be_collector(int commands, int answers)
{
	struct deployment *own = NULL;
	struct error err = {0};
	char c = deployment_open(shop_dir, DEPLOYMENT_COLLECT, "run", &own, &err) == 0 ? 'y' : 'n';
	while (write(answers, &c, 1) == 1 && read(commands, &c, 1) == 1) {
		const int rc = collect_drain(own, NULL, &err);
		if (rc < 0)
			fprintf(stderr, "%s\n", err.message);
		c = rc == 0 ? 'y' : 'n';
	}
	_exit(0);
}

static void expect_yes(const struct collector *collector)
{
	char answer = 'n';
	assert_int_equal(read(collector->from, &answer, 1), 1);
	assert_int_equal(answer, 'y');
}

static void start_collector(struct collector *out)
{
	int commands[2];
	int answers[2];
	assert_int_equal(pipe(commands), 0);
	assert_int_equal(pipe(answers), 0);
	out->pid = fork();
	assert_true(out->pid >= 0);
	if (out->pid == 0) {
		close(commands[1]);
		close(answers[0]);
		be_collector(commands[0], answers[1]);
	}
	close(commands[0]);
	close(answers[1]);
	out->to = commands[1];
	out->from = answers[0];
	expect_yes(out);
}

static void collector_writes(const struct collector *collector)
{
	assert_int_equal(write(collector->to, "d", 1), 1);
	expect_yes(collector);
}

static void kill_collector(struct collector *collector)
{
	assert_int_equal(kill(collector->pid, SIGKILL), 0);
	assert_int_equal(waitpid(collector->pid, NULL, 0), collector->pid);
	close(collector->to);
	close(collector->from);
	collector->pid = 0;
}

/* ---- the batch writer ---- */

static void open_batch(void)
{
	struct error err = {0};
	if (deployment_open(shop_dir, DEPLOYMENT_WRITE, "refresh", &shop, &err) < 0)
		fail_msg("%s", err.message);
}

static void drain_well(const struct collect_wait *wait)
{
	struct error err = {0};
	if (collect_drain(shop, wait, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(err.code, 0);
}

/* How many blocks the table has. */
static uint64_t table_blocks(void)
{
	uint64_t offset = 0;
	struct error err = {0};
	if (history_offset(shop, &offset, &err) < 0)
		fail_msg("%s", err.message);
	return offset - 1;
}

static void test_without_a_collector(void **state)
{
	(void)state;
	fill_journal("a.txt", "1|latte 70|1700000000\n");
	open_batch();
	assert_int_equal(table_blocks(), 0);
	drain_well(NULL);
	assert_int_equal(table_blocks(), 1);
	/* The lock is free again. */
	struct deployment_holder holder;
	assert_false(deployment_holder(shop, DEPLOYMENT_COLLECT, &holder));
}

static void test_nothing_collected(void **state)
{
	(void)state;
	open_batch();
	drain_well(NULL);
	struct collector collector;
	start_collector(&collector);
	drain_well(NULL);
	kill_collector(&collector);
	_cleanup_free_ char *file = shop_path("data/journal/data.mdb");
	assert_false(file_exists(file));
}

static void test_a_collector_that_has_written_all(void **state)
{
	(void)state;
	fill_journal("a.txt", "1|latte 70|1700000000\n");
	struct collector collector;
	start_collector(&collector);
	collector_writes(&collector);
	open_batch();
	drain_well(NULL);
	assert_int_equal(table_blocks(), 1);
	kill_collector(&collector);
}

struct seen {
	struct collector *collector;
	void (*then)(struct collector *collector);
	unsigned calls;
	int64_t last_us;
};

static void on_waiting(void *context, pid_t pid, int64_t waited_us)
{
	struct seen *const seen = context;
	assert_int_equal(pid, seen->collector->pid);
	assert_true(waited_us >= seen->last_us);
	seen->last_us = waited_us;
	if (++seen->calls == 3)
		seen->then(seen->collector);
}

static void let_write(struct collector *collector)
{
	collector_writes(collector);
}

/* It ends when the table has what was there at the beginning: the lock stays the collector's. */
static void test_waiting(void **state)
{
	(void)state;
	fill_journal("a.txt", "1|latte 70|1700000000\n");
	struct collector collector;
	start_collector(&collector);
	open_batch();
	struct seen seen = {.collector = &collector, .then = let_write};
	drain_well(&(const struct collect_wait){.waiting = on_waiting, .context = &seen});
	assert_int_equal(seen.calls, 3);
	assert_true(seen.last_us >= SECOND_US / 10);
	assert_int_equal(table_blocks(), 1);
	struct deployment_holder holder;
	assert_true(deployment_holder(shop, DEPLOYMENT_COLLECT, &holder));
	assert_int_equal(holder.pid, collector.pid);
	kill_collector(&collector);
}

/* A collector that dies leaves its lock: who waited drains. */
static void test_the_collector_dies(void **state)
{
	(void)state;
	fill_journal("a.txt", "1|latte 70|1700000000\n");
	struct collector collector;
	start_collector(&collector);
	open_batch();
	const pid_t pid = collector.pid;
	struct seen seen = {.collector = &collector, .then = kill_collector};
	drain_well(&(const struct collect_wait){.waiting = on_waiting, .context = &seen});
	assert_true(seen.calls == 3 && collector.pid == 0 && pid > 0);
	assert_int_equal(table_blocks(), 1);
}

/* One that does nothing is given up, with a name. */
static void test_a_stuck_collector(void **state)
{
	(void)state;
	fill_journal("a.txt", "1|latte 70|1700000000\n");
	struct collector collector;
	start_collector(&collector);
	open_batch();
	struct error err = {0};
	assert_int_equal(collect_drain(shop, &(const struct collect_wait){.stuck_us = SECOND_US}, &err), ERROR_LOCKED);
	char expected[256];
	snprintf(expected, sizeof(expected),
		 "the collector, process %ld, has written nothing to its table for 1 seconds; 1 blocks of the journal "
		 "are still to be written. If it does not go on, stop it and run this again",
		 (long)collector.pid);
	assert_string_equal(err.message, expected);
	assert_int_equal(table_blocks(), 0);
	/* Whoever follows the advice. */
	kill_collector(&collector);
	drain_well(NULL);
	assert_int_equal(table_blocks(), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_shop, remove_shop)
	const struct CMUnitTest tests[] = {
		TEST(test_without_a_collector),
		TEST(test_nothing_collected),
		TEST(test_a_collector_that_has_written_all),
		TEST(test_waiting),
		TEST(test_the_collector_dies),
		TEST(test_a_stuck_collector),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
