/*
 * Rows of transactions_cln (speed/rows.h) as the events that they were: an event's lines one behind the other, line_no from 1 on.
 *
 *     "SELECT " TRANSACTION_COLUMNS " FROM transactions_cln WHERE … ORDER BY source, event_id, line_no"
 *
 *     for each row of an engine_scan of it:
 *             if (event_rows_line_no(scan, row) == 1)
 *                     rc = event_rows_event(scan, row, id_type, &event, &source, err);
 *             if (event_rows_line(scan, row, event.kind, &line)) …
 *
 * Texts are the scan's, and gone with its batch. Any thread.
 */
#ifndef PUNCHCARD_SERVING_EVENT_ROWS_H
#define PUNCHCARD_SERVING_EVENT_ROWS_H

#include "engine/engine.h"
#include "loyalty/event.h"
#include "speed/rows.h"

/* Which line of its event a row is: 1, 2, … */
int32_t event_rows_line_no(struct engine_scan *scan, uint32_t row);
/* The event without its lines; of a refund without lines the amount is there. A guest's: customer.guest. ERROR_CORRUPT: a kind that there is
 * not. */
int event_rows_event(struct engine_scan *scan, uint32_t row, enum customer_id_type id_type, struct event *event,
		     struct slice *source, struct error *err);
/* The row's line, as the event had it: a refund's numbers are positive (in the table they are not). false: its event has no lines. */
bool event_rows_line(struct engine_scan *scan, uint32_t row, enum event_kind kind, struct order_line *line);

#endif
