#include "speed/http_split.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static const char *skip_blanks(const char *at, const char *end)
{
	while (at < end && is_blank(*at))
		at++;
	return at;
}

/* Behind the quote that ends the text which begins at `at`, behind its own; NULL when there is none. */
static const char *skip_text(const char *at, const char *end)
{
	while (at < end) {
		const char c = *at++;
		if (c == '"')
			return at;
		if (c == '\\' && at < end)
			at++;
	}
	return NULL;
}

/* Behind the value that begins at `at`: as many brackets closed as opened, of whatever kind. NULL when it has no end. */
static const char *skip_value(const char *at, const char *end)
{
	uint64_t depth = 0;
	while (at < end) {
		const char c = *at;
		if (depth == 0 && (is_blank(c) || c == ',' || c == ']' || c == '}'))
			return at;
		at++;
		switch (c) {
		case '"':
			at = skip_text(at, end);
			if (!at)
				return NULL;
			break;
		case '{':
		case '[':
			depth++;
			continue;
		case '}':
		case ']':
			depth--;
			break;
		default:
			continue;
		}
		if (depth == 0)
			return at; /* a text, or what brackets enclose, ends by itself */
	}
	return depth == 0 ? end : NULL;
}

static void count_lines(struct http_split *split, const char *until)
{
	for (const char *at = split->at; at < until && (at = memchr(at, '\n', (size_t)(until - at))); at++)
		split->line++;
	split->at = until;
}

static void go_over_blanks(struct http_split *split)
{
	count_lines(split, skip_blanks(split->at, split->end));
}

void http_split_begin(struct http_split *split, struct slice body)
{
	static const char MARK[] = "\xef\xbb\xbf";
	const char *const begin = body.len ? body.data : "";
	*split = (struct http_split){.at = begin, .end = begin + body.len, .line = 1};
	if (body.len >= 3 && memcmp(begin, MARK, 3) == 0)
		split->at += 3;
	const char *const first = skip_blanks(split->at, split->end);
	if (first == split->end || (*first != '[' && *first != '{'))
		return;
	if (*first == '[') {
		count_lines(split, first + 1);
		split->form = HTTP_SPLIT_ARRAY;
		return;
	}
	const char *const behind = skip_value(first, split->end);
	if (behind && skip_blanks(behind, split->end) == split->end)
		split->form = HTTP_SPLIT_ONE;
}

static int broken(const struct http_split *split, struct http_piece *piece, const char *problem)
{
	*piece = (struct http_piece){.line = split->line, .problem = problem};
	return -1;
}

static int next_line(struct http_split *split, struct http_piece *piece)
{
	go_over_blanks(split);
	if (split->at == split->end)
		return 0;
	const char *const lf = memchr(split->at, '\n', (size_t)(split->end - split->at));
	const char *until = lf ? lf : split->end;
	const char *const next = until;
	while (is_blank(until[-1]))
		until--; /* ends at a byte that is none: split->at is one */
	*piece = (struct http_piece){.text = {split->at, (size_t)(until - split->at)}, .line = split->line};
	split->at = next;
	return 1;
}

static int next_value(struct http_split *split, struct http_piece *piece)
{
	const char *const behind = skip_value(split->at, split->end);
	if (!behind)
		return broken(split, piece, "an object, a list or a text that begins here has no end");
	if (behind == split->at)
		return broken(split, piece, "an event is missing here");
	*piece = (struct http_piece){.text = {split->at, (size_t)(behind - split->at)}, .line = split->line};
	count_lines(split, behind);
	return 1;
}

static int end_array(struct http_split *split, struct http_piece *piece)
{
	split->at++;
	split->ended = true;
	go_over_blanks(split);
	return split->at == split->end ? 0 : broken(split, piece, "something stands behind the end of the list");
}

static int next_element(struct http_split *split, struct http_piece *piece)
{
	if (split->ended)
		return split->at == split->end ? 0
					       : broken(split, piece, "something stands behind the end of the list");
	go_over_blanks(split);
	if (split->at == split->end)
		return broken(split, piece, "the list has no end");
	if (*split->at == ']')
		return end_array(split, piece);
	if (split->begun && *split->at != ',')
		return broken(split, piece, "a comma or the end of the list is missing here");
	if (split->begun) {
		split->at++;
		go_over_blanks(split);
		if (split->at == split->end)
			return broken(split, piece, "the list has no end");
	}
	const int rc = next_value(split, piece);
	split->begun = true;
	return rc;
}

int http_split_next(struct http_split *split, struct http_piece *piece)
{
	switch (split->form) {
	case HTTP_SPLIT_ARRAY:
		return next_element(split, piece);
	case HTTP_SPLIT_ONE:
		go_over_blanks(split);
		return split->at == split->end ? 0 : next_value(split, piece);
	default:
		return next_line(split, piece);
	}
}
