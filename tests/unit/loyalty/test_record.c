/* The record: what is open and settled by hand, and that the order of arrival does not matter (PUNCHCARD_SEED repeats a run). */
#include "random_history.h"

#include "base/bytes.h"
#include "base/limits.h"
#include "loyalty/record.h"

#include <time.h>

#define HISTORIES 1500

static void encode(const struct record *record, struct buf *out)
{
	buf_clear(out);
	assert_int_equal(record_encode(record, out), 0);
}

/* Through its bytes, as the view does it. */
static void store_and_read(struct record *record)
{
	_cleanup_buf_ struct buf bytes = {0};
	_cleanup_buf_ struct buf again = {0};
	struct error err = {0};
	encode(record, &bytes);
	if (record_decode(record, (struct slice){bytes.data, bytes.len}, &err) < 0)
		fail_msg("%s", err.message);
	encode(record, &again);
	assert_same_bytes(&bytes, &again);
}

/* --- by hand ------------------------------------------------------------------------------------------------------------- */

struct shelf {
	struct programme *p;
	struct record *record;
};

static struct shelf shelf_of(uint32_t open_max, int64_t lateness_us)
{
	struct shelf s = {.p = make_programme("UTC")};
	add_rule(s.p, "base", RULE_PER_AMOUNT, 1000, 100);
	s.p->open_max = open_max;
	s.p->lateness_us = lateness_us;
	make_ready(s.p);
	s.record = record_new(s.p);
	assert_non_null(s.record);
	return s;
}

static void shelf_release(struct shelf *s)
{
	record_free(s->record);
	programme_free(s->p);
}

static enum record_added add(struct shelf *s, const struct fact *fact)
{
	enum record_added added;
	assert_int_equal(record_add(s->record, fact, &added), 0);
	return added;
}

static enum record_added add_order(struct shelf *s, const char *id, int day)
{
	struct fact fact = make_fact(s->p, EVENT_ORDER, id, day * DAY_US);
	fact.total_minor = fact.eligible_minor = 100;
	return add(s, &fact);
}

static enum record_added add_refund(struct shelf *s, const char *id, int day, const char *order)
{
	struct fact fact = make_fact(s->p, EVENT_REFUND, id, day * DAY_US);
	fact.total_minor = fact.eligible_minor = 50;
	fact.order_hash = fact_id_hash(slice_of(order));
	return add(s, &fact);
}

/* Settles; the ids that are open then, as one text. */
static void expect_open(struct shelf *s, const char *ids)
{
	_cleanup_buf_ struct buf found = {0};
	assert_int_equal(record_settle(s->record), 0);
	store_and_read(s->record);
	const struct fact *facts;
	const size_t n = record_open(s->record, &facts);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(buf_append(&found, facts[i].id.data, facts[i].id.len), 0);
	assert_string_equal(buf_text(&found), ids);
}

static void expect_balance(const struct shelf *s, int64_t events, int64_t balance_milli)
{
	struct account *const account = account_new(s->p);
	assert_int_equal(record_fold(s->record, account, NULL), 0);
	struct account_totals t;
	struct account_balance b;
	account_totals(account, &t);
	account_balance(account, 0, &b);
	assert_int_equal(t.events, events);
	assert_int_equal(b.balance_milli, balance_milli);
	account_free(account);
}

static void test_at_most_so_many_are_open(void **state)
{
	(void)state;
	struct shelf s = shelf_of(3, 1000 * DAY_US);
	expect_open(&s, "");
	assert_int_equal(add_order(&s, "c", 3), RECORD_ADDED);
	assert_int_equal(add_order(&s, "a", 1), RECORD_ADDED);
	expect_open(&s, "ac");
	assert_int_equal(add_order(&s, "d", 4), RECORD_ADDED);
	assert_int_equal(add_order(&s, "b", 2), RECORD_ADDED);
	assert_int_equal(add_order(&s, "b", 2), RECORD_HAD);
	expect_open(&s, "bcd");
	expect_balance(&s, 4, 4000);
	/* The last one that is settled is known; what comes before it is not. */
	assert_int_equal(add_order(&s, "a", 1), RECORD_HAD);
	assert_false(record_is_marked(s.record));
	assert_int_equal(add_order(&s, "A", 1), RECORD_MARKED);
	assert_true(record_is_marked(s.record));
	expect_open(&s, "bcd");
	assert_true(record_is_marked(s.record));
	expect_balance(&s, 4, 4000);
	shelf_release(&s);
}

static void test_lateness(void **state)
{
	(void)state;
	struct shelf s = shelf_of(64, 7 * DAY_US);
	add_order(&s, "a", 1);
	add_order(&s, "b", 2);
	add_order(&s, "c", 8);
	expect_open(&s, "abc"); /* a is exactly as old as it may be */
	struct fact late = make_fact(s.p, EVENT_ORDER, "d", 8 * DAY_US + 1);
	add(&s, &late);
	expect_open(&s, "bcd");
	/* Between the last settled event and the first open one there is still room. */
	assert_int_equal(add_order(&s, "b", 1), RECORD_ADDED);
	expect_open(&s, "bcd"); /* it settles at once */
	expect_balance(&s, 5, 4000);
	assert_int_equal(add_order(&s, "aa", 1), RECORD_MARKED);
	shelf_release(&s);
}

static void test_refunds_settle_with_their_orders(void **state)
{
	(void)state;
	struct shelf s = shelf_of(3, 1000 * DAY_US);
	add_order(&s, "a", 1);
	add_order(&s, "b", 2);
	add_refund(&s, "c", 3, "a");
	expect_open(&s, "abc");
	add_order(&s, "d", 4); /* a settles; so does its refund, with all before it */
	expect_open(&s, "d");
	expect_balance(&s, 4, 2500);
	add_refund(&s, "e", 5, "d");
	assert_int_equal(add_refund(&s, "f", 5, "a"), RECORD_MARKED);
	expect_open(&s, "de");
	shelf_release(&s);
}

/* The refund of a settled order settles another order, whose refund … */
static void test_refunds_settle_on_and_on(void **state)
{
	(void)state;
	struct shelf s = shelf_of(5, 1000 * DAY_US);
	add_order(&s, "a", 1);
	add_order(&s, "b", 2);
	add_refund(&s, "c", 3, "a");
	add_order(&s, "d", 4);
	add_refund(&s, "e", 5, "b");
	expect_open(&s, "abcde");
	add_order(&s, "f", 6);
	expect_open(&s, "f");
	expect_balance(&s, 6, 3000);
	shelf_release(&s);
}

static void test_refunds_without_an_order(void **state)
{
	(void)state;
	struct shelf s = shelf_of(2, 1000 * DAY_US);
	/* Nothing is settled: its order may still come. */
	assert_int_equal(add_refund(&s, "c", 3, "b"), RECORD_ADDED);
	assert_int_equal(add_order(&s, "b", 2), RECORD_ADDED);
	expect_open(&s, "bc");
	expect_balance(&s, 2, 500);
	add_order(&s, "d", 4);
	expect_open(&s, "d");
	/* An order behind the refund is not its order. */
	assert_int_equal(add_order(&s, "x", 9), RECORD_ADDED);
	assert_int_equal(add_refund(&s, "y", 8, "x"), RECORD_MARKED);
	assert_int_equal(add_refund(&s, "y", 9, "x"), RECORD_ADDED);
	shelf_release(&s);
}

static void test_nothing_stays_open(void **state)
{
	(void)state;
	struct shelf s = shelf_of(0, 1000 * DAY_US);
	add_order(&s, "a", 1);
	expect_open(&s, "");
	expect_balance(&s, 1, 1000);
	assert_int_equal(add_order(&s, "a", 1), RECORD_HAD);
	record_reset(s.record);
	expect_open(&s, "");
	expect_balance(&s, 0, 0);
	shelf_release(&s);
}

/* --- any order of arrival ------------------------------------------------------------------------------------------------ */

/* In any order, some twice, settled, stored and read at any time; false: it was marked. */
static bool arrive(struct random *r, const struct history *h, struct record *record)
{
	size_t order[2 * HISTORY_MAX];
	size_t n = 0;
	for (size_t i = 0; i < h->n; i++) {
		order[n++] = i;
		if (one_in(r, 5))
			order[n++] = i;
	}
	/* As they happened, nearly so, or thoroughly mixed. */
	const size_t reach = one_in(r, 3) ? n : (size_t)pick(r, 1, 4);
	for (size_t i = 0; i < n; i++) {
		const size_t other = i + (size_t)random_below(r, n - i < reach ? n - i : reach);
		const size_t swapped = order[i];
		order[i] = order[other];
		order[other] = swapped;
	}
	record_reset(record);
	for (size_t i = 0; i < n; i++) {
		enum record_added added;
		/* The caller's id does not outlive the call. */
		char id[8];
		struct fact fact = h->facts[order[i]];
		memcpy(id, fact.id.data, fact.id.len);
		fact.id.data = id;
		assert_int_equal(record_add(record, &fact, &added), 0);
		memset(id, 'x', sizeof(id));
		assert_int_equal(added == RECORD_MARKED && !record_is_marked(record), 0);
		if (one_in(r, 3))
			assert_int_equal(record_settle(record), 0);
		if (one_in(r, 4))
			store_and_read(record);
	}
	assert_int_equal(record_settle(record), 0);
	return !record_is_marked(record);
}

static void test_any_order_gives_the_same_bytes(void **state)
{
	(void)state;
	struct random r;
	random_init(&r, test_seed());
	int unmarked = 0;
	for (int i = 0; i < HISTORIES; i++) {
		struct history h;
		random_history(&r, &h);
		struct record *const record = record_new(h.p);
		struct record *const whole = record_new(h.p);
		_cleanup_buf_ struct buf a = {0};
		_cleanup_buf_ struct buf b = {0};
		assert_int_equal(record_of_history(whole, h.facts, h.n), 0);
		assert_false(record_is_marked(whole));
		encode(whole, &b);
		for (int times = 0; times < 3; times++)
			if (arrive(&r, &h, record)) {
				unmarked++;
				encode(record, &a);
				assert_same_bytes(&a, &b);
			}
		/* In order, one by one, only a refund of what is settled can mark it. */
		assert_int_equal(record_settle(whole), 0);
		encode(whole, &a);
		assert_same_bytes(&a, &b);
		store_and_read(whole);
		record_free(record);
		record_free(whole);
		history_release(&h);
	}
	print_message("%d of %d orders of arrival marked nothing\n", unmarked, 3 * HISTORIES);
	assert_true(unmarked > HISTORIES / 2);
}

static void test_a_record_folds_to_the_account(void **state)
{
	(void)state;
	struct random r;
	random_init(&r, test_seed() + 1);
	for (int i = 0; i < HISTORIES; i++) {
		struct history h;
		random_history(&r, &h);
		struct record *const record = record_new(h.p);
		struct account *const account = account_new(h.p);
		struct account *const folded = account_new(h.p);
		struct postings all = {0};
		struct postings open = {0};
		for (size_t at = 0; at < h.n; at++)
			assert_int_equal(account_apply(account, &h.facts[at], &all), 0);
		assert_int_equal(record_of_history(record, h.facts, h.n), 0);
		if (one_in(&r, 2))
			store_and_read(record);
		assert_int_equal(record_fold(record, folded, &open), 0);
		assert_same_account(account, folded);
		assert_true(open.n <= all.n);
		assert_same_postings(all.items + (all.n - open.n), open.items, open.n);
		postings_release(&all);
		postings_release(&open);
		account_free(account);
		account_free(folded);
		record_free(record);
		history_release(&h);
	}
}

/* One record for many customers. */
static void test_memory_is_used_again(void **state)
{
	(void)state;
	struct shelf s = shelf_of(4, 1000 * DAY_US);
	_cleanup_buf_ struct buf first = {0};
	_cleanup_buf_ struct buf again = {0};
	for (int times = 0; times < 200; times++) {
		record_reset(s.record);
		for (int i = 0; i < times; i++)
			add_order(&s, "some-order-with-a-long-id", i);
		record_settle(s.record);
		record_reset(s.record);
		add_order(&s, "a", 1);
		encode(s.record, times ? &again : &first);
		if (times)
			assert_same_bytes(&first, &again);
	}
	shelf_release(&s);
}

/* More ids than there is room for at first: they stay what they were when they are moved. */
static void test_long_ids(void **state)
{
	(void)state;
	enum { N = 100 };
	struct shelf s = shelf_of(N, 1000 * DAY_US);
	char ids[N][LIMIT_EVENT_ID_BYTES + 1];
	for (int i = 0; i < N; i++) {
		memset(ids[i], 'a' + i % 26, LIMIT_EVENT_ID_BYTES);
		snprintf(ids[i], sizeof(ids[i]), "%d", i);
		ids[i][strlen(ids[i])] = '-';
		ids[i][LIMIT_EVENT_ID_BYTES] = '\0';
		assert_int_equal(add_order(&s, ids[i], i), RECORD_ADDED);
	}
	const struct fact *facts;
	assert_int_equal(record_open(s.record, &facts), N);
	for (int i = 0; i < N; i++)
		assert_true(slice_is(facts[i].id, ids[i]));
	store_and_read(s.record);
	assert_int_equal(record_open(s.record, &facts), N);
	for (int i = 0; i < N; i++)
		assert_true(slice_is(facts[i].id, ids[i]));
	shelf_release(&s);
}

/* A till that sends a year's refunds again, of a customer with much that is open. */
static void test_many_refunds_of_settled_orders(void **state)
{
	(void)state;
	struct shelf s = shelf_of(1000, 1000 * DAY_US);
	char id[16];
	for (int i = 0; i < 1001; i++) {
		snprintf(id, sizeof(id), "o%d", i);
		assert_int_equal(add_order(&s, id, i / 10), RECORD_ADDED);
	}
	assert_int_equal(record_settle(s.record), 0);
	struct fact refund = make_fact(s.p, EVENT_REFUND, "r", 200 * DAY_US);
	refund.order_hash = fact_id_hash(SLICE("o0"));
	const clock_t start = clock();
	for (int i = 0; i < 100000; i++)
		assert_int_equal(add(&s, &refund), RECORD_MARKED);
	const double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
	if (seconds > 5) /* under sanitizers; else it is a tenth */
		fail_msg("%.1f seconds", seconds);
	/* What is open is found as before: also when it comes before others, and after some have settled. */
	assert_int_equal(add_refund(&s, "r1", 150, "o900"), RECORD_ADDED);
	assert_int_equal(add_order(&s, "p", 140), RECORD_ADDED);
	assert_int_equal(add_refund(&s, "r2", 141, "p"), RECORD_ADDED);
	assert_int_equal(add_refund(&s, "r3", 139, "p"), RECORD_MARKED);
	assert_int_equal(add_refund(&s, "r4", 141, "r1"), RECORD_MARKED);
	assert_int_equal(record_settle(s.record), 0);
	assert_int_equal(add_refund(&s, "r5", 142, "p"), RECORD_ADDED);
	assert_int_equal(add_refund(&s, "r6", 142, "o1"), RECORD_MARKED);
	assert_int_equal(add_refund(&s, "r7", 142, "o1000"), RECORD_ADDED);
	shelf_release(&s);
}

/* --- bytes --------------------------------------------------------------------------------------------------------------- */

/* Reads what may be damaged, and uses what it holds. */
static void decode_damaged(const struct programme *p, struct record *record, const char *data, size_t len)
{
	char *const copy = malloc(len ? len : 1);
	assert_non_null(copy);
	memcpy(copy, data, len);
	struct error err = {0};
	if (record_decode(record, (struct slice){copy, len}, &err) == 0) {
		_cleanup_buf_ struct buf again = {0};
		encode(record, &again);
		if (copy[0] != 1) { /* version 1 is not written any more */
			assert_int_equal(again.len, len);
			assert_memory_equal(again.data, copy, len);
		}
		struct account *const account = account_new(p);
		assert_non_null(account);
		assert_int_equal(record_fold(record, account, NULL), 0);
		account_free(account);
		assert_int_equal(record_settle(record), 0);
		store_and_read(record);
	} else {
		assert_int_equal(err.code, ERROR_CORRUPT);
		const struct fact *facts;
		assert_int_equal(record_open(record, &facts), 0);
		assert_false(record_is_marked(record));
	}
	free(copy);
}

static void test_damaged_records(void **state)
{
	(void)state;
	struct random r;
	random_init(&r, test_seed() + 2);
	for (int i = 0; i < 60; i++) {
		struct history h;
		random_history(&r, &h);
		struct record *const record = record_new(h.p);
		_cleanup_buf_ struct buf bytes = {0};
		assert_int_equal(record_of_history(record, h.facts, h.n), 0);
		encode(record, &bytes);
		for (size_t len = 0; len < bytes.len; len++) {
			assert_int_equal(record_decode(record, (struct slice){bytes.data, len}, NULL), ERROR_CORRUPT);
			decode_damaged(h.p, record, bytes.data, len);
		}
		for (size_t bit = 0; bit < bytes.len * 8; bit++) {
			bytes.data[bit / 8] = (char)(bytes.data[bit / 8] ^ (1 << bit % 8));
			decode_damaged(h.p, record, bytes.data, bytes.len);
			bytes.data[bit / 8] = (char)(bytes.data[bit / 8] ^ (1 << bit % 8));
		}
		assert_int_equal(buf_append(&bytes, "", 1), 0);
		assert_int_equal(record_decode(record, (struct slice){bytes.data, bytes.len}, NULL), ERROR_CORRUPT);
		record_free(record);
		history_release(&h);
	}
}

static void test_an_event_twice_is_damage(void **state)
{
	(void)state;
	struct shelf s = shelf_of(64, 7 * DAY_US);
	assert_int_equal(add_order(&s, "event-a", 10), RECORD_ADDED);
	assert_int_equal(add_order(&s, "event-b", 10), RECORD_ADDED);
	_cleanup_buf_ struct buf bytes = {0};
	encode(s.record, &bytes);
	assert_int_equal(record_decode(s.record, (struct slice){bytes.data, bytes.len}, NULL), 0);
	char *const second = memmem(bytes.data, bytes.len, "event-b", 7);
	assert_non_null(second);
	second[6] = 'a';
	assert_int_equal(record_decode(s.record, (struct slice){bytes.data, bytes.len}, NULL), ERROR_CORRUPT);
	shelf_release(&s);
}

/* Only a redemption is declined. In front of an id are its length and the byte that has the kind; its bit 5 says declined. */
static void test_a_declined_order_is_damage(void **state)
{
	(void)state;
	struct shelf s = shelf_of(64, 7 * DAY_US);
	assert_int_equal(add_order(&s, "event-a", 10), RECORD_ADDED);
	_cleanup_buf_ struct buf bytes = {0};
	encode(s.record, &bytes);
	char *const id = memmem(bytes.data, bytes.len, "event-a", 7);
	assert_non_null(id);
	assert_int_equal(id[-1], 7);
	id[-2] = (char)(id[-2] ^ (1 << 5));
	assert_int_equal(record_decode(s.record, (struct slice){bytes.data, bytes.len}, NULL), ERROR_CORRUPT);
	shelf_release(&s);
}

/* Where the calendar begins and ends, there are timezones in which it has not begun yet, or has ended. */
static void test_times_at_the_ends_of_the_calendar(void **state)
{
	(void)state;
	static const char *const ZONES[] = {"America/New_York", "Etc/GMT+12", "UTC", "Pacific/Kiritimati"};
	/* 0001-01-01 and 9999-12-31, as UTC days, and some around. */
	static const int64_t DAYS[] = {-719162, 2932896};
	for (size_t i = 0; i < 4 * 2 * 7; i++) {
		struct programme *const p = make_programme(ZONES[i / 14]);
		add_rule(p, "base", RULE_PER_AMOUNT, 1000, 100);
		add_level(p, "low", 0, 1, 1);
		add_level(p, "high", 1, 1, 1);
		p->tiers.window_months = 12;
		p->tiers.valid_months = 12;
		make_ready(p);
		struct record *const record = record_new(p);
		const int64_t time_us = (DAYS[i / 7 % 2] + (int64_t)(i % 7) - 3) * DAY_US;
		char bytes[128];
		char *at = bytes;
		*at++ = 2;
		*at++ = 0;
		at = put_u64(at, p->hash);
		at = put_varint(at, 1);
		at = put_signed(at, time_us);
		*at++ = EVENT_ORDER;
		at = put_slice(at, SLICE("a"));
		at = put_u64(at, 1);
		at = put_varint(at, 100);
		at = put_varint(at, 100);
		decode_damaged(p, record, bytes, (size_t)(at - bytes));
		record_free(record);
		programme_free(p);
	}
}

static void test_records_of_others(void **state)
{
	(void)state;
	struct shelf s = shelf_of(1, DAY_US);
	struct programme *const p = make_programme("UTC");
	add_rule(p, "base", RULE_PER_AMOUNT, 2000, 100);
	make_ready(p);
	struct record *const other = record_new(p);
	_cleanup_buf_ struct buf bytes = {0};
	for (int settled = 0; settled < 2; settled++) {
		add_order(&s, "a", 1 + settled);
		assert_int_equal(record_settle(s.record), 0);
		encode(s.record, &bytes);
		struct error err = {0};
		assert_int_equal(record_decode(other, (struct slice){bytes.data, bytes.len}, &err), ERROR_CORRUPT);
		assert_non_null(strstr(err.message, "another programme"));
	}
	struct error err = {0};
	bytes.data[0] = 3;
	assert_int_equal(record_decode(s.record, (struct slice){bytes.data, bytes.len}, &err), ERROR_CORRUPT);
	assert_non_null(strstr(err.message, "version 3"));
	record_free(other);
	programme_free(p);
	shelf_release(&s);
}

/* 2 orders on days 64 and 130, 3.50 and 1.400 points. */
static size_t version_1(char out[128])
{
	char *p = out;
	*p++ = 1;
	p = put_varint(p, 2);
	p = put_signed(p, 350);
	p = put_signed(p, 1400);
	p = put_signed(p, 1400);
	p = put_signed(p, 64 * DAY_US);
	p = put_varint(p, 66 * (uint64_t)DAY_US);
	p = put_signed(p, 1);
	p = put_varint(p, 2);
	p = put_u64(p, 1);
	p = put_u64(p, 4);
	return (size_t)(p - out);
}

static void test_version_1(void **state)
{
	(void)state;
	struct shelf s = shelf_of(64, 7 * DAY_US);
	char bytes[128];
	const size_t len = version_1(bytes);
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(record_decode(s.record, (struct slice){bytes, cut}, NULL), ERROR_CORRUPT);
	for (size_t bit = 0; bit < len * 8; bit++) {
		bytes[bit / 8] = (char)(bytes[bit / 8] ^ (1 << bit % 8));
		decode_damaged(s.p, s.record, bytes, len);
		bytes[bit / 8] = (char)(bytes[bit / 8] ^ (1 << bit % 8));
	}
	assert_int_equal(record_decode(s.record, (struct slice){bytes, len}, NULL), 0);
	assert_true(record_is_marked(s.record));
	store_and_read(s.record);
	assert_true(record_is_marked(s.record));
	expect_balance(&s, 2, 1400);
	struct account *const account = account_new(s.p);
	assert_int_equal(record_fold(s.record, account, NULL), 0);
	struct account_totals t;
	account_totals(account, &t);
	assert_int_equal(t.orders, 2);
	assert_int_equal(t.visits, 2);
	assert_int_equal(t.spend_minor, 350);
	assert_int_equal(t.first_us, 64 * DAY_US);
	assert_int_equal(t.last_us, 130 * DAY_US);
	assert_int_equal(t.day, 130);
	audit(s.p, account);
	account_free(account);
	/* It goes on from there, until the batch layer has made it again. */
	assert_int_equal(add_order(&s, "a", 130), RECORD_MARKED);
	assert_int_equal(add_order(&s, "b", 131), RECORD_ADDED);
	expect_balance(&s, 3, 2400);

	/* As many orders as an account may count, and one more. */
	for (int more = 0; more < 2; more++) {
		char many[128];
		char *at = put_varint(many + 1, (uint64_t)LIMIT_SUM + (uint64_t)more);
		many[0] = 1;
		memcpy(at, bytes + 2, len - 2);
		at += len - 2;
		assert_int_equal(record_decode(s.record, (struct slice){many, (size_t)(at - many)}, NULL),
				 more ? ERROR_CORRUPT : 0);
		assert_int_equal(add_order(&s, "a", 131), RECORD_ADDED);
		assert_int_equal(record_settle(s.record), 0);
		record_reset(s.record);
	}

	/* An empty one. */
	char *p = bytes;
	*p++ = 1;
	for (int i = 0; i < 8; i++)
		*p++ = 0;
	assert_int_equal(record_decode(s.record, (struct slice){bytes, 9}, NULL), 0);
	assert_true(record_is_marked(s.record));
	expect_balance(&s, 0, 0);
	/* Sums of no order are none. */
	bytes[2] = 2;
	assert_int_equal(record_decode(s.record, (struct slice){bytes, 9}, NULL), 0);
	struct account *const empty = account_new(s.p);
	assert_int_equal(record_fold(s.record, empty, NULL), 0);
	account_totals(empty, &t);
	assert_int_equal(t.spend_minor, 0);
	account_free(empty);
	shelf_release(&s);
}

/* Days of version 1 begin with the first that an event may have, or a day before. */
static void test_days_of_version_1(void **state)
{
	(void)state;
	struct shelf s = shelf_of(64, 7 * DAY_US);
	for (int first_word = -3; first_word <= -2; first_word++) {
		char bytes[128];
		char *p = bytes;
		*p++ = 1;
		p = put_varint(p, 1);
		for (int i = 0; i < 4; i++)
			p = put_signed(p, 0);
		p = put_varint(p, 0);
		p = put_signed(p, first_word);
		p = put_varint(p, 1);
		p = put_u64(p, 1);
		const int rc = record_decode(s.record, (struct slice){bytes, (size_t)(p - bytes)}, NULL);
		assert_int_equal(rc, first_word < -2 ? ERROR_CORRUPT : 0);
	}
	shelf_release(&s);
}

/* Of their words, the first and the last have days, those between may have none. */
static void test_words_of_days_of_version_1(void **state)
{
	(void)state;
	static const struct {
		uint64_t words[3];
		int expected;
	} CASES[] = {{{1, 0, 1}, 0}, {{1, 1, 0}, ERROR_CORRUPT}, {{0, 1, 1}, ERROR_CORRUPT}};
	struct shelf s = shelf_of(64, 7 * DAY_US);
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		char bytes[128];
		char *p = bytes;
		*p++ = 1;
		p = put_varint(p, 3);
		for (int zero = 0; zero < 4; zero++)
			p = put_signed(p, 0);
		p = put_varint(p, 0);
		p = put_signed(p, 0);
		p = put_varint(p, 3);
		for (int word = 0; word < 3; word++)
			p = put_u64(p, CASES[i].words[word]);
		assert_int_equal(record_decode(s.record, (struct slice){bytes, (size_t)(p - bytes)}, NULL),
				 CASES[i].expected);
	}
	shelf_release(&s);
}

/* Of rules by item, only those that the programme has. */
static void test_as_many_rules_as_there_may_be(void **state)
{
	(void)state;
	for (unsigned n_rules = PROGRAMME_RULES_MAX - 1; n_rules <= PROGRAMME_RULES_MAX; n_rules++) {
		struct programme *const p = make_programme("UTC");
		for (unsigned i = 0; i < n_rules; i++)
			add_rule(p, "item", RULE_PER_ITEM, 1000, 0);
		make_ready(p);
		struct record *const record = record_new(p);
		struct fact order = make_fact(p, EVENT_ORDER, "a", 0);
		order.item_rules = UINT64_C(1) << (PROGRAMME_RULES_MAX - 1);
		order.items[0] = 1000;
		enum record_added added;
		assert_int_equal(record_add(record, &order, &added), 0);
		_cleanup_buf_ struct buf bytes = {0};
		encode(record, &bytes);
		assert_int_equal(record_decode(record, (struct slice){bytes.data, bytes.len}, NULL),
				 n_rules < PROGRAMME_RULES_MAX ? ERROR_CORRUPT : 0);
		record_free(record);
		programme_free(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_at_most_so_many_are_open),
		cmocka_unit_test(test_lateness),
		cmocka_unit_test(test_refunds_settle_with_their_orders),
		cmocka_unit_test(test_refunds_settle_on_and_on),
		cmocka_unit_test(test_refunds_without_an_order),
		cmocka_unit_test(test_nothing_stays_open),
		cmocka_unit_test(test_any_order_gives_the_same_bytes),
		cmocka_unit_test(test_a_record_folds_to_the_account),
		cmocka_unit_test(test_memory_is_used_again),
		cmocka_unit_test(test_long_ids),
		cmocka_unit_test(test_many_refunds_of_settled_orders),
		cmocka_unit_test(test_damaged_records),
		cmocka_unit_test(test_an_event_twice_is_damage),
		cmocka_unit_test(test_a_declined_order_is_damage),
		cmocka_unit_test(test_times_at_the_ends_of_the_calendar),
		cmocka_unit_test(test_records_of_others),
		cmocka_unit_test(test_version_1),
		cmocka_unit_test(test_days_of_version_1),
		cmocka_unit_test(test_words_of_days_of_version_1),
		cmocka_unit_test(test_as_many_rules_as_there_may_be),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
