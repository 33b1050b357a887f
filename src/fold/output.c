#include "fold/output.h"

#include <assert.h>

static const struct fold_column LEDGER_COLUMN[LEDGER_COLUMNS] = {
	[LEDGER_ENTRY_NO] = {"entry_no", FOLD_BIGINT},
	[LEDGER_EVENT_ID] = {"event_id", FOLD_TEXT},
	[LEDGER_POSTED] = {"posted_at", FOLD_TIMESTAMP},
	[LEDGER_LEDGER] = {"ledger", FOLD_TEXT},
	[LEDGER_KIND] = {"kind", FOLD_TEXT},
	[LEDGER_POINTS] = {"points", FOLD_DECIMAL_18_3},
	[LEDGER_LOT] = {"lot", FOLD_DATE},
	[LEDGER_RULE] = {"rule", FOLD_TEXT},
	[LEDGER_PROGRAMME] = {"programme", FOLD_TEXT},
	[LEDGER_BALANCE] = {"balance", FOLD_DECIMAL_18_3},
	[LEDGER_NOTE] = {"note", FOLD_TEXT},
	[LEDGER_DATA_DT] = {"data_dt", FOLD_DATE},
};

static const struct fold_column STATE_COLUMN[] = {{"state", FOLD_BYTES}, {"items", FOLD_BYTES}};

static const struct fold_column SIMULATED_COLUMN[SIMULATED_COLUMNS] = {
	{"ledger", FOLD_TEXT},
	{"tier_today", FOLD_TEXT},
	{"tier_other", FOLD_TEXT},
	{"points_today", FOLD_DECIMAL_18_3},
	{"points_other", FOLD_DECIMAL_18_3},
	{"issued_today", FOLD_DECIMAL_18_3},
	{"issued_other", FOLD_DECIMAL_18_3},
	{"reversed_today", FOLD_DECIMAL_18_3},
	{"reversed_other", FOLD_DECIMAL_18_3},
	{"redeemed_today", FOLD_DECIMAL_18_3},
	{"redeemed_other", FOLD_DECIMAL_18_3},
	{"expired_today", FOLD_DECIMAL_18_3},
	{"expired_other", FOLD_DECIMAL_18_3},
	{"outstanding_today", FOLD_DECIMAL_18_3},
	{"outstanding_other", FOLD_DECIMAL_18_3},
	{"pending_today", FOLD_DECIMAL_18_3},
	{"pending_other", FOLD_DECIMAL_18_3},
	{"debt_today", FOLD_DECIMAL_18_3},
	{"debt_other", FOLD_DECIMAL_18_3},
};

/* By reason, as reject_reason_name has them. */
#define REJECTED                                                                                       \
	{"unknown_order", FOLD_BIGINT}, {"over_refund", FOLD_BIGINT}, {"unknown_reward", FOLD_BIGINT}, \
		{"unknown_ledger", FOLD_BIGINT},                                                       \
	{                                                                                              \
		"overflow", FOLD_BIGINT                                                                \
	}

static const struct fold_column REJECTED_COLUMN[REJECT_MAX] = {REJECTED};

static const struct fold_column COUNT_COLUMN[COUNT_COLUMNS] = {
	[COUNT_ROWS_READ] = {"rows_read", FOLD_BIGINT},
	[COUNT_CUSTOMERS] = {"customers", FOLD_BIGINT},
	[COUNT_EVENTS] = {"events", FOLD_BIGINT},
	[COUNT_LEDGER] = {"ledger_rows", FOLD_BIGINT},
	[COUNT_BALANCES] = {"balances_rows", FOLD_BIGINT},
	[COUNT_ACCOUNTS] = {"accounts_rows", FOLD_BIGINT},
	[COUNT_STATES] = {"account_state_rows", FOLD_BIGINT},
	[COUNT_MARKED] = {"marked_rows", FOLD_BIGINT},
	[COUNT_SIMULATED] = {"simulated_rows", FOLD_BIGINT},
	[COUNT_POINTS] = {"points", FOLD_DECIMAL_18_3},
	[COUNT_REJECTED] = REJECTED,
};

const struct output_table OUTPUT_TABLE[OUTPUT_KINDS] = {
	[OUTPUT_LEDGER] = {"ledger", LEDGER_COLUMN, LEDGER_COLUMNS},
	[OUTPUT_BALANCES] = {"balances", BALANCE_COLUMN, BALANCE_COLUMNS},
	[OUTPUT_ACCOUNTS] = {"accounts", ACCOUNT_COLUMN, ACCOUNT_COLUMNS},
	[OUTPUT_STATES] = {"account_state", STATE_COLUMN, sizeof(STATE_COLUMN) / sizeof(STATE_COLUMN[0])},
	[OUTPUT_MARKED] = {"marked", NULL, 0},
	[OUTPUT_SIMULATED] = {"simulated", SIMULATED_COLUMN, SIMULATED_COLUMNS},
	[OUTPUT_COUNTS] = {"counts", COUNT_COLUMN, COUNT_COLUMNS},
	[OUTPUT_COUNTS_OTHER] = {"counts_other", REJECTED_COLUMN, REJECT_MAX},
};

static bool is_text(enum fold_type type)
{
	return type == FOLD_TEXT || type == FOLD_BYTES;
}

struct output_place output_place(enum output_kind kind, unsigned column)
{
	const struct output_table *const table = &OUTPUT_TABLE[kind];
	const bool text = is_text(table->columns[column].type);
	struct output_place place = {.letter = text ? 't' : 'n', .number = 1};
	for (unsigned i = 0; i < column; i++)
		place.number += is_text(table->columns[i].type) == text;
	return place;
}

static struct fold_value number(int64_t value)
{
	return (struct fold_value){.number = value};
}

static struct fold_value text(struct slice value)
{
	return (struct fold_value){.is_null = !value.len, .text = value};
}

void ledger_values(const struct ledger_row *row, int32_t data_dt, struct fold_value out[LEDGER_COLUMNS])
{
	out[LEDGER_ENTRY_NO] = number(row->entry_no);
	out[LEDGER_EVENT_ID] = text(row->event_id);
	out[LEDGER_POSTED] = number(row->posted_us);
	out[LEDGER_LEDGER] = text(row->ledger);
	out[LEDGER_KIND] = text(row->kind);
	out[LEDGER_POINTS] = number(row->points_milli);
	out[LEDGER_LOT] = number(row->lot == DAY_MAX ? ledger_never_day() : row->lot);
	out[LEDGER_LOT].is_null = row->lot == LOT_NONE;
	out[LEDGER_RULE] = text(row->rule);
	out[LEDGER_PROGRAMME] = text(row->programme);
	out[LEDGER_BALANCE] = number(row->balance_milli);
	out[LEDGER_NOTE] = text(row->note);
	out[LEDGER_DATA_DT] = number(data_dt);
}

static void put(struct text_writer *writer, enum fold_type type, const struct fold_value *value)
{
	if (value->is_null)
		text_put_null(writer);
	else if (type == FOLD_BYTES)
		text_put_hex(writer, value->text);
	else if (type == FOLD_TEXT)
		text_put(writer, value->text);
	else
		text_put_number(writer, value->number);
}

/* The kind's numbers, or its texts, and NULL up to `room`. */
static void put_columns(struct text_writer *writer, const struct output_table *table, const struct fold_value *values,
			bool texts, unsigned room)
{
	unsigned n = 0;
	for (unsigned i = 0; i < table->n_columns; i++) {
		if (is_text(table->columns[i].type) != texts)
			continue;
		put(writer, table->columns[i].type, &values[i]);
		n++;
	}
	assert(n <= room);
	for (; n < room; n++)
		text_put_null(writer);
}

int output_row(struct text_writer *writer, enum output_kind kind, enum customer_id_type id_type,
	       const struct customer_id *customer, const struct fold_value *values, struct error *err)
{
	const struct output_table *const table = &OUTPUT_TABLE[kind];
	text_put(writer, slice_of(table->name));
	if (!customer)
		text_put_null(writer);
	else if (id_type == CUSTOMER_ID_INTEGER)
		text_put_number(writer, customer->number);
	else
		text_put(writer, customer->text);
	put_columns(writer, table, values, false, OUTPUT_NUMBERS);
	put_columns(writer, table, values, true, OUTPUT_TEXTS);
	return text_end_row(writer, err);
}
