#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "speed/metrics.h"
#include "speed/metrics_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Each try but the last found a new text. */
#define TEXT_TRIES 1000

void metrics_text_get(const struct metrics_text *text, char out[METRICS_ERROR_MAX])
{
	uint64_t words[METRICS_ERROR_WORDS];
	for (unsigned tries = 0; tries < TEXT_TRIES; tries++) {
		const uint64_t before = atomic_load_explicit(&text->sequence, memory_order_acquire);
		for (unsigned i = 0; i < METRICS_ERROR_WORDS; i++)
			words[i] = atomic_load_explicit(&text->words[before & 1][i], memory_order_acquire);
		if (atomic_load_explicit(&text->sequence, memory_order_relaxed) == before)
			break;
	}
	memcpy(out, words, sizeof(words));
	out[METRICS_ERROR_MAX - 1] = '\0';
}

/* Whether the process that made the file holds its lock. */
static int is_locked(int fd, const char *path, bool *out, struct error *err)
{
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
	if (fcntl(fd, F_OFD_GETLK, &lock) < 0)
		return error_errno(err, errno, "cannot ask for the lock of %s", path);
	*out = lock.l_type != F_UNLCK;
	return 0;
}

/* Of a damaged file it may be any number; readers count with it. */
static int64_t time_of(int64_t us)
{
	return us >= LIMIT_TIME_MIN_S * 1000000 && us < LIMIT_TIME_MAX_S * 1000000 ? us : 0;
}

static int64_t read_time(const _Atomic int64_t *us)
{
	return time_of(atomic_load_explicit(us, memory_order_relaxed));
}

static void read_source(const struct metrics_source *source, struct metrics_source_snapshot *out)
{
	memcpy(out->name, source->name, sizeof(out->name));
	memcpy(out->type, source->type, sizeof(out->type));
	out->name[sizeof(out->name) - 1] = '\0';
	out->type[sizeof(out->type) - 1] = '\0';
	out->state = (enum metrics_state)atomic_load_explicit(&source->state, memory_order_relaxed);
	for (unsigned i = 0; i < METRICS_SOURCE_COUNTERS; i++)
		out->counters[i] = atomic_load_explicit(&source->counters[i], memory_order_relaxed);
	out->last_us = read_time(&source->last_us);
	out->error_us = read_time(&source->error_us);
	metrics_text_get(&source->error, out->error);
	histogram_read(&source->durable, &out->durable);
}

static void read_consumer(const struct metrics_consumer *consumer, struct metrics_consumer_snapshot *out)
{
	memcpy(out->name, consumer->name, sizeof(out->name));
	out->name[sizeof(out->name) - 1] = '\0';
	out->state = (enum metrics_state)atomic_load_explicit(&consumer->state, memory_order_relaxed);
	for (unsigned i = 0; i < METRICS_CONSUMER_COUNTERS; i++)
		out->counters[i] = atomic_load_explicit(&consumer->counters[i], memory_order_relaxed);
	out->offset = atomic_load_explicit(&consumer->offset, memory_order_relaxed);
	out->lag_lines = atomic_load_explicit(&consumer->lag_lines, memory_order_relaxed);
	out->last_us = read_time(&consumer->last_us);
	out->error_us = read_time(&consumer->error_us);
	metrics_text_get(&consumer->error, out->error);
	histogram_read(&consumer->visible, &out->visible);
}

static void read_daemon(const struct metrics_file *file, bool locked, struct metrics_snapshot *out)
{
	out->taken_us = clock_now_us();
	out->pid = file->pid;
	out->started_us = time_of(file->started_us);
	out->heartbeat_us = read_time(&file->heartbeat_us);
	out->state = (enum metrics_daemon_state)atomic_load_explicit(&file->state, memory_order_relaxed);
	out->journal.used_bytes = atomic_load_explicit(&file->used_bytes, memory_order_relaxed);
	out->journal.backlog_bytes = atomic_load_explicit(&file->backlog_bytes, memory_order_relaxed);
	out->journal.first_block = atomic_load_explicit(&file->first_block, memory_order_relaxed);
	out->journal.next_block = atomic_load_explicit(&file->next_block, memory_order_relaxed);
	out->journal.trimmed = atomic_load_explicit(&file->trimmed, memory_order_relaxed);
	out->left_out = (unsigned)atomic_load_explicit(&file->left_out, memory_order_relaxed);
	if (!locked)
		out->life = METRICS_GONE;
	else if (out->taken_us - out->heartbeat_us > METRICS_SILENT_US)
		out->life = METRICS_SILENT;
}

static int copy(const struct metrics_file *file, bool locked, const char *path, struct metrics_snapshot **out,
		struct error *err)
{
	const uint64_t n_sources = atomic_load_explicit(&file->n_sources, memory_order_acquire);
	const uint64_t n_consumers = atomic_load_explicit(&file->n_consumers, memory_order_acquire);
	if (n_sources > METRICS_SOURCES || n_consumers > METRICS_CONSUMERS)
		return error_set(err, ERROR_CORRUPT, "%s is damaged; the daemon makes it anew when it starts", path);
	struct metrics_snapshot *const snapshot = calloc(1, sizeof(*snapshot));
	if (!snapshot)
		return error_no_memory(err, sizeof(*snapshot));
	snapshot->sources = calloc(n_sources + 1, sizeof(*snapshot->sources));
	snapshot->consumers = calloc(n_consumers + 1, sizeof(*snapshot->consumers));
	if (!snapshot->sources || !snapshot->consumers) {
		metrics_snapshot_free(snapshot);
		return error_no_memory(err, (n_sources + 1) * sizeof(*snapshot->sources));
	}
	snapshot->n_sources = (unsigned)n_sources;
	snapshot->n_consumers = (unsigned)n_consumers;
	read_daemon(file, locked, snapshot);
	for (unsigned i = 0; i < snapshot->n_sources; i++)
		read_source(&file->sources[i], &snapshot->sources[i]);
	for (unsigned i = 0; i < snapshot->n_consumers; i++)
		read_consumer(&file->consumers[i], &snapshot->consumers[i]);
	*out = snapshot;
	return 0;
}

/* Who made the file, by its first bytes: read, not mapped, since a shorter one has no such page. */
static int check(int fd, const char *path, struct error *err)
{
	struct {
		char magic[8];
		uint32_t layout;
		uint32_t size_bytes;
	} head;
	struct stat st;
	if (fstat(fd, &st) < 0)
		return error_errno(err, errno, "cannot read %s", path);
	const ssize_t n = S_ISREG(st.st_mode) ? pread(fd, &head, sizeof(head), 0) : 0;
	if (n < 0)
		return error_errno(err, errno, "cannot read %s", path);
	if (n < (ssize_t)sizeof(head) || memcmp(head.magic, METRICS_MAGIC, sizeof(head.magic)) != 0)
		return error_set(err, ERROR_CORRUPT,
				 "%s is not what the daemon writes there, or was cut; the daemon makes it anew when it "
				 "starts",
				 path);
	if (head.layout != METRICS_LAYOUT)
		return error_set(err, ERROR_INPUT,
				 "%s is of another version of punchcard (layout %u, not %u); use the program that the "
				 "daemon runs",
				 path, head.layout, METRICS_LAYOUT);
	if (head.size_bytes != sizeof(struct metrics_file) || st.st_size != (off_t)sizeof(struct metrics_file))
		return error_set(err, ERROR_CORRUPT, "%s was cut; the daemon makes it anew when it starts", path);
	return 0;
}

int metrics_read(const char *data_dir, struct metrics_snapshot **out, struct error *err)
{
	_cleanup_free_ char *path = metrics_path(data_dir);
	if (!path)
		return error_no_memory(err, strlen(data_dir));
	/* Not to wait for whoever might have put a FIFO there. */
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return error_errno(err, errno, "cannot open %s", path);
	bool locked = false;
	int rc = check(fd, path, err);
	if (rc == 0)
		rc = is_locked(fd, path, &locked, err);
	if (rc < 0)
		return rc;
	void *const at = mmap(NULL, sizeof(struct metrics_file), PROT_READ, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return error_errno(err, errno, "cannot map %s", path);
	rc = copy(at, locked, path, out, err);
	munmap(at, sizeof(struct metrics_file));
	return rc;
}

void metrics_snapshot_free(struct metrics_snapshot *snapshot)
{
	if (!snapshot)
		return;
	free(snapshot->sources);
	free(snapshot->consumers);
	free(snapshot);
}

bool metrics_same_run(const struct metrics_snapshot *a, const struct metrics_snapshot *b)
{
	return a->pid == b->pid && a->started_us == b->started_us;
}

const char *metrics_state_name(enum metrics_state state)
{
	static const char *const NAMES[] = {
		[METRICS_STARTING] = "starting",   [METRICS_RUNNING] = "running",         [METRICS_WAITING] = "waiting",
		[METRICS_DISK_FULL] = "disk full", [METRICS_BACKING_OFF] = "backing off", [METRICS_ENDED] = "ended",
		[METRICS_FAILED] = "failed",
	};
	return (unsigned)state < sizeof(NAMES) / sizeof(*NAMES) ? NAMES[state] : "unknown";
}

const char *metrics_daemon_state_name(enum metrics_daemon_state state)
{
	static const char *const NAMES[] = {
		[METRICS_DAEMON_STARTING] = "starting", [METRICS_DAEMON_RUNNING] = "running",
		[METRICS_DAEMON_STOPPING] = "stopping", [METRICS_DAEMON_STOPPED] = "stopped",
		[METRICS_DAEMON_FAILED] = "failed",
	};
	return (unsigned)state < sizeof(NAMES) / sizeof(*NAMES) ? NAMES[state] : "unknown";
}
