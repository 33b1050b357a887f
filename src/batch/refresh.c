#include "batch/refresh.h"

#include "base/limits.h"
#include "base/tz.h"
#include "batch/committed.h"
#include "batch/day.h"
#include "batch/files_lock.h"
#include "batch/rebuild.h"
#include "batch/refresh_internal.h"

#include <stdlib.h>
#include <string.h>

const char *refresh_whole_name(enum refresh_whole whole)
{
	static const char *const NAMES[] = {
		[REFRESH_FROM_STATE] = "",
		[REFRESH_NO_STATE] = "no_state",
		[REFRESH_OTHER_PROGRAMME] = "other_programme",
		[REFRESH_DAMAGED_STATE] = "damaged_state",
	};
	return NAMES[whole];
}

/* ---- who must be folded whole ---- */

static int read_ids(struct engine *engine, const char *sql, struct id_list *ids, struct error *err)
{
	struct engine_scan *scan = NULL;
	int rc = engine_scan_open(engine, sql, &scan, err);
	if (rc == 0)
		rc = id_list_check_scan(scan, ids->id_type, err);
	uint32_t rows = 0;
	while (rc == 0 && (rc = engine_scan_next(scan, &rows, err)) == 0 && rows > 0) {
		for (uint32_t row = 0; rc == 0 && row < rows; row++) {
			struct customer_id id = {0};
			if (ids->id_type == CUSTOMER_ID_INTEGER)
				id.number = ((const int64_t *)engine_scan_values(scan, 0))[row];
			else
				id.text = engine_scan_text(scan, 0, row);
			rc = id_list_add(ids, &id, err);
		}
	}
	engine_scan_close(scan);
	id_list_settle(ids);
	return rc;
}

/* Customers with events of the state's days in files that came in since it was made, or since the ledger was. */
static int find_late(struct refresh *refresh, struct error *err)
{
	const struct deployment *const deployment = refresh->deployment;
	const struct states_found *const from = &refresh->from;
	const struct committed_range range = {
		.first_block =
			!refresh->is_older && from->newest_offset < from->offset ? from->newest_offset : from->offset,
		.offset = refresh->offset,
		.first_day = DAY_MIN,
		.last_day = refresh->from.day + COMMITTED_ZONE_DAYS,
	};
	_cleanup_buf_ struct buf files = {0};
	_cleanup_buf_ struct buf sql = {0};
	unsigned n = 0;
	int rc = committed_files(deployment, &range, &files, &n, err);
	if (rc < 0 || n == 0)
		return rc;
	if (!buf_text(&files) ||
	    buf_printf(
		    &sql,
		    "SELECT DISTINCT cust_id FROM read_parquet(%s, union_by_name = true) WHERE cust_id IS NOT NULL AND "
		    "odr_tms < make_timestamp(%lld) ORDER BY cust_id",
		    files.data, (long long)programme_day_start(deployment->programme, refresh->from.day + 1)) < 0 ||
	    !buf_text(&sql))
		return error_no_memory(err, files.len);
	const struct engine_options options = {.memory_mib = deployment->config->engine_memory_mib,
					       .threads = deployment->config->engine_threads,
					       .tmp_dir = deployment->tmp_dir};
	struct engine *engine = NULL;
	rc = engine_open(&options, &engine, err);
	if (rc == 0)
		rc = read_ids(engine, sql.data, &refresh->late, err);
	engine_close(engine);
	return rc;
}

/* ---- folding ---- */

static int fold_days(struct refresh *refresh, struct error *err)
{
	const struct history_options options = {
		.offset = refresh->offset,
		.from_day = refresh->from.day + 1,
		.until_day = refresh->data_dt,
		.states = refresh->from.path,
		.items = true,
	};
	struct folding *const folding = &refresh->days;
	int rc = folding_init(folding, refresh->deployment, refresh->data_dt, err);
	if (rc < 0)
		return rc;
	folding->from_states = true;
	folding->without = &refresh->late;
	rc = history_run(refresh->deployment, refresh->deployment->programme, &options, &folding->sink, err);
	return rc < 0 ? rc : folding_finish(folding, err);
}

static int fold_marked(struct refresh *refresh, struct error *err)
{
	int rc = id_list_union(&refresh->late, &refresh->days.marked, &refresh->marked, err);
	if (rc < 0 || refresh->marked.n == 0)
		return rc;
	const struct history_options options = {
		.offset = refresh->offset,
		.from_day = DAY_MIN,
		.until_day = refresh->data_dt,
		.customers = refresh->marked.ids,
		.n_customers = refresh->marked.n,
		.items = true,
	};
	refresh->has_whole = true;
	rc = folding_init(&refresh->whole, refresh->deployment, refresh->data_dt, err);
	if (rc == 0)
		rc = history_run(refresh->deployment, refresh->deployment->programme, &options, &refresh->whole.sink,
				 err);
	return rc < 0 ? rc : folding_finish(&refresh->whole, err);
}

/* ---- tables ---- */

static int write_day(const struct refresh *refresh, struct error *err)
{
	const struct accounts accounts = {
		.deployment = refresh->deployment,
		.programme = refresh->deployment->programme,
		.day = refresh->data_dt,
		.parts = {&refresh->days, refresh->has_whole ? &refresh->whole : NULL},
	};
	_cleanup_free_ char *state = NULL;
	_cleanup_free_ char *balances = NULL;
	_cleanup_free_ char *loyalty = NULL;
	int rc = swap_partition(refresh->swap, "account_state", refresh->data_dt, &state, err);
	if (rc == 0)
		rc = swap_partition(refresh->swap, "balances", refresh->data_dt, &balances, err);
	if (rc == 0)
		rc = swap_partition(refresh->swap, "loyalty", refresh->data_dt, &loyalty, err);
	if (rc < 0)
		return rc;
	const struct day_tables tables = {
		.accounts = &accounts,
		.offset = refresh->offset,
		.state_dir = state,
		.balances_dir = balances,
		.loyalty_dir = loyalty,
	};
	return day_write(&tables, err);
}

/* Without a state to go on from. */
static int fold_history(struct refresh *refresh, struct error *err)
{
	const struct history_options options = {
		.offset = refresh->offset,
		.from_day = DAY_MIN,
		.until_day = refresh->data_dt,
		.items = true,
	};
	int rc = folding_init(&refresh->days, refresh->deployment, refresh->data_dt, err);
	if (rc == 0)
		rc = history_run(refresh->deployment, refresh->deployment->programme, &options, &refresh->days.sink,
				 err);
	return rc < 0 ? rc : folding_finish(&refresh->days, err);
}

static int fold(struct refresh *refresh, struct error *err)
{
	if (!refresh->from.found)
		return fold_history(refresh, err);
	int rc = find_late(refresh, err);
	if (rc == 0)
		rc = fold_days(refresh, err);
	return rc < 0 ? rc : fold_marked(refresh, err);
}

static int make_tables(struct refresh *refresh, enum refresh_whole why, struct refresh_report *report,
		       struct error *err)
{
	int rc = swap_begin(refresh->deployment, &refresh->swap, err);
	if (rc == 0)
		rc = deployment_keep_programme(refresh->deployment, err);
	if (rc == 0)
		rc = fold(refresh, err);
	uint64_t rewritten = 0;
	if (rc == 0 && !refresh->is_older)
		rc = refresh_ledger(refresh, &rewritten, err);
	if (rc == 0)
		rc = write_day(refresh, err);
	bool unchanged = false;
	if (rc == 0)
		rc = swap_is_same(refresh->swap, "loyalty", refresh->data_dt, &unchanged, err);
	if (rc == 0)
		rc = swap_commit(refresh->swap, SWAP_KEEP_SAME, err);
	if (rc == 0)
		rc = states_prune(refresh->deployment, refresh->data_dt, err);
	if (rc < 0)
		return rc;
	const struct folding_counts *const days = &refresh->days.counts;
	const struct folding_counts *const whole = &refresh->whole.counts;
	*report = (struct refresh_report){
		.customers = days->customers + whole->customers,
		.unchanged = unchanged,
		.whole = why,
		.from_day = refresh->from.found ? refresh->from.day : DAY_MIN,
		.events = days->events + whole->events,
		.postings = days->postings + whole->postings,
		.marked = refresh->marked.n,
		.rewritten = rewritten,
		.ledger_day = refresh->is_older ? refresh->from.newest_day : refresh->data_dt,
	};
	return 0;
}

/* What was begun with a state. */
static void drop_work(struct refresh *refresh)
{
	folding_release(&refresh->days);
	folding_release(&refresh->whole);
	id_list_release(&refresh->late);
	id_list_release(&refresh->marked);
	swap_end(refresh->swap);
	refresh->swap = NULL;
	refresh->has_whole = false;
}

static void release(struct refresh *refresh)
{
	drop_work(refresh);
	states_release(&refresh->from);
}

static int fold_all(struct refresh *refresh, enum refresh_whole why, struct refresh_report *report, struct error *err)
{
	if (refresh->is_older) {
		refresh->from.found = false;
		return make_tables(refresh, why, report, err);
	}
	struct rebuild_report made;
	const int rc = rebuild_run(refresh->deployment, refresh->data_dt, NULL, &made, err);
	if (rc == 0)
		*report = (struct refresh_report){
			.customers = made.counts.customers,
			.unchanged = made.unchanged,
			.whole = why,
			.from_day = DAY_MIN,
			.events = made.counts.events,
			.postings = made.counts.postings,
			.ledger_day = refresh->data_dt,
		};
	return rc;
}

/* A state that is damaged, or of another release, is no loss: the events tell all. When these are damaged, the fold of all of
 * them says so. */
static int go_on(struct refresh *refresh, struct refresh_report *report, struct error *err)
{
	struct error damage = {0};
	int rc = make_tables(refresh, REFRESH_FROM_STATE, report, &damage);
	if (rc == ERROR_CORRUPT) {
		drop_work(refresh);
		rc = fold_all(refresh, REFRESH_DAMAGED_STATE, report, err);
		if (rc == 0)
			memcpy(report->damage, damage.message, sizeof(report->damage));
		return rc;
	}
	if (rc < 0 && err)
		*err = damage;
	return rc;
}

/* Of a day before the newest, the ledger is not touched: so it must be one that the newest state knows. */
static int check_newest(struct refresh *refresh, int32_t newest_day, struct error *err)
{
	const struct states_found *const from = &refresh->from;
	refresh->is_older = newest_day > refresh->data_dt;
	if (!refresh->is_older || (from->any && from->newest_day == newest_day))
		return 0;
	char newest[11];
	civil_format(newest_day, newest);
	return error_set(
		err, ERROR_USAGE,
		"%s was refreshed already, and %s: run `punchcard rebuild --data-dt %s` first, which makes the "
		"ledger again",
		newest,
		from->other ? "by another programme than programme.yaml is now" : "its account_state is missing",
		newest);
}

static int run(struct refresh *refresh, struct refresh_report *report, struct error *err)
{
	int32_t newest_day = DAY_MIN;
	int rc = swap_finish(refresh->deployment, err);
	if (rc == 0)
		rc = history_offset(refresh->deployment, &refresh->offset, err);
	if (rc == 0)
		rc = states_find(refresh->deployment, refresh->data_dt, refresh->offset, &refresh->from, err);
	if (rc == 0)
		rc = states_newest_day(refresh->deployment, &newest_day, err);
	if (rc == 0)
		rc = check_newest(refresh, newest_day, err);
	if (rc < 0)
		return rc;
	/* Of which events the ledger was made, only the newest state knows. */
	if (refresh->from.found && refresh->from.newest_day == newest_day)
		return go_on(refresh, report, err);
	return fold_all(refresh, refresh->from.other ? REFRESH_OTHER_PROGRAMME : REFRESH_NO_STATE, report, err);
}

int refresh_loyalty(const struct deployment *deployment, int32_t data_dt, struct refresh_report *report,
		    struct error *err)
{
	const enum customer_id_type id_type = deployment->config->customer_id;
	struct refresh refresh = {
		.deployment = deployment,
		.data_dt = data_dt,
		.late.id_type = id_type,
		.marked.id_type = id_type,
	};
	/* Its offset is recorded with the state: until then no file may come to lie across it. */
	_cleanup_files_lock_ struct files_lock lock = FILES_LOCK_NONE;
	int rc = files_lock_pin(deployment, &lock, err);
	if (rc == 0)
		rc = run(&refresh, report, err);
	release(&refresh);
	char date[11];
	civil_format(data_dt, date);
	return rc < 0 ? error_prefix(err, "refreshing loyalty, data_dt %s", date) : 0;
}
