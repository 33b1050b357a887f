/* What punchcard.yaml may hold. */
#include "config/schema_internal.h"
#include "config/schema_macros_internal.h"

#include <stddef.h>

static const cyaml_schema_value_t TEXT_ITEM = {CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, CYAML_UNLIMITED)};

/* Of other programs: options of a JVM, lists of jars. */
#define SETTING_BYTES  8192u
#define MAX_SOURCES    64
#define MAX_MAPPINGS   64
#define MAX_MENU       1000
#define MAX_STRINGS    64
#define MAX_ID_PARTS   8
#define MAX_WORDS      256
#define MAX_TOPICS     64
#define MAX_PARTITIONS 1024

static const cyaml_strval_t ID_TYPES[] = {{"integer", CUSTOMER_ID_INTEGER}, {"text", CUSTOMER_ID_TEXT}};
static const cyaml_strval_t YES_NO[] = {{"false", false}, {"true", true}};
static const cyaml_strval_t WHEN_DONE[] = {
	{"rename", WHEN_DONE_RENAME}, {"move", WHEN_DONE_MOVE}, {"delete", WHEN_DONE_DELETE}};

static const cyaml_strval_t SOURCE_TYPE_NAMES[] = {
	{"spool", SOURCE_SPOOL}, {"tail", SOURCE_TAIL}, {"stdin", SOURCE_STDIN}, {"exec", SOURCE_EXEC},
	{"http", SOURCE_HTTP},   {"tcp", SOURCE_TCP},   {"kafka", SOURCE_KAFKA}};
static const cyaml_strval_t KAFKA_FROM[] = {{"earliest", KAFKA_FROM_EARLIEST}, {"latest", KAFKA_FROM_LATEST}};

const char *config_source_type_name(enum source_type type)
{
	return SOURCE_TYPE_NAMES[type].str;
}

static const cyaml_schema_field_t SOURCE_FIELDS[] = {
	TEXT("name", REQUIRED, struct config_source, name),
	CYAML_FIELD_ENUM("type", OPTIONAL | CYAML_FLAG_STRICT, struct config_source, type, SOURCE_TYPE_NAMES,
			 CYAML_ARRAY_LEN(SOURCE_TYPE_NAMES)),
	TEXT("dir", OPTIONAL, struct config_source, dir),
	TEXT("pattern", OPTIONAL, struct config_source, pattern),
	CYAML_FIELD_ENUM("recursive", OPTIONAL | CYAML_FLAG_STRICT, struct config_source, recursive, YES_NO,
			 CYAML_ARRAY_LEN(YES_NO)),
	CYAML_FIELD_UINT("scan_s", OPTIONAL, struct config_source, scan_s),
	TEXT("format", OPTIONAL, struct config_source, format),
	CYAML_FIELD_ENUM("when_done", OPTIONAL | CYAML_FLAG_STRICT, struct config_source, when_done, WHEN_DONE,
			 CYAML_ARRAY_LEN(WHEN_DONE)),
	TEXT("suffix", OPTIONAL, struct config_source, suffix),
	TEXT("move_to", OPTIONAL, struct config_source, move_to),
	CYAML_FIELD_UINT("settle_ms", OPTIONAL, struct config_source, settle_ms),
	TEXT("path", OPTIONAL, struct config_source, path),
	LIST("command", OPTIONAL, struct config_source, command.items, command.count, &TEXT_ITEM, 1, MAX_WORDS),
	CYAML_FIELD_UINT("restart_s", OPTIONAL, struct config_source, restart_s),
	TEXT("listen", OPTIONAL, struct config_source, listen),
	TEXT("token_file", OPTIONAL, struct config_source, token_file),
	CYAML_FIELD_UINT("max_body_kib", OPTIONAL, struct config_source, max_body_kib),
	CYAML_FIELD_UINT("max_waiting", OPTIONAL, struct config_source, max_waiting),
	CYAML_FIELD_ENUM("answer", OPTIONAL | CYAML_FLAG_STRICT, struct config_source, answer, YES_NO,
			 CYAML_ARRAY_LEN(YES_NO)),
	TEXT("brokers", OPTIONAL, struct config_source, brokers),
	LIST("topics", OPTIONAL, struct config_source, topics.items, topics.count, &TEXT_ITEM, 1, MAX_TOPICS),
	LIST("partitions", OPTIONAL, struct config_source, partitions.items, partitions.count, &TEXT_ITEM, 1,
	     MAX_PARTITIONS),
	TEXT("group", OPTIONAL, struct config_source, group),
	CYAML_FIELD_ENUM("from", OPTIONAL | CYAML_FLAG_STRICT, struct config_source, from, KAFKA_FROM,
			 CYAML_ARRAY_LEN(KAFKA_FROM)),
	LIST("properties", OPTIONAL, struct config_source, properties.items, properties.count, &TEXT_ITEM, 1,
	     MAX_WORDS),
	TEXT("properties_file", OPTIONAL, struct config_source, properties_file),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t SOURCE = {CYAML_VALUE_MAPPING(REQUIRED, struct config_source, SOURCE_FIELDS)};

static const cyaml_schema_field_t ORDER_MAPPING_FIELDS[] = {
	TEXT("name", REQUIRED, struct config_order_mapping, name),
	TEXT("delimiter", OPTIONAL, struct config_order_mapping, delimiter),
	TEXT("timezone", OPTIONAL, struct config_order_mapping, timezone),
	LIST("event_id", REQUIRED, struct config_order_mapping, event_id.items, event_id.count, &TEXT_ITEM, 1,
	     MAX_ID_PARTS),
	TEXT("line", OPTIONAL, struct config_order_mapping, line),
	TEXT("customer", REQUIRED, struct config_order_mapping, customer),
	LIST("guest", OPTIONAL, struct config_order_mapping, guest.items, guest.count, &TEXT_ITEM, 0, MAX_STRINGS),
	TEXT("date", REQUIRED, struct config_order_mapping, date),
	TEXT("date_format", REQUIRED, struct config_order_mapping, date_format),
	TEXT("time", OPTIONAL, struct config_order_mapping, time),
	TEXT("time_format", OPTIONAL, struct config_order_mapping, time_format),
	TEXT("store", OPTIONAL, struct config_order_mapping, store),
	TEXT("sku", OPTIONAL, struct config_order_mapping, sku),
	TEXT("menu", OPTIONAL, struct config_order_mapping, menu),
	TEXT("quantity", OPTIONAL, struct config_order_mapping, quantity),
	TEXT("price", OPTIONAL, struct config_order_mapping, price),
	TEXT("amount", OPTIONAL, struct config_order_mapping, amount),
	TEXT("decimal_mark", OPTIONAL, struct config_order_mapping, decimal_mark),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t ORDER_MAPPING = {
	CYAML_VALUE_MAPPING(REQUIRED, struct config_order_mapping, ORDER_MAPPING_FIELDS)};

static const cyaml_schema_field_t GENDER_FIELDS[] = {
	LIST("male", OPTIONAL, struct config_customer_mapping, male.items, male.count, &TEXT_ITEM, 0, MAX_STRINGS),
	LIST("female", OPTIONAL, struct config_customer_mapping, female.items, female.count, &TEXT_ITEM, 0,
	     MAX_STRINGS),
	LIST("neither", OPTIONAL, struct config_customer_mapping, neither.items, neither.count, &TEXT_ITEM, 0,
	     MAX_STRINGS),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t CUSTOMER_MAPPING_FIELDS[] = {
	TEXT("name", REQUIRED, struct config_customer_mapping, name),
	TEXT("delimiter", OPTIONAL, struct config_customer_mapping, delimiter),
	TEXT("customer", REQUIRED, struct config_customer_mapping, customer),
	TEXT("full_name", OPTIONAL, struct config_customer_mapping, full_name),
	TEXT("first_name", OPTIONAL, struct config_customer_mapping, first_name),
	TEXT("last_name", OPTIONAL, struct config_customer_mapping, last_name),
	TEXT("email", OPTIONAL, struct config_customer_mapping, email),
	TEXT("since", OPTIONAL, struct config_customer_mapping, since),
	TEXT("card", OPTIONAL, struct config_customer_mapping, card),
	TEXT("birth_date", OPTIONAL, struct config_customer_mapping, birth_date),
	TEXT("birth_year", OPTIONAL, struct config_customer_mapping, birth_year),
	TEXT("gender", OPTIONAL, struct config_customer_mapping, gender),
	TEXT("home_store", OPTIONAL, struct config_customer_mapping, home_store),
	TEXT("date_format", OPTIONAL, struct config_customer_mapping, date_format),
	SECTION("gender_codes", struct config_customer_mapping, GENDER_FIELDS),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t CUSTOMER_MAPPING = {
	CYAML_VALUE_MAPPING(REQUIRED, struct config_customer_mapping, CUSTOMER_MAPPING_FIELDS)};

static const cyaml_schema_field_t MENU_FIELDS[] = {
	TEXT("name", REQUIRED, struct config_menu_item, name),
	TEXT("price", REQUIRED, struct config_menu_item, price),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t MENU_ITEM = {CYAML_VALUE_MAPPING(REQUIRED, struct config_menu_item, MENU_FIELDS)};

static const cyaml_schema_field_t CUSTOMERS_FIELDS[] = {
	TEXT("format", OPTIONAL, struct config, customer_format),
	CYAML_FIELD_END,
};
static const cyaml_schema_field_t LIMITS_FIELDS[] = {
	CYAML_FIELD_UINT("future_hours", OPTIONAL, struct config, future_limit_h),
	CYAML_FIELD_END,
};
static const cyaml_schema_field_t JOURNAL_FIELDS[] = {
	CYAML_FIELD_UINT("map_gib", OPTIONAL, struct config, journal_map_gib),
	CYAML_FIELD_UINT("retention_hours", OPTIONAL, struct config, journal_retention_h),
	CYAML_FIELD_UINT("backlog_mib", OPTIONAL, struct config, journal_backlog_mib),
	CYAML_FIELD_END,
};
static const cyaml_schema_field_t TABLES_FIELDS[] = {
	CYAML_FIELD_UINT("max_delay_s", OPTIONAL, struct config, table_max_delay_s),
	CYAML_FIELD_UINT("max_rows", OPTIONAL, struct config, table_max_rows),
	CYAML_FIELD_END,
};
static const cyaml_schema_field_t VIEW_FIELDS[] = {
	CYAML_FIELD_UINT("map_gib", OPTIONAL, struct config, view_map_gib),
	CYAML_FIELD_UINT("max_delay_ms", OPTIONAL, struct config, view_max_delay_ms),
	CYAML_FIELD_END,
};
static const cyaml_schema_field_t ENGINE_FIELDS[] = {
	CYAML_FIELD_UINT("memory_mib", OPTIONAL, struct config, engine_memory_mib),
	CYAML_FIELD_UINT("threads", OPTIONAL, struct config, engine_threads),
	CYAML_FIELD_END,
};

static const cyaml_strval_t AUTHS[] = {
	{"simple", CLUSTER_AUTH_SIMPLE}, {"spnego", CLUSTER_AUTH_SPNEGO}, {"token", CLUSTER_AUTH_TOKEN}};
static const cyaml_strval_t STREAMS[] = {{"punchcard", CLUSTER_STREAM_PUNCHCARD}, {"spark", CLUSTER_STREAM_SPARK}};
static const cyaml_strval_t RAWS[] = {
	{"json", CLUSTER_RAW_JSON}, {"gzip", CLUSTER_RAW_GZIP}, {"none", CLUSTER_RAW_NONE}};

static const cyaml_schema_field_t HDFS_FIELDS[] = {
	TEXT("url", REQUIRED, struct config, cluster.hdfs_url),
	TEXT("path", OPTIONAL, struct config, cluster.hdfs_path),
	TEXT("user", OPTIONAL, struct config, cluster.hdfs_user),
	CYAML_FIELD_ENUM("auth", OPTIONAL | CYAML_FLAG_STRICT, struct config, cluster.hdfs_auth, AUTHS,
			 CYAML_ARRAY_LEN(AUTHS)),
	TEXT("token_file", OPTIONAL, struct config, cluster.hdfs_token_file),
	CYAML_FIELD_ENUM("raw", OPTIONAL | CYAML_FLAG_STRICT, struct config, cluster.hdfs_raw, RAWS,
			 CYAML_ARRAY_LEN(RAWS)),
	CYAML_FIELD_END,
};
static const cyaml_schema_field_t HBASE_FIELDS[] = {
	TEXT("url", REQUIRED, struct config, cluster.hbase_url),
	TEXT("table_prefix", OPTIONAL, struct config, cluster.hbase_prefix),
	CYAML_FIELD_ENUM("auth", OPTIONAL | CYAML_FLAG_STRICT, struct config, cluster.hbase_auth, AUTHS,
			 CYAML_ARRAY_LEN(AUTHS)),
	TEXT("token_file", OPTIONAL, struct config, cluster.hbase_token_file),
	CYAML_FIELD_END,
};
static const cyaml_schema_field_t SPARK_FIELDS[] = {
	LIST("command", OPTIONAL, struct config, cluster.spark_command.items, cluster.spark_command.count, &TEXT_ITEM,
	     1, MAX_WORDS),
	TEXT("master", OPTIONAL, struct config, cluster.spark_master),
	TEXT("queue", OPTIONAL, struct config, cluster.spark_queue),
	TEXT("database", OPTIONAL, struct config, cluster.spark_database),
	TEXT("filesystem", OPTIONAL, struct config, cluster.spark_filesystem),
	LIST("conf", OPTIONAL, struct config, cluster.spark_conf.items, cluster.spark_conf.count, &TEXT_ITEM, 0,
	     MAX_WORDS),
	CYAML_FIELD_END,
};
static const cyaml_schema_field_t SHIP_FIELDS[] = {
	CYAML_FIELD_UINT("max_mib", OPTIONAL, struct config, cluster.ship_max_mib),
	CYAML_FIELD_UINT("max_delay_s", OPTIONAL, struct config, cluster.ship_max_delay_s),
	CYAML_FIELD_END,
};
static const cyaml_schema_field_t CLUSTER_FIELDS[] = {
	TEXT("edge", REQUIRED, struct config, cluster.edge),
	{.key = "hdfs", .value = {CYAML_VALUE_MAPPING(REQUIRED, struct config, HDFS_FIELDS)}},
	{.key = "hbase", .value = {CYAML_VALUE_MAPPING(REQUIRED, struct config, HBASE_FIELDS)}},
	SECTION("spark", struct config, SPARK_FIELDS),
	CYAML_FIELD_ENUM("stream", OPTIONAL | CYAML_FLAG_STRICT, struct config, cluster.stream, STREAMS,
			 CYAML_ARRAY_LEN(STREAMS)),
	SECTION("ship", struct config, SHIP_FIELDS),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t CONFIG_FIELDS[] = {
	CYAML_FIELD_UINT("version", REQUIRED, struct config, version),
	CYAML_FIELD_ENUM("customer_id", OPTIONAL | CYAML_FLAG_STRICT, struct config, customer_id, ID_TYPES,
			 CYAML_ARRAY_LEN(ID_TYPES)),
	SECTION("customers", struct config, CUSTOMERS_FIELDS),
	LIST("sources", OPTIONAL, struct config, sources, n_sources, &SOURCE, 0, MAX_SOURCES),
	LIST("order_mappings", OPTIONAL, struct config, order_mappings, n_order_mappings, &ORDER_MAPPING, 0,
	     MAX_MAPPINGS),
	LIST("customer_mappings", OPTIONAL, struct config, customer_mappings, n_customer_mappings, &CUSTOMER_MAPPING, 0,
	     MAX_MAPPINGS),
	LIST("menu", OPTIONAL, struct config, menu, n_menu, &MENU_ITEM, 0, MAX_MENU),
	SECTION("limits", struct config, LIMITS_FIELDS),
	SECTION("journal", struct config, JOURNAL_FIELDS),
	SECTION("tables", struct config, TABLES_FIELDS),
	SECTION("view", struct config, VIEW_FIELDS),
	SECTION("engine", struct config, ENGINE_FIELDS),
	SECTION("cluster", struct config, CLUSTER_FIELDS),
	CYAML_FIELD_END,
};

const cyaml_schema_value_t CONFIG_SCHEMA = {CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct config, CONFIG_FIELDS)};

#define COLUMN "the name of a column in the file's first line"

const struct yamldoc_rule CONFIG_RULES[] = {
	{.key = "version", .expected = "1, the version of this file's layout", .min = 1, .max = 1},
	{.key = "customer_id", .expected = "integer or text"},
	{.key = "customers", .expected = "the key format below it"},
	{.key = "customers.format", .expected = "classic or the name of a customer mapping"},
	{.key = "sources", .expected = "a list of at most 64 sources, each beginning with '- name:'"},
	{.key = "sources[]", .expected = "the keys name and format, and those of its type"},
	{.key = "sources[].name", .expected = "a name of a-z, 0-9, '_' and '-', at most 64 bytes"},
	{.key = "sources[].type", .expected = "spool, tail, stdin, exec, http, tcp or kafka"},
	{.key = "sources[].dir", .expected = "a directory, such as spool"},
	{.key = "sources[].pattern", .expected = "a pattern of file names, such as '*.txt'"},
	{.key = "sources[].recursive", .expected = "true or false"},
	{.key = "sources[].scan_s", .expected = "seconds, 1 to 86400", .min = 1, .max = 86400},
	{.key = "sources[].format", .expected = "classic, ndjson or the name of an order mapping"},
	{.key = "sources[].when_done", .expected = "rename, move or delete"},
	{.key = "sources[].suffix", .expected = "what is put behind a file's name, such as .COMPLETED"},
	{.key = "sources[].move_to", .expected = "a directory, such as done"},
	{.key = "sources[].settle_ms", .expected = "milliseconds, 0 to 3600000", .max = 3600000},
	{.key = "sources[].path", .expected = "a file, or a pattern of files in a directory, such as logs/till-*.log"},
	{.key = "sources[].command",
	 .expected = "a list of the program and its arguments, such as [ssh, till, tail, -F, x]"},
	{.key = "sources[].command[]", .expected = "a word of the command"},
	{.key = "sources[].restart_s", .expected = "seconds, 1 to 3600", .min = 1, .max = 3600},
	{.key = "sources[].listen", .expected = "an address and a port, such as 127.0.0.1:8480"},
	{.key = "sources[].token_file", .expected = "a file whose first line is the token"},
	{.key = "sources[].max_body_kib", .expected = "KiB, 1 to 65536", .min = 1, .max = 65536},
	{.key = "sources[].max_waiting", .expected = "requests, 1 to 65536", .min = 1, .max = 65536},
	{.key = "sources[].answer", .expected = "true or false"},
	{.key = "sources[].brokers", .expected = "addresses of brokers, such as broker1:9092,broker2:9092"},
	{.key = "sources[].topics", .expected = "a list of at most 64 topics, such as [orders]"},
	{.key = "sources[].topics[]", .expected = "a topic's name"},
	{.key = "sources[].partitions", .expected = "a list of numbers, such as [0, 1]; without it, all"},
	{.key = "sources[].partitions[]", .expected = "a partition's number"},
	{.key = "sources[].group", .expected = "the name of a consumer group"},
	{.key = "sources[].from", .expected = "earliest or latest"},
	{.key = "sources[].properties", .expected = "a list of librdkafka's settings, such as [security.protocol=ssl]"},
	{.key = "sources[].properties[]", .expected = "a setting, such as security.protocol=ssl", .max = SETTING_BYTES},
	{.key = "sources[].properties_file", .expected = "a file of librdkafka's settings, one a line"},
	{.key = "order_mappings", .expected = "a list of at most 64 mappings, each beginning with '- name:'"},
	{.key = "order_mappings[]",
	 .expected = "the keys name, event_id, customer, date, date_format and amount or price"},
	{.key = "order_mappings[].name", .expected = "a name of a-z, 0-9, '_' and '-', at most 64 bytes"},
	{.key = "order_mappings[].delimiter", .expected = "one character, such as \",\", \";\" or \"\\t\""},
	{.key = "order_mappings[].timezone", .expected = "an IANA name such as Asia/Bangkok"},
	{.key = "order_mappings[].event_id", .expected = "a list of 1 to 8 columns, such as [receipt_no, date]"},
	{.key = "order_mappings[].event_id[]", .expected = COLUMN},
	{.key = "order_mappings[].line", .expected = COLUMN},
	{.key = "order_mappings[].customer", .expected = COLUMN},
	{.key = "order_mappings[].guest", .expected = "a list of at most 64 values, such as [\"0\", \"\"]"},
	{.key = "order_mappings[].guest[]", .expected = "a value of the customer's column; the empty one is \"\""},
	{.key = "order_mappings[].date", .expected = COLUMN},
	{.key = "order_mappings[].date_format", .expected = "a format such as \"%Y-%m-%d\""},
	{.key = "order_mappings[].time", .expected = COLUMN},
	{.key = "order_mappings[].time_format", .expected = "a format such as \"%H:%M:%S\""},
	{.key = "order_mappings[].store", .expected = COLUMN},
	{.key = "order_mappings[].sku", .expected = COLUMN},
	{.key = "order_mappings[].menu", .expected = COLUMN},
	{.key = "order_mappings[].quantity", .expected = COLUMN},
	{.key = "order_mappings[].price", .expected = COLUMN},
	{.key = "order_mappings[].amount", .expected = COLUMN},
	{.key = "order_mappings[].decimal_mark", .expected = "\".\" or \",\""},
	{.key = "customer_mappings", .expected = "a list of at most 64 mappings, each beginning with '- name:'"},
	{.key = "customer_mappings[]", .expected = "the keys name and customer, and the columns that the file has"},
	{.key = "customer_mappings[].name", .expected = "a name of a-z, 0-9, '_' and '-', at most 64 bytes"},
	{.key = "customer_mappings[].delimiter", .expected = "one character, such as \",\", \";\" or \"\\t\""},
	{.key = "customer_mappings[].customer", .expected = COLUMN},
	{.key = "customer_mappings[].full_name", .expected = COLUMN},
	{.key = "customer_mappings[].first_name", .expected = COLUMN},
	{.key = "customer_mappings[].last_name", .expected = COLUMN},
	{.key = "customer_mappings[].email", .expected = COLUMN},
	{.key = "customer_mappings[].since", .expected = COLUMN},
	{.key = "customer_mappings[].card", .expected = COLUMN},
	{.key = "customer_mappings[].birth_date", .expected = COLUMN},
	{.key = "customer_mappings[].birth_year", .expected = COLUMN},
	{.key = "customer_mappings[].gender", .expected = COLUMN},
	{.key = "customer_mappings[].home_store", .expected = COLUMN},
	{.key = "customer_mappings[].date_format", .expected = "a format such as \"%Y-%m-%d\""},
	{.key = "customer_mappings[].gender_codes", .expected = "the keys male, female and neither below it"},
	{.key = "customer_mappings[].gender_codes.male", .expected = "a list of at most 64 codes, such as [M]"},
	{.key = "customer_mappings[].gender_codes.male[]", .expected = "a code of the gender column"},
	{.key = "customer_mappings[].gender_codes.female", .expected = "a list of at most 64 codes, such as [F]"},
	{.key = "customer_mappings[].gender_codes.female[]", .expected = "a code of the gender column"},
	{.key = "customer_mappings[].gender_codes.neither",
	 .expected = "a list of at most 64 codes, such as [N, \"\"]"},
	{.key = "customer_mappings[].gender_codes.neither[]",
	 .expected = "a code of the gender column; the empty one is \"\""},
	{.key = "menu", .expected = "a list of at most 1000 items, each {name: …, price: …}"},
	{.key = "menu[]", .expected = "the keys name and price"},
	{.key = "menu[].name", .expected = "what the till calls it"},
	{.key = "menu[].price", .expected = "a price with at most two decimals, such as 65 or 2.50"},
	{.key = "limits", .expected = "the key future_hours below it"},
	{.key = "limits.future_hours", .expected = "hours, 0 to 8784", .max = 8784},
	{.key = "journal", .expected = "the keys map_gib, retention_hours and backlog_mib below it"},
	{.key = "journal.map_gib", .expected = "GiB, 1 to 16384", .min = 1, .max = 16384},
	{.key = "journal.retention_hours", .expected = "hours, 0 to 87600", .max = 87600},
	{.key = "journal.backlog_mib", .expected = "MiB, 16 to 16777216", .min = 16, .max = 16777216},
	{.key = "tables", .expected = "the keys max_delay_s and max_rows below it"},
	{.key = "tables.max_delay_s", .expected = "seconds, 1 to 86400", .min = 1, .max = 86400},
	{.key = "tables.max_rows", .expected = "rows, 1000 to 10000000", .min = 1000, .max = 10000000},
	{.key = "view", .expected = "the keys map_gib and max_delay_ms below it"},
	{.key = "view.map_gib", .expected = "GiB, 1 to 16384", .min = 1, .max = 16384},
	{.key = "view.max_delay_ms", .expected = "milliseconds, 0 to 60000", .max = 60000},
	{.key = "engine", .expected = "the keys memory_mib and threads below it"},
	{.key = "engine.memory_mib", .expected = "MiB, 128 to 1048576", .min = 128, .max = 1048576},
	{.key = "engine.threads", .expected = "0 (all cores) to 256", .max = 256},
	{.key = "cluster",
	 .expected = "the keys edge, hdfs and hbase below it; and spark, stream and ship, if need be"},
	{.key = "cluster.edge", .expected = "a name of a-z, 0-9, '_' and '-', at most 64 bytes"},
	{.key = "cluster.hdfs", .expected = "the keys url, path, user, auth, token_file and raw below it"},
	{.key = "cluster.hdfs.url", .expected = "the URL of WebHDFS, such as http://namenode:9870"},
	{.key = "cluster.hdfs.path", .expected = "a directory of HDFS, such as /user/punchcard"},
	{.key = "cluster.hdfs.user", .expected = "a user's name"},
	{.key = "cluster.hdfs.auth", .expected = "simple, spnego or token"},
	{.key = "cluster.hdfs.token_file", .expected = "a file that holds the delegation token"},
	{.key = "cluster.hdfs.raw", .expected = "json, gzip or none"},
	{.key = "cluster.hbase", .expected = "the keys url, table_prefix, auth and token_file below it"},
	{.key = "cluster.hbase.url", .expected = "the URL of HBase's REST gateway, such as http://gateway:8080"},
	{.key = "cluster.hbase.table_prefix", .expected = "what our tables' names begin with, such as punchcard_"},
	{.key = "cluster.hbase.auth", .expected = "simple, spnego or token"},
	{.key = "cluster.hbase.token_file", .expected = "a file whose first line is the token"},
	{.key = "cluster.spark", .expected = "the keys command, master, queue, database, filesystem and conf below it"},
	{.key = "cluster.spark.command", .expected = "a list of the program and its arguments, such as [spark-sql]"},
	{.key = "cluster.spark.command[]", .expected = "a word of the command"},
	{.key = "cluster.spark.master", .expected = "yarn, local[*], spark://host:7077 …"},
	{.key = "cluster.spark.queue", .expected = "the name of a queue of YARN"},
	{.key = "cluster.spark.database", .expected = "a database of Hive: a-z, 0-9 and '_'"},
	{.key = "cluster.spark.filesystem", .expected = "HDFS as Spark knows it, such as hdfs://namenode:8020"},
	{.key = "cluster.spark.conf", .expected = "a list of settings, such as [spark.executor.memory=4g]"},
	{.key = "cluster.spark.conf[]",
	 .expected = "a setting, such as spark.executor.memory=4g",
	 .max = SETTING_BYTES},
	{.key = "cluster.stream", .expected = "punchcard or spark"},
	{.key = "cluster.ship", .expected = "the keys max_mib and max_delay_s below it"},
	{.key = "cluster.ship.max_mib", .expected = "MiB, 1 to 4096", .min = 1, .max = 4096},
	{.key = "cluster.ship.max_delay_s", .expected = "seconds, 1 to 86400", .min = 1, .max = 86400},
	{0},
};
