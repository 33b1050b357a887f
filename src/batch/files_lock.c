/*
 * data/compact.lock: a file of no bytes but a size, which is the *generation*. It only grows, by files_lock_advance. Locks
 * (F_OFD_SETLK) on single bytes:
 *
 *     byte 0        shared: no merge is going on; exclusive: one is
 *     byte 1        shared: somebody pins, or is about to. Never exclusive, so it is had at once: a compaction that sees it
 *                   does not begin, and who pins waits for one merge at most
 *     byte 2 + g    shared: somebody reads who began in generation g
 *
 * Who reads looks at the size, locks that generation's byte, and looks again: when it is still the same, then what was removed
 * by this time had been replaced before. A killed process leaves nothing. If the file is removed, it begins with 0
 * again; only who has the old one open is then not seen.
 */
#include "batch/files_lock.h"

#include "base/file.h"
#include "base/limits.h"
#include "engine/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BYTE_MERGE      0
#define BYTE_PIN        1
#define BYTE_GENERATION 2
#define POLL_NS         10000000

static struct flock byte_lock(short type, off_t byte)
{
	return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
}

static int set_lock(int fd, short type, off_t byte)
{
	struct flock lock = byte_lock(type, byte);
	return fcntl(fd, F_OFD_SETLK, &lock);
}

static int fail(struct error *err, const char *what)
{
	return error_errno(err, errno, "cannot %s data/compact.lock", what);
}

static int open_file(const struct deployment *deployment, int flags)
{
	_cleanup_free_ char *path = text_printf("%s/compact.lock", deployment->data_dir);
	if (path)
		return open(path, flags | O_CLOEXEC, 0666);
	errno = ENOMEM;
	return -1;
}

/* 0, or -1 with errno. */
static int lock_generation(int fd)
{
	for (;;) {
		struct stat before;
		struct stat after;
		if (fstat(fd, &before) < 0 || set_lock(fd, F_RDLCK, BYTE_GENERATION + before.st_size) < 0 ||
		    fstat(fd, &after) < 0)
			return -1;
		if (after.st_size == before.st_size)
			return 0;
		set_lock(fd, F_UNLCK, BYTE_GENERATION + before.st_size);
	}
}

void files_lock_read(const struct deployment *deployment, struct files_lock *lock)
{
	const bool writes = deployment->mode != DEPLOYMENT_READ;
	_cleanup_close_ int fd = open_file(deployment, writes ? O_RDWR | O_CREAT : O_RDONLY);
	if (fd < 0 || lock_generation(fd) < 0)
		return;
	lock->fd = fd;
	fd = -1;
}

int files_lock_pin(const struct deployment *deployment, struct files_lock *lock, struct error *err)
{
	const bool writes = deployment->mode != DEPLOYMENT_READ;
	_cleanup_close_ int fd = open_file(deployment, writes ? O_RDWR | O_CREAT : O_RDONLY);
	if (fd < 0 || set_lock(fd, F_RDLCK, BYTE_PIN) < 0)
		return writes ? fail(err, "lock") : 0;
	while (set_lock(fd, F_RDLCK, BYTE_MERGE) < 0) {
		if (errno != EAGAIN && errno != EACCES)
			return fail(err, "lock");
		nanosleep(&(struct timespec){.tv_nsec = POLL_NS}, NULL);
		const int rc = engine_check_interrupted(err);
		if (rc < 0)
			return rc;
	}
	if (lock_generation(fd) < 0)
		return fail(err, "lock");
	lock->fd = fd;
	fd = -1;
	return 0;
}

void files_lock_release(struct files_lock *lock)
{
	if (lock->fd >= 0)
		close(lock->fd);
	lock->fd = -1;
}

int files_lock_open(const struct deployment *deployment, struct files_lock *lock, struct error *err)
{
	const int fd = open_file(deployment, O_RDWR | O_CREAT);
	if (fd < 0)
		return fail(err, "open");
	lock->fd = fd;
	return 0;
}

/* Whether another descriptor has a lock from byte `first` to `last`. */
static int is_locked(int fd, off_t first, off_t last, bool *locked, struct error *err)
{
	struct flock lock = byte_lock(F_WRLCK, first);
	lock.l_len = last - first + 1;
	if (fcntl(fd, F_OFD_GETLK, &lock) < 0)
		return fail(err, "look at");
	*locked = lock.l_type != F_UNLCK;
	return 0;
}

int files_lock_try_merge(struct files_lock *lock, bool *held, struct error *err)
{
	*held = false;
	if (set_lock(lock->fd, F_WRLCK, BYTE_MERGE) < 0)
		return errno == EAGAIN || errno == EACCES ? 0 : fail(err, "lock");
	bool pinned = true;
	const int rc = is_locked(lock->fd, BYTE_PIN, BYTE_PIN, &pinned, err);
	if (pinned)
		files_lock_end_merge(lock);
	*held = rc == 0 && !pinned;
	return rc;
}

void files_lock_end_merge(struct files_lock *lock)
{
	set_lock(lock->fd, F_UNLCK, BYTE_MERGE);
}

int files_lock_advance(struct files_lock *lock, uint64_t *until, struct error *err)
{
	struct stat info;
	if (fstat(lock->fd, &info) < 0 || ftruncate(lock->fd, info.st_size + 1) < 0)
		return fail(err, "extend");
	*until = (uint64_t)info.st_size;
	return 0;
}

int files_lock_is_read(const struct files_lock *lock, uint64_t until, bool *is_read, struct error *err)
{
	return is_locked(lock->fd, BYTE_GENERATION, BYTE_GENERATION + (off_t)until, is_read, err);
}
