/*
 * Blocks of the journal as Parquet files: of transactions_cln one for each local day, and one of the lines that were set aside.
 *
 *     struct table_files *files = NULL;
 *     rc = table_files_open(deployment, &files, err);
 *     rc = table_files_write(files, reader, first, next, take, context, err);     // take is called for each file
 *     table_files_close(files);
 *
 * The same blocks give the same files. Files of nothing but orders leave out the columns that these have not (rows.h). Belongs to one
 * thread at a time.
 */
#ifndef PUNCHCARD_SPEED_TABLE_FILES_H
#define PUNCHCARD_SPEED_TABLE_FILES_H

#include "config/deployment.h"
#include "store/journal.h"

struct table_files;

/* Takes a file that was made: `staged` is its path now, for it to be renamed or sent; what is left there is removed. `day`: of
 * transactions_cln, DAY_MIN for the quarantine. 0, or a negative code, which ends the writing. */
typedef int table_files_take(void *context, const char *staged, int32_t day, struct error *err);

/* Stages in the temporary directory of the deployment, which must outlive it. ERROR_NO_MEMORY. */
int table_files_open(const struct deployment *deployment, struct table_files **out, struct error *err);
/* NULL is fine. */
void table_files_close(struct table_files *files);
/* Makes the files of blocks first to next - 1, in order of the days. */
int table_files_write(struct table_files *files, struct journal_reader *reader, uint64_t first, uint64_t next,
		      table_files_take *take, void *context, struct error *err);
/* Gives back what it holds between batches, for a while without any. */
void table_files_rest(struct table_files *files);

#endif
