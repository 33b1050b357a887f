/*
 * Writing JSON (RFC 8259), piece by piece, to a stream or a buffer. Nothing is kept in memory.
 *
 *     struct json json;
 *     json_to_file(&json, stdout);
 *     json_object(&json);
 *     json_key(&json, "points");
 *     json_decimal(&json, 12500, 3);           // 12.500
 *     json_end_object(&json);                  // {"points":12.500}
 *     if (json_finish(&json, err) < 0) …
 *
 * Commas and escapes are this writer's; that begin and end match, and that a key stands before each value of an object, are
 * the caller's. An error (out of memory, a stream that takes no more) is kept, later calls do nothing, and json_finish tells
 * it. Output is ASCII besides the texts' own UTF-8; what is not UTF-8 in a text becomes U+FFFD. One writer belongs to one
 * thread at a time.
 */
#ifndef PUNCHCARD_BASE_JSON_H
#define PUNCHCARD_BASE_JSON_H

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct json {
	FILE *file;
	struct buf *buf;
	unsigned depth;
	bool needs_comma;
	size_t limit; /* of the buffer's bytes; 0: none */
	int code;     /* 0, or the first error */
	int errnum;
};

/* Begins a writer on either; it does not own them. Values at the top level follow each other without a comma. */
void json_to_file(struct json *json, FILE *file);
void json_to_buf(struct json *json, struct buf *buf);
/* The buffer holds `limit` bytes at most (of what was in it before, too); more is ERROR_LIMIT, and then a part of it may be in
 * the buffer. Whoever keeps a copy of *json and buf->len can go back to it. With limit ≤ buf->cap nothing is allocated. */
void json_to_limited_buf(struct json *json, struct buf *buf, size_t limit);

void json_object(struct json *json);
void json_end_object(struct json *json);
void json_array(struct json *json);
void json_end_array(struct json *json);
void json_key(struct json *json, const char *key);
void json_key_slice(struct json *json, struct slice key);

void json_text(struct json *json, const char *text); /* NULL writes null */
void json_slice(struct json *json, struct slice text);
void json_int(struct json *json, int64_t value);
void json_uint(struct json *json, uint64_t value);
/* value · 10^-scale, all digits: (12500, 3) is 12.500. scale 0 to 18. */
void json_decimal(struct json *json, int64_t value, unsigned scale);
/* A number that is text already; it must be one of JSON's. */
void json_number(struct json *json, struct slice number);
/* An instant in UTC microseconds as text, to the second: "2026-11-23T05:10:02Z". */
void json_time(struct json *json, int64_t utc_us);
void json_bool(struct json *json, bool value);
void json_null(struct json *json);
/* A line feed between top-level values: one value a line (NDJSON). */
void json_newline(struct json *json);

/* 0, or the first error that came (ERROR_NO_MEMORY, ERROR_LIMIT; for a stream what error_errno says). Does not flush. */
int json_finish(const struct json *json, struct error *err);

#endif
