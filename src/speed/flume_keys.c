#include "speed/flume_conf_internal.h"

#include "base/limits.h"

/* The class of a name is its last part: Flume takes either. */
static const struct flume_type_rule TYPES[] = {
	{FLUME_SPOOLDIR, FLUME_SOURCE, "spooldir SpoolDirectorySource"},
	{FLUME_EXEC, FLUME_SOURCE, "exec ExecSource"},
	{FLUME_TAILDIR, FLUME_SOURCE, "taildir TaildirSource"},
	{FLUME_HTTP, FLUME_SOURCE, "http HTTPSource"},
	{FLUME_NETCAT, FLUME_SOURCE, "netcat NetcatSource"},
	{FLUME_MEMORY, FLUME_CHANNEL, "memory MemoryChannel"},
	{FLUME_FILE, FLUME_CHANNEL, "file FileChannel"},
	{FLUME_HDFS, FLUME_SINK, "hdfs HDFSEventSink"},
	{FLUME_HBASE, FLUME_SINK, "hbase hbase2 asynchbase HBaseSink HBase2Sink AsyncHBaseSink"},
	{FLUME_FILE_ROLL, FLUME_SINK, "file_roll RollingFileSink"},
	{FLUME_LOGGER, FLUME_SINK, "logger LoggerSink"},
	{FLUME_NULL, FLUME_SINK, "null NullSink"},
};

const struct flume_type_rule *flume_type_find(enum flume_part part, const char *name)
{
	const char *const dot = strrchr(name, '.');
	const bool is_class = dot && strncmp(name, "org.apache.flume.", strlen("org.apache.flume.")) == 0;
	const char *const last = is_class ? dot + 1 : name;
	for (size_t i = 0; i < sizeof(TYPES) / sizeof(TYPES[0]); i++) {
		struct slice word;
		for (unsigned k = 0; TYPES[i].part == part && flume_word(TYPES[i].names, k, &word); k++)
			if (word.len == strlen(last) &&
			    (is_class ? strncmp : strncasecmp)(word.data, last, word.len) == 0)
				return &TYPES[i];
	}
	return NULL;
}

const char *flume_type_name(enum flume_type type)
{
	static const char *const NAMES[] = {
		[FLUME_SPOOLDIR] = "spooldir",   [FLUME_EXEC] = "exec",     [FLUME_TAILDIR] = "TAILDIR",
		[FLUME_HTTP] = "http",           [FLUME_NETCAT] = "netcat", [FLUME_MEMORY] = "memory",
		[FLUME_FILE] = "file",           [FLUME_HDFS] = "hdfs",     [FLUME_HBASE] = "hbase",
		[FLUME_FILE_ROLL] = "file_roll", [FLUME_LOGGER] = "logger", [FLUME_NULL] = "null"};
	return NAMES[type];
}

/* --- keys --- */

#define BIT(type)  (1u << (type))
#define SOURCES    (BIT(FLUME_SPOOLDIR) | BIT(FLUME_EXEC) | BIT(FLUME_TAILDIR) | BIT(FLUME_HTTP) | BIT(FLUME_NETCAT))
#define CHANNELS   (BIT(FLUME_MEMORY) | BIT(FLUME_FILE))
#define SINKS      (BIT(FLUME_HDFS) | BIT(FLUME_HBASE) | BIT(FLUME_FILE_ROLL) | BIT(FLUME_LOGGER) | BIT(FLUME_NULL))
#define PORTS      (BIT(FLUME_HTTP) | BIT(FLUME_NETCAT))
#define FILE_SINKS (BIT(FLUME_HDFS) | BIT(FLUME_FILE_ROLL))

struct key_rule {
	unsigned types;
	const char *key; /* "x.*": all that begin with "x." */
	enum flume_verdict verdict;
	const char *text;
};

static const char JOURNAL[] = "the channel is the journal: durable, and as large as journal: map_gib of punchcard.yaml";
static const char CHECKED[] = "the journal's blocks take its place; it is checked, as Flume does";
static const char POSITIONS[] = "how far each file was read stands in the journal, with the lines themselves";
static const char BYTES[] = "lines are moved as the bytes they are";
static const char LONG_LINES[] = "lines of up to 1 MiB are moved whole; a longer one is set aside, not cut";
static const char WATCHED[] = "punchcard is told of changes by the system, and paces itself";
static const char NO_CLUSTER[] = "there is no cluster to talk to: it is kept in this deployment";
static const char ONLY_SSL[] = "only with ssl = true, which is refused";
static const char NO_JETTY[] = "the server is another one, and has limits of its own";
static const char HEADERS[] = "lines travel without headers; what sinks need of them is known";

static const struct key_rule RULES[] = {
	/* What all of a part have. */
	{SOURCES | CHANNELS | SINKS, "type", FLUME_TAKEN, NULL},
	{SOURCES, "channels", FLUME_TAKEN, NULL},
	{SINKS, "channel", FLUME_TAKEN, NULL},
	{SOURCES, "selector.type", FLUME_TAKEN, NULL},
	{SOURCES, "selector.optional", FLUME_NO_MEANING, "the journal is there for all channels, or for none"},
	{SOURCES, "interceptors", FLUME_TAKEN, NULL},
	{SOURCES, "interceptors.*", FLUME_TAKEN, NULL},
	{SOURCES | SINKS, "batchSize", FLUME_NO_MEANING, CHECKED},
	{FILE_SINKS, "hdfs.batchSize", FLUME_NO_MEANING, CHECKED},
	{FILE_SINKS, "sink.batchSize", FLUME_NO_MEANING, CHECKED},

	{BIT(FLUME_SPOOLDIR), "spoolDir", FLUME_TAKEN, NULL},
	{BIT(FLUME_SPOOLDIR), "fileSuffix", FLUME_TAKEN, NULL},
	{BIT(FLUME_SPOOLDIR), "deletePolicy", FLUME_TAKEN, NULL},
	{BIT(FLUME_SPOOLDIR), "trackingPolicy", FLUME_TAKEN, NULL},
	{BIT(FLUME_SPOOLDIR), "includePattern", FLUME_TAKEN, NULL},
	{BIT(FLUME_SPOOLDIR), "ignorePattern", FLUME_TAKEN, NULL},
	{BIT(FLUME_SPOOLDIR), "recursiveDirectorySearch", FLUME_TAKEN, NULL},
	{BIT(FLUME_SPOOLDIR) | BIT(FLUME_TAILDIR), "fileHeader", FLUME_NO_MEANING, HEADERS},
	{BIT(FLUME_SPOOLDIR) | BIT(FLUME_TAILDIR), "fileHeaderKey", FLUME_NO_MEANING, HEADERS},
	{BIT(FLUME_SPOOLDIR), "basenameHeader", FLUME_NO_MEANING, HEADERS},
	{BIT(FLUME_SPOOLDIR), "basenameHeaderKey", FLUME_NO_MEANING, HEADERS},
	{BIT(FLUME_SPOOLDIR), "trackerDir", FLUME_NO_MEANING, POSITIONS},
	{BIT(FLUME_SPOOLDIR), "consumeOrder", FLUME_NO_MEANING, "files are taken in the order of their names"},
	{BIT(FLUME_SPOOLDIR), "pollDelay", FLUME_NO_MEANING, WATCHED},
	{BIT(FLUME_SPOOLDIR), "maxBackoff", FLUME_NO_MEANING, WATCHED},
	{BIT(FLUME_SPOOLDIR), "inputCharset", FLUME_NO_MEANING, BYTES},
	{BIT(FLUME_SPOOLDIR), "decodeErrorPolicy", FLUME_NO_MEANING, BYTES},
	{BIT(FLUME_SPOOLDIR), "deserializer", FLUME_TAKEN, NULL},
	{BIT(FLUME_SPOOLDIR), "deserializer.maxLineLength", FLUME_NO_MEANING, LONG_LINES},
	{BIT(FLUME_SPOOLDIR), "deserializer.outputCharset", FLUME_NO_MEANING, BYTES},
	{BIT(FLUME_SPOOLDIR), "bufferMaxLines", FLUME_NO_MEANING, LONG_LINES},
	{BIT(FLUME_SPOOLDIR), "bufferMaxLineLength", FLUME_NO_MEANING, LONG_LINES},

	{BIT(FLUME_EXEC), "command", FLUME_TAKEN, NULL},
	{BIT(FLUME_EXEC), "shell", FLUME_TAKEN, NULL},
	{BIT(FLUME_EXEC), "restart", FLUME_TAKEN, NULL},
	{BIT(FLUME_EXEC), "restartThrottle", FLUME_TAKEN, NULL},
	{BIT(FLUME_EXEC), "logStdErr", FLUME_NO_MEANING, "what the program says to stderr goes there"},
	{BIT(FLUME_EXEC), "batchTimeout", FLUME_NO_MEANING, WATCHED},
	{BIT(FLUME_EXEC), "charset", FLUME_NO_MEANING, BYTES},

	{BIT(FLUME_TAILDIR), "filegroups", FLUME_TAKEN, NULL},
	{BIT(FLUME_TAILDIR), "filegroups.*", FLUME_TAKEN, NULL},
	{BIT(FLUME_TAILDIR), "headers.*", FLUME_TAKEN, NULL},
	{BIT(FLUME_TAILDIR), "skipToEnd", FLUME_TAKEN, NULL},
	{BIT(FLUME_TAILDIR), "positionFile", FLUME_NO_MEANING, POSITIONS},
	{BIT(FLUME_TAILDIR), "writePosInterval", FLUME_NO_MEANING, POSITIONS},
	{BIT(FLUME_TAILDIR), "byteOffsetHeader", FLUME_NO_MEANING, HEADERS},
	{BIT(FLUME_TAILDIR), "idleTimeout", FLUME_NO_MEANING, WATCHED},
	{BIT(FLUME_TAILDIR), "maxBatchCount", FLUME_NO_MEANING, WATCHED},
	{BIT(FLUME_TAILDIR), "backoffSleepIncrement", FLUME_NO_MEANING, WATCHED},
	{BIT(FLUME_TAILDIR), "maxBackoffSleep", FLUME_NO_MEANING, WATCHED},
	{BIT(FLUME_TAILDIR), "cachePatternMatching", FLUME_NO_MEANING, WATCHED},

	{PORTS, "bind", FLUME_TAKEN, NULL},
	{PORTS, "port", FLUME_TAKEN, NULL},
	{BIT(FLUME_NETCAT), "max-line-length", FLUME_TAKEN, NULL},
	{BIT(FLUME_NETCAT), "ack-every-event", FLUME_TAKEN, NULL},
	{BIT(FLUME_NETCAT), "encoding", FLUME_TAKEN, NULL},
	{BIT(FLUME_HTTP), "handler", FLUME_TAKEN, NULL},
	{BIT(FLUME_HTTP), "handler.maxBlobLength", FLUME_TAKEN, NULL},
	{BIT(FLUME_HTTP), "ssl", FLUME_TAKEN, NULL},
	{BIT(FLUME_HTTP), "enableSSL", FLUME_TAKEN, NULL},
	{BIT(FLUME_HTTP), "handler.*", FLUME_NO_MEANING, HEADERS},
	{BIT(FLUME_HTTP), "keystore", FLUME_NO_MEANING, ONLY_SSL},
	{BIT(FLUME_HTTP), "keystore-password", FLUME_NO_MEANING, ONLY_SSL},
	{BIT(FLUME_HTTP), "keystorePassword", FLUME_NO_MEANING, ONLY_SSL},
	{BIT(FLUME_HTTP), "keystore-type", FLUME_NO_MEANING, ONLY_SSL},
	{BIT(FLUME_HTTP), "exclude-protocols", FLUME_NO_MEANING, ONLY_SSL},
	{BIT(FLUME_HTTP), "excludeProtocols", FLUME_NO_MEANING, ONLY_SSL},
	{BIT(FLUME_HTTP), "include-protocols", FLUME_NO_MEANING, ONLY_SSL},
	{BIT(FLUME_HTTP), "exclude-cipher-suites", FLUME_NO_MEANING, ONLY_SSL},
	{BIT(FLUME_HTTP), "include-cipher-suites", FLUME_NO_MEANING, ONLY_SSL},
	{BIT(FLUME_HTTP), "SslContextFactory.*", FLUME_NO_MEANING, ONLY_SSL},
	{BIT(FLUME_HTTP), "QueuedThreadPool.*", FLUME_NO_MEANING, NO_JETTY},
	{BIT(FLUME_HTTP), "HttpConfiguration.*", FLUME_NO_MEANING, NO_JETTY},
	{BIT(FLUME_HTTP), "ServerConnector.*", FLUME_NO_MEANING, NO_JETTY},

	{CHANNELS, "capacity", FLUME_NO_MEANING, JOURNAL},
	{CHANNELS, "transactionCapacity", FLUME_NO_MEANING, CHECKED},
	{CHANNELS, "keep-alive", FLUME_NO_MEANING, JOURNAL},
	{BIT(FLUME_MEMORY), "byteCapacity", FLUME_NO_MEANING, JOURNAL},
	{BIT(FLUME_MEMORY), "byteCapacityBufferPercentage", FLUME_NO_MEANING, JOURNAL},
	{BIT(FLUME_FILE), "encryption.*", FLUME_REFUSED,
	 "the journal is not encrypted; put the deployment on an encrypted disk, and take these keys away"},
	{BIT(FLUME_FILE), "checkpointDir", FLUME_NO_MEANING, JOURNAL},
	{BIT(FLUME_FILE), "dataDirs", FLUME_NO_MEANING, JOURNAL},
	{BIT(FLUME_FILE), "useDualCheckpoints", FLUME_NO_MEANING, JOURNAL},
	{BIT(FLUME_FILE), "backupCheckpointDir", FLUME_NO_MEANING, JOURNAL},
	{BIT(FLUME_FILE), "checkpointInterval", FLUME_NO_MEANING, JOURNAL},
	{BIT(FLUME_FILE), "maxFileSize", FLUME_NO_MEANING, JOURNAL},
	{BIT(FLUME_FILE), "minimumRequiredSpace", FLUME_NO_MEANING, JOURNAL},
	{BIT(FLUME_FILE), "checkpointOnClose", FLUME_NO_MEANING, JOURNAL},
	{BIT(FLUME_FILE), "use-log-replay-v1", FLUME_NO_MEANING, JOURNAL},
	{BIT(FLUME_FILE), "use-fast-replay", FLUME_NO_MEANING, JOURNAL},
	{BIT(FLUME_FILE), "parseAsFlumeEvent", FLUME_NO_MEANING, JOURNAL},

	{BIT(FLUME_HDFS), "hdfs.path", FLUME_TAKEN, NULL},
	{BIT(FLUME_HDFS), "hdfs.filePrefix", FLUME_TAKEN, NULL},
	{BIT(FLUME_HDFS), "hdfs.fileSuffix", FLUME_TAKEN, NULL},
	{BIT(FLUME_HDFS), "hdfs.rollInterval", FLUME_TAKEN, NULL},
	{BIT(FLUME_HDFS), "hdfs.rollSize", FLUME_TAKEN, NULL},
	{BIT(FLUME_HDFS), "hdfs.rollCount", FLUME_TAKEN, NULL},
	{BIT(FLUME_HDFS), "hdfs.fileType", FLUME_TAKEN, NULL},
	{BIT(FLUME_HDFS), "hdfs.writeFormat", FLUME_TAKEN, NULL},
	{BIT(FLUME_HDFS), "hdfs.codeC", FLUME_TAKEN, NULL},
	{BIT(FLUME_HDFS), "hdfs.useLocalTimeStamp", FLUME_TAKEN, NULL},
	{BIT(FLUME_HDFS), "hdfs.timeZone", FLUME_TAKEN, NULL},
	{BIT(FLUME_HDFS), "hdfs.round", FLUME_TAKEN, NULL},
	{BIT(FLUME_HDFS), "hdfs.roundValue", FLUME_NO_MEANING, "only with hdfs.round = true, which is refused"},
	{BIT(FLUME_HDFS), "hdfs.roundUnit", FLUME_NO_MEANING, "only with hdfs.round = true, which is refused"},
	{BIT(FLUME_HDFS), "hdfs.inUsePrefix", FLUME_NO_MEANING, "a file is seen when it is whole, under its last name"},
	{BIT(FLUME_HDFS), "hdfs.inUseSuffix", FLUME_NO_MEANING, "a file is seen when it is whole, under its last name"},
	{BIT(FLUME_HDFS), "hdfs.emptyInUseSuffix", FLUME_NO_MEANING,
	 "a file is seen when it is whole, under its last name"},
	{BIT(FLUME_HDFS), "hdfs.idleTimeout", FLUME_NO_MEANING, "no file stays open"},
	{BIT(FLUME_HDFS), "hdfs.maxOpenFiles", FLUME_NO_MEANING, "no file stays open"},
	{BIT(FLUME_HDFS), "hdfs.closeTries", FLUME_NO_MEANING, "no file stays open"},
	{BIT(FLUME_HDFS), "hdfs.retryInterval", FLUME_NO_MEANING, "no file stays open"},
	{BIT(FLUME_HDFS), "hdfs.minBlockReplicas", FLUME_NO_MEANING, NO_CLUSTER},
	{BIT(FLUME_HDFS), "hdfs.threadsPoolSize", FLUME_NO_MEANING, NO_CLUSTER},
	{BIT(FLUME_HDFS), "hdfs.rollTimerPoolSize", FLUME_NO_MEANING, NO_CLUSTER},
	{BIT(FLUME_HDFS), "hdfs.callTimeout", FLUME_NO_MEANING, NO_CLUSTER},
	{BIT(FLUME_HDFS), "hdfs.kerberosPrincipal", FLUME_NO_MEANING, NO_CLUSTER},
	{BIT(FLUME_HDFS), "hdfs.kerberosKeytab", FLUME_NO_MEANING, NO_CLUSTER},
	{BIT(FLUME_HDFS), "hdfs.proxyUser", FLUME_NO_MEANING, NO_CLUSTER},
	{BIT(FLUME_HDFS), "serializer", FLUME_TAKEN, NULL},
	{BIT(FLUME_HDFS), "serializer.appendNewline", FLUME_TAKEN, NULL},

	{BIT(FLUME_FILE_ROLL), "sink.directory", FLUME_TAKEN, NULL},
	{BIT(FLUME_FILE_ROLL), "sink.rollInterval", FLUME_TAKEN, NULL},
	{BIT(FLUME_FILE_ROLL), "sink.pathManager", FLUME_NO_MEANING, "files are named by their place in the journal"},
	{BIT(FLUME_FILE_ROLL), "sink.pathManager.extension", FLUME_TAKEN, NULL},
	{BIT(FLUME_FILE_ROLL), "sink.pathManager.prefix", FLUME_TAKEN, NULL},
	{BIT(FLUME_FILE_ROLL), "sink.serializer", FLUME_TAKEN, NULL},
	{BIT(FLUME_FILE_ROLL), "sink.serializer.appendNewline", FLUME_TAKEN, NULL},

	{BIT(FLUME_HBASE), "table", FLUME_TAKEN, NULL},
	{BIT(FLUME_HBASE), "columnFamily", FLUME_TAKEN, NULL},
	{BIT(FLUME_HBASE), "serializer", FLUME_TAKEN, NULL},
	{BIT(FLUME_HBASE), "serializer.payloadColumn", FLUME_TAKEN, NULL},
	{BIT(FLUME_HBASE), "serializer.rowPrefix", FLUME_NO_MEANING,
	 "a row's key is the line's file and number, so that no row comes twice"},
	{BIT(FLUME_HBASE), "serializer.suffix", FLUME_NO_MEANING,
	 "a row's key is the line's file and number, so that no row comes twice"},
	{BIT(FLUME_HBASE), "serializer.incrementColumn", FLUME_NO_MEANING,
	 "SQL counts: select count(*) from the table"},
	{BIT(FLUME_HBASE), "serializer.incrementRow", FLUME_NO_MEANING, "SQL counts: select count(*) from the table"},
	{BIT(FLUME_HBASE), "coalesceIncrements", FLUME_NO_MEANING, NO_CLUSTER},
	{BIT(FLUME_HBASE), "zookeeperQuorum", FLUME_NO_MEANING, NO_CLUSTER},
	{BIT(FLUME_HBASE), "znodeParent", FLUME_NO_MEANING, NO_CLUSTER},
	{BIT(FLUME_HBASE), "timeout", FLUME_NO_MEANING, NO_CLUSTER},
	{BIT(FLUME_HBASE), "enableWal", FLUME_NO_MEANING, NO_CLUSTER},
	{BIT(FLUME_HBASE), "kerberosPrincipal", FLUME_NO_MEANING, NO_CLUSTER},
	{BIT(FLUME_HBASE), "kerberosKeytab", FLUME_NO_MEANING, NO_CLUSTER},
	{BIT(FLUME_HBASE), "async.*", FLUME_NO_MEANING, NO_CLUSTER},
	{BIT(FLUME_HBASE), "hbase.*", FLUME_NO_MEANING, NO_CLUSTER},

	{BIT(FLUME_LOGGER), "maxBytesToLog", FLUME_TAKEN, NULL},
};

static const struct key_rule *rule_of(enum flume_type type, const char *key)
{
	for (size_t i = 0; i < sizeof(RULES) / sizeof(RULES[0]); i++) {
		const struct key_rule *const rule = &RULES[i];
		const size_t len = strlen(rule->key);
		if (!(rule->types >> type & 1))
			continue;
		if (rule->key[len - 1] == '*' ? strncmp(rule->key, key, len - 1) == 0 : strcmp(rule->key, key) == 0)
			return rule;
	}
	return NULL;
}

/* Keys that other code says something of; the others that are taken are said here. */
static bool is_said_elsewhere(const char *key)
{
	return strcmp(key, "type") == 0 || strcmp(key, "channels") == 0 || strcmp(key, "channel") == 0;
}

int flume_check_keys(struct flume_agent *agent, const struct flume_component *component, struct error *err)
{
	_cleanup_free_ char *prefix =
		text_printf("%s.%s.%s.", agent->name, flume_part_name(component->part), component->name);
	if (!prefix)
		return error_no_memory(err, LIMIT_NAME_BYTES);
	const size_t len = strlen(prefix);
	int rc = 0;
	for (unsigned i = 0; rc == 0 && i < agent->properties->n; i++) {
		const struct flume_property *const item = &agent->properties->items[i];
		if (strncmp(item->key, prefix, len) != 0 || is_said_elsewhere(item->key + len))
			continue;
		const struct key_rule *const rule = rule_of(component->type, item->key + len);
		if (!rule)
			rc = flume_say(agent, FLUME_WARNED, component, item, err,
				       "%s knows no such key: Flume reads on without a word; a slip of the pen?",
				       flume_type_name(component->type));
		else if (rule->verdict != FLUME_TAKEN)
			rc = flume_say(agent, rule->verdict, component, item, err, "%s", rule->text);
		else
			rc = flume_say(agent, FLUME_TAKEN, component, item, err, NULL);
	}
	return rc;
}
