#include "cluster/reserve.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/tz.h"
#include "cluster/job_internal.h"
#include "cluster/made.h"
#include "cluster/side.h"
#include "cluster/warehouse_files.h"

#include <stdlib.h>
#include <string.h>

struct reserving {
	const struct reserve_options *options;
	const struct cluster_batch_hooks *hooks;
	struct cluster_session session;
	struct cluster_made made;
	struct cluster_side side;
	struct cluster_job job;
	int32_t day;
	const struct made_state *state; /* of that day; NULL: the history is folded */
	char *dir;                      /* in the warehouse: where the files are */
};

/* ---- which day, and out of what ---- */

static int choose(struct reserving *reserving, struct error *err)
{
	const struct cluster_made *const made = &reserving->made;
	const int32_t asked = reserving->options->day;
	const bool ours =
		!*made->unfinished && strcmp(made->programme, reserving->session.deployment->programme->hash_text) == 0;
	const int32_t newest = ours ? cluster_made_newest(made) : DAY_MIN;
	reserving->day = asked != DAY_MAX ? asked : newest != DAY_MIN ? newest : reserving->options->today;
	reserving->state = ours ? cluster_made_state(made, reserving->day) : NULL;
	if (!reserving->state)
		return 0;
	char date[11];
	civil_format(reserving->day, date);
	reserving->dir = text_printf("warehouse/account_state/data_dt=%s", date);
	return reserving->dir ? 0 : error_no_memory(err, LIMIT_PATH_BYTES);
}

/* ---- folding ---- */

static bool tell(void *context, const struct spark_progress *progress)
{
	const struct reserving *const reserving = context;
	const struct reserve_options *const options = reserving->options;
	if (reserving->hooks && reserving->hooks->spark)
		reserving->hooks->spark(reserving->hooks->context, progress);
	return (!options->progress || options->progress(options->context, progress->what, 0, 0)) &&
	       reserving->session.spark.progress(reserving->session.spark.context, progress);
}

static int add_fold(struct reserving *reserving, struct spark_script *script, struct error *err)
{
	const bool is_text = reserving->session.tables.id_type == CUSTOMER_ID_TEXT;
	char date[11];
	civil_format(reserving->day, date);
	_cleanup_free_ char *condition = job_condition(&reserving->job, DAY_MIN, reserving->day);
	_cleanup_free_ char *program = text_printf("./" SHIP_PROGRAM " --programme " SHIP_PROGRAMME " --to %s --ids %s",
						   date, is_text ? "text" : "integer");
	if (!condition || !program)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	const struct fold_query query = {.id_type = reserving->session.tables.id_type,
					 .program = program,
					 .events = {.condition = condition, .cut = &reserving->session.cut}};
	const int rc = cluster_side_add_table(script, &reserving->session, "transactions_cln", err);
	return rc < 0 ? rc : cluster_side_add_fold(script, &reserving->side, "folding the history", &query, err);
}

static int fold(struct reserving *reserving, struct error *err)
{
	struct shipped shipped = {0};
	struct spark_options spark = reserving->session.spark;
	struct spark_script *const script = spark_script_new();
	int rc = script ? ship_open(&reserving->job, &shipped, err) : error_no_memory(err, sizeof(shipped));
	if (rc == 0)
		rc = cluster_side_open(&reserving->session, &reserving->side, err);
	if (rc == 0)
		rc = add_fold(reserving, script, err);
	spark.files = (const char *const *)shipped.files;
	spark.n_files = shipped.n_files;
	spark.progress = tell;
	spark.context = reserving;
	if (rc == 0)
		rc = spark_run(&spark, script, err);
	spark_script_free(script);
	ship_close(&shipped);
	if (rc < 0)
		return rc;
	reserving->dir = text_printf("%s", reserving->side.path);
	return reserving->dir ? 0 : error_no_memory(err, LIMIT_PATH_BYTES);
}

/* ---- all of it ---- */

static int each(void *context, reserve_file_fn *take, void *taking, struct error *err)
{
	const struct reserving *const reserving = context;
	return cluster_each_parquet(&reserving->session, reserving->dir, take, taking, err);
}

static int add_up(struct reserving *reserving, struct reserve_report **report, struct error *err)
{
	const struct output_place state = output_place(OUTPUT_STATES, 0);
	_cleanup_free_ char *expression =
		reserving->state ? text_printf("state") : text_printf("from_hex(%c%u)", state.letter, state.number);
	_cleanup_free_ char *condition =
		reserving->state ? text_printf("true") : text_printf("kind = '%s'", OUTPUT_TABLE[OUTPUT_STATES].name);
	if (!expression || !condition)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	const struct reserve_states states = {.day = reserving->day,
					      .from_state = reserving->state != NULL,
					      .expression = expression,
					      .condition = condition,
					      .each = each,
					      .context = reserving};
	const int rc = reserve_of_states(reserving->session.deployment, reserving->options, &states, report, err);
	if (rc < 0 || !reserving->state || (*report)->customers == (uint64_t)reserving->state->customers)
		return rc;
	const uint64_t found = (*report)->customers;
	reserve_free(*report);
	*report = NULL;
	return error_set(err, ERROR_LOCKED,
			 "%s has %llu customers of %lld: a refresh or rebuild changed it meanwhile, run it again; or "
			 "somebody "
			 "else did, then rebuild",
			 reserving->dir, (unsigned long long)found, (long long)reserving->state->customers);
}

static int run(struct reserving *reserving, struct reserve_report **report, struct error *err)
{
	int rc = cluster_session_cut(&reserving->session, err);
	if (rc == 0)
		rc = cluster_made_read(&reserving->session, &reserving->made, err);
	if (rc == 0)
		rc = choose(reserving, err);
	/* Nothing was shipped: there are no files that Spark could read. */
	const bool empty = rc == 0 && !reserving->state && reserving->session.cut.n_edges == 0;
	reserving->job.day = reserving->day;
	if (rc == 0 && empty)
		rc = (reserving->dir = text_printf("warehouse/account_state/none"))
			     ? 0
			     : error_no_memory(err, LIMIT_PATH_BYTES);
	else if (rc == 0 && !reserving->state)
		rc = fold(reserving, err);
	return rc < 0 ? rc : add_up(reserving, report, err);
}

int cluster_reserve(const struct deployment *deployment, const struct reserve_options *options,
		    const struct cluster_batch_hooks *hooks, struct reserve_report **report, struct error *err)
{
	struct reserving reserving = {.options = options, .hooks = hooks};
	_cleanup_free_ char *kernel = NULL;
	_cleanup_free_ char *programme = text_printf("%s/programme-read.yaml", options->tmp_dir);
	/* Copies of the warehouse's files go there, too. */
	struct deployment here = *deployment;
	here.tmp_dir = (char *)(uintptr_t)options->tmp_dir;
	int rc = programme ? cluster_find_fold(&kernel, err) : error_no_memory(err, LIMIT_PATH_BYTES);
	if (rc == 0)
		rc = file_write_durable(programme, here.programme_text.data, here.programme_text.len, err);
	if (rc == 0)
		rc = cluster_session_open(&here, "reserve", &reserving.session, err);
	reserving.job = (struct cluster_job){.tables = &reserving.session.tables,
					     .programme = here.programme,
					     .programme_path = programme,
					     .fold_path = kernel,
					     .spark = reserving.session.spark};
	if (rc == 0)
		rc = run(&reserving, report, err);
	cluster_side_close(&reserving.side);
	cluster_made_release(&reserving.made);
	cluster_session_close(&reserving.session);
	free(reserving.dir);
	return rc;
}
