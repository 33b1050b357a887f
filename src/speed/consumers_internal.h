/*
 * What the parts of the consumers share. No part is used from outside speed/consumer*.c.
 *
 *     consumers.c        who they are, from start to end
 *     consumers_cluster.c  who they are on a cluster
 *     consumer_thread.c  one of them: batches in time, and again after a failure
 *     consumers_keep.c   what is done besides while they run: trimming, mending, merging small files
 */
#ifndef PUNCHCARD_SPEED_CONSUMERS_INTERNAL_H
#define PUNCHCARD_SPEED_CONSUMERS_INTERNAL_H

#include "batch/history.h"
#include "speed/consumers.h"
#include "speed/metrics.h"
#include "speed/shipper.h"
#include "speed/sink.h"
#include "speed/table_writer.h"
#include "speed/view_writer.h"
#include "store/cells.h"
#include "store/warehouse.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

struct consumer;

/* What a consumer does. In its thread. */
struct consumer_kind {
	/* Until consumer_ready was called; NULL: the thread starts with that done. */
	int (*prepare)(struct consumer *consumer, struct error *err);
	/* Takes blocks first to next - 1, all or nothing. */
	int (*write)(struct consumer *consumer, uint64_t first, uint64_t next, struct error *err);
	/* Before a failed write is tried again: nothing of it may be left. May be NULL. */
	int (*recover)(struct consumer *consumer, struct error *err);
	/* When continuous, at the start and every half a minute: whether what it writes to is there. May be NULL. */
	int (*look)(struct consumer *consumer, struct error *err);
};

/* When it takes a batch. */
struct consumer_pace {
	uint64_t lines;   /* at once, when there are so many … */
	uint64_t bytes;   /* … or blocks of so many bytes; 0: any number */
	int64_t delay_ns; /* at the latest so long after the first of them was there; INT64_MAX: not before the end */
	bool eager;       /* at once, when it took none for so long */
};

/* Something else to be done in a consumer's thread, between two batches. */
struct consumer_job {
	int (*run)(struct consumer *consumer, void *context, struct error *err);
	void *context;
	int rc;
	struct error error;
	bool done;
};

/* What it has seen and not taken yet. */
struct consumer_waiting {
	uint64_t next; /* behind the last block that was seen */
	uint64_t lines;
	uint64_t bytes;
};

struct consumer {
	struct consumers *all;
	const struct consumer_kind *kind;
	const char *name;  /* of metrics and messages */
	struct sink *sink; /* whose it is; NULL: of the table or the view */
	/* On a cluster; NULL: not. */
	struct shipper *shipper;
	struct warehouse *warehouse;
	struct cells *cells;
	struct consumer_pace pace;
	struct journal_reader *reader;
	struct metrics_consumer *metrics;
	pthread_t thread;
	bool started;

	/* Its thread's. */
	struct consumer_waiting waiting;
	struct consumer_waiting ahead; /* all that it has not taken, for metrics; without bytes */
	int64_t first_seen_ns;         /* when the oldest line that it has not taken was seen; 0: there is none */
	int64_t last_begun_ns;         /* when its last batch was begun */
	int64_t look_ns;               /* when it looks next */
	unsigned failures;             /* in a row */

	/* Under all->mutex. */
	bool ready;      /* the offset is known */
	bool late;       /* it is not, though it was looked for: that failed */
	uint64_t offset; /* of the next block to take */
	int64_t base;    /* bytes of blocks that waited when it was ready, less those that were appended until then */
	uint64_t taken;  /* bytes of blocks that it has taken since */
	uint64_t wanted; /* it is to take the blocks before this one at once */
	struct consumer_job *job;
	bool ended;
	int rc;
	struct error error;
};

/* The table and the view; or a cluster's shippers. */
#define OWN_CONSUMERS_MOST 3u
static_assert(OWN_CONSUMERS_MOST + SINKS_MOST <= METRICS_CONSUMERS, "each has a slot");

struct consumers {
	const struct deployment *deployment;
	struct journal *journal;
	bool continuous;
	struct metrics *metrics;
	struct table_writer *table_writer;
	struct view *view;
	struct view_writer *view_writer;
	struct view_mend_stop stop;
	struct consumer each[OWN_CONSUMERS_MOST + SINKS_MOST];
	unsigned n;
	struct consumer *table; /* of these; NULL: on a cluster */
	struct consumer *to_view;
	bool programme_changed; /* so the view was made again */
	void (*shipped)(void *context, const char *name, const struct shipper_counts *counts);
	void *shipped_context;

	pthread_t keeper;
	bool has_keeper;
	pthread_cond_t keeper_wake; /* it is to end; waits by the monotonic clock */
	atomic_bool has_marked;     /* accounts wait to be mended */
	atomic_bool ending;         /* for what takes long: the keeper, mending */
	atomic_bool broken;         /* the journal must be opened anew */
	_Atomic uint64_t trimmed;
	bool told_pinned; /* the keeper's */

	pthread_mutex_t mutex;
	pthread_cond_t changed; /* waits by the monotonic clock */
	uint64_t wakes;
	bool finishing;
	uint64_t pinned; /* blocks from here on are not trimmed; UINT64_MAX: nothing is pinned */
};

/* consumer_thread.c */

/* The calling thread, and those it starts, get less of a busy processor than those that somebody waits for. */
void consumers_yield_cpu(void);
int64_t consumer_now_ns(void);
/* With the mutex: waits for a broadcast, or until then by consumer_now_ns; INT64_MAX: for ever. */
void consumers_wait(struct consumers *all, pthread_cond_t *condition, int64_t until_ns);
/* Its offset is known: from here on it takes blocks. */
int consumer_ready(struct consumer *consumer, uint64_t offset, struct error *err);
int consumer_start(struct consumer *consumer, struct error *err);
/* Has it run in the consumer's thread, and waits. ERROR_INTERRUPTED when the consumer has ended. */
int consumer_run(struct consumer *consumer, struct consumer_job *job, struct error *err);
/* Has it take the blocks before `offset`, and waits; likewise. */
int consumer_wait_for(struct consumer *consumer, uint64_t offset, struct error *err);

/* consumers_cluster.c */

/* Those of a cluster, ready; in place of the table and the view. ERROR_CONFIG: the deployment has a history of its own. hbase_again: what
 * the journal still has is shipped to HBase again. */
int consumers_open_cluster(struct consumers *all, bool hbase_again, struct error *err);
/* Gives back what it added to a consumer. */
void consumer_close_cluster(struct consumer *consumer);

/* consumers.c */

/* One more of them. `name` lives as long as they do. */
struct consumer *consumers_add(struct consumers *all, const struct consumer_kind *kind, const char *name);
/* *first: the first block that is still there. */
int consumers_read_journal(struct consumers *all, uint64_t *first, struct history_journal *out, struct error *err);

/* consumers_keep.c */

void *consumers_keep(void *consumers);
/* Deletes blocks that all have taken and that are older than the retention, some at a time. */
int consumers_trim(struct consumers *all, struct error *err);

#endif
