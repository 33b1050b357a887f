/*
 * The tables of a cluster, as Spark and the Hive metastore know them: external tables over
 * <warehouse>/<table>/[data_dt=…/]*.parquet, the layout of the embedded warehouse.
 *
 * Times are TIMESTAMP, instants: files of the embedded engine, whose timestamps have no zone, are read as UTC.
 */
#ifndef PUNCHCARD_CLUSTER_TABLES_H
#define PUNCHCARD_CLUSTER_TABLES_H

#include "base/buf.h"
#include "base/error.h"
#include "engine/spark.h"
#include "fold/output.h"
#include "loyalty/event.h"

#include <stdint.h>

/* Where a cluster has its tables. */
struct cluster_tables {
	const char *database; /* of the metastore; made if it is missing */
	const char *
		warehouse; /* URL of the directory, without a slash at its end: "hdfs://nn:8020/user/punchcard/warehouse" */
	enum customer_id_type id_type;
};

/* Which files of transactions_cln count: of each edge node those whose blocks are all before `next_block`, the offset
 * in its journal of what it has shipped. Of other edges none. Files of the embedded table writer are those of the edge
 * "". */
struct cut_edge {
	const char *name;
	uint64_t next_block;
};
struct cluster_cut {
	const struct cut_edge *edges;
	unsigned n_edges;
};

/* NULL: it has none of that name. */
const struct cut_edge *cluster_cut_edge(const struct cluster_cut *cut, const char *name);

/* 'it\'s' appended: a text for Spark SQL. 0 or ERROR_NO_MEMORY. */
int cluster_quote(struct buf *out, const char *text);
/* Spark's spelling of a column's type: "DECIMAL(18,3)". */
const char *cluster_type(enum fold_type type);
/* A stored number (or text) of `place` as a value of that type: "CAST(n4 * 0.001BD AS DECIMAL(18,3))". */
int cluster_value(struct buf *out, struct output_place place, enum fold_type type);

/* "entry_no BIGINT, event_id STRING, …": the columns of one of the tables, without data_dt. 0 or ERROR_NO_MEMORY. */
int cluster_columns(struct buf *out, const struct cluster_tables *tables, const char *name);

/* "event_id, line_no, …, data_dt": the names of its columns. */
int cluster_column_names(struct buf *out, const char *name);

/* Statements that make database and tables where they are missing, and register the partitions that there are (of
 * transactions_cln also those that others have added). The script goes on in that database. */
int cluster_tables_add(struct spark_script *script, const struct cluster_tables *tables, struct error *err);

#endif
