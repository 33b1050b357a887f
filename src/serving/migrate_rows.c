/*
 * Profiles and events into HBase, out of customers_cln and transactions_cln; and back.
 *
 * Both directions come to a count and a sum of hashes, one of each event's key and bytes in `orders`, in `accounts`, and of each profile. The
 * sum does not depend on the order, and a hash is 64 bits: a cell that is missing, doubled or different changes it.
 */
#include "serving/migrate_internal.h"

#include "base/file.h"
#include "base/limits.h"
#include "batch/customer_tables.h"
#include "cluster/open.h"
#include "engine/engine.h"
#include "serving/event_rows.h"
#include "store/cluster_view.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define ENGINE_MIB 256u

struct digest {
	uint64_t n;
	uint64_t sum;
};

struct rows {
	struct migrate *migrate;
	struct engine *engine;
	struct cells *cells;
	struct cluster_view *view;
	enum customer_id_type id_type;
	struct block_writer writer;
	struct buf bytes; /* key, column and value, to be hashed */
	struct buf value;
	struct digest orders;
	struct digest accounts;
	struct digest profiles;
	/* The event that is put together, whose texts and lines are its own. */
	struct event event;
	struct slice source;
	bool open;
	uint64_t block;
	struct order_line *lines;
	size_t lines_cap;
	char **texts;
	size_t n_texts;
	size_t texts_cap;
};

static int add_digest(struct rows *rows, struct digest *digest, struct slice key, struct slice column,
		      struct slice value, struct error *err)
{
	buf_clear(&rows->bytes);
	if (buf_append(&rows->bytes, key.data, key.len) < 0 || buf_append(&rows->bytes, column.data, column.len) < 0 ||
	    buf_append(&rows->bytes, value.data, value.len) < 0)
		return error_no_memory(err, value.len);
	digest->n++;
	digest->sum += XXH3_64bits(rows->bytes.data, rows->bytes.len);
	return 0;
}

/* --- an event --------------------------------------------------------------------------------------------------------------- */

static int put_event(struct rows *rows, struct error *err)
{
	const struct block_record record = {.kind = BLOCK_EVENT, .line = 1, .event = rows->event};
	/* Each event's own time is its version: the same whenever it is moved. */
	const struct cluster_taken taken = {.record = &record,
					    .source = rows->source,
					    .edge = slice_of(rows->migrate->to->config->cluster.edge),
					    .block = rows->block,
					    .taken_us = rows->event.time_us};
	char column[2 + CLUSTER_EVENT_NAME_BYTES] = "e:";
	struct cluster_key key;
	if (rows->event.customer.guest) {
		rows->migrate->report.guests++;
		return 0;
	}
	rows->migrate->report.events++;
	buf_clear(&rows->value);
	if (cluster_event_write(&taken, &rows->writer, &rows->value) < 0)
		return error_no_memory(err, rows->value.len);
	const struct slice value = {rows->value.data, rows->value.len};
	cluster_event_name(rows->source, &rows->event, column + 2);
	int rc = cluster_key_of(rows->id_type, &rows->event.customer, &key, err);
	if (rc == 0)
		rc = add_digest(rows, &rows->accounts, (struct slice){key.bytes, key.len},
				(struct slice){column, sizeof(column)}, value, err);
	if (rc == 0)
		rc = cluster_order_prefix(rows->id_type, &rows->event.customer, &key, err);
	if (rc < 0)
		return rc;
	memcpy(key.bytes + key.len, column + 2, CLUSTER_EVENT_NAME_BYTES);
	rc = add_digest(rows, &rows->orders, (struct slice){key.bytes, key.len + CLUSTER_EVENT_NAME_BYTES},
			SLICE("o:event"), value, err);
	return rc < 0 ? rc : cluster_view_put_event(rows->view, &taken, err);
}

static void forget_event(struct rows *rows)
{
	for (size_t i = 0; i < rows->n_texts; i++)
		free(rows->texts[i]);
	rows->n_texts = 0;
	rows->open = false;
}

static int finish_event(struct rows *rows, struct error *err)
{
	if (!rows->open)
		return 0;
	rows->event.lines = rows->event.n_lines ? rows->lines : NULL;
	/* What an edge ships has it so. */
	if (rows->event.kind == EVENT_REFUND)
		for (uint32_t i = 0; i < rows->event.n_lines; i++)
			rows->event.amount_minor += rows->lines[i].amount_minor;
	const int rc = put_event(rows, err);
	forget_event(rows);
	return rc;
}

/* --- rows of transactions_cln ----------------------------------------------------------------------------------------------- */

/* A file that has orders alone lacks the columns of other kinds. */
static const char SELECT_ROWS[] = "SELECT " TRANSACTION_COLUMNS " FROM (SELECT * FROM read_parquet(";
static const char OTHER_COLUMNS[] =
	") UNION ALL BY NAME SELECT NULL::VARCHAR AS order_id, NULL::DECIMAL(18,3) AS points, NULL::VARCHAR AS ledger, "
	"NULL::VARCHAR AS reward, NULL::VARCHAR AS reason, NULL::VARCHAR AS decision WHERE false)";

/* Makes a text the event's own, for rows are gone with their batch. */
static int keep_text(struct rows *rows, struct slice *text, struct error *err)
{
	if (text->len == 0)
		return 0;
	if (rows->n_texts == rows->texts_cap) {
		const size_t cap = rows->texts_cap ? 2 * rows->texts_cap : 64;
		char **const texts = realloc(rows->texts, cap * sizeof(*texts));
		if (!texts)
			return error_no_memory(err, cap * sizeof(*texts));
		rows->texts = texts;
		rows->texts_cap = cap;
	}
	char *const copy = slice_dup(*text);
	if (!copy)
		return error_no_memory(err, text->len);
	rows->texts[rows->n_texts++] = copy;
	text->data = copy;
	return 0;
}

static int begin_event(struct rows *rows, struct engine_scan *scan, uint32_t row, struct error *err)
{
	struct event *const event = &rows->event;
	struct slice *const texts[] = {&event->id,     &event->store,  &rows->source,  &event->order_id,
				       &event->ledger, &event->reward, &event->reason, &event->customer.text};
	int rc = event_rows_event(scan, row, rows->id_type, event, &rows->source, err);
	for (size_t i = 0; rc == 0 && i < sizeof(texts) / sizeof(texts[0]); i++)
		rc = keep_text(rows, texts[i], err);
	rows->open = rc == 0;
	return rc;
}

static int add_line(struct rows *rows, struct engine_scan *scan, uint32_t row, struct error *err)
{
	struct event *const event = &rows->event;
	struct order_line line;
	if (!event_rows_line(scan, row, event->kind, &line))
		return 0;
	if (event->n_lines == rows->lines_cap) {
		const size_t cap = rows->lines_cap ? 2 * rows->lines_cap : 16;
		struct order_line *const lines = realloc(rows->lines, cap * sizeof(*lines));
		if (!lines)
			return error_no_memory(err, cap * sizeof(*lines));
		rows->lines = lines;
		rows->lines_cap = cap;
	}
	int rc = keep_text(rows, &line.menu, err);
	if (rc == 0)
		rc = keep_text(rows, &line.sku, err);
	rows->lines[event->n_lines++] = line;
	return rc;
}

static int take_row(struct rows *rows, struct engine_scan *scan, uint32_t row, int32_t *last_line, struct error *err)
{
	const int32_t line_no = event_rows_line_no(scan, row);
	int rc = 0;
	if (line_no == 1) {
		rc = finish_event(rows, err);
		if (rc == 0)
			rc = begin_event(rows, scan, row, err);
	} else if (!rows->open || line_no != *last_line + 1) {
		rc = error_set(err, ERROR_CORRUPT,
			       "transactions_cln has line %" PRId32 " of an event, but not the one before it", line_no);
	}
	*last_line = line_no;
	return rc < 0 ? rc : add_line(rows, scan, row, err);
}

static int put_events_of(struct rows *rows, const struct migrate_file *file, struct error *err)
{
	_cleanup_buf_ struct buf sql = {0};
	struct engine_scan *scan = NULL;
	uint32_t n = 0;
	int32_t last_line = 0;
	rows->block = file->last_block;
	if (buf_append_text(&sql, SELECT_ROWS) < 0 || engine_quote(&sql, file->local) < 0 ||
	    buf_append_text(&sql, OTHER_COLUMNS) < 0 || !buf_text(&sql))
		return error_no_memory(err, sql.len);
	int rc = engine_scan_open(rows->engine, sql.data, &scan, err);
	while (rc == 0 && (rc = engine_scan_next(scan, &n, err)) == 0 && n) {
		for (uint32_t row = 0; rc == 0 && row < n; row++)
			rc = take_row(rows, scan, row, &last_line, err);
		if (rc == 0)
			rc = engine_check_interrupted(err);
	}
	engine_scan_close(scan);
	if (rc == 0)
		rc = finish_event(rows, err);
	forget_event(rows);
	return rc < 0 ? error_prefix(err, "%s", file->local) : 0;
}

/* --- profiles --------------------------------------------------------------------------------------------------------------- */

static int put_profile(void *context, const struct customer_id *id, const struct profile *profile, struct error *err)
{
	struct rows *const rows = context;
	struct cluster_key key;
	buf_clear(&rows->value);
	if (cluster_profile_write(profile, &rows->value) < 0)
		return error_no_memory(err, rows->value.len);
	int rc = cluster_key_of(rows->id_type, id, &key, err);
	if (rc == 0)
		rc = add_digest(rows, &rows->profiles, (struct slice){key.bytes, key.len}, SLICE("p:profile"),
				(struct slice){rows->value.data, rows->value.len}, err);
	/* Version 1: any load on the cluster is newer. */
	return rc < 0 ? rc : cluster_view_put_profile(rows->view, id, profile, 1, err);
}

/* --- reading back ----------------------------------------------------------------------------------------------------------- */

/* Whether it is of the edge's blocks before `next`. */
static int is_moved(struct rows *rows, struct slice value, bool *moved, struct error *err)
{
	struct cluster_event event = {0};
	const int rc = cluster_event_read(value, rows->migrate->to->programme->timezone, &event, err);
	*moved = rc == 0 && slice_is(event.edge, rows->migrate->to->config->cluster.edge) &&
		 event.block < rows->migrate->next_block;
	cluster_event_release(&event);
	return rc;
}

static int read_row(void *context, const struct cells_row *row, struct error *err)
{
	struct rows *const rows = context;
	int rc = 0;
	for (size_t i = 0; i < row->n && rc == 0; i++) {
		const struct cell *const cell = &row->cells[i];
		const bool is_order = slice_is(cell->column, "o:event");
		const bool is_event = cell->column.len > 2 && memcmp(cell->column.data, "e:", 2) == 0;
		bool moved = false;
		if (slice_is(cell->column, "p:profile") && cell->version == 1)
			rc = add_digest(rows, &rows->profiles, row->key, cell->column, cell->value, err);
		if (is_order || is_event)
			rc = is_moved(rows, cell->value, &moved, err);
		if (rc == 0 && moved)
			rc = add_digest(rows, is_order ? &rows->orders : &rows->accounts, row->key, cell->column,
					cell->value, err);
	}
	return rc < 0 ? rc : engine_check_interrupted(err);
}

static int check(const struct digest *put, const struct digest *found, const char *what, struct error *err)
{
	if (put->n == found->n && put->sum == found->sum)
		return 0;
	return error_set(err, ERROR_CORRUPT,
			 "HBase has %" PRIu64 " %s of the %" PRIu64
			 " that were put%s: does anything else write to these "
			 "tables?",
			 found->n, what, put->n, found->n == put->n ? ", and not with the same content" : "");
}

static int read_back(struct rows *rows, struct error *err)
{
	const struct cells_range all = {.limit = 0};
	const struct rows put = *rows;
	rows->orders = rows->accounts = rows->profiles = (struct digest){0};
	int rc = cells_scan(rows->cells, CLUSTER_ORDERS, &all, read_row, rows, err);
	if (rc == 0)
		rc = cells_scan(rows->cells, CLUSTER_ACCOUNTS, &all, read_row, rows, err);
	if (rc == 0)
		rc = check(&put.orders, &rows->orders, "events in orders", err);
	if (rc == 0)
		rc = check(&put.accounts, &rows->accounts, "events in accounts", err);
	return rc < 0 ? rc : check(&put.profiles, &rows->profiles, "profiles", err);
}

/* --- all of it -------------------------------------------------------------------------------------------------------------- */

static int open_systems(struct rows *rows, struct error *err)
{
	const struct deployment *const to = rows->migrate->to;
	const struct engine_options options = {.memory_mib = ENGINE_MIB, .threads = 1, .tmp_dir = to->tmp_dir};
	const int rc = cluster_open_view(to, &rows->cells, &rows->view, err);
	return rc < 0 ? rc : engine_open(&options, &rows->engine, err);
}

static int put_rows(struct rows *rows, struct error *err)
{
	struct migrate *const migrate = rows->migrate;
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < migrate->n_files; i++) {
		const struct migrate_file *const file = &migrate->files[i];
		uint64_t customers = 0;
		if (file->last_block)
			rc = put_events_of(rows, file, err);
		else if (file->customers)
			rc = customer_tables_profiles(rows->engine, file->local, migrate->to->config->customer_id,
						      put_profile, rows, &customers, err);
		migrate->report.customers += customers;
	}
	return rc < 0 ? rc : cluster_view_flush(rows->view, err);
}

int migrate_rows(struct migrate *migrate, struct error *err)
{
	struct rows rows = {.migrate = migrate, .id_type = migrate->to->config->customer_id};
	int rc = open_systems(&rows, err);
	if (rc == 0)
		rc = put_rows(&rows, err);
	if (rc == 0)
		rc = read_back(&rows, err);
	forget_event(&rows);
	free(rows.texts);
	free(rows.lines);
	block_writer_release(&rows.writer);
	buf_release(&rows.bytes);
	buf_release(&rows.value);
	engine_close(rows.engine);
	cluster_view_close(rows.view);
	cells_close(rows.cells);
	return rc;
}
