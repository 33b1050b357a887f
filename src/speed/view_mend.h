/*
 * Accounts of the customer view made again out of the whole history, as the batch layer folds it.
 *
 *     rc = view_mend_all(view, deployment, &journal, &stop, err);          // another programme, or the view was lost
 *     rc = view_mend_marked(view, deployment, &journal, &stop, &n, err);   // those that the view writer marked
 *
 * `journal` (history.h) says which files of transactions_cln are the history, and how many rows they must have: history_check comes
 * before anything is made. Each is one transaction of
 * the view, which begins and ends here; readers see the accounts of before until it is committed. Who is asked to stop gives
 * ERROR_INTERRUPTED, and the view is as it was: what is marked stays so, and the next process mends it. Thread: any, but the same as
 * the view's other writing.
 */
#ifndef PUNCHCARD_SPEED_VIEW_MEND_H
#define PUNCHCARD_SPEED_VIEW_MEND_H

#include "batch/history.h"
#include "config/deployment.h"
#include "store/view.h"

struct view_mend_stop {
	/* Asked in the caller's thread, before and some times a second; NULL: never. */
	bool (*asked)(void *context);
	void *context;
};

/* All of them, and the rules they were made by; the view's offset becomes the table writer's. */
int view_mend_all(struct view *view, const struct deployment *deployment, const struct history_journal *journal,
		  const struct view_mend_stop *stop, struct error *err);

/* Only the marked ones; there may be none. The view's own offset must be the table writer's: else events of between would be lost. A
 * marked customer of whom the history has nothing stays marked. *n (may be NULL): how many were mended. */
int view_mend_marked(struct view *view, const struct deployment *deployment, const struct history_journal *journal,
		     const struct view_mend_stop *stop, uint64_t *n, struct error *err);

#endif
