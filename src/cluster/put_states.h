/*
 * What a refresh made, for who looks customers up: states go into the view (HBase), and the events that they have are swept out of it.
 *
 * Who looks up meanwhile, or after a crash in between, finds of each customer the old state or the new one, with all events that it does
 * not have: either is right. Doing it again comes to the same.
 */
#ifndef PUNCHCARD_CLUSTER_PUT_STATES_H
#define PUNCHCARD_CLUSTER_PUT_STATES_H

#include "cluster/made.h"

struct put_states {
	const struct cluster_session *session;
	const struct made_state *state; /* of which day; its rows are in account_state */
	int64_t version;                /* of the cells: greater than that of any state before */
	/* Some times a second: customers so far. May be NULL. */
	void (*progress)(void *context, uint64_t customers);
	void *context;
};

struct put_report {
	uint64_t customers;
	uint64_t swept; /* events */
};

/* Needs a deployment that is open for writing: files of HDFS are copied into its temporary directory, one at a time. ERROR_CORRUPT: the
 * table is damaged, or has not as many rows as it should; errors of the warehouse and the cells. */
int cluster_put_states(const struct put_states *put, struct put_report *report, struct error *err);

#endif
