#include "fold/text.h"

#include "base/file.h"

#include <errno.h>
#include <unistd.h>

#define READ_BYTES   ((size_t)256 * 1024)
#define WRITE_BYTES  ((size_t)256 * 1024)
#define NUMBER_BYTES 24u

int text_split(char *line, size_t len, struct text_field *fields, unsigned most, unsigned *n)
{
	unsigned count = 0;
	size_t at = 0;
	for (;;) {
		const size_t begin = at;
		size_t to = at;
		for (; at < len && line[at] != '\t'; at++) {
			char c = line[at];
			if (c == '\\') {
				if (++at == len)
					return ERROR_INPUT;
				c = line[at] == 'n' ? '\n' : line[at] == 'r' ? '\r' : line[at];
			}
			line[to++] = c;
		}
		/* \N has become N, which is a text only if it was one byte before. */
		const bool is_null = at - begin == 2 && to - begin == 1 && line[begin] == 'N';
		if (count < most)
			fields[count] = (struct text_field){
				.text = {line + begin, is_null ? 0 : to - begin},
				.is_null = is_null,
			};
		count++;
		if (at == len)
			break;
		at++;
	}
	*n = count;
	return 0;
}

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int text_unhex(struct slice text, char *in_place, struct slice *out)
{
	if (text.len % 2)
		return ERROR_INPUT;
	for (size_t i = 0; i < text.len / 2; i++) {
		const int high = digit_of(text.data[2 * i]);
		const int low = digit_of(text.data[2 * i + 1]);
		if (high < 0 || low < 0)
			return ERROR_INPUT;
		in_place[i] = (char)(high << 4 | low);
	}
	*out = (struct slice){in_place, text.len / 2};
	return 0;
}

/* ---- reading ---- */

struct text_reader text_reader_of(int fd)
{
	return (struct text_reader){.fd = fd};
}

void text_reader_release(struct text_reader *reader)
{
	buf_release(&reader->buf);
}

/* More bytes behind those that were not taken. */
static int read_more(struct text_reader *reader, struct error *err)
{
	struct buf *const buf = &reader->buf;
	if (reader->at) {
		memmove(buf->data, buf->data + reader->at, buf->len - reader->at);
		buf->len -= reader->at;
		reader->at = 0;
	}
	if (buf->len > TEXT_ROW_BYTES_MAX)
		return error_set(err, ERROR_INPUT, "row %llu: is longer than %zu bytes",
				 (unsigned long long)reader->row + 1, TEXT_ROW_BYTES_MAX);
	if (buf_reserve(buf, READ_BYTES) < 0)
		return error_no_memory(err, buf->len + READ_BYTES);
	for (;;) {
		const ssize_t got = read(reader->fd, buf->data + buf->len, READ_BYTES);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_errno(err, errno, "cannot read the input");
		buf->len += (size_t)got;
		reader->ended = got == 0;
		return 0;
	}
}

int text_next(struct text_reader *reader, char **line, size_t *len, bool *found, struct error *err)
{
	size_t looked = 0; /* bytes in which there is no line feed */
	for (;;) {
		struct buf *const buf = &reader->buf;
		char *const from = buf->data + reader->at;
		const size_t have = buf->len - reader->at;
		char *const feed = have > looked ? memchr(from + looked, '\n', have - looked) : NULL;
		if (feed) {
			*line = from;
			*len = (size_t)(feed - from);
			*found = true;
			reader->at += *len + 1;
			reader->row++;
			return 0;
		}
		looked = have;
		if (reader->ended) {
			*found = false;
			return have == 0 ? 0
					 : error_set(err, ERROR_INPUT,
						     "row %llu: is torn: the input ends without a line feed",
						     (unsigned long long)reader->row + 1);
		}
		const int rc = read_more(reader, err);
		if (rc < 0)
			return rc;
	}
}

void text_drain(struct text_reader *reader)
{
	char bytes[16 * 1024];
	ssize_t got = 1;
	while (got > 0 || (got < 0 && errno == EINTR))
		got = read(reader->fd, bytes, sizeof(bytes));
	reader->ended = true;
}

/* ---- writing ---- */

struct text_writer text_writer_to(int fd)
{
	return (struct text_writer){.fd = fd};
}

void text_writer_release(struct text_writer *writer)
{
	buf_release(&writer->buf);
}

/* Room for a field of so many bytes, behind the tab. NULL: out of memory. */
static char *begin_field(struct text_writer *writer, size_t most)
{
	if (writer->code == 0 && buf_reserve(&writer->buf, most + 1) < 0)
		writer->code = ERROR_NO_MEMORY;
	if (writer->code)
		return NULL;
	char *p = writer->buf.data + writer->buf.len;
	if (writer->in_row)
		*p++ = '\t';
	writer->in_row = true;
	return p;
}

static void end_field(struct text_writer *writer, const char *end)
{
	writer->buf.len = (size_t)(end - writer->buf.data);
}

void text_put(struct text_writer *writer, struct slice text)
{
	char *p = begin_field(writer, 2 * text.len);
	if (!p)
		return;
	for (size_t i = 0; i < text.len; i++) {
		const char c = text.data[i];
		if (c == '\t' || c == '\\' || c == '\n' || c == '\r')
			*p++ = '\\';
		*p++ = (char)(c == '\n' ? 'n' : c == '\r' ? 'r' : c);
	}
	end_field(writer, p);
}

void text_put_number(struct text_writer *writer, int64_t value)
{
	char *p = begin_field(writer, NUMBER_BYTES);
	if (!p)
		return;
	char digits[NUMBER_BYTES];
	unsigned n = 0;
	uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
	do
		digits[n++] = (char)('0' + rest % 10);
	while (rest /= 10);
	if (value < 0)
		*p++ = '-';
	while (n)
		*p++ = digits[--n];
	end_field(writer, p);
}

void text_put_hex(struct text_writer *writer, struct slice bytes)
{
	static const char DIGITS[] = "0123456789ABCDEF";
	char *p = begin_field(writer, 2 * bytes.len);
	if (!p)
		return;
	for (size_t i = 0; i < bytes.len; i++) {
		*p++ = DIGITS[(unsigned char)bytes.data[i] >> 4];
		*p++ = DIGITS[(unsigned char)bytes.data[i] & 0xf];
	}
	end_field(writer, p);
}

void text_put_null(struct text_writer *writer)
{
	char *p = begin_field(writer, 2);
	if (!p)
		return;
	*p++ = '\\';
	*p++ = 'N';
	end_field(writer, p);
}

int text_flush(struct text_writer *writer, struct error *err)
{
	if (writer->code)
		return error_no_memory(err, writer->buf.cap * 2);
	const int rc = file_write_all(writer->fd, writer->buf.data, writer->buf.len, "the output", err);
	buf_clear(&writer->buf);
	return rc;
}

int text_end_row(struct text_writer *writer, struct error *err)
{
	if (writer->code == 0)
		writer->code = buf_append(&writer->buf, "\n", 1);
	if (writer->code)
		return error_no_memory(err, writer->buf.cap * 2);
	writer->in_row = false;
	writer->rows++;
	return writer->buf.len < WRITE_BYTES ? 0 : text_flush(writer, err);
}
