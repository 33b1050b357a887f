/*
 * Files of a cluster's tables, for who reads them here: in place where the warehouse is a directory, else copies of them.
 */
#ifndef PUNCHCARD_CLUSTER_WAREHOUSE_FILES_H
#define PUNCHCARD_CLUSTER_WAREHOUSE_FILES_H

#include "cluster/session.h"

/* Gets the local path of a file; a negative code ends the walk. */
typedef int cluster_file_fn(void *context, const char *path, struct error *err);
/* Gives the Parquet files of a directory of the warehouse, one after the other, in the order of their names; hidden ones are none. Each
 * is there until `take` returns. None, or no such directory, is fine. Needs the deployment's temporary directory. */
int cluster_each_parquet(const struct cluster_session *session, const char *dir, cluster_file_fn *take, void *context,
			 struct error *err);
/* The local path of one of the warehouse, when it is a directory; *out stays NULL when it is not. The caller frees it. ERROR_NO_MEMORY. */
int cluster_local_path(const struct cluster_session *session, const char *path, char **out, struct error *err);
/* Copies a file into a new local one. */
int cluster_download(const struct cluster_session *session, const char *path, const char *local, struct error *err);

#endif
