#include "batch/day.h"

#include "base/file.h"
#include "base/limits.h"
#include "batch/committed.h"
#include "batch/parquet.h"

#include <pthread.h>
#include <stdlib.h>

/* One row group of states or balances is in memory, beside what compresses it. */
#define WRITER_MEMORY_MIB 192u

/* ---- states and balances: straight from the foldings ---- */

struct writing {
	const struct day_tables *tables;
	int rc;
	struct error error;
};

static int write_states(const struct day_tables *tables, struct error *err)
{
	const struct accounts *const accounts = tables->accounts;
	_cleanup_free_ char *prefix =
		text_printf("state-%s-%012llu", accounts->programme->hash_text, (unsigned long long)tables->offset);
	if (!prefix)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	const struct engine_options options = {
		.memory_mib = WRITER_MEMORY_MIB, .threads = 1, .tmp_dir = accounts->deployment->tmp_dir};
	struct engine *engine = NULL;
	int rc = engine_open(&options, &engine, err);
	if (rc == 0)
		rc = accounts_register(accounts, engine, err);
	if (rc == 0)
		rc = parquet_write(engine, "SELECT * FROM kernel_states()", tables->state_dir, prefix, err);
	if (rc == 0)
		rc = parquet_write(engine, "SELECT * FROM kernel_balances()", tables->balances_dir, "balances", err);
	engine_close(engine);
	return rc;
}

static void *write_beside(void *argument)
{
	struct writing *const writing = argument;
	writing->rc = write_states(writing->tables, &writing->error);
	return NULL;
}

/* ---- loyalty: by the models ---- */

/* customers_cln, or an empty table while no customer file was loaded. */
static int make_customers(const struct deployment *deployment, struct engine *engine, struct error *err)
{
	_cleanup_free_ char *dir = text_printf("%s/customers_cln", deployment->warehouse_dir);
	_cleanup_free_ char *glob = text_printf("%s/customers_cln/*.parquet", deployment->warehouse_dir);
	_cleanup_buf_ struct buf sql = {0};
	if (!dir || !glob)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	const char *const id_type = deployment->config->customer_id == CUSTOMER_ID_TEXT ? "VARCHAR" : "BIGINT";
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
	return engine_run(engine, sql.data, err);
}

/* What was ordered most by quantity, whatever came back; of equal ones the last ordered, then the first by name. */
static int append_count(const struct day_tables *tables, const char *files, struct buf *sql)
{
	const struct accounts *const accounts = tables->accounts;
	return buf_printf(
		sql,
		"SELECT cust_id, item AS favourite FROM (SELECT cust_id, item, row_number() OVER (PARTITION BY "
		"cust_id ORDER BY qty DESC, last DESC, item) AS place FROM (SELECT cust_id, "
		"coalesce(nullif(odr_menu, ''), nullif(odr_sku, '')) AS item, sum(odr_qty) AS qty, max(odr_tms) "
		"AS last FROM read_parquet(%s, union_by_name = true) WHERE cust_id IS "
		"NOT NULL AND kind = 'order' AND odr_tms < make_timestamp(%lld) AND cust_id IN (SELECT cust_id "
		"FROM changed_customers()) GROUP BY 1, 2) "
		"WHERE item IS NOT NULL AND qty > 0) WHERE place = 1",
		files, (long long)history_day_start(accounts->programme, accounts->day + 1));
}

static int append_kept(const struct day_tables *tables, struct buf *sql)
{
	int rc = buf_append_text(sql, " UNION ALL SELECT cust_id, favourite FROM read_parquet(");
	if (rc == 0)
		rc = engine_quote(sql, tables->favourites);
	return rc < 0 ? rc : buf_append_text(sql, ") WHERE cust_id NOT IN (SELECT cust_id FROM changed_customers())");
}

static int make_favourites(const struct day_tables *tables, struct engine *engine, struct error *err)
{
	if (!tables->favourites)
		return engine_run(engine, "CREATE TABLE favourites AS SELECT * FROM kernel_favourites()", err);
	const struct deployment *const deployment = tables->accounts->deployment;
	const struct committed_range range = {.offset = tables->offset,
					      .first_day = DAY_MIN,
					      .last_day = tables->accounts->day + COMMITTED_ZONE_DAYS};
	_cleanup_buf_ struct buf files = {0};
	_cleanup_buf_ struct buf sql = {0};
	unsigned n = 0;
	int rc = committed_files(deployment, &range, &files, &n, err);
	if (rc < 0)
		return rc;
	rc = buf_append_text(&sql, "CREATE TABLE favourites AS SELECT * FROM (");
	if (rc == 0 && !buf_text(&files))
		rc = ERROR_NO_MEMORY;
	if (rc == 0 && n)
		rc = append_count(tables, files.data, &sql);
	else if (rc == 0)
		rc = buf_printf(&sql, "SELECT NULL::%s AS cust_id, NULL::VARCHAR AS favourite WHERE false",
				deployment->config->customer_id == CUSTOMER_ID_TEXT ? "VARCHAR" : "BIGINT");
	if (rc == 0)
		rc = append_kept(tables, &sql);
	if (rc == 0)
		rc = buf_append_text(&sql, ") ORDER BY cust_id");
	if (rc < 0 || !buf_text(&sql))
		return error_no_memory(err, sql.len);
	rc = id_list_register(tables->changed, "changed_customers", engine, err);
	return rc < 0 ? rc : engine_run(engine, sql.data, err);
}

static int write_loyalty(const struct day_tables *tables, struct engine *engine, struct error *err)
{
	_cleanup_free_ char *staged = parquet_staged(tables->loyalty_dir, "loyalty");
	_cleanup_buf_ struct buf after = {0};
	if (!staged || buf_append_text(&after, ") TO ") < 0 || engine_quote(&after, staged) < 0 ||
	    buf_append_text(&after, " (" PARQUET_OPTIONS ")") < 0 || !buf_text(&after))
		return error_no_memory(err, LIMIT_PATH_BYTES);
	const char *const models = tables->accounts->deployment->models_dir;
	int rc = engine_run_model(engine, models, "segments", "CREATE TABLE segments AS", "", err);
	if (rc == 0)
		rc = engine_run_model(engine, models, "loyalty", "COPY (", after.data, err);
	return rc < 0 ? rc : parquet_name(tables->loyalty_dir, "loyalty", err);
}

static int write_models(const struct day_tables *tables, struct error *err)
{
	const struct deployment *const deployment = tables->accounts->deployment;
	const struct engine_options options = {.memory_mib = deployment->config->engine_memory_mib,
					       .threads = deployment->config->engine_threads,
					       .tmp_dir = deployment->tmp_dir};
	struct engine *engine = NULL;
	int rc = engine_open(&options, &engine, err);
	if (rc == 0)
		rc = accounts_register(tables->accounts, engine, err);
	if (rc == 0)
		rc = engine_run(engine, "CREATE TABLE accounts AS SELECT * FROM kernel_accounts()", err);
	if (rc == 0)
		rc = make_customers(deployment, engine, err);
	if (rc == 0)
		rc = make_favourites(tables, engine, err);
	if (rc == 0)
		rc = parquet_write(engine, "SELECT * FROM favourites", tables->state_dir, "favourites", err);
	if (rc == 0)
		rc = write_loyalty(tables, engine, err);
	engine_close(engine);
	return rc;
}

int day_write(const struct day_tables *tables, struct error *err)
{
	struct writing beside = {.tables = tables};
	pthread_t thread;
	const bool started = pthread_create(&thread, NULL, write_beside, &beside) == 0;
	const int rc = write_models(tables, err);
	if (started)
		pthread_join(thread, NULL);
	else if (rc == 0)
		write_beside(&beside);
	if (rc == 0 && beside.rc < 0 && err)
		*err = beside.error;
	return rc < 0 ? rc : beside.rc;
}
