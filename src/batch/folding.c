#include "batch/folding.h"

#include "base/bytes.h"
#include "base/limits.h"
#include "batch/accounts.h"
#include "fold/folder.h"
#include "fold/items.h"

#include <stdlib.h>

/* Records of one day that stand one behind the other in a place's postings. */
struct run_of_day {
	int32_t day;
	size_t end;
};

/* One batch's results. */
struct place {
	struct folder folder;
	struct buf ledger;
	struct run_of_day *runs;
	size_t n_runs;
	size_t runs_cap;
	struct buf accounts;
	struct buf states;
	struct buf state; /* of one account, as is … */
	struct buf record;
	struct id_list marked;
	struct folding_counts counts;
};

static void close_place(void *context, void *state)
{
	(void)context;
	struct place *const place = state;
	folder_release(&place->folder);
	buf_release(&place->ledger);
	free(place->runs);
	buf_release(&place->accounts);
	buf_release(&place->states);
	buf_release(&place->state);
	buf_release(&place->record);
	id_list_release(&place->marked);
	free(place);
}

static int open_place(void *context, void **state, struct error *err)
{
	const struct folding *const folding = context;
	struct place *const place = calloc(1, sizeof(*place));
	if (!place)
		return error_no_memory(err, sizeof(*place));
	place->marked.id_type = folding->deployment->config->customer_id;
	const int rc = folder_init(&place->folder, folding->programme, folding->day, err);
	if (rc < 0) {
		close_place(context, place);
		return rc;
	}
	*state = place;
	return 0;
}

static void clear_place(struct place *place)
{
	buf_clear(&place->ledger);
	place->n_runs = 0;
	buf_clear(&place->accounts);
	buf_clear(&place->states);
	id_list_clear(&place->marked);
	place->counts = (struct folding_counts){0};
}

/* ---- postings ---- */

static int add_run(struct place *place, int32_t day)
{
	if (place->n_runs && place->runs[place->n_runs - 1].day == day) {
		place->runs[place->n_runs - 1].end = place->ledger.len;
		return 0;
	}
	if (place->n_runs == place->runs_cap) {
		const size_t cap = place->runs_cap ? place->runs_cap * 2 : 1024;
		struct run_of_day *const runs = realloc(place->runs, cap * sizeof(*runs));
		if (!runs)
			return ERROR_NO_MEMORY;
		place->runs = runs;
		place->runs_cap = cap;
	}
	place->runs[place->n_runs++] = (struct run_of_day){day, place->ledger.len};
	return 0;
}

static int keep_postings(const struct folding *folding, struct place *place, const struct customer_id *id)
{
	const enum customer_id_type id_type = folding->deployment->config->customer_id;
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < place->folder.postings.n; i++) {
		const struct posting *const posting = &place->folder.postings.items[i];
		rc = ledger_encode(id, id_type, posting, &place->ledger);
		if (rc == 0)
			rc = add_run(place, folder_partition(&place->folder, posting));
		if (posting->kind == POSTING_REJECT && posting->reject <= REJECT_MAX)
			place->counts.rejected[posting->reject]++;
	}
	place->counts.postings += place->folder.postings.n;
	return rc;
}

/* ---- accounts ---- */

/* The customer, the state with its length in front, and the items. */
static int keep_state(const struct folding *folding, struct place *place, const struct history_customer *customer)
{
	struct buf *const record = &place->record;
	buf_clear(&place->state);
	int rc = account_encode(place->folder.account, &place->state);
	if (rc == 0)
		rc = buf_reserve(record, 3 * (size_t)VARINT_MAX_BYTES + LIMIT_CUSTOMER_ID_BYTES + place->state.len +
						 customer->items.len);
	if (rc < 0)
		return rc;
	char *p = folding->deployment->config->customer_id == CUSTOMER_ID_INTEGER
			  ? put_signed(record->data, customer->id.number)
			  : put_slice(record->data, customer->id.text);
	p = put_slice(p, (struct slice){place->state.data, place->state.len});
	if (customer->items.len)
		p = mempcpy(p, customer->items.data, customer->items.len);
	return spool_record(&place->states, (struct slice){record->data, (size_t)(p - record->data)});
}

static int fold_customer(const struct folding *folding, struct place *place, const struct history_customer *customer,
			 struct error *err)
{
	int rc = folder_run(&place->folder, customer, err);
	if (rc < 0)
		return rc;
	rc = keep_postings(folding, place, &customer->id);
	if (rc == 0)
		rc = keep_state(folding, place, customer);
	if (rc < 0)
		return error_no_memory(err, place->ledger.len);
	rc = accounts_encode(folding->programme, &customer->id, place->folder.account, item_favourite(customer->items),
			     &place->accounts);
	if (rc == ERROR_OVERFLOW)
		return error_set(err, rc, "a number of an account does not fit its column");
	if (rc < 0)
		return error_no_memory(err, place->accounts.len);
	place->counts.customers++;
	place->counts.events += customer->n_facts;
	return 0;
}

static int work(void *context, void *state, const struct history_batch *batch, struct error *err)
{
	const struct folding *const folding = context;
	struct place *const place = state;
	clear_place(place);
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < batch->n_customers; i++) {
		const struct history_customer *const customer = &batch->customers[i];
		if ((folding->without && id_list_find(folding->without, &customer->id)) ||
		    (folding->from_states && customer->state.len && folder_needs_history(customer)))
			rc = id_list_add(&place->marked, &customer->id, err);
		else
			rc = fold_customer(folding, place, customer, err);
	}
	id_list_settle(&place->marked);
	return rc;
}

/* ---- in order ---- */

static int take_ids(struct id_list *to, const struct id_list *from, struct error *err)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < from->n; i++)
		rc = id_list_add(to, &from->ids[i], err);
	return rc;
}

static int commit(void *context, void *state, struct error *err)
{
	struct folding *const folding = context;
	const struct place *const place = state;
	int rc = 0;
	size_t at = 0;
	for (size_t i = 0; rc == 0 && i < place->n_runs; i++) {
		const struct run_of_day *const run = &place->runs[i];
		rc = ledger_spool_append(folding->ledger, run->day,
					 (struct slice){place->ledger.data + at, run->end - at}, err);
		at = run->end;
	}
	if (rc == 0)
		rc = spool_append_records(&folding->accounts, (struct slice){place->accounts.data, place->accounts.len},
					  err);
	if (rc == 0)
		rc = spool_append_records(&folding->states, (struct slice){place->states.data, place->states.len}, err);
	if (rc == 0)
		rc = take_ids(&folding->marked, &place->marked, err);
	folding->counts.customers += place->counts.customers;
	folding->counts.events += place->counts.events;
	folding->counts.postings += place->counts.postings;
	for (unsigned i = 0; i <= REJECT_MAX; i++)
		folding->counts.rejected[i] += place->counts.rejected[i];
	return rc;
}

int folding_init(struct folding *folding, const struct deployment *deployment, int32_t day, struct error *err)
{
	*folding = (struct folding){
		.sink = {.open = open_place, .work = work, .commit = commit, .close = close_place, .context = folding},
		.deployment = deployment,
		.programme = deployment->programme,
		.day = day,
		.accounts.fd = -1,
		.states.fd = -1,
		.marked.id_type = deployment->config->customer_id,
	};
	int rc = ledger_spool_open(deployment->tmp_dir, &folding->ledger, err);
	if (rc == 0)
		rc = spool_open(&folding->accounts, deployment->tmp_dir, err);
	if (rc == 0)
		rc = spool_open(&folding->states, deployment->tmp_dir, err);
	return rc;
}

int folding_finish(struct folding *folding, struct error *err)
{
	int rc = ledger_spool_finish(folding->ledger, err);
	if (rc == 0)
		rc = spool_flush(&folding->accounts, err);
	if (rc == 0)
		rc = spool_flush(&folding->states, err);
	id_list_settle(&folding->marked);
	return rc;
}

void folding_release(struct folding *folding)
{
	ledger_spool_close(folding->ledger);
	spool_close(&folding->accounts);
	spool_close(&folding->states);
	id_list_release(&folding->marked);
	*folding = (struct folding){0};
}
