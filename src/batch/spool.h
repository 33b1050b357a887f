/*
 * A spool: records of bytes in a temporary file, appended by one and read back in ranges by many. What rows stand in
 * between the fold that makes them and the table they go to, so that memory does not grow with their number.
 *
 *     struct spool spool;
 *     rc = spool_open(&spool, tmp_dir, err);
 *     rc = spool_append(&spool, record, err);
 *     rc = spool_flush(&spool, err);                   // before it is read
 *     struct spool_reader reader = spool_read(&spool, 0, spool.size);
 *     while ((rc = spool_next(&reader, &record, &found, err)) == 0 && found) …
 *     spool_reader_release(&reader);
 *     spool_close(&spool);
 *
 * The file has no name, so that nothing is left of it, however the process ends.
 */
#ifndef PUNCHCARD_BATCH_SPOOL_H
#define PUNCHCARD_BATCH_SPOOL_H

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct spool {
	int fd;
	const char *dir; /* for messages */
	uint64_t size;   /* of all that was appended, the pending bytes included */
	struct buf pending;
};

/* `dir` must outlive the spool. */
int spool_open(struct spool *spool, const char *dir, struct error *err);
/* A closed or zeroed spool (fd 0 is none of ours) is fine. */
void spool_close(struct spool *spool);
/* Appends a record: four bytes of length, then its bytes. */
int spool_append(struct spool *spool, struct slice record, struct error *err);
/* Appends bytes that are records already (spool_record). */
int spool_append_records(struct spool *spool, struct slice records, struct error *err);
/* Appends a record to a buf, for spool_append_records. 0 or ERROR_NO_MEMORY. */
int spool_record(struct buf *out, struct slice record);
int spool_flush(struct spool *spool, struct error *err);

struct spool_reader {
	const struct spool *spool;
	uint64_t at; /* of what is behind the window */
	uint64_t end;
	struct buf window;
	size_t taken; /* of the window */
};

/* Records from byte `at` to `end`, both between records. Readers are independent of each other; any thread. */
struct spool_reader spool_read(const struct spool *spool, uint64_t at, uint64_t end);
/* The record lives until the next call. */
int spool_next(struct spool_reader *reader, struct slice *record, bool *found, struct error *err);
void spool_reader_release(struct spool_reader *reader);

#endif
