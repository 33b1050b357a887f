#include "cli/json_keys.h"
#include "cli/programme_show.h"

#include <string.h>

const char *programme_kind_name(enum rule_kind kind)
{
	static const char *const NAMES[] = {"per_amount", "per_step", "per_visit", "per_item"};
	return NAMES[kind];
}

const char *programme_rounding_name(enum rounding rounding)
{
	static const char *const NAMES[] = {"floor", "half_up", "half_even", "ceil"};
	return NAMES[rounding];
}

const char *programme_metric_name(enum tier_metric metric)
{
	static const char *const NAMES[] = {"spend", "points_earned", "visits"};
	return NAMES[metric];
}

const char *programme_downgrade_name(enum tier_downgrade downgrade)
{
	static const char *const NAMES[] = {"requalify", "one_down", "to_base"};
	return NAMES[downgrade];
}

int64_t programme_multiplier_milli(struct multiplier multiplier)
{
	return multiplier.num * 1000 / multiplier.den;
}

/* 0 is null: not said. */
static void key_decimal_or_null(struct json *out, const char *key, int64_t value, unsigned scale)
{
	json_key(out, key);
	if (value)
		json_decimal(out, value, scale);
	else
		json_null(out);
}

static void put_expiry(const struct ledger_rules *ledger, struct json *out)
{
	static const char *const KEYS[] = {NULL, "days", "months", "months_after_month", "inactivity"};
	json_key(out, "expiry");
	if (ledger->expiry == EXPIRY_NEVER) {
		json_null(out);
		return;
	}
	json_object(out);
	key_int(out, KEYS[ledger->expiry], ledger->expiry_n);
	json_end_object(out);
}

static void put_ledgers(const struct programme *p, struct json *out)
{
	json_key(out, "ledgers");
	json_array(out);
	for (unsigned i = 0; i < p->n_ledgers; i++) {
		const struct ledger_rules *const ledger = &p->ledgers[i];
		json_object(out);
		key_text(out, "name", ledger->name);
		key_text(out, "unit", ledger->unit);
		key_int(out, "decimals", ledger->decimals);
		key_text(out, "rounding", programme_rounding_name(ledger->rounding));
		put_expiry(ledger, out);
		key_int(out, "pending_days", ledger->pending_days);
		key_text(out, "negative", ledger->negative == NEGATIVE_DEBT ? "debt" : "forgive");
		key_decimal_or_null(out, "max_per_order", ledger->max_per_order_milli, 3);
		key_decimal_or_null(out, "value", ledger->value_micro, 6);
		json_end_object(out);
	}
	json_end_array(out);
}

static void put_items(const struct programme *p, uint64_t rule, struct json *out)
{
	json_key(out, "items");
	json_array(out);
	for (unsigned i = 0; i < p->n_items; i++)
		if (p->items[i].rules & rule)
			json_text(out, p->items[i].name);
	json_end_array(out);
}

static void put_rules(const struct programme *p, struct json *out)
{
	static const char *const AMOUNTS[] = {"per", "step", "min", NULL};
	json_key(out, "earn");
	json_array(out);
	for (unsigned i = 0; i < p->n_rules; i++) {
		const struct earn_rule *const rule = &p->rules[i];
		json_object(out);
		key_text(out, "name", rule->name);
		key_text(out, "ledger", p->ledgers[rule->ledger].name);
		json_key(out, programme_kind_name(rule->kind));
		json_object(out);
		key_decimal(out, "points", rule->points_milli, 3);
		if (rule->kind == RULE_PER_ITEM)
			put_items(p, UINT64_C(1) << i, out);
		else
			key_decimal(out, AMOUNTS[rule->kind], rule->amount_minor, 2);
		json_end_object(out);
		key_day(out, "from", rule->from_day);
		key_day(out, "until", rule->until_day);
		json_end_object(out);
	}
	json_end_array(out);
}

static void put_excluded(const struct programme *p, struct json *out)
{
	json_key(out, "excluded_items");
	json_array(out);
	for (unsigned i = 0; i < p->n_items; i++)
		if (p->items[i].excluded)
			json_text(out, p->items[i].name);
	json_end_array(out);
}

static void put_promotions(const struct programme *p, struct json *out)
{
	static const char *const DAYS[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
	json_key(out, "promotions");
	json_array(out);
	for (unsigned i = 0; i < p->n_promotions; i++) {
		const struct promotion *const promotion = &p->promotions[i];
		json_object(out);
		key_text(out, "name", promotion->name);
		key_decimal(out, "multiplier", programme_multiplier_milli(promotion->multiplier), 3);
		json_key(out, "weekdays");
		json_array(out);
		for (unsigned day = 0; day < 7; day++)
			if (promotion->weekdays >> day & 1)
				json_text(out, DAYS[day]);
		json_end_array(out);
		/* Names of groups are not kept: those of one number are one. */
		key_int(out, "group", promotion->group);
		key_text(out, "ledger", promotion->ledger == LEDGER_ALL ? NULL : p->ledgers[promotion->ledger].name);
		key_decimal(out, "min", promotion->min_minor, 2);
		key_day(out, "from", promotion->from_day);
		key_day(out, "until", promotion->until_day);
		json_end_object(out);
	}
	json_end_array(out);
}

static void put_levels(const struct tier_rules *tiers, struct json *out)
{
	static const unsigned SCALES[] = {[METRIC_SPEND] = 2, [METRIC_POINTS_EARNED] = 3, [METRIC_VISITS] = 0};
	json_key(out, "levels");
	json_array(out);
	for (unsigned i = 0; i < tiers->n_levels; i++) {
		json_object(out);
		key_text(out, "name", tiers->levels[i].name);
		key_decimal(out, "threshold", tiers->levels[i].threshold, SCALES[tiers->metric]);
		key_decimal(out, "multiplier", programme_multiplier_milli(tiers->levels[i].multiplier), 3);
		json_end_object(out);
	}
	json_end_array(out);
}

static void put_tiers(const struct tier_rules *tiers, struct json *out)
{
	json_key(out, "tiers");
	if (tiers->n_levels == 0) {
		json_null(out);
		return;
	}
	json_object(out);
	key_text(out, "metric", programme_metric_name(tiers->metric));
	json_key(out, "window");
	json_object(out);
	if (tiers->window == WINDOW_CALENDAR_YEAR) {
		json_key(out, "calendar_year");
		json_bool(out, true);
	} else {
		key_int(out, "rolling_months", tiers->window_months);
	}
	json_end_object(out);
	json_key(out, "valid_months");
	if (tiers->valid_months)
		json_int(out, tiers->valid_months);
	else
		json_null(out);
	key_text(out, "downgrade", programme_downgrade_name(tiers->downgrade));
	put_levels(tiers, out);
	json_end_object(out);
}

static void put_rewards(const struct programme *p, struct json *out)
{
	json_key(out, "rewards");
	json_array(out);
	for (unsigned i = 0; i < p->n_rewards; i++) {
		json_object(out);
		key_text(out, "id", p->rewards[i].id);
		key_text(out, "ledger", p->ledgers[p->rewards[i].ledger].name);
		key_decimal(out, "cost", p->rewards[i].cost_milli, 3);
		json_end_object(out);
	}
	json_end_array(out);
}

void programme_json(const struct programme *programme, struct json *out)
{
	key_text(out, "hash", programme->hash_text);
	key_text(out, "name", programme->name);
	key_text(out, "currency", programme->currency);
	key_text(out, "timezone", tz_name(programme->timezone));
	put_ledgers(programme, out);
	put_rules(programme, out);
	put_excluded(programme, out);
	put_promotions(programme, out);
	put_tiers(&programme->tiers, out);
	put_rewards(programme, out);
	json_key(out, "segments");
	json_object(out);
	key_int(out, "window_months", programme->segment_months);
	json_end_object(out);
	json_key(out, "late");
	json_object(out);
	key_int(out, "days", programme->lateness_us / (INT64_C(86400) * 1000000));
	key_int(out, "open_events", programme->open_max);
	json_end_object(out);
}
