#include "base/clock.h"
#include "base/log.h"
#include "batch/compact.h"
#include "batch/files_lock.h"
#include "speed/consumers_internal.h"
#include "store/block.h"

#include <stdlib.h>

#define MICROS   INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

/* Blocks that go in one transaction of the journal, in which the sources wait. */
#define TRIM_BLOCKS_MOST 2000u
/* Customers who are mended in one run over the history; they are in memory. */
#define MEND_MOST       20000u

#define TRIM_EVERY_S    10
#define COMPACT_EVERY_S 15
#define MEND_EVERY_S    2
/* What failed, or had nothing to do that helped, is left alone for so long. */
#define PAUSE_S 60

/* --- trimming --- */

static uint64_t taken_by_all(struct consumers *all)
{
	pthread_mutex_lock(&all->mutex);
	uint64_t taken = all->pinned;
	/* Where the view is made again, it goes on from the table's offset of when that began. */
	bool ready = true;
	for (unsigned i = 0; i < all->n; i++) {
		taken = all->each[i].offset < taken ? all->each[i].offset : taken;
		ready = ready && all->each[i].ready;
	}
	pthread_mutex_unlock(&all->mutex);
	return ready ? taken : 0;
}

/* Once a process: the journal grows until somebody acts. */
static void tell_pinned(struct consumers *all, const struct sinks_pin *pin)
{
	if (all->told_pinned || !all->continuous)
		return;
	all->told_pinned = true;
	LOG_WARNING(
		"the journal keeps what a sink has not taken that does not run: run its Flume agent to the end, or one "
		"with a null sink of that name",
		log_text("sink", pin->name), log_uint("block", pin->first));
}

/* The first block that must be kept. */
static int find_kept(struct consumers *all, uint64_t *first, uint64_t *until, struct error *err)
{
	uint64_t taken = taken_by_all(all);
	const int64_t keep_from_us =
		clock_now_us() - (int64_t)all->deployment->config->journal_retention_h * 3600 * MICROS;
	struct journal_reader *reader = NULL;
	uint64_t next = 0;
	int rc = journal_reader_open(all->journal, &reader, err);
	if (rc == 0)
		rc = journal_reader_range(reader, first, &next, err);
	/* Sinks that died are not among the consumers, when another agent runs, or none. */
	struct sinks_pin pin = {.first = UINT64_MAX};
	if (rc == 0)
		rc = sinks_pinned(reader, &pin, err);
	if (pin.first < taken) {
		tell_pinned(all, &pin);
		taken = pin.first;
	}
	/* Likewise a shipper that the configuration has no more. */
	uint64_t shipped = UINT64_MAX;
	if (rc == 0)
		rc = shippers_pinned(reader, &shipped, err);
	if (shipped < taken)
		taken = shipped;
	*until = *first;
	for (; rc == 0 && *until < taken && *until < next; ++*until) {
		struct slice block;
		struct block_counts counts = {0};
		rc = journal_reader_block(reader, *until, &block, err);
		if (rc == 0)
			rc = block_counts(block, &counts, err);
		if (rc == 0 && counts.time_us >= keep_from_us)
			break;
	}
	journal_reader_close(reader);
	return rc;
}

int consumers_trim(struct consumers *all, struct error *err)
{
	uint64_t first = 0;
	uint64_t until = 0;
	int rc = find_kept(all, &first, &until, err);
	unsigned n = 1;
	for (uint64_t gone = first; rc == 0 && n && gone < until && !atomic_load(&all->ending); gone += n) {
		rc = journal_begin(all->journal, err);
		if (rc < 0)
			return rc;
		rc = journal_trim(all->journal, until, TRIM_BLOCKS_MOST, &n, err);
		if (rc < 0)
			journal_abort(all->journal);
		else
			rc = journal_commit(all->journal, err);
		if (rc == 0)
			atomic_fetch_add(&all->trimmed, n);
	}
	return rc;
}

/* --- mending --- */

struct mending {
	struct id_list ids;
	uint64_t offset; /* of the view when they were listed */
	struct history_journal journal;
	struct view_records records;
};

static int list_marked(struct consumer *consumer, void *context, struct error *err)
{
	struct mending *const mending = context;
	const int rc = view_mend_list(consumer->all->view, MEND_MOST, &mending->ids, &mending->offset, err);
	/* Here, in the thread that marks: no mark of later is forgotten. */
	if (rc == 0 && mending->ids.n == 0)
		atomic_store(&consumer->all->has_marked, false);
	return rc;
}

static int install(struct consumer *consumer, void *context, struct error *err)
{
	const struct mending *const mending = context;
	int rc = journal_reader_renew(consumer->reader, err);
	if (rc == 0)
		rc = view_writer_mend(consumer->all->view_writer, &mending->records, consumer->reader,
				      mending->journal.offset, consumer->offset, err);
	return rc;
}

static int run_mending(struct consumers *all, struct mending *mending, struct error *err)
{
	struct consumer_job job = {.run = list_marked, .context = mending};
	uint64_t first = 0;
	int rc = consumer_run(all->to_view, &job, err);
	if (rc < 0 || mending->ids.n == 0)
		return rc;
	rc = consumer_wait_for(all->table, mending->offset, err);
	_cleanup_files_lock_ struct files_lock lock = FILES_LOCK_NONE;
	files_lock_read(all->deployment, &lock);
	/* The blocks behind what the table has must stay until the records are in the view. */
	pthread_mutex_lock(&all->mutex);
	all->pinned = all->table->offset;
	pthread_mutex_unlock(&all->mutex);
	if (rc == 0)
		rc = consumers_read_journal(all, &first, &mending->journal, err);
	/* The table goes on meanwhile: files of blocks behind this moment are no other journal's. */
	mending->journal.next = UINT64_MAX;
	if (rc == 0)
		rc = view_mend_make(all->deployment, &mending->ids, &mending->journal, &all->stop, &mending->records,
				    err);
	if (rc == 0)
		rc = consumer_wait_for(all->to_view, mending->journal.offset, err);
	job = (struct consumer_job){.run = install, .context = mending};
	return rc == 0 && mending->records.n ? consumer_run(all->to_view, &job, err) : rc;
}

/* *mended: how many; *left: whether there may be more. */
static int mend(struct consumers *all, size_t *mended, struct error *err)
{
	struct mending mending = {.ids.id_type = all->deployment->config->customer_id};
	const int rc = run_mending(all, &mending, err);
	pthread_mutex_lock(&all->mutex);
	all->pinned = UINT64_MAX;
	pthread_mutex_unlock(&all->mutex);
	*mended = rc == 0 ? mending.records.n : 0;
	view_records_release(&mending.records);
	id_list_release(&mending.ids);
	return rc;
}

/* --- the thread --- */

struct keeper {
	struct consumers *all;
	struct compactor *compactor;
	int64_t trim_ns; /* when to do it next */
	int64_t compact_ns;
	int64_t mend_ns;
};

static void say_failed(const char *what, int rc, const struct error *err)
{
	if (rc != ERROR_INTERRUPTED)
		LOG_WARNING("housekeeping failed, and is tried again", log_text("what", what), log_error(err));
}

static void do_trim(struct keeper *keeper)
{
	struct error err = {0};
	const int rc = consumers_trim(keeper->all, &err);
	keeper->trim_ns = consumer_now_ns() + (rc < 0 ? PAUSE_S : TRIM_EVERY_S) * NS_PER_S;
	if (rc < 0)
		say_failed("trimming the journal", rc, &err);
}

static void do_compact(struct keeper *keeper)
{
	struct consumers *const all = keeper->all;
	struct error err = {0};
	struct compact_report report = {0};
	pthread_mutex_lock(&all->mutex);
	const uint64_t offset = all->table->offset;
	pthread_mutex_unlock(&all->mutex);
	int rc = keeper->compactor ? 0 : compactor_open(all->deployment, NULL, &keeper->compactor, &err);
	if (rc == 0)
		rc = compactor_step(keeper->compactor, offset, &report, &err);
	if (rc == 0 && report.files)
		LOG_DEBUG("small files were merged", log_uint("files", report.files), log_uint("rows", report.rows));
	const int64_t pause_s = rc < 0 ? PAUSE_S : report.files ? 0 : COMPACT_EVERY_S;
	keeper->compact_ns = consumer_now_ns() + pause_s * NS_PER_S;
	if (rc < 0)
		say_failed("merging small files", rc, &err);
}

static void do_mend(struct keeper *keeper)
{
	struct error err = {0};
	size_t mended = 0;
	const int rc = mend(keeper->all, &mended, &err);
	if (mended)
		LOG_INFO("accounts were mended out of the history", log_uint("customers", mended));
	const bool pause = rc < 0 || (mended == 0 && atomic_load(&keeper->all->has_marked));
	keeper->mend_ns = consumer_now_ns() + (pause ? PAUSE_S : MEND_EVERY_S) * NS_PER_S;
	if (rc < 0)
		say_failed("mending accounts", rc, &err);
}

static int64_t earliest(const struct keeper *keeper)
{
	int64_t at = keeper->trim_ns < keeper->compact_ns ? keeper->trim_ns : keeper->compact_ns;
	/* Marks come at any time: they are looked for every so often. */
	const int64_t mend_ns =
		atomic_load(&keeper->all->has_marked) ? keeper->mend_ns : consumer_now_ns() + MEND_EVERY_S * NS_PER_S;
	return at < mend_ns ? at : mend_ns;
}

void *consumers_keep(void *consumers)
{
	struct consumers *const all = consumers;
	const int64_t now_ns = consumer_now_ns();
	struct keeper keeper = {.all = all,
				.trim_ns = now_ns + TRIM_EVERY_S * NS_PER_S,
				/* On a cluster the shipper's files are large. */
				.compact_ns = all->table ? now_ns + COMPACT_EVERY_S * NS_PER_S : INT64_MAX,
				.mend_ns = now_ns};
	consumers_yield_cpu();
	while (!atomic_load(&all->ending)) {
		if (consumer_now_ns() >= keeper.trim_ns)
			do_trim(&keeper);
		if (consumer_now_ns() >= keeper.compact_ns)
			do_compact(&keeper);
		if (atomic_load(&all->has_marked) && consumer_now_ns() >= keeper.mend_ns)
			do_mend(&keeper);
		const int64_t until_ns = earliest(&keeper);
		pthread_mutex_lock(&all->mutex);
		while (!atomic_load(&all->ending) && consumer_now_ns() < until_ns)
			consumers_wait(all, &all->keeper_wake, until_ns);
		pthread_mutex_unlock(&all->mutex);
	}
	compactor_close(keeper.compactor);
	return NULL;
}
