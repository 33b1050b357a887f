/* Making a deployment. punchcard.yaml is the last file to be written: a directory that has it is whole. */
#include "base/file.h"
#include "config/deployment.h"
#include "config/embedded_internal.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct embedded_file *find_embedded(const char *path)
{
	for (const struct embedded_file *file = EMBEDDED_FILES; file->path; file++)
		if (strcmp(file->path, path) == 0)
			return file;
	return NULL;
}

/* Writes <dir>/<name> durably, unless it is there: a model or a programme that somebody put there first stays. */
static int write_file(const char *dir, const char *name, const struct embedded_file *file, struct error *err)
{
	_cleanup_free_ char *path = text_printf("%s/%s", dir, name);
	if (!path)
		return error_no_memory(err, strlen(dir));
	return file_exists(path) ? 0 : file_write_durable(path, file->data, file->len, err);
}

static int write_template(const char *dir, const char *name, struct error *err)
{
	_cleanup_free_ char *source = text_printf("templates/%s", name);
	if (!source)
		return error_no_memory(err, strlen(name));
	const struct embedded_file *const file = find_embedded(source);
	if (!file)
		return error_set(err, ERROR_NOT_FOUND,
				 "this program was built without %s; build it from the whole source", source);
	return write_file(dir, name, file, err);
}

static int write_models(const char *dir, struct error *err)
{
	static const char PREFIX[] = "models/";
	int rc = 0;
	for (const struct embedded_file *file = EMBEDDED_FILES; file->path && rc == 0; file++)
		if (strncmp(file->path, PREFIX, strlen(PREFIX)) == 0)
			rc = write_file(dir, file->path, file, err);
	return rc;
}

static int make_dirs(const char *dir, struct error *err)
{
	static const char *const NAMES[] = {"models", "spool", "data"};
	int rc = file_make_dirs(dir, err);
	for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]) && rc == 0; i++) {
		_cleanup_free_ char *path = text_printf("%s/%s", dir, NAMES[i]);
		rc = path ? file_make_dirs(path, err) : error_no_memory(err, strlen(dir));
	}
	return rc;
}

/* The new directory's own name must survive a crash too. */
static int sync_parent(const char *dir, struct error *err)
{
	_cleanup_free_ char *real = realpath(dir, NULL);
	if (!real)
		return error_errno(err, errno, "cannot open the directory %s", dir);
	return file_sync_dir(dirname(real), err);
}

/* Where it will be: before anything is made. */
static int check_place(const char *dir, struct error *err)
{
	char here[PATH_MAX];
	if (dir[0] != '/') {
		if (!getcwd(here, sizeof(here)))
			return error_errno(err, errno, "cannot find out which directory this is");
		const int rc = deployment_check_path(here, err);
		if (rc < 0)
			return rc;
	}
	return deployment_check_path(dir, err);
}

int deployment_init(const char *dir, struct error *err)
{
	_cleanup_free_ char *config = text_printf("%s/punchcard.yaml", dir);
	if (!config)
		return error_no_memory(err, strlen(dir));
	if (file_exists(config))
		return error_set(err, ERROR_EXISTS, "%s is a deployment already: %s is there; nothing was changed", dir,
				 config);
	int rc = check_place(dir, err);
	if (rc == 0)
		rc = make_dirs(dir, err);
	if (rc == 0)
		rc = write_models(dir, err);
	if (rc == 0)
		rc = write_template(dir, "programme.yaml", err);
	if (rc == 0)
		rc = write_template(dir, "punchcard.yaml", err);
	return rc == 0 ? sync_parent(dir, err) : rc;
}
