/* States in HBase against the table account_state. */
#include "base/limits.h"
#include "base/tz.h"
#include "cluster/audit_internal.h"
#include "cluster/open.h"
#include "cluster/warehouse_files.h"
#include "engine/engine.h"
#include "store/cluster_view.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENGINE_MIB 256u
/* Customers that are asked for at once. */
#define BATCH 1000u

struct viewing {
	struct cluster_auditing *auditing;
	struct cells *cells;
	struct cluster_view *view;
	struct engine *engine;
	bool is_text;
	/* A batch of the table's rows; texts by their places in `bytes`. */
	struct buf bytes;
	struct view_row {
		int64_t number;
		size_t id_at, id_len;
		size_t state_at, state_len;
		bool seen;
	} rows[BATCH];
	struct customer_id ids[BATCH];
	unsigned n;
	uint64_t with_state; /* customers of the view that have one */
};

static void tell(struct viewing *viewing, const struct customer_id *id, enum audit_kind kind,
		 const struct audit_cell *cell)
{
	char number[24];
	snprintf(number, sizeof(number), "%" PRId64, id->number);
	const struct audit_finding finding = {
		.table = AUDIT_VIEW,
		.kind = kind,
		.day = DAY_MIN,
		.customer = viewing->is_text ? id->text : slice_of(number),
		.cells = cell,
		.n_cells = cell ? 1 : 0,
	};
	auditing_tell(viewing->auditing, &finding, true);
}

static bool same_edges(const struct viewing *viewing, const struct cluster_state *state)
{
	const struct made_state *const made = viewing->auditing->state;
	bool same = state->n_edges == made->n_edges;
	for (unsigned i = 0; same && i < made->n_edges; i++)
		same = slice_is(state->edges[i].name, made->edges[i].name) &&
		       state->edges[i].offset == made->edges[i].next_block;
	return same;
}

/* They come in the order that was asked for. */
static struct view_row *find_row(struct viewing *viewing, const struct customer_id *id)
{
	for (unsigned i = 0; i < viewing->n; i++)
		if (!viewing->rows[i].seen && viewing->ids[i].number == id->number &&
		    slice_equal(viewing->ids[i].text, id->text))
			return &viewing->rows[i];
	return NULL;
}

static int compare_customer(void *context, const struct cluster_customer *customer, struct error *err)
{
	struct viewing *const viewing = context;
	struct view_row *const row = find_row(viewing, &customer->id);
	char days[2][11];
	(void)err;
	if (!row || !customer->has_state)
		return 0;
	row->seen = true;
	const struct slice due = {viewing->bytes.data + row->state_at, row->state_len};
	if (customer->state.day != viewing->auditing->state->day) {
		civil_format(customer->state.day, days[0]);
		civil_format(viewing->auditing->state->day, days[1]);
		tell(viewing, &customer->id, AUDIT_CHANGED,
		     &(struct audit_cell){"day", slice_of(days[0]), slice_of(days[1])});
	} else if (!same_edges(viewing, &customer->state)) {
		tell(viewing, &customer->id, AUDIT_CHANGED,
		     &(struct audit_cell){"offsets", SLICE("others"), SLICE("those of the tables")});
	} else if (!slice_equal(customer->state.account, due)) {
		tell(viewing, &customer->id, AUDIT_CHANGED,
		     &(struct audit_cell){"state", SLICE("other bytes"), SLICE("those of account_state")});
	}
	viewing->auditing->report.accounts++;
	return 0;
}

static int compare_batch(struct viewing *viewing, struct error *err)
{
	for (unsigned i = 0; i < viewing->n; i++) {
		const struct view_row *const row = &viewing->rows[i];
		viewing->ids[i] = (struct customer_id){.number = row->number};
		if (viewing->is_text)
			viewing->ids[i].text = (struct slice){viewing->bytes.data + row->id_at, row->id_len};
	}
	const int rc = cluster_view_customers(viewing->view, viewing->ids, viewing->n, compare_customer, viewing, err);
	for (unsigned i = 0; rc == 0 && i < viewing->n; i++)
		if (!viewing->rows[i].seen)
			tell(viewing, &viewing->ids[i], AUDIT_MISSING, NULL);
	viewing->n = 0;
	buf_clear(&viewing->bytes);
	const struct audit_options *const options = viewing->auditing->options;
	if (rc == 0 && options->progress &&
	    !options->progress(options->context, "comparing accounts in HBase", viewing->auditing->report.accounts,
			       (uint64_t)viewing->auditing->state->customers))
		return error_set(err, ERROR_INTERRUPTED, "interrupted");
	return rc;
}

static int add_row(struct viewing *viewing, struct engine_scan *scan, uint32_t at, struct error *err)
{
	struct view_row *const row = &viewing->rows[viewing->n];
	*row = (struct view_row){.id_at = viewing->bytes.len};
	if (viewing->is_text) {
		const struct slice id = engine_scan_text(scan, 0, at);
		row->id_len = id.len;
		if (buf_append(&viewing->bytes, id.data, id.len) < 0)
			return error_no_memory(err, id.len);
	} else {
		row->number = ((const int64_t *)engine_scan_values(scan, 0))[at];
	}
	const struct slice state = engine_scan_text(scan, 1, at);
	row->state_at = viewing->bytes.len;
	row->state_len = state.len;
	if (buf_append(&viewing->bytes, state.data, state.len) < 0)
		return error_no_memory(err, state.len);
	return ++viewing->n == BATCH ? compare_batch(viewing, err) : 0;
}

static int compare_file(void *context, const char *path, struct error *err)
{
	struct viewing *const viewing = context;
	_cleanup_buf_ struct buf sql = {0};
	if (buf_printf(&sql, "SELECT cust_id::%s, state::BLOB FROM read_parquet(",
		       viewing->is_text ? "VARCHAR" : "BIGINT") < 0 ||
	    engine_quote(&sql, path) < 0 || buf_append_text(&sql, ")") < 0 || !buf_text(&sql))
		return error_no_memory(err, LIMIT_PATH_BYTES);
	struct engine_scan *scan = NULL;
	uint32_t rows = 0;
	int rc = engine_scan_open(viewing->engine, sql.data, &scan, err);
	while (rc == 0 && (rc = engine_scan_next(scan, &rows, err)) == 0 && rows > 0)
		for (uint32_t row = 0; rc == 0 && row < rows; row++)
			rc = add_row(viewing, scan, row, err);
	engine_scan_close(scan);
	return rc == 0 && viewing->n ? compare_batch(viewing, err) : rc;
}

static int count_state(void *context, const struct cluster_customer *customer, struct error *err)
{
	struct viewing *const viewing = context;
	(void)err;
	viewing->with_state += customer->has_state;
	return 0;
}

static int compare_all(struct viewing *viewing, struct error *err)
{
	struct cluster_auditing *const auditing = viewing->auditing;
	char date[11];
	civil_format(auditing->state->day, date);
	_cleanup_free_ char *dir = text_printf("warehouse/account_state/data_dt=%s", date);
	int rc = dir ? cluster_each_parquet(&auditing->session, dir, compare_file, viewing, err)
		     : error_no_memory(err, LIMIT_PATH_BYTES);
	if (rc == 0)
		rc = cluster_view_walk(viewing->view, NULL, 0, count_state, viewing, err);
	/* Who has a state there, and no row in the table. */
	if (rc == 0 && viewing->with_state > auditing->report.accounts)
		auditing_tell(auditing,
			      &(struct audit_finding){.table = AUDIT_VIEW,
						      .kind = AUDIT_FOREIGN,
						      .day = DAY_MIN,
						      .rows = viewing->with_state - auditing->report.accounts},
			      true);
	return rc;
}

int audit_view_compare(struct cluster_auditing *auditing, struct error *err)
{
	const struct deployment *const deployment = auditing->session.deployment;
	const struct engine_options options = {
		.memory_mib = ENGINE_MIB, .threads = 1, .tmp_dir = auditing->options->tmp_dir};
	const bool is_text = deployment->config->customer_id == CUSTOMER_ID_TEXT;
	if (auditing->made.view_day != auditing->state->day) {
		auditing_tell(
			auditing,
			&(struct audit_finding){.table = AUDIT_VIEW,
						.kind = AUDIT_UNREADABLE,
						.day = DAY_MIN,
						.text = SLICE("the accounts of the newest day are not in HBase: the "
							      "refresh did not come to its end; run it again")},
			true);
		return 0;
	}
	struct viewing *const viewing = calloc(1, sizeof(*viewing));
	if (!viewing)
		return error_no_memory(err, sizeof(*viewing));
	viewing->auditing = auditing;
	viewing->is_text = is_text;
	int rc = cluster_open_cells(deployment, &viewing->cells, err);
	if (rc == 0)
		rc = cluster_view_open(viewing->cells, deployment->config->customer_id, deployment->programme->timezone,
				       &viewing->view, err);
	if (rc == 0)
		rc = engine_open(&options, &viewing->engine, err);
	if (rc == 0)
		rc = compare_all(viewing, err);
	/* The table is not there. */
	if (rc == ERROR_NOT_FOUND) {
		auditing_tell(auditing,
			      &(struct audit_finding){.table = AUDIT_VIEW,
						      .kind = AUDIT_MISSING,
						      .day = DAY_MIN,
						      .rows = (uint64_t)auditing->state->customers},
			      true);
		rc = 0;
	}
	engine_close(viewing->engine);
	cluster_view_close(viewing->view);
	cells_close(viewing->cells);
	buf_release(&viewing->bytes);
	free(viewing);
	return rc;
}
