/*
 * Numbers as bytes, the same on every machine: little-endian fixed widths, and varints (LEB128, as in Protocol Buffers;
 * signed ones zigzag). Writers append to a buf; a reader walks a slice and remembers whether it ran past the end, so that a
 * decoder checks once, at the end.
 *
 *     struct reader r = reader_of(record);
 *     const uint64_t n = read_varint(&r);
 *     if (r.bad) return error_set(err, ERROR_CORRUPT, …);
 */
#ifndef PUNCHCARD_BASE_BYTES_H
#define PUNCHCARD_BASE_BYTES_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

#define VARINT_MAX_BYTES 10u

/* Writes at p (room for VARINT_MAX_BYTES); returns the byte behind. */
static inline char *put_varint(char *p, uint64_t value)
{
	while (value >= 0x80) {
		*p++ = (char)(0x80 | (value & 0x7f));
		value >>= 7;
	}
	*p++ = (char)value;
	return p;
}

static inline uint64_t zigzag(int64_t value)
{
	return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
}

static inline int64_t unzigzag(uint64_t value)
{
	return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

static inline char *put_signed(char *p, int64_t value)
{
	return put_varint(p, zigzag(value));
}

static inline char *put_u32(char *p, uint32_t value)
{
	for (unsigned i = 0; i < 4; i++)
		*p++ = (char)(value >> (8 * i));
	return p;
}

static inline char *put_u64(char *p, uint64_t value)
{
	for (unsigned i = 0; i < 8; i++)
		*p++ = (char)(value >> (8 * i));
	return p;
}

/* Length as a varint, then the bytes; room for VARINT_MAX_BYTES + len. */
static inline char *put_slice(char *p, struct slice s)
{
	p = put_varint(p, s.len);
	if (s.len)
		memcpy(p, s.data, s.len);
	return p + s.len;
}

struct reader {
	const unsigned char *at;
	const unsigned char *end;
	bool bad; /* something was read past the end, or was no shortest varint; what was read then is 0 */
};

static inline struct reader reader_of(struct slice s)
{
	/* An empty slice may have no address, from which nothing may be counted. */
	const unsigned char *const data = (const unsigned char *)(s.len ? s.data : "");
	return (struct reader){data, data + s.len, false};
}

/* read_varint of more than one byte, and of what is none. */
uint64_t read_long_varint(struct reader *r);

static inline uint64_t read_varint(struct reader *r)
{
	if (r->at < r->end && *r->at < 0x80)
		return *r->at++;
	return read_long_varint(r);
}

/* A varint from 0 to max; else the reader is bad, and it is 0. */
static inline int64_t read_up_to(struct reader *r, int64_t max)
{
	const uint64_t value = read_varint(r);
	if (value > (uint64_t)max) {
		r->bad = true;
		return 0;
	}
	return (int64_t)value;
}

static inline int64_t read_signed(struct reader *r)
{
	return unzigzag(read_varint(r));
}

static inline bool reader_has(struct reader *r, size_t len)
{
	if ((size_t)(r->end - r->at) < len)
		r->bad = true;
	return !r->bad;
}

static inline uint32_t read_u32(struct reader *r)
{
	uint32_t value = 0;
	if (reader_has(r, 4))
		for (unsigned i = 0; i < 4; i++)
			value |= (uint32_t)*r->at++ << (8 * i);
	return value;
}

static inline uint64_t read_u64(struct reader *r)
{
	uint64_t value = 0;
	if (reader_has(r, 8))
		for (unsigned i = 0; i < 8; i++)
			value |= (uint64_t)*r->at++ << (8 * i);
	return value;
}

static inline struct slice read_slice(struct reader *r)
{
	const uint64_t len = read_varint(r);
	if (r->bad || len > (uint64_t)(r->end - r->at)) {
		r->bad = true;
		return (struct slice){NULL, 0};
	}
	const struct slice s = {(const char *)r->at, (size_t)len};
	r->at += len;
	return s;
}

#endif
