/* The statements of a job. */
#include "base/limits.h"
#include "base/tz.h"
#include "cluster/job_internal.h"

#include <stdlib.h>

/* Partitions of transactions_cln are local days of when they were written: an event of a day is in one at most so many
 * days away. */
#define ZONE_DAYS 2

/* Tables that live while a job does. */
#define LATE_TABLE    "punchcard_late"         /* customers with an event of S or before that came in since */
#define MARKED_TABLE  "punchcard_marked"       /* who are folded whole: these, and those whose refunds need it */
#define CHANGED_TABLE "punchcard_changed_days" /* of the ledger, up to S */
#define DAYS_TABLE    "punchcard_ledger_days"  /* the rows of the ledger's days that are written */

#define LOYALTY_VIEW  "punchcard_loyalty" /* what the model gives, cached */

struct making {
	const struct cluster_job *job;
	const struct cluster_from *from; /* NULL: the whole history */
	struct spark_script *script;
	char date[11];
	char from_date[11];
	struct buf sql;  /* of the statement that is made */
	struct buf rows; /* how many rows go through the kernel, as an expression */
};

/* The statement in making->sql, if that was made (rc). */
static int add(struct making *making, const char *what, int rc, struct error *err)
{
	if (rc < 0 || !buf_text(&making->sql))
		return error_no_memory(err, making->sql.len);
	rc = spark_script_add(making->script, what, making->sql.data, err);
	buf_clear(&making->sql);
	return rc;
}

static int add_text(struct making *making, const char *what, const char *sql, struct error *err)
{
	return add(making, what, buf_append_text(&making->sql, sql), err);
}

static int drop_tables(struct making *making, const char *what, struct error *err)
{
	static const char *const TABLES[] = {FOLD_ROWS_TABLE, LATE_TABLE, MARKED_TABLE, CHANGED_TABLE, DAYS_TABLE};
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < sizeof(TABLES) / sizeof(TABLES[0]); i++)
		rc = add(making, what, buf_printf(&making->sql, "DROP TABLE IF EXISTS %s", TABLES[i]), err);
	return rc;
}

/* Made, and then written: so that what a run that was killed has left is removed by the next one, with its table. Dictionaries cost more
 * than they spare in what is read a few times and dropped. */
static int make_table(struct making *making, const char *table, const char *columns, struct error *err)
{
	return add(making, "a table of what is staged",
		   buf_printf(&making->sql,
			      "CREATE TABLE %s (%s) USING parquet OPTIONS ('parquet.enable.dictionary' 'false')", table,
			      columns),
		   err);
}

static const char *id_column(const struct making *making)
{
	return making->job->tables->id_type == CUSTOMER_ID_TEXT ? "cust_id STRING" : "cust_id BIGINT";
}

/* ---- folding ---- */

char *job_condition(const struct cluster_job *job, int32_t first, int32_t last)
{
	char date[11];
	civil_format(last + ZONE_DAYS, date);
	_cleanup_buf_ struct buf text = {0};
	int rc = buf_printf(&text, "odr_tms < timestamp_micros(%lld) AND data_dt <= DATE '%s'",
			    (long long)programme_day_start(job->programme, last + 1), date);
	if (rc == 0 && first != DAY_MIN) {
		civil_format(first - ZONE_DAYS, date);
		rc = buf_printf(&text, " AND odr_tms >= timestamp_micros(%lld) AND data_dt >= DATE '%s'",
				(long long)programme_day_start(job->programme, first), date);
	}
	return rc < 0 ? NULL : slice_dup((struct slice){text.data, text.len});
}

/* One pass through the kernel: into the staged rows, which are made by the first. */
static int add_pass(struct making *making, const char *what, const struct fold_events *events, const char *states,
		    bool first, struct error *err)
{
	const enum customer_id_type id_type = making->job->tables->id_type;
	_cleanup_free_ char *program = text_printf("./" SHIP_PROGRAM " --programme " SHIP_PROGRAMME " --to %s --ids %s",
						   making->date, id_type == CUSTOMER_ID_TEXT ? "text" : "integer");
	if (!program || !events->condition)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	const struct fold_query query = {.id_type = id_type, .program = program, .events = *events, .states = states};
	int rc = buf_append_text(&making->sql, first ? "INSERT OVERWRITE TABLE " FOLD_ROWS_TABLE "\n"
						     : "INSERT INTO " FOLD_ROWS_TABLE "\n");
	if (rc == 0)
		rc = fold_query_sql(&query, &making->sql);
	if (rc == 0 && !first)
		rc = buf_append_text(&making->rows, " + ");
	if (rc == 0)
		rc = fold_query_count_sql(&query, &making->rows);
	return add(making, what, rc, err);
}

static int make_rows_table(struct making *making, struct error *err)
{
	_cleanup_buf_ struct buf columns = {0};
	if (fold_columns_sql(making->job->tables->id_type, &columns) < 0 || !buf_text(&columns))
		return error_no_memory(err, columns.len);
	return make_table(making, FOLD_ROWS_TABLE, columns.data, err);
}

static int add_whole_pass(struct making *making, struct error *err)
{
	_cleanup_free_ char *condition = job_condition(making->job, DAY_MIN, making->job->day);
	const struct fold_events events = {.condition = condition, .cut = making->job->cut};
	return add_pass(making, "folding the history", &events, NULL, true, err);
}

/* Customers with events of the states' days in files that they were not made of. */
static int add_late(struct making *making, struct error *err)
{
	const struct cluster_from *const from = making->from;
	_cleanup_free_ char *condition =
		from->cut ? job_condition(making->job, DAY_MIN, from->day) : text_printf("false");
	const struct fold_events events = {.condition = condition, .cut = making->job->cut, .not_cut = from->cut};
	if (!condition)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	int rc = make_table(making, LATE_TABLE, id_column(making), err);
	if (rc < 0)
		return rc;
	rc = buf_append_text(&making->sql, "INSERT OVERWRITE TABLE " LATE_TABLE " SELECT DISTINCT cust_id FROM ");
	if (rc == 0)
		rc = fold_events_sql(&events, &making->sql);
	return add(making, "looking for events that came late", rc, err);
}

/* States that somebody removed would be customers without a history. */
static int add_state_check(struct making *making, struct error *err)
{
	if (making->from->customers <= 0)
		return 0;
	const int rc =
		buf_printf(&making->sql,
			   "SELECT assert_true(count(*) = %lld,\n'punchcard: account_state of %s has not the rows "
			   "that were written') FROM account_state WHERE data_dt = DATE '%s'",
			   (long long)making->from->customers, making->from_date, making->from_date);
	return add(making, "counting the states", rc, err);
}

static int add_passes_from_states(struct making *making, struct error *err)
{
	const struct cluster_job *const job = making->job;
	_cleanup_free_ char *days = job_condition(job, making->from->day + 1, job->day);
	_cleanup_free_ char *all = job_condition(job, DAY_MIN, job->day);
	_cleanup_free_ char *states = text_printf(
		"SELECT states.cust_id, state, items FROM account_state AS states LEFT ANTI JOIN " LATE_TABLE
		" AS late ON late.cust_id = states.cust_id WHERE states.data_dt = DATE '%s'",
		making->from_date);
	if (!states)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	const struct fold_events new_events = {.condition = days, .cut = job->cut, .without = LATE_TABLE};
	const struct fold_events whole = {.condition = all, .cut = job->cut, .only = MARKED_TABLE};
	int rc = add_state_check(making, err);
	if (rc == 0)
		rc = add_late(making, err);
	if (rc == 0)
		rc = add_pass(making, "folding the days behind the state", &new_events, states, true, err);
	if (rc == 0)
		rc = make_table(making, MARKED_TABLE, id_column(making), err);
	if (rc == 0)
		rc = add_text(making, "who is folded whole",
			      "INSERT OVERWRITE TABLE " MARKED_TABLE " SELECT cust_id FROM " LATE_TABLE
			      " UNION SELECT cust_id FROM " FOLD_ROWS_TABLE " WHERE kind = 'marked'",
			      err);
	return rc < 0 ? rc : add_pass(making, "folding the histories that came late", &whole, NULL, false, err);
}

static int add_check(struct making *making, struct error *err)
{
	struct buf *const sql = &making->sql;
	if (!buf_text(&making->rows))
		return error_no_memory(err, making->rows.len);
	int rc = buf_append_text(sql, "SELECT assert_true(");
	if (rc == 0)
		rc = fold_check_sql(making->rows.data, sql);
	if (rc == 0)
		rc = buf_append_text(
			sql, ",\n'punchcard: rows were lost between the kernel and Spark') FROM " FOLD_ROWS_TABLE);
	return add(making, "counting what was folded", rc, err);
}

/* ---- tables ---- */

/* `select`'s last column is data_dt. Each day's rows in files of a sensible size, in an order. */
static int add_table(struct making *making, const char *what, const char *table, const char *order, int rc,
		     struct buf *select, struct error *err)
{
	if (rc < 0 || !buf_text(select))
		return error_no_memory(err, select->len);
	rc = buf_printf(&making->sql,
			"INSERT OVERWRITE TABLE %s PARTITION (data_dt)\nSELECT /*+ REBALANCE(data_dt) */ * FROM "
			"(\n%s\n) AS made "
			"SORT BY data_dt, %s",
			table, select->data, order);
	buf_clear(select);
	return add(making, what, rc, err);
}

static int make_days_table(struct making *making, struct error *err)
{
	_cleanup_buf_ struct buf columns = {0};
	if (cluster_columns(&columns, making->job->tables, "ledger") < 0 ||
	    buf_append_text(&columns, ", data_dt DATE") < 0 || !buf_text(&columns))
		return error_no_memory(err, columns.len);
	return make_table(making, DAYS_TABLE, columns.data, err);
}

/* Up to S, days on which rows of who was folded whole are others now; their rows, and those of the days behind. */
static int add_ledger_days(struct making *making, struct error *err)
{
	const char *const from = making->from_date;
	struct buf *const sql = &making->sql;
	int rc = buf_append_text(sql, "CREATE OR REPLACE TEMPORARY VIEW punchcard_ledger AS\n");
	if (rc == 0)
		rc = fold_rows_sql(OUTPUT_LEDGER, NULL, sql);
	rc = add(making, "the ledger's rows", rc, err);
	if (rc < 0)
		return rc;
	rc = make_table(making, CHANGED_TABLE, "data_dt DATE", err);
	if (rc < 0)
		return rc;
	rc = buf_printf(sql,
			"INSERT OVERWRITE TABLE " CHANGED_TABLE "\n"
			"WITH old AS (SELECT ledger.* FROM ledger LEFT SEMI JOIN " MARKED_TABLE
			" AS marked ON marked.cust_id = ledger.cust_id WHERE ledger.data_dt <= DATE '%s'),\n"
			"new AS (SELECT * FROM punchcard_ledger WHERE data_dt <= DATE '%s')\n"
			"SELECT DISTINCT data_dt FROM ((SELECT * FROM old EXCEPT ALL SELECT * FROM new) UNION ALL "
			"(SELECT * FROM new "
			"EXCEPT ALL SELECT * FROM old)) AS changed",
			from, from);
	rc = add(making, "looking for days that change", rc, err);
	if (rc < 0)
		return rc;
	rc = make_days_table(making, err);
	if (rc < 0)
		return rc;
	rc = buf_printf(sql,
			"INSERT OVERWRITE TABLE " DAYS_TABLE "\n"
			"SELECT ledger.* FROM ledger LEFT ANTI JOIN " MARKED_TABLE
			" AS marked ON marked.cust_id = ledger.cust_id LEFT SEMI JOIN " CHANGED_TABLE
			" AS changed ON changed.data_dt = ledger.data_dt WHERE ledger.data_dt <= DATE '%s'\n"
			"UNION ALL SELECT made.* FROM punchcard_ledger AS made LEFT SEMI JOIN " CHANGED_TABLE
			" AS changed ON changed.data_dt = made.data_dt WHERE made.data_dt <= DATE '%s'\n"
			"UNION ALL SELECT * FROM punchcard_ledger WHERE data_dt > DATE '%s'",
			from, from, from);
	return add(making, "the ledger's days", rc, err);
}

static int add_ledger(struct making *making, struct error *err)
{
	_cleanup_buf_ struct buf select = {0};
	int rc = making->from ? add_ledger_days(making, err) : 0;
	if (rc < 0)
		return rc;
	rc = making->from ? buf_append_text(&select, "SELECT * FROM " DAYS_TABLE)
			  : fold_rows_sql(OUTPUT_LEDGER, NULL, &select);
	return add_table(making, "writing the table ledger", "ledger", "cust_id, entry_no", rc, &select, err);
}

static int add_day_tables(struct making *making, struct error *err)
{
	_cleanup_buf_ struct buf select = {0};
	int rc = fold_rows_sql(OUTPUT_BALANCES, making->date, &select);
	rc = add_table(making, "writing the table balances", "balances", "cust_id, ledger", rc, &select, err);
	if (rc < 0)
		return rc;
	rc = fold_rows_sql(OUTPUT_STATES, making->date, &select);
	return add_table(making, "writing the table account_state", "account_state", "cust_id", rc, &select, err);
}

/* Accounts stand among rows of all kinds, and models read them several times over. */
static int add_accounts(struct making *making, struct error *err)
{
	int rc = buf_append_text(&making->sql, "CACHE TABLE accounts AS\n");
	if (rc == 0)
		rc = fold_rows_sql(OUTPUT_ACCOUNTS, NULL, &making->sql);
	rc = add(making, "the table accounts", rc, err);
	if (rc == 0)
		rc = add_text(making, "the table favourites",
			      "CREATE OR REPLACE TEMPORARY VIEW favourites AS SELECT cust_id, favourite FROM accounts "
			      "WHERE favourite IS "
			      "NOT NULL",
			      err);
	return rc;
}

/* Each at once, so that its errors are its own, and before anything is overwritten: a model that is wrong changes nothing. */
static int add_models(struct making *making, struct error *err)
{
	const char *const models = making->job->models_dir;
	int rc = spark_script_add_model(making->script, models, "segments", "CACHE TABLE segments AS", "", err);
	if (rc == 0)
		rc = spark_script_add_model(making->script, models, "loyalty", "CACHE TABLE " LOYALTY_VIEW " AS", "",
					    err);
	if (rc < 0)
		return rc;
	rc = buf_printf(&making->sql,
			"INSERT OVERWRITE TABLE loyalty PARTITION (data_dt)\nSELECT made.*, DATE '%s' AS data_dt "
			"FROM " LOYALTY_VIEW " AS made",
			making->date);
	return add(making, "writing the table loyalty", rc, err);
}

/* ---- results ---- */

static int add_rows(struct making *making, const char *what, int rc, struct error *err)
{
	if (rc < 0 || !buf_text(&making->sql))
		return error_no_memory(err, making->sql.len);
	rc = spark_script_add_rows(making->script, what, making->sql.data, err);
	buf_clear(&making->sql);
	return rc;
}

static int add_counts(struct making *making, struct error *err)
{
	const struct output_table *const counts = &OUTPUT_TABLE[OUTPUT_COUNTS];
	int rc = buf_append_text(&making->sql, "SELECT 1 AS counts");
	for (unsigned i = 0; rc == 0 && i < counts->n_columns; i++)
		if (i != COUNT_POINTS)
			rc = buf_printf(&making->sql, ", coalesce(CAST(sum(n%u) AS BIGINT), 0) AS %s",
					output_place(OUTPUT_COUNTS, i).number, counts->columns[i].name);
	if (rc == 0)
		rc = buf_printf(&making->sql, ", %s AS whole, %s AS rewritten",
				making->from ? "(SELECT count(*) FROM " MARKED_TABLE ")" : "CAST(0 AS BIGINT)",
				making->from && !making->job->keeps_ledger ? "(SELECT count(*) FROM " CHANGED_TABLE ")"
									   : "CAST(0 AS BIGINT)");
	if (rc == 0)
		rc = buf_printf(&making->sql, " FROM " FOLD_ROWS_TABLE " WHERE kind = '%s'", counts->name);
	return add_rows(making, "the report", rc, err);
}

/* INSERT OVERWRITE by PARTITION (data_dt) leaves days of which it has no row: those of the ledger, … */
static int add_vanished(struct making *making, struct error *err)
{
	int rc;
	if (making->from)
		rc = buf_printf(&making->sql,
				"SELECT DISTINCT CAST(unix_date(had.data_dt) AS BIGINT) AS vanished, 'ledger' AS "
				"table_name FROM (SELECT data_dt FROM " CHANGED_TABLE
				" UNION ALL SELECT data_dt FROM ledger WHERE data_dt > "
				"DATE '%s') AS had LEFT ANTI JOIN " DAYS_TABLE " AS days ON days.data_dt = had.data_dt",
				making->from_date);
	else
		rc = buf_printf(&making->sql,
				"SELECT DISTINCT CAST(unix_date(ledger.data_dt) AS BIGINT) AS vanished, 'ledger' AS "
				"table_name FROM ledger "
				"LEFT ANTI JOIN (SELECT n%u "
				"FROM " FOLD_ROWS_TABLE
				" WHERE kind = 'ledger') AS made ON made.n%u = unix_date(ledger.data_dt)",
				output_place(OUTPUT_LEDGER, LEDGER_DATA_DT).number,
				output_place(OUTPUT_LEDGER, LEDGER_DATA_DT).number);
	return add_rows(making, "days without entries", rc, err);
}

/* … and the day's rows of the other tables. */
static int add_vanished_day(struct making *making, struct error *err)
{
	static const struct {
		const char *table;
		const char *made;
	} TABLES[] = {
		{"loyalty", LOYALTY_VIEW},
		{"balances", FOLD_ROWS_TABLE " WHERE kind = 'balances'"},
		{"account_state", FOLD_ROWS_TABLE " WHERE kind = 'account_state'"},
	};
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < sizeof(TABLES) / sizeof(TABLES[0]); i++)
		rc = buf_printf(&making->sql,
				"%sSELECT CAST(unix_date(DATE '%s') AS BIGINT) AS vanished, '%s' AS table_name WHERE "
				"NOT EXISTS (SELECT 1 "
				"FROM %s) AND EXISTS (SELECT 1 FROM %s WHERE data_dt = DATE '%s')",
				i ? " UNION ALL " : "", making->date, TABLES[i].table, TABLES[i].made, TABLES[i].table,
				making->date);
	return add_rows(making, "tables without rows", rc, err);
}

static int make_script(struct making *making, struct error *err)
{
	static int (*const PARTS[])(struct making * making, struct error * err) = {add_check, add_accounts, add_models};
	int rc = cluster_tables_add(making->script, making->job->tables, err);
	if (rc == 0)
		rc = drop_tables(making, "what an earlier run left", err);
	if (rc == 0)
		rc = make_rows_table(making, err);
	if (rc == 0)
		rc = making->from ? add_passes_from_states(making, err) : add_whole_pass(making, err);
	for (size_t i = 0; rc == 0 && i < sizeof(PARTS) / sizeof(PARTS[0]); i++)
		rc = PARTS[i](making, err);
	if (rc == 0 && !making->job->keeps_ledger)
		rc = add_ledger(making, err);
	if (rc == 0)
		rc = add_day_tables(making, err);
	if (rc == 0)
		rc = add_counts(making, err);
	if (rc == 0 && !making->job->keeps_ledger)
		rc = add_vanished(making, err);
	if (rc == 0)
		rc = add_vanished_day(making, err);
	return rc < 0 ? rc : drop_tables(making, "what was staged", err);
}

int cluster_job_script(const struct cluster_job *job, const struct cluster_from *from, struct spark_script **out,
		       struct error *err)
{
	struct making making = {.job = job, .from = from, .script = spark_script_new()};
	if (!making.script)
		return error_no_memory(err, sizeof(making));
	civil_format(job->day, making.date);
	if (from)
		civil_format(from->day, making.from_date);
	const int rc = make_script(&making, err);
	buf_release(&making.sql);
	buf_release(&making.rows);
	if (rc < 0)
		spark_script_free(making.script);
	else
		*out = making.script;
	return rc;
}
