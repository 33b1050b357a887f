/*
 * The table writer: a consumer of the journal that writes transactions_cln and quarantine as Parquet.
 *
 *     struct table_writer *writer = NULL;
 *     rc = table_writer_open(deployment, journal, &writer, err);
 *     rc = table_writer_write(writer, reader, first, next, err);     // blocks first to next - 1, durable and committed
 *     table_writer_close(writer);
 *
 * Exactly once: files are written in data/tmp/collect, flushed, renamed into place and the directories flushed; then the offset is
 * committed. A reader goes by the offset (committed.h). Files of nothing but orders leave out the columns that these have not
 * (rows.h). One writer belongs to one thread at a time.
 */
#ifndef PUNCHCARD_SPEED_TABLE_WRITER_H
#define PUNCHCARD_SPEED_TABLE_WRITER_H

#include "config/deployment.h"
#include "store/journal.h"

struct table_writer;

/* Removes what a killed writer left. Needs a deployment of mode DEPLOYMENT_COLLECT. */
int table_writer_open(const struct deployment *deployment, struct journal *journal, struct table_writer **out,
		      struct error *err);
void table_writer_close(struct table_writer *writer);
int table_writer_write(struct table_writer *writer, struct journal_reader *reader, uint64_t first, uint64_t next,
		       struct error *err);
/* After an error of table_writer_write, before the same blocks are written again (in whatever batches): removes what is not
 * committed. The offset is what the journal says, in case the commit was done after all. */
int table_writer_recover(struct table_writer *writer, struct error *err);
/* Gives back what it holds between batches, for a while without any. */
void table_writer_rest(struct table_writer *writer);
/* The offset that is committed. */
uint64_t table_writer_offset(const struct table_writer *writer);

#endif
