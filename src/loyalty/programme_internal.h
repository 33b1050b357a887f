/*
 * Inside of a prepared programme: what earning and the items need ready.
 *
 * Which rules and promotions are in force by date changes on few days. These cut time into *spans*; in each, a ledger has a
 * *cell* that says all there is to know, so that an order looks at nothing that is not in force.
 */
#ifndef PUNCHCARD_LOYALTY_PROGRAMME_INTERNAL_H
#define PUNCHCARD_LOYALTY_PROGRAMME_INTERNAL_H

#include "base/limits.h"
#include "loyalty/programme.h"

#include <assert.h>

/* Unsigned: nothing in earning is negative, and compilers check and divide it with less code. */
typedef unsigned __int128 wide;

static inline wide widen(int64_t not_negative)
{
	return (uint64_t)not_negative;
}

/* b > 0. */
static inline wide wide_gcd(wide a, wide b)
{
	assert(b);
	while (a) {
		const wide rest = b % a;
		b = a;
		a = rest;
	}
	return b;
}

/* Σ points · quantity that one order may come to in a ledger, in millionths of a point. */
#define ITEMS_MAX_MICRO (LIMIT_POINTS_MILLI * 1000)

/*
 * What a customer of one tier level earns in one cell, in units of the ledger (10^-decimals points), before promotions:
 *
 *     (E · amount + S · step) / den         S = Σ per_step, in thousandths of a point
 *
 * in lowest terms. With E at its limit and all promotions that can come together, numerator and denominator fit a wide: so
 * programme_prepare has found.
 */
struct earn_scale {
	wide amount;
	wide step;
	wide den;
	bool is_narrow; /* no promotions, and all of this fits 64 bits */
};

struct earn_cell {
	/* Σ points / per of the per_amount rules in lowest terms; 0/1 when there is none. */
	wide rate_num;
	wide rate_den;
	uint64_t amount_rules; /* these rules; bit i: rules[i] */
	uint64_t item_rules;   /* the per_item rules */
	uint8_t n_steps;
	uint8_t n_visits;
	uint8_t n_promotions;
	uint8_t rules[PROGRAMME_RULES_MAX]; /* indices: n_steps of kind per_step, then n_visits of per_visit */
	/* Indices, groups ascending, within a group the greatest multiplier first, of equal ones the first in the file. */
	uint8_t promotions[PROGRAMME_PROMOTIONS_MAX];
	struct earn_scale scales[PROGRAMME_LEVELS_MAX]; /* by tier level; without tiers the first */
};

struct item_slot {
	uint32_t tag;  /* low bits of the name's hash */
	uint32_t item; /* index + 1; 0: empty */
};

/* Of days of the 21st century it is looked up when a lot that was earned on them expires. */
#define EXPIRIES_FIRST 10957 /* 2000-01-01 */
#define EXPIRIES_N     36525u

struct programme_index {
	unsigned n_spans;
	/* First day of each; the first is DAY_MIN. */
	int32_t spans[2 * (PROGRAMME_RULES_MAX + PROGRAMME_PROMOTIONS_MAX) + 1];
	struct earn_cell *cells; /* n_spans × n_ledgers */
	/* Open addressing, half full at most; slot_mask + 1 is a power of two. No slots without items. */
	struct item_slot *slots;
	size_t slot_mask;
	uint32_t *item_lens;
	/* Of ledgers whose points live for months: EXPIRIES_N days. Else NULL. */
	int32_t *expiries[PROGRAMME_LEDGERS_MAX];
};

/* Makes index->slots. ERROR_CONFIG, with *culprit, when two items have one name; ERROR_NO_MEMORY. */
int programme_index_items(const struct programme *programme, struct programme_index *index,
			  struct programme_culprit *culprit, struct error *err);
/* Makes spans and cells; the multipliers are in lowest terms. Errors as programme_prepare, with *culprit. */
int programme_index_earning(const struct programme *programme, struct programme_index *index,
			    struct programme_culprit *culprit, struct error *err);

/* ledger_expiry_day: of a ledger by its number, and fast. */
static inline int32_t programme_expiry_day(const struct programme *programme, unsigned ledger, int32_t day)
{
	const int32_t *const expiries = programme->index->expiries[ledger];
	const uint32_t at = (uint32_t)day - EXPIRIES_FIRST;
	return expiries && at < EXPIRIES_N ? expiries[at] : ledger_expiry_day(&programme->ledgers[ledger], day);
}

/* The cells of a day, one a ledger. */
static inline const struct earn_cell *programme_cells(const struct programme *programme, int32_t day)
{
	const struct programme_index *const index = programme->index;
	unsigned at = 0;
	for (unsigned n = index->n_spans; n > 1; n -= n / 2)
		at += index->spans[at + n / 2] <= day ? n / 2 : 0;
	return index->cells + (size_t)at * programme->n_ledgers;
}

/* Thousandths in the ledger's unit: 1000, 100, 10 or 1. */
static inline int64_t ledger_unit_milli(const struct ledger_rules *ledger)
{
	static const int64_t UNITS[] = {1000, 100, 10, 1};
	return UNITS[ledger->decimals];
}

#endif
