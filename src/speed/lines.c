#include "speed/lines.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/utf8.h"
#include "speed/intake_internal.h"

#include <limits.h>
#include <stdlib.h>
#include <time.h>

/* The most that a window holds while it waits for the end of an order of many lines; then the order ends. */
#define WINDOW_BYTES_MAX (80u * LIMIT_LINE_BYTES)
/* A window that is empty gives its memory back when it is larger than this. */
#define WINDOW_BYTES_KEPT (256u * 1024u)
/* What is shown of a line that has no end. */
#define GIVEN_UP_BYTES 200u

struct lines {
	struct source *source;
	struct intake *intake; /* takes the records */
	struct lines_stream **taken;
	size_t n_taken;
	size_t taken_cap;
	int64_t committed_ms; /* by the monotonic clock */
};

static int64_t monotonic_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int stop_when_full(const struct intake *intake)
{
	return block_writer_size(&intake->block) >= LINES_BLOCK_BYTES ? 1 : 0;
}

int lines_open(struct source *source, struct lines **out, struct error *err)
{
	struct lines *const lines = calloc(1, sizeof(*lines));
	if (!lines)
		return error_no_memory(err, sizeof(*lines));
	lines->source = source;
	const int rc =
		intake_open(source->deployment, source->journal, &(const struct intake_hooks){0}, &lines->intake, err);
	if (rc < 0) {
		free(lines);
		return rc;
	}
	lines->intake->source = source->config;
	*out = lines;
	return 0;
}

void lines_close(struct lines *lines)
{
	if (!lines)
		return;
	lines_abort(lines);
	/* They are the streams'. */
	lines->intake->format = NULL;
	lines->intake->label = (struct buf){0};
	intake_close(lines->intake);
	free(lines->taken);
	free(lines);
}

static int never_stop(const struct intake *intake)
{
	(void)intake;
	return 0;
}

/* Streams. */

int lines_stream_name(struct lines_stream *stream, struct slice name, struct error *err)
{
	_cleanup_buf_ struct buf escaped = {0};
	buf_clear(&stream->label);
	if (utf8_escape(&escaped, name.data, name.len, (size_t)NAME_MAX * 4) < 0 ||
	    block_label((struct slice){escaped.data, escaped.len}, &stream->label) < 0)
		return error_no_memory(err, name.len);
	return 0;
}

int lines_stream_open(struct lines *lines, struct lines_stream *stream, struct slice name,
		      const struct lines_place *place, struct error *err)
{
	*stream = (struct lines_stream){.durable = *place, .at = place->bytes};
	int rc = order_format_open(lines->source->deployment, lines->source->config->format, &stream->format, err);
	if (rc == 0)
		rc = lines_stream_name(stream, name, err);
	if (rc < 0) {
		lines_stream_close(stream);
		return rc;
	}
	stream->has_header = !order_format_is_csv(stream->format);
	return 0;
}

void lines_stream_close(struct lines_stream *stream)
{
	order_format_close(stream->format);
	buf_release(&stream->label);
	buf_release(&stream->window);
	buf_release(&stream->head);
	buf_release(&stream->next_head);
	*stream = (struct lines_stream){0};
}

void lines_stream_pause(struct lines_stream *stream)
{
	order_format_close(stream->format);
	stream->format = NULL;
	stream->idle = stream->settled = false;
}

int lines_stream_resume(struct lines *lines, struct lines_stream *stream, struct error *err)
{
	return order_format_open(lines->source->deployment, lines->source->config->format, &stream->format, err);
}

bool lines_wants_more(const struct lines_stream *stream)
{
	return stream->window.len < (stream->idle ? WINDOW_BYTES_MAX : LINES_BLOCK_BYTES + CSV_WINDOW_BYTES);
}

char *lines_room(struct lines_stream *stream, size_t bytes)
{
	return buf_reserve(&stream->window, bytes) < 0 ? NULL : stream->window.data + stream->window.len;
}

void lines_added(struct lines_stream *stream, size_t bytes, int64_t now_us)
{
	stream->window.len += bytes;
	stream->last_us = now_us;
	if (!stream->first_us)
		stream->first_us = now_us;
	if (bytes)
		stream->idle = stream->settled = false;
}

int lines_settle_ms(const struct lines_stream *stream, uint32_t settle_ms)
{
	if (!stream->window.len || stream->settled)
		return -1;
	const int64_t left_us = stream->last_us + (int64_t)settle_ms * 1000 - clock_now_us();
	/* A clock that was set back does not make it wait for longer. */
	const int64_t left_ms = (left_us + 999) / 1000;
	return left_ms <= 0 ? 0 : left_ms > (int64_t)settle_ms ? (int)settle_ms : (int)left_ms;
}

void lines_give_up(const struct lines *lines, const struct lines_stream *stream)
{
	const struct buf *const window = &stream->window;
	_cleanup_buf_ struct buf text = {0};
	if (!window->len)
		return;
	(void)utf8_escape(&text, window->data, window->len, GIVEN_UP_BYTES);
	LOG_WARNING("the end of a line never came, and its beginning is left out",
		    log_text("source", lines->source->config->name), log_uint("bytes", window->len),
		    log_slice("text", (struct slice){text.data, text.len}));
}

/* Headers. */

/* The bytes of a UTF-8 byte order mark at the beginning. */
static size_t mark_bytes(struct slice text)
{
	return text.len >= 3 && memcmp(text.data, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
}

static int read_header(struct order_format *format, struct slice text, bool whole, const char *name, size_t *end,
		       uint64_t *lines, struct error *err)
{
	struct csv csv;
	csv_init(&csv, order_format_delimiter(format), true);
	size_t at = mark_bytes(text);
	int rc = 0;
	*end = 0;
	*lines = 0;
	for (;;) {
		size_t used;
		const enum csv_result result = csv_next(&csv, text.data + at, text.len - at, whole, &used);
		if (result == CSV_END || (result == CSV_MORE && !csv.skipping))
			break;
		csv.skipping = false;
		if (result == CSV_NO_MEMORY)
			rc = error_no_memory(err, text.len);
		else if (result != CSV_RECORD)
			rc = error_set(err, ERROR_INPUT, "%s: line 1 is no header of a CSV file", name);
		else if (csv.raw.len)
			rc = order_format_header(format, csv.fields, csv.n_fields, name, err);
		if (rc < 0)
			break;
		at += used;
		*lines += csv.n_lines;
		if (csv.raw.len) {
			*end = at;
			break;
		}
	}
	csv_release(&csv);
	return rc;
}

int lines_stream_header(struct lines_stream *stream, struct slice beginning, const char *name, struct error *err)
{
	if (stream->has_header)
		return 0;
	size_t end;
	uint64_t n;
	const int rc = read_header(stream->format, beginning, false, name, &end, &n, err);
	stream->has_header = rc == 0 && end != 0;
	return rc;
}

/* Batches. */

int lines_begin(struct lines *lines, struct error *err)
{
	struct intake *const intake = lines->intake;
	intake->now_us = clock_now_us();
	intake->latest_us =
		intake->now_us + (int64_t)intake->deployment->config->future_limit_h * 3600 * INT64_C(1000000);
	lines->n_taken = 0;
	return intake_begin_block(intake, err);
}

bool lines_full(const struct lines *lines)
{
	return stop_when_full(lines->intake) != 0;
}

static int remember_taken(struct lines *lines, struct lines_stream *stream, struct error *err)
{
	if (lines->n_taken == lines->taken_cap) {
		const size_t cap = lines->taken_cap ? lines->taken_cap * 2 : 16;
		struct lines_stream **const more = realloc(lines->taken, cap * sizeof(void *));
		if (!more)
			return error_no_memory(err, cap * sizeof(void *));
		lines->taken = more;
		lines->taken_cap = cap;
	}
	lines->taken[lines->n_taken++] = stream;
	stream->taken = true;
	return 0;
}

/* Where in the window it is read. */
struct cursor {
	const char *data;
	size_t len;
	size_t at;
	size_t record_at; /* where the record begins that is read */
	bool ended;
};

/* Passes over the end of a line of which the beginning was taken. */
static void skip_rest(struct lines_stream *stream, struct cursor *cursor)
{
	if (!stream->next.in_rest || cursor->at == cursor->len)
		return;
	const char *const from = cursor->data + cursor->at;
	const char *const lf = memchr(from, '\n', cursor->len - cursor->at);
	cursor->at = lf ? (size_t)(lf - cursor->data) + 1 : cursor->len;
	stream->next.in_rest = !lf;
}

static void skip_nuls(const struct lines_stream *stream, struct cursor *cursor)
{
	while (stream->skip_nuls && stream->durable.line == 0 && !stream->skipping && cursor->at < cursor->len &&
	       cursor->data[cursor->at] == '\0')
		cursor->at++;
}

static int take_header(struct lines *lines, struct lines_stream *stream, struct cursor *cursor, struct error *err)
{
	uint64_t n = 0;
	size_t used;
	const char *const name = buf_text(&stream->label);
	const struct slice text = {cursor->data + cursor->at, cursor->len - cursor->at};
	const int rc = read_header(stream->format, text, cursor->ended, name ? name : "", &used, &n, err);
	if (rc < 0)
		return error_prefix(err, "source %s", lines->source->config->name);
	if (used == 0)
		return 0;
	cursor->at += used;
	lines->intake->line += n;
	stream->next_header = true;
	return 0;
}

/* Takes records until there is no whole one. 1: the block is full. */
static int take_records(struct lines_stream *stream, struct intake *intake, struct cursor *cursor, struct error *err)
{
	for (;;) {
		size_t used;
		const enum csv_result result = csv_next(&intake->csv, cursor->data + cursor->at,
							cursor->len - cursor->at, cursor->ended, &used);
		cursor->record_at = cursor->at;
		if (result == CSV_NO_MEMORY)
			return error_no_memory(err, LIMIT_LINE_BYTES);
		if (result == CSV_END || result == CSV_MORE) {
			cursor->at += used;
			return 0;
		}
		intake->offset = stream->at + cursor->at;
		const struct slice text = {cursor->data + cursor->at, used};
		const int rc = intake_take_text(intake, result, text, err);
		if (rc != 0)
			return rc;
		cursor->at += used;
		intake->line += intake->csv.n_lines;
		stream->next.in_rest = intake->csv.torn && used && cursor->data[cursor->at - 1] != '\n';
	}
}

static int take(struct lines *lines, struct lines_stream *stream, struct cursor *cursor, bool flush, struct error *err)
{
	struct intake *const intake = lines->intake;
	int rc = 0;
	skip_nuls(stream, cursor);
	if (!stream->has_header)
		rc = take_header(lines, stream, cursor, err);
	else if (stream->at == 0 && !stream->skipping)
		cursor->at += mark_bytes((struct slice){cursor->data + cursor->at, cursor->len - cursor->at});
	if (rc < 0 || !stream->next_header)
		return rc;
	skip_rest(stream, cursor);
	cursor->record_at = cursor->at;
	if (stream->next.in_rest)
		return 0;
	rc = take_records(stream, intake, cursor, err);
	if (rc == 0 && flush)
		rc = intake_flush_pending(intake, err);
	return rc;
}

/* Says where the stream goes on behind what was taken. */
static int set_next(struct lines_stream *stream, struct intake *intake, const struct cursor *cursor, struct error *err)
{
	const struct mark *const order = pending_any(&intake->pending) ? &intake->order_start.mark : NULL;
	stream->next_skipping = !order && intake->csv.skipping;
	stream->next_at = order ? order->offset : stream->at + cursor->at;
	stream->next.bytes = stream->next_at;
	stream->next.line = order ? order->line : intake->line;
	intake_give_up_pending(intake);
	stream->next_counts = intake->counts;
	stream->idle = stream->next_at == stream->at;
	if (!stream->next_skipping)
		return 0;
	/* A line that goes on all the while began where it began. */
	stream->next.bytes =
		stream->skipping && cursor->record_at == 0 ? stream->durable.bytes : stream->at + cursor->record_at;
	buf_clear(&stream->next_head);
	return buf_append(&stream->next_head, intake->csv.unquoted.data, intake->csv.unquoted.len) < 0
		       ? error_no_memory(err, intake->csv.unquoted.len)
		       : 0;
}

int lines_take(struct lines *lines, struct lines_stream *stream, enum lines_end end, struct error *err)
{
	struct intake *const intake = lines->intake;
	const char *const data = stream->window.len ? stream->window.data : "";
	struct cursor cursor = {.data = data, .len = stream->window.len, .ended = end != LINES_OPEN};
	if (end == LINES_SETTLED) {
		const char *const lf = memrchr(data, '\n', cursor.len);
		cursor.len = lf ? (size_t)(lf - data) + 1 : 0;
		cursor.ended = lf || !stream->skipping; /* a long line without an end goes on */
	}
	int rc = remember_taken(lines, stream, err);
	if (rc < 0)
		return rc;
	stream->next = stream->durable;
	stream->next_header = stream->has_header;
	intake->format = stream->format;
	intake->label = stream->label;
	intake->label_written = false;
	intake->between = end == LINES_WHOLE ? never_stop : stop_when_full;
	intake->counts = (struct intake_counts){0};
	intake->line = stream->durable.line;
	csv_init(&intake->csv, order_format_delimiter(stream->format), order_format_is_csv(stream->format));
	intake->csv.skipping = stream->skipping;
	if (stream->skipping && buf_append(&intake->csv.unquoted, stream->head.data, stream->head.len) < 0)
		rc = error_no_memory(err, stream->head.len);
	if (rc == 0)
		rc = take(lines, stream, &cursor, end != LINES_OPEN || stream->window.len >= WINDOW_BYTES_MAX, err);
	const bool full = rc > 0;
	if (rc >= 0)
		rc = set_next(stream, intake, &cursor, err);
	stream->settled = rc == 0 && !full && end != LINES_OPEN;
	pending_clear(&intake->pending);
	csv_release(&intake->csv);
	return rc == 0 && full ? 1 : rc;
}

void lines_add_to(const struct lines_stream *stream, struct intake_position *position)
{
	position->bytes += stream->next_at - stream->at;
	position->line += stream->next.line - stream->durable.line;
	position->time_us = clock_now_us();
	intake_counts_add(&position->counts, &stream->next_counts);
}

static void end_batch(struct lines *lines)
{
	for (size_t i = 0; i < lines->n_taken; i++)
		lines->taken[i]->taken = false;
	lines->n_taken = 0;
}

void lines_abort(struct lines *lines)
{
	if (lines->intake->begun)
		journal_abort(lines->source->journal);
	lines->intake->begun = false;
	for (size_t i = 0; i < lines->n_taken; i++)
		lines->taken[i]->idle = lines->taken[i]->settled = false;
	end_batch(lines);
}

static void move_on(struct lines_stream *stream)
{
	const size_t used = (size_t)(stream->next_at - stream->at);
	const size_t left = stream->window.len - used;
	if (used && left)
		memmove(stream->window.data, stream->window.data + used, left);
	stream->window.len = left;
	if (left == 0 && stream->window.cap > WINDOW_BYTES_KEPT)
		buf_release(&stream->window);
	if (stream->next_skipping) {
		const struct buf head = stream->head;
		stream->head = stream->next_head;
		stream->next_head = head;
	}
	stream->durable = stream->next;
	stream->at = stream->next_at;
	stream->skipping = stream->next_skipping;
	stream->has_header = stream->next_header;
	intake_counts_add(&stream->counts, &stream->next_counts);
	stream->first_us = left ? stream->last_us : 0;
}

int lines_commit(struct lines *lines, unsigned files, bool force, struct error *err)
{
	struct intake *const intake = lines->intake;
	struct source_counts counts = {.files = files};
	bool moved = force;
	for (size_t i = 0; i < lines->n_taken; i++) {
		const struct lines_stream *const stream = lines->taken[i];
		moved = moved || lines_moved(stream);
		counts.lines += stream->next_counts.lines;
		counts.events += stream->next_counts.events;
		counts.duplicates += stream->next_counts.duplicates;
		counts.quarantined += stream->next_counts.quarantined;
		counts.bytes += stream->next_at - stream->at;
		if (stream->next_counts.lines && (!counts.first_us || stream->first_us < counts.first_us))
			counts.first_us = stream->first_us;
	}
	int rc = 0;
	if (block_writer_has_records(&intake->block)) {
		uint64_t seq;
		rc = journal_append(lines->source->journal, block_writer_finish(&intake->block), &seq, err);
	}
	if (rc == 0 && moved) {
		intake->begun = false;
		rc = journal_commit(lines->source->journal, err);
	}
	if (rc < 0) {
		lines_abort(lines);
		return rc;
	}
	for (size_t i = 0; i < lines->n_taken; i++)
		move_on(lines->taken[i]);
	end_batch(lines);
	if (!moved) {
		lines_abort(lines);
		return 0;
	}
	lines->committed_ms = monotonic_ms();
	source_committed(lines->source, &counts);
	return 0;
}

int lines_linger_ms(const struct lines *lines)
{
	const int64_t left = lines->committed_ms + LINES_LINGER_MS - monotonic_ms();
	return left > 0 && left <= LINES_LINGER_MS ? (int)left : 0;
}
