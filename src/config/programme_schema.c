/* What programme.yaml may hold. docs/programme.md says what it means. */
#include "config/schema_internal.h"
#include "config/schema_macros_internal.h"

#include <stddef.h>

#define CHOICE(key, flags, type, member, words) \
	CYAML_FIELD_ENUM(key, (flags) | CYAML_FLAG_STRICT, type, member, words, CYAML_ARRAY_LEN(words))
#define NUMBER(key, type, member)        CYAML_FIELD_UINT(key, OPTIONAL, type, member)
#define BLOCK(key, type, member, fields) CYAML_FIELD_MAPPING_PTR(key, OPTIONAL, type, member, fields)

static const cyaml_strval_t ROUNDINGS[] = {
	{"floor", ROUND_FLOOR}, {"half_up", ROUND_HALF_UP}, {"half_even", ROUND_HALF_EVEN}, {"ceil", ROUND_CEIL}};
static const cyaml_strval_t NEGATIVES[] = {{"debt", NEGATIVE_DEBT}, {"forgive", NEGATIVE_FORGIVE}};
static const cyaml_strval_t WEEKDAYS[] = {{"mon", 0}, {"tue", 1}, {"wed", 2}, {"thu", 3},
					  {"fri", 4}, {"sat", 5}, {"sun", 6}};
static const cyaml_strval_t METRICS[] = {
	{"spend", METRIC_SPEND}, {"points_earned", METRIC_POINTS_EARNED}, {"visits", METRIC_VISITS}};
static const cyaml_strval_t DOWNGRADES[] = {
	{"requalify", DOWNGRADE_REQUALIFY}, {"one_down", DOWNGRADE_ONE_DOWN}, {"to_base", DOWNGRADE_TO_BASE}};
static const cyaml_strval_t ONLY_TRUE[] = {{"true", 1}};

static const cyaml_schema_value_t TEXT_ITEM = {CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, CYAML_UNLIMITED)};
static const cyaml_schema_value_t WEEKDAY = {
	CYAML_VALUE_ENUM(CYAML_FLAG_STRICT, uint8_t, WEEKDAYS, CYAML_ARRAY_LEN(WEEKDAYS))};

static const cyaml_schema_field_t CATEGORY_FIELDS[] = {
	TEXT("name", REQUIRED, struct programme_category_file, name),
	LIST("items", REQUIRED, struct programme_category_file, items.items, items.count, &TEXT_ITEM, 1,
	     PROGRAMME_ITEMS_MAX),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t CATEGORY = {
	CYAML_VALUE_MAPPING(REQUIRED, struct programme_category_file, CATEGORY_FIELDS)};

static const cyaml_schema_field_t EXPIRY_FIELDS[] = {
	NUMBER("days", struct programme_expiry_file, days),
	NUMBER("months", struct programme_expiry_file, months),
	NUMBER("months_after_month", struct programme_expiry_file, months_after_month),
	NUMBER("inactivity", struct programme_expiry_file, inactivity),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t LEDGER_FIELDS[] = {
	TEXT("name", REQUIRED, struct programme_ledger_file, name),
	TEXT("unit", OPTIONAL, struct programme_ledger_file, unit),
	NUMBER("decimals", struct programme_ledger_file, decimals),
	CHOICE("rounding", OPTIONAL, struct programme_ledger_file, rounding, ROUNDINGS),
	BLOCK("expiry", struct programme_ledger_file, expiry, EXPIRY_FIELDS),
	NUMBER("pending_days", struct programme_ledger_file, pending_days),
	CHOICE("negative", OPTIONAL, struct programme_ledger_file, negative, NEGATIVES),
	TEXT("max_per_order", OPTIONAL, struct programme_ledger_file, max_per_order),
	TEXT("value", OPTIONAL, struct programme_ledger_file, value),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t LEDGER = {CYAML_VALUE_MAPPING(REQUIRED, struct programme_ledger_file, LEDGER_FIELDS)};

static const cyaml_schema_field_t PER_AMOUNT_FIELDS[] = {
	TEXT("points", REQUIRED, struct programme_rate_file, points),
	TEXT("per", REQUIRED, struct programme_rate_file, amount),
	CYAML_FIELD_END,
};
static const cyaml_schema_field_t PER_STEP_FIELDS[] = {
	TEXT("points", REQUIRED, struct programme_rate_file, points),
	TEXT("step", REQUIRED, struct programme_rate_file, amount),
	CYAML_FIELD_END,
};
static const cyaml_schema_field_t PER_VISIT_FIELDS[] = {
	TEXT("points", REQUIRED, struct programme_rate_file, points),
	TEXT("min", OPTIONAL, struct programme_rate_file, amount),
	CYAML_FIELD_END,
};
static const cyaml_schema_field_t PER_ITEM_FIELDS[] = {
	TEXT("points", REQUIRED, struct programme_rate_file, points),
	LIST("items", OPTIONAL, struct programme_rate_file, items.items, items.count, &TEXT_ITEM, 1,
	     PROGRAMME_ITEMS_MAX),
	LIST("categories", OPTIONAL, struct programme_rate_file, categories.items, categories.count, &TEXT_ITEM, 1,
	     PROGRAMME_CATEGORIES_MAX),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t EARN_FIELDS[] = {
	TEXT("name", OPTIONAL, struct programme_earn_file, name),
	TEXT("ledger", OPTIONAL, struct programme_earn_file, ledger),
	BLOCK("per_amount", struct programme_earn_file, per_amount, PER_AMOUNT_FIELDS),
	BLOCK("per_step", struct programme_earn_file, per_step, PER_STEP_FIELDS),
	BLOCK("per_visit", struct programme_earn_file, per_visit, PER_VISIT_FIELDS),
	BLOCK("per_item", struct programme_earn_file, per_item, PER_ITEM_FIELDS),
	TEXT("from", OPTIONAL, struct programme_earn_file, from),
	TEXT("until", OPTIONAL, struct programme_earn_file, until),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t EARN = {CYAML_VALUE_MAPPING(REQUIRED, struct programme_earn_file, EARN_FIELDS)};

static const cyaml_schema_field_t PROMOTION_FIELDS[] = {
	TEXT("name", REQUIRED, struct programme_promotion_file, name),
	TEXT("multiplier", REQUIRED, struct programme_promotion_file, multiplier),
	LIST("weekdays", OPTIONAL, struct programme_promotion_file, weekdays, n_weekdays, &WEEKDAY, 1, 7),
	TEXT("group", OPTIONAL, struct programme_promotion_file, group),
	TEXT("ledger", OPTIONAL, struct programme_promotion_file, ledger),
	TEXT("min", OPTIONAL, struct programme_promotion_file, min),
	TEXT("from", OPTIONAL, struct programme_promotion_file, from),
	TEXT("until", OPTIONAL, struct programme_promotion_file, until),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t PROMOTION = {
	CYAML_VALUE_MAPPING(REQUIRED, struct programme_promotion_file, PROMOTION_FIELDS)};

static const cyaml_schema_field_t WINDOW_FIELDS[] = {
	NUMBER("rolling_months", struct programme_window_file, rolling_months),
	CHOICE("calendar_year", OPTIONAL, struct programme_window_file, calendar_year, ONLY_TRUE),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t LEVEL_FIELDS[] = {
	TEXT("name", REQUIRED, struct programme_level_file, name),
	TEXT("threshold", REQUIRED, struct programme_level_file, threshold),
	TEXT("multiplier", OPTIONAL, struct programme_level_file, multiplier),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t LEVEL = {CYAML_VALUE_MAPPING(REQUIRED, struct programme_level_file, LEVEL_FIELDS)};

static const cyaml_schema_field_t TIERS_FIELDS[] = {
	CHOICE("metric", REQUIRED, struct programme_tiers_file, metric, METRICS),
	CYAML_FIELD_MAPPING_PTR("window", REQUIRED, struct programme_tiers_file, window, WINDOW_FIELDS),
	NUMBER("valid_months", struct programme_tiers_file, valid_months),
	CHOICE("downgrade", OPTIONAL, struct programme_tiers_file, downgrade, DOWNGRADES),
	LIST("levels", REQUIRED, struct programme_tiers_file, levels, n_levels, &LEVEL, 1, PROGRAMME_LEVELS_MAX),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t REWARD_FIELDS[] = {
	TEXT("id", REQUIRED, struct programme_reward_file, id),
	TEXT("ledger", OPTIONAL, struct programme_reward_file, ledger),
	TEXT("cost", REQUIRED, struct programme_reward_file, cost),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t REWARD = {CYAML_VALUE_MAPPING(REQUIRED, struct programme_reward_file, REWARD_FIELDS)};

static const cyaml_schema_field_t SEGMENTS_FIELDS[] = {
	NUMBER("window_months", struct programme_file, segment_months),
	CYAML_FIELD_END,
};
static const cyaml_schema_field_t LATE_FIELDS[] = {
	NUMBER("days", struct programme_file, late_days),
	NUMBER("open_events", struct programme_file, open_events),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t PROGRAMME_FIELDS[] = {
	CYAML_FIELD_UINT("version", REQUIRED, struct programme_file, version),
	TEXT("name", REQUIRED, struct programme_file, name),
	TEXT("currency", REQUIRED, struct programme_file, currency),
	TEXT("timezone", REQUIRED, struct programme_file, timezone),
	CHOICE("rounding", OPTIONAL, struct programme_file, rounding, ROUNDINGS),
	LIST("categories", OPTIONAL, struct programme_file, categories, n_categories, &CATEGORY, 0,
	     PROGRAMME_CATEGORIES_MAX),
	LIST("exclude", OPTIONAL, struct programme_file, exclude.items, exclude.count, &TEXT_ITEM, 0,
	     PROGRAMME_CATEGORIES_MAX),
	LIST("ledgers", OPTIONAL, struct programme_file, ledgers, n_ledgers, &LEDGER, 1, PROGRAMME_LEDGERS_MAX),
	LIST("earn", REQUIRED, struct programme_file, earn, n_earn, &EARN, 1, PROGRAMME_RULES_MAX),
	LIST("promotions", OPTIONAL, struct programme_file, promotions, n_promotions, &PROMOTION, 0,
	     PROGRAMME_PROMOTIONS_MAX),
	BLOCK("tiers", struct programme_file, tiers, TIERS_FIELDS),
	LIST("rewards", OPTIONAL, struct programme_file, rewards, n_rewards, &REWARD, 0, PROGRAMME_REWARDS_MAX),
	SECTION("segments", struct programme_file, SEGMENTS_FIELDS),
	SECTION("late", struct programme_file, LATE_FIELDS),
	CYAML_FIELD_END,
};

const cyaml_schema_value_t PROGRAMME_SCHEMA = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct programme_file, PROGRAMME_FIELDS)};

/*
 * For messages.
 */

#define NAME        "a name of a-z, 0-9, '_' and '-', at most 32 bytes"
#define TITLE       "a name of 1 to 64 bytes without blanks at its ends"
#define ITEM        "a sku, or a menu name where the till gives no sku"
#define CATEGORY_OF "the name of one of the categories"
#define LEDGER_OF   "the name of one of the ledgers"
#define ROUNDED     "floor, half_up, half_even or ceil"
#define POINTS      "points above 0 with at most three decimals, such as 1 or 0.5"
#define AMOUNT      "an amount above 0 with at most two decimals, such as 10.00"
#define LEAST       "an amount with at most two decimals, such as 50.00"
#define FACTOR      "a number above 0, at most 1000, with at most three decimals, such as 1.25"
#define DATE        "a day, such as 2026-01-31"
#define MONTHS      "months, 1 to 1200"

const struct yamldoc_rule PROGRAMME_RULES[] = {
	{.key = "version", .expected = "1, the version of this file's layout", .min = 1, .max = 1},
	{.key = "name", .expected = "the programme's name, 1 to 256 bytes"},
	{.key = "currency", .expected = "an ISO 4217 code such as THB or USD"},
	{.key = "timezone", .expected = "an IANA name such as Asia/Bangkok"},
	{.key = "rounding", .expected = ROUNDED},
	{.key = "categories",
	 .expected = "a list of at most 64 categories, such as '- {name: coffee, items: [espresso, latte]}'"},
	{.key = "categories[]", .expected = "the keys name and items"},
	{.key = "categories[].name", .expected = NAME},
	{.key = "categories[].items", .expected = "a list of skus or menu names, at least one"},
	{.key = "categories[].items[]", .expected = ITEM},
	{.key = "exclude", .expected = "a list of categories, such as [gift-cards]"},
	{.key = "exclude[]", .expected = CATEGORY_OF},
	{.key = "ledgers", .expected = "a list of 1 to 8 ledgers, each beginning with '- name:'"},
	{.key = "ledgers[]", .expected = "the key name, and what else is to be set"},
	{.key = "ledgers[].name", .expected = NAME},
	{.key = "ledgers[].unit", .expected = "what its points are called, 1 to 64 bytes"},
	{.key = "ledgers[].decimals", .expected = "0 to 3", .max = 3},
	{.key = "ledgers[].rounding", .expected = ROUNDED},
	{.key = "ledgers[].expiry", .expected = "one of the keys days, months, months_after_month and inactivity"},
	{.key = "ledgers[].expiry.days", .expected = "days, 1 to 36500", .min = 1, .max = PROGRAMME_DAYS_MAX},
	{.key = "ledgers[].expiry.months", .expected = MONTHS, .min = 1, .max = PROGRAMME_MONTHS_MAX},
	{.key = "ledgers[].expiry.months_after_month", .expected = MONTHS, .min = 1, .max = PROGRAMME_MONTHS_MAX},
	{.key = "ledgers[].expiry.inactivity", .expected = MONTHS, .min = 1, .max = PROGRAMME_MONTHS_MAX},
	{.key = "ledgers[].pending_days", .expected = "days, 0 to 36500", .max = PROGRAMME_DAYS_MAX},
	{.key = "ledgers[].negative", .expected = "debt or forgive"},
	{.key = "ledgers[].max_per_order", .expected = POINTS},
	{.key = "ledgers[].value",
	 .expected = "what one is worth in the currency, with at most six decimals, such as 0.05"},
	{.key = "earn", .expected = "a list of 1 to 64 rules, such as '- per_amount: {points: 1, per: 10.00}'"},
	{.key = "earn[]", .expected = "a rule such as 'per_amount: {points: 1, per: 10.00}'"},
	{.key = "earn[].name", .expected = NAME},
	{.key = "earn[].ledger", .expected = LEDGER_OF},
	{.key = "earn[].per_amount", .expected = "the keys points and per, such as {points: 1, per: 10.00}"},
	{.key = "earn[].per_amount.points", .expected = POINTS},
	{.key = "earn[].per_amount.per", .expected = AMOUNT},
	{.key = "earn[].per_step", .expected = "the keys points and step, such as {points: 5, step: 100}"},
	{.key = "earn[].per_step.points", .expected = POINTS},
	{.key = "earn[].per_step.step", .expected = AMOUNT},
	{.key = "earn[].per_visit", .expected = "the key points, such as {points: 1, min: 50.00}"},
	{.key = "earn[].per_visit.points", .expected = POINTS},
	{.key = "earn[].per_visit.min", .expected = LEAST},
	{.key = "earn[].per_item",
	 .expected = "the keys points and items or categories, such as {points: 1, items: [latte]}"},
	{.key = "earn[].per_item.points", .expected = POINTS},
	{.key = "earn[].per_item.items", .expected = "a list of skus or menu names, at least one"},
	{.key = "earn[].per_item.items[]", .expected = ITEM},
	{.key = "earn[].per_item.categories", .expected = "a list of categories, at least one"},
	{.key = "earn[].per_item.categories[]", .expected = CATEGORY_OF},
	{.key = "earn[].from", .expected = DATE},
	{.key = "earn[].until", .expected = DATE},
	{.key = "promotions", .expected = "a list of at most 64 promotions, such as '- {name: double, multiplier: 2}'"},
	{.key = "promotions[]", .expected = "the keys name and multiplier"},
	{.key = "promotions[].name", .expected = NAME},
	{.key = "promotions[].multiplier", .expected = FACTOR},
	{.key = "promotions[].weekdays", .expected = "a list of weekdays, such as [sat, sun]"},
	{.key = "promotions[].weekdays[]", .expected = "mon, tue, wed, thu, fri, sat or sun"},
	{.key = "promotions[].group", .expected = NAME},
	{.key = "promotions[].ledger", .expected = LEDGER_OF},
	{.key = "promotions[].min", .expected = LEAST},
	{.key = "promotions[].from", .expected = DATE},
	{.key = "promotions[].until", .expected = DATE},
	{.key = "tiers", .expected = "the keys metric, window and levels below it"},
	{.key = "tiers.metric", .expected = "spend, points_earned or visits"},
	{.key = "tiers.window", .expected = "{rolling_months: 12} or {calendar_year: true}"},
	{.key = "tiers.window.rolling_months", .expected = MONTHS, .min = 1, .max = PROGRAMME_MONTHS_MAX},
	{.key = "tiers.window.calendar_year", .expected = "true, or no such line"},
	{.key = "tiers.valid_months", .expected = MONTHS, .min = 1, .max = PROGRAMME_MONTHS_MAX},
	{.key = "tiers.downgrade", .expected = "requalify, one_down or to_base"},
	{.key = "tiers.levels", .expected = "a list of 1 to 16 levels, such as '- {name: gold, threshold: 5000}'"},
	{.key = "tiers.levels[]", .expected = "the keys name and threshold"},
	{.key = "tiers.levels[].name", .expected = TITLE},
	{.key = "tiers.levels[].threshold",
	 .expected = "what the metric must reach: 0 for the first level, more for each further one"},
	{.key = "tiers.levels[].multiplier", .expected = FACTOR},
	{.key = "rewards", .expected = "a list of at most 1000 rewards, such as '- {id: free-coffee, cost: 10}'"},
	{.key = "rewards[]", .expected = "the keys id and cost"},
	{.key = "rewards[].id", .expected = TITLE},
	{.key = "rewards[].ledger", .expected = LEDGER_OF},
	{.key = "rewards[].cost", .expected = POINTS},
	{.key = "segments", .expected = "the key window_months below it"},
	{.key = "segments.window_months", .expected = MONTHS, .min = 1, .max = PROGRAMME_MONTHS_MAX},
	{.key = "late", .expected = "the keys days and open_events below it"},
	{.key = "late.days", .expected = "days, 0 to 366", .max = 366},
	{.key = "late.open_events", .expected = "a number of events, 1 to 1024", .min = 1, .max = 1024},
	{0},
};
