/*
 * Who may make a cluster's tables: one process at a time, of whatever edge node. Its lease is a file in the warehouse,
 *
 *     batch/lease      lines of text: who, on which machine, doing what, since when, and a number of its own
 *
 * which is made when it is not there, never overwritten, and read again behind that: who finds what he put has it. It does not run out
 * by itself, for nobody can tell whether a process that is silent will not write any more. That of a process which has died without
 * giving it back is taken over by the next one of the same deployment (which holds the deployment's lock, so that nobody else of it
 * runs); of another deployment's, a person has to say that it is dead, by removing the file.
 */
#ifndef PUNCHCARD_CLUSTER_LEASE_H
#define PUNCHCARD_CLUSTER_LEASE_H

#include "cluster/session.h"

#define LEASE_PATH "batch/lease"

struct cluster_lease {
	const struct cluster_session *session; /* NULL: it has none */
	struct buf text;                       /* of our file */
};

/* `command` is told to others. Needs a deployment that is open for writing. ERROR_LOCKED: somebody has it, and the message says who, and
 * what to do when he is no more. Errors of the warehouse. */
int cluster_lease_take(const struct cluster_session *session, const char *command, struct cluster_lease *lease,
		       struct error *err);
/* Whether it is still ours. ERROR_LOCKED: somebody removed the file, and another process may write. */
int cluster_lease_check(const struct cluster_lease *lease, struct error *err);
/* Gives it back; what goes wrong is left to the next process. Of one that was zeroed: fine. */
void cluster_lease_release(struct cluster_lease *lease);

#endif
