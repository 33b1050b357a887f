/*
 * Where the files of a sink go: its directory and its prefix, with what stands for %Y, %{host} and so on in them.
 *
 *     %Y %y %m %d %H %M %S %j   year, month, day, hour, minute, second, day of the year of the time when the line was taken in
 *     %s %t                     that time in seconds and in milliseconds since 1970
 *     %{name}                   a header that all lines of the source have
 *     %%                        a per cent sign
 *
 * One belongs to one thread at a time.
 */
#ifndef PUNCHCARD_SPEED_SINK_PATH_H
#define PUNCHCARD_SPEED_SINK_PATH_H

#include "base/bytes.h"
#include "base/tz.h"
#include "speed/sink.h"

struct sink_path {
	struct tz *zone; /* NULL: the programme's */
	char *pattern;   /* absolute */
	bool varies;
	struct buf made;
	int64_t made_us; /* of what was made last */
	struct buf made_source;
};

/* ERROR_NOT_FOUND: no such time zone. */
int sink_path_open(struct sink_path *path, const struct sink *sink, struct error *err);
void sink_path_close(struct sink_path *path);
/* "<directory>/<prefix>" of a line; lives until the next call. */
int sink_path_make(struct sink_path *path, const struct sink *sink, const struct sink_line *line, const char **out,
		   struct error *err);
/* The names that a commit of the journal has left to be given: varint files, then for each, as texts, its name now and its last one. */
struct sink_names {
	struct reader r;
	uint64_t left;
};
struct sink_names sink_names_of(struct slice rest);
/* 1, *from and *to, which point into `rest`; 0 at the end; ERROR_CORRUPT. */
int sink_names_next(struct sink_names *names, struct slice *from, struct slice *to);
/* On a cluster all paths are of HDFS, from its root on. */
/* Heap path of the directory as far as it is the same for all lines. NULL: no memory. */
char *sink_path_root(const struct sink *sink);

#endif
