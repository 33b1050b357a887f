/*
 * What the tests of the spool source share: the source at work in a thread on a real journal, as the daemon has it, and a log
 * that can be read.
 *
 *     shop_open(SPOOL("settle_ms: 300"));
 *     start();
 *     …put files, wait_for_lines(3)…
 *     stop();                  // also what it returned is right
 *     assert_journal("…");
 */
#ifndef PUNCHCARD_TEST_SPOOL_DAEMON_H
#define PUNCHCARD_TEST_SPOOL_DAEMON_H

#include "base/log.h"
#include "intake_shop.h"
#include "speed/source.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <time.h>

/* So long a condition may take on a slow machine. */
#define LIMIT_MS    60000

#define SPOOL(more) "sources:\n  - {name: till, dir: spool, format: classic, " more "}\n"

static struct {
	struct source source;
	pthread_t thread;
	int rc;
	struct error err;
	int log_fd;
	bool running; /* the thread, or what it left */
} daemon_now;

static inline int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static inline void sleep_ms(unsigned ms)
{
	const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
	nanosleep(&pause, NULL);
}

static inline void *work_in_thread(void *unused)
{
	(void)unused;
	daemon_now.rc = source_spool.run(&daemon_now.source, &daemon_now.err);
	return NULL;
}

static inline void run_again(void)
{
	assert_int_equal(pthread_create(&daemon_now.thread, NULL, work_in_thread, NULL), 0);
}

static inline void start(void)
{
	_cleanup_free_ char *log = text_printf("%s/log", shop_base);
	daemon_now.log_fd = open(log, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	assert_true(daemon_now.log_fd >= 0);
	struct log_options options = LOG_DEFAULTS;
	options.fd = daemon_now.log_fd;
	options.per_minute = 0;
	log_configure(&options);
	daemon_now.source = (struct source){.deployment = shop,
					    .config = &shop->config->sources[0],
					    .driver = &source_spool,
					    .journal = open_journal(),
					    .stop_fd = eventfd(0, EFD_CLOEXEC)};
	daemon_now.err = (struct error){0};
	daemon_now.running = true;
	run_again();
}

static inline int join(void)
{
	assert_int_equal(pthread_join(daemon_now.thread, NULL), 0);
	return daemon_now.rc;
}

static inline void close_daemon(void)
{
	source_spool.close(&daemon_now.source);
	close(daemon_now.source.stop_fd);
	journal_close(daemon_now.source.journal);
	log_configure(&(const struct log_options)LOG_DEFAULTS);
	close(daemon_now.log_fd);
	daemon_now.running = false;
}

static inline void stop(void)
{
	assert_int_equal(eventfd_write(daemon_now.source.stop_fd, 1), 0);
	const int rc = join();
	close_daemon();
	if (rc < 0)
		fail_msg("%s", daemon_now.err.message);
}

/* Of a test that failed while the source was at work, too. */
static inline int remove_daemon(void **state)
{
	if (daemon_now.running) {
		eventfd_write(daemon_now.source.stop_fd, 1);
		join();
		close_daemon();
	}
	return remove_shop(state);
}

/* How often the log has it. */
static inline unsigned logged(const char *what)
{
	_cleanup_free_ char *path = text_printf("%s/log", shop_base);
	_cleanup_buf_ struct buf text = {0};
	assert_int_equal(file_read_all(path, 100000000, &text, NULL), 0);
	unsigned n = 0;
	for (const char *at = buf_text(&text); (at = strstr(at, what)); at++)
		n++;
	return n;
}

static inline void fail_with_log(const char *what)
{
	_cleanup_free_ char *path = text_printf("%s/log", shop_base);
	_cleanup_buf_ struct buf text = {0};
	file_read_all(path, 100000000, &text, NULL);
	fail_msg("waited too long for %s; the log:\n%s", what, buf_text(&text));
}

/* Events and quarantined lines that are durable. */
static inline uint64_t durable(void)
{
	struct journal_reader *reader = NULL;
	struct journal_totals totals;
	struct error err = {0};
	assert_int_equal(journal_reader_open(daemon_now.source.journal, &reader, &err), 0);
	assert_int_equal(journal_reader_totals(reader, &totals, &err), 0);
	journal_reader_close(reader);
	return totals.events + totals.quarantined;
}

static inline void wait_for_lines(uint64_t n)
{
	const int64_t until = now_ms() + LIMIT_MS;
	while (durable() < n) {
		if (now_ms() > until)
			fail_with_log("lines");
		sleep_ms(2);
	}
	assert_int_equal(durable(), n);
}

static inline void wait_for_log(const char *what, unsigned times)
{
	const int64_t until = now_ms() + LIMIT_MS;
	while (logged(what) < times) {
		if (now_ms() > until)
			fail_with_log(what);
		sleep_ms(2);
	}
	assert_int_equal(logged(what), times);
}

static inline void wait_for_file(const char *name)
{
	const int64_t until = now_ms() + LIMIT_MS;
	while (!spool_has(name)) {
		if (now_ms() > until)
			fail_with_log(name);
		sleep_ms(2);
	}
}

static inline void wait_until_gone(const char *name)
{
	const int64_t until = now_ms() + LIMIT_MS;
	while (spool_has(name)) {
		if (now_ms() > until)
			fail_with_log(name);
		sleep_ms(2);
	}
}

static inline void grow(const char *name, const char *text)
{
	_cleanup_free_ char *path = spool_path(name);
	append(path, text);
}

static inline void make_dir(const char *name)
{
	_cleanup_free_ char *path = spool_path(name);
	struct error err = {0};
	if (file_make_dirs(path, &err) < 0)
		fail_msg("%s", err.message);
}

/* CPU time of the source's thread. */
static inline int64_t thread_cpu_us(void)
{
	clockid_t clock;
	struct timespec used;
	assert_int_equal(pthread_getcpuclockid(daemon_now.thread, &clock), 0);
	assert_int_equal(clock_gettime(clock, &used), 0);
	return (int64_t)used.tv_sec * 1000000 + used.tv_nsec / 1000;
}

#endif
