#include "speed/admit.h"

#include <xxhash.h>

int admit_event(struct journal *journal, struct slice source, const struct event *event, struct buf *scratch,
		enum journal_id_state *state, struct error *err)
{
	buf_clear(scratch);
	if (block_event_payload(event, scratch) < 0)
		return error_no_memory(err, scratch->len);
	const uint64_t payload = XXH3_64bits(scratch->data, scratch->len);
	buf_clear(scratch);
	if (buf_append(scratch, source.data, source.len) < 0 || buf_append(scratch, "", 1) < 0 ||
	    buf_append(scratch, event->id.data, event->id.len) < 0)
		return error_no_memory(err, source.len + 1 + event->id.len);
	XXH128_canonical_t hash;
	XXH128_canonicalFromHash(&hash, XXH3_128bits(scratch->data, scratch->len));
	return journal_id_add(journal, hash.digest, payload, state, err);
}

/* At most LIMIT_ORDER_LINES of at most LIMIT_AMOUNT_MINOR: far from what 64 bits hold. */
bool admit_is_within_limit(const struct event *event)
{
	int64_t total = 0;
	for (uint32_t i = 0; i < event->n_lines; i++)
		total += event->lines[i].amount_minor;
	return total <= LIMIT_AMOUNT_MINOR;
}
