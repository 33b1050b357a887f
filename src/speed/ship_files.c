#include "speed/ship_files.h"

#include "base/decimal.h"
#include "base/limits.h"
#include "store/warehouse.h"

#include <stdlib.h>
#include <string.h>

struct marks {
	const char *prefix; /* "<shipper>-" */
	uint64_t most;      /* of those that are there; 0: none is */
	uint64_t keep;
	struct buf older; /* names before `keep`, each with a NUL */
};

static int on_mark(void *context, const char *name, const struct warehouse_stat *stat, struct error *err)
{
	struct marks *const marks = context;
	const size_t len = strlen(marks->prefix);
	int64_t next;
	(void)stat;
	if (strncmp(name, marks->prefix, len) != 0 || integer_parse(name + len, strlen(name + len), &next) < 0 ||
	    next < 1)
		return 0;
	if ((uint64_t)next > marks->most)
		marks->most = (uint64_t)next;
	if ((uint64_t)next < marks->keep && buf_append(&marks->older, name, strlen(name) + 1) < 0)
		return error_no_memory(err, strlen(name));
	return 0;
}

static int list_marks(struct warehouse *warehouse, const char *dir, struct marks *marks, struct error *err)
{
	const int rc = warehouse_list(warehouse, dir, on_mark, marks, err);
	return rc == ERROR_NOT_FOUND ? 0 : rc;
}

/* A shipment is planned, then its mark is set, then it counts. mark 0: there is none. */
static bool agrees(const struct shipper_position *at, uint64_t mark)
{
	return mark ? mark == at->offset || mark == at->planned : at->offset == at->begun;
}

int ship_judge_mark(const struct shipper_position *at, const char *edge, const struct ship_mark *mark,
		    struct error *err)
{
	if (agrees(at, mark->next))
		return 0;
	if (!mark->next)
		return error_set(
			err, ERROR_CORRUPT,
			"edge %s has shipped blocks up to %llu, and the warehouse knows nothing of it: it is another "
			"one, or its files were removed; correct cluster.hdfs in punchcard.yaml, or bring them back",
			edge, (unsigned long long)at->offset - 1);
	return error_set(
		err, ERROR_CORRUPT,
		"edge %s has shipped blocks up to %llu by its journal, and up to %llu by the warehouse (edges/%s): "
		"another "
		"journal ships under this name, or this one is an older copy; give this edge a name of its own in "
		"punchcard.yaml, or put data/ back from the newest backup",
		edge, (unsigned long long)at->offset - 1, (unsigned long long)mark->next - 1, edge);
}

int ship_find_marks(struct warehouse *warehouse, const char *edge, struct ship_mark *marks, unsigned n,
		    struct error *err)
{
	_cleanup_free_ char *dir = text_printf("edges/%s", edge);
	int rc = dir ? 0 : error_no_memory(err, LIMIT_PATH_BYTES);
	for (unsigned i = 0; rc == 0 && i < n; i++) {
		_cleanup_free_ char *prefix = text_printf("%s-", marks[i].shipper);
		struct marks found = {.prefix = prefix};
		rc = prefix ? list_marks(warehouse, dir, &found, err) : error_no_memory(err, LIMIT_PATH_BYTES);
		marks[i].next = found.most;
	}
	return rc;
}

int ship_check_mark(struct shipper *shipper, bool *done, struct error *err)
{
	struct ship_mark mark = {.shipper = shipper->driver->name};
	const int rc = ship_find_marks(shipper->target.warehouse, shipper->target.edge, &mark, 1, err);
	*done = rc == 0 && shipper->again && mark.next == shipper->at.planned;
	return rc < 0 ? rc : ship_judge_mark(&shipper->at, shipper->target.edge, &mark, err);
}

#define LOOKS 20u /* at marks that change meanwhile */

static int take_raw(void *context, struct slice name, const struct shipper_position *at)
{
	struct shipper_position *const raw = context;
	if (!slice_is(name, ship_raw.name))
		return 0;
	*raw = *at;
	raw->edge = (struct slice){0}; /* which is gone with the walk */
	return 1;
}

/* As it is now, whatever a reader saw when it was opened; all 0: there is none. */
static int find_raw(struct shipper *shipper, struct shipper_position *out, struct error *err)
{
	struct journal_reader *reader = NULL;
	*out = (struct shipper_position){0};
	int rc = journal_reader_open(shipper->journal, &reader, err);
	if (rc == 0)
		rc = shippers_each(reader, take_raw, out, err);
	journal_reader_close(reader);
	return rc;
}

int ship_check_first(struct shipper *shipper, struct error *err)
{
	const char *const edge = shipper->target.edge;
	struct ship_mark mark = {.shipper = ship_raw.name};
	struct shipper_position raw = {0};
	int rc = find_raw(shipper, &raw, err);
	for (unsigned i = 0; rc == 0 && i < LOOKS; i++) {
		const struct shipper_position before = raw;
		rc = ship_find_marks(shipper->target.warehouse, edge, &mark, 1, err);
		if (rc == 0)
			rc = find_raw(shipper, &raw, err);
		/* They may be shipped meanwhile: then what was seen is of no one moment. */
		if (rc == 0 && before.offset == raw.offset && before.planned == raw.planned && agrees(&raw, mark.next))
			return 0;
	}
	return rc < 0 ? rc
		      : error_set(err, ERROR_AWAY,
				  "edge %s has shipped blocks up to %llu by its journal, and up to %llu by the "
				  "warehouse (edges/%s); nothing is shipped here before these agree",
				  edge, (unsigned long long)(raw.offset ? raw.offset - 1 : 0),
				  (unsigned long long)(mark.next ? mark.next - 1 : 0), edge);
}

int ship_set_mark(struct shipper *shipper, uint64_t next, struct error *err)
{
	struct warehouse *const warehouse = shipper->target.warehouse;
	_cleanup_free_ char *dir = text_printf("edges/%s", shipper->target.edge);
	_cleanup_free_ char *prefix = text_printf("%s-", shipper->driver->name);
	_cleanup_free_ char *mark = text_printf("edges/%s/%s-%012llu", shipper->target.edge, shipper->driver->name,
						(unsigned long long)next);
	if (!dir || !prefix || !mark)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	struct marks marks = {.prefix = prefix, .keep = next};
	int rc = warehouse_put_bytes(warehouse, mark, (struct slice){"", 0}, err);
	if (rc == 0)
		rc = list_marks(shipper->target.warehouse, dir, &marks, err);
	for (size_t at = 0; rc == 0 && at < marks.older.len; at += strlen(marks.older.data + at) + 1) {
		_cleanup_free_ char *path = text_printf("%s/%s", dir, marks.older.data + at);
		rc = path ? warehouse_remove(warehouse, path, err) : error_no_memory(err, LIMIT_PATH_BYTES);
	}
	buf_release(&marks.older);
	return rc;
}

int ship_put_file(struct shipper *shipper, const char *path, const char *local, struct error *err)
{
	struct warehouse *const warehouse = shipper->target.warehouse;
	int rc = warehouse_put_file(warehouse, path, local, err);
	if (rc == ERROR_EXISTS) {
		rc = warehouse_remove(warehouse, path, err);
		if (rc == 0)
			rc = warehouse_put_file(warehouse, path, local, err);
	}
	shipper->put += rc == 0;
	return rc;
}
