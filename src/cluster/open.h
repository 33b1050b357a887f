/*
 * The systems of a cluster, by the section `cluster` of punchcard.yaml. URLs may be directories, too ("file:///srv/lake"): HDFS is then
 * one that all machines mount, HBase an LMDB environment of this machine's. For trials, and for tests without servers.
 *
 * How long an operation tries again is some seconds: who can wait longer calls again. Nothing is sent when they are opened.
 */
#ifndef PUNCHCARD_CLUSTER_OPEN_H
#define PUNCHCARD_CLUSTER_OPEN_H

#include "config/config.h"
#include "config/deployment.h"
#include "store/cells.h"
#include "store/cluster_view.h"
#include "store/warehouse.h"

/* `writer`: of what may put at the same time each has another; copied. ERROR_CONFIG, ERROR_IO (a token file), ERROR_NO_MEMORY. */
int cluster_open_warehouse(const struct deployment *deployment, const char *writer, struct warehouse **out,
			   struct error *err);
/* The same of another directory than punchcard's own, absolute. */
int cluster_open_directory(const struct deployment *deployment, const char *root, const char *writer,
			   struct warehouse **out, struct error *err);
int cluster_open_cells(const struct deployment *deployment, struct cells **out, struct error *err);
/* The customer view of a deployment, to be written: its cells, opened, and its table, made if need be. Also after an error both are the
 * caller's to close, the view first; they may be NULL. */
int cluster_open_view(const struct deployment *deployment, struct cells **cells, struct cluster_view **view,
		      struct error *err);
/* Tables whose names begin with `prefix` ("": any) instead of those of punchcard's own. Where a directory takes HBase's place, they lie
 * beside these ("<directory>-<prefix>tables"), for a process opens one once. */
int cluster_open_tables(const struct deployment *deployment, const char *prefix, struct cells **out, struct error *err);
/* For who only reads, and waits for the answer: what does not answer within some seconds is away. ERROR_NOT_FOUND: a directory takes
 * HBase's place, and nothing was written yet. */
int cluster_open_cells_to_read(const struct deployment *deployment, struct cells **out, struct error *err);
/* For a look at how HDFS is: one try, and some seconds of silence. */
int cluster_open_warehouse_to_look(const struct deployment *deployment, const char *writer, struct warehouse **out,
				   struct error *err);
/* The directory that takes a system's place by its URL; NULL: it is a server. */
const char *cluster_directory_of(const char *url);

#endif
