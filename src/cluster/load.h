/*
 * Loading customer files into a cluster. What batch/customers.h is on one machine, with the same report; below cluster.hdfs.path:
 *
 *     warehouse/customers/format=<name>/<seq>-<hash>.csv[.gz]     the files as they came
 *     warehouse/_customers/rows/<seq>-<hash>-<reading>.parquet    the good lines of each, as it is read now
 *     warehouse/_customers/profiles-<version>                     the greatest version that cells of profiles have
 *     warehouse/customers_cln/                                    the table: models/customers_cln.sql over all of them, by Spark; beside
 *                                                                 its files _version-<hash>-<customers>, what it was made of, and
 *                                                                 _profiles: they are in HBase
 *     quarantine/customers-<hash>.parquet                         the bad lines of one file, if it has any
 *
 * Lines are read and judged here, by the same code as on one machine, and once a file: Spark's reader of CSV knows neither the mappings nor
 * the reasons. Bad lines are put first, then the rows, so that nobody's rows are there without them. The rows go to Spark, which runs the
 * model. When that is well the files land, and the new table takes the place of the old one,
 * as a directory (warehouse/_customers/swap while that lasts, which whoever has the lease brings to its end). Then come the profiles
 * in HBase, and those of customers who are in no file any more are swept.
 */
#ifndef PUNCHCARD_CLUSTER_LOAD_H
#define PUNCHCARD_CLUSTER_LOAD_H

#include "batch/customers.h"
#include "cluster/hooks.h"
#include "cluster/session.h"

/* As customers_load; takes the lease. Errors besides: ERROR_LOCKED, those of spark_run, the warehouse, HBase. */
int cluster_load_customers(const struct deployment *deployment, const struct cluster_batch_hooks *hooks,
			   const char *const *paths, size_t n_paths, const char *format, struct customers_report *out,
			   struct error *err);
/* Puts a table of customers that was made whole into its place, when that was broken off. With the lease. */
int cluster_finish_customers(const struct cluster_session *session, struct error *err);

#endif
