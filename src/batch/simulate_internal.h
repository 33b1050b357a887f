/*
 * What the two halves of simulate share: the sums (simulate_sums.c), made by workers and put together in order, and the run
 * (simulate.c).
 */
#ifndef PUNCHCARD_BATCH_SIMULATE_INTERNAL_H
#define PUNCHCARD_BATCH_SIMULATE_INTERNAL_H

#include "batch/history.h"
#include "batch/simulate.h"
#include "batch/spool.h"

struct simulation {
	const struct programme *programmes[SIMULATE_SIDES];
	int32_t data_dt;
	struct spool *rows; /* gets rows (struct simulate_row), customer by customer; NULL: nobody wants them */
	unsigned n_ledgers;
	/* Index of each of the report's ledgers in a programme; -1: it has none of that name. */
	int ledger_of[SIMULATE_LEDGERS_MAX][SIMULATE_SIDES];
	unsigned compared[SIMULATE_SIDES];
	struct simulate_report sums; /* so far */
	int64_t *changes;            /* of each customer */
	size_t n_changes;
	size_t changes_cap;
};

/* One row of the Parquet file. In a record of the spool the bytes of a text id follow. */
struct simulate_row {
	int64_t number;
	struct simulate_points side[SIMULATE_SIDES];
	uint8_t ledger; /* of the report's */
	uint8_t tier[SIMULATE_SIDES];
};

/* ERROR_CONFIG when the programmes are in different currencies. */
int simulation_init(struct simulation *simulation, const struct programme *today, const struct programme *other,
		    const struct simulate_options *options, struct error *err);
void simulation_release(struct simulation *simulation);
/* What history_run is given; `simulation` must stay where it is. */
struct history_sink simulation_sink(struct simulation *simulation);
/* Costs and quantiles, once all is in. ERROR_OVERFLOW. */
int simulation_report(struct simulation *simulation, struct simulate_report *out, struct error *err);

#endif
