#include "speed/table_files.h"

#include "base/limits.h"
#include "base/tz.h"
#include "batch/parquet.h"
#include "engine/engine.h"
#include "speed/rows.h"
#include "store/block.h"

#include <stdlib.h>
#include <unistd.h>

struct table_files {
	const struct deployment *deployment;
	struct engine *engine; /* opened with the first write */
	struct journal_rows rows;
	char *staged;
};

int table_files_open(const struct deployment *deployment, struct table_files **out, struct error *err)
{
	struct table_files *const files = calloc(1, sizeof(*files));
	if (!files)
		return error_no_memory(err, sizeof(*files));
	files->deployment = deployment;
	files->rows.deployment = deployment;
	files->staged = text_printf("%s/rows.parquet", deployment->tmp_dir);
	if (!files->staged) {
		table_files_close(files);
		return error_no_memory(err, LIMIT_PATH_BYTES);
	}
	*out = files;
	return 0;
}

void table_files_close(struct table_files *files)
{
	if (!files)
		return;
	engine_close(files->engine);
	free(files->staged);
	free(files);
}

void table_files_rest(struct table_files *files)
{
	engine_close(files->engine);
	files->engine = NULL;
}

static int open_engine(struct table_files *files, struct error *err)
{
	if (files->engine)
		return 0;
	const struct config *const config = files->deployment->config;
	const struct engine_options options = {.memory_mib = config->engine_memory_mib,
					       .threads = 1, /* the journal is read by one */
					       .tmp_dir = files->deployment->tmp_dir};
	struct engine *engine = NULL;
	int rc = engine_open(&options, &engine, err);
	if (rc == 0)
		rc = journal_rows_register(&files->rows, engine, err);
	if (rc < 0) {
		engine_close(engine);
		return rc;
	}
	files->engine = engine;
	return 0;
}

static int write_file(struct table_files *files, const char *columns, const char *from, struct error *err)
{
	_cleanup_buf_ struct buf sql = {0};
	if (buf_printf(&sql, "COPY (SELECT %s FROM %s) TO ", columns, from) < 0 ||
	    engine_quote(&sql, files->staged) < 0 || buf_append_text(&sql, " (" PARQUET_OPTIONS ")") < 0 ||
	    !buf_text(&sql))
		return error_no_memory(err, LIMIT_PATH_BYTES);
	return engine_run(files->engine, sql.data, err);
}

static int hand_over(const struct table_files *files, table_files_take *take, void *context, int32_t day,
		     struct error *err)
{
	const int rc = take(context, files->staged, day, err);
	(void)unlink(files->staged); /* unless it was renamed */
	return rc;
}

/* The rows of each day in the order of the journal: the lines of an order stay together. The batch layer relies on it. */
static int write_days(struct table_files *files, table_files_take *take, void *context, struct error *err)
{
	struct journal_rows *const rows = &files->rows;
	struct day_index *days = NULL;
	int rc = day_index_make(rows->reader, rows->first, rows->next, files->deployment->programme->timezone, &days,
				err);
	rows->days = days;
	for (uint32_t i = 0; rc == 0 && i < days->n_days; i++) {
		rows->day = i;
		if (!day_index_count(days, i))
			continue;
		rc = write_file(files, days->only_orders ? ORDER_COLUMNS : TRANSACTION_COLUMNS,
				"journal_transactions()", err);
		if (rc == 0)
			rc = hand_over(files, take, context, days->first_day + (int32_t)i, err);
	}
	rows->days = NULL;
	day_index_free(days);
	return rc;
}

int table_files_write(struct table_files *files, struct journal_reader *reader, uint64_t first, uint64_t next,
		      table_files_take *take, void *context, struct error *err)
{
	struct block_counts counts = {0};
	int rc = journal_reader_count(reader, first, next, UINT64_MAX, &counts, NULL, err);
	if (rc == 0)
		rc = open_engine(files, err);
	if (rc < 0)
		return rc;
	files->rows.reader = reader;
	files->rows.first = first;
	files->rows.next = next;
	if (counts.n_lines)
		rc = write_days(files, take, context, err);
	if (rc == 0 && counts.n_quarantined)
		rc = write_file(files, QUARANTINE_COLUMNS, "journal_quarantine()", err);
	if (rc == 0 && counts.n_quarantined)
		rc = hand_over(files, take, context, DAY_MIN, err);
	return rc;
}
