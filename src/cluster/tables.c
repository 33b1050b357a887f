#include "cluster/tables.h"

#include "fold/account_row.h"

#include <assert.h>
#include <stdlib.h>

struct table {
	const char *name;
	bool partitioned;
	const struct fold_column *columns; /* behind cust_id … */
	unsigned n_columns;
	unsigned customer; /* … which is the column of this number */
};

static const struct fold_column TRANSACTIONS[] = {
	{"event_id", FOLD_TEXT},        {"line_no", FOLD_INTEGER},      {"kind", FOLD_TEXT},
	{"odr_menu", FOLD_TEXT},        {"odr_sku", FOLD_TEXT},         {"odr_qty", FOLD_DECIMAL_18_3},
	{"odr_prc", FOLD_DECIMAL_18_2}, {"odr_amt", FOLD_DECIMAL_18_2}, {"odr_tms", FOLD_TIMESTAMP},
	{"store", FOLD_TEXT},           {"source", FOLD_TEXT},          {"order_id", FOLD_TEXT},
	{"points", FOLD_DECIMAL_18_3},  {"ledger", FOLD_TEXT},          {"reward", FOLD_TEXT},
	{"reason", FOLD_TEXT},          {"decision", FOLD_TEXT},
};

static const struct fold_column CUSTOMERS[] = {
	{"cust_nm", FOLD_TEXT},       {"cust_email", FOLD_TEXT},
	{"cust_strt_dt", FOLD_DATE},  {"cust_member_card_no", FOLD_TEXT},
	{"cust_birth_dt", FOLD_DATE}, {"cust_birth_yr", FOLD_INTEGER},
	{"cust_gender", FOLD_TEXT},
};

static const struct fold_column LEDGER[] = {
	{"entry_no", FOLD_BIGINT},
	{"event_id", FOLD_TEXT},
	{"posted_at", FOLD_TIMESTAMP},
	{"ledger", FOLD_TEXT},
	{"kind", FOLD_TEXT},
	{"points", FOLD_DECIMAL_18_3},
	{"lot", FOLD_DATE},
	{"rule", FOLD_TEXT},
	{"programme", FOLD_TEXT},
	{"balance", FOLD_DECIMAL_18_3},
	{"note", FOLD_TEXT},
};

static const struct fold_column STATES[] = {{"state", FOLD_BYTES}, {"items", FOLD_BYTES}};

/* What models/loyalty.sql gives. */
static const struct fold_column LOYALTY[] = {
	{"cust_name", FOLD_TEXT},
	{"cust_member_card_no", FOLD_TEXT},
	{"spnd_amt", FOLD_DECIMAL_18_2},
	{"orders", FOLD_BIGINT},
	{"visits", FOLD_BIGINT},
	{"points_balance", FOLD_DECIMAL_18_3},
	{"points_earned", FOLD_DECIMAL_18_3},
	{"points_redeemed", FOLD_DECIMAL_18_3},
	{"points_expired", FOLD_DECIMAL_18_3},
	{"points_pending", FOLD_DECIMAL_18_3},
	{"points_expiring_30d", FOLD_DECIMAL_18_3},
	{"tier", FOLD_TEXT},
	{"tier_valid_to", FOLD_DATE},
	{"to_next_tier", FOLD_DECIMAL_18_3},
	{"first_order", FOLD_TIMESTAMP},
	{"last_order", FOLD_TIMESTAMP},
	{"favourite", FOLD_TEXT},
	{"r", FOLD_INTEGER},
	{"f", FOLD_INTEGER},
	{"m", FOLD_INTEGER},
	{"segment", FOLD_TEXT},
};

#define COLUMNS(array) (array), sizeof(array) / sizeof((array)[0])

static const struct table TABLES[] = {
	{"transactions_cln", true, COLUMNS(TRANSACTIONS), 3},
	{"customers_cln", false, COLUMNS(CUSTOMERS), 0},
	{"ledger", true, COLUMNS(LEDGER), 2},
	{"balances", true, COLUMNS(BALANCE_COLUMN), 0},
	{"account_state", true, COLUMNS(STATES), 0},
	{"loyalty", true, COLUMNS(LOYALTY), 0},
};

const struct cut_edge *cluster_cut_edge(const struct cluster_cut *cut, const char *name)
{
	for (unsigned i = 0; i < cut->n_edges; i++)
		if (strcmp(cut->edges[i].name, name) == 0)
			return &cut->edges[i];
	return NULL;
}

int cluster_quote(struct buf *out, const char *text)
{
	int rc = buf_append(out, "'", 1);
	for (; rc == 0 && *text; text++) {
		if (*text == '\'' || *text == '\\')
			rc = buf_append(out, "\\", 1);
		if (rc == 0)
			rc = buf_append(out, text, 1);
	}
	return rc < 0 ? rc : buf_append(out, "'", 1);
}

const char *cluster_type(enum fold_type type)
{
	static const char *const TYPES[] = {
		[FOLD_BIGINT] = "BIGINT",
		[FOLD_INTEGER] = "INT",
		[FOLD_DATE] = "DATE",
		[FOLD_TIMESTAMP] = "TIMESTAMP",
		[FOLD_DECIMAL_18_2] = "DECIMAL(18,2)",
		[FOLD_DECIMAL_18_3] = "DECIMAL(18,3)",
		[FOLD_TEXT] = "STRING",
		[FOLD_BYTES] = "BINARY",
	};
	return TYPES[type];
}

int cluster_value(struct buf *out, struct output_place place, enum fold_type type)
{
	static const struct {
		const char *before;
		const char *after;
	} WAYS[] = {
		[FOLD_BIGINT] = {"", ""},
		[FOLD_INTEGER] = {"CAST(", " AS INT)"},
		[FOLD_DATE] = {"date_from_unix_date(CAST(", " AS INT))"},
		[FOLD_TIMESTAMP] = {"timestamp_micros(", ")"},
		[FOLD_DECIMAL_18_2] = {"CAST(", " * 0.01BD AS DECIMAL(18,2))"},
		[FOLD_DECIMAL_18_3] = {"CAST(", " * 0.001BD AS DECIMAL(18,3))"},
		[FOLD_TEXT] = {"", ""},
		[FOLD_BYTES] = {"unhex(", ")"},
	};
	return buf_printf(out, "%s%c%u%s", WAYS[type].before, place.letter, place.number, WAYS[type].after);
}

/* "cust_id BIGINT, …" */
static int append_columns(struct buf *out, const struct cluster_tables *tables, const struct table *table)
{
	int rc = 0;
	for (unsigned i = 0; rc == 0 && i <= table->n_columns; i++) {
		const struct fold_column *const column = &table->columns[i - (i > table->customer)];
		rc = i ? buf_append_text(out, ", ") : 0;
		if (rc < 0)
			break;
		if (i == table->customer)
			rc = buf_printf(out, "cust_id %s", tables->id_type == CUSTOMER_ID_TEXT ? "STRING" : "BIGINT");
		else
			rc = buf_printf(out, "%s %s", column->name, cluster_type(column->type));
	}
	return rc;
}

static const struct table *find_table(const char *name)
{
	unsigned i = 0;
	while (i + 1 < sizeof(TABLES) / sizeof(TABLES[0]) && strcmp(TABLES[i].name, name) != 0)
		i++;
	assert(strcmp(TABLES[i].name, name) == 0);
	return &TABLES[i];
}

int cluster_columns(struct buf *out, const struct cluster_tables *tables, const char *name)
{
	return append_columns(out, tables, find_table(name));
}

int cluster_column_names(struct buf *out, const char *name)
{
	const struct table *const table = find_table(name);
	int rc = 0;
	for (unsigned i = 0; rc == 0 && i <= table->n_columns; i++)
		rc = buf_printf(out, "%s%s", i ? ", " : "",
				i == table->customer ? "cust_id" : table->columns[i - (i > table->customer)].name);
	return rc == 0 && table->partitioned ? buf_append_text(out, ", data_dt") : rc;
}

static int add_table(struct spark_script *script, const struct cluster_tables *tables, const struct table *table,
		     struct error *err)
{
	_cleanup_buf_ struct buf sql = {0};
	_cleanup_free_ char *location = text_printf("%s/%s", tables->warehouse, table->name);
	_cleanup_free_ char *what = text_printf("the table %s", table->name);
	if (!location || !what)
		return error_no_memory(err, strlen(tables->warehouse));
	int rc = buf_printf(&sql, "CREATE EXTERNAL TABLE IF NOT EXISTS %s (", table->name);
	if (rc == 0)
		rc = append_columns(&sql, tables, table);
	if (rc == 0)
		rc = buf_printf(&sql, ")%s STORED AS PARQUET LOCATION ",
				table->partitioned ? " PARTITIONED BY (data_dt DATE)" : "");
	if (rc == 0)
		rc = cluster_quote(&sql, location);
	if (rc < 0 || !buf_text(&sql))
		return error_no_memory(err, sql.len);
	rc = spark_script_add(script, what, sql.data, err);
	if (rc < 0 || !table->partitioned)
		return rc;
	buf_clear(&sql);
	if (buf_printf(&sql, "MSCK REPAIR TABLE %s SYNC PARTITIONS", table->name) < 0 || !buf_text(&sql))
		return error_no_memory(err, sql.len);
	return spark_script_add(script, what, sql.data, err);
}

int cluster_tables_add(struct spark_script *script, const struct cluster_tables *tables, struct error *err)
{
	_cleanup_buf_ struct buf sql = {0};
	/* What is not in a directory of a table's own goes into one that readers of the warehouse do not see. */
	_cleanup_free_ char *location = text_printf("%s/_%s", tables->warehouse, tables->database);
	if (!location || buf_printf(&sql, "CREATE DATABASE IF NOT EXISTS `%s` LOCATION ", tables->database) < 0 ||
	    cluster_quote(&sql, location) < 0 || !buf_text(&sql))
		return error_no_memory(err, sql.len);
	int rc = spark_script_add(script, "the database", sql.data, err);
	buf_clear(&sql);
	if (rc == 0 && (buf_printf(&sql, "USE `%s`", tables->database) < 0 || !buf_text(&sql)))
		rc = error_no_memory(err, sql.len);
	if (rc == 0)
		rc = spark_script_add(script, "the database", sql.data, err);
	for (size_t i = 0; rc == 0 && i < sizeof(TABLES) / sizeof(TABLES[0]); i++)
		rc = add_table(script, tables, &TABLES[i], err);
	return rc;
}
