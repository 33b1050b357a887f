#include "speed/tcp_internal.h"

#include "base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES   ((size_t)64u * 1024u)
#define ANSWER       "OK\n"
#define ANSWER_BYTES (sizeof(ANSWER) - 1)
/* Who takes none of its answers for so long is gone. */
#define DEAF_MS INT64_C(60000)
/* Who parts has so long to read the last of them. */
#define PARTING_MS INT64_C(2000)

struct tcp_client *tcp_client_new(struct lines *lines, int fd, int64_t start, struct error *err)
{
	struct tcp_client *const client = calloc(1, sizeof(*client));
	_cleanup_free_ char *name = text_printf("tcp-%" PRId64, start);
	if (!client || !name) {
		free(client);
		close(fd);
		error_no_memory(err, sizeof(*client));
		return NULL;
	}
	client->fd = fd;
	if (lines_stream_open(lines, &client->stream, slice_of(name), &(const struct lines_place){0}, err) < 0) {
		tcp_client_free(client);
		return NULL;
	}
	return client;
}

void tcp_client_free(struct tcp_client *client)
{
	if (!client)
		return;
	close(client->fd);
	lines_stream_close(&client->stream);
	free(client);
}

/* --- what it says --- */

/* How many of the bytes are taken: all, but for a line that is too long. */
static size_t look_at_lines(struct tcp_client *client, const char *data, size_t len, size_t line_bytes)
{
	size_t at = 0;
	while (at < len) {
		const char *const lf = memchr(data + at, '\n', len - at);
		const size_t part = lf ? (size_t)(lf - data) + 1 - at : len - at;
		if (part > line_bytes - client->line_bytes) {
			tcp_client_refuse(client,
					  "FAILED: Event exceeds the maximum length (%zu chars, including newline)",
					  line_bytes);
			return at;
		}
		at += part;
		client->line_bytes = lf ? 0 : client->line_bytes + part;
		client->has_lines = client->has_lines || lf;
	}
	return at;
}

int tcp_client_read(struct tcp_client *client, size_t most, size_t line_bytes, struct error *err)
{
	for (size_t done = 0; client->state == TCP_OPEN && done < most;) {
		char *const to = lines_room(&client->stream, READ_BYTES);
		if (!to)
			return error_no_memory(err, READ_BYTES);
		const ssize_t n = recv(client->fd, to, READ_BYTES, MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return 0;
		if (n <= 0) {
			/* Who hung up hears no answers; what it said is taken all the same. */
			client->state = TCP_ENDED;
			return 0;
		}
		done += (size_t)n;
		const size_t taken = look_at_lines(client, to, (size_t)n, line_bytes);
		if (taken)
			lines_added(&client->stream, taken, clock_now_us());
	}
	return 0;
}

void tcp_client_refuse(struct tcp_client *client, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(client->why, sizeof(client->why), format, arguments);
	va_end(arguments);
	client->state = TCP_REFUSED;
}

/* --- what it is told --- */

void tcp_client_owe(struct tcp_client *client, uint64_t lines)
{
	client->owed_bytes += lines * ANSWER_BYTES;
}

/* True: so much was sent as there is room for. */
static bool send_some(struct tcp_client *client, const char *data, size_t len, size_t *sent)
{
	ssize_t n;
	do
		n = send(client->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	*sent = n > 0 ? (size_t)n : 0;
	return n >= 0 || errno == EAGAIN || errno == EWOULDBLOCK;
}

/* False: nobody hears it any more. */
static bool send_owed(struct tcp_client *client)
{
	char answers[ANSWER_BYTES * 1024];
	bool fine = true;
	size_t sent = 1;
	for (size_t i = 0; i < sizeof(answers); i++)
		answers[i] = ANSWER[i % ANSWER_BYTES];
	while (fine && client->owed_bytes && sent) {
		const size_t from = (ANSWER_BYTES - client->owed_bytes % ANSWER_BYTES) % ANSWER_BYTES;
		const size_t room = sizeof(answers) - from;
		fine = send_some(client, answers + from, client->owed_bytes < room ? client->owed_bytes : room, &sent);
		client->owed_bytes -= sent;
		if (sent)
			client->since_ms = 0;
	}
	return fine;
}

/* A connection that is closed while there is something to read in it takes the last answers back from whoever has not read them. */
static void part(struct tcp_client *client, int64_t now_ms)
{
	char line[sizeof(client->why) + 1];
	size_t sent;
	const int len = snprintf(line, sizeof(line), "%s\n", client->why);
	if (client->why[0])
		(void)send_some(client, line, (size_t)len, &sent);
	const bool says_no_more = client->state == TCP_ENDED;
	client->state = says_no_more || shutdown(client->fd, SHUT_WR) < 0 ? TCP_GONE : TCP_PARTING;
	client->since_ms = now_ms;
}

static void pass_over(struct tcp_client *client, int64_t now_ms)
{
	char bytes[4096];
	ssize_t n;
	size_t passed = 0;
	while ((n = recv(client->fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0 && passed < TCP_TURN_BYTES)
		passed += (size_t)n;
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) || now_ms - client->since_ms >= PARTING_MS)
		client->state = TCP_GONE;
}

void tcp_client_answer(struct tcp_client *client, int64_t now_ms)
{
	if (client->state == TCP_GONE)
		return;
	if (client->state == TCP_PARTING) {
		pass_over(client, now_ms);
		return;
	}
	if (!send_owed(client)) {
		client->owed_bytes = 0;
		client->state = TCP_ENDED;
	}
	if (client->owed_bytes && !client->since_ms)
		client->since_ms = now_ms;
	if (client->owed_bytes && now_ms - client->since_ms >= DEAF_MS)
		client->state = TCP_GONE;
	else if (client->state != TCP_OPEN && !client->owed_bytes && !client->has_lines)
		part(client, now_ms);
}

short tcp_client_events(const struct tcp_client *client)
{
	if (client->owed_bytes)
		return POLLOUT;
	return client->state == TCP_OPEN || client->state == TCP_PARTING ? POLLIN : 0;
}
