#include "speed/view_writer.h"

#include "base/file.h"
#include "loyalty/record.h"
#include "speed/view_batch.h"
#include "speed/view_mend.h"
#include "store/block.h"

#include <stdlib.h>

/* Adds to a record until it is settled: refunds look through what is open. Many enough, that the refund of an order of the same
 * batch seldom comes behind it, which would mark the account. */
#define SETTLE_EVERY 1024u

struct view_writer {
	struct view *view;
	struct record *record;
	struct view_batch *batch;
	const struct id_list *only; /* whose events are taken; NULL: all */
	struct buf bytes;           /* of the record that is written */
};

int view_writer_open_view(const struct deployment *deployment, bool read_only, struct view **out, struct error *err)
{
	const struct view_options options = {
		.map_gib = deployment->config->view_map_gib,
		.id_type = deployment->config->customer_id,
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

int view_writer_hash(struct view *view, char out[PROGRAMME_HASH_TEXT], struct error *err)
{
	struct slice rules = {0};
	const int rc = view_rules(view, &rules, err);
	if (rc < 0)
		return rc;
	const bool has = has_hash(rules);
	if (has)
		memcpy(out, rules.data, HASH_BYTES);
	out[has ? HASH_BYTES : 0] = '\0';
	return 0;
}

int view_writer_other_hash(struct view *view, const struct programme *programme, char out[PROGRAMME_HASH_TEXT],
			   struct error *err)
{
	bool current = false;
	int rc = view_writer_is_current(view, programme, &current, err);
	if (rc == 0)
		rc = view_writer_hash(view, out, err);
	if (rc == 0 && current)
		out[0] = '\0';
	return rc;
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
	if (!writer)
		return error_no_memory(err, sizeof(*writer));
	writer->view = view;
	writer->record = record_new(deployment->programme);
	writer->batch = view_batch_new(deployment->programme, deployment->config->customer_id == CUSTOMER_ID_TEXT);
	if (!writer->record || !writer->batch) {
		view_writer_close(writer);
		return error_no_memory(err, sizeof(*writer));
	}
	*out = writer;
	return 0;
}

void view_writer_close(struct view_writer *writer)
{
	if (!writer)
		return;
	record_free(writer->record);
	view_batch_free(writer->batch);
	buf_release(&writer->bytes);
	free(writer);
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
		const struct customer_id *const customer = &record.event.customer;
		if (record.kind == BLOCK_EVENT &&
		    (!writer->only || (!customer->guest && id_list_find(writer->only, customer))))
			rc = view_batch_add(writer->batch, &record, block.source, err);
		if (rc < 0)
			break;
	}
	block_reader_release(&block);
	return rc;
}

static int read_record(struct view_writer *writer, const struct customer_id *id, struct error *err)
{
	struct slice bytes = {0};
	record_reset(writer->record);
	int rc = view_account(writer->view, id, &bytes, NULL);
	if (rc == ERROR_NOT_FOUND)
		return 0;
	if (rc == 0)
		return record_decode(writer->record, bytes, err);
	/* Once more, for what is wrong. */
	rc = view_account(writer->view, id, &bytes, err);
	return rc < 0 ? rc : record_decode(writer->record, bytes, err);
}

/* The facts come in order: so a refund comes behind its order, whichever arrived first. */
static int add_facts(struct view_writer *writer)
{
	struct fact fact;
	enum record_added added;
	size_t n = 0;
	while (view_batch_fact(writer->batch, &fact)) {
		if (record_add(writer->record, &fact, &added) < 0 ||
		    (++n % SETTLE_EVERY == 0 && record_settle(writer->record) < 0))
			return ERROR_NO_MEMORY;
	}
	return record_settle(writer->record);
}

static int write_customer(struct view_writer *writer, const struct customer_id *id, struct error *err)
{
	int rc = read_record(writer, id, err);
	if (rc < 0)
		return rc;
	buf_clear(&writer->bytes);
	if (add_facts(writer) < 0 || record_encode(writer->record, &writer->bytes) < 0)
		return error_no_memory(err, SETTLE_EVERY * sizeof(struct fact));
	rc = view_account_put(writer->view, id, (struct slice){writer->bytes.data, writer->bytes.len}, err);
	if (rc == 0 && record_is_marked(writer->record))
		rc = view_mark(writer->view, id, err);
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
	int rc = view_batch_sort(writer->batch, err);
	if (rc == 0)
		rc = view_write_begin(writer->view, err);
	if (rc < 0)
		return rc;
	struct customer_id id;
	rc = records ? put_records(writer, records, err) : 0;
	while (rc == 0 && view_batch_customer(writer->batch, &id))
		rc = write_customer(writer, &id, err);
	if (rc < 0) {
		view_write_abort(writer->view);
		return rc;
	}
	return view_write_commit(writer->view, offset, err);
}

static int write_blocks(struct view_writer *writer, const struct view_records *records, struct journal_reader *reader,
			uint64_t first, uint64_t next, struct error *err)
{
	int rc = 0;
	for (uint64_t seq = first; rc == 0 && seq < next; seq++)
		rc = read_block(writer, reader, seq, err);
	if (rc == 0)
		rc = write_accounts(writer, records, next, err);
	view_batch_clear(writer->batch);
	return rc;
}

int view_writer_write(struct view_writer *writer, struct journal_reader *reader, uint64_t first, uint64_t next,
		      struct error *err)
{
	const int rc = write_blocks(writer, NULL, reader, first, next, err);
	return rc < 0 ? error_prefix(err, "writing the customer view") : 0;
}

int view_writer_mend(struct view_writer *writer, const struct view_records *records, struct journal_reader *reader,
		     uint64_t first, uint64_t next, struct error *err)
{
	writer->only = &records->ids;
	const int rc = write_blocks(writer, records, reader, first, next, err);
	writer->only = NULL;
	return rc < 0 ? error_prefix(err, "mending marked accounts") : 0;
}
