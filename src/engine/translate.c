/* DuckDB's errors in our words. */
#include "engine/engine_internal.h"

#include <string.h>

void engine_keep_source_error(struct engine *engine, const struct error *source_error)
{
	pthread_mutex_lock(&engine->lock);
	if (engine->source_error.code == 0)
		engine->source_error = *source_error;
	pthread_mutex_unlock(&engine->lock);
}

/* The text behind "Binder Error: ". DuckDB's prefixes are words of letters that end in "Error". */
static const char *skip_prefix(const char *message)
{
	const char *const colon = strstr(message, "Error: ");
	if (!colon)
		return message;
	for (const char *p = message; p < colon; p++)
		if (!((*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') || *p == ' '))
			return message;
	return colon + strlen("Error: ");
}

static bool has_prefix(const char *message, const char *prefix)
{
	return strncmp(message, prefix, strlen(prefix)) == 0;
}

/* What prepare reports comes without a type. */
static duckdb_error_type type_of_message(const char *message)
{
	if (has_prefix(message, "INTERRUPT Error"))
		return DUCKDB_ERROR_INTERRUPT;
	if (has_prefix(message, "Out of Memory Error"))
		return DUCKDB_ERROR_OUT_OF_MEMORY;
	if (has_prefix(message, "IO Error"))
		return DUCKDB_ERROR_IO;
	if (has_prefix(message, "Invalid Input Error"))
		return DUCKDB_ERROR_INVALID_INPUT;
	if (has_prefix(message, "INTERNAL Error") || has_prefix(message, "FATAL Error"))
		return DUCKDB_ERROR_INTERNAL;
	return DUCKDB_ERROR_INVALID;
}

static bool contains_any(const char *message, const char *const *words)
{
	for (; *words; words++)
		if (strstr(message, *words))
			return true;
	return false;
}

static int code_of(duckdb_error_type type, const char *message)
{
	static const char *const NO_SPACE[] = {"No space left on device", "Disk quota exceeded", "File too large",
					       "max_temp_directory_size", NULL};
	static const char *const NOT_FOUND[] = {"No files found that match", "No such file or directory", NULL};
	/* As DuckDB's Parquet reader says it (extension/parquet/parquet_reader.cpp). */
	static const char *const CORRUPT[] = {"to be a Parquet file",
					      "No magic bytes found",
					      "Footer length error",
					      "TProtocolException",
					      "Corrupt",
					      "corrupt",
					      "Failed to read Parquet",
					      "decompression failure",
					      "Snappy",
					      "ZSTD",
					      "Out of buffer",
					      "Invalid string encoding",
					      "Parquet file",
					      "parquet file",
					      "Could not read",
					      NULL};
	switch (type) {
	case DUCKDB_ERROR_INTERRUPT:
		return ERROR_INTERRUPTED;
	case DUCKDB_ERROR_OUT_OF_MEMORY:
		return strstr(message, "max_temp_directory_size") ? ERROR_NO_SPACE : ERROR_NO_MEMORY;
	case DUCKDB_ERROR_IO:
		if (contains_any(message, NO_SPACE))
			return ERROR_NO_SPACE;
		if (contains_any(message, NOT_FOUND))
			return ERROR_NOT_FOUND;
		return contains_any(message, CORRUPT) ? ERROR_CORRUPT : ERROR_SQL;
	case DUCKDB_ERROR_INVALID_INPUT:
	case DUCKDB_ERROR_SERIALIZATION:
	case DUCKDB_ERROR_INTERNAL:
		return contains_any(message, CORRUPT) ? ERROR_CORRUPT : ERROR_SQL;
	case DUCKDB_ERROR_INVALID:
		/* What is no error of DuckDB's own: memory, or the Thrift library in a Parquet file's metadata. */
		if (strstr(message, "bad_alloc"))
			return ERROR_NO_MEMORY;
		return has_prefix(message, "Invalid Error") ? ERROR_CORRUPT : ERROR_SQL;
	default:
		return ERROR_SQL;
	}
}

/* Ends the message before what is of use to DuckDB's developers, or to who types SQL settings: those are locked here. A file that cannot
 * be read is not a matter of a place in the statement. */
static size_t useful_length(const char *message, duckdb_error_type type)
{
	static const char *const TAILS[] = {"\nPossible solutions:",      "\nStack Trace:",
					    "\nLaunch the database with", "\nThis error signals an assertion failure",
					    "\nSee also https://",        "\nLINE "};
	const size_t n = sizeof(TAILS) / sizeof(TAILS[0]) - (type != DUCKDB_ERROR_IO);
	size_t len = strlen(message);
	for (size_t i = 0; i < n; i++) {
		const char *const tail = strstr(message, TAILS[i]);
		if (tail && (size_t)(tail - message) < len)
			len = (size_t)(tail - message);
	}
	while (len > 0 && (message[len - 1] == '\n' || message[len - 1] == ' '))
		len--;
	return len;
}

int engine_translate(struct engine *engine, duckdb_error_type type, const char *message, struct error *err)
{
	pthread_mutex_lock(&engine->lock);
	const struct error source_error = engine->source_error;
	pthread_mutex_unlock(&engine->lock);
	if (source_error.code)
		return error_set(err, source_error.code, "%s", source_error.message);
	if (atomic_load(&engine->stopped))
		return error_set(err, ERROR_INTERRUPTED, "interrupted");
	if (!message)
		return error_set(err, ERROR_SQL, "the SQL engine failed without a message");
	if (type == DUCKDB_ERROR_INVALID)
		type = type_of_message(message);
	const int code = code_of(type, message);
	if (code == ERROR_INTERRUPTED)
		return error_set(err, code, "interrupted");
	const char *const text = skip_prefix(message);
	const int len = (int)useful_length(text, type);
	switch (code) {
	case ERROR_NO_MEMORY:
		return error_set(
			err, code,
			"the SQL engine is out of memory: %.*s; raise engine.memory_mib in punchcard.yaml, or ask "
			"for less at once",
			len, text);
	case ERROR_NO_SPACE:
		return error_set(err, code, "no space left for the SQL engine: %.*s; free some and run it again", len,
				 text);
	default:
		return error_set(err, code, "%.*s", len, text);
	}
}
