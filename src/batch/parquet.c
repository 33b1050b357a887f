#include "batch/parquet.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <xxhash.h>

#define HASH_BLOCK_BYTES (1u << 18)

static int hash_file(const char *path, char hex[33], struct error *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, errno, "cannot open %s", path);
	_cleanup_free_ char *block = malloc(HASH_BLOCK_BYTES);
	XXH3_state_t *const state = XXH3_createState();
	if (!block || !state) {
		XXH3_freeState(state);
		return error_no_memory(err, HASH_BLOCK_BYTES);
	}
	(void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE); /* a hint: who flushes it gets the errors */
	XXH3_128bits_reset(state);
	ssize_t n;
	while ((n = read(fd, block, HASH_BLOCK_BYTES)) > 0)
		XXH3_128bits_update(state, block, (size_t)n);
	const int errnum = errno;
	const XXH128_hash_t hash = XXH3_128bits_digest(state);
	XXH3_freeState(state);
	if (n < 0)
		return error_errno(err, errnum, "cannot read %s", path);
	snprintf(hex, 33, "%016llx%016llx", (unsigned long long)hash.high64, (unsigned long long)hash.low64);
	return 0;
}

char *parquet_staged(const char *dir, const char *prefix)
{
	return text_printf("%s/.%s.parquet", dir, prefix);
}

int parquet_name(const char *dir, const char *prefix, struct error *err)
{
	_cleanup_free_ char *staged = parquet_staged(dir, prefix);
	char hex[33];
	int rc = staged ? hash_file(staged, hex, err) : error_no_memory(err, strlen(dir));
	if (rc < 0)
		return rc;
	_cleanup_free_ char *path = text_printf("%s/%s-%s.parquet", dir, prefix, hex);
	if (!path)
		return error_no_memory(err, strlen(dir));
	return rename(staged, path) < 0 ? error_errno(err, errno, "cannot rename %s", staged) : 0;
}

int parquet_write(struct engine *engine, const char *select, const char *options, const char *dir, const char *prefix,
		  struct error *err)
{
	_cleanup_free_ char *staged = parquet_staged(dir, prefix);
	_cleanup_buf_ struct buf sql = {0};
	if (!staged || buf_printf(&sql, "COPY (%s) TO ", select) < 0 || engine_quote(&sql, staged) < 0 ||
	    buf_printf(&sql, " (%s)", options) < 0 || !buf_text(&sql))
		return error_no_memory(err, strlen(select));
	const int rc = engine_run(engine, sql.data, err);
	return rc < 0 ? rc : parquet_name(dir, prefix, err);
}
