/*
 * Lines as rows of a table in a cluster's HBase (store/cells.h), as sink_rows makes them on this machine: by the line's place, behind the
 * edge's name, since several may have sources and files of the same names; with the time of its block as the version. What is put again
 * after a crash, or an answer that never came, is the same cell.
 */
#include "base/limits.h"
#include "cluster/open.h"
#include "speed/sink.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define PUTS_MOST      1000u
#define PUT_BYTES_MOST ((size_t)4 << 20)

struct rows {
	struct cells *cells;
	char *table;      /* without its namespace */
	char *family;     /* of the column */
	bool ensured;     /* the table is there */
	struct buf bytes; /* keys and values of the puts, one behind the other */
	struct place {
		size_t key_len;
		size_t value_len;
		int64_t version;
	} places[PUTS_MOST];
	unsigned n;
};

static void close_rows(struct sink *sink)
{
	struct rows *const rows = sink->state;
	if (!rows)
		return;
	cells_close(rows->cells);
	buf_release(&rows->bytes);
	free(rows->table);
	free(rows->family);
	free(rows);
	sink->state = NULL;
}

/* A name of Flume's is the table's own, perhaps with a namespace ("shop:orders"). Sends nothing. */
static int open_rows(struct sink *sink, struct slice rest, struct error *err)
{
	struct rows *const rows = calloc(1, sizeof(*rows));
	(void)rest;
	if (!rows)
		return error_no_memory(err, sizeof(*rows));
	sink->state = rows;
	const char *const colon = strrchr(sink->table, ':');
	_cleanup_free_ char *prefix = strndup(sink->table, colon ? (size_t)(colon + 1 - sink->table) : 0);
	rows->table = strdup(colon ? colon + 1 : sink->table);
	rows->family = strndup(sink->column, strcspn(sink->column, ":"));
	if (!prefix || !rows->table || !rows->family)
		return error_no_memory(err, strlen(sink->table));
	return cluster_open_tables(sink->deployment, prefix, &rows->cells, err);
}

static int begin(struct sink *sink, uint64_t first, uint64_t next, struct error *err)
{
	struct rows *const rows = sink->state;
	(void)first;
	(void)next;
	buf_clear(&rows->bytes);
	rows->n = 0;
	if (rows->ensured)
		return 0;
	const char *const families[] = {rows->family, NULL};
	const int rc = cells_ensure(rows->cells, rows->table, families, err);
	rows->ensured = rc == 0;
	return rc;
}

static int put_rows(struct sink *sink, struct error *err)
{
	struct rows *const rows = sink->state;
	if (!rows->n)
		return 0;
	struct cells_put *const puts = calloc(rows->n, sizeof(*puts));
	if (!puts)
		return error_no_memory(err, rows->n * sizeof(*puts));
	const char *at = rows->bytes.data;
	for (unsigned i = 0; i < rows->n; i++) {
		const struct place *const place = &rows->places[i];
		puts[i] = (struct cells_put){.key = {at, place->key_len},
					     .column = slice_of(sink->column),
					     .version = place->version,
					     .value = {at + place->key_len, place->value_len}};
		at += place->key_len + place->value_len;
	}
	const int rc = cells_put(rows->cells, rows->table, puts, rows->n, err);
	free(puts);
	buf_clear(&rows->bytes);
	rows->n = 0;
	return rc;
}

static int put_line(struct sink *sink, const struct sink_line *line, struct error *err)
{
	struct rows *const rows = sink->state;
	/* As the event's source and id: two sources may have files of the same name. */
	char key[3 * LIMIT_EVENT_ID_BYTES + 32];
	const int len =
		snprintf(key, sizeof(key), "%s/%.*s/%.*s:%" PRIu64, sink->deployment->config->cluster.edge,
			 (int)line->source.len, line->source.data, (int)line->file.len, line->file.data, line->line);
	if (len < 0 || (size_t)len >= sizeof(key))
		return error_set(err, ERROR_CORRUPT, "a block names source and file by more than %zu bytes",
				 sizeof(key));
	if (buf_append(&rows->bytes, key, (size_t)len) < 0 ||
	    buf_append(&rows->bytes, line->text.data, line->text.len) < 0)
		return error_no_memory(err, line->text.len);
	rows->places[rows->n++] =
		(struct place){.key_len = (size_t)len, .value_len = line->text.len, .version = line->time_us / 1000};
	return rows->n == PUTS_MOST || rows->bytes.len >= PUT_BYTES_MOST ? put_rows(sink, err) : 0;
}

static int commit(struct sink *sink, struct error *err)
{
	const int rc = put_rows(sink, err);
	return rc == 0 ? sink_commit(sink, (struct slice){0}, err) : rc;
}

static void give_up(struct sink *sink)
{
	struct rows *const rows = sink->state;
	if (!rows)
		return;
	buf_clear(&rows->bytes);
	rows->n = 0;
}

const struct sink_driver sink_cells = {
	.open = open_rows, .begin = begin, .line = put_line, .commit = commit, .abort = give_up, .close = close_rows};
