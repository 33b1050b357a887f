/* Tiers and rewards of programme.yaml. */
#include "config/programme_internal.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

static int read_window(const struct maker *m, struct tier_rules *tiers)
{
	const struct programme_window_file *const from = m->from->tiers->window;
	if ((from->rolling_months != 0) == (from->calendar_year != 0))
		return yamldoc_fail(m->file, m->err, yamldoc_key("tiers.window"),
				    "this says %s; expected either {rolling_months: 12} or {calendar_year: true}",
				    from->calendar_year ? "more than one thing" : "nothing");
	tiers->window = from->calendar_year ? WINDOW_CALENDAR_YEAR : WINDOW_ROLLING_MONTHS;
	tiers->window_months = (int32_t)from->rolling_months;
	return 0;
}

static int read_threshold(const struct maker *m, unsigned i, struct tier_rules *tiers)
{
	static const struct {
		int scale;
		const char *expected;
	} METRICS[] = {
		[METRIC_SPEND] = {2, "an amount, at least 0, with at most two decimals, as the metric is spend"},
		[METRIC_POINTS_EARNED] = {3, "points, at least 0, with at most three decimals, as the metric is "
					     "points_earned"},
		[METRIC_VISITS] = {0, "a whole number of days, at least 0, as the metric is visits"},
	};
	const struct yamldoc_key key = yamldoc_key("tiers.levels[%u].threshold", i);
	const char *const text = m->from->tiers->levels[i].threshold;
	struct tier_level *const level = &tiers->levels[i];
	const int rc = maker_number(m, key, text, METRICS[tiers->metric].scale, true, LIMIT_SUM,
				    METRICS[tiers->metric].expected, &level->threshold);
	if (rc < 0)
		return rc;
	if (i == 0 && level->threshold != 0)
		return yamldoc_fail(m->file, m->err, key,
				    "'%s' is not 0; expected 0: the first level is where everybody begins", text);
	if (i > 0 && level->threshold <= level[-1].threshold)
		return yamldoc_fail(m->file, m->err, key,
				    "'%s' is %s the level before it, '%s' in line %zu; expected more: levels ascend",
				    text,
				    level->threshold == level[-1].threshold ? "the threshold of" : "below that of",
				    level[-1].name, yamldoc_line(m->file, yamldoc_key("tiers.levels[%u]", i - 1)));
	return 0;
}

static int read_level(const struct maker *m, unsigned i, struct tier_rules *tiers)
{
	const struct programme_level_file *const from = &m->from->tiers->levels[i];
	const struct yamldoc_key name = yamldoc_key("tiers.levels[%u].name", i);
	int rc = maker_check_title(m, name, from->name);
	for (unsigned k = 0; k < i && rc == 0; k++)
		if (strcmp(m->from->tiers->levels[k].name, from->name) == 0)
			rc = maker_twice(m, name, yamldoc_key("tiers.levels[%u].name", k), from->name);
	if (rc == 0)
		rc = maker_copy(m, from->name, &tiers->levels[i].name);
	tiers->n_levels = i + 1;
	if (rc == 0)
		rc = read_threshold(m, i, tiers);
	if (rc == 0)
		rc = maker_multiplier(m, yamldoc_key("tiers.levels[%u].multiplier", i), from->multiplier,
				      &tiers->levels[i].multiplier);
	return rc;
}

int maker_tiers(const struct maker *m)
{
	const struct programme_tiers_file *const from = m->from->tiers;
	struct tier_rules *const tiers = &m->programme->tiers;
	if (!from)
		return 0;
	tiers->metric = from->metric;
	tiers->valid_months = (int32_t)from->valid_months;
	tiers->downgrade = from->downgrade;
	int rc = read_window(m, tiers);
	for (unsigned i = 0; i < from->n_levels && rc == 0; i++)
		rc = read_level(m, i, tiers);
	return rc;
}

static int read_reward(const struct maker *m, unsigned i)
{
	const struct programme_reward_file *const from = &m->from->rewards[i];
	const struct yamldoc_key id = yamldoc_key("rewards[%u].id", i);
	const struct yamldoc_key cost = yamldoc_key("rewards[%u].cost", i);
	struct reward *const reward = &m->programme->rewards[i];
	int rc = maker_check_title(m, id, from->id);
	for (unsigned k = 0; k < i && rc == 0; k++)
		if (strcmp(m->from->rewards[k].id, from->id) == 0)
			rc = maker_twice(m, id, yamldoc_key("rewards[%u].id", k), from->id);
	if (rc == 0)
		rc = maker_copy(m, from->id, &reward->id);
	m->programme->n_rewards = i + 1;
	if (rc == 0)
		rc = maker_ledger(m, yamldoc_key("rewards[%u].ledger", i), from->ledger, &reward->ledger);
	if (rc == 0)
		rc = maker_points(m, cost, from->cost, &reward->cost_milli);
	return rc == 0 ? maker_check_unit(m, cost, from->cost, reward->cost_milli, reward->ledger) : rc;
}

int maker_rewards(const struct maker *m)
{
	if (m->from->n_rewards == 0)
		return 0;
	m->programme->rewards = calloc(m->from->n_rewards, sizeof(*m->programme->rewards));
	if (!m->programme->rewards)
		return error_no_memory(m->err, m->from->n_rewards * sizeof(*m->programme->rewards));
	int rc = 0;
	for (unsigned i = 0; i < m->from->n_rewards && rc == 0; i++)
		rc = read_reward(m, i);
	return rc;
}
