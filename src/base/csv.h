/*
 * Records of delimited text, straight from a block of memory: no copy unless a field has doubled quotes.
 *
 * RFC 4180 with what real files do besides: LF, CRLF or a mix; a quote inside an unquoted field is an ordinary character; a
 * last record without a newline counts. A quoted field may hold delimiters, newlines and doubled quotes. An empty line is a
 * record of one empty field (raw.len == 0).
 *
 *     struct csv csv;
 *     csv_init(&csv, ',', true);
 *     while ((rc = csv_next(&csv, data + at, len - at, at_eof, &used)) != CSV_END) {
 *             at += used;
 *             if (rc == CSV_MORE)
 *                     …make more bytes available…
 *             else if (rc == CSV_RECORD)
 *                     …csv.fields[0 … csv.n_fields - 1]…        // valid until the next call
 *             else
 *                     …csv.raw is a bad line…
 *     }
 *     csv_release(&csv);
 *
 * Every line is reported exactly once, when it is whole; where the blocks end makes no difference to what is reported. The
 * reader keeps nothing between calls but `skipping`: a position behind a reported line, with skipping false, is one where
 * a new struct csv goes on just as well.
 *
 * Not tied to a thread; one struct belongs to one thread at a time.
 */
#ifndef PUNCHCARD_BASE_CSV_H
#define PUNCHCARD_BASE_CSV_H

#include "base/buf.h"
#include "base/limits.h"

#include <stdbool.h>
#include <stdint.h>

/* With CSV_MORE at most CSV_WINDOW_BYTES bytes are left unused: a window of that size and something to read always goes on. */
#define CSV_WINDOW_BYTES ((size_t)LIMIT_LINE_BYTES + 2)

enum csv_result {
	CSV_RECORD = 0, /* fields are set; *used bytes were consumed, line end included */
	CSV_MORE = 1,   /* no whole record in these bytes: call again with more (never at eof). *used is 0, or while
			   skipping a line that is too long, all of them */
	CSV_END = 2,    /* at eof and nothing left */
	/* A quoted field goes on with other text behind its quote, or is not closed before eof or before the record has
	 * LIMIT_LINE_BYTES: *used covers the one physical line where the record began, so that the reader finds its feet at
	 * the next line. */
	CSV_BAD_QUOTE = -1,
	/* A physical line of more than LIMIT_LINE_BYTES (line end not counted). Reported when its end was found; until then
	 * `skipping` is true and CSV_MORE consumes. `raw` is the line's first LIMIT_QUARANTINE_TEXT_BYTES + 1 bytes. */
	CSV_TOO_LONG = -2,
	CSV_TOO_WIDE = -3,  /* more than LIMIT_CSV_COLUMNS fields; *used covers the record */
	CSV_NO_MEMORY = -4, /* nothing was consumed */
};

struct csv {
	char delimiter;
	bool quotes; /* false: a quote is an ordinary character (the classic order line) */
	bool skipping;
	unsigned n_fields;
	struct slice fields[LIMIT_CSV_COLUMNS];
	struct slice
		raw; /* the record's bytes without its line end; set with all results from CSV_TOO_WIDE to CSV_RECORD */
	uint32_t n_lines; /* physical lines the record covered; set with raw */
	/* The text's end decided: more bytes behind it would make this another record (its last line has no end, or its
	 * quote is open). Set with raw. */
	bool torn;
	struct buf unquoted; /* holds fields that had doubled quotes, or the head of a line that is too long */
};

/* `delimiter` is no line end, and no quote when `quotes` is true (asserted). Allocates nothing. */
void csv_init(struct csv *csv, char delimiter, bool quotes);
void csv_release(struct csv *csv);
/* Reads the record that begins at `data`. at_eof: these are the last bytes there are. *used ≤ len. The slices point into
 * `data` or into the struct, until the next call. */
enum csv_result csv_next(struct csv *csv, const char *data, size_t len, bool at_eof, size_t *used);

#endif
