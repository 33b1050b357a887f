/* The source that takes lines by connections: what is answered, and when. */
#include "port.h"
#include "source_shop.h"
#include "speed/tcp_internal.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

static uint16_t port;

/* `keys`: more of the source's, each with ", " behind it. */
static void serve(const char *keys)
{
	port = free_port();
	_cleanup_free_ char *config =
		text_printf("sources:\n  - {name: tills, type: tcp, %slisten: '127.0.0.1:%u'}\n", keys, port);
	assert_non_null(config);
	shop_open(config);
	start_source(&source_tcp);
}

static int dial(void)
{
	const int fd = dial_port(port, 60);
	assert_true(fd >= 0);
	return fd;
}

static void say_bytes(int fd, const void *data, size_t len)
{
	const char *at = data;
	while (len) {
		const ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
		assert_true(n > 0);
		at += n;
		len -= (size_t)n;
	}
}

static void say(int fd, const char *text)
{
	say_bytes(fd, text, strlen(text));
}

/* The next bytes are these, and, with `end`, nothing more comes. */
static void expect(int fd, const char *text, bool end)
{
	char have[1024] = "";
	const size_t want = strlen(text) + end;
	size_t len = 0;
	ssize_t n = 1;
	assert_true(want < sizeof(have));
	while (len < want && (n = recv(fd, have + len, want - len, 0)) > 0)
		len += (size_t)n;
	assert_true(n >= 0);
	have[len] = '\0';
	assert_string_equal(have, text);
}

/* The journal, with "tcp-<microseconds>" as "tcp". */
static void assert_journal_plain(const char *expected)
{
	_cleanup_buf_ struct buf have = {0};
	_cleanup_buf_ struct buf plain = {0};
	dump_journal(&have);
	for (const char *at = have.data; *at;) {
		if (strncmp(at, "tcp-", 4) == 0) {
			assert_int_equal(buf_append_text(&plain, "tcp"), 0);
			at = strchr(at, ':');
			assert_non_null(at);
		}
		assert_int_equal(buf_append(&plain, at++, 1), 0);
	}
	assert_string_equal(buf_text(&plain), expected);
}

static void test_a_line_is_answered_when_it_is_durable(void **state)
{
	(void)state;
	serve("format: classic, ");
	const int fd = dial();
	say(fd, "1|latte 70|1700000000\n");
	expect(fd, "OK\n", false);
	assert_int_equal(journal_lines(), 1);
	/* One that is set aside is durable there; an empty one is nothing, and answered; a half one waits for its end. */
	say(fd, "bad\n\n2|mocha 80|17");
	expect(fd, "OK\nOK\n", false);
	say(fd, "00000001\r\n");
	expect(fd, "OK\n", false);
	close(fd);
	stop_source();
	assert_journal_plain("tcp:1 latte\n! tcp:2 column_count\ntcp:4 mocha\n");
}

static void test_connections_are_apart(void **state)
{
	(void)state;
	serve("format: classic, ");
	const int a = dial();
	const int b = dial();
	say(a, "1|lat");
	say(b, "2|mocha 80|1700000001\n");
	expect(b, "OK\n", false);
	say(a, "te 70|1700000000\n");
	expect(a, "OK\n", false);
	/* Who ends in the middle of a line has not said it; who shuts its end hears the answers of what it said. */
	say(a, "3|latte 70|1700000000");
	say(b, "4|latte 70|1700000000\n5|latte 70|1700000000\n6|lat");
	shutdown(a, SHUT_WR);
	shutdown(b, SHUT_WR);
	expect(a, "", true);
	expect(b, "OK\nOK\n", true);
	close(a);
	close(b);
	stop_source();
	assert_journal_plain("tcp:1 mocha\ntcp:1 latte\ntcp:2 latte\ntcp:3 latte\n");
	_cleanup_buf_ struct buf have = {0};
	dump_journal(&have);
	const char *const second = strchr(have.data, '\n') + 1;
	assert_memory_not_equal(have.data, second, (size_t)(strchr(second, ':') - second));
}

static void test_no_answers(void **state)
{
	(void)state;
	serve("format: classic, answer: false, ");
	const int fd = dial();
	say(fd, "1|latte 70|1700000000\n2|mocha 80|1700000001\n");
	wait_lines(2);
	shutdown(fd, SHUT_WR);
	expect(fd, "", true);
	close(fd);
	stop_source();
}

static void test_many_lines_at_once(void **state)
{
	(void)state;
	enum { LINES = 120000 };
	_cleanup_buf_ struct buf text = {0};
	serve("format: classic, ");
	for (unsigned i = 0; i < LINES; i++)
		assert_int_equal(buf_printf(&text, "%u|latte 70|%u\n", i % 1000, 1700000000 + i), 0);
	const int fd = dial();
	/* Nobody may wait for the other: it reads answers only now and then. */
	size_t said = 0;
	size_t heard = 0;
	char answers[8192];
	while (heard < (size_t)LINES * 3) {
		struct pollfd poll_fd = {.fd = fd, .events = (short)(POLLIN | (said < text.len ? POLLOUT : 0))};
		assert_int_equal(poll(&poll_fd, 1, 60000), 1);
		if (poll_fd.revents & POLLIN) {
			const ssize_t n = recv(fd, answers, sizeof(answers), 0);
			assert_true(n > 0);
			for (ssize_t i = 0; i < n; i++)
				assert_int_equal(answers[i], "OK\n"[heard++ % 3]);
		} else {
			const ssize_t n = send(fd, text.data + said, text.len - said, MSG_DONTWAIT | MSG_NOSIGNAL);
			said += n > 0 ? (size_t)n : 0;
		}
	}
	close(fd);
	stop_source();
	assert_int_equal(journal_lines(), LINES);
}

static void test_a_line_too_long_ends_the_connection(void **state)
{
	(void)state;
	serve("format: classic, ");
	const int fd = dial();
	const int other = dial();
	_cleanup_buf_ struct buf text = {0};
	assert_int_equal(buf_append_text(&text, "1|latte 70|1700000000\n"), 0);
	assert_int_equal(buf_reserve(&text, 2000000), 0);
	memset(text.data + text.len, 'x', 2000000);
	text.len += 2000000;
	text.data[text.len - 1] = '\n';
	say_bytes(fd, text.data, text.len);
	expect(fd, "OK\nFAILED: Event exceeds the maximum length (1048576 chars, including newline)\n", true);
	close(fd);
	say(other, "2|latte 70|1700000000\n");
	expect(other, "OK\n", false);
	close(other);
	stop_source();
	assert_int_equal(journal_lines(), 2);
}

/* One more than can be waits until one of them ends. */
static void test_as_many_as_can_be(void **state)
{
	(void)state;
	int fds[TCP_CLIENTS + 1];
	serve("format: classic, ");
	for (unsigned i = 0; i <= TCP_CLIENTS; i++) {
		fds[i] = dial();
		say(fds[i], "1|latte 70|1700000000\n");
	}
	for (unsigned i = 0; i < TCP_CLIENTS; i++)
		expect(fds[i], "OK\n", false);
	assert_int_equal(journal_lines(), TCP_CLIENTS);
	close(fds[7]);
	expect(fds[TCP_CLIENTS], "OK\n", false);
	for (unsigned i = 0; i <= TCP_CLIENTS; i++)
		if (i != 7)
			close(fds[i]);
	stop_source();
	assert_int_equal(journal_lines(), TCP_CLIENTS + 1);
}

/* Lines without their ends fill the memory: one at a time has to go, and who sends whole lines does not notice. */
static void test_many_long_lines(void **state)
{
	(void)state;
	enum { LONG = 1000000, MANY = 80 };
	int fds[MANY];
	unsigned refused = 0;
	char *const text = malloc(LONG);
	assert_non_null(text);
	memset(text, 'x', LONG);
	serve("format: classic, ");
	const int other = dial();
	for (unsigned i = 0; i < MANY; i++) {
		struct pollfd poll_fd;
		fds[i] = dial();
		/* One that is ended already takes no more. */
		for (size_t at = 0; at < LONG;) {
			const ssize_t n = send(fds[i], text + at, LONG - at, MSG_NOSIGNAL);
			if (n <= 0)
				break;
			at += (size_t)n;
		}
		say(other, "1|latte 70|1700000000\n");
		expect(other, "OK\n", false);
		for (unsigned k = 0; k <= i; k++) {
			poll_fd = (struct pollfd){.fd = fds[k], .events = POLLIN};
			if (fds[k] >= 0 && poll(&poll_fd, 1, 0) > 0) {
				expect(fds[k], "FAILED: too many long lines at once, send it again later\n", false);
				close(fds[k]);
				fds[k] = -1;
				refused++;
			}
		}
	}
	assert_in_range(refused, 5, 40);
	for (unsigned i = 0; i < MANY; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	close(other);
	free(text);
	stop_source();
	assert_int_equal(journal_lines(), MANY);
}

/* The disk is full: nothing is answered, nothing is lost, and it goes on by itself. */
static void test_full_disk(void **state)
{
	(void)state;
	serve("format: classic, ");
	const int fd = dial();
	say(fd, "1|latte 70|1700000000\n");
	expect(fd, "OK\n", false);
	limit_files(journal_bytes());
	_cleanup_buf_ struct buf text = {0};
	for (unsigned i = 0; i < 20000; i++)
		assert_int_equal(buf_printf(&text, "%u|latte 70|%u\n", i % 1000, 1700000000 + i), 0);
	say_bytes(fd, text.data, text.len / 2);
	join_source();
	assert_int_equal(running_rc, ERROR_NO_SPACE);
	limit_files(0);
	run_again();
	say_bytes(fd, text.data + text.len / 2, text.len - text.len / 2);
	for (unsigned i = 0; i < 20000; i++)
		expect(fd, "OK\n", false);
	close(fd);
	stop_source();
	assert_int_equal(journal_lines(), 20001);
}

/* What had come when it was told to stop is taken and answered, and then it hangs up. */
static void test_stop(void **state)
{
	(void)state;
	serve("format: classic, ");
	const int idle = dial();
	const int fd = dial();
	say(fd, "1|latte 70|1700000000\n");
	expect(fd, "OK\n", false);
	tell_to_stop();
	expect(idle, "", true);
	expect(fd, "", true);
	close(idle);
	close(fd);
	join_source();
	assert_int_equal(running_rc, 0);
	assert_int_equal(journal_lines(), 1);
	close_source();
}

/* Events with ids: who heard no answer sends again, and nothing comes twice. */
static void test_again_with_ids(void **state)
{
	(void)state;
	serve("format: ndjson, ");
	for (unsigned turn = 0; turn < 2; turn++) {
		const int fd = dial();
		say(fd, "{\"event_id\":\"a\",\"kind\":\"order\",\"customer\":7,\"time\":1700000000,\"lines\":"
			"[{\"menu\":\"latte\",\"price\":3}]}\n");
		expect(fd, "OK\n", false);
		close(fd);
	}
	stop_source();
	assert_journal_plain("a latte\n");
}

static void test_a_port_that_is_taken(void **state)
{
	(void)state;
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(in);
	struct error err = {0};
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&in, len) == 0 && listen(fd, 1) == 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	_cleanup_free_ char *config =
		text_printf("sources:\n  - {name: tills, type: tcp, format: classic, listen: '127.0.0.1:%u'}\n",
			    ntohs(in.sin_port));
	shop_open(config);
	struct source source = {.deployment = shop, .config = &shop->config->sources[0], .driver = &source_tcp};
	assert_int_equal(source_tcp.open(&source, &err), ERROR_IO);
	assert_non_null(strstr(err.message, "another program listens at 127.0.0.1:"));
	assert_null(source.state);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_line_is_answered_when_it_is_durable, make_shop,
						remove_running_shop),
		cmocka_unit_test_setup_teardown(test_connections_are_apart, make_shop, remove_running_shop),
		cmocka_unit_test_setup_teardown(test_no_answers, make_shop, remove_running_shop),
		cmocka_unit_test_setup_teardown(test_many_lines_at_once, make_shop, remove_running_shop),
		cmocka_unit_test_setup_teardown(test_a_line_too_long_ends_the_connection, make_shop,
						remove_running_shop),
		cmocka_unit_test_setup_teardown(test_as_many_as_can_be, make_shop, remove_running_shop),
		cmocka_unit_test_setup_teardown(test_many_long_lines, make_shop, remove_running_shop),
		cmocka_unit_test_setup_teardown(test_full_disk, make_shop, remove_running_shop),
		cmocka_unit_test_setup_teardown(test_stop, make_shop, remove_running_shop),
		cmocka_unit_test_setup_teardown(test_again_with_ids, make_shop, remove_running_shop),
		cmocka_unit_test_setup_teardown(test_a_port_that_is_taken, make_shop, remove_running_shop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
