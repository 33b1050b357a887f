#include "store/cells_hbase_json.h"

#include "base/base64.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

/* Row, Cell, column and $ are four deep with their lists; more is nothing of a gateway's. */
#define DEPTH 16

/* --- writing ---------------------------------------------------------------------------------------------------------------- */

#define ROW_BEGIN  "{\"key\":\""
#define ROW_CELLS  "\",\"Cell\":["
#define ROW_END    "]}"
#define CELL_BEGIN "{\"column\":\""
#define CELL_TIME  "\",\"timestamp\":"
#define CELL_VALUE ",\"$\":\""
#define CELL_END   "\"}"

#define ROW_ROOM   (sizeof(ROW_BEGIN ROW_CELLS ROW_END) + 1)
#define CELL_ROOM  (sizeof(CELL_BEGIN CELL_TIME CELL_VALUE CELL_END) + 1 + 20)

int hbase_json_begin(struct buf *out)
{
	return buf_append_text(out, "{\"Row\":[");
}

int hbase_json_end(struct buf *out)
{
	return buf_append_text(out, "]}");
}

size_t hbase_row_puts(const struct cells_put *puts, size_t n)
{
	size_t same = 1;
	while (same < n && slice_equal(puts[same].key, puts[0].key))
		same++;
	return same;
}

size_t hbase_json_size(const struct cells_put *puts, size_t n)
{
	size_t size = ROW_ROOM + base64_size(puts[0].key.len);
	for (size_t i = 0; i < n; i++)
		size += CELL_ROOM + base64_size(puts[i].column.len) + base64_size(puts[i].value.len);
	return size;
}

static char *put_literal(char *p, const char *text, size_t size)
{
	memcpy(p, text, size - 1);
	return p + size - 1;
}
#define PUT(p, literal) put_literal(p, literal, sizeof(literal))

static char *put_number(char *p, int64_t value)
{
	char digits[20];
	size_t n = 0;
	do
		digits[n++] = (char)('0' + value % 10);
	while ((value /= 10) != 0);
	while (n)
		*p++ = digits[--n];
	return p;
}

int hbase_json_row(struct buf *out, const struct cells_put *puts, size_t n)
{
	if (buf_reserve(out, hbase_json_size(puts, n)) < 0)
		return ERROR_NO_MEMORY;
	char *p = out->data + out->len;
	if (out->len && out->data[out->len - 1] == '}')
		*p++ = ',';
	p = PUT(p, ROW_BEGIN);
	p = base64_put(p, puts[0].key);
	p = PUT(p, ROW_CELLS);
	for (size_t i = 0; i < n; i++) {
		if (i)
			*p++ = ',';
		p = PUT(p, CELL_BEGIN);
		p = base64_put(p, puts[i].column);
		p = PUT(p, CELL_TIME);
		p = put_number(p, puts[i].version);
		p = PUT(p, CELL_VALUE);
		p = base64_put(p, puts[i].value);
		p = PUT(p, CELL_END);
	}
	p = PUT(p, ROW_END);
	out->len = (size_t)(p - out->data);
	return 0;
}

/* --- a row that is put together --------------------------------------------------------------------------------------------- */

void hbase_rows_release(struct hbase_rows *rows)
{
	buf_release(&rows->bytes);
	free(rows->parts);
	free(rows->cells);
	*rows = (struct hbase_rows){0};
}

void hbase_rows_reset(struct hbase_rows *rows)
{
	buf_clear(&rows->bytes);
	rows->key_len = 0;
	rows->n = 0;
}

static int compare_cells(const void *a, const void *b)
{
	return slice_compare(((const struct cell *)a)->column, ((const struct cell *)b)->column);
}

/* HBase orders by family and then by qualifier, which is another order where one family's name begins with another's. */
static void sort_cells(struct cell *cells, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (compare_cells(&cells[i - 1], &cells[i]) > 0) {
			qsort(cells, n, sizeof(*cells), compare_cells);
			return;
		}
}

int hbase_rows_flush(struct hbase_rows *rows, cells_row_fn *take, void *context, struct error *err)
{
	if (!rows->n)
		return 0;
	if (rows->n > rows->cells_cap) {
		struct cell *const cells = realloc(rows->cells, rows->cap * sizeof(*cells));
		if (!cells)
			return error_no_memory(err, rows->cap * sizeof(*cells));
		rows->cells = cells;
		rows->cells_cap = rows->cap;
	}
	const char *const bytes = rows->bytes.data;
	for (size_t i = 0; i < rows->n; i++) {
		const struct hbase_cell *const part = &rows->parts[i];
		rows->cells[i] = (struct cell){.column = {bytes + part->column_at, part->column_len},
					       .value = {bytes + part->value_at, part->value_len},
					       .version = part->version};
	}
	sort_cells(rows->cells, rows->n);
	const struct cells_row row = {.key = {bytes, rows->key_len}, .cells = rows->cells, .n = rows->n};
	const int rc = take(context, &row, err);
	hbase_rows_reset(rows);
	return rc;
}

/* --- reading ---------------------------------------------------------------------------------------------------------------- */

static int no_answer(struct error *err, const char *what)
{
	return error_set(
		err, ERROR_CORRUPT,
		"the answer is not one of HBase's REST gateway (%s); is the URL right, and nothing between that "
		"changes answers?",
		what);
}

/* A member that is text in base64, behind what is in `out` already. */
static int append_member(const struct json_object *object, const char *name, struct buf *out, size_t *at, size_t *len,
			 struct error *err)
{
	struct json_object *member = NULL;
	if (!json_object_object_get_ex(object, name, &member) || !json_object_is_type(member, json_type_string))
		return no_answer(err, name);
	const struct slice text = {json_object_get_string(member), (size_t)json_object_get_string_len(member)};
	if (buf_reserve(out, text.len + 1) < 0)
		return error_no_memory(err, text.len);
	*at = out->len;
	if (!base64_decode(text, out->data + out->len, len))
		return no_answer(err, "base64");
	out->len += *len;
	return 0;
}

static int read_cell(struct hbase_rows *rows, const struct json_object *object, struct error *err)
{
	struct json_object *version = NULL;
	if (rows->n == rows->cap) {
		const size_t cap = rows->cap ? 2 * rows->cap : 16;
		struct hbase_cell *const parts = realloc(rows->parts, cap * sizeof(*parts));
		if (!parts)
			return error_no_memory(err, cap * sizeof(*parts));
		rows->parts = parts;
		rows->cap = cap;
	}
	if (!json_object_is_type(object, json_type_object) ||
	    !json_object_object_get_ex(object, "timestamp", &version) || !json_object_is_type(version, json_type_int))
		return no_answer(err, "a cell");
	struct hbase_cell *const part = &rows->parts[rows->n];
	part->version = json_object_get_int64(version);
	int rc = append_member(object, "column", &rows->bytes, &part->column_at, &part->column_len, err);
	if (rc == 0 && !memchr(rows->bytes.data + part->column_at, ':', part->column_len))
		rc = no_answer(err, "a column");
	if (rc == 0)
		rc = append_member(object, "$", &rows->bytes, &part->value_at, &part->value_len, err);
	if (rc == 0)
		rows->n++;
	return rc;
}

/* Begins the row with the key of `object`, unless it is the one that is being put together. */
static int begin_row(struct hbase_rows *rows, const struct json_object *object, cells_row_fn *take, void *context,
		     struct error *err)
{
	size_t at = 0;
	size_t len = 0;
	int rc = append_member(object, "key", &rows->bytes, &at, &len, err);
	if (rc < 0)
		return rc;
	if (!len)
		return no_answer(err, "an empty key");
	rows->bytes.len = at;
	const struct slice key = {rows->bytes.data + at, len};
	if (rows->n && slice_equal(key, (struct slice){rows->bytes.data, rows->key_len}))
		return 0;
	/* Out of the way while the row before it is given. */
	char *const kept = slice_dup(key);
	if (!kept)
		return error_no_memory(err, len);
	rc = hbase_rows_flush(rows, take, context, err);
	if (rc == 0) {
		hbase_rows_reset(rows);
		rc = buf_append(&rows->bytes, kept, len) < 0 ? error_no_memory(err, len) : 0;
		rows->key_len = len;
	}
	free(kept);
	return rc;
}

static int read_row(struct hbase_rows *rows, const struct json_object *object, cells_row_fn *take, void *context,
		    struct error *err)
{
	struct json_object *cells = NULL;
	if (!json_object_is_type(object, json_type_object) || !json_object_object_get_ex(object, "Cell", &cells) ||
	    !json_object_is_type(cells, json_type_array))
		return no_answer(err, "a row");
	const size_t n = json_object_array_length(cells);
	rows->answer_rows++;
	rows->answer_cells += n;
	int rc = n ? begin_row(rows, object, take, context, err) : 0;
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = read_cell(rows, json_object_array_get_idx(cells, i), err);
	return rc;
}

int hbase_rows_read(struct hbase_rows *rows, struct slice body, cells_row_fn *take, void *context, struct error *err)
{
	struct json_object *list = NULL;
	rows->answer_rows = rows->answer_cells = 0;
	struct json_tokener *const tokener = body.len <= INT32_MAX ? json_tokener_new_ex(DEPTH) : NULL;
	if (!tokener)
		return error_no_memory(err, body.len);
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
	struct json_object *const answer = json_tokener_parse_ex(tokener, body.data ? body.data : "", (int)body.len);
	const size_t end = json_tokener_get_parse_end(tokener);
	const bool whole = json_tokener_get_error(tokener) == json_tokener_success && end == body.len;
	json_tokener_free(tokener);
	int rc = 0;
	if (!whole || !json_object_is_type(answer, json_type_object) ||
	    !json_object_object_get_ex(answer, "Row", &list) || !json_object_is_type(list, json_type_array))
		rc = no_answer(err, "rows");
	const size_t n = rc == 0 ? json_object_array_length(list) : 0;
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = read_row(rows, json_object_array_get_idx(list, i), take, context, err);
	json_object_put(answer);
	return rc;
}
