/* What json-c lets pass, or does not tell. Only event_json.c and event_json_scan.c use this. */
#ifndef PUNCHCARD_SPEED_EVENT_JSON_INTERNAL_H
#define PUNCHCARD_SPEED_EVENT_JSON_INTERNAL_H

#include "base/buf.h"

#include <stdint.h>

/*
 * Looks over a text before json-c parses it; together they take exactly what RFC 8259 says. 0, or the enum quarantine_reason:
 * REASON_JSON for numbers that are none (-01, 1., NaN), texts in single quotes or with control characters, blanks that are
 * none of JSON's; REASON_NUL_BYTE for \u0000, which would end a key; REASON_ENCODING for half of a surrogate pair, which would
 * become U+FFFD, and so two ids one. *members: how many members all objects have together, those of equal keys counted each.
 */
int event_json_scan(struct slice text, uint64_t *members);

#endif
