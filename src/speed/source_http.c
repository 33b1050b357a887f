/* Events by HTTP: docs/http.md. */
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "speed/http_internal.h"
#include "speed/metrics.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKLOG     1024
#define SWEEP_MS    5000
#define TOKEN_BYTES ((size_t)(64u * 1024u)) /* of its file; more is another file */
#define TOKEN_SHORT 16u

const struct http_times HTTP_TIMES = {.idle_s = 30, .whole_us = 120 * HTTP_MICROS};

/* --- the token --- */

static bool is_token(struct slice token)
{
	for (size_t i = 0; i < token.len; i++)
		if (token.data[i] <= ' ' || token.data[i] > '~')
			return false;
	return token.len > 0;
}

static void warn_of_readers(const struct source *source, const char *path, size_t len)
{
	struct stat st;
	if (stat(path, &st) == 0 && (st.st_mode & S_IROTH))
		LOG_WARNING("everybody on this machine can read the token: chmod o-r",
			    log_text("source", source->config->name), log_text("file", path));
	if (len < TOKEN_SHORT)
		LOG_WARNING("the token is short, and can be guessed", log_text("source", source->config->name),
			    log_text("file", path));
}

static int read_token(const struct source *source, struct buf *token, struct error *err)
{
	if (!source->config->token_file)
		return 0;
	_cleanup_free_ char *path = deployment_path(source->deployment, source->config->token_file);
	_cleanup_buf_ struct buf text = {0};
	if (!path)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	const int rc = file_read_all(path, TOKEN_BYTES, &text, err);
	if (rc == ERROR_NOT_FOUND)
		return error_set(err, ERROR_CONFIG,
				 "there is no %s, the token_file; make one (umask 077; head -c 24 /dev/urandom | "
				 "base64 > %s), or take token_file out of %s",
				 path, path, source->deployment->config->path);
	if (rc < 0)
		return error_prefix(err, "token_file");
	const char *const lf = text.len ? memchr(text.data, '\n', text.len) : NULL;
	const struct slice line = slice_trim((struct slice){text.data, lf ? (size_t)(lf - text.data) : text.len});
	const struct slice first = {line.data, line.len && line.data[line.len - 1] == '\r' ? line.len - 1 : line.len};
	if (!is_token(first))
		return error_set(err, ERROR_CONFIG,
				 "the first line of %s, the token_file, is no token: it is empty, or has blanks or "
				 "letters that are not ASCII; make one (head -c 24 /dev/urandom | base64 > %s)",
				 path, path);
	warn_of_readers(source, path, first.len);
	return buf_append(token, first.data, first.len) < 0 ? error_no_memory(err, first.len) : 0;
}

/* --- the address --- */

static bool is_loopback(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET) {
		struct sockaddr_in in;
		memcpy(&in, address, sizeof(in));
		return ntohl(in.sin_addr.s_addr) >> 24 == 127;
	}
	struct sockaddr_in6 in6;
	memcpy(&in6, address, sizeof(in6));
	return address->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr);
}

/* A socket that listens there; -1 and errno. */
static int listen_at(const struct addrinfo *at)
{
	const int one = 1;
	const int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	/* A daemon that starts again need not wait for connections of the one before. Accepted ones inherit TCP_NODELAY. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0 &&
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0 &&
	    bind(fd, at->ai_addr, at->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	const int errnum = errno;
	close(fd);
	errno = errnum;
	return -1;
}

static int fail_listen(const struct source *source, int errnum, struct error *err)
{
	const char *const listen = source->config->listen;
	switch (errnum) {
	case EADDRINUSE:
		return error_set(err, ERROR_IO,
				 "another program listens at %s; end it, or give this source another port (listen)",
				 listen);
	case EADDRNOTAVAIL:
		return error_set(err, ERROR_IO, "this machine has no address as in %s; correct listen", listen);
	case EACCES:
		return error_set(err, ERROR_IO, "only root may listen at %s; take a port of 1024 or more (listen)",
				 listen);
	default:
		return error_errno(err, errnum, "cannot listen at %s", listen);
	}
}

static int open_socket(struct source *source, bool has_token, int *fd, struct error *err)
{
	const char *const listen = source->config->listen;
	const char *const colon = strrchr(listen, ':');
	assert(colon); /* the configuration was checked */
	const bool bracketed = listen[0] == '[' && colon > listen + 1 && colon[-1] == ']';
	_cleanup_free_ char *host = bracketed ? strndup(listen + 1, (size_t)(colon - listen) - 2)
					      : strndup(listen, (size_t)(colon - listen));
	if (!host)
		return error_no_memory(err, strlen(listen));
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	struct addrinfo *list = NULL;
	const int gai = getaddrinfo(strcmp(host, "*") == 0 ? NULL : host, colon + 1, &hints, &list);
	if (gai != 0)
		return error_set(err, ERROR_CONFIG, "'%s' is no address to listen at: %s; correct listen", listen,
				 gai_strerror(gai));
	int own = -1;
	int errnum = 0;
	for (const struct addrinfo *at = list; own < 0 && at; at = at->ai_next) {
		own = listen_at(at);
		if (own < 0)
			errnum = errnum ? errnum : errno;
		else if (!has_token && !is_loopback(at->ai_addr))
			LOG_WARNING("whoever reaches this address can send events: set token_file",
				    log_text("source", source->config->name), log_text("listen", listen));
	}
	freeaddrinfo(list);
	if (own < 0)
		return fail_listen(source, errnum, err);
	*fd = own;
	return 0;
}

/* --- the driver --- */

static void close_source(struct source *source)
{
	struct http_server *const server = source->state;
	if (!server)
		return;
	http_queue_close(&server->queue, HTTP_STOPPING);
	for (struct http_request *at = http_queue_take(&server->queue); at;) {
		/* Only when the source's thread never ran, or failed at last. */
		struct http_request *const next = at->next;
		http_answer_error(&at->answer, 503, "stopping", "punchcard stops; send it again later");
		at->answer.retry_after_s = 5;
		http_queue_answer(&server->queue, at);
		at = next;
	}
	http_server_stop(server);
	if (server->listen_fd >= 0)
		close(server->listen_fd);
	http_queue_release(&server->queue);
	http_commit_release(&server->commit);
	http_problems_release(&server->problems);
	event_json_free(server->json);
	buf_release(&server->token);
	pthread_mutex_destroy(&server->mutex);
	free(server);
	source->state = NULL;
}

int source_http_open(struct source *source, const struct http_times *times, struct error *err)
{
	struct http_server *const server = calloc(1, sizeof(*server));
	if (!server)
		return error_no_memory(err, sizeof(*server));
	source->state = server;
	server->source = source;
	server->times = *times;
	server->listen_fd = -1;
	pthread_mutex_init(&server->mutex, NULL);
	int rc = http_queue_init(&server->queue, source->config->max_waiting, err);
	if (rc == 0)
		rc = event_json_new(source->deployment->config->customer_id, &server->json, err);
	if (rc == 0)
		rc = read_token(source, &server->token, err);
	if (rc == 0)
		rc = open_socket(source, server->token.len > 0, &server->listen_fd, err);
	if (rc == 0)
		rc = http_server_start(server, err);
	if (rc < 0) {
		close_source(source);
		return rc;
	}
	LOG_INFO("listening", log_text("source", source->config->name), log_text("listen", source->config->listen),
		 log_bool("token", server->token.len > 0));
	return 0;
}

static int open_source(struct source *source, struct error *err)
{
	return source_http_open(source, &HTTP_TIMES, err);
}

static int commit_waiting(struct source *source, struct error *err)
{
	struct http_server *const server = source->state;
	struct http_request *const list = http_queue_take(&server->queue);
	return list ? http_commit_all(&server->commit, source, &server->queue, list, err) : 0;
}

static int run(struct source *source, struct error *err)
{
	struct http_server *const server = source->state;
	bool waits = false;
	int rc = 0;
	http_queue_close(&server->queue, HTTP_OPEN);
	while (rc == 0 && !source_must_stop(source)) {
		if (source_wait(source, server->queue.wake_fd, SWEEP_MS, POLLIN))
			rc = commit_waiting(source, err);
		else
			http_server_sweep(server);
		/* Requests are refused meanwhile, so this only shows it. */
		if (waits != !source_has_room(source)) {
			waits = !waits;
			metrics_source_state(source->metrics, waits ? METRICS_WAITING : METRICS_RUNNING);
		}
	}
	if (rc < 0) {
		http_queue_close(&server->queue, rc == ERROR_NO_SPACE ? HTTP_DISK_FULL : HTTP_JOURNAL_FAILED);
		return rc;
	}
	/* No new ones from here on; those that wait are taken. */
	http_queue_close(&server->queue, HTTP_STOPPING);
	return commit_waiting(source, err);
}

const struct source_driver source_http = {.open = open_source, .run = run, .close = close_source};
