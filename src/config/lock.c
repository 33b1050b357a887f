/*
 * data/lock, data/collect.lock: one line of text, "<pid> <command> <yyyy-mm-dd> <hh:mm:ss>\n" (UTC), at most LOCK_TEXT_BYTES.
 *
 * The lock itself is an open file description lock (F_OFD_SETLK) on the whole file: the kernel drops it when the process
 * ends, however it ends. The text only says who; it is valid while the lock is held, and empty after a clean end. What a
 * killed process left there is overwritten by the next one.
 */
#include "config/lock_internal.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/tz.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOCK_TEXT_BYTES 128

static bool read_holder(int fd, struct deployment_holder *out)
{
	char text[LOCK_TEXT_BYTES + 1];
	const ssize_t n = pread(fd, text, LOCK_TEXT_BYTES, 0);
	if (n <= 0)
		return false;
	text[n] = '\0';
	for (ssize_t i = 0; i < n; i++)
		if (!isprint((unsigned char)text[i]) && text[i] != '\n')
			return false;
	struct deployment_holder h;
	char *at;
	h.pid = (pid_t)strtol(text, &at, 10);
	const size_t len = strcspn(at + (*at == ' '), " \n");
	if (h.pid <= 0 || *at != ' ' || len == 0 || len >= sizeof(h.command))
		return false;
	memcpy(h.command, at + 1, len);
	h.command[len] = '\0';
	at += 1 + len;
	if (strlen(at) != 21 || at[0] != ' ' || at[20] != '\n')
		return false;
	memcpy(h.since, at + 1, 19);
	h.since[19] = '\0';
	*out = h;
	return true;
}

static int fail_locked(int fd, const char *shown_dir, const char *command, struct error *err)
{
	/* Between the lock and the text of a new holder there is a moment in which the text is the old one's. */
	struct deployment_holder holder;
	bool known = false;
	for (int tries = 0; tries < 20; tries++) {
		known = read_holder(fd, &holder);
		if (known && (kill(holder.pid, 0) == 0 || errno == EPERM))
			break;
		nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
	}
	if (!known)
		return error_set(err, ERROR_LOCKED, "%s is being written by another process; wait for it or stop it",
				 shown_dir);
	if (strcmp(holder.command, "run") == 0 && strcmp(command, "collect") == 0)
		return error_set(err, ERROR_LOCKED,
				 "%s has a daemon, process %ld (run, since %s UTC), which takes the files of the spool "
				 "directories by itself; there is nothing to do",
				 shown_dir, (long)holder.pid, holder.since);
	return error_set(err, ERROR_LOCKED,
			 "%s is being written by process %ld (%s, since %s UTC); wait for it or stop it", shown_dir,
			 (long)holder.pid, holder.command, holder.since);
}

static int write_holder(int fd, const char *path, const char *command, struct error *err)
{
	char text[LOCK_TEXT_BYTES];
	char since[20];
	civil_format_time(NULL, clock_now_us(), since);
	const int len = snprintf(text, sizeof(text), "%ld %.*s %s\n", (long)getpid(), (int)DEPLOYMENT_COMMAND_MAX,
				 command, since);
	/* Shorter first: a reader then sees nothing or the whole line. */
	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)len, 0) != len)
		return error_errno(err, errno, "cannot write %s", path);
	return 0;
}

int lock_take(const char *path, const char *shown_dir, const char *command, int *fd, struct error *err)
{
	_cleanup_close_ int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (file < 0)
		return error_errno(err, errno, "cannot open %s", path);
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	if (fcntl(file, F_OFD_SETLK, &whole) < 0) {
		if (errno == EAGAIN || errno == EACCES)
			return fail_locked(file, shown_dir, command, err);
		return error_errno(err, errno, "cannot lock %s (a deployment must be on a local disk)", path);
	}
	const int rc = write_holder(file, path, command, err);
	if (rc < 0)
		return rc;
	*fd = file;
	file = -1;
	return 0;
}

bool lock_holder(const char *path, struct deployment_holder *out)
{
	_cleanup_close_ int file = open(path, O_RDONLY | O_CLOEXEC);
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	return file >= 0 && fcntl(file, F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK && read_holder(file, out);
}

void lock_release(int *fd)
{
	if (*fd < 0)
		return;
	/* Cosmetic: the lock goes with the descriptor. */
	if (ftruncate(*fd, 0) < 0)
		errno = 0;
	close(*fd);
	*fd = -1;
}
