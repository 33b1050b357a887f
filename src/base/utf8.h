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

/*
 * Text as it may stand on a terminal, in turns, without memory of its own:
 *
 *     for (size_t i = 0; i < len;) {
 *             const size_t n = utf8_visible(data + i, len - i);
 *             …n bytes that are shown as they are…
 *             i += n;
 *             if (i < len) {
 *                     char mark[UTF8_MARK_MAX];
 *                     i += utf8_mark(data + i, len - i, mark);
 *                     …mark…
 *             }
 *     }
 *
 * utf8_visible: how many bytes from `data` on are whole characters and no control characters (C0, DEL, C1).
 * utf8_mark: what stands for the control character, or the byte that is no UTF-8, at `data`: "\n", "\t", "\r", or its number
 * as \xHH; returns the bytes it stands for. len must be at least 1. A backslash stands for itself: who needs the bytes back
 * takes utf8_escape.
 */
#define UTF8_MARK_MAX 8u
size_t utf8_visible(const char *data, size_t len);
size_t utf8_mark(const char *data, size_t len, char mark[UTF8_MARK_MAX]);

/* Appends the bytes as printable UTF-8: well-formed characters as they are; bytes that belong to none, NUL and the control
 * characters (C0, DEL, C1; tab and line ends too) as \xHH, a backslash as \\: the text tells the bytes exactly. What would
 * be more than `limit` bytes is cut, between characters, and "…" (3 bytes) follows. 0, or ERROR_NO_MEMORY with `out` as it
 * was. */
int utf8_escape(struct buf *out, const char *data, size_t len, size_t limit);

#endif
