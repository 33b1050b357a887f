#include "cluster/simulate_internal.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/tz.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define POINTS_VIEW "punchcard_changes"

static const char *const SIDE_NAME[SIMULATE_SIDES] = {[SIMULATE_TODAY] = "today", [SIMULATE_OTHER] = "other"};

unsigned simulated_points(enum simulated_points points, unsigned side)
{
	return output_place(OUTPUT_SIMULATED, COLUMN_POINTS + points * SIMULATE_SIDES + side).number;
}

unsigned simulated_text(unsigned column)
{
	return output_place(OUTPUT_SIMULATED, column).number;
}

/* ---- statements ---- */

static int add(struct simulate_run *run, const char *what, int rc, bool rows, struct error *err)
{
	if (rc < 0 || !buf_text(&run->sql))
		return error_no_memory(err, run->sql.len);
	rc = rows ? spark_script_add_rows(run->script, what, run->sql.data, err)
		  : spark_script_add(run->script, what, run->sql.data, err);
	buf_clear(&run->sql);
	return rc;
}

static int add_fold(struct simulate_run *run, struct error *err)
{
	const bool is_text = run->id_type == CUSTOMER_ID_TEXT;
	char date[11];
	civil_format(run->options->data_dt, date);
	_cleanup_free_ char *condition = job_condition(&run->job, DAY_MIN, run->options->data_dt);
	_cleanup_free_ char *program =
		text_printf("./" SHIP_PROGRAM " --programme " SHIP_PROGRAMME " --to %s --ids %s --simulate " SHIP_OTHER,
			    date, is_text ? "text" : "integer");
	if (!condition || !program)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	const struct fold_query query = {
		.id_type = run->id_type,
		.program = program,
		.events = {.condition = condition, .cut = &run->session.cut},
	};
	const int rc = cluster_side_add_table(run->script, &run->session, "transactions_cln", err);
	return rc < 0 ? rc
		      : cluster_side_add_fold(run->script, &run->side, "folding the history by both programmes", &query,
					      err);
}

static int add_ledgers(struct simulate_run *run, struct error *err)
{
	static const char *const NAMES[] = {
		[POINTS_ISSUED] = "issued",   [POINTS_REVERSED] = "reversed",       [POINTS_REDEEMED] = "redeemed",
		[POINTS_EXPIRED] = "expired", [POINTS_OUTSTANDING] = "outstanding", [POINTS_PENDING] = "pending",
		[POINTS_DEBT] = "debt"};
	const unsigned ledger = simulated_text(COLUMN_LEDGER);
	int rc = buf_printf(&run->sql, "SELECT t%u AS ledger", ledger);
	for (unsigned i = POINTS_ISSUED; i <= POINTS_DEBT; i++)
		for (unsigned side = 0; rc == 0 && side < SIMULATE_SIDES; side++)
			rc = buf_printf(&run->sql, ", coalesce(sum(n%u), 0) AS %s_%s", simulated_points(i, side),
					NAMES[i], SIDE_NAME[side]);
	if (rc == 0)
		rc = buf_printf(&run->sql, " FROM " FOLD_ROWS_TABLE " WHERE kind = '%s' GROUP BY t%u",
				OUTPUT_TABLE[OUTPUT_SIMULATED].name, ledger);
	return add(run, "sums by ledger", rc, true, err);
}

static int add_counts(struct simulate_run *run, struct error *err)
{
	struct buf *const sql = &run->sql;
	int rc = buf_printf(sql,
			    "SELECT coalesce(sum(CASE WHEN kind = 'counts' THEN n%u END), 0) AS customers, "
			    "coalesce(sum(CASE WHEN kind = 'counts' THEN n%u END), 0) AS events",
			    output_place(OUTPUT_COUNTS, COUNT_CUSTOMERS).number,
			    output_place(OUTPUT_COUNTS, COUNT_EVENTS).number);
	for (unsigned i = 1; rc == 0 && i <= REJECT_MAX; i++)
		rc = buf_printf(sql,
				", coalesce(sum(CASE WHEN kind = 'counts' THEN n%u END), 0) AS rejected_today_%u, "
				"coalesce(sum(CASE WHEN kind = '%s' THEN n%u END), 0) AS rejected_other_%u",
				output_place(OUTPUT_COUNTS, COUNT_REJECTED + i - 1).number, i,
				OUTPUT_TABLE[OUTPUT_COUNTS_OTHER].name, output_place(OUTPUT_COUNTS_OTHER, i - 1).number,
				i);
	if (rc == 0)
		rc = buf_append_text(sql, " FROM " FOLD_ROWS_TABLE);
	return add(run, "counts", rc, true, err);
}

/* One of the rows that a customer has for each ledger. */
static int append_first_ledger(struct simulate_run *run)
{
	int rc = buf_printf(&run->sql, " FROM " FOLD_ROWS_TABLE " WHERE kind = '%s' AND t%u = ",
			    OUTPUT_TABLE[OUTPUT_SIMULATED].name, simulated_text(COLUMN_LEDGER));
	return rc == 0 ? cluster_quote(&run->sql, run->report.ledgers[0].name) : rc;
}

static int add_tiers(struct simulate_run *run, struct error *err)
{
	const unsigned today = simulated_text(COLUMN_TIER);
	const unsigned other = simulated_text(COLUMN_TIER + 1);
	int rc = buf_printf(&run->sql, "SELECT t%u AS tier_today, t%u AS tier_other, count(*) AS tier_customers", today,
			    other);
	if (rc == 0)
		rc = append_first_ledger(run);
	if (rc == 0)
		rc = buf_printf(&run->sql, " GROUP BY t%u, t%u", today, other);
	return add(run, "tiers", rc, true, err);
}

/* What each customer has by both programmes in the ledgers that are compared. */
static int add_changes(struct simulate_run *run, struct error *err)
{
	struct buf *const sql = &run->sql;
	int rc = buf_append_text(sql, "CACHE TABLE " POINTS_VIEW " AS SELECT cust_id, before, after, after - before AS "
				      "difference FROM (SELECT cust_id");
	for (unsigned side = 0; side < SIMULATE_SIDES; side++) {
		if (rc == 0)
			rc = buf_printf(sql, ", sum(CASE WHEN t%u = ", simulated_text(COLUMN_LEDGER));
		if (rc == 0)
			rc = cluster_quote(sql, run->report.ledgers[run->report.compared[side]].name);
		if (rc == 0)
			rc = buf_printf(sql, " THEN coalesce(n%u, 0) ELSE 0 END) AS %s",
					simulated_points(POINTS_HELD, side),
					side == SIMULATE_TODAY ? "before" : "after");
	}
	if (rc == 0)
		rc = buf_printf(sql, " FROM " FOLD_ROWS_TABLE " WHERE kind = '%s' GROUP BY cust_id) AS held",
				OUTPUT_TABLE[OUTPUT_SIMULATED].name);
	rc = add(run, "changes", rc, false, err);
	if (rc < 0)
		return rc;
	rc = buf_printf(
		sql,
		"SELECT change_kind, count(*) AS change_customers FROM (SELECT CASE WHEN difference = 0 THEN %d WHEN "
		"difference < 0 THEN %d - size ELSE %d + size END AS change_kind FROM (SELECT difference, CASE WHEN "
		"abs(difference) > 100000 THEN 3 WHEN abs(difference) >= 10000 THEN 2 WHEN abs(difference) >= 1000 "
		"THEN 1 ELSE 0 END AS size FROM " POINTS_VIEW ") AS sized) AS kinds GROUP BY change_kind",
		CHANGE_NONE, CHANGE_LOSES_UNDER_1, CHANGE_GAINS_UNDER_1);
	return add(run, "how many gain and lose", rc, true, err);
}

/* By nearest rank, in whole numbers: of each difference how many customers have it or less. */
static int add_quantiles(struct simulate_run *run, struct error *err)
{
	struct buf *const sql = &run->sql;
	int rc = buf_append_text(
		sql, "WITH counted AS (SELECT difference, count(*) AS n FROM " POINTS_VIEW
		     " GROUP BY difference), ranked AS (SELECT difference, sum(n) OVER (ORDER BY difference) AS upto, "
		     "sum(n) OVER () AS total FROM counted) SELECT 1 AS quantiles");
	for (unsigned i = 0; rc == 0 && i < SIMULATE_QUANTILES; i++)
		rc = buf_printf(
			sql,
			", coalesce(min(CASE WHEN upto * 100 >= total * %u THEN difference END), 0) AS quantile_%u",
			SIMULATE_QUANTILE[i], i);
	if (rc == 0)
		rc = buf_append_text(sql, " FROM ranked");
	rc = add(run, "quantiles", rc, true, err);
	return rc < 0 ? rc
		      : add(run, "who loses most",
			    buf_printf(sql,
				       "SELECT cust_id AS loser, before, after FROM " POINTS_VIEW
				       " WHERE difference < 0 ORDER BY difference, cust_id LIMIT %u",
				       SIMULATE_LOSERS),
			    true, err);
}

/* ---- rows ---- */

static bool get_count(struct slice json, const char *key, uint64_t *out)
{
	int64_t value;
	if (!spark_json_get_int(json, key, &value) || value < 0)
		return false;
	*out = (uint64_t)value;
	return true;
}

static bool take_ledger(struct simulate_run *run, struct slice name, struct slice json)
{
	struct simulate_ledger *ledger = run->report.ledgers;
	const struct simulate_ledger *const end = ledger + run->report.n_ledgers;
	while (ledger < end && !slice_is(name, ledger->name))
		ledger++;
	if (ledger == end)
		return false;
	struct simulate_points *const today = &ledger->side[SIMULATE_TODAY];
	struct simulate_points *const other = &ledger->side[SIMULATE_OTHER];
	const struct {
		const char *key;
		int64_t *to;
	} numbers[] = {
		{"issued_today", &today->issued_milli},
		{"issued_other", &other->issued_milli},
		{"reversed_today", &today->reversed_milli},
		{"reversed_other", &other->reversed_milli},
		{"redeemed_today", &today->redeemed_milli},
		{"redeemed_other", &other->redeemed_milli},
		{"expired_today", &today->expired_milli},
		{"expired_other", &other->expired_milli},
		{"outstanding_today", &today->outstanding_milli},
		{"outstanding_other", &other->outstanding_milli},
		{"pending_today", &today->pending_milli},
		{"pending_other", &other->pending_milli},
		{"debt_today", &today->debt_milli},
		{"debt_other", &other->debt_milli},
	};
	bool good = true;
	for (size_t i = 0; good && i < sizeof(numbers) / sizeof(numbers[0]); i++)
		good = spark_json_get_int(json, numbers[i].key, numbers[i].to);
	return good;
}

static bool take_counts(struct simulate_run *run, struct slice json)
{
	struct simulate_report *const report = &run->report;
	bool good = get_count(json, "events", &report->events);
	for (unsigned side = 0; side < SIMULATE_SIDES; side++)
		for (unsigned i = 1; good && i <= REJECT_MAX; i++) {
			_cleanup_free_ char *key = text_printf("rejected_%s_%u", SIDE_NAME[side], i);
			good = key && get_count(json, key, &report->rejected[side][i]);
			report->rejected[side][REJECT_NONE] += report->rejected[side][i];
		}
	return good;
}

static unsigned level_of(const struct programme *programme, struct slice json, const char *key)
{
	_cleanup_buf_ struct buf name = {0};
	if (spark_json_get(json, key, &name))
		for (unsigned i = 0; i < programme->tiers.n_levels; i++)
			if (slice_is((struct slice){name.data, name.len}, programme->tiers.levels[i].name))
				return i;
	return 0;
}

static bool take_quantiles(struct simulate_run *run, struct slice json)
{
	bool good = true;
	for (unsigned i = 0; good && i < SIMULATE_QUANTILES; i++) {
		_cleanup_free_ char *key = text_printf("quantile_%u", i);
		good = key && spark_json_get_int(json, key, &run->report.quantiles[i]);
	}
	return good;
}

static bool take_loser(struct simulate_run *run, struct slice text, struct slice json)
{
	struct simulate_report *const report = &run->report;
	struct simulate_customer *const loser = &report->losers[report->n_losers];
	if (report->n_losers == SIMULATE_LOSERS || text.len > sizeof(loser->text))
		return false;
	if (run->id_type == CUSTOMER_ID_TEXT) {
		loser->text_len = (uint32_t)text.len;
		if (text.len)
			memcpy(loser->text, text.data, text.len);
	} else if (!spark_json_get_int(json, "loser", &loser->number)) {
		return false;
	}
	report->n_losers++;
	return spark_json_get_int(json, "before", &loser->before_milli) &&
	       spark_json_get_int(json, "after", &loser->after_milli);
}

static bool take(struct simulate_run *run, struct slice json)
{
	struct simulate_report *const report = &run->report;
	_cleanup_buf_ struct buf text = {0};
	uint64_t n;
	int64_t kind;
	if (spark_json_get(json, "ledger", &text))
		return take_ledger(run, (struct slice){text.data, text.len}, json);
	if (get_count(json, "customers", &report->customers))
		return take_counts(run, json);
	if (get_count(json, "tier_customers", &n)) {
		report->tiers[level_of(run->programmes[SIMULATE_TODAY], json, "tier_today")]
			     [level_of(run->programmes[SIMULATE_OTHER], json, "tier_other")] += n;
		return true;
	}
	if (spark_json_get_int(json, "change_kind", &kind))
		return kind >= 0 && kind < CHANGE_KINDS && get_count(json, "change_customers", &report->changes[kind]);
	if (spark_json_get_int(json, "quantiles", &kind))
		return take_quantiles(run, json);
	return spark_json_get(json, "loser", &text) && take_loser(run, (struct slice){text.data, text.len}, json);
}

static int take_row(void *context, unsigned statement, struct slice json, struct error *err)
{
	(void)statement;
	return take(context, json) ? 0
				   : error_set(err, ERROR_CORRUPT, "Spark printed '%.*s' where sums were asked for",
					       (int)(json.len < 200 ? json.len : 200), json.data);
}

static bool tell(void *context, const struct spark_progress *progress)
{
	const struct simulate_run *const run = context;
	if (run->hooks && run->hooks->spark)
		run->hooks->spark(run->hooks->context, progress);
	return (!run->options->progress || run->options->progress(run->options->progress_context, 0, 0)) &&
	       run->session.spark.progress(run->session.spark.context, progress);
}

/* ---- the run ---- */

static int make_script(struct simulate_run *run, struct error *err)
{
	static int (*const PARTS[])(struct simulate_run * run, struct error * err) = {
		add_fold, add_ledgers, add_counts, add_tiers, add_changes, add_quantiles};
	int rc = run->script ? 0 : error_no_memory(err, sizeof(void *));
	for (size_t i = 0; rc == 0 && i < sizeof(PARTS) / sizeof(PARTS[0]); i++)
		rc = PARTS[i](run, err);
	return rc;
}

static int run_spark(struct simulate_run *run, struct error *err)
{
	struct shipped shipped = {0};
	struct spark_options options = run->session.spark;
	int rc = ship_open(&run->job, &shipped, err);
	options.files = (const char *const *)shipped.files;
	options.n_files = shipped.n_files;
	options.row = take_row;
	options.progress = tell;
	options.context = run;
	run->script = spark_script_new();
	if (rc == 0)
		rc = make_script(run, err);
	if (rc == 0)
		rc = spark_run(&options, run->script, err);
	spark_script_free(run->script);
	buf_release(&run->sql);
	ship_close(&shipped);
	return rc == 0 ? simulate_cost(&run->report, err) : rc;
}

/* A programme as it was read, whatever happens to the file meanwhile. */
static int write_programme(const struct simulate_run *run, unsigned side, const struct buf *text, char **path,
			   struct error *err)
{
	*path = text_printf("%s/%s-read.yaml", run->options->tmp_dir, SIDE_NAME[side]);
	return *path ? file_write_durable(*path, text->data, text->len, err) : error_no_memory(err, LIMIT_PATH_BYTES);
}

int cluster_simulate(const struct deployment *deployment, const struct programme *other, const struct buf *other_text,
		     const struct simulate_options *options, const struct cluster_batch_hooks *hooks,
		     struct simulate_report *report, struct error *err)
{
	struct simulate_run run = {
		.options = options,
		.hooks = hooks,
		.programmes = {deployment->programme, other},
		.id_type = deployment->config->customer_id,
	};
	_cleanup_free_ char *fold = NULL;
	_cleanup_free_ char *programme = NULL;
	_cleanup_free_ char *other_path = NULL;
	/* Copies of what was staged go there, too. */
	struct deployment here = *deployment;
	here.tmp_dir = (char *)(uintptr_t)options->tmp_dir;
	int rc = options->parquet ? simulate_check_file(options, err) : 0;
	if (rc == 0)
		rc = simulate_begin(deployment->programme, other, options, &run.report, err);
	if (rc == 0)
		rc = cluster_find_fold(&fold, err);
	if (rc == 0)
		rc = write_programme(&run, SIMULATE_TODAY, &deployment->programme_text, &programme, err);
	if (rc == 0)
		rc = write_programme(&run, SIMULATE_OTHER, other_text, &other_path, err);
	if (rc == 0)
		rc = cluster_session_open(&here, "simulate", &run.session, err);
	if (rc == 0)
		rc = cluster_session_cut(&run.session, err);
	if (rc == 0)
		rc = cluster_side_open(&run.session, &run.side, err);
	run.session.spark.tmp_dir = options->tmp_dir;
	run.job = (struct cluster_job){.tables = &run.session.tables,
				       .programme = deployment->programme,
				       .programme_path = programme,
				       .other_path = other_path,
				       .fold_path = fold,
				       .day = options->data_dt,
				       .spark = run.session.spark};
	if (rc == 0)
		rc = run_spark(&run, err);
	if (rc == 0 && options->parquet)
		rc = simulate_write_rows(&run, err);
	cluster_side_close(&run.side);
	cluster_session_close(&run.session);
	if (rc == 0)
		*report = run.report;
	return rc;
}
