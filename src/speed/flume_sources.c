#include "speed/flume_conf_internal.h"

#include "base/limits.h"

#include <stdlib.h>

/* A file may be read while it is written; Flume would die of it. */
#define SETTLE_MS 2000u
#define SCAN_S    30u
/* Of a request, which is one block of the journal. */
#define HTTP_BODY_KIB     16384u
#define HTTP_WAITING_MOST 256u

static int add_source(struct flume_agent *agent, const struct flume_component *component, enum source_type type,
		      struct slice group, struct config_source **out, struct error *err)
{
	struct config_source *const sources = reallocarray(agent->sources, agent->n_sources + 1, sizeof(*sources));
	if (!sources)
		return error_no_memory(err, sizeof(*sources));
	agent->sources = sources;
	struct config_source *const source = &sources[agent->n_sources];
	const bool lines_only = strcmp(agent->format, "lines") == 0;
	*source = (struct config_source){
		.name = flume_source_name(agent, component, group),
		.type = type,
		/* How lines are parted; they are not looked into. */
		.format = strdup(lines_only ? "classic" : agent->format),
		.settle_ms = SETTLE_MS,
		.keeps_lines = true,
		.lines_only = lines_only,
	};
	agent->n_sources++;
	*out = source;
	if (!source->name || !source->format)
		return error_no_memory(err, LIMIT_NAME_BYTES);
	for (unsigned i = 0; i + 1 < agent->n_sources; i++)
		if (strcmp(sources[i].name, source->name) == 0)
			return flume_say(
				agent, FLUME_REFUSED, component, NULL, err,
				"its name is that of another source, %s, as far as punchcard goes (64 letters, "
				"small ones); give it another",
				source->name);
	return 0;
}

static int copy_text(char **out, const char *text, struct error *err)
{
	*out = strdup(text);
	return *out ? 0 : error_no_memory(err, strlen(text));
}

/* Its value, which must be there. */
static int need(struct flume_agent *agent, const struct flume_component *component, const char *key,
		const char *expected, const struct flume_property **out, struct error *err)
{
	*out = flume_get(agent, component, key);
	return *out ? 0
		    : flume_say(agent, FLUME_REFUSED, component, NULL, err, "it has no %s; expected %s", key, expected);
}

/* --- what all have --- */

static int check_interceptor(struct flume_agent *agent, const struct flume_component *component, struct slice name,
			     struct error *err)
{
	_cleanup_free_ char *key = text_printf("interceptors.%.*s.type", (int)name.len, name.data);
	if (!key)
		return error_no_memory(err, name.len);
	const struct flume_property *const type = flume_get(agent, component, key);
	if (!type)
		return flume_say(agent, FLUME_REFUSED, component, flume_get(agent, component, "interceptors"), err,
				 "%.*s has no type", (int)name.len, name.data);
	static const char *const KNOWN[] = {"timestamp",
					    "host",
					    "static",
					    "TimestampInterceptor$Builder",
					    "HostInterceptor$Builder",
					    "StaticInterceptor$Builder"};
	const char *const dot = strrchr(type->value, '.');
	for (size_t i = 0; i < sizeof(KNOWN) / sizeof(KNOWN[0]); i++)
		if (strcasecmp(type->value, KNOWN[i]) == 0 || (dot && strcmp(dot + 1, KNOWN[i]) == 0))
			return 0;
	return flume_say(
		agent, FLUME_REFUSED, component, type, err,
		"only interceptors that set a header are run: timestamp, host, static (expressions are Java's, and no "
		"library here agrees with it on any bytes); filter before the source, or in SQL");
}

static int check_common(struct flume_agent *agent, const struct flume_component *component, struct error *err)
{
	const struct flume_property *const selector = flume_get(agent, component, "selector.type");
	int rc = 0;
	if (selector && strcasecmp(selector->value, "replicating") != 0)
		rc = flume_say(agent, FLUME_REFUSED, component, selector, err,
			       "each channel gets every line (replicating); make a source of its own for each part");
	const char *const interceptors = flume_text(agent, component, "interceptors", "");
	struct slice name;
	for (unsigned i = 0; rc == 0 && flume_word(interceptors, i, &name); i++)
		rc = check_interceptor(agent, component, name, err);
	return rc;
}

/* --- spooldir --- */

static int take_name_pattern(struct flume_agent *agent, const struct flume_component *component, const char *key,
			     regex_t **out, struct error *err)
{
	const struct flume_property *const item = flume_get(agent, component, key);
	if (!item)
		return 0;
	_cleanup_buf_ struct buf posix = {0};
	const char *what;
	int rc = flume_regex(item->value, &posix, &what);
	regex_t *const regex = rc == 1 ? calloc(1, sizeof(*regex)) : NULL;
	if (rc < 0 || (rc == 1 && (!regex || !buf_text(&posix)))) {
		free(regex);
		return error_no_memory(err, sizeof(*regex));
	}
	if (rc == 0)
		return flume_say(agent, FLUME_REFUSED, component, item, err,
				 "%s; write it with . * + ? | ( ) [ ] and \\d \\w \\s alone", what);
	if (regcomp(regex, posix.data, REG_EXTENDED | REG_NOSUB) != 0) {
		free(regex);
		return flume_say(agent, FLUME_REFUSED, component, item, err, "it is no regular expression");
	}
	*out = regex;
	return 0;
}

static int check_spool_values(struct flume_agent *agent, const struct flume_component *component, struct error *err)
{
	static const struct {
		const char *key;
		const char *values;
		const char *text;
	} ALLOWED[] = {
		{"deletePolicy", "never immediate", "expected never or immediate"},
		{"trackingPolicy", "rename", "expected rename: a file that was taken gets another name, or goes"},
		{"deserializer", "LINE org.apache.flume.serialization.LineDeserializer$Builder",
		 "expected LINE: punchcard moves lines"},
	};
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < sizeof(ALLOWED) / sizeof(ALLOWED[0]); i++) {
		const struct flume_property *const item = flume_get(agent, component, ALLOWED[i].key);
		bool found = !item;
		struct slice word;
		for (unsigned k = 0; !found && flume_word(ALLOWED[i].values, k, &word); k++)
			found = word.len == strlen(item->value) && strncasecmp(word.data, item->value, word.len) == 0;
		if (!found)
			rc = flume_say(agent, FLUME_REFUSED, component, item, err, "%s", ALLOWED[i].text);
	}
	return rc;
}

static int make_spool(struct flume_agent *agent, const struct flume_component *component, struct error *err)
{
	const struct flume_property *dir;
	struct config_source *source = NULL;
	int rc = need(agent, component, "spoolDir", "the directory into which files are put", &dir, err);
	if (rc == 0)
		rc = check_spool_values(agent, component, err);
	if (rc == 0)
		rc = add_source(agent, component, SOURCE_SPOOL, (struct slice){0}, &source, err);
	if (rc < 0 || !dir || !source)
		return rc;
	source->scan_s = SCAN_S;
	source->recursive = flume_is_true(agent, component, "recursiveDirectorySearch");
	source->when_done = strcasecmp(flume_text(agent, component, "deletePolicy", "never"), "immediate") == 0
				    ? WHEN_DONE_DELETE
				    : WHEN_DONE_RENAME;
	const struct flume_property *const suffix = flume_get(agent, component, "fileSuffix");
	if (suffix && strchr(suffix->value, '/'))
		rc = flume_say(agent, FLUME_REFUSED, component, suffix, err, "a suffix has no '/'");
	if (rc == 0)
		rc = copy_text(&source->dir, dir->value, err);
	if (rc == 0)
		rc = copy_text(&source->pattern, "*", err);
	if (rc == 0)
		rc = copy_text(&source->suffix, suffix ? suffix->value : ".COMPLETED", err);
	if (rc == 0)
		rc = take_name_pattern(agent, component, "includePattern", &source->include, err);
	return rc == 0 ? take_name_pattern(agent, component, "ignorePattern", &source->ignore, err) : rc;
}

/* --- exec --- */

static int add_word(struct config_strings *words, struct slice word, struct error *err)
{
	char **const items = reallocarray(words->items, words->count + 1, sizeof(*items));
	if (!items)
		return error_no_memory(err, sizeof(*items));
	words->items = items;
	items[words->count] = slice_dup(word);
	if (!items[words->count])
		return error_no_memory(err, word.len);
	words->count++;
	return 0;
}

/* As Flume: words at blanks, without a shell; with one, its words and the command as one more. */
static int make_exec(struct flume_agent *agent, const struct flume_component *component, struct error *err)
{
	const struct flume_property *command;
	struct config_source *source = NULL;
	uint64_t throttle_ms = 10000;
	int rc = need(agent, component, "command", "a program and its arguments", &command, err);
	if (rc == 0)
		rc = flume_number(agent, component, "restartThrottle", throttle_ms, &throttle_ms, err);
	if (rc == 0)
		rc = add_source(agent, component, SOURCE_EXEC, (struct slice){0}, &source, err);
	if (rc < 0 || !command || !source)
		return rc;
	const char *const shell = flume_text(agent, component, "shell", NULL);
	struct slice word;
	for (unsigned i = 0; rc == 0 && flume_word(shell ? shell : command->value, i, &word); i++)
		rc = add_word(&source->command, word, err);
	if (rc == 0 && shell)
		rc = add_word(&source->command, slice_of(command->value), err);
	source->restart_s = throttle_ms < 1000 ? 1 : throttle_ms > 3600000 ? 3600 : (uint32_t)(throttle_ms / 1000);
	if (rc == 0 && !flume_is_true(agent, component, "restart"))
		rc = flume_say(agent, FLUME_WARNED, component, flume_get(agent, component, "restart"), err,
			       "punchcard starts a program that has ended again; Flume would leave the source dead");
	if (rc == 0 && strcmp(source->format, "classic") == 0)
		rc = flume_say(
			agent, FLUME_WARNED, component, command, err,
			"its lines have no ids: what it prints again when it is started again counts again; let it "
			"print only what is new (tail -n 0 -F), or read the file itself (TAILDIR)");
	return rc;
}

/* --- TAILDIR --- */

static int make_group(struct flume_agent *agent, const struct flume_component *component, struct slice group,
		      struct error *err)
{
	_cleanup_free_ char *key = text_printf("filegroups.%.*s", (int)group.len, group.data);
	_cleanup_buf_ struct buf glob = {0};
	struct config_source *source = NULL;
	const struct flume_property *path;
	const char *what;
	if (!key)
		return error_no_memory(err, group.len);
	int rc = need(agent, component, key, "an absolute path, its last part a regular expression", &path, err);
	if (rc < 0 || !path)
		return rc;
	const char *const slash = strrchr(path->value, '/');
	if (path->value[0] != '/' || slash[1] == '\0')
		return flume_say(agent, FLUME_REFUSED, component, path, err,
				 "expected an absolute path, its last part a regular expression");
	if (buf_append(&glob, path->value, (size_t)(slash - path->value) + 1) < 0)
		return error_no_memory(err, strlen(path->value));
	const int said = flume_glob(slash + 1, &glob, &what);
	if (said < 0 || !buf_text(&glob))
		return error_no_memory(err, strlen(path->value));
	if (said == 0)
		return flume_say(agent, FLUME_REFUSED, component, path, err, "punchcard tails names by a pattern: %s",
				 what);
	rc = add_source(agent, component, SOURCE_TAIL, group, &source, err);
	return rc == 0 && source ? copy_text(&source->path, glob.data, err) : rc;
}

static int make_tail(struct flume_agent *agent, const struct flume_component *component, struct error *err)
{
	const struct flume_property *groups;
	int rc = need(agent, component, "filegroups", "names of groups of files", &groups, err);
	struct slice group;
	for (unsigned i = 0; groups && rc == 0 && flume_word(groups->value, i, &group); i++)
		rc = make_group(agent, component, group, err);
	if (rc == 0 && flume_is_true(agent, component, "skipToEnd"))
		rc = flume_say(agent, FLUME_REFUSED, component, flume_get(agent, component, "skipToEnd"), err,
			       "files are read from their beginning; move away what is not to be read");
	return rc;
}

/* --- http, netcat --- */

/* Fills in source->listen from bind, or `address`, and port. */
static int take_listen(struct flume_agent *agent, const struct flume_component *component, const char *address,
		       struct config_source *source, struct error *err)
{
	const char *const bind = flume_text(agent, component, "bind", address);
	const struct flume_property *port;
	uint64_t number = 0;
	int rc = need(agent, component, "port", "a port", &port, err);
	if (rc < 0 || !port)
		return rc;
	const unsigned refused = agent->n_refused;
	rc = flume_number(agent, component, "port", 0, &number, err);
	if (rc < 0 || agent->n_refused > refused)
		return rc;
	if (number < 1 || number > UINT16_MAX)
		return flume_say(agent, FLUME_REFUSED, component, port, err, "expected a port, 1 to 65535");
	source->listen = text_printf(strchr(bind, ':') ? "[%s]:%u" : "%s:%u", bind, (unsigned)number);
	if (!source->listen)
		return error_no_memory(err, strlen(bind));
	for (unsigned i = 0; i + 1 < agent->n_sources; i++)
		if (agent->sources[i].listen && strcmp(agent->sources[i].listen, source->listen) == 0)
			return flume_say(agent, FLUME_REFUSED, component, port, err, "%s listens at %s already",
					 agent->sources[i].name, source->listen);
	return 0;
}

static bool is_one_of(const char *value, const char *words)
{
	struct slice word;
	for (unsigned i = 0; flume_word(words, i, &word); i++)
		if (word.len == strlen(value) && strncasecmp(word.data, value, word.len) == 0)
			return true;
	return false;
}

static int make_netcat(struct flume_agent *agent, const struct flume_component *component, struct error *err)
{
	const struct flume_property *bind;
	const struct flume_property *const encoding = flume_get(agent, component, "encoding");
	const struct flume_property *const length = flume_get(agent, component, "max-line-length");
	struct config_source *source = NULL;
	uint64_t line_bytes = 0;
	int rc = need(agent, component, "bind", "an address to listen at", &bind, err);
	if (rc == 0)
		rc = flume_number(agent, component, "max-line-length", 0, &line_bytes, err);
	if (rc == 0 && encoding && !is_one_of(encoding->value, "utf-8 utf8 us-ascii ascii"))
		rc = flume_say(agent, FLUME_REFUSED, component, encoding, err,
			       "lines are moved as the bytes they are, which end with a newline; expected utf-8");
	if (rc == 0 && line_bytes > LIMIT_LINE_BYTES)
		rc = flume_say(agent, FLUME_WARNED, component, length, err,
			       "lines have at most %u bytes: a longer one is refused, as over Flume's limit",
			       LIMIT_LINE_BYTES);
	if (rc == 0)
		rc = add_source(agent, component, SOURCE_TCP, (struct slice){0}, &source, err);
	if (rc < 0 || !source)
		return rc;
	source->line_bytes = line_bytes < LIMIT_LINE_BYTES ? (uint32_t)line_bytes : LIMIT_LINE_BYTES;
	source->answer = flume_get(agent, component, "ack-every-event") == NULL ||
			 flume_is_true(agent, component, "ack-every-event");
	return take_listen(agent, component, "", source, err);
}

static int check_handler(struct flume_agent *agent, const struct flume_component *component, enum http_bodies *bodies,
			 struct error *err)
{
	const struct flume_property *const handler = flume_get(agent, component, "handler");
	*bodies = HTTP_BODIES_FLUME_JSON;
	if (!handler || is_one_of(handler->value, "org.apache.flume.source.http.JSONHandler"))
		return 0;
	*bodies = HTTP_BODIES_FLUME_BLOB;
	if (is_one_of(handler->value, "org.apache.flume.source.http.BLOBHandler "
				      "org.apache.flume.sink.solr.morphline.BlobHandler"))
		return 0;
	return flume_say(
		agent, FLUME_REFUSED, component, handler, err,
		"expected org.apache.flume.source.http.JSONHandler or BLOBHandler: punchcard runs no classes of "
		"Java");
}

static int make_http(struct flume_agent *agent, const struct flume_component *component, struct error *err)
{
	static const char *const SSL[] = {"ssl", "enableSSL"};
	struct config_source *source = NULL;
	enum http_bodies bodies;
	uint64_t blob_bytes = 0;
	int rc = check_handler(agent, component, &bodies, err);
	for (size_t i = 0; rc == 0 && i < sizeof(SSL) / sizeof(SSL[0]); i++)
		if (flume_is_true(agent, component, SSL[i]))
			rc = flume_say(agent, FLUME_REFUSED, component, flume_get(agent, component, SSL[i]), err,
				       "there is no TLS here: bind 127.0.0.1, put a proxy before it that has the "
				       "certificates, and take this key away");
	if (rc == 0)
		rc = flume_number(agent, component, "handler.maxBlobLength", 0, &blob_bytes, err);
	if (rc == 0)
		rc = add_source(agent, component, SOURCE_HTTP, (struct slice){0}, &source, err);
	if (rc < 0 || !source)
		return rc;
	source->flume_http = bodies;
	source->max_waiting = HTTP_WAITING_MOST;
	source->max_body_kib = blob_bytes && blob_bytes / 1024 < HTTP_BODY_KIB ? (uint32_t)((blob_bytes + 1023) / 1024)
									       : HTTP_BODY_KIB;
	return take_listen(agent, component, "0.0.0.0", source, err);
}

int flume_make_source(struct flume_agent *agent, const struct flume_component *source, struct error *err)
{
	const int rc = check_common(agent, source, err);
	if (rc < 0)
		return rc;
	switch (source->type) {
	case FLUME_SPOOLDIR:
		return make_spool(agent, source, err);
	case FLUME_EXEC:
		return make_exec(agent, source, err);
	case FLUME_TAILDIR:
		return make_tail(agent, source, err);
	case FLUME_HTTP:
		return make_http(agent, source, err);
	default:
		return make_netcat(agent, source, err);
	}
}
