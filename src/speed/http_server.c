#include "base/clock.h"
#include "base/log.h"
#include "speed/http_internal.h"

#include <assert.h>
#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* Besides those whose requests wait: who sends, who reads, who is slow, and who is told to come again. */
#define MORE_CONNECTIONS 256u
/* Of each, for its head and what is read at a time; a head that does not fit is refused by libmicrohttpd. */
#define CONNECTION_BYTES (size_t)(32u * 1024u)
/* Who was answered gets so long to be sent it before all ends. */
#define LAST_ANSWERS_US (2 * HTTP_MICROS)

/* --- connections --- */

static struct http_connection *connection_of(struct MHD_Connection *handle)
{
	const union MHD_ConnectionInfo *const info =
		MHD_get_connection_info(handle, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	return info ? info->socket_context : NULL;
}

static void add_connection(struct http_server *server, struct MHD_Connection *handle, void **context)
{
	const union MHD_ConnectionInfo *const info = MHD_get_connection_info(handle, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct http_connection *const own = calloc(1, sizeof(*own));
	*context = own;
	if (!own)
		return; /* only libmicrohttpd's own time-out ends it */
	*own = (struct http_connection){.fd = info ? info->connect_fd : -1, .since_us = clock_monotonic_us()};
	pthread_mutex_lock(&server->mutex);
	own->next = server->connections;
	if (own->next)
		own->next->prev = own;
	server->connections = own;
	pthread_mutex_unlock(&server->mutex);
}

static void remove_connection(struct http_server *server, struct http_connection *own)
{
	if (!own)
		return;
	pthread_mutex_lock(&server->mutex);
	if (own->prev)
		own->prev->next = own->next;
	else
		server->connections = own->next;
	if (own->next)
		own->next->prev = own->prev;
	pthread_mutex_unlock(&server->mutex);
	free(own);
}

/* libmicrohttpd closes the descriptor behind this. */
static void on_connection(void *cls, struct MHD_Connection *handle, void **context,
			  enum MHD_ConnectionNotificationCode code)
{
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		add_connection(cls, handle, context);
	else
		remove_connection(cls, *context);
}

static void set_waits(struct http_request *request, bool waits)
{
	struct http_server *const server = request->server;
	if (!request->connection)
		return;
	pthread_mutex_lock(&server->mutex);
	request->connection->waits = waits;
	request->connection->since_us = clock_monotonic_us();
	pthread_mutex_unlock(&server->mutex);
}

void http_server_sweep(struct http_server *server)
{
	const int64_t oldest_us = clock_monotonic_us() - server->times.whole_us;
	pthread_mutex_lock(&server->mutex);
	for (struct http_connection *at = server->connections; at; at = at->next)
		if (!at->waits && at->since_us < oldest_us && at->fd >= 0)
			shutdown(at->fd, SHUT_RDWR); /* libmicrohttpd sees it, and closes it */
	pthread_mutex_unlock(&server->mutex);
}

/* --- requests --- */

static void add_headers(struct MHD_Response *response, const struct http_response *answer)
{
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	if (answer->retry_after_s) {
		char seconds[16];
		snprintf(seconds, sizeof(seconds), "%u", answer->retry_after_s);
		MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
	}
	if (answer->allow)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, answer->allow);
	if (answer->authenticate)
		MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer realm=\"punchcard\"");
	if (answer->close)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
}

static enum MHD_Result send_answer(struct MHD_Connection *handle, struct http_request *request)
{
	struct http_response *const answer = &request->answer;
	struct MHD_Response *const response =
		MHD_create_response_from_buffer(answer->text.len, answer->text.data, MHD_RESPMEM_MUST_COPY);
	if (!response)
		return MHD_NO;
	add_headers(response, answer);
	const enum MHD_Result result = MHD_queue_response(handle, answer->status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result go_on(struct MHD_Connection *handle, struct http_request *request, const char *data, size_t *len)
{
	if (*len) {
		const bool fine = http_request_receive(request, data, *len);
		*len = 0;
		return fine ? MHD_YES : MHD_NO;
	}
	if (http_queue_state(&request->server->queue, request) == HTTP_READING) {
		set_waits(request, true);
		if (http_request_finish(request))
			return MHD_YES; /* it sleeps, and is no longer ours; this is called again when it has its answer */
	}
	return send_answer(handle, request);
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *handle, const char *url, const char *method,
				  const char *version, const char *data, size_t *len, void **context)
{
	(void)version;
	if (*context)
		return go_on(handle, *context, data, len);
	bool at_once;
	struct http_request *const request = http_request_begin(cls, handle, url, method, &at_once);
	if (!request)
		return MHD_NO;
	request->connection = connection_of(handle);
	*context = request;
	return at_once ? send_answer(handle, request) : MHD_YES;
}

static void on_completed(void *cls, struct MHD_Connection *handle, void **context, enum MHD_RequestTerminationCode code)
{
	struct http_server *const server = cls;
	struct http_request *const request = *context;
	(void)handle;
	(void)code;
	if (!request)
		return;
	*context = NULL;
	set_waits(request, false);
	http_queue_sent(&server->queue, request);
	http_request_free(request);
}

/* --- from start to end --- */

/* Of its messages most are about clients who went away. */
static void __attribute__((format(printf, 2, 0))) on_message(void *cls, const char *format, va_list args)
{
	const struct http_server *const server = cls;
	char text[512];
	vsnprintf(text, sizeof(text), format, args);
	text[strcspn(text, "\n")] = '\0';
	if (strstr(text, "ccept"))
		LOG_WARNING("connections cannot be taken", log_text("source", server->source->config->name),
			    log_text("why", text));
	else
		LOG_DEBUG("http", log_text("source", server->source->config->name), log_text("detail", text));
}

int http_server_start(struct http_server *server, struct error *err)
{
	const struct config_source *const config = server->source->config;
	server->body_limit = (size_t)config->max_body_kib * 1024;
	server->daemon = MHD_start_daemon(
		MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request,
		server, MHD_OPTION_EXTERNAL_LOGGER, on_message, server, MHD_OPTION_LISTEN_SOCKET, server->listen_fd,
		MHD_OPTION_CONNECTION_LIMIT, config->max_waiting + MORE_CONNECTIONS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		CONNECTION_BYTES, MHD_OPTION_CONNECTION_TIMEOUT, server->times.idle_s, MHD_OPTION_NOTIFY_COMPLETED,
		on_completed, server, MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_STRICT_FOR_CLIENT,
		1, MHD_OPTION_END);
	return server->daemon ? 0
			      : error_set(err, ERROR_IO, "cannot start to answer at %s: libmicrohttpd gave up",
					  config->listen);
}

void http_server_stop(struct http_server *server)
{
	if (!server->daemon)
		return;
	MHD_quiesce_daemon(server->daemon);
	http_queue_wait_sent(&server->queue, LAST_ANSWERS_US);
	MHD_stop_daemon(server->daemon);
	server->daemon = NULL;
	assert(!server->connections);
}
