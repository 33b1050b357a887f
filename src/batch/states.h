/*
 * The table account_state: where a refresh goes on. It is the batch layer's own, in no catalog.
 *
 *     data_dt=<day>/account-<programme>-<offset>-<hash>.parquet (day.h)
 *
 * All states are of one programme: who folds the whole history by another one replaces the table. The newest one is also that
 * of the ledger: the whole ledger was made of the same events.
 */
#ifndef PUNCHCARD_BATCH_STATES_H
#define PUNCHCARD_BATCH_STATES_H

#include "config/deployment.h"
#include "loyalty/programme.h"

#include <stdbool.h>
#include <stdint.h>

/* Days whose states are kept, besides the one that was made last. */
#define STATES_KEPT   3u

#define STATES_PREFIX "account-"

/* What the name of a state's file says. */
struct state_name {
	char programme[PROGRAMME_HASH_TEXT];
	uint64_t offset; /* the table writer's, up to which it has all events */
};
/* Whether it is such a name; *out is written only then. */
bool states_parse_name(const char *name, struct state_name *out);

struct states_found {
	bool other; /* there are states of another programme */
	/* The newest of this programme, of whatever day: */
	bool any;
	int32_t newest_day;
	uint64_t newest_offset;
	/* The newest of this programme before the day: */
	bool found;
	int32_t day;
	uint64_t offset;
	char *path;
};

/* Looks for the states to go on from to `day`. `offset`: the table writer's today; a state beyond it is of another journal, and
 * none. *out is released by states_release. */
int states_find(const struct deployment *deployment, int32_t day, uint64_t offset, struct states_found *out,
		struct error *err);
void states_release(struct states_found *found);
/* The newest day that was refreshed, by whatever programme: one with a partition of account_state, balances or loyalty.
 * DAY_MIN: none was. */
int states_newest_day(const struct deployment *deployment, int32_t *day, struct error *err);
/* Removes old ones; `day` is the one that was just made. */
int states_prune(const struct deployment *deployment, int32_t day, struct error *err);

#endif
