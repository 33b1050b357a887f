/*
 * A ring of batches between the thread that reads and the one that asks. A batch goes round: empty (the reader's), full (the
 * asker's, in order), empty. The one handed out last stays the asker's until it asks again.
 */
#include "batch/customer_scan.h"

#include <stdlib.h>
#include <string.h>

/* One is filled, one is used, one is between. */
#define BATCHES 3u
/* The most text of one row, and of a batch: about twice what rows of real files have. */
#define ROW_TEXT_BYTES   (4u * LIMIT_CUSTOMER_TEXT_BYTES + LIMIT_CUSTOMER_ID_BYTES + 1u)
#define BATCH_TEXT_BYTES (256u * 1024u)

struct batch {
	struct customer_ahead_batch out;
	size_t text_len;
	char text[BATCH_TEXT_BYTES]; /* what the rows point to */
};

struct customer_ahead {
	struct customer_scan *scan;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* Under the lock. */
	uint64_t n_filled;   /* batches that the reader has filled … */
	uint64_t n_released; /* … and the asker is done with */
	bool ended;          /* the reader fills no more: the end, or an error */
	bool stopped;        /* the asker wants no more */
	int rc;
	struct error err;
	/* The asker's. */
	bool holds; /* batch n_released is in use */
	struct batch batches[BATCHES];
};

static const struct customer_ahead_batch NO_ROWS;

static struct slice keep_text(struct batch *batch, struct slice text)
{
	char *const at = batch->text + batch->text_len;
	if (text.len)
		memcpy(at, text.data, text.len);
	batch->text_len += text.len;
	return (struct slice){at, text.len};
}

static void add_row(struct batch *batch, uint64_t file_no, const struct customer_line *line)
{
	struct customer_ahead_row *const to = &batch->out.rows[batch->out.n_rows++];
	to->file_no = file_no;
	to->line = line->number;
	to->row = line->row;
	to->row.id_text = keep_text(batch, line->row.id_text);
	to->row.home_store = keep_text(batch, line->row.home_store);
	to->row.name = keep_text(batch, line->row.name);
	to->row.email = keep_text(batch, line->row.email);
	to->row.card_no = keep_text(batch, line->row.card_no);
	to->row.gender = keep_text(batch, line->row.gender);
}

/* Fills a batch; *end when the files' end was reached (the batch may have rows all the same). */
static int fill_batch(struct customer_scan *scan, struct batch *batch, bool *end, struct error *err)
{
	batch->out.n_rows = 0;
	batch->text_len = 0;
	while (batch->out.n_rows < CUSTOMER_AHEAD_ROWS && sizeof(batch->text) - batch->text_len >= ROW_TEXT_BYTES) {
		struct customer_line line;
		const int rc = customer_scan_next(scan, &line, err);
		if (rc < 0)
			return rc;
		*end = line.end;
		if (line.end)
			return 0;
		if (line.reason == CUSTOMER_GOOD)
			add_row(batch, customer_scan_file(scan) + 1, &line);
	}
	return 0;
}

/* Waits for an empty batch; NULL when no more is wanted. */
static struct batch *take_empty(struct customer_ahead *ahead)
{
	pthread_mutex_lock(&ahead->lock);
	while (!ahead->stopped && ahead->n_filled - ahead->n_released == BATCHES)
		pthread_cond_wait(&ahead->changed, &ahead->lock);
	struct batch *const batch = ahead->stopped ? NULL : &ahead->batches[ahead->n_filled % BATCHES];
	pthread_mutex_unlock(&ahead->lock);
	return batch;
}

static void *read_ahead(void *argument)
{
	struct customer_ahead *const ahead = argument;
	bool end = false;
	struct batch *batch;
	while (!end && (batch = take_empty(ahead))) {
		struct error err = {0};
		const int rc = fill_batch(ahead->scan, batch, &end, &err);
		end = end || rc < 0;
		pthread_mutex_lock(&ahead->lock);
		ahead->n_filled += rc == 0 && batch->out.n_rows ? 1 : 0;
		ahead->ended = end;
		ahead->rc = rc;
		ahead->err = err;
		pthread_cond_broadcast(&ahead->changed);
		pthread_mutex_unlock(&ahead->lock);
	}
	return NULL;
}

int customer_ahead_start(struct customer_files *files, struct customer_ahead **out, struct error *err)
{
	struct customer_ahead *const ahead = calloc(1, sizeof(*ahead));
	if (!ahead)
		return error_no_memory(err, sizeof(*ahead));
	int rc = customer_scan_open(files, 0, files->n_files, &ahead->scan, err);
	if (rc < 0) {
		free(ahead);
		return rc;
	}
	pthread_mutex_init(&ahead->lock, NULL);
	pthread_cond_init(&ahead->changed, NULL);
	const int errnum = pthread_create(&ahead->thread, NULL, read_ahead, ahead);
	if (errnum) {
		rc = error_set(err, ERROR_LIMIT, "cannot start a thread: %s; raise the limit of processes (ulimit -u)",
			       strerrordesc_np(errnum));
		pthread_cond_destroy(&ahead->changed);
		pthread_mutex_destroy(&ahead->lock);
		customer_scan_close(ahead->scan);
		free(ahead);
		return rc;
	}
	*out = ahead;
	return 0;
}

void customer_ahead_stop(struct customer_ahead *ahead)
{
	if (!ahead)
		return;
	pthread_mutex_lock(&ahead->lock);
	ahead->stopped = true;
	pthread_cond_broadcast(&ahead->changed);
	pthread_mutex_unlock(&ahead->lock);
	pthread_join(ahead->thread, NULL);
	pthread_cond_destroy(&ahead->changed);
	pthread_mutex_destroy(&ahead->lock);
	customer_scan_close(ahead->scan);
	free(ahead);
}

int customer_ahead_next(struct customer_ahead *ahead, const struct customer_ahead_batch **batch, struct error *err)
{
	pthread_mutex_lock(&ahead->lock);
	if (ahead->holds) {
		ahead->n_released++;
		ahead->holds = false;
		pthread_cond_broadcast(&ahead->changed);
	}
	while (ahead->n_filled == ahead->n_released && !ahead->ended)
		pthread_cond_wait(&ahead->changed, &ahead->lock);
	int rc = 0;
	if (ahead->n_filled > ahead->n_released) {
		*batch = &ahead->batches[ahead->n_released % BATCHES].out;
		ahead->holds = true;
	} else if (ahead->rc < 0) {
		rc = ahead->rc;
		if (err)
			*err = ahead->err;
	} else {
		*batch = &NO_ROWS;
	}
	pthread_mutex_unlock(&ahead->lock);
	return rc;
}
