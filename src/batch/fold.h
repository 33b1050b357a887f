/*
 * The batch layer's fold: the orders of many customers, in any order of customers, through the kernel, in memory.
 *
 *     struct fold *fold = NULL;
 *     rc = fold_new(programme, CUSTOMER_ID_INTEGER, &fold, err);
 *     rc = fold_scan(fold, engine, "SELECT cust_id, line_no, odr_tms, odr_amt FROM …", err);
 *     for (uint32_t i = 0; i < fold_count(fold); i++)
 *             fold_account(fold, i, &id, &account);
 *     fold_free(fold);
 *
 * About 130 bytes a customer. Not tied to a thread.
 */
#ifndef PUNCHCARD_BATCH_FOLD_H
#define PUNCHCARD_BATCH_FOLD_H

#include "config/config.h"
#include "engine/engine.h"
#include "loyalty/account.h"

struct fold;

/* `programme` must outlive the fold. */
int fold_new(const struct programme *programme, enum customer_id_type id_type, struct fold **out, struct error *err);
void fold_free(struct fold *fold);

/* One order of a customer who is no guest, by its total. */
int fold_order(struct fold *fold, const struct customer_id *id, int64_t time_us, int64_t eligible_minor,
	       struct error *err);

/*
 * Folds the rows of a SELECT with the columns cust_id (BIGINT or VARCHAR, not NULL), line_no INTEGER, odr_tms TIMESTAMP,
 * odr_amt DECIMAL(18,2). The lines of an order stand one behind the other, numbered from 1, as the table writer leaves them;
 * a gap in the numbers is ERROR_CORRUPT, because an order without one of its lines would earn wrong points.
 */
int fold_scan(struct fold *fold, struct engine *engine, const char *sql, struct error *err);

uint32_t fold_count(const struct fold *fold);
/* The i-th customer, in order of the first order seen; the id's bytes and the account live as long as the fold. */
void fold_account(const struct fold *fold, uint32_t i, struct customer_id *id, const struct account **account);
/* Puts the customers in order of id (integers numerically, text by byte): fold_account then counts in that order. */
int fold_sort(struct fold *fold, struct error *err);

/* The fold as the table function `fold_accounts()`: cust_id, orders, visits, spend, points, points_earned, first_order,
 * last_order. The fold must outlive the engine. */
int fold_register(struct fold *fold, struct engine *engine, struct error *err);

/* The columns and one row's values, for other makers of that table. */
extern const struct engine_column ACCOUNT_COLUMNS_INTEGER[8];
extern const struct engine_column ACCOUNT_COLUMNS_TEXT[8];
void account_row(struct engine_batch *batch, uint32_t row, const struct customer_id *id, const struct account *account,
		 enum customer_id_type id_type);

#endif
