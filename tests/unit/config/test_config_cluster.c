/* The section `cluster` of punchcard.yaml: what it gives, and the exact words of each refusal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config_texts.h"

#define CLUSTER(rest)                                                                            \
	"version: 1\ncluster:\n  edge: till-1\n  hdfs: {url: 'http://nn:9870'}\n  hbase: {url: " \
	"'https://gw:8080'}\n" rest
#define HDFS(rest)  "version: 1\ncluster:\n  edge: e\n  hbase: {url: 'http://gw'}\n  hdfs: {" rest "}\n"
#define HBASE(rest) "version: 1\ncluster:\n  edge: e\n  hdfs: {url: 'http://nn'}\n  hbase: {" rest "}\n"

static void test_cluster_defaults(void **state)
{
	(void)state;
	struct config *config = parse("version: 1\n");
	assert_false(config->cluster.on);
	config_free(config);
	config = parse(CLUSTER(""));
	const struct config_cluster *const cluster = &config->cluster;
	assert_true(cluster->on);
	assert_string_equal(cluster->edge, "till-1");
	assert_string_equal(cluster->hdfs_url, "http://nn:9870");
	assert_string_equal(cluster->hdfs_path, "/user/punchcard");
	assert_string_equal(cluster->hdfs_user, "punchcard");
	assert_int_equal(cluster->hdfs_auth, CLUSTER_AUTH_SIMPLE);
	assert_null(cluster->hdfs_token_file);
	assert_string_equal(cluster->hbase_url, "https://gw:8080");
	assert_string_equal(cluster->hbase_prefix, "punchcard_");
	assert_int_equal(cluster->spark_command.count, 1);
	assert_string_equal(cluster->spark_command.items[0], "spark-sql");
	assert_string_equal(cluster->spark_master, "yarn");
	assert_null(cluster->spark_queue);
	assert_string_equal(cluster->spark_database, "punchcard");
	assert_null(cluster->spark_filesystem);
	assert_int_equal(cluster->spark_conf.count, 0);
	assert_int_equal(cluster->stream, CLUSTER_STREAM_PUNCHCARD);
	assert_int_equal(cluster->ship_max_mib, 128);
	assert_int_equal(cluster->ship_max_delay_s, 300);
	config_free(config);
}

/* Options of a JVM are longer than what people write else. */
static void test_long_settings(void **state)
{
	char setting[9000];
	char text[10000];
	(void)state;
	for (size_t len = 8192; len <= 8193; len++) {
		memset(setting, 'x', len);
		memcpy(setting, "spark.a=", 8);
		setting[len] = '\0';
		snprintf(text, sizeof(text), CLUSTER("  spark: {conf: [%s]}\n"), setting);
		struct config *config = NULL;
		struct error err = {0};
		const int rc = config_parse("p.yaml", text, strlen(text), &config, &err);
		config_free(config);
		assert_int_equal(rc, len == 8192 ? 0 : ERROR_CONFIG);
		assert_true(rc == 0 || strstr(err.message, "…' is longer than 8192 bytes; expected a setting"));
	}
}

static void test_cluster_values(void **state)
{
	(void)state;
	struct config *const config =
		parse("version: 1\ncluster:\n  edge: e\n"
		      "  hdfs: {url: 'http://nn:1/gateway', path: /p/q, auth: token, token_file: t}\n"
		      "  hbase: {url: 'http://gw', auth: spnego, table_prefix: 'x:'}\n"
		      "  spark: {command: [/opt/spark/bin/spark-sql, -v], master: 'local[2]', queue: q, database: d, "
		      "filesystem: 'hdfs://nn:8020', "
		      "conf: [spark.a=b, spark.c=d=e]}\n"
		      "  stream: spark\n  ship: {max_mib: 1, max_delay_s: 2}\n");
	const struct config_cluster *const cluster = &config->cluster;
	assert_int_equal(cluster->hdfs_auth, CLUSTER_AUTH_TOKEN);
	assert_string_equal(cluster->hdfs_token_file, "t");
	assert_int_equal(cluster->hbase_auth, CLUSTER_AUTH_SPNEGO);
	assert_string_equal(cluster->hbase_prefix, "x:");
	assert_int_equal(cluster->spark_command.count, 2);
	assert_string_equal(cluster->spark_master, "local[2]");
	assert_string_equal(cluster->spark_queue, "q");
	assert_string_equal(cluster->spark_conf.items[1], "spark.c=d=e");
	assert_string_equal(cluster->spark_filesystem, "hdfs://nn:8020");
	assert_int_equal(cluster->stream, CLUSTER_STREAM_SPARK);
	assert_int_equal(cluster->ship_max_mib, 1);
	assert_int_equal(cluster->ship_max_delay_s, 2);
	config_free(config);
}

static void test_cluster_refused(void **state)
{
	(void)state;
	static const struct refusal CASES[] = {
		{"version: 1\ncluster: {edge: e, hdfs: {url: 'http://n'}}\n",
		 "p.yaml:2: cluster.hbase: this key is missing; expected the keys url, table_prefix, auth and "
		 "token_file "
		 "below it"},
		{HDFS("url: 'hdfs://nn:8020'"),
		 "p.yaml:5: cluster.hdfs.url: 'hdfs://nn:8020' is no URL of a server; expected http:// or https://, a "
		 "host, and its port, such as http://namenode:9870"},
		{HDFS("url: 'http://u@nn'"), "p.yaml:5: cluster.hdfs.url: 'http://u@nn' is no URL of a server; "
					     "expected http:// or https://, a host, "
					     "and its port, such as http://namenode:9870"},
		{HDFS("url: 'http://nn', path: user"),
		 "p.yaml:5: cluster.hdfs.path: 'user' is no directory for us; expected an absolute one, without '/' at "
		 "its end and without patterns, such as /user/punchcard"},
		{HDFS("url: 'http://nn', path: '/a=b'"),
		 "p.yaml:5: cluster.hdfs.path: '/a=b' is no directory for us; expected an absolute one, without '/' at "
		 "its end and without patterns, such as /user/punchcard"},
		{HDFS("url: 'http://nn', auth: token"),
		 "p.yaml:5: cluster.hdfs.token_file: this key is missing; with auth: token, expected a file with the "
		 "token"},
		{HDFS("url: 'http://nn', token_file: t"),
		 "p.yaml:5: cluster.hdfs.token_file: it goes with auth: token only; expected that, or no token_file"},
		{HBASE("url: gw"), "p.yaml:5: cluster.hbase.url: 'gw' is no URL of a server; expected http:// or "
				   "https://, a host, and its port, such as http://gateway:8080"},
		{HBASE("url: 'http://gw', table_prefix: 'a:b'"), "p.yaml:5: cluster.hbase.table_prefix: 'a:b' cannot "
								 "begin a table's name; expected letters, digits and "
								 "'_', at most 64, or such a namespace and ':'"},
		{CLUSTER("  spark: {conf: [executor.memory=1g]}\n"),
		 "p.yaml:6: cluster.spark.conf[0]: 'executor.memory=1g' is no setting; expected such as "
		 "spark.executor.memory=4g"},
		{CLUSTER("  spark: {filesystem: 'hdfs://nn:8020/'}\n"),
		 "p.yaml:6: cluster.spark.filesystem: 'hdfs://nn:8020/' is no file system; expected one as Spark knows "
		 "it, "
		 "without a path, such as hdfs://namenode:8020"},
		{CLUSTER("  spark: {filesystem: nn}\n"), "p.yaml:6: cluster.spark.filesystem: 'nn' is no file system; "
							 "expected one as Spark knows it, without a "
							 "path, such as hdfs://namenode:8020"},
		{CLUSTER("  spark: {database: A}\n"),
		 "p.yaml:6: cluster.spark.database: 'A' is no database; expected a-z, 0-9 and '_', at most 64"},
		{CLUSTER("  stream: storm\n"),
		 "p.yaml:6: cluster.stream: 'storm' is not one of its values; expected punchcard or spark"},
		{"version: 1\ncluster:\n  edge: a\n  hdfs: {url: 'http://nn:9870', raw: none}\n"
		 "  hbase: {url: 'http://rest:8080'}\n  stream: spark\n",
		 "p.yaml:4: cluster.hdfs.raw: with stream: spark the table is made of raw events; expected json or "
		 "gzip"},
		{CLUSTER("  ship: {max_mib: 0}\n"),
		 "p.yaml:6: cluster.ship.max_mib: '0' is out of range; expected MiB, 1 to 4096"},
	};
	assert_all_refused(CASES, N(CASES));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_cluster_defaults),
					   cmocka_unit_test(test_long_settings), cmocka_unit_test(test_cluster_values),
					   cmocka_unit_test(test_cluster_refused)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
