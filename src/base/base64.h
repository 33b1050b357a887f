/*
 * Base64 (RFC 4648): bytes as text, for JSON and for URLs.
 *
 *     char *p = base64_put(text, bytes);                   // room for base64_size(bytes.len)
 *     rc = base64_decode(text, out, &len, err);
 *
 * Pure; any thread.
 */
#ifndef PUNCHCARD_BASE_BASE64_H
#define PUNCHCARD_BASE_BASE64_H

#include "base/buf.h"

#include <stddef.h>

/* The most characters of so many bytes, padding included. */
static inline size_t base64_size(size_t len)
{
	return (len + 2) / 3 * 4;
}

/* Writes the standard alphabet, with padding; returns the byte behind. */
char *base64_put(char *p, struct slice bytes);
/* The alphabet for URLs and file names ("-" and "_"), without padding. */
char *base64_put_url(char *p, struct slice bytes);

/* Reads the standard alphabet, with padding, into out, which has room for text.len / 4 * 3 bytes and may be the text itself. False when
 * it is none: another character, a length that is no multiple of 4, or bits that no byte has. *len is set on success only. */
bool base64_decode(struct slice text, char *out, size_t *len);

#endif
