/*
 * The kernel's side of the comparison with tests/oracle/oracle.py: reads cases from standard input, folds them, and prints what
 * came out as lines of text.
 *
 *     case TAB bytes of programme.yaml TAB bytes of the lines behind it, then both:
 *     event TAB kind TAB id TAB source TAB time_us TAB order TAB amount TAB points TAB ledger TAB reward TAB declined
 *     line TAB sku TAB menu TAB quantity TAB amount                    of the event before it
 *     advance TAB day                                                  ascending; the last one is where it ends
 *     arrive TAB n of an event, or -1 to settle                        for the record: in order of arrival
 *
 * Events come in any order. Answers end with a line "done". A case that is not well-formed is a mistake of the caller, and ends
 * the program.
 */
#include "base/buf.h"
#include "config/config.h"
#include "config/schema_internal.h"
#include "loyalty/account.h"
#include "loyalty/earn.h"
#include "loyalty/record.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define FIELDS_MAX 12

struct case_event {
	struct event event;
	struct slice source;
	struct fact fact;
};

struct test_case {
	char *text; /* everything below points into it */
	struct programme *programme;
	struct case_event *events;
	size_t n_events;
	struct order_line *lines; /* of all events */
	size_t n_lines;
	struct fact *facts; /* in order, each once */
	size_t n_facts;
	int32_t *advances;
	size_t n_advances;
	int64_t *arrivals;
	size_t n_arrivals;
};

static void need(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "kernel_cases: %s\n", what);
	exit(2);
}

static void *allocate(size_t n, size_t size)
{
	void *memory = calloc(n ? n : 1, size);
	need(memory, "out of memory");
	return memory;
}

static int64_t number_of(struct slice text)
{
	char digits[32] = {0};
	char *end = NULL;
	need(text.len > 0 && text.len < sizeof(digits), "a number is missing");
	memcpy(digits, text.data, text.len);
	const int64_t number = strtoll(digits, &end, 10);
	need(*end == '\0', "a number is none");
	return number;
}

/* --- reading a case ------------------------------------------------------------------------------------------------- */

/* Cuts a line at its tabs; fields that are missing are empty. */
static void split(const char *line, size_t len, struct slice fields[FIELDS_MAX])
{
	memset(fields, 0, FIELDS_MAX * sizeof(*fields));
	const char *const end = line + len;
	for (unsigned i = 0; i < FIELDS_MAX; i++) {
		const char *const tab = memchr(line, '\t', (size_t)(end - line));
		const char *const stop = tab ? tab : end;
		fields[i] = (struct slice){line, (size_t)(stop - line)};
		if (!tab)
			return;
		line = tab + 1;
	}
	need(false, "a line has too many fields");
}

static void read_event(struct test_case *c, const struct slice *f)
{
	struct case_event *const e = &c->events[c->n_events++];
	e->event = (struct event){
		.kind = (enum event_kind)number_of(f[1]),
		.id = f[2],
		.customer = {.number = 1},
		.time_us = number_of(f[4]),
		.order_id = f[5],
		.amount_minor = number_of(f[6]),
		.points_milli = number_of(f[7]),
		.ledger = f[8],
		.reward = f[9],
		.declined = slice_is(f[10], "1"),
	};
	e->source = f[3];
}

static void read_order_line(struct test_case *c, const struct slice *f)
{
	need(c->n_events > 0, "a line without an event");
	struct event *const event = &c->events[c->n_events - 1].event;
	struct order_line *const line = &c->lines[c->n_lines++];
	*line = (struct order_line){
		.sku = f[1],
		.menu = f[2],
		.qty_milli = number_of(f[3]),
		.amount_minor = number_of(f[4]),
		.price_minor = number_of(f[4]),
	};
	if (event->n_lines++ == 0)
		event->lines = line;
}

static void read_line(struct test_case *c, const char *line, size_t len)
{
	struct slice f[FIELDS_MAX];
	split(line, len, f);
	if (slice_is(f[0], "event"))
		read_event(c, f);
	else if (slice_is(f[0], "line"))
		read_order_line(c, f);
	else if (slice_is(f[0], "advance"))
		c->advances[c->n_advances++] = (int32_t)number_of(f[1]);
	else if (slice_is(f[0], "arrive"))
		c->arrivals[c->n_arrivals++] = number_of(f[1]);
	else
		need(false, "a line of no known kind");
}

static int compare_facts(const void *a, const void *b)
{
	return fact_compare(a, b);
}

static void make_facts(struct test_case *c)
{
	c->facts = allocate(c->n_events, sizeof(*c->facts));
	for (size_t i = 0; i < c->n_events; i++) {
		fact_of_event(&c->events[i].fact, c->programme, &c->events[i].event, c->events[i].source);
		c->facts[i] = c->events[i].fact;
	}
	qsort(c->facts, c->n_events, sizeof(*c->facts), compare_facts);
	for (size_t i = 0; i < c->n_events; i++) {
		if (i == 0 || fact_compare(&c->facts[i], &c->facts[c->n_facts - 1]) != 0)
			c->facts[c->n_facts++] = c->facts[i];
	}
}

/* False at the end of the input. When the programme is refused, the answer is that, and `programme` is NULL. */
static bool read_case(struct test_case *c)
{
	size_t programme_len = 0;
	size_t lines_len = 0;
	*c = (struct test_case){0};
	const int n = scanf("case\t%zu\t%zu", &programme_len, &lines_len);
	if (n == EOF)
		return false;
	need(n == 2 && getchar() == '\n', "no head of a case");
	c->text = allocate(programme_len + lines_len + 1, 1);
	need(fread(c->text, 1, programme_len + lines_len, stdin) == programme_len + lines_len, "a case is cut short");
	struct error err = {0};
	if (programme_parse("programme.yaml", c->text, programme_len, NULL, NULL, &c->programme, &err) < 0) {
		printf("refused\t%s\n", err.message);
		return true;
	}
	const char *line = c->text + programme_len;
	size_t n_lines = 0;
	for (const char *p = line; *p; p++)
		n_lines += *p == '\n';
	c->events = allocate(n_lines, sizeof(*c->events));
	c->lines = allocate(n_lines, sizeof(*c->lines));
	c->advances = allocate(n_lines, sizeof(*c->advances));
	c->arrivals = allocate(n_lines, sizeof(*c->arrivals));
	for (const char *end; (end = strchr(line, '\n')); line = end + 1)
		read_line(c, line, (size_t)(end - line));
	need(c->n_advances > 0, "a case has no end");
	make_facts(c);
	return true;
}

static void release_case(struct test_case *c)
{
	programme_free(c->programme);
	free(c->arrivals);
	free(c->advances);
	free(c->facts);
	free(c->lines);
	free(c->events);
	free(c->text);
}

/* --- what came out -------------------------------------------------------------------------------------------------- */

static __attribute__((format(printf, 2, 3))) void say(struct buf *out, const char *format, ...)
{
	char line[512];
	va_list arguments;
	va_start(arguments, format);
	const int len = vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	need(len >= 0 && (size_t)len < sizeof(line), "a line is too long");
	need(buf_append(out, line, (size_t)len) == 0, "out of memory");
}

static void say_entries(struct buf *out, const struct postings *postings)
{
	for (size_t i = 0; i < postings->n; i++) {
		const struct posting *const p = &postings->items[i];
		say(out,
		    "entry\t%" PRId64 "\t%" PRId64 "\t%" PRId32 "\t%s\t%u\t%" PRId64 "\t%" PRId32 "\t%" PRId64
		    "\t%u\t%u\t%s\t%" PRIu64 "\t%" PRIu64 "\t%.*s\n",
		    p->number, p->time_us, p->day, posting_kind_name(p->kind), p->ledger, p->points_milli, p->lot,
		    p->balance_milli, p->tier, p->tier_after, reject_reason_name(p->reject), p->rules, p->promotions,
		    (int)p->event_id.len, p->event_id.len ? p->event_id.data : "");
	}
}

static void say_ledger(struct buf *out, const struct account *account, unsigned ledger, int32_t day)
{
	struct account_balance b;
	account_balance(account, ledger, &b);
	say(out,
	    "balance\t%u\t%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t%" PRId64
	    "\t%" PRId32 "\t%" PRId64 "\n",
	    ledger, b.balance_milli, b.pending_milli, b.debt_milli, b.issued_milli, b.reversed_milli, b.redeemed_milli,
	    b.expired_milli, b.next_expiry_day, account_expiring(account, ledger, day + 30));
	for (unsigned i = 0; i < account_lots(account, ledger); i++) {
		struct account_lot lot;
		account_lot(account, ledger, i, &lot);
		say(out, "lot\t%u\t%" PRId32 "\t%" PRId32 "\t%" PRId64 "\n", ledger, lot.expires, lot.available,
		    lot.remaining_milli);
	}
	const int64_t most = b.balance_milli > 0 ? b.balance_milli : 0;
	say(out, "can_redeem\t%u\t%d\t%d\n", ledger, most > 0 && account_can_redeem(account, ledger, most),
	    account_can_redeem(account, ledger, most + 1));
}

static void say_state(struct buf *out, const struct test_case *c, const struct account *account)
{
	struct account_totals t;
	account_totals(account, &t);
	say(out,
	    "totals\t%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t%" PRId64
	    "\t%" PRId64 "\t%" PRId32 "\t%" PRId64 "\t%" PRId64 "\n",
	    t.events, t.rejected, t.orders, t.visits, t.spend_minor, t.first_us, t.last_us, t.postings, t.day,
	    t.window_visits, t.window_spend_minor);
	for (unsigned i = 0; i < c->programme->n_ledgers; i++)
		say_ledger(out, account, i, t.day);
	struct account_tier tier;
	account_tier(account, &tier);
	say(out, "tier\t%u\t%" PRId32 "\t%" PRId64 "\t%" PRId64 "\n", tier.level, tier.review_day, tier.metric,
	    tier.to_next);
}

/* --- the fold ------------------------------------------------------------------------------------------------------- */

/* Facts from `first` on, with the days of `advances` between them, and to the last of these. */
static void fold_facts(const struct test_case *c, struct account *account, size_t first, struct postings *postings)
{
	size_t a = 0;
	for (size_t i = first; i < c->n_facts; i++) {
		for (; a < c->n_advances && c->advances[a] <= c->facts[i].day; a++)
			need(account_advance(account, c->advances[a], postings) == 0, "account_advance failed");
		need(account_apply(account, &c->facts[i], postings) == 0, "account_apply failed");
	}
	for (; a < c->n_advances; a++)
		need(account_advance(account, c->advances[a], postings) == 0, "account_advance failed");
}

static struct account *new_account(const struct test_case *c)
{
	struct account *const account = account_new(c->programme);
	need(account, "out of memory");
	return account;
}

/* The first place in the second half behind which no refund needs an order before it: there a state can be stored. */
static size_t find_cut(const struct test_case *c)
{
	size_t cut = c->n_facts / 2;
	for (size_t i = cut; i < c->n_facts; i++) {
		for (size_t k = 0; k < cut && c->facts[i].kind == EVENT_REFUND; k++) {
			if (c->facts[k].kind == EVENT_ORDER && fact_id_hash(c->facts[k].id) == c->facts[i].order_hash)
				cut = i + 1;
		}
	}
	return cut;
}

/* A state that is stored and read in the middle must come to the same. */
static void check_stored_state(const struct test_case *c, const struct buf *expected, struct buf *out)
{
	struct account *const before = new_account(c);
	struct account *const behind = new_account(c);
	_cleanup_buf_ struct buf bytes = {0};
	_cleanup_buf_ struct buf state = {0};
	const size_t cut = find_cut(c);
	for (size_t i = 0; i < cut; i++)
		need(account_apply(before, &c->facts[i], NULL) == 0, "account_apply failed");
	need(account_encode(before, &bytes) == 0, "account_encode failed");
	struct error err = {0};
	if (account_decode((struct slice){bytes.data, bytes.len}, behind, &err) < 0) {
		say(out, "stored\tunreadable: %s\n", err.message);
	} else {
		fold_facts(c, behind, cut, NULL);
		say_state(&state, c, behind);
		say(out, "stored\t%s\n",
		    slice_equal((struct slice){state.data, state.len}, (struct slice){expected->data, expected->len})
			    ? "same"
			    : "differs");
	}
	account_free(before);
	account_free(behind);
}

/* What `explain` shows of an order must come to what it earned. */
static void check_details(const struct test_case *c, const struct postings *postings, struct buf *out)
{
	size_t fact = 0;
	bool same = true;
	for (size_t i = 0; i < postings->n;) {
		const struct posting *const p = &postings->items[i];
		if (p->kind != POSTING_EARN) {
			i++;
			continue;
		}
		int64_t points = 0;
		for (; i < postings->n && postings->items[i].kind == POSTING_EARN &&
		       postings->items[i].ledger == p->ledger && postings->items[i].event_id.data == p->event_id.data;
		     i++)
			points += postings->items[i].points_milli;
		while (c->facts[fact].id.data != p->event_id.data)
			need(++fact < c->n_facts, "an entry of no event");
		struct earning_detail d;
		need(earn_detail(c->programme, &c->facts[fact], p->tier, p->ledger, &d) == 0, "earn_detail failed");
		same = same && d.points_milli == points &&
		       d.rounded_milli + d.items_milli + d.visits_milli - d.capped_milli == points;
		/* An entry names what multiplied something; the detail, what is in force. */
		if (points > 0)
			same = same && d.rules == p->rules && (d.base_num == 0 || d.promotions == p->promotions);
	}
	say(out, "details\t%s\n", same ? "same" : "differ");
}

/* --- the record ----------------------------------------------------------------------------------------------------- */

static struct record *new_record(const struct test_case *c)
{
	struct record *const record = record_new(c->programme);
	need(record, "out of memory");
	return record;
}

/* By the order of arrival; of a record that was marked, by the whole history. Returns whether it was. */
static bool fill_record(const struct test_case *c, struct record *record)
{
	for (size_t i = 0; i < c->n_arrivals; i++) {
		enum record_added added = RECORD_ADDED;
		if (c->arrivals[i] < 0) {
			need(record_settle(record) == 0, "record_settle failed");
			continue;
		}
		need((size_t)c->arrivals[i] < c->n_events, "no such event");
		need(record_add(record, &c->events[c->arrivals[i]].fact, &added) == 0, "record_add failed");
	}
	need(record_settle(record) == 0, "record_settle failed");
	const bool marked = record_is_marked(record);
	if (marked) {
		record_reset(record);
		need(record_of_history(record, c->facts, c->n_facts) == 0, "record_of_history failed");
	}
	return marked;
}

static bool ends_with(const struct buf *whole, const struct buf *end)
{
	return end->len <= whole->len &&
	       (end->len == 0 || memcmp(whole->data + (whole->len - end->len), end->data, end->len) == 0);
}

/* What `record`, stored and read, folds to. */
static void fold_record(const struct test_case *c, struct slice bytes, struct buf *entries, struct buf *state,
			struct buf *out)
{
	struct record *const record = new_record(c);
	struct account *const account = new_account(c);
	struct postings postings = {0};
	_cleanup_buf_ struct buf again = {0};
	struct error err = {0};
	if (record_decode(record, bytes, &err) < 0) {
		say(out, "record\tunreadable: %s\n", err.message);
	} else {
		need(record_encode(record, &again) == 0, "record_encode failed");
		if (!slice_equal(bytes, (struct slice){again.data, again.len}))
			say(out, "record\tother bytes when stored again\n");
		need(record_fold(record, account, &postings) == 0, "record_fold failed");
		need(account_advance(account, c->advances[c->n_advances - 1], &postings) == 0,
		     "account_advance failed");
		say_entries(entries, &postings);
		say_state(state, c, account);
	}
	postings_release(&postings);
	account_free(account);
	record_free(record);
}

static void check_record(const struct test_case *c, const struct buf *all_entries, const struct buf *all_state,
			 struct buf *out)
{
	struct record *const arrived = new_record(c);
	struct record *const history = new_record(c);
	_cleanup_buf_ struct buf bytes = {0};
	_cleanup_buf_ struct buf history_bytes = {0};
	_cleanup_buf_ struct buf entries = {0};
	_cleanup_buf_ struct buf state = {0};
	const bool marked = fill_record(c, arrived);
	need(record_encode(arrived, &bytes) == 0, "record_encode failed");
	need(record_of_history(history, c->facts, c->n_facts) == 0, "record_of_history failed");
	need(record_encode(history, &history_bytes) == 0, "record_encode failed");
	const struct slice stored = {bytes.data, bytes.len};
	const bool same = slice_equal(stored, (struct slice){history_bytes.data, history_bytes.len});
	const struct fact *open = NULL;
	say(out, "open\t%zu\nmarked\t%d\n", record_open(arrived, &open), marked);
	fold_record(c, stored, &entries, &state, out);
	say(out, "record\tbytes %s\tentries %s\tstate %s\n", same ? "same" : "differ",
	    ends_with(all_entries, &entries) ? "same" : "differ",
	    slice_equal((struct slice){state.data, state.len}, (struct slice){all_state->data, all_state->len})
		    ? "same"
		    : "differs");
	record_free(arrived);
	record_free(history);
}

static void run_case(const struct test_case *c)
{
	struct account *const account = new_account(c);
	struct postings postings = {0};
	_cleanup_buf_ struct buf entries = {0};
	_cleanup_buf_ struct buf state = {0};
	_cleanup_buf_ struct buf checks = {0};
	fold_facts(c, account, 0, &postings);
	say_entries(&entries, &postings);
	say_state(&state, c, account);
	check_details(c, &postings, &checks);
	check_stored_state(c, &state, &checks);
	if (c->n_arrivals > 0)
		check_record(c, &entries, &state, &checks);
	fwrite(entries.data, 1, entries.len, stdout);
	fwrite(state.data, 1, state.len, stdout);
	fwrite(checks.data, 1, checks.len, stdout);
	postings_release(&postings);
	account_free(account);
}

int main(void)
{
	struct test_case c;
	while (read_case(&c)) {
		if (c.programme)
			run_case(&c);
		release_case(&c);
		puts("done");
		fflush(stdout);
	}
	return 0;
}
