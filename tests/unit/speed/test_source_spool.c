/* The spool source: files as they come. What stops other collectors is in test_source_spool_odd.c. */
#include "spool_daemon.h"

#define LINE(n) n "|latte 70|1700000000\n"

static void test_moved_and_written(void **state)
{
	(void)state;
	shop_open(SPOOL("settle_ms: 300, scan_s: 86400"));
	shop_put("before.txt", LINE("1"));
	start();
	wait_for_lines(1);
	wait_for_file("before.txt.COMPLETED");
	const int64_t begin = now_ms();
	shop_put("moved.txt", LINE("2")); /* by rename */
	wait_for_file("moved.txt.COMPLETED");
	wait_for_lines(2);
	grow("written.txt", LINE("3") LINE("4"));
	wait_for_lines(4);
	/* Nobody waited for a scan; and the second one for nothing at all. */
	assert_true(now_ms() - begin < LIMIT_MS);
	wait_for_file("written.txt.COMPLETED");
	wait_for_log("file taken", 3);
	assert_int_equal(logged("lines=2 taken=2 duplicates=0 quarantined=0"), 1);
	stop();
	assert_journal("before.txt:1/1 1 latte 7000 @1\nmoved.txt:1/1 2 latte 7000 @1\n"
		       "written.txt:1/1 3 latte 7000 @1\nwritten.txt:2/1 4 latte 7000 @2\n");
}

/* Its whole lines are taken while it is written; others go on meanwhile. */
static void test_growing(void **state)
{
	(void)state;
	shop_open(SPOOL("settle_ms: 20000"));
	start();
	_cleanup_free_ char *path = spool_path("slow.txt");
	FILE *const file = fopen(path, "we");
	assert_non_null(file);
	for (unsigned i = 0; i < 3; i++) {
		fprintf(file, "1|latte 70|1700000000\n2|mo");
		fflush(file);
		wait_for_lines(3 * i + 1);
		char name[32];
		snprintf(name, sizeof(name), "other%u.txt", i);
		shop_put(name, LINE("9"));
		wait_for_lines(3 * i + 2);
		fprintf(file, "cha 80|1700000000\n");
		fflush(file);
		wait_for_lines(3 * i + 3);
		assert_false(spool_has("slow.txt.COMPLETED"));
	}
	fprintf(file, "3|tea 1|1700000000");
	fclose(file);
	stop();
	shop_open(SPOOL("settle_ms: 300"));
	start();
	wait_for_lines(10);
	wait_for_file("slow.txt.COMPLETED");
	wait_for_log("file=slow.txt lines=1 taken=1", 1);
	/* It was put away, and still somebody adds lines. */
	grow("slow.txt.COMPLETED", "\n" LINE("5"));
	wait_for_lines(11);
	grow("slow.txt.COMPLETED", LINE("6"));
	wait_for_lines(12);
	stop();
}

/* A writer that opens the file for each line: it does not lose its name in between. */
static void test_opened_again(void **state)
{
	(void)state;
	shop_open(SPOOL("settle_ms: 3000"));
	start();
	for (unsigned i = 0; i < 20; i++) {
		grow("a.txt", LINE("1"));
		wait_for_lines(i + 1);
	}
	assert_true(spool_has("a.txt"));
	stop();
}

static void test_many_at_once(void **state)
{
	(void)state;
	shop_open(SPOOL("settle_ms: 0, scan_s: 1"));
	for (unsigned i = 0; i < 3000; i++) {
		char name[32];
		snprintf(name, sizeof(name), "%05u.txt", i);
		grow(name, LINE("1"));
	}
	start();
	/* While it is at it. */
	for (unsigned i = 0; i < 3000; i++) {
		char name[32];
		char tmp[40];
		snprintf(name, sizeof(name), "%05u.csv", i);
		snprintf(tmp, sizeof(tmp), "%s.tmp", name);
		grow(tmp, LINE("1"));
		rename_back(tmp, name);
	}
	wait_for_lines(6000);
	wait_for_log("file taken", 6000);
	assert_false(spool_has("02999.txt") || spool_has("02999.csv"));
	/* The next scans find nothing new, and say nothing. */
	stop();
	start();
	sleep_ms(10);
	shop_put("z.txt", LINE("1"));
	wait_for_lines(6001);
	stop();
	assert_int_equal(logged("file "), 6001);
}

static void test_recursive(void **state)
{
	(void)state;
	shop_open(SPOOL("settle_ms: 0, recursive: true, scan_s: 86400"));
	make_dir("a/b");
	make_dir(".hidden");
	shop_put("a/b/orders.txt", LINE("1"));
	shop_put(".hidden/orders.txt", LINE("1"));
	_cleanup_free_ char *link = spool_path("link");
	assert_int_equal(symlink("..", link), 0);
	start();
	wait_for_lines(1);
	wait_for_file("a/b/orders.txt.COMPLETED");
	/* Directories that appear later, with what is in them already. */
	make_dir("c/d/e");
	shop_put("c/d/e/orders.txt", LINE("2"));
	wait_for_lines(2);
	_cleanup_free_ char *outside = shop_path("outside");
	_cleanup_free_ char *inside = spool_path("c/in");
	assert_int_equal(mkdir(outside, 0777), 0);
	shop_write("outside/x.txt", LINE("3"), strlen(LINE("3")));
	assert_int_equal(rename(outside, inside), 0);
	wait_for_lines(3);
	/* And one that gets another name. */
	rename_back("c/in", "c/on");
	shop_put("c/on/y.txt", LINE("4"));
	wait_for_lines(4);
	shop_put("a/b/orders.txt", LINE("1") LINE("5"));
	wait_for_lines(5);
	wait_for_log("file skipped", 1); /* the link */
	stop();
	assert_journal("a/b/orders.txt:1/1 1 latte 7000 @1\nc/d/e/orders.txt:1/1 2 latte 7000 @1\n"
		       "c/in/x.txt:1/1 3 latte 7000 @1\nc/on/y.txt:1/1 4 latte 7000 @1\n"
		       "a/b/orders.txt:2/1 5 latte 7000 @2\n");
}

static void test_recursive_move(void **state)
{
	(void)state;
	shop_open(SPOOL("settle_ms: 0, recursive: true, when_done: move, move_to: spool/./done/"));
	make_dir("a/b");
	shop_put("a/b/orders.txt", LINE("1"));
	start();
	wait_for_file("done/a/b/orders.txt");
	shop_put("a/b/orders.txt", LINE("1"));
	wait_for_file("done/a/b/orders.txt.2");
	stop();
	/* None of them is taken from where they are now. */
	start();
	shop_put("z.txt", LINE("2"));
	wait_for_file("done/z.txt");
	stop();
	assert_journal("a/b/orders.txt:1/1 1 latte 7000 @1\nz.txt:1/1 2 latte 7000 @1\n");
	/* The same without the daemon. */
	make_dir("c");
	shop_put("c/orders.txt", LINE("3"));
	take_well();
	assert_counts(1, 1, 0, 0);
	assert_true(spool_has("done/c/orders.txt") && !spool_has("c/orders.txt"));
}

/* Names that are longer than a key of the journal can be. */
static void test_deep(void **state)
{
	(void)state;
	shop_open(SPOOL("settle_ms: 0, recursive: true"));
	_cleanup_buf_ struct buf name = {0};
	for (unsigned i = 0; i < 12; i++)
		buf_printf(&name, "%0100u/", i);
	make_dir(buf_text(&name));
	_cleanup_free_ char *a = text_printf("%sa.txt", name.data);
	_cleanup_free_ char *b = text_printf("%sb.txt", name.data);
	_cleanup_free_ char *b_done = text_printf("%s.COMPLETED", b);
	shop_put(a, LINE("1"));
	shop_put(b, LINE("2"));
	start();
	wait_for_lines(2);
	wait_for_file(b_done);
	grow(b_done, LINE("3"));
	wait_for_lines(3);
	stop();
	take_well();
	assert_int_equal(seen.files, 0);
}

static void test_stops_and_goes_on(void **state)
{
	(void)state;
	shop_open(SPOOL("settle_ms: 0"));
	_cleanup_buf_ struct buf text = {0};
	for (unsigned i = 0; i < 200000; i++)
		buf_printf(&text, "%u|latte 70|1700000000\n", i + 1);
	shop_put_bytes("big.txt", text.data, text.len);
	for (unsigned i = 0; i < 3; i++) {
		start();
		const int64_t until = now_ms() + LIMIT_MS;
		while (durable() < 40000 * (i + 1) && now_ms() < until)
			sleep_ms(1);
		stop();
	}
	start();
	wait_for_lines(200000);
	wait_for_file("big.txt.COMPLETED");
	stop();
	take_well();
	assert_int_equal(seen.files, 0);
}

/* More happens than inotify remembers, while the source waits for its turn at the journal. */
static void test_events_are_missed(void **state)
{
	(void)state;
	shop_open(SPOOL("settle_ms: 0, scan_s: 86400"));
	start();
	shop_put("first.txt", LINE("1"));
	wait_for_lines(1);
	struct error err = {0};
	assert_int_equal(journal_begin(daemon_now.source.journal, &err), 0);
	for (unsigned i = 0; i < 4000; i++) {
		char name[32];
		char tmp[40];
		snprintf(name, sizeof(name), "%05u.txt", i);
		snprintf(tmp, sizeof(tmp), "%s.tmp", name);
		grow(tmp, LINE("1"));
		rename_back(tmp, name);
	}
	journal_abort(daemon_now.source.journal);
	wait_for_lines(4001);
	grow("first.txt.COMPLETED", LINE("2"));
	wait_for_lines(4002);
	stop();
}

/* What is told of what is durable. */
static void test_counts(void **state)
{
	(void)state;
	shop_open(SPOOL("settle_ms: 60000"));
	grow("a.txt", LINE("1") "bad\n" LINE("2") "3|la");
	seen.files = seen.commits = 0;
	const struct intake_hooks hooks = {.file = on_file, .committed = on_committed, .stop = must_stop};
	struct journal *const journal = open_journal();
	struct intake *intake = NULL;
	struct intake_totals totals;
	enum intake_looked looked;
	struct stat st;
	struct error err = {0};
	assert_int_equal(intake_open(shop, journal, &hooks, &intake, &err), 0);
	assert_int_equal(intake_enter(intake, &shop->config->sources[0], &err), 0);
	const struct intake_how how = {.whole = false};
	assert_int_equal(intake_look(intake, "a.txt", &how, &looked, &st, &err), 0);
	assert_int_equal(looked, INTAKE_LOOK_TOLD);
	intake_durable(intake, &totals);
	assert_int_equal(totals.counts.lines, 0);
	assert_true(intake_is_open(intake));
	assert_int_equal(intake_commit(intake, &err), 0);
	assert_int_equal(seen.outcome, INTAKE_GROWS);
	intake_durable(intake, &totals);
	assert_int_equal(totals.counts.lines, 3);
	assert_int_equal(totals.counts.events, 2);
	assert_int_equal(totals.counts.quarantined, 1);
	assert_int_equal(totals.bytes, 2 * strlen(LINE("1")) + 4);
	assert_int_equal(totals.files, 0);
	assert_true(totals.block_us > 0);
	/* Nothing new: not even a commit of the journal. */
	assert_int_equal(intake_look(intake, "a.txt", &how, &looked, &st, &err), 0);
	assert_int_equal(intake_commit(intake, &err), 0);
	grow("a.txt", "tte 70|1700000000\n");
	const struct intake_how whole = {.whole = true};
	assert_int_equal(intake_look(intake, "a.txt", &whole, &looked, &st, &err), 0);
	assert_int_equal(intake_commit(intake, &err), 0);
	assert_int_equal(seen.outcome, INTAKE_TAKEN);
	assert_true(spool_has("a.txt.COMPLETED"));
	intake_durable(intake, &totals);
	assert_int_equal(totals.counts.lines, 4);
	assert_int_equal(totals.bytes, 3 * strlen(LINE("1")) + 4);
	assert_int_equal(totals.files, 1);
	assert_int_equal(intake_look(intake, "a.txt.COMPLETED", &how, &looked, &st, &err), 0);
	assert_int_equal(looked, INTAKE_LOOK_SAME);
	assert_int_equal(intake_look(intake, "a.txt", &how, &looked, &st, &err), 0);
	assert_int_equal(looked, INTAKE_LOOK_NONE);
	intake_leave(intake);
	intake_close(intake);
	journal_close(journal);
}

static void test_idle(void **state)
{
	(void)state;
	shop_open(SPOOL("settle_ms: 0, scan_s: 1"));
	for (unsigned i = 0; i < 2000; i++) {
		char name[32];
		snprintf(name, sizeof(name), "%05u.txt", i);
		grow(name, LINE("1"));
	}
	start();
	wait_for_lines(2000);
	wait_for_log("file taken", 2000);
	const int64_t before = thread_cpu_us();
	sleep_ms(3000);
	const int64_t used = thread_cpu_us() - before;
	print_message("CPU of 3 s with a scan a second of 2000 files: %lld us\n", (long long)used);
	stop();
	/* Some hundred microseconds each without sanitizers. */
	assert_true(used < 600000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_shop, remove_daemon)
	const struct CMUnitTest tests[] = {
		TEST(test_moved_and_written),
		TEST(test_growing),
		TEST(test_opened_again),
		TEST(test_many_at_once),
		TEST(test_recursive),
		TEST(test_recursive_move),
		TEST(test_deep),
		TEST(test_stops_and_goes_on),
		TEST(test_events_are_missed),
		TEST(test_counts),
		TEST(test_idle),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
