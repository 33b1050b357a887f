/* The compaction's steps: the same rows in the same order, what counts at each moment, who keeps it from what, and what is left
 * when it is killed at any point. */
#include "base/file.h"
#include "batch/committed.h"
#include "batch/compact.h"
#include "batch/files_lock.h"
#include "engine/engine.h"

#include <dirent.h>
#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define DAY      "2024-03-01"
#define NEXT_DAY "2024-03-02"
#define KILLED   77

static char base[64];
static char dir[96];
static struct deployment *shop;
static struct engine *engine;
static struct compactor *compactor;
static struct error err;

static const struct compact_options OPTIONS = {.min_files = 4, .quiet_s = 1000000000};

/* ---- dying at the n-th call ---- */

static long die_at; /* 0: never */

static void count_call(void)
{
	if (die_at && --die_at == 0)
		_exit(KILLED);
}

#define NEXT(name)                                         \
	static __typeof__(name) *next;                     \
	if (!next)                                         \
		*(void **)&next = dlsym(RTLD_NEXT, #name); \
	count_call()

/* Instead of the C library's, whose parameters have other names. NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */
int fsync(int fd)
{
	NEXT(fsync);
	return next(fd);
}

int rename(const char *from, const char *to)
{
	NEXT(rename);
	return next(from, to);
}

int unlink(const char *path)
{
	NEXT(unlink);
	return next(path);
}

int ftruncate(int fd, off_t len)
{
	NEXT(ftruncate);
	return next(fd, len);
}
/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */

/* ---- a shop ---- */

static void ok(int rc)
{
	if (rc < 0)
		fail_msg("%s", err.message);
}

static int make_shop(void **state)
{
	(void)state;
	(void)snprintf(base, sizeof(base), "%s/punchcard-test-compact-XXXXXX",
		       access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (!mkdtemp(base))
		return -1;
	(void)snprintf(dir, sizeof(dir), "%s/shop", base);
	if (deployment_init(dir, &err) < 0 || deployment_open(dir, DEPLOYMENT_COLLECT, "test", &shop, &err) < 0)
		return -1;
	return engine_open(&(struct engine_options){.memory_mib = 128, .threads = 1}, &engine, &err);
}

static int remove_shop(void **state)
{
	(void)state;
	compactor_close(compactor);
	compactor = NULL;
	engine_close(engine);
	engine = NULL;
	deployment_close(shop);
	shop = NULL;
	return file_remove_tree(base, NULL);
}

static char *partition(const char *day)
{
	char *const path = text_printf("%s/transactions_cln/data_dt=%s", shop->warehouse_dir, day);
	assert_non_null(path);
	return path;
}

#define ORDER_COLUMNS "'e' || i AS event_id, 1::INTEGER AS line_no, (i * 7 %% 10)::BIGINT AS cust_id"

/* Ten rows a block; files of more than orders have a column more. */
static void put_file(const char *day, unsigned first, unsigned last, bool only_orders)
{
	_cleanup_free_ char *path = partition(day);
	_cleanup_free_ char *sql = text_printf(
		"COPY (SELECT " ORDER_COLUMNS "%s FROM range(%u, %u) t(i)) TO '%s/orders-%012u-%012u.parquet' "
		"(FORMAT parquet)",
		only_orders ? "" : ", 'o' || i AS order_id", first * 10, (last + 1) * 10, path, first, last);
	ok(file_make_dirs(path, &err));
	ok(engine_run(engine, sql, &err));
}

static void put_files(const char *day, unsigned first, unsigned last)
{
	for (unsigned block = first; block <= last; block++)
		put_file(day, block, block, block % 3 != 0);
}

static void put_text(const char *relative, const char *text)
{
	_cleanup_free_ char *path = text_printf("%s/%s", shop->data_dir, relative);
	_cleanup_free_ char *parent = strdup(path);
	*strrchr(parent, '/') = '\0';
	ok(file_make_dirs(parent, &err));
	ok(file_write_durable(path, text, strlen(text), &err));
}

static struct compact_report step(uint64_t offset)
{
	struct compact_report report = {0};
	if (!compactor)
		ok(compactor_open(shop, &OPTIONS, &compactor, &err));
	ok(compactor_step(compactor, offset, &report, &err));
	return report;
}

/* The numbers of the files' blocks: "1-4 5-5". */
static void check_names(const char *day, const char *names)
{
	_cleanup_free_ char *path = partition(day);
	struct dirent **entries = NULL;
	char is[512] = "";
	const int n = scandir(path, &entries, NULL, alphasort);
	assert_true(n >= 0);
	for (int i = 0; i < n; i++) {
		struct committed_name name;
		if (committed_parse_name(entries[i]->d_name, &name))
			(void)snprintf(is + strlen(is), sizeof(is) - strlen(is), " %u-%u", (unsigned)name.first,
				       (unsigned)name.last);
		free(entries[i]);
	}
	free(entries);
	assert_string_equal(is, names);
}

static int64_t number(const char *sql)
{
	int64_t n = 0;
	ok(engine_run_int64(engine, sql, &n, &err));
	return n;
}

/* Rows of what counts by that offset; each must be there once. */
static int64_t count_rows(uint64_t offset)
{
	_cleanup_buf_ struct buf files = {0};
	unsigned n = 0;
	ok(committed_transactions(shop, offset, &files, &n, &err));
	assert_int_equal(buf_text(&files) ? 1 : 0, 1);
	_cleanup_free_ char *sql = text_printf("SELECT CASE WHEN count(*) = count(DISTINCT event_id) THEN count(*) "
					       "ELSE -1 END FROM read_parquet(%s, union_by_name = true)",
					       files.data);
	return n ? number(sql) : 0;
}

/* ---- merging ---- */

static void test_same_rows_same_order(void **state)
{
	(void)state;
	put_files(DAY, 2, 5);
	_cleanup_free_ char *path = partition(DAY);
	_cleanup_free_ char *same = text_printf(
		"SELECT count(*) FROM read_parquet('%s/orders-000000000002-000000000005.parquet', "
		"file_row_number = true, hive_partitioning = false) WHERE event_id = 'e' || (20 + "
		"file_row_number) AND line_no = 1 AND cust_id = (20 + file_row_number) * 7 %% 10 AND "
		"order_id IS NOT DISTINCT FROM CASE WHEN file_row_number BETWEEN 10 AND 19 THEN event_id.replace('e', "
		"'o') END",
		path);
	_cleanup_free_ char *columns =
		text_printf("SELECT count(*) FROM (DESCRIBE SELECT * FROM "
			    "read_parquet('%s/orders-000000000002-000000000005.parquet', hive_partitioning = false))",
			    path);
	_cleanup_files_lock_ struct files_lock reader = FILES_LOCK_NONE;
	ok(compactor_open(shop, &OPTIONS, &compactor, &err));
	files_lock_read(shop, &reader);
	const struct compact_report report = step(6);
	assert_false(report.blocked);
	assert_int_equal(report.files, 4);
	assert_int_equal(report.removed, 0);
	assert_int_equal(report.rows, 40);
	assert_int_equal(report.covered, 4);
	assert_true(report.bytes > 0 && report.bytes_to > 0 && report.bytes_to < report.bytes);
	assert_int_equal(number(same), 40);
	assert_int_equal(number(columns), 4);
	check_names(DAY, " 2-2 2-5 3-3 4-4 5-5");
	/* By each offset all rows once. */
	for (unsigned offset = 2; offset <= 6; offset++)
		assert_int_equal(count_rows(offset), (offset - 2) * 10);
	files_lock_release(&reader);
	const struct compact_report next = step(6);
	assert_int_equal(next.files, 0);
	assert_int_equal(next.removed, 4);
	assert_int_equal(next.covered, 0);
	check_names(DAY, " 2-5");
	assert_int_equal(count_rows(6), 40);
}

static void test_only_what_is_committed(void **state)
{
	(void)state;
	put_files(DAY, 1, 4);
	assert_int_equal(step(4).files, 0);
	assert_int_equal(step(5).removed, 4);
	put_file(DAY, 5, 6, true);
	assert_int_equal(step(6).removed, 0);
	assert_int_equal(count_rows(6), 40);
	assert_int_equal(count_rows(7), 60);
	check_names(DAY, " 1-4 5-6");
}

static void test_step_by_step(void **state)
{
	(void)state;
	put_files(DAY, 1, 10);
	put_files(NEXT_DAY, 11, 13);
	unsigned merged = 0;
	for (unsigned files = 1; files;) {
		files = step(14).files;
		merged += files;
	}
	assert_int_equal(count_rows(14), 130);
	assert_int_equal(merged, 10);
	step(14);
	check_names(DAY, " 1-10");
	check_names(NEXT_DAY, " 11-11 12-12 13-13");
}

static void test_quarantine(void **state)
{
	(void)state;
	for (unsigned block = 1; block <= 4; block++) {
		_cleanup_free_ char *sql =
			text_printf("COPY (SELECT 'f' AS file, i AS line FROM range(%u, %u) t(i)) TO "
				    "'%s/orders-%012u-%012u.parquet' (FORMAT parquet)",
				    block * 10, block * 10 + 3, shop->quarantine_dir, block, block);
		ok(engine_run(engine, sql, &err));
	}
	put_text("quarantine/customers-1.parquet", "of the batch layer");
	const struct compact_report report = step(5);
	assert_int_equal(report.files, 4);
	assert_int_equal(report.removed, 4);
	_cleanup_buf_ struct buf files = {0};
	unsigned n = 0;
	ok(committed_quarantine(shop, 5, &files, &n, &err));
	assert_int_equal(n, 2);
}

static void test_not_across_a_state(void **state)
{
	(void)state;
	put_files(DAY, 1, 5);
	put_text("warehouse/account_state/data_dt=2024-02-29/account-0123456789abcdef-000000000003-00.parquet", "");
	assert_int_equal(step(6).files, 0);
	put_file(DAY, 6, 6, true);
	assert_int_equal(step(7).files, 4);
	check_names(DAY, " 1-1 2-2 3-6");
	/* What was killed before it was swapped in. */
	put_files(NEXT_DAY, 11, 14);
	put_text("swap/tables/account_state/data_dt=2024-02-29/account-0123456789abcdef-000000000013-00.parquet", "");
	assert_int_equal(step(20).files, 0);
	ok(file_remove_tree(shop->warehouse_dir, &err));
}

static void test_what_is_odd_stays(void **state)
{
	(void)state;
	put_files(DAY, 1, 4);
	_cleanup_free_ char *path = partition(DAY);
	_cleanup_free_ char *from = text_printf("%s/orders-000000000001-000000000001.parquet", path);
	_cleanup_free_ char *to = text_printf("%s/orders-1-1.parquet", path);
	assert_int_equal(link(from, to), 0);
	assert_int_equal(step(6).files, 0);
	/* A copy's rows are too many. */
	assert_int_equal(count_rows(6), -1);
}

static void test_damage(void **state)
{
	(void)state;
	put_files(DAY, 1, 4);
	put_files(NEXT_DAY, 1, 3);
	put_text("warehouse/transactions_cln/data_dt=" NEXT_DAY "/orders-000000000004-000000000004.parquet",
		 "PAR1 this is none, and it is not even long enough to be one, so that it must be noticed");
	struct compact_report report = {0};
	ok(compactor_open(shop, &OPTIONS, &compactor, &err));
	assert_int_equal(compactor_step(compactor, 5, &report, &err), ERROR_CORRUPT);
	assert_non_null(strstr(err.message, NEXT_DAY));
	/* The others are merged all the same. */
	assert_int_equal(step(5).files, 4);
	assert_int_equal(compactor_step(compactor, 5, &report, &err), ERROR_CORRUPT);
	check_names(DAY, " 1-4");
	check_names(NEXT_DAY, " 1-1 2-2 3-3 4-4");
	_cleanup_free_ char *staged = text_printf("%s/compact.parquet", shop->tmp_dir);
	assert_false(file_exists(staged));
}

static void test_interrupted(void **state)
{
	(void)state;
	struct compact_report report = {0};
	put_files(DAY, 1, 4);
	ok(compactor_open(shop, &OPTIONS, &compactor, &err));
	compactor_interrupt(compactor);
	assert_int_equal(compactor_step(compactor, 5, &report, &err), ERROR_INTERRUPTED);
	check_names(DAY, " 1-1 2-2 3-3 4-4");
}

/* An older journal, by which not all of a file is committed: what was removed cannot be written again out of it. */
static void test_older_journal(void **state)
{
	(void)state;
	put_files(DAY, 1, 4);
	step(5);
	check_names(DAY, " 1-4");
	ok(committed_clean(shop, 5, 5, &err));
	assert_int_equal(committed_clean(shop, 3, 9, &err), ERROR_CORRUPT);
	check_names(DAY, " 1-4");
	put_file(DAY, 5, 5, true);
	ok(committed_clean(shop, 5, 9, &err));
	check_names(DAY, " 1-4");
}

/* ---- who keeps it from what ---- */

static void test_readers_keep_files(void **state)
{
	(void)state;
	_cleanup_files_lock_ struct files_lock before = FILES_LOCK_NONE;
	_cleanup_files_lock_ struct files_lock after = FILES_LOCK_NONE;
	put_files(DAY, 1, 4);
	ok(compactor_open(shop, &OPTIONS, &compactor, &err));
	files_lock_read(shop, &before);
	assert_true(before.fd >= 0);
	assert_int_equal(step(5).files, 4);
	files_lock_read(shop, &after);
	const struct compact_report kept = step(5);
	assert_int_equal(kept.removed, 0);
	assert_int_equal(kept.covered, 4);
	files_lock_release(&before);
	assert_int_equal(step(5).removed, 4);
	/* Who began later listed the merged one. */
	assert_true(after.fd >= 0);
}

/* What a compaction left that was killed: who reads now may have listed before it. */
static void test_readers_of_before(void **state)
{
	(void)state;
	_cleanup_files_lock_ struct files_lock before = FILES_LOCK_NONE;
	put_files(DAY, 1, 4);
	ok(compactor_open(shop, &OPTIONS, &compactor, &err));
	files_lock_read(shop, &before);
	step(5);
	compactor_close(compactor);
	compactor = NULL;
	assert_int_equal(step(5).removed, 0);
	files_lock_release(&before);
	assert_int_equal(step(5).removed, 4);
}

static void test_pinned(void **state)
{
	(void)state;
	_cleanup_files_lock_ struct files_lock one = FILES_LOCK_NONE;
	_cleanup_files_lock_ struct files_lock two = FILES_LOCK_NONE;
	put_files(DAY, 1, 4);
	ok(files_lock_pin(shop, &one, &err));
	ok(files_lock_pin(shop, &two, &err));
	assert_true(step(5).blocked);
	files_lock_release(&one);
	assert_true(step(5).blocked);
	files_lock_release(&two);
	assert_int_equal(step(5).files, 4);
	ok(files_lock_pin(shop, &one, &err));
	assert_true(step(5).blocked);
	check_names(DAY, " 1-4");
}

static void *pin(void *argument)
{
	struct error own = {0};
	return files_lock_pin(shop, argument, &own) < 0 ? argument : NULL;
}

static void test_pin_waits_for_one_merge(void **state)
{
	(void)state;
	_cleanup_files_lock_ struct files_lock merging = FILES_LOCK_NONE;
	_cleanup_files_lock_ struct files_lock other = FILES_LOCK_NONE;
	_cleanup_files_lock_ struct files_lock pinned = FILES_LOCK_NONE;
	bool held = false;
	ok(files_lock_open(shop, &merging, &err));
	ok(files_lock_open(shop, &other, &err));
	ok(files_lock_try_merge(&merging, &held, &err));
	assert_true(held);
	ok(files_lock_try_merge(&other, &held, &err));
	assert_false(held);
	pthread_t thread;
	void *failed = NULL;
	assert_int_equal(pthread_create(&thread, NULL, pin, &pinned), 0);
	/* Once it is waiting, no other merge begins. */
	for (unsigned i = 0; i < 10000; i++) {
		files_lock_end_merge(&merging);
		ok(files_lock_try_merge(&merging, &held, &err));
		if (!held)
			break;
		usleep(1000);
	}
	assert_false(held);
	pthread_join(thread, &failed);
	assert_null(failed);
	assert_true(pinned.fd >= 0);
	files_lock_release(&pinned);
	ok(files_lock_try_merge(&merging, &held, &err));
	assert_true(held);
}

/* ---- killed ---- */

/* In a process of its own. */
static int run_apart(int (*what)(long argument), long argument)
{
	const pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0)
		_exit(what(argument));
	int status = 0;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int compact_all(long at)
{
	struct compact_report report = {.files = 1};
	int rc = 0;
	die_at = at;
	rc = compactor_open(shop, &OPTIONS, &compactor, &err);
	while (rc == 0 && (report.files || report.covered))
		rc = compactor_step(compactor, 9, &report, &err);
	if (rc < 0)
		(void)fprintf(stderr, "%s\n", err.message);
	return rc < 0;
}

static int is_whole(long argument)
{
	(void)argument;
	engine = NULL;
	if (engine_open(&(struct engine_options){.memory_mib = 128, .threads = 1}, &engine, &err) < 0)
		return 2;
	for (unsigned offset = 5; offset <= 9; offset += 4)
		if (count_rows(offset) > (offset - 1) * 10)
			return 3;
	return count_rows(9) == 80 ? 0 : 4;
}

static void test_killed_at_any_call(void **state)
{
	(void)state;
	engine_close(engine);
	engine = NULL;
	int code = KILLED;
	long at = 0;
	while (code == KILLED) {
		at++;
		_cleanup_free_ char *path = partition(DAY);
		ok(file_remove_tree(path, &err));
		ok(engine_open(&(struct engine_options){.memory_mib = 128, .threads = 1}, &engine, &err));
		put_files(DAY, 1, 8);
		engine_close(engine);
		engine = NULL;
		code = run_apart(compact_all, at);
		assert_true(code == KILLED || code == 0);
		assert_int_equal(run_apart(is_whole, 0), 0);
		assert_int_equal(run_apart(compact_all, 0), 0);
		assert_int_equal(run_apart(is_whole, 0), 0);
		check_names(DAY, " 1-8");
	}
	/* Flush and rename of the file, flush of the directory, eight files removed, the lock's number twice. */
	assert_in_range(at, 13, 20);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_shop, remove_shop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_same_rows_same_order),
		TEST(test_only_what_is_committed),
		TEST(test_step_by_step),
		TEST(test_quarantine),
		TEST(test_not_across_a_state),
		TEST(test_what_is_odd_stays),
		TEST(test_damage),
		TEST(test_interrupted),
		TEST(test_older_journal),
		TEST(test_readers_keep_files),
		TEST(test_readers_of_before),
		TEST(test_pinned),
		TEST(test_pin_waits_for_one_merge),
		TEST(test_killed_at_any_call),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
