/*
 * The source "tail": files that grow, and are rotated by renaming or by cutting them short.
 *
 * What is known of a text lives at source->state from one run to the next: the open descriptors of files that were moved away or
 * removed, which nobody could open again, and what was read of them.
 */
#include "speed/tail_internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

/* What is read before a block is made; the rest of what there is has its turn after. */
#define ROUND_BYTES ((size_t)4 * 1024 * 1024)
/* Besides being told by the system, which tells nothing of what happens at the other end of a network file system. */
#define TICK_US       INT64_C(2000000)
#define TICK_BLIND_US INT64_C(1000000)
/* Whoever wrote to a file that was renamed may do so for a while. */
#define KEEP_OPEN_US INT64_C(60000000)
/* A directory that changes all the time is listed again after so many times the time that took. */
#define SCAN_SHARE 10

static int set_path(struct tail *tail, struct error *err)
{
	_cleanup_free_ char *path = deployment_path(tail->source->deployment, tail->source->config->path);
	if (!path)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	char *const slash = strrchr(path, '/');
	tail->pattern = strdup(slash ? slash + 1 : path);
	tail->dir = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
	return tail->pattern && tail->dir ? 0 : error_no_memory(err, LIMIT_PATH_BYTES);
}

static void tail_free(struct tail *tail)
{
	if (!tail)
		return;
	for (size_t i = 0; i < tail->n_texts; i++)
		tail_text_free(tail->texts[i]);
	free(tail->texts);
	lines_close(tail->lines);
	if (tail->inotify_fd >= 0)
		close(tail->inotify_fd);
	free(tail->dir);
	free(tail->pattern);
	free(tail);
}

static struct tail *tail_new(struct source *source, struct error *err)
{
	struct tail *const tail = calloc(1, sizeof(*tail));
	if (!tail) {
		error_no_memory(err, sizeof(*tail));
		return NULL;
	}
	tail->source = source;
	tail->dir_wd = -1;
	tail->must_scan = true;
	tail->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (tail->inotify_fd < 0)
		LOG_WARNING("the system tells nothing of changes to files; they are looked at every second",
			    log_text("source", source->config->name), log_int("errno", errno));
	int rc = set_path(tail, err);
	if (rc == 0)
		rc = lines_open(source, &tail->lines, err);
	if (rc == 0)
		rc = tail_load_texts(tail, err);
	if (rc < 0) {
		tail_free(tail);
		return NULL;
	}
	return tail;
}

/* Being told of changes. */

/* What was told is lost: all is looked at again. */
static void look_at_all(struct tail *tail)
{
	tail->must_scan = true;
	for (size_t i = 0; i < tail->n_texts; i++)
		tail->texts[i]->dirty = tail->texts[i]->fd >= 0;
}

static void note_event(struct tail *tail, const struct inotify_event *event)
{
	if (event->mask & IN_Q_OVERFLOW) {
		look_at_all(tail);
		return;
	}
	if (event->wd == tail->dir_wd) {
		tail->must_scan = true;
		if (event->mask & IN_IGNORED)
			tail->dir_wd = -1;
		return;
	}
	for (size_t i = 0; i < tail->n_texts; i++) {
		struct text *const text = tail->texts[i];
		if (text->wd == event->wd) {
			text->dirty = text->fd >= 0;
			if (event->mask & IN_IGNORED)
				text->wd = -1;
			return;
		}
	}
}

static void read_events(struct tail *tail)
{
	_Alignas(struct inotify_event) char buffer[16 * 1024];
	ssize_t n;
	while (tail->inotify_fd >= 0 && (n = read(tail->inotify_fd, buffer, sizeof(buffer))) > 0) {
		const char *at = buffer;
		while (at < buffer + n) {
			const struct inotify_event *const event = (const void *)at;
			note_event(tail, event);
			at += sizeof(*event) + event->len;
		}
	}
}

/* What the system may not have told. */
static void tick(struct tail *tail)
{
	struct stat st;
	tail->ticked_us = clock_now_us();
	if (tail->must_try_again || tail->dir_missing || stat(tail->dir, &st) < 0 ||
	    st.st_mtim.tv_sec != tail->dir_changed.tv_sec || st.st_mtim.tv_nsec != tail->dir_changed.tv_nsec ||
	    st.st_ino != tail->dir_ino)
		tail->must_scan = true;
	for (size_t i = 0; i < tail->n_texts; i++) {
		struct text *const text = tail->texts[i];
		_cleanup_free_ char *path = text->name ? text_printf("%s/%s", tail->dir, text->name) : NULL;
		if (text->state == TEXT_IGNORED && path && stat(path, &st) == 0 &&
		    (uint64_t)st.st_size < text->closed_bytes)
			tail->must_scan = true;
		if (text->fd < 0 || fstat(text->fd, &st) < 0)
			continue;
		const uint64_t at = text->has_stream ? text->stream.at + text->stream.window.len : 0;
		if ((uint64_t)st.st_size != at)
			text->dirty = true;
		/* A link may point elsewhere now. */
		if (path && (stat(path, &st) < 0 || st.st_ino != text->ino || st.st_dev != text->dev))
			tail->must_scan = true;
	}
}

/* What is to be done with a text. */

static bool is_settled(const struct tail *tail, int64_t since_us, int64_t now_us)
{
	const int64_t age_us = now_us - since_us;
	return age_us < 0 || age_us >= (int64_t)tail->source->config->settle_ms * 1000;
}

/* When the text of a file that was renamed, removed or cut can be taken for ended; 0: not. */
static int64_t ends_after_us(const struct text *text)
{
	if (text->state != TEXT_KNOWN || text->complete || !text->rotated_us || text->dirty ||
	    (text->fd >= 0 && !text->at_end) || (text->fd < 0 && text->ino))
		return 0;
	const int64_t last_us = text->has_stream ? text->stream.last_us : 0;
	return last_us > text->rotated_us ? last_us : text->rotated_us;
}

/* Whether there is something to take of it, and how. */
static bool has_work(const struct tail *tail, const struct text *text, int64_t now_us, enum lines_end *end)
{
	if (text->state != TEXT_KNOWN)
		return false;
	*end = LINES_OPEN;
	if (text->has_stream && text->stream.window.len && !text->stream.idle)
		return true;
	/* One that has just lost its file may be gone on with in a copy that was made before. */
	const bool may_go_on = text->fd < 0 && (tail->must_scan || tail->must_try_again);
	const int64_t ended_us = may_go_on ? 0 : ends_after_us(text);
	if (ended_us && is_settled(tail, ended_us, now_us)) {
		*end = LINES_ENDED;
		return true;
	}
	if (text->has_stream && lines_settle_ms(&text->stream, tail->source->config->settle_ms) == 0) {
		*end = LINES_SETTLED;
		return true;
	}
	return text->store;
}

/* Reading. */

static int read_text(struct tail *tail, struct text *text, struct error *err)
{
	struct error fault = {0};
	switch (tail_read(text, &fault)) {
	case TEXT_READ:
		return 0;
	case TEXT_CUT:
		LOG_INFO("a file was cut, or written anew", log_text("source", tail->source->config->name),
			 log_text("file", text->name ? text->name : text->own_name));
		return tail_split(tail, text, err);
	default:
		if (fault.code == ERROR_NO_MEMORY)
			return error_set(err, fault.code, "%s", fault.message);
		tail_say_unreadable(tail, text->own_name, &fault);
		return 0;
	}
}

static int read_all(struct tail *tail, size_t *bytes, struct error *err)
{
	int rc = 0;
	const size_t n = tail->n_texts;
	*bytes = 0;
	for (size_t k = 0; rc == 0 && k < n && *bytes < ROUND_BYTES; k++) {
		struct text *const text = tail->texts[(tail->next_turn + k) % n];
		if (text->state != TEXT_KNOWN || !text->has_stream)
			continue;
		if (text->fd >= 0 && text->dirty)
			rc = read_text(tail, text, err);
		*bytes += text->stream.idle ? 0 : text->stream.window.len;
	}
	return rc;
}

static int decide_all(struct tail *tail, struct error *err)
{
	const int64_t now_us = clock_now_us();
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < tail->n_texts; i++) {
		struct text *const text = tail->texts[i];
		bool gone = false;
		if (text->state == TEXT_UNDECIDED && text->fd >= 0 &&
		    (text->dirty || (text->again_us && text->again_us <= now_us)))
			rc = tail_decide(tail, text, &gone, err);
		i -= gone;
	}
	return rc;
}

/* Blocks. */

struct share {
	struct text *text;
	bool taken;
	bool complete;
};

static int take_share(struct tail *tail, struct share *share, enum lines_end end, bool *full, struct error *err)
{
	struct text *const text = share->text;
	int rc = text->has_stream ? tail_name(tail, text, err) : 0;
	if (rc == 0 && text->has_stream) {
		rc = lines_take(tail->lines, &text->stream, end, err);
		share->taken = rc >= 0;
		*full = rc > 0;
	}
	if (rc < 0)
		return rc;
	share->complete = end == LINES_ENDED ? !*full : text->complete && !(share->taken && lines_moved(&text->stream));
	return tail_store(tail, text, share->taken, share->complete, err);
}

/* A header that is none stops the file, and no other. */
static int leave_out(struct tail *tail, struct text *text, struct error *fault, struct error *err)
{
	if (fault->code != ERROR_INPUT)
		return error_set(err, fault->code, "%s", fault->message);
	LOG_ERROR("a file is left out", log_text("source", tail->source->config->name),
		  log_text("file", text->own_name), log_error(fault));
	tail_ignore(tail, text);
	return 0;
}

static int commit_shares(struct tail *tail, struct share *shares, size_t n, struct error *err)
{
	bool must = false;
	unsigned files = 0;
	for (size_t i = 0; i < n; i++) {
		const struct text *const text = shares[i].text;
		const bool completed = shares[i].complete && !text->complete;
		files += completed;
		must = must || completed || text->store || (shares[i].taken && lines_moved(&text->stream));
	}
	const int rc = lines_commit(tail->lines, files, must, err);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		const bool stored = shares[i].text->stored;
		tail_stored(shares[i].text, shares[i].taken, shares[i].complete);
		shares[i].text->stored = stored || must;
	}
	if (rc < 0 || !must)
		tail_not_stored(tail);
	return rc;
}

/* Takes what there is into one block. *busy: there may be more at once. */
static int take_block(struct tail *tail, bool *busy, struct error *err)
{
	const int64_t now_us = clock_now_us();
	_cleanup_free_ struct share *shares = calloc(tail->n_texts + 1, sizeof(*shares));
	if (!shares)
		return error_no_memory(err, tail->n_texts * sizeof(*shares));
	int rc = source_wait_for_room(tail->source, err);
	if (rc == 0)
		rc = lines_begin(tail->lines, err);
	size_t n = 0;
	bool full = false;
	const size_t n_texts = tail->n_texts;
	const size_t first = tail->next_turn;
	for (size_t k = 0; rc == 0 && k < n_texts && !full; k++) {
		struct text *const text = tail->texts[(first + k) % n_texts];
		enum lines_end end;
		if (!has_work(tail, text, now_us, &end))
			continue;
		struct error fault = {0};
		shares[n] = (struct share){.text = text};
		rc = take_share(tail, &shares[n++], end, &full, &fault);
		tail->next_turn = (first + k) % n_texts;
		if (rc < 0) {
			lines_abort(tail->lines);
			tail_not_stored(tail);
			return leave_out(tail, text, &fault, err);
		}
	}
	if (rc < 0)
		return rc;
	*busy = full;
	return commit_shares(tail, shares, n, err);
}

static bool any_work(const struct tail *tail)
{
	const int64_t now_us = clock_now_us();
	enum lines_end end;
	for (size_t i = 0; i < tail->n_texts; i++)
		if (has_work(tail, tail->texts[i], now_us, &end))
			return true;
	return false;
}

static void close_ended(struct tail *tail)
{
	const int64_t now_us = clock_now_us();
	for (size_t i = 0; i < tail->n_texts; i++) {
		struct text *const text = tail->texts[i];
		if (!text->complete || text->dirty || text->store || !text->has_stream)
			continue;
		const int64_t age_us =
			now_us - (text->stream.last_us > text->rotated_us ? text->stream.last_us : text->rotated_us);
		if (text->fd < 0 || (tail_is_rotated(text) && text->at_end && (age_us < 0 || age_us >= KEEP_OPEN_US)))
			tail_detach(tail, text);
	}
}

static int step(struct tail *tail, bool *busy, struct error *err)
{
	size_t bytes = 0;
	*busy = false;
	int rc = decide_all(tail, err);
	if (rc == 0)
		rc = read_all(tail, &bytes, err);
	const int linger_ms = lines_linger_ms(tail->lines);
	if (rc == 0 && bytes && bytes < LINES_BLOCK_BYTES && linger_ms) {
		source_wait(tail->source, -1, linger_ms, 0);
		read_events(tail);
		rc = read_all(tail, &bytes, err);
	}
	if (rc == 0 && any_work(tail))
		rc = take_block(tail, busy, err);
	close_ended(tail);
	return rc;
}

/* Waiting. */

static void earlier(int64_t *until_us, int64_t at_us)
{
	if (at_us < *until_us)
		*until_us = at_us;
}

static int64_t next_scan_us(const struct tail *tail)
{
	return tail->scanned_us + SCAN_SHARE * tail->scan_took_us;
}

static int wait_ms(const struct tail *tail)
{
	const int64_t now_us = clock_now_us();
	const int64_t settle_us = (int64_t)tail->source->config->settle_ms * 1000;
	bool blind = tail->inotify_fd < 0 || tail->dir_wd < 0;
	int64_t until_us = now_us + TICK_US;
	if (tail->must_scan)
		earlier(&until_us, next_scan_us(tail));
	for (size_t i = 0; i < tail->n_texts; i++) {
		const struct text *const text = tail->texts[i];
		blind = blind || (text->fd >= 0 && text->wd < 0);
		if (text->state == TEXT_IGNORED)
			continue;
		if (text->state == TEXT_UNDECIDED && text->again_us)
			earlier(&until_us, text->again_us);
		if (text->dirty && (text->state == TEXT_UNDECIDED || lines_wants_more(&text->stream)))
			return 0;
		const int64_t ended_us = ends_after_us(text);
		if (ended_us)
			earlier(&until_us, ended_us + settle_us);
		const int settle_ms =
			text->has_stream ? lines_settle_ms(&text->stream, (uint32_t)(settle_us / 1000)) : -1;
		if (settle_ms >= 0)
			earlier(&until_us, now_us + settle_ms * INT64_C(1000));
	}
	if (blind)
		earlier(&until_us, now_us + TICK_BLIND_US);
	return until_us <= now_us ? 0 : (int)((until_us - now_us + 999) / 1000);
}

static int follow(struct tail *tail, struct error *err)
{
	int rc = 0;
	while (rc == 0 && !source_must_stop(tail->source)) {
		const int64_t now_us = clock_now_us();
		const int64_t since_us = now_us - tail->scanned_us;
		if (tail->must_scan && (since_us < 0 || now_us >= next_scan_us(tail)))
			rc = tail_scan(tail, err);
		bool busy = false;
		if (rc == 0)
			rc = step(tail, &busy, err);
		if (rc < 0 || busy)
			continue;
		source_wait(tail->source, tail->inotify_fd, wait_ms(tail), POLLIN);
		read_events(tail);
		const int64_t ticked_us = clock_now_us() - tail->ticked_us;
		if (ticked_us < 0 || ticked_us >= TICK_BLIND_US)
			tick(tail);
	}
	return rc;
}

static int run(struct source *source, struct error *err)
{
	struct error fault = {0};
	struct tail *const tail = source->state ? source->state : tail_new(source, &fault);
	if (!tail)
		return error_set(err, fault.code, "%s", fault.message);
	source->state = tail;
	/* It may have ended by an error, in the middle of anything. */
	look_at_all(tail);
	const int rc = follow(tail, err);
	return rc == ERROR_INTERRUPTED && source_must_stop(source) ? 0 : rc;
}

static void close_state(struct source *source)
{
	tail_free(source->state);
	source->state = NULL;
}

const struct source_driver source_tail = {.run = run, .close = close_state, .keeps_lines = true};
