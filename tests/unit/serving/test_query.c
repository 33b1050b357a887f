/* Queries over a deployment: the tables, the lock-down, what goes wrong. */
#include "serving/query.h"

#include "base/file.h"
#include "serving/catalog.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64];
static struct deployment *shop;
static struct error err;

static int open_shop(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/punchcard-query-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	setenv("TMPDIR", dir, 1);
	char shop_dir[96];
	snprintf(shop_dir, sizeof(shop_dir), "%s/shop", dir);
	if (deployment_init(shop_dir, &err) < 0)
		return -1;
	return deployment_open(shop_dir, DEPLOYMENT_READ, "test", &shop, &err);
}

static int close_shop(void **state)
{
	(void)state;
	deployment_close(shop);
	shop = NULL;
	return file_remove_tree(dir, &err);
}

/* Runs SQL apart from the deployment, to make files in it. `%s` is data/warehouse. */
static void make(const char *before, const char *after)
{
	struct engine *engine = NULL;
	assert_int_equal(engine_open(&(struct engine_options){.threads = 1}, &engine, &err), 0);
	_cleanup_free_ char *sql = text_printf("%s%s%s", before, shop->warehouse_dir, after);
	const int rc = engine_run(engine, sql, &err);
	if (rc < 0)
		print_message("%s\n", err.message);
	assert_int_equal(rc, 0);
	engine_close(engine);
}

static void make_dir(const char *name)
{
	_cleanup_free_ char *path = text_printf("%s/%s", shop->warehouse_dir, name);
	assert_int_equal(file_make_dirs(path, &err), 0);
}

static void make_customers(const char *name, int n)
{
	make_dir("customers_cln");
	_cleanup_free_ char *before =
		text_printf("COPY (SELECT range AS cust_id, 'N' || range AS cust_nm, NULL::VARCHAR AS"
			    " cust_email, NULL::DATE AS cust_strt_dt FROM range(%d)) TO '",
			    n);
	_cleanup_free_ char *after = text_printf("/customers_cln/%s' (FORMAT parquet)", name);
	make(before, after);
}

static char *output;

static int query_with(const char *sql, struct watch *watch)
{
	free(output);
	output = NULL;
	size_t len = 0;
	FILE *const out = open_memstream(&output, &len);
	const struct query_options options = {.format = TABLE_CSV, .out = out, .watch = watch};
	err = (struct error){0};
	const int rc = query_run(shop, slice_of(sql), &options, &err);
	fclose(out);
	return rc;
}

static int query(const char *sql)
{
	return query_with(sql, NULL);
}

static void expect(const char *sql, const char *expected)
{
	const int rc = query(sql);
	if (rc < 0)
		print_message("%s: %s\n", sql, err.message);
	assert_int_equal(rc, 0);
	assert_string_equal(output, expected);
}

static void test_empty_deployment(void **state)
{
	(void)state;
	static const char *const TABLES[] = {"accounts", "customers_cln", "loyalty", "quarantine", "transactions_cln"};
	for (size_t i = 0; i < 5; i++) {
		_cleanup_free_ char *sql = text_printf("SELECT count(*) AS n FROM %s", TABLES[i]);
		expect(sql, "n\n0\n");
	}
	expect("SELECT string_agg(name, ', ') AS n FROM (SHOW TABLES)",
	       "n\n\"account_balances, accounts, balances, customers_cln, ledger, loyalty, quarantine, "
	       "transactions_cln\"\n");
	expect("SELECT count(*) AS n FROM customers_cln JOIN transactions_cln USING (cust_id) JOIN accounts USING "
	       "(cust_id)"
	       " JOIN loyalty USING (cust_id)",
	       "n\n0\n");
}

static void test_tables(void **state)
{
	(void)state;
	make_customers("a.parquet", 3);
	make_customers("b.parquet", 4);
	make_customers(".half.parquet", 100);
	make_dir("loyalty/data_dt=2020-07-06");
	make_dir("loyalty/data_dt=2020-07-07");
	make_dir("loyalty/.staging");
	make("COPY (SELECT 1::BIGINT AS cust_id, 5::DECIMAL(18,2) AS spnd_amt) TO '",
	     "/loyalty/data_dt=2020-07-06/x.parquet' (FORMAT parquet)");
	make("COPY (SELECT 2::BIGINT AS cust_id, 6::DECIMAL(18,2) AS spnd_amt, 'new' AS tier) TO '",
	     "/loyalty/data_dt=2020-07-07/y.parquet' (FORMAT parquet)");
	expect("SELECT count(*) AS n FROM customers_cln", "n\n7\n");
	expect("SELECT * FROM loyalty ORDER BY data_dt",
	       "cust_id,spnd_amt,tier,data_dt\n1,5.00,,2020-07-06\n2,6.00,new,2020-07-07\n");
	expect("SELECT sum(spnd_amt) AS s FROM loyalty WHERE data_dt = DATE '2020-07-07'", "s\n6.00\n");
	/* Spark's names work. */
	expect("SELECT timestamp_seconds(86400) AS t; SELECT 2 AS b;", "t\n1970-01-02 00:00:00\n\nb\n2\n");
}

static void test_refusals(void **state)
{
	(void)state;
	make_customers("a.parquet", 3);
	_cleanup_free_ char *inside =
		text_printf("COPY (SELECT 1) TO '%s/customers_cln/evil.parquet'", shop->warehouse_dir);
	assert_int_equal(query(inside), ERROR_USAGE);
	_cleanup_free_ char *explained =
		text_printf("EXPLAIN ANALYZE COPY (SELECT 1) TO '%s/customers_cln/evil.parquet'", shop->warehouse_dir);
	assert_int_equal(query(explained), ERROR_USAGE);
	assert_int_equal(query("SELECT * FROM enable_logging()"), ERROR_USAGE);
	assert_int_equal(query("SET threads = 1"), ERROR_USAGE);
	assert_int_equal(query(""), ERROR_USAGE);
	assert_int_equal(query(" ; -- nothing\n"), ERROR_USAGE);
	assert_int_equal(query("SELECT * FROM read_text('/etc/passwd')"), ERROR_SQL);
	_cleanup_free_ char *config = text_printf("SELECT * FROM read_text('%s/punchcard.yaml')", shop->dir);
	assert_int_equal(query(config), ERROR_SQL);
	_cleanup_free_ char *own = text_printf("SELECT count(*) AS n FROM read_parquet('%s/customers_cln/a.parquet')",
					       shop->warehouse_dir);
	expect(own, "n\n3\n");
	expect("SELECT count(*) AS n FROM customers_cln", "n\n3\n");
	/* None is run unless all may. */
	assert_int_equal(query("SELECT 1 AS a; DROP TABLE loyalty"), ERROR_USAGE);
	assert_string_equal(output, "");
	assert_int_equal(query("SELECT 1 AS a; SELECT nope FROM loyalty"), ERROR_SQL);
	assert_string_equal(output, "a\n1\n");
}

static void test_unknown_table(void **state)
{
	(void)state;
	assert_int_equal(query("SELECT 1;\nSELECT *\nFROM custmers_cln"), ERROR_SQL);
	assert_string_equal(err.message, "Table with name custmers_cln does not exist!\n"
					 "Tables: account_balances, accounts, balances, customers_cln, ledger, "
					 "loyalty, quarantine, transactions_cln\n"
					 "LINE 3: FROM custmers_cln\n"
					 "             ^");
	assert_int_equal(query("SELECT nope FROM loyalty"), ERROR_SQL);
	assert_non_null(strstr(err.message, "\"nope\" not found"));
}

static void test_spill_is_limited(void **state)
{
	(void)state;
	expect("SELECT current_setting('max_temp_directory_size') AS most", "most\n8.0 GiB\n");
}

static void write_text(const char *name, const char *text)
{
	_cleanup_free_ char *path = text_printf("%s/%s", shop->warehouse_dir, name);
	assert_int_equal(file_write_durable(path, text, strlen(text), &err), 0);
}

static void test_damaged_file(void **state)
{
	(void)state;
	make_customers("a.parquet", 3);
	make_dir("loyalty/data_dt=2020-07-06");
	write_text("loyalty/data_dt=2020-07-06/bad.parquet", "PAR1 this is no Parquet file PAR1");
	assert_int_equal(query("SELECT * FROM loyalty"), ERROR_CORRUPT);
	assert_non_null(strstr(err.message, "/loyalty/data_dt=2020-07-06/bad.parquet is damaged"));
	assert_non_null(strstr(err.message, "`punchcard refresh --data-dt 2020-07-06`"));
	_cleanup_free_ char *bad = text_printf("%s/loyalty/data_dt=2020-07-06/bad.parquet", shop->warehouse_dir);
	assert_int_equal(unlink(bad), 0);
	/* Damage that DuckDB reports without a name: in the data, of the second of two files. */
	make_customers("b.parquet", 10000);
	_cleanup_free_ char *path = text_printf("%s/customers_cln/b.parquet", shop->warehouse_dir);
	const int fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "\xa5\xa5\xa5\xa5\xa5\xa5\xa5\xa5", 8, 4), 8);
	close(fd);
	assert_int_equal(query("SELECT sum(cust_id) FROM customers_cln"), ERROR_CORRUPT);
	assert_non_null(strstr(err.message, "/customers_cln/b.parquet is damaged"));
	assert_non_null(strstr(err.message, "punchcard load customers"));
	/* The other tables can be read. */
	expect("SELECT count(*) AS n FROM quarantine", "n\n0\n");
}

static void test_odd_directory(void **state)
{
	(void)state;
	deployment_close(shop);
	shop = NULL;
	char odd[96];
	snprintf(odd, sizeof(odd), "%s/it's a \"shop\" & {caf\xc3\xa9}; --", dir);
	assert_int_equal(deployment_init(odd, &err), 0);
	assert_int_equal(deployment_open(odd, DEPLOYMENT_READ, "test", &shop, &err), 0);
	make_dir("customers_cln");
	_cleanup_free_ char *file = text_printf("%s/x.parquet", dir);
	_cleanup_free_ char *there = text_printf("%s/customers_cln/x.parquet", shop->warehouse_dir);
	struct engine *engine = NULL;
	assert_int_equal(engine_open(&(struct engine_options){.threads = 1}, &engine, &err), 0);
	_cleanup_free_ char *sql = text_printf("COPY (SELECT 1 AS cust_id) TO '%s'", file);
	assert_int_equal(engine_run(engine, sql, &err), 0);
	engine_close(engine);
	assert_int_equal(rename(file, there), 0);
	expect("SELECT * FROM customers_cln", "cust_id\n1\n");
}

static void test_read_only_deployment(void **state)
{
	(void)state;
	make_customers("a.parquet", 3);
	assert_int_equal(chmod(shop->data_dir, 0555), 0);
	expect("SELECT count(*) AS n FROM customers_cln", "n\n3\n");
	assert_int_equal(chmod(shop->data_dir, 0755), 0);
	/* Nothing of a query stays in $TMPDIR. */
	struct dirent **names = NULL;
	const int n = scandir(dir, &names, NULL, NULL);
	assert_int_equal(n, 3); /* ., .., shop */
	for (int i = 0; i < n; i++)
		free(names[i]);
	free((void *)names);
}

/* ---- a table that is replaced while it is read ---- */

/* The directory that takes the table's place next: one file of 1,000 customers, of a name that was never there. */
static void stage_customers(unsigned version)
{
	make_dir("next");
	_cleanup_free_ char *after = text_printf("/next/v%u.parquet' (FORMAT parquet)", version);
	make("COPY (SELECT range AS cust_id FROM range(1000)) TO '", after);
}

/* As load does it. */
static int replace_customers(void)
{
	struct error local;
	_cleanup_free_ char *live = text_printf("%s/customers_cln", shop->warehouse_dir);
	_cleanup_free_ char *next = text_printf("%s/next", shop->warehouse_dir);
	const int rc = file_exchange(next, live, &local);
	return rc < 0 ? rc : file_remove_tree(next, &local);
}

static void test_attached_files_vanish(void **state)
{
	(void)state;
	make_customers("v0.parquet", 1000);
	stage_customers(1);
	struct engine *engine = NULL;
	struct catalog *catalog = NULL;
	assert_int_equal(engine_open(&(struct engine_options){.threads = 1}, &engine, &err), 0);
	assert_int_equal(catalog_attach(engine, shop, &catalog, &err), 0);
	assert_int_equal(replace_customers(), 0);
	assert_int_equal(engine_run(engine, "SELECT sum(cust_id) FROM customers_cln", &err), ERROR_NOT_FOUND);
	engine_close(engine);
	catalog_detach(catalog);
	expect("SELECT sum(cust_id) AS n FROM customers_cln", "n\n499500\n");
}

static void *replace_later(void *arg)
{
	const useconds_t *const delay_us = arg;
	usleep(*delay_us);
	return replace_customers() < 0 ? arg : NULL;
}

static int64_t now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* One replacement a query, at moments all over it: one more attempt must do, however slow the machine is. */
static void test_table_is_replaced_meanwhile(void **state)
{
	(void)state;
	static const char SQL[] = "SELECT count(*) AS n FROM customers_cln";
	enum { ROUNDS = 10 };
	make_customers("v0.parquet", 1000);
	const int64_t start_us = now_us();
	expect(SQL, "n\n1000\n");
	const int64_t usual_us = now_us() - start_us;
	for (unsigned i = 0; i < ROUNDS; i++) {
		stage_customers(i + 1);
		useconds_t delay_us = (useconds_t)(usual_us * i / ROUNDS);
		pthread_t thread;
		assert_int_equal(pthread_create(&thread, NULL, replace_later, &delay_us), 0);
		const int rc = query(SQL);
		void *failed = NULL;
		pthread_join(thread, &failed);
		assert_null(failed);
		if (rc < 0)
			print_message("%s\n", err.message);
		assert_int_equal(rc, 0);
		assert_string_equal(output, "n\n1000\n");
	}
}

/* A list that is read while its directory is replaced and emptied is no list: a table never looks empty for that. */
static atomic_bool stop_replacing;

static void *replace_without_end(void *arg)
{
	_cleanup_free_ char *live = text_printf("%s/customers_cln", shop->warehouse_dir);
	_cleanup_free_ char *next = text_printf("%s/next", shop->warehouse_dir);
	_cleanup_free_ char *file = text_printf("%s/v1.parquet", next);
	_cleanup_free_ char *kept = text_printf("%s/kept.parquet", shop->warehouse_dir);
	while (!atomic_load(&stop_replacing)) {
		/* The file is always where the path of the table leads to, and never anywhere else. */
		if (mkdir(next, 0755) != 0 || link(kept, file) != 0 ||
		    renameat2(AT_FDCWD, next, AT_FDCWD, live, RENAME_EXCHANGE) != 0 || unlink(file) != 0 ||
		    rmdir(next) != 0)
			return arg;
	}
	return NULL;
}

static void test_list_is_whole(void **state)
{
	(void)state;
	make_dir("customers_cln");
	make("COPY (SELECT range AS cust_id FROM range(1000)) TO '", "/kept.parquet' (FORMAT parquet)");
	_cleanup_free_ char *kept = text_printf("%s/kept.parquet", shop->warehouse_dir);
	_cleanup_free_ char *first = text_printf("%s/customers_cln/v1.parquet", shop->warehouse_dir);
	assert_int_equal(link(kept, first), 0);
	pthread_t thread;
	atomic_store(&stop_replacing, false);
	assert_int_equal(pthread_create(&thread, NULL, replace_without_end, shop), 0);
	unsigned found = 0;
	for (unsigned i = 0; i < 100; i++) {
		struct engine *engine = NULL;
		struct catalog *catalog = NULL;
		int64_t n = 0;
		assert_int_equal(engine_open(&(struct engine_options){.threads = 1}, &engine, &err), 0);
		int rc = catalog_attach(engine, shop, &catalog, &err);
		if (rc == 0)
			rc = engine_run_int64(engine, "SELECT count(*) FROM customers_cln", &n, &err);
		/* The file may be gone for a moment between the list and its opening, as nothing else is called so. */
		assert_true(rc == 0 || rc == ERROR_NOT_FOUND);
		assert_true(rc < 0 || n == 1000);
		found += rc == 0;
		engine_close(engine);
		catalog_detach(catalog);
	}
	atomic_store(&stop_replacing, true);
	void *failed = NULL;
	pthread_join(thread, &failed);
	assert_null(failed);
	assert_true(found > 0);
}

/* ---- interrupts ---- */

static const char ENDLESS[] = "SELECT count(*) FROM range(100000000) a, range(100000000) b"
			      " WHERE hash(a.range) = hash(b.range + 1) + 1";

static void test_timeout(void **state)
{
	(void)state;
	struct watch *watch = NULL;
	assert_int_equal(watch_start(1, &watch, &err), 0);
	assert_int_equal(query_with(ENDLESS, watch), ERROR_INTERRUPTED);
	assert_int_equal(watch_stop(watch), WATCH_TIMEOUT);
	assert_string_equal(output, "");
}

static void *send_signal(void *arg)
{
	(void)arg;
	usleep(200000);
	kill(getpid(), SIGINT);
	return NULL;
}

static void test_signal(void **state)
{
	(void)state;
	struct watch *watch = NULL;
	assert_int_equal(watch_start(0, &watch, &err), 0);
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, send_signal, NULL), 0);
	assert_int_equal(query_with(ENDLESS, watch), ERROR_INTERRUPTED);
	assert_int_equal(watch_reason(watch), WATCH_SIGNAL);
	assert_string_equal(err.message, "interrupted");
	pthread_join(thread, NULL);
	/* Later engines are interrupted at once. */
	assert_int_equal(query_with("SELECT 1", watch), ERROR_INTERRUPTED);
	assert_int_equal(watch_stop(watch), WATCH_SIGNAL);
	assert_int_equal(query("SELECT 1"), 0);
}

static void test_watch_without_reason(void **state)
{
	(void)state;
	struct watch *watch = NULL;
	assert_int_equal(watch_start(100, &watch, &err), 0);
	assert_int_equal(query_with("SELECT 1 AS a", watch), 0);
	assert_string_equal(output, "a\n1\n");
	assert_int_equal(watch_stop(watch), WATCH_NONE);
	assert_int_equal(watch_stop(NULL), WATCH_NONE);
}

static int free_output(void **state)
{
	(void)state;
	free(output);
	output = NULL;
	return 0;
}

#define WITH_SHOP(test) cmocka_unit_test_setup_teardown(test, open_shop, close_shop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SHOP(test_empty_deployment),
		WITH_SHOP(test_tables),
		WITH_SHOP(test_refusals),
		WITH_SHOP(test_unknown_table),
		WITH_SHOP(test_spill_is_limited),
		WITH_SHOP(test_damaged_file),
		WITH_SHOP(test_odd_directory),
		WITH_SHOP(test_read_only_deployment),
		WITH_SHOP(test_attached_files_vanish),
		WITH_SHOP(test_table_is_replaced_meanwhile),
		WITH_SHOP(test_list_is_whole),
		WITH_SHOP(test_timeout),
		WITH_SHOP(test_signal),
		WITH_SHOP(test_watch_without_reason),
	};
	return cmocka_run_group_tests(tests, NULL, free_output);
}
