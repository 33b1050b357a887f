/*
 * Rows out of the engine and through sorters: several readers, each with an engine of one thread, a share of the files, and a
 * sorter, so that reading and sorting keeps all cores busy. In the end their sorted runs are merged as one.
 */
#include "batch/history_internal.h"

#include "batch/committed.h"
#include "batch/history_record.h"
#include "batch/history_sort.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* Of the engine's memory, rows have so much before they are spilled: while they come, the engine needs little of it. */
#define SORTER_PART 2u
#define MIB         ((size_t)1024 * 1024)
/* A reader more is worth its engine for so many rows, and must have so much memory. */
#define READER_ROWS       500000u
#define READER_MEMORY_MIB 64u
#define READERS_MAX       16u
#define SETTINGS_BYTES    64u

enum column {
	COLUMN_CUSTOMER,
	COLUMN_TIME,
	COLUMN_META,
	COLUMN_AMOUNT,
	COLUMN_ID,
	COLUMN_TAG,
	COLUMN_QTY, /* this and the next ones only where the programme names items */
	COLUMN_MENU,
	COLUMN_SKU,
};

struct reader_thread {
	struct history_rows *rows;
	struct history_cursor cursor;
	struct row_sorter *sorter;
	pthread_t thread;
	int rc;
	struct error error;
};

struct history_rows {
	const struct deployment *deployment;
	const struct history_options *options;
	const struct id_list *customers;
	bool items; /* their columns are read, too */
	struct reader_thread readers[READERS_MAX];
	unsigned n_readers; /* 0: there are no files */
	atomic_bool stopped;
};

/* ---- what is read ---- */

/* Columns that a file of an earlier release may lack. */
#define NEWER_COLUMNS                                                                                       \
	"NULL::VARCHAR AS order_id, NULL::DECIMAL(18,3) AS points, NULL::VARCHAR AS ledger, NULL::VARCHAR " \
	"AS reward, NULL::VARCHAR AS decision"

/* One number for the line, the kind and the decision; see enum row_kind. */
#define META                                                                                                   \
	"CAST(greatest(0, least(coalesce(line_no, 0), 10000000)) * 16 + CASE kind WHEN 'order' THEN 0 WHEN "   \
	"'refund' THEN CASE WHEN odr_qty IS NULL THEN 4 ELSE 1 END WHEN 'redeem' THEN 2 WHEN 'adjust' THEN 3 " \
	"ELSE 7 END + CASE WHEN decision = 'declined' THEN 8 ELSE 0 END AS INTEGER)"

#define TAG                                                                                                 \
	"CASE WHEN kind = 'order' THEN source ELSE source || ' ' || CAST(CAST(CAST(coalesce(points, 0) AS " \
	"DECIMAL(38,3)) * 1000 AS BIGINT) AS VARCHAR) || ' ' || strlen(coalesce(order_id, '')) || ' ' || "  \
	"strlen(coalesce(ledger, '')) || "                                                                  \
	"' ' || strlen(coalesce(reward, '')) || ' ' || coalesce(order_id, '') || coalesce(ledger, '') || "  \
	"coalesce(reward, '') END"

static int append_range(struct buf *sql, const struct programme *programme, const struct history_options *options)
{
	int rc = 0;
	if (options->from_day != DAY_MIN)
		rc = buf_printf(sql, " AND odr_tms >= make_timestamp(%lld)",
				(long long)programme_day_start(programme, options->from_day));
	if (rc == 0 && options->until_day != DAY_MAX)
		rc = buf_printf(sql, " AND odr_tms < make_timestamp(%lld)",
				(long long)programme_day_start(programme, options->until_day + 1));
	return rc;
}

/* Files of days that cannot have events of the range are not opened. */
static struct committed_range file_range(const struct history_options *options)
{
	struct committed_range range = {.offset = options->offset, .first_day = DAY_MIN, .last_day = DAY_MAX};
	if (options->from_day > DAY_MIN + COMMITTED_ZONE_DAYS)
		range.first_day = options->from_day - COMMITTED_ZONE_DAYS;
	if (options->until_day < DAY_MAX - COMMITTED_ZONE_DAYS)
		range.last_day = options->until_day + COMMITTED_ZONE_DAYS;
	return range;
}

/* Of n readers the one has each n-th file: so all have their share of each day's. */
static int append_rows_sql(const struct history_rows *rows, const struct programme *programme, const char *files,
			   unsigned reader, struct buf *sql)
{
	if (buf_printf(sql,
		       "SELECT cust_id, odr_tms, " META ", coalesce(odr_amt, 0)::DECIMAL(18,2), event_id, " TAG
		       "%s FROM (SELECT * FROM read_parquet((%s)[%u:-:%u], union_by_name = true) UNION ALL BY NAME "
		       "SELECT " NEWER_COLUMNS " WHERE false) WHERE cust_id IS NOT NULL",
		       rows->items ? ", coalesce(odr_qty, 0)::DECIMAL(18,3), odr_menu, odr_sku" : "", files, reader + 1,
		       rows->n_readers) < 0 ||
	    append_range(sql, programme, rows->options) < 0 ||
	    (rows->options->customers &&
	     buf_append_text(sql, " AND cust_id IN (SELECT cust_id FROM history_customers())") < 0) ||
	    !buf_text(sql))
		return ERROR_NO_MEMORY;
	return 0;
}

/* ---- opening ---- */

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* As many as have work and memory. */
static unsigned count_readers(const struct history_rows *rows, unsigned n_files, uint64_t n_rows)
{
	const struct history_options *const options = rows->options;
	const uint64_t enough = options->threads ? options->threads : 1 + n_rows / READER_ROWS;
	unsigned n = least(history_threads(rows->deployment, options), least(n_files, READERS_MAX));
	n = least(n, rows->deployment->config->engine_memory_mib / READER_MEMORY_MIB);
	return n == 0 ? 1 : enough < n ? (unsigned)enough : n;
}

static int open_engine(struct history_rows *rows, unsigned reader, unsigned n_readers, struct error *err)
{
	return history_open_engine(rows->deployment, rows->options, rows->customers,
				   rows->deployment->config->engine_memory_mib / n_readers,
				   history_threads(rows->deployment, rows->options) / n_readers,
				   &rows->readers[reader].cursor.engine, err);
}

/* The first one's, which had all memory and threads. */
static int shrink_engine(struct history_rows *rows, struct error *err)
{
	char sql[SETTINGS_BYTES];
	snprintf(sql, sizeof(sql), "SET memory_limit = '%uMiB'; SET threads = %u",
		 rows->deployment->config->engine_memory_mib / rows->n_readers,
		 history_threads(rows->deployment, rows->options) / rows->n_readers);
	return engine_run(rows->readers[0].cursor.engine, sql, err);
}

static int open_sorter(const struct history_rows *rows, struct reader_thread *reader, struct error *err)
{
	const struct deployment *const deployment = rows->deployment;
	return row_sorter_open(
		deployment->config->customer_id, rows->options->tmp_dir ? rows->options->tmp_dir : deployment->tmp_dir,
		deployment->config->engine_memory_mib * MIB / SORTER_PART / rows->n_readers, &reader->sorter, err);
}

/* The first one's engine counts the rows, and then it is known how many there are. */
static int open_readers(struct history_rows *rows, const char *files, unsigned n_files, uint64_t *total,
			struct error *err)
{
	_cleanup_buf_ struct buf sql = {0};
	if (buf_printf(&sql, "SELECT count(*) FROM read_parquet(%s)", files) < 0 || !buf_text(&sql))
		return error_no_memory(err, sql.len);
	int64_t n_rows = 0;
	rows->n_readers = 1;
	int rc = open_engine(rows, 0, 1, err);
	if (rc == 0)
		rc = engine_run_int64(rows->readers[0].cursor.engine, sql.data, &n_rows, err);
	if (rc < 0)
		return rc;
	*total = (uint64_t)n_rows;
	rows->n_readers = count_readers(rows, n_files, *total);
	if (rows->n_readers > 1)
		rc = shrink_engine(rows, err);
	for (unsigned i = 0; rc == 0 && i < rows->n_readers; i++) {
		struct reader_thread *const reader = &rows->readers[i];
		reader->rows = rows;
		reader->cursor.id_type = rows->deployment->config->customer_id;
		if (i > 0)
			rc = open_engine(rows, i, rows->n_readers, err);
		/* The sorter takes rows in any order. */
		if (rc == 0)
			rc = engine_run(reader->cursor.engine, "SET preserve_insertion_order = false", err);
		if (rc == 0)
			rc = open_sorter(rows, reader, err);
	}
	return rc;
}

int history_rows_open(const struct deployment *deployment, const struct programme *programme,
		      const struct history_options *options, const struct id_list *customers, bool items,
		      struct history_rows **out, uint64_t *total, struct error *err)
{
	struct history_rows *const rows = calloc(1, sizeof(*rows));
	if (!rows)
		return error_no_memory(err, sizeof(*rows));
	rows->deployment = deployment;
	rows->options = options;
	rows->customers = customers;
	rows->items = items;
	atomic_init(&rows->stopped, false);
	const struct committed_range range = file_range(options);
	_cleanup_buf_ struct buf files = {0};
	unsigned n_files = 0;
	int rc = committed_files(deployment, &range, &files, &n_files, err);
	if (rc == 0 && !buf_text(&files))
		rc = error_no_memory(err, files.len);
	if (rc == 0 && n_files > 0)
		rc = open_readers(rows, files.data, n_files, total, err);
	for (unsigned i = 0; rc == 0 && i < rows->n_readers; i++)
		if (append_rows_sql(rows, programme, files.data, i, &rows->readers[i].cursor.sql) < 0)
			rc = error_no_memory(err, files.len);
	if (rc < 0)
		history_rows_close(rows);
	else
		*out = rows;
	return rc;
}

void history_rows_close(struct history_rows *rows)
{
	if (!rows)
		return;
	/* The first sorter has runs of the others. */
	for (unsigned i = 0; i < rows->n_readers; i++) {
		row_sorter_close(rows->readers[i].sorter);
		history_cursor_close(&rows->readers[i].cursor);
	}
	free(rows);
}

void history_rows_interrupt(struct history_rows *rows)
{
	for (unsigned i = 0; i < rows->n_readers; i++)
		engine_interrupt(rows->readers[i].cursor.engine);
}

/* ---- through the sorters ---- */

static struct slice text_at(const struct history_cursor *cursor, unsigned column)
{
	return engine_scan_is_null(cursor->scan, column, cursor->at)
		       ? (struct slice){NULL, 0}
		       : engine_scan_text(cursor->scan, column, cursor->at);
}

static int64_t number_at(const struct history_cursor *cursor, unsigned column)
{
	return ((const int64_t *)engine_scan_values(cursor->scan, column))[cursor->at];
}

static int sort_row(struct reader_thread *reader, struct error *err)
{
	const struct history_cursor *const cursor = &reader->cursor;
	const bool items = reader->rows->items;
	const struct customer_id customer = history_cursor_id(cursor);
	const struct row_values row = {
		.time_us = number_at(cursor, COLUMN_TIME),
		.amount_minor = number_at(cursor, COLUMN_AMOUNT),
		.qty_milli = items ? number_at(cursor, COLUMN_QTY) : 0,
		.meta = (uint32_t)((const int32_t *)engine_scan_values(cursor->scan, COLUMN_META))[cursor->at],
		.id = text_at(cursor, COLUMN_ID),
		.tag = text_at(cursor, COLUMN_TAG),
		.menu = items ? text_at(cursor, COLUMN_MENU) : (struct slice){NULL, 0},
		.sku = items ? text_at(cursor, COLUMN_SKU) : (struct slice){NULL, 0},
	};
	if (engine_scan_is_null(cursor->scan, COLUMN_TIME, cursor->at) || !row_texts_fit(&row))
		return error_set(
			err, ERROR_CORRUPT,
			"transactions_cln has an event without an id, a time or a source, or with one that is too "
			"long: its files were changed by somebody else; put them back from a backup");
	char *p;
	const int rc = row_sorter_room(reader->sorter, &customer, history_record_most(&row), &p, err);
	if (rc == 0)
		row_sorter_add(reader->sorter, &customer, history_record_put(p, &row));
	return rc;
}

static int sort_rows(struct reader_thread *reader, struct error *err)
{
	struct history_cursor *const cursor = &reader->cursor;
	int rc = history_cursor_settle(cursor, err);
	while (rc == 0 && !cursor->ended && !atomic_load(&reader->rows->stopped)) {
		for (; rc == 0 && cursor->at < cursor->rows; cursor->at++)
			rc = sort_row(reader, err);
		if (rc == 0)
			rc = history_cursor_settle(cursor, err);
	}
	/* What is left of the statement is in nobody's way. */
	engine_scan_close(cursor->scan);
	cursor->scan = NULL;
	return rc;
}

static void *read_rows(void *argument)
{
	struct reader_thread *const reader = argument;
	reader->rc = sort_rows(reader, &reader->error);
	if (reader->rc < 0)
		atomic_store(&reader->rows->stopped, true);
	return NULL;
}

int history_rows_sort(struct history_rows *rows, struct row_sorter **sorted, struct error *err)
{
	*sorted = NULL;
	if (rows->n_readers == 0)
		return 0;
	/* The first one, and any that no thread can be had for, work here. */
	bool started[READERS_MAX] = {false};
	for (unsigned i = 1; i < rows->n_readers; i++)
		started[i] = pthread_create(&rows->readers[i].thread, NULL, read_rows, &rows->readers[i]) == 0;
	for (unsigned i = 0; i < rows->n_readers; i++)
		if (!started[i])
			read_rows(&rows->readers[i]);
	for (unsigned i = 1; i < rows->n_readers; i++)
		if (started[i])
			pthread_join(rows->readers[i].thread, NULL);
	struct row_sorter *const sorter = rows->readers[0].sorter;
	int rc = 0;
	for (unsigned i = 0; rc == 0 && i < rows->n_readers; i++) {
		rc = rows->readers[i].rc;
		if (rc < 0 && err)
			*err = rows->readers[i].error;
		if (rc == 0 && i > 0)
			rc = row_sorter_join(sorter, rows->readers[i].sorter, err);
	}
	if (rc == 0)
		rc = row_sorter_finish(sorter, err);
	if (rc == 0)
		*sorted = sorter;
	return rc;
}
