/* What `punchcard programme check` says about a programme. Thread: any. */
#ifndef PUNCHCARD_CLI_PROGRAMME_SHOW_H
#define PUNCHCARD_CLI_PROGRAMME_SHOW_H

#include "base/json.h"
#include "loyalty/programme.h"

/* In words, to standard output. */
void programme_print(const struct programme *programme);
/* The members of the object that is open in `out`, named as the keys of programme.yaml. */
void programme_json(const struct programme *programme, struct json *out);

/* The names in programme.yaml of a rule's kind, a rounding, … */
const char *programme_kind_name(enum rule_kind kind);
const char *programme_rounding_name(enum rounding rounding);
const char *programme_metric_name(enum tier_metric metric);
const char *programme_downgrade_name(enum tier_downgrade downgrade);
/* A multiplier in thousandths: all that programme.yaml can say is a whole number of them. */
int64_t programme_multiplier_milli(struct multiplier multiplier);

#endif
