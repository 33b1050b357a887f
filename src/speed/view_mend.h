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
#include "batch/id_list.h"
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

/*
 * The same while the view goes on, in three parts; the view's thread and another one take turns:
 *
 *     rc = view_mend_list(view, most, &ids, &offset, err);                      // in the view's
 *     …wait until the table's offset is `offset` or behind it…
 *     rc = view_mend_make(deployment, &ids, &journal, &stop, &records, err);    // in another; takes long
 *     …wait until the view's offset is journal.offset or behind it…
 *     rc = view_writer_mend(writer, &records, reader, journal.offset, view's offset, err);  // in the view's
 *     view_records_release(&records);
 */

/* The first marked customers, at most so many, and the view's offset: all their events that were left out are before it. *ids is
 * empty before, and the caller's. */
int view_mend_list(struct view *view, size_t most, struct id_list *ids, uint64_t *offset, struct error *err);

/* Records of customers as of journal->offset, in the order of the ids. */
struct view_records {
	struct id_list ids;
	struct view_record_place *places;
	size_t n;
	size_t cap;
	struct buf bytes;
};
/* Of those of whom the history has something. `ids`: settled and in order. Runs the history, with a directory of its own below
 * the deployment's tmp_dir. *out is empty before; release it also after an error. */
int view_mend_make(const struct deployment *deployment, const struct id_list *ids,
		   const struct history_journal *journal, const struct view_mend_stop *stop, struct view_records *out,
		   struct error *err);
/* The i-th; lives as long as the records. */
struct slice view_records_get(const struct view_records *records, size_t i, struct customer_id *id);
void view_records_release(struct view_records *records);

#endif
