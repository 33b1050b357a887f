/*
 * One customer file, line by line: what is good and what is not.
 *
 *     struct customer_reader *reader = NULL;
 *     rc = customer_reader_open(path, "members.csv", format, &reader, err);
 *     while ((rc = customer_reader_next(reader, &line, err)) == 0 && !line.end)
 *             …line.reason == CUSTOMER_GOOD ? line.row : line.raw…
 *     customer_reader_close(reader);
 *
 * A line is a CSV record: where quotes hold a newline, it covers several physical lines, and its number is the first one's.
 * The header and blank lines (nothing but blanks and tabs) are no lines, but have a number.
 *
 * One reader belongs to one thread at a time.
 */
#ifndef PUNCHCARD_BATCH_CUSTOMER_READER_H
#define PUNCHCARD_BATCH_CUSTOMER_READER_H

#include "batch/customer_format.h"

struct customer_line {
	bool end; /* no line: the file's end */
	enum customer_reason reason;
	uint64_t number;         /* of the physical line, from 1 */
	struct customer_row row; /* when the reason is CUSTOMER_GOOD */
	struct slice raw;        /* the line without its end; of one that is too long the head */
};

struct customer_reader;

/* Opens a file and reads its header, if the format has one; a file without any line is fine. `shown` is what messages call
 * the file (it must outlive the reader); `format` is the reader's until it is closed. The errors of input_open and
 * customer_format_header; ERROR_INPUT for a header that is no CSV record. The caller closes *out; NULL is fine. */
int customer_reader_open(const char *path, const char *shown, struct customer_format *format,
			 struct customer_reader **out, struct error *err);
void customer_reader_close(struct customer_reader *reader);
/* The next line. Its slices live until the next call. The errors of input_fill; ERROR_NO_MEMORY. */
int customer_reader_next(struct customer_reader *reader, struct customer_line *line, struct error *err);
/* Whether a header was read. */
bool customer_reader_saw_header(const struct customer_reader *reader);

#endif
