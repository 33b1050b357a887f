/* What is written row by row comes back through the engine, which is another implementation of the format. */
#include "batch/parquet_file.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define PATH_BYTES 64

enum { NUMBER, DAY, TIME, MONEY, POINTS, SMALL, TEXT, NAME, BYTES, N_COLUMNS };

static const struct parquet_column COLUMNS[N_COLUMNS] = {
	[NUMBER] = {"number", ENGINE_BIGINT},       [DAY] = {"day", ENGINE_DATE},
	[TIME] = {"time", ENGINE_TIMESTAMP},        [MONEY] = {"money", ENGINE_DECIMAL_18_2},
	[POINTS] = {"points", ENGINE_DECIMAL_18_3}, [SMALL] = {"small", ENGINE_INTEGER},
	[TEXT] = {"text", ENGINE_VARCHAR},          [NAME] = {"name", ENGINE_VARCHAR},
	[BYTES] = {"bytes", ENGINE_BLOB},
};

static bool is_text(unsigned column)
{
	return column == TEXT || column == NAME || column == BYTES;
}

/* The value of a row: what is there of it depends on the shape. */
struct shape {
	const char *name;
	uint32_t rows;
	unsigned null_every; /* of a column c: rows r with (r + c) % null_every == 0; 1: all; 0: none */
	unsigned distinct;   /* how many different values; 0: all */
	bool wild;           /* numbers of 64 bits */
};

static uint64_t mix(uint64_t x)
{
	x ^= x >> 31;
	x *= UINT64_C(0x9e3779b97f4a7c15);
	return x ^ x >> 29;
}

static bool is_null(const struct shape *shape, uint32_t row, unsigned column)
{
	return shape->null_every && (row + column) % shape->null_every == 0;
}

static int64_t number_of(const struct shape *shape, uint32_t row, unsigned column)
{
	const uint64_t value = shape->distinct ? row % shape->distinct : row;
	if (column == DAY || column == SMALL)
		return (int64_t)(mix(value) % 200000) - 100000;
	if (column == MONEY || column == POINTS)
		return (int64_t)(mix(value) % UINT64_C(1999999999999999999)) - INT64_C(999999999999999999);
	if (column == TIME)
		return INT64_C(1700000000000000) + (int64_t)(mix(value) % UINT64_C(86400000000));
	if (!shape->wild)
		return (int64_t)value * 3;
	return value % 3 == 0 ? INT64_MIN : value % 3 == 1 ? INT64_MAX : (int64_t)mix(value);
}

static struct slice text_of(const struct shape *shape, uint32_t row, unsigned column, char *text)
{
	const uint64_t value = shape->distinct ? row % shape->distinct : row;
	if (column == BYTES) {
		const size_t len = (size_t)(mix(value) % 40);
		memset(text, (int)(value & 0xff), len);
		return (struct slice){text, len};
	}
	if (value % 7 == 0)
		return (struct slice){text, 0};
	return (struct slice){
		text, (size_t)sprintf(text, column == TEXT ? "order-%06" PRIu64 "-%" PRIu64 : "%" PRIu64 "n%" PRIu64,
				      value, mix(value) % 1000)};
}

static void write_rows(struct parquet_file *file, const struct shape *shape, const char *path)
{
	struct error err;
	char text[PATH_BYTES];
	assert_int_equal(parquet_file_begin(file, path, &err), 0);
	for (uint32_t row = 0; row < shape->rows; row++) {
		for (unsigned column = 0; column < N_COLUMNS; column++) {
			if (is_null(shape, row, column))
				parquet_file_null(file, column);
			else if (is_text(column))
				parquet_file_text(file, column, text_of(shape, row, column, text));
			else
				parquet_file_number(file, column, number_of(shape, row, column));
		}
		assert_int_equal(parquet_file_row(file, &err), 0);
	}
	assert_int_equal(parquet_file_end(file, &err), 0);
}

static void check_value(struct engine_scan *scan, const struct shape *shape, uint32_t at, uint32_t row, unsigned column)
{
	char text[PATH_BYTES];
	assert_int_equal(engine_scan_type(scan, column), COLUMNS[column].type);
	assert_int_equal(engine_scan_is_null(scan, column, at), is_null(shape, row, column));
	if (is_null(shape, row, column))
		return;
	if (is_text(column)) {
		assert_true(slice_equal(engine_scan_text(scan, column, at), text_of(shape, row, column, text)));
		return;
	}
	const void *const values = engine_scan_values(scan, column);
	const int64_t value =
		column == DAY || column == SMALL ? ((const int32_t *)values)[at] : ((const int64_t *)values)[at];
	assert_int_equal(value, number_of(shape, row, column));
}

static struct engine *open_engine(void)
{
	struct error err;
	struct engine *engine = NULL;
	assert_int_equal(engine_open(&(struct engine_options){.memory_mib = 256, .threads = 1}, &engine, &err), 0);
	return engine;
}

static void read_rows(struct engine *engine, const struct shape *shape, const char *path)
{
	struct error err;
	char sql[PATH_BYTES + 64];
	snprintf(sql, sizeof(sql), "SELECT * FROM read_parquet('%s')", path);
	struct engine_scan *scan = NULL;
	assert_int_equal(engine_scan_open(engine, sql, &scan, &err), 0);
	assert_int_equal(engine_scan_columns(scan), N_COLUMNS);
	uint32_t seen = 0;
	uint32_t rows = 0;
	while (engine_scan_next(scan, &rows, &err) == 0 && rows)
		for (uint32_t at = 0; at < rows; at++, seen++)
			for (unsigned column = 0; column < N_COLUMNS; column++)
				check_value(scan, shape, at, seen, column);
	assert_int_equal(seen, shape->rows);
	engine_scan_close(scan);
}

static int64_t ask(struct engine *engine, const char *path, const char *select, const char *where)
{
	struct error err;
	char sql[512];
	int64_t value = -1;
	snprintf(sql, sizeof(sql), "SELECT %s FROM read_parquet('%s') %s", select, path, where);
	assert_int_equal(engine_run_int64(engine, sql, &value, &err), 0);
	return value;
}

static void test_rows_come_back(void **state)
{
	(void)state;
	static const struct shape SHAPES[] = {
		{.name = "no rows", .rows = 0},
		{.name = "one row", .rows = 1},
		{.name = "one row of nothing", .rows = 1, .null_every = 1},
		{.name = "constants", .rows = 1000, .distinct = 1},
		{.name = "seven rows", .rows = 7, .null_every = 3},
		{.name = "a block and one", .rows = 130, .wild = true},
		{.name = "many and one", .rows = 4097, .null_every = 5, .wild = true},
		{.name = "few words", .rows = 5000, .distinct = 37, .null_every = 4},
		{.name = "as many words as there may be", .rows = 9000, .distinct = 1024},
		{.name = "one more", .rows = 9000, .distinct = 1025, .wild = true},
		{.name = "all nothing", .rows = 3000, .null_every = 1},
		{.name = "two row groups and a row", .rows = 2 * 122880 + 1, .null_every = 11},
	};
	char path[PATH_BYTES];
	snprintf(path, sizeof(path), "/tmp/test_parquet_file-%d.parquet", (int)getpid());
	struct engine *const engine = open_engine();
	/* One after the other with one writer: nothing is left of the one before. */
	struct parquet_file *const file = parquet_file_new(COLUMNS, N_COLUMNS);
	assert_non_null(file);
	for (size_t i = 0; i < sizeof(SHAPES) / sizeof(SHAPES[0]); i++) {
		write_rows(file, &SHAPES[i], path);
		read_rows(engine, &SHAPES[i], path);
	}
	parquet_file_free(file);
	engine_close(engine);
	unlink(path);
}

/* What readers skip by: a filter on each side of a bound finds what it should. */
static void test_bounds(void **state)
{
	(void)state;
	static const struct shape SHAPE = {.name = "bounds", .rows = 130000};
	char path[PATH_BYTES];
	snprintf(path, sizeof(path), "/tmp/test_parquet_bounds-%d.parquet", (int)getpid());
	struct engine *const engine = open_engine();
	struct parquet_file *const file = parquet_file_new(COLUMNS, N_COLUMNS);
	assert_non_null(file);
	write_rows(file, &SHAPE, path);
	parquet_file_free(file);
	assert_int_equal(ask(engine, path, "count(*)", "WHERE number = 0"), 1);
	assert_int_equal(ask(engine, path, "count(*)", "WHERE number = 389997"), 1);
	assert_int_equal(ask(engine, path, "count(*)", "WHERE number > 389997"), 0);
	assert_int_equal(ask(engine, path, "count(*)", "WHERE number < 122880 * 3"), 122880);
	assert_int_equal(ask(engine, path, "count(*)", "WHERE text >= 'order-122880'"), 7120 - 1017);
	assert_int_equal(ask(engine, path, "count(*)", "WHERE text = ''"), 18572);
	char meta[PATH_BYTES + 256];
	int64_t value = 0;
	struct error err;
	snprintf(meta, sizeof(meta),
		 "SELECT count(*) FROM parquet_metadata('%s') WHERE path_in_schema = 'number' AND "
		 "stats_min_value IN ('0', '368640') AND stats_max_value IN ('368637', '389997')",
		 path);
	assert_int_equal(engine_run_int64(engine, meta, &value, &err), 0);
	assert_int_equal(value, 2);
	engine_close(engine);
	unlink(path);
}

static void test_no_such_directory(void **state)
{
	(void)state;
	struct error err;
	struct parquet_file *const file = parquet_file_new(COLUMNS, N_COLUMNS);
	assert_non_null(file);
	assert_true(parquet_file_begin(file, "/nowhere/at/all.parquet", &err) < 0);
	parquet_file_free(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows_come_back),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_no_such_directory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
