/* What a schema cannot say of sources: which keys go with which type, and what they may hold. */
#include "config/config_check_internal.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

static void list_order_mappings(const struct config *config, struct buf *out)
{
	/* Out of memory here only shortens a message. */
	for (unsigned i = 0; i < config->n_order_mappings; i++)
		(void)buf_printf(out, "%s%s", i ? ", " : "", config->order_mappings[i].name);
}

static int check_source_format(const struct check *check, unsigned i)
{
	const char *const format = check->config->sources[i].format;
	if (strcmp(format, "classic") == 0 || strcmp(format, "ndjson") == 0 ||
	    config_order_mapping(check->config, format))
		return 0;
	_cleanup_buf_ struct buf known = {0};
	list_order_mappings(check->config, &known);
	return config_fail_format(check, yamldoc_key("sources[%u].format", i), format,
				  known.len ? "classic, ndjson" : "classic or ndjson", "an order", &known);
}

/* The directory without "./" before, "/" and "/." behind: enough to see the same one written in two ways. */
static struct slice plain_dir(const char *dir)
{
	while (dir[0] == '.' && dir[1] == '/') {
		dir += 2;
		dir += strspn(dir, "/");
	}
	size_t len = strlen(dir);
	while (len > 1 && (dir[len - 1] == '/' || (dir[len - 1] == '.' && dir[len - 2] == '/')))
		len--;
	return len ? (struct slice){dir, len} : SLICE(".");
}

/* Directories of the deployment in which everything would be taken for orders. */
static bool is_own_dir(const char *dir)
{
	static const char *const OWN[] = {".", "data", "models"};
	const struct slice plain = plain_dir(dir);
	for (size_t i = 0; i < sizeof(OWN) / sizeof(OWN[0]); i++) {
		const size_t len = strlen(OWN[i]);
		if (slice_is(plain, OWN[i]))
			return true;
		if (i > 0 && plain.len > len && memcmp(plain.data, OWN[i], len) == 0 && plain.data[len] == '/')
			return true;
	}
	return false;
}

/* Whether no name can match both patterns, as far as what stands before their first and behind their last wildcard tells. */
static bool names_differ(const char *a, const char *b)
{
	static const char WILD[] = "*?[]\\";
	const size_t head_a = strcspn(a, WILD);
	const size_t head_b = strcspn(b, WILD);
	if (!a[head_a] || !b[head_b])
		return fnmatch(a[head_a] ? a : b, a[head_a] ? b : a, 0) != 0;
	if (strncmp(a, b, head_a < head_b ? head_a : head_b) != 0)
		return true;
	for (size_t n = 1; n <= strlen(a) && n <= strlen(b); n++) {
		const char last_a = a[strlen(a) - n];
		const char last_b = b[strlen(b) - n];
		if (strchr(WILD, last_a) || strchr(WILD, last_b))
			return false;
		if (last_a != last_b)
			return true;
	}
	return false;
}

/* Whether files that `tail` follows may be files that `spool` takes: each line would be two events. */
static bool tails_a_spool(const struct config_source *tail, const struct config_source *spool)
{
	if (tail->type != SOURCE_TAIL || spool->type != SOURCE_SPOOL)
		return false;
	const char *const slash = strrchr(tail->path, '/');
	_cleanup_free_ char *path = strndup(tail->path, slash ? (size_t)(slash - tail->path) : 0);
	if (!path) /* then two sources are not compared */
		return false;
	const struct slice in = slash == tail->path ? SLICE("/") : plain_dir(path);
	const struct slice dir = plain_dir(spool->dir);
	const bool below = spool->recursive && in.len > dir.len && memcmp(in.data, dir.data, dir.len) == 0 &&
			   in.data[dir.len] == '/';
	return (below || slice_equal(in, dir)) && !names_differ(slash ? slash + 1 : tail->path, spool->pattern);
}

static int check_source_dir(const struct check *check, unsigned i)
{
	const struct config_source *const source = &check->config->sources[i];
	const struct yamldoc_key key = yamldoc_key("sources[%u].dir", i);
	const int rc = config_check_not_empty(check, key, source->dir, "a directory, such as spool");
	if (rc < 0)
		return rc;
	if (is_own_dir(source->dir))
		return FAIL(check, key,
			    "'%s' holds files of punchcard's own; expected a directory for orders alone, such as spool",
			    source->dir);
	for (unsigned k = 0; k < i; k++) {
		const struct config_source *const other = &check->config->sources[k];
		if (other->type == SOURCE_SPOOL && slice_equal(plain_dir(source->dir), plain_dir(other->dir)) &&
		    strcmp(source->pattern, other->pattern) == 0)
			return FAIL(check, key,
				    "source %s takes the same files of '%s' already; expected another dir or pattern",
				    other->name, source->dir);
		if (tails_a_spool(other, source))
			return FAIL(check, key,
				    "source %s follows the same files ('%s') already, and each line would count twice; "
				    "expected another dir or pattern",
				    other->name, other->path);
	}
	return 0;
}

static int check_source_done(const struct check *check, unsigned i)
{
	const struct config_source *const source = &check->config->sources[i];
	const struct yamldoc_key suffix = yamldoc_key("sources[%u].suffix", i);
	const struct yamldoc_key move_to = yamldoc_key("sources[%u].move_to", i);
	if (source->when_done == WHEN_DONE_MOVE && source->suffix)
		return FAIL(check, suffix, "it only goes with when_done: rename or delete; expected no such line");
	if (source->when_done != WHEN_DONE_MOVE && source->move_to)
		return FAIL(check, move_to, "it only goes with when_done: move; expected no such line");
	if (source->suffix && (!*source->suffix || strchr(source->suffix, '/')))
		return FAIL(check, suffix, "'%s' is no suffix; expected something like .COMPLETED, without '/'",
			    source->suffix);
	if (source->when_done != WHEN_DONE_MOVE)
		return 0;
	if (!source->move_to)
		return FAIL(check, move_to,
			    "this key is missing; with when_done: move, expected a directory, such as done");
	if (slice_equal(plain_dir(source->move_to), plain_dir(source->dir)))
		return FAIL(check, move_to, "it is where the files come from; expected another directory than '%s'",
			    source->dir);
	return config_check_not_empty(check, move_to, source->move_to, "a directory, such as done");
}

/* Keys that only some types have. */
static const struct {
	const char *key;
	unsigned types; /* bits */
	bool needed;    /* by those */
	const char *expected;
} TYPE_KEYS[] = {
	{"dir", 1u << SOURCE_SPOOL, true, "a directory, such as spool"},
	{"pattern", 1u << SOURCE_SPOOL, false, NULL},
	{"recursive", 1u << SOURCE_SPOOL, false, NULL},
	{"scan_s", 1u << SOURCE_SPOOL | 1u << SOURCE_KAFKA, false, NULL},
	{"when_done", 1u << SOURCE_SPOOL, false, NULL},
	{"suffix", 1u << SOURCE_SPOOL, false, NULL},
	{"move_to", 1u << SOURCE_SPOOL, false, NULL},
	{"settle_ms", ~(1u << SOURCE_HTTP | 1u << SOURCE_TCP | 1u << SOURCE_KAFKA), false, NULL},
	{"path", 1u << SOURCE_TAIL, true, "a file, or a pattern of files in a directory, such as logs/till-*.log"},
	{"command", 1u << SOURCE_EXEC, true,
	 "a list of the program and its arguments, such as [ssh, till, tail, -F, x]"},
	{"restart_s", 1u << SOURCE_EXEC, false, NULL},
	{"listen", 1u << SOURCE_HTTP | 1u << SOURCE_TCP, true, "an address and a port, such as 127.0.0.1:8480"},
	{"token_file", 1u << SOURCE_HTTP, false, NULL},
	{"max_body_kib", 1u << SOURCE_HTTP, false, NULL},
	{"max_waiting", 1u << SOURCE_HTTP, false, NULL},
	{"answer", 1u << SOURCE_TCP, false, NULL},
	{"brokers", 1u << SOURCE_KAFKA, true, "addresses of brokers, such as broker1:9092,broker2:9092"},
	{"topics", 1u << SOURCE_KAFKA, true, "a list of topics, such as [orders]"},
	{"partitions", 1u << SOURCE_KAFKA, false, NULL},
	{"group", 1u << SOURCE_KAFKA, false, NULL},
	{"from", 1u << SOURCE_KAFKA, false, NULL},
	{"properties", 1u << SOURCE_KAFKA, false, NULL},
	{"properties_file", 1u << SOURCE_KAFKA, false, NULL},
};

static void name_types(unsigned types, struct buf *out)
{
	/* Out of memory here only shortens a message. */
	for (unsigned type = 0; type < SOURCE_TYPES; type++)
		if (types >> type & 1)
			(void)buf_printf(out, "%s%s", out->len ? ", " : "", config_source_type_name(type));
}

static int check_source_keys(const struct check *check, unsigned i)
{
	const struct config_source *const source = &check->config->sources[i];
	const char *const type = config_source_type_name(source->type);
	for (size_t k = 0; k < sizeof(TYPE_KEYS) / sizeof(TYPE_KEYS[0]); k++) {
		const struct yamldoc_key key = yamldoc_key("sources[%u].%s", i, TYPE_KEYS[k].key);
		const bool has = yamldoc_has(check->file, key);
		const bool may = TYPE_KEYS[k].types >> source->type & 1;
		if (has && !may) {
			_cleanup_buf_ struct buf types = {0};
			name_types(TYPE_KEYS[k].types, &types);
			return FAIL(check, key, "a source of type %s has no such key (it goes with %s)", type,
				    buf_text(&types) ? types.data : "another type");
		}
		if (!has && may && TYPE_KEYS[k].needed)
			return FAIL(check, key, "this key is missing; expected %s", TYPE_KEYS[k].expected);
	}
	if (!source->format)
		return FAIL(check, yamldoc_key("sources[%u].format", i),
			    "this key is missing; expected classic, ndjson or the name of an order mapping");
	return 0;
}

static int check_spool(const struct check *check, unsigned i)
{
	const struct config_source *const source = &check->config->sources[i];
	if (!*source->pattern || strchr(source->pattern, '/'))
		return FAIL(check, yamldoc_key("sources[%u].pattern", i),
			    "'%s' is no pattern; expected one of file names, such as '*.txt', without '/'",
			    source->pattern);
	int rc = check_source_dir(check, i);
	if (rc == 0)
		rc = check_source_format(check, i);
	return rc == 0 ? check_source_done(check, i) : rc;
}

/* Only the last part of a path may be a pattern: files are looked for in one directory. */
static int check_tail(const struct check *check, unsigned i)
{
	const struct config_source *const source = &check->config->sources[i];
	const struct yamldoc_key key = yamldoc_key("sources[%u].path", i);
	const char *const slash = strrchr(source->path, '/');
	const size_t dir_len = slash ? (size_t)(slash - source->path) : 0;
	if (!*source->path || (slash && !slash[1]))
		return FAIL(check, key, "'%s' names no file; expected one, or a pattern, such as logs/till-*.log",
			    source->path);
	if (strcspn(source->path, "*?[") < dir_len)
		return FAIL(check, key, "'%s' has a pattern in a directory's name; expected one in the last part only",
			    source->path);
	for (unsigned k = 0; k < i; k++) {
		const struct config_source *const other = &check->config->sources[k];
		if (other->type == SOURCE_TAIL && strcmp(other->path, source->path) == 0)
			return FAIL(check, key, "source %s follows '%s' already; expected another path", other->name,
				    source->path);
		if (tails_a_spool(source, other))
			return FAIL(check, key,
				    "source %s takes the same files of '%s' already, and each line would count twice; "
				    "expected files of another directory",
				    other->name, other->dir);
	}
	return check_source_format(check, i);
}

static int check_stdin(const struct check *check, unsigned i)
{
	for (unsigned k = 0; k < i; k++)
		if (check->config->sources[k].type == SOURCE_STDIN)
			return FAIL(check, yamldoc_key("sources[%u].type", i),
				    "source %s reads the standard input already; expected another type",
				    check->config->sources[k].name);
	return check_source_format(check, i);
}

static int check_exec(const struct check *check, unsigned i)
{
	if (!*check->config->sources[i].command.items[0])
		return FAIL(check, yamldoc_key("sources[%u].command[0]", i), "'' is empty; expected a program");
	return check_source_format(check, i);
}

static int check_listen(const struct check *check, unsigned i)
{
	const struct config_source *const source = &check->config->sources[i];
	const struct yamldoc_key key = yamldoc_key("sources[%u].listen", i);
	const char *const colon = strrchr(source->listen, ':');
	char *end = NULL;
	const long port = colon ? strtol(colon + 1, &end, 10) : 0;
	if (!colon || colon == source->listen || !end || *end || strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
	    port < 1 || port > 65535)
		return FAIL(check, key, "'%s' is no address; expected an address and a port, such as 127.0.0.1:8480",
			    source->listen);
	for (unsigned k = 0; k < i; k++) {
		const struct config_source *const other = &check->config->sources[k];
		if (other->listen && strcmp(other->listen, source->listen) == 0)
			return FAIL(check, key, "source %s listens at %s already; expected another port", other->name,
				    source->listen);
	}
	return 0;
}

/* Who is answered line by line must not have to wait for the next line of an order. */
static int check_tcp(const struct check *check, unsigned i)
{
	const struct config_source *const source = &check->config->sources[i];
	if (strcmp(source->format, "classic") != 0 && strcmp(source->format, "ndjson") != 0)
		return FAIL(check, yamldoc_key("sources[%u].format", i),
			    "'%s': a connection brings lines, each on its own; expected classic or ndjson",
			    source->format);
	return check_listen(check, i);
}

static int check_http(const struct check *check, unsigned i)
{
	const struct config_source *const source = &check->config->sources[i];
	const int rc = check_listen(check, i);
	if (rc < 0)
		return rc;
	if (strcmp(source->format, "ndjson") != 0)
		return FAIL(check, yamldoc_key("sources[%u].format", i),
			    "'%s': requests bear events in JSON; expected ndjson, or no such line", source->format);
	return config_check_not_empty(check, yamldoc_key("sources[%u].token_file", i), source->token_file,
				      "a file whose first line is the token");
}

/* Kafka's rule for names. */
static bool is_topic(const char *name)
{
	const size_t len = strlen(name);
	return len >= 1 && len <= 249 &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == len &&
	       strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static bool is_partition(const char *text)
{
	const size_t len = strlen(text);
	return len >= 1 && len <= 6 && strspn(text, "0123456789") == len && (len == 1 || text[0] != '0');
}

/* Where a list names the same twice; the place of the second, or of the first that `is_good` does not like. */
static unsigned first_bad(const struct config_strings *list, bool (*is_good)(const char *), bool *twice)
{
	for (unsigned i = 0; i < list->count; i++) {
		*twice = false;
		for (unsigned k = 0; k < i; k++)
			*twice = *twice || strcmp(list->items[k], list->items[i]) == 0;
		if (*twice || !is_good(list->items[i]))
			return i;
	}
	return list->count;
}

static bool shares_partition(const struct config_source *a, const struct config_source *b)
{
	bool shares = !a->partitions.count || !b->partitions.count;
	for (unsigned i = 0; i < a->partitions.count; i++)
		for (unsigned k = 0; k < b->partitions.count; k++)
			shares = shares || strcmp(a->partitions.items[i], b->partitions.items[k]) == 0;
	return shares;
}

/* Two that read the same would make all events twice. */
static int check_kafka_alone(const struct check *check, unsigned i, unsigned k)
{
	const struct config_source *const source = &check->config->sources[i];
	const struct config_source *const other = &check->config->sources[k];
	if (other->type != SOURCE_KAFKA || strcmp(other->brokers, source->brokers) != 0 ||
	    !shares_partition(source, other))
		return 0;
	for (unsigned t = 0; t < source->topics.count; t++)
		for (unsigned u = 0; u < other->topics.count; u++)
			if (strcmp(source->topics.items[t], other->topics.items[u]) == 0)
				return FAIL(check, yamldoc_key("sources[%u].topics[%u]", i, t),
					    "source %s reads '%s' already; expected another topic, or other partitions",
					    other->name, source->topics.items[t]);
	return 0;
}

/* The value is not told: it may be secret. */
static int check_kafka_properties(const struct check *check, unsigned i)
{
	const struct config_source *const source = &check->config->sources[i];
	for (unsigned p = 0; p < source->properties.count; p++) {
		const char *const equals = strchr(source->properties.items[p], '=');
		if (!equals || equals == source->properties.items[p])
			return FAIL(check, yamldoc_key("sources[%u].properties[%u]", i, p),
				    "this is no setting; expected name=value, such as security.protocol=ssl");
	}
	return config_check_not_empty(check, yamldoc_key("sources[%u].properties_file", i), source->properties_file,
				      "a file of librdkafka's settings");
}

static int check_kafka(const struct check *check, unsigned i)
{
	const struct config_source *const source = &check->config->sources[i];
	bool twice = false;
	const unsigned topic = first_bad(&source->topics, is_topic, &twice);
	if (topic < source->topics.count)
		return FAIL(check, yamldoc_key("sources[%u].topics[%u]", i, topic), "'%s' %s; expected a topic's name",
			    source->topics.items[topic], twice ? "is there twice" : "is no name of a topic");
	const unsigned partition = first_bad(&source->partitions, is_partition, &twice);
	if (partition < source->partitions.count)
		return FAIL(check, yamldoc_key("sources[%u].partitions[%u]", i, partition),
			    "'%s' %s; expected a number from 0", source->partitions.items[partition],
			    twice ? "is there twice" : "is no partition");
	int rc = config_check_not_empty(check, yamldoc_key("sources[%u].brokers", i), source->brokers,
					"addresses of brokers, such as broker1:9092,broker2:9092");
	if (rc == 0)
		rc = config_check_not_empty(check, yamldoc_key("sources[%u].group", i), source->group,
					    "the name of a consumer group");
	for (unsigned k = 0; k < i && rc == 0; k++)
		rc = check_kafka_alone(check, i, k);
	if (rc == 0)
		rc = check_kafka_properties(check, i);
	return rc == 0 ? check_source_format(check, i) : rc;
}

int config_check_source(const struct check *check, unsigned i)
{
	static int (*const CHECKS[])(const struct check *, unsigned) = {
		[SOURCE_SPOOL] = check_spool, [SOURCE_TAIL] = check_tail, [SOURCE_STDIN] = check_stdin,
		[SOURCE_EXEC] = check_exec,   [SOURCE_HTTP] = check_http, [SOURCE_TCP] = check_tcp,
		[SOURCE_KAFKA] = check_kafka,
	};
	const struct config_source *const source = &check->config->sources[i];
	const struct yamldoc_key key = yamldoc_key("sources[%u].name", i);
	int rc = config_check_name(check, key, source->name);
	for (unsigned k = 0; k < i && rc == 0; k++)
		if (strcmp(check->config->sources[k].name, source->name) == 0)
			rc = config_fail_twice(check, key, yamldoc_key("sources[%u].name", k), source->name);
	if (rc == 0)
		rc = check_source_keys(check, i);
	return rc == 0 ? CHECKS[source->type](check, i) : rc;
}
