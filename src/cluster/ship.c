/* The files that executors need, under the names by which they know them. */
#include "base/file.h"
#include "base/limits.h"
#include "cluster/job_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int cluster_find_fold(char **out, struct error *err)
{
	char self[LIMIT_PATH_BYTES];
	const ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (len < 0)
		return error_errno(err, errno, "cannot read /proc/self/exe");
	self[len] = '\0';
	char *const slash = strrchr(self, '/');
	*slash = '\0';
	static const char *const PLACES[] = {"", "/../lib/punchcard"};
	for (size_t i = 0; i < sizeof(PLACES) / sizeof(PLACES[0]); i++) {
		char *const path = text_printf("%s%s/" SHIP_PROGRAM, self, PLACES[i]);
		if (!path)
			return error_no_memory(err, sizeof(self));
		if (access(path, X_OK) == 0) {
			*out = path;
			return 0;
		}
		free(path);
	}
	return error_set(err, ERROR_NOT_FOUND,
			 "%s/" SHIP_PROGRAM
			 " is missing: it is what runs on Spark's executors; install it beside punchcard",
			 self);
}

static int copy_file(const char *from, const char *to, mode_t mode, struct error *err)
{
	_cleanup_close_ int in = open(from, O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int out = in < 0 ? -1 : open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (in < 0 || out < 0)
		return error_errno(err, errno, "cannot copy %s to %s", from, to);
	char bytes[64 * 1024];
	ssize_t n;
	while ((n = read(in, bytes, sizeof(bytes))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, errno, "cannot read %s", from);
		const int rc = file_write_all(out, bytes, (size_t)n, to, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int ship_open(const struct cluster_job *job, struct shipped *shipped, struct error *err)
{
	shipped->dir = text_printf("%s/ship-XXXXXX", job->spark.tmp_dir);
	if (!shipped->dir)
		return error_no_memory(err, strlen(job->spark.tmp_dir));
	if (!mkdtemp(shipped->dir)) {
		const int rc = error_errno(err, errno, "cannot make a directory in %s", job->spark.tmp_dir);
		free(shipped->dir);
		shipped->dir = NULL;
		return rc;
	}
	const struct {
		const char *from;
		const char *name;
		mode_t mode;
	} files[SHIP_MAX] = {{job->fold_path, SHIP_PROGRAM, 0755},
			     {job->programme_path, SHIP_PROGRAMME, 0644},
			     {job->other_path, SHIP_OTHER, 0644}};
	int rc = 0;
	for (unsigned i = 0; rc == 0 && i < SHIP_MAX && files[i].from; i++) {
		char *const to = text_printf("%s/%s", shipped->dir, files[i].name);
		if (!to)
			return error_no_memory(err, strlen(shipped->dir));
		shipped->files[shipped->n_files++] = to;
		rc = copy_file(files[i].from, to, files[i].mode, err);
	}
	return rc;
}

void ship_close(struct shipped *shipped)
{
	struct error ignored;
	if (shipped->dir)
		(void)file_remove_tree(shipped->dir, &ignored); /* nothing depends on it */
	free(shipped->dir);
	for (unsigned i = 0; i < shipped->n_files; i++)
		free(shipped->files[i]);
}
