/*
 * The accounts that foldings left, as table functions:
 *
 *     kernel_accounts()   a row a customer: the columns of the table `accounts` that models read (models/loyalty.sql)
 *     kernel_balances()   a row a customer and ledger: the table `balances`
 *     kernel_states()     a row a customer: cust_id, state BLOB, items BLOB (fold/items.h)
 *     kernel_favourites() a row a customer who has one: cust_id, favourite (of foldings whose history says items)
 *
 * Rows are in order of the customers. Any number of engines and threads may scan the same accounts at once.
 */
#ifndef PUNCHCARD_BATCH_ACCOUNTS_H
#define PUNCHCARD_BATCH_ACCOUNTS_H

#include "batch/folding.h"

/* The columns of `balances` behind cust_id of an empty table, for SQL. */
#define BALANCES_COLUMNS_SQL                                                                                       \
	"ledger VARCHAR, balance DECIMAL(18,3), pending DECIMAL(18,3), debt DECIMAL(18,3), earned DECIMAL(18,3), " \
	"redeemed DECIMAL(18,3), expired DECIMAL(18,3), expiring_30d DECIMAL(18,3), next_expiry DATE, data_dt DATE"

struct accounts {
	const struct deployment *deployment;
	const struct programme *programme;
	int32_t day;
	/* Finished foldings with no customer in both; the second may be NULL. They outlive the engines. */
	const struct folding *parts[2];
};

/* What folding keeps of an account: appended to out as a record of folding->accounts. `favourite` may be empty. ERROR_OVERFLOW: a
 * number that does not fit its column; ERROR_NO_MEMORY. */
int accounts_encode(const struct programme *programme, const struct customer_id *id, const struct account *account,
		    struct slice favourite, struct buf *out);
/* `accounts` must outlive the engine. */
int accounts_register(const struct accounts *accounts, struct engine *engine, struct error *err);

#endif
