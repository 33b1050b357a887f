/* The spool source on what stops other collectors, or makes them cut, destroy, double or lose lines: nothing stops this one. */
#include "spool_daemon.h"

#include <signal.h>
#include <sys/resource.h>

#define LINE(n) n "|latte 70|1700000000\n"

/* The source is still at work: it takes this file. */
static void assert_works(void)
{
	static unsigned n;
	char name[32];
	snprintf(name, sizeof(name), "alive%u.txt", n++);
	const uint64_t before = durable();
	shop_put(name, LINE("9"));
	wait_for_lines(before + 1);
}

static void test_encoding(void **state)
{
	(void)state;
	shop_open(SPOOL("settle_ms: 0"));
	start();
	shop_put("bytes.txt", LINE("1") "2|caf\xE9 70|1700000000\n" LINE("3"));
	wait_for_lines(3);
	shop_put("mark.txt", "\xEF\xBB\xBF"
			     "4|caf\xC3\xA9 70|1700000000\r\n5|tea 1|1700000000\r\n");
	wait_for_lines(5);
	shop_put_bytes("nul.txt", "6|te\0a 1|1700000000\n7|tea 1|1700000000\n", 39);
	wait_for_lines(7);
	assert_works();
	stop();
	_cleanup_buf_ struct buf have = {0};
	dump(&have);
	assert_non_null(strstr(have.data, "! bytes.txt:2 encoding\n"));
	assert_non_null(strstr(have.data, "mark.txt:1/1 4 caf\xC3\xA9 7000 @1\nmark.txt:2/1 5 tea 100 @2\n"));
	assert_non_null(strstr(have.data, "! nul.txt:1 nul_byte\n"));
	assert_non_null(strstr(have.data, "nul.txt:2/1 7 tea 100 @2\n"));
}

/* Lines of 2,046 to 2,050 bytes, with a character of two bytes at the border. */
static void test_long_lines(void **state)
{
	(void)state;
	shop_open("sources:\n  - {name: till, dir: spool, format: receipts, settle_ms: 0}\n" RECEIPTS_MAPPING);
	start();
	_cleanup_buf_ struct buf text = {0};
	buf_printf(&text, "%s", RECEIPTS_HEADER);
	for (unsigned len = 2046; len <= 2050; len++) {
		char head[64];
		const int n = snprintf(head, sizeof(head), "r%u,1,5,1700000000,tea,2.00,", len);
		buf_printf(&text, "%s%0*d\xC3\xA9%s\n", head, 2046 - n, 0, &"xxxx"[4 - (len - 2046)]);
	}
	shop_put_bytes("long.csv", text.data, text.len);
	wait_for_lines(5);
	wait_for_file("long.csv.COMPLETED");
	stop();
	/* A column too many: set aside whole, none cut in pieces. */
	_cleanup_buf_ struct buf have = {0};
	dump(&have);
	assert_string_equal(have.data, "! long.csv:2 column_count\n! long.csv:3 column_count\n"
				       "! long.csv:4 column_count\n! long.csv:5 column_count\n"
				       "! long.csv:6 column_count\n");
}

static void test_empty(void **state)
{
	(void)state;
	shop_open(SPOOL("settle_ms: 100"));
	start();
	shop_put("empty.txt", "");
	wait_for_file("empty.txt.COMPLETED");
	shop_put("blank.txt", "\n\r\n\n");
	wait_for_file("blank.txt.COMPLETED");
	assert_int_equal(durable(), 0);
	assert_works();
	stop();
}

static void test_name_again(void **state)
{
	(void)state;
	shop_open(SPOOL("settle_ms: 0"));
	start();
	shop_put("a.txt", LINE("1"));
	wait_for_file("a.txt.COMPLETED");
	shop_put("a.txt", LINE("1"));
	wait_for_file("a.txt.COMPLETED.2");
	wait_for_log("file had already", 1);
	shop_put("a.txt", LINE("2"));
	wait_for_file("a.txt.COMPLETED.3");
	wait_for_lines(2);
	assert_works();
	stop();
	_cleanup_buf_ struct buf have = {0};
	dump(&have);
	assert_non_null(strstr(have.data, "a.txt:1/1 1 latte 7000 @1\n! a.txt:1 file_name_reused\n"));
}

/* While somebody writes to it: what was taken is not taken again under the new name. */
static void test_renamed_while_read(void **state)
{
	(void)state;
	shop_open(SPOOL("settle_ms: 2000"));
	start();
	_cleanup_free_ char *path = spool_path("a.txt");
	FILE *const file = fopen(path, "we");
	assert_non_null(file);
	assert_true(fputs(LINE("1") LINE("2") "3|la", file) >= 0);
	assert_int_equal(fflush(file), 0);
	wait_for_lines(2);
	rename_back("a.txt", "b.txt");
	assert_works();
	assert_true(fputs("tte 70|1700000000\n" LINE("4"), file) >= 0);
	assert_int_equal(fclose(file), 0);
	wait_for_lines(5);
	wait_for_file("b.txt.COMPLETED");
	/* Another file that had the name of one that was read. */
	grow("c.txt", LINE("5"));
	wait_for_lines(6);
	shop_put("c.txt", LINE("6"));
	wait_for_lines(7);
	stop();
	_cleanup_buf_ struct buf have = {0};
	dump(&have);
	assert_non_null(strstr(have.data, "a.txt:1/1 1 latte 7000 @1\na.txt:2/1 2 latte 7000 @2\n"));
	assert_null(strstr(have.data, "b.txt:1"));
	assert_null(strstr(have.data, "b.txt:2"));
	assert_non_null(strstr(have.data, "b.txt:3/1 3 latte 7000 @3\n"));
	assert_non_null(strstr(have.data, "b.txt:4/1 4 latte 7000 @4\n"));
}

static void test_deleted_while_read(void **state)
{
	(void)state;
	shop_open(SPOOL("settle_ms: 2000"));
	start();
	grow("a.txt", LINE("1") "2|la");
	wait_for_lines(1);
	_cleanup_free_ char *path = spool_path("a.txt");
	assert_int_equal(unlink(path), 0);
	assert_works();
	/* Again, and it is the same file. */
	shop_put("a.txt", LINE("1") LINE("2"));
	wait_for_lines(3);
	stop();
	assert_int_equal(logged("warning"), 0);
}

/* Said once, tried again when something happens to it, and nothing waits for it. */
static void test_unreadable(void **state)
{
	(void)state;
	shop_open(SPOOL("settle_ms: 0, scan_s: 1"));
	shop_put_bytes("wide.txt",
		       "\xFF\xFE"
		       "1\0|\0",
		       6);
	size_t len;
	put_gzip("cut.txt.gz", LINE("1") LINE("2"), strlen(LINE("1") LINE("2")), 30, &len);
	_cleanup_free_ char *fifo = spool_path("fifo");
	assert_int_equal(mkfifo(fifo, 0666), 0);
	make_dir("dir");
	start();
	wait_for_log("file failed", 2);
	wait_for_log("file skipped", 2);
	assert_works();
	put_gzip("cut.txt.gz", LINE("1") LINE("2"), strlen(LINE("1") LINE("2")), 0, &len);
	wait_for_file("cut.txt.gz.COMPLETED");
	shop_put("wide.txt", LINE("3"));
	wait_for_file("wide.txt.COMPLETED");
	/* Some scans later. */
	grow("dir/x", "not for us");
	const int64_t until = now_ms() + 2200;
	while (now_ms() < until)
		sleep_ms(50);
	assert_works();
	stop();
	assert_int_equal(logged("warning"), 4);
	if (geteuid() == 0)
		return; /* who may read everything */
	_cleanup_free_ char *secret = spool_path("secret.txt");
	start();
	shop_put("secret.txt.tmp", LINE("4"));
	_cleanup_free_ char *tmp = spool_path("secret.txt.tmp");
	assert_int_equal(chmod(tmp, 0), 0);
	rename_back("secret.txt.tmp", "secret.txt");
	wait_for_log("file failed", 3);
	assert_int_equal(chmod(secret, 0600), 0);
	wait_for_file("secret.txt.COMPLETED");
	stop();
}

/* A gzip file that is being written is not called damaged. */
static void test_gzip_in_the_making(void **state)
{
	(void)state;
	shop_open(SPOOL("settle_ms: 1500"));
	_cleanup_free_ char *from = spool_path("whole.tmp");
	_cleanup_free_ char *to = spool_path("a.txt.gz");
	size_t len;
	put_gzip("whole.tmp", LINE("1") LINE("2"), strlen(LINE("1") LINE("2")), 0, &len);
	_cleanup_buf_ struct buf packed = {0};
	assert_int_equal(file_read_all(from, 1000, &packed, NULL), 0);
	start();
	FILE *const file = fopen(to, "we");
	assert_non_null(file);
	assert_int_equal(fwrite(packed.data, 1, 12, file), 12);
	assert_int_equal(fflush(file), 0);
	assert_works();
	assert_int_equal(fwrite(packed.data + 12, 1, packed.len - 12, file), packed.len - 12);
	assert_int_equal(fclose(file), 0);
	wait_for_lines(3);
	wait_for_file("a.txt.gz.COMPLETED");
	stop();
	assert_int_equal(logged("warning"), 0);
}

static void test_directory_comes_and_goes(void **state)
{
	(void)state;
	shop_open(SPOOL("settle_ms: 0, scan_s: 86400"));
	_cleanup_free_ char *dir = shop_path("spool");
	_cleanup_free_ char *away = shop_path("away");
	assert_int_equal(file_remove_tree(dir, NULL), 0);
	start();
	wait_for_log("cannot list a directory", 1);
	assert_int_equal(mkdir(dir, 0777), 0);
	assert_works();
	/* Removed, and a file in its place: said once more, however often it is tried. */
	assert_int_equal(file_remove_tree(dir, NULL), 0);
	wait_for_log("cannot list a directory", 2);
	shop_write("spool", "x", 1);
	const int64_t until = now_ms() + 2200;
	while (now_ms() < until)
		sleep_ms(50);
	assert_int_equal(logged("cannot list a directory"), 2);
	assert_int_equal(unlink(dir), 0);
	assert_int_equal(mkdir(dir, 0777), 0);
	assert_works();
	/* Renamed, and another in its place. */
	assert_int_equal(rename(dir, away), 0);
	assert_int_equal(mkdir(dir, 0777), 0);
	assert_works();
	wait_for_log("the directory can be listed again", logged("the directory can be listed again"));
	stop();
}

/* The disk is full: an error of run, nothing half done, and the next run goes on. */
static void test_no_room(void **state)
{
	(void)state;
	shop_open(SPOOL("settle_ms: 0"));
	start();
	assert_works();
	_cleanup_free_ char *data = text_printf("%s/data.mdb", shop->journal_dir);
	struct stat st;
	assert_int_equal(stat(data, &st), 0);
	signal(SIGXFSZ, SIG_IGN);
	struct rlimit limit;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	const struct rlimit small = {.rlim_cur = (rlim_t)st.st_size, .rlim_max = limit.rlim_max};
	_cleanup_buf_ struct buf text = {0};
	for (unsigned i = 0; i < 100000; i++)
		buf_printf(&text, "%u|latte 70|1700000000\n", i + 1);
	shop_put_bytes("big.tmp", text.data, text.len);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	rename_back("big.tmp", "big.txt");
	const int rc = join();
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_true(rc < 0);
	assert_true(spool_has("big.txt"));
	run_again();
	wait_for_lines(100001);
	wait_for_file("big.txt.COMPLETED");
	assert_works();
	stop();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_shop, remove_daemon)
	const struct CMUnitTest tests[] = {
		TEST(test_encoding),   TEST(test_long_lines),         TEST(test_empty),
		TEST(test_name_again), TEST(test_renamed_while_read), TEST(test_deleted_while_read),
		TEST(test_unreadable), TEST(test_gzip_in_the_making), TEST(test_directory_comes_and_goes),
		TEST(test_no_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
