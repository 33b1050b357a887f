/* Inside of a record: record.c has its life, record_bytes.c its bytes. Inside of src/loyalty. */
#ifndef PUNCHCARD_LOYALTY_RECORD_INTERNAL_H
#define PUNCHCARD_LOYALTY_RECORD_INTERNAL_H

#include "base/limits.h"
#include "loyalty/account_internal.h"
#include "loyalty/record.h"

struct record {
	const struct programme *programme;
	bool marked;
	bool any_settled;
	/* When something is settled: its state, and the order key (time, kind, id, source) of the last event in it. */
	struct account *settled;
	struct fact last;
	char last_id[LIMIT_EVENT_ID_BYTES];
	/* The open events, in order; their ids lie in `ids`. */
	struct fact *facts;
	size_t n;
	size_t cap;
	/* Of the first `hashed` open events, the hashes of their ids: refunds look for their order by them. */
	uint64_t *order_hashes;
	size_t hashed;
	char *ids;
	size_t ids_len;
	size_t ids_cap;
};

/* Makes `fact` the last one that is settled. */
void record_set_last(struct record *record, const struct fact *fact);
/* Room for one more open event, to be filled in; NULL when out of memory. Good until the next call for this record. */
struct fact *record_room(struct record *record);
/* The fact in the room is the last one; its id is copied. ERROR_NO_MEMORY. */
int record_append(struct record *record);
/* Puts a fact at position `at` of the open ones; its id is copied. ERROR_NO_MEMORY. */
int record_insert(struct record *record, size_t at, const struct fact *fact);
/* Reads version 1 behind its version byte (record_v1.c): errors as record_decode. */
int record_decode_v1(struct record *record, struct slice bytes, struct error *err);

#endif
