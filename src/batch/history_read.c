/* Batches of whole customers: the sorted records, and the states of a day beside them. */
#include "batch/history_internal.h"

#include "batch/history_record.h"
#include "batch/history_sort.h"

#include <stdlib.h>

/* What a batch is full with. Large enough that handing over costs nothing, small enough that some of them are a few MiB. */
#define BATCH_ROWS       32768u
#define BATCH_CUSTOMERS  16384u
#define BATCH_TEXT_BYTES ((size_t)4 * 1024 * 1024)
/* The states are read one after the other: the engine that reads them needs little. */
#define STATES_MEMORY_MIB 128u

struct history_reader {
	enum customer_id_type id_type;
	struct history_rows *rows;
	struct row_sorter *sorter;   /* of the rows, when they are sorted; NULL: there are none */
	struct customer_id customer; /* the sorter's, when there is one */
	bool has_customer;
	bool sorted;
	struct history_cursor states;
	/* The customers that are asked for, as a table. */
	struct id_list customers;
	/* The last customer of each scan, whose order is checked: what is not in order cannot be merged. */
	struct buf last_state_text;
	int64_t last_state_number;
	bool has_last_state;
};

static int open_states(struct history_reader *reader, const struct deployment *deployment,
		       const struct history_options *options, struct error *err)
{
	struct buf *const sql = &reader->states.sql;
	reader->states.ended = !options->states;
	if (!options->states)
		return 0;
	int rc = history_open_engine(deployment, options, &reader->customers, STATES_MEMORY_MIB,
				     deployment->config->engine_threads, &reader->states.engine, err);
	if (rc < 0)
		return rc;
	if (buf_append_text(sql, "SELECT cust_id, state, items FROM read_parquet(") < 0 ||
	    engine_quote(sql, options->states) < 0 || buf_append_text(sql, ")") < 0 ||
	    (options->customers &&
	     buf_append_text(sql, " WHERE cust_id IN (SELECT cust_id FROM history_customers()) ORDER BY cust_id") <
		     0) ||
	    !buf_text(sql))
		return error_no_memory(err, sql->len);
	return 0;
}

int history_reader_open(const struct deployment *deployment, const struct programme *programme,
			const struct history_options *options, struct history_reader **out, uint64_t *total,
			struct error *err)
{
	struct history_reader *const reader = calloc(1, sizeof(*reader));
	if (!reader)
		return error_no_memory(err, sizeof(*reader));
	reader->id_type = deployment->config->customer_id;
	reader->states.id_type = reader->id_type;
	/* The programme names items, or they are asked for. */
	const bool items = options->items || programme->n_items > 0 || (options->other && options->other->n_items > 0);
	/* Borrowed, as the ids' bytes are: nothing is added. */
	reader->customers = (struct id_list){
		.id_type = reader->id_type,
		.ids = (struct customer_id *)(uintptr_t)options->customers,
		.n = options->n_customers,
	};
	uint64_t n = 0;
	int rc = history_rows_open(deployment, programme, options, &reader->customers, items, &reader->rows, &n, err);
	if (rc == 0)
		rc = open_states(reader, deployment, options, err);
	if (rc < 0) {
		history_reader_close(reader);
		return rc;
	}
	*total = n;
	*out = reader;
	return 0;
}

void history_reader_close(struct history_reader *reader)
{
	if (!reader)
		return;
	history_rows_close(reader->rows);
	history_cursor_close(&reader->states);
	buf_release(&reader->last_state_text);
	free(reader);
}

void history_reader_interrupt(struct history_reader *reader)
{
	history_rows_interrupt(reader->rows);
	if (reader->states.engine)
		engine_interrupt(reader->states.engine);
}

/* ---- batches ---- */

static int next_customer(struct history_reader *reader, struct error *err)
{
	reader->has_customer = false;
	return reader->sorter ? row_sorter_customer(reader->sorter, &reader->customer, &reader->has_customer, err) : 0;
}

/* All rows, the first time that any is asked for. */
static int sort_rows(struct history_reader *reader, struct error *err)
{
	const int rc = history_rows_sort(reader->rows, &reader->sorter, err);
	reader->sorted = rc == 0;
	return rc < 0 ? rc : next_customer(reader, err);
}

/* States come in order of customer, each once: else the table was changed by somebody else. */
static int check_state_order(struct history_reader *reader, const struct customer_id *id, struct error *err)
{
	const struct customer_id last = {.number = reader->last_state_number,
					 .text = {reader->last_state_text.data, reader->last_state_text.len}};
	if (reader->has_last_state && customer_compare(&last, id) >= 0)
		return error_set(
			err, ERROR_CORRUPT,
			"account_state is not in the order of its customers; run `punchcard rebuild`: it makes the "
			"table again");
	reader->has_last_state = true;
	reader->last_state_number = id->number;
	buf_clear(&reader->last_state_text);
	if (id->text.len && buf_append(&reader->last_state_text, id->text.data, id->text.len) < 0)
		return error_no_memory(err, id->text.len);
	return 0;
}

/* The next customer, who may have a state. */
static int add_customer(struct history_reader *reader, struct row_batch *batch, const struct customer_id *id,
			bool has_state, struct error *err)
{
	struct history_cursor *const states = &reader->states;
	struct slice state = {NULL, 0};
	struct slice items = {NULL, 0};
	int rc = has_state ? check_state_order(reader, id, err) : 0;
	if (rc == 0 && has_state) {
		state = engine_scan_text(states->scan, 1, states->at);
		items = engine_scan_text(states->scan, 2, states->at);
	}
	if (rc == 0)
		rc = row_batch_add_customer(batch, id, state, items, err);
	if (rc == 0 && has_state)
		states->at++;
	return rc;
}

/* All records of the customer that was added last, which is the sorter's. */
static int add_records(struct history_reader *reader, struct row_batch *batch, struct error *err)
{
	struct slice record;
	bool found = true;
	int rc = 0;
	while (rc == 0 && (rc = row_sorter_row(reader->sorter, &record, &found, err)) == 0 && found)
		rc = history_record_add(batch, record, err);
	return rc < 0 ? rc : next_customer(reader, err);
}

static bool is_full(const struct row_batch *batch)
{
	return batch->n_rows >= BATCH_ROWS || batch->n_customers >= BATCH_CUSTOMERS ||
	       batch->texts.len >= BATCH_TEXT_BYTES;
}

int history_reader_next(struct history_reader *reader, struct row_batch *batch, struct error *err)
{
	row_batch_clear(batch);
	int rc = reader->sorted ? 0 : sort_rows(reader, err);
	while (rc == 0) {
		rc = history_cursor_settle(&reader->states, err);
		const bool has_rows = reader->has_customer;
		const bool has_states = !reader->states.ended;
		if (rc < 0 || (!has_rows && !has_states) || is_full(batch))
			break;
		struct customer_id from_states = {0};
		if (has_states)
			from_states = history_cursor_id(&reader->states);
		const int order = !has_rows ? 1 : !has_states ? -1 : customer_compare(&reader->customer, &from_states);
		rc = add_customer(reader, batch, order <= 0 ? &reader->customer : &from_states, order >= 0, err);
		if (rc == 0 && order <= 0)
			rc = add_records(reader, batch, err);
	}
	return rc;
}
