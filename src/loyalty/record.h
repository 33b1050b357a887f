/*
 * An account's record, as the customer view keeps it: the settled state, and the open events behind it.
 *
 *     struct record *record = record_new(programme);
 *     rc = record_decode(record, bytes, err);
 *     rc = record_add(record, &fact, &added);
 *     rc = record_settle(record);                     // after the last one, and now and then before it
 *     rc = record_encode(record, &bytes);
 *     rc = record_fold(record, account, NULL);        // the state now
 *     record_free(record);
 *
 * Which events are open depends on the events alone (docs/programme.md, "Late events"), so the same events in any order of
 * arrival, with duplicates, give the same bytes; where that would need events that are settled, the record is *marked*, and
 * record_of_history makes it from all of them.
 *
 * Not tied to a thread; one record belongs to one thread at a time. Memory is kept between records (record_reset).
 */
#ifndef PUNCHCARD_LOYALTY_RECORD_H
#define PUNCHCARD_LOYALTY_RECORD_H

#include "loyalty/account.h"

struct record;

/* An empty one; NULL when out of memory. `programme` (prepared) must outlive it. */
struct record *record_new(const struct programme *programme);
void record_free(struct record *record);
void record_reset(struct record *record);

enum record_added {
	RECORD_ADDED = 0,
	RECORD_HAD = 1,    /* the same event is open already, or the last one settled: nothing changed */
	RECORD_MARKED = 2, /* it belongs into what is settled: the record is marked, and without it */
};
/* Takes an event, wherever it belongs. The fact's id is copied. Late events and refunds look through the open ones: who
 * adds many settles after every few hundred. ERROR_NO_MEMORY. */
int record_add(struct record *record, const struct fact *fact, enum record_added *added);
/* Settles what is no longer open. ERROR_NO_MEMORY. */
int record_settle(struct record *record);
/* Makes the record of a customer's whole history: facts in the order of fact_compare, each once. */
int record_of_history(struct record *record, const struct fact *facts, size_t n);

bool record_is_marked(const struct record *record);
/* The open events, in order. */
size_t record_open(const struct record *record, const struct fact **facts);
/* Makes `account` (of the same programme) the state after all events of the record; entries of the open ones (and of what fell
 * due between them) go to `postings`, which may be NULL. */
int record_fold(const struct record *record, struct account *account, struct postings *postings);

/* Appends the bytes (byte table in record_bytes.c). 0 or ERROR_NO_MEMORY. */
int record_encode(const struct record *record, struct buf *out);
/* Reads one into an empty record. A record of the version before (sums only, without lots) is read as far as it goes, and is
 * marked. ERROR_CORRUPT: damaged, of a future version, or of another programme; ERROR_NO_MEMORY. On error it is empty. */
int record_decode(struct record *record, struct slice bytes, struct error *err);

#endif
