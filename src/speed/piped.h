/*
 * What comes out of a pipe: what the sources stdin and exec share. A pipe cannot be read again, so what was read of it lives
 * here, at source->state, until it is durable.
 *
 * Each start of a pipe begins with line 1 again; ids of events that have none are "<prefix>-<microseconds of the start>:<line>",
 * and no two starts of a source have the same.
 */
#ifndef PUNCHCARD_SPEED_PIPED_H
#define PUNCHCARD_SPEED_PIPED_H

#include "speed/lines.h"
#include "speed/stream_position.h"

struct piped {
	struct source *source;
	struct lines *lines;
	struct lines_stream stream;
	bool started;
	bool ended;                      /* the pipe: its end was read */
	bool known;                      /* position was read from the journal */
	struct stream_position position; /* of what is durable, all starts together */
};

int piped_open(struct source *source, struct piped *piped, struct error *err);
void piped_close(struct piped *piped);
/* From now on it belongs to no source, until another takes it: lines_stream_pause says what of. After an error nobody has. */
void piped_pause(struct piped *piped);
int piped_resume(struct piped *piped, struct source *source, struct error *err);
/* Begins with line 1. What the pipe before had left must have been taken, or is given up. */
int piped_start(struct piped *piped, const char *prefix, struct error *err);
/* Reads what there is, and waits up to LINES_LINGER_MS for more; at the end sets `ended`. ERROR_IO. */
int piped_read(struct piped *piped, int fd, struct error *err);
/* Takes what can be taken into the journal, in as many blocks as it needs. wait: for room, first. */
int piped_take(struct piped *piped, enum lines_end end, bool wait, struct error *err);
/* How long until piped_take should be called with LINES_SETTLED; -1: there is no need. */
static inline int piped_settle_ms(const struct piped *piped)
{
	return lines_settle_ms(&piped->stream, piped->source->config->settle_ms);
}
/* Says in the log that what is left is given up: a line without its end, of a pipe that was cut. */
void piped_give_up(struct piped *piped);

#endif
