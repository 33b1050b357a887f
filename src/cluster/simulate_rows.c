/* A row a customer and ledger, as the embedded simulation writes them: out of what was staged, by the embedded engine. */
#include "base/limits.h"
#include "cluster/simulate_internal.h"
#include "cluster/warehouse_files.h"

#include <stdlib.h>

/* Rows are gathered, and sorted: what is more goes to the temporary directory. */
#define MEMORY_MIB 512u

static const char *const POINTS_NAME[] = {
	[POINTS_HELD] = "points",       [POINTS_ISSUED] = "issued",   [POINTS_REVERSED] = "reversed",
	[POINTS_REDEEMED] = "redeemed", [POINTS_EXPIRED] = "expired", [POINTS_OUTSTANDING] = "outstanding",
	[POINTS_PENDING] = "pending",   [POINTS_DEBT] = "debt",
};
#define POINTS_NAMES (sizeof(POINTS_NAME) / sizeof(POINTS_NAME[0]))

struct writing {
	struct simulate_run *run;
	struct engine *engine;
};

static int append_select(const struct writing *writing, const char *path, struct buf *sql)
{
	const bool is_text = writing->run->id_type == CUSTOMER_ID_TEXT;
	int rc = buf_printf(
		sql,
		"INSERT INTO simulated SELECT CAST(cust_id AS %s), CAST(t%u AS VARCHAR), CAST(t%u AS VARCHAR), "
		"CAST(t%u AS VARCHAR)",
		is_text ? "VARCHAR" : "BIGINT", simulated_text(COLUMN_LEDGER), simulated_text(COLUMN_TIER),
		simulated_text(COLUMN_TIER + 1));
	for (unsigned i = 0; rc == 0 && i < POINTS_NAMES * SIMULATE_SIDES; i++)
		rc = buf_printf(sql, ", CAST(CAST(n%u AS DECIMAL(20,0)) * 0.001 AS DECIMAL(18,3))",
				simulated_points(i / SIMULATE_SIDES, i % SIMULATE_SIDES));
	if (rc == 0)
		rc = buf_append_text(sql, " FROM read_parquet(");
	if (rc == 0)
		rc = engine_quote(sql, path);
	return rc < 0 ? rc : buf_printf(sql, ") WHERE kind = '%s'", OUTPUT_TABLE[OUTPUT_SIMULATED].name);
}

static int take_file(void *context, const char *path, struct error *err)
{
	const struct writing *const writing = context;
	_cleanup_buf_ struct buf sql = {0};
	if (append_select(writing, path, &sql) < 0 || !buf_text(&sql))
		return error_no_memory(err, LIMIT_PATH_BYTES);
	const int rc = engine_run(writing->engine, sql.data, err);
	return rc < 0 ? rc : engine_check_interrupted(err);
}

static int make_table(const struct writing *writing, struct error *err)
{
	const bool is_text = writing->run->id_type == CUSTOMER_ID_TEXT;
	_cleanup_buf_ struct buf sql = {0};
	int rc = buf_printf(
		&sql, "CREATE TABLE simulated (cust_id %s, ledger VARCHAR, tier_today VARCHAR, tier_other VARCHAR",
		is_text ? "VARCHAR" : "BIGINT");
	for (unsigned i = 0; rc == 0 && i < POINTS_NAMES; i++)
		rc = buf_printf(&sql, ", %s_today DECIMAL(18,3), %s_other DECIMAL(18,3)", POINTS_NAME[i],
				POINTS_NAME[i]);
	if (rc == 0)
		rc = buf_append_text(&sql, ")");
	return rc < 0 || !buf_text(&sql) ? error_no_memory(err, sql.len) : engine_run(writing->engine, sql.data, err);
}

/* Ledgers in the order of the report. */
static int write_table(const struct writing *writing, struct error *err)
{
	const struct simulate_report *const report = &writing->run->report;
	_cleanup_buf_ struct buf sql = {0};
	int rc = buf_append_text(&sql, "SELECT * FROM simulated ORDER BY cust_id, list_position([");
	for (unsigned i = 0; rc == 0 && i < report->n_ledgers; i++) {
		rc = buf_append_text(&sql, i ? ", " : "");
		if (rc == 0)
			rc = engine_quote(&sql, report->ledgers[i].name);
	}
	if (rc == 0)
		rc = buf_append_text(&sql, "], ledger)");
	return rc < 0 || !buf_text(&sql) ? error_no_memory(err, sql.len)
					 : simulate_write_file(writing->run->options, writing->engine, sql.data, err);
}

int simulate_write_rows(struct simulate_run *run, struct error *err)
{
	const struct engine_options options = {
		.memory_mib = MEMORY_MIB, .threads = 1, .tmp_dir = run->options->tmp_dir};
	struct writing writing = {.run = run};
	int rc = engine_open(&options, &writing.engine, err);
	if (rc == 0)
		rc = make_table(&writing, err);
	if (rc == 0)
		rc = cluster_each_parquet(&run->session, run->side.path, take_file, &writing, err);
	if (rc == 0)
		rc = write_table(&writing, err);
	engine_close(writing.engine);
	return rc;
}
