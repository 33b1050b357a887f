/*
 * What HBase's REST gateway takes and gives as JSON: rows, with keys, columns and values in base64.
 *
 *     {"Row":[{"key":"a2V5","Cell":[{"column":"ZTpx","timestamp":1000,"$":"dmFsdWU="}]}]}
 *
 *     hbase_json_begin(&body);
 *     n = hbase_json_row(&body, puts, n_puts, err);      // of the first row; and so on
 *     hbase_json_end(&body);
 *
 *     rc = hbase_rows_read(&rows, body, take, context, err);
 *
 * Written straight into one buffer, since rows are put by the million; read by json-c. Not tied to a thread.
 */
#ifndef PUNCHCARD_STORE_CELLS_HBASE_JSON_H
#define PUNCHCARD_STORE_CELLS_HBASE_JSON_H

#include "store/cells.h"

/* 0 or ERROR_NO_MEMORY. */
int hbase_json_begin(struct buf *out);
int hbase_json_end(struct buf *out);

/* How many of the puts, from the first on, are of its row. */
size_t hbase_row_puts(const struct cells_put *puts, size_t n);
/* The most bytes that the row of these n puts takes. */
size_t hbase_json_size(const struct cells_put *puts, size_t n);
/* Appends the row of these n puts, which are all of one. 0 or ERROR_NO_MEMORY. */
int hbase_json_row(struct buf *out, const struct cells_put *puts, size_t n);

/* A row that is put together, of one answer or of several; all zero is an empty one. */
struct hbase_cell {
	size_t column_at;
	size_t column_len;
	size_t value_at;
	size_t value_len;
	int64_t version;
};
struct hbase_rows {
	struct buf bytes; /* the key, then columns and values */
	size_t key_len;
	struct hbase_cell *parts;
	size_t n;
	size_t cap;
	struct cell *cells; /* as they are given */
	size_t cells_cap;
	size_t answer_rows; /* of the answer that was read last: rows, the parts of one that it began or ended with too … */
	size_t answer_cells;
};
void hbase_rows_release(struct hbase_rows *rows);
/* Forgets the row that is being put together. */
void hbase_rows_reset(struct hbase_rows *rows);

/*
 * Reads the rows of an answer. A row that goes on with the key of the one before is the same row: each is given to `take` when the next
 * begins, the last one by hbase_rows_flush. What `take` returns, when it is not 0; ERROR_CORRUPT: the body is no such answer;
 * ERROR_NO_MEMORY.
 */
int hbase_rows_read(struct hbase_rows *rows, struct slice body, cells_row_fn *take, void *context, struct error *err);
/* Gives the last row, when there is one. */
int hbase_rows_flush(struct hbase_rows *rows, cells_row_fn *take, void *context, struct error *err);

#endif
