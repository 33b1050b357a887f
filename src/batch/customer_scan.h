/*
 * Customer files one after another, line by line; either by the caller, or in a thread of its own that is some batches
 * ahead.
 *
 *     struct customer_scan *scan = NULL;
 *     rc = customer_scan_open(&files, 0, files.n_files, &scan, err);
 *     while ((rc = customer_scan_next(scan, &line, err)) == 0 && !line.end)
 *             …
 *     customer_scan_close(scan);
 *
 *     struct customer_ahead *ahead = NULL;
 *     rc = customer_ahead_start(&files, &ahead, err);
 *     while ((rc = customer_ahead_next(ahead, &batch, err)) == 0 && batch->n_rows)
 *             …batch->rows[0 … n_rows - 1]…
 *     customer_ahead_stop(ahead);
 *
 * Several scans of the same files may run at once, in different threads; each belongs to one thread at a time. Counts are
 * written under the lock of struct customer_files, when a file was read to its end.
 */
#ifndef PUNCHCARD_BATCH_CUSTOMER_SCAN_H
#define PUNCHCARD_BATCH_CUSTOMER_SCAN_H

#include "batch/customer_reader.h"
#include "batch/landing.h"

#include <pthread.h>

/* One landed (or staged) file, and what was found in it. */
struct customer_file {
	const struct landed_file *landed;
	const struct customer_format *format; /* what describes it; shared by files of the same format */
	bool is_counted;                      /* it was read to its end: the members below are set */
	bool saw_header;
	uint64_t counts[CUSTOMER_REASONS]; /* lines by reason; [CUSTOMER_GOOD] is the good ones */
};

/* All files, in the order of loading. */
struct customer_files {
	struct customer_file *files;
	size_t n_files;
	const struct config *config;
	pthread_mutex_t lock;
	size_t quarantined;  /* customer_tables_quarantine's: the file that is being written … */
	bool has_bad_source; /* … and whether the engine knows how to read it */
};

/* Lines of a counted file that are not good. */
uint64_t customer_file_bad_lines(const struct customer_file *file);

/* Reads files->files[index] to its end and counts its lines. The errors of customer_scan_next. */
int customer_file_count(struct customer_files *files, size_t index, struct error *err);

struct customer_scan;

/* A scan of n files from files->files[first] on. They are opened one after the other, from landed->path as it is then. */
int customer_scan_open(struct customer_files *files, size_t first, size_t n, struct customer_scan **out,
		       struct error *err);
/* NULL is fine. */
void customer_scan_close(struct customer_scan *scan);
/* The next line, good or bad, of any file; line->end behind the last file. Slices live until the next call. The errors of
 * customer_reader_open and customer_reader_next; after one the scan is good for closing only. */
int customer_scan_next(struct customer_scan *scan, struct customer_line *line, struct error *err);
/* The file of the last line: its index in files->files. */
size_t customer_scan_file(const struct customer_scan *scan);

/* Good lines of all files, in order. */
#define CUSTOMER_AHEAD_ROWS 2048u

struct customer_ahead_row {
	uint64_t file_no; /* 1 for files->files[0] */
	uint64_t line;
	struct customer_row row;
};

struct customer_ahead_batch {
	uint32_t n_rows; /* 0: the end */
	struct customer_ahead_row rows[CUSTOMER_AHEAD_ROWS];
};

struct customer_ahead;

/* Starts a thread that reads all files. ERROR_NO_MEMORY, or ERROR_LIMIT when no thread can be started. */
int customer_ahead_start(struct customer_files *files, struct customer_ahead **out, struct error *err);
/* Ends the thread, also in the middle. NULL is fine. */
void customer_ahead_stop(struct customer_ahead *ahead);
/* Waits for the next batch; *batch lives until the next call. The errors of customer_scan_next. From any thread, one at a
 * time. */
int customer_ahead_next(struct customer_ahead *ahead, const struct customer_ahead_batch **batch, struct error *err);

#endif
