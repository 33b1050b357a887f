/*
 * Who uses the files of orders (committed.h), for the compaction, which replaces many by one.
 *
 *     _cleanup_files_lock_ struct files_lock lock = FILES_LOCK_NONE;
 *     files_lock_read(deployment, &lock);         // the files that are listed from now on stay
 *     …list them, read them…
 *
 * Three kinds of use; none of them makes a reader wait:
 *
 *     read    before the table writer's offset is read, until the last file is read: what was listed is not removed
 *     pin     the same; besides no files are merged. For who may record the offset, so that later it must not lie within a
 *             file (states.h), and for who reads the files by an offset that was recorded
 *     merge   by one compaction at a time, which gives way to who pins
 *
 * The lock is a file, data/compact.lock, with locks of open file descriptions: the kernel drops them with the process, and
 * they hold between the threads of one process as well. The compaction and batch commands make the file; who only reads goes
 * without where it is not there or may not be opened. Then a file that was listed may be gone: ERROR_NOT_FOUND, and listing
 * again helps.
 *
 * A lock belongs to one thread at a time. It may be released in another one.
 */
#ifndef PUNCHCARD_BATCH_FILES_LOCK_H
#define PUNCHCARD_BATCH_FILES_LOCK_H

#include "config/deployment.h"

#include <stdbool.h>
#include <stdint.h>

struct files_lock {
	int fd; /* -1: nothing is held */
};
#define FILES_LOCK_NONE ((struct files_lock){.fd = -1})

/* Both: *lock holds nothing before, and is released by files_lock_release. Never waits. */
void files_lock_read(const struct deployment *deployment, struct files_lock *lock);
/* Waits for the merge that is going on, at most some seconds, and keeps others from beginning. ERROR_INTERRUPTED by
 * engine_interrupt_all; the system's errors; an error holds nothing. A deployment that is open for reading goes without a
 * lock where it cannot have one. */
int files_lock_pin(const struct deployment *deployment, struct files_lock *lock, struct error *err);
void files_lock_release(struct files_lock *lock);
#define _cleanup_files_lock_ __attribute__((cleanup(files_lock_release)))

/* For the compaction. Opens the file, and makes it; holds nothing yet. */
int files_lock_open(const struct deployment *deployment, struct files_lock *lock, struct error *err);
/* *held: false when somebody pins or merges. */
int files_lock_try_merge(struct files_lock *lock, bool *held, struct error *err);
void files_lock_end_merge(struct files_lock *lock);
/* While merging is held. *until: whoever reads by now has a number up to it; who begins later has a greater one. */
int files_lock_advance(struct files_lock *lock, uint64_t *until, struct error *err);
/* Whether somebody still reads who began before files_lock_advance gave `until`. */
int files_lock_is_read(const struct files_lock *lock, uint64_t until, bool *is_read, struct error *err);

#endif
