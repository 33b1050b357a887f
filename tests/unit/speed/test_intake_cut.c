/* Files that are cut off, grow, or are left in the middle: every line once all the same. */
#include "intake_shop.h"

/* --- files that are cut off ------------------------------------------------------------------------------------------- */

/* Lines that do not pack, so that a cut loses some; each order has two lines and a bad one between them. */
static void make_orders(struct buf *text, unsigned n)
{
	buf_append_text(text, RECEIPTS_HEADER);
	uint64_t noise = 1;
	for (unsigned i = 0; i < n; i++) {
		noise = noise * UINT64_C(6364136223846793005) + 1442695040888963407U;
		const uint64_t square = noise * noise;
		buf_printf(text,
			   "r%u,1,%u,1700000000,%" PRIx64 "%" PRIx64 ",2.00\nbad %" PRIx64
			   "\nr%u,2,%u,1700000000,cake,%u.00\n",
			   i, i % 7 + 1, noise, square, ~noise, i, i % 7 + 1, i % 90 + 1);
	}
	assert_non_null(buf_text(text));
}

static void test_cut_gzip(void **state)
{
	(void)state;
	shop_open(RECEIPTS_SOURCE);
	const unsigned n = 300;
	_cleanup_buf_ struct buf text = {0};
	_cleanup_buf_ struct buf expected = {0};
	_cleanup_buf_ struct buf have = {0};
	make_orders(&text, n);
	size_t len;
	put_gzip("a.gz", text.data, text.len, 0, &len);
	take_well();
	assert_counts(3ULL * n, 2ULL * n, 0, n);
	dump(&expected);
	/* Growing in steps of all kinds, whole at last. */
	for (size_t step = 97; step < 2000; step = step * 2 + 1) {
		_cleanup_free_ char *data = shop_path("data");
		assert_int_equal(file_remove_tree(data, NULL), 0);
		_cleanup_free_ char *done = spool_path("a.gz.COMPLETED");
		assert_int_equal(unlink(done), 0);
		shop_open(RECEIPTS_SOURCE);
		struct intake_counts sum = {0};
		for (size_t keep = step; keep < len; keep += step) {
			put_gzip("a.gz", text.data, text.len, keep, &len);
			take_one_fault("a.gz");
			assert_true(spool_has("a.gz"));
			sum.lines += seen.sum.lines;
			sum.rows += seen.sum.rows;
			take_one_fault("a.gz");
			assert_counts(0, 0, 0, 0);
		}
		put_gzip("a.gz", text.data, text.len, 0, &len);
		take_well();
		assert_int_equal(sum.lines + seen.sum.lines, 3 * n);
		assert_int_equal(sum.rows + seen.sum.rows, 2 * n);
		dump(&have);
		assert_string_equal(have.data, expected.data);
	}
}

/* A line that is longer than the window is consumed in pieces: no position may stand inside it. */
static void test_stopped_in_a_long_line(void **state)
{
	(void)state;
	shop_open(CLASSIC_SOURCE);
	_cleanup_buf_ struct buf text = {0};
	const unsigned n = 70; /* 16 KiB of each are kept: more than a block */
	for (unsigned i = 0; i < n; i++) {
		const size_t from = text.len;
		assert_int_equal(buf_reserve(&text, LIMIT_LINE_BYTES + 100), 0);
		memset(text.data + from, 'x', LIMIT_LINE_BYTES + 50);
		text.len += LIMIT_LINE_BYTES + 50;
		buf_append_text(&text, "\n1|latte 70|1700000000\n");
	}
	shop_put_bytes("a.txt", text.data, text.len);
	seen.stop_after_commits = 1;
	take_stopped();
	unsigned runs = 1;
	do {
		seen.stop_after_commits = 1;
		unsigned failed;
		struct error err = {0};
		const int rc = take(&failed, &err);
		runs++;
		if (rc == 0)
			break;
		assert_int_equal(rc, ERROR_INTERRUPTED);
	} while (runs < 10);
	take_well();
	_cleanup_buf_ struct buf expected = {0};
	for (unsigned i = 0; i < n; i++)
		buf_printf(&expected, "! a.txt:%u too_long\na.txt:%u/1 1 latte 7000 @%u\n", 2 * i + 1, 2 * i + 2,
			   2 * i + 2);
	assert_journal(buf_text(&expected));
}

static void test_cut_in_a_long_line(void **state)
{
	(void)state;
	shop_open(CLASSIC_SOURCE);
	_cleanup_buf_ struct buf text = {0};
	uint64_t noise = 1;
	buf_append_text(&text, "1|latte 70|1700000000\n");
	while (text.len < 3 * LIMIT_LINE_BYTES) {
		noise = noise * UINT64_C(6364136223846793005) + 1442695040888963407U;
		buf_printf(&text, "%llx", (unsigned long long)noise);
	}
	buf_append_text(&text, "\n1|latte 70|1700000000\n");
	size_t len;
	put_gzip("a.gz", text.data, text.len, 1, &len);
	for (size_t part = 1; part < 5; part++) {
		put_gzip("a.gz", text.data, text.len, len * part / 5, &len);
		take_one_fault("a.gz");
	}
	put_gzip("a.gz", text.data, text.len, 0, &len);
	take_well();
	assert_journal("a.gz:1/1 1 latte 7000 @1\n! a.gz:2 too_long\na.gz:3/1 1 latte 7000 @3\n");
}

/* --- stopped and gone on ---------------------------------------------------------------------------------------------- */

/* Enough for several blocks. */
static void make_lines(struct buf *text, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		buf_printf(text, "%u|a rather long name of a drink, so that blocks are soon full %u|%u\n", i % 100 + 1,
			   i % 50 + 1, 1700000000 + i);
	assert_non_null(buf_text(text));
}

static void test_goes_on_where_it_stopped(void **state)
{
	(void)state;
	shop_open(CLASSIC_SOURCE);
	const unsigned n = 60000;
	_cleanup_buf_ struct buf text = {0};
	make_lines(&text, n);
	shop_put_bytes("a.txt", text.data, text.len);
	unsigned stops = 0;
	for (;; stops++) {
		unsigned failed;
		struct error err = {0};
		seen.stop_after_commits = 1;
		const int rc = take(&failed, &err);
		if (rc == 0)
			break;
		assert_int_equal(rc, ERROR_INTERRUPTED);
		assert_true(stops < 50);
		assert_true(spool_has("a.txt"));
	}
	assert_true(stops >= 2);
	_cleanup_buf_ struct buf have = {0};
	_cleanup_buf_ struct buf expected = {0};
	for (unsigned i = 0; i < n; i++)
		buf_printf(&expected,
			   "a.txt:%u/1 %u a rather long name of a drink, so that blocks are soon full %u @%u\n", i + 1,
			   i % 100 + 1, (i % 50 + 1) * 100, i + 1);
	dump(&have);
	assert_int_equal(have.len, expected.len);
	assert_string_equal(have.data, buf_text(&expected));
	assert_true(spool_has("a.txt.COMPLETED"));
}

static void test_goes_on_in_a_file_that_was_put_away(void **state)
{
	(void)state;
	shop_open(CLASSIC_SOURCE);
	const unsigned n = 60000;
	_cleanup_buf_ struct buf text = {0};
	make_lines(&text, n);
	shop_put("a.txt", "1|latte 70|1700000000\n");
	take_well();
	_cleanup_free_ char *path = spool_path("a.txt.COMPLETED");
	append(path, text.data);
	seen.stop_after_commits = 1;
	take_stopped();
	take_well();
	_cleanup_buf_ struct buf have = {0};
	dump(&have);
	unsigned rows = 0;
	for (size_t i = 0; i < have.len; i++)
		rows += have.data[i] == '\n';
	assert_int_equal(rows, n + 1);
}

static void test_stop_between_files(void **state)
{
	(void)state;
	shop_open(CLASSIC_SOURCE);
	for (unsigned i = 0; i < 5; i++) {
		char name[16];
		snprintf(name, sizeof(name), "%u.txt", i);
		shop_put(name, "1|latte 70|1700000000\n");
	}
	seen.stop_after_asks = 4;
	take_stopped();
	assert_true(seen.files > 0 && seen.files < 5);
	assert_true(spool_has("0.txt.COMPLETED") && spool_has("4.txt"));
	take_well();
	assert_journal("0.txt:1/1 1 latte 7000 @1\n1.txt:1/1 1 latte 7000 @1\n2.txt:1/1 1 latte 7000 @1\n"
		       "3.txt:1/1 1 latte 7000 @1\n4.txt:1/1 1 latte 7000 @1\n");
}

static void test_stop_while_it_waits(void **state)
{
	(void)state;
	shop_open("sources:\n  - {name: till, dir: spool, format: classic, settle_ms: 3600000}\n");
	shop_put("a.txt", "1|latte 70|1700000000\n1|lat");
	seen.stop_after_asks = 8;
	take_stopped();
	shop_open(CLASSIC_SOURCE);
	shop_put("a.txt", "1|latte 70|1700000000\n1|latte 80|1700000000\n");
	take_well();
	assert_counts(1, 1, 0, 0); /* the first was durable before it waited */
	assert_journal("a.txt:1/1 1 latte 7000 @1\na.txt:2/1 1 latte 8000 @2\n");
}

/* Somebody writes without a pause: what is whole is taken, and it ends. */
static void test_a_file_that_never_settles(void **state)
{
	(void)state;
	shop_open(
		"sources:\n  - {name: till, dir: spool, format: receipts, settle_ms: 100}\n"
		"order_mappings:\n  - {name: receipts, event_id: [receipt], line: line, customer: member, date: time, "
		"date_format: '%s', menu: item, amount: amount}\n");
	_cleanup_free_ char *path = spool_path("a.csv");
	shop_put("a.csv", RECEIPTS_HEADER "r1,1,5,1700000000,tea,2.00\nr2,1,5,1700000000,tea,2.00\nbad\nr2,2,5,17");
	_cleanup_free_ char *command = text_printf("for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do "
						   "printf 0 >>'%s'; sleep 0.05; done & echo $! >'%s/pid'",
						   path, shop_base);
	assert_int_equal(system(command), 0); // NOLINT(cert-env33-c): a test
	take_well();
	assert_int_equal(seen.outcome, INTAKE_GROWS);
	assert_counts(1, 1, 0, 0);
	assert_true(spool_has("a.csv"));
	_cleanup_free_ char *wait_for =
		text_printf("while kill -0 $(cat '%s/pid') 2>/dev/null; do sleep 0.02; done", shop_base);
	assert_int_equal(system(wait_for), 0); // NOLINT(cert-env33-c): a test
	shop_put("a.csv", RECEIPTS_HEADER
		 "r1,1,5,1700000000,tea,2.00\nr2,1,5,1700000000,tea,2.00\nbad\nr2,2,5,1700000000,bun,1.00\n");
	take_well();
	assert_int_equal(seen.outcome, INTAKE_TAKEN);
	assert_counts(3, 2, 0, 1);
	assert_journal("r1/1 5 tea 200 @2\n! a.csv:4 column_count\nr2/1 5 tea 200 @3\nr2/2 5 bun 100 @3\n");
}

/* Nothing waits with a file that does not settle. */
static void test_what_is_read_is_durable_before_it_waits(void **state)
{
	(void)state;
	shop_open("sources:\n  - {name: till, dir: spool, format: classic, settle_ms: 3600000}\n");
	shop_put("a.txt", "1|latte 70|1700000000\n");
	shop_put("b.txt", "2|latte 70|1700000000\n2|lat");
	seen.stop_after_asks = 8;
	take_stopped();
	assert_true(spool_has("a.txt.COMPLETED") && spool_has("b.txt"));
	assert_journal("a.txt:1/1 1 latte 7000 @1\nb.txt:1/1 2 latte 7000 @1\n");
}

/* Lines of one order are written one after the other. */
static void test_an_order_that_is_being_written(void **state)
{
	(void)state;
	shop_open(RECEIPTS_SETTLE);
	shop_put("a.csv", RECEIPTS_HEADER "r0,1,5,1700000000,tea,2.00\nr1,1,5,1700000000,tea,2.00\nbad\n");
	seen.grow = "a.csv";
	seen.grow_text = "r1,2,5,1700000000,bun,1.00\n";
	seen.grow_at = 5;
	take_well();
	assert_int_equal(seen.outcome, INTAKE_TAKEN);
	assert_counts(4, 3, 0, 1);
	assert_int_equal(seen.sum.events, 2);
	assert_journal("r0/1 5 tea 200 @2\n! a.csv:4 column_count\nr1/1 5 tea 200 @3\nr1/2 5 bun 100 @3\n");
	assert_true(spool_has("a.csv.COMPLETED"));
	/* Stopped while it waits: the next run takes the order whole. */
	shop_put("b.csv", RECEIPTS_HEADER "r2,1,5,1700000000,tea,2.00\nr3,1,5,1700000000,tea,2.00\n");
	seen.stop_after_asks = 6;
	take_stopped();
	_cleanup_free_ char *path = spool_path("b.csv");
	append(path, "r3,2,5,1700000000,bun,1.00\n");
	take_well();
	assert_counts(2, 2, 0, 0);
	assert_int_equal(seen.sum.events, 1);
}

static void test_a_header_that_is_being_written(void **state)
{
	(void)state;
	shop_open(RECEIPTS_SETTLE);
	shop_put("a.csv", "receipt,line,member,time,item,amount");
	seen.grow = "a.csv";
	seen.grow_text = ",shop\nr1,1,5,1700000000,tea,2.00,x\n";
	seen.grow_at = 5;
	take_well();
	assert_counts(1, 1, 0, 0);
}

static void test_an_open_quote_at_the_end(void **state)
{
	(void)state;
	shop_open(RECEIPTS_SETTLE);
	shop_put("a.csv", RECEIPTS_HEADER "r1,1,5,1700000000,\"green\n");
	seen.grow = "a.csv";
	seen.grow_text = "tea\",2.00\n";
	seen.grow_at = 5;
	take_well();
	assert_counts(1, 1, 0, 0);
	assert_journal("r1/1 5 green\ntea 200 @2\n");
	/* Nobody closes it. */
	shop_put("b.csv", RECEIPTS_HEADER "r2,1,5,1700000000,\"green\nr3,1,5,1700000000,tea,2.00\n");
	take_well();
	assert_counts(2, 1, 0, 1);
	assert_int_equal(seen.sum.by_reason[REASON_BAD_QUOTE], 1);
}

/* A line of the greatest length and more, in three pieces. */
static void make_long_text(struct buf *text, size_t len)
{
	buf_append_text(text, "1|latte 70|1700000000\n");
	assert_int_equal(buf_reserve(text, len + 1), 0);
	memset(text->data + text->len, 'x', len);
	text->len += len;
	assert_non_null(buf_text(text));
}

static void test_a_long_line_that_is_being_written(void **state)
{
	(void)state;
	static const size_t LENGTHS[] = {LIMIT_LINE_BYTES + 1, LIMIT_LINE_BYTES + 2, LIMIT_LINE_BYTES + 3,
					 2 * LIMIT_LINE_BYTES, 5 * LIMIT_LINE_BYTES + 77};
	shop_open("sources:\n  - {name: till, dir: spool, format: classic, settle_ms: 1500}\n");
	for (size_t i = 0; i < sizeof(LENGTHS) / sizeof(LENGTHS[0]); i++) {
		_cleanup_buf_ struct buf text = {0};
		char name[16];
		snprintf(name, sizeof(name), "%zu.txt", i);
		make_long_text(&text, LENGTHS[i]);
		shop_put_bytes(name, text.data, text.len);
		seen.grow = name;
		seen.grow_text = "\n2|latte 70|1700000000\n";
		seen.grow_at = 7 + (unsigned)i;
		take_well();
		assert_counts(3, 2, 0, 1);
		assert_int_equal(seen.sum.by_reason[REASON_TOO_LONG], 1);
	}
}

/* The rest of a line that was dealt with as if it were whole is no line, let alone an order. */
static void test_the_rest_of_a_line(void **state)
{
	(void)state;
	shop_open(CLASSIC_SOURCE);
	static const size_t LENGTHS[] = {3, LIMIT_LINE_BYTES + 1, 3 * LIMIT_LINE_BYTES};
	for (size_t i = 0; i < 3; i++) {
		_cleanup_buf_ struct buf text = {0};
		char name[16];
		snprintf(name, sizeof(name), "%zu.txt", i);
		make_long_text(&text, LENGTHS[i]);
		shop_put_bytes(name, text.data, text.len);
		take_well();
		assert_counts(2, 1, 0, 1);
		snprintf(name, sizeof(name), "%zu.txt.COMPLETED", i);
		_cleanup_free_ char *path = spool_path(name);
		append(path, "9|latte 70|17000"); /* still no end */
		take_well();
		assert_counts(0, 0, 0, 0);
		assert_non_null(strstr(seen.message, "no end"));
		append(path, "00000\n7|tea 1|1700000000\n");
		take_well();
		assert_counts(1, 1, 0, 0);
		take_well();
		assert_int_equal(seen.files, 0);
	}
	/* An end alone is nothing to speak of. */
	shop_put("b.txt", "1|latte 70|1700000000\r");
	take_well();
	assert_counts(1, 1, 0, 0);
	_cleanup_free_ char *path = spool_path("b.txt.COMPLETED");
	append(path, "\n2|latte 70|1700000000\r\n");
	take_well();
	assert_counts(1, 1, 0, 0);
	assert_string_equal(seen.message, "");
	_cleanup_buf_ struct buf have = {0};
	dump(&have);
	assert_non_null(strstr(have.data, "1.txt:3/1 7 tea 100 @3\n"));
	assert_non_null(strstr(have.data, "b.txt:2/1 2 latte 7000 @2\n"));
	assert_null(strstr(have.data, " 9 latte"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_shop, remove_shop)
	const struct CMUnitTest tests[] = {
		TEST(test_cut_gzip),
		TEST(test_stopped_in_a_long_line),
		TEST(test_cut_in_a_long_line),
		TEST(test_goes_on_where_it_stopped),
		TEST(test_goes_on_in_a_file_that_was_put_away),
		TEST(test_stop_between_files),
		TEST(test_stop_while_it_waits),
		TEST(test_a_file_that_never_settles),
		TEST(test_what_is_read_is_durable_before_it_waits),
		TEST(test_an_order_that_is_being_written),
		TEST(test_a_header_that_is_being_written),
		TEST(test_an_open_quote_at_the_end),
		TEST(test_a_long_line_that_is_being_written),
		TEST(test_the_rest_of_a_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
