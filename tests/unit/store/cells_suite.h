/*
 * What every driver of store/cells.h does, alone and behind faults: the conformance suite. A program opens a cells, gives it to the
 * suite with the name of a table that nobody uses, and runs the tests.
 *
 *     suite.cells = cells;
 *     snprintf(suite.table, …);
 *     cells_suite_run("LMDB");
 *
 * A call that fails with ERROR_AWAY is made again, as whoever uses the port does.
 */
#ifndef PUNCHCARD_TEST_CELLS_SUITE_H
#define PUNCHCARD_TEST_CELLS_SUITE_H

#include "base/random.h"
#include "store/cells.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SUITE_TRIES 500

static struct {
	struct cells *cells;
	char table[64];
	bool small; /* fewer rows: every request costs milliseconds */
} suite;

static struct error suite_err;

/* "a" and "a1": HBase has another order of them than their columns have. */
static const char *const suite_families[] = {"a", "a1", "b", NULL};

/* --- what was read ---------------------------------------------------------------------------------------------------------- */

/* Rows as one text a row, "key{column@version=value …}", so that a test reads as what it expects. */
struct suite_rows {
	char *rows[8192];
	size_t n;
	size_t stop_at; /* rows after which the callback ends the reading; 0: never */
};
static struct suite_rows suite_rows;

static void suite_forget(void)
{
	for (size_t i = 0; i < suite_rows.n; i++)
		free(suite_rows.rows[i]);
	suite_rows.n = 0;
}

static int suite_take(void *context, const struct cells_row *row, struct error *err)
{
	_cleanup_buf_ struct buf text = {0};
	(void)context;
	(void)err;
	assert_true(suite_rows.n < sizeof(suite_rows.rows) / sizeof(*suite_rows.rows) && row->n > 0);
	buf_append(&text, row->key.data, row->key.len);
	for (size_t i = 0; i < row->n; i++) {
		const struct cell *const cell = &row->cells[i];
		buf_append_text(&text, i ? " " : "{");
		buf_append(&text, cell->column.data, cell->column.len);
		buf_printf(&text, "@%lld=", (long long)cell->version);
		buf_append(&text, cell->value.data, cell->value.len);
	}
	buf_append_text(&text, "}");
	/* A NUL of a key is shown as "0", so that it is a text. */
	for (size_t i = 0; i < text.len; i++)
		if (!text.data[i])
			text.data[i] = '0';
	suite_rows.rows[suite_rows.n++] = slice_dup((struct slice){text.data, text.len});
	return suite_rows.stop_at && suite_rows.n == suite_rows.stop_at;
}

static void suite_expect(size_t n, const char *const *expected)
{
	for (size_t i = 0; i < n && i < suite_rows.n; i++)
		assert_string_equal(suite_rows.rows[i], expected[i]);
	assert_int_equal(suite_rows.n, n);
}
#define SUITE_EXPECT(...) \
	suite_expect(sizeof((const char *[]){__VA_ARGS__}) / sizeof(const char *), (const char *[]){__VA_ARGS__})

/* --- calls, made again ------------------------------------------------------------------------------------------------------ */

#define SUITE_AGAIN(rc, call)                                                        \
	do {                                                                         \
		int tries = 0;                                                       \
		do {                                                                 \
			memset(&suite_err, 0, sizeof(suite_err));                    \
			(rc) = (call);                                               \
		} while ((rc) == ERROR_AWAY && ++tries < SUITE_TRIES);               \
		if ((rc) < 0)                                                        \
			assert_true(suite_err.message[0] && suite_err.code == (rc)); \
	} while (0)

static int suite_put(const struct cells_put *puts, size_t n)
{
	int rc;
	SUITE_AGAIN(rc, cells_put(suite.cells, suite.table, puts, n, &suite_err));
	return rc;
}

static void suite_put_one(struct slice key, struct slice column, int64_t version, struct slice value)
{
	const struct cells_put put = {.key = key, .column = column, .version = version, .value = value};
	assert_int_equal(suite_put(&put, 1), 0);
}
#define SUITE_PUT(key, column, version, value) suite_put_one(SLICE(key), SLICE(column), version, SLICE(value))

static int suite_erase(const struct cells_erase *erases, size_t n)
{
	int rc;
	SUITE_AGAIN(rc, cells_erase(suite.cells, suite.table, erases, n, &suite_err));
	return rc;
}
#define SUITE_ERASE(key_text, column_text, up_to)                                        \
	assert_int_equal(suite_erase(&(struct cells_erase){.key = SLICE(key_text),       \
							   .column = SLICE(column_text), \
							   .version = (up_to)},          \
				     1),                                                 \
			 0)

static int suite_get_once(const struct slice *keys, size_t n)
{
	suite_forget();
	return cells_get(suite.cells, suite.table, keys, n, suite_take, NULL, &suite_err);
}

static void suite_get(const struct slice *keys, size_t n)
{
	int rc;
	SUITE_AGAIN(rc, suite_get_once(keys, n));
	if (rc < 0)
		fail_msg("%s", suite_err.message);
}
#define SUITE_GET(...)                                 \
	suite_get((const struct slice[]){__VA_ARGS__}, \
		  sizeof((const struct slice[]){__VA_ARGS__}) / sizeof(struct slice))

static int suite_scan_once(const struct cells_range *range)
{
	suite_forget();
	return cells_scan(suite.cells, suite.table, range, suite_take, NULL, &suite_err);
}

static void suite_scan(struct cells_range range)
{
	int rc;
	SUITE_AGAIN(rc, suite_scan_once(&range));
	if (rc < 0)
		fail_msg("%s", suite_err.message);
}

/* --- tests ------------------------------------------------------------------------------------------------------------------ */

static void suite_test_ensure(void **state)
{
	int rc;
	(void)state;
	SUITE_AGAIN(rc, cells_ensure(suite.cells, suite.table, suite_families, &suite_err));
	assert_int_equal(rc, 0);
	SUITE_AGAIN(rc, cells_ensure(suite.cells, suite.table, suite_families, &suite_err));
	assert_int_equal(rc, 0);
	SUITE_AGAIN(rc, cells_ensure(suite.cells, suite.table, (const char *[]){"b", NULL}, &suite_err));
	assert_int_equal(rc, 0);
	SUITE_AGAIN(rc, cells_ensure(suite.cells, suite.table, (const char *[]){"b", "other", NULL}, &suite_err));
	assert_int_equal(rc, ERROR_EXISTS);
	assert_non_null(strstr(suite_err.message, suite.table));
	assert_non_null(strstr(suite_err.message, "other"));
	/* It has its families still. */
	SUITE_PUT("ensured", "a1:", 1, "x");
	SUITE_GET(SLICE("ensured"));
	SUITE_EXPECT("ensured{a1:@1=x}");
}

static void suite_test_missing(void **state)
{
	const struct cells_put put = {.key = SLICE("k"), .column = SLICE("a:q"), .version = 1, .value = SLICE("v")};
	const struct cells_put other = {.key = SLICE("k"), .column = SLICE("no:q"), .version = 1, .value = SLICE("v")};
	const struct cells_erase erase = {.key = SLICE("k"), .column = SLICE("a:q"), .version = 1};
	int rc;
	(void)state;
	SUITE_AGAIN(rc, cells_put(suite.cells, "pc-test-none", &put, 1, &suite_err));
	assert_int_equal(rc, ERROR_NOT_FOUND);
	assert_non_null(strstr(suite_err.message, "pc-test-none"));
	SUITE_AGAIN(rc, cells_erase(suite.cells, "pc-test-none", &erase, 1, &suite_err));
	assert_int_equal(rc, ERROR_NOT_FOUND);
	SUITE_AGAIN(rc, cells_get(suite.cells, "pc-test-none", &put.key, 1, suite_take, NULL, &suite_err));
	assert_int_equal(rc, ERROR_NOT_FOUND);
	assert_non_null(strstr(suite_err.message, "pc-test-none"));
	SUITE_AGAIN(rc,
		    cells_scan(suite.cells, "pc-test-none", &(struct cells_range){0}, suite_take, NULL, &suite_err));
	assert_int_equal(rc, ERROR_NOT_FOUND);
	assert_non_null(strstr(suite_err.message, "pc-test-none"));
	assert_int_equal(suite_put(&other, 1), ERROR_NOT_FOUND);
	assert_non_null(strstr(suite_err.message, "no family no"));
}

static void suite_test_versions(void **state)
{
	(void)state;
	SUITE_PUT("v", "a:q", 1000, "first");
	SUITE_PUT("v", "a:q", 999, "older");
	SUITE_GET(SLICE("v"));
	SUITE_EXPECT("v{a:q@1000=first}");
	SUITE_PUT("v", "a:q", 1000, "the same again");
	SUITE_GET(SLICE("v"));
	SUITE_EXPECT("v{a:q@1000=the same again}");
	SUITE_PUT("v", "a:q", 1001, "newer");
	SUITE_PUT("v", "b:", CELLS_VERSION_MAX, "last");
	SUITE_PUT("v", "b:0", 1, "");
	SUITE_GET(SLICE("v"));
	SUITE_EXPECT("v{a:q@1001=newer b:@9007199254740990=last b:0@1=}");
}

static void suite_test_one_batch(void **state)
{
	const struct slice key = SLICE("batch");
	const struct cells_put puts[] = {
		{.key = key, .column = SLICE("a:q"), .version = 5, .value = SLICE("five")},
		{.key = key, .column = SLICE("a:q"), .version = 4, .value = SLICE("four")},
		{.key = SLICE("batch2"), .column = SLICE("a:q"), .version = 1, .value = SLICE("other row")},
		{.key = key, .column = SLICE("a:r"), .version = 7, .value = SLICE("once")},
		{.key = key, .column = SLICE("a:r"), .version = 8, .value = SLICE("twice")},
		{.key = key, .column = SLICE("a:q"), .version = 3, .value = SLICE("three")},
	};
	(void)state;
	assert_int_equal(suite_put(puts, sizeof(puts) / sizeof(*puts)), 0);
	SUITE_GET(SLICE("batch2"), SLICE("batch"));
	SUITE_EXPECT("batch2{a:q@1=other row}", "batch{a:q@5=five a:r@8=twice}");
	assert_int_equal(suite_put(puts, 0), 0);
}

static void suite_test_erase(void **state)
{
	(void)state;
	SUITE_PUT("e", "a:q", 10, "ten");
	SUITE_PUT("e", "a:r", 10, "ten");
	SUITE_PUT("e", "b:s", 11, "eleven");
	SUITE_ERASE("e", "a:q", 9);
	SUITE_GET(SLICE("e"));
	SUITE_EXPECT("e{a:q@10=ten a:r@10=ten b:s@11=eleven}");
	SUITE_ERASE("e", "a:q", 10);
	SUITE_ERASE("e", "a:q", 10);
	SUITE_GET(SLICE("e"));
	SUITE_EXPECT("e{a:r@10=ten b:s@11=eleven}");
	SUITE_PUT("e", "a:q", 11, "again");
	SUITE_GET(SLICE("e"));
	SUITE_EXPECT("e{a:q@11=again a:r@10=ten b:s@11=eleven}");
	const struct cells_erase rest[] = {{.key = SLICE("e"), .column = SLICE("a:q"), .version = 20},
					   {.key = SLICE("e"), .column = SLICE("a:r"), .version = 20},
					   {.key = SLICE("e"), .column = SLICE("a:never"), .version = 20},
					   {.key = SLICE("e-never"), .column = SLICE("a:q"), .version = 20},
					   {.key = SLICE("e"), .column = SLICE("b:s"), .version = 11}};
	assert_int_equal(suite_erase(rest, sizeof(rest) / sizeof(*rest)), 0);
	SUITE_GET(SLICE("e"), SLICE("e-never"));
	assert_int_equal(suite_rows.n, 0);
	suite_scan((struct cells_range){.prefix = SLICE("e"), .to = SLICE("ea")});
	assert_int_equal(suite_rows.n, 0);
}

/* Rows of four columns and two versions; every third row stays, and of the others the column b:s. */
static void suite_test_erase_many(void **state)
{
	(void)state;
	enum { ROWS = 700, CELLS = 4 * ROWS };
	struct cells_put *const puts = calloc(CELLS, sizeof(*puts));
	struct cells_erase *const erases = calloc(CELLS, sizeof(*erases));
	char(*const keys)[8] = calloc(ROWS, sizeof(*keys));
	assert_true(puts && erases && keys);
	const struct slice columns[] = {SLICE("a:p"), SLICE("a:q"), SLICE("a:r"), SLICE("b:s")};
	size_t n = 0;
	for (unsigned i = 0; i < CELLS; i++) {
		char *const key = keys[i / 4];
		snprintf(key, sizeof(keys[0]), "M%05u", i / 4);
		const int64_t version = i % 4 == 1 ? 7 : 5;
		puts[i] = (struct cells_put){
			.key = slice_of(key), .column = columns[i % 4], .version = version, .value = SLICE("x")};
		if (i % 4 < 3 && i / 4 % 3)
			erases[n++] = (struct cells_erase){
				.key = slice_of(key), .column = columns[i % 4], .version = version};
	}
	assert_int_equal(suite_put(puts, CELLS), 0);
	assert_int_equal(suite_erase(erases, n), 0);
	for (unsigned i = 0; i < ROWS; i += 50) {
		struct slice some[50];
		for (unsigned k = 0; k < 50; k++)
			some[k] = slice_of(keys[i + k]);
		suite_get(some, 50);
		assert_int_equal(suite_rows.n, 50);
		for (unsigned k = 0; k < 50; k++) {
			char expected[64];
			snprintf(expected, sizeof(expected),
				 (i + k) % 3 ? "%s{b:s@5=x}" : "%s{a:p@5=x a:q@7=x a:r@5=x b:s@5=x}", keys[i + k]);
			assert_string_equal(suite_rows.rows[k], expected);
		}
	}
	for (unsigned i = 0; i < CELLS; i++)
		erases[i] = (struct cells_erase){.key = puts[i].key, .column = puts[i].column, .version = 9};
	assert_int_equal(suite_erase(erases, CELLS), 0);
	suite_scan((struct cells_range){.prefix = SLICE("M")});
	assert_int_equal(suite_rows.n, 0);
	free(puts);
	free(erases);
	free(keys);
}

static void suite_test_binary(void **state)
{
	(void)state;
	SUITE_PUT("\0x\0", "a:\0\xff,/", 1, "\0\1\xfe\xff");
	SUITE_PUT("\0x", "a:q", 1, "x");
	SUITE_PUT("\0x\0\xff", "a1:q", 1, "a1");
	SUITE_PUT("\0x\0\xff", "a:q", 1, "a");
	SUITE_PUT("\0x\1", "a:*%2F", 1, "\"\\");
	SUITE_GET(SLICE("\0x\1"), SLICE("\0x\0\xff"), SLICE("\0x\0"));
	/* NULs are shown as 0. */
	SUITE_EXPECT("0x\1{a:*%2F@1=\"\\}", "0x0\xff{a1:q@1=a1 a:q@1=a}", "0x0{a:0\xff,/@1=0\1\xfe\xff}");
	suite_scan((struct cells_range){.prefix = SLICE("\0x")});
	SUITE_EXPECT("0x{a:q@1=x}", "0x0{a:0\xff,/@1=0\1\xfe\xff}", "0x0\xff{a1:q@1=a1 a:q@1=a}",
		     "0x\1{a:*%2F@1=\"\\}");
	suite_scan((struct cells_range){.prefix = SLICE("\0x"), .from = SLICE("\0x\0"), .to = SLICE("\0x\1")});
	assert_int_equal(suite_rows.n, 2);
	SUITE_ERASE("\0x\0", "a:\0\xff,/", 1);
	SUITE_ERASE("\0x\1", "a:*%2F", 1);
	suite_scan((struct cells_range){.prefix = SLICE("\0x")});
	SUITE_EXPECT("0x{a:q@1=x}", "0x0\xff{a1:q@1=a1 a:q@1=a}");
	SUITE_PUT("\xff\xff\xff", "b:q", 1, "at the end");
	suite_scan((struct cells_range){.prefix = SLICE("\xff\xff")});
	SUITE_EXPECT("\xff\xff\xff{b:q@1=at the end}");
}

/* Rows of a test: "<prefix>00000" and so on, each with two cells. */
static size_t suite_fill(const char *prefix, size_t n)
{
	struct cells_put *const puts = calloc(2 * n, sizeof(*puts));
	char(*const keys)[40] = calloc(n, sizeof(*keys));
	assert_true(puts && keys);
	for (size_t i = 0; i < n; i++) {
		snprintf(keys[i], sizeof(keys[i]), "%s%05zu", prefix, i);
		puts[2 * i] = (struct cells_put){.key = slice_of(keys[i]),
						 .column = SLICE("a:n"),
						 .version = 1,
						 .value = slice_of(keys[i] + strlen(prefix))};
		puts[2 * i + 1] = puts[2 * i];
		puts[2 * i + 1].column = SLICE("b:m");
	}
	assert_int_equal(suite_put(puts, 2 * n), 0);
	free(puts);
	free(keys);
	return n;
}

static void suite_test_get_many(void **state)
{
	const size_t n = suite_fill("many-", suite.small ? 60 : 2500);
	char(*const names)[40] = calloc(2 * n, sizeof(*names));
	struct slice *const keys = calloc(2 * n, sizeof(*keys));
	(void)state;
	assert_true(names && keys);
	for (size_t i = 0; i < n; i++) {
		snprintf(names[2 * i], sizeof(names[0]), "many-%05zu", n - 1 - i);
		snprintf(names[2 * i + 1], sizeof(names[0]), "none-%05zu", i);
		keys[2 * i] = slice_of(names[2 * i]);
		keys[2 * i + 1] = slice_of(names[2 * i + 1]);
	}
	suite_get(keys, 2 * n);
	assert_int_equal(suite_rows.n, n);
	for (size_t i = 0; i < n; i++) {
		char expected[128];
		snprintf(expected, sizeof(expected), "many-%05zu{a:n@1=%05zu b:m@1=%05zu}", n - 1 - i, n - 1 - i,
			 n - 1 - i);
		assert_string_equal(suite_rows.rows[i], expected);
	}
	suite_rows.stop_at = 3;
	suite_get(keys, 2 * n);
	assert_int_equal(suite_rows.n, 3);
	suite_rows.stop_at = 0;
	suite_get(keys, 0);
	free(names);
	free(keys);
}

static void suite_test_scan(void **state)
{
	const size_t n = suite_fill("scan-", suite.small ? 50 : 500);
	char last[40];
	(void)state;
	suite_scan((struct cells_range){.prefix = SLICE("scan-")});
	assert_int_equal(suite_rows.n, n);
	for (size_t i = 0; i < n; i++) {
		char expected[128];
		snprintf(expected, sizeof(expected), "scan-%05zu{a:n@1=%05zu b:m@1=%05zu}", i, i, i);
		assert_string_equal(suite_rows.rows[i], expected);
	}
	suite_scan(
		(struct cells_range){.prefix = SLICE("scan-"), .from = SLICE("scan-00010"), .to = SLICE("scan-00012")});
	SUITE_EXPECT("scan-00010{a:n@1=00010 b:m@1=00010}", "scan-00011{a:n@1=00011 b:m@1=00011}");
	suite_scan((struct cells_range){.from = SLICE("scan-00048"), .prefix = SLICE("scan-0004")});
	assert_int_equal(suite_rows.n, 2);
	suite_scan((struct cells_range){.from = SLICE("scan-1"), .to = SLICE("scan-0")});
	assert_int_equal(suite_rows.n, 0);
	suite_scan((struct cells_range){.from = SLICE("scan-0"), .to = SLICE("scan-0")});
	assert_int_equal(suite_rows.n, 0);
	suite_scan((struct cells_range){.prefix = SLICE("scan-0000"), .from = SLICE("scan-1")});
	assert_int_equal(suite_rows.n, 0);
	suite_rows.stop_at = 7;
	suite_scan((struct cells_range){.prefix = SLICE("scan-")});
	assert_int_equal(suite_rows.n, 7);
	suite_rows.stop_at = 0;
	/* Page by page. */
	size_t seen = 0;
	snprintf(last, sizeof(last), "scan-");
	size_t last_len = 5;
	for (;;) {
		suite_scan((struct cells_range){
			.prefix = SLICE("scan-"), .from = {last, last_len}, .limit = suite.small ? 9 : 77});
		seen += suite_rows.n;
		if (!suite_rows.n)
			break;
		memcpy(last, suite_rows.rows[suite_rows.n - 1], 10);
		last[10] = '\0';
		last_len = 11;
	}
	assert_int_equal(seen, n);
}

/* A row with more cells than an answer of a scan. */
static void suite_test_wide(void **state)
{
	enum { CELLS = 60 };
	struct cells_put puts[CELLS];
	char columns[CELLS][8];
	char values[300];
	(void)state;
	memset(values, 'v', sizeof(values));
	for (unsigned i = 0; i < CELLS; i++) {
		snprintf(columns[i], sizeof(columns[i]), "a:%03u", i);
		puts[i] = (struct cells_put){.key = SLICE("wide-1"),
					     .column = slice_of(columns[i]),
					     .version = i + 1,
					     .value = {values, 5 * i}};
	}
	assert_int_equal(suite_put(puts, CELLS), 0);
	SUITE_PUT("wide-0", "a:q", 1, "before");
	SUITE_PUT("wide-2", "a:q", 1, "behind");
	for (uint64_t limit = 0; limit < 4; limit++) {
		suite_scan((struct cells_range){.prefix = SLICE("wide-"), .limit = limit});
		assert_int_equal(suite_rows.n, limit ? limit : 3);
		assert_string_equal(suite_rows.rows[0], "wide-0{a:q@1=before}");
		if (suite_rows.n < 2)
			continue;
		size_t spaces = 0;
		for (const char *at = suite_rows.rows[1]; *at; at++)
			spaces += *at == ' ';
		assert_int_equal(spaces, CELLS - 1);
	}
	SUITE_EXPECT("wide-0{a:q@1=before}", suite_rows.rows[1], "wide-2{a:q@1=behind}");
}

static int suite_put_bad(struct slice key, struct slice column, int64_t version, size_t value_len)
{
	char *const value = calloc(1, value_len + 1);
	assert_non_null(value);
	const struct cells_put put = {.key = key, .column = column, .version = version, .value = {value, value_len}};
	const int rc = suite_put(&put, 1);
	free(value);
	return rc;
}

static void suite_test_limits(void **state)
{
	char bytes[CELLS_NAME_BYTES + 1];
	(void)state;
	memset(bytes, 'k', sizeof(bytes));
	const struct slice column = SLICE("a:");
	assert_int_equal(suite_put_bad((struct slice){bytes, CELLS_NAME_BYTES - 1}, column, 1, 1), ERROR_LIMIT);
	assert_int_equal(suite_put_bad((struct slice){bytes, CELLS_NAME_BYTES - 2}, column, 1, 1), 0);
	bytes[7] = '\0';
	assert_int_equal(suite_put_bad((struct slice){bytes, CELLS_NAME_BYTES - 2}, column, 1, 1), ERROR_LIMIT);
	assert_int_equal(suite_put_bad((struct slice){bytes, CELLS_NAME_BYTES - 3}, column, 1, 1), 0);
	SUITE_GET({bytes, CELLS_NAME_BYTES - 3});
	assert_int_equal(suite_rows.n, 1);
	assert_int_equal(suite_put_bad((struct slice){0}, column, 1, 1), ERROR_INPUT);
	assert_int_equal(suite_put_bad(SLICE("k"), SLICE("a"), 1, 1), ERROR_INPUT);
	assert_int_equal(suite_put_bad(SLICE("k"), SLICE(":q"), 1, 1), ERROR_INPUT);
	assert_int_equal(suite_put_bad(SLICE("k"), SLICE("\xff:q"), 1, 1), ERROR_INPUT);
	assert_int_equal(suite_put_bad(SLICE("k"), column, 0, 1), ERROR_INPUT);
	assert_int_equal(suite_put_bad(SLICE("k"), column, CELLS_VERSION_MAX + 1, 1), ERROR_INPUT);
	assert_int_equal(suite_put_bad(SLICE("limits-big"), column, 1, CELLS_VALUE_BYTES + 1), ERROR_LIMIT);
	assert_int_equal(suite_put_bad(SLICE("limits-big"), column, 1, CELLS_VALUE_BYTES), 0);
	assert_int_equal(cells_put(suite.cells, "../x", NULL, 0, &suite_err), ERROR_INPUT);
	assert_int_equal(cells_put(suite.cells, "", NULL, 0, &suite_err), ERROR_INPUT);
	assert_int_equal(cells_ensure(suite.cells, "x", (const char *[]){NULL}, &suite_err), ERROR_INPUT);
	assert_int_equal(cells_ensure(suite.cells, "x", (const char *[]){"a:b", NULL}, &suite_err), ERROR_INPUT);
}

/* --- any calls, beside a model ---------------------------------------------------------------------------------------------- */

#define SUITE_MODEL_ROWS    12
#define SUITE_MODEL_COLUMNS 6

struct suite_cell {
	int64_t version; /* 0: not there */
	int64_t erased;
	uint32_t value;
};
static struct suite_cell suite_model[SUITE_MODEL_ROWS][SUITE_MODEL_COLUMNS];

static const char *suite_model_column(uint64_t c)
{
	static const char *const names[SUITE_MODEL_COLUMNS] = {"a1:", "a1:x", "a:", "a:x", "b:x", "b:y"};
	return names[c];
}

static void suite_model_compare(void)
{
	size_t row = 0;
	suite_scan((struct cells_range){.prefix = SLICE("model-")});
	for (unsigned r = 0; r < SUITE_MODEL_ROWS; r++) {
		_cleanup_buf_ struct buf text = {0};
		for (unsigned c = 0; c < SUITE_MODEL_COLUMNS; c++) {
			const struct suite_cell *const cell = &suite_model[r][c];
			if (cell->version)
				buf_printf(&text, "%s%s@%lld=%u", text.len ? " " : "", suite_model_column(c),
					   (long long)cell->version, cell->value);
		}
		if (!text.len)
			continue;
		char expected[512];
		snprintf(expected, sizeof(expected), "model-%02u{%s}", r, buf_text(&text));
		assert_true(row < suite_rows.n);
		assert_string_equal(suite_rows.rows[row++], expected);
	}
	assert_int_equal(row, suite_rows.n);
}

static void suite_test_model(void **state)
{
	const unsigned rounds = suite.small ? 30 : 300;
	struct random random;
	uint32_t values = 0;
	(void)state;
	random_init(&random, 42);
	memset(suite_model, 0, sizeof(suite_model));
	for (unsigned round = 0; round < rounds; round++) {
		enum { MOST = 12 };
		struct cells_put puts[MOST];
		struct cells_erase erases[MOST];
		char keys[MOST][16];
		char texts[MOST][16];
		const size_t n = 1 + random_below(&random, MOST);
		const bool erasing = random_below(&random, 3) == 0;
		for (size_t i = 0; i < n; i++) {
			const unsigned r = (unsigned)random_below(&random, SUITE_MODEL_ROWS);
			const unsigned c = (unsigned)random_below(&random, SUITE_MODEL_COLUMNS);
			struct suite_cell *const cell = &suite_model[r][c];
			snprintf(keys[i], sizeof(keys[i]), "model-%02u", r);
			/* Behind what was erased; and no version twice with different values. */
			int64_t version = cell->erased + 1 + (int64_t)random_below(&random, 5);
			if (erasing) {
				version = 1 + (int64_t)random_below(&random, (uint64_t)cell->version + 2);
				erases[i] = (struct cells_erase){.key = slice_of(keys[i]),
								 .column = slice_of(suite_model_column(c)),
								 .version = version};
				if (cell->erased < version)
					cell->erased = version;
				if (cell->version <= version)
					cell->version = 0;
				continue;
			}
			version += version == cell->version;
			snprintf(texts[i], sizeof(texts[i]), "%u", ++values);
			puts[i] = (struct cells_put){.key = slice_of(keys[i]),
						     .column = slice_of(suite_model_column(c)),
						     .version = version,
						     .value = slice_of(texts[i])};
			if (version > cell->version) {
				cell->version = version;
				cell->value = values;
			}
		}
		assert_int_equal(erasing ? suite_erase(erases, n) : suite_put(puts, n), 0);
		if (round % 10 == 9)
			suite_model_compare();
	}
	suite_model_compare();
}

static int suite_ping_once(struct cells_health *health)
{
	cells_health_release(health);
	return cells_ping(suite.cells, health, &suite_err);
}

static void suite_test_health(void **state)
{
	struct cells_health health = {0};
	struct cells_rights rights;
	int rc;
	bool found = false;
	(void)state;
	SUITE_AGAIN(rc, suite_ping_once(&health));
	assert_int_equal(rc, 0);
	assert_true(health.what[0] && health.answer_us > 0 && health.n_tables >= 1);
	for (size_t at = 0; at < health.tables.len; at += strlen(health.tables.data + at) + 1)
		found = found || strcmp(health.tables.data + at, suite.table) == 0;
	assert_true(found);
	if (health.has_clock)
		assert_true(health.skew_ms > -60000 && health.skew_ms < 60000);
	cells_health_release(&health);
	SUITE_AGAIN(rc, cells_rights(suite.cells, suite.table, "a", &rights, &suite_err));
	assert_int_equal(rc, 0);
	assert_true(rights.exists && rights.reads && rights.writes);
	SUITE_AGAIN(rc, cells_rights(suite.cells, "pc-test-none", "a", &rights, &suite_err));
	assert_int_equal(rc, 0);
	assert_true(!rights.exists && !rights.reads && !rights.writes);
	assert_non_null(strstr(rights.denial, "pc-test-none"));
	assert_true(cells_counts(suite.cells)->rows_given > 0 && cells_counts(suite.cells)->cells_put > 0);
}

static int cells_suite_run(const char *name)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(suite_test_ensure),   cmocka_unit_test(suite_test_missing),
		cmocka_unit_test(suite_test_versions), cmocka_unit_test(suite_test_one_batch),
		cmocka_unit_test(suite_test_erase),    cmocka_unit_test(suite_test_erase_many),
		cmocka_unit_test(suite_test_binary),   cmocka_unit_test(suite_test_get_many),
		cmocka_unit_test(suite_test_scan),     cmocka_unit_test(suite_test_wide),
		cmocka_unit_test(suite_test_limits),   cmocka_unit_test(suite_test_model),
		cmocka_unit_test(suite_test_health),
	};
	printf("--- %s\n", name);
	const int failed = cmocka_run_group_tests(tests, NULL, NULL);
	suite_forget();
	suite_rows.stop_at = 0;
	return failed;
}

#endif
