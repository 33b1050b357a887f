/*
 * Keys and values of the cluster's view, as bytes (tables in cluster_bytes.c): what store/cluster_view.h puts into cells and takes out.
 *
 * Readers take bytes from outside: damaged ones are ERROR_CORRUPT. What they give lives as long as the bytes. Not tied to a thread.
 */
#ifndef PUNCHCARD_STORE_CLUSTER_BYTES_H
#define PUNCHCARD_STORE_CLUSTER_BYTES_H

#include "base/tz.h"
#include "store/block.h"
#include "store/view.h"

/* How keys begin; so customers are spread evenly over the regions of a table, whatever their ids are. */
#define CLUSTER_PREFIX_BYTES 2u
#define CLUSTER_KEY_MAX      (CLUSTER_PREFIX_BYTES + LIMIT_CUSTOMER_ID_BYTES)
/* Time and hash of an event. */
#define CLUSTER_EVENT_NAME_BYTES 16u
#define CLUSTER_ORDER_KEY_MAX    (CLUSTER_KEY_MAX + 1 + CLUSTER_EVENT_NAME_BYTES)
/* Edges of one cluster, and the length of an edge's name. */
#define CLUSTER_EDGES_MAX       256u
#define CLUSTER_EDGE_NAME_BYTES 64u

struct cluster_key {
	char bytes[CLUSTER_ORDER_KEY_MAX];
	size_t len;
};

/* The key of a customer's row in `accounts`. ERROR_INPUT: a guest, or an id that cannot be. */
int cluster_key_of(enum customer_id_type type, const struct customer_id *id, struct cluster_key *key,
		   struct error *err);
/* The other way. ERROR_CORRUPT: it is none; the hash is checked. The text of an id is that of the key. */
int cluster_key_read(enum customer_id_type type, struct slice key, struct customer_id *id, struct error *err);
/* How the keys of a customer's rows in `orders` begin, each with the event's name behind it. */
int cluster_order_prefix(enum customer_id_type type, const struct customer_id *id, struct cluster_key *key,
			 struct error *err);

/* The name of an event among those of its customer: its time, and a hash of source and id. In the order of time. */
void cluster_event_name(struct slice source, const struct event *event, char name[CLUSTER_EVENT_NAME_BYTES]);
/* How the names of events of that time begin. */
#define CLUSTER_EVENT_TIME_BYTES 8u
void cluster_event_time(int64_t time_us, char begin[CLUSTER_EVENT_TIME_BYTES]);

/* An event as an edge took it in. */
struct cluster_taken {
	const struct block_record *record; /* a BLOCK_EVENT, of a customer */
	struct slice source;
	struct slice edge; /* name of the edge node, 1 to CLUSTER_EDGE_NAME_BYTES bytes */
	uint64_t block;    /* number of the journal's block that has it, at that edge */
	int64_t taken_us;  /* when that block was begun, UTC microseconds: block_reader.counts.time_us */
};
/* Appends it. `writer` is scratch. 0 or ERROR_NO_MEMORY. */
int cluster_event_write(const struct cluster_taken *taken, struct block_writer *writer, struct buf *out);

struct cluster_event {
	struct event event;
	struct slice source;
	struct slice edge;
	uint64_t block;
	int32_t day;                /* of its time, local to the programme */
	int64_t version;            /* of its cell; set by the view */
	struct slice column;        /* of its cell; set by the view */
	struct block_reader reader; /* has the event's lines and id: it stays where it is until it is released */
};
/* Reads one into an event that is all zero. `zone`: the programme's. ERROR_CORRUPT, ERROR_NO_MEMORY. The caller releases it, also after
 * an error. */
int cluster_event_read(struct slice value, const struct tz *zone, struct cluster_event *event, struct error *err);
void cluster_event_release(struct cluster_event *event);

/* How far a state goes at one edge. */
struct cluster_edge {
	struct slice name;
	uint64_t offset; /* number of the first block that is not in it */
};

/* A customer's state as the batch layer made it. */
struct cluster_state {
	int32_t day; /* the last day whose events may be in it, days since 1970, local to the programme */
	const struct cluster_edge *edges; /* ascending by name, each once, at most CLUSTER_EDGES_MAX */
	size_t n_edges;
	struct slice account; /* account_encode's bytes */
};
/* Appends it. ERROR_INPUT: the edges are not as they should be; ERROR_NO_MEMORY. */
int cluster_state_write(const struct cluster_state *state, struct buf *out, struct error *err);
/* Reads one; edges go to the caller's room. ERROR_CORRUPT. */
int cluster_state_read(struct slice value, struct cluster_edge edges[CLUSTER_EDGES_MAX], struct cluster_state *state,
		       struct error *err);
/* Whether a state has the event: it is of the state's day or before, and its block is before the state's offset of that edge. */
bool cluster_state_includes(const struct cluster_state *state, const struct cluster_event *event);
/* Whether an event came too late for a state: it is of the state's day or before, and the state does not have it. */
bool cluster_state_missed(const struct cluster_state *state, const struct cluster_event *event);

/* Appends it. ERROR_NO_MEMORY. */
int cluster_profile_write(const struct profile *profile, struct buf *out);
/* ERROR_CORRUPT. */
int cluster_profile_read(struct slice value, struct profile *profile, struct error *err);

#endif
