#include "base/file.h"

#include "base/limits.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SAME_BLOCK_BYTES ((size_t)1 << 18)

void cleanup_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

bool file_exists(const char *path)
{
	struct stat st;
	return lstat(path, &st) == 0;
}

int file_sync(int fd, const char *path, struct error *err)
{
	if (fsync(fd) < 0)
		return error_errno(err, errno, "cannot flush %s to the disk", path);
	return 0;
}

static int sync_opened(const char *path, int flags, struct error *err)
{
	_cleanup_close_ int fd = open(path, flags | O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, errno, "cannot open %s", path);
	return file_sync(fd, path, err);
}

int file_sync_dir(const char *path, struct error *err)
{
	return sync_opened(path, O_DIRECTORY, err);
}

/* Whether it is a directory itself, not a link to one. */
static bool is_dir(const char *path)
{
	struct stat st;
	return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int file_sync_dirs(const char *path, const char *except, struct error *err)
{
	DIR *const dir = opendir(path);
	if (!dir)
		return errno == ENOENT ? 0 : error_errno(err, errno, "cannot open %s", path);
	int rc = file_sync(dirfd(dir), path, err);
	const struct dirent *entry;
	while (rc == 0 && (errno = 0, entry = readdir(dir))) {
		const char *const name = entry->d_name;
		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strncmp(name, except, strlen(except)) == 0 ||
		    (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN))
			continue;
		_cleanup_free_ char *below = text_printf("%s/%s", path, name);
		if (!below)
			rc = error_no_memory(err, LIMIT_PATH_BYTES);
		else if (entry->d_type == DT_DIR || is_dir(below))
			rc = file_sync_dirs(below, except, err);
	}
	if (rc == 0 && errno)
		rc = error_errno(err, errno, "cannot list %s", path);
	closedir(dir);
	return rc;
}

int file_sync_path(const char *path, struct error *err)
{
	return sync_opened(path, 0, err);
}

static int sync_parent(const char *path, struct error *err)
{
	_cleanup_free_ char *copy = strdup(path);
	if (!copy)
		return error_no_memory(err, strlen(path));
	return file_sync_dir(dirname(copy), err);
}

/* mkdir, and a flush of the directory it is in. An existing one is fine. */
static int make_dir(const char *path, struct error *err)
{
	if (mkdir(path, 0777) == 0)
		return sync_parent(path, err);
	const int errnum = errno;
	struct stat st;
	if (errnum == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return 0;
	return error_errno(err, errnum == EEXIST ? ENOTDIR : errnum, "cannot make the directory %s", path);
}

int file_make_dirs(const char *path, struct error *err)
{
	_cleanup_free_ char *copy = strdup(path);
	if (!copy)
		return error_no_memory(err, strlen(path));
	for (char *at = copy + 1; *at; at++) {
		if (*at != '/')
			continue;
		*at = '\0';
		const int rc = file_exists(copy) ? 0 : make_dir(copy, err);
		if (rc < 0)
			return rc;
		*at = '/';
	}
	return make_dir(copy, err);
}

int file_rename(const char *from, const char *to, struct error *err)
{
	if (rename(from, to) < 0)
		return error_errno(err, errno, "cannot rename %s to %s", from, to);
	return sync_parent(to, err);
}

int file_exchange(const char *a, const char *b, struct error *err)
{
	if (renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) < 0)
		return error_errno(err, errno, "cannot swap %s and %s", a, b);
	const int rc = sync_parent(a, err);
	return rc < 0 ? rc : sync_parent(b, err);
}

int file_write_all(int fd, const void *data, size_t len, const char *path, struct error *err)
{
	const char *at = data;
	while (len) {
		const ssize_t n = write(fd, at, len);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return error_errno(err, errno, "cannot write %s", path);
		}
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

int file_write_durable(const char *path, const void *data, size_t len, struct error *err)
{
	_cleanup_free_ char *tmp = text_printf("%s.tmp", path);
	if (!tmp)
		return error_no_memory(err, strlen(path) + 4);
	int rc;
	{
		_cleanup_close_ int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
		if (fd < 0)
			return error_errno(err, errno, "cannot make %s", tmp);
		rc = file_write_all(fd, data, len, tmp, err);
		if (rc == 0)
			rc = file_sync(fd, tmp, err);
	}
	if (rc == 0)
		rc = file_rename(tmp, path, err);
	if (rc < 0)
		unlink(tmp);
	return rc;
}

/* As many bytes as fit, fewer at the end of the file only; below 0: an error. */
static ssize_t read_block(int fd, char *block, size_t bytes, const char *path, struct error *err)
{
	size_t len = 0;
	while (len < bytes) {
		const ssize_t n = read(fd, block + len, bytes - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, errno, "cannot read %s", path);
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

int file_same(const char *a, const char *b, bool *same, struct error *err)
{
	_cleanup_close_ int fd_a = open(a, O_RDONLY | O_CLOEXEC);
	if (fd_a < 0)
		return error_errno(err, errno, "cannot open %s", a);
	_cleanup_close_ int fd_b = open(b, O_RDONLY | O_CLOEXEC);
	if (fd_b < 0)
		return error_errno(err, errno, "cannot open %s", b);
	struct stat of_a;
	struct stat of_b;
	if (fstat(fd_a, &of_a) < 0 || fstat(fd_b, &of_b) < 0)
		return error_errno(err, errno, "cannot look at %s or %s", a, b);
	*same = of_a.st_size == of_b.st_size;
	if (!*same)
		return 0;
	_cleanup_free_ char *block = malloc(2 * SAME_BLOCK_BYTES);
	if (!block)
		return error_no_memory(err, 2 * SAME_BLOCK_BYTES);
	for (;;) {
		const ssize_t n = read_block(fd_a, block, SAME_BLOCK_BYTES, a, err);
		const ssize_t m = n < 0 ? n : read_block(fd_b, block + SAME_BLOCK_BYTES, SAME_BLOCK_BYTES, b, err);
		if (m < 0)
			return (int)m;
		*same = n == m && memcmp(block, block + SAME_BLOCK_BYTES, (size_t)n) == 0;
		if (!*same || n == 0)
			return 0;
	}
}

int file_read_all(const char *path, size_t limit, struct buf *out, struct error *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, errno, "cannot open %s", path);
	size_t total = 0;
	for (;;) {
		if (buf_reserve(out, 65536) < 0)
			return error_no_memory(err, 65536);
		const ssize_t n = read(fd, out->data + out->len, 65536);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return error_errno(err, errno, "cannot read %s", path);
		}
		if (n == 0)
			return 0;
		out->len += (size_t)n;
		total += (size_t)n;
		if (total > limit)
			return error_set(err, ERROR_LIMIT, "%s is larger than %zu bytes", path, limit);
	}
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path) == 0 || errno == ENOENT ? 0 : -1;
}

int file_remove_tree(const char *path, struct error *err)
{
	if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) < 0 && errno != ENOENT)
		return error_errno(err, errno, "cannot remove %s", path);
	return 0;
}

int file_make_tmp_dir(const char *name, char **out, struct error *err)
{
	const char *const base = getenv("TMPDIR");
	char *const dir = text_printf("%s/punchcard-%s-XXXXXX", base && *base ? base : "/var/tmp", name);
	if (!dir)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	if (mkdtemp(dir)) {
		*out = dir;
		return 0;
	}
	const int rc =
		error_errno(err, errno, "cannot make %s; TMPDIR can name another directory for temporary files", dir);
	free(dir);
	return rc;
}
