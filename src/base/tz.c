#include "base/tz.h"

#include "base/file.h"
#include "base/tz_internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SECONDS_PER_DAY 86400
#define NAME_MAX_BYTES  128

static const char *zoneinfo_dir(void)
{
	const char *const dir = secure_getenv("TZDIR");
	return dir && *dir ? dir : "/usr/share/zoneinfo";
}

/* Only what cannot leave the zoneinfo directory: letters, digits, "_+-." and single inner slashes, no part that begins with
 * a dot. */
static bool is_safe_name(const char *name)
{
	const size_t len = strlen(name);
	if (len == 0 || len > NAME_MAX_BYTES)
		return false;
	char before = '/';
	for (const char *at = name; *at; at++) {
		if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-./", *at))
			return false;
		if (before == '/' && (*at == '/' || *at == '.'))
			return false;
		before = *at;
	}
	return before != '/';
}

static int make_utc(const char *name, struct tz **out, struct error *err)
{
	/* A version 1 file with one type of offset 0 and an abbreviation: UTC must work where no zoneinfo is installed. */
	static const char UTC[44 + 6 + 4] = "TZif\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
					    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\4"
					    "\0\0\0\0\0\0UTC";
	return tz_decode(name, UTC, sizeof(UTC), out, err);
}

static int not_found(const char *name, const char *dir, struct error *err)
{
	if (!file_exists(dir))
		return error_set(err, ERROR_NOT_FOUND,
				 "no time zone '%s': there is no %s; install the package tzdata, or set TZDIR", name,
				 dir);
	return error_set(err, ERROR_NOT_FOUND,
			 "no time zone '%.200s' in %s; expected an IANA name such as Asia/Bangkok or UTC", name, dir);
}

int tz_load(const char *name, struct tz **out, struct error *err)
{
	if (strcmp(name, "UTC") == 0 || strcmp(name, "Etc/UTC") == 0)
		return make_utc(name, out, err);
	const char *const dir = zoneinfo_dir();
	if (!is_safe_name(name))
		return not_found(name, dir, err);
	_cleanup_free_ char *path = text_printf("%s/%s", dir, name);
	if (!path)
		return error_no_memory(err, strlen(name));
	struct stat st;
	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return not_found(name, dir, err);

	_cleanup_buf_ struct buf data = {0};
	int rc = file_read_all(path, TZ_FILE_MAX_BYTES, &data, err);
	if (rc == ERROR_LIMIT)
		return error_set(err, ERROR_CORRUPT, "%s is no time zone file: it is too large", path);
	if (rc < 0)
		return rc;
	rc = tz_decode(name, data.data, data.len, out, err);
	return rc == ERROR_CORRUPT ? error_prefix(err, "%s is no usable time zone file", path) : rc;
}

void tz_free(struct tz *tz)
{
	if (!tz)
		return;
	free(tz->name);
	free(tz->at);
	free(tz->offsets);
	free(tz);
}

const char *tz_name(const struct tz *tz)
{
	return tz->name;
}

/* How many transitions are at or before the instant: the index of the offset that holds. */
static uint32_t count_until(const struct tz *tz, int64_t utc_s)
{
	uint32_t lo = 0;
	uint32_t hi = tz->n;
	if (utc_s < TZ_INDEX_FIRST_S) {
		hi = tz->index[0];
	} else {
		const uint64_t bucket = ((uint64_t)utc_s - (uint64_t)TZ_INDEX_FIRST_S) >> TZ_INDEX_SHIFT;
		if (bucket < TZ_INDEX_BUCKETS) {
			lo = tz->index[bucket];
			hi = tz->index[bucket + 1];
		} else {
			lo = tz->index[TZ_INDEX_BUCKETS];
		}
	}
	while (lo < hi) {
		const uint32_t middle = lo + (hi - lo) / 2;
		if (tz->at[middle] <= utc_s)
			lo = middle + 1;
		else
			hi = middle;
	}
	return lo;
}

int32_t tz_offset_s(const struct tz *tz, int64_t utc_s)
{
	return tz->offsets[count_until(tz, utc_s)];
}

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

int32_t tz_local_day(const struct tz *tz, int64_t utc_us)
{
	const int64_t utc_s = floor_div(utc_us, 1000000);
	return (int32_t)floor_div(utc_s + tz_offset_s(tz, utc_s), SECONDS_PER_DAY);
}

int64_t tz_utc_of_local_s(const struct tz *tz, int64_t local_s)
{
	const uint32_t first = count_until(tz, local_s - TZ_MAX_OFFSET_S);
	const uint32_t last = count_until(tz, local_s + TZ_MAX_OFFSET_S);
	/* Intervals ascend in UTC, so the first that contains the answer gives the earlier one of a fold. */
	for (uint32_t i = first; i <= last; i++) {
		const int64_t utc_s = local_s - tz->offsets[i];
		if ((i == 0 || utc_s >= tz->at[i - 1]) && (i == tz->n || utc_s < tz->at[i]))
			return utc_s;
	}
	/* In a gap: the offset before it moves the time forward by the gap's length. */
	for (uint32_t i = first; i < last; i++)
		if (local_s >= tz->at[i] + tz->offsets[i] && local_s < tz->at[i] + tz->offsets[i + 1])
			return local_s - tz->offsets[i];
	return local_s - tz->offsets[first];
}
