/*
 * Intake: files of a spool directory into the journal, every line once.
 *
 *     struct intake *intake = NULL;
 *     rc = intake_open(deployment, journal, &hooks, &intake, err);
 *     rc = intake_source(intake, source, err);            // all files that are there now
 *     intake_close(intake);
 *
 * A file is known by its name within its source. Its *position* (bytes and lines taken, and a hash of those bytes) is
 * written in the journal's transaction of its events; so a process that was killed goes on behind the last event that is
 * durable, and a file that comes again under its name gives nothing again:
 *
 *     same content              had already: only renamed
 *     same beginning, longer    the new lines are taken (also of a file that was put away, under whatever number)
 *     other content             where orders bring ids, these tell what was had; otherwise each line is quarantined as
 *                               file_name_reused, since its lines would have ids that are taken (unless no line was taken of
 *                               the first one)
 *
 * An event that brings its own id is looked up in the journal's index: with the same payload it is a duplicate, with another
 * payload its lines are quarantined as id_conflict. The lines of one order stand together in a file; bad lines between them
 * are set aside without ending it. A line of NDJSON is an event of its own, of any kind.
 *
 * A file may be read while it is written. What may still become another record is not taken before nobody has written to the
 * file for settle_ms: a last line without an end, an open quote, the last order of a file whose orders have several lines. If
 * it does not settle, the next run takes it from there. A line that was taken or set aside without its end keeps what it was:
 * the rest of it is no line.
 *
 * A file is renamed, moved or deleted only after its last line is durable, and stays where it is when it is another than was
 * read, or was written to since. It is moved or deleted only when it has settled; after a renaming lines that are added to
 * it are still found. One with quarantined lines is never deleted but renamed. One intake belongs to one thread.
 *
 * Where the source is recursive, a file's name is its path below the source's directory. Hidden directories are left out, and
 * the one that files are moved to; links to directories are not followed. There a file keeps its path when it is moved.
 *
 * The daemon looks at files one by one, as they come, and waits for none of them:
 *
 *     rc = intake_enter(intake, source, err);
 *     rc = intake_look(intake, "a/b.txt", &how, &looked, err);     // …
 *     rc = intake_commit(intake, err);
 *     intake_leave(intake);
 */
#ifndef PUNCHCARD_SPEED_INTAKE_H
#define PUNCHCARD_SPEED_INTAKE_H

#include "config/deployment.h"
#include "store/journal.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/* lines = lines that were taken + duplicates + quarantined. A line that was taken is a row of an order; one of NDJSON an event,
 * which may have several rows. */
struct intake_counts {
	uint64_t lines;      /* records read; neither headers nor blank lines */
	uint64_t rows;       /* of transactions_cln */
	uint64_t events;     /* that were taken */
	uint64_t duplicates; /* lines of events that were had */
	uint64_t quarantined;
	uint64_t by_reason[32]; /* of quarantined: index is enum quarantine_reason */
};

/* How many lines were taken. */
static inline uint64_t intake_taken(const struct intake_counts *counts)
{
	return counts->lines - counts->duplicates - counts->quarantined;
}

/* All but by_reason. */
static inline void intake_counts_add(struct intake_counts *sum, const struct intake_counts *more)
{
	sum->lines += more->lines;
	sum->rows += more->rows;
	sum->events += more->events;
	sum->duplicates += more->duplicates;
	sum->quarantined += more->quarantined;
}

enum intake_outcome {
	INTAKE_TAKEN,   /* read to its end */
	INTAKE_HAD,     /* nothing new in it */
	INTAKE_REUSED,  /* another file had the name; its lines are quarantined */
	INTAKE_GROWS,   /* somebody is still writing to it: what is whole was taken, the next run goes on */
	INTAKE_SKIPPED, /* no regular file, or one that has the name of one that was put away */
	INTAKE_FAILED,  /* could not be read to its end, or not be put away: see message */
};

struct intake_file {
	const char *source;
	const char *name;     /* below the source's directory */
	const char *name_now; /* the one it has after it was put away; NULL: it is not there any more, or not known */
	const struct stat
		*st; /* as of when it was looked at; NULL: not known. Its size, time and inode are name_now's, too */
	enum intake_outcome outcome;
	const struct intake_counts *counts; /* of this run */
	const char *message;                /* SKIPPED, FAILED: why, and what to do; the others: a remark, or NULL */
};

struct intake_hooks {
	/* A file is done with. */
	void (*file)(void *context, const struct intake_file *file);
	/* Something is durable in the journal; lines is how many were read so far. */
	void (*committed)(void *context, uint64_t lines);
	/* By collect_once, before the first file: the customers' accounts were made again, for the programme has changed. May be
	 * NULL. */
	void (*made_again)(void *context);
	/* Asked between files, between blocks and while it waits for the end of a file: true stops the intake with
	 * ERROR_INTERRUPTED, at a position that it can go on from. */
	bool (*stop)(void *context);
	/* Before each block, outside of the journal's transaction. An error ends the intake. May be NULL. */
	int (*before_block)(void *context, struct error *err);
	void *context;
};

/* What is durable by this intake, since it was opened. */
struct intake_totals {
	struct intake_counts counts;
	uint64_t bytes;   /* of text */
	uint64_t files;   /* that were read to their end */
	int64_t block_us; /* when the last block was begun: before the first of its lines was read */
};

struct intake;

int intake_open(const struct deployment *deployment, struct journal *journal, const struct intake_hooks *hooks,
		struct intake **out, struct error *err);
void intake_close(struct intake *intake);

/*
 * Takes all files of one source, in order of name. Files that cannot be read are reported to the hook and counted in
 * *failed; the others go on. Errors: the journal's (nothing is lost: run again), ERROR_INTERRUPTED, ERROR_CONFIG (no such
 * directory, wrong format).
 */
int intake_source(struct intake *intake, const struct config_source *source, unsigned *failed, struct error *err);

/* Look by look. */

enum intake_looked {
	INTAKE_LOOK_NONE, /* no file of this source: its name says so, or it is gone */
	INTAKE_LOOK_SAME, /* put away, and nothing new in it */
	INTAKE_LOOK_TOLD, /* the hook was told, or will be when the block is committed */
};

struct intake_how {
	/* Whoever wrote it has finished (it was moved here): it may be renamed although it was written just now. Otherwise it is
	 * put away only when it has settled. */
	bool whole;
	/* The name that it had before, if that is known: where its text is the one that was read under that name, it goes on, and
	 * nothing is taken again. NULL: not known. */
	const char *renamed_from;
};

/* From now on this source, whose config must stay. ERROR_CONFIG: wrong format. */
int intake_enter(struct intake *intake, const struct config_source *source, struct error *err);
/* Drops what is not committed. Also after errors. */
void intake_leave(struct intake *intake);
/*
 * Takes from one file (its name below the source's directory) what can be taken of it now; what is read of it is durable, and
 * the hook told, with the next commit. INTAKE_GROWS: look again when it has settled, or was written to. A name that waits for
 * the commit must not be looked at before that. *st, if not NONE: the file's. Errors: as intake_source; what was not committed
 * is dropped.
 */
int intake_look(struct intake *intake, const char *name, const struct intake_how *how, enum intake_looked *looked,
		struct stat *st, struct error *err);
/* Makes what was read durable, if there is anything. Afterwards no transaction is open. */
int intake_commit(struct intake *intake, struct error *err);
/* Whether a transaction is open. */
bool intake_is_open(const struct intake *intake);
void intake_durable(const struct intake *intake, struct intake_totals *out);
/* Whether names of directories are none of the source's: hidden, or the one that files are moved to. `name`: below the
 * source's directory. */
bool intake_ignores_dir(const struct deployment *deployment, const struct config_source *source, const char *name);

/* A stored position, for `status`: of a file, or of what another type of source reads. */
struct intake_position {
	bool complete;
	uint64_t bytes;              /* of the unpacked text */
	uint64_t line;               /* physical lines taken */
	uint64_t file_bytes;         /* size of the file when its end was read; 0 when it was not */
	struct intake_counts counts; /* by_reason is not kept */
	int64_t time_us;             /* when it was last taken from */
};
/* ERROR_CORRUPT when it is damaged. */
int intake_position_decode(struct slice stored, struct intake_position *out, unsigned char digest[16]);

/* Whether a name (without directories) is none of its files: hidden, temporary (".tmp"), or put away already. For the last,
 * *base_len is set to the length of the name it had before, and otherwise to 0. */
bool intake_ignores(const struct config_source *source, const char *name, size_t *base_len);
/* Whether it is the name of one of its files, put away or not. */
bool intake_wants(const struct config_source *source, const char *name, size_t *base_len);

#endif
