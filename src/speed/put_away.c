#include "speed/intake_internal.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PUT_AWAY_TRIES 100000u

static const char GONE[] = "was renamed or removed by somebody else while it was read";
static const char CHANGED[] =
	"changed since it was read, so it stays where it is: the next run takes what is new in it";

bool intake_ignores(const struct config_source *source, const char *name, size_t *base_len)
{
	*base_len = 0;
	const size_t len = strlen(name);
	if (name[0] == '.' || (len > 4 && strcmp(name + len - 4, ".tmp") == 0))
		return true;
	const char *const suffix = source->suffix ? source->suffix : ""; /* none: files are moved */
	const size_t suffix_len = strlen(suffix);
	for (const char *at = suffix_len ? strstr(name, suffix) : NULL; at; at = strstr(at + 1, suffix)) {
		const char *const rest = at + suffix_len;
		const bool numbered = *rest == '.' && rest[1] && strspn(rest + 1, "0123456789") == strlen(rest + 1);
		if (at == name || (*rest != '\0' && !numbered))
			continue;
		*base_len = (size_t)(at - name);
		return true;
	}
	return false;
}

bool intake_wants(const struct config_source *source, const char *name, size_t *base_len)
{
	const bool ignored = intake_ignores(source, name, base_len);
	const size_t len = *base_len ? *base_len : strlen(name);
	if ((ignored && !*base_len) || len > NAME_MAX)
		return false;
	char base[NAME_MAX + 1];
	memcpy(base, name, len);
	base[len] = '\0';
	return fnmatch(source->pattern, base, FNM_PERIOD) == 0 &&
	       (!source->include || regexec(source->include, base, 0, NULL, 0) == 0) &&
	       (!source->ignore || regexec(source->ignore, base, 0, NULL, 0) != 0);
}

bool intake_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* rename to `target`, or to `target.2`, `target.3` … when there is such a file: none is ever written over. *out: the name that
 * it has then; the caller frees it. */
static int rename_fresh(const char *from, const char *target, char **out, struct error *err)
{
	int errnum = EEXIST;
	for (unsigned i = 1; errnum == EEXIST && i < PUT_AWAY_TRIES; i++) {
		char *const name = i == 1 ? strdup(target) : text_printf("%s.%u", target, i);
		if (!name)
			return error_no_memory(err, strlen(target));
		if (renameat2(AT_FDCWD, from, AT_FDCWD, name, RENAME_NOREPLACE) == 0) {
			*out = name;
			return 0;
		}
		errnum = errno;
		free(name);
	}
	return error_errno(err, errnum,
			   "the lines of %s are in, but it cannot be renamed to %s; rename or remove it, running again "
			   "takes nothing twice",
			   from, target);
}

static int rename_away(const struct finished *file, const char *target, const char **note, char **path_now,
		       struct error *err)
{
	_cleanup_free_ char *name = NULL;
	const int rc = rename_fresh(file->path, target, &name, err);
	struct stat st;
	if (rc < 0 || !name || lstat(name, &st) < 0 || !S_ISREG(st.st_mode))
		return rc;
	if (st.st_dev == file->st.st_dev && st.st_ino == file->st.st_ino) {
		*path_now = name;
		name = NULL;
		return rc;
	}
	/* Another file took its name at the last moment. */
	*note = CHANGED;
	if (renameat2(AT_FDCWD, name, AT_FDCWD, file->path, RENAME_NOREPLACE) < 0)
		return error_errno(err, errno, "%s was not read, and cannot get its name %s back; rename it", name,
				   file->path);
	return 0;
}

static int keep_name(const struct finished *file, char **path_now, struct error *err)
{
	*path_now = strdup(file->path);
	return *path_now ? 0 : error_no_memory(err, LIMIT_PATH_BYTES);
}

int intake_put_away(const struct intake *intake, const struct finished *file, const char **note, char **path_now,
		    struct error *err)
{
	const struct config_source *const source = intake->source;
	*note = NULL;
	*path_now = NULL;
	if (file->keep_name)
		return keep_name(file, path_now, err);
	struct stat st;
	if (lstat(file->path, &st) < 0 && (errno == ENOENT || errno == ENOTDIR)) {
		*note = GONE;
		return 0;
	}
	if (lstat(file->path, &st) == 0 && !intake_same_file(&st, &file->st)) {
		*note = CHANGED;
		return 0;
	}
	if (source->when_done == WHEN_DONE_DELETE && !file->has_quarantined) {
		if (unlink(file->path) < 0 && errno != ENOENT)
			return error_errno(err, errno, "the lines of %s are in, but it cannot be removed", file->path);
		return 0;
	}
	_cleanup_free_ char *target = NULL;
	if (source->when_done == WHEN_DONE_MOVE) {
		_cleanup_free_ char *dir = deployment_path(intake->deployment, source->move_to);
		if (!dir)
			return error_no_memory(err, LIMIT_PATH_BYTES);
		target = text_printf("%s/%s", dir, file->name);
		if (!target)
			return error_no_memory(err, LIMIT_PATH_BYTES);
		char *const slash = strrchr(target, '/');
		*slash = '\0';
		const int rc = file_make_dirs(target, err);
		*slash = '/';
		if (rc < 0)
			return rc;
	} else {
		target = text_printf("%s%s", file->path, source->suffix);
	}
	return target ? rename_away(file, target, note, path_now, err) : error_no_memory(err, LIMIT_PATH_BYTES);
}
