/*
 * Records everything that a program changes below one directory, in order: a library to be preloaded into the program under
 * test. tests/crash/power.py makes of the record what a power loss could have left.
 *
 *     PUNCHCARD_POWER_ROOT=/tmp/shop PUNCHCARD_POWER_LOG=/tmp/log LD_PRELOAD=libpower.so punchcard …
 *
 * The log has a record for each call that did something: a struct record, then its two texts. Files are told by their inode,
 * names by their path. What is written to a shared map is not seen (LMDB's lock.mdb, which is worth nothing after a loss),
 * and neither is what the C library does by itself (stdio); power.py notices when something is missing. Calls are taken one
 * at a time, so that their order is one order.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define API __attribute__((visibility("default")))

/*
 * kind                  inode  at           texts
 * C  a file is made     its    -            path
 * D  a directory        its    -            path
 * W  data are written   its    where        data
 * V  the same, durable  its    where        data
 * T  a size is set      its    the size
 * S  flushed            its
 * A  all is flushed
 * U  unlink or rmdir    -      -            path
 * N  rename             -      -            from, to
 * X  exchange           -      -            from, to
 * L  link               -      -            from, to
 */
struct record {
	uint32_t kind;
	uint32_t a_len;
	uint32_t b_len;
	uint32_t unused;
	uint64_t inode;
	int64_t at;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX];
static size_t root_len;
static dev_t device;
static int log_fd = -1;

__attribute__((constructor)) static void read_environment(void)
{
	const char *const dir = getenv("PUNCHCARD_POWER_ROOT");
	const char *const path = getenv("PUNCHCARD_POWER_LOG");
	struct stat st;
	if (!dir || !path || !realpath(dir, root) || stat(root, &st) < 0)
		return;
	root_len = strlen(root);
	device = st.st_dev;
	/* Far up, where no program counts its descriptors. */
	const int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	log_fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 500);
	syscall(SYS_close, fd);
}

static void put(char kind, uint64_t inode, int64_t at, const void *a, size_t a_len, const void *b, size_t b_len)
{
	const struct record record = {.kind = (unsigned char)kind,
				      .a_len = (uint32_t)a_len,
				      .b_len = (uint32_t)b_len,
				      .inode = inode,
				      .at = at};
	const struct iovec parts[] = {{(void *)&record, sizeof(record)}, {(void *)a, a_len}, {(void *)b, b_len}};
	const size_t len = sizeof(record) + a_len + b_len;
	if (syscall(SYS_writev, log_fd, parts, 3) != (long)len)
		abort(); /* a log with a gap is worth nothing */
}

/* The path below the root, without links in its directory; false: it is not below it. */
static bool below_root(int dir, const char *path, char out[PATH_MAX])
{
	char full[PATH_MAX];
	char real[PATH_MAX];
	if (path[0] != '/' && dir != AT_FDCWD) {
		char link[64];
		snprintf(link, sizeof(link), "/proc/self/fd/%d", dir);
		const ssize_t n = readlink(link, full, sizeof(full) - 1);
		if (n < 0)
			return false;
		full[n] = '\0';
		const size_t room = sizeof(full) - (size_t)n;
		if (snprintf(full + n, room, "/%s", path) >= (int)room)
			return false;
	} else if (snprintf(full, sizeof(full), "%s", path) >= (int)sizeof(full)) {
		return false;
	}
	char copy[PATH_MAX];
	strcpy(copy, full);
	if (!realpath(dirname(copy), real) || strncmp(real, root, root_len) != 0 ||
	    (real[root_len] != '/' && real[root_len] != '\0'))
		return false;
	strcpy(copy, full);
	const char *const under = real[root_len] ? real + root_len + 1 : "";
	return snprintf(out, PATH_MAX, "%s%s%s", under, *under ? "/" : "", basename(copy)) < PATH_MAX;
}

/* Inode of an open file or directory on the root's device; 0: none. */
static uint64_t inode_of(int fd)
{
	struct stat st;
	if (log_fd < 0 || fd == log_fd || fstat(fd, &st) < 0 || st.st_dev != device ||
	    !(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)))
		return 0;
	return st.st_ino;
}

static void enter(void)
{
	pthread_mutex_lock(&mutex);
}

/* errno stays the call's. */
static void leave(void)
{
	pthread_mutex_unlock(&mutex);
}

#define NEXT(name)                     \
	static __typeof__(name) *next; \
	if (!next)                     \
	*(void **)&next = dlsym(RTLD_NEXT, #name)

/* Data. */

static void note_write(int fd, off_t at, const struct iovec *parts, int n, size_t done)
{
	const int errnum = errno;
	const uint64_t inode = inode_of(fd);
	char *const data = inode ? malloc(done + 1) : NULL;
	if (data) {
		size_t len = 0;
		for (int i = 0; i < n && len < done; i++) {
			const size_t part = parts[i].iov_len < done - len ? parts[i].iov_len : done - len;
			memcpy(data + len, parts[i].iov_base, part);
			len += part;
		}
		/* O_SYNC has O_DSYNC's bit. */
		const bool durable = fcntl(fd, F_GETFL) & O_DSYNC;
		put(durable ? 'V' : 'W', inode, at, data, done, "", 0);
		free(data);
	}
	errno = errnum;
}

/* Where the file stands behind a write of so many bytes. */
static void note_write_here(int fd, const struct iovec *parts, int n, size_t done)
{
	if (inode_of(fd))
		note_write(fd, lseek(fd, 0, SEEK_CUR) - (off_t)done, parts, n, done);
}

API ssize_t write(int fd, const void *data, size_t len)
{
	NEXT(write);
	enter();
	const ssize_t done = next(fd, data, len);
	if (done > 0)
		note_write_here(fd, &(const struct iovec){(void *)data, len}, 1, (size_t)done);
	leave();
	return done;
}

API ssize_t writev(int fd, const struct iovec *parts, int n)
{
	NEXT(writev);
	enter();
	const ssize_t done = next(fd, parts, n);
	if (done > 0)
		note_write_here(fd, parts, n, (size_t)done);
	leave();
	return done;
}

#define PWRITE(name)                                                                                   \
	API ssize_t name(int fd, const void *data, size_t len, off_t at)                               \
	{                                                                                              \
		NEXT(name);                                                                            \
		enter();                                                                               \
		const ssize_t done = next(fd, data, len, at);                                          \
		if (done > 0)                                                                          \
			note_write(fd, at, &(const struct iovec){(void *)data, len}, 1, (size_t)done); \
		leave();                                                                               \
		return done;                                                                           \
	}
PWRITE(pwrite)
PWRITE(pwrite64)

#define PWRITEV(name)                                                        \
	API ssize_t name(int fd, const struct iovec *parts, int n, off_t at) \
	{                                                                    \
		NEXT(name);                                                  \
		enter();                                                     \
		const ssize_t done = next(fd, parts, n, at);                 \
		if (done > 0)                                                \
			note_write(fd, at, parts, n, (size_t)done);          \
		leave();                                                     \
		return done;                                                 \
	}
PWRITEV(pwritev)
PWRITEV(pwritev64)

/* The size that a file has now. */
static void note_size(int fd)
{
	struct stat st;
	const int errnum = errno;
	const uint64_t inode = inode_of(fd);
	if (inode && fstat(fd, &st) == 0)
		put('T', inode, st.st_size, "", 0, "", 0);
	errno = errnum;
}

static void note_flush(int fd)
{
	const uint64_t inode = inode_of(fd);
	if (inode)
		put('S', inode, 0, "", 0, "", 0);
}

static void note_flush_of_all(int fd)
{
	if (inode_of(fd))
		put('A', 0, 0, "", 0, "", 0);
}

/* A function that returns 0 or -1, and what is noted when it is 0. */
#define SIMPLE(name, parameters, arguments, note) \
	API int name parameters                   \
	{                                         \
		NEXT(name);                       \
		enter();                          \
		const int rc = next arguments;    \
		if (rc == 0)                      \
			note;                     \
		leave();                          \
		return rc;                        \
	}
SIMPLE(ftruncate, (int fd, off_t len), (fd, len), note_size(fd))
SIMPLE(ftruncate64, (int fd, off_t len), (fd, len), note_size(fd))
SIMPLE(fallocate, (int fd, int mode, off_t at, off_t len), (fd, mode, at, len), note_size(fd))
SIMPLE(fallocate64, (int fd, int mode, off_t at, off_t len), (fd, mode, at, len), note_size(fd))
SIMPLE(posix_fallocate, (int fd, off_t at, off_t len), (fd, at, len), note_size(fd))
SIMPLE(posix_fallocate64, (int fd, off_t at, off_t len), (fd, at, len), note_size(fd))
SIMPLE(fsync, (int fd), (fd), note_flush(fd))
SIMPLE(fdatasync, (int fd), (fd), note_flush(fd))
SIMPLE(syncfs, (int fd), (fd), note_flush_of_all(fd))

/* Names. */

static void note_path(char kind, int dir, const char *path)
{
	char name[PATH_MAX];
	struct stat st = {0};
	if (log_fd < 0 || !below_root(dir, path, name))
		return;
	if (kind != 'U')
		fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW);
	put(kind, st.st_ino, 0, name, strlen(name), "", 0);
}

/* A move out of the root, or into it, would be a record with one name: nothing here does that. */
static void note_paths(char kind, int from_dir, const char *from, int to_dir, const char *to)
{
	char a[PATH_MAX];
	char b[PATH_MAX];
	if (log_fd >= 0 && below_root(from_dir, from, a) && below_root(to_dir, to, b))
		put(kind, 0, 0, a, strlen(a), b, strlen(b));
}

#define EXCHANGE (1u << 1) /* RENAME_EXCHANGE */

SIMPLE(mkdir, (const char *path, mode_t mode), (path, mode), note_path('D', AT_FDCWD, path))
SIMPLE(mkdirat, (int dir, const char *path, mode_t mode), (dir, path, mode), note_path('D', dir, path))
SIMPLE(rmdir, (const char *path), (path), note_path('U', AT_FDCWD, path))
SIMPLE(unlink, (const char *path), (path), note_path('U', AT_FDCWD, path))
SIMPLE(unlinkat, (int dir, const char *path, int flags), (dir, path, flags), note_path('U', dir, path))
SIMPLE(remove, (const char *path), (path), note_path('U', AT_FDCWD, path))
SIMPLE(rename, (const char *from, const char *to), (from, to), note_paths('N', AT_FDCWD, from, AT_FDCWD, to))
SIMPLE(renameat, (int from_dir, const char *from, int to_dir, const char *to), (from_dir, from, to_dir, to),
       note_paths('N', from_dir, from, to_dir, to))
SIMPLE(renameat2, (int from_dir, const char *from, int to_dir, const char *to, unsigned flags),
       (from_dir, from, to_dir, to, flags), note_paths(flags &EXCHANGE ? 'X' : 'N', from_dir, from, to_dir, to))
SIMPLE(link, (const char *from, const char *to), (from, to), note_paths('L', AT_FDCWD, from, AT_FDCWD, to))

static void note_open(int fd, int dir, const char *path, int flags, bool was_there)
{
	const int errnum = errno;
	if (fd >= 0 && log_fd >= 0 && (flags & O_TMPFILE) != O_TMPFILE) {
		if ((flags & O_CREAT) && !was_there)
			note_path('C', dir, path);
		else if (flags & O_TRUNC)
			note_size(fd);
	}
	errno = errnum;
}

#define OPEN(name, dir, parameters, arguments)                          \
	API int name parameters                                         \
	{                                                               \
		NEXT(name);                                             \
		mode_t mode = 0;                                        \
		if (flags & (O_CREAT | O_TMPFILE)) {                    \
			va_list list;                                   \
			va_start(list, flags);                          \
			mode = va_arg(list, mode_t);                    \
			va_end(list);                                   \
		}                                                       \
		if (!(flags & (O_CREAT | O_TRUNC)))                     \
			return next arguments;                          \
		struct stat st;                                         \
		enter();                                                \
		const bool was_there = fstatat(dir, path, &st, 0) == 0; \
		const int fd = next arguments;                          \
		note_open(fd, dir, path, flags, was_there);             \
		leave();                                                \
		return fd;                                              \
	}
OPEN(open, AT_FDCWD, (const char *path, int flags, ...), (path, flags, mode))
OPEN(open64, AT_FDCWD, (const char *path, int flags, ...), (path, flags, mode))
OPEN(openat, dir, (int dir, const char *path, int flags, ...), (dir, path, flags, mode))
OPEN(openat64, dir, (int dir, const char *path, int flags, ...), (dir, path, flags, mode))

#define MAKE(name, parameters, arguments)                          \
	API int name parameters                                    \
	{                                                          \
		NEXT(name);                                        \
		enter();                                           \
		const int fd = next arguments;                     \
		note_open(fd, AT_FDCWD, template, O_CREAT, false); \
		leave();                                           \
		return fd;                                         \
	}
MAKE(mkstemp, (char *template), (template))
MAKE(mkstemp64, (char *template), (template))
MAKE(mkostemp, (char *template, int flags), (template, flags))
MAKE(mkostemp64, (char *template, int flags), (template, flags))
