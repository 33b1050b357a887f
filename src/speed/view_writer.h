/*
 * The view writer: a consumer of the journal that keeps the accounts of the customer view.
 *
 *     rc = view_writer_write(view, programme, reader, first, next, err);   // blocks first to next - 1, in one transaction
 *
 * The events of the batch are sorted by customer, so that a batch reads and writes each account once and in the order of the
 * keys. Offset and accounts are committed together: exactly once. Thread: any; one at a time.
 */
#ifndef PUNCHCARD_SPEED_VIEW_WRITER_H
#define PUNCHCARD_SPEED_VIEW_WRITER_H

#include "config/deployment.h"
#include "loyalty/programme.h"
#include "store/journal.h"
#include "store/view.h"

/* Opens the deployment's view. */
int view_writer_open_view(const struct deployment *deployment, bool read_only, struct view **out, struct error *err);

/* Whether the accounts that are there were made by this programme : otherwise they must be made
 * again. In a read transaction. */
int view_writer_is_current(struct view *view, const struct programme *programme, bool *current, struct error *err);

int view_writer_write(struct view *view, const struct deployment *deployment, struct journal_reader *reader,
		      uint64_t first, uint64_t next, struct error *err);

/* Makes all accounts again out of the committed files of transactions_cln, as of the table writer's offset: when the view
 * was lost, or is behind what the journal still has. */
int view_writer_rebuild(struct view *view, const struct deployment *deployment, struct journal_reader *reader,
			struct error *err);

#endif
