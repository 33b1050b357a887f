/*
 * The ledger's partitions that a refresh changes. Those behind the state are what both foldings left, merged. Before it, only
 * customers who were folded whole can have other rows than they had: day by day, a hash of their rows as they are in the
 * table is compared with one of their rows as they were folded, and only days that differ are written again.
 */
#include "batch/refresh_internal.h"

#include "base/file.h"
#include "base/tz.h"

#include <stdlib.h>

#define WRITER_MEMORY_MIB 192u

struct day_hash {
	int32_t day;
	uint64_t hash;
};

struct rewriting {
	struct refresh *refresh;
	enum customer_id_type id_type;
	struct ledger_names *names[2];
	struct ledger_writer *writer;
	struct engine *engine;     /* reads the table */
	struct day_hash *old_days; /* of the marked customers, ascending */
	size_t n_old_days;
	size_t cap;
};

static const struct ledger_spool *whole_spool(const struct rewriting *rewriting)
{
	return rewriting->refresh->has_whole ? rewriting->refresh->whole.ledger : NULL;
}

/* ---- days behind the state ---- */

/* Whether a day has rows, or had some. */
static bool is_touched(const struct rewriting *rewriting, int32_t day)
{
	char date[11];
	civil_format(day, date);
	_cleanup_free_ char *live =
		text_printf("%s/ledger/data_dt=%s", rewriting->refresh->deployment->warehouse_dir, date);
	return ledger_spool_has(rewriting->refresh->days.ledger, day) ||
	       ledger_spool_has(whole_spool(rewriting), day) || !live || file_exists(live);
}

static int write_new_day(struct rewriting *rewriting, int32_t day, struct error *err)
{
	struct refresh *const refresh = rewriting->refresh;
	_cleanup_free_ char *dir = NULL;
	int rc = swap_partition(refresh->swap, "ledger", day, &dir, err);
	if (rc < 0)
		return rc;
	struct ledger_spool_source of_days;
	struct ledger_spool_source of_whole;
	struct ledger_merged_source both;
	ledger_spool_source(&of_days, refresh->days.ledger, day, rewriting->id_type, rewriting->names[0]);
	ledger_spool_source(&of_whole, whole_spool(rewriting), day, rewriting->id_type, rewriting->names[1]);
	ledger_merged_source(&both, &of_days.source, &of_whole.source);
	uint64_t rows;
	rc = ledger_writer_write(rewriting->writer, &both.source, dir, &rows, err);
	ledger_spool_source_release(&of_days);
	ledger_spool_source_release(&of_whole);
	return rc;
}

/* ---- days up to the state ---- */

static int add_old_row(struct rewriting *rewriting, int32_t day, const struct ledger_row *row, struct error *err)
{
	if (!rewriting->n_old_days || rewriting->old_days[rewriting->n_old_days - 1].day != day) {
		if (rewriting->n_old_days == rewriting->cap) {
			const size_t cap = rewriting->cap ? rewriting->cap * 2 : 256;
			struct day_hash *const days = realloc(rewriting->old_days, cap * sizeof(*days));
			if (!days)
				return error_no_memory(err, cap * sizeof(*days));
			rewriting->old_days = days;
			rewriting->cap = cap;
		}
		rewriting->old_days[rewriting->n_old_days++] = (struct day_hash){.day = day};
	}
	ledger_row_hash(row, &rewriting->old_days[rewriting->n_old_days - 1].hash);
	return 0;
}

static int hash_old_rows(struct rewriting *rewriting, struct error *err)
{
	_cleanup_buf_ struct buf files = {0};
	_cleanup_buf_ struct buf sql = {0};
	unsigned n = 0;
	int rc = ledger_files(rewriting->refresh->deployment, DAY_MIN, rewriting->refresh->from.day, &files, &n, err);
	if (rc < 0 || n == 0)
		return rc;
	if (!buf_text(&files) ||
	    buf_printf(&sql,
		       "SELECT " LEDGER_SCAN_COLUMNS " FROM read_parquet(%s, hive_partitioning = true, hive_types = "
		       "{'data_dt': DATE}) WHERE cust_id IN (SELECT cust_id FROM marked_customers()) ORDER BY data_dt, "
		       "cust_id, entry_no",
		       files.data) < 0 ||
	    !buf_text(&sql))
		return error_no_memory(err, files.len);
	struct engine_scan *scan = NULL;
	rc = engine_scan_open(rewriting->engine, sql.data, &scan, err);
	uint32_t rows = 0;
	while (rc == 0 && (rc = engine_scan_next(scan, &rows, err)) == 0 && rows > 0) {
		for (uint32_t i = 0; rc == 0 && i < rows; i++) {
			struct ledger_row row;
			int32_t day;
			ledger_scan_row(scan, i, rewriting->id_type, &row, &day);
			rc = add_old_row(rewriting, day, &row, err);
		}
	}
	engine_scan_close(scan);
	return rc;
}

static int hash_new_rows(struct rewriting *rewriting, int32_t day, uint64_t *hash, struct error *err)
{
	struct ledger_spool_source source;
	ledger_spool_source(&source, whole_spool(rewriting), day, rewriting->id_type, rewriting->names[1]);
	struct ledger_row row;
	bool found = true;
	int rc = 0;
	*hash = 0;
	while (rc == 0 && found) {
		rc = source.source.next(&source.source, &row, &found, err);
		if (rc == 0 && found)
			ledger_row_hash(&row, hash);
	}
	ledger_spool_source_release(&source);
	return rc;
}

/* The day's rows of all other customers, and the new ones of those who were folded whole. */
static int write_old_day(struct rewriting *rewriting, int32_t day, struct error *err)
{
	_cleanup_free_ char *dir = NULL;
	_cleanup_buf_ struct buf files = {0};
	_cleanup_buf_ struct buf sql = {0};
	unsigned n = 0;
	int rc = swap_partition(rewriting->refresh->swap, "ledger", day, &dir, err);
	if (rc == 0)
		rc = ledger_files(rewriting->refresh->deployment, day, day, &files, &n, err);
	if (rc < 0)
		return rc;
	if (!buf_text(&files) ||
	    buf_printf(&sql,
		       "SELECT " LEDGER_SCAN_COLUMNS
		       " FROM read_parquet(%s, hive_partitioning = true, hive_types = {'data_dt': DATE})",
		       files.data) < 0 ||
	    !buf_text(&sql))
		return error_no_memory(err, files.len);
	struct engine_scan *scan = NULL;
	if (n)
		rc = engine_scan_open(rewriting->engine, sql.data, &scan, err);
	if (rc < 0)
		return rc;
	struct ledger_scan_source others;
	struct ledger_spool_source marked;
	struct ledger_merged_source both;
	ledger_scan_source(&others, scan, rewriting->id_type, &rewriting->refresh->marked);
	ledger_spool_source(&marked, whole_spool(rewriting), day, rewriting->id_type, rewriting->names[1]);
	ledger_merged_source(&both, &others.source, &marked.source);
	uint64_t rows;
	rc = ledger_writer_write(rewriting->writer, &both.source, dir, &rows, err);
	ledger_spool_source_release(&marked);
	engine_scan_close(scan);
	return rc;
}

/* Days that have old rows, or new ones, in order. */
static int rewrite_old_days(struct rewriting *rewriting, uint64_t *rewritten, struct error *err)
{
	const int32_t last = rewriting->refresh->from.day;
	int32_t new_day = ledger_spool_day(whole_spool(rewriting), DAY_MIN);
	int rc = 0;
	for (size_t i = 0; rc == 0;) {
		const struct day_hash *const old = i < rewriting->n_old_days ? &rewriting->old_days[i] : NULL;
		const int32_t old_day = old ? old->day : DAY_MAX;
		const int32_t day = old_day < new_day ? old_day : new_day;
		if (day > last)
			break;
		uint64_t hash = 0;
		const uint64_t old_hash = old && old_day == day ? old->hash : 0;
		if (new_day == day)
			rc = hash_new_rows(rewriting, day, &hash, err);
		if (rc == 0 && hash != old_hash) {
			rc = write_old_day(rewriting, day, err);
			++*rewritten;
		}
		i += old_day == day;
		if (new_day == day)
			new_day = ledger_spool_day(whole_spool(rewriting), day + 1);
	}
	return rc;
}

/* ---- both ---- */

static int open_rewriting(struct rewriting *rewriting, struct error *err)
{
	const struct deployment *const deployment = rewriting->refresh->deployment;
	const struct engine_options options = {.memory_mib = deployment->config->engine_memory_mib,
					       .threads = deployment->config->engine_threads,
					       .tmp_dir = deployment->tmp_dir};
	for (unsigned i = 0; i < 2; i++)
		if (!(rewriting->names[i] = ledger_names_new(deployment->programme)))
			return error_no_memory(err, sizeof(void *));
	int rc = ledger_writer_open(deployment, WRITER_MEMORY_MIB, &rewriting->writer, err);
	if (rc == 0 && rewriting->refresh->has_whole)
		rc = engine_open(&options, &rewriting->engine, err);
	if (rc == 0 && rewriting->refresh->has_whole)
		rc = id_list_register(&rewriting->refresh->marked, "marked_customers", rewriting->engine, err);
	return rc;
}

int refresh_ledger(struct refresh *refresh, uint64_t *rewritten, struct error *err)
{
	struct rewriting rewriting = {.refresh = refresh, .id_type = refresh->deployment->config->customer_id};
	uint64_t n = 0;
	int rc = open_rewriting(&rewriting, err);
	if (rc == 0 && refresh->has_whole)
		rc = hash_old_rows(&rewriting, err);
	if (rc == 0 && refresh->has_whole)
		rc = rewrite_old_days(&rewriting, &n, err);
	for (int32_t day = refresh->from.day + 1; rc == 0 && day <= refresh->data_dt; day++)
		if (is_touched(&rewriting, day))
			rc = write_new_day(&rewriting, day, err);
	ledger_writer_close(rewriting.writer);
	engine_close(rewriting.engine);
	ledger_names_free(rewriting.names[0]);
	ledger_names_free(rewriting.names[1]);
	free(rewriting.old_days);
	if (err && (rc == ERROR_SQL || rc == ERROR_CORRUPT || rc == ERROR_NOT_FOUND || rc == ERROR_IO)) {
		const struct error old = *err;
		return error_set(
			err, rc,
			"writing the table ledger: %s; if a file of it is missing or damaged, `punchcard audit` "
			"tells which, and `punchcard rebuild` makes all tables again",
			old.message);
	}
	if (rc < 0)
		return error_prefix(err, "writing the table ledger");
	*rewritten = n;
	return 0;
}
