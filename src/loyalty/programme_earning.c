/* Cuts time into spans, makes their cells, and proves for each that the greatest order fits (programme_internal.h). */
#include "loyalty/programme_internal.h"

#include <assert.h>
#include <stdlib.h>

/* Fractions keep below 2^126, so that their double fits a signed number of 128 bits: `struct earning_detail` has those. */
#define WIDE_MAX ((wide)1 << 126)

/* The greatest that can multiply a base at once. Numerators and denominators are the greatest each, of different levels or
 * promotions perhaps: a bound for what is computed with. */
struct bounds {
	wide num;
	wide den;
	/* The greatest multiplier itself, to bound what is earned. */
	wide value_num;
	wide value_den;
};

/* What the rules of a cell give at most, before multipliers. */
struct most {
	wide steps_milli;
	wide visits_milli;
};

static bool multiply(wide a, wide b, wide *out)
{
	if (b && a > WIDE_MAX / b)
		return false;
	*out = a * b;
	return true;
}

static bool add(wide a, wide b, wide *out)
{
	if (a > WIDE_MAX || b > WIDE_MAX - a)
		return false;
	*out = a + b;
	return true;
}

/* cell->rate += points / per. */
static bool add_rate(struct earn_cell *cell, wide points, wide per)
{
	const wide common = wide_gcd(points, per);
	const wide den_gcd = wide_gcd(cell->rate_den, per / common);
	const wide factor = per / common / den_gcd;
	wide den;
	wide num;
	wide more;
	if (!multiply(cell->rate_den, factor, &den) || !multiply(cell->rate_num, factor, &num) ||
	    !multiply(points / common, cell->rate_den / den_gcd, &more) || !add(num, more, &num))
		return false;
	const wide lowest = wide_gcd(num, den);
	cell->rate_num = num / lowest;
	cell->rate_den = den / lowest;
	return true;
}

static bool greater(struct multiplier a, struct multiplier b)
{
	return widen(a.num) * widen(b.den) > widen(b.num) * widen(a.den);
}

static const struct multiplier *level_multiplier(const struct programme *programme, unsigned level)
{
	static const struct multiplier ONE = {1, 1};
	return programme->tiers.n_levels ? &programme->tiers.levels[level].multiplier : &ONE;
}

static unsigned count_levels(const struct programme *programme)
{
	return programme->tiers.n_levels ? programme->tiers.n_levels : 1;
}

static void bound_tiers(const struct programme *programme, struct bounds *bounds)
{
	struct multiplier most = *level_multiplier(programme, 0);
	int64_t num = most.num;
	int64_t den = most.den;
	for (unsigned i = 1; i < count_levels(programme); i++) {
		const struct multiplier m = *level_multiplier(programme, i);
		num = m.num > num ? m.num : num;
		den = m.den > den ? m.den : den;
		most = greater(m, most) ? m : most;
	}
	*bounds = (struct bounds){widen(num), widen(den), widen(most.num), widen(most.den)};
}

/* The greatest of each group that is listed in the cell. Their product alone must fit 64 bits: people are shown it. */
static bool bound_promotions(const struct programme *programme, const struct earn_cell *cell, struct bounds *bounds,
			     unsigned *at)
{
	wide all_num = 1;
	wide all_den = 1;
	for (unsigned i = 0; i < cell->n_promotions;) {
		const struct promotion *const first = &programme->promotions[cell->promotions[i]];
		*at = cell->promotions[i];
		int64_t num = 1;
		int64_t den = 1;
		for (; i < cell->n_promotions; i++) {
			const struct promotion *const p = &programme->promotions[cell->promotions[i]];
			if (p->group != first->group)
				break;
			num = p->multiplier.num > num ? p->multiplier.num : num;
			den = p->multiplier.den > den ? p->multiplier.den : den;
		}
		const struct multiplier one = {1, 1};
		const struct multiplier most = greater(first->multiplier, one) ? first->multiplier : one;
		if (!multiply(all_num, widen(num), &all_num) || !multiply(all_den, widen(den), &all_den) ||
		    all_num > INT64_MAX || all_den > INT64_MAX ||
		    !multiply(bounds->value_num, widen(most.num), &bounds->value_num) ||
		    !multiply(bounds->value_den, widen(most.den), &bounds->value_den))
			return false;
	}
	return multiply(bounds->num, all_num, &bounds->num) && multiply(bounds->den, all_den, &bounds->den);
}

/* Whether all fractions of the greatest order fit. *points_milli: what it earns, or the greatest number if that does not fit. */
static bool fits(const struct earn_cell *cell, const struct most *most, const struct bounds *bounds, wide *points_milli)
{
	wide amount;
	wide steps;
	wide base;
	wide num;
	wide den;
	wide value_num;
	wide unused;
	if (!multiply(cell->rate_num, widen(LIMIT_AMOUNT_MINOR), &amount) ||
	    !multiply(cell->rate_den, most->steps_milli, &steps) || !add(amount, steps, &base) ||
	    !multiply(base, bounds->num, &num) || !multiply(cell->rate_den, bounds->den, &den) ||
	    !multiply(den, 1000, &den) || !multiply(cell->rate_den, bounds->num, &unused) ||
	    !multiply(base, bounds->value_num, &value_num))
		return false;
	const wide value_den = cell->rate_den * bounds->value_den;
	*points_milli = value_num / value_den + (value_num % value_den != 0) + most->visits_milli;
	return true;
}

static bool take_rule(struct earn_cell *cell, const struct earn_rule *rule, unsigned at, struct most *most)
{
	const wide points = widen(rule->points_milli);
	switch (rule->kind) {
	case RULE_PER_AMOUNT:
		cell->amount_rules |= UINT64_C(1) << at;
		return add_rate(cell, points, widen(rule->amount_minor));
	case RULE_PER_STEP:
		memmove(cell->rules + cell->n_steps + 1, cell->rules + cell->n_steps, cell->n_visits);
		cell->rules[cell->n_steps++] = (uint8_t)at;
		most->steps_milli += points * widen(LIMIT_AMOUNT_MINOR / rule->amount_minor);
		return true;
	case RULE_PER_VISIT:
		cell->rules[cell->n_steps + cell->n_visits++] = (uint8_t)at;
		most->visits_milli += points;
		return true;
	case RULE_PER_ITEM:
		cell->item_rules |= UINT64_C(1) << at;
		return true;
	}
	return false;
}

static void check_rule(const struct programme *programme, const struct earn_rule *rule)
{
	assert(rule->ledger < programme->n_ledgers && rule->points_milli > 0 && rule->amount_minor >= 0);
	assert(rule->amount_minor > 0 || rule->kind == RULE_PER_VISIT || rule->kind == RULE_PER_ITEM);
}

/* Rules one by one, so that the one that is too much can be named. *at: it. */
static int fill_rules(const struct programme *programme, unsigned ledger, int32_t day, const struct bounds *bounds,
		      struct earn_cell *cell, struct most *most, unsigned *at, struct error *err)
{
	for (unsigned i = 0; i < programme->n_rules; i++) {
		const struct earn_rule *const rule = &programme->rules[i];
		check_rule(programme, rule);
		if (rule->ledger != ledger || day < rule->from_day || day > rule->until_day)
			continue;
		*at = i;
		wide points_milli = 0;
		if (!take_rule(cell, rule, i, most) || !fits(cell, most, bounds, &points_milli))
			return error_set(err, ERROR_CONFIG,
					 "with the other rules of ledger '%s', and the multipliers of tiers "
					 "and promotions, its fractions do not fit 128 bits; use rounder numbers",
					 programme->ledgers[ledger].name);
		if (points_milli > widen(LIMIT_POINTS_MILLI))
			return error_set(err, ERROR_CONFIG,
					 "with the other rules of ledger '%s', and the greatest multipliers of "
					 "tiers and promotions, an order of %lld.00 could earn more than %lld points; "
					 "lower points or multipliers",
					 programme->ledgers[ledger].name, (long long)(LIMIT_AMOUNT_MINOR / 100),
					 (long long)(LIMIT_POINTS_MILLI / 1000));
	}
	return 0;
}

/* Whether a comes before b in a cell's list. */
static bool promotion_before(const struct promotion *a, const struct promotion *b)
{
	return a->group != b->group ? a->group < b->group : greater(a->multiplier, b->multiplier);
}

static void fill_promotions(const struct programme *programme, unsigned ledger, int32_t day, struct earn_cell *cell)
{
	for (unsigned i = 0; i < programme->n_promotions; i++) {
		const struct promotion *const p = &programme->promotions[i];
		if ((p->ledger != LEDGER_ALL && p->ledger != ledger) || day < p->from_day || day > p->until_day)
			continue;
		unsigned at = cell->n_promotions++;
		for (; at && promotion_before(p, &programme->promotions[cell->promotions[at - 1]]); at--)
			cell->promotions[at] = cell->promotions[at - 1];
		cell->promotions[at] = (uint8_t)i;
	}
}

/* Whether any order without promotions comes to numbers of 64 bits. */
static bool is_narrow(const struct earn_scale *scale, const struct most *most)
{
	wide amount;
	wide steps;
	wide num;
	return multiply(scale->amount, widen(LIMIT_AMOUNT_MINOR), &amount) &&
	       multiply(scale->step, most->steps_milli, &steps) && add(amount, steps, &num) && num <= UINT64_MAX &&
	       scale->den <= UINT64_MAX;
}

static void fill_scales(const struct programme *programme, unsigned ledger, const struct most *most,
			struct earn_cell *cell)
{
	const wide unit = widen(ledger_unit_milli(&programme->ledgers[ledger]));
	for (unsigned i = 0; i < count_levels(programme); i++) {
		const struct multiplier *const m = level_multiplier(programme, i);
		const wide amount = cell->rate_num * widen(m->num);
		const wide step = cell->rate_den * widen(m->num);
		const wide den = cell->rate_den * widen(m->den) * unit;
		const wide lowest = wide_gcd(wide_gcd(amount, step), den);
		struct earn_scale *const scale = &cell->scales[i];
		*scale = (struct earn_scale){amount / lowest, step / lowest, den / lowest, false};
		scale->is_narrow = cell->n_promotions == 0 && is_narrow(scale, most);
	}
}

static int fill_cell(const struct programme *programme, unsigned ledger, int32_t day, struct earn_cell *cell,
		     struct programme_culprit *culprit, struct error *err)
{
	cell->rate_den = 1;
	struct bounds bounds;
	bound_tiers(programme, &bounds);
	fill_promotions(programme, ledger, day, cell);
	unsigned at = 0;
	if (!bound_promotions(programme, cell, &bounds, &at)) {
		*culprit = (struct programme_culprit){CULPRIT_PROMOTION, at};
		return error_set(err, ERROR_CONFIG,
				 "its multiplier and those of the other groups, multiplied, do not fit 64 "
				 "bits; use rounder numbers, or put promotions into one group");
	}
	struct most most = {0, 0};
	const int rc = fill_rules(programme, ledger, day, &bounds, cell, &most, &at, err);
	if (rc == 0)
		fill_scales(programme, ledger, &most, cell);
	else
		*culprit = (struct programme_culprit){CULPRIT_RULE, at};
	return rc;
}

static void cut(struct programme_index *index, int32_t day)
{
	unsigned at = index->n_spans;
	while (at && index->spans[at - 1] > day)
		at--;
	if (at && index->spans[at - 1] == day)
		return;
	memmove(&index->spans[at + 1], &index->spans[at], (index->n_spans - at) * sizeof(index->spans[0]));
	index->spans[at] = day;
	index->n_spans++;
}

static void cut_around(struct programme_index *index, int32_t from_day, int32_t until_day)
{
	cut(index, from_day);
	if (until_day != DAY_MAX)
		cut(index, until_day + 1);
}

int programme_index_earning(const struct programme *programme, struct programme_index *index,
			    struct programme_culprit *culprit, struct error *err)
{
	cut(index, DAY_MIN);
	for (unsigned i = 0; i < programme->n_rules; i++)
		cut_around(index, programme->rules[i].from_day, programme->rules[i].until_day);
	for (unsigned i = 0; i < programme->n_promotions; i++)
		cut_around(index, programme->promotions[i].from_day, programme->promotions[i].until_day);
	const size_t n_cells = (size_t)index->n_spans * programme->n_ledgers;
	index->cells = calloc(n_cells, sizeof(*index->cells));
	if (!index->cells)
		return error_no_memory(err, n_cells * sizeof(*index->cells));
	int rc = 0;
	for (size_t i = 0; i < n_cells && rc == 0; i++)
		rc = fill_cell(programme, (unsigned)(i % programme->n_ledgers), index->spans[i / programme->n_ledgers],
			       &index->cells[i], culprit, err);
	return rc;
}
