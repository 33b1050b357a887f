/*
 * Decimal text to exact integers and back. No floating point.
 *
 *     int64_t minor;
 *     rc = decimal_parse(text, len, 2, '.', LIMIT_AMOUNT_MINOR, &minor);   // "12.5" → 1250
 *
 * Thread: any.
 */
#ifndef PUNCHCARD_BASE_DECIMAL_H
#define PUNCHCARD_BASE_DECIMAL_H

#include <stddef.h>
#include <stdint.h>

/* Parses [+-]digits[mark digits] (at least one digit, on either side of the mark; no blanks, exponent, or grouping) into
 * units of 10^-scale.
 * Trailing zeros beyond the scale are fine ("2.500" at scale 2), other digits there are ERROR_LIMIT (it would have to be
 * rounded). |value| > max is ERROR_OVERFLOW; not a number is ERROR_INPUT. scale 0 to 9; max > 0. */
int decimal_parse(const char *text, size_t len, int scale, char mark, int64_t max, int64_t *out);
/* Writes the value with exactly `scale` digits behind the mark and a NUL into out (at least 24 bytes). Returns the length. */
int decimal_format(int64_t value, int scale, char out[24]);
/* Strict signed 64-bit integer: [+-]digits. 0, ERROR_INPUT or ERROR_OVERFLOW. */
int integer_parse(const char *text, size_t len, int64_t *out);

#endif
