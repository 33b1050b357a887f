/* Queries over a deployment: the tables, the lock-down, what goes wrong. */
#include "serving/query.h"

#include "base/file.h"

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
	       "n\n\"accounts, customers_cln, loyalty, quarantine, transactions_cln\"\n");
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
					 "Tables: accounts, customers_cln, loyalty, quarantine, transactions_cln\n"
					 "LINE 3: FROM custmers_cln\n"
					 "             ^");
	assert_int_equal(query("SELECT nope FROM loyalty"), ERROR_SQL);
	assert_non_null(strstr(err.message, "\"nope\" not found"));
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
	snprintf(odd, sizeof(odd), "%s/it's [a] *shop*?", dir);
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

static atomic_bool stop_swapping;

static void *swap(void *arg)
{
	const int *const swaps = arg;
	_cleanup_free_ char *live = text_printf("%s/customers_cln", shop->warehouse_dir);
	for (int i = 0; i < *swaps && !atomic_load(&stop_swapping); i++) {
		_cleanup_free_ char *from = text_printf("%s/next%d.parquet", shop->warehouse_dir, i);
		_cleanup_free_ char *to = text_printf("%s/v%d.parquet", live, i + 1);
		_cleanup_free_ char *old = text_printf("%s/v%d.parquet", live, i);
		struct error local;
		if (rename(from, to) != 0 || file_remove_tree(old, &local) < 0)
			return NULL;
		usleep(100000);
	}
	return NULL;
}

static void test_table_is_replaced_meanwhile(void **state)
{
	(void)state;
	int swaps = 20;
	make_customers("v0.parquet", 1000);
	for (int i = 0; i < swaps; i++) {
		_cleanup_free_ char *after = text_printf("/next%d.parquet' (FORMAT parquet)", i);
		make("COPY (SELECT range AS cust_id FROM range(1000)) TO '", after);
	}
	pthread_t thread;
	atomic_store(&stop_swapping, false);
	assert_int_equal(pthread_create(&thread, NULL, swap, &swaps), 0);
	for (int i = 0; i < 15; i++) {
		const int rc = query("SELECT count(DISTINCT cust_id) AS n FROM customers_cln");
		if (rc < 0)
			print_message("%s\n", err.message);
		assert_int_equal(rc, 0);
		/* The one, or both in the moment between. */
		assert_string_equal(output, "n\n1000\n");
	}
	atomic_store(&stop_swapping, true);
	pthread_join(thread, NULL);
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
		WITH_SHOP(test_damaged_file),
		WITH_SHOP(test_odd_directory),
		WITH_SHOP(test_read_only_deployment),
		WITH_SHOP(test_table_is_replaced_meanwhile),
		WITH_SHOP(test_timeout),
		WITH_SHOP(test_signal),
		WITH_SHOP(test_watch_without_reason),
	};
	return cmocka_run_group_tests(tests, NULL, free_output);
}
