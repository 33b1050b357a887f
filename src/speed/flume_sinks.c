#include "speed/flume_conf_internal.h"

#include "base/limits.h"
#include "base/tz.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A file of text for a cluster: what its blocks and its readers like, unless the agent says how large. */
#define ROLL_BYTES (UINT64_C(128) << 20)
#define ROLL_S     30u
/* Sinks that write row by row take what is there so soon. */
#define ROW_DELAY_MS 50
#define ROW_BYTES    (UINT64_C(16) << 20)

static int take_text(char **out, const char *text, struct error *err)
{
	*out = strdup(text);
	return *out ? 0 : error_no_memory(err, strlen(text));
}

/* One of some words, in any case; anything else is refused. */
static int check_word(struct flume_agent *agent, const struct flume_component *component, const char *key,
		      const char *words, const char *text, struct error *err)
{
	const struct flume_property *const item = flume_get(agent, component, key);
	struct slice word;
	for (unsigned i = 0; item && flume_word(words, i, &word); i++)
		if (word.len == strlen(item->value) && strncasecmp(word.data, item->value, word.len) == 0)
			return 0;
	return item ? flume_say(agent, FLUME_REFUSED, component, item, err, "%s", text) : 0;
}

/* --- limits of channels --- */

static const struct flume_component *channel_of(const struct flume_agent *agent, unsigned index)
{
	for (unsigned i = 0; i < agent->n_components; i++)
		if (agent->components[i].part == FLUME_CHANNEL && index-- == 0)
			return &agent->components[i];
	return NULL;
}

/* How many events it takes in one transaction, and the key that says it; 0: it has no such limit. */
static int batch_of(struct flume_agent *agent, const struct flume_component *component, const char **key, uint64_t *out,
		    struct error *err)
{
	static const struct {
		enum flume_type type;
		const char *key;
		uint64_t otherwise;
	} BATCHES[] = {
		{FLUME_SPOOLDIR, "batchSize", 100}, {FLUME_EXEC, "batchSize", 20},
		{FLUME_TAILDIR, "batchSize", 100},  {FLUME_HDFS, "hdfs.batchSize", 100},
		{FLUME_HBASE, "batchSize", 100},    {FLUME_FILE_ROLL, "sink.batchSize", 100},
		{FLUME_NULL, "batchSize", 100},
	};
	*out = 0;
	for (size_t i = 0; i < sizeof(BATCHES) / sizeof(BATCHES[0]); i++) {
		if (BATCHES[i].type != component->type)
			continue;
		*key = BATCHES[i].key;
		return flume_number(agent, component, *key, BATCHES[i].otherwise, out, err);
	}
	return 0;
}

static int check_batches(struct flume_agent *agent, const struct flume_component *channel, uint64_t bit,
			 uint64_t transaction, struct error *err)
{
	int rc = 0;
	for (unsigned i = 0; rc == 0 && i < agent->n_components; i++) {
		const struct flume_component *const c = &agent->components[i];
		const char *key = NULL;
		uint64_t batch = 0;
		if (c->dropped || c->part == FLUME_CHANNEL || !(c->channels & bit))
			continue;
		rc = batch_of(agent, c, &key, &batch, err);
		if (rc < 0 || batch <= transaction)
			continue;
		const struct flume_property *const own = flume_get(agent, c, key);
		const struct flume_property *const limit = flume_get(agent, channel, "transactionCapacity");
		rc = flume_say(agent, FLUME_REFUSED, own || !limit ? c : channel, own ? own : limit, err,
			       "%s takes %" PRIu64 " events at a time (%s), and channel %s at most %" PRIu64
			       " (transactionCapacity): Flume would not start; make the batch smaller, or that larger",
			       c->name, batch, key, channel->name, transaction);
	}
	return rc;
}

int flume_check_limits(struct flume_agent *agent, struct error *err)
{
	const struct flume_component *channel;
	int rc = 0;
	for (unsigned index = 0; rc == 0 && (channel = channel_of(agent, index)); index++) {
		const bool memory = channel->type == FLUME_MEMORY;
		uint64_t capacity = 0;
		uint64_t transaction = 0;
		if (channel->dropped)
			continue;
		rc = flume_number(agent, channel, "capacity", memory ? 100 : 1000000, &capacity, err);
		if (rc == 0)
			rc = flume_number(agent, channel, "transactionCapacity", memory ? 100 : 10000, &transaction,
					  err);
		if (rc == 0 && transaction > capacity) {
			const struct flume_property *const own = flume_get(agent, channel, "transactionCapacity");
			rc = flume_say(agent, FLUME_REFUSED, channel, own ? own : flume_get(agent, channel, "capacity"),
				       err,
				       "transactionCapacity (%" PRIu64 ") is larger than capacity (%" PRIu64
				       "): Flume would not start; make it smaller, or that larger",
				       transaction, capacity);
		}
		if (rc == 0)
			rc = check_batches(agent, channel, UINT64_C(1) << index, transaction, err);
		if (rc == 0)
			rc = flume_say(
				agent, FLUME_NO_MEANING, channel, NULL, err,
				"a %s channel is the journal here: what was acknowledged is durable, whatever dies%s",
				flume_type_name(channel->type), memory ? " (in Flume it would be lost)" : "");
	}
	return rc;
}

/* --- what all sinks have --- */

static int add_feeder(struct sink *sink, const char *name, struct error *err)
{
	char **const names = reallocarray(sink->sources, sink->n_sources + 1, sizeof(*names));
	if (!names)
		return error_no_memory(err, sizeof(*names));
	sink->sources = names;
	names[sink->n_sources] = strdup(name);
	if (!names[sink->n_sources])
		return error_no_memory(err, strlen(name));
	sink->n_sources++;
	return 0;
}

static int add_header(struct sink *sink, const char *source, const char *name, const char *value, struct error *err)
{
	struct sink_header *const headers = reallocarray(sink->headers, sink->n_headers + 1, sizeof(*headers));
	if (!headers)
		return error_no_memory(err, sizeof(*headers));
	sink->headers = headers;
	headers[sink->n_headers] =
		(struct sink_header){.source = strdup(source), .name = strdup(name), .value = strdup(value)};
	sink->n_headers++;
	const struct sink_header *const header = &headers[sink->n_headers - 1];
	return header->source && header->name && header->value ? 0 : error_no_memory(err, strlen(value));
}

/* The headers that interceptors of a source give all its lines. */
static int take_interceptors(const struct flume_agent *agent, const struct flume_component *component,
			     const char *source, struct sink *sink, struct error *err)
{
	const char *const list = flume_text(agent, component, "interceptors", "");
	struct slice name;
	int rc = 0;
	for (unsigned i = 0; rc == 0 && flume_word(list, i, &name); i++) {
		char key[4][LIMIT_NAME_BYTES];
		static const char *const PARTS[] = {"type", "hostHeader", "key", "value"};
		for (unsigned k = 0; k < 4; k++)
			snprintf(key[k], sizeof(key[k]), "interceptors.%.*s.%s", (int)name.len, name.data, PARTS[k]);
		const char *const type = flume_text(agent, component, key[0], "");
		char host[256] = "localhost";
		if (strcasestr(type, "static") && strstr(flume_text(agent, component, key[3], ""), ".."))
			continue; /* then a path that names it is refused: it could lead anywhere */
		if (strcasestr(type, "static"))
			rc = add_header(sink, source, flume_text(agent, component, key[2], "key"),
					flume_text(agent, component, key[3], "value"), err);
		else if (strcasestr(type, "host") && gethostname(host, sizeof(host) - 1) == 0)
			rc = add_header(sink, source, flume_text(agent, component, key[1], "host"), host, err);
		else if (strcasestr(type, "timestamp"))
			rc = add_header(sink, source, "timestamp", "", err);
	}
	return rc;
}

/* Sources that share a channel with it; a file group is a source of its own. */
static int find_feeders(struct flume_agent *agent, const struct flume_component *component, struct sink *sink,
			struct error *err)
{
	int rc = 0;
	for (unsigned i = 0; rc == 0 && i < agent->n_components; i++) {
		const struct flume_component *const c = &agent->components[i];
		if (c->part != FLUME_SOURCE || c->dropped || !(c->channels & component->channels))
			continue;
		_cleanup_free_ char *name = flume_source_name(agent, c, (struct slice){0});
		if (!name)
			return error_no_memory(err, LIMIT_NAME_BYTES);
		const size_t len = strlen(name);
		for (unsigned k = 0; rc == 0 && k < agent->n_sources; k++) {
			const char *const own = agent->sources[k].name;
			const bool is_group =
				c->type == FLUME_TAILDIR && strncmp(own, name, len) == 0 && own[len] == '-';
			if (strcmp(own, name) != 0 && !is_group)
				continue;
			rc = add_feeder(sink, own, err);
			if (rc == 0)
				rc = take_interceptors(agent, c, own, sink, err);
		}
	}
	if (rc == 0 && sink->n_sources == 0 && agent->n_refused == 0)
		rc = flume_say(agent, FLUME_WARNED, component, flume_get(agent, component, "channel"), err,
			       "no source feeds this channel: nothing will come");
	return rc;
}

/* --- files --- */

static bool has_header(const struct sink *sink, const char *source, struct slice name)
{
	for (unsigned i = 0; i < sink->n_headers; i++)
		if (strcmp(sink->headers[i].source, source) == 0 && slice_is(name, sink->headers[i].name))
			return true;
	return false;
}

static bool all_have_header(const struct sink *sink, struct slice name)
{
	for (unsigned i = 0; i < sink->n_sources; i++)
		if (!has_header(sink, sink->sources[i], name))
			return false;
	return true;
}

static int refuse_escape(struct flume_agent *agent, const struct flume_component *component,
			 const struct flume_property *item, const char *at, struct error *err)
{
	const char *const end = *at == '{' ? strchrnul(at, '}') : at;
	return flume_say(agent, FLUME_REFUSED, component, item, err, "%%%.*s cannot be filled in: %s",
			 (int)(end - at) + (*end != '\0'), at,
			 *at == '{' ? "no interceptor (static, host, timestamp) of every source sets this header"
				    : "expected one of %Y %y %m %d %H %M %S %j %s %t %%");
}

/* Whether each %x and %{name} can be filled in. */
static int check_escapes(struct flume_agent *agent, const struct flume_component *component, const char *key,
			 const struct sink *sink, struct error *err)
{
	const struct flume_property *const item = flume_get(agent, component, key);
	bool needs_time = false;
	for (const char *at = item ? strchr(item->value, '%') : NULL; at; at = strchr(at, '%')) {
		at++;
		if (*at == '{') {
			const char *const end = strchrnul(at, '}');
			if (!*end || !all_have_header(sink, (struct slice){at + 1, (size_t)(end - at) - 1}))
				return refuse_escape(agent, component, item, at, err);
			at = end;
		} else if (*at == '\0' || !strchr("YymdHMSjst%", *at)) {
			return refuse_escape(agent, component, item, at, err);
		} else {
			needs_time = needs_time || *at != '%';
		}
		at++;
	}
	if (!needs_time || flume_is_true(agent, component, "hdfs.useLocalTimeStamp") ||
	    all_have_header(sink, SLICE("timestamp")))
		return 0;
	return flume_say(
		agent, FLUME_REFUSED, component, item, err,
		"a time needs hdfs.useLocalTimeStamp = true, or an interceptor timestamp; Flume would lose every "
		"event");
}

static int take_rolls(struct flume_agent *agent, const struct flume_component *component, struct sink *sink,
		      struct error *err)
{
	uint64_t seconds = 0;
	uint64_t bytes = 0;
	int rc = flume_number(agent, component, "hdfs.rollInterval", ROLL_S, &seconds, err);
	if (rc == 0)
		rc = flume_number(agent, component, "hdfs.rollSize", ROLL_BYTES, &bytes, err);
	if (rc == 0)
		rc = flume_number(agent, component, "hdfs.rollCount", 0, &sink->roll_lines, err);
	if (rc < 0)
		return rc;
	sink->delay_ms = (int64_t)(seconds && seconds < 86400 ? seconds : ROLL_S) * 1000;
	sink->roll_bytes = bytes;
	sink->at_bytes = bytes && bytes < ROLL_BYTES ? bytes : ROLL_BYTES;
	if (sink->at_bytes < ROW_BYTES)
		sink->at_bytes = ROW_BYTES;
	const struct flume_property *const interval = flume_get(agent, component, "hdfs.rollInterval");
	if (interval && seconds == 0)
		rc = flume_say(agent, FLUME_NO_MEANING, component, interval, err,
			       "no file stays open: what came is written at the latest after %u s", ROLL_S);
	if (rc == 0 && !flume_get(agent, component, "hdfs.rollCount") && !flume_get(agent, component, "hdfs.rollSize"))
		rc = flume_say(agent, FLUME_NO_MEANING, component, NULL, err,
			       "Flume would begin a file every 10 events or 1 KiB, for neither hdfs.rollCount nor "
			       "hdfs.rollSize is set; here one has what came in %" PRId64 " s, up to 128 MiB",
			       sink->delay_ms / 1000);
	return rc;
}

static int check_hdfs_words(struct flume_agent *agent, const struct flume_component *component, struct sink *sink,
			    struct error *err)
{
	const char *const type = flume_text(agent, component, "hdfs.fileType", "SequenceFile");
	int rc = check_word(agent, component, "hdfs.fileType", "DataStream CompressedStream",
			    "only text is written: expected DataStream, or CompressedStream with hdfs.codeC = gzip",
			    err);
	if (rc == 0 && !flume_get(agent, component, "hdfs.fileType"))
		rc = flume_say(
			agent, FLUME_REFUSED, component, NULL, err,
			"hdfs.fileType is not set, and Flume would write a SequenceFile; only text is written: set "
			"hdfs.fileType = DataStream");
	if (rc == 0)
		rc = check_word(agent, component, "hdfs.codeC", "gzip", "expected gzip", err);
	sink->gzip = strcasecmp(type, "CompressedStream") == 0;
	if (rc == 0 && sink->gzip && !flume_get(agent, component, "hdfs.codeC"))
		rc = flume_say(agent, FLUME_REFUSED, component, flume_get(agent, component, "hdfs.fileType"), err,
			       "it needs hdfs.codeC = gzip");
	if (rc == 0)
		rc = check_word(agent, component, "hdfs.writeFormat", "Text", "expected Text", err);
	if (rc == 0)
		rc = check_word(agent, component, "hdfs.round", "false",
				"times are not rounded down; write a path with fewer parts (%Y-%m-%d)", err);
	if (rc == 0)
		rc = check_word(agent, component, "serializer",
				"TEXT org.apache.flume.serialization.BodyTextEventSerializer$Builder",
				"only lines are written: expected TEXT", err);
	const struct flume_property *const zone = flume_get(agent, component, "hdfs.timeZone");
	struct tz *loaded = NULL;
	if (rc == 0 && zone && tz_load(zone->value, &loaded, NULL) < 0)
		rc = flume_say(agent, FLUME_REFUSED, component, zone, err,
			       "no such time zone; expected one such as America/New_York");
	tz_free(loaded);
	return rc == 0 && zone ? take_text(&sink->timezone, zone->value, err) : rc;
}

static int make_hdfs(struct flume_agent *agent, const struct flume_component *component, struct sink *sink,
		     struct error *err)
{
	const struct flume_property *const path = flume_get(agent, component, "hdfs.path");
	const char *const newline = flume_text(agent, component, "serializer.appendNewline", "true");
	sink->driver = &sink_files;
	sink->no_newline = strcasecmp(newline, "true") != 0;
	int rc = path ? flume_take_path(agent, component, path, sink, err)
		      : flume_say(agent, FLUME_REFUSED, component, NULL, err,
				  "it has no hdfs.path; expected a directory such as /tmp/flume/sink");
	if (rc == 0)
		rc = check_hdfs_words(agent, component, sink, err);
	if (rc == 0)
		rc = take_rolls(agent, component, sink, err);
	if (rc == 0)
		rc = take_text(&sink->prefix, flume_text(agent, component, "hdfs.filePrefix", "FlumeData"), err);
	if (rc == 0)
		rc = take_text(&sink->suffix, flume_text(agent, component, "hdfs.fileSuffix", sink->gzip ? ".gz" : ""),
			       err);
	if (rc == 0)
		rc = check_escapes(agent, component, "hdfs.path", sink, err);
	if (rc == 0)
		rc = check_escapes(agent, component, "hdfs.filePrefix", sink, err);
	if (rc == 0 && (strchr(sink->prefix, '/') || strchr(sink->suffix, '/')))
		rc = flume_say(agent, FLUME_REFUSED, component, flume_get(agent, component, "hdfs.filePrefix"), err,
			       "names of files have no '/'");
	if (rc == 0 && sink->on_cluster && (strchr(sink->prefix, ':') || strchr(sink->suffix, ':')))
		rc = flume_say(agent, FLUME_REFUSED, component, flume_get(agent, component, "hdfs.filePrefix"), err,
			       "HDFS has no names with ':'");
	return rc;
}

static int make_file_roll(struct flume_agent *agent, const struct flume_component *component, struct sink *sink,
			  struct error *err)
{
	const struct flume_property *const dir = flume_get(agent, component, "sink.directory");
	const char *const extension = flume_text(agent, component, "sink.pathManager.extension", NULL);
	const char *const newline = flume_text(agent, component, "sink.serializer.appendNewline", "true");
	uint64_t seconds = 0;
	sink->driver = &sink_files;
	sink->no_newline = strcasecmp(newline, "true") != 0;
	sink->at_bytes = ROLL_BYTES;
	int rc = flume_number(agent, component, "sink.rollInterval", ROLL_S, &seconds, err);
	if (rc == 0)
		rc = check_word(agent, component, "sink.serializer",
				"TEXT org.apache.flume.serialization.BodyTextEventSerializer$Builder",
				"only lines are written: expected TEXT", err);
	if (rc < 0)
		return rc;
	sink->delay_ms = (int64_t)(seconds && seconds < 86400 ? seconds : ROLL_S) * 1000;
	if (!dir)
		return flume_say(agent, FLUME_REFUSED, component, NULL, err,
				 "it has no sink.directory; expected a directory");
	if (seconds == 0)
		rc = flume_say(agent, FLUME_NO_MEANING, component, flume_get(agent, component, "sink.rollInterval"),
			       err, "no file stays open: what came is written at the latest after %u s", ROLL_S);
	if (rc == 0)
		rc = take_text(&sink->dir, dir->value, err);
	if (rc == 0)
		rc = take_text(&sink->prefix, flume_text(agent, component, "sink.pathManager.prefix", "FlumeData"),
			       err);
	if (rc < 0)
		return rc;
	sink->suffix = extension ? text_printf(".%s", extension) : strdup("");
	return sink->suffix ? 0 : error_no_memory(err, LIMIT_NAME_BYTES);
}

/* --- rows --- */

static int make_hbase(struct flume_agent *agent, const struct flume_component *component, struct sink *sink,
		      struct error *err)
{
	static const char SIMPLE[] = "org.apache.flume.sink.hbase.SimpleHbaseEventSerializer "
				     "org.apache.flume.sink.hbase2.SimpleHBase2EventSerializer "
				     "org.apache.flume.sink.hbase.SimpleAsyncHbaseEventSerializer";
	const struct flume_property *const table = flume_get(agent, component, "table");
	const struct flume_property *const family = flume_get(agent, component, "columnFamily");
	sink->on_cluster = agent->cluster;
	sink->driver = sink->on_cluster ? &sink_cells : &sink_rows;
	sink->delay_ms = ROW_DELAY_MS;
	sink->at_bytes = ROW_BYTES;
	if (!table || !family)
		return flume_say(agent, FLUME_REFUSED, component, NULL, err, "it has no %s",
				 table ? "columnFamily" : "table");
	int rc = check_word(
		agent, component, "serializer", SIMPLE,
		"only whole lines are kept (SimpleHbaseEventSerializer, SimpleAsyncHbaseEventSerializer); part "
		"them in SQL",
		err);
	const size_t len = strlen(table->value);
	if (rc == 0 &&
	    (len > LIMIT_EVENT_ID_BYTES || strspn(table->value, "abcdefghijklmnopqrstuvwxyz"
								"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:") != len))
		rc = flume_say(agent, FLUME_REFUSED, component, table, err,
			       "expected at most 64 letters, digits, '_', '-', '.', ':'");
	if (rc == 0)
		rc = flume_check_table(agent, component, table, sink, err);
	if (rc == 0)
		rc = take_text(&sink->table, table->value, err);
	if (rc < 0)
		return rc;
	sink->column =
		text_printf("%s:%s", family->value, flume_text(agent, component, "serializer.payloadColumn", "pCol"));
	if (!sink->column)
		return error_no_memory(err, len);
	return strlen(sink->column) <= LIMIT_NAME_BYTES
		       ? 0
		       : flume_say(agent, FLUME_REFUSED, component, family, err, "at most %u letters with its column",
				   LIMIT_NAME_BYTES);
}

/* --- all --- */

static int make_one(struct flume_agent *agent, const struct flume_component *component, struct sink *sink,
		    struct error *err)
{
	switch (component->type) {
	case FLUME_HDFS:
		return make_hdfs(agent, component, sink, err);
	case FLUME_FILE_ROLL:
		return make_file_roll(agent, component, sink, err);
	case FLUME_HBASE:
		return make_hbase(agent, component, sink, err);
	case FLUME_LOGGER:
		sink->driver = &sink_logger;
		sink->delay_ms = ROW_DELAY_MS;
		sink->at_bytes = ROW_BYTES;
		return flume_number(agent, component, "maxBytesToLog", 16, &sink->log_bytes, err);
	default:
		sink->driver = &sink_null;
		sink->delay_ms = ROW_DELAY_MS;
		sink->at_bytes = ROW_BYTES;
		return 0;
	}
}

int flume_make_sink(struct flume_agent *agent, const struct flume_component *component, struct error *err)
{
	struct sink *const sinks = reallocarray(agent->sinks, agent->n_sinks + 1, sizeof(*sinks));
	if (!sinks)
		return error_no_memory(err, sizeof(*sinks));
	agent->sinks = sinks;
	struct sink *const sink = &sinks[agent->n_sinks];
	*sink = (struct sink){.name = text_printf("%s/%s", agent->name, component->name)};
	agent->n_sinks++;
	if (!sink->name)
		return error_no_memory(err, LIMIT_NAME_BYTES);
	int rc = find_feeders(agent, component, sink, err);
	if (rc == 0)
		rc = make_one(agent, component, sink, err);
	if (rc == 0 && agent->n_sinks > SINKS_MOST)
		rc = flume_say(agent, FLUME_REFUSED, component, NULL, err, "more than %u sinks; take some away",
			       SINKS_MOST);
	return rc;
}
