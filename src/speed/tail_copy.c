#include "speed/tail_internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

/* Texts shorter than this are told by their names as well: two tills may begin with the same lines. */
#define ALIKE_BYTES STREAM_PRINT_BYTES
/* When to look again at what cannot be decided yet: later each time. */
#define AGAIN_MIN_US INT64_C(20000)
#define AGAIN_MAX_US INT64_C(2000000)

/* What packed files begin with. Rotated logs are often packed, and a pattern may name those as well. */
static const struct slice PACKED[] = {
	{"\x1F\x8B", 2},
	{"BZh", 3},
	{"\xFD"
	 "7zXZ\0",
	 6},
	{"\x28\xB5\x2F\xFD", 4},
	{"PK\3\4", 4},
};

/* 1: it is; 0: not; -1: it is too short to say. */
static int is_packed(int fd)
{
	char bytes[6];
	const ssize_t n = pread(fd, bytes, sizeof(bytes), 0);
	for (size_t i = 0; i < sizeof(PACKED) / sizeof(PACKED[0]); i++) {
		const size_t len = PACKED[i].len;
		if (n > 0 && memcmp(bytes, PACKED[i].data, (size_t)n < len ? (size_t)n : len) == 0)
			return (size_t)n >= len ? 1 : -1;
	}
	return 0;
}

static bool begins_with(const char *name, const char *with)
{
	return strncmp(name, with, strlen(with)) == 0;
}

/* A file that was removed is none, though it can be read to its end. */
static bool has_file(const struct text *text)
{
	struct stat st;
	return text->ino != 0 && !(text->fd >= 0 && fstat(text->fd, &st) == 0 && st.st_nlink == 0);
}

/* Whether bytes alone tell that these are one text. */
static bool is_enough(const struct text *known, const struct text *text, uint64_t bytes)
{
	if (bytes >= ALIKE_BYTES)
		return true;
	const char *const name = text->name ? text->name : text->own_name;
	/* A file that was made under the name of one that was renamed begins anew, whatever it begins with. */
	if (has_file(known) && strcmp(name, known->own_name) == 0)
		return false;
	return begins_with(name, known->own_name) || begins_with(known->own_name, name);
}

/* Whether both files have the same bytes here. */
static bool is_same_at(int a, int b, uint64_t at, size_t len)
{
	unsigned char x[STREAM_PRINT_BYTES];
	unsigned char y[STREAM_PRINT_BYTES];
	return pread(a, x, len, (off_t)at) == (ssize_t)len && pread(b, y, len, (off_t)at) == (ssize_t)len &&
	       memcmp(x, y, len) == 0;
}

/* Whether a file that is shorter than what was taken of a text is a beginning of it. -1: the text's file cannot be looked at now. */
static int is_beginning(const struct tail *tail, const struct text *known, const struct text *text, uint64_t size)
{
	const int fd = text->fd;
	const size_t len = size < STREAM_PRINT_BYTES ? (size_t)size : STREAM_PRINT_BYTES;
	if (!has_file(known) && known->fd < 0) {
		unsigned char head[STREAM_PRINT_BYTES];
		if (text->beginning_of == known->number && text->beginning_bytes == size)
			return true; /* it was, when the other had its file still */
		return known->head_print.len == STREAM_PRINT_BYTES && len == STREAM_PRINT_BYTES &&
		       pread(fd, head, len, 0) == (ssize_t)len && stream_print_is_of(&known->head_print, head);
	}
	struct stat st;
	errno = ENOENT;
	const int other = known->fd >= 0 ? known->fd : known->name ? tail_open_file(tail, known->name, true, &st) : -1;
	if (other < 0)
		return errno == ENOMEM || errno == EMFILE || errno == ENFILE || errno == EIO || errno == ESTALE ? -1
														: 0;
	const bool same = is_same_at(fd, other, 0, len) && is_same_at(fd, other, size - len, len);
	if (other != known->fd)
		close(other);
	return same;
}

static int count_lines(int fd, uint64_t size, struct lines_place *place, struct error *err)
{
	enum { CHUNK = 64 * 1024 };
	_cleanup_free_ char *chunk = malloc(CHUNK);
	if (!chunk)
		return error_no_memory(err, CHUNK);
	*place = (struct lines_place){0};
	char last = '\n';
	while (place->bytes < size) {
		const uint64_t left = size - place->bytes;
		const ssize_t n = pread(fd, chunk, left < CHUNK ? (size_t)left : CHUNK, (off_t)place->bytes);
		if (n <= 0)
			return error_set(err, ERROR_IO, "cannot read a file that was just looked at");
		for (const char *at = chunk; (at = memchr(at, '\n', (size_t)(chunk + n - at))); at++)
			place->line++;
		last = chunk[n - 1];
		place->bytes += (uint64_t)n;
	}
	place->in_rest = last != '\n';
	place->line += place->in_rest;
	return 0;
}

/* The known text goes on in the file of the undecided one, which is given up. */
static int go_on_in(struct tail *tail, struct text *known, struct text *text, struct error *err)
{
	const int fd = text->fd;
	struct stat st;
	if (fstat(fd, &st) < 0)
		return error_set(err, ERROR_IO, "cannot look at %s", text->own_name);
	if (known->fd >= 0) {
		if (known->wd >= 0)
			inotify_rm_watch(tail->inotify_fd, known->wd);
		close(known->fd);
	}
	if (text->wd >= 0) {
		known->wd = text->wd;
		text->wd = -1;
	}
	text->fd = -1;
	free(known->name);
	known->name = text->name;
	text->name = NULL;
	known->seen = text->seen;
	known->store = true;
	known->dev = st.st_dev;
	known->ino = st.st_ino;
	known->rotated_us = tail_is_rotated(known) ? clock_now_us() : 0;
	LOG_INFO("found the rest of a file", log_text("source", tail->source->config->name),
		 log_text("file", known->own_name), log_text("in", known->name));
	tail_drop_text(tail, text);
	return tail_attach(tail, known, fd, &st, err);
}

static bool is_quiet(const struct tail *tail, const struct stat *st)
{
	const int64_t age_us = clock_now_us() - ((int64_t)st->st_mtim.tv_sec * 1000000 + st->st_mtim.tv_nsec / 1000);
	return age_us < 0 || age_us >= (int64_t)tail->source->config->settle_ms * 1000;
}

/* Whether both begin alike, and nothing was taken of the known one yet, but will be: then more can be said. */
static bool may_become_copy(const struct text *known, const struct text *text, uint64_t size)
{
	struct stat st;
	if (!known->has_stream || known->fd < 0 || fstat(known->fd, &st) < 0 ||
	    !(known->dirty || (known->stream.window.len && !known->stream.idle)))
		return false;
	const uint64_t both = (uint64_t)st.st_size < size ? (uint64_t)st.st_size : size;
	const size_t len = both < STREAM_PRINT_BYTES ? (size_t)both : STREAM_PRINT_BYTES;
	return is_enough(known, text, both) && is_same_at(known->fd, text->fd, 0, len) &&
	       is_same_at(known->fd, text->fd, both - len, len);
}

enum found { FOUND_NOTHING, FOUND_REST, FOUND_COPY, FOUND_BEGINNING, FOUND_WAIT };

static enum found compare(const struct tail *tail, const struct text *known, struct text *text, const struct stat *st)
{
	const uint64_t size = (uint64_t)st->st_size;
	const uint64_t taken = tail_taken(known);
	if (known == text || known->state != TEXT_KNOWN)
		return FOUND_NOTHING;
	if (tail_lines(known) == 0)
		return may_become_copy(known, text, size) ? FOUND_WAIT : FOUND_NOTHING;
	if (!is_enough(known, text, size < taken ? size : taken))
		return FOUND_NOTHING;
	if (size < taken) {
		const int is = is_beginning(tail, known, text, size);
		if (is <= 0)
			return is < 0 ? FOUND_WAIT : FOUND_NOTHING;
		text->beginning_of = known->number;
		text->beginning_bytes = size;
		return is_quiet(tail, st) ? FOUND_BEGINNING : FOUND_WAIT;
	}
	if (!tail_has_text(known, text->fd, st))
		return FOUND_NOTHING;
	struct stat now;
	const struct lines_stream *const stream = &known->stream;
	const bool open = known->fd >= 0 && fstat(known->fd, &now) == 0;
	const bool behind = open && (uint64_t)now.st_size > stream->at + stream->window.len;
	if (!has_file(known))
		return behind ? FOUND_WAIT : FOUND_REST;
	/* A copy of more than was taken yet: once that is taken, or lost with the file, it can be said what is new in the copy. */
	if (open && size > taken && (uint64_t)now.st_size >= size && (behind || (stream->window.len && !stream->idle)))
		return FOUND_WAIT;
	return FOUND_COPY;
}

static int begin_as(struct tail *tail, struct text *text, enum found found, const struct text *known, uint64_t size,
		    struct error *err)
{
	struct lines_place place = {0};
	if (found == FOUND_COPY) {
		const struct lines_stream *const stream = &known->stream;
		place = known->has_stream ? stream->durable
					  : (struct lines_place){known->bytes, known->line, known->in_rest};
	} else if (found == FOUND_BEGINNING) {
		const int rc = count_lines(text->fd, size, &place, err);
		if (rc < 0)
			return rc;
	}
	if (known)
		LOG_INFO("a file is a copy of another, and is not taken again",
			 log_text("source", tail->source->config->name), log_text("file", text->own_name),
			 log_text("of", known->own_name));
	return tail_begin(tail, text, &place, err);
}

static void look_again(struct text *text)
{
	text->again_step_us = text->again_step_us ? text->again_step_us * 2 : AGAIN_MIN_US;
	if (text->again_step_us > AGAIN_MAX_US)
		text->again_step_us = AGAIN_MAX_US;
	text->again_us = clock_now_us() + text->again_step_us;
}

int tail_decide(struct tail *tail, struct text *text, bool *gone, struct error *err)
{
	struct stat st;
	*gone = false;
	text->dirty = false;
	text->again_us = 0;
	if (fstat(text->fd, &st) < 0)
		return error_set(err, ERROR_IO, "cannot look at %s", text->own_name);
	if (st.st_size == 0) {
		*gone = !text->seen; /* removed, or cut: then it is met again */
		if (*gone)
			tail_drop_text(tail, text);
		return 0;
	}
	const int packed = is_packed(text->fd);
	if (packed < 0 && !is_quiet(tail, &st)) {
		look_again(text);
		return 0;
	}
	if (packed > 0) {
		LOG_INFO("a file is packed, and is left alone: a source of type tail takes text",
			 log_text("source", tail->source->config->name), log_text("file", text->own_name));
		tail_ignore(tail, text);
		return 0;
	}
	struct text *best = NULL;
	enum found found = FOUND_NOTHING;
	for (size_t i = tail->n_texts; i-- > 0;) {
		struct text *const known = tail->texts[i];
		const enum found is = compare(tail, known, text, &st);
		if (is == FOUND_NOTHING)
			continue;
		/* One that has lost its file comes first; of others the newest. */
		if (!best || (is == FOUND_REST && found != FOUND_REST)) {
			best = known;
			found = is;
		}
	}
	if (found == FOUND_WAIT) {
		look_again(text);
		return 0;
	}
	*gone = true;
	if (found == FOUND_REST)
		return go_on_in(tail, best, text, err);
	struct error fault = {0};
	const int rc = begin_as(tail, text, found, best, (uint64_t)st.st_size, &fault);
	*gone = rc < 0;
	if (rc == 0)
		return 0;
	tail_say_unreadable(tail, text->own_name, &fault);
	tail_drop_text(tail, text);
	return rc == ERROR_NO_MEMORY || rc == ERROR_CONFIG ? error_set(err, rc, "%s", fault.message) : 0;
}

int tail_find_rest(struct tail *tail, const char *name, struct error *err)
{
	for (size_t i = tail->n_texts; i-- > 0;) {
		struct text *const known = tail->texts[i];
		if (known->state != TEXT_KNOWN || has_file(known) || known->complete || tail_lines(known) == 0 ||
		    !begins_with(name, known->own_name))
			continue;
		struct stat st;
		const int fd = tail_open_file(tail, name, false, &st);
		if (fd < 0 && errno == ENOMEM)
			return error_no_memory(err, strlen(name));
		if (fd < 0) {
			struct error fault = {0};
			error_errno(&fault, errno, "cannot open it");
			if (errno != ENOENT && errno != EINVAL && errno != ELOOP)
				tail_say_unreadable(tail, name, &fault);
			return 0;
		}
		if (!tail_has_text(known, fd, &st)) {
			close(fd);
			continue;
		}
		struct text *const text = tail_add_text(tail, name, err);
		if (!text) {
			close(fd);
			return ERROR_NO_MEMORY;
		}
		text->fd = fd;
		text->seen = true;
		return go_on_in(tail, known, text, err);
	}
	return 0;
}
