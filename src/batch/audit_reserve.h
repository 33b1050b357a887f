/*
 * The reserve: points that customers have, by the month in which they expire, and what they cost. For finance.
 *
 *     const struct reserve_options options = {.day = DAY_MAX, .today = today, .tmp_dir = tmp};
 *     rc = reserve_run(deployment, &options, &report, err);
 *     … report->ledgers[0].months[0].points_milli …
 *     reserve_free(report);
 *
 * Only reads, and takes no lock. As of the end of a day: out of that day's account_state, when today's programme made it, else by
 * folding the history up to then once more.
 */
#ifndef PUNCHCARD_BATCH_AUDIT_RESERVE_H
#define PUNCHCARD_BATCH_AUDIT_RESERVE_H

#include "config/deployment.h"
#include "loyalty/programme.h"

#include <stdbool.h>
#include <stdint.h>

struct reserve_options {
	int32_t day;   /* DAY_MAX: the newest that was refreshed by today's programme, or else `today` */
	int32_t today; /* local day of the programme */
	/* Of the caller's; not data/tmp, which is the writer's. */
	const char *tmp_dir;
	/* Some times a second, in the caller's thread: how far it is, and of how much (0: not known). May be NULL; false ends it
	 * with ERROR_INTERRUPTED. */
	bool (*progress)(void *context, const char *doing, uint64_t done, uint64_t total);
	void *context;
};

struct reserve_month {
	int32_t first_day;    /* of the month in whose course they expire */
	int64_t points_milli; /* > 0 */
	int64_t cost_minor;
};

/* Thousandths of a point, and minor units of the currency, each rounded half up by itself (0 without a value). Spendable
 * points are those of the months and `never`. */
struct reserve_ledger {
	const struct ledger_rules *rules; /* the deployment's programme's */
	uint64_t customers;               /* with points or debt */
	struct reserve_month *months; /* ascending; of a ledger with `inactivity`: if nothing is ordered until then */
	unsigned n_months;
	int64_t never_milli;
	int64_t never_minor;
	int64_t pending_milli; /* earned, and not to be spent yet; in no month */
	int64_t pending_minor;
	int64_t outstanding_milli; /* spendable and pending */
	int64_t outstanding_minor;
	int64_t debt_milli; /* of other customers than those with points in it */
	int64_t debt_minor;
};

struct reserve_report {
	int32_t day;
	bool from_state;    /* else out of the history */
	uint64_t customers; /* with an account */
	unsigned n_ledgers;
	struct reserve_ledger ledgers[PROGRAMME_LEDGERS_MAX];
};

/* *report is freed by reserve_free, and does not outlive the deployment. Errors: those of history_run; ERROR_CORRUPT: a damaged
 * state; ERROR_OVERFLOW: a sum does not fit; ERROR_LOCKED: a writer changed the table meanwhile. */
int reserve_run(const struct deployment *deployment, const struct reserve_options *options,
		struct reserve_report **report, struct error *err);

/*
 * The same out of states wherever they are, as rows of Parquet files. `each` gives their local paths, one after the other, each of which is
 * read before the call of `take` returns. `expression` is the bytes of a state, in SQL, and `condition` tells which rows are states.
 */
typedef int reserve_file_fn(void *taking, const char *path, struct error *err);
struct reserve_states {
	int32_t day;
	bool from_state;
	const char *expression;
	const char *condition;
	int (*each)(void *context, reserve_file_fn *take, void *taking, struct error *err);
	void *context;
};
int reserve_of_states(const struct deployment *deployment, const struct reserve_options *options,
		      const struct reserve_states *states, struct reserve_report **report, struct error *err);
/* NULL is fine. */
void reserve_free(struct reserve_report *report);

#endif
