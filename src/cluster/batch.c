#include "cluster/batch.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/tz.h"
#include "cluster/job.h"
#include "cluster/lease.h"
#include "cluster/load.h"
#include "cluster/made.h"
#include "cluster/put_states.h"

#include <stdlib.h>
#include <string.h>

struct cluster_batch {
	struct cluster_session session;
	struct cluster_lease lease;
	struct cluster_made made;
	struct cluster_batch_hooks hooks;
	char *fold;
	char *programme_path;
};

int cluster_batch_open(const struct deployment *deployment, const char *command,
		       const struct cluster_batch_hooks *hooks, struct cluster_batch **out, struct error *err)
{
	struct cluster_batch *const batch = calloc(1, sizeof(*batch));
	if (!batch)
		return error_no_memory(err, sizeof(*batch));
	batch->hooks = hooks ? *hooks : (struct cluster_batch_hooks){0};
	int rc = cluster_find_fold(&batch->fold, err);
	if (rc == 0)
		rc = cluster_session_open(deployment, "batch", &batch->session, err);
	/* The programme as it was read, whatever happens to the file meanwhile. */
	batch->programme_path = text_printf("%s/programme-read.yaml", deployment->tmp_dir);
	if (rc == 0 && !batch->programme_path)
		rc = error_no_memory(err, LIMIT_PATH_BYTES);
	if (rc == 0)
		rc = file_write_durable(batch->programme_path, deployment->programme_text.data,
					deployment->programme_text.len, err);
	if (rc == 0)
		rc = cluster_lease_take(&batch->session, command, &batch->lease, err);
	if (rc == 0)
		rc = warehouse_clean(batch->session.warehouse, err);
	if (rc == 0)
		rc = cluster_finish_customers(&batch->session, err);
	if (rc == 0)
		rc = cluster_made_read(&batch->session, &batch->made, err);
	if (rc < 0) {
		cluster_batch_close(batch);
		return rc;
	}
	*out = batch;
	return 0;
}

void cluster_batch_close(struct cluster_batch *batch)
{
	if (!batch)
		return;
	cluster_lease_release(&batch->lease);
	cluster_made_release(&batch->made);
	cluster_session_close(&batch->session);
	free(batch->fold);
	free(batch->programme_path);
	free(batch);
}

int32_t cluster_batch_newest(const struct cluster_batch *batch)
{
	return cluster_made_newest(&batch->made);
}

/* ---- tables ---- */

static bool tell(void *context, const struct spark_progress *progress)
{
	const struct cluster_batch *const batch = context;
	if (batch->hooks.spark)
		batch->hooks.spark(batch->hooks.context, progress);
	return batch->session.spark.progress(batch->session.spark.context, progress);
}

static const struct programme *programme_of(const struct cluster_batch *batch)
{
	return batch->session.deployment->programme;
}

static struct cluster_job job_of(struct cluster_batch *batch, int32_t day, bool keeps_ledger)
{
	return (struct cluster_job){
		.tables = &batch->session.tables,
		.programme = programme_of(batch),
		.programme_path = batch->programme_path,
		.fold_path = batch->fold,
		.models_dir = batch->session.deployment->models_dir,
		.day = day,
		.cut = &batch->session.cut,
		.keeps_ledger = keeps_ledger,
		.spark = batch->session.spark,
		.progress = tell,
		.context = batch,
	};
}

/* Before tables are written by another programme than what is there: from now on that is not gone on from. */
static int begin_whole(struct cluster_batch *batch, struct error *err)
{
	struct cluster_made *const made = &batch->made;
	const char *const hash = programme_of(batch)->hash_text;
	const bool is_other = made->n_states && strcmp(made->programme, hash) != 0;
	int rc = deployment_keep_programme(batch->session.deployment, err);
	if (rc < 0 || !is_other || strcmp(made->unfinished, hash) == 0)
		return rc;
	memcpy(made->unfinished, hash, sizeof(made->unfinished));
	return cluster_made_write(&batch->session, made, err);
}

/* Partitions of account_state that the note does not name. */
struct pruning {
	const struct cluster_made *made;
	struct buf names;
};

static int on_partition(void *context, const char *name, const struct warehouse_stat *stat, struct error *err)
{
	struct pruning *const pruning = context;
	int32_t day;
	if (!stat->is_dir || strncmp(name, "data_dt=", 8) != 0 || civil_parse(name + 8, strlen(name + 8), &day) < 0 ||
	    cluster_made_state(pruning->made, day))
		return 0;
	return buf_append(&pruning->names, name, strlen(name) + 1) < 0 ? error_no_memory(err, strlen(name)) : 0;
}

static int prune_states(struct cluster_batch *batch, struct error *err)
{
	static const char TABLE[] = "warehouse/account_state";
	struct pruning pruning = {.made = &batch->made};
	int rc = warehouse_list(batch->session.warehouse, TABLE, on_partition, &pruning, err);
	if (rc == ERROR_NOT_FOUND)
		rc = 0;
	for (size_t at = 0; rc == 0 && at < pruning.names.len; at += strlen(pruning.names.data + at) + 1) {
		_cleanup_free_ char *path = text_printf("%s/%s", TABLE, pruning.names.data + at);
		rc = path ? warehouse_remove(batch->session.warehouse, path, err)
			  : error_no_memory(err, LIMIT_PATH_BYTES);
	}
	buf_release(&pruning.names);
	return rc;
}

/* The newest day's states, for who looks customers up. */
static int put_view(struct cluster_batch *batch, int32_t day, struct error *err)
{
	struct cluster_made *const made = &batch->made;
	const int64_t now_ms = clock_now_us() / 1000;
	const struct put_states put = {
		.session = &batch->session,
		.state = cluster_made_state(made, day),
		.version = now_ms > made->view_version ? now_ms : made->view_version + 1,
		.progress = batch->hooks.putting,
		.context = batch->hooks.context,
	};
	struct put_report report = {0};
	/* Before the cells: whatever becomes of this, the version is never used again, and whose clock is behind takes a greater one. */
	made->view_day = DAY_MIN;
	made->view_version = put.version;
	int rc = cluster_made_write(&batch->session, made, err);
	if (rc == 0)
		rc = cluster_put_states(&put, &report, err);
	if (rc < 0)
		return rc;
	made->view_day = day;
	return cluster_made_write(&batch->session, made, err);
}

/* The tables are there. */
static int finish(struct cluster_batch *batch, int32_t day, int64_t customers, bool whole, struct error *err)
{
	struct cluster_made *const made = &batch->made;
	int rc = cluster_lease_check(&batch->lease, err);
	if (rc == 0)
		rc = cluster_made_add(made, day, customers, &batch->session.cut, whole, err);
	if (rc < 0)
		return rc;
	memcpy(made->programme, programme_of(batch)->hash_text, sizeof(made->programme));
	if (whole)
		*made->unfinished = '\0';
	rc = cluster_made_write(&batch->session, made, err);
	if (rc == 0)
		rc = prune_states(batch, err);
	if (rc == 0 && day == cluster_made_newest(made))
		rc = put_view(batch, day, err);
	return rc;
}

static int make_whole(struct cluster_batch *batch, int32_t day, bool keeps_ledger, struct cluster_report *made,
		      struct error *err)
{
	const struct cluster_job job = job_of(batch, day, keeps_ledger);
	int rc = keeps_ledger ? 0 : begin_whole(batch, err);
	if (rc == 0)
		rc = cluster_rebuild(&job, made, err);
	return rc < 0 ? rc : finish(batch, day, made->customers, !keeps_ledger, err);
}

/* ---- rebuild ---- */

static int check_not_older(const struct cluster_batch *batch, int32_t day, struct error *err)
{
	const int32_t newest = cluster_batch_newest(batch);
	if (newest <= day)
		return 0;
	char date[11];
	char newest_date[11];
	civil_format(day, date);
	civil_format(newest, newest_date);
	return error_set(
		err, ERROR_USAGE,
		"--data-dt %s: %s was refreshed already, and the ledger would lose the days behind %s; rebuild "
		"that day or a later one, or `punchcard refresh --data-dt %s`",
		date, newest_date, date, date);
}

int cluster_rebuild_day(struct cluster_batch *batch, int32_t day, struct rebuild_report *report, struct error *err)
{
	struct cluster_report made = {0};
	int rc = check_not_older(batch, day, err);
	if (rc == 0)
		rc = cluster_session_cut(&batch->session, err);
	if (rc == 0)
		rc = make_whole(batch, day, false, &made, err);
	if (rc < 0)
		return error_prefix(err, "rebuilding");
	*report = (struct rebuild_report){.counts = {.customers = (uint64_t)made.customers,
						     .events = (uint64_t)made.events,
						     .postings = (uint64_t)made.postings}};
	for (unsigned i = 0; i <= REJECT_MAX; i++)
		report->counts.rejected[i] = (uint64_t)made.rejected[i];
	return 0;
}

/* ---- refresh ---- */

/* A state that is of other files than those that are there now is of another warehouse: none. */
static bool is_within(const struct made_state *state, const struct cluster_cut *cut)
{
	for (unsigned i = 0; i < state->n_edges; i++) {
		const struct cut_edge *const edge = cluster_cut_edge(cut, state->edges[i].name);
		if (!edge || edge->next_block < state->edges[i].next_block)
			return false;
	}
	return true;
}

struct choice {
	const struct made_state *from; /* NULL: none */
	const struct made_state *newest;
	bool other; /* states there are, but of another programme */
	bool is_older;
};

static int choose(const struct cluster_batch *batch, int32_t day, struct choice *choice, struct error *err)
{
	const struct cluster_made *const made = &batch->made;
	const int32_t newest = cluster_made_newest(made);
	const bool usable =
		made->n_states && !*made->unfinished && strcmp(made->programme, programme_of(batch)->hash_text) == 0;
	*choice = (struct choice){.other = made->n_states && !usable, .is_older = newest > day};
	for (unsigned i = 0; usable && i < made->n_states; i++) {
		if (!is_within(&made->states[i], &batch->session.cut))
			continue;
		choice->newest = &made->states[i];
		if (made->states[i].day < day)
			choice->from = &made->states[i];
	}
	if (choice->newest && choice->newest->day != newest)
		choice->from = choice->newest = NULL;
	if (!choice->is_older || choice->newest)
		return 0;
	char date[11];
	civil_format(newest, date);
	return error_set(
		err, ERROR_USAGE,
		"%s was refreshed already, and %s: run `punchcard rebuild --data-dt %s` first, which makes the "
		"ledger again",
		date,
		choice->other ? "by another programme than programme.yaml is now"
			      : "its account_state is of files that are not there any more",
		date);
}

/* Files that both have: what came in behind them is late for the states, or for the ledger. */
static int intersect(const struct made_state *a, const struct made_state *b, struct cluster_cut *out, struct error *err)
{
	struct cut_edge *const edges = calloc(a->n_edges + 1, sizeof(*edges));
	const struct cluster_cut other = {.edges = b->edges, .n_edges = b->n_edges};
	if (!edges)
		return error_no_memory(err, a->n_edges * sizeof(*edges));
	out->edges = edges;
	for (unsigned i = 0; i < a->n_edges; i++) {
		const struct cut_edge *const edge = cluster_cut_edge(&other, a->edges[i].name);
		if (edge)
			edges[out->n_edges++] = edge->next_block < a->edges[i].next_block ? *edge : a->edges[i];
	}
	return 0;
}

static int go_on(struct cluster_batch *batch, int32_t day, const struct choice *choice, struct cluster_report *made,
		 struct error *err)
{
	const struct cluster_job job = job_of(batch, day, choice->is_older);
	struct cluster_cut cut = {0};
	const struct made_state *const ledger = choice->is_older ? choice->from : choice->newest;
	int rc = intersect(choice->from, ledger, &cut, err);
	const struct cluster_from from = {.day = choice->from->day, .cut = &cut, .customers = choice->from->customers};
	if (rc == 0)
		rc = deployment_keep_programme(batch->session.deployment, err);
	if (rc == 0)
		rc = cluster_refresh(&job, &from, made, err);
	free((struct cut_edge *)(uintptr_t)cut.edges);
	return rc;
}

static void fill_report(const struct cluster_batch *batch, const struct cluster_report *made,
			struct refresh_report *report)
{
	report->customers = (uint64_t)made->customers;
	report->events = (uint64_t)made->events;
	report->postings = (uint64_t)made->postings;
	report->marked = (uint64_t)made->marked;
	report->rewritten = (uint64_t)made->rewritten;
	report->ledger_day = cluster_batch_newest(batch);
}

static int refresh(struct cluster_batch *batch, int32_t day, struct refresh_report *report, struct error *err)
{
	struct choice choice = {0};
	struct cluster_report made = {0};
	struct error damage = {0};
	int rc = cluster_session_cut(&batch->session, err);
	if (rc == 0)
		rc = choose(batch, day, &choice, err);
	if (rc < 0)
		return rc;
	*report = (struct refresh_report){.whole = choice.other ? REFRESH_OTHER_PROGRAMME : REFRESH_NO_STATE,
					  .from_day = DAY_MIN};
	if (choice.from) {
		const int32_t from_day = choice.from->day;
		rc = go_on(batch, day, &choice, &made, &damage);
		if (rc == 0) {
			report->whole = REFRESH_FROM_STATE;
			report->from_day = from_day;
			rc = finish(batch, day, made.customers, false, err);
		} else if (rc == ERROR_CORRUPT) {
			/* A state that is damaged, or of another release, is no loss: the events tell all. */
			report->whole = REFRESH_DAMAGED_STATE;
			memcpy(report->damage, damage.message, sizeof(report->damage));
			rc = make_whole(batch, day, choice.is_older, &made, err);
		} else if (err) {
			*err = damage;
		}
	} else {
		rc = make_whole(batch, day, choice.is_older, &made, err);
	}
	if (rc == 0)
		fill_report(batch, &made, report);
	return rc;
}

int cluster_refresh_day(struct cluster_batch *batch, int32_t day, struct refresh_report *report, struct error *err)
{
	struct refresh_report made = {0};
	char date[11];
	civil_format(day, date);
	const int rc = refresh(batch, day, &made, err);
	if (rc < 0)
		return error_prefix(err, "refreshing loyalty, data_dt %s", date);
	*report = made;
	return 0;
}
