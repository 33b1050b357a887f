/* Lines as rows of a table (store/row_store.h), by the line's place: what is written again after a crash is the same row. */
#include "base/limits.h"
#include "speed/sink.h"
#include "store/row_store.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* Two sinks of one process share the rows: an environment is opened once. */
static struct {
	pthread_mutex_t mutex;
	struct row_store *rows;
	unsigned users;
} shared = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static int open_rows(struct sink *sink, struct slice rest, struct error *err)
{
	const struct row_store_options options = {.map_gib = sink->deployment->config->view_map_gib};
	_cleanup_free_ char *dir = text_printf("%s/rows", sink->deployment->data_dir);
	(void)rest;
	if (!dir)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	pthread_mutex_lock(&shared.mutex);
	const int rc = shared.users ? 0 : row_store_open(dir, &options, &shared.rows, err);
	if (rc == 0) {
		shared.users++;
		sink->state = shared.rows;
	}
	pthread_mutex_unlock(&shared.mutex);
	return rc;
}

static void close_rows(struct sink *sink)
{
	if (!sink->state)
		return;
	pthread_mutex_lock(&shared.mutex);
	if (--shared.users == 0) {
		row_store_close(shared.rows);
		shared.rows = NULL;
	}
	pthread_mutex_unlock(&shared.mutex);
	sink->state = NULL;
}

/* One of them writes at a time, from begin to commit or abort. */
static pthread_mutex_t writing = PTHREAD_MUTEX_INITIALIZER;

static int begin(struct sink *sink, uint64_t first, uint64_t next, struct error *err)
{
	(void)first;
	(void)next;
	pthread_mutex_lock(&writing);
	return row_store_begin(sink->state, err);
}

static int put_line(struct sink *sink, const struct sink_line *line, struct error *err)
{
	/* As the event's source and id: two sources may have files of the same name. */
	char key[2 * LIMIT_EVENT_ID_BYTES + 32];
	const int len = snprintf(key, sizeof(key), "%.*s/%.*s:%" PRIu64, (int)line->source.len, line->source.data,
				 (int)line->file.len, line->file.data, line->line);
	if (len < 0 || (size_t)len >= sizeof(key))
		return error_set(err, ERROR_CORRUPT, "a block names source and file by more than %zu bytes",
				 sizeof(key));
	return row_store_put(sink->state, slice_of(sink->table), (struct slice){key, (size_t)len},
			     slice_of(sink->column), line->text, err);
}

static int commit(struct sink *sink, struct error *err)
{
	int rc = row_store_commit(sink->state, err);
	if (rc == 0)
		rc = sink_commit(sink, (struct slice){0}, err);
	if (rc == 0)
		pthread_mutex_unlock(&writing);
	return rc;
}

static void give_up(struct sink *sink)
{
	row_store_abort(sink->state);
	pthread_mutex_unlock(&writing);
}

const struct sink_driver sink_rows = {
	.open = open_rows, .begin = begin, .line = put_line, .commit = commit, .abort = give_up, .close = close_rows};
