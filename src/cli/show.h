/*
 * Showing values to people: numbers with their digits in groups (1234567 is "1,234,567"), and text from outside, which must
 * not play with the terminal. Thread: any.
 */
#ifndef PUNCHCARD_CLI_SHOW_H
#define PUNCHCARD_CLI_SHOW_H

#include "base/buf.h"

#include <stdint.h>
#include <stdio.h>

#define NUMBER_TEXT_MAX 40

/* Both write into out and return it. */
const char *number_text(uint64_t value, char out[NUMBER_TEXT_MAX]);
/* "1 customer", "2 customers": `thing` is the word for one, of at most 40 bytes. Returns out. */
#define COUNT_TEXT_MAX 96
const char *count_text(uint64_t n, const char *thing, char out[COUNT_TEXT_MAX]);
/* value · 10^-scale with exactly `digits` ≤ scale digits behind the point, the rest dropped: decimal_text(114280230, 3, 2) is
 * "114,280.23". */
const char *decimal_text(int64_t value, unsigned scale, unsigned digits, char out[NUMBER_TEXT_MAX]);
/* Trailing zeros behind the point are dropped: 12500 at scale 3 is "12.5". */
const char *points_text(int64_t points_milli, char out[NUMBER_TEXT_MAX]);
/* In binary units, three digits: "512 B", "1.50 KiB", "12.3 MiB", "999 GiB". Returns out. */
#define BYTES_TEXT_MAX 32
const char *bytes_text(uint64_t bytes, char out[BYTES_TEXT_MAX]);

/* Prints text with \n, \t, \r or \xHH for its control characters and for bytes that are no UTF-8: a name or a path may hold
 * escape sequences. Needs no memory. */
void show_text(FILE *out, struct slice text);

#endif
