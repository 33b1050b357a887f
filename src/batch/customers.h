/*
 * Loading customer files.
 *
 *     const char *const paths[] = {"members.csv"};
 *     struct customers_report report;
 *     rc = customers_load(deployment, paths, 1, NULL, &report, err);
 *     …report.files[0].counts[CUSTOMER_GOOD]…
 *     customers_report_release(&report);
 *
 * What it leaves behind, in data/:
 *
 *     warehouse/customers/format=<name>/<seq>-<hash>.csv[.gz]     the files as they came (src/batch/landing.h)
 *     warehouse/customers_cln/customers_cln-<version>.parquet     the table: models/customers_cln.sql over all of them
 *     view/                                                       the same as profiles, under the same version
 *     quarantine/customers-<version>.parquet                      the bad lines of one file, if it has any
 *
 * The version of the table tells what it is made of: the landed files, how they are read, the type of customer ids, and the
 * model's text. So running it again changes nothing, and after a crash at any moment the next load makes what is missing:
 * files have their names when they are whole and on the disk, the table is swapped in as a directory, the view in one
 * transaction.
 */
#ifndef PUNCHCARD_BATCH_CUSTOMERS_H
#define PUNCHCARD_BATCH_CUSTOMERS_H

#include "base/error.h"
#include "batch/customer_format.h"
#include "config/deployment.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One file of the command line. Lines read = the sum of counts; a header and blank lines are no lines. */
struct customers_file {
	char *path;   /* as it was given */
	char *landed; /* where it is now: "data/warehouse/customers/…" */
	char *format;
	bool known;                        /* the same bytes were loaded before */
	bool has_header;                   /* a header was read */
	uint64_t counts[CUSTOMER_REASONS]; /* lines by reason; [CUSTOMER_GOOD] were loaded, the others quarantined */
};

struct customers_report {
	struct customers_file *files; /* in the order given */
	size_t n_files;
	uint64_t counts[CUSTOMER_REASONS]; /* of all these files */
	uint64_t customers;                /* in customers_cln now, from all files ever loaded */
	bool changed;                      /* customers_cln was made again */
};

/*
 * Loads n_paths ≥ 1 files of one format (NULL: the configuration's) into a deployment that is open for writing, and
 * brings customers_cln and the view up to date with all landed files. The table is made before the first file lands, so an
 * error in a file (ERROR_INPUT: no regular file, no UTF-8 by its mark, damaged gzip, a header without a mapped column;
 * ERROR_NOT_FOUND: no such file; ERROR_USAGE: no such format; ERROR_IO) or in the model (ERROR_SQL) leaves everything as it was. What comes
 * later are errors of the disk only (ERROR_NO_SPACE, ERROR_IO): then files may have landed, the old table stays, and the
 * next load goes on from there.
 *
 * Blocks for as long as it takes; call it from one thread. *out is the caller's to release, and set on success only.
 */
int customers_load(const struct deployment *deployment, const char *const *paths, size_t n_paths, const char *format,
		   struct customers_report *out, struct error *err);
/* Adds a file of the command line to a report, and its counts to the sums. ERROR_NO_MEMORY: what is there may be released all the same. */
struct customer_file;
int customers_report_add(struct customers_report *report, const char *path, const struct customer_file *file,
			 bool known, struct error *err);
void customers_report_release(struct customers_report *report);

#endif
