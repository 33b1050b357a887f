#include "speed/tail_internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/uio.h>
#include <unistd.h>

#define READ_BYTES ((size_t)256 * 1024)
/* So many bytes before a position are read again with those behind it: a file that was cut is noticed whatever it has grown to. */
#define OVERLAP_BYTES 256u

struct text *tail_add_text(struct tail *tail, const char *name, struct error *err)
{
	if (tail->n_texts == tail->cap) {
		const size_t cap = tail->cap ? tail->cap * 2 : 16;
		struct text **const more = realloc(tail->texts, cap * sizeof(void *));
		if (!more) {
			error_no_memory(err, cap * sizeof(void *));
			return NULL;
		}
		tail->texts = more;
		tail->cap = cap;
	}
	struct text *const text = calloc(1, sizeof(*text));
	if (!text) {
		error_no_memory(err, sizeof(*text));
		return NULL;
	}
	text->fd = text->wd = -1;
	text->own_name = strdup(name);
	text->name = strdup(name);
	if (!text->own_name || !text->name) {
		tail_text_free(text);
		error_no_memory(err, strlen(name));
		return NULL;
	}
	text->number = ++tail->last_number;
	tail->texts[tail->n_texts++] = text;
	return text;
}

void tail_text_free(struct text *text)
{
	if (!text)
		return;
	if (text->fd >= 0)
		close(text->fd);
	lines_stream_close(&text->stream);
	free(text->known);
	free(text->own_name);
	free(text->name);
	free(text);
}

void tail_drop_text(struct tail *tail, struct text *text)
{
	for (size_t i = 0; i < tail->n_texts; i++) {
		if (tail->texts[i] != text)
			continue;
		memmove(&tail->texts[i], &tail->texts[i + 1], (tail->n_texts - i - 1) * sizeof(void *));
		tail->n_texts--;
		break;
	}
	tail_detach(tail, text);
	tail_text_free(text);
}

uint64_t tail_taken(const struct text *text)
{
	return text->has_stream ? text->stream.durable.bytes : text->bytes;
}

uint64_t tail_lines(const struct text *text)
{
	return text->had.lines + (text->has_stream ? text->stream.counts.lines : 0);
}

bool tail_is_rotated(const struct text *text)
{
	return !text->ino || !text->name || strcmp(text->name, text->own_name) != 0;
}

/* Files. */

int tail_open_file(const struct tail *tail, const char *name, bool follow, struct stat *st)
{
	_cleanup_free_ char *path = text_printf("%s/%s", tail->dir, name);
	if (!path) {
		errno = ENOMEM;
		return -1;
	}
	const int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW));
	if (fd < 0)
		return -1;
	if (fstat(fd, st) == 0 && S_ISREG(st->st_mode))
		return fd;
	close(fd);
	errno = EINVAL;
	return -1;
}

static bool read_at(int fd, void *to, size_t len, uint64_t at)
{
	return pread(fd, to, len, (off_t)at) == (ssize_t)len;
}

bool tail_has_text(const struct text *text, int fd, const struct stat *st)
{
	const uint64_t taken = tail_taken(text);
	unsigned char bytes[STREAM_PRINT_BYTES];
	if ((uint64_t)st->st_size < taken)
		return false;
	const struct stream_print *const head = &text->head_print;
	const struct stream_print *const before = &text->before_print;
	return read_at(fd, bytes, head->len, 0) && stream_print_is_of(head, bytes) &&
	       read_at(fd, bytes, before->len, taken - before->len) && stream_print_is_of(before, bytes);
}

static void watch(const struct tail *tail, struct text *text)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", text->fd);
	if (tail->inotify_fd >= 0)
		text->wd = inotify_add_watch(tail->inotify_fd, path, IN_MODIFY | IN_ATTRIB);
}

/* Where a text begins: behind the hole that is left by who goes on writing to a file that was cut. */
static off_t find_beginning(int fd)
{
	char bytes[4096];
	const off_t data = lseek(fd, 0, SEEK_DATA);
	off_t at = data > 0 ? data : 0;
	for (;;) {
		const ssize_t n = pread(fd, bytes, sizeof(bytes), at);
		ssize_t nuls = 0;
		while (nuls < n && bytes[nuls] == '\0')
			nuls++;
		if (n <= 0 || nuls < n)
			return at + nuls;
		at += n;
	}
}

/* The header stands at the text's beginning. */
static int read_header(struct text *text, struct error *err)
{
	const off_t beginning = text->stream.has_header ? 0 : find_beginning(text->fd);
	for (size_t size = 16 * 1024; !text->stream.has_header; size *= 8) {
		_cleanup_buf_ struct buf bytes = {0};
		if (buf_reserve(&bytes, size) < 0)
			return error_no_memory(err, size);
		const ssize_t n = pread(text->fd, bytes.data, size, beginning);
		if (n < 0)
			return error_errno(err, errno, "cannot read %s", text->own_name);
		const int rc =
			lines_stream_header(&text->stream, (struct slice){bytes.data, (size_t)n}, text->own_name, err);
		if (rc < 0)
			return rc;
		if (!text->stream.has_header && ((size_t)n < size || size > 2 * CSV_WINDOW_BYTES))
			return error_set(err, ERROR_INPUT, "%s has no header", text->own_name);
	}
	return 0;
}

static int open_stream(struct tail *tail, struct text *text, struct error *err)
{
	const struct lines_place place = {text->bytes, text->line, text->in_rest};
	text->known = calloc(1, sizeof(*text->known));
	if (!text->known)
		return error_no_memory(err, sizeof(*text->known));
	const int rc = lines_stream_open(tail->lines, &text->stream, slice_of(text->own_name), &place, err);
	if (rc < 0) {
		free(text->known);
		text->known = NULL;
		return rc;
	}
	text->has_stream = true;
	text->named = false;
	const uint64_t head = place.bytes < STREAM_PRINT_BYTES ? place.bytes : STREAM_PRINT_BYTES;
	if (!read_at(text->fd, text->known->head, (size_t)head, 0) ||
	    !read_at(text->fd, text->known->before, (size_t)head, place.bytes - head))
		return error_set(err, ERROR_IO, "cannot read %s again", text->own_name);
	text->known->head_len = text->known->before_len = (uint32_t)head;
	return place.line ? read_header(text, err) : 0;
}

int tail_begin(struct tail *tail, struct text *text, const struct lines_place *place, struct error *err)
{
	text->state = TEXT_KNOWN;
	text->bytes = place->bytes;
	text->line = place->line;
	text->in_rest = place->in_rest;
	text->dirty = true;
	text->store = place->bytes != 0;
	const int rc = open_stream(tail, text, err);
	if (rc < 0)
		return rc;
	stream_print_make((struct slice){(const char *)text->known->head, text->known->head_len}, &text->head_print);
	stream_print_make((struct slice){(const char *)text->known->before, text->known->before_len},
			  &text->before_print);
	return rc;
}

int tail_attach(struct tail *tail, struct text *text, int fd, const struct stat *st, struct error *err)
{
	text->fd = fd;
	text->dev = st->st_dev;
	text->ino = st->st_ino;
	text->dirty = text->verified = true;
	text->at_end = false;
	watch(tail, text);
	if (text->state != TEXT_KNOWN || text->has_stream)
		return 0;
	struct error fault = {0};
	const int rc = open_stream(tail, text, &fault);
	if (rc == 0)
		return 0;
	/* It is opened again with the next scan. */
	tail_detach(tail, text);
	text->verified = false;
	if (rc == ERROR_NO_MEMORY || rc == ERROR_CONFIG)
		return error_set(err, rc, "%s", fault.message);
	tail_say_unreadable(tail, text->own_name, &fault);
	return 0;
}

void tail_say_unreadable(struct tail *tail, const char *name, const struct error *fault)
{
	tail->must_try_again = true;
	LOG_WARNING("a file cannot be read", log_text("source", tail->source->config->name), log_text("file", name),
		    log_error(fault));
}

void tail_detach(struct tail *tail, struct text *text)
{
	if (text->wd >= 0)
		inotify_rm_watch(tail->inotify_fd, text->wd);
	struct stat st;
	if (text->fd >= 0) {
		if (fstat(text->fd, &st) == 0) {
			text->changed = st.st_ctim;
			text->closed_bytes = (uint64_t)st.st_size;
		}
		close(text->fd);
	}
	text->fd = text->wd = -1;
	text->dirty = false;
	if (!text->has_stream)
		return;
	const struct lines_stream *const stream = &text->stream;
	text->bytes = stream->durable.bytes;
	text->line = stream->durable.line;
	text->in_rest = stream->durable.in_rest;
	intake_counts_add(&text->had, &stream->counts);
	lines_stream_close(&text->stream);
	text->has_stream = false;
	free(text->known);
	text->known = NULL;
}

void tail_lose_file(struct text *text)
{
	text->dev = text->ino = 0;
	text->verified = false;
	text->store = text->stored;
	if (!text->rotated_us)
		text->rotated_us = clock_now_us();
}

int tail_split(struct tail *tail, struct text *text, struct error *err)
{
	struct text *const other = tail_add_text(tail, text->name ? text->name : text->own_name, err);
	if (!other)
		return ERROR_NO_MEMORY;
	if (!text->name) {
		free(other->name);
		other->name = NULL;
	}
	other->fd = text->fd;
	other->wd = text->wd;
	other->dev = text->dev;
	other->ino = text->ino;
	other->dirty = true;
	text->fd = text->wd = -1;
	text->dirty = false;
	text->at_end = true;
	free(text->name);
	text->name = NULL;
	tail_lose_file(text);
	tail->must_scan = true;
	return 0;
}

void tail_ignore(struct tail *tail, struct text *text)
{
	tail_detach(tail, text);
	text->state = TEXT_IGNORED;
}

/* Reading. */

static bool is_continued(const struct text *text, const unsigned char *overlap, size_t len)
{
	unsigned char before[STREAM_PRINT_BYTES];
	const uint32_t n = tail_bytes_before(text, text->stream.at + text->stream.window.len, before);
	return n >= len && memcmp(before + n - len, overlap, len) == 0;
}

static void keep_head(struct text *text, uint64_t at, const char *bytes, size_t len)
{
	if (at != text->known->head_len || at >= STREAM_PRINT_BYTES)
		return;
	const size_t room = STREAM_PRINT_BYTES - text->known->head_len;
	const size_t n = len < room ? len : room;
	memcpy(text->known->head + text->known->head_len, bytes, n);
	text->known->head_len += (uint32_t)n;
}

static enum text_read read_once(struct text *text, size_t want, size_t *got, struct error *err)
{
	struct lines_stream *const stream = &text->stream;
	const uint64_t at = stream->at + stream->window.len;
	unsigned char overlap[OVERLAP_BYTES];
	const uint64_t known = text->known->before_len + stream->window.len;
	const size_t check = known < OVERLAP_BYTES ? (size_t)known : OVERLAP_BYTES;
	char *const to = lines_room(stream, want);
	*got = 0;
	if (!to) {
		error_no_memory(err, want);
		return TEXT_FAULT;
	}
	const struct iovec to_both[] = {{overlap, check}, {to, want}};
	const ssize_t n = preadv(text->fd, to_both, 2, (off_t)(at - check));
	if (n < 0) {
		error_errno(err, errno, "cannot read %s", text->own_name);
		return TEXT_FAULT;
	}
	if ((size_t)n < check || !is_continued(text, overlap, check))
		return TEXT_CUT;
	*got = (size_t)n - check;
	keep_head(text, at, to, *got);
	lines_added(stream, *got, clock_now_us());
	return TEXT_READ;
}

enum text_read tail_read(struct text *text, struct error *err)
{
	text->dirty = false;
	while (lines_wants_more(&text->stream)) {
		struct stat st;
		if (fstat(text->fd, &st) < 0) {
			error_errno(err, errno, "cannot read %s", text->own_name);
			return TEXT_FAULT;
		}
		const uint64_t at = text->stream.at + text->stream.window.len;
		if ((uint64_t)st.st_size < at)
			return TEXT_CUT;
		const uint64_t left = (uint64_t)st.st_size - at;
		size_t got;
		/* A byte more, so that what came since is noticed. */
		const enum text_read read =
			read_once(text, left < READ_BYTES ? (size_t)left + 1 : READ_BYTES, &got, err);
		if (read != TEXT_READ)
			return read;
		text->at_end = got == 0;
		if (got == 0)
			return TEXT_READ;
	}
	text->dirty = true;
	return TEXT_READ;
}
