/*
 * Queries of people: any reading statement, its values as text or JSON.
 *
 *     struct engine_result *result = NULL;
 *     rc = engine_query(engine, SLICE("SELECT * FROM loyalty"), 1, &result, err);
 *     while ((rc = engine_result_next(result, &rows, err)) == 0 && rows > 0)
 *             for (…) engine_result_text(result, column, row, &cell);
 *     engine_result_close(result);
 *
 * What may run is decided here, by the parsed statement and not by its text: SELECT (WITH, FROM, VALUES, TABLE, DESCRIBE,
 * SHOW, SUMMARIZE, PIVOT are forms of it) and EXPLAIN of one, with table functions of a list of harmless ones. All that
 * writes, loads, attaches or sets is refused; some of DuckDB's table functions write files, change settings or take raw
 * pointers, so a new one is refused until it is on the list. Files are guarded apart from that by engine_lock_down.
 *
 * How values look: integers and decimals with all their digits; floating point as the shortest text that reads back as the
 * same number; dates and times as in ISO 8601 with a blank for the T, TIMESTAMP WITH TIME ZONE in UTC with +00; BLOB with
 * \xHH for bytes that are not printable ASCII; lists, structs, maps and unions as JSON. In JSON, numbers and booleans are
 * such; infinities and NaN, which JSON has not, are null; a value of type JSON stands as it is; everything else is its text.
 */
#ifndef PUNCHCARD_ENGINE_RESULT_H
#define PUNCHCARD_ENGINE_RESULT_H

#include "base/json.h"
#include "engine/engine.h"

/* From now on statements reach only files below these directories, and no setting can be changed. Not undone. Paths are
 * absolute. */
int engine_lock_down(struct engine *engine, const char *const *directories, unsigned n_directories, struct error *err);

/* Whether the statement parses and may run, without running it: 0, or the error that engine_query would give for that. */
int engine_query_check(struct engine *engine, struct slice statement, unsigned line, struct error *err);

struct engine_result;

/* Starts one statement (lex.h tells how to take one from a text). `line` is the line of the user's text at which it begins,
 * for messages. ERROR_USAGE: it is of a kind that is not run here; else as engine_run. While it is open, the engine runs
 * nothing else. */
int engine_query(struct engine *engine, struct slice statement, unsigned line, struct engine_result **out,
		 struct error *err);
unsigned engine_result_columns(const struct engine_result *result);
const char *engine_result_name(const struct engine_result *result, unsigned column);
/* Whether the column's values are numbers: right-aligned in a table. */
bool engine_result_is_number(const struct engine_result *result, unsigned column);
/* Next rows: 0 and *rows, 0 at the end. Values stay until the next call. */
int engine_result_next(struct engine_result *result, uint32_t *rows, struct error *err);
bool engine_result_is_null(const struct engine_result *result, unsigned column, uint32_t row);
/* Appends the value's text (not of a NULL). 0 or ERROR_NO_MEMORY. */
int engine_result_text(const struct engine_result *result, unsigned column, uint32_t row, struct buf *out);
/* Writes the value, NULL as null. */
void engine_result_json(const struct engine_result *result, unsigned column, uint32_t row, struct json *json);
/* NULL is fine. */
void engine_result_close(struct engine_result *result);

#endif
