#include "engine/lex.h"

/* The end of what begins at p with a quote mark: behind the closing one ('' inside is one character). */
static const char *skip_quoted(const char *p, const char *end)
{
	const char mark = *p++;
	while (p < end) {
		if (*p++ != mark)
			continue;
		if (p == end || *p != mark)
			return p;
		p++;
	}
	return end;
}

/* E'…' knows backslashes besides. */
static const char *skip_escaped(const char *p, const char *end)
{
	p += 2;
	while (p < end) {
		if (*p == '\\' && end - p > 1)
			p += 2;
		else if (*p != '\'')
			p++;
		else if (end - p > 1 && p[1] == '\'')
			p += 2;
		else
			return p + 1;
	}
	return end;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* $tag$…$tag$, or just past the $ when it begins no such text ($1 is a parameter). */
static const char *skip_dollar(const char *p, const char *end)
{
	const char *tag_end = p + 1;
	while (tag_end < end && (is_letter(*tag_end) || (tag_end > p + 1 && is_digit(*tag_end))))
		tag_end++;
	if (tag_end == end || *tag_end != '$')
		return p + 1;
	const size_t tag_len = (size_t)(tag_end - p) + 1;
	const char *const found = memmem(tag_end + 1, (size_t)(end - tag_end - 1), p, tag_len);
	return found ? found + tag_len : end;
}

/* Comments in comments count. */
static const char *skip_block_comment(const char *p, const char *end)
{
	unsigned depth = 0;
	while (end - p > 1) {
		if (p[0] == '/' && p[1] == '*') {
			depth++;
			p += 2;
		} else if (p[0] == '*' && p[1] == '/') {
			p += 2;
			if (--depth == 0)
				return p;
		} else {
			p++;
		}
	}
	return end;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

enum sql_token sql_next(struct slice *rest, struct slice *token)
{
	if (rest->len == 0)
		return SQL_END;
	const char *const start = rest->data;
	const char *const end = start + rest->len;
	const char next = rest->len > 1 ? start[1] : '\0';
	const char *p = start + 1;
	enum sql_token kind = SQL_OTHER;
	if (is_blank(*start)) {
		kind = SQL_BLANK;
		while (p < end && is_blank(*p))
			p++;
	} else if (*start == '-' && next == '-') {
		kind = SQL_BLANK;
		while (p < end && *p != '\n')
			p++;
	} else if (*start == '/' && next == '*') {
		kind = SQL_BLANK;
		p = skip_block_comment(start, end);
	} else if (*start == ';') {
		kind = SQL_SEMICOLON;
	} else if (*start == '\'' || *start == '"') {
		p = skip_quoted(start, end);
	} else if ((*start == 'e' || *start == 'E') && next == '\'') {
		p = skip_escaped(start, end);
	} else if (*start == '$') {
		p = skip_dollar(start, end);
	} else if (is_letter(*start)) {
		kind = SQL_WORD;
		while (p < end && (is_letter(*p) || is_digit(*p) || *p == '$'))
			p++;
	} else if (is_digit(*start)) {
		while (p < end && (is_letter(*p) || is_digit(*p)))
			p++;
	}
	*token = (struct slice){start, (size_t)(p - start)};
	*rest = (struct slice){p, (size_t)(end - p)};
	return kind;
}

bool sql_next_statement(struct slice *rest, struct slice *statement)
{
	struct slice token;
	const char *start = NULL;
	const char *end = NULL;
	for (;;) {
		const enum sql_token kind = sql_next(rest, &token);
		if (kind == SQL_BLANK)
			continue;
		if (kind == SQL_END || kind == SQL_SEMICOLON) {
			if (start) {
				*statement = (struct slice){start, (size_t)(end - start)};
				return true;
			}
			if (kind == SQL_END)
				return false;
			continue;
		}
		if (!start)
			start = token.data;
		end = token.data + token.len;
	}
}
