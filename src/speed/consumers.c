#include "base/log.h"
#include "batch/files_lock.h"
#include "net/http.h"
#include "speed/consumers_internal.h"

#include <stdlib.h>

/* Lines in a batch while there is a backlog. The view: the larger the batch, the fewer times each account is written; about 40
 * bytes of memory an event. */
#define VIEW_BATCH_LINES 5000000u
#define MIB              (UINT64_C(1) << 20)
/* After so many lines of a batch memory is given back. */
#define LARGE_BATCH_LINES 100000u

/* --- the table --- */

static int write_table(struct consumer *consumer, uint64_t first, uint64_t next, struct error *err)
{
	struct table_writer *const writer = consumer->all->table_writer;
	const int rc = table_writer_write(writer, consumer->reader, first, next, err);
	if (rc == 0 && consumer->all->continuous)
		table_writer_rest(writer);
	return rc;
}

/* An error may come behind the commit: what is committed says where to go on. */
static int recover_table(struct consumer *consumer, struct error *err)
{
	struct table_writer *const writer = consumer->all->table_writer;
	const int rc = table_writer_recover(writer, err);
	return rc < 0 ? rc : consumer_ready(consumer, table_writer_offset(writer), err);
}

static const struct consumer_kind TABLE_KIND = {.write = write_table, .recover = recover_table};

/* --- the view --- */

int consumers_read_journal(struct consumers *all, uint64_t *first, struct history_journal *out, struct error *err)
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

/* Where a day begins may have changed with the programme; what is written stays where it is. The view is read by who calls. */
static void warn_of_zone(struct consumers *all)
{
	struct programme *kept = NULL;
	struct error lost = {0};
	/* One that is not kept any more, or cannot be read, says nothing. */
	if (view_writer_programme(all->view, all->deployment, &kept, &lost) == 0 && kept &&
	    strcmp(tz_name(kept->timezone), tz_name(all->deployment->programme->timezone)) != 0)
		LOG_WARNING("the programme's timezone has changed: points and days of the whole history go by the new "
			    "one, but "
			    "rows of transactions_cln that were written before keep the data_dt of the old one",
			    log_text("before", tz_name(kept->timezone)),
			    log_text("now", tz_name(all->deployment->programme->timezone)));
	programme_free(kept);
}

/* The offset that the view goes on from. It is made again when the journal has no longer what it needs, or when the programme
 * has changed: what serves is always what the batch layer would compute. */
static int make_current(struct consumers *all, uint64_t *offset, struct error *err)
{
	struct history_journal journal = {0};
	uint64_t first = 0;
	uint64_t marked = 0;
	bool current = false;
	char other[PROGRAMME_HASH_TEXT] = "";
	_cleanup_files_lock_ struct files_lock lock = FILES_LOCK_NONE;
	files_lock_read(all->deployment, &lock);
	int rc = consumers_read_journal(all, &first, &journal, err);
	if (rc == 0)
		rc = view_read_begin(all->view, err);
	if (rc == 0)
		rc = view_offset(all->view, offset, err);
	if (rc == 0)
		rc = view_marked_count(all->view, &marked, err);
	if (rc == 0)
		rc = view_writer_is_current(all->view, all->deployment->programme, &current, err);
	if (rc == 0)
		rc = view_writer_other_hash(all->view, all->deployment->programme, other, err);
	if (rc == 0 && other[0])
		warn_of_zone(all);
	view_read_end(all->view);
	atomic_store(&all->has_marked, marked > 0);
	if (rc < 0 || (current && *offset >= first && *offset <= journal.next))
		return rc;
	/* The table goes on meanwhile: files of blocks behind this moment are no other journal's. */
	if (all->continuous)
		journal.next = UINT64_MAX;
	if (all->continuous && journal.offset > 1)
		LOG_INFO("the accounts are made again out of the history",
			 log_text("why", other[0] ? "the programme has changed" : "the view is behind the journal"));
	rc = view_mend_all(all->view, all->deployment, &journal, &all->stop, err);
	if (rc == 0)
		*offset = journal.offset;
	if (rc == 0 && all->continuous && journal.offset > 1)
		LOG_INFO("the accounts were made again");
	all->programme_changed = rc == 0 && other[0];
	return rc;
}

static int prepare_view(struct consumer *consumer, struct error *err)
{
	uint64_t offset = 1;
	const int rc = make_current(consumer->all, &offset, err);
	return rc < 0 ? rc : consumer_ready(consumer, offset, err);
}

static int open_view(struct consumers *all, struct error *err)
{
	int rc = view_writer_open_view(all->deployment, false, &all->view, err);
	if (rc == 0)
		rc = view_writer_open(all->deployment, all->view, &all->view_writer, err);
	return rc;
}

static void close_view(struct consumers *all)
{
	view_writer_close(all->view_writer);
	view_close(all->view);
	all->view_writer = NULL;
	all->view = NULL;
}

static int reopen_view(struct consumers *all, struct error *err)
{
	close_view(all);
	return open_view(all, err);
}

static int write_view(struct consumer *consumer, uint64_t first, uint64_t next, struct error *err)
{
	struct consumers *const all = consumer->all;
	uint64_t marked = 0;
	int rc = view_writer_write(all->view_writer, consumer->reader, first, next, err);
	if (rc < 0 || !all->continuous)
		return rc;
	rc = view_read_begin(all->view, err);
	if (rc == 0)
		rc = view_marked_count(all->view, &marked, err);
	view_read_end(all->view);
	if (rc == 0)
		atomic_store(&all->has_marked, marked > 0);
	/* LMDB keeps the pages that a transaction has made dirty, as memory for the next one. */
	if (consumer->waiting.lines >= LARGE_BATCH_LINES)
		return reopen_view(all, err);
	return 0; /* the accounts are written: what else there is to know can wait */
}

/* What LMDB calls a panic ends with the environment. Where the view was not ready yet, prepare_view does the rest. */
static int recover_view(struct consumer *consumer, struct error *err)
{
	struct consumers *const all = consumer->all;
	uint64_t offset = 1;
	uint64_t marked = 0;
	int rc = reopen_view(all, err);
	if (rc < 0 || !consumer->ready)
		return rc;
	rc = view_read_begin(all->view, err);
	if (rc == 0)
		rc = view_offset(all->view, &offset, err);
	if (rc == 0)
		rc = view_marked_count(all->view, &marked, err);
	view_read_end(all->view);
	if (rc == 0)
		atomic_store(&all->has_marked, marked > 0);
	return rc < 0 ? rc : consumer_ready(consumer, offset, err);
}

static const struct consumer_kind VIEW_KIND = {.prepare = prepare_view, .write = write_view, .recover = recover_view};

/* --- sinks --- */

static int write_sink(struct consumer *consumer, uint64_t first, uint64_t next, struct error *err)
{
	return sink_write(consumer->sink, consumer->reader, first, next, err);
}

static int recover_sink(struct consumer *consumer, struct error *err)
{
	uint64_t offset = 1;
	const int rc = sink_recover(consumer->sink, &offset, err);
	return rc < 0 ? rc : consumer_ready(consumer, offset, err);
}

static const struct consumer_kind SINK_KIND = {.prepare = recover_sink, .write = write_sink, .recover = recover_sink};

/* --- all --- */

struct consumer *consumers_add(struct consumers *all, const struct consumer_kind *kind, const char *name)
{
	assert(all->n < OWN_CONSUMERS_MOST + SINKS_MOST);
	struct consumer *const consumer = &all->each[all->n++];
	*consumer = (struct consumer){
		.all = all, .kind = kind, .name = name, .metrics = metrics_consumer(all->metrics, name)};
	return consumer;
}

static int open_sinks(struct consumers *all, struct sink *sinks, unsigned n_sinks, struct error *err)
{
	int rc = 0;
	for (unsigned i = 0; rc == 0 && i < n_sinks; i++) {
		struct sink *const sink = &sinks[i];
		struct consumer *const consumer = consumers_add(all, &SINK_KIND, sink->name);
		uint64_t offset;
		consumer->sink = sink;
		consumer->pace =
			(struct consumer_pace){.lines = UINT64_MAX, .bytes = sink->at_bytes, .delay_ns = INT64_MAX};
		if (all->continuous)
			consumer->pace.delay_ns = sink->delay_ms * 1000000;
		rc = journal_reader_open(all->journal, &consumer->reader, err);
		if (rc == 0)
			rc = sink_open(sink, all->deployment, all->journal, &offset, err);
		/* Else the consumer's thread does first what is left. */
		if (rc == 0 && !sink->left)
			rc = consumer_ready(consumer, offset, err);
	}
	return rc;
}

/* What was collected for a cluster is in no file here. */
static int check_is_local(struct consumers *all, struct error *err)
{
	struct journal_reader *reader = NULL;
	uint64_t shipped = UINT64_MAX;
	int rc = journal_reader_open(all->journal, &reader, err);
	if (rc == 0)
		rc = shippers_pinned(reader, &shipped, err);
	journal_reader_close(reader);
	if (rc == 0 && shipped != UINT64_MAX)
		return error_set(
			err, ERROR_CONFIG,
			"%s: the section cluster is gone, but this deployment has shipped orders to a cluster, which "
			"would be missing here; put it back, or collect in a deployment of its own",
			all->deployment->config->path);
	return rc;
}

static int open_local(struct consumers *all, struct error *err)
{
	const struct config *const config = all->deployment->config;
	int rc = check_is_local(all, err);
	if (rc < 0)
		return rc;
	struct consumer *const table = consumers_add(all, &TABLE_KIND, "table");
	struct consumer *const to_view = consumers_add(all, &VIEW_KIND, "view");
	all->table = table;
	all->to_view = to_view;
	table->pace = (struct consumer_pace){.lines = config->table_max_rows, .delay_ns = INT64_MAX};
	to_view->pace = (struct consumer_pace){.lines = VIEW_BATCH_LINES, .delay_ns = INT64_MAX, .eager = true};
	if (all->continuous) {
		table->pace.delay_ns = (int64_t)config->table_max_delay_s * 1000000000;
		to_view->pace.delay_ns = (int64_t)config->view_max_delay_ms * 1000000;
	}
	rc = table_writer_open(all->deployment, all->journal, &all->table_writer, err);
	if (rc == 0)
		rc = open_view(all, err);
	if (rc == 0)
		rc = journal_reader_open(all->journal, &table->reader, err);
	if (rc == 0)
		rc = journal_reader_open(all->journal, &to_view->reader, err);
	if (rc == 0)
		rc = consumer_ready(table, table_writer_offset(all->table_writer), err);
	return rc == 0 && !all->continuous ? prepare_view(to_view, err) : rc;
}

static int open_all(struct consumers *all, const struct consumers_options *options, struct error *err)
{
	int rc = deployment_keep_programme(all->deployment, err);
	if (rc == 0)
		rc = all->deployment->config->cluster.on ? consumers_open_cluster(all, options->hbase_again, err)
							 : open_local(all, err);
	return rc == 0 ? open_sinks(all, options->sinks, options->n_sinks, err) : rc;
}

static bool is_ending(void *all)
{
	return atomic_load(&((struct consumers *)all)->ending);
}

static void init_locks(struct consumers *all)
{
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_mutex_init(&all->mutex, NULL);
	pthread_cond_init(&all->changed, &monotonic);
	pthread_cond_init(&all->keeper_wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

int consumers_start(const struct deployment *deployment, struct journal *journal,
		    const struct consumers_options *options, struct consumers **out, struct error *err)
{
	struct consumers *const all = calloc(1, sizeof(*all));
	if (!all)
		return error_no_memory(err, sizeof(*all));
	all->deployment = deployment;
	all->journal = journal;
	all->continuous = options->continuous;
	all->metrics = options->metrics;
	all->stop = options->continuous ? (struct view_mend_stop){.asked = is_ending, .context = all} : options->stop;
	all->pinned = UINT64_MAX;
	all->shipped = options->shipped;
	all->shipped_context = options->shipped_context;
	init_locks(all);
	int rc = open_all(all, options, err);
	for (unsigned i = 0; rc == 0 && i < all->n; i++)
		rc = consumer_start(&all->each[i], err);
	if (rc == 0 && all->continuous) {
		const int errnum = pthread_create(&all->keeper, NULL, consumers_keep, all);
		all->has_keeper = errnum == 0;
		rc = errnum ? error_errno(err, errnum, "cannot start a thread") : 0;
	}
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

/* With the mutex: bytes of blocks that wait for a consumer. */
static uint64_t backlog_of(const struct consumer *consumer)
{
	/* Who is being made ready gives no reason to wait, unless that fails. */
	if (!consumer->ready && !consumer->late)
		return 0;
	const int64_t bytes =
		consumer->base + (int64_t)journal_appended(consumer->all->journal) - (int64_t)consumer->taken;
	return bytes > 0 ? (uint64_t)bytes : 0;
}

static uint64_t backlog(struct consumers *all)
{
	uint64_t most = 0;
	pthread_mutex_lock(&all->mutex);
	for (unsigned i = 0; i < all->n; i++) {
		const uint64_t own = backlog_of(&all->each[i]);
		most = own > most ? own : most;
	}
	pthread_mutex_unlock(&all->mutex);
	return most;
}

bool consumers_have_room(struct consumers *consumers)
{
	return backlog(consumers) < consumers->deployment->config->journal_backlog_mib * MIB;
}

bool consumers_broken(struct consumers *consumers)
{
	return atomic_load(&consumers->broken);
}

void consumers_tell_broken(struct consumers *consumers)
{
	atomic_store(&consumers->broken, true);
}

bool consumers_failed(struct consumers *consumers)
{
	bool failed = false;
	pthread_mutex_lock(&consumers->mutex);
	for (unsigned i = 0; i < consumers->n; i++)
		failed = failed || consumers->each[i].rc < 0;
	pthread_mutex_unlock(&consumers->mutex);
	return failed;
}

void consumers_tell(struct consumers *consumers)
{
	struct journal_reader *reader = NULL;
	struct metrics_journal now = {.backlog_bytes = backlog(consumers), .trimmed = atomic_load(&consumers->trimmed)};
	uint64_t file_bytes;
	int rc = journal_reader_open(consumers->journal, &reader, NULL);
	if (rc == 0)
		rc = journal_reader_range(reader, &now.first_block, &now.next_block, NULL);
	if (rc == 0)
		rc = journal_reader_sizes(reader, &now.used_bytes, &file_bytes, NULL);
	if (rc == 0)
		metrics_set_journal(consumers->metrics, &now);
	journal_reader_close(reader);
}

static int mend_marked(struct consumers *all, struct error *err)
{
	struct history_journal journal = {0};
	uint64_t first = 0;
	_cleanup_files_lock_ struct files_lock lock = FILES_LOCK_NONE;
	files_lock_read(all->deployment, &lock);
	const int rc = consumers_read_journal(all, &first, &journal, err);
	return rc < 0 ? rc : view_mend_marked(all->view, all->deployment, &journal, &all->stop, NULL, err);
}

/* Who takes long, and the keeper first: it has work done in the view's thread. */
static void end_keeper(struct consumers *all)
{
	atomic_store(&all->ending, true);
	pthread_mutex_lock(&all->mutex);
	pthread_cond_broadcast(&all->changed);
	pthread_cond_broadcast(&all->keeper_wake);
	pthread_mutex_unlock(&all->mutex);
	if (all->has_keeper)
		pthread_join(all->keeper, NULL);
}

/* Whether a failure at the end of a daemon is none: who was making the view again when it was to end does it the next time, and what
 * cannot be shipped now stays in the journal. */
static bool is_for_later(const struct consumers *all, const struct consumer *consumer)
{
	if (!all->continuous)
		return false;
	if (!consumer->shipper || consumer->rc != ERROR_AWAY)
		return consumer->rc == ERROR_INTERRUPTED;
	LOG_WARNING("the cluster is away: what is not shipped stays in the journal for the next time",
		    log_text("consumer", consumer->name), log_error(&consumer->error));
	return true;
}

int consumers_finish(struct consumers *consumers, struct error *err)
{
	if (!consumers)
		return 0;
	if (consumers->continuous) {
		/* What a cluster takes is brought to it; a server that is silent holds nobody up. */
		http_hurry_all(true);
		end_keeper(consumers);
	}
	pthread_mutex_lock(&consumers->mutex);
	consumers->finishing = true;
	pthread_cond_broadcast(&consumers->changed);
	pthread_mutex_unlock(&consumers->mutex);
	int rc = 0;
	bool all_ran = true;
	for (unsigned i = 0; i < consumers->n; i++) {
		struct consumer *const each = &consumers->each[i];
		all_ran = all_ran && each->started;
		if (each->started)
			pthread_join(each->thread, NULL);
		const bool failed = each->rc < 0 && !is_for_later(consumers, each);
		if (failed && rc == 0)
			rc = error_set(err, each->rc, "%s", each->error.message);
		journal_reader_close(each->reader);
		if (each->sink && each->sink->deployment)
			sink_close(each->sink, each->started && each->rc == 0);
		if (each->shipper && consumers->shipped)
			consumers->shipped(consumers->shipped_context, each->name, shipper_counts(each->shipper));
		consumer_close_cluster(each);
	}
	if (rc == 0 && all_ran && !consumers->continuous)
		rc = consumers_trim(consumers, err);
	/* All have all there is, so the table has all that the view has. */
	if (rc == 0 && all_ran && !consumers->continuous && consumers->view)
		rc = mend_marked(consumers, err);
	table_writer_close(consumers->table_writer);
	close_view(consumers);
	if (consumers->continuous)
		http_hurry_all(false);
	pthread_cond_destroy(&consumers->keeper_wake);
	pthread_cond_destroy(&consumers->changed);
	pthread_mutex_destroy(&consumers->mutex);
	free(consumers);
	return rc;
}
