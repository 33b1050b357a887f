/*
 * The rows that punchcard-fold gives. All kinds stand in one stream, so all have the same columns: which kind it is,
 * cust_id, then OUTPUT_NUMBERS whole numbers n1, n2, … and OUTPUT_TEXTS texts t1, t2, …. A kind's columns are the
 * numbers (also dates: days since 1970-01-01; instants: UTC microseconds; decimals: hundredths or thousandths) in their
 * order, and the texts (bytes: hexadecimal digits) in theirs; what is behind is NULL. `output_place` says which is
 * where.
 *
 * The last rows of each process, of no customer, are `counts`: what it read and wrote, for whoever puts the streams
 * together to check; and with two programmes `counts_other`.
 */
#ifndef PUNCHCARD_FOLD_OUTPUT_H
#define PUNCHCARD_FOLD_OUTPUT_H

#include "fold/account_row.h"
#include "fold/columns.h"
#include "fold/compare.h"
#include "fold/ledger_row.h"
#include "fold/text.h"

#define OUTPUT_NUMBERS 17u
#define OUTPUT_TEXTS   6u

enum output_kind {
	OUTPUT_LEDGER,
	OUTPUT_BALANCES,
	OUTPUT_ACCOUNTS,
	OUTPUT_STATES,
	OUTPUT_MARKED, /* a customer who needs the whole history; nothing else is there of him */
	OUTPUT_SIMULATED,
	OUTPUT_COUNTS,
	OUTPUT_COUNTS_OTHER, /* beside rows of OUTPUT_SIMULATED: events that the other programme rejects, by reason */
	OUTPUT_KINDS,
};

struct output_table {
	const char *name; /* the first column's text */
	const struct fold_column *columns;
	unsigned n_columns;
};
extern const struct output_table OUTPUT_TABLE[OUTPUT_KINDS];

/* Where a column of a kind stands: 'n' or 't' and its number, from 1. */
struct output_place {
	char letter;
	unsigned number;
};
struct output_place output_place(enum output_kind kind, unsigned column);

/* Of what is printed, by `counts`. */
enum count_column {
	COUNT_ROWS_READ,
	COUNT_CUSTOMERS, /* that were folded */
	COUNT_EVENTS,
	COUNT_LEDGER, /* rows of each kind, from here on */
	COUNT_BALANCES,
	COUNT_ACCOUNTS,
	COUNT_STATES,
	COUNT_MARKED,
	COUNT_SIMULATED,
	COUNT_POINTS,   /* sum of points of the rows `ledger` */
	COUNT_REJECTED, /* events, by reason, from REJECT_NONE + 1 on; of two programmes today's */
	COUNT_COLUMNS = COUNT_REJECTED + REJECT_MAX,
};

enum ledger_column {
	LEDGER_ENTRY_NO,
	LEDGER_EVENT_ID,
	LEDGER_POSTED,
	LEDGER_LEDGER,
	LEDGER_KIND,
	LEDGER_POINTS,
	LEDGER_LOT,
	LEDGER_RULE,
	LEDGER_PROGRAMME,
	LEDGER_BALANCE,
	LEDGER_NOTE,
	LEDGER_DATA_DT,
	LEDGER_COLUMNS,
};
void ledger_values(const struct ledger_row *row, int32_t data_dt, struct fold_value out[LEDGER_COLUMNS]);

/* Of one ledger of both programmes: name, tiers, and for each of these points, today's and the other's. */
#define SIMULATED_POINTS  8u
#define SIMULATED_COLUMNS (3u + SIMULATED_POINTS * SIMULATE_SIDES)

/* Writes a row; `customer` NULL is NULL. */
int output_row(struct text_writer *writer, enum output_kind kind, enum customer_id_type id_type,
	       const struct customer_id *customer, const struct fold_value *values, struct error *err);

#endif
