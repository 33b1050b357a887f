#include "config/deployment.h"

#include "base/file.h"
#include "config/lock_internal.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int deployment_check_path(const char *path, struct error *err)
{
	const char *const pattern = strpbrk(path, "*?[\\");
	if (pattern)
		return error_set(
			err, ERROR_CONFIG,
			"%s: no deployment can be below a directory with '%c' in its name: SQL engines take it for a "
			"pattern of file names; rename it, or put the deployment elsewhere",
			path, *pattern);
	if (strchr(path, '='))
		return error_set(
			err, ERROR_CONFIG,
			"%s: no deployment can be below a directory with '=' in its name: SQL engines take it for a "
			"partition, key=value, of the tables below; rename it, or put the deployment elsewhere",
			path);
	return 0;
}

static int fill_paths(struct deployment *d, const char *dir, struct error *err)
{
	char real[PATH_MAX];
	if (!realpath(dir, real))
		return error_errno(err, errno, "cannot open the directory %s", dir);
	const int rc = deployment_check_path(real, err);
	if (rc < 0)
		return rc;
	d->dir = strdup(real);
	/* "/" would give "//data", which is the same. */
	d->data_dir = text_printf("%s/data", real);
	d->journal_dir = text_printf("%s/data/journal", real);
	d->view_dir = text_printf("%s/data/view", real);
	d->warehouse_dir = text_printf("%s/data/warehouse", real);
	d->quarantine_dir = text_printf("%s/data/quarantine", real);
	d->shown_dir = strdup(strcmp(dir, ".") == 0 ? real : dir);
	d->models_dir = text_printf("%s/models", real);
	if (!d->dir || !d->data_dir || !d->journal_dir || !d->view_dir || !d->warehouse_dir || !d->quarantine_dir ||
	    !d->shown_dir || !d->models_dir)
		return error_no_memory(err, 8 * strlen(real));
	return 0;
}

/* A file of the deployment as the user would name it: without "./" when it is this directory. */
static char *name_file(const char *dir, const char *name)
{
	return strcmp(dir, ".") == 0 ? strdup(name) : text_printf("%s/%s", dir, name);
}

static int read_programme(struct deployment *d, const char *dir, struct error *err)
{
	_cleanup_free_ char *programme = name_file(dir, "programme.yaml");
	if (!programme)
		return error_no_memory(err, strlen(dir));
	const int rc = programme_load_text(programme, &d->programme_text, &d->programme, err);
	if (rc == ERROR_NOT_FOUND)
		return error_set(
			err, ERROR_CONFIG,
			"%s is missing; write it anew (`punchcard init` in an empty directory makes one to start from)",
			programme);
	return rc;
}

static int read_config(struct deployment *d, const char *dir, struct error *err)
{
	_cleanup_free_ char *config = name_file(dir, "punchcard.yaml");
	return config ? config_load(config, &d->config, err) : error_no_memory(err, strlen(dir));
}

static int read_files(struct deployment *d, const char *dir, struct error *err)
{
	const int rc = read_config(d, dir, err);
	return rc < 0 ? rc : read_programme(d, dir, err);
}

static int check_is_deployment(const char *dir, struct error *err)
{
	_cleanup_free_ char *config = text_printf("%s/punchcard.yaml", dir);
	if (!config)
		return error_no_memory(err, strlen(dir));
	if (access(config, F_OK) == 0 || errno == EACCES)
		return 0;
	if (strcmp(dir, ".") == 0)
		return error_set(
			err, ERROR_CONFIG,
			"this directory is no deployment: it has no punchcard.yaml; name one with -C DIR, or make "
			"one with `punchcard init DIR`");
	return error_set(err, ERROR_CONFIG,
			 "%s is no deployment: it has no punchcard.yaml; make one with `punchcard init %s`", dir, dir);
}

/* Whether the path is there and may not be written: then errno says why. NULL (out of memory) is no refusal. */
static bool is_refused(const char *path)
{
	return path && access(path, W_OK) < 0 && errno != ENOENT;
}

static char *lock_path(const struct deployment *d, enum deployment_mode mode)
{
	return text_printf("%s/%s", d->data_dir, mode == DEPLOYMENT_COLLECT ? "collect.lock" : "lock");
}

/* Whether reading needs a right, too, that is missing. On a file system that nobody can write to it does not. */
static bool readers_are_refused(const struct deployment *d)
{
	_cleanup_free_ char *journal = text_printf("%s/lock.mdb", d->journal_dir);
	_cleanup_free_ char *view = text_printf("%s/lock.mdb", d->view_dir);
	return (is_refused(journal) || is_refused(view)) && errno != EROFS;
}

/* A writer that cannot write: say what it needs, where the system only says no. */
static int explain_refusal(const struct deployment *d, struct error *err)
{
	_cleanup_free_ char *lock = lock_path(d, d->mode);
	if (!is_refused(d->dir) && !is_refused(d->data_dir) && !is_refused(lock))
		return ERROR_IO;
	const int errnum = errno;
	return error_set(
		err, ERROR_IO,
		"cannot write to the deployment %s: %s; this command writes: %s (customer, sql and status only read%s)",
		d->shown_dir, strerror(errnum),
		errnum == EROFS ? "mount it writable, or work on a copy"
				: "run it as the owner of the directory, or give yourself the right to write",
		readers_are_refused(d) ? "; they work for who may write data/journal/lock.mdb and data/view/lock.mdb"
				       : ", and work");
}

static bool is_writers_tmp(const char *name)
{
	return strcmp(name, "batch") == 0 || strcmp(name, "collect") == 0;
}

/* What lies in data/tmp itself is of a version in which data/lock was the only lock: so whoever has that one may remove it. */
static int remove_old_tmp(const struct deployment *d, struct error *err)
{
	_cleanup_free_ char *dir = text_printf("%s/tmp", d->data_dir);
	if (!dir)
		return error_no_memory(err, strlen(d->data_dir));
	DIR *const open_dir = opendir(dir);
	if (!open_dir)
		return errno == ENOENT ? 0 : error_errno(err, errno, "cannot list %s", dir);
	int rc = 0;
	const struct dirent *entry;
	while (rc == 0 && (errno = 0, entry = readdir(open_dir))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
		    is_writers_tmp(entry->d_name))
			continue;
		_cleanup_free_ char *path = text_printf("%s/%s", dir, entry->d_name);
		rc = path ? file_remove_tree(path, err) : error_no_memory(err, strlen(dir));
	}
	if (rc == 0 && errno)
		rc = error_errno(err, errno, "cannot list %s", dir);
	closedir(open_dir);
	return rc;
}

/* A writer that was killed may have made names and not flushed them: what stands on them would be lost with them when the power
 * goes, though it was flushed itself. So they are flushed before anything stands on them; those in the partitions of a table are
 * the business of its writer, which makes them again. */
static int sync_names(const struct deployment *d, struct error *err)
{
	const int rc = file_sync_dir(d->dir, err);
	return rc < 0 ? rc : file_sync_dirs(d->data_dir, "data_dt=", err);
}

static int make_data_dirs(const struct deployment *d, struct error *err)
{
	const char *const dirs[] = {d->journal_dir, d->view_dir, d->warehouse_dir, d->quarantine_dir, d->tmp_dir};
	int rc = d->mode == DEPLOYMENT_WRITE ? remove_old_tmp(d, err) : 0;
	if (rc == 0)
		rc = file_remove_tree(d->tmp_dir, err);
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]) && rc == 0; i++)
		rc = file_make_dirs(dirs[i], err);
	return rc == 0 ? sync_names(d, err) : rc;
}

/* What was moved to a cluster goes on there, and only there. */
static int check_not_moved(const struct deployment *d, struct error *err)
{
	_cleanup_free_ char *path = text_printf("%s/" DEPLOYMENT_MOVED, d->data_dir);
	_cleanup_buf_ struct buf to = {0};
	if (!path)
		return error_no_memory(err, strlen(d->data_dir));
	if (!file_exists(path) || strcmp(d->command, "migrate") == 0)
		return 0;
	const int rc = file_read_all(path, PATH_MAX, &to, err);
	if (rc < 0)
		return rc;
	const size_t len = to.len && to.data[to.len - 1] == '\n' ? to.len - 1 : to.len;
	return error_set(
		err, ERROR_CONFIG,
		"%s was moved to a cluster, and goes on in %.*s: `punchcard %s` there. Here it can only be read; "
		"to go back, and give up what was collected there, remove %s",
		d->shown_dir, (int)len, len ? to.data : "", d->command, path);
}

static int become_writer(struct deployment *d, struct error *err)
{
	_cleanup_free_ char *lock = lock_path(d, d->mode);
	d->tmp_dir = text_printf("%s/tmp/%s", d->data_dir, d->mode == DEPLOYMENT_COLLECT ? "collect" : "batch");
	if (!lock || !d->tmp_dir)
		return error_no_memory(err, strlen(d->data_dir));
	int rc = file_make_dirs(d->data_dir, err);
	if (rc == 0)
		rc = lock_take(lock, d->shown_dir, d->command, &d->lock_fd, err);
	if (rc == 0)
		rc = check_not_moved(d, err);
	if (rc == 0)
		rc = make_data_dirs(d, err);
	return rc == ERROR_IO ? explain_refusal(d, err) : rc;
}

int deployment_open(const char *dir, enum deployment_mode mode, const char *command, struct deployment **out,
		    struct error *err)
{
	int rc = check_is_deployment(dir, err);
	if (rc < 0)
		return rc;
	struct deployment *const d = calloc(1, sizeof(*d));
	if (!d)
		return error_no_memory(err, sizeof(*d));
	d->mode = mode;
	d->lock_fd = -1;
	snprintf(d->command, sizeof(d->command), "%s", command);
	rc = fill_paths(d, dir, err);
	if (rc == 0)
		rc = read_files(d, dir, err);
	if (rc == 0 && mode != DEPLOYMENT_READ)
		rc = become_writer(d, err);
	if (rc < 0) {
		deployment_close(d);
		return rc;
	}
	*out = d;
	return 0;
}

int deployment_open_partly(const char *dir, struct deployment **out, struct error *config_err,
			   struct error *programme_err)
{
	struct deployment *const d = calloc(1, sizeof(*d));
	if (!d)
		return error_no_memory(config_err, sizeof(*d));
	d->mode = DEPLOYMENT_READ;
	d->lock_fd = -1;
	int rc = check_is_deployment(dir, config_err);
	if (rc == 0)
		rc = fill_paths(d, dir, config_err);
	if (rc < 0) {
		deployment_close(d);
		return rc;
	}
	read_config(d, dir, config_err);
	read_programme(d, dir, programme_err);
	*out = d;
	return 0;
}

int deployment_open_beside(const struct deployment *deployment, enum deployment_mode mode, struct deployment **out,
			   struct error *err)
{
	assert(mode != DEPLOYMENT_READ);
	struct deployment *const d = malloc(sizeof(*d));
	if (!d)
		return error_no_memory(err, sizeof(*d));
	*d = *deployment;
	d->beside = deployment;
	d->mode = mode;
	d->lock_fd = -1;
	d->tmp_dir = NULL;
	const int rc = become_writer(d, err);
	if (rc < 0) {
		deployment_close(d);
		return rc;
	}
	*out = d;
	return 0;
}

bool deployment_holder(const struct deployment *deployment, enum deployment_mode mode, struct deployment_holder *out)
{
	_cleanup_free_ char *lock = lock_path(deployment, mode);
	return lock && lock_holder(lock, out);
}

static void free_what_is_shared(struct deployment *deployment)
{
	config_free(deployment->config);
	programme_free(deployment->programme);
	buf_release(&deployment->programme_text);
	free(deployment->dir);
	free(deployment->data_dir);
	free(deployment->journal_dir);
	free(deployment->view_dir);
	free(deployment->warehouse_dir);
	free(deployment->quarantine_dir);
	free(deployment->models_dir);
	free(deployment->shown_dir);
}

void deployment_close(struct deployment *deployment)
{
	if (!deployment)
		return;
	lock_release(&deployment->lock_fd);
	free(deployment->tmp_dir);
	if (!deployment->beside)
		free_what_is_shared(deployment);
	free(deployment);
}

void deployment_adopt(struct deployment *deployment, struct deployment *fresh)
{
	struct config *const config = deployment->config;
	struct programme *const programme = deployment->programme;
	const struct buf text = deployment->programme_text;
	deployment->config = fresh->config;
	deployment->programme = fresh->programme;
	deployment->programme_text = fresh->programme_text;
	fresh->config = config;
	fresh->programme = programme;
	fresh->programme_text = text;
}

int deployment_keep_programme(const struct deployment *deployment, struct error *err)
{
	assert(deployment->mode != DEPLOYMENT_READ);
	const struct buf *const text = &deployment->programme_text;
	_cleanup_free_ char *dir = text_printf("%s/programmes", deployment->data_dir);
	_cleanup_free_ char *path =
		text_printf("%s/programmes/%s.yaml", deployment->data_dir, deployment->programme->hash_text);
	/* The other kind of writer may do the same at this moment: each makes it whole in a place of its own. */
	_cleanup_free_ char *staged = text_printf("%s/programme.yaml", deployment->tmp_dir);
	if (!dir || !path || !staged)
		return error_no_memory(err, strlen(deployment->data_dir));
	if (file_exists(path))
		return 0;
	int rc = file_make_dirs(dir, err);
	if (rc == 0)
		rc = file_write_durable(staged, text->data, text->len, err);
	return rc == 0 ? file_rename(staged, path, err) : rc;
}

char *deployment_path(const struct deployment *deployment, const char *relative)
{
	return *relative == '/' ? strdup(relative) : text_printf("%s/%s", deployment->dir, relative);
}
