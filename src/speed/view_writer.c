#include "speed/view_writer.h"

#include "base/file.h"
#include "loyalty/record.h"
#include "speed/view_mend.h"
#include "store/block.h"

#include <assert.h>
#include <stdlib.h>

/* Adds to a record until it is settled: refunds look through what is open. Many enough, that the refund of an order of the same
 * batch seldom comes behind it, which would mark the account. */
#define SETTLE_EVERY 1024u

/* An event of the batch: whose it is, and where its fact is packed. */
struct entry {
	union {
		int64_t number;
		const char *text; /* in the block */
	};
	size_t fact_at;
	uint32_t text_len;
};

struct view_writer {
	const struct deployment *deployment;
	struct view *view;
	struct record *record;
	const struct id_list *only; /* whose events are taken; NULL: all */
	struct entry *entries;
	size_t n;
	size_t cap;
	struct buf packed;  /* the facts of the batch */
	struct fact *facts; /* of one customer */
	size_t facts_cap;
	struct buf bytes; /* of the record that is written */
};

static_assert(offsetof(struct fact, items) + sizeof((struct fact){0}.items) == sizeof(struct fact),
	      "the sums of items are a fact's last bytes");

int view_writer_open_view(const struct deployment *deployment, bool read_only, struct view **out, struct error *err)
{
	const struct view_options options = {
		.map_gib = deployment->config->view_map_gib,
		.id_type = deployment->config->customer_id == CUSTOMER_ID_TEXT ? VIEW_ID_TEXT : VIEW_ID_INTEGER,
		.read_only = read_only,
	};
	return view_open(deployment->view_dir, &options, out, err);
}

/* What is kept with the accounts: the hash's text, by which the programme is found again, and the rules themselves. */
#define HASH_BYTES (PROGRAMME_HASH_TEXT - 1)

static int identify(const struct programme *programme, struct buf *out, struct error *err)
{
	if (buf_append(out, programme->hash_text, HASH_BYTES) < 0 || programme_rules(programme, out) < 0)
		return error_no_memory(err, out->len * 2);
	return 0;
}

int view_writer_is_current(struct view *view, const struct programme *programme, bool *current, struct error *err)
{
	_cleanup_buf_ struct buf now = {0};
	struct slice then = {0};
	int rc = identify(programme, &now, err);
	if (rc == 0)
		rc = view_rules(view, &then, err);
	if (rc == 0)
		*current = slice_equal(then, (struct slice){now.data, now.len});
	return rc;
}

int view_writer_set_current(struct view *view, const struct programme *programme, struct error *err)
{
	_cleanup_buf_ struct buf rules = {0};
	const int rc = identify(programme, &rules, err);
	return rc < 0 ? rc : view_rules_set(view, (struct slice){rules.data, rules.len}, err);
}

static bool has_hash(struct slice rules)
{
	if (rules.len < HASH_BYTES)
		return false;
	for (size_t i = 0; i < HASH_BYTES; i++)
		if (!strchr("0123456789abcdef", rules.data[i]) || !rules.data[i])
			return false;
	return true;
}

int view_writer_other_hash(struct view *view, const struct programme *programme, char out[PROGRAMME_HASH_TEXT],
			   struct error *err)
{
	struct slice rules = {0};
	bool current = false;
	int rc = view_writer_is_current(view, programme, &current, err);
	if (rc == 0)
		rc = view_rules(view, &rules, err);
	if (rc < 0)
		return rc;
	const bool other = rules.data && !current && has_hash(rules);
	if (other)
		memcpy(out, rules.data, HASH_BYTES);
	out[other ? HASH_BYTES : 0] = '\0';
	return 0;
}

int view_writer_programme(struct view *view, const struct deployment *deployment, struct programme **kept,
			  struct error *err)
{
	struct slice rules = {0};
	bool current = false;
	int rc = view_writer_is_current(view, deployment->programme, &current, err);
	if (rc == 0)
		rc = view_rules(view, &rules, err);
	if (rc < 0)
		return rc;
	*kept = NULL;
	/* Without a hash there are no accounts yet, or a version wrote them that kept no programmes. */
	if (current || !has_hash(rules))
		return 0;
	_cleanup_free_ char *path =
		text_printf("%s/programmes/%.*s.yaml", deployment->data_dir, (int)HASH_BYTES, rules.data);
	if (!path)
		return error_no_memory(err, strlen(deployment->data_dir));
	return file_exists(path) ? programme_load(path, kept, err) : 0;
}

int view_writer_open(const struct deployment *deployment, struct view *view, struct view_writer **out,
		     struct error *err)
{
	struct view_writer *const writer = calloc(1, sizeof(*writer));
	struct record *const record = record_new(deployment->programme);
	if (!writer || !record) {
		free(writer);
		record_free(record);
		return error_no_memory(err, sizeof(*writer));
	}
	writer->deployment = deployment;
	writer->view = view;
	writer->record = record;
	*out = writer;
	return 0;
}

void view_writer_close(struct view_writer *writer)
{
	if (!writer)
		return;
	record_free(writer->record);
	free(writer->entries);
	buf_release(&writer->packed);
	free(writer->facts);
	buf_release(&writer->bytes);
	free(writer);
}

/* Facts are packed as they are in memory, each with the bytes of its id behind it. Most have no sums of items: these are left
 * out, which nearly halves them. */

static size_t packed_size(const struct fact *fact)
{
	return fact->item_rules ? sizeof(*fact) : offsetof(struct fact, items);
}

static int pack(struct buf *packed, const struct fact *fact)
{
	const size_t size = packed_size(fact);
	const int rc = buf_reserve(packed, size + fact->id.len);
	if (rc < 0)
		return rc;
	memcpy(packed->data + packed->len, fact, size);
	memcpy(packed->data + packed->len + size, fact->id.data, fact->id.len);
	packed->len += size + fact->id.len;
	return 0;
}

static void unpack(const char *packed, struct fact *fact)
{
	const size_t least = offsetof(struct fact, items);
	memcpy(fact, packed, least);
	const size_t size = packed_size(fact);
	if (size > least)
		memcpy(fact->items, packed + least, sizeof(fact->items));
	else
		memset(fact->items, 0, sizeof(fact->items));
	fact->id.data = packed + size;
}

static int add_event(struct view_writer *writer, const struct event *event, struct slice source, struct error *err)
{
	if (event->customer.guest || (writer->only && !id_list_find(writer->only, &event->customer)))
		return 0;
	if (writer->n == writer->cap) {
		const size_t cap = writer->cap ? writer->cap * 2 : 4096;
		struct entry *const entries = realloc(writer->entries, cap * sizeof(*entries));
		if (!entries)
			return error_no_memory(err, cap * sizeof(*entries));
		writer->entries = entries;
		writer->cap = cap;
	}
	struct entry *const entry = &writer->entries[writer->n];
	entry->fact_at = writer->packed.len;
	entry->text_len = (uint32_t)event->customer.text.len;
	if (entry->text_len)
		entry->text = event->customer.text.data;
	else
		entry->number = event->customer.number;
	struct fact fact;
	fact_of_event(&fact, writer->deployment->programme, event, source);
	if (pack(&writer->packed, &fact) < 0)
		return error_no_memory(err, writer->packed.len * 2);
	writer->n++;
	return 0;
}

static int read_block(struct view_writer *writer, struct journal_reader *reader, uint64_t seq, struct error *err)
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
			rc = add_event(writer, &record.event, block.source, err);
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
static int sort_numbers(struct view_writer *writer, struct error *err)
{
	const size_t buckets = 65536;
	struct entry *from = writer->entries;
	struct entry *to = malloc(writer->cap * sizeof(*to));
	size_t *const starts = malloc(buckets * sizeof(*starts));
	if (!to || !starts) {
		free(to);
		free(starts);
		return error_no_memory(err, writer->cap * sizeof(*to));
	}
	for (unsigned shift = 0; shift < 64; shift += 16) {
		/* The sign bit is flipped, so that negative numbers come first. */
		const uint64_t flip = UINT64_C(1) << 63;
		memset(starts, 0, buckets * sizeof(*starts));
		for (size_t i = 0; i < writer->n; i++)
			starts[((uint64_t)from[i].number ^ flip) >> shift & (buckets - 1)]++;
		if (starts[((uint64_t)from[0].number ^ flip) >> shift & (buckets - 1)] == writer->n)
			continue;
		size_t sum = 0;
		for (size_t i = 0; i < buckets; i++) {
			const size_t count = starts[i];
			starts[i] = sum;
			sum += count;
		}
		for (size_t i = 0; i < writer->n; i++)
			to[starts[((uint64_t)from[i].number ^ flip) >> shift & (buckets - 1)]++] = from[i];
		struct entry *const swap = from;
		from = to;
		to = swap;
	}
	free(starts);
	free(to);
	writer->entries = from;
	return 0;
}

static int read_record(struct view_writer *writer, const struct customer_id *id, struct error *err)
{
	struct slice bytes = {0};
	struct error missing = {0};
	record_reset(writer->record);
	const int rc = view_account(writer->view, id, &bytes, &missing);
	if (rc == ERROR_NOT_FOUND)
		return 0;
	if (rc < 0)
		return error_set(err, rc, "%s", missing.message);
	return record_decode(writer->record, bytes, err);
}

static int compare_facts(const void *a, const void *b)
{
	return fact_compare(a, b);
}

/* The facts of one customer, in order: so a refund comes behind its order, whichever arrived first. */
static int take_facts(struct view_writer *writer, const struct entry *entries, size_t n, struct error *err)
{
	if (n > writer->facts_cap) {
		struct fact *const facts = realloc(writer->facts, 2 * n * sizeof(*facts));
		if (!facts)
			return error_no_memory(err, 2 * n * sizeof(*facts));
		writer->facts = facts;
		writer->facts_cap = 2 * n;
	}
	bool sorted = true;
	for (size_t i = 0; i < n; i++) {
		unpack(writer->packed.data + entries[i].fact_at, &writer->facts[i]);
		sorted = sorted && (i == 0 || fact_compare(&writer->facts[i - 1], &writer->facts[i]) <= 0);
	}
	if (!sorted)
		qsort(writer->facts, n, sizeof(*writer->facts), compare_facts);
	return 0;
}

/* Adds the entries of one customer to the record. */
static int write_customer(struct view_writer *writer, const struct entry *entries, size_t n, struct error *err)
{
	struct customer_id id = {0};
	if (entries->text_len)
		id.text = (struct slice){entries->text, entries->text_len};
	else
		id.number = entries->number;
	int rc = read_record(writer, &id, err);
	if (rc == 0)
		rc = take_facts(writer, entries, n, err);
	if (rc < 0)
		return rc;
	enum record_added added;
	for (size_t i = 0; rc == 0 && i < n; i++) {
		rc = record_add(writer->record, &writer->facts[i], &added);
		if (rc == 0 && (i + 1 == n || (i + 1) % SETTLE_EVERY == 0))
			rc = record_settle(writer->record);
	}
	buf_clear(&writer->bytes);
	if (rc == 0)
		rc = record_encode(writer->record, &writer->bytes);
	if (rc < 0)
		return error_no_memory(err, n * sizeof(*writer->facts));
	rc = view_account_put(writer->view, &id, (struct slice){writer->bytes.data, writer->bytes.len}, err);
	if (rc == 0 && record_is_marked(writer->record))
		rc = view_mark(writer->view, &id, err);
	return rc;
}

/* In the write transaction. */
static int put_records(struct view_writer *writer, const struct view_records *records, struct error *err)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < records->n; i++) {
		struct customer_id id;
		const struct slice record = view_records_get(records, i, &id);
		rc = view_account_put(writer->view, &id, record, err);
		if (rc == 0)
			rc = view_unmark(writer->view, &id, err);
	}
	return rc;
}

/* records: that are put before; NULL: none. */
static int write_accounts(struct view_writer *writer, const struct view_records *records, uint64_t offset,
			  struct error *err)
{
	const bool text = writer->deployment->config->customer_id == CUSTOMER_ID_TEXT;
	int (*const compare)(const void *, const void *) = text ? compare_texts : compare_numbers;
	int rc = 0;
	if (writer->n && text)
		qsort(writer->entries, writer->n, sizeof(*writer->entries), compare);
	else if (writer->n)
		rc = sort_numbers(writer, err);
	if (rc == 0)
		rc = view_write_begin(writer->view, err);
	if (rc < 0)
		return rc;
	rc = records ? put_records(writer, records, err) : 0;
	for (size_t at = 0; rc == 0 && at < writer->n;) {
		const struct entry *const first = &writer->entries[at];
		size_t n = 1;
		while (at + n < writer->n && compare(first, first + n) == 0)
			n++;
		rc = write_customer(writer, first, n, err);
		at += n;
	}
	if (rc < 0) {
		view_write_abort(writer->view);
		return rc;
	}
	return view_write_commit(writer->view, offset, err);
}

static int read_blocks(struct view_writer *writer, struct journal_reader *reader, uint64_t first, uint64_t next,
		       struct error *err)
{
	writer->n = 0;
	buf_clear(&writer->packed);
	int rc = 0;
	for (uint64_t seq = first; rc == 0 && seq < next; seq++)
		rc = read_block(writer, reader, seq, err);
	return rc;
}

int view_writer_write(struct view_writer *writer, struct journal_reader *reader, uint64_t first, uint64_t next,
		      struct error *err)
{
	int rc = read_blocks(writer, reader, first, next, err);
	if (rc == 0)
		rc = write_accounts(writer, NULL, next, err);
	return rc < 0 ? error_prefix(err, "writing the customer view") : 0;
}

int view_writer_mend(struct view_writer *writer, const struct view_records *records, struct journal_reader *reader,
		     uint64_t first, uint64_t next, struct error *err)
{
	writer->only = &records->ids;
	int rc = read_blocks(writer, reader, first, next, err);
	writer->only = NULL;
	if (rc == 0)
		rc = write_accounts(writer, records, next, err);
	return rc < 0 ? error_prefix(err, "mending marked accounts") : 0;
}
