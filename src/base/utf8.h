/*
 * UTF-8: is it, and how to show bytes that are not.
 *
 *     if (!utf8_valid(field.data, field.len))
 *             rc = utf8_escape(&text, line.data, line.len, LIMIT_QUARANTINE_TEXT_BYTES);
 *
 * Thread: any.
 */
#ifndef PUNCHCARD_BASE_UTF8_H
#define PUNCHCARD_BASE_UTF8_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether the bytes are well-formed UTF-8 (Unicode 15, table 3-7): no overlong forms, no surrogates, nothing above
 * U+10FFFF, no cut character at the end. NUL and control characters are well-formed. `data` may be NULL when len is 0. */
bool utf8_valid(const char *data, size_t len);

/* The character at `data`: its bytes (1 to 4), and its number in *codepoint; 0, and *codepoint untouched, when the bytes
 * there begin none. len must be at least 1. */
size_t utf8_step(const char *data, size_t len, uint32_t *codepoint);

/* Appends the bytes as printable UTF-8: well-formed characters as they are; bytes that belong to none, NUL and the control
 * characters (C0, DEL, C1; tab and line ends too) as \xHH, a backslash as \\: the text tells the bytes exactly. What would
 * be more than `limit` bytes is cut, between characters, and "…" (3 bytes) follows. 0, or ERROR_NO_MEMORY with `out` as it
 * was. */
int utf8_escape(struct buf *out, const char *data, size_t len, size_t limit);

#endif
