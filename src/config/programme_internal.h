/* Making a struct programme of programme.yaml: what the parts of it share. */
#ifndef PUNCHCARD_CONFIG_PROGRAMME_INTERNAL_H
#define PUNCHCARD_CONFIG_PROGRAMME_INTERNAL_H

#include "config/schema_internal.h"

struct maker {
	const struct yamldoc *file;
	const struct programme_file *from;
	struct programme *programme; /* filled part by part, in the order below */
	struct error *err;
};

/*
 * Parts. Each fills its members of the programme; ERROR_CONFIG with line and key, or ERROR_NO_MEMORY.
 */
int maker_ledgers(const struct maker *m);
int maker_rules(const struct maker *m);
int maker_items(const struct maker *m); /* categories, exclude, and the table of items; behind the rules */
int maker_promotions(const struct maker *m);
int maker_tiers(const struct maker *m);
int maker_rewards(const struct maker *m);

/* What is odd, but legal: tells `warn` each, as "path:line: key: …". The programme is prepared. */
void programme_warnings(const struct maker *m, programme_warn *warn, void *context);

/*
 * Values. `key` is where the text stands. *out is written on success.
 */
int maker_copy(const struct maker *m, const char *text, char **out);
/* [a-z0-9_-], 1 to 32 bytes: what stands in tables and command lines. */
int maker_check_name(const struct maker *m, struct yamldoc_key key, const char *text);
/* 1 to 64 bytes without blanks at the ends: what people read. */
int maker_check_title(const struct maker *m, struct yamldoc_key key, const char *text);
/* Points above 0, to thousandths. */
int maker_points(const struct maker *m, struct yamldoc_key key, const char *text, int64_t *out);
/* A number of at most `scale` decimals, from 0 or from above 0; `expected` is for the message. */
int maker_number(const struct maker *m, struct yamldoc_key key, const char *text, int scale, bool zero, int64_t max,
		 const char *expected, int64_t *out);
/* An amount of money above 0, or NULL for 0, or with `zero` 0 too. */
int maker_amount(const struct maker *m, struct yamldoc_key key, const char *text, bool zero, int64_t *out);
/* NULL is 1. Not in lowest terms: programme_prepare makes it so. */
int maker_multiplier(const struct maker *m, struct yamldoc_key key, const char *text, struct multiplier *out);
/* `from` and `until` below `place`; NULL is without an end. */
int maker_period(const struct maker *m, struct yamldoc_key place, const char *from, const char *until,
		 int32_t *from_day, int32_t *until_day);
/* The index of a ledger by name; NULL is the first. */
int maker_ledger(const struct maker *m, struct yamldoc_key key, const char *name, uint8_t *out);
/* The index of a category by name. */
int maker_category(const struct maker *m, struct yamldoc_key key, const char *name, unsigned *out);
/* Whether points that are never rounded are a multiple of the ledger's unit. */
int maker_check_unit(const struct maker *m, struct yamldoc_key key, const char *text, int64_t points_milli,
		     unsigned ledger);
/* The failure of a name that was had before, at `first`. */
int maker_twice(const struct maker *m, struct yamldoc_key key, struct yamldoc_key first, const char *name);

/* The key of a kind of rule: "per_amount" and so on. */
const char *maker_kind_key(enum rule_kind kind);

#endif
