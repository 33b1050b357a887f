/* The statements of an audit. */
#include "cluster/audit_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DAY 20000 /* 2024-10-04 */

/* The place of `part`, behind `from`. */
static const char *expect(const char *from, const char *part)
{
	const char *const at = strstr(from, part);
	if (!at)
		fail_msg("there is no '%s' in\n%s", part, from);
	return at ? at + 1 : from;
}

static void test_statements(void **state)
{
	(void)state;
	static const struct cut_edge EDGES[] = {{"north", 20}};
	static const struct made_state STATE = {.day = DAY, .customers = 5};
	struct programme *const programme = programme_new();
	struct error err = {0};
	struct spark_script *script = NULL;
	_cleanup_buf_ struct buf text = {0};
	assert_non_null(programme);
	assert_int_equal(tz_load("Europe/Berlin", &programme->timezone, NULL), 0);
	struct cluster_auditing auditing = {
		.session.tables = {.warehouse = "hdfs://nn/w", .database = "d", .id_type = CUSTOMER_ID_TEXT},
		.state = &STATE,
		.day = DAY,
		.cut = {EDGES, 1},
		.job.programme = programme,
		.job.day = DAY,
	};
	auditing.side.url = text_printf("hdfs://nn/w/_side/e-1");
	assert_int_equal(audit_script_make(&auditing, &script, &err), 0);
	assert_int_equal(spark_script_text(script, &text), 0);
	const char *at = buf_text(&text);
	/* Nothing of the metastore, nothing written but beside the tables. */
	assert_null(strstr(at, "USE `"));
	assert_null(strstr(at, "INSERT OVERWRITE TABLE"));
	at = expect(at,
		    "CREATE OR REPLACE TEMPORARY VIEW transactions_cln (event_id STRING, line_no INT, kind STRING, ");
	at = expect(at, ", data_dt DATE) USING parquet OPTIONS (path 'hdfs://nn/w/transactions_cln');");
	at = expect(at, "TEMPORARY VIEW loyalty (");
	at = expect(at, "INSERT OVERWRITE DIRECTORY 'hdfs://nn/w/_side/e-1' USING parquet\nSELECT TRANSFORM (");
	at = expect(
		at,
		" WHEN length(file) = 38 AND startswith(file, 'orders-north-') THEN right(file, 12) < '000000000020'");
	at = expect(at, "SELECT assert_true(");
	at = expect(at,
		    "CACHE TABLE punchcard_audit_ledger AS WITH there AS (SELECT CAST(cust_id AS STRING) AS cust_id, "
		    "CAST(entry_no AS STRING) AS entry_no, ");
	at = expect(
		at,
		" FROM ledger WHERE (data_dt <= DATE '2024-10-04' OR data_dt > DATE '2024-10-04')), due AS (SELECT ");
	at = expect(at, "ON true AND extra.cust_id = lacking.cust_id AND extra.entry_no = lacking.entry_no;");
	at = expect(at, "concat(length(state), ' bytes, ', hex(xxhash64(state))) AS state");
	at = expect(at, " FROM account_state WHERE data_dt = DATE '2024-10-04'), due AS (SELECT ");
	at = expect(at, "SELECT *, spend AS spnd_amt FROM (");
	at = expect(at, "CACHE TABLE punchcard_audit_sums AS SELECT cust_id, ledger, ");
	at = expect(at,
		    "CAST(coalesce(sum(expired), 0) * 1000 AS BIGINT) AS expired FROM punchcard_audit_sums GROUP BY "
		    "ledger) AS s FULL OUTER JOIN (SELECT ledger, ");
	expect(at,
	       "AS debt FROM balances WHERE data_dt = DATE '2024-10-04' GROUP BY ledger) AS b ON s.ledger = b.ledger");
	spark_script_free(script);
	free(auditing.side.url);
	programme_free(programme);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_statements)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
