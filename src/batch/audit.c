#include "batch/audit_internal.h"

#include "base/limits.h"
#include "base/tz.h"
#include "batch/files_lock.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

/* The bytes in front of what view_rules gives: the hash of the programme that the accounts were made by, as text. */
#define HASH_BYTES (PROGRAMME_HASH_TEXT - 1)

const char *audit_table_name(enum audit_table table)
{
	static const char *const NAMES[AUDIT_TABLES] = {
		[AUDIT_TRANSACTIONS] = "transactions_cln",
		[AUDIT_LEDGER] = "ledger",
		[AUDIT_ACCOUNT_STATE] = "account_state",
		[AUDIT_BALANCES] = "balances",
		[AUDIT_LOYALTY] = "loyalty",
		[AUDIT_VIEW] = "customer view",
	};
	assert(table < AUDIT_TABLES);
	return NAMES[table];
}

const char *audit_kind_name(enum audit_kind kind)
{
	static const char *const NAMES[AUDIT_KINDS] = {
		[AUDIT_CHANGED] = "changed",       [AUDIT_MISSING] = "missing",
		[AUDIT_FOREIGN] = "foreign",       [AUDIT_SUMS] = "sums",
		[AUDIT_UNREADABLE] = "unreadable", [AUDIT_OTHER_PROGRAMME] = "other_programme",
	};
	assert(kind < AUDIT_KINDS);
	return NAMES[kind];
}

/* ---- telling ---- */

bool audit_would_tell(const struct audit *audit)
{
	return audit->told < AUDIT_TOLD_MAX;
}

void audit_tell(struct audit *audit, const struct audit_finding *finding)
{
	struct audit_report *const report = &audit->report;
	const uint64_t n = finding->rows ? finding->rows : 1;
	report->differences += n;
	report->by_table[finding->table] += n;
	report->by_kind[finding->kind] += n;
	if (audit_would_tell(audit))
		audit->options->finding(audit->options->context, finding);
	audit->told++;
}

int audit_unreadable(struct audit *audit, enum audit_table table, int32_t day, int rc, struct error *err)
{
	if (rc != ERROR_CORRUPT && rc != ERROR_SQL)
		return rc;
	audit_tell(audit,
		   &(struct audit_finding){
			   .table = table, .kind = AUDIT_UNREADABLE, .day = day, .text = slice_of(err->message)});
	return 0;
}

int audit_progress(struct audit *audit, const char *doing, uint64_t done, uint64_t total, struct error *err)
{
	const struct audit_options *const options = audit->options;
	if (!options->progress || options->progress(options->context, doing, done, total))
		return 0;
	return error_set(err, ERROR_INTERRUPTED, "interrupted");
}

int audit_customer_text(enum customer_id_type id_type, const struct customer_id *id, struct buf *out)
{
	return id_type == CUSTOMER_ID_INTEGER ? buf_printf(out, "%" PRId64, id->number)
					      : buf_append(out, id->text.data, id->text.len);
}

/* ---- what is to be compared with what ---- */

struct plan {
	int32_t newest;         /* of the tables; DAY_MIN: none was made yet */
	int32_t day;            /* the audited one */
	uint64_t ledger_offset; /* of the events the ledger was made of, which are those of the newest state */
	uint64_t day_offset;    /* of the events the day's tables were made of */
	bool has_day;           /* that is known: else they are not compared */
	bool same_rules;        /* the tables were made by the programme of today */
	bool view_done;
};

static int newest_of(const struct audit *audit, const char *table, int32_t asked, int32_t *newest, bool *has_asked,
		     struct error *err)
{
	_cleanup_free_ int32_t *days = NULL;
	size_t n = 0;
	const int rc = audit_days(audit, table, &days, &n, err);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		*has_asked = *has_asked || days[i] == asked;
		*newest = days[i] > *newest ? days[i] : *newest;
	}
	return rc;
}

static int choose_day(const struct audit *audit, struct plan *plan, struct error *err)
{
	static const char *const TABLES[] = {"account_state", "balances", "loyalty"};
	const int32_t asked = audit->options->day;
	bool has_asked = false;
	int rc = 0;
	plan->newest = DAY_MIN;
	for (size_t i = 0; rc == 0 && i < sizeof(TABLES) / sizeof(TABLES[0]); i++)
		rc = newest_of(audit, TABLES[i], asked, &plan->newest, &has_asked, err);
	if (rc < 0)
		return rc;
	plan->day = asked == DAY_MAX ? plan->newest : asked;
	if (asked == DAY_MAX || has_asked)
		return 0;
	char date[11];
	char newest[11] = "none";
	civil_format(asked, date);
	if (plan->newest != DAY_MIN)
		civil_format(plan->newest, newest);
	return error_set(err, ERROR_NOT_FOUND,
			 "%s was not refreshed (the newest day that was: %s): `punchcard refresh --data-dt %s` makes "
			 "its tables",
			 date, newest, date);
}

/* Whether it is one to go by; what is wrong with it is told. */
static bool look_at_state(struct audit *audit, struct plan *plan, const struct audit_state *state)
{
	const char *const hash = audit->deployment.programme->hash_text;
	if (state->name.offset > audit->offset) {
		audit_tell(
			audit,
			&(struct audit_finding){
				.table = AUDIT_ACCOUNT_STATE,
				.kind = AUDIT_UNREADABLE,
				.day = state->day,
				.text = SLICE("it was made of blocks that the journal has not: with another journal"),
			});
		return false;
	}
	if (strcmp(state->name.programme, hash) != 0 && plan->same_rules) {
		const struct audit_cell cell = {"programme", slice_of(state->name.programme), slice_of(hash)};
		audit_tell(audit, &(struct audit_finding){.table = AUDIT_LEDGER,
							  .kind = AUDIT_OTHER_PROGRAMME,
							  .day = state->day,
							  .cells = &cell,
							  .n_cells = 1});
		plan->same_rules = false;
	}
	return true;
}

/* Of which events, and by which programme. */
static void look_at_states(struct audit *audit, struct plan *plan, const struct audit_state *states, size_t n)
{
	/* When the newest state was removed by hand, its tables may have all that is there. */
	plan->same_rules = true;
	plan->ledger_offset = audit->offset;
	plan->day_offset = audit->offset;
	plan->has_day = plan->day == plan->newest;
	for (size_t i = 0; i < n; i++) {
		if (!look_at_state(audit, plan, &states[i]))
			continue;
		if (states[i].day == plan->newest)
			plan->ledger_offset = states[i].name.offset;
		if (states[i].day == plan->day) {
			plan->day_offset = states[i].name.offset;
			plan->has_day = true;
		}
	}
	if (!plan->has_day)
		plan->day_offset = plan->ledger_offset;
}

static int make_plan(struct audit *audit, struct plan *plan, struct error *err)
{
	_cleanup_free_ struct audit_state *states = NULL;
	size_t n = 0;
	int rc = choose_day(audit, plan, err);
	if (rc == 0)
		rc = audit_states(audit, &states, &n, err);
	if (rc < 0)
		return rc;
	struct audit_report *const report = &audit->report;
	look_at_states(audit, plan, states, n);
	report->refreshed = plan->newest != DAY_MIN;
	report->day = plan->day;
	report->newest_day = plan->newest;
	report->day_unknown = report->refreshed && plan->same_rules && !plan->has_day;
	report->stale = report->refreshed && plan->day_offset < audit->offset;
	return 0;
}

/* ---- the view ---- */

/* Whether its records can be those of today's programme; and tells what is known without comparing. */
static int look_at_view(struct audit *audit, bool *comparable, struct error *err)
{
	*comparable = false;
	if (!audit->view) {
		if (audit->totals.events)
			audit_tell(audit,
				   &(struct audit_finding){.table = AUDIT_VIEW, .kind = AUDIT_MISSING, .day = DAY_MIN});
		return 0;
	}
	struct slice rules = {NULL, 0};
	const int rc = view_rules(audit->view, &rules, err);
	if (rc < 0)
		return rc;
	const char *const hash = audit->deployment.programme->hash_text;
	/* None was set: there are no accounts yet. */
	*comparable = rules.len == 0 || (rules.len >= HASH_BYTES && memcmp(rules.data, hash, HASH_BYTES) == 0);
	if (*comparable)
		return 0;
	const struct audit_cell cell = {
		"programme", {rules.data, rules.len < HASH_BYTES ? rules.len : HASH_BYTES}, slice_of(hash)};
	audit_tell(audit, &(struct audit_finding){.table = AUDIT_VIEW,
						  .kind = AUDIT_OTHER_PROGRAMME,
						  .day = DAY_MIN,
						  .cells = &cell,
						  .n_cells = 1});
	return 0;
}

/* ---- comparing ---- */

/* What one fold is compared with. */
struct comparison {
	uint64_t offset;
	bool ledger;
	bool day;
};

static int fold_and_compare(struct audit *audit, struct plan *plan, const struct comparison *with, struct error *err)
{
	struct folding folding = {0};
	const bool with_view = !plan->view_done && with->offset == audit->offset;
	int rc = audit_fold(audit, with->offset, plan->day, with_view, &folding, err);
	plan->view_done = plan->view_done || with_view;
	if (rc == 0 && with->ledger)
		rc = audit_ledger(audit, &folding, DAY_MIN, plan->day, err);
	if (rc == 0 && with->day)
		rc = audit_day_tables(audit, &folding, err);
	folding_release(&folding);
	return rc;
}

static int compare_tables(struct audit *audit, struct plan *plan, struct error *err)
{
	const bool at_once = plan->has_day && plan->day_offset == plan->ledger_offset;
	const struct comparison ledger = {.offset = plan->ledger_offset, .ledger = true, .day = at_once};
	const struct comparison day = {.offset = plan->day_offset, .day = true};
	int rc = fold_and_compare(audit, plan, &ledger, err);
	if (rc == 0 && plan->has_day && !at_once)
		rc = fold_and_compare(audit, plan, &day, err);
	return rc;
}

static int compare_folds(struct audit *audit, struct plan *plan, struct error *err)
{
	const bool comparable = audit->report.refreshed && plan->same_rules;
	int rc = comparable ? compare_tables(audit, plan, err) : 0;
	if (rc < 0 || plan->view_done)
		return rc;
	const struct audit_report before = audit->report;
	rc = audit_fold(audit, audit->offset, DAY_MAX, true, NULL, err);
	if (comparable) {
		audit->report.customers = before.customers;
		audit->report.events = before.events;
	}
	return rc;
}

static int compare_all(struct audit *audit, struct plan *plan, struct error *err)
{
	bool comparable = false;
	bool readable = true;
	int rc = audit_rows_of_events(audit, &readable, err);
	if (rc == 0)
		rc = look_at_view(audit, &comparable, err);
	if (rc < 0)
		return rc;
	plan->view_done = !comparable;
	/* What the history does not give need not be compared with it; the ledger can still be added up. */
	rc = compare_folds(audit, plan, err);
	if (!readable && (rc == ERROR_CORRUPT || rc == ERROR_SQL))
		rc = 0; /* it was told */
	rc = audit_unreadable(audit, AUDIT_TRANSACTIONS, DAY_MIN, rc, err);
	if (rc < 0 || !audit->report.refreshed)
		return rc;
	if (plan->newest < DAY_MAX)
		rc = audit_ledger(audit, NULL, plan->newest + 1, DAY_MAX, err);
	const bool alone = !plan->has_day || plan->day_offset != plan->ledger_offset;
	audit->report.ledger_alone = alone;
	return rc < 0 ? rc : audit_sums(audit, plan->day, alone, err);
}

/* ---- all of it ---- */

static int changed_meanwhile(struct error *err)
{
	return error_set(err, ERROR_LOCKED,
			 "a refresh or rebuild changed the tables while they were compared, so that nothing can be "
			 "said: run audit again when it is done");
}

static int run(struct audit *audit, struct error *err)
{
	uint64_t before = 0;
	uint64_t after = 0;
	struct plan plan = {0};
	int rc = audit_fingerprint(audit, &before, err);
	if (rc == 0)
		rc = audit_snapshot(audit, err);
	if (rc == 0)
		rc = make_plan(audit, &plan, err);
	audit->report.empty = rc == 0 && !audit->report.refreshed && audit->totals.events == 0;
	if (rc == 0 && !audit->report.empty) {
		rc = compare_all(audit, &plan, err);
		if (rc == 0 || rc == ERROR_NOT_FOUND) {
			struct error error = {0};
			const int looked = audit_fingerprint(audit, &after, &error);
			if (looked == ERROR_LOCKED || (looked == 0 && after != before))
				rc = changed_meanwhile(err);
		}
	}
	return rc;
}

int audit_run(const struct deployment *deployment, const struct audit_options *options, struct audit_report *report,
	      struct error *err)
{
	struct audit *const audit = calloc(1, sizeof(*audit));
	if (!audit)
		return error_no_memory(err, sizeof(*audit));
	struct error error = {0};
	audit->deployment = *deployment;
	audit->deployment.tmp_dir = (char *)(uintptr_t)options->tmp_dir;
	audit->options = options;
	audit->waiting.id_type = deployment->config->customer_id;
	audit->marked.id_type = deployment->config->customer_id;
	/* It goes back to offsets that it read before. */
	_cleanup_files_lock_ struct files_lock lock = FILES_LOCK_NONE;
	int rc = files_lock_pin(deployment, &lock, &error);
	if (rc == 0)
		rc = run(audit, &error);
	audit_snapshot_release(audit);
	if (rc == 0)
		*report = audit->report;
	else if (err)
		*err = error;
	free(audit);
	return rc;
}
