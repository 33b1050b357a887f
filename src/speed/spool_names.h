/*
 * What the spool source remembers of names: the few that are to be looked at, and when; and of each that was put away, and found
 * unchanged, 16 bytes, which is enough to pass it over.
 *
 * Names are paths below the source's directory. Times are of the monotonic clock, in microseconds. One thread.
 */
#ifndef PUNCHCARD_SPEED_SPOOL_NAMES_H
#define PUNCHCARD_SPEED_SPOOL_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/* Known files: by hashes of 64 bits of the name, and of what tells that a file is still the same. */
struct spool_known {
	struct spool_known_entry *entries; /* open addressing */
	size_t room;                       /* a power of 2, or 0 */
	size_t n;
};

/* Remembers the file as it is; forgets what was known of the name. Without memory it is not remembered. */
void spool_known_set(struct spool_known *known, const char *name, const struct stat *st);
/* Whether anything is known of the name, whatever the file is now; it is marked as seen. */
bool spool_known_name(struct spool_known *known, const char *name);
bool spool_known_is(const struct spool_known *known, const char *name, const struct stat *st);
/* A number that is always the same for a name. */
uint64_t spool_name_hash(const char *name);
/* Forgets the names that were not seen since the last sweep. */
void spool_known_sweep(struct spool_known *known);
void spool_known_release(struct spool_known *known);

/* Never by itself: somebody else will say when. */
#define SPOOL_NEVER INT64_MAX

/* A name that is to be looked at. */
struct spool_look {
	const char *name;
	int64_t due_us;  /* set by spool_looks_due */
	int64_t last_us; /* when it was last looked at; 0: never */
	int64_t cost_us; /* how long that took */
	uint64_t said;   /* hash of the last warning; 0: none */
	uint64_t lines;  /* what came of it so far … */
	uint64_t taken;
	uint64_t duplicates;
	uint64_t quarantined;
	char *renamed_from; /* NULL: not told; freed with the look */
	size_t at;          /* in the heap */
	unsigned failures;  /* in a row */
	bool whole;         /* it was moved here */
	bool hinted;        /* something happened to it since it was looked at */
	bool in_block;      /* it waits for the commit */
};

struct spool_looks {
	void *by_name;            /* a tree of <search.h> */
	struct spool_look **heap; /* by due_us, then by name */
	size_t n;
	size_t room;
};

struct spool_look *spool_looks_find(const struct spool_looks *looks, const char *name);
/* The one that there is, or a new one, due never; NULL: no memory. */
struct spool_look *spool_looks_add(struct spool_looks *looks, const char *name);
/* Sets when it is due. */
void spool_looks_due(struct spool_looks *looks, struct spool_look *look, int64_t due_us);
/* The one that is due first; NULL: there is none. */
struct spool_look *spool_looks_first(const struct spool_looks *looks);
/* Frees it. */
void spool_looks_remove(struct spool_looks *looks, struct spool_look *look);
void spool_looks_release(struct spool_looks *looks);

#endif
