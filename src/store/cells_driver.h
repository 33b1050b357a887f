/*
 * What a driver of store/cells.h is. Whoever uses cells needs nothing of it; wrappers, which are drivers that ask another, do.
 *
 * cells.c checks names, versions and limits before it calls a driver, never calls it with n = 0, and has prefix and range as one range
 * of keys. Drivers keep `counts` but cells_put, cells_erased and rows_given, which cells.c keeps.
 */
#ifndef PUNCHCARD_STORE_CELLS_DRIVER_H
#define PUNCHCARD_STORE_CELLS_DRIVER_H

#include "store/cells.h"

struct cells_driver {
	int (*ensure)(struct cells *cells, const char *table, const char *const *families, struct error *err);
	int (*put)(struct cells *cells, const char *table, const struct cells_put *puts, size_t n, struct error *err);
	int (*erase)(struct cells *cells, const char *table, const struct cells_erase *erases, size_t n,
		     struct error *err);
	/* `take` is called through cells_give. */
	int (*get)(struct cells *cells, const char *table, const struct slice *keys, size_t n, cells_row_fn *take,
		   void *context, struct error *err);
	/* range->prefix is empty; from < to, or one of them is empty. */
	int (*scan)(struct cells *cells, const char *table, const struct cells_range *range, cells_row_fn *take,
		    void *context, struct error *err);
	int (*ping)(struct cells *cells, struct cells_health *out, struct error *err);
	int (*rights)(struct cells *cells, const char *table, const char *family, struct cells_rights *out,
		      struct error *err);
	/* Frees all, the struct cells as well. */
	void (*close)(struct cells *cells);
};

/* The first member of a driver's own struct. */
struct cells {
	const struct cells_driver *driver;
	const char *name; /* the driver's own */
	struct cells_counts counts;
};

/* Gives a row to a callback, and counts it. What the callback returns. */
static inline int cells_give(struct cells *cells, const struct cells_row *row, cells_row_fn *take, void *context,
			     struct error *err)
{
	cells->counts.rows_given++;
	return take(context, row, err);
}

/* The family of a column that cells.c has let through. */
static inline struct slice cells_family(struct slice column)
{
	const char *const colon = (const char *)memchr(column.data, ':', column.len);
	return (struct slice){column.data, colon ? (size_t)(colon - column.data) : column.len};
}

#endif
