/*
 * The programme: the rules by which events become points. Pure data; src/config reads it from programme.yaml.
 */
#ifndef PUNCHCARD_LOYALTY_PROGRAMME_H
#define PUNCHCARD_LOYALTY_PROGRAMME_H

#include "base/tz.h"

#include <stddef.h>
#include <stdint.h>

enum rounding {
	ROUND_FLOOR = 0, /* towards minus infinity, to a thousandth of a point */
};

/* `per_amount`: eligible · points / per, as an exact rational. */
struct earn_per_amount {
	int64_t points_milli; /* thousandths of a point, > 0 */
	int64_t per_minor;    /* minor units, > 0 */
};

struct programme {
	char *name;          /* shown to people; owned */
	char currency[4];    /* ISO 4217, upper case */
	struct tz *timezone; /* of days and months; owned */
	enum rounding rounding;
	struct earn_per_amount earn;
};

/* Room for programme_rules. */
#define PROGRAMME_RULES_MAX 256

/* The rules as bytes: two programmes with the same bytes make the same accounts of the same events. Returns how many. */
size_t programme_rules(const struct programme *programme, char out[PROGRAMME_RULES_MAX]);

#endif
