/*
 * Records of delimited text, straight from a block of memory: no copy unless a field has doubled quotes.
 *
 * RFC 4180 with what real files do besides: LF, CRLF or a mix; a quote inside an unquoted field is an ordinary character; a
 * last record without a newline counts. A quoted field may hold delimiters, newlines and doubled quotes.
 *
 *     struct csv csv;
 *     csv_init(&csv, ',', true);
 *     while ((rc = csv_next(&csv, data + at, len - at, at_eof, &used)) == CSV_RECORD) {
 *             …csv.fields[0 … csv.n_fields - 1]…        // valid until the next call
 *             at += used;
 *     }
 *
 * Not tied to a thread; one struct belongs to one thread at a time.
 */
#ifndef PUNCHCARD_BASE_CSV_H
#define PUNCHCARD_BASE_CSV_H

#include "base/buf.h"
#include "base/limits.h"

#include <stdbool.h>
#include <stdint.h>

enum csv_result {
	CSV_RECORD = 0, /* fields are set; *used bytes were consumed, line end included */
	CSV_MORE = 1,   /* no whole record in these bytes: call again with more (never at eof) */
	CSV_END = 2,    /* at eof and nothing left */
	CSV_BAD_QUOTE =
		-1, /* a quoted field goes on with other text behind its quote, or is not closed at eof: *used covers the
			     * one physical line where the record began, so that the reader finds its feet at the next line */
	CSV_TOO_LONG =
		-2, /* more than LIMIT_LINE_BYTES without an end. *used covers what is there of the line; the caller
			     * goes on until its end (csv.skipping stays true; those calls return CSV_MORE or, once the line
			     * has ended, CSV_TOO_LONG with skipping false) */
	CSV_TOO_WIDE = -3, /* more than LIMIT_CSV_COLUMNS fields; *used covers the record */
};

struct csv {
	char delimiter;
	bool quotes; /* false: a quote is an ordinary character (the classic order line) */
	bool skipping;
	unsigned n_fields;
	struct slice fields[LIMIT_CSV_COLUMNS];
	struct slice raw;    /* the record's bytes without its line end */
	uint32_t n_lines;    /* physical lines the record covered */
	struct buf unquoted; /* holds fields that had doubled quotes */
};

void csv_init(struct csv *csv, char delimiter, bool quotes);
void csv_release(struct csv *csv);
enum csv_result csv_next(struct csv *csv, const char *data, size_t len, bool at_eof, size_t *used);

#endif
