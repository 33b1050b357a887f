/*
 * Rows of the kernel beside all tables, for who only looks: a directory of the warehouse that no catalog knows, which goes when it was
 * looked at.
 *
 *     warehouse/_side/<edge>-<process>/
 *
 * What a process that was killed has left is removed by the next one of its edge.
 */
#ifndef PUNCHCARD_CLUSTER_SIDE_H
#define PUNCHCARD_CLUSTER_SIDE_H

#include "cluster/fold_sql.h"
#include "cluster/session.h"

struct cluster_side {
	const struct cluster_session *session; /* NULL: there is none */
	char *path;                            /* in the warehouse */
	char *url;
};

/* Removes what others of this edge have left. cluster_side_close also after an error. */
int cluster_side_open(const struct cluster_session *session, struct cluster_side *side, struct error *err);
/* Removes it; what goes wrong is left to the next one. Of one that was zeroed: fine. */
void cluster_side_close(struct cluster_side *side);

/* The view `name` over the files of a table of the warehouse, without the metastore. */
int cluster_side_add_table(struct spark_script *script, const struct cluster_session *session, const char *name,
			   struct error *err);
/* Statements that run the query, count its rows on both sides, and make the view FOLD_ROWS_TABLE of them. */
int cluster_side_add_fold(struct spark_script *script, const struct cluster_side *side, const char *what,
			  const struct fold_query *query, struct error *err);

#endif
