/* The HTTP client beside a server that does what a script says. */
#include "net/http.h"

#include "script_server.h"

#include "base/clock.h"

static struct script_server server;
static struct http_answer answer;
static struct error err;

#define START(...)                                                      \
	static const struct script_step script_steps[] = {__VA_ARGS__}; \
	script_start(&server, script_steps, sizeof(script_steps) / sizeof(*script_steps))

static struct http *client_with(struct http_options options)
{
	struct http *http = NULL;
	options.server = "Test";
	if (!options.url)
		options.url = server.url;
	assert_int_equal(http_open(&options, &http, &err), 0);
	return http;
}

/* Short limits, so that tests are short. */
static struct http_options quick(void)
{
	return (struct http_options){.connect_ms = 2000,
				     .silence_ms = 5000,
				     .answer_bytes = 1000,
				     .seed = 7,
				     .retry = {.limit_ms = 5000, .first_ms = 1, .most_ms = 10}};
}

static int ask(struct http *http, enum http_method method, const char *path)
{
	memset(&err, 0, sizeof(err));
	return http_ask(http, &(struct http_request){.method = method, .path = path}, &answer, &err);
}

static void end(struct http *http)
{
	http_close(http);
	script_stop(&server);
	script_forget(&server);
	http_answer_release(&answer);
}

static void expect_head(unsigned i, const char *begin)
{
	assert_true(i < server.n_requests);
	assert_memory_equal(server.requests[i].head, begin, strlen(begin));
}

/* An answer that ends within its head is none, whatever its status says. */
static void test_half_a_head(void **state)
{
	(void)state;
	START({.what = SCRIPT_HALF_HEAD, .status = 200, .headers = "Location: /somewhere\r\n"},
	      {.what = SCRIPT_HALF_HEAD, .status = 204}, {.status = 200, .body = "whole"});
	struct http *const http = client_with(quick());
	assert_int_equal(ask(http, HTTP_GET, "/a"), 0);
	assert_string_equal(answer.body.data, "whole");
	assert_int_equal(answer.tries, 3);
	assert_true(answer.doubtful);
	end(http);
}

static void test_answer(void **state)
{
	(void)state;
	START({.status = 200,
	       .headers = "Content-Type: application/json;charset=utf-8\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
	       .body = "{\"a\":1}"},
	      {.status = 307, .headers = "Location: /b?x=1\r\n"}, {.status = 404, .body = "no"});
	struct http *const http = client_with(quick());
	assert_int_equal(ask(http, HTTP_GET, "/a?op=X"), 0);
	assert_int_equal(answer.status, 200);
	assert_string_equal(answer.body.data, "{\"a\":1}");
	assert_string_equal(answer.content_type, "application/json;charset=utf-8");
	assert_int_equal(answer.date_s, 784111777);
	assert_null(answer.location);
	assert_int_equal(ask(http, HTTP_PUT, "/a"), 0);
	assert_int_equal(answer.status, 307);
	assert_string_equal(answer.content_type, "");
	assert_memory_equal(answer.location, server.url, strlen(server.url));
	assert_string_equal(answer.location + strlen(server.url), "/b?x=1");
	assert_int_equal(ask(http, HTTP_DELETE, "/a"), 0);
	assert_int_equal(answer.status, 404);
	assert_string_equal(answer.body.data, "no");
	expect_head(0, "GET /a?op=X HTTP/1.1\r\n");
	expect_head(1, "PUT /a HTTP/1.1\r\n");
	assert_non_null(strstr(server.requests[1].head, "Content-Length: 0\r\n"));
	expect_head(2, "DELETE /a HTTP/1.1\r\n");
	assert_int_equal(server.n_connections, 1);
	end(http);
}

static void test_base_path_and_whole_url(void **state)
{
	(void)state;
	START({.status = 200});
	struct http_options options = quick();
	char base[96];
	snprintf(base, sizeof(base), "%s/gateway/", server.url);
	options.url = base;
	struct http *const http = client_with(options);
	assert_int_equal(ask(http, HTTP_GET, "/t"), 0);
	char whole[96];
	snprintf(whole, sizeof(whole), "%s/u", server.url);
	assert_int_equal(ask(http, HTTP_GET, whole), 0);
	expect_head(0, "GET /gateway/t HTTP");
	expect_head(1, "GET /u HTTP");
	end(http);
}

static int64_t read_letters(void *context, uint64_t offset, void *out, size_t size, struct error *problem)
{
	const uint64_t limit = *(const uint64_t *)context;
	(void)problem;
	if (size > 1000)
		size = 1000;
	if (offset >= limit)
		return 0;
	for (size_t i = 0; i < size; i++)
		((char *)out)[i] = (char)('a' + (offset + i) % 26);
	return (int64_t)size;
}

static void test_bodies(void **state)
{
	(void)state;
	START({.what = SCRIPT_CLOSE}, {.status = 201}, {.status = 201}, {.status = 201});
	struct http *const http = client_with(quick());
	uint64_t limit = UINT64_MAX;
	struct http_request request = {.method = HTTP_PUT,
				       .path = "/x",
				       .read = read_letters,
				       .read_context = &limit,
				       .body_bytes = 300000,
				       .headers = (const char *[]){"Content-Type: text/plain", NULL}};
	assert_int_equal(http_ask(http, &request, &answer, &err), 0);
	assert_int_equal(answer.status, 201);
	assert_int_equal(answer.tries, 2);
	assert_true(answer.doubtful);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(server.requests[i].body.len, 300000);
		for (size_t k = 0; k < 300000; k++)
			assert_int_equal(server.requests[i].body.data[k], 'a' + k % 26);
		assert_non_null(strstr(server.requests[i].head, "Content-Type: text/plain\r\n"));
		assert_null(strstr(server.requests[i].head, "Expect"));
	}
	request = (struct http_request){.method = HTTP_POST, .path = "/x", .body = SLICE("bytes\0in memory")};
	assert_int_equal(http_ask(http, &request, &answer, &err), 0);
	expect_head(2, "POST /x");
	assert_int_equal(server.requests[2].body.len, 15);
	assert_memory_equal(server.requests[2].body.data, "bytes\0in memory", 15);
	/* A body that ends early is the caller's mistake, not the server's. */
	limit = 5000;
	request = (struct http_request){
		.method = HTTP_PUT, .path = "/x", .read = read_letters, .read_context = &limit, .body_bytes = 9000};
	assert_int_equal(http_ask(http, &request, &answer, &err), ERROR_INPUT);
	assert_non_null(strstr(err.message, "PUT /x: what is sent has 5000 bytes instead of 9000"));
	end(http);
}

static int take_bytes(void *context, uint64_t offset, const void *data, size_t len, struct error *problem)
{
	struct buf *const out = context;
	assert_int_equal(out->len, offset);
	if (offset + len > 100)
		return error_set(problem, ERROR_NO_SPACE, "enough");
	return buf_append(out, data, len);
}

static void test_download(void **state)
{
	(void)state;
	START({.status = 503, .body = "later"}, {.status = 200, .body = "0123456789"},
	      {.what = SCRIPT_HALF, .status = 200, .body = "0123456789"}, {.status = 404, .body = "none"});
	struct http *const http = client_with(quick());
	_cleanup_buf_ struct buf out = {0};
	const struct http_request request = {.path = "/x", .write = take_bytes, .write_context = &out};
	assert_int_equal(http_ask(http, &request, &answer, &err), 0);
	assert_int_equal(answer.written, 10);
	assert_int_equal(out.len, 10);
	assert_int_equal(answer.body.len, 0);
	buf_clear(&out);
	assert_int_equal(http_ask(http, &request, &answer, &err), ERROR_AWAY);
	assert_int_equal(answer.written, 5);
	assert_int_equal(out.len, 5);
	buf_clear(&out);
	assert_int_equal(http_ask(http, &request, &answer, &err), 0);
	assert_string_equal(answer.body.data, "none");
	assert_int_equal(out.len, 0);
	end(http);
}

static void test_tries_again(void **state)
{
	(void)state;
	START({.status = 503, .body = "not yet"}, {.what = SCRIPT_HALF, .status = 200, .body = "half of it"},
	      {.what = SCRIPT_CLOSE}, {.status = 429}, {.status = 200, .body = "done"});
	struct http *const http = client_with(quick());
	assert_int_equal(ask(http, HTTP_GET, "/x"), 0);
	assert_string_equal(answer.body.data, "done");
	assert_int_equal(answer.tries, 5);
	assert_int_equal(server.n_requests, 5);
	end(http);
}

static void test_gives_up(void **state)
{
	(void)state;
	START({.status = 503, .body = "not yet\nmore"});
	struct http_options options = quick();
	options.retry.limit_ms = 200;
	struct http *const http = client_with(options);
	const int64_t begin_us = clock_monotonic_us();
	assert_int_equal(ask(http, HTTP_GET, "/x?y"), ERROR_AWAY);
	assert_true(clock_monotonic_us() - begin_us >= 200000);
	assert_non_null(strstr(err.message, "Test http://127.0.0.1:"));
	assert_non_null(strstr(err.message, ": GET /x?y: answered 503: not yet (tried "));
	assert_true(answer.tries > 2);
	http_set_retry(http, (struct http_retry){0});
	assert_int_equal(ask(http, HTTP_GET, "/x"), ERROR_AWAY);
	assert_int_equal(answer.tries, 1);
	assert_null(strstr(err.message, "tried"));
	end(http);
}

static void test_retry_after(void **state)
{
	(void)state;
	START({.status = 503, .headers = "Retry-After: 1\r\n"}, {.status = 200},
	      {.status = 503, .headers = "Retry-After: 3600\r\n"});
	struct http *const http = client_with(quick());
	const int64_t begin_us = clock_monotonic_us();
	assert_int_equal(ask(http, HTTP_GET, "/x"), 0);
	assert_true(clock_monotonic_us() - begin_us >= 1000000);
	assert_int_equal(ask(http, HTTP_GET, "/x"), ERROR_AWAY); /* at once: it would be too late */
	assert_int_equal(answer.tries, 1);
	assert_int_equal(answer.retry_after_ms, 3600000);
	end(http);
}

static void test_silence(void **state)
{
	(void)state;
	START({.what = SCRIPT_SILENCE}, {.status = 200, .body = "ok"}, {.what = SCRIPT_SILENCE});
	struct http_options options = quick();
	options.silence_ms = 150;
	struct http *const http = client_with(options);
	assert_int_equal(ask(http, HTTP_PUT, "/x"), 0);
	assert_int_equal(answer.tries, 2);
	assert_true(answer.doubtful);
	http_set_retry(http, (struct http_retry){0});
	assert_int_equal(ask(http, HTTP_GET, "/x"), ERROR_AWAY);
	assert_non_null(strstr(err.message, "no byte for"));
	/* Of the whole try. */
	const struct http_request request = {.path = "/x", .silence_ms = 60000, .total_ms = 200};
	assert_int_equal(http_ask(http, &request, &answer, &err), ERROR_AWAY);
	assert_non_null(strstr(err.message, "not done after"));
	end(http);
}

/* Who tries several requests again has pauses of his own. */
static void test_single_and_pause(void **state)
{
	(void)state;
	START({.status = 503, .body = "no"}, {.status = 503, .body = "no"}, {.status = 200},
	      {.status = 503, .body = "no"});
	struct http *const http = client_with(quick());
	const struct http_request request = {.method = HTTP_PUT, .path = "/x", .single = true};
	struct http_patience patience = {0};
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(http_ask(http, &request, &answer, &err), ERROR_AWAY);
		assert_int_equal(answer.tries, 1);
		assert_int_equal(http_pause(http, &patience, &err), 0);
	}
	assert_int_equal(http_ask(http, &request, &answer, &err), 0);
	assert_int_equal(patience.tries, 2);
	http_set_retry(http, (struct http_retry){0});
	patience = (struct http_patience){0};
	assert_int_equal(http_ask(http, &request, &answer, &err), ERROR_AWAY);
	assert_int_equal(http_pause(http, &patience, &err), ERROR_AWAY);
	assert_null(strstr(err.message, "tried"));
	assert_int_equal(http_pause(http, &patience, &err), ERROR_AWAY);
	assert_non_null(strstr(err.message, "answered 503: no (tried 2 times in "));
	http_interrupt(http);
	assert_int_equal(http_pause(http, &patience, &err), ERROR_AWAY);
	end(http);
}

/* Nobody listens there. */
static void test_nobody(void **state)
{
	(void)state;
	START({.status = 200});
	script_stop(&server);
	struct http_options options = quick();
	options.retry.limit_ms = 50;
	struct http *const http = client_with(options);
	const struct http_request request = {.method = HTTP_PUT, .path = "/x", .once = true};
	assert_int_equal(http_ask(http, &request, &answer, &err), ERROR_AWAY);
	assert_true(answer.tries > 1); /* it never left */
	assert_false(answer.doubtful);
	assert_non_null(strstr(err.message, "onnect"));
	http_close(http);
	script_forget(&server);
	http_answer_release(&answer);
}

static void test_once(void **state)
{
	(void)state;
	START({.what = SCRIPT_CLOSE}, {.what = SCRIPT_ANSWER, .status = 200}, {.what = SCRIPT_CLOSE}, {.status = 200});
	struct http *const http = client_with(quick());
	const struct http_request request = {.method = HTTP_PUT, .path = "/x", .once = true};
	assert_int_equal(http_ask(http, &request, &answer, &err), ERROR_AWAY);
	assert_int_equal(server.n_requests, 1);
	assert_true(answer.doubtful);
	/* On a kept connection libcurl would send it again by itself. */
	assert_int_equal(http_ask(http, &request, &answer, &err), 0);
	assert_false(answer.doubtful);
	assert_int_equal(http_ask(http, &request, &answer, &err), ERROR_AWAY);
	assert_true(answer.doubtful);
	assert_int_equal(server.n_requests, 3);
	end(http);
}

/* A request on a kept connection that ends without an answer is repeated, and may have been done twice. */
static void test_kept_connection_ends(void **state)
{
	(void)state;
	START({.status = 200}, {.what = SCRIPT_CLOSE}, {.status = 200}, {.what = SCRIPT_ANSWER_END, .status = 200},
	      {.status = 200});
	struct http *const http = client_with(quick());
	assert_int_equal(ask(http, HTTP_PUT, "/1"), 0);
	assert_int_equal(ask(http, HTTP_PUT, "/2"), 0);
	assert_true(answer.doubtful);
	assert_int_equal(server.n_requests, 3);
	assert_int_equal(ask(http, HTTP_PUT, "/3"), 0);
	assert_int_equal(ask(http, HTTP_PUT, "/4"), 0);
	assert_int_equal(answer.status, 200);
	end(http);
}

static enum http_verdict judge_body(void *context, const struct http_answer *given, struct error *problem)
{
	unsigned *const calls = context;
	++*calls;
	if (strstr(given->body.data, "SafeMode")) {
		error_set(problem, ERROR_AWAY, "the name node is in safe mode");
		return HTTP_AGAIN;
	}
	if (given->status == 200)
		return HTTP_TAKE;
	error_set(problem, ERROR_DENIED, "not allowed");
	return HTTP_FAIL;
}

static void test_judge(void **state)
{
	(void)state;
	START({.status = 403, .body = "SafeModeException"}, {.status = 200}, {.status = 403, .body = "AccessControl"});
	struct http *const http = client_with(quick());
	unsigned calls = 0;
	const struct http_request request = {.path = "/x", .judge = judge_body, .judge_context = &calls};
	assert_int_equal(http_ask(http, &request, &answer, &err), 0);
	assert_false(answer.doubtful);
	assert_int_equal(calls, 2);
	assert_int_equal(http_ask(http, &request, &answer, &err), ERROR_DENIED);
	assert_int_equal(answer.status, 403);
	assert_non_null(strstr(err.message, "GET /x: not allowed"));
	end(http);
}

static void test_limit(void **state)
{
	(void)state;
	START({.status = 200, .body = "0123456789"});
	struct http_options options = quick();
	options.answer_bytes = 10;
	struct http *http = client_with(options);
	assert_int_equal(ask(http, HTTP_GET, "/x"), 0);
	http_close(http);
	options.answer_bytes = 9;
	http = client_with(options);
	assert_int_equal(ask(http, HTTP_GET, "/x"), ERROR_LIMIT);
	end(http);
}

static void test_auth(void **state)
{
	(void)state;
	START({.what = SCRIPT_ANSWER_END, .status = 200});
	struct http_options options = quick();
	options.auth = HTTP_AUTH_QUERY;
	options.auth_name = "delegation";
	options.auth_value = "a+b/c=";
	struct http *http = client_with(options);
	assert_int_equal(ask(http, HTTP_GET, "/x?op=Y"), 0);
	assert_int_equal(http_set_auth(http, "new", &err), 0);
	assert_int_equal(ask(http, HTTP_GET, "/x"), 0);
	http_close(http);
	options.auth = HTTP_AUTH_HEADER;
	options.auth_name = "Authorization";
	options.auth_value = "Bearer t0ken";
	http = client_with(options);
	assert_int_equal(ask(http, HTTP_GET, "/x"), 0);
	/* localhost is another origin than 127.0.0.1: credentials stay at home. */
	char other[96];
	snprintf(other, sizeof(other), "http://localhost%s/y?secret=1", strrchr(server.url, ':'));
	assert_int_equal(ask(http, HTTP_GET, other), 0);
	expect_head(0, "GET /x?op=Y&delegation=a%2Bb%2Fc%3D HTTP");
	expect_head(1, "GET /x?delegation=new HTTP");
	assert_non_null(strstr(server.requests[2].head, "Authorization: Bearer t0ken\r\n"));
	expect_head(3, "GET /y?secret=1 HTTP");
	assert_null(strstr(server.requests[3].head, "Authorization"));
	end(http);
}

/* Without a ticket the answer is the server's 401. */
static void test_spnego_without_ticket(void **state)
{
	(void)state;
	START({.status = 401, .headers = "WWW-Authenticate: Negotiate\r\n"},
	      {.status = 200, .headers = "Set-Cookie: hadoop.auth=\"u=me\"; Path=/; HttpOnly\r\n"}, {.status = 200});
	setenv("KRB5CCNAME", "FILE:/nonexistent/cache", 1);
	struct http_options options = quick();
	options.auth = HTTP_AUTH_SPNEGO;
	struct http *const http = client_with(options);
	assert_int_equal(ask(http, HTTP_GET, "/x"), 0);
	assert_int_equal(answer.status, 401);
	/* The server's cookie is shown from then on, but not elsewhere. */
	assert_int_equal(ask(http, HTTP_GET, "/x"), 0);
	assert_int_equal(answer.status, 200);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(ask(http, HTTP_GET, "/x"), 0);
	assert_non_null(strstr(server.requests[server.n_requests - 1].head, "Cookie: hadoop.auth="));
	end(http);
}

static void test_bad_options(void **state)
{
	(void)state;
	static const char *const urls[] = {"", "nn:9870", "ftp://nn/", "http://", "http://u:p@nn/", "http://nn/?a=b"};
	struct http *http = NULL;
	struct http_options options = HTTP_OPTIONS_DEFAULT;
	for (unsigned i = 0; i < sizeof(urls) / sizeof(*urls); i++) {
		options.url = urls[i];
		assert_int_equal(http_open(&options, &http, &err), ERROR_CONFIG);
	}
	options.url = "http://nn";
	options.auth = HTTP_AUTH_HEADER;
	options.auth_name = "Authorization";
	options.auth_value = "two\nlines";
	assert_int_equal(http_open(&options, &http, &err), ERROR_CONFIG);
	assert_null(strstr(err.message, "two"));
	assert_null(http);
	http_close(NULL);
}

static void *interrupt_later(void *argument)
{
	while (atomic_load(&server.n_requests) == 0)
		usleep(1000);
	http_interrupt(argument);
	return NULL;
}

static void test_interrupt(void **state)
{
	(void)state;
	START({.what = SCRIPT_SILENCE});
	struct http *http = client_with(quick());
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, interrupt_later, http), 0);
	assert_int_equal(ask(http, HTTP_GET, "/x"), ERROR_INTERRUPTED);
	pthread_join(thread, NULL);
	assert_int_equal(ask(http, HTTP_GET, "/x"), ERROR_INTERRUPTED);
	http_close(http);
	atomic_bool stop = true;
	struct http_options options = quick();
	options.stop = &stop;
	http = client_with(options);
	assert_int_equal(ask(http, HTTP_GET, "/x"), ERROR_INTERRUPTED);
	assert_int_equal(server.n_requests, 1);
	end(http);
}

static void *hurry_later(void *argument)
{
	(void)argument;
	while (atomic_load(&server.n_requests) < 2)
		usleep(1000);
	http_hurry_all(true);
	return NULL;
}

/* Who is told to end waits no longer for a server that is silent, but as ever for one that answers. */
static void test_hurry(void **state)
{
	(void)state;
	START({.status = 503, .body = "not yet"}, {.what = SCRIPT_SILENCE}, {.status = 200, .body = "here"},
	      {.status = 503, .body = "not now"});
	struct http_options options = quick();
	options.silence_ms = 60000;
	options.retry.limit_ms = 60000;
	struct http *const http = client_with(options);
	const int64_t begin_us = clock_monotonic_us();
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, hurry_later, NULL), 0);
	assert_int_equal(ask(http, HTTP_GET, "/x"), ERROR_AWAY);
	assert_non_null(strstr(err.message, "no byte for"));
	pthread_join(thread, NULL);
	assert_int_equal(ask(http, HTTP_GET, "/x"), 0);
	assert_string_equal(answer.body.data, "here");
	assert_int_equal(ask(http, HTTP_GET, "/x"), ERROR_AWAY);
	assert_true(clock_monotonic_us() - begin_us < 20000000);
	http_hurry_all(false);
	end(http);
}

static void test_encode(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf out = {0};
	assert_int_equal(http_encode(&out, SLICE("/a b/\xc3\xa9%?#+=&~\0"), "/="), 0);
	assert_string_equal(buf_text(&out), "/a%20b/%C3%A9%25%3F%23%2B=%26~%00");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answer),
		cmocka_unit_test(test_half_a_head),
		cmocka_unit_test(test_base_path_and_whole_url),
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_download),
		cmocka_unit_test(test_tries_again),
		cmocka_unit_test(test_gives_up),
		cmocka_unit_test(test_retry_after),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_single_and_pause),
		cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_once),
		cmocka_unit_test(test_kept_connection_ends),
		cmocka_unit_test(test_judge),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_auth),
		cmocka_unit_test(test_spnego_without_ticket),
		cmocka_unit_test(test_bad_options),
		cmocka_unit_test(test_interrupt),
		cmocka_unit_test(test_hurry),
		cmocka_unit_test(test_encode),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
