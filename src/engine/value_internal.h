/*
 * Values of any of DuckDB's types, as text and as JSON. How they look stands in result.h.
 */
#ifndef PUNCHCARD_ENGINE_VALUE_INTERNAL_H
#define PUNCHCARD_ENGINE_VALUE_INTERNAL_H

#include "base/json.h"
#include "engine/engine_internal.h"

/* A logical type, with what is needed for each value looked up once. */
struct value_type {
	duckdb_type id;
	duckdb_type physical; /* of DECIMAL and ENUM */
	uint8_t scale;        /* of DECIMAL */
	bool is_json;         /* a VARCHAR that holds JSON */
	uint64_t array_size;
	unsigned n_children; /* of LIST, ARRAY 1; MAP 2: key, value; STRUCT, UNION: members */
	struct value_type *children;
	unsigned n_names; /* of STRUCT, UNION: members; of ENUM: values */
	char **names;     /* freed with duckdb_free */
};

/* Fills *type. ERROR_NO_MEMORY, or ERROR_SQL for a type that cannot be shown. value_type_release in any case. */
int value_type_init(struct value_type *type, duckdb_logical_type logical);
void value_type_release(struct value_type *type);
bool value_is_number(const struct value_type *type);

bool value_is_null(duckdb_vector vector, idx_t row);
/* The value must not be NULL. */
int value_text(const struct value_type *type, duckdb_vector vector, idx_t row, struct buf *out);
void value_json(const struct value_type *type, duckdb_vector vector, idx_t row, struct json *json);

/* Texts of single values (value_text.c): appended, 0 or ERROR_NO_MEMORY. */
int text_of_integer(__int128 value, struct buf *out);
int text_of_uhugeint(duckdb_uhugeint value, struct buf *out);
int text_of_decimal(__int128 value, unsigned scale, struct buf *out);
int text_of_double(double value, struct buf *out);
int text_of_float(float value, struct buf *out);
int text_of_date(int32_t days, struct buf *out);
/* units_per_second: 1 (TIMESTAMP_S) to 10^9 (TIMESTAMP_NS); suffix: "+00" or "". */
int text_of_timestamp(int64_t value, int64_t units_per_second, const char *suffix, struct buf *out);
int text_of_time(int64_t value, int64_t units_per_second, struct buf *out);
int text_of_time_tz(duckdb_time_tz value, struct buf *out);
int text_of_interval(duckdb_interval value, struct buf *out);
int text_of_uuid(duckdb_hugeint value, struct buf *out);
int text_of_blob(struct slice bytes, struct buf *out);
int text_of_bit(struct slice bytes, struct buf *out);

#endif
