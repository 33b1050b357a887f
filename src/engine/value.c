#include "engine/value_internal.h"

#include <assert.h>
#include <stdlib.h>

#define US_PER_SECOND INT64_C(1000000)

/* ---- types ---- */

static int init_child(struct value_type *child, duckdb_logical_type logical)
{
	const int rc = value_type_init(child, logical);
	duckdb_destroy_logical_type(&logical);
	return rc;
}

static int make_children(struct value_type *type, idx_t count)
{
	type->children = calloc(count ? count : 1, sizeof(*type->children));
	if (!type->children)
		return ERROR_NO_MEMORY;
	type->n_children = (unsigned)count;
	return 0;
}

static int make_names(struct value_type *type, idx_t count)
{
	type->names = calloc(count ? count : 1, sizeof(*type->names));
	if (!type->names)
		return ERROR_NO_MEMORY;
	type->n_names = (unsigned)count;
	return 0;
}

static int init_struct(struct value_type *type, duckdb_logical_type logical)
{
	const bool is_union = type->id == DUCKDB_TYPE_UNION;
	const idx_t count =
		is_union ? duckdb_union_type_member_count(logical) : duckdb_struct_type_child_count(logical);
	int rc = make_children(type, count);
	if (rc == 0)
		rc = make_names(type, count);
	for (idx_t i = 0; rc == 0 && i < count; i++) {
		type->names[i] = is_union ? duckdb_union_type_member_name(logical, i)
					  : duckdb_struct_type_child_name(logical, i);
		rc = init_child(&type->children[i], is_union ? duckdb_union_type_member_type(logical, i)
							     : duckdb_struct_type_child_type(logical, i));
	}
	return rc;
}

static int init_enum(struct value_type *type, duckdb_logical_type logical)
{
	type->physical = duckdb_enum_internal_type(logical);
	const int rc = make_names(type, duckdb_enum_dictionary_size(logical));
	for (idx_t i = 0; rc == 0 && i < type->n_names; i++)
		type->names[i] = duckdb_enum_dictionary_value(logical, i);
	return rc;
}

static int init_nested(struct value_type *type, duckdb_logical_type logical)
{
	int rc = make_children(type, type->id == DUCKDB_TYPE_MAP ? 2 : 1);
	if (rc < 0)
		return rc;
	switch (type->id) {
	case DUCKDB_TYPE_LIST:
		return init_child(&type->children[0], duckdb_list_type_child_type(logical));
	case DUCKDB_TYPE_ARRAY:
		type->array_size = duckdb_array_type_array_size(logical);
		return init_child(&type->children[0], duckdb_array_type_child_type(logical));
	default:
		rc = init_child(&type->children[0], duckdb_map_type_key_type(logical));
		return rc < 0 ? rc : init_child(&type->children[1], duckdb_map_type_value_type(logical));
	}
}

int value_type_init(struct value_type *type, duckdb_logical_type logical)
{
	*type = (struct value_type){.id = duckdb_get_type_id(logical)};
	switch (type->id) {
	case DUCKDB_TYPE_BOOLEAN:
	case DUCKDB_TYPE_TINYINT:
	case DUCKDB_TYPE_SMALLINT:
	case DUCKDB_TYPE_INTEGER:
	case DUCKDB_TYPE_BIGINT:
	case DUCKDB_TYPE_UTINYINT:
	case DUCKDB_TYPE_USMALLINT:
	case DUCKDB_TYPE_UINTEGER:
	case DUCKDB_TYPE_UBIGINT:
	case DUCKDB_TYPE_FLOAT:
	case DUCKDB_TYPE_DOUBLE:
	case DUCKDB_TYPE_TIMESTAMP:
	case DUCKDB_TYPE_TIMESTAMP_S:
	case DUCKDB_TYPE_TIMESTAMP_MS:
	case DUCKDB_TYPE_TIMESTAMP_NS:
	case DUCKDB_TYPE_TIMESTAMP_TZ:
	case DUCKDB_TYPE_DATE:
	case DUCKDB_TYPE_TIME:
	case DUCKDB_TYPE_TIME_TZ:
	case DUCKDB_TYPE_TIME_NS:
	case DUCKDB_TYPE_INTERVAL:
	case DUCKDB_TYPE_HUGEINT:
	case DUCKDB_TYPE_UHUGEINT:
	case DUCKDB_TYPE_BLOB:
	case DUCKDB_TYPE_BIT:
	case DUCKDB_TYPE_UUID:
	case DUCKDB_TYPE_SQLNULL:
		return 0;
	case DUCKDB_TYPE_VARCHAR: {
		char *const alias = duckdb_logical_type_get_alias(logical);
		type->is_json = alias && strcmp(alias, "JSON") == 0;
		duckdb_free(alias);
		return 0;
	}
	case DUCKDB_TYPE_DECIMAL:
		type->scale = duckdb_decimal_scale(logical);
		type->physical = duckdb_decimal_internal_type(logical);
		return 0;
	case DUCKDB_TYPE_ENUM:
		return init_enum(type, logical);
	case DUCKDB_TYPE_LIST:
	case DUCKDB_TYPE_ARRAY:
	case DUCKDB_TYPE_MAP:
		return init_nested(type, logical);
	case DUCKDB_TYPE_STRUCT:
	case DUCKDB_TYPE_UNION:
		return init_struct(type, logical);
	default:
		return ERROR_SQL;
	}
}

void value_type_release(struct value_type *type)
{
	for (unsigned i = 0; i < type->n_children; i++)
		value_type_release(&type->children[i]);
	free(type->children);
	for (unsigned i = 0; i < type->n_names; i++)
		duckdb_free(type->names[i]);
	free((void *)type->names);
	*type = (struct value_type){0};
}

bool value_is_number(const struct value_type *type)
{
	switch (type->id) {
	case DUCKDB_TYPE_TINYINT:
	case DUCKDB_TYPE_SMALLINT:
	case DUCKDB_TYPE_INTEGER:
	case DUCKDB_TYPE_BIGINT:
	case DUCKDB_TYPE_UTINYINT:
	case DUCKDB_TYPE_USMALLINT:
	case DUCKDB_TYPE_UINTEGER:
	case DUCKDB_TYPE_UBIGINT:
	case DUCKDB_TYPE_HUGEINT:
	case DUCKDB_TYPE_UHUGEINT:
	case DUCKDB_TYPE_FLOAT:
	case DUCKDB_TYPE_DOUBLE:
	case DUCKDB_TYPE_DECIMAL:
		return true;
	default:
		return false;
	}
}

/* ---- values ---- */

bool value_is_null(duckdb_vector vector, idx_t row)
{
	const uint64_t *const validity = duckdb_vector_get_validity(vector);
	return validity && !(validity[row / 64] >> (row % 64) & 1);
}

static __int128 wide(duckdb_hugeint value)
{
	return (__int128)((unsigned __int128)(uint64_t)value.upper << 64 | value.lower);
}

/* A value of one of the signed physical types. */
static __int128 read_signed(duckdb_type physical, const void *data, idx_t row)
{
	switch (physical) {
	case DUCKDB_TYPE_TINYINT:
		return ((const int8_t *)data)[row];
	case DUCKDB_TYPE_SMALLINT:
		return ((const int16_t *)data)[row];
	case DUCKDB_TYPE_INTEGER:
		return ((const int32_t *)data)[row];
	case DUCKDB_TYPE_BIGINT:
		return ((const int64_t *)data)[row];
	default:
		assert(physical == DUCKDB_TYPE_HUGEINT);
		return wide(((const duckdb_hugeint *)data)[row]);
	}
}

static uint64_t read_unsigned(duckdb_type physical, const void *data, idx_t row)
{
	switch (physical) {
	case DUCKDB_TYPE_UTINYINT:
		return ((const uint8_t *)data)[row];
	case DUCKDB_TYPE_USMALLINT:
		return ((const uint16_t *)data)[row];
	case DUCKDB_TYPE_UINTEGER:
		return ((const uint32_t *)data)[row];
	default:
		assert(physical == DUCKDB_TYPE_UBIGINT);
		return ((const uint64_t *)data)[row];
	}
}

static struct slice read_bytes(void *data, idx_t row)
{
	duckdb_string_t *const text = (duckdb_string_t *)data + row;
	return (struct slice){duckdb_string_t_data(text), duckdb_string_t_length(*text)};
}

static int nested_text(const struct value_type *type, duckdb_vector vector, idx_t row, struct buf *out)
{
	struct json json;
	json_to_buf(&json, out);
	value_json(type, vector, row, &json);
	return json_finish(&json, NULL);
}

int value_text(const struct value_type *type, duckdb_vector vector, idx_t row, struct buf *out)
{
	void *const data = duckdb_vector_get_data(vector);
	switch (type->id) {
	case DUCKDB_TYPE_BOOLEAN:
		return buf_append_text(out, ((const bool *)data)[row] ? "true" : "false");
	case DUCKDB_TYPE_TINYINT:
	case DUCKDB_TYPE_SMALLINT:
	case DUCKDB_TYPE_INTEGER:
	case DUCKDB_TYPE_BIGINT:
	case DUCKDB_TYPE_HUGEINT:
		return text_of_integer(read_signed(type->id, data, row), out);
	case DUCKDB_TYPE_UTINYINT:
	case DUCKDB_TYPE_USMALLINT:
	case DUCKDB_TYPE_UINTEGER:
	case DUCKDB_TYPE_UBIGINT:
		return text_of_integer(read_unsigned(type->id, data, row), out);
	case DUCKDB_TYPE_UHUGEINT:
		return text_of_uhugeint(((const duckdb_uhugeint *)data)[row], out);
	case DUCKDB_TYPE_DECIMAL:
		return text_of_decimal(read_signed(type->physical, data, row), type->scale, out);
	case DUCKDB_TYPE_FLOAT:
		return text_of_float(((const float *)data)[row], out);
	case DUCKDB_TYPE_DOUBLE:
		return text_of_double(((const double *)data)[row], out);
	case DUCKDB_TYPE_DATE:
		return text_of_date(((const int32_t *)data)[row], out);
	case DUCKDB_TYPE_TIMESTAMP:
		return text_of_timestamp(((const int64_t *)data)[row], US_PER_SECOND, "", out);
	case DUCKDB_TYPE_TIMESTAMP_S:
		return text_of_timestamp(((const int64_t *)data)[row], 1, "", out);
	case DUCKDB_TYPE_TIMESTAMP_MS:
		return text_of_timestamp(((const int64_t *)data)[row], 1000, "", out);
	case DUCKDB_TYPE_TIMESTAMP_NS:
		return text_of_timestamp(((const int64_t *)data)[row], 1000 * US_PER_SECOND, "", out);
	case DUCKDB_TYPE_TIMESTAMP_TZ:
		return text_of_timestamp(((const int64_t *)data)[row], US_PER_SECOND, "+00", out);
	case DUCKDB_TYPE_TIME:
		return text_of_time(((const int64_t *)data)[row], US_PER_SECOND, out);
	case DUCKDB_TYPE_TIME_NS:
		return text_of_time(((const int64_t *)data)[row], 1000 * US_PER_SECOND, out);
	case DUCKDB_TYPE_TIME_TZ:
		return text_of_time_tz(((const duckdb_time_tz *)data)[row], out);
	case DUCKDB_TYPE_INTERVAL:
		return text_of_interval(((const duckdb_interval *)data)[row], out);
	case DUCKDB_TYPE_UUID:
		return text_of_uuid(((const duckdb_hugeint *)data)[row], out);
	case DUCKDB_TYPE_VARCHAR: {
		const struct slice text = read_bytes(data, row);
		return buf_append(out, text.data, text.len);
	}
	case DUCKDB_TYPE_BLOB:
		return text_of_blob(read_bytes(data, row), out);
	case DUCKDB_TYPE_BIT:
		return text_of_bit(read_bytes(data, row), out);
	case DUCKDB_TYPE_ENUM: {
		const uint64_t index = read_unsigned(type->physical, data, row);
		return buf_append_text(out, index < type->n_names ? type->names[index] : "?");
	}
	default:
		return nested_text(type, vector, row, out);
	}
}

/* ---- JSON ---- */

static void value_or_null(const struct value_type *type, duckdb_vector vector, idx_t row, struct json *json)
{
	if (value_is_null(vector, row))
		json_null(json);
	else
		value_json(type, vector, row, json);
}

static void list_json(const struct value_type *type, duckdb_vector vector, idx_t row, struct json *json)
{
	const duckdb_list_entry entry = ((const duckdb_list_entry *)duckdb_vector_get_data(vector))[row];
	duckdb_vector const child = duckdb_list_vector_get_child(vector);
	json_array(json);
	for (uint64_t i = 0; i < entry.length; i++)
		value_or_null(&type->children[0], child, entry.offset + i, json);
	json_end_array(json);
}

static void array_json(const struct value_type *type, duckdb_vector vector, idx_t row, struct json *json)
{
	duckdb_vector const child = duckdb_array_vector_get_child(vector);
	json_array(json);
	for (uint64_t i = 0; i < type->array_size; i++)
		value_or_null(&type->children[0], child, row * type->array_size + i, json);
	json_end_array(json);
}

static void struct_json(const struct value_type *type, duckdb_vector vector, idx_t row, struct json *json)
{
	json_object(json);
	for (unsigned i = 0; i < type->n_children; i++) {
		json_key(json, type->names[i]);
		value_or_null(&type->children[i], duckdb_struct_vector_get_child(vector, i), row, json);
	}
	json_end_object(json);
}

/* A map is a list of structs of key and value; keys are texts in JSON. */
static void map_json(const struct value_type *type, duckdb_vector vector, idx_t row, struct json *json)
{
	const duckdb_list_entry entry = ((const duckdb_list_entry *)duckdb_vector_get_data(vector))[row];
	duckdb_vector const child = duckdb_list_vector_get_child(vector);
	duckdb_vector const keys = duckdb_struct_vector_get_child(child, 0);
	duckdb_vector const values = duckdb_struct_vector_get_child(child, 1);
	_cleanup_buf_ struct buf key = {0};
	json_object(json);
	for (uint64_t i = 0; i < entry.length; i++) {
		buf_clear(&key);
		const int rc = value_text(&type->children[0], keys, entry.offset + i, &key);
		if (rc < 0 && json->code == 0)
			json->code = rc;
		json_key_slice(json, (struct slice){key.data, key.len});
		value_or_null(&type->children[1], values, entry.offset + i, json);
	}
	json_end_object(json);
}

/* A union is a struct whose first member tells which of the others holds. */
static void union_json(const struct value_type *type, duckdb_vector vector, idx_t row, struct json *json)
{
	const uint8_t *const tags = duckdb_vector_get_data(duckdb_struct_vector_get_child(vector, 0));
	const unsigned member = tags[row];
	if (member < type->n_children)
		value_or_null(&type->children[member], duckdb_struct_vector_get_child(vector, member + 1), row, json);
	else
		json_null(json);
}

/* Numbers and booleans stand bare, and so does JSON: its line ends are blanks between values, which may be blanks. */
static void scalar_json(const struct value_type *type, duckdb_vector vector, idx_t row, struct json *json)
{
	_cleanup_buf_ struct buf text = {0};
	const int rc = value_text(type, vector, row, &text);
	if (rc < 0 && json->code == 0)
		json->code = rc;
	const struct slice value = {text.data, text.len};
	if (value_is_number(type)) {
		const char last = value.len ? value.data[value.len - 1] : '\0';
		if (last >= '0' && last <= '9')
			json_number(json, value);
		else
			json_null(json); /* inf, nan */
	} else if (type->id == DUCKDB_TYPE_BOOLEAN) {
		json_number(json, value);
	} else if (type->is_json) {
		for (size_t i = 0; i < text.len; i++)
			if (text.data[i] == '\n' || text.data[i] == '\r')
				text.data[i] = ' ';
		json_number(json, value);
	} else {
		json_slice(json, value);
	}
}

void value_json(const struct value_type *type, duckdb_vector vector, idx_t row, struct json *json)
{
	switch (type->id) {
	case DUCKDB_TYPE_LIST:
		list_json(type, vector, row, json);
		return;
	case DUCKDB_TYPE_ARRAY:
		array_json(type, vector, row, json);
		return;
	case DUCKDB_TYPE_STRUCT:
		struct_json(type, vector, row, json);
		return;
	case DUCKDB_TYPE_MAP:
		map_json(type, vector, row, json);
		return;
	case DUCKDB_TYPE_UNION:
		union_json(type, vector, row, json);
		return;
	case DUCKDB_TYPE_SQLNULL:
		json_null(json);
		return;
	default:
		scalar_json(type, vector, row, json);
		return;
	}
}
