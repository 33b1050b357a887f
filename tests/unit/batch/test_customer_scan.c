#include "batch/customer_scan.h"

#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define MAX_FILES 4

static char directory[] = "/tmp/punchcard_test_scan.XXXXXX";
static char classic[] = "classic";
static const struct config config = {.customer_id = CUSTOMER_ID_INTEGER};

/* Files that were written for one test. */
struct fixture {
	struct landed_file landed[MAX_FILES];
	struct customer_file files[MAX_FILES];
	struct customer_files all;
};

static int make_directory(void **state)
{
	(void)state;
	return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
	(void)state;
	return file_remove_tree(directory, NULL);
}

static void add_file(struct fixture *fixture, const char *data, size_t len)
{
	const size_t i = fixture->all.n_files++;
	assert_true(i < MAX_FILES);
	char *const path = text_printf("%s/%zu", directory, i);
	assert_non_null(path);
	assert_int_equal(file_write_durable(path, data, len, NULL), 0);
	fixture->landed[i] = (struct landed_file){.format = classic, .path = path, .shown = path};
	fixture->files[i] = (struct customer_file){.landed = &fixture->landed[i]};
	fixture->all.files = fixture->files;
	fixture->all.config = &config;
}

static void release(struct fixture *fixture)
{
	for (size_t i = 0; i < fixture->all.n_files; i++)
		free(fixture->landed[i].path);
	pthread_mutex_destroy(&fixture->all.lock);
}

static void add_text(struct fixture *fixture, const char *text)
{
	add_file(fixture, text, strlen(text));
}

/* `n` good lines with ids from `first`, every tenth followed by a bad one; names of `name_len` bytes. */
static void add_many(struct fixture *fixture, int first, int n, int name_len)
{
	struct buf text = {0};
	for (int i = 0; i < n; i++) {
		assert_int_equal(buf_printf(&text, "%d,,%0*d,,,,,M,\n", first + i, name_len, first + i), 0);
		if (i % 10 == 9)
			assert_int_equal(buf_append_text(&text, "bad\n"), 0);
	}
	add_file(fixture, text.data, text.len);
	buf_release(&text);
}

#define FIXTURE                                             \
	{                                                   \
		.all = {.lock = PTHREAD_MUTEX_INITIALIZER } \
	}

static void test_lines_of_all_files(void **state)
{
	(void)state;
	struct fixture fixture = FIXTURE;
	add_text(&fixture, "1,,,,,,,,\n\n\"2\",,\"a\nb\",,,,,,\nbad\n");
	add_text(&fixture, "");
	add_text(&fixture, "\r\n3,,,,,,,,");
	static const struct {
		size_t file;
		uint64_t number;
		enum customer_reason reason;
		int64_t id;
	} EXPECTED[] = {{0, 1, CUSTOMER_GOOD, 1},
			{0, 3, CUSTOMER_GOOD, 2},
			{0, 5, CUSTOMER_COLUMN_COUNT, 0},
			{2, 2, CUSTOMER_GOOD, 3}};
	struct customer_scan *scan = NULL;
	struct error err;
	struct customer_line line;
	assert_int_equal(customer_scan_open(&fixture.all, 0, 3, &scan, &err), 0);
	for (size_t i = 0; i < sizeof(EXPECTED) / sizeof(EXPECTED[0]); i++) {
		assert_false(fixture.files[EXPECTED[i].file].is_counted);
		assert_int_equal(customer_scan_next(scan, &line, &err), 0);
		assert_false(line.end);
		assert_int_equal(customer_scan_file(scan), EXPECTED[i].file);
		assert_int_equal(line.number, EXPECTED[i].number);
		assert_int_equal(line.reason, EXPECTED[i].reason);
		if (line.reason == CUSTOMER_GOOD)
			assert_int_equal(line.row.id_number, EXPECTED[i].id);
	}
	for (int again = 0; again < 2; again++) {
		assert_int_equal(customer_scan_next(scan, &line, &err), 0);
		assert_true(line.end);
	}
	customer_scan_close(scan);
	static const uint64_t GOOD[] = {2, 0, 1};
	for (size_t i = 0; i < 3; i++) {
		assert_true(fixture.files[i].is_counted);
		assert_int_equal(fixture.files[i].counts[CUSTOMER_GOOD], GOOD[i]);
		assert_int_equal(customer_file_bad_lines(&fixture.files[i]), i == 0);
	}
	release(&fixture);
}

/* Reads everything ahead and checks that the rows come in order. Returns the code that ended it. */
static int read_all(struct fixture *fixture, int name_len, uint64_t *rows, struct error *err)
{
	struct customer_ahead *ahead = NULL;
	assert_int_equal(customer_ahead_start(&fixture->all, &ahead, err), 0);
	uint64_t n = 0;
	int rc;
	for (;;) {
		const struct customer_ahead_batch *batch = NULL;
		rc = customer_ahead_next(ahead, &batch, err);
		if (rc < 0 || batch->n_rows == 0)
			break;
		for (uint32_t i = 0; i < batch->n_rows; i++) {
			const struct customer_ahead_row *const row = &batch->rows[i];
			n++;
			assert_int_equal(row->row.id_number, n);
			char name[LIMIT_CUSTOMER_TEXT_BYTES + 1];
			const int len = snprintf(name, sizeof(name), "%0*d", name_len, (int)n);
			assert_int_equal(row->row.name.len, len);
			assert_memory_equal(row->row.name.data, name, (size_t)len);
			assert_true(slice_is(row->row.gender, "M"));
			assert_int_equal(row->row.email.len, 0);
		}
	}
	*rows = n;
	/* It stays so. */
	const struct customer_ahead_batch *batch = NULL;
	assert_int_equal(customer_ahead_next(ahead, &batch, err), rc);
	customer_ahead_stop(ahead);
	return rc;
}

static void test_read_ahead(void **state)
{
	(void)state;
	static const int SIZES[] = {0, 1, 2047, 2048, 2049, 20000};
	static const int LENGTHS[] = {1, (int)LIMIT_CUSTOMER_TEXT_BYTES};
	for (size_t i = 0; i < sizeof(SIZES) / sizeof(SIZES[0]); i++) {
		for (size_t k = 0; k < 2; k++) {
			struct fixture fixture = FIXTURE;
			add_many(&fixture, 1, SIZES[i], LENGTHS[k]);
			add_many(&fixture, 1 + SIZES[i], 10, LENGTHS[k]);
			struct error err;
			uint64_t rows;
			assert_int_equal(read_all(&fixture, LENGTHS[k], &rows, &err), 0);
			assert_int_equal(rows, SIZES[i] + 10);
			assert_true(fixture.files[0].is_counted && fixture.files[1].is_counted);
			assert_int_equal(fixture.files[0].counts[CUSTOMER_GOOD], SIZES[i]);
			assert_int_equal(fixture.files[0].counts[CUSTOMER_COLUMN_COUNT], SIZES[i] / 10);
			release(&fixture);
		}
	}
}

/* An error comes when it is its turn: the rows before are there. */
static void test_error_in_the_second_file(void **state)
{
	(void)state;
	struct fixture fixture = FIXTURE;
	add_many(&fixture, 1, 5000, 1);
	add_text(&fixture, "\x1F\x8B\x08 cut off");
	struct error err;
	uint64_t rows;
	assert_int_equal(read_all(&fixture, 1, &rows, &err), ERROR_INPUT);
	assert_non_null(strstr(err.message, "gzip"));
	assert_true(rows <= 5000 && rows >= 4096);
	assert_true(fixture.files[0].is_counted);
	assert_false(fixture.files[1].is_counted);
	release(&fixture);
}

/* At every stage: before the first batch, in the middle, at the end. */
static void test_stop_early(void **state)
{
	(void)state;
	struct fixture fixture = FIXTURE;
	add_many(&fixture, 1, 30000, 3);
	for (unsigned batches = 0; batches < 20; batches++) {
		struct customer_ahead *ahead = NULL;
		struct error err;
		assert_int_equal(customer_ahead_start(&fixture.all, &ahead, &err), 0);
		for (unsigned i = 0; i < batches; i++) {
			const struct customer_ahead_batch *batch = NULL;
			assert_int_equal(customer_ahead_next(ahead, &batch, &err), 0);
		}
		customer_ahead_stop(ahead);
	}
	customer_ahead_stop(NULL);
	release(&fixture);
}

/* A model may join the files with themselves. */
static void test_two_at_once(void **state)
{
	(void)state;
	struct fixture fixture = FIXTURE;
	add_many(&fixture, 1, 9000, 3);
	struct customer_ahead *ahead[2] = {NULL, NULL};
	struct error err;
	uint64_t rows[2] = {0, 0};
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(customer_ahead_start(&fixture.all, &ahead[i], &err), 0);
	for (bool end = false; !end;) {
		for (size_t i = 0; i < 2; i++) {
			const struct customer_ahead_batch *batch = NULL;
			assert_int_equal(customer_ahead_next(ahead[i], &batch, &err), 0);
			rows[i] += batch->n_rows;
			end = batch->n_rows == 0;
		}
	}
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(rows[i], 9000);
		customer_ahead_stop(ahead[i]);
	}
	assert_int_equal(fixture.files[0].counts[CUSTOMER_GOOD], 9000);
	assert_int_equal(fixture.files[0].counts[CUSTOMER_COLUMN_COUNT], 900);
	release(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines_of_all_files),
		cmocka_unit_test(test_read_ahead),
		cmocka_unit_test(test_error_in_the_second_file),
		cmocka_unit_test(test_stop_early),
		cmocka_unit_test(test_two_at_once),
	};
	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
