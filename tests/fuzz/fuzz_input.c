/*
 * A file from any bytes, plain or gzip, read three times: at once, in pieces, and skipped over: the same text, offset and hash each
 * time, or the same refusal. The first byte says how large the pieces are; the rest is the file.
 */
#include "base/buf.h"
#include "base/input.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

struct outcome {
	int rc;
	uint64_t len;
	unsigned char digest[INPUT_DIGEST_BYTES];
	int last;
};

/* piece: consumed before more is asked for; 0: all there is. */
static void read_all(const char *path, size_t piece, struct buf *text, struct outcome *out)
{
	struct input *in = NULL;
	struct error err = {0};
	*out = (struct outcome){0};
	out->rc = input_open(path, &in, &err);
	while (out->rc == 0) {
		size_t n = input_len(in);
		if (n == 0 && input_at_eof(in))
			break;
		n = piece && piece < n ? piece : n;
		require(buf_append(text, input_data(in), n) == 0);
		input_consume(in, n);
		if (!input_at_eof(in))
			out->rc = input_fill(in, &err);
	}
	if (out->rc < 0)
		require(err.code == ERROR_INPUT && strncmp(err.message, path, strlen(path)) == 0);
	if (in) {
		out->len = input_offset(in);
		input_digest(in, out->digest);
		out->last = input_last_byte(in);
		require(out->len == text->len);
	}
	input_close(in);
}

static void check_digest(const struct buf *text, const struct outcome *outcome)
{
	XXH128_canonical_t canonical;
	XXH128_canonicalFromHash(&canonical, XXH3_128bits(text->data, text->len));
	require(memcmp(canonical.digest, outcome->digest, sizeof(outcome->digest)) == 0);
	require(outcome->last == (text->len ? (unsigned char)text->data[text->len - 1] : -1));
}

static void skip_all(const char *path, const struct outcome *whole)
{
	struct input *in = NULL;
	struct error err = {0};
	unsigned char digest[INPUT_DIGEST_BYTES];
	require(input_open(path, &in, &err) == 0);
	require(input_skip(in, whole->len / 3, &err) == 0);
	require(input_skip(in, whole->len - whole->len / 3, &err) == 0);
	input_digest(in, digest);
	require(memcmp(digest, whole->digest, sizeof(digest)) == 0);
	require(input_skip(in, 1, &err) == ERROR_INPUT);
	input_close(in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	static char path[64];
	if (size == 0)
		return 0;
	if (fd < 0) {
		fd = memfd_create("input", MFD_CLOEXEC);
		require(fd >= 0);
		require(snprintf(path, sizeof(path), "/proc/self/fd/%d", fd) > 0);
	}
	require(ftruncate(fd, 0) == 0);
	require(pwrite(fd, data + 1, size - 1, 0) == (ssize_t)(size - 1));
	struct buf text = {0};
	struct buf again = {0};
	struct outcome whole;
	struct outcome pieces;
	read_all(path, 0, &text, &whole);
	read_all(path, (size_t)data[0] * data[0] + 1, &again, &pieces);
	require(whole.rc == pieces.rc);
	if (whole.rc == 0) {
		require(text.len == again.len && (text.len == 0 || memcmp(text.data, again.data, text.len) == 0));
		check_digest(&text, &whole);
		check_digest(&again, &pieces);
		skip_all(path, &whole);
	}
	buf_release(&text);
	buf_release(&again);
	return 0;
}
