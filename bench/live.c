/*
 * How fresh a daemon is: appends classic lines to a file that it tails, at a steady rate, and watches when each can be seen by SQL
 * (in the journal, which every query reads) and in the customer view.
 *
 *     bench_live DEPLOYMENT FILE RATE SECONDS CUSTOMERS PID
 *
 * FILE is new, and a source of the deployment follows it; PID is the daemon's. Prints one JSON object: the rate that was kept,
 * percentiles of the time from write(2) to visible in milliseconds, the daemon's CPU seconds a second, and its resident memory.
 * What is watched is looked at every half millisecond; that much the figures may be too great.
 */
#include "base/clock.h"
#include "base/json.h"
#include "config/deployment.h"
#include "speed/view_writer.h"
#include "store/block.h"
#include "store/journal.h"
#include "store/view.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOOK_NS       500000
#define TICK_NS       1000000
#define PATIENCE_US   INT64_C(30000000)
#define LINE_MAX_TEXT 64

struct live {
	const char *file;
	uint64_t rate;
	uint64_t lines; /* in all */
	uint64_t customers;
	int64_t *written_us; /* of each line, from 0 */
	int64_t *durable_us;
	int64_t *viewed_us;
	_Atomic uint64_t n_written;
	atomic_bool failed;
};

static void sleep_ns(int64_t ns)
{
	nanosleep(&(struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000}, NULL);
}

static void die(const char *what, const struct error *err)
{
	fprintf(stderr, "bench_live: %s: %s\n", what, err ? err->message : "failed");
	exit(1);
}

/* A tick's lines in one write. */
static void *write_lines(void *argument)
{
	struct live *const live = argument;
	const int fd = open(live->file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	char *const text = malloc((live->rate / 500 + 2) * LINE_MAX_TEXT);
	const int64_t begin_us = clock_now_us();
	uint64_t seed = 1;
	if (fd < 0 || !text)
		die("cannot write the file", NULL);
	for (uint64_t n = 0; n < live->lines;) {
		const int64_t now_us = clock_now_us();
		uint64_t due = (uint64_t)(now_us - begin_us) * live->rate / 1000000;
		if (due > n + live->rate / 500 + 1)
			due = n + live->rate / 500 + 1;
		if (due > live->lines)
			due = live->lines;
		size_t len = 0;
		const uint64_t first = n;
		for (; n < due; n++) {
			seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
			len += (size_t)snprintf(text + len, LINE_MAX_TEXT, "%" PRIu64 "|latte 70|%" PRId64 "\n",
						1 + (seed >> 33) % live->customers, now_us / 1000000);
		}
		const int64_t before_us = clock_now_us();
		if (len && write(fd, text, len) != (ssize_t)len)
			die("cannot write the file", NULL);
		for (uint64_t i = first; i < n; i++)
			live->written_us[i] = before_us;
		atomic_store(&live->n_written, n);
		sleep_ns(TICK_NS);
	}
	close(fd);
	free(text);
	return NULL;
}

/* Where the lines of each block end: to know what an offset of the view means. */
struct block_end {
	uint64_t seq;
	uint64_t lines;
};

struct watch {
	struct live *live;
	struct journal *journal;
	struct journal_reader *reader;
	struct view *view;
	uint64_t next;    /* block to look at */
	uint64_t durable; /* lines */
	uint64_t viewed;
	struct block_end *ends;
	size_t n_ends;
	size_t at; /* the first that the view has not */
};

static void look_at_journal(struct watch *watch)
{
	struct live *const live = watch->live;
	struct error err = {0};
	uint64_t first;
	uint64_t end;
	if (journal_reader_renew(watch->reader, &err) < 0 ||
	    journal_reader_range(watch->reader, &first, &end, &err) < 0)
		die("cannot read the journal", &err);
	const int64_t now_us = clock_now_us();
	for (; watch->next < end; watch->next++) {
		struct slice block;
		struct block_counts counts = {0};
		if (journal_reader_block(watch->reader, watch->next, &block, &err) < 0 ||
		    block_counts(block, &counts, &err) < 0)
			die("cannot read a block", &err);
		for (uint64_t i = 0; i < counts.n_lines && watch->durable < live->lines; i++)
			live->durable_us[watch->durable++] = now_us;
		watch->ends[watch->n_ends++] = (struct block_end){watch->next, watch->durable};
	}
}

static void look_at_view(struct watch *watch)
{
	struct error err = {0};
	uint64_t offset = 0;
	if (view_read_begin(watch->view, &err) < 0 || view_offset(watch->view, &offset, &err) < 0)
		die("cannot read the view", &err);
	view_read_end(watch->view);
	const int64_t now_us = clock_now_us();
	for (; watch->at < watch->n_ends && watch->ends[watch->at].seq < offset; watch->at++)
		while (watch->viewed < watch->ends[watch->at].lines)
			watch->live->viewed_us[watch->viewed++] = now_us;
}

static int compare(const void *a, const void *b)
{
	const int64_t x = *(const int64_t *)a;
	const int64_t y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

static void print_percentiles(struct json *out, const char *key, int64_t *us, const int64_t *written_us, size_t n)
{
	static const struct {
		const char *name;
		unsigned per_mille;
	} EACH[] = {{"p50_ms", 500}, {"p95_ms", 950}, {"p99_ms", 990}, {"max_ms", 1000}};
	for (size_t i = 0; i < n; i++)
		us[i] -= written_us[i];
	qsort(us, n, sizeof(*us), compare);
	json_key(out, key);
	json_object(out);
	for (size_t k = 0; k < sizeof(EACH) / sizeof(EACH[0]); k++) {
		json_key(out, EACH[k].name);
		json_decimal(out, us[n * EACH[k].per_mille / 1000 - (EACH[k].per_mille == 1000)], 3);
	}
	json_end_object(out);
}

/* CPU time of a process, in clock ticks; its resident memory. */
static uint64_t cpu_ticks(long pid)
{
	char path[64];
	char text[1024];
	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	FILE *const file = fopen(path, "re");
	unsigned long long user = 0;
	unsigned long long system = 0;
	const size_t n = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
	text[n] = '\0';
	const char *const behind = strrchr(text, ')');
	if (file)
		fclose(file);
	if (!behind || sscanf(behind + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &system) != 2)
		die("there is no such process", NULL);
	return user + system;
}

static uint64_t resident_kib(long pid)
{
	char path[64];
	char line[256];
	uint64_t kib = 0;
	snprintf(path, sizeof(path), "/proc/%ld/status", pid);
	FILE *const file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "VmRSS: %" SCNu64, &kib) == 1)
			break;
	if (file)
		fclose(file);
	return kib;
}

static void open_watch(struct watch *watch, const char *dir, struct deployment **deployment)
{
	struct error err = {0};
	uint64_t first;
	if (deployment_open(dir, DEPLOYMENT_READ, "bench", deployment, &err) < 0 ||
	    journal_open(
		    (*deployment)->journal_dir,
		    &(struct journal_options){.map_gib = (*deployment)->config->journal_map_gib, .read_only = true},
		    &watch->journal, &err) < 0 ||
	    journal_reader_open(watch->journal, &watch->reader, &err) < 0 ||
	    journal_reader_range(watch->reader, &first, &watch->next, &err) < 0 ||
	    view_writer_open_view(*deployment, true, &watch->view, &err) < 0)
		die("cannot open the deployment", &err);
}

static void watch_all(struct watch *watch)
{
	struct live *const live = watch->live;
	int64_t last_us = clock_now_us();
	uint64_t seen = 0;
	while (watch->viewed < live->lines) {
		look_at_journal(watch);
		look_at_view(watch);
		const uint64_t now = watch->durable + watch->viewed;
		if (now != seen)
			last_us = clock_now_us();
		seen = now;
		if (clock_now_us() - last_us > PATIENCE_US)
			die("nothing came for 30 s", NULL);
		sleep_ns(LOOK_NS);
	}
}

int main(int argc, char **argv)
{
	if (argc != 7) {
		fprintf(stderr, "usage: bench_live DEPLOYMENT FILE RATE SECONDS CUSTOMERS PID\n");
		return 2;
	}
	struct live live = {
		.file = argv[2], .rate = strtoull(argv[3], NULL, 10), .customers = strtoull(argv[5], NULL, 10)};
	const long pid = strtol(argv[6], NULL, 10);
	live.lines = live.rate * strtoull(argv[4], NULL, 10);
	live.written_us = calloc(live.lines, sizeof(int64_t));
	live.durable_us = calloc(live.lines, sizeof(int64_t));
	live.viewed_us = calloc(live.lines, sizeof(int64_t));
	struct watch watch = {.live = &live, .ends = calloc(live.lines + 1, sizeof(struct block_end))};
	struct deployment *deployment = NULL;
	pthread_t writer;
	if (!live.lines || !live.written_us || !live.durable_us || !live.viewed_us || !watch.ends)
		die("no lines, or out of memory", NULL);
	open_watch(&watch, argv[1], &deployment);
	const uint64_t ticks = cpu_ticks(pid);
	const int64_t begin_us = clock_now_us();
	if (pthread_create(&writer, NULL, write_lines, &live) != 0)
		die("cannot start a thread", NULL);
	watch_all(&watch);
	pthread_join(writer, NULL);
	const int64_t took_us = clock_now_us() - begin_us;
	const double cpu_s = (double)(cpu_ticks(pid) - ticks) / (double)sysconf(_SC_CLK_TCK);
	const int64_t wrote_us = live.written_us[live.lines - 1] - begin_us;
	struct json out;
	json_to_file(&out, stdout);
	json_object(&out);
	json_key(&out, "lines");
	json_uint(&out, live.lines);
	json_key(&out, "lines_per_second");
	json_uint(&out, live.lines * 1000000 / (uint64_t)(wrote_us > 0 ? wrote_us : 1));
	print_percentiles(&out, "sql", live.durable_us, live.written_us, live.lines);
	print_percentiles(&out, "view", live.viewed_us, live.written_us, live.lines);
	json_key(&out, "daemon_cores");
	json_decimal(&out, (int64_t)(cpu_s * 1e9 / (double)took_us), 3);
	json_key(&out, "daemon_resident_kib");
	json_uint(&out, resident_kib(pid));
	json_end_object(&out);
	json_newline(&out);
	journal_reader_close(watch.reader);
	journal_close(watch.journal);
	view_close(watch.view);
	deployment_close(deployment);
	free(live.written_us);
	free(live.durable_us);
	free(live.viewed_us);
	free(watch.ends);
	return 0;
}
