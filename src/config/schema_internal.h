/* What punchcard.yaml and programme.yaml may hold: libcyaml schemas, and a rule a key for messages. */
#ifndef PUNCHCARD_CONFIG_SCHEMA_INTERNAL_H
#define PUNCHCARD_CONFIG_SCHEMA_INTERNAL_H

#include "config/config.h"
#include "config/yamldoc_internal.h"

/* Loads a struct config. */
extern const cyaml_schema_value_t CONFIG_SCHEMA;
extern const struct yamldoc_rule CONFIG_RULES[];

/*
 * programme.yaml as it is written: numbers with decimals, dates and names stay text until they are read against what else the
 * file says. What is optional and not there is NULL or 0; where 0 is a value of its own, yamldoc_has tells.
 */
struct programme_category_file {
	char *name;
	struct config_strings items;
};

struct programme_expiry_file {
	uint32_t days;
	uint32_t months;
	uint32_t months_after_month;
	uint32_t inactivity;
};

struct programme_ledger_file {
	char *name;
	char *unit;
	uint32_t decimals;
	enum rounding rounding;
	struct programme_expiry_file *expiry;
	uint32_t pending_days;
	enum negative negative;
	char *max_per_order;
	char *value;
};

/* What a rule earns by; of the kind that the pointer to it stands for. */
struct programme_rate_file {
	char *points;
	char *amount; /* per, step or min */
	struct config_strings items;
	struct config_strings categories;
};

struct programme_earn_file {
	char *name;
	char *ledger;
	char *from;
	char *until;
	/* Exactly one of them, by enum rule_kind. */
	struct programme_rate_file *per_amount;
	struct programme_rate_file *per_step;
	struct programme_rate_file *per_visit;
	struct programme_rate_file *per_item;
};

struct programme_promotion_file {
	char *name;
	char *multiplier;
	uint8_t *weekdays; /* 0 is Monday */
	unsigned n_weekdays;
	char *group;
	char *ledger;
	char *min;
	char *from;
	char *until;
};

struct programme_window_file {
	uint32_t rolling_months;
	uint8_t calendar_year; /* 1 when it is there */
};

struct programme_level_file {
	char *name;
	char *threshold;
	char *multiplier;
};

struct programme_tiers_file {
	enum tier_metric metric;
	struct programme_window_file *window;
	uint32_t valid_months;
	enum tier_downgrade downgrade;
	struct programme_level_file *levels;
	unsigned n_levels;
};

struct programme_reward_file {
	char *id;
	char *ledger;
	char *cost;
};

struct programme_file {
	uint32_t version;
	char *name;
	char *currency;
	char *timezone;
	enum rounding rounding;
	struct programme_category_file *categories;
	unsigned n_categories;
	struct config_strings exclude;
	struct programme_ledger_file *ledgers;
	unsigned n_ledgers;
	struct programme_earn_file *earn;
	unsigned n_earn;
	struct programme_promotion_file *promotions;
	unsigned n_promotions;
	struct programme_tiers_file *tiers;
	struct programme_reward_file *rewards;
	unsigned n_rewards;
	uint32_t segment_months;
	uint32_t late_days;
	uint32_t open_events;
};

/* Loads a struct programme_file. */
extern const cyaml_schema_value_t PROGRAMME_SCHEMA;
extern const struct yamldoc_rule PROGRAMME_RULES[];

/* From memory instead of a file, for tests and fuzzing; `path` is for messages. Otherwise as config_load, and programme_check
 * (`warn` may be NULL). */
int config_parse(const char *path, const void *data, size_t len, struct config **out, struct error *err);
int programme_parse(const char *path, const void *data, size_t len, programme_warn *warn, void *context,
		    struct programme **out, struct error *err);

/* Everything about a loaded config that a schema cannot say. */
int config_check(const struct yamldoc *file, const struct config *config, struct error *err);

#endif
