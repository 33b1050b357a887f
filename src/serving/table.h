/*
 * A query's result for people (a text table) and for programs (CSV, JSON).
 *
 *     rc = table_print(result, TABLE_TEXT, stdout, &printed, err);
 *
 * Text: columns as wide as what is in the first TABLE_ROWS_MAX rows or TABLE_BYTES_MAX bytes, by the terminal's measure of
 * characters (needs LC_CTYPE of UTF-8, as main sets it); numbers to the right; NULL as NULL; control characters as \n, \t or
 * \xHH, so that no value moves the cursor; then "(n rows)". Rows behind those are printed as they come, a wider value moves
 * its row's rest to the right. Nothing is cut.
 *
 * CSV (RFC 4180, with LF): a header; NULL is nothing, an empty text is "". JSON: an array of objects, one a line; how values
 * look stands in engine/result.h; of columns of the same name the later ones are called name_2, name_3.
 *
 * Memory is bounded by those two limits, whatever the result's size.
 */
#ifndef PUNCHCARD_SERVING_TABLE_H
#define PUNCHCARD_SERVING_TABLE_H

#include "base/error.h"
#include "engine/result.h"

#include <stdbool.h>
#include <stdio.h>

enum table_format {
	TABLE_TEXT,
	TABLE_CSV,
	TABLE_JSON,
};

#define TABLE_ROWS_MAX  10000u
#define TABLE_BYTES_MAX (8u * 1024u * 1024u)

/* Prints all rows that are left. *printed becomes true as soon as anything went to `out`, else it stays. Errors: the
 * result's; what error_errno says when `out` takes no more. After an error the output ends anywhere. */
int table_print(struct engine_result *result, enum table_format format, FILE *out, bool *printed, struct error *err);

#endif
