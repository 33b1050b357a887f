/*
 * What the parts of the source "tail" share.
 *
 *     source_tail.c    the loop: waiting, reading, blocks
 *     tail_text.c      one text: its file, whether that is still this text, and reading it
 *     tail_position.c  its position in the journal
 *     tail_scan.c      the directory: which file has which text
 *     tail_copy.c      whether an unknown file is a text that is known
 *
 * A *text* is what a file's lines are; it has a number, a label that its ids begin with, and a position. A file that is renamed
 * keeps its text. A file that is cut loses it: what is written then is another text. A text without a file may be found again,
 * in a file that begins with all that was taken of it: a copy that was made before the cut.
 */
#ifndef PUNCHCARD_SPEED_TAIL_INTERNAL_H
#define PUNCHCARD_SPEED_TAIL_INTERNAL_H

#include "base/csv.h"
#include "speed/lines.h"
#include "speed/stream_position.h"

#include <sys/stat.h>

enum text_state {
	TEXT_UNDECIDED, /* a file of which it is not known yet what it is; nothing is read of it */
	TEXT_KNOWN,     /* what the rest is about */
	TEXT_IGNORED,   /* a file that is none of ours: packed, or without the header it needs */
};

/* The first bytes of a text, those before stream.at, and those before where it will be after the commit. */
struct text_bytes {
	unsigned char head[STREAM_PRINT_BYTES];
	unsigned char before[STREAM_PRINT_BYTES];
	unsigned char next_before[STREAM_PRINT_BYTES];
	uint32_t head_len;
	uint32_t before_len;
	uint32_t next_before_len;
};

struct text {
	enum text_state state;
	uint64_t number;
	char *own_name; /* of the file, when it was met first: ids go by it */
	char *name;     /* in the directory, now; NULL: it has none there */
	uint64_t generation;
	/* The file; 0: there is none any more. */
	uint64_t dev;
	uint64_t ino;
	struct timespec changed; /* st_ctim, when it was closed … */
	uint64_t closed_bytes;   /* … and its size */
	int fd;                  /* -1: not open */
	int wd;                  /* inotify's; -1: none */
	bool seen;               /* in this scan */
	bool verified;           /* by this run: the file is this text's */
	bool dirty;              /* there may be something to read */
	bool at_end;             /* as of the last read */
	bool store;              /* the position must be written, though nothing was taken */
	bool stored;             /* it is in the journal, with its generation */
	bool named;              /* the stream has its label */
	bool complete;
	/* Of an undecided one: of which text it was a beginning, as of this size. */
	uint64_t beginning_of;
	uint64_t beginning_bytes;
	int64_t again_us; /* when it is undecided: when to look again; 0: when it changes */
	int64_t again_step_us;
	int64_t rotated_us; /* when it was seen that its name is no longer its own; 0: it is */
	uint64_t bytes;     /* of the position that is durable; the stream has it while it is open */
	uint64_t line;
	bool in_rest;
	bool has_stream;
	struct lines_stream stream;
	struct intake_counts had; /* before the stream was opened */
	int64_t time_us;
	struct stream_print head_print;
	struct stream_print before_print;
	struct stream_print next_head_print; /* with the commit */
	struct stream_print next_before_print;
	struct text_bytes *known; /* while the stream is open */
};

struct tail {
	struct source *source;
	struct lines *lines;
	char *dir;
	char *pattern;
	struct text **texts; /* by number */
	size_t n_texts;
	size_t cap;
	uint64_t last_number;
	int inotify_fd; /* -1: none; then everything is looked at now and then */
	int dir_wd;
	bool must_scan;
	bool must_try_again; /* something could not be opened or read */
	bool dir_missing;
	struct timespec dir_changed; /* st_mtim as of the last scan */
	uint64_t dir_ino;
	int64_t scanned_us;
	int64_t scan_took_us;
	int64_t ticked_us;
	size_t next_turn; /* which text is read first */
};

/* tail_text.c */

/* Adds a text; the name is copied. NULL: ERROR_NO_MEMORY. */
struct text *tail_add_text(struct tail *tail, const char *name, struct error *err);
void tail_drop_text(struct tail *tail, struct text *text);
void tail_text_free(struct text *text);
/* How many bytes were taken, durably. */
uint64_t tail_taken(const struct text *text);
bool tail_is_rotated(const struct text *text);
/* Opens a file by its name in the directory, and closes what is no regular file. -1: errno. */
int tail_open_file(const struct tail *tail, const char *name, bool follow, struct stat *st);
/* Whether the open file has what was taken of this text. */
bool tail_has_text(const struct text *text, int fd, const struct stat *st);
/* Gives the text the open file, to read on from its position. fd is the text's; after an error it is closed,
 * and the next scan opens the file again. */
int tail_attach(struct tail *tail, struct text *text, int fd, const struct stat *st, struct error *err);
/* Says in the log why a file cannot be read; it is tried again. */
void tail_say_unreadable(struct tail *tail, const char *name, const struct error *fault);
/* Of an undecided text whose file is open: it is one that begins at this place of the file. */
int tail_begin(struct tail *tail, struct text *text, const struct lines_place *place, struct error *err);
/* Closes the file; what was taken stays known. */
void tail_detach(struct tail *tail, struct text *text);
/* The file is no longer this text's. */
void tail_lose_file(struct text *text);
/* The same, but another text (undecided) goes on with the open file. */
int tail_split(struct tail *tail, struct text *text, struct error *err);
/* A file that is none of ours. */
void tail_ignore(struct tail *tail, struct text *text);
enum text_read {
	TEXT_READ,
	TEXT_CUT,   /* it is another text now */
	TEXT_FAULT, /* the message is in err */
};
/* Reads what there is, up to what the stream wants. */
enum text_read tail_read(struct text *text, struct error *err);
/* Lines that were taken of it. */
uint64_t tail_lines(const struct text *text);

/* tail_position.c */

int tail_load_texts(struct tail *tail, struct error *err);
/* The bytes before `to` of the stream, at most STREAM_PRINT_BYTES: those before the window, and in it. Returns how many. */
uint32_t tail_bytes_before(const struct text *text, uint64_t to, unsigned char out[STREAM_PRINT_BYTES]);
/* Writes the position that the text has after lines_take, or the one that it has. In the transaction. */
int tail_store(struct tail *tail, struct text *text, bool taken, bool complete, struct error *err);
/* After the commit of what was taken. */
void tail_stored(struct text *text, bool taken, bool complete);
/* After an abort. */
void tail_not_stored(struct tail *tail);
/* Sets label and generation, in the transaction. */
int tail_name(struct tail *tail, struct text *text, struct error *err);

/* tail_scan.c */

int tail_scan(struct tail *tail, struct error *err);

/* tail_copy.c */

/* Decides what an undecided text is, if that can be said now. *gone: it was another one's, and is not there any more. */
int tail_decide(struct tail *tail, struct text *text, bool *gone, struct error *err);
/* Whether a file that is none of the source's (by its name) has the rest of a text that has lost its file; then it gets it. */
int tail_find_rest(struct tail *tail, const char *name, struct error *err);

#endif
