/* Opening, running, sources, scans, errors. */
#include "engine/engine.h"

#include "base/file.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static struct engine *engine;
static struct error err;
static char dir[64];

static int open_engine(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/punchcard-engine-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	err = (struct error){0};
	return engine_open(&(struct engine_options){.memory_mib = 256, .threads = 2, .tmp_dir = dir}, &engine, &err);
}

static int close_engine(void **state)
{
	(void)state;
	engine_close(engine);
	engine = NULL;
	return file_remove_tree(dir, &err);
}

static int64_t run_int64(const char *sql)
{
	int64_t value = 0;
	const int rc = engine_run_int64(engine, sql, &value, &err);
	if (rc < 0)
		print_message("%s\n", err.message);
	assert_int_equal(rc, 0);
	return value;
}

static void run(const char *sql)
{
	const int rc = engine_run(engine, sql, &err);
	if (rc < 0)
		print_message("%s\n", err.message);
	assert_int_equal(rc, 0);
}

static void test_run(void **state)
{
	(void)state;
	run("CREATE TABLE t AS SELECT 42 AS a; INSERT INTO t VALUES (43)");
	assert_int_equal(run_int64("SELECT sum(a) FROM t"), 85); /* HUGEINT */
	assert_int_equal(run_int64("SELECT DATE '1970-01-03'"), 2);
	assert_int_equal(run_int64("SELECT TIMESTAMP '1970-01-01 00:00:01'"), 1000000);
	assert_int_equal(run_int64("SELECT NULL::BIGINT"), 0);
	assert_int_equal(run_int64("SELECT (-5)::TINYINT"), -5);
	assert_int_equal(run_int64("SELECT -(2::HUGEINT ** 63)::HUGEINT"), INT64_MIN);
	assert_int_equal(run_int64("SELECT 1 = 1"), 1);
	assert_int_equal(run_int64("SELECT count(*) FROM range(100000)"), 100000);
}

static void test_run_int64_refuses(void **state)
{
	(void)state;
	int64_t value = 7;
	assert_int_equal(engine_run_int64(engine, "SELECT 1 WHERE false", &value, &err), ERROR_SQL);
	assert_int_equal(engine_run_int64(engine, "SELECT 1, 2", &value, &err), ERROR_SQL);
	assert_int_equal(engine_run_int64(engine, "FROM range(2)", &value, &err), ERROR_SQL);
	assert_int_equal(engine_run_int64(engine, "FROM range(10000)", &value, &err), ERROR_SQL);
	assert_int_equal(engine_run_int64(engine, "SELECT 'a'", &value, &err), ERROR_SQL);
	assert_int_equal(engine_run_int64(engine, "SELECT 9223372036854775808::HUGEINT", &value, &err), ERROR_OVERFLOW);
	assert_int_equal(engine_run_int64(engine, "SELECT 9223372036854775808::UBIGINT", &value, &err), ERROR_OVERFLOW);
	assert_int_equal(engine_run_int64(engine, "SELECT 1; SELECT 2", &value, &err), ERROR_SQL);
	assert_int_equal(value, 7);
	assert_int_equal(run_int64("SELECT 8"), 8);
}

static void test_settings(void **state)
{
	(void)state;
	assert_int_equal(run_int64("SELECT (current_setting('TimeZone') = 'UTC')::INT"), 1);
	assert_int_equal(run_int64("SELECT current_setting('threads')"), 2);
	assert_int_equal(run_int64("SELECT (NOT current_setting('autoload_known_extensions')"
				   " AND NOT current_setting('autoinstall_known_extensions'))::INT"),
			 1);
	assert_int_equal(engine_run(engine, "LOAD spatial", &err), ERROR_SQL);
}

/* ---- errors ---- */

static void test_error_messages(void **state)
{
	(void)state;
	assert_int_equal(engine_run(engine, "SELECT nothing FROM (SELECT 1 AS thing)", &err), ERROR_SQL);
	assert_null(strstr(err.message, "Binder Error"));
	assert_non_null(strstr(err.message, "\"nothing\" not found"));
	assert_non_null(strstr(err.message, "LINE 1: SELECT nothing"));
	assert_int_equal(engine_run(engine, "SELEC 1", &err), ERROR_SQL);
	assert_memory_equal(err.message, "syntax error at or near", 23);
	assert_int_equal(engine_run(engine, "SELECT error('My Error: kept')", &err), ERROR_SQL);
	assert_string_equal(err.message, "My Error: kept");
}

static void test_error_codes(void **state)
{
	(void)state;
	assert_int_equal(engine_run(engine, "FROM read_parquet('/nonexistent/*.parquet')", &err), ERROR_NOT_FOUND);
	assert_int_equal(engine_run(engine, "COPY (SELECT 1) TO '/nonexistent/x.parquet'", &err), ERROR_NOT_FOUND);
	assert_int_equal(engine_run(engine, "COPY (FROM range(1000000)) TO '/dev/full' (FORMAT csv)", &err),
			 ERROR_NO_SPACE);
	struct engine *small = NULL;
	assert_int_equal(engine_open(&(struct engine_options){.memory_mib = 40, .threads = 1}, &small, &err), 0);
	assert_int_equal(
		engine_run(small,
			   "CREATE TABLE t AS SELECT hash(range)::VARCHAR || uuid()::VARCHAR || uuid()::VARCHAR"
			   " FROM range(3000000)",
			   &err),
		ERROR_NO_MEMORY);
	assert_null(strstr(err.message, "SET "));
	assert_non_null(strstr(err.message, "punchcard.yaml"));
	engine_close(small);
	char tmp[80];
	snprintf(tmp, sizeof(tmp), "%s/spill", dir);
	assert_int_equal(
		engine_open(&(struct engine_options){.memory_mib = 40, .threads = 1, .tmp_dir = tmp, .tmp_max_mib = 10},
			    &small, &err),
		0);
	assert_int_equal(
		engine_run(small,
			   "CREATE TABLE t AS SELECT hash(range)::VARCHAR || uuid()::VARCHAR || uuid()::VARCHAR"
			   " FROM range(3000000)",
			   &err),
		ERROR_NO_SPACE);
	engine_close(small);
}

static void write_file(const char *name, const char *data, size_t len)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(file_write_durable(path, data, len, &err), 0);
}

static void test_corrupt_parquet(void **state)
{
	(void)state;
	char sql[256];
	snprintf(sql, sizeof(sql),
		 "COPY (SELECT range a, repeat('x', 50) || range b FROM range(100000)) TO '%s/good.parquet'", dir);
	run(sql);
	char path[128];
	snprintf(path, sizeof(path), "%s/good.parquet", dir);
	_cleanup_buf_ struct buf good = {0};
	assert_int_equal(file_read_all(path, 100000000, &good, &err), 0);
	snprintf(sql, sizeof(sql), "SELECT count(a) + max(length(b)) FROM read_parquet('%s/bad.parquet')", dir);
	/* Cut and overwritten at many places: an error that names the file or (data bytes) a result, never a crash. */
	for (size_t i = 0; i < 40; i++) {
		write_file("bad.parquet", good.data, good.len * i / 40);
		int64_t value = 0;
		assert_int_equal(engine_run_int64(engine, sql, &value, &err), ERROR_CORRUPT);
		assert_non_null(strstr(err.message, "bad.parquet"));
	}
	for (size_t i = 0; i < 200; i++) {
		_cleanup_buf_ struct buf bad = {0};
		assert_int_equal(buf_append(&bad, good.data, good.len), 0);
		const size_t at = i < 100 ? good.len * i / 100 : good.len - 1 - (i - 100) * 4;
		memset(bad.data + at, 0xa5, good.len - at < 8 ? good.len - at : 8);
		write_file("bad.parquet", bad.data, bad.len);
		int64_t value = 0;
		const int rc = engine_run_int64(engine, sql, &value, &err);
		if (rc != 0 && rc != ERROR_CORRUPT)
			print_message("at %zu of %zu: %d %s\n", at, good.len, rc, err.message);
		assert_true(rc == 0 || rc == ERROR_CORRUPT);
	}
}

/* ---- sources ---- */

struct numbers {
	uint32_t limit;
	uint32_t fail_at; /* fill fails at this row; 0: never */
	bool fail_start;
	unsigned started;
	unsigned stopped;
	bool wanted[7];
};

struct numbers_state {
	uint32_t next;
};

static const struct engine_column COLUMNS[] = {
	{"id", ENGINE_BIGINT},     {"n", ENGINE_INTEGER},           {"day", ENGINE_DATE},
	{"tms", ENGINE_TIMESTAMP}, {"amount", ENGINE_DECIMAL_18_2}, {"points", ENGINE_DECIMAL_18_3},
	{"text", ENGINE_VARCHAR},
};

static int start_numbers(void *context, void **out, struct error *e)
{
	struct numbers *const numbers = context;
	if (numbers->fail_start)
		return error_set(e, ERROR_LOCKED, "no start for you");
	struct numbers_state *const scan = calloc(1, sizeof(*scan));
	numbers->started++;
	*out = scan;
	return 0;
}

static int fill_numbers(void *context, void *state, struct engine_batch *batch, uint32_t *rows, struct error *e)
{
	struct numbers *const numbers = context;
	struct numbers_state *const scan = state;
	int64_t *const id = engine_batch_values(batch, 0);
	int32_t *const n = engine_batch_values(batch, 1);
	int32_t *const day = engine_batch_values(batch, 2);
	int64_t *const tms = engine_batch_values(batch, 3);
	int64_t *const amount = engine_batch_values(batch, 4);
	int64_t *const points = engine_batch_values(batch, 5);
	for (unsigned c = 0; c < 7; c++)
		numbers->wanted[c] = engine_batch_wants(batch, c);
	uint32_t row = 0;
	/* Uneven batches. */
	const uint32_t most = scan->next % 3 ? ENGINE_BATCH_ROWS : 1000;
	for (; row < most && scan->next < numbers->limit; row++, scan->next++) {
		const uint32_t i = scan->next;
		if (numbers->fail_at && i == numbers->fail_at)
			return error_set(e, ERROR_CORRUPT, "block %u is damaged", i);
		id[row] = i;
		n[row] = -(int32_t)i;
		day[row] = (int32_t)(i % 30000);
		tms[row] = INT64_C(1000000) * i;
		amount[row] = i * 5;
		points[row] = i * 7;
		char text[64];
		/* Lengths on both sides of the inlined form's 12. */
		const int len = snprintf(text, sizeof(text), "%0*uäö", (int)(i % 20), i);
		engine_batch_text(batch, 6, row, (struct slice){text, (size_t)len});
		if (i % 10 == 3)
			engine_batch_null(batch, 1, row);
		if (i % 10 == 4)
			engine_batch_null(batch, 6, row);
	}
	*rows = row;
	return 0;
}

static void stop_numbers(void *context, void *state)
{
	struct numbers *const numbers = context;
	numbers->stopped++;
	free(state);
}

static void register_numbers(struct numbers *numbers, const char *name)
{
	const struct engine_source source = {.name = name,
					     .columns = COLUMNS,
					     .n_columns = 7,
					     .start = start_numbers,
					     .fill = fill_numbers,
					     .stop = stop_numbers,
					     .context = numbers};
	assert_int_equal(engine_register_source(engine, &source, &err), 0);
}

static void test_source(void **state)
{
	(void)state;
	struct numbers numbers = {.limit = 100003};
	register_numbers(&numbers, "numbers");
	run("CREATE TABLE t AS SELECT * FROM numbers()");
	assert_int_equal(numbers.started, 1);
	assert_int_equal(numbers.stopped, 1);
	assert_int_equal(run_int64("SELECT count(*) FROM t"), 100003);
	assert_int_equal(run_int64("SELECT count(*) FROM t WHERE id <> rowid"), 0); /* the order */
	assert_int_equal(run_int64("SELECT count(*) FROM t WHERE n IS NULL"), 10000);
	assert_int_equal(run_int64("SELECT count(*) FROM t WHERE n IS NOT NULL AND n <> -id"), 0);
	assert_int_equal(run_int64("SELECT count(*) FROM t WHERE epoch(tms) <> id"), 0);
	assert_int_equal(run_int64("SELECT count(*) FROM t WHERE day <> DATE '1970-01-01' + (id % 30000)::INT"), 0);
	assert_int_equal(run_int64("SELECT count(*) FROM t WHERE amount <> id * 0.05 OR points <> id * 0.007"), 0);
	assert_int_equal(
		run_int64("SELECT count(*) FROM t WHERE text IS NOT NULL"
			  " AND text <> lpad(id::VARCHAR, greatest(id % 20, length(id::VARCHAR))::INT, '0') || 'äö'"),
		0);
	assert_int_equal(run_int64("SELECT count(*) FROM t WHERE text IS NULL AND id % 10 <> 4"), 0);
	assert_int_equal(
		run_int64("SELECT count(*) FROM (DESCRIBE t) WHERE column_type IN ('BIGINT', 'INTEGER', 'DATE',"
			  " 'TIMESTAMP', 'DECIMAL(18,2)', 'DECIMAL(18,3)', 'VARCHAR')"),
		7);
}

/* Any bytes, of lengths on both sides of the inlined form's, go in and come out as they are. */
static const char BYTES[] = "\0\xff'\\x\n\x80 0123456789 \xc3\x28";

static int fill_bytes(void *context, void *state, struct engine_batch *batch, uint32_t *rows, struct error *e)
{
	(void)state;
	(void)e;
	bool *const done = context;
	for (uint32_t row = 0; !*done && row < sizeof(BYTES); row++)
		engine_batch_text(batch, 0, row, (struct slice){BYTES, row});
	if (!*done)
		engine_batch_null(batch, 0, 3);
	*rows = *done ? 0 : sizeof(BYTES);
	*done = true;
	return 0;
}

static void test_blob(void **state)
{
	(void)state;
	bool done = false;
	const struct engine_column column = {"bytes", ENGINE_BLOB};
	const struct engine_source source = {
		.name = "blobs", .columns = &column, .n_columns = 1, .fill = fill_bytes, .context = &done};
	assert_int_equal(engine_register_source(engine, &source, &err), 0);
	assert_string_equal(engine_type_sql(ENGINE_BLOB), "BLOB");
	struct engine_scan *scan = NULL;
	assert_int_equal(engine_scan_open(engine, "SELECT bytes FROM blobs()", &scan, &err), 0);
	assert_int_equal(engine_scan_type(scan, 0), ENGINE_BLOB);
	uint32_t rows = 0;
	assert_int_equal(engine_scan_next(scan, &rows, &err), 0);
	assert_int_equal(rows, sizeof(BYTES));
	for (uint32_t row = 0; row < rows; row++) {
		assert_int_equal(engine_scan_is_null(scan, 0, row), row == 3);
		if (row == 3)
			continue;
		const struct slice bytes = engine_scan_text(scan, 0, row);
		assert_int_equal(bytes.len, row);
		assert_memory_equal(bytes.data, BYTES, row);
	}
	engine_scan_close(scan);
}

/* Names stand in the batch as numbers, and are texts in SQL and in Parquet. */
static int fill_names(void *context, void *state, struct engine_batch *batch, uint32_t *rows, struct error *e)
{
	(void)state;
	(void)e;
	bool *const done = context;
	*rows = *done ? 0 : 4;
	for (uint32_t row = 0; row < *rows; row++)
		((uint8_t *)engine_batch_values(batch, 1))[row] = (uint8_t)(row % 3);
	if (!*done)
		engine_batch_null(batch, 1, 3);
	for (uint32_t row = 0; row < *rows; row++)
		((int64_t *)engine_batch_values(batch, 0))[row] = row;
	*done = true;
	return 0;
}

static void test_names(void **state)
{
	(void)state;
	bool done = false;
	const struct engine_column columns[] = {{"id", ENGINE_BIGINT}, {"kind", ENGINE_NAME}};
	const char *const texts[] = {"earn", "a name of more than twelve bytes", "tier"};
	const struct engine_names names[] = {{NULL, 0}, {texts, 3}};
	const struct engine_source source = {.name = "named",
					     .columns = columns,
					     .n_columns = 2,
					     .names = names,
					     .fill = fill_names,
					     .context = &done};
	assert_int_equal(engine_register_source(engine, &source, &err), 0);
	run("CREATE TABLE kinds AS SELECT * FROM named()");
	assert_int_equal(
		run_int64("SELECT count(*) FROM kinds WHERE kind = 'earn' AND id = 0 OR "
			  "kind = 'a name of more than twelve bytes' AND id = 1 OR kind = 'tier' AND id = 2 OR "
			  "kind IS NULL AND id = 3"),
		4);
	assert_string_equal(engine_type_sql(ENGINE_NAME), "VARCHAR");
}

static void test_source_projection(void **state)
{
	(void)state;
	struct numbers numbers = {.limit = 5000};
	register_numbers(&numbers, "numbers");
	assert_int_equal(run_int64("SELECT count(*) FROM numbers()"), 5000);
	unsigned n_wanted = 0;
	for (unsigned c = 0; c < 7; c++)
		n_wanted += numbers.wanted[c];
	assert_true(n_wanted <= 1);
	assert_int_equal(run_int64("SELECT count(text) + max(amount)::BIGINT FROM numbers() WHERE id % 2 = 0"),
			 2000 + 250);
	assert_true(numbers.wanted[0] && numbers.wanted[4] && numbers.wanted[6]);
	assert_false(numbers.wanted[1] || numbers.wanted[2] || numbers.wanted[3] || numbers.wanted[5]);
	/* Columns out of order, one of them twice. */
	assert_int_equal(run_int64("SELECT sum((points * 1000)::BIGINT - 7 * id)"
				   " FROM (SELECT points, amount, id, points AS p FROM numbers())"),
			 0);
	/* Two scans at once. */
	assert_int_equal(run_int64("SELECT count(*) FROM numbers() a JOIN numbers() b USING (id)"), 5000);
	assert_int_equal(run_int64("SELECT max(id) FROM (FROM numbers() LIMIT 3)"), 2);
	assert_int_equal(numbers.started, numbers.stopped);
}

static void test_source_empty_and_twice(void **state)
{
	(void)state;
	struct numbers none = {.limit = 0};
	register_numbers(&none, "numbers");
	assert_int_equal(run_int64("SELECT count(*) FROM numbers()"), 0);
	const struct engine_source again = {
		.name = "NUMBERS", .columns = COLUMNS, .n_columns = 7, .fill = fill_numbers, .context = &none};
	assert_int_equal(engine_register_source(engine, &again, &err), ERROR_EXISTS);
}

static void test_source_errors(void **state)
{
	(void)state;
	struct numbers numbers = {.limit = 100000, .fail_at = 5000};
	register_numbers(&numbers, "numbers");
	assert_int_equal(engine_run(engine, "CREATE TABLE t AS FROM numbers()", &err), ERROR_CORRUPT);
	assert_string_equal(err.message, "block 5000 is damaged");
	int64_t value = 0;
	assert_int_equal(engine_run_int64(engine, "SELECT count(*) FROM numbers()", &value, &err), ERROR_CORRUPT);
	numbers.fail_start = true;
	assert_int_equal(engine_run(engine, "CREATE TABLE t AS FROM numbers()", &err), ERROR_LOCKED);
	assert_string_equal(err.message, "no start for you");
	/* A later statement's own error is not masked by it. */
	assert_int_equal(engine_run(engine, "SELEC", &err), ERROR_SQL);
	numbers.fail_start = false;
	numbers.fail_at = 0;
	assert_int_equal(run_int64("SELECT count(*) FROM numbers()"), 100000);
	assert_int_equal(numbers.started, numbers.stopped);
}

/* ---- scans ---- */

static void test_scan(void **state)
{
	(void)state;
	struct engine_scan *scan = NULL;
	assert_int_equal(engine_scan_open(engine,
					  "SELECT range AS id, CASE WHEN range % 3 = 0 THEN NULL ELSE range::INT END,"
					  " (range * 0.01)::DECIMAL(18,2), (range * 0.001)::DECIMAL(18,3),"
					  " repeat('é', (range % 10)::INT), DATE '1970-01-01' + (range % 100)::INT,"
					  " make_timestamp(range) FROM range(100001)",
					  &scan, &err),
			 0);
	assert_int_equal(engine_scan_columns(scan), 7);
	assert_int_equal(engine_scan_type(scan, 2), ENGINE_DECIMAL_18_2);
	assert_int_equal(engine_scan_type(scan, 6), ENGINE_TIMESTAMP);
	int64_t seen = 0;
	for (;;) {
		uint32_t rows = 99;
		assert_int_equal(engine_scan_next(scan, &rows, &err), 0);
		if (rows == 0)
			break;
		const int64_t *const id = engine_scan_values(scan, 0);
		const int32_t *const third = engine_scan_values(scan, 1);
		const int64_t *const amount = engine_scan_values(scan, 2);
		const int64_t *const points = engine_scan_values(scan, 3);
		const int32_t *const day = engine_scan_values(scan, 5);
		const int64_t *const tms = engine_scan_values(scan, 6);
		assert_null(engine_scan_validity(scan, 0));
		const uint64_t *const validity = engine_scan_validity(scan, 1);
		for (uint32_t i = 0; i < rows; i++, seen++) {
			assert_int_equal(id[i], seen);
			assert_int_equal(engine_scan_is_null(scan, 1, i), seen % 3 == 0);
			assert_int_equal(validity[i / 64] >> (i % 64) & 1, seen % 3 != 0);
			if (seen % 3)
				assert_int_equal(third[i], seen);
			assert_int_equal(amount[i], seen);
			assert_int_equal(points[i], seen);
			assert_int_equal(day[i], seen % 100);
			assert_int_equal(tms[i], seen);
			const struct slice text = engine_scan_text(scan, 4, i);
			assert_int_equal(text.len, 2 * (seen % 10));
			assert_true(text.len == 0 || memcmp(text.data, "éééééééééé", text.len) == 0);
		}
	}
	assert_int_equal(seen, 100001);
	engine_scan_close(scan);
	assert_int_equal(run_int64("SELECT 5"), 5);
}

static void test_scan_empty_and_closed_early(void **state)
{
	(void)state;
	struct engine_scan *scan = NULL;
	assert_int_equal(engine_scan_open(engine, "SELECT 1::BIGINT WHERE false", &scan, &err), 0);
	uint32_t rows = 9;
	assert_int_equal(engine_scan_next(scan, &rows, &err), 0);
	assert_int_equal(rows, 0);
	engine_scan_close(scan);
	struct numbers numbers = {.limit = 1000000};
	register_numbers(&numbers, "numbers");
	assert_int_equal(engine_scan_open(engine, "SELECT * FROM numbers()", &scan, &err), 0);
	assert_int_equal(engine_scan_next(scan, &rows, &err), 0);
	assert_true(rows > 0);
	engine_scan_close(scan);
	assert_int_equal(numbers.started, 1);
	run("SELECT 1");
	assert_int_equal(numbers.stopped, 1);
	engine_scan_close(NULL);
}

static void test_scan_errors(void **state)
{
	(void)state;
	struct engine_scan *scan = NULL;
	assert_int_equal(engine_scan_open(engine, "SELECT 1::BIGINT AS a, 2::HUGEINT AS big", &scan, &err), ERROR_SQL);
	assert_non_null(strstr(err.message, "column 2 (big)"));
	assert_int_equal(engine_scan_open(engine, "SELECT 1::DECIMAL(17,2)", &scan, &err), ERROR_SQL);
	assert_int_equal(engine_scan_open(engine, "SELECT 1::DECIMAL(18,4)", &scan, &err), ERROR_SQL);
	assert_int_equal(engine_scan_open(engine, "SELECT 1::DOUBLE", &scan, &err), ERROR_SQL);
	assert_int_equal(engine_scan_open(engine, "FROM nowhere", &scan, &err), ERROR_SQL);
	assert_null(scan);
	/* One that comes in the middle. */
	assert_int_equal(engine_scan_open(engine,
					  "SELECT CASE WHEN range = 500000 THEN error('bang')::BIGINT ELSE range END"
					  " FROM range(600000)",
					  &scan, &err),
			 0);
	uint32_t rows = 0;
	int rc = 0;
	uint64_t total = 0;
	while ((rc = engine_scan_next(scan, &rows, &err)) == 0 && rows > 0)
		total += rows;
	assert_int_equal(rc, ERROR_SQL);
	assert_string_equal(err.message, "bang");
	assert_true(total < 600000);
	engine_scan_close(scan);
	struct numbers numbers = {.limit = 100000, .fail_at = 50000};
	register_numbers(&numbers, "numbers");
	/* It runs ahead: the error may come at once or with a later chunk. */
	scan = NULL;
	rc = engine_scan_open(engine, "SELECT id FROM numbers()", &scan, &err);
	while (rc == 0 && (rc = engine_scan_next(scan, &rows, &err)) == 0 && rows > 0)
		;
	assert_int_equal(rc, ERROR_CORRUPT);
	assert_string_equal(err.message, "block 50000 is damaged");
	engine_scan_close(scan);
}

/* ---- interrupt ---- */

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void *interrupt_soon(void *arg)
{
	usleep(100000);
	engine_interrupt(arg);
	return NULL;
}

static void test_interrupt(void **state)
{
	(void)state;
	pthread_t thread;
	pthread_create(&thread, NULL, interrupt_soon, engine);
	const int64_t start = now_ms();
	int64_t value = 0;
	assert_int_equal(
		engine_run_int64(engine,
				 "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range = b.range + 3"
				 " OR hash(a.range) = hash(b.range + 1)",
				 &value, &err),
		ERROR_INTERRUPTED);
	assert_true(now_ms() - start < 5000);
	assert_string_equal(err.message, "interrupted");
	pthread_join(thread, NULL);
	/* It stays stopped. */
	assert_int_equal(engine_run(engine, "SELECT 1", &err), ERROR_INTERRUPTED);
}

static void test_interrupt_scan(void **state)
{
	(void)state;
	struct engine_scan *scan = NULL;
	assert_int_equal(engine_scan_open(engine, "SELECT range FROM range(100000000)", &scan, &err), 0);
	uint32_t rows = 0;
	assert_int_equal(engine_scan_next(scan, &rows, &err), 0);
	engine_interrupt(engine);
	assert_int_equal(engine_scan_next(scan, &rows, &err), ERROR_INTERRUPTED);
	engine_scan_close(scan);
}

static void test_quote(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf out = {0};
	assert_int_equal(engine_quote(&out, "it's"), 0);
	assert_int_equal(engine_quote_name(&out, "a\"b"), 0);
	assert_string_equal(buf_text(&out), "'it''s'\"a\"\"b\"");
}

static void test_open_refuses(void **state)
{
	(void)state;
	/* A directory that cannot be made: DuckDB says so when it spills; opening works. */
	struct engine *other = NULL;
	assert_int_equal(engine_open(&(struct engine_options){.tmp_dir = "/dev/null/x"}, &other, &err), 0);
	assert_int_equal(engine_run(other, "SELECT 1", &err), 0);
	engine_close(other);
	engine_close(NULL);
}

/* Without a descriptor DuckDB would end the process. */
static void test_open_without_descriptors(void **state)
{
	(void)state;
	struct rlimit limit;
	struct engine *other = NULL;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	const int next = dup(0);
	close(next);
	const struct rlimit none = {.rlim_cur = (rlim_t)next, .rlim_max = limit.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	const int rc = engine_open(&(struct engine_options){.threads = 1}, &other, &err);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(rc, ERROR_IO);
	assert_null(other);
	assert_string_equal(err.message, "cannot open the SQL engine: Too many open files");
	if (engine_open(&(struct engine_options){.threads = 1}, &other, &err) < 0)
		fail_msg("%s", err.message);
	engine_close(other);
}

#define WITH_ENGINE(test) cmocka_unit_test_setup_teardown(test, open_engine, close_engine)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_ENGINE(test_run),
		WITH_ENGINE(test_run_int64_refuses),
		WITH_ENGINE(test_settings),
		WITH_ENGINE(test_error_messages),
		WITH_ENGINE(test_error_codes),
		WITH_ENGINE(test_corrupt_parquet),
		WITH_ENGINE(test_source),
		WITH_ENGINE(test_source_projection),
		WITH_ENGINE(test_blob),
		WITH_ENGINE(test_names),
		WITH_ENGINE(test_source_empty_and_twice),
		WITH_ENGINE(test_source_errors),
		WITH_ENGINE(test_scan),
		WITH_ENGINE(test_scan_empty_and_closed_early),
		WITH_ENGINE(test_scan_errors),
		WITH_ENGINE(test_interrupt),
		WITH_ENGINE(test_interrupt_scan),
		cmocka_unit_test(test_quote),
		cmocka_unit_test(test_open_refuses),
		cmocka_unit_test(test_open_without_descriptors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
