/*
 * The view writer: a consumer of the journal that keeps the accounts of the customer view.
 *
 *     rc = view_writer_open(deployment, view, &writer, err);
 *     rc = view_writer_write(writer, reader, first, next, err);   // blocks first to next - 1, in one transaction
 *     view_writer_close(writer);
 *
 * The events of the batch are made facts of and sorted by customer (view_batch.h), so that a batch reads and writes each account
 * once and in the order of the keys. Offset, accounts, and the marks of those that only the whole history can mend
 * (view_mend.h) are committed together: exactly once. Memory: that of the batch, and what LMDB keeps of pages that it writes, at
 * most 512 MiB.
 * Thread: any; one at a time.
 */
#ifndef PUNCHCARD_SPEED_VIEW_WRITER_H
#define PUNCHCARD_SPEED_VIEW_WRITER_H

#include "config/deployment.h"
#include "store/journal.h"
#include "store/view.h"

struct view_records;
struct view_writer;

/* Opens the deployment's view. */
int view_writer_open_view(const struct deployment *deployment, bool read_only, struct view **out, struct error *err);

/* Whether the accounts that are there were made by this programme: otherwise they must be made again. In a read
 * transaction. */
int view_writer_is_current(struct view *view, const struct programme *programme, bool *current, struct error *err);
/* Of which programme they are: its hash's text; "" when there are none, or a version wrote them that kept no programmes. In a read
 * transaction. */
int view_writer_hash(struct view *view, char out[PROGRAMME_HASH_TEXT], struct error *err);
/* Of which programme they are, when it is another one: its hash's text. "" when it is this one, or there are no accounts yet. In a
 * read transaction. */
int view_writer_other_hash(struct view *view, const struct programme *programme, char out[PROGRAMME_HASH_TEXT],
			   struct error *err);
/* Remembers that they are; in a write transaction. */
int view_writer_set_current(struct view *view, const struct programme *programme, struct error *err);

/*
 * The programme that reads the accounts that are there: *kept is NULL when it is the deployment's, else the one that they were
 * made by, which the deployment keeps (deployment_keep_programme); the caller frees it. So after a change of programme.yaml the
 * accounts serve as they are, until the next writer has made them again. In a read transaction. Errors as programme_load.
 */
int view_writer_programme(struct view *view, const struct deployment *deployment, struct programme **kept,
			  struct error *err);

/* `deployment` and `view` (open for writing) must outlive it. ERROR_NO_MEMORY. */
int view_writer_open(const struct deployment *deployment, struct view *view, struct view_writer **out,
		     struct error *err);
/* NULL is fine. */
void view_writer_close(struct view_writer *writer);
/* On error nothing was written. */
int view_writer_write(struct view_writer *writer, struct journal_reader *reader, uint64_t first, uint64_t next,
		      struct error *err);

/*
 * Replaces the records of marked customers by those that the history gave (view_mend.h), and takes the marks away; then adds their
 * events of blocks first to next - 1, which the records have not: `first` is what the records are of, `next` the view's offset. One
 * transaction. An event that again belongs into what is settled marks its customer again.
 */
int view_writer_mend(struct view_writer *writer, const struct view_records *records, struct journal_reader *reader,
		     uint64_t first, uint64_t next, struct error *err);

#endif
