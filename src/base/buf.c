#include "base/buf.h"

#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct slice slice_trim(struct slice s)
{
	while (s.len && (*s.data == ' ' || *s.data == '\t')) {
		s.data++;
		s.len--;
	}
	while (s.len && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'))
		s.len--;
	return s;
}

int buf_reserve(struct buf *buf, size_t more)
{
	if (buf->cap - buf->len >= more)
		return 0;
	if (more > SIZE_MAX / 2 - buf->len)
		return ERROR_NO_MEMORY;
	size_t cap = buf->cap ? buf->cap : 64;
	while (cap < buf->len + more)
		cap *= 2;
	char *data = realloc(buf->data, cap);
	if (!data)
		return ERROR_NO_MEMORY;
	buf->data = data;
	buf->cap = cap;
	return 0;
}

int buf_append(struct buf *buf, const void *data, size_t len)
{
	if (len == 0)
		return 0;
	if (buf_reserve(buf, len) < 0)
		return ERROR_NO_MEMORY;
	memcpy(buf->data + buf->len, data, len);
	buf->len += len;
	return 0;
}

int buf_append_text(struct buf *buf, const char *text)
{
	return buf_append(buf, text, strlen(text));
}

int buf_printf(struct buf *buf, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	const int len = vsnprintf(NULL, 0, format, ap);
	va_end(ap);
	if (len < 0 || buf_reserve(buf, (size_t)len + 1) < 0)
		return ERROR_NO_MEMORY;
	va_start(ap, format);
	vsnprintf(buf->data + buf->len, (size_t)len + 1, format, ap);
	va_end(ap);
	buf->len += (size_t)len;
	return 0;
}

const char *buf_text(struct buf *buf)
{
	if (buf_reserve(buf, 1) < 0)
		return NULL;
	buf->data[buf->len] = '\0';
	return buf->data;
}

void buf_clear(struct buf *buf)
{
	buf->len = 0;
}

void buf_release(struct buf *buf)
{
	if (!buf)
		return;
	free(buf->data);
	*buf = (struct buf){0};
}

char *slice_dup(struct slice s)
{
	char *const text = malloc(s.len + 1);
	if (!text)
		return NULL;
	if (s.len)
		memcpy(text, s.data, s.len);
	text[s.len] = '\0';
	return text;
}

char *text_printf(const char *format, ...)
{
	char *text = NULL;
	va_list ap;
	va_start(ap, format);
	const int len = vasprintf(&text, format, ap);
	va_end(ap);
	return len < 0 ? NULL : text;
}

void cleanup_free(void *pointer_to_pointer)
{
	void *pointer;
	memcpy(&pointer, pointer_to_pointer, sizeof(pointer));
	free(pointer);
}
