/*
 * Rows of the ledger, of postings: what batch/ledger.h describes as a table.
 *
 * `ledger_names` keeps the texts of combinations of rules, of which there are few. Belongs to one thread at a time.
 */
#ifndef PUNCHCARD_FOLD_LEDGER_ROW_H
#define PUNCHCARD_FOLD_LEDGER_ROW_H

#include "base/buf.h"
#include "base/error.h"
#include "loyalty/posting.h"

/* The last day that SQL's dates are read with everywhere, 9999-12-31: stands for "never". */
int32_t ledger_never_day(void);

struct ledger_row {
	struct customer_id customer;
	int64_t entry_no;
	int64_t posted_us;
	int64_t points_milli;
	int64_t balance_milli;
	int32_t lot;           /* as a posting's */
	struct slice event_id; /* empty: NULL */
	struct slice ledger;
	struct slice kind;
	struct slice rule; /* empty: NULL */
	struct slice programme;
	struct slice note; /* empty: NULL */
};

struct ledger_names;
/* The programme must outlive it. NULL when out of memory. */
struct ledger_names *ledger_names_new(const struct programme *programme);
void ledger_names_free(struct ledger_names *names);
/* The row of a posting of that programme, whose numbers are within bounds; `note` is memory for the text of a tier's
 * change. The texts live until some hundred other combinations of rules were asked for, and `note` changes.
 * ERROR_NO_MEMORY. */
int ledger_row_of(struct ledger_names *names, const struct customer_id *customer, const struct posting *posting,
		  struct buf *note, struct ledger_row *out);
/* Whether a posting's kind and ledger are some of that programme. */
bool ledger_names_has(const struct ledger_names *names, unsigned kind, unsigned ledger);

#endif
