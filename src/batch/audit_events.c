/*
 * The rows of events: all of transactions_cln can be read, in all columns, and has as many rows as the journal counted.
 */
#include "batch/audit_internal.h"

#include "batch/committed.h"

#include <inttypes.h>
#include <stdio.h>

#define NUMBER_BYTES 32
#define MEMORY_MIB   256u

static void tell_numbers(struct audit *audit, enum audit_table table, const char *column, uint64_t is, uint64_t should)
{
	char is_text[NUMBER_BYTES];
	char should_text[NUMBER_BYTES];
	snprintf(is_text, sizeof(is_text), "%" PRIu64, is);
	snprintf(should_text, sizeof(should_text), "%" PRIu64, should);
	const struct audit_cell cell = {column, slice_of(is_text), slice_of(should_text)};
	audit_tell(audit, &(struct audit_finding){
				  .table = table, .kind = AUDIT_SUMS, .day = DAY_MIN, .cells = &cell, .n_cells = 1});
}

/* A hash over all columns makes the engine read and decode them all. `files`: a list of SQL texts. */
static int read_rows(struct audit *audit, struct slice files, uint64_t *n, struct error *err)
{
	_cleanup_buf_ struct buf sql = {0};
	int64_t rows = 0;
	*n = 0;
	if (buf_printf(&sql,
		       "CREATE TEMP TABLE read AS SELECT count(*) AS n, bit_xor(hash(t)) AS h FROM read_parquet(%.*s, "
		       "hive_partitioning = false, union_by_name = true) AS t",
		       (int)files.len, files.data) < 0 ||
	    !buf_text(&sql))
		return error_no_memory(err, files.len);
	const struct engine_options options = {.memory_mib = MEMORY_MIB,
					       .threads = audit->deployment.config->engine_threads,
					       .tmp_dir = audit->deployment.tmp_dir};
	struct engine *engine = NULL;
	int rc = engine_open(&options, &engine, err);
	if (rc == 0)
		rc = audit_statement(audit, engine, sql.data, "reading the rows of events", err);
	if (rc == 0)
		rc = engine_run_int64(engine, "SELECT n FROM read", &rows, err);
	engine_close(engine);
	*n = (uint64_t)rows;
	return rc;
}

/* Takes the next of "['a', 'b']", with its quotes. */
static bool next_file(const char **at, struct slice *out)
{
	const char *const from = strchr(*at, '\'');
	const char *end = from ? strchr(from + 1, '\'') : NULL;
	while (end && end[1] == '\'')
		end = strchr(end + 2, '\'');
	if (!end)
		return false;
	*out = (struct slice){from, (size_t)(end + 1 - from)};
	*at = end + 1;
	return true;
}

/* Something cannot be read: tells which files, one by one. *n: how many. */
static int find_unreadable(struct audit *audit, const char *files, unsigned *n, struct error *err)
{
	struct slice file;
	*n = 0;
	while (next_file(&files, &file)) {
		_cleanup_buf_ struct buf text = {0};
		struct error error = {0};
		uint64_t rows = 0;
		const int rc = read_rows(audit, file, &rows, &error);
		if (rc == 0)
			continue;
		if (rc != ERROR_CORRUPT && rc != ERROR_SQL) {
			*err = error;
			return rc;
		}
		/* The engine's message has the path, or has not. */
		const bool has_path = memmem(error.message, strlen(error.message), file.data + 1, file.len - 2) != NULL;
		if (buf_printf(&text, "%.*s%s%s", has_path ? 0 : (int)file.len - 2, file.data + 1, has_path ? "" : ": ",
			       error.message) < 0)
			return error_no_memory(err, file.len);
		(*n)++;
		audit_tell(audit, &(struct audit_finding){.table = AUDIT_TRANSACTIONS,
							  .kind = AUDIT_UNREADABLE,
							  .day = DAY_MIN,
							  .text = {text.data, text.len}});
	}
	return 0;
}

int audit_rows_of_events(struct audit *audit, bool *readable, struct error *err)
{
	_cleanup_buf_ struct buf files = {0};
	unsigned n_files = 0;
	unsigned n_unreadable = 0;
	uint64_t rows = 0;
	*readable = true;
	int rc = committed_transactions(&audit->deployment, audit->offset, &files, &n_files, err);
	if (rc == 0 && n_files && !buf_text(&files))
		rc = error_no_memory(err, files.len);
	if (rc == 0 && n_files)
		rc = read_rows(audit, (struct slice){files.data, files.len}, &rows, err);
	if (rc == ERROR_CORRUPT || rc == ERROR_SQL) {
		struct error error = {0};
		*readable = false;
		const int found = find_unreadable(audit, files.data ? files.data : "", &n_unreadable, &error);
		if (found < 0) {
			*err = error;
			return found;
		}
		/* Each can be read, all together cannot. */
		return n_unreadable ? 0 : audit_unreadable(audit, AUDIT_TRANSACTIONS, DAY_MIN, rc, err);
	}
	if (rc < 0)
		return rc;
	audit->report.rows = rows + audit->tail.n_lines;
	if (audit->report.rows != audit->totals.lines)
		tell_numbers(audit, AUDIT_TRANSACTIONS, "rows", audit->report.rows, audit->totals.lines);
	return 0;
}
