/*
 * Rows of cells by table and key, as HBase has them: the port through which the cluster's view is written and read.
 *
 *     struct cells *cells = NULL;
 *     rc = cells_open_hbase(&options, &cells, err);                 // or cells_open_lmdb
 *     rc = cells_ensure(cells, "accounts", (const char *[]){"p", "s", "e", NULL}, err);
 *     const struct cells_put put = {.key = key, .column = SLICE("p:profile"), .version = now_ms, .value = value};
 *     rc = cells_put(cells, "accounts", &put, 1, err);              // durable
 *     rc = cells_get(cells, "accounts", &key, 1, take_row, context, err);
 *     cells_close(cells);
 *
 * A **table** has a name (letters, digits, "_", "-", ".", not one of the latter two first) and families of columns. A **row** is known
 * by its key, any bytes but none at all; rows stand in the order of their keys' bytes. A **cell** is known by its row and its column,
 * "<family>:<qualifier>", the qualifier any bytes or none; it has a value, any bytes, and a **version**, a number that the writer
 * chooses, milliseconds of some clock as a rule.
 *
 * What a cell is depends on what was put, and not on how often or in what order:
 *
 * - A put of a version below the cell's changes nothing; of a greater one replaces it; of the same one replaces it, too: the later
 *   of the two stays. Whoever puts another value gives it a greater version, since a put that is tried again may be the later one.
 * - Erasing a cell up to version v removes it when its version is v or less. A put behind that is seen when its version is v + 1 or
 *   more. One of v or less may be seen or not, for HBase forgets with time what was erased.
 * - Rows are atomic among themselves neither in a batch nor in a scan. The cells of one row that are put in one call, side by side,
 *   become visible together.
 *
 * So everything may be done again: **when a call fails, any part of it may have been done**, and doing all of it again is right.
 * Rows that a get or a scan gave before it failed are given again when it is called again.
 *
 * Limits, the same with each driver: a key and a column have at most CELLS_NAME_BYTES together, NULs of the key counted twice;
 * CELLS_VALUE_BYTES of a value. Batches may be of any size. Rows whose keys begin with CELLS_END_BYTES bytes FF are behind the end of the
 * table: no scan gives them, only cells_get. The one of these bytes alone is a driver's own, which may mark the end by it.
 *
 * Errors: ERROR_NOT_FOUND no such table, or the table has no such family; ERROR_LIMIT over a limit; ERROR_INPUT a name or a version
 * that cannot be; ERROR_AWAY a server does not answer or is not ready, and was asked again for as long as it is told to; ERROR_DENIED a
 * server does not let us; ERROR_CORRUPT an answer, or a file, that is none; ERROR_INTERRUPTED, ERROR_IO, ERROR_NO_SPACE,
 * ERROR_NO_MEMORY; and what callbacks return. Messages name the system and the table.
 *
 * Threads: one cells belongs to one thread at a time; cells_erase in HBase starts some of its own, which have ended when it returns.
 * Callbacks must not use the cells that call them.
 */
#ifndef PUNCHCARD_STORE_CELLS_H
#define PUNCHCARD_STORE_CELLS_H

#include "base/buf.h"
#include "base/error.h"
#include "net/http.h"

#include <stdbool.h>
#include <stdint.h>

#define CELLS_TABLE_BYTES  100u
#define CELLS_FAMILY_BYTES 16u
#define CELLS_FAMILIES_MAX 8u
/* LMDB has keys of at most 511 bytes; the table, and a version beside it, are to fit as well. */
#define CELLS_NAME_BYTES 400u
/* With a family of any name beside it. */
#define CELLS_END_BYTES 380u
/* HBase takes 10 MiB, unless it is told otherwise. */
#define CELLS_VALUE_BYTES (8u << 20)
/* JSON numbers are exact so far; and v + 1 is one. */
#define CELLS_VERSION_MAX ((INT64_C(1) << 53) - 2)

struct cells;

/* --- opening ---------------------------------------------------------------------------------------------------------------- */

struct cells_lmdb_options {
	uint32_t map_gib; /* the most it may grow to; sparse */
	bool read_only;
};

/* The local driver: an LMDB environment in the directory dir, made unless it is read only. A process opens a directory once at a time.
 * ERROR_NOT_FOUND: read only, and nothing was written yet. */
int cells_open_lmdb(const char *dir, const struct cells_lmdb_options *options, struct cells **out, struct error *err);

/* More would be waited for in the gateway, whose handlers others need as well. */
#define CELLS_LANES_MAX 16u

struct cells_hbase_options {
	struct http_options
		http; /* of the REST gateway; 2.5.7, 2.6.0 or later, which take binary names in every request */
	/* Put before the name of each table: "pc_", or a namespace as "pc:", which cells_ensure makes where it is missing. "": none. */
	const char *prefix;
	uint32_t batch_rows; /* rows of one put */
	size_t batch_bytes;  /* and its body, unless one row is larger */
	size_t uri_bytes;    /* the longest path with its query */
	uint32_t page_cells; /* cells of one answer in a scan */
	uint32_t get_rows;   /* rows of one multiget */
	/* 1 to CELLS_LANES_MAX: connections of a cells_erase of many cells, since the gateway takes one row in a request. */
	uint32_t lanes;
	uint32_t trial_ms; /* how long cells_ping and cells_rights wait for an answer, without trying again */
};

/* The time-outs are ours: while HBase is away the gateway may hold a request for many minutes. */
#define CELLS_HBASE_OPTIONS_DEFAULT                                                                                  \
	{                                                                                                            \
		.http = {.server = "HBase",                                                                          \
			 .connect_ms = 5000,                                                                         \
			 .silence_ms = 30000,                                                                        \
			 .total_ms = 120000,                                                                         \
			 .answer_bytes = 256 << 20,                                                                  \
			 .retry = {.limit_ms = 60000, .first_ms = 200, .most_ms = 10000}},                           \
		.prefix = "", .batch_rows = 1000, .batch_bytes = 2 << 20, .uri_bytes = 32 << 10, .page_cells = 5000, \
		.get_rows = 1000, .lanes = 8, .trial_ms = 10000,                                                     \
	}

/* The driver of HBase, by its REST gateway. Nothing is sent. Copies the options. ERROR_CONFIG: what cannot be. */
int cells_open_hbase(const struct cells_hbase_options *options, struct cells **out, struct error *err);

/* NULL is fine. */
void cells_close(struct cells *cells);

/* --- tables ----------------------------------------------------------------------------------------------------------------- */

/* Makes the table with these families (1 to CELLS_FAMILIES_MAX, ends with NULL), one version a cell, unless it is there. A table that is
 * there is never changed: ERROR_EXISTS when it lacks one of the families. */
int cells_ensure(struct cells *cells, const char *table, const char *const *families, struct error *err);

/* --- writing ---------------------------------------------------------------------------------------------------------------- */

struct cells_put {
	struct slice key;
	struct slice column;
	struct slice value;
	int64_t version; /* 1 to CELLS_VERSION_MAX */
};

/* Puts n cells; those of a row that stand side by side go together. When it returns 0, all are durable. */
int cells_put(struct cells *cells, const char *table, const struct cells_put *puts, size_t n, struct error *err);

struct cells_erase {
	struct slice key;
	struct slice column;
	int64_t version; /* 1 to CELLS_VERSION_MAX */
};

/* Erases n cells, each up to a version; whether they are there or not. Those of a row with one version, side by side, cost HBase one
 * request. When it returns 0, all are durable. */
int cells_erase(struct cells *cells, const char *table, const struct cells_erase *erases, size_t n, struct error *err);

/* --- reading ---------------------------------------------------------------------------------------------------------------- */

struct cell {
	struct slice column;
	struct slice value;
	int64_t version;
};

struct cells_row {
	struct slice key;
	const struct cell *cells; /* in the order of their columns' bytes, at least one */
	size_t n;
};

/* Takes a row, which lives until it returns. 0 to go on, 1 to end the reading (which then returns 0), or a negative code. */
typedef int cells_row_fn(void *context, const struct cells_row *row, struct error *err);

/* Gives the rows of n keys, in the order of the keys, without those that are not there; a key that is given twice may give its row
 * twice. */
int cells_get(struct cells *cells, const char *table, const struct slice *keys, size_t n, cells_row_fn *take,
	      void *context, struct error *err);

struct cells_range {
	struct slice prefix; /* keys begin with it */
	struct slice from;   /* the first key; empty: from the beginning */
	struct slice to;     /* behind the last one; empty: to the end */
	uint64_t limit;      /* rows; 0: all. The next page is from the last key with a NUL behind it */
};

/* Gives rows in the order of their keys. When it returns 0, it gave all that were there when it began. (HBase's gateway ends a scan
 * without a word when a region server dies: the driver believes an end only behind a row that it saw there; cells_hbase_read.c.) */
int cells_scan(struct cells *cells, const char *table, const struct cells_range *range, cells_row_fn *take,
	       void *context, struct error *err);

/* --- looking after it ------------------------------------------------------------------------------------------------------- */

struct cells_health {
	char what[96];    /* "HBase 2.6.1, REST gateway 0.0.3", "LMDB 0.9.24" */
	uint32_t servers; /* region servers that live and that are dead; 0 where there are none */
	uint32_t dead;
	uint64_t regions;
	bool has_clock;
	int64_t skew_ms;   /* the server's clock less ours, good to a second */
	int64_t answer_us; /* how long the first answer took */
	struct buf tables; /* names as cells_put takes them, each with a NUL behind it; those with our prefix */
	uint32_t n_tables;
};

/* Looks how the system is, for a person; asks once, without trying again. The caller releases *out, also on an error. */
int cells_ping(struct cells *cells, struct cells_health *out, struct error *err);
void cells_health_release(struct cells_health *health);

struct cells_rights {
	bool exists; /* or whether it does may not be seen: then it is neither read nor written, and denial says so */
	bool reads;
	bool writes;
	char denial[256]; /* what was said where one is false; "" */
};

/* Whether the table is there and we may read and write it: reads a row and erases a cell that nobody ever made (key "\0punchcard",
 * version 1). `family` is one of its. */
int cells_rights(struct cells *cells, const char *table, const char *family, struct cells_rights *out,
		 struct error *err);

struct cells_counts {
	uint64_t requests; /* of all kinds, tries that failed included; transactions with LMDB */
	uint64_t retries;
	uint64_t cells_put;
	uint64_t cells_erased;
	uint64_t rows_given;
	uint64_t sent_bytes; /* bodies of requests */
	uint64_t read_bytes; /* and of answers; values with LMDB */
};
/* What was done since it was opened. */
const struct cells_counts *cells_counts(const struct cells *cells);
/* What messages call it: "HBase http://rest:8080", "cells in /srv/shop/data/cells". */
const char *cells_name(const struct cells *cells);

/* Appends the least key that is greater than all that begin with the prefix; nothing when there is none. 0 or ERROR_NO_MEMORY. */
int cells_behind_prefix(struct slice prefix, struct buf *out);

#endif
