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
	FILE_COVERED, /* committed, and a committed file of the directory has its blocks as well */
	FILE_UNCOMMITTED,
	FILE_ACROSS,  /* the offset: a file of several batches, which all were committed once */
	FILE_FOREIGN, /* of another journal */
	FILE_CUSTOMERS,
};

bool committed_parse_name(const char *name, struct committed_name *out)
{
	const size_t len = strlen(name);
	unsigned long long first;
	unsigned long long last;
	if (len <= 8 || strcmp(name + len - 8, ".parquet") != 0 ||
	    sscanf(name, "orders-%12llu-%12llu.parquet", &first, &last) != 2)
		return false;
	*out = (struct committed_name){.first = first, .last = last};
	return true;
}

static bool is_of_customers(const char *name)
{
	const size_t len = strlen(name);
	return strncmp(name, "customers-", 10) == 0 && len > 18 && strcmp(name + len - 8, ".parquet") == 0;
}

/* ---- directories ---- */

/* The names of a directory, in order; a missing directory has none. */
struct names {
	struct dirent **entries;
	int n;
};

static int read_names(const char *dir, struct names *names, struct error *err)
{
	const int n = scandir(dir, &names->entries, NULL, alphasort);
	if (n < 0 && errno != ENOENT)
		return error_errno(err, errno, "cannot list %s", dir);
	names->n = n < 0 ? 0 : n;
	return 0;
}

static void release_names(struct names *names)
{
	for (int i = 0; i < names->n; i++)
		free(names->entries[i]);
	free(names->entries);
}

/* By the first block; of those that begin together, the longest first. */
static int compare_files(const void *a, const void *b)
{
	const struct committed_file *const x = a;
	const struct committed_file *const y = b;
	if (x->name.first != y->name.first)
		return x->name.first < y->name.first ? -1 : 1;
	return x->name.last > y->name.last ? -1 : x->name.last < y->name.last;
}

void committed_mark_covered(struct committed_file *files, size_t n)
{
	if (n)
		qsort(files, n, sizeof(*files), compare_files);
	for (size_t i = 0, longest = 0; i < n; i++) {
		const struct committed_name *const by = &files[longest].name;
		const struct committed_name *const name = &files[i].name;
		/* The very same range is that of a copy, whose rows are too many. */
		files[i].covered = i && name->last <= by->last && (name->first != by->first || name->last != by->last);
		if (!files[i].covered)
			longest = i;
	}
}

static int list_committed(const struct names *names, uint64_t offset, struct committed_listing *out, struct error *err)
{
	struct committed_listing listing = {.files = calloc((size_t)names->n + 1, sizeof(*listing.files))};
	if (!listing.files)
		return error_no_memory(err, (size_t)names->n * sizeof(*listing.files));
	for (int i = 0; i < names->n; i++) {
		const char *const name = names->entries[i]->d_name;
		struct committed_name range;
		char own[COMMITTED_NAME_BYTES];
		if (!committed_parse_name(name, &range) || range.last >= offset)
			continue;
		committed_format_name(&range, own);
		listing.odd = listing.odd || strcmp(own, name) != 0;
		listing.files[listing.n++] = (struct committed_file){.name = range};
	}
	committed_mark_covered(listing.files, listing.n);
	*out = listing;
	return 0;
}

int committed_list(const char *dir, uint64_t offset, struct committed_listing *out, struct error *err)
{
	__attribute__((cleanup(release_names))) struct names names = {0};
	const int rc = read_names(dir, &names, err);
	return rc < 0 ? rc : list_committed(&names, offset, out, err);
}

void committed_listing_release(struct committed_listing *listing)
{
	free(listing->files);
	*listing = (struct committed_listing){0};
}

void committed_format_name(const struct committed_name *name, char out[COMMITTED_NAME_BYTES])
{
	(void)snprintf(out, COMMITTED_NAME_BYTES, "orders-%012llu-%012llu.parquet", (unsigned long long)name->first,
		       (unsigned long long)name->last);
}

/* ---- what is done with them ---- */

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
	struct committed_listing listing; /* of the directory that is looked at */
};

static int foreign_error(const char *path, const struct walk *walk, struct error *err)
{
	return error_set(
		err, ERROR_CORRUPT,
		"%s was made with another journal than the one in data/journal, which is at block %llu: put the "
		"journal back as it was; without it, start over: move data/ away, give the order files their old "
		"names again, and load and collect everything",
		path, (unsigned long long)walk->next);
}

static bool is_covered(const struct committed_listing *listing, const struct committed_name *name)
{
	const struct committed_file key = {.name = *name};
	const struct committed_file *const found =
		listing->n ? bsearch(&key, listing->files, listing->n, sizeof(key), compare_files) : NULL;
	return found && found->covered;
}

static enum file_kind kind_of(const struct walk *walk, const char *name)
{
	struct committed_name range;
	if (is_of_customers(name))
		return FILE_CUSTOMERS;
	if (!committed_parse_name(name, &range))
		return FILE_OTHER;
	if (range.last >= walk->next)
		return FILE_FOREIGN;
	if (range.last >= walk->offset)
		return range.first < walk->offset ? FILE_ACROSS : FILE_UNCOMMITTED;
	if (is_covered(&walk->listing, &range))
		return FILE_COVERED;
	return range.first >= walk->first_block ? FILE_COMMITTED : FILE_OTHER;
}

static int take_name(struct walk *walk, const char *dir, const char *name, struct error *err)
{
	const enum file_kind kind = kind_of(walk, name);
	_cleanup_free_ char *path = text_printf("%s/%s", dir, name);
	if (!path)
		return error_no_memory(err, strlen(dir) + strlen(name));
	switch (walk->task) {
	case TASK_CHECK:
		/* Without an offset nothing lies across it. */
		return kind == FILE_FOREIGN || kind == FILE_ACROSS ? foreign_error(path, walk, err) : 0;
	case TASK_CLEAN:
		if (kind == FILE_UNCOMMITTED && unlink(path) < 0)
			return error_errno(err, errno, "cannot remove %s, which a writer that was killed left", path);
		return 0;
	case TASK_LIST:
		break;
	}
	if (kind != FILE_COMMITTED && kind != FILE_CUSTOMERS)
		return 0;
	if ((walk->n && buf_append_text(walk->sql, ", ") < 0) || engine_quote(walk->sql, path) < 0)
		return error_no_memory(err, strlen(path));
	walk->n++;
	return 0;
}

/* The names are read once: what is covered by a file that came in later is not covered, and counts. */
static int take_dir(struct walk *walk, const char *dir, struct error *err)
{
	__attribute__((cleanup(release_names))) struct names names = {0};
	int rc = read_names(dir, &names, err);
	if (rc == 0)
		rc = list_committed(&names, walk->offset, &walk->listing, err);
	for (int i = 0; rc == 0 && i < names.n; i++)
		rc = take_name(walk, dir, names.entries[i]->d_name, err);
	committed_listing_release(&walk->listing);
	return rc;
}

static int take_partition(struct walk *walk, const char *dir, const char *name, struct error *err)
{
	if (strncmp(name, "data_dt=", 8) != 0)
		return 0;
	/* A name that is no date is no reason to leave rows out. */
	int32_t day;
	if (civil_parse(name + 8, strlen(name + 8), &day) == 0 && (day < walk->first_day || day > walk->last_day))
		return 0;
	_cleanup_free_ char *path = text_printf("%s/%s", dir, name);
	if (!path)
		return error_no_memory(err, strlen(dir) + strlen(name));
	return take_dir(walk, path, err);
}

static int walk_transactions(const struct deployment *deployment, struct walk *walk, struct error *err)
{
	_cleanup_free_ char *dir = text_printf("%s/transactions_cln", deployment->warehouse_dir);
	__attribute__((cleanup(release_names))) struct names names = {0};
	int rc = dir ? read_names(dir, &names, err) : error_no_memory(err, LIMIT_PATH_BYTES);
	for (int i = 0; rc == 0 && i < names.n; i++)
		rc = take_partition(walk, dir, names.entries[i]->d_name, err);
	return rc;
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
	const int rc = take_dir(&walk, deployment->quarantine_dir, err);
	if (rc < 0)
		return rc;
	*n = walk.n;
	return buf_append_text(sql, "]") < 0 ? error_no_memory(err, 1) : 0;
}

static int walk_all(const struct deployment *deployment, struct walk *walk, struct error *err)
{
	const int rc = walk_transactions(deployment, walk, err);
	return rc < 0 ? rc : take_dir(walk, deployment->quarantine_dir, err);
}

int committed_check(const struct deployment *deployment, uint64_t next, struct error *err)
{
	struct walk walk = {.task = TASK_CHECK, .first_day = DAY_MIN, .last_day = DAY_MAX, .next = next};
	return walk_all(deployment, &walk, err);
}

int committed_clean(const struct deployment *deployment, uint64_t offset, uint64_t next, struct error *err)
{
	struct walk walk = {
		.task = TASK_CHECK, .first_day = DAY_MIN, .last_day = DAY_MAX, .offset = offset, .next = next};
	const int rc = walk_all(deployment, &walk, err);
	walk.task = TASK_CLEAN;
	return rc < 0 ? rc : walk_all(deployment, &walk, err);
}
