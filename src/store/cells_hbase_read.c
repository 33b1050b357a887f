/*
 * Reading from HBase: rows by key with multiget, which takes binary keys and has the limit of a URI; ranges with a scanner of the
 * gateway, since the scan without one takes no binary keys.
 *
 * A scanner is a state of that gateway, and its answers cannot be asked for again. So whatever goes wrong with one, another is
 * opened behind the last row that was whole.
 *
 * **The gateway hides errors of a scan**: when HBase fails within one (a region server dies), it logs that, ends the answer there, and
 * says 204, "no more rows", if there was none in it. So:
 *
 * - An answer that is not full ends its scanner, which is not asked again.
 * - The row it ended with is whole, unless its cells came in parts (of `batch` cells each), or in several answers: then it is read
 *   again, by a scanner that goes on beyond the range, until a row behind it comes.
 * - Where the range ends is believed only when a row behind it was seen, by a scanner that was opened behind the last row and gave that
 *   one as its first: so nothing is between the two. So that there is such a row, every table has one behind all others
 *   (CELLS_END_BYTES), which never is given to anybody; it is put when a table is made or looked at by who writes, and by whoever
 *   misses it. A scan to the end of the table sees it itself.
 */
#include "store/cells_hbase_internal.h"

#include "base/base64.h"
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>

/* Rows that HBase fetches at a time for a scanner that goes on behind its range. */
#define BEYOND_ROWS 16u

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
	struct slice to;
	bool beyond;   /* scanners are to go on behind `to` */
	uint64_t left; /* rows of the limit */
	bool stopped;  /* by the callback, or the limit, or the row behind all others */
	bool progress;
	bool end_put; /* the row behind all others, by us */
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

static bool is_end(struct slice key)
{
	char end[CELLS_END_BYTES];
	hbase_end_key(end);
	return key.len >= sizeof(end) && memcmp(key.data, end, sizeof(end)) == 0;
}

static bool is_behind(const struct given *given, struct slice key)
{
	return is_end(key) || (given->to.len && slice_compare(key, given->to) >= 0);
}

static int give_scanned(void *context, const struct cells_row *row, struct error *err)
{
	struct given *const given = context;
	if (is_behind(given, row->key)) {
		given->stopped = true;
		return 1;
	}
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

/* Opens a scanner behind the last row that was given, and begins h->path with where it is. `one`: it is to look for the next row alone,
 * behind the range or not. */
static int open_scanner(struct hbase *h, const char *table, const struct cells_range *range, struct given *given,
			bool one, struct error *err)
{
	struct slice from = range->from;
	if (given->last.len) {
		/* The least key behind it has a NUL more. */
		if (!buf_text(&given->last))
			return error_no_memory(err, given->last.len);
		from = (struct slice){given->last.data, given->last.len + 1};
	}
	buf_clear(&h->body);
	/* What is behind the range is not to be fetched by the thousand. */
	const bool beyond = one || given->beyond;
	if (buf_printf(&h->body, "{\"batch\":%u", one ? 1 : h->options.page_cells) < 0 ||
	    (beyond && buf_printf(&h->body, ",\"caching\":%u", one ? 1 : BEYOND_ROWS) < 0) ||
	    add_key(&h->body, "startRow", from) < 0 ||
	    add_key(&h->body, "endRow", beyond ? (struct slice){0} : range->to) < 0 ||
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

/* Asks the scanner for so many rows. 0: h->answer is 200 or 204; 1: another scanner is to go on; or an error. */
static int ask_scanner(struct hbase *h, uint64_t rows, struct error *err)
{
	int rc = hbase_add_path(h, err, "?n=%llu", (unsigned long long)rows);
	if (rc < 0)
		return rc;
	h->take_500 = true;
	rc = hbase_ask(h, &(struct http_request){.path = h->path.data, .once = true}, err);
	h->take_500 = false;
	if (rc < 0)
		return rc == ERROR_AWAY ? 1 : rc;
	const int status = h->answer.status;
	if (status == 404 || status == 410 || status == 500) {
		hbase_refused(h, ERROR_AWAY, err, "scan");
		return 1;
	}
	return status == 200 || status == 204 ? 0 : hbase_refused(h, ERROR_IO, err, "scan");
}

/* The table has no row behind all others: puts it. 1: another scanner is to go on. */
static int put_end(struct hbase *h, const char *table, struct given *given, struct error *err)
{
	char bytes[CELLS_END_BYTES];
	const struct slice key = {bytes, sizeof(bytes)};
	_cleanup_buf_ struct buf families = {0};
	struct given found = {.h = h};
	hbase_end_key(bytes);
	hbase_rows_reset(&h->rows);
	int rc = h->cells.driver->get(&h->cells, table, &key, 1, give_scanned, &found, err);
	if (rc < 0)
		return rc;
	if (found.stopped) {
		error_set(err, ERROR_AWAY,
			  "%s: table %s%s: HBase ended a scan before its end, as when a region server dies", h->name,
			  h->prefix, table);
		return 1;
	}
	if (given->end_put)
		return error_set(
			err, ERROR_CORRUPT,
			"%s: table %s%s: the row that tells where it ends is gone as soon as it is put; has the "
			"table a TTL of less than a clock may be wrong?",
			h->name, h->prefix, table);
	given->progress = given->end_put = true;
	rc = hbase_families(h, table, &families, err);
	if (rc == 0)
		rc = hbase_put_end(h, table, &families, err);
	if (rc == ERROR_DENIED && err)
		error_prefix(err,
			     "the table lacks the row that tells where it ends, which a user who may write puts once "
			     "(`punchcard collect --once`)");
	return rc < 0 ? rc : 1;
}

/* Whether the next row of the table is behind the range. 0: it is; 1: another scanner is to go on; or an error. */
static int see_end(struct hbase *h, const char *table, const struct cells_range *range, struct given *given,
		   struct error *err)
{
	hbase_rows_reset(&h->rows);
	int rc = open_scanner(h, table, range, given, true, err);
	if (rc < 0)
		return rc;
	const size_t path_len = h->path.len;
	rc = ask_scanner(h, 1, err);
	if (rc != 0)
		return rc;
	if (h->answer.status == 200)
		rc = hbase_rows_read(&h->rows, (struct slice){h->answer.body.data, h->answer.body.len}, give_scanned,
				     given, err);
	const bool none = h->answer.status == 204 || h->rows.key_len == 0;
	close_scanner(h, path_len);
	if (rc < 0)
		return rc;
	if (none)
		return put_end(h, table, given, err);
	const struct slice next = {h->rows.bytes.data, h->rows.key_len};
	const bool behind = is_behind(given, next);
	hbase_rows_reset(&h->rows);
	if (h->rows.answer_rows > 1)
		return error_set(err, ERROR_CORRUPT, "%s: a scanner was asked for one row and gave more", h->name);
	if (behind)
		return 0;
	error_set(err, ERROR_AWAY, "%s: table %s%s: HBase ended a scan before its end, as when a region server dies",
		  h->name, h->prefix, table);
	return 1;
}

/* The row with which a scanner ended, whose cells came `batch` at a time: whole when it began in the last answer, and a part of it would
 * have more cells. 0: the next row is to be looked for; 1: another scanner is to read it again; or an error. */
static int give_last(struct hbase *h, size_t batch, struct given *given, struct error *err)
{
	if (h->rows.n <= h->rows.answer_cells && (!h->rows.n || h->rows.n % batch)) {
		const int rc = hbase_rows_flush(&h->rows, give_scanned, given, err);
		return rc < 0 ? rc : 0;
	}
	error_set(err, ERROR_AWAY, "%s: HBase ended a scan with a row that may be torn", h->name);
	given->progress = given->progress || !given->beyond;
	given->beyond = true;
	return 1;
}

/* Reads one scanner to its end. 0: the range is read; 1: another scanner is to go on; or an error. */
static int read_scanner(struct hbase *h, const char *table, const struct cells_range *range, struct given *given,
			struct error *err)
{
	const size_t path_len = h->path.len;
	const size_t batch = h->options.page_cells;
	for (;;) {
		h->path.len = path_len;
		/* One row more than is wanted, so that the last one is seen to be whole. */
		const uint64_t rows = given->left < batch ? given->left + 1 : batch;
		int rc = ask_scanner(h, rows, err);
		if (rc == ERROR_LIMIT && batch > 1) {
			/* Another scanner, with smaller pages; that is progress, too. */
			h->options.page_cells /= 2;
			given->progress = true;
			return 1;
		}
		if (rc != 0)
			return rc;
		h->rows.answer_cells = h->rows.answer_rows = 0;
		if (h->answer.status == 200)
			rc = hbase_rows_read(&h->rows, (struct slice){h->answer.body.data, h->answer.body.len},
					     give_scanned, given, err);
		/* The row that is being put together: all before it were given. */
		if (rc == 0 && h->rows.key_len)
			given->stopped = is_behind(given, (struct slice){h->rows.bytes.data, h->rows.key_len});
		const bool full = h->rows.answer_cells >= batch || h->rows.answer_rows >= rows;
		if (rc == 0 && full && !given->stopped)
			continue;
		close_scanner(h, path_len);
		if (rc < 0 || given->stopped)
			return rc < 0 ? rc : 0;
		rc = give_last(h, batch, given, err);
		if (rc != 0 || given->stopped)
			return rc;
		return see_end(h, table, range, given, err);
	}
}

int hbase_scan(struct cells *cells, const char *table, const struct cells_range *range, cells_row_fn *take,
	       void *context, struct error *err)
{
	struct hbase *const h = (struct hbase *)cells;
	struct given given = {.h = h,
			      .take = take,
			      .context = context,
			      .to = range->to,
			      .left = range->limit ? range->limit : UINT64_MAX};
	struct http_patience patience = {0};
	struct error why = {0};
	int rc = 1;
	while (rc == 1) {
		hbase_rows_reset(&h->rows);
		given.progress = false;
		rc = open_scanner(h, table, range, &given, false, &why);
		if (rc == 0)
			rc = read_scanner(h, table, range, &given, &why);
		if (rc != 1)
			break;
		_cleanup_buf_ struct buf families = {0};
		struct error missing = {0};
		h->cells.counts.retries++;
		/* A scanner of a table that is not there is opened all the same, and is not found then. */
		const int known = hbase_families(h, table, &families, &missing);
		if (known < 0) {
			rc = known;
			why = missing;
		} else if (given.progress) {
			patience = (struct http_patience){0};
		} else {
			const int paused = http_pause(h->http, &patience, &why);
			rc = paused < 0 ? paused : 1;
		}
	}
	if (rc < 0 && err)
		*err = why;
	buf_release(&given.last);
	return rc;
}
