/* What all drivers share: which paths there are, local files and memory as sources, and where files lie until they are whole. */
#include "store/warehouse.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define NAME_BYTES 255u
#define PING_TEXT  "punchcard doctor\n"

/* --- paths --- */

static bool is_name(const char *name, size_t len)
{
	if (len == 0 || len > NAME_BYTES || (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.'))))
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f || name[i] == ':' || name[i] == '\\')
			return false;
	return utf8_valid(name, len);
}

bool warehouse_is_path(const char *path)
{
	while (*path) {
		const size_t len = strcspn(path, "/");
		if (!is_name(path, len))
			return false;
		path += len;
		if (*path == '/' && !*++path)
			return false;
	}
	return true;
}

static int check_path(const struct warehouse *warehouse, const char *path, struct error *err)
{
	if (warehouse_is_path(path))
		return 0;
	_cleanup_buf_ struct buf shown = {0};
	if (utf8_escape(&shown, path, strlen(path), NAME_BYTES) < 0 || !buf_text(&shown))
		return error_no_memory(err, NAME_BYTES);
	return error_set(err, ERROR_INPUT,
			 "%s: '%s' is no path in a warehouse; names have no ':', backslash or control "
			 "character, and stand between single slashes",
			 warehouse->driver->name, shown.data);
}

/* Of something that has a name. */
static int check_named(const struct warehouse *warehouse, const char *path, struct error *err)
{
	if (!*path)
		return error_set(err, ERROR_INPUT, "%s: this is not done to the warehouse's root",
				 warehouse->driver->name);
	return check_path(warehouse, path, err);
}

size_t warehouse_parent_len(const char *path)
{
	const char *const slash = strrchr(path, '/');
	return slash ? (size_t)(slash - path) : 0;
}

int warehouse_tmp_path(const struct warehouse *warehouse, const char *path, struct buf *out, struct error *err)
{
	const XXH128_hash_t hash = XXH3_128bits(path, strlen(path));
	buf_clear(out);
	if (buf_printf(out, "_tmp/%s/%016llx%016llx", warehouse->writer, (unsigned long long)hash.high64,
		       (unsigned long long)hash.low64) < 0 ||
	    !buf_text(out))
		return error_no_memory(err, 64);
	return 0;
}

int warehouse_check_there(struct warehouse *warehouse, const char *path, uint64_t size, bool *done, struct error *err)
{
	struct warehouse_stat stat = {0};
	struct error what = {0};
	const int rc = warehouse->driver->stat(warehouse, path, &stat, &what);
	if (rc == ERROR_NOT_FOUND) {
		*done = false;
		return 0;
	}
	if (rc < 0)
		return error_set(err, rc, "%s", what.message);
	if (stat.is_dir)
		return error_set(err, ERROR_EXISTS, "%s: put %s: a directory has this name", warehouse->driver->name,
				 path);
	if (stat.size != size)
		return error_set(
			err, ERROR_EXISTS,
			"%s: put %s: a file of this name is there, with %llu bytes instead of %llu; whoever made it "
			"was not this deployment, or its journal is another one: look at it, and remove it",
			warehouse->driver->name, path, (unsigned long long)stat.size, (unsigned long long)size);
	*done = true;
	return 0;
}

/* --- operations --- */

void warehouse_close(struct warehouse *warehouse)
{
	if (warehouse)
		warehouse->driver->close(warehouse);
}

int warehouse_list(struct warehouse *warehouse, const char *path, warehouse_entry_fn *take, void *context,
		   struct error *err)
{
	const int rc = check_path(warehouse, path, err);
	return rc < 0 ? rc : warehouse->driver->list(warehouse, path, take, context, err);
}

int warehouse_stat(struct warehouse *warehouse, const char *path, struct warehouse_stat *stat, struct error *err)
{
	const int rc = check_path(warehouse, path, err);
	return rc < 0 ? rc : warehouse->driver->stat(warehouse, path, stat, err);
}

int warehouse_make_dir(struct warehouse *warehouse, const char *path, struct error *err)
{
	const int rc = check_path(warehouse, path, err);
	return rc < 0 ? rc : warehouse->driver->make_dir(warehouse, path, err);
}

int warehouse_put(struct warehouse *warehouse, const char *path, warehouse_read_fn *read, void *context, uint64_t size,
		  struct error *err)
{
	const int rc = check_named(warehouse, path, err);
	return rc < 0 ? rc : warehouse->driver->put(warehouse, path, read, context, size, err);
}

int warehouse_read(struct warehouse *warehouse, const char *path, uint64_t offset, uint64_t len,
		   warehouse_write_fn *write, void *context, struct error *err)
{
	const int rc = check_named(warehouse, path, err);
	return rc < 0 ? rc : warehouse->driver->read(warehouse, path, offset, len, write, context, err);
}

int warehouse_rename(struct warehouse *warehouse, const char *from, const char *to, struct error *err)
{
	int rc = check_named(warehouse, from, err);
	if (rc == 0)
		rc = check_named(warehouse, to, err);
	return rc < 0 ? rc : warehouse->driver->rename(warehouse, from, to, err);
}

int warehouse_remove(struct warehouse *warehouse, const char *path, struct error *err)
{
	const int rc = check_named(warehouse, path, err);
	return rc < 0 ? rc : warehouse->driver->remove(warehouse, path, err);
}

int warehouse_usage(struct warehouse *warehouse, const char *path, struct warehouse_usage *usage, struct error *err)
{
	const int rc = check_path(warehouse, path, err);
	return rc < 0 ? rc : warehouse->driver->usage(warehouse, path, usage, err);
}

int warehouse_clean(struct warehouse *warehouse, struct error *err)
{
	_cleanup_free_ char *path = text_printf("_tmp/%s", warehouse->writer);
	return path ? warehouse->driver->remove(warehouse, path, err) : error_no_memory(err, 64);
}

/* --- sources --- */

struct local_file {
	int fd;
	const char *path;
};

static int64_t read_local(void *context, uint64_t offset, void *out, size_t size, struct error *err)
{
	const struct local_file *const file = context;
	for (;;) {
		const ssize_t n = pread(file->fd, out, size, (off_t)offset);
		if (n >= 0)
			return n;
		if (errno != EINTR)
			return error_errno(err, errno, "%s", file->path);
	}
}

int warehouse_put_file(struct warehouse *warehouse, const char *path, const char *local_path, struct error *err)
{
	_cleanup_close_ int fd = open(local_path, O_RDONLY | O_CLOEXEC);
	struct stat stat;
	if (fd < 0 || fstat(fd, &stat) < 0)
		return error_errno(err, errno, "%s", local_path);
	if (!S_ISREG(stat.st_mode))
		return error_set(err, ERROR_INPUT, "%s: not a regular file", local_path);
	posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	struct local_file file = {.fd = fd, .path = local_path};
	return warehouse_put(warehouse, path, read_local, &file, (uint64_t)stat.st_size, err);
}

static int64_t read_memory(void *context, uint64_t offset, void *out, size_t size, struct error *err)
{
	const struct slice *const bytes = context;
	(void)err;
	if (offset >= bytes->len)
		return 0;
	const size_t n = size < bytes->len - offset ? size : (size_t)(bytes->len - offset);
	memcpy(out, bytes->data + offset, n);
	return (int64_t)n;
}

int warehouse_put_bytes(struct warehouse *warehouse, const char *path, struct slice bytes, struct error *err)
{
	return warehouse_put(warehouse, path, read_memory, &bytes, bytes.len, err);
}

struct memory_target {
	struct buf *out;
	size_t begin;
	size_t limit;
	const char *path;
};

static int write_memory(void *context, const void *data, size_t len, struct error *err)
{
	const struct memory_target *const target = context;
	if (len > target->limit - (target->out->len - target->begin))
		return error_set(err, ERROR_LIMIT, "%s has more than %zu bytes", target->path, target->limit);
	return buf_append(target->out, data, len) < 0 ? error_no_memory(err, len) : 0;
}

int warehouse_read_all(struct warehouse *warehouse, const char *path, size_t limit, struct buf *out, struct error *err)
{
	struct memory_target target = {.out = out, .begin = out->len, .limit = limit, .path = path};
	return warehouse_read(warehouse, path, 0, WAREHOUSE_TO_END, write_memory, &target, err);
}

/* --- how it is --- */

/* A file is put, read and removed. */
static int write_and_read(struct warehouse *warehouse, struct error *err)
{
	_cleanup_buf_ struct buf back = {0};
	_cleanup_free_ char *path = text_printf("_tmp/%s/doctor-%lld", warehouse->writer, (long long)clock_now_us());
	if (!path)
		return error_no_memory(err, 64);
	int rc = warehouse_put_bytes(warehouse, path, SLICE(PING_TEXT), err);
	if (rc == 0)
		rc = warehouse_read_all(warehouse, path, sizeof(PING_TEXT), &back, err);
	if (rc == 0 && !slice_is((struct slice){back.data, back.len}, PING_TEXT))
		rc = error_set(err, ERROR_IO, "%s: what was written to %s was read otherwise", warehouse->driver->name,
			       path);
	struct error ignored;
	const int removed = warehouse_remove(warehouse, path, rc == 0 ? err : &ignored);
	return rc == 0 ? removed : rc;
}

int warehouse_ping(struct warehouse *warehouse, bool try_writing, struct warehouse_health *health, struct error *err)
{
	struct warehouse_health found = {.live_nodes = -1};
	const int rc = warehouse->driver->ping(warehouse, &found, err);
	if (rc < 0)
		return rc;
	struct error why = {0};
	if (try_writing && found.safe_mode)
		snprintf(found.problem, sizeof(found.problem), "it is in safe mode");
	else if (try_writing && write_and_read(warehouse, &why) < 0)
		snprintf(found.problem, sizeof(found.problem), "%.*s", (int)sizeof(found.problem) - 1, why.message);
	else
		found.can_write = try_writing;
	*health = found;
	return 0;
}
