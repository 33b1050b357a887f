/*
 * The Parquet files of orders that count.
 *
 * The table writer takes blocks first to last of the journal and writes `orders-<first>-<last>.parquet` (twelve digits each)
 * into each partition of transactions_cln, and into data/quarantine. They count once the writer's offset in the journal is
 * behind last: the offset is committed after the files are durable. So files of a writer that was killed are never read, and
 * the next writer removes them.
 */
#ifndef PUNCHCARD_BATCH_COMMITTED_H
#define PUNCHCARD_BATCH_COMMITTED_H

#include "base/buf.h"
#include "config/deployment.h"
#include "loyalty/programme.h"

#include <stdbool.h>

/* The name of the table writer's offset in the journal. */
#define TABLE_CONSUMER "table"

/* Partitions are those of the programme's zone of when they were written: an event of a day of today's zone is in one at most
 * so many days away. */
#define COMMITTED_ZONE_DAYS 2

/* Appends the paths of the committed files to sql as a list of SQL texts (['…', '…']), in order of data_dt and offset;
 * *n is how many. A missing directory has none. `offset`: the table writer's. */
int committed_transactions(const struct deployment *deployment, uint64_t offset, struct buf *sql, unsigned *n,
			   struct error *err);

struct committed_range {
	uint64_t first_block; /* files with no block before this one; 0: all */
	uint64_t offset;      /* the table writer's */
	int32_t first_day;    /* of data_dt, both included; DAY_MIN and DAY_MAX: all */
	int32_t last_day;
};
/* committed_transactions of a part of them. A file has the blocks of one batch of the table writer, so that it is before an
 * offset that was committed once, or behind it, and never both. */
int committed_files(const struct deployment *deployment, const struct committed_range *range, struct buf *sql,
		    unsigned *n, struct error *err);
/* The same for data/quarantine, with the files of the batch layer (customers-….parquet). */
int committed_quarantine(const struct deployment *deployment, uint64_t offset, struct buf *sql, unsigned *n,
			 struct error *err);
/* `next`: number of the next block of the journal. A file with blocks from there on was made with another journal:
 * ERROR_CORRUPT. Nothing is changed. */
int committed_check(const struct deployment *deployment, uint64_t next, struct error *err);
/* Removes what is not committed. Only for the collector (DEPLOYMENT_COLLECT). After committed_check, whose error removes
 * nothing. */
int committed_clean(const struct deployment *deployment, uint64_t offset, uint64_t next, struct error *err);

#endif
