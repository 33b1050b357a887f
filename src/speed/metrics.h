/*
 * What the daemon tells about itself, while it runs: counters, states, last errors and histograms in a file that others map.
 *
 *     struct metrics *m = NULL;                              // the daemon; without metrics m stays NULL, and all below is
 *     rc = metrics_create(data_dir, &m, err);                // fine with that
 *     struct metrics_source *s = metrics_source(m, "till", "spool");
 *     metrics_source_add(s, METRICS_SOURCE_LINES, 512);      // in the source's thread
 *     metrics_source_durable(s, now_us - read_us, 512, now_us);
 *     metrics_heartbeat(m, now_us);                          // every second, from the main thread
 *     metrics_close(m, METRICS_DAEMON_STOPPED);
 *
 *     struct metrics_snapshot *now = NULL;                   // anybody
 *     rc = metrics_read(data_dir, &now, err);
 *     …
 *     metrics_snapshot_free(now);
 *
 * The file is <data>/run/metrics, of a fixed size, made whole under another name and renamed: whoever opens it finds one of
 * this layout or one of another version, never half of one. Its creator holds a lock on it (open file description lock, as on
 * data/lock) as long as he lives, so that readers know a daemon that died from one that is silent.
 *
 * Writing costs a few nanoseconds and no system call. Every number is written by one thread, and read by any, without locks;
 * texts are guarded by a sequence counter. Which thread writes what: what has a `struct metrics *` is the main thread's, a
 * source's slot its source's, a consumer's slot its consumer's, but for metrics_consumer_lag, which one thread, any, may
 * call. Slots are never given back; they live until metrics_close. Functions that write take NULL and then do nothing.
 */
#ifndef PUNCHCARD_SPEED_METRICS_H
#define PUNCHCARD_SPEED_METRICS_H

#include "base/error.h"
#include "base/histogram.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define METRICS_SOURCES   64u /* of one daemon; further ones are counted only */
#define METRICS_CONSUMERS 16u
#define METRICS_NAME_MAX  64u /* bytes, with the NUL; longer ones are cut */
#define METRICS_TYPE_MAX  16u
#define METRICS_ERROR_MAX 512u

enum metrics_daemon_state {
	METRICS_DAEMON_STARTING = 0,
	METRICS_DAEMON_RUNNING,
	METRICS_DAEMON_STOPPING, /* asked to stop; the consumers take what is left */
	METRICS_DAEMON_STOPPED,  /* in good order */
	METRICS_DAEMON_FAILED,   /* by an error: the log has it */
};

/* Of a source or a consumer. */
enum metrics_state {
	METRICS_STARTING = 0,
	METRICS_RUNNING,
	METRICS_WAITING,     /* source: for room in the journal, as consumers are behind */
	METRICS_DISK_FULL,   /* goes on by itself when there is room */
	METRICS_BACKING_OFF, /* tries again by and by, after an error */
	METRICS_ENDED,       /* nothing more will come: the end of stdin, or taken out of the configuration */
	METRICS_FAILED,      /* stays so until somebody acts: the last error says how */
};

/* Counts since the daemon's start. */
enum metrics_source_counter {
	METRICS_SOURCE_LINES = 0, /* durable, of any outcome: events, duplicates and quarantined lines */
	METRICS_SOURCE_EVENTS,    /* new ones */
	METRICS_SOURCE_DUPLICATES,
	METRICS_SOURCE_QUARANTINED, /* lines */
	METRICS_SOURCE_BYTES,       /* of text */
	METRICS_SOURCE_FILES,       /* read to their end */
	METRICS_SOURCE_COMMITS,     /* transactions of the journal */
	METRICS_SOURCE_ERRORS,      /* metrics_source_error counts these */
	METRICS_SOURCE_RESTARTS,    /* of an exec source's program, or of the source's thread */
	METRICS_SOURCE_COUNTERS,
};

enum metrics_consumer_counter {
	METRICS_CONSUMER_BATCHES = 0, /* committed */
	METRICS_CONSUMER_LINES,       /* of these; quarantined ones included */
	METRICS_CONSUMER_RETRIES,
	METRICS_CONSUMER_ERRORS, /* metrics_consumer_error counts these */
	METRICS_CONSUMER_COUNTERS,
};

struct metrics_journal {
	uint64_t used_bytes;    /* of the LMDB file */
	uint64_t backlog_bytes; /* of blocks that not every consumer has */
	uint64_t first_block;   /* the first that is kept */
	uint64_t next_block;    /* the number of the next one */
	uint64_t trimmed;       /* blocks since the daemon's start */
};

struct metrics;
struct metrics_source;
struct metrics_consumer;

/* --- writing: the daemon --- */

/* Makes the file, in <data_dir>/run (made if missing), and replaces an older one. ERROR_IO, ERROR_NO_SPACE, …: go on without.
 * The caller closes. */
int metrics_create(const char *data_dir, struct metrics **out, struct error *err);
/* Leaves the file for readers, with this as the daemon's last state; no slot may be used any more. NULL is fine. */
void metrics_close(struct metrics *metrics, enum metrics_daemon_state state);
/* The daemon lives: called every second or so. UTC microseconds, as all times here. */
void metrics_heartbeat(struct metrics *metrics, int64_t now_us);
void metrics_daemon_state(struct metrics *metrics, enum metrics_daemon_state state);
void metrics_set_journal(struct metrics *metrics, const struct metrics_journal *journal);
/* The slot of this name, or a new one in state METRICS_STARTING; a type ("spool", "http") is part of the name. NULL when there
 * is no room for another one (readers are told how many were left out), and when metrics is NULL. Lives until metrics_close. */
struct metrics_source *metrics_source(struct metrics *metrics, const char *name, const char *type);
struct metrics_consumer *metrics_consumer(struct metrics *metrics, const char *name);

/* --- writing: a source's thread --- */

static inline void metrics_source_add(struct metrics_source *source, enum metrics_source_counter which, uint64_t n);
static inline void metrics_source_state(struct metrics_source *source, enum metrics_state state);
/* So many lines have become durable, so long after they were read; and when. */
static inline void metrics_source_durable(struct metrics_source *source, int64_t took_us, uint64_t lines,
					  int64_t now_us);
/* Counts an error and keeps its text (cut at METRICS_ERROR_MAX - 1 bytes) as the last one. Does not change the state. */
void metrics_source_error(struct metrics_source *source, const char *text, int64_t now_us);

/* --- writing: a consumer's thread --- */

static inline void metrics_consumer_add(struct metrics_consumer *consumer, enum metrics_consumer_counter which,
					uint64_t n);
static inline void metrics_consumer_state(struct metrics_consumer *consumer, enum metrics_state state);
/* The number of the block that it takes next. */
static inline void metrics_consumer_offset(struct metrics_consumer *consumer, uint64_t offset);
/* Lines that are durable, and that it has not taken yet. */
static inline void metrics_consumer_lag(struct metrics_consumer *consumer, uint64_t lines);
/* So many lines can be seen in its table or view, so long after they became durable in the journal; and when. */
static inline void metrics_consumer_visible(struct metrics_consumer *consumer, int64_t took_us, uint64_t lines,
					    int64_t now_us);
void metrics_consumer_error(struct metrics_consumer *consumer, const char *text, int64_t now_us);

/* --- reading: any process --- */

/* Whether the daemon that made the file is there. */
enum metrics_life {
	METRICS_ALIVE = 0,
	METRICS_SILENT, /* it is there, and gave no sign of life for METRICS_SILENT_US */
	METRICS_GONE,   /* it stopped, as its state says; or died, in any other state */
};
#define METRICS_SILENT_US INT64_C(10000000)

struct metrics_source_snapshot {
	char name[METRICS_NAME_MAX];
	char type[METRICS_TYPE_MAX];
	enum metrics_state state;
	uint64_t counters[METRICS_SOURCE_COUNTERS];
	int64_t last_us;                 /* when lines last became durable; 0: never */
	int64_t error_us;                /* when the last error came; 0: never */
	char error[METRICS_ERROR_MAX];   /* "" when there was none */
	struct histogram_counts durable; /* from read to durable, an entry a line */
};

struct metrics_consumer_snapshot {
	char name[METRICS_NAME_MAX];
	enum metrics_state state;
	uint64_t counters[METRICS_CONSUMER_COUNTERS];
	uint64_t offset;
	uint64_t lag_lines;
	int64_t last_us;
	int64_t error_us;
	char error[METRICS_ERROR_MAX];
	struct histogram_counts visible; /* from durable to visible, an entry a line */
};

struct metrics_snapshot {
	int64_t taken_us; /* by the reader's clock */
	int64_t pid;
	int64_t started_us;
	int64_t heartbeat_us;
	enum metrics_daemon_state state;
	enum metrics_life life;
	struct metrics_journal journal;
	unsigned n_sources;
	unsigned n_consumers;
	unsigned left_out; /* sources and consumers for which there was no room */
	struct metrics_source_snapshot
		*sources; /* in the order of their making; a later snapshot of the same daemon has */
	struct metrics_consumer_snapshot *consumers; /* these and perhaps more behind them */
};

/* Reads the daemon's file; the caller frees. ERROR_NOT_FOUND: no daemon ever ran here; ERROR_CORRUPT: the file is cut, or is
 * none of ours; ERROR_INPUT: it is of another version of punchcard; ERROR_IO, ERROR_NO_MEMORY. Does not write, takes no lock
 * and costs the daemon nothing. */
int metrics_read(const char *data_dir, struct metrics_snapshot **out, struct error *err);
void metrics_snapshot_free(struct metrics_snapshot *snapshot);
/* Whether both are of one run of the daemon, so that differences between them mean something. */
bool metrics_same_run(const struct metrics_snapshot *a, const struct metrics_snapshot *b);

/* A word or two for people and JSON: "running", "disk full". A number that is none of them is "unknown". */
const char *metrics_state_name(enum metrics_state state);
const char *metrics_daemon_state_name(enum metrics_daemon_state state);

/* --- the layout of the slots: for the functions below, and for metrics.c and metrics_read.c --- */

#define METRICS_ERROR_WORDS (METRICS_ERROR_MAX / 8)

/* A text that one thread replaces while others read: the sequence's lowest bit says which of the two is valid, and the other
 * one is written. So a writer that stops in the middle, for a while or for ever, leaves a whole text. */
struct metrics_text {
	_Atomic uint64_t sequence;
	_Atomic uint64_t words[2][METRICS_ERROR_WORDS];
};

struct metrics_source {
	char name[METRICS_NAME_MAX]; /* name and type: written before the slot is counted, and never again */
	char type[METRICS_TYPE_MAX];
	_Atomic uint64_t state;
	_Atomic uint64_t counters[METRICS_SOURCE_COUNTERS];
	_Atomic int64_t last_us;
	_Atomic int64_t error_us;
	struct metrics_text error;
	struct histogram durable;
};

struct metrics_consumer {
	char name[METRICS_NAME_MAX];
	_Atomic uint64_t state;
	_Atomic uint64_t counters[METRICS_CONSUMER_COUNTERS];
	_Atomic uint64_t offset;
	_Atomic uint64_t lag_lines;
	_Atomic int64_t last_us;
	_Atomic int64_t error_us;
	struct metrics_text error;
	struct histogram visible;
};

static inline void metrics_source_add(struct metrics_source *source, enum metrics_source_counter which, uint64_t n)
{
	if (source)
		histogram_bump(&source->counters[which], n);
}

static inline void metrics_source_state(struct metrics_source *source, enum metrics_state state)
{
	if (source)
		atomic_store_explicit(&source->state, (uint64_t)state, memory_order_relaxed);
}

static inline void metrics_source_durable(struct metrics_source *source, int64_t took_us, uint64_t lines,
					  int64_t now_us)
{
	if (!source)
		return;
	histogram_add(&source->durable, took_us, lines);
	atomic_store_explicit(&source->last_us, now_us, memory_order_relaxed);
}

static inline void metrics_consumer_add(struct metrics_consumer *consumer, enum metrics_consumer_counter which,
					uint64_t n)
{
	if (consumer)
		histogram_bump(&consumer->counters[which], n);
}

static inline void metrics_consumer_state(struct metrics_consumer *consumer, enum metrics_state state)
{
	if (consumer)
		atomic_store_explicit(&consumer->state, (uint64_t)state, memory_order_relaxed);
}

static inline void metrics_consumer_offset(struct metrics_consumer *consumer, uint64_t offset)
{
	if (consumer)
		atomic_store_explicit(&consumer->offset, offset, memory_order_relaxed);
}

static inline void metrics_consumer_lag(struct metrics_consumer *consumer, uint64_t lines)
{
	if (consumer)
		atomic_store_explicit(&consumer->lag_lines, lines, memory_order_relaxed);
}

static inline void metrics_consumer_visible(struct metrics_consumer *consumer, int64_t took_us, uint64_t lines,
					    int64_t now_us)
{
	if (!consumer)
		return;
	histogram_add(&consumer->visible, took_us, lines);
	atomic_store_explicit(&consumer->last_us, now_us, memory_order_relaxed);
}

#endif
