/* The journal: all or nothing, in order, and seen as of one moment. */
#include "store/journal.h"

#include "base/file.h"
#include "store/block.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char base[64];
static char dir[96];

static int make_dir(void **state)
{
	(void)state;
	snprintf(base, sizeof(base), "/tmp/punchcard-test-journal-XXXXXX");
	if (!mkdtemp(base))
		return -1;
	snprintf(dir, sizeof(dir), "%s/data/journal", base);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	return file_remove_tree(base, NULL);
}

static struct journal *open_it(bool read_only)
{
	struct journal *journal = NULL;
	struct error err = {0};
	const struct journal_options options = {.map_gib = 1, .read_only = read_only};
	if (journal_open(dir, &options, &journal, &err) < 0)
		fail_msg("%s", err.message);
	return journal;
}

static struct journal_reader *read_it(struct journal *journal)
{
	struct journal_reader *reader = NULL;
	assert_int_equal(journal_reader_open(journal, &reader, NULL), 0);
	return reader;
}

static void begin(struct journal *journal)
{
	assert_int_equal(journal_begin(journal, NULL), 0);
}

static void commit(struct journal *journal)
{
	assert_int_equal(journal_commit(journal, NULL), 0);
}

/* A block of one event with `lines` lines and one quarantined line of `bytes` bytes. */
static struct slice make_block(struct block_writer *w, uint32_t n_lines, size_t bytes)
{
	static struct order_line lines[10];
	static char text[2 << 20];
	const struct event event = {
		.id = SLICE("e"), .customer.number = 1, .time_us = n_lines, .lines = lines, .n_lines = n_lines};
	memset(text, 't', bytes);
	assert_int_equal(block_writer_begin(w, SLICE("till"), 1), 0);
	assert_int_equal(block_writer_event(w, &event, false, 1), 0);
	assert_int_equal(block_writer_quarantined(w, 2, REASON_TIME, (struct slice){text, bytes}, 5), 0);
	return block_writer_finish(w);
}

static uint64_t append(struct journal *journal, uint32_t n_lines, size_t bytes)
{
	struct block_writer w = {0};
	uint64_t seq = 0;
	struct error err = {0};
	if (journal_append(journal, make_block(&w, n_lines, bytes), &seq, &err) < 0)
		fail_msg("%s", err.message);
	block_writer_release(&w);
	return seq;
}

static void assert_range(struct journal_reader *reader, uint64_t first, uint64_t next)
{
	uint64_t have_first = 99;
	uint64_t have_next = 99;
	assert_int_equal(journal_reader_range(reader, &have_first, &have_next, NULL), 0);
	assert_int_equal(have_first, first);
	assert_int_equal(have_next, next);
}

static void assert_block(struct journal_reader *reader, uint64_t seq, uint32_t n_lines)
{
	struct slice block;
	struct block_reader r;
	struct block_record record;
	assert_int_equal(journal_reader_block(reader, seq, &block, NULL), 0);
	assert_int_equal(block_reader_open(&r, block, NULL), 0);
	assert_int_equal(block_reader_next(&r, &record, NULL), 1);
	assert_int_equal(record.event.n_lines, n_lines);
	block_reader_release(&r);
}

static void test_append_and_read(void **state)
{
	(void)state;
	struct journal *journal = open_it(false);
	struct journal_reader *reader = read_it(journal);
	struct journal_totals totals;
	uint64_t offset = 0;
	assert_range(reader, 1, 1);
	assert_int_equal(journal_reader_totals(reader, &totals, NULL), 0);
	assert_int_equal(totals.events + totals.lines + totals.quarantined, 0);
	assert_int_equal(journal_reader_offset(reader, "table", &offset, NULL), 0);
	assert_int_equal(offset, 1);
	begin(journal);
	for (uint32_t i = 1; i <= 5; i++)
		assert_int_equal(append(journal, i, i == 3 ? 1500000 : 10), i);
	assert_int_equal(journal_offset_set(journal, "table", 4, NULL), 0);
	/* Not before the commit, and not in a reader of before. */
	struct journal_reader *early = read_it(journal);
	assert_range(early, 1, 1);
	commit(journal);
	assert_range(early, 1, 1);
	assert_range(reader, 1, 1);
	struct slice block;
	assert_int_equal(journal_reader_block(reader, 1, &block, NULL), ERROR_NOT_FOUND);
	assert_int_equal(journal_reader_renew(reader, NULL), 0);
	for (int again = 0; again < 2; again++) {
		assert_range(reader, 1, 6);
		for (uint32_t i = 1; i <= 5; i++)
			assert_block(reader, i, i);
		assert_int_equal(journal_reader_block(reader, 6, &block, NULL), ERROR_NOT_FOUND);
		assert_int_equal(journal_reader_block(reader, 0, &block, NULL), ERROR_NOT_FOUND);
		assert_int_equal(journal_reader_totals(reader, &totals, NULL), 0);
		assert_int_equal(totals.events, 5);
		assert_int_equal(totals.lines, 15);
		assert_int_equal(totals.quarantined, 5);
		assert_int_equal(journal_reader_offset(reader, "table", &offset, NULL), 0);
		assert_int_equal(offset, 4);
		assert_int_equal(journal_reader_offset(reader, "other", &offset, NULL), 0);
		assert_int_equal(offset, 1);
		uint64_t used;
		uint64_t file;
		assert_int_equal(journal_reader_sizes(reader, &used, &file, NULL), 0);
		assert_true(used > 1500000 && file >= used);
		/* Once more, after it was closed: read only, then for writing. */
		journal_reader_close(reader);
		journal_reader_close(early);
		early = NULL;
		journal_close(journal);
		journal = open_it(again == 0);
		reader = read_it(journal);
	}
	begin(journal);
	assert_int_equal(append(journal, 1, 1), 6);
	commit(journal);
	journal_reader_close(reader);
	journal_close(journal);
	journal_close(NULL);
	journal_reader_close(NULL);
}

static void test_count(void **state)
{
	(void)state;
	struct journal *const journal = open_it(false);
	begin(journal);
	for (uint32_t n = 1; n <= 4; n++)
		append(journal, n, 3);
	commit(journal);
	struct journal_reader *const reader = read_it(journal);
	/* Each block has so many lines, and a quarantined one: 2, 3, 4, 5. */
	static const struct {
		uint64_t first;
		uint64_t next;
		uint64_t most;
		uint64_t end;
		uint64_t events;
		uint64_t lines;
	} COUNTS[] = {
		{1, 5, UINT64_MAX, 5, 4, 10}, {2, 4, UINT64_MAX, 4, 2, 5}, {3, 3, UINT64_MAX, 3, 0, 0},
		{1, 5, 1, 2, 1, 1},           {1, 5, 2, 2, 1, 1},          {1, 5, 3, 3, 2, 3},
		{1, 5, 5, 3, 2, 3},           {1, 5, 6, 4, 3, 6},          {1, 5, 14, 5, 4, 10},
	};
	for (size_t i = 0; i < sizeof(COUNTS) / sizeof(COUNTS[0]); i++) {
		struct block_counts sum;
		uint64_t end = 0;
		assert_int_equal(
			journal_reader_count(reader, COUNTS[i].first, COUNTS[i].next, COUNTS[i].most, &sum, &end, NULL),
			0);
		assert_int_equal(end, COUNTS[i].end);
		assert_int_equal(sum.n_events, COUNTS[i].events);
		assert_int_equal(sum.n_lines, COUNTS[i].lines);
		assert_int_equal(sum.n_quarantined, COUNTS[i].events);
	}
	struct block_counts sum = {.n_lines = 77};
	assert_int_equal(journal_reader_count(reader, 1, 6, UINT64_MAX, &sum, NULL, NULL), ERROR_NOT_FOUND);
	assert_int_equal(sum.n_lines, 77);
	assert_int_equal(journal_reader_count(reader, 1, 5, UINT64_MAX, &sum, NULL, NULL), 0);
	assert_int_equal(sum.n_lines, 10);
	journal_reader_close(reader);
	journal_close(journal);
}

static void test_abort(void **state)
{
	(void)state;
	struct journal *journal = open_it(false);
	struct slice position;
	enum journal_id_state id;
	begin(journal);
	assert_int_equal(append(journal, 1, 1), 1);
	assert_int_equal(journal_position_set(journal, SLICE("k"), SLICE("v"), NULL), 0);
	assert_int_equal(journal_id_add(journal, (const unsigned char *)"0123456789abcdef", 1, &id, NULL), 0);
	assert_int_equal(id, JOURNAL_ID_NEW);
	assert_int_equal(journal_offset_set(journal, "table", 2, NULL), 0);
	journal_abort(journal);
	journal_abort(journal);
	/* Left open: as if it was killed. */
	begin(journal);
	assert_int_equal(append(journal, 1, 1), 1);
	journal_close(journal);
	journal = open_it(false);
	struct journal_reader *const reader = read_it(journal);
	uint64_t offset;
	assert_range(reader, 1, 1);
	assert_int_equal(journal_reader_offset(reader, "table", &offset, NULL), 0);
	assert_int_equal(offset, 1);
	journal_reader_close(reader);
	begin(journal);
	assert_int_equal(journal_position(journal, SLICE("k"), &position, NULL), ERROR_NOT_FOUND);
	assert_int_equal(journal_id_add(journal, (const unsigned char *)"0123456789abcdef", 1, &id, NULL), 0);
	assert_int_equal(id, JOURNAL_ID_NEW);
	/* What is no block is refused before anything is written. */
	uint64_t seq = 7;
	assert_int_equal(journal_append(journal, SLICE("no block"), &seq, NULL), ERROR_CORRUPT);
	assert_int_equal(seq, 7);
	journal_abort(journal);
	journal_close(journal);
}

static void test_ids(void **state)
{
	(void)state;
	struct journal *journal = open_it(false);
	for (int run = 0; run < 2; run++) {
		begin(journal);
		for (unsigned i = 0; i < 300; i++) {
			char id[17];
			snprintf(id, sizeof(id), "%016u", i);
			enum journal_id_state id_state;
			assert_int_equal(journal_id_add(journal, (const unsigned char *)id, i * 7, &id_state, NULL), 0);
			assert_int_equal(id_state, run ? JOURNAL_ID_SAME : JOURNAL_ID_NEW);
			assert_int_equal(journal_id_add(journal, (const unsigned char *)id, i * 7, &id_state, NULL), 0);
			assert_int_equal(id_state, JOURNAL_ID_SAME);
			assert_int_equal(journal_id_add(journal, (const unsigned char *)id, i * 7 + 1, &id_state, NULL),
					 0);
			assert_int_equal(id_state, JOURNAL_ID_CONFLICT);
			/* The first payload stays. */
			assert_int_equal(journal_id_add(journal, (const unsigned char *)id, i * 7, &id_state, NULL), 0);
			assert_int_equal(id_state, JOURNAL_ID_SAME);
		}
		commit(journal);
		journal_close(journal);
		journal = open_it(false);
	}
	journal_close(journal);
}

static void test_ids_taken_back(void **state)
{
	(void)state;
	const unsigned char *const had = (const unsigned char *)"had-had-had-had-";
	const unsigned char *const fresh = (const unsigned char *)"new-new-new-new-";
	enum journal_id_state id_state;
	struct journal *journal = open_it(false);
	begin(journal);
	assert_int_equal(journal_id_add(journal, had, 1, &id_state, NULL), 0);
	commit(journal);
	begin(journal);
	assert_int_equal(journal_id_add(journal, fresh, 1, &id_state, NULL), 0);
	assert_int_equal(journal_id_remove(journal, fresh, NULL), 0);
	assert_int_equal(journal_id_add(journal, fresh, 2, &id_state, NULL), 0);
	assert_int_equal(id_state, JOURNAL_ID_NEW);
	assert_int_equal(journal_id_remove(journal, fresh, NULL), 0);
	commit(journal);
	begin(journal);
	assert_int_equal(journal_id_add(journal, had, 1, &id_state, NULL), 0);
	assert_int_equal(id_state, JOURNAL_ID_SAME);
	assert_int_equal(journal_id_add(journal, fresh, 3, &id_state, NULL), 0);
	assert_int_equal(id_state, JOURNAL_ID_NEW);
	journal_abort(journal);
	journal_close(journal);
}

struct collected {
	char text[200];
	unsigned most;
	unsigned n;
};

static int collect(void *context, struct slice key, struct slice position)
{
	struct collected *const c = context;
	const size_t len = strlen(c->text);
	snprintf(c->text + len, sizeof(c->text) - len, "%.*s=%.*s ", (int)key.len, key.data, (int)position.len,
		 position.data);
	return ++c->n == c->most;
}

static void test_positions(void **state)
{
	(void)state;
	struct journal *const journal = open_it(false);
	begin(journal);
	static const char *const KEYS[] = {"b2", "a", "b", "b1", "c", "\xff"};
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(journal_position_set(journal, slice_of(KEYS[i]), SLICE("old"), NULL), 0);
	assert_int_equal(journal_position_set(journal, SLICE("b1"), SLICE("new"), NULL), 0);
	char long_key[501];
	memset(long_key, 'z', sizeof(long_key));
	assert_int_equal(journal_position_set(journal, (struct slice){long_key, 500}, SLICE("long"), NULL), 0);
	struct slice position;
	assert_int_equal(journal_position(journal, SLICE("b1"), &position, NULL), 0);
	assert_true(slice_is(position, "new"));
	commit(journal);
	struct journal_reader *const reader = read_it(journal);
	static const struct {
		const char *prefix;
		unsigned most;
		const char *expected;
	} CASES[] = {
		{"b", 99, "b=old b1=new b2=old "},
		{"b", 2, "b=old b1=new "},
		{"b2", 99, "b2=old "},
		{"b3", 99, ""},
		{"\xff", 99, "\xff=old "},
		{"", 3, "a=old b=old b1=new "},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct collected c = {.most = CASES[i].most};
		assert_int_equal(journal_reader_positions(reader, slice_of(CASES[i].prefix), collect, &c, NULL), 0);
		assert_string_equal(c.text, CASES[i].expected);
	}
	/* The writer sees its own. */
	begin(journal);
	assert_int_equal(journal_position_set(journal, SLICE("b3"), SLICE("mine"), NULL), 0);
	struct collected c = {.most = 99};
	assert_int_equal(journal_positions(journal, SLICE("b"), collect, &c, NULL), 0);
	assert_string_equal(c.text, "b=old b1=new b2=old b3=mine ");
	journal_abort(journal);
	journal_reader_close(reader);
	journal_close(journal);
}

static void test_trim(void **state)
{
	(void)state;
	struct journal *const journal = open_it(false);
	begin(journal);
	for (uint32_t i = 1; i <= 8; i++)
		append(journal, i, 100000);
	commit(journal);
	struct journal_reader *const old = read_it(journal);
	unsigned n = 9;
	begin(journal);
	assert_int_equal(journal_trim(journal, 1, 100, &n, NULL), 0);
	assert_int_equal(n, 0);
	assert_int_equal(journal_trim(journal, 6, 3, &n, NULL), 0);
	assert_int_equal(n, 3);
	assert_int_equal(journal_trim(journal, 6, 100, &n, NULL), 0);
	assert_int_equal(n, 2);
	commit(journal);
	struct journal_reader *const reader = read_it(journal);
	struct slice block;
	assert_range(reader, 6, 9);
	assert_int_equal(journal_reader_block(reader, 5, &block, NULL), ERROR_NOT_FOUND);
	assert_block(reader, 6, 6);
	/* A reader of before still has them, also when their pages are wanted again. */
	begin(journal);
	for (uint32_t i = 9; i <= 10; i++)
		assert_int_equal(append(journal, i, 300000), i);
	commit(journal);
	assert_range(old, 1, 9);
	for (uint32_t i = 1; i <= 8; i++)
		assert_block(old, i, i);
	/* All gone: numbers go on. */
	begin(journal);
	assert_int_equal(journal_trim(journal, 1000, 1000, &n, NULL), 0);
	assert_int_equal(n, 5);
	assert_int_equal(journal_trim(journal, 1000, 1000, &n, NULL), 0);
	assert_int_equal(n, 0);
	commit(journal);
	assert_int_equal(journal_reader_renew(reader, NULL), 0);
	assert_range(reader, 11, 11);
	begin(journal);
	assert_int_equal(append(journal, 1, 1), 11);
	commit(journal);
	struct journal_totals totals;
	assert_int_equal(journal_reader_renew(reader, NULL), 0);
	assert_range(reader, 11, 12);
	assert_int_equal(journal_reader_totals(reader, &totals, NULL), 0);
	assert_int_equal(totals.events, 11);
	journal_reader_close(reader);
	journal_reader_close(old);
	journal_close(journal);
}

/* A full map is an error that says what to do; what was durable stays, and readers go on. */
static void test_map_full(void **state)
{
	(void)state;
	struct journal *const journal = open_it(false);
	begin(journal);
	append(journal, 1, 10);
	commit(journal);
	begin(journal);
	struct block_writer w = {0};
	const struct slice block = make_block(&w, 1, (2 << 20) - 1);
	struct error err = {0};
	int rc = 0;
	unsigned n = 0;
	for (uint64_t seq; rc == 0 && n < 600; n++)
		rc = journal_append(journal, block, &seq, &err);
	assert_int_equal(rc, ERROR_NO_SPACE);
	assert_non_null(strstr(err.message, "map_gib"));
	journal_abort(journal);
	struct journal_reader *const reader = read_it(journal);
	assert_range(reader, 1, 2);
	journal_reader_close(reader);
	begin(journal);
	assert_int_equal(append(journal, 1, 10), 2);
	commit(journal);
	block_writer_release(&w);
	journal_close(journal);
}

static int try_open(bool read_only, struct error *err)
{
	struct journal *journal = NULL;
	const struct journal_options options = {.map_gib = 1, .read_only = read_only};
	const int rc = journal_open(dir, &options, &journal, err);
	assert_true((rc == 0) == (journal != NULL));
	journal_close(journal);
	return rc;
}

static void test_what_is_no_journal(void **state)
{
	(void)state;
	struct error err = {0};
	assert_int_equal(try_open(true, &err), ERROR_NOT_FOUND);
	assert_non_null(strstr(err.message, dir));
	assert_false(file_exists(dir));
	assert_int_equal(try_open(false, &err), 0);
	assert_int_equal(try_open(true, &err), 0);
	char file[128];
	snprintf(file, sizeof(file), "%s/data.mdb", dir);
	/* Cut short. */
	struct journal *const journal = open_it(false);
	begin(journal);
	append(journal, 1, 1000000);
	commit(journal);
	journal_close(journal);
	assert_int_equal(truncate(file, 500000), 0);
	for (int read_only = 0; read_only < 2; read_only++) {
		assert_int_equal(try_open(read_only, &err), ERROR_CORRUPT);
		assert_non_null(strstr(err.message, dir));
	}
	/* Some other file. */
	static const size_t LENGTHS[] = {1, 100, 4096, 8192, 100000};
	for (size_t i = 0; i < sizeof(LENGTHS) / sizeof(LENGTHS[0]); i++) {
		_cleanup_buf_ struct buf junk = {0};
		assert_int_equal(buf_reserve(&junk, LENGTHS[i]), 0);
		memset(junk.data, 'j', LENGTHS[i]);
		assert_int_equal(file_write_durable(file, junk.data, LENGTHS[i], NULL), 0);
		for (int read_only = 0; read_only < 2; read_only++) {
			assert_int_equal(try_open(read_only, &err), ERROR_CORRUPT);
			assert_non_null(strstr(err.message, dir));
		}
	}
}

/* What a process left that was stopped while it made the file: readers find no journal, and the next writer makes one. */
static void test_made_by_half(void **state)
{
	(void)state;
	struct error err = {0};
	char staged[128];
	snprintf(staged, sizeof(staged), "%s/data.mdb.tmp", dir);
	assert_int_equal(file_make_dirs(dir, NULL), 0);
	assert_int_equal(file_write_durable(staged, "half", 4, NULL), 0);
	assert_int_equal(try_open(true, &err), ERROR_NOT_FOUND);
	assert_int_equal(try_open(false, &err), 0);
	assert_int_equal(try_open(true, &err), 0);
	assert_false(file_exists(staged));
	char lock[128];
	snprintf(lock, sizeof(lock), "%s/data.mdb.tmp-lock", dir);
	assert_false(file_exists(lock));
	/* A failure names the directory. */
	char file[128];
	snprintf(file, sizeof(file), "%s/data.mdb", dir);
	assert_int_equal(truncate(file, 0), 0);
	assert_true(try_open(true, &err) < 0);
	assert_non_null(strstr(err.message, dir));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)
	const struct CMUnitTest tests[] = {
		TEST(test_append_and_read), TEST(test_count),
		TEST(test_abort),           TEST(test_ids),
		TEST(test_positions),       TEST(test_trim),
		TEST(test_map_full),        TEST(test_what_is_no_journal),
		TEST(test_made_by_half),    TEST(test_ids_taken_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
