/*
 * A program that is started for what it prints, with pipes for its stdout and stderr.
 *
 *     struct child child = CHILD_NONE;
 *     rc = child_start(argv, NULL, dir, &child, err);
 *     …read child.out_fd and child.err_fd…
 *     const int status = child_reap(&child);          // also ends what it has left running
 *
 * It leads a process group of its own, so that what it starts can be stopped with it: kill(-child.pid, …). Nothing is on its stdin, no
 * signal is blocked or ignored, and of our descriptors it has none. Thread: any; a child belongs to one at a time.
 */
#ifndef PUNCHCARD_BASE_CHILD_H
#define PUNCHCARD_BASE_CHILD_H

#include "base/error.h"

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

struct child {
	pid_t pid;  /* 0: none runs */
	int out_fd; /* -1: closed, as the next one */
	int err_fd;
	pid_t guard; /* of one that is bound; 0: none, as guard_fd is then not open */
	int guard_fd;
};
#define CHILD_NONE                                         \
	{                                                  \
		.out_fd = -1, .err_fd = -1, .guard_fd = -1 \
	}

/* argv[0] is a path or a name to be found in PATH; envp NULL: our own; it runs in `dir`. What the system says when it cannot
 * (ERROR_NOT_FOUND, ERROR_IO …), and then *child is as it was. */
int child_start(char *const *argv, char *const *envp, const char *dir, struct child *child, struct error *err);
/* The same, and the program itself is killed when the thread that started it ends, however that comes: it does not go on writing for a
 * process that is no more. When this process ends, so is what it has started, as far as that stayed in its group: a small shell beside it
 * (`guard`) hears of the end. */
int child_start_bound(char *const *argv, char *const *envp, const char *dir, struct child *child, struct error *err);
/* Whether it has ended, and how. It is not reaped: its number names its group until child_reap. */
bool child_has_ended(const struct child *child, siginfo_t *how);
/* Kills what is left of its group, waits for it, and gives waitpid's status. Its pipes stay. */
int child_reap(struct child *child);
/* Closes what is open of the pipes. */
void child_close(struct child *child);

#endif
