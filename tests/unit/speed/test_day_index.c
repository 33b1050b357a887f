/* The events of each day, against the slow way: all blocks read again for every day. */
#include "speed/day_index.h"

#include "base/file.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define DAY_US   INT64_C(86400000000)
#define BLOCKS   12u
#define MIDNIGHT (INT64_C(1699981200) * 1000000) /* in Bangkok */

static char dir[64];
static struct tz *bangkok;

static int make_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/punchcard-test-days-XXXXXX");
	return mkdtemp(dir) && tz_load("Asia/Bangkok", &bangkok, NULL) == 0 ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	tz_free(bangkok);
	return file_remove_tree(dir, NULL);
}

static struct journal *open_journal(void)
{
	struct journal *journal = NULL;
	struct error err = {0};
	if (journal_open(dir, &(const struct journal_options){.map_gib = 1}, &journal, &err) < 0)
		fail_msg("%s", err.message);
	return journal;
}

/* A block of up to 40 records of a few files; orders of `days` days around MIDNIGHT, many right at a day's border. */
static void write_block(struct random *random, struct journal *journal, unsigned days)
{
	struct block_writer w = {0};
	const char *const source = random_below(random, 2) ? "till" : "web";
	assert_int_equal(block_writer_begin(&w, slice_of(source), 1), 0);
	const unsigned n = (unsigned)random_below(random, 40);
	for (unsigned i = 0; i < n; i++) {
		if (i == 0 || random_below(random, 5) == 0) {
			char name[32];
			snprintf(name, sizeof(name), "f%u", (unsigned)random_below(random, 100));
			assert_int_equal(block_writer_file(&w, slice_of(name)), 0);
			if (random_below(random, 4) == 0) /* a file without records */
				assert_int_equal(block_writer_file(&w, SLICE("empty")), 0);
		}
		if (random_below(random, 4) == 0) {
			assert_int_equal(block_writer_quarantined(&w, i + 1, REASON_TIME, SLICE("bad"), 5), 0);
			continue;
		}
		const int64_t offset = random_below(random, 3) ? (int64_t)random_below(random, (uint64_t)DAY_US)
							       : -(int64_t)random_below(random, 2);
		const struct order_line lines[2] = {{.amount_minor = i}, {.amount_minor = 2}};
		const struct event event = {
			.id = SLICE("id"),
			.customer.number = (int64_t)random_below(random, 5) + 1,
			.time_us = MIDNIGHT + (int64_t)random_below(random, days) * DAY_US + offset,
			.lines = lines,
			.n_lines = 1 + (uint32_t)random_below(random, 2),
		};
		assert_int_equal(
			block_writer_event(&w, &event, random_below(random, 2), random_below(random, 9) ? i + 1 : 7),
			0);
	}
	uint64_t seq;
	assert_int_equal(journal_begin(journal, NULL), 0);
	assert_int_equal(journal_append(journal, block_writer_finish(&w), &seq, NULL), 0);
	assert_int_equal(journal_commit(journal, NULL), 0);
	block_writer_release(&w);
}

static void note(struct buf *out, const struct block_reader *block, const struct block_record *r)
{
	buf_printf(out, "%.*s %.*s:%llu %.*s %lld %lld %u %lld\n", (int)block->source.len, block->source.data,
		   (int)r->file.len, r->file.data, (unsigned long long)r->line, (int)r->event.id.len, r->event.id.data,
		   (long long)r->event.customer.number, (long long)r->event.time_us, r->event.n_lines,
		   (long long)r->event.lines[0].amount_minor);
}

/* The events of one day. */
static unsigned read_slowly(struct journal_reader *reader, uint64_t first, uint64_t next, int32_t day, struct buf *out)
{
	unsigned n = 0;
	for (uint64_t seq = first; seq < next; seq++) {
		struct slice bytes;
		struct block_reader block;
		struct block_record record;
		assert_int_equal(journal_reader_block(reader, seq, &bytes, NULL), 0);
		assert_int_equal(block_reader_open(&block, bytes, NULL), 0);
		while (block_reader_next(&block, &record, NULL) == 1)
			if (record.kind == BLOCK_EVENT && tz_local_day(bangkok, record.event.time_us) == day) {
				note(out, &block, &record);
				n++;
			}
		block_reader_release(&block);
	}
	return n;
}

static void test_against_the_slow_way(void **state)
{
	(void)state;
	struct journal *const journal = open_journal();
	struct random random;
	random_init(&random, 11);
	for (unsigned i = 0; i < BLOCKS; i++)
		write_block(&random, journal, i < 4 ? 1 : 40);
	struct journal_reader *reader = NULL;
	assert_int_equal(journal_reader_open(journal, &reader, NULL), 0);
	for (uint64_t first = 1; first <= BLOCKS + 1; first++) {
		for (uint64_t next = first; next <= BLOCKS + 1; next += 1 + random_below(&random, 3)) {
			struct day_index *days = NULL;
			struct error err = {0};
			if (day_index_make(reader, first, next, bangkok, &days, &err) < 0)
				fail_msg("%s", err.message);
			unsigned n = 0;
			struct block_reader block = {0}; /* one for all days, as the table writer's scans */
			for (uint32_t day = 0; day < days->n_days; day++) {
				_cleanup_buf_ struct buf slow = {0};
				_cleanup_buf_ struct buf fast = {0};
				const unsigned expected =
					read_slowly(reader, first, next, days->first_day + (int32_t)day, &slow);
				assert_int_equal(day_index_count(days, day), expected);
				n += expected;
				struct block_record record;
				uint32_t at = 0;
				int rc;
				while ((rc = day_index_read(days, day, &at, &block, &record, NULL)) == 1)
					note(&fast, &block, &record);
				assert_int_equal(rc, 0);
				assert_true(slice_equal((struct slice){slow.data, slow.len},
							(struct slice){fast.data, fast.len}));
			}
			block_reader_release(&block);
			/* None is outside of the days; the first and the last have some. */
			uint64_t events = 0;
			for (uint64_t seq = first; seq < next; seq++) {
				struct slice bytes;
				struct block_counts counts;
				assert_int_equal(journal_reader_block(reader, seq, &bytes, NULL), 0);
				assert_int_equal(block_counts(bytes, &counts, NULL), 0);
				events += counts.n_events;
			}
			assert_int_equal(n, events);
			if (days->n_days) {
				assert_true(day_index_count(days, 0) > 0);
				assert_true(day_index_count(days, days->n_days - 1) > 0);
			}
			day_index_free(days);
		}
	}
	struct day_index *days = NULL;
	struct error err = {0};
	assert_int_equal(day_index_make(reader, 1, BLOCKS + 2, bangkok, &days, &err), ERROR_NOT_FOUND);
	assert_null(days);
	assert_non_null(strstr(err.message, "block 13"));
	day_index_free(NULL);
	journal_reader_close(reader);
	journal_close(journal);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_against_the_slow_way, make_dir, remove_dir),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
