/*
 * The journal's blocks as rows: what the table writer writes and what SQL sees of the journal's tail.
 *
 *     struct journal_rows rows = {.deployment = d, .reader = reader, .first = first, .next = next};
 *     rc = journal_rows_register(&rows, engine, err);      // journal_transactions(), journal_quarantine()
 *
 * `journal_transactions()`: event_id, line_no INTEGER (1, 2, … within the event), kind, cust_id (NULL: a guest), odr_menu,
 * odr_sku, odr_qty DECIMAL(18,3), odr_prc, odr_amt DECIMAL(18,2), odr_tms TIMESTAMP (UTC), store, source, data_dt DATE (the
 * programme's local day). `journal_quarantine()`: file, line BIGINT, reason, text, quarantined_at TIMESTAMP. Rows come in the
 * order of the journal. first, next and reader may be changed between statements; all must outlive the engine.
 */
#ifndef PUNCHCARD_SPEED_ROWS_H
#define PUNCHCARD_SPEED_ROWS_H

#include "config/deployment.h"
#include "engine/engine.h"
#include "speed/day_index.h"
#include "store/journal.h"

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

/* The columns of transactions_cln without data_dt, and of quarantine, separated by commas. */
#define TRANSACTION_COLUMNS \
	"event_id, line_no, kind, cust_id, odr_menu, odr_sku, odr_qty, odr_prc, odr_amt, odr_tms, store, source"
#define QUARANTINE_COLUMNS "file, line, reason, text, quarantined_at"

#endif
