/* Sinks: every line once, wherever it was when all died; what a sink has still to take is not trimmed. */
#include "speed/sink.h"

#include "base/bytes.h"
#include "journal_shop.h"
#include "speed/consumers_internal.h"
#include "store/block.h"
#include "store/row_store.h"

#include <sys/stat.h>

/* A block of lines, at a time of its own. */
static void add_block(const char *source, const char *file, const char *const *lines, unsigned n, int64_t time_us)
{
	struct block_writer w = {0};
	assert_int_equal(block_writer_begin(&w, slice_of(source), time_us), 0);
	assert_int_equal(block_writer_file(&w, slice_of(file)), 0);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(block_writer_line(&w, i + 1, slice_of(lines[i])), 0);
	assert_true(block_writer_has_records(&w));
	append_block(&w);
}

#define T0 INT64_C(1700000000000000)
static const char *const AB[] = {"a", "b"};
static const char *const CDE[] = {"c", "", "e"};

static char *sources[] = {"flume-a-s"};
static struct sink files_sink(void)
{
	return (struct sink){.driver = &sink_files,
			     .name = "a/k",
			     .sources = sources,
			     .n_sources = 1,
			     .dir = "lake/x",
			     .in_warehouse = true,
			     .prefix = "FlumeData",
			     .suffix = ""};
}

static uint64_t open_sink(struct sink *sink)
{
	struct error err = {0};
	uint64_t offset = 0;
	if (sink_open(sink, shop, journal, &offset, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(journal_reader_renew(reader, NULL), 0);
	return offset;
}

static void write_sink(struct sink *sink, uint64_t first, uint64_t next)
{
	struct error err = {0};
	if (sink_write(sink, reader, first, next, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(journal_reader_renew(reader, NULL), 0);
}

static void assert_file(const char *name, const char *text)
{
	_cleanup_free_ char *path = shop_path(name);
	_cleanup_buf_ struct buf have = {0};
	if (!text) {
		assert_false(file_exists(path));
		return;
	}
	assert_int_equal(file_read_all(path, 10000, &have, NULL), 0);
	assert_non_null(buf_text(&have));
	assert_string_equal(have.data, text);
}

static uint64_t pinned(void)
{
	struct sinks_pin pin = {0};
	assert_int_equal(journal_reader_renew(reader, NULL), 0);
	assert_int_equal(sinks_pinned(reader, &pin, NULL), 0);
	assert_string_equal(pin.name, pin.first == UINT64_MAX ? "" : "a/k");
	return pin.first;
}

#define LAKE "data/warehouse/lake/x/"

static void test_files(void **state)
{
	(void)state;
	struct sink sink = files_sink();
	add_block("flume-a-s", "early", AB, 2, T0); /* before the sink was there */
	assert_int_equal(open_sink(&sink), 2);
	add_block("flume-a-s", "f1", AB, 2, T0);
	add_block("other", "f2", AB, 2, T0);
	add_block("flume-a-s", "f3", CDE, 3, T0);
	write_sink(&sink, 2, 4);
	write_sink(&sink, 4, 5);
	assert_file(LAKE "FlumeData.2-3", "a\nb\n");
	assert_file(LAKE "FlumeData.4-4", "c\n\ne\n");
	assert_int_equal(pinned(), 5);
	sink_close(&sink, true);
	assert_int_equal(pinned(), UINT64_MAX);
	/* Nothing is pinned, and it begins behind what came meanwhile. */
	add_block("flume-a-s", "f4", AB, 2, T0);
	assert_int_equal(open_sink(&sink), 6);
	sink_close(&sink, false);
	assert_int_equal(pinned(), 6);
}

static void test_rolling(void **state)
{
	(void)state;
	struct sink sink = files_sink();
	sink.roll_lines = 2;
	sink.dir = "lake/x/%Y-%m-%d/%H";
	sink.timezone = "America/New_York";
	sink.suffix = ".txt";
	open_sink(&sink);
	add_block("flume-a-s", "f1", CDE, 3, T0); /* 22:13 UTC */
	add_block("flume-a-s", "f2", CDE, 3, T0 + INT64_C(7200000000));
	write_sink(&sink, 1, 3);
	assert_file(LAKE "2023-11-14/17/FlumeData.1-2.txt", "c\n\n");
	assert_file(LAKE "2023-11-14/17/FlumeData.1-2.1.txt", "e\n");
	assert_file(LAKE "2023-11-14/19/FlumeData.1-2.2.txt", "c\n\n");
	assert_file(LAKE "2023-11-14/19/FlumeData.1-2.3.txt", "e\n");
	sink_close(&sink, true);
}

/* Killed before it counts: what was staged goes, and is written again. */
static void test_killed_before_commit(void **state)
{
	(void)state;
	struct sink sink = files_sink();
	open_sink(&sink);
	add_block("flume-a-s", "f1", AB, 2, T0);
	sink.first = 1;
	sink.next = 2;
	assert_int_equal(sink.driver->begin(&sink, 1, 2, NULL), 0);
	const struct sink_line line = {
		.source = SLICE("flume-a-s"), .file = SLICE("f1"), .line = 1, .text = SLICE("a")};
	assert_int_equal(sink.driver->line(&sink, &line, NULL), 0);
	assert_file(LAKE ".a@k/0", "");
	sink_close(&sink, false);
	assert_int_equal(open_sink(&sink), 1);
	assert_file(LAKE ".a@k/0", NULL);
	write_sink(&sink, 1, 2);
	assert_file(LAKE "FlumeData.1-1", "a\nb\n");
	sink_close(&sink, true);
}

static struct slice left_to_do(char bytes[256])
{
	char *p = put_varint(bytes, 1);
	p = put_slice(p, SLICE(LAKE ".a@k/0"));
	p = put_slice(p, SLICE(LAKE "FlumeData.1-1"));
	return (struct slice){bytes, (size_t)(p - bytes)};
}

/* Killed when it counted, before the file had its name: it gets it, once. */
static void test_killed_behind_commit(void **state)
{
	(void)state;
	for (int named = 0; named < 2; named++) {
		struct sink sink = files_sink();
		char bytes[256];
		open_sink(&sink);
		_cleanup_free_ char *dir = shop_path(LAKE ".a@k");
		assert_int_equal(file_make_dirs(dir, NULL), 0);
		if (!named)
			shop_write(LAKE ".a@k/0", "a\n", 2);
		sink.next = 1;
		assert_int_equal(sink_commit(&sink, left_to_do(bytes), NULL), 0);
		sink_close(&sink, false);
		assert_int_equal(open_sink(&sink), 1);
		assert_file(LAKE "FlumeData.1-1", "a\n");
		assert_file(LAKE "FlumeData.1-1.2", NULL);
		sink_close(&sink, false);
	}
}

/* No file is written over. */
static void test_name_is_taken(void **state)
{
	(void)state;
	struct sink sink = files_sink();
	open_sink(&sink);
	_cleanup_free_ char *dir = shop_path("data/warehouse/lake/x");
	assert_int_equal(file_make_dirs(dir, NULL), 0);
	shop_write(LAKE "FlumeData.1-1", "theirs\n", 7);
	add_block("flume-a-s", "f1", AB, 2, T0);
	write_sink(&sink, 1, 2);
	assert_file(LAKE "FlumeData.1-1", "theirs\n");
	assert_file(LAKE "FlumeData.1-1.2", "a\nb\n");
	sink_close(&sink, true);
}

/* A directory that cannot be made once the lines count: nothing is written again, the names come later. */
static void test_names_later(void **state)
{
	(void)state;
	struct sink sink = files_sink();
	sink.dir = "lake/x/%Y";
	open_sink(&sink);
	_cleanup_free_ char *dir = shop_path(LAKE);
	assert_int_equal(file_make_dirs(dir, NULL), 0);
	shop_write(LAKE "2023", "a file in the way", 17);
	add_block("flume-a-s", "f1", AB, 2, T0);
	write_sink(&sink, 1, 2);
	assert_true(sink.left);
	sink_close(&sink, true);
	assert_int_equal(pinned(), 2); /* it has not ended in order */
	_cleanup_free_ char *way = shop_path(LAKE "2023");
	assert_int_equal(unlink(way), 0);
	assert_int_equal(open_sink(&sink), 2);
	assert_file(LAKE "2023/FlumeData.1-1", "a\nb\n");
	sink_close(&sink, true);
	assert_int_equal(pinned(), UINT64_MAX);
}

static void test_rows(void **state)
{
	(void)state;
	struct sink sink = {
		.driver = &sink_rows, .name = "a/r", .sources = sources, .n_sources = 1, .table = "t", .column = "f:c"};
	open_sink(&sink);
	add_block("flume-a-s", "f1", CDE, 3, T0);
	write_sink(&sink, 1, 2);
	write_sink(&sink, 1, 2); /* as after a crash between rows and offset */
	sink_close(&sink, true);

	struct row_store *rows = NULL;
	struct row_walk *walk = NULL;
	struct row_cell cell;
	struct slice table;
	bool found;
	_cleanup_free_ char *dir = shop_path("data/rows");
	assert_int_equal(row_store_open(dir, &(struct row_store_options){.map_gib = 1, .read_only = true}, &rows, NULL),
			 0);
	assert_int_equal(row_store_read_begin(rows, NULL), 0);
	assert_int_equal(row_store_table(rows, (struct slice){0}, &table, &found, NULL), 0);
	assert_true(found && slice_is(table, "t"));
	assert_int_equal(row_walk_open(rows, table, &walk, NULL), 0);
	for (unsigned i = 0; i < 3; i++) {
		char key[32];
		snprintf(key, sizeof(key), "flume-a-s/f1:%u", i + 1);
		assert_int_equal(row_walk_next(walk, &cell, &found, NULL), 0);
		assert_true(found && slice_is(cell.key, key) && slice_is(cell.column, "f:c"));
		assert_true(slice_is(cell.value, CDE[i]));
	}
	assert_int_equal(row_walk_next(walk, &cell, &found, NULL), 0);
	assert_false(found);
	row_walk_close(walk);
	assert_int_equal(row_store_table(rows, table, &table, &found, NULL), 0);
	assert_false(found);
	row_store_close(rows);
}

/* An error that comes behind the commit: it goes on where that says, and what was left to do is done. */
static void test_recover(void **state)
{
	(void)state;
	struct sink sink = files_sink();
	char bytes[256];
	uint64_t offset = 0;
	open_sink(&sink);
	add_block("flume-a-s", "f1", AB, 2, T0);
	assert_int_equal(sink_recover(&sink, &offset, NULL), 0);
	assert_int_equal(offset, 1);
	_cleanup_free_ char *dir = shop_path(LAKE ".a@k");
	assert_int_equal(file_make_dirs(dir, NULL), 0);
	shop_write(LAKE ".a@k/0", "a\nb\n", 4);
	sink.next = 2;
	assert_int_equal(sink_commit(&sink, left_to_do(bytes), NULL), 0);
	assert_int_equal(sink_recover(&sink, &offset, NULL), 0);
	assert_int_equal(offset, 2);
	assert_file(LAKE "FlumeData.1-1", "a\nb\n");
	sink_close(&sink, true);
}

/* The position of a journal that was lost or put back. */
static void test_other_journal(void **state)
{
	(void)state;
	struct sink sink = files_sink();
	struct error err = {0};
	uint64_t offset;
	open_sink(&sink);
	sink.next = 100;
	assert_int_equal(sink_commit(&sink, (struct slice){0}, NULL), 0);
	sink_close(&sink, false);
	assert_int_equal(sink_open(&sink, shop, journal, &offset, &err), ERROR_CORRUPT);
	assert_non_null(strstr(err.message, "sink a/k"));
	sink_close(&sink, false);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_journal_shop, close_journal_shop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_files),
		TEST(test_rolling),
		TEST(test_killed_before_commit),
		TEST(test_killed_behind_commit),
		TEST(test_name_is_taken),
		TEST(test_names_later),
		TEST(test_rows),
		TEST(test_other_journal),
		TEST(test_recover),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
