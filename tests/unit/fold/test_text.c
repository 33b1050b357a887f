/* Rows as text: what LazySimpleSerDe writes and reads. */
#include "fold/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define FIELDS 4u

static unsigned split(const char *text, struct buf *line, struct text_field *fields)
{
	unsigned n = 0;
	buf_clear(line);
	assert_int_equal(buf_append_text(line, text), 0);
	assert_int_equal(text_split(line->data, line->len, fields, FIELDS, &n), 0);
	return n;
}

static void test_split(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf line = {0};
	struct text_field fields[FIELDS];
	assert_int_equal(split("a\tb c\t\t\\N", &line, fields), 4);
	assert_true(slice_is(fields[0].text, "a") && slice_is(fields[1].text, "b c"));
	assert_true(slice_is(fields[2].text, "") && !fields[2].is_null);
	assert_true(fields[3].is_null && fields[3].text.len == 0);

	/* What Hive escapes besides, too. */
	assert_int_equal(split("\\\\N\tx\\\ty\\nz\\r\\\\\t\\\001", &line, fields), 3);
	assert_true(slice_is(fields[0].text, "\\N") && !fields[0].is_null);
	assert_true(slice_is(fields[1].text, "x\ty\nz\r\\"));
	assert_true(slice_is(fields[2].text, "\001"));

	/* A text N is none; an escaped N with more is a text. */
	assert_int_equal(split("N\t\\NN\tN\\N", &line, fields), 3);
	assert_true(!fields[0].is_null && !fields[1].is_null && !fields[2].is_null);
	assert_true(slice_is(fields[1].text, "NN") && slice_is(fields[2].text, "NN"));

	assert_int_equal(split("1\t2\t3\t4\t5\t6", &line, fields), 6);
	assert_true(slice_is(fields[3].text, "4"));
	char torn[] = "a\t\\";
	unsigned n;
	assert_int_equal(text_split(torn, 3, fields, FIELDS, &n), ERROR_INPUT);
}

static void test_unhex(void **state)
{
	(void)state;
	char text[] = "00fFA7";
	struct slice out;
	assert_int_equal(text_unhex((struct slice){text, 6}, text, &out), 0);
	assert_true(out.len == 3 && memcmp(out.data, "\x00\xff\xa7", 3) == 0);
	char odd[] = "0fg0";
	assert_int_equal(text_unhex((struct slice){odd, 3}, odd, &out), ERROR_INPUT);
	assert_int_equal(text_unhex((struct slice){odd, 4}, odd, &out), ERROR_INPUT);
	assert_int_equal(text_unhex((struct slice){NULL, 0}, NULL, &out), 0);
	assert_int_equal(out.len, 0);
}

/* Through a pipe: all that is written comes back. */
static void test_round_trip(void **state)
{
	(void)state;
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	struct error err = {0};
	struct text_writer writer = text_writer_to(ends[1]);
	char all[256];
	for (unsigned i = 0; i < sizeof(all); i++)
		all[i] = (char)i;
	const struct slice bytes = {all, sizeof(all)};
	text_put(&writer, bytes);
	text_put_null(&writer);
	text_put_number(&writer, INT64_MIN);
	text_put_hex(&writer, bytes);
	assert_int_equal(text_end_row(&writer, &err), 0);
	text_put(&writer, SLICE("\\N"));
	text_put(&writer, SLICE(""));
	text_put_number(&writer, INT64_MAX);
	text_put_number(&writer, 0);
	assert_int_equal(text_end_row(&writer, &err), 0);
	assert_int_equal(text_flush(&writer, &err), 0);
	assert_int_equal(writer.rows, 2);
	close(ends[1]);

	struct text_reader reader = text_reader_of(ends[0]);
	struct text_field fields[FIELDS];
	char *line;
	size_t len;
	unsigned n;
	bool found;
	assert_int_equal(text_next(&reader, &line, &len, &found, &err), 0);
	assert_true(found);
	assert_int_equal(text_split(line, len, fields, FIELDS, &n), 0);
	assert_true(n == 4 && slice_equal(fields[0].text, bytes) && fields[1].is_null);
	assert_true(slice_is(fields[2].text, "-9223372036854775808"));
	struct slice back;
	assert_int_equal(text_unhex(fields[3].text, (char *)(uintptr_t)fields[3].text.data, &back), 0);
	assert_true(slice_equal(back, bytes));
	assert_int_equal(text_next(&reader, &line, &len, &found, &err), 0);
	assert_int_equal(text_split(line, len, fields, FIELDS, &n), 0);
	assert_true(n == 4 && slice_is(fields[0].text, "\\N") && !fields[0].is_null);
	assert_true(slice_is(fields[1].text, "") && slice_is(fields[2].text, "9223372036854775807"));
	assert_true(slice_is(fields[3].text, "0") && reader.row == 2);
	assert_int_equal(text_next(&reader, &line, &len, &found, &err), 0);
	assert_false(found);
	close(ends[0]);
	text_reader_release(&reader);
	text_writer_release(&writer);
}

static void test_torn(void **state)
{
	(void)state;
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "a\nb", 3), 3);
	close(ends[1]);
	struct text_reader reader = text_reader_of(ends[0]);
	struct error err = {0};
	char *line;
	size_t len;
	bool found;
	assert_int_equal(text_next(&reader, &line, &len, &found, &err), 0);
	assert_true(found && len == 1);
	assert_int_equal(text_next(&reader, &line, &len, &found, &err), ERROR_INPUT);
	assert_non_null(strstr(err.message, "row 2: is torn"));
	close(ends[0]);
	text_reader_release(&reader);
}

static void test_nobody_reads(void **state)
{
	(void)state;
	struct text_writer writer = text_writer_to(-1);
	struct error err = {0};
	text_put_number(&writer, 1);
	assert_int_equal(text_end_row(&writer, &err), 0);
	assert_int_equal(text_flush(&writer, &err), ERROR_IO);
	text_writer_release(&writer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split), cmocka_unit_test(test_unhex),        cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_torn),  cmocka_unit_test(test_nobody_reads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
