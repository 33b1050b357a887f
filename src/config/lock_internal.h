/* The write lock of a deployment: one process at a time, told apart by name when another asks. */
#ifndef PUNCHCARD_CONFIG_LOCK_INTERNAL_H
#define PUNCHCARD_CONFIG_LOCK_INTERNAL_H

#include "base/error.h"

/* Takes the lock on <data_dir>/lock, made when missing, and writes who has it. `shown_dir` is the deployment in messages.
 * ERROR_LOCKED names the process that has it; ERROR_IO (errno is the system's reason). *fd is for lock_release. */
int lock_take(const char *data_dir, const char *shown_dir, const char *command, int *fd, struct error *err);
/* Gives it back; -1 is fine. */
void lock_release(int *fd);

#endif
