/*
 * Collecting: what is in the spool directories, through the journal, into transactions_cln and the customer view.
 *
 *     rc = collect_once(deployment, &hooks, &failed, err);
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

/* Needs the write lock. The hooks are called in this thread. *failed: files that could not be read (each was reported). */
int collect_once(const struct deployment *deployment, const struct intake_hooks *hooks, unsigned *failed,
		 struct error *err);

/* Takes only what is in the journal already: after it the table and the view have all of it, and no account is marked. 0 when
 * there is no journal. */
int collect_drain(const struct deployment *deployment, struct error *err);

#endif
