/*
 * The table account_state: where a refresh goes on. It is the batch layer's own, in no catalog.
 *
 *     data_dt=<day>/state-<programme>-<offset>-<hash>.parquet and favourites-<hash>.parquet (day.h)
 *
 * All states are of one programme: who folds the whole history by another one replaces the table.
 */
#ifndef PUNCHCARD_BATCH_STATES_H
#define PUNCHCARD_BATCH_STATES_H

#include "config/deployment.h"

#include <stdbool.h>
#include <stdint.h>

/* Days whose states are kept, besides the one that was made last. */
#define STATES_KEPT 3u

struct states_found {
	bool any;   /* there are states, of whatever programme and day */
	bool other; /* of another programme */
	bool later; /* of this one, and of a later day */
	bool found; /* the newest of this programme before the day: */
	int32_t day;
	uint64_t offset; /* the table writer's, up to which it has all events */
	char *path;
	char *favourites;
};

/* Looks for the states to go on from to `day`. `offset`: the table writer's today; a state beyond it is of another journal, and
 * none. *out is released by states_release. */
int states_find(const struct deployment *deployment, int32_t day, uint64_t offset, struct states_found *out,
		struct error *err);
void states_release(struct states_found *found);
/* Removes old ones; `day` is the one that was just made. */
int states_prune(const struct deployment *deployment, int32_t day, struct error *err);

#endif
