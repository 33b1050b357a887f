/*
 * Bodies of requests from any bytes: the pieces stand in the body, in order and apart, with nothing between them that a list has
 * not; and their lines are right. And as gzip: what is unpacked is within its limit.
 */
#include "speed/http_internal.h"
#include "speed/http_split.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* What may stand between pieces: blanks, and in an array commas and its brackets, each in its place. */
static void check_between(const char *at, const char *end, bool array, char expected)
{
	bool seen = false;
	for (; at < end; at++) {
		if (is_blank(*at))
			continue;
		require(array && !seen && *at == expected);
		seen = true;
	}
	require(seen || !array);
}

static void check_gunzip(struct slice packed)
{
	static const size_t LIMITS[] = {0, 1, 100, 65536, 100000};
	for (size_t i = 0; i < sizeof(LIMITS) / sizeof(LIMITS[0]); i++) {
		struct buf out = {0};
		const int rc = http_gunzip(packed, LIMITS[i], &out, NULL);
		require(rc == 0 || rc == ERROR_INPUT || rc == ERROR_LIMIT);
		require(rc != 0 || out.len <= LIMITS[i]);
		require(rc != ERROR_LIMIT || out.len == LIMITS[i] + 1);
		buf_release(&out);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *const body = (const char *)data;
	check_gunzip((struct slice){body, size});
	const size_t mark = size >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
	struct http_split split;
	struct http_piece piece;
	http_split_begin(&split, (struct slice){body, size});
	const bool array = split.form == HTTP_SPLIT_ARRAY;
	const char *last = body + mark;
	const char *counted = body;
	uint64_t line = 1;
	unsigned n = 0;
	int rc;
	while ((rc = http_split_next(&split, &piece)) == 1) {
		const char *const end = piece.text.data + piece.text.len;
		require(piece.text.len > 0 && piece.text.data >= last && end <= body + size);
		require(!is_blank(piece.text.data[0]) && !is_blank(end[-1]));
		check_between(last, piece.text.data, array, n ? ',' : '[');
		for (; counted < piece.text.data; counted++)
			line += *counted == '\n';
		require(piece.line == line);
		require(split.form != HTTP_SPLIT_LINES || !memchr(piece.text.data, '\n', piece.text.len));
		require(split.form != HTTP_SPLIT_ONE || n == 0);
		last = end;
		n++;
	}
	require(rc == 0 || (array && piece.problem && piece.line >= line));
	if (rc == 0 && (n || !array))
		check_between(last, body + size, array, ']');
	return 0;
}
