/*
 * Reading from HBase: rows by key with multiget, which takes binary keys and has the limit of a URI; ranges with a scanner of the
 * gateway, since the scan without one takes no binary keys.
 *
 * A scanner is a state of that gateway, and its answers cannot be asked for again. So whatever goes wrong with one, another is
 * opened behind the last row that was whole.
 */
#include "store/cells_hbase_internal.h"

#include "base/base64.h"
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>

/* Without a scanner answering a single row, however long HBase takes: then something else is wrong. */
#define SCANNERS_MAX 6

/* What a row is given to, and counted. */
struct given {
	struct hbase *h;
	cells_row_fn *take;
	void *context;
	/* A multiget's. */
	const struct slice *keys;
	size_t n;
	/* A scan's. */
	struct buf last; /* key of the row that was given last */
	uint64_t left;   /* rows of the limit */
	bool stopped;    /* by the callback, or the limit */
	bool progress;
};

/* --- multiget --------------------------------------------------------------------------------------------------------------- */

static int give_asked(void *context, const struct cells_row *row, struct error *err)
{
	struct given *const given = context;
	while (given->n && !slice_equal(given->keys[0], row->key)) {
		given->keys++;
		given->n--;
	}
	if (!given->n)
		return error_set(err, ERROR_CORRUPT, "%s: the answer has a row that was not asked for, or not there",
				 given->h->name);
	return cells_give(&given->h->cells, row, given->take, given->context, err);
}

/* The path for the first of these keys; *taken of them. */
static int multiget_path(struct hbase *h, const char *table, const struct slice *keys, size_t n, size_t *taken,
			 struct error *err)
{
	size_t i = 0;
	int rc = hbase_begin_path(h, table, err);
	if (rc == 0)
		rc = hbase_add_path(h, err, "/multiget?e=b64");
	for (; i < n && i < h->options.get_rows && rc == 0; i++) {
		const size_t more = base64_size(keys[i].len) + sizeof("&row=");
		if (i && h->path.len + more > h->uri_bytes)
			break;
		if (buf_reserve(&h->path, more) < 0)
			return error_no_memory(err, more);
		memcpy(h->path.data + h->path.len, "&row=", 5);
		h->path.len = (size_t)(base64_put_url(h->path.data + h->path.len + 5, keys[i]) - h->path.data);
	}
	*taken = i;
	return rc < 0 || buf_text(&h->path) ? rc : error_no_memory(err, h->path.len);
}

/* 404 may mean that none of the rows is there, or the table, or that this is no gateway at all. */
static int no_rows(struct hbase *h, const char *table, struct error *err)
{
	_cleanup_buf_ struct buf families = {0};
	if (h->answer.body.len && strncmp(h->answer.body.data, "No rows found", 13) == 0)
		return 0;
	return hbase_families(h, table, &families, err);
}

int hbase_get(struct cells *cells, const char *table, const struct slice *keys, size_t n, cells_row_fn *take,
	      void *context, struct error *err)
{
	struct hbase *const h = (struct hbase *)cells;
	size_t at = 0;
	while (at < n) {
		size_t taken = 0;
		int rc = multiget_path(h, table, keys + at, n - at, &taken, err);
		if (rc == 0)
			rc = hbase_ask_table(h, table, &(struct http_request){.path = h->path.data}, err);
		if (rc == ERROR_LIMIT && taken > 1) {
			/* These rows are so large that their answer is over its limit. */
			h->options.get_rows = (uint32_t)taken / 2;
			continue;
		}
		if (rc < 0)
			return rc;
		if (h->answer.status == 414 && taken > 1) {
			/* Something between has a smaller limit. */
			h->uri_bytes = h->path.len / 2;
			continue;
		}
		if (h->answer.status == 404) {
			rc = no_rows(h, table, err);
		} else if (h->answer.status != 200) {
			rc = hbase_refused(h, ERROR_IO, err, "read rows");
		} else {
			struct given given = {.h = h, .take = take, .context = context, .keys = keys + at, .n = taken};
			hbase_rows_reset(&h->rows);
			rc = hbase_rows_read(&h->rows, (struct slice){h->answer.body.data, h->answer.body.len},
					     give_asked, &given, err);
			if (rc == 0)
				rc = hbase_rows_flush(&h->rows, give_asked, &given, err);
		}
		if (rc != 0)
			return rc;
		at += taken;
	}
	return 0;
}

/* --- scan ------------------------------------------------------------------------------------------------------------------- */

static int give_scanned(void *context, const struct cells_row *row, struct error *err)
{
	struct given *const given = context;
	buf_clear(&given->last);
	if (buf_append(&given->last, row->key.data, row->key.len) < 0)
		return error_no_memory(err, row->key.len);
	given->progress = true;
	const int rc = cells_give(&given->h->cells, row, given->take, given->context, err);
	if (rc < 0)
		return rc;
	given->stopped = rc > 0 || --given->left == 0;
	return given->stopped ? 1 : 0;
}

static int add_key(struct buf *body, const char *name, struct slice key)
{
	if (!key.len)
		return 0;
	int rc = buf_printf(body, ",\"%s\":\"", name);
	if (rc == 0)
		rc = buf_reserve(body, base64_size(key.len) + 1);
	if (rc < 0)
		return rc;
	body->len = (size_t)(base64_put(body->data + body->len, key) - body->data);
	return buf_append_text(body, "\"");
}

/* Opens a scanner behind the last row that was given, and begins h->path with where it is. */
static int open_scanner(struct hbase *h, const char *table, const struct cells_range *range, struct given *given,
			struct error *err)
{
	struct slice from = range->from;
	if (given->last.len) {
		/* The least key behind it has a NUL more. */
		if (!buf_text(&given->last))
			return error_no_memory(err, given->last.len);
		from = (struct slice){given->last.data, given->last.len + 1};
	}
	buf_clear(&h->body);
	if (buf_printf(&h->body, "{\"batch\":%u", h->options.page_cells) < 0 ||
	    add_key(&h->body, "startRow", from) < 0 || add_key(&h->body, "endRow", range->to) < 0 ||
	    buf_append_text(&h->body, "}") < 0)
		return error_no_memory(err, h->body.len);
	int rc = hbase_begin_path(h, table, err);
	if (rc == 0)
		rc = hbase_add_path(h, err, "/scanner");
	if (rc < 0)
		return rc;
	const struct http_request request = {
		.method = HTTP_POST, .path = h->path.data, .body = {h->body.data, h->body.len}};
	rc = hbase_ask_table(h, table, &request, err);
	if (rc < 0)
		return rc;
	/* By its name alone: who is in between may know the gateway by another address. */
	const char *const id = h->answer.location ? strrchr(h->answer.location, '/') : NULL;
	if (h->answer.status != 201 || !id || !id[1] || strspn(id + 1, "0123456789abcdefABCDEF") != strlen(id + 1))
		return hbase_refused(h, ERROR_IO, err, "open a scanner");
	return hbase_add_path(h, err, "%s", id);
}

/* Best effort: a scanner that stays costs the gateway memory. */
static void close_scanner(struct hbase *h, size_t path_len)
{
	h->path.len = path_len;
	if (buf_text(&h->path))
		hbase_ask(h, &(struct http_request){.method = HTTP_DELETE, .path = h->path.data, .once = true}, NULL);
}

/* Reads one scanner to its end. 0: the range is read; 1: another scanner is to go on; or an error. */
static int read_scanner(struct hbase *h, struct given *given, struct error *err)
{
	const size_t path_len = h->path.len;
	for (;;) {
		h->path.len = path_len;
		/* One row more than is wanted, so that the last one is seen to be whole. */
		const uint64_t rows = given->left < h->options.page_cells ? given->left + 1 : h->options.page_cells;
		int rc = hbase_add_path(h, err, "?n=%llu", (unsigned long long)rows);
		if (rc < 0)
			return rc;
		h->take_500 = true;
		rc = hbase_ask(h, &(struct http_request){.path = h->path.data, .once = true}, err);
		h->take_500 = false;
		if (rc == ERROR_AWAY ||
		    (rc == 0 && (h->answer.status == 404 || h->answer.status == 410 || h->answer.status == 500))) {
			if (rc == 0)
				hbase_refused(h, ERROR_AWAY, err, "scan");
			return 1;
		}
		if (rc == ERROR_LIMIT && h->options.page_cells > 1) {
			/* Another scanner, with smaller pages; that is progress, too. */
			h->options.page_cells /= 2;
			given->progress = true;
			return 1;
		}
		if (rc < 0)
			return rc;
		if (h->answer.status == 204) {
			rc = hbase_rows_flush(&h->rows, give_scanned, given, err);
			close_scanner(h, path_len);
			return rc < 0 ? rc : 0;
		}
		if (h->answer.status != 200)
			return hbase_refused(h, ERROR_IO, err, "scan");
		rc = hbase_rows_read(&h->rows, (struct slice){h->answer.body.data, h->answer.body.len}, give_scanned,
				     given, err);
		if (rc != 0) {
			close_scanner(h, path_len);
			return rc < 0 ? rc : 0;
		}
	}
}

int hbase_scan(struct cells *cells, const char *table, const struct cells_range *range, cells_row_fn *take,
	       void *context, struct error *err)
{
	struct hbase *const h = (struct hbase *)cells;
	struct given given = {
		.h = h, .take = take, .context = context, .left = range->limit ? range->limit : UINT64_MAX};
	struct error away = {0};
	int rc = 1;
	for (unsigned fruitless = 0; rc == 1 && fruitless < SCANNERS_MAX; fruitless++) {
		hbase_rows_reset(&h->rows);
		given.progress = false;
		rc = open_scanner(h, table, range, &given, err);
		if (rc == 0)
			rc = read_scanner(h, &given, &away);
		else
			break;
		if (given.progress)
			fruitless = 0;
		if (rc == 1) {
			_cleanup_buf_ struct buf families = {0};
			h->cells.counts.retries++;
			/* A scanner of a table that is not there is opened all the same, and is not found then. */
			const int known = hbase_families(h, table, &families, err);
			if (known < 0)
				rc = known;
		} else if (rc < 0 && err) {
			*err = away;
		}
	}
	if (rc == 1) {
		rc = ERROR_AWAY;
		if (err)
			*err = away;
	}
	buf_release(&given.last);
	return rc;
}
