/* The locks of a deployment's writers: one process of a kind at a time, told apart by name when another asks. */
#ifndef PUNCHCARD_CONFIG_LOCK_INTERNAL_H
#define PUNCHCARD_CONFIG_LOCK_INTERNAL_H

#include "base/error.h"
#include "config/deployment.h"

/* Takes the lock on the file `path`, made when missing, and writes who has it. `shown_dir` is the deployment in messages.
 * ERROR_LOCKED names the process that has it; ERROR_IO (errno is the system's reason). *fd is for lock_release. */
int lock_take(const char *path, const char *shown_dir, const char *command, int *fd, struct error *err);
/* Whether somebody has it, and has said who he is. */
bool lock_holder(const char *path, struct deployment_holder *out);
/* Gives it back; -1 is fine. */
void lock_release(int *fd);

#endif
