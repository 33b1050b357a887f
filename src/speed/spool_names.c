#include "speed/spool_names.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* Known. */

struct spool_known_entry {
	uint64_t name;  /* 0: free */
	uint64_t state; /* its lowest bit: seen since the last sweep */
};

#define SEEN UINT64_C(1)

uint64_t spool_name_hash(const char *name)
{
	const uint64_t hash = XXH3_64bits(name, strlen(name));
	return hash ? hash : 1;
}

static uint64_t state_of(const struct stat *st)
{
	const bool regular = S_ISREG(st->st_mode);
	const uint64_t parts[] = {st->st_dev,
				  st->st_ino,
				  st->st_mode & S_IFMT,
				  regular ? (uint64_t)st->st_size : 0,
				  regular ? (uint64_t)st->st_mtim.tv_sec : 0,
				  regular ? (uint64_t)st->st_mtim.tv_nsec : 0};
	return XXH3_64bits(parts, sizeof(parts)) | SEEN;
}

/* Where it is, or where it would be; NULL: no room at all. */
static struct spool_known_entry *find(const struct spool_known *known, uint64_t name)
{
	if (!known->room)
		return NULL;
	size_t at = name & (known->room - 1);
	while (known->entries[at].name && known->entries[at].name != name)
		at = (at + 1) & (known->room - 1);
	return &known->entries[at];
}

/* Puts the entries with one of these bits into a new table with room for twice as many. */
static bool rebuild(struct spool_known *known, uint64_t any_of, uint64_t clear)
{
	size_t n = 0;
	for (size_t i = 0; i < known->room; i++)
		n += known->entries[i].name && (known->entries[i].state & any_of);
	struct spool_known next = {.room = 64};
	while (next.room < n * 4)
		next.room *= 2;
	next.entries = calloc(next.room, sizeof(*next.entries));
	if (!next.entries)
		return false;
	for (size_t i = 0; i < known->room; i++) {
		const struct spool_known_entry *const entry = &known->entries[i];
		if (!entry->name || !(entry->state & any_of))
			continue;
		*find(&next, entry->name) = (struct spool_known_entry){entry->name, entry->state & ~clear};
		next.n++;
	}
	free(known->entries);
	*known = next;
	return true;
}

void spool_known_set(struct spool_known *known, const char *name, const struct stat *st)
{
	/* At most half full. */
	if (known->n * 2 >= known->room && !rebuild(known, ~UINT64_C(0), 0))
		return;
	const uint64_t hash = spool_name_hash(name);
	struct spool_known_entry *const entry = find(known, hash);
	known->n += !entry->name;
	*entry = (struct spool_known_entry){hash, state_of(st)};
}

bool spool_known_name(struct spool_known *known, const char *name)
{
	struct spool_known_entry *const entry = find(known, spool_name_hash(name));
	if (!entry || !entry->name)
		return false;
	entry->state |= SEEN;
	return true;
}

bool spool_known_is(const struct spool_known *known, const char *name, const struct stat *st)
{
	const struct spool_known_entry *const entry = find(known, spool_name_hash(name));
	return entry && entry->name && (entry->state | SEEN) == state_of(st);
}

void spool_known_sweep(struct spool_known *known)
{
	if (known->n)
		rebuild(known, SEEN, SEEN);
}

void spool_known_release(struct spool_known *known)
{
	free(known->entries);
	*known = (struct spool_known){0};
}

/* Looks. */

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct spool_look *)a)->name, ((const struct spool_look *)b)->name);
}

static bool is_before(const struct spool_look *a, const struct spool_look *b)
{
	return a->due_us != b->due_us ? a->due_us < b->due_us : strcmp(a->name, b->name) < 0;
}

static void place(struct spool_looks *looks, struct spool_look *look, size_t at)
{
	looks->heap[at] = look;
	look->at = at;
}

static void sift(struct spool_looks *looks, struct spool_look *look)
{
	size_t at = look->at;
	for (; at && is_before(look, looks->heap[(at - 1) / 2]); at = (at - 1) / 2)
		place(looks, looks->heap[(at - 1) / 2], at);
	for (size_t child = 2 * at + 1; child < looks->n; child = 2 * at + 1) {
		if (child + 1 < looks->n && is_before(looks->heap[child + 1], looks->heap[child]))
			child++;
		if (!is_before(looks->heap[child], look))
			break;
		place(looks, looks->heap[child], at);
		at = child;
	}
	place(looks, look, at);
}

struct spool_look *spool_looks_find(const struct spool_looks *looks, const char *name)
{
	const struct spool_look key = {.name = name};
	void *const node = tfind(&key, &looks->by_name, compare_names);
	return node ? *(struct spool_look **)node : NULL;
}

struct spool_look *spool_looks_add(struct spool_looks *looks, const char *name)
{
	struct spool_look *const there = spool_looks_find(looks, name);
	if (there)
		return there;
	if (looks->n == looks->room) {
		const size_t room = looks->room ? looks->room * 2 : 64;
		struct spool_look **const more = realloc(looks->heap, room * sizeof(struct spool_look *));
		if (!more)
			return NULL;
		looks->heap = more;
		looks->room = room;
	}
	const size_t size = strlen(name) + 1;
	struct spool_look *const look = calloc(1, sizeof(*look) + size);
	if (!look)
		return NULL;
	look->name = memcpy(look + 1, name, size);
	look->due_us = SPOOL_NEVER;
	if (!tsearch(look, &looks->by_name, compare_names)) {
		free(look);
		return NULL;
	}
	place(looks, look, looks->n++);
	sift(looks, look);
	return look;
}

void spool_looks_due(struct spool_looks *looks, struct spool_look *look, int64_t due_us)
{
	look->due_us = due_us;
	sift(looks, look);
}

struct spool_look *spool_looks_first(const struct spool_looks *looks)
{
	return looks->n ? looks->heap[0] : NULL;
}

void spool_looks_remove(struct spool_looks *looks, struct spool_look *look)
{
	tdelete(look, &looks->by_name, compare_names);
	struct spool_look *const last = looks->heap[--looks->n];
	if (last != look) {
		place(looks, last, look->at);
		sift(looks, last);
	}
	free(look->renamed_from);
	free(look);
	if (looks->n == 0) {
		free(looks->heap);
		looks->heap = NULL;
		looks->room = 0;
	}
}

void spool_looks_release(struct spool_looks *looks)
{
	while (looks->n)
		spool_looks_remove(looks, looks->heap[looks->n - 1]);
}
