#include "speed/event_json_internal.h"

#include "store/block.h"

#include <stdbool.h>

struct scan {
	const char *at;
	const char *end;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* At least one digit. */
static bool skip_digits(struct scan *s)
{
	const char *const first = s->at;
	while (s->at < s->end && is_digit(*s->at))
		s->at++;
	return s->at > first;
}

static bool skip_one(struct scan *s, char a, char b)
{
	if (s->at == s->end || (*s->at != a && *s->at != b))
		return false;
	s->at++;
	return true;
}

/* -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)? */
static int scan_number(struct scan *s)
{
	skip_one(s, '-', '-');
	const char *const first = s->at;
	if (!skip_digits(s) || (*first == '0' && s->at > first + 1))
		return REASON_JSON;
	if (skip_one(s, '.', '.') && !skip_digits(s))
		return REASON_JSON;
	if (skip_one(s, 'e', 'E')) {
		skip_one(s, '+', '-');
		if (!skip_digits(s))
			return REASON_JSON;
	}
	return 0;
}

/* Four hexadecimal digits behind "\u". */
static bool read_hex(struct scan *s, unsigned *out)
{
	unsigned value = 0;
	for (unsigned i = 0; i < 4; i++) {
		if (s->at == s->end)
			return false;
		const char c = *s->at++;
		const char lower = (char)(c | 0x20);
		if (is_digit(c))
			value = value * 16 + (unsigned)(c - '0');
		else if (lower >= 'a' && lower <= 'f')
			value = value * 16 + (unsigned)(lower - 'a') + 10;
		else
			return false;
	}
	*out = value;
	return true;
}

/* Behind a backslash. */
static int scan_escape(struct scan *s)
{
	if (s->at == s->end)
		return REASON_JSON;
	const char c = *s->at++;
	if (c != 'u')
		return memchr("\"\\/bfnrt", c, 8) ? 0 : REASON_JSON;
	unsigned unit;
	unsigned low;
	if (!read_hex(s, &unit))
		return REASON_JSON;
	if (unit == 0)
		return REASON_NUL_BYTE;
	if (unit < 0xd800 || unit > 0xdfff)
		return 0;
	if (unit > 0xdbff || !skip_one(s, '\\', '\\') || !skip_one(s, 'u', 'u') || !read_hex(s, &low))
		return REASON_ENCODING;
	return low >= 0xdc00 && low <= 0xdfff ? 0 : REASON_ENCODING;
}

/* Behind a quote. */
static int scan_text(struct scan *s)
{
	while (s->at < s->end) {
		const unsigned char c = (unsigned char)*s->at++;
		if (c == '"')
			return 0;
		if (c < 0x20)
			return REASON_JSON;
		const int reason = c == '\\' ? scan_escape(s) : 0;
		if (reason)
			return reason;
	}
	return REASON_JSON;
}

/* true, false, null. */
static int scan_word(struct scan *s)
{
	static const struct slice WORDS[] = {{"true", 4}, {"false", 5}, {"null", 4}};
	for (size_t i = 0; i < sizeof(WORDS) / sizeof(WORDS[0]); i++) {
		if ((size_t)(s->end - s->at) < WORDS[i].len || memcmp(s->at, WORDS[i].data, WORDS[i].len) != 0)
			continue;
		s->at += WORDS[i].len;
		return 0;
	}
	return REASON_JSON;
}

int event_json_scan(struct slice text, uint64_t *members)
{
	struct scan s = {text.data, text.data + text.len};
	*members = 0;
	int reason = 0;
	while (reason == 0 && s.at < s.end) {
		switch (*s.at) {
		case ':':
			++*members;
			s.at++;
			break;
		case '{':
		case '}':
		case '[':
		case ']':
		case ',':
		case ' ':
		case '\t':
		case '\r':
		case '\n':
			s.at++;
			break;
		case '"':
			s.at++;
			reason = scan_text(&s);
			break;
		default:
			reason = *s.at == '-' || is_digit(*s.at) ? scan_number(&s) : scan_word(&s);
		}
	}
	return reason;
}
