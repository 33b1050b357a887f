/*
 * Refreshing: one partition of the loyalty table.
 *
 *     struct refresh_report report;
 *     rc = refresh_loyalty(deployment, data_dt, &report, err);
 *
 * Folds all orders up to the end of data_dt through the kernel, names the customers by models/loyalty.sql, writes the
 * partition into a staging directory and swaps it in: a reader sees the old partition or the new one. The same tables give
 * the same bytes, under a name made of them; a partition that is the same already is left as it is.
 */
#ifndef PUNCHCARD_BATCH_REFRESH_H
#define PUNCHCARD_BATCH_REFRESH_H

#include "config/deployment.h"

#include <stdbool.h>
#include <stdint.h>

struct refresh_report {
	uint64_t customers; /* rows of the partition */
	bool unchanged;     /* it had these bytes already */
};

/*
 * data_dt: days since 1970-01-01, in the programme's timezone. Needs the write lock, and the table writer to have taken all
 * of the journal. ERROR_SQL names file and line of the model; ERROR_CORRUPT a damaged table.
 */
int refresh_loyalty(const struct deployment *deployment, int32_t data_dt, struct refresh_report *report,
		    struct error *err);

#endif
