/* What the warehouse asks WebHDFS, and what it makes of answers, beside a server that plays a script. A real one: tests/cluster. */
#include "store/warehouse.h"

#include "../net/script_server.h"

static struct script_server server;
static struct warehouse *warehouse;
static struct error err;

#define MISSING \
	"{\"RemoteException\":{\"exception\":\"FileNotFoundException\",\"message\":\"File does not exist: /x\"}}"
#define FILE_OF(size) "{\"FileStatus\":{\"type\":\"FILE\",\"length\":" #size ",\"modificationTime\":1796013000123}}"

/* In `location` stands where data goes: this server itself. */
static char location[256];
static char location_header[256];

static void start(const struct script_step *steps, unsigned n, uint32_t patience_ms)
{
	script_start(&server, steps, n);
	snprintf(location, sizeof(location), "{\"Location\":\"%s/data?op=CREATE&token=secret\"}", server.url);
	snprintf(location_header, sizeof(location_header), "Location: %s/data?op=CREATE\r\n", server.url);
	const struct warehouse_hdfs_options options = {
		.url = server.url, .root = "/user/p q/", .writer = "w", .user = "me", .patience_ms = patience_ms};
	assert_int_equal(warehouse_open_hdfs(&options, &warehouse, &err), 0);
}

static void stop(void)
{
	warehouse_close(warehouse);
	script_stop(&server);
	script_forget(&server);
}

static void expect_head(unsigned i, const char *begin)
{
	assert_true(i < server.n_requests);
	if (strncmp(server.requests[i].head, begin, strlen(begin)) != 0)
		fail_msg("request %u is %s", i, server.requests[i].head);
}

#define ROOT "/webhdfs/v1/user/p%20q"

static void test_put(void **state)
{
	(void)state;
	const struct script_step steps[] = {{.status = 404, .body = MISSING},
					    {.status = 200, .body = location},
					    {.status = 201},
					    {.status = 200, .body = FILE_OF(4)}, /* one byte is missing */
					    {.status = 200, .body = location},
					    {.status = 201},
					    {.status = 200, .body = FILE_OF(5)},
					    {.status = 200}};
	start(steps, 8, 5000);
	assert_int_equal(warehouse_put_bytes(warehouse, "d=1/f", SLICE("bytes"), &err), 0);
	assert_int_equal(server.n_requests, 8);
	expect_head(0, "GET " ROOT "/d=1/f?op=GETFILESTATUS&user.name=me HTTP");
	expect_head(1, "PUT " ROOT "/_tmp/w/");
	assert_non_null(strstr(server.requests[1].head, "?op=CREATE&overwrite=true&noredirect=true&user.name=me HTTP"));
	expect_head(2, "PUT /data?op=CREATE&token=secret HTTP");
	assert_int_equal(server.requests[2].body.len, 5);
	assert_non_null(strstr(server.requests[2].head, "Content-Type: application/octet-stream\r\n"));
	expect_head(5, "PUT /data?op=CREATE&token=secret HTTP");
	assert_non_null(strstr(server.requests[7].head,
			       "?op=RENAME&renameoptions=NONE&destination=/user/p%20q/d%3D1/f&user.name=me HTTP"));
	stop();
}

/* Servers that do not know noredirect redirect. */
static void test_put_by_redirect(void **state)
{
	(void)state;
	const struct script_step steps[] = {{.status = 404, .body = MISSING},
					    {.status = 307, .headers = location_header},
					    {.status = 201},
					    {.status = 200, .body = FILE_OF(5)},
					    {.status = 200}};
	start(steps, 5, 5000);
	assert_int_equal(warehouse_put_bytes(warehouse, "f", SLICE("bytes"), &err), 0);
	assert_int_equal(server.n_requests, 5);
	expect_head(2, "PUT /data?op=CREATE HTTP");
	stop();
}

/* Only an answer that says so is taken for a rename. */
static void test_rename_that_was_none(void **state)
{
	(void)state;
	const struct script_step steps[] = {{.status = 302, .headers = "Location: https://login.invalid/\r\n"},
					    {.status = 200, .body = "<html>log in</html>"},
					    {.status = 200, .body = "{\"boolean\":false}"},
					    {.status = 200, .body = "{\"boolean\":true}"},
					    {.status = 200}};
	start(steps, 5, 1);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(warehouse_rename(warehouse, "a", "b", &err), ERROR_IO);
		assert_non_null(strstr(err.message, "and not done"));
	}
	assert_int_equal(warehouse_rename(warehouse, "a", "b", &err), 0);
	assert_int_equal(warehouse_rename(warehouse, "a", "b", &err), 0);
	stop();
}

static void test_there_already(void **state)
{
	(void)state;
	const struct script_step steps[] = {{.status = 200, .body = FILE_OF(5)}, {.status = 200, .body = FILE_OF(6)}};
	start(steps, 2, 5000);
	assert_int_equal(warehouse_put_bytes(warehouse, "f", SLICE("bytes"), &err), 0);
	assert_int_equal(warehouse_put_bytes(warehouse, "f", SLICE("bytes"), &err), ERROR_EXISTS);
	assert_int_equal(server.n_requests, 2);
	stop();
}

static void test_exceptions(void **state)
{
	(void)state;
	static const struct {
		const char *exception;
		const char *message;
		int code;
	} cases[] = {
		{"StandbyException", "Operation category READ is not supported in state standby", ERROR_AWAY},
		{"RetriableException", "NameNode still not started", ERROR_AWAY},
		{"SafeModeException", "Cannot create file/x. Name node is in safe mode.", ERROR_AWAY},
		{"IOException", "Failed to find datanode, suggest to check cluster health. excludeDatanodes=null",
		 ERROR_AWAY},
		{"IOException", "File /x could only be written to 0 of the 1 minReplication nodes.", ERROR_AWAY},
		{"IOException", "something else", ERROR_IO},
		{"AccessControlException", "Permission denied: user=me, access=WRITE", ERROR_DENIED},
		{"AccessControlException", "/x (is not a directory)", ERROR_EXISTS},
		{"DSQuotaExceededException", "The DiskSpace quota of /x is exceeded", ERROR_NO_SPACE},
		{"NSQuotaExceededException", "The NameSpace quota of /x is exceeded", ERROR_NO_SPACE},
		{"SecurityException", "InvalidToken: token is expired", ERROR_DENIED},
		{"UnheardOfException", "what\\n\\tat a.stack", ERROR_IO},
	};
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char body[512];
		snprintf(body, sizeof(body),
			 "{\"RemoteException\":{\"exception\":\"%s\",\"javaClassName\":\"x\",\"message\":\"%s\"}}",
			 cases[i].exception, cases[i].message);
		const struct script_step steps[] = {{.status = 403, .body = body}};
		start(steps, 1, 1);
		assert_int_equal(warehouse_make_dir(warehouse, "d", &err), cases[i].code);
		assert_non_null(strstr(err.message, cases[i].exception));
		assert_null(strstr(err.message, "stack"));
		stop();
	}
	const struct script_step steps[] = {
		{.status = 404, .body = "<html>"}, {.status = 401}, {.status = 200, .body = "<html>"}};
	start(steps, 3, 1);
	assert_int_equal(warehouse_make_dir(warehouse, "d", &err), ERROR_IO);
	assert_non_null(strstr(err.message, "no WebHDFS at this URL"));
	assert_int_equal(warehouse_make_dir(warehouse, "d", &err), ERROR_DENIED);
	assert_int_equal(warehouse_make_dir(warehouse, "d", &err), ERROR_IO);
	assert_non_null(strstr(err.message, "no JSON"));
	stop();
}

static void test_again_by_exception(void **state)
{
	(void)state;
	const struct script_step steps[] = {
		{.status = 403,
		 .body = "{\"RemoteException\":{\"exception\":\"RetriableException\",\"message\":\"starts\"}}"},
		{.status = 500, .body = "{\"RemoteException\":{\"exception\":\"AnyException\",\"message\":\"x\"}}"},
		{.status = 200, .body = "{\"boolean\":true}"}};
	start(steps, 3, 10000);
	assert_int_equal(warehouse_make_dir(warehouse, "d", &err), 0);
	assert_int_equal(server.n_requests, 3);
	stop();
}

/* Of two NameNodes both are told: the one that is standby, and the one that is gone. */
static void test_both_name_nodes(void **state)
{
	(void)state;
	static const char STANDBY[] =
		"{\"RemoteException\":{\"exception\":\"StandbyException\",\"message\":\"state standby\"}}";
	struct script_step steps[40];
	for (unsigned i = 0; i < 40; i++)
		steps[i] = (struct script_step){.status = 403, .body = STANDBY};
	start(steps, 40, 1);
	warehouse_close(warehouse);
	_cleanup_free_ char *urls = text_printf("http://127.0.0.1:9,%s", server.url);
	const struct warehouse_hdfs_options options = {.url = urls, .root = "/p", .writer = "w", .patience_ms = 1000};
	assert_int_equal(warehouse_open_hdfs(&options, &warehouse, &err), 0);
	struct warehouse_health health;
	assert_int_equal(warehouse_make_dir(warehouse, "d", &err), ERROR_AWAY);
	assert_true(strstr(err.message, "http://127.0.0.1:9: ") && strstr(err.message, "StandbyException"));
	assert_int_equal(warehouse_ping(warehouse, false, &health, &err), ERROR_AWAY);
	assert_true(strstr(err.message, "http://127.0.0.1:9: ") && strstr(err.message, "StandbyException"));
	stop();
}

static int join_names(void *context, const char *name, const struct warehouse_stat *stat, struct error *problem)
{
	(void)problem;
	return buf_printf(context, "%s:%llu ", name, (unsigned long long)stat->size);
}

#define ENTRY(name, size) "{\"pathSuffix\":\"" name "\",\"type\":\"FILE\",\"length\":" #size ",\"modificationTime\":1}"
#define BATCH(left, entries)                                                                    \
	"{\"DirectoryListing\":{\"partialListing\":{\"FileStatuses\":{\"FileStatus\":[" entries \
	"]}},\"remainingEntries\":" #left "}}"

static void test_list(void **state)
{
	(void)state;
	const struct script_step steps[] = {{.status = 200, .body = "{\"FileStatus\":{\"type\":\"DIRECTORY\"}}"},
					    {.status = 200, .body = BATCH(1, ENTRY("a", 1) "," ENTRY("b&c", 2))},
					    {.status = 200, .body = BATCH(0, ENTRY("d", 5000000000))}};
	_cleanup_buf_ struct buf names = {0};
	start(steps, 3, 5000);
	assert_int_equal(warehouse_list(warehouse, "", join_names, &names, &err), 0);
	assert_string_equal(buf_text(&names), "a:1 b&c:2 d:5000000000 ");
	expect_head(1, "GET " ROOT "?op=LISTSTATUS_BATCH&user.name=me HTTP");
	expect_head(2, "GET " ROOT "?op=LISTSTATUS_BATCH&startafter=b%26c&user.name=me HTTP");
	stop();
}

static void test_rename_that_does_nothing(void **state)
{
	(void)state;
	const struct script_step steps[] = {{.status = 200, .body = "{\"boolean\":false}"}};
	start(steps, 1, 5000);
	assert_int_equal(warehouse_rename(warehouse, "a", "b", &err), ERROR_IO);
	stop();
}

static void test_bad_options(void **state)
{
	(void)state;
	static const struct warehouse_hdfs_options bad[] = {
		{.url = "namenode", .root = "/r", .writer = "w"},
		{.url = "http://a,", .root = "/r", .writer = "w"},
		{.url = "http://a", .root = "relative", .writer = "w"},
		{.url = "http://a", .root = "/a//b", .writer = "w"},
		{.url = "http://a", .root = "/r", .writer = "a/b"},
		{.url = "http://a", .root = "/r", .writer = ""},
		{.url = "http://a,http://b,http://c,http://d,http://e", .root = "/r", .writer = "w"},
	};
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(warehouse_open_hdfs(&bad[i], &warehouse, &err), ERROR_CONFIG);
	const struct warehouse_hdfs_options token = {.url = "http://a",
						     .root = "/r",
						     .writer = "w",
						     .auth = WAREHOUSE_AUTH_TOKEN,
						     .token_file = "/nonexistent/token"};
	assert_int_equal(warehouse_open_hdfs(&token, &warehouse, &err), ERROR_NOT_FOUND);
	const struct warehouse_hdfs_options none = {
		.url = "http://a", .root = "/r", .writer = "w", .auth = WAREHOUSE_AUTH_TOKEN};
	assert_int_equal(warehouse_open_hdfs(&none, &warehouse, &err), ERROR_CONFIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_put),
		cmocka_unit_test(test_put_by_redirect),
		cmocka_unit_test(test_rename_that_was_none),
		cmocka_unit_test(test_there_already),
		cmocka_unit_test(test_exceptions),
		cmocka_unit_test(test_again_by_exception),
		cmocka_unit_test(test_both_name_nodes),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_rename_that_does_nothing),
		cmocka_unit_test(test_bad_options),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
