#include "batch/audit_internal.h"

#include "base/limits.h"
#include "base/tz.h"

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
		[AUDIT_MARKED] = "marked",
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
	struct audit_state *states; /* ascending by day */
	size_t n_states;
	int32_t newest;      /* of the tables; DAY_MIN: none was made yet */
	int32_t day;         /* the audited one */
	uint64_t day_offset; /* of the events its tables were made of */
	bool has_state;      /* of that day */
	bool same_rules;     /* the tables were made by the programme of today */
	bool day_done;
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

/*
 * The rows of the ledger up to `day` were made of which events: those of the state with most events that is not before it. A
 * refresh of an older day writes the days up to it again, and leaves those behind it to the next one. *until: the last day
 * for which that holds.
 */
static uint64_t ledger_offset(const struct audit *audit, const struct plan *plan, int32_t day, int32_t *until)
{
	const struct audit_state *found = NULL;
	for (size_t i = 0; i < plan->n_states; i++)
		if (plan->states[i].day >= day && (!found || plan->states[i].offset >= found->offset))
			found = &plan->states[i];
	*until = found ? found->day : DAY_MAX;
	return found ? found->offset : audit->offset;
}

/* Of which events, and by which programme; what cannot be is told. */
static void look_at_states(struct audit *audit, struct plan *plan)
{
	const char *const hash = audit->deployment.programme->hash_text;
	assert(plan->states);
	plan->same_rules = true;
	size_t n = 0;
	for (size_t i = 0; i < plan->n_states; i++) {
		struct audit_state *const state = &plan->states[i];
		if (state->offset > audit->offset) {
			audit_tell(audit, &(struct audit_finding){
						  .table = AUDIT_ACCOUNT_STATE,
						  .kind = AUDIT_UNREADABLE,
						  .day = state->day,
						  .text = SLICE("it was made of blocks that the journal has not: with "
								"another journal"),
					  });
			continue;
		}
		if (strcmp(state->programme, hash) != 0 && plan->same_rules) {
			const struct audit_cell cell = {"programme", slice_of(state->programme), slice_of(hash)};
			audit_tell(audit, &(struct audit_finding){.table = AUDIT_LEDGER,
								  .kind = AUDIT_OTHER_PROGRAMME,
								  .day = state->day,
								  .cells = &cell,
								  .n_cells = 1});
			plan->same_rules = false;
		}
		plan->states[n++] = *state;
	}
	/* The newest one was removed by hand: its tables may have all that is there. */
	if (plan->newest != DAY_MIN && (n == 0 || plan->states[n - 1].day != plan->newest))
		plan->states[n++] = (struct audit_state){.day = plan->newest, .offset = audit->offset};
	plan->n_states = n;
	int32_t until;
	plan->day_offset = ledger_offset(audit, plan, plan->day, &until);
	for (size_t i = 0; i < plan->n_states; i++) {
		if (plan->states[i].day != plan->day)
			continue;
		plan->has_state = true;
		plan->day_offset = plan->states[i].offset;
	}
}

static int make_plan(struct audit *audit, struct plan *plan, struct error *err)
{
	int rc = choose_day(audit, plan, err);
	if (rc == 0)
		rc = audit_states(audit, &plan->states, &plan->n_states, err);
	if (rc < 0)
		return rc;
	look_at_states(audit, plan);
	audit->report.refreshed = plan->newest != DAY_MIN;
	audit->report.day = plan->day;
	audit->report.stale = audit->report.refreshed && plan->day_offset < audit->offset;
	return 0;
}

/* ---- the view ---- */

static int tell_marked(struct audit *audit, struct error *err)
{
	const enum customer_id_type id_type = audit->deployment.config->customer_id;
	_cleanup_buf_ struct buf customer = {0};
	for (size_t i = 0; i < audit->marked.n; i++) {
		buf_clear(&customer);
		if (audit_would_tell(audit) && audit_customer_text(id_type, &audit->marked.ids[i], &customer) < 0)
			return error_no_memory(err, customer.len);
		audit_tell(audit, &(struct audit_finding){.table = AUDIT_VIEW,
							  .kind = AUDIT_MARKED,
							  .day = DAY_MIN,
							  .customer = {customer.data, customer.len}});
	}
	return 0;
}

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
	int rc = tell_marked(audit, err);
	if (rc == 0)
		rc = view_rules(audit->view, &rules, err);
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

/* One fold, and what can be compared with it: the ledger from `first` on, when there is one, and what is not done yet. */
static int fold_and_compare(struct audit *audit, struct plan *plan, uint64_t offset, int32_t first, int32_t day,
			    struct error *err)
{
	struct folding folding = {0};
	const bool is_day = day == plan->day && offset == plan->day_offset && !plan->day_done;
	const bool with_view = !plan->view_done && offset == audit->offset;
	plan->view_done = plan->view_done || with_view;
	plan->day_done = plan->day_done || is_day;
	int rc = audit_fold(audit, offset, day, with_view, &folding, err);
	if (rc == 0 && is_day) {
		audit->report.customers = folding.counts.customers;
		audit->report.events = folding.counts.events;
	}
	if (rc == 0 && first <= day)
		rc = audit_ledger(audit, &folding, first, day, err);
	if (rc == 0 && is_day)
		rc = audit_day_tables(audit, &folding, plan->has_state || plan->day == plan->newest, err);
	folding_release(&folding);
	return rc;
}

/* Whether all of the ledger's rows up to the day were made of the events that its tables were made of, in *same. */
static int compare_ledger(struct audit *audit, struct plan *plan, bool *same, struct error *err)
{
	int rc = 0;
	*same = true;
	for (int32_t first = DAY_MIN; rc == 0 && first <= plan->day;) {
		int32_t until;
		const uint64_t offset = ledger_offset(audit, plan, first, &until);
		const int32_t last = until < plan->day ? until : plan->day;
		*same = *same && offset == plan->day_offset;
		rc = fold_and_compare(audit, plan, offset, first, last, err);
		if (last == plan->day)
			break;
		first = last + 1;
	}
	return rc;
}

static int compare_tables(struct audit *audit, struct plan *plan, bool *same, struct error *err)
{
	const bool comparable = audit->report.refreshed && plan->same_rules;
	int rc = comparable ? compare_ledger(audit, plan, same, err) : 0;
	if (rc == 0 && comparable && !plan->day_done)
		rc = fold_and_compare(audit, plan, plan->day_offset, DAY_MAX, plan->day, err);
	if (rc == 0 && !plan->view_done) {
		const struct audit_report before = audit->report;
		rc = audit_fold(audit, audit->offset, DAY_MAX, true, NULL, err);
		if (plan->day_done) {
			audit->report.customers = before.customers;
			audit->report.events = before.events;
		}
	}
	return rc;
}

static int compare_all(struct audit *audit, struct plan *plan, struct error *err)
{
	bool comparable = false;
	bool same = true;
	int rc = audit_rows_of_events(audit, err);
	if (rc == 0)
		rc = look_at_view(audit, &comparable, err);
	if (rc < 0)
		return rc;
	plan->view_done = !comparable;
	/* What the history does not give need not be compared with it; the ledger can still be added up. */
	rc = audit_unreadable(audit, AUDIT_TRANSACTIONS, DAY_MIN, compare_tables(audit, plan, &same, err), err);
	if (rc < 0 || !audit->report.refreshed)
		return rc;
	if (plan->newest < DAY_MAX)
		rc = audit_ledger(audit, NULL, plan->newest + 1, DAY_MAX, err);
	audit->report.balances_differ_in_time = !same;
	return rc < 0 ? rc : audit_sums(audit, plan->day, !same, err);
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
	free(plan.states);
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
	const int rc = run(audit, &error);
	audit_snapshot_release(audit);
	if (rc == 0)
		*report = audit->report;
	else if (err)
		*err = error;
	free(audit);
	return rc;
}
