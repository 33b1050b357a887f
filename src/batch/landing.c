#include "batch/landing.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/input.h"
#include "base/limits.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FORMAT_PREFIX "format="
#define SEQ_DIGITS    6

static void release_file(struct landed_file *file)
{
	free(file->format);
	free(file->name);
	free(file->path);
	free(file->shown);
}

/* Takes over what file holds, also when it fails. */
static int add_file(struct landing *landing, struct landed_file *file, struct error *err)
{
	const size_t size = (landing->n_files + 1) * sizeof(*landing->files);
	struct landed_file *files = NULL;
	if (file->format && file->name && file->path && file->shown)
		files = realloc(landing->files, size);
	if (!files) {
		release_file(file);
		return error_no_memory(err, size);
	}
	landing->files = files;
	files[landing->n_files++] = *file;
	return 0;
}

/* "<seq>-<hash>.csv[.gz]", exactly as we write it. */
static bool parse_name(const char *text, struct landed_file *file)
{
	char *end = NULL;
	errno = 0;
	const unsigned long long seq = strtoull(text, &end, 10);
	if (errno || end - text < SEQ_DIGITS || text[0] < '0' || text[0] > '9' || *end != '-' || seq == 0)
		return false;
	const char *const hash = end + 1;
	if (strspn(hash, "0123456789abcdef") != LANDING_HASH_CHARS)
		return false;
	const char *const extension = hash + LANDING_HASH_CHARS;
	file->gzip = strcmp(extension, ".csv.gz") == 0;
	if (!file->gzip && strcmp(extension, ".csv") != 0)
		return false;
	file->seq = seq;
	memcpy(file->hash, hash, LANDING_HASH_CHARS);
	file->hash[LANDING_HASH_CHARS] = '\0';
	return true;
}

static char *make_name(const struct landed_file *file)
{
	return text_printf("data/warehouse/customers/" FORMAT_PREFIX "%s/%0*" PRIu64 "-%s.csv%s", file->format,
			   SEQ_DIGITS, file->seq, file->hash, file->gzip ? ".gz" : "");
}

static char *format_dir(const struct landing *landing, const char *format)
{
	return text_printf("%s/customers/" FORMAT_PREFIX "%s", landing->deployment->warehouse_dir, format);
}

static char *copy_text(const char *text)
{
	return text ? strdup(text) : NULL;
}

static int list_file(struct landing *landing, const char *dir, const char *format, const char *entry, struct error *err)
{
	struct landed_file file = {0};
	if (!parse_name(entry, &file))
		return 0;
	file.format = copy_text(format);
	file.name = file.format ? make_name(&file) : NULL;
	file.path = text_printf("%s/%s", dir, entry);
	file.shown = copy_text(file.name);
	struct stat st;
	if (file.path && stat(file.path, &st) < 0) {
		const int rc = error_errno(err, errno, "cannot read %s", file.path);
		release_file(&file);
		return rc;
	}
	if (file.path)
		file.mtime_us = (int64_t)st.st_mtim.tv_sec * 1000000 + st.st_mtim.tv_nsec / 1000;
	return add_file(landing, &file, err);
}

static void close_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* Calls `each` for every entry but the dotted ones; a missing directory has none. */
static int for_each_entry(struct landing *landing, const char *path, const char *argument,
			  int (*each)(struct landing *, const char *path, const char *argument, const char *entry,
				      struct error *),
			  struct error *err)
{
	__attribute__((cleanup(close_dir))) DIR *dir = opendir(path);
	if (!dir)
		return errno == ENOENT ? 0 : error_errno(err, errno, "cannot list %s", path);
	for (;;) {
		errno = 0;
		const struct dirent *const entry = readdir(dir); // NOLINT(concurrency-mt-unsafe): a stream of our own
		if (!entry)
			return errno ? error_errno(err, errno, "cannot list %s", path) : 0;
		if (entry->d_name[0] == '.')
			continue;
		const int rc = each(landing, path, argument, entry->d_name, err);
		if (rc < 0)
			return rc;
	}
}

static int list_format(struct landing *landing, const char *dir, const char *argument, const char *entry,
		       struct error *err)
{
	(void)argument;
	if (strncmp(entry, FORMAT_PREFIX, strlen(FORMAT_PREFIX)) != 0)
		return 0;
	_cleanup_free_ char *path = text_printf("%s/%s", dir, entry);
	if (!path)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	return for_each_entry(landing, path, entry + strlen(FORMAT_PREFIX), list_file, err);
}

static int compare_seq(const void *a, const void *b)
{
	const uint64_t x = ((const struct landed_file *)a)->seq;
	const uint64_t y = ((const struct landed_file *)b)->seq;
	return (x > y) - (x < y);
}

static void sort(struct landing *landing)
{
	if (landing->n_files)
		qsort(landing->files, landing->n_files, sizeof(*landing->files), compare_seq);
}

int landing_new(const struct deployment *deployment, struct landing **out, struct error *err)
{
	struct landing *const landing = calloc(1, sizeof(*landing));
	if (!landing)
		return error_no_memory(err, sizeof(*landing));
	landing->deployment = deployment;
	*out = landing;
	return 0;
}

int landing_add(struct landing *landing, const char *format, const char *entry, int64_t mtime_us, struct error *err)
{
	struct landed_file file = {.mtime_us = mtime_us};
	if (!parse_name(entry, &file))
		return 0;
	file.format = copy_text(format);
	file.name = file.format ? make_name(&file) : NULL;
	file.path = copy_text("");
	file.shown = copy_text(file.name);
	const int rc = add_file(landing, &file, err);
	sort(landing);
	return rc;
}

int landing_open(const struct deployment *deployment, struct landing **out, struct error *err)
{
	struct landing *landing = NULL;
	int rc = landing_new(deployment, &landing, err);
	if (rc < 0 || !landing) /* it is there: said for the analyzer */
		return rc;
	_cleanup_free_ char *dir = text_printf("%s/customers", deployment->warehouse_dir);
	rc = dir ? for_each_entry(landing, dir, NULL, list_format, err) : error_no_memory(err, LIMIT_PATH_BYTES);
	if (rc < 0) {
		landing_free(landing);
		return rc;
	}
	sort(landing);
	*out = landing;
	return 0;
}

static void wait_for_sync(struct landing *landing)
{
	if (landing->syncing)
		pthread_join(landing->thread, NULL);
	landing->syncing = false;
}

void landing_free(struct landing *landing)
{
	if (!landing)
		return;
	wait_for_sync(landing);
	for (size_t i = 0; i < landing->n_files; i++) {
		if (landing->files[i].staged)
			unlink(landing->files[i].path);
		release_file(&landing->files[i]);
	}
	free(landing->files);
	free(landing);
}

/* Copies what is left of the input, as it is; its digest is then the file's. */
static int copy_input(struct input *in, int fd, const char *to, struct error *err)
{
	for (;;) {
		int rc = file_write_all(fd, input_data(in), input_len(in), to, err);
		if (rc < 0)
			return rc;
		input_consume(in, input_len(in));
		if (input_at_eof(in))
			return 0;
		rc = input_fill(in, err);
		if (rc < 0)
			return rc;
	}
}

static int copy_file(const char *from, const char *to, struct landed_file *file, struct error *err)
{
	struct input *in = NULL;
	int rc = input_open_with(from, &(struct input_options){.raw = true}, &in, err);
	if (rc < 0)
		return rc;
	file->gzip = input_len(in) >= 2 && memcmp(input_data(in), "\x1F\x8B", 2) == 0;
	_cleanup_close_ int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	rc = fd < 0 ? error_errno(err, errno, "cannot make %s", to) : copy_input(in, fd, to, err);
	if (rc == 0)
		rc = input_check_unchanged(in, err);
	struct stat st;
	if (rc == 0 && fstat(fd, &st) < 0)
		rc = error_errno(err, errno, "cannot read %s", to);
	if (rc == 0) {
		file->mtime_us = (int64_t)st.st_mtim.tv_sec * 1000000 + st.st_mtim.tv_nsec / 1000;
		unsigned char digest[INPUT_DIGEST_BYTES];
		input_digest(in, digest);
		static_assert(LANDING_HASH_CHARS == 2 * INPUT_DIGEST_BYTES, "two digits a byte");
		for (size_t i = 0; i < INPUT_DIGEST_BYTES; i++)
			snprintf(file->hash + 2 * i, 3, "%02x", digest[i]);
	}
	input_close(in);
	return rc;
}

static bool find_same(const struct landing *landing, const struct landed_file *file, const char *format, size_t *index)
{
	for (size_t i = 0; i < landing->n_files; i++) {
		if (strcmp(landing->files[i].hash, file->hash) != 0 || strcmp(landing->files[i].format, format) != 0)
			continue;
		*index = i;
		return true;
	}
	return false;
}

int landing_stage(struct landing *landing, const char *path, const char *format, size_t *index, bool *known,
		  struct error *err)
{
	assert(!landing->syncing);
	struct landed_file file = {.staged = true};
	file.seq = landing->n_files ? landing->files[landing->n_files - 1].seq + 1 : 1;
	file.path = text_printf("%s/customers-%" PRIu64, landing->deployment->tmp_dir, file.seq);
	if (!file.path)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	const int rc = copy_file(path, file.path, &file, err);
	*known = rc == 0 && find_same(landing, &file, format, index);
	if (rc < 0 || *known) {
		unlink(file.path);
		release_file(&file);
		return rc;
	}
	file.format = copy_text(format);
	file.name = file.format ? make_name(&file) : NULL;
	file.shown = copy_text(path);
	*index = landing->n_files;
	return add_file(landing, &file, err);
}

static void *sync_staged(void *argument)
{
	struct landing *const landing = argument;
	for (size_t i = 0; i < landing->n_files && landing->sync_rc == 0; i++)
		if (landing->files[i].staged)
			landing->sync_rc = file_sync_path(landing->files[i].path, &landing->sync_err);
	return NULL;
}

void landing_sync(struct landing *landing)
{
	assert(!landing->syncing);
	landing->sync_rc = 0;
	landing->syncing = pthread_create(&landing->thread, NULL, sync_staged, landing) == 0;
	if (!landing->syncing)
		sync_staged(landing);
}

static int commit_file(struct landing *landing, struct landed_file *file, struct error *err)
{
	_cleanup_free_ char *dir = format_dir(landing, file->format);
	char *const path = dir ? text_printf("%s/%s", dir, strrchr(file->name, '/') + 1) : NULL;
	char *const shown = copy_text(file->name);
	int rc = path && shown ? 0 : error_no_memory(err, LIMIT_PATH_BYTES);
	if (rc == 0)
		rc = file_rename(file->path, path, err);
	if (rc < 0) {
		free(path);
		free(shown);
		return rc;
	}
	free(file->path);
	free(file->shown);
	file->path = path;
	file->shown = shown;
	file->staged = false;
	return 0;
}

/* The directories above the files. They are flushed even when they are there: a crash may have come in between. */
static int make_format_dir(const struct landing *landing, const char *format, struct error *err)
{
	_cleanup_free_ char *dir = format_dir(landing, format);
	_cleanup_free_ char *parent = text_printf("%s/customers", landing->deployment->warehouse_dir);
	if (!dir || !parent)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	int rc = file_make_dirs(dir, err);
	if (rc == 0)
		rc = file_sync_dir(parent, err);
	return rc < 0 ? rc : file_sync_dir(landing->deployment->warehouse_dir, err);
}

int landing_commit(struct landing *landing, struct error *err)
{
	wait_for_sync(landing);
	if (landing->sync_rc < 0) {
		if (err)
			*err = landing->sync_err;
		return landing->sync_rc;
	}
	const char *format = NULL;
	for (size_t i = 0; i < landing->n_files; i++) {
		struct landed_file *const file = &landing->files[i];
		if (!file->staged)
			continue;
		int rc = 0;
		if (!format || strcmp(format, file->format) != 0)
			rc = make_format_dir(landing, file->format, err);
		format = file->format;
		if (rc == 0)
			rc = commit_file(landing, file, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}
