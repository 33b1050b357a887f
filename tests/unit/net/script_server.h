/*
 * A server on a thread, on loopback, that does with each request what a script says: answers, half answers, silence.
 *
 *     struct script_server server;
 *     script_start(&server, (struct script_step[]){{.status = 503}, {.status = 200, .body = "{}"}}, 2);
 *     …script_url(&server)…
 *     script_stop(&server);
 *     assert_int_equal(server.n_requests, 2);
 *
 * Behind the last step every request is answered by the last one again.
 */
#ifndef PUNCHCARD_TEST_SCRIPT_SERVER_H
#define PUNCHCARD_TEST_SCRIPT_SERVER_H

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define SCRIPT_REQUESTS_MAX 64

enum script_what {
	SCRIPT_ANSWER,     /* status, headers, body; the connection stays */
	SCRIPT_HALF,       /* the head promises all of the body, half of it comes, the connection ends */
	SCRIPT_HALF_HEAD,  /* the connection ends within the headers, behind status and Content-Length */
	SCRIPT_CLOSE,      /* the request is read (and done), the connection ends without an answer */
	SCRIPT_SILENCE,    /* the request is read, nothing comes until the client goes away */
	SCRIPT_ANSWER_END, /* answers as if the connection stayed, and ends it */
};

struct script_step {
	enum script_what what;
	int status;
	const char *headers; /* "Name: value\r\n…" */
	const char *body;
};

struct script_request {
	char head[2048];
	struct buf body;
};

struct script_server {
	pthread_t thread;
	int listener;
	int stop[2];
	char url[64];
	const struct script_step *steps;
	unsigned n_steps;
	atomic_uint n_requests;
	atomic_uint n_connections;
	struct script_request requests[SCRIPT_REQUESTS_MAX];
};

/* Waits for bytes, the client's end, or the test's. */
static inline ssize_t script_read(struct script_server *server, int fd, char *out, size_t size)
{
	struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = server->stop[0], .events = POLLIN}};
	if (poll(fds, 2, -1) <= 0 || fds[1].revents)
		return 0;
	return recv(fd, out, size, 0);
}

/* One request; 0: there is none any more. */
static inline int script_receive(struct script_server *server, int fd, struct script_request *request)
{
	char bytes[65536];
	char *end = NULL;
	_cleanup_buf_ struct buf all = {0};
	while (!end) {
		const ssize_t n = script_read(server, fd, bytes, sizeof(bytes));
		if (n <= 0)
			return 0;
		buf_append(&all, bytes, (size_t)n);
		buf_text(&all);
		end = strstr(all.data, "\r\n\r\n");
	}
	const size_t head = (size_t)(end - all.data) + 4;
	snprintf(request->head, sizeof(request->head), "%.*s", (int)head, all.data);
	const char *const length = strcasestr(request->head, "\r\nContent-Length:");
	const size_t body = length ? strtoul(length + 17, NULL, 10) : 0;
	while (all.len < head + body) {
		const ssize_t n = script_read(server, fd, bytes, sizeof(bytes));
		if (n <= 0)
			return 0;
		buf_append(&all, bytes, (size_t)n);
	}
	buf_append(&request->body, all.data + head, body);
	return 1;
}

static inline void script_send(int fd, const char *data, size_t len)
{
	while (len > 0) {
		const ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
		if (n <= 0)
			return;
		data += n;
		len -= (size_t)n;
	}
}

/* Returns whether the connection stays. */
static inline int script_answer(struct script_server *server, int fd, const struct script_step *step)
{
	_cleanup_buf_ struct buf out = {0};
	const char *const body = step->body ? step->body : "";
	char byte;
	switch (step->what) {
	case SCRIPT_CLOSE:
		return 0;
	case SCRIPT_SILENCE:
		while (script_read(server, fd, &byte, 1) > 0)
			;
		return 0;
	default:
		break;
	}
	buf_printf(&out, "HTTP/1.1 %d Said\r\nContent-Length: %zu\r\n%s\r\n", step->status, strlen(body),
		   step->headers ? step->headers : "");
	if (step->what == SCRIPT_HALF_HEAD)
		out.len -= 4;
	else
		buf_append(&out, body, step->what == SCRIPT_HALF ? strlen(body) / 2 : strlen(body));
	script_send(fd, out.data, out.len);
	return step->what == SCRIPT_ANSWER;
}

static inline void script_serve(struct script_server *server, int fd)
{
	int stays = 1;
	while (stays) {
		struct script_request request = {0};
		if (!script_receive(server, fd, &request)) {
			buf_release(&request.body);
			return;
		}
		const unsigned n = atomic_fetch_add(&server->n_requests, 1);
		if (n >= SCRIPT_REQUESTS_MAX) {
			buf_release(&request.body);
			return;
		}
		server->requests[n] = request;
		stays = script_answer(server, fd, &server->steps[n < server->n_steps ? n : server->n_steps - 1]);
	}
}

static inline void *script_run(void *argument)
{
	struct script_server *const server = argument;
	for (;;) {
		struct pollfd fds[] = {{.fd = server->listener, .events = POLLIN},
				       {.fd = server->stop[0], .events = POLLIN}};
		if (poll(fds, 2, -1) <= 0 || fds[1].revents)
			return NULL;
		const int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			continue;
		atomic_fetch_add(&server->n_connections, 1);
		script_serve(server, fd);
		close(fd);
	}
}

static inline void script_start(struct script_server *server, const struct script_step *steps, unsigned n_steps)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(in);
	memset(server, 0, sizeof(*server));
	server->steps = steps;
	server->n_steps = n_steps;
	server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(server->listener >= 0 && bind(server->listener, (struct sockaddr *)&in, len) == 0);
	assert_int_equal(getsockname(server->listener, (struct sockaddr *)&in, &len), 0);
	assert_int_equal(listen(server->listener, 16), 0);
	assert_int_equal(pipe2(server->stop, O_CLOEXEC), 0);
	snprintf(server->url, sizeof(server->url), "http://127.0.0.1:%u", ntohs(in.sin_port));
	assert_int_equal(pthread_create(&server->thread, NULL, script_run, server), 0);
}

/* The requests stay to be looked at, until script_forget. */
static inline void script_stop(struct script_server *server)
{
	assert_int_equal(write(server->stop[1], "x", 1), 1);
	pthread_join(server->thread, NULL);
	close(server->stop[0]);
	close(server->stop[1]);
	close(server->listener);
}

static inline void script_forget(struct script_server *server)
{
	for (unsigned i = 0; i < SCRIPT_REQUESTS_MAX; i++)
		buf_release(&server->requests[i].body);
}

#endif
