/*
 * What the tests of the sources of the daemon share: a shop with a journal, and a source that runs in a thread.
 *
 *     shop_open("sources:\n  - {name: till, type: tail, path: logs/a.log, format: classic}\n");
 *     start_source(&source_tail);
 *     …
 *     wait_lines(3);                    // in the journal, or the test fails
 *     stop_source();                    // as at the end of the daemon; kill_source: as if it had been killed
 *     assert_journal("a.log:1/1 …");
 */
#ifndef PUNCHCARD_TESTS_SPEED_SOURCE_SHOP_H
#define PUNCHCARD_TESTS_SPEED_SOURCE_SHOP_H

#include "speed/source.h"

#include "base/clock.h"
#include "shop.h"
#include "store/block.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define WAIT_US INT64_C(60000000)

static struct source running;
static struct journal *running_journal;
static pthread_t running_thread;
static int running_rc;
static struct error running_err;
static bool is_running;
static atomic_bool running_ended; /* `run` has returned */
static const struct source_driver *running_driver;

static void *run_source(void *context)
{
	(void)context;
	running_rc = running.driver->run(&running, &running_err);
	atomic_store(&running_ended, true);
	return NULL;
}

static inline void open_running_journal(void)
{
	struct error err = {0};
	if (!running_journal &&
	    journal_open(shop->journal_dir, &(const struct journal_options){.map_gib = 1}, &running_journal, &err) < 0)
		fail_msg("%s", err.message);
}

static inline void start_source(const struct source_driver *driver)
{
	struct error err = {0};
	open_running_journal();
	running_driver = driver;
	running = (struct source){.deployment = shop,
				  .config = &shop->config->sources[0],
				  .driver = driver,
				  .journal = running_journal,
				  .stop_fd = eventfd(0, EFD_CLOEXEC)};
	assert_true(running.stop_fd >= 0);
	if (driver->open && driver->open(&running, &err) < 0)
		fail_msg("%s", err.message);
	running_err = (struct error){0};
	atomic_store(&running_ended, false);
	assert_int_equal(pthread_create(&running_thread, NULL, run_source, NULL), 0);
	is_running = true;
}

/* Waits until `run` has returned by itself. */
static inline void join_source(void)
{
	assert_int_equal(pthread_join(running_thread, NULL), 0);
	is_running = false;
}

/* `run` again, as after an error. */
static inline void run_again(void)
{
	running_rc = 0;
	running_err = (struct error){0};
	atomic_store(&running_ended, false);
	assert_int_equal(pthread_create(&running_thread, NULL, run_source, NULL), 0);
	is_running = true;
}

/* No file may grow beyond so much: the disk is full. 0: it has room again. */
static inline void limit_files(uint64_t bytes)
{
	struct rlimit limit;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes ? bytes : limit.rlim_max;
	assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static inline uint64_t journal_bytes(void)
{
	_cleanup_free_ char *path = text_printf("%s/data.mdb", shop->journal_dir);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	return (uint64_t)st.st_size;
}

static inline void close_source(void)
{
	if (running.driver && running.driver->close)
		running.driver->close(&running);
	if (running.driver)
		close(running.stop_fd);
	running.driver = NULL;
	journal_close(running_journal);
	running_journal = NULL;
}

static inline void tell_to_stop(void)
{
	assert_int_equal(eventfd_write(running.stop_fd, 1), 0);
}

static inline void stop_source(void)
{
	if (is_running) {
		tell_to_stop();
		join_source();
	}
	if (running_rc < 0)
		fail_msg("%s", running_err.message);
	close_source();
}

static int remove_running_shop(void **state)
{
	if (is_running) {
		tell_to_stop();
		join_source();
	}
	close_source();
	return remove_shop(state);
}

/* How many rows and quarantined lines the journal has. */
static inline uint64_t journal_lines(void)
{
	struct journal_reader *reader = NULL;
	struct journal_totals totals = {0};
	struct error err = {0};
	open_running_journal();
	if (journal_reader_open(running_journal, &reader, &err) < 0 || journal_reader_totals(reader, &totals, &err) < 0)
		fail_msg("%s", err.message);
	journal_reader_close(reader);
	return totals.lines + totals.quarantined;
}

static inline void pause_ms(unsigned ms)
{
	const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
	nanosleep(&pause, NULL);
}

static inline void wait_lines(uint64_t lines)
{
	const int64_t until_us = clock_now_us() + WAIT_US;
	while (journal_lines() < lines && clock_now_us() < until_us)
		pause_ms(1);
	assert_int_equal(journal_lines(), lines);
}

/* Everything in the journal, a line a row or quarantined line: its event's id and its menu, or why it was set aside. */
static inline void dump_journal(struct buf *out)
{
	struct journal_reader *reader = NULL;
	struct error err = {0};
	uint64_t first;
	uint64_t next;
	open_running_journal();
	assert_int_equal(journal_reader_open(running_journal, &reader, &err), 0);
	assert_int_equal(journal_reader_range(reader, &first, &next, &err), 0);
	buf_clear(out);
	for (uint64_t seq = first; seq < next; seq++) {
		struct slice bytes;
		struct block_reader block;
		struct block_record r;
		int rc;
		assert_int_equal(journal_reader_block(reader, seq, &bytes, &err), 0);
		assert_int_equal(block_reader_open(&block, bytes, &err), 0);
		while ((rc = block_reader_next(&block, &r, &err)) == 1) {
			if (r.kind == BLOCK_QUARANTINED)
				assert_int_equal(buf_printf(out, "! %.*s:%" PRIu64 " %s\n", (int)r.file.len,
							    r.file.data, r.line, quarantine_reason_name(r.reason)),
						 0);
			for (uint32_t i = 0; r.kind == BLOCK_EVENT && i < r.event.n_lines; i++)
				assert_int_equal(buf_printf(out, "%.*s %.*s\n", (int)r.event.id.len, r.event.id.data,
							    (int)r.event.lines[i].menu.len, r.event.lines[i].menu.data),
						 0);
		}
		assert_int_equal(rc, 0);
		block_reader_release(&block);
	}
	journal_reader_close(reader);
	assert_non_null(buf_text(out));
}

static inline void assert_journal(const char *expected)
{
	_cleanup_buf_ struct buf have = {0};
	dump_journal(&have);
	assert_string_equal(have.data, expected);
}

#endif
