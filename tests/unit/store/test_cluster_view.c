/*
 * The cluster's view: its bytes, and that the fold of what it gives is the account, whatever was shipped when, how often, and by whom.
 * On LMDB, alone and behind faults; where PUNCHCARD_TEST_HBASE names the URL of a REST gateway, on HBase as well.
 */
#include "../loyalty/make_programme.h"
#include "faulty_cells.h"

#include "base/clock.h"
#include "base/file.h"
#include "store/cluster_account.h"

#include <stdio.h>
#include <unistd.h>

#define DAY_US INT64_C(86400000000)
#define DAY_0  20000

static struct error err;

/* --- bytes ------------------------------------------------------------------------------------------------------------------ */

static void test_keys(void **state)
{
	static const int64_t numbers[] = {INT64_MIN, -2, -1, 0, 1, 7, 5001, INT64_MAX};
	struct cluster_key key;
	struct customer_id id;
	char before[8] = {0};
	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		assert_int_equal(
			cluster_key_of(CUSTOMER_ID_INTEGER, &(struct customer_id){.number = numbers[i]}, &key, &err),
			0);
		assert_int_equal(key.len, 10);
		assert_true(i == 0 || memcmp(before, key.bytes + 2, 8) < 0);
		memcpy(before, key.bytes + 2, 8);
		assert_int_equal(cluster_key_read(CUSTOMER_ID_INTEGER, (struct slice){key.bytes, key.len}, &id, &err),
				 0);
		assert_true(id.number == numbers[i] && !id.guest && !id.text.len);
		key.bytes[0] ^= 1;
		assert_int_equal(cluster_key_read(CUSTOMER_ID_INTEGER, (struct slice){key.bytes, key.len}, &id, &err),
				 ERROR_CORRUPT);
	}
	/* What is stored in the field stays: bytes by hand. */
	assert_int_equal(cluster_key_of(CUSTOMER_ID_INTEGER, &(struct customer_id){.number = 42}, &key, &err), 0);
	assert_memory_equal(key.bytes + 2, "\x80\0\0\0\0\0\0\x2a", 8);
	assert_int_equal(cluster_key_of(CUSTOMER_ID_TEXT, &(struct customer_id){.text = SLICE("C-1")}, &key, &err), 0);
	assert_int_equal(key.len, 5);
	assert_memory_equal(key.bytes + 2, "C-1", 3);
	assert_int_equal(cluster_key_read(CUSTOMER_ID_TEXT, (struct slice){key.bytes, key.len}, &id, &err), 0);
	assert_true(slice_is(id.text, "C-1"));
	assert_int_equal(
		cluster_order_prefix(CUSTOMER_ID_TEXT, &(struct customer_id){.text = SLICE("C-1")}, &key, &err), 0);
	assert_int_equal(key.len, 6);
	assert_int_equal(key.bytes[5], 0);
	assert_int_equal(cluster_key_of(CUSTOMER_ID_TEXT, &(struct customer_id){.text = SLICE("a\0b")}, &key, &err),
			 ERROR_INPUT);
	assert_int_equal(cluster_key_of(CUSTOMER_ID_TEXT, &(struct customer_id){0}, &key, &err), ERROR_INPUT);
	assert_int_equal(cluster_key_of(CUSTOMER_ID_INTEGER, &(struct customer_id){.guest = true}, &key, &err),
			 ERROR_INPUT);
}

static void test_event_names(void **state)
{
	char a[CLUSTER_EVENT_NAME_BYTES];
	char b[CLUSTER_EVENT_NAME_BYTES];
	struct event event = {.id = SLICE("x:1"), .time_us = 1000};
	(void)state;
	cluster_event_name(SLICE("till"), &event, a);
	cluster_event_name(SLICE("till"), &event, b);
	assert_memory_equal(a, b, sizeof(a));
	cluster_event_name(SLICE("web"), &event, b);
	assert_true(memcmp(a, b, 8) == 0 && memcmp(a, b, sizeof(a)) != 0);
	event.id = SLICE("x:2");
	cluster_event_name(SLICE("till"), &event, b);
	assert_true(memcmp(a, b, 8) == 0 && memcmp(a, b, sizeof(a)) != 0);
	event.time_us = 1001;
	cluster_event_name(SLICE("till"), &event, b);
	assert_true(memcmp(a, b, sizeof(a)) < 0);
}

static void test_state_bytes(void **state)
{
	const struct cluster_edge edges[] = {{SLICE("east"), 7}, {SLICE("west"), 300}};
	const struct cluster_state written = {.day = 20001, .edges = edges, .n_edges = 2, .account = SLICE("state")};
	struct cluster_edge room[CLUSTER_EDGES_MAX];
	struct cluster_state found;
	_cleanup_buf_ struct buf bytes = {0};
	(void)state;
	assert_int_equal(cluster_state_write(&written, &bytes, &err), 0);
	assert_int_equal(bytes.len, 23);
	assert_memory_equal(bytes.data, "\1\xc2\xb8\2\2\4east\7\4west\xac\2state", 23);
	assert_int_equal(cluster_state_read((struct slice){bytes.data, bytes.len}, room, &found, &err), 0);
	assert_true(found.day == 20001 && found.n_edges == 2 && found.edges[1].offset == 300);
	assert_true(slice_is(found.edges[0].name, "east") && slice_is(found.account, "state"));
	for (size_t len = 0; len < bytes.len - 5; len++)
		assert_int_equal(cluster_state_read((struct slice){bytes.data, len}, room, &found, &err),
				 ERROR_CORRUPT);
	const struct cluster_edge wrong[] = {{SLICE("west"), 7}, {SLICE("east"), 300}};
	const struct cluster_state bad = {.edges = wrong, .n_edges = 2};
	assert_int_equal(cluster_state_write(&bad, &bytes, &err), ERROR_INPUT);

	struct cluster_event event = {.edge = SLICE("east"), .block = 6, .day = 20001};
	assert_true(cluster_state_includes(&written, &event) && !cluster_state_missed(&written, &event));
	event.block = 7;
	assert_true(!cluster_state_includes(&written, &event) && cluster_state_missed(&written, &event));
	event.day = 20002;
	assert_true(!cluster_state_includes(&written, &event) && !cluster_state_missed(&written, &event));
	event.block = 1;
	assert_true(!cluster_state_includes(&written, &event) && !cluster_state_missed(&written, &event));
	event = (struct cluster_event){.edge = SLICE("north"), .block = 1, .day = 20001};
	assert_true(!cluster_state_includes(&written, &event) && cluster_state_missed(&written, &event));
}

static void test_profile_bytes(void **state)
{
	const struct profile written = {.name = SLICE("Anna"),
					.email = SLICE("a@b"),
					.since = SLICE("2020-01-02"),
					.card = SLICE(""),
					.birth_date = SLICE("1990-01-01"),
					.gender = SLICE("FEMALE"),
					.birth_year = 1990};
	struct profile found = {0};
	_cleanup_buf_ struct buf bytes = {0};
	(void)state;
	assert_int_equal(cluster_profile_write(&written, &bytes), 0);
	assert_int_equal(cluster_profile_read((struct slice){bytes.data, bytes.len}, &found, &err), 0);
	assert_true(slice_is(found.name, "Anna") && slice_is(found.gender, "FEMALE") && found.birth_year == 1990);
	assert_true(found.card.len == 0 && slice_is(found.birth_date, "1990-01-01"));
	for (size_t len = 0; len < bytes.len; len++)
		assert_int_equal(cluster_profile_read((struct slice){bytes.data, len}, &found, &err), ERROR_CORRUPT);
}

static void test_splits(void **state)
{
	_cleanup_buf_ struct buf text = {0};
	char split[CLUSTER_PREFIX_BYTES];
	(void)state;
	cluster_view_split(1, 2, split);
	assert_memory_equal(split, "\x80\0", 2);
	cluster_view_split(4095, 4096, split);
	assert_memory_equal(split, "\xff\xf0", 2);
	assert_int_equal(cluster_view_shell("pc:", 4, &text), 0);
	assert_non_null(strstr(buf_text(&text), "create 'pc:accounts', {NAME => 'p', VERSIONS => 1,"));
	assert_non_null(
		strstr(text.data, "SPLITS => [\"\\x40\\x00\", \"\\x80\\x00\", \"\\xC0\\x00\"]\ncreate 'pc:orders'"));
}

/* What an operator is given makes the tables that are written. */
static void test_operators_file(void **state)
{
	_cleanup_buf_ struct buf text = {0};
	_cleanup_buf_ struct buf file = {0};
	(void)state;
	assert_int_equal(file_read_all(PUNCHCARD_SOURCE_DIR "/cluster/hbase/tables.rb", 100000, &file, &err), 0);
	assert_int_equal(cluster_view_shell("pc:", 16, &text), 0);
	const char *const begin = strstr(buf_text(&file), "create 'pc:accounts'");
	assert_non_null(begin);
	assert_string_equal(begin, buf_text(&text));
}

/* --- a shop of two edges ---------------------------------------------------------------------------------------------------- */

enum { CUSTOMERS = 9, EVENTS = 240, EDGES = 2, PER_BLOCK = 4 };

struct happened {
	char id[16];
	struct order_line line;
	struct block_record record;
	unsigned edge;
	uint64_t block;
	int64_t taken_us;
};

struct town {
	struct cells *cells;
	struct cluster_view *view;
	struct programme *programme;
	struct random random;
	struct happened events[EVENTS]; /* in the order of arrival */
	size_t n;
	uint64_t next_block[EDGES];
	size_t shipped;
	int64_t version;
};

static const char *const edge_names[EDGES] = {"east", "west"};

#define AGAIN(call)                                                     \
	do {                                                            \
		int tries = 0;                                          \
		int code;                                               \
		while ((code = (call)) == ERROR_AWAY && ++tries < 1000) \
			;                                               \
		if (code < 0)                                           \
			fail_msg("%s: %s", #call, err.message);         \
	} while (0)

static struct programme *coffee(void)
{
	struct programme *const p = make_programme("Asia/Bangkok");
	add_rule(p, "base", RULE_PER_AMOUNT, 1000, 100);
	p->ledgers[0].expiry = EXPIRY_DAYS;
	p->ledgers[0].expiry_n = 20;
	make_ready(p);
	return p;
}

/* Events of some 30 days, up to five days late; every edge has blocks of some events. */
static void make_events(struct town *town)
{
	uint64_t in_block[EDGES] = {0};
	town->next_block[0] = town->next_block[1] = 1;
	for (size_t i = 0; i < EVENTS; i++) {
		struct happened *const h = &town->events[i];
		struct event *const event = &h->record.event;
		h->edge = (unsigned)random_below(&town->random, EDGES);
		event_init(event, random_below(&town->random, 6) ? EVENT_ORDER : EVENT_ADJUST);
		h->record.kind = BLOCK_EVENT;
		h->record.line = i + 1;
		snprintf(h->id, sizeof(h->id), "e%zu", i);
		event->id = slice_of(h->id);
		event->customer.number = (int64_t)random_below(&town->random, CUSTOMERS);
		event->time_us = DAY_0 * DAY_US + (int64_t)(i * 30 / EVENTS) * DAY_US +
				 (int64_t)random_below(&town->random, 86400) * 1000000;
		if (random_below(&town->random, 5) == 0)
			event->time_us -= (int64_t)random_below(&town->random, 5) * DAY_US;
		if (event->kind == EVENT_ORDER) {
			h->line = (struct order_line){.menu = SLICE("latte"), .qty_milli = 1000};
			h->line.price_minor = h->line.amount_minor = 100 + (int64_t)random_below(&town->random, 9900);
			event->lines = &h->line;
			event->n_lines = 1;
		} else {
			event->points_milli = 500 + (int64_t)random_below(&town->random, 1000);
			event->reason = SLICE("gift");
		}
		h->block = town->next_block[h->edge];
		h->taken_us = (DAY_0 * INT64_C(86400) + (int64_t)h->block) * 1000000;
		if (++in_block[h->edge] % PER_BLOCK == 0)
			town->next_block[h->edge]++;
	}
	town->n = EVENTS;
}

static int compare_facts(const void *a, const void *b)
{
	return fact_compare(a, b);
}

/* By the kernel alone: all events for which `has` is true, of the first n. */
static void fold_plainly(struct town *town, int64_t customer, size_t n, const bool *has, struct account *account)
{
	struct fact facts[EVENTS];
	size_t n_facts = 0;
	for (size_t i = 0; i < n; i++) {
		const struct event *const event = &town->events[i].record.event;
		if (event->customer.number == customer && has[i])
			fact_of_event(&facts[n_facts++], town->programme, event, SLICE("till"));
	}
	if (n_facts)
		qsort(facts, n_facts, sizeof(*facts), compare_facts);
	account_reset(account);
	for (size_t i = 0; i < n_facts; i++)
		assert_int_equal(account_apply(account, &facts[i], NULL), 0);
}

static int ship_once(struct town *town, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		const struct happened *const h = &town->events[i];
		const struct cluster_taken taken = {.record = &h->record,
						    .source = SLICE("till"),
						    .edge = slice_of(edge_names[h->edge]),
						    .block = h->block,
						    .taken_us = h->taken_us};
		const int rc = cluster_view_put_event(town->view, &taken, &err);
		if (rc < 0)
			return rc;
	}
	return cluster_view_flush(town->view, &err);
}

/* Ships up to event `to`, a part of it twice. */
static void ship(struct town *town, size_t to)
{
	const size_t back = town->shipped < 20 ? town->shipped : (size_t)random_below(&town->random, 20);
	AGAIN(ship_once(town, town->shipped - back, to));
	town->shipped = to;
}

/* Which of the events a refresh of that day has, with these offsets. */
static void events_of_state(const struct town *town, int32_t day, const struct cluster_edge edges[EDGES], bool *has)
{
	for (size_t i = 0; i < town->n; i++) {
		const struct happened *const h = &town->events[i];
		has[i] = tz_local_day(town->programme->timezone, h->record.event.time_us) <= day &&
			 h->block < edges[h->edge].offset;
	}
}

static int put_states_once(struct town *town, int32_t day, const struct cluster_edge edges[EDGES],
			   struct account *account)
{
	bool has[EVENTS];
	events_of_state(town, day, edges, has);
	for (int64_t c = 0; c < CUSTOMERS; c++) {
		_cleanup_buf_ struct buf bytes = {0};
		fold_plainly(town, c, town->n, has, account);
		assert_int_equal(account_encode(account, &bytes), 0);
		const struct cluster_state state = {
			.day = day, .edges = edges, .n_edges = EDGES, .account = {bytes.data, bytes.len}};
		const int rc = cluster_view_put_state(town->view, &(struct customer_id){.number = c}, &state,
						      town->version, &err);
		if (rc < 0)
			return rc;
	}
	return cluster_view_flush(town->view, &err);
}

/* --- looking at it ---------------------------------------------------------------------------------------------------------- */

struct looking {
	struct town *town;
	const bool *has;
	struct cluster_facts facts;
	struct account *account;
	struct account *plain;
	size_t customers;
	size_t late;
	size_t included;
};

static int look(void *context, const struct cluster_customer *customer, struct error *error)
{
	struct looking *const looking = context;
	struct town *const town = looking->town;
	_cleanup_buf_ struct buf found = {0};
	_cleanup_buf_ struct buf plain = {0};
	struct cluster_fold fold;
	looking->customers++;
	looking->late += customer->n_late;
	looking->included += customer->n_included;
	const int rc =
		cluster_account_fold(&looking->facts, town->programme, customer, looking->account, NULL, &fold, error);
	assert_int_equal(rc, 0);
	assert_int_equal(fold.late, customer->n_late);
	assert_int_equal(fold.waits, 0);
	assert_int_equal(fold.applied + fold.late, customer->n_events);
	fold_plainly(town, customer->id.number, town->n, looking->has, looking->plain);
	assert_int_equal(account_encode(looking->account, &found), 0);
	assert_int_equal(account_encode(looking->plain, &plain), 0);
	assert_int_equal(found.len, plain.len);
	assert_memory_equal(found.data, plain.data, plain.len);
	return 0;
}

static int look_once(struct looking *looking)
{
	struct customer_id ids[CUSTOMERS + 1];
	for (size_t i = 0; i <= CUSTOMERS; i++)
		ids[i] = (struct customer_id){.number = (int64_t)(CUSTOMERS - i)};
	looking->customers = looking->late = looking->included = 0;
	return cluster_view_customers(looking->town->view, ids, CUSTOMERS + 1, look, looking, &err);
}

/* The accounts are those of the events that are shipped, without those that the state's day has closed. */
static struct looking expect_accounts(struct town *town, int32_t day, const struct cluster_edge edges[EDGES])
{
	bool has[EVENTS] = {0};
	bool in_state[EVENTS] = {0};
	size_t late = 0;
	if (edges)
		events_of_state(town, day, edges, in_state);
	for (size_t i = 0; i < town->n; i++) {
		const bool closed =
			edges && tz_local_day(town->programme->timezone, town->events[i].record.event.time_us) <= day;
		has[i] = in_state[i] || (i < town->shipped && !closed);
		late += i < town->shipped && closed && !in_state[i];
	}
	struct looking looking = {.town = town,
				  .has = has,
				  .account = account_new(town->programme),
				  .plain = account_new(town->programme)};
	AGAIN(look_once(&looking));
	assert_int_equal(looking.late, late);
	account_free(looking.account);
	account_free(looking.plain);
	cluster_facts_release(&looking.facts);
	return looking;
}

struct reading_history {
	int64_t last_us;
	size_t n;
};

static int read_history(void *context, const struct cluster_event *event, struct error *error)
{
	struct reading_history *const reading = context;
	(void)error;
	assert_true(event->event.time_us >= reading->last_us);
	assert_true(slice_is(event->source, "till"));
	reading->last_us = event->event.time_us;
	reading->n++;
	return 0;
}

static int history_once(struct town *town, int64_t customer, struct reading_history *reading)
{
	*reading = (struct reading_history){0};
	return cluster_view_history(town->view, &(struct customer_id){.number = customer}, 0, read_history, reading,
				    &err);
}

static void expect_history(struct town *town)
{
	for (int64_t c = 0; c < CUSTOMERS; c++) {
		struct reading_history reading;
		size_t n = 0;
		for (size_t i = 0; i < town->shipped; i++)
			n += town->events[i].record.event.customer.number == c;
		AGAIN(history_once(town, c, &reading));
		assert_int_equal(reading.n, n);
	}
}

static int sweep_once(struct town *town, int64_t profiles_from_ms)
{
	struct cluster_sweep sweep;
	return cluster_view_sweep(town->view, profiles_from_ms, &sweep, &err);
}

/* A refresh of a day, beside what is shipped meanwhile: states of some offsets, then more events, then the sweep. */
static void refresh(struct town *town, int32_t day, size_t then_to)
{
	struct cluster_edge edges[EDGES];
	struct account *const account = account_new(town->programme);
	for (unsigned e = 0; e < EDGES; e++) {
		uint64_t offset = 1;
		for (size_t i = 0; i < town->shipped; i++)
			if (town->events[i].edge == e && town->events[i].block > offset)
				offset = town->events[i].block;
		edges[e] = (struct cluster_edge){slice_of(edge_names[e]), offset};
	}
	town->version++;
	AGAIN(put_states_once(town, day, edges, account));
	account_free(account);
	expect_accounts(town, day, edges);
	ship(town, then_to);
	const struct looking before = expect_accounts(town, day, edges);
	assert_true(before.included > 0);
	AGAIN(sweep_once(town, 0));
	const struct looking behind = expect_accounts(town, day, edges);
	assert_int_equal(behind.included, 0);
	/* What was swept is shipped once more: it is in the states all the same. */
	AGAIN(ship_once(town, 0, town->shipped));
	expect_accounts(town, day, edges);
	expect_history(town);
}

static void test_town(void **state)
{
	struct town *const town = *state;
	make_events(town);
	ship(town, 70);
	const struct looking first = expect_accounts(town, 0, NULL);
	assert_true(first.customers == CUSTOMERS && first.late == 0 && first.included == 0);
	refresh(town, DAY_0 + 8, 130);
	refresh(town, DAY_0 + 14, EVENTS);
	refresh(town, DAY_0 + 20, EVENTS);
}

/* --- profiles, damage ------------------------------------------------------------------------------------------------------- */

static int put_profiles_once(struct town *town, int64_t first, int64_t n, int64_t version)
{
	for (int64_t c = first; c < first + n; c++) {
		char name[32];
		snprintf(name, sizeof(name), "Customer %lld", (long long)c);
		const struct profile profile = {.name = slice_of(name), .birth_year = 1990};
		const int rc = cluster_view_put_profile(town->view, &(struct customer_id){.number = c}, &profile,
							version, &err);
		if (rc < 0)
			return rc;
	}
	return cluster_view_flush(town->view, &err);
}

struct walked {
	size_t n;
	size_t profiles;
	struct customer_id last;
};

static int walk(void *context, const struct cluster_customer *customer, struct error *error)
{
	struct walked *const walked = context;
	(void)error;
	walked->n++;
	walked->profiles += customer->has_profile;
	walked->last = customer->id;
	if (customer->has_profile) {
		char name[32];
		snprintf(name, sizeof(name), "Customer %lld", (long long)customer->id.number);
		assert_true(slice_is(customer->profile.name, name));
	}
	return 0;
}

static int walk_once(struct town *town, const struct customer_id *after, uint64_t limit, struct walked *walked)
{
	*walked = (struct walked){0};
	return cluster_view_walk(town->view, after, limit, walk, walked, &err);
}

static void test_profiles(void **state)
{
	struct town *const town = *state;
	struct walked walked;
	AGAIN(put_profiles_once(town, 0, 50, 1000));
	AGAIN(put_profiles_once(town, 30, 50, 1001));
	AGAIN(walk_once(town, NULL, 0, &walked));
	assert_true(walked.n == 80 && walked.profiles == 80);
	AGAIN(sweep_once(town, 1001));
	AGAIN(walk_once(town, NULL, 0, &walked));
	assert_int_equal(walked.profiles, 50);
	/* In two halves. */
	AGAIN(walk_once(town, NULL, 20, &walked));
	assert_int_equal(walked.n, 20);
	const struct customer_id last = walked.last;
	AGAIN(walk_once(town, &last, 0, &walked));
	assert_true(walked.n >= 30 && walked.profiles >= 30);
}

static int put_mark_once(struct town *town, const char *edge, uint64_t next)
{
	const struct cluster_mark mark = {.journal = "sixteen bytes  ", .next = next};
	const int rc = cluster_view_put_mark(town->view, slice_of(edge), &mark, &err);
	return rc < 0 ? rc : cluster_view_flush(town->view, &err);
}

/* An edge's mark is in both tables, by its own key, and found by nobody who looks for customers; a later one replaces it, whatever the
 * clock says. */
static void test_marks(void **state)
{
	struct town *const town = *state;
	struct cluster_marks marks;
	struct walked walked;
	AGAIN(cluster_view_marks(town->view, SLICE("e1"), &marks, &err));
	assert_true(!marks.accounts.found && !marks.orders.found);
	AGAIN(put_profiles_once(town, 0, 5, 1000));
	AGAIN(put_mark_once(town, "e1", 300));
	AGAIN(put_mark_once(town, "e2", 7));
	AGAIN(put_mark_once(town, "e1", 5));
	AGAIN(cluster_view_marks(town->view, SLICE("e1"), &marks, &err));
	assert_true(marks.accounts.found && marks.orders.found);
	assert_true(marks.accounts.next == 5 && marks.orders.next == 5);
	assert_memory_equal(marks.orders.journal, "sixteen bytes  ", 16);
	AGAIN(cluster_view_marks(town->view, SLICE("e2"), &marks, &err));
	assert_int_equal(marks.accounts.next, 7);
	AGAIN(walk_once(town, NULL, 0, &walked));
	assert_int_equal(walked.n, 5);
	AGAIN(sweep_once(town, 1001));
	AGAIN(cluster_view_marks(town->view, SLICE("e1"), &marks, &err));
	assert_int_equal(marks.accounts.next, 5);
}

static int put_damage_once(struct town *town)
{
	struct cluster_key key;
	assert_int_equal(cluster_key_of(CUSTOMER_ID_INTEGER, &(struct customer_id){.number = 999}, &key, &err), 0);
	const struct cells_put put = {
		.key = {key.bytes, key.len}, .column = SLICE("s:state"), .version = 1, .value = SLICE("\2damage")};
	return cells_put(town->cells, CLUSTER_ACCOUNTS, &put, 1, &err);
}

static int get_damage_once(struct town *town)
{
	struct walked walked = {0};
	return cluster_view_customers(town->view, &(struct customer_id){.number = 999}, 1, walk, &walked, &err);
}

static void test_damage(void **state)
{
	struct town *const town = *state;
	int rc;
	AGAIN(put_damage_once(town));
	while ((rc = get_damage_once(town)) == ERROR_AWAY)
		;
	assert_int_equal(rc, ERROR_CORRUPT);
	assert_non_null(strstr(err.message, "accounts"));
	assert_non_null(strstr(err.message, "damaged"));
}

/* A refund of an order that only the state has cannot be told from it. */
static void test_refund_of_a_settled_order(void **state)
{
	struct programme *const p = coffee();
	struct account *const account = account_new(p);
	struct cluster_facts facts = {0};
	struct cluster_fold fold;
	_cleanup_buf_ struct buf bytes = {0};
	struct cluster_event events[3] = {0};
	(void)state;
	assert_int_equal(account_encode(account, &bytes), 0);
	for (unsigned i = 0; i < 3; i++) {
		event_init(&events[i].event, i == 0 ? EVENT_ORDER : EVENT_REFUND);
		events[i].event.id = i == 0 ? SLICE("o") : i == 1 ? SLICE("r1") : SLICE("r2");
		events[i].event.time_us = (DAY_0 + 5 + i) * DAY_US;
		events[i].event.order_id = i == 1 ? SLICE("o") : SLICE("settled");
		events[i].event.amount_minor = 100;
		events[i].day = DAY_0 + 5 + (int32_t)i;
		events[i].edge = events[i].source = SLICE("till");
	}
	const struct order_line line = {
		.menu = SLICE("latte"), .qty_milli = 1000, .price_minor = 500, .amount_minor = 500};
	events[0].event.lines = &line;
	events[0].event.n_lines = 1;
	struct cluster_customer customer = {.has_state = true,
					    .state = {.day = DAY_0, .account = {bytes.data, bytes.len}},
					    .events = events,
					    .n_events = 3};
	assert_int_equal(cluster_account_fold(&facts, p, &customer, account, NULL, &fold, &err), 0);
	assert_true(fold.applied == 2 && fold.waits == 1 && fold.late == 0);
	/* Without a state all is known: it is a refund of nothing. */
	customer.has_state = false;
	assert_int_equal(cluster_account_fold(&facts, p, &customer, account, NULL, &fold, &err), 0);
	assert_true(fold.applied == 3 && fold.waits == 0);
	cluster_facts_release(&facts);
	account_free(account);
	programme_free(p);
}

/* --- on what ---------------------------------------------------------------------------------------------------------------- */

static char dir[] = "/tmp/punchcard-test-view-XXXXXX";

static int open_town(void **state, struct cells *cells, uint64_t seed)
{
	struct town *const town = calloc(1, sizeof(*town));
	assert_non_null(town);
	random_init(&town->random, seed);
	town->cells = cells;
	town->version = 1000;
	town->programme = coffee();
	assert_int_equal(cluster_view_open(cells, CUSTOMER_ID_INTEGER, town->programme->timezone, &town->view, &err),
			 0);
	AGAIN(cluster_view_ensure(town->view, &err));
	*state = town;
	return 0;
}

static struct cells *open_lmdb(void)
{
	struct cells *cells = NULL;
	memcpy(strrchr(dir, '-') + 1, "XXXXXX", 6);
	assert_non_null(mkdtemp(dir));
	assert_int_equal(cells_open_lmdb(dir, &(struct cells_lmdb_options){.map_gib = 1}, &cells, &err), 0);
	return cells;
}

static int setup_lmdb(void **state)
{
	return open_town(state, open_lmdb(), 1);
}

static int setup_faulty(void **state)
{
	return open_town(state, faulty_cells(open_lmdb(), 3, 30), 2);
}

static int teardown(void **state)
{
	struct town *const town = *state;
	cluster_view_close(town->view);
	cells_close(town->cells);
	programme_free(town->programme);
	free(town);
	file_remove_tree(dir, &err);
	return 0;
}

/* Each run has tables of its own. */
static char prefix[64];

static int setup_hbase(void **state)
{
	struct cells_hbase_options options = CELLS_HBASE_OPTIONS_DEFAULT;
	struct cells *cells = NULL;
	static unsigned runs;
	options.http.url = getenv("PUNCHCARD_TEST_HBASE");
	snprintf(prefix, sizeof(prefix), "pctv%lld_%u_", (long long)clock_now_us(), ++runs);
	options.prefix = prefix;
	assert_int_equal(cells_open_hbase(&options, &cells, &err), 0);
	return open_town(state, cells, 3);
}

static int teardown_hbase(void **state)
{
	struct http_options options = HTTP_OPTIONS_DEFAULT;
	static const char *const tables[] = {CLUSTER_ACCOUNTS, CLUSTER_ORDERS};
	struct http *http = NULL;
	_cleanup_http_answer_ struct http_answer answer = {0};
	options.url = getenv("PUNCHCARD_TEST_HBASE");
	assert_int_equal(http_open(&options, &http, &err), 0);
	for (unsigned i = 0; i < 2; i++) {
		char path[128];
		snprintf(path, sizeof(path), "/%s%s/schema", prefix, tables[i]);
		http_ask(http, &(struct http_request){.method = HTTP_DELETE, .path = path}, &answer, NULL);
	}
	http_close(http);
	return teardown(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_event_names),
		cmocka_unit_test(test_state_bytes),
		cmocka_unit_test(test_profile_bytes),
		cmocka_unit_test(test_splits),
		cmocka_unit_test(test_operators_file),
		cmocka_unit_test(test_refund_of_a_settled_order),
		cmocka_unit_test_setup_teardown(test_town, setup_lmdb, teardown),
		cmocka_unit_test_setup_teardown(test_town, setup_faulty, teardown),
		cmocka_unit_test_setup_teardown(test_profiles, setup_lmdb, teardown),
		cmocka_unit_test_setup_teardown(test_marks, setup_lmdb, teardown),
		cmocka_unit_test_setup_teardown(test_profiles, setup_faulty, teardown),
		cmocka_unit_test_setup_teardown(test_marks, setup_faulty, teardown),
		cmocka_unit_test_setup_teardown(test_damage, setup_lmdb, teardown),
	};
	const struct CMUnitTest on_hbase[] = {
		cmocka_unit_test_setup_teardown(test_town, setup_hbase, teardown_hbase),
		cmocka_unit_test_setup_teardown(test_profiles, setup_hbase, teardown_hbase),
		cmocka_unit_test_setup_teardown(test_marks, setup_hbase, teardown_hbase),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	if (getenv("PUNCHCARD_TEST_HBASE"))
		failed += cmocka_run_group_tests(on_hbase, NULL, NULL);
	return failed;
}
