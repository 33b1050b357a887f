#include "engine/spark_json.h"

#include "base/decimal.h"
#include "engine/spark.h"

#define DEPTH_MAX 64u

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static size_t skip_blanks(struct slice text, size_t at)
{
	while (at < text.len && is_blank(text.data[at]))
		at++;
	return at;
}

/* Behind the text that begins with the quote at `at`; 0: it does not end. */
static size_t skip_text(struct slice text, size_t at)
{
	for (at++; at < text.len; at++) {
		if (text.data[at] == '\\')
			at++;
		else if (text.data[at] == '"')
			return at + 1;
	}
	return 0;
}

static size_t skip_nested(struct slice text, size_t at)
{
	unsigned depth = 0;
	while (at < text.len) {
		const char c = text.data[at];
		if (c == '"') {
			at = skip_text(text, at);
			if (at == 0)
				return 0;
			continue;
		}
		if ((c == '{' || c == '[') && ++depth > DEPTH_MAX)
			return 0;
		at++;
		if ((c == '}' || c == ']') && --depth == 0)
			return at;
	}
	return 0;
}

static size_t skip_value(struct slice text, size_t at)
{
	if (at == text.len)
		return 0;
	if (text.data[at] == '"')
		return skip_text(text, at);
	if (text.data[at] == '{' || text.data[at] == '[')
		return skip_nested(text, at);
	const size_t begin = at;
	while (at < text.len && !is_blank(text.data[at]) && !strchr(",:]}", text.data[at]))
		at++;
	return at > begin ? at : 0;
}

bool spark_json_value(struct slice text, struct slice *value)
{
	const size_t at = skip_blanks(text, 0);
	const size_t end = skip_value(text, at);
	if (end == 0)
		return false;
	*value = (struct slice){text.data + at, end - at};
	return true;
}

bool spark_json_entry(struct slice object, unsigned i, struct slice *key, struct slice *value)
{
	if (object.len == 0 || object.data[0] != '{')
		return false;
	size_t at = 1;
	for (unsigned n = 0;; n++) {
		at = skip_blanks(object, at);
		if (n && at < object.len && object.data[at] == ',')
			at = skip_blanks(object, at + 1);
		if (at == object.len || object.data[at] != '"')
			return false;
		const size_t key_end = skip_text(object, at);
		const size_t colon = key_end ? skip_blanks(object, key_end) : object.len;
		if (colon == object.len || object.data[colon] != ':')
			return false;
		const size_t begin = skip_blanks(object, colon + 1);
		const size_t end = skip_value(object, begin);
		if (end == 0)
			return false;
		if (n == i) {
			*key = (struct slice){object.data + at + 1, key_end - at - 2};
			*value = (struct slice){object.data + begin, end - begin};
			return true;
		}
		at = end;
	}
}

bool spark_json_member(struct slice object, const char *key, struct slice *value)
{
	struct slice name;
	for (unsigned i = 0; spark_json_entry(object, i, &name, value); i++)
		if (slice_is(name, key))
			return true;
	return false;
}

bool spark_json_first(struct slice array, struct slice *value)
{
	return array.len && array.data[0] == '[' &&
	       spark_json_value((struct slice){array.data + 1, array.len - 1}, value);
}

/* ---- texts ---- */

static int hex_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	const char lower = (char)(c | 0x20);
	return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static bool four_digits(struct slice text, size_t at, uint32_t *out)
{
	uint32_t value = 0;
	for (size_t i = at; i < at + 4; i++) {
		const int digit = i < text.len ? hex_of(text.data[i]) : -1;
		if (digit < 0)
			return false;
		value = value << 4 | (uint32_t)digit;
	}
	*out = value;
	return true;
}

static int put_codepoint(struct buf *out, uint32_t c)
{
	char bytes[4];
	size_t n = 0;
	if (c < 0x80) {
		bytes[n++] = (char)c;
	} else if (c < 0x800) {
		bytes[n++] = (char)(0xc0 | c >> 6);
		bytes[n++] = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		bytes[n++] = (char)(0xe0 | c >> 12);
		bytes[n++] = (char)(0x80 | (c >> 6 & 0x3f));
		bytes[n++] = (char)(0x80 | (c & 0x3f));
	} else {
		bytes[n++] = (char)(0xf0 | c >> 18);
		bytes[n++] = (char)(0x80 | (c >> 12 & 0x3f));
		bytes[n++] = (char)(0x80 | (c >> 6 & 0x3f));
		bytes[n++] = (char)(0x80 | (c & 0x3f));
	}
	return buf_append(out, bytes, n);
}

/* The escape that begins behind the backslash at `*at`; *at is behind it then. */
static bool put_escape(struct slice text, size_t *at, struct buf *out)
{
	static const char LETTERS[] = "bfnrt";
	static const char MEANINGS[] = "\b\f\n\r\t";
	const char c = text.data[*at];
	++*at;
	if (c != 'u') {
		const char *const letter = c ? strchr(LETTERS, c) : NULL;
		return buf_append(out, letter ? &MEANINGS[letter - LETTERS] : &c, 1) == 0;
	}
	uint32_t unit = 0;
	uint32_t low = 0;
	if (!four_digits(text, *at, &unit))
		return false;
	*at += 4;
	if (unit >= 0xd800 && unit < 0xdc00 && *at + 6 <= text.len && text.data[*at] == '\\' &&
	    text.data[*at + 1] == 'u' && four_digits(text, *at + 2, &low) && low >= 0xdc00 && low < 0xe000) {
		*at += 6;
		unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
	}
	return put_codepoint(out, unit >= 0xd800 && unit < 0xe000 ? 0xfffd : unit) == 0;
}

bool spark_json_text(struct slice value, struct buf *out)
{
	if (value.len < 2 || value.data[0] != '"')
		return false;
	const struct slice text = {value.data + 1, value.len - 2};
	for (size_t at = 0; at < text.len;) {
		const char *const escape = memchr(text.data + at, '\\', text.len - at);
		const size_t end = escape ? (size_t)(escape - text.data) : text.len;
		if (end > at && buf_append(out, text.data + at, end - at) < 0)
			return false;
		at = end + 1;
		if (escape && (at >= text.len || !put_escape(text, &at, out)))
			return false;
	}
	return true;
}

/* ---- for callers ---- */

bool spark_json_get(struct slice json, const char *key, struct buf *out)
{
	struct slice value;
	buf_clear(out);
	if (!spark_json_member(json, key, &value) || slice_is(value, "null"))
		return false;
	return value.data[0] == '"' ? spark_json_text(value, out) : buf_append(out, value.data, value.len) == 0;
}

bool spark_json_get_int(struct slice json, const char *key, int64_t *out)
{
	struct slice value;
	return spark_json_member(json, key, &value) && integer_parse(value.data, value.len, out) == 0;
}
