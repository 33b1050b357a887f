#include "batch/accounts.h"

#include "base/bytes.h"
#include "fold/account_row.h"
#include "fold/items.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A record of folding->accounts, as it is in memory: it does not outlive the process. Behind it stand the ledgers' balances,
 * the bytes of a text id, and those of the favourite. */
struct account_head {
	int64_t number;
	struct account_summary summary;
	size_t text_len;
	size_t favourite_len;
};

int accounts_encode(const struct programme *programme, const struct customer_id *id, const struct account *account,
		    struct slice favourite, struct buf *out)
{
	struct account_head head;
	struct balance_summary balances[PROGRAMME_LEDGERS_MAX];
	/* Padding, too: it is written to a file. */
	memset(&head, 0, sizeof(head));
	head.number = id->number;
	head.text_len = id->text.len;
	head.favourite_len = favourite.len;
	int rc = account_summarize(programme, account, &head.summary, balances);
	if (rc < 0)
		return rc;
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
	const size_t balances_len = accounts->programme->n_ledgers * sizeof(struct balance_summary);
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

static void set_values(struct engine_batch *batch, uint32_t row, const struct fold_column *columns,
		       const struct fold_value *values, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const unsigned column = i + 1; /* behind the customer */
		if (values[i].is_null)
			engine_batch_null(batch, column, row);
		else if (columns[i].type == FOLD_TEXT)
			engine_batch_text(batch, column, row, values[i].text);
		else if (columns[i].type == FOLD_DATE)
			((int32_t *)engine_batch_values(batch, column))[row] = (int32_t)values[i].number;
		else
			set_number(batch, column, row, values[i].number);
	}
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

static struct balance_summary balance_of(const struct entry *entry, unsigned ledger)
{
	struct balance_summary balance;
	memcpy(&balance, entry->record.data + sizeof(struct account_head) + ledger * sizeof(balance), sizeof(balance));
	return balance;
}

static bool put_account(const struct accounts *accounts, struct engine_batch *batch, uint32_t row,
			const struct entry *entry)
{
	const struct account_head head = head_of(entry);
	const struct balance_summary first = balance_of(entry, 0);
	struct fold_value values[ACCOUNT_COLUMNS];
	account_row_of(accounts->programme, accounts->day, &head.summary, &first, entry->favourite, values);
	set_id(accounts, batch, row, &entry->id);
	set_values(batch, row, ACCOUNT_COLUMN, values, ACCOUNT_COLUMNS);
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

static void put_balance(const struct accounts *accounts, struct engine_batch *batch, uint32_t row,
			const struct entry *entry, unsigned ledger)
{
	const struct balance_summary balance = balance_of(entry, ledger);
	struct fold_value values[BALANCE_COLUMNS];
	balance_row_of(accounts->programme, ledger, &balance, values);
	set_id(accounts, batch, row, &entry->id);
	set_values(batch, row, BALANCE_COLUMN, values, BALANCE_COLUMNS);
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

/* Columns behind the customer's id. */

static const struct fold_column STATE_COLUMNS[] = {{"state", FOLD_BYTES}, {"items", FOLD_BYTES}};
static const struct fold_column FAVOURITE_COLUMNS[] = {{"favourite", FOLD_TEXT}};

static const struct {
	const char *name;
	const struct fold_column *columns;
	unsigned n_columns;
	int (*start)(void *context, void **state, struct error *err);
	int (*fill)(void *context, void *state, struct engine_batch *batch, uint32_t *rows, struct error *err);
} SOURCES[] = {
	{"kernel_accounts", ACCOUNT_COLUMN, ACCOUNT_COLUMNS, start_accounts, fill_accounts},
	{"kernel_balances", BALANCE_COLUMN, BALANCE_COLUMNS, start_accounts, fill_balances},
	{"kernel_states", STATE_COLUMNS, 2, start_states, fill_states},
	{"kernel_favourites", FAVOURITE_COLUMNS, 1, start_states, fill_favourites},
};

static const enum engine_type TYPES[] = {
	[FOLD_BIGINT] = ENGINE_BIGINT,
	[FOLD_INTEGER] = ENGINE_INTEGER,
	[FOLD_DATE] = ENGINE_DATE,
	[FOLD_TIMESTAMP] = ENGINE_TIMESTAMP,
	[FOLD_DECIMAL_18_2] = ENGINE_DECIMAL_18_2,
	[FOLD_DECIMAL_18_3] = ENGINE_DECIMAL_18_3,
	[FOLD_TEXT] = ENGINE_VARCHAR,
	[FOLD_BYTES] = ENGINE_BLOB,
};

int accounts_register(const struct accounts *accounts, struct engine *engine, struct error *err)
{
	const bool is_text = accounts->deployment->config->customer_id == CUSTOMER_ID_TEXT;
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < sizeof(SOURCES) / sizeof(SOURCES[0]); i++) {
		struct engine_column columns[1 + ACCOUNT_COLUMNS];
		static_assert((int)BALANCE_COLUMNS <= (int)ACCOUNT_COLUMNS, "columns has room for each");
		columns[0] = (struct engine_column){"cust_id", is_text ? ENGINE_VARCHAR : ENGINE_BIGINT};
		for (unsigned j = 0; j < SOURCES[i].n_columns; j++)
			columns[1 + j] =
				(struct engine_column){SOURCES[i].columns[j].name, TYPES[SOURCES[i].columns[j].type]};
		const struct engine_source source = {
			.name = SOURCES[i].name,
			.columns = columns,
			.n_columns = 1 + SOURCES[i].n_columns,
			.start = SOURCES[i].start,
			.fill = SOURCES[i].fill,
			.stop = close_scan,
			.context = (void *)(uintptr_t)accounts,
		};
		rc = engine_register_source(engine, &source, err);
	}
	return rc;
}
