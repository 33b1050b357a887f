/* Taking away what states have, and whom the newest load did not have. */
#include "store/cluster_view_internal.h"

#include <stdlib.h>

/* Customers of one page: their cells are held while it erases. */
#define SWEEP_PAGE 1000u

/* What one page of customers has to be erased. */
struct sweeping {
	struct cluster_view *view;
	int64_t profiles_from_ms;
	struct pending erases; /* version and names; no values */
	struct cluster_sweep seen;
	struct buf last; /* the key of the page's last row */
};

static int sweep_cell(struct sweeping *sweeping, struct slice key, const struct cell *cell, int64_t version,
		      struct error *err)
{
	const struct cells_put name = {.key = key, .column = cell->column, .version = version};
	return cluster_pending_add(&sweeping->erases, &name, err);
}

/* Events that the state has; all up to the newest one's version, so that a row's are one request. */
static int sweep_events(struct sweeping *sweeping, const struct cells_row *row, const struct cluster_state *state,
			struct error *err)
{
	int64_t version = 0;
	const size_t first = sweeping->erases.n;
	int rc = 0;
	for (size_t i = 0; i < row->n && rc == 0; i++) {
		const struct cell *const cell = &row->cells[i];
		struct cluster_event event = {0};
		if (!cluster_is_event_column(cell->column))
			continue;
		rc = cluster_event_read(cell->value, sweeping->view->zone, &event, err);
		if (rc == 0 && cluster_state_includes(state, &event)) {
			version = cell->version > version ? cell->version : version;
			rc = sweep_cell(sweeping, row->key, cell, 0, err);
			sweeping->seen.events++;
		}
		cluster_event_release(&event);
	}
	for (size_t i = first; i < sweeping->erases.n; i++)
		sweeping->erases.cells[i].version = version;
	return rc;
}

static int sweep_row(void *context, const struct cells_row *row, struct error *err)
{
	struct sweeping *const sweeping = context;
	struct cluster_customer customer = {0};
	buf_clear(&sweeping->last);
	/* With the NUL of the least key behind it. */
	if (buf_append(&sweeping->last, row->key.data, row->key.len) < 0 || buf_append(&sweeping->last, "", 1) < 0)
		return error_no_memory(err, row->key.len);
	int rc = cluster_read_cells(sweeping->view, row, &customer, err);
	sweeping->seen.customers++;
	if (rc == 0 && customer.has_state)
		rc = sweep_events(sweeping, row, &customer.state, err);
	for (size_t i = 0; i < row->n && rc == 0; i++) {
		if (!slice_equal(row->cells[i].column, COLUMN_PROFILE) ||
		    row->cells[i].version >= sweeping->profiles_from_ms)
			continue;
		rc = sweep_cell(sweeping, row->key, &row->cells[i], row->cells[i].version, err);
		sweeping->seen.profiles++;
	}
	return rc;
}

static int erase_swept(struct sweeping *sweeping, struct error *err)
{
	struct pending *const erases = &sweeping->erases;
	struct cells_erase *const list = calloc(erases->n ? erases->n : 1, sizeof(*list));
	if (!list)
		return error_no_memory(err, erases->n * sizeof(*list));
	const char *const bytes = erases->bytes.data;
	for (size_t i = 0; i < erases->n; i++) {
		const struct pending_cell *const cell = &erases->cells[i];
		list[i] = (struct cells_erase){.key = {bytes + cell->key_at, cell->key_len},
					       .column = {bytes + cell->column_at, cell->column_len},
					       .version = cell->version};
	}
	const int rc = cells_erase(sweeping->view->cells, CLUSTER_ACCOUNTS, list, erases->n, err);
	free(list);
	return rc;
}

int cluster_view_sweep(struct cluster_view *view, int64_t profiles_from_ms, struct cluster_sweep *out,
		       struct error *err)
{
	struct sweeping sweeping = {.view = view, .profiles_from_ms = profiles_from_ms};
	_cleanup_buf_ struct buf from = {0};
	int rc;
	*out = (struct cluster_sweep){0};
	do {
		sweeping.erases.n = 0;
		buf_clear(&sweeping.erases.bytes);
		buf_clear(&sweeping.last);
		sweeping.seen = (struct cluster_sweep){0};
		const struct cells_range page = {.from = {from.data, from.len}, .limit = SWEEP_PAGE};
		rc = cells_scan(view->cells, CLUSTER_ACCOUNTS, &page, sweep_row, &sweeping, err);
		if (rc == 0)
			rc = erase_swept(&sweeping, err);
		if (rc < 0)
			break;
		out->customers += sweeping.seen.customers;
		out->events += sweeping.seen.events;
		out->profiles += sweeping.seen.profiles;
		buf_clear(&from);
		rc = buf_append(&from, sweeping.last.data, sweeping.last.len) < 0
			     ? error_no_memory(err, sweeping.last.len)
			     : 0;
	} while (rc == 0 && sweeping.seen.customers == SWEEP_PAGE);
	cluster_pending_release(&sweeping.erases);
	buf_release(&sweeping.last);
	return rc;
}
