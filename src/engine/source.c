/* Rows in: C code as a table function. */
#include "engine/engine_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NOT_WANTED      UINT32_MAX
#define INLINE_TEXT_MAX 12u

/* What a source is to DuckDB: a copy, freed by DuckDB with the function. */
struct registered {
	struct engine *engine;
	struct registered *next; /* in engine->sources */
	struct engine_source source;
	struct engine_column columns[ENGINE_SOURCE_COLUMNS_MAX];
	duckdb_logical_type types[ENGINE_SOURCE_COLUMNS_MAX];
};

/* One scan of a source. */
struct source_scan {
	struct registered *registered;
	void *state;
	bool started;
	/* Orders the calls of one scan, which DuckDB makes from its threads in turn, for TSan's eyes: of this scan alone, so
	 * that it can still see a race between two. */
	atomic_uint turns;
	uint32_t slots[ENGINE_SOURCE_COLUMNS_MAX]; /* column → vector of the chunk, or NOT_WANTED */
	uint64_t scratch[ENGINE_BATCH_ROWS];       /* where unwanted values go */
};

struct engine_batch {
	const struct source_scan *scan;
	struct {
		duckdb_vector vector; /* NULL when not wanted */
		void *data;
		uint64_t *validity; /* NULL until the first NULL */
	} columns[ENGINE_SOURCE_COLUMNS_MAX];
};

static bool is_bytes(enum engine_type type)
{
	return type == ENGINE_VARCHAR || type == ENGINE_BLOB;
}

bool engine_batch_wants(const struct engine_batch *batch, unsigned column)
{
	assert(column < batch->scan->registered->source.n_columns);
	return batch->columns[column].vector != NULL;
}

void *engine_batch_values(struct engine_batch *batch, unsigned column)
{
	assert(column < batch->scan->registered->source.n_columns);
	assert(!is_bytes(batch->scan->registered->columns[column].type));
	return batch->columns[column].data;
}

void engine_batch_text(struct engine_batch *batch, unsigned column, uint32_t row, struct slice text)
{
	assert(column < batch->scan->registered->source.n_columns && row < ENGINE_BATCH_ROWS);
	if (!batch->columns[column].vector)
		return;
	if (text.len <= INLINE_TEXT_MAX) {
		/* Most of our texts are short. This is duckdb_string_t's documented form; DuckDB wants the rest zero. */
		duckdb_string_t value = {0};
		value.value.inlined.length = (uint32_t)text.len;
		if (text.len > 0)
			memcpy(value.value.inlined.inlined, text.data, text.len);
		((duckdb_string_t *)batch->columns[column].data)[row] = value;
		return;
	}
	duckdb_vector_assign_string_element_len(batch->columns[column].vector, row, text.data, text.len);
}

void engine_batch_null(struct engine_batch *batch, unsigned column, uint32_t row)
{
	assert(column < batch->scan->registered->source.n_columns && row < ENGINE_BATCH_ROWS);
	duckdb_vector const vector = batch->columns[column].vector;
	if (!vector)
		return;
	if (!batch->columns[column].validity) {
		duckdb_vector_ensure_validity_writable(vector);
		batch->columns[column].validity = duckdb_vector_get_validity(vector);
	}
	batch->columns[column].validity[row / 64] &= ~(UINT64_C(1) << (row % 64));
	if (is_bytes(batch->scan->registered->columns[column].type))
		((duckdb_string_t *)batch->columns[column].data)[row] = (duckdb_string_t){0};
}

static void free_registered(void *data)
{
	struct registered *const registered = data;
	free((void *)(uintptr_t)registered->source.name);
	for (unsigned i = 0; i < registered->source.n_columns; i++) {
		free((void *)(uintptr_t)registered->columns[i].name);
		duckdb_destroy_logical_type(&registered->types[i]);
	}
	free(registered);
}

static void take_turn(struct source_scan *scan)
{
	atomic_fetch_add_explicit(&scan->turns, 1, memory_order_acq_rel);
}

static void free_scan(void *data)
{
	struct source_scan *const scan = data;
	take_turn(scan);
	const struct engine_source *const source = &scan->registered->source;
	if (scan->started && source->stop)
		source->stop(source->context, scan->state);
	free(scan);
}

static duckdb_logical_type make_enum(const struct engine_names *names)
{
	assert(names && names->n >= 1 && names->n <= ENGINE_NAMES_MAX);
	const char *texts[ENGINE_NAMES_MAX];
	memcpy(texts, names->texts, names->n * sizeof(texts[0]));
	return duckdb_create_enum_type(texts, names->n);
}

static duckdb_logical_type make_type(enum engine_type type, const struct engine_names *names)
{
	switch (type) {
	case ENGINE_BIGINT:
		return duckdb_create_logical_type(DUCKDB_TYPE_BIGINT);
	case ENGINE_INTEGER:
		return duckdb_create_logical_type(DUCKDB_TYPE_INTEGER);
	case ENGINE_DATE:
		return duckdb_create_logical_type(DUCKDB_TYPE_DATE);
	case ENGINE_TIMESTAMP:
		return duckdb_create_logical_type(DUCKDB_TYPE_TIMESTAMP);
	case ENGINE_DECIMAL_18_2:
		return duckdb_create_decimal_type(18, 2);
	case ENGINE_DECIMAL_18_3:
		return duckdb_create_decimal_type(18, 3);
	case ENGINE_VARCHAR:
		return duckdb_create_logical_type(DUCKDB_TYPE_VARCHAR);
	case ENGINE_BLOB:
		return duckdb_create_logical_type(DUCKDB_TYPE_BLOB);
	case ENGINE_NAME:
		return make_enum(names);
	}
	assert(false && "an engine_type");
	return NULL;
}

static void bind_source(duckdb_bind_info info)
{
	const struct registered *const registered = duckdb_bind_get_extra_info(info);
	for (unsigned i = 0; i < registered->source.n_columns; i++)
		duckdb_bind_add_result_column(info, registered->columns[i].name, registered->types[i]);
}

static void init_source(duckdb_init_info info)
{
	struct registered *const registered = duckdb_init_get_extra_info(info);
	struct source_scan *const scan = calloc(1, sizeof(*scan));
	if (!scan) {
		duckdb_init_set_error(info, "out of memory");
		return;
	}
	scan->registered = registered;
	memset(scan->slots, 0xff, sizeof(scan->slots));
	const idx_t n_wanted = duckdb_init_get_column_count(info);
	for (idx_t slot = 0; slot < n_wanted; slot++) {
		const idx_t column = duckdb_init_get_column_index(info, slot);
		/* count(*) asks for a column that is none: an index out of range, whose values nobody reads. */
		if (column < registered->source.n_columns)
			scan->slots[column] = (uint32_t)slot;
	}
	struct error err = {0};
	if (registered->source.start) {
		if (registered->source.start(registered->source.context, &scan->state, &err) < 0) {
			engine_keep_source_error(registered->engine, &err);
			duckdb_init_set_error(info, err.message);
			free(scan);
			return;
		}
	}
	scan->started = true;
	take_turn(scan);
	duckdb_init_set_init_data(info, scan, free_scan);
	duckdb_init_set_max_threads(info, 1);
}

static void fill_source(duckdb_function_info info, duckdb_data_chunk output)
{
	struct source_scan *const scan = duckdb_function_get_init_data(info);
	const struct registered *const registered = scan->registered;
	/* What the statement's thread wrote before is there. */
	(void)atomic_load_explicit(&registered->engine->handovers, memory_order_acquire);
	take_turn(scan);
	struct engine_batch batch;
	batch.scan = scan;
	for (unsigned i = 0; i < registered->source.n_columns; i++) {
		batch.columns[i].vector = NULL;
		batch.columns[i].data = scan->scratch;
		batch.columns[i].validity = NULL;
		if (scan->slots[i] != NOT_WANTED) {
			batch.columns[i].vector = duckdb_data_chunk_get_vector(output, scan->slots[i]);
			batch.columns[i].data = duckdb_vector_get_data(batch.columns[i].vector);
		}
	}
	struct error err = {0};
	uint32_t rows = 0;
	int rc = 0;
	if (atomic_load(&registered->engine->stopped))
		rc = error_set(&err, ERROR_INTERRUPTED, "interrupted");
	else
		rc = registered->source.fill(registered->source.context, scan->state, &batch, &rows, &err);
	if (rc < 0) {
		engine_keep_source_error(registered->engine, &err);
		duckdb_function_set_error(info, err.message);
		return;
	}
	assert(rows <= ENGINE_BATCH_ROWS);
	duckdb_data_chunk_set_size(output, rows);
	take_turn(scan);
}

static struct registered *copy_source(struct engine *engine, const struct engine_source *source)
{
	struct registered *const registered = calloc(1, sizeof(*registered));
	if (!registered)
		return NULL;
	registered->engine = engine;
	registered->source = *source;
	registered->source.columns = registered->columns;
	registered->source.names = NULL;
	registered->source.name = strdup(source->name);
	bool complete = registered->source.name != NULL;
	for (unsigned i = 0; i < source->n_columns; i++) {
		registered->columns[i].type = source->columns[i].type;
		registered->columns[i].name = strdup(source->columns[i].name);
		registered->types[i] = make_type(source->columns[i].type, source->names ? &source->names[i] : NULL);
		complete = complete && registered->columns[i].name && registered->types[i];
	}
	if (complete)
		return registered;
	free_registered(registered);
	return NULL;
}

int engine_register_source(struct engine *engine, const struct engine_source *source, struct error *err)
{
	assert(duckdb_vector_size() == ENGINE_BATCH_ROWS);
	assert(source->n_columns >= 1 && source->n_columns <= ENGINE_SOURCE_COLUMNS_MAX);
	for (const struct registered *other = engine->sources; other; other = other->next)
		if (strcasecmp(other->source.name, source->name) == 0)
			return error_set(err, ERROR_EXISTS, "the source %s is registered already", source->name);
	struct registered *const registered = copy_source(engine, source);
	if (!registered)
		return error_no_memory(err, sizeof(*registered));
	duckdb_table_function function = duckdb_create_table_function();
	duckdb_table_function_set_name(function, source->name);
	duckdb_table_function_set_extra_info(function, registered, free_registered);
	duckdb_table_function_set_bind(function, bind_source);
	duckdb_table_function_set_init(function, init_source);
	duckdb_table_function_set_function(function, fill_source);
	duckdb_table_function_supports_projection_pushdown(function, true);
	const duckdb_state state = duckdb_register_table_function(engine->connection, function);
	duckdb_destroy_table_function(&function);
	if (state != DuckDBSuccess)
		return error_set(err, ERROR_SQL, "the SQL engine does not take the source %s", source->name);
	registered->next = engine->sources;
	engine->sources = registered;
	return 0;
}
