/* Reading the JSON that Spark prints: its errors and rows. */
#ifndef PUNCHCARD_ENGINE_SPARK_JSON_H
#define PUNCHCARD_ENGINE_SPARK_JSON_H

#include "base/buf.h"

#include <json-c/json.h>
#include <stdbool.h>

/* The value that begins the text, whatever stands behind it; NULL: there is none that ends, or null, or no memory. The caller gives it back
 * by json_object_put. */
struct json_object *spark_json_parse(struct slice text);
/* A text's characters, or the value as it stands. false: it is NULL, or out of memory. */
bool spark_json_append(struct json_object *value, struct buf *out);

#endif
