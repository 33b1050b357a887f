/*
 * data/run/metrics as a daemon of another kind, or a damaged disk, may have left it: what is read is within its bounds, texts end,
 * percentiles ascend; what is refused says why.
 *
 * The input is pieces to put over the file, each: place (3 bytes, of 8 bytes each), how many (1), and the bytes.
 */
#include "base/buf.h"
#include "base/file.h"
#include "base/limits.h"
#include "speed/metrics_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[64];
static int fd = -1;
static struct metrics *metrics; /* of a daemon that lives: it holds the file's lock */
static struct metrics_file *usual;
static struct metrics_file *file;

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void end(void)
{
	metrics_close(metrics, METRICS_DAEMON_STOPPED);
	file_remove_tree(dir, NULL);
	free(usual);
	free(file);
}

/* The file of a daemon that has just begun. */
static void begin(void)
{
	require(snprintf(dir, sizeof(dir), "%s/punchcard-fuzz-XXXXXX",
			 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp") > 0);
	require(mkdtemp(dir) && metrics_create(dir, &metrics, NULL) == 0);
	struct metrics_source *const till = metrics_source(metrics, "till", "spool");
	metrics_source_error(till, "no room", 1);
	char *const path = metrics_path(dir);
	require(path != NULL);
	fd = open(path, O_RDWR | O_CLOEXEC);
	free(path);
	usual = malloc(sizeof(*usual));
	file = malloc(sizeof(*file));
	require(fd >= 0 && usual && file && pread(fd, usual, sizeof(*usual), 0) == (ssize_t)sizeof(*usual));
	atexit(end);
}

static void check_histogram(const struct histogram_counts *counts)
{
	uint64_t last = 0;
	for (unsigned permille = 0; permille <= 1000; permille += 125) {
		const uint64_t us = histogram_percentile(counts, permille);
		require(us >= last);
		last = us;
	}
}

static void check_time(int64_t us)
{
	require(us >= LIMIT_TIME_MIN_S * 1000000 && us < LIMIT_TIME_MAX_S * 1000000);
}

static void check(const struct metrics_snapshot *snapshot)
{
	check_time(snapshot->started_us);
	check_time(snapshot->heartbeat_us);
	require(snapshot->n_sources <= METRICS_SOURCES && snapshot->n_consumers <= METRICS_CONSUMERS);
	require(metrics_daemon_state_name(snapshot->state) != NULL);
	for (unsigned i = 0; i < snapshot->n_sources; i++) {
		const struct metrics_source_snapshot *const source = &snapshot->sources[i];
		require(strlen(source->name) < sizeof(source->name) && strlen(source->type) < sizeof(source->type));
		require(strlen(source->error) < sizeof(source->error) && metrics_state_name(source->state));
		check_time(source->last_us);
		check_time(source->error_us);
		check_histogram(&source->durable);
	}
	for (unsigned i = 0; i < snapshot->n_consumers; i++) {
		const struct metrics_consumer_snapshot *const consumer = &snapshot->consumers[i];
		require(strlen(consumer->name) < sizeof(consumer->name) &&
			strlen(consumer->error) < sizeof(consumer->error));
		require(metrics_state_name(consumer->state) != NULL);
		check_time(consumer->last_us);
		check_time(consumer->error_us);
		check_histogram(&consumer->visible);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (fd < 0)
		begin();
	memcpy(file, usual, sizeof(*file));
	while (size >= 4) {
		const size_t at = ((size_t)data[0] | (size_t)data[1] << 8 | (size_t)data[2] << 16) * 8 % sizeof(*file);
		size_t n = data[3] < size - 4 ? data[3] : size - 4;
		if (n > sizeof(*file) - at)
			n = sizeof(*file) - at;
		memcpy((char *)file + at, data + 4, n);
		data += 4 + n;
		size -= 4 + n;
	}
	require(pwrite(fd, file, sizeof(*file), 0) == (ssize_t)sizeof(*file));
	struct metrics_snapshot *snapshot = NULL;
	struct error err = {0};
	if (metrics_read(dir, &snapshot, &err) < 0) {
		require(err.message[0] && (err.code == ERROR_CORRUPT || err.code == ERROR_INPUT));
		return 0;
	}
	check(snapshot);
	metrics_snapshot_free(snapshot);
	return 0;
}
