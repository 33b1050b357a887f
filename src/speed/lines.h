/*
 * Lines of a stream (a pipe, a file that grows) into the journal: bytes, records, events, a block, a commit.
 *
 *     struct lines *lines = NULL;
 *     rc = lines_open(source, &lines, err);
 *     struct lines_stream stream = {0};
 *     rc = lines_stream_open(lines, &stream, SLICE("orders.log"), &(struct lines_place){0}, err);
 *     …read(fd, lines_room(&stream, want), want)… lines_added(&stream, n, now_us);
 *     rc = lines_begin(lines, err);
 *     rc = lines_take(lines, &stream, LINES_OPEN, err);         // and further streams: they share the block
 *     …positions of the streams (stream->next), in the transaction…
 *     rc = lines_commit(lines, err);                            // durable: all of it, or nothing
 *     lines_stream_close(&stream);
 *
 * A stream keeps its bytes until they are durable: whatever fails before (a full disk), lines_begin may be called again, and
 * what is taken then is the same. What more text could change is not taken: a line without its end, an open quote, the last
 * order of a format whose orders have several lines; lines_end says when there is no use in waiting. Bad lines are set aside
 * like those of a file of a spool; nothing in a stream is an error, but a header without the columns that are needed.
 *
 * All belongs to one thread, the source's.
 */
#ifndef PUNCHCARD_SPEED_LINES_H
#define PUNCHCARD_SPEED_LINES_H

#include "speed/intake.h"
#include "speed/order_format.h"
#include "speed/source.h"

#define LINES_BLOCK_BYTES (1024u * 1024u)
/* A block is committed so long after the one before, at the earliest, unless it is full: who writes a line at a time does not
 * make a commit of each, and waits no longer than that. */
#define LINES_LINGER_MS 10

enum lines_end {
	LINES_OPEN,    /* more may come at any moment */
	LINES_SETTLED, /* nothing came for long enough: what ends in a newline is whole */
	LINES_ENDED,   /* nothing more will come: all is taken as it is */
	LINES_WHOLE,   /* likewise, in this block, however large it gets */
};

/* Between two orders of a stream, where it can be gone on with. */
struct lines_place {
	uint64_t bytes;
	uint64_t line; /* physical lines consumed */
	bool in_rest;  /* in a line of which the beginning was taken as if it were all of it: what follows is no line */
};

struct lines_stream {
	struct order_format *format;
	struct buf label;
	bool has_header; /* none is needed, or it was read */
	/* NULs before the first line are no line: who goes on writing to a file that was cut, at the place where he was, leaves a
	 * hole before it. */
	bool skip_nuls;
	/* What was read and is not durable: its first byte stands at `at` of the stream. */
	struct buf window;
	uint64_t at;
	struct lines_place durable;
	struct intake_counts counts; /* of what is durable, since it was opened */
	int64_t first_us;            /* when the first byte of the window was read, or one before it; 0: it is empty */
	int64_t last_us;             /* when the last was */
	bool skipping;               /* `at` is in a line that is too long, which began at `durable`; its head … */
	struct buf head;             /* … is this */

	/* What lines_take has taken, to be durable with the commit. */
	bool taken;
	struct lines_place next;
	struct intake_counts next_counts; /* of the batch */
	uint64_t next_at;
	bool next_skipping;
	struct buf next_head;
	bool next_header;
	bool idle;    /* lines_take took nothing: it is of no use before there is more, or another lines_end */
	bool settled; /* what could be taken when nothing came for long was taken, and nothing came since */
};

struct lines;

int lines_open(struct source *source, struct lines **out, struct error *err);
void lines_close(struct lines *lines);

/* `name`: what ids begin with, in a format without ids; it may be set later, before the first lines_take. `place`: where the bytes that will be added begin. ERROR_NO_MEMORY,
 * ERROR_CONFIG. */
int lines_stream_open(struct lines *lines, struct lines_stream *stream, struct slice name,
		      const struct lines_place *place, struct error *err);
int lines_stream_name(struct lines_stream *stream, struct slice name, struct error *err);
/* Where a stream is gone on with: takes the header out of its beginning; stream->has_header says whether it is whole in these
 * bytes. `name` is for messages. ERROR_INPUT: it is none. Does nothing when the format needs none. */
int lines_stream_header(struct lines_stream *stream, struct slice beginning, const char *name, struct error *err);
void lines_stream_close(struct lines_stream *stream);
/* Between these two the stream needs neither its lines nor a deployment; it goes on with others, whose format is the same and has no
 * header. After an error it still pauses. */
void lines_stream_pause(struct lines_stream *stream);
int lines_stream_resume(struct lines *lines, struct lines_stream *stream, struct error *err);

/* Whether more should be read before lines_take. */
bool lines_wants_more(const struct lines_stream *stream);
/* Room for so many bytes behind those that are there; NULL when out of memory. */
char *lines_room(struct lines_stream *stream, size_t bytes);
void lines_added(struct lines_stream *stream, size_t bytes, int64_t now_us);
/* Bytes that are not durable yet. */
static inline size_t lines_waiting(const struct lines_stream *stream)
{
	return stream->window.len;
}

/* Says in the log what of the stream is left out for good: a line without its end. */
void lines_give_up(const struct lines *lines, const struct lines_stream *stream);

/* How long it is until nothing came for settle_ms, in milliseconds; 0: so it is; -1: nothing waits for that. */
int lines_settle_ms(const struct lines_stream *stream, uint32_t settle_ms);

/* The journal's turn; waits for it, but not for room. */
int lines_begin(struct lines *lines, struct error *err);
/* Takes what can be taken of the window, once in a transaction. 0; 1: the block is full, and there may be more. Errors:
 * ERROR_INPUT for a header, the journal's, ERROR_NO_MEMORY; then lines_abort. */
int lines_take(struct lines *lines, struct lines_stream *stream, enum lines_end end, struct error *err);
bool lines_full(const struct lines *lines);
/* Whether lines_take has moved on where it can be gone on with. */
static inline bool lines_moved(const struct lines_stream *stream)
{
	return stream->next.bytes != stream->durable.bytes;
}
/* Adds what was taken of the stream to the position of all that came to the source. */
void lines_add_to(const struct lines_stream *stream, struct intake_position *position);
/* Makes durable what was taken, with the positions that were set, and tells the daemon (source_committed); nothing, where no
 * stream has moved on and `force` is false. `files`: how many were read to their end. After an error nothing was taken, as after lines_abort. */
int lines_commit(struct lines *lines, unsigned files, bool force, struct error *err);
void lines_abort(struct lines *lines);
/* How many milliseconds the next commit should wait for more; 0: it need not. */
int lines_linger_ms(const struct lines *lines);

#endif
