/*
 * How far the cluster is, on stderr: on a terminal a line that changes, else (a timer, a scheduler) a line of the log (base/log.h) for each step
 * that is done. The embedded engine's commands take seconds, and say nothing without a terminal.
 *
 *     2026-11-30T01:02:03.123Z info    step done  step="the table ledger" n=9 of=14 tasks=200 took=12.3s
 */
#ifndef PUNCHCARD_CLI_CLUSTER_PROGRESS_H
#define PUNCHCARD_CLI_CLUSTER_PROGRESS_H

#include "cluster/hooks.h"

#include <stdbool.h>

enum cluster_shown {
	CLUSTER_SHOWN_NOT,
	CLUSTER_SHOWN_LIVE,
	CLUSTER_SHOWN_LINES,
};
/* With --json a program is asking: nothing. */
enum cluster_shown cluster_shown(bool is_terminal, bool as_json);
/* Hooks that show it; one command a process. */
struct cluster_batch_hooks cluster_progress(enum cluster_shown shown);
/* Takes away what they show, or tells the last step, unless the command has failed in it. */
void cluster_progress_end(enum cluster_shown shown, bool failed);

#endif
