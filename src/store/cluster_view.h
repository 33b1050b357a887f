/*
 * The customer view of a cluster: profiles, states and events of customers in cells (store/cells.h), that is, in HBase.
 *
 *     rc = cluster_view_open(cells, CUSTOMER_ID_INTEGER, programme->timezone, &view, err);
 *     rc = cluster_view_ensure(view, err);
 *     rc = cluster_view_put_event(view, &taken, err);            // and so on, a shipper's
 *     rc = cluster_view_flush(view, err);                        // all are durable
 *     rc = cluster_view_customers(view, ids, n, take, context, err);
 *     cluster_view_close(view);
 *
 * Several edges write, and nobody reads in order to write: a shipper puts each event under a name that the event determines, twice into
 * the same cell when it ships it again; the batch layer puts states, each with the offsets of all edges up to which it has their
 * events. Who looks a customer up reads one row, and has the state and the events that are not in it; the fold of both
 * (store/cluster_account.h) is the account, exactly, whatever was shipped in whatever order. Events that states have are swept away
 * behind a refresh; that they are there for a while does no harm.
 *
 * Puts are gathered, and go out by themselves when there are many; after an error what was gathered since the last flush is to be put
 * again, all of it or more. Versions of cells are milliseconds: of an event when its block was begun, of profiles and states the
 * caller's, greater with every load and refresh.
 *
 * Errors: those of store/cells.h; ERROR_CORRUPT for a value that is damaged, or of a later punchcard. One view belongs to one thread at
 * a time.
 */
#ifndef PUNCHCARD_STORE_CLUSTER_VIEW_H
#define PUNCHCARD_STORE_CLUSTER_VIEW_H

#include "store/cells.h"
#include "store/cluster_bytes.h"

#define CLUSTER_ACCOUNTS "accounts"
#define CLUSTER_ORDERS   "orders"

struct cluster_view;

/* The cells stay the caller's; they and the programme's time zone outlive the view. */
int cluster_view_open(struct cells *cells, enum customer_id_type id_type, const struct tz *zone,
		      struct cluster_view **out, struct error *err);
/* NULL is fine. What is not flushed is lost. */
void cluster_view_close(struct cluster_view *view);

/* Makes the tables that are not there, of one region each, which HBase splits as they grow. See cluster_view_shell. */
int cluster_view_ensure(struct cluster_view *view, struct error *err);
/* Appends what makes the tables in the HBase shell, each with `regions` regions (1 to 4096) from the beginning, which the REST gateway
 * cannot do. `prefix` as in cells_hbase_options. 0 or ERROR_NO_MEMORY. */
int cluster_view_shell(const char *prefix, unsigned regions, struct buf *out);
/* The first key of region i (1 to regions - 1) of so many, all as large as each other. */
void cluster_view_split(unsigned i, unsigned regions, char split[CLUSTER_PREFIX_BYTES]);

/* --- writing ---------------------------------------------------------------------------------------------------------------- */

/* Who a customer is. version_ms: of the load. */
int cluster_view_put_profile(struct cluster_view *view, const struct customer_id *id, const struct profile *profile,
			     int64_t version_ms, struct error *err);
/* An event, into the account and the history of its customer. A guest's is nobody's: nothing is put. */
int cluster_view_put_event(struct cluster_view *view, const struct cluster_taken *taken, struct error *err);
/* A state. version_ms: of the refresh. */
int cluster_view_put_state(struct cluster_view *view, const struct customer_id *id, const struct cluster_state *state,
			   int64_t version_ms, struct error *err);
/* When it returns 0, all that was put is durable. */
int cluster_view_flush(struct cluster_view *view, struct error *err);

/* --- marks -------------------------------------------------------------------------------------------------------------------- */

/*
 * What an edge leaves in both tables with each shipment, behind the end of the table, where no scan finds it: whose HBase this is, and how
 * far it has the edge's events. What was emptied, restored or is another one shows by it.
 */
#define CLUSTER_JOURNAL_BYTES 16u
struct cluster_mark {
	bool found;
	char journal[CLUSTER_JOURNAL_BYTES]; /* whose offsets these are: random, one for each journal */
	uint64_t next;                       /* all blocks of the edge before it were put there, or were about to be */
	int64_t version_ms;
};
struct cluster_marks {
	struct cluster_mark accounts;
	struct cluster_mark orders;
};

/* Those of an edge. Where a table is missing, none is found in it. ERROR_CORRUPT. */
int cluster_view_marks(struct cluster_view *view, struct slice edge, struct cluster_marks *out, struct error *err);
/* Gathers a mark for both tables, so that it goes out with the events that were put before it. Its version is greater than that of the
 * mark that was read last. */
int cluster_view_put_mark(struct cluster_view *view, struct slice edge, const struct cluster_mark *mark,
			  struct error *err);

/* --- looking up ------------------------------------------------------------------------------------------------------------- */

struct cluster_customer {
	struct customer_id id;
	bool has_profile;
	bool has_state;
	struct profile profile;
	int64_t profile_version_ms;
	struct cluster_state state;
	int64_t state_version_ms;
	/* Events that the state does not have, in the order of their names, that is, of time. */
	const struct cluster_event *events;
	size_t n_events;
	size_t n_late; /* of them: of a day that the state has closed (cluster_state_missed): they wait for the next refresh */
	size_t n_included; /* how many more are there that it has, and that a sweep takes away */
};

/* Takes a customer, who lives until it returns. 0 to go on, 1 to end, or a negative code. */
typedef int cluster_customer_fn(void *context, const struct cluster_customer *customer, struct error *err);

/* Gives the customers of n ids, in their order, without those of whom nothing is known. Ids are distinct. What was put and not flushed
 * is not seen. */
int cluster_view_customers(struct cluster_view *view, const struct customer_id *ids, size_t n,
			   cluster_customer_fn *take, void *context, struct error *err);

/* Gives all customers, in the order of their keys, from behind the customer `after` (NULL: from the first), at most `limit` (0: all). */
int cluster_view_walk(struct cluster_view *view, const struct customer_id *after, uint64_t limit,
		      cluster_customer_fn *take, void *context, struct error *err);

typedef int cluster_event_fn(void *context, const struct cluster_event *event, struct error *err);
/* Gives a customer's whole history, in the order of time; limit 0: all. Each event lives until the callback returns. */
int cluster_view_history(struct cluster_view *view, const struct customer_id *id, uint64_t limit,
			 cluster_event_fn *take, void *context, struct error *err);
/* The same of the events whose time is from_us or later, and before to_us (INT64_MIN and INT64_MAX: all). */
int cluster_view_history_between(struct cluster_view *view, const struct customer_id *id, int64_t from_us,
				 int64_t to_us, cluster_event_fn *take, void *context, struct error *err);

/* --- sweeping --------------------------------------------------------------------------------------------------------------- */

struct cluster_sweep {
	uint64_t customers; /* that were looked at */
	uint64_t events;    /* that were erased */
	uint64_t profiles;
};
/*
 * Erases the events that states have; and profiles of a version before profiles_from_ms, those of customers whom the newest load did
 * not have (0: none). To be called behind the flush of all states of a refresh, by one process. What happened until an error stays
 * done.
 */
int cluster_view_sweep(struct cluster_view *view, int64_t profiles_from_ms, struct cluster_sweep *out,
		       struct error *err);

#endif
