/*
 * Postings by day, on their way from the fold, which goes customer by customer, to the table, which goes day by day.
 *
 * One file for all days: what came for a day waits in memory until all of that together is BUFFER_BYTES; then each day's part
 * is written as one extent of the file. A day is read extent by extent, which gives its rows in the order of the customers.
 *
 * A record (all numbers varints, signed ones zigzag):
 *
 *     customer   signed number, or length and bytes of a text id
 *     number     entry_no
 *     time       signed
 *     event id   length and bytes
 *     kind, ledger, reject, tier, tier_after   a byte each
 *     points, balance   signed
 *     lot        signed
 *     rules, promotions
 */
#include "batch/ledger.h"

#include "base/bytes.h"
#include "base/limits.h"

#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

#define BUFFER_BYTES ((size_t)64 * 1024 * 1024)
/* Days of postings: from a day before 1970 in the west to one behind the last that civil dates have here. */
#define FIRST_DAY    (-400)
#define DAYS         100000u
#define RECORD_BYTES (16u * VARINT_MAX_BYTES + LIMIT_CUSTOMER_ID_BYTES + LIMIT_EVENT_ID_BYTES)
#define NAMES_SLOTS  256u

struct extent {
	uint64_t at;
	uint64_t end;
};

struct day_part {
	struct buf pending;
	struct extent *extents;
	size_t n;
	size_t cap;
};

struct ledger_spool {
	struct spool file;
	size_t pending; /* bytes of all days */
	struct day_part days[DAYS];
};

int ledger_encode(const struct customer_id *customer, enum customer_id_type id_type, const struct posting *posting,
		  struct buf *out)
{
	assert(customer->text.len <= LIMIT_CUSTOMER_ID_BYTES && posting->event_id.len <= LIMIT_EVENT_ID_BYTES);
	char record[RECORD_BYTES];
	char *p = id_type == CUSTOMER_ID_INTEGER ? put_signed(record, customer->number)
						 : put_slice(record, customer->text);
	p = put_varint(p, (uint64_t)posting->number);
	p = put_signed(p, posting->time_us);
	p = put_slice(p, posting->event_id);
	*p++ = (char)posting->kind;
	*p++ = (char)posting->ledger;
	*p++ = (char)posting->reject;
	*p++ = (char)posting->tier;
	*p++ = (char)posting->tier_after;
	p = put_signed(p, posting->points_milli);
	p = put_signed(p, posting->balance_milli);
	p = put_signed(p, posting->lot);
	p = put_varint(p, posting->rules);
	p = put_varint(p, posting->promotions);
	return spool_record(out, (struct slice){record, (size_t)(p - record)});
}

int ledger_spool_open(const char *tmp_dir, struct ledger_spool **out, struct error *err)
{
	struct ledger_spool *const spool = calloc(1, sizeof(*spool));
	if (!spool)
		return error_no_memory(err, sizeof(*spool));
	const int rc = spool_open(&spool->file, tmp_dir, err);
	if (rc < 0)
		free(spool);
	else
		*out = spool;
	return rc;
}

void ledger_spool_close(struct ledger_spool *spool)
{
	if (!spool)
		return;
	for (unsigned i = 0; i < DAYS; i++) {
		buf_release(&spool->days[i].pending);
		free(spool->days[i].extents);
	}
	spool_close(&spool->file);
	free(spool);
}

static int write_extent(struct ledger_spool *spool, struct day_part *day, struct error *err)
{
	if (day->n == day->cap) {
		const size_t cap = day->cap ? day->cap * 2 : 4;
		struct extent *const extents = realloc(day->extents, cap * sizeof(*extents));
		if (!extents)
			return error_no_memory(err, cap * sizeof(*extents));
		day->extents = extents;
		day->cap = cap;
	}
	const uint64_t at = spool->file.size;
	const int rc = spool_append_records(&spool->file, (struct slice){day->pending.data, day->pending.len}, err);
	if (rc < 0)
		return rc;
	day->extents[day->n++] = (struct extent){at, spool->file.size};
	buf_release(&day->pending);
	return 0;
}

static int write_pending(struct ledger_spool *spool, struct error *err)
{
	int rc = 0;
	for (unsigned i = 0; rc == 0 && i < DAYS; i++)
		if (spool->days[i].pending.len)
			rc = write_extent(spool, &spool->days[i], err);
	spool->pending = 0;
	return rc;
}

int ledger_spool_append(struct ledger_spool *spool, int32_t day, struct slice records, struct error *err)
{
	if (day < FIRST_DAY || day >= FIRST_DAY + (int32_t)DAYS)
		return error_set(
			err, ERROR_CORRUPT,
			"transactions_cln has an event of a day that no event can have: its files were changed by "
			"somebody else; put them back from a backup");
	struct day_part *const part = &spool->days[day - FIRST_DAY];
	if (buf_append(&part->pending, records.data, records.len) < 0)
		return error_no_memory(err, records.len);
	spool->pending += records.len;
	return spool->pending < BUFFER_BYTES ? 0 : write_pending(spool, err);
}

int ledger_spool_finish(struct ledger_spool *spool, struct error *err)
{
	const int rc = write_pending(spool, err);
	return rc < 0 ? rc : spool_flush(&spool->file, err);
}

int32_t ledger_spool_day(const struct ledger_spool *spool, int32_t day)
{
	for (int32_t i = day < FIRST_DAY ? 0 : day - FIRST_DAY; spool && i < (int32_t)DAYS; i++)
		if (spool->days[i].n)
			return FIRST_DAY + i;
	return DAY_MAX;
}

bool ledger_spool_has(const struct ledger_spool *spool, int32_t day)
{
	return spool && day >= FIRST_DAY && day < FIRST_DAY + (int32_t)DAYS && spool->days[day - FIRST_DAY].n;
}

/* ---- names ---- */

struct rule_text {
	uint64_t rules;
	uint64_t promotions;
	struct buf text;
};

struct ledger_names {
	const struct programme *programme;
	struct slice programme_text;
	struct slice ledgers[PROGRAMME_LEDGERS_MAX];
	struct slice kinds[POSTING_KIND_MAX + 1];
	struct rule_text slots[NAMES_SLOTS];
};

struct ledger_names *ledger_names_new(const struct programme *programme)
{
	struct ledger_names *const names = calloc(1, sizeof(*names));
	if (!names)
		return NULL;
	names->programme = programme;
	names->programme_text = slice_of(programme->hash_text);
	for (unsigned i = 0; i < programme->n_ledgers; i++)
		names->ledgers[i] = slice_of(programme->ledgers[i].name);
	for (unsigned i = 0; i <= POSTING_KIND_MAX; i++)
		names->kinds[i] = slice_of(posting_kind_name(i));
	return names;
}

void ledger_names_free(struct ledger_names *names)
{
	if (!names)
		return;
	for (unsigned i = 0; i < NAMES_SLOTS; i++)
		buf_release(&names->slots[i].text);
	free(names);
}

static int name_rules(const struct programme *programme, struct rule_text *slot)
{
	buf_clear(&slot->text);
	for (unsigned i = 0; i < programme->n_rules; i++)
		if (slot->rules >> i & 1 &&
		    buf_printf(&slot->text, "%s%s", slot->text.len ? "+" : "", programme->rules[i].name) < 0)
			return ERROR_NO_MEMORY;
	for (unsigned i = 0; i < programme->n_promotions; i++)
		if (slot->promotions >> i & 1 && buf_printf(&slot->text, "*%s", programme->promotions[i].name) < 0)
			return ERROR_NO_MEMORY;
	return 0;
}

/* "base+stamps*double-tuesday"; lives until a few hundred other combinations were asked for. */
static int rule_text(struct ledger_names *names, uint64_t rules, uint64_t promotions, struct slice *out)
{
	const uint64_t key[] = {rules, promotions};
	struct rule_text *const slot = &names->slots[XXH3_64bits(key, sizeof(key)) % NAMES_SLOTS];
	if (!slot->text.len || slot->rules != rules || slot->promotions != promotions) {
		slot->rules = rules;
		slot->promotions = promotions;
		if (name_rules(names->programme, slot) < 0) {
			buf_clear(&slot->text);
			return ERROR_NO_MEMORY;
		}
	}
	*out = (struct slice){slot->text.data, slot->text.len};
	return 0;
}

static int note_text(const struct programme *programme, enum posting_kind kind, unsigned reject, unsigned tier,
		     unsigned tier_after, struct buf *note, struct slice *out)
{
	*out = (struct slice){NULL, 0};
	if (kind == POSTING_REJECT) {
		*out = slice_of(reject_reason_name(reject));
		return 0;
	}
	if (kind != POSTING_TIER || tier >= programme->tiers.n_levels || tier_after >= programme->tiers.n_levels)
		return 0;
	buf_clear(note);
	if (buf_printf(note, "%s > %s", programme->tiers.levels[tier].name, programme->tiers.levels[tier_after].name) <
	    0)
		return ERROR_NO_MEMORY;
	*out = (struct slice){note->data, note->len};
	return 0;
}

/* ---- a day's rows ---- */

static int decode(struct ledger_spool_source *source, struct slice record, struct ledger_row *row, struct error *err)
{
	const struct programme *const programme = source->names->programme;
	struct reader r = reader_of(record);
	*row = (struct ledger_row){.programme = source->names->programme_text};
	if (source->id_type == CUSTOMER_ID_INTEGER)
		row->customer.number = read_signed(&r);
	else
		row->customer.text = read_slice(&r);
	row->entry_no = (int64_t)read_varint(&r);
	row->posted_us = read_signed(&r);
	row->event_id = read_slice(&r);
	unsigned char bytes[5] = {0};
	if (reader_has(&r, sizeof(bytes))) {
		memcpy(bytes, r.at, sizeof(bytes));
		r.at += sizeof(bytes);
	}
	row->points_milli = read_signed(&r);
	row->balance_milli = read_signed(&r);
	row->lot = (int32_t)read_signed(&r);
	const uint64_t rules = read_varint(&r);
	const uint64_t promotions = read_varint(&r);
	if (r.bad || bytes[0] > POSTING_KIND_MAX || bytes[1] >= programme->n_ledgers)
		return error_set(err, ERROR_CORRUPT, "a temporary file of the ledger was changed while it was in use");
	row->kind = source->names->kinds[bytes[0]];
	row->ledger = source->names->ledgers[bytes[1]];
	int rc = rules || promotions ? rule_text(source->names, rules, promotions, &row->rule) : 0;
	if (rc == 0)
		rc = note_text(programme, bytes[0], bytes[2], bytes[3], bytes[4], &source->note, &row->note);
	return rc < 0 ? error_no_memory(err, record.len) : 0;
}

static int next_row(struct ledger_source *base, struct ledger_row *row, bool *found, struct error *err)
{
	struct ledger_spool_source *const source = (struct ledger_spool_source *)base;
	const struct day_part *const day = &source->spool->days[source->day - FIRST_DAY];
	for (;;) {
		struct slice record;
		int rc = spool_next(&source->reader, &record, found, err);
		if (rc < 0 || *found)
			return rc < 0 ? rc : decode(source, record, row, err);
		if (source->extent == day->n)
			return 0;
		const struct extent extent = day->extents[source->extent++];
		spool_reader_release(&source->reader);
		source->reader = spool_read(&source->spool->file, extent.at, extent.end);
	}
}

static int no_row(struct ledger_source *source, struct ledger_row *row, bool *found, struct error *err)
{
	(void)source;
	(void)row;
	(void)err;
	*found = false;
	return 0;
}

void ledger_spool_source(struct ledger_spool_source *source, const struct ledger_spool *spool, int32_t day,
			 enum customer_id_type id_type, struct ledger_names *names)
{
	const bool has = spool && day >= FIRST_DAY && day < FIRST_DAY + (int32_t)DAYS;
	*source = (struct ledger_spool_source){
		.source.next = has ? next_row : no_row,
		.spool = spool,
		.id_type = id_type,
		.names = names,
		.day = day,
	};
	if (has)
		source->reader = spool_read(&spool->file, 0, 0);
}

void ledger_spool_source_release(struct ledger_spool_source *source)
{
	spool_reader_release(&source->reader);
	buf_release(&source->note);
}
