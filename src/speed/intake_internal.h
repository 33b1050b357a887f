/*
 * What the parts of the intake share. No part is used from outside of these files.
 *
 *     intake.c            files and blocks
 *     intake_walk.c       directories
 *     intake_position.c   how far each text was read, in the journal
 *     intake_resume.c     which text a file has, and where to go on in it
 *     intake_read.c       records one after the other, and what to do at the end of a file
 *     intake_orders.c     records to orders and other events, to the block
 *     put_away.c          what becomes of a file that was taken
 *
 * lines.c uses intake_orders.c for streams, which have no input.
 */
#ifndef PUNCHCARD_SPEED_INTAKE_INTERNAL_H
#define PUNCHCARD_SPEED_INTAKE_INTERNAL_H

#include "base/csv.h"
#include "base/input.h"
#include "speed/intake.h"
#include "speed/pending.h"
#include "store/block.h"

#include <sys/stat.h>

#define MICROS INT64_C(1000000)
/* A block is committed when it has this size: large enough that the disk's flush is a small part of the work. */
#define BLOCK_BYTES (1024u * 1024u)
/* … or covers so many whole files: small files share a commit. */
#define BLOCK_FILES 1000u

/* A file whose last events wait for the commit; then it is put away. */
struct finished {
	char *path;
	char *name;
	bool keep_name;       /* it was put away before, or somebody still writes to it */
	bool has_quarantined; /* lines of it, now or in an earlier run */
	struct stat st;       /* of the open file when its end was read */
	enum intake_outcome outcome;
	const char *note; /* NULL: none; static */
	struct intake_counts counts;
};

/* A place between two orders of a file. */
struct mark {
	uint64_t offset;
	uint64_t line;
	unsigned char digest[INPUT_DIGEST_BYTES];
	struct intake_counts counts;
};

/* Where the pending order begins: in the file, and in the block, which holds the bad lines that came among its lines. */
struct order_start {
	struct mark mark;
	struct block_writer_mark block;
	bool label_written;
	unsigned bad_lines; /* since then */
};

/* A text that was read under the file's name, up to some place. */
enum past_kind {
	PAST_EARLIER, /* a place where it ended once, before there was more of it */
	PAST_CONTENT, /* it came when another had the name already: known by its hash */
	PAST_FIRST,   /* the first of this name */
	PAST_RENAMED, /* the first of the name that the file had before; there is none of this one */
};
struct past {
	enum past_kind kind;
	struct intake_position position;
	unsigned char digest[INPUT_DIGEST_BYTES];     /* of the text up to the position */
	unsigned char key_digest[INPUT_DIGEST_BYTES]; /* its key's, unless it is the first */
};

struct intake {
	const struct deployment *deployment;
	struct journal *journal;
	struct intake_hooks hooks;
	const struct config_source *source;
	char *dir;
	struct order_format *format;
	struct csv csv;
	struct pending pending;
	struct block_writer block;
	bool begun;               /* the journal's transaction */
	bool broken;              /* an error of what the intake stands on, found while a file was looked at */
	bool patient;             /* who is still written to is waited for */
	const char *renamed_from; /* NULL: not known */
	bool hold;                /* the file is put away only when it has settled */
	/* Where records come from a stream instead of files (speed/lines.h): called between two orders. 0; 1: not one more in this
	 * block. NULL: a full block is committed, with the position in the file. */
	int (*between)(const struct intake *intake);
	int64_t now_us;
	int64_t latest_us;
	uint64_t lines; /* of all files, for progress */
	struct finished *finished;
	size_t n_finished;
	unsigned failed;
	uint64_t told;                /* files that were reported, or are in `finished` */
	struct intake_totals read;    /* … of it the file that is read only up to its last position … */
	struct intake_totals durable; /* … and what of that is committed */

	/* The file that is read. */
	struct input *in;
	const char *name;
	const char *path;
	const struct stat *st;        /* of the look; NULL: not known */
	struct intake_counts counted; /* of `counts`, and … */
	uint64_t counted_bytes;       /* … of the text: what is in `read` */
	struct buf key;               /* of its position */
	size_t first_key_len;         /* the key of the first text of this name is a beginning of it */
	struct past *past;            /* ascending by bytes */
	size_t n_past;
	size_t past_cap;
	struct buf label;
	bool label_written;
	uint64_t line;   /* physical lines consumed */
	uint64_t offset; /* of a stream: bytes consumed */
	struct intake_counts counts;
	struct intake_counts had; /* of earlier runs, of the same key */
	bool had_quarantined;
	bool had_all;                      /* the text that was had was read to its end … */
	uint64_t had_offset;               /* … which is here … */
	uint64_t had_file_bytes;           /* … and the file had this size */
	enum quarantine_reason all_reason; /* every line goes to quarantine for it; 0: none does */
	struct buf scratch;
	struct order_start order_start;
	bool in_long; /* in a line that is too long, which is consumed in pieces … */
	struct mark long_start;
	bool in_rest;      /* in a line of which the beginning was taken or set aside as if it were all of it */
	const char *note;  /* for the report; static */
	int64_t waited_us; /* for the file to settle */
};

/* intake.c */

int intake_begin_block(struct intake *intake, struct error *err);
/* Looks at a name of the source, as intake_look. */
int intake_take_entry(struct intake *intake, const char *name, enum intake_looked *looked, struct stat *st,
		      struct error *err);
/* Makes what is in the block durable, and puts the files away that ended in it. Afterwards no transaction is open. */
int intake_commit_block(struct intake *intake, struct error *err);
bool intake_block_full(const struct intake *intake);
bool intake_asked_to_stop(const struct intake *intake);
/* Sets ERROR_INTERRUPTED. */
int intake_interrupted(struct error *err);

/* intake_position.c; all but intake_mark_here need the transaction. */

/* What a position begins with, for all kinds of sources: appends it to out. 0 or ERROR_NO_MEMORY. */
int intake_position_encode(unsigned version, const struct intake_position *position,
			   const unsigned char digest[INPUT_DIGEST_BYTES], struct buf *out);
/* Reads what it begins with. The rest of one of another version than POSITION_VERSION_FILE is the source's own; *rest may be NULL. */
#define POSITION_VERSION_FILE   1u
#define POSITION_VERSION_STREAM 2u
#define POSITION_VERSION_KAFKA  3u
int intake_position_decode_rest(struct slice stored, struct intake_position *out,
				unsigned char digest[INPUT_DIGEST_BYTES], struct slice *rest);

/* Sets key and label for the first text of a name. */
int intake_set_name(struct intake *intake, const char *name, size_t name_len, struct error *err);
/* The key of a text that came under a name that another has; digest: what tells it from others. */
int intake_set_content_key(struct intake *intake, const unsigned char digest[INPUT_DIGEST_BYTES], struct error *err);
/* Fills intake->past with what is known of the name. */
int intake_read_past(struct intake *intake, struct error *err);
/* Makes the text of the name that the file had before the first one of this name. */
int intake_adopt(struct intake *intake, struct past *past, struct error *err);
/* Whether a file of this size that was put away is not told by the sizes of what was read. */
bool intake_may_be_grown(const struct intake *intake, uint64_t file_bytes);
void intake_mark_here(struct intake *intake, struct mark *mark);
/* file_bytes: the size of the file when it is complete, otherwise 0. */
int intake_write_position(struct intake *intake, const struct mark *mark, bool complete, uint64_t file_bytes,
			  struct error *err);
/* Remembers that a text ended here once. */
int intake_write_end(struct intake *intake, const struct intake_position *position,
		     const unsigned char digest[INPUT_DIGEST_BYTES], struct error *err);
/* Remembers that a file was put away of which nothing is known but its size and digest. */
int intake_write_unknown(struct intake *intake, const unsigned char digest[INPUT_DIGEST_BYTES], uint64_t file_bytes,
			 struct error *err);

/* intake_resume.c */

enum resumed {
	RESUMED_HERE,      /* the input stands where to go on */
	RESUMED_UNSETTLED, /* the header has no end yet: nothing is known */
	RESUMED_UNKNOWN,   /* it was put away, but is none of the texts that were read; the input stands at its end */
};
/* Opens the file and moves to where it was left. */
int intake_resume(struct intake *intake, bool was_put_away, enum resumed *out, struct error *err);
/* Whether what was consumed ends inside of a line. */
bool intake_inside_line(const struct intake *intake);
/* Stands at a mark of this run again, and looks for more behind it. ERROR_INPUT when the text before it is another now. */
int intake_go_back(struct intake *intake, const struct mark *mark, struct error *err);

/* intake_read.c */

/* What came of reading a file. */
enum ending {
	ENDING_WHOLE,
	ENDING_UNSETTLED, /* somebody may still be writing to it */
	ENDING_FAULT,     /* it cannot be read on */
};
/* Reads on from the input's position to the end of the file and says where to go on. ENDING_FAULT: the message is in err, the
 * result 0. */
int intake_take_records(struct intake *intake, struct mark *mark, enum ending *ending, struct error *err);
/* Whether somebody has written to the open file since it was read last. */
bool intake_has_changed(const struct intake *intake);
/* Whether nobody has written to it for settle_ms. */
bool intake_is_quiet(const struct intake *intake);
/* Both: its end was read, and is one. */
bool intake_has_settled(const struct intake *intake);

/* intake_orders.c */

/* Takes the record in intake->csv. 1: not now, as `between` says. */
int intake_take_record(struct intake *intake, enum csv_result result, struct error *err);
/* The same; where the source keeps lines `text`, the record's bytes, goes into the block too, without the line's end. Its format has
 * no quotes. */
int intake_take_text(struct intake *intake, enum csv_result result, struct slice text, struct error *err);
/* Sets the record in intake->csv aside, whatever it is; between two orders. */
int intake_quarantine_record(struct intake *intake, enum quarantine_reason reason, struct error *err);
/* Ends the order that is pending. */
int intake_flush_pending(struct intake *intake, struct error *err);
/* Goes back to where the pending order begins: it is read again, with the bad lines in it, when its end can be read. */
void intake_give_up_pending(struct intake *intake);

/* put_away.c */

/* Renames, moves or deletes a file whose lines are durable. *note: why it was left where it is, static, or NULL. *path_now: the
 * path that it has then, NULL when there is none, or it is another file's; the caller frees it. */
int intake_put_away(const struct intake *intake, const struct finished *file, const char **note, char **path_now,
		    struct error *err);
/* Whether these are of one file, and nobody has written to it in between. */
bool intake_same_file(const struct stat *a, const struct stat *b);

#endif
