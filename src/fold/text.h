/*
 * Rows as text, in the form of Hive's LazySimpleSerDe with field.delim tab, escape.delim backslash and
 * serialization.escape.crlf: fields with a tab between them, a line feed behind each row; a backslash before a
 * backslash or a tab; line feeds and carriage returns as \n and \r; NULL as \N. Lossless for all bytes.
 *
 *     struct text_field fields[N];
 *     rc = text_split(line, len, fields, N, &n);             // unescapes in place
 *
 *     struct text_writer writer = text_writer_to(STDOUT_FILENO);
 *     text_put(&writer, SLICE("a\tb"));
 *     text_put_number(&writer, 42);
 *     rc = text_end_row(&writer, err);
 *     rc = text_flush(&writer, err);
 *     text_writer_release(&writer);
 *
 * Belongs to one thread at a time.
 */
#ifndef PUNCHCARD_FOLD_TEXT_H
#define PUNCHCARD_FOLD_TEXT_H

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct text_field {
	struct slice text; /* in the line */
	bool is_null;
};

/* The fields of a line (without its line feed), up to `most`; *n is how many it has, and may be more than that. The
 * line is changed, and the fields point into it. ERROR_INPUT: a backslash stands at the very end. */
int text_split(char *line, size_t len, struct text_field *fields, unsigned most, unsigned *n);

/* Hexadecimal digits (of either case) as bytes, in place: *out lies in the text. ERROR_INPUT: these are none. */
int text_unhex(struct slice text, char *in_place, struct slice *out);

/* ---- reading ---- */

/* The longest row: a state that knows a hundred thousand items. */
#define TEXT_ROW_BYTES_MAX ((size_t)64 * 1024 * 1024)

struct text_reader {
	int fd;
	struct buf buf;
	size_t at;    /* of what is in the buffer, so much was taken */
	uint64_t row; /* the last one's number, from 1 */
	bool ended;
};

struct text_reader text_reader_of(int fd);
void text_reader_release(struct text_reader *reader);
/* The next line without its line feed, until the next call. ERROR_INPUT: the last row is torn (it has no line feed), or
 * one is too long; ERROR_IO, ERROR_NO_MEMORY. */
int text_next(struct text_reader *reader, char **line, size_t *len, bool *found, struct error *err);
/* Reads all that is left, and forgets it: who writes to us must not be stopped. */
void text_drain(struct text_reader *reader);

/* ---- writing ---- */

struct text_writer {
	int fd;
	struct buf buf;
	bool in_row; /* a field was put */
	int code;    /* the first error: told by text_end_row */
	uint64_t rows;
};

struct text_writer text_writer_to(int fd);
void text_writer_release(struct text_writer *writer);
void text_put(struct text_writer *writer, struct slice text);
void text_put_number(struct text_writer *writer, int64_t value);
void text_put_hex(struct text_writer *writer, struct slice bytes);
void text_put_null(struct text_writer *writer);
int text_end_row(struct text_writer *writer, struct error *err);
int text_flush(struct text_writer *writer, struct error *err);

#endif
