#include "speed/flume_conf_internal.h"

#define MORE "it has something that only Java's regular expressions have"

/* What a letter behind a backslash stands for, within brackets; NULL: itself, or nothing that is known. */
static const char *class_of(char letter)
{
	switch (letter) {
	case 'd':
		return "0-9";
	case 'w':
		return "A-Za-z0-9_";
	case 's':
		return " \t\n\v\f\r";
	default:
		return NULL;
	}
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (unsigned char)c >= 0x80;
}

/* Behind "[": up to the bracket's end. NULL: it cannot be said. A bracket of POSIX has no escapes, and ']' stands first in it, '-'
 * last: rather than to sort, what would need it is refused. */
static const char *take_bracket(const char *at, struct buf *out, int *rc)
{
	*rc = buf_append_text(out, "[");
	if (*at == '^' && *rc == 0)
		*rc = buf_append(out, at++, 1);
	if (*at == ']' || *at == '\0')
		return NULL;
	for (; *rc == 0 && *at != ']'; at++) {
		if (*at == '\0' || *at == '[' || (at[0] == '&' && at[1] == '&'))
			return NULL;
		if (*at != '\\') {
			*rc = buf_append(out, at, 1);
			continue;
		}
		at++;
		const char *const class = class_of(*at);
		if (class)
			*rc = buf_append_text(out, class);
		else if (*at == '\0' || is_letter(*at) || *at == ']' || *at == '-' || *at == '^' || *at == '[')
			return NULL;
		else
			*rc = buf_append(out, at, 1);
	}
	if (*rc == 0)
		*rc = buf_append_text(out, "]");
	return at;
}

/* Behind a backslash. */
static bool take_escape(char letter, struct buf *out, int *rc)
{
	const char *const class = class_of(letter);
	if (class) {
		*rc = buf_printf(out, "[%s]", class);
		return true;
	}
	if (letter == '\0' || is_letter(letter))
		return false;
	const char escape[] = {'\\', letter};
	*rc = strchr(".[]*+?(){}|^$\\", letter) ? buf_append(out, escape, 2) : buf_append(out, &letter, 1);
	return true;
}

int flume_regex(const char *java, struct buf *out, const char **what)
{
	*what = MORE;
	int rc = buf_append_text(out, "^(");
	for (const char *at = java; rc == 0 && *at; at++) {
		const bool is_quantifier = *at == '*' || *at == '+' || *at == '?' || *at == '}';
		if ((at[0] == '(' && at[1] == '?') || (is_quantifier && (at[1] == '?' || at[1] == '+')))
			return 0;
		if (*at == '[') {
			at = take_bracket(at + 1, out, &rc);
			if (!at)
				return 0;
		} else if (*at == '\\') {
			at++;
			if (!take_escape(*at, out, &rc))
				return 0;
		} else {
			rc = buf_append(out, at, 1);
		}
	}
	if (rc == 0)
		rc = buf_append_text(out, ")$");
	return rc < 0 ? ERROR_NO_MEMORY : 1;
}

int flume_glob(const char *java, struct buf *out, const char **what)
{
	*what = "expected letters, '.', '.*', and a backslash before what has a meaning, as in till.*\\.log";
	int rc = 0;
	for (const char *at = java; rc == 0 && *at; at++) {
		if (at[0] == '.' && at[1] == '*') {
			rc = buf_append_text(out, "*");
			at++;
		} else if (at[0] == '.' && !(at[1] == '+' || at[1] == '?' || at[1] == '{')) {
			rc = buf_append_text(out, "?");
		} else if (at[0] == '\\' && at[1] && !is_letter(at[1])) {
			at++;
			rc = strchr("*?[\\", *at) ? buf_printf(out, "\\%c", *at) : buf_append(out, at, 1);
		} else if (is_letter(*at) || strchr("_-,:;=@%~#! /", *at)) {
			if (at[1] == '*' || at[1] == '+' || at[1] == '?' || at[1] == '{')
				return 0;
			rc = buf_append(out, at, 1);
		} else {
			return 0;
		}
	}
	return rc < 0 ? ERROR_NO_MEMORY : 1;
}
