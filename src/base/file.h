/*
 * Files that survive a crash: write, fsync, rename, fsync of the directory.
 *
 * Paths are NUL-terminated, file descriptors are close-on-exec. Every function blocks; any thread may call it. Errors: the
 * codes of error_errno, with the path in the message.
 */
#ifndef PUNCHCARD_BASE_FILE_H
#define PUNCHCARD_BASE_FILE_H

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Makes `path` and its missing parents, mode 0777 less umask. Existing directories are fine; new ones
 * are durable. */
int file_make_dirs(const char *path, struct error *err);
/* fsync of an open file; `path` is for the message. Never retried: after a failure the file must be given up. */
int file_sync(int fd, const char *path, struct error *err);
/* fsync of a directory, so that names made in it survive. */
int file_sync_dir(const char *path, struct error *err);
/* fsync of a directory and of all below it, but not of those whose name begins with `except`, nor of what is in them. Links are not
 * followed; what goes away meanwhile, or is not there, is fine. */
int file_sync_dirs(const char *path, const char *except, struct error *err);
/* fsync of a file by name. */
int file_sync_path(const char *path, struct error *err);
/* rename(2), then fsync of the target's directory. */
int file_rename(const char *from, const char *to, struct error *err);
/* Swaps two existing directories of one file system atomically (renameat2 RENAME_EXCHANGE), then fsyncs the parents. */
int file_exchange(const char *a, const char *b, struct error *err);
/* Writes all bytes to fd, going on after short writes and EINTR. */
int file_write_all(int fd, const void *data, size_t len, const char *path, struct error *err);
/* Makes a directory for temporary files of this process alone, <$TMPDIR or /var/tmp>/punchcard-<name>-<random>. The caller
 * removes it (file_remove_tree) and frees *out. ERROR_IO, ERROR_NO_SPACE … say that TMPDIR can name another place. */
int file_make_tmp_dir(const char *name, char **out, struct error *err);
/* Writes a whole file durably: `<path>.tmp`, fsync, rename, fsync of the directory. */
int file_write_durable(const char *path, const void *data, size_t len, struct error *err);
/* Reads a whole file of at most `limit` bytes into `out` (appended). Over it: ERROR_LIMIT. */
int file_read_all(const char *path, size_t limit, struct buf *out, struct error *err);
/* Removes a file or a whole directory tree; a missing one is fine. Does not follow symbolic links. */
int file_remove_tree(const char *path, struct error *err);
/* Whether the path exists (any type). */
bool file_exists(const char *path);
/* Whether two files have the same bytes. One that cannot be opened or read is an error; a directory is one, too. */
int file_same(const char *a, const char *b, bool *same, struct error *err);

/* `_cleanup_close_ int fd = -1;` closes on leaving the scope. */
void cleanup_close(int *fd);
#define _cleanup_close_ __attribute__((cleanup(cleanup_close)))

#endif
