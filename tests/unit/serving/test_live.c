#include "serving/live.h"

#include "base/clock.h"
#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static char *dir;
static struct metrics *metrics;
static struct live live;

static int setup(void **state)
{
	(void)state;
	struct error err;
	return file_make_tmp_dir("test-live", &dir, &err) < 0 || metrics_create(dir, &metrics, &err) < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	struct error err;
	live_release(&live);
	metrics_close(metrics, METRICS_DAEMON_STOPPED);
	metrics = NULL;
	const int rc = file_remove_tree(dir, &err);
	free(dir);
	return rc;
}

static void look(void)
{
	/* An interval long enough that a second's rate is not far from what was counted. */
	nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	struct error err = {0};
	if (live_update(&live, dir, &err) < 0)
		fail_msg("%s", err.message);
}

/* What was counted, of a rate: whole but for the rounding of the rate. */
static void counted(uint64_t per_s, uint64_t n)
{
	const uint64_t got = (per_s * (uint64_t)live.interval_us + 500000) / 1000000;
	assert_in_range(got, n > 0 ? n - 1 : 0, n);
}

static void test_intervals(void **state)
{
	(void)state;
	struct metrics_source *const a = metrics_source(metrics, "a", "spool");
	struct metrics_consumer *const view = metrics_consumer(metrics, "view");
	metrics_source_add(a, METRICS_SOURCE_LINES, 100);
	metrics_source_durable(a, 10, 100, 1);
	look();
	assert_true(live.since_start);
	counted(live.sources[0].per_s[METRICS_SOURCE_LINES], 100);
	assert_int_equal(live.sources[0].durable.n, 100);
	assert_int_equal(live.consumers[0].visible.n, 0);
	look();
	assert_false(live.since_start);
	assert_int_equal(live.sources[0].per_s[METRICS_SOURCE_LINES], 0);
	assert_int_equal(live.sources[0].durable.n, 0);
	assert_int_equal(live.sources[0].durable.max_us, 0);
	/* A source that is new in the interval. */
	struct metrics_source *const b = metrics_source(metrics, "b", "http");
	metrics_source_add(a, METRICS_SOURCE_LINES, 1000);
	metrics_source_add(b, METRICS_SOURCE_LINES, 500);
	metrics_source_durable(a, 20, 1000, 1);
	metrics_source_durable(b, 60, 500, 1);
	metrics_consumer_add(view, METRICS_CONSUMER_LINES, 700);
	metrics_consumer_visible(view, 30, 700, 1);
	look();
	counted(live.sources[0].per_s[METRICS_SOURCE_LINES], 1000);
	counted(live.sources[1].per_s[METRICS_SOURCE_LINES], 500);
	counted(live.total_per_s[METRICS_SOURCE_LINES], 1500);
	counted(live.consumers[0].per_s[METRICS_CONSUMER_LINES], 700);
	assert_int_equal(live.sources[0].durable.p99_us, 20);
	assert_int_equal(live.total_durable.n, 1500);
	assert_int_equal(live.total_durable.p50_us, 20);
	assert_int_equal(live.total_durable.p99_us, 60);
	assert_int_equal(live.consumers[0].visible.p50_us, 30);
	assert_int_equal(live.consumers[0].visible.max_us, 30);
	/* Another run: since its start. */
	metrics_close(metrics, METRICS_DAEMON_STOPPED);
	struct error err;
	assert_int_equal(metrics_create(dir, &metrics, &err), 0);
	metrics_source_add(metrics_source(metrics, "a", "spool"), METRICS_SOURCE_LINES, 5);
	look();
	assert_true(live.since_start);
	assert_int_equal(live.now->n_sources, 1);
	counted(live.sources[0].per_s[METRICS_SOURCE_LINES], 5);
}

static void test_words(void **state)
{
	(void)state;
	struct error err = {0};
	live_no_daemon("/shop", NULL, &err);
	assert_int_equal(err.code, ERROR_NOT_FOUND);
	assert_string_equal(err.message, "no daemon runs in /shop; `punchcard -C /shop run` starts one");
	look();
	assert_string_equal(live_state_name(live.now), "starting");
	live.now->life = METRICS_SILENT;
	assert_string_equal(live_state_name(live.now), "silent");
	live_no_daemon("/shop", live.now, &err);
	assert_non_null(strstr(err.message, "no sign of life since"));
	live.now->life = METRICS_GONE;
	assert_string_equal(live_state_name(live.now), "died");
	live.now->state = METRICS_DAEMON_STOPPED;
	assert_string_equal(live_state_name(live.now), "stopped");
	live.now->state = METRICS_DAEMON_FAILED;
	live_no_daemon("/shop", live.now, &err);
	assert_non_null(strstr(err.message, "ended by an error"));
}

/* A look that fails leaves the one before. */
static void test_failure(void **state)
{
	(void)state;
	look();
	const struct metrics_snapshot *const before = live.now;
	struct error err = {0};
	assert_int_equal(live_update(&live, "/nowhere/at/all", &err), ERROR_NOT_FOUND);
	assert_ptr_equal(live.now, before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_intervals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_words, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failure, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
