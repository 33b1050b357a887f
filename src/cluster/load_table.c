/* The table customers_cln of a cluster, and the profiles in HBase. */
#include "base/clock.h"
#include "base/decimal.h"
#include "base/limits.h"
#include "cluster/load_internal.h"
#include "cluster/open.h"
#include "cluster/warehouse_files.h"
#include "engine/engine.h"
#include "store/cluster_view.h"

#include <stdlib.h>
#include <string.h>

#define VERSION    "_version-"
#define PROFILES   LOAD_LIVE "/_profiles"
#define FLOOR      "profiles-" /* <version>: the greatest that cells of profiles may have */
#define ENGINE_MIB 256u
#define HINT       "; models/customers_cln.sql must give one row a customer"

/* ---- which is there ---- */

struct looking {
	const char *version;
	bool found;
	int64_t customers;
};

static int on_live(void *context, const char *name, const struct warehouse_stat *stat, struct error *err)
{
	struct looking *const looking = context;
	const size_t head = strlen(VERSION) + CUSTOMER_HASH_CHARS;
	(void)stat;
	(void)err;
	if (strlen(name) > head && strncmp(name, VERSION, strlen(VERSION)) == 0 && name[head] == '-' &&
	    strncmp(name + strlen(VERSION), looking->version, CUSTOMER_HASH_CHARS) == 0)
		looking->found = integer_parse(name + head + 1, strlen(name + head + 1), &looking->customers) == 0;
	return 0;
}

int load_table_is_there(struct cluster_load *load, bool *there, struct error *err)
{
	struct looking looking = {.version = load->version};
	const int rc = warehouse_list(load->session.warehouse, LOAD_LIVE, on_live, &looking, err);
	if (rc < 0 && rc != ERROR_NOT_FOUND)
		return rc;
	*there = looking.found;
	if (looking.found)
		load->customers = (uint64_t)looking.customers;
	return 0;
}

/* ---- making it ---- */

struct making {
	struct cluster_load *load;
	int64_t customers;
	int64_t known;
	int64_t different;
	int64_t too_long;
	struct buf twice; /* a customer who is there twice */
};

static int take_row(void *context, unsigned statement, struct slice json, struct error *err)
{
	struct making *const making = context;
	(void)statement;
	if (spark_json_get(json, "twice", &making->twice))
		return 0;
	return spark_json_get_int(json, "customers", &making->customers) &&
			       spark_json_get_int(json, "known", &making->known) &&
			       spark_json_get_int(json, "different", &making->different) &&
			       spark_json_get_int(json, "too_long", &making->too_long)
		       ? 0
		       : error_set(err, ERROR_CORRUPT, "Spark printed no counts of customers_cln");
}

static bool tell(void *context, const struct spark_progress *progress)
{
	const struct making *const making = context;
	const struct cluster_batch_hooks *const hooks = &making->load->hooks;
	if (hooks->spark)
		hooks->spark(hooks->context, progress);
	return making->load->session.spark.progress(making->load->session.spark.context, progress);
}

/* A statement in `sql`, if that was made (rc). */
static int add(struct spark_script *script, const char *what, struct buf *sql, int rc, bool rows, struct error *err)
{
	if (rc < 0 || !buf_text(sql))
		return error_no_memory(err, LIMIT_PATH_BYTES);
	rc = rows ? spark_script_add_rows(script, what, sql->data, err)
		  : spark_script_add(script, what, sql->data, err);
	buf_clear(sql);
	return rc;
}

static int add_rows_view(struct spark_script *script, const char *id_type, const char *rows, struct error *err)
{
	_cleanup_buf_ struct buf sql = {0};
	int rc = buf_printf(
		&sql,
		"CREATE OR REPLACE TEMPORARY VIEW customers (file STRING, file_no BIGINT, line BIGINT, cust_id %s, "
		"home_store STRING, name STRING, email STRING, since DATE, card_no STRING, birth_date DATE, gender "
		"STRING, birth_year INT) USING parquet OPTIONS (path ",
		id_type);
	if (rc == 0)
		rc = cluster_quote(&sql, rows);
	if (rc == 0)
		rc = buf_append_text(&sql, ")");
	return add(script, "the table customers", &sql, rc, false, err);
}

static int add_model(struct spark_script *script, const char *models_dir, const char *id_type, const char *made,
		     struct error *err)
{
	_cleanup_buf_ struct buf before = {0};
	int rc = buf_append_text(&before, "INSERT OVERWRITE DIRECTORY ");
	if (rc == 0)
		rc = cluster_quote(&before, made);
	if (rc == 0)
		rc = buf_printf(
			&before,
			" USING parquet\nSELECT CAST(cust_id AS %s) AS cust_id, CAST(cust_nm AS STRING) AS cust_nm, "
			"CAST(cust_email AS STRING) AS cust_email, CAST(cust_strt_dt AS DATE) AS cust_strt_dt, "
			"CAST(cust_member_card_no AS STRING) AS cust_member_card_no, CAST(cust_birth_dt AS DATE) AS "
			"cust_birth_dt, CAST(cust_birth_yr AS INT) AS cust_birth_yr, CAST(cust_gender AS STRING) AS "
			"cust_gender FROM (",
			id_type);
	if (rc < 0 || !buf_text(&before))
		return error_no_memory(err, LIMIT_PATH_BYTES);
	return spark_script_add_model(script, models_dir, "customers_cln", before.data,
				      ") AS made ORDER BY cust_id NULLS FIRST", err);
}

static int add_checks(struct spark_script *script, const char *id_type, const char *made, struct error *err)
{
	_cleanup_buf_ struct buf sql = {0};
	int rc = buf_printf(
		&sql, "CREATE OR REPLACE TEMPORARY VIEW punchcard_customers (cust_id %s) USING parquet OPTIONS (path ",
		id_type);
	if (rc == 0)
		rc = cluster_quote(&sql, made);
	if (rc == 0)
		rc = buf_append_text(&sql, ")");
	rc = add(script, "what the model made", &sql, rc, false, err);
	if (rc == 0)
		rc = add(
			script, "counting customers", &sql,
			buf_printf(
				&sql,
				"SELECT count(*) AS customers, count(cust_id) AS known, count(DISTINCT cust_id) AS "
				"different, "
				"count_if(octet_length(CAST(cust_id AS STRING)) NOT BETWEEN 1 AND %u) AS too_long FROM "
				"punchcard_customers",
				LIMIT_CUSTOMER_ID_BYTES),
			true, err);
	if (rc == 0)
		rc = add(script, "looking for customers who are there twice", &sql,
			 buf_append_text(
				 &sql, "SELECT CAST(cust_id AS STRING) AS twice FROM punchcard_customers WHERE cust_id "
				       "IS NOT NULL GROUP BY cust_id HAVING count(*) > 1 LIMIT 1"),
			 true, err);
	return rc;
}

/* What the view would refuse. */
static int check(const struct making *making, struct error *err)
{
	if (making->known < making->customers)
		return error_set(err, ERROR_SQL, "customers_cln has a row without a cust_id" HINT);
	if (making->different < making->known)
		return error_set(err, ERROR_SQL, "customers_cln has customer %.*s twice" HINT, (int)making->twice.len,
				 making->twice.len ? making->twice.data : "");
	if (making->too_long)
		return error_set(err, ERROR_SQL, "customers_cln has a cust_id that is not of 1 to %u bytes",
				 LIMIT_CUSTOMER_ID_BYTES);
	return 0;
}

static int run_spark(struct making *making, struct error *err)
{
	const struct cluster_session *const session = &making->load->session;
	const char *const id_type = session->tables.id_type == CUSTOMER_ID_TEXT ? "STRING" : "BIGINT";
	_cleanup_free_ char *rows = text_printf("%s/_customers/rows", session->tables.warehouse);
	_cleanup_free_ char *made = text_printf("%s/_customers/made", session->tables.warehouse);
	struct spark_script *const script = spark_script_new();
	int rc = script && rows && made ? 0 : error_no_memory(err, LIMIT_PATH_BYTES);
	if (rc == 0)
		rc = add_rows_view(script, id_type, rows, err);
	if (rc == 0)
		rc = add_model(script, session->deployment->models_dir, id_type, made, err);
	if (rc == 0)
		rc = add_checks(script, id_type, made, err);
	struct spark_options options = session->spark;
	options.row = take_row;
	options.progress = tell;
	options.context = making;
	if (rc == 0)
		rc = spark_run(&options, script, err);
	spark_script_free(script);
	return rc == 0 ? check(making, err) : rc;
}

int load_table_make(struct cluster_load *load, struct error *err)
{
	struct making making = {.load = load};
	struct warehouse *const warehouse = load->session.warehouse;
	int rc = warehouse_remove(warehouse, LOAD_MADE, err);
	if (rc == 0)
		rc = run_spark(&making, err);
	buf_release(&making.twice);
	_cleanup_free_ char *version =
		text_printf(LOAD_MADE "/" VERSION "%s-%lld", load->version, (long long)making.customers);
	if (rc == 0 && !version)
		rc = error_no_memory(err, LIMIT_PATH_BYTES);
	struct warehouse_stat stat = {0};
	if (rc == 0 && warehouse_stat(warehouse, LOAD_MADE, &stat, err) < 0)
		rc = error_prefix(err, "Spark wrote customers_cln elsewhere (cluster.spark.filesystem)");
	if (rc == 0)
		rc = warehouse_put_bytes(warehouse, version, SLICE(""), err);
	load->customers = (uint64_t)making.customers;
	return rc;
}

/* ---- its place ---- */

int cluster_finish_customers(const struct cluster_session *session, struct error *err)
{
	struct warehouse *const warehouse = session->warehouse;
	struct warehouse_stat stat;
	int rc = warehouse_stat(warehouse, LOAD_SWAP, &stat, err);
	if (rc == ERROR_NOT_FOUND)
		return warehouse_remove(warehouse, LOAD_OLD, err);
	if (rc < 0)
		return rc;
	rc = warehouse_stat(warehouse, LOAD_LIVE, &stat, err);
	if (rc == 0)
		rc = warehouse_remove(warehouse, LOAD_OLD, err);
	if (rc == 0)
		rc = warehouse_rename(warehouse, LOAD_LIVE, LOAD_OLD, err);
	if (rc == 0 || rc == ERROR_NOT_FOUND)
		rc = warehouse_rename(warehouse, LOAD_SWAP, LOAD_LIVE, err);
	return rc == 0 ? warehouse_remove(warehouse, LOAD_OLD, err) : rc;
}

int load_table_publish(struct cluster_load *load, struct error *err)
{
	const int rc = warehouse_rename(load->session.warehouse, LOAD_MADE, LOAD_SWAP, err);
	return rc == 0 ? cluster_finish_customers(&load->session, err) : rc;
}

/* ---- profiles ---- */

struct feeding {
	struct cluster_load *load;
	struct engine *engine;
	struct cells *cells;
	struct cluster_view *view;
	int64_t version_ms;
	uint64_t customers;
};

static int put_profile(void *context, const struct customer_id *id, const struct profile *profile, struct error *err)
{
	const struct feeding *const feeding = context;
	return cluster_view_put_profile(feeding->view, id, profile, feeding->version_ms, err);
}

static int feed_file(void *context, const char *path, struct error *err)
{
	struct feeding *const feeding = context;
	uint64_t customers = 0;
	int rc = customer_tables_profiles(feeding->engine, path, feeding->load->session.tables.id_type, put_profile,
					  feeding, &customers, err);
	feeding->customers += customers;
	if (rc == 0)
		rc = engine_check_interrupted(err);
	return rc;
}

static int open_feeding(struct feeding *feeding, struct error *err)
{
	const struct deployment *const deployment = feeding->load->session.deployment;
	const struct engine_options options = {.memory_mib = ENGINE_MIB, .threads = 1, .tmp_dir = deployment->tmp_dir};
	const int rc = cluster_open_view(deployment, &feeding->cells, &feeding->view, err);
	return rc == 0 ? engine_open(&options, &feeding->engine, err) : rc;
}

static int feed(struct feeding *feeding, struct error *err)
{
	struct cluster_load *const load = feeding->load;
	struct cluster_sweep swept = {0};
	int rc = open_feeding(feeding, err);
	if (rc == 0)
		rc = cluster_each_parquet(&load->session, LOAD_LIVE, feed_file, feeding, err);
	if (rc == 0 && feeding->customers != load->customers)
		rc = error_set(err, ERROR_CORRUPT,
			       "customers_cln has %llu customers of %llu; remove %s/" LOAD_LIVE ", and load again",
			       (unsigned long long)feeding->customers, (unsigned long long)load->customers,
			       load->session.deployment->config->cluster.hdfs_path);
	if (rc == 0)
		rc = cluster_view_flush(feeding->view, err);
	return rc == 0 ? cluster_view_sweep(feeding->view, feeding->version_ms, &swept, err) : rc;
}

struct versions {
	int64_t newest;
	struct buf names; /* each with a NUL */
};

static int on_floor(void *context, const char *name, const struct warehouse_stat *stat, struct error *err)
{
	struct versions *const versions = context;
	int64_t version;
	(void)stat;
	if (strncmp(name, FLOOR, strlen(FLOOR)) != 0 ||
	    integer_parse(name + strlen(FLOOR), strlen(name + strlen(FLOOR)), &version) < 0)
		return 0;
	if (version > versions->newest)
		versions->newest = version;
	return buf_append(&versions->names, name, strlen(name) + 1) < 0 ? error_no_memory(err, strlen(name)) : 0;
}

int load_table_next_version(const struct cluster_session *session, int64_t now_ms, int64_t *version, struct error *err)
{
	struct versions versions = {0};
	int rc = warehouse_list(session->warehouse, LOAD_DIR, on_floor, &versions, err);
	if (rc == ERROR_NOT_FOUND)
		rc = 0;
	*version = now_ms > versions.newest ? now_ms : versions.newest + 1;
	_cleanup_free_ char *path = text_printf(LOAD_DIR "/" FLOOR "%lld", (long long)*version);
	if (rc == 0)
		rc = path ? warehouse_put_bytes(session->warehouse, path, SLICE(""), err)
			  : error_no_memory(err, LIMIT_PATH_BYTES);
	for (size_t at = 0; rc == 0 && at < versions.names.len; at += strlen(versions.names.data + at) + 1) {
		_cleanup_free_ char *old = text_printf(LOAD_DIR "/%s", versions.names.data + at);
		rc = old ? warehouse_remove(session->warehouse, old, err) : error_no_memory(err, LIMIT_PATH_BYTES);
	}
	buf_release(&versions.names);
	return rc;
}

int load_table_profiles(struct cluster_load *load, struct error *err)
{
	struct warehouse_stat stat;
	int rc = warehouse_stat(load->session.warehouse, PROFILES, &stat, err);
	if (rc != ERROR_NOT_FOUND)
		return rc;
	struct feeding feeding = {.load = load};
	rc = load_table_next_version(&load->session, clock_now_us() / 1000, &feeding.version_ms, err);
	if (rc == 0)
		rc = feed(&feeding, err);
	engine_close(feeding.engine);
	cluster_view_close(feeding.view);
	cells_close(feeding.cells);
	if (rc < 0)
		return error_prefix(err, "putting the customers into HBase");
	return warehouse_put_bytes(load->session.warehouse, PROFILES, SLICE(""), err);
}
