#include "serving/table.h"

#include "base/utf8.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <wchar.h>

static const char NULL_TEXT[] = "NULL";

/* So much goes to the stream at once. */
#define FLUSH_BYTES (64u * 1024u)

struct table {
	struct engine_result *result;
	FILE *out;
	bool printed;
	unsigned n_columns;
	uint64_t rows;
	struct buf pending; /* bytes on the way to `out` */
	/* Text only: */
	size_t *widths;
	struct buf cells; /* of the rows kept back, one behind the other … */
	struct buf ends;  /* … a size_t each: where the cell ends */
	bool is_streaming;
	bool is_plan; /* of EXPLAIN: a drawing of many lines, not a table */
	/* JSON only: */
	char **keys;
};

/* Gives what is pending to the stream. */
static int flush(struct table *table, struct error *err)
{
	if (table->pending.len == 0)
		return 0;
	table->printed = true;
	errno = 0;
	const bool is_whole = fwrite(table->pending.data, 1, table->pending.len, table->out) == table->pending.len;
	buf_clear(&table->pending);
	return is_whole ? 0 : error_errno(err, errno ? errno : EIO, "cannot write the output");
}

static int put(struct table *table, const char *data, size_t len)
{
	return buf_append(&table->pending, data, len);
}

/* ---- text ---- */

/* Appends a text as it may stand on a terminal. */
static int append_visible(struct buf *out, struct slice text)
{
	for (size_t i = 0; i < text.len;) {
		const size_t n = utf8_visible(text.data + i, text.len - i);
		int rc = buf_append(out, text.data + i, n);
		i += n;
		if (rc == 0 && i < text.len) {
			char mark[UTF8_MARK_MAX];
			i += utf8_mark(text.data + i, text.len - i, mark);
			rc = buf_append_text(out, mark);
		}
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Columns of a terminal that a visible text takes. */
static size_t measure(struct slice text)
{
	size_t width = 0;
	for (size_t i = 0; i < text.len;) {
		if ((unsigned char)text.data[i] < 0x80) {
			width++;
			i++;
			continue;
		}
		uint32_t codepoint = 0;
		const size_t size = utf8_step(text.data + i, text.len - i, &codepoint);
		const int columns = size ? wcwidth((wchar_t)codepoint) : 1;
		width += columns < 0 ? 1 : (size_t)columns;
		i += size ? size : 1;
	}
	return width;
}

static int put_fill(struct table *table, char fill, size_t n)
{
	const int rc = n ? buf_reserve(&table->pending, n) : 0;
	if (rc < 0 || n == 0)
		return rc;
	memset(table->pending.data + table->pending.len, fill, n);
	table->pending.len += n;
	return 0;
}

/* One cell with its column's width, and what stands between it and the next. */
static int put_cell(struct table *table, unsigned column, struct slice text)
{
	const size_t width = measure(text);
	const size_t missing = width < table->widths[column] ? table->widths[column] - width : 0;
	const bool is_last = column + 1 == table->n_columns;
	const bool is_number = engine_result_is_number(table->result, column);
	int rc = is_number ? put_fill(table, ' ', missing) : 0;
	if (rc == 0)
		rc = put(table, text.data, text.len);
	if (rc == 0 && !is_number && !is_last)
		rc = put_fill(table, ' ', missing);
	return rc < 0 ? rc : put(table, is_last ? "\n" : " | ", is_last ? 1 : 3);
}

static int put_rule(struct table *table)
{
	int rc = 0;
	for (unsigned column = 0; rc == 0 && column < table->n_columns; column++) {
		const bool is_last = column + 1 == table->n_columns;
		rc = put_fill(table, '-', table->widths[column]);
		if (rc == 0)
			rc = put(table, is_last ? "\n" : "-+-", is_last ? 1 : 3);
	}
	return rc;
}

/* Prints header and rows that were kept back; from now on rows are printed as they come. The first n_columns cells are the
 * header's. */
static int release_rows(struct table *table)
{
	const size_t n = table->ends.len / sizeof(size_t);
	const size_t *const ends = (const size_t *)(const void *)table->ends.data;
	assert(table->n_columns > 0);
	size_t start = 0;
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < n; i++) {
		rc = put_cell(table, (unsigned)(i % table->n_columns),
			      (struct slice){table->cells.data + start, ends[i] - start});
		start = ends[i];
		if (rc == 0 && i + 1 == table->n_columns)
			rc = put_rule(table);
	}
	buf_release(&table->cells);
	buf_release(&table->ends);
	table->is_streaming = true;
	return rc;
}

/* Keeps the cell that was appended to table->cells from `start` on. */
static int keep_cell(struct table *table, unsigned column, size_t start)
{
	const size_t width = measure((struct slice){table->cells.data + start, table->cells.len - start});
	if (width > table->widths[column])
		table->widths[column] = width;
	return buf_append(&table->ends, &table->cells.len, sizeof(table->cells.len));
}

/* DuckDB's names of EXPLAIN's columns. */
static bool is_plan(const struct engine_result *result)
{
	return engine_result_columns(result) == 2 && strcmp(engine_result_name(result, 0), "explain_key") == 0 &&
	       strcmp(engine_result_name(result, 1), "explain_value") == 0;
}

static int plan_row(struct table *table, uint32_t row, struct buf *scratch)
{
	buf_clear(scratch);
	int rc = engine_result_text(table->result, 1, row, scratch);
	struct slice rest = {scratch->data, scratch->len};
	while (rc == 0 && rest.len) {
		const char *const lf = memchr(rest.data, '\n', rest.len);
		const size_t len = lf ? (size_t)(lf - rest.data) : rest.len;
		rc = append_visible(&table->pending, (struct slice){rest.data, len});
		if (rc == 0)
			rc = put(table, "\n", 1);
		rest.data += len + (lf != NULL);
		rest.len -= len + (lf != NULL);
	}
	return rc;
}

static int begin_text(struct table *table)
{
	table->is_plan = is_plan(table->result);
	if (table->is_plan)
		return 0;
	table->widths = calloc(table->n_columns, sizeof(*table->widths));
	if (!table->widths)
		return ERROR_NO_MEMORY;
	int rc = 0;
	for (unsigned column = 0; rc == 0 && column < table->n_columns; column++) {
		const size_t start = table->cells.len;
		rc = append_visible(&table->cells, slice_of(engine_result_name(table->result, column)));
		if (rc == 0)
			rc = keep_cell(table, column, start);
	}
	return rc;
}

/* The visible text of a value, appended. `raw` is scratch. */
static int append_cell(const struct table *table, unsigned column, uint32_t row, struct buf *raw, struct buf *out)
{
	if (engine_result_is_null(table->result, column, row))
		return buf_append_text(out, NULL_TEXT);
	buf_clear(raw);
	const int rc = engine_result_text(table->result, column, row, raw);
	return rc < 0 ? rc : append_visible(out, (struct slice){raw->data, raw->len});
}

static int text_row(struct table *table, uint32_t row, struct buf *scratch)
{
	_cleanup_buf_ struct buf raw = {0};
	if (table->is_plan)
		return plan_row(table, row, scratch);
	for (unsigned column = 0; column < table->n_columns; column++) {
		int rc;
		if (table->is_streaming) {
			buf_clear(scratch);
			rc = append_cell(table, column, row, &raw, scratch);
			if (rc == 0)
				rc = put_cell(table, column, (struct slice){scratch->data, scratch->len});
		} else {
			const size_t start = table->cells.len;
			rc = append_cell(table, column, row, &raw, &table->cells);
			if (rc == 0)
				rc = keep_cell(table, column, start);
		}
		if (rc < 0)
			return rc;
	}
	if (!table->is_streaming && (table->rows + 1 == TABLE_ROWS_MAX || table->cells.len > TABLE_BYTES_MAX))
		return release_rows(table);
	return 0;
}

static int end_text(struct table *table)
{
	if (table->is_plan)
		return 0;
	const int rc = table->is_streaming ? 0 : release_rows(table);
	if (rc < 0)
		return rc;
	return buf_printf(&table->pending, "(%" PRIu64 " row%s)\n", table->rows, table->rows == 1 ? "" : "s");
}

/* ---- CSV ---- */

static bool needs_quotes(struct slice text)
{
	if (text.len == 0 || text.data[0] == ' ' || text.data[text.len - 1] == ' ')
		return true;
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] == '"' || text.data[i] == ',' || text.data[i] == '\n' || text.data[i] == '\r')
			return true;
	return false;
}

static int put_field(struct table *table, struct slice text)
{
	if (!needs_quotes(text))
		return put(table, text.data, text.len);
	int rc = put(table, "\"", 1);
	size_t done = 0;
	for (size_t i = 0; rc == 0 && i < text.len; i++) {
		if (text.data[i] != '"')
			continue;
		rc = put(table, text.data + done, i + 1 - done);
		done = i; /* the quote once more */
	}
	if (rc == 0)
		rc = put(table, text.data + done, text.len - done);
	return rc < 0 ? rc : put(table, "\"", 1);
}

static int begin_csv(struct table *table)
{
	int rc = 0;
	for (unsigned column = 0; rc == 0 && column < table->n_columns; column++) {
		rc = put_field(table, slice_of(engine_result_name(table->result, column)));
		if (rc == 0)
			rc = put(table, column + 1 == table->n_columns ? "\n" : ",", 1);
	}
	return rc;
}

static int csv_row(struct table *table, uint32_t row, struct buf *scratch)
{
	int rc = 0;
	for (unsigned column = 0; rc == 0 && column < table->n_columns; column++) {
		if (!engine_result_is_null(table->result, column, row)) {
			buf_clear(scratch);
			rc = engine_result_text(table->result, column, row, scratch);
			if (rc == 0)
				rc = put_field(table, (struct slice){scratch->data, scratch->len});
		}
		if (rc == 0)
			rc = put(table, column + 1 == table->n_columns ? "\n" : ",", 1);
	}
	return rc;
}

/* ---- JSON ---- */

static bool is_taken(char *const *keys, unsigned count, const char *key)
{
	for (unsigned i = 0; i < count; i++)
		if (strcmp(keys[i], key) == 0)
			return true;
	return false;
}

static int begin_json(struct table *table)
{
	table->keys = calloc(table->n_columns, sizeof(*table->keys));
	if (!table->keys)
		return ERROR_NO_MEMORY;
	for (unsigned column = 0; column < table->n_columns; column++) {
		const char *const name = engine_result_name(table->result, column);
		char *key = text_printf("%s", name);
		for (unsigned n = 2; key && is_taken(table->keys, column, key); n++) {
			free(key);
			key = text_printf("%s_%u", name, n);
		}
		if (!key)
			return ERROR_NO_MEMORY;
		table->keys[column] = key;
	}
	return put(table, "[", 1);
}

static int json_row(struct table *table, uint32_t row)
{
	const int rc = put(table, table->rows ? ",\n" : "\n", table->rows ? 2 : 1);
	if (rc < 0)
		return rc;
	struct json json;
	json_to_buf(&json, &table->pending);
	json_object(&json);
	for (unsigned column = 0; column < table->n_columns; column++) {
		json_key(&json, table->keys[column]);
		engine_result_json(table->result, column, row, &json);
	}
	json_end_object(&json);
	return json_finish(&json, NULL);
}

static int end_json(struct table *table)
{
	return put(table, table->rows ? "\n]\n" : "]\n", table->rows ? 3 : 2);
}

/* ---- all ---- */

static void release(struct table *table)
{
	free(table->widths);
	buf_release(&table->pending);
	buf_release(&table->cells);
	buf_release(&table->ends);
	for (unsigned i = 0; table->keys && i < table->n_columns; i++)
		free(table->keys[i]);
	free((void *)table->keys);
}

static int begin(struct table *table, enum table_format format)
{
	switch (format) {
	case TABLE_CSV:
		return begin_csv(table);
	case TABLE_JSON:
		return begin_json(table);
	default:
		return begin_text(table);
	}
}

static int put_row(struct table *table, enum table_format format, uint32_t row, struct buf *scratch)
{
	switch (format) {
	case TABLE_CSV:
		return csv_row(table, row, scratch);
	case TABLE_JSON:
		return json_row(table, row);
	default:
		return text_row(table, row, scratch);
	}
}

static int end(struct table *table, enum table_format format)
{
	switch (format) {
	case TABLE_CSV:
		return 0;
	case TABLE_JSON:
		return end_json(table);
	default:
		return end_text(table);
	}
}

static int put_rows(struct table *table, enum table_format format, uint32_t n, struct error *err)
{
	_cleanup_buf_ struct buf scratch = {0};
	for (uint32_t row = 0; row < n; row++, table->rows++) {
		if (put_row(table, format, row, &scratch) < 0)
			return error_no_memory(err, scratch.cap + table->pending.cap + table->cells.cap);
		if (table->pending.len >= FLUSH_BYTES) {
			const int rc = flush(table, err);
			if (rc < 0)
				return rc;
		}
	}
	return 0;
}

static int print_all(struct table *table, enum table_format format, struct error *err)
{
	/* The first rows before anything is printed: a query that fails at once leaves nothing behind. */
	uint32_t n = 0;
	int rc = engine_result_next(table->result, &n, err);
	if (rc < 0)
		return rc;
	if (begin(table, format) < 0)
		return error_no_memory(err, table->n_columns * sizeof(void *));
	while (rc == 0 && n > 0) {
		rc = put_rows(table, format, n, err);
		if (rc == 0)
			rc = engine_result_next(table->result, &n, err);
	}
	if (rc < 0)
		return rc;
	if (end(table, format) < 0)
		return error_no_memory(err, table->pending.cap);
	return flush(table, err);
}

int table_print(struct engine_result *result, enum table_format format, FILE *out, bool *printed, struct error *err)
{
	struct table table = {.result = result, .out = out, .n_columns = engine_result_columns(result)};
	const int rc = print_all(&table, format, err);
	*printed = *printed || table.printed;
	release(&table);
	return rc;
}
