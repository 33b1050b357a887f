/*
 * Days that are asked for on the command line, in the programme's timezone.
 *
 *     code = day_parse_options("refresh", argc, argv, &options);       // [--data-dt DATE] [--json]
 */
#ifndef PUNCHCARD_CLI_DAY_H
#define PUNCHCARD_CLI_DAY_H

#include "config/deployment.h"

#include <stdbool.h>
#include <stdint.h>

/* By the clock. */
int32_t day_today(const struct deployment *deployment);
/* ERROR_USAGE when the day has not begun yet: what happens on it cannot be known. */
int day_check(const struct deployment *deployment, int32_t day, struct error *err);

struct day_options {
	const char *date; /* as it was written; NULL: none */
	int32_t day;      /* of date */
	bool json;
};

/* The options of a command that makes one day's tables. EXIT_OK, or EXIT_USAGE and what is wrong was told. */
int day_parse_options(const char *command, int argc, char **argv, struct day_options *out);

#endif
