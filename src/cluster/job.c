/* A job's run: what Spark gives back, and what is left to do then. */
#include "base/tz.h"
#include "cluster/job_internal.h"

#include <stdlib.h>
#include <string.h>

#define VANISHED_MAX 100000u

struct vanished {
	const char *table;
	int32_t day;
};

struct run {
	const struct cluster_job *job;
	struct cluster_report report;
	struct vanished *vanished;
	unsigned n_vanished;
};

static int take_counts(struct run *run, struct slice json)
{
	struct cluster_report *const report = &run->report;
	const struct {
		const char *key;
		int64_t *to;
	} numbers[] = {
		{"rows_read", &report->rows}, {"customers", &report->customers},
		{"events", &report->events},  {"ledger_rows", &report->postings},
		{"whole", &report->marked},   {"rewritten", &report->rewritten},
	};
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (!spark_json_get_int(json, numbers[i].key, numbers[i].to))
			return ERROR_CORRUPT;
	for (unsigned i = REJECT_NONE + 1; i <= REJECT_MAX; i++)
		if (!spark_json_get_int(json, reject_reason_name(i), &report->rejected[i]))
			return ERROR_CORRUPT;
	return 0;
}

static int take_vanished(struct run *run, int64_t day, struct slice json, struct error *err)
{
	static const char *const TABLES[] = {"ledger", "loyalty", "balances", "account_state"};
	_cleanup_buf_ struct buf name = {0};
	if (run->n_vanished == VANISHED_MAX)
		return error_set(err, ERROR_LIMIT, "tables have more than %u days that they should not have",
				 VANISHED_MAX);
	struct vanished *const list = realloc(run->vanished, (run->n_vanished + 1) * sizeof(*list));
	if (!list)
		return error_no_memory(err, sizeof(*list));
	run->vanished = list;
	if (spark_json_get(json, "table_name", &name))
		for (size_t i = 0; i < sizeof(TABLES) / sizeof(TABLES[0]); i++)
			if (slice_is((struct slice){name.data, name.len}, TABLES[i])) {
				list[run->n_vanished++] = (struct vanished){TABLES[i], (int32_t)day};
				return 0;
			}
	return error_set(err, ERROR_CORRUPT, "Spark printed a day without a table");
}

static int take_row(void *context, unsigned statement, struct slice json, struct error *err)
{
	struct run *const run = context;
	int64_t day;
	(void)statement;
	if (spark_json_get_int(json, "vanished", &day))
		return take_vanished(run, day, json, err);
	return take_counts(run, json) < 0
		       ? error_set(err, ERROR_CORRUPT, "Spark printed '%.*s' where counts were asked for",
				   (int)(json.len < 200 ? json.len : 200), json.data)
		       : 0;
}

static bool tell(void *context, const struct spark_progress *progress)
{
	const struct run *const run = context;
	return !run->job->progress || run->job->progress(run->job->context, progress);
}

static struct spark_options options_of(struct run *run)
{
	struct spark_options options = run->job->spark;
	options.row = take_row;
	options.progress = tell;
	options.context = run;
	return options;
}

/* "INSERT OVERWRITE TABLE … SELECT NULL, NULL … WHERE false" */
static int empty_sql(const struct run *run, const struct vanished *vanished, struct buf *sql)
{
	char date[11];
	_cleanup_buf_ struct buf columns = {0};
	civil_format(vanished->day, date);
	int rc = cluster_columns(&columns, run->job->tables, vanished->table);
	if (rc == 0)
		rc = buf_printf(sql, "INSERT OVERWRITE TABLE %s PARTITION (data_dt = '%s') SELECT NULL",
				vanished->table, date);
	/* Between columns stands ", ". */
	for (const char *at = buf_text(&columns); rc == 0 && at && (at = strstr(at, ", ")); at++)
		rc = buf_append_text(sql, ", NULL");
	return rc < 0 ? rc : buf_append_text(sql, " WHERE false");
}

/* Days that have no rows any more. */
static int empty_days(struct run *run, struct error *err)
{
	struct spark_script *const script = spark_script_new();
	_cleanup_buf_ struct buf sql = {0};
	if (!script)
		return error_no_memory(err, sizeof(void *));
	int rc = buf_printf(&sql, "USE `%s`", run->job->tables->database);
	rc = rc < 0 || !buf_text(&sql) ? error_no_memory(err, sql.len)
				       : spark_script_add(script, "the database", sql.data, err);
	for (unsigned i = 0; rc == 0 && i < run->n_vanished; i++) {
		buf_clear(&sql);
		rc = empty_sql(run, &run->vanished[i], &sql);
		rc = rc < 0 || !buf_text(&sql) ? error_no_memory(err, sql.len)
					       : spark_script_add(script, "emptying days", sql.data, err);
	}
	const struct spark_options options = options_of(run);
	if (rc == 0)
		rc = spark_run(&options, script, err);
	spark_script_free(script);
	return rc;
}

static int run_job(struct run *run, const struct cluster_from *from, const struct shipped *shipped, struct error *err)
{
	struct spark_script *script = NULL;
	struct spark_options options = options_of(run);
	options.files = (const char *const *)shipped->files;
	options.n_files = shipped->n_files;
	int rc = cluster_job_script(run->job, from, &script, err);
	if (rc == 0)
		rc = spark_run(&options, script, err);
	spark_script_free(script);
	if (rc == 0 && run->n_vanished)
		rc = empty_days(run, err);
	return rc;
}

static int run_with(const struct cluster_job *job, const struct cluster_from *from, struct cluster_report *report,
		    struct error *err)
{
	struct run run = {.job = job};
	struct shipped shipped = {0};
	int rc = ship_open(job, &shipped, err);
	if (rc == 0)
		rc = run_job(&run, from, &shipped, err);
	ship_close(&shipped);
	run.report.vanished = run.n_vanished;
	free(run.vanished);
	if (rc == 0)
		*report = run.report;
	return rc;
}

int cluster_rebuild(const struct cluster_job *job, struct cluster_report *report, struct error *err)
{
	return run_with(job, NULL, report, err);
}

int cluster_refresh(const struct cluster_job *job, const struct cluster_from *from, struct cluster_report *report,
		    struct error *err)
{
	return run_with(job, from, report, err);
}
