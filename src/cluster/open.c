#include "cluster/open.h"

#include "base/file.h"
#include "base/limits.h"

#include <string.h>

#define PATIENCE_MS 10000u
#define SILENCE_MS  30000u
/* Who waits at the till; a gateway that answers at all does so within a second. */
#define READER_PATIENCE_MS 3000u
#define READER_SILENCE_MS  10000u
#define LOOK_SILENCE_MS    5000u
#define TOKEN_BYTES        65536u
#define FILE_URL           "file://"

const char *cluster_directory_of(const char *url)
{
	return strncmp(url, FILE_URL, strlen(FILE_URL)) == 0 ? url + strlen(FILE_URL) : NULL;
}

static int open_directory(const struct deployment *deployment, const char *root, const char *writer, bool to_look,
			  struct warehouse **out, struct error *err)
{
	const struct config_cluster *const cluster = &deployment->config->cluster;
	const char *const directory = cluster_directory_of(cluster->hdfs_url);
	if (directory) {
		_cleanup_free_ char *local = text_printf("%s%s", directory, root);
		if (!local)
			return error_no_memory(err, LIMIT_PATH_BYTES);
		return warehouse_open_local(&(struct warehouse_local_options){.root = local, .writer = writer}, out,
					    err);
	}
	static const enum warehouse_auth AUTH[] = {[CLUSTER_AUTH_SIMPLE] = WAREHOUSE_AUTH_SIMPLE,
						   [CLUSTER_AUTH_SPNEGO] = WAREHOUSE_AUTH_SPNEGO,
						   [CLUSTER_AUTH_TOKEN] = WAREHOUSE_AUTH_TOKEN};
	_cleanup_free_ char *token_file = NULL;
	if (cluster->hdfs_token_file) {
		token_file = deployment_path(deployment, cluster->hdfs_token_file);
		if (!token_file)
			return error_no_memory(err, LIMIT_PATH_BYTES);
	}
	const struct warehouse_hdfs_options options = {.url = cluster->hdfs_url,
						       .root = root,
						       .writer = writer,
						       .auth = AUTH[cluster->hdfs_auth],
						       .user = cluster->hdfs_user,
						       .token_file = token_file,
						       .patience_ms = to_look ? 1 : PATIENCE_MS,
						       .silence_ms = to_look ? LOOK_SILENCE_MS : SILENCE_MS};
	return warehouse_open_hdfs(&options, out, err);
}

int cluster_open_warehouse(const struct deployment *deployment, const char *writer, struct warehouse **out,
			   struct error *err)
{
	return open_directory(deployment, deployment->config->cluster.hdfs_path, writer, false, out, err);
}

int cluster_open_directory(const struct deployment *deployment, const char *root, const char *writer,
			   struct warehouse **out, struct error *err)
{
	return open_directory(deployment, root, writer, false, out, err);
}

int cluster_open_warehouse_to_look(const struct deployment *deployment, const char *writer, struct warehouse **out,
				   struct error *err)
{
	return open_directory(deployment, deployment->config->cluster.hdfs_path, writer, true, out, err);
}

/* "Bearer <the first line>". */
static int read_bearer(const struct deployment *deployment, struct buf *out, struct error *err)
{
	_cleanup_free_ char *path = deployment_path(deployment, deployment->config->cluster.hbase_token_file);
	_cleanup_buf_ struct buf text = {0};
	if (!path)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	int rc = file_read_all(path, TOKEN_BYTES, &text, err);
	if (rc < 0)
		return rc;
	const char *const feed = text.len ? memchr(text.data, '\n', text.len) : NULL;
	const struct slice line = slice_trim((struct slice){text.data, feed ? (size_t)(feed - text.data) : text.len});
	if (line.len == 0)
		return error_set(err, ERROR_CONFIG, "%s has no token in its first line", path);
	return buf_printf(out, "Bearer %.*s", (int)line.len, line.data) < 0 ? error_no_memory(err, line.len) : 0;
}

static int open_lmdb(const char *directory, uint32_t map_gib, bool read_only, struct cells **out, struct error *err)
{
	const struct cells_lmdb_options options = {.map_gib = map_gib, .read_only = read_only};
	const int rc = read_only ? 0 : file_make_dirs(directory, err);
	return rc < 0 ? rc : cells_open_lmdb(directory, &options, out, err);
}

/* `prefix`: NULL: of punchcard's own tables. */
static int open_cells(const struct deployment *deployment, bool read_only, const char *prefix, struct cells **out,
		      struct error *err)
{
	const struct config *const config = deployment->config;
	const char *const directory = cluster_directory_of(config->cluster.hbase_url);
	if (directory) {
		_cleanup_free_ char *other = prefix ? text_printf("%s-%stables", directory, prefix) : NULL;
		return prefix && !other
			       ? error_no_memory(err, LIMIT_PATH_BYTES)
			       : open_lmdb(other ? other : directory, config->view_map_gib, read_only, out, err);
	}
	_cleanup_buf_ struct buf bearer = {0};
	struct cells_hbase_options options = CELLS_HBASE_OPTIONS_DEFAULT;
	options.http.url = config->cluster.hbase_url;
	options.http.silence_ms = read_only ? READER_SILENCE_MS : SILENCE_MS;
	options.http.retry.limit_ms = read_only ? READER_PATIENCE_MS : PATIENCE_MS;
	options.prefix = prefix ? prefix : config->cluster.hbase_prefix;
	if (config->cluster.hbase_auth == CLUSTER_AUTH_SPNEGO)
		options.http.auth = HTTP_AUTH_SPNEGO;
	if (config->cluster.hbase_auth == CLUSTER_AUTH_TOKEN) {
		const int rc = read_bearer(deployment, &bearer, err);
		if (rc < 0)
			return rc;
		options.http.auth = HTTP_AUTH_HEADER;
		options.http.auth_name = "Authorization";
		options.http.auth_value = buf_text(&bearer);
		if (!options.http.auth_value)
			return error_no_memory(err, bearer.len);
	}
	return cells_open_hbase(&options, out, err);
}

int cluster_open_cells(const struct deployment *deployment, struct cells **out, struct error *err)
{
	return open_cells(deployment, false, NULL, out, err);
}

int cluster_open_view(const struct deployment *deployment, struct cells **cells, struct cluster_view **view,
		      struct error *err)
{
	int rc = cluster_open_cells(deployment, cells, err);
	if (rc == 0)
		rc = cluster_view_open(*cells, deployment->config->customer_id, deployment->programme->timezone, view,
				       err);
	return rc == 0 ? cluster_view_ensure(*view, err) : rc;
}

int cluster_open_cells_to_read(const struct deployment *deployment, struct cells **out, struct error *err)
{
	return open_cells(deployment, true, NULL, out, err);
}

int cluster_open_tables(const struct deployment *deployment, const char *prefix, struct cells **out, struct error *err)
{
	return open_cells(deployment, false, prefix, out, err);
}
