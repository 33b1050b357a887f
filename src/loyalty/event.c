#include "loyalty/event.h"

int customer_compare(const struct customer_id *a, const struct customer_id *b)
{
	if (a->number != b->number)
		return a->number < b->number ? -1 : 1;
	return slice_compare(a->text, b->text);
}
