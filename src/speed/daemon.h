/*
 * The daemon: all sources at once, and the consumers, for months. `punchcard run`.
 *
 *     rc = daemon_run(dir, &(struct daemon_options){0}, err);
 *
 * A thread a source, a thread a consumer, one that keeps house (consumers.h), and the caller's, which handles signals:
 *
 *     SIGTERM, SIGINT   the sources stop, what they took goes to the table and the view, and it returns 0; a second one ends the
 *                       process at once: nothing is lost, the next run goes on
 *     SIGHUP            punchcard.yaml and programme.yaml are read again. When they are right the sources and consumers are started
 *                       anew by them, otherwise the log says what is wrong and all goes on as before; so when one cannot be opened,
 *                       and while the standard input is read, which a restart would tear
 *
 * A programme.yaml that changes is taken without a signal: within some seconds. What happens is in the log (base/log.h) and in
 * data/run/metrics (metrics.h); the service manager is told too (base/notify.h).
 */
#ifndef PUNCHCARD_SPEED_DAEMON_H
#define PUNCHCARD_SPEED_DAEMON_H

#include "base/error.h"

struct topology;

struct daemon_options {
	const struct topology *topology; /* speed/topology.h; NULL: the sources of punchcard.yaml */
};

/*
 * Takes the collector's lock. 0 after a clean end; ERROR_LOCKED, ERROR_CONFIG and so on when it cannot start (a source that cannot
 * be opened included), ERROR_INTERRUPTED when it had to leave something in the journal (a full disk, say) for the next run. Blocks
 * the signals above in all threads of the process. Not reentrant.
 */
int daemon_run(const char *dir, const struct daemon_options *options, struct error *err);

#endif
