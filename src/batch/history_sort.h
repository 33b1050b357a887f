/*
 * An external sort of rows by customer: what came in any order goes out customer by customer.
 *
 *     rc = row_sorter_open(id_type, tmp_dir, memory_bytes, &sorter, err);
 *     rc = row_sorter_room(sorter, &id, most_bytes, &at, err);
 *     row_sorter_add(sorter, &id, end_of_what_was_written_at);
 *     …
 *     rc = row_sorter_finish(sorter, err);
 *     while ((rc = row_sorter_customer(sorter, &id, &found, err)) == 0 && found)
 *             while ((rc = row_sorter_row(sorter, &row, &found, err)) == 0 && found) …
 *
 * Rows stand in memory, in pieces of some MiB that are sorted as they get full, until they are memory_bytes; then they are merged
 * into a run in a temporary file without a name, and runs are merged in the end. So memory is bounded whatever the number of
 * rows, and of rows of one customer. Belongs to one thread at a time.
 */
#ifndef PUNCHCARD_BATCH_HISTORY_SORT_H
#define PUNCHCARD_BATCH_HISTORY_SORT_H

#include "base/error.h"
#include "batch/id_list.h"

#include <stdbool.h>

struct row_sorter;

/* tmp_dir must outlive it. */
int row_sorter_open(enum customer_id_type id_type, const char *tmp_dir, size_t memory_bytes, struct row_sorter **out,
		    struct error *err);
/* NULL is fine. */
void row_sorter_close(struct row_sorter *sorter);
/* *out: where the bytes of a customer's next row go, at most most_bytes; row_sorter_add ends it. */
int row_sorter_room(struct row_sorter *sorter, const struct customer_id *id, size_t most_bytes, char **out,
		    struct error *err);
void row_sorter_add(struct row_sorter *sorter, const struct customer_id *id, const char *end);
/* The rows of another one, which takes none any more, are taken as this one's own; it must be closed behind this one. */
int row_sorter_join(struct row_sorter *sorter, struct row_sorter *other, struct error *err);
/* All rows are in. */
int row_sorter_finish(struct row_sorter *sorter, struct error *err);
/* The next customer, in order; the rows of the one before must have been taken. Its id lives until the next call. */
int row_sorter_customer(struct row_sorter *sorter, struct customer_id *id, bool *found, struct error *err);
/* The customer's next row, in no order; it lives until the next call of either. */
int row_sorter_row(struct row_sorter *sorter, struct slice *row, bool *found, struct error *err);

#endif
