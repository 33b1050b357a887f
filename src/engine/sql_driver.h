/*
 * What a driver of engine/sql.h is, and what drivers share.
 */
#ifndef PUNCHCARD_ENGINE_SQL_DRIVER_H
#define PUNCHCARD_ENGINE_SQL_DRIVER_H

#include "engine/sql.h"

#include <pthread.h>

struct sql_driver {
	int (*run)(struct sql *sql, const struct sql_work *work, struct error *err);
	void (*stop)(struct sql *sql); /* besides what sql_stop does; may be NULL */
	void (*close)(struct sql *sql);
};

/* The first member of a driver's own struct. */
struct sql {
	const struct sql_driver *driver;
	pthread_mutex_t lock;  /* of what follows */
	struct engine *engine; /* that works for it */
	bool stopped;
};

void sql_init(struct sql *sql, const struct sql_driver *driver);
/* Behind the driver's close. */
void sql_destroy(struct sql *sql);
/* 0 or ERROR_INTERRUPTED. */
int sql_check_stopped(struct sql *sql, struct error *err);
/* The engine that sql_stop interrupts; NULL before it is closed. */
void sql_use_engine(struct sql *sql, struct engine *engine);

/* What stands around a query for Spark: one row that tells its columns (all of them NULL, and one more), and its rows. */
#define SQL_SPARK_HEAD_BEFORE                                                                                    \
	"SELECT to_json(struct(*), map('ignoreNullFields', 'false')) AS names, typeof(struct(*)) AS types FROM " \
	"(SELECT * "                                                                                             \
	"FROM ("
#define SQL_SPARK_HEAD_AFTER                                                                                          \
	") AS punchcard_query LIMIT 0) AS punchcard_none RIGHT JOIN (SELECT 1 AS punchcard_one) AS punchcard_row ON " \
	"true"
#define SQL_SPARK_QUERY_BEFORE "SELECT * FROM ("
#define SQL_SPARK_QUERY_AFTER  ") AS punchcard_query"

/* Rows of text with the types that they are to have, as a result. */
struct sql_rows {
	const char *const *names;
	const char *const *types; /* "DECIMAL(18,2)": VARCHAR cast to it */
	unsigned n_columns;       /* 1 to ENGINE_SOURCE_COLUMNS_MAX */
	/* Sets the values of the next row in the batch, as engine.h has it for sources of VARCHAR. 1; 0: there is none; or a
	 * code with err set. */
	int (*next)(void *context, struct engine_batch *batch, uint32_t row, struct error *err);
	void *context;
	uint32_t memory_mib;
};
int sql_give_rows(struct sql *sql, const struct sql_rows *rows, const struct sql_work *work, struct error *err);

#endif
