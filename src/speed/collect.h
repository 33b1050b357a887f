/*
 * Collecting: what is in the spool directories, through the journal, into transactions_cln and the customer view.
 *
 *     rc = collect_once(deployment, &options, &hooks, &failed, err);
 *
 * After a return of 0 every line that was read is durable in a table, in the view where it concerns a customer, or in
 * quarantine; and the accounts are what the batch layer would make of the whole history. After an error, or SIGKILL at any
 * moment, the next run goes on where this one stopped; so after hooks.stop, which also ends the mending of accounts
 * (ERROR_INTERRUPTED).
 */
#ifndef PUNCHCARD_SPEED_COLLECT_H
#define PUNCHCARD_SPEED_COLLECT_H

#include "config/deployment.h"
#include "speed/intake.h"

#include <stdint.h>
#include <sys/types.h>

struct topology;
struct shipper_counts;

struct collect_options {
	const struct topology *topology; /* NULL: that of punchcard.yaml; its spool sources run */
	bool hbase_again;                /* on a cluster: HBase gets again what the journal still has */
	/* On a cluster, for each shipper at the end, also before an error: what it shipped. With the hooks' context; may be NULL. */
	void (*shipped)(void *context, const char *name, const struct shipper_counts *counts);
};

/* Needs a deployment of mode DEPLOYMENT_COLLECT. options: may be NULL. The hooks are called in this thread. *failed: files that could not be read (each was
 * reported). */
int collect_once(const struct deployment *deployment, const struct collect_options *options,
		 const struct intake_hooks *hooks, unsigned *failed, struct error *err);

/* How collect_drain waits for a collector. */
struct collect_wait {
	/* Called after every look, 20 times a second: for which process, and for how long already; NULL: nobody wants to know. */
	void (*waiting)(void *context, pid_t collector, int64_t waited_us);
	void *context;
	int64_t stuck_us; /* a collector that writes nothing for so long is given up; 0: a minute */
};

/*
 * For a batch writer, before it reads the history: after it the table has all that the journal had when it was called. 0 when
 * there is no journal.
 *
 * While there is no collector it is one itself: then the view has all of it too, and no account is marked. Else it waits until
 * that one has written its table so far, or has gone. `wait` may be NULL. ERROR_LOCKED: the collector writes nothing; the message
 * names it. ERROR_INTERRUPTED: all engines were interrupted (engine_interrupt_all) meanwhile. With a deployment that is a
 * collector's (DEPLOYMENT_COLLECT) it never waits, nor on a cluster, where a collector that runs ships at its own pace.
 */
int collect_drain(const struct deployment *deployment, const struct collect_wait *wait, struct error *err);

#endif
