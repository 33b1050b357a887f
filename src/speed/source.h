/*
 * Sources: where events come in while `punchcard run` is at work, each on a thread of its own.
 *
 * A driver is one file, speed/source_<type>.c, with one `const struct source_driver`, which source.c lists by type. Its `run` takes
 * events into the journal until it is told to stop, or until there will be no more:
 *
 *     static int run(struct source *source, struct error *err)
 *     {
 *             while (!source_must_stop(source)) {
 *                     if (!source_wait(source, fd, -1, POLLIN))
 *                             continue;                               // stop, or nothing came
 *                     rc = source_wait_for_room(source, err);         // back-pressure
 *                     rc = journal_begin(source->journal, err);
 *                     …block, ids, positions… journal_append(…)
 *                     rc = journal_commit(source->journal, err);
 *                     source_committed(source, &(const struct source_counts){…});
 *             }
 *             return 0;
 *     }
 *
 * What it has to say goes to base/log.h, with log_text("source", source->config->name) as the first field.
 *
 * An error of `run` is logged, shown by `status`, and `run` is called again after a pause, which grows with each failure in
 * a row: what has no memory of its own goes on by the positions in the journal. What must outlive that (bytes that were read
 * from a pipe and are not durable yet) hangs at source->state, which `close` frees.
 *
 * A source never holds the journal's write transaction while it waits for anything but the disk: others wait for their turn.
 */
#ifndef PUNCHCARD_SPEED_SOURCE_H
#define PUNCHCARD_SPEED_SOURCE_H

#include "config/deployment.h"
#include "store/journal.h"

#include <stdbool.h>
#include <stdint.h>

struct consumers;
struct metrics_source;
struct source;

/* What was read and is not durable, and cannot be read again: it outlives the source when the configuration is read again. */
struct source_kept {
	void *state; /* NULL: there is nothing */
	void (*release)(void *state);
};

struct source_driver {
	/* Once, before the thread starts, in the caller's thread; may be NULL. An error ends the daemon's start: a port that is
	 * taken, say. */
	int (*open)(struct source *source, struct error *err);
	/* In the source's thread, as above. 0: told to stop, or there will be no more events. */
	int (*run)(struct source *source, struct error *err);
	/* Once, after the thread has ended; may be NULL. */
	void (*close)(struct source *source);
	/* Instead of close: another source of the same driver takes its place, and finds *kept at source->kept when it is opened. NULL:
	 * it is closed. */
	void (*keep)(struct source *source, struct source_kept *kept);
	/* It honours config->keeps_lines and lines_only: a Flume agent may have it. */
	bool keeps_lines;
};

struct source {
	const struct deployment *deployment;
	const struct config_source *config;
	const struct source_driver *driver;
	struct journal *journal;
	struct consumers *consumers;    /* whom it wakes, and who tell whether there is room; NULL in tests: always */
	struct metrics_source *metrics; /* may be NULL */
	void *state;                    /* the driver's */
	struct source_kept
		*kept; /* of the one before; NULL, or its state is: there was none. `open` takes it, or fails */
	int stop_fd;   /* an eventfd, readable from when it is to stop */
};

/* What came with a commit, or in a part of a run. */
struct source_counts {
	uint64_t lines; /* that were read: taken, had already, or quarantined */
	uint64_t events;
	uint64_t duplicates;
	uint64_t quarantined;
	uint64_t bytes;   /* of text */
	uint64_t files;   /* read to their end */
	int64_t first_us; /* when the oldest of what is durable now was read (clock_now_us); 0: not known */
};

/* The drivers, each of source_<type>.c. */
extern const struct source_driver source_spool;
extern const struct source_driver source_tail;
extern const struct source_driver source_stdin;
extern const struct source_driver source_exec;
extern const struct source_driver source_http;
extern const struct source_driver source_tcp;
extern const struct source_driver source_kafka;

const struct source_driver *source_driver(enum source_type type);

/* Any thread. */
bool source_must_stop(const struct source *source);
/* Waits for `fd` (-1: none) to have one of poll's `events`, at most timeout_ms (-1: for ever). Whether it has; false also when the
 * source is to stop. */
bool source_wait(struct source *source, int fd, int timeout_ms, short events);
/* Before the journal is written: waits while so much waits for the consumers as is configured (`journal: backlog_mib`). 0;
 * ERROR_INTERRUPTED when it is to stop. Never inside of a transaction. */
int source_wait_for_room(struct source *source, struct error *err);
/* Whether it would wait: for who would rather refuse. */
bool source_has_room(struct source *source);
/* After each commit: wakes the consumers, and counts. */
void source_committed(struct source *source, const struct source_counts *counts);

#endif
