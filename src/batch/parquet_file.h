/*
 * Parquet files, written row by row without the SQL engine: for tables of many narrow rows, on which the engine's writer spends
 * several times as much.
 *
 *     const struct parquet_column columns[] = {{"cust_id", ENGINE_BIGINT}, {"rule", ENGINE_VARCHAR}};
 *     struct parquet_file *const file = parquet_file_new(columns, 2);
 *     rc = parquet_file_begin(file, path, err);
 *     parquet_file_number(file, 0, 42);
 *     parquet_file_text(file, 1, SLICE("base"));
 *     rc = parquet_file_row(file, err);
 *     …
 *     rc = parquet_file_end(file, err);                   // the file is whole; nothing is flushed to the disk
 *     parquet_file_free(file);
 *
 * The same rows give the same bytes. Values are encoded and not compressed: a column of few different values by a
 * dictionary, other numbers by their differences, other texts by what they share with the one before. That leaves about
 * as many bytes as zstd does behind plain values. Every column may hold NULL; each row group has least and
 * greatest values, so that readers skip what they do not look for.
 *
 * Format: https://github.com/apache/parquet-format (data pages of version 1, one a column and row group; the encodings RLE,
 * PLAIN, RLE_DICTIONARY, DELTA_BINARY_PACKED, DELTA_LENGTH_BYTE_ARRAY and DELTA_BYTE_ARRAY).
 */
#ifndef PUNCHCARD_BATCH_PARQUET_FILE_H
#define PUNCHCARD_BATCH_PARQUET_FILE_H

#include "engine/engine.h"

#define PARQUET_COLUMNS_MAX 32u

struct parquet_column {
	const char *name; /* must outlive the file */
	enum engine_type type;
};

struct parquet_file;

/* One file after the other can be written with it; its memory, of one row group, is kept. Belongs to one thread at a time.
 * NULL when out of memory. */
struct parquet_file *parquet_file_new(const struct parquet_column *columns, unsigned n_columns);
/* NULL is fine. A file that was begun and not ended stays as it is. */
void parquet_file_free(struct parquet_file *file);
/* Makes the file, or empties it. */
int parquet_file_begin(struct parquet_file *file, const char *path, struct error *err);
/* The row's value of a column: a whole number by the column's type, UTF-8 or bytes (copied), or nothing. Each column gets one a
 * row. Running out of memory is told by parquet_file_row. */
void parquet_file_number(struct parquet_file *file, unsigned column, int64_t value);
void parquet_file_text(struct parquet_file *file, unsigned column, struct slice text);
void parquet_file_null(struct parquet_file *file, unsigned column);
/* Ends the row. */
int parquet_file_row(struct parquet_file *file, struct error *err);
int parquet_file_end(struct parquet_file *file, struct error *err);

#endif
