/* What becomes of a file when its lines are durable, and what is left alone. */
#include "intake_shop.h"

/* --- putting away ------------------------------------------------------------------------------------------------------ */

static void test_existing_names(void **state)
{
	(void)state;
	shop_open(CLASSIC_SOURCE);
	shop_put("a.txt", "1|latte 70|1700000000\n");
	shop_put("a.txt.COMPLETED", "somebody's\n");
	shop_put("a.txt.COMPLETED.2", "somebody's\n");
	take_well();
	assert_true(spool_has("a.txt.COMPLETED.3"));
	_cleanup_free_ char *path = spool_path("a.txt.COMPLETED");
	_cleanup_buf_ struct buf content = {0};
	assert_int_equal(file_read_all(path, 100, &content, NULL), 0);
	assert_string_equal(buf_text(&content), "somebody's\n");
	take_well();
	assert_int_equal(seen.files, 0);
}

static void test_move(void **state)
{
	(void)state;
	shop_open("sources:\n  - {name: till, dir: spool, format: classic, settle_ms: 0, when_done: move, "
		  "move_to: spool/done}\n");
	for (int i = 0; i < 2; i++) {
		shop_put("a.txt", "1|latte 70|1700000000\nbad\n");
		take_well();
		assert_int_equal(seen.files, 1);
	}
	assert_true(spool_has("done/a.txt") && spool_has("done/a.txt.2") && !spool_has("a.txt"));
}

static void test_delete(void **state)
{
	(void)state;
	shop_open("sources:\n  - {name: till, dir: spool, format: classic, settle_ms: 0, when_done: delete}\n");
	shop_put("a.txt", "1|latte 70|1700000000\n");
	shop_put("b.txt", "1|latte 70|1700000000\nbad\n");
	take_well();
	assert_false(spool_has("a.txt") || spool_has("b.txt") || spool_has("a.txt.COMPLETED"));
	assert_true(spool_has("b.txt.COMPLETED"));
	/* Again: had already, and what was quarantined of it in the earlier run is not forgotten. */
	rename_back("b.txt.COMPLETED", "b.txt");
	take_well();
	assert_int_equal(seen.outcome, INTAKE_HAD);
	assert_true(spool_has("b.txt.COMPLETED") && !spool_has("b.txt"));
}

/* Grown between its reading and the commit: deleting it would lose the new lines. */
static void test_grown_before_it_is_put_away(void **state)
{
	(void)state;
	shop_open("sources:\n  - {name: till, dir: spool, format: classic, settle_ms: 0, when_done: delete}\n");
	shop_put("a.txt", "1|latte 70|1700000000\n");
	shop_put("b.txt", "1|latte 70|1700000000\n");
	seen.grow = "a.txt";
	seen.grow_text = "2|mocha 80|1700000001\n";
	seen.grow_at = 4; /* ".", "..", a.txt, then b.txt */
	take_well();
	assert_true(spool_has("a.txt") && !spool_has("b.txt"));
	take_well();
	assert_counts(1, 1, 0, 0);
	assert_false(spool_has("a.txt"));
	assert_journal("a.txt:1/1 1 latte 7000 @1\nb.txt:1/1 1 latte 7000 @1\na.txt:2/1 2 mocha 8000 @2\n");
}

/* The same at the last moment, but another file: of the same size, even. */
static void test_replaced_before_it_is_put_away(void **state)
{
	(void)state;
	static const char *const DONE[] = {"move, move_to: done", "delete", "rename"};
	for (size_t i = 0; i < 3; i++) {
		_cleanup_free_ char *config =
			text_printf("%s, when_done: %s}\n%s", RECEIPTS_OPEN_END, DONE[i], RECEIPTS_MAPPING);
		shop_open(config);
		_cleanup_free_ char *first = text_printf("%sr%zu,1,5,1700000000,tea,2.00\n", RECEIPTS_HEADER, 3 * i);
		_cleanup_free_ char *other =
			text_printf("%sr%zu,1,5,1700000000,tea,2.00\n", RECEIPTS_HEADER, 3 * i + 1);
		_cleanup_free_ char *last = text_printf("%sr%zu,1,5,1700000000,tea,2.00\n", RECEIPTS_HEADER, 3 * i + 2);
		shop_put("a.csv", first);
		shop_put("b.csv", last);
		_cleanup_free_ char *listed = spool_path("");
		unsigned entries = 0;
		DIR *const dir = opendir(listed);
		assert_non_null(dir);
		while (readdir(dir))
			entries++;
		closedir(dir);
		seen.grow = "a.csv";
		seen.grow_text = other;
		seen.grow_at = entries; /* b.csv or what was put away before is the last */
		seen.replace = true;
		take_well();
		assert_counts(2, 2, 0, 0);
		assert_true(spool_has("a.csv"));
		take_well();
		assert_counts(1, 1, 0, 0);
		assert_false(spool_has("a.csv"));
	}
}

/* Nobody looks for lines in a file that is gone. */
static void test_grown_before_it_is_moved_or_deleted(void **state)
{
	(void)state;
	static const char *const DONE[] = {"delete", "move, move_to: done"};
	for (unsigned i = 0; i < 2; i++) {
		_cleanup_free_ char *config = text_printf(
			"sources:\n  - {name: till, dir: spool, format: classic, settle_ms: 300, when_done: %s}\n",
			DONE[i]);
		char name[16];
		snprintf(name, sizeof(name), "%u.txt", i);
		shop_open(config);
		shop_put(name, "1|latte 70|1700000000\n");
		seen.grow = name;
		seen.grow_text = "2|latte 70|1700000000\n";
		seen.grow_at = 6;
		take_well();
		assert_counts(2, 2, 0, 0);
		assert_int_equal(seen.outcome, INTAKE_TAKEN);
		assert_false(spool_has(name));
		/* Had already: the same. */
		shop_put(name, "1|latte 70|1700000000\n2|latte 70|1700000000\n");
		seen.grow = name;
		seen.grow_text = "3|latte 70|1700000000\n";
		seen.grow_at = 6;
		take_well();
		assert_counts(1, 1, 0, 0);
		assert_false(spool_has(name));
	}
}

static void test_a_file_to_be_deleted_never_settles(void **state)
{
	(void)state;
	shop_open("sources:\n  - {name: till, dir: spool, format: classic, settle_ms: 100, when_done: delete}\n");
	_cleanup_free_ char *path = spool_path("a.txt");
	shop_put("a.txt", "1|latte 70|1700000000\n");
	_cleanup_free_ char *command =
		text_printf("for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do "
			    "echo '1|tea 1|1700000000' >>'%s'; sleep 0.05; done & echo $! >'%s/pid'",
			    path, shop_base);
	assert_int_equal(system(command), 0); // NOLINT(cert-env33-c): a test
	take_well();
	assert_int_equal(seen.outcome, INTAKE_GROWS);
	assert_true(spool_has("a.txt"));
	const uint64_t first = seen.sum.rows;
	_cleanup_free_ char *wait_for =
		text_printf("while kill -0 $(cat '%s/pid') 2>/dev/null; do sleep 0.02; done", shop_base);
	assert_int_equal(system(wait_for), 0); // NOLINT(cert-env33-c): a test
	take_well();
	assert_int_equal(first + seen.sum.rows, 21);
	assert_false(spool_has("a.txt"));
}

/* Whoever wrote it had not finished, and it was not the first that was put away under this name. */
static void test_grown_under_a_number(void **state)
{
	(void)state;
	shop_open(CLASSIC_SOURCE);
	for (unsigned i = 0; i < 2; i++) {
		shop_put("a.txt", "1|latte 70|1700000000\n");
		take_well();
	}
	_cleanup_free_ char *second = spool_path("a.txt.COMPLETED.2");
	append(second, "2|mocha 80|1700000001\n");
	take_well();
	assert_counts(1, 1, 0, 0);
	assert_string_equal(seen.name, "a.txt.COMPLETED.2");
	take_well();
	assert_int_equal(seen.files, 0);
	/* Now the other one, in another way: its lines have numbers that are taken. */
	_cleanup_free_ char *first = spool_path("a.txt.COMPLETED");
	append(first, "3|tea 1|1700000001\n3|tea 1|1700000001\n");
	take_well();
	assert_counts(2, 0, 0, 2);
	assert_int_equal(seen.outcome, INTAKE_REUSED);
	append(first, "4|tea 1|1700000001\n");
	take_well();
	assert_counts(1, 0, 0, 1);
	append(second, "2|mocha 80|1700000002\n");
	take_well();
	assert_counts(1, 1, 0, 0);
	take_well();
	assert_int_equal(seen.files, 0);
	assert_journal("a.txt:1/1 1 latte 7000 @1\na.txt:2/1 2 mocha 8000 @2\n! a.txt:2 file_name_reused\n"
		       "! a.txt:3 file_name_reused\n! a.txt:4 file_name_reused\na.txt:3/1 2 mocha 8000 @3\n");
	/* A beginning at which it ended once was had. */
	shop_put("a.txt", "1|latte 70|1700000000\n");
	take_well();
	assert_int_equal(seen.outcome, INTAKE_HAD);
}

static void test_other_content_grown_under_a_number(void **state)
{
	(void)state;
	shop_open(RECEIPTS_SOURCE);
	shop_put("a.csv", RECEIPTS_HEADER "r1,1,5,1700000000,tea,2.00\n");
	take_well();
	shop_put("a.csv", RECEIPTS_HEADER "r2,1,5,1700000000,tea,2.00\n");
	take_well();
	_cleanup_free_ char *second = spool_path("a.csv.COMPLETED.2");
	append(second, "r3,1,5,1700000000,tea,2.00\n");
	take_well();
	assert_counts(1, 1, 0, 0);
	/* None that was read: said once, and again when it changes. */
	for (unsigned i = 0; i < 2; i++) {
		append(second, "r4,1,5,1700000000,tea,2.00\n");
		_cleanup_buf_ struct buf text = {0};
		assert_int_equal(file_read_all(second, 10000, &text, NULL), 0);
		text.data[text.len / 2] = '~';
		shop_put_bytes("a.csv.COMPLETED.2", text.data, text.len);
		take_well();
		assert_int_equal(seen.files, 1);
		assert_int_equal(seen.outcome, INTAKE_SKIPPED);
		take_well();
		assert_int_equal(seen.files, 0);
	}
	/* That it was left alone there does not mean that it was had. */
	rename_back("a.csv.COMPLETED.2", "a.csv");
	take_well();
	assert_int_equal(seen.outcome, INTAKE_TAKEN);
	assert_int_equal(seen.sum.lines, 4);
}

static void test_many_small_files(void **state)
{
	(void)state;
	shop_open(CLASSIC_SOURCE);
	for (unsigned i = 0; i < 2100; i++) {
		char name[32];
		_cleanup_free_ char *path = NULL;
		snprintf(name, sizeof(name), "%05u.txt", i);
		path = spool_path(name);
		append(path, "1|latte 70|1700000000\n");
	}
	take_well();
	assert_int_equal(seen.commits, 3);
	assert_counts(2100, 2100, 0, 0);
	take_well();
	assert_int_equal(seen.files, 0);
}

static void test_ignored_names(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		bool ignored;
		size_t base_len;
	} CASES[] = {
		{"a.txt", false, 0},        {".a", true, 0},
		{"a.tmp", true, 0},         {"a.COMPLETED", true, 1},
		{"a.COMPLETED.2", true, 1}, {"a.COMPLETED.x", false, 0},
		{"a.COMPLETED.", false, 0}, {".COMPLETED", true, 0},
		{"COMPLETED", false, 0},    {"a.COMPLETED.COMPLETED", true, 11},
		{"tmp", false, 0},          {"a.COMPLETEDx", false, 0},
	};
	char suffix[] = ".COMPLETED";
	const struct config_source source = {.suffix = suffix};
	const struct config_source without = {.when_done = WHEN_DONE_MOVE};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		size_t base_len = 99;
		assert_int_equal(intake_ignores(&source, CASES[i].name, &base_len), CASES[i].ignored);
		assert_int_equal(base_len, CASES[i].base_len);
	}
	size_t base_len;
	assert_false(intake_ignores(&without, "a.COMPLETED", &base_len));
}

static void test_what_is_no_file(void **state)
{
	(void)state;
	shop_open(CLASSIC_SOURCE);
	_cleanup_free_ char *dir = spool_path("dir");
	_cleanup_free_ char *fifo = spool_path("fifo");
	_cleanup_free_ char *link = spool_path("link");
	assert_int_equal(mkdir(dir, 0777), 0);
	assert_int_equal(mkfifo(fifo, 0666), 0);
	assert_int_equal(symlink("nowhere", link), 0);
	unsigned failed;
	struct error err = {0};
	assert_int_equal(take(&failed, &err), 0);
	assert_int_equal(failed, 0);
	assert_int_equal(seen.files, 3);
	_cleanup_free_ char *spool = shop_path("spool");
	assert_int_equal(file_remove_tree(spool, NULL), 0);
	assert_int_equal(take(&failed, &err), ERROR_CONFIG);
	assert_non_null(strstr(err.message, "spool"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_shop, remove_shop)
	const struct CMUnitTest tests[] = {
		TEST(test_existing_names),
		TEST(test_move),
		TEST(test_delete),
		TEST(test_grown_before_it_is_put_away),
		TEST(test_replaced_before_it_is_put_away),
		TEST(test_grown_before_it_is_moved_or_deleted),
		TEST(test_a_file_to_be_deleted_never_settles),
		TEST(test_grown_under_a_number),
		TEST(test_other_content_grown_under_a_number),
		TEST(test_many_small_files),
		TEST(test_ignored_names),
		TEST(test_what_is_no_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
