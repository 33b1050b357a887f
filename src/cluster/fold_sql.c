#include "cluster/fold_sql.h"

#include "fold/input.h"

#include <string.h>

/* Lossless, where it is named on both sides: tabs, line ends and backslashes are escaped, NULL is \N. */
#define SERDE                                                                                                          \
	"ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe' WITH SERDEPROPERTIES ('field.delim' = " \
	"'\\t', 'escape.delim' = '\\\\', 'serialization.escape.crlf' = 'true')"

struct input_sql {
	const char *name;  /* in the query */
	const char *event; /* of a row of transactions_cln */
	const char *state; /* of one of states */
};

static const struct input_sql INPUTS[INPUT_COLUMNS] = {
	[INPUT_CUSTOMER] = {"cust_id", "cust_id", "cust_id"},
	[INPUT_KIND] = {"kind", "kind", "'state'"},
	[INPUT_TIME_US] = {"time_us", "unix_micros(odr_tms)", "CAST(NULL AS BIGINT)"},
	[INPUT_EVENT_ID] = {"event_id", "event_id", "CAST(NULL AS STRING)"},
	[INPUT_SOURCE] = {"source", "source", "CAST(NULL AS STRING)"},
	[INPUT_LINE_NO] = {"line_no", "line_no", "CAST(NULL AS INT)"},
	[INPUT_MENU] = {"menu", "odr_menu", "CAST(NULL AS STRING)"},
	[INPUT_SKU] = {"sku", "odr_sku", "CAST(NULL AS STRING)"},
	[INPUT_QTY_MILLI] = {"qty_milli", "CAST(odr_qty * 1000 AS BIGINT)", "CAST(NULL AS BIGINT)"},
	[INPUT_AMOUNT_MINOR] = {"amount_minor", "CAST(odr_amt * 100 AS BIGINT)", "CAST(NULL AS BIGINT)"},
	[INPUT_ORDER_ID] = {"order_id", "order_id", "CAST(NULL AS STRING)"},
	[INPUT_POINTS_MILLI] = {"points_milli", "CAST(points * 1000 AS BIGINT)", "CAST(NULL AS BIGINT)"},
	[INPUT_LEDGER] = {"ledger", "ledger", "CAST(NULL AS STRING)"},
	[INPUT_REWARD] = {"reward", "reward", "CAST(NULL AS STRING)"},
	[INPUT_DECISION] = {"decision", "decision", "CAST(NULL AS STRING)"},
	[INPUT_STATE] = {"state", "CAST(NULL AS STRING)", "hex(state)"},
	[INPUT_ITEMS] = {"items", "CAST(NULL AS STRING)", "hex(items)"},
};

/* What stands first of a customer, and the order of kinds within an instant. */
#define ORDER_OF_EVENTS "CASE kind WHEN 'order' THEN 1 WHEN 'refund' THEN 2 WHEN 'redeem' THEN 3 ELSE 4 END"
#define ORDER_OF_STATES "0"

static int append_inputs(struct buf *out, bool states)
{
	int rc = 0;
	for (unsigned i = 0; rc == 0 && i < INPUT_COLUMNS; i++)
		rc = buf_printf(out, "%s AS %s, ", states ? INPUTS[i].state : INPUTS[i].event, INPUTS[i].name);
	return rc < 0 ? rc : buf_printf(out, "%s AS order_no", states ? ORDER_OF_STATES : ORDER_OF_EVENTS);
}

/*
 * By the names of files, orders-[<edge>-]<first block>-<last block>[.<source>].parquet; those with a source are a stream's of Spark
 * (cluster/spark/transactions_stream.py). It is asked of every row: a regular expression would be an eighth of all the work. No edge's name
 * has a dot, and both numbers have 12 digits; so a length and a beginning make one edge's, and numbers compare as texts.
 */
#define FILE_COLUMN    "substring_index(substring_index(input_file_name(), '/', -1), '.', 1) AS file"
#define FILE_NAME_HEAD "orders-"
#define BLOCKS_CHARS   25u /* "<first>-<last>" */

static int append_cut(struct buf *out, const struct cluster_cut *cut, bool without)
{
	int rc = buf_printf(out, " AND %s(CASE", without ? "NOT " : "");
	for (unsigned i = 0; rc == 0 && i < cut->n_edges; i++) {
		const char *const name = cut->edges[i].name;
		_cleanup_free_ char *head = text_printf(FILE_NAME_HEAD "%s%s", name, *name ? "-" : "");
		if (!head)
			return -1;
		rc = buf_printf(out, " WHEN length(file) = %zu AND startswith(file, ", strlen(head) + BLOCKS_CHARS);
		if (rc == 0)
			rc = cluster_quote(out, head);
		if (rc == 0)
			rc = buf_printf(out, ") THEN right(file, 12) < '%012llu'",
					(unsigned long long)cut->edges[i].next_block);
	}
	/* CASE must have one. */
	return rc < 0 ? rc : buf_printf(out, "%s ELSE false END)", cut->n_edges ? "" : " WHEN NULL THEN false");
}

int fold_events_sql(const struct fold_events *events, struct buf *out)
{
	const bool by_file = events->cut || events->not_cut;
	int rc = buf_printf(
		out,
		"(SELECT * FROM (SELECT *%s FROM transactions_cln WHERE cust_id IS NOT NULL AND %s) AS rows WHERE true",
		by_file ? ", " FILE_COLUMN : "", events->condition);
	if (rc == 0 && events->cut)
		rc = append_cut(out, events->cut, false);
	if (rc == 0 && events->not_cut)
		rc = append_cut(out, events->not_cut, true);
	if (rc == 0)
		rc = buf_append_text(out, ") AS events");
	if (rc == 0 && events->without)
		rc = buf_printf(out, " LEFT ANTI JOIN %s AS without ON without.cust_id = events.cust_id",
				events->without);
	if (rc == 0 && events->only)
		rc = buf_printf(out, " LEFT SEMI JOIN %s AS only ON only.cust_id = events.cust_id", events->only);
	return rc;
}

int fold_counted_sql(const char *table, const struct cluster_cut *cut, struct buf *out)
{
	int rc = buf_append_text(out, "SELECT ");
	if (rc == 0)
		rc = cluster_column_names(out, "transactions_cln");
	if (rc == 0)
		rc = buf_printf(out, " FROM (SELECT *, " FILE_COLUMN " FROM %s) AS rows WHERE true", table);
	return rc < 0 ? rc : append_cut(out, cut, false);
}

/* In the order of the customers, and within one: the state, whose time is NULL, then by time. */
static int append_input(struct buf *out, const struct fold_query *query)
{
	int rc = buf_append_text(out, "SELECT ");
	if (rc == 0)
		rc = append_inputs(out, false);
	if (rc == 0)
		rc = buf_append_text(out, "\nFROM ");
	if (rc == 0)
		rc = fold_events_sql(&query->events, out);
	if (rc == 0 && query->states) {
		rc = buf_append_text(out, "\nUNION ALL SELECT ");
		if (rc == 0)
			rc = append_inputs(out, true);
		if (rc == 0)
			rc = buf_printf(out, "\nFROM (%s) AS states", query->states);
	}
	return rc;
}

int fold_columns_sql(enum customer_id_type id_type, struct buf *out)
{
	int rc = buf_printf(out, "kind STRING, cust_id %s", id_type == CUSTOMER_ID_TEXT ? "STRING" : "BIGINT");
	for (unsigned i = 1; rc == 0 && i <= OUTPUT_NUMBERS; i++)
		rc = buf_printf(out, ", n%u BIGINT", i);
	for (unsigned i = 1; rc == 0 && i <= OUTPUT_TEXTS; i++)
		rc = buf_printf(out, ", t%u STRING", i);
	return rc;
}

int fold_query_sql(const struct fold_query *query, struct buf *out)
{
	int rc = buf_append_text(out, "SELECT TRANSFORM (");
	for (unsigned i = 0; rc == 0 && i < INPUT_COLUMNS; i++)
		rc = buf_printf(out, "%s%s", i ? ", " : "", INPUTS[i].name);
	if (rc == 0)
		rc = buf_append_text(out, ")\n" SERDE "\nUSING ");
	if (rc == 0)
		rc = cluster_quote(out, query->program);
	if (rc == 0)
		rc = buf_append_text(out, "\nAS (");
	if (rc == 0)
		rc = fold_columns_sql(query->id_type, out);
	if (rc == 0)
		rc = buf_append_text(out, ")\n" SERDE "\nFROM (SELECT * FROM (");
	if (rc == 0)
		rc = append_input(out, query);
	if (rc == 0)
		rc = buf_append_text(
			out,
			"\n) AS events DISTRIBUTE BY cust_id SORT BY cust_id, time_us NULLS FIRST, order_no, event_id, "
			"source, line_no\n) AS sorted");
	return rc;
}

int fold_query_count_sql(const struct fold_query *query, struct buf *out)
{
	int rc = buf_append_text(out, "(SELECT count(*) FROM ");
	if (rc == 0)
		rc = fold_events_sql(&query->events, out);
	if (rc == 0)
		rc = buf_append_text(out, ")");
	if (rc == 0 && query->states)
		rc = buf_printf(out, " + (SELECT count(*) FROM (%s) AS states)", query->states);
	return rc;
}

/* ---- its rows ---- */

/* The ledger has the customer behind its first two columns, as its other users know it. */
#define LEDGER_CUSTOMER 2u

static int append_column(struct buf *out, enum output_kind kind, unsigned column)
{
	const struct fold_column *const of = &OUTPUT_TABLE[kind].columns[column];
	const int rc = cluster_value(out, output_place(kind, column), of->type);
	return rc < 0 ? rc : buf_printf(out, " AS %s", of->name);
}

int fold_rows_sql(enum output_kind kind, const char *day, struct buf *out)
{
	const struct output_table *const table = &OUTPUT_TABLE[kind];
	const unsigned customer = kind == OUTPUT_LEDGER ? LEDGER_CUSTOMER : 0;
	int rc = buf_append_text(out, "SELECT ");
	for (unsigned i = 0; rc == 0 && i <= table->n_columns; i++) {
		rc = i ? buf_append_text(out, ", ") : 0;
		if (rc == 0)
			rc = i == customer ? buf_append_text(out, "cust_id")
					   : append_column(out, kind, i - (i > customer));
	}
	if (rc == 0 && day)
		rc = buf_printf(out, ", DATE '%s' AS data_dt", day);
	return rc < 0 ? rc : buf_printf(out, " FROM " FOLD_ROWS_TABLE " WHERE kind = '%s'", table->name);
}

int fold_check_sql(const char *rows, struct buf *out)
{
	static const struct {
		enum output_kind kind;
		enum count_column count;
	} COUNTED[] = {
		{OUTPUT_LEDGER, COUNT_LEDGER}, {OUTPUT_BALANCES, COUNT_BALANCES}, {OUTPUT_ACCOUNTS, COUNT_ACCOUNTS},
		{OUTPUT_STATES, COUNT_STATES}, {OUTPUT_MARKED, COUNT_MARKED},     {OUTPUT_SIMULATED, COUNT_SIMULATED},
	};
	const struct output_place points = output_place(OUTPUT_LEDGER, LEDGER_POINTS);
	int rc = buf_printf(out, "coalesce(sum(CASE WHEN kind = 'counts' THEN n%u END), 0) = %s",
			    output_place(OUTPUT_COUNTS, COUNT_ROWS_READ).number, rows);
	for (size_t i = 0; rc == 0 && i < sizeof(COUNTED) / sizeof(COUNTED[0]); i++)
		rc = buf_printf(
			out, "\nAND coalesce(sum(CASE WHEN kind = 'counts' THEN n%u END), 0) = count_if(kind = '%s')",
			output_place(OUTPUT_COUNTS, COUNTED[i].count).number, OUTPUT_TABLE[COUNTED[i].kind].name);
	if (rc == 0)
		rc = buf_printf(out,
				"\nAND coalesce(sum(CASE WHEN kind = 'counts' THEN n%u END), 0) = coalesce(sum(CASE "
				"WHEN kind = "
				"'ledger' THEN n%u END), 0)",
				output_place(OUTPUT_COUNTS, COUNT_POINTS).number, points.number);
	/* Nobody in two places. */
	return rc < 0 ? rc
		      : buf_append_text(out, "\nAND count(DISTINCT CASE WHEN kind = 'accounts' THEN cust_id END) = "
					     "count_if(kind = 'accounts')");
}
