#include "base/utf8.h"

#include "base/error.h"

#include <stdio.h>

static const char ELLIPSIS[] = "\xE2\x80\xA6";

/* Bytes of the well-formed character at `at`, 0 when there is none; at < end. */
static size_t measure_character(const unsigned char *at, const unsigned char *end)
{
	const size_t left = (size_t)(end - at);
	const unsigned lead = at[0];
	if (lead < 0x80)
		return 1;
	if (lead < 0xC2 || lead > 0xF4)
		return 0;
	if (left < 2)
		return 0;
	/* Only the second byte's range depends on the lead: it keeps out overlong forms, surrogates and what is too high. */
	unsigned low = 0x80;
	unsigned high = 0xBF;
	if (lead == 0xE0)
		low = 0xA0;
	else if (lead == 0xED)
		high = 0x9F;
	else if (lead == 0xF0)
		low = 0x90;
	else if (lead == 0xF4)
		high = 0x8F;
	if (at[1] < low || at[1] > high)
		return 0;
	const size_t size = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
	if (left < size)
		return 0;
	for (size_t i = 2; i < size; i++)
		if ((at[i] & 0xC0) != 0x80)
			return 0;
	return size;
}

bool utf8_valid(const char *data, size_t len)
{
	if (len == 0)
		return true;
	const unsigned char *at = (const unsigned char *)data;
	const unsigned char *const end = at + len;
	while (at < end) {
		while (end - at >= 16) {
			uint64_t words[2];
			memcpy(words, at, sizeof(words));
			if ((words[0] | words[1]) & UINT64_C(0x8080808080808080))
				break;
			at += sizeof(words);
		}
		/* Up to 16 bytes one by one, then the fast way is tried again. */
		for (const unsigned char *const stop = end - at > 16 ? at + 16 : end; at < stop;) {
			const size_t size = measure_character(at, end);
			if (size == 0)
				return false;
			at += size;
		}
	}
	return true;
}

size_t utf8_step(const char *data, size_t len, uint32_t *codepoint)
{
	static const unsigned char LEAD_BITS[5] = {0, 0x7F, 0x1F, 0x0F, 0x07};
	const unsigned char *const at = (const unsigned char *)data;
	const size_t size = measure_character(at, at + len);
	if (size == 0)
		return 0;
	uint32_t value = at[0] & LEAD_BITS[size];
	for (size_t i = 1; i < size; i++)
		value = value << 6 | (at[i] & 0x3Fu);
	*codepoint = value;
	return size;
}

size_t utf8_visible(const char *data, size_t len)
{
	size_t i = 0;
	while (i < len) {
		if (data[i] >= 0x20 && data[i] < 0x7F) {
			i++;
			continue;
		}
		uint32_t codepoint = 0;
		const size_t size = utf8_step(data + i, len - i, &codepoint);
		if (size == 0 || codepoint < 0xA0) /* ASCII that is visible was passed above */
			break;
		i += size;
	}
	return i;
}

size_t utf8_mark(const char *data, size_t len, char mark[UTF8_MARK_MAX])
{
	static const char NAMED[] = "\n\t\r";
	static const char NAMES[] = "ntr";
	uint32_t codepoint = 0;
	const size_t size = utf8_step(data, len, &codepoint);
	const unsigned number = size ? codepoint : (unsigned char)data[0];
	const char *const named = number ? strchr(NAMED, (int)number) : NULL;
	if (named)
		snprintf(mark, UTF8_MARK_MAX, "\\%c", NAMES[named - NAMED]);
	else
		snprintf(mark, UTF8_MARK_MAX, "\\x%02X", number & 0xFF);
	return size ? size : 1;
}

/* The text that stands for the byte or character at `at`; returns its length and sets how many bytes it stands for. */
static size_t escape_one(const unsigned char *at, const unsigned char *end, char text[4], size_t *taken)
{
	static const char HEX[] = "0123456789ABCDEF";
	const size_t size = measure_character(at, end);
	const bool control = size == 1 ? at[0] < 0x20 || at[0] == 0x7F : size == 2 && at[0] == 0xC2 && at[1] < 0xA0;
	if (size == 0 || control) {
		memcpy(text, "\\x", 2);
		text[2] = HEX[at[0] >> 4];
		text[3] = HEX[at[0] & 0xF];
		*taken = 1;
		return 4;
	}
	*taken = size;
	if (at[0] == '\\') {
		memcpy(text, "\\\\", 2);
		return 2;
	}
	memcpy(text, at, size);
	return size;
}

int utf8_escape(struct buf *out, const char *data, size_t len, size_t limit)
{
	const size_t start = out->len;
	const unsigned char *at = (const unsigned char *)data;
	const unsigned char *const end = len ? at + len : at;
	while (at < end) {
		char text[4];
		size_t taken;
		const size_t size = escape_one(at, end, text, &taken);
		const bool fits = size <= limit - (out->len - start);
		const int rc = fits ? buf_append(out, text, size) : buf_append(out, ELLIPSIS, sizeof(ELLIPSIS) - 1);
		if (rc < 0) {
			out->len = start;
			return rc;
		}
		if (!fits)
			return 0;
		at += taken;
	}
	return 0;
}
