/*
 * The journal's blocks as rows: what the table writer writes and what SQL sees of the journal's tail.
 *
 *     struct journal_rows rows = {.deployment = d, .reader = reader, .first = first, .next = next};
 *     rc = journal_rows_register(&rows, engine, err);      // journal_transactions(), journal_quarantine()
 *
 * `journal_transactions()` has these columns, in this order; a NULL means that there is no such thing:
 *
 *     event_id VARCHAR            of the event; unique in its source
 *     line_no INTEGER             1, 2, … within the event: its rows stand together, in this order
 *     kind VARCHAR                order, refund, redeem, adjust
 *     cust_id BIGINT or VARCHAR   NULL: a guest (only orders and refunds)
 *     odr_menu, odr_sku VARCHAR   of a line
 *     odr_qty DECIMAL(18,3)       of a line; of a refund's line negative
 *     odr_prc DECIMAL(18,2)       of one piece, 0 or more
 *     odr_amt DECIMAL(18,2)       what was paid; of a refund negative: sum(odr_amt) is net of refunds
 *     odr_tms TIMESTAMP           UTC; of every kind
 *     store, source VARCHAR
 *     order_id VARCHAR            refund: event_id of its order
 *     points DECIMAL(18,3)        redeem (> 0; NULL: what the reward costs), adjust (with its sign, not 0)
 *     ledger VARCHAR              redeem, adjust; NULL: the reward's, else the programme's first
 *     reward VARCHAR              redeem; NULL: it gave points only
 *     reason VARCHAR              adjust, in words
 *     decision VARCHAR            redeem: accepted, declined
 *     data_dt DATE                the programme's local day
 *
 * An order, and a refund by lines, has a row a line. A refund by amount has one row, of which odr_menu, odr_sku, odr_qty and
 * odr_prc are NULL (a line always has odr_qty). A redemption or adjustment has one row, without any odr_ value but odr_tms.
 *
 * `journal_quarantine()`: file, line BIGINT, reason, text, quarantined_at TIMESTAMP. Rows come in the order of the journal.
 * first, next and reader may be changed between statements; all must outlive the engine. Scans of one statement may
 * run on several threads of the engine: they read the journal in turns.
 */
#ifndef PUNCHCARD_SPEED_ROWS_H
#define PUNCHCARD_SPEED_ROWS_H

#include "config/deployment.h"
#include "engine/engine.h"
#include "speed/day_index.h"
#include "store/journal.h"

/* The columns of transactions_cln, by place; those of TRANSACTION_COLUMNS, and the day. */
enum transaction_column {
	TRANSACTION_EVENT_ID,
	TRANSACTION_LINE_NO,
	TRANSACTION_KIND,
	TRANSACTION_CUST_ID,
	TRANSACTION_MENU,
	TRANSACTION_SKU,
	TRANSACTION_QTY,
	TRANSACTION_PRC,
	TRANSACTION_AMT,
	TRANSACTION_TMS,
	TRANSACTION_STORE,
	TRANSACTION_SOURCE,
	TRANSACTION_ORDER_ID,
	TRANSACTION_POINTS,
	TRANSACTION_LEDGER,
	TRANSACTION_REWARD,
	TRANSACTION_REASON,
	TRANSACTION_DECISION,
	TRANSACTION_DATA_DT,
	TRANSACTION_N_COLUMNS,
};

struct journal_rows {
	const struct deployment *deployment;
	struct journal_reader *reader;
	uint64_t first; /* block */
	uint64_t next;  /* behind the last block; first == next: no rows */
	/* When set: journal_transactions() has the events of one day of this index instead. */
	const struct day_index *days;
	uint32_t day; /* 0 to days->n_days - 1 */
};

int journal_rows_register(struct journal_rows *rows, struct engine *engine, struct error *err);

/* The columns of transactions_cln without data_dt, and of quarantine, separated by commas. A file of transactions_cln in which
 * there are only orders ends with `source`: six columns of NULLs would cost the table writer a seventh of its time. So who reads
 * files asks for columns by name, and bears that they are not there. */
#define ORDER_COLUMNS \
	"event_id, line_no, kind, cust_id, odr_menu, odr_sku, odr_qty, odr_prc, odr_amt, odr_tms, store, source"
#define TRANSACTION_COLUMNS ORDER_COLUMNS ", order_id, points, ledger, reward, reason, decision"
#define QUARANTINE_COLUMNS  "file, line, reason, text, quarantined_at"

#endif
