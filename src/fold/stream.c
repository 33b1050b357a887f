#include "fold/stream.h"

#include "fold/folder.h"
#include "fold/input.h"
#include "fold/items.h"
#include "fold/output.h"

struct stream {
	const struct fold_stream_options *options;
	struct text_reader reader;
	struct text_writer writer;
	struct input input;
	struct row_batch rows; /* of one customer */
	struct fact_maker maker;
	struct folder folders[SIMULATE_SIDES];
	struct ledger_names *names;
	struct simulate_pairs pairs;
	struct buf note;
	struct buf state;
	int64_t counts[COUNT_COLUMNS];
	int64_t rejected_other[REJECT_MAX]; /* by the other programme */
};

static int put(struct stream *stream, enum output_kind kind, const struct customer_id *id,
	       const struct fold_value *values, struct error *err)
{
	static const enum count_column COUNTS[OUTPUT_COUNTS] = {
		[OUTPUT_LEDGER] = COUNT_LEDGER,     [OUTPUT_BALANCES] = COUNT_BALANCES,
		[OUTPUT_ACCOUNTS] = COUNT_ACCOUNTS, [OUTPUT_STATES] = COUNT_STATES,
		[OUTPUT_MARKED] = COUNT_MARKED,     [OUTPUT_SIMULATED] = COUNT_SIMULATED,
	};
	if (kind < OUTPUT_COUNTS)
		stream->counts[COUNTS[kind]]++;
	return output_row(&stream->writer, kind, stream->options->id_type, id, values, err);
}

static void count_rejected(const struct posting *posting, int64_t counts[REJECT_MAX])
{
	if (posting->kind == POSTING_REJECT && posting->reject > REJECT_NONE && posting->reject <= REJECT_MAX)
		counts[posting->reject - 1]++;
}

/* ---- tables ---- */

static int put_posting(struct stream *stream, const struct customer_id *id, const struct posting *posting,
		       struct error *err)
{
	struct ledger_row row;
	struct fold_value values[LEDGER_COLUMNS];
	if (ledger_row_of(stream->names, id, posting, &stream->note, &row) < 0)
		return error_no_memory(err, sizeof(row));
	count_rejected(posting, &stream->counts[COUNT_REJECTED]);
	if (__builtin_add_overflow(stream->counts[COUNT_POINTS], posting->points_milli, &stream->counts[COUNT_POINTS]))
		return error_set(err, ERROR_OVERFLOW, "the points of all postings do not fit into 64 bits");
	ledger_values(&row, folder_partition(&stream->folders[0], posting), values);
	return put(stream, OUTPUT_LEDGER, id, values, err);
}

static int put_account(struct stream *stream, const struct history_customer *customer, struct error *err)
{
	const struct programme *const programme = stream->options->programme;
	const struct account *const account = stream->folders[0].account;
	struct account_summary summary;
	struct balance_summary balances[PROGRAMME_LEDGERS_MAX];
	struct fold_value row[ACCOUNT_COLUMNS];
	if (account_summarize(programme, account, &summary, balances) < 0)
		return error_set(err, ERROR_OVERFLOW, "a number of an account does not fit its column");
	account_row_of(programme, stream->options->day, &summary, &balances[0], item_favourite(customer->items), row);
	int rc = put(stream, OUTPUT_ACCOUNTS, &customer->id, row, err);
	for (unsigned i = 0; rc == 0 && i < programme->n_ledgers; i++) {
		struct fold_value values[BALANCE_COLUMNS];
		balance_row_of(programme, i, &balances[i], values);
		rc = put(stream, OUTPUT_BALANCES, &customer->id, values, err);
	}
	return rc;
}

static int put_state(struct stream *stream, const struct history_customer *customer, struct error *err)
{
	buf_clear(&stream->state);
	if (account_encode(stream->folders[0].account, &stream->state) < 0)
		return error_no_memory(err, stream->state.cap * 2);
	const struct fold_value values[] = {{.text = {stream->state.data, stream->state.len}},
					    {.text = customer->items}};
	return put(stream, OUTPUT_STATES, &customer->id, values, err);
}

static int fold_customer(struct stream *stream, const struct history_customer *customer, struct error *err)
{
	if (customer->state.len && folder_needs_history(customer))
		return put(stream, OUTPUT_MARKED, &customer->id, NULL, err);
	struct folder *const folder = &stream->folders[0];
	int rc = folder_run(folder, customer, err);
	for (size_t i = 0; rc == 0 && i < folder->postings.n; i++)
		rc = put_posting(stream, &customer->id, &folder->postings.items[i], err);
	if (rc == 0)
		rc = put_account(stream, customer, err);
	if (rc == 0)
		rc = put_state(stream, customer, err);
	stream->counts[COUNT_CUSTOMERS]++;
	stream->counts[COUNT_EVENTS] += (int64_t)customer->n_facts;
	return rc;
}

/* ---- two programmes ---- */

static struct slice tier_of(const struct folder *folder)
{
	const struct tier_rules *const tiers = &folder->programme->tiers;
	struct account_tier tier;
	account_tier(folder->account, &tier);
	return slice_of(tiers->n_levels ? tiers->levels[tier.level].name : NULL);
}

static int put_pair(struct stream *stream, const struct customer_id *id, unsigned pair, struct error *err)
{
	struct fold_value values[SIMULATED_COLUMNS];
	values[0] = (struct fold_value){.text = slice_of(stream->pairs.names[pair])};
	for (unsigned side = 0; side < SIMULATE_SIDES; side++) {
		const struct slice tier = tier_of(&stream->folders[side]);
		values[1 + side] = (struct fold_value){.is_null = !tier.len, .text = tier};
		const int ledger = stream->pairs.ledger_of[pair][side];
		struct simulate_points p = {0};
		if (ledger >= 0)
			simulate_points_of(stream->folders[side].account, (unsigned)ledger, &p);
		const int64_t points[SIMULATED_POINTS] = {
			p.outstanding_milli - p.debt_milli,
			p.issued_milli,
			p.reversed_milli,
			p.redeemed_milli,
			p.expired_milli,
			p.outstanding_milli,
			p.pending_milli,
			p.debt_milli,
		};
		for (unsigned i = 0; i < SIMULATED_POINTS; i++)
			values[3 + i * SIMULATE_SIDES + side] =
				(struct fold_value){.is_null = ledger < 0, .number = points[i]};
	}
	return put(stream, OUTPUT_SIMULATED, id, values, err);
}

static int compare_customer(struct stream *stream, const struct history_customer *customer, struct error *err)
{
	struct history_customer other = *customer;
	other.facts = customer->other_facts;
	int rc = folder_run(&stream->folders[SIMULATE_TODAY], customer, err);
	if (rc == 0)
		rc = folder_run(&stream->folders[SIMULATE_OTHER], &other, err);
	for (unsigned i = 0; rc == 0 && i < stream->pairs.n; i++)
		rc = put_pair(stream, &customer->id, i, err);
	for (unsigned side = 0; side < SIMULATE_SIDES; side++) {
		const struct postings *const postings = &stream->folders[side].postings;
		int64_t *const counts =
			side == SIMULATE_TODAY ? &stream->counts[COUNT_REJECTED] : stream->rejected_other;
		for (size_t i = 0; i < postings->n; i++)
			count_rejected(&postings->items[i], counts);
	}
	stream->counts[COUNT_CUSTOMERS]++;
	stream->counts[COUNT_EVENTS] += (int64_t)customer->n_facts;
	return rc;
}

/* ---- all of it ---- */

static int put_counts(struct stream *stream, enum output_kind kind, const int64_t *counts, unsigned n,
		      struct error *err)
{
	struct fold_value values[COUNT_COLUMNS];
	for (unsigned i = 0; i < n; i++)
		values[i] = (struct fold_value){.number = counts[i]};
	return put(stream, kind, NULL, values, err);
}

static int run(struct stream *stream, struct error *err)
{
	const struct fold_stream_options *const options = stream->options;
	const struct fact_options facts = {
		.programme = options->programme,
		.other = options->other,
		.items = true,
		.id_type = options->id_type,
	};
	bool found = true;
	int rc = 0;
	while (rc == 0) {
		struct history_batch batch;
		rc = input_next(&stream->input, &stream->reader, &stream->rows, &found, err);
		if (rc < 0 || !found)
			break;
		rc = fact_maker_run(&stream->maker, &facts, &stream->rows, &batch, err);
		if (rc == 0 && options->other && batch.customers[0].state.len)
			rc = error_set(err, ERROR_INPUT,
				       "row %llu: a state: programmes are compared by whole histories",
				       (unsigned long long)stream->input.rows);
		if (rc == 0)
			rc = options->other ? compare_customer(stream, &batch.customers[0], err)
					    : fold_customer(stream, &batch.customers[0], err);
	}
	if (rc < 0)
		return rc;
	stream->counts[COUNT_ROWS_READ] = (int64_t)stream->reader.row;
	rc = put_counts(stream, OUTPUT_COUNTS, stream->counts, COUNT_COLUMNS, err);
	if (rc == 0 && options->other)
		rc = put_counts(stream, OUTPUT_COUNTS_OTHER, stream->rejected_other, REJECT_MAX, err);
	return rc < 0 ? rc : text_flush(&stream->writer, err);
}

static int open_stream(struct stream *stream, struct error *err)
{
	const struct fold_stream_options *const options = stream->options;
	int rc = folder_init(&stream->folders[SIMULATE_TODAY], options->programme, options->day, err);
	if (rc == 0 && options->other)
		rc = folder_init(&stream->folders[SIMULATE_OTHER], options->other, options->day, err);
	if (rc == 0 && options->other)
		simulate_pair_ledgers(options->programme, options->other, &stream->pairs);
	if (rc == 0 && !(stream->names = ledger_names_new(options->programme)))
		rc = error_no_memory(err, sizeof(void *));
	return rc;
}

int fold_stream(const struct fold_stream_options *options, int in, int out, struct error *err)
{
	struct stream stream = {.options = options, .reader = text_reader_of(in), .writer = text_writer_to(out)};
	input_init(&stream.input, options->id_type);
	int rc = open_stream(&stream, err);
	if (rc == 0)
		rc = run(&stream, err);
	text_drain(&stream.reader);
	for (unsigned side = 0; side < SIMULATE_SIDES; side++)
		folder_release(&stream.folders[side]);
	ledger_names_free(stream.names);
	fact_maker_release(&stream.maker);
	row_batch_release(&stream.rows);
	input_release(&stream.input);
	text_reader_release(&stream.reader);
	text_writer_release(&stream.writer);
	buf_release(&stream.note);
	buf_release(&stream.state);
	return rc;
}
