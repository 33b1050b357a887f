/*
 * What decides the rows that customer files give: how they are read, named by a hash.
 */
#ifndef PUNCHCARD_BATCH_CUSTOMER_VERSION_H
#define PUNCHCARD_BATCH_CUSTOMER_VERSION_H

#include "batch/customer_scan.h"

#define CUSTOMER_HASH_CHARS 32u

/* Appends what decides the rows of one file: its bytes, its format, the reader. 0 or ERROR_NO_MEMORY. */
int customer_version_describe(const struct customer_file *file, struct buf *out);
/* XXH3-128 of a text, as lower-case hex. */
void customer_version_hash(struct slice text, char out[CUSTOMER_HASH_CHARS + 1]);

#endif
