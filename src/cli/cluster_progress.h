/*
 * How far the cluster is, on stderr when that is a terminal.
 */
#ifndef PUNCHCARD_CLI_CLUSTER_PROGRESS_H
#define PUNCHCARD_CLI_CLUSTER_PROGRESS_H

#include "cluster/hooks.h"

#include <stdbool.h>

/* Hooks that show it, or show nothing. */
struct cluster_batch_hooks cluster_progress(bool shown);
/* Takes away what they show. */
void cluster_progress_end(bool shown);

#endif
