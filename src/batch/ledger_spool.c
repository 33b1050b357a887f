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

#define BUFFER_BYTES ((size_t)64 * 1024 * 1024)
/* Days of postings: from a day before 1970 in the west to one behind the last that civil dates have here. */
#define FIRST_DAY    (-400)
#define DAYS         100000u
#define RECORD_BYTES (16u * VARINT_MAX_BYTES + LIMIT_CUSTOMER_ID_BYTES + LIMIT_EVENT_ID_BYTES)

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

/* ---- a day's rows ---- */

static int decode(struct ledger_spool_source *source, struct slice record, struct ledger_row *row, struct error *err)
{
	struct reader r = reader_of(record);
	struct customer_id customer = {0};
	if (source->id_type == CUSTOMER_ID_INTEGER)
		customer.number = read_signed(&r);
	else
		customer.text = read_slice(&r);
	struct posting posting = {.number = (int64_t)read_varint(&r)};
	posting.time_us = read_signed(&r);
	posting.event_id = read_slice(&r);
	unsigned char bytes[5] = {0};
	if (reader_has(&r, sizeof(bytes))) {
		memcpy(bytes, r.at, sizeof(bytes));
		r.at += sizeof(bytes);
	}
	posting.points_milli = read_signed(&r);
	posting.balance_milli = read_signed(&r);
	posting.lot = (int32_t)read_signed(&r);
	posting.rules = read_varint(&r);
	posting.promotions = read_varint(&r);
	if (r.bad || !ledger_names_has(source->names, bytes[0], bytes[1]))
		return error_set(err, ERROR_CORRUPT, "a temporary file of the ledger was changed while it was in use");
	posting.kind = bytes[0];
	posting.ledger = bytes[1];
	posting.reject = bytes[2];
	posting.tier = bytes[3];
	posting.tier_after = bytes[4];
	return ledger_row_of(source->names, &customer, &posting, &source->note, row) < 0
		       ? error_no_memory(err, record.len)
		       : 0;
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
