/*
 * Events in JSON, one a line (NDJSON): every kind, whole. docs/events.md is for people, docs/event.schema.json for machines.
 *
 *     struct event_json *json = NULL;
 *     rc = event_json_new(CUSTOMER_ID_INTEGER, &json, err);
 *     reason = event_json_read(json, line, latest_us, &event);        // 0: event is good
 *     event_json_free(json);
 *
 * Strict: a line is one JSON object (RFC 8259) of the keys of its kind, each at most once, and of the right type. Numbers are
 * taken from their digits, never through a double; one with an exponent is refused, as is one that would have to be rounded.
 * What a line leaves out follows the mapped CSV: quantity 1, price = amount / quantity, amount = quantity × price.
 *
 * One reader belongs to one thread at a time.
 */
#ifndef PUNCHCARD_SPEED_EVENT_JSON_H
#define PUNCHCARD_SPEED_EVENT_JSON_H

#include "config/config.h"
#include "loyalty/event.h"
#include "store/block.h"

struct event_json;
struct json; /* base/json.h, whose names json-c has, too */

/* ERROR_NO_MEMORY. */
int event_json_new(enum customer_id_type id_type, struct event_json **out, struct error *err);
/* NULL is fine. */
void event_json_free(struct event_json *json);

/*
 * Reads one line: valid UTF-8 without NUL, at most LIMIT_LINE_BYTES (the caller has seen to it). Times after latest_us are out
 * of range. 0 and *event, whose slices and lines live in the reader until the next call; or an enum quarantine_reason that
 * names the key that is wrong:
 *
 *     REASON_JSON         no JSON object, or nested deeper than an event is
 *     REASON_NUL_BYTE     an escaped NUL (\u0000)
 *     REASON_ENCODING     an escaped half of a surrogate pair
 *     REASON_KIND         kind is missing, or none of the four
 *     REASON_FIELD        a key that this kind has not, or twice; or `accepted` is neither true nor false
 *     REASON_ORDER_LINES  lines are missing (order), none, more than LIMIT_ORDER_LINES, or no objects
 *     REASON_NAME         store, sku, menu, ledger, reward or reason is no text, or longer than LIMIT_NAME_BYTES
 *     REASON_EVENT_ID, _CUSTOMER_ID, _TIME, _TIME_RANGE, _QUANTITY, _PRICE, _AMOUNT, _POINTS, _ORDER_ID
 *                         that key is missing though it is needed, of another type, or out of range
 *
 * ERROR_NO_MEMORY is negative.
 */
int event_json_read(struct event_json *json, struct slice line, int64_t latest_us, struct event *event);

/* In event_json_write.c. Writes an event as one object, without a line feed: event_json_read makes the same event of it, down to block_event_payload. A line
 * has its quantity, price and amount; what else is empty is left out. Errors are the writer's (json_finish). */
void event_json_write(struct json *json, const struct event *event);

#endif
