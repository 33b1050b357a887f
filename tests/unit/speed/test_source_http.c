/* Requests to events: what is taken, once, and what each request is told. */
#include "http_shop.h"

#include <sys/stat.h>
#include <zlib.h>

#define NDJSON "Content-Type: application/x-ndjson\r\n"
#define JSON   "Content-Type: application/json; charset=utf-8\r\n"
#define GZIP   "Content-Encoding: gzip\r\n"

static void write_token(const char *text)
{
	_cleanup_free_ char *path = shop_path("token");
	shop_write("token", text, strlen(text));
	assert_int_equal(chmod(path, 0600), 0);
}

/* --- what is taken --- */

static void test_forms(void **state)
{
	(void)state;
	serve("");
	expect_post(NDJSON, ADJUST("a", "1") "\r\n\n" ADJUST("b", "2.5") "\n", 200,
		    "{\"accepted\":2,\"duplicates\":0}");
	expect_post(JSON, "[" ADJUST("c", "1") ",\n" ADJUST("d", "1") "]", 200, "{\"accepted\":2,\"duplicates\":0}");
	expect_post(JSON,
		    "\n{\"event_id\":\n\"e\",\"kind\":\"adjust\",\n\"customer\":7,\"time\":1700000000,\"points\":1}",
		    200, "{\"accepted\":1,\"duplicates\":0}");
	expect_post("", ADJUST("f", "1"), 200, "{\"accepted\":1,\"duplicates\":0}");
	expect_post(JSON, " [ ] ", 200, "{\"accepted\":0,\"duplicates\":0}");
	assert_ids("a b c d e f ");
	stop_serving();
}

static void test_numbers_keep_their_digits(void **state)
{
	(void)state;
	serve("");
	expect_post(JSON, "[" ADJUST("a", "0.1") "]", 200, "\"accepted\":1");
	expect_post(JSON, "[" ADJUST("a", "0.100") "]", 200, "\"duplicates\":1");
	expect_post(JSON, "[" ADJUST("b", "1e2") "]", 400, "\"reason\":\"points\"");
	expect_post(JSON, "[" ADJUST("b", "0.0001") "]", 400, "\"reason\":\"points\"");
	stop_serving();
}

static void test_again(void **state)
{
	(void)state;
	serve("");
	expect_post("", ADJUST("a", "1") "\n" ADJUST("a", "1.0") "\n" ADJUST("b", "1"), 200,
		    "{\"accepted\":2,\"duplicates\":1}");
	for (int i = 0; i < 2; i++)
		expect_post("", ADJUST("b", "1") "\n" ADJUST("a", "1"), 200, "{\"accepted\":0,\"duplicates\":2}");
	assert_ids("a b ");
	assert_int_equal(count_events(), 2);
	stop_serving();
}

static void test_nothing_of_a_request_with_a_conflict(void **state)
{
	(void)state;
	serve("");
	expect_post("", ADJUST("a", "1"), 200, "\"accepted\":1");
	expect_post("", ADJUST("b", "1") "\n" ADJUST("a", "2") "\n" ADJUST("c", "1") "\n" ADJUST("a", "1"), 409,
		    "\"code\":\"id_conflict\"");
	expect_post("", ADJUST("b", "1") "\n" ADJUST("a", "2") "\n" ADJUST("c", "1"), 409,
		    "\"bad\":1,\"of\":3,\"events\":[{\"index\":1,\"reason\":\"id_conflict\",");
	expect_post("", ADJUST("x", "1") "\n" ADJUST("x", "2"), 409, "\"event_id\":\"x\"");
	assert_ids("a ");
	/* Their ids are as if they had never come. */
	expect_post("", ADJUST("b", "9") "\n" ADJUST("c", "9") "\n" ADJUST("x", "3"), 200,
		    "{\"accepted\":3,\"duplicates\":0}");
	assert_ids("a b c x ");
	stop_serving();
}

static void test_large_requests(void **state)
{
	(void)state;
	serve("");
	_cleanup_buf_ struct buf body = {0};
	enum { N = 20000 };
	char id[48];
	for (int i = 0; i < N; i++) {
		snprintf(id, sizeof(id), "a-fairly-long-identifier-%d", i);
		add_event(&body, id, i + 1);
	}
	expect_post(NDJSON, buf_text(&body), 200, "{\"accepted\":20000,\"duplicates\":0}");
	assert_int_equal(count_events(), N);
	stop_serving();
}

static void gzip(const char *text, size_t len, struct buf *out)
{
	z_stream z = {0};
	_cleanup_free_ unsigned char *copy = malloc(len);
	assert_non_null(copy);
	memcpy(copy, text, len);
	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(buf_reserve(out, deflateBound(&z, len) + 100), 0);
	z.next_in = copy;
	z.avail_in = (unsigned)len;
	z.next_out = (unsigned char *)out->data + out->len;
	z.avail_out = (unsigned)(out->cap - out->len);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	out->len += z.total_out;
	deflateEnd(&z);
}

static void test_gzip(void **state)
{
	(void)state;
	static const char TEXT[] = ADJUST("a", "1") "\n" ADJUST("b", "1") "\n";
	_cleanup_buf_ struct buf packed = {0};
	struct reply reply;
	serve("");
	gzip(TEXT, sizeof(TEXT) - 1, &packed);
	post_bytes(GZIP, packed.data, packed.len, &reply);
	assert_string_equal(reply.body, "{\"accepted\":2,\"duplicates\":0}\n");
	const size_t len = packed.len;
	for (size_t cut = 1; cut < len; cut += 7) {
		post_bytes(GZIP, packed.data, cut, &reply);
		assert_int_equal(reply.status, 400);
	}
	/* Two members are one text; what is none is not passed over. */
	gzip(TEXT, sizeof(TEXT) - 1, &packed);
	post_bytes(GZIP, packed.data, packed.len, &reply);
	assert_string_equal(reply.body, "{\"accepted\":0,\"duplicates\":4}\n");
	assert_int_equal(buf_append_text(&packed, "x"), 0);
	post_bytes(GZIP, packed.data, packed.len, &reply);
	assert_int_equal(reply.status, 400);
	assert_non_null(strstr(reply.body, "\"gzip\""));
	expect_post(GZIP, TEXT, 400, "\"gzip\"");
	expect_post(GZIP, "", 400, "\"empty\"");
	expect_post("Content-Encoding: identity\r\n", TEXT, 200, "\"duplicates\":2");
	expect_post("Content-Encoding: br\r\n", TEXT, 415, "\"content_encoding\"");
	assert_ids("a b ");
	stop_serving();
}

static void test_gzip_that_swells(void **state)
{
	(void)state;
	enum { SIZE = 1 << 20 };
	_cleanup_buf_ struct buf packed = {0};
	_cleanup_free_ char *text = malloc(SIZE);
	struct reply reply;
	assert_non_null(text);
	memset(text, ' ', SIZE);
	memcpy(text, ADJUST("a", "1"), strlen(ADJUST("a", "1")));
	serve("max_body_kib: 4, ");
	gzip(text, SIZE, &packed);
	assert_true(packed.len < 4096);
	post_bytes(GZIP, packed.data, packed.len, &reply);
	assert_int_equal(reply.status, 413);
	buf_clear(&packed);
	gzip(text, 4097, &packed);
	post_bytes(GZIP, packed.data, packed.len, &reply);
	assert_int_equal(reply.status, 413);
	buf_clear(&packed);
	gzip(text, 4096, &packed);
	post_bytes(GZIP, packed.data, packed.len, &reply);
	assert_int_equal(reply.status, 200);
	stop_serving();
}

/* --- what is told --- */

static void test_bad_events(void **state)
{
	(void)state;
	serve("");
	struct reply reply;
	post("", ADJUST("a", "1") "\n\n{\"event_id\":\"b\"}\nx\n" ADJUST("c", "1") "\n\xff\n", &reply);
	assert_int_equal(reply.status, 400);
	assert_non_null(strstr(reply.body, "\"code\":\"bad_events\",\"message\":\"nothing of this request was taken: "
					   "event 1 (from 0): kind is missing"));
	assert_non_null(
		strstr(reply.body, "\"bad\":3,\"of\":5,\"events\":[{\"index\":1,\"line\":3,\"reason\":\"kind\","));
	assert_non_null(strstr(reply.body, "{\"index\":2,\"line\":4,\"reason\":\"json\","));
	assert_non_null(strstr(reply.body, "{\"index\":4,\"line\":6,\"reason\":\"encoding\","));
	expect_post(JSON, "[" ADJUST("a", "1") ",\n" ADJUST("b", "1") "\n", 400,
		    "{\"index\":2,\"line\":3,\"reason\":\"json\",\"message\":\"the list has no end\"}");
	expect_post(JSON, "[" ADJUST("a", "1") "] x", 400, "something stands behind the end of the list");
	expect_post(JSON, "[5]", 400, "{\"index\":0,\"line\":1,\"reason\":\"json\"");
	assert_ids("");
	/* Of many the first hundred. */
	_cleanup_buf_ struct buf body = {0};
	for (int i = 0; i < 150; i++)
		assert_int_equal(buf_append_text(&body, "{}\n"), 0);
	post("", buf_text(&body), &reply);
	assert_int_equal(reply.status, 400);
	assert_non_null(strstr(reply.body, "\"bad\":150,\"of\":150"));
	assert_non_null(strstr(reply.body, "{\"index\":99,\"line\":100,"));
	assert_null(strstr(reply.body, "{\"index\":100,"));
	stop_serving();
}

static void test_heads(void **state)
{
	(void)state;
	serve("");
	expect_request("GET /healthz", "", 200, "application/json", "{\"status\":\"ok\"}");
	expect_request("POST /healthz", "Content-Length: 0\r\n", 405, "Allow: GET, HEAD\r\n", "\"method\"");
	expect_request("GET /v1/events", "", 405, "Allow: POST\r\n", "\"method\"");
	expect_request("DELETE /v1/events", "", 405, "Allow: POST\r\n", "\"method\"");
	expect_request("GET /", "", 404, "application/json", "\"not_found\"");
	expect_request("POST /v1/events/", "Content-Length: 0\r\n", 404, "", "\"not_found\"");
	expect_request("POST /v1/events", "Content-Length: 0\r\n", 400, "", "\"empty\"");
	expect_request("POST /v1/events", "", 400, "", "\"empty\"");
	expect_post("", " \n\r\n\t", 400, "\"empty\"");
	expect_post("", "\xef\xbb\xbf", 400, "\"empty\"");
	expect_post("Content-Type: application/x-www-form-urlencoded\r\n", ADJUST("a", "1"), 415, "\"content_type\"");
	expect_post("Content-Type: Application/JSON;charset=x\r\n", ADJUST("a", "1"), 200, "\"accepted\":1");
	/* The body's end must be told once, and in one way. */
	expect_post("Transfer-Encoding: chunked\r\n", ADJUST("b", "1"), 400, "\"bad_request\"");
	expect_request("POST /v1/events", "Transfer-Encoding: gzip\r\n", 400, "Connection: close", "\"bad_request\"");
	assert_ids("a ");
	stop_serving();
}

/* As some reverse proxies speak. */
static void test_http_1_0(void **state)
{
	(void)state;
	serve("");
	struct reply reply;
	const int fd = dial();
	_cleanup_free_ char *text = text_printf("POST /v1/events HTTP/1.0\r\nContent-Length: %zu\r\n\r\n%s",
						strlen(ADJUST("a", "1")), ADJUST("a", "1"));
	say_text(fd, text);
	hear(fd, &reply);
	assert_int_equal(reply.status, 200);
	assert_string_equal(reply.body, "{\"accepted\":1,\"duplicates\":0}\n");
	char byte;
	assert_false(hear_byte(fd, &byte)); /* it is closed behind the answer */
	close(fd);
	stop_serving();
}

static void test_token(void **state)
{
	(void)state;
	write_token("0123456789abcdef\r\nthe rest is no token\n");
	serve("token_file: token, ");
	expect_post("", ADJUST("a", "1"), 401, "\"unauthorized\"");
	expect_request("POST /v1/events", "Content-Length: 0\r\n", 401,
		       "WWW-Authenticate: Bearer realm=\"punchcard\"\r\n", "a token is needed");
	static const char *const WRONG[] = {"Bearer",
					    "Bearer ",
					    "Bearer x",
					    "Bearer 0123456789abcdeF",
					    "Bearer 0123456789abcdef0123456789abcdef",
					    "Bearer 0123456789abcde",
					    "Basic 0123456789abcdef",
					    "0123456789abcdef"};
	for (size_t i = 0; i < sizeof(WRONG) / sizeof(WRONG[0]); i++) {
		_cleanup_free_ char *head = text_printf("Authorization: %s\r\n", WRONG[i]);
		expect_post(head, ADJUST("a", "1"), 401, "\"unauthorized\"");
	}
	expect_post("authorization: bearer 0123456789abcdef\r\n", ADJUST("a", "1"), 200, "\"accepted\":1");
	expect_request("GET /healthz", "", 200, "", "\"ok\"");
	stop_serving();
}

static void expect_no_start(const char *keys, const char *part)
{
	struct error err = {0};
	_cleanup_free_ char *config = text_printf("sources:\n  - {name: web, type: http, %s}\n", keys);
	shop_open(config);
	struct source source = {.deployment = shop, .config = &shop->config->sources[0], .stop_fd = -1};
	assert_true(source_driver(SOURCE_HTTP)->open(&source, &err) < 0);
	assert_null(source.state);
	if (!strstr(err.message, part))
		fail_msg("'%s' is not in: %s", part, err.message);
}

static void test_start_errors(void **state)
{
	(void)state;
	serve("");
	_cleanup_free_ char *same = text_printf("listen: '127.0.0.1:%u'", web.port);
	stop_serving();
	const uint16_t port = web.port;
	/* Two on one port. */
	struct sockaddr_in in = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&in, sizeof(in)) == 0 && listen(fd, 1) == 0);
	expect_no_start(same, "another program listens at 127.0.0.1:");
	close(fd);
	expect_no_start("listen: '203.0.113.1:8480'", "this machine has no address as in");
	expect_no_start("listen: '127.0.0.1.5:8480'", "is no address to listen at");
	_cleanup_free_ char *with_token = text_printf("%s, token_file: token", same);
	expect_no_start(with_token, "make one");
	write_token("\nsecret\n");
	expect_no_start(with_token, "is no token");
	write_token("two words\n");
	expect_no_start(with_token, "is no token");
}

/* --- too large --- */

static void test_too_large(void **state)
{
	(void)state;
	serve("max_body_kib: 1, ");
	struct reply reply;
	_cleanup_buf_ struct buf body = {0};
	add_event(&body, "a", 1);
	while (body.len < 1024)
		assert_int_equal(buf_append_text(&body, " "), 0);
	expect_post("", buf_text(&body), 200, "\"accepted\":1");
	assert_int_equal(buf_append_text(&body, " "), 0);
	expect_post("", buf_text(&body), 413, "\"too_large\"");
	/* Told before it is sent. */
	int fd = dial();
	say_text(fd, "POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 1025\r\nExpect: 100-continue\r\n\r\n");
	hear(fd, &reply);
	assert_int_equal(reply.status, 413);
	close(fd);
	fd = dial();
	say_text(fd, "POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n");
	hear(fd, &reply);
	assert_true(reply.status == 413 || reply.status == 400);
	close(fd);
	/* Nobody knows how long it will be. */
	fd = dial();
	say_text(fd, "POST /v1/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n401\r\n");
	assert_true(say(fd, body.data, body.len));
	say_text(fd, "\r\n0\r\n\r\n");
	hear(fd, &reply);
	assert_int_equal(reply.status, 413);
	/* That was read to its end, so the connection goes on. */
	say_post(fd, "", ADJUST("b", "1"), strlen(ADJUST("b", "1")));
	hear(fd, &reply);
	assert_int_equal(reply.status, 200);
	close(fd);
	/* One without an end is ended. */
	fd = dial();
	say_text(fd, "POST /v1/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i < 100 && say(fd, "401\r\n", 5) && say(fd, body.data, body.len) && say(fd, "\r\n", 2); i++)
		;
	char byte;
	while (recv(fd, &byte, 1, 0) == 1)
		;
	close(fd);
	assert_ids("a b ");
	stop_serving();
}

static void test_expect_and_chunks(void **state)
{
	(void)state;
	serve("");
	struct reply reply;
	const int fd = dial();
	say_text(fd,
		 "POST /v1/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n");
	hear(fd, &reply);
	assert_int_equal(reply.status, 100);
	const char *const event = ADJUST("a", "1");
	for (const char *at = event; *at; at++) {
		char chunk[16];
		const int len = snprintf(chunk, sizeof(chunk), "1;x=y\r\n%c\r\n", *at);
		assert_true(say(fd, chunk, (size_t)len));
	}
	say_text(fd, "0\r\nX-Behind: y\r\n\r\n");
	hear(fd, &reply);
	assert_string_equal(reply.body, "{\"accepted\":1,\"duplicates\":0}\n");
	close(fd);
	stop_serving();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_shop, remove_shop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_forms),
		TEST(test_numbers_keep_their_digits),
		TEST(test_again),
		TEST(test_nothing_of_a_request_with_a_conflict),
		TEST(test_large_requests),
		TEST(test_gzip),
		TEST(test_gzip_that_swells),
		TEST(test_bad_events),
		TEST(test_heads),
		TEST(test_http_1_0),
		TEST(test_token),
		TEST(test_start_errors),
		TEST(test_too_large),
		TEST(test_expect_and_chunks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
