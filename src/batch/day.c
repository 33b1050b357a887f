#include "batch/day.h"

#include "base/file.h"
#include "base/limits.h"
#include "batch/parquet.h"
#include "batch/states.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* One row group of states or balances is in memory, beside what compresses it. */
#define WRITER_MEMORY_MIB 192u
#define SETTING_BYTES     32u

/* ---- states and balances: straight from the foldings ---- */

struct writing {
	const struct day_tables *tables;
	int rc;
	struct error error;
};

static int write_states(const struct day_tables *tables, struct error *err)
{
	const struct accounts *const accounts = tables->accounts;
	_cleanup_free_ char *prefix = text_printf(STATES_PREFIX "%s-%012llu", accounts->programme->hash_text,
						  (unsigned long long)tables->offset);
	if (!prefix)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	const struct engine_options options = {
		.memory_mib = WRITER_MEMORY_MIB, .threads = 1, .tmp_dir = accounts->deployment->tmp_dir};
	struct engine *engine = NULL;
	int rc = engine_open(&options, &engine, err);
	if (rc == 0)
		rc = accounts_register(accounts, engine, err);
	if (rc == 0)
		rc = parquet_write(engine, "SELECT * FROM kernel_states()", PARQUET_FAST_OPTIONS, tables->state_dir,
				   prefix, err);
	if (rc == 0)
		rc = parquet_write(engine, "SELECT * FROM kernel_balances()", PARQUET_OPTIONS, tables->balances_dir,
				   "balances", err);
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

/* The table that models read. What makes it is one thread's work; the engine's others would only look for some meanwhile, while
 * states and balances are written beside. */
static int make_accounts(const struct deployment *deployment, struct engine *engine, struct error *err)
{
	const uint32_t threads = deployment->config->engine_threads;
	char back[SETTING_BYTES] = "RESET threads";
	if (threads)
		snprintf(back, sizeof(back), "SET threads = %u", threads);
	int rc = engine_run(engine, "SET threads = 1", err);
	if (rc == 0)
		rc = engine_run(engine, "CREATE TABLE accounts AS SELECT * FROM kernel_accounts()", err);
	return rc < 0 ? rc : engine_run(engine, back, err);
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
		rc = make_accounts(deployment, engine, err);
	if (rc == 0)
		rc = make_customers(deployment, engine, err);
	if (rc == 0)
		rc = engine_run(engine, "CREATE VIEW favourites AS SELECT * FROM kernel_favourites()", err);
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
