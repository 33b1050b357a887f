/*
 * The customer view's accounts as rows, as of a day: what SQL sees of them.
 *
 *     struct account_rows rows = {.deployment = deployment, .programme = programme, .view = view, .day = today};
 *     rc = account_rows_register(&rows, engine, err);      // view_accounts(), view_account_balances()
 *
 * `view_accounts()`: a row a customer: cust_id, orders, visits BIGINT, spend DECIMAL(18,2), of the first ledger points (spendable
 * less debt), points_earned (issued less reversed), points_pending, points_redeemed, points_expired DECIMAL(18,3), tier (NULL: the
 * programme has none), tier_review DATE (NULL: none), first_order, last_order TIMESTAMP (UTC; NULL: no orders), events and rejected
 * BIGINT. `view_account_balances()`: a row a customer and ledger, with the columns of the table `balances` and two
 * more: cust_id, ledger, balance (spendable less debt), pending, debt, earned (issued less reversed), issued, reversed, redeemed,
 * expired, expiring_30d DECIMAL(18,3), next_expiry DATE (NULL: nothing expires). Rows come in the order of the customers.
 *
 * An account with events of the future is as of the last of them. Scans of one statement may run on several threads of
 * the engine: they read the view in turns.
 */
#ifndef PUNCHCARD_SPEED_ACCOUNT_ROWS_H
#define PUNCHCARD_SPEED_ACCOUNT_ROWS_H

#include "config/deployment.h"
#include "engine/engine.h"
#include "store/view.h"

struct account_rows {
	const struct deployment *deployment;
	const struct programme *programme; /* that the accounts were made by */
	struct view *view;                 /* in a read transaction; NULL: there are no accounts */
	int32_t day;                       /* local day of the programme */
};

/* `rows` must outlive the engine. */
int account_rows_register(struct account_rows *rows, struct engine *engine, struct error *err);

#endif
