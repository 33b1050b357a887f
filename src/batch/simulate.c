#include "batch/simulate.h"

#include "batch/files_lock.h"
#include "batch/simulate_internal.h"
#include "engine/engine.h"

#include <stdlib.h>

/* The file is written from rows that come one after the other: that needs little. */
#define FILE_MEMORY_MIB 256u

/* ---- rows for the file ---- */

/* cust_id, ledger, the tiers, then a pair of columns for each of these. */
enum { COLUMN_CUSTOMER, COLUMN_LEDGER, COLUMN_TIER, COLUMN_POINTS = COLUMN_TIER + (int)SIMULATE_SIDES };
#define POINTS_COLUMNS 8u
#define FILE_COLUMNS   ((unsigned)COLUMN_POINTS + POINTS_COLUMNS * SIMULATE_SIDES)

static const struct engine_column COLUMNS[2][FILE_COLUMNS] = {
#define PAIR(name)                                 \
	{name "_today", ENGINE_DECIMAL_18_3},      \
	{                                          \
		name "_other", ENGINE_DECIMAL_18_3 \
	}
#define COLUMNS_WITH(id_type)                                                                                  \
	{                                                                                                      \
		{"cust_id", id_type}, {"ledger", ENGINE_VARCHAR}, {"tier_today", ENGINE_VARCHAR},              \
			{"tier_other", ENGINE_VARCHAR}, PAIR("points"), PAIR("issued"), PAIR("reversed"),      \
			PAIR("redeemed"), PAIR("expired"), PAIR("outstanding"), PAIR("pending"), PAIR("debt"), \
	}
	[CUSTOMER_ID_INTEGER] = COLUMNS_WITH(ENGINE_BIGINT),
	[CUSTOMER_ID_TEXT] = COLUMNS_WITH(ENGINE_VARCHAR),
};

struct file_rows {
	const struct simulation *simulation;
	enum customer_id_type id_type;
};

static void put_points(struct engine_batch *batch, uint32_t row, const struct file_rows *rows,
		       const struct simulate_row *values, unsigned side)
{
	const struct simulate_points *const p = &values->side[side];
	const int64_t points[POINTS_COLUMNS] = {
		p->outstanding_milli - p->debt_milli,
		p->issued_milli,
		p->reversed_milli,
		p->redeemed_milli,
		p->expired_milli,
		p->outstanding_milli,
		p->pending_milli,
		p->debt_milli,
	};
	const bool has = rows->simulation->ledger_of[values->ledger][side] >= 0;
	for (unsigned i = 0; i < POINTS_COLUMNS; i++) {
		const unsigned column = (unsigned)COLUMN_POINTS + i * SIMULATE_SIDES + side;
		if (has)
			((int64_t *)engine_batch_values(batch, column))[row] = points[i];
		else
			engine_batch_null(batch, column, row);
	}
	const struct tier_rules *const tiers = &rows->simulation->programmes[side]->tiers;
	if (tiers->n_levels)
		engine_batch_text(batch, COLUMN_TIER + side, row, slice_of(tiers->levels[values->tier[side]].name));
	else
		engine_batch_null(batch, COLUMN_TIER + side, row);
}

static int put_row(const struct file_rows *rows, struct engine_batch *batch, uint32_t row, struct slice record,
		   struct error *err)
{
	struct simulate_row values;
	if (record.len < sizeof(values))
		return error_set(err, ERROR_CORRUPT, "the temporary rows were changed by somebody else");
	memcpy(&values, record.data, sizeof(values));
	if (rows->id_type == CUSTOMER_ID_INTEGER)
		((int64_t *)engine_batch_values(batch, COLUMN_CUSTOMER))[row] = values.number;
	else
		engine_batch_text(batch, COLUMN_CUSTOMER, row,
				  (struct slice){record.data + sizeof(values), record.len - sizeof(values)});
	engine_batch_text(batch, COLUMN_LEDGER, row, slice_of(rows->simulation->sums.ledgers[values.ledger].name));
	for (unsigned side = 0; side < SIMULATE_SIDES; side++)
		put_points(batch, row, rows, &values, side);
	return 0;
}

static int fill_rows(void *context, void *state, struct engine_batch *batch, uint32_t *out, struct error *err)
{
	const struct file_rows *const rows = context;
	struct spool_reader *const reader = state;
	uint32_t row = 0;
	for (; row < ENGINE_BATCH_ROWS; row++) {
		struct slice record;
		bool found;
		int rc = spool_next(reader, &record, &found, err);
		if (rc == 0 && !found)
			break;
		if (rc == 0)
			rc = put_row(rows, batch, row, record, err);
		if (rc < 0)
			return rc;
	}
	*out = row;
	return 0;
}

static int start_rows(void *context, void **state, struct error *err)
{
	const struct file_rows *const rows = context;
	struct spool_reader *const reader = malloc(sizeof(*reader));
	if (!reader)
		return error_no_memory(err, sizeof(*reader));
	*reader = spool_read(rows->simulation->rows, 0, rows->simulation->rows->size);
	*state = reader;
	return 0;
}

static void stop_rows(void *context, void *state)
{
	(void)context;
	spool_reader_release(state);
	free(state);
}

/* ---- the file ---- */

static int register_rows(struct engine *engine, struct file_rows *rows, struct error *err)
{
	const struct engine_source source = {
		.name = "simulated_rows",
		.columns = COLUMNS[rows->id_type],
		.n_columns = FILE_COLUMNS,
		.start = start_rows,
		.fill = fill_rows,
		.stop = stop_rows,
		.context = rows,
	};
	return engine_register_source(engine, &source, err);
}

static int write_file(const struct simulation *simulation, enum customer_id_type id_type,
		      const struct simulate_options *options, struct error *err)
{
	struct file_rows rows = {.simulation = simulation, .id_type = id_type};
	struct engine *engine = NULL;
	int rc = spool_flush(simulation->rows, err);
	if (rc == 0)
		rc = engine_open(&(struct engine_options){.memory_mib = FILE_MEMORY_MIB, .threads = 1}, &engine, err);
	if (rc == 0)
		rc = register_rows(engine, &rows, err);
	if (rc == 0)
		rc = simulate_write_file(options, engine, "SELECT * FROM simulated_rows()", err);
	engine_close(engine);
	return rc;
}

/* ---- all of it ---- */

int simulate_run(const struct deployment *deployment, const struct programme *other,
		 const struct simulate_options *options, struct simulate_report *report, struct error *err)
{
	struct spool spool = {0};
	struct simulation *const simulation = malloc(sizeof(*simulation));
	if (!simulation)
		return error_no_memory(err, sizeof(*simulation));
	int rc = simulation_init(simulation, deployment->programme, other, options, err);
	if (rc == 0 && options->parquet)
		rc = simulate_check_file(options, err);
	if (rc == 0 && options->parquet)
		rc = spool_open(&spool, options->tmp_dir, err);
	simulation->rows = rc == 0 && options->parquet ? &spool : NULL;
	struct history_options history = {
		.from_day = DAY_MIN,
		.until_day = options->data_dt,
		.tmp_dir = options->tmp_dir,
		.progress = options->progress,
		.progress_context = options->progress_context,
		.other = other,
	};
	const struct history_sink sink = simulation_sink(simulation);
	_cleanup_files_lock_ struct files_lock lock = FILES_LOCK_NONE;
	files_lock_read(deployment, &lock);
	if (rc == 0)
		rc = history_offset(deployment, &history.offset, err);
	if (rc == 0)
		rc = history_run(deployment, deployment->programme, &history, &sink, err);
	if (rc == 0 && options->parquet)
		rc = write_file(simulation, deployment->config->customer_id, options, err);
	if (rc == 0)
		rc = simulation_report(simulation, report, err);
	spool_close(&spool);
	simulation_release(simulation);
	free(simulation);
	return rc;
}
