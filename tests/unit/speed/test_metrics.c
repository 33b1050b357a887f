#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "speed/metrics.h"
#include "speed/metrics_internal.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char *dir;
static char *path; /* <dir>/run/metrics */

static int setup(void **state)
{
	(void)state;
	struct error err;
	if (file_make_tmp_dir("test-metrics", &dir, &err) < 0)
		return -1;
	path = metrics_path(dir);
	return path ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	struct error err;
	const int rc = file_remove_tree(dir, &err);
	free(dir);
	free(path);
	return rc;
}

static struct metrics *create(void)
{
	struct metrics *metrics = NULL;
	struct error err = {0};
	if (metrics_create(dir, &metrics, &err) < 0)
		fail_msg("%s", err.message);
	return metrics;
}

static struct metrics_snapshot *take(void)
{
	struct metrics_snapshot *snapshot = NULL;
	struct error err = {0};
	if (metrics_read(dir, &snapshot, &err) < 0)
		fail_msg("%s", err.message);
	return snapshot;
}

static void test_what_is_written_is_read(void **state)
{
	(void)state;
	const int64_t begin_us = clock_now_us();
	struct metrics *const m = create();
	metrics_daemon_state(m, METRICS_DAEMON_RUNNING);
	metrics_set_journal(m, &(struct metrics_journal){1, 2, 3, 4, 5});
	struct metrics_source *const till = metrics_source(m, "till", "spool");
	struct metrics_source *const web = metrics_source(m, "web", "http");
	struct metrics_consumer *const view = metrics_consumer(m, "view");
	assert_ptr_equal(metrics_source(m, "till", "spool"), till);
	assert_ptr_equal(metrics_consumer(m, "view"), view);
	assert_ptr_not_equal(metrics_source(m, "till", "tail"), till);
	metrics_source_state(till, METRICS_WAITING);
	for (unsigned i = 0; i < METRICS_SOURCE_COUNTERS; i++)
		if (i != METRICS_SOURCE_ERRORS)
			metrics_source_add(till, i, 100 + i);
	metrics_source_add(till, METRICS_SOURCE_LINES, 1000);
	metrics_source_durable(till, 250, 512, 77);
	metrics_source_error(web, "no route", 88);
	metrics_consumer_state(view, METRICS_BACKING_OFF);
	metrics_consumer_add(view, METRICS_CONSUMER_BATCHES, 1);
	metrics_consumer_add(view, METRICS_CONSUMER_LINES, 20);
	metrics_consumer_add(view, METRICS_CONSUMER_RETRIES, 3);
	metrics_consumer_offset(view, 9);
	metrics_consumer_lag(view, 44);
	metrics_consumer_visible(view, 40, 5, 99);
	metrics_consumer_error(view, "disk", 111);
	struct metrics_snapshot *const s = take();
	assert_int_equal(s->pid, getpid());
	assert_in_range(s->started_us, begin_us, clock_now_us());
	assert_int_equal(s->heartbeat_us, s->started_us);
	assert_int_equal(s->state, METRICS_DAEMON_RUNNING);
	assert_int_equal(s->life, METRICS_ALIVE);
	assert_memory_equal(&s->journal, (&(struct metrics_journal){1, 2, 3, 4, 5}), sizeof(s->journal));
	assert_int_equal(s->n_sources, 3);
	assert_string_equal(s->sources[0].name, "till");
	assert_string_equal(s->sources[0].type, "spool");
	assert_int_equal(s->sources[0].state, METRICS_WAITING);
	assert_int_equal(s->sources[0].counters[METRICS_SOURCE_LINES], 1100);
	assert_int_equal(s->sources[0].counters[METRICS_SOURCE_RESTARTS], 100 + METRICS_SOURCE_RESTARTS);
	assert_int_equal(s->sources[0].counters[METRICS_SOURCE_ERRORS], 0);
	assert_int_equal(s->sources[0].last_us, 77);
	assert_string_equal(s->sources[0].error, "");
	assert_int_equal(s->sources[0].durable.n, 512);
	assert_in_range(histogram_percentile(&s->sources[0].durable, 500), 248, 250);
	assert_string_equal(s->sources[1].error, "no route");
	assert_int_equal(s->sources[1].error_us, 88);
	assert_int_equal(s->sources[1].counters[METRICS_SOURCE_ERRORS], 1);
	assert_string_equal(s->sources[2].type, "tail");
	assert_int_equal(s->n_consumers, 1);
	assert_int_equal(s->consumers[0].state, METRICS_BACKING_OFF);
	assert_int_equal(s->consumers[0].offset, 9);
	assert_int_equal(s->consumers[0].lag_lines, 44);
	assert_int_equal(s->consumers[0].last_us, 99);
	assert_int_equal(s->consumers[0].counters[METRICS_CONSUMER_LINES], 20);
	assert_int_equal(s->consumers[0].counters[METRICS_CONSUMER_ERRORS], 1);
	assert_int_equal(s->consumers[0].visible.n, 5);
	assert_string_equal(s->consumers[0].error, "disk");
	metrics_snapshot_free(s);
	metrics_close(m, METRICS_DAEMON_STOPPED);
}

/* Who has no metrics writes nothing, and need not ask. */
static void test_without_metrics(void **state)
{
	(void)state;
	assert_null(metrics_source(NULL, "till", "spool"));
	assert_null(metrics_consumer(NULL, "view"));
	metrics_heartbeat(NULL, 1);
	metrics_daemon_state(NULL, METRICS_DAEMON_RUNNING);
	metrics_set_journal(NULL, &(struct metrics_journal){0});
	metrics_source_add(NULL, METRICS_SOURCE_LINES, 1);
	metrics_source_state(NULL, METRICS_RUNNING);
	metrics_source_durable(NULL, 1, 1, 1);
	metrics_source_error(NULL, "x", 1);
	metrics_consumer_add(NULL, METRICS_CONSUMER_LINES, 1);
	metrics_consumer_state(NULL, METRICS_RUNNING);
	metrics_consumer_offset(NULL, 1);
	metrics_consumer_lag(NULL, 1);
	metrics_consumer_visible(NULL, 1, 1, 1);
	metrics_consumer_error(NULL, "x", 1);
	metrics_close(NULL, METRICS_DAEMON_STOPPED);
	metrics_snapshot_free(NULL);
}

static void test_more_than_there_is_room_for(void **state)
{
	(void)state;
	struct metrics *const m = create();
	char name[200];
	for (unsigned i = 0; i < METRICS_SOURCES + 3; i++) {
		snprintf(name, sizeof(name), "source %u", i);
		assert_int_equal(metrics_source(m, name, "spool") != NULL, i < METRICS_SOURCES);
	}
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	memcpy(name + 61, "\xE6\xBC\xA2", 3); /* would be cut in two */
	struct metrics_consumer *const consumer = metrics_consumer(m, name);
	assert_ptr_equal(metrics_consumer(m, name), consumer);
	char text[2 * METRICS_ERROR_MAX];
	memset(text, 'e', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	metrics_consumer_error(consumer, text, 1);
	struct metrics_snapshot *const s = take();
	assert_int_equal(s->n_sources, METRICS_SOURCES);
	assert_int_equal(s->left_out, 3);
	assert_int_equal(strlen(s->consumers[0].name), 61);
	assert_int_equal(strlen(s->consumers[0].error), METRICS_ERROR_MAX - 1);
	metrics_snapshot_free(s);
	metrics_close(m, METRICS_DAEMON_STOPPED);
}

static void test_stopped_and_begun_anew(void **state)
{
	(void)state;
	struct metrics *m = create();
	metrics_source_add(metrics_source(m, "till", "spool"), METRICS_SOURCE_LINES, 5);
	metrics_daemon_state(m, METRICS_DAEMON_RUNNING);
	struct metrics_snapshot *const first = take();
	metrics_close(m, METRICS_DAEMON_STOPPED);
	struct metrics_snapshot *const stopped = take();
	assert_int_equal(stopped->life, METRICS_GONE);
	assert_int_equal(stopped->state, METRICS_DAEMON_STOPPED);
	assert_int_equal(stopped->sources[0].counters[METRICS_SOURCE_LINES], 5);
	assert_true(metrics_same_run(first, stopped));
	while (clock_now_us() <= first->started_us)
		;
	m = create();
	struct metrics_snapshot *const second = take();
	assert_int_equal(second->life, METRICS_ALIVE);
	assert_int_equal(second->state, METRICS_DAEMON_STARTING);
	assert_int_equal(second->n_sources, 0);
	assert_false(metrics_same_run(first, second));
	metrics_close(m, METRICS_DAEMON_FAILED);
	metrics_snapshot_free(first);
	metrics_snapshot_free(stopped);
	metrics_snapshot_free(second);
}

static void test_silent(void **state)
{
	(void)state;
	struct metrics *const m = create();
	metrics_daemon_state(m, METRICS_DAEMON_RUNNING);
	metrics_heartbeat(m, clock_now_us() - METRICS_SILENT_US - 1);
	struct metrics_snapshot *const s = take();
	assert_int_equal(s->life, METRICS_SILENT);
	metrics_snapshot_free(s);
	metrics_close(m, METRICS_DAEMON_STOPPED);
}

/* A daemon that is killed: its last numbers are there, and it is known to be gone. */
static void test_killed(void **state)
{
	(void)state;
	int fds[2];
	assert_int_equal(pipe(fds), 0);
	const pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct metrics *m = NULL;
		struct error err;
		if (metrics_create(dir, &m, &err) < 0)
			_exit(1);
		struct metrics_source *const s = metrics_source(m, "till", "spool");
		metrics_daemon_state(m, METRICS_DAEMON_RUNNING);
		metrics_source_add(s, METRICS_SOURCE_LINES, 42);
		metrics_source_error(s, "the last one", 1);
		atomic_store(&s->error.words[0][0], UINT64_C(0x4141)); /* killed within the next one */
		if (write(fds[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	char byte;
	assert_int_equal(read(fds[0], &byte, 1), 1);
	struct metrics_snapshot *s = take();
	assert_int_equal(s->life, METRICS_ALIVE);
	assert_int_equal(s->pid, child);
	metrics_snapshot_free(s);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	s = take();
	assert_int_equal(s->life, METRICS_GONE);
	assert_int_equal(s->state, METRICS_DAEMON_RUNNING);
	assert_int_equal(s->sources[0].counters[METRICS_SOURCE_LINES], 42);
	assert_string_equal(s->sources[0].error, "the last one");
	metrics_snapshot_free(s);
	close(fds[0]);
	close(fds[1]);
}

static void expect_refused(int code, const char *part)
{
	struct metrics_snapshot *snapshot = NULL;
	struct error err = {0};
	assert_int_equal(metrics_read(dir, &snapshot, &err), code);
	assert_null(snapshot);
	if (!strstr(err.message, part) || !strstr(err.message, path))
		fail_msg("%s", err.message);
}

static void overwrite(off_t at, const void *data, size_t len)
{
	const int fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, data, len, at), len);
	close(fd);
}

static void test_damaged_files(void **state)
{
	(void)state;
	expect_refused(ERROR_NOT_FOUND, "cannot open");
	struct error err;
	char *const run = text_printf("%s/run", dir);
	assert_int_equal(file_make_dirs(run, &err), 0);
	assert_int_equal(file_write_durable(path, "", 0, &err), 0);
	expect_refused(ERROR_CORRUPT, "not what the daemon writes");
	assert_int_equal(file_write_durable(path, "PAR1 and more of it", 19, &err), 0);
	expect_refused(ERROR_CORRUPT, "not what the daemon writes");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	expect_refused(ERROR_CORRUPT, "not what the daemon writes");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	expect_refused(ERROR_CORRUPT, "not what the daemon writes");
	assert_int_equal(rmdir(path), 0);
	metrics_close(create(), METRICS_DAEMON_STOPPED);
	overwrite(offsetof(struct metrics_file, layout), &(uint32_t){METRICS_LAYOUT + 1}, 4);
	expect_refused(ERROR_INPUT, "another version");
	metrics_close(create(), METRICS_DAEMON_STOPPED);
	overwrite(offsetof(struct metrics_file, n_sources), &(uint64_t){METRICS_SOURCES + 1}, 8);
	expect_refused(ERROR_CORRUPT, "damaged");
	static const off_t SIZES[] = {0, 1, 15, 16, 255, 4096, sizeof(struct metrics_file) - 1};
	for (size_t i = 0; i < sizeof(SIZES) / sizeof(*SIZES); i++) {
		metrics_close(create(), METRICS_DAEMON_STOPPED);
		assert_int_equal(truncate(path, SIZES[i]), 0);
		expect_refused(ERROR_CORRUPT, "cut");
	}
	/* Whatever else is in it is shown, not believed. */
	metrics_close(create(), METRICS_DAEMON_STOPPED);
	static unsigned char noise[sizeof(struct metrics_file)];
	memset(noise, 0xA5, sizeof(noise));
	overwrite(16, noise, offsetof(struct metrics_file, n_sources) - 16);
	overwrite(offsetof(struct metrics_file, sources), noise,
		  sizeof(noise) - offsetof(struct metrics_file, sources));
	overwrite(offsetof(struct metrics_file, n_sources), (uint64_t[]){3, 2}, 16);
	struct metrics_snapshot *const s = take();
	assert_string_equal(metrics_daemon_state_name(s->state), "unknown");
	assert_string_equal(metrics_state_name(s->sources[2].state), "unknown");
	assert_int_equal(strlen(s->sources[0].name), METRICS_NAME_MAX - 1);
	assert_int_equal(strlen(s->consumers[1].error), METRICS_ERROR_MAX - 1);
	metrics_snapshot_free(s);
	free(run);
}

static void test_cannot_be_made(void **state)
{
	(void)state;
	struct error err;
	char *const run = text_printf("%s/run", dir);
	assert_int_equal(file_write_durable(run, "", 0, &err), 0);
	struct metrics *m = NULL;
	err.message[0] = '\0';
	assert_true(metrics_create(dir, &m, &err) < 0);
	assert_null(m);
	assert_non_null(strstr(err.message, run));
	assert_int_equal(unlink(run), 0);
	/* What a killed predecessor left is in nobody's way. */
	char *const tmp = text_printf("%s.tmp", path);
	assert_int_equal(file_make_dirs(run, &err), 0);
	assert_int_equal(file_write_durable(tmp, "half", 4, &err), 0);
	metrics_close(create(), METRICS_DAEMON_STOPPED);
	assert_false(file_exists(tmp));
	free(tmp);
	free(run);
}

#define WRITES 20000u

static void *write_much(void *arg)
{
	struct metrics_source *const source = arg;
	for (unsigned i = 1; i <= WRITES; i++) {
		char text[METRICS_ERROR_MAX];
		memset(text, 'a' + (int)(i % 26), sizeof(text) - 1);
		text[sizeof(text) - 1] = '\0';
		metrics_source_add(source, METRICS_SOURCE_LINES, 1);
		metrics_source_error(source, text, i);
		metrics_source_durable(source, i % 1000, 1, i);
	}
	return NULL;
}

/* A reader sees whole texts and numbers that only grow, while they are written. */
static void test_reader_and_writer(void **state)
{
	(void)state;
	struct metrics *const m = create();
	struct metrics_source *const source = metrics_source(m, "till", "spool");
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, write_much, source), 0);
	uint64_t lines = 0;
	uint64_t entries = 0;
	unsigned seen = 0;
	while (lines < WRITES || entries < WRITES) {
		struct metrics_snapshot *const s = take();
		const struct metrics_source_snapshot *const got = &s->sources[0];
		assert_true(got->counters[METRICS_SOURCE_LINES] >= lines);
		assert_true(got->durable.n >= entries);
		lines = got->counters[METRICS_SOURCE_LINES];
		entries = got->durable.n;
		const size_t len = strlen(got->error);
		assert_true(len == 0 || len == METRICS_ERROR_MAX - 1);
		for (size_t i = 1; i < len; i++)
			if (got->error[i] != got->error[0])
				fail_msg("a torn text: %s", got->error);
		seen++;
		metrics_snapshot_free(s);
	}
	assert_true(seen > 0);
	pthread_join(thread, NULL);
	metrics_close(m, METRICS_DAEMON_STOPPED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_is_written_is_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_without_metrics, setup, teardown),
		cmocka_unit_test_setup_teardown(test_more_than_there_is_room_for, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stopped_and_begun_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(test_silent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_killed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cannot_be_made, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reader_and_writer, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
