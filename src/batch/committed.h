/*
 * The Parquet files of orders that count.
 *
 * The table writer takes blocks first to last of the journal and writes `orders-<first>-<last>.parquet` (twelve digits each)
 * into each partition of transactions_cln, and into data/quarantine. They count once the writer's offset in the journal is
 * behind last: the offset is committed after the files are durable. So files of a writer that was killed are never read, and
 * the next writer removes them.
 *
 * The compaction (compact.h) writes one file for many neighbours of a directory, named by all their blocks. From the moment in
 * which it has this name it counts, and those whose blocks are among its own, the *covered* ones, do not: they are removed
 * when nobody reads them any more (files_lock.h). By an older offset, which lies within the new file, it is the other way
 * round. So for every offset each row is there once, whatever was removed and whatever not yet.
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
/* committed_transactions of a part of them. A file has the blocks of one batch of the table writer, or of several between two
 * offsets that are recorded in states.h: so it is before such an offset, or behind it, and never both. */
int committed_files(const struct deployment *deployment, const struct committed_range *range, struct buf *sql,
		    unsigned *n, struct error *err);
/* The same for data/quarantine, with the files of the batch layer (customers-….parquet). */
int committed_quarantine(const struct deployment *deployment, uint64_t offset, struct buf *sql, unsigned *n,
			 struct error *err);
/* `next`: number of the next block of the journal. A file with blocks from there on was made with another journal:
 * ERROR_CORRUPT. Nothing is changed. */
int committed_check(const struct deployment *deployment, uint64_t next, struct error *err);
/* Removes what is not committed. Only for the collector (DEPLOYMENT_COLLECT). After committed_check, whose error removes
 * nothing; nor does a file of several batches of which not all are committed: the journal is older than it, the same error. */
int committed_clean(const struct deployment *deployment, uint64_t offset, uint64_t next, struct error *err);

/* ---- names and directories, for the compaction ---- */

/* What the name of a file says: its blocks, both included. */
struct committed_name {
	uint64_t first;
	uint64_t last;
};
/* Whether it is such a name; *out is written only then. */
bool committed_parse_name(const char *name, struct committed_name *out);
#define COMMITTED_NAME_BYTES 64
void committed_format_name(const struct committed_name *name, char out[COMMITTED_NAME_BYTES]);

struct committed_file {
	struct committed_name name;
	bool covered;
};
/* Sorts them by their blocks (of those that begin together the longest first), and sets `covered`. */
void committed_mark_covered(struct committed_file *files, size_t n);

struct committed_listing {
	struct committed_file *files; /* as committed_mark_covered leaves them */
	size_t n;
	bool odd; /* there are names that committed_format_name does not make */
};
/* The committed files of one directory; a missing one has none. *out is released by committed_listing_release. */
int committed_list(const char *dir, uint64_t offset, struct committed_listing *out, struct error *err);
void committed_listing_release(struct committed_listing *listing);

#endif
