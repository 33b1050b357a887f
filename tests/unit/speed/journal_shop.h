/*
 * A shop whose journal is open, for tests of what reads it: test_x between open_journal_shop and close_journal_shop.
 */
#ifndef PUNCHCARD_TESTS_SPEED_JOURNAL_SHOP_H
#define PUNCHCARD_TESTS_SPEED_JOURNAL_SHOP_H

#include "shop.h"
#include "store/journal.h"

static struct journal *journal;
static struct journal_reader *reader;

static void open_journal(void)
{
	const struct journal_options options = {.map_gib = 1};
	assert_int_equal(journal_open(shop->journal_dir, &options, &journal, NULL), 0);
	assert_int_equal(journal_reader_open(journal, &reader, NULL), 0);
}

static int open_journal_shop(void **state)
{
	if (make_shop(state) < 0)
		return -1;
	shop_open(CLASSIC_SOURCE);
	open_journal();
	return 0;
}

static int close_journal_shop(void **state)
{
	journal_reader_close(reader);
	journal_close(journal);
	return remove_shop(state);
}

/* Appends a block, which the reader sees, and gives its bytes back. */
static void append_block(struct block_writer *w)
{
	uint64_t seq;
	assert_int_equal(journal_begin(journal, NULL), 0);
	assert_int_equal(journal_append(journal, block_writer_finish(w), &seq, NULL), 0);
	assert_int_equal(journal_commit(journal, NULL), 0);
	block_writer_release(w);
	assert_int_equal(journal_reader_renew(reader, NULL), 0);
}

#endif
