/*
 * Tables of the HBase sinks of Flume agents (store/row_store.h), for SQL: one view a table, under its name.
 *
 *     struct line_rows *rows = NULL;
 *     rc = line_rows_attach(engine, deployment, &rows, err);      // SELECT … FROM spooled_table
 *     engine_close(engine);
 *     line_rows_detach(rows);
 *
 *     row_key VARCHAR    <source>/<event_id>: where the line came from, as in transactions_cln
 *     cell VARCHAR       columnFamily:payloadColumn
 *     value VARCHAR      the line; bytes that are no UTF-8 as \xHH
 *
 * All of one moment. Without rows there is no view, and *out is NULL.
 */
#ifndef PUNCHCARD_SPEED_LINE_ROWS_H
#define PUNCHCARD_SPEED_LINE_ROWS_H

#include "config/deployment.h"
#include "engine/engine.h"

struct line_rows;

int line_rows_attach(struct engine *engine, const struct deployment *deployment, struct line_rows **out,
		     struct error *err);
/* After engine_close. NULL is fine. */
void line_rows_detach(struct line_rows *rows);

#endif
