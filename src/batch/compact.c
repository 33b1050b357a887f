#include "batch/compact.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "batch/compact_internal.h"
#include "batch/files_lock.h"
#include "batch/parquet.h"
#include "engine/engine.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIN_FILES    16u
#define MIN_FILES_OF 4u
#define QUIET_S      3600u
/* Some millions of rows: a few seconds of one core, for which a batch command may have to wait. A history of a billion rows is some
 * hundred such files. */
#define TARGET_BYTES ((uint64_t)32 * 1024 * 1024)
#define MEMORY_MIB   256u
#define MICROS       INT64_C(1000000)

struct compactor {
	const struct deployment *deployment;
	struct compact_options options;
	struct files_lock lock;
	bool has_until;
	uint64_t until; /* of the readers that may have listed what is covered now */
	char **failed;  /* directories */
	size_t n_failed;
	pthread_mutex_t mutex;
	struct engine *engine; /* under the mutex, as is this: */
	bool interrupted;
};

int compactor_open(const struct deployment *deployment, const struct compact_options *options, struct compactor **out,
		   struct error *err)
{
	assert(deployment->mode == DEPLOYMENT_COLLECT);
	struct compactor *const compactor = calloc(1, sizeof(*compactor));
	if (!compactor)
		return error_no_memory(err, sizeof(*compactor));
	struct compact_options *const own = &compactor->options;
	*own = options ? *options : (struct compact_options){0};
	own->min_files = own->min_files ? own->min_files : MIN_FILES;
	own->quiet_s = own->quiet_s ? own->quiet_s : QUIET_S;
	own->target_bytes = own->target_bytes ? own->target_bytes : TARGET_BYTES;
	own->memory_mib = own->memory_mib ? own->memory_mib : MEMORY_MIB;
	assert(own->min_files >= MIN_FILES_OF);
	compactor->deployment = deployment;
	compactor->lock = FILES_LOCK_NONE;
	pthread_mutex_init(&compactor->mutex, NULL);
	const int rc = files_lock_open(deployment, &compactor->lock, err);
	if (rc < 0) {
		compactor_close(compactor);
		return rc;
	}
	*out = compactor;
	return 0;
}

void compactor_close(struct compactor *compactor)
{
	if (!compactor)
		return;
	files_lock_release(&compactor->lock);
	for (size_t i = 0; i < compactor->n_failed; i++)
		free(compactor->failed[i]);
	free(compactor->failed);
	pthread_mutex_destroy(&compactor->mutex);
	free(compactor);
}

/* ---- interrupting ---- */

void compactor_interrupt(struct compactor *compactor)
{
	pthread_mutex_lock(&compactor->mutex);
	compactor->interrupted = true;
	if (compactor->engine)
		engine_interrupt(compactor->engine);
	pthread_mutex_unlock(&compactor->mutex);
}

static int set_engine(struct compactor *compactor, struct engine *engine, struct error *err)
{
	pthread_mutex_lock(&compactor->mutex);
	const bool interrupted = compactor->interrupted;
	compactor->engine = engine;
	pthread_mutex_unlock(&compactor->mutex);
	return interrupted ? error_set(err, ERROR_INTERRUPTED, "interrupted") : 0;
}

/* ---- merging ---- */

/* Neighbours of a directory. */
struct run {
	char *dir;
	struct compact_file *files;
	size_t n;
	struct timespec newest; /* when the directory's newest file was written */
};

static void release_run(struct run *run)
{
	free(run->dir);
	free(run->files);
	*run = (struct run){0};
}

static int append_files(const struct run *run, struct buf *sql, struct error *err)
{
	for (size_t i = 0; i < run->n; i++) {
		char name[COMMITTED_NAME_BYTES];
		committed_format_name(&run->files[i].name, name);
		_cleanup_free_ char *path = text_printf("%s/%s", run->dir, name);
		if (!path || buf_append_text(sql, i ? ", " : "[") < 0 || engine_quote(sql, path) < 0)
			return error_no_memory(err, LIMIT_PATH_BYTES);
	}
	return buf_append_text(sql, "]") < 0 || !buf_text(sql) ? error_no_memory(err, sql->len) : 0;
}

static int count_rows(struct engine *engine, const char *files, int64_t *n, struct error *err)
{
	_cleanup_buf_ struct buf sql = {0};
	if (buf_printf(&sql, "SELECT count(*) FROM read_parquet(%s, hive_partitioning = false)", files) < 0 ||
	    !buf_text(&sql))
		return error_no_memory(err, sql.len);
	return engine_run_int64(engine, sql.data, n, err);
}

/* The rows of all files as they stand, one file after the other, with the columns that any of them has. */
static int copy_rows(struct engine *engine, const char *files, const char *staged, int64_t *n, struct error *err)
{
	_cleanup_buf_ struct buf to = {0};
	_cleanup_buf_ struct buf sql = {0};
	int64_t copied = 0;
	if (engine_quote(&to, staged) < 0 || !buf_text(&to) ||
	    buf_printf(&sql,
		       "COPY (SELECT * FROM read_parquet(%s, union_by_name = true, hive_partitioning = false)) TO %s "
		       "(" PARQUET_OPTIONS ")",
		       files, to.data) < 0 ||
	    !buf_text(&sql))
		return error_no_memory(err, sql.len);
	int rc = count_rows(engine, files, n, err);
	if (rc == 0)
		rc = engine_run(engine, sql.data, err);
	if (rc == 0)
		rc = count_rows(engine, to.data, &copied, err);
	if (rc == 0 && copied != *n)
		rc = error_set(err, ERROR_CORRUPT,
			       "the merged file has %" PRId64 " rows, the files have %" PRId64
			       " together: nothing was replaced",
			       copied, *n);
	return rc;
}

static int stage(struct compactor *compactor, const struct run *run, const char *staged, int64_t *n, struct error *err)
{
	const struct engine_options options = {
		.memory_mib = compactor->options.memory_mib,
		.threads = 1, /* one core is enough; and rows keep their order */
		.tmp_dir = compactor->deployment->tmp_dir,
	};
	_cleanup_buf_ struct buf files = {0};
	struct engine *engine = NULL;
	int rc = append_files(run, &files, err);
	if (rc == 0)
		rc = engine_open(&options, &engine, err);
	if (rc == 0)
		rc = set_engine(compactor, engine, err);
	if (rc == 0)
		rc = copy_rows(engine, files.data, staged, n, err);
	set_engine(compactor, NULL, NULL);
	engine_close(engine);
	return rc;
}

/* As old as the newest of the directory: it does not become one that was written to. */
static int set_time(const char *path, const struct timespec *time, uint64_t *bytes, struct error *err)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, *time};
	struct stat info;
	if (utimensat(AT_FDCWD, path, times, 0) < 0 || stat(path, &info) < 0)
		return error_errno(err, errno, "cannot set the time of %s", path);
	*bytes = (uint64_t)info.st_size;
	return 0;
}

static int remove_file(const char *dir, const struct committed_name *name, unsigned *n, struct error *err)
{
	char text[COMMITTED_NAME_BYTES];
	committed_format_name(name, text);
	_cleanup_free_ char *path = text_printf("%s/%s", dir, text);
	if (!path)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	if (unlink(path) < 0 && errno != ENOENT)
		return error_errno(err, errno, "cannot remove %s", path);
	++*n;
	return 0;
}

/* At once, if nobody reads: then hardly anybody else who lists the directory finds rows twice. */
static int remove_merged(struct compactor *compactor, const struct run *run, struct compact_report *report,
			 struct error *err)
{
	bool is_read = true;
	int rc = files_lock_is_read(&compactor->lock, compactor->until, &is_read, err);
	if (rc == 0 && is_read)
		report->covered += (unsigned)run->n;
	for (size_t i = 0; rc == 0 && !is_read && i < run->n; i++)
		rc = remove_file(run->dir, &run->files[i].name, &report->removed, err);
	return rc;
}

static int merge_staged(struct compactor *compactor, const struct run *run, const char *staged,
			struct compact_report *report, struct error *err)
{
	const struct committed_name name = {run->files[0].name.first, run->files[run->n - 1].name.last};
	char text[COMMITTED_NAME_BYTES];
	committed_format_name(&name, text);
	_cleanup_free_ char *path = text_printf("%s/%s", run->dir, text);
	if (!path)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	int64_t rows = 0;
	uint64_t bytes = 0;
	int rc = stage(compactor, run, staged, &rows, err);
	if (rc == 0)
		rc = set_time(staged, &run->newest, &bytes, err);
	if (rc == 0)
		rc = file_sync_path(staged, err);
	if (rc < 0)
		return rc;
	/* From the rename on, also when what comes behind it fails. */
	compactor->has_until = false;
	rc = file_rename(staged, path, err);
	if (rc == 0)
		rc = files_lock_advance(&compactor->lock, &compactor->until, err);
	if (rc < 0)
		return rc;
	compactor->has_until = true;
	report->files = (unsigned)run->n;
	report->rows = (uint64_t)rows;
	report->bytes_to = bytes;
	for (size_t i = 0; i < run->n; i++)
		report->bytes += run->files[i].bytes;
	return remove_merged(compactor, run, report, err);
}

static bool has_failed(const struct compactor *compactor, const char *dir)
{
	size_t i = 0;
	while (i < compactor->n_failed && strcmp(compactor->failed[i], dir) != 0)
		i++;
	return i < compactor->n_failed;
}

/* Out of memory, it is forgotten. */
static void note_failed(struct compactor *compactor, const char *dir)
{
	char **const failed = reallocarray(compactor->failed, compactor->n_failed + 1, sizeof(*failed));
	char *const copy = failed ? strdup(dir) : NULL;
	compactor->failed = failed ? failed : compactor->failed;
	if (copy)
		compactor->failed[compactor->n_failed++] = copy;
}

static int merge(struct compactor *compactor, const struct run *run, struct compact_report *report, struct error *err)
{
	_cleanup_free_ char *staged = text_printf("%s/compact.parquet", compactor->deployment->tmp_dir);
	if (!staged)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	const int rc = merge_staged(compactor, run, staged, report, err);
	if (rc == 0)
		return 0;
	unlink(staged);
	if (rc != ERROR_INTERRUPTED && !has_failed(compactor, run->dir))
		note_failed(compactor, run->dir);
	return error_prefix(err, "merging files of %s", run->dir);
}

/* ---- looking ---- */

struct look {
	struct compactor *compactor;
	uint64_t offset;
	const struct compact_barriers *barriers;
	bool remove; /* what is covered, nobody reads any more */
	struct run run;
	bool is_last; /* run was chosen of a directory that failed: another one is better */
	struct compact_report *report;
};

static int remove_covered(const char *dir, const struct committed_listing *listing, unsigned *n, struct error *err)
{
	/* The file that covers them may have its name from a compaction that was killed before it flushed the directory. */
	int rc = file_sync_dir(dir, err);
	for (size_t i = 0; rc == 0 && i < listing->n; i++)
		if (listing->files[i].covered)
			rc = remove_file(dir, &listing->files[i].name, n, err);
	return rc;
}

static bool is_later(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_nsec > b->tv_nsec;
}

/* What counts, with sizes. None when the names are not such as the writer and the compaction make. */
static int measure(const struct committed_listing *listing, struct run *all, struct error *err)
{
	all->files = calloc(listing->n + 1, sizeof(*all->files));
	if (!all->files)
		return error_no_memory(err, listing->n * sizeof(*all->files));
	for (size_t i = 0; i < listing->n; i++) {
		const struct committed_name *const name = &listing->files[i].name;
		if (listing->files[i].covered)
			continue;
		const bool overlaps = all->n && name->first <= all->files[all->n - 1].name.last;
		if (listing->odd || overlaps || name->last < name->first) {
			all->n = 0;
			return 0;
		}
		char text[COMMITTED_NAME_BYTES];
		struct stat info;
		committed_format_name(name, text);
		_cleanup_free_ char *path = text_printf("%s/%s", all->dir, text);
		if (!path)
			return error_no_memory(err, LIMIT_PATH_BYTES);
		if (stat(path, &info) < 0)
			return error_errno(err, errno, "cannot look at %s", path);
		all->files[all->n++] = (struct compact_file){.name = *name, .bytes = (uint64_t)info.st_size};
		if (is_later(&info.st_mtim, &all->newest))
			all->newest = info.st_mtim;
	}
	return 0;
}

static int look_for_run(struct look *look, const char *dir, const struct committed_listing *listing, struct error *err)
{
	const struct compact_options *const options = &look->compactor->options;
	__attribute__((cleanup(release_run))) struct run all = {.dir = strdup(dir)};
	if (!all.dir)
		return error_no_memory(err, strlen(dir));
	const int rc = measure(listing, &all, err);
	if (rc < 0)
		return rc;
	const int64_t age_us = clock_now_us() - (int64_t)all.newest.tv_sec * MICROS;
	const struct compact_rule rule =
		compact_rule_of(options->min_files, options->target_bytes, age_us > (int64_t)options->quiet_s * MICROS);
	size_t at;
	size_t n;
	if (!compact_choose(all.files, all.n, look->barriers->offsets, look->barriers->n, &rule, &at, &n))
		return 0;
	release_run(&look->run);
	memmove(all.files, all.files + at, n * sizeof(*all.files));
	look->run = all;
	look->run.n = n;
	look->is_last = has_failed(look->compactor, dir);
	all = (struct run){0};
	return 0;
}

static int look_at_dir(struct look *look, const char *dir, struct error *err)
{
	struct committed_listing listing = {0};
	unsigned covered = 0;
	int rc = committed_list(dir, look->offset, &listing, err);
	for (size_t i = 0; rc == 0 && i < listing.n; i++)
		covered += listing.files[i].covered;
	if (rc == 0 && covered && look->remove && !listing.odd)
		rc = remove_covered(dir, &listing, &look->report->removed, err);
	else
		look->report->covered += covered;
	if (rc == 0 && listing.n - covered > 1 && (!look->run.dir || look->is_last))
		rc = look_for_run(look, dir, &listing, err);
	committed_listing_release(&listing);
	return rc;
}

/* The newest days first: they are read most. */
static int look_at_partitions(struct look *look, struct error *err)
{
	_cleanup_free_ char *table = text_printf("%s/transactions_cln", look->compactor->deployment->warehouse_dir);
	if (!table)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	struct dirent **entries = NULL;
	const int n = scandir(table, &entries, NULL, alphasort);
	if (n < 0)
		return errno == ENOENT ? 0 : error_errno(err, errno, "cannot list %s", table);
	int rc = 0;
	for (int i = n; i-- > 0;) {
		if (rc == 0 && strncmp(entries[i]->d_name, "data_dt=", 8) == 0) {
			_cleanup_free_ char *dir = text_printf("%s/%s", table, entries[i]->d_name);
			rc = dir ? look_at_dir(look, dir, err) : error_no_memory(err, LIMIT_PATH_BYTES);
		}
		free(entries[i]);
	}
	free(entries);
	return rc;
}

/* ---- a step ---- */

static int find_readers(struct compactor *compactor, bool *found, struct error *err)
{
	if (!compactor->has_until) {
		/* Somebody may have merged before, and who reads now may have listed before that. */
		const int rc = files_lock_advance(&compactor->lock, &compactor->until, err);
		if (rc < 0)
			return rc;
		compactor->has_until = true;
	}
	return files_lock_is_read(&compactor->lock, compactor->until, found, err);
}

static int step(struct compactor *compactor, uint64_t offset, struct compact_report *report, struct error *err)
{
	struct compact_barriers barriers = {0};
	struct look look = {.compactor = compactor, .offset = offset, .barriers = &barriers, .report = report};
	bool is_read = true;
	int rc = find_readers(compactor, &is_read, err);
	if (rc == 0)
		rc = compact_barriers_read(compactor->deployment, &barriers, err);
	look.remove = !is_read;
	if (rc == 0)
		rc = look_at_partitions(&look, err);
	if (rc == 0)
		rc = look_at_dir(&look, compactor->deployment->quarantine_dir, err);
	if (rc == 0 && look.run.n)
		rc = merge(compactor, &look.run, report, err);
	release_run(&look.run);
	compact_barriers_release(&barriers);
	return rc;
}

int compactor_step(struct compactor *compactor, uint64_t offset, struct compact_report *report, struct error *err)
{
	struct compact_report own = {0};
	bool held = false;
	int rc = set_engine(compactor, NULL, err);
	if (rc == 0)
		rc = files_lock_try_merge(&compactor->lock, &held, err);
	if (rc < 0)
		return rc;
	own.blocked = !held;
	if (held) {
		rc = step(compactor, offset, &own, err);
		files_lock_end_merge(&compactor->lock);
	}
	if (rc == 0)
		*report = own;
	return rc;
}
