/*
 * The source "tcp": lines that come by connections, each answered with OK when it is durable (docs/tcp.md); and Flume's netcat source.
 *
 * Ids of events that have none are "tcp-<microseconds>:<line>", by the connection and its lines. No two connections of a source have
 * the same, and a line that was answered is never asked for again: who sends a line again that was not, may have it twice.
 */
#include "speed/listen.h"
#include "speed/metrics.h"
#include "speed/stream_position.h"
#include "speed/tcp_internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* So often it is looked for who is deaf, or has had time enough to part. */
#define LOOK_MS 1000
/* When no connection can be taken (no descriptors, no memory), the next try is so much later. */
#define PAUSE_MS INT64_C(1000)
/* At the end, those who are answered have so long to take it, and to hang up. */
#define LAST_MS INT64_C(1000)
/* Who has gone without a word is found by the system in some two minutes. */
#define KEEP_IDLE_S     60
#define KEEP_INTERVAL_S 15
#define KEEP_PROBES     4

struct tcp {
	struct source *source;
	struct lines *lines;
	int listen_fd;
	size_t line_bytes;
	bool known;                      /* position was read from the journal */
	bool is_full;                    /* said already: as many connect as can */
	struct stream_position position; /* of what is durable, all connections together */
	int64_t accept_ms;               /* by the monotonic clock: not before */
	unsigned turn;                   /* who is read first */
	unsigned n;
	struct tcp_client *clients[TCP_CLIENTS];
};

static int64_t now_ms(void)
{
	return clock_monotonic_us() / 1000;
}

/* --- from start to end --- */

static void close_state(struct source *source)
{
	struct tcp *const tcp = source->state;
	if (!tcp)
		return;
	for (unsigned i = 0; i < tcp->n; i++)
		tcp_client_free(tcp->clients[i]);
	if (tcp->listen_fd >= 0)
		close(tcp->listen_fd);
	lines_close(tcp->lines);
	free(tcp);
	source->state = NULL;
}

static int open_state(struct source *source, struct error *err)
{
	const struct config_source *const config = source->config;
	struct tcp *const tcp = calloc(1, sizeof(*tcp));
	if (!tcp)
		return error_no_memory(err, sizeof(*tcp));
	source->state = tcp;
	tcp->source = source;
	tcp->listen_fd = -1;
	tcp->line_bytes =
		config->line_bytes && config->line_bytes < LIMIT_LINE_BYTES ? config->line_bytes : LIMIT_LINE_BYTES;
	int rc = lines_open(source, &tcp->lines, err);
	if (rc == 0)
		rc = listen_open(source, "whoever reaches this address can send lines: nothing here asks who it is",
				 &tcp->listen_fd, err);
	if (rc < 0) {
		close_state(source);
		return rc;
	}
	LOG_INFO("listening", log_text("source", config->name), log_text("listen", config->listen),
		 log_bool("answers", config->answer));
	return 0;
}

/* --- who connects --- */

static void keep_alive(int fd)
{
	static const int ONE = 1;
	static const int IDLE = KEEP_IDLE_S;
	static const int INTERVAL = KEEP_INTERVAL_S;
	static const int PROBES = KEEP_PROBES;
	/* Without it, who is gone holds its place until the next start. */
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &ONE, sizeof(ONE));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &IDLE, sizeof(IDLE));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &INTERVAL, sizeof(INTERVAL));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &PROBES, sizeof(PROBES));
}

static int take_connections(struct tcp *tcp, struct error *err)
{
	while (tcp->n < TCP_CLIENTS) {
		const int fd = accept4(tcp->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
			LOG_WARNING("a connection cannot be taken, and waits",
				    log_text("source", tcp->source->config->name), log_text("why", strerror(errno)));
			tcp->accept_ms = now_ms() + PAUSE_MS;
			return 0;
		}
		if (fd < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return 0;
		if (fd < 0)
			continue; /* it has gone already */
		keep_alive(fd);
		const int64_t start = stream_position_start(&tcp->position, clock_now_us());
		struct tcp_client *const client = tcp_client_new(tcp->lines, fd, start, err);
		if (!client)
			return err->code;
		tcp->clients[tcp->n++] = client;
	}
	if (!tcp->is_full)
		LOG_WARNING("as many connections as can be; more wait until one ends",
			    log_text("source", tcp->source->config->name), log_uint("connections", tcp->n));
	tcp->is_full = true;
	return 0;
}

/* Frees those that are gone. */
static void remove_clients(struct tcp *tcp)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < tcp->n; i++) {
		struct tcp_client *const client = tcp->clients[i];
		if (client->state != TCP_GONE) {
			tcp->clients[kept++] = client;
			continue;
		}
		if (client->why[0])
			LOG_WARNING("a connection was ended", log_text("source", tcp->source->config->name),
				    log_text("why", client->why));
		lines_give_up(tcp->lines, &client->stream);
		tcp_client_free(client);
	}
	tcp->n = kept;
	tcp->is_full = tcp->is_full && kept == TCP_CLIENTS;
}

/* --- what they say --- */

static size_t held_bytes(const struct tcp *tcp)
{
	size_t held = 0;
	for (unsigned i = 0; i < tcp->n; i++)
		held += lines_waiting(&tcp->clients[i]->stream);
	return held;
}

static int read_clients(struct tcp *tcp, struct error *err)
{
	size_t held = held_bytes(tcp);
	int rc = 0;
	/* Where there is not room for all, it is another's turn each time. */
	tcp->turn++;
	for (unsigned i = 0; rc == 0 && i < tcp->n; i++) {
		struct tcp_client *const client = tcp->clients[(tcp->turn + i) % tcp->n];
		if (!client->is_ready || client->state != TCP_OPEN || held >= TCP_HELD_BYTES)
			continue;
		held -= lines_waiting(&client->stream);
		rc = tcp_client_read(client, TCP_TURN_BYTES, tcp->line_bytes, err);
		held += lines_waiting(&client->stream);
	}
	return rc;
}

static bool has_lines(const struct tcp *tcp)
{
	for (unsigned i = 0; i < tcp->n; i++)
		if (tcp->clients[i]->has_lines)
			return true;
	return false;
}

static int take_lines(struct tcp *tcp, struct stream_position *next, struct error *err)
{
	int rc = 0;
	for (unsigned i = 0; rc == 0 && i < tcp->n; i++) {
		struct lines_stream *const stream = &tcp->clients[i]->stream;
		if (!tcp->clients[i]->has_lines)
			continue;
		rc = lines_take(tcp->lines, stream, LINES_SETTLED, err);
		if (rc >= 0)
			lines_add_to(stream, &next->common);
	}
	return rc < 0 ? rc : 0;
}

static bool has_newline(const struct buf *window)
{
	return window->len && memchr(window->data, '\n', window->len);
}

/* One transaction, and the answers. */
static int take_block(struct tcp *tcp, struct error *err)
{
	struct stream_position next = tcp->position;
	uint64_t had[TCP_CLIENTS];
	int rc = lines_begin(tcp->lines, err);
	for (unsigned i = 0; i < tcp->n; i++)
		had[i] = tcp->clients[i]->stream.durable.line;
	if (rc == 0)
		rc = take_lines(tcp, &next, err);
	if (rc == 0)
		rc = stream_position_set_pipe(tcp->source->journal, tcp->source->config->name, &next, err);
	if (rc < 0) {
		lines_abort(tcp->lines);
		return rc;
	}
	rc = lines_commit(tcp->lines, 0, false, err);
	if (rc < 0)
		return rc;
	tcp->position = next;
	for (unsigned i = 0; i < tcp->n; i++) {
		struct tcp_client *const client = tcp->clients[i];
		if (client->has_lines)
			client->has_lines = has_newline(&client->stream.window);
		if (tcp->source->config->answer)
			tcp_client_owe(client, client->stream.durable.line - had[i]);
		tcp_client_answer(client, now_ms());
	}
	return 0;
}

static int take_all(struct tcp *tcp, bool wait, struct error *err)
{
	int rc = 0;
	while (rc == 0 && has_lines(tcp)) {
		if (wait)
			rc = source_wait_for_room(tcp->source, err);
		if (rc == 0)
			rc = take_block(tcp, err);
	}
	return rc;
}

/* Lines without their ends, of so many that memory runs out: the longest goes. */
static void give_room(struct tcp *tcp)
{
	if (held_bytes(tcp) < TCP_HELD_BYTES)
		return;
	struct tcp_client *longest = tcp->clients[0];
	for (unsigned i = 1; i < tcp->n; i++)
		if (lines_waiting(&tcp->clients[i]->stream) > lines_waiting(&longest->stream))
			longest = tcp->clients[i];
	tcp_client_refuse(longest, "FAILED: too many long lines at once, send it again later");
	lines_give_up(tcp->lines, &longest->stream);
	buf_release(&longest->stream.window);
}

/* --- running --- */

/* Waits until there is something to do. */
static void wait_for_clients(struct tcp *tcp, bool listens, int64_t timeout_ms)
{
	struct pollfd fds[TCP_CLIENTS + 2];
	const bool accepts = listens && tcp->n < TCP_CLIENTS && now_ms() >= tcp->accept_ms;
	for (unsigned i = 0; i < tcp->n; i++) {
		const short events = tcp_client_events(tcp->clients[i]);
		fds[i] = (struct pollfd){.fd = events ? tcp->clients[i]->fd : -1, .events = events};
	}
	fds[tcp->n] = (struct pollfd){.fd = listens ? tcp->source->stop_fd : -1, .events = POLLIN};
	fds[tcp->n + 1] = (struct pollfd){.fd = accepts ? tcp->listen_fd : -1, .events = POLLIN};
	const int ready = poll(fds, tcp->n + 2, timeout_ms > 0 ? (int)timeout_ms : 0);
	for (unsigned i = 0; i < tcp->n; i++)
		tcp->clients[i]->is_ready = ready > 0 && fds[i].events == POLLIN && fds[i].revents;
}

static void answer_all(struct tcp *tcp)
{
	const int64_t now = now_ms();
	for (unsigned i = 0; i < tcp->n; i++)
		tcp_client_answer(tcp->clients[i], now);
	remove_clients(tcp);
}

static int follow(struct tcp *tcp, struct error *err)
{
	struct source *const source = tcp->source;
	int rc = 0;
	while (rc == 0 && !source_must_stop(source)) {
		/* What an earlier run could not make durable first. */
		rc = take_all(tcp, true, err);
		if (rc < 0)
			break;
		give_room(tcp);
		answer_all(tcp);
		/* Nobody waits for an answer, so lines may gather. */
		const int linger_ms = source->config->answer ? 0 : lines_linger_ms(tcp->lines);
		if (linger_ms)
			source_wait(source, -1, linger_ms, 0);
		wait_for_clients(tcp, true, LOOK_MS);
		if (now_ms() >= tcp->accept_ms)
			rc = take_connections(tcp, err);
		if (rc == 0)
			rc = read_clients(tcp, err);
	}
	return rc;
}

/* What has come is taken and answered; who waits for answers has a moment to read them. */
static int end(struct tcp *tcp, struct error *err)
{
	wait_for_clients(tcp, false, 0);
	int rc = read_clients(tcp, err);
	if (rc == 0)
		rc = take_all(tcp, false, err);
	if (rc < 0)
		return rc;
	for (unsigned i = 0; tcp->source->config->answer && i < tcp->n; i++)
		if (tcp->clients[i]->state == TCP_OPEN)
			tcp->clients[i]->state = TCP_REFUSED;
	const int64_t until = now_ms() + LAST_MS;
	for (answer_all(tcp); tcp->source->config->answer && tcp->n && now_ms() < until; answer_all(tcp))
		wait_for_clients(tcp, false, until - now_ms());
	for (unsigned i = 0; i < tcp->n; i++)
		tcp->clients[i]->state = TCP_GONE;
	remove_clients(tcp);
	return 0;
}

static int run(struct source *source, struct error *err)
{
	struct tcp *const tcp = source->state;
	int rc = tcp->known ? 0 : stream_position_read_pipe(source->journal, source->config->name, &tcp->position, err);
	tcp->known = rc == 0;
	if (rc == 0)
		rc = follow(tcp, err);
	if (rc == ERROR_INTERRUPTED && source_must_stop(source))
		rc = 0;
	return rc == 0 ? end(tcp, err) : rc;
}

const struct source_driver source_tcp = {.open = open_state, .run = run, .close = close_state, .keeps_lines = true};
