/*
 * Rows by key, as a sink of a Flume agent makes them: what HBase would hold. An LMDB environment in data/rows/.
 *
 *     struct row_store *rows = NULL;
 *     rc = row_store_open(dir, &(struct row_store_options){.map_gib = 64}, &rows, err);
 *     rc = row_store_begin(rows, err);
 *     rc = row_store_put(rows, SLICE("spooled_table"), SLICE("order_1.txt:1"), SLICE("spool_cf:col1"), value, err);
 *     rc = row_store_commit(rows, err);                  // durable
 *     row_store_close(rows);
 *
 * A cell is known by table, key and column; putting it again replaces it. Names and keys have no NUL; together at most
 * ROW_STORE_KEY_MAX bytes. Values are any bytes.
 *
 * Errors: ERROR_IO, ERROR_NO_SPACE, ERROR_CORRUPT, ERROR_NO_MEMORY. One writes (in one thread at a time), any number reads; a
 * process opens the directory once at a time.
 */
#ifndef PUNCHCARD_STORE_ROW_STORE_H
#define PUNCHCARD_STORE_ROW_STORE_H

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define ROW_STORE_KEY_MAX 500u

struct row_store;

struct row_store_options {
	uint32_t map_gib;
	bool read_only;
};

/* ERROR_NOT_FOUND: read only, and there are no rows yet. */
int row_store_open(const char *dir, const struct row_store_options *options, struct row_store **out, struct error *err);
void row_store_close(struct row_store *rows);

/* The write transaction. After any error: row_store_abort. */
int row_store_begin(struct row_store *rows, struct error *err);
/* ERROR_LIMIT: the key is too long. */
int row_store_put(struct row_store *rows, struct slice table, struct slice key, struct slice column, struct slice value,
		  struct error *err);
int row_store_commit(struct row_store *rows, struct error *err);
void row_store_abort(struct row_store *rows);

/* One moment's state. */
int row_store_read_begin(struct row_store *rows, struct error *err);
void row_store_read_end(struct row_store *rows);
/* In a read: the next table behind this name, in the order of bytes ("" for the first). *table lives until the read's end. */
int row_store_table(struct row_store *rows, struct slice after, struct slice *table, bool *found, struct error *err);

/* All cells of a table in order of key and column, in a read. Several walks of one read may be open; none at the same time in two
 * threads. */
struct row_walk;
struct row_cell {
	struct slice key;
	struct slice column;
	struct slice value;
};
int row_walk_open(struct row_store *rows, struct slice table, struct row_walk **out, struct error *err);
/* The slices live until the read's end. */
int row_walk_next(struct row_walk *walk, struct row_cell *cell, bool *found, struct error *err);
void row_walk_close(struct row_walk *walk);

#endif
