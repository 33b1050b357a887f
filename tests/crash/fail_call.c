/*
 * Lets the n-th call fail that changes a file: a library to be preloaded into the program under test.
 *
 *     PUNCHCARD_FAIL_AT=7 PUNCHCARD_FAIL_HOW=ENOSPC PUNCHCARD_FAIL_LOG=/tmp/log LD_PRELOAD=libfail_call.so punchcard …
 *
 * Counted are, from 1 and over all threads: write, writev, pwrite, pwritev, fsync, fdatasync, rename, renameat, renameat2,
 * unlink, unlinkat, rmdir, mkdir, ftruncate, and open that makes a file; writes to what is no file (an eventfd), or to
 * descriptors up to 2, are not. The n-th does nothing and fails with EIO or ENOSPC, or instead kills the process (KILL); a
 * write that is to be killed in is done by half first. With SHORT a write does its half and says so, as a full disk first does;
 * other calls fail with ENOSPC. With EMFILE other calls are counted: those that make a descriptor. The log then says which call
 * it was; without a fault it stays away. FAIL_AT=0 lets all pass, and at the end the log has how many there were.
 * FAIL_WHILE=/tmp/x: only while there is this file are calls counted. FAIL_ONLY=fsync counts calls of that name alone. FAIL_FOR=m lets m calls fail in a row (-1: all that come), and those behind
 * them pass again.
 */
#include "fail_log.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define API __attribute__((visibility("default")))

static atomic_long calls;
static long fail_at = -1;
static long fail_for = 1;
static const char *fail_only;
static const char *fail_while;
static int fail_errno; /* 0: kill */
static bool fail_short;

__attribute__((constructor)) static void read_environment(void)
{
	const char *const at = getenv("PUNCHCARD_FAIL_AT");
	const char *const how = getenv("PUNCHCARD_FAIL_HOW");
	const char *const how_long = getenv("PUNCHCARD_FAIL_FOR");
	fail_at = at ? strtol(at, NULL, 10) : -1;
	fail_only = getenv("PUNCHCARD_FAIL_ONLY");
	fail_while = getenv("PUNCHCARD_FAIL_WHILE");
	fail_for = how_long ? strtol(how_long, NULL, 10) : 1;
	if (how && strcmp(how, "EIO") == 0)
		fail_errno = EIO;
	else if (how && strcmp(how, "ENOSPC") == 0)
		fail_errno = ENOSPC;
	else if (how && strcmp(how, "SHORT") == 0)
		fail_errno = ENOSPC, fail_short = true;
	else if (how && strcmp(how, "EMFILE") == 0)
		fail_errno = EMFILE;
}

__attribute__((destructor)) static void tell_count(void)
{
	if (fail_at == 0)
		tell("calls", atomic_load(&calls));
}

/* Counts a call; true when it is to fail, and then errno is set. The process is killed in here. `half` (may be NULL) does a
 * part of the work. */
static bool count(const char *name, void (*half)(const void *context), const void *context)
{
	if ((fail_only && strcmp(name, fail_only) != 0) || (fail_while && access(fail_while, F_OK) < 0))
		return false;
	const long number = atomic_fetch_add(&calls, 1) + 1;
	if (fail_at <= 0 || number < fail_at || (fail_for >= 0 && number >= fail_at + fail_for))
		return false;
	if (number == fail_at)
		tell(name, number);
	if (fail_errno == 0) {
		if (half)
			half(context);
		kill(getpid(), SIGKILL);
		for (;;)
			pause();
	}
	errno = fail_errno;
	return true;
}

/* A call that writes. */
static bool fails(const char *name, void (*half)(const void *context), const void *context)
{
	return fail_errno != EMFILE && count(name, half, context);
}

/* A call that makes a descriptor. */
static bool has_no_descriptor(const char *name)
{
	return fail_errno == EMFILE && count(name, NULL, NULL);
}

/* The next definition of a function: the C library's. */
#define NEXT(name)                     \
	static __typeof__(name) *next; \
	if (!next)                     \
	*(void **)&next = dlsym(RTLD_NEXT, #name)

struct part {
	int fd;
	const void *data;
	size_t len;
	off_t at; /* -1: where the file stands */
};

/* By the next library, which may be one that records it. */
static ssize_t write_half_of(const struct part *part)
{
	ssize_t (*here)(int, const void *, size_t);
	ssize_t (*there)(int, const void *, size_t, off_t);
	*(void **)&here = dlsym(RTLD_NEXT, "write");
	*(void **)&there = dlsym(RTLD_NEXT, "pwrite64");
	return part->at < 0 ? here(part->fd, part->data, part->len / 2)
			    : there(part->fd, part->data, part->len / 2, part->at);
}

static void write_half(const void *context)
{
	if (write_half_of(context) < 0)
		abort();
}

/* What a write returns that is to fail. */
static ssize_t failed_write(const struct part *part)
{
	return fail_short && part->len > 1 ? write_half_of(part) : -1;
}

static bool is_file(int fd)
{
	struct stat st;
	return fd > STDERR_FILENO && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

API ssize_t write(int fd, const void *data, size_t len)
{
	NEXT(write);
	const struct part part = {fd, data, len, -1};
	return is_file(fd) && fails("write", write_half, &part) ? failed_write(&part) : next(fd, data, len);
}

API ssize_t writev(int fd, const struct iovec *parts, int n)
{
	NEXT(writev);
	const struct part part = {fd, parts[0].iov_base, parts[0].iov_len, -1};
	return is_file(fd) && fails("writev", write_half, &part) ? failed_write(&part) : next(fd, parts, n);
}

#define PWRITE(name)                                                                                    \
	API ssize_t name(int fd, const void *data, size_t len, off_t at)                                \
	{                                                                                               \
		NEXT(name);                                                                             \
		const struct part part = {fd, data, len, at};                                           \
		return fails(#name, write_half, &part) ? failed_write(&part) : next(fd, data, len, at); \
	}
PWRITE(pwrite)
PWRITE(pwrite64)

#define PWRITEV(name)                                                                                  \
	API ssize_t name(int fd, const struct iovec *parts, int n, off_t at)                           \
	{                                                                                              \
		NEXT(name);                                                                            \
		const struct part part = {fd, parts[0].iov_base, parts[0].iov_len, at};                \
		return fails(#name, write_half, &part) ? failed_write(&part) : next(fd, parts, n, at); \
	}
PWRITEV(pwritev)
PWRITEV(pwritev64)

/* A function that returns 0 or -1: its parameters with and without their types. */
#define SIMPLE(name, parameters, arguments)                            \
	API int name parameters                                        \
	{                                                              \
		NEXT(name);                                            \
		return fails(#name, NULL, NULL) ? -1 : next arguments; \
	}
SIMPLE(fsync, (int fd), (fd))
SIMPLE(fdatasync, (int fd), (fd))
SIMPLE(rename, (const char *from, const char *to), (from, to))
SIMPLE(renameat, (int from_dir, const char *from, int to_dir, const char *to), (from_dir, from, to_dir, to))
SIMPLE(renameat2, (int from_dir, const char *from, int to_dir, const char *to, unsigned flags),
       (from_dir, from, to_dir, to, flags))
SIMPLE(unlink, (const char *path), (path))
SIMPLE(unlinkat, (int dir, const char *path, int flags), (dir, path, flags))
SIMPLE(rmdir, (const char *path), (path))
SIMPLE(mkdir, (const char *path, mode_t mode), (path, mode))
SIMPLE(ftruncate, (int fd, off_t len), (fd, len))
SIMPLE(ftruncate64, (int fd, off_t len), (fd, len))

#define OPEN(name, parameters, arguments)                                                        \
	API int name parameters                                                                  \
	{                                                                                        \
		NEXT(name);                                                                      \
		mode_t mode = 0;                                                                 \
		if (flags & O_CREAT) {                                                           \
			va_list list;                                                            \
			va_start(list, flags);                                                   \
			mode = va_arg(list, mode_t);                                             \
			va_end(list);                                                            \
		}                                                                                \
		if (((flags & O_CREAT) && fails(#name, NULL, NULL)) || has_no_descriptor(#name)) \
			return -1;                                                               \
		return next arguments;                                                           \
	}
OPEN(open, (const char *path, int flags, ...), (path, flags, mode))
OPEN(open64, (const char *path, int flags, ...), (path, flags, mode))
OPEN(openat, (int dir, const char *path, int flags, ...), (dir, path, flags, mode))
OPEN(openat64, (int dir, const char *path, int flags, ...), (dir, path, flags, mode))

/* The C library opens these by itself. */
API DIR *opendir(const char *path)
{
	NEXT(opendir);
	return has_no_descriptor("opendir") ? NULL : next(path);
}

API int scandir(const char *path, struct dirent ***list, int (*select)(const struct dirent *),
		int (*compare)(const struct dirent **, const struct dirent **))
{
	NEXT(scandir);
	return has_no_descriptor("scandir") ? -1 : next(path, list, select, compare);
}

API int socket(int domain, int type, int protocol)
{
	NEXT(socket);
	return has_no_descriptor("socket") ? -1 : next(domain, type, protocol);
}

API int accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
	NEXT(accept4);
	return has_no_descriptor("accept4") ? -1 : next(fd, address, len, flags);
}
