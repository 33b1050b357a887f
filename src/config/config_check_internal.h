/* What config_check*.c share. */
#ifndef PUNCHCARD_CONFIG_CONFIG_CHECK_INTERNAL_H
#define PUNCHCARD_CONFIG_CONFIG_CHECK_INTERNAL_H

#include "config/schema_internal.h"

struct check {
	const struct yamldoc *file;
	const struct config *config;
	struct error *err;
};

#define FAIL(check, key, ...) yamldoc_fail((check)->file, (check)->err, key, __VA_ARGS__)

/* 0, or ERROR_CONFIG. */
int config_check_name(const struct check *check, struct yamldoc_key key, const char *name);
int config_fail_twice(const struct check *check, struct yamldoc_key key, struct yamldoc_key earlier, const char *name);
/* A column of a header, or a directory: anything but nothing; NULL is fine. */
int config_check_not_empty(const struct check *check, struct yamldoc_key key, const char *value, const char *expected);
/* Says that a format is none. builtin: the formats that need no mapping; kind: "an order", "a customer"; known: mappings' names. */
int config_fail_format(const struct check *check, struct yamldoc_key key, const char *format, const char *builtin,
		       const char *kind, struct buf *known);
/* The i-th source. */
int config_check_source(const struct check *check, unsigned i);
/* The section `cluster`, if there is one. */
int config_check_cluster(const struct check *check);

#endif
