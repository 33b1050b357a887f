/* Inside of tz: the loaded zone, and the decoder apart from the file system (so that it can be fuzzed). */
#ifndef PUNCHCARD_BASE_TZ_INTERNAL_H
#define PUNCHCARD_BASE_TZ_INTERNAL_H

#include "base/tz.h"

/* No place was ever farther from UTC; RFC 8536 asks for less than 25 h west and 26 h east. */
#define TZ_MAX_OFFSET_S (26 * 3600)

/* Lookups begin in a table of buckets of 2^23 s (97 days) from 1900 to 2201, so that a search sees one or two transitions. */
#define TZ_INDEX_FIRST_S INT64_C(-2208988800)
#define TZ_INDEX_SHIFT   23
#define TZ_INDEX_BUCKETS 1133u

/* A zoneinfo file has at most some 3 KiB; beyond this it is something else. */
#define TZ_FILE_MAX_BYTES (256u * 1024u)

struct tz {
	char *name;
	/* offsets[i] holds before at[i] and from at[i - 1] on: n + 1 of them. `at` ascends strictly, neighbouring offsets differ. */
	int64_t *at;
	int32_t *offsets;
	uint32_t n;
	/* How many transitions are at or before the beginning of each bucket. */
	uint32_t index[TZ_INDEX_BUCKETS + 1];
};

/* A zone from the bytes of a TZif file; `name` is copied. ERROR_CORRUPT (the message says what is wrong, without a file
 * name) or ERROR_NO_MEMORY. The caller frees *out. */
int tz_decode(const char *name, const void *data, size_t len, struct tz **out, struct error *err);

#endif
