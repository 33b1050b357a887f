/* The http source beside clients who go away, are slow, many, or talk nonsense; and a journal that is slow, or full. */
#include "http_shop.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define HALF "POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{\"event_id\":"

static void expect_reply(int fd, int status, const char *part)
{
	struct reply reply;
	hear(fd, &reply);
	if (reply.status != status || !strstr(reply.body, part))
		fail_msg("%d and '%s' were expected: %s%s", status, part, reply.head, reply.body);
}

/* The source without its thread: what is sent waits, until start_thread(). */
static void open_asleep(const char *keys)
{
	open_source_with(keys, &HTTP_TIMES);
}

static unsigned count_waiting(void)
{
	struct http_server *const server = web.source.state;
	pthread_mutex_lock(&server->queue.mutex);
	const unsigned n = server->queue.n;
	pthread_mutex_unlock(&server->queue.mutex);
	return n;
}

static unsigned count_connections(void)
{
	struct http_server *const server = web.source.state;
	unsigned n = 0;
	pthread_mutex_lock(&server->mutex);
	for (const struct http_connection *at = server->connections; at; at = at->next)
		n++;
	pthread_mutex_unlock(&server->mutex);
	return n;
}

static bool is_ended(int fd)
{
	struct pollfd poller = {.fd = fd, .events = POLLIN};
	char bytes[4096];
	while (poll(&poller, 1, 0) > 0)
		if (recv(fd, bytes, sizeof(bytes), 0) <= 0)
			return true;
	return false;
}

/* --- who goes away --- */

static void test_answer_is_not_read(void **state)
{
	(void)state;
	enum { N = 20 };
	const char *const event = ADJUST("a", "1");
	open_asleep("");
	for (unsigned i = 0; i < N; i++) {
		/* Some are reset, some closed in order. */
		const struct linger reset = {.l_onoff = i % 2, .l_linger = 0};
		const int fd = dial();
		say_post(fd, "", event, strlen(event));
		WAIT_UNTIL(count_waiting() == i + 1);
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		close(fd);
	}
	start_thread();
	WAIT_UNTIL(count_connections() == 0);
	assert_int_equal(count_events(), 1);
	/* Who did not hear sends again. */
	expect_post("", event, 200, "{\"accepted\":0,\"duplicates\":1}");
	assert_ids("a ");
	stop_serving();
}

static void test_half_requests_and_nonsense(void **state)
{
	(void)state;
	static const char *const NONSENSE[] = {
		HALF,
		"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
		"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{}{}{}",
		"POST /v1/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"POST /v1/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
		"POST /v1/events HTTP/1.1\r\n",
		"GET /%00%ff/../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET http://x/v1/events?a=b&%zz HTTP/9.9\r\n\r\n",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"\r\n\r\n\r\n\r\n",
		"POST",
		"\xff\xfe\xfd",
	};
	enum { N = sizeof(NONSENSE) / sizeof(NONSENSE[0]) };
	int fds[N + 1];
	const struct http_times soon = {.idle_s = 1, .whole_us = 3600 * HTTP_MICROS};
	open_source_with("", &soon);
	start_thread();
	for (size_t i = 0; i < N; i++) {
		fds[i] = dial();
		say(fds[i], NONSENSE[i], strlen(NONSENSE[i]));
		if (i % 2)
			shutdown(fds[i], SHUT_WR);
	}
	/* A head without an end. */
	fds[N] = dial();
	say_text(fds[N], "POST /v1/events HTTP/1.1\r\nX: ");
	for (int i = 0; i < 1000 && say(fds[N], "0123456789012345678901234567890123456789", 40); i++)
		;
	expect_post("", ADJUST("a", "1"), 200, "\"accepted\":1");
	for (size_t i = 0; i <= N; i++) {
		WAIT_UNTIL(is_ended(fds[i]));
		close(fds[i]);
	}
	WAIT_UNTIL(count_connections() == 0);
	assert_ids("a ");
	stop_serving();
}

static void test_pipelining(void **state)
{
	(void)state;
	serve("");
	_cleanup_buf_ struct buf all = {0};
	for (int i = 0; i < 50; i++) {
		_cleanup_buf_ struct buf event = {0};
		char id[16];
		snprintf(id, sizeof(id), "a%d", i);
		add_event(&event, id, 1);
		assert_int_equal(buf_printf(&all,
					    "POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s%s",
					    event.len, buf_text(&event),
					    i % 10 == 5 ? "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" : ""),
				 0);
	}
	const int fd = dial();
	assert_true(say(fd, all.data, all.len));
	for (int i = 0; i < 50; i++) {
		expect_reply(fd, 200, "{\"accepted\":1,\"duplicates\":0}");
		if (i % 10 == 5)
			expect_reply(fd, 200, "\"ok\"");
	}
	close(fd);
	assert_int_equal(count_events(), 50);
	stop_serving();
}

/* --- who is slow --- */

static void test_slow_clients(void **state)
{
	(void)state;
	enum { N = 300 }; /* more than are let in at once */
	int fds[N];
	const struct http_times soon = {.idle_s = 1, .whole_us = 3600 * HTTP_MICROS};
	open_source_with("max_waiting: 1, ", &soon);
	start_thread();
	for (int i = 0; i < N; i++) {
		fds[i] = dial();
		assert_true(fds[i] >= 0);
		say(fds[i], HALF, i % 3 == 0 ? 0 : i % 3 == 1 ? 30 : strlen(HALF));
	}
	expect_post("", ADJUST("a", "1"), 200, "\"accepted\":1");
	for (int i = 0; i < N; i++) {
		WAIT_UNTIL(is_ended(fds[i]));
		close(fds[i]);
	}
	WAIT_UNTIL(count_connections() == 0);
	assert_ids("a ");
	stop_serving();
}

static void test_client_that_drips(void **state)
{
	(void)state;
	const struct http_times soon = {.idle_s = 3600, .whole_us = HTTP_MICROS / 2};
	open_source_with("", &soon);
	start_thread();
	const int64_t begun_us = clock_monotonic_us();
	const int fd = dial();
	say_text(fd, HALF);
	while (say(fd, " ", 1) && !is_ended(fd)) {
		assert_true(clock_monotonic_us() - begun_us < PATIENCE_MS * INT64_C(1000));
		http_server_sweep(web.source.state);
		usleep(10000);
	}
	assert_true(clock_monotonic_us() - begun_us >= HTTP_MICROS / 2);
	close(fd);
	WAIT_UNTIL(count_connections() == 0);
	stop_serving();
}

static void test_who_waits_is_not_slow(void **state)
{
	(void)state;
	const struct http_times soon = {.idle_s = 1, .whole_us = HTTP_MICROS / 10};
	const char *const event = ADJUST("a", "1");
	open_source_with("", &soon);
	const int fd = dial();
	say_post(fd, "", event, strlen(event));
	WAIT_UNTIL(count_waiting() == 1);
	const int64_t begun_us = clock_monotonic_us();
	while (clock_monotonic_us() - begun_us < 3 * HTTP_MICROS / 2) {
		http_server_sweep(web.source.state);
		usleep(10000);
	}
	start_thread();
	expect_reply(fd, 200, "\"accepted\":1");
	close(fd);
	stop_serving();
}

/* --- too many --- */

static void test_full_queue(void **state)
{
	(void)state;
	open_asleep("max_waiting: 2, ");
	struct reply reply;
	const char *const events[] = {ADJUST("a", "1"), ADJUST("b", "1"), ADJUST("c", "1")};
	int fds[2];
	for (unsigned i = 0; i < 2; i++) {
		fds[i] = dial();
		say_post(fds[i], "", events[i], strlen(events[i]));
		WAIT_UNTIL(count_waiting() == i + 1);
	}
	const int late = dial();
	say_post(late, "", events[2], strlen(events[2]));
	hear(late, &reply);
	assert_int_equal(reply.status, 429);
	assert_non_null(strstr(reply.head, "Retry-After: 1\r\n"));
	assert_non_null(strstr(reply.body, "\"too_many_requests\""));
	expect_request("GET /healthz", "", 503, "", "{\"status\":\"backlog\"}");
	start_thread();
	for (int i = 0; i < 2; i++) {
		expect_reply(fds[i], 200, "{\"accepted\":1,\"duplicates\":0}");
		close(fds[i]);
	}
	/* The connection was kept. */
	say_post(late, "", events[2], strlen(events[2]));
	expect_reply(late, 200, "{\"accepted\":1,\"duplicates\":0}");
	close(late);
	assert_ids("a b c ");
	stop_serving();
}

static bool holds(size_t bytes)
{
	const struct http_server *const server = web.source.state;
	return atomic_load(&server->held) >= bytes;
}

/* Bodies that are being read fill the memory no further than HTTP_HELD_BYTES, or one of the greatest. */
static void test_bodies_in_memory(void **state)
{
	(void)state;
	enum { LARGE = 40 << 20, SMALL = 20 << 20 };
	struct reply reply;
	char *const blanks = malloc(LARGE);
	assert_non_null(blanks);
	memset(blanks, ' ', LARGE);
	serve("max_body_kib: 65536, ");
	const int fd = dial();
	say_text(fd, "POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 41943041\r\n\r\n");
	assert_true(say(fd, blanks, LARGE));
	WAIT_UNTIL(holds(LARGE));
	const int other = dial();
	say_text(other, "POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 20971521\r\n\r\n");
	assert_true(say(other, blanks, SMALL));
	WAIT_UNTIL(holds(LARGE + SMALL));
	post_bytes("", blanks, SMALL, &reply);
	assert_int_equal(reply.status, 429);
	assert_non_null(strstr(reply.head, "Retry-After: 1\r\n"));
	/* Those that are in memory are not hurt, and then there is room again. */
	say_text(other, "x");
	expect_reply(other, 400, "\"bad_events\"");
	say_text(fd, "x");
	expect_reply(fd, 400, "\"bad_events\"");
	post_bytes("", blanks, SMALL, &reply);
	assert_int_equal(reply.status, 400);
	close(other);
	close(fd);
	free(blanks);
	stop_serving();
}

static uint64_t count_blocks(void)
{
	struct journal_reader *reader = NULL;
	struct error err = {0};
	uint64_t first;
	uint64_t next;
	assert_int_equal(journal_reader_open(web.journal, &reader, &err), 0);
	assert_int_equal(journal_reader_range(reader, &first, &next, &err), 0);
	journal_reader_close(reader);
	return next - first;
}

/* Requests that wait share a transaction and a block; those that are refused do not hurt the others. */
static void test_group(void **state)
{
	(void)state;
	enum { N = 30 };
	int fds[N];
	open_asleep("");
	for (unsigned i = 0; i < N; i++) {
		_cleanup_buf_ struct buf body = {0};
		char id[16];
		snprintf(id, sizeof(id), "g%u", i / 2);
		add_event(&body, id, 1);
		add_event(&body, "shared", i % 3 == 0 ? 1 : 2); /* whoever is first decides */
		fds[i] = dial();
		say_post(fds[i], "", body.data, body.len);
		WAIT_UNTIL(count_waiting() == i + 1);
	}
	start_thread();
	for (int i = 0; i < N; i++) {
		/* g0 and shared are new at first; later ones that contradict it leave nothing, so that 3, whose 2 was refused, is new. */
		expect_reply(fds[i], i % 3 == 0 ? 200 : 409,
			     i == 0 ? "{\"accepted\":2,\"duplicates\":0}"
				    : (i % 3 == 0 ? "{\"accepted\":1,\"duplicates\":1}" : "\"index\":1,"));
		close(fds[i]);
	}
	assert_ids("g0 shared g1 g3 g4 g6 g7 g9 g10 g12 g13 ");
	assert_int_equal(count_blocks(), 1);
	stop_serving();
}

/* What waits may be more than a block should have. */
static void test_group_of_many_blocks(void **state)
{
	(void)state;
	enum { N = 8 };
	int fds[N];
	open_asleep("");
	for (unsigned i = 0; i < N; i++) {
		_cleanup_buf_ struct buf body = {0};
		for (unsigned k = 0; k < 1500; k++)
			assert_int_equal(buf_printf(&body,
						    "{\"event_id\":\"%u-%u\",\"kind\":\"adjust\",\"customer\":7,"
						    "\"time\":1700000000,\"points\":1,\"reason\":\"%0250d\"}\n",
						    i, k, 0),
					 0);
		fds[i] = dial();
		say_post(fds[i], "", body.data, body.len);
		WAIT_UNTIL(count_waiting() == i + 1);
	}
	start_thread();
	for (int i = 0; i < N; i++) {
		expect_reply(fds[i], 200, "{\"accepted\":1500,\"duplicates\":0}");
		close(fds[i]);
	}
	assert_int_equal(count_events(), N * 1500);
	assert_in_range(count_blocks(), 2, N);
	stop_serving();
}

struct sender {
	pthread_t thread;
	unsigned first;
	uint64_t accepted;
};

/* Overlapping batches on one connection. */
static void *send_many(void *argument)
{
	struct sender *const sender = argument;
	const int fd = dial();
	struct reply reply;
	for (unsigned batch = 0; batch < 20; batch++) {
		_cleanup_buf_ struct buf body = {0};
		for (unsigned i = 0; i < 20; i++) {
			char id[16];
			snprintf(id, sizeof(id), "m%u", (sender->first + batch * 10 + i) % 300);
			add_event(&body, id, 1);
		}
		say_post(fd, "", body.data, body.len);
		hear(fd, &reply);
		const char *const accepted = strstr(reply.body, "\"accepted\":");
		if (reply.status == 200 && accepted)
			sender->accepted += strtoul(accepted + 11, NULL, 10);
	}
	close(fd);
	return NULL;
}

static void test_many_senders(void **state)
{
	(void)state;
	struct sender senders[8] = {0};
	serve("");
	for (unsigned i = 0; i < 8; i++) {
		senders[i].first = i * 37;
		assert_int_equal(pthread_create(&senders[i].thread, NULL, send_many, &senders[i]), 0);
	}
	uint64_t accepted = 0;
	for (unsigned i = 0; i < 8; i++) {
		pthread_join(senders[i].thread, NULL);
		accepted += senders[i].accepted;
	}
	assert_int_equal(accepted, 300);
	assert_int_equal(count_events(), 300);
	stop_serving();
}

/* --- the end --- */

static void test_stop_answers_who_waits(void **state)
{
	(void)state;
	enum { N = 5 };
	int fds[N];
	open_asleep("");
	for (unsigned i = 0; i < N; i++) {
		_cleanup_buf_ struct buf body = {0};
		char id[16];
		snprintf(id, sizeof(id), "s%u", i);
		add_event(&body, id, 1);
		fds[i] = dial();
		say_post(fds[i], "", body.data, body.len);
		WAIT_UNTIL(count_waiting() == i + 1);
	}
	const int half = dial();
	say_text(half, HALF);
	ask_to_stop();
	start_thread();
	pthread_join(web.thread, NULL);
	web.is_running = false;
	assert_int_equal(count_events(), N);
	/* Nobody takes requests any more. */
	expect_request("GET /healthz", "", 503, "", "{\"status\":\"stopping\"}");
	expect_request("POST /v1/events", "Content-Length: 0\r\n", 503, "Connection: close\r\n", "\"stopping\"");
	web.source.driver->close(&web.source);
	for (int i = 0; i < N; i++) {
		expect_reply(fds[i], 200, "\"accepted\":1");
		close(fds[i]);
	}
	struct reply reply;
	hear(half, &reply);
	assert_true(reply.status == 0 || reply.status == 503); /* cut; or its head came when all had ended */
	close(half);
	assert_int_equal(dial(), -1);
	close(web.source.stop_fd);
	journal_close(web.journal);
}

/* It was opened, and its thread never ran. */
static void test_close_answers_who_waits(void **state)
{
	(void)state;
	open_asleep("");
	const int fd = dial();
	say_post(fd, "", ADJUST("a", "1"), strlen(ADJUST("a", "1")));
	WAIT_UNTIL(count_waiting() == 1);
	web.source.driver->close(&web.source);
	expect_reply(fd, 503, "\"stopping\"");
	close(fd);
	assert_int_equal(count_events(), 0);
	close(web.source.stop_fd);
	journal_close(web.journal);
}

/* --- no room --- */

static void limit_files(rlim_t bytes)
{
	struct rlimit limit;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void test_full_disk(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf body = {0};
	struct reply reply;
	struct stat st;
	serve("");
	expect_post("", ADJUST("a", "1"), 200, "\"accepted\":1");
	_cleanup_free_ char *path = text_printf("%s/data.mdb", shop->journal_dir);
	assert_int_equal(stat(path, &st), 0);
	for (int i = 0; i < 3000; i++) {
		char id[16];
		snprintf(id, sizeof(id), "f%d", i);
		add_event(&body, id, 1);
	}
	signal(SIGXFSZ, SIG_IGN);
	limit_files((rlim_t)st.st_size);
	post_bytes("", body.data, body.len, &reply);
	assert_int_equal(reply.status, 503);
	assert_non_null(strstr(reply.head, "Retry-After: "));
	assert_non_null(strstr(reply.body, "\"disk_full\""));
	WAIT_UNTIL(atomic_load(&web.failures) == 1);
	limit_files(RLIM_INFINITY);
	/* It goes on by itself. */
	WAIT_UNTIL((post_bytes("", body.data, body.len, &reply), reply.status != 503));
	assert_string_equal(reply.body, "{\"accepted\":3000,\"duplicates\":0}\n");
	expect_request("GET /healthz", "", 200, "", "\"ok\"");
	assert_int_equal(count_events(), 3001);
	stop_serving();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_shop, remove_shop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_answer_is_not_read),
		TEST(test_half_requests_and_nonsense),
		TEST(test_pipelining),
		TEST(test_slow_clients),
		TEST(test_client_that_drips),
		TEST(test_who_waits_is_not_slow),
		TEST(test_full_queue),
		TEST(test_bodies_in_memory),
		TEST(test_group),
		TEST(test_group_of_many_blocks),
		TEST(test_many_senders),
		TEST(test_stop_answers_who_waits),
		TEST(test_close_answers_who_waits),
		TEST(test_full_disk),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
