/* The source that reads topics of Kafka, beside librdkafka's own stand-in for a cluster. */
#include "source_shop.h"

#include "speed/kafka_position.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#define EARLY_RETRY "properties: [reconnect.backoff.max.ms=200, fetch.error.backoff.ms=20]"

static rd_kafka_t *producer;
static rd_kafka_mock_cluster_t *cluster;

static void open_cluster(void)
{
	char words[256];
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_t *const host = rd_kafka_new(RD_KAFKA_PRODUCER, conf, words, sizeof(words));
	assert_non_null(host);
	cluster = rd_kafka_mock_cluster_new(host, 1);
	assert_non_null(cluster);
	conf = rd_kafka_conf_new();
	assert_int_equal(rd_kafka_conf_set(conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(cluster), words,
					   sizeof(words)),
			 RD_KAFKA_CONF_OK);
	assert_int_equal(rd_kafka_conf_set(conf, "message.max.bytes", "50000000", words, sizeof(words)),
			 RD_KAFKA_CONF_OK);
	assert_int_equal(rd_kafka_conf_set(conf, "log_level", "0", words, sizeof(words)), RD_KAFKA_CONF_OK);
	assert_int_equal(rd_kafka_conf_set(conf, "linger.ms", "0", words, sizeof(words)), RD_KAFKA_CONF_OK);
	producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, words, sizeof(words));
	assert_non_null(producer);
}

static void close_cluster(void)
{
	if (producer)
		rd_kafka_destroy(producer);
	rd_kafka_t *const host = cluster ? rd_kafka_mock_cluster_handle(cluster) : NULL;
	if (cluster)
		rd_kafka_mock_cluster_destroy(cluster);
	if (host)
		rd_kafka_destroy(host);
	producer = NULL;
	cluster = NULL;
}

static int make_all(void **state)
{
	open_cluster();
	return make_shop(state);
}

static int remove_all(void **state)
{
	const int rc = remove_running_shop(state);
	close_cluster();
	return rc;
}

static void make_topic(const char *topic, int partitions)
{
	assert_int_equal(rd_kafka_mock_topic_create(cluster, topic, partitions, 1), 0);
}

static void put_bytes(const char *topic, int partition, const char *key, const void *value, size_t len)
{
	void *const key_bytes = (void *)(uintptr_t)key; /* only copied */
	assert_int_equal(rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
					   RD_KAFKA_V_KEY(key_bytes, key ? strlen(key) : 0),
					   RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
					   RD_KAFKA_V_VALUE((void *)(uintptr_t)value, len), RD_KAFKA_V_END),
			 0);
}

static void flush(void)
{
	assert_int_equal(rd_kafka_flush(producer, 30000), 0);
}

static void put(const char *topic, int partition, const char *value)
{
	put_bytes(topic, partition, NULL, value, strlen(value));
	flush();
}

static void open_source(const char *format, const char *more)
{
	_cleanup_free_ char *text =
		text_printf("sources:\n  - {name: k, type: kafka, brokers: '%s', topics: [orders], format: %s, scan_s: "
			    "1, " EARLY_RETRY "%s%s}\n%s",
			    rd_kafka_mock_cluster_bootstraps(cluster), format, *more ? ", " : "", more,
			    strcmp(format, "receipts") == 0 ? "order_mappings:\n  - {name: receipts, event_id: "
							      "[receipt], line: line, customer: member, date: "
							      "time, date_format: '%s', menu: item, amount: amount}\n"
							    : "");
	assert_non_null(text);
	shop_open(text);
	start_source(&source_kafka);
}

/* The brokers are others from now on, the journal is not. */
static void open_source_again(void)
{
	open_source("classic", "");
}

static void read_position(int partition, struct kafka_position *out)
{
	struct error err = {0};
	bool found = false;
	open_running_journal();
	assert_int_equal(journal_begin(running_journal, &err), 0);
	assert_int_equal(kafka_position_get(running_journal, "k", "orders", partition, &found, out, &err), 0);
	journal_abort(running_journal);
	assert_true(found);
}

static void test_partitions(void **state)
{
	(void)state;
	make_topic("orders", 2);
	put("orders", 0, "1|latte 70|1700000000");
	put("orders", 0, "1|mocha 80|1700000001\n");
	open_source("classic", "");
	wait_lines(2);
	put("orders", 1, "2|espresso 65|1700000002");
	wait_lines(3);
	assert_journal("orders/0:0 latte\norders/0:1 mocha\norders/1:0 espresso\n");
	stop_source();
	put("orders", 1, "2|greentea 60|1700000003");
	open_source_again();
	wait_lines(4);
	put("orders", 0, "1|cappucino 90|1700000004");
	wait_lines(5);
	assert_journal("orders/0:0 latte\norders/0:1 mocha\norders/1:0 espresso\norders/1:1 greentea\n"
		       "orders/0:2 cappucino\n");
	struct kafka_position position;
	read_position(0, &position);
	assert_int_equal(position.next, 3);
	assert_int_equal(position.generation, 1);
	assert_int_equal(position.lost, 0);
	assert_int_equal(position.common.line, 3);
	assert_int_equal(position.common.counts.events, 3);
	stop_source();
}

static void test_bad_messages(void **state)
{
	(void)state;
	const size_t len = LIMIT_LINE_BYTES + 1;
	char *const long_line = malloc(len);
	assert_non_null(long_line);
	memset(long_line, 'x', len);
	make_topic("orders", 1);
	put_bytes("orders", 0, "dead", NULL, 0);
	put_bytes("orders", 0, NULL, " \n", 2);
	put_bytes("orders", 0, NULL, "nothing", 7);
	put_bytes("orders", 0, NULL, "1|latte 70|1700000000\nx\n3|mocha 80|1700000000\n", 46);
	put_bytes("orders", 0, NULL, long_line, len);
	put_bytes("orders", 0, NULL, "\xff|latte 70|1700000000", 21);
	put("orders", 0, "4|latte 70|1700000000");
	free(long_line);
	open_source("classic", "");
	wait_lines(9);
	assert_journal("! orders/0:0 empty\n! orders/0:1 empty\n! orders/0:2 column_count\norders/0:3:1 latte\n"
		       "! orders/0:3:2 column_count\norders/0:3:3 mocha\n! orders/0:4 too_long\n! orders/0:5 encoding\n"
		       "orders/0:6 latte\n");
	struct kafka_position position;
	read_position(0, &position);
	assert_int_equal(position.common.line, 7);
	assert_int_equal(position.common.counts.lines, 9);
	assert_int_equal(position.common.counts.quarantined, 6);
	stop_source();
}

#define ORDER(id, menu)                                                                                               \
	"{\"kind\":\"order\",\"event_id\":\"" id "\",\"customer\":1,\"time\":1700000000,\"lines\":[{\"menu\":\"" menu \
	"\",\"price\":70}]}"

static void test_events_and_receipts(void **state)
{
	(void)state;
	make_topic("orders", 1);
	put("orders", 0, ORDER("a", "latte"));
	put("orders", 0, ORDER("a", "latte"));
	put("orders", 0, ORDER("a", "mocha"));
	put("orders", 0, ORDER("b", "mocha") "\n" ORDER("c", "espresso"));
	open_source("ndjson", "");
	wait_lines(4);
	assert_journal("a latte\n! orders/0:2 id_conflict\nb mocha\nc espresso\n");
	stop_source();
	put("orders", 0, RECEIPTS_HEADER "r1,1,1,1700000000,latte,70\nr1,2,1,1700000000,mocha,80\n");
	put("orders", 0, "member,time,item,amount,receipt,line\n1,1700000000,tea,60,r2,1\n");
	put("orders", 0, "r3,1,1,1700000000,latte,70");
	open_source("receipts", "");
	wait_lines(8);
	assert_journal("a latte\n! orders/0:2 id_conflict\nb mocha\nc espresso\nr1 latte\nr1 mocha\nr2 tea\n"
		       "! orders/0:6 column_count\n");
	stop_source();
}

static void test_only_some_partitions(void **state)
{
	(void)state;
	make_topic("orders", 3);
	for (int i = 0; i < 3; i++)
		put("orders", i, "1|latte 70|1700000000");
	open_source("classic", "partitions: [1]");
	wait_lines(1);
	put("orders", 1, "1|mocha 80|1700000000");
	wait_lines(2);
	assert_journal("orders/1:0 latte\norders/1:1 mocha\n");
	stop_source();
}

static void test_from_the_end(void **state)
{
	(void)state;
	struct kafka_position position = {0};
	make_topic("orders", 1);
	put("orders", 0, "1|latte 70|1700000000");
	open_source("classic", "from: latest");
	const int64_t until_us = clock_now_us() + WAIT_US;
	struct error err = {0};
	bool found = false;
	while (!found && clock_now_us() < until_us) {
		pause_ms(1);
		assert_int_equal(journal_begin(running_journal, &err), 0);
		assert_int_equal(kafka_position_get(running_journal, "k", "orders", 0, &found, &position, &err), 0);
		journal_abort(running_journal);
	}
	assert_int_equal(position.next, 1);
	stop_source();
	/* What came while nobody was there counts. */
	put("orders", 0, "1|mocha 80|1700000000");
	open_source("classic", "from: latest");
	wait_lines(1);
	assert_journal("orders/0:1 mocha\n");
	stop_source();
}

static void test_a_topic_that_comes_late(void **state)
{
	(void)state;
	/* The stand-in makes a topic when it is asked for it; but it may deny it. */
	make_topic("orders", 1);
	rd_kafka_mock_topic_set_error(cluster, "orders", RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
	open_source("classic", "from: latest");
	pause_ms(200);
	rd_kafka_mock_topic_set_error(cluster, "orders", RD_KAFKA_RESP_ERR_NO_ERROR);
	put("orders", 0, "1|latte 70|1700000000");
	wait_lines(1);
	assert_journal("orders/0:0 latte\n");
	stop_source();
}

/* One topic that nobody may read does not keep the others from being read, from where they are. */
static void test_a_denied_topic(void **state)
{
	(void)state;
	make_topic("orders", 1);
	make_topic("secret", 1);
	rd_kafka_mock_topic_set_error(cluster, "secret", RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
	put("orders", 0, "1|latte 70|1700000000");
	for (int i = 0; i < 2; i++) { /* the second time there is a position, which is asked for */
		_cleanup_free_ char *text =
			text_printf("sources:\n  - {name: k, type: kafka, brokers: '%s', topics: "
				    "[secret, orders], format: classic, scan_s: 1, " EARLY_RETRY "}\n",
				    rd_kafka_mock_cluster_bootstraps(cluster));
		shop_open(text);
		start_source(&source_kafka);
		wait_lines(2 * (unsigned)i + 1);
		put("orders", 0, "1|mocha 80|1700000001");
		wait_lines(2 * (unsigned)i + 2);
		if (i == 1) {
			rd_kafka_mock_topic_set_error(cluster, "secret", RD_KAFKA_RESP_ERR_NO_ERROR);
			put("secret", 0, "1|tea 60|1700000002");
			wait_lines(5);
		}
		stop_source();
		if (i == 0)
			put("orders", 0, "1|latte 70|1700000000");
	}
	assert_journal("orders/0:0 latte\norders/0:1 mocha\norders/0:2 latte\norders/0:3 mocha\nsecret/0:0 tea\n");
}

static void renew_cluster(void)
{
	stop_source();
	close_cluster();
	open_cluster();
	make_topic("orders", 1);
}

static void test_a_topic_made_anew(void **state)
{
	(void)state;
	struct kafka_position position;
	make_topic("orders", 1);
	put("orders", 0, "1|latte 70|1700000000");
	put("orders", 0, "1|latte 70|1700000001");
	open_source("classic", "");
	wait_lines(2);
	/* Shorter than what was read: no such offset. */
	renew_cluster();
	put("orders", 0, "1|mocha 80|1700000002");
	open_source_again();
	wait_lines(3);
	assert_journal("orders/0:0 latte\norders/0:1 latte\norders#2/0:0 mocha\n");
	read_position(0, &position);
	assert_int_equal(position.generation, 2);
	assert_int_equal(position.next, 1);
	/* Longer: the message before the position is another. */
	renew_cluster();
	put("orders", 0, "1|tea 60|1700000003");
	put("orders", 0, "1|tea 60|1700000004");
	open_source_again();
	wait_lines(5);
	assert_journal("orders/0:0 latte\norders/0:1 latte\norders#2/0:0 mocha\norders#3/0:0 tea\norders#3/0:1 tea\n");
	stop_source();
}

static void put_at(int64_t time_ms, const char *value)
{
	assert_int_equal(rd_kafka_producev(producer, RD_KAFKA_V_TOPIC("orders"), RD_KAFKA_V_PARTITION(0),
					   RD_KAFKA_V_TIMESTAMP(time_ms), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
					   RD_KAFKA_V_VALUE((void *)(uintptr_t)value, strlen(value)), RD_KAFKA_V_END),
			 0);
	flush();
}

/* A leader that is behind is believed no end before what was read: the topic is the same. */
static void test_an_end_that_lags(void **state)
{
	(void)state;
	struct kafka_position position;
	make_topic("orders", 1);
	put_at(1700000000000, "1|latte 70|1700000000");
	put_at(1700000001000, "1|mocha 80|1700000001");
	open_source("classic", "");
	wait_lines(2);
	renew_cluster();
	put_at(1700000000000, "1|latte 70|1700000000");
	open_source_again();
	pause_ms(1500); /* it may have been asked or not: what follows is the same */
	put_at(1700000001000, "1|mocha 80|1700000001");
	put_at(1700000002000, "1|tea 60|1700000002");
	wait_lines(3);
	assert_journal("orders/0:0 latte\norders/0:1 mocha\norders/0:2 tea\n");
	read_position(0, &position);
	assert_int_equal(position.generation, 1);
	assert_int_equal(position.next, 3);
	stop_source();
}

static void test_removed_before_they_were_read(void **state)
{
	(void)state;
	struct kafka_position position;
	_cleanup_buf_ struct buf value = {0};
	/* Some 100 KiB of one order's text: the stand-in keeps 5 MiB of a partition. */
	make_topic("orders", 1);
	put("orders", 0, "1|latte 70|1700000000");
	open_source("classic", "");
	wait_lines(1);
	stop_source();
	while (value.len < 100000)
		assert_int_equal(buf_append_text(&value, "\n"), 0);
	assert_int_equal(buf_append_text(&value, "1|mocha 80|1700000000"), 0);
	for (int i = 0; i < 100; i++) {
		put_bytes("orders", 0, NULL, value.data, value.len);
		flush();
	}
	open_source_again();
	const int64_t until_us = clock_now_us() + WAIT_US;
	do {
		pause_ms(5);
		read_position(0, &position);
	} while (position.next < 101 && clock_now_us() < until_us);
	assert_int_equal(position.next, 101);
	assert_true(position.lost > 0);
	assert_int_equal(position.lost + position.common.line, 101);
	assert_int_equal(position.generation, 1);
	assert_int_equal(position.common.counts.events, position.common.line);
	stop_source();
}

static void test_a_broker_that_goes_and_comes(void **state)
{
	(void)state;
	make_topic("orders", 1);
	put("orders", 0, "1|latte 70|1700000000");
	open_source("classic", "");
	wait_lines(1);
	assert_int_equal(rd_kafka_mock_broker_set_down(cluster, 1), 0);
	pause_ms(100);
	assert_int_equal(rd_kafka_mock_broker_set_up(cluster, 1), 0);
	put("orders", 0, "1|mocha 80|1700000000");
	wait_lines(2);
	assert_int_equal(rd_kafka_mock_broker_set_down(cluster, 1), 0);
	stop_source(); /* does not wait for it */
	open_source_again();
	pause_ms(20);
	assert_int_equal(rd_kafka_mock_broker_set_up(cluster, 1), 0);
	put("orders", 0, "1|tea 60|1700000000");
	wait_lines(3);
	assert_journal("orders/0:0 latte\norders/0:1 mocha\norders/0:2 tea\n");
	stop_source();
}

static void test_a_full_disk(void **state)
{
	(void)state;
	char line[64];
	make_topic("orders", 1);
	put("orders", 0, "1|latte 70|1700000000");
	open_source("classic", "");
	wait_lines(1);
	limit_files(journal_bytes());
	for (int i = 0; i < 2000; i++) {
		const int n = snprintf(line, sizeof(line), "%d|latte 70|%d", i + 1, 1700000000 + i);
		put_bytes("orders", 0, NULL, line, (size_t)n);
	}
	flush();
	join_source();
	limit_files(0);
	assert_int_equal(running_rc, ERROR_NO_SPACE);
	run_again();
	wait_lines(2001);
	stop_source();
}

static void test_settings(void **state)
{
	(void)state;
	static const struct {
		const char *more;
		const char *says;
	} CASES[] = {
		{"properties: [sasl.pasword=geheim]",
		 "librdkafka has no setting 'sasl.pasword'; see its list of configuration properties"},
		{"properties: [security.protocol=geheim]",
		 "librdkafka does not take this value of its setting "
		 "'security.protocol'; see its list of configuration properties"},
		{"properties: [enable.auto.commit=true]",
		 "the setting 'enable.auto.commit' is punchcard's own; expected no such one"},
		{"properties_file: kafka.properties",
		 "librdkafka has no setting 'sasl.pasword'; see its list of configuration properties"},
	};
	static const char FILE_TEXT[] = "# ours\nclient.rack = a\nsasl.pasword = geheim\n";
	shop_write("kafka.properties", FILE_TEXT, strlen(FILE_TEXT));
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		_cleanup_free_ char *text = text_printf("sources:\n  - {name: k, type: kafka, brokers: '127.0.0.1:1', "
							"topics: [orders], format: classic, %s}\n",
							CASES[i].more);
		shop_open(text);
		struct source source = {.deployment = shop, .config = &shop->config->sources[0]};
		struct error err = {0};
		assert_int_equal(source_kafka.open(&source, &err), ERROR_CONFIG);
		assert_string_equal(err.message, CASES[i].says);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_partitions, make_all, remove_all),
		cmocka_unit_test_setup_teardown(test_bad_messages, make_all, remove_all),
		cmocka_unit_test_setup_teardown(test_events_and_receipts, make_all, remove_all),
		cmocka_unit_test_setup_teardown(test_only_some_partitions, make_all, remove_all),
		cmocka_unit_test_setup_teardown(test_from_the_end, make_all, remove_all),
		cmocka_unit_test_setup_teardown(test_a_topic_that_comes_late, make_all, remove_all),
		cmocka_unit_test_setup_teardown(test_a_denied_topic, make_all, remove_all),
		cmocka_unit_test_setup_teardown(test_a_topic_made_anew, make_all, remove_all),
		cmocka_unit_test_setup_teardown(test_an_end_that_lags, make_all, remove_all),
		cmocka_unit_test_setup_teardown(test_removed_before_they_were_read, make_all, remove_all),
		cmocka_unit_test_setup_teardown(test_a_broker_that_goes_and_comes, make_all, remove_all),
		cmocka_unit_test_setup_teardown(test_a_full_disk, make_all, remove_all),
		cmocka_unit_test_setup_teardown(test_settings, make_all, remove_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
