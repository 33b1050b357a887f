#include "cluster/warehouse_files.h"

#include "base/file.h"
#include "base/limits.h"
#include "cluster/open.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SUFFIX ".parquet"

int cluster_local_path(const struct cluster_session *session, const char *path, char **out, struct error *err)
{
	const struct config_cluster *const cluster = &session->deployment->config->cluster;
	const char *const directory = cluster_directory_of(cluster->hdfs_url);
	if (!directory)
		return 0;
	*out = text_printf("%s%s/%s", directory, cluster->hdfs_path, path);
	return *out ? 0 : error_no_memory(err, LIMIT_PATH_BYTES);
}

struct copy {
	int fd;
	const char *path;
};

static int take_bytes(void *context, const void *data, size_t len, struct error *err)
{
	const struct copy *const copy = context;
	return file_write_all(copy->fd, data, len, copy->path, err);
}

int cluster_download(const struct cluster_session *session, const char *path, const char *local, struct error *err)
{
	_cleanup_close_ int fd = open(local, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	struct copy copy = {.fd = fd, .path = local};
	if (fd < 0)
		return error_errno(err, errno, "cannot make %s", local);
	return warehouse_read(session->warehouse, path, 0, WAREHOUSE_TO_END, take_bytes, &copy, err);
}

static int on_file(void *context, const char *name, const struct warehouse_stat *stat, struct error *err)
{
	struct buf *const names = context;
	const size_t len = strlen(name);
	if (stat->is_dir || name[0] == '_' || name[0] == '.' || len < strlen(SUFFIX) ||
	    strcmp(name + len - strlen(SUFFIX), SUFFIX) != 0)
		return 0;
	return buf_append(names, name, len + 1) < 0 ? error_no_memory(err, len) : 0;
}

static int give(const struct cluster_session *session, const char *path, cluster_file_fn *take, void *context,
		struct error *err)
{
	_cleanup_free_ char *local = NULL;
	int rc = cluster_local_path(session, path, &local, err);
	if (rc < 0 || local)
		return rc < 0 ? rc : take(context, local, err);
	_cleanup_free_ char *copy = text_printf("%s/copy" SUFFIX, session->deployment->tmp_dir);
	if (!copy)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	rc = cluster_download(session, path, copy, err);
	if (rc == 0)
		rc = take(context, copy, err);
	unlink(copy);
	return rc;
}

int cluster_each_parquet(const struct cluster_session *session, const char *dir, cluster_file_fn *take, void *context,
			 struct error *err)
{
	_cleanup_buf_ struct buf names = {0};
	int rc = warehouse_list(session->warehouse, dir, on_file, &names, err);
	if (rc == ERROR_NOT_FOUND)
		rc = 0;
	for (size_t at = 0; rc == 0 && at < names.len; at += strlen(names.data + at) + 1) {
		_cleanup_free_ char *path = text_printf("%s/%s", dir, names.data + at);
		rc = path ? give(session, path, take, context, err) : error_no_memory(err, LIMIT_PATH_BYTES);
	}
	return rc;
}
