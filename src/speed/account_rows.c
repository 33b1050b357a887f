#include "speed/account_rows.h"

#include "loyalty/record.h"

#include <pthread.h>
#include <stdlib.h>

enum account_column {
	ACCOUNT_CUST_ID,
	ACCOUNT_ORDERS,
	ACCOUNT_VISITS,
	ACCOUNT_SPEND,
	ACCOUNT_POINTS,
	ACCOUNT_EARNED,
	ACCOUNT_PENDING,
	ACCOUNT_REDEEMED,
	ACCOUNT_EXPIRED,
	ACCOUNT_TIER,
	ACCOUNT_REVIEW,
	ACCOUNT_FIRST,
	ACCOUNT_LAST,
	ACCOUNT_EVENTS,
	ACCOUNT_REJECTED,
	N_ACCOUNT_COLUMNS,
};

enum balance_column {
	BALANCE_CUST_ID,
	BALANCE_LEDGER,
	BALANCE_BALANCE,
	BALANCE_PENDING,
	BALANCE_DEBT,
	BALANCE_EARNED,
	BALANCE_ISSUED,
	BALANCE_REVERSED,
	BALANCE_REDEEMED,
	BALANCE_EXPIRED,
	BALANCE_EXPIRING,
	BALANCE_NEXT_EXPIRY,
	N_BALANCE_COLUMNS,
};

#define ACCOUNTS_WITH(id_type)                                                                                   \
	{                                                                                                        \
		[ACCOUNT_CUST_ID] = {"cust_id", id_type}, [ACCOUNT_ORDERS] = {"orders", ENGINE_BIGINT},          \
		[ACCOUNT_VISITS] = {"visits", ENGINE_BIGINT}, [ACCOUNT_SPEND] = {"spend", ENGINE_DECIMAL_18_2},  \
		[ACCOUNT_POINTS] = {"points", ENGINE_DECIMAL_18_3},                                              \
		[ACCOUNT_EARNED] = {"points_earned", ENGINE_DECIMAL_18_3},                                       \
		[ACCOUNT_PENDING] = {"points_pending", ENGINE_DECIMAL_18_3},                                     \
		[ACCOUNT_REDEEMED] = {"points_redeemed", ENGINE_DECIMAL_18_3},                                   \
		[ACCOUNT_EXPIRED] = {"points_expired", ENGINE_DECIMAL_18_3},                                     \
		[ACCOUNT_TIER] = {"tier", ENGINE_VARCHAR}, [ACCOUNT_REVIEW] = {"tier_review", ENGINE_DATE},      \
		[ACCOUNT_FIRST] = {"first_order", ENGINE_TIMESTAMP},                                             \
		[ACCOUNT_LAST] = {"last_order", ENGINE_TIMESTAMP}, [ACCOUNT_EVENTS] = {"events", ENGINE_BIGINT}, \
		[ACCOUNT_REJECTED] = {"rejected", ENGINE_BIGINT},                                                \
	}

#define BALANCES_WITH(id_type)                                                                                        \
	{                                                                                                             \
		[BALANCE_CUST_ID] = {"cust_id", id_type}, [BALANCE_LEDGER] = {"ledger", ENGINE_VARCHAR},              \
		[BALANCE_BALANCE] = {"balance", ENGINE_DECIMAL_18_3},                                                 \
		[BALANCE_PENDING] = {"pending", ENGINE_DECIMAL_18_3}, [BALANCE_DEBT] = {"debt", ENGINE_DECIMAL_18_3}, \
		[BALANCE_EARNED] = {"earned", ENGINE_DECIMAL_18_3},                                                   \
		[BALANCE_ISSUED] = {"issued", ENGINE_DECIMAL_18_3},                                                   \
		[BALANCE_REVERSED] = {"reversed", ENGINE_DECIMAL_18_3},                                               \
		[BALANCE_REDEEMED] = {"redeemed", ENGINE_DECIMAL_18_3},                                               \
		[BALANCE_EXPIRED] = {"expired", ENGINE_DECIMAL_18_3},                                                 \
		[BALANCE_EXPIRING] = {"expiring_30d", ENGINE_DECIMAL_18_3},                                           \
		[BALANCE_NEXT_EXPIRY] = {"next_expiry", ENGINE_DATE},                                                 \
	}

static const struct engine_column ACCOUNTS[2][N_ACCOUNT_COLUMNS] = {
	[CUSTOMER_ID_INTEGER] = ACCOUNTS_WITH(ENGINE_BIGINT),
	[CUSTOMER_ID_TEXT] = ACCOUNTS_WITH(ENGINE_VARCHAR),
};

static const struct engine_column BALANCES[2][N_BALANCE_COLUMNS] = {
	[CUSTOMER_ID_INTEGER] = BALANCES_WITH(ENGINE_BIGINT),
	[CUSTOMER_ID_TEXT] = BALANCES_WITH(ENGINE_VARCHAR),
};

/* Two scans of one statement may run on two of the engine's threads, and walk in one read transaction, which does not bear it:
 * so they take turns. What they read stays where it is until the transaction ends. */
static pthread_mutex_t walking = PTHREAD_MUTEX_INITIALIZER;

static int open_walk(struct view *view, struct view_walk **walk, struct error *err)
{
	pthread_mutex_lock(&walking);
	const int rc = view_walk_open(view, walk, err);
	pthread_mutex_unlock(&walking);
	return rc;
}

static int walk_on(struct view_walk *walk, struct customer_id *id, struct slice *record, bool *found, struct error *err)
{
	pthread_mutex_lock(&walking);
	const int rc = view_walk_next(walk, id, record, found, err);
	pthread_mutex_unlock(&walking);
	return rc;
}

static void close_walk(struct view_walk *walk)
{
	pthread_mutex_lock(&walking);
	view_walk_close(walk);
	pthread_mutex_unlock(&walking);
}

/* One scan: the account that it is at, folded. */
struct scan {
	struct view_walk *walk; /* NULL: there is no view */
	struct record *record;
	struct account *account;
	struct customer_id id;
	unsigned ledger; /* of the balances: the next row's; n_ledgers: the next account's first */
};

static void stop_scan(void *context, void *state)
{
	(void)context;
	struct scan *const scan = state;
	close_walk(scan->walk);
	record_free(scan->record);
	account_free(scan->account);
	free(scan);
}

static int start_scan(void *context, void **state, struct error *err)
{
	const struct account_rows *const rows = context;
	const struct programme *const programme = rows->programme;
	struct scan *const scan = calloc(1, sizeof(*scan));
	if (!scan)
		return error_no_memory(err, sizeof(*scan));
	scan->record = record_new(programme);
	scan->account = account_new(programme);
	scan->ledger = programme->n_ledgers;
	int rc = scan->record && scan->account ? 0 : error_no_memory(err, sizeof(*scan));
	if (rc == 0 && rows->view)
		rc = open_walk(rows->view, &scan->walk, err);
	if (rc < 0) {
		stop_scan(context, scan);
		return rc;
	}
	*state = scan;
	return 0;
}

/* Goes to the next account: 1, or 0 at the end. */
static int next_account(const struct account_rows *rows, struct scan *scan, struct error *err)
{
	struct slice bytes;
	bool found = false;
	int rc = scan->walk ? walk_on(scan->walk, &scan->id, &bytes, &found, err) : 0;
	if (rc < 0 || !found)
		return rc;
	record_reset(scan->record);
	rc = record_decode(scan->record, bytes, err);
	if (rc < 0)
		return rc;
	account_reset(scan->account);
	rc = record_fold(scan->record, scan->account, NULL);
	if (rc == 0)
		rc = account_advance(scan->account, rows->day, NULL);
	return rc < 0 ? error_no_memory(err, bytes.len) : 1;
}

static void set_int64(struct engine_batch *batch, unsigned column, uint32_t row, int64_t value)
{
	int64_t *const values = engine_batch_values(batch, column);
	values[row] = value;
}

static void set_day(struct engine_batch *batch, unsigned column, uint32_t row, int32_t day)
{
	int32_t *const values = engine_batch_values(batch, column);
	if (day == DAY_MAX)
		engine_batch_null(batch, column, row);
	else
		values[row] = day;
}

static void set_id(const struct account_rows *rows, struct engine_batch *batch, unsigned column, uint32_t row,
		   const struct customer_id *id)
{
	if (rows->deployment->config->customer_id == CUSTOMER_ID_TEXT)
		engine_batch_text(batch, column, row, id->text);
	else
		set_int64(batch, column, row, id->number);
}

static void put_account(const struct account_rows *rows, const struct scan *scan, struct engine_batch *batch,
			uint32_t row)
{
	const struct programme *const programme = rows->programme;
	struct account_totals totals;
	struct account_balance first;
	struct account_tier tier;
	account_totals(scan->account, &totals);
	account_balance(scan->account, 0, &first);
	account_tier(scan->account, &tier);
	set_id(rows, batch, ACCOUNT_CUST_ID, row, &scan->id);
	set_int64(batch, ACCOUNT_ORDERS, row, totals.orders);
	set_int64(batch, ACCOUNT_VISITS, row, totals.visits);
	set_int64(batch, ACCOUNT_SPEND, row, totals.spend_minor);
	set_int64(batch, ACCOUNT_POINTS, row, first.balance_milli);
	set_int64(batch, ACCOUNT_EARNED, row, first.issued_milli - first.reversed_milli);
	set_int64(batch, ACCOUNT_PENDING, row, first.pending_milli);
	set_int64(batch, ACCOUNT_REDEEMED, row, first.redeemed_milli);
	set_int64(batch, ACCOUNT_EXPIRED, row, first.expired_milli);
	if (programme->tiers.n_levels)
		engine_batch_text(batch, ACCOUNT_TIER, row, slice_of(programme->tiers.levels[tier.level].name));
	else
		engine_batch_null(batch, ACCOUNT_TIER, row);
	set_day(batch, ACCOUNT_REVIEW, row, programme->tiers.n_levels ? tier.review_day : DAY_MAX);
	set_int64(batch, ACCOUNT_FIRST, row, totals.first_us);
	set_int64(batch, ACCOUNT_LAST, row, totals.last_us);
	if (totals.orders == 0) {
		engine_batch_null(batch, ACCOUNT_FIRST, row);
		engine_batch_null(batch, ACCOUNT_LAST, row);
	}
	set_int64(batch, ACCOUNT_EVENTS, row, totals.events);
	set_int64(batch, ACCOUNT_REJECTED, row, totals.rejected);
}

static int fill_accounts(void *context, void *state, struct engine_batch *batch, uint32_t *rows, struct error *err)
{
	struct scan *const scan = state;
	uint32_t row = 0;
	for (; row < ENGINE_BATCH_ROWS; row++) {
		const int rc = next_account(context, scan, err);
		if (rc < 0)
			return rc;
		if (rc == 0)
			break;
		put_account(context, scan, batch, row);
	}
	*rows = row;
	return 0;
}

static void put_balance(const struct account_rows *rows, const struct scan *scan, struct engine_batch *batch,
			uint32_t row)
{
	struct account_totals totals;
	struct account_balance balance;
	account_totals(scan->account, &totals);
	account_balance(scan->account, scan->ledger, &balance);
	set_id(rows, batch, BALANCE_CUST_ID, row, &scan->id);
	engine_batch_text(batch, BALANCE_LEDGER, row, slice_of(rows->programme->ledgers[scan->ledger].name));
	set_int64(batch, BALANCE_BALANCE, row, balance.balance_milli);
	set_int64(batch, BALANCE_PENDING, row, balance.pending_milli);
	set_int64(batch, BALANCE_DEBT, row, balance.debt_milli);
	set_int64(batch, BALANCE_EARNED, row, balance.issued_milli - balance.reversed_milli);
	set_int64(batch, BALANCE_ISSUED, row, balance.issued_milli);
	set_int64(batch, BALANCE_REVERSED, row, balance.reversed_milli);
	set_int64(batch, BALANCE_REDEEMED, row, balance.redeemed_milli);
	set_int64(batch, BALANCE_EXPIRED, row, balance.expired_milli);
	set_int64(batch, BALANCE_EXPIRING, row,
		  account_expiring(scan->account, scan->ledger, totals.day + EXPIRING_DAYS));
	set_day(batch, BALANCE_NEXT_EXPIRY, row, balance.next_expiry_day);
}

static int fill_balances(void *context, void *state, struct engine_batch *batch, uint32_t *rows, struct error *err)
{
	const struct account_rows *const all = context;
	struct scan *const scan = state;
	uint32_t row = 0;
	for (; row < ENGINE_BATCH_ROWS; row++) {
		if (scan->ledger == all->programme->n_ledgers) {
			const int rc = next_account(all, scan, err);
			if (rc < 0)
				return rc;
			if (rc == 0)
				break;
			scan->ledger = 0;
		}
		put_balance(all, scan, batch, row);
		scan->ledger++;
	}
	*rows = row;
	return 0;
}

int account_rows_register(struct account_rows *rows, struct engine *engine, struct error *err)
{
	const enum customer_id_type id_type = rows->deployment->config->customer_id;
	const struct engine_source accounts = {
		.name = "view_accounts",
		.columns = ACCOUNTS[id_type],
		.n_columns = N_ACCOUNT_COLUMNS,
		.start = start_scan,
		.fill = fill_accounts,
		.stop = stop_scan,
		.context = rows,
	};
	const struct engine_source balances = {
		.name = "view_account_balances",
		.columns = BALANCES[id_type],
		.n_columns = N_BALANCE_COLUMNS,
		.start = start_scan,
		.fill = fill_balances,
		.stop = stop_scan,
		.context = rows,
	};
	const int rc = engine_register_source(engine, &accounts, err);
	return rc < 0 ? rc : engine_register_source(engine, &balances, err);
}
