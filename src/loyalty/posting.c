#include "loyalty/posting.h"

#include <assert.h>
#include <stdlib.h>

#define FIRST_CAP 16u

const char *posting_kind_name(unsigned kind)
{
	static const char *const NAMES[] = {
		[POSTING_EARN] = "earn",     [POSTING_REVERSE] = "reverse", [POSTING_REDEEM] = "redeem",
		[POSTING_EXPIRE] = "expire", [POSTING_ADJUST] = "adjust",   [POSTING_TIER] = "tier",
		[POSTING_REJECT] = "reject",
	};
	static_assert(sizeof(NAMES) / sizeof(NAMES[0]) == POSTING_KIND_MAX + 1, "a name for each kind");
	return kind <= POSTING_KIND_MAX ? NAMES[kind] : NULL;
}

struct posting *postings_add(struct postings *postings)
{
	if (postings->n == postings->cap) {
		const size_t cap = postings->cap ? postings->cap * 2 : FIRST_CAP;
		struct posting *const items = reallocarray(postings->items, cap, sizeof(*items));
		if (!items)
			return NULL;
		postings->items = items;
		postings->cap = cap;
	}
	return &postings->items[postings->n++];
}

void postings_clear(struct postings *postings)
{
	postings->n = 0;
}

void postings_release(struct postings *postings)
{
	if (!postings)
		return;
	free(postings->items);
	*postings = (struct postings){0};
}
