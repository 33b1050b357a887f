/*
 * Swapping tables of the warehouse, several at once: all of what was staged comes, or nothing.
 *
 *     struct swap *swap = NULL;
 *     rc = swap_begin(deployment, &swap, err);                    // finishes one that was interrupted
 *     rc = swap_table(swap, "ledger", &dir, err);                 // the whole table anew: fill <dir>/data_dt=…
 *     rc = swap_partition(swap, "loyalty", day, &dir, err);       // one partition anew: fill <dir>; empty: there is none
 *     rc = swap_commit(swap, SWAP_KEEP_SAME, err);
 *     swap_end(swap);                                             // also after an error: what was staged is gone
 *
 * Staged files become durable in one go; then a rename makes the staging directory data/swap, which is the moment from
 * which all of it counts. Directories are then exchanged with those that serve, one by one: a reader finds each of them old
 * or new, and whole. A process that dies before the rename leaves nothing; one that dies behind it leaves the rest of the
 * exchanges to the next swap_begin or swap_finish: every command that writes calls one of them first.
 *
 * Needs a deployment of mode DEPLOYMENT_WRITE, besides swap_finish. One swap at a time, in one thread at a time; its files may be written by any.
 */
#ifndef PUNCHCARD_BATCH_SWAP_H
#define PUNCHCARD_BATCH_SWAP_H

#include "config/deployment.h"

#include <stdbool.h>

struct swap;

int swap_begin(const struct deployment *deployment, struct swap **out, struct error *err);
/* Finishes a swap that was interrupted behind its moment; nothing to do is fine. A collector (DEPLOYMENT_COLLECT) takes
 * data/lock for it, and leaves it to the batch writer where there is one. */
int swap_finish(const struct deployment *deployment, struct error *err);
/* The directory to fill; it is there and empty. The caller frees *dir. The name of a table is a file's name. */
int swap_table(struct swap *swap, const char *table, char **dir, struct error *err);
int swap_partition(struct swap *swap, const char *table, int32_t day, char **dir, struct error *err);
/* Whether what was staged for a partition are the files that serve: names and bytes. */
int swap_is_same(const struct swap *swap, const char *table, int32_t day, bool *same, struct error *err);
/* What is done with a partition whose files are those that serve. */
enum swap_same {
	SWAP_KEEP_SAME,    /* it stays: readers keep their files */
	SWAP_REPLACE_SAME, /* it is exchanged as all others are, without a look */
};
/* Whole tables are always exchanged. */
int swap_commit(struct swap *swap, enum swap_same same, struct error *err);
/* NULL is fine. */
void swap_end(struct swap *swap);

#endif
