#include "speed/table_writer.h"

#include "base/file.h"
#include "base/limits.h"
#include "engine/engine.h"
#include "batch/committed.h"
#include "speed/rows.h"
#include "store/block.h"

#include <stdlib.h>

struct table_writer {
	const struct deployment *deployment;
	struct journal *journal;
	struct engine *engine; /* opened with the first write */
	struct journal_rows rows;
	uint64_t offset;
};

int table_writer_open(const struct deployment *deployment, struct journal *journal, struct table_writer **out,
		      struct error *err)
{
	struct table_writer *const writer = calloc(1, sizeof(*writer));
	if (!writer)
		return error_no_memory(err, sizeof(*writer));
	writer->deployment = deployment;
	writer->journal = journal;
	writer->rows.deployment = deployment;
	struct journal_reader *reader = NULL;
	int rc = journal_reader_open(journal, &reader, err);
	if (rc == 0)
		rc = journal_reader_offset(reader, TABLE_CONSUMER, &writer->offset, err);
	journal_reader_close(reader);
	if (rc == 0)
		rc = committed_clean(deployment, writer->offset, err);
	if (rc < 0) {
		table_writer_close(writer);
		return rc;
	}
	*out = writer;
	return 0;
}

void table_writer_close(struct table_writer *writer)
{
	if (!writer)
		return;
	engine_close(writer->engine);
	free(writer);
}

uint64_t table_writer_offset(const struct table_writer *writer)
{
	return writer->offset;
}

void table_writer_interrupt(struct table_writer *writer)
{
	if (writer->engine)
		engine_interrupt(writer->engine);
}

static int open_engine(struct table_writer *writer, struct error *err)
{
	if (writer->engine)
		return 0;
	const struct config *const config = writer->deployment->config;
	const struct engine_options options = {.memory_mib = config->engine_memory_mib,
					       .threads = config->engine_threads,
					       .tmp_dir = writer->deployment->tmp_dir};
	struct engine *engine = NULL;
	int rc = engine_open(&options, &engine, err);
	if (rc == 0)
		rc = journal_rows_register(&writer->rows, engine, err);
	if (rc < 0) {
		engine_close(engine);
		return rc;
	}
	writer->engine = engine;
	return 0;
}

/* Writes the rows of a SELECT as <dir>/orders-<first>-<last>.parquet, durably. */
static int write_file(struct table_writer *writer, const char *dir, const char *select, uint64_t first, uint64_t last,
		      struct error *err)
{
	_cleanup_free_ char *path = text_printf("%s/orders-%012llu-%012llu.parquet", dir, (unsigned long long)first,
						(unsigned long long)last);
	_cleanup_free_ char *tmp =
		text_printf("%s/.orders-%012llu-%012llu.tmp", dir, (unsigned long long)first, (unsigned long long)last);
	_cleanup_buf_ struct buf sql = {0};
	if (!path || !tmp || buf_printf(&sql, "COPY (%s) TO ", select) < 0 || engine_quote(&sql, tmp) < 0 ||
	    buf_append_text(&sql, " (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)") < 0 || !buf_text(&sql))
		return error_no_memory(err, LIMIT_PATH_BYTES);
	int rc = engine_run(writer->engine, sql.data, err);
	if (rc == 0)
		rc = file_sync_path(tmp, err);
	return rc < 0 ? rc : file_rename(tmp, path, err);
}

static int make_partition(const char *table_dir, const char *dir, struct error *err)
{
	if (file_exists(dir))
		return 0;
	int rc = file_make_dirs(dir, err);
	if (rc == 0)
		rc = file_sync_dir(table_dir, err);
	return rc;
}

/* The days of the batch, in order. */
static int read_days(struct table_writer *writer, int32_t **days, uint32_t *n_days, struct error *err)
{
	struct engine_scan *scan = NULL;
	int rc = engine_scan_open(writer->engine, "SELECT DISTINCT data_dt FROM batch ORDER BY data_dt", &scan, err);
	if (rc < 0)
		return rc;
	int32_t *all = NULL;
	uint32_t n = 0;
	uint32_t rows = 0;
	while ((rc = engine_scan_next(scan, &rows, err)) == 0 && rows) {
		int32_t *const more = realloc(all, (n + rows) * sizeof(*all));
		if (!more) {
			rc = error_no_memory(err, (n + rows) * sizeof(*all));
			break;
		}
		all = more;
		memcpy(all + n, engine_scan_values(scan, 0), rows * sizeof(*all));
		n += rows;
	}
	engine_scan_close(scan);
	if (rc < 0) {
		free(all);
		return rc;
	}
	*days = all;
	*n_days = n;
	return 0;
}

static int write_transactions(struct table_writer *writer, uint64_t first, uint64_t last, struct error *err)
{
	int rc = engine_run(writer->engine, "CREATE OR REPLACE TABLE batch AS SELECT * FROM journal_transactions()",
			    err);
	if (rc < 0)
		return rc;
	_cleanup_free_ char *table_dir = text_printf("%s/transactions_cln", writer->deployment->warehouse_dir);
	if (!table_dir)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	rc = file_make_dirs(table_dir, err);
	int32_t *days = NULL;
	uint32_t n_days = 0;
	if (rc == 0)
		rc = read_days(writer, &days, &n_days, err);
	for (uint32_t i = 0; rc == 0 && i < n_days; i++) {
		char date[11];
		civil_format(days[i], date);
		_cleanup_free_ char *dir = text_printf("%s/data_dt=%s", table_dir, date);
		_cleanup_free_ char *select =
			text_printf("SELECT " TRANSACTION_COLUMNS " FROM batch WHERE data_dt = DATE '%s'", date);
		if (!dir || !select)
			rc = error_no_memory(err, LIMIT_PATH_BYTES);
		if (rc == 0)
			rc = make_partition(table_dir, dir, err);
		if (rc == 0)
			rc = write_file(writer, dir, select, first, last, err);
	}
	free(days);
	if (rc == 0)
		rc = engine_run(writer->engine, "DROP TABLE batch", err);
	return rc;
}

static int write_quarantine(struct table_writer *writer, uint64_t first, uint64_t last, struct error *err)
{
	const int rc = file_make_dirs(writer->deployment->quarantine_dir, err);
	if (rc < 0)
		return rc;
	return write_file(writer, writer->deployment->quarantine_dir, "SELECT * FROM journal_quarantine()", first, last,
			  err);
}

static int count_blocks(struct journal_reader *reader, uint64_t first, uint64_t next, struct block_counts *sum,
			struct error *err)
{
	*sum = (struct block_counts){0};
	for (uint64_t seq = first; seq < next; seq++) {
		struct slice block;
		struct block_counts counts;
		int rc = journal_reader_block(reader, seq, &block, err);
		if (rc == 0)
			rc = block_counts(block, &counts, err);
		if (rc < 0)
			return rc;
		sum->n_lines += counts.n_lines;
		sum->n_quarantined += counts.n_quarantined;
	}
	return 0;
}

int table_writer_write(struct table_writer *writer, struct journal_reader *reader, uint64_t first, uint64_t next,
		       struct error *err)
{
	struct block_counts counts;
	int rc = count_blocks(reader, first, next, &counts, err);
	if (rc == 0)
		rc = open_engine(writer, err);
	if (rc < 0)
		return rc;
	writer->rows.reader = reader;
	writer->rows.first = first;
	writer->rows.next = next;
	if (counts.n_lines)
		rc = write_transactions(writer, first, next - 1, err);
	if (rc == 0 && counts.n_quarantined)
		rc = write_quarantine(writer, first, next - 1, err);
	if (rc < 0)
		return error_prefix(err, "writing the table transactions_cln");
	rc = journal_begin(writer->journal, err);
	if (rc < 0)
		return rc;
	rc = journal_offset_set(writer->journal, TABLE_CONSUMER, next, err);
	if (rc < 0)
		journal_abort(writer->journal);
	else
		rc = journal_commit(writer->journal, err);
	if (rc == 0)
		writer->offset = next;
	return rc;
}
