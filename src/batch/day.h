/*
 * The tables of one day: what rebuild and refresh write of the accounts at its end.
 *
 *     account_state   <dir>/account-<programme>-<offset>-<hash>.parquet: cust_id, state BLOB, items BLOB (fold/items.h),
 *                     from which the next refresh goes on
 *     balances        <dir>/balances-<hash>.parquet
 *     loyalty         <dir>/loyalty-<hash>.parquet, by models/segments.sql and models/loyalty.sql
 *
 * <programme> is the programme's hash, and <offset> (twelve digits) the table writer's offset up to which the accounts have
 * all events.
 */
#ifndef PUNCHCARD_BATCH_DAY_H
#define PUNCHCARD_BATCH_DAY_H

#include "batch/accounts.h"

struct day_tables {
	const struct accounts *accounts;
	uint64_t offset;
	/* Directories that are there and empty. */
	const char *state_dir;
	const char *balances_dir;
	const char *loyalty_dir;
};

/* Files are not flushed. ERROR_SQL names file and line of a model. */
int day_write(const struct day_tables *tables, struct error *err);

#endif
