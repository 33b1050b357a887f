/* Shared by the files of the HBase driver (cells_hbase*.c). */
#ifndef PUNCHCARD_STORE_CELLS_HBASE_INTERNAL_H
#define PUNCHCARD_STORE_CELLS_HBASE_INTERNAL_H

#include "store/cells_driver.h"
#include "store/cells_hbase_json.h"

struct hbase {
	struct cells cells;
	struct cells_hbase_options options; /* its texts are this driver's own, prefix and those of http */
	char *prefix;
	char *name;
	struct http *http;
	struct http_answer answer;
	struct buf path;
	struct buf body;
	struct hbase_rows rows;
	struct hbase *lanes[CELLS_LANES_MAX]; /* of cells_erase, beside this one; NULL: not opened */
	size_t uri_bytes;                     /* as the gateway has been found to take it */
	bool take_500;                        /* of the request that runs: a bare 500 is for the caller to look into */
};

/*
 * Asks; h->answer has the answer. 2xx, 400, 404, 410 and 414 come back as they are; whatever else may get better is tried again.
 * `headers` may be NULL: then JSON is accepted, and sent.
 */
int hbase_ask(struct hbase *h, const struct http_request *request, struct error *err);
/* The same of a table. The gateway answers a bare 500 for a table that is not there, and for an outage: what it is, is looked up.
 * ERROR_NOT_FOUND: the table. */
int hbase_ask_table(struct hbase *h, const char *table, const struct http_request *request, struct error *err);

/* Begins h->path with "/<prefix><table>". */
int hbase_begin_path(struct hbase *h, const char *table, struct error *err);
/* Appends printf output to h->path. */
int hbase_add_path(struct hbase *h, struct error *err, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The families of a table, each with a NUL behind it, appended. ERROR_NOT_FOUND: there is no such table. */
int hbase_families(struct hbase *h, const char *table, struct buf *families, struct error *err);
bool hbase_has_family(const struct buf *families, struct slice family);

/* The key of the row behind all others (CELLS_END_BYTES). */
void hbase_end_key(char key[CELLS_END_BYTES]);
/* Puts that row, in the first of the table's families. */
int hbase_put_end(struct hbase *h, const char *table, const struct buf *families, struct error *err);

/* Sets err by an answer that ends the matter: what the gateway says, without its stack. Returns code. */
int hbase_refused(const struct hbase *h, int code, struct error *err, const char *doing);
/* The first lines of an answer's text, for messages: status, exception and its message. */
void hbase_reason(const struct http_answer *answer, char *out, size_t size);

int hbase_get(struct cells *cells, const char *table, const struct slice *keys, size_t n, cells_row_fn *take,
	      void *context, struct error *err);
int hbase_scan(struct cells *cells, const char *table, const struct cells_range *range, cells_row_fn *take,
	       void *context, struct error *err);
int hbase_ensure(struct cells *cells, const char *table, const char *const *families, struct error *err);
int hbase_ping(struct cells *cells, struct cells_health *out, struct error *err);
int hbase_rights(struct cells *cells, const char *table, const char *family, struct cells_rights *out,
		 struct error *err);

#endif
