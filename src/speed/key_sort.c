#include "speed/key_sort.h"

#include "base/large.h"

#include <assert.h>
#include <stdlib.h>

#define CHUNK_BYTES  ((size_t)4 << 20)
#define CHUNKS_FIRST 16u
#define PLACE_MASK   ((UINT64_C(1) << KEY_SORT_PLACE_BITS) - 1)

/* First pieces are put apart by ranges of keys, so many that one range stays in the caches while it is sorted and read: looking
 * pieces up all over a large batch costs more than all that is done with them. Few pieces are one range. */
#define RANGE_BITS  8u
#define RANGES      (1u << RANGE_BITS)
#define RANGES_FROM 65536u
/* Within a range, a digit a pass. */
#define DIGIT_BITS 8u
#define DIGITS     (1u << DIGIT_BITS)

struct key_sort_chunk {
	char *data;
	size_t len;
};

/* In front of each piece of a chunk. */
struct head {
	uint64_t key;
	uint16_t len;
};
#define HEAD_BYTES (sizeof(uint64_t) + sizeof(uint16_t))

static_assert(sizeof(struct key_sort_item) == 16, "the header promises it");
static_assert(KEY_SORT_PIECE_MAX <= UINT16_MAX, "a length fits");

char *key_sort_room(struct key_sort *sort)
{
	const size_t most = HEAD_BYTES + KEY_SORT_PIECE_MAX;
	struct key_sort_chunk *const last = sort->chunks && sort->n_chunks ? &sort->chunks[sort->n_chunks - 1] : NULL;
	if (last && CHUNK_BYTES - last->len >= most)
		return last->data + last->len + HEAD_BYTES;
	if (sort->n_chunks == sort->chunks_cap) {
		const size_t cap = sort->chunks_cap ? sort->chunks_cap * 2 : CHUNKS_FIRST;
		struct key_sort_chunk *const chunks = reallocarray(sort->chunks, cap, sizeof(*chunks));
		if (!chunks)
			return NULL;
		sort->chunks = chunks;
		sort->chunks_cap = cap;
	}
	char *const data = large_map(CHUNK_BYTES);
	if (!data)
		return NULL;
	assert(sort->chunks);
	sort->chunks[sort->n_chunks++] = (struct key_sort_chunk){.data = data};
	return data + HEAD_BYTES;
}

void key_sort_add(struct key_sort *sort, uint64_t key, size_t len)
{
	assert(len && len <= KEY_SORT_PIECE_MAX && !sort->items);
	struct key_sort_chunk *const chunk = &sort->chunks[sort->n_chunks - 1];
	const uint16_t short_len = (uint16_t)len;
	memcpy(chunk->data + chunk->len, &key, sizeof(key));
	memcpy(chunk->data + chunk->len + sizeof(key), &short_len, sizeof(short_len));
	chunk->len += HEAD_BYTES + len;
	sort->first_key = sort->n == 0 || key < sort->first_key ? key : sort->first_key;
	sort->last_key = sort->n == 0 || key > sort->last_key ? key : sort->last_key;
	sort->n++;
	sort->bytes_len += len;
}

static void free_chunks(struct key_sort *sort)
{
	for (size_t i = 0; i < sort->n_chunks; i++)
		large_unmap(sort->chunks[i].data, CHUNK_BYTES);
	free(sort->chunks);
	sort->chunks = NULL;
	sort->n_chunks = sort->chunks_cap = 0;
}

void key_sort_clear(struct key_sort *sort)
{
	free_chunks(sort);
	large_unmap(sort->items, sort->n * sizeof(*sort->items));
	large_unmap(sort->bytes, sort->bytes_len);
	*sort = (struct key_sort){0};
}

static struct head head_at(const char *at)
{
	struct head head;
	memcpy(&head.key, at, sizeof(head.key));
	memcpy(&head.len, at + sizeof(head.key), sizeof(head.len));
	return head;
}

/* Where each range begins: among the items, and among their bytes. */
struct ranges {
	uint64_t first_key;
	unsigned shift;
	size_t items[RANGES + 1];
	size_t bytes[RANGES + 1];
};

static size_t range_of(const struct ranges *ranges, uint64_t key)
{
	return (key - ranges->first_key) >> ranges->shift;
}

static void find_ranges(const struct key_sort *sort, struct ranges *ranges)
{
	const uint64_t width = sort->last_key - sort->first_key;
	const unsigned bits = width ? 64 - (unsigned)__builtin_clzll(width) : 0;
	*ranges = (struct ranges){.first_key = sort->first_key, .shift = bits > RANGE_BITS ? bits - RANGE_BITS : 0};
	if (sort->n < RANGES_FROM)
		ranges->shift = bits < 64 ? bits : 63;
	for (size_t i = 0; i < sort->n_chunks; i++) {
		const char *const data = sort->chunks[i].data;
		for (size_t at = 0; at < sort->chunks[i].len;) {
			const struct head head = head_at(data + at);
			const size_t range = range_of(ranges, head.key);
			ranges->items[range + 1]++;
			ranges->bytes[range + 1] += head.len;
			at += HEAD_BYTES + head.len;
		}
	}
	for (size_t i = 1; i <= RANGES; i++) {
		ranges->items[i] += ranges->items[i - 1];
		ranges->bytes[i] += ranges->bytes[i - 1];
	}
}

/* Puts the pieces into their ranges. A chunk goes as soon as it is empty. */
static void put_apart(struct key_sort *sort, const struct ranges *ranges)
{
	size_t next[RANGES];
	size_t next_byte[RANGES];
	memcpy(next, ranges->items, sizeof(next));
	memcpy(next_byte, ranges->bytes, sizeof(next_byte));
	for (size_t i = 0; i < sort->n_chunks; i++) {
		struct key_sort_chunk *const chunk = &sort->chunks[i];
		for (size_t at = 0; at < chunk->len;) {
			const struct head head = head_at(chunk->data + at);
			const size_t range = range_of(ranges, head.key);
			sort->items[next[range]++] = (struct key_sort_item){
				.key = head.key, .at = next_byte[range] & PLACE_MASK, .len = head.len};
			memcpy(sort->bytes + next_byte[range], chunk->data + at + HEAD_BYTES, head.len);
			next_byte[range] += head.len;
			at += HEAD_BYTES + head.len;
		}
		large_unmap(chunk->data, CHUNK_BYTES);
		*chunk = (struct key_sort_chunk){0};
	}
	free_chunks(sort);
}

/* Sorts by the bits in which keys differ, from the lowest to the highest. Stable. `scratch`: room for n. */
static void sort_range(struct key_sort_item *items, size_t n, struct key_sort_item *scratch)
{
	uint64_t differ = 0;
	for (size_t i = 1; i < n; i++)
		differ |= items[i].key ^ items[0].key;
	struct key_sort_item *from = items;
	struct key_sort_item *to = scratch;
	while (differ) {
		const unsigned shift = (unsigned)__builtin_ctzll(differ);
		size_t starts[DIGITS] = {0};
		for (size_t i = 0; i < n; i++)
			starts[from[i].key >> shift & (DIGITS - 1)]++;
		size_t sum = 0;
		for (size_t i = 0; i < DIGITS; i++) {
			const size_t count = starts[i];
			starts[i] = sum;
			sum += count;
		}
		for (size_t i = 0; i < n; i++)
			to[starts[from[i].key >> shift & (DIGITS - 1)]++] = from[i];
		struct key_sort_item *const swap = from;
		from = to;
		to = swap;
		differ &= ~((uint64_t)(DIGITS - 1) << shift);
	}
	if (from != items)
		memcpy(items, from, n * sizeof(*items));
}

int key_sort_finish(struct key_sort *sort, struct error *err)
{
	if (sort->n == 0)
		return 0;
	struct ranges ranges;
	find_ranges(sort, &ranges);
	size_t most = 0;
	for (size_t i = 0; i < RANGES; i++) {
		const size_t n = ranges.items[i + 1] - ranges.items[i];
		most = n > most ? n : most;
	}
	struct key_sort_item *const scratch = large_map(most * sizeof(*scratch));
	sort->items = large_map(sort->n * sizeof(*sort->items));
	sort->bytes = large_map(sort->bytes_len);
	const bool mapped = scratch && sort->items && sort->bytes;
	if (mapped)
		put_apart(sort, &ranges);
	for (size_t i = 0; mapped && i < RANGES; i++)
		sort_range(&sort->items[ranges.items[i]], ranges.items[i + 1] - ranges.items[i], scratch);
	large_unmap(scratch, most * sizeof(*scratch));
	if (mapped)
		return 0;
	const size_t bytes = sort->bytes_len + (sort->n + most) * sizeof(*scratch);
	key_sort_clear(sort);
	return error_no_memory(err, bytes);
}
