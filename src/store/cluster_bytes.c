/*
 * The cluster's view has two tables:
 *
 *     table      row, a                   column            value
 *     accounts   customer                 p:profile         profile
 *                                         s:state           state
 *                                         e:<event name>    event, one cell each
 *     orders     event of a customer      o:event           event
 *     accounts   an edge's                s:m               mark
 *     orders     an edge's                o:m               mark
 *
 * Keys:
 *
 *     accounts   2 bytes hash, customer
 *     orders     2 bytes hash, customer, of an id that is text a NUL, event name
 *     customer   8 bytes big-endian with the sign bit flipped (integer), or the id's bytes (text), as in store/view.c
 *     hash       the low 16 bits of XXH3-64 of the customer, big-endian
 *     event name 8 bytes of the event's time in UTC microseconds, big-endian with the sign bit flipped; 8 bytes of XXH3-64 of its
 *                id, seeded with XXH3-64 of its source, big-endian
 *     edge       CELLS_END_BYTES bytes FF, 8 bytes of XXH3-64 of its name, big-endian
 *
 * Values (text is a varint of its length and its bytes; signed varints are zigzag):
 *
 *     profile    1 byte 1; six texts: name, email, since, card, birth date, gender; signed birth year
 *     event      1 byte 1; text: edge; varint: number of the block; then a block (store/block.c) of this event alone
 *     state      1 byte 1; signed day; varint: how many edges, each a text, its name, and a varint, its offset; then the state of the
 *                account (loyalty/account_state.c)
 *     mark       1 byte 1; 16 bytes: journal; varint: number of the block; text: edge (cluster_mark.c)
 *
 * Valid when all is there, nothing follows, a key's hash is right, an event's block has one event, of a possible time, and edges ascend by name. HBase has
 * checksums of its own. Recovery: profiles are made again by loading customers, states by a refresh, events from the warehouse.
 */
#include "store/cluster_bytes.h"

#include "store/cells.h"

#include <assert.h>
#include <xxhash.h>

/* The largest event is an order with as many lines as may be, all texts as long as may be: a line has two, and three numbers. */
static_assert(LIMIT_ORDER_LINES * (2 * LIMIT_NAME_BYTES + 64) + 4096 <= CELLS_VALUE_BYTES,
	      "any event fits into a cell");

#define PROFILE_VERSION 1
#define PROFILE_TEXTS   6u
#define EVENT_VERSION   1
#define STATE_VERSION   1

#define US_PER_S        INT64_C(1000000)

static char *put_ordered(char *p, int64_t value)
{
	const uint64_t flipped = (uint64_t)value ^ (UINT64_C(1) << 63);
	for (unsigned i = 0; i < 8; i++)
		*p++ = (char)(flipped >> (56 - 8 * i));
	return p;
}

static char *put_big(char *p, uint64_t value)
{
	return put_ordered(p, (int64_t)(value ^ (UINT64_C(1) << 63)));
}

/* --- keys ------------------------------------------------------------------------------------------------------------------- */

static void put_hash(char *p, struct slice customer)
{
	const uint64_t hash = XXH3_64bits(customer.data, customer.len);
	p[0] = (char)(hash >> 8);
	p[1] = (char)hash;
}

int cluster_key_of(enum customer_id_type type, const struct customer_id *id, struct cluster_key *key, struct error *err)
{
	char *const customer = key->bytes + CLUSTER_PREFIX_BYTES;
	if (id->guest)
		return error_set(err, ERROR_INPUT, "a guest has no account");
	if (type == CUSTOMER_ID_INTEGER) {
		key->len = (size_t)(put_ordered(customer, id->number) - key->bytes);
	} else {
		if (id->text.len == 0 || id->text.len > LIMIT_CUSTOMER_ID_BYTES ||
		    memchr(id->text.data, '\0', id->text.len))
			return error_set(err, ERROR_INPUT,
					 "a customer id of %zu bytes; 1 to %u are possible, none of them NUL",
					 id->text.len, LIMIT_CUSTOMER_ID_BYTES);
		memcpy(customer, id->text.data, id->text.len);
		key->len = CLUSTER_PREFIX_BYTES + id->text.len;
	}
	put_hash(key->bytes, (struct slice){customer, key->len - CLUSTER_PREFIX_BYTES});
	return 0;
}

int cluster_key_read(enum customer_id_type type, struct slice key, struct customer_id *id, struct error *err)
{
	struct cluster_key again = {0};
	struct customer_id found = {0};
	const struct slice customer = {key.data + CLUSTER_PREFIX_BYTES, key.len - CLUSTER_PREFIX_BYTES};
	if (key.len <= CLUSTER_PREFIX_BYTES || (type == CUSTOMER_ID_INTEGER && customer.len != 8))
		return error_set(err, ERROR_CORRUPT, "a key of %zu bytes is none of a customer", key.len);
	if (type == CUSTOMER_ID_INTEGER) {
		uint64_t flipped = 0;
		for (unsigned i = 0; i < 8; i++)
			flipped = flipped << 8 | (unsigned char)customer.data[i];
		found.number = (int64_t)(flipped ^ (UINT64_C(1) << 63));
	} else {
		found.text = customer;
	}
	if (cluster_key_of(type, &found, &again, NULL) < 0 || !slice_equal(key, (struct slice){again.bytes, again.len}))
		return error_set(
			err, ERROR_CORRUPT,
			"a key of %zu bytes is none of a customer; is customer_id in punchcard.yaml as it was when "
			"the table was filled?",
			key.len);
	*id = found;
	return 0;
}

int cluster_order_prefix(enum customer_id_type type, const struct customer_id *id, struct cluster_key *key,
			 struct error *err)
{
	const int rc = cluster_key_of(type, id, key, err);
	if (rc == 0 && type == CUSTOMER_ID_TEXT)
		key->bytes[key->len++] = '\0';
	return rc;
}

void cluster_event_name(struct slice source, const struct event *event, char name[CLUSTER_EVENT_NAME_BYTES])
{
	const uint64_t hash = XXH3_64bits_withSeed(event->id.data, event->id.len, XXH3_64bits(source.data, source.len));
	put_big(put_ordered(name, event->time_us), hash);
}

void cluster_event_time(int64_t time_us, char begin[CLUSTER_EVENT_TIME_BYTES])
{
	put_ordered(begin, time_us);
}

/* --- events ----------------------------------------------------------------------------------------------------------------- */

static int write_block(const struct cluster_taken *taken, struct block_writer *writer)
{
	const struct block_record *const record = taken->record;
	int rc = block_writer_begin(writer, taken->source, taken->taken_us);
	if (rc == 0 && record->file.len)
		rc = block_writer_file(writer, record->file);
	return rc < 0 ? rc : block_writer_event(writer, &record->event, record->implicit_id, record->line);
}

int cluster_event_write(const struct cluster_taken *taken, struct block_writer *writer, struct buf *out)
{
	if (write_block(taken, writer) < 0)
		return ERROR_NO_MEMORY;
	const struct slice block = block_writer_finish(writer);
	if (buf_reserve(out, 1 + taken->edge.len + 2 * VARINT_MAX_BYTES + block.len) < 0)
		return ERROR_NO_MEMORY;
	char *p = out->data + out->len;
	*p++ = EVENT_VERSION;
	p = put_slice(p, taken->edge);
	p = put_varint(p, taken->block);
	memcpy(p, block.data, block.len);
	out->len = (size_t)(p - out->data) + block.len;
	return 0;
}

static int damaged(struct error *err, const char *what, size_t len)
{
	return error_set(err, ERROR_CORRUPT, "%s of the cluster's view, %zu bytes, is damaged, or of a later punchcard",
			 what, len);
}

int cluster_event_read(struct slice value, const struct tz *zone, struct cluster_event *event, struct error *err)
{
	struct reader r = reader_of(value);
	const unsigned version = reader_has(&r, 1) ? *r.at++ : 0;
	const struct slice edge = read_slice(&r);
	const uint64_t block = read_varint(&r);
	struct block_record record = {0};
	struct error why = {0};
	if (r.bad || version != EVENT_VERSION || edge.len == 0 || edge.len > CLUSTER_EDGE_NAME_BYTES)
		return damaged(err, "an event", value.len);
	int rc = block_reader_open(&event->reader, (struct slice){(const char *)r.at, (size_t)(r.end - r.at)}, &why);
	if (rc == 0)
		rc = block_reader_next(&event->reader, &record, &why);
	if (rc == ERROR_NO_MEMORY)
		return error_no_memory(err, value.len);
	if (rc != 1 || record.kind != BLOCK_EVENT || event->reader.at.at != event->reader.at.end ||
	    record.event.time_us < LIMIT_TIME_MIN_S * US_PER_S || record.event.time_us >= LIMIT_TIME_MAX_S * US_PER_S)
		return damaged(err, "an event", value.len);
	event->event = record.event;
	event->source = event->reader.source;
	event->edge = edge;
	event->block = block;
	event->day = tz_local_day(zone, event->event.time_us);
	return 0;
}

void cluster_event_release(struct cluster_event *event)
{
	block_reader_release(&event->reader);
}

/* --- states ----------------------------------------------------------------------------------------------------------------- */

static bool edge_may_follow(const struct cluster_edge *edges, size_t i)
{
	const struct slice name = edges[i].name;
	return name.len && name.len <= CLUSTER_EDGE_NAME_BYTES &&
	       (i == 0 || slice_compare(edges[i - 1].name, name) < 0);
}

int cluster_state_write(const struct cluster_state *state, struct buf *out, struct error *err)
{
	size_t room = 1 + 2 * VARINT_MAX_BYTES + state->account.len;
	for (size_t i = 0; i < state->n_edges; i++) {
		if (i == CLUSTER_EDGES_MAX || !edge_may_follow(state->edges, i))
			return error_set(err, ERROR_INPUT,
					 "edges of a state are not in the order of their names, or more than %u",
					 CLUSTER_EDGES_MAX);
		room += 2 * VARINT_MAX_BYTES + state->edges[i].name.len;
	}
	if (buf_reserve(out, room) < 0)
		return error_no_memory(err, room);
	char *p = out->data + out->len;
	*p++ = STATE_VERSION;
	p = put_signed(p, state->day);
	p = put_varint(p, state->n_edges);
	for (size_t i = 0; i < state->n_edges; i++) {
		p = put_slice(p, state->edges[i].name);
		p = put_varint(p, state->edges[i].offset);
	}
	if (state->account.len)
		memcpy(p, state->account.data, state->account.len);
	out->len = (size_t)(p - out->data) + state->account.len;
	return 0;
}

int cluster_state_read(struct slice value, struct cluster_edge edges[CLUSTER_EDGES_MAX], struct cluster_state *state,
		       struct error *err)
{
	struct reader r = reader_of(value);
	const unsigned version = reader_has(&r, 1) ? *r.at++ : 0;
	const int64_t day = read_signed(&r);
	const uint64_t n = read_varint(&r);
	bool good =
		!r.bad && version == STATE_VERSION && day >= INT32_MIN && day <= INT32_MAX && n <= CLUSTER_EDGES_MAX;
	for (uint64_t i = 0; i < n && good; i++) {
		edges[i].name = read_slice(&r);
		edges[i].offset = read_varint(&r);
		good = !r.bad && edge_may_follow(edges, i);
	}
	if (!good)
		return damaged(err, "a state", value.len);
	*state = (struct cluster_state){.day = (int32_t)day,
					.edges = edges,
					.n_edges = (size_t)n,
					.account = {(const char *)r.at, (size_t)(r.end - r.at)}};
	return 0;
}

bool cluster_state_includes(const struct cluster_state *state, const struct cluster_event *event)
{
	if (event->day > state->day)
		return false;
	for (size_t i = 0; i < state->n_edges; i++)
		if (slice_equal(state->edges[i].name, event->edge))
			return event->block < state->edges[i].offset;
	return false;
}

bool cluster_state_missed(const struct cluster_state *state, const struct cluster_event *event)
{
	return event->day <= state->day && !cluster_state_includes(state, event);
}

/* --- profiles --------------------------------------------------------------------------------------------------------------- */

int cluster_profile_write(const struct profile *profile, struct buf *out)
{
	const struct slice texts[PROFILE_TEXTS] = {profile->name, profile->email,      profile->since,
						   profile->card, profile->birth_date, profile->gender};
	size_t room = 1 + VARINT_MAX_BYTES;
	for (size_t i = 0; i < PROFILE_TEXTS; i++)
		room += VARINT_MAX_BYTES + texts[i].len;
	if (buf_reserve(out, room) < 0)
		return ERROR_NO_MEMORY;
	char *p = out->data + out->len;
	*p++ = PROFILE_VERSION;
	for (size_t i = 0; i < PROFILE_TEXTS; i++)
		p = put_slice(p, texts[i]);
	out->len = (size_t)(put_signed(p, profile->birth_year) - out->data);
	return 0;
}

int cluster_profile_read(struct slice value, struct profile *profile, struct error *err)
{
	struct reader r = reader_of(value);
	const unsigned version = reader_has(&r, 1) ? *r.at++ : 0;
	struct profile found;
	struct slice *const texts[PROFILE_TEXTS] = {&found.name, &found.email,      &found.since,
						    &found.card, &found.birth_date, &found.gender};
	for (size_t i = 0; i < PROFILE_TEXTS; i++)
		*texts[i] = read_slice(&r);
	const int64_t year = read_signed(&r);
	if (r.bad || r.at != r.end || version != PROFILE_VERSION || year < INT32_MIN || year > INT32_MAX)
		return damaged(err, "a profile", value.len);
	found.birth_year = (int32_t)year;
	*profile = found;
	return 0;
}
