/*
 * A deployment's cluster, as the batch layer works with it: the warehouse, and what Spark is told of tables and of how it is started.
 *
 *     struct cluster_session session;
 *     rc = cluster_session_open(deployment, "batch", &session, err);
 *     if (rc == 0)
 *             rc = cluster_session_cut(&session, err);              // session.cut: the files that count now
 *     …session.tables, session.spark, session.warehouse…
 *     cluster_session_close(&session);
 *
 * Spark's temporary files are the deployment's (tmp_dir), or for a reader below TMPDIR or /tmp. A run's `progress` ends Spark when the
 * process is interrupted (engine_check_interrupted); who has a `progress` of its own asks that, too. Where HDFS is a directory
 * (file://…) and cluster.spark.conf says nothing of a metastore, Hive's own of one process lies beside the tables.
 */
#ifndef PUNCHCARD_CLUSTER_SESSION_H
#define PUNCHCARD_CLUSTER_SESSION_H

#include "cluster/tables.h"
#include "config/deployment.h"
#include "engine/spark.h"
#include "store/warehouse.h"

/* Edge nodes of one cluster. */
#define SESSION_EDGES_MAX 256u

struct cluster_session {
	const struct deployment *deployment;
	struct warehouse *warehouse; /* of cluster.hdfs.path */
	struct cluster_tables tables;
	struct spark_options spark; /* without files and `row` */
	struct cluster_cut cut;     /* by cluster_session_cut; edges ascending by name */
	/* What these point to. */
	struct cut_edge *edges;
	struct spark_setting *settings;
	char *location;
};

/*
 * Nothing is sent yet. `what`: of what puts into the warehouse at the same time from one deployment, each has another; a part of a
 * file's name. ERROR_CONFIG: something that Spark needs is not in punchcard.yaml. The deployment outlives it.
 * cluster_session_close also after an error, and of one that was zeroed.
 */
int cluster_session_open(const struct deployment *deployment, const char *what, struct cluster_session *session,
			 struct error *err);
void cluster_session_close(struct cluster_session *session);

/* Which files of transactions_cln count: those of every edge's shipments that are whole, by their marks (speed/ship_files.h). May be
 * called again. None at all is fine. Errors of the warehouse; ERROR_LIMIT: more than SESSION_EDGES_MAX edges. */
int cluster_session_cut(struct cluster_session *session, struct error *err);

#endif
