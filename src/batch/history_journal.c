/* What the journal knows of the table's files, and whether they are all there. */
#include "batch/history.h"

#include "batch/committed.h"
#include "engine/engine.h"

#include <inttypes.h>

/* A reader of footers. */
#define COUNT_MEMORY_MIB 128u
/* A collector may go on between a look at the journal and one at the files. */
#define ATTEMPTS 10u

int history_journal_read(struct journal_reader *reader, struct history_journal *out, struct error *err)
{
	struct history_journal journal = {0};
	struct journal_totals totals = {0};
	struct block_counts tail = {0};
	uint64_t first = 0;
	int rc = journal_reader_range(reader, &first, &journal.next, err);
	if (rc == 0)
		rc = journal_reader_offset(reader, TABLE_CONSUMER, &journal.offset, err);
	if (rc == 0)
		rc = journal_reader_totals(reader, &totals, err);
	if (rc == 0 && journal.offset < journal.next)
		rc = journal_reader_count(reader, journal.offset, journal.next, UINT64_MAX, &tail, NULL, err);
	if (rc < 0)
		return rc;
	if (tail.n_lines > totals.lines)
		return error_set(err, ERROR_CORRUPT,
				 "the journal has more lines than it counts: data/journal is damaged; put it back from "
				 "a backup");
	journal.rows = totals.lines - tail.n_lines;
	*out = journal;
	return 0;
}

static int count_rows(const struct deployment *deployment, uint64_t offset, uint64_t *out, struct error *err)
{
	_cleanup_buf_ struct buf files = {0};
	_cleanup_buf_ struct buf sql = {0};
	unsigned n_files = 0;
	int64_t rows = 0;
	int rc = committed_transactions(deployment, offset, &files, &n_files, err);
	if (rc < 0)
		return rc;
	*out = 0;
	if (n_files == 0)
		return 0;
	if (!buf_text(&files) ||
	    buf_printf(&sql, "SELECT count(*) FROM read_parquet(%s, hive_partitioning = false)", files.data) < 0 ||
	    !buf_text(&sql))
		return error_no_memory(err, files.len);
	struct engine *engine = NULL;
	const struct engine_options options = {.memory_mib = COUNT_MEMORY_MIB,
					       .threads = deployment->config->engine_threads};
	rc = engine_open(&options, &engine, err);
	if (rc == 0)
		rc = engine_run_int64(engine, sql.data, &rows, err);
	engine_close(engine);
	if (rc == 0)
		*out = (uint64_t)rows;
	return rc;
}

int history_check(const struct deployment *deployment, const struct history_journal *journal, struct error *err)
{
	uint64_t rows = 0;
	int rc = committed_check(deployment, journal->next, err);
	if (rc == 0)
		rc = count_rows(deployment, journal->offset, &rows, err);
	if (rc < 0 || rows == journal->rows)
		return rc;
	const bool is_missing = rows < journal->rows;
	return error_set(err, ERROR_CORRUPT,
			 "%s/transactions_cln has %" PRIu64 " %s than the journal counts (%" PRIu64
			 " instead of %" PRIu64
			 "): files of it were removed, changed or added; put data/ back from a backup as it was "
			 "(`punchcard audit` tells more)",
			 deployment->warehouse_dir, is_missing ? journal->rows - rows : rows - journal->rows,
			 is_missing ? "rows fewer" : "rows more", rows, journal->rows);
}

static int read_journal(const struct deployment *deployment, struct history_journal *out, struct error *err)
{
	const struct journal_options options = {.map_gib = deployment->config->journal_map_gib, .read_only = true};
	struct journal *journal = NULL;
	struct journal_reader *reader = NULL;
	int rc = journal_open(deployment->journal_dir, &options, &journal, err);
	if (rc == ERROR_NOT_FOUND) {
		*out = (struct history_journal){.offset = 1, .next = 1};
		return 0;
	}
	if (rc == 0)
		rc = journal_reader_open(journal, &reader, err);
	if (rc == 0)
		rc = history_journal_read(reader, out, err);
	journal_reader_close(reader);
	journal_close(journal);
	return rc;
}

int history_offset(const struct deployment *deployment, uint64_t *offset, struct error *err)
{
	struct history_journal journal = {0};
	struct error wrong = {0};
	int rc = read_journal(deployment, &journal, err);
	for (unsigned i = 0; rc == 0; i++) {
		rc = history_check(deployment, &journal, &wrong);
		if (rc == 0) {
			*offset = journal.offset;
			return 0;
		}
		const uint64_t next = journal.next;
		const int found = rc;
		rc = read_journal(deployment, &journal, err);
		if (rc == 0 && (found != ERROR_CORRUPT || journal.next == next || i == ATTEMPTS))
			return error_set(err, found, "%s", wrong.message);
	}
	return rc;
}
