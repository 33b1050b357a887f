#include "base/csv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Appends one result to a text that tells everything: "R2[ab|c]" is a record of two physical lines with two fields. */
static void describe(struct buf *out, const struct csv *csv, enum csv_result rc)
{
	static const char *const BAD[] = {"?", "Q", "L", "W", "M"};
	if (rc == CSV_RECORD) {
		assert_int_equal(buf_printf(out, "R%u[", csv->n_lines), 0);
		for (unsigned i = 0; i < csv->n_fields; i++) {
			if (i)
				buf_append(out, "|", 1);
			buf_append(out, csv->fields[i].data, csv->fields[i].len);
		}
		buf_append(out, "]", 1);
	} else {
		assert_true(rc < 0 && rc >= CSV_NO_MEMORY);
		buf_append_text(out, BAD[-rc]);
		assert_int_equal(buf_printf(out, "%u", csv->n_lines), 0);
	}
	buf_append(out, "<", 1);
	buf_append(out, csv->raw.data, csv->raw.len);
	buf_append(out, ">\n", 2);
}

/* Reads the whole text, given in pieces of which the first ends at `first` and the others are `step` bytes. */
static void read_in_pieces(const char *data, size_t len, char delimiter, bool quotes, size_t first, size_t step,
			   struct buf *out)
{
	struct csv csv;
	csv_init(&csv, delimiter, quotes);
	size_t at = 0;
	size_t have = first < len ? first : len;
	for (;;) {
		/* Bytes that are not there yet cannot be looked at: a copy lets the address sanitizer see it. */
		char *const copy = malloc(have - at ? have - at : 1);
		assert_non_null(copy);
		memcpy(copy, data + at, have - at);
		size_t used = 99;
		const enum csv_result rc = csv_next(&csv, copy, have - at, have == len, &used);
		assert_true(used <= have - at);
		if (rc == CSV_MORE) {
			assert_true(have < len);
			assert_true(have - at - used < CSV_WINDOW_BYTES);
			have = len - have > step ? have + step : len;
		} else if (rc != CSV_END) {
			assert_true(used > 0);
			describe(out, &csv, rc);
		}
		at += used;
		free(copy);
		if (rc == CSV_END)
			break;
	}
	assert_int_equal(at, len);
	assert_false(csv.skipping);
	csv_release(&csv);
}

static void read_whole(const char *data, size_t len, char delimiter, bool quotes, struct buf *out)
{
	read_in_pieces(data, len, delimiter, quotes, len, 1, out);
}

/* The same by a plain machine that looks at one byte after the other; no limits. */
struct plain {
	struct buf fields;
	unsigned n_fields;
	unsigned n_lines;
};

static bool plain_record(const char *data, size_t len, char delimiter, bool quotes, struct plain *plain, size_t *end,
			 size_t *next)
{
	size_t i = 0;
	plain->n_fields = 1;
	plain->n_lines = 1;
	buf_clear(&plain->fields);
	for (;;) { /* one field a round */
		if (quotes && i < len && data[i] == '"') {
			for (i++;; i++) {
				if (i >= len)
					return false;
				if (data[i] == '\n')
					plain->n_lines++;
				if (data[i] == '"') {
					if (i + 1 < len && data[i + 1] == '"')
						i++;
					else
						break;
				}
				buf_append(&plain->fields, data + i, 1);
			}
			i++;
			const bool line_end = i == len || data[i] == '\n' ||
					      (data[i] == '\r' && (i + 1 == len || data[i + 1] == '\n'));
			if (!line_end && data[i] != delimiter)
				return false;
		}
		while (i < len && data[i] != delimiter && data[i] != '\n' &&
		       !(data[i] == '\r' && (i + 1 == len || data[i + 1] == '\n'))) {
			buf_append(&plain->fields, data + i, 1);
			i++;
		}
		if (i == len || data[i] != delimiter)
			break;
		i++;
		plain->n_fields++;
		buf_append(&plain->fields, "|", 1);
	}
	*end = i;
	if (i < len && data[i] == '\r')
		i++;
	*next = i < len ? i + 1 : i;
	return true;
}

static void read_plainly(const char *data, size_t len, char delimiter, bool quotes, struct buf *out)
{
	struct plain plain = {0};
	for (size_t at = 0; at < len;) {
		size_t end;
		size_t next;
		if (plain_record(data + at, len - at, delimiter, quotes, &plain, &end, &next)) {
			assert_int_equal(buf_printf(out, "R%u[", plain.n_lines), 0);
			buf_append(out, plain.fields.data, plain.fields.len);
			buf_append(out, "]<", 2);
		} else {
			const char *const lf = memchr(data + at, '\n', len - at);
			end = lf ? (size_t)(lf - data) - at : len - at;
			next = lf ? end + 1 : end;
			if (end && data[at + end - 1] == '\r')
				end--;
			buf_append_text(out, "Q1<");
		}
		buf_append(out, data + at, end);
		buf_append(out, ">\n", 2);
		at += next;
	}
	buf_release(&plain.fields);
}

static void check(const char *text, const char *expected)
{
	struct buf out = {0};
	read_whole(text, strlen(text), ',', true, &out);
	assert_string_equal(buf_text(&out), expected);
	buf_release(&out);
}

static void test_by_hand(void **state)
{
	(void)state;
	check("", "");
	check("a,b\n", "R1[a|b]<a,b>\n");
	check("a,b", "R1[a|b]<a,b>\n");
	check("a,b\r\nc\r\n", "R1[a|b]<a,b>\nR1[c]<c>\n");
	check("a\r", "R1[a]<a>\n");
	check("a\rb\n", "R1[a\rb]<a\rb>\n");
	check("\n\r\n,\n", "R1[]<>\nR1[]<>\nR1[|]<,>\n");
	check("\"a\",\"b\"\n", "R1[a|b]<\"a\",\"b\">\n");
	check("\"a\"\"b\",\"\"\"\"\n", "R1[a\"b|\"]<\"a\"\"b\",\"\"\"\">\n");
	check("\"\"\n", "R1[]<\"\">\n");
	check("a\"b,c\"\n", "R1[a\"b|c\"]<a\"b,c\">\n");
	check(" \"a\"\n", "R1[ \"a\"]< \"a\">\n");
	check("\"a\nb\",c\nd\n", "R2[a\nb|c]<\"a\nb\",c>\nR1[d]<d>\n");
	check("\"a\r\nb\"\r\nd", "R2[a\r\nb]<\"a\r\nb\">\nR1[d]<d>\n");
	check("\"a\"b,c\nd\n", "Q1<\"a\"b,c>\nR1[d]<d>\n");
	check("x,\"a\nb,c\nd", "Q1<x,\"a>\nR1[b|c]<b,c>\nR1[d]<d>\n");
	check("\"", "Q1<\">\n");
	check("\"a\"\r", "R1[a]<\"a\">\n");
	check("\"a\"\rb\n", "Q1<\"a\"\rb>\n");
	check("a,", "R1[a|]<a,>\n");
}

static void test_other_dialects(void **state)
{
	(void)state;
	struct buf out = {0};
	static const char LINE[] = "1|\"|2\n";
	read_whole(LINE, sizeof(LINE) - 1, '|', false, &out);
	assert_string_equal(buf_text(&out), "R1[1|\"|2]<1|\"|2>\n");
	buf_clear(&out);
	static const char TABS[] = "\"a\tb\"\tc\n";
	read_whole(TABS, sizeof(TABS) - 1, '\t', true, &out);
	assert_string_equal(buf_text(&out), "R1[a\tb|c]<\"a\tb\"\tc>\n");
	buf_release(&out);
}

/* Any bytes, in any pieces, are read as the plain machine reads them. */
static void test_random_bytes_in_any_pieces(void **state)
{
	(void)state;
	static const char ALPHABET[] = "a,\"\n\r\"\n,b\0;";
	srand(7);
	struct buf expected = {0};
	struct buf whole = {0};
	struct buf pieces = {0};
	for (int round = 0; round < 4000; round++) {
		char data[48];
		const size_t len = (size_t)rand() % sizeof(data);
		for (size_t i = 0; i < len; i++)
			data[i] = ALPHABET[(size_t)rand() % (sizeof(ALPHABET) - 1)];
		const bool quotes = rand() % 4 != 0;
		const char delimiter = rand() % 4 ? ',' : ';';
		buf_clear(&expected);
		buf_clear(&whole);
		read_plainly(data, len, delimiter, quotes, &expected);
		read_whole(data, len, delimiter, quotes, &whole);
		assert_string_equal(buf_text(&whole), buf_text(&expected));
		assert_int_equal(whole.len, expected.len);
		for (size_t first = 0; first <= len; first++) {
			buf_clear(&pieces);
			read_in_pieces(data, len, delimiter, quotes, first, first % 3 ? 1 : len, &pieces);
			assert_int_equal(pieces.len, expected.len);
			assert_memory_equal(buf_text(&pieces), buf_text(&expected), expected.len);
		}
	}
	buf_release(&expected);
	buf_release(&whole);
	buf_release(&pieces);
}

/* Appends a line of `size` bytes 'x' and the end. */
static void add_line(struct buf *text, size_t size, const char *end)
{
	assert_int_equal(buf_reserve(text, size), 0);
	memset(text->data + text->len, 'x', size);
	text->len += size;
	assert_int_equal(buf_append_text(text, end), 0);
}

static enum csv_result next_whole(struct csv *csv, const struct buf *text, size_t *at)
{
	size_t used;
	const enum csv_result rc = csv_next(csv, text->data + *at, text->len - *at, true, &used);
	*at += used;
	return rc;
}

static void test_longest_line(void **state)
{
	(void)state;
	static const char *const ENDS[] = {"\n", "\r\n", ""};
	for (size_t e = 0; e < 3; e++) {
		for (size_t over = 0; over <= 3; over++) {
			struct buf text = {0};
			add_line(&text, LIMIT_LINE_BYTES + over, ENDS[e]);
			struct csv csv;
			csv_init(&csv, ',', true);
			size_t at = 0;
			assert_int_equal(next_whole(&csv, &text, &at), over ? CSV_TOO_LONG : CSV_RECORD);
			assert_int_equal(csv.raw.len, over ? LIMIT_QUARANTINE_TEXT_BYTES + 1 : LIMIT_LINE_BYTES);
			assert_int_equal(csv.n_lines, 1);
			assert_int_equal(next_whole(&csv, &text, &at), CSV_END);
			csv_release(&csv);
			buf_release(&text);
		}
	}
}

/* A line far over the limit is told once, at its end, in bounded memory, and the next line is read. */
static void test_endless_line_in_pieces(void **state)
{
	(void)state;
	struct buf text = {0};
	add_line(&text, 10u * 1024 * 1024, "\n");
	assert_int_equal(buf_append_text(&text, "a,b\n"), 0);
	struct buf out = {0};
	static const size_t STEPS[] = {65536, 1000003, 20u * 1024 * 1024};
	for (size_t i = 0; i < 3; i++) {
		buf_clear(&out);
		read_in_pieces(text.data, text.len, ',', true, STEPS[i], STEPS[i], &out);
		const char *const told = buf_text(&out);
		assert_memory_equal(told, "L1<xxx", 6);
		assert_string_equal(told + 3 + LIMIT_QUARANTINE_TEXT_BYTES + 1, ">\nR1[a|b]<a,b>\n");
	}
	buf_release(&text);
	buf_release(&out);
}

/* A quote that is never closed costs its own line only, however much follows. */
static void test_stray_quote_in_a_long_file(void **state)
{
	(void)state;
	struct buf text = {0};
	assert_int_equal(buf_append_text(&text, "1,\"never closed\n"), 0);
	const size_t n = 50000;
	for (size_t i = 0; i < n; i++)
		add_line(&text, 60, ",y\n");
	struct csv csv;
	csv_init(&csv, ',', true);
	size_t at = 0;
	assert_int_equal(next_whole(&csv, &text, &at), CSV_BAD_QUOTE);
	assert_int_equal(at, strlen("1,\"never closed\n"));
	for (size_t i = 0; i < n; i++)
		assert_int_equal(next_whole(&csv, &text, &at), CSV_RECORD);
	assert_int_equal(next_whole(&csv, &text, &at), CSV_END);
	csv_release(&csv);
	buf_release(&text);
}

static void test_longest_quoted_record(void **state)
{
	(void)state;
	for (size_t over = 0; over <= 2; over++) {
		/* "\n" and a long rest: two physical lines, in quotes. */
		struct buf text = {0};
		assert_int_equal(buf_append_text(&text, "\"\n"), 0);
		add_line(&text, LIMIT_LINE_BYTES - 3 + over, "\"\r\nnext\n");
		struct csv csv;
		csv_init(&csv, ',', true);
		size_t at = 0;
		assert_int_equal(next_whole(&csv, &text, &at), over ? CSV_BAD_QUOTE : CSV_RECORD);
		assert_int_equal(csv.raw.len, over ? 1 : LIMIT_LINE_BYTES);
		assert_int_equal(csv.n_lines, over ? 1 : 2);
		csv_release(&csv);
		struct buf a = {0};
		struct buf b = {0};
		read_whole(text.data, text.len, ',', true, &a);
		read_in_pieces(text.data, text.len, ',', true, LIMIT_LINE_BYTES - 8, 1, &b);
		assert_string_equal(buf_text(&a), buf_text(&b));
		buf_release(&a);
		buf_release(&b);
		buf_release(&text);
	}
}

static void test_widest_record(void **state)
{
	(void)state;
	for (size_t over = 0; over <= 1; over++) {
		struct buf text = {0};
		for (size_t i = 1; i < LIMIT_CSV_COLUMNS + over; i++)
			buf_append(&text, ",", 1);
		buf_append_text(&text, "\nnext\n");
		struct csv csv;
		csv_init(&csv, ',', true);
		size_t at = 0;
		assert_int_equal(next_whole(&csv, &text, &at), over ? CSV_TOO_WIDE : CSV_RECORD);
		assert_int_equal(csv.n_fields, LIMIT_CSV_COLUMNS + over);
		assert_int_equal(next_whole(&csv, &text, &at), CSV_RECORD);
		assert_true(slice_is(csv.fields[0], "next"));
		csv_release(&csv);
		buf_release(&text);
	}
}

/* Whether more bytes could make it another record. */
static void test_torn(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool torn;
	} CASES[] = {
		{"a,b", true},        {"a,b\n", false},   {"a,b\r", true},      {"a,\"b\"", true},
		{"a,\"b\"\n", false}, {"a,\"b\nc", true}, {"a,\"b\nc\n", true}, {"\"a\nb\"c\n", false},
		{"\"a\"b", true},     {"\"a\nb\"", true}, {"\n", false},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct csv csv;
		size_t used;
		csv_init(&csv, ',', true);
		const enum csv_result rc = csv_next(&csv, CASES[i].text, strlen(CASES[i].text), true, &used);
		assert_true(rc == CSV_RECORD || rc == CSV_BAD_QUOTE);
		if (csv.torn != CASES[i].torn)
			fail_msg("%s", CASES[i].text);
		csv_release(&csv);
	}
	/* Too long, with and without its end; and a record that more bytes cannot end, since it is full. */
	struct buf text = {0};
	assert_int_equal(buf_reserve(&text, CSV_WINDOW_BYTES), 0);
	memset(text.data, 'x', CSV_WINDOW_BYTES);
	for (unsigned i = 0; i < 4; i++) {
		struct csv csv;
		size_t used;
		csv_init(&csv, ',', true);
		text.data[CSV_WINDOW_BYTES - 1] = i == 0 ? '\n' : 'x';
		if (i >= 2)
			memcpy(text.data, "\"\n", 2);
		const size_t len = i == 3 ? CSV_WINDOW_BYTES - 1 : CSV_WINDOW_BYTES;
		assert_int_equal(csv_next(&csv, text.data, len, true, &used), i < 2 ? CSV_TOO_LONG : CSV_BAD_QUOTE);
		assert_int_equal(csv.torn, i == 1 || i == 3);
		csv_release(&csv);
	}
	buf_release(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_hand),
		cmocka_unit_test(test_other_dialects),
		cmocka_unit_test(test_random_bytes_in_any_pieces),
		cmocka_unit_test(test_longest_line),
		cmocka_unit_test(test_endless_line_in_pieces),
		cmocka_unit_test(test_stray_quote_in_a_long_file),
		cmocka_unit_test(test_longest_quoted_record),
		cmocka_unit_test(test_widest_record),
		cmocka_unit_test(test_torn),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
