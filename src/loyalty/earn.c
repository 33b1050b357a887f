#include "loyalty/earn.h"

#include "loyalty/programme_internal.h"

#include <assert.h>

/* Whether what is left of a division, which lies below, at or above (-1, 0, 1) the half, makes one more. */
static inline bool rounds_up(enum rounding rounding, bool any_left, int half, bool is_odd)
{
	switch (rounding) {
	case ROUND_FLOOR:
		break;
	case ROUND_HALF_UP:
		return half >= 0;
	case ROUND_HALF_EVEN:
		return half > 0 || (half == 0 && is_odd);
	case ROUND_CEIL:
		return any_left;
	}
	return false;
}

/* Whole units of num / den. */
static inline uint64_t round_narrow(uint64_t num, uint64_t den, enum rounding rounding)
{
	const uint64_t whole = num / den;
	const uint64_t left = num % den;
	return whole + rounds_up(rounding, left, (left > den - left) - (left < den - left), whole & 1);
}

/* The same. Few numbers need the long division. */
static inline wide round_to_whole(wide num, wide den, enum rounding rounding)
{
	if ((num | den) >> 64 == 0)
		return round_narrow((uint64_t)num, (uint64_t)den, rounding);
	const wide whole = num / den;
	const wide left = num % den;
	return whole + rounds_up(rounding, left, (left > den - left) - (left < den - left), whole & 1);
}

int earn_round(__int128 num, __int128 den, int64_t unit, enum rounding rounding, int64_t *out)
{
	assert(num >= 0 && den > 0 && unit > 0);
	if ((wide)den > ~(wide)0 / widen(unit))
		return ERROR_OVERFLOW;
	const wide whole = round_to_whole((wide)num, (wide)den * widen(unit), rounding);
	if (whole > widen(INT64_MAX / unit))
		return ERROR_OVERFLOW;
	*out = (int64_t)whole * unit;
	return 0;
}

/* Bit 0 is Monday; 1970-01-01 was a Thursday. */
static inline unsigned weekday_bit(int32_t day)
{
	return 1u << ((day % 7 + 10) % 7);
}

/* The winner of each group, as bits; *num / *den is multiplied by theirs. */
static uint64_t multiply_promotions(const struct programme *programme, const struct earn_cell *cell,
				    const struct fact *order, wide *num, wide *den)
{
	const unsigned weekday = weekday_bit(order->day);
	uint64_t winners = 0;
	unsigned decided = UINT8_MAX + 1;
	for (unsigned i = 0; i < cell->n_promotions; i++) {
		const unsigned at = cell->promotions[i];
		const struct promotion *const p = &programme->promotions[at];
		if (p->group == decided || !(p->weekdays & weekday) || order->eligible_minor < p->min_minor)
			continue;
		decided = p->group;
		winners |= UINT64_C(1) << at;
		*num *= widen(p->multiplier.num);
		*den *= widen(p->multiplier.den);
	}
	return winners;
}

/* Σ per_step, in thousandths. */
static inline wide sum_steps(const struct programme *programme, const struct earn_cell *cell, int64_t eligible,
			     uint64_t *gave)
{
	wide sum = 0;
	for (unsigned i = 0; i < cell->n_steps; i++) {
		const struct earn_rule *const rule = &programme->rules[cell->rules[i]];
		if (eligible < rule->amount_minor)
			continue;
		sum += widen(rule->points_milli) * ((uint64_t)eligible / (uint64_t)rule->amount_minor);
		*gave |= UINT64_C(1) << cell->rules[i];
	}
	return sum;
}

static inline int64_t sum_visits(const struct programme *programme, const struct earn_cell *cell, int64_t eligible,
				 uint64_t *gave)
{
	int64_t sum = 0;
	for (unsigned i = cell->n_steps; i < (unsigned)cell->n_steps + cell->n_visits; i++) {
		const struct earn_rule *const rule = &programme->rules[cell->rules[i]];
		if (eligible < rule->amount_minor)
			continue;
		sum += rule->points_milli;
		*gave |= UINT64_C(1) << cell->rules[i];
	}
	return sum;
}

/* By amount and steps, in units of the ledger, with all that multiplies. What the greatest order comes to fits:
 * programme_prepare has tried. Apart from earn_order, which nearly never needs it and would be slower with it. */
static __attribute__((noinline)) int64_t scale_wide(const struct programme *programme, const struct earn_cell *cell,
						    const struct earn_scale *scale, const struct fact *order,
						    wide steps, enum rounding rounding, uint64_t *promotions)
{
	wide num = widen(order->eligible_minor) * scale->amount + steps * scale->step;
	wide den = scale->den;
	if (cell->n_promotions)
		*promotions = multiply_promotions(programme, cell, order, &num, &den);
	return (int64_t)round_to_whole(num, den, rounding);
}

static inline int64_t scale_narrow(const struct earn_scale *scale, int64_t eligible, wide steps, enum rounding rounding)
{
	const uint64_t num = (uint64_t)eligible * (uint64_t)scale->amount + (uint64_t)steps * (uint64_t)scale->step;
	return (int64_t)round_narrow(num, (uint64_t)scale->den, rounding);
}

static inline int64_t round_items(int64_t items_micro, int64_t unit, enum rounding rounding)
{
	return (int64_t)round_to_whole(widen(items_micro), widen(unit) * 1000, rounding) * unit;
}

static inline int64_t cap(const struct ledger_rules *ledger, int64_t points_milli)
{
	return ledger->max_per_order_milli && points_milli > ledger->max_per_order_milli ? ledger->max_per_order_milli
											 : points_milli;
}

static bool in_range(const struct programme *programme, const struct fact *order)
{
	if (order->eligible_minor < 0 || order->eligible_minor > LIMIT_AMOUNT_MINOR)
		return false;
	for (unsigned i = 0; i < programme->n_ledgers; i++)
		if (order->items[i] < 0 || order->items[i] > ITEMS_MAX_MICRO)
			return false;
	return true;
}

int earn_order(const struct programme *programme, const struct fact *order, unsigned tier, struct earning *earning)
{
	const unsigned level = programme->tiers.n_levels ? tier : 0;
	assert(level < PROGRAMME_LEVELS_MAX);
	if (!in_range(programme, order))
		return ERROR_OVERFLOW;
	const struct earn_cell *cell = programme_cells(programme, order->day);
	const int64_t eligible = order->eligible_minor;
	for (unsigned i = 0; i < programme->n_ledgers; i++, cell++) {
		const struct ledger_rules *const ledger = &programme->ledgers[i];
		const struct earn_scale *const scale = &cell->scales[level];
		const int64_t unit = ledger_unit_milli(ledger);
		uint64_t rules = eligible ? cell->amount_rules : 0;
		uint64_t promotions = 0;
		int64_t points = 0;
		const wide steps = sum_steps(programme, cell, eligible, &rules);
		if (rules && scale->is_narrow)
			points = scale_narrow(scale, eligible, steps, ledger->rounding) * unit;
		else if (rules)
			points = scale_wide(programme, cell, scale, order, steps, ledger->rounding, &promotions) * unit;
		if (order->items[i]) {
			rules |= order->item_rules & cell->item_rules;
			points += round_items(order->items[i], unit, ledger->rounding);
		}
		points += sum_visits(programme, cell, eligible, &rules);
		earning->points_milli[i] = cap(ledger, points);
		earning->rules[i] = rules;
		earning->promotions[i] = promotions;
	}
	return 0;
}

/* Base and multipliers one by one, without what programme_prepare has multiplied before: the tests compare the two. */
int earn_detail(const struct programme *programme, const struct fact *order, unsigned tier, unsigned ledger,
		struct earning_detail *out)
{
	assert(ledger < programme->n_ledgers);
	assert(!programme->tiers.n_levels || tier < programme->tiers.n_levels);
	if (!in_range(programme, order))
		return ERROR_OVERFLOW;
	const struct ledger_rules *const rules = &programme->ledgers[ledger];
	const struct earn_cell *const cell = programme_cells(programme, order->day) + ledger;
	const int64_t eligible = order->eligible_minor;
	const int64_t unit = ledger_unit_milli(rules);
	struct earning_detail d = {.tier = {1, 1}, .rules = eligible ? cell->amount_rules : 0};
	if (programme->tiers.n_levels)
		d.tier = programme->tiers.levels[tier].multiplier;

	const wide steps = sum_steps(programme, cell, eligible, &d.rules);
	const wide base_num = widen(eligible) * cell->rate_num + steps * cell->rate_den;
	const wide lowest = wide_gcd(base_num, cell->rate_den);
	d.base_num = (__int128)(base_num / lowest);
	d.base_den = (__int128)(cell->rate_den / lowest);

	wide num = 1;
	wide den = 1;
	d.promotions = multiply_promotions(programme, cell, order, &num, &den);
	const wide common = wide_gcd(num, den);
	d.promotion_multiplier = (struct multiplier){(int64_t)(num / common), (int64_t)(den / common)};

	num = base_num / lowest * widen(d.tier.num) * num;
	den = cell->rate_den / lowest * widen(d.tier.den) * den;
	const wide reduced = wide_gcd(num, den);
	d.multiplied_num = (__int128)(num / reduced);
	d.multiplied_den = (__int128)(den / reduced);
	const int rc = earn_round(d.multiplied_num, d.multiplied_den, unit, rules->rounding, &d.rounded_milli);
	if (rc < 0)
		return rc;
	if (order->items[ledger]) {
		d.rules |= order->item_rules & cell->item_rules;
		d.items_milli = round_items(order->items[ledger], unit, rules->rounding);
	}
	d.visits_milli = sum_visits(programme, cell, eligible, &d.rules);
	const int64_t earned = d.rounded_milli + d.items_milli + d.visits_milli;
	d.points_milli = cap(rules, earned);
	d.capped_milli = earned - d.points_milli;
	*out = d;
	return 0;
}
