/* What a deployment's cluster is for Spark, and which files count: by the marks in the warehouse. */
#include "cluster/session.h"

#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct place {
	char base[64];
	char *shop;
	struct deployment *deployment;
	struct cluster_session session;
};

static int make_place(void **state)
{
	struct place *const place = calloc(1, sizeof(*place));
	assert_non_null(place);
	snprintf(place->base, sizeof(place->base), "/tmp/punchcard-test-session-XXXXXX");
	assert_non_null(mkdtemp(place->base));
	place->shop = text_printf("%s/shop", place->base);
	assert_int_equal(deployment_init(place->shop, NULL), 0);
	*state = place;
	return 0;
}

static int remove_place(void **state)
{
	struct place *const place = *state;
	cluster_session_close(&place->session);
	deployment_close(place->deployment);
	assert_int_equal(file_remove_tree(place->base, NULL), 0);
	free(place->shop);
	free(place);
	return 0;
}

/* `rest` stands behind the keys of every cluster. */
static int open_session(struct place *place, const char *hdfs, const char *rest, struct error *err)
{
	_cleanup_free_ char *path = text_printf("%s/punchcard.yaml", place->shop);
	_cleanup_free_ char *text =
		text_printf("version: 1\ncustomer_id: text\ncluster:\n  edge: e\n  hdfs: {url: '%s', path: /p}\n  "
			    "hbase: {url: 'file://%s/cells'}\n%s",
			    hdfs, place->base, rest);
	assert_int_equal(file_write_durable(path, text, strlen(text), NULL), 0);
	assert_int_equal(deployment_open(place->shop, DEPLOYMENT_READ, "collect", &place->deployment, err), 0);
	return cluster_session_open(place->deployment, "batch", &place->session, err);
}

static const char *setting(const struct cluster_session *session, const char *key)
{
	for (unsigned i = 0; i < session->spark.n_settings; i++)
		if (strcmp(session->spark.settings[i].key, key) == 0)
			return session->spark.settings[i].value;
	return NULL;
}

static void test_of_directories(void **state)
{
	struct place *const place = *state;
	struct error err = {0};
	_cleanup_free_ char *url = text_printf("file://%s/lake", place->base);
	_cleanup_free_ char *warehouse = text_printf("%s/p/warehouse", url);
	_cleanup_free_ char *derby =
		text_printf("jdbc:derby:;databaseName=%s/lake/p/_metastore;create=true", place->base);
	setenv("TMPDIR", "/var/tmp", 1);
	assert_int_equal(open_session(place, url, "  spark: {command: [a, b, c], conf: [spark.x=y=z]}\n", &err), 0);
	const struct cluster_session *const session = &place->session;
	assert_string_equal(session->tables.warehouse, warehouse);
	assert_string_equal(session->tables.database, "punchcard");
	assert_int_equal(session->tables.id_type, CUSTOMER_ID_TEXT);
	assert_string_equal(session->spark.command, "a");
	assert_int_equal(session->spark.n_words, 2);
	assert_string_equal(session->spark.words[1], "c");
	assert_string_equal(session->spark.master, "yarn");
	assert_string_equal(session->spark.tmp_dir, "/var/tmp");
	assert_string_equal(setting(session, "spark.x"), "y=z");
	assert_string_equal(setting(session, "spark.hadoop.javax.jdo.option.ConnectionURL"), derby);
}

static void test_a_metastore_of_ones_own(void **state)
{
	struct place *const place = *state;
	struct error err = {0};
	_cleanup_free_ char *url = text_printf("file://%s/lake", place->base);
	assert_int_equal(
		open_session(place, url, "  spark: {conf: ['spark.hadoop.hive.metastore.uris=thrift://m:1']}\n", &err),
		0);
	assert_int_equal(place->session.spark.n_settings, 2);
}

static void test_of_servers(void **state)
{
	struct place *const place = *state;
	struct error err = {0};
	assert_int_equal(open_session(place, "http://nn:9870", "", &err), ERROR_CONFIG);
	assert_non_null(strstr(err.message, "cluster.spark.filesystem: this key is missing"));
	cluster_session_close(&place->session);
	deployment_close(place->deployment);
	assert_int_equal(open_session(place, "http://nn:9870", "  spark: {filesystem: 'hdfs://nn:8020'}\n", &err), 0);
	assert_string_equal(place->session.tables.warehouse, "hdfs://nn:8020/p/warehouse");
	assert_int_equal(place->session.spark.n_settings, 0);
}

static void put(struct warehouse *warehouse, const char *path)
{
	struct error err = {0};
	if (warehouse_put_bytes(warehouse, path, SLICE(""), &err) < 0)
		fail_msg("%s", err.message);
}

static void test_cut(void **state)
{
	struct place *const place = *state;
	struct error err = {0};
	struct cluster_session *const session = &place->session;
	_cleanup_free_ char *url = text_printf("file://%s/lake", place->base);
	assert_int_equal(open_session(place, url, "", &err), 0);
	assert_int_equal(cluster_session_cut(session, &err), 0);
	assert_int_equal(session->cut.n_edges, 0);
	static const char *const MARKS[] = {
		/* An edge of many, one that has shipped no table yet, and a file of somebody's. */
		"edges/till-2/hdfs-table-000000000008",
		"edges/till-2/hdfs-table-000000000017",
		"edges/till-2/hdfs-raw-000000000099",
		"edges/new/hdfs-raw-000000000002",
		"edges/a/hdfs-table-000000000002",
		"edges/README",
		"edges/a/hdfs-table-none",
	};
	for (size_t i = 0; i < sizeof(MARKS) / sizeof(MARKS[0]); i++)
		put(session->warehouse, MARKS[i]);
	for (int again = 0; again < 2; again++) {
		assert_int_equal(cluster_session_cut(session, &err), 0);
		assert_int_equal(session->cut.n_edges, 2);
		assert_string_equal(session->cut.edges[0].name, "a");
		assert_int_equal(session->cut.edges[0].next_block, 2);
		assert_string_equal(session->cut.edges[1].name, "till-2");
		assert_int_equal(session->cut.edges[1].next_block, 17);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_of_directories, make_place, remove_place),
		cmocka_unit_test_setup_teardown(test_a_metastore_of_ones_own, make_place, remove_place),
		cmocka_unit_test_setup_teardown(test_of_servers, make_place, remove_place),
		cmocka_unit_test_setup_teardown(test_cut, make_place, remove_place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
