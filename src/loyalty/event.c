#include "loyalty/event.h"

static const struct slice KINDS[] = {
	[EVENT_ORDER] = {"order", 5},
	[EVENT_REFUND] = {"refund", 6},
	[EVENT_REDEEM] = {"redeem", 6},
	[EVENT_ADJUST] = {"adjust", 6},
};

struct slice event_kind_name(enum event_kind kind)
{
	return KINDS[kind];
}

bool event_kind_parse(struct slice name, enum event_kind *out)
{
	for (unsigned i = 0; i < sizeof(KINDS) / sizeof(KINDS[0]); i++) {
		if (!slice_equal(name, KINDS[i]))
			continue;
		*out = (enum event_kind)i;
		return true;
	}
	return false;
}

int customer_compare(const struct customer_id *a, const struct customer_id *b)
{
	if (a->number != b->number)
		return a->number < b->number ? -1 : 1;
	return slice_compare(a->text, b->text);
}
