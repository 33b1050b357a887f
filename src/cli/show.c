#include "cli/show.h"

#include "base/utf8.h"

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

const char *count_text(uint64_t n, const char *thing, char out[COUNT_TEXT_MAX])
{
	char number[NUMBER_TEXT_MAX];
	snprintf(out, COUNT_TEXT_MAX, "%s %.40s%s", number_text(n, number), thing, n == 1 ? "" : "s");
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

const char *bytes_text(uint64_t bytes, char out[BYTES_TEXT_MAX])
{
	static const char *const UNITS[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	unsigned unit = 0;
	while (unit < 6 && bytes >> 10 * unit >= 1000)
		unit++;
	const uint64_t hundredths = (uint64_t)((__uint128_t)bytes * 100 >> 10 * unit);
	if (unit == 0 || hundredths >= 10000)
		snprintf(out, BYTES_TEXT_MAX, "%" PRIu64 " %s", hundredths / 100, UNITS[unit]);
	else if (hundredths >= 1000)
		snprintf(out, BYTES_TEXT_MAX, "%" PRIu64 ".%" PRIu64 " %s", hundredths / 100, hundredths / 10 % 10,
			 UNITS[unit]);
	else
		snprintf(out, BYTES_TEXT_MAX, "%" PRIu64 ".%02" PRIu64 " %s", hundredths / 100, hundredths % 100,
			 UNITS[unit]);
	return out;
}

void show_text(FILE *out, struct slice text)
{
	for (size_t i = 0; i < text.len;) {
		const size_t n = utf8_visible(text.data + i, text.len - i);
		fwrite(text.data + i, 1, n, out);
		i += n;
		if (i < text.len) {
			char mark[UTF8_MARK_MAX];
			i += utf8_mark(text.data + i, text.len - i, mark);
			fputs(mark, out);
		}
	}
}
