/*
 * The consumers of the journal, each on a thread of its own: the table writer, the view writer, and the sinks of a Flume agent.
 *
 *     struct consumers *consumers = NULL;
 *     rc = consumers_start(deployment, journal, &options, &consumers, err);
 *     …blocks are committed… consumers_wake(consumers);
 *     rc = consumers_finish(consumers, err);       // they take all that is there, then end
 *
 * Once (`collect`): while the journal is filled each takes a batch as soon as a large one is there; at the end, the rest. A consumer
 * that fails stops; the others go on, and consumers_finish gives the error: what was not taken is in the journal and is taken
 * by the next process. When all have all, the journal is trimmed, and the accounts that were marked are mended: after a
 * success the view is what the batch layer would compute.
 *
 * Continuous (`run`): each takes what is there within its delay (view: max_delay_ms; tables: max_delay_s), more at a time when more
 * waits. One that fails says so, and tries again until it is asked to finish; the other one goes on. A thread besides trims the
 * journal, merges small files (compact.h) and mends marked accounts, while the view goes on.
 */
#ifndef PUNCHCARD_SPEED_CONSUMERS_H
#define PUNCHCARD_SPEED_CONSUMERS_H

#include "config/deployment.h"
#include "speed/view_mend.h"
#include "store/journal.h"

#include <stdbool.h>

struct consumers;
struct metrics;
struct shipper_counts;
struct sink;

struct consumers_options {
	struct view_mend_stop
		stop; /* once: ends the making and mending of accounts, with ERROR_INTERRUPTED: the next process does it */
	bool continuous;
	bool hbase_again;        /* on a cluster: what the journal still has is shipped to HBase again */
	struct metrics *metrics; /* may be NULL */
	struct sink *sinks;      /* speed/sink.h; theirs until consumers_finish */
	unsigned n_sinks;        /* at most SINKS_MOST */
	/* On a cluster, for each shipper when they finish: what it shipped. May be NULL. */
	void (*shipped)(void *context, const char *name, const struct shipper_counts *counts);
	void *shipped_context;
};

/*
 * Makes the view again first when it is behind what the journal still has, or was made by another programme; when continuous, in the
 * view's thread, while the sources go on. Needs the collector's lock. Errors: as view_mend_all, table_writer_open.
 */
int consumers_start(const struct deployment *deployment, struct journal *journal,
		    const struct consumers_options *options, struct consumers **out, struct error *err);
/* Whether it did for the latter reason; not continuous. */
bool consumers_programme_changed(const struct consumers *consumers);
/* Blocks were committed. Any thread. */
void consumers_wake(struct consumers *consumers);
/* Whether less waits for the slowest of them than is configured (journal: backlog_mib). Any thread. */
bool consumers_have_room(struct consumers *consumers);
/* Whether one has failed for good: it makes no sense to go on filling the journal. Never, when continuous. */
bool consumers_failed(struct consumers *consumers);
/* Whether the journal takes nothing any more until it is opened anew (ERROR_BROKEN): the process must end. Any thread. */
bool consumers_broken(struct consumers *consumers);
/* For a source that found it so. Any thread. */
void consumers_tell_broken(struct consumers *consumers);
/* Tells the metrics of the journal: to be called every second or so, from the main thread. */
void consumers_tell(struct consumers *consumers);
/* Waits for all, closes, and frees. When continuous, a batch that fails is not tried again from now on, and servers of a cluster are not
 * waited for longer than HTTP_HURRY_MS. */
int consumers_finish(struct consumers *consumers, struct error *err);

#endif
