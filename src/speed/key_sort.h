/*
 * Pieces of bytes, each with a number as its key, in the order of the keys; those of one key in the order in which they came.
 *
 *     struct key_sort sort = {0};
 *     char *const room = key_sort_room(&sort);          // NULL: out of memory
 *     key_sort_add(&sort, key, len);                    // as many bytes of it were written
 *     rc = key_sort_finish(&sort, err);
 *     for (size_t i = 0; i < sort.n; i++) … sort.items[i].key, key_sort_bytes(&sort, &sort.items[i]) …
 *     key_sort_clear(&sort);
 *
 * Memory: the bytes and 10 more a piece while they come; then the bytes and 16; while it sorts a little more than the greater of
 * the two. Not tied to a thread; one belongs to one thread at a time.
 */
#ifndef PUNCHCARD_SPEED_KEY_SORT_H
#define PUNCHCARD_SPEED_KEY_SORT_H

#include "base/buf.h"
#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

/* The most bytes of a piece. */
#define KEY_SORT_PIECE_MAX  512u
#define KEY_SORT_PLACE_BITS 48u

struct key_sort_item {
	uint64_t key;
	/* Where its bytes begin in `bytes`, and how many they are. */
	uint64_t at : KEY_SORT_PLACE_BITS;
	uint64_t len : 64 - KEY_SORT_PLACE_BITS;
};

/* All zero is an empty one. */
struct key_sort {
	/* While they come: chunks of pieces, each behind its key and length. */
	struct key_sort_chunk *chunks;
	size_t n_chunks;
	size_t chunks_cap;
	uint64_t first_key;
	uint64_t last_key;
	size_t n;
	size_t bytes_len; /* of all pieces */
	/* When it is finished. */
	struct key_sort_item *items; /* n of them, in order */
	char *bytes;
};

/* Room for a piece. NULL when out of memory. */
char *key_sort_room(struct key_sort *sort);
/* The piece in the room is whole. len: 1 to KEY_SORT_PIECE_MAX. */
void key_sort_add(struct key_sort *sort, uint64_t key, size_t len);
/* Once; nothing can be added behind it. ERROR_NO_MEMORY. */
int key_sort_finish(struct key_sort *sort, struct error *err);
/* Empty again; the memory is given back. */
void key_sort_clear(struct key_sort *sort);

static inline struct slice key_sort_bytes(const struct key_sort *sort, const struct key_sort_item *item)
{
	return (struct slice){sort->bytes + item->at, item->len};
}

#endif
