/*
 * The consumers of the journal, each on a thread of its own: the table writer and the view writer.
 *
 *     struct consumers *consumers = NULL;
 *     rc = consumers_start(deployment, journal, &stop, &consumers, err);
 *     …blocks are committed… consumers_wake(consumers);
 *     rc = consumers_finish(consumers, err);       // they take all that is there, then end
 *
 * While the journal is filled each takes a batch as soon as a large one is there; at the end, the rest. A consumer that fails
 * stops; the other goes on, and consumers_finish gives the error: what was not taken is in the journal and is taken by the
 * next process. When both have all, the journal is trimmed, and the accounts that were marked are mended: after a success the
 * view is what the batch layer would compute. Called from one thread.
 */
#ifndef PUNCHCARD_SPEED_CONSUMERS_H
#define PUNCHCARD_SPEED_CONSUMERS_H

#include "config/deployment.h"
#include "speed/view_mend.h"
#include "store/journal.h"

#include <stdbool.h>

struct consumers;

/* Makes the view again first when it is behind what the journal still has, or was made by another programme. Needs the write
 * lock. `stop` (copied) ends only the making and mending of accounts, with ERROR_INTERRUPTED: the next process does it. */
int consumers_start(const struct deployment *deployment, struct journal *journal, const struct view_mend_stop *stop,
		    struct consumers **out, struct error *err);
/* Whether it did for the latter reason. */
bool consumers_programme_changed(const struct consumers *consumers);
/* Blocks were committed. Any thread. */
void consumers_wake(struct consumers *consumers);
/* Whether less waits for the slowest of them than is configured (journal: backlog_mib). Any thread. */
bool consumers_have_room(struct consumers *consumers);
/* Whether one has failed: it makes no sense to go on filling the journal. */
bool consumers_failed(struct consumers *consumers);
/* Waits for both, closes, and frees. */
int consumers_finish(struct consumers *consumers, struct error *err);

#endif
