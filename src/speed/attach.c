#include "speed/attach.h"

#include "batch/committed.h"
#include "batch/fold.h"
#include "speed/rows.h"
#include "speed/view_writer.h"

#include <stdlib.h>

struct attached {
	const struct deployment *deployment;
	struct journal *journal; /* NULL: nothing was collected yet */
	struct journal_reader *reader;
	struct journal_rows rows;
	struct view *view; /* NULL: likewise */
};

/* The table function view_accounts(). */

static int start_accounts(void *context, void **state, struct error *err)
{
	const struct attached *const attached = context;
	struct view_walk *walk = NULL;
	if (attached->view) {
		const int rc = view_walk_open(attached->view, &walk, err);
		if (rc < 0)
			return rc;
	}
	*state = walk;
	return 0;
}

static int fill_accounts(void *context, void *state, struct engine_batch *batch, uint32_t *rows, struct error *err)
{
	const struct attached *const attached = context;
	struct view_walk *const walk = state;
	uint32_t row = 0;
	for (; walk && row < ENGINE_BATCH_ROWS; row++) {
		struct customer_id id;
		struct slice record;
		bool found;
		struct account account;
		account_init(&account);
		int rc = view_walk_next(walk, &id, &record, &found, err);
		if (rc == 0 && !found)
			break;
		if (rc == 0)
			rc = account_decode(record, &account, err);
		if (rc < 0)
			return rc;
		account_row(batch, row, &id, &account, attached->deployment->config->customer_id);
		account_release(&account);
	}
	*rows = row;
	return 0;
}

static void stop_accounts(void *context, void *state)
{
	(void)context;
	view_walk_close(state);
}

static int attach_accounts(struct attached *attached, struct engine *engine, struct error *err)
{
	int rc = view_writer_open_view(attached->deployment, true, &attached->view, err);
	if (rc == 0)
		rc = view_read_begin(attached->view, err);
	if (rc < 0 && rc != ERROR_NOT_FOUND)
		return rc;
	const bool integer = attached->deployment->config->customer_id == CUSTOMER_ID_INTEGER;
	const struct engine_source source = {
		.name = "view_accounts",
		.columns = integer ? ACCOUNT_COLUMNS_INTEGER : ACCOUNT_COLUMNS_TEXT,
		.n_columns = 8,
		.start = start_accounts,
		.fill = fill_accounts,
		.stop = stop_accounts,
		.context = attached,
	};
	rc = engine_register_source(engine, &source, err);
	return rc < 0 ? rc
		      : engine_run(engine, "CREATE OR REPLACE VIEW accounts AS SELECT * FROM view_accounts()", err);
}

/* The journal at this moment: what the table writer has committed, and the tail behind it. */
static int open_tail(struct attached *attached, uint64_t *offset, struct error *err)
{
	const struct journal_options options = {.map_gib = attached->deployment->config->journal_map_gib,
						.read_only = true};
	attached->rows.deployment = attached->deployment;
	*offset = 1;
	int rc = journal_open(attached->deployment->journal_dir, &options, &attached->journal, err);
	if (rc == ERROR_NOT_FOUND)
		return 0;
	uint64_t first;
	if (rc == 0)
		rc = journal_reader_open(attached->journal, &attached->reader, err);
	if (rc == 0)
		rc = journal_reader_range(attached->reader, &first, &attached->rows.next, err);
	if (rc == 0)
		rc = journal_reader_offset(attached->reader, TABLE_CONSUMER, offset, err);
	attached->rows.reader = attached->reader;
	attached->rows.first = *offset;
	return rc;
}

static int attach_tables(struct attached *attached, struct engine *engine, uint64_t offset, struct error *err)
{
	static const char transactions[] = "CREATE OR REPLACE VIEW transactions_cln AS "
					   "SELECT " TRANSACTION_COLUMNS ", data_dt FROM journal_transactions()";
	static const char quarantine[] =
		"CREATE OR REPLACE VIEW quarantine AS SELECT " QUARANTINE_COLUMNS " FROM journal_quarantine()";
	_cleanup_buf_ struct buf files = {0};
	_cleanup_buf_ struct buf sql = {0};
	unsigned n = 0;
	int rc = journal_rows_register(&attached->rows, engine, err);
	if (rc == 0)
		rc = committed_transactions(attached->deployment, offset, &files, &n, err);
	if (rc < 0)
		return rc;
	if (buf_append_text(&sql, transactions) < 0 || !buf_text(&files) ||
	    (n &&
	     buf_printf(&sql,
			" UNION ALL SELECT " TRANSACTION_COLUMNS
			", data_dt FROM read_parquet(%s, hive_partitioning = true, hive_types = {'data_dt': DATE})",
			files.data) < 0) ||
	    !buf_text(&sql))
		return error_no_memory(err, sql.len);
	rc = engine_run(engine, sql.data, err);
	if (rc < 0)
		return rc;
	buf_clear(&files);
	buf_clear(&sql);
	rc = committed_quarantine(attached->deployment, offset, &files, &n, err);
	if (rc < 0)
		return rc;
	if (buf_append_text(&sql, quarantine) < 0 || !buf_text(&files) ||
	    (n && buf_printf(&sql, " UNION ALL SELECT " QUARANTINE_COLUMNS " FROM read_parquet(%s)", files.data) < 0) ||
	    !buf_text(&sql))
		return error_no_memory(err, sql.len);
	return engine_run(engine, sql.data, err);
}

int speed_attach(struct engine *engine, const struct deployment *deployment, struct attached **out, struct error *err)
{
	struct attached *const attached = calloc(1, sizeof(*attached));
	if (!attached)
		return error_no_memory(err, sizeof(*attached));
	attached->deployment = deployment;
	uint64_t offset;
	int rc = open_tail(attached, &offset, err);
	if (rc == 0)
		rc = attach_tables(attached, engine, offset, err);
	if (rc == 0)
		rc = attach_accounts(attached, engine, err);
	if (rc < 0) {
		speed_detach(attached);
		return rc;
	}
	*out = attached;
	return 0;
}

void speed_detach(struct attached *attached)
{
	if (!attached)
		return;
	journal_reader_close(attached->reader);
	journal_close(attached->journal);
	view_close(attached->view);
	free(attached);
}
