#include "loyalty/record_internal.h"

#include <stdlib.h>

#define FACTS_FIRST_CAP 16u
#define IDS_FIRST_CAP   1024u

struct record *record_new(const struct programme *programme)
{
	struct record *const record = calloc(1, sizeof(*record));
	if (!record)
		return NULL;
	record->programme = programme;
	record->settled = account_new(programme);
	if (!record->settled) {
		free(record);
		return NULL;
	}
	return record;
}

void record_free(struct record *record)
{
	if (!record)
		return;
	account_free(record->settled);
	free(record->facts);
	free(record->order_hashes);
	free(record->ids);
	free(record);
}

void record_reset(struct record *record)
{
	account_reset(record->settled);
	record->marked = false;
	record->any_settled = false;
	record->n = 0;
	record->hashed = 0;
	record->ids_len = 0;
}

bool record_is_marked(const struct record *record)
{
	return record->marked;
}

size_t record_open(const struct record *record, const struct fact **facts)
{
	*facts = record->facts;
	return record->n;
}

void record_set_last(struct record *record, const struct fact *fact)
{
	assert(fact->id.len <= sizeof(record->last_id));
	record->any_settled = true;
	if (fact->id.len)
		memcpy(record->last_id, fact->id.data, fact->id.len);
	record->last = (struct fact){
		.time_us = fact->time_us,
		.kind = fact->kind,
		.source_hash = fact->source_hash,
		.id = {record->last_id, fact->id.len},
	};
}

/* --- the open events ------------------------------------------------------------------------------------------------------ */

/* Room for an id: moves those of open events, and only those, to a larger place. */
static int reserve_id(struct record *record, size_t len)
{
	if (record->ids_cap - record->ids_len >= len)
		return 0;
	size_t used = len;
	for (size_t i = 0; i < record->n; i++)
		used += record->facts[i].id.len;
	const size_t cap = used * 2 > IDS_FIRST_CAP ? used * 2 : IDS_FIRST_CAP;
	char *const ids = malloc(cap);
	if (!ids)
		return ERROR_NO_MEMORY;
	size_t at = 0;
	for (size_t i = 0; i < record->n; i++) {
		struct slice *const id = &record->facts[i].id;
		if (id->len)
			memcpy(ids + at, id->data, id->len);
		id->data = ids + at;
		at += id->len;
	}
	free(record->ids);
	record->ids = ids;
	record->ids_len = at;
	record->ids_cap = cap;
	return 0;
}

static int reserve_fact(struct record *record)
{
	if (record->n < record->cap)
		return 0;
	const size_t cap = record->cap ? record->cap * 2 : FACTS_FIRST_CAP;
	struct fact *const facts = reallocarray(record->facts, cap, sizeof(*facts));
	if (!facts)
		return ERROR_NO_MEMORY;
	record->facts = facts;
	uint64_t *const hashes = reallocarray(record->order_hashes, cap, sizeof(*hashes));
	if (!hashes)
		return ERROR_NO_MEMORY;
	record->order_hashes = hashes;
	record->cap = cap;
	return 0;
}

/* Of an event that is known to be rejected, only what its entry and its place need. */
static void keep_essence(struct fact *fact)
{
	*fact = (struct fact){
		.time_us = fact->time_us,
		.id = fact->id,
		.source_hash = fact->source_hash,
		.kind = fact->kind,
		.reject = fact->reject,
		.day = fact->day,
		.order_hash = fact->order_hash,
	};
}

struct fact *record_room(struct record *record)
{
	return reserve_fact(record) < 0 ? NULL : &record->facts[record->n];
}

int record_append(struct record *record)
{
	struct slice *const id = &record->facts[record->n].id;
	if (reserve_id(record, id->len) < 0)
		return ERROR_NO_MEMORY;
	char *const copy = record->ids + record->ids_len;
	memcpy(copy, id->data, id->len);
	id->data = copy;
	record->ids_len += id->len;
	record->n++;
	return 0;
}

int record_insert(struct record *record, size_t at, const struct fact *fact)
{
	struct fact *const last = record_room(record);
	if (!last)
		return ERROR_NO_MEMORY;
	*last = *fact;
	if (fact->reject != REJECT_NONE)
		keep_essence(last);
	if (record_append(record) < 0)
		return ERROR_NO_MEMORY;
	if (at + 1 == record->n)
		return 0;
	/* It belongs before others: they move on. */
	const struct fact moved = record->facts[record->n - 1];
	struct fact *const place = &record->facts[at];
	memmove(place + 1, place, (record->n - 1 - at) * sizeof(*place));
	*place = moved;
	if (record->hashed > at)
		record->hashed = at;
	return 0;
}

/* Whether there is an open order before position `at` that `refund` names. Hashes are made when they are first looked for: most
 * records never get a refund. */
static bool has_order(struct record *record, size_t at, const struct fact *refund)
{
	for (; record->hashed < at; record->hashed++)
		record->order_hashes[record->hashed] = fact_id_hash(record->facts[record->hashed].id);
	while (at-- > 0)
		if (record->order_hashes[at] == refund->order_hash && record->facts[at].kind == EVENT_ORDER)
			return true;
	return false;
}

/* Position of the last order before `refund`, which is at facts[at], that it names; SIZE_MAX: there is none. */
static size_t order_of(const struct fact *facts, size_t at, const struct fact *refund)
{
	while (at-- > 0)
		if (facts[at].kind == EVENT_ORDER && fact_id_hash(facts[at].id) == refund->order_hash)
			return at;
	return SIZE_MAX;
}

int record_add(struct record *record, const struct fact *fact, enum record_added *added)
{
	assert(fact->id.len <= LIMIT_EVENT_ID_BYTES);
	const int after_settled = record->any_settled ? fact_compare(fact, &record->last) : 1;
	size_t at = record->n;
	int compared = 1;
	while (after_settled > 0 && at && (compared = fact_compare(fact, &record->facts[at - 1])) < 0)
		at--;
	if (after_settled == 0 || compared == 0) {
		*added = RECORD_HAD;
		return 0;
	}
	if (after_settled < 0 || (record->any_settled && fact->kind == EVENT_REFUND && !has_order(record, at, fact))) {
		record->marked = true;
		*added = RECORD_MARKED;
		return 0;
	}
	if (record_insert(record, at, fact) < 0)
		return ERROR_NO_MEMORY;
	*added = RECORD_ADDED;
	return 0;
}

/* --- settling ------------------------------------------------------------------------------------------------------------- */

/* How many of n events settle (docs/programme.md, "Late events"). More events never make it less: so it does not matter
 * after which of them one asks. */
static size_t settle_point(const struct programme *programme, const struct fact *facts, size_t n)
{
	if (n == 0)
		return 0;
	const int64_t newest_us = facts[n - 1].time_us;
	size_t point = n;
	while (point && n - point < programme->open_max &&
	       newest_us - facts[point - 1].time_us <= programme->lateness_us)
		point--;
	if (point == 0)
		return 0;
	/* A refund is settled with its order; and so is all before it, which may bring further orders, and their refunds. */
	for (size_t at = n; at > point; at--) {
		const struct fact *const fact = &facts[at - 1];
		if (fact->kind != EVENT_REFUND)
			continue;
		const size_t order = order_of(facts, at - 1, fact);
		if (order != SIZE_MAX && order < point) {
			point = at;
			at = n + 1;
		}
	}
	return point;
}

/* Folds n events, the last of which becomes the last one settled. */
static int settle(struct record *record, const struct fact *facts, size_t n)
{
	if (n == 0)
		return 0;
	for (size_t i = 0; i < n; i++)
		if (account_apply(record->settled, &facts[i], NULL) < 0)
			return ERROR_NO_MEMORY;
	account_forget_orders(record->settled);
	record_set_last(record, &facts[n - 1]);
	return 0;
}

int record_settle(struct record *record)
{
	const size_t n = settle_point(record->programme, record->facts, record->n);
	if (settle(record, record->facts, n) < 0)
		return ERROR_NO_MEMORY;
	record->n -= n;
	record->hashed = record->hashed > n ? record->hashed - n : 0;
	if (n && record->n) {
		memmove(record->facts, record->facts + n, record->n * sizeof(*record->facts));
		memmove(record->order_hashes, record->order_hashes + n, record->hashed * sizeof(*record->order_hashes));
	}
	return 0;
}

int record_of_history(struct record *record, const struct fact *facts, size_t n)
{
	record_reset(record);
	const size_t settled = settle_point(record->programme, facts, n);
	if (settle(record, facts, settled) < 0)
		return ERROR_NO_MEMORY;
	for (size_t i = settled; i < n; i++)
		if (record_insert(record, record->n, &facts[i]) < 0)
			return ERROR_NO_MEMORY;
	return 0;
}

int record_fold(const struct record *record, struct account *account, struct postings *postings)
{
	if (account_copy(account, record->settled) < 0)
		return ERROR_NO_MEMORY;
	for (size_t i = 0; i < record->n; i++)
		if (account_apply(account, &record->facts[i], postings) < 0)
			return ERROR_NO_MEMORY;
	return 0;
}
