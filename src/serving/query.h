/*
 * A query of a person, over all tables of a deployment, locked down: by DuckDB on one machine, by Spark on a cluster (engine/sql.h).
 *
 *     rc = query_run(deployment, SLICE("SELECT * FROM loyalty"), &(struct query_options){.out = stdout}, err);
 *
 * Reads only: which statements run stands in engine/result.h, files are reached below data/warehouse and data/quarantine
 * only, and settings cannot be changed. Every query has an engine of its own, with the memory limit and threads of
 * punchcard.yaml; it spills to a directory of its own in $TMPDIR (or /var/tmp), at most QUERY_SPILL_MAX_MIB, never into the
 * deployment, which may be read-only.
 *
 * On a cluster it is one statement (engine/spark.h, spark_script_add_query). Of transactions_cln it sees the files that count: those of
 * shipments that are whole. Rows come when Spark has ended, and are printed as those of one machine. Starting Spark takes some ten
 * seconds. Tables that are missing are made first, and partitions that others have added are registered.
 */
#ifndef PUNCHCARD_SERVING_QUERY_H
#define PUNCHCARD_SERVING_QUERY_H

#include "base/buf.h"
#include "base/error.h"
#include "config/deployment.h"
#include "serving/table.h"
#include "serving/watch.h"

/* Some 16 times the usual memory limit: enough to sort a hundred million orders. A query that wants more is most likely a
 * join without a condition; without a limit DuckDB would fill the disk that everybody writes to up to 90 %. Over it:
 * ERROR_NO_SPACE. */
#define QUERY_SPILL_MAX_MIB 8192u

struct query_options {
	enum table_format format;
	FILE *out;
	struct watch *watch; /* may be NULL; its reason tells ERROR_INTERRUPTED from a time-out */
};

/*
 * Runs the statements of `sql` (";" between them) in order and prints their results, an empty line between two. None is
 * run unless all parse and may run; then it stops at the first error. Errors: ERROR_USAGE (not a reading statement, or none
 * at all), ERROR_SQL (the message shows the line, and for an unknown table those that there are), ERROR_CORRUPT (names the
 * file and what mends it), ERROR_INTERRUPTED (the watch), ERROR_NO_MEMORY, ERROR_NO_SPACE, ERROR_IO (the output); on a cluster also
 * ERROR_LIMIT (more columns than SQL_SPARK_COLUMNS_MAX), and those of spark_run, the session and the warehouse. When a
 * file vanishes because its table is replaced at that moment and nothing was printed yet, all is run again, up to
 * QUERY_ATTEMPTS times.
 */
#define QUERY_ATTEMPTS 4
int query_run(const struct deployment *deployment, struct slice sql, const struct query_options *options,
	      struct error *err);

#endif
