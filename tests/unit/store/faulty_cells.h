/*
 * Cells that fail as a cluster does, by a seed: a call that is not begun, one whose answer is lost after all or half of its work was
 * done, a reading that breaks off between two rows. What fails is ERROR_AWAY.
 *
 *     struct cells *cells = faulty_cells(inner, 1, 30);       // each call fails with a chance of 30 %; owns `inner`
 */
#ifndef PUNCHCARD_TEST_FAULTY_CELLS_H
#define PUNCHCARD_TEST_FAULTY_CELLS_H

#include "base/random.h"
#include "store/cells_driver.h"

#include <stdlib.h>

struct faulty_cells {
	struct cells cells;
	struct cells *inner;
	struct random random;
	unsigned percent;
	unsigned failures;
	unsigned unanswered; /* of them, after work was done */
};

static inline int faulty_fails(struct faulty_cells *f)
{
	return random_below(&f->random, 100) < f->percent;
}

static inline int faulty_away(struct faulty_cells *f, int after, struct error *err)
{
	f->failures++;
	f->unanswered += after != 0;
	return error_set(err, ERROR_AWAY, "%s: injected: %s", f->cells.name,
			 after ? "the answer is lost" : "nobody listens");
}

/* Of n steps of work, how many are done before the call fails: none, all, or a part; n + 1: it does not fail. */
static inline size_t faulty_steps(struct faulty_cells *f, size_t n)
{
	if (!faulty_fails(f))
		return n + 1;
	switch (random_below(&f->random, 3)) {
	case 0:
		return 0;
	case 1:
		return n;
	default:
		return (size_t)random_below(&f->random, n + 1);
	}
}

static inline int faulty_ensure(struct cells *cells, const char *table, const char *const *families, struct error *err)
{
	struct faulty_cells *const f = (struct faulty_cells *)cells;
	const size_t steps = faulty_steps(f, 1);
	if (steps == 0)
		return faulty_away(f, 0, err);
	const int rc = cells_ensure(f->inner, table, families, err);
	return rc == 0 && steps == 1 ? faulty_away(f, 1, err) : rc;
}

static inline int faulty_put(struct cells *cells, const char *table, const struct cells_put *puts, size_t n,
			     struct error *err)
{
	struct faulty_cells *const f = (struct faulty_cells *)cells;
	const size_t steps = faulty_steps(f, n);
	const int rc = cells_put(f->inner, table, puts, steps < n ? steps : n, err);
	return rc == 0 && steps <= n ? faulty_away(f, steps != 0, err) : rc;
}

static inline int faulty_erase(struct cells *cells, const char *table, const struct cells_erase *erases, size_t n,
			       struct error *err)
{
	struct faulty_cells *const f = (struct faulty_cells *)cells;
	const size_t steps = faulty_steps(f, n);
	const int rc = cells_erase(f->inner, table, erases, steps < n ? steps : n, err);
	return rc == 0 && steps <= n ? faulty_away(f, steps != 0, err) : rc;
}

struct faulty_reading {
	struct faulty_cells *f;
	cells_row_fn *take;
	void *context;
	size_t left; /* rows until it breaks off */
	int ended;
};

static inline int faulty_take(void *context, const struct cells_row *row, struct error *err)
{
	struct faulty_reading *const reading = context;
	if (reading->left-- == 0)
		return faulty_away(reading->f, 1, err);
	const int rc = cells_give(&reading->f->cells, row, reading->take, reading->context, err);
	reading->ended = rc != 0;
	return rc;
}

static inline struct faulty_reading faulty_begin(struct cells *cells, cells_row_fn *take, void *context)
{
	struct faulty_cells *const f = (struct faulty_cells *)cells;
	const size_t left = faulty_fails(f) ? (size_t)random_below(&f->random, 20) : SIZE_MAX;
	return (struct faulty_reading){.f = f, .take = take, .context = context, .left = left};
}

/* One that should have failed, and had too few rows for it, fails at its end. */
static inline int faulty_end(struct faulty_reading *reading, int rc, struct error *err)
{
	return rc == 0 && !reading->ended && reading->left < 20 ? faulty_away(reading->f, 1, err) : rc;
}

static inline int faulty_get(struct cells *cells, const char *table, const struct slice *keys, size_t n,
			     cells_row_fn *take, void *context, struct error *err)
{
	struct faulty_reading reading = faulty_begin(cells, take, context);
	const int rc = cells_get(reading.f->inner, table, keys, n, faulty_take, &reading, err);
	return faulty_end(&reading, rc, err);
}

static inline int faulty_scan(struct cells *cells, const char *table, const struct cells_range *range,
			      cells_row_fn *take, void *context, struct error *err)
{
	struct faulty_reading reading = faulty_begin(cells, take, context);
	const int rc = cells_scan(reading.f->inner, table, range, faulty_take, &reading, err);
	return faulty_end(&reading, rc, err);
}

static inline int faulty_ping(struct cells *cells, struct cells_health *out, struct error *err)
{
	struct faulty_cells *const f = (struct faulty_cells *)cells;
	return faulty_fails(f) ? faulty_away(f, 0, err) : cells_ping(f->inner, out, err);
}

static inline int faulty_rights(struct cells *cells, const char *table, const char *family, struct cells_rights *out,
				struct error *err)
{
	struct faulty_cells *const f = (struct faulty_cells *)cells;
	return faulty_fails(f) ? faulty_away(f, 0, err) : cells_rights(f->inner, table, family, out, err);
}

static inline void faulty_close(struct cells *cells)
{
	cells_close(((struct faulty_cells *)cells)->inner);
	free(cells);
}

static inline struct cells *faulty_cells(struct cells *inner, uint64_t seed, unsigned percent)
{
	static const struct cells_driver driver = {.ensure = faulty_ensure,
						   .put = faulty_put,
						   .erase = faulty_erase,
						   .get = faulty_get,
						   .scan = faulty_scan,
						   .ping = faulty_ping,
						   .rights = faulty_rights,
						   .close = faulty_close};
	struct faulty_cells *const f = calloc(1, sizeof(*f));
	if (!f)
		abort();
	f->cells.driver = &driver;
	f->cells.name = inner->name;
	f->inner = inner;
	f->percent = percent;
	random_init(&f->random, seed);
	return &f->cells;
}

#endif
