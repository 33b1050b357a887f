#include "batch/accounts.h"

#include "base/bytes.h"
#include "base/limits.h"
#include "batch/history_items.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define MILLI_PER_MINOR 10
#define MILLI           1000

/* A record of folding->accounts, as it is in memory: it does not outlive the process. Behind it stand the ledgers' balances,
 * the bytes of a text id, and those of the favourite. */
struct account_head {
	int64_t number;
	struct account_totals totals;
	struct account_tier tier;
	int64_t to_next_milli;
	size_t text_len;
	size_t favourite_len;
};

struct ledger_balance {
	struct account_balance balance;
	int64_t expiring_milli;
};

static bool fits(int64_t value)
{
	return value >= -LIMIT_SUM && value <= LIMIT_SUM;
}

/* A metric's number as DECIMAL(18,3) in its unit. */
static int scale_metric(const struct programme *programme, int64_t value, int64_t *out)
{
	static const int64_t SCALES[] = {
		[METRIC_SPEND] = MILLI_PER_MINOR,
		[METRIC_POINTS_EARNED] = 1,
		[METRIC_VISITS] = MILLI,
	};
	int64_t scaled;
	if (__builtin_mul_overflow(value, SCALES[programme->tiers.metric], &scaled) || !fits(scaled))
		return ERROR_OVERFLOW;
	*out = scaled;
	return 0;
}

int accounts_encode(const struct programme *programme, const struct customer_id *id, const struct account *account,
		    struct slice favourite, struct buf *out)
{
	struct account_head head;
	/* Padding, too: it is written to a file. */
	memset(&head, 0, sizeof(head));
	head.number = id->number;
	head.text_len = id->text.len;
	head.favourite_len = favourite.len;
	account_totals(account, &head.totals);
	account_tier(account, &head.tier);
	int rc = scale_metric(programme, head.tier.to_next, &head.to_next_milli);
	if (rc < 0 || !fits(head.totals.spend_minor) || !fits(head.totals.window_spend_minor))
		return ERROR_OVERFLOW;
	struct ledger_balance balances[PROGRAMME_LEDGERS_MAX];
	memset(balances, 0, sizeof(balances));
	for (unsigned i = 0; i < programme->n_ledgers; i++) {
		account_balance(account, i, &balances[i].balance);
		balances[i].expiring_milli = account_expiring(account, i, head.totals.day + EXPIRING_DAYS);
	}
	const size_t balances_len = programme->n_ledgers * sizeof(balances[0]);
	const size_t len = sizeof(head) + balances_len + id->text.len + favourite.len;
	char length[4];
	put_u32(length, (uint32_t)len);
	rc = buf_reserve(out, sizeof(length) + len);
	if (rc == 0)
		rc = buf_append(out, length, sizeof(length));
	if (rc == 0)
		rc = buf_append(out, &head, sizeof(head));
	if (rc == 0)
		rc = buf_append(out, balances, balances_len);
	if (rc == 0 && id->text.len)
		rc = buf_append(out, id->text.data, id->text.len);
	if (rc == 0 && favourite.len)
		rc = buf_append(out, favourite.data, favourite.len);
	return rc;
}

/* ---- reading ---- */

/* A record of one of the spools. */
struct entry {
	struct customer_id id;
	struct slice record; /* of the states: the state */
	struct slice items;  /* of the states */
	struct slice favourite;
};

/* Both parts of one spool, merged by customer. */
struct scan {
	const struct accounts *accounts;
	int (*decode)(const struct accounts *accounts, struct entry *entry);
	struct spool_reader readers[2];
	struct entry entries[2];
	bool found[2];
	int taken;       /* the part whose entry is the current one; -1: none yet, 2: the end */
	unsigned ledger; /* of kernel_balances(): the next row's */
};

static int decode_account(const struct accounts *accounts, struct entry *entry)
{
	struct account_head head;
	const size_t balances_len = accounts->programme->n_ledgers * sizeof(struct ledger_balance);
	if (entry->record.len < sizeof(head) + balances_len)
		return ERROR_CORRUPT;
	memcpy(&head, entry->record.data, sizeof(head));
	if (entry->record.len != sizeof(head) + balances_len + head.text_len + head.favourite_len)
		return ERROR_CORRUPT;
	entry->id.number = head.number;
	entry->id.text = (struct slice){entry->record.data + sizeof(head) + balances_len, head.text_len};
	entry->favourite = (struct slice){entry->id.text.data + head.text_len, head.favourite_len};
	return 0;
}

static int decode_state(const struct accounts *accounts, struct entry *entry)
{
	struct reader r = reader_of(entry->record);
	entry->id = (struct customer_id){0};
	if (accounts->deployment->config->customer_id == CUSTOMER_ID_INTEGER)
		entry->id.number = read_signed(&r);
	else
		entry->id.text = read_slice(&r);
	entry->record = read_slice(&r);
	entry->items = (struct slice){(const char *)r.at, (size_t)(r.end - r.at)};
	entry->favourite = item_favourite(entry->items);
	return r.bad ? ERROR_CORRUPT : 0;
}

enum spool_of { OF_ACCOUNTS, OF_STATES };

static const struct spool *spool_of(const struct folding *part, enum spool_of which)
{
	return which == OF_ACCOUNTS ? &part->accounts : &part->states;
}

static int open_scan(const struct accounts *accounts, enum spool_of which, struct scan **out, struct error *err)
{
	struct scan *const scan = calloc(1, sizeof(*scan));
	if (!scan)
		return error_no_memory(err, sizeof(*scan));
	scan->accounts = accounts;
	scan->decode = which == OF_ACCOUNTS ? decode_account : decode_state;
	scan->taken = -1;
	scan->ledger = accounts->programme->n_ledgers;
	for (int i = 0; i < 2; i++) {
		const struct folding *const part = accounts->parts[i];
		const struct spool *const spool = part ? spool_of(part, which) : NULL;
		if (spool)
			scan->readers[i] = spool_read(spool, 0, spool->size);
	}
	*out = scan;
	return 0;
}

static void close_scan(void *context, void *state)
{
	(void)context;
	struct scan *const scan = state;
	spool_reader_release(&scan->readers[0]);
	spool_reader_release(&scan->readers[1]);
	free(scan);
}

static int start_accounts(void *context, void **state, struct error *err)
{
	struct scan *scan = NULL;
	const int rc = open_scan(context, OF_ACCOUNTS, &scan, err);
	if (rc == 0)
		*state = scan;
	return rc;
}

static int start_states(void *context, void **state, struct error *err)
{
	struct scan *scan = NULL;
	const int rc = open_scan(context, OF_STATES, &scan, err);
	if (rc == 0)
		*state = scan;
	return rc;
}

static int read_entry(struct scan *scan, int part, struct error *err)
{
	scan->found[part] = false;
	if (!scan->accounts->parts[part])
		return 0;
	struct entry *const entry = &scan->entries[part];
	int rc = spool_next(&scan->readers[part], &entry->record, &scan->found[part], err);
	if (rc < 0 || !scan->found[part])
		return rc;
	rc = scan->decode(scan->accounts, entry);
	return rc < 0 ? error_set(err, rc, "a temporary file of the accounts was changed while it was in use") : 0;
}

/* The next entry: 1, or 0 at the end. It lives until the next call. */
static int next_entry(struct scan *scan, const struct entry **out, struct error *err)
{
	int rc = 0;
	for (int i = 0; rc == 0 && i < 2; i++)
		if (scan->taken == -1 || scan->taken == i)
			rc = read_entry(scan, i, err);
	if (rc < 0)
		return rc;
	scan->taken = 2;
	if (scan->found[0] && scan->found[1])
		scan->taken = customer_compare(&scan->entries[0].id, &scan->entries[1].id) < 0 ? 0 : 1;
	else if (scan->found[0] || scan->found[1])
		scan->taken = scan->found[0] ? 0 : 1;
	if (scan->taken == 2)
		return 0;
	*out = &scan->entries[scan->taken];
	return 1;
}

/* ---- rows ---- */

static void set_number(struct engine_batch *batch, unsigned column, uint32_t row, int64_t value)
{
	((int64_t *)engine_batch_values(batch, column))[row] = value;
}

/* A number that is not there when `known` is false. */
static void set_known(struct engine_batch *batch, unsigned column, uint32_t row, bool known, int64_t value)
{
	if (known)
		set_number(batch, column, row, value);
	else
		engine_batch_null(batch, column, row);
}

static void set_day(struct engine_batch *batch, unsigned column, uint32_t row, int32_t day)
{
	if (day == DAY_MAX)
		engine_batch_null(batch, column, row);
	else
		((int32_t *)engine_batch_values(batch, column))[row] = day;
}

static void set_id(const struct accounts *accounts, struct engine_batch *batch, uint32_t row,
		   const struct customer_id *id)
{
	if (accounts->deployment->config->customer_id == CUSTOMER_ID_TEXT)
		engine_batch_text(batch, 0, row, id->text);
	else
		set_number(batch, 0, row, id->number);
}

static struct account_head head_of(const struct entry *entry)
{
	struct account_head head;
	memcpy(&head, entry->record.data, sizeof(head));
	return head;
}

static struct ledger_balance balance_of(const struct entry *entry, unsigned ledger)
{
	struct ledger_balance balance;
	memcpy(&balance, entry->record.data + sizeof(struct account_head) + ledger * sizeof(balance), sizeof(balance));
	return balance;
}

enum account_column {
	ACCOUNT_ID,
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
	N_ACCOUNT_COLUMNS,
};

static bool put_account(const struct accounts *accounts, struct engine_batch *batch, uint32_t row,
			const struct entry *entry)
{
	const struct programme *const programme = accounts->programme;
	const struct account_head head = head_of(entry);
	const struct ledger_balance first = balance_of(entry, 0);
	const struct tier_rules *const tiers = &programme->tiers;
	const bool has_orders = head.totals.orders > 0;
	set_id(accounts, batch, row, &entry->id);
	set_number(batch, ACCOUNT_EVENTS, row, head.totals.events);
	set_number(batch, ACCOUNT_ORDERS, row, head.totals.orders);
	set_number(batch, ACCOUNT_VISITS, row, head.totals.visits);
	set_number(batch, ACCOUNT_SPEND, row, head.totals.spend_minor);
	set_number(batch, ACCOUNT_BALANCE, row, first.balance.balance_milli);
	set_number(batch, ACCOUNT_EARNED, row, first.balance.issued_milli - first.balance.reversed_milli);
	set_number(batch, ACCOUNT_REDEEMED, row, first.balance.redeemed_milli);
	set_number(batch, ACCOUNT_EXPIRED, row, first.balance.expired_milli);
	set_number(batch, ACCOUNT_PENDING, row, first.balance.pending_milli);
	set_number(batch, ACCOUNT_EXPIRING, row, first.expiring_milli);
	if (head.tier.level < tiers->n_levels)
		engine_batch_text(batch, ACCOUNT_TIER, row, slice_of(tiers->levels[head.tier.level].name));
	else
		engine_batch_null(batch, ACCOUNT_TIER, row);
	set_day(batch, ACCOUNT_VALID_TO, row, tiers->n_levels ? head.tier.review_day : DAY_MAX);
	/* Nothing is next at the top. */
	set_known(batch, ACCOUNT_TO_NEXT, row, head.tier.level + 1 < tiers->n_levels, head.to_next_milli);
	set_known(batch, ACCOUNT_FIRST, row, has_orders, head.totals.first_us);
	set_known(batch, ACCOUNT_LAST, row, has_orders, head.totals.last_us);
	set_known(batch, ACCOUNT_SINCE_LAST, row, has_orders,
		  (int64_t)accounts->day - tz_local_day(programme->timezone, head.totals.last_us));
	set_number(batch, ACCOUNT_WINDOW_VISITS, row, head.totals.window_visits);
	set_number(batch, ACCOUNT_WINDOW_SPEND, row, head.totals.window_spend_minor);
	if (entry->favourite.len)
		engine_batch_text(batch, ACCOUNT_FAVOURITE, row, entry->favourite);
	else
		engine_batch_null(batch, ACCOUNT_FAVOURITE, row);
	return true;
}

/* Rows of a scan that has a row an entry, or none. `put` says whether it has. */
static int fill_entries(const struct accounts *accounts, void *scan, struct engine_batch *batch, uint32_t *rows,
			bool (*put)(const struct accounts *, struct engine_batch *, uint32_t, const struct entry *),
			struct error *err)
{
	uint32_t row = 0;
	while (row < ENGINE_BATCH_ROWS) {
		const struct entry *entry;
		const int rc = next_entry(scan, &entry, err);
		if (rc < 0)
			return rc;
		if (rc == 0)
			break;
		row += put(accounts, batch, row, entry);
	}
	*rows = row;
	return 0;
}

static int fill_accounts(void *context, void *state, struct engine_batch *batch, uint32_t *rows, struct error *err)
{
	return fill_entries(context, state, batch, rows, put_account, err);
}

enum balance_column {
	BALANCE_ID,
	BALANCE_LEDGER,
	BALANCE_BALANCE,
	BALANCE_PENDING,
	BALANCE_DEBT,
	BALANCE_EARNED,
	BALANCE_REDEEMED,
	BALANCE_EXPIRED,
	BALANCE_EXPIRING,
	BALANCE_NEXT_EXPIRY,
	N_BALANCE_COLUMNS,
};

static void put_balance(const struct accounts *accounts, struct engine_batch *batch, uint32_t row,
			const struct entry *entry, unsigned ledger)
{
	const struct ledger_balance balance = balance_of(entry, ledger);
	set_id(accounts, batch, row, &entry->id);
	engine_batch_text(batch, BALANCE_LEDGER, row, slice_of(accounts->programme->ledgers[ledger].name));
	set_number(batch, BALANCE_BALANCE, row, balance.balance.balance_milli);
	set_number(batch, BALANCE_PENDING, row, balance.balance.pending_milli);
	set_number(batch, BALANCE_DEBT, row, balance.balance.debt_milli);
	set_number(batch, BALANCE_EARNED, row, balance.balance.issued_milli - balance.balance.reversed_milli);
	set_number(batch, BALANCE_REDEEMED, row, balance.balance.redeemed_milli);
	set_number(batch, BALANCE_EXPIRED, row, balance.balance.expired_milli);
	set_number(batch, BALANCE_EXPIRING, row, balance.expiring_milli);
	set_day(batch, BALANCE_NEXT_EXPIRY, row, balance.balance.next_expiry_day);
}

static int fill_balances(void *context, void *state, struct engine_batch *batch, uint32_t *rows, struct error *err)
{
	const struct accounts *const accounts = context;
	struct scan *const scan = state;
	uint32_t row = 0;
	for (; row < ENGINE_BATCH_ROWS; row++) {
		if (scan->ledger == accounts->programme->n_ledgers) {
			const struct entry *entry;
			const int rc = next_entry(scan, &entry, err);
			if (rc < 0)
				return rc;
			if (rc == 0)
				break;
			scan->ledger = 0;
		}
		put_balance(accounts, batch, row, &scan->entries[scan->taken], scan->ledger++);
	}
	*rows = row;
	return 0;
}

static bool put_state(const struct accounts *accounts, struct engine_batch *batch, uint32_t row,
		      const struct entry *entry)
{
	set_id(accounts, batch, row, &entry->id);
	engine_batch_text(batch, 1, row, entry->record);
	engine_batch_text(batch, 2, row, entry->items);
	return true;
}

static int fill_states(void *context, void *state, struct engine_batch *batch, uint32_t *rows, struct error *err)
{
	return fill_entries(context, state, batch, rows, put_state, err);
}

static bool put_favourite(const struct accounts *accounts, struct engine_batch *batch, uint32_t row,
			  const struct entry *entry)
{
	if (!entry->favourite.len)
		return false;
	set_id(accounts, batch, row, &entry->id);
	engine_batch_text(batch, 1, row, entry->favourite);
	return true;
}

static int fill_favourites(void *context, void *state, struct engine_batch *batch, uint32_t *rows, struct error *err)
{
	return fill_entries(context, state, batch, rows, put_favourite, err);
}

/* The first column is the customer's id, of the deployment's type. */

static const struct engine_column ACCOUNT_COLUMNS[N_ACCOUNT_COLUMNS] = {
	[ACCOUNT_ID] = {"cust_id", ENGINE_BIGINT},
	[ACCOUNT_EVENTS] = {"events", ENGINE_BIGINT},
	[ACCOUNT_ORDERS] = {"orders", ENGINE_BIGINT},
	[ACCOUNT_VISITS] = {"visits", ENGINE_BIGINT},
	[ACCOUNT_SPEND] = {"spend", ENGINE_DECIMAL_18_2},
	[ACCOUNT_BALANCE] = {"points_balance", ENGINE_DECIMAL_18_3},
	[ACCOUNT_EARNED] = {"points_earned", ENGINE_DECIMAL_18_3},
	[ACCOUNT_REDEEMED] = {"points_redeemed", ENGINE_DECIMAL_18_3},
	[ACCOUNT_EXPIRED] = {"points_expired", ENGINE_DECIMAL_18_3},
	[ACCOUNT_PENDING] = {"points_pending", ENGINE_DECIMAL_18_3},
	[ACCOUNT_EXPIRING] = {"points_expiring_30d", ENGINE_DECIMAL_18_3},
	[ACCOUNT_TIER] = {"tier", ENGINE_VARCHAR},
	[ACCOUNT_VALID_TO] = {"tier_valid_to", ENGINE_DATE},
	[ACCOUNT_TO_NEXT] = {"to_next_tier", ENGINE_DECIMAL_18_3},
	[ACCOUNT_FIRST] = {"first_order", ENGINE_TIMESTAMP},
	[ACCOUNT_LAST] = {"last_order", ENGINE_TIMESTAMP},
	[ACCOUNT_SINCE_LAST] = {"days_since_order", ENGINE_BIGINT},
	[ACCOUNT_WINDOW_VISITS] = {"window_visits", ENGINE_BIGINT},
	[ACCOUNT_WINDOW_SPEND] = {"window_spend", ENGINE_DECIMAL_18_2},
	[ACCOUNT_FAVOURITE] = {"favourite", ENGINE_VARCHAR},
};

static const struct engine_column BALANCE_COLUMNS[N_BALANCE_COLUMNS] = {
	[BALANCE_ID] = {"cust_id", ENGINE_BIGINT},
	[BALANCE_LEDGER] = {"ledger", ENGINE_VARCHAR},
	[BALANCE_BALANCE] = {"balance", ENGINE_DECIMAL_18_3},
	[BALANCE_PENDING] = {"pending", ENGINE_DECIMAL_18_3},
	[BALANCE_DEBT] = {"debt", ENGINE_DECIMAL_18_3},
	[BALANCE_EARNED] = {"earned", ENGINE_DECIMAL_18_3},
	[BALANCE_REDEEMED] = {"redeemed", ENGINE_DECIMAL_18_3},
	[BALANCE_EXPIRED] = {"expired", ENGINE_DECIMAL_18_3},
	[BALANCE_EXPIRING] = {"expiring_30d", ENGINE_DECIMAL_18_3},
	[BALANCE_NEXT_EXPIRY] = {"next_expiry", ENGINE_DATE},
};

static const struct engine_column STATE_COLUMNS[] = {
	{"cust_id", ENGINE_BIGINT}, {"state", ENGINE_BLOB}, {"items", ENGINE_BLOB}};

static const struct engine_column FAVOURITE_COLUMNS[] = {{"cust_id", ENGINE_BIGINT}, {"favourite", ENGINE_VARCHAR}};

static const struct engine_source SOURCES[] = {
	{.name = "kernel_accounts",
	 .columns = ACCOUNT_COLUMNS,
	 .n_columns = N_ACCOUNT_COLUMNS,
	 .start = start_accounts,
	 .fill = fill_accounts},
	{.name = "kernel_balances",
	 .columns = BALANCE_COLUMNS,
	 .n_columns = N_BALANCE_COLUMNS,
	 .start = start_accounts,
	 .fill = fill_balances},
	{.name = "kernel_states", .columns = STATE_COLUMNS, .n_columns = 3, .start = start_states, .fill = fill_states},
	{.name = "kernel_favourites",
	 .columns = FAVOURITE_COLUMNS,
	 .n_columns = 2,
	 .start = start_states,
	 .fill = fill_favourites},
};

int accounts_register(const struct accounts *accounts, struct engine *engine, struct error *err)
{
	const bool is_text = accounts->deployment->config->customer_id == CUSTOMER_ID_TEXT;
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < sizeof(SOURCES) / sizeof(SOURCES[0]); i++) {
		struct engine_column columns[N_ACCOUNT_COLUMNS];
		struct engine_source source = SOURCES[i];
		static_assert((int)N_BALANCE_COLUMNS <= (int)N_ACCOUNT_COLUMNS, "columns has room for each");
		memcpy(columns, source.columns, source.n_columns * sizeof(columns[0]));
		columns[0].type = is_text ? ENGINE_VARCHAR : ENGINE_BIGINT;
		source.columns = columns;
		source.stop = close_scan;
		source.context = (void *)(uintptr_t)accounts;
		rc = engine_register_source(engine, &source, err);
	}
	return rc;
}
