#include "fold/facts.h"

#include "base/limits.h"
#include "fold/items.h"

#include <stdlib.h>

/* Up to so many rows are put in order by insertion: they come nearly in order, and most customers have few. */
#define INSERTION_ROWS 48u

static struct slice row_id(const struct row_batch *batch, const struct row *row)
{
	return (struct slice){batch->texts.data + row->text_at, row->id_len};
}

static struct slice row_tag(const struct row_batch *batch, const struct row *row)
{
	return (struct slice){batch->texts.data + row->text_at + row->id_len, row->tag_len};
}

/* By time; rows of one instant by event and line. */
static int compare_rows(const void *a, const void *b, void *context)
{
	const struct row *const x = a;
	const struct row *const y = b;
	if (x->time_us != y->time_us)
		return x->time_us < y->time_us ? -1 : 1;
	const struct row_batch *const batch = context;
	int order = slice_compare(row_id(batch, x), row_id(batch, y));
	if (order == 0)
		order = slice_compare(row_tag(batch, x), row_tag(batch, y));
	if (order == 0)
		order = (row_line(x) > row_line(y)) - (row_line(x) < row_line(y));
	return order;
}

static void sort_rows(const struct row_batch *batch, struct row *rows, size_t n)
{
	if (n > INSERTION_ROWS) {
		qsort_r(rows, n, sizeof(*rows), compare_rows, (void *)(uintptr_t)batch);
		return;
	}
	for (size_t i = 1; i < n; i++) {
		if (compare_rows(&rows[i - 1], &rows[i], (void *)(uintptr_t)batch) <= 0)
			continue;
		const struct row row = rows[i];
		size_t at = i;
		for (; at > 0 && compare_rows(&row, &rows[at - 1], (void *)(uintptr_t)batch) < 0; at--)
			rows[at] = rows[at - 1];
		rows[at] = row;
	}
}

/* ---- one event ---- */

static int damaged(struct slice id, const char *what, struct error *err)
{
	return error_set(
		err, ERROR_CORRUPT,
		"transactions_cln: the event '%.*s' %s: its files were changed by somebody else, or one of them is "
		"missing; put them back from a backup",
		(int)(id.len > LIMIT_EVENT_ID_BYTES ? LIMIT_EVENT_ID_BYTES : id.len), id.data, what);
}

/* Takes a whole number and the blank behind it off the front. */
static bool take_number(struct slice *rest, int64_t *out)
{
	const bool negative = rest->len && rest->data[0] == '-';
	size_t at = negative;
	int64_t value = 0;
	for (; at < rest->len && rest->data[at] >= '0' && rest->data[at] <= '9'; at++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, rest->data[at] - '0', &value))
			return false;
	if (at == (size_t)negative || at == rest->len || rest->data[at] != ' ')
		return false;
	*out = negative ? -value : value;
	*rest = (struct slice){rest->data + at + 1, rest->len - at - 1};
	return true;
}

static bool take_bytes(struct slice *rest, int64_t n, struct slice *out)
{
	if (n < 0 || (uint64_t)n > rest->len)
		return false;
	*out = (struct slice){rest->data, (size_t)n};
	*rest = (struct slice){rest->data + n, rest->len - (size_t)n};
	return true;
}

/* The tag of what is no order: "<source> <points> <length of order_id> <of ledger> <of reward> <order_id><ledger><reward>",
 * points in thousandths. One text instead of five columns: the engine sorts fewer bytes. */
static bool read_tag(struct slice tag, struct event *event, struct slice *source)
{
	const char *const blank = tag.data ? memchr(tag.data, ' ', tag.len) : NULL;
	if (!blank)
		return false;
	const size_t source_len = (size_t)(blank - tag.data);
	struct slice rest = {blank + 1, tag.len - source_len - 1};
	int64_t lens[3];
	if (!take_number(&rest, &event->points_milli) || !take_number(&rest, &lens[0]) ||
	    !take_number(&rest, &lens[1]) || !take_number(&rest, &lens[2]))
		return false;
	*source = (struct slice){tag.data, source_len};
	return take_bytes(&rest, lens[0], &event->order_id) && take_bytes(&rest, lens[1], &event->ledger) &&
	       take_bytes(&rest, lens[2], &event->reward) && rest.len == 0;
}

static const enum event_kind EVENT_OF[ROW_KINDS] = {
	[ROW_ORDER] = EVENT_ORDER,   [ROW_REFUND] = EVENT_REFUND,        [ROW_REDEEM] = EVENT_REDEEM,
	[ROW_ADJUST] = EVENT_ADJUST, [ROW_REFUND_AMOUNT] = EVENT_REFUND,
};

static bool has_lines(unsigned kind)
{
	return kind == ROW_ORDER || kind == ROW_REFUND;
}

/* The event that begins with rows[0], of n rows. */
static int begin_event(const struct programme *programme, const struct row_batch *batch, const struct row *row,
		       size_t n, struct fact *fact, struct error *err)
{
	const struct slice id = row_id(batch, row);
	const unsigned kind = row->meta & ROW_KIND_MASK;
	if (id.len == 0 || id.len > LIMIT_EVENT_ID_BYTES)
		return damaged(id, "has an id that no event can have", err);
	if (kind >= ROW_KINDS)
		return damaged(id, "is of a kind that does not exist", err);
	if (n > 1 && !has_lines(kind))
		return damaged(id, "is there twice", err);
	struct event event = {
		.kind = EVENT_OF[kind],
		.id = id,
		.time_us = row->time_us,
		.n_lines = has_lines(kind) ? (uint32_t)n : 0,
		.declined = row->meta & ROW_DECLINED,
	};
	struct slice source = row_tag(batch, row);
	if (kind != ROW_ORDER && !read_tag(source, &event, &source))
		return damaged(id, "has values that cannot be", err);
	if (kind == ROW_REFUND_AMOUNT && __builtin_sub_overflow(0, row->amount_minor, &event.amount_minor))
		return damaged(id, "has values that cannot be", err);
	fact_begin(fact, programme, &event, source);
	return 0;
}

static int add_lines(const struct programme *programme, const struct row_batch *batch, const struct row *rows, size_t n,
		     struct fact *fact, struct error *err)
{
	const bool is_refund = fact->kind == EVENT_REFUND;
	for (size_t i = 0; i < n; i++) {
		const struct row *const row = &rows[i];
		const char *const menu = batch->texts.data + row->text_at + row->id_len + row->tag_len;
		struct order_line line = {
			.menu = {menu, row->menu_len},
			.sku = {menu + row->menu_len, row->sku_len},
			.qty_milli = row->qty_milli,
			.amount_minor = row->amount_minor,
		};
		if (row_line(row) != i + 1)
			return damaged(fact->id, row_line(row) <= i ? "has a line twice" : "lacks a line", err);
		/* What is brought back stands there with a minus. */
		if (is_refund && (__builtin_sub_overflow(0, line.amount_minor, &line.amount_minor) ||
				  __builtin_sub_overflow(0, line.qty_milli, &line.qty_milli)))
			return damaged(fact->id, "has values that cannot be", err);
		fact_add_line(fact, programme, &line);
	}
	return 0;
}

static bool is_same_event(const struct row_batch *batch, const struct row *a, const struct row *b)
{
	return a->time_us == b->time_us && ((a->meta ^ b->meta) & (ROW_KIND_MASK | ROW_DECLINED)) == 0 &&
	       slice_equal(row_id(batch, a), row_id(batch, b)) && slice_equal(row_tag(batch, a), row_tag(batch, b));
}

/* ---- one customer ---- */

static int compare_facts(const void *a, const void *b)
{
	return fact_compare(a, b);
}

/* Rows of one instant come in the order of their ids; facts have the kind before it. */
static int sort_facts(struct fact *facts, size_t n, struct error *err)
{
	bool sorted = true;
	for (size_t i = 1; sorted && i < n; i++)
		sorted = facts[i - 1].time_us < facts[i].time_us || fact_compare(&facts[i - 1], &facts[i]) < 0;
	if (sorted)
		return 0;
	qsort(facts, n, sizeof(*facts), compare_facts);
	for (size_t i = 1; i < n; i++)
		if (fact_compare(&facts[i - 1], &facts[i]) == 0)
			return damaged(facts[i].id, "is there twice", err);
	return 0;
}

/* Appends the customer's facts at `facts`; *n is how many. */
static int make_facts(const struct programme *programme, const struct row_batch *batch, struct row *rows, size_t n_rows,
		      struct fact *facts, size_t room, size_t *n, struct error *err)
{
	sort_rows(batch, rows, n_rows);
	size_t made = 0;
	for (size_t at = 0; at < n_rows;) {
		size_t end = at + 1;
		while (end < n_rows && is_same_event(batch, &rows[at], &rows[end]))
			end++;
		if (row_line(&rows[at]) != 1 || made == room)
			return damaged(row_id(batch, &rows[at]), "lacks its first line", err);
		struct fact *const fact = &facts[made++];
		int rc = begin_event(programme, batch, &rows[at], end - at, fact, err);
		if (rc == 0 && has_lines(rows[at].meta & ROW_KIND_MASK))
			rc = add_lines(programme, batch, &rows[at], end - at, fact, err);
		if (rc < 0)
			return rc;
		at = end;
	}
	const int rc = sort_facts(facts, made, err);
	if (rc == 0)
		*n = made;
	return rc;
}

static int reserve(struct fact_maker *maker, const struct row_batch *batch, const struct fact_options *options,
		   struct error *err)
{
	const bool has_other = options->other != NULL;
	if (maker->customers_cap < batch->n_customers) {
		free(maker->customers);
		maker->customers_cap = 0;
		maker->customers = calloc(batch->customers_cap, sizeof(*maker->customers));
		if (!maker->customers)
			return error_no_memory(err, batch->customers_cap * sizeof(*maker->customers));
		maker->customers_cap = batch->customers_cap;
	}
	if (maker->facts_cap < batch->n_first_rows) {
		free(maker->facts);
		free(maker->other_facts);
		maker->facts_cap = 0;
		maker->facts = calloc(batch->n_first_rows, sizeof(*maker->facts));
		maker->other_facts = has_other ? calloc(batch->n_first_rows, sizeof(*maker->facts)) : NULL;
		if (!maker->facts || (has_other && !maker->other_facts))
			return error_no_memory(err, batch->n_first_rows * sizeof(*maker->facts));
		maker->facts_cap = batch->n_first_rows;
	}
	if (options->items && !maker->items && !(maker->items = calloc(1, sizeof(*maker->items))))
		return error_no_memory(err, sizeof(*maker->items));
	return 0;
}

void fact_maker_release(struct fact_maker *maker)
{
	free(maker->customers);
	free(maker->facts);
	free(maker->other_facts);
	if (maker->items)
		item_counter_release(maker->items);
	free(maker->items);
	buf_release(&maker->item_lists);
	*maker = (struct fact_maker){0};
}

/* The lists of a batch stand in one buffer, which may move as it grows: pointers are right when all are there. */
static int count_items(struct fact_maker *maker, const struct row_batch *rows, struct error *err)
{
	struct buf *const lists = &maker->item_lists;
	buf_clear(lists);
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < rows->n_customers; i++) {
		const struct row_customer *const from = &rows->customers[i];
		const struct slice kept = {rows->texts.data + from->text_at + from->id_len + from->state_len,
					   from->items_len};
		const size_t before = lists->len;
		if (from->n_rows == 0)
			rc = kept.len ? buf_append(lists, kept.data, kept.len) : 0;
		else
			rc = item_counter_run(maker->items, kept, rows, rows->rows + from->first_row, from->n_rows,
					      lists);
		maker->customers[i].items.len = lists->len - before;
	}
	if (rc == ERROR_CORRUPT)
		return error_set(err, rc, "account_state has items that are damaged");
	if (rc < 0)
		return error_no_memory(err, lists->len);
	size_t at = 0;
	for (size_t i = 0; i < rows->n_customers; i++) {
		maker->customers[i].items.data = lists->data + at;
		at += maker->customers[i].items.len;
	}
	return 0;
}

int fact_maker_run(struct fact_maker *maker, const struct fact_options *options, const struct row_batch *rows,
		   struct history_batch *out, struct error *err)
{
	const struct programme *const programme = options->programme;
	const struct programme *const other = options->other;
	int rc = reserve(maker, rows, options, err);
	size_t n_facts = 0;
	for (size_t i = 0; rc == 0 && i < rows->n_customers; i++) {
		const struct row_customer *const from = &rows->customers[i];
		struct history_customer *const to = &maker->customers[i];
		*to = (struct history_customer){.facts = maker->facts + n_facts};
		const char *const text = rows->texts.data + from->text_at; /* there, with any customer */
		if (options->id_type == CUSTOMER_ID_INTEGER)
			to->id.number = from->number;
		else
			to->id.text = (struct slice){text, from->id_len};
		if (from->state_len)
			to->state = (struct slice){text + from->id_len, from->state_len};
		rc = make_facts(programme, rows, rows->rows + from->first_row, from->n_rows, maker->facts + n_facts,
				rows->n_first_rows - n_facts, &to->n_facts, err);
		if (rc == 0 && other) {
			to->other_facts = maker->other_facts + n_facts;
			rc = make_facts(other, rows, rows->rows + from->first_row, from->n_rows,
					maker->other_facts + n_facts, rows->n_first_rows - n_facts, &to->n_facts, err);
		}
		n_facts += to->n_facts;
	}
	if (rc == 0 && options->items)
		rc = count_items(maker, rows, err);
	if (rc < 0)
		return rc;
	*out = (struct history_batch){maker->customers, rows->n_customers, n_facts};
	return 0;
}
