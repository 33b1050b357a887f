/*
 * The conformance suite of store/cells.h on LMDB, alone and behind faults; on the HBase driver beside a gateway that is none, alone and
 * with faults; and, where PUNCHCARD_TEST_HBASE names the URL of a REST gateway, on HBase. PUNCHCARD_TEST_HBASE_PROXY may name another URL of the same gateway, behind a proxy that loses requests and
 * answers.
 */
#include "cells_suite.h"
#include "fake_gateway.h"
#include "faulty_cells.h"

#include "base/clock.h"
#include "base/file.h"

#include <unistd.h>

static struct cells *open_lmdb(char *dir)
{
	struct cells *cells = NULL;
	struct error err = {0};
	memcpy(strrchr(dir, '-') + 1, "XXXXXX", 6);
	if (!mkdtemp(dir) || cells_open_lmdb(dir, &(struct cells_lmdb_options){.map_gib = 1}, &cells, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		abort();
	}
	return cells;
}

static int run_lmdb(const char *name, unsigned percent)
{
	char dir[] = "/tmp/punchcard-test-cells-XXXXXX";
	struct error err = {0};
	suite.cells = open_lmdb(dir);
	if (percent)
		suite.cells = faulty_cells(suite.cells, 1, percent);
	snprintf(suite.table, sizeof(suite.table), "suite");
	const int failed = cells_suite_run(name);
	cells_close(suite.cells);
	file_remove_tree(dir, &err);
	return failed;
}

#define LANES 5u

static void drop_table(const char *url)
{
	struct http_options options = HTTP_OPTIONS_DEFAULT;
	struct http *http = NULL;
	_cleanup_http_answer_ struct http_answer answer = {0};
	char path[128];
	options.url = url;
	snprintf(path, sizeof(path), "/pct_%s/schema", suite.table);
	if (http_open(&options, &http, NULL) == 0)
		http_ask(http, &(struct http_request){.method = HTTP_DELETE, .path = path}, &answer, NULL);
	http_close(http);
}

/* By options that are so small that the suite's batches, keys and rows go over each of them. */
static struct cells *open_hbase(const char *url, uint32_t silence_ms, unsigned divisor, size_t answer_bytes)
{
	struct cells_hbase_options options = CELLS_HBASE_OPTIONS_DEFAULT;
	struct cells *cells = NULL;
	struct error err = {0};
	options.http.url = url;
	options.http.retry.first_ms = 20;
	options.http.retry.most_ms = 500;
	options.http.silence_ms = silence_ms;
	options.http.answer_bytes = answer_bytes;
	options.prefix = "pct_";
	options.batch_rows = 150;
	options.uri_bytes = 4000 / divisor;
	options.get_rows = 130 / divisor;
	options.page_cells = 23;
	options.lanes = LANES;
	if (cells_open_hbase(&options, &cells, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		abort();
	}
	return cells;
}

static int run_fake(const char *name, uint64_t seed, unsigned one_in)
{
	static struct fake_gateway gateway;
	char dir[] = "/tmp/punchcard-test-cells-XXXXXX";
	struct error err = {0};
	struct cells *const store = open_lmdb(dir);
	fake_start(&gateway, store, seed, one_in);
	suite.cells = open_hbase(gateway.server.url, one_in ? 1000 : 10000, 3, 3000);
	snprintf(suite.table, sizeof(suite.table), "suite");
	int failed = cells_suite_run(name);
	cells_close(suite.cells);
	fake_stop(&gateway);
	/* Many erases go by all of the driver's connections. */
	failed += !one_in && gateway.n_connections < LANES;
	cells_close(store);
	file_remove_tree(dir, &err);
	/* Faults that never come prove nothing. */
	return failed + (one_in && gateway.faults < 10);
}

static int run_hbase(const char *name, const char *url, const char *drop_url, unsigned percent)
{
	static unsigned runs;
	suite.cells = open_hbase(url, 10000, 1, 1 << 20);
	if (percent)
		suite.cells = faulty_cells(suite.cells, 2, percent);
	snprintf(suite.table, sizeof(suite.table), "suite-%lld-%d-%u", (long long)(clock_now_us() / 1000000), getpid(),
		 ++runs);
	const int failed = cells_suite_run(name);
	cells_close(suite.cells);
	drop_table(drop_url);
	return failed;
}

int main(void)
{
	const char *const url = getenv("PUNCHCARD_TEST_HBASE");
	const char *const proxy = getenv("PUNCHCARD_TEST_HBASE_PROXY");
	int failed = run_lmdb("LMDB", 0);
	failed += run_lmdb("LMDB, of ten calls four fail", 40);
	suite.small = true;
	failed += run_fake("HBase's driver", 1, 0);
	failed += run_fake("HBase's driver, of six requests one goes wrong", 2, 6);
	if (url) {
		failed += run_hbase("HBase", url, url, 0);
		failed += run_hbase("HBase, of ten calls two fail", url, url, 20);
	}
	if (proxy)
		failed += run_hbase("HBase behind a proxy", proxy, url ? url : proxy, 0);
	return failed;
}
