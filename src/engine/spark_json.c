#include "engine/spark_json.h"

#include "base/decimal.h"
#include "engine/spark.h"

#include <limits.h>

#define DEPTH_MAX 64

struct json_object *spark_json_parse(struct slice text)
{
	struct json_tokener *const tokener = json_tokener_new_ex(DEPTH_MAX);
	if (!tokener)
		return NULL;
	const int len = text.len < INT_MAX ? (int)text.len : INT_MAX;
	struct json_object *const object = len ? json_tokener_parse_ex(tokener, text.data, len) : NULL;
	json_tokener_free(tokener);
	return object;
}

bool spark_json_append(struct json_object *value, struct buf *out)
{
	if (!value)
		return false;
	if (json_object_is_type(value, json_type_string))
		return buf_append(out, json_object_get_string(value), (size_t)json_object_get_string_len(value)) == 0;
	/* Numbers keep the digits they came with. */
	const char *const text =
		json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	return text && buf_append_text(out, text) == 0;
}

bool spark_json_get(struct slice json, const char *key, struct buf *out)
{
	struct json_object *const object = spark_json_parse(json);
	buf_clear(out);
	/* Of what is no object json-c gives nothing. */
	const bool found = spark_json_append(json_object_object_get(object, key), out);
	json_object_put(object);
	return found;
}

bool spark_json_get_int(struct slice json, const char *key, int64_t *out)
{
	struct json_object *const object = spark_json_parse(json);
	struct json_object *const value = json_object_object_get(object, key);
	const char *const text = json_object_is_type(value, json_type_int) ? json_object_get_string(value) : NULL;
	const bool found = text && integer_parse(text, strlen(text), out) == 0;
	json_object_put(object);
	return found;
}
