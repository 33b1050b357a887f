#include "speed/table_writer.h"

#include "base/file.h"
#include "base/limits.h"
#include "batch/committed.h"
#include "engine/engine.h"
#include "speed/rows.h"
#include "store/block.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

/* The fast level: files are a fifth of the text, and written once. */
#define PARQUET_OPTIONS "COMPRESSION zstd, COMPRESSION_LEVEL 1"

/* Up to so many days are written in one pass. */
#define FEW_DAYS 30u
#define DAY_US   INT64_C(86400000000)

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

static int make_partition(const char *table_dir, const char *dir, struct error *err)
{
	if (file_exists(dir))
		return 0;
	const int rc = file_make_dirs(dir, err);
	return rc < 0 ? rc : file_sync_dir(table_dir, err);
}

/* Publishes the one file of a staged partition, `data_dt=yyyy-mm-dd`. */
static int publish_partition(const char *staging, const char *table_dir, const char *partition, uint64_t first,
			     uint64_t last, struct error *err)
{
	_cleanup_free_ char *from = text_printf("%s/%s/orders_0.parquet", staging, partition);
	_cleanup_free_ char *second = text_printf("%s/%s/orders_1.parquet", staging, partition);
	_cleanup_free_ char *dir = text_printf("%s/%s", table_dir, partition);
	if (!from || !second || !dir)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	if (file_exists(second))
		return error_set(err, ERROR_SQL, "the engine wrote two files for %s, where one is expected", partition);
	const int rc = make_partition(table_dir, dir, err);
	return rc < 0 ? rc : publish(from, dir, first, last, err);
}

static int publish_partitions(const char *staging, const char *table_dir, uint64_t first, uint64_t last,
			      struct error *err)
{
	struct dirent **entries = NULL;
	const int n = scandir(staging, &entries, NULL, alphasort);
	if (n < 0)
		return error_errno(err, errno, "cannot list %s", staging);
	int rc = 0;
	for (int i = 0; i < n; i++) {
		const char *const name = entries[i]->d_name;
		if (rc == 0 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
			rc = publish_partition(staging, table_dir, name, first, last, err);
		free(entries[i]);
	}
	free(entries);
	return rc;
}

/* Writes the rows of a SELECT (all columns with data_dt; few days of it, since the engine keeps buffers for each partition)
 * into their partitions. */
static int write_days(struct table_writer *writer, const char *select, const char *staging, const char *table_dir,
		      uint64_t first, uint64_t last, struct error *err)
{
	_cleanup_buf_ struct buf sql = {0};
	if (buf_printf(&sql, "COPY (%s) TO ", select) < 0 || engine_quote(&sql, staging) < 0 ||
	    buf_append_text(&sql, " (FORMAT parquet, " PARQUET_OPTIONS
				  ", PARTITION_BY (data_dt), FILENAME_PATTERN 'orders_{i}')") < 0 ||
	    !buf_text(&sql))
		return error_no_memory(err, LIMIT_PATH_BYTES);
	int rc = file_remove_tree(staging, err);
	if (rc == 0)
		rc = engine_run(writer->engine, sql.data, err);
	if (rc == 0)
		rc = publish_partitions(staging, table_dir, first, last, err);
	return rc < 0 ? rc : file_remove_tree(staging, err);
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

/* Many days (years that are loaded at once): the batch becomes a table, and some of its days are written at a time. */
static int write_many_days(struct table_writer *writer, const char *staging, const char *table_dir, uint64_t first,
			   uint64_t last, struct error *err)
{
	int32_t *days = NULL;
	uint32_t n_days = 0;
	int rc = engine_run(writer->engine, "CREATE OR REPLACE TABLE batch AS SELECT * FROM journal_transactions()",
			    err);
	if (rc == 0)
		rc = read_days(writer, &days, &n_days, err);
	for (uint32_t i = 0; rc == 0 && i < n_days; i += FEW_DAYS) {
		const uint32_t end = i + FEW_DAYS < n_days ? i + FEW_DAYS : n_days;
		char from[11];
		char to[11];
		civil_format(days[i], from);
		civil_format(days[end - 1], to);
		_cleanup_free_ char *select =
			text_printf("SELECT * FROM batch WHERE data_dt BETWEEN DATE '%s' AND DATE '%s'", from, to);
		rc = select ? write_days(writer, select, staging, table_dir, first, last, err)
			    : error_no_memory(err, LIMIT_PATH_BYTES);
	}
	free(days);
	return rc < 0 ? rc : engine_run(writer->engine, "DROP TABLE batch", err);
}

/*
 * The rows come from one thread and go to one file a partition in their order, so the lines of an order stay together: the
 * batch layer relies on it, and checks it.
 */
static int write_transactions(struct table_writer *writer, const struct block_counts *counts, uint64_t first,
			      uint64_t last, struct error *err)
{
	_cleanup_free_ char *staging = text_printf("%s/transactions_cln", writer->deployment->tmp_dir);
	_cleanup_free_ char *table_dir = text_printf("%s/transactions_cln", writer->deployment->warehouse_dir);
	if (!staging || !table_dir)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	const int rc = file_make_dirs(table_dir, err);
	if (rc < 0)
		return rc;
	if (counts->last_time_us - counts->first_time_us < (int64_t)(FEW_DAYS - 1) * DAY_US)
		return write_days(writer, "SELECT * FROM journal_transactions()", staging, table_dir, first, last, err);
	return write_many_days(writer, staging, table_dir, first, last, err);
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

static int count_blocks(struct journal_reader *reader, uint64_t first, uint64_t next, struct block_counts *sum,
			struct error *err)
{
	*sum = (struct block_counts){.first_time_us = INT64_MAX, .last_time_us = INT64_MIN};
	for (uint64_t seq = first; seq < next; seq++) {
		struct slice block;
		struct block_counts counts;
		int rc = journal_reader_block(reader, seq, &block, err);
		if (rc == 0)
			rc = block_counts(block, &counts, err);
		if (rc < 0)
			return rc;
		if (counts.first_time_us < sum->first_time_us)
			sum->first_time_us = counts.first_time_us;
		if (counts.last_time_us > sum->last_time_us)
			sum->last_time_us = counts.last_time_us;
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
		rc = write_transactions(writer, &counts, first, next - 1, err);
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
