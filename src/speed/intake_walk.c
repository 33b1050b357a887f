#include "speed/intake_internal.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

bool intake_ignores_dir(const struct deployment *deployment, const struct config_source *source, const char *name)
{
	const char *const slash = strrchr(name, '/');
	if ((slash ? slash + 1 : name)[0] == '.')
		return true;
	if (source->when_done != WHEN_DONE_MOVE)
		return false;
	/* By what it is, not by how it is written. */
	_cleanup_free_ char *target = deployment_path(deployment, source->move_to);
	_cleanup_free_ char *dir = deployment_path(deployment, source->dir);
	_cleanup_free_ char *path = dir ? text_printf("%s/%s", dir, name) : NULL;
	/* What was put away must not be taken again: without memory it is ignored, too, until the next look. */
	if (!target || !path)
		return true;
	struct stat a;
	struct stat b;
	return stat(target, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Whether it is a directory of which the files are the source's. */
static bool is_part(const struct intake *intake, const struct dirent *entry, const char *name)
{
	if (!intake->source->recursive || (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN))
		return false;
	if (entry->d_type == DT_UNKNOWN) {
		_cleanup_free_ char *path = text_printf("%s/%s", intake->dir, name);
		struct stat st;
		if (!path || lstat(path, &st) < 0 || !S_ISDIR(st.st_mode))
			return false;
	}
	return !intake_ignores_dir(intake->deployment, intake->source, name);
}

static int walk(struct intake *intake, const char *name, struct error *err);

static int take_listed(struct intake *intake, const char *in, const struct dirent *entry, struct error *err)
{
	if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
		return 0;
	_cleanup_free_ char *name = text_printf("%s%s%s", in, *in ? "/" : "", entry->d_name);
	if (!name)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	if (is_part(intake, entry, name))
		return walk(intake, name, err);
	enum intake_looked looked;
	struct stat st;
	return intake_take_entry(intake, name, &looked, &st, err);
}

static int fail_list(struct intake *intake, const char *name, const char *path, int errnum, struct error *err)
{
	if (!*name)
		return error_set(err, ERROR_CONFIG,
				 "cannot list %s, the directory of source %s: %s; make it, or correct sources in %s",
				 path, intake->source->name, strerror(errnum), intake->deployment->config->path);
	if (errnum == ENOENT || errnum == ENOTDIR)
		return 0; /* taken away since the one above was listed */
	struct error fault = {0};
	error_errno(&fault, errnum, "cannot list %s", path);
	const struct intake_file file = {.source = intake->source->name,
					 .name = name,
					 .outcome = INTAKE_FAILED,
					 .counts = &(const struct intake_counts){0},
					 .message = fault.message};
	intake->failed++;
	intake->hooks.file(intake->hooks.context, &file);
	return 0;
}

/* Takes the files of a directory, in order of name; "" is the source's own. */
// NOLINTNEXTLINE(misc-no-recursion): as deep as the longest path
static int walk(struct intake *intake, const char *name, struct error *err)
{
	_cleanup_free_ char *path = text_printf("%s%s%s", intake->dir, *name ? "/" : "", name);
	if (!path)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	struct dirent **entries = NULL;
	const int n = scandir(path, &entries, NULL, alphasort);
	if (n < 0)
		return fail_list(intake, name, path, errno, err);
	int rc = 0;
	for (int i = 0; i < n; i++) {
		if (rc == 0 && intake_asked_to_stop(intake) && (rc = intake_commit_block(intake, err)) == 0)
			rc = intake_interrupted(err);
		if (rc == 0)
			rc = take_listed(intake, name, entries[i], err);
		free(entries[i]);
	}
	free(entries);
	return rc;
}

int intake_source(struct intake *intake, const struct config_source *source, unsigned *failed, struct error *err)
{
	int rc = intake_enter(intake, source, err);
	intake->patient = true;
	if (rc == 0)
		rc = walk(intake, "", err);
	if (rc == 0)
		rc = intake_commit_block(intake, err);
	*failed += intake->failed;
	intake_leave(intake);
	return rc;
}
