/*
 * Looking into JSON that Spark printed: its errors and rows. Finds values where they stand; checks no more than it
 * must.
 */
#ifndef PUNCHCARD_ENGINE_SPARK_JSON_H
#define PUNCHCARD_ENGINE_SPARK_JSON_H

#include "base/buf.h"

#include <stdbool.h>

/* The value, as it stands, that begins at `text` (blanks before it are skipped). false: there is none that ends. */
bool spark_json_value(struct slice text, struct slice *value);
/* The value of a key of an object; false: it is no object, or has no such key. */
bool spark_json_member(struct slice object, const char *key, struct slice *value);
/* The i-th key and value of an object, from 0; the key without its quotes, as it stands. */
bool spark_json_entry(struct slice object, unsigned i, struct slice *key, struct slice *value);
/* The first element of an array. */
bool spark_json_first(struct slice array, struct slice *value);
/* A text's characters (its value with the quotes), appended to `out`. false: it is no text, or out of memory. */
bool spark_json_text(struct slice value, struct buf *out);

#endif
