#include "speed/metrics.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "speed/metrics_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static_assert(sizeof(struct metrics_source) == 64 + 16 + 8 * (1 + METRICS_SOURCE_COUNTERS + 2 + 1 + 2 * 64 + 2 + 832),
	      "the layout has no holes; a change of it is a change of METRICS_LAYOUT");
static_assert(sizeof(struct metrics_consumer) == 64 + 8 * (1 + METRICS_CONSUMER_COUNTERS + 4 + 1 + 2 * 64 + 2 + 832),
	      "the layout has no holes; a change of it is a change of METRICS_LAYOUT");
static_assert(offsetof(struct metrics_file, sources) == 256, "where the slots begin");

struct metrics {
	struct metrics_file *file;
	int fd; /* the lock is its */
};

char *metrics_path(const char *data_dir)
{
	return text_printf("%s/run/metrics", data_dir);
}

/* Written, not only made long: a page of a map that the disk has no room for would end the process. */
static int write_zeros(int fd, const char *path, struct error *err)
{
	static const char zeros[65536];
	for (size_t done = 0; done < sizeof(struct metrics_file);) {
		const size_t left = sizeof(struct metrics_file) - done;
		const size_t n = left < sizeof(zeros) ? left : sizeof(zeros);
		const int rc = file_write_all(fd, zeros, n, path, err);
		if (rc < 0)
			return rc;
		done += n;
	}
	return 0;
}

static int map_file(int fd, const char *path, struct metrics_file **out, struct error *err)
{
	void *const at = mmap(NULL, sizeof(struct metrics_file), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return error_errno(err, errno, "cannot map %s", path);
	struct metrics_file *const file = at;
	memcpy(file->magic, METRICS_MAGIC, sizeof(file->magic));
	file->layout = METRICS_LAYOUT;
	file->size_bytes = sizeof(*file);
	file->pid = getpid();
	file->started_us = clock_now_us();
	atomic_store(&file->heartbeat_us, file->started_us);
	*out = file;
	return 0;
}

/* A new file, locked and whole, under its name. */
static int make_file(const char *path, struct metrics *metrics, struct error *err)
{
	_cleanup_free_ char *tmp = text_printf("%s.tmp", path);
	if (!tmp)
		return error_no_memory(err, strlen(path));
	/* Not the one that a killed predecessor left: another process might have that open. */
	unlink(tmp);
	_cleanup_close_ int fd = open(tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
	if (fd < 0)
		return error_errno(err, errno, "cannot make %s", tmp);
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int rc = 0;
	if (fcntl(fd, F_OFD_SETLK, &lock) < 0)
		rc = error_errno(err, errno, "cannot lock %s", tmp);
	if (rc == 0)
		rc = write_zeros(fd, tmp, err);
	if (rc == 0)
		rc = map_file(fd, tmp, &metrics->file, err);
	if (rc == 0 && rename(tmp, path) < 0) {
		rc = error_errno(err, errno, "cannot rename %s", tmp);
		munmap(metrics->file, sizeof(*metrics->file));
	}
	if (rc < 0) {
		unlink(tmp);
		return rc;
	}
	metrics->fd = fd;
	fd = -1;
	return 0;
}

int metrics_create(const char *data_dir, struct metrics **out, struct error *err)
{
	_cleanup_free_ char *dir = text_printf("%s/run", data_dir);
	_cleanup_free_ char *path = metrics_path(data_dir);
	struct metrics *const metrics = calloc(1, sizeof(*metrics));
	if (!dir || !path || !metrics) {
		free(metrics);
		return error_no_memory(err, sizeof(*metrics));
	}
	int rc = file_make_dirs(dir, err);
	if (rc == 0)
		rc = make_file(path, metrics, err);
	if (rc < 0) {
		free(metrics);
		return rc;
	}
	*out = metrics;
	return 0;
}

void metrics_close(struct metrics *metrics, enum metrics_daemon_state state)
{
	if (!metrics)
		return;
	metrics_heartbeat(metrics, clock_now_us());
	metrics_daemon_state(metrics, state);
	munmap(metrics->file, sizeof(*metrics->file));
	close(metrics->fd);
	free(metrics);
}

void metrics_heartbeat(struct metrics *metrics, int64_t now_us)
{
	if (metrics)
		atomic_store_explicit(&metrics->file->heartbeat_us, now_us, memory_order_relaxed);
}

void metrics_daemon_state(struct metrics *metrics, enum metrics_daemon_state state)
{
	if (metrics)
		atomic_store_explicit(&metrics->file->state, (uint64_t)state, memory_order_relaxed);
}

void metrics_set_journal(struct metrics *metrics, const struct metrics_journal *journal)
{
	if (!metrics)
		return;
	struct metrics_file *const file = metrics->file;
	atomic_store_explicit(&file->used_bytes, journal->used_bytes, memory_order_relaxed);
	atomic_store_explicit(&file->backlog_bytes, journal->backlog_bytes, memory_order_relaxed);
	atomic_store_explicit(&file->first_block, journal->first_block, memory_order_relaxed);
	atomic_store_explicit(&file->next_block, journal->next_block, memory_order_relaxed);
	atomic_store_explicit(&file->trimmed, journal->trimmed, memory_order_relaxed);
}

/* Cuts what does not fit, and there between characters. */
static void copy_cut(char *out, size_t size, const char *text)
{
	size_t len = strnlen(text, size);
	if (len == size) {
		len = size - 1;
		while (len > 0 && ((unsigned char)text[len] & 0xC0) == 0x80)
			len--;
	}
	memcpy(out, text, len);
	memset(out + len, 0, size - len);
}

struct metrics_source *metrics_source(struct metrics *metrics, const char *name, const char *type)
{
	if (!metrics)
		return NULL;
	struct metrics_file *const file = metrics->file;
	const uint64_t n = atomic_load_explicit(&file->n_sources, memory_order_relaxed);
	char cut_name[METRICS_NAME_MAX];
	char cut_type[METRICS_TYPE_MAX];
	copy_cut(cut_name, sizeof(cut_name), name);
	copy_cut(cut_type, sizeof(cut_type), type);
	for (uint64_t i = 0; i < n; i++)
		if (strcmp(file->sources[i].name, cut_name) == 0 && strcmp(file->sources[i].type, cut_type) == 0)
			return &file->sources[i];
	if (n == METRICS_SOURCES) {
		histogram_bump(&file->left_out, 1);
		return NULL;
	}
	struct metrics_source *const source = &file->sources[n];
	memcpy(source->name, cut_name, sizeof(cut_name));
	memcpy(source->type, cut_type, sizeof(cut_type));
	atomic_store_explicit(&file->n_sources, n + 1, memory_order_release);
	return source;
}

struct metrics_consumer *metrics_consumer(struct metrics *metrics, const char *name)
{
	if (!metrics)
		return NULL;
	struct metrics_file *const file = metrics->file;
	const uint64_t n = atomic_load_explicit(&file->n_consumers, memory_order_relaxed);
	char cut_name[METRICS_NAME_MAX];
	copy_cut(cut_name, sizeof(cut_name), name);
	for (uint64_t i = 0; i < n; i++)
		if (strcmp(file->consumers[i].name, cut_name) == 0)
			return &file->consumers[i];
	if (n == METRICS_CONSUMERS) {
		histogram_bump(&file->left_out, 1);
		return NULL;
	}
	struct metrics_consumer *const consumer = &file->consumers[n];
	memcpy(consumer->name, cut_name, sizeof(cut_name));
	atomic_store_explicit(&file->n_consumers, n + 1, memory_order_release);
	return consumer;
}

/* No fences (sanitizers know none): whoever sees one of the words stored here has acquired the sequence before it, too, and
 * so finds that the text he was reading is no longer the valid one. */
void metrics_text_set(struct metrics_text *text, const char *value)
{
	uint64_t words[METRICS_ERROR_WORDS];
	char cut[METRICS_ERROR_MAX];
	copy_cut(cut, sizeof(cut), value);
	memcpy(words, cut, sizeof(words));
	const uint64_t next = atomic_load_explicit(&text->sequence, memory_order_relaxed) + 1;
	for (unsigned i = 0; i < METRICS_ERROR_WORDS; i++)
		atomic_store_explicit(&text->words[next & 1][i], words[i], memory_order_release);
	atomic_store_explicit(&text->sequence, next, memory_order_release);
}

void metrics_source_error(struct metrics_source *source, const char *text, int64_t now_us)
{
	if (!source)
		return;
	metrics_source_add(source, METRICS_SOURCE_ERRORS, 1);
	metrics_text_set(&source->error, text);
	atomic_store_explicit(&source->error_us, now_us, memory_order_relaxed);
}

void metrics_consumer_error(struct metrics_consumer *consumer, const char *text, int64_t now_us)
{
	if (!consumer)
		return;
	metrics_consumer_add(consumer, METRICS_CONSUMER_ERRORS, 1);
	metrics_text_set(&consumer->error, text);
	atomic_store_explicit(&consumer->error_us, now_us, memory_order_relaxed);
}
