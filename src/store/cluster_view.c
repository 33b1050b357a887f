#include "store/cluster_view_internal.h"

#include <assert.h>
#include <stdlib.h>

/* What is gathered before it goes out by itself. */
#define PENDING_BYTES (4u << 20)
#define PENDING_CELLS 20000u

#define US_PER_MS     1000

static const char *const accounts_families[] = {"p", "s", "e", NULL};
static const char *const orders_families[] = {"o", NULL};

/* --- opening ---------------------------------------------------------------------------------------------------------------- */

int cluster_view_open(struct cells *cells, enum customer_id_type id_type, const struct tz *zone,
		      struct cluster_view **out, struct error *err)
{
	struct cluster_view *const view = calloc(1, sizeof(*view));
	if (!view)
		return error_no_memory(err, sizeof(*view));
	view->cells = cells;
	view->id_type = id_type;
	view->zone = zone;
	view->accounts.table = CLUSTER_ACCOUNTS;
	view->orders.table = CLUSTER_ORDERS;
	*out = view;
	return 0;
}

void cluster_pending_release(struct pending *pending)
{
	buf_release(&pending->bytes);
	free(pending->cells);
	free(pending->puts);
}

void cluster_view_close(struct cluster_view *view)
{
	if (!view)
		return;
	cluster_pending_release(&view->accounts);
	cluster_pending_release(&view->orders);
	block_writer_release(&view->writer);
	buf_release(&view->value);
	free(view->events);
	free(view);
}

int cluster_view_ensure(struct cluster_view *view, struct error *err)
{
	const int rc = cells_ensure(view->cells, CLUSTER_ACCOUNTS, accounts_families, err);
	return rc < 0 ? rc : cells_ensure(view->cells, CLUSTER_ORDERS, orders_families, err);
}

void cluster_view_split(unsigned i, unsigned regions, char split[CLUSTER_PREFIX_BYTES])
{
	const unsigned first = i * 65536u / regions;
	split[0] = (char)(first >> 8);
	split[1] = (char)first;
}

static int add_create(const char *prefix, const char *table, const char *const *families, unsigned regions,
		      struct buf *out)
{
	int rc = buf_printf(out, "create '%s%s'", prefix, table);
	for (size_t i = 0; families[i] && rc == 0; i++)
		rc = buf_printf(out,
				", {NAME => '%s', VERSIONS => 1, BLOOMFILTER => 'ROW', DATA_BLOCK_ENCODING => "
				"'FAST_DIFF'}",
				families[i]);
	for (unsigned i = 1; i < regions && rc == 0; i++) {
		char split[CLUSTER_PREFIX_BYTES];
		cluster_view_split(i, regions, split);
		rc = buf_printf(out, "%s\"\\x%02X\\x%02X\"", i == 1 ? ", SPLITS => [" : ", ", (unsigned char)split[0],
				(unsigned char)split[1]);
	}
	return rc < 0 ? rc : buf_append_text(out, regions > 1 ? "]\n" : "\n");
}

int cluster_view_shell(const char *prefix, unsigned regions, struct buf *out)
{
	assert(regions >= 1 && regions <= 4096);
	const int rc = add_create(prefix, CLUSTER_ACCOUNTS, accounts_families, regions, out);
	return rc < 0 ? rc : add_create(prefix, CLUSTER_ORDERS, orders_families, regions, out);
}

/* --- writing ---------------------------------------------------------------------------------------------------------------- */

static int append(struct buf *bytes, struct slice s, size_t *at, size_t *len)
{
	*at = bytes->len;
	*len = s.len;
	return buf_append(bytes, s.data, s.len);
}

int cluster_pending_add(struct pending *pending, const struct cells_put *put, struct error *err)
{
	if (pending->n == pending->cap) {
		const size_t cap = pending->cap ? 2 * pending->cap : 256;
		struct pending_cell *const cells = realloc(pending->cells, cap * sizeof(*cells));
		if (!cells)
			return error_no_memory(err, cap * sizeof(*cells));
		pending->cells = cells;
		pending->cap = cap;
		free(pending->puts);
		pending->puts = NULL;
	}
	struct pending_cell cell = {.version = put->version};
	if (append(&pending->bytes, put->key, &cell.key_at, &cell.key_len) < 0 ||
	    append(&pending->bytes, put->column, &cell.column_at, &cell.column_len) < 0 ||
	    append(&pending->bytes, put->value, &cell.value_at, &cell.value_len) < 0)
		return error_no_memory(err, put->value.len);
	pending->cells[pending->n++] = cell;
	return 0;
}

static int compare_puts(const void *a, const void *b)
{
	return slice_compare(((const struct cells_put *)a)->key, ((const struct cells_put *)b)->key);
}

static int send_pending(struct cluster_view *view, struct pending *pending, struct error *err)
{
	if (!pending->n)
		return 0;
	if (!pending->puts)
		pending->puts = calloc(pending->cap, sizeof(*pending->puts));
	if (!pending->puts)
		return error_no_memory(err, pending->cap * sizeof(*pending->puts));
	const char *const bytes = pending->bytes.data;
	for (size_t i = 0; i < pending->n; i++) {
		const struct pending_cell *const cell = &pending->cells[i];
		pending->puts[i] = (struct cells_put){.key = {bytes + cell->key_at, cell->key_len},
						      .column = {bytes + cell->column_at, cell->column_len},
						      .value = {bytes + cell->value_at, cell->value_len},
						      .version = cell->version};
	}
	/* Events of one customer become one row, and one request goes to few regions. */
	qsort(pending->puts, pending->n, sizeof(*pending->puts), compare_puts);
	const size_t n = pending->n;
	pending->n = 0;
	const int rc = cells_put(view->cells, pending->table, pending->puts, n, err);
	buf_clear(&pending->bytes);
	return rc;
}

int cluster_view_flush(struct cluster_view *view, struct error *err)
{
	/* The history first: who sees an event in an account finds it there. */
	const int rc = send_pending(view, &view->orders, err);
	return rc < 0 ? rc : send_pending(view, &view->accounts, err);
}

static bool is_full(const struct pending *pending)
{
	return pending->n >= PENDING_CELLS || pending->bytes.len >= PENDING_BYTES;
}

static int flush_when_full(struct cluster_view *view, struct error *err)
{
	return is_full(&view->accounts) || is_full(&view->orders) ? cluster_view_flush(view, err) : 0;
}

static int add_account_cell(struct cluster_view *view, const struct customer_id *id, struct slice column,
			    struct slice value, int64_t version, struct error *err)
{
	struct cluster_key key;
	const int rc = cluster_key_of(view->id_type, id, &key, err);
	if (rc < 0)
		return rc;
	const struct cells_put put = {
		.key = {key.bytes, key.len}, .column = column, .value = value, .version = version};
	return cluster_pending_add(&view->accounts, &put, err);
}

int cluster_view_put_profile(struct cluster_view *view, const struct customer_id *id, const struct profile *profile,
			     int64_t version_ms, struct error *err)
{
	buf_clear(&view->value);
	if (cluster_profile_write(profile, &view->value) < 0)
		return error_no_memory(err, view->value.len);
	const int rc = add_account_cell(view, id, COLUMN_PROFILE, (struct slice){view->value.data, view->value.len},
					version_ms, err);
	return rc < 0 ? rc : flush_when_full(view, err);
}

int cluster_view_put_state(struct cluster_view *view, const struct customer_id *id, const struct cluster_state *state,
			   int64_t version_ms, struct error *err)
{
	buf_clear(&view->value);
	int rc = cluster_state_write(state, &view->value, err);
	if (rc == 0)
		rc = add_account_cell(view, id, COLUMN_STATE, (struct slice){view->value.data, view->value.len},
				      version_ms, err);
	return rc < 0 ? rc : flush_when_full(view, err);
}

int cluster_view_put_event(struct cluster_view *view, const struct cluster_taken *taken, struct error *err)
{
	const struct event *const event = &taken->record->event;
	char column[EVENTS_BYTES + CLUSTER_EVENT_NAME_BYTES];
	struct cluster_key key;
	if (event->customer.guest)
		return 0;
	assert(taken->edge.len && taken->edge.len <= CLUSTER_EDGE_NAME_BYTES);
	int rc = cluster_order_prefix(view->id_type, &event->customer, &key, err);
	if (rc < 0)
		return rc;
	buf_clear(&view->value);
	if (cluster_event_write(taken, &view->writer, &view->value) < 0)
		return error_no_memory(err, view->value.len);
	const struct slice value = {view->value.data, view->value.len};
	const int64_t version = taken->taken_us > US_PER_MS ? taken->taken_us / US_PER_MS : 1;
	memcpy(column, EVENTS, EVENTS_BYTES);
	cluster_event_name(taken->source, event, column + EVENTS_BYTES);
	memcpy(key.bytes + key.len, column + EVENTS_BYTES, CLUSTER_EVENT_NAME_BYTES);
	const struct cells_put put = {.key = {key.bytes, key.len + CLUSTER_EVENT_NAME_BYTES},
				      .column = COLUMN_EVENT,
				      .value = value,
				      .version = version};
	rc = cluster_pending_add(&view->orders, &put, err);
	if (rc == 0)
		rc = add_account_cell(view, &event->customer, (struct slice){column, sizeof(column)}, value, version,
				      err);
	return rc < 0 ? rc : flush_when_full(view, err);
}

/* --- looking up ------------------------------------------------------------------------------------------------------------- */

struct giving {
	struct cluster_view *view;
	cluster_customer_fn *take;
	void *context;
};

bool cluster_is_event_column(struct slice column)
{
	return column.len == EVENTS_BYTES + CLUSTER_EVENT_NAME_BYTES && memcmp(column.data, EVENTS, EVENTS_BYTES) == 0;
}

int cluster_read_cells(struct cluster_view *view, const struct cells_row *row, struct cluster_customer *customer,
		       struct error *err)
{
	int rc = cluster_key_read(view->id_type, row->key, &customer->id, err);
	for (size_t i = 0; i < row->n && rc == 0; i++) {
		const struct cell *const cell = &row->cells[i];
		if (slice_equal(cell->column, COLUMN_PROFILE)) {
			rc = cluster_profile_read(cell->value, &customer->profile, err);
			customer->has_profile = rc == 0;
			customer->profile_version_ms = cell->version;
		} else if (slice_equal(cell->column, COLUMN_STATE)) {
			rc = cluster_state_read(cell->value, view->edges, &customer->state, err);
			customer->has_state = rc == 0;
			customer->state_version_ms = cell->version;
		}
	}
	return rc;
}

/* Room for n events, all zero. */
static int reserve_events(struct cluster_view *view, size_t n, struct error *err)
{
	if (n > view->events_cap) {
		struct cluster_event *const events = malloc(n * sizeof(*events));
		if (!events)
			return error_no_memory(err, n * sizeof(*events));
		free(view->events);
		view->events = events;
		view->events_cap = n;
	}
	if (n)
		memset(view->events, 0, n * sizeof(*view->events));
	return 0;
}

/* An event of the row into the next place; stays there unless the state has it. */
static int read_event(struct cluster_view *view, const struct cell *cell, struct cluster_customer *customer,
		      struct error *err)
{
	struct cluster_event *const event = &view->events[customer->n_events];
	const int rc = cluster_event_read(cell->value, view->zone, event, err);
	event->column = cell->column;
	event->version = cell->version;
	if (rc == 0 && !(customer->has_state && cluster_state_includes(&customer->state, event))) {
		customer->n_late += customer->has_state && cluster_state_missed(&customer->state, event);
		customer->n_events++;
		return 0;
	}
	customer->n_included += rc == 0;
	cluster_event_release(event);
	memset(event, 0, sizeof(*event));
	return rc;
}

static int give_customer(void *context, const struct cells_row *row, struct error *err)
{
	const struct giving *const giving = context;
	struct cluster_view *const view = giving->view;
	struct cluster_customer customer = {0};
	int rc = cluster_read_cells(view, row, &customer, err);
	if (rc == 0)
		rc = reserve_events(view, row->n, err);
	for (size_t i = 0; i < row->n && rc == 0; i++)
		if (cluster_is_event_column(row->cells[i].column))
			rc = read_event(view, &row->cells[i], &customer, err);
	customer.events = view->events;
	if (rc == 0)
		rc = giving->take(giving->context, &customer, err);
	else if (err && rc == ERROR_CORRUPT)
		error_prefix(err, "%s: table %s", cells_name(view->cells), CLUSTER_ACCOUNTS);
	for (size_t i = 0; i < customer.n_events; i++)
		cluster_event_release(&view->events[i]);
	return rc;
}

int cluster_view_customers(struct cluster_view *view, const struct customer_id *ids, size_t n,
			   cluster_customer_fn *take, void *context, struct error *err)
{
	struct giving giving = {.view = view, .take = take, .context = context};
	struct cluster_key *const bytes = calloc(n ? n : 1, sizeof(*bytes));
	struct slice *const keys = calloc(n ? n : 1, sizeof(*keys));
	int rc = 0;
	if (!bytes || !keys) {
		free(bytes);
		free(keys);
		return error_no_memory(err, n * sizeof(*bytes));
	}
	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = cluster_key_of(view->id_type, &ids[i], &bytes[i], err);
		keys[i] = (struct slice){bytes[i].bytes, bytes[i].len};
	}
	if (rc == 0)
		rc = cells_get(view->cells, CLUSTER_ACCOUNTS, keys, n, give_customer, &giving, err);
	free(bytes);
	free(keys);
	return rc;
}

int cluster_view_walk(struct cluster_view *view, const struct customer_id *after, uint64_t limit,
		      cluster_customer_fn *take, void *context, struct error *err)
{
	struct giving giving = {.view = view, .take = take, .context = context};
	struct cells_range range = {.limit = limit};
	struct cluster_key key = {0};
	if (after) {
		const int rc = cluster_key_of(view->id_type, after, &key, err);
		if (rc < 0)
			return rc;
		key.bytes[key.len++] = '\0';
		range.from = (struct slice){key.bytes, key.len};
	}
	return cells_scan(view->cells, CLUSTER_ACCOUNTS, &range, give_customer, &giving, err);
}

struct telling {
	struct cluster_view *view;
	cluster_event_fn *take;
	void *context;
};

static int give_event(void *context, const struct cells_row *row, struct error *err)
{
	const struct telling *const telling = context;
	for (size_t i = 0; i < row->n; i++) {
		struct cluster_event event = {0};
		if (!slice_equal(row->cells[i].column, COLUMN_EVENT))
			continue;
		int rc = cluster_event_read(row->cells[i].value, telling->view->zone, &event, err);
		event.column = row->cells[i].column;
		event.version = row->cells[i].version;
		if (rc == 0)
			rc = telling->take(telling->context, &event, err);
		else if (err && rc == ERROR_CORRUPT)
			error_prefix(err, "%s: table %s", cells_name(telling->view->cells), CLUSTER_ORDERS);
		cluster_event_release(&event);
		return rc;
	}
	return 0;
}

int cluster_view_history(struct cluster_view *view, const struct customer_id *id, uint64_t limit,
			 cluster_event_fn *take, void *context, struct error *err)
{
	struct telling telling = {.view = view, .take = take, .context = context};
	struct cluster_key key;
	const int rc = cluster_order_prefix(view->id_type, id, &key, err);
	if (rc < 0)
		return rc;
	/* No other customer's keys begin so: numbers are all of one length, and texts end with a NUL. */
	const struct cells_range range = {.prefix = {key.bytes, key.len}, .limit = limit};
	return cells_scan(view->cells, CLUSTER_ORDERS, &range, give_event, &telling, err);
}

/* Appends the time, and gives the key; none when it is no bound. */
static struct slice key_at(struct cluster_key *key, int64_t time_us, int64_t no_bound)
{
	if (time_us == no_bound)
		return (struct slice){0};
	cluster_event_time(time_us, key->bytes + key->len);
	return (struct slice){key->bytes, key->len + CLUSTER_EVENT_TIME_BYTES};
}

int cluster_view_history_between(struct cluster_view *view, const struct customer_id *id, int64_t from_us,
				 int64_t to_us, cluster_event_fn *take, void *context, struct error *err)
{
	struct telling telling = {.view = view, .take = take, .context = context};
	struct cluster_key key;
	const int rc = cluster_order_prefix(view->id_type, id, &key, err);
	if (rc < 0)
		return rc;
	struct cluster_key from = key;
	struct cluster_key to = key;
	const struct cells_range range = {.prefix = {key.bytes, key.len},
					  .from = key_at(&from, from_us, INT64_MIN),
					  .to = key_at(&to, to_us, INT64_MAX)};
	return cells_scan(view->cells, CLUSTER_ORDERS, &range, give_event, &telling, err);
}
