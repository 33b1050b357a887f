/*
 * Parquet files of the batch layer's tables: named by their content, so that the same rows have the same name, and a name
 * never means two files.
 */
#ifndef PUNCHCARD_BATCH_PARQUET_H
#define PUNCHCARD_BATCH_PARQUET_H

#include "engine/engine.h"

/*
 * How tables are written. What has more values than PARQUET_DICTIONARY gains nothing by a dictionary: ids, times and sums, for
 * which the engine would make one first, of a fifth of all rows, and then drop it. Version 2 of the format writes these as
 * differences, which is less work, and smaller, than as they are; Spark and Hive read it. The fast level of zstd makes a third
 * of the default's size at little cost.
 */
#define PARQUET_DICTIONARY "FORMAT parquet, PARQUET_VERSION V2, DICTIONARY_SIZE_LIMIT 2048"
#define PARQUET_OPTIONS    PARQUET_DICTIONARY ", COMPRESSION zstd, COMPRESSION_LEVEL 1"
/* For what is only read here, and soon written again: half the work for a quarter more bytes. */
#define PARQUET_FAST_OPTIONS PARQUET_DICTIONARY ", COMPRESSION snappy"

/* Where a file of that prefix stands in its directory until it is whole: hidden. The caller frees it; NULL: out of memory. */
char *parquet_staged(const char *dir, const char *prefix);
/* Runs COPY (<select>) TO that with the options, then parquet_name. `select` must give its rows in an order; with an engine
 * of one thread the same rows give the same bytes. */
int parquet_write(struct engine *engine, const char *select, const char *options, const char *dir, const char *prefix,
		  struct error *err);
/* Gives the staged file the name <prefix>-<hash of its bytes>.parquet. Begins to write it to the disk, without waiting for that:
 * who flushes it later has less to wait for. */
int parquet_name(const char *dir, const char *prefix, struct error *err);

#endif
