#include "batch/customer_scan.h"

#include <assert.h>
#include <stdlib.h>

uint64_t customer_file_bad_lines(const struct customer_file *file)
{
	uint64_t n = 0;
	for (unsigned i = CUSTOMER_GOOD + 1; i < CUSTOMER_REASONS; i++)
		n += file->counts[i];
	return n;
}

struct customer_scan {
	struct customer_files *files;
	size_t at; /* while `reader` is open, its file */
	size_t end;
	struct customer_format *format; /* the reader's own */
	struct customer_reader *reader;
	uint64_t counts[CUSTOMER_REASONS]; /* of the reader's file, so far */
};

int customer_scan_open(struct customer_files *files, size_t first, size_t n, struct customer_scan **out,
		       struct error *err)
{
	assert(first + n <= files->n_files);
	struct customer_scan *const scan = calloc(1, sizeof(*scan));
	if (!scan) {
		error_no_memory(err, sizeof(*scan));
		return ERROR_NO_MEMORY; /* said plainly, for the analyzer */
	}
	scan->files = files;
	scan->at = first;
	scan->end = first + n;
	*out = scan;
	return 0;
}

static void close_file(struct customer_scan *scan)
{
	customer_reader_close(scan->reader);
	customer_format_free(scan->format);
	scan->reader = NULL;
	scan->format = NULL;
}

void customer_scan_close(struct customer_scan *scan)
{
	if (!scan)
		return;
	close_file(scan);
	free(scan);
}

static int open_file(struct customer_scan *scan, struct error *err)
{
	const struct landed_file *const landed = scan->files->files[scan->at].landed;
	memset(scan->counts, 0, sizeof(scan->counts));
	const int rc = customer_format_new(scan->files->config, landed->format, &scan->format, err);
	return rc < 0 ? rc : customer_reader_open(landed->path, landed->shown, scan->format, &scan->reader, err);
}

/* The file was read to its end: what was counted holds. */
static void keep_counts(struct customer_scan *scan)
{
	struct customer_file *const file = &scan->files->files[scan->at];
	pthread_mutex_lock(&scan->files->lock);
	memcpy(file->counts, scan->counts, sizeof(file->counts));
	file->saw_header = customer_reader_saw_header(scan->reader);
	file->is_counted = true;
	pthread_mutex_unlock(&scan->files->lock);
}

int customer_scan_next(struct customer_scan *scan, struct customer_line *line, struct error *err)
{
	for (; scan->at < scan->end; scan->at++) {
		int rc = scan->reader ? 0 : open_file(scan, err);
		if (rc == 0)
			rc = customer_reader_next(scan->reader, line, err);
		if (rc < 0)
			return rc;
		if (!line->end) {
			scan->counts[line->reason]++;
			return 0;
		}
		keep_counts(scan);
		close_file(scan);
	}
	line->end = true;
	return 0;
}

size_t customer_scan_file(const struct customer_scan *scan)
{
	return scan->at;
}

int customer_file_count(struct customer_files *files, size_t index, struct error *err)
{
	struct customer_scan *scan = NULL;
	int rc = customer_scan_open(files, index, 1, &scan, err);
	struct customer_line line = {0};
	while (rc == 0 && !line.end)
		rc = customer_scan_next(scan, &line, err);
	customer_scan_close(scan);
	return rc;
}
