/* Shared by cluster_view.c and cluster_sweep.c. */
#ifndef PUNCHCARD_STORE_CLUSTER_VIEW_INTERNAL_H
#define PUNCHCARD_STORE_CLUSTER_VIEW_INTERNAL_H

#include "store/cluster_view.h"

#define COLUMN_PROFILE SLICE("p:profile")
#define COLUMN_STATE   SLICE("s:state")
#define COLUMN_EVENT   SLICE("o:event")
#define EVENTS         "e:"
#define EVENTS_BYTES   2u

/* A cell that waits; its bytes by their places, since they move. */
struct pending_cell {
	size_t key_at, key_len;
	size_t column_at, column_len;
	size_t value_at, value_len;
	int64_t version;
};

struct pending {
	const char *table;
	struct buf bytes;
	struct pending_cell *cells;
	struct cells_put *puts; /* made when they go out */
	size_t n;
	size_t cap;
};

struct cluster_view {
	struct cells *cells;
	enum customer_id_type id_type;
	const struct tz *zone;
	struct pending accounts;
	struct pending orders;
	struct block_writer writer;
	struct buf value;
	int64_t mark_version_ms; /* of the mark that was read or put last */
	/* Of the customer that is given. */
	struct cluster_event *events;
	size_t events_cap;
	struct cluster_edge edges[CLUSTER_EDGES_MAX];
};

void cluster_pending_release(struct pending *pending);
/* Adds a cell, of which all is copied. ERROR_NO_MEMORY. */
int cluster_pending_add(struct pending *pending, const struct cells_put *put, struct error *err);

/* Who the row's customer is, and what is known of him besides events. ERROR_CORRUPT. */
int cluster_read_cells(struct cluster_view *view, const struct cells_row *row, struct cluster_customer *customer,
		       struct error *err);
bool cluster_is_event_column(struct slice column);

#endif
