#include "loyalty/event.h"

int customer_compare(const struct customer_id *a, const struct customer_id *b)
{
	if (a->number != b->number)
		return a->number < b->number ? -1 : 1;
	const size_t common = a->text.len < b->text.len ? a->text.len : b->text.len;
	const int order = common ? memcmp(a->text.data, b->text.data, common) : 0;
	return order ? order : (a->text.len > b->text.len) - (a->text.len < b->text.len);
}
