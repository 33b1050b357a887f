/*
 * History: the events of many customers out of transactions_cln, customer by customer and in order, for the kernel to fold
 * on all cores.
 *
 *     const struct history_options options = {.offset = offset, .from_day = DAY_MIN, .until_day = day};
 *     const struct history_sink sink = {.open = …, .work = …, .commit = …, .close = …, .context = me};
 *     rc = history_run(deployment, programme, &options, &sink, err);
 *
 * What runs where: readers, up to as many as workers where there are files and rows enough, have each a share of the committed
 * files (committed.h), an engine that reads them in no order, and a sort by customer (history_sort.h); the sorts have half of
 * config.engine_memory_mib together, and spill what does not fit. One thread merges what they sorted and gathers whole
 * customers into batches (some ten thousand rows; a customer of more makes a batch of his own). Workers put each customer's
 * rows in order, make facts of them and call sink->work, and the thread that called history_run calls sink->commit, batch by
 * batch in the order of the customers (integers numerically, text by byte), so that LMDB may be written there. So memory is
 * bounded by the engine's limit and half of it, some batches, and the customer with the longest history.
 *
 * Guests have no history. The order of files and rows does not matter.
 */
#ifndef PUNCHCARD_BATCH_HISTORY_H
#define PUNCHCARD_BATCH_HISTORY_H

#include "config/deployment.h"
#include "fold/facts.h"
#include "store/journal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Batches are struct history_batch of fold/facts.h; all lives until the call of sink->work returns. */

/*
 * What is done with them. A *place* is where one batch at a time is worked on: `open` makes one (some more than there are
 * threads; all before the first batch), `work` leaves its results there, `commit` takes them away, and the place is used
 * again. Each returns 0 or a code with err set, which ends the run.
 */
struct history_sink {
	int (*open)(void *context, void **place, struct error *err);
	/* In a worker's thread. The accounts that it folds in belong into the place, too: their memory is kept. */
	int (*work)(void *context, void *place, const struct history_batch *batch, struct error *err);
	/* In the caller's thread, in order; may be NULL. */
	int (*commit)(void *context, void *place, struct error *err);
	/* Also after an error, of each place that was made. */
	void (*close)(void *context, void *place);
	void *context;
};

struct history_options {
	/* The table writer's offset in the journal: which files count. See history_offset. */
	uint64_t offset;
	/* Only events from the start of from_day on and before the start of the day after until_day; DAY_MIN and DAY_MAX: all.
	 * In the zone of the programme. */
	int32_t from_day;
	int32_t until_day;
	/* Only these, in any order; NULL: all. A few are found without sorting all rows. */
	const struct customer_id *customers;
	size_t n_customers;
	/* A Parquet file of cust_id, state BLOB and items BLOB, in order of cust_id, whose customers come besides, with their state
	 * and with or without facts; NULL: none. With `customers`, only theirs. */
	const char *states;
	bool items; /* say what customers order: with `states`, on top of what these have */
	/* Workers, and readers where there are files enough; 0: config.engine_threads, or else as many as there are cores, and
	 * readers as the rows are worth it. */
	uint32_t threads;
	const char *tmp_dir; /* where the engine spills; NULL: the deployment's, which a writer has */
	/* Another programme (prepared): of each event there is a fact by that one, too. The days above stay those of the first
	 * one's zone. NULL: none. */
	const struct programme *other;
	/* Called in the caller's thread, some times a second: rows that were folded, of how many (an upper bound). May be NULL;
	 * false ends the run with ERROR_INTERRUPTED. */
	bool (*progress)(void *context, uint64_t rows, uint64_t total);
	void *progress_context;
};

/*
 * `programme` (prepared) decides what facts are; it need not be the deployment's. Errors: a sink's own; ERROR_CORRUPT for a
 * damaged file, for an event with a line missing or twice, and for rows that no event can have; the engine's.
 */
int history_run(const struct deployment *deployment, const struct programme *programme,
		const struct history_options *options, const struct history_sink *sink, struct error *err);

/* What the journal says of the table's files. */
struct history_journal {
	uint64_t offset; /* the table writer's */
	uint64_t next;   /* number of the next block */
	uint64_t rows;   /* that the committed files of transactions_cln have together */
};
int history_journal_read(struct journal_reader *reader, struct history_journal *out, struct error *err);
/* Whether the files are those of the journal, all of them: names and footers are read. ERROR_CORRUPT when there is one of another
 * journal, or rows are missing or too many: what would be made of them would be wrong. */
int history_check(const struct deployment *deployment, const struct history_journal *journal, struct error *err);
/* The table writer's offset, read from the journal, after history_check; 1 when nothing was collected yet. Not where the process
 * has the journal open already: LMDB's locks do not bear it. */
int history_offset(const struct deployment *deployment, uint64_t *offset, struct error *err);

#endif
