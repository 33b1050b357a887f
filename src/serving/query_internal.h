/* What the files of queries share: query.c (one machine, and printing), query_cluster.c (how Spark sees the tables of a cluster). */
#ifndef PUNCHCARD_SERVING_QUERY_INTERNAL_H
#define PUNCHCARD_SERVING_QUERY_INTERNAL_H

#include "engine/sql.h"
#include "serving/query.h"

/* Runs the query and prints its results, an empty line between two. */
int query_print(struct sql *sql, struct slice text, const struct query_options *options, bool *printed,
		struct error *err);
/* query_run on a cluster. */
int query_run_cluster(const struct deployment *deployment, struct slice text, const struct query_options *options,
		      struct error *err);

#endif
