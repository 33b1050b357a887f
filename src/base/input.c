#include "base/input.h"

#include "base/buf.h"
#include "base/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>
#include <xxhash.h>
#include <zlib.h>

/* One read. Larger ones are not faster, and the window costs its size in memory. */
#define BLOCK_BYTES ((size_t)256 * 1024)
/* The window and room for a block: the unconsumed bytes are moved to the front only when less than a block is free. */
#define BUFFER_BYTES (INPUT_WINDOW_BYTES + 4 * BLOCK_BYTES)

struct unpacker {
	z_stream z;
	bool started;       /* z needs inflateEnd */
	bool inside_member; /* between the begin and the end of a member */
	bool file_ended;
	unsigned char packed[BLOCK_BYTES];
};

struct input {
	char *path; /* as messages show it */
	int fd;
	struct stat st;
	struct stat st_read; /* before the last read */
	int last_byte;       /* consumed; -1: none */
	bool at_eof;
	struct unpacker *gzip; /* NULL: plain */
	uint64_t offset;       /* of `begin` in the stream */
	XXH3_state_t *hash;    /* of the stream before `hashed` */
	char *buffer;
	size_t hashed; /* ≤ begin ≤ end ≤ BUFFER_BYTES: positions in buffer */
	size_t begin;
	size_t end;
};

static const char *name_type(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return "a directory; name the files in it";
	case S_IFIFO:
		return "a named pipe; write its data to a file first";
	case S_IFSOCK:
		return "a socket; write its data to a file first";
	default:
		return "a device; write its data to a file first";
	}
}

static int open_file(struct input *in, const char *path, bool no_follow, struct error *err)
{
	/* O_NONBLOCK: a FIFO without a writer would block for ever. It means nothing for a regular file. */
	in->fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | (no_follow ? O_NOFOLLOW : 0));
	if (in->fd < 0 && no_follow && errno == ELOOP)
		return error_set(err, ERROR_INPUT, "%s is a symbolic link; punchcard takes regular files only",
				 in->path);
	if (in->fd < 0)
		return error_errno(err, errno, "cannot open %s", in->path);
	if (fstat(in->fd, &in->st) < 0)
		return error_errno(err, errno, "cannot read %s", in->path);
	if (!S_ISREG(in->st.st_mode))
		return error_set(err, ERROR_INPUT, "%s is not a file but %s", in->path, name_type(in->st.st_mode));
	posix_fadvise(in->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	return 0;
}

/* Reads up to `size` bytes; 0 at the file's end. */
static ssize_t read_some(struct input *in, void *to, size_t size, struct error *err)
{
	/* Before the read: what comes later than this is then never taken for read. */
	const int rc = input_stat_now(in, &in->st_read, err);
	if (rc < 0)
		return rc;
	for (;;) {
		const ssize_t n = read(in->fd, to, size);
		if (n >= 0)
			return n;
		if (errno != EINTR)
			return error_errno(err, errno, "cannot read %s", in->path);
	}
}

static int start_unpacking(struct input *in, const char *head, size_t len, struct error *err)
{
	in->gzip = calloc(1, sizeof(*in->gzip));
	if (!in->gzip || inflateInit2(&in->gzip->z, 16 + MAX_WBITS) != Z_OK)
		return error_no_memory(err, sizeof(*in->gzip));
	in->gzip->started = true;
	in->gzip->inside_member = true;
	memcpy(in->gzip->packed, head, len);
	in->gzip->z.next_in = in->gzip->packed;
	in->gzip->z.avail_in = (uInt)len;
	return 0;
}

static int fail_unpacking(const struct input *in, const char *what, struct error *err)
{
	return error_set(err, ERROR_INPUT,
			 "%s: the gzip data %s (after %" PRIu64 " bytes of text); fetch or pack the file again",
			 in->path, what, in->offset + (in->end - in->begin));
}

/* Makes packed bytes available, if there are any left in the file. */
static int read_packed(struct input *in, struct error *err)
{
	struct unpacker *const gzip = in->gzip;
	if (gzip->z.avail_in || gzip->file_ended)
		return 0;
	const ssize_t n = read_some(in, gzip->packed, sizeof(gzip->packed), err);
	if (n < 0)
		return (int)n;
	gzip->file_ended = n == 0;
	gzip->z.next_in = gzip->packed;
	gzip->z.avail_in = (uInt)n;
	return 0;
}

/* Between members: zero bytes are padding (tapes, block devices), anything else begins the next member. */
static int begin_member(struct input *in, struct error *err)
{
	struct unpacker *const gzip = in->gzip;
	while (gzip->z.avail_in && *gzip->z.next_in == 0) {
		gzip->z.next_in++;
		gzip->z.avail_in--;
	}
	if (!gzip->z.avail_in)
		return 0;
	if (*gzip->z.next_in != 0x1F)
		return fail_unpacking(in, "has something else behind it", err);
	if (inflateReset(&gzip->z) != Z_OK)
		return fail_unpacking(in, "is damaged", err);
	gzip->inside_member = true;
	return 0;
}

static int fill_unpacked(struct input *in, struct error *err)
{
	struct unpacker *const gzip = in->gzip;
	for (;;) {
		int rc = read_packed(in, err);
		if (rc < 0)
			return rc;
		if (!gzip->inside_member) {
			if (gzip->file_ended) {
				in->at_eof = true;
				return 0;
			}
			rc = begin_member(in, err);
			if (rc < 0)
				return rc;
			continue;
		}
		if (gzip->file_ended)
			return fail_unpacking(in, "is cut off", err);
		const size_t room = BUFFER_BYTES - in->end;
		gzip->z.next_out = (unsigned char *)in->buffer + in->end;
		gzip->z.avail_out = (uInt)room;
		const int z = inflate(&gzip->z, Z_NO_FLUSH);
		in->end = BUFFER_BYTES - gzip->z.avail_out;
		gzip->inside_member = z != Z_STREAM_END;
		/* Text before an error is handed out first: zlib gives the same error again. */
		if (gzip->z.avail_out < room)
			return 0;
		if (z == Z_MEM_ERROR)
			return error_no_memory(err, BUFFER_BYTES);
		if (z != Z_OK && z != Z_STREAM_END && z != Z_BUF_ERROR)
			return fail_unpacking(in, "is damaged", err);
	}
}

static int fill_plain(struct input *in, struct error *err)
{
	const ssize_t n = read_some(in, in->buffer + in->end, BLOCK_BYTES, err);
	if (n < 0)
		return (int)n;
	in->end += (size_t)n;
	in->at_eof = n == 0;
	return 0;
}

/* Hashing is put off until the bytes leave the buffer or a digest is asked for: many small pieces would cost more. */
static void hash_consumed(struct input *in)
{
	XXH3_128bits_update(in->hash, in->buffer + in->hashed, in->begin - in->hashed);
	in->hashed = in->begin;
}

int input_fill(struct input *in, struct error *err)
{
	assert(in->end - in->begin < INPUT_WINDOW_BYTES);
	if (BUFFER_BYTES - in->end < BLOCK_BYTES) {
		hash_consumed(in);
		memmove(in->buffer, in->buffer + in->begin, in->end - in->begin);
		in->end -= in->begin;
		in->hashed = in->begin = 0;
	}
	return in->gzip ? fill_unpacked(in, err) : fill_plain(in, err);
}

/* Fills until there are `size` bytes or the end. A damaged gzip is no error yet where something could be read. */
static int fill_at_least(struct input *in, size_t size, struct error *err)
{
	while (!in->at_eof && input_len(in) < size) {
		const int rc = input_fill(in, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int detect_gzip(struct input *in, struct error *err)
{
	static const char MAGIC[] = {'\x1F', '\x8B'};
	const int rc = fill_at_least(in, sizeof(MAGIC), err);
	if (rc < 0 || input_len(in) < sizeof(MAGIC) || memcmp(input_data(in), MAGIC, sizeof(MAGIC)) != 0)
		return rc;
	/* What was read is packed: at most one block, and the window is empty again. */
	const size_t len = in->end;
	in->end = 0;
	in->at_eof = false;
	return start_unpacking(in, in->buffer, len, err);
}

static int skip_byte_order_mark(struct input *in, struct error *err)
{
	static const struct {
		const char bytes[4];
		size_t len;
		const char *name; /* NULL: fine */
	} MARKS[] = {
		{{'\xEF', '\xBB', '\xBF'}, 3, NULL},
		{{'\xFF', '\xFE', '\0', '\0'}, 4, "UTF-32"}, /* before UTF-16, whose mark it begins with */
		{{'\0', '\0', '\xFE', '\xFF'}, 4, "UTF-32"},
		{{'\xFF', '\xFE'}, 2, "UTF-16"},
		{{'\xFE', '\xFF'}, 2, "UTF-16"},
	};
	struct error ignored;
	if (fill_at_least(in, 4, &ignored) < 0 && input_len(in) == 0) {
		/* Not even a beginning: the same error again, for the caller. */
		return input_fill(in, err);
	}
	for (size_t i = 0; i < sizeof(MARKS) / sizeof(MARKS[0]); i++) {
		if (input_len(in) < MARKS[i].len || memcmp(input_data(in), MARKS[i].bytes, MARKS[i].len) != 0)
			continue;
		if (MARKS[i].name)
			return error_set(err, ERROR_INPUT, "%s is %s text; save it as UTF-8", in->path, MARKS[i].name);
		in->begin += MARKS[i].len;
		in->hashed = in->begin;
		return 0;
	}
	return 0;
}

static int open_all(struct input *in, const char *path, const struct input_options *options, struct error *err)
{
	in->path = strdup(options->shown ? options->shown : path);
	in->buffer = malloc(BUFFER_BYTES);
	in->hash = XXH3_createState();
	if (!in->path || !in->buffer || !in->hash)
		return error_no_memory(err, BUFFER_BYTES);
	XXH3_128bits_reset(in->hash);
	int rc = open_file(in, path, options->no_follow, err);
	if (rc == 0 && options->raw)
		return input_fill(in, err);
	if (rc == 0)
		rc = detect_gzip(in, err);
	if (rc == 0)
		rc = skip_byte_order_mark(in, err);
	return rc;
}

int input_open(const char *path, struct input **out, struct error *err)
{
	return input_open_with(path, &(struct input_options){0}, out, err);
}

int input_open_with(const char *path, const struct input_options *options, struct input **out, struct error *err)
{
	struct input *const in = calloc(1, sizeof(*in));
	if (!in)
		return error_no_memory(err, sizeof(*in));
	in->fd = -1;
	in->last_byte = -1;
	const int rc = open_all(in, path, options, err);
	if (rc < 0) {
		input_close(in);
		return rc;
	}
	*out = in;
	return 0;
}

void input_close(struct input *in)
{
	if (!in)
		return;
	if (in->gzip && in->gzip->started)
		inflateEnd(&in->gzip->z);
	free(in->gzip);
	XXH3_freeState(in->hash);
	free(in->buffer);
	if (in->fd >= 0)
		close(in->fd);
	free(in->path);
	free(in);
}

const char *input_data(const struct input *in)
{
	return in->buffer + in->begin;
}

size_t input_len(const struct input *in)
{
	return in->end - in->begin;
}

bool input_at_eof(const struct input *in)
{
	return in->at_eof;
}

void input_consume(struct input *in, size_t n)
{
	assert(n <= input_len(in));
	if (n)
		in->last_byte = (unsigned char)in->buffer[in->begin + n - 1];
	in->begin += n;
	in->offset += n;
}

int input_skip(struct input *in, uint64_t n, struct error *err)
{
	while (n) {
		const size_t step = n < input_len(in) ? (size_t)n : input_len(in);
		input_consume(in, step);
		n -= step;
		if (n == 0)
			return 0;
		if (in->at_eof)
			return error_set(err, ERROR_INPUT,
					 "%s has only %" PRIu64 " bytes of text, %" PRIu64
					 " less than were read before",
					 in->path, in->offset, n);
		const int rc = input_fill(in, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

uint64_t input_offset(const struct input *in)
{
	return in->offset;
}

void input_digest(struct input *in, unsigned char out[INPUT_DIGEST_BYTES])
{
	hash_consumed(in);
	XXH128_canonical_t canonical;
	XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(in->hash));
	static_assert(sizeof(canonical.digest) == INPUT_DIGEST_BYTES, "XXH3-128 has 16 bytes");
	memcpy(out, canonical.digest, INPUT_DIGEST_BYTES);
}

const struct stat *input_stat_read(const struct input *in)
{
	return &in->st_read;
}

int input_stat_now(const struct input *in, struct stat *now, struct error *err)
{
	return fstat(in->fd, now) < 0 ? error_errno(err, errno, "cannot read %s", in->path) : 0;
}

int input_last_byte(const struct input *in)
{
	return in->last_byte;
}

int input_check_unchanged(const struct input *in, struct error *err)
{
	struct stat now;
	const int rc = input_stat_now(in, &now, err);
	if (rc < 0)
		return rc;
	if (now.st_size == in->st.st_size && now.st_mtim.tv_sec == in->st.st_mtim.tv_sec &&
	    now.st_mtim.tv_nsec == in->st.st_mtim.tv_nsec)
		return 0;
	return error_set(err, ERROR_INPUT, "%s changed while it was read; wait until it is complete, then try again",
			 in->path);
}

bool input_is_gzip(const struct input *in)
{
	return in->gzip != NULL;
}
