/* The HBase driver beside a gateway that plays a script: what the real one does at rare moments. */
#include "../net/script_server.h"

#include "base/base64.h"
#include "base/clock.h"
#include "store/cells.h"

static struct script_server server;
static struct cells *cells;
static struct error err;

#define JSON "Content-Type: application/json\r\n"
#define GONE "Not found\r\norg.apache.hadoop.hbase.TableNotFoundException: t\n\tat org.apache.hadoop.Foo(Foo.java:1)\n"
#define SCHEMA \
	"{\"name\":\"t\",\"ColumnSchema\":[{\"name\":\"a\",\"VERSIONS\":\"1\"},{\"name\":\"b\",\"VERSIONS\":\"1\"}]}"
#define UNAVAILABLE                                                                                                   \
	"Unavailable\r\norg.apache.hadoop.hbase.client.RetriesExhaustedException: Failed, exceptions:\n"              \
	"2026-11-30T05:23:11.642Z, RpcRetryingCaller{pause=100}, org.apache.MasterNotRunningException: gone\n\n\tat " \
	"org.apache.X\n"
#define BARE_500 "{\n\"servlet\":\"org.x\",\n\"message\":\"Request failed.\",\n\"status\":\"500\"\n}"
#define OK                    \
	{                     \
		.status = 200 \
	}
#define HAS_SCHEMA                                             \
	{                                                      \
		.status = 200, .headers = JSON, .body = SCHEMA \
	}
#define NO_TABLE                            \
	{                                   \
		.status = 404, .body = GONE \
	}
#define SCANNER(id)                                                                           \
	{                                                                                     \
		.status = 201, .headers = "Location: http://elsewhere:1/t/scanner/" id "\r\n" \
	}
#define ROWS(text)                                             \
	{                                                      \
		.status = 200, .headers = JSON, .body = (text) \
	}
#define ROW(key, cell) "{\"key\":\"" key "\",\"Cell\":[" cell "]}"
#define CELL(value)    "{\"column\":\"YTpx\",\"timestamp\":7,\"$\":\"" value "\"}"

static void open_cells(struct cells_hbase_options options)
{
	options.http.url = server.url;
	memset(&err, 0, sizeof(err));
	assert_int_equal(cells_open_hbase(&options, &cells, &err), 0);
}

static struct cells_hbase_options quick(void)
{
	struct cells_hbase_options options = CELLS_HBASE_OPTIONS_DEFAULT;
	options.http.silence_ms = 5000;
	options.http.retry = (struct http_retry){.limit_ms = 5000, .first_ms = 1, .most_ms = 10};
	options.prefix = "pc_";
	return options;
}

#define START(...)                                                                                 \
	do {                                                                                       \
		static const struct script_step script_steps[] = {__VA_ARGS__};                    \
		script_start(&server, script_steps, sizeof(script_steps) / sizeof(*script_steps)); \
		open_cells(quick());                                                               \
	} while (0)

static void end(unsigned requests)
{
	cells_close(cells);
	script_stop(&server);
	assert_int_equal(server.n_requests, requests);
	script_forget(&server);
}

static void expect_head(unsigned i, const char *begin)
{
	assert_true(i < server.n_requests);
	server.requests[i].head[strlen(begin)] = '\0';
	assert_string_equal(server.requests[i].head, begin);
}

static const struct cells_put three[] = {
	{.key = {"k\0", 2}, .column = {"a:q", 3}, .value = {"v", 1}, .version = 7},
	{.key = {"k\0", 2}, .column = {"b:", 2}, .value = {"", 0}, .version = 8},
	{.key = {"l", 1}, .column = {"a:q", 3}, .value = {"w", 1}, .version = 9007199254740990},
};
#define N_PUTS 3

static void test_put(void **state)
{
	(void)state;
	START(OK);
	assert_int_equal(cells_put(cells, "t", three, N_PUTS, &err), 0);
	expect_head(0, "PUT /pc_t/any HTTP/1.1\r\n");
	assert_string_equal(
		buf_text(&server.requests[0].body),
		"{\"Row\":[{\"key\":\"awA=\",\"Cell\":[{\"column\":\"YTpx\",\"timestamp\":7,\"$\":\"dg==\"},"
		"{\"column\":\"Yjo=\",\"timestamp\":8,\"$\":\"\"}]},"
		"{\"key\":\"bA==\",\"Cell\":[{\"column\":\"YTpx\",\"timestamp\":9007199254740990,\"$\":\"dw==\"}"
		"]}]}");
	assert_int_equal(cells_counts(cells)->requests, 1);
	assert_int_equal(cells_counts(cells)->cells_put, 3);
	end(1);
}

/* Whatever the gateway says of an outage, and whatever becomes of an answer, the same is sent again. */
static void test_put_again(void **state)
{
	(void)state;
	START({.status = 503, .body = UNAVAILABLE}, {.what = SCRIPT_CLOSE},
	      {.what = SCRIPT_HALF, .status = 500, .body = "xxxx"}, {.status = 500, .headers = JSON, .body = BARE_500},
	      HAS_SCHEMA, {.status = 500}, {.status = 504}, OK);
	assert_int_equal(cells_put(cells, "t", three, N_PUTS, &err), 0);
	expect_head(4, "GET /pc_t/schema HTTP/1.1\r\n");
	for (unsigned i = 5; i < 8; i++)
		assert_string_equal(buf_text(&server.requests[i].body), buf_text(&server.requests[0].body));
	/* libcurl itself repeats one that came to a kept connection which had gone. */
	assert_true(cells_counts(cells)->retries >= 5);
	end(8);
}

static void test_silence(void **state)
{
	struct cells_hbase_options options = quick();
	static const struct script_step steps[] = {{.what = SCRIPT_SILENCE}, OK};
	(void)state;
	script_start(&server, steps, 2);
	options.http.silence_ms = 200;
	open_cells(options);
	assert_int_equal(cells_put(cells, "t", three, N_PUTS, &err), 0);
	end(2);
}

static void test_away(void **state)
{
	struct cells_hbase_options options = quick();
	static const struct script_step steps[] = {{.status = 503, .body = UNAVAILABLE}};
	(void)state;
	script_start(&server, steps, 1);
	options.http.retry.limit_ms = 50;
	options.http.retry.first_ms = 20;
	open_cells(options);
	assert_int_equal(cells_put(cells, "t", three, N_PUTS, &err), ERROR_AWAY);
	assert_non_null(strstr(err.message, "HBase http://127.0.0.1:"));
	assert_non_null(
		strstr(err.message, "PUT /pc_t/any: answered 503: org.apache.hadoop.hbase.client.RetriesExhausted"));
	assert_non_null(strstr(err.message, "exceptions: org.apache.MasterNotRunningException: gone; is HBase up?"));
	assert_null(strstr(err.message, "\tat "));
	cells_close(cells);
	script_stop(&server);
	script_forget(&server);
}

/* A table that is not there is told at once, however it is said. */
static void test_no_table(void **state)
{
	const struct slice key = SLICE("k");
	(void)state;
	START(NO_TABLE, NO_TABLE, NO_TABLE, {.status = 500, .headers = JSON, .body = BARE_500}, NO_TABLE);
	assert_int_equal(cells_put(cells, "t", three, N_PUTS, &err), ERROR_NOT_FOUND);
	assert_non_null(strstr(err.message, "there is no table pc_t"));
	assert_int_equal(cells_get(cells, "t", &key, 1, NULL, NULL, &err), ERROR_NOT_FOUND);
	assert_non_null(strstr(err.message, "there is no table pc_t"));
	end(5);
}

static void test_bad_row_of_a_batch(void **state)
{
	const struct cells_put bad[] = {three[0], {.key = SLICE("x"), .column = SLICE("zz:q"), .version = 1}};
	(void)state;
	START({.status = 404,
	       .body = "Not found\r\norg.apache.hadoop.hbase.regionserver.NoSuchColumnFamilyException: zz\n"},
	      {.status = 404, .body = "Not found\r\n"}, HAS_SCHEMA,
	      /* A table that is changed is away for a moment. */
	      {.status = 404, .body = "Not found\r\n"}, OK,
	      /* And one that stays odd is for later. */
	      {.status = 404, .body = "Not found\r\n"}, {.status = 404, .body = "Not found\r\n"}, HAS_SCHEMA);
	assert_int_equal(cells_put(cells, "t", bad, 2, &err), ERROR_NOT_FOUND);
	assert_non_null(strstr(err.message, "table pc_t has no family zz"));
	assert_non_null(strstr(err.message, "alter 'pc_t', NAME => 'zz'"));
	assert_int_equal(cells_put(cells, "t", three, N_PUTS, &err), 0);
	assert_int_equal(cells_put(cells, "t", three, N_PUTS, &err), ERROR_AWAY);
	end(8);
}

static void test_refused(void **state)
{
	(void)state;
	START({.status = 403,
	       .body = "Forbidden\r\norg.apache.hadoop.hbase.security.AccessDeniedException: no write\n"},
	      {.status = 503, .body = "Unavailable\r\norg.apache.hadoop.hbase.NamespaceNotFoundException: pc\n"},
	      {.status = 400, .body = "Bad request\r\njava.lang.IllegalArgumentException: KeyValue size too large\n"},
	      {.status = 302, .headers = "Location: /login\r\n"});
	assert_int_equal(cells_put(cells, "t", three, N_PUTS, &err), ERROR_DENIED);
	assert_non_null(strstr(err.message, "AccessDeniedException: no write"));
	assert_int_equal(cells_put(cells, "t", three, N_PUTS, &err), ERROR_NOT_FOUND);
	assert_int_equal(cells_put(cells, "t", three, N_PUTS, &err), ERROR_IO);
	assert_non_null(strstr(err.message, "KeyValue size too large"));
	assert_int_equal(cells_put(cells, "t", three, N_PUTS, &err), ERROR_IO);
	end(4);
}

/* --- reading ---------------------------------------------------------------------------------------------------------------- */

static char seen[1000];

static int take(void *context, const struct cells_row *row, struct error *error)
{
	(void)context;
	(void)error;
	const size_t at = strlen(seen);
	snprintf(seen + at, sizeof(seen) - at, "%.*s(%zu) ", (int)row->key.len, row->key.data, row->n);
	return 0;
}

static int get(const struct slice *keys, size_t n)
{
	seen[0] = '\0';
	memset(&err, 0, sizeof(err));
	return cells_get(cells, "t", keys, n, take, NULL, &err);
}

static void test_get(void **state)
{
	const struct slice keys[] = {SLICE("k"), SLICE("\xff\xfe\xfd"), SLICE("l")};
	(void)state;
	START(ROWS("{\"Row\":[" ROW("aw==", CELL("dg==") "," CELL("dg==")) "," ROW("bA==", CELL("")) "]}"),
	      {.status = 404, .body = "No rows found.\r\n"});
	assert_int_equal(get(keys, 3), 0);
	assert_string_equal(seen, "k(2) l(1) ");
	expect_head(0, "GET /pc_t/multiget?e=b64&row=aw&row=__79&row=bA HTTP/1.1\r\n");
	assert_int_equal(get(keys, 3), 0);
	assert_string_equal(seen, "");
	end(2);
}

static void test_get_of_no_gateway(void **state)
{
	const struct slice keys[] = {SLICE("k"), SLICE("l")};
	(void)state;
	START({.status = 404, .body = "<html>nginx"}, {.status = 404, .body = "<html>nginx"}, ROWS("{\"Row\":"),
	      ROWS("<html>"), ROWS("{\"Row\":[" ROW("bA==", CELL("")) "," ROW("aw==", CELL("")) "]}"),
	      ROWS("{\"Row\":[" ROW("eHh4", CELL("")) "]}"),
	      ROWS("{\"Row\":[" ROW("aw==", "{\"column\":\"YTpx\",\"timestamp\":1,\"$\":\"%%%%\"}") "]}"));
	assert_int_equal(get(keys, 2), ERROR_IO);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(get(keys, 2), ERROR_CORRUPT);
	end(7);
}

static void test_uri_limit(void **state)
{
	struct slice keys[40];
	char bytes[40][3];
	(void)state;
	START({.status = 414}, ROWS("{\"Row\":[]}"));
	for (unsigned i = 0; i < 40; i++) {
		snprintf(bytes[i], sizeof(bytes[i]), "%02u", i);
		keys[i] = slice_of(bytes[i]);
	}
	assert_int_equal(get(keys, 40), 0);
	/* All, then two and a bit of halves. */
	assert_true(server.n_requests >= 3 && server.n_requests <= 5);
	assert_int_equal(get(keys, 40), 0);
	end(server.n_requests);
}

static int scan(uint64_t limit)
{
	seen[0] = '\0';
	memset(&err, 0, sizeof(err));
	return cells_scan(cells, "t", &(struct cells_range){.prefix = SLICE("k"), .limit = limit}, take, NULL, &err);
}

static void expect_body(unsigned i, const char *body)
{
	assert_string_equal(buf_text(&server.requests[i].body), body);
}

#define END                   \
	{                     \
		.status = 204 \
	}
#define NO_ROWS                                             \
	{                                                   \
		.status = 404, .body = "No rows found.\r\n" \
	}
/* Answers of two cells each, so that one is full: k (three cells), kl, km; and l, which is behind the range. */
#define PAGE_1 ROWS("{\"Row\":[" ROW("aw==", CELL("MQ==") "," CELL("Mg==")) "]}")
#define PAGE_2 ROWS("{\"Row\":[" ROW("aw==", CELL("Mw==")) "," ROW("a2w=", CELL("MQ==")) "]}")
#define PAGE_3 ROWS("{\"Row\":[" ROW("a20=", CELL("MQ==")) "]}")
#define BEHIND ROWS("{\"Row\":[" ROW("bA==", CELL("MQ==")) "]}")
/* A scanner that looks what is behind the range. */
#define SEES(answer) SCANNER("e"), answer, OK

#define START_PAGES(...)                                                                           \
	do {                                                                                       \
		static const struct script_step script_steps[] = {__VA_ARGS__};                    \
		struct cells_hbase_options script_options = quick();                               \
		script_options.page_cells = 2;                                                     \
		script_start(&server, script_steps, sizeof(script_steps) / sizeof(*script_steps)); \
		open_cells(script_options);                                                        \
	} while (0)

static void test_scan(void **state)
{
	(void)state;
	START_PAGES(SCANNER("1a"), PAGE_1, PAGE_2, PAGE_3, OK, SEES(BEHIND), SCANNER("2b"), PAGE_1, PAGE_2, OK);
	assert_int_equal(scan(0), 0);
	assert_string_equal(seen, "k(3) kl(1) km(1) ");
	expect_head(0, "POST /pc_t/scanner HTTP/1.1\r\n");
	expect_body(0, "{\"batch\":2,\"startRow\":\"aw==\",\"endRow\":\"bA==\"}");
	expect_head(1, "GET /pc_t/scanner/1a?n=2 HTTP/1.1\r\n");
	expect_head(4, "DELETE /pc_t/scanner/1a HTTP/1.1\r\n");
	/* Behind "km" there is nothing but "l". */
	expect_body(5, "{\"batch\":1,\"caching\":1,\"startRow\":\"a20A\"}");
	expect_head(6, "GET /pc_t/scanner/e?n=1 HTTP/1.1\r\n");
	expect_head(7, "DELETE /pc_t/scanner/e HTTP/1.1\r\n");
	assert_int_equal(scan(1), 0);
	assert_string_equal(seen, "k(3) ");
	expect_head(11, "DELETE /pc_t/scanner/2b HTTP/1.1\r\n");
	end(12);
}

/* A page that is lost with its scanner, in each way: the next one begins behind the last row that was whole. */
static void test_scanner_lost(void **state)
{
	(void)state;
	START_PAGES(SCANNER("1"), PAGE_1, {.what = SCRIPT_CLOSE}, HAS_SCHEMA,               /* k is not whole */
		    SCANNER("2"), PAGE_1, PAGE_2, {.status = 404, .body = "Not found\r\n"}, /* k is, kl is not */
		    HAS_SCHEMA, SCANNER("3"),
		    {.what = SCRIPT_HALF, .status = 200, .body = "{\"Row\":[]}"}, /* nothing new */
		    HAS_SCHEMA, SCANNER("4"),
		    ROWS("{\"Row\":[" ROW("a2w=", CELL("MQ==")) "," ROW("a20=", CELL("MQ==")) "]}"), END, OK,
		    HAS_SCHEMA, SCANNER("5"),
		    ROWS("{\"Row\":[" ROW("a20=", CELL("MQ==")) "," ROW("bA==", CELL("MQ==")) "]}"), OK);
	assert_int_equal(scan(0), 0);
	assert_string_equal(seen, "k(3) kl(1) km(1) ");
	expect_body(4, "{\"batch\":2,\"startRow\":\"aw==\",\"endRow\":\"bA==\"}");
	/* "k" and a NUL. */
	expect_body(9, "{\"batch\":2,\"startRow\":\"awA=\",\"endRow\":\"bA==\"}");
	expect_body(12, "{\"batch\":2,\"startRow\":\"awA=\",\"endRow\":\"bA==\"}");
	/* "km" may have been torn. */
	expect_body(17, "{\"batch\":2,\"caching\":16,\"startRow\":\"a2wA\"}");
	end(20);
}

/* 380 bytes FF. */
#define END_16 "/////////////////////"
#define END_KEY                                                                                                  \
	END_16 END_16 END_16 END_16 END_16 END_16 END_16 END_16 END_16 END_16 END_16 END_16 END_16 END_16 END_16 \
		END_16 END_16 END_16 END_16 END_16 END_16 END_16 END_16 END_16 "//8="

/* A region server dies: the scan ends, without a word, before its end. */
static void test_scan_ends_early(void **state)
{
	(void)state;
	START_PAGES(SCANNER("1"), END, OK, SEES(PAGE_3), HAS_SCHEMA,   /* before the first row */
		    SCANNER("2"), PAGE_1, END, OK, HAS_SCHEMA,         /* within k, */
		    SCANNER("3"), PAGE_1, PAGE_2, END, OK, HAS_SCHEMA, /* which is read again; and behind it */
		    SCANNER("4"), ROWS("{\"Row\":[" ROW("a2w=", CELL("MQ==")) "]}"),
		    OK, /* and when the end is looked for; */
		    SEES(END), ROWS("{\"Row\":[" ROW(END_KEY, CELL("")) "]}"),
		    HAS_SCHEMA, /* a read by key says what is there */
		    SCANNER("5"), PAGE_3, OK, SEES(ROWS("{\"Row\":[" ROW(END_KEY, CELL("")) "]}")));
	assert_int_equal(scan(0), 0);
	assert_string_equal(seen, "k(3) kl(1) km(1) ");
	expect_body(12, "{\"batch\":2,\"caching\":16,\"startRow\":\"aw==\"}");
	expect_body(18, "{\"batch\":2,\"caching\":16,\"startRow\":\"awA=\"}");
	expect_body(21, "{\"batch\":1,\"caching\":1,\"startRow\":\"a2wA\"}");
	end(32);
}

/* A table without a row behind all others gets it. */
static void test_end_is_put(void **state)
{
	(void)state;
	START_PAGES(SCANNER("1"), PAGE_3, OK, SEES(END), NO_ROWS, HAS_SCHEMA, OK, HAS_SCHEMA, SCANNER("2"), END, OK,
		    SEES(ROWS("{\"Row\":[" ROW(END_KEY, CELL("")) "]}")), SCANNER("3"),
		    ROWS("{\"Row\":[" ROW("a20=", CELL("MQ==")) "," ROW(END_KEY, CELL("")) "]}"), OK);
	assert_int_equal(scan(0), 0);
	assert_string_equal(seen, "km(1) ");
	expect_head(8, "PUT /pc_t/any HTTP/1.1\r\n");
	static const char BEGIN[] = "{\"Row\":[{\"key\":\"" END_KEY "\",\"Cell\":[{\"column\":\"YTo=\",\"timestamp\":";
	const char *const body = buf_text(&server.requests[8].body);
	assert_memory_equal(body, BEGIN, sizeof(BEGIN) - 1);
	/* Of now: an older one would be gone at once where there is a TTL. */
	const int64_t age_ms = clock_now_us() / 1000 - strtoll(body + sizeof(BEGIN) - 1, NULL, 10);
	assert_in_range(age_ms, 0, 60000);
	/* To the end of the table the scan sees it itself, and nobody else does. */
	seen[0] = '\0';
	assert_int_equal(cells_scan(cells, "t", &(struct cells_range){.limit = 0}, take, NULL, &err), 0);
	assert_string_equal(seen, "km(1) ");
	end(19);
}

/* A TTL that takes it away at once ends the scan, and is told. */
static void test_end_does_not_stay(void **state)
{
	(void)state;
	START_PAGES(SCANNER("1"), PAGE_3, OK, SEES(END), NO_ROWS, HAS_SCHEMA, OK, HAS_SCHEMA, SCANNER("2"), END, OK,
		    SEES(END), NO_ROWS);
	assert_int_equal(scan(0), ERROR_CORRUPT);
	assert_non_null(strstr(err.message, "is gone as soon as it is put; has the table a TTL"));
	end(server.n_requests);
}

/* Nobody may put it who only reads; and HBase that stays away is away. */
static void test_no_end(void **state)
{
	struct cells_hbase_options options = quick();
	static const struct script_step denied[] = {
		SCANNER("1"),
		END,
		OK,
		SEES(END),
		NO_ROWS,
		HAS_SCHEMA,
		{.status = 403, .body = "Forbidden\r\norg.apache.AccessDeniedException: w\n"}};
	static const struct script_step away[] = {SCANNER("1"), END, OK, SEES(PAGE_3), HAS_SCHEMA,
						  SCANNER("1"), END, OK, SEES(PAGE_3), HAS_SCHEMA};
	(void)state;
	script_start(&server, denied, sizeof(denied) / sizeof(*denied));
	open_cells(options);
	assert_int_equal(scan(0), ERROR_DENIED);
	assert_non_null(strstr(err.message, "collect --once"));
	end(9);
	options.http.retry.limit_ms = 1;
	script_start(&server, away, sizeof(away) / sizeof(*away));
	open_cells(options);
	assert_int_equal(scan(0), ERROR_AWAY);
	assert_non_null(strstr(err.message, "ended a scan before its end"));
	cells_close(cells);
	script_stop(&server);
	script_forget(&server);
}

static void test_scan_of_no_table(void **state)
{
	(void)state;
	START(SCANNER("1"), {.status = 404, .body = "Not found\r\n"}, NO_TABLE, SCANNER("1"), {.status = 500},
	      HAS_SCHEMA);
	assert_int_equal(scan(0), ERROR_NOT_FOUND);
	assert_non_null(strstr(err.message, "there is no table pc_t"));
	/* A scanner that never answers: the script's last step is a 200 that is none. */
	assert_true(scan(0) < 0);
	assert_non_null(err.message[0] ? err.message : NULL);
	end(server.n_requests);
}

/* --- erasing, tables -------------------------------------------------------------------------------------------------------- */

static void test_erase(void **state)
{
	const struct cells_erase erases[] = {
		{.key = SLICE("k\0"), .column = SLICE("a:q"), .version = 7},
		{.key = SLICE("k\0"), .column = SLICE("b:\xff"), .version = 7},
		{.key = SLICE("k\0"), .column = SLICE("b:"), .version = 8},
		{.key = SLICE("l"), .column = SLICE("b:"), .version = 8},
	};
	(void)state;
	START(OK);
	assert_int_equal(cells_erase(cells, "t", erases, 4, &err), 0);
	expect_head(0, "DELETE /pc_t/awA/YTpx,Yjr_/7?e=b64 HTTP/1.1\r\n");
	expect_head(1, "DELETE /pc_t/awA/Yjo/8?e=b64 HTTP/1.1\r\n");
	expect_head(2, "DELETE /pc_t/bA/Yjo/8?e=b64 HTTP/1.1\r\n");
	end(3);
}

static void test_ensure(void **state)
{
	static const char *const families[] = {"a", "b", NULL};
	(void)state;
	/* It is not there, and made; the answer is lost, so it is looked at again, and not put again. */
	START(NO_TABLE, {.what = SCRIPT_CLOSE}, HAS_SCHEMA, OK, HAS_SCHEMA, OK, HAS_SCHEMA);
	assert_int_equal(cells_ensure(cells, "t", families, &err), 0);
	expect_head(1, "PUT /pc_t/schema HTTP/1.1\r\n");
	expect_body(
		1,
		"{\"name\":\"pc_t\",\"ColumnSchema\":["
		"{\"name\":\"a\",\"VERSIONS\":\"1\",\"BLOOMFILTER\":\"ROW\",\"DATA_BLOCK_ENCODING\":\"FAST_DIFF\"},"
		"{\"name\":\"b\",\"VERSIONS\":\"1\",\"BLOOMFILTER\":\"ROW\",\"DATA_BLOCK_ENCODING\":\"FAST_DIFF\"}]}");
	expect_head(2, "GET /pc_t/schema HTTP/1.1\r\n");
	/* The row behind all others. */
	expect_head(3, "PUT /pc_t/any HTTP/1.1\r\n");
	assert_int_equal(cells_ensure(cells, "t", families, &err), 0);
	assert_int_equal(cells_ensure(cells, "t", (const char *[]){"c", NULL}, &err), ERROR_EXISTS);
	end(7);
}

static void test_namespace(void **state)
{
	static const struct script_step steps[] = {NO_TABLE,
						   ROWS("{\"Namespace\":[\"default\",\"hbase\"]}"),
						   {.status = 201},
						   {.status = 201},
						   OK,
						   NO_TABLE,
						   ROWS("{\"Namespace\":[\"default\",\"pc\"]}"),
						   {.status = 201},
						   OK};
	struct cells_hbase_options options = quick();
	(void)state;
	script_start(&server, steps, sizeof(steps) / sizeof(*steps));
	options.prefix = "pc:";
	open_cells(options);
	assert_int_equal(cells_ensure(cells, "t", (const char *[]){"a", NULL}, &err), 0);
	expect_head(2, "POST /namespaces/pc HTTP/1.1\r\n");
	expect_head(3, "PUT /pc:t/schema HTTP/1.1\r\n");
	assert_int_equal(cells_ensure(cells, "t", (const char *[]){"a", NULL}, &err), 0);
	end(9);
}

static void test_health(void **state)
{
	struct cells_health health;
	struct cells_rights rights;
	(void)state;
	START({.status = 200,
	       .headers = JSON "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
	       .body = "{\"Version\":\"2.6.1-hadoop3\"}"},
	      ROWS("{\"REST\":\"0.0.3\",\"Version\":\"2.6.1\"}"),
	      ROWS("{\"LiveNodes\":[{\"Region\":[{},{}]},{\"Region\":[{}]}],\"DeadNodes\":[{\"name\":\"x\"}],"
		   "\"regions\":3}"),
	      ROWS("{\"table\":[{\"name\":\"other\"},{\"name\":\"pc_t\"},{\"name\":\"pc_u\"}]}"), HAS_SCHEMA,
	      {.status = 404, .body = "No rows found.\r\n"},
	      {.status = 403, .body = "Forbidden\r\norg.apache.AccessDeniedException: w\n"}, NO_TABLE,
	      {.status = 403, .body = "Forbidden\r\norg.apache.AccessDeniedException: schema\n"}, {.status = 503});
	assert_int_equal(cells_ping(cells, &health, &err), 0);
	assert_string_equal(health.what, "HBase 2.6.1-hadoop3, REST gateway 0.0.3");
	assert_true(health.servers == 2 && health.dead == 1 && health.regions == 3 && health.n_tables == 2);
	assert_memory_equal(health.tables.data, "t\0u\0", 4);
	const int64_t behind_s = clock_now_us() / 1000000 - 784111777;
	assert_true(health.has_clock && health.skew_ms / 1000 >= -behind_s - 10 &&
		    health.skew_ms / 1000 <= -behind_s + 10);
	cells_health_release(&health);
	assert_int_equal(cells_rights(cells, "t", "a", &rights, &err), 0);
	assert_true(rights.exists && rights.reads && !rights.writes);
	assert_non_null(strstr(rights.denial, "AccessDeniedException"));
	expect_head(6, "DELETE /pc_t/AHB1bmNoY2FyZA/YTo/1?e=b64 HTTP/1.1\r\n");
	assert_int_equal(cells_rights(cells, "t", "a", &rights, &err), 0);
	assert_true(!rights.exists && !rights.reads && !rights.writes);
	/* Who may not see a table is not told that it is missing. */
	assert_int_equal(cells_rights(cells, "t", "a", &rights, &err), 0);
	assert_true(rights.exists && !rights.reads && !rights.writes);
	assert_non_null(strstr(rights.denial, "AccessDeniedException: schema"));
	/* Asked once. */
	assert_int_equal(cells_ping(cells, &health, &err), ERROR_AWAY);
	cells_health_release(&health);
	end(10);
}

static void test_options(void **state)
{
	static const char *const wrong[] = {"a/b", "a b", ":", ":a", "a:b:", "-a", ".", "a%", "\xc3\xa9"};
	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct cells_hbase_options options = quick();
		options.http.url = "http://127.0.0.1:1";
		options.prefix = wrong[i];
		assert_int_equal(cells_open_hbase(&options, &cells, &err), ERROR_CONFIG);
	}
	struct cells_hbase_options options = quick();
	options.http.url = "127.0.0.1";
	assert_int_equal(cells_open_hbase(&options, &cells, &err), ERROR_CONFIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_put),
		cmocka_unit_test(test_put_again),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_away),
		cmocka_unit_test(test_no_table),
		cmocka_unit_test(test_bad_row_of_a_batch),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_get),
		cmocka_unit_test(test_get_of_no_gateway),
		cmocka_unit_test(test_uri_limit),
		cmocka_unit_test(test_scan),
		cmocka_unit_test(test_scanner_lost),
		cmocka_unit_test(test_scan_ends_early),
		cmocka_unit_test(test_end_is_put),
		cmocka_unit_test(test_end_does_not_stay),
		cmocka_unit_test(test_no_end),
		cmocka_unit_test(test_scan_of_no_table),
		cmocka_unit_test(test_erase),
		cmocka_unit_test(test_ensure),
		cmocka_unit_test(test_namespace),
		cmocka_unit_test(test_health),
		cmocka_unit_test(test_options),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
