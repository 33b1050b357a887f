#include "batch/audit_reserve.h"

#include "base/tz.h"
#include "batch/files_lock.h"
#include "batch/history.h"
#include "batch/states.h"
#include "engine/engine.h"
#include "loyalty/account.h"

#include <stdlib.h>

#define FIRST_YEAR 1970
/* No lot lives longer: events are before 2200, and PROGRAMME_MONTHS_MAX is a hundred years. */
#define LAST_YEAR        2399
#define MONTHS           (12u * (LAST_YEAR - FIRST_YEAR + 1))
#define STATE_MEMORY_MIB 128u
#define PROGRESS_ROWS    65536u
/* Thousandths of a point times millionths of the currency, in hundredths of the currency. */
#define COST_DIVISOR 10000000

struct ledger_sums {
	int64_t months[MONTHS];
	int64_t never;
	int64_t pending;
	int64_t debt;
	uint64_t customers;
};

struct sums {
	uint64_t customers;
	struct ledger_sums ledgers[PROGRAMME_LEDGERS_MAX];
};

struct reserve {
	const struct deployment *deployment;
	const struct reserve_options *options;
	int32_t day;
	uint64_t offset; /* the table writer's */
	char *state;     /* the file; NULL: out of the history */
	struct sums sums;
};

/* ---- sums ---- */

static int add(int64_t *sum, int64_t value)
{
	return __builtin_add_overflow(*sum, value, sum) ? ERROR_OVERFLOW : 0;
}

static int add_lot(struct ledger_sums *sums, const struct account_lot *lot)
{
	if (lot->available != DAY_MIN)
		return add(&sums->pending, lot->remaining_milli);
	if (lot->expires == DAY_MAX)
		return add(&sums->never, lot->remaining_milli);
	int year;
	int month;
	int day;
	civil_date(lot->expires, &year, &month, &day);
	if (year < FIRST_YEAR || year > LAST_YEAR)
		return ERROR_OVERFLOW;
	return add(&sums->months[(year - FIRST_YEAR) * 12 + month - 1], lot->remaining_milli);
}

static int add_account(struct sums *sums, const struct programme *programme, const struct account *account)
{
	int rc = 0;
	sums->customers++;
	for (unsigned i = 0; rc == 0 && i < programme->n_ledgers; i++) {
		struct ledger_sums *const ledger = &sums->ledgers[i];
		struct account_balance balance;
		account_balance(account, i, &balance);
		const unsigned n_lots = account_lots(account, i);
		ledger->customers += n_lots > 0 || balance.debt_milli > 0;
		rc = add(&ledger->debt, balance.debt_milli);
		for (unsigned j = 0; rc == 0 && j < n_lots; j++) {
			struct account_lot lot;
			account_lot(account, i, j, &lot);
			rc = add_lot(ledger, &lot);
		}
	}
	return rc;
}

static int add_sums(struct sums *to, const struct sums *from, unsigned n_ledgers)
{
	int rc = 0;
	to->customers += from->customers;
	for (unsigned i = 0; rc == 0 && i < n_ledgers; i++) {
		struct ledger_sums *const a = &to->ledgers[i];
		const struct ledger_sums *const b = &from->ledgers[i];
		a->customers += b->customers;
		for (unsigned j = 0; rc == 0 && j < MONTHS; j++)
			rc = add(&a->months[j], b->months[j]);
		if (rc < 0 || add(&a->never, b->never) < 0 || add(&a->pending, b->pending) < 0 ||
		    add(&a->debt, b->debt) < 0)
			rc = ERROR_OVERFLOW;
	}
	return rc;
}

static int too_much(struct error *err)
{
	return error_set(err, ERROR_OVERFLOW, "the points outstanding do not fit 64 bits");
}

static int tell_progress(const struct reserve *reserve, const char *doing, uint64_t done, uint64_t total,
			 struct error *err)
{
	const struct reserve_options *const options = reserve->options;
	if (!options->progress || options->progress(options->context, doing, done, total))
		return 0;
	return error_set(err, ERROR_INTERRUPTED, "interrupted");
}

/* ---- out of account_state ---- */

static int add_state(struct reserve *reserve, struct account *account, struct slice state, struct error *err)
{
	account_reset(account);
	const int rc = account_decode(state, account, err);
	if (rc < 0)
		return rc;
	return add_account(&reserve->sums, reserve->deployment->programme, account) < 0 ? too_much(err) : 0;
}

static int add_states(struct reserve *reserve, struct engine_scan *scan, struct account *account, struct error *err)
{
	uint32_t rows = 0;
	int rc = 0;
	while (rc == 0 && (rc = engine_scan_next(scan, &rows, err)) == 0 && rows > 0) {
		for (uint32_t row = 0; rc == 0 && row < rows; row++) {
			if (engine_scan_is_null(scan, 0, row))
				rc = error_set(err, ERROR_CORRUPT, "a state is missing");
			else
				rc = add_state(reserve, account, engine_scan_text(scan, 0, row), err);
		}
		if (rc == 0)
			rc = tell_progress(reserve, "reading the accounts", reserve->sums.customers, 0, err);
	}
	return rc;
}

struct reading {
	struct reserve *reserve;
	struct engine *engine;
	struct account *account;
	const char *expression;
	const char *condition;
};

static int read_file(void *context, const char *path, struct error *err)
{
	const struct reading *const reading = context;
	_cleanup_buf_ struct buf sql = {0};
	struct engine_scan *scan = NULL;
	if (buf_printf(&sql, "SELECT %s FROM read_parquet(", reading->expression) < 0 || engine_quote(&sql, path) < 0 ||
	    buf_printf(&sql, ") WHERE %s", reading->condition) < 0 || !buf_text(&sql))
		return error_no_memory(err, sql.len);
	int rc = engine_scan_open(reading->engine, sql.data, &scan, err);
	if (rc == 0)
		rc = add_states(reading->reserve, scan, reading->account, err);
	engine_scan_close(scan);
	return rc;
}

static int open_reading(struct reading *reading, struct error *err)
{
	reading->account = account_new(reading->reserve->deployment->programme);
	if (!reading->account)
		return error_no_memory(err, sizeof(void *));
	return engine_open(&(struct engine_options){.memory_mib = STATE_MEMORY_MIB, .threads = 1}, &reading->engine,
			   err);
}

static void close_reading(struct reading *reading)
{
	engine_close(reading->engine);
	account_free(reading->account);
}

static int read_states(struct reserve *reserve, struct error *err)
{
	struct reading reading = {.reserve = reserve, .expression = "state", .condition = "true"};
	int rc = open_reading(&reading, err);
	if (rc == 0)
		rc = read_file(&reading, reserve->state, err);
	close_reading(&reading);
	if (rc == ERROR_NOT_FOUND)
		return error_set(err, ERROR_LOCKED,
				 "a refresh or rebuild changed account_state meanwhile: run it again");
	if (rc == ERROR_CORRUPT || rc == ERROR_SQL)
		return error_prefix(err, "%s, which `punchcard rebuild` makes again", reserve->state);
	return rc;
}

/* ---- out of the history ---- */

struct place {
	struct account *account;
	struct sums sums;
};

static void close_place(void *context, void *state)
{
	(void)context;
	struct place *const place = state;
	account_free(place->account);
	free(place);
}

static int open_place(void *context, void **state, struct error *err)
{
	const struct reserve *const reserve = context;
	struct place *const place = calloc(1, sizeof(*place));
	if (!place)
		return error_no_memory(err, sizeof(*place));
	place->account = account_new(reserve->deployment->programme);
	if (!place->account) {
		close_place(context, place);
		return error_no_memory(err, sizeof(*place));
	}
	*state = place;
	return 0;
}

static int work(void *context, void *state, const struct history_batch *batch, struct error *err)
{
	const struct reserve *const reserve = context;
	struct place *const place = state;
	place->sums = (struct sums){0};
	for (size_t i = 0; i < batch->n_customers; i++) {
		const struct history_customer *const customer = &batch->customers[i];
		int rc = 0;
		account_reset(place->account);
		for (size_t j = 0; rc == 0 && j < customer->n_facts; j++)
			rc = account_apply(place->account, &customer->facts[j], NULL);
		if (rc == 0)
			rc = account_advance(place->account, reserve->day, NULL);
		if (rc < 0)
			return error_no_memory(err, customer->n_facts * sizeof(struct fact));
		if (add_account(&place->sums, reserve->deployment->programme, place->account) < 0)
			return too_much(err);
	}
	return 0;
}

static int commit(void *context, void *state, struct error *err)
{
	struct reserve *const reserve = context;
	const struct place *const place = state;
	return add_sums(&reserve->sums, &place->sums, reserve->deployment->programme->n_ledgers) < 0 ? too_much(err)
												     : 0;
}

static bool on_progress(void *context, uint64_t rows, uint64_t total)
{
	return tell_progress(context, rows ? "folding the history" : "sorting the history", rows, total, NULL) == 0;
}

static int fold_history(struct reserve *reserve, struct error *err)
{
	const struct history_sink sink = {
		.open = open_place, .work = work, .commit = commit, .close = close_place, .context = reserve};
	const struct history_options options = {
		.offset = reserve->offset,
		.from_day = DAY_MIN,
		.until_day = reserve->day,
		.tmp_dir = reserve->options->tmp_dir,
		.progress = on_progress,
		.progress_context = reserve,
	};
	/* Before the first block nothing was written. */
	if (options.offset <= 1)
		return 0;
	return history_run(reserve->deployment, reserve->deployment->programme, &options, &sink, err);
}

/* ---- the report ---- */

static int cost_of(int64_t points_milli, const struct ledger_rules *rules, int64_t *minor)
{
	const __int128 cost = ((__int128)points_milli * rules->value_micro + COST_DIVISOR / 2) / COST_DIVISOR;
	if (cost > INT64_MAX)
		return ERROR_OVERFLOW;
	*minor = (int64_t)cost;
	return 0;
}

static int report_months(const struct ledger_sums *sums, struct reserve_ledger *out)
{
	unsigned n = 0;
	for (unsigned i = 0; i < MONTHS; i++)
		n += sums->months[i] > 0;
	out->months = calloc(n ? n : 1, sizeof(*out->months));
	if (!out->months)
		return ERROR_NO_MEMORY;
	int rc = 0;
	for (unsigned i = 0; rc == 0 && i < MONTHS; i++) {
		if (sums->months[i] <= 0)
			continue;
		struct reserve_month *const month = &out->months[out->n_months++];
		month->first_day = civil_days(FIRST_YEAR + (int)i / 12, (int)i % 12 + 1, 1);
		month->points_milli = sums->months[i];
		rc = add(&out->outstanding_milli, month->points_milli);
		if (rc == 0)
			rc = cost_of(month->points_milli, out->rules, &month->cost_minor);
	}
	return rc;
}

static int report_ledger(const struct ledger_sums *sums, const struct ledger_rules *rules, struct reserve_ledger *out)
{
	*out = (struct reserve_ledger){
		.rules = rules,
		.customers = sums->customers,
		.never_milli = sums->never,
		.pending_milli = sums->pending,
		.debt_milli = sums->debt,
	};
	int rc = report_months(sums, out);
	if (rc < 0)
		return rc;
	if (add(&out->outstanding_milli, sums->never) < 0 || add(&out->outstanding_milli, sums->pending) < 0 ||
	    cost_of(out->never_milli, rules, &out->never_minor) < 0 ||
	    cost_of(out->pending_milli, rules, &out->pending_minor) < 0 ||
	    cost_of(out->outstanding_milli, rules, &out->outstanding_minor) < 0 ||
	    cost_of(out->debt_milli, rules, &out->debt_minor) < 0)
		return ERROR_OVERFLOW;
	return 0;
}

static int make_report(const struct reserve *reserve, bool from_state, struct reserve_report **out, struct error *err)
{
	const struct programme *const programme = reserve->deployment->programme;
	struct reserve_report *const report = calloc(1, sizeof(*report));
	if (!report)
		return error_no_memory(err, sizeof(*report));
	report->day = reserve->day;
	report->from_state = from_state;
	report->customers = reserve->sums.customers;
	int rc = 0;
	for (unsigned i = 0; rc == 0 && i < programme->n_ledgers; i++) {
		report->n_ledgers = i + 1;
		rc = report_ledger(&reserve->sums.ledgers[i], &programme->ledgers[i], &report->ledgers[i]);
	}
	if (rc < 0) {
		reserve_free(report);
		return rc == ERROR_OVERFLOW ? too_much(err) : error_no_memory(err, sizeof(*report));
	}
	*out = report;
	return 0;
}

void reserve_free(struct reserve_report *report)
{
	if (!report)
		return;
	for (unsigned i = 0; i < report->n_ledgers; i++)
		free(report->ledgers[i].months);
	free(report);
}

/* ---- all of it ---- */

/* The newest state of before `until` that today's programme made. */
static int find_state(struct reserve *reserve, int32_t until, struct error *err)
{
	struct states_found found = {0};
	int rc = history_offset(reserve->deployment, &reserve->offset, err);
	if (rc == 0)
		rc = states_find(reserve->deployment, until, reserve->offset, &found, err);
	if (rc < 0)
		return rc;
	const int32_t asked = reserve->options->day;
	if (found.found && (asked == DAY_MAX || found.day == asked)) {
		reserve->day = found.day;
		reserve->state = found.path;
		found.path = NULL;
	}
	states_release(&found);
	return 0;
}

int reserve_run(const struct deployment *deployment, const struct reserve_options *options,
		struct reserve_report **report, struct error *err)
{
	struct reserve *const reserve = calloc(1, sizeof(*reserve));
	if (!reserve)
		return error_no_memory(err, sizeof(*reserve));
	reserve->deployment = deployment;
	reserve->options = options;
	reserve->day = options->day == DAY_MAX ? options->today : options->day;
	_cleanup_files_lock_ struct files_lock lock = FILES_LOCK_NONE;
	files_lock_read(deployment, &lock);
	int rc = find_state(reserve, options->day == DAY_MAX ? DAY_MAX : options->day + 1, err);
	if (rc == 0)
		rc = reserve->state ? read_states(reserve, err) : fold_history(reserve, err);
	if (rc == 0)
		rc = make_report(reserve, reserve->state != NULL, report, err);
	free(reserve->state);
	free(reserve);
	return rc;
}

int reserve_of_states(const struct deployment *deployment, const struct reserve_options *options,
		      const struct reserve_states *states, struct reserve_report **report, struct error *err)
{
	struct reserve *const reserve = calloc(1, sizeof(*reserve));
	if (!reserve)
		return error_no_memory(err, sizeof(*reserve));
	reserve->deployment = deployment;
	reserve->options = options;
	reserve->day = states->day;
	struct reading reading = {.reserve = reserve, .expression = states->expression, .condition = states->condition};
	int rc = open_reading(&reading, err);
	if (rc == 0)
		rc = states->each(states->context, read_file, &reading, err);
	close_reading(&reading);
	if (rc == 0)
		rc = make_report(reserve, states->from_state, report, err);
	free(reserve);
	return rc;
}
