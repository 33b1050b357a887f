/*
 * Parquet's encodings, appended to a buf: https://github.com/apache/parquet-format/blob/master/Encodings.md
 * All return 0 or ERROR_NO_MEMORY.
 */
#ifndef PUNCHCARD_BATCH_PARQUET_ENCODE_H
#define PUNCHCARD_BATCH_PARQUET_ENCODE_H

#include "base/buf.h"

/* DELTA_BINARY_PACKED. */
int encode_deltas(const int64_t *values, size_t n, struct buf *out);
/* DELTA_LENGTH_BYTE_ARRAY: texts one behind the other in `bytes`, by their lengths. */
int encode_texts(const char *bytes, const int64_t *lens, size_t n, struct buf *out);
/* DELTA_BYTE_ARRAY: the same, each without what it shares with the one before. `scratch`: room for 2 n numbers. */
int encode_suffixes(const char *bytes, const int64_t *lens, size_t n, int64_t *scratch, struct buf *out);
/* The hybrid of RLE and bit-packing, for numbers below 2^width, width from 1 to 24: one run, packed unless all are the same. */
int encode_levels(const uint32_t *values, size_t n, unsigned width, struct buf *out);

#endif
