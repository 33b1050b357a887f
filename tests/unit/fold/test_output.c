/* The rows that punchcard-fold gives: which column stands where. */
#include "fold/output.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Each column of each kind has a place of its own, and there is room for all. */
static void test_places(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < OUTPUT_KINDS; kind++) {
		bool taken[2][OUTPUT_NUMBERS + 1] = {0};
		const struct output_table *const table = &OUTPUT_TABLE[kind];
		assert_non_null(table->name);
		for (unsigned i = 0; i < table->n_columns; i++) {
			assert_non_null(table->columns[i].name);
			const struct output_place place = output_place(kind, i);
			const bool text = place.letter == 't';
			assert_true(text ==
				    (table->columns[i].type == FOLD_TEXT || table->columns[i].type == FOLD_BYTES));
			assert_in_range(place.number, 1, text ? OUTPUT_TEXTS : OUTPUT_NUMBERS);
			assert_false(taken[text][place.number]);
			taken[text][place.number] = true;
		}
	}
	assert_int_equal(output_place(OUTPUT_LEDGER, LEDGER_DATA_DT).number, 6);
	assert_int_equal(output_place(OUTPUT_LEDGER, LEDGER_NOTE).number, 6);
}

static void test_row(void **state)
{
	(void)state;
	struct text_writer writer = text_writer_to(-1);
	struct error err = {0};
	const struct customer_id id = {.text = SLICE("Anna\t1")};
	const struct fold_value values[] = {{.text = SLICE("\x01\xfe")}, {.is_null = true}};
	assert_int_equal(output_row(&writer, OUTPUT_STATES, CUSTOMER_ID_TEXT, &id, values, &err), 0);
	assert_int_equal(output_row(&writer, OUTPUT_MARKED, CUSTOMER_ID_INTEGER, &(struct customer_id){.number = -7},
				    NULL, &err),
			 0);
	_cleanup_buf_ struct buf expected = {0};
	buf_append_text(&expected, "account_state\tAnna\\\t1");
	for (unsigned i = 0; i < OUTPUT_NUMBERS; i++)
		buf_append_text(&expected, "\t\\N");
	buf_append_text(&expected, "\t01FE\t\\N\t\\N\t\\N\t\\N\t\\N\nmarked\t-7");
	for (unsigned i = 0; i < OUTPUT_NUMBERS + OUTPUT_TEXTS; i++)
		buf_append_text(&expected, "\t\\N");
	buf_append_text(&expected, "\n");
	assert_string_equal(buf_text(&writer.buf), buf_text(&expected));
	text_writer_release(&writer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_places), cmocka_unit_test(test_row)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
