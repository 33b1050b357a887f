/*
 * Days that are asked for on the command line, in the programme's timezone.
 */
#ifndef PUNCHCARD_CLI_DAY_H
#define PUNCHCARD_CLI_DAY_H

#include "config/deployment.h"

#include <stdint.h>

/* By the clock. */
int32_t day_today(const struct deployment *deployment);
/* ERROR_USAGE when the day has not begun yet: what happens on it cannot be known. */
int day_check(const struct deployment *deployment, int32_t day, struct error *err);

#endif
