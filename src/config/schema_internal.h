/* What punchcard.yaml and programme.yaml may hold: libcyaml schemas, and a rule a key for messages. */
#ifndef PUNCHCARD_CONFIG_SCHEMA_INTERNAL_H
#define PUNCHCARD_CONFIG_SCHEMA_INTERNAL_H

#include "config/config.h"
#include "config/yamldoc_internal.h"

/* Loads a struct config. */
extern const cyaml_schema_value_t CONFIG_SCHEMA;
extern const struct yamldoc_rule CONFIG_RULES[];

/* programme.yaml as it is written: numbers stay text until they are read as exact decimals. */
struct programme_earn_file {
	char *points;
	char *per;
};

struct programme_file {
	uint32_t version;
	char *name;
	char *currency;
	char *timezone;
	enum rounding rounding;
	struct programme_earn_file *earn;
	unsigned n_earn;
};

/* Loads a struct programme_file. */
extern const cyaml_schema_value_t PROGRAMME_SCHEMA;
extern const struct yamldoc_rule PROGRAMME_RULES[];

/* From memory instead of a file, for tests and fuzzing; `path` is for messages. Otherwise as config_load, programme_load. */
int config_parse(const char *path, const void *data, size_t len, struct config **out, struct error *err);
int programme_parse(const char *path, const void *data, size_t len, struct programme **out, struct error *err);

/* Everything about a loaded config that a schema cannot say. */
int config_check(const struct yamldoc *file, const struct config *config, struct error *err);

#endif
