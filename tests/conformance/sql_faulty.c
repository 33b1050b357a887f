#include "sql_faulty.h"

#include "base/random.h"
#include "engine/sql_driver.h"

#include <stdlib.h>
#include <unistd.h>

#define TURN_US     1000
#define KEPT_CELLS  4096u
#define COLUMNS_MAX 64u

struct faulty {
	struct sql sql;
	struct sql *inner;
	struct random random;
	unsigned one_in;
};

enum fault { NOT_STARTED, DIES, BREAKS_OFF, ANSWER_LOST, FAULTS };

static int away(struct error *err, const char *what)
{
	return error_set(err, ERROR_AWAY, "injected: %s", what);
}

/* A result that is given in part. */
struct part {
	struct faulty *faulty;
	const struct sql_work *work;
	char *cells[KEPT_CELLS]; /* NULL: NULL */
	unsigned n_columns;
	unsigned n_cells;
	unsigned at;
};

static int next_row(void *context, struct engine_batch *batch, uint32_t row, struct error *err)
{
	struct part *const part = context;
	for (unsigned i = 0; i < part->n_columns; i++, part->at++) {
		if (part->at == part->n_cells)
			return away(err, "the answer breaks off");
		if (part->cells[part->at])
			engine_batch_text(batch, i, row, slice_of(part->cells[part->at]));
		else
			engine_batch_null(batch, i, row);
	}
	return 1;
}

/* At most half of its cells, from the beginning. */
static int keep_cells(struct part *part, struct engine_result *result, struct error *err)
{
	uint32_t rows = 0;
	int rc;
	while ((rc = engine_result_next(result, &rows, err)) == 0 && rows > 0)
		for (uint32_t cell = 0; cell < rows * part->n_columns && part->n_cells < KEPT_CELLS; cell++) {
			const unsigned column = cell % part->n_columns;
			const uint32_t row = cell / part->n_columns;
			_cleanup_buf_ struct buf text = {0};
			if (!engine_result_is_null(result, column, row)) {
				if (engine_result_text(result, column, row, &text) < 0 || !buf_text(&text))
					abort();
				part->cells[part->n_cells] = slice_dup((struct slice){text.data, text.len});
			}
			part->n_cells++;
		}
	return rc;
}

static int take_part(void *context, struct engine_result *result, struct error *err)
{
	struct part *const part = context;
	const char *names[COLUMNS_MAX];
	const char *types[COLUMNS_MAX];
	part->n_columns = engine_result_columns(result);
	for (unsigned i = 0; i < part->n_columns; i++) {
		names[i] = engine_result_name(result, i);
		types[i] = "VARCHAR";
	}
	int rc = keep_cells(part, result, err);
	const unsigned n = part->n_cells;
	part->n_cells = n ? (unsigned)random_below(&part->faulty->random, n) : 0;
	const struct sql_rows rows = {
		.names = names, .types = types, .n_columns = part->n_columns, .next = next_row, .context = part};
	if (rc == 0)
		rc = sql_give_rows(&part->faulty->sql, &rows, part->work, err);
	for (unsigned i = 0; i < n; i++)
		free(part->cells[i]);
	return rc;
}

static bool pass_progress(void *context, const struct sql_progress *progress)
{
	const struct part *const part = context;
	return !part->work->progress || part->work->progress(part->work->context, progress);
}

static int run_broken(struct faulty *faulty, const struct sql_work *work, struct error *err)
{
	struct part *const part = calloc(1, sizeof(*part));
	if (!part)
		abort();
	part->faulty = faulty;
	part->work = work;
	struct sql_work broken = *work;
	broken.take = take_part;
	broken.progress = pass_progress;
	broken.context = part;
	const int rc = sql_run(faulty->inner, &broken, err);
	free(part);
	return rc < 0 ? rc : away(err, "the answer breaks off at its end");
}

static int faulty_run(struct sql *sql, const struct sql_work *work, struct error *err)
{
	struct faulty *const faulty = (struct faulty *)sql;
	if (faulty->one_in == 1) {
		int rc;
		while ((rc = sql_check_stopped(sql, err)) == 0)
			usleep(TURN_US);
		return rc;
	}
	if (random_below(&faulty->random, faulty->one_in) != 0)
		return sql_run(faulty->inner, work, err);
	struct sql_work less = *work;
	int rc;
	switch ((enum fault)random_below(&faulty->random, FAULTS)) {
	case NOT_STARTED:
		return away(err, "it does not start");
	case DIES:
		less.n_steps = work->n_steps ? (unsigned)random_below(&faulty->random, work->n_steps) : 0;
		less.query = (struct slice){NULL, 0};
		rc = less.n_steps ? sql_run(faulty->inner, &less, err) : 0;
		return rc < 0 ? rc : away(err, "it dies half way");
	case BREAKS_OFF:
		return run_broken(faulty, work, err);
	default:
		rc = sql_run(faulty->inner, work, err);
		return rc < 0 ? rc : away(err, "the answer is lost");
	}
}

static void faulty_stop(struct sql *sql)
{
	sql_stop(((struct faulty *)sql)->inner);
}

static void faulty_close(struct sql *sql)
{
	sql_close(((struct faulty *)sql)->inner);
	sql_destroy(sql);
	free(sql);
}

struct sql *sql_faulty(struct sql *inner, uint64_t seed, unsigned one_in)
{
	static const struct sql_driver DRIVER = {.run = faulty_run, .stop = faulty_stop, .close = faulty_close};
	struct faulty *const faulty = calloc(1, sizeof(*faulty));
	if (!faulty)
		abort();
	sql_init(&faulty->sql, &DRIVER);
	faulty->inner = inner;
	faulty->one_in = one_in;
	random_init(&faulty->random, seed);
	return &faulty->sql;
}
