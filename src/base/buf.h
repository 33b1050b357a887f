/*
 * Bytes: `struct slice` points at bytes that somebody else owns; `struct buf` owns bytes and grows.
 *
 *     struct buf line = {0};
 *     if (buf_append(&line, "a", 1) < 0) …      // out of memory
 *     buf_release(&line);
 *
 * No function here is tied to a thread; one buf belongs to one thread at a time.
 */
#ifndef PUNCHCARD_BASE_BUF_H
#define PUNCHCARD_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes owned elsewhere; data may be NULL when len is 0. Not NUL-terminated. */
struct slice {
	const char *data;
	size_t len;
};

#define SLICE(literal) ((struct slice){(literal), sizeof(literal) - 1})

static inline struct slice slice_of(const char *text)
{
	return (struct slice){text, text ? strlen(text) : 0};
}

static inline bool slice_equal(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* By bytes, a text before what it begins: < 0, 0, > 0. */
static inline int slice_compare(struct slice a, struct slice b)
{
	const size_t common = a.len < b.len ? a.len : b.len;
	const int order = common ? memcmp(a.data, b.data, common) : 0;
	return order ? order : (a.len > b.len) - (a.len < b.len);
}

static inline bool slice_is(struct slice a, const char *text)
{
	return slice_equal(a, slice_of(text));
}

/* The slice without ASCII blanks and tabs at both ends. */
struct slice slice_trim(struct slice s);

/* A growing buffer; all zero is an empty one. */
struct buf {
	char *data;
	size_t len;
	size_t cap;
};

/* Room for `more` bytes behind the content. 0, or ERROR_NO_MEMORY with the content untouched. */
int buf_reserve(struct buf *buf, size_t more);
/* Append bytes, a NUL-terminated text, or printf output. 0 or ERROR_NO_MEMORY, and then nothing was appended. */
int buf_append(struct buf *buf, const void *data, size_t len);
int buf_append_text(struct buf *buf, const char *text);
int buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The content as a NUL-terminated string (the NUL is not counted); NULL when out of memory. Valid until the next change. */
const char *buf_text(struct buf *buf);
/* Forget the content, keep the memory. */
void buf_clear(struct buf *buf);
/* Free the memory; the buf is empty again. NULL is fine. */
void buf_release(struct buf *buf);

/* A slice as a new heap string that the caller frees; NULL when out of memory. */
char *slice_dup(struct slice s);
/* printf into a new heap string that the caller frees; NULL when out of memory. */
char *text_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Cleanup attribute helpers: `_cleanup_free_ char *p = NULL;`, `_cleanup_buf_ struct buf b = {0};` */
void cleanup_free(void *pointer_to_pointer);
#define _cleanup_free_ __attribute__((cleanup(cleanup_free)))
#define _cleanup_buf_  __attribute__((cleanup(buf_release)))

#endif
