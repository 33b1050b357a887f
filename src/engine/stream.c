/*
 * Streaming results.
 *
 * C API v1 marks these functions deprecated, yet has no other way to a result that is not materialised (its successor, v2,
 * is not stable): so this one file sees them.
 */
#undef DUCKDB_API_NO_DEPRECATED
#include "engine/engine_internal.h"

int engine_stream(struct engine *engine, duckdb_prepared_statement prepared, duckdb_result *result, struct error *err)
{
	duckdb_pending_result pending = NULL;
	if (duckdb_pending_prepared_streaming(prepared, &pending) != DuckDBSuccess) {
		const int rc = engine_translate(engine, DUCKDB_ERROR_INVALID, duckdb_pending_error(pending), err);
		duckdb_destroy_pending(&pending);
		return rc;
	}
	int rc = 0;
	if (duckdb_execute_pending(pending, result) != DuckDBSuccess) {
		rc = engine_translate(engine, duckdb_result_error_type(result), duckdb_result_error(result), err);
		duckdb_destroy_result(result);
	}
	duckdb_destroy_pending(&pending);
	return rc;
}

int engine_stream_sql(struct engine *engine, const char *sql, duckdb_result *result, struct error *err)
{
	int rc = engine_begin(engine, err);
	if (rc < 0)
		return rc;
	duckdb_prepared_statement prepared = NULL;
	if (duckdb_prepare(engine->connection, sql, &prepared) != DuckDBSuccess)
		rc = engine_translate(engine, DUCKDB_ERROR_INVALID, duckdb_prepare_error(prepared), err);
	else
		rc = engine_stream(engine, prepared, result, err);
	duckdb_destroy_prepare(&prepared);
	return rc;
}

int engine_fetch(struct engine *engine, duckdb_result *result, duckdb_data_chunk *chunk, struct error *err)
{
	if (atomic_load(&engine->stopped))
		return error_set(err, ERROR_INTERRUPTED, "interrupted");
	engine_hand_over(engine);
	duckdb_data_chunk next = duckdb_fetch_chunk(*result);
	engine_hand_over(engine);
	if (!next && duckdb_result_error_type(result) != DUCKDB_ERROR_INVALID)
		return engine_translate(engine, duckdb_result_error_type(result), duckdb_result_error(result), err);
	*chunk = next;
	return 0;
}
