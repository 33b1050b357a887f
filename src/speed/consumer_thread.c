#include "base/clock.h"
#include "base/log.h"
#include "speed/consumers_internal.h"
#include "store/block.h"

#include <errno.h>
#include <malloc.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S        INT64_C(1000000000)
#define BROKEN_FAILURES 3u
/* Pauses between tries: one second, doubled up to this. */
#define PAUSE_MOST_S 32
#define LOOK_EVERY_S 30
/* After a batch of so many lines memory is given back to the system, so that a daemon that caught up is small again. */
#define TRIM_MEMORY_LINES 100000u

/* For what may wait so long nobody waits: it leaves the processor to others, which get three times as much of a busy one. */
#define PATIENT_NS   NS_PER_S
#define PATIENT_NICE 5

int64_t consumer_now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

void consumers_wait(struct consumers *all, pthread_cond_t *condition, int64_t until_ns)
{
	if (until_ns == INT64_MAX) {
		pthread_cond_wait(condition, &all->mutex);
		return;
	}
	const struct timespec until = {.tv_sec = until_ns / NS_PER_S, .tv_nsec = until_ns % NS_PER_S};
	pthread_cond_timedwait(condition, &all->mutex, &until);
}

static bool is_full(const struct consumer *consumer)
{
	const struct consumer_pace *const pace = &consumer->pace;
	return consumer->waiting.lines >= pace->lines || (pace->bytes && consumer->waiting.bytes >= pace->bytes);
}

/* Tells how far behind it is, whatever it waits for. */
static int count_ahead(struct consumer *consumer, uint64_t end, struct error *err)
{
	struct consumer_waiting *const ahead = &consumer->ahead;
	if (!consumer->metrics)
		return 0;
	for (; ahead->next < end; ahead->next++) {
		struct slice block = {0};
		struct block_counts counts = {0};
		int rc = journal_reader_block(consumer->reader, ahead->next, &block, err);
		if (rc == 0)
			rc = block_counts(block, &counts, err);
		if (rc < 0)
			return rc;
		ahead->lines += counts.n_lines + counts.n_quarantined;
	}
	metrics_consumer_lag(consumer->metrics, ahead->lines);
	return 0;
}

/* Looks on from the last block that was seen, up to a full batch. */
static int look(struct consumer *consumer, struct error *err)
{
	struct consumer_waiting *const w = &consumer->waiting;
	uint64_t first;
	uint64_t end = 0;
	int rc = journal_reader_renew(consumer->reader, err);
	if (rc == 0)
		rc = journal_reader_range(consumer->reader, &first, &end, err);
	if (rc == 0)
		rc = count_ahead(consumer, end, err);
	while (rc == 0 && w->next < end && !is_full(consumer)) {
		struct slice block = {0};
		struct block_counts counts = {0};
		rc = journal_reader_block(consumer->reader, w->next, &block, err);
		if (rc == 0)
			rc = block_counts(block, &counts, err);
		if (rc < 0)
			return rc;
		w->lines += counts.n_lines + counts.n_quarantined;
		w->bytes += block.len;
		w->next++;
	}
	return rc;
}

/* Of blocks that were just taken: how long after they came. */
static void tell_freshness(struct consumer *consumer, uint64_t first, uint64_t next)
{
	if (!consumer->metrics)
		return;
	const int64_t now_us = clock_now_us();
	for (uint64_t seq = first; seq < next; seq++) {
		struct slice block = {0};
		struct block_counts counts = {0};
		if (journal_reader_block(consumer->reader, seq, &block, NULL) < 0 ||
		    block_counts(block, &counts, NULL) < 0)
			return;
		const uint64_t lines = counts.n_lines + counts.n_quarantined;
		if (lines)
			metrics_consumer_visible(consumer->metrics, now_us - counts.time_us, lines, now_us);
	}
}

static int take(struct consumer *consumer, struct error *err)
{
	struct consumers *const all = consumer->all;
	const struct consumer_waiting taken = consumer->waiting;
	const uint64_t first = consumer->offset;
	consumer->last_begun_ns = consumer_now_ns();
	const int rc = consumer->kind->write(consumer, first, taken.next, err);
	if (rc < 0)
		return rc;
	tell_freshness(consumer, first, taken.next);
	metrics_consumer_add(consumer->metrics, METRICS_CONSUMER_BATCHES, 1);
	metrics_consumer_add(consumer->metrics, METRICS_CONSUMER_LINES, taken.lines);
	metrics_consumer_offset(consumer->metrics, taken.next);
	consumer->ahead.lines -= consumer->metrics ? taken.lines : 0;
	metrics_consumer_lag(consumer->metrics, consumer->ahead.lines);
	consumer->waiting = (struct consumer_waiting){.next = taken.next};
	consumer->first_seen_ns = 0;
	pthread_mutex_lock(&all->mutex);
	consumer->offset = taken.next;
	consumer->taken += taken.bytes;
	pthread_cond_broadcast(&all->changed);
	pthread_mutex_unlock(&all->mutex);
	if (all->continuous && taken.lines >= TRIM_MEMORY_LINES)
		malloc_trim(0);
	return 0;
}

/* Who writes to servers looks at them now and then, whether anything comes or not. */
static int look_around(struct consumer *consumer, struct error *err)
{
	if (!consumer->kind->look || consumer_now_ns() < consumer->look_ns)
		return 0;
	const int rc = consumer->kind->look(consumer, err);
	/* After an error again with the next try. */
	if (rc == 0)
		consumer->look_ns = consumer_now_ns() + LOOK_EVERY_S * NS_PER_S;
	return rc;
}

/* Takes a batch when it is time. *until_ns: when to look again, unless something comes; INT64_MAX: nothing waits; 0: at once. */
static int step(struct consumer *consumer, bool finishing, uint64_t wanted, int64_t *until_ns, struct error *err)
{
	const struct consumer_pace *const pace = &consumer->pace;
	const struct consumer_waiting *const waiting = &consumer->waiting;
	const bool looks = consumer->all->continuous && !finishing;
	int rc = look(consumer, err);
	if (rc == 0 && looks)
		rc = look_around(consumer, err);
	if (rc < 0)
		return rc;
	*until_ns = looks && consumer->kind->look ? consumer->look_ns : INT64_MAX;
	if (waiting->next == consumer->offset)
		return 0;
	const int64_t now_ns = consumer_now_ns();
	if (!consumer->first_seen_ns)
		consumer->first_seen_ns = now_ns;
	const int64_t from_ns = pace->eager ? consumer->last_begun_ns : consumer->first_seen_ns;
	const int64_t due_ns = pace->delay_ns == INT64_MAX ? INT64_MAX : from_ns + pace->delay_ns;
	if (!is_full(consumer) && !finishing && wanted <= consumer->offset && now_ns < due_ns) {
		*until_ns = due_ns < *until_ns ? due_ns : *until_ns;
		return 0;
	}
	*until_ns = 0;
	return take(consumer, err);
}

/* After an error: says so, and when to try again. */
static int64_t back_off(struct consumer *consumer, const struct error *err)
{
	metrics_consumer_error(consumer->metrics, err->message, clock_now_us());
	metrics_consumer_state(consumer->metrics,
			       err->code == ERROR_NO_SPACE ? METRICS_DISK_FULL : METRICS_BACKING_OFF);
	const int64_t pause_s = consumer->failures < 5 ? INT64_C(1) << consumer->failures : PAUSE_MOST_S;
	consumer->failures++;
	/* The view and the rows of sinks are opened anew before they are tried again; the journal is not. */
	if (err->code == ERROR_BROKEN && consumer->failures >= BROKEN_FAILURES)
		atomic_store(&consumer->all->broken, true);
	LOG_ERROR("a consumer failed, and tries again", log_text("consumer", consumer->name), log_error(err),
		  log_us("pause", pause_s * 1000000));
	return consumer_now_ns() + pause_s * NS_PER_S;
}

/* With the mutex: who waits for a job is told why it is not done. */
static void fail_job(struct consumer *consumer, int rc, const struct error *err)
{
	struct consumer_job *const job = consumer->job;
	if (!job)
		return;
	job->rc = rc;
	job->error = *err;
	job->done = true;
	consumer->job = NULL;
	pthread_cond_broadcast(&consumer->all->changed);
}

static int try_again(struct consumer *consumer, struct error *err)
{
	metrics_consumer_add(consumer->metrics, METRICS_CONSUMER_RETRIES, 1);
	return consumer->kind->recover ? consumer->kind->recover(consumer, err) : 0;
}

static void went_well(struct consumer *consumer)
{
	if (consumer->failures)
		LOG_INFO("a consumer goes on", log_text("consumer", consumer->name));
	consumer->failures = 0;
	metrics_consumer_state(consumer->metrics, METRICS_RUNNING);
}

int consumer_ready(struct consumer *consumer, uint64_t offset, struct error *err)
{
	uint64_t first;
	uint64_t end = 0;
	/* Before the snapshot: what is appended in between is counted twice rather than not at all. */
	int64_t bytes = -(int64_t)journal_appended(consumer->all->journal);
	int rc = journal_reader_renew(consumer->reader, err);
	if (rc == 0)
		rc = journal_reader_range(consumer->reader, &first, &end, err);
	for (uint64_t seq = offset; rc == 0 && seq < end; seq++) {
		struct slice block = {0};
		rc = journal_reader_block(consumer->reader, seq, &block, err);
		bytes += (int64_t)block.len;
	}
	if (rc < 0)
		return rc;
	consumer->waiting = consumer->ahead = (struct consumer_waiting){.next = offset};
	consumer->first_seen_ns = 0;
	metrics_consumer_offset(consumer->metrics, offset);
	pthread_mutex_lock(&consumer->all->mutex);
	consumer->offset = offset;
	consumer->base = bytes;
	consumer->taken = 0;
	consumer->ready = true;
	pthread_cond_broadcast(&consumer->all->changed);
	pthread_mutex_unlock(&consumer->all->mutex);
	return 0;
}

static void end(struct consumer *consumer, int rc, const struct error *err)
{
	struct consumers *const all = consumer->all;
	metrics_consumer_state(consumer->metrics, rc < 0 ? METRICS_FAILED : METRICS_ENDED);
	pthread_mutex_lock(&all->mutex);
	consumer->rc = rc;
	if (rc < 0)
		consumer->error = *err;
	consumer->ended = true;
	pthread_cond_broadcast(&all->changed);
	pthread_mutex_unlock(&all->mutex);
}

static void do_job(struct consumer *consumer, struct consumer_job *job)
{
	struct consumers *const all = consumer->all;
	struct error err = {0};
	const int rc = job->run(consumer, job->context, &err);
	pthread_mutex_lock(&all->mutex);
	job->rc = rc;
	job->error = err;
	job->done = true;
	consumer->job = NULL;
	pthread_cond_broadcast(&all->changed);
	pthread_mutex_unlock(&all->mutex);
}

void consumers_yield_cpu(void)
{
	const pid_t self = (pid_t)syscall(SYS_gettid);
	(void)setpriority(PRIO_PROCESS, (id_t)self, PATIENT_NICE); /* where it is refused, it goes on as it was */
}

static void *run(void *argument)
{
	struct consumer *const consumer = argument;
	struct consumers *const all = consumer->all;
	bool failed = false;
	if (all->continuous && consumer->pace.delay_ns >= PATIENT_NS)
		consumers_yield_cpu();
	for (;;) {
		pthread_mutex_lock(&all->mutex);
		const bool finishing = all->finishing;
		const bool ready = consumer->ready;
		const uint64_t seen = all->wakes;
		const uint64_t wanted = consumer->wanted;
		struct consumer_job *const job = ready ? consumer->job : NULL;
		pthread_mutex_unlock(&all->mutex);
		struct error err = {0};
		int64_t until_ns = 0;
		int rc = failed ? try_again(consumer, &err) : 0;
		if (rc == 0 && !ready)
			rc = consumer->kind->prepare(consumer, &err);
		else if (rc == 0 && job)
			do_job(consumer, job);
		else if (rc == 0)
			rc = step(consumer, finishing, wanted, &until_ns, &err);
		failed = rc < 0;
		/* A cluster that does not answer now will not in a moment, either. */
		const bool gives_up = finishing || !all->continuous ||
				      (consumer->shipper && rc == ERROR_AWAY && atomic_load(&all->ending));
		if ((failed && gives_up) || rc == ERROR_INTERRUPTED ||
		    (!failed && ready && !job && finishing && until_ns == INT64_MAX)) {
			end(consumer, rc, &err);
			return NULL;
		}
		if (failed)
			until_ns = back_off(consumer, &err);
		else
			went_well(consumer);
		/* No snapshot is held while it waits: the journal could not use the pages of what is trimmed. */
		journal_reader_rest(consumer->reader);
		pthread_mutex_lock(&all->mutex);
		if (failed) {
			fail_job(consumer, rc, &err);
			consumer->late = !consumer->ready;
		}
		while (until_ns && !all->finishing && !(failed && atomic_load(&all->ending)) &&
		       !(consumer->job && !failed) && (failed || (seen == all->wakes && wanted == consumer->wanted)) &&
		       (until_ns == INT64_MAX || consumer_now_ns() < until_ns))
			consumers_wait(all, &all->changed, until_ns);
		pthread_mutex_unlock(&all->mutex);
	}
}

int consumer_start(struct consumer *consumer, struct error *err)
{
	const int errnum = pthread_create(&consumer->thread, NULL, run, consumer);
	if (errnum)
		return error_errno(err, errnum, "cannot start a thread");
	consumer->started = true;
	return 0;
}

static int fail_ended(struct error *err)
{
	return error_set(err, ERROR_INTERRUPTED, "the consumer has ended");
}

int consumer_run(struct consumer *consumer, struct consumer_job *job, struct error *err)
{
	struct consumers *const all = consumer->all;
	job->done = false;
	pthread_mutex_lock(&all->mutex);
	consumer->job = job;
	pthread_cond_broadcast(&all->changed);
	while (!job->done && !consumer->ended)
		pthread_cond_wait(&all->changed, &all->mutex);
	if (!job->done)
		consumer->job = NULL;
	pthread_mutex_unlock(&all->mutex);
	if (!job->done)
		return fail_ended(err);
	return job->rc < 0 ? error_set(err, job->rc, "%s", job->error.message) : 0;
}

int consumer_wait_for(struct consumer *consumer, uint64_t offset, struct error *err)
{
	struct consumers *const all = consumer->all;
	pthread_mutex_lock(&all->mutex);
	if (consumer->wanted < offset)
		consumer->wanted = offset;
	pthread_cond_broadcast(&all->changed);
	while (consumer->offset < offset && !consumer->ended && !atomic_load(&all->ending))
		pthread_cond_wait(&all->changed, &all->mutex);
	const bool there = consumer->offset >= offset;
	pthread_mutex_unlock(&all->mutex);
	return there ? 0 : fail_ended(err);
}
