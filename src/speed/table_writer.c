#include "speed/table_writer.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/tz.h"
#include "batch/committed.h"
#include "speed/table_files.h"

#include <stdlib.h>
#include <string.h>

struct table_writer {
	const struct deployment *deployment;
	struct journal *journal;
	struct table_files *files;
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
	int rc = table_files_open(deployment, &writer->files, err);
	if (rc == 0)
		rc = table_writer_recover(writer, err);
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
	table_files_close(writer->files);
	free(writer);
}

uint64_t table_writer_offset(const struct table_writer *writer)
{
	return writer->offset;
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

struct publishing {
	const struct deployment *deployment;
	uint64_t first; /* blocks */
	uint64_t last;
	bool has_days;
};

static int publish_file(void *context, const char *staged, int32_t day, struct error *err)
{
	struct publishing *const p = context;
	char date[11];
	if (day != DAY_MIN)
		civil_format(day, date);
	_cleanup_free_ char *dir =
		day == DAY_MIN ? strdup(p->deployment->quarantine_dir)
			       : text_printf("%s/transactions_cln/data_dt=%s", p->deployment->warehouse_dir, date);
	if (!dir)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	p->has_days = p->has_days || day != DAY_MIN;
	const int rc = file_make_dirs(dir, err);
	return rc < 0 ? rc : publish(staged, dir, p->first, p->last, err);
}

static int write_files(struct table_writer *writer, struct journal_reader *reader, uint64_t first, uint64_t next,
		       struct error *err)
{
	struct publishing p = {.deployment = writer->deployment, .first = first, .last = next - 1};
	const int rc = table_files_write(writer->files, reader, first, next, publish_file, &p, err);
	if (rc < 0 || !p.has_days)
		return rc;
	/* Partitions that a writer made before it was killed are durable with these. */
	_cleanup_free_ char *table_dir = text_printf("%s/transactions_cln", writer->deployment->warehouse_dir);
	return table_dir ? file_sync_dir(table_dir, err) : error_no_memory(err, LIMIT_PATH_BYTES);
}

void table_writer_rest(struct table_writer *writer)
{
	table_files_rest(writer->files);
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
	int rc = write_files(writer, reader, first, next, err);
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
