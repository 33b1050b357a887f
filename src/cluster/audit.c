#include "cluster/audit.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/tz.h"
#include "cluster/audit_internal.h"
#include "cluster/lease.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void auditing_tell(struct cluster_auditing *auditing, const struct audit_finding *finding, bool count)
{
	struct audit_report *const report = &auditing->report;
	if (count) {
		const uint64_t n = finding->rows ? finding->rows : 1;
		report->differences += n;
		report->by_table[finding->table] += n;
		report->by_kind[finding->kind] += n;
	}
	if (auditing->told++ < AUDIT_TOLD_MAX)
		auditing->options->finding(auditing->options->context, finding);
}

/* ---- what Spark prints ---- */

/* Texts of one row, which findings point to. */
struct texts {
	struct buf buf[2 * AUDIT_COLUMNS_MAX + 2];
	unsigned n;
};

static void release_texts(struct texts *texts)
{
	for (unsigned i = 0; i < texts->n; i++)
		buf_release(&texts->buf[i]);
}

/* A NULL has data NULL. */
static struct slice get_text(struct texts *texts, struct slice json, const char *key)
{
	struct buf *const buf = &texts->buf[texts->n++];
	if (!spark_json_get(json, key, buf))
		return (struct slice){NULL, 0};
	return buf->len ? (struct slice){buf->data, buf->len} : SLICE("");
}

static struct slice get_column(struct texts *texts, struct slice json, const char *before, const char *column)
{
	_cleanup_free_ char *key = text_printf("%s%s", before, column);
	return key ? get_text(texts, json, key) : (struct slice){NULL, 0};
}

static bool take_count(struct cluster_auditing *auditing, struct slice json, const char *key, enum audit_table table,
		       enum audit_kind kind)
{
	struct audit_report *const report = &auditing->report;
	int64_t n;
	if (!spark_json_get_int(json, key, &n) || n < 0)
		return false;
	report->differences += (uint64_t)n;
	report->by_table[table] += (uint64_t)n;
	report->by_kind[kind] += (uint64_t)n;
	return true;
}

static bool take_rows(struct cluster_auditing *auditing, int64_t index, struct slice json)
{
	int64_t there;
	if (index < 0 || index >= AUDIT_SHAPES || !spark_json_get_int(json, "there", &there))
		return false;
	const enum audit_table table = AUDIT_SHAPE[index].table;
	if (table == AUDIT_LEDGER)
		auditing->report.entries = (uint64_t)there;
	return take_count(auditing, json, "changed", table, AUDIT_CHANGED) &&
	       take_count(auditing, json, "missing", table, AUDIT_MISSING) &&
	       take_count(auditing, json, "foreign_rows", table, AUDIT_FOREIGN);
}

static enum audit_kind kind_of(struct slice difference)
{
	return slice_is(difference, "missing")   ? AUDIT_MISSING
	       : slice_is(difference, "foreign") ? AUDIT_FOREIGN
						 : AUDIT_CHANGED;
}

static struct slice either(const struct audit_cell *cell)
{
	return cell->is.data ? cell->is : cell->should;
}

static bool take_difference(struct cluster_auditing *auditing, int64_t index, struct slice json)
{
	if (index < 0 || index >= AUDIT_SHAPES)
		return false;
	const struct audit_shape *const shape = &AUDIT_SHAPE[index];
	struct texts texts = {0};
	struct audit_cell all[AUDIT_COLUMNS_MAX];
	struct audit_cell cells[AUDIT_COLUMNS_MAX];
	struct audit_finding finding = {.table = shape->table,
					.kind = kind_of(get_text(&texts, json, "difference")),
					.day = shape->by_day ? auditing->day : DAY_MIN,
					.cells = cells};
	for (unsigned i = 0; shape->columns[i]; i++) {
		struct audit_cell *const cell = &all[i];
		*cell = (struct audit_cell){shape->columns[i], get_column(&texts, json, "is_", shape->columns[i]),
					    get_column(&texts, json, "should_", shape->columns[i])};
		const struct slice known = either(cell);
		if (i == 0)
			finding.customer = known;
		else if (strcmp(cell->column, "event_id") == 0)
			finding.event_id = known;
		else if (strcmp(cell->column, "ledger") == 0)
			finding.ledger = known;
		else if (strcmp(cell->column, "entry_no") == 0 && known.len)
			finding.entry_no = strtoll(known.data, NULL, 10);
		else if (strcmp(cell->column, "data_dt") == 0 && known.len)
			(void)civil_parse(known.data, known.len, &finding.day);
		const bool same =
			(cell->is.data != NULL) == (cell->should.data != NULL) && slice_equal(cell->is, cell->should);
		if (i >= shape->n_keys && !same)
			cells[finding.n_cells++] = *cell;
	}
	auditing_tell(auditing, &finding, false);
	release_texts(&texts);
	return true;
}

static struct audit_sum *sum_of(struct audit_report *report, struct slice name)
{
	for (unsigned i = 0; i < report->n_sums; i++)
		if (slice_is(name, report->sums[i].name))
			return &report->sums[i];
	if (report->n_sums == AUDIT_SUMS_MAX)
		return NULL;
	struct audit_sum *const sum = &report->sums[report->n_sums++];
	*sum = (struct audit_sum){0};
	snprintf(sum->name, sizeof(sum->name), "%.*s", (int)name.len, name.data ? name.data : "");
	return sum;
}

static bool take_sum(struct cluster_auditing *auditing, struct slice name, struct slice json)
{
	struct audit_sum *const sum = sum_of(&auditing->report, name);
	if (!sum)
		return true; /* its rows are told */
	const struct {
		const char *key;
		int64_t *to;
	} numbers[] = {
		{"issued", &sum->issued_milli},       {"reversed", &sum->reversed_milli},
		{"redeemed", &sum->redeemed_milli},   {"expired", &sum->expired_milli},
		{"spendable", &sum->spendable_milli}, {"pending", &sum->pending_milli},
		{"debt", &sum->debt_milli},
	};
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (!spark_json_get_int(json, numbers[i].key, numbers[i].to))
			return false;
	int64_t d = sum->issued_milli;
	if (__builtin_sub_overflow(d, sum->reversed_milli, &d) || __builtin_sub_overflow(d, sum->redeemed_milli, &d) ||
	    __builtin_sub_overflow(d, sum->expired_milli, &d) || __builtin_sub_overflow(d, sum->spendable_milli, &d) ||
	    __builtin_sub_overflow(d, sum->pending_milli, &d) || __builtin_add_overflow(d, sum->debt_milli, &d))
		return false;
	sum->difference_milli = d;
	return true;
}

/* Each such row says how many there are: they are counted with the first. */
static void count_sums(struct cluster_auditing *auditing, bool *counted, struct slice json)
{
	struct audit_report *const report = &auditing->report;
	int64_t n;
	if (*counted || !spark_json_get_int(json, "customers", &n) || n < 0)
		return;
	*counted = true;
	report->differences += (uint64_t)n;
	report->by_table[AUDIT_LEDGER] += (uint64_t)n;
	report->by_kind[AUDIT_SUMS] += (uint64_t)n;
}

static bool take_wrong(struct cluster_auditing *auditing, struct slice json)
{
	struct texts texts = {0};
	struct audit_finding finding = {.table = AUDIT_LEDGER, .kind = AUDIT_SUMS, .day = DAY_MIN};
	const struct audit_cell cell = {"rows that do not add up", get_text(&texts, json, "wrong"), SLICE("0")};
	finding.customer = get_text(&texts, json, "audit_wrong");
	finding.ledger = get_text(&texts, json, "ledger");
	finding.cells = &cell;
	finding.n_cells = 1;
	const bool good = spark_json_get_int(json, "wrong_entry", &finding.entry_no);
	count_sums(auditing, &auditing->counted_wrong, json);
	auditing_tell(auditing, &finding, false);
	release_texts(&texts);
	return good;
}

/* What the ledger's rows come to, and what the account has. */
static bool take_pair(struct cluster_auditing *auditing, struct slice json)
{
	static const struct {
		const char *name;
		const char *is;
		const char *should;
	} PAIRS[] = {{"earned", "a1", "a2"},
		     {"redeemed", "b1", "b2"},
		     {"expired", "c1", "c2"},
		     {"balance", "d1", "d2"},
		     {"sum of all entries", "e1", "e2"}};
	struct texts texts = {0};
	struct audit_cell cells[sizeof(PAIRS) / sizeof(PAIRS[0])];
	struct audit_finding finding = {.table = AUDIT_LEDGER, .kind = AUDIT_SUMS, .day = DAY_MIN, .cells = cells};
	finding.customer = get_text(&texts, json, "audit_pair");
	finding.ledger = get_text(&texts, json, "ledger");
	for (size_t i = 0; i < sizeof(PAIRS) / sizeof(PAIRS[0]); i++) {
		const struct slice is = get_text(&texts, json, PAIRS[i].is);
		const struct slice should = get_text(&texts, json, PAIRS[i].should);
		if (!slice_equal(is, should))
			cells[finding.n_cells++] = (struct audit_cell){PAIRS[i].name, is, should};
	}
	count_sums(auditing, &auditing->counted_pairs, json);
	auditing_tell(auditing, &finding, false);
	release_texts(&texts);
	return true;
}

static bool take(struct cluster_auditing *auditing, struct slice json)
{
	struct audit_report *const report = &auditing->report;
	_cleanup_buf_ struct buf name = {0};
	int64_t number;
	int64_t customers;
	int64_t events;
	if (spark_json_get_int(json, "audit_counts", &number)) {
		if (!spark_json_get_int(json, "customers", &customers) || !spark_json_get_int(json, "events", &events))
			return false;
		report->rows = (uint64_t)number;
		report->customers = (uint64_t)customers;
		report->events = (uint64_t)events;
		return true;
	}
	if (spark_json_get_int(json, "audit_rows", &number))
		return take_rows(auditing, number, json);
	if (spark_json_get_int(json, "audit_row", &number))
		return take_difference(auditing, number, json);
	if (spark_json_get(json, "audit_sum", &name))
		return take_sum(auditing, (struct slice){name.data, name.len}, json);
	if (spark_json_get(json, "audit_wrong", &name))
		return take_wrong(auditing, json);
	return spark_json_get(json, "audit_pair", &name) && take_pair(auditing, json);
}

static int take_row(void *context, unsigned statement, struct slice json, struct error *err)
{
	(void)statement;
	return take(context, json)
		       ? 0
		       : error_set(err, ERROR_CORRUPT, "Spark printed '%.*s' where a comparison was asked for",
				   (int)(json.len < 200 ? json.len : 200), json.data);
}

static bool tell_spark(void *context, const struct spark_progress *progress)
{
	const struct cluster_auditing *const auditing = context;
	const struct audit_options *const options = auditing->options;
	if (auditing->hooks && auditing->hooks->spark)
		auditing->hooks->spark(auditing->hooks->context, progress);
	return (!options->progress || options->progress(options->context, progress->what, 0, 0)) &&
	       auditing->session.spark.progress(auditing->session.spark.context, progress);
}

/* ---- the run ---- */

static int run_spark(struct cluster_auditing *auditing, struct error *err)
{
	struct shipped shipped = {0};
	struct spark_script *script = NULL;
	struct spark_options options = auditing->session.spark;
	const struct programme *const programme = auditing->session.deployment->programme;
	for (unsigned i = 0; i < programme->n_ledgers; i++)
		(void)sum_of(&auditing->report, slice_of(programme->ledgers[i].name));
	int rc = ship_open(&auditing->job, &shipped, err);
	if (rc == 0)
		rc = cluster_side_open(&auditing->session, &auditing->side, err);
	if (rc == 0)
		rc = audit_script_make(auditing, &script, err);
	options.files = (const char *const *)shipped.files;
	options.n_files = shipped.n_files;
	options.row = take_row;
	options.progress = tell_spark;
	options.context = auditing;
	if (rc == 0)
		rc = spark_run(&options, script, err);
	spark_script_free(script);
	cluster_side_close(&auditing->side);
	ship_close(&shipped);
	return rc;
}

/* Whether somebody makes tables, or has made some since `number`. */
static int check_quiet(const struct cluster_auditing *auditing, uint64_t number, struct error *err)
{
	struct warehouse_stat stat;
	struct cluster_made made = {0};
	int rc = warehouse_stat(auditing->session.warehouse, LEASE_PATH, &stat, err);
	const bool busy = rc == 0;
	if (rc == ERROR_NOT_FOUND)
		rc = 0;
	if (rc == 0)
		rc = cluster_made_read(&auditing->session, &made, err);
	const bool changed = rc == 0 && made.number != number;
	cluster_made_release(&made);
	if (rc < 0 || (!busy && !changed))
		return rc;
	return error_set(err, ERROR_LOCKED,
			 "tables of this cluster are being made (%s/" LEASE_PATH
			 "), or were while they were compared, so "
			 "that nothing can be said: run audit again when that is done",
			 auditing->session.deployment->config->cluster.hdfs_path);
}

static struct cluster_cut cut_of(const struct made_state *state)
{
	return (struct cluster_cut){state->edges, state->n_edges};
}

/* Whether there are events behind those of a state. */
static bool has_more(const struct cluster_cut *now, const struct made_state *state)
{
	const struct cluster_cut then = cut_of(state);
	for (unsigned i = 0; i < now->n_edges; i++) {
		const struct cut_edge *const edge = cluster_cut_edge(&then, now->edges[i].name);
		if (!edge || edge->next_block < now->edges[i].next_block)
			return true;
	}
	return false;
}

/* Whether a day has tables though its states are not kept. */
static int look_for_day(struct cluster_auditing *auditing, int32_t day, bool *found, struct error *err)
{
	static const char *const TABLES[] = {"balances", "loyalty"};
	char date[11];
	int rc = ERROR_NOT_FOUND;
	civil_format(day, date);
	for (size_t i = 0; rc == ERROR_NOT_FOUND && i < sizeof(TABLES) / sizeof(TABLES[0]); i++) {
		_cleanup_free_ char *path = text_printf("warehouse/%s/data_dt=%s", TABLES[i], date);
		struct warehouse_stat stat;
		rc = path ? warehouse_stat(auditing->session.warehouse, path, &stat, err)
			  : error_no_memory(err, LIMIT_PATH_BYTES);
	}
	*found = rc == 0;
	return rc == ERROR_NOT_FOUND ? 0 : rc;
}

static int not_refreshed(int32_t asked, int32_t newest_day, struct error *err)
{
	char date[11];
	char newest[11] = "none";
	civil_format(asked, date);
	if (newest_day != DAY_MIN)
		civil_format(newest_day, newest);
	return error_set(err, ERROR_NOT_FOUND,
			 "%s was not refreshed (the newest day that was: %s): `punchcard refresh --data-dt %s` makes "
			 "its tables",
			 date, newest, date);
}

/* What there is to be audited. */
static int choose(struct cluster_auditing *auditing, struct error *err)
{
	const int32_t newest = cluster_made_newest(&auditing->made);
	const int32_t asked = auditing->options->day;
	struct audit_report *const report = &auditing->report;
	report->refreshed = newest != DAY_MIN;
	report->empty = !report->refreshed && auditing->session.cut.n_edges == 0;
	report->newest_day = newest;
	auditing->day = report->day = asked == DAY_MAX ? newest : asked;
	auditing->state = cluster_made_state(&auditing->made, newest);
	auditing->day_state = cluster_made_state(&auditing->made, auditing->day);
	if (asked != DAY_MAX && !auditing->day_state) {
		bool found = false;
		const int rc = asked < newest ? look_for_day(auditing, asked, &found, err) : 0;
		if (rc < 0 || !found)
			return rc < 0 ? rc : not_refreshed(asked, newest, err);
	}
	if (!auditing->state)
		return 0;
	report->day_unknown = !auditing->day_state;
	const struct cluster_cut ledger = cut_of(auditing->state);
	const struct cluster_cut of_day = auditing->day_state ? cut_of(auditing->day_state) : ledger;
	report->ledger_alone =
		!auditing->day_state || has_more(&ledger, auditing->day_state) || has_more(&of_day, auditing->state);
	report->stale = has_more(&auditing->session.cut, auditing->day_state ? auditing->day_state : auditing->state);
	return 0;
}

/* Tables that are not of today's programme are not compared further. */
static bool is_comparable(struct cluster_auditing *auditing)
{
	const char *const hash = auditing->session.deployment->programme->hash_text;
	const struct cluster_made *const made = &auditing->made;
	const char *const is = *made->unfinished ? made->unfinished : made->programme;
	if (!*made->unfinished && strcmp(made->programme, hash) == 0)
		return true;
	const struct audit_cell cell = {"programme", slice_of(is), slice_of(hash)};
	auditing_tell(auditing,
		      &(struct audit_finding){.table = AUDIT_LEDGER,
					      .kind = AUDIT_OTHER_PROGRAMME,
					      .day = auditing->state->day,
					      .cells = &cell,
					      .n_cells = 1},
		      true);
	return false;
}

/* At once where ledger and day are of the same events. */
static int compare_tables(struct cluster_auditing *auditing, struct error *err)
{
	auditing->job.day = auditing->day;
	auditing->cut = cut_of(auditing->state);
	auditing->without_day = auditing->report.ledger_alone;
	int rc = run_spark(auditing, err);
	if (rc < 0 || !auditing->without_day || !auditing->day_state)
		return rc;
	auditing->cut = cut_of(auditing->day_state);
	auditing->without_day = false;
	auditing->without_ledger = true;
	return run_spark(auditing, err);
}

static int run(struct cluster_auditing *auditing, struct error *err)
{
	int rc = cluster_session_cut(&auditing->session, err);
	if (rc == 0)
		rc = cluster_made_read(&auditing->session, &auditing->made, err);
	if (rc == 0)
		rc = check_quiet(auditing, auditing->made.number, err);
	if (rc == 0)
		rc = choose(auditing, err);
	if (rc < 0 || !auditing->state || !is_comparable(auditing))
		return rc;
	rc = compare_tables(auditing, err);
	if (rc == 0)
		rc = audit_view_compare(auditing, err);
	return rc == 0 ? check_quiet(auditing, auditing->made.number, err) : rc;
}

int cluster_audit(const struct deployment *deployment, const struct audit_options *options,
		  const struct cluster_batch_hooks *hooks, struct audit_report *report, struct error *err)
{
	struct cluster_auditing auditing = {.options = options, .hooks = hooks};
	_cleanup_free_ char *fold = NULL;
	_cleanup_free_ char *programme = text_printf("%s/programme-read.yaml", options->tmp_dir);
	/* Copies of the warehouse's files go there, too. */
	struct deployment here = *deployment;
	here.tmp_dir = (char *)(uintptr_t)options->tmp_dir;
	int rc = programme ? cluster_find_fold(&fold, err) : error_no_memory(err, LIMIT_PATH_BYTES);
	if (rc == 0)
		rc = file_write_durable(programme, here.programme_text.data, here.programme_text.len, err);
	if (rc == 0)
		rc = cluster_session_open(&here, "audit", &auditing.session, err);
	auditing.job = (struct cluster_job){.tables = &auditing.session.tables,
					    .programme = here.programme,
					    .programme_path = programme,
					    .fold_path = fold,
					    .spark = auditing.session.spark};
	if (rc == 0)
		rc = run(&auditing, err);
	cluster_made_release(&auditing.made);
	cluster_session_close(&auditing.session);
	if (rc == 0)
		*report = auditing.report;
	return rc;
}
