#include "speed/admit.h"

#include <xxhash.h>

static int hash_id(struct slice source, struct slice id, struct buf *scratch, XXH128_canonical_t *hash,
		   struct error *err)
{
	buf_clear(scratch);
	if (buf_append(scratch, source.data, source.len) < 0 || buf_append(scratch, "", 1) < 0 ||
	    buf_append(scratch, id.data, id.len) < 0)
		return error_no_memory(err, source.len + 1 + id.len);
	XXH128_canonicalFromHash(hash, XXH3_128bits(scratch->data, scratch->len));
	return 0;
}

int admit_event(struct journal *journal, struct slice source, const struct event *event, struct buf *scratch,
		enum journal_id_state *state, struct error *err)
{
	buf_clear(scratch);
	if (block_event_payload(event, scratch) < 0)
		return error_no_memory(err, scratch->len);
	const uint64_t payload = XXH3_64bits(scratch->data, scratch->len);
	XXH128_canonical_t hash;
	const int rc = hash_id(source, event->id, scratch, &hash, err);
	return rc == 0 ? journal_id_add(journal, hash.digest, payload, state, err) : rc;
}

int admit_forget(struct journal *journal, struct slice source, const struct event *event, struct buf *scratch,
		 struct error *err)
{
	XXH128_canonical_t hash;
	const int rc = hash_id(source, event->id, scratch, &hash, err);
	return rc == 0 ? journal_id_remove(journal, hash.digest, err) : rc;
}

/* At most LIMIT_ORDER_LINES of at most LIMIT_AMOUNT_MINOR: far from what 64 bits hold. */
bool admit_is_within_limit(const struct event *event)
{
	int64_t total = 0;
	for (uint32_t i = 0; i < event->n_lines; i++)
		total += event->lines[i].amount_minor;
	return total <= LIMIT_AMOUNT_MINOR;
}
