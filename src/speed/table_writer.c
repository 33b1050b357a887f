#include "speed/table_writer.h"

#include "base/file.h"
#include "base/limits.h"
#include "batch/committed.h"
#include "engine/engine.h"
#include "speed/rows.h"
#include "store/block.h"

#include <stdlib.h>

/* The fast level: files are a fifth of the text, and written once. What has more values than that gains nothing by a dictionary:
 * ids, times and customers, for which the engine would make one first, of a fifth of all rows, and then drop it. */
#define PARQUET_OPTIONS "COMPRESSION zstd, COMPRESSION_LEVEL 1, DICTIONARY_SIZE_LIMIT 2048"

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
	const int rc = table_writer_recover(writer, err);
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

static int open_engine(struct table_writer *writer, struct error *err)
{
	if (writer->engine)
		return 0;
	const struct config *const config = writer->deployment->config;
	const struct engine_options options = {.memory_mib = config->engine_memory_mib,
					       .threads = 1, /* the journal is read by one */
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

/* Flushes <from> and gives it the name <dir>/orders-<first>-<last>.parquet. */
static int publish(const char *from, const char *dir, uint64_t first, uint64_t last, struct error *err)
{
	_cleanup_free_ char *path = text_printf("%s/orders-%012llu-%012llu.parquet", dir, (unsigned long long)first,
						(unsigned long long)last);
	if (!path)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	const int rc = file_sync_path(from, err);
	return rc < 0 ? rc : file_rename(from, path, err);
}

/* The rows of one day, in the order of the journal: the lines of an order stay together. The batch layer relies on it. */
static int write_day(struct table_writer *writer, int32_t day, const char *table_dir, uint64_t first, uint64_t last,
		     struct error *err)
{
	char date[11];
	civil_format(day, date);
	_cleanup_free_ char *dir = text_printf("%s/data_dt=%s", table_dir, date);
	_cleanup_free_ char *staged = text_printf("%s/transactions_cln.parquet", writer->deployment->tmp_dir);
	_cleanup_buf_ struct buf sql = {0};
	if (!dir || !staged ||
	    buf_printf(&sql, "COPY (SELECT %s FROM journal_transactions()) TO ",
		       writer->rows.days->only_orders ? ORDER_COLUMNS : TRANSACTION_COLUMNS) < 0 ||
	    engine_quote(&sql, staged) < 0 || buf_append_text(&sql, " (FORMAT parquet, " PARQUET_OPTIONS ")") < 0 ||
	    !buf_text(&sql))
		return error_no_memory(err, LIMIT_PATH_BYTES);
	int rc = engine_run(writer->engine, sql.data, err);
	if (rc == 0)
		rc = file_make_dirs(dir, err);
	return rc < 0 ? rc : publish(staged, dir, first, last, err);
}

static int write_transactions(struct table_writer *writer, uint64_t first, uint64_t last, struct error *err)
{
	_cleanup_free_ char *table_dir = text_printf("%s/transactions_cln", writer->deployment->warehouse_dir);
	struct day_index *days = NULL;
	if (!table_dir)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	int rc = file_make_dirs(table_dir, err);
	if (rc == 0)
		rc = day_index_make(writer->rows.reader, first, last + 1, writer->deployment->programme->timezone,
				    &days, err);
	writer->rows.days = days;
	for (uint32_t i = 0; rc == 0 && i < days->n_days; i++) {
		writer->rows.day = i;
		if (day_index_count(days, i))
			rc = write_day(writer, days->first_day + (int32_t)i, table_dir, first, last, err);
	}
	writer->rows.days = NULL;
	day_index_free(days);
	/* Partitions that a writer made before it was killed are durable with these. */
	return rc < 0 ? rc : file_sync_dir(table_dir, err);
}

static int write_quarantine(struct table_writer *writer, uint64_t first, uint64_t last, struct error *err)
{
	_cleanup_free_ char *staged = text_printf("%s/quarantine.parquet", writer->deployment->tmp_dir);
	_cleanup_buf_ struct buf sql = {0};
	if (!staged || buf_append_text(&sql, "COPY (SELECT * FROM journal_quarantine()) TO ") < 0 ||
	    engine_quote(&sql, staged) < 0 || buf_append_text(&sql, " (FORMAT parquet, " PARQUET_OPTIONS ")") < 0 ||
	    !buf_text(&sql))
		return error_no_memory(err, LIMIT_PATH_BYTES);
	int rc = engine_run(writer->engine, sql.data, err);
	if (rc == 0)
		rc = file_make_dirs(writer->deployment->quarantine_dir, err);
	return rc < 0 ? rc : publish(staged, writer->deployment->quarantine_dir, first, last, err);
}

void table_writer_rest(struct table_writer *writer)
{
	engine_close(writer->engine);
	writer->engine = NULL;
}

int table_writer_recover(struct table_writer *writer, struct error *err)
{
	struct journal_reader *reader = NULL;
	uint64_t first;
	uint64_t next = 0;
	table_writer_rest(writer);
	int rc = journal_reader_open(writer->journal, &reader, err);
	if (rc == 0)
		rc = journal_reader_offset(reader, TABLE_CONSUMER, &writer->offset, err);
	if (rc == 0)
		rc = journal_reader_range(reader, &first, &next, err);
	journal_reader_close(reader);
	return rc < 0 ? rc : committed_clean(writer->deployment, writer->offset, next, err);
}

int table_writer_write(struct table_writer *writer, struct journal_reader *reader, uint64_t first, uint64_t next,
		       struct error *err)
{
	struct block_counts counts = {0};
	int rc = journal_reader_count(reader, first, next, UINT64_MAX, &counts, NULL, err);
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
