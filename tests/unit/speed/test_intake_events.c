/* Files of events in JSON into the journal. */
#include "intake_shop.h"

#define R1                                                                                                            \
	"{\"event_id\":\"r-1\",\"kind\":\"order\",\"customer\":7,\"time\":1700000000,\"lines\":[{\"menu\":\"latte\"," \
	"\"price\":4.50},{\"menu\":\"tea\",\"price\":2}]}\n"
#define F1                                                                                                             \
	"{\"event_id\":\"f-1\",\"kind\":\"refund\",\"customer\":7,\"time\":1700000001,\"order\":\"r-1\",\"amount\":4." \
	"50}\n"
#define D1                                                                                                 \
	"{\"event_id\":\"d-1\",\"kind\":\"redeem\",\"customer\":7,\"time\":1700000002,\"reward\":\"cup\"," \
	"\"accepted\":false}\n"
#define A1                                                                                                         \
	"{\"event_id\":\"a-1\",\"kind\":\"adjust\",\"customer\":7,\"time\":1700000003,\"points\":-5.5,\"reason\":" \
	"\"sorry\"}\n"

static void test_events(void **state)
{
	(void)state;
	shop_open(EVENTS_SOURCE);
	shop_put("a.json", R1 "\n" F1 "{}\n" D1 "\r\n" A1 "nonsense\n" D1);
	take_well();
	assert_counts(7, 5, 1, 2);
	assert_int_equal(seen.sum.events, 4);
	assert_int_equal(seen.sum.by_reason[REASON_KIND], 1);
	assert_int_equal(seen.sum.by_reason[REASON_JSON], 1);
	assert_true(spool_has("a.json.COMPLETED"));
	assert_journal("r-1/1 7 latte 450 @1\n"
		       "r-1/2 7 tea 200 @1\n"
		       "f-1 refund 7 r-1 450 0 @3\n"
		       "! a.json:4 kind\n"
		       "d-1 redeem 7 cup 0 0 declined @5\n"
		       "a-1 adjust 7 sorry 0 -5500 @7\n"
		       "! a.json:8 json\n");
	/* Again, under its name and another: nothing new. */
	shop_put("a.json", R1 "\n" F1 "{}\n" D1 "\r\n" A1 "nonsense\n" D1);
	shop_put("b.json", A1 D1 F1 R1);
	take_well();
	assert_counts(4, 0, 4, 0);
	/* An id with something else, in any field, of any kind. */
	shop_put(
		"c.json",
		"{\"event_id\":\"r-1\",\"kind\":\"order\",\"customer\":7,\"time\":1700000000,\"lines\":[{\"menu\":"
		"\"latte\","
		"\"price\":4.50}]}\n"
		"{\"event_id\":\"f-1\",\"kind\":\"refund\",\"customer\":7,\"time\":1700000001,\"order\":\"r-2\","
		"\"amount\":4.50}\n"
		"{\"event_id\":\"f-1\",\"kind\":\"refund\",\"customer\":7,\"time\":1700000001,\"order\":\"r-1\","
		"\"lines\":[{"
		"\"amount\":4.50}]}\n"
		"{\"event_id\":\"d-1\",\"kind\":\"redeem\",\"customer\":7,\"time\":1700000002,\"reward\":\"cup\"}\n"
		"{\"event_id\":\"a-1\",\"kind\":\"adjust\",\"customer\":7,\"time\":1700000003,\"points\":-5.5}\n"
		/* The same, said otherwise. */
		"{\"points\":-5.500,\"reason\":\"sorr\\u0079\",\"event_id\":\"a-1\",\"kind\":\"adjust\",\"customer\":7,"
		"\"time\":\"2023-11-15T05:13:23+07:00\"}\n");
	take_well();
	assert_counts(6, 0, 1, 5);
	assert_int_equal(seen.sum.by_reason[REASON_ID_CONFLICT], 5);
}

/* A file of another text under an old name: the ids tell what is new. */
static void test_events_under_an_old_name(void **state)
{
	(void)state;
	shop_open(EVENTS_SOURCE);
	shop_put("a.json", R1 F1);
	take_well();
	shop_put("a.json", F1 D1);
	take_well();
	assert_counts(2, 1, 1, 0);
	/* … and one that has grown: its new lines. */
	rename_back("a.json.COMPLETED", "a.json");
	_cleanup_free_ char *path = spool_path("a.json");
	append(path, A1);
	take_well();
	assert_counts(1, 1, 0, 0);
	assert_journal("r-1/1 7 latte 450 @1\n"
		       "r-1/2 7 tea 200 @1\n"
		       "f-1 refund 7 r-1 450 0 @2\n"
		       "d-1 redeem 7 cup 0 0 declined @2\n"
		       "a-1 adjust 7 sorry 0 -5500 @3\n");
}

/* A last line without an end waits for it; nothing waits with it. */
static void test_events_torn(void **state)
{
	(void)state;
	shop_open("sources:\n  - {name: till, dir: spool, format: ndjson, settle_ms: 300}\n");
	static const char TEXT[] = R1 F1;
	_cleanup_free_ char *head = strndup(TEXT, sizeof(TEXT) - 20);
	assert_non_null(head);
	shop_put("a.json", head);
	seen.grow = "a.json";
	seen.grow_text = TEXT + sizeof(TEXT) - 20;
	seen.grow_at = 5;
	take_well();
	assert_counts(2, 3, 0, 0);
	assert_true(seen.commits >= 2);
	assert_journal("r-1/1 7 latte 450 @1\n"
		       "r-1/2 7 tea 200 @1\n"
		       "f-1 refund 7 r-1 450 0 @2\n");
	/* One that never gets an end is what it is when it has settled. */
	shop_put("b.json", D1 "{\"event_id\":\"x\"");
	take_well();
	assert_counts(2, 1, 0, 1);
	assert_int_equal(seen.sum.by_reason[REASON_JSON], 1);
}

/* Lines that are not looked at as JSON; and a text's ends wherever the blocks end. */
static void test_events_lines(void **state)
{
	(void)state;
	shop_open(EVENTS_SOURCE);
	_cleanup_buf_ struct buf text = {0};
	assert_int_equal(buf_append(&text, "{\0}\n", 4), 0);
	assert_int_equal(buf_append_text(&text, "{\"kind\":\"\xff\"}\n"), 0);
	for (unsigned i = 0; i < 600; i++)
		assert_int_equal(buf_append(&text, "", 1), 0);
	assert_int_equal(buf_append_text(&text, "\n{\"kind\":\""), 0);
	assert_int_equal(buf_reserve(&text, LIMIT_LINE_BYTES), 0);
	memset(text.data + text.len, 'x', LIMIT_LINE_BYTES);
	text.len += LIMIT_LINE_BYTES;
	assert_int_equal(buf_append_text(&text, "\"}\n" F1 "\"unclosed\n" A1), 0);
	shop_put_bytes("a.json", text.data, text.len);
	take_well();
	assert_counts(7, 2, 0, 5);
	assert_journal("! a.json:1 nul_byte\n"
		       "! a.json:2 encoding\n"
		       "! a.json:3 nul_byte\n"
		       "! a.json:4 too_long\n"
		       "f-1 refund 7 r-1 450 0 @5\n"
		       "! a.json:6 json\n"
		       "a-1 adjust 7 sorry 0 -5500 @7\n");
}

/* Many blocks, stopped after each: every event once. */
static void test_events_stopped(void **state)
{
	(void)state;
	shop_open(EVENTS_SOURCE);
	_cleanup_buf_ struct buf text = {0};
	const unsigned n = 30000;
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(
			buf_printf(&text,
				   "{\"event_id\":\"o%u\",\"kind\":\"order\",\"customer\":%u,\"time\":1700000000,"
				   "\"lines\":[{\"menu\":\"%0100u\",\"amount\":1},{\"amount\":2}]}\n",
				   i, i + 1, i),
			0);
	shop_put_bytes("a.json", text.data, text.len);
	struct intake_counts sum = {0};
	int rc;
	unsigned runs = 0;
	do {
		unsigned failed;
		struct error err = {0};
		seen.stop_after_commits = 1;
		rc = take(&failed, &err);
		sum.events += seen.sum.events;
		runs++;
		assert_true(runs < 100);
	} while (rc == ERROR_INTERRUPTED);
	assert_int_equal(rc, 0);
	assert_true(runs > 2);
	_cleanup_buf_ struct buf have = {0};
	dump(&have);
	unsigned rows = 0;
	for (const char *p = have.data; (p = strchr(p, '\n')); p++)
		rows++;
	assert_int_equal(rows, 2 * n);
	shop_put_bytes("b.json", text.data, text.len);
	take_well();
	assert_counts(n, 0, n, 0);
}

/* An order that is too much is set aside whole. */
static void test_events_too_much(void **state)
{
	(void)state;
	shop_open(EVENTS_SOURCE);
	shop_put("a.json",
		 "{\"event_id\":\"x\",\"kind\":\"order\",\"time\":1700000000,\"lines\":[{\"amount\":1000000000},{"
		 "\"amount\":0.01}]}\n"
		 "{\"event_id\":\"x\",\"kind\":\"order\",\"time\":1700000000,\"lines\":[{\"amount\":999999999.99},{"
		 "\"amount\":0.01}]}\n");
	take_well();
	assert_counts(2, 2, 0, 1);
	assert_int_equal(seen.sum.by_reason[REASON_AMOUNT], 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_shop, remove_shop)
	const struct CMUnitTest tests[] = {
		TEST(test_events),       TEST(test_events_under_an_old_name), TEST(test_events_torn),
		TEST(test_events_lines), TEST(test_events_stopped),           TEST(test_events_too_much),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
