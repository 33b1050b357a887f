#include "engine/result.h"

#include "engine/result_internal.h"
#include "engine/value_internal.h"

#include <assert.h>
#include <stdlib.h>

struct engine_result {
	struct engine *engine;
	duckdb_result result;
	duckdb_data_chunk chunk;
	unsigned n_columns;
	struct result_column {
		struct value_type type;
		const char *name; /* the result's */
		duckdb_vector vector;
	} columns[];
};

int engine_lock_down(struct engine *engine, const char *const *directories, unsigned n_directories, struct error *err)
{
	_cleanup_buf_ struct buf sql = {0};
	int rc = buf_append_text(&sql, "SET allowed_directories = [");
	for (unsigned i = 0; rc == 0 && i < n_directories; i++) {
		rc = i ? buf_append_text(&sql, ", ") : 0;
		if (rc == 0)
			rc = engine_quote(&sql, directories[i]);
	}
	/* In this order: each closes the way back from the one before. */
	if (rc == 0)
		rc = buf_append_text(&sql, "]; SET enable_external_access = false; SET lock_configuration = true");
	if (rc < 0 || !buf_text(&sql))
		return error_no_memory(err, sql.len);
	return engine_run(engine, sql.data, err);
}

/* The statement behind as many empty lines as stand above it in the user's text, so that "LINE n:" is right. */
static int place(struct slice statement, unsigned line, struct buf *sql, struct error *err)
{
	int rc = 0;
	for (unsigned i = 1; rc == 0 && i < line; i++)
		rc = buf_append(sql, "\n", 1);
	if (rc == 0)
		rc = buf_append(sql, statement.data, statement.len);
	return rc < 0 || !buf_text(sql) ? error_no_memory(err, statement.len) : 0;
}

/* The message for what does not parse. Parses only: what was not checked must not even be planned, as planning calls table
 * functions. */
static int syntax_error(struct engine *engine, const char *sql, struct error *err)
{
	duckdb_extracted_statements statements = NULL;
	const idx_t count = duckdb_extract_statements(engine->connection, sql, &statements);
	const char *const message = duckdb_extract_statements_error(statements);
	int rc = 0;
	if (count == 0 && message)
		rc = engine_translate(engine, DUCKDB_ERROR_INVALID, message, err);
	else
		rc = error_set(err, ERROR_USAGE, "this statement is not run here: queries only read");
	duckdb_destroy_extracted(&statements);
	return rc;
}

static int prepare(struct engine *engine, const char *sql, duckdb_prepared_statement *prepared, struct error *err)
{
	if (duckdb_prepare(engine->connection, sql, prepared) == DuckDBSuccess)
		return 0;
	const char *const message = duckdb_prepare_error(*prepared);
	if (message && strstr(message, "Cannot prepare multiple statements"))
		return error_set(err, ERROR_USAGE,
				 "a PIVOT needs its values here: PIVOT … ON column IN (value, …) USING …");
	return engine_translate(engine, DUCKDB_ERROR_INVALID, message, err);
}

static int check_type(duckdb_prepared_statement prepared, struct error *err)
{
	const duckdb_statement_type type = duckdb_prepared_statement_type(prepared);
	if (type == DUCKDB_STATEMENT_TYPE_SELECT || type == DUCKDB_STATEMENT_TYPE_EXPLAIN)
		return 0;
	return error_set(err, ERROR_USAGE, "this statement is not run here: queries only read");
}

static int find_types(struct engine_result *result, struct error *err)
{
	for (unsigned i = 0; i < result->n_columns; i++) {
		struct result_column *const column = &result->columns[i];
		column->name = duckdb_column_name(&result->result, i);
		duckdb_logical_type logical = duckdb_column_logical_type(&result->result, i);
		const int rc = value_type_init(&column->type, logical);
		duckdb_destroy_logical_type(&logical);
		if (rc == ERROR_NO_MEMORY)
			return error_no_memory(err, sizeof(column->type));
		if (rc < 0)
			return error_set(err, ERROR_SQL,
					 "column %u (%s) has a type that is not shown; CAST it AS VARCHAR", i + 1,
					 column->name);
	}
	return 0;
}

static int make_result(struct engine *engine, duckdb_result *duck, struct engine_result **out, struct error *err)
{
	const unsigned n_columns = (unsigned)duckdb_column_count(duck);
	const size_t size = sizeof(struct engine_result) + n_columns * sizeof(struct result_column);
	struct engine_result *const result = calloc(1, size);
	if (!result) {
		duckdb_destroy_result(duck);
		return error_no_memory(err, size);
	}
	result->engine = engine;
	result->result = *duck;
	result->n_columns = n_columns;
	const int rc = find_types(result, err);
	if (rc < 0) {
		engine_result_close(result);
		return rc;
	}
	*out = result;
	return 0;
}

/* Checks the statement, and fills `sql` with its text as it is run. */
static int check(struct engine *engine, struct slice statement, unsigned line, struct buf *sql, struct error *err)
{
	if (memchr(statement.data, '\0', statement.len))
		return error_set(err, ERROR_USAGE, "the statement holds a NUL byte");
	int rc = place(statement, line, sql, err);
	if (rc == 0)
		rc = gate_check(engine, statement, err);
	return rc == GATE_SYNTAX_ERROR ? syntax_error(engine, sql->data, err) : rc;
}

int engine_query_check(struct engine *engine, struct slice statement, unsigned line, struct error *err)
{
	_cleanup_buf_ struct buf sql = {0};
	return check(engine, statement, line, &sql, err);
}

int engine_query(struct engine *engine, struct slice statement, unsigned line, struct engine_result **out,
		 struct error *err)
{
	_cleanup_buf_ struct buf sql = {0};
	int rc = check(engine, statement, line, &sql, err);
	if (rc == 0)
		rc = engine_begin(engine, err);
	if (rc < 0)
		return rc;
	duckdb_prepared_statement prepared = NULL;
	duckdb_result duck;
	rc = prepare(engine, sql.data, &prepared, err);
	if (rc == 0)
		rc = check_type(prepared, err);
	if (rc == 0)
		rc = engine_stream(engine, prepared, &duck, err);
	duckdb_destroy_prepare(&prepared);
	return rc < 0 ? rc : make_result(engine, &duck, out, err);
}

unsigned engine_result_columns(const struct engine_result *result)
{
	return result->n_columns;
}

const char *engine_result_name(const struct engine_result *result, unsigned column)
{
	assert(column < result->n_columns);
	return result->columns[column].name;
}

bool engine_result_is_number(const struct engine_result *result, unsigned column)
{
	assert(column < result->n_columns);
	return value_is_number(&result->columns[column].type);
}

int engine_result_next(struct engine_result *result, uint32_t *rows, struct error *err)
{
	idx_t size = 0;
	do {
		duckdb_destroy_data_chunk(&result->chunk);
		const int rc = engine_fetch(result->engine, &result->result, &result->chunk, err);
		if (rc < 0)
			return rc;
		size = result->chunk ? duckdb_data_chunk_get_size(result->chunk) : 0;
	} while (result->chunk && size == 0);
	for (unsigned i = 0; size > 0 && i < result->n_columns; i++)
		result->columns[i].vector = duckdb_data_chunk_get_vector(result->chunk, i);
	*rows = (uint32_t)size;
	return 0;
}

bool engine_result_is_null(const struct engine_result *result, unsigned column, uint32_t row)
{
	assert(column < result->n_columns && result->chunk);
	return result->columns[column].type.id == DUCKDB_TYPE_SQLNULL ||
	       value_is_null(result->columns[column].vector, row);
}

int engine_result_text(const struct engine_result *result, unsigned column, uint32_t row, struct buf *out)
{
	assert(column < result->n_columns && result->chunk);
	return value_text(&result->columns[column].type, result->columns[column].vector, row, out);
}

void engine_result_json(const struct engine_result *result, unsigned column, uint32_t row, struct json *json)
{
	if (engine_result_is_null(result, column, row))
		json_null(json);
	else
		value_json(&result->columns[column].type, result->columns[column].vector, row, json);
}

void engine_result_close(struct engine_result *result)
{
	if (!result)
		return;
	for (unsigned i = 0; i < result->n_columns; i++)
		value_type_release(&result->columns[i].type);
	duckdb_destroy_data_chunk(&result->chunk);
	duckdb_destroy_result(&result->result);
	free(result);
}
