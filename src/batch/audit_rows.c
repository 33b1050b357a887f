/* Two streams of rows in the order of their keys, compared value by value. */
#include "batch/audit_internal.h"

#include "base/decimal.h"
#include "base/tz.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <xxhash.h>

#define PROGRESS_ROWS 65536u
#define SCALE_POINTS  3
#define SCALE_MONEY   2

/* ---- rows of a scan ---- */

static void take_value(struct engine_scan *scan, unsigned column, uint32_t row, struct audit_value *out)
{
	*out = (struct audit_value){.null = engine_scan_is_null(scan, column, row)};
	if (out->null)
		return;
	switch (engine_scan_type(scan, column)) {
	case ENGINE_VARCHAR:
	case ENGINE_BLOB:
		out->text = engine_scan_text(scan, column, row);
		break;
	case ENGINE_INTEGER:
	case ENGINE_DATE:
		out->number = ((const int32_t *)engine_scan_values(scan, column))[row];
		break;
	default:
		out->number = ((const int64_t *)engine_scan_values(scan, column))[row];
		break;
	}
}

static int next_scanned(struct audit_rows *rows, struct audit_value *values, bool *found, struct error *err)
{
	struct audit_scan *const scan = (struct audit_scan *)rows;
	if (scan->at == scan->n) {
		scan->at = 0;
		scan->n = 0;
		const int rc = engine_scan_next(scan->scan, &scan->n, err);
		if (rc < 0)
			return rc;
	}
	*found = scan->at < scan->n;
	for (unsigned i = 0; *found && i < engine_scan_columns(scan->scan); i++)
		take_value(scan->scan, i, scan->at, &values[i]);
	scan->at += *found;
	return 0;
}

int audit_scan_open(struct audit_scan *scan, struct engine *engine, const char *sql, struct error *err)
{
	*scan = (struct audit_scan){.rows.next = next_scanned};
	const int rc = engine_scan_open(engine, sql, &scan->scan, err);
	assert(rc < 0 || engine_scan_columns(scan->scan) <= AUDIT_COLUMNS_MAX);
	return rc;
}

void audit_scan_close(struct audit_scan *scan)
{
	engine_scan_close(scan->scan);
	*scan = (struct audit_scan){0};
}

/* ---- values ---- */

static bool is_text(enum engine_type type)
{
	return type == ENGINE_VARCHAR || type == ENGINE_BLOB;
}

/* NULL is behind all that is there, as in the engine's order. */
static int compare_values(enum engine_type type, const struct audit_value *a, const struct audit_value *b)
{
	if (a->null || b->null)
		return (int)a->null - (int)b->null;
	if (!is_text(type))
		return (a->number > b->number) - (a->number < b->number);
	return slice_compare(a->text, b->text);
}

int audit_value_text(enum engine_type type, const struct audit_value *value, struct buf *out)
{
	char text[32];
	switch (type) {
	case ENGINE_VARCHAR:
		return buf_append(out, value->text.data, value->text.len);
	case ENGINE_BLOB:
		return buf_printf(out, "%zu bytes with the hash %016" PRIx64, value->text.len,
				  (uint64_t)XXH3_64bits(value->text.data, value->text.len));
	case ENGINE_DATE:
		civil_format((int32_t)value->number, text);
		break;
	case ENGINE_TIMESTAMP:
		civil_format_time(NULL, value->number, text);
		break;
	case ENGINE_DECIMAL_18_2:
		decimal_format(value->number, SCALE_MONEY, text);
		break;
	case ENGINE_DECIMAL_18_3:
		decimal_format(value->number, SCALE_POINTS, text);
		break;
	default:
		snprintf(text, sizeof(text), "%" PRId64, value->number);
		break;
	}
	return buf_append_text(out, text);
}

/* ---- comparing ---- */

struct comparison {
	struct audit *audit;
	const struct audit_shape *shape;
	int32_t day;
	struct buf texts; /* of a finding */
	size_t ends[1 + 2 * AUDIT_COLUMNS_MAX];
};

/* Texts are made first, and pointed at when they move no more. */
static int add_text(struct comparison *comparison, unsigned column, const struct audit_value *value, unsigned *n)
{
	int rc = 0;
	if (value && !value->null)
		rc = audit_value_text(comparison->shape->columns[column].type, value, &comparison->texts);
	comparison->ends[(*n)++] = comparison->texts.len;
	return rc;
}

static struct slice text_of(const struct comparison *comparison, unsigned i, const struct audit_value *value)
{
	const size_t at = i ? comparison->ends[i - 1] : 0;
	if (!value || value->null)
		return (struct slice){NULL, 0};
	/* An empty text is no NULL. */
	return comparison->ends[i] > at ? (struct slice){comparison->texts.data + at, comparison->ends[i] - at}
					: SLICE("");
}

static void name_row(const struct audit_shape *shape, const struct audit_value *row, struct audit_finding *finding)
{
	if (shape->entry && !row[shape->entry].null)
		finding->entry_no = row[shape->entry].number;
	if (shape->event && !row[shape->event].null)
		finding->event_id = row[shape->event].text;
	if (shape->ledger && !row[shape->ledger].null)
		finding->ledger = row[shape->ledger].text;
}

/* Either of the rows may be NULL: then it is not there. */
static int tell_row(struct comparison *comparison, const struct audit_value *should, const struct audit_value *is,
		    struct error *err)
{
	const struct audit_shape *const shape = comparison->shape;
	struct audit_finding finding = {
		.table = shape->table,
		.kind = !is       ? AUDIT_MISSING
			: !should ? AUDIT_FOREIGN
				  : AUDIT_CHANGED,
		.day = comparison->day,
	};
	if (!audit_would_tell(comparison->audit)) {
		audit_tell(comparison->audit, &finding);
		return 0;
	}
	const struct audit_value *const row = is ? is : should;
	struct audit_cell cells[AUDIT_COLUMNS_MAX];
	unsigned columns[AUDIT_COLUMNS_MAX];
	unsigned n_texts = 0;
	buf_clear(&comparison->texts);
	int rc = add_text(comparison, 0, &row[0], &n_texts);
	for (unsigned i = shape->n_keys; rc == 0 && i < shape->n_columns; i++) {
		const enum engine_type type = shape->columns[i].type;
		/* A row that is there once only is told without what it has not. */
		if (is && should ? compare_values(type, &is[i], &should[i]) == 0 : row[i].null || type == ENGINE_BLOB)
			continue;
		columns[finding.n_cells++] = i;
		rc = add_text(comparison, i, is ? &is[i] : NULL, &n_texts);
		if (rc == 0)
			rc = add_text(comparison, i, should ? &should[i] : NULL, &n_texts);
	}
	if (rc < 0)
		return error_no_memory(err, comparison->texts.len);
	for (unsigned i = 0; i < finding.n_cells; i++) {
		const unsigned column = columns[i];
		cells[i] = (struct audit_cell){
			.column = shape->columns[column].name,
			.is = text_of(comparison, 1 + 2 * i, is ? &is[column] : NULL),
			.should = text_of(comparison, 2 + 2 * i, should ? &should[column] : NULL),
		};
	}
	finding.customer = text_of(comparison, 0, &row[0]);
	finding.cells = cells;
	name_row(shape, row, &finding);
	audit_tell(comparison->audit, &finding);
	return 0;
}

static int compare_keys(const struct audit_shape *shape, const struct audit_value *a, const struct audit_value *b)
{
	int order = 0;
	for (unsigned i = 0; order == 0 && i < shape->n_keys; i++)
		order = compare_values(shape->columns[i].type, &a[i], &b[i]);
	return order;
}

static bool is_same(const struct audit_shape *shape, const struct audit_value *a, const struct audit_value *b)
{
	for (unsigned i = shape->n_keys; i < shape->n_columns; i++)
		if (compare_values(shape->columns[i].type, &a[i], &b[i]) != 0)
			return false;
	return true;
}

int audit_compare(struct audit *audit, const struct audit_shape *shape, int32_t day, struct audit_rows *should,
		  struct audit_rows *is, const char *doing, uint64_t *n, struct error *err)
{
	struct comparison comparison = {.audit = audit, .shape = shape, .day = day};
	struct audit_value wanted[AUDIT_COLUMNS_MAX] = {0};
	struct audit_value there[AUDIT_COLUMNS_MAX] = {0};
	bool has_wanted = false;
	bool has_there = false;
	uint64_t rows = 0;
	int rc = should->next(should, wanted, &has_wanted, err);
	if (rc == 0)
		rc = is->next(is, there, &has_there, err);
	while (rc == 0 && (has_wanted || has_there)) {
		const int order = !has_there ? -1 : !has_wanted ? 1 : compare_keys(shape, wanted, there);
		if (order != 0 || !is_same(shape, wanted, there))
			rc = tell_row(&comparison, order <= 0 ? wanted : NULL, order >= 0 ? there : NULL, err);
		if (rc == 0 && order <= 0)
			rc = should->next(should, wanted, &has_wanted, err);
		if (rc == 0 && order >= 0) {
			rows++;
			rc = is->next(is, there, &has_there, err);
		}
		if (rc == 0 && rows % PROGRESS_ROWS == 0)
			rc = audit_progress(audit, doing, audit->report.entries + rows, 0, err);
	}
	buf_release(&comparison.texts);
	if (rc == 0)
		*n = rows;
	return rc;
}
