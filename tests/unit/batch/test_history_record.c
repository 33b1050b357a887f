/* Records of rows: what goes in comes out, where the texts stand; and bytes that are none are refused. */
#include "batch/history_record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define RECORD_BYTES 512u

static struct error err;

static const struct row_values ROWS[] = {
	{.time_us = 0, .meta = 1u << ROW_META_SHIFT, .id = SLICE("a"), .tag = SLICE("till")},
	{.time_us = INT64_MIN,
	 .amount_minor = INT64_MIN,
	 .qty_milli = INT64_MAX,
	 .meta = UINT32_MAX,
	 .id = SLICE("0123456789012345678901234567890123456789012345678901234567890123"),
	 .tag = SLICE("till -1500 0 6 0 points"),
	 .menu = SLICE("latte"),
	 .sku = SLICE("4711")},
	{.time_us = 1704103200000000,
	 .amount_minor = -450,
	 .meta = 2u << ROW_META_SHIFT | ROW_REFUND,
	 .id = SLICE("b"),
	 .tag = SLICE("x"),
	 .sku = SLICE("1")},
};
#define N_ROWS (sizeof(ROWS) / sizeof(ROWS[0]))

static void add_customer(struct row_batch *batch, int64_t number, struct slice text, struct slice state,
			 struct slice items)
{
	assert_int_equal(row_batch_add_customer(batch, &(struct customer_id){.number = number, .text = text}, state,
						items, &err),
			 0);
}

static void add(struct row_batch *batch, const struct row_values *row)
{
	char record[RECORD_BYTES];
	const size_t len = (size_t)(history_record_put(record, row) - record);
	assert_true(len <= history_record_most(row) && history_record_most(row) <= sizeof(record));
	assert_int_equal(history_record_add(batch, (struct slice){record, len}, &err), 0);
}

static void expect_row(const struct row_batch *batch, size_t at, const struct row_values *row)
{
	const struct row *const got = &batch->rows[at];
	const struct slice texts[] = {row->id, row->tag, row->menu, row->sku};
	const size_t lens[] = {got->id_len, got->tag_len, got->menu_len, got->sku_len};
	assert_true(got->time_us == row->time_us && got->amount_minor == row->amount_minor &&
		    got->qty_milli == row->qty_milli && got->meta == row->meta);
	const char *text = batch->texts.data + got->text_at;
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); text += lens[i++])
		assert_true(slice_equal((struct slice){text, lens[i]}, texts[i]));
}

static void test_round_trip(void **state)
{
	(void)state;
	struct row_batch batch = {0};
	/* The second time in memory that was used, with a row more than there is room for. */
	for (size_t more = 0; more < 2; more++) {
		row_batch_clear(&batch);
		add_customer(&batch, 1, SLICE("A"), SLICE("state"), SLICE("items"));
		for (size_t i = 0; i < N_ROWS; i++)
			add(&batch, &ROWS[i]);
		add_customer(&batch, 2, SLICE(""), SLICE("only a state"), SLICE(""));
		add_customer(&batch, 3, SLICE("ccc"), SLICE(""), SLICE(""));
		for (size_t i = 0; i <= more; i++)
			add(&batch, &ROWS[i]);
		assert_int_equal(history_record_decode(&batch, &err), 0);
		assert_int_equal(batch.n_rows, N_ROWS + 1 + more);
		assert_int_equal(batch.n_first_rows, 2);
		const size_t n[] = {N_ROWS, 0, 1 + more};
		size_t at = 0;
		for (size_t i = 0; i < batch.n_customers; i++) {
			assert_int_equal(batch.customers[i].first_row, at);
			assert_int_equal(batch.customers[i].n_rows, n[i]);
			for (size_t row = 0; row < n[i]; row++)
				expect_row(&batch, at + row, &ROWS[row]);
			at += n[i];
		}
	}
	row_batch_release(&batch);
}

static void expect_damage(struct slice record)
{
	struct row_batch batch = {0};
	add_customer(&batch, 1, SLICE(""), SLICE(""), SLICE(""));
	assert_int_equal(history_record_add(&batch, record, &err), 0);
	assert_int_equal(history_record_decode(&batch, &err), ERROR_CORRUPT);
	row_batch_release(&batch);
}

static void test_damage(void **state)
{
	(void)state;
	char record[RECORD_BYTES] = {0};
	const size_t len = (size_t)(history_record_put(record, &ROWS[1]) - record);
	/* Torn anywhere, or with a byte more. */
	for (size_t torn = 1; torn < len; torn++)
		expect_damage((struct slice){record, torn});
	expect_damage((struct slice){record, len + 1});
	/* Texts that no row has. */
	const struct row_values wrong[] = {
		{.id = SLICE(""), .tag = SLICE("till")},
		{.id = SLICE("a"), .tag = SLICE("")},
		{.id = SLICE("01234567890123456789012345678901234567890123456789012345678901234"),
		 .tag = SLICE("till")},
	};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		expect_damage((struct slice){record, (size_t)(history_record_put(record, &wrong[i]) - record)});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_damage),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
