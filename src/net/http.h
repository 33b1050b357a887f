/*
 * Asking one server by HTTP(S): a client for as long as the server is used, over connections that are kept.
 *
 *     struct http *http = NULL;
 *     struct http_options options = HTTP_OPTIONS_DEFAULT;
 *     options.server = "HBase";
 *     options.url = "http://rest:8080";
 *     if (http_open(&options, &http, err) < 0) …
 *     struct http_answer answer = {0};
 *     const struct http_request request = {.method = HTTP_GET, .path = "/accounts/schema",
 *                                          .headers = (const char *[]){"Accept: application/json", NULL}};
 *     if (http_ask(http, &request, &answer, err) < 0) …      // no answer, however often it was tried
 *     if (answer.status == 200) …answer.body…
 *     http_answer_release(&answer);
 *     http_close(http);
 *
 * What one call does: sends the request, and again after a pause, as long as nothing comes (no connection, a time-out, half an
 * answer, a connection that broke) or the caller's `judge` says that what came is worth another try; until `retry.limit_ms` are
 * over. Pauses double from `first_ms` to `most_ms`, each less a random part of up to half, so that many clients do not come back
 * in step; what the server asks for (Retry-After) is the least. With limit_ms 0 there is one try.
 *
 * **A request that was sent may have been done, although its answer never came.** So a request that is tried again must be one
 * that may be done twice; `answer.doubtful` tells that an earlier try may have been done, for what can then be looked up. A
 * request with `once` is sent at most once: it is tried again only while it surely did not leave (nobody listens there), and
 * libcurl's own silent repetition on a kept connection that had gone is stopped, too.
 *
 * Redirects are not followed: the answer has the `location`. Credentials go to the base URL's own origin (scheme, host, port)
 * alone, never to another that `path` may name. Proxies of the environment are not used: servers of a cluster are near.
 * Certificates of https servers are verified always.
 *
 * Errors: ERROR_AWAY no answer within the limits, or judged to come later; ERROR_DENIED no credentials could be made;
 * ERROR_LIMIT the answer is over its limit; ERROR_INTERRUPTED stopped; ERROR_CONFIG a URL or option that cannot work;
 * ERROR_NO_MEMORY; and what callbacks return. Messages begin "<server> <base URL>: <METHOD> <path>: ", never contain
 * credentials, and of another origin's URL nothing behind its "?".
 *
 * Threads: a client belongs to one thread at a time; http_interrupt may be called by any.
 */
#ifndef PUNCHCARD_NET_HTTP_H
#define PUNCHCARD_NET_HTTP_H

#include "base/buf.h"
#include "base/error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http;

enum http_auth {
	HTTP_AUTH_NONE,
	HTTP_AUTH_SPNEGO, /* Kerberos: the ticket of the process's credential cache (kinit, KRB5CCNAME, a client keytab) */
	HTTP_AUTH_HEADER, /* a header of each request, "<auth_name>: <auth_value>" */
	/* A parameter "<auth_name>=<auth_value>", percent-encoded by the client, of each request by path; a whole URL stays as it is. */
	HTTP_AUTH_QUERY,
};

struct http_retry {
	uint32_t limit_ms; /* from the first try's begin to the last one's; 0: one try */
	uint32_t first_ms;
	uint32_t most_ms;
};

struct http_options {
	const char *server; /* what messages call the server: "HDFS" */
	const char *url;    /* http[s]://host[:port][/path]; a slash at its end does not count */
	enum http_auth auth;
	const char *auth_name;
	const char *auth_value;
	const char *ca_file; /* certificates of authorities in PEM, for https; NULL: the system's */
	uint32_t connect_ms; /* to be connected, with TLS */
	uint32_t silence_ms; /* longest time without a byte in either direction: also the wait for an answer's first */
	uint32_t total_ms;   /* one try as a whole; 0: no limit but silence_ms */
	size_t answer_bytes; /* largest answer in memory */
	struct http_retry retry;
	/* Looked at ten times a second in every wait; true ends the call with ERROR_INTERRUPTED. NULL: none. Lives as long as the
	 * client. */
	const atomic_bool *stop;
	uint64_t seed; /* of the pauses' randomness; 0: the process's own */
};

/* Starting values that suit a server in the same data centre. */
#define HTTP_OPTIONS_DEFAULT                                                                           \
	{                                                                                              \
		.server = "server", .connect_ms = 5000, .silence_ms = 60000, .answer_bytes = 64 << 20, \
		.retry = {.limit_ms = 60000, .first_ms = 200, .most_ms = 10000},                       \
	}

enum http_method { HTTP_GET, HTTP_PUT, HTTP_POST, HTTP_DELETE, HTTP_HEAD };

struct http_answer {
	int status;
	char content_type[96]; /* as sent, with its parameters, cut; "" when there is none */
	struct buf body;       /* ends with a NUL that is not counted; empty when `write` took it */
	uint64_t written;      /* bytes that `write` took, in this try */
	char *location;        /* where a 3xx or 201 points, absolute; NULL: nowhere */
	int64_t date_s;        /* the server's clock by its Date header, UTC seconds; 0: not told */
	int64_t retry_after_ms;
	unsigned tries; /* how often it was tried, this one included */
	bool doubtful;  /* an earlier try was sent, got no answer, and may have been done */
};

enum http_verdict {
	HTTP_TAKE,  /* http_ask returns 0 */
	HTTP_AGAIN, /* try again; when the time is over: ERROR_AWAY, with the message that judge set */
	HTTP_FAIL,  /* http_ask returns the error that judge set */
};

/* Called for each whole answer, of whatever status. Sets err for HTTP_AGAIN and HTTP_FAIL: what the server says; where it is said
 * stands before it already. */
typedef enum http_verdict http_judge_fn(void *context, const struct http_answer *answer, struct error *err);
/* Gives up to `size` bytes of the body from `offset` on; may go back when it is tried again. Returns how many (0 only at the end), or
 * a negative code, which ends the call. */
typedef int64_t http_read_fn(void *context, uint64_t offset, void *out, size_t size, struct error *err);
/* Takes bytes of the body of a 2xx answer, offset counting from 0. 0, or a negative code, which ends the call. */
typedef int http_write_fn(void *context, uint64_t offset, const void *data, size_t len, struct error *err);

struct http_request {
	enum http_method method;
	/* Behind the base URL, from "/" on, percent-encoded, with its query; or a whole URL (http:// or https://). */
	const char *path;
	const char *const *headers; /* "Name: value", ends with NULL; may be NULL */
	/* The body: bytes, or what `read` gives, body_bytes altogether. PUT and POST alone have one, empty unless given. */
	struct slice body;
	http_read_fn *read;
	void *read_context;
	uint64_t body_bytes;
	/* Where the body of a 2xx answer goes instead of answer.body. Once it took a byte the request is not tried again by itself:
	 * ERROR_AWAY, and answer.written tells from where on to ask. */
	http_write_fn *write;
	void *write_context;
	/* NULL: every answer is taken but 429, 502, 503 and 504, which are tried again. */
	http_judge_fn *judge;
	void *judge_context;
	bool once;
	bool single; /* one try, whatever the client's limits: who asks tries again by himself, with http_pause */
	/* Instead of the client's; 0: the client's. */
	uint32_t silence_ms;
	uint32_t total_ms;
};

/* Makes a client; nothing is sent. ERROR_CONFIG: the URL is none, or libcurl cannot do what is asked for. Copies the options. The caller
 * closes *out. */
int http_open(const struct http_options *options, struct http **out, struct error *err);
/* NULL is fine. */
void http_close(struct http *http);

/* Asks. *answer is emptied first, keeps its memory, and is filled as far as it came, also on an error; the caller releases it. */
int http_ask(struct http *http, const struct http_request *request, struct http_answer *answer, struct error *err);
/* NULL and an all-zero answer are fine. */
void http_answer_release(struct http_answer *answer);
#define _cleanup_http_answer_ __attribute__((cleanup(http_answer_release)))

/* A new value for HTTP_AUTH_HEADER and HTTP_AUTH_QUERY, from the next request on: tokens run out. May be called in `judge`, and then
 * holds for the next try. */
int http_set_auth(struct http *http, const char *auth_value, struct error *err);
/* Other limits of trying again from the next request on. */
void http_set_retry(struct http *http, struct http_retry retry);
/* What messages begin with: "<server> <base URL>". */
const char *http_name(const struct http *http);

/* Ends the call that runs, and every later one, with ERROR_INTERRUPTED, at once. Thread: any. */
void http_interrupt(struct http *http);

/* For a process that is told to end, and has something to bring to its end first: from now on no client waits for a server that is
 * silent for longer than HTTP_HURRY_MS, nor tries anything again, which is ERROR_AWAY as usual; what answers is asked as before. `false`:
 * no more. Thread: any; may be called in a signal's handler. */
#define HTTP_HURRY_MS 2000
void http_hurry_all(bool hurry);

/* For who tries something of several requests again: waits as http_ask would between two tries.
 *
 *     struct http_patience patience = {0};
 *     do
 *             rc = …several requests, each `single`…;
 *     while (rc == ERROR_AWAY && (rc = http_pause(http, &patience, err)) == 0);
 *
 * Called behind a failed try, whose error is in err. 0: try again. ERROR_AWAY: the time is over; how often it was tried then stands
 * behind err's message. ERROR_INTERRUPTED. */
struct http_patience {
	int64_t begin_us; /* 0 before the first call: the time runs from then on */
	unsigned tries;
};
int http_pause(struct http *http, struct http_patience *patience, struct error *err);

/* Appends bytes as part of a URL: letters, digits, "-", ".", "_", "~" and the characters in `keep` as they are, all others as %XX. 0 or
 * ERROR_NO_MEMORY. */
int http_encode(struct buf *out, struct slice bytes, const char *keep);

#endif
