#include "speed/piped.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#define READ_BYTES ((size_t)256 * 1024)

int piped_open(struct source *source, struct piped *piped, struct error *err)
{
	*piped = (struct piped){.source = source};
	return lines_open(source, &piped->lines, err);
}

void piped_close(struct piped *piped)
{
	lines_stream_close(&piped->stream);
	lines_close(piped->lines);
	*piped = (struct piped){0};
}

void piped_pause(struct piped *piped)
{
	lines_close(piped->lines);
	piped->lines = NULL;
	lines_stream_pause(&piped->stream);
	piped->source = NULL;
}

int piped_resume(struct piped *piped, struct source *source, struct error *err)
{
	piped->source = source;
	int rc = lines_open(source, &piped->lines, err);
	if (rc == 0 && piped->started)
		rc = lines_stream_resume(piped->lines, &piped->stream, err);
	if (rc < 0)
		piped_pause(piped);
	return rc;
}

int piped_start(struct piped *piped, const char *prefix, struct error *err)
{
	const struct source *const source = piped->source;
	int rc = piped->known ? 0
			      : stream_position_read_pipe(source->journal, source->config->name, &piped->position, err);
	if (rc < 0)
		return rc;
	piped->known = true;
	struct stream_position next = piped->position;
	const int64_t started_us = stream_position_start(&next, clock_now_us());
	_cleanup_free_ char *name = text_printf("%s-%lld", prefix, (long long)started_us);
	if (!name)
		return error_no_memory(err, sizeof(*piped));
	lines_stream_close(&piped->stream);
	rc = lines_stream_open(piped->lines, &piped->stream, slice_of(name), &(const struct lines_place){0}, err);
	piped->started = rc == 0;
	piped->ended = false;
	piped->position = next;
	return rc;
}

static int read_once(struct piped *piped, int fd, struct error *err)
{
	char *const to = lines_room(&piped->stream, READ_BYTES);
	if (!to)
		return error_no_memory(err, READ_BYTES);
	const ssize_t n = read(fd, to, READ_BYTES);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	/* Who hung up at the other end of a terminal gives EIO. */
	if (n < 0 && errno == EIO && isatty(fd)) {
		piped->ended = true;
		return 0;
	}
	if (n < 0)
		return error_errno(err, errno, "source %s: cannot read", piped->source->config->name);
	if (n == 0)
		piped->ended = true;
	else
		lines_added(&piped->stream, (size_t)n, clock_now_us());
	return 0;
}

int piped_read(struct piped *piped, int fd, struct error *err)
{
	const int64_t until_us = clock_now_us() + (int64_t)lines_linger_ms(piped->lines) * 1000;
	int rc = 0;
	int left_ms;
	do {
		rc = read_once(piped, fd, err);
		const int64_t left_us = until_us - clock_now_us();
		left_ms = left_us > LINES_LINGER_MS * 1000 ? LINES_LINGER_MS : left_us > 0 ? (int)(left_us / 1000) : 0;
	} while (rc == 0 && !piped->ended && lines_wants_more(&piped->stream) &&
		 source_wait(piped->source, fd, left_ms, POLLIN));
	return rc;
}

/* One block. *more: it was full. */
static int take_block(struct piped *piped, enum lines_end end, bool *more, struct error *err)
{
	struct lines_stream *const stream = &piped->stream;
	int rc = lines_begin(piped->lines, err);
	if (rc == 0)
		rc = lines_take(piped->lines, stream, end, err);
	*more = rc > 0;
	struct stream_position next = piped->position;
	if (rc >= 0) {
		lines_add_to(stream, &next.common);
		next.common.complete = piped->ended && !*more;
		rc = stream_position_set_pipe(piped->source->journal, piped->source->config->name, &next, err);
	}
	if (rc < 0) {
		lines_abort(piped->lines);
		return rc;
	}
	rc = lines_commit(piped->lines, 0, next.common.complete, err);
	if (rc == 0)
		piped->position = next;
	return rc;
}

int piped_take(struct piped *piped, enum lines_end end, bool wait, struct error *err)
{
	bool more = lines_waiting(&piped->stream) != 0;
	int rc = 0;
	while (rc == 0 && more) {
		if (wait)
			rc = source_wait_for_room(piped->source, err);
		if (rc == 0)
			rc = take_block(piped, end, &more, err);
	}
	return rc;
}

void piped_give_up(struct piped *piped)
{
	lines_give_up(piped->lines, &piped->stream);
}
