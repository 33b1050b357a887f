/* Where sinks put what they take: directories and tables of this machine, or of a cluster. */
#include "speed/flume_conf_internal.h"

#include "base/limits.h"

#include <stdio.h>
#include <stdlib.h>

static bool is_our_table(struct slice name)
{
	static const char *const OURS[] = {"customers",        "customers_cln", "transactions_cln", "ledger",
					   "balances",         "loyalty",       "account_state",    "accounts",
					   "account_balances", "quarantine"};
	for (size_t i = 0; i < sizeof(OURS) / sizeof(OURS[0]); i++)
		if (name.len == strlen(OURS[i]) && strncasecmp(name.data, OURS[i], name.len) == 0)
			return true;
	return false;
}

/* Whether one of the words of this machine. */
static bool is_here(struct slice host)
{
	return host.len == 0 || slice_is(host, "localhost") || slice_is(host, "127.0.0.1") || slice_is(host, "[::1]");
}

static bool is_word(struct slice text, const char *words)
{
	struct slice word;
	for (unsigned i = 0; flume_word(words, i, &word); i++)
		if (word.len == text.len && strncasecmp(word.data, text.data, text.len) == 0)
			return true;
	return false;
}

/* Whether the host stands in one of the URLs of the cluster; a name of several NameNodes does not. */
static bool is_of_cluster(const struct config_cluster *cluster, struct slice host)
{
	_cleanup_free_ char *name = slice_dup(host);
	return !name || strstr(cluster->hdfs_url, name) ||
	       (cluster->spark_filesystem && strstr(cluster->spark_filesystem, name));
}

/* Decides whether it is a directory of the cluster. *refused: neither that nor one of here. */
static int check_url(struct flume_agent *agent, const struct flume_component *component,
		     const struct flume_property *item, struct sink *sink, bool *refused, struct error *err)
{
	const char *const mark = strstr(item->value, "://");
	const struct slice scheme = {item->value, mark ? (size_t)(mark - item->value) : 0};
	const struct slice host = {mark ? mark + 3 : "", mark ? strcspn(mark + 3, "/:") : 0};
	const bool is_hdfs = !mark || is_word(scheme, "hdfs webhdfs swebhdfs viewfs");
	const bool is_file = mark && is_word(scheme, "file");
	*refused = !is_hdfs && !is_file;
	if (*refused)
		return flume_say(agent, FLUME_REFUSED, component, item, err,
				 "%.*s:// cannot be written to; expected hdfs://, or a path alone", (int)scheme.len,
				 scheme.data);
	sink->on_cluster = is_hdfs && agent->cluster;
	if (sink->on_cluster)
		return is_here(host) || is_of_cluster(agent->cluster, host)
			       ? 0
			       : flume_say(
					 agent, FLUME_WARNED, component, item, err,
					 "it is written by way of cluster.hdfs.url in punchcard.yaml, which is %s: is "
					 "that the same HDFS?",
					 agent->cluster->hdfs_url);
	*refused = is_hdfs && !is_here(host);
	return *refused ? flume_say(agent, FLUME_REFUSED, component, item, err,
				    "%.*s is another machine, and punchcard.yaml has no section cluster: name its HDFS "
				    "there (docs/cluster.md) to write to it, or write the path alone (/tmp/flume/sink) "
				    "for a directory in data/warehouse",
				    (int)host.len, host.data)
			: 0;
}

/* In HDFS: not among what is punchcard's own, and below a directory that is the same for all lines. */
static int check_cluster_path(struct flume_agent *agent, const struct flume_component *component,
			      const struct flume_property *item, const char *padded, struct error *err)
{
	const char *const own = agent->cluster->hdfs_path;
	const size_t len = strlen(own);
	if (strncmp(padded, own, len) == 0 && padded[len] == '/')
		return flume_say(agent, FLUME_REFUSED, component, item, err,
				 "%s is punchcard's own (cluster.hdfs.path); expected another directory", own);
	if (strchr(padded, ':'))
		return flume_say(agent, FLUME_REFUSED, component, item, err, "HDFS has no names with ':'");
	return memchr(padded + 1, '%', strcspn(padded + 1, "/"))
		       ? flume_say(agent, FLUME_REFUSED, component, item, err,
				   "expected a directory whose first part is the same for all events")
		       : 0;
}

int flume_take_path(struct flume_agent *agent, const struct flume_component *component,
		    const struct flume_property *item, struct sink *sink, struct error *err)
{
	const char *path = item->value;
	const char *const scheme = strstr(path, "://");
	bool refused = false;
	int rc = check_url(agent, component, item, sink, &refused, err);
	if (rc < 0 || refused)
		return rc;
	if (scheme)
		path = strchrnul(scheme + 3, '/');
	path += strspn(path, "/");
	size_t len = strlen(path);
	while (len && path[len - 1] == '/')
		len--;
	_cleanup_free_ char *padded = text_printf("/%.*s/", (int)len, path);
	if (!padded)
		return error_no_memory(err, len);
	if (len == 0 || strstr(padded, "/../") || strstr(padded, "/./") || strpbrk(padded, "*?[\\"))
		return flume_say(agent, FLUME_REFUSED, component, item, err,
				 "expected a directory below the root, without '..' and without * ? [ \\");
	if (sink->on_cluster)
		rc = check_cluster_path(agent, component, item, padded, err);
	else if (is_our_table((struct slice){path, strcspn(path, "/")}))
		rc = flume_say(agent, FLUME_REFUSED, component, item, err,
			       "punchcard has a table of that name there; expected another directory");
	if (rc < 0)
		return rc;
	sink->in_warehouse = true;
	sink->dir = strndup(path, len);
	return sink->dir ? 0 : error_no_memory(err, len);
}

int flume_check_table(struct flume_agent *agent, const struct flume_component *component,
		      const struct flume_property *table, const struct sink *sink, struct error *err)
{
	const char *const prefix = sink->on_cluster ? agent->cluster->hbase_prefix : NULL;
	const bool ours = prefix ? *prefix && strncmp(table->value, prefix, strlen(prefix)) == 0
				 : is_our_table(slice_of(table->value));
	if (!ours)
		return 0;
	return flume_say(
		agent, FLUME_REFUSED, component, table, err,
		prefix ? "tables whose names begin so are punchcard's (cluster.hbase.table_prefix); expected another"
		       : "punchcard has a table of that name; expected another");
}
