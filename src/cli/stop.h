/*
 * Stopping when asked: for commands that look now and then whether they should end.
 *
 *     stop_on_signals();
 *     while (!stop_asked()) …
 *
 * The first SIGINT or SIGTERM is remembered, and servers of a cluster that are silent are no longer waited for; the next one, of either kind, ends the process. A command whose work is done by
 * an engine uses serving/watch.h instead. Thread: any may ask.
 */
#ifndef PUNCHCARD_CLI_STOP_H
#define PUNCHCARD_CLI_STOP_H

#include <stdbool.h>

/* From now on. */
void stop_on_signals(void);
bool stop_asked(void);

#endif
