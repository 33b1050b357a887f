/*
 * A ring of batches: the reader's thread fills them in order, workers take them in order and may end in another, and the
 * caller commits them in order. What a batch needs (rows, facts, the sink's place) stands in its slot of the ring, so that
 * nothing is copied, and memory is that of the slots.
 */
#include "batch/history.h"

#include "batch/history_internal.h"
#include "batch/history_record.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define WORKERS_MAX 256u
/* One is filled and one committed while the workers work. */
#define SLOTS_MORE    2u
#define PROGRESS_MS   200u
#define INTERRUPT_MS  10u
#define NS_PER_MS     INT64_C(1000000)
#define NS_PER_SECOND INT64_C(1000000000)

struct slot {
	struct row_batch rows;
	struct fact_maker maker;
	void *place;
	bool has_place;
	bool done; /* worked on, not yet committed; under the mutex */
};

struct run {
	const struct deployment *deployment;
	const struct programme *programme;
	const struct history_options *options;
	const struct history_sink *sink;
	struct history_reader *reader;
	uint64_t total;
	struct slot *slots;
	unsigned n_slots;
	unsigned n_workers;
	unsigned n_started;
	bool reader_started;
	pthread_t reader_thread;
	pthread_t workers[WORKERS_MAX];
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	/* Under the mutex: batches counted from 0; slot i % n_slots has batch i. */
	uint64_t n_read;
	uint64_t n_taken;
	uint64_t n_committed;
	bool read_all; /* the reader has ended */
	bool stopped;  /* nobody begins anything any more */
	int rc;
	struct error error; /* the first one */
};

/* Under the mutex. */
static void stop_with(struct run *run, int rc, const struct error *error)
{
	if (!run->stopped) {
		run->stopped = true;
		run->rc = rc;
		run->error = *error;
	}
	pthread_cond_broadcast(&run->changed);
}

static struct slot *slot_of(struct run *run, uint64_t batch)
{
	return &run->slots[batch % run->n_slots];
}

/* ---- threads ---- */

static void *read_batches(void *argument)
{
	struct run *const run = argument;
	pthread_mutex_lock(&run->mutex);
	while (!run->stopped) {
		if (run->n_read - run->n_committed == run->n_slots) {
			pthread_cond_wait(&run->changed, &run->mutex);
			continue;
		}
		struct slot *const slot = slot_of(run, run->n_read);
		pthread_mutex_unlock(&run->mutex);
		struct error error = {0};
		const int rc = history_reader_next(run->reader, &slot->rows, &error);
		pthread_mutex_lock(&run->mutex);
		if (rc < 0)
			stop_with(run, rc, &error);
		else if (slot->rows.n_customers == 0)
			break;
		else
			run->n_read++;
		pthread_cond_broadcast(&run->changed);
	}
	run->read_all = true;
	pthread_cond_broadcast(&run->changed);
	pthread_mutex_unlock(&run->mutex);
	return NULL;
}

static int work(struct run *run, struct slot *slot, struct error *err)
{
	struct history_batch batch;
	const struct fact_options options = {
		.programme = run->programme,
		.other = run->options->other,
		.items = run->options->items,
		.id_type = run->deployment->config->customer_id,
	};
	int rc = history_record_decode(&slot->rows, err);
	if (rc == 0)
		rc = fact_maker_run(&slot->maker, &options, &slot->rows, &batch, err);
	return rc < 0 ? rc : run->sink->work(run->sink->context, slot->place, &batch, err);
}

static void *work_on_batches(void *argument)
{
	struct run *const run = argument;
	pthread_mutex_lock(&run->mutex);
	while (!run->stopped) {
		if (run->n_taken == run->n_read) {
			if (run->read_all)
				break;
			pthread_cond_wait(&run->changed, &run->mutex);
			continue;
		}
		struct slot *const slot = slot_of(run, run->n_taken++);
		pthread_mutex_unlock(&run->mutex);
		struct error error = {0};
		const int rc = work(run, slot, &error);
		pthread_mutex_lock(&run->mutex);
		if (rc < 0)
			stop_with(run, rc, &error);
		slot->done = true;
		pthread_cond_broadcast(&run->changed);
	}
	pthread_mutex_unlock(&run->mutex);
	return NULL;
}

/* ---- the caller's thread ---- */

static struct timespec in_ms(unsigned ms)
{
	struct timespec at;
	clock_gettime(CLOCK_MONOTONIC, &at);
	const int64_t ns = at.tv_nsec + (int64_t)ms * NS_PER_MS;
	at.tv_sec += ns / NS_PER_SECOND;
	at.tv_nsec = ns % NS_PER_SECOND;
	return at;
}

static bool is_before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_nsec < b->tv_nsec;
}

/* Tells how far it is when that was long ago. Without the mutex. */
static int tell_progress(const struct run *run, uint64_t rows, struct timespec *next, struct error *err)
{
	const struct timespec now = in_ms(0);
	if (is_before(&now, next))
		return 0;
	*next = in_ms(PROGRESS_MS);
	const int rc = engine_check_interrupted(err);
	if (rc < 0 || !run->options->progress)
		return rc;
	return run->options->progress(run->options->progress_context, rows, run->total)
		       ? 0
		       : error_set(err, ERROR_INTERRUPTED, "interrupted");
}

static int commit(const struct run *run, const struct slot *slot, struct error *err)
{
	return run->sink->commit ? run->sink->commit(run->sink->context, slot->place, err) : 0;
}

/* Commits batches until the last, or an error. */
static void commit_batches(struct run *run)
{
	struct timespec next = {0};
	uint64_t rows = 0;
	pthread_mutex_lock(&run->mutex);
	while (!run->stopped && !(run->read_all && run->n_committed == run->n_read)) {
		struct slot *const slot = slot_of(run, run->n_committed);
		const bool ready = run->n_committed < run->n_taken && slot->done;
		if (!ready) {
			const struct timespec until = in_ms(PROGRESS_MS);
			pthread_cond_clockwait(&run->changed, &run->mutex, CLOCK_MONOTONIC, &until);
		}
		pthread_mutex_unlock(&run->mutex);
		struct error error = {0};
		int rc = ready ? commit(run, slot, &error) : 0;
		rows += ready ? slot->rows.n_rows : 0;
		if (rc == 0)
			rc = tell_progress(run, rows, &next, &error);
		pthread_mutex_lock(&run->mutex);
		if (rc < 0) {
			stop_with(run, rc, &error);
		} else if (ready) {
			slot->done = false;
			run->n_committed++;
			pthread_cond_broadcast(&run->changed);
		}
	}
	/* The engine may be sorting still, for nobody. An interrupt can miss a statement that begins in its moment. */
	while (run->stopped && run->reader_started && !run->read_all) {
		history_reader_interrupt(run->reader);
		const struct timespec until = in_ms(INTERRUPT_MS);
		pthread_cond_clockwait(&run->changed, &run->mutex, CLOCK_MONOTONIC, &until);
	}
	pthread_mutex_unlock(&run->mutex);
}

static int start_thread(pthread_t *thread, void *(*function)(void *), struct run *run, struct error *err)
{
	const int errnum = pthread_create(thread, NULL, function, run);
	if (errnum)
		return error_set(err, ERROR_LIMIT,
				 "cannot start a thread: %s; raise the limit of processes (ulimit -u)",
				 strerrordesc_np(errnum));
	return 0;
}

static int start_threads(struct run *run, struct error *err)
{
	int rc = start_thread(&run->reader_thread, read_batches, run, err);
	run->reader_started = rc == 0;
	for (; rc == 0 && run->n_started < run->n_workers; run->n_started++) {
		rc = start_thread(&run->workers[run->n_started], work_on_batches, run, err);
		if (rc < 0)
			break;
	}
	return rc;
}

static void join_threads(struct run *run)
{
	if (run->reader_started)
		pthread_join(run->reader_thread, NULL);
	for (unsigned i = 0; i < run->n_started; i++)
		pthread_join(run->workers[i], NULL);
}

unsigned history_threads(const struct deployment *deployment, const struct history_options *options)
{
	unsigned n = options->threads ? options->threads : deployment->config->engine_threads;
	if (n == 0) {
		const long cores = sysconf(_SC_NPROCESSORS_ONLN);
		n = cores > 0 ? (unsigned)cores : 1;
	}
	return n < WORKERS_MAX ? n : WORKERS_MAX;
}

static int open_places(struct run *run, struct error *err)
{
	run->n_workers = history_threads(run->deployment, run->options);
	run->n_slots = run->n_workers + SLOTS_MORE;
	run->slots = calloc(run->n_slots, sizeof(*run->slots));
	if (!run->slots)
		return error_no_memory(err, run->n_slots * sizeof(*run->slots));
	int rc = 0;
	for (unsigned i = 0; rc == 0 && i < run->n_slots; i++) {
		rc = run->sink->open(run->sink->context, &run->slots[i].place, err);
		run->slots[i].has_place = rc == 0;
	}
	return rc;
}

static void release(struct run *run)
{
	history_reader_close(run->reader);
	for (unsigned i = 0; run->slots && i < run->n_slots; i++) {
		struct slot *const slot = &run->slots[i];
		row_batch_release(&slot->rows);
		fact_maker_release(&slot->maker);
		if (slot->has_place)
			run->sink->close(run->sink->context, slot->place);
	}
	free(run->slots);
	pthread_cond_destroy(&run->changed);
	pthread_mutex_destroy(&run->mutex);
}

int history_run(const struct deployment *deployment, const struct programme *programme,
		const struct history_options *options, const struct history_sink *sink, struct error *err)
{
	struct run *const run = calloc(1, sizeof(*run));
	if (!run)
		return error_no_memory(err, sizeof(*run));
	run->deployment = deployment;
	run->programme = programme;
	run->options = options;
	run->sink = sink;
	pthread_mutex_init(&run->mutex, NULL);
	pthread_cond_init(&run->changed, NULL);
	struct error error = {0};
	int rc = open_places(run, &error);
	if (rc == 0)
		rc = history_reader_open(deployment, programme, options, &run->reader, &run->total, &error);
	if (rc == 0)
		rc = start_threads(run, &error);
	if (rc < 0) {
		pthread_mutex_lock(&run->mutex);
		stop_with(run, rc, &error);
		pthread_mutex_unlock(&run->mutex);
	}
	commit_batches(run);
	join_threads(run);
	rc = run->rc;
	if (rc < 0 && err)
		*err = run->error;
	release(run);
	free(run);
	return rc;
}
