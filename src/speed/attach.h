/*
 * The speed layer's tables for SQL.
 *
 *     struct attached *attached = NULL;
 *     rc = speed_attach(engine, deployment, &attached, err);     // SELECT … FROM transactions_cln, quarantine, accounts
 *     …
 *     engine_close(engine);
 *     speed_detach(attached);
 *
 * Makes the SQL views `transactions_cln` (committed Parquet files and, behind them, the journal's tail: what is durable is
 * visible), `quarantine` (likewise, and that of customer files), `accounts` and `account_balances` (the customer view, as of
 * today; account_rows.h has the columns), and one a table of Flume's HBase sinks (line_rows.h). All of one moment: the journal's and the view's read transactions are held until
 * speed_detach. Missing parts are empty tables.
 */
#ifndef PUNCHCARD_SPEED_ATTACH_H
#define PUNCHCARD_SPEED_ATTACH_H

#include "base/error.h"
#include "config/deployment.h"
#include "engine/engine.h"

struct attached;

int speed_attach(struct engine *engine, const struct deployment *deployment, struct attached **out, struct error *err);
/* After engine_close: the engine reads from what it holds. NULL is fine. */
void speed_detach(struct attached *attached);

#endif
