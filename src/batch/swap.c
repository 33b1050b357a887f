/*
 * data/swap/tables/<table>/ and data/swap/partitions/<table>/data_dt=<day>/ are the directories to be exchanged. Each holds
 * an empty file `.new` until it serves: so one that is found here with it is still to be exchanged, and one without it is
 * what served before.
 */
#include "batch/swap.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/tz.h"
#include "engine/engine.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MARK ".new"

struct swap {
	const struct deployment *deployment;
	char *staging;
};

static int committed_dir(const struct deployment *deployment, char **out, struct error *err)
{
	*out = text_printf("%s/swap", deployment->data_dir);
	return *out ? 0 : error_no_memory(err, LIMIT_PATH_BYTES);
}

/* ---- exchanging ---- */

/* Calls `each` for the names in a directory, without hidden ones; a missing directory has none. */
static int each_name(const char *dir, int (*each)(void *context, const char *dir, const char *name, struct error *err),
		     void *context, struct error *err)
{
	DIR *const open_dir = opendir(dir);
	if (!open_dir)
		return errno == ENOENT ? 0 : error_errno(err, errno, "cannot list %s", dir);
	int rc = 0;
	const struct dirent *entry;
	while (rc == 0 && (errno = 0, entry = readdir(open_dir)))
		if (entry->d_name[0] != '.')
			rc = each(context, dir, entry->d_name, err);
	if (rc == 0 && errno)
		rc = error_errno(err, errno, "cannot list %s", dir);
	closedir(open_dir);
	return rc;
}

/* What serves now loses its mark, and goes when it is empty. */
static int settle(const char *live, struct error *err)
{
	_cleanup_free_ char *mark = text_printf("%s/" MARK, live);
	if (!mark)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	if (unlink(mark) < 0 && errno != ENOENT)
		return error_errno(err, errno, "cannot remove %s", mark);
	if (rmdir(live) < 0 && errno != ENOENT && errno != ENOTEMPTY && errno != EEXIST)
		return error_errno(err, errno, "cannot remove %s", live);
	return 0;
}

/* What cannot be looked at may well be there. */
static int look_for(const char *path, bool *is_there, struct error *err)
{
	struct stat info;
	*is_there = lstat(path, &info) == 0;
	return *is_there || errno == ENOENT || errno == ENOTDIR ? 0
								: error_errno(err, errno, "cannot look at %s", path);
}

static int exchange(const char *staged, const char *live, struct error *err)
{
	_cleanup_free_ char *mark = text_printf("%s/" MARK, staged);
	if (!mark)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	bool is_new = false;
	bool has_old = false;
	int rc = look_for(mark, &is_new, err);
	if (rc == 0)
		rc = look_for(live, &has_old, err);
	if (rc == 0 && is_new)
		rc = has_old ? file_exchange(staged, live, err) : file_rename(staged, live, err);
	if (rc == 0)
		rc = file_remove_tree(staged, err);
	return rc < 0 ? rc : settle(live, err);
}

struct exchanging {
	const char *warehouse_dir;
	const char *table; /* of partitions */
};

static int exchange_name(void *context, const char *dir, const char *name, struct error *err)
{
	const struct exchanging *const to = context;
	_cleanup_free_ char *staged = text_printf("%s/%s", dir, name);
	_cleanup_free_ char *live = to->table ? text_printf("%s/%s/%s", to->warehouse_dir, to->table, name)
					      : text_printf("%s/%s", to->warehouse_dir, name);
	return staged && live ? exchange(staged, live, err) : error_no_memory(err, LIMIT_PATH_BYTES);
}

static int exchange_partitions(void *context, const char *dir, const char *name, struct error *err)
{
	struct exchanging to = *(const struct exchanging *)context;
	to.table = name;
	_cleanup_free_ char *staged = text_printf("%s/%s", dir, name);
	_cleanup_free_ char *live = text_printf("%s/%s", to.warehouse_dir, name);
	if (!staged || !live)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	const int rc = file_make_dirs(live, err);
	return rc < 0 ? rc : each_name(staged, exchange_name, &to, err);
}

/* A directory that was renamed into its place before the process died is no longer in data/swap, and may have its mark. */
static int settle_name(void *context, const char *dir, const char *name, struct error *err)
{
	(void)context;
	_cleanup_free_ char *live = text_printf("%s/%s", dir, name);
	_cleanup_free_ char *mark = text_printf("%s/%s/" MARK, dir, name);
	if (!live || !mark)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	bool has_mark = false;
	const int rc = look_for(mark, &has_mark, err);
	return rc == 0 && has_mark ? settle(live, err) : rc;
}

static int settle_partitions(void *context, const char *dir, const char *name, struct error *err)
{
	int rc = settle_name(context, dir, name, err);
	_cleanup_free_ char *table = text_printf("%s/%s", dir, name);
	if (!table)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	if (rc == 0 && strcmp(name, "customers") != 0)
		rc = each_name(table, settle_name, NULL, err);
	return rc;
}

static int apply(const struct deployment *deployment, const char *dir, struct error *err)
{
	const struct exchanging to = {.warehouse_dir = deployment->warehouse_dir};
	_cleanup_free_ char *tables = text_printf("%s/tables", dir);
	_cleanup_free_ char *partitions = text_printf("%s/partitions", dir);
	if (!tables || !partitions)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	int rc = each_name(tables, exchange_name, (void *)(uintptr_t)&to, err);
	if (rc == 0)
		rc = each_name(partitions, exchange_partitions, (void *)(uintptr_t)&to, err);
	return rc;
}

static int finish(const struct deployment *deployment, const char *dir, struct error *err)
{
	int rc = apply(deployment, dir, err);
	if (rc == 0)
		rc = each_name(deployment->warehouse_dir, settle_partitions, NULL, err);
	if (rc == 0)
		rc = file_remove_tree(dir, err);
	return rc < 0 ? error_prefix(err, "finishing what was interrupted") : 0;
}

static int look_for_committed(const struct deployment *deployment, char **dir, bool *is_there, struct error *err)
{
	const int rc = committed_dir(deployment, dir, err);
	return rc < 0 || !*dir ? rc : look_for(*dir, is_there, err);
}

/* A collector may, while there is no batch writer; one that is there has its swap in hand, or finishes it first. */
static int finish_beside(const struct deployment *deployment, struct error *err)
{
	struct deployment *batch = NULL;
	struct error refusal = {0};
	int rc = deployment_open_beside(deployment, DEPLOYMENT_WRITE, &batch, &refusal);
	if (rc == ERROR_LOCKED)
		return 0;
	if (rc < 0)
		return error_set(err, rc, "%s", refusal.message);
	rc = swap_finish(batch, err);
	deployment_close(batch);
	return rc;
}

int swap_finish(const struct deployment *deployment, struct error *err)
{
	_cleanup_free_ char *dir = NULL;
	bool is_there = false;
	const int rc = look_for_committed(deployment, &dir, &is_there, err);
	if (rc < 0 || !is_there)
		return rc;
	return deployment->mode == DEPLOYMENT_WRITE ? finish(deployment, dir, err) : finish_beside(deployment, err);
}

/* ---- staging ---- */

int swap_begin(const struct deployment *deployment, struct swap **out, struct error *err)
{
	assert(deployment->mode == DEPLOYMENT_WRITE);
	int rc = swap_finish(deployment, err);
	if (rc < 0)
		return rc;
	struct swap *const swap = calloc(1, sizeof(*swap));
	if (!swap)
		return error_no_memory(err, sizeof(*swap));
	swap->deployment = deployment;
	swap->staging = text_printf("%s/swap", deployment->tmp_dir);
	if (!swap->staging)
		rc = error_no_memory(err, LIMIT_PATH_BYTES);
	if (rc == 0)
		rc = file_remove_tree(swap->staging, err);
	if (rc == 0)
		rc = file_make_dirs(swap->staging, err);
	if (rc < 0) {
		swap_end(swap);
		return rc;
	}
	*out = swap;
	return 0;
}

static int stage(char *dir, char **out, struct error *err)
{
	_cleanup_free_ char *mark = dir ? text_printf("%s/" MARK, dir) : NULL;
	if (!mark) {
		free(dir);
		return error_no_memory(err, LIMIT_PATH_BYTES);
	}
	int rc = file_make_dirs(dir, err);
	if (rc == 0) {
		const int fd = open(mark, O_CREAT | O_WRONLY | O_CLOEXEC, 0666);
		if (fd < 0)
			rc = error_errno(err, errno, "cannot make %s", mark);
		else
			close(fd);
	}
	if (rc < 0)
		free(dir);
	else
		*out = dir;
	return rc;
}

int swap_table(struct swap *swap, const char *table, char **dir, struct error *err)
{
	return stage(text_printf("%s/tables/%s", swap->staging, table), dir, err);
}

int swap_partition(struct swap *swap, const char *table, int32_t day, char **dir, struct error *err)
{
	char date[11];
	civil_format(day, date);
	return stage(text_printf("%s/partitions/%s/data_dt=%s", swap->staging, table, date), dir, err);
}

struct comparing {
	const char *live; /* NULL: names are only counted */
	unsigned n;
	bool differs; /* one of the names is not in live, or there it has other bytes */
};

static int compare_name(void *context, const char *dir, const char *name, struct error *err)
{
	struct comparing *const comparing = context;
	comparing->n++;
	if (!comparing->live)
		return 0;
	_cleanup_free_ char *path = text_printf("%s/%s", comparing->live, name);
	if (!path)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	bool same = false;
	const int rc = look_for(path, &same, err);
	_cleanup_free_ char *staged = text_printf("%s/%s", dir, name);
	if (!staged)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	/* Names are made of contents; but a file may have been damaged since, or cannot be read any more: then it is to be replaced. */
	if (rc == 0 && same && file_same(staged, path, &same, NULL) < 0)
		same = false;
	comparing->differs = comparing->differs || !same;
	return rc;
}

/* Whether two directories have the same files, hidden ones left out. */
static int compare_dirs(const char *staged, const char *live, bool *same, struct error *err)
{
	struct comparing of_staged = {.live = live};
	struct comparing of_live = {.live = NULL};
	int rc = each_name(staged, compare_name, &of_staged, err);
	if (rc == 0)
		rc = each_name(live, compare_name, &of_live, err);
	if (rc == 0)
		*same = !of_staged.differs && of_staged.n == of_live.n;
	return rc;
}

int swap_is_same(const struct swap *swap, const char *table, int32_t day, bool *same, struct error *err)
{
	char date[11];
	civil_format(day, date);
	_cleanup_free_ char *staged = text_printf("%s/partitions/%s/data_dt=%s", swap->staging, table, date);
	_cleanup_free_ char *live = text_printf("%s/%s/data_dt=%s", swap->deployment->warehouse_dir, table, date);
	return staged && live ? compare_dirs(staged, live, same, err) : error_no_memory(err, LIMIT_PATH_BYTES);
}

/* What is the same is not exchanged: readers keep their files. */
static int drop_same_name(void *context, const char *dir, const char *name, struct error *err)
{
	const char *const live_table = context;
	_cleanup_free_ char *staged = text_printf("%s/%s", dir, name);
	_cleanup_free_ char *live = text_printf("%s/%s", live_table, name);
	if (!staged || !live)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	bool same = false;
	const int rc = compare_dirs(staged, live, &same, err);
	return rc == 0 && same ? file_remove_tree(staged, err) : rc;
}

static int drop_same(void *context, const char *dir, const char *name, struct error *err)
{
	const struct swap *const swap = context;
	_cleanup_free_ char *staged = text_printf("%s/%s", dir, name);
	_cleanup_free_ char *live = text_printf("%s/%s", swap->deployment->warehouse_dir, name);
	return staged && live ? each_name(staged, drop_same_name, live, err) : error_no_memory(err, LIMIT_PATH_BYTES);
}

/* Everything below the staging directory: thousands of files, so not one by one. */
static int make_durable(const struct swap *swap, struct error *err)
{
	_cleanup_close_ int fd = open(swap->staging, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || syncfs(fd) < 0)
		return error_errno(err, errno, "cannot flush %s to the disk", swap->staging);
	return 0;
}

int swap_commit(struct swap *swap, enum swap_same same, struct error *err)
{
	_cleanup_free_ char *dir = NULL;
	int rc = engine_check_interrupted(err);
	if (rc == 0)
		rc = committed_dir(swap->deployment, &dir, err);
	_cleanup_free_ char *partitions = text_printf("%s/partitions", swap->staging);
	if (rc == 0 && same == SWAP_KEEP_SAME)
		rc = partitions ? each_name(partitions, drop_same, swap, err) : error_no_memory(err, LIMIT_PATH_BYTES);
	/* The last moment: from here on it is done to its end. */
	if (rc == 0)
		rc = engine_check_interrupted(err);
	if (rc == 0)
		rc = make_durable(swap, err);
	if (rc == 0)
		rc = file_rename(swap->staging, dir, err);
	if (rc == 0)
		rc = apply(swap->deployment, dir, err);
	return rc < 0 ? rc : file_remove_tree(dir, err);
}

void swap_end(struct swap *swap)
{
	if (!swap)
		return;
	if (swap->staging)
		file_remove_tree(swap->staging, NULL);
	free(swap->staging);
	free(swap);
}
