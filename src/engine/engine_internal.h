/*
 * What the files of src/engine share. duckdb.h stays inside this folder.
 */
#ifndef PUNCHCARD_ENGINE_ENGINE_INTERNAL_H
#define PUNCHCARD_ENGINE_ENGINE_INTERNAL_H

#include "engine/engine.h"

#include <duckdb.h>
#include <pthread.h>
#include <stdatomic.h>

struct registered;

struct engine {
	duckdb_database database;
	duckdb_connection connection;
	char *spill_dir;     /* NULL: it may not spill */
	atomic_bool stopped; /* engine_interrupt was called */
	struct engine *next; /* of all that are open, under their lock */
	uint32_t macros;     /* of the prelude: a bit for each that is made */
	/* Counts what goes between our code on this thread and on DuckDB's. DuckDB hands the memory over by locks of its own;
	 * this tells TSan, which does not see those. */
	atomic_uint handovers;
	struct registered *sources; /* engine_register_source; owned by DuckDB's catalog */
	/* The first error of a source in the statement that runs: DuckDB carries a text only, this keeps code and message.
	 * Written by DuckDB's threads under the lock. */
	pthread_mutex_t lock;
	struct error source_error;
};

/* What our code wrote before, on any thread, is there for what it does behind this. */
static inline void engine_hand_over(struct engine *engine)
{
	atomic_fetch_add_explicit(&engine->handovers, 1, memory_order_acq_rel);
}

/* Before a statement: forgets the last source error; ERROR_INTERRUPTED after engine_interrupt. */
int engine_begin(struct engine *engine, struct error *err);
/* Keeps a source's error; the first one holds. Any thread. */
void engine_keep_source_error(struct engine *engine, const struct error *source_error);
/* Translates DuckDB's error into err; returns its code. `type` DUCKDB_ERROR_INVALID: by the message's prefix. */
int engine_translate(struct engine *engine, duckdb_error_type type, const char *message, struct error *err);
/* Prepares one statement and starts it as a stream. On success *result must be destroyed. */
int engine_stream(struct engine *engine, duckdb_prepared_statement prepared, duckdb_result *result, struct error *err);
/* engine_stream of a text that must be one statement. */
int engine_stream_sql(struct engine *engine, const char *sql, duckdb_result *result, struct error *err);
/* The next chunk of a stream: 0 and *chunk, NULL at the end. The caller destroys it. */
int engine_fetch(struct engine *engine, duckdb_result *result, duckdb_data_chunk *chunk, struct error *err);

#endif
