#include "base/base64.h"

static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char of_urls[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* The whole threes. */
static char *put_threes(char *p, struct slice bytes, const char *alphabet)
{
	const unsigned char *at = (const unsigned char *)bytes.data;
	for (size_t left = bytes.len; left >= 3; left -= 3, at += 3) {
		const unsigned three = (unsigned)at[0] << 16 | (unsigned)at[1] << 8 | at[2];
		*p++ = alphabet[three >> 18];
		*p++ = alphabet[three >> 12 & 63];
		*p++ = alphabet[three >> 6 & 63];
		*p++ = alphabet[three & 63];
	}
	return p;
}

/* The one or two bytes behind them. */
static char *put_rest(char *p, struct slice bytes, const char *alphabet, bool padded)
{
	const size_t rest = bytes.len % 3;
	if (!rest)
		return p;
	const unsigned char *const at = (const unsigned char *)bytes.data + (bytes.len - rest);
	const unsigned three = (unsigned)at[0] << 16 | (rest == 2 ? (unsigned)at[1] << 8 : 0);
	*p++ = alphabet[three >> 18];
	*p++ = alphabet[three >> 12 & 63];
	if (rest == 2)
		*p++ = alphabet[three >> 6 & 63];
	else if (padded)
		*p++ = '=';
	if (padded)
		*p++ = '=';
	return p;
}

char *base64_put(char *p, struct slice bytes)
{
	return put_rest(put_threes(p, bytes, standard), bytes, standard, true);
}

char *base64_put_url(char *p, struct slice bytes)
{
	return put_rest(put_threes(p, bytes, of_urls), bytes, of_urls, false);
}

/* What a character stands for; 64 and more: nothing. */
static unsigned value_of(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26u;
	if (c >= '0' && c <= '9')
		return c - '0' + 52u;
	return c == '+' ? 62 : c == '/' ? 63 : 64;
}

bool base64_decode(struct slice text, char *out, size_t *len)
{
	if (text.len % 4)
		return false;
	size_t padding = 0;
	while (padding < 2 && padding < text.len && text.data[text.len - 1 - padding] == '=')
		padding++;
	const unsigned char *const at = (const unsigned char *)text.data;
	const size_t end = text.len - padding;
	size_t n = 0;
	unsigned bits = 0;
	for (size_t i = 0; i < end; i++) {
		const unsigned value = value_of(at[i]);
		if (value > 63)
			return false;
		bits = (bits << 6 | value) & 0xffffff;
		if (i % 4 != 0)
			out[n++] = (char)(bits >> (6 - i % 4 * 2));
	}
	/* What is left over is no byte, and must be nothing: so each text has one meaning, and each meaning one text. */
	if ((padding == 1 && bits & 3) || (padding == 2 && bits & 15))
		return false;
	*len = n;
	return true;
}
