/* Events of every kind as rows: what stands in each column, and what is NULL. */
#include "speed/rows.h"

#include "shop.h"
#include "store/block.h"

#define DAY_US (INT64_C(86400) * 1000000)

static struct journal *journal;
static struct engine *engine;

static void must(int rc, const struct error *err)
{
	if (rc < 0)
		fail_msg("%s", err->message);
}

/* Two blocks; the day of the programme's zone (Asia/Bangkok) changes at 17:00 UTC. */
static void fill_journal(void)
{
	const struct order_line lines[] = {
		{.menu = SLICE("latte"),
		 .sku = SLICE("A1"),
		 .qty_milli = 2000,
		 .price_minor = 450,
		 .amount_minor = 850},
		{.menu = SLICE("tea"), .qty_milli = 350, .price_minor = 100, .amount_minor = 35},
	};
	const struct event events[] = {
		{.kind = EVENT_ORDER,
		 .id = SLICE("r-1"),
		 .customer.number = 7,
		 .time_us = 10 * DAY_US,
		 .store = SLICE("s1"),
		 .lines = lines,
		 .n_lines = 2},
		{.kind = EVENT_REFUND,
		 .id = SLICE("f-1"),
		 .customer.number = 7,
		 .time_us = 10 * DAY_US + 1,
		 .lines = lines,
		 .n_lines = 2,
		 .order_id = SLICE("r-1"),
		 .amount_minor = 885},
		{.kind = EVENT_REFUND,
		 .id = SLICE("f-2"),
		 .customer.guest = true,
		 .time_us = 10 * DAY_US + 2,
		 .order_id = SLICE("r-9"),
		 .amount_minor = 450},
		{.kind = EVENT_REDEEM,
		 .id = SLICE("d-1"),
		 .customer.number = 7,
		 .time_us = 10 * DAY_US + 3,
		 .points_milli = 100500,
		 .ledger = SLICE("points")},
		{.kind = EVENT_REDEEM,
		 .id = SLICE("d-2"),
		 .customer.number = 7,
		 .time_us = 11 * DAY_US,
		 .reward = SLICE("cup"),
		 .declined = true},
		{.kind = EVENT_ADJUST,
		 .id = SLICE("a-1"),
		 .customer.number = 7,
		 .time_us = 11 * DAY_US + 1,
		 .points_milli = -5500,
		 .ledger = SLICE("stamps"),
		 .reason = SLICE("sorry")},
	};
	struct error err = {0};
	struct block_writer w = {0};
	for (unsigned block = 0; block < 2; block++) {
		uint64_t seq;
		must(journal_begin(journal, &err), &err);
		assert_int_equal(block_writer_begin(&w, SLICE("till"), 0), 0);
		assert_int_equal(block_writer_file(&w, SLICE("f")), 0);
		assert_int_equal(block_writer_quarantined(&w, 1, REASON_POINTS, SLICE("bad"), 5), 0);
		for (unsigned i = 3 * block; i < 3 * block + 3; i++)
			assert_int_equal(block_writer_event(&w, &events[i], false, 2 + i), 0);
		struct block_counts counts;
		const struct slice bytes = block_writer_finish(&w);
		must(block_counts(bytes, &counts, &err), &err);
		assert_int_equal(counts.n_lines, block ? 3 : 5);
		must(journal_append(journal, bytes, &seq, &err), &err);
		must(journal_commit(journal, &err), &err);
	}
	block_writer_release(&w);
}

static int make_journal(void **state)
{
	if (make_shop(state) < 0)
		return -1;
	shop_open("");
	struct error err = {0};
	must(journal_open(shop->journal_dir, &(const struct journal_options){.map_gib = 1}, &journal, &err), &err);
	fill_journal();
	must(engine_open(&(const struct engine_options){.threads = 1}, &engine, &err), &err);
	return 0;
}

static int remove_journal(void **state)
{
	engine_close(engine);
	journal_close(journal);
	return remove_shop(state);
}

/* 1 when the condition holds for all rows and there are so many. */
static void assert_rows(const char *where, int64_t n)
{
	_cleanup_free_ char *sql = text_printf("SELECT count(*) FROM journal_transactions() WHERE %s", where);
	int64_t have = -1;
	struct error err = {0};
	must(engine_run_int64(engine, sql, &have, &err), &err);
	if (have != n)
		fail_msg("%s: %lld rows, not %lld", where, (long long)have, (long long)n);
}

#define NO_POINTS "points IS NULL AND ledger IS NULL AND reward IS NULL AND reason IS NULL AND decision IS NULL"
#define NO_LINE   "odr_menu IS NULL AND odr_sku IS NULL AND odr_qty IS NULL AND odr_prc IS NULL"

static void test_columns(void **state)
{
	(void)state;
	struct error err = {0};
	struct journal_rows rows = {.deployment = shop};
	uint64_t first;
	must(journal_reader_open(journal, &rows.reader, &err), &err);
	must(journal_reader_range(rows.reader, &first, &rows.next, &err), &err);
	rows.first = first;
	must(journal_rows_register(&rows, engine, &err), &err);
	assert_rows("true", 8);
	assert_rows("event_id = 'r-1' AND kind = 'order' AND cust_id = 7 AND odr_menu = 'latte' AND odr_sku = 'A1' AND "
		    "odr_qty = 2 AND odr_prc = 4.50 AND odr_amt = 8.50 AND odr_tms = '1970-01-11' AND store = 's1' AND "
		    "source = 'till' AND line_no = 1 AND order_id IS NULL AND data_dt = '1970-01-11' AND " NO_POINTS,
		    1);
	assert_rows("event_id = 'r-1' AND line_no = 2 AND odr_sku IS NULL AND odr_qty = 0.350 AND odr_amt = 0.35", 1);
	assert_rows(
		"event_id = 'f-1' AND kind = 'refund' AND line_no = 1 AND order_id = 'r-1' AND odr_menu = 'latte' AND "
		"odr_qty = -2 AND odr_prc = 4.50 AND odr_amt = -8.50 AND store IS NULL AND " NO_POINTS,
		1);
	assert_rows("event_id = 'f-1' AND line_no = 2 AND order_id = 'r-1' AND odr_qty = -0.350 AND odr_amt = -0.35",
		    1);
	assert_rows("event_id = 'f-2' AND kind = 'refund' AND line_no = 1 AND order_id = 'r-9' AND cust_id IS NULL AND "
		    "odr_amt = -4.50 AND " NO_LINE " AND " NO_POINTS,
		    1);
	assert_rows(
		"event_id = 'd-1' AND kind = 'redeem' AND line_no = 1 AND points = 100.500 AND ledger = 'points' AND "
		"reward IS NULL AND reason IS NULL AND decision = 'accepted' AND order_id IS NULL AND odr_amt IS NULL "
		"AND odr_tms IS NOT NULL AND " NO_LINE,
		1);
	assert_rows("event_id = 'd-2' AND kind = 'redeem' AND points IS NULL AND ledger IS NULL AND reward = 'cup' AND "
		    "decision = 'declined' AND data_dt = '1970-01-12'",
		    1);
	assert_rows(
		"event_id = 'a-1' AND kind = 'adjust' AND line_no = 1 AND points = -5.500 AND ledger = 'stamps' AND "
		"reward IS NULL AND reason = 'sorry' AND decision IS NULL AND order_id IS NULL AND odr_amt IS NULL "
		"AND " NO_LINE,
		1);
	/* Net of what came back. */
	int64_t sum;
	must(engine_run_int64(engine, "SELECT CAST(100 * sum(odr_amt) AS BIGINT) FROM journal_transactions()", &sum,
			      &err),
	     &err);
	assert_int_equal(sum, -450);
	/* The names that readers ask for are the columns. */
	must(engine_run(engine, "CREATE TABLE t AS SELECT " TRANSACTION_COLUMNS ", data_dt FROM journal_transactions()",
			&err),
	     &err);
	int64_t same;
	must(engine_run_int64(engine, "SELECT count(*) FROM (FROM t EXCEPT ALL FROM journal_transactions())", &same,
			      &err),
	     &err);
	assert_int_equal(same, 0);
	assert_rows("true", 8);
	/* By day, in the order of arrival. */
	struct day_index *days = NULL;
	must(day_index_make(rows.reader, rows.first, rows.next, shop->programme->timezone, &days, &err), &err);
	assert_int_equal(days->n_days, 2);
	assert_false(days->only_orders);
	rows.days = days;
	rows.day = 0;
	assert_rows("true", 6);
	rows.day = 1;
	assert_rows("true", 2);
	day_index_free(days);
	/* Without events there is nothing but orders. */
	rows.days = NULL;
	must(day_index_make(rows.reader, rows.next, rows.next, shop->programme->timezone, &days, &err), &err);
	assert_true(days->only_orders);
	day_index_free(days);
	journal_reader_close(rows.reader);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_columns, make_journal, remove_journal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
