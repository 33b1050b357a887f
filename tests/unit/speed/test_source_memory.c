/*
 * Memory that is not there, at each request in turn, while a source takes what comes: `run` ends with an error, is run again as the daemon
 * does, and then all is in the journal, once. malloc, calloc, realloc and strdup of the program itself come to this one's functions
 * (tests/CMakeLists.txt), which refuse one when they are told to; what the C library asks for by itself (asprintf) is granted.
 */
#include "source_shop.h"

#include <fcntl.h>
#include <stdatomic.h>

static pthread_t main_thread;
static atomic_long requests_left;
static atomic_bool refused;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);

/* Of the source's thread. */
static bool refuse(void)
{
	const bool now = !pthread_equal(pthread_self(), main_thread) && atomic_fetch_sub(&requests_left, 1) == 1;
	if (now)
		atomic_store(&refused, true);
	return now;
}

void *__wrap_malloc(size_t size)
{
	return refuse() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return refuse() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return refuse() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text)
{
	return refuse() ? NULL : __real_strdup(text);
}

static int remember_thread(void **state)
{
	main_thread = pthread_self();
	return make_shop(state);
}

static void write_line(const char *name, unsigned n)
{
	_cleanup_free_ char *path = text_printf("%s/in/%s", shop_dir, name);
	FILE *const file = fopen(path, "ae");
	assert_non_null(file);
	assert_true(fprintf(file, "%u|latte 70|1700000000\n", n) > 0);
	assert_int_equal(fclose(file), 0);
}

static void feed_tail(unsigned n)
{
	write_line("a.log", n);
}

/* The one before goes, if it was put away: what is there costs requests. */
static void feed_spool(unsigned n)
{
	_cleanup_free_ char *before = text_printf("%s/in/%u.log.COMPLETED", shop_dir, n - 1);
	(void)unlink(before);
	_cleanup_free_ char *name = text_printf("%u.log", n);
	write_line(name, n);
}

/* Another process's pipe each time, which ends. */
static void feed_stdin(unsigned n)
{
	int fds[2];
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(dup2(fds[0], STDIN_FILENO), STDIN_FILENO);
	close(fds[0]);
	assert_true(dprintf(fds[1], "%u|latte 70|1700000000\n", n) > 0);
	close(fds[1]);
}

/* As the daemon does with a source that fails. */
static void wait_over_errors(uint64_t lines)
{
	const int64_t until_us = clock_now_us() + WAIT_US;
	while (journal_lines() < lines && clock_now_us() < until_us) {
		if (atomic_load(&running_ended)) {
			join_source();
			if (journal_lines() == lines)
				break;
			assert_int_equal(running_rc, ERROR_NO_MEMORY);
			run_again();
		}
		pause_ms(1);
	}
	assert_int_equal(journal_lines(), lines);
}

/* It may have ended by itself, or be about to end by the last refusal. */
static void stop_over_errors(void)
{
	if (is_running) {
		tell_to_stop();
		join_source();
	}
	assert_true(running_rc == 0 || running_rc == ERROR_NO_MEMORY);
	running_rc = 0;
	stop_source();
}

/* Until one run needs no more requests than were granted. */
static void refuse_each_request(const struct source_driver *driver, const char *config, void (*feed)(unsigned n))
{
	_cleanup_free_ char *dir = text_printf("%s/in", shop_dir);
	assert_int_equal(file_make_dirs(dir, NULL), 0);
	shop_open(config);
	unsigned n = 0;
	bool all = false;
	for (long request = 1; !all; request++) {
		feed(++n);
		atomic_store(&refused, false);
		atomic_store(&requests_left, request);
		start_source(driver);
		wait_over_errors(n);
		all = !atomic_load(&refused);
		atomic_store(&requests_left, 0);
		stop_over_errors();
	}
	assert_true(n > 10);
	/* Each block can be read, and has what it should. */
	_cleanup_buf_ struct buf have = {0};
	dump_journal(&have);
	unsigned rows = 0;
	for (const char *at = have.data; (at = strstr(at, " latte\n")); at++)
		rows++;
	assert_int_equal(rows, n);
}

static void test_tail(void **state)
{
	(void)state;
	refuse_each_request(&source_tail,
			    "sources:\n  - {name: log, type: tail, path: in/a.log, format: classic, settle_ms: 0}\n",
			    feed_tail);
}

static void test_spool(void **state)
{
	(void)state;
	refuse_each_request(&source_spool,
			    "sources:\n  - {name: till, dir: in, format: classic, settle_ms: 0, scan_s: 86400}\n",
			    feed_spool);
}

static void test_stdin(void **state)
{
	(void)state;
	refuse_each_request(&source_stdin, "sources:\n  - {name: pipe, type: stdin, format: classic, settle_ms: 0}\n",
			    feed_stdin);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_tail, remember_thread, remove_running_shop),
		cmocka_unit_test_setup_teardown(test_spool, remember_thread, remove_running_shop),
		cmocka_unit_test_setup_teardown(test_stdin, remember_thread, remove_running_shop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
