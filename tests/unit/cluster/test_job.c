/* The statements of a job: what stands in them, and in what order. */
#include "cluster/job.h"

#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define DAY 20000 /* 2024-10-04 */

struct bench {
	struct programme *programme;
	struct cluster_tables tables;
	struct cluster_job job;
	struct buf text;
};

static int set_up(void **state)
{
	struct bench *const bench = calloc(1, sizeof(*bench));
	assert_non_null(bench);
	bench->programme = programme_new();
	assert_non_null(bench->programme);
	assert_int_equal(tz_load("Europe/Berlin", &bench->programme->timezone, NULL), 0);
	bench->tables = (struct cluster_tables){
		.database = "punchcard", .warehouse = "hdfs://nn/o'neill\\x", .id_type = CUSTOMER_ID_TEXT};
	bench->job = (struct cluster_job){
		.tables = &bench->tables,
		.programme = bench->programme,
		.models_dir = PUNCHCARD_SOURCE_DIR "/models",
		.day = DAY,
	};
	*state = bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *const bench = *state;
	programme_free(bench->programme);
	buf_release(&bench->text);
	free(bench);
	return 0;
}

static const char *text_of(struct bench *bench, const struct cluster_from *from)
{
	struct spark_script *script = NULL;
	struct error err = {0};
	if (cluster_job_script(&bench->job, from, &script, &err) < 0)
		fail_msg("%s", err.message);
	buf_clear(&bench->text);
	assert_int_equal(spark_script_text(script, &bench->text), 0);
	spark_script_free(script);
	return buf_text(&bench->text);
}

/* The place of `part`, behind `from`. */
static const char *expect(const char *from, const char *part)
{
	const char *const at = strstr(from, part);
	if (!at)
		fail_msg("there is no '%s' in\n%s", part, from);
	return at ? at + 1 : from;
}

static void test_rebuild(void **state)
{
	struct bench *const bench = *state;
	const char *at = text_of(bench, NULL);
	assert_null(strstr(at, "CREATE TABLE punchcard_changed_days"));
	at = expect(at, "CREATE DATABASE IF NOT EXISTS `punchcard` LOCATION 'hdfs://nn/o\\'neill\\\\x/_punchcard';");
	at = expect(at, "CREATE EXTERNAL TABLE IF NOT EXISTS transactions_cln (event_id STRING, line_no INT, kind "
			"STRING, cust_id STRING, "
			"odr_menu STRING, ");
	at = expect(at, "PARTITIONED BY (data_dt DATE) STORED AS PARQUET LOCATION "
			"'hdfs://nn/o\\'neill\\\\x/transactions_cln';");
	at = expect(at, "MSCK REPAIR TABLE transactions_cln SYNC PARTITIONS;");
	at = expect(at, "CREATE EXTERNAL TABLE IF NOT EXISTS ledger (entry_no BIGINT, event_id STRING, cust_id STRING, "
			"posted_at TIMESTAMP, "
			"ledger STRING, kind STRING, points DECIMAL(18,3), lot DATE, ");
	at = expect(at, "DROP TABLE IF EXISTS punchcard_fold_rows;");
	at = expect(at, "INSERT OVERWRITE TABLE punchcard_fold_rows\nSELECT TRANSFORM (cust_id, kind, time_us, ");
	at = expect(at, "USING './punchcard-fold --programme programme.yaml --to 2024-10-04 --ids text'\nAS (kind "
			"STRING, cust_id STRING, n1 "
			"BIGINT, ");
	/* The end of the day in Berlin, and the partitions that may have its events. */
	at = expect(at, "odr_tms < timestamp_micros(1728079200000000) AND data_dt <= DATE '2024-10-06'");
	at = expect(at,
		    "DISTRIBUTE BY cust_id SORT BY cust_id, time_us NULLS FIRST, order_no, event_id, source, line_no");
	/* Nothing is overwritten before it was counted, and nothing but loyalty before the models were right. */
	const char *const overwrite = strstr(bench->text.data, "INSERT OVERWRITE TABLE loyalty");
	at = expect(at, "SELECT assert_true(");
	assert_true(at < overwrite);
	at = expect(at, "CACHE TABLE accounts AS\nSELECT cust_id");
	at = expect(at, "CACHE TABLE segments AS\n");
	assert_true(at < overwrite);
	at = expect(at, "CACHE TABLE punchcard_loyalty AS\n");
	assert_true(at < overwrite);
	at = expect(at, "INSERT OVERWRITE TABLE loyalty PARTITION (data_dt)\nSELECT made.*, DATE '2024-10-04' AS "
			"data_dt FROM punchcard_loyalty AS made");
	at = expect(at, "INSERT OVERWRITE TABLE ledger PARTITION (data_dt)\nSELECT /*+ REBALANCE(data_dt) */ * FROM "
			"(\nSELECT n1 AS entry_no, "
			"t1 AS event_id, cust_id, timestamp_micros(n2) AS posted_at, ");
	at = expect(at, "INSERT OVERWRITE TABLE balances PARTITION (data_dt)");
	at = expect(at, "INSERT OVERWRITE TABLE account_state PARTITION (data_dt)");
	at = expect(at, "unhex(t1) AS state");
	at = expect(at, "DROP TABLE IF EXISTS punchcard_fold_rows;");
}

static void test_refresh(void **state)
{
	struct bench *const bench = *state;
	const struct cut_edge old[] = {{"north", 17}};
	const struct cut_edge new[] = {{"north", 20}, {"o'neill", 3}};
	const struct cluster_cut old_cut = {old, 1};
	const struct cluster_cut new_cut = {new, 2};
	const struct cluster_from from = {.day = DAY - 3, .cut = &old_cut, .customers = 7};
	bench->job.cut = &new_cut;
	const char *at = text_of(bench, &from);
	at = expect(at, "assert_true(count(*) = 7,\n'punchcard: account_state of 2024-10-01 has not the rows");
	at = expect(
		at,
		"INSERT OVERWRITE TABLE punchcard_late SELECT DISTINCT cust_id FROM (SELECT * FROM (SELECT *, "
		"substring_index(substring_index(input_file_name(), '/', -1), '.', 1) AS file FROM transactions_cln "
		"WHERE cust_id IS NOT NULL AND odr_tms < "
		"timestamp_micros(1727820000000000) AND data_dt <= DATE '2024-10-03') AS rows WHERE true AND (CASE "
		"WHEN length(file) = 38 AND startswith(file, 'orders-north-') THEN right(file, 12) < '000000000020' "
		"WHEN length(file) = 40 AND startswith(file, 'orders-o\\'neill-') THEN right(file, 12) < "
		"'000000000003' "
		"ELSE false END) AND NOT (CASE "
		"WHEN length(file) = 38 AND startswith(file, 'orders-north-') THEN right(file, 12) < '000000000017' "
		"ELSE false END)");
	at = expect(at, "odr_tms >= timestamp_micros(1727820000000000) AND data_dt >= DATE '2024-09-30'");
	at = expect(at, "LEFT ANTI JOIN punchcard_late AS without");
	at = expect(at, "hex(state) AS state");
	at = expect(at, "states.data_dt = DATE '2024-10-01'");
	at = expect(at, "INSERT OVERWRITE TABLE punchcard_marked SELECT");
	at = expect(at, "INSERT INTO punchcard_fold_rows\nSELECT TRANSFORM");
	at = expect(at, "LEFT SEMI JOIN punchcard_marked AS only");
	at = expect(at, "SELECT assert_true(");
	at = expect(at, "INSERT OVERWRITE TABLE loyalty");
	at = expect(at, "CREATE TABLE punchcard_changed_days (data_dt DATE) USING parquet");
	at = expect(at, "INSERT OVERWRITE TABLE ledger PARTITION (data_dt)\nSELECT /*+ REBALANCE(data_dt) */ * FROM "
			"(\nSELECT * FROM "
			"punchcard_ledger_days");

	/* States that know all files: nobody came late. A ledger of a later day is left alone. */
	const struct cluster_from all = {.day = DAY - 3};
	bench->job.keeps_ledger = true;
	at = text_of(bench, &all);
	expect(at, "WHERE cust_id IS NOT NULL AND false)");
	assert_null(strstr(at, "INSERT OVERWRITE TABLE ledger"));
	assert_null(strstr(at, "assert_true(count(*) = "));
	assert_null(strstr(at, "'ledger' AS table_name"));
	at = expect(at, "AS vanished, 'loyalty' AS table_name WHERE NOT EXISTS (SELECT 1 FROM punchcard_loyalty) AND "
			"EXISTS (SELECT 1 FROM loyalty WHERE data_dt = DATE '2024-10-04')");
	expect(at, "'account_state' AS table_name WHERE NOT EXISTS (SELECT 1 FROM punchcard_fold_rows WHERE kind = ");
}

static void test_values(void **state)
{
	(void)state;
	static const char *const EXPECTED[] = {
		[FOLD_BIGINT] = "n3",
		[FOLD_INTEGER] = "CAST(n3 AS INT)",
		[FOLD_DATE] = "date_from_unix_date(CAST(n3 AS INT))",
		[FOLD_TIMESTAMP] = "timestamp_micros(n3)",
		[FOLD_DECIMAL_18_2] = "CAST(n3 * 0.01BD AS DECIMAL(18,2))",
		[FOLD_DECIMAL_18_3] = "CAST(n3 * 0.001BD AS DECIMAL(18,3))",
		[FOLD_TEXT] = "n3",
		[FOLD_BYTES] = "unhex(n3)",
	};
	for (unsigned i = 0; i < sizeof(EXPECTED) / sizeof(EXPECTED[0]); i++) {
		_cleanup_buf_ struct buf out = {0};
		assert_int_equal(cluster_value(&out, (struct output_place){'n', 3}, i), 0);
		assert_string_equal(buf_text(&out), EXPECTED[i]);
	}
}

static void test_a_model_that_is_missing(void **state)
{
	struct bench *const bench = *state;
	struct spark_script *script = NULL;
	struct error err = {0};
	bench->job.models_dir = "/nowhere";
	assert_int_equal(cluster_job_script(&bench->job, NULL, &script, &err), ERROR_NOT_FOUND);
	assert_non_null(strstr(err.message, "/nowhere/segments.sql"));
	assert_null(script);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_rebuild),
		TEST(test_refresh),
		TEST(test_a_model_that_is_missing),
		cmocka_unit_test(test_values),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
