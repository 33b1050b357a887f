#include "cluster/session.h"

#include "base/decimal.h"
#include "base/limits.h"
#include "cluster/open.h"
#include "engine/engine.h"

#include <stdlib.h>
#include <string.h>

#define METASTORE_KEY "spark.hadoop.javax.jdo.option.ConnectionURL"
/* Spark's own 200 are for a cluster; a trial of some thousand rows would wait for 200 tasks a table. */
#define PARTITIONS_KEY   "spark.sql.shuffle.partitions"
#define TRIAL_PARTITIONS "8"
#define TRIAL_SETTINGS   2
/* What of cluster.spark.conf says where tables are known. */
static const char *const METASTORE_KEYS[] = {
	METASTORE_KEY,
	"spark.hadoop.hive.metastore.uris",
	"spark.hive.metastore.uris",
	"spark.sql.catalogImplementation",
};

static bool is_interrupted(void *context, const struct spark_progress *progress)
{
	(void)context;
	(void)progress;
	return engine_check_interrupted(NULL) == 0;
}

/* ---- what Spark is told ---- */

static bool names(const struct cluster_session *session, const char *key)
{
	for (unsigned i = 0; i < session->spark.n_settings; i++)
		if (strcmp(session->settings[i].key, key) == 0)
			return true;
	return false;
}

static bool names_metastore(const struct cluster_session *session)
{
	for (size_t k = 0; k < sizeof(METASTORE_KEYS) / sizeof(METASTORE_KEYS[0]); k++)
		if (names(session, METASTORE_KEYS[k]))
			return true;
	return false;
}

/* Takes the value over; NULL: out of memory. */
static int add_setting(struct cluster_session *session, const char *key, const char *value, struct error *err)
{
	struct spark_setting *const setting = &session->settings[session->spark.n_settings++];
	setting->key = text_printf("%s", key);
	setting->value = value;
	return setting->key && value ? 0 : error_no_memory(err, LIMIT_PATH_BYTES);
}

/* "key=value" of the configuration, each in two texts of its own; and for a directory what suits a trial, unless it is set. */
static int fill_settings(struct cluster_session *session, struct error *err)
{
	const struct config_cluster *const cluster = &session->deployment->config->cluster;
	const unsigned n = cluster->spark_conf.count;
	session->settings = calloc(n + TRIAL_SETTINGS, sizeof(*session->settings));
	if (!session->settings)
		return error_no_memory(err, n * sizeof(*session->settings));
	session->spark.settings = session->settings;
	for (unsigned i = 0; i < n; i++) {
		const char *const text = cluster->spark_conf.items[i];
		const char *const sign = strchrnul(text, '=');
		struct spark_setting *const setting = &session->settings[i];
		session->spark.n_settings++;
		setting->key = slice_dup((struct slice){text, (size_t)(sign - text)});
		setting->value = text_printf("%s", *sign ? sign + 1 : "");
		if (!setting->key || !setting->value)
			return error_no_memory(err, strlen(text));
	}
	const char *const directory = cluster_directory_of(cluster->hdfs_url);
	int rc = 0;
	if (directory && !names(session, PARTITIONS_KEY))
		rc = add_setting(session, PARTITIONS_KEY, text_printf("%s", TRIAL_PARTITIONS), err);
	if (rc == 0 && directory && !names_metastore(session))
		rc = add_setting(session, METASTORE_KEY,
				 text_printf("jdbc:derby:;databaseName=%s%s/_metastore;create=true", directory,
					     cluster->hdfs_path),
				 err);
	return rc;
}

static int fill_tables(struct cluster_session *session, struct error *err)
{
	const struct config *const config = session->deployment->config;
	const struct config_cluster *const cluster = &config->cluster;
	const bool is_directory = cluster_directory_of(cluster->hdfs_url) != NULL;
	const char *const filesystem =
		is_directory && !cluster->spark_filesystem ? cluster->hdfs_url : cluster->spark_filesystem;
	if (!filesystem)
		return error_set(err, ERROR_CONFIG,
				 "%s: cluster.spark.filesystem: this key is missing; Spark needs the file system of "
				 "cluster.hdfs by the name that it has in Hadoop, such as hdfs://namenode:8020 (`hdfs "
				 "getconf -confKey fs.defaultFS` prints it)",
				 config->path);
	session->location = text_printf("%s%s/warehouse", filesystem, cluster->hdfs_path);
	session->tables = (struct cluster_tables){
		.database = cluster->spark_database, .warehouse = session->location, .id_type = config->customer_id};
	return session->location ? 0 : error_no_memory(err, LIMIT_PATH_BYTES);
}

static void fill_spark(struct cluster_session *session)
{
	const struct config_cluster *const cluster = &session->deployment->config->cluster;
	const char *const tmp = getenv("TMPDIR");
	session->spark = (struct spark_options){
		.command = cluster->spark_command.items[0],
		.words = (const char *const *)cluster->spark_command.items + 1,
		.n_words = cluster->spark_command.count - 1,
		.master = cluster->spark_master,
		.queue = cluster->spark_queue,
		/* Both write the same files. */
		.hadoop_user = cluster->hdfs_auth == CLUSTER_AUTH_SIMPLE ? cluster->hdfs_user : NULL,
		.tmp_dir = session->deployment->tmp_dir ? session->deployment->tmp_dir
			   : tmp && *tmp                ? tmp
							: "/tmp",
		.progress = is_interrupted,
	};
}

int cluster_session_open(const struct deployment *deployment, const char *what, struct cluster_session *session,
			 struct error *err)
{
	*session = (struct cluster_session){.deployment = deployment};
	_cleanup_free_ char *writer = text_printf("%s-%s", deployment->config->cluster.edge, what);
	if (!writer)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	fill_spark(session);
	int rc = fill_tables(session, err);
	if (rc == 0)
		rc = fill_settings(session, err);
	return rc == 0 ? cluster_open_warehouse(deployment, writer, &session->warehouse, err) : rc;
}

static void release_edges(struct cluster_session *session)
{
	for (unsigned i = 0; i < session->cut.n_edges; i++)
		free((char *)(uintptr_t)session->edges[i].name);
	free(session->edges);
	session->edges = NULL;
	session->cut = (struct cluster_cut){0};
}

void cluster_session_close(struct cluster_session *session)
{
	release_edges(session);
	for (unsigned i = 0; i < session->spark.n_settings; i++) {
		free((char *)(uintptr_t)session->settings[i].key);
		free((char *)(uintptr_t)session->settings[i].value);
	}
	free(session->settings);
	free(session->location);
	warehouse_close(session->warehouse);
	*session = (struct cluster_session){0};
}

/* ---- the cut ---- */

#define EDGES "edges"
#define MARK  "hdfs-table-"

struct names {
	char *list[SESSION_EDGES_MAX];
	unsigned n;
};

static int on_edge(void *context, const char *name, const struct warehouse_stat *stat, struct error *err)
{
	struct names *const names = context;
	if (!stat->is_dir)
		return 0;
	if (names->n == SESSION_EDGES_MAX)
		return error_set(err, ERROR_LIMIT, "more than %u edges have shipped to this cluster",
				 SESSION_EDGES_MAX);
	names->list[names->n] = text_printf("%s", name);
	return names->list[names->n] ? (names->n++, 0) : error_no_memory(err, strlen(name));
}

static int on_mark(void *context, const char *name, const struct warehouse_stat *stat, struct error *err)
{
	uint64_t *const most = context;
	int64_t next;
	(void)stat;
	(void)err;
	if (strncmp(name, MARK, strlen(MARK)) == 0 &&
	    integer_parse(name + strlen(MARK), strlen(name + strlen(MARK)), &next) == 0 && next > (int64_t)*most)
		*most = (uint64_t)next;
	return 0;
}

/* An edge that has put no file yet has no mark, and no place in the cut. */
static int add_edge(struct cluster_session *session, char *name, bool *taken, struct error *err)
{
	_cleanup_free_ char *dir = text_printf(EDGES "/%s", name);
	uint64_t next = 0;
	const int rc = dir ? warehouse_list(session->warehouse, dir, on_mark, &next, err)
			   : error_no_memory(err, LIMIT_PATH_BYTES);
	if (rc < 0 || next == 0)
		return rc;
	session->edges[session->cut.n_edges++] = (struct cut_edge){.name = name, .next_block = next};
	*taken = true;
	return 0;
}

int cluster_session_cut(struct cluster_session *session, struct error *err)
{
	struct names names = {0};
	release_edges(session);
	int rc = warehouse_list(session->warehouse, EDGES, on_edge, &names, err);
	if (rc == ERROR_NOT_FOUND)
		rc = 0;
	session->edges = calloc(names.n + 1, sizeof(*session->edges));
	if (rc == 0 && !session->edges)
		rc = error_no_memory(err, names.n * sizeof(*session->edges));
	session->cut.edges = session->edges;
	for (unsigned i = 0; i < names.n; i++) {
		bool taken = false;
		if (rc == 0 && session->edges)
			rc = add_edge(session, names.list[i], &taken, err);
		if (!taken)
			free(names.list[i]);
	}
	return rc;
}
