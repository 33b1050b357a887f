#include "cluster/put_states.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/tz.h"
#include "cluster/open.h"
#include "cluster/warehouse_files.h"
#include "engine/engine.h"
#include "store/cluster_view.h"

#include <stdlib.h>
#include <string.h>

/* Row groups that are read at once, and what compressed them. */
#define READER_MEMORY_MIB 256u

struct putting {
	const struct put_states *put;
	struct cluster_edge edges[SESSION_EDGES_MAX];
	struct cells *cells;
	struct cluster_view *view;
	struct engine *engine;
	uint64_t customers;
};

static int put_row(struct putting *putting, struct engine_scan *scan, uint32_t row, struct error *err)
{
	const bool is_text = putting->put->session->tables.id_type == CUSTOMER_ID_TEXT;
	struct customer_id id = {0};
	if (is_text)
		id.text = engine_scan_text(scan, 0, row);
	else
		id.number = ((const int64_t *)engine_scan_values(scan, 0))[row];
	const struct cluster_state state = {
		.day = putting->put->state->day,
		.edges = putting->edges,
		.n_edges = putting->put->state->n_edges,
		.account = engine_scan_text(scan, 1, row),
	};
	putting->customers++;
	return cluster_view_put_state(putting->view, &id, &state, putting->put->version, err);
}

static int put_file(void *context, const char *path, struct error *err)
{
	struct putting *const putting = context;
	const bool is_text = putting->put->session->tables.id_type == CUSTOMER_ID_TEXT;
	_cleanup_buf_ struct buf sql = {0};
	if (buf_printf(&sql, "SELECT cust_id::%s, state::BLOB FROM read_parquet(", is_text ? "VARCHAR" : "BIGINT") <
		    0 ||
	    engine_quote(&sql, path) < 0 || buf_append_text(&sql, ")") < 0 || !buf_text(&sql))
		return error_no_memory(err, LIMIT_PATH_BYTES);
	struct engine_scan *scan = NULL;
	uint32_t rows = 0;
	int rc = engine_scan_open(putting->engine, sql.data, &scan, err);
	while (rc == 0 && (rc = engine_scan_next(scan, &rows, err)) == 0 && rows > 0) {
		for (uint32_t row = 0; rc == 0 && row < rows; row++)
			rc = put_row(putting, scan, row, err);
		if (rc == 0)
			rc = engine_check_interrupted(err);
		if (putting->put->progress)
			putting->put->progress(putting->put->context, putting->customers);
	}
	engine_scan_close(scan);
	return rc == 0 ? cluster_view_flush(putting->view, err) : rc;
}

static int open_all(struct putting *putting, struct error *err)
{
	const struct deployment *const deployment = putting->put->session->deployment;
	const struct engine_options options = {
		.memory_mib = READER_MEMORY_MIB, .threads = 1, .tmp_dir = deployment->tmp_dir};
	const int rc = cluster_open_view(deployment, &putting->cells, &putting->view, err);
	return rc < 0 ? rc : engine_open(&options, &putting->engine, err);
}

static int put_all(struct putting *putting, struct error *err)
{
	const struct made_state *const state = putting->put->state;
	char date[11];
	civil_format(state->day, date);
	_cleanup_free_ char *dir = text_printf("warehouse/account_state/data_dt=%s", date);
	if (!dir)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	const int rc = cluster_each_parquet(putting->put->session, dir, put_file, putting, err);
	if (rc < 0 || putting->customers == (uint64_t)state->customers)
		return rc;
	return error_set(err, ERROR_CORRUPT,
			 "%s has %llu customers of %lld: does Spark write where cluster.hdfs of punchcard.yaml reads? "
			 "(cluster.spark.filesystem)",
			 dir, (unsigned long long)putting->customers, (long long)state->customers);
}

int cluster_put_states(const struct put_states *put, struct put_report *report, struct error *err)
{
	struct putting *const putting = calloc(1, sizeof(*putting));
	struct cluster_sweep swept = {0};
	if (!putting)
		return error_no_memory(err, sizeof(*putting));
	putting->put = put;
	for (unsigned i = 0; i < put->state->n_edges; i++)
		putting->edges[i] = (struct cluster_edge){.name = slice_of(put->state->edges[i].name),
							  .offset = put->state->edges[i].next_block};
	int rc = open_all(putting, err);
	if (rc == 0)
		rc = put_all(putting, err);
	if (rc == 0)
		rc = cluster_view_sweep(putting->view, 0, &swept, err);
	if (rc == 0)
		*report = (struct put_report){.customers = putting->customers, .swept = swept.events};
	engine_close(putting->engine);
	cluster_view_close(putting->view);
	cells_close(putting->cells);
	free(putting);
	return rc < 0 ? error_prefix(err, "putting the accounts into HBase") : 0;
}
