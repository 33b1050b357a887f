/* Marks of edges in the tables of the cluster's view; as bytes: cluster_bytes.c. */
#include "base/clock.h"
#include "store/cluster_view_internal.h"

#include <xxhash.h>

#define MARK_VERSION 1
#define US_PER_MS    1000

static const struct {
	const char *table;
	struct slice column;
} MARKS[] = {{CLUSTER_ACCOUNTS, {"s:m", 3}}, {CLUSTER_ORDERS, {"o:m", 3}}};

struct mark_key {
	char bytes[CELLS_END_BYTES + 8];
};

static struct slice make_key(struct slice edge, struct mark_key *key)
{
	const uint64_t hash = XXH3_64bits(edge.data, edge.len);
	memset(key->bytes, 0xff, CELLS_END_BYTES);
	for (unsigned i = 0; i < 8; i++)
		key->bytes[CELLS_END_BYTES + i] = (char)(hash >> (56 - 8 * i));
	return (struct slice){key->bytes, sizeof(key->bytes)};
}

struct marking {
	struct slice edge;
	struct slice column;
	struct cluster_mark *mark;
};

static int take_mark(void *context, const struct cells_row *row, struct error *err)
{
	const struct marking *const marking = context;
	struct cluster_mark *const mark = marking->mark;
	for (size_t i = 0; i < row->n; i++) {
		if (!slice_equal(row->cells[i].column, marking->column))
			continue;
		struct reader r = reader_of(row->cells[i].value);
		const unsigned version = reader_has(&r, 1) ? *r.at++ : 0;
		const bool whole = reader_has(&r, CLUSTER_JOURNAL_BYTES);
		if (whole) {
			memcpy(mark->journal, r.at, CLUSTER_JOURNAL_BYTES);
			r.at += CLUSTER_JOURNAL_BYTES;
		}
		mark->next = read_varint(&r);
		const struct slice edge = read_slice(&r);
		if (!whole || r.bad || version != MARK_VERSION || !slice_equal(edge, marking->edge))
			return error_set(err, ERROR_CORRUPT,
					 "the mark of edge %.*s is damaged, of a later punchcard, or of another edge",
					 (int)marking->edge.len, marking->edge.data);
		mark->version_ms = row->cells[i].version;
		mark->found = true;
	}
	return 0;
}

int cluster_view_marks(struct cluster_view *view, struct slice edge, struct cluster_marks *out, struct error *err)
{
	struct cluster_mark *const marks[] = {&out->accounts, &out->orders};
	struct mark_key bytes;
	const struct slice key = make_key(edge, &bytes);
	int rc = 0;
	*out = (struct cluster_marks){0};
	for (size_t i = 0; rc == 0 && i < 2; i++) {
		struct marking marking = {.edge = edge, .column = MARKS[i].column, .mark = marks[i]};
		struct error why = {0};
		rc = cells_get(view->cells, MARKS[i].table, &key, 1, take_mark, &marking, &why);
		if (rc == ERROR_NOT_FOUND)
			rc = 0;
		else if (rc < 0)
			error_set(err, rc, "%s", why.message);
		if (rc == ERROR_CORRUPT && err)
			error_prefix(err, "%s: table %s", cells_name(view->cells), MARKS[i].table);
		if (marks[i]->version_ms > view->mark_version_ms)
			view->mark_version_ms = marks[i]->version_ms;
	}
	return rc;
}

int cluster_view_put_mark(struct cluster_view *view, struct slice edge, const struct cluster_mark *mark,
			  struct error *err)
{
	struct pending *const pending[] = {&view->accounts, &view->orders};
	struct mark_key bytes;
	const struct slice key = make_key(edge, &bytes);
	const int64_t now_ms = clock_now_us() / US_PER_MS;
	buf_clear(&view->value);
	if (buf_reserve(&view->value, 1 + CLUSTER_JOURNAL_BYTES + 2 * VARINT_MAX_BYTES + edge.len) < 0)
		return error_no_memory(err, edge.len);
	char *p = view->value.data;
	*p++ = MARK_VERSION;
	memcpy(p, mark->journal, CLUSTER_JOURNAL_BYTES);
	p = put_slice(put_varint(p + CLUSTER_JOURNAL_BYTES, mark->next), edge);
	view->value.len = (size_t)(p - view->value.data);
	/* The clock may have been set back since the last one. */
	view->mark_version_ms = now_ms > view->mark_version_ms ? now_ms : view->mark_version_ms + 1;
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < 2; i++) {
		const struct cells_put put = {.key = key,
					      .column = MARKS[i].column,
					      .value = {view->value.data, view->value.len},
					      .version = view->mark_version_ms};
		rc = cluster_pending_add(pending[i], &put, err);
	}
	return rc;
}
