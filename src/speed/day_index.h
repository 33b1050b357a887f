/*
 * Where the events of each local day are in some blocks of the journal, in the order of arrival.
 *
 *     struct day_index *days = NULL;
 *     rc = day_index_make(reader, first, next, zone, &days, err);      // checks every block
 *     uint32_t at = 0;
 *     while ((rc = day_index_read(days, day, &at, &block, &record, err)) == 1) …
 *     block_reader_release(&block);
 *     day_index_free(days);
 *
 * 32 bytes an event. The blocks' bytes are the journal reader's: it must not be renewed meanwhile. Immutable once made; not
 * tied to a thread.
 */
#ifndef PUNCHCARD_SPEED_DAY_INDEX_H
#define PUNCHCARD_SPEED_DAY_INDEX_H

#include "base/tz.h"
#include "store/block.h"
#include "store/journal.h"

struct day_index {
	int32_t first_day; /* days since 1970-01-01 */
	uint32_t n_days;   /* from the first to the last; 0: no events */
	bool only_orders;  /* no event is of another kind */
	uint32_t *starts;  /* n_days + 1: where each day begins in entries */
	struct day_entry *entries;
	struct day_segment *segments;
	uint32_t n_segments;
};

/* Blocks first to next - 1, at most 2^32 - 1 events. ERROR_CORRUPT with the block's number. */
int day_index_make(struct journal_reader *reader, uint64_t first, uint64_t next, const struct tz *zone,
		   struct day_index **out, struct error *err);
void day_index_free(struct day_index *days);

static inline uint32_t day_index_count(const struct day_index *days, uint32_t day)
{
	return days->starts[day + 1] - days->starts[day];
}

/* The event at *at (0 first) of a day: 1, and *at is the next; 0 at the end. `block`, all zero at first, is scratch that the
 * record lives in. */
int day_index_read(const struct day_index *days, uint32_t day, uint32_t *at, struct block_reader *block,
		   struct block_record *record, struct error *err);

#endif
