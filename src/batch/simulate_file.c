/* The Parquet file of a simulation, wherever its rows come from. */
#include "batch/simulate.h"

#include "base/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Before an hour of work, not behind it. */
int simulate_check_file(const struct simulate_options *options, struct error *err)
{
	const char *const slash = strrchr(options->parquet, '/');
	if (access(options->parquet, F_OK) == 0)
		return error_set(err, ERROR_EXISTS, "%s is there already; nothing was changed", options->parquet);
	_cleanup_free_ char *dir =
		slash ? text_printf("%.*s", (int)(slash - options->parquet) + 1, options->parquet) : text_printf(".");
	if (!dir)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	if (access(dir, W_OK | X_OK) != 0)
		return error_errno(err, errno, "%s: cannot be written to", dir);
	return 0;
}

static int copy_rows(struct engine *engine, const char *select, const char *path, struct error *err)
{
	_cleanup_buf_ struct buf sql = {0};
	if (buf_printf(&sql, "COPY (%s) TO ", select) < 0 || engine_quote(&sql, path) < 0 ||
	    buf_append_text(&sql, " (FORMAT parquet, COMPRESSION zstd)") < 0 || !buf_text(&sql))
		return error_no_memory(err, sql.len);
	return engine_run(engine, sql.data, err);
}

/* Under another name first, so that nobody ever sees half of it. */
int simulate_write_file(const struct simulate_options *options, struct engine *engine, const char *select,
			struct error *err)
{
	/* What begins with ~ would be somebody's home. */
	_cleanup_free_ char *path = text_printf("%s%s", options->parquet[0] == '/' ? "" : "./", options->parquet);
	_cleanup_free_ char *part = path ? text_printf("%s.%ld.tmp", path, (long)getpid()) : NULL;
	if (!part)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	int rc = copy_rows(engine, select, part, err);
	if (rc == 0)
		rc = file_sync_path(part, err);
	/* One may have come meanwhile. */
	if (rc == 0)
		rc = simulate_check_file(options, err);
	if (rc == 0)
		rc = file_rename(part, path, err);
	if (rc < 0)
		unlink(part);
	return rc < 0 ? error_prefix(err, "%s", options->parquet) : 0;
}
