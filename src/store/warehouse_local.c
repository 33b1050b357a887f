/* The warehouse as a local directory: files become durable before they get their names. */
#include "store/warehouse.h"

#include "base/clock.h"
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#define COPY_BYTES (1024u * 1024u)

struct local {
	struct warehouse base;
	char *root;
	char *writer;
};

static struct local *local_of(struct warehouse *warehouse)
{
	return (struct local *)warehouse;
}

/* A new text that the caller frees; NULL when out of memory. `len`: of the path's first bytes. */
static char *whole_path(struct warehouse *warehouse, const char *path, size_t len)
{
	return text_printf("%s%s%.*s", local_of(warehouse)->root, len ? "/" : "", (int)len, path);
}

static int64_t ms_of(struct timespec time)
{
	return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static int local_stat(struct warehouse *warehouse, const char *path, struct warehouse_stat *out, struct error *err)
{
	_cleanup_free_ char *whole = whole_path(warehouse, path, strlen(path));
	struct stat stat;
	if (!whole)
		return error_no_memory(err, strlen(path));
	if (lstat(whole, &stat) < 0)
		return error_errno(err, errno == ENOTDIR ? ENOENT : errno, "%s", whole);
	*out = (struct warehouse_stat){.is_dir = S_ISDIR(stat.st_mode), .mtime_ms = ms_of(stat.st_mtim)};
	if (!out->is_dir)
		out->size = (uint64_t)stat.st_size;
	return 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int not_dots(const struct dirent *entry)
{
	return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static int give_entry(struct warehouse *warehouse, const char *path, const char *name, warehouse_entry_fn *take,
		      void *context, struct error *err)
{
	_cleanup_free_ char *below = text_printf("%s%s%s", path, *path ? "/" : "", name);
	struct warehouse_stat stat = {0};
	struct error what = {0};
	if (!below)
		return error_no_memory(err, strlen(path));
	const int rc = local_stat(warehouse, below, &stat, &what);
	if (rc == ERROR_NOT_FOUND) /* it went meanwhile */
		return 0;
	if (rc < 0)
		return error_set(err, rc, "%s", what.message);
	return take(context, name, &stat, err);
}

static int local_list(struct warehouse *warehouse, const char *path, warehouse_entry_fn *take, void *context,
		      struct error *err)
{
	_cleanup_free_ char *whole = whole_path(warehouse, path, strlen(path));
	struct dirent **entries = NULL;
	if (!whole)
		return error_no_memory(err, strlen(path));
	const int n = scandir(whole, &entries, not_dots, by_name);
	if (n < 0 && errno == ENOTDIR)
		return error_set(err, ERROR_EXISTS, "%s: not a directory", whole);
	if (n < 0)
		return error_errno(err, errno, "%s", whole);
	int rc = 0;
	for (int i = 0; i < n; i++) {
		if (rc == 0)
			rc = give_entry(warehouse, path, entries[i]->d_name, take, context, err);
		free(entries[i]);
	}
	free(entries);
	return rc;
}

/* The first `len` bytes of the path as a directory. */
static int make_dirs(struct warehouse *warehouse, const char *path, size_t len, struct error *err)
{
	_cleanup_free_ char *whole = whole_path(warehouse, path, len);
	struct stat stat;
	if (!whole)
		return error_no_memory(err, len);
	struct error what = {0};
	const int rc = file_make_dirs(whole, &what);
	if (rc == 0 && lstat(whole, &stat) == 0 && S_ISDIR(stat.st_mode))
		return 0;
	if (rc == 0 || rc == ERROR_EXISTS || strstr(what.message, "Not a directory"))
		return error_set(err, ERROR_EXISTS, "%s: a file is in the way of this directory", whole);
	return error_set(err, rc, "%s", what.message);
}

static int local_make_dir(struct warehouse *warehouse, const char *path, struct error *err)
{
	return make_dirs(warehouse, path, strlen(path), err);
}

static int copy_all(int fd, const char *tmp, warehouse_read_fn *read, void *context, uint64_t size, struct error *err)
{
	_cleanup_free_ char *block = malloc(COPY_BYTES);
	if (!block)
		return error_no_memory(err, COPY_BYTES);
	for (uint64_t offset = 0; offset < size;) {
		const size_t want = size - offset < COPY_BYTES ? (size_t)(size - offset) : COPY_BYTES;
		const int64_t n = read(context, offset, block, want, err);
		if (n < 0)
			return (int)n;
		if (n == 0)
			return error_set(err, ERROR_INPUT, "%s: what is put has %llu bytes instead of %llu", tmp,
					 (unsigned long long)offset, (unsigned long long)size);
		const int rc = file_write_all(fd, block, (size_t)n, tmp, err);
		if (rc < 0)
			return rc;
		offset += (uint64_t)n;
	}
	return file_sync(fd, tmp, err);
}

/* Gives a name; ERROR_EXISTS when it is taken. */
static int give_name(const char *from, const char *to, struct error *err)
{
	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) < 0)
		return error_errno(err, errno, "rename %s to %s", from, to);
	_cleanup_free_ char *parent = slice_dup((struct slice){to, warehouse_parent_len(to)});
	return parent ? file_sync_dir(parent, err) : error_no_memory(err, strlen(to));
}

static int make_whole(struct warehouse *warehouse, const char *tmp, const char *path, warehouse_read_fn *read,
		      void *context, uint64_t size, struct error *err)
{
	_cleanup_free_ char *from = whole_path(warehouse, tmp, strlen(tmp));
	_cleanup_free_ char *to = whole_path(warehouse, path, strlen(path));
	if (!from || !to)
		return error_no_memory(err, strlen(path));
	_cleanup_close_ int fd = open(from, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0)
		return error_errno(err, errno, "%s", from);
	int rc = copy_all(fd, from, read, context, size, err);
	if (rc == 0)
		rc = give_name(from, to, err);
	if (rc < 0)
		unlink(from);
	return rc;
}

static int local_put(struct warehouse *warehouse, const char *path, warehouse_read_fn *read, void *context,
		     uint64_t size, struct error *err)
{
	_cleanup_buf_ struct buf tmp = {0};
	bool done = false;
	int rc = warehouse_check_there(warehouse, path, size, &done, err);
	if (rc < 0 || done)
		return rc;
	rc = warehouse_tmp_path(warehouse, path, &tmp, err);
	if (rc == 0)
		rc = make_dirs(warehouse, tmp.data, warehouse_parent_len(tmp.data), err);
	if (rc == 0)
		rc = make_dirs(warehouse, path, warehouse_parent_len(path), err);
	if (rc < 0)
		return rc;
	rc = make_whole(warehouse, tmp.data, path, read, context, size, err);
	if (rc != ERROR_EXISTS)
		return rc;
	rc = warehouse_check_there(warehouse, path, size, &done, err); /* another one was quicker */
	return rc == 0 && !done ? error_set(err, ERROR_IO, "%s: it came and went while it was put", path) : rc;
}

static int local_read(struct warehouse *warehouse, const char *path, uint64_t offset, uint64_t len,
		      warehouse_write_fn *write, void *context, struct error *err)
{
	_cleanup_free_ char *whole = whole_path(warehouse, path, strlen(path));
	_cleanup_free_ char *block = malloc(COPY_BYTES);
	struct stat stat;
	if (!whole || !block)
		return error_no_memory(err, COPY_BYTES);
	_cleanup_close_ int fd = open(whole, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &stat) < 0)
		return error_errno(err, errno == ENOTDIR ? ENOENT : errno, "%s", whole);
	if (S_ISDIR(stat.st_mode))
		return error_set(err, ERROR_EXISTS, "%s: is a directory", whole);
	while (len > 0 && offset < (uint64_t)stat.st_size) {
		const ssize_t n = pread(fd, block, len < COPY_BYTES ? (size_t)len : COPY_BYTES, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, errno, "%s", whole);
		if (n == 0)
			break;
		const int rc = write(context, block, (size_t)n, err);
		if (rc < 0)
			return rc;
		offset += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

static int local_rename(struct warehouse *warehouse, const char *from, const char *to, struct error *err)
{
	_cleanup_free_ char *old = whole_path(warehouse, from, strlen(from));
	_cleanup_free_ char *new = whole_path(warehouse, to, strlen(to));
	if (!old || !new)
		return error_no_memory(err, strlen(to));
	if (!file_exists(old))
		return file_exists(new) ? 0 : error_set(err, ERROR_NOT_FOUND, "rename %s: it is not there", old);
	int rc = make_dirs(warehouse, to, warehouse_parent_len(to), err);
	if (rc == 0)
		rc = give_name(old, new, err);
	if (rc < 0)
		return rc;
	_cleanup_free_ char *parent = whole_path(warehouse, from, warehouse_parent_len(from));
	return parent ? file_sync_dir(parent, err) : error_no_memory(err, strlen(from));
}

static int local_remove(struct warehouse *warehouse, const char *path, struct error *err)
{
	_cleanup_free_ char *whole = whole_path(warehouse, path, strlen(path));
	_cleanup_free_ char *parent = whole_path(warehouse, path, warehouse_parent_len(path));
	if (!whole || !parent)
		return error_no_memory(err, strlen(path));
	if (!file_exists(whole))
		return 0;
	const int rc = file_remove_tree(whole, err);
	return rc < 0 ? rc : file_sync_dir(parent, err);
}

struct adding {
	struct warehouse *warehouse;
	const char *path;
	struct warehouse_usage *usage;
};

static int add_dir(struct warehouse *warehouse, const char *path, struct warehouse_usage *usage, struct error *err);

static int add_entry(void *context, const char *name, const struct warehouse_stat *stat, struct error *err)
{
	const struct adding *const adding = context;
	if (!stat->is_dir) {
		adding->usage->files++;
		adding->usage->bytes += stat->size;
		return 0;
	}
	_cleanup_free_ char *below = text_printf("%s%s%s", adding->path, *adding->path ? "/" : "", name);
	return below ? add_dir(adding->warehouse, below, adding->usage, err) : error_no_memory(err, strlen(name));
}

static int add_dir(struct warehouse *warehouse, const char *path, struct warehouse_usage *usage, struct error *err)
{
	struct adding adding = {.warehouse = warehouse, .path = path, .usage = usage};
	struct error what = {0};
	usage->dirs++;
	const int rc = local_list(warehouse, path, add_entry, &adding, &what);
	return rc == 0 || rc == ERROR_NOT_FOUND ? 0 : error_set(err, rc, "%s", what.message);
}

static int local_usage(struct warehouse *warehouse, const char *path, struct warehouse_usage *usage, struct error *err)
{
	struct warehouse_usage found = {.space_bytes = -1, .space_quota = -1, .name_quota = -1, .free_bytes = -1};
	struct warehouse_stat stat = {0};
	struct statvfs disk;
	int rc = local_stat(warehouse, path, &stat, err);
	if (rc == 0 && stat.is_dir)
		rc = add_dir(warehouse, path, &found, err);
	if (rc < 0)
		return rc;
	if (!stat.is_dir) {
		found.files = 1;
		found.bytes = stat.size;
	}
	if (statvfs(local_of(warehouse)->root, &disk) == 0)
		found.free_bytes = (int64_t)(disk.f_bavail * disk.f_frsize);
	*usage = found;
	return 0;
}

static int local_ping(struct warehouse *warehouse, struct warehouse_health *health, struct error *err)
{
	struct warehouse_stat stat = {0};
	struct utsname name;
	const int64_t begin_us = clock_monotonic_us();
	const int rc = local_stat(warehouse, "", &stat, err);
	if (rc < 0)
		return rc;
	health->took_us = clock_monotonic_us() - begin_us;
	health->has_clock = true;
	if (uname(&name) == 0)
		snprintf(health->version, sizeof(health->version), "%.20s %.40s", name.sysname, name.release);
	return 0;
}

static void local_close(struct warehouse *warehouse)
{
	struct local *const local = local_of(warehouse);
	free(local->root);
	free(local->writer);
	free(local);
}

static const struct warehouse_driver driver = {
	.name = "local warehouse",
	.list = local_list,
	.stat = local_stat,
	.make_dir = local_make_dir,
	.put = local_put,
	.read = local_read,
	.rename = local_rename,
	.remove = local_remove,
	.usage = local_usage,
	.ping = local_ping,
	.close = local_close,
};

int warehouse_open_local(const struct warehouse_local_options *options, struct warehouse **out, struct error *err)
{
	int rc = file_make_dirs(options->root, err);
	if (rc < 0)
		return rc;
	struct local *const local = calloc(1, sizeof(*local));
	if (!local)
		return error_no_memory(err, sizeof(*local));
	local->root = slice_dup(slice_of(options->root));
	local->writer = slice_dup(slice_of(options->writer));
	local->base = (struct warehouse){.driver = &driver, .writer = local->writer};
	if (!local->root || !local->writer) {
		local_close(&local->base);
		return error_no_memory(err, strlen(options->root));
	}
	*out = &local->base;
	return 0;
}
