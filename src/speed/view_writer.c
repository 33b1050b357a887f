#include "speed/view_writer.h"

#include "batch/committed.h"
#include "batch/fold.h"
#include "loyalty/account.h"
#include "store/block.h"

#include <stdlib.h>

/* An order as the fold needs it. */
struct entry {
	union {
		int64_t number;
		const char *text; /* in the block */
	};
	int64_t time_us;
	int64_t eligible_minor;
	uint32_t text_len;
};

struct entries {
	struct entry *items;
	size_t n;
	size_t cap;
};

int view_writer_open_view(const struct deployment *deployment, bool read_only, struct view **out, struct error *err)
{
	const struct view_options options = {
		.map_gib = deployment->config->view_map_gib,
		.id_type = deployment->config->customer_id == CUSTOMER_ID_TEXT ? VIEW_ID_TEXT : VIEW_ID_INTEGER,
		.read_only = read_only,
	};
	return view_open(deployment->view_dir, &options, out, err);
}

int view_writer_is_current(struct view *view, const struct programme *programme, bool *current, struct error *err)
{
	char rules[PROGRAMME_RULES_MAX];
	const struct slice now = {rules, programme_rules(programme, rules)};
	struct slice then;
	const int rc = view_rules(view, &then, err);
	if (rc == 0)
		*current = slice_equal(then, now);
	return rc;
}

static int add_entry(struct entries *entries, const struct event *event, struct error *err)
{
	if (event->customer.guest)
		return 0;
	if (entries->n == entries->cap) {
		const size_t cap = entries->cap ? entries->cap * 2 : 4096;
		struct entry *const items = realloc(entries->items, cap * sizeof(*items));
		if (!items)
			return error_no_memory(err, cap * sizeof(*items));
		entries->items = items;
		entries->cap = cap;
	}
	struct entry *const entry = &entries->items[entries->n];
	entry->time_us = event->time_us;
	entry->text_len = (uint32_t)event->customer.text.len;
	if (entry->text_len)
		entry->text = event->customer.text.data;
	else
		entry->number = event->customer.number;
	const int rc = event_eligible(event, &entry->eligible_minor, err);
	if (rc == 0)
		entries->n++;
	return rc;
}

static int read_block(struct journal_reader *reader, uint64_t seq, struct entries *entries, struct error *err)
{
	struct slice bytes;
	struct block_reader block = {0};
	int rc = journal_reader_block(reader, seq, &bytes, err);
	if (rc == 0)
		rc = block_reader_open(&block, bytes, err);
	if (rc < 0)
		return error_prefix(err, "block %llu of the journal", (unsigned long long)seq);
	struct block_record record;
	while ((rc = block_reader_next(&block, &record, err)) == 1) {
		if (record.kind == BLOCK_EVENT)
			rc = add_entry(entries, &record.event, err);
		if (rc < 0)
			break;
	}
	block_reader_release(&block);
	return rc;
}

static int compare_numbers(const void *a, const void *b)
{
	const struct entry *const x = a;
	const struct entry *const y = b;
	return (x->number > y->number) - (x->number < y->number);
}

static int compare_texts(const void *a, const void *b)
{
	const struct entry *const x = a;
	const struct entry *const y = b;
	const uint32_t common = x->text_len < y->text_len ? x->text_len : y->text_len;
	const int order = memcmp(x->text, y->text, common);
	return order ? order : (x->text_len > y->text_len) - (x->text_len < y->text_len);
}

/* Sorts by number with a radix sort of 16 bits a pass, skipping the passes in which all digits are alike: for a million ids
 * two passes instead of twenty comparisons an entry. Stable. */
static int sort_numbers(struct entries *entries, struct error *err)
{
	const size_t buckets = 65536;
	struct entry *from = entries->items;
	struct entry *to = malloc(entries->n * sizeof(*to));
	size_t *const starts = malloc(buckets * sizeof(*starts));
	if (!to || !starts) {
		free(to);
		free(starts);
		return error_no_memory(err, entries->n * sizeof(*to));
	}
	for (unsigned shift = 0; shift < 64; shift += 16) {
		/* The sign bit is flipped, so that negative numbers come first. */
		const uint64_t flip = UINT64_C(1) << 63;
		memset(starts, 0, buckets * sizeof(*starts));
		for (size_t i = 0; i < entries->n; i++)
			starts[((uint64_t)from[i].number ^ flip) >> shift & (buckets - 1)]++;
		if (starts[((uint64_t)from[0].number ^ flip) >> shift & (buckets - 1)] == entries->n)
			continue;
		size_t sum = 0;
		for (size_t i = 0; i < buckets; i++) {
			const size_t count = starts[i];
			starts[i] = sum;
			sum += count;
		}
		for (size_t i = 0; i < entries->n; i++)
			to[starts[((uint64_t)from[i].number ^ flip) >> shift & (buckets - 1)]++] = from[i];
		struct entry *const swap = from;
		from = to;
		to = swap;
	}
	free(starts);
	free(to);
	entries->items = from;
	entries->cap = entries->n;
	return 0;
}

static int read_account(struct view *view, const struct customer_id *id, struct account *account, struct error *err)
{
	struct slice record;
	struct error missing = {0};
	account_init(account);
	const int rc = view_account(view, id, &record, &missing);
	if (rc == ERROR_NOT_FOUND)
		return 0;
	if (rc < 0)
		return error_set(err, rc, "%s", missing.message);
	return account_decode(record, account, err);
}

/* Folds the entries of one customer into the account. */
static int write_account(struct view *view, const struct programme *programme, const struct entry *entries, size_t n,
			 struct buf *record, struct error *err)
{
	struct customer_id id = {0};
	if (entries->text_len)
		id.text = (struct slice){entries->text, entries->text_len};
	else
		id.number = entries->number;
	struct account account;
	int rc = read_account(view, &id, &account, err);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = account_apply_order(&account, programme, entries[i].time_us, entries[i].eligible_minor, NULL, err);
	buf_clear(record);
	if (rc == 0 && account_encode(&account, record) < 0)
		rc = error_no_memory(err, 128);
	if (rc == 0)
		rc = view_account_put(view, &id, (struct slice){record->data, record->len}, err);
	account_release(&account);
	return rc;
}

static int write_accounts(struct view *view, const struct deployment *deployment, struct entries *entries,
			  uint64_t offset, struct error *err)
{
	const bool text = deployment->config->customer_id == CUSTOMER_ID_TEXT;
	int (*const compare)(const void *, const void *) = text ? compare_texts : compare_numbers;
	int rc = 0;
	if (entries->n && text)
		qsort(entries->items, entries->n, sizeof(*entries->items), compare);
	else if (entries->n)
		rc = sort_numbers(entries, err);
	if (rc == 0)
		rc = view_write_begin(view, err);
	if (rc < 0)
		return rc;
	_cleanup_buf_ struct buf record = {0};
	for (size_t at = 0; rc == 0 && at < entries->n;) {
		const struct entry *const first = &entries->items[at];
		size_t n = 1;
		while (at + n < entries->n && compare(first, first + n) == 0)
			n++;
		rc = write_account(view, deployment->programme, first, n, &record, err);
		at += n;
	}
	if (rc < 0) {
		view_write_abort(view);
		return rc;
	}
	return view_write_commit(view, offset, err);
}

int view_writer_write(struct view *view, const struct deployment *deployment, struct journal_reader *reader,
		      uint64_t first, uint64_t next, struct error *err)
{
	struct entries entries = {0};
	int rc = 0;
	for (uint64_t seq = first; rc == 0 && seq < next; seq++)
		rc = read_block(reader, seq, &entries, err);
	if (rc == 0)
		rc = write_accounts(view, deployment, &entries, next, err);
	free(entries.items);
	return rc < 0 ? error_prefix(err, "writing the customer view") : 0;
}

static int write_fold(struct view *view, const struct programme *programme, struct fold *fold, uint64_t offset,
		      struct error *err)
{
	int rc = fold_sort(fold, err);
	if (rc == 0)
		rc = view_accounts_clear(view, err);
	if (rc < 0)
		return rc;
	char rules[PROGRAMME_RULES_MAX];
	rc = view_rules_set(view, (struct slice){rules, programme_rules(programme, rules)}, err);
	_cleanup_buf_ struct buf record = {0};
	for (uint32_t i = 0; rc == 0 && i < fold_count(fold); i++) {
		struct customer_id id;
		const struct account *account;
		fold_account(fold, i, &id, &account);
		buf_clear(&record);
		rc = account_encode(account, &record) < 0
			     ? error_no_memory(err, 128)
			     : view_account_put(view, &id, (struct slice){record.data, record.len}, err);
	}
	if (rc < 0) {
		view_write_abort(view);
		return rc;
	}
	return view_write_commit(view, offset, err);
}

int view_writer_rebuild(struct view *view, const struct deployment *deployment, struct journal_reader *reader,
			struct error *err)
{
	const struct config *const config = deployment->config;
	const struct engine_options options = {.memory_mib = config->engine_memory_mib,
					       .threads = config->engine_threads,
					       .tmp_dir = deployment->tmp_dir};
	_cleanup_buf_ struct buf sql = {0};
	struct engine *engine = NULL;
	struct fold *fold = NULL;
	uint64_t offset;
	unsigned n_files;
	int rc = journal_reader_offset(reader, TABLE_CONSUMER, &offset, err);
	if (rc == 0)
		rc = fold_new(deployment->programme, config->customer_id, &fold, err);
	if (rc == 0 && buf_append_text(&sql, "SELECT cust_id, line_no, odr_tms, odr_amt FROM read_parquet(") < 0)
		rc = error_no_memory(err, 64);
	if (rc == 0)
		rc = committed_transactions(deployment, offset, &sql, &n_files, err);
	if (rc == 0 && (buf_append_text(&sql, ") WHERE cust_id IS NOT NULL") < 0 || !buf_text(&sql)))
		rc = error_no_memory(err, sql.len);
	if (rc == 0 && n_files) {
		rc = engine_open(&options, &engine, err);
		if (rc == 0)
			rc = fold_scan(fold, engine, sql.data, err);
	}
	if (rc == 0)
		rc = write_fold(view, deployment->programme, fold, offset, err);
	engine_close(engine);
	fold_free(fold);
	return rc < 0 ? error_prefix(err, "making the customer view again") : 0;
}
