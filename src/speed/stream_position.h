/*
 * How far the sources that are no spools have come, in the journal: positions that begin like those of files of a spool
 * (speed/intake.h), so that `status` adds them up alike, and go on with what tells the text of a file that grows from another.
 * stream_position.c has the bytes.
 *
 * All but stream_position_decode in the journal's write transaction, unless it is said otherwise.
 */
#ifndef PUNCHCARD_SPEED_STREAM_POSITION_H
#define PUNCHCARD_SPEED_STREAM_POSITION_H

#include "base/input.h"
#include "speed/intake.h"

/* So many bytes before a position, and of a text's beginning, are remembered by their hash. */
#define STREAM_PRINT_BYTES 1024u

struct stream_print {
	uint32_t len;
	unsigned char digest[INPUT_DIGEST_BYTES];
};

struct stream_position {
	struct intake_position common; /* complete: read to its end, and nothing more is expected */
	struct stream_print before;    /* of the bytes before the position */
	struct stream_print head;      /* of the text's first bytes */
	bool in_rest;                  /* lines_place.in_rest */
	uint64_t dev;                  /* of the file; 0, and ino too: it has none any more */
	uint64_t ino;
	uint64_t generation; /* how many texts had the name, with this one, from 1 */
	int64_t started_us;  /* pipes: what the label of the last start was made of */
	struct slice name;   /* of the file, when the text was met first */
};

void stream_print_make(struct slice bytes, struct stream_print *out);
bool stream_print_is_of(const struct stream_print *print, const void *bytes);

/* ERROR_CORRUPT. The name points into `stored`. */
int stream_position_decode(struct slice stored, struct stream_position *out);

/* The source's one position, when its texts cannot be read again: a pipe, connections, requests. stream_position_read_pipe is not
 * called in a transaction, but is one; where there is no position yet, *out is an empty one. */
int stream_position_read_pipe(struct journal *journal, const char *source, struct stream_position *out,
			      struct error *err);
/* The moment that tells the next of these texts from all others, for its label: now, or behind the last one whatever the clock says. */
int64_t stream_position_start(struct stream_position *position, int64_t now_us);
int stream_position_set_pipe(struct journal *journal, const char *source, const struct stream_position *position,
			     struct error *err);

/* Those of the texts of a source that follows files, by the number of the text, from 1. */
int stream_position_set_text(struct journal *journal, const char *source, uint64_t number,
			     const struct stream_position *position, struct error *err);
/* Calls `each` for all, by number, until it gives an error, which is the result. */
int stream_position_each_text(struct journal *journal, const char *source,
			      int (*each)(void *context, uint64_t number, const struct stream_position *position,
					  struct error *err),
			      void *context, struct error *err);
/* How many texts had this name, those of a spool of the same source counted as one; and counts one more. */
int stream_position_generation(struct journal *journal, const char *source, struct slice name, uint64_t *generation,
			       struct error *err);

#endif
