/* What a schema cannot say of the cluster: what a URL and a path look like, and which keys go with which authentication. */
#include "config/config_check_internal.h"

#include <string.h>

/* "http://host" or "https://host", with a port and a path, if need be; without a user, a query, and '/' at its end. */
static int check_url(const struct check *check, const char *key, const char *url, const char *example)
{
	/* A directory, for trials: cluster/open.h. */
	if (strncmp(url, "file:///", 8) == 0 && !strpbrk(url, "*?[]=\\ \t") && url[strlen(url) - 1] != '/')
		return 0;
	const bool secure = strncmp(url, "https://", 8) == 0;
	const char *const host = url + (secure ? 8 : 7);
	if ((secure || strncmp(url, "http://", 7) == 0) && *host && *host != '/' && *host != ':' &&
	    !strpbrk(url, " \t?#@\"<>\\{}") && url[strlen(url) - 1] != '/')
		return 0;
	return FAIL(check, yamldoc_key("%s", key),
		    "'%s' is no URL of a server; expected http:// or https://, a host, and its port, such as %s", url,
		    example);
}

static bool is_hdfs_path(const char *path)
{
	if (path[0] != '/' || path[1] == '\0' || path[strlen(path) - 1] == '/')
		return false;
	/* SQL engines would read other files by a pattern, and put what looks like a partition into every row. */
	return !strpbrk(path, "*?[]{}=\\:\"'` \t") && !strstr(path, "//") && !strstr(path, "/./") &&
	       !strstr(path, "/../");
}

static int check_auth(const struct check *check, const char *section, enum cluster_auth auth, const char *token_file)
{
	const struct yamldoc_key key = yamldoc_key("%s.token_file", section);
	if (auth == CLUSTER_AUTH_TOKEN && !token_file)
		return FAIL(check, key, "this key is missing; with auth: token, expected a file with the token");
	if (auth != CLUSTER_AUTH_TOKEN && token_file)
		return FAIL(check, key, "it goes with auth: token only; expected that, or no token_file");
	return config_check_not_empty(check, key, token_file, "a file with the token");
}

static int check_hdfs(const struct check *check)
{
	const struct config_cluster *const cluster = &check->config->cluster;
	int rc = check_url(check, "cluster.hdfs.url", cluster->hdfs_url, "http://namenode:9870");
	if (rc < 0)
		return rc;
	if (!is_hdfs_path(cluster->hdfs_path))
		return FAIL(check, yamldoc_key("cluster.hdfs.path"),
			    "'%s' is no directory for us; expected an absolute one, without '/' at its end and without "
			    "patterns, such as /user/punchcard",
			    cluster->hdfs_path);
	rc = config_check_not_empty(check, yamldoc_key("cluster.hdfs.user"), cluster->hdfs_user, "a user's name");
	return rc == 0 ? check_auth(check, "cluster.hdfs", cluster->hdfs_auth, cluster->hdfs_token_file) : rc;
}

static int check_hbase(const struct check *check)
{
	const struct config_cluster *const cluster = &check->config->cluster;
	const char *const prefix = cluster->hbase_prefix;
	const int rc = check_url(check, "cluster.hbase.url", cluster->hbase_url, "http://gateway:8080");
	if (rc < 0)
		return rc;
	/* Of a table's qualifier HBase takes [A-Za-z0-9_.-], not beginning with '.' or '-'; a namespace stands before ':'. */
	const size_t len = strlen(prefix);
	const size_t word = strspn(prefix, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
	const bool is_namespace = word > 0 && word + 1 == len && prefix[word] == ':';
	if ((word != len && !is_namespace) || len > 64)
		return FAIL(check, yamldoc_key("cluster.hbase.table_prefix"),
			    "'%s' cannot begin a table's name; expected letters, digits and '_', at most 64, or such a "
			    "namespace and ':'",
			    prefix);
	return check_auth(check, "cluster.hbase", cluster->hbase_auth, cluster->hbase_token_file);
}

static int check_conf(const struct check *check, unsigned i)
{
	const char *const setting = check->config->cluster.spark_conf.items[i];
	const char *const equals = strchr(setting, '=');
	const struct yamldoc_key key = yamldoc_key("cluster.spark.conf[%u]", i);
	if (strncmp(setting, "spark.", 6) != 0 || !equals || strpbrk(setting, "\n\r"))
		return FAIL(check, key, "'%s' is no setting; expected such as spark.executor.memory=4g", setting);
	return 0;
}

/* "hdfs://namenode:8020", "viewfs://cluster": a scheme and a host or a name, and no path. */
static int check_filesystem(const struct check *check, const char *url)
{
	const char *const sign = url ? strstr(url, "://") : NULL;
	if (!url || (sign && sign > url && sign[3] && !strpbrk(sign + 3, "/ \t?#\"'\\{}*[]") &&
		     strspn(url, "abcdefghijklmnopqrstuvwxyz0123456789") == (size_t)(sign - url)))
		return 0;
	return FAIL(
		check, yamldoc_key("cluster.spark.filesystem"),
		"'%s' is no file system; expected one as Spark knows it, without a path, such as hdfs://namenode:8020",
		url);
}

static int check_spark(const struct check *check)
{
	const struct config_cluster *const cluster = &check->config->cluster;
	const char *const database = cluster->spark_database;
	int rc = config_check_not_empty(check, yamldoc_key("cluster.spark.command[0]"), cluster->spark_command.items[0],
					"a program, such as spark-sql");
	if (rc == 0)
		rc = config_check_not_empty(check, yamldoc_key("cluster.spark.master"), cluster->spark_master,
					    "yarn, local[*], spark://host:7077 …");
	for (unsigned i = 0; i < cluster->spark_conf.count && rc == 0; i++)
		rc = check_conf(check, i);
	if (rc == 0)
		rc = check_filesystem(check, cluster->spark_filesystem);
	if (rc < 0)
		return rc;
	if (!*database || strspn(database, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(database) ||
	    strlen(database) > 64)
		return FAIL(check, yamldoc_key("cluster.spark.database"),
			    "'%s' is no database; expected a-z, 0-9 and '_', at most 64", database);
	return 0;
}

int config_check_cluster(const struct check *check)
{
	const struct config_cluster *const cluster = &check->config->cluster;
	if (!cluster->on)
		return 0;
	int rc = config_check_name(check, yamldoc_key("cluster.edge"), cluster->edge);
	if (rc == 0)
		rc = check_hdfs(check);
	if (rc == 0)
		rc = check_hbase(check);
	if (rc == 0 && cluster->stream == CLUSTER_STREAM_SPARK && cluster->hdfs_raw == CLUSTER_RAW_NONE)
		rc = FAIL(check, yamldoc_key("cluster.hdfs.raw"),
			  "with stream: spark the table is made of raw events; expected json or gzip");
	return rc == 0 ? check_spark(check) : rc;
}
