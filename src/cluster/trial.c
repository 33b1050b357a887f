#include "cluster/trial.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/tz.h"
#include "cluster/job_internal.h"
#include "cluster/session.h"

#include <stdlib.h>
#include <string.h>

#define TRIED     "punchcard_tried"
#define TRIAL_DAY "2024-02-29"

static const char *const STEP_WHAT[] = {
	[TRIAL_START] = "starting Spark",
	[TRIAL_METASTORE] = "asking the metastore",
	[TRIAL_FOLD] = "the kernel on an executor",
};

struct trying {
	struct cluster_trial *trial;
	struct cluster_session session;
	enum trial_step step;
	int64_t begun_us;
	int64_t step_us; /* when the step began */
	int64_t limit_us;
	int64_t rows; /* that the kernel has read; -1: it did not say */
};

static void go_to(struct trying *trying, enum trial_step step)
{
	const int64_t now_us = clock_monotonic_us();
	trying->trial->took_us[trying->step] += now_us - trying->step_us;
	trying->step_us = now_us;
	trying->step = step;
}

static bool tell(void *context, const struct spark_progress *progress)
{
	struct trying *const trying = context;
	for (enum trial_step step = trying->step; step < TRIAL_DONE; step++)
		if (strcmp(progress->what, STEP_WHAT[step]) == 0 && step != trying->step)
			go_to(trying, step);
	return clock_monotonic_us() - trying->begun_us < trying->limit_us &&
	       trying->session.spark.progress(trying->session.spark.context, progress);
}

static int take_row(void *context, unsigned statement, struct slice json, struct error *err)
{
	struct trying *const trying = context;
	(void)statement;
	(void)err;
	/* Only the kernel's own words are rows here. */
	(void)spark_json_get_int(json, "rows_read", &trying->rows);
	return 0;
}

/* One order, as a table of the session. */
static int add_order(struct spark_script *script, const struct cluster_session *session, struct error *err)
{
	const bool is_text = session->tables.id_type == CUSTOMER_ID_TEXT;
	_cleanup_free_ char *sql =
		text_printf("CREATE OR REPLACE TEMPORARY VIEW transactions_cln AS SELECT 'doctor:1' AS event_id, 1 AS "
			    "line_no, 'order' AS "
			    "kind, CAST(1 AS %s) AS cust_id, TIMESTAMP '" TRIAL_DAY
			    " 12:00:00' AS odr_tms, 'doctor' AS source, 'tea' AS "
			    "odr_menu, CAST(NULL AS STRING) AS odr_sku, CAST(1 AS DECIMAL(18,3)) AS odr_qty, CAST(1 AS "
			    "DECIMAL(18,2)) AS "
			    "odr_amt, CAST(NULL AS STRING) AS order_id, CAST(NULL AS DECIMAL(18,3)) AS points, "
			    "CAST(NULL AS STRING) AS "
			    "ledger, CAST(NULL AS STRING) AS reward, CAST(NULL AS STRING) AS decision",
			    is_text ? "STRING" : "BIGINT");
	return sql ? spark_script_add(script, STEP_WHAT[TRIAL_FOLD], sql, err) : error_no_memory(err, LIMIT_PATH_BYTES);
}

static int add_fold(struct spark_script *script, const struct cluster_session *session, struct error *err)
{
	const bool is_text = session->tables.id_type == CUSTOMER_ID_TEXT;
	_cleanup_buf_ struct buf sql = {0};
	_cleanup_free_ char *program =
		text_printf("./" SHIP_PROGRAM " --programme " SHIP_PROGRAMME " --to " TRIAL_DAY " --ids %s",
			    is_text ? "text" : "integer");
	const struct fold_query query = {
		.id_type = session->tables.id_type, .program = program, .events = {.condition = "true"}};
	int rc =
		program ? buf_printf(
				  &sql,
				  "SELECT CAST(sum(CASE WHEN kind = '%s' THEN n%u END) AS BIGINT) AS rows_read FROM (",
				  OUTPUT_TABLE[OUTPUT_COUNTS].name, output_place(OUTPUT_COUNTS, COUNT_ROWS_READ).number)
			: ERROR_NO_MEMORY;
	if (rc == 0)
		rc = fold_query_sql(&query, &sql);
	if (rc == 0)
		rc = buf_append_text(&sql, ") AS folded");
	return rc < 0 || !buf_text(&sql) ? error_no_memory(err, sql.len)
					 : spark_script_add_rows(script, STEP_WHAT[TRIAL_FOLD], sql.data, err);
}

static int make_script(struct spark_script *script, const struct cluster_session *session, struct error *err)
{
	int rc = script ? 0 : error_no_memory(err, sizeof(void *));
	if (rc == 0)
		rc = spark_script_add(script, STEP_WHAT[TRIAL_METASTORE], "SHOW DATABASES", err);
	if (rc == 0)
		rc = add_order(script, session, err);
	return rc < 0 ? rc : add_fold(script, session, err);
}

/* What was over before it was looked at: of an error the message says where it was. */
static void find_step(struct trying *trying, int rc, const struct error *err)
{
	for (enum trial_step step = trying->step + 1; step < TRIAL_DONE; step++)
		if (rc == 0 || strstr(err->message, STEP_WHAT[step]))
			go_to(trying, step);
}

static int run(struct trying *trying, const struct cluster_job *job, struct error *err)
{
	struct shipped shipped = {0};
	struct spark_options spark = trying->session.spark;
	struct spark_script *const script = spark_script_new();
	int rc = make_script(script, &trying->session, err);
	if (rc == 0)
		rc = ship_open(job, &shipped, err);
	spark.files = (const char *const *)shipped.files;
	spark.n_files = shipped.n_files;
	spark.row = take_row;
	spark.progress = tell;
	spark.context = trying;
	if (rc == 0) {
		rc = spark_run(&spark, script, err);
		find_step(trying, rc, err);
	}
	if (rc == 0 && trying->rows != 1)
		rc = error_set(err, ERROR_CORRUPT, "one order was given to punchcard-fold, and it has read %lld",
			       (long long)trying->rows);
	spark_script_free(script);
	ship_close(&shipped);
	return rc;
}

int cluster_try_spark(const struct deployment *deployment, const char *programme_path, unsigned limit_s,
		      struct cluster_trial *trial, struct error *err)
{
	struct trying trying = {.trial = trial,
				.begun_us = clock_monotonic_us(),
				.step_us = clock_monotonic_us(),
				.limit_us = (int64_t)limit_s * 1000000,
				.rows = -1};
	_cleanup_free_ char *fold = NULL;
	*trial = (struct cluster_trial){0};
	int rc = cluster_find_fold(&fold, err);
	if (rc == 0)
		rc = cluster_session_open(deployment, "doctor", &trying.session, err);
	const struct cluster_job job = {.tables = &trying.session.tables,
					.programme = deployment->programme,
					.programme_path = programme_path,
					.fold_path = fold,
					.spark = trying.session.spark};
	if (rc == 0)
		rc = run(&trying, &job, err);
	cluster_session_close(&trying.session);
	go_to(&trying, trying.step);
	trial->failed = rc < 0 ? trying.step : TRIAL_DONE;
	if (rc == ERROR_INTERRUPTED && clock_monotonic_us() - trying.begun_us >= trying.limit_us)
		return error_set(err, ERROR_LIMIT, "not through within %u s: %s", limit_s, STEP_WHAT[trying.step]);
	return rc;
}
