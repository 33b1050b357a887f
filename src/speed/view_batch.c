/*
 * A packed fact, in memory only: varint is LEB128, signed zigzag, u64 and u32 as the machine has them.
 *
 *     bytes      what
 *     text       the customer's id; only when ids are text
 *     u64        time
 *     1          bits 0-1: kind; 2-4: reason of a rejection; 5: declined; 6: the id is "<label>:<line>"; 7: there are rules by item
 *     u32        day
 *     varint     its origin
 *     varint, varint  total, eligible
 *     varint     line, with bit 6; else text: id
 *     u64        hash of the order's id; only of a refund
 *     1, signed  ledger, points; only of a redemption or an adjustment
 *     varint …   rules by item, and of each ledger what they count; only with bit 7
 */
#include "speed/view_batch.h"

#include "speed/key_sort.h"

#include <assert.h>
#include <stdlib.h>

#define KIND_MASK    3u
#define REJECT_SHIFT 2u
#define REJECT_MASK  7u
#define BIT_DECLINED (1u << 5)
#define BIT_IMPLICIT (1u << 6)
#define BIT_ITEMS    (1u << 7)

/* The most that a packed fact has. */
#define PACKED_BYTES                                                                         \
	(2 * VARINT_MAX_BYTES + LIMIT_CUSTOMER_ID_BYTES + LIMIT_EVENT_ID_BYTES + 2 * 8 + 2 + \
	 (8 + PROGRAMME_LEDGERS_MAX) * VARINT_MAX_BYTES)
#define ORIGINS_FIRST 64u
/* Facts are asked for so many before they are needed. */
#define PREFETCH_ITEMS 16u

static_assert(REJECT_MAX <= REJECT_MASK, "reasons fit their bits");
static_assert(EVENT_ADJUST <= KIND_MASK, "kinds fit their bits");

static_assert(PACKED_BYTES <= KEY_SORT_PIECE_MAX, "a packed fact is a piece");

/* What neighbouring events have in common. */
struct origin {
	uint64_t source_hash;
	size_t label_at; /* in `labels` */
	size_t label_len;
};

struct view_batch {
	const struct programme *programme;
	bool text_ids;
	/* Packed facts by customer: the number with its sign flipped, or the first 8 bytes of the text, big-endian. */
	struct key_sort facts;
	struct buf labels;
	struct origin *origins;
	size_t n_origins;
	size_t origins_cap;
	const char *last_file; /* of the last origin: where they lie in their block */
	const char *last_source;
	size_t at;  /* among the facts: the next fact of the customer … */
	size_t end; /* … and the first of the next one */
	char id[BLOCK_ID_MAX];
};

struct view_batch *view_batch_new(const struct programme *programme, bool text_ids)
{
	struct view_batch *const batch = calloc(1, sizeof(*batch));
	if (!batch)
		return NULL;
	batch->programme = programme;
	batch->text_ids = text_ids;
	return batch;
}

void view_batch_clear(struct view_batch *batch)
{
	key_sort_clear(&batch->facts);
	buf_clear(&batch->labels);
	batch->n_origins = 0;
	batch->last_file = NULL;
	batch->last_source = NULL;
	batch->at = batch->end = 0;
}

void view_batch_free(struct view_batch *batch)
{
	if (!batch)
		return;
	view_batch_clear(batch);
	buf_release(&batch->labels);
	free(batch->origins);
	free(batch);
}

/* --- packing -------------------------------------------------------------------------------------------------------------- */

static int add_origin(struct view_batch *batch, struct slice file, struct slice source)
{
	if (batch->n_origins == batch->origins_cap) {
		const size_t cap = batch->origins_cap ? batch->origins_cap * 2 : ORIGINS_FIRST;
		struct origin *const origins = reallocarray(batch->origins, cap, sizeof(*origins));
		if (!origins)
			return ERROR_NO_MEMORY;
		batch->origins = origins;
		batch->origins_cap = cap;
	}
	const size_t label_at = batch->labels.len;
	if (buf_append(&batch->labels, file.data, file.len) < 0)
		return ERROR_NO_MEMORY;
	batch->origins[batch->n_origins++] =
		(struct origin){.source_hash = fact_id_hash(source), .label_at = label_at, .label_len = file.len};
	batch->last_file = file.data;
	batch->last_source = source.data;
	return 0;
}

static char *put_native(char *p, uint64_t value)
{
	memcpy(p, &value, sizeof(value));
	return p + sizeof(value);
}

static char *pack(char *p, const struct fact *fact, size_t origin, const uint64_t *line)
{
	p = put_native(p, (uint64_t)fact->time_us);
	*p++ = (char)((unsigned)fact->kind | (unsigned)fact->reject << REJECT_SHIFT |
		      (fact->declined ? BIT_DECLINED : 0) | (line ? BIT_IMPLICIT : 0) |
		      (fact->item_rules ? BIT_ITEMS : 0));
	memcpy(p, &fact->day, sizeof(fact->day));
	p += sizeof(fact->day);
	p = put_varint(p, origin);
	p = put_varint(p, (uint64_t)fact->total_minor);
	p = put_varint(p, (uint64_t)fact->eligible_minor);
	p = line ? put_varint(p, *line) : put_slice(p, fact->id);
	if (fact->kind == EVENT_REFUND)
		p = put_native(p, fact->order_hash);
	if (fact->kind == EVENT_REDEEM || fact->kind == EVENT_ADJUST) {
		*p++ = (char)fact->ledger;
		p = put_signed(p, fact->points_milli);
	}
	if (!fact->item_rules)
		return p;
	p = put_varint(p, fact->item_rules);
	for (unsigned i = 0; i < PROGRAMME_LEDGERS_MAX; i++)
		p = put_varint(p, (uint64_t)fact->items[i]);
	return p;
}

static uint64_t key_of_text(struct slice text)
{
	uint64_t key = 0;
	for (size_t i = 0; i < sizeof(key); i++)
		key = key << 8 | (i < text.len ? (unsigned char)text.data[i] : 0);
	return key;
}

int view_batch_add(struct view_batch *batch, const struct block_record *record, struct slice source, struct error *err)
{
	const struct event *const event = &record->event;
	if (event->customer.guest)
		return 0;
	const struct slice text = event->customer.text;
	if ((text.len > 0) != batch->text_ids)
		return error_set(err, ERROR_INPUT,
				 "a customer's id is of the other type; set customer_id in punchcard.yaml as it was");
	struct fact fact;
	fact_of_event(&fact, batch->programme, event, source);
	const uint64_t key =
		batch->text_ids ? key_of_text(text) : (uint64_t)event->customer.number ^ (UINT64_C(1) << 63);
	const bool same_origin =
		batch->n_origins && batch->last_file == record->file.data && batch->last_source == source.data;
	char *const room = key_sort_room(&batch->facts);
	if (!room || (!same_origin && add_origin(batch, record->file, source) < 0))
		return error_no_memory(err, batch->facts.bytes_len);
	char *p = batch->text_ids ? put_slice(room, text) : room;
	p = pack(p, &fact, batch->n_origins - 1, record->implicit_id ? &record->line : NULL);
	key_sort_add(&batch->facts, key, (size_t)(p - room));
	return 0;
}

/* --- unpacking ------------------------------------------------------------------------------------------------------------ */

/* Of an item: its fact, behind its customer's text (NULL: it is not wanted). */
static struct reader open_item(const struct view_batch *batch, const struct key_sort_item *item, struct slice *text)
{
	struct reader r = reader_of(key_sort_bytes(&batch->facts, item));
	if (batch->text_ids) {
		const struct slice own = read_slice(&r);
		if (text)
			*text = own;
	}
	return r;
}

static uint64_t read_native(struct reader *r)
{
	uint64_t value;
	memcpy(&value, r->at, sizeof(value));
	r->at += sizeof(value);
	return value;
}

/* "<label>:<line>" */
static struct slice make_id(const struct view_batch *batch, const struct origin *origin, uint64_t line,
			    char out[BLOCK_ID_MAX])
{
	char digits[20];
	size_t n = 0;
	do {
		digits[n++] = (char)('0' + line % 10);
		line /= 10;
	} while (line);
	assert(origin->label_len + 1 + n <= BLOCK_ID_MAX);
	memcpy(out, batch->labels.data + origin->label_at, origin->label_len);
	char *p = out + origin->label_len;
	*p++ = ':';
	while (n)
		*p++ = digits[--n];
	return (struct slice){out, (size_t)(p - out)};
}

/* An implicit id is made in `id`. */
static void unpack(const struct view_batch *batch, const struct key_sort_item *item, struct fact *fact,
		   char id[BLOCK_ID_MAX])
{
	struct reader r = open_item(batch, item, NULL);
	fact->time_us = (int64_t)read_native(&r);
	const unsigned bits = *r.at++;
	fact->kind = (enum event_kind)(bits & KIND_MASK);
	fact->reject = (enum reject_reason)(bits >> REJECT_SHIFT & REJECT_MASK);
	fact->declined = bits & BIT_DECLINED;
	memcpy(&fact->day, r.at, sizeof(fact->day));
	r.at += sizeof(fact->day);
	const struct origin *const origin = &batch->origins[read_varint(&r)];
	fact->source_hash = origin->source_hash;
	fact->total_minor = (int64_t)read_varint(&r);
	fact->eligible_minor = (int64_t)read_varint(&r);
	fact->id = bits & BIT_IMPLICIT ? make_id(batch, origin, read_varint(&r), id) : read_slice(&r);
	fact->order_hash = fact->kind == EVENT_REFUND ? read_native(&r) : 0;
	const bool has_points = fact->kind == EVENT_REDEEM || fact->kind == EVENT_ADJUST;
	fact->ledger = has_points ? *r.at++ : 0;
	fact->points_milli = has_points ? read_signed(&r) : 0;
	fact->item_rules = bits & BIT_ITEMS ? read_varint(&r) : 0;
	for (unsigned i = 0; i < PROGRAMME_LEDGERS_MAX; i++)
		fact->items[i] = bits & BIT_ITEMS ? (int64_t)read_varint(&r) : 0;
	assert(!r.bad);
}

/* --- the order ------------------------------------------------------------------------------------------------------------ */

static int compare_texts(const void *a, const void *b, void *context)
{
	struct slice x = {0};
	struct slice y = {0};
	open_item(context, a, &x);
	open_item(context, b, &y);
	return slice_compare(x, y);
}

static int compare_facts(const void *a, const void *b, void *context)
{
	char ids[2][BLOCK_ID_MAX];
	struct fact x;
	struct fact y;
	unpack(context, a, &x, ids[0]);
	unpack(context, b, &y, ids[1]);
	return fact_compare(&x, &y);
}

static int64_t time_of(const struct view_batch *batch, const struct key_sort_item *item)
{
	struct reader r = open_item(batch, item, NULL);
	return (int64_t)read_native(&r);
}

int view_batch_sort(struct view_batch *batch, struct error *err)
{
	const int rc = key_sort_finish(&batch->facts, err);
	if (rc < 0 || !batch->text_ids)
		return rc;
	/* Texts that begin alike. */
	struct key_sort_item *const items = batch->facts.items;
	for (size_t first = 0; first < batch->facts.n;) {
		size_t end = first + 1;
		bool differ = false;
		for (; end < batch->facts.n && items[end].key == items[first].key; end++)
			differ = differ || compare_texts(&items[first], &items[end], batch);
		if (differ)
			qsort_r(&items[first], end - first, sizeof(*items), compare_texts, batch);
		first = end;
	}
	return 0;
}

static bool is_same_customer(struct view_batch *batch, const struct key_sort_item *a, const struct key_sort_item *b)
{
	return a->key == b->key && (!batch->text_ids || compare_texts(a, b, batch) == 0);
}

bool view_batch_customer(struct view_batch *batch, struct customer_id *id)
{
	struct key_sort_item *const items = batch->facts.items;
	const size_t n = batch->facts.n;
	const size_t first = batch->end;
	if (first == n)
		return false;
	*id = (struct customer_id){0};
	if (batch->text_ids)
		open_item(batch, &items[first], &id->text);
	else
		id->number = (int64_t)(items[first].key ^ (UINT64_C(1) << 63));
	size_t end = first;
	bool in_order = true;
	int64_t before_us = INT64_MIN;
	for (; end < n && (end == first || is_same_customer(batch, &items[first], &items[end])); end++) {
		if (end + PREFETCH_ITEMS < n)
			__builtin_prefetch(batch->facts.bytes + items[end + PREFETCH_ITEMS].at);
		const int64_t time_us = time_of(batch, &items[end]);
		in_order = in_order && time_us > before_us;
		before_us = time_us;
	}
	if (!in_order)
		qsort_r(&items[first], end - first, sizeof(*items), compare_facts, batch);
	batch->at = first;
	batch->end = end;
	return true;
}

bool view_batch_fact(struct view_batch *batch, struct fact *fact)
{
	if (batch->at == batch->end)
		return false;
	unpack(batch, &batch->facts.items[batch->at++], fact, batch->id);
	return true;
}
