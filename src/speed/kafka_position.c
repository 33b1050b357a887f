/*
 * What follows the beginning of a position (speed/intake_position.c), version 3, whose digest is the print of the message before `next`:
 *
 *     bytes       what
 *     varint      flags: 1: there is a print
 *     varint × 3  next, generation, lost
 *
 * Valid when nothing is missing and nothing follows. Its key, S being the source's name and T the topic's:
 *
 *     S NUL NUL "k" T NUL partition    big endian, 32 bits
 */
#include "speed/kafka_position.h"

#include "base/bytes.h"
#include "speed/intake_internal.h"

#define HAS_PRINT 1u

int kafka_position_decode(struct slice stored, struct kafka_position *out)
{
	struct kafka_position position = {0};
	struct slice rest = {NULL, 0};
	if (!stored.len || (unsigned char)stored.data[0] != POSITION_VERSION_KAFKA ||
	    intake_position_decode_rest(stored, &position.common, position.print, &rest) < 0)
		return ERROR_CORRUPT;
	struct reader r = reader_of(rest);
	const uint64_t flags = read_varint(&r);
	const uint64_t next = read_varint(&r);
	position.generation = read_varint(&r);
	position.lost = read_varint(&r);
	position.has_print = flags & HAS_PRINT;
	position.next = (int64_t)next;
	if (r.bad || r.at != r.end || next > INT64_MAX || flags > HAS_PRINT)
		return ERROR_CORRUPT;
	*out = position;
	return 0;
}

static int make_key(struct buf *out, const char *source, const char *topic, int32_t partition, struct error *err)
{
	const uint32_t n = (uint32_t)partition;
	const char big[] = {(char)(n >> 24), (char)(n >> 16), (char)(n >> 8), (char)n};
	return buf_append(out, source, strlen(source) + 1) < 0 || buf_append(out, "\0k", 2) < 0 ||
			       buf_append(out, topic, strlen(topic) + 1) < 0 || buf_append(out, big, sizeof(big)) < 0
		       ? error_no_memory(err, strlen(topic))
		       : 0;
}

static struct slice whole(const struct buf *buf)
{
	return (struct slice){buf->data, buf->len};
}

int kafka_position_get(struct journal *journal, const char *source, const char *topic, int32_t partition, bool *found,
		       struct kafka_position *out, struct error *err)
{
	_cleanup_buf_ struct buf key = {0};
	struct slice stored = {NULL, 0};
	struct error fault = {0};
	int rc = make_key(&key, source, topic, partition, err);
	if (rc < 0)
		return rc;
	rc = journal_position(journal, whole(&key), &stored, &fault);
	*found = rc == 0;
	if (rc < 0)
		return rc == ERROR_NOT_FOUND ? 0 : error_set(err, rc, "%s", fault.message);
	if (kafka_position_decode(stored, out) < 0)
		return error_set(err, ERROR_CORRUPT, "the position of source %s, topic %s, partition %d is damaged",
				 source, topic, (int)partition);
	return 0;
}

int kafka_position_set(struct journal *journal, const char *source, const char *topic, int32_t partition,
		       const struct kafka_position *position, struct error *err)
{
	_cleanup_buf_ struct buf key = {0};
	_cleanup_buf_ struct buf bytes = {0};
	const int rc = make_key(&key, source, topic, partition, err);
	if (rc < 0)
		return rc;
	if (intake_position_encode(POSITION_VERSION_KAFKA, &position->common, position->print, &bytes) < 0 ||
	    buf_reserve(&bytes, 4 * VARINT_MAX_BYTES) < 0)
		return error_no_memory(err, sizeof(*position));
	char *p = bytes.data + bytes.len;
	p = put_varint(p, position->has_print ? HAS_PRINT : 0);
	p = put_varint(p, (uint64_t)position->next);
	p = put_varint(p, position->generation);
	p = put_varint(p, position->lost);
	bytes.len = (size_t)(p - bytes.data);
	return journal_position_set(journal, whole(&key), whole(&bytes), err);
}
