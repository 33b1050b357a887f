/*
 * What `punchcard audit` prints: for people, and as JSON. Findings come one by one, the rest at the end.
 */
#ifndef PUNCHCARD_CLI_AUDIT_SHOW_H
#define PUNCHCARD_CLI_AUDIT_SHOW_H

#include "base/json.h"
#include "batch/audit.h"
#include "batch/audit_reserve.h"

#include <stdio.h>

/* A finding as a line. */
void audit_print_finding(FILE *out, const struct audit_finding *finding);
/* Sums, what was not compared, the verdict, and what to do. */
void audit_print_report(const struct audit_report *report, const struct programme *programme);
/* A finding as an object of the list that the caller began. */
void audit_json_finding(struct json *out, const struct audit_finding *finding);
/* The members behind the list. */
void audit_json_report(struct json *out, const struct audit_report *report);

void reserve_print(const struct reserve_report *report, const struct programme *programme);
void reserve_json(struct json *out, const struct reserve_report *report, const struct programme *programme);

#endif
