/*
 * Two programmes side by side: their ledgers in pairs, by name, and a customer's points in one. What simulate is about,
 * wherever it runs.
 */
#ifndef PUNCHCARD_FOLD_COMPARE_H
#define PUNCHCARD_FOLD_COMPARE_H

#include "fold/columns.h"
#include "loyalty/account.h"

#include <stdbool.h>

enum simulate_side {
	SIMULATE_TODAY = 0,
	SIMULATE_OTHER = 1,
};
#define SIMULATE_SIDES 2u

/* Ledgers of both programmes, those of one name together. */
#define SIMULATE_LEDGERS_MAX (2u * PROGRAMME_LEDGERS_MAX)

/* Of one ledger, of one customer or all of them; thousandths of a point. issued − reversed = outstanding + redeemed +
 * expired − debt. */
struct simulate_points {
	int64_t issued_milli;
	int64_t reversed_milli;
	int64_t redeemed_milli;
	int64_t expired_milli;
	int64_t outstanding_milli; /* all lots: the liability, pending ones included */
	int64_t pending_milli;     /* of which these can't be spent yet */
	int64_t debt_milli;
};

void simulate_points_of(const struct account *account, unsigned ledger, struct simulate_points *out);

struct simulate_pairs {
	unsigned n;
	const char *names[SIMULATE_LEDGERS_MAX]; /* the programmes' */
	/* Index of each in a programme; -1: it has none of that name. */
	int ledger_of[SIMULATE_LEDGERS_MAX][SIMULATE_SIDES];
};

/* Today's ledgers, in their order, then the other's that today has not. */
void simulate_pair_ledgers(const struct programme *today, const struct programme *other, struct simulate_pairs *out);

#endif
