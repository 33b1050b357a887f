/* The audit of a small deployment, whose journal, files and view are made here: every difference is named, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/tz.h"
#include "batch/audit.h"
#include "batch/audit_internal.h"
#include "batch/audit_reserve.h"
#include "batch/rebuild.h"
#include "loyalty/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define DAY_US       INT64_C(86400000000)
#define DAY          18322 /* 2020-03-01 */
#define CUSTOMERS    5
#define ORDERS       4 /* of each */
#define HASH_BYTES   (PROGRAMME_HASH_TEXT - 1)
#define FINDINGS_MAX AUDIT_TOLD_MAX
#define TEXT_BYTES   128u
#define VALUES_MAX   4u

static const char PROGRAMME[] = "version: 1\nname: Test\ncurrency: THB\ntimezone: UTC\n"
				"ledgers:\n  - {name: points, value: \"0.25\", expiry: {days: \"30\"}}\n"
				"earn:\n  - {per_amount: {points: \"1\", per: \"10\"}}\n";

/* A finding, with copies of its texts. */
struct told {
	enum audit_table table;
	enum audit_kind kind;
	char customer[TEXT_BYTES];
	int64_t entry_no;
	uint64_t rows;
	unsigned n_cells;
	char columns[VALUES_MAX][TEXT_BYTES];
	char is[VALUES_MAX][TEXT_BYTES];
	char should[VALUES_MAX][TEXT_BYTES];
};

struct listening {
	struct told items[FINDINGS_MAX];
	unsigned n;
	unsigned progress_left; /* how often it may be asked; UINT_MAX: always */
};

static char directory[sizeof("/tmp/punchcard_test_audit.XXXXXX")];
static struct deployment *shop;
static struct listening heard;

static void copy_text(char out[TEXT_BYTES], struct slice text)
{
	snprintf(out, TEXT_BYTES, "%.*s", (int)text.len, text.data ? text.data : "");
}

static void listen(void *context, const struct audit_finding *finding)
{
	struct listening *const listening = context;
	assert_in_range(listening->n, 0, FINDINGS_MAX - 1);
	struct told *const told = &listening->items[listening->n++];
	*told = (struct told){.table = finding->table,
			      .kind = finding->kind,
			      .entry_no = finding->entry_no,
			      .rows = finding->rows,
			      .n_cells = finding->n_cells};
	copy_text(told->customer, finding->customer);
	for (unsigned i = 0; i < finding->n_cells && i < VALUES_MAX; i++) {
		snprintf(told->columns[i], TEXT_BYTES, "%s", finding->cells[i].column);
		copy_text(told->is[i], finding->cells[i].is);
		copy_text(told->should[i], finding->cells[i].should);
	}
}

static bool go_on(void *context, const char *doing, uint64_t done, uint64_t total)
{
	(void)done;
	(void)total;
	struct listening *const listening = context;
	assert_non_null(doing);
	if (listening->progress_left == UINT32_MAX)
		return true;
	return listening->progress_left > 0 && listening->progress_left-- > 0;
}

/* ---- a deployment ---- */

static void ok(int rc, const struct error *err)
{
	if (rc < 0)
		fail_msg("%s", err->message);
}

static void write_programme(const char *text)
{
	char *const path = text_printf("%s/shop/programme.yaml", directory);
	assert_int_equal(file_write_durable(path, text, strlen(text), NULL), 0);
	free(path);
}

static void open_shop(void)
{
	struct error err = {0};
	char *const dir = text_printf("%s/shop", directory);
	ok(deployment_open(dir, DEPLOYMENT_WRITE, "test", &shop, &err), &err);
	free(dir);
}

static struct order_line line_of(int64_t customer)
{
	const int64_t amount_minor = customer > 0 && customer <= CUSTOMERS ? 1000 * customer : 100;
	return (struct order_line){
		.menu = SLICE("tea"), .qty_milli = 1000, .price_minor = amount_minor, .amount_minor = amount_minor};
}

static struct event order_of(int64_t customer, unsigned i, char id[TEXT_BYTES], const struct order_line *line)
{
	snprintf(id, TEXT_BYTES, "r-%lld-%u", (long long)customer, i);
	return (struct event){.kind = EVENT_ORDER,
			      .id = slice_of(id),
			      .customer.number = customer,
			      .time_us = (DAY + (int64_t)i) * DAY_US,
			      .lines = line,
			      .n_lines = 1};
}

static struct journal *open_journal(void)
{
	struct journal *journal = NULL;
	struct error err = {0};
	ok(journal_open(shop->journal_dir, &(struct journal_options){.map_gib = 1}, &journal, &err), &err);
	return journal;
}

/* One block with the i-th order of customers `first` to `last`; its number. */
static uint64_t append_block(int64_t first, int64_t last, unsigned i)
{
	struct journal *const journal = open_journal();
	struct block_writer writer = {0};
	struct error err = {0};
	uint64_t seq = 0;
	assert_int_equal(block_writer_begin(&writer, SLICE("till"), 0), 0);
	assert_int_equal(block_writer_file(&writer, SLICE("a")), 0);
	for (int64_t customer = first; customer <= last; customer++) {
		char id[TEXT_BYTES];
		const struct order_line line = line_of(customer);
		const struct event event = order_of(customer, i, id, &line);
		assert_int_equal(block_writer_event(&writer, &event, false, (uint64_t)customer), 0);
	}
	ok(journal_begin(journal, &err), &err);
	ok(journal_append(journal, block_writer_finish(&writer), &seq, &err), &err);
	ok(journal_commit(journal, &err), &err);
	block_writer_release(&writer);
	journal_close(journal);
	return seq;
}

static void set_table_offset(uint64_t offset)
{
	struct journal *const journal = open_journal();
	struct error err = {0};
	ok(journal_begin(journal, &err), &err);
	ok(journal_offset_set(journal, "table", offset, &err), &err);
	ok(journal_commit(journal, &err), &err);
	journal_close(journal);
}

/* The same orders as the table writer would have written them. */
static void write_orders(uint64_t seq, int64_t first, int64_t last, unsigned i)
{
	char date[11];
	civil_format(DAY + (int32_t)i, date);
	char *const dir = text_printf("%s/transactions_cln/data_dt=%s", shop->warehouse_dir, date);
	char *const sql = text_printf(
		"COPY (SELECT c::BIGINT AS cust_id, 1::INTEGER AS line_no, make_timestamp(%lld) AS odr_tms, (c * "
		"10)::DECIMAL(18,2) AS odr_amt, 'r-' || c || '-%u' AS event_id, 'till' AS source, 'order' AS kind, "
		"1::DECIMAL(18,3) AS odr_qty, 'tea' AS odr_menu, NULL::VARCHAR AS odr_sku FROM range(%lld, %lld) t(c)) "
		"TO '%s/orders-%012llu-%012llu.parquet' (FORMAT parquet)",
		(long long)(DAY + (int64_t)i) * DAY_US, i, (long long)first, (long long)last + 1, dir,
		(unsigned long long)seq, (unsigned long long)seq);
	struct error err = {0};
	struct engine *engine = NULL;
	ok(file_make_dirs(dir, &err), &err);
	ok(engine_open(&(struct engine_options){.memory_mib = 64, .threads = 1}, &engine, &err), &err);
	ok(engine_run(engine, sql, &err), &err);
	engine_close(engine);
	free(sql);
	free(dir);
}

static struct view *open_view(void)
{
	struct view *view = NULL;
	struct error err = {0};
	ok(view_open(shop->view_dir, &(struct view_options){.map_gib = 1}, &view, &err), &err);
	return view;
}

/* The record of a customer's first `orders` orders. */
static void put_record(struct view *view, int64_t customer, unsigned orders)
{
	struct record *const record = record_new(shop->programme);
	struct fact facts[ORDERS + 1];
	char ids[ORDERS + 1][TEXT_BYTES];
	struct buf bytes = {0};
	struct error err = {0};
	assert_in_range(orders, 1, ORDERS + 1);
	for (unsigned i = 0; i < orders; i++) {
		const struct order_line line = line_of(customer);
		const struct event event = order_of(customer, i, ids[i], &line);
		fact_of_event(&facts[i], shop->programme, &event, SLICE("till"));
	}
	assert_int_equal(record_of_history(record, facts, orders), 0);
	assert_int_equal(record_encode(record, &bytes), 0);
	ok(view_account_put(view, &(struct customer_id){.number = customer}, (struct slice){bytes.data, bytes.len},
			    &err),
	   &err);
	buf_release(&bytes);
	record_free(record);
}

static void begin_writing(struct view *view)
{
	struct error err = {0};
	ok(view_write_begin(view, &err), &err);
}

static void end_writing(struct view *view, uint64_t offset)
{
	struct error err = {0};
	ok(view_write_commit(view, offset, &err), &err);
	view_close(view);
}

static int make_shop(void **state)
{
	(void)state;
	snprintf(directory, sizeof(directory), "/tmp/punchcard_test_audit.XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	char *const dir = text_printf("%s/shop", directory);
	char *const tmp = text_printf("%s/tmp", directory);
	struct error err = {0};
	ok(deployment_init(dir, &err), &err);
	write_programme(PROGRAMME);
	assert_int_equal(mkdir(tmp, 0777), 0);
	free(tmp);
	free(dir);
	open_shop();
	uint64_t next = 1;
	for (unsigned i = 0; i < ORDERS; i++) {
		const uint64_t seq = append_block(1, CUSTOMERS, i);
		write_orders(seq, 1, CUSTOMERS, i);
		next = seq + 1;
	}
	set_table_offset(next);
	struct view *const view = open_view();
	begin_writing(view);
	ok(view_rules_set(view, (struct slice){shop->programme->hash_text, HASH_BYTES}, &err), &err);
	for (int64_t customer = 1; customer <= CUSTOMERS; customer++)
		put_record(view, customer, ORDERS);
	end_writing(view, next);
	struct rebuild_report report;
	ok(rebuild_run(shop, DAY + 2, NULL, &report, &err), &err);
	return 0;
}

static int remove_shop(void **state)
{
	(void)state;
	deployment_close(shop);
	shop = NULL;
	return file_remove_tree(directory, NULL);
}

static int run_audit(struct audit_report *report, struct error *err)
{
	char *const tmp = text_printf("%s/tmp", directory);
	const unsigned left = heard.progress_left;
	heard = (struct listening){.progress_left = left ? left - 1 : UINT32_MAX};
	const struct audit_options options = {
		.day = DAY_MAX, .tmp_dir = tmp, .finding = listen, .progress = go_on, .context = &heard};
	const int rc = audit_run(shop, &options, report, err);
	free(tmp);
	heard.progress_left = 0;
	return rc;
}

static struct audit_report audit(void)
{
	struct audit_report report;
	struct error err = {0};
	ok(run_audit(&report, &err), &err);
	assert_int_equal(report.differences, heard.n);
	return report;
}

/* ---- the whole ---- */

static void all_agree(void **state)
{
	(void)state;
	const struct audit_report report = audit();
	assert_int_equal(report.differences, 0);
	assert_int_equal(report.day, DAY + 2);
	assert_int_equal(report.rows, CUSTOMERS * ORDERS);
	assert_int_equal(report.customers, CUSTOMERS);
	assert_int_equal(report.events, CUSTOMERS * (ORDERS - 1));
	assert_int_equal(report.entries, CUSTOMERS * (ORDERS - 1));
	assert_int_equal(report.accounts, CUSTOMERS);
	assert_int_equal(report.n_sums, 1);
	assert_string_equal(report.sums[0].name, "points");
	/* 10 · (1 + 2 + 3 + 4 + 5) a day, a point for 10. */
	assert_int_equal(report.sums[0].issued_milli, 3 * 15000);
	assert_int_equal(report.sums[0].spendable_milli, 3 * 15000);
	assert_int_equal(report.sums[0].difference_milli, 0);
	assert_false(report.stale || report.empty || report.ledger_alone);
}

/* One order less than there was: what it comes to is told, not how its bytes look. */
static void names_a_changed_record(void **state)
{
	(void)state;
	struct view *const view = open_view();
	begin_writing(view);
	put_record(view, 3, ORDERS - 1);
	end_writing(view, ORDERS + 1);
	const struct audit_report report = audit();
	assert_int_equal(report.by_table[AUDIT_VIEW], 1);
	assert_int_equal(report.differences, 1);
	const struct told *const told = &heard.items[0];
	assert_int_equal(told->kind, AUDIT_CHANGED);
	assert_string_equal(told->customer, "3");
	assert_int_equal(told->n_cells, 2);
	assert_string_equal(told->columns[0], "events");
	assert_string_equal(told->is[0], "3");
	assert_string_equal(told->should[0], "4");
	assert_string_equal(told->columns[1], "points");
	assert_string_equal(told->is[1], "9.000");
	assert_string_equal(told->should[1], "12.000");
}

/* A record that cannot be decoded is no reason to end. */
static void names_a_damaged_record(void **state)
{
	(void)state;
	struct view *const view = open_view();
	struct error err = {0};
	begin_writing(view);
	ok(view_account_put(view, &(struct customer_id){.number = 2}, SLICE("rubbish"), &err), &err);
	end_writing(view, ORDERS + 1);
	audit();
	assert_int_equal(heard.n, 1);
	assert_string_equal(heard.items[0].customer, "2");
	assert_string_equal(heard.items[0].is[0], "");
	assert_string_equal(heard.items[0].should[0], "4");
}

static void names_foreign_and_missing_records(void **state)
{
	(void)state;
	struct view *view = open_view();
	struct error err = {0};
	ok(view_accounts_clear(view, &err), &err);
	ok(view_rules_set(view, (struct slice){shop->programme->hash_text, HASH_BYTES}, &err), &err);
	put_record(view, -7, 1);
	for (int64_t customer = 1; customer <= CUSTOMERS; customer++)
		if (customer != 4)
			put_record(view, customer, ORDERS);
	put_record(view, INT64_MAX, 1);
	end_writing(view, ORDERS + 1);
	audit();
	assert_int_equal(heard.n, 3);
	assert_string_equal(heard.items[0].customer, "-7");
	assert_int_equal(heard.items[0].kind, AUDIT_FOREIGN);
	assert_string_equal(heard.items[1].customer, "4");
	assert_int_equal(heard.items[1].kind, AUDIT_MISSING);
	assert_string_equal(heard.items[2].customer, "9223372036854775807");
	assert_int_equal(heard.items[2].kind, AUDIT_FOREIGN);
}

/* Marked ones wait to be made again, whatever their record is. */
static void leaves_out_marked_records(void **state)
{
	(void)state;
	struct view *const view = open_view();
	struct error err = {0};
	begin_writing(view);
	put_record(view, 5, ORDERS - 1);
	ok(view_mark(view, &(struct customer_id){.number = 5}, &err), &err);
	end_writing(view, ORDERS + 1);
	const struct audit_report report = audit();
	assert_int_equal(heard.n, 0);
	assert_int_equal(report.waiting_accounts, 1);
	assert_int_equal(report.accounts, CUSTOMERS - 1);
}

/* Customers 2 and 3 have an order that the view has taken and the table not. */
static void leaves_out_what_only_the_view_has(void **state)
{
	(void)state;
	const uint64_t seq = append_block(2, 3, ORDERS);
	struct view *const view = open_view();
	begin_writing(view);
	put_record(view, 2, ORDERS + 1);
	put_record(view, 3, ORDERS + 1);
	put_record(view, 4, ORDERS - 1);
	end_writing(view, seq + 1);
	const struct audit_report report = audit();
	assert_int_equal(report.waiting_events, 2);
	assert_int_equal(report.waiting_customers, 2);
	assert_int_equal(report.rows, CUSTOMERS * ORDERS + 2);
	assert_int_equal(report.accounts, CUSTOMERS - 2);
	assert_int_equal(heard.n, 1);
	assert_string_equal(heard.items[0].customer, "4");
}

/* And the other way round; what came in since the day was refreshed is no difference. */
static void leaves_out_what_only_the_table_has(void **state)
{
	(void)state;
	const uint64_t seq = append_block(2, 3, ORDERS);
	write_orders(seq, 2, 3, ORDERS);
	set_table_offset(seq + 1);
	const struct audit_report report = audit();
	assert_int_equal(report.differences, 0);
	assert_int_equal(report.waiting_customers, 2);
	assert_true(report.stale);
}

static void names_lost_and_doubled_orders(void **state)
{
	(void)state;
	char *const path = text_printf("%s/transactions_cln/data_dt=2020-03-04", shop->warehouse_dir);
	/* Of the day behind the audited one: its tables have nothing of it. */
	assert_int_equal(file_remove_tree(path, NULL), 0);
	struct audit_report report = audit();
	assert_int_equal(report.by_table[AUDIT_TRANSACTIONS], 1);
	assert_string_equal(heard.items[0].is[0], "15");
	assert_string_equal(heard.items[0].should[0], "20");
	assert_int_equal(report.by_table[AUDIT_VIEW], CUSTOMERS);
	assert_int_equal(report.differences, 1 + CUSTOMERS);
	/* The same block under another name. */
	write_orders(ORDERS, 1, CUSTOMERS, ORDERS - 1);
	report = audit();
	assert_int_equal(report.differences, 0);
	write_orders(1, 1, CUSTOMERS, ORDERS - 1);
	report = audit();
	assert_int_equal(report.by_table[AUDIT_TRANSACTIONS], 2);
	assert_int_equal(heard.items[0].kind, AUDIT_SUMS);
	assert_int_equal(heard.items[1].kind, AUDIT_UNREADABLE);
	free(path);
}

static void names_another_programme(void **state)
{
	(void)state;
	deployment_close(shop);
	write_programme("version: 1\nname: Test\ncurrency: THB\ntimezone: UTC\nearn:\n"
			"  - {per_amount: {points: \"2\", per: \"10\"}}\n");
	open_shop();
	audit();
	assert_int_equal(heard.n, 2);
	assert_int_equal(heard.items[0].table, AUDIT_LEDGER);
	assert_int_equal(heard.items[1].table, AUDIT_VIEW);
	for (unsigned i = 0; i < heard.n; i++) {
		assert_int_equal(heard.items[i].kind, AUDIT_OTHER_PROGRAMME);
		assert_string_equal(heard.items[i].should[0], shop->programme->hash_text);
	}
}

/* At whatever moment: it ends with the same error, and nothing is left. */
static void can_be_interrupted(void **state)
{
	(void)state;
	int rc = ERROR_INTERRUPTED;
	unsigned moments = 0;
	for (unsigned n = 1; rc == ERROR_INTERRUPTED && n < 200; n++) {
		struct audit_report report;
		struct error err = {0};
		heard.progress_left = n;
		rc = run_audit(&report, &err);
		moments += rc == ERROR_INTERRUPTED;
	}
	assert_int_equal(rc, 0);
	assert_true(moments >= 3);
	char *const tmp = text_printf("%s/tmp", directory);
	assert_int_equal(rmdir(tmp), 0);
	free(tmp);
}

static void refuses_a_day_that_was_not_refreshed(void **state)
{
	(void)state;
	struct audit_report report;
	struct error err = {0};
	const struct audit_options options = {.day = DAY + 1, .tmp_dir = "/tmp", .finding = listen, .context = &heard};
	assert_int_equal(audit_run(shop, &options, &report, &err), ERROR_NOT_FOUND);
	assert_non_null(strstr(err.message, "2020-03-02"));
	assert_non_null(strstr(err.message, "2020-03-03"));
}

/* ---- the reserve ---- */

static void reserves_by_month(void **state)
{
	(void)state;
	char *const tmp = text_printf("%s/tmp", directory);
	for (int from_state = 1; from_state >= 0; from_state--) {
		const struct reserve_options options = {
			.day = from_state ? DAY_MAX : DAY + 3, .today = DAY + 9, .tmp_dir = tmp};
		struct reserve_report *report = NULL;
		struct error err = {0};
		ok(reserve_run(shop, &options, &report, &err), &err);
		assert_int_equal(report->from_state, from_state);
		assert_int_equal(report->customers, CUSTOMERS);
		assert_int_equal(report->n_ledgers, 1);
		const struct reserve_ledger *const ledger = &report->ledgers[0];
		/* 1 March and 30 days is the last of March; the others fall into April. */
		assert_int_equal(ledger->n_months, 2);
		assert_int_equal(ledger->months[0].first_day, civil_days(2020, 3, 1));
		assert_int_equal(ledger->months[0].points_milli, 15000);
		assert_int_equal(ledger->months[0].cost_minor, 375);
		assert_int_equal(ledger->months[1].first_day, civil_days(2020, 4, 1));
		assert_int_equal(ledger->months[1].points_milli, from_state ? 30000 : 45000);
		assert_int_equal(ledger->outstanding_milli, from_state ? 45000 : 60000);
		assert_int_equal(ledger->outstanding_minor, from_state ? 1125 : 1500);
		assert_int_equal(ledger->never_milli + ledger->pending_milli + ledger->debt_milli, 0);
		assert_int_equal(ledger->customers, CUSTOMERS);
		reserve_free(report);
	}
	free(tmp);
}

/* ---- rows by hand ---- */

struct list {
	struct audit_rows rows;
	struct audit_value items[8][3];
	unsigned n;
	unsigned at;
};

static int next_of_list(struct audit_rows *rows, struct audit_value *values, bool *found, struct error *err)
{
	(void)err;
	struct list *const list = (struct list *)rows;
	*found = list->at < list->n;
	if (*found)
		memcpy(values, list->items[list->at++], sizeof(list->items[0]));
	return 0;
}

static void add(struct list *list, int64_t customer, int64_t entry, const char *text)
{
	list->rows.next = next_of_list;
	struct audit_value *const row = list->items[list->n++];
	row[0] = (struct audit_value){.number = customer, .null = customer == 0};
	row[1] = (struct audit_value){.number = entry};
	row[2] = (struct audit_value){.null = !text, .text = slice_of(text)};
}

/* Doubled rows, NULL that is no empty text, rows without a customer (which come last), and ends of both lists. */
static void compares_rows(void **state)
{
	(void)state;
	static const struct engine_column columns[] = {
		{"cust_id", ENGINE_BIGINT}, {"entry_no", ENGINE_BIGINT}, {"note", ENGINE_VARCHAR}};
	const struct audit_shape shape = {
		.table = AUDIT_LEDGER, .columns = columns, .n_columns = 3, .n_keys = 2, .entry = 1};
	const struct audit_options options = {.finding = listen, .context = &heard};
	struct audit audit = {.options = &options};
	struct list should = {0};
	struct list is = {0};
	add(&should, -5, 1, "a");
	add(&should, 1, 1, NULL);
	add(&should, 1, 2, "b");
	add(&should, 3, 1, "c");
	add(&is, -5, 1, "a");
	add(&is, 1, 1, "");
	add(&is, 1, 2, "b");
	add(&is, 1, 2, "b");
	add(&is, 2, 9, NULL);
	add(&is, 0, 1, "nobody's");
	heard = (struct listening){0};
	uint64_t n = 0;
	struct error err = {0};
	ok(audit_compare(&audit, &shape, DAY, &should.rows, &is.rows, "comparing", &n, &err), &err);
	assert_int_equal(n, 6);
	assert_int_equal(heard.n, 5);
	assert_int_equal(heard.items[0].kind, AUDIT_CHANGED);
	assert_int_equal(heard.items[0].n_cells, 1);
	assert_int_equal(heard.items[1].kind, AUDIT_FOREIGN);
	assert_int_equal(heard.items[1].entry_no, 2);
	assert_string_equal(heard.items[1].is[0], "b");
	assert_int_equal(heard.items[2].kind, AUDIT_FOREIGN);
	assert_string_equal(heard.items[2].customer, "2");
	assert_int_equal(heard.items[2].n_cells, 0);
	assert_int_equal(heard.items[3].kind, AUDIT_MISSING);
	assert_string_equal(heard.items[3].customer, "3");
	assert_int_equal(heard.items[4].kind, AUDIT_FOREIGN);
	assert_string_equal(heard.items[4].customer, "");
	assert_int_equal(audit.report.by_table[AUDIT_LEDGER], 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(all_agree, make_shop, remove_shop),
		cmocka_unit_test_setup_teardown(names_a_changed_record, make_shop, remove_shop),
		cmocka_unit_test_setup_teardown(names_a_damaged_record, make_shop, remove_shop),
		cmocka_unit_test_setup_teardown(names_foreign_and_missing_records, make_shop, remove_shop),
		cmocka_unit_test_setup_teardown(leaves_out_marked_records, make_shop, remove_shop),
		cmocka_unit_test_setup_teardown(leaves_out_what_only_the_view_has, make_shop, remove_shop),
		cmocka_unit_test_setup_teardown(leaves_out_what_only_the_table_has, make_shop, remove_shop),
		cmocka_unit_test_setup_teardown(names_lost_and_doubled_orders, make_shop, remove_shop),
		cmocka_unit_test_setup_teardown(names_another_programme, make_shop, remove_shop),
		cmocka_unit_test_setup_teardown(can_be_interrupted, make_shop, remove_shop),
		cmocka_unit_test_setup_teardown(refuses_a_day_that_was_not_refreshed, make_shop, remove_shop),
		cmocka_unit_test_setup_teardown(reserves_by_month, make_shop, remove_shop),
		cmocka_unit_test(compares_rows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
