#include "speed/consumers.h"

#include "base/clock.h"
#include "batch/files_lock.h"
#include "batch/history.h"
#include "speed/table_writer.h"
#include "speed/view_writer.h"
#include "store/block.h"

#include <pthread.h>
#include <stdlib.h>

/* Lines in a batch while there is a backlog. The table: about 150 MB in the engine, and Parquet files of a good size. The
 * view: the larger the batch, the fewer times each account is written; about 170 bytes of memory an event. */
#define TABLE_BATCH_LINES 1000000u
#define VIEW_BATCH_LINES  1000000u
#define TRIM_BLOCKS_MOST  100000u
#define MICROS            INT64_C(1000000)

struct consumer {
	struct consumers *all;
	pthread_t thread;
	bool started;
	struct journal_reader *reader;
	uint64_t offset; /* of the next block to take */
	uint64_t batch_lines;
	int (*write)(struct consumer *consumer, uint64_t first, uint64_t next, struct error *err);
	int rc;
	struct error error;
};

struct consumers {
	const struct deployment *deployment;
	struct journal *journal;
	struct table_writer *table_writer;
	struct view *view;
	struct view_writer *view_writer;
	struct view_mend_stop stop;
	struct consumer table;
	struct consumer to_view;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	bool programme_changed; /* so the view was made again */
	uint64_t wakes;         /* under the mutex, as are finishing and the consumers' rc */
	bool finishing;
};

static int write_table(struct consumer *consumer, uint64_t first, uint64_t next, struct error *err)
{
	return table_writer_write(consumer->all->table_writer, consumer->reader, first, next, err);
}

static int write_view(struct consumer *consumer, uint64_t first, uint64_t next, struct error *err)
{
	return view_writer_write(consumer->all->view_writer, consumer->reader, first, next, err);
}

/* Finds the end of the next batch: full when it has batch_lines, or with the last block that is there. */
static int find_batch(struct consumer *consumer, uint64_t *next, bool *full, struct error *err)
{
	int rc = journal_reader_renew(consumer->reader, err);
	uint64_t first;
	uint64_t end = 0;
	if (rc == 0)
		rc = journal_reader_range(consumer->reader, &first, &end, err);
	struct block_counts sum;
	if (rc == 0)
		rc = journal_reader_count(consumer->reader, consumer->offset, end, consumer->batch_lines, &sum, next,
					  err);
	if (rc == 0)
		*full = sum.n_lines + sum.n_quarantined >= consumer->batch_lines;
	return rc;
}

/* Takes what there is. *idle: there was no full batch and nobody is waiting for the rest. */
static int take_batch(struct consumer *consumer, bool finishing, bool *idle, struct error *err)
{
	uint64_t next = 0;
	bool full = false;
	int rc = find_batch(consumer, &next, &full, err);
	*idle = rc == 0 && !full && (!finishing || next == consumer->offset);
	if (rc < 0 || *idle)
		return rc;
	rc = consumer->write(consumer, consumer->offset, next, err);
	if (rc == 0)
		consumer->offset = next;
	return rc;
}

static void *run(void *argument)
{
	struct consumer *const consumer = argument;
	struct consumers *const all = consumer->all;
	uint64_t seen = 0;
	for (;;) {
		pthread_mutex_lock(&all->mutex);
		const bool finishing = all->finishing;
		seen = all->wakes;
		pthread_mutex_unlock(&all->mutex);
		struct error err = {0};
		bool idle = false;
		const int rc = take_batch(consumer, finishing, &idle, &err);
		pthread_mutex_lock(&all->mutex);
		if (rc < 0) {
			consumer->rc = rc;
			consumer->error = err;
		}
		if (rc < 0 || (idle && finishing)) {
			pthread_mutex_unlock(&all->mutex);
			return NULL;
		}
		while (idle && seen == all->wakes && !all->finishing)
			pthread_cond_wait(&all->changed, &all->mutex);
		pthread_mutex_unlock(&all->mutex);
	}
}

static int start_one(struct consumers *all, struct consumer *consumer, uint64_t offset, uint64_t batch_lines,
		     int (*write)(struct consumer *, uint64_t, uint64_t, struct error *), struct error *err)
{
	consumer->all = all;
	consumer->offset = offset;
	consumer->batch_lines = batch_lines;
	consumer->write = write;
	const int rc = journal_reader_open(all->journal, &consumer->reader, err);
	if (rc < 0)
		return rc;
	const int errnum = pthread_create(&consumer->thread, NULL, run, consumer);
	if (errnum)
		return error_errno(err, errnum, "cannot start a thread");
	consumer->started = true;
	return 0;
}

/* *first: the first block that is still there. */
static int read_journal(struct consumers *all, uint64_t *first, struct history_journal *out, struct error *err)
{
	struct journal_reader *reader = NULL;
	uint64_t next;
	int rc = journal_reader_open(all->journal, &reader, err);
	if (rc == 0)
		rc = journal_reader_range(reader, first, &next, err);
	if (rc == 0)
		rc = history_journal_read(reader, out, err);
	journal_reader_close(reader);
	return rc;
}

/* The offset that the view goes on from. It is made again when the journal has no longer what it needs, or when the programme
 * has changed: what serves is always what the batch layer would compute. */
static int prepare_view(struct consumers *all, uint64_t *offset, struct error *err)
{
	struct history_journal journal = {0};
	uint64_t first = 0;
	bool current = false;
	char other[PROGRAMME_HASH_TEXT] = "";
	_cleanup_files_lock_ struct files_lock lock = FILES_LOCK_NONE;
	files_lock_read(all->deployment, &lock);
	int rc = read_journal(all, &first, &journal, err);
	if (rc == 0)
		rc = view_read_begin(all->view, err);
	if (rc == 0)
		rc = view_offset(all->view, offset, err);
	if (rc == 0)
		rc = view_writer_is_current(all->view, all->deployment->programme, &current, err);
	if (rc == 0)
		rc = view_writer_other_hash(all->view, all->deployment->programme, other, err);
	view_read_end(all->view);
	if (rc < 0 || (current && *offset >= first && *offset <= journal.next))
		return rc;
	rc = view_mend_all(all->view, all->deployment, &journal, &all->stop, err);
	if (rc == 0)
		*offset = journal.offset;
	all->programme_changed = rc == 0 && other[0];
	return rc;
}

int consumers_start(const struct deployment *deployment, struct journal *journal, const struct view_mend_stop *stop,
		    struct consumers **out, struct error *err)
{
	struct consumers *const all = calloc(1, sizeof(*all));
	if (!all)
		return error_no_memory(err, sizeof(*all));
	all->deployment = deployment;
	all->journal = journal;
	all->stop = *stop;
	pthread_mutex_init(&all->mutex, NULL);
	pthread_cond_init(&all->changed, NULL);
	uint64_t view_offset = 1;
	int rc = deployment_keep_programme(deployment, err);
	if (rc == 0)
		rc = table_writer_open(deployment, journal, &all->table_writer, err);
	if (rc == 0)
		rc = view_writer_open_view(deployment, false, &all->view, err);
	if (rc == 0)
		rc = prepare_view(all, &view_offset, err);
	if (rc == 0)
		rc = view_writer_open(deployment, all->view, &all->view_writer, err);
	if (rc == 0)
		rc = start_one(all, &all->table, table_writer_offset(all->table_writer), TABLE_BATCH_LINES, write_table,
			       err);
	if (rc == 0)
		rc = start_one(all, &all->to_view, view_offset, VIEW_BATCH_LINES, write_view, err);
	if (rc < 0) {
		consumers_finish(all, NULL);
		return rc;
	}
	*out = all;
	return 0;
}

bool consumers_programme_changed(const struct consumers *consumers)
{
	return consumers->programme_changed;
}

void consumers_wake(struct consumers *consumers)
{
	pthread_mutex_lock(&consumers->mutex);
	consumers->wakes++;
	pthread_cond_broadcast(&consumers->changed);
	pthread_mutex_unlock(&consumers->mutex);
}

bool consumers_have_room(struct consumers *consumers)
{
	(void)consumers;
	return true;
}

bool consumers_failed(struct consumers *consumers)
{
	pthread_mutex_lock(&consumers->mutex);
	const bool failed = consumers->table.rc < 0 || consumers->to_view.rc < 0;
	pthread_mutex_unlock(&consumers->mutex);
	return failed;
}

/* Deletes blocks that both have taken and that are older than the retention. */
static int trim(struct consumers *all, struct error *err)
{
	const uint64_t taken = all->table.offset < all->to_view.offset ? all->table.offset : all->to_view.offset;
	const int64_t keep_from_us =
		clock_now_us() - (int64_t)all->deployment->config->journal_retention_h * 3600 * MICROS;
	struct journal_reader *reader = NULL;
	uint64_t first = 0;
	uint64_t next = 0;
	int rc = journal_reader_open(all->journal, &reader, err);
	if (rc == 0)
		rc = journal_reader_range(reader, &first, &next, err);
	uint64_t until = rc == 0 ? first : 0;
	for (; rc == 0 && until < taken; until++) {
		struct slice block;
		struct block_counts counts = {0};
		rc = journal_reader_block(reader, until, &block, err);
		if (rc == 0)
			rc = block_counts(block, &counts, err);
		if (rc == 0 && counts.time_us >= keep_from_us)
			break;
	}
	journal_reader_close(reader);
	if (rc < 0 || until == first)
		return rc;
	unsigned n;
	rc = journal_begin(all->journal, err);
	if (rc < 0)
		return rc;
	rc = journal_trim(all->journal, until, TRIM_BLOCKS_MOST, &n, err);
	if (rc == 0)
		return journal_commit(all->journal, err);
	journal_abort(all->journal);
	return rc;
}

static int mend_marked(struct consumers *all, struct error *err)
{
	struct history_journal journal = {0};
	uint64_t first = 0;
	_cleanup_files_lock_ struct files_lock lock = FILES_LOCK_NONE;
	files_lock_read(all->deployment, &lock);
	const int rc = read_journal(all, &first, &journal, err);
	return rc < 0 ? rc : view_mend_marked(all->view, all->deployment, &journal, &all->stop, NULL, err);
}

int consumers_finish(struct consumers *consumers, struct error *err)
{
	if (!consumers)
		return 0;
	pthread_mutex_lock(&consumers->mutex);
	consumers->finishing = true;
	pthread_cond_broadcast(&consumers->changed);
	pthread_mutex_unlock(&consumers->mutex);
	struct consumer *const each[] = {&consumers->table, &consumers->to_view};
	int rc = 0;
	bool all_ran = true;
	for (size_t i = 0; i < sizeof(each) / sizeof(each[0]); i++) {
		all_ran = all_ran && each[i]->started;
		if (each[i]->started)
			pthread_join(each[i]->thread, NULL);
		if (each[i]->rc < 0 && rc == 0)
			rc = error_set(err, each[i]->rc, "%s", each[i]->error.message);
		journal_reader_close(each[i]->reader);
	}
	if (rc == 0 && all_ran)
		rc = trim(consumers, err);
	/* Both have all there is, so the table has all that the view has. */
	if (rc == 0 && all_ran)
		rc = mend_marked(consumers, err);
	table_writer_close(consumers->table_writer);
	view_writer_close(consumers->view_writer);
	view_close(consumers->view);
	pthread_cond_destroy(&consumers->changed);
	pthread_mutex_destroy(&consumers->mutex);
	free(consumers);
	return rc;
}
