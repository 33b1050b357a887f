/*
 * Parquet files of the batch layer's tables: named by their content, so that the same rows have the same name, and a name
 * never means two files.
 */
#ifndef PUNCHCARD_BATCH_PARQUET_H
#define PUNCHCARD_BATCH_PARQUET_H

#include "engine/engine.h"

/* How they are written: the fast level of zstd, a third of the default's size at little cost. */
#define PARQUET_OPTIONS "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1"
/* For what is only read here, and soon written again: half the work for a quarter more bytes. */
#define PARQUET_FAST_OPTIONS "FORMAT parquet, COMPRESSION snappy"

/* Where a file of that prefix stands in its directory until it is whole: hidden. The caller frees it; NULL: out of memory. */
char *parquet_staged(const char *dir, const char *prefix);
/* Runs COPY (<select>) TO that with the options, then parquet_name. `select` must give its rows in an order; with an engine
 * of one thread the same rows give the same bytes. */
int parquet_write(struct engine *engine, const char *select, const char *options, const char *dir, const char *prefix,
		  struct error *err);
/* Gives the staged file the name <prefix>-<hash of its bytes>.parquet. Flushes nothing. */
int parquet_name(const char *dir, const char *prefix, struct error *err);

#endif
