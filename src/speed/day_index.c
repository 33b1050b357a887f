#include "speed/day_index.h"

#include <assert.h>
#include <stdlib.h>

struct day_entry {
	struct block_place place;
	uint32_t segment;
	int32_t day;
};

/* Neighbouring records of one block and file. */
struct day_segment {
	const unsigned char *end; /* of the block */
	struct slice source;
	struct slice file;
};

static_assert(sizeof(struct day_entry) == 32, "the header promises it");

struct making {
	struct day_index *days;
	const struct tz *zone;
	size_t n;
	size_t cap;
	size_t segments_cap;
	int32_t last_day;
};

static int add_segment(struct making *making, const struct block_reader *block, struct error *err)
{
	struct day_index *const days = making->days;
	if (days->n_segments == making->segments_cap) {
		const size_t cap = making->segments_cap ? making->segments_cap * 2 : 64;
		struct day_segment *const segments = realloc(days->segments, cap * sizeof(*segments));
		if (!segments)
			return error_no_memory(err, cap * sizeof(*segments));
		days->segments = segments;
		making->segments_cap = cap;
	}
	days->segments[days->n_segments++] =
		(struct day_segment){.end = block->at.end, .source = block->source, .file = block->file};
	return 0;
}

static int add_entry(struct making *making, const struct block_place *place, int32_t day, struct error *err)
{
	struct day_index *const days = making->days;
	if (making->n == making->cap) {
		const size_t cap = making->cap ? making->cap * 2 : 65536;
		struct day_entry *const entries = realloc(days->entries, cap * sizeof(*entries));
		if (!entries)
			return error_no_memory(err, cap * sizeof(*entries));
		days->entries = entries;
		making->cap = cap;
	}
	days->entries[making->n++] = (struct day_entry){.place = *place, .segment = days->n_segments - 1, .day = day};
	if (making->n == 1)
		days->first_day = making->last_day = day;
	days->first_day = day < days->first_day ? day : days->first_day;
	making->last_day = day > making->last_day ? day : making->last_day;
	return 0;
}

static int index_block(struct making *making, struct slice bytes, struct error *err)
{
	struct block_reader block;
	int rc = block_reader_open(&block, bytes, err);
	if (rc < 0)
		return rc;
	rc = add_segment(making, &block, err);
	const char *file = block.file.data;
	while (rc == 0) {
		struct block_place place = block_reader_place(&block);
		struct block_record record;
		rc = block_reader_skim(&block, &record, err);
		if (rc != 1)
			break;
		/* The place was before the file's name; from there the name is read again. */
		rc = file != block.file.data ? add_segment(making, &block, err) : 0;
		file = block.file.data;
		if (rc < 0 || record.kind != BLOCK_EVENT)
			continue;
		if (record.event.kind != EVENT_ORDER)
			making->days->only_orders = false;
		rc = add_entry(making, &place, tz_local_day(making->zone, record.event.time_us), err);
	}
	block_reader_release(&block);
	return rc;
}

/* Puts the entries in order of day; those of a day keep theirs. */
static int sort_entries(struct making *making, struct error *err)
{
	struct day_index *const days = making->days;
	days->n_days = making->n ? (uint32_t)(making->last_day - days->first_day) + 1 : 0;
	uint32_t *const starts = calloc((size_t)days->n_days + 2, sizeof(*starts));
	struct day_entry *const sorted = malloc((making->n + 1) * sizeof(*sorted));
	if (!starts || !sorted) {
		free(starts);
		free(sorted);
		return error_no_memory(err, (making->n + 1) * sizeof(*sorted));
	}
	/* Counted two places on, so that filling moves each start to where it belongs. */
	for (size_t i = 0; i < making->n; i++)
		starts[days->entries[i].day - days->first_day + 2]++;
	for (uint32_t i = 2; i < days->n_days + 2; i++)
		starts[i] += starts[i - 1];
	for (size_t i = 0; i < making->n; i++)
		sorted[starts[days->entries[i].day - days->first_day + 1]++] = days->entries[i];
	free(days->entries);
	days->entries = sorted;
	days->starts = starts;
	return 0;
}

int day_index_make(struct journal_reader *reader, uint64_t first, uint64_t next, const struct tz *zone,
		   struct day_index **out, struct error *err)
{
	struct making making = {.days = calloc(1, sizeof(*making.days)), .zone = zone};
	if (!making.days)
		return error_no_memory(err, sizeof(*making.days));
	making.days->only_orders = true;
	int rc = 0;
	for (uint64_t seq = first; rc == 0 && seq < next; seq++) {
		struct slice bytes;
		rc = journal_reader_block(reader, seq, &bytes, err);
		if (rc == 0)
			rc = index_block(&making, bytes, err);
		if (rc < 0)
			error_prefix(err, "block %llu of the journal", (unsigned long long)seq);
	}
	if (rc == 0)
		rc = sort_entries(&making, err);
	if (rc < 0) {
		day_index_free(making.days);
		return rc;
	}
	*out = making.days;
	return 0;
}

void day_index_free(struct day_index *days)
{
	if (!days)
		return;
	free(days->starts);
	free(days->entries);
	free(days->segments);
	free(days);
}

int day_index_read(const struct day_index *days, uint32_t day, uint32_t *at, struct block_reader *block,
		   struct block_record *record, struct error *err)
{
	if (*at == day_index_count(days, day))
		return 0;
	const struct day_entry *const entry = &days->entries[days->starts[day] + *at];
	const struct day_segment *const segment = &days->segments[entry->segment];
	block->at.end = segment->end;
	block->source = segment->source;
	block_reader_go(block, &entry->place, segment->file);
	const int rc = block_reader_next(block, record, err);
	if (rc == 1)
		(*at)++;
	return rc;
}
