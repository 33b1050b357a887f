#include "batch/fold.h"

#include <stdlib.h>
#include <xxhash.h>

#define EMPTY          UINT32_MAX
#define SLOTS_BITS_MIN 10u
#define SLOTS_MIN      (1u << SLOTS_BITS_MIN)
#define ACCOUNTS_MAX   (UINT32_MAX / 4)
/* How many rows ahead the account of a row is asked from memory: a random access costs more than a row's work. */
#define PREFETCH_ROWS 16u

/* A customer's id: the number, or where its bytes begin in fold->texts. */
struct member {
	union {
		int64_t number;
		size_t text_at;
	};
	uint32_t text_len;
};

struct fold {
	const struct programme *programme;
	enum customer_id_type id_type;
	struct member *members;
	struct account *accounts;
	uint32_t count;
	uint32_t cap;
	uint32_t *slots; /* open addressing, linear probing; index of the member */
	uint32_t slots_mask;
	uint32_t slots_bits; /* slots_mask is 2^slots_bits - 1 */
	struct buf texts;
};

int fold_new(const struct programme *programme, enum customer_id_type id_type, struct fold **out, struct error *err)
{
	struct fold *const fold = calloc(1, sizeof(*fold));
	uint32_t *const slots = malloc(SLOTS_MIN * sizeof(*slots));
	if (!fold || !slots) {
		free(fold);
		free(slots);
		return error_no_memory(err, SLOTS_MIN * sizeof(*slots));
	}
	memset(slots, 0xff, SLOTS_MIN * sizeof(*slots));
	fold->programme = programme;
	fold->id_type = id_type;
	fold->slots = slots;
	fold->slots_mask = SLOTS_MIN - 1;
	fold->slots_bits = SLOTS_BITS_MIN;
	*out = fold;
	return 0;
}

void fold_free(struct fold *fold)
{
	if (!fold)
		return;
	for (uint32_t i = 0; i < fold->count; i++)
		account_release(&fold->accounts[i]);
	free(fold->members);
	free(fold->accounts);
	free(fold->slots);
	buf_release(&fold->texts);
	free(fold);
}

/* Fibonacci hashing: the upper bits of the product spread runs of numbers evenly over the table. */
static uint32_t hash_number(const struct fold *fold, int64_t number)
{
	return (uint32_t)(((uint64_t)number * UINT64_C(0x9E3779B97F4A7C15)) >> (64 - fold->slots_bits));
}

static uint32_t hash_id(const struct fold *fold, const struct customer_id *id)
{
	if (fold->id_type == CUSTOMER_ID_INTEGER)
		return hash_number(fold, id->number);
	return (uint32_t)(XXH3_64bits(id->text.data, id->text.len) >> (64 - fold->slots_bits));
}

static bool is_member(const struct fold *fold, const struct member *member, const struct customer_id *id)
{
	if (fold->id_type == CUSTOMER_ID_INTEGER)
		return member->number == id->number;
	return member->text_len == id->text.len &&
	       memcmp(fold->texts.data + member->text_at, id->text.data, id->text.len) == 0;
}

static void member_id(const struct fold *fold, const struct member *member, struct customer_id *id)
{
	*id = (struct customer_id){0};
	if (fold->id_type == CUSTOMER_ID_INTEGER)
		id->number = member->number;
	else
		id->text = (struct slice){fold->texts.data + member->text_at, member->text_len};
}

static int grow_slots(struct fold *fold, struct error *err)
{
	const size_t n = ((size_t)fold->slots_mask + 1) * 2;
	uint32_t *const slots = malloc(n * sizeof(*slots));
	if (!slots)
		return error_no_memory(err, n * sizeof(*slots));
	memset(slots, 0xff, n * sizeof(*slots));
	const uint32_t mask = (uint32_t)(n - 1);
	fold->slots_bits++;
	for (uint32_t i = 0; i < fold->count; i++) {
		struct customer_id id;
		member_id(fold, &fold->members[i], &id);
		uint32_t at = hash_id(fold, &id);
		while (slots[at] != EMPTY)
			at = (at + 1) & mask;
		slots[at] = i;
	}
	free(fold->slots);
	fold->slots = slots;
	fold->slots_mask = mask;
	return 0;
}

static int grow_members(struct fold *fold, struct error *err)
{
	const size_t cap = fold->cap ? (size_t)fold->cap * 2 : SLOTS_MIN;
	if (cap > ACCOUNTS_MAX)
		return error_set(err, ERROR_LIMIT, "more than %u customers do not fit into one fold", ACCOUNTS_MAX);
	struct member *const members = realloc(fold->members, cap * sizeof(*members));
	if (members)
		fold->members = members;
	struct account *const accounts = realloc(fold->accounts, cap * sizeof(*accounts));
	if (accounts)
		fold->accounts = accounts;
	if (!members || !accounts)
		return error_no_memory(err, cap * sizeof(*accounts));
	fold->cap = (uint32_t)cap;
	return 0;
}

static int add_member(struct fold *fold, const struct customer_id *id, uint32_t slot, struct error *err)
{
	int rc = fold->count == fold->cap ? grow_members(fold, err) : 0;
	if (rc < 0)
		return rc;
	struct member *const member = &fold->members[fold->count];
	if (fold->id_type == CUSTOMER_ID_INTEGER) {
		*member = (struct member){.number = id->number};
	} else {
		*member = (struct member){.text_at = fold->texts.len, .text_len = (uint32_t)id->text.len};
		if (buf_append(&fold->texts, id->text.data, id->text.len) < 0)
			return error_no_memory(err, fold->texts.len * 2);
	}
	account_init(&fold->accounts[fold->count]);
	fold->slots[slot] = fold->count++;
	/* At most half full: a probe more is a cache miss more. */
	if (fold->count > fold->slots_mask / 2)
		rc = grow_slots(fold, err);
	return rc;
}

int fold_order(struct fold *fold, const struct customer_id *id, int64_t time_us, int64_t eligible_minor,
	       struct error *err)
{
	uint32_t at = hash_id(fold, id);
	while (fold->slots[at] != EMPTY && !is_member(fold, &fold->members[fold->slots[at]], id))
		at = (at + 1) & fold->slots_mask;
	uint32_t member = fold->slots[at];
	if (member == EMPTY) {
		member = fold->count;
		const int rc = add_member(fold, id, at, err);
		if (rc < 0)
			return rc;
	}
	return account_apply_order(&fold->accounts[member], fold->programme, time_us, eligible_minor, NULL, err);
}

/* The order that the rows read so far add up to. */
struct open_order {
	bool open;
	struct customer_id id;
	struct buf text; /* keeps a text id beyond its chunk */
	int64_t time_us;
	int64_t amount_minor;
	int32_t line_no;
};

static int close_order(struct fold *fold, struct open_order *order, struct error *err)
{
	if (!order->open)
		return 0;
	order->open = false;
	return fold_order(fold, &order->id, order->time_us, order->amount_minor, err);
}

static int open_order(const struct fold *fold, struct open_order *order, const struct customer_id *id, int64_t time_us,
		      int64_t amount_minor, struct error *err)
{
	order->open = true;
	order->id = *id;
	order->time_us = time_us;
	order->amount_minor = amount_minor;
	order->line_no = 1;
	if (fold->id_type == CUSTOMER_ID_TEXT) {
		buf_clear(&order->text);
		if (buf_append(&order->text, id->text.data, id->text.len) < 0)
			return error_no_memory(err, id->text.len);
		order->id.text.data = order->text.data;
	}
	return 0;
}

/* Asks for the slot and the account of a row that comes soon; a wrong guess costs nothing. Inlined by force: GCC takes a
 * function that only prefetches for one without effect, and drops its calls. */
static inline __attribute__((always_inline)) void prefetch(const struct fold *fold, const int64_t *ids, uint32_t row,
							   uint32_t rows)
{
	if (row + 2 * PREFETCH_ROWS < rows)
		__builtin_prefetch(&fold->slots[hash_number(fold, ids[row + 2 * PREFETCH_ROWS])]);
	if (row + PREFETCH_ROWS < rows) {
		const uint32_t member = fold->slots[hash_number(fold, ids[row + PREFETCH_ROWS])];
		if (member != EMPTY) {
			__builtin_prefetch(&fold->accounts[member], 1);
			__builtin_prefetch((const char *)&fold->accounts[member] + 64, 1);
			__builtin_prefetch(&fold->members[member]);
		}
	}
}

static int fold_rows(struct fold *fold, struct engine_scan *scan, uint32_t rows, struct open_order *order,
		     struct error *err)
{
	const bool integer = fold->id_type == CUSTOMER_ID_INTEGER;
	const int64_t *const ids = integer ? engine_scan_values(scan, 0) : NULL;
	const int32_t *const line_nos = engine_scan_values(scan, 1);
	const int64_t *const times = engine_scan_values(scan, 2);
	const int64_t *const amounts = engine_scan_values(scan, 3);
	for (uint32_t row = 0; row < rows; row++) {
		struct customer_id id = {0};
		if (integer) {
			prefetch(fold, ids, row, rows);
			id.number = ids[row];
		} else {
			id.text = engine_scan_text(scan, 0, row);
		}
		int rc;
		if (line_nos[row] == 1) {
			rc = close_order(fold, order, err);
			if (rc == 0)
				rc = open_order(fold, order, &id, times[row], amounts[row], err);
		} else if (!order->open || line_nos[row] != order->line_no + 1 || times[row] != order->time_us) {
			rc = error_set(err, ERROR_CORRUPT,
				       "transactions_cln has line %d of an order behind line %d: a partition was "
				       "rewritten in another order, or a file is missing",
				       line_nos[row], order->open ? order->line_no : 0);
		} else {
			order->line_no++;
			rc = __builtin_add_overflow(order->amount_minor, amounts[row], &order->amount_minor)
				     ? error_set(err, ERROR_OVERFLOW, "the amounts of an order do not fit into 64 bits")
				     : 0;
		}
		if (rc < 0)
			return rc;
	}
	return 0;
}

int fold_scan(struct fold *fold, struct engine *engine, const char *sql, struct error *err)
{
	struct engine_scan *scan = NULL;
	int rc = engine_scan_open(engine, sql, &scan, err);
	if (rc < 0)
		return rc;
	struct open_order order = {0};
	uint32_t rows = 0;
	while ((rc = engine_scan_next(scan, &rows, err)) == 0 && rows > 0)
		if ((rc = fold_rows(fold, scan, rows, &order, err)) < 0)
			break;
	if (rc == 0)
		rc = close_order(fold, &order, err);
	buf_release(&order.text);
	engine_scan_close(scan);
	return rc;
}

uint32_t fold_count(const struct fold *fold)
{
	return fold->count;
}

void fold_account(const struct fold *fold, uint32_t i, struct customer_id *id, const struct account **account)
{
	member_id(fold, &fold->members[i], id);
	*account = &fold->accounts[i];
}

static int compare_members(const void *a, const void *b, void *context)
{
	const struct fold *const fold = context;
	const struct member *const x = &fold->members[*(const uint32_t *)a];
	const struct member *const y = &fold->members[*(const uint32_t *)b];
	if (fold->id_type == CUSTOMER_ID_INTEGER)
		return (x->number > y->number) - (x->number < y->number);
	const uint32_t common = x->text_len < y->text_len ? x->text_len : y->text_len;
	const int order = memcmp(fold->texts.data + x->text_at, fold->texts.data + y->text_at, common);
	return order ? order : (x->text_len > y->text_len) - (x->text_len < y->text_len);
}

int fold_sort(struct fold *fold, struct error *err)
{
	const size_t n = fold->count;
	if (n == 0)
		return 0;
	uint32_t *const order = malloc(n * sizeof(*order));
	struct member *const members = malloc(fold->cap * sizeof(*members));
	struct account *const accounts = malloc(fold->cap * sizeof(*accounts));
	if (!order || !members || !accounts) {
		free(order);
		free(members);
		free(accounts);
		return error_no_memory(err, n * sizeof(*accounts));
	}
	for (uint32_t i = 0; i < n; i++)
		order[i] = i;
	qsort_r(order, n, sizeof(*order), compare_members, fold);
	for (uint32_t i = 0; i < n; i++) {
		members[i] = fold->members[order[i]];
		accounts[i] = fold->accounts[order[i]];
	}
	memset(fold->slots, 0xff, ((size_t)fold->slots_mask + 1) * sizeof(*fold->slots));
	free(fold->members);
	free(fold->accounts);
	free(order);
	fold->members = members;
	fold->accounts = accounts;
	for (uint32_t i = 0; i < n; i++) {
		struct customer_id id;
		member_id(fold, &members[i], &id);
		uint32_t at = hash_id(fold, &id);
		while (fold->slots[at] != EMPTY)
			at = (at + 1) & fold->slots_mask;
		fold->slots[at] = i;
	}
	return 0;
}

const struct engine_column ACCOUNT_COLUMNS_INTEGER[8] = {
	{"cust_id", ENGINE_BIGINT},        {"orders", ENGINE_BIGINT},        {"visits", ENGINE_BIGINT},
	{"spend", ENGINE_DECIMAL_18_2},    {"points", ENGINE_DECIMAL_18_3},  {"points_earned", ENGINE_DECIMAL_18_3},
	{"first_order", ENGINE_TIMESTAMP}, {"last_order", ENGINE_TIMESTAMP},
};
const struct engine_column ACCOUNT_COLUMNS_TEXT[8] = {
	{"cust_id", ENGINE_VARCHAR},       {"orders", ENGINE_BIGINT},        {"visits", ENGINE_BIGINT},
	{"spend", ENGINE_DECIMAL_18_2},    {"points", ENGINE_DECIMAL_18_3},  {"points_earned", ENGINE_DECIMAL_18_3},
	{"first_order", ENGINE_TIMESTAMP}, {"last_order", ENGINE_TIMESTAMP},
};

static void set_int64(struct engine_batch *batch, unsigned column, uint32_t row, int64_t value)
{
	int64_t *const values = engine_batch_values(batch, column);
	if (values)
		values[row] = value;
}

void account_row(struct engine_batch *batch, uint32_t row, const struct customer_id *id, const struct account *account,
		 enum customer_id_type id_type)
{
	if (id_type == CUSTOMER_ID_INTEGER)
		set_int64(batch, 0, row, id->number);
	else
		engine_batch_text(batch, 0, row, id->text);
	set_int64(batch, 1, row, account->orders);
	set_int64(batch, 2, row, account_visits(account));
	set_int64(batch, 3, row, account->spend_minor);
	set_int64(batch, 4, row, account->points_milli);
	set_int64(batch, 5, row, account->points_earned_milli);
	set_int64(batch, 6, row, account->first_us);
	set_int64(batch, 7, row, account->last_us);
}

/* A statement may scan the accounts more than once, and at the same time: each scan has a position of its own. */
static int source_start(void *context, void **state, struct error *err)
{
	(void)context;
	uint32_t *const at = calloc(1, sizeof(*at));
	if (!at)
		return error_no_memory(err, sizeof(*at));
	*state = at;
	return 0;
}

static int source_fill(void *context, void *state, struct engine_batch *batch, uint32_t *rows, struct error *err)
{
	(void)err;
	const struct fold *const fold = context;
	uint32_t *const at = state;
	uint32_t row = 0;
	for (; row < ENGINE_BATCH_ROWS && *at < fold->count; row++, (*at)++) {
		struct customer_id id;
		const struct account *account;
		fold_account(fold, *at, &id, &account);
		account_row(batch, row, &id, account, fold->id_type);
	}
	*rows = row;
	return 0;
}

static void source_stop(void *context, void *state)
{
	(void)context;
	free(state);
}

int fold_register(struct fold *fold, struct engine *engine, struct error *err)
{
	const struct engine_source source = {
		.name = "fold_accounts",
		.columns = fold->id_type == CUSTOMER_ID_INTEGER ? ACCOUNT_COLUMNS_INTEGER : ACCOUNT_COLUMNS_TEXT,
		.n_columns = 8,
		.start = source_start,
		.fill = source_fill,
		.stop = source_stop,
		.context = fold,
	};
	return engine_register_source(engine, &source, err);
}
