#include "cli/show.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *number_text(uint64_t value, char out[NUMBER_TEXT_MAX])
{
	char digits[24];
	const int n = snprintf(digits, sizeof(digits), "%" PRIu64, value);
	int at = 0;
	for (int i = 0; i < n; i++) {
		if (i && (n - i) % 3 == 0)
			out[at++] = ',';
		out[at++] = digits[i];
	}
	out[at] = '\0';
	return out;
}

const char *decimal_text(int64_t value, unsigned scale, unsigned digits, char out[NUMBER_TEXT_MAX])
{
	assert(digits <= scale && scale <= 9);
	uint64_t unit = 1;
	for (unsigned i = 0; i < scale; i++)
		unit *= 10;
	const uint64_t magnitude = value < 0 ? -(uint64_t)value : (uint64_t)value;
	char whole[NUMBER_TEXT_MAX];
	uint64_t fraction = magnitude % unit;
	for (unsigned i = digits; i < scale; i++)
		fraction /= 10;
	number_text(magnitude / unit, whole);
	if (digits)
		snprintf(out, NUMBER_TEXT_MAX, "%s%.26s.%0*" PRIu64, value < 0 ? "-" : "", whole, (int)digits,
			 fraction);
	else
		snprintf(out, NUMBER_TEXT_MAX, "%s%.26s", value < 0 ? "-" : "", whole);
	return out;
}

const char *points_text(int64_t points_milli, char out[NUMBER_TEXT_MAX])
{
	decimal_text(points_milli, 3, 3, out);
	size_t len = strlen(out);
	while (out[len - 1] == '0')
		out[--len] = '\0';
	if (out[len - 1] == '.')
		out[len - 1] = '\0';
	return out;
}

void show_text(FILE *out, struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		const unsigned char byte = (unsigned char)text.data[i];
		/* C1 controls are C2 80 to C2 9F in UTF-8. */
		const bool c1 = byte == 0xc2 && i + 1 < text.len && (unsigned char)text.data[i + 1] >= 0x80 &&
				(unsigned char)text.data[i + 1] < 0xa0;
		if (c1)
			fprintf(out, "\\x%02x", (unsigned char)text.data[++i]);
		else if (byte < 0x20 || byte == 0x7f)
			fprintf(out, "\\x%02x", byte);
		else
			fputc(byte, out);
	}
}
