#include "speed/rows.h"

#include "store/block.h"

#include <pthread.h>
#include <stdlib.h>

static const struct engine_column TRANSACTIONS[2][TRANSACTION_N_COLUMNS] = {
#define TRANSACTIONS_WITH(id_type)                                                                                  \
	{                                                                                                           \
		{"event_id", ENGINE_VARCHAR}, {"line_no", ENGINE_INTEGER}, {"kind", ENGINE_VARCHAR},                \
			{"cust_id", id_type}, {"odr_menu", ENGINE_VARCHAR}, {"odr_sku", ENGINE_VARCHAR},            \
			{"odr_qty", ENGINE_DECIMAL_18_3}, {"odr_prc", ENGINE_DECIMAL_18_2},                         \
			{"odr_amt", ENGINE_DECIMAL_18_2}, {"odr_tms", ENGINE_TIMESTAMP}, {"store", ENGINE_VARCHAR}, \
			{"source", ENGINE_VARCHAR}, {"order_id", ENGINE_VARCHAR}, {"points", ENGINE_DECIMAL_18_3},  \
			{"ledger", ENGINE_VARCHAR}, {"reward", ENGINE_VARCHAR}, {"reason", ENGINE_VARCHAR},         \
			{"decision", ENGINE_VARCHAR}, {"data_dt", ENGINE_DATE},                                     \
	}
	[CUSTOMER_ID_INTEGER] = TRANSACTIONS_WITH(ENGINE_BIGINT),
	[CUSTOMER_ID_TEXT] = TRANSACTIONS_WITH(ENGINE_VARCHAR),
};

static const struct engine_column QUARANTINE[] = {
	{"file", ENGINE_VARCHAR},
	{"line", ENGINE_BIGINT},
	{"reason", ENGINE_VARCHAR},
	{"text", ENGINE_VARCHAR},
	{"quarantined_at", ENGINE_TIMESTAMP},
};

/* One scan: goes from record to record, and within an event from row to row. */
struct scan {
	const struct journal_rows *rows;
	enum block_record_kind kind;
	uint64_t seq; /* of the next block */
	bool open;
	struct block_reader block;
	struct block_record record;
	uint32_t entry; /* of rows->days, the next one */
	uint32_t line;  /* of record.event's rows, the next one; n_rows: take the next record */
	uint32_t n_rows;
	int32_t day;
};

static int start_scan(void *context, enum block_record_kind kind, void **state, struct error *err)
{
	struct scan *const scan = calloc(1, sizeof(*scan));
	if (!scan)
		return error_no_memory(err, sizeof(*scan));
	scan->rows = context;
	scan->kind = kind;
	scan->seq = scan->rows->first;
	*state = scan;
	return 0;
}

static int start_transactions(void *context, void **state, struct error *err)
{
	return start_scan(context, BLOCK_EVENT, state, err);
}

static int start_quarantine(void *context, void **state, struct error *err)
{
	return start_scan(context, BLOCK_QUARANTINED, state, err);
}

static void stop_scan(void *context, void *state)
{
	(void)context;
	struct scan *const scan = state;
	block_reader_release(&scan->block);
	free(scan);
}

/* Two scans of one statement may run on two of the engine's threads, and read in one transaction, which does not bear it: so they
 * take turns. A block stays where it is until the transaction ends. */
static pthread_mutex_t reading = PTHREAD_MUTEX_INITIALIZER;

static int open_block(struct scan *scan, struct error *err)
{
	struct slice bytes;
	pthread_mutex_lock(&reading);
	int rc = journal_reader_block(scan->rows->reader, scan->seq, &bytes, err);
	pthread_mutex_unlock(&reading);
	if (rc == 0)
		rc = block_reader_open(&scan->block, bytes, err);
	if (rc < 0)
		return error_prefix(err, "block %llu of the journal in %s", (unsigned long long)scan->seq,
				    scan->rows->deployment->journal_dir);
	scan->open = true;
	scan->seq++;
	return 0;
}

/* The next record of the scan's kind: 1, or 0 at the end. */
static int next_record(struct scan *scan, struct error *err)
{
	if (scan->rows->days && scan->kind == BLOCK_EVENT)
		return day_index_read(scan->rows->days, scan->rows->day, &scan->entry, &scan->block, &scan->record,
				      err);
	for (;;) {
		if (!scan->open) {
			if (scan->seq >= scan->rows->next)
				return 0;
			const int rc = open_block(scan, err);
			if (rc < 0)
				return rc;
		}
		const int rc = block_reader_next(&scan->block, &scan->record, err);
		if (rc < 0)
			return rc;
		if (rc == 0) {
			block_reader_release(&scan->block);
			scan->open = false;
		} else if (scan->record.kind == scan->kind) {
			return 1;
		}
	}
}

static void text_or_null(struct engine_batch *batch, unsigned column, uint32_t row, struct slice text)
{
	if (text.len)
		engine_batch_text(batch, column, row, text);
	else
		engine_batch_null(batch, column, row);
}

struct transaction_values {
	int32_t *line_no;
	int64_t *cust_id; /* NULL when ids are text */
	int64_t *qty;
	int64_t *prc;
	int64_t *amt;
	int64_t *tms;
	int64_t *points;
	int32_t *data_dt;
	bool details; /* a column behind `source` is wanted */
};

static void put_nulls(struct engine_batch *batch, uint32_t row, unsigned first, unsigned last)
{
	for (unsigned column = first; column <= last; column++)
		engine_batch_null(batch, column, row);
}

/* Of a refund, what an order's line has with the other sign; defined for every number that a block can hold. */
static int64_t negative(int64_t value)
{
	return (int64_t)(0 - (uint64_t)value);
}

static void put_line(const struct scan *scan, struct engine_batch *batch, const struct transaction_values *values,
		     uint32_t row)
{
	const struct order_line *const line = &scan->record.event.lines[scan->line];
	const bool refund = scan->record.event.kind == EVENT_REFUND;
	text_or_null(batch, TRANSACTION_MENU, row, line->menu);
	text_or_null(batch, TRANSACTION_SKU, row, line->sku);
	values->qty[row] = refund ? negative(line->qty_milli) : line->qty_milli;
	values->prc[row] = line->price_minor;
	values->amt[row] = refund ? negative(line->amount_minor) : line->amount_minor;
}

static void put_redeem(const struct scan *scan, struct engine_batch *batch, const struct transaction_values *values,
		       uint32_t row)
{
	const struct event *const event = &scan->record.event;
	if (event->points_milli)
		values->points[row] = event->points_milli;
	else
		engine_batch_null(batch, TRANSACTION_POINTS, row);
	text_or_null(batch, TRANSACTION_LEDGER, row, event->ledger);
	text_or_null(batch, TRANSACTION_REWARD, row, event->reward);
	engine_batch_null(batch, TRANSACTION_REASON, row);
	engine_batch_text(batch, TRANSACTION_DECISION, row, event->declined ? SLICE("declined") : SLICE("accepted"));
}

static void put_adjust(const struct scan *scan, struct engine_batch *batch, const struct transaction_values *values,
		       uint32_t row)
{
	const struct event *const event = &scan->record.event;
	values->points[row] = event->points_milli;
	text_or_null(batch, TRANSACTION_LEDGER, row, event->ledger);
	engine_batch_null(batch, TRANSACTION_REWARD, row);
	text_or_null(batch, TRANSACTION_REASON, row, event->reason);
	engine_batch_null(batch, TRANSACTION_DECISION, row);
}

/* What the kinds have each for itself. */
static void put_details(const struct scan *scan, struct engine_batch *batch, const struct transaction_values *values,
			uint32_t row)
{
	const struct event *const event = &scan->record.event;
	if (event->n_lines) {
		put_line(scan, batch, values, row);
	} else {
		put_nulls(batch, row, TRANSACTION_MENU, TRANSACTION_PRC);
		if (event->kind == EVENT_REFUND)
			values->amt[row] = negative(event->amount_minor);
		else
			engine_batch_null(batch, TRANSACTION_AMT, row);
	}
	if (!values->details)
		return;
	text_or_null(batch, TRANSACTION_ORDER_ID, row, event->order_id);
	if (event->kind == EVENT_REDEEM)
		put_redeem(scan, batch, values, row);
	else if (event->kind == EVENT_ADJUST)
		put_adjust(scan, batch, values, row);
	else
		put_nulls(batch, row, TRANSACTION_POINTS, TRANSACTION_DECISION);
}

static void put_transaction(const struct scan *scan, struct engine_batch *batch,
			    const struct transaction_values *values, uint32_t row)
{
	const struct event *const event = &scan->record.event;
	engine_batch_text(batch, TRANSACTION_EVENT_ID, row, event->id);
	engine_batch_text(batch, TRANSACTION_KIND, row, event_kind_name(event->kind));
	if (event->customer.guest)
		engine_batch_null(batch, TRANSACTION_CUST_ID, row);
	else if (values->cust_id)
		values->cust_id[row] = event->customer.number;
	else
		engine_batch_text(batch, TRANSACTION_CUST_ID, row, event->customer.text);
	text_or_null(batch, TRANSACTION_STORE, row, event->store);
	engine_batch_text(batch, TRANSACTION_SOURCE, row, scan->block.source);
	values->line_no[row] = (int32_t)scan->line + 1;
	values->tms[row] = event->time_us;
	values->data_dt[row] = scan->day;
	put_details(scan, batch, values, row);
}

static bool wants_details(const struct engine_batch *batch)
{
	bool wants = false;
	for (unsigned column = TRANSACTION_ORDER_ID; column <= TRANSACTION_DECISION; column++)
		wants = wants || engine_batch_wants(batch, column);
	return wants;
}

/* Goes to the next event that has rows: 1, or 0 at the end. */
static int next_event(struct scan *scan, struct error *err)
{
	int rc;
	do {
		scan->line = 0;
		scan->n_rows = 0;
		rc = next_record(scan, err);
		if (rc == 1)
			scan->n_rows = block_event_rows(&scan->record.event);
	} while (rc == 1 && scan->n_rows == 0);
	if (rc == 1)
		scan->day = scan->rows->days ? scan->rows->days->first_day + (int32_t)scan->rows->day
					     : tz_local_day(scan->rows->deployment->programme->timezone,
							    scan->record.event.time_us);
	return rc;
}

static int fill_transactions(void *context, void *state, struct engine_batch *batch, uint32_t *rows, struct error *err)
{
	(void)context;
	struct scan *const scan = state;
	const bool integer = scan->rows->deployment->config->customer_id == CUSTOMER_ID_INTEGER;
	const struct transaction_values values = {
		.line_no = engine_batch_values(batch, TRANSACTION_LINE_NO),
		.cust_id = integer ? engine_batch_values(batch, TRANSACTION_CUST_ID) : NULL,
		.qty = engine_batch_values(batch, TRANSACTION_QTY),
		.prc = engine_batch_values(batch, TRANSACTION_PRC),
		.amt = engine_batch_values(batch, TRANSACTION_AMT),
		.tms = engine_batch_values(batch, TRANSACTION_TMS),
		.points = engine_batch_values(batch, TRANSACTION_POINTS),
		.data_dt = engine_batch_values(batch, TRANSACTION_DATA_DT),
		.details = wants_details(batch),
	};
	uint32_t row = 0;
	while (row < ENGINE_BATCH_ROWS) {
		if (scan->line == scan->n_rows) {
			const int rc = next_event(scan, err);
			if (rc < 0)
				return rc;
			if (rc == 0)
				break;
		}
		put_transaction(scan, batch, &values, row);
		scan->line++;
		row++;
	}
	*rows = row;
	return 0;
}

static int fill_quarantine(void *context, void *state, struct engine_batch *batch, uint32_t *rows, struct error *err)
{
	(void)context;
	struct scan *const scan = state;
	int64_t *const lines = engine_batch_values(batch, 1);
	int64_t *const times = engine_batch_values(batch, 4);
	uint32_t row = 0;
	for (; row < ENGINE_BATCH_ROWS; row++) {
		const int rc = next_record(scan, err);
		if (rc < 0)
			return rc;
		if (rc == 0)
			break;
		const struct block_record *const record = &scan->record;
		engine_batch_text(batch, 0, row, record->file);
		lines[row] = (int64_t)record->line;
		engine_batch_text(batch, 2, row, slice_of(quarantine_reason_name(record->reason)));
		engine_batch_text(batch, 3, row, record->text);
		times[row] = record->time_us;
	}
	*rows = row;
	return 0;
}

int journal_rows_register(struct journal_rows *rows, struct engine *engine, struct error *err)
{
	const struct engine_source transactions = {
		.name = "journal_transactions",
		.columns = TRANSACTIONS[rows->deployment->config->customer_id],
		.n_columns = TRANSACTION_N_COLUMNS,
		.start = start_transactions,
		.fill = fill_transactions,
		.stop = stop_scan,
		.context = rows,
	};
	const struct engine_source quarantine = {
		.name = "journal_quarantine",
		.columns = QUARANTINE,
		.n_columns = sizeof(QUARANTINE) / sizeof(QUARANTINE[0]),
		.start = start_quarantine,
		.fill = fill_quarantine,
		.stop = stop_scan,
		.context = rows,
	};
	const int rc = engine_register_source(engine, &transactions, err);
	return rc < 0 ? rc : engine_register_source(engine, &quarantine, err);
}
