/*
 * Rows of an account at the end of a day: of the table `accounts` that models read (models/loyalty.sql), and of
 * `balances`.
 *
 *     struct account_summary summary;
 *     struct balance_summary balances[PROGRAMME_LEDGERS_MAX];
 *     rc = account_summarize(programme, account, &summary, balances);
 *     account_row_of(programme, day, &summary, &balances[0], favourite, &row);
 *     balance_row_of(programme, ledger, &balances[ledger], &balance);
 *
 * A summary is plain numbers, and may be kept as bytes within a process. Pure; any thread.
 */
#ifndef PUNCHCARD_FOLD_ACCOUNT_ROW_H
#define PUNCHCARD_FOLD_ACCOUNT_ROW_H

#include "fold/columns.h"
#include "loyalty/account.h"

struct account_summary {
	struct account_totals totals;
	struct account_tier tier;
	int64_t to_next_milli;
};

struct balance_summary {
	struct account_balance balance;
	int64_t expiring_milli;
};

/* balances: of each of the programme's ledgers. Padding is zeroed. ERROR_OVERFLOW: a number does not fit its column. */
int account_summarize(const struct programme *programme, const struct account *account, struct account_summary *out,
		      struct balance_summary *balances);

/* Columns behind cust_id. */
enum account_column {
	ACCOUNT_EVENTS,
	ACCOUNT_ORDERS,
	ACCOUNT_VISITS,
	ACCOUNT_SPEND,
	ACCOUNT_BALANCE,
	ACCOUNT_EARNED,
	ACCOUNT_REDEEMED,
	ACCOUNT_EXPIRED,
	ACCOUNT_PENDING,
	ACCOUNT_EXPIRING,
	ACCOUNT_TIER,
	ACCOUNT_VALID_TO,
	ACCOUNT_TO_NEXT,
	ACCOUNT_FIRST,
	ACCOUNT_LAST,
	ACCOUNT_SINCE_LAST,
	ACCOUNT_WINDOW_VISITS,
	ACCOUNT_WINDOW_SPEND,
	ACCOUNT_FAVOURITE,
	ACCOUNT_COLUMNS,
};
extern const struct fold_column ACCOUNT_COLUMN[ACCOUNT_COLUMNS];

enum balance_column {
	BALANCE_LEDGER,
	BALANCE_BALANCE,
	BALANCE_PENDING,
	BALANCE_DEBT,
	BALANCE_EARNED,
	BALANCE_REDEEMED,
	BALANCE_EXPIRED,
	BALANCE_EXPIRING,
	BALANCE_NEXT_EXPIRY,
	BALANCE_COLUMNS,
};
extern const struct fold_column BALANCE_COLUMN[BALANCE_COLUMNS];

/* A value of a row: a number by its column's type, or a text. */
struct fold_value {
	bool is_null;
	int64_t number;
	struct slice text;
};

/* `first`: of the programme's first ledger; `day`: the day that was folded to; an empty favourite is none. Texts are
 * the programme's, and the favourite. */
void account_row_of(const struct programme *programme, int32_t day, const struct account_summary *summary,
		    const struct balance_summary *first, struct slice favourite,
		    struct fold_value out[ACCOUNT_COLUMNS]);
void balance_row_of(const struct programme *programme, unsigned ledger, const struct balance_summary *summary,
		    struct fold_value out[BALANCE_COLUMNS]);

#endif
