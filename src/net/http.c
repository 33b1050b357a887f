/* The client: its options, and when a request is tried again. */
#include "net/http.h"

#include "base/clock.h"
#include "base/duration.h"
#include "net/http_internal.h"

#include <assert.h>
#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Of a path in a message: more tells nobody anything. */
#define SHOWN_BYTES  300
#define REASON_BYTES 200

/* --- the client --- */

static CURLcode global_code;

static void init_libcurl(void)
{
	global_code = curl.global_init(CURL_GLOBAL_DEFAULT);
}

char *http_origin(const char *url)
{
	CURLU *const parsed = curl.url();
	char *scheme = NULL;
	char *host = NULL;
	char *port = NULL;
	char *user = NULL;
	char *origin = NULL;
	if (parsed && curl.url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK &&
	    curl.url_get(parsed, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
	    (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0) &&
	    curl.url_get(parsed, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
	    curl.url_get(parsed, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
	    curl.url_get(parsed, CURLUPART_USER, &user, 0) != CURLUE_OK)
		origin = text_printf("%s://%s:%s", scheme, host, port);
	for (char *at = origin; at && *at; at++)
		*at = (char)tolower((unsigned char)*at);
	curl.free(scheme);
	curl.free(host);
	curl.free(port);
	curl.free(user);
	curl.url_cleanup(parsed);
	return origin;
}

static int copy_text(const char *from, const char **to)
{
	char *const copy = from ? slice_dup(slice_of(from)) : NULL;
	*to = copy;
	return from && !copy ? -1 : 0;
}

static int check_options(const struct http_options *options, struct error *err)
{
	const curl_version_info_data *const version = curl.version_info(CURLVERSION_NOW);
	const bool named = options->auth == HTTP_AUTH_HEADER || options->auth == HTTP_AUTH_QUERY;
	if (options->auth == HTTP_AUTH_SPNEGO && !(version->features & CURL_VERSION_SPNEGO))
		return error_set(err, ERROR_CONFIG,
				 "%s %s: the libcurl %s of this machine cannot do SPNEGO (Kerberos); "
				 "install one that can, or use a delegation token",
				 options->server, options->url, version->version);
	if (named && (!options->auth_name || !options->auth_value || !options->auth_value[0] ||
		      strpbrk(options->auth_value, "\r\n")))
		return error_set(err, ERROR_CONFIG, "%s %s: the token is empty, or has more than one line",
				 options->server, options->url);
	return 0;
}

static int init_names(struct http *http, const struct http_options *options, struct error *err)
{
	struct slice url = slice_of(options->url);
	while (url.len && url.data[url.len - 1] == '/')
		url.len--;
	http->url = slice_dup(url);
	http->name = http->url ? text_printf("%s %s", options->server, http->url) : NULL;
	if (!http->name || copy_text(options->auth_name, &http->options.auth_name) < 0 ||
	    copy_text(options->ca_file, &http->options.ca_file) < 0 ||
	    copy_text(options->server, &http->options.server) < 0)
		return error_no_memory(err, url.len);
	http->origin = http_origin(http->url);
	if (!http->origin || strpbrk(http->url, "?#"))
		return error_set(err, ERROR_CONFIG,
				 "%s: '%s' is no URL of a server; it should be http://host:port or "
				 "https://host:port, without user, password or query",
				 options->server, options->url);
	return 0;
}

/* Cookies are on from the first that is set; CURLOPT_COOKIEFILE would have to be set again behind each reset, where libcurl 7.88 forgets
 * to free it. */
static void keep_cookies(CURL *easy)
{
	curl.easy_setopt(easy, CURLOPT_COOKIELIST, "Set-Cookie: on=1; domain=punchcard.invalid; path=/");
	curl.easy_setopt(easy, CURLOPT_COOKIELIST, "ALL"); /* removes it */
}

int http_open(const struct http_options *options, struct http **out, struct error *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	const int loaded = curl_load(err);
	if (loaded < 0)
		return loaded;
	pthread_once(&once, init_libcurl);
	if (global_code != CURLE_OK)
		return error_set(err, ERROR_NO_MEMORY, "libcurl: %s", curl.easy_strerror(global_code));
	struct http *const http = calloc(1, sizeof(*http));
	if (!http)
		return error_no_memory(err, sizeof(*http));
	http->options = *options;
	http->options.url = http->options.auth_value = NULL;
	http->options.auth_name = http->options.ca_file = http->options.server = NULL;
	int rc = init_names(http, options, err);
	if (rc == 0)
		rc = check_options(options, err);
	if (rc == 0 && options->auth_value)
		rc = http_set_auth(http, options->auth_value, err);
	if (rc == 0) {
		http->easy = curl.easy_init();
		http->multi = curl.multi_init();
		if (!http->easy || !http->multi)
			rc = error_set(err, ERROR_NO_MEMORY, "%s: out of memory", http->name);
		else if (options->auth == HTTP_AUTH_SPNEGO) /* the server's word that it knows us */
			keep_cookies(http->easy);
	}
	if (rc < 0) {
		http_close(http);
		return rc;
	}
	const uint64_t own = (uint64_t)clock_now_us() ^ ((uint64_t)getpid() << 40) ^ (uint64_t)(uintptr_t)http;
	random_init(&http->random, options->seed ? options->seed : random_mix(own));
	*out = http;
	return 0;
}

void http_close(struct http *http)
{
	if (!http)
		return;
	curl.easy_cleanup(http->easy);
	curl.multi_cleanup(http->multi);
	free((void *)(uintptr_t)http->options.auth_name);
	free((void *)(uintptr_t)http->options.ca_file);
	free((void *)(uintptr_t)http->options.server);
	free(http->url);
	free(http->origin);
	free(http->name);
	free(http->auth_line);
	free(http);
}

int http_set_auth(struct http *http, const char *auth_value, struct error *err)
{
	_cleanup_buf_ struct buf line = {0};
	int rc = 0;
	if (http->options.auth == HTTP_AUTH_QUERY) {
		rc = buf_printf(&line, "%s=", http->options.auth_name);
		if (rc == 0)
			rc = http_encode(&line, slice_of(auth_value), "");
	} else if (http->options.auth == HTTP_AUTH_HEADER) {
		rc = buf_printf(&line, "%s: %s", http->options.auth_name, auth_value);
	}
	if (rc < 0 || !buf_text(&line))
		return error_no_memory(err, strlen(auth_value));
	free(http->auth_line);
	http->auth_line = line.data;
	line = (struct buf){0};
	return 0;
}

void http_set_retry(struct http *http, struct http_retry retry)
{
	http->options.retry = retry;
}

const char *http_name(const struct http *http)
{
	return http->name;
}

void http_interrupt(struct http *http)
{
	atomic_store(&http->interrupted, true);
	curl.multi_wakeup(http->multi);
}

static _Atomic int64_t hurry_since_us;
static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "handlers of signals may use atomics that have no locks");

void http_hurry_all(bool hurry)
{
	atomic_store(&hurry_since_us, hurry ? clock_monotonic_us() : 0);
}

int64_t http_hurry_since_us(void)
{
	return atomic_load(&hurry_since_us);
}

int http_encode(struct buf *out, struct slice bytes, const char *keep)
{
	static const char digits[] = "0123456789ABCDEF";
	if (buf_reserve(out, 3 * bytes.len) < 0)
		return ERROR_NO_MEMORY;
	for (size_t i = 0; i < bytes.len; i++) {
		const unsigned char c = (unsigned char)bytes.data[i];
		const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
				   (c && strchr("-._~", c)) || (c && strchr(keep, c));
		if (plain) {
			out->data[out->len++] = (char)c;
		} else {
			out->data[out->len++] = '%';
			out->data[out->len++] = digits[c >> 4];
			out->data[out->len++] = digits[c & 15];
		}
	}
	return 0;
}

/* --- answers --- */

static void empty_answer(struct http_answer *answer)
{
	struct buf body = answer->body;
	buf_clear(&body);
	free(answer->location);
	*answer = (struct http_answer){.body = body};
}

void http_answer_release(struct http_answer *answer)
{
	if (!answer)
		return;
	buf_release(&answer->body);
	free(answer->location);
	*answer = (struct http_answer){0};
}

/* --- asking, and asking again --- */

/* What stays the same over the tries of one request. */
struct asking {
	struct http *http;
	const struct http_request *request;
	struct http_answer *answer;
	int64_t begin_us;
	unsigned tries;
	bool whole_url;
	bool own_origin;
	bool doubtful;
};

static const char *method_name(enum http_method method)
{
	static const char *const names[] = {"GET", "PUT", "POST", "DELETE", "HEAD"};
	return names[method];
}

/* Puts where it happened before what happened, and behind it how often. Returns code. */
static int say_where(const struct asking *asking, int code, const struct error *what, struct error *err)
{
	const char *const path = asking->request->path;
	const size_t shown = asking->whole_url ? strcspn(path, "?") : strlen(path);
	const int len = (int)(shown < SHOWN_BYTES ? shown : SHOWN_BYTES);
	char took[DURATION_TEXT_MAX];
	char tried[64 + DURATION_TEXT_MAX] = "";
	if (asking->tries > 1)
		snprintf(tried, sizeof(tried), " (tried %u times in %s)", asking->tries,
			 duration_text(clock_monotonic_us() - asking->begin_us, took));
	return error_set(err, code, "%s: %s %.*s: %s%s", asking->http->name, method_name(asking->request->method), len,
			 path, what->message, tried);
}

static enum http_verdict judge_status(const struct http_answer *answer, struct error *err)
{
	switch (answer->status) {
	case 429:
	case 502:
	case 503:
	case 504:
		error_set(err, ERROR_AWAY, "answered %d: %.*s", answer->status, (int)strcspn(answer->body.data, "\r\n"),
			  answer->body.len < REASON_BYTES ? answer->body.data : "");
		return HTTP_AGAIN;
	default:
		return HTTP_TAKE;
	}
}

static enum http_verdict judge(const struct asking *asking, struct error *err)
{
	const struct http_request *const request = asking->request;
	return request->judge ? request->judge(request->judge_context, asking->answer, err)
			      : judge_status(asking->answer, err);
}

/* The whole URL of a request, with the credentials that go into it. */
static int make_url(const struct asking *asking, struct buf *url, struct error *err)
{
	const struct http *const http = asking->http;
	const char *const path = asking->request->path;
	int rc = asking->whole_url ? 0 : buf_append_text(url, http->url);
	if (rc == 0)
		rc = buf_append_text(url, path);
	if (rc == 0 && !asking->whole_url && http->options.auth == HTTP_AUTH_QUERY)
		rc = buf_printf(url, "%c%s", strchr(path, '?') ? '&' : '?', http->auth_line);
	return rc < 0 || !buf_text(url) ? error_no_memory(err, url->len) : 0;
}

/* Whether the request may be sent once more, given how the try before ended. */
static bool may_go_again(const struct asking *asking, const struct http_try *try, enum http_end end)
{
	if (end == HTTP_BROKEN && asking->answer->written > 0)
		return false;
	return !asking->request->once || !try->sent;
}

/* How long to wait behind the n-th try of something that began then; -1: the time is over. */
static int64_t pause_us(struct http *http, int64_t begin_us, unsigned tries, int64_t asked_us)
{
	const struct http_retry *const retry = &http->options.retry;
	const int64_t left_us = (int64_t)retry->limit_ms * 1000 - (clock_monotonic_us() - begin_us);
	const unsigned doublings = tries - 1 < 20 ? tries - 1 : 20;
	int64_t pause = ((int64_t)retry->first_ms * 1000) << doublings;
	if (pause > (int64_t)retry->most_ms * 1000)
		pause = (int64_t)retry->most_ms * 1000;
	pause -= (int64_t)random_below(&http->random, (uint64_t)pause / 2 + 1);
	if (left_us <= 0 || asked_us > left_us || http_hurry_since_us())
		return -1;
	if (pause < asked_us)
		pause = asked_us;
	return pause < left_us ? pause : left_us;
}

static int wait_for(struct http *http, int64_t us, struct error *err)
{
	const int64_t end_us = clock_monotonic_us() + us;
	for (;;) {
		const int64_t left_us = end_us - clock_monotonic_us();
		if (http_stopped(http))
			return error_set(err, ERROR_INTERRUPTED, "interrupted while waiting to try again");
		if (http_hurry_since_us())
			return ERROR_AWAY;
		if (left_us <= 0)
			return 0;
		curl.multi_poll(http->multi, NULL, 0, left_us < 100000 ? (int)(left_us / 1000 + 1) : 100, NULL);
	}
}

int http_pause(struct http *http, struct http_patience *patience, struct error *err)
{
	if (!patience->begin_us)
		patience->begin_us = clock_monotonic_us();
	patience->tries++;
	const int64_t pause = pause_us(http, patience->begin_us, patience->tries, 0);
	if (pause >= 0)
		return wait_for(http, pause, err);
	if (err && patience->tries > 1) {
		char took[DURATION_TEXT_MAX];
		const size_t used = strlen(err->message);
		snprintf(err->message + used, sizeof(err->message) - used, " (tried %u times in %s)", patience->tries,
			 duration_text(clock_monotonic_us() - patience->begin_us, took));
	}
	return ERROR_AWAY;
}

/* One try and its judgement: 1 to go on, 0 done, or the code of *what. */
static int ask_once(struct asking *asking, struct error *what)
{
	_cleanup_buf_ struct buf url = {0};
	struct http_answer *const answer = asking->answer;
	empty_answer(answer);
	answer->tries = ++asking->tries;
	int rc = make_url(asking, &url, what);
	if (rc < 0)
		return rc;
	struct http_try try = {.http = asking->http,
			       .request = asking->request,
			       .answer = answer,
			       .err = what,
			       .url = buf_text(&url),
			       .own_origin = asking->own_origin};
	const enum http_end end = http_try(&try);
	/* Repeated by libcurl: an earlier sending went without an answer, whatever came of this one. */
	asking->doubtful = asking->doubtful || try.repeated;
	answer->doubtful = asking->doubtful;
	if (end == HTTP_STOPPED)
		return what->code;
	if (end == HTTP_ANSWERED) {
		switch (judge(asking, what)) {
		case HTTP_TAKE:
			return 0;
		case HTTP_FAIL:
			return what->code;
		case HTTP_AGAIN: /* a gateway may say so of what its server has done */
			asking->doubtful = asking->doubtful || answer->status >= 500;
			break;
		}
	} else if (try.sent) {
		asking->doubtful = true;
	}
	if (!may_go_again(asking, &try, end)) {
		answer->doubtful = asking->doubtful;
		return ERROR_AWAY;
	}
	return 1;
}

int http_ask(struct http *http, const struct http_request *request, struct http_answer *answer, struct error *err)
{
	const bool whole_url = request->path[0] != '/';
	char *const origin = whole_url ? http_origin(request->path) : NULL;
	struct asking asking = {.http = http,
				.request = request,
				.answer = answer,
				.whole_url = whole_url,
				.begin_us = clock_monotonic_us(),
				.own_origin = !whole_url || (origin && strcmp(origin, http->origin) == 0)};
	struct error what = {0};
	int rc = 0;
	empty_answer(answer);
	if (whole_url && !origin)
		rc = error_set(&what, ERROR_CONFIG, "no URL of a server");
	free(origin);
	if (rc == 0 && http_stopped(http))
		rc = error_set(&what, ERROR_INTERRUPTED, "interrupted");
	while (rc == 0) {
		rc = ask_once(&asking, &what);
		if (rc == 0)
			return 0;
		if (rc < 0)
			break;
		const int64_t pause = pause_us(http, asking.begin_us, asking.tries, answer->retry_after_ms * 1000);
		rc = pause < 0 || request->single ? ERROR_AWAY : wait_for(http, pause, &what);
		answer->doubtful = asking.doubtful;
	}
	return say_where(&asking, rc, &what, err);
}
