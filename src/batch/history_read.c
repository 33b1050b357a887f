/* Rows out of the engine, through the sorter, and the states of a day beside them. */
#include "batch/history_internal.h"

#include "base/bytes.h"
#include "base/limits.h"
#include "batch/committed.h"
#include "batch/history_sort.h"
#include "batch/id_list.h"

#include <stdlib.h>

/* What a batch is full with. Large enough that handing over costs nothing, small enough that some of them are a few MiB. */
#define BATCH_ROWS       32768u
#define BATCH_CUSTOMERS  16384u
#define BATCH_TEXT_BYTES ((size_t)4 * 1024 * 1024)
/* The states are read one after the other: the engine that reads them needs little. */
#define STATES_MEMORY_MIB 128u
/* Of the engine's memory, rows have so much before they are spilled: while they come, the engine needs little of it. */
#define SORTER_PART 2u
#define MIB         ((size_t)1024 * 1024)

enum column {
	COLUMN_CUSTOMER,
	COLUMN_TIME,
	COLUMN_META,
	COLUMN_AMOUNT,
	COLUMN_ID,
	COLUMN_TAG,
	COLUMN_QTY, /* this and the next ones only where the programme names items */
	COLUMN_MENU,
	COLUMN_SKU,
};

struct cursor {
	enum customer_id_type id_type; /* that the first column must have */
	struct engine *engine;
	struct engine_scan *scan;
	uint32_t rows;
	uint32_t at;
	bool ended;
	struct buf sql; /* until the scan is opened */
};

struct history_reader {
	enum customer_id_type id_type;
	bool items;         /* the programme names items, or they are asked for */
	struct cursor rows; /* until all are in the sorter */
	struct row_sorter *sorter;
	struct customer_id customer; /* the sorter's, when there is one */
	bool has_customer;
	bool sorted;
	struct cursor states;
	/* The customers that are asked for, as a table. */
	struct id_list customers;
	/* The last customer of each scan, whose order is checked: what is not in order cannot be merged. */
	struct buf last_state_text;
	int64_t last_state_number;
	bool has_last_state;
};

/* ---- the scans ---- */

/* Columns that a file of an earlier release may lack. */
#define NEWER_COLUMNS                                                                                       \
	"NULL::VARCHAR AS order_id, NULL::DECIMAL(18,3) AS points, NULL::VARCHAR AS ledger, NULL::VARCHAR " \
	"AS reward, NULL::VARCHAR AS decision"

/* One number for the line, the kind and the decision; see enum row_kind. */
#define META                                                                                                   \
	"CAST(greatest(0, least(coalesce(line_no, 0), 10000000)) * 16 + CASE kind WHEN 'order' THEN 0 WHEN "   \
	"'refund' THEN CASE WHEN odr_qty IS NULL THEN 4 ELSE 1 END WHEN 'redeem' THEN 2 WHEN 'adjust' THEN 3 " \
	"ELSE 7 END + CASE WHEN decision = 'declined' THEN 8 ELSE 0 END AS INTEGER)"

#define TAG                                                                                                 \
	"CASE WHEN kind = 'order' THEN source ELSE source || ' ' || CAST(CAST(CAST(coalesce(points, 0) AS " \
	"DECIMAL(38,3)) * 1000 AS BIGINT) AS VARCHAR) || ' ' || strlen(coalesce(order_id, '')) || ' ' || "  \
	"strlen(coalesce(ledger, '')) || "                                                                  \
	"' ' || strlen(coalesce(reward, '')) || ' ' || coalesce(order_id, '') || coalesce(ledger, '') || "  \
	"coalesce(reward, '') END"

static int append_range(struct buf *sql, const struct programme *programme, const struct history_options *options)
{
	int rc = 0;
	if (options->from_day != DAY_MIN)
		rc = buf_printf(sql, " AND odr_tms >= make_timestamp(%lld)",
				(long long)programme_day_start(programme, options->from_day));
	if (rc == 0 && options->until_day != DAY_MAX)
		rc = buf_printf(sql, " AND odr_tms < make_timestamp(%lld)",
				(long long)programme_day_start(programme, options->until_day + 1));
	return rc;
}

/* Files of days that cannot have events of the range are not opened. */
static struct committed_range file_range(const struct history_options *options)
{
	struct committed_range range = {.offset = options->offset, .first_day = DAY_MIN, .last_day = DAY_MAX};
	if (options->from_day > DAY_MIN + COMMITTED_ZONE_DAYS)
		range.first_day = options->from_day - COMMITTED_ZONE_DAYS;
	if (options->until_day < DAY_MAX - COMMITTED_ZONE_DAYS)
		range.last_day = options->until_day + COMMITTED_ZONE_DAYS;
	return range;
}

static int append_rows_sql(const struct history_reader *reader, const struct programme *programme,
			   const struct history_options *options, const char *files, struct buf *sql)
{
	if (buf_printf(sql,
		       "SELECT cust_id, odr_tms, " META ", coalesce(odr_amt, 0)::DECIMAL(18,2), event_id, " TAG
		       "%s FROM (SELECT * FROM read_parquet(%s, union_by_name = true) UNION ALL BY NAME "
		       "SELECT " NEWER_COLUMNS " WHERE false) WHERE cust_id IS NOT NULL",
		       reader->items ? ", coalesce(odr_qty, 0)::DECIMAL(18,3), odr_menu, odr_sku" : "", files) < 0 ||
	    append_range(sql, programme, options) < 0 ||
	    (options->customers &&
	     buf_append_text(sql, " AND cust_id IN (SELECT cust_id FROM history_customers())") < 0) ||
	    !buf_text(sql))
		return ERROR_NO_MEMORY;
	return 0;
}

static int open_engine(struct history_reader *reader, const struct deployment *deployment,
		       const struct history_options *options, uint32_t memory_mib, struct cursor *cursor,
		       struct error *err)
{
	const struct engine_options engine_options = {
		.memory_mib = memory_mib,
		.threads = deployment->config->engine_threads,
		.tmp_dir = options->tmp_dir ? options->tmp_dir : deployment->tmp_dir,
	};
	int rc = engine_open(&engine_options, &cursor->engine, err);
	if (rc == 0 && options->customers)
		rc = id_list_register(&reader->customers, "history_customers", cursor->engine, err);
	return rc;
}

static int open_rows(struct history_reader *reader, const struct deployment *deployment,
		     const struct programme *programme, const struct history_options *options, uint64_t *total,
		     struct error *err)
{
	const struct committed_range range = file_range(options);
	_cleanup_buf_ struct buf files = {0};
	_cleanup_buf_ struct buf sql = {0};
	unsigned n_files = 0;
	int64_t n_rows = 0;
	int rc = committed_files(deployment, &range, &files, &n_files, err);
	if (rc < 0)
		return rc;
	reader->rows.ended = n_files == 0;
	if (n_files == 0)
		return 0;
	if (!buf_text(&files) || buf_printf(&sql, "SELECT count(*) FROM read_parquet(%s)", files.data) < 0 ||
	    !buf_text(&sql))
		return error_no_memory(err, files.len);
	rc = open_engine(reader, deployment, options, deployment->config->engine_memory_mib, &reader->rows, err);
	if (rc == 0)
		rc = engine_run_int64(reader->rows.engine, sql.data, &n_rows, err);
	/* The sorter takes rows in any order. */
	if (rc == 0)
		rc = engine_run(reader->rows.engine, "SET preserve_insertion_order = false", err);
	if (rc < 0)
		return rc;
	*total = (uint64_t)n_rows;
	if (append_rows_sql(reader, programme, options, files.data, &reader->rows.sql) < 0)
		return error_no_memory(err, reader->rows.sql.len);
	return 0;
}

static int open_states(struct history_reader *reader, const struct deployment *deployment,
		       const struct history_options *options, struct error *err)
{
	struct buf *const sql = &reader->states.sql;
	reader->states.ended = !options->states;
	if (!options->states)
		return 0;
	int rc = open_engine(reader, deployment, options, STATES_MEMORY_MIB, &reader->states, err);
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
	reader->rows.id_type = reader->id_type;
	reader->states.id_type = reader->id_type;
	reader->items = options->items || programme->n_items > 0 || (options->other && options->other->n_items > 0);
	/* Borrowed, as the ids' bytes are: nothing is added. */
	reader->customers = (struct id_list){
		.id_type = reader->id_type,
		.ids = (struct customer_id *)(uintptr_t)options->customers,
		.n = options->n_customers,
	};
	uint64_t n = 0;
	int rc = row_sorter_open(reader->id_type, options->tmp_dir ? options->tmp_dir : deployment->tmp_dir,
				 (size_t)deployment->config->engine_memory_mib * MIB / SORTER_PART, &reader->sorter,
				 err);
	if (rc == 0)
		rc = open_rows(reader, deployment, programme, options, &n, err);
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
	row_sorter_close(reader->sorter);
	engine_scan_close(reader->rows.scan);
	engine_scan_close(reader->states.scan);
	engine_close(reader->rows.engine);
	engine_close(reader->states.engine);
	buf_release(&reader->rows.sql);
	buf_release(&reader->states.sql);
	buf_release(&reader->last_state_text);
	free(reader);
}

void history_reader_interrupt(struct history_reader *reader)
{
	if (reader->rows.engine)
		engine_interrupt(reader->rows.engine);
	if (reader->states.engine)
		engine_interrupt(reader->states.engine);
}

/* ---- batches ---- */

/* Makes sure that the cursor stands on a row, or has ended. */
static int settle(struct cursor *cursor, struct error *err)
{
	if (cursor->ended || cursor->at < cursor->rows)
		return 0;
	cursor->at = 0;
	cursor->rows = 0;
	int rc = 0;
	if (!cursor->scan) {
		rc = engine_scan_open(cursor->engine, cursor->sql.data, &cursor->scan, err);
		if (rc == 0)
			rc = id_list_check_scan(cursor->scan, cursor->id_type, err);
	}
	if (rc == 0)
		rc = engine_scan_next(cursor->scan, &cursor->rows, err);
	cursor->ended = rc == 0 && cursor->rows == 0;
	return rc;
}

static struct customer_id cursor_id(const struct history_reader *reader, const struct cursor *cursor)
{
	struct customer_id id = {0};
	if (reader->id_type == CUSTOMER_ID_INTEGER)
		id.number = ((const int64_t *)engine_scan_values(cursor->scan, COLUMN_CUSTOMER))[cursor->at];
	else
		id.text = engine_scan_text(cursor->scan, COLUMN_CUSTOMER, cursor->at);
	return id;
}

/* ---- through the sorter ---- */

static struct slice text_at(const struct history_reader *reader, unsigned column)
{
	const struct cursor *const rows = &reader->rows;
	return engine_scan_is_null(rows->scan, column, rows->at) ? (struct slice){NULL, 0}
								 : engine_scan_text(rows->scan, column, rows->at);
}

static int64_t number_at(const struct history_reader *reader, unsigned column)
{
	return ((const int64_t *)engine_scan_values(reader->rows.scan, column))[reader->rows.at];
}

/* A row as the sorter has it: time, meta, amount, quantity, and the texts, each with its length. */
static int sort_row(struct history_reader *reader, struct error *err)
{
	const struct cursor *const rows = &reader->rows;
	const struct customer_id customer = cursor_id(reader, rows);
	const struct slice id = text_at(reader, COLUMN_ID);
	const struct slice tag = text_at(reader, COLUMN_TAG);
	const struct slice menu = reader->items ? text_at(reader, COLUMN_MENU) : (struct slice){NULL, 0};
	const struct slice sku = reader->items ? text_at(reader, COLUMN_SKU) : (struct slice){NULL, 0};
	if (engine_scan_is_null(rows->scan, COLUMN_TIME, rows->at) ||
	    !row_texts_fit(&(struct row_values){.id = id, .tag = tag, .menu = menu, .sku = sku}))
		return error_set(
			err, ERROR_CORRUPT,
			"transactions_cln has an event without an id, a time or a source, or with one that is too "
			"long: its files were changed by somebody else; put them back from a backup");
	const size_t most = 8 * (size_t)VARINT_MAX_BYTES + id.len + tag.len + menu.len + sku.len;
	char *p;
	const int rc = row_sorter_room(reader->sorter, &customer, most, &p, err);
	if (rc < 0)
		return rc;
	p = put_signed(p, number_at(reader, COLUMN_TIME));
	p = put_varint(p, (uint32_t)((const int32_t *)engine_scan_values(rows->scan, COLUMN_META))[rows->at]);
	p = put_signed(p, number_at(reader, COLUMN_AMOUNT));
	p = put_signed(p, reader->items ? number_at(reader, COLUMN_QTY) : 0);
	p = put_slice(p, id);
	p = put_slice(p, tag);
	p = put_slice(p, menu);
	p = put_slice(p, sku);
	row_sorter_add(reader->sorter, &customer, p);
	return 0;
}

static int next_customer(struct history_reader *reader, struct error *err)
{
	return row_sorter_customer(reader->sorter, &reader->customer, &reader->has_customer, err);
}

/* All rows, the first time that any is asked for. */
static int sort_rows(struct history_reader *reader, struct error *err)
{
	struct cursor *const rows = &reader->rows;
	int rc = settle(rows, err);
	while (rc == 0 && !rows->ended) {
		for (; rc == 0 && rows->at < rows->rows; rows->at++)
			rc = sort_row(reader, err);
		if (rc == 0)
			rc = settle(rows, err);
	}
	if (rc < 0)
		return rc;
	engine_scan_close(rows->scan);
	rows->scan = NULL;
	reader->sorted = true;
	rc = row_sorter_finish(reader->sorter, err);
	return rc < 0 ? rc : next_customer(reader, err);
}

/* ---- into batches ---- */

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
	struct cursor *const states = &reader->states;
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

static int add_row(struct row_batch *batch, struct slice bytes, struct error *err)
{
	struct reader r = reader_of(bytes);
	struct row_values row = {.time_us = read_signed(&r)};
	row.meta = (uint32_t)read_varint(&r);
	row.amount_minor = read_signed(&r);
	row.qty_milli = read_signed(&r);
	row.id = read_slice(&r);
	row.tag = read_slice(&r);
	row.menu = read_slice(&r);
	row.sku = read_slice(&r);
	if (r.bad || !row_texts_fit(&row))
		return error_set(err, ERROR_CORRUPT, "a temporary file of rows was changed while it was in use");
	return row_batch_add(batch, &row, err);
}

/* All rows of the customer that was added last, which is the sorter's. */
static int add_rows(struct history_reader *reader, struct row_batch *batch, struct error *err)
{
	struct slice row;
	bool found = true;
	int rc = 0;
	while (rc == 0 && (rc = row_sorter_row(reader->sorter, &row, &found, err)) == 0 && found)
		rc = add_row(batch, row, err);
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
		rc = settle(&reader->states, err);
		const bool has_rows = reader->has_customer;
		const bool has_states = !reader->states.ended;
		if (rc < 0 || (!has_rows && !has_states) || is_full(batch))
			break;
		struct customer_id from_states = {0};
		if (has_states)
			from_states = cursor_id(reader, &reader->states);
		const int order = !has_rows ? 1 : !has_states ? -1 : customer_compare(&reader->customer, &from_states);
		rc = add_customer(reader, batch, order <= 0 ? &reader->customer : &from_states, order >= 0, err);
		if (rc == 0 && order <= 0)
			rc = add_rows(reader, batch, err);
	}
	return rc;
}
