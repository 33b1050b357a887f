/*
 * Earning: what one order earns, by rule, tier and promotion. Exact fractions, rounded once a ledger.
 *
 *     struct earning earning;
 *     rc = earn_order(programme, &fact, tier, &earning);        // earning.points_milli[ledger]
 *
 * The fold uses the sums; `explain` shows the parts. Pure; any thread; no allocation.
 */
#ifndef PUNCHCARD_LOYALTY_EARN_H
#define PUNCHCARD_LOYALTY_EARN_H

#include "loyalty/fact.h"

/* Of each ledger of the programme; what is behind the last ledger is not written. */
struct earning {
	int64_t points_milli[PROGRAMME_LEDGERS_MAX]; /* P: after multipliers, rounding and cap */
	uint64_t rules[PROGRAMME_LEDGERS_MAX];       /* bit i: rules[i] gave something */
	uint64_t promotions[PROGRAMME_LEDGERS_MAX];  /* bit i: promotions[i] multiplied something */
};

/* `tier`: index of the level before the order (ignored without tiers). ERROR_OVERFLOW when the order's sums are out of the
 * range that fact.h gives them: *earning is not written. */
int earn_order(const struct programme *programme, const struct fact *order, unsigned tier, struct earning *earning);

/* One ledger's part of it, for people. base = num / den before multipliers; multiplied = base · tier · promotions. Fractions of
 * thousandths of a point, in lowest terms. */
struct earning_detail {
	__int128 base_num;
	__int128 base_den;
	struct multiplier tier;                 /* 1/1 without tiers */
	struct multiplier promotion_multiplier; /* of all groups together, in lowest terms */
	__int128 multiplied_num;
	__int128 multiplied_den;
	int64_t rounded_milli; /* of multiplied */
	int64_t items_milli;   /* rounded */
	int64_t visits_milli;
	int64_t capped_milli; /* what the cap took */
	int64_t points_milli;
	uint64_t rules;      /* of this ledger that gave something */
	uint64_t promotions; /* in force in this ledger: the winners of their groups */
};
/* Errors as earn_order. */
int earn_detail(const struct programme *programme, const struct fact *order, unsigned tier, unsigned ledger,
		struct earning_detail *out);

/* round(num / den), num >= 0, den > 0, to a multiple of `unit` (1, 10, 100 or 1000 thousandths). ERROR_OVERFLOW when that does not
 * fit, or den · unit does not fit 128 bits. */
int earn_round(__int128 num, __int128 den, int64_t unit, enum rounding rounding, int64_t *out);

#endif
