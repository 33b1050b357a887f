#include "base/csv.h"

#include <assert.h>

void csv_init(struct csv *csv, char delimiter, bool quotes)
{
	assert(delimiter != '\n' && delimiter != '\r' && !(quotes && delimiter == '"'));
	csv->delimiter = delimiter;
	csv->quotes = quotes;
	csv->skipping = false;
	csv->n_fields = 0;
	csv->raw = (struct slice){NULL, 0};
	csv->n_lines = 0;
	csv->torn = false;
	csv->unquoted = (struct buf){0};
}

void csv_release(struct csv *csv)
{
	if (csv)
		buf_release(&csv->unquoted);
}

/* What is looked at for one record. eof: the bytes end here, and so does the record at the latest. */
struct window {
	const char *begin;
	const char *end;
	bool eof;
};

/* A physical line: content, and where the next one begins. */
struct line {
	const char *end;  /* of the content: a CR before the LF (or before eof) is no content */
	const char *next; /* behind the LF; NULL: no whole line in the window */
};

static struct line find_line(const struct window *window, const char *from)
{
	const char *const lf = memchr(from, '\n', (size_t)(window->end - from));
	if (!lf && !window->eof)
		return (struct line){NULL, NULL};
	const char *end = lf ? lf : window->end;
	if (end > from && end[-1] == '\r')
		end--;
	return (struct line){end, lf ? lf + 1 : window->end};
}

static void add_field(struct csv *csv, const char *begin, const char *end)
{
	if (csv->n_fields < LIMIT_CSV_COLUMNS)
		csv->fields[csv->n_fields] = (struct slice){begin, (size_t)(end - begin)};
	csv->n_fields++;
}

/* Adds [begin, end), where every quote is doubled, as a field with single ones. The buffer was given room for the whole
 * window at once, so that fields that are there already do not move. */
static int add_unquoted_field(struct csv *csv, const struct window *window, const char *begin, const char *end)
{
	struct buf *const buf = &csv->unquoted;
	if (buf->len == 0 && buf_reserve(buf, (size_t)(window->end - window->begin)) < 0)
		return -1;
	char *const out = buf->data + buf->len;
	char *to = out;
	while (begin < end) {
		const char *quote = memchr(begin, '"', (size_t)(end - begin));
		const char *const stop = quote ? quote + 1 : end;
		memcpy(to, begin, (size_t)(stop - begin));
		to += stop - begin;
		begin = quote ? stop + 1 : stop;
	}
	add_field(csv, out, to);
	buf->len += (size_t)(to - out);
	return 0;
}

enum quoted_result { QUOTED_DONE, QUOTED_OPEN, QUOTED_BAD, QUOTED_NO_MEMORY };

/* Takes the quoted field whose content begins at *at; the line's end moves on when the field holds newlines. Then *at is
 * behind its last quote: at a delimiter or at line->end. QUOTED_OPEN: its end is not in the window. */
static enum quoted_result take_quoted(struct csv *csv, const struct window *window, struct line *line, const char **at)
{
	const char *const begin = *at;
	const char *from = begin;
	bool doubled = false;
	const char *quote;
	for (;;) {
		quote = memchr(from, '"', (size_t)(window->end - from));
		if (!quote || (quote + 1 == window->end && !window->eof))
			return QUOTED_OPEN;
		if (quote + 1 == window->end || quote[1] != '"')
			break;
		doubled = true;
		from = quote + 2;
	}
	const char *const behind = quote + 1;
	if (behind > line->end) {
		/* Told before the line's end is looked for, so that a long window is not searched for every stray quote. */
		if (behind < window->end && *behind != csv->delimiter && *behind != '\n' && *behind != '\r')
			return QUOTED_BAD;
		*line = find_line(window, behind);
		if (!line->next)
			return QUOTED_OPEN;
	}
	if (behind != line->end && *behind != csv->delimiter)
		return QUOTED_BAD;
	*at = behind;
	if (!doubled)
		add_field(csv, begin, quote);
	else if (add_unquoted_field(csv, window, begin, quote) < 0)
		return QUOTED_NO_MEMORY;
	return QUOTED_DONE;
}

/* Splits from `at` to the line's end at the delimiters: the most common case, without any quote. */
static void split_plain(struct csv *csv, const char *at, const char *end)
{
	const char delimiter = csv->delimiter;
	for (;;) {
		const char *const stop = memchr(at, delimiter, (size_t)(end - at));
		if (!stop)
			break;
		add_field(csv, at, stop);
		at = stop + 1;
	}
	add_field(csv, at, end);
}

static enum quoted_result split_quoted(struct csv *csv, const struct window *window, struct line *line)
{
	const char *at = window->begin;
	for (;;) {
		if (at < line->end && *at == '"') {
			at++;
			const enum quoted_result rc = take_quoted(csv, window, line, &at);
			if (rc != QUOTED_DONE)
				return rc;
		} else {
			const char *const stop = memchr(at, csv->delimiter, (size_t)(line->end - at));
			const char *const end = stop ? stop : line->end;
			add_field(csv, at, end);
			at = end;
		}
		if (at == line->end)
			return QUOTED_DONE;
		at++;
	}
}

static uint32_t count_lines(const char *at, const char *end)
{
	uint32_t n = 1;
	while ((at = memchr(at, '\n', (size_t)(end - at)))) {
		n++;
		at++;
	}
	return n;
}

/* The whole line from data on is too long: keeps its head, and goes on to its end. */
static enum csv_result skip_line(struct csv *csv, const char *data, size_t len, bool at_eof, size_t *used)
{
	if (!csv->skipping) {
		const size_t head = len < LIMIT_QUARANTINE_TEXT_BYTES + 1 ? len : LIMIT_QUARANTINE_TEXT_BYTES + 1;
		if (buf_append(&csv->unquoted, data, head) < 0)
			return CSV_NO_MEMORY;
		csv->skipping = true;
	}
	const char *const lf = len ? memchr(data, '\n', len) : NULL;
	*used = lf ? (size_t)(lf - data) + 1 : len;
	if (!lf && !at_eof)
		return CSV_MORE;
	csv->skipping = false;
	csv->raw = (struct slice){csv->unquoted.data, csv->unquoted.len};
	csv->n_lines = 1;
	csv->torn = !lf;
	return CSV_TOO_LONG;
}

/* A result about the bytes from the window's begin to the line's end. */
static enum csv_result report(struct csv *csv, const struct window *window, struct line line, enum csv_result result,
			      size_t *used)
{
	csv->raw = (struct slice){window->begin, (size_t)(line.end - window->begin)};
	*used = (size_t)(line.next - window->begin);
	csv->torn = window->eof && line.next[-1] != '\n';
	return result;
}

enum csv_result csv_next(struct csv *csv, const char *data, size_t len, bool at_eof, size_t *used)
{
	*used = 0;
	if (csv->skipping)
		return skip_line(csv, data, len, at_eof, used);
	if (len == 0)
		return at_eof ? CSV_END : CSV_MORE;
	csv->n_fields = 0;
	buf_clear(&csv->unquoted);
	const bool capped = len > CSV_WINDOW_BYTES;
	const struct window window = {data, data + (capped ? CSV_WINDOW_BYTES : len), at_eof && !capped};
	const struct line first = find_line(&window, data);
	if (!first.next)
		return len >= CSV_WINDOW_BYTES ? skip_line(csv, data, len, at_eof, used) : CSV_MORE;
	if ((size_t)(first.end - data) > LIMIT_LINE_BYTES)
		return skip_line(csv, data, len, at_eof, used);

	struct line line = first;
	csv->n_lines = 1;
	if (!csv->quotes || !memchr(data, '"', (size_t)(line.end - data))) {
		split_plain(csv, data, line.end);
	} else {
		switch (split_quoted(csv, &window, &line)) {
		case QUOTED_DONE:
			break;
		case QUOTED_OPEN:
			if (!at_eof && len < CSV_WINDOW_BYTES)
				return CSV_MORE;
			report(csv, &window, first, CSV_BAD_QUOTE, used);
			csv->torn = len < CSV_WINDOW_BYTES;
			return CSV_BAD_QUOTE;
		case QUOTED_BAD:
			return report(csv, &window, first, CSV_BAD_QUOTE, used);
		case QUOTED_NO_MEMORY:
			return CSV_NO_MEMORY;
		}
		if ((size_t)(line.end - data) > LIMIT_LINE_BYTES)
			return report(csv, &window, first, CSV_BAD_QUOTE, used);
		if (line.next != first.next)
			csv->n_lines = count_lines(data, line.end);
	}
	return report(csv, &window, line, csv->n_fields > LIMIT_CSV_COLUMNS ? CSV_TOO_WIDE : CSV_RECORD, used);
}
