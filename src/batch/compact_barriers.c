/* The offsets of all states: those that serve, and those that a killed batch command left to be swapped in. */
#include "batch/compact_internal.h"

#include "base/file.h"
#include "base/limits.h"
#include "batch/states.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

/* data/swap/partitions/account_state/data_dt=…/ */
#define DEPTH_MOST 4u

static int add(struct compact_barriers *barriers, uint64_t offset, struct error *err)
{
	uint64_t *const offsets = reallocarray(barriers->offsets, barriers->n + 1, sizeof(*offsets));
	if (!offsets)
		return error_no_memory(err, (barriers->n + 1) * sizeof(*offsets));
	barriers->offsets = offsets;
	offsets[barriers->n++] = offset;
	return 0;
}

/* A directory may go while it is looked at: a swap is finished. */
static int look_below(const char *dir, unsigned depth, struct compact_barriers *barriers, struct error *err)
{
	DIR *const open_dir = opendir(dir);
	if (!open_dir)
		return errno == ENOENT || errno == ENOTDIR ? 0 : error_errno(err, errno, "cannot list %s", dir);
	const struct dirent *entry;
	int rc = 0;
	while (rc == 0 && (errno = 0, entry = readdir(open_dir))) {
		struct state_name name;
		if (states_parse_name(entry->d_name, &name)) {
			rc = add(barriers, name.offset, err);
		} else if (depth && entry->d_name[0] != '.' &&
			   (entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN)) {
			_cleanup_free_ char *path = text_printf("%s/%s", dir, entry->d_name);
			rc = path ? look_below(path, depth - 1, barriers, err) : error_no_memory(err, LIMIT_PATH_BYTES);
		}
	}
	if (rc == 0 && errno)
		rc = error_errno(err, errno, "cannot list %s", dir);
	closedir(open_dir);
	return rc;
}

static int compare(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a;
	const uint64_t y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

int compact_barriers_read(const struct deployment *deployment, struct compact_barriers *out, struct error *err)
{
	_cleanup_free_ char *swap = text_printf("%s/swap", deployment->data_dir);
	_cleanup_free_ char *states = text_printf("%s/account_state", deployment->warehouse_dir);
	if (!swap || !states)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	struct compact_barriers barriers = {0};
	/* In this order: what is exchanged meanwhile is seen in one of them. */
	int rc = look_below(swap, DEPTH_MOST, &barriers, err);
	if (rc == 0)
		rc = look_below(states, DEPTH_MOST, &barriers, err);
	if (rc < 0) {
		compact_barriers_release(&barriers);
		return rc;
	}
	if (barriers.n)
		qsort(barriers.offsets, barriers.n, sizeof(*barriers.offsets), compare);
	*out = barriers;
	return 0;
}

void compact_barriers_release(struct compact_barriers *barriers)
{
	free(barriers->offsets);
	*barriers = (struct compact_barriers){0};
}
