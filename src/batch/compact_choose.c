#include "batch/compact_internal.h"

/* As many as DuckDB opens at once without many descriptors, and enough for a backlog of thousands to be worked off quickly. */
#define FILES_MOST 64u
/* What is left of a day in the end: a file, one of a quarter of it, and so on; few. */
#define QUIET_FILES     2u
#define QUIET_GROWTH_OF 4u
#define QUIET_GROWTH_BY 3u

struct compact_rule compact_rule_of(uint32_t min_files, uint64_t target_bytes, bool is_quiet)
{
	const struct compact_rule rule = {
		.min_files = is_quiet ? QUIET_FILES : min_files,
		.max_files = min_files > FILES_MOST ? min_files : FILES_MOST,
		.target_bytes = target_bytes,
		/* Half of what files of one size would give: they need not be all of one size. */
		.growth_of = is_quiet ? QUIET_GROWTH_OF : min_files,
		.growth_by = is_quiet ? QUIET_GROWTH_BY : 2,
	};
	return rule;
}

/* Whether an offset lies behind block `last` and not behind block `first` of a later file. */
static bool has_barrier(const uint64_t *barriers, size_t n, uint64_t last, uint64_t first)
{
	size_t low = 0;
	size_t high = n;
	while (low < high) {
		const size_t middle = low + (high - low) / 2;
		if (barriers[middle] > last)
			high = middle;
		else
			low = middle + 1;
	}
	return low < n && barriers[low] <= first;
}

bool compact_choose(const struct compact_file *files, size_t n_files, const uint64_t *barriers, size_t n_barriers,
		    const struct compact_rule *rule, size_t *at, size_t *n)
{
	for (size_t first = 0; first < n_files; first++) {
		uint64_t sum = 0;
		uint64_t largest = 0;
		size_t best = 0;
		for (size_t i = first; i < n_files && i - first < rule->max_files; i++) {
			sum += files[i].bytes;
			largest = files[i].bytes > largest ? files[i].bytes : largest;
			if (sum > rule->target_bytes || largest > rule->target_bytes / 2 ||
			    (i > first &&
			     has_barrier(barriers, n_barriers, files[i - 1].name.last, files[i].name.first)))
				break;
			if (i - first + 1 >= rule->min_files && largest * rule->growth_of <= sum * rule->growth_by)
				best = i - first + 1;
		}
		if (best) {
			*at = first;
			*n = best;
			return true;
		}
	}
	return false;
}
