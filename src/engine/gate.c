/*
 * Which statements of people are run: decided on DuckDB's own syntax tree (json_serialize_sql), so that no spelling,
 * quoting or comment gets past it.
 *
 * json_serialize_sql takes nothing but SELECT in all its forms, and refuses the rest: COPY, ATTACH, INSTALL, SET, PRAGMA,
 * CREATE … EXPLAIN is taken off before, as EXPLAIN ANALYZE runs what follows. In the tree each call of a table function is
 * an object with "type":"TABLE_FUNCTION", in which the first "function_name" is its name; texts of the user cannot look
 * like that, for their quotes are escaped.
 */
#include "engine/result_internal.h"

#include "engine/lex.h"

#include <stdlib.h>
#include <strings.h>

/* Neither write files, nor change settings, nor take what they cannot check. query(…) and json_execute_serialized_sql(…)
 * are not here: what they run is not in the tree. */
static const char *const TABLE_FUNCTIONS[] = {
	"duckdb_columns",
	"duckdb_constraints",
	"duckdb_databases",
	"duckdb_functions",
	"duckdb_keywords",
	"duckdb_memory",
	"duckdb_schemas",
	"duckdb_settings",
	"duckdb_tables",
	"duckdb_temporary_files",
	"duckdb_types",
	"duckdb_views",
	"generate_series",
	"glob",
	"histogram",
	"histogram_values",
	"icu_calendar_names",
	"json_each",
	"json_tree",
	"parquet_file_metadata",
	"parquet_kv_metadata",
	"parquet_metadata",
	"parquet_scan",
	"parquet_schema",
	"pg_timezone_names",
	"pragma_collations",
	"pragma_show",
	"pragma_table_info",
	"pragma_version",
	"range",
	"read_blob",
	"read_csv",
	"read_csv_auto",
	"read_json",
	"read_json_auto",
	"read_ndjson",
	"read_ndjson_auto",
	"read_parquet",
	"read_text",
	"repeat",
	"repeat_row",
	"sniff_csv",
	"summary",
	"unnest",
};

static bool is_word(struct slice token, const char *word)
{
	return token.len == strlen(word) && strncasecmp(token.data, word, token.len) == 0;
}

/* The next piece that is no blank. */
static enum sql_token next_solid(struct slice *rest, struct slice *token)
{
	enum sql_token kind = SQL_BLANK;
	while (kind == SQL_BLANK)
		kind = sql_next(rest, token);
	return kind;
}

/* The statement behind EXPLAIN and its options; the statement itself when it begins with another word. */
static struct slice strip_explain(struct slice statement, bool *is_explain)
{
	struct slice rest = statement;
	struct slice token;
	*is_explain = next_solid(&rest, &token) == SQL_WORD && is_word(token, "explain");
	if (!*is_explain)
		return statement;
	for (;;) {
		struct slice behind = rest;
		const enum sql_token kind = next_solid(&behind, &token);
		if (kind == SQL_WORD && (is_word(token, "analyze") || is_word(token, "verbose"))) {
			rest = behind;
			continue;
		}
		if (kind != SQL_OTHER || token.data[0] != '(')
			return rest;
		/* "(FORMAT json, ANALYZE) …", or a SELECT in parentheses. */
		struct slice inside = behind;
		if (next_solid(&inside, &token) != SQL_WORD ||
		    !(is_word(token, "format") || is_word(token, "analyze") || is_word(token, "verbose")))
			return rest;
		enum sql_token closing = SQL_OTHER;
		while (closing != SQL_END && !(closing == SQL_OTHER && token.len == 1 && token.data[0] == ')'))
			closing = next_solid(&inside, &token);
		rest = inside;
	}
}

/* Runs json_serialize_sql. */
static int serialize(struct engine *engine, struct slice statement, struct buf *tree, struct error *err)
{
	int rc = engine_begin(engine, err);
	if (rc < 0)
		return rc;
	duckdb_prepared_statement prepared = NULL;
	duckdb_result result = {0};
	duckdb_data_chunk chunk = NULL;
	if (duckdb_prepare(engine->connection, "SELECT json_serialize_sql(CAST($1 AS VARCHAR))", &prepared) !=
	    DuckDBSuccess)
		rc = engine_translate(engine, DUCKDB_ERROR_INVALID, duckdb_prepare_error(prepared), err);
	else if (duckdb_bind_varchar_length(prepared, 1, statement.data, statement.len) != DuckDBSuccess)
		rc = error_set(err, ERROR_USAGE, "the statement is not UTF-8");
	else if (duckdb_execute_prepared(prepared, &result) != DuckDBSuccess)
		rc = engine_translate(engine, duckdb_result_error_type(&result), duckdb_result_error(&result), err);
	else
		rc = engine_fetch(engine, &result, &chunk, err);
	if (rc == 0 && chunk) {
		duckdb_string_t *const text = duckdb_vector_get_data(duckdb_data_chunk_get_vector(chunk, 0));
		if (buf_append(tree, duckdb_string_t_data(text), duckdb_string_t_length(*text)) < 0 || !buf_text(tree))
			rc = error_no_memory(err, duckdb_string_t_length(*text));
	}
	duckdb_destroy_data_chunk(&chunk);
	duckdb_destroy_result(&result);
	duckdb_destroy_prepare(&prepared);
	return rc;
}

static int compare_name(const void *key, const void *element)
{
	const struct slice *const name = key;
	const char *const candidate = *(const char *const *)element;
	const int order = strncasecmp(name->data, candidate, name->len);
	return order ? order : candidate[name->len] ? -1 : 0;
}

static int check_table_functions(const char *tree, struct error *err)
{
	static const char CALL[] = "\"type\":\"TABLE_FUNCTION\"";
	static const char NAME[] = "\"function_name\":\"";
	for (const char *call = strstr(tree, CALL); call; call = strstr(call + 1, CALL)) {
		const char *name = strstr(call, NAME);
		if (!name)
			return error_set(err, ERROR_SQL, "the statement's syntax tree cannot be read");
		name += strlen(NAME);
		const struct slice function = {name, strcspn(name, "\"")};
		if (!bsearch(&function, TABLE_FUNCTIONS, sizeof(TABLE_FUNCTIONS) / sizeof(TABLE_FUNCTIONS[0]),
			     sizeof(TABLE_FUNCTIONS[0]), compare_name))
			return error_set(err, ERROR_USAGE,
					 "the function %.*s() is not run here: it is not one that only reads",
					 (int)function.len, function.data);
	}
	return 0;
}

static int refuse(struct slice statement, struct error *err)
{
	struct slice token = {"this", 4};
	next_solid(&statement, &token);
	return error_set(
		err, ERROR_USAGE,
		"%.*s is not run here: queries only read (SELECT, WITH, FROM, VALUES, EXPLAIN, SHOW, DESCRIBE, "
		"SUMMARIZE)",
		token.len > 30 ? 30 : (int)token.len, token.data);
}

int gate_check(struct engine *engine, struct slice statement, struct error *err)
{
	bool is_explain = false;
	const struct slice select = strip_explain(statement, &is_explain);
	_cleanup_buf_ struct buf tree = {0};
	int rc = serialize(engine, select, &tree, err);
	if (rc < 0)
		return rc;
	if (strncmp(tree.data ? tree.data : "", "{\"error\":false,", strlen("{\"error\":false,")) != 0) {
		if (tree.data && strstr(tree.data, "\"error_type\":\"parser\""))
			return GATE_SYNTAX_ERROR;
		return refuse(select, err);
	}
	return check_table_functions(tree.data, err);
}
