/* The source that takes what a program prints. */
#include "source_shop.h"

#include <errno.h>
#include <signal.h>

#define EXEC(command)                                                                                               \
	"sources:\n  - {name: branch, type: exec, format: classic, restart_s: 1, settle_ms: 50, command: [" command \
	"]}\n"
#define SCRIPT EXEC("/bin/sh, ./script")

static void write_script(const char *text)
{
	shop_write("script", text, strlen(text));
}

/* How often this is in the journal. */
static unsigned count_rows(const char *what)
{
	_cleanup_buf_ struct buf have = {0};
	unsigned n = 0;
	dump_journal(&have);
	for (const char *at = have.data; (at = strstr(at, what)); at++)
		n++;
	return n;
}

static void wait_file(const char *name)
{
	_cleanup_free_ char *path = shop_path(name);
	for (unsigned i = 0; !file_exists(path); i++) {
		assert_true(i < 20000);
		pause_ms(1);
	}
}

static pid_t read_pid(const char *name)
{
	_cleanup_free_ char *path = shop_path(name);
	_cleanup_buf_ struct buf text = {0};
	wait_file(name);
	do {
		buf_clear(&text);
		assert_int_equal(file_read_all(path, 100, &text, NULL), 0);
	} while (!text.len || text.data[text.len - 1] != '\n');
	return (pid_t)strtol(buf_text(&text), NULL, 10);
}

static void wait_gone(pid_t pid)
{
	/* Whose parent it is now reaps it, sooner or later. */
	for (unsigned i = 0; i < 20000; i++) {
		_cleanup_free_ char *path = text_printf("/proc/%ld/stat", (long)pid);
		_cleanup_buf_ struct buf stat = {0};
		if (file_read_all(path, 10000, &stat, NULL) < 0 || strstr(buf_text(&stat), ") Z "))
			return;
		pause_ms(1);
	}
	fail_msg("process %ld is still there", (long)pid);
}

static void test_it_is_started_again(void **state)
{
	(void)state;
	shop_open(SCRIPT);
	write_script("echo '1|a 1|1700000000'; echo oh >&2; printf '1|b 1|1700000000'; exit 3\n");
	start_source(&source_exec);
	wait_lines(2);
	wait_lines(4);
	stop_source();
	assert_int_equal(count_rows(":1 a\n"), 2);
	assert_int_equal(count_rows(":2 b\n"), 2);
}

static void test_it_is_told_to_end(void **state)
{
	(void)state;
	shop_open(SCRIPT);
	write_script("echo '1|a 1|1700000000'\nsleep 1000 & echo $! > child\n"
		     "trap \"echo '1|b 1|1700000000'; exit 0\" TERM\nwhile :; do sleep 0.05; done\n");
	start_source(&source_exec);
	wait_lines(1);
	const pid_t child = read_pid("child");
	stop_source();
	assert_int_equal(count_rows(":2 b\n"), 1);
	wait_gone(child);
}

/* The line that it was writing when it was killed is not taken. */
static void test_it_is_killed(void **state)
{
	(void)state;
	shop_open(SCRIPT);
	write_script("printf '1|a 1|1700000000\\n1|b 1|170'; exec sleep 1000\n");
	start_source(&source_exec);
	wait_lines(1);
	stop_source();
	assert_int_equal(count_rows(":1 a\n"), 1);
	assert_int_equal(journal_lines(), 1);
}

static void test_a_flood(void **state)
{
	(void)state;
	shop_open(EXEC("seq, -f, '1|a %.0f|1700000000', '1', '200000'"));
	start_source(&source_exec);
	wait_lines(200000);
	stop_source();
	assert_int_equal(count_rows(":200000 a\n"), 1);
}

static void test_it_cannot_be_started(void **state)
{
	(void)state;
	shop_open(EXEC("./missing"));
	start_source(&source_exec);
	pause_ms(50);
	_cleanup_free_ char *path = shop_path("missing");
	shop_write("missing", "#!/bin/sh\necho '1|a 1|1700000000'\nsleep 1000\n", 44);
	assert_int_equal(chmod(path, 0777), 0);
	wait_lines(1);
	/* It is closed without being told to end: as after an error. */
	tell_to_stop();
	join_source();
	assert_int_equal(running_rc, 0);
	close_source();
}

/* What it leaves behind holds its pipe, and is ended with it. */
static void test_it_leaves_a_child(void **state)
{
	(void)state;
	shop_open(SCRIPT);
	write_script("sleep 1000 &\necho $! > child; echo '1|a 1|1700000000'\n");
	start_source(&source_exec);
	const pid_t child = read_pid("child");
	wait_lines(1);
	wait_gone(child);
	stop_source();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_it_is_started_again, make_shop, remove_running_shop),
		cmocka_unit_test_setup_teardown(test_it_is_told_to_end, make_shop, remove_running_shop),
		cmocka_unit_test_setup_teardown(test_it_is_killed, make_shop, remove_running_shop),
		cmocka_unit_test_setup_teardown(test_a_flood, make_shop, remove_running_shop),
		cmocka_unit_test_setup_teardown(test_it_cannot_be_started, make_shop, remove_running_shop),
		cmocka_unit_test_setup_teardown(test_it_leaves_a_child, make_shop, remove_running_shop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
