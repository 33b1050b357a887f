/*
 * The record, version 2. varint is LEB128, signed zigzag, both at their shortest; u64 is little-endian; text is a varint of its
 * length and its bytes.
 *
 *     bytes      what
 *     1          version, 2
 *     1          bit 0: marked; bit 1: something is settled; the others 0
 *     when something is settled:
 *       varint     length of the settled state
 *       n          the settled state (account_state.c), which names the programme
 *       signed     time of the last event in it
 *       1          its kind
 *       text       its id
 *       u64        its source
 *     else:
 *       u64        hash of the programme
 *     varint     how many open events; each:
 *       signed     the first, when nothing is settled: its time; else
 *       varint     its time less that of the event before (the first: of the last settled one)
 *       1          bits 0-1: kind; 2-4: reason of a rejection that is known already; 5: declined; 6: the source is that of the
 *                  event before; 7: there are rules by item
 *       text       id, 1 to 64 bytes
 *       u64        hash of the source; not with bit 6
 *       u64        hash of the order's id; only of a refund
 *       when it is not rejected, an order or a refund:
 *         varint     total
 *         varint     eligible
 *         varint     rules by item, and a varint a ledger: what they count; only with bit 7
 *       when it is not rejected, a redemption or an adjustment:
 *         varint     ledger
 *         signed     points
 *
 * Valid when all is there, nothing follows, every number is in its range (fact.h), and the events ascend by the order of
 * fact_compare. What a damaged record held can be made again from the events.
 *
 * Version 1 (record_v1.c) is read, and never written.
 */
#include "loyalty/record_internal.h"

#include "base/bytes.h"

#define RECORD_VERSION  2

#define FLAG_MARKED     1u
#define FLAG_SETTLED    2u

#define KIND_MASK       3u
#define REJECT_SHIFT    2u
#define REJECT_MASK     7u
#define BIT_DECLINED    (1u << 5)
#define BIT_SAME_SOURCE (1u << 6)
#define BIT_ITEMS       (1u << 7)

/* Times of decoded events: what the calendar is defined for, in any timezone (26 hours from UTC are the most). */
#define US_PER_DAY  INT64_C(86400000000)
#define TIME_MIN_US ((DAY_FIRST + 2) * US_PER_DAY)
#define TIME_MAX_US ((DAY_LAST - 1) * US_PER_DAY)

/* Most bytes of an open event, and of all that is around them. */
#define FACT_BYTES (2 + LIMIT_EVENT_ID_BYTES + 16 + (4 + PROGRAMME_LEDGERS_MAX) * VARINT_MAX_BYTES)
#define HEAD_BYTES (3 + LIMIT_EVENT_ID_BYTES + 8 + 4 * VARINT_MAX_BYTES)

static_assert(REJECT_MAX <= REJECT_MASK, "reasons fit their bits");
static_assert(EVENT_ADJUST <= KIND_MASK, "kinds fit their bits");

/* --- writing -------------------------------------------------------------------------------------------------------------- */

static bool has_items(const struct fact *fact, unsigned n_ledgers)
{
	uint64_t any = fact->item_rules;
	for (unsigned i = 0; i < n_ledgers; i++)
		any |= (uint64_t)fact->items[i];
	return any != 0;
}

static char *put_sums(char *p, const struct fact *fact, unsigned n_ledgers)
{
	if (fact->kind == EVENT_REDEEM || fact->kind == EVENT_ADJUST) {
		p = put_varint(p, fact->ledger);
		return put_signed(p, fact->points_milli);
	}
	p = put_varint(p, (uint64_t)fact->total_minor);
	p = put_varint(p, (uint64_t)fact->eligible_minor);
	if (!has_items(fact, n_ledgers))
		return p;
	p = put_varint(p, fact->item_rules);
	for (unsigned i = 0; i < n_ledgers; i++)
		p = put_varint(p, (uint64_t)fact->items[i]);
	return p;
}

/* `before`: the event before, or NULL. */
static char *put_fact(char *p, const struct fact *fact, const struct fact *before, unsigned n_ledgers)
{
	p = before ? put_varint(p, (uint64_t)fact->time_us - (uint64_t)before->time_us) : put_signed(p, fact->time_us);
	const bool same_source = before && before->source_hash == fact->source_hash;
	*p++ = (char)((unsigned)fact->kind | (unsigned)fact->reject << REJECT_SHIFT |
		      (fact->declined ? BIT_DECLINED : 0) | (same_source ? BIT_SAME_SOURCE : 0) |
		      (has_items(fact, n_ledgers) ? BIT_ITEMS : 0));
	p = put_slice(p, fact->id);
	if (!same_source)
		p = put_u64(p, fact->source_hash);
	if (fact->kind == EVENT_REFUND)
		p = put_u64(p, fact->order_hash);
	return fact->reject == REJECT_NONE ? put_sums(p, fact, n_ledgers) : p;
}

static int put_settled(const struct record *record, struct buf *out)
{
	/* The length comes before the state: it is put where there is room for the longest, and moved to its own. */
	const size_t start = out->len;
	out->len += VARINT_MAX_BYTES;
	if (account_encode(record->settled, out) < 0)
		return ERROR_NO_MEMORY;
	const size_t len = out->len - start - VARINT_MAX_BYTES;
	char *p = put_varint(out->data + start, len);
	memmove(p, out->data + start + VARINT_MAX_BYTES, len);
	p += len;
	out->len = (size_t)(p - out->data);
	if (buf_reserve(out, HEAD_BYTES) < 0)
		return ERROR_NO_MEMORY;
	p = out->data + out->len;
	p = put_signed(p, record->last.time_us);
	*p++ = (char)record->last.kind;
	p = put_slice(p, record->last.id);
	p = put_u64(p, record->last.source_hash);
	out->len = (size_t)(p - out->data);
	return 0;
}

static int encode(const struct record *record, struct buf *out)
{
	if (buf_reserve(out, HEAD_BYTES) < 0)
		return ERROR_NO_MEMORY;
	out->data[out->len++] = RECORD_VERSION;
	out->data[out->len++] = (char)((record->marked ? FLAG_MARKED : 0) | (record->any_settled ? FLAG_SETTLED : 0));
	if (record->any_settled) {
		if (put_settled(record, out) < 0)
			return ERROR_NO_MEMORY;
	} else {
		out->len = (size_t)(put_u64(out->data + out->len, record->programme->hash) - out->data);
	}
	if (buf_reserve(out, VARINT_MAX_BYTES + record->n * (size_t)FACT_BYTES) < 0)
		return ERROR_NO_MEMORY;
	char *p = put_varint(out->data + out->len, record->n);
	const struct fact *before = record->any_settled ? &record->last : NULL;
	for (size_t i = 0; i < record->n; i++) {
		p = put_fact(p, &record->facts[i], before, record->programme->n_ledgers);
		before = &record->facts[i];
	}
	out->len = (size_t)(p - out->data);
	return 0;
}

int record_encode(const struct record *record, struct buf *out)
{
	const size_t start = out->len;
	if (encode(record, out) == 0)
		return 0;
	out->len = start;
	return ERROR_NO_MEMORY;
}

/* --- reading -------------------------------------------------------------------------------------------------------------- */

static int64_t read_between(struct reader *r, int64_t value, int64_t min, int64_t max)
{
	if (value >= min && value <= max)
		return value;
	r->bad = true;
	return min > 0 ? min : 0;
}

static struct slice read_id(struct reader *r, size_t min)
{
	const struct slice id = read_slice(r);
	r->bad |= id.len < min || id.len > LIMIT_EVENT_ID_BYTES;
	return id;
}

static void read_items(struct reader *r, const struct programme *programme, struct fact *fact)
{
	fact->item_rules = read_varint(r);
	r->bad |= programme->n_rules < 64 && fact->item_rules >> programme->n_rules != 0;
	for (unsigned i = 0; i < programme->n_ledgers; i++)
		fact->items[i] = read_up_to(r, INT64_MAX);
	r->bad |= !has_items(fact, programme->n_ledgers);
}

static void read_sums(struct reader *r, const struct programme *programme, struct fact *fact)
{
	if (fact->kind == EVENT_REDEEM || fact->kind == EVENT_ADJUST) {
		fact->ledger = (uint8_t)read_up_to(r, (int64_t)programme->n_ledgers - 1);
		const int64_t min = fact->kind == EVENT_REDEEM ? 0 : -LIMIT_POINTS_MILLI;
		fact->points_milli = read_between(r, read_signed(r), min, LIMIT_POINTS_MILLI);
		return;
	}
	fact->total_minor = read_up_to(r, LIMIT_AMOUNT_MINOR);
	fact->eligible_minor = read_up_to(r, fact->total_minor);
}

static int64_t read_time(struct reader *r, const struct fact *before)
{
	if (!before)
		return read_between(r, read_signed(r), TIME_MIN_US, TIME_MAX_US);
	return before->time_us + read_up_to(r, TIME_MAX_US - before->time_us);
}

/* *fact borrows its id from the bytes. */
static void read_fact(struct reader *r, const struct programme *programme, const struct fact *before, struct fact *fact)
{
	/* One by one, all that is not read: as in fact_begin. */
	fact->time_us = read_time(r, before);
	fact->total_minor = fact->eligible_minor = 0;
	fact->order_hash = 0;
	fact->points_milli = 0;
	fact->ledger = 0;
	fact->item_rules = 0;
	for (unsigned i = 0; i < PROGRAMME_LEDGERS_MAX; i++)
		fact->items[i] = 0;
	const unsigned bits = reader_has(r, 1) ? *r->at++ : 0;
	const unsigned reject = bits >> REJECT_SHIFT & REJECT_MASK;
	fact->kind = (enum event_kind)(bits & KIND_MASK);
	fact->declined = bits & BIT_DECLINED;
	r->bad |= reject > REJECT_MAX;
	r->bad |= fact->declined && (fact->kind != EVENT_REDEEM || reject != REJECT_NONE);
	r->bad |= (bits & BIT_ITEMS) && (fact->kind != EVENT_ORDER || reject != REJECT_NONE);
	if (r->bad)
		return;
	fact->reject = (enum reject_reason)reject;
	fact->id = read_id(r, 1);
	const bool same_source = bits & BIT_SAME_SOURCE;
	fact->source_hash = same_source && before ? before->source_hash : read_u64(r);
	/* There is one way only to say it. */
	r->bad |= same_source != (before && before->source_hash == fact->source_hash);
	if (fact->kind == EVENT_REFUND)
		fact->order_hash = read_u64(r);
	if (reject == REJECT_NONE)
		read_sums(r, programme, fact);
	if (bits & BIT_ITEMS)
		read_items(r, programme, fact);
	if (!r->bad)
		fact->day = tz_local_day(programme->timezone, fact->time_us);
}

static int read_settled(struct reader *r, struct record *record, struct error *err)
{
	const struct slice state = read_slice(r);
	if (r->bad)
		return 0;
	const int rc = account_decode(state, record->settled, err);
	if (rc < 0)
		return rc;
	struct fact last = {.time_us = read_between(r, read_signed(r), TIME_MIN_US, TIME_MAX_US)};
	const unsigned kind = reader_has(r, 1) ? *r->at++ : 0;
	last.kind = (enum event_kind)(kind & KIND_MASK);
	last.id = read_id(r, 0);
	last.source_hash = read_u64(r);
	r->bad |= kind > EVENT_ADJUST;
	if (r->bad)
		return 0;
	/* The state has reached the day of its last event, and nothing in it is later. */
	r->bad |= record->settled->events == 0 || record->settled->last_us > last.time_us ||
		  record->settled->day < tz_local_day(record->programme->timezone, last.time_us);
	if (!r->bad)
		record_set_last(record, &last);
	return 0;
}

static int read_programme(struct reader *r, const struct record *record, struct error *err)
{
	const uint64_t hash = read_u64(r);
	if (r->bad || hash == record->programme->hash)
		return 0;
	return error_set(err, ERROR_CORRUPT,
			 "the record of an account is of another programme (%016llx, now it is %016llx): make the "
			 "accounts again (punchcard rebuild)",
			 (unsigned long long)hash, (unsigned long long)record->programme->hash);
}

static int read_open(struct reader *r, struct record *record)
{
	const uint64_t n = read_varint(r);
	for (uint64_t i = 0; i < n && !r->bad; i++) {
		struct fact *const fact = record_room(record);
		if (!fact)
			return ERROR_NO_MEMORY;
		const struct fact *const before = record->n ? fact - 1 : record->any_settled ? &record->last : NULL;
		read_fact(r, record->programme, before, fact);
		r->bad |= !r->bad && before && fact_compare(before, fact) >= 0;
		if (!r->bad && record_append(record) < 0)
			return ERROR_NO_MEMORY;
	}
	return 0;
}

static int decode_v2(struct record *record, struct slice bytes, struct error *err)
{
	struct reader r = reader_of(bytes);
	const unsigned flags = reader_has(&r, 1) ? *r.at++ : 0;
	r.bad |= (flags & ~(FLAG_MARKED | FLAG_SETTLED)) != 0;
	record->marked = flags & FLAG_MARKED;
	if (!r.bad) {
		const int rc = flags & FLAG_SETTLED ? read_settled(&r, record, err) : read_programme(&r, record, err);
		if (rc < 0)
			return rc;
	}
	if (!r.bad && read_open(&r, record) < 0)
		return error_no_memory(err, bytes.len);
	if (!r.bad && r.at == r.end)
		return 0;
	return error_set(err, ERROR_CORRUPT,
			 "the record of an account, %zu bytes, is damaged: make the accounts again (punchcard rebuild)",
			 bytes.len + 1);
}

int record_decode(struct record *record, struct slice bytes, struct error *err)
{
	record_reset(record);
	const unsigned version = bytes.len ? (unsigned char)bytes.data[0] : 0;
	const struct slice rest = bytes.len ? (struct slice){bytes.data + 1, bytes.len - 1} : bytes;
	int rc;
	if (version == 1)
		rc = record_decode_v1(record, rest, err);
	else if (version == RECORD_VERSION)
		rc = decode_v2(record, rest, err);
	else
		rc = error_set(err, ERROR_CORRUPT,
			       "the record of an account has version %u; this punchcard reads versions 1 and %d: use a "
			       "newer punchcard, or make the accounts again (punchcard rebuild)",
			       version, RECORD_VERSION);
	if (rc < 0)
		record_reset(record);
	return rc;
}
