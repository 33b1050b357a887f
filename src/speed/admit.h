/*
 * Admitting events that bring an id: each once, whoever sends it and however often.
 *
 *     rc = admit_event(journal, source, &event, &scratch, &state, err);
 *     if (rc == 0 && state == JOURNAL_ID_NEW)
 *             rc = block_writer_event(&block, &event, false, line);
 *
 * In the journal's write transaction, in the thread that began it.
 */
#ifndef PUNCHCARD_SPEED_ADMIT_H
#define PUNCHCARD_SPEED_ADMIT_H

#include "store/journal.h"

/* Looks the event's id up in the journal's index (ids are unique within a source), and remembers it with a hash of all that the
 * event says. `scratch` is cleared and used. ERROR_NO_MEMORY, and the journal's errors. */
int admit_event(struct journal *journal, struct slice source, const struct event *event, struct buf *scratch,
		enum journal_id_state *state, struct error *err);
/* Takes back what admit_event has told to be new, in the same transaction: as if it had never come. */
int admit_forget(struct journal *journal, struct slice source, const struct event *event, struct buf *scratch,
		 struct error *err);

/* Whether what the lines come to is within LIMIT_AMOUNT_MINOR; an event that is not is set aside as REASON_AMOUNT. */
bool admit_is_within_limit(const struct event *event);

#endif
