/*
 * What the tests of the http source share: a shop with a journal and the source on a thread of its own, and a client.
 *
 *     serve("");                                  // more keys of the source: "max_waiting: 1, "
 *     struct reply reply;
 *     post("", "{…}", &reply);                    // more heads: "Content-Type: application/json\r\n"
 *     assert_int_equal(reply.status, 200);
 *     stop_serving();
 */
#ifndef PUNCHCARD_TEST_HTTP_SHOP_H
#define PUNCHCARD_TEST_HTTP_SHOP_H

#include "speed/http_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "port.h"
#include "shop.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#define PATIENCE_MS 20000

static struct {
	struct source source;
	struct journal *journal;
	pthread_t thread;
	uint16_t port;
	atomic_int failures; /* of `run` */
	bool is_running;
} web;

/* As the daemon does: again after an error. */
static inline void *run_source(void *argument)
{
	(void)argument;
	struct error err = {0};
	while (web.source.driver->run(&web.source, &err) < 0 && !source_must_stop(&web.source)) {
		atomic_fetch_add(&web.failures, 1);
		source_wait(&web.source, -1, 300, 0);
	}
	return NULL;
}

static inline void start_thread(void)
{
	assert_int_equal(pthread_create(&web.thread, NULL, run_source, NULL), 0);
	web.is_running = true;
}

/* Another program may take the port in between. */
static inline int try_to_open(const char *keys, const struct http_times *times, struct error *err)
{
	web.port = free_port();
	_cleanup_free_ char *config =
		text_printf("sources:\n  - {name: web, type: http, %slisten: '127.0.0.1:%u'}\n", keys, web.port);
	assert_non_null(config);
	shop_open(config);
	web.source = (struct source){.deployment = shop,
				     .config = &shop->config->sources[0],
				     .driver = source_driver(SOURCE_HTTP),
				     .journal = web.journal,
				     .stop_fd = web.source.stop_fd};
	return source_http_open(&web.source, times, err);
}

/* Without its thread. */
static inline void open_source_with(const char *keys, const struct http_times *times)
{
	struct log_options quiet = LOG_DEFAULTS;
	quiet.level = LOG_LEVEL_ERROR;
	log_configure(&quiet);
	struct error err = {0};
	_cleanup_free_ char *dir = shop_path("data/journal");
	if (file_make_dirs(dir, &err) < 0 ||
	    journal_open(dir, &(const struct journal_options){.map_gib = 1}, &web.journal, &err) < 0)
		fail_msg("%s", err.message);
	web.source.stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	atomic_store(&web.failures, 0);
	int rc = try_to_open(keys, times, &err);
	for (int i = 0; rc < 0 && i < 10; i++)
		rc = try_to_open(keys, times, &err);
	if (rc < 0)
		fail_msg("%s", err.message);
}

static inline void serve(const char *keys)
{
	open_source_with(keys, &HTTP_TIMES);
	start_thread();
}

static inline void ask_to_stop(void)
{
	const uint64_t one = 1;
	assert_int_equal(write(web.source.stop_fd, &one, sizeof(one)), sizeof(one));
}

static inline void stop_serving(void)
{
	ask_to_stop();
	if (web.is_running)
		pthread_join(web.thread, NULL);
	web.is_running = false;
	web.source.driver->close(&web.source);
	assert_null(web.source.state);
	close(web.source.stop_fd);
	journal_close(web.journal);
	web.journal = NULL;
}

/* --- a client --- */

static inline int dial(void)
{
	return dial_port(web.port, PATIENCE_MS / 1000);
}

struct reply {
	int status; /* 0: the connection was ended without an answer */
	char head[2048];
	char body[32768];
};

/* What the other side has ended takes no more: that is no failure. */
static inline bool say(int fd, const void *data, size_t len)
{
	const char *at = data;
	while (len) {
		const ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

static inline void say_text(int fd, const char *text)
{
	assert_true(say(fd, text, strlen(text)));
}

static inline bool hear_byte(int fd, char *out)
{
	const ssize_t n = recv(fd, out, 1, 0);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		fail_msg("no answer came in time");
	return n == 1;
}

/* The next answer, and nothing of the one behind it. */
static inline void hear(int fd, struct reply *reply)
{
	*reply = (struct reply){0};
	size_t n = 0;
	while (n < sizeof(reply->head) - 1 && hear_byte(fd, &reply->head[n])) {
		n++;
		if (n >= 4 && memcmp(reply->head + n - 4, "\r\n\r\n", 4) == 0)
			break;
	}
	if (n == 0)
		return;
	assert_int_equal(sscanf(reply->head, "HTTP/1.%*d %d", &reply->status), 1);
	const char *const length = strstr(reply->head, "Content-Length: ");
	const size_t want = length ? strtoul(length + strlen("Content-Length: "), NULL, 10) : 0;
	assert_true(want < sizeof(reply->body));
	for (size_t i = 0; i < want; i++)
		assert_true(hear_byte(fd, &reply->body[i]));
}

static inline void say_post(int fd, const char *heads, const void *body, size_t len)
{
	_cleanup_free_ char *head =
		text_printf("POST /v1/events HTTP/1.1\r\nHost: test\r\nContent-Length: %zu\r\n%s\r\n", len, heads);
	assert_non_null(head);
	say(fd, head, strlen(head));
	say(fd, body, len);
}

static inline void post_bytes(const char *heads, const void *body, size_t len, struct reply *reply)
{
	const int fd = dial();
	assert_true(fd >= 0);
	say_post(fd, heads, body, len);
	hear(fd, reply);
	close(fd);
}

static inline void post(const char *heads, const char *body, struct reply *reply)
{
	post_bytes(heads, body, strlen(body), reply);
}

/* Sends it, expecting this answer. */
static inline void expect_post(const char *heads, const char *body, int status, const char *part)
{
	struct reply reply;
	post(heads, body, &reply);
	if (reply.status != status || !strstr(reply.body, part))
		fail_msg("%d and '%s' were expected: %s%s", status, part, reply.head, reply.body);
}

/* Any request: its first line without the version, and heads. */
static inline void expect_request(const char *line, const char *heads, int status, const char *head, const char *part)
{
	struct reply reply;
	_cleanup_free_ char *text = text_printf("%s HTTP/1.1\r\nHost: test\r\n%s\r\n", line, heads);
	const int fd = dial();
	assert_true(fd >= 0);
	say_text(fd, text);
	hear(fd, &reply);
	close(fd);
	if (reply.status != status || !strstr(reply.head, head) || !strstr(reply.body, part))
		fail_msg("%d, '%s' and '%s' were expected: %s%s", status, head, part, reply.head, reply.body);
}

/* --- events, and what the journal has --- */

/* A line of NDJSON. */
static inline void add_event(struct buf *out, const char *id, int64_t points)
{
	assert_int_equal(buf_printf(out,
				    "{\"event_id\":\"%s\",\"kind\":\"adjust\",\"customer\":7,\"time\":1700000000,"
				    "\"points\":%lld}\n",
				    id, (long long)points),
			 0);
}

#define ADJUST(id, points) \
	"{\"event_id\":\"" id "\",\"kind\":\"adjust\",\"customer\":7,\"time\":1700000000,\"points\":" points "}"

/* The ids of all events in the journal, with a blank behind each, in order. */
static inline void read_ids(struct buf *out)
{
	struct journal_reader *reader = NULL;
	struct error err = {0};
	uint64_t first;
	uint64_t next;
	buf_clear(out);
	assert_int_equal(journal_reader_open(web.journal, &reader, &err), 0);
	assert_int_equal(journal_reader_range(reader, &first, &next, &err), 0);
	for (uint64_t seq = first; seq < next; seq++) {
		struct slice bytes;
		struct block_reader block;
		struct block_record record;
		assert_int_equal(journal_reader_block(reader, seq, &bytes, &err), 0);
		assert_int_equal(block_reader_open(&block, bytes, &err), 0);
		assert_true(slice_is(block.source, "web"));
		while (block_reader_next(&block, &record, &err) == 1)
			buf_printf(out, "%.*s ", (int)record.event.id.len, record.event.id.data);
		block_reader_release(&block);
	}
	journal_reader_close(reader);
	assert_non_null(buf_text(out));
}

static inline void assert_ids(const char *expected)
{
	_cleanup_buf_ struct buf ids = {0};
	read_ids(&ids);
	assert_string_equal(ids.data, expected);
}

static inline uint64_t count_events(void)
{
	struct journal_reader *reader = NULL;
	struct journal_totals totals;
	struct error err = {0};
	assert_int_equal(journal_reader_open(web.journal, &reader, &err), 0);
	assert_int_equal(journal_reader_totals(reader, &totals, &err), 0);
	journal_reader_close(reader);
	return totals.events;
}

/* Until it is so, for PATIENCE_MS. */
#define WAIT_UNTIL(condition)                                                                \
	do {                                                                                 \
		const int64_t until_us = clock_monotonic_us() + PATIENCE_MS * INT64_C(1000); \
		while (!(condition)) {                                                       \
			if (clock_monotonic_us() > until_us)                                 \
				fail_msg("waited in vain for: %s", #condition);              \
			usleep(1000);                                                        \
		}                                                                            \
	} while (0)

#endif
