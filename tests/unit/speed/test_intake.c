/* Files into the journal: every line once, by name and content, order by order. */
#include "intake_shop.h"

/* --- names and contents ---------------------------------------------------------------------------------------------- */

static void test_classic(void **state)
{
	(void)state;
	shop_open(CLASSIC_SOURCE);
	shop_put("a.txt", "7|flat white 3.50|1700000000\r\n\n|latte 70|1700000001\nbad\n0|latte 70|1700000002");
	take_well();
	assert_counts(4, 3, 0, 1);
	assert_int_equal(seen.outcome, INTAKE_TAKEN);
	assert_int_equal(seen.sum.by_reason[REASON_COLUMN_COUNT], 1);
	assert_journal("a.txt:1/1 7 flat white 350 @1\na.txt:3/1 -1 latte 7000 @3\n! a.txt:4 column_count\n"
		       "a.txt:5/1 -1 latte 7000 @5\n");
	assert_true(spool_has("a.txt.COMPLETED"));
	assert_false(spool_has("a.txt"));
	take_well();
	assert_int_equal(seen.files, 0);
}

static void test_same_file_again(void **state)
{
	(void)state;
	shop_open(CLASSIC_SOURCE);
	shop_put("a.txt", "1|latte 70|1700000000\nbad\n");
	take_well();
	for (int i = 0; i < 2; i++) {
		shop_put("a.txt", "1|latte 70|1700000000\nbad\n");
		take_well();
		assert_int_equal(seen.files, 1);
		assert_int_equal(seen.outcome, INTAKE_HAD);
		assert_counts(0, 0, 0, 0);
	}
	assert_true(spool_has("a.txt.COMPLETED") && spool_has("a.txt.COMPLETED.2") && spool_has("a.txt.COMPLETED.3"));
	assert_journal("a.txt:1/1 1 latte 7000 @1\n! a.txt:2 column_count\n");
	/* Packed, its text is the same. */
	size_t len;
	put_gzip("a.txt", "1|latte 70|1700000000\nbad\n", 26, 0, &len);
	take_well();
	assert_int_equal(seen.outcome, INTAKE_HAD);
}

static void test_grown_file(void **state)
{
	(void)state;
	shop_open(CLASSIC_SOURCE);
	shop_put("a.txt", "1|latte 70|1700000000\n");
	take_well();
	/* Sent again, longer. */
	shop_put("a.txt", "1|latte 70|1700000000\n2|mocha 80|1700000001\n");
	take_well();
	assert_counts(1, 1, 0, 0);
	assert_int_equal(seen.outcome, INTAKE_TAKEN);
	assert_true(spool_has("a.txt.COMPLETED.2"));
	/* The shorter one that was put away gives nothing, nor is it touched. */
	take_well();
	assert_int_equal(seen.files, 0);
	assert_journal("a.txt:1/1 1 latte 7000 @1\na.txt:2/1 2 mocha 8000 @2\n");
}

static void test_grown_after_it_was_put_away(void **state)
{
	(void)state;
	shop_open(CLASSIC_SOURCE);
	shop_put("a.txt", "1|latte 70|1700000000\n");
	take_well();
	_cleanup_free_ char *path = spool_path("a.txt.COMPLETED");
	append(path, "2|mocha 80|1700000001\n");
	take_well();
	assert_int_equal(seen.files, 1);
	assert_string_equal(seen.name, "a.txt.COMPLETED");
	assert_counts(1, 1, 0, 0);
	assert_true(spool_has("a.txt.COMPLETED"));
	take_well();
	assert_int_equal(seen.files, 0);
	assert_journal("a.txt:1/1 1 latte 7000 @1\na.txt:2/1 2 mocha 8000 @2\n");
	/* What is not the file that was put away is left alone. */
	shop_put("a.txt.COMPLETED",
		 "quite\nother\ncontent\nthat is longer than it was before, so that it is looked at\n");
	take_well();
	assert_int_equal(seen.files, 1);
	assert_int_equal(seen.outcome, INTAKE_SKIPPED);
	assert_counts(0, 0, 0, 0);
	take_well();
	assert_int_equal(seen.files, 0);
	assert_journal("a.txt:1/1 1 latte 7000 @1\na.txt:2/1 2 mocha 8000 @2\n");
}

static void test_name_reused(void **state)
{
	(void)state;
	shop_open(CLASSIC_SOURCE);
	shop_put("a.txt", "1|latte 70|1700000000\n2|latte 70|1700000001\n");
	take_well();
	static const char *const OTHERS[] = {
		"1|latte 70|1700000009\n2|latte 70|1700000001\n3|tea 1|1700000002\n", /* longer */
		"1|latte 71|1700000000\n",                                            /* shorter */
	};
	for (size_t i = 0; i < 2; i++) {
		shop_put("a.txt", OTHERS[i]);
		take_well();
		assert_int_equal(seen.outcome, INTAKE_REUSED);
		assert_int_equal(seen.sum.quarantined, seen.sum.lines);
		assert_int_equal(seen.sum.by_reason[REASON_FILE_NAME_REUSED], i == 0 ? 3 : 1);
		shop_put("a.txt", OTHERS[i]);
		take_well();
		assert_int_equal(seen.outcome, INTAKE_HAD);
	}
	shop_put("a.txt", "1|latte 70|1700000000\n2|latte 70|1700000001\n");
	take_well();
	assert_int_equal(seen.outcome, INTAKE_HAD);
	assert_journal("a.txt:1/1 1 latte 7000 @1\na.txt:2/1 2 latte 7000 @2\n"
		       "! a.txt:1 file_name_reused\n! a.txt:2 file_name_reused\n! a.txt:3 file_name_reused\n"
		       "! a.txt:1 file_name_reused\n");
}

/* Each day's export has the same name: the ids of its orders tell what is new. */
static void test_name_reused_with_ids(void **state)
{
	(void)state;
	shop_open(RECEIPTS_SOURCE);
	shop_put("a.csv", RECEIPTS_HEADER "r1,1,5,1700000000,tea,2.00\nr2,1,5,1700000000,tea,2.00\n");
	take_well();
	const char *const other = RECEIPTS_HEADER "r2,1,5,1700000000,tea,2.00\n"
						  "r1,1,5,1700000000,tea,2.01\n"
						  "r3,1,5,1700000000,tea,2.00\n"
						  "r3,2,5,1700000000,bun,1.00\n";
	shop_put("a.csv", other);
	take_well();
	assert_int_equal(seen.outcome, INTAKE_TAKEN);
	assert_counts(4, 2, 1, 1);
	assert_int_equal(seen.sum.by_reason[REASON_ID_CONFLICT], 1);
	shop_put("a.csv", other);
	take_well();
	assert_int_equal(seen.outcome, INTAKE_HAD);
	/* Longer: goes on behind what was had of it. */
	_cleanup_free_ char *longer = text_printf("%sr4,1,5,1700000000,tea,2.00\n", other);
	shop_put("a.csv", longer);
	take_well();
	assert_counts(1, 1, 0, 0);
	assert_journal("r1/1 5 tea 200 @2\nr2/1 5 tea 200 @3\n! a.csv:3 id_conflict\nr3/1 5 tea 200 @4\n"
		       "r3/2 5 bun 100 @4\nr4/1 5 tea 200 @6\n");
}

static void test_name_reused_packed(void **state)
{
	(void)state;
	shop_open(CLASSIC_SOURCE);
	const char *const text = "1|latte 70|1700000000\n2|latte 70|1700000001\n";
	size_t len;
	put_gzip("a.gz", text, strlen(text), 0, &len);
	take_well();
	put_gzip("a.gz", "9|tea 1|1700000000\n", 19, 0, &len);
	take_well();
	assert_int_equal(seen.outcome, INTAKE_REUSED);
	assert_counts(1, 0, 0, 1);
}

static void test_nothing_was_taken_of_the_first(void **state)
{
	(void)state;
	shop_open(CLASSIC_SOURCE);
	static const char *const EMPTY[] = {"", "\n", "\n\r\n\n"};
	for (size_t i = 0; i < 3; i++) {
		char name[16];
		snprintf(name, sizeof(name), "%zu.txt", i);
		shop_put(name, EMPTY[i]);
		take_well();
		assert_int_equal(seen.outcome, INTAKE_TAKEN);
		assert_counts(0, 0, 0, 0);
		shop_put(name, EMPTY[i]);
		take_well();
		assert_int_equal(seen.outcome, INTAKE_HAD);
		shop_put(name, "1|latte 70|1700000000\n");
		take_well();
		assert_int_equal(seen.outcome, INTAKE_TAKEN);
		assert_counts(1, 1, 0, 0);
	}
	assert_journal("0.txt:1/1 1 latte 7000 @1\n1.txt:1/1 1 latte 7000 @1\n2.txt:1/1 1 latte 7000 @1\n");
}

static void test_header_only(void **state)
{
	(void)state;
	shop_open(RECEIPTS_SOURCE);
	static const char *const HEADERS[] = {RECEIPTS_HEADER, "receipt,line,member,time,item,amount",
					      ("\n" RECEIPTS_HEADER), "", "\n"};
	for (size_t i = 0; i < 5; i++) {
		char name[16];
		snprintf(name, sizeof(name), "%zu.csv", i);
		shop_put(name, HEADERS[i]);
		take_well();
		assert_int_equal(seen.outcome, INTAKE_TAKEN);
		shop_put(name, HEADERS[i]);
		take_well();
		assert_int_equal(seen.outcome, INTAKE_HAD);
		_cleanup_free_ char *whole = text_printf("%s,extra\nr%zu,1,5,1700000000,tea,2.00,x\n",
							 "receipt,line,member,time,item,amount", i);
		shop_put(name, whole);
		take_well();
		assert_int_equal(seen.outcome, INTAKE_TAKEN);
		assert_counts(1, 1, 0, 0);
	}
	shop_put("bad.csv", "receipt,line,member,time,item\n");
	take_one_fault("amount");
	assert_true(spool_has("bad.csv"));
}

/* --- orders of several lines ------------------------------------------------------------------------------------------ */

static void test_orders_by_id(void **state)
{
	(void)state;
	shop_open(RECEIPTS_SOURCE);
	shop_put("a.csv", RECEIPTS_HEADER "r1,1,5,1700000000,tea,2.00\n"
					  "r1,2,5,1700000000,cake,3.00\n"
					  "r1,2,5,1700000000,cake,3.00\n" /* this line twice */
					  "r2,1,0,1700000001,tea,2.00\n");
	take_well();
	assert_counts(4, 3, 1, 0);
	assert_int_equal(seen.sum.events, 2);
	/* In another file: the same, and one with another payload; and one twice within the file. */
	shop_put("b.csv", RECEIPTS_HEADER "r2,1,0,1700000001,tea,2.00\n"
					  "r1,1,5,1700000000,tea,2.00\n"
					  "r3,1,5,1700000000,tea,2.00\n"
					  "r1,1,5,1700000000,tea,2.00\n"
					  "r1,2,5,1700000000,cake,3.00\n"
					  "r3,1,5,1700000000,tea,2.00\n"
					  "r3,1,5,1700000000,tea,2.01\n");
	take_well();
	assert_counts(7, 1, 3, 3);
	assert_int_equal(seen.sum.by_reason[REASON_ID_CONFLICT], 1);
	assert_int_equal(seen.sum.by_reason[REASON_ORDER_LINES], 2);
	assert_journal("r1/1 5 tea 200 @2\nr1/2 5 cake 300 @2\nr2/1 -1 tea 200 @5\n"
		       "! b.csv:3 id_conflict\nr3/1 5 tea 200 @4\n! b.csv:7 order_lines\n! b.csv:8 order_lines\n");
}

/* An order is never booked short: with a bad line none of it is taken, and it can be sent again whole. */
static void test_an_order_with_a_bad_line(void **state)
{
	(void)state;
	shop_open(RECEIPTS_SOURCE);
	shop_put("a.csv", RECEIPTS_HEADER "r0,1,5,1700000000,tea,2.00\n"
					  "r1,1,5,1700000000,tea,2.00\n"
					  "r1,2,5,1700000000,cake,x\n"
					  "r1,3,5,1700000000,bun,3.00\n"
					  "r2,1,nobody,1700000000,tea,2.00\n" /* the first is bad */
					  "r2,2,5,1700000000,cake,3.00\n"
					  "r3,1,5,1700000000,tea,2.00\n"
					  "r3,2,5,never,tea,2.00\n" /* the last */
					  "r4,1,5,1700000000,tea,2.00\n");
	take_well();
	assert_counts(9, 2, 0, 7);
	assert_int_equal(seen.sum.events, 2);
	assert_int_equal(seen.sum.by_reason[REASON_ORDER_LINES], 4);
	shop_put("b.csv", RECEIPTS_HEADER "r1,1,5,1700000000,tea,2.00\n"
					  "r1,2,5,1700000000,cake,4.00\n"
					  "r1,3,5,1700000000,bun,3.00\n"
					  "r2,1,5,1700000000,tea,2.00\n");
	take_well();
	assert_counts(4, 4, 0, 0);
	assert_journal("r0/1 5 tea 200 @2\n! a.csv:3 order_lines\n! a.csv:4 amount\n! a.csv:5 order_lines\n"
		       "! a.csv:6 customer_id\n! a.csv:7 order_lines\n! a.csv:8 order_lines\n! a.csv:9 time\n"
		       "r4/1 5 tea 200 @10\n"
		       "r1/1 5 tea 200 @2\nr1/2 5 cake 400 @2\nr1/3 5 bun 300 @2\nr2/1 5 tea 200 @5\n");
}

/* Lines that contradict each other, and bytes that are no text: which is right nobody knows, and all of it waits. */
static void test_an_order_that_contradicts_itself(void **state)
{
	(void)state;
	shop_open(RECEIPTS_SOURCE);
	shop_put("a.csv", RECEIPTS_HEADER "r1,1,5,1700000000,tea,2.00\n"
					  "r1,1,5,1700000000,bun,3.00\n" /* another with its number */
					  "r1,2,5,1700000000,bun,3.00\n"
					  "r2,1,5,1700000000,tea,2.00\n"
					  "r2,2,6,1700000000,bun,3.00\n" /* another customer */
					  "r3,1,5,1700000000,tea,2.00\n"
					  "r3,2,5,1700000000,caf\xe9,2.00\n"
					  "r4,1,5,1700000000,tea,2.00\n");
	take_well();
	assert_counts(8, 1, 0, 7);
	assert_int_equal(seen.sum.by_reason[REASON_ORDER_LINES], 6);
	assert_int_equal(seen.sum.by_reason[REASON_ENCODING], 1);
	shop_put("b.csv", RECEIPTS_HEADER "r1,1,5,1700000000,tea,2.00\n"
					  "r3,1,5,1700000000,tea,2.00\n"
					  "r3,2,5,1700000000,caf\xc3\xa9,2.00\n");
	take_well();
	assert_counts(3, 3, 0, 0);
}

/* So many lines of an order of which none is taken end it, so that a block is bounded. */
static void test_a_spoiled_order_ends(void **state)
{
	(void)state;
	shop_open(RECEIPTS_SOURCE);
	_cleanup_buf_ struct buf text = {0};
	buf_append_text(&text, RECEIPTS_HEADER "r1,1,5,1700000000,tea,x\n");
	for (unsigned i = 0; i <= LIMIT_ORDER_LINES + 10; i++)
		buf_printf(&text, "r1,%u,5,1700000000,tea,2.00\n", i + 2);
	shop_put("a.csv", buf_text(&text));
	take_well();
	assert_counts(LIMIT_ORDER_LINES + 12, 11, 0, LIMIT_ORDER_LINES + 1);
}

static void test_bad_lines_do_not_end_an_order(void **state)
{
	(void)state;
	shop_open(RECEIPTS_SOURCE);
	/* The block is full in the middle of the order; what becomes of its lines must not depend on that. */
	_cleanup_buf_ struct buf text = {0};
	_cleanup_buf_ struct buf x = {0};
	for (unsigned i = 0; i < 20000; i++)
		buf_append_text(&x, "x");
	buf_append_text(&text, RECEIPTS_HEADER "r1,1,5,1700000000,tea,2.00\n");
	for (unsigned i = 0; i < 100; i++)
		buf_printf(&text, "%s\n", buf_text(&x));
	buf_append_text(&text, "r1,2,5,1700000000,cake,3.00\nr2,1,5,1700000000,tea,2.00\n");
	shop_put("a.csv", buf_text(&text));
	take_well();
	assert_counts(103, 3, 0, 100);
	assert_int_equal(seen.sum.events, 2);
	assert_int_equal(seen.sum.by_reason[REASON_COLUMN_COUNT], 100);
}

static void test_amounts_of_an_order(void **state)
{
	(void)state;
	shop_open(RECEIPTS_SOURCE);
	const long long most = LIMIT_AMOUNT_MINOR - 1;
	_cleanup_free_ char *text = text_printf(RECEIPTS_HEADER "r1,1,5,1700000000,gold,%lld.%02lld\n"
								"r1,2,5,1700000000,tea,0.02\n"
								"r2,1,5,1700000000,gold,%lld.%02lld\n"
								"r2,2,5,1700000000,tea,0.01\n",
						most / 100, most % 100, most / 100, most % 100);
	_cleanup_free_ char *expected =
		text_printf("! a.csv:2 amount\n! a.csv:3 amount\nr2/1 5 gold %lld @4\nr2/2 5 tea 1 @4\n", most);
	shop_put("a.csv", text);
	take_well();
	assert_counts(4, 2, 0, 2);
	assert_int_equal(seen.sum.by_reason[REASON_AMOUNT], 2);
	assert_journal(expected);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_shop, remove_shop)
	const struct CMUnitTest tests[] = {
		TEST(test_classic),
		TEST(test_same_file_again),
		TEST(test_grown_file),
		TEST(test_grown_after_it_was_put_away),
		TEST(test_name_reused),
		TEST(test_name_reused_with_ids),
		TEST(test_name_reused_packed),
		TEST(test_nothing_was_taken_of_the_first),
		TEST(test_header_only),
		TEST(test_orders_by_id),
		TEST(test_an_order_with_a_bad_line),
		TEST(test_an_order_that_contradicts_itself),
		TEST(test_a_spoiled_order_ends),
		TEST(test_bad_lines_do_not_end_an_order),
		TEST(test_amounts_of_an_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
