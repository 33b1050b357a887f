/* The statements of an audit. */
#include "base/limits.h"
#include "base/tz.h"
#include "cluster/audit_internal.h"

#include <stdlib.h>
#include <string.h>

const struct audit_shape AUDIT_SHAPE[AUDIT_SHAPES] = {
	{AUDIT_LEDGER,
	 "ledger",
	 {"cust_id", "entry_no", "event_id", "posted_at", "ledger", "kind", "points", "lot", "rule", "programme",
	  "balance", "note", "data_dt"},
	 2,
	 false},
	{AUDIT_ACCOUNT_STATE, "account_state", {"cust_id", "state", "items"}, 1, true},
	{AUDIT_BALANCES,
	 "balances",
	 {"cust_id", "ledger", "balance", "pending", "debt", "earned", "redeemed", "expired", "expiring_30d",
	  "next_expiry"},
	 2,
	 true},
	{AUDIT_LOYALTY,
	 "loyalty",
	 {"cust_id", "points_balance", "points_earned", "points_redeemed", "points_expired", "points_pending",
	  "points_expiring_30d", "orders", "visits", "spnd_amt", "tier", "tier_valid_to", "to_next_tier", "first_order",
	  "last_order"},
	 1,
	 true},
};

struct making {
	const struct cluster_auditing *auditing;
	struct spark_script *script;
	char date[11];   /* the audited day */
	char newest[11]; /* that was made */
	struct buf sql;  /* of the statement that is made */
};

static int add(struct making *making, const char *what, int rc, bool rows, struct error *err)
{
	if (rc < 0 || !buf_text(&making->sql))
		return error_no_memory(err, making->sql.len);
	rc = rows ? spark_script_add_rows(making->script, what, making->sql.data, err)
		  : spark_script_add(making->script, what, making->sql.data, err);
	buf_clear(&making->sql);
	return rc;
}

static int add_tables(struct making *making, struct error *err)
{
	int rc = cluster_side_add_table(making->script, &making->auditing->session, "transactions_cln", err);
	for (size_t i = 0; rc == 0 && i < AUDIT_SHAPES; i++)
		rc = cluster_side_add_table(making->script, &making->auditing->session, AUDIT_SHAPE[i].name, err);
	return rc;
}

static int add_fold(struct making *making, struct error *err)
{
	const struct cluster_auditing *const auditing = making->auditing;
	const bool is_text = auditing->session.tables.id_type == CUSTOMER_ID_TEXT;
	_cleanup_free_ char *condition = job_condition(&auditing->job, DAY_MIN, auditing->day);
	_cleanup_free_ char *program = text_printf("./" SHIP_PROGRAM " --programme " SHIP_PROGRAMME " --to %s --ids %s",
						   making->date, is_text ? "text" : "integer");
	if (!condition || !program)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	const struct fold_query query = {.id_type = auditing->session.tables.id_type,
					 .program = program,
					 .events = {.condition = condition, .cut = &auditing->cut}};
	const int rc = cluster_side_add_fold(making->script, &auditing->side, "folding the history", &query, err);
	if (rc < 0)
		return rc;
	return add(making, "counting events",
		   buf_printf(&making->sql,
			      "SELECT coalesce(sum(n%u), 0) AS audit_counts, coalesce(sum(n%u), 0) AS customers, "
			      "coalesce(sum(n%u), 0) AS events FROM " FOLD_ROWS_TABLE " WHERE kind = 'counts'",
			      output_place(OUTPUT_COUNTS, COUNT_ROWS_READ).number,
			      output_place(OUTPUT_COUNTS, COUNT_CUSTOMERS).number,
			      output_place(OUTPUT_COUNTS, COUNT_EVENTS).number),
		   true, err);
}

/* ---- comparing ---- */

/* All as text: so they are shown, too. */
static int append_columns(const struct audit_shape *shape, struct buf *sql)
{
	int rc = 0;
	for (unsigned i = 0; rc == 0 && shape->columns[i]; i++) {
		const char *const name = shape->columns[i];
		const bool is_bytes = strcmp(name, "state") == 0 || strcmp(name, "items") == 0;
		rc = is_bytes ? buf_printf(sql, ", concat(length(%s), ' bytes, ', hex(xxhash64(%s))) AS %s", name, name,
					   name)
			      : buf_printf(sql, "%sCAST(%s AS STRING) AS %s", i ? ", " : "", name, name);
	}
	return rc;
}

static int append_should(const struct audit_shape *shape, struct buf *sql)
{
	switch (shape->table) {
	case AUDIT_LEDGER:
		return fold_rows_sql(OUTPUT_LEDGER, NULL, sql);
	case AUDIT_BALANCES:
		return fold_rows_sql(OUTPUT_BALANCES, NULL, sql);
	case AUDIT_ACCOUNT_STATE:
		return fold_rows_sql(OUTPUT_STATES, NULL, sql);
	default: {
		int rc = buf_append_text(sql, "SELECT *, spend AS spnd_amt FROM (");
		if (rc == 0)
			rc = fold_rows_sql(OUTPUT_ACCOUNTS, NULL, sql);
		return rc == 0 ? buf_append_text(sql, ") AS accounts") : rc;
	}
	}
}

/* Rows of a table that are compared: of the ledger also those of days that nobody made. */
static int append_there(const struct making *making, const struct audit_shape *shape, struct buf *sql)
{
	return shape->by_day ? buf_printf(sql, " FROM %s WHERE data_dt = DATE '%s'", shape->name, making->date)
			     : buf_printf(sql, " FROM %s WHERE (data_dt <= DATE '%s' OR data_dt > DATE '%s')",
					  shape->name, making->date, making->newest);
}

/* Rows that only one side has, those of one key together. */
static int append_differences(const struct making *making, const struct audit_shape *shape, struct buf *sql)
{
	int rc = buf_printf(sql, "CACHE TABLE punchcard_audit_%s AS WITH there AS (SELECT ", shape->name);
	if (rc == 0)
		rc = append_columns(shape, sql);
	if (rc == 0)
		rc = append_there(making, shape, sql);
	if (rc == 0)
		rc = buf_append_text(sql, "), due AS (SELECT ");
	if (rc == 0)
		rc = append_columns(shape, sql);
	if (rc == 0)
		rc = buf_append_text(sql, " FROM (");
	if (rc == 0)
		rc = append_should(shape, sql);
	if (rc == 0)
		rc = buf_append_text(
			sql, ") AS made), extra AS (SELECT * FROM there EXCEPT ALL SELECT * FROM due), lacking AS "
			     "(SELECT * FROM due EXCEPT ALL SELECT * FROM there) SELECT CASE WHEN lacking.cust_id IS "
			     "NULL THEN 'foreign' WHEN extra.cust_id IS NULL THEN 'missing' ELSE 'changed' END AS "
			     "difference");
	for (unsigned i = 0; rc == 0 && shape->columns[i]; i++)
		rc = buf_printf(sql, ", extra.%s AS is_%s, lacking.%s AS should_%s", shape->columns[i],
				shape->columns[i], shape->columns[i], shape->columns[i]);
	if (rc == 0)
		rc = buf_append_text(sql, " FROM extra FULL OUTER JOIN lacking ON true");
	for (unsigned i = 0; rc == 0 && i < shape->n_keys; i++)
		rc = buf_printf(sql, " AND extra.%s = lacking.%s", shape->columns[i], shape->columns[i]);
	return rc;
}

static int add_comparison(struct making *making, const struct audit_shape *shape, unsigned index, struct error *err)
{
	_cleanup_free_ char *what = text_printf("comparing %s", shape->name);
	if (!what)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	int rc = add(making, what, append_differences(making, shape, &making->sql), false, err);
	if (rc < 0)
		return rc;
	rc = buf_printf(&making->sql,
			"SELECT %u AS audit_rows, count_if(difference = 'changed') AS changed, count_if(difference = "
			"'missing') AS missing, count_if(difference = 'foreign') AS foreign_rows, (SELECT count(*)",
			index);
	if (rc == 0)
		rc = append_there(making, shape, &making->sql);
	if (rc == 0)
		rc = buf_printf(&making->sql, ") AS there FROM punchcard_audit_%s", shape->name);
	rc = add(making, what, rc, true, err);
	if (rc < 0)
		return rc;
	rc = buf_printf(
		&making->sql,
		"SELECT %u AS audit_row, * FROM punchcard_audit_%s ORDER BY coalesce(is_cust_id, should_cust_id), "
		"coalesce(is_%s, should_%s) LIMIT %u",
		index, shape->name, shape->columns[shape->n_keys - 1], shape->columns[shape->n_keys - 1],
		AUDIT_TOLD_MAX);
	return add(making, what, rc, true, err);
}

/* ---- adding up ---- */

/* A row a customer and ledger: what its rows come to, and those whose balance is not the one before and their points. */
#define SUMS                                                                                                          \
	"CACHE TABLE punchcard_audit_sums AS SELECT cust_id, ledger, coalesce(sum(points) FILTER (WHERE kind = "      \
	"'earn' OR (kind "                                                                                            \
	"= 'adjust' AND points > 0)), 0) AS issued, coalesce(-sum(points) FILTER (WHERE kind = 'reverse' OR (kind = " \
	"'adjust' "                                                                                                   \
	"AND points < 0)), 0) AS reversed, coalesce(-sum(points) FILTER (WHERE kind = 'redeem'), 0) AS redeemed, "    \
	"coalesce(-sum(points) FILTER (WHERE kind = 'expire'), 0) AS expired, max_by(balance, entry_no) AS last, "    \
	"count_if(balance <> due) AS wrong, min(CASE WHEN balance <> due THEN entry_no END) AS wrong_entry FROM "     \
	"(SELECT "                                                                                                    \
	"cust_id, ledger, entry_no, kind, points, balance, coalesce(lag(balance) OVER (PARTITION BY cust_id, ledger " \
	"ORDER BY "                                                                                                   \
	"entry_no, posted_at), 0) + points AS due FROM ledger WHERE ledger IS NOT NULL AND data_dt <= DATE '%s') AS " \
	"numbered GROUP BY "                                                                                          \
	"cust_id, ledger"

#define PAIRS                                                                                                         \
	"CACHE TABLE punchcard_audit_pairs AS SELECT * FROM (SELECT coalesce(s.cust_id, b.cust_id) AS cust_id, "      \
	"coalesce(s.ledger, "                                                                                         \
	"b.ledger) AS ledger, coalesce(s.issued - s.reversed, 0) AS a1, coalesce(b.earned, 0) AS a2, "                \
	"coalesce(s.redeemed, 0) AS "                                                                                 \
	"b1, coalesce(b.redeemed, 0) AS b2, coalesce(s.expired, 0) AS c1, coalesce(b.expired, 0) AS c2, "             \
	"coalesce(s.last, 0) AS "                                                                                     \
	"d1, coalesce(b.balance + b.pending, 0) AS d2, coalesce(s.issued - s.reversed - s.redeemed - s.expired, 0) "  \
	"AS e1, "                                                                                                     \
	"coalesce(s.last, 0) AS e2 FROM punchcard_audit_sums AS s FULL OUTER JOIN (SELECT * FROM balances WHERE "     \
	"data_dt = DATE "                                                                                             \
	"'%s') AS b ON s.cust_id = b.cust_id AND s.ledger = b.ledger) AS paired WHERE a1 <> a2 OR b1 <> b2 OR c1 <> " \
	"c2 OR d1 "                                                                                                   \
	"<> d2 OR e1 <> e2"

/* The same of rows whose balances are of other events. */
#define PAIRS_ALONE                                                                                                    \
	"CACHE TABLE punchcard_audit_pairs AS SELECT * FROM (SELECT cust_id, ledger, 0 AS a1, 0 AS a2, 0 AS b1, 0 AS " \
	"b2, 0 AS c1, 0 AS c2, 0 AS d1, 0 AS d2, issued - reversed - redeemed - expired AS e1, last AS e2 FROM "       \
	"punchcard_audit_sums) AS rows WHERE e1 <> e2"

/* Of one ledger, thousandths. */
#define THOUSANDTHS(what) "CAST(coalesce(sum(" what "), 0) * 1000 AS BIGINT) AS "
#define LEDGER_TOTALS                                                                                        \
	"SELECT ledger, " THOUSANDTHS("issued") "issued, " THOUSANDTHS("reversed") "reversed, " THOUSANDTHS( \
		"redeemed") "redeemed, " THOUSANDTHS("expired") "expired FROM punchcard_audit_sums GROUP BY ledger"
#define BALANCE_TOTALS                                                                                                \
	"SELECT ledger, " THOUSANDTHS("balance + debt") "spendable, " THOUSANDTHS("pending") "pending, " THOUSANDTHS( \
		"debt") "debt FROM balances WHERE data_dt = DATE '%s' GROUP BY ledger"

#define TOTALS_ALONE                                                                                                  \
	"SELECT ledger AS audit_sum, " THOUSANDTHS("issued") "issued, " THOUSANDTHS(                                  \
		"reversed") "reversed, " THOUSANDTHS("redeemed") "redeemed, " THOUSANDTHS("expired") "expired,"       \
												     " " THOUSANDTHS( \
													     "last") "spendable, 0 AS pending, 0 AS debt FROM punchcard_audit_sums GROUP BY ledger"

static int append_totals(const struct making *making, struct buf *sql)
{
	static const char *const NAMES[] = {"issued",    "reversed", "redeemed", "expired",
					    "spendable", "pending",  "debt"};
	if (making->auditing->report.ledger_alone)
		return buf_append_text(sql, TOTALS_ALONE);
	int rc = buf_append_text(sql, "SELECT coalesce(s.ledger, b.ledger) AS audit_sum");
	for (size_t i = 0; rc == 0 && i < sizeof(NAMES) / sizeof(NAMES[0]); i++)
		rc = buf_printf(sql, ", coalesce(%s, 0) AS %s", NAMES[i], NAMES[i]);
	return rc < 0 ? rc
		      : buf_printf(sql,
				   " FROM (" LEDGER_TOTALS ") AS s FULL OUTER JOIN (" BALANCE_TOTALS
				   ") AS b ON s.ledger = b.ledger",
				   making->date);
}

static int add_sums(struct making *making, struct error *err)
{
	struct buf *const sql = &making->sql;
	int rc = add(making, "adding up the ledger", buf_printf(sql, SUMS, making->date), false, err);
	if (rc == 0)
		rc = add(making, "adding up the ledger",
			 buf_printf(sql,
				    "SELECT cust_id AS audit_wrong, ledger, wrong_entry, wrong, sum(1) OVER () AS "
				    "customers FROM "
				    "punchcard_audit_sums WHERE wrong > 0 ORDER BY cust_id, ledger LIMIT %u",
				    AUDIT_TOLD_MAX),
			 true, err);
	if (rc == 0)
		rc = add(making, "adding up customers",
			 making->auditing->report.ledger_alone ? buf_append_text(sql, PAIRS_ALONE)
							       : buf_printf(sql, PAIRS, making->date),
			 false, err);
	if (rc == 0)
		rc = add(making, "adding up customers",
			 buf_printf(sql,
				    "SELECT cust_id AS audit_pair, ledger, CAST(a1 AS STRING) AS a1, CAST(a2 AS "
				    "STRING) AS a2, "
				    "CAST(b1 AS STRING) AS b1, CAST(b2 AS STRING) AS b2, CAST(c1 AS STRING) AS c1, "
				    "CAST(c2 AS STRING) "
				    "AS c2, CAST(d1 AS STRING) AS d1, CAST(d2 AS STRING) AS d2, CAST(e1 AS STRING) AS "
				    "e1, CAST(e2 AS "
				    "STRING) AS e2, sum(1) OVER () AS customers FROM punchcard_audit_pairs ORDER BY "
				    "cust_id, ledger "
				    "LIMIT %u",
				    AUDIT_TOLD_MAX),
			 true, err);
	return rc < 0 ? rc : add(making, "adding up all", append_totals(making, sql), true, err);
}

int audit_script_make(const struct cluster_auditing *auditing, struct spark_script **out, struct error *err)
{
	struct making making = {.auditing = auditing, .script = spark_script_new()};
	int rc = making.script ? 0 : error_no_memory(err, sizeof(making));
	civil_format(auditing->day, making.date);
	civil_format(auditing->state->day, making.newest);
	if (rc == 0)
		rc = add_tables(&making, err);
	if (rc == 0)
		rc = add_fold(&making, err);
	for (unsigned i = 0; rc == 0 && i < AUDIT_SHAPES; i++)
		if (!(AUDIT_SHAPE[i].by_day ? auditing->without_day : auditing->without_ledger))
			rc = add_comparison(&making, &AUDIT_SHAPE[i], i, err);
	if (rc == 0 && !auditing->without_ledger)
		rc = add_sums(&making, err);
	buf_release(&making.sql);
	if (rc < 0)
		spark_script_free(making.script);
	else
		*out = making.script;
	return rc;
}
