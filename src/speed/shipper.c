#include "speed/shipper.h"

#include "base/bytes.h"
#include "speed/ship_claims.h"
#include "speed/ship_files.h"
#include "store/warehouse.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define VERSION  1
#define KEY_ROOT "\1ship/"
#define DAMAGED  "the position of what is shipped, in the journal, is damaged; put data/ back from a backup"

/* --- its position --- */

static int make_key(const struct shipper *shipper, struct buf *out, struct error *err)
{
	return buf_printf(out, KEY_ROOT "%s", shipper->driver->name) < 0 ? error_no_memory(err, 64) : 0;
}

static bool decode(struct slice stored, struct shipper_position *out)
{
	struct reader r = reader_of(stored);
	const uint64_t version = read_varint(&r);
	*out = (struct shipper_position){0};
	out->offset = read_varint(&r);
	out->planned = read_varint(&r);
	out->begun = read_varint(&r);
	out->edge = read_slice(&r);
	if (!r.bad && r.at != r.end) {
		const struct slice journal = read_slice(&r);
		out->has_journal = journal.len == SHIPPER_JOURNAL_BYTES;
		if (out->has_journal)
			memcpy(out->journal, journal.data, SHIPPER_JOURNAL_BYTES);
		out->marked = read_varint(&r) != 0;
		r.bad = r.bad || !out->has_journal;
	}
	return !r.bad && version == VERSION && out->begun >= 1 && out->offset >= out->begun &&
	       out->planned >= out->offset;
}

/* Durably; then it is so in *shipper, too. */
static int store(struct shipper *shipper, const struct shipper_position *at, struct error *err)
{
	_cleanup_buf_ struct buf key = {0};
	_cleanup_buf_ struct buf value = {0};
	const struct slice edge = slice_of(shipper->target.edge);
	int rc = make_key(shipper, &key, err);
	if (rc == 0 &&
	    (buf_reserve(&value, 7 * (size_t)VARINT_MAX_BYTES + edge.len + SHIPPER_JOURNAL_BYTES) < 0 || !value.data))
		rc = error_no_memory(err, edge.len);
	if (rc == 0)
		rc = journal_begin(shipper->journal, err);
	if (rc < 0)
		return rc;
	assert(value.data);
	char *p = put_varint(put_varint(put_varint(value.data, VERSION), at->offset), at->planned);
	p = put_slice(put_varint(p, at->begun), edge);
	if (at->has_journal)
		p = put_varint(put_slice(p, (struct slice){at->journal, SHIPPER_JOURNAL_BYTES}), at->marked);
	rc = journal_position_set(shipper->journal, (struct slice){key.data, key.len},
				  (struct slice){value.data, (size_t)(p - value.data)}, err);
	if (rc < 0) {
		journal_abort(shipper->journal);
		return rc;
	}
	rc = journal_commit(shipper->journal, err);
	if (rc < 0)
		return rc;
	shipper->at = *at;
	return 0;
}

static int store_offset(struct shipper *shipper, uint64_t offset, uint64_t planned, struct error *err)
{
	struct shipper_position at = shipper->at;
	at.offset = offset;
	at.planned = planned;
	/* What was shipped to rows had a mark with it. */
	at.marked = at.has_journal && (at.marked || offset > shipper->at.offset);
	return store(shipper, &at, err);
}

struct found {
	const struct shipper *shipper;
	size_t key_len;
	struct shipper_position position; /* but the edge, which is gone with the walk */
	bool bad;
	bool other_edge;
};

static int on_position(void *context, struct slice key, struct slice stored)
{
	struct found *const found = context;
	if (key.len != found->key_len)
		return 0; /* of one whose name goes on */
	found->bad = !decode(stored, &found->position);
	found->other_edge = !found->bad && !slice_is(found->position.edge, found->shipper->target.edge);
	return 1;
}

static int find_position(struct shipper *shipper, struct error *err)
{
	_cleanup_buf_ struct buf key = {0};
	struct journal_reader *reader = NULL;
	uint64_t first = 1;
	uint64_t next = 1;
	struct found found = {.shipper = shipper};
	int rc = make_key(shipper, &key, err);
	if (rc == 0)
		rc = journal_reader_open(shipper->journal, &reader, err);
	if (rc == 0)
		rc = journal_reader_range(reader, &first, &next, err);
	found.key_len = key.len;
	if (rc == 0)
		rc = journal_reader_positions(reader, (struct slice){key.data, key.len}, on_position, &found, err);
	journal_reader_close(reader);
	if (rc < 0)
		return rc;
	if (found.bad)
		return error_set(err, ERROR_CORRUPT, DAMAGED);
	if (found.other_edge)
		return error_set(err, ERROR_CONFIG,
				 "this deployment has shipped under another edge's name than %s, and the names of what "
				 "it shipped "
				 "have that; put it back as cluster.edge in punchcard.yaml",
				 shipper->target.edge);
	struct shipper_position *const position = &found.position;
	if (position->offset && (position->offset < first || position->planned > next))
		return error_set(
			err, ERROR_CORRUPT,
			"blocks from %llu on are still to be shipped, and the journal has blocks %llu to %llu: it "
			"is another journal, or a part is lost; put data/ back from a backup",
			(unsigned long long)position->offset, (unsigned long long)first, (unsigned long long)next - 1);
	position->edge = slice_of(shipper->target.edge);
	shipper->at = *position;
	shipper->again = position->planned > position->offset;
	if (position->offset && (position->has_journal || !shipper->driver->in_rows))
		return 0;
	if (!position->offset) /* from now on what comes is kept for it */
		position->offset = position->planned = position->begun = first;
	if (shipper->driver->in_rows) {
		position->has_journal = true;
		if (getrandom(position->journal, SHIPPER_JOURNAL_BYTES, 0) != SHIPPER_JOURNAL_BYTES)
			return error_errno(err, errno, "getrandom");
	}
	return store(shipper, position, err);
}

/* --- events --- */

static int take_block(uint64_t seq, struct slice bytes, ship_event_fn *take, void *context, struct error *err)
{
	struct block_reader reader = {0};
	struct block_record record;
	int rc = block_reader_open(&reader, bytes, err);
	if (rc < 0)
		return rc;
	rc = 1;
	while (rc == 1 && (rc = block_reader_next(&reader, &record, err)) == 1) {
		if (record.kind != BLOCK_EVENT)
			continue;
		const struct ship_event event = {
			.record = &record, .source = reader.source, .block = seq, .taken_us = reader.counts.time_us};
		const int taken = take(context, &event, err);
		rc = taken < 0 ? taken : 1;
	}
	block_reader_release(&reader);
	return rc;
}

int ship_events(struct journal_reader *reader, uint64_t first, uint64_t next, ship_event_fn *take, void *context,
		struct error *err)
{
	int rc = 0;
	for (uint64_t seq = first; rc == 0 && seq < next; seq++) {
		struct slice bytes;
		rc = journal_reader_block(reader, seq, &bytes, err);
		if (rc == 0)
			rc = take_block(seq, bytes, take, context, err);
	}
	return rc;
}

/* --- shipping --- */

int shipper_open(const struct shipper_driver *driver, const struct ship_target *target, struct journal *journal,
		 struct shipper **out, struct error *err)
{
	struct shipper *const shipper = calloc(1, sizeof(*shipper));
	if (!shipper)
		return error_no_memory(err, sizeof(*shipper));
	*shipper =
		(struct shipper){.driver = driver, .target = *target, .journal = journal, .percent = driver->percent};
	int rc = find_position(shipper, err);
	if (rc == 0 && driver->open)
		rc = driver->open(shipper, err);
	if (rc < 0) {
		shipper_close(shipper);
		return error_prefix(err, "shipping (%s)", driver->name);
	}
	*out = shipper;
	return 0;
}

int shipper_adopt(const struct shipper_driver *driver, const char *edge, struct journal *journal, uint64_t next,
		  struct error *err)
{
	struct shipper shipper = {.driver = driver, .target = {.edge = edge}, .journal = journal};
	const struct shipper_position at = {.offset = next, .planned = next, .begun = 1};
	return store(&shipper, &at, err);
}

void shipper_close(struct shipper *shipper)
{
	if (!shipper)
		return;
	if (shipper->driver->close)
		shipper->driver->close(shipper);
	free(shipper);
}

uint64_t shipper_block_bytes(const struct shipper *shipper)
{
	const uint64_t bytes = shipper->target.shipment_bytes / shipper->percent * 100;
	return bytes ? bytes : 1;
}

/* Where a shipment that begins at the offset ends: when it is large enough. */
static int find_end(const struct shipper *shipper, struct journal_reader *reader, uint64_t next, uint64_t *end,
		    struct error *err)
{
	const uint64_t most_bytes = shipper_block_bytes(shipper);
	const uint64_t most_blocks = shipper->driver->shipment_blocks;
	uint64_t bytes = 0;
	int rc = 0;
	for (*end = shipper->at.offset; rc == 0 && *end < next && bytes < most_bytes; ++*end) {
		struct slice block = {0};
		if (most_blocks && *end - shipper->at.offset >= most_blocks)
			break;
		rc = journal_reader_block(reader, *end, &block, err);
		bytes += block.len;
	}
	return rc;
}

/* Is the warehouse as it was left? What was done, but for the offset, is done. Once what was broken off is removed. */
static int check_warehouse(struct shipper *shipper, struct error *err)
{
	bool done = false;
	int rc = ship_check_mark(shipper, &done, err);
	if (rc == 0 && done)
		rc = store_offset(shipper, shipper->at.planned, shipper->at.planned, err);
	if (rc == 0 && done)
		shipper->again = false;
	if (rc == 0 && !shipper->checked)
		rc = warehouse_clean(shipper->target.warehouse, err);
	return rc;
}

static int check(struct shipper *shipper, struct error *err)
{
	int rc = 0;
	if (shipper->driver->in_warehouse)
		rc = check_warehouse(shipper, err);
	else if (shipper->driver->check)
		rc = shipper->driver->check(shipper, err);
	shipper->checked = rc == 0;
	return rc;
}

int shipper_look(struct shipper *shipper, struct error *err)
{
	const int rc = check(shipper, err);
	return rc < 0 ? error_prefix(err, "shipping (%s)", shipper->driver->name) : 0;
}

int shipper_begin_again(struct shipper *shipper, struct journal_reader *reader, struct error *err)
{
	struct shipper_position at = shipper->at;
	uint64_t next = 0;
	const int rc = journal_reader_range(reader, &at.offset, &next, err);
	assert(shipper->driver->in_rows);
	at.planned = at.offset;
	at.marked = false;
	shipper->checked = shipper->again = false;
	return rc < 0 ? rc : store(shipper, &at, err);
}

/* Of the shipment that was just made. */
static int count(struct shipper *shipper, struct journal_reader *reader, uint64_t first, uint64_t next,
		 struct error *err)
{
	struct shipper_counts *const counts = &shipper->counts;
	struct block_counts sum = {0};
	const int rc = journal_reader_count(reader, first, next, UINT64_MAX, &sum, NULL, err);
	if (rc < 0)
		return rc;
	counts->files += shipper->driver->in_rows ? 0 : shipper->put;
	counts->rows += sum.n_lines;
	counts->events += shipper->driver->in_rows ? shipper->put : shipper->put ? sum.n_events : 0;
	counts->quarantined += sum.n_quarantined;
	return 0;
}

int shipper_write(struct shipper *shipper, struct journal_reader *reader, uint64_t next, struct error *err)
{
	const struct shipper_position *const at = &shipper->at;
	int rc = 0;
	/* Not at the opening, for the servers may be away. */
	if (!shipper->checked)
		rc = check(shipper, err);
	/* What another journal has shipped under this name must not be mixed with ours, where nothing could tell later. */
	if (rc == 0 && shipper->driver->in_rows && shipper->target.warehouse && !at->marked && at->offset < next)
		rc = ship_check_first(shipper, err);
	while (rc == 0 && at->offset < next) {
		uint64_t end = at->planned;
		if (end == at->offset)
			rc = find_end(shipper, reader, next, &end, err);
		if (rc == 0 && end != at->planned)
			rc = store_offset(shipper, at->offset, end, err);
		const uint64_t first = at->offset;
		shipper->put = 0;
		if (rc == 0 && shipper->target.warehouse)
			rc = ship_claim(shipper, reader, first, end, err);
		if (rc == 0)
			rc = shipper->driver->ship(shipper, reader, first, end, err);
		if (rc == 0 && shipper->driver->in_warehouse)
			rc = ship_set_mark(shipper, end, err);
		if (rc == 0)
			rc = store_offset(shipper, end, end, err);
		if (rc == 0)
			rc = count(shipper, reader, first, end, err);
		if (rc == 0)
			shipper->again = false;
	}
	if (rc < 0) {
		/* How far it came, only the other side knows: an answer may be lost. */
		shipper->checked = false;
		shipper->again = at->planned > at->offset;
		return error_prefix(err, "shipping (%s)", shipper->driver->name);
	}
	return 0;
}

/* --- all there are --- */

struct walk {
	int (*each)(void *context, struct slice name, const struct shipper_position *at);
	void *context;
	bool bad;
};

static int on_any(void *context, struct slice key, struct slice stored)
{
	struct walk *const walk = context;
	const size_t root = strlen(KEY_ROOT);
	struct shipper_position position;
	walk->bad = !decode(stored, &position);
	if (walk->bad)
		return 1;
	return walk->each(walk->context, (struct slice){key.data + root, key.len - root}, &position);
}

int shippers_each(struct journal_reader *reader,
		  int (*each)(void *context, struct slice name, const struct shipper_position *at), void *context,
		  struct error *err)
{
	struct walk walk = {.each = each, .context = context};
	const int rc = journal_reader_positions(reader, slice_of(KEY_ROOT), on_any, &walk, err);
	return rc == 0 && walk.bad ? error_set(err, ERROR_CORRUPT, DAMAGED) : rc;
}

static int take_least(void *context, struct slice name, const struct shipper_position *at)
{
	uint64_t *const least = context;
	(void)name;
	if (at->offset < *least)
		*least = at->offset;
	return 0;
}

int shippers_pinned(struct journal_reader *reader, uint64_t *first, struct error *err)
{
	uint64_t least = UINT64_MAX;
	const int rc = shippers_each(reader, take_least, &least, err);
	if (rc == 0)
		*first = least;
	return rc;
}
