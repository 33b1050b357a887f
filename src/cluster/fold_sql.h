/*
 * punchcard-fold in Spark SQL: the query that feeds it, and the queries that read its rows.
 */
#ifndef PUNCHCARD_CLUSTER_FOLD_SQL_H
#define PUNCHCARD_CLUSTER_FOLD_SQL_H

#include "cluster/tables.h"
#include "loyalty/programme.h"

/* The rows that it made, staged. */
#define FOLD_ROWS_TABLE "punchcard_fold_rows"

/* The events of some customers. */
struct fold_events {
	const char *condition;             /* of rows of transactions_cln, in SQL */
	const struct cluster_cut *cut;     /* files that count; NULL: all */
	const struct cluster_cut *not_cut; /* and not these; NULL: none is left out */
	const char *without;               /* a table of cust_id: customers who are left out; NULL: none */
	const char *only;                  /* a table of cust_id: the others are; NULL: none */
};

struct fold_query {
	enum customer_id_type id_type;
	const char *program; /* what is run, in the directory of the shipped files: "./punchcard-fold --programme …" */
	struct fold_events events;
	const char *states; /* a SELECT of cust_id, state and items that go before the rows; NULL: none */
};

/* "(SELECT … FROM transactions_cln …) AS events [LEFT ANTI JOIN …]", for FROM. 0 or ERROR_NO_MEMORY, as all here. */
int fold_events_sql(const struct fold_events *events, struct buf *out);
/* "SELECT <columns> FROM <table> …": rows of transactions_cln, by that name, in files that count. */
int fold_counted_sql(const char *table, const struct cluster_cut *cut, struct buf *out);
/* The columns of the staged rows: "kind STRING, cust_id BIGINT, n1 BIGINT, …". */
int fold_columns_sql(enum customer_id_type id_type, struct buf *out);
/* "SELECT TRANSFORM (…) … USING '…' AS (…) … FROM (…)". */
int fold_query_sql(const struct fold_query *query, struct buf *out);
/* How many rows that query gives it, as an expression. */
int fold_query_count_sql(const struct fold_query *query, struct buf *out);
/* "SELECT cust_id, <columns of the kind> FROM punchcard_fold_rows WHERE kind = '…'", with a column more when `day` is
 * not NULL: data_dt of that date (yyyy-mm-dd). The ledger's customer is the third column. */
int fold_rows_sql(enum output_kind kind, const char *day, struct buf *out);
/* A condition on the staged rows that holds when nothing was lost on the way, as an aggregate over the table; `rows`:
 * SQL of how many went in. */
int fold_check_sql(const char *rows, struct buf *out);

#endif
