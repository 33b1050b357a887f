/*
 * What the files of refresh share.
 */
#ifndef PUNCHCARD_BATCH_REFRESH_INTERNAL_H
#define PUNCHCARD_BATCH_REFRESH_INTERNAL_H

#include "batch/refresh.h"
#include "batch/states.h"
#include "batch/swap.h"

struct refresh {
	const struct deployment *deployment;
	int32_t data_dt;
	uint64_t offset;
	bool is_older; /* a later day was refreshed: the ledger is that day's, and stays as it is */
	struct states_found from;
	struct swap *swap;
	struct id_list late;   /* an event of from.day or before came in since the state was made */
	struct id_list marked; /* late ones, and those whose refunds need it */
	struct folding days;   /* from the state, without the marked */
	struct folding whole;  /* of the marked; empty when there are none */
	bool has_whole;
};

/* Writes the ledger's partitions: of the days behind the state, and of those before that the marked customers change.
 * *rewritten: how many of these. */
int refresh_ledger(struct refresh *refresh, uint64_t *rewritten, struct error *err);

#endif
