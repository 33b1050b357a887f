#include "base/clock.h"
#include "base/log.h"
#include "speed/http_internal.h"

#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <strings.h>

/* What is passed over of a body that is not taken, so that its sender gets to read why: as a multiple of the limit. */
#define PASSED_OVER 4u

void http_request_free(struct http_request *request)
{
	if (!request)
		return;
	request->server->held -= request->held;
	http_response_release(&request->answer);
	buf_release(&request->body);
	block_writer_release(&request->block);
	free(request);
}

/* --- the head --- */

/* What the head says of the body. */
struct head {
	unsigned lengths; /* how many headers Content-Length */
	bool is_chunked;
	bool has_other_transfer;
	bool expects; /* it asks before it sends its body */
	uint64_t length;
	const char *type;
	const char *encoding;
	const char *authorization;
};

static enum MHD_Result on_header(void *cls, enum MHD_ValueKind kind, const char *key, const char *value)
{
	struct head *const head = cls;
	(void)kind;
	if (!value)
		value = "";
	if (strcasecmp(key, "Content-Length") == 0) {
		head->lengths++;
		head->length =
			strtoull(value, NULL, 10); /* libmicrohttpd has checked it; too large a one is too large */
	} else if (strcasecmp(key, "Transfer-Encoding") == 0) {
		head->is_chunked = strcasecmp(value, "chunked") == 0;
		head->has_other_transfer = head->has_other_transfer || !head->is_chunked;
	} else if (strcasecmp(key, "Expect") == 0) {
		head->expects = true;
	} else if (strcasecmp(key, "Content-Type") == 0) {
		head->type = value;
	} else if (strcasecmp(key, "Content-Encoding") == 0) {
		head->encoding = value;
	} else if (strcasecmp(key, "Authorization") == 0) {
		head->authorization = value;
	}
	return MHD_YES;
}

/* What stands before parameters: "application/json" of "application/json; charset=utf-8". */
static bool type_is(const char *value, const char *type)
{
	const struct slice own = slice_trim((struct slice){value, strcspn(value, ";")});
	return own.len == strlen(type) && strncasecmp(own.data, type, own.len) == 0;
}

/* What is not told is UTF-8; US-ASCII is a part of it. */
static bool charset_is_utf8(const char *value)
{
	const char *const charset = strcasestr(value, "charset=");
	if (!charset)
		return true;
	const char *at = charset + strlen("charset=");
	at += *at == '"';
	return strncasecmp(at, "utf-8", strlen("utf-8")) == 0 || strncasecmp(at, "us-ascii", strlen("us-ascii")) == 0;
}

/* Takes as long whatever is presented, but for its length. */
static bool token_is(const struct buf *token, struct slice presented)
{
	volatile unsigned char difference = presented.len != token->len;
	for (size_t i = 0; i < presented.len; i++)
		difference = (unsigned char)(difference | (presented.data[i] ^ token->data[i % token->len]));
	return difference == 0;
}

static bool is_authorized(const struct http_server *server, const char *authorization)
{
	static const char SCHEME[] = "Bearer ";
	if (server->token.len == 0)
		return true;
	return authorization && strncasecmp(authorization, SCHEME, strlen(SCHEME)) == 0 &&
	       token_is(&server->token, slice_trim(slice_of(authorization + strlen(SCHEME))));
}

static void refuse_length(struct http_request *request)
{
	http_answer_error(&request->answer, 413, "too_large",
			  "a request has at most %zu KiB here (max_body_kib); send the events in several",
			  request->server->body_limit / 1024);
}

static bool is_flume(const struct http_request *request)
{
	return request->server->flume.lines != NULL;
}

/* Whether requests are taken at all now. */
static bool is_closed(struct http_request *request)
{
	struct http_server *const server = request->server;
	struct http_response *const answer = &request->answer;
	bool full;
	switch (http_queue_look(&server->queue, &full)) {
	case HTTP_STOPPING:
		http_answer_error(answer, 503, "stopping", "punchcard stops; send it again later");
		answer->retry_after_s = 5;
		answer->close = true;
		return true;
	case HTTP_DISK_FULL:
		http_answer_error(answer, 503, "disk_full", "there is no room on the disk; send it again later");
		answer->retry_after_s = 5;
		return true;
	case HTTP_JOURNAL_FAILED:
		http_answer_error(answer, 503, "journal", "the journal cannot be written; send it again later");
		answer->retry_after_s = 5;
		return true;
	default:
		break;
	}
	if (!full && source_has_room(server->source))
		return false;
	/* Flume's senders know 503 as what a full channel answers. */
	http_answer_error(answer, is_flume(request) ? 503 : 429, full ? "too_many_requests" : "backlog",
			  full ? "too many requests wait for the disk; send it again later"
			       : "too many events wait to be worked on; send it again later");
	answer->retry_after_s = 1;
	LOG_WARNING("requests are told to come again", log_text("source", server->source->config->name),
		    log_text("why", full ? "max_waiting wait for the disk" : "the consumers are behind"));
	return true;
}

static void refuse_token(struct http_request *request, bool has_one)
{
	const union MHD_ConnectionInfo *const info =
		MHD_get_connection_info(request->handle, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *const address = info ? info->client_addr : NULL;
	char from[NI_MAXHOST] = "?";
	if (address)
		getnameinfo(address,
			    address->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6),
			    from, sizeof(from), NULL, 0, NI_NUMERICHOST);
	LOG_WARNING("a request without the token was refused",
		    log_text("source", request->server->source->config->name), log_text("from", from));
	http_answer_error(&request->answer, 401, "unauthorized", "%s",
			  has_one ? "the token is not the one that is expected here"
				  : "a token is needed: Authorization: Bearer <token>");
	request->answer.authenticate = true;
}

/* Whether the body may be taken; otherwise there is an answer. */
static bool check_head(struct http_request *request, const struct head *head)
{
	const enum http_bodies bodies = request->server->source->config->flume_http;
	struct http_response *const answer = &request->answer;
	if (head->has_other_transfer || head->lengths + head->is_chunked > 1) {
		/* Where two of us could see different ends of the body, one who forwards could be made to see another request. */
		http_answer_error(answer, 400, "bad_request",
				  "the body's length is told twice, or in a way that is not known here");
		answer->close = true;
	} else if (!is_authorized(request->server, head->authorization)) {
		refuse_token(request, head->authorization != NULL);
	} else if (bodies == HTTP_BODIES_FLUME_JSON && head->type && !charset_is_utf8(head->type)) {
		http_answer_error(answer, 415, "content_type", "a request is read as UTF-8 here");
	} else if (bodies == HTTP_BODIES_EVENTS && head->type && !type_is(head->type, "application/json") &&
		   !type_is(head->type, "application/x-ndjson")) {
		http_answer_error(answer, 415, "content_type",
				  "Content-Type must be application/json or application/x-ndjson");
	} else if (head->encoding && strcasecmp(head->encoding, "gzip") != 0 &&
		   strcasecmp(head->encoding, "identity") != 0) {
		http_answer_error(answer, 415, "content_encoding", "Content-Encoding must be gzip, or none");
	} else if (head->length > request->server->body_limit) {
		refuse_length(request);
	} else if (!is_closed(request)) {
		request->is_gzip = head->encoding && strcasecmp(head->encoding, "gzip") == 0;
		return true;
	}
	return false;
}

static void answer_health(struct http_request *request)
{
	struct http_server *const server = request->server;
	bool full;
	switch (http_queue_look(&server->queue, &full)) {
	case HTTP_STOPPING:
		http_answer_health(&request->answer, "stopping");
		return;
	case HTTP_DISK_FULL:
		http_answer_health(&request->answer, "disk_full");
		return;
	case HTTP_JOURNAL_FAILED:
		http_answer_health(&request->answer, "journal");
		return;
	default:
		http_answer_health(&request->answer, full || !source_has_room(server->source) ? "backlog" : "ok");
	}
}

static bool begin_path(struct http_request *request, const char *path, const char *method, const struct head *head)
{
	struct http_response *const answer = &request->answer;
	if (strcmp(path, "/healthz") == 0) {
		if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0) {
			answer_health(request);
			return false;
		}
		http_answer_error(answer, 405, "method", "%s is only read: GET", path);
		answer->allow = "GET, HEAD";
		return false;
	}
	if (is_flume(request)) {
		if (strcmp(method, "POST") == 0)
			return check_head(request, head);
		http_answer_error(answer, 405, "method", "events are sent by POST");
		answer->allow = "POST";
		return false;
	}
	if (strcmp(path, "/v1/events") == 0) {
		if (strcmp(method, "POST") == 0)
			return check_head(request, head);
		http_answer_error(answer, 405, "method", "events are sent by POST");
		answer->allow = "POST";
		return false;
	}
	http_answer_error(answer, 404, "not_found", "there are /v1/events (POST) and /healthz (GET)");
	return false;
}

struct http_request *http_request_begin(struct http_server *server, struct MHD_Connection *handle, const char *path,
					const char *method, bool *at_once)
{
	struct http_request *const request = calloc(1, sizeof(*request));
	if (!request)
		return NULL;
	request->server = server;
	request->handle = handle;
	struct head head = {0};
	MHD_get_connection_values(handle, MHD_HEADER_KIND, on_header, &head);
	*at_once = false;
	if (begin_path(request, path, method, &head))
		return request;
	request->state = HTTP_REFUSED;
	/* Small bodies that are on their way already are read: then the connection can go on, and nobody misses the answer. */
	*at_once = request->answer.close || head.expects || head.length > server->body_limit;
	return request;
}

/* --- the body --- */

/* From here on it is passed over. */
static void refuse_body(struct http_request *request)
{
	request->state = HTTP_REFUSED;
	buf_release(&request->body);
	request->server->held -= request->held;
	request->held = 0;
}

bool http_request_receive(struct http_request *request, const char *data, size_t len)
{
	struct http_server *const server = request->server;
	request->received += len;
	if (request->state == HTTP_READING && request->received > server->body_limit) {
		refuse_body(request);
		refuse_length(request);
	}
	const size_t most = server->body_limit > HTTP_HELD_BYTES ? server->body_limit : HTTP_HELD_BYTES;
	if (request->state == HTTP_READING &&
	    (server->held + len > most || buf_append(&request->body, data, len) < 0)) {
		refuse_body(request);
		http_answer_error(&request->answer, 429, "too_many_requests",
				  "too many requests are being read; send it again later");
		request->answer.retry_after_s = 1;
	}
	if (request->state == HTTP_READING) {
		request->held += len;
		server->held += len;
	}
	return request->received <= server->body_limit * PASSED_OVER;
}

static int unpack(struct http_request *request)
{
	_cleanup_buf_ struct buf text = {0};
	struct error err = {0};
	const int rc = http_gunzip((struct slice){request->body.data, request->body.len}, request->server->body_limit,
				   &text, &err);
	if (rc == ERROR_LIMIT)
		http_answer_error(&request->answer, 413, "too_large",
				  "unpacked, a request has at most %zu KiB here (max_body_kib); send the events in "
				  "several",
				  request->server->body_limit / 1024);
	else if (rc == ERROR_INPUT)
		http_answer_error(&request->answer, 400, "gzip", "%s", err.message);
	if (rc < 0)
		return rc;
	buf_release(&request->body);
	request->body = text;
	text = (struct buf){0};
	return 0;
}

static void tell_of_problems(const struct http_request *request)
{
	const struct http_server *const server = request->server;
	const struct http_problem *const first = &server->problems.first[0];
	LOG_WARNING("a request was refused: it has events that are none",
		    log_text("source", server->source->config->name), log_uint("bad", server->problems.n),
		    log_uint("index", first->index), log_text("reason", quarantine_reason_name(first->reason)));
}

/* 0: its events are in request->block. Otherwise it has an answer, or there is no memory for it. */
static int read_events(struct http_request *request)
{
	struct http_server *const server = request->server;
	const int rc = http_events_read(server->json, server->source->deployment,
					(struct slice){request->body.data, request->body.len}, request->read_us,
					&request->block, &request->n_events, &server->problems);
	if (rc == ERROR_INPUT) {
		tell_of_problems(request);
		http_answer_problems(&request->answer, 400, "bad_events", &server->problems, request->n_events);
	}
	return rc;
}

/* A list of none is a request like any other. */
static void answer_none(struct http_request *request)
{
	if (is_flume(request))
		http_answer_done(&request->answer);
	else if (request->body.len && memchr(request->body.data, '[', request->body.len))
		http_answer_taken(&request->answer, 0, 0);
	else
		http_answer_error(&request->answer, 400, "empty", "there are no events in this request");
}

static int read_lines(struct http_request *request)
{
	const enum http_bodies bodies = request->server->source->config->flume_http;
	_cleanup_buf_ struct buf lines = {0};
	struct error err = {0};
	const int rc = http_flume_read(bodies, (struct slice){request->body.data, request->body.len}, &lines,
				       &request->n_events, &err);
	if (rc == ERROR_INPUT) {
		LOG_WARNING("a request was refused", log_text("source", request->server->source->config->name),
			    log_text("why", err.message));
		http_answer_error(&request->answer, 400, "bad_request", "%s", err.message);
	}
	if (rc < 0)
		return rc;
	buf_release(&request->body);
	request->body = lines;
	lines = (struct buf){0};
	return 0;
}

static int prepare(struct http_request *request)
{
	const int rc = request->is_gzip && request->body.len ? unpack(request) : 0;
	if (rc < 0)
		return rc;
	return is_flume(request) ? read_lines(request) : read_events(request);
}

/* Memory counts as what it is now: the events instead of their text. */
static void hold_events(struct http_request *request)
{
	struct http_server *const server = request->server;
	if (!is_flume(request))
		buf_release(&request->body);
	const size_t now = request->body.cap + request->block.buf.cap;
	server->held += now - request->held;
	request->held = now;
}

bool http_request_finish(struct http_request *request)
{
	request->read_us = clock_now_us();
	const int rc = prepare(request);
	request->bytes = request->body.len;
	if (rc == 0 && request->n_events == 0) {
		answer_none(request);
	} else if (rc == 0 && !is_closed(request)) {
		hold_events(request);
		if (http_queue_push(&request->server->queue, request))
			return true;
		(void)is_closed(request); /* just now */
	}
	if (request->answer.status == 0) {
		http_answer_error(&request->answer, 503, "busy", "there is no room for it now; send it again later");
		request->answer.retry_after_s = 1;
	}
	refuse_body(request);
	return false;
}
