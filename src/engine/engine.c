#include "engine/engine_internal.h"

#include "base/buf.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_MEMORY_MIB 512u
/* DuckDB needs one at a time to open; the others are for other threads, which may take some meanwhile. */
#define DESCRIPTORS_NEEDED 8u

/* All that are open and have a connection, for engine_interrupt_all. */
static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static struct engine *all;
static bool all_stopped;

int engine_check_interrupted(struct error *err)
{
	pthread_mutex_lock(&all_lock);
	const bool stopped = all_stopped;
	pthread_mutex_unlock(&all_lock);
	return stopped ? error_set(err, ERROR_INTERRUPTED, "interrupted") : 0;
}

static void add_to_all(struct engine *engine)
{
	pthread_mutex_lock(&all_lock);
	engine->next = all;
	all = engine;
	pthread_mutex_unlock(&all_lock);
}

/* It need not be among them. */
static void remove_from_all(const struct engine *engine)
{
	pthread_mutex_lock(&all_lock);
	for (struct engine **at = &all; *at; at = &(*at)->next) {
		if (*at == engine) {
			*at = engine->next;
			break;
		}
	}
	pthread_mutex_unlock(&all_lock);
}

void engine_interrupt_all(void)
{
	pthread_mutex_lock(&all_lock);
	all_stopped = true;
	for (struct engine *engine = all; engine; engine = engine->next)
		engine_interrupt(engine);
	pthread_mutex_unlock(&all_lock);
}

static int set_option(duckdb_config config, const char *name, const char *value, struct error *err)
{
	if (duckdb_set_config(config, name, value) == DuckDBSuccess)
		return 0;
	return error_set(err, ERROR_SQL, "DuckDB takes no setting %s = '%s'; this build of libduckdb does not fit",
			 name, value);
}

static int set_number(duckdb_config config, const char *name, uint32_t value, const char *unit, struct error *err)
{
	char text[32];
	snprintf(text, sizeof(text), "%u%s", value, unit);
	return set_option(config, name, text, err);
}

/* Each engine spills into a directory of its own: they give their files the same names. One that cannot be made is told when it
 * is needed. */
static int make_spill_dir(struct engine *engine, const struct engine_options *options, struct error *err)
{
	static atomic_uint made;
	if (!options->tmp_dir)
		return 0;
	engine->spill_dir = text_printf("%s/engine-%u", options->tmp_dir, atomic_fetch_add(&made, 1));
	if (!engine->spill_dir)
		return error_no_memory(err, strlen(options->tmp_dir));
	mkdir(options->tmp_dir, 0777);
	mkdir(engine->spill_dir, 0777);
	return 0;
}

static int set_options(duckdb_config config, const struct engine_options *options, const char *spill_dir,
		       struct error *err)
{
	int rc = set_number(config, "memory_limit", options->memory_mib ? options->memory_mib : DEFAULT_MEMORY_MIB,
			    "MiB", err);
	if (rc == 0 && options->threads)
		rc = set_number(config, "threads", options->threads, "", err);
	if (rc == 0)
		rc = set_option(config, "temp_directory", spill_dir ? spill_dir : "", err);
	if (rc == 0)
		rc = set_option(config, "autoinstall_known_extensions", "false", err);
	if (rc == 0)
		rc = set_option(config, "autoload_known_extensions", "false", err);
	return rc;
}

/* Where it gets no descriptor while it opens (it asks for the limits of its control group), DuckDB throws out of a destructor, which
 * ends the process. So there must be some a moment before. */
static int check_descriptors(struct error *err)
{
	int fds[DESCRIPTORS_NEEDED];
	int errnum = 0;
	unsigned n = 0;
	for (; n < DESCRIPTORS_NEEDED; n++) {
		fds[n] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (fds[n] < 0) {
			errnum = errno;
			break;
		}
	}
	while (n > 0)
		close(fds[--n]);
	return errnum ? error_errno(err, errnum, "cannot open the SQL engine") : 0;
}

/* Opens database and connection of an engine whose other fields are set. */
static int open_database(struct engine *engine, const struct engine_options *options, struct error *err)
{
	duckdb_config config = NULL;
	int rc = make_spill_dir(engine, options, err);
	if (rc < 0)
		return rc;
	rc = check_descriptors(err);
	if (rc < 0)
		return rc;
	if (duckdb_create_config(&config) != DuckDBSuccess)
		return error_set(err, ERROR_NO_MEMORY, "out of memory opening the SQL engine");
	rc = set_options(config, options, engine->spill_dir, err);
	if (rc == 0) {
		char *message = NULL;
		if (duckdb_open_ext(NULL, &engine->database, config, &message) != DuckDBSuccess)
			rc = engine_translate(engine, DUCKDB_ERROR_INVALID, message, err);
		duckdb_free(message);
	}
	duckdb_destroy_config(&config);
	if (rc < 0)
		return rc;
	if (duckdb_connect(engine->database, &engine->connection) != DuckDBSuccess)
		return error_set(err, ERROR_NO_MEMORY, "cannot connect to the SQL engine");
	/* TimeZone is the ICU extension's, so it is no option of opening; max_temp_directory_size holds only when it is set
	 * behind it. */
	char sql[128];
	if (options->tmp_dir && options->tmp_max_mib)
		snprintf(sql, sizeof(sql), "SET TimeZone = 'UTC'; SET max_temp_directory_size = '%uMiB'",
			 options->tmp_max_mib);
	else
		snprintf(sql, sizeof(sql), "SET TimeZone = 'UTC'");
	return engine_run(engine, sql, err);
}

int engine_open(const struct engine_options *options, struct engine **out, struct error *err)
{
	struct engine *const engine = calloc(1, sizeof(*engine));
	if (!engine)
		return error_no_memory(err, sizeof(*engine));
	atomic_init(&engine->stopped, false);
	atomic_init(&engine->handovers, 0);
	pthread_mutex_init(&engine->lock, NULL);
	int rc = open_database(engine, options, err);
	if (rc == 0) {
		add_to_all(engine);
		rc = engine_check_interrupted(err);
	}
	if (rc < 0) {
		engine_close(engine);
		return rc;
	}
	*out = engine;
	return 0;
}

void engine_close(struct engine *engine)
{
	if (!engine)
		return;
	remove_from_all(engine);
	duckdb_disconnect(&engine->connection);
	duckdb_close(&engine->database);
	if (engine->spill_dir)
		rmdir(engine->spill_dir); /* not empty: whoever made the directory around it empties that */
	free(engine->spill_dir);
	pthread_mutex_destroy(&engine->lock);
	free(engine);
}

int engine_begin(struct engine *engine, struct error *err)
{
	pthread_mutex_lock(&engine->lock);
	engine->source_error.code = 0;
	pthread_mutex_unlock(&engine->lock);
	if (atomic_load(&engine->stopped))
		return error_set(err, ERROR_INTERRUPTED, "interrupted");
	return 0;
}

int engine_run(struct engine *engine, const char *sql, struct error *err)
{
	int rc = engine_begin(engine, err);
	if (rc < 0)
		return rc;
	duckdb_result result;
	if (duckdb_query(engine->connection, sql, &result) != DuckDBSuccess)
		rc = engine_translate(engine, duckdb_result_error_type(&result), duckdb_result_error(&result), err);
	duckdb_destroy_result(&result);
	return rc;
}

/* Reads row 0 of a vector of whole numbers. ERROR_SQL for other types. */
static int read_whole(duckdb_vector vector, duckdb_type type, int64_t *out, struct error *err)
{
	const void *const data = duckdb_vector_get_data(vector);
	switch (type) {
	case DUCKDB_TYPE_BOOLEAN:
		*out = *(const bool *)data;
		return 0;
	case DUCKDB_TYPE_TINYINT:
		*out = +*(const int8_t *)data;
		return 0;
	case DUCKDB_TYPE_SMALLINT:
		*out = *(const int16_t *)data;
		return 0;
	case DUCKDB_TYPE_INTEGER:
	case DUCKDB_TYPE_DATE:
		*out = *(const int32_t *)data;
		return 0;
	case DUCKDB_TYPE_BIGINT:
	case DUCKDB_TYPE_TIMESTAMP:
		*out = *(const int64_t *)data;
		return 0;
	case DUCKDB_TYPE_UTINYINT:
		*out = *(const uint8_t *)data;
		return 0;
	case DUCKDB_TYPE_USMALLINT:
		*out = *(const uint16_t *)data;
		return 0;
	case DUCKDB_TYPE_UINTEGER:
		*out = *(const uint32_t *)data;
		return 0;
	case DUCKDB_TYPE_UBIGINT:
		if (*(const uint64_t *)data > INT64_MAX)
			return error_set(err, ERROR_OVERFLOW, "a number does not fit in 64 bits");
		*out = *(const int64_t *)data;
		return 0;
	case DUCKDB_TYPE_HUGEINT: {
		const duckdb_hugeint value = *(const duckdb_hugeint *)data;
		if (value.upper != ((int64_t)value.lower < 0 ? -1 : 0))
			return error_set(err, ERROR_OVERFLOW, "a number does not fit in 64 bits");
		*out = (int64_t)value.lower;
		return 0;
	}
	default:
		return error_set(err, ERROR_SQL, "the statement's column is no whole number; cast it to BIGINT");
	}
}

static int read_single(duckdb_result *result, duckdb_data_chunk chunk, int64_t *out, struct error *err)
{
	if (!chunk || duckdb_data_chunk_get_size(chunk) != 1 || duckdb_data_chunk_get_column_count(chunk) != 1)
		return error_set(err, ERROR_SQL, "the statement must give one row with one column");
	duckdb_vector const vector = duckdb_data_chunk_get_vector(chunk, 0);
	const uint64_t *const validity = duckdb_vector_get_validity(vector);
	if (validity && !(validity[0] & 1)) {
		*out = 0;
		return 0;
	}
	return read_whole(vector, duckdb_column_type(result, 0), out, err);
}

int engine_run_int64(struct engine *engine, const char *sql, int64_t *out, struct error *err)
{
	duckdb_result result;
	int rc = engine_stream_sql(engine, sql, &result, err);
	if (rc < 0)
		return rc;
	duckdb_data_chunk chunk = NULL;
	duckdb_data_chunk more = NULL;
	rc = engine_fetch(engine, &result, &chunk, err);
	if (rc == 0 && chunk)
		rc = engine_fetch(engine, &result, &more, err);
	int64_t value = 0;
	if (rc == 0 && more)
		rc = error_set(err, ERROR_SQL, "the statement must give one row with one column");
	if (rc == 0)
		rc = read_single(&result, chunk, &value, err);
	if (rc == 0)
		*out = value;
	duckdb_destroy_data_chunk(&more);
	duckdb_destroy_data_chunk(&chunk);
	duckdb_destroy_result(&result);
	return rc;
}

void engine_interrupt(struct engine *engine)
{
	atomic_store(&engine->stopped, true);
	duckdb_interrupt(engine->connection);
}

const char *engine_type_sql(enum engine_type type)
{
	switch (type) {
	case ENGINE_BIGINT:
		return "BIGINT";
	case ENGINE_INTEGER:
		return "INTEGER";
	case ENGINE_DATE:
		return "DATE";
	case ENGINE_TIMESTAMP:
		return "TIMESTAMP";
	case ENGINE_DECIMAL_18_2:
		return "DECIMAL(18,2)";
	case ENGINE_DECIMAL_18_3:
		return "DECIMAL(18,3)";
	case ENGINE_VARCHAR:
	case ENGINE_NAME:
		return "VARCHAR";
	case ENGINE_BLOB:
		return "BLOB";
	}
	assert(false && "an engine_type");
	return "";
}

static int quote_with(struct buf *out, const char *text, char mark)
{
	const size_t before = out->len;
	int rc = buf_append(out, &mark, 1);
	for (const char *p = text; rc == 0 && *p; p++) {
		if (*p == mark)
			rc = buf_append(out, &mark, 1);
		if (rc == 0)
			rc = buf_append(out, p, 1);
	}
	if (rc == 0)
		rc = buf_append(out, &mark, 1);
	if (rc < 0)
		out->len = before;
	return rc;
}

int engine_quote(struct buf *out, const char *text)
{
	return quote_with(out, text, '\'');
}

int engine_quote_name(struct buf *out, const char *name)
{
	return quote_with(out, name, '"');
}
