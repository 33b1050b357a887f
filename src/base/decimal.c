#include "base/decimal.h"

#include "base/error.h"

#include <stdbool.h>
#include <string.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* A magnitude that stays at "too large" once it was. */
struct magnitude {
	uint64_t value;
	bool too_large;
};

static void push_digit(struct magnitude *m, char digit)
{
	if (__builtin_mul_overflow(m->value, UINT64_C(10), &m->value) ||
	    __builtin_add_overflow(m->value, (uint64_t)(digit - '0'), &m->value))
		m->too_large = true;
}

int decimal_parse(const char *text, size_t len, int scale, char mark, int64_t max, int64_t *out)
{
	const char *const end = text + len;
	bool negative = false;
	if (text < end && (*text == '-' || *text == '+'))
		negative = *text++ == '-';

	struct magnitude m = {0};
	size_t n_digits = 0;
	for (; text < end && is_digit(*text); text++, n_digits++)
		push_digit(&m, *text);
	bool would_round = false;
	int places = 0;
	if (text < end && *text == mark) {
		for (text++; text < end && is_digit(*text); text++, n_digits++) {
			if (places < scale) {
				push_digit(&m, *text);
				places++;
			} else if (*text != '0') {
				would_round = true;
			}
		}
	}
	if (text != end || n_digits == 0)
		return ERROR_INPUT;
	for (; places < scale; places++)
		push_digit(&m, '0');
	if (m.too_large || m.value > (uint64_t)max)
		return ERROR_OVERFLOW;
	if (would_round)
		return ERROR_LIMIT;
	*out = negative ? -(int64_t)m.value : (int64_t)m.value;
	return 0;
}

int decimal_format(int64_t value, int scale, char out[24])
{
	char reversed[24];
	int n = 0;
	uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
	/* At least one digit stands before the mark. */
	for (int places = 0; rest || places <= scale; places++) {
		if (places == scale && scale > 0)
			reversed[n++] = '.';
		reversed[n++] = (char)('0' + rest % 10);
		rest /= 10;
	}
	if (value < 0)
		reversed[n++] = '-';
	for (int i = 0; i < n; i++)
		out[i] = reversed[n - 1 - i];
	out[n] = '\0';
	return n;
}

int integer_parse(const char *text, size_t len, int64_t *out)
{
	const char *const end = text + len;
	bool negative = false;
	if (text < end && (*text == '-' || *text == '+'))
		negative = *text++ == '-';
	if (text == end)
		return ERROR_INPUT;
	struct magnitude m = {0};
	for (; text < end; text++) {
		if (!is_digit(*text))
			return ERROR_INPUT;
		push_digit(&m, *text);
	}
	const uint64_t most = (uint64_t)INT64_MAX + (negative ? 1 : 0);
	if (m.too_large || m.value > most)
		return ERROR_OVERFLOW;
	*out = negative ? (int64_t)(0 - m.value) : (int64_t)m.value;
	return 0;
}
