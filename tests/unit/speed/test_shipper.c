/* Shippers: every event once on the other side, wherever it broke off, and whatever answer was lost. */
#include "speed/shipper.h"

#include "../../conformance/warehouse_faulty.h"
#include "../store/faulty_cells.h"
#include "base/random.h"
#include "engine/engine.h"
#include "journal_shop.h"
#include "store/block.h"
#include "store/cluster_view.h"

static char lake_dir[128];

#define T0  INT64_C(1700000000000000) /* 2023-11-14 22:13:20, the 15th in the template's Asia/Bangkok */
#define DAY INT64_C(86400000000)

static int open_shop(void **state)
{
	if (open_journal_shop(state) < 0)
		return -1;
	snprintf(lake_dir, sizeof(lake_dir), "%s/lake", shop_base);
	return 0;
}

/* One order each, of customers first, first + 1 …, the i-th i days after T0; and a line that was set aside. */
static void add_block(const char *source, int64_t first, unsigned n)
{
	struct block_writer w = {0};
	const struct order_line line = {
		.menu = SLICE("latte"), .qty_milli = 1000, .price_minor = 7000, .amount_minor = 7000};
	assert_int_equal(block_writer_begin(&w, slice_of(source), T0), 0);
	assert_int_equal(block_writer_file(&w, SLICE("f.txt")), 0);
	for (unsigned i = 0; i < n; i++) {
		char id[32];
		struct event event;
		snprintf(id, sizeof(id), "%s-%lld", source, (long long)first + i);
		event_init(&event, EVENT_ORDER);
		event.id = slice_of(id);
		event.customer.number = first + i;
		event.time_us = T0 + (int64_t)i * DAY;
		event.lines = &line;
		event.n_lines = 1;
		assert_int_equal(block_writer_event(&w, &event, false, i + 1), 0);
	}
	assert_int_equal(block_writer_quarantined(&w, n + 1, REASON_PRICE, SLICE("1|x|y"), T0), 0);
	append_block(&w);
}

static struct warehouse *open_lake(void)
{
	struct warehouse *warehouse = NULL;
	struct error err = {0};
	if (warehouse_open_local(&(struct warehouse_local_options){.root = lake_dir, .writer = "e1"}, &warehouse,
				 &err) < 0)
		fail_msg("%s", err.message);
	return warehouse;
}

static struct ship_target target_of(struct warehouse *warehouse, uint64_t bytes)
{
	return (struct ship_target){.deployment = shop, .warehouse = warehouse, .edge = "e1", .shipment_bytes = bytes};
}

static struct shipper *open_shipper(const struct shipper_driver *driver, const struct ship_target *target)
{
	struct shipper *shipper = NULL;
	struct error err = {0};
	if (shipper_open(driver, target, journal, &shipper, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(journal_reader_renew(reader, NULL), 0);
	return shipper;
}

static void write_all(struct shipper *shipper, uint64_t next)
{
	struct error err = {0};
	assert_int_equal(journal_reader_renew(reader, NULL), 0);
	if (shipper_write(shipper, reader, next, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(shipper_offset(shipper), next);
}

static bool in_lake(const char *name)
{
	_cleanup_free_ char *path = text_printf("%s/%s", lake_dir, name);
	assert_non_null(path);
	return file_exists(path);
}

static uint64_t pinned(void)
{
	uint64_t first = 0;
	assert_int_equal(journal_reader_renew(reader, NULL), 0);
	assert_int_equal(shippers_pinned(reader, &first, NULL), 0);
	return first;
}

/* The one number that SQL gives of files below the lake. */
static int64_t count(const char *sql)
{
	struct engine *engine = NULL;
	struct error err = {0};
	_cleanup_buf_ struct buf text = {0};
	assert_int_equal(engine_open(&(struct engine_options){.memory_mib = 256, .threads = 1}, &engine, NULL), 0);
	for (const char *at = sql; *at; at++)
		assert_int_equal(*at == '@' ? buf_append_text(&text, lake_dir) : buf_append(&text, at, 1), 0);
	int64_t value = -1;
	if (engine_run_int64(engine, buf_text(&text), &value, &err) < 0)
		fail_msg("%s", err.message);
	engine_close(engine);
	return value;
}

static void test_table(void **state)
{
	(void)state;
	struct warehouse *const lake = open_lake();
	const struct ship_target target = target_of(lake, 1 << 20);
	assert_int_equal(pinned(), UINT64_MAX);
	struct shipper *shipper = open_shipper(&ship_table, &target);
	assert_int_equal(shipper_offset(shipper), 1);
	assert_int_equal(pinned(), 1);
	add_block("till", 1, 2);
	add_block("web", 11, 1);
	write_all(shipper, 3);
	assert_int_equal(pinned(), 3);
	assert_true(
		in_lake("warehouse/transactions_cln/data_dt=2023-11-15/orders-e1-000000000001-000000000002.parquet"));
	assert_true(
		in_lake("warehouse/transactions_cln/data_dt=2023-11-16/orders-e1-000000000001-000000000002.parquet"));
	assert_true(in_lake("quarantine/orders-e1-000000000001-000000000002.parquet"));
	assert_true(in_lake("edges/e1/hdfs-table-000000000003"));
	assert_int_equal(count("SELECT count(*) FROM '@/warehouse/transactions_cln/*/*.parquet'"), 3);
	shipper_close(shipper);
	/* It goes on where it was. */
	shipper = open_shipper(&ship_table, &target);
	assert_int_equal(shipper_offset(shipper), 3);
	add_block("till", 21, 1);
	write_all(shipper, 4);
	assert_false(in_lake("edges/e1/hdfs-table-000000000003"));
	assert_true(in_lake("edges/e1/hdfs-table-000000000004"));
	assert_int_equal(count("SELECT count(*) FROM '@/warehouse/transactions_cln/*/*.parquet'"), 4);
	assert_int_equal(count("SELECT count(*) FROM '@/quarantine/*.parquet'"), 3);
	shipper_close(shipper);
	warehouse_close(lake);
}

static void test_raw(void **state)
{
	(void)state;
	struct warehouse *const lake = open_lake();
	const struct ship_target target = target_of(lake, 1 << 20);
	struct shipper *const shipper = open_shipper(&ship_raw, &target);
	add_block("till", 1, 2);
	add_block("web", 11, 1);
	write_all(shipper, 3);
	_cleanup_buf_ struct buf text = {0};
	assert_int_equal(warehouse_read_all(lake, "transactions/source=till/events-e1-000000000001-000000000002.ndjson",
					    10000, &text, NULL),
			 0);
	assert_string_equal(
		buf_text(&text),
		"{\"event_id\":\"till-1\",\"kind\":\"order\",\"customer\":1,\"time\":\"2023-11-14T22:13:20Z\","
		"\"lines\":[{\"menu\":\"latte\",\"qty\":1.000,\"price\":70.00,\"amount\":70.00}]}\n"
		"{\"event_id\":\"till-2\",\"kind\":\"order\",\"customer\":2,\"time\":\"2023-11-15T22:13:20Z\","
		"\"lines\":[{\"menu\":\"latte\",\"qty\":1.000,\"price\":70.00,\"amount\":70.00}]}\n");
	assert_true(in_lake("transactions/source=web/events-e1-000000000001-000000000002.ndjson"));
	shipper_close(shipper);
	warehouse_close(lake);
}

static const char *const GZIPPED = "transactions/source=till/events-e1-000000000001-000000000002.ndjson.gz";

static void read_gzipped(struct warehouse *lake, struct buf *out)
{
	struct error err = {0};
	if (warehouse_read_all(lake, GZIPPED, 10000, out, &err) < 0)
		fail_msg("%s", err.message);
}

/* Compressed: the same bytes each time; and what an earlier try left under the other name goes. */
static void test_raw_gzip(void **state)
{
	(void)state;
	struct warehouse *const lake = open_lake();
	const struct ship_target target = target_of(lake, 1 << 20);
	_cleanup_buf_ struct buf once = {0};
	_cleanup_buf_ struct buf again = {0};
	struct error err = {0};
	shop->config->cluster.hdfs_raw = CLUSTER_RAW_GZIP;
	struct shipper *const shipper = open_shipper(&ship_raw, &target);
	add_block("till", 1, 2);
	add_block("till", 11, 1);
	const char *const plain = "transactions/source=till/events-e1-000000000001-000000000002.ndjson";
	assert_int_equal(warehouse_put_bytes(lake, plain, SLICE("{}"), NULL), 0);
	shipper->again = true;
	write_all(shipper, 3);
	assert_false(in_lake(plain));
	assert_int_equal(count("SELECT count(*) FROM read_json('@/transactions/*/*.ndjson.gz')"), 3);
	read_gzipped(lake, &once);
	assert_int_equal(warehouse_remove(lake, GZIPPED, NULL), 0);
	assert_int_equal(ship_raw.ship(shipper, reader, 1, 3, &err), 0);
	read_gzipped(lake, &again);
	assert_true(slice_equal((struct slice){once.data, once.len}, (struct slice){again.data, again.len}));
	shipper_close(shipper);
	warehouse_close(lake);
}

/* A large backlog is several shipments, none of them much over the size. */
static void test_sizes(void **state)
{
	(void)state;
	struct warehouse *const lake = open_lake();
	for (int i = 0; i < 6; i++)
		add_block("till", i * 100, 50);
	struct slice block;
	assert_int_equal(journal_reader_block(reader, 1, &block, NULL), 0);
	struct ship_target target = target_of(lake, block.len * 2 * ship_raw.percent / 100);
	struct shipper *const shipper = open_shipper(&ship_raw, &target);
	write_all(shipper, 7);
	assert_true(in_lake("transactions/source=till/events-e1-000000000001-000000000002.ndjson"));
	assert_true(in_lake("transactions/source=till/events-e1-000000000003-000000000004.ndjson"));
	assert_true(in_lake("transactions/source=till/events-e1-000000000005-000000000006.ndjson"));
	shipper_close(shipper);
	warehouse_close(lake);
}

/* What was begun is ended as it was begun, whatever came since and however large a shipment may be now. */
static void test_plan(void **state)
{
	(void)state;
	struct warehouse *lake = warehouse_faulty(open_lake(), 1, 1);
	struct ship_target target = target_of(lake, 1 << 20);
	struct shipper *shipper = open_shipper(&ship_table, &target);
	struct error err = {0};
	add_block("till", 1, 1);
	add_block("till", 2, 1);
	shipper->checked = true; /* and then nothing works */
	assert_int_equal(shipper_write(shipper, reader, 3, &err), ERROR_AWAY);
	assert_int_equal(shipper_offset(shipper), 1);
	shipper_close(shipper);
	warehouse_close(lake);
	lake = open_lake();
	target = target_of(lake, 1);
	/* The earlier try was by another time zone, by which they are of another day. */
	const char *const stray =
		"warehouse/transactions_cln/data_dt=2023-11-14/orders-e1-000000000001-000000000002.parquet";
	assert_int_equal(warehouse_put_bytes(lake, stray, SLICE("x"), NULL), 0);
	add_block("till", 3, 1);
	shipper = open_shipper(&ship_table, &target);
	write_all(shipper, 4);
	assert_true(
		in_lake("warehouse/transactions_cln/data_dt=2023-11-15/orders-e1-000000000001-000000000002.parquet"));
	assert_true(
		in_lake("warehouse/transactions_cln/data_dt=2023-11-15/orders-e1-000000000003-000000000003.parquet"));
	assert_int_equal(count("SELECT count(DISTINCT event_id) FROM '@/warehouse/transactions_cln/*/*.parquet'"), 3);
	assert_int_equal(count("SELECT count(*) FROM '@/warehouse/transactions_cln/*/*.parquet'"), 3);
	shipper_close(shipper);
	warehouse_close(lake);
}

/* Over a warehouse that fails in all ways, with the shipper opened anew now and then: each event once. */
static void test_faults(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 6; seed++) {
		struct random random;
		random_init(&random, seed);
		struct warehouse *const lake = warehouse_faulty(open_lake(), seed, 4);
		const struct ship_target target = target_of(lake, 1 + random_below(&random, 2000));
		const struct shipper_driver *const drivers[] = {&ship_table, &ship_raw};
		struct shipper *shippers[2] = {open_shipper(drivers[0], &target), open_shipper(drivers[1], &target)};
		uint64_t next = shipper_offset(shippers[0]);
		int64_t n_events = 0;
		for (unsigned step = 0;
		     step < 24 || shipper_offset(shippers[0]) < next || shipper_offset(shippers[1]) < next; step++) {
			assert_true(step < 2000);
			if (step < 12) {
				const unsigned n = 1 + (unsigned)random_below(&random, 4);
				add_block(step % 2 ? "till" : "web", (int64_t)(seed * 1000 + step * 10), n);
				n_events += n;
				next++;
			}
			const unsigned which = (unsigned)random_below(&random, 2);
			if (random_below(&random, 5) == 0) {
				shipper_close(shippers[which]);
				shippers[which] = open_shipper(drivers[which], &target);
			}
			assert_int_equal(journal_reader_renew(reader, NULL), 0);
			struct error err = {0};
			const int rc = shipper_write(shippers[which], reader, next, &err);
			if (rc < 0 && rc != ERROR_AWAY)
				fail_msg("%s", err.message);
		}
		shipper_close(shippers[0]);
		shipper_close(shippers[1]);
		warehouse_close(lake);
		char sql[256];
		snprintf(sql, sizeof(sql),
			 "SELECT count(*) FROM '@/warehouse/transactions_cln/*/*.parquet' WHERE cust_id >= %u AND "
			 "cust_id < %u",
			 (unsigned)seed * 1000, (unsigned)seed * 1000 + 1000);
		assert_int_equal(count(sql), n_events);
		snprintf(sql, sizeof(sql),
			 "SELECT count(*) FROM read_json('@/transactions/*/*.ndjson') WHERE customer >= %u AND "
			 "customer < %u",
			 (unsigned)seed * 1000, (unsigned)seed * 1000 + 1000);
		assert_int_equal(count(sql), n_events);
	}
}

struct tally {
	size_t events;
	int64_t first_us;
};

static int count_events(void *context, const struct cluster_customer *customer, struct error *err)
{
	struct tally *const tally = context;
	(void)err;
	assert_false(customer->has_state);
	tally->events += customer->n_events;
	tally->first_us = customer->events[0].event.time_us;
	return 0;
}

static int count_history(void *context, const struct cluster_event *event, struct error *err)
{
	(void)err;
	assert_true(slice_is(event->edge, "e1"));
	++*(size_t *)context;
	return 0;
}

/* Through cells that fail: every event of every customer, once, in the account and in the history. */
static void test_rows(void **state)
{
	(void)state;
	_cleanup_free_ char *dir = text_printf("%s/cells", shop_base);
	struct cells *cells = NULL;
	struct error err = {0};
	assert_non_null(dir);
	assert_int_equal(file_make_dirs(dir, NULL), 0);
	if (cells_open_lmdb(dir, &(struct cells_lmdb_options){.map_gib = 1}, &cells, &err) < 0)
		fail_msg("%s", err.message);
	cells = faulty_cells(cells, 3, 20);
	const struct ship_target target = {.deployment = shop, .cells = cells, .edge = "e1", .shipment_bytes = 300};
	struct shipper *shipper = open_shipper(&ship_rows, &target);
	for (int i = 0; i < 10; i++)
		add_block("till", 1 + i % 3, 3);
	const uint64_t next = shipper_offset(shipper) + 10;
	for (unsigned n = 0; shipper_offset(shipper) < next; n++) {
		assert_true(n < 1000);
		if (n % 7 == 6) {
			shipper_close(shipper);
			shipper = open_shipper(&ship_rows, &target);
		}
		assert_int_equal(journal_reader_renew(reader, NULL), 0);
		const int rc = shipper_write(shipper, reader, next, &err);
		if (rc < 0 && rc != ERROR_AWAY)
			fail_msg("%s", err.message);
	}
	struct cluster_view *view = NULL;
	((struct faulty_cells *)cells)->percent = 0;
	assert_int_equal(cluster_view_open(cells, CUSTOMER_ID_INTEGER, shop->programme->timezone, &view, NULL), 0);
	/* Blocks begin with customers 1, 2, 3, 1 … and the same orders: of customer 3 there are those of three blocks. */
	const struct customer_id three = {.number = 3};
	struct tally tally = {0};
	size_t history = 0;
	assert_int_equal(cluster_view_customers(view, &three, 1, count_events, &tally, NULL), 0);
	assert_int_equal(cluster_view_history(view, &three, 0, count_history, &history, NULL), 0);
	assert_int_equal(tally.events, 3);
	assert_int_equal(tally.first_us, T0);
	assert_int_equal(history, 3);
	cluster_view_close(view);
	shipper_close(shipper);
	cells_close(cells);
}

/* The mark is there, and the offset is not: what is there counts, and is left as it is. */
static void test_done_but_for_the_offset(void **state)
{
	(void)state;
	struct warehouse *lake = warehouse_faulty(open_lake(), 1, 1);
	struct ship_target target = target_of(lake, 1 << 20);
	struct shipper *shipper = open_shipper(&ship_table, &target);
	struct error err = {0};
	add_block("till", 1, 1);
	shipper->checked = true;
	assert_int_equal(shipper_write(shipper, reader, 2, &err), ERROR_AWAY);
	shipper_close(shipper);
	warehouse_close(lake);
	lake = open_lake();
	target = target_of(lake, 1 << 20);
	const char *const file =
		"warehouse/transactions_cln/data_dt=2023-11-15/orders-e1-000000000001-000000000001.parquet";
	assert_int_equal(warehouse_put_bytes(lake, file, SLICE("as it was"), NULL), 0);
	assert_int_equal(warehouse_put_bytes(lake, "edges/e1/hdfs-table-000000000002", (struct slice){"", 0}, NULL), 0);
	shipper = open_shipper(&ship_table, &target);
	write_all(shipper, 2);
	_cleanup_buf_ struct buf text = {0};
	assert_int_equal(warehouse_read_all(lake, file, 100, &text, NULL), 0);
	assert_string_equal(buf_text(&text), "as it was");
	shipper_close(shipper);
	warehouse_close(lake);
}

static void assert_refused(const struct ship_target *target, int rc, const char *words)
{
	struct error err = {0};
	struct shipper *shipper = NULL;
	int have = shipper_open(&ship_table, target, journal, &shipper, &err);
	assert_int_equal(journal_reader_renew(reader, NULL), 0);
	if (have == 0 && shipper)
		have = shipper_write(shipper, reader, shipper_offset(shipper) + 1, &err);
	shipper_close(shipper);
	assert_int_equal(have, rc);
	if (!strstr(err.message, words))
		fail_msg("%s", err.message);
}

/* Another edge, another warehouse, another journal under the same name, an older copy: nothing is shipped. */
static void test_strangers(void **state)
{
	(void)state;
	struct warehouse *const lake = open_lake();
	const struct ship_target target = target_of(lake, 1 << 20);
	struct shipper *const shipper = open_shipper(&ship_table, &target);
	add_block("till", 1, 1);
	write_all(shipper, 2);
	shipper_close(shipper);
	add_block("till", 2, 1);
	struct ship_target other = target;
	other.edge = "e2";
	assert_refused(&other, ERROR_CONFIG, "under another edge's name than e2");
	/* Its files are gone. */
	assert_int_equal(warehouse_rename(lake, "edges/e1", "edges/away", NULL), 0);
	assert_refused(&target, ERROR_CORRUPT, "the warehouse knows nothing of it");
	assert_int_equal(warehouse_rename(lake, "edges/away", "edges/e1", NULL), 0);
	/* Another journal has shipped more. */
	assert_int_equal(warehouse_put_bytes(lake, "edges/e1/hdfs-table-000000000009", (struct slice){"", 0}, NULL), 0);
	assert_refused(&target, ERROR_CORRUPT, "up to 1 by its journal, and up to 8 by the warehouse");
	warehouse_close(lake);
}

static struct cells *open_cells(const char *name)
{
	_cleanup_free_ char *dir = text_printf("%s/%s", shop_base, name);
	struct cells *cells = NULL;
	assert_non_null(dir);
	assert_int_equal(file_make_dirs(dir, NULL), 0);
	assert_int_equal(cells_open_lmdb(dir, &(struct cells_lmdb_options){.map_gib = 1}, &cells, NULL), 0);
	return cells;
}

/* Looks, and ships one block more. */
static void assert_rows(struct cells *cells, int rc, const char *words)
{
	const struct ship_target target = {.deployment = shop, .cells = cells, .edge = "e1", .shipment_bytes = 1 << 20};
	struct shipper *const shipper = open_shipper(&ship_rows, &target);
	struct error err = {0};
	assert_int_equal(shipper_look(shipper, &err), rc);
	if (!strstr(err.message, words))
		fail_msg("%s", err.message);
	add_block("till", 1, 1);
	assert_int_equal(journal_reader_renew(reader, NULL), 0);
	assert_int_equal(shipper_write(shipper, reader, shipper_offset(shipper) + 1, &err), rc);
	shipper_close(shipper);
}

/* What a shipper of rows that has no mark yet makes of the mark of raw events; 0: there is none. */
static void assert_first(const struct ship_target *target, struct journal_reader *old, uint64_t mark, int rc)
{
	struct error err = {0};
	_cleanup_free_ char *path = text_printf("edges/e1/hdfs-raw-%012llu", (unsigned long long)mark);
	assert_non_null(path);
	if (mark)
		assert_int_equal(warehouse_put_bytes(target->warehouse, path, (struct slice){"", 0}, NULL), 0);
	struct shipper *const rows = open_shipper(&ship_rows, target);
	assert_int_equal(shipper_begin_again(rows, old, NULL), 0);
	const int have = shipper_write(rows, old, 2, &err);
	shipper_close(rows);
	if (have != rc)
		fail_msg("mark %llu: %s", (unsigned long long)mark, err.message);
	if (rc < 0 && !strstr(err.message, "nothing is shipped here before these agree"))
		fail_msg("%s", err.message);
	if (mark)
		assert_int_equal(warehouse_remove(target->warehouse, path, NULL), 0);
}

/* Raw events go at their own pace: what the shipper of rows knew of them when it began is old when it looks at their marks; a shipment
 * that was planned may be there, one that counts must be, and no other. */
static void test_first_rows(void **state)
{
	(void)state;
	struct error err = {0};
	struct warehouse *const lake = open_lake();
	struct cells *const cells = open_cells("first-rows");
	struct ship_target target = target_of(lake, 1 << 20);
	target.cells = cells;
	add_block("till", 1, 1);
	struct shipper *raw = open_shipper(&ship_raw, &target);
	struct journal_reader *old = NULL;
	assert_int_equal(journal_reader_open(journal, &old, NULL), 0);
	write_all(raw, 2);
	assert_first(&target, old, 0, 0);
	shipper_close(raw);
	assert_int_equal(warehouse_remove(lake, "edges/e1/hdfs-raw-000000000002", NULL), 0);
	assert_first(&target, old, 0, ERROR_AWAY);
	assert_first(&target, old, 1, ERROR_AWAY);
	assert_first(&target, old, 2, 0);
	assert_first(&target, old, 9, ERROR_AWAY);
	/* Three more are planned, and do not come through: they are there, or not. */
	for (int i = 0; i < 3; i++)
		add_block("till", 2 + i, 1);
	struct warehouse *const away = warehouse_faulty(open_lake(), 1, 1);
	const struct ship_target broken = target_of(away, 1 << 20);
	raw = open_shipper(&ship_raw, &broken);
	raw->checked = true;
	assert_int_equal(shipper_write(raw, reader, 5, &err), ERROR_AWAY);
	shipper_close(raw);
	warehouse_close(away);
	assert_first(&target, old, 2, 0);
	assert_first(&target, old, 3, ERROR_AWAY);
	assert_first(&target, old, 5, 0);
	assert_first(&target, old, 6, ERROR_AWAY);
	journal_reader_close(old);
	cells_close(cells);
	warehouse_close(lake);
}

/* Rows that are not where they were, not all there, or another journal's: nothing is shipped; until it is told to begin again. */
static void test_other_rows(void **state)
{
	(void)state;
	struct cells *const cells = open_cells("cells");
	struct cells *const other = open_cells("other");
	assert_rows(cells, 0, "");
	assert_rows(cells, 0, "");
	/* Another HBase, or one that was emptied. */
	assert_rows(other, ERROR_CORRUPT, "has no mark of edge e1, which has shipped blocks up to 2 there");
	/* One that was put back: its mark is before the journal's offset. */
	struct cluster_view *view = NULL;
	struct cluster_marks marks = {0};
	assert_int_equal(cluster_view_open(cells, CUSTOMER_ID_INTEGER, shop->programme->timezone, &view, NULL), 0);
	assert_int_equal(cluster_view_marks(view, SLICE("e1"), &marks, NULL), 0);
	assert_true(marks.accounts.found && marks.orders.found && marks.accounts.next == 3);
	struct cluster_mark mark = marks.accounts;
	mark.next = 2;
	assert_int_equal(cluster_view_put_mark(view, SLICE("e1"), &mark, NULL), 0);
	assert_int_equal(cluster_view_flush(view, NULL), 0);
	assert_rows(cells, ERROR_CORRUPT, "an older state of it was put back");
	mark.next = 100;
	assert_int_equal(cluster_view_put_mark(view, SLICE("e1"), &mark, NULL), 0);
	assert_int_equal(cluster_view_flush(view, NULL), 0);
	assert_rows(cells, ERROR_CORRUPT, "data/ is an older copy");
	/* Again from the first block that is there, to the other one. */
	const struct ship_target target = {.deployment = shop, .cells = other, .edge = "e1", .shipment_bytes = 1 << 20};
	struct shipper *const shipper = open_shipper(&ship_rows, &target);
	assert_int_equal(shipper_begin_again(shipper, reader, NULL), 0);
	assert_int_equal(shipper_offset(shipper), 1);
	assert_int_equal(pinned(), 1);
	write_all(shipper, 6);
	shipper_close(shipper);
	assert_rows(other, 0, "");
	/* Another journal's. */
	mark.next = 7;
	mark.journal[0] ^= 1;
	assert_int_equal(cluster_view_put_mark(view, SLICE("e1"), &mark, NULL), 0);
	assert_int_equal(cluster_view_flush(view, NULL), 0);
	assert_rows(cells, ERROR_CORRUPT, "the mark of another journal");
	cluster_view_close(view);
	cells_close(cells);
	cells_close(other);
}

/* One that shipped before there were marks puts the first one now. */
static void test_rows_without_marks(void **state)
{
	(void)state;
	struct cells *const cells = open_cells("cells");
	assert_int_equal(shipper_adopt(&ship_rows, "e1", journal, 1, NULL), 0);
	assert_rows(cells, 0, "");
	assert_rows(cells, 0, "");
	cells_close(cells);
}

/* A journal that lost what was to be shipped is not taken for one that has nothing. */
static void test_lost(void **state)
{
	(void)state;
	struct warehouse *const lake = open_lake();
	const struct ship_target target = target_of(lake, 1 << 20);
	struct shipper *shipper = open_shipper(&ship_raw, &target);
	shipper_close(shipper);
	add_block("till", 1, 1);
	add_block("till", 2, 1);
	unsigned n;
	assert_int_equal(journal_begin(journal, NULL), 0);
	assert_int_equal(journal_trim(journal, 2, 10, &n, NULL), 0);
	assert_int_equal(journal_commit(journal, NULL), 0);
	struct error err = {0};
	assert_int_equal(shipper_open(&ship_raw, &target, journal, &shipper, &err), ERROR_CORRUPT);
	assert_string_equal(
		err.message,
		"shipping (hdfs-raw): blocks from 1 on are still to be shipped, and the journal has blocks 2 to 2: it "
		"is another journal, or a part is lost; put data/ back from a backup");
	warehouse_close(lake);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_shop, close_journal_shop)
	const struct CMUnitTest tests[] = {TEST(test_table),
					   TEST(test_raw),
					   TEST(test_sizes),
					   TEST(test_plan),
					   TEST(test_rows),
					   TEST(test_faults),
					   TEST(test_strangers),
					   TEST(test_done_but_for_the_offset),
					   TEST(test_lost),
					   TEST(test_first_rows),
					   TEST(test_other_rows),
					   TEST(test_raw_gzip),
					   TEST(test_rows_without_marks)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
