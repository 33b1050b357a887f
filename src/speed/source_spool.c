/*
 * The spool source: files of a directory (intake.h), as they come.
 *
 * What happens in the directory (inotify), and what is found when it is listed (at the start, every scan_s, and when events were
 * missed) gives *looks*: names with a time at which they are due. A look takes what can be taken of the file and waits for
 * nothing; what comes of it is durable, and the file put away, with the next commit. A commit is made when no look is due, a block
 * is full or was open for BLOCK_US. So:
 *
 *     moved here                at once; it is put away as soon as its last line is taken
 *     written and closed        at once; it is put away when it has settled: whoever wrote it may open it again
 *     being written             at once, then every settle_ms, or every second when that is less …
 *     any                       … but 19 times as long as the last look took goes by in between: the beginning is read again
 *     failed                    after scan_s, twice, four times … as long, up to an hour, or when something happens to it
 *
 * Files that were put away, and found unchanged, cost a listing no call and no transaction: their names are looked up in a table
 * of hashes, and each is looked at in one of 16 listings only; what is written to them is told by inotify. A listing that took
 * long is not made again before 19 times as long has gone by.
 *
 * The state outlives an error of `run`, so that a failure is said once. Positions are in the journal.
 */
#include "speed/source.h"

#include "base/clock.h"
#include "speed/intake.h"
#include "speed/spool_names.h"
#include "speed/spool_say.h"
#include "speed/spool_watch.h"

#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define MICROS INT64_C(1000000)
/* Reading again what was read before, and listing, may take a twentieth of the time. */
#define PAUSE_TIMES 19
/* Who writes line by line is looked at so often. */
#define GROWING_US MICROS
/* A file that changed while it was read is looked at again after this. */
#define AGAIN_US INT64_C(20000)
/* A transaction is not held for longer, as long as files are small. */
#define BLOCK_US INT64_C(50000)
/* A source's directory that is not there is looked for so often. */
#define RETRY_US    MICROS
#define RETRY_MAX_S INT64_C(3600)
/* More names are not remembered; then the directory is listed again. */
#define LOOKS_MAX   ((size_t)200000)
#define KNOWN_PARTS 16u

struct spool {
	struct source *source;
	const struct config_source *config;
	struct intake *intake;
	struct spool_watch *watch;
	struct spool_known known;
	struct spool_looks looks;
	struct spool_look *current; /* it is looked at: not to be freed */
	bool current_gone;
	bool list_all;         /* the next listing looks at every file: events were missed */
	bool cut;              /* there was no room for a name */
	size_t most;           /* looks since there was none */
	int64_t listed_due_us; /* what is listed is due then: behind what is told of, in order of name */
	int64_t list_due_us;
	int64_t list_end_us;
	int64_t list_cost_us;
	unsigned listing;
	struct intake_totals told;
};

static int64_t monotonic_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * MICROS + now.tv_nsec / 1000;
}

static int64_t larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t settle_us(const struct spool *spool)
{
	return (int64_t)spool->config->settle_ms * 1000;
}

/* Looks. */

/* Not before this. */
static int64_t earliest(const struct spool_look *look)
{
	return look->last_us ? look->last_us + look->cost_us * PAUSE_TIMES : 0;
}

/* Due at that time, if it is not due before. */
static void look_at(struct spool *spool, const char *name, int64_t due_us, bool whole)
{
	struct spool_look *look = spool_looks_find(&spool->looks, name);
	if (!look && spool->looks.n < LOOKS_MAX)
		look = spool_looks_add(&spool->looks, name);
	if (!look) {
		spool->cut = spool->list_all = true;
		return;
	}
	if (spool->looks.n > spool->most)
		spool->most = spool->looks.n;
	look->hinted = true;
	look->whole = whole;
	due_us = larger(due_us, earliest(look));
	if (due_us < look->due_us)
		spool_looks_due(&spool->looks, look, due_us);
}

static const char *last_part(const char *name)
{
	const char *const slash = strrchr(name, '/');
	return slash ? slash + 1 : name;
}

/* Whether the file is what is known of it. */
static bool is_known(const struct spool *spool, const char *name, int dir_fd, const char *path)
{
	struct stat st;
	return fstatat(dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && spool_known_is(&spool->known, name, &st);
}

static bool is_known_by_path(struct spool *spool, const char *name)
{
	if (!spool_known_name(&spool->known, name))
		return false;
	_cleanup_free_ char *dir = deployment_path(spool->source->deployment, spool->config->dir);
	_cleanup_free_ char *path = dir ? text_printf("%s/%s", dir, name) : NULL;
	return path && is_known(spool, name, AT_FDCWD, path);
}

static void on_event(void *context, const char *name, enum spool_event event)
{
	struct spool *const spool = context;
	size_t base_len;
	if (!intake_wants(spool->config, last_part(name), &base_len))
		return;
	const struct spool_look *const look = spool_looks_find(&spool->looks, name);
	switch (event) {
	case SPOOL_EVENT_MOVED:
		/* Most often it was put away by this source. */
		if (look || !is_known_by_path(spool, name))
			look_at(spool, name, 0, true);
		return;
	case SPOOL_EVENT_CLOSED:
		look_at(spool, name, 0, false);
		return;
	case SPOOL_EVENT_WRITTEN: {
		const int64_t settle = settle_us(spool);
		const int64_t pause = settle < GROWING_US ? settle : GROWING_US;
		if (settle) /* else files come whole, and this one is not yet */
			look_at(spool, name, look && look->last_us ? look->last_us + pause : 0, false);
		return;
	}
	case SPOOL_EVENT_MADE:
		if (settle_us(spool))
			look_at(spool, name, monotonic_us() + settle_us(spool), false);
		return;
	case SPOOL_EVENT_CHANGED:
		if (look && look->failures)
			look_at(spool, name, 0, look->whole);
		return;
	}
}

static void on_renamed(void *context, const char *from, const char *to)
{
	struct spool *const spool = context;
	size_t base_len;
	/* What was put away, by this source or by hand, is another story. */
	if (!intake_wants(spool->config, last_part(from), &base_len) || base_len ||
	    !intake_wants(spool->config, last_part(to), &base_len) || base_len)
		return;
	look_at(spool, to, 0, true);
	struct spool_look *const look = spool_looks_find(&spool->looks, to);
	if (!look)
		return;
	free(look->renamed_from);
	look->renamed_from = strdup(from);
}

static void on_listed(void *context, const char *name, int dir_fd, const char *own)
{
	struct spool *const spool = context;
	size_t base_len;
	if (!intake_wants(spool->config, own, &base_len))
		return;
	if (spool_known_name(&spool->known, name)) {
		const bool turn = (spool_name_hash(name) ^ spool->listing) % KNOWN_PARTS == 0;
		if ((!spool->list_all && !turn) || is_known(spool, name, dir_fd, own))
			return;
	}
	/* Who waits for his time has been told of, if nothing was missed. */
	if (spool->list_all || !spool_looks_find(&spool->looks, name))
		look_at(spool, name, spool->listed_due_us + (base_len ? 1 : 0), false); /* new ones first */
}

static bool must_stop(void *context)
{
	const struct spool *const spool = context;
	return source_must_stop(spool->source);
}

static void list(struct spool *spool)
{
	const int64_t begin_us = monotonic_us();
	spool->listed_due_us = begin_us;
	spool->listing++;
	spool->cut = false;
	const bool listed = spool_watch_list(spool->watch);
	spool->listed_due_us = 0;
	if (listed && !spool->cut && !must_stop(spool))
		spool_known_sweep(&spool->known);
	if (listed && !spool->cut)
		spool->list_all = false;
	spool->list_end_us = monotonic_us();
	spool->list_cost_us = spool->list_end_us - begin_us;
	const bool no_memory = spool->cut && spool->looks.n < LOOKS_MAX;
	const int64_t pause_us = listed && !no_memory ? (int64_t)spool->config->scan_s * MICROS : RETRY_US;
	spool->list_due_us = spool->list_end_us + larger(pause_us, spool->list_cost_us * PAUSE_TIMES);
}

/* As soon as it may be. */
static void list_soon(struct spool *spool, int64_t now_us)
{
	const int64_t due_us = larger(now_us, spool->list_end_us + spool->list_cost_us * PAUSE_TIMES);
	if (due_us < spool->list_due_us)
		spool->list_due_us = due_us;
}

/* What comes of a look. */

static void done_with(struct spool *spool, struct spool_look *look)
{
	if (look->hinted) {
		spool_looks_due(&spool->looks, look, larger(0, earliest(look)));
		return;
	}
	if (look == spool->current)
		spool->current_gone = true;
	else
		spool_looks_remove(&spool->looks, look);
}

/* When nobody will have written to it for settle_ms, if nobody does. */
static int64_t settled_at(const struct spool *spool, const struct stat *st)
{
	const int64_t now_us = monotonic_us();
	if (!st)
		return now_us + settle_us(spool);
	const int64_t age_us = clock_now_us() - ((int64_t)st->st_mtim.tv_sec * MICROS + st->st_mtim.tv_nsec / 1000);
	return now_us + (age_us > 0 && age_us < settle_us(spool) ? settle_us(spool) - age_us : AGAIN_US);
}

static void on_file(void *context, const struct intake_file *file)
{
	struct spool *const spool = context;
	struct spool_look *const look = spool_looks_find(&spool->looks, file->name);
	if (!look)
		return;
	look->in_block = false;
	spool_look_count(look, file->counts);
	switch (file->outcome) {
	case INTAKE_GROWS: {
		const int64_t due_us = larger(settled_at(spool, file->st), earliest(look));
		if (due_us < look->due_us)
			spool_looks_due(&spool->looks, look, due_us);
		return;
	}
	case INTAKE_FAILED: {
		spool_say_failed(file, look);
		int64_t pause_s = spool->config->scan_s;
		for (unsigned i = 0; i < look->failures && pause_s < RETRY_MAX_S; i++)
			pause_s *= 2;
		look->failures++;
		const int64_t due_us = monotonic_us() + larger(pause_s * MICROS, look->cost_us * PAUSE_TIMES);
		if (due_us < look->due_us)
			spool_looks_due(&spool->looks, look, due_us);
		return;
	}
	case INTAKE_SKIPPED:
		spool_say_failed(file, look);
		if (file->st)
			spool_known_set(&spool->known, file->name, file->st);
		done_with(spool, look);
		return;
	case INTAKE_TAKEN:
	case INTAKE_HAD:
	case INTAKE_REUSED:
		spool_say_taken(file, look);
		look->failures = 0;
		look->said = 0;
		if (file->name_now && file->st) {
			spool_known_set(&spool->known, file->name_now, file->st);
			done_with(spool, look);
		} else { /* moved, deleted, or there, but not as it was read */
			spool_looks_due(&spool->looks, look, larger(monotonic_us() + AGAIN_US, earliest(look)));
		}
		return;
	}
}

static void on_committed(void *context, uint64_t lines)
{
	(void)lines;
	struct spool *const spool = context;
	struct intake_totals now;
	intake_durable(spool->intake, &now);
	const struct intake_totals *const told = &spool->told;
	const struct source_counts counts = {
		.lines = now.counts.lines - told->counts.lines,
		.events = now.counts.events - told->counts.events,
		.duplicates = now.counts.duplicates - told->counts.duplicates,
		.quarantined = now.counts.quarantined - told->counts.quarantined,
		.bytes = now.bytes - told->bytes,
		.files = now.files - told->files,
		.first_us = now.block_us,
	};
	spool->told = now;
	if (counts.lines || counts.files)
		source_committed(spool->source, &counts);
}

static int before_block(void *context, struct error *err)
{
	const struct spool *const spool = context;
	return source_wait_for_room(spool->source, err);
}

/* The loop. */

static int look_now(struct spool *spool, struct spool_look *look, struct error *err)
{
	if (look->in_block) {
		const int rc = intake_commit(spool->intake, err);
		if (rc < 0)
			return rc;
	}
	const int64_t begin_us = monotonic_us();
	const struct intake_how how = {.whole = look->whole, .renamed_from = look->renamed_from};
	enum intake_looked looked = INTAKE_LOOK_NONE;
	struct stat st;
	spool->current = look;
	spool->current_gone = false;
	look->hinted = false;
	look->in_block = true;
	spool_looks_due(&spool->looks, look, SPOOL_NEVER);
	const int rc = intake_look(spool->intake, look->name, &how, &looked, &st, err);
	spool->current = NULL;
	look->last_us = monotonic_us();
	look->cost_us = look->last_us - begin_us;
	if (rc < 0)
		return rc;
	if (looked == INTAKE_LOOK_SAME)
		spool_known_set(&spool->known, look->name, &st);
	if (looked != INTAKE_LOOK_TOLD || spool->current_gone)
		spool_looks_remove(&spool->looks, look);
	return 0;
}

/* Takes what is due, for a while. */
static int take_due(struct spool *spool, struct error *err)
{
	const int64_t begin_us = monotonic_us();
	int64_t now_us = begin_us;
	do {
		struct spool_look *const first = spool_looks_first(&spool->looks);
		if (!first || first->due_us > now_us || must_stop(spool))
			break;
		const int rc = look_now(spool, first, err);
		if (rc < 0)
			return rc;
		now_us = monotonic_us();
	} while (now_us - begin_us < BLOCK_US);
	return intake_commit(spool->intake, err);
}

static void wait_for_work(struct spool *spool)
{
	const struct spool_look *const first = spool_looks_first(&spool->looks);
	int64_t due_us = spool->list_due_us;
	if (first && first->due_us < due_us)
		due_us = first->due_us;
	const int64_t wait_ms = (due_us - monotonic_us() + 999) / 1000;
	if (wait_ms > 0)
		source_wait(spool->source, spool_watch_fd(spool->watch), wait_ms < INT32_MAX ? (int)wait_ms : INT32_MAX,
			    POLLIN);
}

/* After a burst its memory is given back. */
static void shrink(struct spool *spool)
{
	if (spool->looks.n || spool->most < 10000)
		return;
	spool->most = 0;
	malloc_trim(0);
}

static int work(struct spool *spool, struct error *err)
{
	int rc = 0;
	while (rc == 0 && !must_stop(spool)) {
		if (spool_watch_drain(spool->watch)) {
			spool->list_all = true;
			list_soon(spool, monotonic_us());
		}
		const int64_t now_us = monotonic_us();
		if (spool->cut && spool->looks.n < LOOKS_MAX / 2)
			list_soon(spool, now_us);
		if (now_us >= spool->list_due_us)
			list(spool);
		rc = take_due(spool, err);
		if (rc == 0) {
			shrink(spool);
			wait_for_work(spool);
		}
	}
	return rc;
}

/* What was not committed is looked at again. */
static void look_again(struct spool *spool)
{
	for (size_t i = 0; i < spool->looks.n; i++)
		spool->looks.heap[i]->in_block = false;
	spool->list_all = true;
	spool->list_due_us = 0;
	spool->told = (struct intake_totals){0};
}

static int make_state(struct source *source, struct error *err)
{
	struct spool *const spool = calloc(1, sizeof(*spool));
	if (!spool)
		return error_no_memory(err, sizeof(*spool));
	spool->source = source;
	spool->config = source->config;
	const struct spool_watch_hooks hooks = {
		.event = on_event, .renamed = on_renamed, .listed = on_listed, .stop = must_stop, .context = spool};
	const int rc = spool_watch_open(source->deployment, source->config, &hooks, &spool->watch, err);
	if (rc < 0) {
		free(spool);
		return rc;
	}
	source->state = spool;
	return 0;
}

static int run(struct source *source, struct error *err)
{
	int rc = source->state ? 0 : make_state(source, err);
	if (rc < 0 || !source->state)
		return rc;
	struct spool *const spool = source->state;
	const struct intake_hooks hooks = {.file = on_file,
					   .committed = on_committed,
					   .stop = must_stop,
					   .before_block = before_block,
					   .context = spool};
	rc = intake_open(source->deployment, source->journal, &hooks, &spool->intake, err);
	if (rc < 0)
		return rc;
	look_again(spool);
	rc = intake_enter(spool->intake, source->config, err);
	if (rc == 0)
		rc = work(spool, err);
	intake_leave(spool->intake);
	intake_close(spool->intake);
	spool->intake = NULL;
	return rc == ERROR_INTERRUPTED ? 0 : rc;
}

static void close_spool(struct source *source)
{
	struct spool *const spool = source->state;
	if (!spool)
		return;
	spool_watch_close(spool->watch);
	spool_known_release(&spool->known);
	spool_looks_release(&spool->looks);
	free(spool);
	source->state = NULL;
}

const struct source_driver source_spool = {.run = run, .close = close_spool, .keeps_lines = true};
