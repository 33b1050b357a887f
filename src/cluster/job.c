/* A job's run: what Spark gives back, and what is left to do then. */
#include "base/tz.h"
#include "cluster/job_internal.h"

#include <stdlib.h>

#define VANISHED_MAX 100000u

struct run {
	const struct cluster_job *job;
	struct cluster_report report;
	int32_t *vanished;
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

static int take_row(void *context, unsigned statement, struct slice json, struct error *err)
{
	struct run *const run = context;
	int64_t day;
	(void)statement;
	if (spark_json_get_int(json, "vanished", &day)) {
		if (run->n_vanished == VANISHED_MAX)
			return error_set(err, ERROR_LIMIT, "the ledger has more than %u days that it should not have",
					 VANISHED_MAX);
		int32_t *const days = realloc(run->vanished, (run->n_vanished + 1) * sizeof(*days));
		if (!days)
			return error_no_memory(err, sizeof(*days));
		run->vanished = days;
		run->vanished[run->n_vanished++] = (int32_t)day;
		return 0;
	}
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

/* Days of the ledger that have no rows any more. */
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
		char date[11];
		civil_format(run->vanished[i], date);
		buf_clear(&sql);
		rc = buf_printf(&sql,
				"INSERT OVERWRITE TABLE ledger PARTITION (data_dt = '%s') SELECT NULL, NULL, NULL, "
				"NULL, NULL, NULL, NULL, "
				"NULL, NULL, NULL, NULL, NULL WHERE false",
				date);
		rc = rc < 0 || !buf_text(&sql) ? error_no_memory(err, sql.len)
					       : spark_script_add(script, "emptying days of the ledger", sql.data, err);
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
	options.n_files = sizeof(shipped->files) / sizeof(shipped->files[0]);
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
