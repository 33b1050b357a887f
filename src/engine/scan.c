/* Rows out: a result as columns of known types. */
#include "engine/engine_internal.h"

#include <assert.h>
#include <stdlib.h>

struct scan_column {
	enum engine_type type;
	void *data; /* of the chunk */
	uint64_t *validity;
};

struct engine_scan {
	struct engine *engine;
	duckdb_result result;
	duckdb_data_chunk chunk;
	unsigned n_columns;
	struct scan_column columns[];
};

/* Whether DuckDB's type is one of ours. */
static bool find_type(duckdb_logical_type logical, enum engine_type *out)
{
	switch (duckdb_get_type_id(logical)) {
	case DUCKDB_TYPE_BIGINT:
		*out = ENGINE_BIGINT;
		return true;
	case DUCKDB_TYPE_INTEGER:
		*out = ENGINE_INTEGER;
		return true;
	case DUCKDB_TYPE_DATE:
		*out = ENGINE_DATE;
		return true;
	case DUCKDB_TYPE_TIMESTAMP:
		*out = ENGINE_TIMESTAMP;
		return true;
	case DUCKDB_TYPE_VARCHAR:
		*out = ENGINE_VARCHAR;
		return true;
	case DUCKDB_TYPE_BLOB:
		*out = ENGINE_BLOB;
		return true;
	case DUCKDB_TYPE_DECIMAL: {
		const uint8_t scale = duckdb_decimal_scale(logical);
		*out = scale == 2 ? ENGINE_DECIMAL_18_2 : ENGINE_DECIMAL_18_3;
		return duckdb_decimal_width(logical) == 18 && (scale == 2 || scale == 3);
	}
	default:
		return false;
	}
}

static int find_types(struct engine_scan *scan, struct error *err)
{
	for (unsigned i = 0; i < scan->n_columns; i++) {
		duckdb_logical_type logical = duckdb_column_logical_type(&scan->result, i);
		const bool found = find_type(logical, &scan->columns[i].type);
		duckdb_destroy_logical_type(&logical);
		if (!found)
			return error_set(
				err, ERROR_SQL,
				"column %u (%s) has a type that is not read here; cast it to BIGINT, INTEGER, DATE, "
				"TIMESTAMP, DECIMAL(18,2), DECIMAL(18,3), VARCHAR or BLOB",
				i + 1, duckdb_column_name(&scan->result, i));
	}
	return 0;
}

int engine_scan_open(struct engine *engine, const char *sql, struct engine_scan **out, struct error *err)
{
	duckdb_result result;
	int rc = engine_stream_sql(engine, sql, &result, err);
	if (rc < 0)
		return rc;
	const unsigned n_columns = (unsigned)duckdb_column_count(&result);
	const size_t size = sizeof(struct engine_scan) + n_columns * sizeof(struct scan_column);
	struct engine_scan *const scan = calloc(1, size);
	if (!scan) {
		duckdb_destroy_result(&result);
		return error_no_memory(err, size);
	}
	scan->engine = engine;
	scan->result = result;
	scan->n_columns = n_columns;
	rc = find_types(scan, err);
	if (rc < 0) {
		engine_scan_close(scan);
		return rc;
	}
	*out = scan;
	return 0;
}

int engine_scan_next(struct engine_scan *scan, uint32_t *rows, struct error *err)
{
	duckdb_destroy_data_chunk(&scan->chunk);
	for (;;) {
		const int rc = engine_fetch(scan->engine, &scan->result, &scan->chunk, err);
		if (rc < 0)
			return rc;
		if (!scan->chunk) {
			*rows = 0;
			return 0;
		}
		if (duckdb_data_chunk_get_size(scan->chunk) > 0)
			break;
		duckdb_destroy_data_chunk(&scan->chunk);
	}
	for (unsigned i = 0; i < scan->n_columns; i++) {
		duckdb_vector const vector = duckdb_data_chunk_get_vector(scan->chunk, i);
		scan->columns[i].data = duckdb_vector_get_data(vector);
		scan->columns[i].validity = duckdb_vector_get_validity(vector);
	}
	*rows = (uint32_t)duckdb_data_chunk_get_size(scan->chunk);
	return 0;
}

unsigned engine_scan_columns(const struct engine_scan *scan)
{
	return scan->n_columns;
}

enum engine_type engine_scan_type(const struct engine_scan *scan, unsigned column)
{
	assert(column < scan->n_columns);
	return scan->columns[column].type;
}

const void *engine_scan_values(struct engine_scan *scan, unsigned column)
{
	assert(column < scan->n_columns && scan->chunk);
	return scan->columns[column].data;
}

struct slice engine_scan_text(struct engine_scan *scan, unsigned column, uint32_t row)
{
	assert(column < scan->n_columns && scan->chunk);
	assert(scan->columns[column].type == ENGINE_VARCHAR || scan->columns[column].type == ENGINE_BLOB);
	duckdb_string_t *const text = (duckdb_string_t *)scan->columns[column].data + row;
	const uint32_t len = text->value.inlined.length;
	/* duckdb_string_t's documented form, without two calls a value. */
	return (struct slice){len <= sizeof(text->value.inlined.inlined) ? text->value.inlined.inlined
									 : text->value.pointer.ptr,
			      len};
}

bool engine_scan_is_null(struct engine_scan *scan, unsigned column, uint32_t row)
{
	assert(column < scan->n_columns && scan->chunk);
	const uint64_t *const validity = scan->columns[column].validity;
	return validity && !(validity[row / 64] >> (row % 64) & 1);
}

const uint64_t *engine_scan_validity(struct engine_scan *scan, unsigned column)
{
	assert(column < scan->n_columns && scan->chunk);
	return scan->columns[column].validity;
}

void engine_scan_close(struct engine_scan *scan)
{
	if (!scan)
		return;
	duckdb_destroy_data_chunk(&scan->chunk);
	duckdb_destroy_result(&scan->result);
	free(scan);
}
