/*
 * Sinks: consumers of the journal that take the lines as they came (BLOCK_LINE), of some sources, and put them somewhere else.
 *
 * A driver is one file, speed/sink_<type>.c, with one `const struct sink_driver`. The consumer's thread (consumers.h) gives it all
 * lines of blocks first to next - 1, in order, between begin and commit:
 *
 *     driver->begin(sink, first, next) · driver->line(sink, &line) … · driver->commit(sink)      or driver->abort(sink)
 *
 * Every line is in it once: commit makes the lines durable and moves the sink's offset in the journal (sink_commit) so that after a
 * crash at any moment either both are, or what is done again does not show.
 *
 * Its offset, and what it has still to do then (`rest`), stand among the journal's positions under "\1sink/<name>". While it runs, or
 * was killed, blocks from its offset on are not trimmed, by whoever collects; when it has ended in order it has no offset, and begins
 * behind the last block when it runs again.
 */
#ifndef PUNCHCARD_SPEED_SINK_H
#define PUNCHCARD_SPEED_SINK_H

#include "config/deployment.h"
#include "store/journal.h"

#include <stdbool.h>
#include <stdint.h>

/* Sinks of one run: with the table and the view, or a cluster's shippers, as many as data/run/metrics has room for. */
#define SINKS_MOST 13u

struct sink;

struct sink_line {
	struct slice source;
	struct slice file; /* label */
	uint64_t line;
	struct slice text; /* any bytes, without the line's end */
	int64_t time_us;   /* when its block was begun */
};

struct sink_driver {
	/* `rest`: what the last commit has left to do; gone when it returns. It is done, or sink->left set. May be NULL. */
	int (*open)(struct sink *sink, struct slice rest, struct error *err);
	/* Does what is left, or has done it. May be NULL: there never is anything behind `open`. */
	int (*settle)(struct sink *sink, struct error *err);
	int (*begin)(struct sink *sink, uint64_t first, uint64_t next, struct error *err);
	int (*line)(struct sink *sink, const struct sink_line *line, struct error *err);
	int (*commit)(struct sink *sink, struct error *err);
	/* Gives up what was begun. */
	void (*abort)(struct sink *sink);
	void (*close)(struct sink *sink); /* also when open failed; may be NULL */
};

/* A header that all lines of a source have, for %{name} in paths. */
struct sink_header {
	char *source;
	char *name;
	char *value;
};

struct sink {
	/* What it is. */
	const struct sink_driver *driver;
	char *name;     /* "tier1/snk-1": one '/', letters, digits and "_-." */
	char **sources; /* whose lines it takes, by config_source.name */
	unsigned n_sources;
	int64_t delay_ms;  /* takes what is there so long after it came … */
	uint64_t at_bytes; /* … or when so much waits */
	/* hdfs, file_roll */
	char *dir; /* hdfs: below the warehouse, with escapes; file_roll: relative to the deployment */
	bool in_warehouse;
	bool on_cluster; /* hdfs, hbase: of the cluster of punchcard.yaml, not of this machine */
	char *prefix;    /* of files' names; hdfs: with escapes */
	char *suffix;
	char *timezone;      /* of %Y and so on; NULL: the programme's */
	uint64_t roll_lines; /* of a file; 0: any number */
	uint64_t roll_bytes;
	bool gzip;
	bool no_newline;
	struct sink_header *headers;
	unsigned n_headers;
	/* hbase */
	char *table;
	char *column; /* "family:qualifier" */
	/* logger */
	uint64_t log_bytes;

	/* While it runs. */
	const struct deployment *deployment;
	struct journal *journal;
	uint64_t first; /* of the batch */
	uint64_t next;
	bool left;   /* what the last commit had to do is not done yet */
	void *state; /* the driver's */
};

extern const struct sink_driver sink_files, sink_rows, sink_cells, sink_logger, sink_null;

/* Its offset is *offset; a new one begins behind the last block. Before the sources start. With sink->left, sink_recover comes before the
 * first write: what is left could not be done yet. */
int sink_open(struct sink *sink, const struct deployment *deployment, struct journal *journal, uint64_t *offset,
	      struct error *err);
/* Takes the lines of blocks first to next - 1, all or none. */
int sink_write(struct sink *sink, struct journal_reader *reader, uint64_t first, uint64_t next, struct error *err);
/* After a failed write: opens it again, and does what is left. *offset: where it goes on, for an error may come behind the commit. */
int sink_recover(struct sink *sink, uint64_t *offset, struct error *err);
/* For drivers: moves the offset to sink->next, and keeps `rest`, durably. */
int sink_commit(struct sink *sink, struct slice rest, struct error *err);
/* `ended`: it has taken all there is, and ends in order. */
void sink_close(struct sink *sink, bool ended);
/* The first block that a sink has still to take, of all that have an offset, and its name (cut to fit). */
struct sinks_pin {
	uint64_t first; /* UINT64_MAX: none has */
	char name[144];
};
/* Calls `each` for all sinks that have an offset, by name, which is gone when it returns; something else than 0 ends it. */
int sinks_each(struct journal_reader *reader, int (*each)(void *context, struct slice name, uint64_t offset),
	       void *context, struct error *err);
int sinks_pinned(struct journal_reader *reader, struct sinks_pin *pin, struct error *err);

/* Frees what the fields above "while it runs" hold, not itself. */
void sink_release(struct sink *sink);

#endif
