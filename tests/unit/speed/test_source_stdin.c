/* The source that reads what is piped into the process: its bytes come by a pipe that is put in the place of descriptor 0. */
#include "source_shop.h"

#include <fcntl.h>

#define PIPE_SOURCE(format) "sources:\n  - {name: pipe, type: stdin, format: " format ", settle_ms: 50}\n"
#define MAPPING                                                                                                 \
	"order_mappings:\n  - {name: receipts, event_id: [receipt], line: line, customer: member, date: time, " \
	"date_format: '%s', menu: item, amount: amount}\n"

static int pipe_fd = -1;

static void open_pipe(void)
{
	int fds[2];
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(dup2(fds[0], STDIN_FILENO), STDIN_FILENO);
	close(fds[0]);
	pipe_fd = fds[1];
}

static void say_bytes(const void *data, size_t len)
{
	assert_int_equal(file_write_all(pipe_fd, data, len, "the pipe", NULL), 0);
}

static void say(const char *text)
{
	say_bytes(text, strlen(text));
}

static void hang_up(void)
{
	close(pipe_fd);
	pipe_fd = -1;
}

/* The journal without what is between "stdin-" and ':' : the time of a start. */
static void assert_journal_plain(const char *expected)
{
	_cleanup_buf_ struct buf have = {0};
	_cleanup_buf_ struct buf plain = {0};
	dump_journal(&have);
	for (const char *at = have.data; *at;) {
		if (strncmp(at, "stdin-", 6) == 0) {
			assert_int_equal(buf_append_text(&plain, "stdin"), 0);
			at = strchr(at, ':');
			assert_non_null(at);
		}
		assert_int_equal(buf_append(&plain, at++, 1), 0);
	}
	assert_string_equal(buf_text(&plain), expected);
}

static void test_lines_until_the_end(void **state)
{
	(void)state;
	shop_open(PIPE_SOURCE("classic"));
	open_pipe();
	start_source(&source_stdin);
	say("1|latte 70|1700000000\n1|mo");
	wait_lines(1);
	say("cha 80|1700000001\r\n\nbad\n2|la\xFFtte 70|1700000002\n");
	wait_lines(4);
	say("3|latte 70|1700000003");
	hang_up();
	join_source();
	assert_int_equal(running_rc, 0);
	assert_journal_plain(
		"stdin:1 latte\nstdin:2 mocha\n! stdin:4 column_count\n! stdin:5 encoding\nstdin:6 latte\n");
	close_source();
	/* A second start has other ids. */
	open_pipe();
	say("1|latte 70|1700000000\n");
	hang_up();
	start_source(&source_stdin);
	join_source();
	assert_int_equal(running_rc, 0);
	_cleanup_buf_ struct buf have = {0};
	dump_journal(&have);
	const char *const last = strstr(have.data, "stdin:6") ? NULL : strrchr(have.data, '-');
	assert_non_null(last);
	assert_memory_not_equal(have.data, last - 5, 20);
}

static void test_large_and_long(void **state)
{
	(void)state;
	enum { LINES = 60000 };
	shop_open(PIPE_SOURCE("classic"));
	open_pipe();
	start_source(&source_stdin);
	_cleanup_buf_ struct buf text = {0};
	for (unsigned i = 0; i < LINES; i++) {
		assert_int_equal(buf_printf(&text, "%u|latte 70|%u\n", i % 1000, 1700000000 + i), 0);
		if (i == LINES / 2) {
			assert_int_equal(buf_reserve(&text, 5000000), 0);
			memset(text.data + text.len, 'x', 5000000);
			text.len += 5000000;
			assert_int_equal(buf_append_text(&text, "\n"), 0);
		}
	}
	say_bytes(text.data, text.len);
	hang_up();
	join_source();
	assert_int_equal(running_rc, 0);
	assert_int_equal(journal_lines(), LINES + 1);
	_cleanup_buf_ struct buf have = {0};
	dump_journal(&have);
	assert_non_null(strstr(have.data, ":30002 too_long\n"));
	assert_non_null(strstr(have.data, ":60001 latte\n"));
}

static void test_orders_of_several_lines(void **state)
{
	(void)state;
	shop_open(PIPE_SOURCE("receipts") MAPPING);
	open_pipe();
	start_source(&source_stdin);
	say("receipt,line,member,time,item,amount\nA,1,7,1700000000,latte,70\nA,2,7,1700000000,mocha,80\nB,1,8,"
	    "1700000000,");
	/* Nobody says more for settle_ms. */
	wait_lines(2);
	say("latte,70\n");
	wait_lines(3);
	say("C,1,8,1700000000,\"a\nb\",70\nC,1,8,1700000000,\"open,70\nD,1,8,1700000000,latte,70\n");
	wait_lines(6);
	say("D,1,8,1700000000,latte,70\nE,1,8,1700000000,latte,70\nE,2,8,1700000000,mocha,70");
	hang_up();
	join_source();
	assert_int_equal(running_rc, 0);
	assert_journal_plain("A latte\nA mocha\nB latte\n! stdin:7 bad_quote\nC a\nb\nD latte\nE latte\nE mocha\n");
}

static void *write_lines(void *context)
{
	const uintptr_t lines = (uintptr_t)context;
	for (unsigned i = 0; i < lines; i++)
		if (dprintf(pipe_fd, "%u|m%u 70|1700000000\n", i % 7, i) < 0)
			break;
	return NULL;
}

static void test_full_disk(void **state)
{
	(void)state;
	enum { LINES = 60000 };
	shop_open(PIPE_SOURCE("classic"));
	open_pipe();
	start_source(&source_stdin);
	say("1|latte 70|1700000000\n");
	wait_lines(1);
	limit_files(journal_bytes() + 200000);
	pthread_t writer;
	assert_int_equal(pthread_create(&writer, NULL, write_lines, (void *)(uintptr_t)LINES), 0);
	for (unsigned i = 0; i < 3; i++) {
		join_source();
		assert_true(running_rc < 0);
		if (i == 2)
			limit_files(0);
		run_again();
	}
	assert_int_equal(pthread_join(writer, NULL), 0);
	hang_up();
	join_source();
	assert_int_equal(running_rc, 0);
	assert_int_equal(journal_lines(), LINES + 1);
	_cleanup_buf_ struct buf have = {0};
	dump_journal(&have);
	for (unsigned i = 0; i < LINES; i += 997) {
		char row[32];
		snprintf(row, sizeof(row), ":%u m%u\n", i + 2, i);
		assert_non_null(strstr(have.data, row));
	}
}

static void test_it_is_told_to_stop(void **state)
{
	(void)state;
	shop_open(PIPE_SOURCE("classic"));
	open_pipe();
	start_source(&source_stdin);
	say("1|latte 70|1700000000\n1|latte 7");
	wait_lines(1);
	stop_source();
	assert_journal_plain("stdin:1 latte\n");
	hang_up();
}

static void test_a_terminal(void **state)
{
	(void)state;
	shop_open(PIPE_SOURCE("classic"));
	pipe_fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(pipe_fd >= 0);
	char name[64];
	assert_int_equal(grantpt(pipe_fd), 0);
	assert_int_equal(unlockpt(pipe_fd), 0);
	assert_int_equal(ptsname_r(pipe_fd, name, sizeof(name)), 0);
	const int fd = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(dup2(fd, STDIN_FILENO), STDIN_FILENO);
	close(fd);
	start_source(&source_stdin);
	say("1|latte 70|1700000000\n");
	wait_lines(1);
	say("1|mocha 80|1700000001\n\x04");
	join_source();
	assert_int_equal(running_rc, 0);
	assert_journal_plain("stdin:1 latte\nstdin:2 mocha\n");
	hang_up();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_lines_until_the_end, make_shop, remove_running_shop),
		cmocka_unit_test_setup_teardown(test_large_and_long, make_shop, remove_running_shop),
		cmocka_unit_test_setup_teardown(test_orders_of_several_lines, make_shop, remove_running_shop),
		cmocka_unit_test_setup_teardown(test_full_disk, make_shop, remove_running_shop),
		cmocka_unit_test_setup_teardown(test_a_terminal, make_shop, remove_running_shop),
		cmocka_unit_test_setup_teardown(test_it_is_told_to_stop, make_shop, remove_running_shop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
