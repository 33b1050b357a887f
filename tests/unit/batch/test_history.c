/* The history's fold: which customers and facts come out of the table's files, in which order, and what is refused. */
#include "batch/history.h"

#include "base/bytes.h"
#include "base/file.h"
#include "engine/engine.h"
#include "loyalty/account.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MANY_EVENTS 100000u
#define MANY_FILES  4u

static char base[64];
static char dir[96];
static struct deployment *shop;
static struct error err;

static int make_shop(void **state)
{
	(void)state;
	snprintf(base, sizeof(base), "/tmp/punchcard-test-history-XXXXXX");
	if (!mkdtemp(base))
		return -1;
	snprintf(dir, sizeof(dir), "%s/shop", base);
	return deployment_init(dir, NULL);
}

static int remove_shop(void **state)
{
	(void)state;
	deployment_close(shop);
	shop = NULL;
	return file_remove_tree(base, NULL);
}

static void write_text(const char *name, const char *text)
{
	_cleanup_free_ char *path = text_printf("%s/%s", dir, name);
	if (file_write_durable(path, text, strlen(text), &err) < 0)
		fail_msg("%s", err.message);
}

static void open_shop(const char *config, const char *programme)
{
	_cleanup_free_ char *text = text_printf(
		"version: 1\nsources:\n  - {name: till, dir: spool, format: classic}\n%s", config ? config : "");
	write_text("punchcard.yaml", text);
	if (programme)
		write_text("programme.yaml", programme);
	if (deployment_open(dir, DEPLOYMENT_WRITE, "test", &shop, &err) < 0)
		fail_msg("%s", err.message);
}

static const char PLAIN[] = "version: 1\nname: t\ncurrency: EUR\ntimezone: Europe/Berlin\n"
			    "earn:\n  - per_amount: {points: 1, per: 1}\n";
static const char ITEMS[] = "version: 1\nname: t\ncurrency: EUR\ntimezone: Europe/Berlin\n"
			    "categories:\n  - {name: gifts, items: [card]}\nexclude: [gifts]\n"
			    "earn:\n  - per_amount: {points: 1, per: 1}\n";

/* One row of transactions_cln; columns that a kind has not are NULL. */
#define ROW(id, line, kind, cust, menu, qty, amt, time, source, more)                                          \
	"('" id "', " #line ", '" kind "', " cust ", " menu ", NULL, " qty ", NULL, " amt ", TIMESTAMP '" time \
	"', NULL, '" source "', " more ")"
#define ORDER(id, line, cust, amt, time) \
	ROW(id, line, "order", cust, "'latte'", "1", amt, time, "till", "NULL, NULL, NULL, NULL, NULL, NULL")

/* Writes rows as the table writer's file of blocks first to last; `id_type` of cust_id. */
static void put_rows(const char *day, unsigned first, unsigned last, const char *id_type, const char *rows)
{
	_cleanup_free_ char *partition = text_printf("%s/transactions_cln/data_dt=%s", shop->warehouse_dir, day);
	_cleanup_free_ char *sql = text_printf("COPY (SELECT event_id, line_no::INTEGER AS line_no, kind, cust_id::%s "
					       "AS cust_id, odr_menu::VARCHAR AS "
					       "odr_menu, odr_sku::VARCHAR AS odr_sku, odr_qty::DECIMAL(18,3) AS "
					       "odr_qty, odr_prc::DECIMAL(18,2) AS odr_prc, "
					       "odr_amt::DECIMAL(18,2) AS odr_amt, odr_tms, store::VARCHAR AS store, "
					       "source, order_id::VARCHAR AS order_id, "
					       "points::DECIMAL(18,3) AS points, ledger::VARCHAR AS ledger, "
					       "reward::VARCHAR AS reward, reason::VARCHAR AS "
					       "reason, decision::VARCHAR AS decision FROM (VALUES %s) t(event_id, "
					       "line_no, kind, cust_id, odr_menu, odr_sku, "
					       "odr_qty, odr_prc, odr_amt, odr_tms, store, source, order_id, points, "
					       "ledger, reward, reason, decision)) TO "
					       "'%s/orders-%012u-%012u.parquet' (FORMAT parquet)",
					       id_type, rows, partition, first, last);
	struct engine *engine = NULL;
	assert_int_equal(file_make_dirs(partition, &err), 0);
	assert_int_equal(engine_open(&(struct engine_options){.memory_mib = 128, .threads = 1}, &engine, &err), 0);
	if (engine_run(engine, sql, &err) < 0)
		fail_msg("%s", err.message);
	engine_close(engine);
}

/* ---- a sink that writes down what it is given ---- */

struct notes {
	struct buf text; /* "7: e-1@12 T=100 E=100; …\n", in order of commit */
	int fail_work;   /* code to fail with */
	int fail_commit;
	bool stop; /* by the progress hook */
	unsigned opened;
	unsigned closed;
};

static int open_note(void *context, void **place, struct error *e)
{
	(void)e;
	((struct notes *)context)->opened++;
	*place = calloc(1, sizeof(struct buf));
	return 0;
}

static void close_note(void *context, void *place)
{
	((struct notes *)context)->closed++;
	buf_release(place);
	free(place);
}

/* " tea 2000 @60000000": thousandths and microseconds, the best first. */
static void note_items(struct buf *text, struct slice items)
{
	struct reader r = reader_of(items);
	while (r.at < r.end) {
		const struct slice name = read_slice(&r);
		const int64_t qty_milli = read_signed(&r);
		const int64_t last = read_signed(&r);
		const int64_t last_us = last & 1 ? (last - 1) / 2 : last / 2 * 1000000;
		assert_false(r.bad);
		buf_printf(text, " %.*s %lld @%lld", (int)name.len, name.data, (long long)qty_milli,
			   (long long)last_us);
	}
}

static int note(void *context, void *place, const struct history_batch *batch, struct error *e)
{
	const struct notes *const notes = context;
	struct buf *const text = place;
	buf_clear(text);
	if (notes->fail_work)
		return error_set(e, notes->fail_work, "the work failed");
	size_t n_facts = 0;
	for (size_t i = 0; i < batch->n_customers; i++) {
		const struct history_customer *const customer = &batch->customers[i];
		if (customer->id.text.len)
			buf_printf(text, "%.*s:", (int)customer->id.text.len, customer->id.text.data);
		else
			buf_printf(text, "%lld:", (long long)customer->id.number);
		if (customer->state.len)
			buf_printf(text, " state %.*s", (int)customer->state.len, customer->state.data);
		for (size_t j = 0; j < customer->n_facts; j++) {
			const struct fact *const fact = &customer->facts[j];
			buf_printf(text, " %.*s", (int)fact->id.len, fact->id.data);
			if (fact->kind == EVENT_ORDER || fact->kind == EVENT_REFUND)
				buf_printf(text, "(%lld/%lld)", (long long)fact->total_minor,
					   (long long)fact->eligible_minor);
			else
				buf_printf(text, "(%lld%s%s)", (long long)fact->points_milli,
					   fact->declined ? " declined" : "",
					   fact->reject ? reject_reason_name(fact->reject) : "");
			assert_true(fact->kind != EVENT_REFUND || fact->order_hash == fact_id_hash(SLICE("o")));
		}
		if (customer->items.len)
			note_items(text, customer->items);
		buf_append_text(text, "\n");
		n_facts += customer->n_facts;
	}
	assert_int_equal(n_facts, batch->n_facts);
	return 0;
}

static int take_note(void *context, void *place, struct error *e)
{
	struct notes *const notes = context;
	const struct buf *const text = place;
	if (notes->fail_commit)
		return error_set(e, notes->fail_commit, "the commit failed");
	return buf_append(&notes->text, text->data, text->len);
}

static bool go_on(void *context, uint64_t rows, uint64_t total)
{
	assert_true(rows <= total);
	return !((struct notes *)context)->stop;
}

static int run(struct notes *notes, const struct history_options *options)
{
	const struct history_sink sink = {
		.open = open_note, .work = note, .commit = take_note, .close = close_note, .context = notes};
	struct history_options all = *options;
	all.progress = go_on;
	all.progress_context = notes;
	if (!all.from_day)
		all.from_day = DAY_MIN;
	if (!all.until_day)
		all.until_day = DAY_MAX;
	const int rc = history_run(shop, shop->programme, &all, &sink, &err);
	assert_int_equal(notes->opened, notes->closed);
	return rc;
}

static void expect(const struct history_options *options, const char *expected)
{
	struct notes notes = {0};
	if (run(&notes, options) < 0)
		fail_msg("%s", err.message);
	assert_string_equal(buf_text(&notes.text), expected);
	buf_release(&notes.text);
}

static void expect_error(const char *rows, const char *message)
{
	put_rows("2024-01-01", 1, 1, "BIGINT", rows);
	struct notes notes = {0};
	assert_int_equal(run(&notes, &(struct history_options){.offset = 2}), ERROR_CORRUPT);
	if (!strstr(err.message, message))
		fail_msg("%s", err.message);
	buf_release(&notes.text);
}

/* ---- tests ---- */

static void test_order_of_customers_and_events(void **state)
{
	(void)state;
	open_shop(NULL, PLAIN);
	/* Lines apart and backwards, ties of time by kind before id, two customers in two files, a guest. */
	put_rows(
		"2024-01-02", 1, 1, "BIGINT",
		ORDER("b", 2, "5", "2.00", "2024-01-02 10:00:00") ", " ORDER("a", 1, "-3", "1.00", "2024-01-02 10:00:00") ", " ORDER(
			"b", 1, "5", "1.00",
			"2024-01-02 10:00:00") ", " ORDER("z", 1, "5", "3.00",
							  "2024-01-02 10:00:00") ", " ORDER("g", 1, "NULL", "9.00",
											    "2024-01-02 10:00:00"));
	put_rows("2024-01-01", 2, 2, "BIGINT",
		 ORDER("c", 1, "5", "4.00", "2024-01-01 10:00:00") ", " ROW(
			 "a", 1, "adjust", "5", "NULL", "NULL", "NULL", "2024-01-02 10:00:00", "till",
			 "NULL, -1.5, 'points', NULL, 'oops', NULL"));
	expect(&(struct history_options){.offset = 3},
	       "-3: a(100/100)\n5: c(400/400) b(300/300) z(300/300) a(-1500)\n");
	/* What is not committed is not there. */
	expect(&(struct history_options){.offset = 2}, "-3: a(100/100)\n5: b(300/300) z(300/300)\n");
	expect(&(struct history_options){.offset = 1}, "");
}

static void test_kinds(void **state)
{
	(void)state;
	open_shop(NULL, ITEMS);
	put_rows("2024-01-01", 1, 1, "BIGINT",
		 ROW("o", 1, "order", "7",
		     "'latte'", "1", "4.50", "2024-01-01 10:00:00", "till", "NULL, NULL, NULL, NULL, NULL, NULL") ","
														  " " ROW("o", 2, "order", "7", "'card'", "1", "10.00", "2024-01-01 10:00:00", "till", "NULL, NULL, NULL, NULL, NULL, NULL") ", " ROW("r",
																														      1, "refund", "7", "'latte'", "-1", "-4.50", "2024-01-02 10:00:00", "till", "'o', NULL, NULL, NULL, NULL, NULL") ", " ROW("r",
																																													       2,
																																													       "refund",
																																													       "7", "'card'", "-1", "-1.00", "2024-01-02 10:00:00", "till", "'o', NULL, NULL, NULL, NULL, NULL") ", " ROW("s",
																																																											  1,
																																																											  "refund",
																																																											  "7",
																																																											  "NULL",
																																																											  "NULL",
																																																											  "-2.00",
																																																											  "2024-01-03 10:00:00",
																																																											  "till", "'o', NULL, NULL, NULL, NULL, NULL") ", " ROW("t",
																																																																		1,
																																																																		"redeem",
																																																																		"7", "NULL", "NULL", "NULL", "2024-01-04 10:00:00", "till", "NULL, 3.25, 'points', 'a b  c', NULL, 'declined'") ", " ROW("u",
																																																																																	 1,
																																																																																	 "redeem",
																																																																																	 "7",
																																																																																	 "NULL", "NULL", "NULL", "2024-01-05 10:00:00", "till", "NULL, NULL, NULL, 'nothing', NULL, 'accepted'") ", " ROW("v",
																																																																																															  1,
																																																																																															  "adjust", "7", "NULL", "NULL",
																																																																																															  "NULL",
																																																																																															  "2024-01-06 10:00:00",
																																																																																															  "till",
																																																																																															  "NULL, 1, 'ha ha', NULL, 'x', NULL"));
	expect(&(struct history_options){.offset = 2},
	       "7: o(1450/450) r(550/450) s(200/200) t(3250 declined) u(0unknown_reward) v(1000unknown_ledger)\n");
}

static void test_files_of_before(void **state)
{
	(void)state;
	open_shop(NULL, PLAIN);
	_cleanup_free_ char *partition = text_printf("%s/transactions_cln/data_dt=2023-12-31", shop->warehouse_dir);
	_cleanup_free_ char *sql = text_printf(
		"COPY (SELECT 'old' AS event_id, 1::INTEGER AS line_no, 'order' AS kind, 5::BIGINT AS cust_id, "
		"'x'::VARCHAR AS odr_menu, NULL::VARCHAR AS odr_sku, 1::DECIMAL(18,3) AS odr_qty, 1::DECIMAL(18,2) AS "
		"odr_prc, "
		"1::DECIMAL(18,2) AS odr_amt, TIMESTAMP '2023-12-31 10:00:00' AS odr_tms, NULL::VARCHAR AS store, "
		"'till' AS "
		"source) TO '%s/orders-000000000001-000000000001.parquet' (FORMAT parquet)",
		partition);
	struct engine *engine = NULL;
	assert_int_equal(file_make_dirs(partition, &err), 0);
	assert_int_equal(engine_open(&(struct engine_options){.memory_mib = 128, .threads = 1}, &engine, &err), 0);
	assert_int_equal(engine_run(engine, sql, &err), 0);
	engine_close(engine);
	expect(&(struct history_options){.offset = 9}, "5: old(100/100)\n");
	put_rows("2024-01-01", 2, 2, "BIGINT",
		 ROW("n", 1, "adjust", "5", "NULL", "NULL", "NULL", "2024-01-01 10:00:00", "till",
		     "NULL, 2, NULL, NULL, NULL, NULL"));
	expect(&(struct history_options){.offset = 9}, "5: old(100/100) n(2000)\n");
}

/* Midnight in Berlin is 23:00 UTC in winter and 22:00 in summer. */
static void test_days(void **state)
{
	(void)state;
	open_shop(NULL, PLAIN);
	put_rows("2024-06-01", 1, 1, "BIGINT",
		 ORDER("a", 1, "1", "1", "2024-05-31 21:59:59.999999") ", " ORDER(
			 "b", 1, "1", "1",
			 "2024-05-31 22:00:00") ", " ORDER("c", 1, "1", "1",
							   "2024-06-01 21:59:59.999999") ", " ORDER("d", 1, "1", "1",
												    "2024-06-01 "
												    "22:00:00"));
	const int32_t day = civil_days(2024, 6, 1);
	expect(&(struct history_options){.offset = 2, .from_day = day, .until_day = day}, "1: b(100/100) c(100/100)\n");
	expect(&(struct history_options){.offset = 2, .until_day = day - 1}, "1: a(100/100)\n");
	expect(&(struct history_options){.offset = 2, .from_day = day + 1}, "1: d(100/100)\n");
	assert_int_equal(programme_day_start(shop->programme, day), INT64_C(1717192800000000));
	assert_true(programme_day_start(shop->programme, DAY_MIN) == INT64_MIN);
}

static void test_some_customers_and_states(void **state)
{
	(void)state;
	open_shop("customer_id: text\n", PLAIN);
	put_rows("2024-01-01", 1, 1, "VARCHAR",
		 ORDER("a", 1, "'Ä'", "1", "2024-01-01 10:00:00") ", " ORDER(
			 "b", 1, "'b'", "1",
			 "2024-01-01 10:00:00") ", " ORDER("c", 1, "'B'", "1",
							   "2024-01-01 10:00:00") ", " ORDER("d", 1, "'bb'", "1",
											     "2024-01-01 10:00:00"));
	expect(&(struct history_options){.offset = 2}, "B: c(100/100)\nb: b(100/100)\nbb: d(100/100)\nÄ: a(100/100)\n");
	const struct customer_id some[] = {{.text = SLICE("bb")}, {.text = SLICE("none")}, {.text = SLICE("B")}};
	expect(&(struct history_options){.offset = 2, .customers = some, .n_customers = 3},
	       "B: c(100/100)\nbb: d(100/100)\n");
	_cleanup_free_ char *path = text_printf("%s/states.parquet", shop->tmp_dir);
	_cleanup_free_ char *sql = text_printf("COPY (SELECT * FROM (VALUES ('A', 'one'::BLOB, ''::BLOB), "
					       "('b', 'two'::BLOB, ''::BLOB), ('Å', ''::BLOB, ''::BLOB)) "
					       "t(cust_id, state, items)) TO '%s' "
					       "(FORMAT parquet)",
					       path);
	struct engine *engine = NULL;
	assert_int_equal(engine_open(&(struct engine_options){.memory_mib = 128, .threads = 1}, &engine, &err), 0);
	assert_int_equal(engine_run(engine, sql, &err), 0);
	expect(&(struct history_options){.offset = 2, .states = path},
	       "A: state one\nB: c(100/100)\nb: state two b(100/100)\nbb: d(100/100)\nÄ: a(100/100)\nÅ:\n");
	/* Without any event. */
	expect(&(struct history_options){.offset = 1, .states = path}, "A: state one\nb: state two\nÅ:\n");
	_cleanup_free_ char *wrong =
		text_printf("COPY (SELECT * FROM (VALUES ('b', 'one'::BLOB, ''::BLOB), ('A', "
			    "'two'::BLOB, ''::BLOB)) t(cust_id, state, items)) TO '%s' (FORMAT parquet)",
			    path);
	assert_int_equal(engine_run(engine, wrong, &err), 0);
	engine_close(engine);
	struct notes notes = {0};
	assert_int_equal(run(&notes, &(struct history_options){.offset = 2, .states = path}), ERROR_CORRUPT);
	assert_non_null(strstr(err.message, "rebuild"));
	buf_release(&notes.text);
}

#define MENU(id, line, kind, cust, menu, qty, time) \
	ROW(id, line, kind, cust, "'" menu "'", qty, "1", time, "till", "NULL, NULL, NULL, NULL, NULL, NULL")

/* What was ordered is counted, the most first, then the last, then by name; on top of what the states have. */
static void test_items(void **state)
{
	(void)state;
	open_shop("", PLAIN);
	put_rows(
		"1970-01-02", 1, 1, "BIGINT",
		MENU("a", 1, "order", "1", "tea", "1", "1970-01-01 00:01:00") ", " MENU(
			"a", 2, "order", "1", "mocha", "2.5",
			"1970-01-01 00:01:00") ", " MENU("b", 1, "order", "1", "tea", "1",
							 "1970-01-01 00:02:00") ", " MENU("c", 1, "order", "2", "latte",
											  "1",
											  "1970-01-01 "
											  "00:01:00") ", " MENU("c", 2,
														"order",
														"2",
														"cake",
														"1",
														"1970-"
														"01-01 "
														"00:01:"
														"00"));
	expect(&(struct history_options){.offset = 2, .items = true},
	       "1: a(200/200) b(100/100) mocha 2500 @60000000 tea 2000 @120000000\n"
	       "2: c(200/200) cake 1000 @60000000 latte 1000 @60000000\n");
	/* tea: 0.500 at a later time; milk: 9.000, which customer 3 has only of the state. */
	_cleanup_free_ char *path = text_printf("%s/states.parquet", shop->tmp_dir);
	_cleanup_free_ char *sql = text_printf("COPY (SELECT * FROM (VALUES (1::BIGINT, ''::BLOB, "
					       "'\\x03tea\\xE8\\x07\\x8C\\x05'::BLOB), (3, ''::BLOB, "
					       "'\\x04milk\\xD0\\x8C\\x01\\x06'::BLOB)) t(cust_id, state, items)) "
					       "TO '%s' (FORMAT parquet)",
					       path);
	struct engine *engine = NULL;
	assert_int_equal(engine_open(&(struct engine_options){.memory_mib = 128, .threads = 1}, &engine, &err), 0);
	assert_int_equal(engine_run(engine, sql, &err), 0);
	expect(&(struct history_options){.offset = 2, .states = path, .items = true},
	       "1: a(200/200) b(100/100) tea 2500 @163000000 mocha 2500 @60000000\n"
	       "2: c(200/200) cake 1000 @60000000 latte 1000 @60000000\n"
	       "3: milk 9000 @1\n");
	_cleanup_free_ char *wrong = text_printf(
		"COPY (SELECT 1::BIGINT AS cust_id, ''::BLOB AS state, 'tea'::BLOB AS items) TO '%s' (FORMAT parquet)",
		path);
	assert_int_equal(engine_run(engine, wrong, &err), 0);
	engine_close(engine);
	struct notes notes = {0};
	assert_int_equal(run(&notes, &(struct history_options){.offset = 2, .states = path, .items = true}),
			 ERROR_CORRUPT);
	buf_release(&notes.text);
}

static void test_damage(void **state)
{
	(void)state;
	open_shop(NULL, PLAIN);
	expect_error(ORDER("a", 2, "1", "1", "2024-01-01 10:00:00"), "lacks its first line");
	expect_error(ORDER("a", 1, "1", "1", "2024-01-01 10:00:00") ", " ORDER("a", 3, "1", "1", "2024-01-01 10:00:00"),
		     "lacks a line");
	expect_error(ORDER("a", 1, "1", "1", "2024-01-01 10:00:00") ", " ORDER("a", 1, "1", "1", "2024-01-01 10:00:00"),
		     "has a line twice");
	expect_error(
		ORDER("a", 1, "1", "1", "2024-01-01 10:00:00") ", " ORDER("a", -1, "1", "1", "2024-01-01 10:00:00"),
		"line");
	expect_error(ORDER("", 1, "1", "1", "2024-01-01 10:00:00"), "without an id");
	expect_error(ORDER("0123456789012345678901234567890123456789012345678901234567890123456789", 1, "1", "1",
			   "2024-01-01 10:00:00"),
		     "too long");
	expect_error(ROW("a", 1, "theft", "1", "NULL", "1", "1", "2024-01-01 10:00:00", "till",
			 "NULL, NULL, NULL, NULL, NULL, NULL"),
		     "kind");
	expect_error(ROW("a", 1, "adjust", "1", "NULL", "1", "1", "2024-01-01 10:00:00", "till",
			 "NULL, 1, NULL, NULL, NULL, NULL") ", " ROW("a", 2, "adjust", "1", "NULL", "1", "1",
								     "2024-01-01 10:00:00", "till",
								     "NULL, 1, NULL, NULL, NULL, NULL"),
		     "there twice");
	/* The same id in the same source and instant, with another content. */
	expect_error(ROW("a", 1, "adjust", "1", "NULL", "1", "1", "2024-01-01 10:00:00", "till",
			 "NULL, 1, NULL, NULL, NULL, NULL") ", " ROW("a", 1, "adjust", "1", "NULL", "1", "1",
								     "2024-01-01 10:00:00", "till",
								     "NULL, 2, NULL, NULL, NULL, NULL"),
		     "there twice");
	_cleanup_free_ char *path = text_printf(
		"%s/transactions_cln/data_dt=2024-01-01/orders-000000000001-000000000001.parquet", shop->warehouse_dir);
	assert_int_equal(file_write_durable(path, "no Parquet", 10, &err), 0);
	struct notes notes = {0};
	assert_int_equal(run(&notes, &(struct history_options){.offset = 2}), ERROR_CORRUPT);
	buf_release(&notes.text);
}

/* 100000 events of as many files as there are readers at most, and one more; half of them are customer 500's. */
static void put_many(void)
{
	_cleanup_free_ char *partition = text_printf("%s/transactions_cln/data_dt=2024-01-01", shop->warehouse_dir);
	struct engine *engine = NULL;
	assert_int_equal(file_make_dirs(partition, &err), 0);
	assert_int_equal(engine_open(&(struct engine_options){.memory_mib = 128, .threads = 1}, &engine, &err), 0);
	for (unsigned i = 0; i < MANY_FILES; i++) {
		_cleanup_free_ char *sql = text_printf(
			"COPY (SELECT 'e' || i AS event_id, 1::INTEGER AS line_no, 'order' AS "
			"kind, CASE WHEN i %% 2 = 0 THEN 500 ELSE "
			"hash(i) %% 20000 END::BIGINT AS cust_id, NULL::VARCHAR AS odr_menu, "
			"NULL::VARCHAR AS odr_sku, 1::DECIMAL(18,3) "
			"AS odr_qty, 1::DECIMAL(18,2) AS odr_prc, 1::DECIMAL(18,2) AS odr_amt, "
			"make_timestamp(1704103200000000 + "
			"(hash(i + 1) %% 1000)::BIGINT) AS odr_tms, NULL::VARCHAR AS store, "
			"'till' AS source FROM range(%u, %u) t(i)) "
			"TO '%s/orders-%012u-%012u.parquet' (FORMAT parquet)",
			MANY_EVENTS / MANY_FILES * i, MANY_EVENTS / MANY_FILES * (i + 1), partition, i + 1, i + 1);
		assert_int_equal(engine_run(engine, sql, &err), 0);
	}
	engine_close(engine);
}

/* Batches end between customers, are committed in order, and a long history is one; whether one reads or some do. */
static void test_many(void **state)
{
	(void)state;
	open_shop("engine: {memory_mib: 256}\n", PLAIN);
	put_many();
	for (uint32_t threads = 1; threads <= 3; threads++) {
		struct notes notes = {0};
		const struct history_options options = {.offset = MANY_FILES + 1, .threads = threads};
		assert_int_equal(run(&notes, &options), 0);
		assert_int_equal(notes.opened, threads + 2);
		long last = -1;
		size_t n_facts = 0;
		for (char *line = strtok((char *)(uintptr_t)buf_text(&notes.text), "\n"); line;
		     line = strtok(NULL, "\n")) {
			char *end = NULL;
			const long id = strtol(line, &end, 10);
			assert_true(id > last);
			last = id;
			for (const char *at = end; (at = strchr(at, '(')); at++)
				n_facts++;
		}
		assert_int_equal(n_facts, MANY_EVENTS);
		buf_release(&notes.text);
	}
	/* Errors of a sink, and the hook's, end it at once. */
	struct notes failing = {.fail_work = ERROR_LIMIT};
	assert_int_equal(run(&failing, &(struct history_options){.offset = MANY_FILES + 1, .threads = 3}), ERROR_LIMIT);
	assert_string_equal(err.message, "the work failed");
	failing = (struct notes){.fail_commit = ERROR_NO_SPACE};
	assert_int_equal(run(&failing, &(struct history_options){.offset = MANY_FILES + 1, .threads = 3}),
			 ERROR_NO_SPACE);
	failing = (struct notes){.stop = true};
	assert_int_equal(run(&failing, &(struct history_options){.offset = MANY_FILES + 1, .threads = 3}),
			 ERROR_INTERRUPTED);
	buf_release(&failing.text);
	/* As do those of one of those that read. */
	put_rows("2024-01-01", MANY_FILES + 1, MANY_FILES + 1, "BIGINT", ORDER("", 1, "1", "1", "2024-01-01 10:00:00"));
	failing = (struct notes){0};
	assert_int_equal(run(&failing, &(struct history_options){.offset = MANY_FILES + 2, .threads = 3}),
			 ERROR_CORRUPT);
	assert_non_null(strstr(err.message, "without an id"));
	buf_release(&failing.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order_of_customers_and_events, make_shop, remove_shop),
		cmocka_unit_test_setup_teardown(test_kinds, make_shop, remove_shop),
		cmocka_unit_test_setup_teardown(test_files_of_before, make_shop, remove_shop),
		cmocka_unit_test_setup_teardown(test_days, make_shop, remove_shop),
		cmocka_unit_test_setup_teardown(test_some_customers_and_states, make_shop, remove_shop),
		cmocka_unit_test_setup_teardown(test_items, make_shop, remove_shop),
		cmocka_unit_test_setup_teardown(test_damage, make_shop, remove_shop),
		cmocka_unit_test_setup_teardown(test_many, make_shop, remove_shop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
