/*
 * What follows the beginning of a position (speed/intake_position.c), version 2, whose digest is XXH3-128 of the bytes before
 * the position, the last `before` of them:
 *
 *     bytes       what
 *     varint      flags: 1: in the rest of a line
 *     varint × 5  before, device, inode, generation, head
 *     16          XXH3-128 of the text's first `head` bytes
 *     signed      started, UTC microseconds
 *     slice       the file's name
 *
 * Keys; S is the source's name, N a file's, and no file of a spool has an empty name:
 *
 *     S NUL NUL "p"           of a pipe
 *     S NUL NUL "t" number    of a text; big endian, 64 bits
 *     NUL S NUL NUL N         how many texts had this name: a varint, no position
 */
#include "speed/stream_position.h"

#include "base/bytes.h"
#include "speed/intake_internal.h"

#include <xxhash.h>

#define IN_REST 1u

void stream_print_make(struct slice bytes, struct stream_print *out)
{
	XXH128_canonical_t canonical;
	XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes.data, bytes.len));
	out->len = (uint32_t)bytes.len;
	memcpy(out->digest, canonical.digest, sizeof(out->digest));
}

bool stream_print_is_of(const struct stream_print *print, const void *bytes)
{
	struct stream_print other;
	if (print->len == 0)
		return true;
	stream_print_make((struct slice){bytes, print->len}, &other);
	return memcmp(print->digest, other.digest, sizeof(other.digest)) == 0;
}

int stream_position_decode(struct slice stored, struct stream_position *out)
{
	struct stream_position position = {0};
	struct slice rest = {NULL, 0};
	if (!stored.len || (unsigned char)stored.data[0] != POSITION_VERSION_STREAM ||
	    intake_position_decode_rest(stored, &position.common, position.before.digest, &rest) < 0 || !rest.len)
		return ERROR_CORRUPT;
	struct reader r = reader_of(rest);
	const uint64_t flags = read_varint(&r);
	position.in_rest = flags & IN_REST;
	position.before.len = (uint32_t)read_up_to(&r, STREAM_PRINT_BYTES);
	position.dev = read_varint(&r);
	position.ino = read_varint(&r);
	position.generation = read_varint(&r);
	position.head.len = (uint32_t)read_up_to(&r, STREAM_PRINT_BYTES);
	if (!reader_has(&r, INPUT_DIGEST_BYTES))
		return ERROR_CORRUPT;
	memcpy(position.head.digest, r.at, INPUT_DIGEST_BYTES);
	r.at += INPUT_DIGEST_BYTES;
	position.started_us = read_signed(&r);
	position.name = read_slice(&r);
	if (r.bad || r.at != r.end || position.before.len > position.common.bytes ||
	    position.head.len > position.common.bytes)
		return ERROR_CORRUPT;
	*out = position;
	return 0;
}

static int encode(const struct stream_position *position, struct buf *out)
{
	if (intake_position_encode(POSITION_VERSION_STREAM, &position->common, position->before.digest, out) < 0 ||
	    buf_reserve(out, 8 * VARINT_MAX_BYTES + INPUT_DIGEST_BYTES + position->name.len) < 0)
		return ERROR_NO_MEMORY;
	char *p = out->data + out->len;
	p = put_varint(p, position->in_rest ? IN_REST : 0);
	p = put_varint(p, position->before.len);
	p = put_varint(p, position->dev);
	p = put_varint(p, position->ino);
	p = put_varint(p, position->generation);
	p = put_varint(p, position->head.len);
	memcpy(p, position->head.digest, INPUT_DIGEST_BYTES);
	p += INPUT_DIGEST_BYTES;
	p = put_signed(p, position->started_us);
	p = put_slice(p, position->name);
	out->len = (size_t)(p - out->data);
	return 0;
}

/* Keys. */

static int make_key(struct buf *out, const char *source, char kind, struct error *err)
{
	const char tail[] = {'\0', '\0', kind};
	return buf_append_text(out, source) < 0 || buf_append(out, tail, sizeof(tail)) < 0
		       ? error_no_memory(err, sizeof(tail))
		       : 0;
}

static struct slice whole(const struct buf *buf)
{
	return (struct slice){buf->data, buf->len};
}

static int set(struct journal *journal, const struct buf *key, const struct stream_position *position,
	       struct error *err)
{
	_cleanup_buf_ struct buf bytes = {0};
	if (encode(position, &bytes) < 0)
		return error_no_memory(err, sizeof(*position));
	return journal_position_set(journal, whole(key), whole(&bytes), err);
}

static int fail_damaged(const char *source, struct error *err)
{
	return error_set(err, ERROR_CORRUPT, "a position of source %s in the journal is damaged", source);
}

/* Pipes. */

static int get_pipe(struct journal *journal, const char *source, struct stream_position *out, struct error *err)
{
	_cleanup_buf_ struct buf key = {0};
	struct slice stored = {NULL, 0};
	int rc = make_key(&key, source, 'p', err);
	if (rc == 0)
		rc = journal_position(journal, whole(&key), &stored, err);
	if (rc < 0)
		return rc;
	return stream_position_decode(stored, out) < 0 ? fail_damaged(source, err) : 0;
}

int stream_position_read_pipe(struct journal *journal, const char *source, struct stream_position *out,
			      struct error *err)
{
	struct stream_position position = {0};
	int rc = journal_begin(journal, err);
	if (rc < 0)
		return rc;
	struct error fault = {0};
	rc = get_pipe(journal, source, &position, &fault);
	position.name = (struct slice){NULL, 0};
	journal_abort(journal);
	if (rc < 0 && rc != ERROR_NOT_FOUND)
		return error_set(err, rc, "%s", fault.message);
	*out = rc < 0 ? (struct stream_position){0} : position;
	return 0;
}

int64_t stream_position_start(struct stream_position *position, int64_t now_us)
{
	position->started_us = now_us > position->started_us ? now_us : position->started_us + 1;
	return position->started_us;
}

int stream_position_set_pipe(struct journal *journal, const char *source, const struct stream_position *position,
			     struct error *err)
{
	_cleanup_buf_ struct buf key = {0};
	const int rc = make_key(&key, source, 'p', err);
	return rc == 0 ? set(journal, &key, position, err) : rc;
}

/* Texts. */

int stream_position_set_text(struct journal *journal, const char *source, uint64_t number,
			     const struct stream_position *position, struct error *err)
{
	_cleanup_buf_ struct buf key = {0};
	unsigned char big[8];
	for (unsigned i = 0; i < 8; i++)
		big[i] = (unsigned char)(number >> (8 * (7 - i)));
	int rc = make_key(&key, source, 't', err);
	if (rc == 0 && buf_append(&key, big, sizeof(big)) < 0)
		rc = error_no_memory(err, key.len);
	return rc == 0 ? set(journal, &key, position, err) : rc;
}

struct walk {
	int (*each)(void *context, uint64_t number, const struct stream_position *position, struct error *err);
	void *context;
	const char *source;
	size_t prefix_len;
	struct error *err;
	int rc;
};

static int visit(void *context, struct slice key, struct slice stored)
{
	struct walk *const walk = context;
	struct stream_position position;
	if (key.len != walk->prefix_len + 8 || stream_position_decode(stored, &position) < 0) {
		walk->rc = fail_damaged(walk->source, walk->err);
		return 1;
	}
	uint64_t number = 0;
	for (unsigned i = 0; i < 8; i++)
		number = number << 8 | (unsigned char)key.data[walk->prefix_len + i];
	walk->rc = walk->each(walk->context, number, &position, walk->err);
	return walk->rc < 0;
}

int stream_position_each_text(struct journal *journal, const char *source,
			      int (*each)(void *context, uint64_t number, const struct stream_position *position,
					  struct error *err),
			      void *context, struct error *err)
{
	_cleanup_buf_ struct buf prefix = {0};
	int rc = make_key(&prefix, source, 't', err);
	if (rc < 0)
		return rc;
	struct walk walk = {each, context, source, prefix.len, err, 0};
	rc = journal_positions(journal, whole(&prefix), visit, &walk, err);
	return rc < 0 ? rc : walk.rc;
}

/* Whether there is something under this key; ERROR_NOT_FOUND is none of the errors. */
static int look_up(struct journal *journal, const struct buf *key, bool *found, struct slice *stored, struct error *err)
{
	struct error fault = {0};
	const int rc = journal_position(journal, whole(key), stored, &fault);
	*found = rc == 0;
	return rc == 0 || rc == ERROR_NOT_FOUND ? 0 : error_set(err, rc, "%s", fault.message);
}

int stream_position_generation(struct journal *journal, const char *source, struct slice name, uint64_t *generation,
			       struct error *err)
{
	_cleanup_buf_ struct buf key = {0};
	_cleanup_buf_ struct buf spool = {0};
	if (buf_append(&key, "", 1) < 0 || buf_append(&key, source, strlen(source) + 1) < 0 ||
	    buf_append(&key, "", 1) < 0 || buf_append(&key, name.data, name.len) < 0 ||
	    buf_append(&spool, source, strlen(source) + 1) < 0 || buf_append(&spool, name.data, name.len) < 0)
		return error_no_memory(err, name.len);
	bool found;
	struct slice stored = {NULL, 0};
	int rc = look_up(journal, &key, &found, &stored, err);
	if (rc < 0)
		return rc;
	uint64_t had = 0;
	if (found) {
		struct reader r = reader_of(stored);
		had = read_varint(&r);
		if (r.bad)
			return fail_damaged(source, err);
	} else {
		rc = look_up(journal, &spool, &found, &stored, err);
		had = found;
	}
	if (rc < 0)
		return rc;
	char bytes[VARINT_MAX_BYTES];
	const size_t len = (size_t)(put_varint(bytes, had + 1) - bytes);
	rc = journal_position_set(journal, whole(&key), (struct slice){bytes, len}, err);
	if (rc == 0)
		*generation = had + 1;
	return rc;
}
