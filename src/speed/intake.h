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
 */
#ifndef PUNCHCARD_SPEED_INTAKE_H
#define PUNCHCARD_SPEED_INTAKE_H

#include "config/deployment.h"
#include "store/journal.h"

#include <stdbool.h>
#include <stdint.h>

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
	const char *name;
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
	void *context;
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

/* Whether a name in a spool directory is none of its files: hidden, temporary (".tmp"), or put away already. For the last,
 * *base_len is set to the length of the name it had before, and otherwise to 0. */
bool intake_ignores(const struct config_source *source, const char *name, size_t *base_len);

#endif
