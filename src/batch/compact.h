/*
 * Compaction: many small files of orders become few large ones, while everybody goes on reading.
 *
 *     struct compactor *compactor = NULL;
 *     rc = compactor_open(deployment, NULL, &compactor, err);
 *     do                                                             // now and then, with a pause
 *             rc = compactor_step(compactor, offset, &report, err);
 *     while (rc == 0 && report.files > 0);
 *     compactor_close(compactor);
 *
 * The table writer makes a file a batch in each partition of transactions_cln, and in data/quarantine: some thousands a day. A
 * step replaces neighbouring ones of one directory by one file with the same rows in the same order. committed.h says what
 * counts at which moment, files_lock.h how readers keep what they have listed; README and ARCHITECTURE what others see.
 *
 * What is merged: neighbours of like size, so that each merge makes a file several times as large as the largest of them: a row
 * is written again a few times (the logarithm of the whole), however many files there are. In a directory that has not changed
 * for quiet_s, few and less like ones are merged as well. A file that has half of target_bytes is left alone. No file comes to
 * have blocks of before and behind an offset at which a state was made (states.h).
 *
 * A crash leaves a staged file in the temporary directory, which nobody reads, or files that are covered, which the next compactor removes.
 * Needs the rows of files to be as they were written: a count that does not agree is ERROR_CORRUPT, and nothing is replaced.
 */
#ifndef PUNCHCARD_BATCH_COMPACT_H
#define PUNCHCARD_BATCH_COMPACT_H

#include "config/deployment.h"

#include <stdbool.h>
#include <stdint.h>

struct compactor;

struct compact_options {
	uint32_t min_files;    /* that are merged at once; 0: 16; from 4 */
	uint32_t quiet_s;      /* seconds without a new file, after which two are enough; 0: 3600 */
	uint64_t target_bytes; /* a merged file has at most about so many; 0: 32 MiB */
	uint32_t memory_mib;   /* of the engine; 0: 256 */
};

struct compact_report {
	bool blocked;      /* a batch command (or another compaction) is at work: nothing was done */
	unsigned files;    /* that were merged; 0: there was nothing to merge */
	uint64_t rows;     /* of these */
	uint64_t bytes;    /* before */
	uint64_t bytes_to; /* of the merged file */
	unsigned removed;  /* files that are covered, by this merge or earlier ones */
	unsigned covered;  /* that are still there, for somebody reads */
};

/* `options`: NULL is all zero. For the collector. The deployment must outlive it. */
int compactor_open(const struct deployment *deployment, const struct compact_options *options, struct compactor **out,
		   struct error *err);
/* Not while a step runs. NULL is fine. */
void compactor_close(struct compactor *compactor);
/*
 * Removes what is covered and that nobody reads, and merges some files of one directory, if there are any to be merged: when
 * nobody reads, these are removed in the same step. `offset`: the table writer's, as it is committed. Takes some seconds at most, in which a refresh, rebuild or audit waits that has
 * just begun; and uses one core. Blocks; one thread at a time.
 *
 * Errors: ERROR_INTERRUPTED (compactor_interrupt, engine_interrupt_all); ERROR_NO_SPACE, ERROR_IO …; ERROR_CORRUPT for a
 * damaged file. None of them changes what is served, and the next step tries again: so who calls it waits longer after one.
 * A directory whose files could not be merged comes last from then on.
 */
int compactor_step(struct compactor *compactor, uint64_t offset, struct compact_report *report, struct error *err);
/* Ends a step that runs, within milliseconds; all later ones are refused. From any thread. */
void compactor_interrupt(struct compactor *compactor);

#endif
