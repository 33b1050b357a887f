#include "batch/committed.h"

#include "base/file.h"
#include "base/limits.h"
#include "engine/engine.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum file_kind {
	FILE_OTHER,
	FILE_COMMITTED,
	FILE_UNCOMMITTED,
	FILE_FOREIGN, /* of another journal */
	FILE_CUSTOMERS,
};

/* `first_block`: what has blocks before it is FILE_OTHER. */
static enum file_kind kind_of(const char *name, uint64_t first_block, uint64_t offset, uint64_t next)
{
	const size_t len = strlen(name);
	if (len <= 8 || strcmp(name + len - 8, ".parquet") != 0)
		return FILE_OTHER;
	if (strncmp(name, "customers-", 10) == 0)
		return FILE_CUSTOMERS;
	unsigned long long first;
	unsigned long long last;
	if (sscanf(name, "orders-%12llu-%12llu.parquet", &first, &last) != 2)
		return FILE_OTHER;
	if (last >= next)
		return FILE_FOREIGN;
	if (last < offset)
		return first >= first_block ? FILE_COMMITTED : FILE_OTHER;
	return FILE_UNCOMMITTED;
}

/* Calls `each` for all names of a directory in order; a missing directory has none. */
static int each_name(const char *dir, int (*each)(void *context, const char *dir, const char *name, struct error *err),
		     void *context, struct error *err)
{
	struct dirent **entries = NULL;
	const int n = scandir(dir, &entries, NULL, alphasort);
	if (n < 0)
		return errno == ENOENT ? 0 : error_errno(err, errno, "cannot list %s", dir);
	int rc = 0;
	for (int i = 0; i < n; i++) {
		if (rc == 0 && strcmp(entries[i]->d_name, ".") != 0 && strcmp(entries[i]->d_name, "..") != 0)
			rc = each(context, dir, entries[i]->d_name, err);
		free(entries[i]);
	}
	free(entries);
	return rc;
}

enum walk_task { TASK_LIST, TASK_CHECK, TASK_CLEAN };

struct walk {
	enum walk_task task;
	uint64_t first_block;
	int32_t first_day;
	int32_t last_day;
	uint64_t offset;
	uint64_t next;
	struct buf *sql;
	unsigned n;
};

static int foreign_error(const char *path, uint64_t next, struct error *err)
{
	return error_set(
		err, ERROR_CORRUPT,
		"%s was made with another journal than the one in data/journal, which is at block %llu: put the "
		"journal back as it was; without it, start over: move data/ away, give the order files their old "
		"names again, and load and collect everything",
		path, (unsigned long long)next);
}

static int take_name(void *context, const char *dir, const char *name, struct error *err)
{
	struct walk *const walk = context;
	const enum file_kind kind = kind_of(name, walk->first_block, walk->offset, walk->next);
	_cleanup_free_ char *path = text_printf("%s/%s", dir, name);
	if (!path)
		return error_no_memory(err, strlen(dir) + strlen(name));
	if (walk->task == TASK_CHECK)
		return kind == FILE_FOREIGN ? foreign_error(path, walk->next, err) : 0;
	if (walk->task == TASK_CLEAN) {
		if (kind == FILE_UNCOMMITTED && unlink(path) < 0)
			return error_errno(err, errno, "cannot remove %s, which a writer that was killed left", path);
		return 0;
	}
	if (kind != FILE_COMMITTED && kind != FILE_CUSTOMERS)
		return 0;
	if ((walk->n && buf_append_text(walk->sql, ", ") < 0) || engine_quote(walk->sql, path) < 0)
		return error_no_memory(err, strlen(path));
	walk->n++;
	return 0;
}

static int take_partition(void *context, const char *dir, const char *name, struct error *err)
{
	if (strncmp(name, "data_dt=", 8) != 0)
		return 0;
	/* A name that is no date is no reason to leave rows out. */
	const struct walk *const walk = context;
	int32_t day;
	if (civil_parse(name + 8, strlen(name + 8), &day) == 0 && (day < walk->first_day || day > walk->last_day))
		return 0;
	_cleanup_free_ char *path = text_printf("%s/%s", dir, name);
	if (!path)
		return error_no_memory(err, strlen(dir) + strlen(name));
	return each_name(path, take_name, context, err);
}

static int walk_transactions(const struct deployment *deployment, struct walk *walk, struct error *err)
{
	_cleanup_free_ char *dir = text_printf("%s/transactions_cln", deployment->warehouse_dir);
	return dir ? each_name(dir, take_partition, walk, err) : error_no_memory(err, LIMIT_PATH_BYTES);
}

int committed_transactions(const struct deployment *deployment, uint64_t offset, struct buf *sql, unsigned *n,
			   struct error *err)
{
	const struct committed_range range = {.offset = offset, .first_day = DAY_MIN, .last_day = DAY_MAX};
	return committed_files(deployment, &range, sql, n, err);
}

int committed_files(const struct deployment *deployment, const struct committed_range *range, struct buf *sql,
		    unsigned *n, struct error *err)
{
	struct walk walk = {
		.task = TASK_LIST,
		.first_block = range->first_block,
		.first_day = range->first_day,
		.last_day = range->last_day,
		.offset = range->offset,
		.next = UINT64_MAX,
		.sql = sql,
	};
	if (buf_append_text(sql, "[") < 0)
		return error_no_memory(err, 1);
	const int rc = walk_transactions(deployment, &walk, err);
	if (rc < 0)
		return rc;
	*n = walk.n;
	return buf_append_text(sql, "]") < 0 ? error_no_memory(err, 1) : 0;
}

int committed_quarantine(const struct deployment *deployment, uint64_t offset, struct buf *sql, unsigned *n,
			 struct error *err)
{
	struct walk walk = {.task = TASK_LIST, .offset = offset, .next = UINT64_MAX, .sql = sql};
	if (buf_append_text(sql, "[") < 0)
		return error_no_memory(err, 1);
	const int rc = each_name(deployment->quarantine_dir, take_name, &walk, err);
	if (rc < 0)
		return rc;
	*n = walk.n;
	return buf_append_text(sql, "]") < 0 ? error_no_memory(err, 1) : 0;
}

static int walk_all(const struct deployment *deployment, struct walk *walk, struct error *err)
{
	const int rc = walk_transactions(deployment, walk, err);
	return rc < 0 ? rc : each_name(deployment->quarantine_dir, take_name, walk, err);
}

int committed_check(const struct deployment *deployment, uint64_t next, struct error *err)
{
	struct walk walk = {.task = TASK_CHECK, .first_day = DAY_MIN, .last_day = DAY_MAX, .next = next};
	return walk_all(deployment, &walk, err);
}

int committed_clean(const struct deployment *deployment, uint64_t offset, uint64_t next, struct error *err)
{
	struct walk walk = {
		.task = TASK_CLEAN, .first_day = DAY_MIN, .last_day = DAY_MAX, .offset = offset, .next = next};
	const int rc = committed_check(deployment, next, err);
	return rc < 0 ? rc : walk_all(deployment, &walk, err);
}
