/*
 * Simulating: the whole history under another programme, beside today's, before it is applied.
 *
 *     struct simulate_report report;
 *     rc = simulate_run(deployment, other, &(struct simulate_options){.data_dt = day, .value_micro = -1}, &report, err);
 *     report.ledgers[0].side[SIMULATE_OTHER].issued_milli - report.ledgers[0].side[SIMULATE_TODAY].issued_milli
 *
 * Each customer's events are read once and folded by both programmes, on all cores. Events are facts: a redemption that
 * happened is taken as it was, also where the other programme's points would not have been enough (what is missing is debt, or
 * forgiven, as that programme says), and nobody buys more or less. Nothing is written but the file that was asked for; no lock
 * is taken, and nobody waits.
 *
 * Memory: that of history_run, 8 bytes a customer, and nothing that grows with the events.
 */
#ifndef PUNCHCARD_BATCH_SIMULATE_H
#define PUNCHCARD_BATCH_SIMULATE_H

#include "base/limits.h"
#include "config/deployment.h"
#include "engine/engine.h"
#include "fold/compare.h"

#include <stdbool.h>
#include <stdint.h>

struct simulate_ledger {
	char name[33];
	bool has[SIMULATE_SIDES]; /* whether that programme has it */
	struct simulate_points side[SIMULATE_SIDES];
	/* What a point costs, in millionths of the currency, and what that makes, in minor units, half up: of all that was
	 * issued and not reversed, and of what is outstanding. Nothing (0) without a value. */
	int64_t value_micro[SIMULATE_SIDES];
	int64_t cost_minor[SIMULATE_SIDES];
	int64_t liability_minor[SIMULATE_SIDES];
};

/* Who gains or loses how much: change of a customer's points (all lots less debt) in the ledger `compared`. */
enum simulate_change {
	CHANGE_LOSES_OVER_100, /* more than 100 points */
	CHANGE_LOSES_10_100,
	CHANGE_LOSES_1_10, /* less than 10 */
	CHANGE_LOSES_UNDER_1,
	CHANGE_NONE,
	CHANGE_GAINS_UNDER_1,
	CHANGE_GAINS_1_10,
	CHANGE_GAINS_10_100,
	CHANGE_GAINS_OVER_100,
	CHANGE_KINDS,
};
/* "loses more than 100", for people. */
const char *simulate_change_name(enum simulate_change change);

#define SIMULATE_QUANTILES 7u
/* Per cent: 1, 5, 25, 50, 75, 95, 99. */
extern const unsigned SIMULATE_QUANTILE[SIMULATE_QUANTILES];

#define SIMULATE_LOSERS 20u

struct simulate_customer {
	int64_t number;                     /* of ids of type integer … */
	char text[LIMIT_CUSTOMER_ID_BYTES]; /* … or the bytes, without a NUL */
	uint32_t text_len;
	int64_t before_milli;
	int64_t after_milli;
};

struct simulate_report {
	int32_t data_dt;
	bool same; /* both programmes have the same rules */
	uint64_t customers;
	uint64_t events;
	unsigned n_ledgers;
	struct simulate_ledger ledgers[SIMULATE_LEDGERS_MAX];
	uint64_t rejected[SIMULATE_SIDES][REJECT_MAX + 1]; /* events, by reason; [REJECT_NONE]: all */
	/* Customers by their level today and by the other programme; level 0 of a programme without tiers. */
	uint64_t tiers[PROGRAMME_LEVELS_MAX][PROGRAMME_LEVELS_MAX];
	/* Today's first ledger, and the other's of that name, else its first. */
	unsigned compared[SIMULATE_SIDES];     /* index in `ledgers` */
	uint64_t changes[CHANGE_KINDS];        /* customers */
	int64_t quantiles[SIMULATE_QUANTILES]; /* of the change, nearest rank, thousandths; 0 without customers */
	unsigned n_losers;
	struct simulate_customer losers[SIMULATE_LOSERS]; /* who lose most, the most first; of equal ones by id */
};

struct simulate_options {
	int32_t data_dt;     /* events up to the end of this local day count, and the state is that of its end */
	int64_t value_micro; /* of a point of any ledger, in millionths of the currency; < 0: as each programme says */
	const char *parquet; /* a file that gets a row a customer and ledger; replaced whole; NULL: none */
	const char *tmp_dir; /* where it spills; not data/tmp, which is the writer's */
	/* As history_options has them. */
	bool (*progress)(void *context, uint64_t rows, uint64_t total);
	void *progress_context;
};

/* The two ends of every simulation, wherever customers are folded: what is known before (ledgers, which are compared, values, the day), of
 * which all else is zero; and the costs, once the sums are in. ERROR_CONFIG: the programmes are in different currencies; ERROR_OVERFLOW. */
int simulate_begin(const struct programme *today, const struct programme *other, const struct simulate_options *options,
		   struct simulate_report *report, struct error *err);
int simulate_cost(struct simulate_report *sums, struct error *err);
/* options->parquet, which is not NULL: whether its directory can be written to, and has none of that name (ERROR_EXISTS); and the rows of a SELECT in it, which appear whole. */
int simulate_check_file(const struct simulate_options *options, struct error *err);
int simulate_write_file(const struct simulate_options *options, struct engine *engine, const char *select,
			struct error *err);

/*
 * `other` (prepared) is in the deployment's currency, else ERROR_CONFIG. Errors besides: those of history_run; ERROR_OVERFLOW
 * when a sum does not fit; those of the file. Events that are in the journal, but not in transactions_cln yet, are not in it.
 */
int simulate_run(const struct deployment *deployment, const struct programme *other,
		 const struct simulate_options *options, struct simulate_report *report, struct error *err);

#endif
