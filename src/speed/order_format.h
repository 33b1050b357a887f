/*
 * Files of orders and other events, line by line: the classic form, mapped CSV, and NDJSON.
 *
 *     struct order_format *format = NULL;
 *     rc = order_format_open(deployment, "receipts", &format, err);
 *     rc = order_format_header(format, fields, n, path, err);          // when order_format_is_csv()
 *     reason = order_format_row(format, fields, n, latest_us, &row);   // 0: row is good
 *     order_format_close(format);
 *
 * The classic line is `cust_id|menu price|unix_seconds`, without quotes or header; the menu's name may hold blanks, the price
 * follows the last one. A mapped file has a header; config.order_mappings says what its columns mean. These two have a row of
 * an order in each line. A line of NDJSON is a whole event, of any kind:
 *
 *     reason = order_format_event(format, line, latest_us, &event);    // when order_format_has_events()
 *
 * One format belongs to one thread at a time; order_format_header makes it one file's.
 */
#ifndef PUNCHCARD_SPEED_ORDER_FORMAT_H
#define PUNCHCARD_SPEED_ORDER_FORMAT_H

#include "base/buf.h"
#include "config/deployment.h"
#include "loyalty/event.h"
#include "store/block.h"

struct order_format;

/* One line of an order file. The slices are those of the fields, or live in the format until the next row. */
struct order_row {
	struct slice id;      /* of the event; empty: implicit (file and line) */
	struct slice line_id; /* tells the lines of one order apart; empty when the mapping names no such column */
	struct customer_id customer;
	int64_t time_us;
	struct slice store;
	struct order_line line;
};

/* `name`: "classic", "ndjson" or an order mapping's. ERROR_CONFIG for another. The deployment must outlive it. */
int order_format_open(const struct deployment *deployment, const char *name, struct order_format **out,
		      struct error *err);
void order_format_close(struct order_format *format);

/* Of the fields of a line. Where a line is not split: NUL, which no good line has. */
char order_format_delimiter(const struct order_format *format);
/* Whether quotes have a meaning (mapped CSV), and whether the first record is a header. */
bool order_format_is_csv(const struct order_format *format);
/* Whether every event brings an id of its own. */
bool order_format_has_ids(const struct order_format *format);
/* Whether a line is a whole event: then order_format_event reads it, otherwise order_format_row. */
bool order_format_has_events(const struct order_format *format);

/* Finds the mapping's columns in a header. ERROR_INPUT naming the column that is missing or there twice, and what the header
 * has. `path` is for the message. */
int order_format_header(struct order_format *format, const struct slice *fields, unsigned n_fields, const char *path,
			struct error *err);

/*
 * Checks and reads one record: valid UTF-8 without NUL (the caller has seen to it). Times after latest_us are out of range.
 * 0 and *row, or the enum quarantine_reason; ERROR_NO_MEMORY is negative.
 */
int order_format_row(struct order_format *format, const struct slice *fields, unsigned n_fields, int64_t latest_us,
		     struct order_row *row);
/* Likewise, of a line that is a whole event. Its slices and lines live in the format until the next call. */
int order_format_event(struct order_format *format, struct slice line, int64_t latest_us, struct event *event);

#endif
