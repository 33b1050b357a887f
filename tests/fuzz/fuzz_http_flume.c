/*
 * Bodies of requests to a Flume agent from any bytes: each event gives at least one line, all end with a newline, and those of JSON are
 * UTF-8; a blob's are its bytes.
 */
#include "base/utf8.h"
#include "speed/http_internal.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static uint64_t count_lines(const struct buf *lines)
{
	uint64_t n = 0;
	for (size_t i = 0; i < lines->len; i++)
		n += lines->data[i] == '\n';
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct slice body = {(const char *)data, size};
	struct buf lines = {0};
	struct error err = {0};
	uint64_t n = 0;
	const int rc = http_flume_read(HTTP_BODIES_FLUME_JSON, body, &lines, &n, &err);
	require(rc == 0 || (rc == ERROR_INPUT && err.message[0]));
	require(!lines.len || lines.data[lines.len - 1] == '\n');
	require(utf8_valid(lines.data, lines.len));
	require(rc < 0 || count_lines(&lines) >= n);
	buf_clear(&lines);
	require(http_flume_read(HTTP_BODIES_FLUME_BLOB, body, &lines, &n, &err) == 0);
	require(n == (size > 0) && lines.len >= size && lines.len <= size + 1);
	require(!size || (memcmp(lines.data, data, size) == 0 && lines.data[lines.len - 1] == '\n'));
	buf_release(&lines);
	return 0;
}
