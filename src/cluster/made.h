/*
 * What a cluster's tables were made of, so that the next refresh goes on from there. In the warehouse,
 *
 *     batch/made-<number>      of twelve digits; that of the greatest number holds
 *
 *     punchcard 1
 *     programme <hash>                                     of all states
 *     unfinished <hash>                                    a fold of the whole history by this programme was begun, and not finished
 *     state <yyyy-mm-dd> <customers> <edge>=<next> …       days that account_state has: whose events, up to which block of each edge
 *     view <yyyy-mm-dd>|none <version>                     the state that customers have in HBase (none: it is being put), and the
 *                                                          version of its cells
 *
 * It is written when the tables are there, before the cells, and when these are there. The ledger is that of the newest state.
 */
#ifndef PUNCHCARD_CLUSTER_MADE_H
#define PUNCHCARD_CLUSTER_MADE_H

#include "cluster/session.h"
#include "loyalty/programme.h"

/* Days whose states are kept, besides the one that was made last. */
#define MADE_KEPT 3u
#define MADE_MAX  (MADE_KEPT + 1)

struct made_state {
	int32_t day;
	int64_t customers;
	struct cut_edge *edges; /* ascending by name; names are its own */
	unsigned n_edges;
};

struct cluster_made {
	uint64_t number; /* of the file; 0: nothing was made yet */
	char programme[PROGRAMME_HASH_TEXT];
	char unfinished[PROGRAMME_HASH_TEXT];
	struct made_state states[MADE_MAX]; /* ascending by day */
	unsigned n_states;
	int32_t view_day;     /* DAY_MIN: none */
	int64_t view_version; /* the greatest that any cells may have; 0: nothing was put yet */
};

/* Of one that was zeroed. Nothing made yet is fine. ERROR_CORRUPT: no file of ours; errors of the warehouse. cluster_made_release also
 * after an error. */
int cluster_made_read(const struct cluster_session *session, struct cluster_made *made, struct error *err);
/* Writes it under the next number, and removes older ones. Only with the lease. */
int cluster_made_write(const struct cluster_session *session, struct cluster_made *made, struct error *err);
void cluster_made_release(struct cluster_made *made);

/* The newest day; DAY_MIN: none. */
int32_t cluster_made_newest(const struct cluster_made *made);
/* The state of a day, or NULL. */
const struct made_state *cluster_made_state(const struct cluster_made *made, int32_t day);
/* Puts a state in its place, in that of one of the same day; `whole`: instead of all. Of more than MADE_KEPT others the oldest go. The cut
 * is copied. */
int cluster_made_add(struct cluster_made *made, int32_t day, int64_t customers, const struct cluster_cut *cut,
		     bool whole, struct error *err);

/* As text and back, for tests. */
int cluster_made_format(const struct cluster_made *made, struct buf *out);
bool cluster_made_parse(struct slice text, struct cluster_made *made);

#endif
