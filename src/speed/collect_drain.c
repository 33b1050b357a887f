/* The journal's backlog, before the batch layer reads the history: by whoever may write it. */
#include "base/clock.h"
#include "batch/committed.h"
#include "batch/swap.h"
#include "engine/engine.h"
#include "speed/collect.h"
#include "speed/consumers.h"

#include <assert.h>
#include <inttypes.h>
#include <time.h>

#define MICROS   INT64_C(1000000)
#define LOOK_NS  50000000
#define STUCK_US (60 * MICROS)

/* *out stays NULL when there is none. */
static int open_to_read(const struct deployment *deployment, struct journal **out, struct error *err)
{
	const struct journal_options options = {.map_gib = deployment->config->journal_map_gib, .read_only = true};
	struct error refusal = {0};
	const int rc = journal_open(deployment->journal_dir, &options, out, &refusal);
	return rc == 0 || rc == ERROR_NOT_FOUND ? 0 : error_set(err, rc, "%s", refusal.message);
}

/* With the collector's lock. */
static int drain(const struct deployment *deployment, struct error *err)
{
	const struct journal_options options = {.map_gib = deployment->config->journal_map_gib};
	struct journal *journal = NULL;
	struct consumers *consumers = NULL;
	int rc = open_to_read(deployment, &journal, err);
	if (rc < 0 || !journal)
		return rc;
	journal_close(journal);
	journal = NULL;
	rc = journal_open(deployment->journal_dir, &options, &journal, err);
	if (rc < 0)
		return rc;
	rc = consumers_start(deployment, journal, &(const struct consumers_options){0}, &consumers, err);
	if (rc == 0)
		rc = consumers_finish(consumers, err);
	journal_close(journal);
	return rc;
}

/* ---- waiting for a collector ---- */

struct waiting {
	const struct deployment *deployment;
	const struct collect_wait *wait;
	struct journal *journal; /* open from the first look on */
	uint64_t until;          /* the table's offset is to come to that; 0: not known yet */
	uint64_t offset;
	pid_t collector;
	int64_t since_us;
	int64_t moved_us; /* when the offset or the collector changed */
};

static int read_journal(struct waiting *waiting, uint64_t *next, uint64_t *offset, struct error *err)
{
	struct journal_reader *reader = NULL;
	uint64_t first;
	int rc = journal_reader_open(waiting->journal, &reader, err);
	if (rc == 0)
		rc = journal_reader_range(reader, &first, next, err);
	if (rc == 0)
		rc = journal_reader_offset(reader, TABLE_CONSUMER, offset, err);
	journal_reader_close(reader);
	return rc;
}

/* A collector that never wrote a block keeps nobody waiting. */
static int look(struct waiting *waiting, bool *done, struct error *err)
{
	uint64_t next = 1;
	uint64_t offset = 1;
	int rc = waiting->journal ? 0 : open_to_read(waiting->deployment, &waiting->journal, err);
	*done = rc == 0 && !waiting->journal;
	if (rc == 0 && waiting->journal)
		rc = read_journal(waiting, &next, &offset, err);
	if (rc < 0 || *done)
		return rc;
	struct deployment_holder holder = {0};
	const bool known = deployment_holder(waiting->deployment, DEPLOYMENT_COLLECT, &holder);
	const int64_t now_us = clock_monotonic_us();
	if (waiting->until == 0) {
		waiting->until = next;
		waiting->since_us = now_us;
	}
	if (offset != waiting->offset || (known && holder.pid != waiting->collector) || waiting->moved_us == 0)
		waiting->moved_us = now_us;
	waiting->offset = offset;
	waiting->collector = known ? holder.pid : waiting->collector;
	*done = offset >= waiting->until;
	return 0;
}

static int check_stuck(const struct waiting *waiting, struct error *err)
{
	const struct collect_wait *const wait = waiting->wait;
	const int64_t limit_us = wait && wait->stuck_us ? wait->stuck_us : STUCK_US;
	if (clock_monotonic_us() - waiting->moved_us < limit_us)
		return 0;
	return error_set(err, ERROR_LOCKED,
			 "the collector, process %ld, has written nothing to its table for %" PRId64
			 " seconds; %" PRIu64
			 " blocks of the journal are still to be written. If it does not go on, stop "
			 "it and run this again",
			 (long)waiting->collector, limit_us / MICROS, waiting->until - waiting->offset);
}

/* Tells, and sleeps until the next look. */
static int pause_shortly(const struct waiting *waiting, struct error *err)
{
	const struct collect_wait *const wait = waiting->wait;
	int rc = engine_check_interrupted(err);
	if (rc == 0)
		rc = check_stuck(waiting, err);
	if (rc < 0)
		return rc;
	if (wait && wait->waiting)
		wait->waiting(wait->context, waiting->collector, clock_monotonic_us() - waiting->since_us);
	nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
	return 0;
}

/* Whoever gets the collector's lock drains; who does not waits for the one that has it. */
static int drain_or_wait(struct waiting *waiting, struct error *err)
{
	for (;;) {
		struct deployment *collector = NULL;
		struct error refusal = {0};
		int rc = deployment_open_beside(waiting->deployment, DEPLOYMENT_COLLECT, &collector, &refusal);
		if (rc == 0) {
			/* A process opens the journal once at a time. */
			journal_close(waiting->journal);
			waiting->journal = NULL;
			rc = drain(collector, err);
			deployment_close(collector);
			return rc;
		}
		if (rc != ERROR_LOCKED)
			return error_set(err, rc, "%s", refusal.message);
		/* It ships at its own pace, as those of the other edges do: what it has not shipped is there the next time. */
		if (waiting->deployment->config->cluster.on)
			return 0;
		bool done = false;
		rc = look(waiting, &done, err);
		if (rc < 0 || done)
			return rc;
		rc = pause_shortly(waiting, err);
		if (rc < 0)
			return rc;
	}
}

int collect_drain(const struct deployment *deployment, const struct collect_wait *wait, struct error *err)
{
	assert(deployment->mode != DEPLOYMENT_READ);
	int rc = swap_finish(deployment, err);
	if (rc < 0)
		return rc;
	if (deployment->mode == DEPLOYMENT_COLLECT)
		return drain(deployment, err);
	struct waiting waiting = {.deployment = deployment, .wait = wait};
	rc = drain_or_wait(&waiting, err);
	journal_close(waiting.journal);
	return rc;
}
