/*
 * A query of a person over the tables of a cluster, by Spark SQL; printed as one of the embedded engine.
 *
 *     rc = query_cluster_run(deployment, SLICE("SELECT * FROM loyalty"), &options, err);
 *
 * One statement, which only reads (engine/spark.h, spark_script_add_query). Of transactions_cln it sees the files that count: those of
 * shipments that are whole. Rows come when Spark has ended; they wait in a file without a name in TMPDIR. Starting Spark takes some ten
 * seconds. Tables that are missing are made first, and partitions that others have added are registered.
 */
#ifndef PUNCHCARD_SERVING_QUERY_CLUSTER_H
#define PUNCHCARD_SERVING_QUERY_CLUSTER_H

#include "serving/query.h"

/* Columns of a result; what is printed goes through a source of the embedded engine. */
#define QUERY_CLUSTER_COLUMNS_MAX 64u

/* Errors: those of spark_script_add_query and spark_run, of the session and the warehouse; ERROR_LIMIT: too many columns; as query_run:
 * ERROR_INTERRUPTED, ERROR_NO_MEMORY, ERROR_NO_SPACE, ERROR_IO. */
int query_cluster_run(const struct deployment *deployment, struct slice sql, const struct query_options *options,
		      struct error *err);

#endif
