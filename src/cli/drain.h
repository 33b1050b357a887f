/* What refresh and rebuild do first: all that was collected comes into the table (speed/collect.h), told at a terminal. */
#ifndef PUNCHCARD_CLI_DRAIN_H
#define PUNCHCARD_CLI_DRAIN_H

#include "cli/command.h"
#include "config/deployment.h"

/* collect_drain; `progress`: who waits longer than a moment is told on stderr for whom. */
int cli_drain(const struct deployment *deployment, bool progress, struct error *err);

#endif
