/* One try of a request: what libcurl is told, what it tells, and how long anything may take. */
#include "base/clock.h"
#include "base/duration.h"
#include "net/http_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* What a server may ask for. */
#define RETRY_AFTER_MOST_S 86400

/* How often the stop flag and the limits are looked at. */
#define LOOK_MS 100
/* What is handed to the system at a time: large, for files. */
#define SEND_BUFFER_BYTES    (256l * 1024)
#define RECEIVE_BUFFER_BYTES (256l * 1024)

bool http_stopped(const struct http *http)
{
	return atomic_load(&http->interrupted) || (http->options.stop && atomic_load(http->options.stop));
}

/* --- what libcurl calls --- */

/* NOLINTNEXTLINE(readability-non-const-parameter): libcurl's type */
static int on_connected(void *context, char *from, char *to, int from_port, int to_port)
{
	struct http_try *const try = context;
	(void)from, (void)to, (void)from_port, (void)to_port;
	try->connected = true;
	try->last_us = clock_monotonic_us();
	if (try->unanswered) { /* a kept connection had gone, and libcurl begins again by itself */
		try->repeated = true;
		if (try->request->once)
			return CURL_PREREQFUNC_ABORT;
	}
	try->sent = true;
	try->unanswered = true;
	return CURL_PREREQFUNC_OK;
}

/* The value of a header in a line of this name, or an empty slice. */
static struct slice header_value(struct slice line, const char *name)
{
	const size_t len = strlen(name);
	if (line.len <= len || strncasecmp(line.data, name, len) != 0 || line.data[len] != ':')
		return (struct slice){NULL, 0};
	struct slice value = {line.data + len + 1, line.len - len - 1};
	while (value.len && (value.data[value.len - 1] == '\n' || value.data[value.len - 1] == '\r'))
		value.len--;
	return slice_trim(value);
}

/* NOLINTNEXTLINE(readability-non-const-parameter): libcurl's type */
static size_t on_header(char *data, size_t size, size_t n, void *context)
{
	struct http_try *const try = context;
	struct http_answer *const answer = try->answer;
	const struct slice line = {data, size * n};
	try->last_us = clock_monotonic_us();
	if (line.len > 5 && strncasecmp(line.data, "HTTP/", 5) == 0) { /* of the next answer, where one went before */
		try->unanswered = false;
		try->whole_head = false;
		answer->content_type[0] = '\0';
		answer->date_s = 0;
		free(try->location);
		try->location = NULL;
		return line.len;
	}
	if (line.len && (line.data[0] == '\r' || line.data[0] == '\n'))
		try->whole_head = true;
	struct slice value = header_value(line, "Content-Type");
	if (value.data)
		snprintf(answer->content_type, sizeof(answer->content_type), "%.*s", (int)value.len, value.data);
	value = header_value(line, "Date");
	char date[64];
	if (value.data && value.len < sizeof(date)) {
		snprintf(date, sizeof(date), "%.*s", (int)value.len, value.data);
		const time_t at = curl.getdate(date, NULL);
		answer->date_s = at < 0 ? 0 : (int64_t)at;
	}
	value = header_value(line, "Location");
	if (value.data) {
		free(try->location);
		try->location = slice_dup(value);
	}
	return line.len;
}

static bool is_good(const struct http_try *try)
{
	long status = 0;
	curl.easy_getinfo(try->http->easy, CURLINFO_RESPONSE_CODE, &status);
	return status / 100 == 2;
}

static size_t on_body(char *data, size_t size, size_t n, void *context)
{
	struct http_try *const try = context;
	struct http_answer *const answer = try->answer;
	const size_t len = size * n;
	if (try->request->write && is_good(try)) {
		try->code = try->request->write(try->request->write_context, answer->written, data, len, try->err);
		if (try->code < 0)
			return CURL_WRITEFUNC_ERROR;
		answer->written += len;
	} else if (len > try->http->options.answer_bytes - answer->body.len) {
		try->code = error_set(try->err, ERROR_LIMIT, "the answer has more than %zu bytes",
				      try->http->options.answer_bytes);
		return CURL_WRITEFUNC_ERROR;
	} else if (buf_append(&answer->body, data, len) < 0) {
		try->code = error_no_memory(try->err, len);
		return CURL_WRITEFUNC_ERROR;
	}
	try->last_us = clock_monotonic_us(); /* behind the caller's work, which is no silence of the server's */
	return len;
}

static size_t on_read(char *out, size_t size, size_t n, void *context)
{
	struct http_try *const try = context;
	const struct http_request *const request = try->request;
	const uint64_t left = (request->read ? request->body_bytes : request->body.len) - try->offset;
	const size_t room = size * n < left ? size * n : (size_t)left;
	int64_t got = (int64_t)room;
	if (room == 0)
		return 0;
	if (!request->read) {
		memcpy(out, request->body.data + try->offset, room);
	} else {
		got = request->read(request->read_context, try->offset, out, room, try->err);
		if (got == 0)
			got = error_set(try->err, ERROR_INPUT, "what is sent has %llu bytes instead of %llu",
					(unsigned long long)try->offset, (unsigned long long)request->body_bytes);
		if (got < 0) {
			try->code = (int)got;
			return CURL_READFUNC_ABORT;
		}
	}
	try->offset += (uint64_t)got;
	try->last_us = clock_monotonic_us();
	return (size_t)got;
}

static int on_seek(void *context, curl_off_t offset, int origin)
{
	struct http_try *const try = context;
	if (origin != SEEK_SET)
		return CURL_SEEKFUNC_CANTSEEK;
	try->offset = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

/* --- what libcurl is told --- */

static int add_header(struct curl_slist **list, const char *line)
{
	struct curl_slist *const longer = curl.slist_append(*list, line);
	if (!longer)
		return -1;
	*list = longer;
	return 0;
}

static int make_headers(const struct http_try *try, struct curl_slist **list)
{
	/* Not "Expect: 100-continue": it costs a round trip, and a second where the server does not know it. */
	if (add_header(list, "Expect:") < 0)
		return -1;
	if (try->own_origin && try->http->options.auth == HTTP_AUTH_HEADER &&
	    add_header(list, try->http->auth_line) < 0)
		return -1;
	for (const char *const *line = try->request->headers; line && *line; line++)
		if (add_header(list, *line) < 0)
			return -1;
	return 0;
}

static void set_method(CURL *easy, const struct http_request *request)
{
	switch (request->method) {
	case HTTP_GET:
		curl.easy_setopt(easy, CURLOPT_HTTPGET, 1l);
		break;
	case HTTP_HEAD:
		curl.easy_setopt(easy, CURLOPT_NOBODY, 1l);
		break;
	case HTTP_DELETE:
		curl.easy_setopt(easy, CURLOPT_CUSTOMREQUEST, "DELETE");
		break;
	case HTTP_POST:
	case HTTP_PUT:
		curl.easy_setopt(easy, CURLOPT_UPLOAD, 1l);
		curl.easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method == HTTP_PUT ? "PUT" : "POST");
		curl.easy_setopt(easy, CURLOPT_INFILESIZE_LARGE,
				 (curl_off_t)(request->read ? request->body_bytes : request->body.len));
		break;
	}
}

static void set_options(struct http_try *try, struct curl_slist *headers)
{
	CURL *const easy = try->http->easy;
	const struct http_options *const options = &try->http->options;
	curl.easy_reset(easy); /* keeps connections and cookies */
	curl.easy_setopt(easy, CURLOPT_URL, try->url);
	set_method(easy, try->request);
	curl.easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	curl.easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl.easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl.easy_setopt(easy, CURLOPT_USERAGENT, "punchcard");
	curl.easy_setopt(easy, CURLOPT_PROXY, "");
	curl.easy_setopt(easy, CURLOPT_NOSIGNAL, 1l);
	curl.easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1l);
	curl.easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)options->connect_ms);
	curl.easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, SEND_BUFFER_BYTES);
	curl.easy_setopt(easy, CURLOPT_BUFFERSIZE, RECEIVE_BUFFER_BYTES);
	curl.easy_setopt(easy, CURLOPT_ERRORBUFFER, try->reason);
	if (options->ca_file)
		curl.easy_setopt(easy, CURLOPT_CAINFO, options->ca_file);
	if (options->auth == HTTP_AUTH_SPNEGO && try->own_origin) {
		curl.easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_NEGOTIATE);
		curl.easy_setopt(easy, CURLOPT_USERPWD, ":");
	}
	curl.easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_connected);
	curl.easy_setopt(easy, CURLOPT_PREREQDATA, try);
	curl.easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl.easy_setopt(easy, CURLOPT_HEADERDATA, try);
	curl.easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl.easy_setopt(easy, CURLOPT_WRITEDATA, try);
	curl.easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
	curl.easy_setopt(easy, CURLOPT_READDATA, try);
	curl.easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
	curl.easy_setopt(easy, CURLOPT_SEEKDATA, try);
}

/* --- the try --- */

/* What ends it from our side; HTTP_ANSWERED: nothing does. */
static enum http_end check_limits(const struct http_try *try)
{
	const struct http_options *const options = &try->http->options;
	const uint32_t silence_ms = try->request->silence_ms ? try->request->silence_ms : options->silence_ms;
	const uint32_t total_ms = try->request->total_ms ? try->request->total_ms : options->total_ms;
	const int64_t now_us = clock_monotonic_us();
	char took[DURATION_TEXT_MAX];
	if (http_stopped(try->http)) {
		error_set(try->err, ERROR_INTERRUPTED, "interrupted");
		return HTTP_STOPPED;
	}
	if (try->connected && silence_ms && now_us - try->last_us > (int64_t)silence_ms * 1000) {
		error_set(try->err, ERROR_AWAY, "no byte for %s", duration_text(now_us - try->last_us, took));
		return HTTP_BROKEN;
	}
	const int64_t hurry_us = http_hurry_since_us();
	const int64_t quiet_us = now_us - (hurry_us > try->last_us ? hurry_us : try->last_us);
	if (hurry_us && quiet_us > HTTP_HURRY_MS * INT64_C(1000)) {
		error_set(try->err, ERROR_AWAY, "no byte for %s", duration_text(now_us - try->last_us, took));
		return HTTP_BROKEN;
	}
	if (total_ms && now_us - try->begin_us > (int64_t)total_ms * 1000) {
		error_set(try->err, ERROR_AWAY, "not done after %s", duration_text(now_us - try->begin_us, took));
		return HTTP_BROKEN;
	}
	return HTTP_ANSWERED;
}

static enum http_end end_of(struct http_try *try, CURLcode code)
{
	const char *const reason = try->reason[0] ? try->reason : curl.easy_strerror(code);
	if (code == CURLE_OK && !try->whole_head) {
		/* libcurl takes a connection's end there for the answer's. */
		error_set(try->err, ERROR_AWAY, "the connection was lost in the head of the answer");
		return HTTP_BROKEN;
	}
	if (code == CURLE_OK)
		return HTTP_ANSWERED;
	if (try->code < 0)
		return HTTP_STOPPED;
	switch (code) {
	case CURLE_OUT_OF_MEMORY:
		error_set(try->err, ERROR_NO_MEMORY, "out of memory");
		return HTTP_STOPPED;
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
		error_set(try->err, ERROR_CONFIG, "%s", reason);
		return HTTP_STOPPED;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
		error_set(try->err, ERROR_CONFIG,
			  "%s; is the server's authority among the system's (update-ca-certificates)?", reason);
		return HTTP_STOPPED;
	case CURLE_AUTH_ERROR:
	case CURLE_LOGIN_DENIED:
		error_set(try->err, ERROR_DENIED, "%s", reason);
		return HTTP_STOPPED;
	case CURLE_ABORTED_BY_CALLBACK:
		error_set(try->err, ERROR_AWAY, "the connection was lost before an answer came");
		return HTTP_BROKEN;
	default:
		error_set(try->err, ERROR_AWAY, "%s", reason);
		return HTTP_BROKEN;
	}
}

static enum http_end run(struct http_try *try)
{
	CURLM *const multi = try->http->multi;
	for (;;) {
		int running = 0;
		int queued = 0;
		const CURLMcode rc = curl.multi_perform(multi, &running);
		const CURLMsg *const message = curl.multi_info_read(multi, &queued);
		if (message && message->msg == CURLMSG_DONE)
			return end_of(try, message->data.result);
		if (rc != CURLM_OK || !running) {
			error_set(try->err, ERROR_AWAY, "%s", curl.multi_strerror(rc));
			return HTTP_BROKEN;
		}
		const enum http_end end = check_limits(try);
		if (end != HTTP_ANSWERED)
			return end;
		curl.multi_poll(multi, NULL, 0, LOOK_MS, NULL);
	}
}

/* Relative to what was asked; a location that is no URL is none. */
static void resolve_location(struct http_try *try)
{
	CURLU *const url = try->location ? curl.url() : NULL;
	char *whole = NULL;
	if (url && curl.url_set(url, CURLUPART_URL, try->url, 0) == CURLUE_OK &&
	    curl.url_set(url, CURLUPART_URL, try->location, 0) == CURLUE_OK &&
	    curl.url_get(url, CURLUPART_URL, &whole, 0) == CURLUE_OK)
		try->answer->location = slice_dup(slice_of(whole));
	curl.free(whole);
	curl.url_cleanup(url);
}

static void take_facts(struct http_try *try)
{
	struct http_answer *const answer = try->answer;
	long status = 0;
	curl_off_t after_s = 0;
	curl.easy_getinfo(try->http->easy, CURLINFO_RESPONSE_CODE, &status);
	curl.easy_getinfo(try->http->easy, CURLINFO_RETRY_AFTER, &after_s);
	answer->status = (int)status;
	if (after_s > RETRY_AFTER_MOST_S)
		after_s = RETRY_AFTER_MOST_S;
	answer->retry_after_ms = after_s > 0 ? (int64_t)after_s * 1000 : 0;
	resolve_location(try);
}

enum http_end http_try(struct http_try *try)
{
	struct curl_slist *headers = NULL;
	enum http_end end = HTTP_STOPPED;
	try->begin_us = try->last_us = clock_monotonic_us();
	if (make_headers(try, &headers) < 0) {
		error_set(try->err, ERROR_NO_MEMORY, "out of memory");
	} else {
		set_options(try, headers);
		curl.multi_add_handle(try->http->multi, try->http->easy);
		end = run(try);
		take_facts(try);
		curl.multi_remove_handle(try->http->multi, try->http->easy);
	}
	curl.slist_free_all(headers);
	free(try->location);
	try->location = NULL;
	if (end == HTTP_ANSWERED && !buf_text(&try->answer->body)) {
		error_set(try->err, ERROR_NO_MEMORY, "out of memory");
		end = HTTP_STOPPED;
	}
	return end;
}
