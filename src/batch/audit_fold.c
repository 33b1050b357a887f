/*
 * One pass over the history for two comparisons: what happened up to the end of a day goes to a folding, and all of it makes
 * the record that the customer view should have. Records are made by the workers, and merged with the view's in the caller's
 * thread, as both come in the order of the customers.
 */
#include "batch/audit_internal.h"
#include "batch/records.h"

#include "loyalty/record.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#define CELLS_MAX (2u + PROGRAMME_LEDGERS_MAX)

struct place {
	void *inner; /* the folding's; NULL: there is none */
	struct history_customer *customers;
	size_t customers_cap;
	struct records records; /* with_view */
	uint64_t events;
};

/* A record of the view; its bytes are LMDB's pages, which stay as long as the audit's read transaction. */
struct walking {
	struct view_walk *walk; /* NULL: nothing is compared (any more) */
	struct customer_id id;
	struct slice record;
	bool found;
};

struct fold {
	struct audit *audit;
	struct folding *folding; /* NULL: none */
	int64_t end_us;          /* the start of the day behind its day */
	bool with_view;
	struct walking view;
	struct record *record; /* of findings, as is … */
	struct account *account;
	uint64_t customers;
	uint64_t events;
};

/* ---- places ---- */

static void close_place(void *context, void *state)
{
	struct fold *const fold = context;
	struct place *const place = state;
	if (fold->folding && place->inner)
		fold->folding->sink.close(fold->folding->sink.context, place->inner);
	records_release(&place->records);
	free(place->customers);
	free(place);
}

static int open_place(void *context, void **state, struct error *err)
{
	struct fold *const fold = context;
	struct place *const place = calloc(1, sizeof(*place));
	if (!place)
		return error_no_memory(err, sizeof(*place));
	int rc = 0;
	if (fold->folding)
		rc = fold->folding->sink.open(fold->folding->sink.context, &place->inner, err);
	if (rc == 0 && fold->with_view)
		rc = records_init(&place->records, fold->audit->deployment.programme, err);
	if (rc < 0)
		close_place(context, place);
	else
		*state = place;
	return rc;
}

/* ---- work ---- */

/* Facts are in the order of time. */
static size_t count_until(const struct history_customer *customer, int64_t end_us)
{
	size_t low = 0;
	size_t high = customer->n_facts;
	while (low < high) {
		const size_t middle = low + (high - low) / 2;
		if (customer->facts[middle].time_us < end_us)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int fold_batch(const struct fold *fold, struct place *place, const struct history_batch *batch,
		      struct error *err)
{
	if (place->customers_cap < batch->n_customers) {
		free(place->customers);
		place->customers_cap = 0;
		place->customers = calloc(batch->n_customers, sizeof(*place->customers));
		if (!place->customers)
			return error_no_memory(err, batch->n_customers * sizeof(*place->customers));
		place->customers_cap = batch->n_customers;
	}
	struct history_batch until = {.customers = place->customers};
	for (size_t i = 0; i < batch->n_customers; i++) {
		struct history_customer *const customer = &place->customers[until.n_customers];
		*customer = batch->customers[i];
		customer->n_facts = count_until(customer, fold->end_us);
		until.n_facts += customer->n_facts;
		until.n_customers += customer->n_facts > 0;
	}
	return fold->folding->sink.work(fold->folding->sink.context, place->inner, &until, err);
}

static int work(void *context, void *state, const struct history_batch *batch, struct error *err)
{
	const struct fold *const fold = context;
	struct place *const place = state;
	int rc = fold->folding ? fold_batch(fold, place, batch, err) : 0;
	if (rc == 0 && fold->with_view)
		rc = records_make(&place->records, batch, err);
	place->events = batch->n_facts;
	return rc;
}

/* ---- the view ---- */

/* A record that is damaged ends the comparison: what is behind it cannot be trusted either. */
static int next_record(struct fold *fold, struct error *err)
{
	struct walking *const view = &fold->view;
	view->found = false;
	if (!view->walk)
		return 0;
	const int rc = view_walk_next(view->walk, &view->id, &view->record, &view->found, err);
	if (rc == 0)
		return 0;
	view_walk_close(view->walk);
	view->walk = NULL;
	view->found = false;
	fold->with_view = false;
	return audit_unreadable(fold->audit, AUDIT_VIEW, DAY_MIN, rc, err);
}

/* A number of a finding's cell: its texts are at most so long. */
struct cell_text {
	char is[64];
	char should[64];
};

struct cells {
	struct audit_cell items[CELLS_MAX];
	struct cell_text texts[CELLS_MAX];
	unsigned n;
};

static void put_number(enum engine_type type, const int64_t *value, char out[64])
{
	_cleanup_buf_ struct buf text = {0};
	out[0] = '\0';
	if (value && audit_value_text(type, &(struct audit_value){.number = *value}, &text) == 0 && text.len < 64) {
		memcpy(out, text.data, text.len);
		out[text.len] = '\0';
	}
}

static struct slice known(const int64_t *value, const char *text)
{
	return value ? slice_of(text) : (struct slice){NULL, 0};
}

static void add_cell(struct cells *cells, const char *column, enum engine_type type, const int64_t *is,
		     const int64_t *should)
{
	if (cells->n == CELLS_MAX || (is && should && *is == *should))
		return;
	struct cell_text *const text = &cells->texts[cells->n];
	put_number(type, is, text->is);
	put_number(type, should, text->should);
	cells->items[cells->n++] =
		(struct audit_cell){column, .is = known(is, text->is), .should = known(should, text->should)};
}

/* What a record comes to: events, and the balance of each ledger. */
struct outcome {
	bool known;
	int64_t events;
	int64_t points[PROGRAMME_LEDGERS_MAX];
};

static void fold_record(struct fold *fold, struct slice bytes, struct outcome *out)
{
	struct error ignored = {0};
	*out = (struct outcome){0};
	record_reset(fold->record);
	account_reset(fold->account);
	if (!bytes.data || record_decode(fold->record, bytes, &ignored) < 0 ||
	    record_fold(fold->record, fold->account, NULL) < 0)
		return;
	struct account_totals totals;
	account_totals(fold->account, &totals);
	out->known = true;
	out->events = totals.events;
	for (unsigned i = 0; i < fold->audit->deployment.programme->n_ledgers; i++) {
		struct account_balance balance;
		account_balance(fold->account, i, &balance);
		out->points[i] = balance.balance_milli + balance.pending_milli;
	}
}

static void add_hash(struct cells *cells, struct slice is, struct slice should)
{
	struct cell_text *const text = &cells->texts[cells->n];
	snprintf(text->is, sizeof(text->is), "%zu bytes with the hash %016" PRIx64, is.len,
		 (uint64_t)XXH3_64bits(is.data, is.len));
	snprintf(text->should, sizeof(text->should), "%zu bytes with the hash %016" PRIx64, should.len,
		 (uint64_t)XXH3_64bits(should.data, should.len));
	cells->items[cells->n++] = (struct audit_cell){
		.column = "record", .is = known(&(int64_t){0}, text->is), .should = known(&(int64_t){0}, text->should)};
}

/* A record that is missing on one side has no bytes there. */
static int tell_record(struct fold *fold, const struct customer_id *id, struct slice is, struct slice should,
		       struct error *err)
{
	const struct programme *const programme = fold->audit->deployment.programme;
	struct audit_finding finding = {
		.table = AUDIT_VIEW,
		.kind = !is.data       ? AUDIT_MISSING
			: !should.data ? AUDIT_FOREIGN
				       : AUDIT_CHANGED,
		.day = DAY_MIN,
	};
	_cleanup_buf_ struct buf customer = {0};
	struct cells cells = {.n = 0};
	if (audit_would_tell(fold->audit)) {
		struct outcome a;
		struct outcome b;
		fold_record(fold, is, &a);
		fold_record(fold, should, &b);
		add_cell(&cells, "events", ENGINE_BIGINT, a.known ? &a.events : NULL, b.known ? &b.events : NULL);
		for (unsigned i = 0; i < programme->n_ledgers; i++)
			add_cell(&cells, programme->ledgers[i].name, ENGINE_DECIMAL_18_3, a.known ? &a.points[i] : NULL,
				 b.known ? &b.points[i] : NULL);
		if (cells.n == 0)
			add_hash(&cells, is, should);
		if (audit_customer_text(fold->audit->deployment.config->customer_id, id, &customer) < 0)
			return error_no_memory(err, id->text.len);
		finding.customer = (struct slice){customer.data, customer.len};
		finding.cells = cells.items;
		finding.n_cells = cells.n;
	}
	audit_tell(fold->audit, &finding);
	return 0;
}

static bool is_left_out(const struct fold *fold, const struct customer_id *id)
{
	return id_list_find(&fold->audit->waiting, id) || id_list_find(&fold->audit->marked, id);
}

/* Either may be empty. */
static int compare_records(struct fold *fold, const struct customer_id *id, struct slice is, struct slice should,
			   struct error *err)
{
	if (is_left_out(fold, id))
		return 0;
	fold->audit->report.accounts += is.data != NULL;
	return is.data && should.data && slice_equal(is, should) ? 0 : tell_record(fold, id, is, should, err);
}

/* Records of the view of customers before this one are in no history. */
static int meet(struct fold *fold, const struct customer_id *id, struct slice should, struct error *err)
{
	struct walking *const view = &fold->view;
	int rc = 0;
	while (rc == 0 && view->found && customer_compare(&view->id, id) < 0) {
		rc = compare_records(fold, &view->id, view->record, (struct slice){NULL, 0}, err);
		if (rc == 0)
			rc = next_record(fold, err);
	}
	if (rc < 0 || !fold->with_view)
		return rc;
	const bool has = view->found && customer_compare(&view->id, id) == 0;
	rc = compare_records(fold, id, has ? view->record : (struct slice){NULL, 0}, should, err);
	return rc == 0 && has ? next_record(fold, err) : rc;
}

static int commit(void *context, void *state, struct error *err)
{
	struct fold *const fold = context;
	const struct place *const place = state;
	int rc = fold->folding ? fold->folding->sink.commit(fold->folding->sink.context, place->inner, err) : 0;
	for (size_t i = 0; rc == 0 && fold->with_view && i < place->records.n; i++) {
		struct customer_id id;
		const struct slice record = records_get(&place->records, i, &id);
		rc = meet(fold, &id, record, err);
	}
	fold->customers += place->records.n;
	fold->events += place->events;
	return rc;
}

/* ---- the run ---- */

static bool tell_progress(void *context, uint64_t rows, uint64_t total)
{
	const struct fold *const fold = context;
	return audit_progress(fold->audit, rows ? "folding the history" : "sorting the history", rows, total, NULL) ==
	       0;
}

static int begin_view(struct fold *fold, struct error *err)
{
	fold->record = record_new(fold->audit->deployment.programme);
	fold->account = account_new(fold->audit->deployment.programme);
	if (!fold->record || !fold->account)
		return error_no_memory(err, sizeof(void *));
	int rc = view_walk_open(fold->audit->view, &fold->view.walk, err);
	return rc < 0 ? rc : next_record(fold, err);
}

/* What is left of the view is in no history. */
static int end_view(struct fold *fold, struct error *err)
{
	int rc = 0;
	while (rc == 0 && fold->with_view && fold->view.found) {
		rc = compare_records(fold, &fold->view.id, fold->view.record, (struct slice){NULL, 0}, err);
		if (rc == 0)
			rc = next_record(fold, err);
	}
	return rc;
}

static int run(struct fold *fold, const struct history_options *options, struct error *err)
{
	const struct deployment *const deployment = &fold->audit->deployment;
	const struct history_sink sink = {
		.open = open_place, .work = work, .commit = commit, .close = close_place, .context = fold};
	int rc = fold->with_view ? begin_view(fold, err) : 0;
	/* Before the first block nothing was written. */
	if (rc == 0 && options->offset > 1)
		rc = history_run(deployment, deployment->programme, options, &sink, err);
	if (rc == 0)
		rc = end_view(fold, err);
	if (rc == 0 && fold->folding)
		rc = folding_finish(fold->folding, err);
	return rc;
}

int audit_fold(struct audit *audit, uint64_t offset, int32_t day, bool with_view, struct folding *folding,
	       struct error *err)
{
	struct fold fold = {.audit = audit, .folding = folding, .with_view = with_view};
	const struct history_options options = {
		.offset = offset,
		.from_day = DAY_MIN,
		/* The view has events of later days, too. */
		.until_day = with_view ? DAY_MAX : day,
		.tmp_dir = audit->deployment.tmp_dir,
		.progress = tell_progress,
		.progress_context = &fold,
	};
	int rc = 0;
	if (folding) {
		fold.end_us = programme_day_start(audit->deployment.programme, day + 1);
		rc = folding_init(folding, &audit->deployment, day, err);
	}
	if (rc == 0)
		rc = run(&fold, &options, err);
	view_walk_close(fold.view.walk);
	record_free(fold.record);
	account_free(fold.account);
	if (rc < 0)
		return rc;
	audit->report.customers = folding ? folding->counts.customers : fold.customers;
	audit->report.events = folding ? folding->counts.events : fold.events;
	return 0;
}
