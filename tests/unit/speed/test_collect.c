/* Files to tables and accounts, end to end: what SQL sees is the same however the files come. */
#include "speed/collect.h"

#include "base/random.h"
#include "engine/engine.h"
#include "shop.h"
#include "speed/attach.h"
#include "speed/view_mend.h"
#include "speed/view_writer.h"

#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define ALL_ROWS                                                                                                 \
	"SELECT concat_ws('|', event_id, line_no, kind, cust_id, odr_menu, odr_qty, odr_prc, odr_amt, odr_tms, " \
	"source, "                                                                                               \
	"data_dt) AS a FROM transactions_cln ORDER BY a"
#define ALL_ACCOUNTS                                                                                                  \
	"SELECT concat_ws('|', cust_id, orders, visits, spend, points, points_earned, first_order, last_order) AS a " \
	"FROM accounts ORDER BY cust_id"
#define ALL_QUARANTINE "SELECT concat_ws('|', file, line, reason, text) AS a FROM quarantine ORDER BY a"

#define EVENTS_SOURCE  "sources:\n  - {name: till, dir: spool, format: ndjson, settle_ms: 0}\n"

/* Everything that an account can have, and so little of it open that late events are soon too late. */
#define FULL_PROGRAMME                                                                    \
	"version: 1\nname: Full\ncurrency: THB\ntimezone: Asia/Bangkok\n"                 \
	"categories: [{name: gifts, items: [card]}]\nexclude: [gifts]\n"                  \
	"ledgers:\n"                                                                      \
	"  - {name: points, expiry: {days: 20}, pending_days: 2}\n"                       \
	"  - {name: stamps, decimals: 0, expiry: {inactivity: 1}, negative: forgive}\n"   \
	"earn:\n"                                                                         \
	"  - per_amount: {points: 1, per: 10.00}\n"                                       \
	"  - {ledger: stamps, per_item: {points: 1, items: [mocha]}}\n"                   \
	"tiers: {metric: spend, window: {rolling_months: 1}, valid_months: 1, levels: ["  \
	"{name: member, threshold: 0}, {name: gold, threshold: 200, multiplier: 1.5}]}\n" \
	"rewards: [{id: coffee, ledger: stamps, cost: 3}]\n"                              \
	"late: {days: 5, open_events: 4}\n"

static struct intake_counts sum;

static void on_file(void *context, const struct intake_file *file)
{
	(void)context;
	/* A line of JSON is an event of one or more rows. */
	if (strcmp(shop->config->sources[0].format, "ndjson") != 0)
		assert_int_equal(file->counts->lines,
				 file->counts->rows + file->counts->duplicates + file->counts->quarantined);
	sum.lines += file->counts->lines;
	sum.rows += file->counts->rows;
	sum.events += file->counts->events;
	sum.duplicates += file->counts->duplicates;
	sum.quarantined += file->counts->quarantined;
}

static void on_committed(void *context, uint64_t lines)
{
	(void)context;
	(void)lines;
}

static bool asked_to_stop;

static bool must_stop(void *context)
{
	(void)context;
	return asked_to_stop;
}

static const struct intake_hooks HOOKS = {.file = on_file, .committed = on_committed, .stop = must_stop};

static int collect(struct error *err)
{
	unsigned failed = 0;
	sum = (struct intake_counts){0};
	const int rc = collect_once(shop, NULL, &HOOKS, &failed, err);
	assert_int_equal(failed, 0);
	return rc;
}

static void collect_well(void)
{
	struct error err = {0};
	if (collect(&err) < 0)
		fail_msg("%s", err.message);
}

struct opened {
	struct engine *engine;
	struct attached *attached;
};

static void open_tables(struct opened *o)
{
	struct error err = {0};
	*o = (struct opened){0};
	if (engine_open(&(const struct engine_options){.threads = 2}, &o->engine, &err) < 0 ||
	    speed_attach(o->engine, shop, &o->attached, &err) < 0)
		fail_msg("%s", err.message);
}

static void close_tables(struct opened *o)
{
	engine_close(o->engine);
	speed_detach(o->attached);
}

static void read_sql(struct opened *o, const char *sql, struct buf *out)
{
	struct engine_scan *scan = NULL;
	struct error err = {0};
	uint32_t rows = 0;
	if (engine_scan_open(o->engine, sql, &scan, &err) < 0)
		fail_msg("%s", err.message);
	int rc;
	while ((rc = engine_scan_next(scan, &rows, &err)) == 0 && rows)
		for (uint32_t row = 0; row < rows; row++) {
			const struct slice text = engine_scan_text(scan, 0, row);
			assert_int_equal(buf_append(out, text.data, text.len), 0);
			assert_int_equal(buf_append_text(out, "\n"), 0);
		}
	if (rc < 0)
		fail_msg("%s", err.message);
	engine_scan_close(scan);
}

static void read_all(struct buf *out)
{
	struct opened o;
	buf_clear(out);
	open_tables(&o);
	read_sql(&o, ALL_ROWS, out);
	read_sql(&o, ALL_ACCOUNTS, out);
	close_tables(&o);
	assert_non_null(buf_text(out));
}

static void assert_sql(const char *sql, const char *expected)
{
	struct opened o;
	_cleanup_buf_ struct buf have = {0};
	open_tables(&o);
	read_sql(&o, sql, &have);
	close_tables(&o);
	assert_string_equal(buf_text(&have), expected);
}

static int64_t count(struct opened *o, const char *sql)
{
	int64_t n = -1;
	struct error err = {0};
	if (engine_run_int64(o->engine, sql, &n, &err) < 0)
		fail_msg("%s", err.message);
	return n;
}

/* The bytes of all records, with their customers. None may be marked, unless so many are wanted. */
static void read_records(uint64_t marked, struct buf *out)
{
	struct view *view = NULL;
	struct view_walk *walk = NULL;
	struct error err = {0};
	uint64_t have_marked = 77;
	buf_clear(out);
	if (view_writer_open_view(shop, true, &view, &err) < 0 || view_read_begin(view, &err) < 0 ||
	    view_marked_count(view, &have_marked, &err) < 0 || view_walk_open(view, &walk, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(have_marked, marked);
	for (;;) {
		struct customer_id id;
		struct slice record;
		bool found = false;
		if (view_walk_next(walk, &id, &record, &found, &err) < 0)
			fail_msg("%s", err.message);
		if (!found)
			break;
		buf_printf(out, "%lld:", (long long)id.number);
		for (size_t i = 0; i < record.len; i++)
			buf_printf(out, "%02x", (unsigned char)record.data[i]);
		buf_append_text(out, "\n");
	}
	view_walk_close(walk);
	view_close(view);
	assert_non_null(buf_text(out));
}

static void remove_data(const char *name)
{
	_cleanup_free_ char *path = shop_path(name);
	assert_int_equal(file_remove_tree(path, NULL), 0);
}

static void empty_spool(void)
{
	_cleanup_free_ char *path = shop_path("spool");
	assert_int_equal(file_remove_tree(path, NULL), 0);
	assert_int_equal(mkdir(path, 0777), 0);
}

/* --- by hand ---------------------------------------------------------------------------------------------------------- */

static void test_tables(void **state)
{
	(void)state;
	shop_open(RECEIPTS_SOURCE);
	assert_sql(ALL_ROWS, "");
	assert_sql(ALL_ACCOUNTS, "");
	assert_sql(ALL_QUARANTINE, "");
	collect_well();
	assert_sql(ALL_ROWS, "");
	shop_put("a.csv", RECEIPTS_HEADER "r1,1,5,1699981199,tea,2.00\nr1,2,5,1699981199,cake,13.00\n"
					  "r2,1,5,1699981200,tea,2.00\nr3,1,0,1699981200,tea,2.50\nbad\n");
	collect_well();
	assert_int_equal(sum.lines, 5);
	assert_sql(ALL_ROWS, "r1|1|order|5|tea|1.000|2.00|2.00|2023-11-14 16:59:59|till|2023-11-14\n"
			     "r1|2|order|5|cake|1.000|13.00|13.00|2023-11-14 16:59:59|till|2023-11-14\n"
			     "r2|1|order|5|tea|1.000|2.00|2.00|2023-11-14 17:00:00|till|2023-11-15\n"
			     "r3|1|order|tea|1.000|2.50|2.50|2023-11-14 17:00:00|till|2023-11-15\n");
	/* 1 point for 10.00 */
	assert_sql(ALL_ACCOUNTS, "5|2|2|17.00|1.700|1.700|2023-11-14 16:59:59|2023-11-14 17:00:00\n");
	assert_sql(ALL_QUARANTINE, "a.csv|6|column_count|bad\n");
	collect_well();
	assert_int_equal(sum.lines, 0);
	assert_sql("SELECT CAST(count(*) AS VARCHAR) FROM transactions_cln", "4\n");
}

/* What is durable in the journal is seen before the consumers have it, and once. */
static void test_the_tail(void **state)
{
	(void)state;
	shop_open(CLASSIC_SOURCE);
	shop_put("a.txt", "1|latte 70|1700000000\n");
	collect_well();
	shop_put("b.txt", "1|mocha 80|1700000001\nbad\n");
	struct journal *journal = NULL;
	struct intake *intake = NULL;
	unsigned failed = 0;
	assert_int_equal(journal_open(shop->journal_dir, &(const struct journal_options){.map_gib = 1}, &journal, NULL),
			 0);
	assert_int_equal(intake_open(shop, journal, &HOOKS, &intake, NULL), 0);
	assert_int_equal(intake_source(intake, &shop->config->sources[0], &failed, NULL), 0);
	intake_close(intake);
	journal_close(journal);
	const char *const rows = "a.txt:1|1|order|1|latte|1.000|70.00|70.00|2023-11-14 22:13:20|till|2023-11-15\n"
				 "b.txt:1|1|order|1|mocha|1.000|80.00|80.00|2023-11-14 22:13:21|till|2023-11-15\n";
	assert_sql(ALL_ROWS, rows);
	assert_sql(ALL_QUARANTINE, "b.txt|2|column_count|bad\n");
	assert_sql("SELECT CAST(orders AS VARCHAR) FROM accounts", "1\n");
	for (int i = 0; i < 2; i++) {
		struct error err = {0};
		if (collect_drain(shop, NULL, &err) < 0)
			fail_msg("%s", err.message);
		assert_sql(ALL_ROWS, rows);
		assert_sql(ALL_QUARANTINE, "b.txt|2|column_count|bad\n");
		assert_sql("SELECT CAST(orders AS VARCHAR) FROM accounts", "2\n");
	}
}

static void test_drain_of_nothing(void **state)
{
	(void)state;
	shop_open(CLASSIC_SOURCE);
	assert_int_equal(collect_drain(shop, NULL, NULL), 0);
	_cleanup_free_ char *file = shop_path("data/journal/data.mdb");
	assert_false(file_exists(file));
}

/* Lost accounts are made again: from the journal where it has all, else from the table. */
static void test_lost_view(void **state)
{
	(void)state;
	static const char *const RETENTION[] = {"", "journal: {retention_hours: 0}\n"};
	for (int trimmed = 0; trimmed < 2; trimmed++) {
		_cleanup_free_ char *config = text_printf("%s%s", RETENTION[trimmed], RECEIPTS_SOURCE);
		_cleanup_buf_ struct buf before = {0};
		_cleanup_buf_ struct buf after = {0};
		remove_data("data");
		shop_open(config);
		for (unsigned i = 0; i < 3; i++) {
			char name[16];
			_cleanup_free_ char *text =
				text_printf(RECEIPTS_HEADER "r%u,1,5,%u,tea,2.%02u\nr%u,2,5,%u,bun,1.00\nbad\n", i,
					    1700000000 + i * 50000, i, i, 1700000000 + i * 50000);
			snprintf(name, sizeof(name), "%d-%u.csv", trimmed, i);
			shop_put(name, text);
			collect_well();
		}
		read_all(&before);
		remove_data("data/view");
		/* Gone until a writer comes. */
		assert_sql(ALL_ACCOUNTS, "");
		collect_well();
		read_all(&after);
		assert_string_equal(before.data, after.data);
		remove_data("data/view");
		_cleanup_free_ char *more = text_printf(RECEIPTS_HEADER "m,1,6,1700000000,tea,9.00\n");
		shop_put(trimmed ? "1-more.csv" : "0-more.csv", more);
		collect_well();
		assert_sql("SELECT concat_ws('|', cust_id, orders) FROM accounts ORDER BY cust_id", "5|3\n6|1\n");
	}
}

/* A consumer that cannot go on stops the run with its message; the other has all, and the next run goes on. */
static void test_a_consumer_fails(void **state)
{
	(void)state;
	shop_open(CLASSIC_SOURCE);
	shop_put("a.txt", "1|latte 70|1700000000\n");
	collect_well();
	_cleanup_free_ char *staged = text_printf("%s/rows.parquet", shop->tmp_dir);
	assert_int_equal(mkdir(staged, 0777), 0);
	shop_put("b.txt", "1|latte 70|1700100000\nbad\n2|tea 30|1700000005\n");
	struct error err = {0};
	assert_true(collect(&err) < 0);
	assert_non_null(strstr(err.message, "writing the table transactions_cln"));
	assert_sql("SELECT concat_ws('|', cust_id, orders) FROM accounts ORDER BY cust_id", "1|2\n2|1\n");
	assert_sql("SELECT event_id FROM transactions_cln ORDER BY event_id", "a.txt:1\nb.txt:1\nb.txt:3\n");
	assert_int_equal(rmdir(staged), 0);
	collect_well();
	assert_sql("SELECT concat_ws('|', cust_id, orders) FROM accounts ORDER BY cust_id", "1|2\n2|1\n");
	assert_sql("SELECT event_id FROM transactions_cln ORDER BY event_id", "a.txt:1\nb.txt:1\nb.txt:3\n");
	assert_sql(ALL_QUARANTINE, "b.txt|2|column_count|bad\n");
}

/* The view cannot even be opened: what was begun ends well. */
static void test_a_consumer_does_not_start(void **state)
{
	(void)state;
	shop_open(CLASSIC_SOURCE);
	shop_put("a.txt", "1|latte 70|1700000000\n");
	_cleanup_free_ char *view = shop_path("data/view/data.mdb");
	assert_int_equal(file_make_dirs(shop->view_dir, NULL), 0);
	assert_int_equal(file_write_durable(view, "no LMDB file", 12, NULL), 0);
	struct error err = {0};
	assert_int_equal(collect(&err), ERROR_CORRUPT);
	assert_non_null(strstr(err.message, "data/view"));
	assert_true(spool_has("a.txt"));
	remove_data("data/view");
	collect_well();
	assert_sql("SELECT concat_ws('|', cust_id, orders) FROM accounts", "1|1\n");
}

/* --- accounts that are mended ------------------------------------------------------------------------------------------ */

#define EVENT_HEAD(kind, id, customer, time) \
	"{\"kind\":\"" kind "\",\"event_id\":\"" id "\",\"customer\":" customer ",\"time\":" time
#define ORDER(id, customer, time, amount) \
	EVENT_HEAD("order", id, customer, time) ",\"lines\":[{\"menu\":\"mocha\",\"amount\":" amount "}]}\n"
#define REFUND(id, customer, time, order, amount) \
	EVENT_HEAD("refund", id, customer, time) ",\"order\":\"" order "\",\"amount\":" amount "}\n"

/* The table writer cannot write while there is a directory where it stages. */
static char *break_the_table(void)
{
	char *const staged = text_printf("%s/rows.parquet", shop->tmp_dir);
	assert_int_equal(mkdir(staged, 0777), 0);
	return staged;
}

/* An event older than what is open marks the account, in the transaction of its batch; when the table has it too, the account is
 * made again out of the whole history. */
static void test_a_late_event(void **state)
{
	(void)state;
	static const char others[] = ORDER("x1", "2", "1700000000", "10") ORDER("x2", "3", "1700000000", "10")
		ORDER("x3", "4", "1700000000", "10") ORDER("x4", "5", "1700000000", "10");
	_cleanup_buf_ struct buf mended = {0};
	_cleanup_buf_ struct buf again = {0};
	for (int with_others = 0; with_others < 2; with_others++) {
		remove_data("data");
		empty_spool();
		shop_write("programme.yaml", FULL_PROGRAMME, strlen(FULL_PROGRAMME));
		shop_open(EVENTS_SOURCE);
		/* Of two days: the first is older than five days before the second, and settled. */
		shop_put("a.json", ORDER("a", "1", "1700000000", "100") ORDER("b", "1", "1701000000", "50"));
		shop_put("o.json", with_others ? others : "");
		collect_well();
		read_records(0, &again);
		shop_put("c.json", ORDER("late", "1", "1699999999", "30"));
		_cleanup_free_ char *staged = break_the_table();
		assert_true(collect(NULL) < 0);
		read_records(1, &mended);
		assert_sql("SELECT concat_ws('|', orders, spend) FROM accounts WHERE cust_id = 1", "2|150.00\n");
		assert_int_equal(rmdir(staged), 0);
		collect_well();
		read_records(0, &mended);
		assert_sql("SELECT concat_ws('|', orders, spend, first_order) FROM accounts WHERE cust_id = 1",
			   "3|180.00|2023-11-14 22:13:19\n");
		remove_data("data/view");
		collect_well();
		read_records(0, &again);
		assert_string_equal(mended.data, again.data);
	}
}

static void collect_interrupted(void)
{
	struct error err = {0};
	asked_to_stop = true;
	assert_int_equal(collect(&err), ERROR_INTERRUPTED);
	asked_to_stop = false;
}

/* Who is asked to stop does not make accounts again: what is marked stays so, and the view as it was. */
static void test_mending_is_interrupted(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf before = {0};
	_cleanup_buf_ struct buf after = {0};
	shop_write("programme.yaml", FULL_PROGRAMME, strlen(FULL_PROGRAMME));
	shop_open(EVENTS_SOURCE);
	shop_put("a.json", ORDER("a", "1", "1700000000", "100") ORDER("b", "1", "1701000000", "50"));
	collect_well();
	shop_put("c.json", ORDER("late", "1", "1699999999", "30"));
	_cleanup_free_ char *staged = break_the_table();
	assert_true(collect(NULL) < 0);
	assert_int_equal(rmdir(staged), 0);
	read_records(1, &before);
	collect_interrupted();
	read_records(1, &after);
	assert_string_equal(before.data, after.data);
	/* The table has the late event now, and the view is another block's: it is not mended by an offset that is not its own. */
	struct view *view = NULL;
	struct error err = {0};
	uint64_t n = 77;
	uint64_t offset = 0;
	if (view_writer_open_view(shop, false, &view, &err) < 0 || view_read_begin(view, &err) < 0 ||
	    view_offset(view, &offset, &err) < 0)
		fail_msg("%s", err.message);
	view_read_end(view);
	const struct view_mend_stop never = {0};
	/* Two rows of before, and the late one. */
	struct history_journal journal = {.offset = offset - 1, .next = offset + 1, .rows = 3};
	assert_int_equal(view_mend_marked(view, shop, &journal, &never, &n, &err), ERROR_IO);
	assert_non_null(strstr(err.message, "run `punchcard collect --once` again"));
	assert_int_equal(n, 77);
	journal.offset = offset;
	journal.rows++;
	assert_int_equal(view_mend_marked(view, shop, &journal, &never, &n, &err), ERROR_CORRUPT);
	assert_non_null(strstr(err.message, "1 rows fewer than the journal counts"));
	assert_int_equal(n, 77);
	journal.rows--;
	assert_int_equal(view_mend_marked(view, shop, &journal, &never, &n, &err), 0);
	assert_int_equal(n, 1);
	view_close(view);
	read_records(0, &after);
	/* Another programme. */
	read_records(0, &before);
	shop_write("programme.yaml",
		   "version: 1\nname: Other\ncurrency: THB\ntimezone: UTC\n"
		   "earn: [{per_amount: {points: 3, per: 1}}]\n",
		   strlen("version: 1\nname: Other\ncurrency: THB\ntimezone: UTC\n"
			  "earn: [{per_amount: {points: 3, per: 1}}]\n"));
	shop_open(EVENTS_SOURCE);
	collect_interrupted();
	read_records(0, &after);
	assert_string_equal(before.data, after.data);
	collect_well();
	assert_sql("SELECT concat_ws('|', orders, points) FROM accounts", "3|540.000\n");
}

/* More events of one customer in a batch than are added at once, and refunds of the first of them. */
static void test_a_large_batch_of_one_customer(void **state)
{
	(void)state;
	enum { N = 3000 };
	_cleanup_buf_ struct buf text = {0};
	_cleanup_buf_ struct buf have = {0};
	_cleanup_buf_ struct buf again = {0};
	for (int i = 0; i < N; i++)
		assert_int_equal(buf_printf(&text,
					    "{\"kind\":\"order\",\"event_id\":\"o%d\",\"customer\":1,\"time\":%d,"
					    "\"lines\":[{\"menu\":\"tea\",\"amount\":1.00}]}\n"
					    "{\"kind\":\"refund\",\"event_id\":\"r%d\",\"customer\":1,\"time\":%d,"
					    "\"order\":\"o%d\",\"amount\":0.01}\n",
					    i, 1700000000 + i, i, 1700000000 + i, i / 2),
				 0);
	shop_write("programme.yaml", FULL_PROGRAMME, strlen(FULL_PROGRAMME));
	shop_open(EVENTS_SOURCE);
	shop_put_bytes("a.json", text.data, text.len);
	collect_well();
	assert_int_equal(sum.events, 2 * N);
	read_records(0, &have);
	assert_sql("SELECT concat_ws('|', orders, spend, events, rejected) FROM accounts", "3000|2970.00|6000|0\n");
	remove_data("data/view");
	collect_well();
	read_records(0, &again);
	assert_string_equal(have.data, again.data);
}

/* What editors leave in files: a byte order mark, and lines of blanks. */
static void test_blanks_between_events(void **state)
{
	(void)state;
	shop_open(EVENTS_SOURCE);
	shop_put("a.json", "\xEF\xBB\xBF" ORDER("a", "1", "1700000000",
						"100") "   \n\t\r\n\n \t" ORDER("b", "1", "1700000001", "50") " ");
	collect_well();
	assert_int_equal(sum.events, 2);
	assert_int_equal(sum.quarantined, 0);
	assert_int_equal(sum.lines, 2);
	/* Elsewhere a mark is no blank. */
	shop_put("b.json", ORDER("c", "1", "1700000002", "10") "\xEF\xBB\xBF\n");
	collect_well();
	assert_sql(ALL_QUARANTINE, "b.json|2|json|\xEF\xBB\xBF\n");
}

/* Scans of one statement run on several threads, in one read transaction. */
static void test_scans_at_once(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf text = {0};
	for (int i = 1; i <= 5000; i++)
		assert_int_equal(buf_printf(&text, "%d|latte 70|%d\n", i, 1700000000 + i), 0);
	shop_open(CLASSIC_SOURCE);
	shop_put_bytes("a.txt", text.data, text.len);
	collect_well();
	assert_sql("SELECT CAST(count(*) AS VARCHAR) || '|' || CAST(sum(n) AS VARCHAR) FROM (SELECT orders AS n FROM "
		   "accounts "
		   "UNION ALL SELECT 2 FROM account_balances UNION ALL SELECT orders FROM accounts)",
		   "15000|20000\n");
	assert_sql("SELECT CAST(count(*) AS VARCHAR) FROM accounts AS a JOIN account_balances AS b ON a.cust_id = "
		   "b.cust_id",
		   "5000\n");
}

/* A refund of an order that is settled needs the whole history, too; and so does one that comes long before its order. */
static void test_a_late_refund(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf mended = {0};
	_cleanup_buf_ struct buf again = {0};
	shop_write("programme.yaml", FULL_PROGRAMME, strlen(FULL_PROGRAMME));
	shop_open(EVENTS_SOURCE);
	shop_put("a.json", REFUND("r2", "1", "1701000100", "o2", "20") ORDER("o1", "1", "1700000000", "100"));
	collect_well();
	assert_sql("SELECT concat_ws('|', orders, spend, rejected) FROM accounts", "1|100.00|1\n");
	shop_put("b.json", ORDER("o3", "1", "1702000000", "50") REFUND("r1", "1", "1702000001", "o1", "40"));
	collect_well();
	assert_sql("SELECT concat_ws('|', orders, spend, rejected) FROM accounts", "2|110.00|1\n");
	shop_put("c.json", ORDER("o2", "1", "1700500000", "25"));
	collect_well();
	assert_sql("SELECT concat_ws('|', orders, spend, rejected) FROM accounts", "3|115.00|0\n");
	read_records(0, &mended);
	remove_data("data/view");
	collect_well();
	read_records(0, &again);
	assert_string_equal(mended.data, again.data);
}

/* Another programme holds for the whole history; until the next collect the accounts serve as they are. */
static void test_a_changed_programme(void **state)
{
	(void)state;
	static const char POINTS[] = "SELECT concat_ws('|', a.cust_id, tier, a.points, b.ledger, b.balance) FROM "
				     "accounts AS a JOIN account_balances "
				     "AS b ON b.cust_id = a.cust_id ORDER BY a.cust_id, b.ledger";
	static const char *const OTHER =
		"version: 1\nname: Other\ncurrency: THB\ntimezone: UTC\nledgers: [{name: stars}]\n"
		"earn: [{per_amount: {points: 3, per: 1}}]\n";
	static const char *const NO_POINTS = "version: 1\nname: Full\ncurrency: THB\ntimezone: Asia/Bangkok\n"
					     "ledgers: [{name: points}, {name: stamps, expiry: {inactivity: 1200}}]\n"
					     "earn: [{per_amount: {points: 1, per: 10}},"
					     " {ledger: stamps, per_item: {points: 1, items: [mocha]}}]\n";
	_cleanup_buf_ struct buf before = {0};
	_cleanup_buf_ struct buf after = {0};
	shop_write("programme.yaml", NO_POINTS, strlen(NO_POINTS));
	shop_open(EVENTS_SOURCE);
	shop_put("a.json", ORDER("a", "1", "1700000000", "100") ORDER("b", "2", "1700000000", "30"));
	collect_well();
	read_records(0, &before);
	assert_sql(POINTS,
		   "1|10.000|points|10.000\n1|10.000|stamps|1.000\n2|3.000|points|3.000\n2|3.000|stamps|1.000\n");
	shop_write("programme.yaml", OTHER, strlen(OTHER));
	shop_open(EVENTS_SOURCE);
	assert_sql(POINTS,
		   "1|10.000|points|10.000\n1|10.000|stamps|1.000\n2|3.000|points|3.000\n2|3.000|stamps|1.000\n");
	struct error err = {0};
	if (collect_drain(shop, NULL, &err) < 0)
		fail_msg("%s", err.message);
	assert_sql(POINTS, "1|300.000|stars|300.000\n2|90.000|stars|90.000\n");
	shop_write("programme.yaml", NO_POINTS, strlen(NO_POINTS));
	shop_open(EVENTS_SOURCE);
	collect_well();
	read_records(0, &after);
	assert_string_equal(before.data, after.data);
}

/* --- any files -------------------------------------------------------------------------------------------------------- */

#define ORDERS_MAX 120u

struct made_order {
	unsigned id;
	unsigned customer; /* 0: guest */
	unsigned time_s;
	unsigned n_lines;
	unsigned amounts[4];
};

static void print_order(struct buf *out, const struct made_order *order)
{
	for (unsigned i = 0; i < order->n_lines; i++)
		buf_printf(out, "r%u,%u,%u,%u,item %u,%u.%02u\n", order->id, i + 1, order->customer, order->time_s,
			   order->amounts[i] % 5, order->amounts[i] / 100, order->amounts[i] % 100);
}

static void put_file(const char *name, struct buf *text)
{
	shop_put(name, buf_text(text));
	buf_clear(text);
	buf_append_text(text, RECEIPTS_HEADER);
}

static void test_any_order_of_arrival(void **state)
{
	(void)state;
	const char *const text_seed = getenv("PUNCHCARD_SEED");
	const uint64_t first_seed = text_seed ? strtoull(text_seed, NULL, 10) : 1;
	static struct made_order orders[ORDERS_MAX];
	static unsigned sent[ORDERS_MAX * 2];
	_cleanup_buf_ struct buf expected = {0};
	_cleanup_buf_ struct buf have = {0};
	_cleanup_buf_ struct buf text = {0};
	for (uint64_t seed = first_seed; seed < first_seed + 6; seed++) {
		struct random random;
		random_init(&random, seed);
		const unsigned n = 1 + (unsigned)random_below(&random, ORDERS_MAX);
		for (unsigned i = 0; i < n; i++) {
			struct made_order *const o = &orders[i];
			o->id = i;
			o->customer = (unsigned)random_below(&random, 12);
			o->time_s = 1600000000 + (unsigned)random_below(&random, 40 * 86400);
			o->n_lines = 1 + (unsigned)random_below(&random, 4);
			for (unsigned k = 0; k < o->n_lines; k++)
				o->amounts[k] = (unsigned)random_below(&random, 5000);
			sent[i] = i;
		}
		/* At once. */
		remove_data("data");
		empty_spool();
		shop_open(RECEIPTS_SOURCE);
		buf_clear(&text);
		buf_append_text(&text, RECEIPTS_HEADER);
		for (unsigned i = 0; i < n; i++)
			print_order(&text, &orders[i]);
		put_file("all.csv", &text);
		collect_well();
		read_all(&expected);

		/* Shuffled, with duplicates, in many files and runs, and now and then the view is lost. */
		unsigned n_sent = n;
		while (random_below(&random, 20) && n_sent < 2 * n)
			sent[n_sent++] = (unsigned)random_below(&random, n);
		for (unsigned i = n_sent; i > 1; i--) {
			const unsigned j = (unsigned)random_below(&random, i);
			const unsigned swap = sent[i - 1];
			sent[i - 1] = sent[j];
			sent[j] = swap;
		}
		remove_data("data");
		empty_spool();
		shop_open(random_below(&random, 2) ? RECEIPTS_SOURCE
						   : "journal: {retention_hours: 0}\n" RECEIPTS_SOURCE);
		uint64_t lines = 0;
		uint64_t rows = 0;
		uint64_t events = 0;
		for (unsigned i = 0; i < n_sent; i++) {
			char name[32];
			print_order(&text, &orders[sent[i]]);
			if (i + 1 < n_sent && random_below(&random, 6))
				continue;
			/* Neither sorted by time nor by name. */
			snprintf(name, sizeof(name), "%04x-%u.csv", (unsigned)random_below(&random, 65536), i);
			put_file(name, &text);
			if (i + 1 < n_sent && random_below(&random, 4))
				continue;
			collect_well();
			lines += sum.lines;
			rows += sum.rows;
			events += sum.events;
			assert_int_equal(sum.quarantined, 0);
			if (random_below(&random, 5) == 0)
				remove_data("data/view");
		}
		collect_well();
		assert_int_equal(events, n);
		assert_true(lines >= rows);
		read_all(&have);
		if (strcmp(have.data, expected.data) != 0)
			fail_msg("not the same: PUNCHCARD_SEED=%llu", (unsigned long long)seed);
	}
}

/* --- any events ------------------------------------------------------------------------------------------------------- */

static void print_event(struct buf *out, struct random *random, unsigned id)
{
	/* Within 40 days; most refunds name an order of that customer, by the numbers. */
	const unsigned customer = 1 + (unsigned)random_below(random, 6);
	const unsigned time_s = 1700000000 + id / 6 * 86400 / 3 + (unsigned)random_below(random, 3 * 86400);
	const char *const kinds[] = {"order", "order", "order", "refund", "redeem", "adjust"};
	const char *const kind = kinds[random_below(random, 6)];
	buf_printf(out, "{\"event_id\":\"%s-%u-%u\",\"kind\":\"%s\",\"customer\":%u,\"time\":%u", kind, customer, id,
		   kind, customer, time_s);
	if (strcmp(kind, "order") == 0) {
		buf_append_text(out, ",\"lines\":[");
		const unsigned n = 1 + (unsigned)random_below(random, 3);
		for (unsigned i = 0; i < n; i++)
			buf_printf(out, "%s{\"menu\":\"%s\",\"amount\":%u.%02u}", i ? "," : "",
				   (const char *const[]){"mocha", "tea", "card"}[random_below(random, 3)],
				   (unsigned)random_below(random, 90), (unsigned)random_below(random, 100));
		buf_append_text(out, "]}\n");
	} else if (strcmp(kind, "refund") == 0) {
		buf_printf(out, ",\"order\":\"order-%u-%u\",\"amount\":%u.%02u}\n", customer,
			   (unsigned)random_below(random, id + 3), (unsigned)random_below(random, 20),
			   1 + (unsigned)random_below(random, 99));
	} else if (strcmp(kind, "redeem") == 0) {
		if (random_below(random, 2))
			buf_append_text(out, ",\"reward\":\"coffee\"}\n");
		else
			buf_printf(out, ",\"points\":%u.5,\"ledger\":\"points\",\"accepted\":%s}\n",
				   (unsigned)random_below(random, 9), random_below(random, 4) ? "true" : "false");
	} else {
		buf_printf(out, ",\"points\":%s%u.25,\"reason\":\"because\"}\n", random_below(random, 2) ? "-" : "",
			   (unsigned)random_below(random, 5));
	}
}

/* Events of all kinds, in whatever order and however often they come: when a collect has ended, the records are those of a view
 * that is made from scratch, byte for byte. */
static void test_any_events(void **state)
{
	(void)state;
	const char *const text_seed = getenv("PUNCHCARD_SEED");
	const uint64_t first_seed = text_seed ? strtoull(text_seed, NULL, 10) : 1;
	static size_t ends[ORDERS_MAX + 1];
	_cleanup_buf_ struct buf events = {0};
	_cleanup_buf_ struct buf text = {0};
	_cleanup_buf_ struct buf have = {0};
	_cleanup_buf_ struct buf scratch = {0};
	for (uint64_t seed = first_seed; seed < first_seed + 8; seed++) {
		struct random random;
		random_init(&random, seed);
		const unsigned n = 20 + (unsigned)random_below(&random, ORDERS_MAX - 20);
		buf_clear(&events);
		for (unsigned i = 0; i < n; i++) {
			print_event(&events, &random, i);
			ends[i + 1] = events.len;
		}
		remove_data("data");
		empty_spool();
		shop_write("programme.yaml", FULL_PROGRAMME, strlen(FULL_PROGRAMME));
		shop_open(random_below(&random, 2) ? EVENTS_SOURCE : "journal: {retention_hours: 0}\n" EVENTS_SOURCE);
		/* Each event is sent once, near its place or anywhere; some are sent again. */
		const unsigned reach = 1 + (unsigned)random_below(&random, random_below(&random, 2) ? 4 : n);
		uint64_t taken = 0;
		for (unsigned i = 0; i < n; i++) {
			char name[32];
			const unsigned other = i + (unsigned)random_below(&random, i + reach < n ? reach : n - i);
			for (unsigned k = 0; k < 2; k++) {
				const unsigned event = k ? i : other;
				buf_append(&text, events.data + ends[event], ends[event + 1] - ends[event]);
			}
			if (i + 1 < n && random_below(&random, 9))
				continue;
			snprintf(name, sizeof(name), "%04x-%u.json", (unsigned)random_below(&random, 65536), i);
			shop_put(name, buf_text(&text));
			buf_clear(&text);
			if (i + 1 < n && random_below(&random, 3))
				continue;
			collect_well();
			taken += sum.events;
			assert_int_equal(sum.quarantined, 0);
			if (random_below(&random, 6) == 0)
				remove_data("data/view");
		}
		collect_well();
		assert_int_equal(taken, n);
		read_records(0, &have);
		remove_data("data/view");
		collect_well();
		read_records(0, &scratch);
		if (strcmp(have.data, scratch.data) != 0)
			fail_msg("not the same: PUNCHCARD_SEED=%llu", (unsigned long long)seed);
	}
}

/* --- readers beside a writer ------------------------------------------------------------------------------------------ */

#define LINES_A_FILE 3000u
#define FILES        8u

/* A process of its own, as it is in life: LMDB must not be opened twice in one. It is this program again, in collect_beside. */
static pid_t start_collecting(void)
{
	pid_t pid;
	char program[] = "/proc/self/exe";
	char *const arguments[] = {program, shop_dir, NULL};
	assert_int_equal(posix_spawn(&pid, program, NULL, NULL, arguments, environ), 0);
	return pid;
}

/* The collector's lock is the test's, so this is one with the other. */
static int collect_beside(const char *dir)
{
	unsigned failed = 0;
	struct error err = {0};
	int rc = deployment_open(dir, DEPLOYMENT_WRITE, "collect", &shop, &err);
	if (rc == 0)
		shop->mode = DEPLOYMENT_COLLECT;
	if (rc == 0)
		rc = collect_once(shop, NULL, &HOOKS, &failed, &err);
	if (rc < 0)
		fprintf(stderr, "%s\n", err.message);
	deployment_close(shop);
	return rc < 0 || failed ? 1 : 0;
}

/* Each row once, at any moment: none is seen both in a file and in the journal's tail, and none is in neither. */
static void test_reading_while_collecting(void **state)
{
	(void)state;
	shop_open("journal: {retention_hours: 0}\n" CLASSIC_SOURCE);
	int64_t least = 0;
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned f = 0; f < FILES; f++) {
			_cleanup_buf_ struct buf text = {0};
			char name[32];
			for (unsigned i = 0; i < LINES_A_FILE; i++)
				buf_printf(&text, "%u|latte 70|%u\n", i % 50 + 1, 1700000000 + i * 60 + f);
			snprintf(name, sizeof(name), "%u-%u.txt", round, f);
			shop_put(name, buf_text(&text));
		}
		const pid_t writer = start_collecting();
		int status = -1;
		bool last;
		do {
			last = waitpid(writer, &status, WNOHANG) == writer;
			struct opened o;
			open_tables(&o);
			const int64_t n = count(&o, "SELECT count(*) FROM transactions_cln");
			assert_int_equal(count(&o, "SELECT count(*) FROM transactions_cln"), n); /* one moment */
			assert_int_equal(count(&o, "SELECT count(DISTINCT event_id) FROM transactions_cln"), n);
			assert_true(n >= least && n % LINES_A_FILE == 0);
			assert_true(count(&o, "SELECT CAST(coalesce(sum(orders), 0) AS BIGINT) FROM accounts") <=
				    (int64_t)(round + 1) * FILES * LINES_A_FILE);
			close_tables(&o);
			least = n;
		} while (!last);
		assert_int_equal(status, 0);
		assert_int_equal(least, (round + 1) * FILES * LINES_A_FILE);
	}
}

int main(int argc, char **argv)
{
	if (argc == 2)
		return collect_beside(argv[1]);
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_shop, remove_shop)
	const struct CMUnitTest tests[] = {
		TEST(test_tables),
		TEST(test_the_tail),
		TEST(test_drain_of_nothing),
		TEST(test_lost_view),
		TEST(test_a_consumer_fails),
		TEST(test_a_consumer_does_not_start),
		TEST(test_mending_is_interrupted),
		TEST(test_a_large_batch_of_one_customer),
		TEST(test_blanks_between_events),
		TEST(test_scans_at_once),
		TEST(test_a_late_event),
		TEST(test_a_late_refund),
		TEST(test_a_changed_programme),
		TEST(test_any_order_of_arrival),
		TEST(test_any_events),
		TEST(test_reading_while_collecting),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
