#include "speed/attach.h"

#include "base/clock.h"
#include "batch/committed.h"
#include "batch/files_lock.h"
#include "speed/account_rows.h"
#include "speed/line_rows.h"
#include "speed/rows.h"
#include "speed/view_writer.h"

#include <stdlib.h>

#define MICROS INT64_C(1000000)

struct attached {
	const struct deployment *deployment;
	struct files_lock lock;
	struct journal *journal; /* NULL: nothing was collected yet */
	struct journal_reader *reader;
	struct journal_rows rows;
	struct view *view;      /* NULL: likewise */
	struct programme *kept; /* that the accounts were made by, when it is not today's */
	struct account_rows accounts;
	struct line_rows *lines; /* NULL: no Flume agent has made any */
};

static int attach_accounts(struct attached *attached, struct engine *engine, struct error *err)
{
	int rc = view_writer_open_view(attached->deployment, true, &attached->view, err);
	if (rc == 0)
		rc = view_read_begin(attached->view, err);
	if (rc == 0)
		rc = view_writer_programme(attached->view, attached->deployment, &attached->kept, err);
	else if (rc == ERROR_NOT_FOUND)
		rc = 0;
	if (rc < 0)
		return rc;
	const struct programme *const programme = attached->kept ? attached->kept : attached->deployment->programme;
	attached->accounts = (struct account_rows){
		.deployment = attached->deployment,
		.programme = programme,
		.view = attached->view,
		.day = tz_local_day(programme->timezone, clock_now_us()),
	};
	rc = account_rows_register(&attached->accounts, engine, err);
	return rc < 0 ? rc
		      : engine_run(engine,
				   "CREATE OR REPLACE VIEW accounts AS SELECT * FROM view_accounts(); "
				   "CREATE OR REPLACE VIEW account_balances AS SELECT * FROM view_account_balances()",
				   err);
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
	/* By name: files of before there were other events than orders have fewer columns, which are NULL then. */
	static const char transactions[] = "CREATE OR REPLACE VIEW transactions_cln AS SELECT " TRANSACTION_COLUMNS
					   ", data_dt FROM (SELECT * FROM journal_transactions()";
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
	    (n && buf_printf(&sql,
			     " UNION ALL BY NAME SELECT * FROM read_parquet(%s, hive_partitioning = true, "
			     "hive_types = {'data_dt': DATE}, union_by_name = true)",
			     files.data) < 0) ||
	    buf_append_text(&sql, ")") < 0 || !buf_text(&sql))
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
	attached->lock = FILES_LOCK_NONE;
	files_lock_read(deployment, &attached->lock);
	uint64_t offset;
	int rc = open_tail(attached, &offset, err);
	if (rc == 0)
		rc = attach_tables(attached, engine, offset, err);
	if (rc == 0)
		rc = attach_accounts(attached, engine, err);
	if (rc == 0)
		rc = line_rows_attach(engine, deployment, &attached->lines, err);
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
	line_rows_detach(attached->lines);
	programme_free(attached->kept);
	files_lock_release(&attached->lock);
	free(attached);
}
