#include "batch/refresh.h"

#include "base/file.h"
#include "base/limits.h"
#include "batch/committed.h"
#include "batch/fold.h"
#include "engine/engine.h"
#include "store/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <xxhash.h>

#define SECONDS_PER_DAY  86400
#define HASH_BLOCK_BYTES (1u << 20)

struct refresh {
	const struct deployment *deployment;
	char date[11];
	int32_t data_dt;
	struct fold *fold;
	struct engine *engine;
	char *staging; /* directory */
	char *live;    /* the partition */
};

static int table_offset(const struct deployment *deployment, uint64_t *offset, struct error *err)
{
	const struct journal_options options = {.map_gib = deployment->config->journal_map_gib, .read_only = true};
	struct journal *journal = NULL;
	struct journal_reader *reader = NULL;
	int rc = journal_open(deployment->journal_dir, &options, &journal, err);
	if (rc == ERROR_NOT_FOUND) {
		*offset = 1;
		return 0;
	}
	if (rc == 0)
		rc = journal_reader_open(journal, &reader, err);
	if (rc == 0)
		rc = journal_reader_offset(reader, TABLE_CONSUMER, offset, err);
	journal_reader_close(reader);
	journal_close(journal);
	return rc;
}

static int fold_history(struct refresh *refresh, struct error *err)
{
	uint64_t offset = 0;
	unsigned n_files = 0;
	_cleanup_buf_ struct buf files = {0};
	_cleanup_buf_ struct buf sql = {0};
	int rc = table_offset(refresh->deployment, &offset, err);
	if (rc == 0)
		rc = committed_transactions(refresh->deployment, offset, &files, &n_files, err);
	if (rc < 0 || n_files == 0)
		return rc;
	/* The order's time decides, by the programme's zone of today: the partitions are those of the zone in which they were
	 * written, at most a day and some hours away, and only spare the reading. */
	const struct tz *const zone = refresh->deployment->programme->timezone;
	const int64_t end_s = tz_utc_of_local_s(zone, ((int64_t)refresh->data_dt + 1) * SECONDS_PER_DAY);
	char last_partition[11];
	civil_format(refresh->data_dt + 2, last_partition);
	if (!buf_text(&files) ||
	    buf_printf(&sql,
		       "SELECT cust_id, line_no, odr_tms, odr_amt FROM read_parquet(%s, hive_partitioning = true, "
		       "hive_types = {'data_dt': DATE}) WHERE data_dt <= DATE '%s' AND odr_tms < make_timestamp(%lld) "
		       "AND cust_id IS NOT NULL",
		       files.data, last_partition, (long long)end_s * 1000000) < 0 ||
	    !buf_text(&sql))
		return error_no_memory(err, files.len);
	return fold_scan(refresh->fold, refresh->engine, sql.data, err);
}

/* customers_cln, or an empty table while no customer file was loaded. */
static int make_customers_view(struct refresh *refresh, struct error *err)
{
	_cleanup_free_ char *dir = text_printf("%s/customers_cln", refresh->deployment->warehouse_dir);
	_cleanup_free_ char *glob = text_printf("%s/customers_cln/*.parquet", refresh->deployment->warehouse_dir);
	_cleanup_buf_ struct buf sql = {0};
	if (!dir || !glob)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	const char *const id_type = refresh->deployment->config->customer_id == CUSTOMER_ID_TEXT ? "VARCHAR" : "BIGINT";
	int rc = 0;
	if (!file_exists(dir)) {
		rc = buf_printf(&sql,
				"CREATE VIEW customers_cln AS SELECT NULL::%s AS cust_id, NULL::VARCHAR AS cust_nm, "
				"NULL::VARCHAR AS cust_email, NULL::DATE AS cust_strt_dt, NULL::VARCHAR AS "
				"cust_member_card_no, NULL::DATE AS cust_birth_dt, NULL::INTEGER AS cust_birth_yr, "
				"NULL::VARCHAR AS cust_gender WHERE false",
				id_type);
	} else {
		rc = buf_append_text(&sql, "CREATE VIEW customers_cln AS SELECT * FROM read_parquet(");
		if (rc == 0)
			rc = engine_quote(&sql, glob);
		if (rc == 0)
			rc = buf_append_text(&sql, ")");
	}
	if (rc < 0 || !buf_text(&sql))
		return error_no_memory(err, sql.len);
	return engine_run(refresh->engine, sql.data, err);
}

static int write_partition(struct refresh *refresh, const char *path, struct error *err)
{
	_cleanup_buf_ struct buf after = {0};
	if (buf_append_text(&after, ") TO ") < 0 || engine_quote(&after, path) < 0 ||
	    buf_append_text(&after, " (FORMAT parquet)") < 0 || !buf_text(&after))
		return error_no_memory(err, after.len);
	int rc = fold_register(refresh->fold, refresh->engine, err);
	if (rc == 0)
		rc = engine_run(refresh->engine, "CREATE VIEW accounts AS SELECT * FROM fold_accounts()", err);
	if (rc == 0)
		rc = make_customers_view(refresh, err);
	if (rc == 0)
		rc = engine_run_model(refresh->engine, refresh->deployment->models_dir, "loyalty", "COPY (", after.data,
				      err);
	return rc;
}

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

/* Gives the staged file its name by content and swaps the staging directory with the partition. */
static int publish(struct refresh *refresh, const char *staged, struct refresh_report *report, struct error *err)
{
	char hex[33];
	int rc = hash_file(staged, hex, err);
	if (rc < 0)
		return rc;
	_cleanup_free_ char *there = text_printf("%s/loyalty-%s.parquet", refresh->live, hex);
	_cleanup_free_ char *named = text_printf("%s/loyalty-%s.parquet", refresh->staging, hex);
	if (!there || !named)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	report->unchanged = file_exists(there);
	if (report->unchanged)
		return file_remove_tree(refresh->staging, err);
	rc = file_sync_path(staged, err);
	if (rc == 0)
		rc = file_rename(staged, named, err);
	if (rc < 0)
		return rc;
	if (!file_exists(refresh->live))
		return file_rename(refresh->staging, refresh->live, err);
	rc = file_exchange(refresh->staging, refresh->live, err);
	return rc < 0 ? rc : file_remove_tree(refresh->staging, err);
}

static int run(struct refresh *refresh, struct refresh_report *report, struct error *err)
{
	const struct deployment *const d = refresh->deployment;
	const struct engine_options options = {.memory_mib = d->config->engine_memory_mib,
					       .threads = d->config->engine_threads,
					       .tmp_dir = d->tmp_dir};
	_cleanup_free_ char *table_dir = text_printf("%s/loyalty", d->warehouse_dir);
	refresh->staging = text_printf("%s/loyalty-%s", d->tmp_dir, refresh->date);
	refresh->live = text_printf("%s/loyalty/data_dt=%s", d->warehouse_dir, refresh->date);
	_cleanup_free_ char *staged = refresh->staging ? text_printf("%s/partition.parquet", refresh->staging) : NULL;
	if (!table_dir || !refresh->live || !staged)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	int rc = file_make_dirs(table_dir, err);
	if (rc == 0)
		rc = file_remove_tree(refresh->staging, err);
	if (rc == 0)
		rc = file_make_dirs(refresh->staging, err);
	if (rc == 0)
		rc = fold_new(d->programme, d->config->customer_id, &refresh->fold, err);
	if (rc == 0)
		rc = engine_open(&options, &refresh->engine, err);
	if (rc == 0)
		rc = fold_history(refresh, err);
	if (rc == 0)
		rc = write_partition(refresh, staged, err);
	if (rc == 0) {
		report->customers = fold_count(refresh->fold);
		rc = publish(refresh, staged, report, err);
	}
	return rc;
}

int refresh_loyalty(const struct deployment *deployment, int32_t data_dt, struct refresh_report *report,
		    struct error *err)
{
	struct refresh refresh = {.deployment = deployment, .data_dt = data_dt};
	civil_format(data_dt, refresh.date);
	struct refresh_report made = {0};
	int rc = run(&refresh, &made, err);
	engine_close(refresh.engine);
	fold_free(refresh.fold);
	if (rc < 0 && refresh.staging)
		file_remove_tree(refresh.staging, NULL);
	free(refresh.staging);
	free(refresh.live);
	if (rc == 0)
		*report = made;
	return rc < 0 ? error_prefix(err, "refreshing loyalty, data_dt %s", refresh.date) : 0;
}
