#include "loyalty/programme.h"

#include "base/bytes.h"

#include <string.h>

size_t programme_rules(const struct programme *programme, char out[PROGRAMME_RULES_MAX])
{
	/* The zone's name is at most NAME_MAX bytes of a path; what does not fit is no zone. */
	static const char head[] = "1 per_amount ";
	char *p = out;
	memcpy(p, head, sizeof(head) - 1);
	p += sizeof(head) - 1;
	p = put_varint(p, (uint64_t)programme->rounding);
	p = put_signed(p, programme->earn.points_milli);
	p = put_signed(p, programme->earn.per_minor);
	const char *const zone = tz_name(programme->timezone);
	const size_t room = PROGRAMME_RULES_MAX - (size_t)(p - out);
	const size_t len = strlen(zone);
	const size_t kept = len < room ? len : room;
	memcpy(p, zone, kept);
	return (size_t)(p - out) + kept;
}
