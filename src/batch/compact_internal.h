/* Which files are merged: compact_choose.c is pure, compact_barriers.c looks at the states. */
#ifndef PUNCHCARD_BATCH_COMPACT_INTERNAL_H
#define PUNCHCARD_BATCH_COMPACT_INTERNAL_H

#include "batch/committed.h"
#include "config/deployment.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct compact_file {
	struct committed_name name;
	uint64_t bytes;
};

/* Files are merged when there are min_files of them, at most max_files, of together at most target_bytes, and when that makes
 * growth_of / growth_by times of the largest. */
struct compact_rule {
	size_t min_files;
	size_t max_files;
	uint64_t target_bytes;
	uint64_t growth_of;
	uint64_t growth_by;
};

/* The rule for a directory that is written to, or was not for long. */
struct compact_rule compact_rule_of(uint32_t min_files, uint64_t target_bytes, bool is_quiet);

/*
 * Chooses neighbours, files[*at] to files[*at + *n - 1]: the most from the first file on that can be merged. `files`: all of a
 * directory that count, in the order of their blocks, none of which has blocks of another. barriers, ascending: offsets that
 * must not come to lie within a file. False: there is nothing to merge.
 */
bool compact_choose(const struct compact_file *files, size_t n_files, const uint64_t *barriers, size_t n_barriers,
		    const struct compact_rule *rule, size_t *at, size_t *n);

/* Offsets of states, ascending. */
struct compact_barriers {
	uint64_t *offsets;
	size_t n;
};
/* *out is released by compact_barriers_release. While merging is held (files_lock.h), no offset comes to them. */
int compact_barriers_read(const struct deployment *deployment, struct compact_barriers *out, struct error *err);
void compact_barriers_release(struct compact_barriers *barriers);

#endif
