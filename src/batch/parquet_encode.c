#include "batch/parquet_encode.h"

#include "base/bytes.h"
#include "base/error.h"

#include <assert.h>

/* Values of a block of differences, in miniblocks that have a width each. */
#define BLOCK       128u
#define MINIBLOCKS  4u
#define MINIBLOCK   (BLOCK / MINIBLOCKS)
#define BITS        64u
#define LEVELS_RUN  8u /* packed in groups of so many */
#define BYTE_BITS   8u
#define BLOCK_BYTES (VARINT_MAX_BYTES + MINIBLOCKS + BLOCK * sizeof(uint64_t))

static unsigned width_of(uint64_t value)
{
	return value ? BITS - (unsigned)__builtin_clzll(value) : 0;
}

/* The low `width` bits of n values, n * width being whole bytes; returns the byte behind. */
static char *pack(char *p, const uint64_t *values, size_t n, unsigned width)
{
	unsigned __int128 bits = 0;
	unsigned filled = 0;
	for (size_t i = 0; i < n; i++) {
		bits |= (unsigned __int128)values[i] << filled;
		filled += width;
		if (filled >= BITS) {
			p = put_u64(p, (uint64_t)bits);
			bits >>= BITS;
			filled -= BITS;
		}
	}
	for (; filled > 0; filled -= BYTE_BITS) {
		*p++ = (char)(uint8_t)bits;
		bits >>= BYTE_BITS;
	}
	return p;
}

/* One block: differences of n values from `last` on, less the least of them. */
static char *put_block(char *p, const int64_t *values, size_t n, int64_t last)
{
	uint64_t deltas[BLOCK] = {0};
	int64_t least = INT64_MAX;
	for (size_t i = 0; i < n; i++) {
		/* Wraps around, as the format says. */
		deltas[i] = (uint64_t)values[i] - (uint64_t)last;
		last = values[i];
		least = (int64_t)deltas[i] < least ? (int64_t)deltas[i] : least;
	}
	p = put_signed(p, least);
	char *const widths = p;
	p += MINIBLOCKS;
	for (size_t mini = 0; mini < MINIBLOCKS; mini++) {
		uint64_t *const of_mini = deltas + mini * MINIBLOCK;
		const size_t first = mini * MINIBLOCK;
		const size_t n_mini = n <= first ? 0 : n - first < MINIBLOCK ? n - first : MINIBLOCK;
		uint64_t all = 0;
		for (size_t i = 0; i < n_mini; i++) {
			of_mini[i] -= (uint64_t)least;
			all |= of_mini[i];
		}
		const unsigned width = width_of(all);
		widths[mini] = (char)width;
		if (width)
			p = pack(p, of_mini, MINIBLOCK, width);
	}
	return p;
}

int encode_deltas(const int64_t *values, size_t n, struct buf *out)
{
	if (buf_reserve(out, 4 * (size_t)VARINT_MAX_BYTES) < 0)
		return ERROR_NO_MEMORY;
	char *p = out->data + out->len;
	p = put_varint(p, BLOCK);
	p = put_varint(p, MINIBLOCKS);
	p = put_varint(p, n);
	p = put_signed(p, n ? values[0] : 0);
	out->len = (size_t)(p - out->data);
	for (size_t at = 1; at < n; at += BLOCK) {
		if (buf_reserve(out, BLOCK_BYTES) < 0)
			return ERROR_NO_MEMORY;
		p = put_block(out->data + out->len, values + at, n - at < BLOCK ? n - at : BLOCK, values[at - 1]);
		out->len = (size_t)(p - out->data);
	}
	return 0;
}

int encode_texts(const char *bytes, const int64_t *lens, size_t n, struct buf *out)
{
	size_t len = 0;
	for (size_t i = 0; i < n; i++)
		len += (size_t)lens[i];
	const int rc = encode_deltas(lens, n, out);
	return rc < 0 || len == 0 ? rc : buf_append(out, bytes, len);
}

static size_t shared(const char *a, size_t a_len, const char *b, size_t b_len)
{
	const size_t most = a_len < b_len ? a_len : b_len;
	size_t n = 0;
	while (n + sizeof(uint64_t) <= most && memcmp(a + n, b + n, sizeof(uint64_t)) == 0)
		n += sizeof(uint64_t);
	while (n < most && a[n] == b[n])
		n++;
	return n;
}

int encode_suffixes(const char *bytes, const int64_t *lens, size_t n, int64_t *scratch, struct buf *out)
{
	int64_t *const prefixes = scratch;
	int64_t *const rests = scratch + n;
	size_t total = 0;
	const char *last = bytes;
	const char *at = bytes;
	for (size_t i = 0; i < n; i++) {
		const size_t len = (size_t)lens[i];
		const size_t prefix = i ? shared(last, (size_t)lens[i - 1], at, len) : 0;
		prefixes[i] = (int64_t)prefix;
		rests[i] = (int64_t)(len - prefix);
		total += len - prefix;
		last = at;
		at += len;
	}
	if (encode_deltas(prefixes, n, out) < 0 || encode_deltas(rests, n, out) < 0 || buf_reserve(out, total) < 0)
		return ERROR_NO_MEMORY;
	char *p = out->data + out->len;
	at = bytes;
	for (size_t i = 0; i < n; i++) {
		memcpy(p, at + prefixes[i], (size_t)rests[i]);
		p += rests[i];
		at += lens[i];
	}
	out->len += total;
	return 0;
}

static bool all_same(const uint32_t *values, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (values[i] != values[0])
			return false;
	return true;
}

int encode_levels(const uint32_t *values, size_t n, unsigned width, struct buf *out)
{
	assert(width >= 1 && width <= 24);
	const size_t groups = (n + LEVELS_RUN - 1) / LEVELS_RUN;
	if (n == 0)
		return 0;
	if (buf_reserve(out, VARINT_MAX_BYTES + (groups + 1) * width + sizeof(uint64_t)) < 0)
		return ERROR_NO_MEMORY;
	char *p = out->data + out->len;
	if (all_same(values, n)) {
		p = put_varint(p, n << 1);
		for (unsigned bits = 0; bits < width; bits += BYTE_BITS)
			*p++ = (char)(uint8_t)(values[0] >> bits);
		out->len = (size_t)(p - out->data);
		return 0;
	}
	p = put_varint(p, groups << 1 | 1);
	for (size_t at = 0; at < n; at += BLOCK) {
		uint64_t block[BLOCK] = {0};
		const size_t n_block = n - at < BLOCK ? n - at : BLOCK;
		for (size_t i = 0; i < n_block; i++)
			block[i] = values[at + i];
		p = pack(p, block, (n_block + LEVELS_RUN - 1) / LEVELS_RUN * LEVELS_RUN, width);
	}
	out->len = (size_t)(p - out->data);
	return 0;
}
