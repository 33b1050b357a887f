/* Agents: types by name and by class, who feeds whom, patterns, limits. What is refused stands in tests/e2e/test_flume.py. */
#include "speed/flume_conf_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct flume_properties *properties;
static struct flume_agent *agent;

static void read_agent(const char *text)
{
	struct error err = {0};
	flume_agent_free(agent);
	flume_properties_free(properties);
	agent = NULL;
	properties = NULL;
	assert_int_equal(flume_properties_parse(slice_of(text), "f.conf", NULL, &properties, &err), 0);
	if (flume_agent_read(properties, "a", NULL, NULL, &agent, &err) < 0)
		fail_msg("%s", err.message);
	for (unsigned i = 0; i < agent->n_remarks; i++)
		if (agent->remarks[i].verdict == FLUME_REFUSED)
			fail_msg("%s: %s", agent->remarks[i].key, agent->remarks[i].text);
}

static int teardown(void **state)
{
	(void)state;
	flume_agent_free(agent);
	flume_properties_free(properties);
	agent = NULL;
	properties = NULL;
	return 0;
}

static void test_types(void **state)
{
	(void)state;
	static const struct {
		enum flume_part part;
		const char *name;
		int type; /* -1: none */
	} CASES[] = {
		{FLUME_SOURCE, "spooldir", FLUME_SPOOLDIR},
		{FLUME_SOURCE, "SpoolDir", FLUME_SPOOLDIR},
		{FLUME_SOURCE, "org.apache.flume.source.SpoolDirectorySource", FLUME_SPOOLDIR},
		{FLUME_SOURCE, "org.apache.flume.source.taildir.TaildirSource", FLUME_TAILDIR},
		{FLUME_SOURCE, "TAILDIR", FLUME_TAILDIR},
		{FLUME_CHANNEL, "MEMORY", FLUME_MEMORY},
		{FLUME_CHANNEL, "org.apache.flume.channel.file.FileChannel", FLUME_FILE},
		{FLUME_CHANNEL, "jdbc", -1},
		{FLUME_SINK, "hbase2", FLUME_HBASE},
		{FLUME_SINK, "org.apache.flume.sink.hbase.HBaseSink", FLUME_HBASE},
		{FLUME_SINK, "org.apache.flume.sink.hbase.AsyncHBaseSink", FLUME_HBASE},
		{FLUME_SINK, "org.apache.flume.sink.hdfs.HDFSEventSink", FLUME_HDFS},
		{FLUME_SINK, "org.apache.flume.sink.hdfs.hdfseventsink", -1},
		{FLUME_SINK, "com.example.HDFSEventSink", -1},
		{FLUME_SINK, "spooldir", -1},
		{FLUME_SINK, "hd", -1},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		const struct flume_type_rule *const rule = flume_type_find(CASES[i].part, CASES[i].name);
		if ((rule ? (int)rule->type : -1) != CASES[i].type)
			fail_msg("%s is %s", CASES[i].name, rule ? flume_type_name(rule->type) : "no type");
	}
}

static void assert_regex(const char *java, const char *posix)
{
	struct buf out = {0};
	const char *what;
	const int rc = flume_regex(java, &out, &what);
	assert_int_equal(rc, posix ? 1 : 0);
	if (posix)
		assert_string_equal(buf_text(&out), posix);
	buf_release(&out);
}

static void assert_glob(const char *java, const char *glob)
{
	struct buf out = {0};
	const char *what;
	const int rc = flume_glob(java, &out, &what);
	assert_int_equal(rc, glob ? 1 : 0);
	if (glob)
		assert_string_equal(buf_text(&out), glob);
	buf_release(&out);
}

static void test_patterns(void **state)
{
	(void)state;
	assert_regex("^.*$", "^(^.*$)$");
	assert_regex("^.*\\.tmp$", "^(^.*\\.tmp$)$");
	assert_regex("order_\\d+\\.(txt|csv)", "^(order_[0-9]+\\.(txt|csv))$");
	assert_regex("[^\\s\\.]+\\-x", "^([^ \t\n\v\f\r.]+-x)$");
	assert_regex("(?i).*\\.TMP", NULL);
	assert_regex(".*?x", NULL);
	assert_regex("\\bx", NULL);
	assert_regex("[a&&b]", NULL);
	assert_regex("[]a]", NULL);
	assert_regex("[a", NULL);
	assert_regex("x\\", NULL);
	assert_glob(".*\\.log", "*.log");
	assert_glob("till-.\\*\\.log.*", "till-?\\*.log*");
	assert_glob("log[0-9]", NULL);
	assert_glob("a*", NULL);
	assert_glob(".+", NULL);
	assert_glob("(a|b)", NULL);
}

static const struct config_source *source_of(const char *name)
{
	for (unsigned i = 0; i < agent->n_sources; i++)
		if (strcmp(agent->sources[i].name, name) == 0)
			return &agent->sources[i];
	fail_msg("there is no source %s", name);
	return NULL;
}

static void test_topology(void **state)
{
	(void)state;
	read_agent("a.sources = s1 s2\n"
		   "a.channels = c1 c2\n"
		   "a.sinks = k1 k2\n"
		   "a.sources.s1.type = spooldir\na.sources.s1.spoolDir = in\na.sources.s1.channels = c1 c2\n"
		   "a.sources.s1.deletePolicy = immediate\na.sources.s1.fileSuffix = .DONE\n"
		   "a.sources.s1.recursiveDirectorySearch = TRUE\n"
		   "a.sources.s2.type = TAILDIR\na.sources.s2.channels = c2\na.sources.s2.filegroups = f g\n"
		   "a.sources.s2.filegroups.f = /var/log/till.*\\\\.log\na.sources.s2.filegroups.g = /x/y\n"
		   "a.channels.c1.type = memory\na.channels.c2.type = file\n"
		   "a.sinks.k1.type = null\na.sinks.k1.channel = c1\n"
		   "a.sinks.k2.type = hdfs\na.sinks.k2.channel = c2\na.sinks.k2.hdfs.path = hdfs:////lake/x//\n"
		   "a.sinks.k2.hdfs.fileType = datastream\na.sinks.k2.hdfs.rollCount = 5\na.sinks.k2.hdfs.rollInterval "
		   "= 2\n");
	assert_int_equal(agent->n_sources, 3);
	const struct config_source *const spool = source_of("flume-a-s1");
	assert_int_equal(spool->type, SOURCE_SPOOL);
	assert_string_equal(spool->dir, "in");
	assert_string_equal(spool->suffix, ".DONE");
	assert_int_equal(spool->when_done, WHEN_DONE_DELETE);
	assert_true(spool->recursive && spool->keeps_lines && !spool->lines_only);
	assert_string_equal(source_of("flume-a-s2-f")->path, "/var/log/till*.log");
	assert_string_equal(source_of("flume-a-s2-g")->path, "/x/y");
	assert_int_equal(agent->n_sinks, 2);
	const struct sink *const null = &agent->sinks[0];
	assert_string_equal(null->name, "a/k1");
	assert_int_equal(null->n_sources, 1);
	assert_string_equal(null->sources[0], "flume-a-s1");
	const struct sink *const hdfs = &agent->sinks[1];
	assert_int_equal(hdfs->n_sources, 3);
	assert_string_equal(hdfs->dir, "lake/x");
	assert_int_equal(hdfs->roll_lines, 5);
	assert_int_equal(hdfs->delay_ms, 2000);
}

static void test_exec(void **state)
{
	(void)state;
	read_agent(
		"a.sources = s t\na.channels = c\na.sinks = k\na.channels.c.type = memory\n"
		"a.sinks.k.type = logger\na.sinks.k.channel = c\n"
		"a.sources.s.type = exec\na.sources.s.channels = c\na.sources.s.command = tail  -F\t/x/y z\n"
		"a.sources.t.type = exec\na.sources.t.channels = c\na.sources.t.command = for i in *; do cat $i; done\n"
		"a.sources.t.shell = /bin/bash -c\na.sources.t.restartThrottle = 5000\na.sources.t.restart = true\n");
	const struct config_source *const plain = source_of("flume-a-s");
	assert_int_equal(plain->command.count, 4);
	assert_string_equal(plain->command.items[2], "/x/y");
	assert_int_equal(plain->restart_s, 10);
	const struct config_source *const shell = source_of("flume-a-t");
	assert_int_equal(shell->command.count, 3);
	assert_string_equal(shell->command.items[0], "/bin/bash");
	assert_string_equal(shell->command.items[2], "for i in *; do cat $i; done");
	assert_int_equal(shell->restart_s, 5);
	assert_int_equal(agent->sinks[0].log_bytes, 16);
	unsigned n_counts_again = 0;
	for (unsigned i = 0; i < agent->n_remarks; i++)
		n_counts_again += agent->remarks[i].verdict == FLUME_WARNED && agent->remarks[i].text &&
				  strstr(agent->remarks[i].text, "counts again") != NULL;
	assert_int_equal(n_counts_again, 2);
}

static void test_ports(void **state)
{
	(void)state;
	read_agent(
		"a.sources = h b n m\na.channels = c\na.sinks = k\na.channels.c.type = memory\n"
		"a.sinks.k.type = logger\na.sinks.k.channel = c\n"
		"a.sources.h.type = org.apache.flume.source.http.HTTPSource\na.sources.h.channels = c\n"
		"a.sources.h.port = 5140\n"
		"a.sources.b.type = http\na.sources.b.channels = c\na.sources.b.port = 5141\na.sources.b.bind = ::1\n"
		"a.sources.b.handler = org.apache.flume.sink.solr.morphline.BlobHandler\n"
		"a.sources.b.handler.maxBlobLength = 5000\n"
		"a.sources.n.type = netcat\na.sources.n.channels = c\na.sources.n.bind = localhost\n"
		"a.sources.n.port = 44444\n"
		"a.sources.m.type = netcat\na.sources.m.channels = c\na.sources.m.bind = 0.0.0.0\n"
		"a.sources.m.port = 44445\na.sources.m.max-line-length = 512\n"
		"a.sources.m.ack-every-event = false\na.sources.m.encoding = UTF-8\n");
	const struct config_source *const http = source_of("flume-a-h");
	assert_int_equal(http->type, SOURCE_HTTP);
	assert_string_equal(http->listen, "0.0.0.0:5140");
	assert_int_equal(http->flume_http, HTTP_BODIES_FLUME_JSON);
	assert_true(http->keeps_lines && http->max_body_kib == 16384 && !http->token_file);
	const struct config_source *const blob = source_of("flume-a-b");
	assert_string_equal(blob->listen, "[::1]:5141");
	assert_int_equal(blob->flume_http, HTTP_BODIES_FLUME_BLOB);
	assert_int_equal(blob->max_body_kib, 5);
	const struct config_source *const netcat = source_of("flume-a-n");
	assert_int_equal(netcat->type, SOURCE_TCP);
	assert_string_equal(netcat->listen, "localhost:44444");
	assert_true(netcat->answer && netcat->keeps_lines && netcat->line_bytes == 0);
	const struct config_source *const short_lines = source_of("flume-a-m");
	assert_true(!short_lines->answer && short_lines->line_bytes == 512);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_types), cmocka_unit_test(test_patterns), cmocka_unit_test(test_topology),
		cmocka_unit_test(test_exec),  cmocka_unit_test(test_ports),
	};
	return cmocka_run_group_tests(tests, NULL, teardown);
}
